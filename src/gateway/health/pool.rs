//! The keys of a provider, and the names by which isolates tell each other of providers and keys.

use crate::ledger::health::{HealthSubject, SubjectKind};
use crate::policy::health::Subject;

/// The keys of one provider, as health sees them.
#[derive(Clone, Debug, Default)]
pub struct KeyPool {
    /// The provider's name.
    pub provider: String,
    /// Its keys; one with an empty tag if it needs none, none if it lacks one.
    pub keys: Vec<PoolKey>,
}

/// One key of a provider, without its text.
#[derive(Clone, Debug)]
pub struct PoolKey {
    /// A fingerprint of its text, by which isolates mean the same key even if the list changes.
    pub tag: String,
    /// The index of the account that it belongs to.
    pub account: usize,
    /// Its share of conversations, in relation to the others.
    pub weight: u32,
}

/// The name of a subject; `None` for one that is of no concern to other isolates. `here`: the data center
/// where this isolate runs, if it is known.
pub(super) fn name_of(pools: &[KeyPool], subject: &Subject, here: Option<&str>) -> Option<HealthSubject> {
    let pool = pools.get(subject.provider())?;
    let tag = |key: usize| pool.keys.get(key).map(|key| key.tag.clone());
    let (kind, model, key) = match subject {
        Subject::Host { .. } => (SubjectKind::Host, None, None),
        Subject::Target { model, .. } => (SubjectKind::Target, Some(model.clone()), None),
        Subject::KeyModel { key, model, .. } => (SubjectKind::KeyModel, Some(model.clone()), Some(tag(*key)?)),
        Subject::Key { key, .. } => (SubjectKind::Key, None, Some(tag(*key)?)),
        Subject::Account { account, .. } => {
            let first = pool.keys.iter().find(|key| key.account == *account)?;
            (SubjectKind::Account, None, Some(first.tag.clone()))
        }
        Subject::Here { region: None, .. } => {
            let (provider, data_center) = (pool.provider.clone(), Some(here?.to_owned()));
            return Some(HealthSubject { kind: SubjectKind::Place, provider, model: None, key: None, data_center });
        }
        Subject::Here { region: Some(_), .. } => return None,
    };
    Some(HealthSubject { kind, provider: pool.provider.clone(), model, key, data_center: None })
}

/// The subject with a name; `None` if the configuration has no such provider or key, or if it is about
/// another data center than `here`.
pub(super) fn subject_of(pools: &[KeyPool], name: &HealthSubject, here: Option<&str>) -> Option<Subject> {
    let provider = pools.iter().position(|pool| pool.provider == name.provider)?;
    let pool = pools.get(provider)?;
    let key = || pool.keys.iter().position(|key| name.key.as_ref() == Some(&key.tag));
    let model = || name.model.clone();
    Some(match name.kind {
        SubjectKind::Host => Subject::Host { provider },
        SubjectKind::Target => Subject::Target { provider, model: model()? },
        SubjectKind::KeyModel => Subject::KeyModel { provider, key: key()?, model: model()? },
        SubjectKind::Key => Subject::Key { provider, key: key()? },
        SubjectKind::Place => {
            name.data_center.as_deref().filter(|place| Some(*place) == here)?;
            Subject::Here { provider, region: None }
        }
        SubjectKind::Account => Subject::Account { provider, account: pool.keys.get(key()?)?.account },
    })
}
