use super::{KnownLosses, realised_rate};
use crate::select::{Batch, Goal, Groups, NoProbe, Outcome, Policy, RunLength, SampleId, Selector, Visit};

const SAMPLES: usize = 600;
const BATCH: usize = 32;
const EPOCHS: u32 = 8;

fn losses() -> KnownLosses {
    KnownLosses((0..SAMPLES as SampleId).map(|id| (id * 7919 % 1009) as f32 / 250.0 + 0.01).collect())
}

fn selector(build: &dyn Fn(Goal) -> Box<dyn Policy>) -> Selector {
    let (goal, groups) = (Goal::activation(0.25, EPOCHS), Groups::of((0..SAMPLES).map(|i| i % 10)));
    Selector::of(groups.expect("ten groups"), build(goal), goal, BATCH, 5).expect("the goal can be had")
}

/// Losses fall each time that a sample is trained on.
fn train(selector: &mut Selector, batch: Batch) {
    let known = losses().0;
    let loss = |id: SampleId| known[id as usize] / (1.0 + f32::from(selector.ledger().visits(id)));
    let loss: Vec<f32> = batch.ids().into_iter().map(loss).collect();
    let correct: Vec<bool> = loss.iter().map(|loss| *loss < 1.0).collect();
    selector.record(batch, &Outcome { score: &loss, loss: &loss, correct: Some(&correct) }).expect("it is in flight");
}

/// What is trained on, in order; every `every`-th step a fresh selector goes on from what the one before has saved.
fn visits(build: &dyn Fn(Goal) -> Box<dyn Policy>, every: u64) -> Vec<Visit> {
    let (mut selector, mut losses, mut visits) = (selector(build), losses(), Vec::new());
    while let Some(batch) = selector.next_batch(&mut losses).expect("the policy decides") {
        visits.extend(batch.visits());
        train(&mut selector, batch);
        if selector.counts().steps.is_multiple_of(every) {
            let saved = selector.save().expect("it can be saved");
            selector = self::selector(build);
            selector.restore(&saved).expect("it can be put back");
            assert_eq!(selector.save().expect("again"), saved, "what is put back is what was saved");
        }
    }
    visits
}

/// The contract that every policy keeps, ours and yours: call it from a test of your crate. `build` makes one for a goal.
///
/// The same run gives the same samples; a run that is saved and put back goes on to the same samples; where the policy says
/// that it keeps its target, it does, to within chance, for losses that are distinct, equal, or NaN for a few; and it asks for
/// extra passes only if it says that it [`probes`](Policy::probes).
///
/// # Panics
/// If the contract is broken, saying how.
pub fn check_policy(build: impl Fn(Goal) -> Box<dyn Policy>) {
    let once = visits(&build, u64::MAX);
    assert!(!once.is_empty(), "it lets nothing through");
    assert!(once == visits(&build, u64::MAX), "the same seed and the same outcomes must give the same samples");
    assert!(once == visits(&build, 5), "a run that is put back must go on as if it had never stopped");

    let mut blind = selector(&build);
    let probes = blind.policy().probes();
    while let Ok(Some(batch)) = blind.next_batch(&mut NoProbe) {
        assert!(!probes, "a loop without passes is refused before the first step");
        train(&mut blind, batch);
    }
    let finished = blind.counts().offered == selector(&build).goal().epochs as u64 * SAMPLES as u64;
    let cut = blind.policy().run_length() == RunLength::Cut;
    assert!(probes || finished || cut, "it asks for passes and does not say that it `probes`");

    for what in ["distinct", "equal", "partly NaN"] {
        let loss = |i: usize| match what {
            "equal" => 1.0,
            "partly NaN" if i % 10 == 3 => f32::NAN,
            _ => (i * 7919 % 1009) as f32,
        };
        let scores: Vec<f32> = (0..1500).map(loss).collect();
        for target in [0.1, 0.25, 0.7, 1.0] {
            // Long enough once to tell a tenth from the 3 in 32 that rounding down makes of it.
            let epochs = if what == "distinct" && target == 0.1 { 300 } else { 20 };
            // What scores NaN cannot be chosen by it: a tenth of the samples is out of reach.
            let target = if what == "partly NaN" { 0.8 * target } else { target };
            let policy = build(Goal::activation(target, epochs));
            if !policy.keeps_target() || policy.run_length() != RunLength::Budget {
                continue;
            }
            let rate = realised_rate(policy, &scores, epochs).expect("the policy decides");
            let chance = 5.0 * (target * (1.0 - target) / (f64::from(epochs) * scores.len() as f64)).sqrt();
            let tolerance = chance + 1.0 / scores.len() as f64 + 0.03 * target;
            let off = (rate - target).abs();
            assert!(
                off < tolerance,
                "{rate:.4} of what is offered is trained, {target:.4} was promised ({what} losses)"
            );
        }
    }
}
