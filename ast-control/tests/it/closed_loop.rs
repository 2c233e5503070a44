//! Controllers in closed loop with simulated plants: settling, recovery and steady state.

use ast_control::{Controller, Fixed, OriginalController, PiConfig, PiController, Record, Setpoint, simulate};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const CHUNK: usize = 128;

fn pi() -> PiController {
    PiConfig::default().check(1.0).unwrap()
}

fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A gate over `CHUNK` candidates with uniform ranks. A share `coverage` passes unconditionally. `lag` shifts the
/// ranks, like a window that trails a drifting distribution.
fn rank_plant(seed: u64, coverage: f64, lag: impl Fn(usize) -> f64) -> impl FnMut(usize, f64) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    move |k, threshold| {
        let passed = (0..CHUNK)
            .filter(|i| (*i as f64) < coverage * CHUNK as f64 || uniform(&mut rng) + lag(k) >= threshold)
            .count();
        passed as f64 / CHUNK as f64
    }
}

fn tenth(_: usize) -> Setpoint {
    Setpoint { target: 0.1, bias: 0.9 }
}

fn mean_rate(records: &[Record]) -> f64 {
    records.iter().map(|r| r.rate).sum::<f64>() / records.len() as f64
}

/// Chunks of 128: the mean rate over updates 100 to 300 is within half a point of the target, for every seed.
#[test]
fn holds_the_target_on_stationary_scores() {
    for seed in 0..20 {
        let trace = simulate(&mut pi(), 300, tenth, rank_plant(seed, 0.0, |_| 0.0)).unwrap();
        let mean = mean_rate(&trace[100..]);
        assert!((mean - 0.1).abs() < 0.005, "seed {seed}: {mean}");
    }
}

/// The window trails falling scores by up to 20 points of rank. PI follows; a fixed threshold does not.
#[test]
fn follows_drift_that_a_fixed_threshold_loses() {
    let drift = |k: usize| -0.2 * (k as f64 / 300.0);
    let follow = simulate(&mut pi(), 300, tenth, rank_plant(1, 0.0, drift)).unwrap();
    let fixed = simulate(&mut Fixed(0.9), 300, tenth, rank_plant(1, 0.0, drift)).unwrap();
    assert!((mean_rate(&follow[100..]) - 0.1).abs() < 0.01, "{}", mean_rate(&follow[100..]));
    assert!(mean_rate(&fixed[100..]) < 0.02, "{}", mean_rate(&fixed[100..]));
}

/// Without feed-forward the integral alone has to find the new target. With feed-forward the step is immediate.
#[test]
fn follows_a_step_of_the_target() {
    let stepped = |k: usize| {
        let target = if k < 200 { 0.1 } else { 0.3 };
        Setpoint { target, bias: 1.0 - target }
    };
    let blind = |k: usize| Setpoint { bias: 0.9, ..stepped(k) };
    for setpoint in [&stepped as &dyn Fn(usize) -> Setpoint, &blind] {
        let trace = simulate(&mut pi(), 500, setpoint, rank_plant(2, 0.0, |_| 0.0)).unwrap();
        assert!((mean_rate(&trace[100..200]) - 0.1).abs() < 0.01);
        assert!((mean_rate(&trace[300..]) - 0.3).abs() < 0.01);
    }
}

/// 500 chunks in which every candidate passes, or none, whatever the threshold; then normal operation. A wound-up
/// integral would keep the gate shut, or open, for hundreds of chunks.
#[test]
fn recovers_from_saturation_at_once() {
    for stuck in [0.0, 1.0] {
        let mut plant = rank_plant(3, 0.0, |_| 0.0);
        let trace = simulate(&mut pi(), 600, tenth, |k, theta| if k < 500 { stuck } else { plant(k, theta) }).unwrap();
        let after = &trace[540..];
        assert!((mean_rate(after) - 0.1).abs() < 0.02, "stuck at {stuck}: {}", mean_rate(after));
    }
}

/// Coverage accepts 2 points of the 10 and lowers the plant's gain to 0.98.
#[test]
fn holds_the_target_beside_coverage() {
    let (target, coverage) = (0.1, 0.02);
    let setpoint = |_| Setpoint { target, bias: 1.0 - (target - coverage) / (1.0 - coverage) };
    let trace = simulate(&mut pi(), 300, setpoint, rank_plant(4, coverage, |_| 0.0)).unwrap();
    assert!((mean_rate(&trace[100..]) - target).abs() < 0.005);
}

/// The original's update needs about 100 chunks from its start of 0.5 to the target. PI starts at the target.
#[test]
fn the_original_form_is_slow() {
    let early = |controller: &mut dyn Controller| {
        mean_rate(&simulate(controller, 100, tenth, rank_plant(5, 0.0, |_| 0.0)).unwrap())
    };
    let (original, pi) = (early(&mut OriginalController::default()), early(&mut pi()));
    assert!(original > 0.3 && (pi - 0.1).abs() < 0.01, "original {original}, pi {pi}");
}

const DISTURBANCE: f64 = 1e-9;

/// What remains of a tiny disturbance of the linear plant `rate = 0.5 - gain (theta - 0.5)` after 3,000 chunks.
fn remaining_disturbance(config: PiConfig, gain: f64) -> f64 {
    let mut controller = config.check(0.0).unwrap();
    let setpoint = Setpoint { target: 0.5, bias: 0.5 };
    let disturbed = |k| if k == 0 { DISTURBANCE } else { 0.0 };
    let trace =
        simulate(&mut controller, 4000, |_| setpoint, |k, theta| 0.5 - gain * (theta - 0.5) + disturbed(k)).unwrap();
    trace[3000..].iter().map(|r| (r.rate - 0.5).abs()).fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The stability condition is sharp: a loop 5 % inside it decays and a loop 5 % outside it grows.
    #[test]
    fn the_stability_condition_is_the_boundary(share in 0.1..0.9f64, ema in 0.2..1.0f64, gain in 0.2..1.0f64) {
        let limit = (2.0 - ema) / ema / gain; // on kp + ki/2
        let at = |scale: f64| PiConfig { kp: scale * limit * share, ki: 2.0 * scale * limit * (1.0 - share), ema };
        prop_assert!(at(0.95).check(gain).is_ok());
        prop_assert!(at(1.05).check(gain).is_err());
        prop_assert!(remaining_disturbance(at(0.95), gain) < 0.01 * DISTURBANCE);
        prop_assert!(remaining_disturbance(at(1.05), gain) > 100.0 * DISTURBANCE);
    }

    /// Every continuous score distribution is the same plant after the mapping to ranks.
    #[test]
    fn any_target_is_held(target in 0.02..0.9f64, seed in 0u64..1000) {
        let setpoint = |_| Setpoint { target, bias: 0.5 };
        let trace = simulate(&mut pi(), 600, setpoint, rank_plant(seed, 0.0, |_| 0.0)).unwrap();
        prop_assert!((mean_rate(&trace[200..]) - target).abs() < 0.01);
    }
}

#[test]
fn the_default_threshold_is_the_bias() {
    assert_eq!(pi().threshold(tenth(0)), 0.9);
}
