//! The records of one request: its reservation while it is under way, its receipt when it has ended. Each
//! type refers to the other.

use serde::{Deserialize, Serialize};

use super::token_counts::TokenCounts;
use crate::config::{Millis, Nanos};
use crate::ids::AccountId;
use crate::wire::date::DAY;

/// A request that does not renew its lease within this time is taken for lost. Most requests end earlier, and
/// never renew it.
pub const LEASE: Millis = 75_000;
/// The provider and the model of a lost request that was admitted without a draft of its receipt.
const UNKNOWN: &str = "(unknown)";
/// The outcome of a lost request.
pub const LOST: &str = "lost";

/// One request in the ledger. A receipt is written once; only the receipt of a lost request is replaced if
/// the request is settled after all. All totals are sums of receipts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The gateway's id of the request, never the caller's.
    pub id: String,
    /// The id that the caller sees. The caller may choose it, so it is not unique.
    pub request_id: String,
    /// The key's id.
    pub key_id: AccountId,
    /// The provider called.
    pub provider: String,
    /// The model, as the provider names it.
    pub model: String,
    /// The model that the provider reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<String>,
    /// Whether a streamed response was asked for.
    pub stream: bool,
    /// The status of the response.
    pub status: u16,
    /// How it ended: `complete`, or what failed.
    pub outcome: String,
    /// When it began.
    pub started: Millis,
    /// When it ended.
    pub ended: Millis,
    /// From the request to the first byte of the response, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<Millis>,
    /// The tokens used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenCounts>,
    /// The tokens are an estimate: the provider reported none, or not all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// The request was made with a key whose parent has this account: it counts against the limits here, and
    /// in the usage of that key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub member: bool,
    /// The cost in nano-dollars; `None` if the price is unknown.
    pub cost: Option<Nanos>,
    /// Its attempts in their order, if there were several. Tokens and cost above are their sums.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptEntry>,
    /// How the response went on after an attempt had left it unfinished: `buffered`, `restarted`, `joined`;
    /// empty if none had.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub recovered: String,
    /// What was reserved for it. Set by the account, so that a ledger that is opened again restores its
    /// windows.
    #[serde(rename = "promise", default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Reservation>,
}

/// One attempt of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptEntry {
    /// The provider called.
    pub provider: String,
    /// The model, as the provider names it.
    pub model: String,
    /// Which of the provider's keys was used, counted from 0.
    #[serde(default)]
    pub key: usize,
    /// What went wrong, by the name of its class; empty if the attempt served the request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure: String,
    /// When it began.
    pub started: Millis,
    /// When it ended.
    pub ended: Millis,
    /// The tokens used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenCounts>,
    /// The tokens are an estimate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// The cost in nano-dollars; `None` if the price is unknown.
    pub cost: Option<Nanos>,
}

impl Receipt {
    /// What a budget is charged with: the cost, or the reserved amount where the cost is unknown.
    pub fn charge(&self) -> Nanos {
        self.cost.or(self.reservation.as_ref().map(|reservation| reservation.cost)).unwrap_or(0)
    }
}

/// What is reserved for one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// When it was admitted.
    pub at: Millis,
    /// When the reservation ends, and nothing is held for it any more.
    pub until: Millis,
    /// The most tokens that it can use, at most the limit of a minute.
    pub tokens: u64,
    /// The most that it can cost; 0 without a budget.
    pub cost: Nanos,
    /// The output limit granted, in tokens, if it is lower than the one asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Whether the request is assumed to be under way. `None` in receipts, and in data written before leases
    /// existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<ReservationLease>,
}

/// The time for which a request is assumed to be under way without renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationLease {
    /// Its end, as stored.
    pub until: Millis,
    /// The lease was extended when the ledger was opened. It is not extended twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub extended: bool,
    /// The most that the request can cost, in nano-dollars, if known: its draft is charged no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<Nanos>,
    /// The receipt that applies if the request is lost; after that, the receipt in the ledger.
    pub draft: Box<Receipt>,
    /// The row of the receipt, if the request is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<LostRequest>,
}

/// The row of the receipt of a lost request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRequest {
    /// The number of its row.
    pub row: u64,
    /// The time of that row: when the request was lost, but not before the row above.
    pub at: Millis,
    /// The day in whose sums it counts, unless that is the UTC day of that time ([`LostRequest::day`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<u64>,
    /// When the row was written. Missing in older data.
    #[serde(default)]
    pub found: Millis,
    /// When the final receipt replaced it, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Millis>,
}

impl LostRequest {
    /// The day in whose sums the request counts, counted from 1970-01-01.
    pub fn day(&self) -> u64 {
        self.day.unwrap_or(self.at / DAY)
    }
}

impl ReservationLease {
    /// The lease of a request that was admitted without a draft and is never renewed. It ends with the
    /// reservation; the receipt then has the outcome [`LOST`] and charges the reserved cost.
    pub fn unrenewed(id: &str, at: Millis, until: Millis) -> Self {
        let draft = Receipt {
            id: id.to_owned(),
            request_id: id.to_owned(),
            provider: UNKNOWN.to_owned(),
            model: UNKNOWN.to_owned(),
            outcome: LOST.to_owned(),
            started: at,
            ..Receipt::default()
        };
        Self { until, extended: true, most: None, draft: Box::new(draft), lost: None }
    }
}

impl Reservation {
    /// Adds a lease, if the reservation was stored before leases existed.
    pub fn with_lease(self, id: &str) -> Self {
        let lease = self.lease.or_else(|| Some(ReservationLease::unrenewed(id, self.at, self.until)));
        Self { lease, ..self }
    }

    /// The reservation without its lease, as receipts contain it.
    pub fn without_lease(&self) -> Self {
        let Self { at, until, tokens, cost, limit, .. } = *self;
        Self { at, until, tokens, cost, limit, lease: None }
    }

    /// The row of the receipt of a lost request.
    pub fn lost_request(&self) -> Option<LostRequest> {
        self.lease.as_ref()?.lost
    }

    /// The receipt of the request, if it is lost at `ended`.
    pub fn receipt(&self, ended: Millis) -> Option<Receipt> {
        let lease = self.lease.as_ref()?;
        let mut draft = lease.draft.as_ref().clone();
        (draft.ended, draft.reservation) = (ended, Some(self.without_lease()));
        // An estimate must not exceed what was reserved.
        draft.cost = draft.cost.map(|cost| cost.min(lease.most.unwrap_or(Nanos::MAX)));
        Some(draft)
    }

    /// Renews the lease, with what the request has used so far.
    pub fn renew(&mut self, tokens: TokenCounts, cost: Option<Nanos>, now: Millis) {
        let Some(lease) = &mut self.lease else { return };
        (lease.until, lease.extended) = (now.saturating_add(LEASE), false);
        let charged = lease.draft.cost;
        // The cost of a lost request may have been charged to a past period. It must not decrease, or the
        // reserved rest would grow in the present one.
        let cost = if lease.lost.is_some() { charged.map(|charged| charged.max(cost.unwrap_or(0))) } else { cost };
        (lease.draft.tokens, lease.draft.cost) = (Some(tokens), cost);
    }
}
