//! Ten thousand requests over fresh and old isolates, against targets that are down for a time, silent or
//! limited, compared with a router that knows everything.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use llm_bridge::policy::choose::{CandidateOrder, CandidateView, KeyView, Next, PlanView, Progress, Tried, next};
use llm_bridge::policy::failure::{FailureClass, FailureScope};
use llm_bridge::policy::health::{
    AttemptFailure, Health, HealthChange, HealthEvidence, Place, RunningAttempt, Subject,
};
use llm_bridge::policy::rendezvous::{ConversationKey, NodeId};

const SECOND: u64 = 1_000;
const REQUESTS: u64 = 10_000;
/// One request each 100 ms: a thousand seconds in all.
const PACE: u64 = 100;
const START: u64 = 1_700_000_000_000;
const DEADLINE: u64 = 120 * SECOND;
/// How long the head of a good answer takes.
const ANSWER: u64 = 400;
/// How long an isolate waits for the first token.
const FIRST_TOKEN: u64 = 20 * SECOND;
const POLL: u64 = 30 * SECOND;
const ISOLATES: usize = 20;

/// How a target behaves at a time.
#[derive(Clone, Copy, PartialEq)]
enum Behaviour {
    Good,
    /// 503 at once.
    Overloaded,
    /// The connection fails.
    Unreachable,
    /// Nothing comes.
    Silent,
    /// 429 with a wait until this time, if there are more requests than one a second for this key.
    Limited(u64),
}

/// A target, and what happens to it when: from, to, in seconds after the start.
struct Target {
    model: &'static str,
    keys: usize,
    script: &'static [(u64, u64, Behaviour)],
}

impl Target {
    fn at(&self, now: u64) -> Behaviour {
        let second = (now - START) / SECOND;
        let row = self.script.iter().find(|(from, to, _)| (*from..*to).contains(&second));
        row.map_or(Behaviour::Good, |(.., behaviour)| *behaviour)
    }
}

/// The result of an attempt: when it is known, and what failed.
struct Outcome {
    takes: u64,
    failure: Option<(AttemptFailure, Progress)>,
}

/// A request under way.
struct Request {
    isolate: usize,
    began: u64,
    tried: Vec<Tried>,
    running: Option<(RunningAttempt<'static>, Outcome)>,
}

/// What became of the requests.
#[derive(Default)]
struct Report {
    served: u64,
    lost: Vec<u64>,
    failed_attempts: u64,
    latency: u64,
    worst_latency: u64,
    /// For each second, how many requests began, and how many of them the first target served.
    begun: Vec<u64>,
    first: Vec<u64>,
}

struct Simulation {
    targets: &'static [Target],
    order: CandidateOrder,
    isolates: Vec<Health>,
    polled: Vec<u64>,
    /// What all isolates share; `None` if they share nothing.
    shared: Option<Vec<HealthEvidence>>,
    requests: Vec<Request>,
    /// The next requests of each key that is limited.
    limits: Vec<Vec<u64>>,
    random: u64,
    report: Report,
}

impl Simulation {
    fn new(targets: &'static [Target], shares: bool) -> Self {
        Self {
            targets,
            order: CandidateOrder::Listed,
            isolates: vec![Health::default(); ISOLATES],
            polled: vec![0; ISOLATES],
            shared: if shares { Some(Vec::new()) } else { None },
            requests: Vec::new(),
            limits: targets.iter().map(|target| vec![0; target.keys]).collect(),
            random: 1,
            report: Report { begun: vec![0; 1_001], first: vec![0; 1_001], ..Report::default() },
        }
    }

    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random
    }

    fn run(mut self) -> Report {
        let mut events: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
        for number in 0..REQUESTS {
            let began = START + number * PACE;
            events.push(Reverse((began, self.requests.len())));
            let isolate = usize::try_from((self.draw() >> 33) % ISOLATES as u64).unwrap();
            self.requests.push(Request { isolate, began, tried: Vec::new(), running: None });
        }
        while let Some(Reverse((now, request))) = events.pop() {
            if let Some(then) = self.step(request, now) {
                events.push(Reverse((then, request)));
            }
        }
        self.report
    }

