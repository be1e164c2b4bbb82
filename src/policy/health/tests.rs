//! Breakers and rests, by the clock.

use super::*;
use crate::config::Region;
use crate::policy::failure::{FailureClass, FailureScope};

const SECOND: u64 = 1_000;
const START: u64 = 1_000_000_000;

const PLACE: Place<'_> = Place { provider: 0, model: "m", key: 0, account: 0, region: None };

fn failure(class: FailureClass, scope: FailureScope) -> AttemptFailure {
    AttemptFailure { class, scope, wait: None }
}

const fn overload() -> AttemptFailure {
    AttemptFailure { class: FailureClass::Overload, scope: FailureScope::Model, wait: None }
}

/// The health of one place, with the time.
struct Stage {
    health: Health,
    now: u64,
}

impl Stage {
    fn new() -> Self {
        Self { health: Health::default(), now: START }
    }

    fn fail(&mut self, failure: AttemptFailure) -> Vec<HealthChange> {
        self.fail_at(PLACE, failure)
    }

    fn fail_at(&mut self, place: Place<'_>, failure: AttemptFailure) -> Vec<HealthChange> {
        let attempt = self.health.begin(place, self.now);
        self.health.fail(attempt, failure, self.now, 0)
    }

    fn succeed(&mut self) -> Vec<HealthChange> {
        let attempt = self.health.begin(PLACE, self.now);
        self.health.succeed(attempt, self.now)
    }

    fn is_usable(&self) -> bool {
        self.at(PLACE).is_usable()
    }

    fn at(&self, place: Place<'_>) -> Availability {
        self.health.availability(place, self.now)
    }

    /// How long the place is out from now on; 0 if it is not.
    fn out_for(&self) -> u64 {
        self.at(PLACE).until().map_or(0, |until| until - self.now)
    }

    fn pass(&mut self, time: u64) {
        self.now += time;
    }
}

fn opened(failures: &[AttemptFailure]) -> bool {
    let mut stage = Stage::new();
    failures.iter().for_each(|failure| drop(stage.fail(*failure)));
    !stage.is_usable()
}

#[test]
fn three_failures_in_a_row_open_a_breaker() {
    for class in [FailureClass::Overload, FailureClass::Timeout, FailureClass::Hollow, FailureClass::Truncated] {
        let failure = failure(class, FailureScope::Request);
        assert!(!opened(&[failure; 2]), "{class:?}");
        assert!(opened(&[failure; 3]), "{class:?}");
    }
}

#[test]
fn an_unreachable_host_counts_twice() {
    let broken = failure(FailureClass::Unreachable, FailureScope::Host);
    assert!(!opened(&[broken]));
    assert!(opened(&[broken; 2]));
}

#[test]
fn a_success_in_between_begins_the_row_anew() {
    let mut stage = Stage::new();
    for _ in 0..3 {
        stage.fail(overload());
        stage.fail(overload());
        stage.succeed();
        stage.succeed();
        stage.succeed();
    }
    assert!(stage.is_usable());
}

#[test]
fn five_failures_in_half_a_minute_open_it_if_they_are_more_than_the_successes() {
    let mut stage = Stage::new();
    for _ in 0..2 {
        stage.fail(overload());
        stage.fail(overload());
        stage.succeed();
        stage.pass(SECOND);
    }
    assert!(stage.is_usable(), "four failures");
    stage.fail(overload());
    assert!(!stage.is_usable());
}

#[test]
fn failures_of_more_than_half_a_minute_ago_do_not_count() {
    let mut stage = Stage::new();
    for _ in 0..20 {
        stage.fail(overload());
        stage.fail(overload());
        stage.succeed();
        stage.pass(15 * SECOND);
        assert!(stage.is_usable());
    }
}

#[test]
fn limits_leavers_and_the_callers_faults_open_nothing() {
    for class in [FailureClass::Caller, FailureClass::Policy, FailureClass::Context, FailureClass::Unsupported] {
        for scope in [FailureScope::Request, FailureScope::Model, FailureScope::Account, FailureScope::Host] {
            let mut stage = Stage::new();
            for _ in 0..20 {
                assert_eq!(stage.fail(failure(class, scope)), [], "{class:?} {scope:?}");
            }
            assert_eq!(stage.at(PLACE), Availability::Ready, "{class:?} {scope:?}");
        }
    }
    let mut stage = Stage::new();
    for _ in 0..20 {
        let attempt = stage.health.begin(PLACE, stage.now);
        stage.health.abandon(attempt);
    }
    assert_eq!(stage.at(PLACE), Availability::Ready);
}

