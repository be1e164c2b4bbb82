//! Sends a call of a provider, as its target says that calls leave, and waits for the head of a successful
//! response.

use super::call::{self, call_failed};
use super::drive::Drive;
use super::failure::{Failure, FailureStage};
use super::platform::{Platform, ProviderRequest, ProviderResponse as _};
use super::record::Fact;
use super::{MemoryReservation, egress, regions};
use crate::config::Millis;
use crate::error::Error;
use crate::formats::ProviderFormat;
use crate::formats::statement::stated_limits;
use crate::policy::failure::FailedCall;
use crate::policy::routing::Target;

impl<P: Platform> Drive<'_, P> {
    /// Calls a provider, and waits for the head of a successful response.
    ///
    /// # Errors
    /// 502, 504, or the provider's own refusal.
    pub(super) async fn send(
        &mut self,
        target: &Target<'_>,
        mut request: ProviderRequest,
        format: &ProviderFormat,
        room: MemoryReservation,
    ) -> Result<P::Answer, Failure> {
        room.hold(request.body.len());
        match egress::of(self.bridge, target) {
            Ok(egress) => {
                request.egress = egress;
                self.send_once(target, request, format, Some(room)).await
            }
            // It is rare: the future of a usual request stays small.
            Err(rule) => Box::pin(self.send_by_region(target, rule, (request, format), room)).await,
        }
    }

    /// Calls a provider once. `room` is given back when the request has been sent.
    pub(super) async fn send_once(
        &mut self,
        target: &Target<'_>,
        mut request: ProviderRequest,
        format: &ProviderFormat,
        room: Option<MemoryReservation>,
    ) -> Result<P::Answer, Failure> {
        let clocks = target.clocks;
        request.ends_with_client = !self.outlives_client(target);
        let trace = self.platform.state().trace.get();
        request.headers.extend(trace.and_then(|trace| trace.header(self.record.failed_attempts())));
        let sent = self.platform.now();
        let first_token = if request.stream { clocks.first_token } else { None };
        let connect = [clocks.connect, first_token].into_iter().flatten().fold(self.left(target), Millis::min);
        let keep_alive = target.provider.streaming.keep_alive;
        let sending = call::send(self.platform, request, connect, room);
        let answer = self.while_client_waits(keep_alive, connect, sending).await;
        let failed = |drive: &Self, error| drive.failed(target, error, FailureStage::AwaitingHead);
        let answer = answer.map_err(|lost| failed(self, call_failed(lost)))?;
        if target.provider.exposes_limits {
            self.stated_limits = stated_limits(|name| answer.header(name));
        }
        if !(200..300).contains(&answer.status()) {
            // The words of a refusal come at once, or are not waited for.
            let limit = [clocks.idle, clocks.first_token].into_iter().flatten().fold(self.left(target), Millis::min);
            let error = call::read_refusal(self.platform, answer, limit, format.refusal).await;
            // A provider that refuses does not bill, whatever its status.
            return Err(Failure { billable: false, ..failed(self, error) });
        }
        self.record.apply(Fact::HeadReceived { sent });
        Ok(answer)
    }

    /// The failure of a call, without secrets.
    pub(super) fn failed(&self, target: &Target<'_>, error: Error, stage: FailureStage) -> Failure {
        let call = FailedCall::of(target.provider, self.platform.now());
        let failure = Failure::of_call(self.bridge.redact(target.index, error), stage, call);
        regions::explained(failure, target, self.bridge.proxy(target.index).is_some())
    }

    /// The time left for the whole response.
    pub(super) fn left(&self, target: &Target<'_>) -> Millis {
        self.deadline(target).saturating_sub(self.platform.now())
    }

    pub(super) fn deadline(&self, target: &Target<'_>) -> Millis {
        self.record.started().saturating_add(target.clocks.total)
    }
}
