//! The selector as any training loop uses it: the ids it hands out and how it reacts to outcomes.

use std::collections::{BTreeMap, VecDeque};

use ast_core::codec::SnapshotError;
use ast_core::random::{Purpose, Random};
use ast_core::select::{
    Batch, BoxedPolicy, BuildPolicy, Goal, Groups, Level, Limit, NoProbe, Offer, Outcome, PassCost, Policy,
    PolicyError, PolicyKind, Probe, ProbeError, ProbeRequest, Probed, RunLength, SampleId, ScorerRule, SelectError,
    SelectionContext, SelectionStats, Selector, Stage, policy,
};
use ast_core::testing::KnownLosses;

const SAMPLES: usize = 900;
const BATCH: usize = 32;

fn base(id: SampleId) -> f32 {
    ((id * 7919) % 1009) as f32 / 1009.0 * 4.0 + 0.01
}

fn losses() -> KnownLosses {
    KnownLosses((0..SAMPLES as SampleId).map(base).collect())
}

fn selector(name: &str, goal: Goal) -> Selector {
    // Selection on: by default `ast` is `random` in runs this short.
    let params = if name == "ast" { vec![("lambda", 0.8.into())] } else { vec![] };
    let groups = Groups::of((0..SAMPLES).map(|i| i % 10)).unwrap();
    Selector::new(groups, policy(name, &params).unwrap(), goal, BATCH, 5).unwrap()
}

/// Trains on a batch: a sample's loss falls with each visit.
fn train(selector: &mut Selector, batch: Batch) {
    let visits = |id: SampleId| f32::from(selector.ledger().visits(id));
    let loss: Vec<f32> = batch.ids().into_iter().map(|id| base(id) / (1.0 + visits(id))).collect();
    let correct: Vec<bool> = loss.iter().map(|loss| *loss < 1.0).collect();
    selector
        .record(batch, &Outcome { score: &loss, loss: &loss, correct: Some(&correct), ..Outcome::default() })
        .unwrap();
}

/// Number of samples, and a digest (FNV-1a) of ids, epochs and coverage in the order of training.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Digest(u64, u64);

impl Digest {
    const NONE: Self = Self(0, 0xcbf2_9ce4_8422_2325);

