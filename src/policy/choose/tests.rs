//! The order of attempts, case by case.

use super::*;
use crate::config::Region;
use crate::policy::failure::{FailureClass, FailureScope};
use crate::policy::health::Availability;
use crate::policy::rendezvous::{ConversationKey, NodeId};

const NOW: u64 = 1_000_000;
const SECOND: u64 = 1_000;
const DEADLINE: u64 = NOW + 600 * SECOND;

const OPEN: Availability = Availability::Open { reason: FailureClass::Overload, until: NOW + 20 * SECOND };

fn resting(reason: FailureClass, seconds: u64) -> Availability {
    Availability::Resting { reason, until: NOW + seconds * SECOND }
}

/// A target of a provider of its own, with so many keys.
fn candidate(provider: usize, keys: usize) -> CandidateView {
    let key = |index: usize| KeyView {
        id: NodeId::of(&[&[u8::try_from(index).unwrap()]]),
        account: index,
        weight: 1,
        availability: Availability::Ready,
    };
    CandidateView {
        id: NodeId::of(&[b"target", &[u8::try_from(provider).unwrap()]]),
        provider,
        region: None,
        weight: 1,
        rank: None,
        is_late: false,
        is_admitted: true,
        window: None,
        keys: (0..keys).map(key).collect(),
    }
}

/// So many targets of different providers, each with one key.
fn targets(count: usize) -> Vec<CandidateView> {
    (0..count).map(|provider| candidate(provider, 1)).collect()
}

fn with(mut candidate: CandidateView, availability: Availability) -> CandidateView {
    candidate.keys.iter_mut().for_each(|key| key.availability = availability);
    candidate
}

fn plan(candidates: &[CandidateView]) -> PlanView<'_> {
    PlanView {
        candidates,
        attempts: 3,
        order: CandidateOrder::Listed,
        conversation: ConversationKey::of(&[b"c"]),
        continues_after_policy: false,
        is_repeatable: true,
        input_tokens: 1_000,
        subrequests: 3,
        random: 0,
    }
}

fn attempt(candidate: usize, key: usize, class: FailureClass) -> Tried {
    let progress = match class {
        FailureClass::Timeout | FailureClass::Unreachable => Progress::AwaitingHead,
        FailureClass::Hollow | FailureClass::Truncated => Progress::BeforeContent,
        _ => Progress::Refused,
    };
    Tried { candidate, key, class, scope: FailureScope::Request, wait: None, progress, ended: NOW }
}

fn ask(plan: &PlanView<'_>, tried: &[Tried]) -> Next {
    next(plan, tried, NOW, DEADLINE)
}

