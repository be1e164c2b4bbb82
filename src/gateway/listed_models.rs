//! Remembers what the catalogue says of the models that are called: to find that out, a name is compared with
//! hundreds of patterns.

use std::cell::RefCell;

use crate::catalogue::{self, Resolved};
use crate::policy::routing::Target;

/// The most models that are remembered. Callers may choose their names.
const MAX_MODELS: usize = 64;
/// The longest name that is remembered, in bytes.
const MAX_NAME: usize = 128;

/// What the catalogue says of models. It holds for one configuration.
#[derive(Default)]
pub(super) struct ListedModels(RefCell<Remembered>);

#[derive(Default)]
struct Remembered {
    models: Vec<Listed>,
    /// How many have been replaced.
    replaced: usize,
}

struct Listed {
    /// The index of the provider.
    provider: usize,
    /// The provider's name for the model.
    upstream: String,
    resolved: Resolved,
}

impl ListedModels {
    /// What the catalogue says of a target's model.
    pub(super) fn of(&self, target: &Target<'_>) -> Resolved {
        self.get(target.index, &target.upstream, |upstream| {
            catalogue::resolve(target.provider.adapter, target.provider.host, upstream)
        })
    }

    fn get(&self, provider: usize, upstream: &str, resolve: impl FnOnce(&str) -> Resolved) -> Resolved {
        let remembered = &mut *self.0.borrow_mut();
        let known = remembered.models.iter().find(|one| one.provider == provider && one.upstream == upstream);
        if let Some(known) = known {
            return known.resolved;
        }
        let resolved = resolve(upstream);
        if upstream.len() <= MAX_NAME {
            remembered.add(Listed { provider, upstream: upstream.to_owned(), resolved });
        }
        resolved
    }
}

impl Remembered {
    /// Adds a model, in place of the oldest one if there are many.
    fn add(&mut self, listed: Listed) {
        if self.models.len() < MAX_MODELS {
            self.models.push(listed);
        } else if let Some(oldest) = self.models.get_mut(self.replaced % MAX_MODELS) {
            *oldest = listed;
            self.replaced = self.replaced.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::field::Field;

    #[test]
    fn a_model_is_looked_up_once_for_each_provider() {
        let models = ListedModels::default();
        let context = |provider: usize, name: &str, host: &str| {
            let resolve = |upstream: &str| catalogue::resolve("openai", catalogue::host_named(host), upstream);
            models.get(provider, name, resolve).facts.count(Field::Context)
        };
        let known = context(0, "gpt-5", "openai");
        assert!(known.is_some());
        assert_eq!(context(0, "gpt-5", "nobody"), known, "it is remembered");
        assert_eq!(context(1, "gpt-5", "nobody"), None, "another provider says otherwise");
        assert_ne!(context(0, "gpt-4o", "openai"), known);
    }

    #[test]
    fn few_models_are_remembered_and_no_long_names() {
        let models = ListedModels::default();
        let mut asked = 0;
        let mut ask = |name: &str| {
            models.get(0, name, |_| {
                asked += 1;
                Resolved::default()
            });
            asked
        };
        for index in 0..1_000 {
            ask(&format!("model-{index}"));
        }
        assert_eq!(ask("model-999"), 1_000);
        assert_eq!(ask(&format!("model-{}", 1_000 - MAX_MODELS)), 1_000);
        assert_eq!(ask("model-0"), 1_001);
        let long = "x".repeat(MAX_NAME + 1);
        assert_eq!((ask(&long), ask(&long)), (1_002, 1_003));
        assert_eq!(models.0.borrow().models.len(), MAX_MODELS);
    }
}
