//! How much a request can take: the limit is `budget`, and nothing else in a request changes its price.

use crate::config::Model;
use crate::formats::bounds::{Demands, Edit, FieldNames, LimitNames, RequestBounds, RequestRules, ServiceTier};
use crate::formats::ties::MESSAGES_TIES;
use crate::provider::params;
use crate::wire::json::{Document, parse_integer};

const LIMIT: &str = "budget";

pub(super) const RULES: RequestRules = RequestRules {
    names: FieldNames { limit: "budget", tier: "tier" },
    edit,
    bounds: |document, _, _| bounds(asked(document)),
    translated_bounds,
    set_limit,
    most_prompt_tokens: |document| document.bytes().len() as u64,
    thinking_budget: |_| None,
    may_cache_long: |_| false,
    stray_field: |_, _, _| None,
    has_effects: |_| false,
    demands: |_| Demands::default(),
    ties: &MESSAGES_TIES,
    usage_field: None,
    may_stream: |_| true,
};

fn edit(document: &mut Document<'_>, edit: &Edit<'_>) {
    let asked = document.value(LIMIT).map(|_| asked(document));
    if let (Some(ceiling), Some(asked)) = (edit.row.max_tokens, asked)
        && asked.is_none_or(|asked| asked > ceiling)
    {
        document.set(LIMIT, ceiling.to_string());
    }
    if edit.asks_for_stream {
        document.set("live", "true");
    }
    params::apply(document, &edit.row.params);
}

fn asked(document: &Document<'_>) -> Option<u64> {
    document.value(LIMIT).and_then(parse_integer).filter(|tokens| *tokens > 0)
}

fn bounds(limit: Option<u64>) -> RequestBounds {
    RequestBounds { limit, samples: 1, tier: ServiceTier::AccountDefault, adds_to_prompt: false, searches: 0 }
}

fn translated_bounds(document: &Document<'_>, row: &Model) -> RequestBounds {
    let limit = asked(document);
    bounds(limit.map(|limit| limit.min(row.max_tokens.unwrap_or(limit))))
}

fn set_limit(document: &mut Document<'_>, _: &LimitNames<'_>, _: &str, limit: u64) {
    document.set(LIMIT, limit.to_string());
}
