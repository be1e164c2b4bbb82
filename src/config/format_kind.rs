//! What the configuration has to know of a wire format.

/// A kind of upstream that a row may name as its `adapter`.
#[derive(Clone, Copy, Debug)]
pub struct FormatKind {
    /// The word in the file.
    pub name: &'static str,
    /// Whether it calls an address; if not, the gateway answers itself.
    pub remote: bool,
    /// The path of the API's root, for addresses without one: such as client libraries take.
    pub root: &'static str,
    /// The path of the endpoint below it, which people paste with an address although it belongs to the call.
    pub endpoint: &'static str,
    /// Top-level fields of its requests that the gateway sets itself: `param_config` may not edit them.
    pub protected_fields: &'static [&'static str],
}
