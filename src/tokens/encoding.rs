//! The encodings that texts are counted in.

/// A way to make tokens of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 199,998 tokens; the present one.
    O200k,
    /// 100,256 tokens; that of 2023.
    Cl100k,
}

impl Encoding {
    /// Every encoding there is.
    pub const ALL: &'static [Self] = &[Self::O200k, Self::Cl100k];

    /// Its name in the world.
    pub fn name(self) -> &'static str {
        match self {
            Self::O200k => "o200k_base",
            Self::Cl100k => "cl100k_base",
        }
    }

    /// Its place in a list of them all.
    pub fn index(self) -> usize {
        match self {
            Self::O200k => 0,
            Self::Cl100k => 1,
        }
    }
}
