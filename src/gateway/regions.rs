//! Calls that leave from a region: by which object, and where the next try leaves if a provider refuses the
//! place.

use super::MemoryReservation;
use super::call::{REGION_FULL, REGION_MISPLACED, region_full, region_misplaced};
use super::drive::Drive;
use super::failure::{Failure, FailureStage};
use super::platform::{Egress, Platform, ProviderRequest};
use super::record::Fact;
use super::region_store::TakenObject;
use crate::config::{EgressRule, Region, RegionRule};
use crate::error::Error;
use crate::formats::ProviderFormat;
use crate::policy::failure::{FailureClass, REGION_REFUSED};
use crate::policy::region::NoObject;
use crate::policy::routing::Target;

/// The most objects that one request asks.
const MAX_ASKED: usize = 16;

impl<P: Platform> Drive<'_, P> {
    /// Calls a provider as its region's rule says. A try that the provider refuses because of the place is
    /// followed by one from elsewhere: it has done no work, and is not billed. `_room` is held until the head
    /// has come.
    ///
    /// # Errors
    /// As [`Drive::send_once`]: of the last try.
    pub(super) async fn send_by_region(
        &mut self,
        target: &Target<'_>,
        rule: RegionRule,
        call: (ProviderRequest, &ProviderFormat),
        _room: MemoryReservation,
    ) -> Result<P::Answer, Failure> {
        let before = self.record.failed_attempts();
        let sent = self.try_places(target, rule, call).await;
        match sent {
            // A planned attempt is noted by the plan.
            Err(failure) if self.record.failed_attempts() > before && self.attempt.is_none() => {
                self.note_failure(&failure, failure.billable);
                Err(Failure { billable: false, ..failure })
            }
            sent => sent,
        }
    }

    async fn try_places(
        &mut self,
        target: &Target<'_>,
        RegionRule { region, is_fallback }: RegionRule,
        (request, format): (ProviderRequest, &ProviderFormat),
    ) -> Result<P::Answer, Failure> {
        let (store, health) = (self.bridge.regions.clone(), &self.bridge.health);
        let mut refused = None;
        if is_fallback {
            // What other isolates here know, they tell in the background: the next request knows it.
            health.refresh(self.platform);
        }
        let began = self.platform.now();
        if is_fallback && !health.is_refused_here(target.index, began) {
            match self.send_once(target, request.clone(), format, None).await {
                Err(failure) if is_refused(&failure) => {
                    health.refused_here(self.platform, target.index, began);
                    refused = Some(failure);
                }
                sent => {
                    if sent.is_ok() {
                        health.served_here(self.platform, target.index, began);
                    }
                    return sent;
                }
            }
        }
        store.follow_reset(health.all_reset());
        for _ in 0..MAX_ASKED {
            let now = self.platform.now();
            let object = match store.take(region, target.index, now, now.saturating_add(self.left(target))) {
                Ok(object) => object,
                Err(reason) => {
                    // An operator may have had it forgotten: the next request knows.
                    health.refresh(self.platform);
                    return Err(refused.unwrap_or_else(|| self.no_object(target, region, reason)));
                }
            };
            if let Some(failure) = refused.take() {
                self.note_refusal(&failure);
            }
            let request = ProviderRequest { egress: Egress::Region(region, object.number()), ..request.clone() };
            match self.send_once(target, request, format, None).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => refused = Some(self.learn(target, &object, failure)?),
            }
        }
        Err(refused.unwrap_or_else(|| region_full().into()))
    }

    /// What a failed call teaches of its object. Returns the failure if another object may do better.
    ///
    /// # Errors
    /// The failure, if none can.
    fn learn(&self, target: &Target<'_>, object: &TakenObject, failure: Failure) -> Result<Failure, Failure> {
        let now = self.platform.now();
        match failure.error.code() {
            Some(REGION_FULL) => object.note_full(now),
            Some(REGION_MISPLACED) => object.note_misplaced(now),
            _ if is_refused(&failure) => object.note_refused(target.index, now),
            _ => return Err(failure),
        }
        Ok(failure)
    }

    /// Notes a try that was refused because of its place, before the next one.
    fn note_refusal(&mut self, failure: &Failure) {
        if !is_refused(failure) {
            return;
        }
        let (metering, dropped) = (self.record.metering.clone(), self.record.dropped().cloned());
        self.note_failure(failure, false);
        let metering = metering.map(|metering| metering.again(self.platform.now()));
        self.record.apply(Fact::AttemptStarted { metering, dropped });
    }

    /// Notes a try that failed.
    fn note_failure(&mut self, failure: &Failure, billable: bool) {
        let (now, class) = (self.platform.now(), failure.cause.class.name());
        self.record.apply(Fact::AttemptFailed { class, billable, at: now });
        self.platform.log(&self.record.attempt_event(now, &failure.error, class));
    }

    /// The failure of a call that no object of the region takes.
    fn no_object(&self, target: &Target<'_>, region: Region, reason: NoObject) -> Failure {
        let error = match reason {
            NoObject::Busy => region_full(),
            NoObject::Misplaced => region_misplaced(&format!("places near `{}`", region.name())),
            NoObject::Refused => Error::upstream(403, REGION_REFUSED, advice(target)),
        };
        Failure::of(error, FailureStage::BeforeSend)
    }
}

/// Whether a provider has refused a call because of the place from which it came.
fn is_refused(failure: &Failure) -> bool {
    failure.cause.class == FailureClass::Region && failure.error.is_reported()
}

/// Adds to a provider's refusal of the place what the operator can do about it. `is_proxied`: direct calls of
/// the provider go through a proxy.
pub(super) fn explained(failure: Failure, target: &Target<'_>, is_proxied: bool) -> Failure {
    if !is_refused(&failure) {
        return failure;
    }
    let Failure { error, cause, stage, billable, response } = failure;
    let advice = match target.egress() {
        EgressRule::Direct if is_proxied => PROXY_ADVICE.to_owned(),
        _ => advice(target),
    };
    Failure { error: error.explained(REGION_REFUSED, &advice), cause, stage, billable, response }
}

const PROXY_ADVICE: &str = "This provider refuses calls from where its proxy is. The gateway's operator can set another proxy, or `region` of this provider instead.";

/// What the operator of a gateway can do whose place a provider refuses.
fn advice(target: &Target<'_>) -> String {
    let set = "`region` of this provider";
    match target.egress() {
        EgressRule::Region(rule) => format!(
            "This provider refuses calls from region `{}`. The gateway's operator can set another {set}.",
            rule.region.name()
        ),
        EgressRule::Binding(name) => format!(
            "This provider refuses calls from where the binding {name} makes them. The gateway's operator can set {set} instead, such as `region: wnam`."
        ),
        EgressRule::Direct => format!(
            "This provider refuses calls from where they leave this gateway. Its operator can set {set}, such as `region: {{ fallback: wnam }}`."
        ),
    }
}
