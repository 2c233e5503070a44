//! Properties of the controllers that hold for any input. AST_TEST_CASES sets the number of cases per property.

use ast_control::{ControlError, Controller, OriginalController, PiConfig, PiController, Setpoint};
use proptest::prelude::*;

fn cases() -> ProptestConfig {
    let number = std::env::var("AST_TEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(number.unwrap_or(1000)) }
}

fn pi(config: PiConfig) -> PiController {
    config.check(1.0).unwrap()
}

/// Gains well inside the stability condition.
fn gains() -> impl Strategy<Value = PiConfig> {
    (0.0..0.5f64, 0.01..0.5f64, 0.1..=1.0f64).prop_map(|(kp, ki, ema)| PiConfig { kp, ki, ema })
}

fn setpoints() -> impl Strategy<Value = Setpoint> {
    (0.01..0.99f64, 0.0..=1.0f64).prop_map(|(target, bias)| Setpoint { target, bias })
}

fn rates() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.0..=1.0f64, 0..60)
}

fn fed(mut controller: PiController, past: &[f64], setpoint: Setpoint) -> PiController {
    for rate in past {
        controller.update(*rate, setpoint).unwrap();
    }
    controller
}

proptest! {
    #![proptest_config(cases())]

    /// For all gains, targets and rates the threshold lies in 0..=1.
    #[test]
    fn a_threshold_lies_between_0_and_1(config in gains(), past in rates(), points in prop::collection::vec(setpoints(), 1..60)) {
        let mut controller = pi(config);
        for (rate, setpoint) in past.iter().zip(&points) {
            let out = controller.update(*rate, *setpoint).unwrap();
            prop_assert!((0.0..=1.0).contains(&out.threshold) && (0.0..=1.0).contains(&controller.threshold(*setpoint)));
        }
    }

    /// The stored integral stays within the range that the threshold can use.
    #[test]
    fn the_integral_stays_useful(config in gains(), past in rates(), setpoint in setpoints()) {
        let mut controller = pi(config);
        for rate in past {
            let out = controller.update(rate, setpoint).unwrap();
            prop_assert!(out.integral.abs() <= 1.0 + config.ki + config.kp, "{out:?}");
        }
    }

    /// After a long saturation the threshold comes down as fast as after a short one.
    #[test]
    fn a_long_saturation_costs_no_more_than_a_short_one(config in gains(), long in 60usize..600, target in 0.05..0.5f64) {
        let setpoint = Setpoint { target, bias: 1.0 - target };
        let updates_to_leave = |pinned: usize| {
            let mut controller = fed(pi(config), &vec![1.0; pinned], setpoint);
            (0..10_000).find(|_| controller.update(0.0, setpoint).unwrap().threshold < 0.999)
        };
        prop_assert!(updates_to_leave(long).unwrap() <= updates_to_leave(50).unwrap() + 1);
    }

    /// From the same state, a higher rate gives a higher threshold.
    #[test]
    fn more_samples_raise_the_threshold(config in gains(), past in rates(), setpoint in setpoints(), a in 0.0..=1.0f64, b in 0.0..=1.0f64) {
        let mut low = fed(pi(config), &past, setpoint);
        let mut high = low.clone();
        let low = low.update(a.min(b), setpoint).unwrap().threshold;
        prop_assert!(low <= high.update(a.max(b), setpoint).unwrap().threshold + 1e-12);
    }

    /// From the same state, a higher target gives a lower threshold.
    #[test]
    fn a_higher_target_lowers_the_threshold(config in gains(), past in rates(), bias in 0.0..=1.0f64, rate in 0.0..=1.0f64, a in 0.01..0.99f64, b in 0.01..0.99f64) {
        let mut few = fed(pi(config), &past, Setpoint { target: 0.5, bias });
        let mut many = few.clone();
        let few = few.update(rate, Setpoint { target: a.min(b), bias }).unwrap().threshold;
        let many = many.update(rate, Setpoint { target: a.max(b), bias }).unwrap().threshold;
        prop_assert!(many <= few + 1e-12, "{many} {few}");
    }

    /// With zero error the threshold stays constant.
    #[test]
    fn with_zero_error_nothing_moves(config in gains(), setpoint in setpoints(), updates in 1usize..100) {
        let mut controller = pi(config);
        for _ in 0..updates {
            let out = controller.update(setpoint.target, setpoint).unwrap();
            prop_assert!((out.threshold - setpoint.bias).abs() < 1e-12);
        }
    }

    /// Away from the bounds the controller is linear: twice the errors move the threshold twice as far.
    #[test]
    fn it_is_linear_inside(config in gains(), errors in prop::collection::vec(-0.01..0.01f64, 1..20)) {
        let setpoint = Setpoint { target: 0.5, bias: 0.5 };
        let way = |factor: f64| {
            let rates: Vec<f64> = errors.iter().map(|error| 0.5 + factor * error).collect();
            fed(pi(config), &rates, setpoint).threshold(setpoint) - 0.5
        };
        prop_assert!((way(2.0) - 2.0 * way(1.0)).abs() < 1e-12);
    }

    /// Bias, proportional part and integral add up to the threshold unless it is at a bound.
    #[test]
    fn the_parts_add_up(config in gains(), past in rates(), setpoint in setpoints(), rate in 0.0..=1.0f64) {
        let mut controller = fed(pi(config), &past, setpoint);
        let out = controller.update(rate, setpoint).unwrap();
        let sum = setpoint.bias + out.proportional + out.integral;
        if out.threshold > 0.0 && out.threshold < 1.0 {
            prop_assert!((out.threshold - sum).abs() < 1e-12, "{out:?}");
        }
    }

    /// NaN and infinite inputs are refused, and the controller is unchanged afterwards.
    #[test]
    fn non_finite_input_is_refused_and_changes_nothing(config in gains(), past in rates(), setpoint in setpoints(), which in 0usize..3, value in prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY])) {
        let mut controller = fed(pi(config), &past, setpoint);
        let before = controller.clone();
        let mut given = [0.3, setpoint.target, setpoint.bias];
        given[which] = value;
        let refused = controller.update(given[0], Setpoint { target: given[1], bias: given[2] });
        let named = matches!(refused, Err(ControlError::NotFinite { .. }));
        prop_assert!(named && controller == before, "{refused:?}");
    }

    /// A controller that is saved and restored continues with the same bits.
    #[test]
    fn it_survives_being_saved(config in gains(), past in rates(), rest in rates(), setpoint in setpoints()) {
        let controller = fed(pi(config), &past, setpoint);
        let saved = serde_json::to_string(&controller).unwrap();
        let again: PiController = serde_json::from_str(&saved).unwrap();
        prop_assert_eq!(fed(controller, &rest, setpoint), fed(again, &rest, setpoint));
    }

    /// The integral removes a constant disturbance of the plant.
    #[test]
    fn a_constant_disturbance_is_removed(kp in 0.0..0.3f64, ki in 0.05..0.3f64, target in 0.1..0.5f64, shift in -0.05..0.05f64) {
        let mut controller = pi(PiConfig { kp, ki, ema: 0.3 });
        let setpoint = Setpoint { target, bias: 1.0 - target };
        let mut threshold = controller.threshold(setpoint);
        let mut rate = 0.0;
        for _ in 0..1500 {
            rate = (1.0 - threshold + shift).clamp(0.0, 1.0);
            threshold = controller.update(rate, setpoint).unwrap().threshold;
        }
        prop_assert!((rate - target).abs() < 1e-6, "{rate} {target}");
    }

    /// Gains are accepted if and only if the closed loop is stable by Jury's conditions.
    #[test]
    fn only_stable_gains_are_accepted(kp in 0.0..20.0f64, ki in 0.001..20.0f64, ema in 0.01..=1.0f64, plant in 0.05..=1.0f64) {
        let stable = plant * (kp + ki / 2.0) < (2.0 - ema) / ema;
        prop_assert_eq!(PiConfig { kp, ki, ema }.check(plant).is_ok(), stable);
    }

    /// The original's update keeps its own bounds.
    #[test]
    fn the_original_form_keeps_its_bounds(past in prop::collection::vec(0.0..=1.0f64, 0..300), target in 0.01..0.99f64) {
        let mut controller = OriginalController::default();
        for rate in past {
            let out = controller.update(rate, Setpoint { target, bias: 0.0 }).unwrap();
            prop_assert!((0.0..=1.0).contains(&out.threshold) && out.integral.abs() <= 50.0 * 0.000_05);
        }
    }
}
