//! Keeps requests that are tied to an account with the targets of that account.

use super::routing::{Route, Target};
use crate::error::{Error, Result};

/// The most targets that a refusal lists.
const MAX_LISTED: usize = 8;

impl Route<'_> {
    /// Leaves out the targets that cannot own what `field` of a request names: those for which it is not
    /// `native`, which means that it is sent to them in the client's own format. If there are none that
    /// can, all stay: the field is refused, or reported as dropped, when the request is translated for them.
    ///
    /// `stored`: a name says nothing of its owner. Then the owner has to be the only account that is left.
    /// What is encrypted is refused by all accounts but one, so that several may be asked.
    ///
    /// # Errors
    /// 400 `bound_to_account` if several accounts may own what is named.
    pub fn bind(&mut self, field: &str, stored: bool, native: impl Fn(&Target<'_>) -> bool) -> Result<()> {
        let own = || self.candidates.iter().map(|candidate| &candidate.target).filter(|target| native(target));
        let Some(first) = own().next() else { return Ok(()) };
        if stored && own().any(|target| !shares_account(first, target)) {
            return Err(ambiguous(field, own()));
        }
        let count = self.candidates.len();
        self.candidates.retain(|candidate| native(&candidate.target));
        self.bound_by = (self.candidates.len() < count).then(|| field.to_owned());
        Ok(())
    }
}

/// Whether two targets are called with the same keys at the same address.
fn shares_account(one: &Target<'_>, other: &Target<'_>) -> bool {
    let (one, other) = (one.provider, other.provider);
    std::ptr::eq(one, other) || one.address == other.address && one.key == other.key
}

fn ambiguous<'t>(field: &str, targets: impl Iterator<Item = &'t Target<'t>>) -> Error {
    let mut names: Vec<String> = Vec::new();
    for target in targets {
        let name = format!("`{}/{}`", target.provider.name, target.upstream);
        if names.len() < MAX_LISTED && !names.contains(&name) {
            names.push(name);
        }
    }
    let names = names.join(", ");
    let message = format!(
        "`{field}` names what is stored in an account of a provider, and several accounts could be meant. Set \
         `model` to the one that has it: {names}. Or send the contents instead."
    );
    Error::caller(400, "bound_to_account", message).at(field.to_owned())
}
