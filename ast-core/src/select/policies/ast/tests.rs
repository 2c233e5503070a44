use std::collections::BTreeMap;

use super::*;
use crate::plugin::ParamValue;
use crate::random::Random;
use crate::select::counts::Counts;
use crate::select::ledger::{Ledger, SampleOutcome};
use crate::select::probe::{ChargedProbe, NoProbe};
use crate::select::queue::{Accepted, Queue};
use crate::select::sample::{Groups, Visit};
use crate::select::sampler::Sampler;
use crate::testing::{Stage, goal};

const SAMPLES: usize = 10_000;

fn policy(given: &[(&str, f64)], hard: bool) -> Ast {
    let defaults = [("lambda", 0.8), ("gamma", 1.0)];
    let mut params: BTreeMap<String, ParamValue> =
        defaults.iter().chain(given).map(|(key, value)| ((*key).to_string(), ParamValue::Number(*value))).collect();
    if hard {
        params.insert("gate".into(), ParamValue::Word("hard".into()));
    }
    Ast::new(&Params::resolve(PARAMS, &params).unwrap(), goal(0.1)).unwrap()
}

/// Runs epochs at a share `spent` of the budget. The score of every sample is constant: its id over the number of
/// samples. Returns the accepted candidates, the realised rate, and each sample's visits.
fn run(policy: &mut Ast, spent: f64, epochs: u32) -> (Vec<SampleId>, f64, Vec<u16>) {
    let mut ledger = Ledger::new(Groups::none(SAMPLES));
    let queue = Queue::new(SAMPLES);
    let random = Random::new(9);
    let mut sampler = Sampler::new(random, SAMPLES, 128);
    let seen = |id: u32, coverage| SampleOutcome {
        id,
        score: id as f32 / SAMPLES as f32,
        loss: 1.0,
        correct: true,
        coverage,
        worth: None,
    };
    let everyone: Vec<_> = (0..SAMPLES as u32).map(|id| seen((id * 7919) % SAMPLES as u32, true)).collect();
    ledger.record(&everyone);
    let (mut chosen, mut trained) = (Vec::new(), 0);
    for epoch in 0..epochs {
        let coverage = policy.begin(spent);
        let plan = sampler.plan(epoch, coverage);
        for chunk in 0..plan.chunks() {
            let offer = plan.offer(epoch, chunk).unwrap();
            let mut accepted = Vec::new();
            let (mut none, mut counts) = (NoProbe, Counts::default());
            let probe = ChargedProbe::new(&mut none, &mut counts, &ledger, &queue);
            let mut context = SelectionContext { spent: 0.5, ledger: &ledger, queue: &queue, random, probe };
            policy.select(offer, &mut context, &mut accepted).unwrap();
            trained += offer.coverage.len() + accepted.len();
            let mut batch: Vec<_> = offer.coverage.iter().map(|id| seen(*id, true)).collect();
            batch.extend(accepted.iter().map(|id| seen(*id, false)));
            ledger.record(&batch);
            chosen.extend(accepted);
        }
    }
    let visits = (0..SAMPLES as u32).map(|id| ledger.visits(id)).collect();
    (chosen, trained as f64 / (SAMPLES * epochs as usize) as f64, visits)
}

#[test]
fn holds_the_target() {
    for hard in [false, true] {
        let (_, rate, _) = run(&mut policy(&[], hard), 0.5, 10);
        assert!((rate - 0.1).abs() < 0.002, "hard {hard}: {rate}");
    }
}

/// With weight = score and scores uniform on 0..1, a weighted sample has the density 2s and the mean score 2/3.
/// Sampling without replacement lowers it slightly.
#[test]
fn acceptance_is_proportional_to_the_score() {
    let (chosen, ..) = run(&mut policy(&[("kappa", f64::INFINITY), ("horizon", 1000.0)], false), 0.5, 10);
    let mean = chosen.iter().map(|id| f64::from(*id)).sum::<f64>() / (chosen.len() * SAMPLES) as f64;
    assert!((mean - 2.0 / 3.0).abs() < 0.02, "{mean}");
}

/// A thousand distinct losses from a fresh pass, with an empty ledger. The threshold is the bias, 1 - 0.08/0.98 =
/// 0.9184, so all 81 losses above 918 pass, and 918 itself may.
#[test]
fn a_fresh_pass_replaces_the_ledger() {
    let losses: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1000) as f32).collect();
    let mut ast = Ast { source: Source::fresh(1, false), ..policy(&[], true) };
    ast.begin(0.5);
    let (mut chosen, weights) = Stage::new(&losses).offer(&mut ast);
    chosen.retain(|id| losses[*id as usize] != 918.0);
    let expected: Vec<u32> = (0..1000).filter(|id| losses[*id as usize] > 918.0).collect();
    assert_eq!((chosen, weights), (expected, vec![]));
}

#[test]
fn gamma_zero_ignores_the_score() {
    let (chosen, ..) = run(&mut policy(&[("gamma", 0.0)], false), 0.5, 10);
    let mean = chosen.iter().map(|id| f64::from(*id)).sum::<f64>() / (chosen.len() * SAMPLES) as f64;
    assert!((mean - 0.5).abs() < 0.02, "{mean}");
}

