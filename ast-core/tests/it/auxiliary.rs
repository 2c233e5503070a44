//! The cost of auxiliary networks and probes: each source of scores costs exactly the FLOPs it should, and a run that
//! uses none pays nothing.

use crate::common::{Excess, Halves, Loss, SIDE, config, policy_with, tiny_with};
use ast_core::plugin::ParamValue;
use ast_core::run::{RunConfig, Summary};
use ast_core::score::Scorer;

const SAMPLES: u64 = 320;
const EPOCHS: u64 = 4;
/// FLOPs of [`common::Tiny`], and of its auxiliary network, per sample: one linear layer, the first.
const FORWARD: u64 = 2 * 3 * (SIDE * SIDE) as u64 * 2;
const STEP: u64 = 2 * FORWARD;
const HALF: u64 = FORWARD / 4;

type Given = Vec<(&'static str, ParamValue)>;

fn word(key: &'static str, word: &str) -> (&'static str, ParamValue) {
    (key, ParamValue::Word(word.into()))
}

fn every(epochs: u64) -> (&'static str, ParamValue) {
    ("every", ParamValue::Number(epochs as f64))
}

fn run(config: &RunConfig, policy: &str, given: &Given, scorer: Box<dyn Scorer>) -> Summary {
    let train = Halves { samples: SAMPLES as usize, broken: None };
    let policy = policy_with(policy, given, config);
    tiny_with(config, policy, train, scorer).run(&mut Vec::new()).unwrap().unwrap()
}

/// For each source: samples scored, samples scored at half resolution, auxiliary training steps and auxiliary forward
/// passes. The FLOPs follow from them.
#[test]
fn every_source_is_charged_its_cost() {
    let all = SAMPLES * EPOCHS;
    let cases: [(Given, [u64; 4]); 7] = [
        (vec![], [0; 4]),
        (vec![word("source", "ledger")], [0; 4]),
        (vec![word("source", "fresh")], [all, 0, 0, 0]),
        (vec![word("source", "fresh"), word("resolution", "half")], [all, all, 0, 0]),
        (vec![word("source", "fresh"), every(2)], [all / 2, 0, 0, 0]),
        (vec![word("source", "proxy")], [0, 0, all, 0]),
        (vec![word("source", "proxy"), every(4)], [0, 0, SAMPLES, 0]),
    ];
    for policy in ["pool-top", "curriculum"] {
        for (given, [scored, halved, steps, looks]) in &cases {
            let Summary { samples, flops, .. } = run(&config(0.25, EPOCHS as u32), policy, given, Box::new(Loss));
            let counted = [samples.scored, samples.scored_half, samples.auxiliary_trained, samples.auxiliary_scored];
            assert_eq!(counted, [*scored, *halved, *steps, *looks], "{policy} {given:?}");
            assert_eq!(samples.trained, all / 4, "{policy} {given:?}");
            let scoring = (scored - halved) * FORWARD + halved * HALF + steps * STEP + looks * FORWARD;
            assert_eq!(flops.scoring, scoring, "{policy} {given:?}");
            assert_eq!(flops.total, all / 4 * STEP + scoring, "{policy} {given:?}");
        }
    }
}

/// `ast` probes candidates only, and only while it selects.
#[test]
fn ast_probes_while_it_selects() {
    for (given, kind) in [
        (vec![], None),
        (vec![word("source", "fresh")], Some(0)),
        (vec![word("source", "fresh"), word("resolution", "half")], Some(1)),
        (vec![word("source", "proxy")], Some(2)),
    ] {
        let Summary { samples, activation, .. } = run(&config(0.25, 10), "ast", &given, Box::new(Loss));
        let counted = [samples.scored - samples.scored_half, samples.scored_half, samples.auxiliary_trained];
        for (i, count) in counted.into_iter().enumerate() {
            let expected = if kind == Some(i) { SAMPLES * 5..SAMPLES * 9 } else { 0..1 };
            assert!(expected.contains(&count), "{given:?}: {counted:?}");
        }
        assert!((activation.realised - 0.25).abs() < 0.02, "{given:?}: {}", activation.realised);
    }
}

/// The policy `proxy` is `pool-top` with the proxy as its source.
#[test]
fn proxy_is_pool_top_by_proxy() {
    let config = config(0.25, EPOCHS as u32);
    let proxy = run(&config, "proxy", &vec![], Box::new(Loss));
    let pool_top = run(&config, "pool-top", &vec![word("source", "proxy")], Box::new(Loss));
    assert_eq!((proxy.samples, proxy.flops, proxy.loss), (pool_top.samples, pool_top.flops, pool_top.loss));
}

/// The auxiliary networks make four training passes and one forward pass over the data, once, and only for a scorer
/// that needs them.
#[test]
fn a_reference_is_trained_once_and_charged() {
    for policy in ["reducible", "ast", "random"] {
        // The guard's cost is tested elsewhere.
        let given = if policy == "ast" { vec![word("guard", "off")] } else { vec![] };
        let run = |scorer| run(&config(0.25, EPOCHS as u32), policy, &given, scorer);
        // `random` uses no scores, so it does not pay for them.
        let asked = if policy == "random" { 0 } else { 4 };
        for (summary, passes) in [(run(Box::new(Loss)), 0), (run(Box::new(Excess)), asked)] {
            let Summary { samples, flops, .. } = summary;
            let looks = if passes > 0 { SAMPLES } else { 0 };
            assert_eq!((samples.auxiliary_trained, samples.auxiliary_scored), (passes * SAMPLES, looks), "{policy}");
            let scoring = samples.scored * FORWARD + passes * SAMPLES * STEP + looks * FORWARD;
            assert_eq!((flops.scoring, flops.total), (scoring, scoring + samples.trained * STEP), "{policy}");
        }
    }
    // A pool of three quarters of the data.
    let reducible = run(&config(0.25, EPOCHS as u32), "reducible", &vec![], Box::new(Excess));
    assert_eq!(reducible.samples.scored, 3 * reducible.samples.trained);
}

/// A budget in FLOPs includes the auxiliary networks.
#[test]
fn a_budget_includes_auxiliary_networks() {
    for (policy, given) in [
        ("proxy", vec![]),
        ("pool-top", vec![word("source", "fresh"), word("resolution", "half")]),
        ("reducible", vec![]),
    ] {
        let mut config = config(0.2, 20);
        (config.control.target, config.budget.fraction) = (None, Some(0.5));
        let flops = run(&config, policy, &given, Box::new(Excess)).flops;
        let spent = flops.total as f64 / flops.dense_run as f64;
        assert!((spent - 0.5).abs() < 0.01, "{policy}: {spent}");
    }
}
