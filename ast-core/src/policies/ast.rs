//! The default: random, with a share of it replaced by significance.
//!
//! Of the target rho, `c = (1 - lambda) rho` is coverage, the next slice of the same permutation that the policy
//! `random` walks along. The rest is taken from the other samples through a gate: each draws a key `U^(1/w)` with weight
//! `w` from its score (weighted sampling without replacement, Efraimidis & Spirakis 2006), and those among the top of
//! recent keys pass. A PI controller holds the activation rate; the plant is `rate = c + (1 - c)(1 - threshold)`
//! for any scorer. `lambda = 0` is `random`, sample for sample. Scores are the ledger's unless another `source` is named,
//! which is then asked about the candidates while lambda is above 0.

use ast_control::{Controller, Output, PiController, Setpoint};

use crate::data::SampleId;
use crate::gate;
use crate::params::{ParamKind, ParamSpec, Params};
use crate::policy::{Policy, PolicyError, Task, Trace, View};
use crate::random::Purpose;
use crate::sampler::Offer;
use crate::snapshot::{SnapshotError, decode, encode};
use crate::source::{EVERY, RESOLUTION, SOURCE, Source};
use crate::window::Window;

/// How many offered keys a threshold is taken among.
const KEY_WINDOW: usize = 4096;

const PARAMS: &[ParamSpec] = &[
    ParamSpec {
        name: "lambda",
        summary: "largest share of the target that is chosen by significance; 0 is `random`",
        kind: ParamKind::Number { default: 0.8, min: 0.0, max: 0.95 },
    },
    ParamSpec {
        name: "gamma",
        summary: "weight = score^gamma: 0 ignores significance, larger insists on it",
        kind: ParamKind::Number { default: 1.0, min: 0.0, max: 10.0 },
    },
    ParamSpec {
        name: "horizon",
        summary: "age, in dataset sizes trained, at which a score has lost 63 % of its say",
        kind: ParamKind::Number { default: 3.0, min: 0.01, max: 1000.0 },
    },
    ParamSpec {
        name: "kappa",
        summary: "a sample is passed over once its visits exceed 1 + kappa x the average",
        kind: ParamKind::Number { default: 3.0, min: 0.0, max: f64::INFINITY },
    },
    ParamSpec {
        name: "gate",
        summary: "randomised: in proportion to the weight; hard: the top scores",
        kind: ParamKind::Choice(&["randomised", "hard"]),
    },
    SOURCE,
    EVERY,
    RESOLUTION,
];

crate::register_policy! {
    name: "ast",
    summary: "random, with a share of it replaced by significance through a PI-controlled gate; costs the target",
    params: PARAMS,
    build: |params, task| Ok(Box::new(Ast::new(params, task)?)),
}

struct Ast {
    task: Task,
    lambda_max: f64,
    gamma: f64,
    horizon: f64,
    kappa: f64,
    hard: bool,
    source: Source,

    lambda: f64,
    controller: PiController,
    last: Option<Output>,
    keys: Window,
    chunk_keys: Vec<f32>,
    passed: Vec<u32>,
}

impl Ast {
    fn new(params: &Params, task: Task) -> Result<Self, PolicyError> {
        let lambda_max = params.number("lambda")?;
        let smallest_coverage = (1.0 - lambda_max) * task.target;
        Ok(Self {
            task,
            lambda_max,
            gamma: params.number("gamma")?,
            horizon: params.number("horizon")?,
            kappa: params.number("kappa")?,
            hard: params.word("gate")? == "hard",
            source: Source::new(params)?,
            lambda: 0.0,
            controller: task.control.check(1.0 - smallest_coverage)?,
            last: None,
            keys: Window::new(KEY_WINDOW),
            chunk_keys: Vec::new(),
            passed: Vec::new(),
        })
    }

