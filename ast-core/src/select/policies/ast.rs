//! The default policy: random samples, a share of which is replaced by significant ones.
//!
//! Of the target rho, `c = (1 - lambda) rho` is coverage: the next slice of the permutations that the policy `random`
//! follows. The rest is selected from the other samples through a gate. Each candidate draws a key `U^(1/w)`, with a
//! weight `w` from its score (weighted sampling without replacement, Efraimidis & Spirakis 2006), and passes if its key
//! is in the top of recent keys. A PI controller holds the activation rate. For any scorer the plant is
//! `rate = c + (1 - c)(1 - threshold)`.
//!
//! With `lambda = 0` the policy equals `random`, sample for sample. This is the default in runs that train each sample
//! less than four times on average, where no selective method has been shown to beat `random` (docs/results.md). The guard
//! measures what a pass is worth by eighths of the rank of the score, and holds back those at which a pass makes the
//! others worse: with wrong labels the highest. Scores come from the ledger unless another `source` is set, which is used only while lambda
//! is above 0.

use ast_control::{Controller, Output, RankControl, Setpoint};

use serde::{Deserialize, Serialize};

use crate::codec::{SnapshotError, decode, encode};
use crate::plugin::{ParamError, ParamKind, ParamSpec, ParamValue, Params};
use crate::random::Purpose;
use crate::select::gate;
use crate::select::goal::Goal;
use crate::select::ledger::{Ledger, SampleOutcome};
use crate::select::policy::{Policy, PolicyError, SelectionContext, SelectionStats};
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;
use crate::select::source::{EVERY, RESOLUTION, SOURCE, Source};
use crate::select::window::Window;
use crate::select::worth::{Worth, WorthMeter};

/// Number of recent keys of which the threshold is a quantile.
const KEY_WINDOW: usize = 4096;

/// Default of `lambda` in a run that trains each sample at least [`SHOWN`] times on average.
const LAMBDA: f64 = 0.8;
/// Fewest visits per sample at which selection has been shown to beat `random` (docs/results.md).
const SHOWN: f64 = 4.0;
/// Largest share of the candidates that the gate may have to let through. Some of those cannot be trained on, because
/// they are already in the queue or have reached their cap of visits.
const MOST_PASSED: f64 = 0.9;

const PARAMS: &[ParamSpec] = &[
    ParamSpec {
        name: "lambda",
        summary: "largest share of the target that is chosen by significance; 0 is `random`; default: 0.8 in a run that trains each sample 4 times or more on average, else 0, because there nothing has been shown to beat `random`",
        kind: ParamKind::Number { default: f64::NAN, min: 0.0, max: 0.95 },
    },
    ParamSpec {
        name: "gamma",
        summary: "exponent of the weight score^gamma: 0 ignores significance, larger values select it more strictly",
        kind: ParamKind::Number { default: 2.0, min: 0.0, max: 10.0 },
    },
    ParamSpec {
        name: "horizon",
        summary: "age, in dataset sizes trained, at which a score has lost 63 % of its influence",
        kind: ParamKind::Number { default: 3.0, min: 0.01, max: 1000.0 },
    },
    ParamSpec {
        name: "kappa",
        summary: "a sample is not selected once its visits exceed 1 + kappa x the average",
        kind: ParamKind::Number { default: 3.0, min: 0.0, max: f64::INFINITY },
    },
    ParamSpec {
        name: "gate",
        summary: "randomised: selects with probability in proportion to the weight; hard: selects the top scores",
        kind: ParamKind::Choice(&["randomised", "hard"]),
    },
    ParamSpec {
        name: "controller",
        summary: "pi: feed-forward and feedback; quantile: feed-forward only; seed: the original's increments",
        kind: ParamKind::Choice(&["pi", "quantile", "seed"]),
    },
    ParamSpec {
        name: "weights",
        summary: "exponent alpha of the loss weight (target / pi)^alpha, pi the probability of being trained on, clamped to 0.5..=3: 0 no weights, 1 compensates for selection within these bounds; no weights with a hard gate",
        kind: ParamKind::Number { default: 0.0, min: 0.0, max: 1.0 },
    },
    ParamSpec {
        name: "guard",
        summary: "on: measure what a pass is worth by the rank of the score, select nothing while that is not known, and hold back the scores at which it makes the other samples worse",
        kind: ParamKind::Choice(&["on", "off"]),
    },
    SOURCE,
    EVERY,
    RESOLUTION,
];

