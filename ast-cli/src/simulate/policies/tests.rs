//! Policies compared with the controllers themselves, closed forms and direct implementations.

use ast_control::{Controller, OriginalController, Setpoint};

use super::super::case::{Case, FALL, MEAN, Size};
use super::*;
use crate::args::CaseName;

const TARGET: f64 = 0.1;
/// Share of the samples trained unconditionally.
const COVERAGE: f64 = (1.0 - LAMBDA) * TARGET;
const SIZE: Size = Size { target: TARGET, chunk: 128, chunks: 600, seed: 0 };

fn case(name: CaseName, seed: u64) -> Case {
    Case::named(name, Size { seed, ..SIZE }).next().unwrap()
}

fn trace(name: &str, case: &Case) -> Vec<Turn> {
    turns(name, case, PiConfig::default()).unwrap()
}

fn rates(turns: &[Turn]) -> f64 {
    turns.iter().map(|turn| turn.rate).sum::<f64>() / turns.len() as f64
}

/// For the same rates, the thresholds of a policy equal those of the controller in `ast-control`, bit for bit.
#[test]
fn thresholds_equal_those_of_the_controllers() {
    for name in [CaseName::Start, CaseName::Drift, CaseName::Saturation, CaseName::Swap] {
        let case = case(name, 3);
        let answers = |policy: &str, controller: &mut dyn Controller, bias: f64| {
            for turn in trace(policy, &case) {
                let answer = controller.update(turn.rate, Setpoint { target: TARGET, bias }).unwrap();
                assert_eq!(turn.threshold, answer.threshold, "{policy}, {name:?}");
            }
        };
        let bias = 1.0 - LAMBDA * TARGET / (1.0 - COVERAGE);
        answers("ast", &mut PiConfig::default().check(1.0 - COVERAGE).unwrap(), bias);
        answers("original", &mut OriginalController::default(), 0.0);
        assert!(trace("quantile", &case).iter().all(|turn| turn.threshold == bias), "{name:?}");
    }
}

/// The guarantee for chunks of 128: the mean over chunks 100 to 300 is within half a point of the target, also after a
/// step of the target.
#[test]
fn ast_holds_the_target() {
    for seed in 0..5 {
        for name in [CaseName::Start, CaseName::Drift] {
            let mean = rates(&trace("ast", &case(name, seed))[100..300]);
            assert!((mean - TARGET).abs() < 0.005, "{name:?} {seed}: {mean}");
        }
        let mean = rates(&trace("ast", &case(CaseName::Step, seed))[400..]);
        assert!((mean - 0.3).abs() < 0.005, "step {seed}: {mean}");
    }
}

/// A share `exp(-threshold/m)` of exponential scores with mean `m` reaches the threshold. If none of 128 does, one is
/// trained.
#[test]
fn a_fixed_threshold_drifts_as_computed() {
    for seed in 0..5 {
        let turns = trace("fixed-threshold", &case(CaseName::Drift, seed));
        let threshold = turns[599].threshold;
        let share = |k: usize| (-threshold / (MEAN * FALL.powf(-(k as f64) / 600.0))).exp();
        let expected = |k: usize| share(k) + (1.0 - share(k)).powi(128) / 128.0;
        for stretch in [8..100, 200..300, 400..600] {
            let computed = stretch.clone().map(expected).sum::<f64>() / stretch.len() as f64;
            let error = (computed / (128 * stretch.len()) as f64).sqrt();
            let counted = rates(&turns[stretch]);
            assert!((counted - computed).abs() < 4.0 * error, "{seed}: {counted} {computed} +- {error}");
        }
    }
}

/// The constant is the quantile of the first 1,024 scores in the order of the offers. Within a chunk that order is
/// random, so these are eight whole chunks. For another target it is another quantile of the same scores.
#[test]
fn the_constant_is_a_quantile_of_the_first_scores() {
    let case = case(CaseName::Step, 1);
    let turns = trace("fixed-threshold", &case);
    let mut first: Vec<f32> = case.chunks[..8].iter().flat_map(|chunk| chunk.scores.clone()).collect();
    first.sort_by(f32::total_cmp);
    for (chunk, target) in [(7, TARGET), (299, TARGET), (300, 0.3), (599, 0.3)] {
        let expected = first[((1.0 - target) * 1024.0_f64).ceil() as usize - 1];
        assert_eq!(turns[chunk].threshold, f64::from(expected), "chunk {chunk}");
    }
}

/// Scores that fall exponentially always have the same ranks among the scores just before them, so feed-forward stays
/// right.
#[test]
fn ranks_do_not_depend_on_a_drift() {
    let mean = (0..5).map(|seed| rates(&trace("quantile", &case(CaseName::Drift, seed))[100..])).sum::<f64>() / 5.0;
    assert!((mean - TARGET).abs() < 0.002, "{mean}");
}

/// With 5 % of the candidates free, `ast` opens its gate and trains coverage and every free sample. Feed-forward alone
/// lets through its usual share, of which 5 % are free. Within 40 chunks after the end, `ast` is back at the target.
#[test]
fn ast_trains_all_free_samples_and_recovers() {
    let free = TARGET / 2.0;
    for seed in 0..5 {
        let case = case(CaseName::Saturation, seed);
        let (ast, quantile) = (trace("ast", &case), trace("quantile", &case));
        let (open, as_always) = (COVERAGE + (1.0 - COVERAGE) * free, COVERAGE + LAMBDA * TARGET * free);
        assert!(ast[399].threshold < 0.05, "{:?}", ast[399]);
        assert!((rates(&ast[300..400]) - open).abs() < 0.01, "{seed}: {} {open}", rates(&ast[300..400]));
        let counted = rates(&quantile[200..400]);
        assert!((counted - as_always).abs() < 0.003, "{seed}: {counted} {as_always}");
        assert!((rates(&ast[440..]) - TARGET).abs() < 0.005, "{seed}: {}", rates(&ast[440..]));
    }
}

/// No score of the second scorer reaches the threshold calibrated on the first, so one of 128 is trained.
#[test]
fn a_fixed_threshold_fails_after_a_swap() {
    let turns = trace("fixed-threshold", &case(CaseName::Swap, 0));
    assert!(turns[599].threshold > 1.0);
    assert!(turns[300..].iter().all(|turn| turn.rate == 1.0 / 128.0));
}
