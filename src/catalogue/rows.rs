//! The rows of `configs/catalogue.yaml`, as static data that `build.rs` writes.

use super::field::{Efforts, Field, Fit, Value};
use super::price::{DatedPrice, Hours, LongContextRates, MediaRates, ModelPrice, Rates, TierRates};

/// A field and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// The field.
    pub field: Field,
    /// Its value.
    pub value: Value,
}

/// What one row says.
#[derive(Debug)]
pub struct Row {
    /// Its fields.
    pub facts: &'static [Fact],
    /// Its prices; empty if it says nothing of them.
    pub prices: &'static [DatedPrice],
    /// Where this was read.
    pub source: &'static Source,
}

/// Where facts were read.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// An address, or the name of a document.
    pub name: &'static str,
    /// The day, as `2026-11-27`.
    pub date: &'static str,
    /// How sure they are.
    pub evidence: Evidence,
}

/// How sure a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// By the provider's own document.
    Documented,
    /// By others who tried it.
    Reported,
    /// By nobody. Such a row may remove nothing from a request.
    Guessed,
}

/// A wire format.
#[derive(Debug)]
pub struct Format {
    /// Its name, which is the `adapter` of a provider's row.
    pub name: &'static str,
    /// How the key is sent to hosts that do not say otherwise.
    pub auth: Option<&'static Auth>,
    /// What is true of it, whatever host speaks it.
    pub row: &'static Row,
}

/// A provider that is known by its address or by its name.
#[derive(Debug)]
pub struct Host {
    /// Its name, by which a provider of the configuration may refer to it.
    pub name: &'static str,
    /// Its addresses: the name of a host, or a pattern of `host/path`.
    pub addresses: &'static [&'static str],
    /// The path of its API for chats, where only its beginning is configured; may be empty.
    pub root: &'static str,
    /// How its key is sent; none if that is left to the format.
    pub auth: Option<&'static Auth>,
    /// What is true of all its models; first the rows that it extends, then its own.
    pub rows: &'static [&'static Row],
    /// Models by patterns, those that fix more characters later.
    pub patterns: &'static [(&'static str, &'static Row)],
    /// Models by their exact names and other names, sorted.
    pub names: &'static [(&'static str, &'static Row)],
}

/// How a key is sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Auth {
    /// The name of the row.
    pub name: &'static str,
    /// The header, in lower case; empty if the key goes into the query.
    pub header: &'static str,
    /// What stands before the key.
    pub prefix: &'static str,
    /// The parameter of the query; empty if the key goes into a header.
    pub query: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// All hosts, sorted by name.
pub fn hosts() -> &'static [Host] {
    HOSTS
}

/// The ways to send a key.
pub fn auth() -> &'static [&'static Auth] {
    AUTH
}

/// Families of models, those whose pattern fixes more characters later.
pub fn families() -> &'static [(&'static str, &'static Row)] {
    FAMILIES
}

/// The format of a name.
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}