/// The candidate and the key of the next attempt.
#[track_caller]
fn place(next: Next) -> (usize, usize) {
    match next {
        Next::Try(choice) => (choice.candidate, choice.key),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn reason(next: Next) -> ChoiceReason {
    match next {
        Next::Try(choice) => choice.reason,
        other => panic!("{other:?}"),
    }
}

/// All classes that a next target may help against.
const HELPFUL: &[FailureClass] = &[
    FailureClass::Rate,
    FailureClass::Capacity,
    FailureClass::TpmSize,
    FailureClass::Quota,
    FailureClass::Credential,
    FailureClass::Overload,
    FailureClass::Unsupported,
    FailureClass::Region,
    FailureClass::Hollow,
    FailureClass::Timeout,
    FailureClass::Unreachable,
    FailureClass::Truncated,
];

#[test]
fn a_plain_model_is_tried_whatever_is_known_of_it() {
    for availability in [Availability::Ready, OPEN, resting(FailureClass::Quota, 3_600)] {
        let candidates = [with(candidate(0, 1), availability)];
        let plan = PlanView { attempts: 1, ..plan(&candidates) };
        assert_eq!(place(ask(&plan, &[])), (0, 0));
        let failed = [attempt(0, 0, FailureClass::Overload)];
        assert_eq!(ask(&plan, &failed), Next::Stop(StopReason::AttemptsUsedUp));
    }
}

#[test]
fn a_provider_without_keys_is_left_to_its_own_error() {
    assert_eq!(place(ask(&plan(&[candidate(0, 0)]), &[])), (0, 0));
    assert_eq!(place(ask(&plan(&[candidate(0, 0), candidate(1, 1)]), &[])), (1, 0));
    assert_eq!(ask(&plan(&[candidate(0, 0), candidate(1, 0)]), &[]), Next::Stop(StopReason::NoCandidate));
}

#[test]
fn another_healthy_target_comes_at_once_whatever_failed() {
    let candidates = targets(3);
    for class in HELPFUL {
        let next = ask(&plan(&candidates), &[attempt(0, 0, *class)]);
        assert_eq!(place(next), (1, 0), "{class:?}");
        assert_eq!(reason(next), ChoiceReason::OtherTarget, "{class:?}");
        assert_eq!(
            place(ask(&plan(&candidates), &[attempt(0, 0, *class), attempt(1, 0, *class)])),
            (2, 0),
            "{class:?}"
        );
    }
}

#[test]
fn a_plan_ends_with_its_attempts() {
    let candidates = targets(5);
    let failed: Vec<Tried> = (0..3).map(|candidate| attempt(candidate, 0, FailureClass::Overload)).collect();
    assert_eq!(ask(&plan(&candidates), &failed), Next::Stop(StopReason::AttemptsUsedUp));
}

#[test]
fn a_target_that_is_out_is_skipped() {
    for availability in [OPEN, resting(FailureClass::Rate, 1), resting(FailureClass::Credential, 60)] {
        let candidates = [with(candidate(0, 1), availability), candidate(1, 1)];
        assert_eq!(reason(ask(&plan(&candidates), &[])), ChoiceReason::Skipped);
        assert_eq!(place(ask(&plan(&candidates), &[])), (1, 0));
    }
    let candidates = [with(candidate(0, 1), Availability::ProbeDue), candidate(1, 1)];
    assert_eq!(reason(ask(&plan(&candidates), &[])), ChoiceReason::First, "a request is the probe");
}

#[test]
fn a_target_whose_conditions_exclude_the_request_is_never_tried() {
    let candidates = [CandidateView { is_admitted: false, ..candidate(0, 1) }, candidate(1, 1)];
    assert_eq!(place(ask(&plan(&candidates), &[])), (1, 0));
    let failed = [attempt(1, 0, FailureClass::Quota)];
    assert_eq!(ask(&plan(&candidates), &failed), Next::Stop(StopReason::Exhausted));
    assert_eq!(ask(&plan(&candidates[..1]), &[]), Next::Stop(StopReason::NoCandidate));
}

#[test]
fn faults_of_the_caller_and_policies_end_the_plan() {
    let candidates = targets(2);
    for class in [FailureClass::Caller, FailureClass::Policy] {
        assert_eq!(ask(&plan(&candidates), &[attempt(0, 0, class)]), Next::Stop(StopReason::Final), "{class:?}");
    }
}

#[test]
fn a_route_may_go_on_after_a_policy_but_not_to_the_same_target() {
    let candidates = [candidate(0, 2), candidate(1, 1)];
    let plan = PlanView { continues_after_policy: true, ..plan(&candidates) };
    let failed = [attempt(0, 0, FailureClass::Policy)];
    assert_eq!(place(ask(&plan, &failed)), (1, 0));
    let failed = [failed[0], attempt(1, 0, FailureClass::Policy)];
    assert_eq!(ask(&plan, &failed), Next::Stop(StopReason::Exhausted));
}

#[test]
fn nothing_follows_content() {
    let candidates = targets(2);
    let cut = Tried { progress: Progress::AfterContent, ..attempt(0, 0, FailureClass::Truncated) };
    assert_eq!(ask(&plan(&candidates), &[cut]), Next::Stop(StopReason::ContentLeft));
}

#[test]
fn work_with_effects_is_not_done_twice() {
    let candidates = targets(2);
    let plan = PlanView { is_repeatable: false, ..plan(&candidates) };
    let progress_of = |class, progress| [Tried { progress, ..attempt(0, 0, class) }];
    for (class, progress, goes_on) in [
        (FailureClass::Rate, Progress::Refused, true),
        (FailureClass::Overload, Progress::Refused, true),
        (FailureClass::Credential, Progress::Unsent, true),
        (FailureClass::Unreachable, Progress::AwaitingHead, false),
        (FailureClass::Timeout, Progress::AwaitingHead, false),
        (FailureClass::Hollow, Progress::BeforeContent, false),
    ] {
        let next = ask(&plan, &progress_of(class, progress));
        assert_eq!(matches!(next, Next::Try(_)), goes_on, "{class:?} {progress:?} {next:?}");
    }
}

#[test]
fn a_long_prompt_goes_only_to_larger_windows_that_are_known() {
    let window = |provider, window| CandidateView { window, ..candidate(provider, 1) };
    let failed = [attempt(0, 0, FailureClass::Context)];
    let candidates =
        [window(0, Some(100)), window(1, None), window(2, Some(100)), window(3, Some(50)), window(4, Some(200))];
    assert_eq!(place(ask(&plan(&candidates), &failed)), (4, 0));
    assert_eq!(ask(&plan(&candidates[..4]), &failed), Next::Stop(StopReason::Exhausted));
    // Of a window that is not known, nothing is larger for certain but what takes the whole prompt.
    let candidates = [window(0, None), window(1, Some(999)), window(2, Some(1_000))];
    assert_eq!(place(ask(&plan(&candidates), &failed)), (2, 0));
}

#[test]
fn the_same_target_follows_a_broken_connection_once() {
    let candidates = targets(1);
    let broken = attempt(0, 0, FailureClass::Unreachable);
    let next = ask(&plan(&candidates), &[broken]);
    assert_eq!(reason(next), ChoiceReason::Reconnect);
    assert_eq!(ask(&plan(&candidates), &[broken, broken]), Next::Stop(StopReason::Exhausted));
    let after_head = Tried { progress: Progress::BeforeContent, ..broken };
    assert_eq!(ask(&plan(&candidates), &[after_head]), Next::Stop(StopReason::Exhausted));
}

#[test]
fn a_healthy_target_comes_before_the_same_one_once_more() {
    let candidates = targets(2);
    let broken = |candidate| attempt(candidate, 0, FailureClass::Unreachable);
    assert_eq!(place(ask(&plan(&candidates), &[broken(0)])), (1, 0));
    assert_eq!(place(ask(&plan(&candidates), &[broken(0), broken(1)])), (0, 0));
}

#[test]
fn silence_and_hollow_answers_are_not_asked_for_again() {
    let candidates = targets(1);
    for class in [FailureClass::Timeout, FailureClass::Hollow, FailureClass::Truncated] {
        assert_eq!(ask(&plan(&candidates), &[attempt(0, 0, class)]), Next::Stop(StopReason::Exhausted), "{class:?}");
    }
}

#[test]
fn another_key_comes_at_once_after_a_limit_and_before_another_target() {
    let candidates = [candidate(0, 3), candidate(1, 1)];
    let plan = plan(&candidates);
    let (_, first) = place(ask(&plan, &[]));
    for class in [FailureClass::Rate, FailureClass::Capacity, FailureClass::Quota, FailureClass::Credential] {
        let failed = attempt(0, first, class);
        let next = ask(&plan, &[failed]);
        assert_eq!(reason(next), ChoiceReason::OtherKey, "{class:?}");
        let (candidate, second) = place(next);
        assert_eq!(candidate, 0);
        assert_ne!(second, first);
    }
}

#[test]
fn the_last_attempt_goes_to_a_target_that_has_not_been_tried() {
    let candidates = [candidate(0, 4), candidate(1, 1)];
    let limited: Vec<Tried> = (0..2).map(|key| attempt(0, key, FailureClass::Rate)).collect();
    assert_eq!(place(ask(&plan(&candidates), &limited)), (1, 0));
    assert_eq!(place(ask(&PlanView { attempts: 4, ..plan(&candidates) }, &limited)).0, 0);
    let without = [candidates[0].clone(), with(candidate(1, 1), OPEN)];
    assert_eq!(place(ask(&plan(&without), &limited)).0, 0, "it is out");
}

#[test]
fn keys_of_an_account_without_money_are_not_tried() {
    let mut candidates = [candidate(0, 3), candidate(1, 1)];
    candidates[0].keys.iter_mut().for_each(|key| key.account = 7);
    let failed = [Tried { scope: FailureScope::Account, ..attempt(0, 0, FailureClass::Quota) }];
    assert_eq!(place(ask(&plan(&candidates), &failed)), (1, 0));
}

#[test]
fn after_an_overload_other_targets_come_before_other_keys() {
    let candidates = [candidate(0, 2), candidate(1, 1)];
    let plan = plan(&candidates);
    let (_, first) = place(ask(&plan, &[]));
    let busy = attempt(0, first, FailureClass::Overload);
    assert_eq!(place(ask(&plan, &[busy])), (1, 0));
    let next = ask(&plan, &[busy, attempt(1, 0, FailureClass::Quota)]);
    assert_eq!(place(next), (0, 1 - first));
}

#[test]
fn a_target_is_tried_twice_at_most() {
    let candidates = [candidate(0, 4)];
    let plan = PlanView { attempts: 9, ..plan(&candidates) };
    let busy = [attempt(0, 0, FailureClass::Overload), attempt(0, 1, FailureClass::Overload)];
    assert_eq!(ask(&plan, &busy), Next::Stop(StopReason::Exhausted));
    // Limits are the keys', not the target's.
    let limited = [attempt(0, 0, FailureClass::Quota), attempt(0, 1, FailureClass::Quota)];
    assert!(matches!(ask(&plan, &limited), Next::Try(_)));
}

#[test]
fn another_model_of_a_host_that_is_down_comes_last() {
    let same_host = CandidateView { provider: 0, ..candidate(9, 1) };
    let candidates = [candidate(0, 1), same_host, candidate(1, 1)];
    let down = Tried { scope: FailureScope::Host, ..attempt(0, 0, FailureClass::Unreachable) };
    assert_eq!(place(ask(&plan(&candidates), &[down])), (2, 0));
    let next = ask(&plan(&candidates), &[down, attempt(2, 0, FailureClass::Overload)]);
    assert_eq!(place(next), (1, 0));
}

#[test]
fn a_region_refusal_is_the_hosts() {
    let same_host = CandidateView { provider: 0, ..candidate(9, 1) };
    let candidates = [candidate(0, 1), same_host];
    assert_eq!(ask(&plan(&candidates), &[attempt(0, 0, FailureClass::Region)]), Next::Stop(StopReason::Exhausted));
}

#[test]
fn a_host_that_refuses_a_region_may_serve_from_another() {
    let at = |number, region| CandidateView { provider: 0, region: Region::named(region), ..candidate(number, 1) };
    let candidates = [at(0, ""), at(1, "wnam"), at(2, "wnam"), at(3, "weur")];
    let refused = attempt(0, 0, FailureClass::Region);
    assert_eq!(place(ask(&plan(&candidates), &[refused])), (1, 0));
    let again = [refused, attempt(1, 0, FailureClass::Region)];
    assert_eq!(place(ask(&plan(&candidates), &again)), (3, 0));
}

#[test]
fn a_limit_is_waited_for_when_nothing_else_is_left() {
    let candidates = targets(1);
    let limited = Tried { wait: Some(7 * SECOND), ..attempt(0, 0, FailureClass::Rate) };
    let plan = PlanView { random: u64::MAX, ..plan(&candidates) };
    let Next::Wait(wait) = ask(&plan, &[limited]) else { panic!() };
    assert!((7 * SECOND..=7 * SECOND + 1_400 + 250).contains(&wait), "a floor, and jitter: {wait}");
    let after = next(&plan, &[limited], NOW + wait, DEADLINE);
    assert_eq!(reason(after), ChoiceReason::Rested);
}

#[test]
fn a_wait_that_leaves_no_time_is_no_wait() {
    let candidates = targets(1);
    let limited = Tried { wait: Some(7 * SECOND), ..attempt(0, 0, FailureClass::Rate) };
    let with_time = |time| next(&plan(&candidates), &[limited], NOW, NOW + time);
    assert_eq!(with_time(7 * SECOND + MIN_ATTEMPT - 1), Next::Stop(StopReason::NoTime));
    assert_eq!(with_time(7 * SECOND + MIN_ATTEMPT), Next::Wait(7 * SECOND));
}

#[test]
fn no_attempt_begins_that_cannot_end() {
    let candidates = targets(2);
    let failed = [attempt(0, 0, FailureClass::Overload)];
    let with_time = |time| next(&plan(&candidates), &failed, NOW, NOW + time);
    assert_eq!(with_time(MIN_ATTEMPT - 1), Next::Stop(StopReason::NoTime));
    assert!(matches!(with_time(MIN_ATTEMPT), Next::Try(_)));
}

#[test]
fn the_shortest_rest_is_waited_for() {
    let rest = |provider, seconds| with(candidate(provider, 1), resting(FailureClass::Rate, seconds));
    let candidates = [rest(0, 30), rest(1, 3), rest(2, 9)];
    assert_eq!(ask(&plan(&candidates), &[]), Next::Wait(3 * SECOND));
}

#[test]
fn money_and_credentials_are_not_waited_for_but_tried_if_nothing_else_was() {
    let rest = |provider, reason, seconds| with(candidate(provider, 1), resting(reason, seconds));
    let candidates = [rest(0, FailureClass::Credential, 700), rest(1, FailureClass::Quota, 3_600)];
    let next = ask(&plan(&candidates), &[]);
    assert_eq!(place(next), (1, 0));
    assert_eq!(reason(next), ChoiceReason::LeastBad);
    assert_eq!(ask(&plan(&candidates), &[attempt(1, 0, FailureClass::Quota)]), Next::Stop(StopReason::NoTime));
}

#[test]
fn where_all_are_open_the_least_bad_is_tried_at_once() {
    let open = |provider, seconds| {
        let until = NOW + seconds * SECOND;
        with(candidate(provider, 1), Availability::Open { reason: FailureClass::Timeout, until })
    };
    let candidates = [open(0, 40), open(1, 4), open(2, 20)];
    let next = ask(&plan(&candidates), &[]);
    assert_eq!(place(next), (1, 0));
    assert_eq!(reason(next), ChoiceReason::LeastBad);
    assert_eq!(place(ask(&plan(&candidates), &[attempt(1, 0, FailureClass::Timeout)])), (2, 0));
}

#[test]
fn a_short_rest_comes_before_an_open_breaker_and_a_long_one_after() {
    let rest = |seconds| with(candidate(0, 1), resting(FailureClass::Rate, seconds));
    let open = with(candidate(1, 1), OPEN);
    assert_eq!(ask(&plan(&[rest(4), open.clone()]), &[]), Next::Wait(4 * SECOND));
    assert_eq!(place(ask(&plan(&[rest(6), open]), &[])), (1, 0));
}

#[test]
fn calls_are_kept_for_what_comes_after_the_attempts() {
    let candidates = targets(2);
    let failed = [attempt(0, 0, FailureClass::Overload)];
    let with_calls = |subrequests| ask(&PlanView { subrequests, ..plan(&candidates) }, &failed);
    assert!(matches!(with_calls(MAX_SUBREQUESTS - RESERVED_SUBREQUESTS - 1), Next::Try(_)));
    assert_eq!(with_calls(MAX_SUBREQUESTS - RESERVED_SUBREQUESTS), Next::Stop(StopReason::SubrequestsUsedUp));
    let first = PlanView { subrequests: MAX_SUBREQUESTS, ..plan(&candidates) };
    assert!(matches!(ask(&first, &[]), Next::Try(_)), "the first attempt is always made");
}

#[test]
fn a_conversation_keeps_its_target_and_key_and_has_a_second_choice() {
    let candidates: Vec<CandidateView> = (0..4).map(|provider| candidate(provider, 3)).collect();
    let mut first = [0_u32; 4];
    for number in 0..4_000_u32 {
        let conversation = ConversationKey::of(&[&number.to_be_bytes()]);
        let plan = PlanView { order: CandidateOrder::Weighted, conversation, ..plan(&candidates) };
        let chosen = place(ask(&plan, &[]));
        assert_eq!(place(ask(&PlanView { random: 7, ..plan }, &[])), chosen);
        first[chosen.0] += 1;
        let mut without = candidates.clone();
        without[chosen.0] = with(candidates[chosen.0].clone(), OPEN);
        let second = place(ask(&PlanView { candidates: &without, ..plan }, &[]));
        assert_ne!(second.0, chosen.0);
        let failed = [attempt(chosen.0, chosen.1, FailureClass::Overload)];
        assert_eq!(place(ask(&plan, &failed)), second, "whether it fails now or has failed before");
    }
    assert!(first.iter().all(|count| (850..1_150).contains(count)), "{first:?}");
}

/// Random numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn index(&mut self, below: usize) -> usize {
        usize::try_from(self.next(below as u64)).unwrap()
    }
}

