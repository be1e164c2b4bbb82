//! Finds the row that serves a model by its name.

use std::borrow::Cow;

use super::provider::{Model, Provider, without_hint};
use super::routes::RowIndex;
use crate::catalogue::{self, Familiarity};

/// The row that serves a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowMatch {
    /// The index of the provider.
    pub provider: usize,
    /// The row.
    pub row: RowIndex,
}

impl RowMatch {
    /// The row, and its provider's name for the model that was found by `name`.
    pub fn model<'p>(self, providers: &'p [Provider], name: &str) -> Option<(&'p Model, Cow<'p, str>)> {
        let row = providers.get(self.provider)?.row(self.row)?;
        let upstream = match self.row {
            RowIndex::Listed(_) => Cow::Borrowed(row.upstream.as_str()),
            RowIndex::Pattern(_) => Cow::Owned(split(providers, name).map_or(name, |(_, model)| model).to_owned()),
        };
        Some((row, upstream))
    }
}

/// Why no row serves a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoMatch {
    /// No row fits the name.
    Unknown,
    /// Rows of several providers fit the name equally well: the indices of these providers.
    Ambiguous(Vec<usize>),
}

/// What a step of the search finds; `None` if the next step decides.
type Found = Option<Result<RowMatch, NoMatch>>;

/// Finds the row that serves a model. A name that begins with a provider's, and a slash, belongs to that
/// provider. Any other name is looked for, in this order, among
///
/// 1. the models that the default provider lists,
/// 2. the models that other providers list,
/// 3. patterns other than `*`, the most exact first; of equal ones, the default provider's,
/// 4. `*` of providers whose host serves the model, or else its family, by the catalogue,
/// 5. `*` of the default provider.
///
/// # Errors
/// [`NoMatch::Ambiguous`] if the first step that finds a row finds rows of several providers.
pub fn find_row(providers: &[Provider], default: usize, name: &str) -> Result<RowMatch, NoMatch> {
    if let Some((provider, model)) = split(providers, name) {
        let own = providers.get(provider);
        let row = own.and_then(|own| own.listed(model).or_else(|| pattern(own, model)));
        return row.map(|row| RowMatch { provider, row }).ok_or(NoMatch::Unknown);
    }
    let own = providers.get(default);
    let found = |row: RowIndex| Ok(RowMatch { provider: default, row });
    own.and_then(|own| own.listed(name))
        .map(found)
        .or_else(|| only(providers, |provider| provider.listed(name)))
        .or_else(|| by_pattern(providers, default, name))
        .or_else(|| by_family(providers, name))
        .or_else(|| own.and_then(|own| pattern(own, name)).map(found))
        .unwrap_or(Err(NoMatch::Unknown))
}

/// The provider that a name begins with, and the rest of the name.
pub fn split<'n>(providers: &[Provider], name: &'n str) -> Option<(usize, &'n str)> {
    let (prefix, model) = name.split_once('/')?;
    Some((providers.iter().position(|provider| provider.name == prefix)?, model))
}

/// The name of a model at each of these providers, in full.
pub fn full(providers: &[Provider], indices: &[usize], model: &str) -> Vec<String> {
    let names = indices.iter().filter_map(|index| providers.get(*index));
    names.map(|provider| format!("`{}/{model}`", provider.name)).collect()
}

/// The full names of the models that a provider lists.
pub(super) fn all(provider: &Provider) -> impl Iterator<Item = String> {
    provider.models.iter().map(|model| format!("{}/{}", provider.name, model.name))
}

/// The most exact pattern of a provider that fits a name. A variant has to be listed, even where any model is
/// allowed.
fn pattern(provider: &Provider, name: &str) -> Option<RowIndex> {
    if name.is_empty() || without_hint(name).is_some() {
        return None;
    }
    let index = provider.patterns.iter().position(|row| catalogue::matches(&row.name, name))?;
    Some(RowIndex::Pattern(index))
}

/// The row that `row` finds, if it finds one for a single provider.
fn only(providers: &[Provider], row: impl Fn(&Provider) -> Option<RowIndex>) -> Found {
    let rows = providers.iter().enumerate();
    let mut rows = rows.filter_map(|(provider, own)| Some(RowMatch { provider, row: row(own)? }));
    let first = rows.next()?;
    let mut several: Vec<usize> = rows.map(|other| other.provider).collect();
    if several.is_empty() {
        return Some(Ok(first));
    }
    several.insert(0, first.provider);
    Some(Err(NoMatch::Ambiguous(several)))
}

fn by_pattern(providers: &[Provider], default: usize, name: &str) -> Found {
    let rank = |provider: &Provider| {
        let row = pattern(provider, name)?;
        let RowIndex::Pattern(index) = row else { return None };
        let rank = catalogue::rank(&provider.patterns.get(index)?.name);
        (rank > 0).then_some((row, rank))
    };
    let most = providers.iter().filter_map(rank).map(|(_, rank)| rank).max()?;
    let best = |provider: &Provider| rank(provider).filter(|(_, rank)| *rank == most).map(|(row, _)| row);
    let own = providers.get(default).and_then(best);
    own.map(|row| Ok(RowMatch { provider: default, row })).or_else(|| only(providers, best))
}

fn by_family(providers: &[Provider], name: &str) -> Found {
    let known = |provider: &Provider| {
        let row = pattern(provider, name)?;
        Some((row, catalogue::familiarity(provider.host?, name)?))
    };
    let most: Familiarity = providers.iter().filter_map(known).map(|(_, known)| known).max()?;
    only(providers, |provider| known(provider).filter(|(_, known)| *known == most).map(|(row, _)| row))
}
