//! How the calls of a target leave, as the platform is told.

use std::rc::Rc;

use super::bridge::Bridge;
use super::platform::Egress;
use crate::config::EgressRule;
use crate::policy::routing::Target;

/// How a call of this target leaves.
pub(super) fn of(bridge: &Bridge, target: &Target<'_>) -> Egress {
    match target.egress() {
        EgressRule::Direct => match bridge.proxy(target.index) {
            Some(proxy) => Egress::Proxy(Rc::clone(proxy)),
            None => Egress::Direct,
        },
        EgressRule::Binding(name) => Egress::Binding(name.clone()),
    }
}
