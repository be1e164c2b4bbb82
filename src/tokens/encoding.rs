//! The supported encodings.

/// A byte-pair encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `o200k_base`, of 199,998 tokens.
    O200k,
    /// `cl100k_base`, of 100,256 tokens.
    Cl100k,
}

impl Encoding {
    /// Every encoding, in the order of [`Encoding::index`].
    pub const ALL: &'static [Self] = &[Self::O200k, Self::Cl100k];

    /// The name by which it is published.
    pub fn name(self) -> &'static str {
        match self {
            Self::O200k => "o200k_base",
            Self::Cl100k => "cl100k_base",
        }
    }

    /// Its index in [`Encoding::ALL`].
    pub fn index(self) -> usize {
        match self {
            Self::O200k => 0,
            Self::Cl100k => 1,
        }
    }
}
