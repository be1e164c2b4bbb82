//! The facts about a wire format that the configuration needs.

/// A wire format that a provider's row may name as its `adapter`.
#[derive(Clone, Copy, Debug)]
pub struct FormatKind {
    /// The value of `adapter` in the file.
    pub name: &'static str,
    /// Whether requests go to an address. If not, the gateway writes the response itself.
    pub remote: bool,
    /// The path of the API's root, which is added to an address without a path.
    pub root: &'static str,
    /// Whether the root is also added to a path that does not end in a version, as the format's SDKs add it.
    pub root_after_path: bool,
    /// The path of the endpoint below the root. It is removed from an address that ends with it.
    pub endpoint: &'static str,
    /// Top-level fields of its requests that the gateway sets itself: `param_config` may not edit them.
    pub protected_fields: &'static [&'static str],
}
