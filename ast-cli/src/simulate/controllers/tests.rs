//! Against closed forms and plain definitions.

use super::super::case::{FALL, MEAN, Size};
use super::*;
use crate::args::CaseName;

const SIZE: Size = Size { target: 0.1, chunk: 128, chunks: 600, seed: 0 };

fn case(name: CaseName, seed: u64) -> Case {
    Case::named(name, Size { seed, ..SIZE }).next().unwrap()
}

fn rates(turns: &[Turn]) -> f64 {
    turns.iter().map(|turn| turn.rate).sum::<f64>() / turns.len() as f64
}

fn default_pi(case: &Case) -> Vec<Turn> {
    pi(case, PiConfig::default()).unwrap()
}

/// The promise for a chunk of 128: the mean over chunks 100 to 300 within half a point of the target. The target of a step
/// is held as well.
#[test]
fn pi_holds_the_target() {
    for seed in 0..5 {
        for name in [CaseName::Start, CaseName::Drift] {
            let mean = rates(&default_pi(&case(name, seed))[100..300]);
            assert!((mean - 0.1).abs() < 0.005, "{name:?} {seed}: {mean}");
        }
        let mean = rates(&default_pi(&case(CaseName::Step, seed))[400..]);
        assert!((mean - 0.3).abs() < 0.005, "step {seed}: {mean}");
    }
}

/// Of exponential scores with mean `m` a share `exp(-threshold/m)` reaches the threshold; where none of 128 does, one is taken.
#[test]
fn a_fixed_threshold_loses_the_drift_as_computed() {
    for seed in 0..5 {
        let turns = fixed(&case(CaseName::Drift, seed));
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

/// The window trails the drift: its quantile is that of a mixture of the last 32 chunks, too high for the newest.
#[test]
fn the_quantile_lags_behind_the_drift_as_computed() {
    let scale = |k: f64| MEAN * FALL.powf(-k / 600.0);
    let above = |threshold: f64| (0..32).map(|j| (-threshold / scale(f64::from(-j))).exp()).sum::<f64>() / 32.0;
    let (mut low, mut high) = (0.0, 100.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if above(middle) > 0.1 { low = middle } else { high = middle }
    }
    let expected = (-low / MEAN).exp();
    assert!((0.08..0.095).contains(&expected), "{expected}");
    let mean = (0..5).map(|seed| rates(&quantile(&case(CaseName::Drift, seed))[100..])).sum::<f64>() / 5.0;
    assert!((mean - expected).abs() < 0.002, "{mean} {expected}");
}

/// Sorts the last 4,096 scores anew and counts; the score at the quantile itself passes by chance.
#[test]
fn the_quantile_is_the_definition() {
    let case = case(CaseName::Swap, 1);
    let turns = quantile(&case);
    let scores: Vec<f32> = case.chunks.iter().flat_map(|chunk| chunk.scores.clone()).collect();
    for k in (0..600).step_by(37) {
        let end: usize = 128 * (k + 1);
        let mut recent = scores[end.saturating_sub(4096)..end].to_vec();
        recent.sort_by(f32::total_cmp);
        let value = recent[(0.9_f64 * recent.len() as f64).ceil() as usize - 1];
        assert_eq!(turns[k].score, f64::from(value), "chunk {k}");
        let above = case.chunks[k].scores.iter().filter(|score| **score > value).count() as f64 / 128.0;
        assert!((0.0..=1.0 / 128.0).contains(&(turns[k].rate - above)), "chunk {k}");
    }
}

/// With 5 % eligible `pi` lets all of them through, and 40 chunks after the end it is back; the quantile lets 10 % of
/// them through.
#[test]
fn pi_takes_what_there_is_and_recovers() {
    for seed in 0..5 {
        let case = case(CaseName::Saturation, seed);
        let (pi, quantile) = (default_pi(&case), quantile(&case));
        assert!(pi[399].threshold < 0.05, "{:?}", pi[399]);
        assert!((rates(&pi[370..400]) - 0.05).abs() < 0.01, "{}", rates(&pi[370..400]));
        assert!((rates(&quantile[200..400]) - 0.005).abs() < 0.002, "{}", rates(&quantile[200..400]));
        assert!((rates(&pi[440..]) - 0.1).abs() < 0.005, "{seed}: {}", rates(&pi[440..]));
    }
}

/// No score of the second scorer reaches what was calibrated on the first: one of 128 is all there is.
#[test]
fn a_fixed_threshold_does_not_survive_a_swap() {
    let turns = fixed(&case(CaseName::Swap, 0));
    assert!(turns[599].threshold > 1.0);
    assert!(turns[300..].iter().all(|turn| turn.rate == 1.0 / 128.0));
}

/// Scores 1, 1, 1, 5 (mean 2), equal deviations: 0.7 x 1/4 + 0.15 and, clamped, 0.7 + 0.15, as in the policy's own test.
/// The threshold as a score is the inverse: 0.5 is reached at 2 x 2 x 0.35/0.7.
#[test]
fn significance_is_the_original_s() {
    let got = significance(&[1.0, 1.0, 1.0, 5.0], &[0.25; 4]);
    for (got, expected) in got.into_iter().zip([0.325, 0.325, 0.325, 0.85]) {
        assert!((got - expected).abs() < 1e-6);
    }
    let chunk = Chunk { scores: vec![1.0, 1.0, 1.0, 5.0], deviations: vec![0.25; 4], eligible: vec![true; 4] };
    let case = Case { chunks: vec![chunk], targets: vec![0.1], ..case(CaseName::Start, 0) };
    let turns = seed(&case).unwrap();
    assert_eq!((turns[0].rate, turns[0].threshold), (0.25, 0.5));
    assert!((turns[0].score - 2.0).abs() < 1e-9);
    assert!((significance(&[2.0, 2.0], &[1.0; 2])[0] - 0.5).abs() < 1e-6);
}