    fn take(&mut self, batch: &Batch) {
        for (visit, coverage) in batch.visits().into_iter().zip(batch.coverage()) {
            let bytes = visit.id.to_le_bytes().into_iter().chain(visit.epoch.to_le_bytes()).chain([u8::from(coverage)]);
            bytes.for_each(|byte| self.1 = (self.1 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
            self.0 += 1;
        }
    }
}

/// Runs to the end, selecting one batch ahead of training as our trainer does. After each step `change` may replace the
/// selector.
fn run(mut selector: Selector, mut change: impl FnMut(Selector, u64) -> Selector) -> Digest {
    let (mut losses, mut digest) = (losses(), Digest::NONE);
    loop {
        let next = selector.next_batch(&mut losses).unwrap();
        if selector.in_flight().len() > 1 || next.is_none() {
            let Some(batch) = selector.in_flight().front().cloned() else { return digest };
            digest.take(&batch);
            train(&mut selector, batch);
            let steps = selector.counts().steps;
            selector = change(selector, steps);
        }
    }
}

fn names() -> Vec<&'static str> {
    ast_core::plugin::Registry::<BuildPolicy>::linked().unwrap().iter().map(|entry| entry.name).collect()
}

/// Recorded from the training loop before the selector was separated from it (commit 21bfbe3e): 900 samples in ten
/// classes, batches of 32, target 0.25, 12 epochs, seed 5.
const BEFORE: &[(&str, Digest)] = &[
    ("ast", Digest(2644, 0xada5_e6c1_c682_ca35)),
    ("curriculum", Digest(2700, 0x65f5_2c4b_9637_dfda)),
    ("dense", Digest(10_800, 0x6caa_7998_e5c8_647b)),
    ("dense-stopped", Digest(2700, 0xbafa_dfb9_1798_dd1f)),
    ("fixed-threshold", Digest(2583, 0x4b47_82af_12a9_367d)),
    ("importance", Digest(2700, 0x355f_866d_431c_c2c6)),
    ("infobatch", Digest(8923, 0x1567_8d12_e901_945c)),
    ("pool-top", Digest(2700, 0xc0cf_17b0_076d_7e5c)),
    ("proxy", Digest(2700, 0x1ce5_3218_5b40_4803)),
    ("random", Digest(2700, 0x7280_14e6_83c1_7e73)),
    ("reducible", Digest(2700, 0xc4bc_e787_056c_448c)),
    ("original", Digest(2808, 0x2a76_b47f_4c61_a3c6)),
    ("original-package", Digest(2685, 0x0bc7_42d5_6594_e172)),
    ("selective-backprop", Digest(2679, 0x45cb_71e9_18a9_ff87)),
    ("static-el2n", Digest(2700, 0x98ca_566b_14fd_52bd)),
    ("static-random", Digest(2700, 0xc3ca_a044_7fa9_7145)),
];

#[test]
fn every_policy_selects_what_it_did_before() {
    let digest = |name| run(selector(name, Goal::activation(0.25, 12)), |selector, _| selector);
    let new = names().into_iter().filter(|name| BEFORE.iter().all(|(known, _)| known != name));
    let line = |name| {
        let Digest(samples, hash) = digest(name);
        format!("(\"{name}\", Digest({samples}, {hash:#x})),")
    };
    let lines: Vec<String> = new.map(line).collect();
    assert!(lines.is_empty(), "add to `BEFORE` what a new policy selects: {}", lines.join(" "));
    for (name, expected) in BEFORE {
        assert_eq!(digest(name), *expected, "{name}");
    }
}

/// Every seven steps the state is saved and restored into a new selector, with a batch in flight.
#[test]
fn a_selector_continues_from_its_saved_state() {
    for name in names() {
        let goal = Goal::activation(0.25, 12);
        let expected = run(selector(name, goal), |selector, _| selector);
        let again = |old: Selector, steps: u64| {
            if !steps.is_multiple_of(7) {
                return old;
            }
            let mut fresh = selector(name, goal);
            fresh.restore(&old.save().unwrap()).unwrap();
            assert_eq!(fresh.in_flight(), old.in_flight());
            assert_eq!(fresh.save().unwrap(), old.save().unwrap(), "{name}");
            fresh
        };
        assert_eq!(run(selector(name, goal), again), expected, "{name}");
    }
}

#[test]
fn the_state_of_a_selector_of_other_samples_is_refused() {
    let saved = selector("random", Goal::activation(0.25, 4)).save().unwrap();
    let of =
        |samples, policy| Selector::new(Groups::none(samples), policy, Goal::activation(0.25, 4), BATCH, 5).unwrap();
    let error = of(SAMPLES + 1, policy("random", &[]).unwrap()).restore(&saved).unwrap_err();
    assert!(matches!(error, SnapshotError::Samples { expected: 901, found: 900 }), "{error}");
    let error = of(SAMPLES, policy("random", &[]).unwrap()).restore(&saved).unwrap_err();
    assert!(error.to_string().contains("other groups"), "{error}");
}

/// A selector restored from another configuration's state would match neither run: it is refused for every differing
/// argument.
#[test]
fn the_state_of_a_selector_with_other_arguments_is_refused() {
    let goal = Goal::activation(0.25, 4);
    let make = |name: &str, params: &[(&str, f64)], goal, batch, seed| {
        let params: Vec<_> = params.iter().map(|(key, value)| (*key, (*value).into())).collect();
        Selector::new(Groups::none(SAMPLES), policy(name, &params).unwrap(), goal, batch, seed).unwrap()
    };
    let saved = make("pool-top", &[], goal, 32, 5).save().unwrap();
    make("pool-top", &[], goal, 32, 5).restore(&saved).unwrap();
    for mut other in [
        make("random", &[], goal, 32, 5),
        make("pool-top", &[("horizon", 1.0)], goal, 32, 5),
        make("pool-top", &[], Goal::activation(0.3, 4), 32, 5),
        make("pool-top", &[], Goal::budget(0.25, 4), 32, 5),
        make("pool-top", &[], goal, 16, 5),
        make("pool-top", &[], goal, 32, 6),
    ] {
        let error = other.restore(&saved).unwrap_err().to_string();
        assert!(error.contains("pool-top (every = 1, horizon = 3"), "{error}");
        let error = other.next_batch(&mut NoProbe).unwrap_err().to_string();
        assert!(error.contains("cannot continue"), "{error}");
    }
}

#[test]
fn damaged_bytes_are_refused() {
    let goal = Goal::activation(0.25, 4);
    let mut selector = selector("ast", goal);
    let batch = selector.next_batch(&mut NoProbe).unwrap().unwrap();
    train(&mut selector, batch);
    let saved = selector.save().unwrap();
    for i in (0..saved.len()).step_by(saved.len() / 200) {
        let mut broken = saved.clone();
        broken[i] ^= 4;
        assert!(self::selector("ast", goal).restore(&broken).is_err(), "{i}");
        assert!(self::selector("ast", goal).restore(&saved[..i]).is_err(), "{i}");
    }
    selector.restore(&saved).unwrap();
}

/// An error loses the policy's current decision. Continuing would give a different run.
#[test]
fn after_a_failed_probe_the_selector_refuses_to_continue() {
    struct Fails(u32);
    impl Probe for Fails {
        fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
            self.0 += 1;
            if self.0 == 3 { Err(ProbeError::Failed("out of memory".into())) } else { losses().score(request) }
        }
    }
    let (mut selector, mut probe) = (selector("selective-backprop", Goal::activation(0.25, 4)), Fails(0));
    let error = loop {
        match selector.next_batch(&mut probe) {
            Ok(batch) => train(&mut selector, batch.unwrap()),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("out of memory"), "{error}");
    assert!(matches!(selector.next_batch(&mut probe), Err(SelectError::Broken)));
}

#[test]
fn a_policy_that_probes_is_refused_before_the_first_step_without_a_probe() {
    let goal = Goal::activation(0.25, 40);
    let refused = |name: &str, params: &[(&str, &str)]| {
        let params: Vec<_> = params.iter().map(|(key, value)| (*key, (*value).into())).collect();
        let choice = policy(name, &params).unwrap();
        Selector::new(Groups::none(SAMPLES), choice, goal, BATCH, 5).unwrap().next_batch(&mut NoProbe).is_err()
    };
    for name in names() {
        let probes = selector(name, Goal::activation(0.25, 4)).policy().probes();
        assert_eq!(refused(name, &[]), probes, "{name}");
    }
    assert!(["importance", "original", "proxy"].into_iter().all(|name| refused(name, &[])));
    assert!(["ast", "pool-top", "curriculum"].into_iter().all(|name| refused(name, &[("source", "fresh")])));
}

/// What is the same in every run of a policy: the scorer it is about, how much of the run it is for, and whether it keeps its
/// target.
#[test]
fn every_policy_is_of_its_kind() {
    use RunLength::{Budget, Cut, Whole};
    use ScorerRule::{Any, Only, Prefer, Unused};
    let kinds = [
        ("ast", Any, Budget, true),
        ("curriculum", Prefer("loss"), Budget, true),
        ("dense", Unused, Whole, false),
        ("dense-stopped", Unused, Cut, true),
        ("fixed-threshold", Any, Budget, false),
        ("importance", Prefer("grad-norm"), Budget, true),
        ("infobatch", Unused, Budget, false),
        ("original", Unused, Budget, false),
        ("original-package", Only("loss-entropy"), Budget, false),
        ("pool-top", Any, Budget, true),
        ("proxy", Prefer("loss"), Budget, true),
        ("random", Unused, Budget, true),
        ("reducible", Only("reducible-loss"), Budget, true),
        ("selective-backprop", Prefer("loss"), Budget, true),
        ("static-el2n", Prefer("el2n"), Budget, true),
        ("static-random", Unused, Budget, true),
    ];
    for (name, scorer, run_length, keeps_target) in kinds {
        let chosen = selector(name, Goal::activation(0.25, 4)).policy().kind;
        assert_eq!(chosen, PolicyKind { scorer, run_length, keeps_target }, "{name}");
    }
}

/// Of one kind a policy is refused a limit, and of another it has one.
#[test]
fn a_policy_of_ones_own_may_be_of_any_kind() {
    let goal = Goal::activation(0.25, 4);
    let of = |run_length| {
        let kind = PolicyKind { run_length, ..PolicyKind::PLAIN };
        let policy = BoxedPolicy::new(kind, Faulty("none"));
        Selector::of(Groups::none(SAMPLES), policy, Goal { limit: Some(Limit::Fraction(0.25)), ..goal }, BATCH, 5)
    };
    assert!(matches!(of(RunLength::Whole), Err(SelectError::NoLimit)));
    let selector = of(RunLength::Budget).unwrap();
    assert_eq!(selector.stats(), SelectionStats::of(0.25), "the goal's target, which the policy says nothing of");
}

#[test]
fn invalid_costs_are_refused() {
    let cost = |step| PassCost { forward: 1, step };
    for (costs, named) in [
        (vec![], "at least one level"),
        (vec![cost(0)], "must cost more than 0"),
        (vec![cost(3), cost(0)], "must cost more than 0"),
        (vec![cost(u64::MAX)], "overflows"),
    ] {
        let error = selector("ast", Goal::budget(0.25, 20)).set_costs(costs).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    let mut begun = selector("random", Goal::budget(0.25, 20));
    let _batch = begun.next_batch(&mut NoProbe).unwrap();
    assert!(begun.set_costs(vec![cost(3)]).unwrap_err().to_string().contains("before the first batch"));
}

#[test]
fn invalid_goals_are_refused() {
    let make = |samples, name, goal| Selector::new(Groups::none(samples), policy(name, &[]).unwrap(), goal, BATCH, 5);
    let goal = Goal::activation(0.25, 4);
    assert!(matches!(make(0, "random", goal), Err(SelectError::Samples(0))));
    assert!(matches!(make(usize::MAX, "random", goal), Err(SelectError::Samples(usize::MAX))));
    assert!(matches!(make(10, "dense", Goal::budget(0.1, 4)), Err(SelectError::NoLimit)));
    for clock in [f64::NAN, -5.0, f64::INFINITY] {
        let error = make(10, "random", Goal::seconds(9.0, 0.25)).unwrap().next_batch(&mut Ticking(clock)).unwrap_err();
        assert!(error.to_string().contains("`Probe::seconds` returned"), "{error}");
    }
}

#[test]
fn batches_in_flight_may_be_recorded_in_any_order() {
    let mut selector = selector("ast", Goal::activation(0.25, 12));
    let mut batches: Vec<Batch> = (0..4).map(|_| selector.next_batch(&mut losses()).unwrap().unwrap()).collect();
    assert_eq!(selector.in_flight().len(), 4);
    let mut ids: Vec<SampleId> = batches.iter().flat_map(Batch::ids).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4 * BATCH, "no sample may be in two batches in flight");
    batches.swap(0, 3);
    for batch in batches {
        train(&mut selector, batch);
    }
    assert_eq!((selector.in_flight().len(), selector.counts().steps), (0, 4));
}

/// Whatever is in flight, the visits of a sample are numbered in the order in which it is accepted. A pass that scores a
/// sample sees it in the visit that it will have if it is accepted.
#[test]
fn visits_are_numbered_in_the_order_of_acceptance() {
    struct Numbers(BTreeMap<(SampleId, u32), u32>);
    impl Probe for Numbers {
        fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
            for visit in request.visits {
                self.0.insert((visit.id, visit.epoch), visit.earlier);
            }
            let loss: Vec<f32> = request.visits.iter().map(|visit| base(visit.id)).collect();
            Ok(Probed { score: loss.clone(), loss, cost: 1, skipped: false })
        }
        fn input_deviation(&mut self, ids: &[SampleId]) -> Result<Vec<f32>, ProbeError> {
            Ok(vec![0.25; ids.len()])
        }
    }
    for name in ["random", "ast", "dense", "selective-backprop", "original"] {
        let (mut selector, mut seen) = (selector(name, Goal::activation(0.4, 12)), vec![0; SAMPLES]);
        let (mut scored, mut flying) = (Numbers(BTreeMap::new()), VecDeque::new());
        while let Some(batch) = selector.next_batch(&mut scored).unwrap() {
            for visit in batch.visits() {
                let number = &mut seen[visit.id as usize];
                assert_eq!(visit.earlier, *number, "{name}: sample {}", visit.id);
                let scored = scored.0.get(&(visit.id, visit.epoch)).unwrap_or(number);
                assert_eq!(scored, number, "{name}: sample {} was scored as another visit", visit.id);
                *number += 1;
            }
            flying.push_back(batch);
            if flying.len() == 3 {
                train(&mut selector, flying.pop_front().unwrap());
            }
        }
        assert!(seen.iter().any(|visits| *visits > 3), "{name}");
        assert!(name != "original" || scored.0.len() > SAMPLES, "{name} scores what it offers");
    }
}

