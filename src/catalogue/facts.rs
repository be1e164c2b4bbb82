//! The merged facts of one model at one provider.

use super::field::{FIELD_COUNT, FIELDS, Field, Fit, Kind, Value};
use super::rows::Fact;

/// A value for each field that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts([Option<Value>; FIELD_COUNT]);

impl Default for Facts {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl Facts {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self([None; FIELD_COUNT]);

    /// Takes over facts that precede those known so far.
    pub fn overlay(&mut self, facts: &[Fact]) {
        for fact in facts {
            if let Some(value) = self.0.get_mut(fact.field.index()) {
                *value = Some(fact.value);
            }
        }
    }

    /// Forgets what is done to parts of a request.
    pub fn forget_fits(&mut self) {
        for value in &mut self.0 {
            if matches!(value, Some(Value::Fit(_))) {
                *value = None;
            }
        }
    }

    /// The value of a field.
    pub fn get(&self, field: Field) -> Option<Value> {
        self.0.get(field.index()).copied().flatten()
    }

    /// A number.
    pub fn count(&self, field: Field) -> Option<u64> {
        if let Some(Value::Count(count)) = self.get(field) { Some(count) } else { None }
    }

    /// A flag; `false` if it is not known.
    pub fn flag(&self, field: Field) -> bool {
        self.get(field) == Some(Value::Flag(true))
    }

    /// A word.
    pub fn word(&self, field: Field) -> Option<&'static str> {
        if let Some(Value::Word(word)) = self.get(field) { Some(word) } else { None }
    }

    /// A list of names; empty if it is not known.
    pub fn names(&self, field: Field) -> &'static [&'static str] {
        if let Some(Value::Names(names)) = self.get(field) { names } else { &[] }
    }

    /// Whether a list of words has this one; `None` if the list is not known.
    pub fn has(&self, field: Field, word: &str) -> Option<bool> {
        let Some(Value::Words(set)) = self.get(field) else { return None };
        let Kind::Words(words) = FIELDS.get(field.index())?.kind else { return None };
        let index = words.iter().position(|known| *known == word)?;
        Some(set & (1 << index) != 0)
    }

    /// A fit; [`Fit::Keep`] if none is known.
    pub fn fit(&self, field: Field) -> Fit {
        if let Some(Value::Fit(fit)) = self.get(field) { fit } else { Fit::Keep }
    }
}