#[test]
fn what_only_this_request_asks_too_much_of_rests_nothing() {
    for class in [FailureClass::Rate, FailureClass::Capacity, FailureClass::Quota, FailureClass::Credential] {
        let mut stage = Stage::new();
        assert_eq!(stage.fail(failure(class, FailureScope::Request)), []);
        assert_eq!(stage.at(PLACE), Availability::Ready, "{class:?}");
    }
}

#[test]
fn an_open_time_doubles_with_each_failed_probe_up_to_a_minute() {
    let mut stage = Stage::new();
    (0..2).for_each(|_| drop(stage.fail(overload())));
    for seconds in [5, 10, 20, 40, 60, 60, 60] {
        let changes = stage.fail(overload());
        assert!(matches!(&changes[..], [HealthChange::Out(_)]), "{changes:?}");
        assert_eq!(stage.out_for(), seconds * SECOND);
        stage.pass(seconds * SECOND - 1);
        assert!(!stage.is_usable());
        stage.pass(1);
        assert_eq!(stage.at(PLACE), Availability::ProbeDue);
    }
}

#[test]
fn a_provider_may_keep_its_breaker_open_for_five_minutes() {
    for (hint, seconds) in [(1, 5), (30, 30), (300, 300), (86_400, 300)] {
        let mut stage = Stage::new();
        let failure = AttemptFailure { wait: Some(hint * SECOND), ..overload() };
        (0..3).for_each(|_| drop(stage.fail(failure)));
        assert_eq!(stage.out_for(), seconds * SECOND, "{hint}");
    }
}

#[test]
fn one_probe_decides_while_others_keep_away() {
    let mut stage = Stage::new();
    (0..3).for_each(|_| drop(stage.fail(overload())));
    stage.pass(5 * SECOND);
    let probe = stage.health.begin(PLACE, stage.now);
    assert!(probe.is_probe);
    assert_eq!(stage.out_for(), 30 * SECOND, "the lease");
    assert!(!stage.health.begin(PLACE, stage.now).is_probe, "one at a time");
    stage.pass(SECOND);
    let changes = stage.health.succeed(probe, stage.now);
    assert_eq!(changes, [HealthChange::Back { subject: target(), was_shared: false }]);
    assert_eq!(stage.at(PLACE), Availability::Ready);
}

#[test]
fn the_lease_of_a_probe_ends_by_itself_and_with_its_client() {
    let mut stage = Stage::new();
    (0..3).for_each(|_| drop(stage.fail(overload())));
    stage.pass(5 * SECOND);
    let _lost = stage.health.begin(PLACE, stage.now);
    stage.pass(30 * SECOND - 1);
    assert!(!stage.is_usable());
    stage.pass(1);
    let left = stage.health.begin(PLACE, stage.now);
    assert!(left.is_probe);
    stage.health.abandon(left);
    assert_eq!(stage.at(PLACE), Availability::ProbeDue);
}

#[test]
fn a_probe_that_ends_by_the_callers_fault_decides_nothing() {
    let mut stage = Stage::new();
    (0..3).for_each(|_| drop(stage.fail(overload())));
    stage.pass(5 * SECOND);
    stage.fail(failure(FailureClass::Caller, FailureScope::Request));
    assert_eq!(stage.at(PLACE), Availability::ProbeDue);
}

#[test]
fn attempts_from_before_a_change_do_not_count() {
    let mut stage = Stage::new();
    let old: Vec<_> = (0..20).map(|_| stage.health.begin(PLACE, stage.now)).collect();
    stage.pass(SECOND);
    (0..3).for_each(|_| drop(stage.fail(overload())));
    let out_for = stage.out_for();
    assert_eq!(stage.health.succeed(old[0], stage.now), [], "it began before the breaker opened");
    assert_eq!(stage.health.fail(old[1], overload(), stage.now, 0), []);
    assert_eq!(stage.out_for(), out_for);
    stage.pass(5 * SECOND);
    assert_eq!(stage.succeed().len(), 1, "the probe");
    for attempt in &old[2..] {
        stage.health.fail(*attempt, overload(), stage.now, 0);
    }
    assert!(stage.is_usable(), "their failure is that of the past");
}