#[test]
fn an_outcome_of_another_length_is_refused_and_changes_nothing() {
    let mut selector = selector("random", Goal::activation(0.25, 12));
    let batch = selector.next_batch(&mut NoProbe).unwrap().unwrap();
    let before = selector.save().unwrap();
    let (full, short) = (vec![1.0; BATCH], vec![1.0; BATCH - 1]);
    for (score, loss, correct, column) in
        [(&short, &full, None, "score"), (&full, &short, None, "loss"), (&full, &full, Some(&[true; 3][..]), "correct")]
    {
        let error = selector.record(batch.clone(), &Outcome { score, loss, correct, worth: None }).unwrap_err();
        assert!(error.to_string().contains(column), "{error}");
    }
    assert_eq!(selector.save().unwrap(), before);
    let outcome = Outcome { score: &full, loss: &full, correct: None, ..Outcome::default() };
    selector.record(batch.clone(), &outcome).unwrap();
    assert!(matches!(selector.record(batch.clone(), &outcome), Err(SelectError::NotInFlight(0))));
    assert!(matches!(selector.skip(batch), Err(SelectError::NotInFlight(0))));
}

#[test]
fn a_skipped_step_is_spent_and_not_trained() {
    let mut selector = selector("random", Goal::activation(0.25, 12));
    let batch = selector.next_batch(&mut NoProbe).unwrap().unwrap();
    let ids = batch.ids();
    selector.skip(batch).unwrap();
    let counts = selector.counts();
    assert_eq!((counts.steps, counts.skipped, counts.trained, counts.wasted), (0, 1, 0, BATCH as u64));
    assert_eq!(counts.cost(), 3 * BATCH as u64);
    assert!(ids.iter().all(|id| selector.ledger().visits(*id) == 0));
}

