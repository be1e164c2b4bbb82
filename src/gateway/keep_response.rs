//! Keeps the response of an attempt for later requests, if its client asks for that.

use super::attempt::Attempt;
use super::drive::Drive;
use super::failure::{Failure, FailureStage};
use super::forward::persist;
use super::kept::{KeptQuestion, ResponseKeeper, unkept};
use super::platform::Platform;
use super::reasoning::Unstored;

impl<P: Platform> Drive<'_, P> {
    /// Keeps a whole response, if it is to be kept, before the client gets it.
    pub(super) async fn keep(
        &self,
        keeper: Option<ResponseKeeper>,
        keep: impl FnOnce(&mut ResponseKeeper) -> Option<Unstored>,
    ) -> Result<(), Failure> {
        let Some(mut keeper) = keeper else { return Ok(()) };
        if persist(self.platform, keep(&mut keeper)).await {
            return Ok(());
        }
        Err(Failure::of(unkept(), FailureStage::AfterContent))
    }

    /// Keeps the response of an attempt, if its client asks for that.
    pub(super) fn keeper(&self, attempt: &Attempt<'_, '_, '_>) -> Option<ResponseKeeper> {
        let (envelope, rules) = (attempt.envelope, self.client.kept?);
        let never = self.record.admission().is_some_and(|admission| admission.never_stores);
        if never || !envelope.operation.streams || !(rules.asks)(&envelope.document) {
            return None;
        }
        let question =
            || (rules.question)(&envelope.document).map(|question| KeptQuestion { previous: None, question });
        let asked = self.asked.clone().or_else(question)?;
        let random = self.platform.random_u128();
        ResponseKeeper::of((rules, self.bridge), self.record.key_id(), attempt.target, (asked, random))
    }
}