    /// Does what is due for a request. Returns when it has to be looked at again.
    fn step(&mut self, request: usize, now: u64) -> Option<u64> {
        let isolate = self.requests[request].isolate;
        if self.requests[request].tried.is_empty() && self.requests[request].running.is_none() {
            self.age(isolate, now);
        }
        if let Some((running, outcome)) = self.requests[request].running.take() {
            let Some((failure, progress)) = outcome.failure else {
                let changes = self.isolates[isolate].succeed(running, now);
                self.share(&changes);
                self.served(request, running, now);
                return None;
            };
            let random = self.draw();
            let changes = self.isolates[isolate].fail(running, failure, now, random);
            self.share(&changes);
            let AttemptFailure { class, scope, wait } = failure;
            let (candidate, key) = (running.place.provider, running.place.key);
            self.requests[request].tried.push(Tried { candidate, key, class, scope, wait, progress, ended: now });
            self.report.failed_attempts += 1;
        }
        self.choose(request, now)
    }

    /// The first half of the isolates is old; the others are replaced all the time. All of them read what is
    /// shared, half a minute late at most.
    fn age(&mut self, isolate: usize, now: u64) {
        if isolate >= ISOLATES / 2 && self.draw() >> 33 & 31 == 0 {
            self.isolates[isolate] = Health::default();
            self.polled[isolate] = 0;
        }
        if let Some(shared) = &self.shared
            && self.polled[isolate] + POLL <= now
        {
            self.isolates[isolate].adopt(shared, now);
            self.polled[isolate] = now;
        }
    }

    fn share(&mut self, changes: &[HealthChange]) {
        let Some(shared) = &mut self.shared else { return };
        for change in changes {
            shared.retain(|known: &HealthEvidence| known.subject != *change.subject());
            if let HealthChange::Out(evidence) = change {
                shared.push(evidence.clone());
            }
        }
    }

    fn choose(&mut self, request: usize, now: u64) -> Option<u64> {
        let candidates = self.views(request, now);
        let conversation = ConversationKey::of(&[&request.to_be_bytes()]);
        let random = self.draw();
        let plan = PlanView {
            candidates: &candidates,
            attempts: 3,
            order: self.order,
            conversation,
            continues_after_policy: false,
            is_repeatable: true,
            input_tokens: 100,
            subrequests: 3,
            random,
        };
        let deadline = self.requests[request].began + DEADLINE;
        match next(&plan, &self.requests[request].tried, now, deadline) {
            Next::Wait(time) => Some(now + time),
            Next::Stop(_) => {
                self.report.lost.push((self.requests[request].began - START) / SECOND);
                None
            }
            Next::Try(choice) => {
                let model = self.targets[choice.candidate].model;
                let place =
                    Place { provider: choice.candidate, model, key: choice.key, account: choice.key, region: None };
                let isolate = self.requests[request].isolate;
                let running = self.isolates[isolate].begin(place, now);
                let outcome = self.attempt(choice.candidate, choice.key, now);
                let then = now + outcome.takes;
                self.requests[request].running = Some((running, outcome));
                Some(then)
            }
        }
    }

    fn views(&self, request: usize, now: u64) -> Vec<CandidateView> {
        let health = &self.isolates[self.requests[request].isolate];
        let view = |(provider, target): (usize, &Target)| CandidateView {
            id: NodeId::of(&[target.model.as_bytes()]),
            provider,
            region: None,
            weight: 1,
            rank: None,
            is_late: false,
            is_admitted: true,
            window: None,
            keys: (0..target.keys)
                .map(|key| KeyView {
                    id: NodeId::of(&[&key.to_be_bytes()]),
                    account: key,
                    weight: 1,
                    availability: health
                        .availability(Place { provider, model: target.model, key, account: key, region: None }, now),
                })
                .collect(),
        };
        self.targets.iter().enumerate().map(view).collect()
    }

