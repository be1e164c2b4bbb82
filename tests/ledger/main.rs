//! The ledger of an account under any sequence of commands, a clock that stands still or falls back, and
//! crashes at any point. Two ledgers get the same commands: one lives on, the other is dropped and reopened
//! from what was stored. A slow and simple model says what must be true.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

#[path = "../support/zones.rs"]
mod every_zone;
mod extremes;
mod family;
mod orders;
mod store;
mod world;
mod zones;

use proptest::prelude::*;

use every_zone::zones;
use llm_bridge::wire::zone::Zone;
use orders::history;
use world::World;

/// For how long an amount may count after [`SPAN`].
const SLACK: u64 = 250;
/// For how long a ledger remembers a settled request.
const REMEMBERED: u64 = 300_000;
/// A Sunday, the last of a month, shortly before midnight in UTC; in another zone it begins at the same local
/// time.
const EVE: u64 = 1_780_271_990_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_is_right_after_any_history(steps in history()) {
        let mut world = World::new(Zone::utc());
        for step in &steps {
            world.step(step);
        }
    }

    #[test]
    fn the_ledger_is_right_in_any_time_zone(steps in history(), zone in any::<prop::sample::Index>()) {
        let mut world = World::new(zone.get(&zones()).1.clone());
        for step in &steps {
            world.step(step);
        }
    }
}
