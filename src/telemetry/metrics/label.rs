//! Values of labels. Clients and providers choose names, so only configured ones become labels.

use std::collections::{BTreeMap, BTreeSet};

use super::families::FAMILIES;

/// The value of a label that stands for all names that are not configured.
pub const OTHER: &str = "other";

/// The value of a label of requests that called no provider.
pub const NONE: &str = "none";

/// The value of the label `model` that stands for all models of a provider.
pub const ALL: &str = "all";

/// The longest value of a label, in bytes.
pub const MAX_VALUE: usize = 128;

/// The statuses that stand for themselves. Others are counted by their hundred, as `4xx`: providers choose
/// statuses.
const STATUSES: &[u16] =
    &[200, 400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 422, 429, 499, 500, 502, 503, 504, 529];

/// The value of the label `status`.
pub fn status_label(status: u16) -> String {
    if STATUSES.contains(&status) {
        return status.to_string();
    }
    match status / 100 {
        hundred @ 1..=5 => format!("{hundred}xx"),
        _ => OTHER.to_owned(),
    }
}

/// The names that may be values of labels: those of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfiguredNames {
    models: BTreeMap<String, BTreeSet<String>>,
    /// Whether every name counts as configured.
    any: bool,
}

impl ConfiguredNames {
    /// The names of providers, each with a model as the provider names it.
    pub fn new<P: Into<String>, M: Into<String>>(pairs: impl IntoIterator<Item = (P, M)>) -> Self {
        let mut models: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (provider, model) in pairs {
            models.entry(provider.into()).or_default().insert(model.into());
        }
        Self { models, any: false }
    }

    /// Adds a provider, whether or not it has models with a name.
    #[must_use]
    pub fn with_provider(mut self, provider: &str) -> Self {
        self.models.entry(provider.to_owned()).or_default();
        self
    }

    /// Every name: for data of a configuration that cannot be read.
    pub fn any() -> Self {
        Self { models: BTreeMap::new(), any: true }
    }

    /// The values of the labels `provider` and `model`. An empty name means that no provider was called.
    pub fn labels<'a>(&self, provider: &'a str, model: &'a str) -> [&'a str; 2] {
        if provider.is_empty() {
            return [NONE, NONE];
        }
        if self.any {
            return [provider, model];
        }
        let Some(models) = self.models.get(provider).filter(|_| provider.len() <= MAX_VALUE) else {
            return [OTHER, OTHER];
        };
        let is_configured = model.len() <= MAX_VALUE && models.contains(model);
        [provider, if is_configured { model } else { OTHER }]
    }

    /// The labels of a series of a family whose names may have been chosen elsewhere.
    pub(super) fn relabeled(&self, family: &str, labels: &[String]) -> Vec<String> {
        let family = FAMILIES.iter().find(|own| own.name == family);
        let mut labels = labels.to_vec();
        let (Some(["provider", "model", ..]), [provider, model, ..]) =
            (family.map(|family| family.labels), labels.as_mut_slice())
        else {
            return labels;
        };
        if provider == NONE {
            return labels;
        }
        let [own_provider, own_model] = self.labels(provider, model).map(str::to_owned);
        if model != ALL {
            *model = own_model;
        }
        *provider = own_provider;
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_configured_are_others() {
        let long = "m".repeat(MAX_VALUE + 1);
        let names = ConfiguredNames::new([("p", "m"), ("q", "n"), ("q", &long)]);
        assert_eq!(names.labels("p", "m"), ["p", "m"]);
        assert_eq!(names.labels("p", "n"), ["p", OTHER]);
        assert_eq!(names.labels("x", "m"), [OTHER, OTHER]);
        assert_eq!(names.labels("q", &long), ["q", OTHER]);
        assert_eq!(names.labels("", "m"), [NONE, NONE]);
        assert_eq!(names.with_provider("x").labels("x", "m"), ["x", OTHER]);
    }

    #[test]
    fn rare_statuses_are_counted_by_their_hundred() {
        let labels = [200, 429, 418, 599, 204, 0, 999].map(status_label);
        assert_eq!(labels, ["200", "429", "4xx", "5xx", "2xx", OTHER, OTHER]);
    }
}
