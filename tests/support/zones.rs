//! Every kind of time zone, as `scripts/zones.py` wrote them.

use llm_bridge::wire::zone::{OffsetChange, Zone};

/// The zones that agree, and their offsets from 2024 to 2033.
const ZONES: &str = include_str!("../fixtures/zones.txt");
const MINUTE: u64 = 60_000;

/// The first name of each kind of zone, and its offsets.
pub fn zones() -> Vec<(&'static str, Zone)> {
    let zone = |line: &'static str| {
        let mut words = line.split(' ');
        let name = words.next().unwrap().split(',').next().unwrap();
        let first: i64 = words.next().unwrap().parse().unwrap();
        let change = |word: &str| {
            let (at, offset) = word.split_once(':').unwrap();
            OffsetChange { at: at.parse::<u64>().unwrap() * MINUTE, offset: offset.parse::<i64>().unwrap() * 60 }
        };
        (name, Zone::new(first * 60, words.map(change).collect()).unwrap())
    };
    ZONES.lines().map(zone).collect()
}
