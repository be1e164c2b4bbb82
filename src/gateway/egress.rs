//! How the calls of a target leave, as the platform is told.

use std::rc::Rc;

use super::bridge::Bridge;
use super::platform::Egress;
use crate::config::{EgressRule, RegionRule};
use crate::policy::routing::Target;

/// How a call of this target leaves; the rule of its region, if it has one.
pub(super) fn of(bridge: &Bridge, target: &Target<'_>) -> Result<Egress, RegionRule> {
    match target.egress() {
        EgressRule::Direct => Ok(match bridge.proxy(target.index) {
            Some(proxy) => Egress::Proxy(Rc::clone(proxy)),
            None => Egress::Direct,
        }),
        EgressRule::Binding(name) => Ok(Egress::Binding(name.clone())),
        EgressRule::Region(rule) => Err(*rule),
    }
}
