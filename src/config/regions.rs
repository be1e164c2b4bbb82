//! Regions from which providers are called, and the places in which nothing is called from.

use super::yaml::Node;

/// A location hint of Durable Objects
/// (<https://developers.cloudflare.com/durable-objects/reference/data-location/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Region(&'static str);

/// All of them.
pub(super) const REGIONS: &[(&str, Region)] = &[
    ("wnam", Region("wnam")),
    ("enam", Region("enam")),
    ("sam", Region("sam")),
    ("weur", Region("weur")),
    ("eeur", Region("eeur")),
    ("apac", Region("apac")),
    ("apac-ne", Region("apac-ne")),
    ("apac-se", Region("apac-se")),
    ("oc", Region("oc")),
    ("afr", Region("afr")),
    ("me", Region("me")),
];

/// The word for a model that is called directly, although its provider has a region.
const NONE: &str = "none";

impl Region {
    /// The region with this name.
    pub fn named(name: &str) -> Option<Self> {
        REGIONS.iter().find(|(known, _)| *known == name).map(|(_, region)| *region)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0
    }
}

/// When calls leave from a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionRule {
    /// The region.
    pub region: Region,
    /// Calls leave directly where the provider does not refuse the place.
    pub is_fallback: bool,
}

impl RegionRule {
    /// Reads `region`; the inner `None` stands for `none`. The outer one: there is a fault.
    pub(super) fn read(node: &Node<'_>) -> Option<Option<Self>> {
        let Some(word) = node.word() else {
            let table = node.table(&["fallback"])?;
            let Some(region) = table.at("fallback") else {
                node.fault("name a region, such as `wnam`, or write { fallback: wnam }");
                return None;
            };
            return region.choice(REGIONS).map(|region| Some(Self { region, is_fallback: true }));
        };
        if word == NONE {
            return Some(None);
        }
        node.choice(REGIONS).map(|region| Some(Self { region, is_fallback: false }))
    }
}

/// The section `regions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionSettings {
    /// The address that says where a call comes from; `None` if nobody is asked.
    pub trace: Option<String>,
    /// Places from which no provider is called: countries of two letters, data centers of three.
    pub avoid: Vec<String>,
}

/// Cloudflare's page that says where a call comes from.
const TRACE: &str = "https://www.cloudflare.com/cdn-cgi/trace";

/// Countries whose calls large providers refuse, and the data centers in them: whether a trace tells the
/// country of the place or that of an address of Cloudflare is not documented.
/// Sources: <https://developers.openai.com/api/docs/supported-countries>,
/// <https://www.anthropic.com/supported-countries>,
/// <https://ai.google.dev/gemini-api/docs/available-regions>.
const AVOID: &[&str] =
    &["BY", "CN", "CU", "HK", "IR", "KP", "MO", "RU", "SY", "DME", "HKG", "KJA", "LED", "MFM", "MSQ", "SVO", "SVX"];

impl Default for RegionSettings {
    fn default() -> Self {
        Self { trace: Some(TRACE.to_owned()), avoid: AVOID.iter().map(|place| (*place).to_owned()).collect() }
    }
}

impl RegionSettings {
    /// Reads the section.
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["trace", "avoid"])?;
        let usual = Self::default();
        let trace = table.at("trace").map_or(Some(usual.trace), |node| trace(&node))?;
        let avoid = table.at("avoid").map_or(Some(usual.avoid), |node| avoid(&node))?;
        Some(Self { trace, avoid })
    }
}

fn trace(node: &Node<'_>) -> Option<Option<String>> {
    let text = node.text()?;
    if text == NONE {
        return Some(None);
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_address = rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(|c| c.is_ascii_graphic()) && !rest.contains('@')
    });
    if !is_address {
        node.fault("expected the address of a trace, such as https://www.cloudflare.com/cdn-cgi/trace, or `none`");
        return None;
    }
    Some(Some(text))
}

fn avoid(node: &Node<'_>) -> Option<Vec<String>> {
    let place = |node: &Node<'_>| {
        let place = node.text()?.to_ascii_uppercase();
        let is_place = matches!(place.len(), 2 | 3) && place.bytes().all(|byte| byte.is_ascii_uppercase());
        if !is_place {
            node.fault("expected a country by its two letters (HK), or a data center of Cloudflare by its three (HKG)");
        }
        Some(place)
    };
    Some(node.list()?.iter().filter_map(place).collect())
}
