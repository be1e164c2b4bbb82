//! What is kept of one request: its receipt when it has ended, its reservation while it is under way. Each may hold the other, so
//! both stand here.

use serde::{Deserialize, Serialize};

use super::token_counts::TokenCounts;
use crate::config::{Millis, Nanos};

/// A request that is not heard of for so long is taken for lost. Most requests are over by then, and never renew their lease.
pub const LEASE: Millis = 75_000;
/// The provider and the model of a lost request that was admitted without a draft of its receipt.
const UNKNOWN: &str = "(unknown)";
/// The outcome of a request of which nothing more was heard.
pub const LOST: &str = "lost";

/// One request in the books, made once; only the receipt of a request that was taken for lost gives way to the truth. The sums are made
/// of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The gateway's own id of it, never the caller's.
    pub id: String,
    /// The id that the caller knows; it may have given it itself, and twice.
    pub request_id: String,
    /// The key's id.
    pub key_id: String,
    /// The provider that was called.
    pub provider: String,
    /// The model called, as the provider names it.
    pub model: String,
    /// The model that the provider says it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<String>,
    /// Whether the answer was to be streamed.
    pub stream: bool,
    /// The status of the response.
    pub status: u16,
    /// How it ended: `complete`, or what went wrong.
    pub outcome: String,
    /// When it came.
    pub started: Millis,
    /// When it ended.
    pub ended: Millis,
    /// From the request to the first byte of the answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<Millis>,
    /// The tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenCounts>,
    /// The tokens are the gateway's estimate: the provider reported none, or not all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// It is a member's: it counts against limits here, and in that key's sums.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub member: bool,
    /// What it cost in nano-dollars; nothing if the model's price is not known.
    pub cost: Option<Nanos>,
    /// What had been promised to it. The account says this, not who settles: with it a book that is opened again knows what it knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<Reservation>,
}

impl Receipt {
    /// What a budget is charged with: what was promised, where the truth is not known.
    pub fn charge(&self) -> Nanos {
        self.cost.or(self.promise.as_ref().map(|promise| promise.cost)).unwrap_or(0)
    }
}

/// What is promised to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// When it was admitted.
    pub at: Millis,
    /// When its time is over, and nothing is held for it any more.
    pub until: Millis,
    /// The most tokens that it can take, as far as a minute has so many.
    pub tokens: u64,
    /// The most that it can cost; nothing where no budget asks.
    pub cost: Nanos,
    /// The longest answer that was granted, in tokens, if that was less than was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Whether the request is believed to be under way. None in entries, and in books from before there were leases, where
    /// [`Reservation::leased`] makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<ReservationLease>,
}

/// The time for which a request is believed to be under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationLease {
    /// Its end, as it was written.
    pub until: Millis,
    /// That end was granted when the book was opened again; it is not granted twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub extended: bool,
    /// The most that the request can cost, in nano-dollars, if that is known: its draft is not charged with more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<Nanos>,
    /// The receipt that stands if nothing more is heard of the request; the one that stands, if it is in the books.
    pub draft: Box<Receipt>,
    /// The receipt is in the books.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<LostRequest>,
}

/// Where the receipt of a lost request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRequest {
    /// The number of its row.
    pub row: u64,
    /// The time of that row: when the request was lost, but not before the row above.
    pub at: Millis,
    /// When the row was written. Older books do not know it.
    #[serde(default)]
    pub found: Millis,
    /// When the truth took its place, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Millis>,
}

impl ReservationLease {
    /// The lease of a request that nobody renews, since it was admitted without one: until its time is over it is believed to be under way.
    /// Its receipt then says no more than that it was lost, and it is charged with what was promised, as all is whose cost is not known.
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
    /// With a lease, if it was written before there were leases.
    pub fn leased(self, id: &str) -> Self {
        let lease = self.lease.or_else(|| Some(ReservationLease::unrenewed(id, self.at, self.until)));
        Self { lease, ..self }
    }

    /// Without its lease, as entries keep it.
    pub fn bare(&self) -> Self {
        let Self { at, until, tokens, cost, limit, .. } = *self;
        Self { at, until, tokens, cost, limit, lease: None }
    }

    /// Where the receipt of a lost request stands.
    pub fn lost(&self) -> Option<LostRequest> {
        self.lease.as_ref()?.lost
    }

    /// The receipt of a request that is lost at `ended`.
    pub fn receipt(&self, ended: Millis) -> Option<Receipt> {
        let lease = self.lease.as_ref()?;
        let mut draft = lease.draft.as_ref().clone();
        (draft.ended, draft.promise) = (ended, Some(self.bare()));
        // What is guessed may not break a budget.
        draft.cost = draft.cost.map(|cost| cost.min(lease.most.unwrap_or(Nanos::MAX)));
        Some(draft)
    }

    /// The request is heard of, and what it has taken so far.
    pub fn renew(&mut self, tokens: TokenCounts, cost: Option<Nanos>, now: Millis) {
        let Some(lease) = &mut self.lease else { return };
        (lease.until, lease.extended) = (now.saturating_add(LEASE), false);
        let charged = lease.draft.cost;
        // What was charged already may be of a period that is over: the rest, which the present one holds, does not grow.
        let cost = if lease.lost.is_some() { charged.map(|charged| charged.max(cost.unwrap_or(0))) } else { cost };
        (lease.draft.tokens, lease.draft.cost) = (Some(tokens), cost);
    }
}