crate::register_policy! {
    name: "ast",
    summary: "random samples, a share of them replaced by significant ones through a PI-controlled gate; costs the target",
    params: PARAMS,
    build: |params, goal| Ok(Box::new(Ast::new(params, goal)?)),
}

/// The guard, with what it measured. In a loop that does not tell what a pass is worth it has nothing, and does nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Guard {
    Off,
    On(Option<WorthMeter>),
}

struct Ast {
    goal: Goal,
    lambda_max: f64,
    /// A warning if the run selects less than requested, or selects without evidence that it pays.
    warning: Option<String>,
    gamma: f64,
    horizon: f64,
    kappa: f64,
    hard: bool,
    alpha: f64,
    guard: Guard,
    source: Source,

    lambda: f64,
    /// What a pass is worth in this nominal epoch; `None` without the guard.
    worth: Option<Worth>,
    controller: RankControl,
    last: Option<Output>,
    keys: Window,
    chunk_keys: Vec<f32>,
    /// The smallest key that passed in the last chunk, if the gate was used.
    cut: Option<f64>,
    passed: Vec<u32>,
}

impl Ast {
    fn new(params: &Params, goal: Goal) -> Result<Self, PolicyError> {
        let given = params.optional("lambda")?;
        let pays = goal.visits().is_some_and(|visits| visits >= SHOWN);
        let wanted = given.unwrap_or(if pays { LAMBDA } else { 0.0 });
        let lambda_max = wanted.min(largest_lambda(goal.target));
        let (alpha, source) = (params.number("weights")?, params.word("source")?);
        if alpha > 0.0 && source != "ledger" {
            let allowed = format!(
                "possible with source = \"{source}\": coverage samples have no score there to compute a weight from"
            );
            let value = ParamValue::Number(alpha);
            return Err(ParamError::OutOfRange { key: "weights", value, allowed }.into());
        }
        let smallest_coverage = (1.0 - lambda_max) * goal.target;
        Ok(Self {
            goal,
            lambda_max,
            warning: warning(given, lambda_max, wanted, goal),
            gamma: params.number("gamma")?,
            horizon: params.number("horizon")?,
            kappa: params.number("kappa")?,
            hard: params.word("gate")? == "hard",
            alpha,
            guard: if params.word("guard")? == "on" { Guard::On(None) } else { Guard::Off },
            source: Source::new(params)?,
            lambda: 0.0,
            worth: None,
            controller: match params.word("controller")? {
                "quantile" => RankControl::quantile(goal.control.ema),
                "seed" => RankControl::original(),
                _ => RankControl::pi(goal.control.check(1.0 - smallest_coverage)?),
            },
            last: None,
            keys: Window::new(KEY_WINDOW),
            chunk_keys: Vec::new(),
            cut: None,
            passed: Vec::new(),
        })
    }

    /// The target, and as bias the threshold that would give exactly the target if every candidate were eligible.
    fn setpoint(&self) -> Setpoint {
        let target = self.goal.target;
        let coverage = (1.0 - self.lambda) * target;
        let bias = if coverage < 1.0 { 1.0 - self.lambda * target / (1.0 - coverage) } else { 1.0 };
        Setpoint { target, bias }
    }