#[test]
fn a_success_without_a_lease_closes_a_breaker_too() {
    let mut stage = Stage::new();
    (0..3).for_each(|_| drop(stage.fail(overload())));
    stage.pass(SECOND);
    assert_eq!(stage.succeed().len(), 1, "nothing better was there, and it worked");
    assert!(stage.is_usable());
}

#[test]
fn a_breaker_that_opens_again_soon_is_open_for_longer() {
    for (closed_for, seconds) in [(59, 10), (61, 5)] {
        let mut stage = Stage::new();
        (0..3).for_each(|_| drop(stage.fail(overload())));
        stage.pass(5 * SECOND);
        stage.succeed();
        stage.pass(closed_for * SECOND);
        (0..3).for_each(|_| drop(stage.fail(overload())));
        assert_eq!(stage.out_for(), seconds * SECOND, "{closed_for}");
    }
}

#[test]
fn a_target_is_out_alone_and_a_host_with_all_its_models() {
    let other_model = Place { model: "n", ..PLACE };
    let other_key = Place { key: 1, account: 1, ..PLACE };
    let other_host = Place { provider: 1, ..PLACE };
    let mut stage = Stage::new();
    (0..3).for_each(|_| drop(stage.fail(overload())));
    assert!(!stage.at(other_key).is_usable());
    assert!(stage.at(other_model).is_usable());
    let mut stage = Stage::new();
    (0..2).for_each(|_| drop(stage.fail(failure(FailureClass::Unreachable, FailureScope::Host))));
    assert!(!stage.at(other_key).is_usable());
    assert!(!stage.at(other_model).is_usable());
    assert!(stage.at(other_host).is_usable());
}

#[test]
fn a_rest_has_the_scope_of_its_failure() {
    let places = [
        ("this", PLACE),
        ("model", Place { model: "n", ..PLACE }),
        ("key", Place { key: 1, ..PLACE }),
        ("account", Place { key: 1, account: 1, ..PLACE }),
        ("host", Place { provider: 1, ..PLACE }),
    ];
    let rows = [
        (FailureClass::Rate, FailureScope::Model, &["this"][..]),
        (FailureClass::Rate, FailureScope::Account, &["this", "model", "key"]),
        (FailureClass::Rate, FailureScope::Key, &["this", "model"]),
        (FailureClass::Capacity, FailureScope::Model, &["this"]),
        (FailureClass::Quota, FailureScope::Model, &["this"]),
        (FailureClass::Quota, FailureScope::Account, &["this", "model", "key"]),
        (FailureClass::Credential, FailureScope::Key, &["this", "model"]),
        (FailureClass::Credential, FailureScope::Account, &["this", "model"]),
        (FailureClass::Region, FailureScope::Here, &["this", "model", "key", "account"]),
    ];
    for (class, scope, resting) in rows {
        let mut stage = Stage::new();
        stage.fail(failure(class, scope));
        let out: Vec<&str> =
            places.iter().filter(|(_, place)| !stage.at(*place).is_usable()).map(|(name, _)| *name).collect();
        assert_eq!(out, resting, "{class:?} {scope:?}");
    }
}

#[test]
fn how_long_a_rest_is() {
    let rate = failure(FailureClass::Rate, FailureScope::Model);
    let quota = failure(FailureClass::Quota, FailureScope::Account);
    let credential = failure(FailureClass::Credential, FailureScope::Account);
    let day = 86_400;
    for (failure, hint, seconds) in [
        (rate, None, 2),
        (rate, Some(0), 0),
        (rate, Some(7), 7),
        (rate, Some(2 * day), day),
        (quota, None, 3_600),
        (quota, Some(60), 60),
        (quota, Some(30 * day), day),
        (credential, None, 3_600),
        (credential, Some(1), 3_600),
    ] {
        let mut stage = Stage::new();
        stage.fail(AttemptFailure { wait: hint.map(|hint| hint * SECOND), ..failure });
        assert_eq!(stage.out_for(), seconds * SECOND, "{failure:?} {hint:?}");
    }
}