fn random_candidates(random: &mut Random) -> Vec<CandidateView> {
    let count = 1 + random.index(4);
    let mut candidates = Vec::new();
    for provider in 0..count {
        let keys = 1 + random.index(3);
        let mut candidate = CandidateView {
            is_admitted: random.next(8) > 0,
            window: if random.next(2) == 0 { None } else { Some(random.next(2_000)) },
            ..candidate(provider, keys)
        };
        for key in &mut candidate.keys {
            key.availability = match random.next(6) {
                0 => OPEN,
                1 => resting(FailureClass::Rate, random.next(20)),
                2 => resting(FailureClass::Quota, 3_600),
                3 => Availability::ProbeDue,
                _ => Availability::Ready,
            };
        }
        candidates.push(candidate);
    }
    candidates
}

/// The attempts of a plan whose every attempt fails in some way.
fn failing_attempts(plan: &PlanView<'_>, deadline: u64, random: &mut Random) -> Vec<Tried> {
    let classes = [HELPFUL, &[FailureClass::Context, FailureClass::Policy, FailureClass::Caller]].concat();
    let scopes = [
        FailureScope::Request,
        FailureScope::Model,
        FailureScope::Key,
        FailureScope::Account,
        FailureScope::Host,
        FailureScope::Here,
    ];
    let (mut tried, mut now, mut waits) = (Vec::<Tried>::new(), NOW, 0);
    loop {
        match next(plan, &tried, now, deadline) {
            Next::Stop(_) => return tried,
            Next::Wait(wait) => {
                waits += 1;
                assert!(waits < 20, "it waits for ever");
                now += wait;
                assert!(now + MIN_ATTEMPT <= deadline, "it waits for too long");
            }
            Next::Try(choice) => {
                let candidate = &plan.candidates[choice.candidate];
                assert!(choice.key < candidate.keys.len() && candidate.is_admitted, "{choice:?}");
                let failed = attempt(choice.candidate, choice.key, classes[random.index(classes.len())]);
                now += random.next(5) * SECOND;
                let wait = if random.next(2) == 0 { None } else { Some(random.next(10) * SECOND) };
                tried.push(Tried { scope: scopes[random.index(scopes.len())], wait, ended: now, ..failed });
            }
        }
    }
}

