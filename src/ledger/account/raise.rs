//! A reservation that is raised, because its request goes on to a further attempt.

use super::ledger::AccountLedger;
use crate::config::{Millis, Nanos};
use crate::ledger::admission::AdmissionRefusal;
use crate::ledger::command::AccountResponse;
use crate::ledger::receipt::Reservation;
use crate::ledger::write::{AccountWrite, reservation_write};

impl AccountLedger {
    /// Raises what is reserved for a request to `cost`. A command that is repeated raises it once.
    pub(super) fn raise(
        &mut self,
        id: &str,
        cost: Nanos,
        now: Millis,
        writes: &mut Vec<AccountWrite>,
    ) -> AccountResponse {
        let Some(left) = self.budget_left(now) else { return self.granted(None, now) };
        let is_under_way = |reservation: &&Reservation| reservation.until > now && reservation.lost_request().is_none();
        let Some(mut reservation) = self.reservations.find(id).filter(is_under_way).cloned() else {
            // The account does not know what the request has taken so far.
            return self.refused(AdmissionRefusal::Unknown, now);
        };
        let needed = cost.saturating_sub(reservation.cost);
        if needed > left {
            let promised = self.reservations.cost();
            let refusal = AdmissionRefusal::Budget { needed, left, promised, largest: None, unsettable: false };
            return self.refused(refusal, now);
        }
        if needed > 0 {
            reservation.cost = cost;
            if let Some(lease) = &mut reservation.lease {
                lease.most = lease.most.map(|most| most.max(cost));
            }
            writes.push(reservation_write(id, &reservation));
            self.reservations.insert(id, reservation);
        }
        self.granted(None, now)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Millis, Nanos};
    use crate::ledger::{
        AccountCommand, AccountLedger, AccountResponse, AdmissionRefusal, AdmissionRequest, Budget, KeyLimits, Period,
        Receipt,
    };

    const NOON: Millis = 1_780_000_000_000;

    struct Account(AccountLedger);

    impl Account {
        fn with_budget(nanos: Option<Nanos>) -> Self {
            let budget = nanos.map(|nanos| Budget { nanos, per: Period::Day, fit: false });
            let limits = KeyLimits { budget, concurrent: Some(9), ..KeyLimits::default() };
            let mut account = Self(AccountLedger::default());
            account.handle(AccountCommand::SetLimits { hash: "hash".into(), limits, version: 1 });
            account
        }

        fn handle(&mut self, command: AccountCommand) -> AccountResponse {
            self.0.handle(command, NOON, &mut Vec::new())
        }

        fn admit(&mut self, id: &str, cost: Nanos) -> Option<AdmissionRefusal> {
            let hash = Some("hash".into());
            let request = AdmissionRequest { id: id.into(), hash, cost: Some(cost), ..AdmissionRequest::default() };
            refusal(self.handle(AccountCommand::Admit(request)))
        }

        fn raise(&mut self, id: &str, cost: Nanos) -> Option<AdmissionRefusal> {
            refusal(self.handle(AccountCommand::Raise { id: id.into(), cost }))
        }
    }

    fn refusal(response: AccountResponse) -> Option<AdmissionRefusal> {
        if let AccountResponse::Refused { refusal, .. } = response { Some(refusal) } else { None }
    }

    #[test]
    fn a_raise_is_granted_once_and_within_the_budget_only() {
        let mut account = Account::with_budget(Some(100));
        assert_eq!(account.admit("a", 40), None);
        assert_eq!(account.raise("a", 80), None);
        assert_eq!(account.raise("a", 80), None);
        let refused = account.raise("a", 120);
        let budget = AdmissionRefusal::Budget { needed: 40, left: 20, promised: 80, largest: None, unsettable: false };
        assert_eq!(refused, Some(budget));
        assert_eq!(account.admit("b", 20), None);
        assert!(account.admit("c", 1).is_some());
    }

    #[test]
    fn a_settled_request_takes_what_it_cost_of_a_raised_reservation() {
        let mut account = Account::with_budget(Some(100));
        account.admit("a", 40);
        account.raise("a", 80);
        let receipt = Receipt { id: "a".into(), cost: Some(30), ..Receipt::default() };
        account.handle(AccountCommand::Settle(vec![receipt]));
        assert_eq!(account.admit("b", 70), None);
        assert!(account.admit("c", 1).is_some());
    }

    #[test]
    fn a_request_that_is_not_under_way_is_not_raised() {
        let mut account = Account::with_budget(Some(100));
        assert_eq!(account.raise("a", 1), Some(AdmissionRefusal::Unknown));
    }

    #[test]
    fn without_a_budget_nothing_is_reserved() {
        let mut account = Account::with_budget(None);
        account.admit("a", 40);
        assert_eq!(account.raise("a", 80), None);
    }
}