#[test]
fn a_hard_gate_takes_the_top_and_the_cap_spreads_it() {
    let (chosen, ..) = run(&mut policy(&[("kappa", f64::INFINITY), ("horizon", 1000.0)], true), 0.5, 10);
    assert!(chosen.iter().all(|id| *id > 8_500), "{:?}", chosen.iter().min());
    let (_, _, visits) = run(&mut policy(&[("kappa", 1.0), ("horizon", 1000.0)], true), 0.5, 20);
    // 1 + average (at most 1 + 20 x 0.1), plus the visit that exceeds the cap, plus coverage, which has no cap.
    assert!(visits.iter().max().unwrap() <= &6, "{:?}", visits.iter().max());
}

/// With scores uniform on 0..1, `weights = 1` compensates for selection within its bounds: the weighted mean score of
/// the trained samples is that of all, 1/2. The computed probabilities match how often samples are accepted.
#[test]
fn weights_compensate_for_selection() {
    let (mut ledger, queue, random) = (Ledger::new(Groups::none(SAMPLES)), Queue::new(SAMPLES), Random::new(9));
    let seen = |id: u32| SampleOutcome { id, score: id as f32, loss: 1.0, correct: true, coverage: true, worth: None };
    ledger.record(&(0..SAMPLES as u32).map(|id| seen((id * 7919) % SAMPLES as u32)).collect::<Vec<_>>());
    let mut policy = policy(&[("weights", 1.0), ("horizon", 1000.0), ("lambda", 0.5)], false);
    let (mut sampler, mut sums, mut chances, mut taken) = (Sampler::new(random, SAMPLES, 128), [0.0; 2], 0.0, 0.0);
    for epoch in 0..20 {
        let plan = sampler.plan(epoch, policy.begin(0.5));
        for chunk in 0..plan.chunks() {
            let (offer, mut accepted) = (plan.offer(epoch, chunk).unwrap(), Vec::new());
            let (mut none, mut counts) = (NoProbe, Counts::default());
            let probe = ChargedProbe::new(&mut none, &mut counts, &ledger, &queue);
            let mut context = SelectionContext { spent: 0.5, ledger: &ledger, queue: &queue, random, probe };
            policy.select(offer, &mut context, &mut accepted).unwrap();
            let weights = policy.loss_weights(offer, &accepted, &context);
            for (id, weight) in offer.coverage.iter().chain(&accepted).zip(weights) {
                sums[0] += f64::from(weight);
                sums[1] += f64::from(weight) * f64::from(*id) / SAMPLES as f64;
            }
            let chance = |id: &SampleId| policy.chance(*id, policy.cut.unwrap(), &context);
            chances += offer.coverage.iter().chain(offer.candidates).map(chance).sum::<f64>();
            taken += (offer.coverage.len() + accepted.len()) as f64;
        }
    }
    assert!((sums[1] / sums[0] - 0.5).abs() < 0.01, "{}", sums[1] / sums[0]);
    assert!((chances / taken - 1.0).abs() < 0.02, "{}", chances / taken);
}

#[test]
fn pending_samples_are_not_selected_again() {
    let mut policy = policy(&[], true);
    let ledger = Ledger::new(Groups::none(SAMPLES));
    let mut queue = Queue::new(SAMPLES);
    for id in 0..SAMPLES as u32 {
        queue.push(
            0,
            Accepted {
                visit: Visit { id, epoch: 0, earlier: 0 },
                coverage: false,
                spent: 0.5,
                weight: 1.0,
                staged: false,
            },
        );
    }
    let random = Random::new(1);
    let mut sampler = Sampler::new(random, SAMPLES, 128);
    let coverage = policy.begin(0.5);
    let plan = sampler.plan(0, coverage);
    let mut accepted = Vec::new();
    let (mut none, mut counts) = (NoProbe, Counts::default());
    let probe = ChargedProbe::new(&mut none, &mut counts, &ledger, &queue);
    let mut context = SelectionContext { spent: 0.5, ledger: &ledger, queue: &queue, random, probe };
    policy.select(plan.offer(0, 0).unwrap(), &mut context, &mut accepted).unwrap();
    assert!(accepted.is_empty());
}

/// The default follows docs/results.md: no selection at two visits per sample, selection at four.
#[test]
fn the_default_selects_only_where_selection_is_shown_to_pay() {
    let defaults = Params::resolve(PARAMS, &BTreeMap::new()).unwrap();
    let epochs = |epochs| Goal::activation(0.1, epochs);
    for (goal, lambda) in
        [(epochs(20), 0.0), (epochs(39), 0.0), (epochs(40), 0.8), (epochs(100), 0.8), (Goal::seconds(60.0, 0.1), 0.0)]
    {
        let mut ast = Ast::new(&defaults, goal).unwrap();
        assert!((ast.begin(0.5) - (1.0 - lambda) * 0.1).abs() < 1e-12, "{goal:?}");
        assert_eq!(ast.warning().is_some(), lambda == 0.0, "{goal:?}");
    }
}

#[test]
fn lambda_follows_the_budget() {
    let points = [(0.0, 0.0), (0.1, 0.0), (0.2, 0.5), (0.3, 1.0), (0.8, 1.0), (0.85, 0.5), (0.9, 0.0), (1.0, 0.0)];
    for (spent, expected) in points {
        assert!((ramp(spent) - expected).abs() < 1e-9, "{spent}");
    }
}

#[test]
fn the_bias_solves_the_plant() {
    let mut ast = policy(&[], false);
    ast.begin(0.5);
    let Setpoint { target, bias } = ast.setpoint();
    let coverage = 0.2 * target;
    assert!((coverage + (1.0 - coverage) * (1.0 - bias) - target).abs() < 1e-12);
}