    fn attempt(&mut self, target: usize, key: usize, now: u64) -> Outcome {
        let fails = |takes, class: FailureClass, progress, wait| {
            let failure = AttemptFailure { class, scope: class.usual_scope(), wait };
            Outcome { takes, failure: Some((failure, progress)) }
        };
        match self.targets[target].at(now) {
            Behaviour::Overloaded => fails(50, FailureClass::Overload, Progress::Refused, None),
            Behaviour::Unreachable => fails(5, FailureClass::Unreachable, Progress::AwaitingHead, None),
            Behaviour::Silent => fails(FIRST_TOKEN, FailureClass::Timeout, Progress::AwaitingHead, None),
            Behaviour::Limited(until) if now < self.limits[target][key] => {
                let until = START + until * SECOND;
                fails(50, FailureClass::Rate, Progress::Refused, Some((self.limits[target][key].min(until)) - now))
            }
            Behaviour::Limited(_) => {
                // One request, and then ten seconds without.
                self.limits[target][key] = now + 10 * SECOND;
                Outcome { takes: ANSWER, failure: None }
            }
            Behaviour::Good => Outcome { takes: ANSWER, failure: None },
        }
    }

    fn served(&mut self, request: usize, running: RunningAttempt<'_>, now: u64) {
        let began = self.requests[request].began;
        let second = usize::try_from((began - START) / SECOND).unwrap();
        let latency = now - began;
        self.report.served += 1;
        self.report.latency += latency;
        self.report.worst_latency = self.report.worst_latency.max(latency);
        self.report.begun[second] += 1;
        self.report.first[second] += u64::from(running.place.provider == 0);
    }
}

impl Report {
    /// The share of the requests that began in these seconds which the first target served.
    fn first_share(&self, seconds: std::ops::Range<usize>) -> f64 {
        let sum = |counts: &[u64]| u32::try_from(counts[seconds.clone()].iter().sum::<u64>()).unwrap();
        f64::from(sum(&self.first)) / f64::from(sum(&self.begun))
    }

    /// How much longer a request took than with a router that knows everything, on average.
    fn excess(&self) -> u64 {
        self.latency / self.served - ANSWER
    }
}

/// The first target is overloaded for a minute, and later cannot be reached for a minute.
const OUTAGES: &[Target] = &[
    Target {
        model: "first",
        keys: 1,
        script: &[(100, 160, Behaviour::Overloaded), (500, 560, Behaviour::Unreachable)],
    },
    Target { model: "second", keys: 1, script: &[] },
];

#[test]
fn no_request_is_lost_in_an_outage() {
    let report = Simulation::new(OUTAGES, true).run();
    println!("outages: {} failed attempts, {} ms", report.failed_attempts, report.excess());
    assert_eq!(report.lost, [0; 0]);
    assert_eq!(report.served, REQUESTS);
    // Of the 1,200 requests in the outages.
    assert!(report.failed_attempts < 250, "{}", report.failed_attempts);
    assert!(report.excess() < 5, "{} ms", report.excess());
    assert!(report.worst_latency <= ANSWER + 100, "{} ms: it waited", report.worst_latency);
}

#[test]
fn the_first_target_serves_all_before_and_after_an_outage() {
    let report = Simulation::new(OUTAGES, true).run();
    assert_eq!(report.first_share(0..100), 1.0);
    assert_eq!(report.first_share(105..155), 0.0);
    let shares = [(160, 175), (175, 190), (190, 205), (205, 235), (235, 500), (560, 590), (640, 1_000)];
    let shares = shares.map(|(from, to)| report.first_share(from..to));
    println!("back: {shares:?}");
    // The longest open time is a minute, with a fifth of jitter.
    assert!(shares[0] > 0.1 && shares[1] > 0.3 && shares[2] > 0.6, "{shares:?}");
    assert!(shares[4] == 1.0 && shares[6] == 1.0, "{shares:?}");
}