/// The budget is a share of the dense run's cost, scoring included: a forward pass costs 1, a step 3.
#[test]
fn a_budget_is_spent_exactly() {
    for (name, fraction) in [("random", 0.2), ("ast", 0.3), ("original", 0.6), ("pool-top", 0.25)] {
        let mut selector = selector(name, Goal::budget(fraction, 12));
        while let Some(batch) = selector.next_batch(&mut losses()).unwrap() {
            train(&mut selector, batch);
        }
        let dense = (3 * 12 * SAMPLES) as f64;
        let spent = selector.counts().cost() as f64 / dense;
        // A whole chunk may be accepted at once.
        assert!((spent - fraction).abs() < (4 * BATCH) as f64 / dense, "{name}: {spent}");
    }
}

/// A clock that advances one second per batch.
struct Ticking(f64);

impl Probe for Ticking {
    fn score(&mut self, _: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
        Err(ProbeError::NotOffered("extra forward passes"))
    }
    fn seconds(&mut self) -> Result<f64, ProbeError> {
        Ok(self.0)
    }
}

#[test]
fn a_goal_in_seconds_ends_by_the_probe_s_clock() {
    let mut selector = selector("random", Goal::seconds(9.5, 0.25));
    let mut clock = Ticking(0.0);
    while let Some(batch) = selector.next_batch(&mut clock).unwrap() {
        assert!((batch.spent() - clock.0 / 9.5).abs() < 0.2);
        train(&mut selector, batch);
        clock.0 += 1.0;
    }
    // The batches that were already selected are still trained.
    assert!((10..=11).contains(&selector.counts().steps), "{}", selector.counts().steps);
}