    /// Draws the keys of a chunk's candidates: `ln U / w`, which has the order of `U^(1/w)`, or the score itself with a
    /// hard gate.
    fn draw_keys(&mut self, offer: Offer<'_>, context: &mut SelectionContext<'_>) -> Result<(), PolicyError> {
        let scores = self.source.ranks(offer, context, self.horizon)?;
        let mut stream = context.random.stream(Purpose::Gate, u64::from(offer.epoch), 2 * u64::from(offer.chunk));
        let mut keys = std::mem::take(&mut self.chunk_keys);
        keys.clear();
        keys.extend(offer.candidates.iter().zip(scores).map(|(id, score)| {
            if self.hard {
                return score.map_or(0.5, |score| score * self.gate(*id, score, context.ledger)) as f32;
            }
            stream.uniform_above_zero().ln() / self.weight(*id, score, context.ledger) as f32
        }));
        self.chunk_keys = keys;
        Ok(())
    }

    fn weight(&self, id: SampleId, score: Option<f64>, ledger: &Ledger) -> f64 {
        score.map_or(1.0, |score| score.powf(self.gamma) * self.gate(id, score, ledger))
    }

    /// The guard's factor of the weight, by the last rank of the sample itself: an old score fades, but a label that was
    /// contradicted stays so.
    fn gate(&self, id: SampleId, score: f64, ledger: &Ledger) -> f64 {
        let Some(worth) = self.worth else { return 1.0 };
        let rank = if self.source.probes() { None } else { ledger.score(id, f64::INFINITY) };
        worth.gate(rank.unwrap_or(score))
    }

    /// Whether a sample that passes the gate may be trained on: it is not in the queue already, and its visits are
    /// within the cap.
    fn is_eligible(&self, id: SampleId, context: &SelectionContext<'_>) -> bool {
        let average = context.ledger.clock() as f64 / context.ledger.samples() as f64;
        let cap = 1.0 + if average > 0.0 { self.kappa * average } else { 0.0 };
        !context.queue.is_pending(id) && f64::from(context.ledger.visits(id)) <= cap
    }

    /// The probability that a sample was trained on in the last chunk: `c + (1 - c) P(ln U / w >= cut)`.
    fn chance(&self, id: SampleId, cut: f64, context: &SelectionContext<'_>) -> f64 {
        let coverage = (1.0 - self.lambda) * self.goal.target;
        let weight = self.weight(id, context.ledger.score(id, self.horizon), context.ledger);
        let passes = if weight > 0.0 { 1.0 - (cut * weight).exp() } else { 0.0 };
        coverage + if self.is_eligible(id, context) { (1.0 - coverage) * passes } else { 0.0 }
    }
}

impl Policy for Ast {
    fn begin(&mut self, spent: f64) -> f64 {
        self.worth = self.worth();
        let selects = self.worth.is_some() || !matches!(self.guard, Guard::On(Some(_)));
        self.lambda = if selects { self.lambda_max * ramp(spent) } else { 0.0 };
        (1.0 - self.lambda) * self.goal.target
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        let already = accepted.len();
        self.cut = None;
        if self.lambda > 0.0 {
            self.draw_keys(offer, context)?;
            self.keys.extend(self.chunk_keys.iter().copied());
            if let Some(quantile) = self.keys.quantile(self.controller.threshold(self.setpoint())) {
                let mut ties =
                    context.random.stream(Purpose::Gate, u64::from(offer.epoch), 2 * u64::from(offer.chunk) + 1);
                gate::pass(&self.chunk_keys, quantile, &mut ties, &mut self.passed);
                let passed = self.passed.iter().map(|i| offer.candidates[*i as usize]);
                accepted.extend(passed.filter(|id| self.is_eligible(*id, context)));
                self.cut = Some(f64::from(quantile.value));
            }
        }
        let trained = offer.coverage.len() + accepted.len() - already;
        self.last = Some(self.controller.update(trained as f64 / offer.len() as f64, self.setpoint())?);
        Ok(())
    }

