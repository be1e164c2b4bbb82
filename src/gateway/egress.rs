//! How the calls of a target leave, as the platform is told.

use super::platform::Egress;
use crate::config::EgressRule;
use crate::policy::routing::Target;

/// How a call of this target leaves.
pub(super) fn of(target: &Target<'_>) -> Egress {
    match target.egress() {
        EgressRule::Direct => Egress::Direct,
        EgressRule::Binding(name) => Egress::Binding(name.clone()),
    }
}