#[test]
fn a_missing_probe_is_reported() {
    let error = |name, goal| {
        let mut selector = selector(name, goal);
        selector.next_batch(&mut NoProbe).unwrap_err().to_string()
    };
    assert!(error("original", Goal::activation(0.25, 12)).contains("extra forward passes"));
    assert!(error("random", Goal::seconds(9.0, 0.25)).contains("implement `Probe::seconds`"));
    let groups = || Groups::none(10);
    let refused =
        |goal, size| Selector::new(groups(), policy("random", &[]).unwrap(), goal, size, 0).err().unwrap().to_string();
    assert!(refused(Goal::activation(1.5, 12), 32).contains("the target = 1.5"));
    assert!(refused(Goal::activation(0.5, 12), 0).contains("batch size must be 1 or more"));
    assert!(policy("rndom", &[]).unwrap_err().to_string().contains("there are: ast"));
    assert!(policy("ast", &[("lamda", 0.8.into())]).unwrap_err().to_string().contains("lamda"));
}

/// The learning rate of a run that is cut off follows the schedule of the whole run: it is still high at the end.
#[test]
fn a_run_that_is_cut_off_follows_the_whole_runs_schedule() {
    let last = |name| {
        let (mut selector, mut spent) = (selector(name, Goal::activation(0.25, 12)), 0.0);
        while let Some(batch) = selector.next_batch(&mut NoProbe).unwrap() {
            spent = batch.spent();
            train(&mut selector, batch);
        }
        spent
    };
    assert!((last("dense-stopped") - 0.25).abs() < 0.01);
    assert!((last("random") - 1.0).abs() < 0.01);
}