#[test]
fn a_rate_limit_without_a_hint_doubles_until_a_success() {
    let mut stage = Stage::new();
    for seconds in [2, 4, 8, 16, 32, 60, 60] {
        stage.fail(failure(FailureClass::Rate, FailureScope::Model));
        assert_eq!(stage.out_for(), seconds * SECOND);
        stage.pass(seconds * SECOND);
        assert_eq!(stage.at(PLACE), Availability::Ready, "it simply ends");
    }
    assert_eq!(stage.succeed().len(), 1);
    stage.fail(failure(FailureClass::Rate, FailureScope::Model));
    assert_eq!(stage.out_for(), 2 * SECOND);
}

#[test]
fn limits_that_are_reached_at_the_same_time_count_once() {
    let mut stage = Stage::new();
    let attempts: Vec<_> = (0..10).map(|_| stage.health.begin(PLACE, stage.now)).collect();
    let rate = failure(FailureClass::Rate, FailureScope::Model);
    for attempt in &attempts {
        stage.health.fail(*attempt, rate, stage.now, 0);
    }
    assert_eq!(stage.out_for(), 2 * SECOND);
    let longer = AttemptFailure { wait: Some(40 * SECOND), ..rate };
    assert_eq!(stage.health.fail(attempts[0], longer, stage.now, 0).len(), 1, "the longest hint counts");
    assert_eq!(stage.out_for(), 40 * SECOND);
}

#[test]
fn after_money_and_credentials_one_request_asks_first() {
    for class in [FailureClass::Quota, FailureClass::Credential] {
        let mut stage = Stage::new();
        stage.fail(failure(class, FailureScope::Account));
        stage.pass(3_600 * SECOND);
        assert_eq!(stage.at(PLACE), Availability::ProbeDue);
        let probe = stage.health.begin(PLACE, stage.now);
        assert!(!stage.is_usable());
        stage.health.fail(probe, failure(class, FailureScope::Account), stage.now, 0);
        assert_eq!(stage.out_for(), 3_600 * SECOND);
        stage.pass(3_600 * SECOND);
        assert_eq!(stage.succeed().len(), 1);
        assert_eq!(stage.at(PLACE), Availability::Ready);
    }
}

#[test]
fn a_success_from_before_a_rest_does_not_end_it() {
    let mut stage = Stage::new();
    let before = stage.health.begin(PLACE, stage.now);
    stage.pass(1);
    stage.fail(failure(FailureClass::Quota, FailureScope::Account));
    assert_eq!(stage.health.succeed(before, stage.now), []);
    assert!(!stage.is_usable());
}

#[test]
fn a_refused_region_is_a_matter_of_this_isolate_and_a_refused_place_is_not() {
    let mut stage = Stage::new();
    let far = Place { region: Region::named("wnam"), ..PLACE };
    assert_eq!(stage.fail_at(far, failure(FailureClass::Region, FailureScope::Here)), []);
    let refused = failure(FailureClass::Region, FailureScope::Here);
    assert_eq!(stage.fail(refused).len(), 1);
    assert_eq!(stage.out_for(), 600 * SECOND);
    assert!(stage.health.is_refused_here(0, stage.now) && !stage.health.is_refused_here(1, stage.now));
    assert_eq!(stage.health.serve_here(0, stage.now - 1), None, "a call from before the refusal");
    stage.pass(600 * SECOND);
    assert!(!stage.health.is_refused_here(0, stage.now));
    let here = Subject::Here { provider: 0, region: None };
    assert_eq!(stage.health.serve_here(0, stage.now), Some(HealthChange::Back { subject: here, was_shared: false }));
    assert_eq!(stage.health.serve_here(0, stage.now), None);
}

#[test]
fn a_region_that_is_refused_says_nothing_of_another() {
    let mut stage = Stage::new();
    let far = Place { region: Region::named("wnam"), ..PLACE };
    stage.fail(failure(FailureClass::Region, FailureScope::Here));
    assert!(!stage.is_usable() && stage.at(far).is_usable());
    stage.fail_at(far, failure(FailureClass::Region, FailureScope::Here));
    assert!(!stage.at(far).is_usable());
    assert!(stage.at(Place { region: Region::named("weur"), ..PLACE }).is_usable());
}

