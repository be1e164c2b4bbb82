//! Extreme amounts, times and texts.

use llm_bridge::ledger::{
    AccountCommand, AccountLedger, AccountResponse, AccountWrite, AdmissionRequest, Budget, KeyLimits, LOST,
    OutputCost, Period, Receipt, TokenCounts,
};
use llm_bridge::wire::zone::Zone;
use proptest::prelude::*;

use crate::EVE;
use crate::store::Store;

/// Amounts and times near 0 and the maximum.
fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(EVE), Just(u64::MAX / 2), Just(u64::MAX - 1), Just(u64::MAX)]
}

/// Any text, and texts with a meaning in JSON, SQL or patterns.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("\"}],\"cost\":0,\"id\":\"\\".to_owned()),
        Just("'); DROP TABLE promises; --\0".to_owned()),
        Just("\u{2028}\u{feff}\u{1F600}*".to_owned()),
        Just("(other)".to_owned()),
    ]
}

fn extreme_limits() -> impl Strategy<Value = KeyLimits> {
    let maybe = || prop::option::of(edge());
    (maybe(), maybe(), maybe(), maybe(), maybe(), hostile()).prop_map(|(end, rpm, tpm, body, nanos, text)| KeyLimits {
        expires_at: end,
        models: vec![text.clone(), "*".to_owned()],
        requests_per_minute: rpm,
        tokens_per_minute: tpm,
        max_body_bytes: body,
        budget: nanos.map(|nanos| Budget { nanos, per: Period::Month, fit: true }),
        parent: Some(text.into()),
        ..KeyLimits::default()
    })
}

fn maybe() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(edge())
}

fn admit() -> impl Strategy<Value = AccountCommand> {
    (hostile(), edge(), edge(), maybe(), edge()).prop_map(|(id, body, tokens, cost, life)| {
        let answer =
            OutputCost { fixed: body, per_token: tokens, choices: life, limit: body, minimum: tokens, settable: true };
        let (astray, answer) = (Some(id.clone()).filter(|id| id.len() > 3), Some(answer));
        let tally = Some(TokenCounts { uncached_input: tokens, ..TokenCounts::default() });
        let draft = Receipt { model: id.clone(), outcome: LOST.into(), tokens: tally, cost, ..Receipt::default() };
        let draft = Some(Box::new(draft));
        let models = vec![id.clone()];
        AccountCommand::Admit(AdmissionRequest {
            models,
            id,
            body,
            tokens,
            cost,
            lifetime: life,
            output: answer,
            stray_field: astray,
            draft,
            ..AdmissionRequest::default()
        })
    })
}

fn settle() -> impl Strategy<Value = AccountCommand> {
    let tokens = || (edge(), edge(), edge(), edge());
    (hostile(), hostile(), hostile(), tokens(), edge(), maybe()).prop_map(
        |(id, model, outcome, (fresh, cache_read, cache_write, output), started, cost)| {
            let (cache_write_1h, reasoning) = (cache_write, output);
            let tokens =
                Some(TokenCounts { uncached_input: fresh, cache_read, cache_write, cache_write_1h, output, reasoning });
            let provider = model.clone();
            let served = Some(outcome.clone());
            AccountCommand::Settle(vec![Receipt {
                id,
                provider,
                model,
                served,
                outcome,
                tokens,
                started,
                cost,
                ..Receipt::default()
            }])
        },
    )
}

fn extreme() -> impl Strategy<Value = AccountCommand> {
    let renew = (hostile(), edge(), maybe()).prop_map(|(id, output, cost)| AccountCommand::Renew {
        id,
        tokens: TokenCounts { output, ..TokenCounts::default() },
        cost,
    });
    let usage = (edge(), edge()).prop_map(|(from, to)| AccountCommand::Usage { from, to });
    let post = (hostile(), extreme_limits()).prop_map(|(hash, terms)| AccountCommand::SetLimits {
        hash: hash.into(),
        limits: terms,
        version: 1,
    });
    // Boxed, because five such commands are too large for the stack.
    prop_oneof![2 => post.boxed(), 6 => admit().boxed(), 6 => settle().boxed(), 2 => renew.boxed(), 1 => usage.boxed()]
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    /// Overflowing sums saturate, and every text survives being stored.
    #[test]
    fn no_amount_and_no_text_breaks_a_ledger(steps in prop::collection::vec((extreme(), edge(), any::<bool>()), 1..40)) {
        let (mut book, mut store) = (AccountLedger::default(), Store::default());
        for (order, now, crash) in steps {
            let order: AccountCommand = serde_json::from_str(&serde_json::to_string(&order).unwrap()).unwrap();
            let mut writes = Vec::new();
            let reply = book.handle(order.clone(), now, &mut writes);
            prop_assert_eq!(&serde_json::from_str::<AccountResponse>(&serde_json::to_string(&reply).unwrap()).unwrap(), &reply);
            store.write(&writes);
            match order {
                AccountCommand::Settle(entries) => {
                    let told = |entry: &Receipt| entry.outcome == LOST || entries.contains(&Receipt { reservation: None, ..entry.clone() });
                    for write in &writes {
                        match write {
                            AccountWrite::Receipts(row) => prop_assert!(row.read().unwrap().iter().all(told)),
                            AccountWrite::ReplaceReceipt(_, _, truth) => prop_assert!(told(truth)),
                            _ => {}
                        }
                    }
                }
                AccountCommand::Admit(ask) if writes.iter().any(|write| matches!(write, AccountWrite::Reservation(id, _) if *id == ask.id)) => {
                    let void = writes.contains(&AccountWrite::EndReservation(ask.id.clone()));
                    prop_assert!(void || store.promises.contains_key(&ask.id));
                }
                _ => {}
            }
            let usage = store.usage(&mut book, now);
            if crash {
                book = store.open(now, &Zone::utc());
            }
            prop_assert_eq!(store.usage(&mut book, now), usage);
        }
    }
}
