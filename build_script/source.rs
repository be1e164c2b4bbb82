//! What both tables have in common: where facts were read, reading a file, and writing one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml::Value as Yaml;

pub type Result<T> = std::result::Result<T, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub name: String,
    pub date: String,
    #[serde(default)]
    pub evidence: Evidence,
}

#[derive(Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    #[default]
    Documented,
    Reported,
    Guessed,
}

/// Reads a YAML file.
pub fn read<T: DeserializeOwned>(path: &str) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    // A value refuses keys that stand twice; a map would take the last.
    serde_yaml::from_str::<Yaml>(&text).map_err(|error| error.to_string())?;
    serde_yaml::from_str(&text).map_err(|error| error.to_string())
}

/// Writes a file for `include!`.
pub fn write(name: &str, text: &str) -> Result<()> {
    let folder = std::env::var("OUT_DIR").map_err(|error| error.to_string())?;
    std::fs::write(Path::new(&folder).join(name), text).map_err(|error| error.to_string())
}

/// Writes the sources of a file as static items. Each source must be cited by a row.
pub fn statics(sources: &BTreeMap<String, Source>, used: &BTreeSet<String>) -> Result<String> {
    if let Some(unused) = sources.keys().find(|name| !used.contains(*name)) {
        return Err(format!("sources.{unused}: no row refers to it"));
    }
    let line = |(name, source): (&String, &Source)| {
        let (Source { name: title, date, evidence }, item) = (source, item("SOURCE", name));
        format!(
            "static {item}: Source = Source {{ name: {title:?}, date: {date:?}, evidence: Evidence::{evidence:?} }};\n"
        )
    };
    Ok(sources.iter().map(line).collect())
}

/// The name of an item.
pub fn item(table: &str, name: &str) -> String {
    format!("{table}_{}", name.to_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}
