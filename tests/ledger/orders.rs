//! Arbitrary commands, and what happens to them.

use llm_bridge::ledger::{
    AccountCommand, AdmissionRequest, Budget, KeyLimits, LOST, OutputCost, Period, Receipt, TokenCounts,
};
use llm_bridge::wire::date;
use proptest::prelude::*;

use crate::EVE;
use crate::world::{Fate, Step};

fn id() -> impl Strategy<Value = String> {
    (0u8..40).prop_map(|number| format!("id-{number}"))
}

fn model() -> impl Strategy<Value = String> {
    prop_oneof![Just("a-1"), Just("a-2"), Just("b")].prop_map(str::to_owned)
}

/// Often no limit, sometimes 0, otherwise a small one.
fn some(most: u64) -> impl Strategy<Value = Option<u64>> {
    prop_oneof![8 => Just(None), 1 => Just(Some(0)), 11 => (0..=most).prop_map(Some)]
}

fn terms() -> impl Strategy<Value = KeyLimits> {
    let per = prop_oneof![Just(Period::Day), Just(Period::Week), Just(Period::Month), Just(Period::Total)];
    let budget = prop_oneof![1 => Just(None), 3 => (0u64..200, per, any::<bool>()).prop_map(|(nanos, per, fit)| Some(Budget { nanos, per, fit }))];
    let models = prop_oneof![3 => Just(Vec::new()), 1 => Just(vec!["a-*".to_owned()])];
    let end = prop_oneof![5 => Just(None), 1 => (0u64..600_000).prop_map(|more| Some(EVE + more))];
    ((some(5), some(100), some(5), some(100)), budget, models, end, prop::bool::weighted(0.95)).prop_map(
        |(
            (requests_per_minute, tokens_per_minute, concurrent, max_body_bytes),
            budget,
            models,
            expires_at,
            enabled,
        )| KeyLimits {
            enabled,
            expires_at,
            models,
            requests_per_minute,
            tokens_per_minute,
            concurrent,
            budget,
            budget_alerts: None,
            max_body_bytes,
            on_disconnect: None,
            show_attempts: false,
            never_stores: false,
            parent: None,
            owner: None,
        },
    )
}

fn admit() -> impl Strategy<Value = AccountCommand> {
    let life = prop_oneof![Just(0u64), Just(1_000), Just(60_000), Just(60_300), Just(600_000)];
    let hash = prop_oneof![8 => Just(Some("hash")), 8 => Just(None), 1 => Just(Some("other"))];
    let draft =
        prop::option::weighted(0.9, entry().prop_map(|entry| Box::new(Receipt { outcome: LOST.into(), ..entry })));
    let astray = prop::option::weighted(0.05, Just("models".to_owned()));
    let rest = (prop::option::weighted(0.3, answer()), astray, any::<bool>(), draft);
    (id(), hash, model(), 0u64..110, 0u64..60, prop::option::weighted(0.9, 0u64..60), life, rest).prop_map(
        |(id, hash, model, body, tokens, cost, life, (answer, astray, fit, draft))| {
            let tokens = tokens + answer.as_ref().map_or(0, |answer| answer.limit * answer.choices);
            let cost = answer.as_ref().map(|answer| answer.cost(answer.limit)).or(cost);
            let (hash, models) = (hash.map(Into::into), vec![model]);
            AccountCommand::Admit(AdmissionRequest {
                other_models: Vec::new(),
                id,
                hash,
                models,
                body,
                tokens,
                cost,
                lifetime: life,
                output: answer,
                stray_field: astray,
                fit,
                draft,
            })
        },
    )
}

fn answer() -> impl Strategy<Value = OutputCost> {
    (0u64..30, 0u64..3_000, 1u64..3, 1u64..90, 1u64..20, any::<bool>()).prop_map(
        |(besides, each, drawn, limit, least, settable)| OutputCost {
            fixed: besides,
            per_token: each,
            choices: drawn,
            limit,
            minimum: least,
            settable,
        },
    )
}

fn renew() -> impl Strategy<Value = AccountCommand> {
    (id(), 0u64..40, prop::option::weighted(0.9, 0u64..60)).prop_map(|(id, output, cost)| {
        let tokens = TokenCounts { uncached_input: 3, output, ..TokenCounts::default() };
        AccountCommand::Renew { id, tokens, cost }
    })
}

fn settle() -> impl Strategy<Value = AccountCommand> {
    prop::collection::vec(entry(), 1..4).prop_map(AccountCommand::Settle)
}

fn entry() -> impl Strategy<Value = Receipt> {
    let tokens = prop::option::weighted(0.9, (0u64..40, 0u64..40));
    let outcome = prop_oneof![Just("complete"), Just("cut")];
    (id(), model(), tokens, prop::option::weighted(0.8, 0u64..60), outcome, any::<(bool, bool)>(), 0u64..90_000)
        .prop_map(|(id, model, tokens, cost, outcome, (member, estimated), ago)| {
            Receipt {
                id,
                provider: "p".to_owned(),
                model,
                // As measured by another clock.
                started: EVE - ago,
                outcome: outcome.to_owned(),
                tokens: tokens.map(|(fresh, output)| TokenCounts {
                    uncached_input: fresh,
                    output,
                    ..TokenCounts::default()
                }),
                estimated,
                member,
                cost,
                ..Receipt::default()
            }
        })
}

fn post() -> impl Strategy<Value = AccountCommand> {
    terms().prop_map(|terms| AccountCommand::SetLimits { hash: "hash".into(), limits: terms, version: 1 })
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![6 => Just(Fate::Well), 2 => Just(Fate::Crash), 1 => Just(Fate::LostReply), 1 => Just(Fate::LostWrites)];
    let (admit, settle, renew) = (admit().boxed(), settle().boxed(), renew().boxed());
    let release = id().prop_map(AccountCommand::Release).boxed();
    let order = prop_oneof![12 => admit, 6 => settle, 4 => renew, 2 => release, 1 => post().boxed()].boxed();
    let pass = prop_oneof![
        4 => Just(0u64),
        4 => 1u64..300,
        4 => 300u64..20_000,
        2 => 59_000u64..76_000,
        1 => 74_999u64..75_002,
        1 => 299_000u64..301_000,
        1 => 600_000u64..10_000_000,
        1 => (1u64..9).prop_map(|days| days * date::DAY),
    ];
    prop_oneof![
        6 => (order, fate).prop_map(|(order, fate)| Step::Order(order, fate)),
        3 => pass.prop_map(Step::Pass),
        1 => (1u64..6).prop_map(Step::Back),
    ]
}

/// The first request asks for the maximum; any steps follow.
pub fn history() -> impl Strategy<Value = Vec<Step>> {
    (post(), prop::collection::vec(step(), 1..150)).prop_map(|(post, mut steps)| {
        steps.insert(0, Step::Order(post, Fate::Well));
        steps
    })
}
