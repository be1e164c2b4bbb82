//! The audit log: who did what through the admin API, from where, and what it changed. Secrets are masked.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::routes::{Access, Action};
use crate::config::Millis;

/// Stands for a secret.
const MASK: &str = "***";

/// Fields whose values are secrets. The text of a key is one, and so is its hash, by which it is found.
const SECRETS: &[&str] = &["key", "secret", "text", "hash", "password", "token", "authorization", "url"];

/// Fields that change by themselves with each action, and say nothing.
const UNIMPORTANT: &[&str] = &["object", "updated_at", "created", "key_id", "status"];

/// The longest recorded value, in bytes of JSON.
const MAX_VALUE: usize = 1_024;
/// The most recorded changes of one action.
const MAX_CHANGES: usize = 64;
/// The most bytes of all recorded changes of one action, as JSON. Further ones are left out.
const MAX_BYTES: usize = 16 << 10;
/// The longest recorded name, in characters.
const MAX_NAME: usize = 128;

/// One record of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Random: an entry that arrives twice is stored once.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub at: Millis,
    /// The id of the request.
    pub request_id: String,
    /// Who: the id of the key that was sent.
    pub actor: String,
    /// The IP address of the client, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What was done, such as `key.edit`; `read` for all that changes nothing.
    pub action: String,
    /// The id of what it was done to. Empty for what has none.
    pub subject: String,
    /// The status of the response. From 400, nothing was done unless there are changes: a 503 may leave an
    /// action half done.
    pub status: u16,
    /// What changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
}

/// The change of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The path of the field, such as `budget.amount_nanos`.
    pub field: String,
    /// The value before; null if there was none.
    pub from: Value,
    /// The value after; null if there is none.
    pub to: Value,
}

/// Who called the admin API, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditCaller {
    /// As [`AuditEntry::request_id`].
    pub request_id: String,
    /// As [`AuditEntry::actor`].
    pub actor: String,
    /// As [`AuditEntry::address`].
    pub address: Option<String>,
}

/// The outcome of an action: the status of its response, and its subject before and after, as JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditOutcome {
    /// The status of the response.
    pub status: u16,
    /// As [`AuditEntry::subject`].
    pub subject: String,
    /// The subject before; null if it did not exist.
    pub before: Value,
    /// The subject after; null if it does not exist any more.
    pub after: Value,
}

impl AuditEntry {
    /// The record of an action; `None` for reading, unless it was refused. `random`: makes its id.
    ///
    /// A refused [`Action::Session`] has none: the dashboard asks for it with whatever key it is given, to
    /// learn whether that is an admin's.
    pub fn of(action: Action, caller: AuditCaller, outcome: &AuditOutcome, now: Millis, random: u128) -> Option<Self> {
        let AuditOutcome { status, subject, before, after } = outcome;
        if action.access() == Access::Read && (!is_refusal(*status) || action == Action::Session) {
            return None;
        }
        let AuditCaller { request_id, actor, address } = caller;
        Some(Self {
            id: format!("audit_{random:032x}"),
            at: now,
            request_id,
            actor: short(&actor),
            address: address.map(|address| short(&address)),
            action: action.audit_name().to_owned(),
            subject: short(subject),
            status: *status,
            changes: if is_refusal(*status) { Vec::new() } else { changes(before, after) },
        })
    }

    /// Whether the caller had no right to the action.
    pub fn is_refused(&self) -> bool {
        is_refusal(self.status)
    }
}

fn is_refusal(status: u16) -> bool {
    matches!(status, 401 | 403)
}

/// The fields in which two JSON values differ, with secrets masked.
fn changes(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare("", before, after, &mut changes);
    let mut bytes = 0;
    changes.retain(|change: &FieldChange| {
        bytes += change.field.len() + change.from.to_string().len() + change.to.to_string().len();
        bytes <= MAX_BYTES
    });
    changes
}

/// Adds the differences below a path. Lists are compared as wholes.
fn compare(path: &str, before: &Value, after: &Value, changes: &mut Vec<FieldChange>) {
    if before == after || UNIMPORTANT.contains(&path) || changes.len() >= MAX_CHANGES {
        return;
    }
    let is_group = |value: &Value| value.is_object() || value.is_null();
    // The parts of a secret are secret.
    if is_group(before) && is_group(after) && !is_secret(last_name(path)) {
        for field in members(before, after) {
            let below = if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
            let of = |value: &'_ Value| value.get(field).cloned().unwrap_or_default();
            compare(&below, &of(before), &of(after), changes);
        }
        return;
    }
    changes.push(FieldChange { field: short(path), from: shown(path, before), to: shown(path, after) });
}

/// The names of the members of two values, each once.
fn members<'v>(before: &'v Value, after: &'v Value) -> Vec<&'v str> {
    let of = |value: &'v Value| value.as_object().into_iter().flat_map(|members| members.keys().map(String::as_str));
    let mut names: Vec<&str> = of(before).chain(of(after)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// A value as it is recorded. That a secret changed is recorded, but not what it is.
fn shown(path: &str, value: &Value) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    if is_secret(last_name(path)) {
        return MASK.into();
    }
    let text = value.to_string();
    if text.len() > MAX_VALUE { format!("({} bytes)", text.len()).into() } else { value.clone() }
}

/// The name of the field at a path.
fn last_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or_default()
}