#[test]
fn jitter_is_a_fifth_at_most() {
    for wait in [0, 100, 1_000, 5_000, 60_000, 86_400_000] {
        let most = (wait / 5).clamp(250, 30_000);
        for random in [0, 1, u64::MAX / 3, u64::MAX] {
            assert!(jitter(wait, random) <= most, "{wait} {random}");
        }
        let drawn = (0..1_000_u64).map(|number| jitter(wait, number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        assert!(drawn.collect::<std::collections::HashSet<_>>().len() > 100, "{wait}");
    }
}

fn evidence(subject: Subject, since: u64, seconds: u64) -> HealthEvidence {
    HealthEvidence { subject, reason: FailureClass::Overload, since, until: since + seconds * SECOND }
}

fn target() -> Subject {
    Subject::Target { provider: 0, model: "m".into() }
}

#[test]
fn a_fresh_isolate_learns_from_others() {
    let mut stage = Stage::new();
    stage.health.adopt(&[evidence(target(), START - SECOND, 5)], START);
    assert_eq!(stage.out_for(), 4 * SECOND);
    stage.pass(4 * SECOND);
    assert_eq!(stage.at(PLACE), Availability::ProbeDue);
    stage.health.adopt(&[], stage.now);
    assert_eq!(stage.at(PLACE), Availability::Ready, "another isolate's probe was good");
}

#[test]
fn an_isolate_believes_its_own_recent_success() {
    let mut stage = Stage::new();
    (0..3).for_each(|_| drop(stage.fail(overload())));
    stage.pass(5 * SECOND);
    stage.succeed();
    stage.pass(SECOND);
    stage.health.adopt(&[evidence(target(), stage.now, 60)], stage.now);
    assert!(stage.is_usable());
    stage.pass(31 * SECOND);
    stage.health.adopt(&[evidence(target(), stage.now, 60)], stage.now);
    assert!(!stage.is_usable());
}

#[test]
fn a_breaker_that_opened_here_is_probed_when_others_succeed_and_a_rest_ends() {
    let mut stage = Stage::new();
    (0..3).for_each(|_| drop(stage.fail(overload())));
    let changes = stage.fail(failure(FailureClass::Quota, FailureScope::Account));
    let [HealthChange::Out(rest)] = &changes[..] else { panic!("{changes:?}") };
    stage.health.adopt(&[evidence(target(), START, 5), rest.clone()], stage.now);
    assert_eq!(stage.out_for(), 3_600 * SECOND);
    stage.pass(1);
    stage.health.adopt(&[], stage.now);
    assert_eq!(stage.at(PLACE), Availability::ProbeDue, "the breaker is left");
}

#[test]
fn a_rest_that_nobody_else_knows_yet_is_kept() {
    let mut stage = Stage::new();
    stage.fail(failure(FailureClass::Quota, FailureScope::Account));
    stage.health.adopt(&[], stage.now);
    assert!(!stage.is_usable());
}

#[test]
fn a_reset_forgets_what_was_found_until_then() {
    let mut stage = Stage::new();
    (0..3).for_each(|_| drop(stage.fail(overload())));
    stage.health.reset(Some(&Subject::Host { provider: 0 }), stage.now);
    stage.health.reset(Some(&target()), stage.now - 1);
    assert!(!stage.is_usable());
    stage.health.reset(Some(&target()), stage.now);
    assert!(stage.is_usable());
    stage.fail(failure(FailureClass::Credential, FailureScope::Account));
    stage.health.reset(None, stage.now);
    assert!(stage.is_usable());
}

#[test]
fn memory_is_bounded() {
    let mut stage = Stage::new();
    for number in 0..2 * MAX_RECORDS {
        stage.pass(1);
        let model = number.to_string();
        stage.fail_at(Place { model: &model, ..PLACE }, failure(FailureClass::Rate, FailureScope::Model));
    }
    assert_eq!(stage.health.records().len(), MAX_RECORDS);
    let newest = (2 * MAX_RECORDS - 1).to_string();
    assert!(!stage.at(Place { model: &newest, ..PLACE }).is_usable());
    let long = "m".repeat(10_000);
    assert_eq!(stage.fail_at(Place { model: &long, ..PLACE }, failure(FailureClass::Rate, FailureScope::Model)), []);
}

#[test]
fn a_reason_is_told_by_its_name() {
    for class in [FailureClass::Rate, FailureClass::Hollow, FailureClass::Region, FailureClass::Truncated] {
        assert_eq!(reason_of(class.name()), Some(class));
    }
    assert_eq!(reason_of("of a later build"), None);
    assert_eq!(reason_of(FailureClass::Caller.name()), None);
}
