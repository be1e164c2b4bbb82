//! The models that providers have listed of themselves, for the lists of models that clients ask for.

use std::cell::RefCell;
use std::rc::Rc;

use crate::config::Millis;

/// A list is used for so long.
const LIFETIME: Millis = 3_600_000;
/// A provider that could not be asked is asked again after this time. What it listed before is kept.
const RETRY: Millis = 300_000;
/// A list that takes longer has failed.
pub(super) const TIMEOUT: Millis = 5_000;

/// The models that providers have listed, by their indices in the configuration.
#[derive(Debug, Default)]
pub(super) struct ProviderModels(RefCell<Vec<Listed>>);

#[derive(Debug)]
struct Listed {
    provider: usize,
    names: Rc<[String]>,
    /// When the provider was asked last.
    asked: Millis,
    /// When it is asked again. While it is asked, when that has failed.
    next: Millis,
    /// Whether it has been asked to the end.
    is_known: bool,
}

impl ProviderModels {
    /// The names of a provider's models, as it listed them last.
    pub(super) fn of(&self, provider: usize) -> Rc<[String]> {
        let listed = self.0.borrow();
        let found = listed.iter().find(|listed| listed.provider == provider);
        found.map_or_else(|| Rc::from([]), |listed| Rc::clone(&listed.names))
    }

    /// Whether a provider is to be asked now, which is noted; and whether nothing is known of it yet.
    pub(super) fn begin(&self, provider: usize, now: Millis) -> Option<bool> {
        let mut all = self.0.borrow_mut();
        let next = now.saturating_add(TIMEOUT);
        let Some(listed) = all.iter_mut().find(|listed| listed.provider == provider) else {
            all.push(Listed { provider, names: Rc::from([]), asked: now, next, is_known: false });
            return Some(true);
        };
        if now < listed.next {
            return None;
        }
        (listed.asked, listed.next) = (now, next);
        Some(!listed.is_known)
    }

    /// Whether providers are being asked of which nothing is known yet.
    pub(super) fn is_waited_for(&self, now: Millis) -> bool {
        self.0.borrow().iter().any(|listed| !listed.is_known && now < listed.next)
    }

    /// A provider that was asked at `asked` has listed its models, or failed to. This has no effect if it has
    /// been asked again since: the other answer is newer.
    pub(super) fn end(&self, provider: usize, names: Option<Vec<String>>, asked: Millis) {
        let mut all = self.0.borrow_mut();
        let is_newest = |listed: &&mut Listed| listed.provider == provider && listed.asked == asked;
        let Some(listed) = all.iter_mut().find(is_newest) else { return };
        listed.is_known = true;
        listed.next = asked.saturating_add(if names.is_some() { LIFETIME } else { RETRY });
        if let Some(names) = names {
            listed.names = names.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_asked_once_an_hour_and_a_failure_keeps_its_list() {
        let models = ProviderModels::default();
        assert_eq!(models.begin(3, 0), Some(true));
        assert_eq!([models.is_waited_for(TIMEOUT - 1), models.is_waited_for(TIMEOUT)], [true, false]);
        assert_eq!(models.begin(3, TIMEOUT - 1), None, "it is being asked");
        assert_eq!(models.begin(3, TIMEOUT), Some(true), "the request that asked was cut off");
        models.end(3, Some(vec!["a".to_owned()]), TIMEOUT);
        assert_eq!(models.of(3).as_ref(), ["a"]);
        assert!(!models.is_waited_for(TIMEOUT));
        assert_eq!(models.begin(3, TIMEOUT + LIFETIME - 1), None);
        let failing = TIMEOUT + LIFETIME;
        assert_eq!(models.begin(3, failing), Some(false));
        models.end(3, None, failing);
        assert_eq!(models.of(3).as_ref(), ["a"]);
        assert_eq!(models.begin(3, failing + RETRY - 1), None);
        assert_eq!(models.begin(3, failing + RETRY), Some(false));
        models.end(3, Some(Vec::new()), failing + RETRY);
        assert!(models.of(3).is_empty() && models.of(0).is_empty());
    }

    #[test]
    fn an_answer_that_comes_after_the_provider_was_asked_again_has_no_effect() {
        let models = ProviderModels::default();
        models.begin(0, 0);
        models.begin(0, TIMEOUT);
        models.end(0, Some(vec!["old".to_owned()]), 0);
        assert!(models.of(0).is_empty() && models.is_waited_for(TIMEOUT));
        models.end(0, Some(vec!["new".to_owned()]), TIMEOUT);
        models.end(0, None, 0);
        assert_eq!(models.of(0).as_ref(), ["new"]);
        assert_eq!(models.begin(0, TIMEOUT + LIFETIME - 1), None, "the old failure does not count");
    }
}