/// Whatever fails in whatever order: a plan ends, within its attempts and its time, without trying what is
/// excluded.
#[test]
fn every_plan_ends_within_its_bounds() {
    for seed in 0..5_000 {
        let mut random = Random(seed);
        let candidates = random_candidates(&mut random);
        let plan = PlanView {
            attempts: 1 + u32::try_from(random.next(6)).unwrap(),
            order: if random.next(2) == 0 { CandidateOrder::Listed } else { CandidateOrder::Weighted },
            continues_after_policy: random.next(2) == 0,
            random: random.next(u64::MAX),
            ..plan(&candidates)
        };
        let deadline = NOW + random.next(60) * SECOND;
        let tried = failing_attempts(&plan, deadline, &mut random);
        assert!(tried.len() <= usize::try_from(plan.attempts).unwrap(), "{seed}");
        let admits = candidates.iter().any(|candidate| candidate.is_admitted);
        assert_eq!(!tried.is_empty(), admits, "{seed}: something is tried");
        for attempt in &tried {
            let same = |other: &&Tried| (other.candidate, other.key) == (attempt.candidate, attempt.key);
            assert!(tried.iter().filter(same).count() <= 2, "{seed}");
        }
    }
}

#[test]
fn ranks_decide_and_health_before_them() {
    let ranked = |ranks: &[Option<u64>]| -> Vec<CandidateView> {
        let ranks = ranks.iter().enumerate();
        ranks.map(|(provider, rank)| CandidateView { rank: *rank, ..candidate(provider, 1) }).collect()
    };
    let first = |candidates: &[CandidateView]| {
        let plan = PlanView { order: CandidateOrder::Ranked, ..plan(candidates) };
        match next(&plan, &[], NOW, NOW + 60 * SECOND) {
            Next::Try(choice) => choice.candidate,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(first(&ranked(&[Some(3), Some(1), Some(2)])), 1);
    assert_eq!(first(&ranked(&[None, Some(9)])), 1, "unknown ranks last");
    assert_eq!(first(&ranked(&[Some(2), Some(2), None])), 0, "equal ranks as listed");
    assert_eq!(first(&ranked(&[None, None])), 0);
    let mut sick = ranked(&[Some(3), Some(1), Some(2)]);
    sick[1] = with(sick[1].clone(), resting(FailureClass::Rate, 9));
    assert_eq!(first(&sick), 2);
}

#[test]
fn what_comes_late_comes_last_in_every_order() {
    let mut candidates = targets(3);
    candidates[0].is_late = true;
    (candidates[0].rank, candidates[1].rank) = (Some(1), Some(2));
    for order in [CandidateOrder::Listed, CandidateOrder::Weighted, CandidateOrder::Ranked] {
        for conversation in 0..20_u8 {
            let conversation = ConversationKey::of(&[&[conversation]]);
            let plan = PlanView { order, conversation, ..plan(&candidates) };
            assert_ne!(place(ask(&plan, &[])).0, 0, "{order:?}");
            let tried = [attempt(1, 0, FailureClass::Unsupported), attempt(2, 0, FailureClass::Unsupported)];
            assert_eq!(place(ask(&plan, &tried)), (0, 0), "{order:?}");
        }
    }
}
