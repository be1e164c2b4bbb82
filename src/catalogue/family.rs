//! Finds the hosts that serve a model, by the model's name alone.

use super::pattern;
use super::resolve::{base_name, named};
use super::rows::{self, Host};

/// How a host knows a model, by the model's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Familiarity {
    /// It serves other models of the same family.
    Family,
    /// It serves this model.
    Model,
}

/// How a host knows a model; `None` if it does not.
pub fn familiarity(host: &'static Host, model: &str) -> Option<Familiarity> {
    // A row with the pattern `*` does not show which models the host has.
    let mut patterns = host.patterns.iter().map(|(pattern, _)| *pattern).filter(|pattern| pattern::rank(pattern) > 0);
    if named(host, model).is_some() || patterns.any(|pattern| pattern::matches(pattern, model)) {
        return Some(Familiarity::Model);
    }
    // Families come with the broadest first.
    let (family, _) = rows::families().iter().find(|(family, _)| pattern::matches(family, base_name(model)))?;
    let is_relative = |name: &str| pattern::matches(family, name);
    host.names.iter().any(|(name, _)| is_relative(name)).then_some(Familiarity::Family)
}

#[cfg(test)]
mod tests {
    use super::super::resolve::host_named;
    use super::*;

    fn known(host: &str, model: &str) -> Option<Familiarity> {
        familiarity(host_named(host).unwrap(), model)
    }

    #[test]
    fn a_host_knows_its_models_and_their_relatives() {
        assert_eq!(known("anthropic", "claude-opus-5-5"), Some(Familiarity::Model));
        assert_eq!(known("anthropic", "claude-sonnet-4-5-20250929"), Some(Familiarity::Model));
        assert_eq!(known("anthropic", "claude-nova-9"), Some(Familiarity::Family));
        assert_eq!(known("openai", "gpt-9-turbo"), Some(Familiarity::Family));
        assert_eq!(known("openai", "claude-opus-5-5"), None);
        assert_eq!(known("anthropic", "gpt-4o"), None);
        assert_eq!(known("anthropic", "someone-new"), None);
        assert_eq!(known("openrouter", "claude-opus-5-5"), None, "its row for all models names none");
        assert_eq!(known("openrouter", "openai/gpt-9"), Some(Familiarity::Model));
        assert_eq!(known("google", "gemini-9-flash"), Some(Familiarity::Family));
    }

    #[test]
    fn the_broadest_family_of_a_name_comes_first() {
        let fixed: Vec<usize> = rows::families().iter().map(|(family, _)| pattern::rank(family)).collect();
        assert!(fixed.is_sorted(), "{fixed:?}");
    }
}