/// A policy with one bug.
struct Faulty(&'static str);

impl Policy for Faulty {
    fn begin(&mut self, _: f64) -> f64 {
        if self.0 == "begin" { f64::NAN } else { 0.25 }
    }
    fn select(
        &mut self,
        offer: Offer<'_>,
        _: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        accepted.push(if self.0 == "select" { SAMPLES as SampleId } else { offer.candidates[0] });
        Ok(())
    }
    fn loss_weights(&self, offer: Offer<'_>, _: &[SampleId], _: &SelectionContext<'_>) -> Vec<f32> {
        match self.0 {
            "loss_weights, too few" => vec![1.0],
            "loss_weights, zero" => vec![0.0; offer.coverage.len() + 1],
            _ => Vec::new(),
        }
    }
    fn levels(&self, offer: Offer<'_>, _: &[SampleId], _: &SelectionContext<'_>) -> Vec<Level> {
        if self.0 == "levels" { vec![0; offer.coverage.len()] } else { Vec::new() }
    }
}

#[test]
fn an_invalid_decision_of_a_policy_is_reported() {
    let first = |fault| {
        let goal = Goal::activation(0.25, 4);
        let mut selector = Selector::of(Groups::none(SAMPLES), Faulty(fault), goal, BATCH, 5).unwrap();
        selector.next_batch(&mut NoProbe)
    };
    assert!(first("none").unwrap().is_some());
    for fault in ["begin", "select", "loss_weights, too few", "loss_weights, zero", "levels"] {
        let error = first(fault).unwrap_err().to_string();
        assert!(error.contains(&format!("`{}`", fault.split(',').next().unwrap())), "{error}");
    }
}

/// A policy with two levels, a small and a large image size.
struct TwoSizes {
    large_from: f64,
}

impl Policy for TwoSizes {
    fn begin(&mut self, _: f64) -> f64 {
        0.25
    }
    fn select(
        &mut self,
        offer: Offer<'_>,
        _: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        accepted.extend(offer.candidates.iter().take(2));
        Ok(())
    }
    /// Small images until half of the budget is spent; then every third image is large.
    fn levels(&self, offer: Offer<'_>, accepted: &[SampleId], context: &SelectionContext<'_>) -> Vec<Level> {
        let late = context.spent >= self.large_from;
        (0..offer.coverage.len() + accepted.len()).map(|i| Level::from(late && i % 3 == 0)).collect()
    }
}

#[test]
fn a_policy_may_use_two_levels() {
    let two_sizes = || TwoSizes { large_from: 0.5 };
    let goal = Goal { target: 0.25, ..Goal::budget(0.3, 12) };
    let mut selector = Selector::of(Groups::none(SAMPLES), two_sizes(), goal, BATCH, 5).unwrap();
    selector.set_costs(vec![PassCost { forward: 10, step: 30 }, PassCost { forward: 40, step: 120 }]).unwrap();
    let (mut cost, mut steps, mut queue_order) = (0, [0, 0], VecDeque::new());
    while let Some(batch) = selector.next_batch(&mut NoProbe).unwrap() {
        let level = usize::from(batch.level());
        assert!(level < 2);
        cost += batch.len() as u64 * [30, 120][level];
        steps[level] += 1;
        queue_order.push_back((level, batch.len()));
        train(&mut selector, batch);
    }
    assert_eq!(selector.counts().cost(), cost);
    let dense = (30 * 12 * SAMPLES) as f64;
    assert!((cost as f64 / dense - 0.3).abs() < 0.02, "{}", cost as f64 / dense);
    assert!(steps[0] > steps[1] && steps[1] > 3, "{steps:?}");
    // Only the last batch of a level may be smaller.
    let short: Vec<_> = queue_order.iter().filter(|(_, size)| *size < BATCH).collect();
    assert!(short.len() <= 2, "{short:?}");

    // The cost of level 1 was not set.
    let mut unknown = Selector::of(Groups::none(SAMPLES), two_sizes(), goal, BATCH, 5).unwrap();
    let error = loop {
        match unknown.next_batch(&mut NoProbe) {
            Ok(Some(batch)) => train(&mut unknown, batch),
            Ok(None) => panic!("the policy uses level 1"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("level 1") && error.contains("set_costs"), "{error}");
}

/// A selector with a small, a middle and the full level (0), whose samples cost 1, 2 and 4 thirds of a forward pass.
fn staged(name: &str, goal: Goal) -> Selector {
    let mut selector = selector(name, goal);
    let cost = |step| PassCost { forward: step / 3, step };
    selector.set_costs(vec![cost(12), cost(3), cost(6)]).unwrap();
    let stage = |level, share| Stage { level, share };
    selector.set_stages(vec![stage(1, 0.3), stage(2, 0.4), stage(0, 0.3)]).unwrap();
    selector
}

/// The level follows the share spent, for every policy. No batch of an earlier level comes after one of a later level, only
/// the last batch is smaller, and each sample is charged at the level at which it is trained.
#[test]
fn stages_follow_the_budget_for_every_policy() {
    for name in names() {
        for goal in [Goal::activation(0.4, 12), Goal::budget(0.5, 12)] {
            if goal.limit.is_some()
                && selector(name, Goal::activation(0.4, 12)).policy().kind.run_length == RunLength::Whole
            {
                continue;
            }
            let (mut selector, mut probe) = (staged(name, goal), losses());
            let (mut stages, mut cost, mut sizes) = (Vec::new(), 0, Vec::new());
            while let Some(batch) = selector.next_batch(&mut probe).unwrap() {
                let stage = [2, 0, 1][usize::from(batch.level())];
                stages.push((stage, batch.spent()));
                cost += batch.len() as u64 * [12, 3, 6][usize::from(batch.level())];
                sizes.push(batch.len());
                train(&mut selector, batch);
            }
            assert!(stages.is_sorted_by_key(|(stage, _)| *stage), "{name}: {stages:?}");
            assert!(sizes[..sizes.len() - 1].iter().all(|size| *size == BATCH), "{name}: {sizes:?}");
            let counts = selector.counts();
            assert_eq!((counts.training_cost, counts.accepted_cost), (cost, cost), "{name}");
            // A cut run (`dense-stopped`) stops in its second stage. A batch may cross the border between two stages.
            let cut = selector.policy().kind.run_length == RunLength::Cut;
            assert_eq!(stages.last().unwrap().0, if cut { 1 } else { 2 }, "{name}");
            for (stage, spent) in stages {
                let (from, to) = [(0.0, 0.3), (0.3, 0.7), (0.7, 1.0)][stage];
                assert!(spent > from - 0.1 && spent < to + 0.1, "{name}: stage {stage} at {spent}");
            }
            let Some(Limit::Fraction(fraction)) = goal.limit else { continue };
            let spent = counts.cost() as f64 / (12 * SAMPLES * 12) as f64;
            assert!((spent - fraction).abs() < 0.03, "{name}: {spent}");
        }
    }
}

/// Samples that wait when a stage ends are trained, and charged, at the level of the next.
#[test]
fn what_waits_at_the_end_of_a_stage_moves_to_the_next() {
    // A nominal epoch offers 900 samples in chunks of 32, of which about a quarter are accepted: batches fill over chunks.
    let (mut selector, mut levels) = (staged("random", Goal::activation(0.27, 4)), Vec::new());
    while let Some(batch) = selector.next_batch(&mut NoProbe).unwrap() {
        levels.push((batch.level(), batch.len()));
        train(&mut selector, batch);
    }
    let trained: usize = levels.iter().map(|(_, samples)| samples).sum();
    assert_eq!(trained as u64, selector.counts().offered * 27 / 100);
    assert!(!trained.is_multiple_of(BATCH), "the last batch is smaller");
    assert_eq!(levels.last().map(|(level, _)| *level), Some(0));
    assert_eq!(levels.iter().filter(|(_, samples)| *samples < BATCH).count(), 1, "{levels:?}");
}

/// A selector that is restored in the middle of a stage goes through the same stages.
#[test]
fn stages_continue_from_a_saved_state() {
    for name in ["ast", "random", "dense", "pool-top"] {
        let goal = Goal::activation(0.4, 12);
        let expected = run(staged(name, goal), |selector, _| selector);
        let again = run(staged(name, goal), |selector, _| {
            let saved = selector.save().unwrap();
            let mut again = staged(name, goal);
            again.restore(&saved).unwrap();
            again
        });
        assert_eq!(again, expected, "{name}");
        let saved = staged(name, goal).save().unwrap();
        let error = selector(name, goal).restore(&saved).unwrap_err().to_string();
        assert!(error.contains("level 1 for 0.3 of the budget"), "{error}");
    }
}

/// A policy's own levels stay, whatever the stage.
#[test]
fn levels_that_a_policy_names_are_not_moved() {
    let selector = |staged: bool| {
        let policy = TwoSizes { large_from: 0.5 };
        let mut selector = Selector::of(Groups::none(SAMPLES), policy, Goal::activation(0.3, 10), BATCH, 5).unwrap();
        selector.set_costs(vec![PassCost { forward: 1, step: 3 }; 3]).unwrap();
        if staged {
            let stage = |level| Stage { level, share: 0.5 };
            selector.set_stages(vec![stage(1), stage(2)]).unwrap();
        }
        let mut levels = Vec::new();
        while let Some(batch) = selector.next_batch(&mut NoProbe).unwrap() {
            levels.push((batch.level(), batch.ids()));
            train(&mut selector, batch);
        }
        levels
    };
    assert_eq!(selector(true), selector(false));
}

/// A pass over candidates is made at the level of the stage.
#[test]
fn probes_are_made_at_the_level_of_the_stage() {
    struct Levels(Vec<Level>);
    impl Probe for Levels {
        fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
            self.0.push(request.level);
            losses().score(request)
        }
    }
    let mut probe = Levels(Vec::new());
    let goal = Goal::activation(0.4, 12);
    let params = vec![("lambda", 0.8.into()), ("source", "fresh".into())];
    let groups = Groups::of((0..SAMPLES).map(|i| i % 10)).unwrap();
    let mut selector = Selector::new(groups, policy("ast", &params).unwrap(), goal, BATCH, 5).unwrap();
    selector.set_costs(vec![PassCost { forward: 1, step: 3 }; 2]).unwrap();
    selector.set_stages(vec![Stage { level: 1, share: 0.5 }, Stage { level: 0, share: 0.5 }]).unwrap();
    while let Some(batch) = selector.next_batch(&mut probe).unwrap() {
        train(&mut selector, batch);
    }
    assert!(probe.0.is_sorted_by_key(|level| *level != 1), "{:?}", probe.0);
    assert!(probe.0.contains(&1) && probe.0.contains(&0));
}

#[test]
fn impossible_or_late_stages_are_refused() {
    let stage = |level| Stage { level, share: 1.0 };
    let mut selector = selector("random", Goal::activation(0.4, 12));
    assert!(selector.set_stages(vec![stage(1)]).unwrap_err().to_string().contains("a cost"));
    let batch = selector.next_batch(&mut NoProbe).unwrap().unwrap();
    train(&mut selector, batch);
    assert!(selector.set_stages(vec![stage(0)]).unwrap_err().to_string().contains("before the first batch"));
}

/// A warm-up trains every offered sample for its share of the budget and to within a chunk, for every policy; the whole run
/// costs the same, and continues exactly from a state saved within the warm-up or after it.
#[test]
fn every_policy_can_begin_with_a_warm_up() {
    let goal = Goal::budget(0.25, 12);
    let (whole, batch) = ((SAMPLES * 12) as f64, BATCH as f64);
    for name in names().into_iter().filter(|name| *name != "dense") {
        let made = || {
            let mut selector = selector(name, goal);
            selector.set_warm_up(0.4).unwrap();
            selector
        };
        let (mut all, mut warm) = (0, 0);
        let expected = run(made(), |selector, _| {
            let Some(batch) = selector.in_flight().front() else { return selector };
            all += batch.len();
            warm += if batch.stats().target == 1.0 && name != "dense-stopped" { batch.len() } else { 0 };
            selector
        });
        if name != "dense-stopped" {
            let expected = 0.4 * 0.25 * whole;
            assert!((warm as f64 - expected).abs() <= 3.0 * batch, "{name}: {warm} of {all}, {expected}");
        }
        let again = run(made(), |old, steps| {
            if !steps.is_multiple_of(7) {
                return old;
            }
            let mut fresh = made();
            fresh.restore(&old.save().unwrap()).unwrap();
            fresh
        });
        assert_eq!(again, expected, "{name}");
        let mut other = selector(name, goal);
        assert!(other.restore(&made().save().unwrap()).is_err(), "{name}: a selector without a warm-up is another");
    }
}

/// What `random` trains on is one sequence, whatever part of it is a warm-up, which may end within an epoch.
#[test]
fn a_warm_up_changes_neither_samples_nor_order_of_random() {
    let ids = |warm_up: f64| {
        let mut selector = selector("random", Goal::budget(0.25, 12));
        selector.set_warm_up(warm_up).unwrap();
        let mut ids = Vec::new();
        while let Some(batch) = selector.next_batch(&mut NoProbe).unwrap() {
            ids.extend(batch.ids());
            train(&mut selector, batch);
        }
        ids
    };
    let expected = ids(0.0);
    for warm_up in [0.01, 0.1, 0.34, 0.5, 0.99, 1.0] {
        let ids = ids(warm_up);
        let both = ids.len().min(expected.len());
        assert_eq!(ids[..both], expected[..both], "{warm_up}");
        assert!(ids.len().abs_diff(expected.len()) <= BATCH, "{warm_up}: {} {}", ids.len(), expected.len());
    }
}

/// Without a limit the run trains as much as without a warm-up, and offers less.
#[test]
fn a_warm_up_without_a_limit_costs_nothing() {
    let mut selector = selector("random", Goal::activation(0.2, 8));
    selector.set_warm_up(0.25).unwrap();
    while let Some(batch) = selector.next_batch(&mut NoProbe).unwrap() {
        train(&mut selector, batch);
    }
    let [trained, offered] = [selector.counts().trained, selector.counts().offered];
    let expected = (0.2 * 8.0 * SAMPLES as f64) as u64;
    assert!(trained.abs_diff(expected) <= BATCH as u64, "{trained}");
    // A quarter of them was offered alone, the rest one in five.
    let expected = ((0.25 + 0.75 / 0.2) * 0.2 * 8.0 * SAMPLES as f64) as u64;
    assert!(offered.abs_diff(expected) <= 6 * BATCH as u64, "{offered} {expected}");
    assert!(selector.set_warm_up(0.1).unwrap_err().to_string().contains("before the first batch"));
    let mut fresh = self::selector("random", Goal::activation(0.2, 8));
    for share in [-0.1, 1.1, f64::NAN] {
        assert!(fresh.set_warm_up(share).unwrap_err().to_string().contains("0..=1"));
    }
}

/// Runs a policy in which a pass on a sample is worth `worth` of its id, plus noise, to the others. Returns the ids in the
/// order of training, and the visits of each sample. After every so many samples the selector is made again from its bytes.
fn guarded(name: &str, seed: u64, every: usize, worth: impl Fn(SampleId) -> f32) -> (Vec<SampleId>, Vec<u16>) {
    let params = if name == "ast" { vec![("lambda", 0.8.into())] } else { vec![] };
    let groups = Groups::of((0..SAMPLES).map(|i| i % 10)).unwrap();
    let made = || {
        let policy = policy(name, &params).unwrap();
        Selector::new(groups.clone(), policy, Goal::activation(0.25, 40), BATCH, seed).unwrap()
    };
    let (mut selector, mut ids) = (made(), Vec::new());
    while let Some(batch) = selector.next_batch(&mut NoProbe).unwrap() {
        let loss: Vec<f32> = batch.ids().into_iter().map(base).collect();
        let mut noise = Random::new(seed).stream(Purpose::Data, ids.len() as u64, 0);
        let worth: Vec<f32> = batch.ids().into_iter().map(|id| worth(id) + 2.0 * noise.normal() as f32).collect();
        ids.extend(batch.ids());
        let worth = Some(worth.as_slice());
        selector.record(batch, &Outcome { score: &loss, loss: &loss, worth, ..Outcome::default() }).unwrap();
        if ids.len().is_multiple_of(every) {
            let saved = selector.save().unwrap();
            selector = made();
            selector.restore(&saved).unwrap();
        }
    }
    let visits = (0..SAMPLES as SampleId).map(|id| selector.ledger().visits(id)).collect();
    (ids, visits)
}

/// Where a pass on a sample does not help the others, `ast` is `random`, sample for sample, in every seed. Where it does,
/// it is not.
#[test]
fn ast_is_random_until_passes_are_shown_to_help_others() {
    for seed in 0..8 {
        let random = guarded("random", seed, usize::MAX, |_| 0.0).0;
        assert!(guarded("ast", seed, usize::MAX, |_| -0.1).0 == random, "seed {seed}");
        assert!(guarded("ast", seed, usize::MAX, |_| 1.0).0 != random, "seed {seed}");
    }
}

/// Where passes on the highest scores make the others worse, as with wrong labels, `ast` gives them no more visits than
/// coverage does. Where they help as much as others they get the most.
#[test]
fn ast_holds_back_scores_that_are_worth_nothing() {
    let is_high = |id: SampleId| base(id) > 3.5; // an eighth of 0.01..4.01
    let mean = |visits: &[u16], high: bool| {
        let of = (0..).zip(visits).filter(|(id, _)| is_high(*id) == high).map(|(_, visits)| f64::from(*visits));
        of.clone().sum::<f64>() / of.count() as f64
    };
    let worth = |id| if is_high(id) { -1.0 } else { 1.0 };
    let (ids, contradicted) = guarded("ast", 5, usize::MAX, worth);
    assert!(guarded("ast", 5, 5 * BATCH, worth).0 == ids, "a restored selector goes on the same");
    let (_, fit) = guarded("ast", 5, usize::MAX, |_| 1.0);
    // Ten visits on average; coverage gives about five.
    assert!(mean(&contradicted, true) < 7.0 && mean(&contradicted, false) > 10.0, "{}", mean(&contradicted, true));
    assert!(mean(&fit, true) > 14.0, "{}", mean(&fit, true));
}
