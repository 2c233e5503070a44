//! Every policy that keeps its target keeps it for any scores: distinct, equal, two-valued, partly NaN.

use std::collections::BTreeMap;

use ast_core::plugin::{ParamValue, Params, Registry};
use ast_core::random::{Purpose, Random};
use ast_core::select::{
    BoxedPolicy, BuildPolicy, Offer, Policy, PolicyEntry, PolicyError, RunLength, SampleId, SelectionContext,
};
use ast_core::testing::{check_policy, goal, realised_rate};

use proptest::prelude::*;

const EPOCHS: u32 = 20;

/// AST_TEST_CASES sets the number of cases per policy.
fn cases() -> u32 {
    std::env::var("AST_TEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

fn build(entry: &PolicyEntry, target: f64) -> BoxedPolicy {
    // Selection on: by default `ast` is `random` in runs this short.
    let lambda = BTreeMap::from([("lambda".to_string(), ParamValue::Number(0.8))]);
    let given = if entry.name == "ast" { lambda } else { BTreeMap::new() };
    entry.build(&Params::resolve(entry.params, &given).unwrap(), goal(target)).unwrap()
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Distinct,
    Equal,
    TwoValues,
    SomeNan,
}

fn scores(kind: Kind, samples: usize, seed: u64) -> Vec<f32> {
    let mut stream = Random::new(seed).stream(Purpose::Data, 0, 0);
    let score = |_| {
        let (drawn, rare) = (stream.uniform(), stream.uniform() < 0.1);
        match (kind, rare) {
            (Kind::Equal, _) => 2.3,
            (Kind::TwoValues, true) => 3.0,
            (Kind::TwoValues, false) => 1.0,
            (Kind::SomeNan, true) => f32::NAN,
            (Kind::Distinct | Kind::SomeNan, _) => 10.0 * drawn as f32,
        }
    };
    (0..samples).map(score).collect()
}

#[test]
fn every_policy_that_keeps_its_target_keeps_it_for_any_scores() {
    let policies = Registry::<BuildPolicy>::linked().unwrap();
    let mut promising = 0;
    let promises = |entry: &&PolicyEntry| {
        let kind = entry.build.kind;
        kind.keeps_target && kind.run_length == RunLength::Budget
    };
    for entry in policies.iter().filter(promises) {
        promising += 1;
        let kind = prop::sample::select(vec![Kind::Distinct, Kind::Equal, Kind::TwoValues, Kind::SomeNan]);
        let case = (0.1_f64..=1.0, kind, 1000_usize..2000, 0_u64..1000);
        proptest!(ProptestConfig { cases: cases(), ..ProptestConfig::default() }, |((target, kind, samples, seed) in case)| {
            // A sample whose score is NaN cannot be selected: a tenth of the samples is out of reach.
            let target = if matches!(kind, Kind::SomeNan) { 0.8 * target } else { target };
            let scores = scores(kind, samples, seed);
            let rate = realised_rate(build(entry, target), &scores, EPOCHS).unwrap();
            let offered = (samples * EPOCHS as usize) as f64;
            // Tolerance: chance, if each sample is drawn; one sample, if a subset is; settling, if a controller holds
            // the rate.
            let chance = 5.0 * (target * (1.0 - target) / offered).sqrt();
            let tolerance = chance + 1.0 / samples as f64 + 0.03 * target;
            prop_assert!(
                (rate - target).abs() < tolerance,
                "{}: activation rate {rate:.4}, target {target:.4}",
                entry.name
            );
        });
    }
    assert!(promising >= 9, "{promising}");
}

#[test]
fn every_policy_keeps_the_contract() {
    for entry in Registry::<BuildPolicy>::linked().unwrap().iter() {
        println!("{}", entry.name);
        let lambda = BTreeMap::from([("lambda".to_string(), ParamValue::Number(0.8))]);
        let given = if entry.name == "ast" { lambda } else { BTreeMap::new() };
        let params = Params::resolve(entry.params, &given).unwrap();
        check_policy(|goal| entry.build(&params, goal).unwrap());
    }
}

/// A policy that rounds down in each chunk: 12 of 128 are 9.4 %, not a tenth.
#[test]
fn a_policy_that_misses_its_target_is_detected() {
    struct Rounds(f64);
    impl Policy for Rounds {
        fn begin(&mut self, _: f64) -> f64 {
            0.0
        }
        fn select(
            &mut self,
            offer: Offer<'_>,
            _: &mut SelectionContext<'_>,
            accepted: &mut Vec<SampleId>,
        ) -> Result<(), PolicyError> {
            accepted.extend(offer.candidates.iter().take((self.0 * offer.len() as f64) as usize));
            Ok(())
        }
    }
    let found = std::panic::catch_unwind(|| check_policy(|goal| Rounds(goal.target)));
    let message = found.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("target 0.1000 (distinct losses)"), "{message}");
}

#[test]
fn with_target_1_everything_is_trained() {
    let scores: Vec<f32> = (0..500).map(|i| (i * 7 % 13) as f32).collect();
    for entry in Registry::<BuildPolicy>::linked().unwrap().iter() {
        let policy = build(entry, 1.0);
        if policy.kind.keeps_target {
            assert_eq!(realised_rate(policy, &scores, EPOCHS).unwrap(), 1.0, "{}", entry.name);
        }
    }
}
