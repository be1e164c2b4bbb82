//! What the documents of hosts and models say.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Documents {
    pub hosts: BTreeMap<String, HostDocument>,
    pub models: Vec<ModelDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostDocument {
    pub format: String,
    pub source: String,
    #[serde(default)]
    pub limit: Vec<String>,
    pub user: Option<usize>,
    #[serde(default)]
    pub personal: Taken,
    pub tool_name: Option<usize>,
    pub call_id: Option<usize>,
    #[serde(default)]
    pub exact_call_id: bool,
    pub stop: Option<usize>,
    pub thoughts: Option<String>,
    #[serde(default)]
    pub developer: Taken,
    #[serde(default)]
    pub logprobs: Taken,
    #[serde(default)]
    pub cost: Option<String>,
    pub search: Option<u64>,
    pub apis: Option<Vec<String>>,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Taken {
    #[default]
    Taken,
    Refused,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelDocument {
    pub names: Vec<String>,
    pub hosts: Vec<String>,
    pub efforts: Option<Vec<String>>,
    /// Where the words differ by host.
    #[serde(default)]
    pub efforts_at: BTreeMap<String, Vec<String>>,
    pub with_tools: Option<Vec<String>>,
    pub default: Option<String>,
    pub forms: Option<Vec<String>>,
    pub least: Option<u64>,
    #[serde(default)]
    pub refuses: Vec<String>,
    #[serde(default)]
    pub free_at_none: bool,
    #[serde(default)]
    pub exclusive: bool,
    pub user: Option<usize>,
    pub limit: Option<String>,
    pub thinks: Option<bool>,
    pub input: Option<Vec<String>>,
    pub tools: Option<bool>,
    pub schema: Option<bool>,
    pub encoding: Option<String>,
    pub near: Option<String>,
    pub apis: Option<Vec<String>>,
}

impl Documents {
    pub fn read() -> Self {
        let documents: Self = serde_yaml::from_str(include_str!("../fixtures/catalogue/documents.yaml")).unwrap();
        for host in documents.hosts.values() {
            assert!(host.source.starts_with("https://"), "{}", host.source);
        }
        documents
    }
}

impl ModelDocument {
    /// The words of effort at a host; none if nothing is documented.
    pub fn efforts(&self, host: &str, with_tools: bool) -> Option<&[String]> {
        let usual = self.efforts_at.get(host).or(self.efforts.as_ref());
        let words = if with_tools { self.with_tools.as_ref().or(usual) } else { usual };
        words.map(Vec::as_slice)
    }

    /// The effort that the model assumes.
    pub fn default_effort(&self) -> &str {
        self.default.as_deref().unwrap_or("medium")
    }
}