    /// The threshold that would give the target exactly if every candidate were eligible.
    fn setpoint(&self) -> Setpoint {
        let target = self.task.target;
        let coverage = (1.0 - self.lambda) * target;
        let bias = if coverage < 1.0 { 1.0 - self.lambda * target / (1.0 - coverage) } else { 1.0 };
        Setpoint { target, bias }
    }

    /// The keys of a chunk's candidates: `ln U / w`, a monotone image of `U^(1/w)`, or the score itself if hard.
    fn draw_keys(&mut self, offer: Offer<'_>, view: &mut View<'_>) -> Result<(), PolicyError> {
        let scores = self.source.ranks(offer, view, self.horizon)?;
        let mut stream = view.random.stream(Purpose::Gate, u64::from(offer.epoch), 2 * u64::from(offer.chunk));
        self.chunk_keys.clear();
        self.chunk_keys.extend(scores.into_iter().map(|score| {
            if self.hard {
                return score.unwrap_or(0.5) as f32;
            }
            let weight = score.map_or(1.0, |s| s.powf(self.gamma));
            stream.uniform_above_zero().ln() / weight as f32
        }));
        Ok(())
    }
}

impl Policy for Ast {
    fn begin(&mut self, spent: f64) -> f64 {
        self.lambda = self.lambda_max * ramp(spent);
        (1.0 - self.lambda) * self.task.target
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        view: &mut View<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        let already = accepted.len();
        if self.lambda > 0.0 {
            self.draw_keys(offer, view)?;
            self.keys.extend(self.chunk_keys.iter().copied());
            let setpoint = self.setpoint();
            // The last answer, with the bias of now: lambda may have moved since.
            let proportional = self.last.map_or(0.0, |last| last.proportional);
            let theta = (self.controller.threshold(setpoint) + proportional).clamp(0.0, 1.0);
            if let Some(quantile) = self.keys.quantile(theta) {
                let mut ties =
                    view.random.stream(Purpose::Gate, u64::from(offer.epoch), 2 * u64::from(offer.chunk) + 1);
                gate::pass(&self.chunk_keys, quantile, &mut ties, &mut self.passed);
                let average = view.ledger.clock() as f64 / view.ledger.samples() as f64;
                let cap = 1.0 + if average > 0.0 { self.kappa * average } else { 0.0 };
                let eligible = |id: &SampleId| !view.queue.is_pending(*id) && f64::from(view.ledger.visits(*id)) <= cap;
                accepted.extend(self.passed.iter().map(|i| offer.candidates[*i as usize]).filter(eligible));
            }
        }
        let trained = offer.coverage.len() + accepted.len() - already;
        self.last = Some(self.controller.update(trained as f64 / offer.len() as f64, self.setpoint())?);
        Ok(())
    }

    fn trace(&self) -> Trace {
        Trace {
            target: self.task.target,
            rate: self.last.map(|last| last.rate),
            threshold: self.last.map(|last| last.threshold),
        }
    }

    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        self.source.save(encode("policy", &(&self.lambda, &self.controller, &self.last, &self.keys))?)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        let saved = self.source.restore(saved)?;
        (self.lambda, self.controller, self.last, self.keys) = decode("policy", &saved)?;
        Ok(())
    }
}

