//! The books of an account under everything that may befall them: any order of orders, a clock that stands still or falls back,
//! crashes at any point. Two books get the same orders: one lives on, the other is dropped and opened again from what was written.
//! A third bookkeeper, who is slow and simple, says what must be true.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

mod extremes;
mod family;
mod orders;
mod store;
mod world;

use proptest::prelude::*;

use orders::history;
use world::World;

/// What a window may count longer than [`SPAN`].
const SLACK: u64 = 250;
/// So long a book remembers what was settled.
const REMEMBERED: u64 = 300_000;
/// A Sunday, the last of a month, shortly before midnight.
const EVE: u64 = 1_780_271_990_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_books_are_right(steps in history()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
    }
}