    fn loss_weights(&self, offer: Offer<'_>, accepted: &[SampleId], context: &SelectionContext<'_>) -> Vec<f32> {
        let Some(cut) = self.cut.filter(|_| self.alpha > 0.0 && !self.hard) else { return Vec::new() };
        let weight =
            |id: &SampleId| (self.goal.target / self.chance(*id, cut, context)).powf(self.alpha).clamp(0.5, 3.0);
        offer.coverage.iter().chain(accepted).map(|id| weight(id) as f32).collect()
    }

    fn probes(&self) -> bool {
        self.lambda_max > 0.0 && self.source.probes()
    }

    fn acts_as(&self) -> Option<&'static str> {
        (self.lambda_max == 0.0).then_some("random")
    }

    fn warning(&self) -> Option<String> {
        self.warning.clone()
    }

    fn watches(&self) -> bool {
        self.lambda_max > 0.0 && self.guard != Guard::Off
    }

    fn observe(&mut self, seen: &[SampleOutcome], ledger: &Ledger) {
        let Guard::On(meter) = &mut self.guard else { return };
        for seen in seen.iter().filter(|seen| seen.coverage) {
            // Its age is 0, so its score is the rank of what was just recorded.
            if let (Some(worth), Some(rank)) = (seen.worth, ledger.score(seen.id, f64::INFINITY)) {
                meter.get_or_insert_default().observe(rank, f64::from(worth));
            }
        }
    }

    fn worth(&self) -> Option<Worth> {
        let Guard::On(Some(meter)) = &self.guard else { return None };
        meter.worth()
    }

    fn stats(&self, goal: &Goal) -> SelectionStats {
        SelectionStats {
            target: goal.target,
            rate: self.last.map(|last| last.rate),
            threshold: self.last.map(|last| last.threshold),
        }
    }

    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        let own =
            encode("policy", &(&self.lambda, &self.worth, &self.controller, &self.last, &self.keys, &self.guard))?;
        self.source.save(own)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        let saved = &self.source.restore(saved)?;
        (self.lambda, self.worth, self.controller, self.last, self.keys, self.guard) = decode("policy", saved)?;
        Ok(())
    }
}

/// The `lambda` at which the gate has to let through [`MOST_PASSED`] of the candidates: the solution of
/// `lambda rho = MOST_PASSED (1 - (1 - lambda) rho)`. It is 0 if everything is trained.
fn largest_lambda(target: f64) -> f64 {
    MOST_PASSED / (1.0 - MOST_PASSED) * (1.0 - target) / target
}

/// The warning about `lambda`, if it differs from `wanted` or if nothing shows that it pays.
fn warning(given: Option<f64>, lambda: f64, wanted: f64, goal: Goal) -> Option<String> {
    let percent = 100.0 * goal.target;
    let length = match goal.visits() {
        Some(visits) => format!("a run that trains each sample {visits:.1} times on average is"),
        None => "a run with a time limit may be".into(),
    };
    if lambda < wanted {
        let is = if lambda == 0.0 { "`random`".into() } else { format!("limited to a lambda of {lambda:.2}") };
        return Some(format!(
            "`ast` is {is} here: an activation of {percent:.1} % trains nearly every sample and leaves little to select"
        ));
    }
    let shown = goal.visits().is_some_and(|visits| visits >= SHOWN);
    match given {
        None if lambda == 0.0 => Some(format!(
            "`ast` is `random` here: {length} too short for selection to have been shown to pay (it was at {SHOWN} times, \
             with right labels); set policy.lambda = {LAMBDA} to select anyway"
        )),
        Some(given) if given > 0.0 && !shown => Some(format!(
            "`ast` selects here because of policy.lambda = {given}, but {length} too short for selection to have been \
             shown to pay (it was at {SHOWN} times, with right labels)"
        )),
        _ => None,
    }
}

/// Share of `lambda` used after a share `spent` of the budget. It starts at 0 while the ledger fills. It ends at 0, so
/// that the last steps see the true distribution.
fn ramp(spent: f64) -> f64 {
    ((spent - 0.1) / 0.2).min((0.9 - spent) / 0.1).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests;
