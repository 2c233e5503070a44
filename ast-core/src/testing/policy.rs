use super::{KnownLosses, realised_rate};
use crate::select::{Batch, BoxedPolicy, Goal, Groups, NoProbe, Outcome, RunLength, SampleId, Selector, Visit};

const SAMPLES: usize = 600;
const BATCH: usize = 32;
const EPOCHS: u32 = 8;

fn losses() -> KnownLosses {
    KnownLosses((0..SAMPLES as SampleId).map(|id| (id * 7919 % 1009) as f32 / 250.0 + 0.01).collect())
}

fn selector(build: &dyn Fn(Goal) -> BoxedPolicy) -> Selector {
    let (goal, groups) = (Goal::activation(0.25, EPOCHS), Groups::of((0..SAMPLES).map(|i| i % 10)));
    Selector::of(groups.expect("ten groups"), build(goal), goal, BATCH, 5).expect("the goal is valid")
}

/// Trains on a batch: a sample's loss falls with each visit.
fn train(selector: &mut Selector, batch: Batch) {
    let known = losses().0;
    let loss = |id: SampleId| known[id as usize] / (1.0 + f32::from(selector.ledger().visits(id)));
    let loss: Vec<f32> = batch.ids().into_iter().map(loss).collect();
    let correct: Vec<bool> = loss.iter().map(|loss| *loss < 1.0).collect();
    selector
        .record(batch, &Outcome { score: &loss, loss: &loss, correct: Some(&correct), ..Outcome::default() })
        .expect("the batch is in flight");
}

/// All visits of a run, in order. Every `every` steps the selector is replaced by a new one that restores its saved
/// state.
fn visits(build: &dyn Fn(Goal) -> BoxedPolicy, every: u64) -> Vec<Visit> {
    let (mut selector, mut losses, mut visits) = (selector(build), losses(), Vec::new());
    while let Some(batch) = selector.next_batch(&mut losses).expect("the policy decides") {
        visits.extend(batch.visits());
        train(&mut selector, batch);
        if selector.counts().steps.is_multiple_of(every) {
            let saved = selector.save().expect("it can be saved");
            selector = self::selector(build);
            selector.restore(&saved).expect("it can be restored");
            assert_eq!(selector.save().expect("again"), saved, "saving after a restore must give the same bytes");
        }
    }
    visits
}

/// Checks the contract that every policy keeps. Call it from a test of your crate. `build` makes the policy for a goal: a
/// [`BoxedPolicy`], or a policy of the [plain](crate::select::PolicyKind::PLAIN) kind.
///
/// * The same seed selects the same samples.
/// * A run that is saved and restored continues with the same samples.
/// * A policy that [keeps its target](crate::select::PolicyKind::keeps_target) meets it to within chance, for distinct losses, equal
///   losses and a tenth of NaN.
/// * A policy asks for extra passes only if it says that it [`probes`](crate::select::Policy::probes).
///
/// # Panics
/// If the policy breaks the contract; the message says how.
pub fn check_policy<P: Into<BoxedPolicy>>(build: impl Fn(Goal) -> P) {
    let build = |goal| build(goal).into();
    let once = visits(&build, u64::MAX);
    assert!(!once.is_empty(), "the policy accepted no sample in the whole run");
    assert!(once == visits(&build, u64::MAX), "the same seed and the same outcomes must give the same samples");
    assert!(once == visits(&build, 5), "a restored run must continue as if it had not been interrupted");

    let mut blind = selector(&build);
    let probes = blind.policy().probes();
    while let Ok(Some(batch)) = blind.next_batch(&mut NoProbe) {
        assert!(!probes, "a policy that probes must be refused before the first step of a loop without a probe");
        train(&mut blind, batch);
    }
    let finished = blind.counts().offered == selector(&build).goal().epochs as u64 * SAMPLES as u64;
    let cut = blind.policy().kind.run_length == RunLength::Cut;
    assert!(probes || finished || cut, "the policy asks for extra passes, but its `probes` says that it does not");

    for what in ["distinct", "equal", "partly NaN"] {
        let loss = |i: usize| match what {
            "equal" => 1.0,
            "partly NaN" if i % 10 == 3 => f32::NAN,
            _ => (i * 7919 % 1009) as f32,
        };
        let scores: Vec<f32> = (0..1500).map(loss).collect();
        for target in [0.1, 0.25, 0.7, 1.0] {
            // A tenth needs a long run, to tell it from 3 in 32, which rounding down would give.
            let epochs = if what == "distinct" && target == 0.1 { 300 } else { 20 };
            // A sample whose loss is NaN cannot be selected: a tenth of the samples is out of reach.
            let target = if what == "partly NaN" { 0.8 * target } else { target };
            let policy = build(Goal::activation(target, epochs));
            if !policy.kind.keeps_target || policy.kind.run_length != RunLength::Budget {
                continue;
            }
            let rate = realised_rate(policy, &scores, epochs).expect("the policy decides");
            let chance = 5.0 * (target * (1.0 - target) / (f64::from(epochs) * scores.len() as f64)).sqrt();
            let tolerance = chance + 1.0 / scores.len() as f64 + 0.03 * target;
            let off = (rate - target).abs();
            assert!(off < tolerance, "activation rate {rate:.4}, target {target:.4} ({what} losses)");
        }
    }
}