/// Share of `lambda` in force after a share `spent` of the budget: the ledger fills first, and the run ends as `random`,
/// so that the last steps see the true distribution.
fn ramp(spent: f64) -> f64 {
    ((spent - 0.1) / 0.2).min((0.9 - spent) / 0.1).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ast_control::PiConfig;

    use super::*;
    use crate::data::Visit;
    use crate::ledger::{Ledger, Seen};
    use crate::params::ParamValue;
    use crate::queue::{Accepted, Queue};
    use crate::random::Random;
    use crate::sampler::Sampler;
    use crate::testing::{Labels, NoLook, Stage};

    const SAMPLES: usize = 10_000;

    fn policy(given: &[(&str, f64)], hard: bool) -> Ast {
        let mut params: BTreeMap<String, ParamValue> =
            given.iter().map(|(key, value)| ((*key).to_string(), ParamValue::Number(*value))).collect();
        if hard {
            params.insert("gate".into(), ParamValue::Word("hard".into()));
        }
        let task = Task { target: 0.1, control: PiConfig::default() };
        Ast::new(&Params::resolve(PARAMS, &params).unwrap(), task).unwrap()
    }

    /// Runs epochs at `spent` with a score that every sample keeps: its id over the number of samples. Returns the
    /// accepted candidates, the realised rate, and each sample's visits.
    fn run(policy: &mut Ast, spent: f64, epochs: u32) -> (Vec<SampleId>, f64, Vec<u16>) {
        let data = Labels(vec![0; SAMPLES]);
        let mut ledger = Ledger::new(&data);
        let queue = Queue::new(SAMPLES);
        let random = Random::new(9);
        let mut sampler = Sampler::new(random, SAMPLES, 128);
        let seen =
            |id: u32, coverage| Seen { id, score: id as f32 / SAMPLES as f32, loss: 1.0, correct: true, coverage };
        let everyone: Vec<_> = (0..SAMPLES as u32).map(|id| seen((id * 7919) % SAMPLES as u32, true)).collect();
        ledger.record(&everyone);
        let (mut chosen, mut trained) = (Vec::new(), 0);
        for epoch in 0..epochs {
            let coverage = policy.begin(spent);
            let plan = sampler.plan(epoch, coverage);
            for chunk in 0..plan.chunks() {
                let offer = plan.offer(epoch, chunk).unwrap();
                let mut accepted = Vec::new();
                let mut view =
                    View { spent: 0.5, dataset: &data, ledger: &ledger, queue: &queue, random, fresh: &mut NoLook };
                policy.select(offer, &mut view, &mut accepted).unwrap();
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

    /// With weight = score and scores uniform on 0..1, the mean score of a weighted sample is 2/3 (density 2s), up to
    /// the thinning of the largest that sampling without replacement brings.
    #[test]
    fn acceptance_is_in_proportion_to_the_score() {
        let (chosen, ..) = run(&mut policy(&[("kappa", f64::INFINITY), ("horizon", 1000.0)], false), 0.5, 10);
        let mean = chosen.iter().map(|id| f64::from(*id)).sum::<f64>() / (chosen.len() * SAMPLES) as f64;
        assert!((mean - 2.0 / 3.0).abs() < 0.02, "{mean}");
    }

    /// A thousand distinct losses by a fresh look, of which the ledger knows nothing: the threshold is the bias, 1 - 0.08/0.98
    /// = 0.9184, so all 81 above the 919th pass, and with luck that one.
    #[test]
    fn a_look_takes_the_place_of_the_ledger() {
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
        // 1 + average (at most 1 + 20 x 0.1) plus the visit that crosses it, plus coverage which no cap stops.
        assert!(visits.iter().max().unwrap() <= &6, "{:?}", visits.iter().max());
    }

    #[test]
    fn pending_samples_are_passed_over() {
        let mut policy = policy(&[], true);
        let data = Labels(vec![0; SAMPLES]);
        let ledger = Ledger::new(&data);
        let mut queue = Queue::new(SAMPLES);
        for id in 0..SAMPLES as u32 {
            queue.push(Accepted { visit: Visit { id, epoch: 0 }, coverage: false, spent: 0.5, weight: 1.0 });
        }
        let random = Random::new(1);
        let mut sampler = Sampler::new(random, SAMPLES, 128);
        let coverage = policy.begin(0.5);
        let plan = sampler.plan(0, coverage);
        let mut accepted = Vec::new();
        let mut view = View { spent: 0.5, dataset: &data, ledger: &ledger, queue: &queue, random, fresh: &mut NoLook };
        policy.select(plan.offer(0, 0).unwrap(), &mut view, &mut accepted).unwrap();
        assert!(accepted.is_empty());
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
}