#[test]
fn isolates_that_tell_each_other_try_what_is_down_less_often() {
    let (alone, together) = (Simulation::new(OUTAGES, false).run(), Simulation::new(OUTAGES, true).run());
    println!("alone {}, together {}", alone.failed_attempts, together.failed_attempts);
    assert_eq!(alone.lost, [0; 0]);
    assert!(together.failed_attempts < alone.failed_attempts);
}

/// The first target is silent for two minutes: each attempt costs twenty seconds.
const SILENCE: &[Target] = &[
    Target { model: "first", keys: 1, script: &[(100, 220, Behaviour::Silent)] },
    Target { model: "second", keys: 1, script: &[] },
];

#[test]
fn few_requests_wait_for_a_silent_target() {
    let report = Simulation::new(SILENCE, true).run();
    println!("silence: {} failed attempts, {} ms", report.failed_attempts, report.excess());
    assert_eq!(report.lost, [0; 0]);
    // In the twenty seconds before anybody knows, 200 requests begin. Afterwards they are probes.
    assert!((200..400).contains(&report.failed_attempts), "{}", report.failed_attempts);
    assert!(report.worst_latency <= FIRST_TOKEN + ANSWER, "{}", report.worst_latency);
}

/// Each of three keys takes a request in ten seconds, for five minutes; then comes another target.
const LIMITS: &[Target] = &[
    Target { model: "first", keys: 3, script: &[(100, 400, Behaviour::Limited(400))] },
    Target { model: "second", keys: 1, script: &[] },
];

#[test]
fn limits_are_respected_and_cost_no_wait() {
    let report = Simulation::new(LIMITS, true).run();
    println!("limits: {} failed attempts, {} ms", report.failed_attempts, report.excess());
    assert_eq!(report.lost, [0; 0]);
    // A key that rests is not asked: in each isolate once for each rest, at most.
    let rests = 3 * 300 / 10 * ISOLATES as u64;
    assert!(report.failed_attempts < rests, "{}", report.failed_attempts);
    assert!(report.worst_latency <= ANSWER + 200, "{} ms: it waited", report.worst_latency);
    assert_eq!(report.first_share(415..1_000), 1.0);
}

/// All targets are down for twenty seconds.
const NOTHING: &[Target] = &[
    Target { model: "first", keys: 1, script: &[(100, 120, Behaviour::Overloaded)] },
    Target { model: "second", keys: 1, script: &[(100, 120, Behaviour::Overloaded)] },
];

#[test]
fn where_all_is_down_requests_fail_soon_and_all_is_well_right_after() {
    let report = Simulation::new(NOTHING, true).run();
    assert!(report.lost.iter().all(|second| (100..121).contains(second)), "{:?}", report.lost);
    assert_eq!(report.served + report.lost.len() as u64, REQUESTS);
    // Even so, the least bad target is tried, so that the first sign of life is seen.
    assert!(report.first_share(240..1_000) > 0.99);
}

/// A key of three has no money, and one is refused.
#[test]
fn a_dead_key_is_asked_about_once_in_an_hour_by_each_isolate() {
    let mut health = vec![Health::default(); 10];
    let mut refused = 0;
    for number in 0..1_000_u64 {
        let health = &mut health[usize::try_from(number % 10).unwrap()];
        let now = START + number * SECOND;
        let place = Place { provider: 0, model: "m", key: 0, account: 0, region: None };
        if health.availability(place, now).is_usable() {
            let failure = AttemptFailure { class: FailureClass::Credential, scope: FailureScope::Key, wait: None };
            let running = health.begin(place, now);
            let changes = health.fail(running, failure, now, number);
            assert!(matches!(&changes[..], [HealthChange::Out(HealthEvidence { subject: Subject::Key { .. }, .. })]));
            refused += 1;
        }
    }
    assert_eq!(refused, 10);
}