/// Whether a field holds a secret: one of the words of its name is that of a secret. An id is none.
fn is_secret(field: &str) -> bool {
    let mut words = field.split(['_', '-']);
    !field.ends_with("_id") && words.any(|word| SECRETS.iter().any(|secret| word.eq_ignore_ascii_case(secret)))
}

/// A text that a caller chose, of bounded length.
fn short(text: &str) -> String {
    text.chars().take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn caller() -> AuditCaller {
        AuditCaller { request_id: "r".to_owned(), actor: "key_1".to_owned(), address: Some("192.0.2.1".to_owned()) }
    }

    fn entry(action: Action, status: u16, before: &Value, after: &Value) -> Option<AuditEntry> {
        let outcome = AuditOutcome { status, subject: "a".to_owned(), before: before.clone(), after: after.clone() };
        AuditEntry::of(action, caller(), &outcome, 7, 1)
    }

    /// The changes as text: `field: from -> to`.
    fn changed(before: &Value, after: &Value) -> Vec<String> {
        let text = |change: &FieldChange| format!("{}: {} -> {}", change.field, change.from, change.to);
        changes(before, after).iter().map(text).collect()
    }

    #[test]
    fn an_entry_says_who_did_what_from_where() {
        let (before, after) = (json!({"name": "old"}), json!({"name": "new"}));
        let entry = entry(Action::Edit, 200, &before, &after).unwrap();
        let expected = json!({"id": "audit_00000000000000000000000000000001", "at": 7, "request_id": "r", "actor": "key_1", "address": "192.0.2.1",
            "action": "key.edit", "subject": "a", "status": 200,
            "changes": [{"field": "name", "from": "old", "to": "new"}]});
        assert_eq!(serde_json::to_value(&entry).unwrap(), expected);
        assert_eq!(serde_json::from_value::<AuditEntry>(expected).unwrap(), entry);
    }

    #[test]
    fn only_refused_reading_is_recorded() {
        let nothing = Value::Null;
        assert_eq!(entry(Action::List, 200, &nothing, &nothing), None);
        assert_eq!(entry(Action::List, 404, &nothing, &nothing), None);
        assert_eq!(entry(Action::List, 401, &nothing, &nothing).unwrap().action, "read");
        let refused = entry(Action::Edit, 403, &json!({"name": "old"}), &json!({"name": "new"})).unwrap();
        assert_eq!(refused.changes, []);
    }

    #[test]
    fn secrets_are_masked_and_their_change_is_seen() {
        let before = json!({"key": "sk-lb-a", "hint": "aaaa", "signing_secret": "s1", "metadata": {"api-Token": "x"}});
        let after = json!({"key": "sk-lb-b", "hint": "bbbb", "signing_secret": "s2", "metadata": {"api-Token": "y"}});
        let expected = [
            r#"hint: "aaaa" -> "bbbb""#,
            r#"key: "***" -> "***""#,
            r#"metadata.api-Token: "***" -> "***""#,
            r#"signing_secret: "***" -> "***""#,
        ];
        assert_eq!(changed(&before, &after), expected);
        assert_eq!(changed(&json!({"of": {"key_id": "vk_a"}}), &Value::Null), [r#"of.key_id: "vk_a" -> null"#]);
        let hidden = changed(&json!({"secret": {"bits": "hidden"}}), &json!({"secret": ["hidden"]}));
        assert_eq!(hidden, [r#"secret: "***" -> "***""#]);
        let hidden = changed(&json!({"secret": {"bits": "a"}}), &json!({"secret": {"bits": "b"}}));
        assert_eq!(hidden, [r#"secret: "***" -> "***""#]);
    }

    #[test]
    fn members_are_compared_one_by_one_and_lists_as_wholes() {
        let before = json!({"budget": {"amount_nanos": 1, "per": "day"}, "models": ["a"], "name": "n"});
        let after = json!({"budget": {"amount_nanos": 2, "per": "day"}, "models": ["a", "b"], "owner": "o"});
        let expected = [
            "budget.amount_nanos: 1 -> 2",
            r#"models: ["a"] -> ["a","b"]"#,
            r#"name: "n" -> null"#,
            r#"owner: null -> "o""#,
        ];
        assert_eq!(changed(&before, &after), expected);
        assert_eq!(changed(&Value::Null, &json!({"id": "a", "budget": null})), [r#"id: null -> "a""#]);
        assert_eq!(changed(&json!({"id": "a", "updated_at": "x"}), &json!({"id": "a", "updated_at": "y"})), [""; 0]);
    }

    #[test]
    fn entries_are_bounded() {
        let many: Value = (0..500).map(|number| (format!("field{number}"), json!(number))).collect();
        assert_eq!(changed(&Value::Null, &many).len(), MAX_CHANGES);
        let long = json!({"name": "x".repeat(5_000)});
        assert_eq!(changed(&Value::Null, &long), [r#"name: null -> "(5002 bytes)""#]);
        let large: Value = (0..60).map(|number| (format!("field{number}"), json!("x".repeat(1_000)))).collect();
        assert_eq!(changed(&Value::Null, &large).len(), 16);
        let outcome = AuditOutcome { status: 404, subject: "é".repeat(5_000), ..AuditOutcome::default() };
        let entry = AuditEntry::of(Action::Delete, caller(), &outcome, 0, 0);
        assert_eq!(entry.unwrap().subject.chars().count(), MAX_NAME);
    }
}
