//! The selector: returns the ids of the samples to train on next, and records the results of the steps.

mod leave_out;
mod offer;
mod saved;

use std::collections::{BTreeSet, VecDeque};

use super::batch::{Batch, Outcome};
use super::budget::{Budget, Cost};
use super::choice::{BoxedPolicy, PolicyChoice};
use super::counts::{Counts, PassCost};
use super::error::SelectError;
use super::goal::{Goal, Limit, RunLength};
use super::ledger::{Ledger, SampleOutcome};
use super::policy::{PolicyError, SelectionStats};
use super::probe::{Probe, ProbeError, Probed, ScoredBy};
use super::queue::{Accepted, Queue};
use super::sample::{Groups, Level, SampleId};
use super::sampler::{Plan, Sampler};
use super::stages::{self, Stage};
use super::worth::Worth;
use crate::random::Random;

pub(crate) use self::saved::{Cursor, State};

/// Default cost of a sample: a forward pass 1, a backward pass 2.
const DEFAULT_COST: PassCost = PassCost { forward: 1, step: 3 };

/// Selects samples for any training loop. Works on ids and plain numbers only.
///
/// ```text
///                             Ledger (per sample: rank, loss, age, visits) <-----------+
///                                |                                                     |
///  ids -> Sampler -> offer -> Policy (gate, controller) -> Queue -> batch of ids       |
///         (order of the epoch)    ^                                 |                  |
///                                 +------ Budget (share spent) <----+---- outcome -----+
/// ```
///
/// A batch is *in flight* from [`next_batch`](Self::next_batch) until [`record`](Self::record) or [`skip`](Self::skip).
/// Several batches may be in flight, so that data loads while another batch trains. All decisions are functions of the
/// seed and the recorded results: the same calls give the same batches. A policy does not accept a sample in flight
/// again on its old score, but coverage may still name it. If batches are large compared with the dataset, an id can
/// therefore be in a batch twice, and a policy that selects by scores may train less than its target.
///
/// After an error in [`next_batch`](Self::next_batch) or [`restore`](Self::restore) a selector refuses to continue,
/// because its current decision is lost. Call [`save`](Self::save) regularly, and restore the last state.
pub struct Selector {
    /// The arguments it was created with, as text.
    made: String,
    /// Whether an error ended it.
    broken: bool,
    goal: Goal,
    policy: BoxedPolicy,
    random: Random,
    batch_size: usize,
    costs: Vec<PassCost>,
    stages: Vec<Stage>,
    /// Share of the budget that is trained on every offered sample first.
    warm_up: f64,
    budget: Budget,
    state: State,
}

impl Selector {
    /// Creates a selector from the samples with their groups, a registered policy, a goal, the batch size and a seed.
    ///
    /// # Errors
    /// [`SelectError`] if the goal is impossible or the policy refuses it.
    pub fn new(
        groups: Groups,
        policy: PolicyChoice,
        goal: Goal,
        batch_size: usize,
        seed: u64,
    ) -> Result<Self, SelectError> {
        goal.check()?;
        let title = policy.title();
        Self::made_of(groups, (policy.build(goal)?, title), goal, batch_size, seed)
    }

    /// Creates a selector with your own policy, which need not be registered. A [`Policy`](super::Policy) has the kind
    /// [`PLAIN`](super::PolicyKind::PLAIN); [`BoxedPolicy::new`] sets another.
    ///
    /// # Errors
    /// [`SelectError`] if the goal is impossible.
    pub fn of(
        groups: Groups,
        policy: impl Into<BoxedPolicy>,
        goal: Goal,
        batch_size: usize,
        seed: u64,
    ) -> Result<Self, SelectError> {
        Self::made_of(groups, (policy.into(), "a policy of one's own".into()), goal, batch_size, seed)
    }

    fn made_of(
        groups: Groups,
        (policy, title): (BoxedPolicy, String),
        goal: Goal,
        batch_size: usize,
        seed: u64,
    ) -> Result<Self, SelectError> {
        goal.check()?;
        let (samples, random) = (groups.samples(), Random::new(seed));
        if batch_size == 0 {
            return Err(SelectError::BatchSize);
        }
        if samples == 0 || SampleId::try_from(samples).is_err() {
            return Err(SelectError::Samples(samples));
        }
        if policy.kind.run_length == RunLength::Whole && goal.limit.is_some() {
            return Err(SelectError::NoLimit);
        }
        let state = State {
            sampler: Sampler::new(random, samples, batch_size),
            plan: Plan::default(),
            covers: true,
            next: Cursor::default(),
            queue: Queue::new(samples),
            in_flight: VecDeque::new(),
            batches: 0,
            ledger: Ledger::new(groups),
            counts: Counts::default(),
            stage: 0,
            warming: false,
            left_out: BTreeSet::new(),
        };
        let step = DEFAULT_COST.step;
        let budget = goal.budget_for(policy.kind.run_length, samples, step, step);
        let made = format!("{goal:?}, {batch_size} samples a batch, seed {seed}, {title}");
        let (costs, stages) = (vec![DEFAULT_COST], Vec::new());
        Ok(Self { made, broken: false, goal, policy, random, batch_size, costs, stages, warm_up: 0.0, budget, state })
    }

    /// Sets the real cost of a sample at each level, in FLOPs for example. Call it before the first batch. If the goal
    /// is a share of a dense run, that run has level 0.
    ///
    /// # Errors
    /// [`SelectError::Costs`] if `levels` is empty, if a step costs 0 or so much that the sum over the run overflows,
    /// or after the first batch.
    pub fn set_costs(&mut self, levels: Vec<PassCost>) -> Result<(), SelectError> {
        let largest = u64::MAX / (self.state.ledger.samples() as u64 * u64::from(self.goal.epochs));
        levels.first().ok_or(SelectError::Costs("at least one level is needed"))?;
        if levels.iter().any(|level| level.step == 0) {
            return Err(SelectError::Costs("a step must cost more than 0, or the run never ends"));
        }
        if levels.iter().any(|level| level.step.max(level.forward) > largest) {
            return Err(SelectError::Costs("their sum over the run overflows: use a larger unit"));
        }
        if self.state.counts != Counts::default() {
            return Err(SelectError::Costs("they can only be set before the first batch"));
        }
        self.costs = levels;
        self.set_budget();
        Ok(())
    }

    /// Divides the run into stages, each with a level, for every policy that names no levels itself. Call it after
    /// [`set_costs`](Self::set_costs), before the first batch.
    ///
    /// A stage ends when its share of the budget is spent. For a run of [`RunLength::Cut`] the shares are of the whole
    /// run that it is cut from, as for every schedule. Samples that are still waiting then move to the level of the next
    /// stage and are charged at its cost. Level 0 stays the level of the dense run, by which budgets are measured.
    ///
    /// # Errors
    /// [`SelectError::Stages`] if a level has no cost, if the shares do not add up to 1, or after the first batch.
    pub fn set_stages(&mut self, stages: Vec<Stage>) -> Result<(), SelectError> {
        stages::check(&stages, &self.costs).map_err(SelectError::Stages)?;
        if !self.stages.is_empty() || self.state.counts != Counts::default() {
            return Err(SelectError::Stages("they can only be set once, before the first batch"));
        }
        for Stage { level, share } in &stages {
            self.made.push_str(&format!(", level {level} for {share} of the budget"));
        }
        self.stages = stages;
        self.set_budget();
        Ok(())
    }

    /// Trains on every offered sample until a share, 0..=1, of the budget is spent. The policy begins after that, and knows
    /// the results of these steps. Call it before the first batch.
    ///
    /// The samples are those that coverage would name: a run that selects at random trains on the same samples in the same
    /// order with it and without. A run costs the same with it and without: if the goal has no limit, a policy that keeps
    /// its target has the target's share of a dense run as its budget. For other policies the budget is then the nominal
    /// epochs.
    ///
    /// # Errors
    /// [`SelectError::WarmUp`] if the share is out of range, or after the first batch.
    pub fn set_warm_up(&mut self, share: f64) -> Result<(), SelectError> {
        if !(0.0..=1.0).contains(&share) {
            return Err(SelectError::WarmUp("its share must be a number in 0..=1"));
        }
        if self.warm_up != 0.0 || self.state.counts != Counts::default() {
            return Err(SelectError::WarmUp("it can only be set once, before the first batch"));
        }
        if share > 0.0 {
            self.made.push_str(&format!(", every sample for {share} of the budget"));
        }
        self.warm_up = share;
        self.set_budget();
        Ok(())
    }

    /// Sets the budget that follows from the goal, the costs, the stages and the warm-up.
    fn set_budget(&mut self) {
        let (kind, step) = (self.policy.kind, self.cost_of_a_sample().step);
        let costs = self.stages.iter().map(|stage| self.costs[usize::from(stage.level)].step);
        let cheapest = costs.min().unwrap_or(step);
        let shortened = self.warm_up > 0.0 && self.goal.limit.is_none() && kind.keeps_target;
        let limit = if shortened { Some(Limit::Fraction(self.goal.target)) } else { self.goal.limit };
        let goal = Goal { limit, ..self.goal };
        self.budget = goal.budget_for(kind.run_length, self.state.ledger.samples(), step, cheapest);
    }

    /// The share of the budget that is trained on every offered sample, 0..=1.
    #[must_use]
    pub fn warm_up(&self) -> f64 {
        self.warm_up
    }

    /// The level of the current stage; 0 without stages.
    fn level(&self) -> Level {
        self.stages.get(self.state.stage).map_or(0, |stage| stage.level)
    }

    /// Enters the stage that belongs to the share spent. What is waiting at the level of the stage before moves along.
    fn enter_stage(&mut self, probe: &mut dyn Probe) -> Result<(), SelectError> {
        if self.stages.is_empty() {
            return Ok(());
        }
        let from = self.level();
        let stage = stages::stage_at(&self.stages, self.schedule() * self.spent(probe)?);
        self.state.stage = self.state.stage.max(stage);
        let to = self.level();
        let moved = self.state.queue.restage(from, to) as u64;
        let [before, now] = [from, to].map(|level| self.costs[usize::from(level)].step);
        let counts = &mut self.state.counts;
        counts.accepted_cost = counts.accepted_cost + moved * now - moved * before;
        Ok(())
    }

    /// The share of all schedules that the budget covers: a run of [`RunLength::Cut`] stops early, but its schedules are
    /// those of the whole run.
    fn schedule(&self) -> f64 {
        if self.policy.kind.run_length == RunLength::Cut { self.goal.target } else { 1.0 }
    }

    /// The next batch to train on; `None` at the end of the budget. The last batch of a level may be smaller.
    ///
    /// # Errors
    /// [`SelectError`] if the policy fails, or needs something that `probe` does not provide.
    pub fn next_batch(&mut self, probe: &mut dyn Probe) -> Result<Option<Batch>, SelectError> {
        if self.broken {
            return Err(SelectError::Broken);
        }
        let next = self.select(probe);
        self.broken = next.is_err();
        next
    }

    fn select(&mut self, probe: &mut dyn Probe) -> Result<Option<Batch>, SelectError> {
        if self.policy.probes() && !probe.makes_passes() {
            let refusal = ProbeError::NotOffered("extra forward passes");
            return Err(PolicyError::Probe(refusal).into());
        }
        let level = loop {
            if let Some(level) = self.state.queue.level_with(self.batch_size) {
                break level;
            }
            self.enter_stage(probe)?;
            if self.is_over(probe)? {
                match self.state.queue.level_with(1) {
                    Some(level) => break level,
                    None => return Ok(None),
                }
            }
            self.offer_chunk(probe)?;
        };
        let accepted = self.state.queue.take(level, self.batch_size);
        let spent =
            self.schedule() * (accepted.iter().map(|accepted| accepted.spent).sum::<f64>() / accepted.len() as f64);
        let (number, offered, stats) = (self.state.batches, self.state.counts.offered, self.stats());
        self.state.batches += 1;
        let batch = Batch { number, level, accepted, spent, offered, stats };
        self.state.in_flight.push_back(batch.clone());
        Ok(Some(batch))
    }

    /// Records the results of a step on a batch. After an error the batch is still [in flight](Self::in_flight).
    ///
    /// # Errors
    /// [`SelectError::Length`] or [`SelectError::NotInFlight`]; nothing has changed then.
    pub fn record(&mut self, batch: Batch, outcome: &Outcome<'_>) -> Result<(), SelectError> {
        let samples = batch.len();
        let correct = outcome.correct.map_or(samples, <[bool]>::len);
        let worth = outcome.worth.map_or(samples, <[f32]>::len);
        let (score, loss) = (outcome.score.len(), outcome.loss.len());
        for (column, found) in [("score", score), ("loss", loss), ("correct", correct), ("worth", worth)] {
            if found != samples {
                return Err(SelectError::Length { column, expected: samples, found });
            }
        }
        self.land(&batch)?;
        let seen = |(i, accepted): (usize, &Accepted)| SampleOutcome {
            id: accepted.visit.id,
            score: outcome.score[i],
            loss: outcome.loss[i],
            correct: outcome.correct.is_some_and(|correct| correct[i]),
            coverage: accepted.coverage,
            worth: outcome.worth.map(|worth| worth[i]),
        };
        let seen: Vec<SampleOutcome> = batch.accepted.iter().enumerate().map(seen).collect();
        self.state.ledger.record(&seen);
        self.policy.observe(&seen, &self.state.ledger);
        self.state.counts.steps += 1;
        self.state.counts.trained += samples as u64;
        Ok(())
    }

    /// Returns a batch whose step was skipped, for example because of a NaN. Its samples count as offered but not as
    /// trained, and its cost counts as spent.
    ///
    /// # Errors
    /// [`SelectError::NotInFlight`].
    pub fn skip(&mut self, batch: Batch) -> Result<(), SelectError> {
        self.land(&batch)?;
        self.state.counts.skipped += 1;
        self.state.counts.wasted += batch.len() as u64;
        Ok(())
    }

    fn land(&mut self, batch: &Batch) -> Result<(), SelectError> {
        let flying = &mut self.state.in_flight;
        let is = |other: &Batch| other.number == batch.number && other.ids() == batch.ids();
        let place = flying.iter().position(is).ok_or(SelectError::NotInFlight(batch.number))?;
        flying.remove(place);
        let cost = self.costs.get(usize::from(batch.level)).map_or(0, |cost| cost.step);
        self.state.counts.training_cost += batch.len() as u64 * cost;
        batch.accepted.iter().for_each(|accepted| self.state.queue.done(accepted.visit.id));
        Ok(())
    }

    /// Whether the policy uses [`Outcome::worth`], to hold back samples on which a pass does not pay.
    #[must_use]
    pub fn watches(&self) -> bool {
        self.policy.watches()
    }

    /// What a pass is worth by the rank of the score, if the policy measures that and knows it.
    #[must_use]
    pub fn worth(&self) -> Option<Worth> {
        self.policy.worth()
    }

    /// The share of the budget spent, 0 and above. Batches in flight count as spent.
    ///
    /// # Errors
    /// [`SelectError`] if the goal is in seconds and `probe` has no clock.
    pub fn spent(&self, probe: &mut dyn Probe) -> Result<f64, SelectError> {
        Ok(self.budget.spent(self.cost(probe)?))
    }

    /// Whether the budget is used up. Samples that are already accepted are still to be trained then.
    ///
    /// # Errors
    /// [`SelectError`] if the goal is in seconds and `probe` has no clock.
    pub fn is_over(&self, probe: &mut dyn Probe) -> Result<bool, SelectError> {
        Ok(self.budget.is_over(self.cost(probe)?))
    }

    fn cost(&self, probe: &mut dyn Probe) -> Result<Cost, SelectError> {
        let seconds = match self.goal.limit {
            Some(Limit::Seconds(_)) => {
                let seconds = probe.seconds().map_err(PolicyError::Probe)?;
                if !(0.0..f64::INFINITY).contains(&seconds) {
                    return Err(PolicyError::Probe(ProbeError::Clock(seconds)).into());
                }
                seconds
            }
            _ => 0.0,
        };
        let flops = self.state.counts.committed(self.goal.charges_scoring);
        Ok(Cost { offered: self.state.counts.offered, flops, seconds })
    }

    /// Charges an extra pass over `samples` samples that was not requested by a policy, such as one before the first
    /// batch.
    pub fn charge(&mut self, samples: usize, by: ScoredBy, probed: &Probed) {
        self.state.counts.charge(samples, by, probed);
    }

    /// Charges the cost of computing [`Outcome::worth`].
    pub fn charge_watching(&mut self, cost: u64) {
        self.state.counts.watching_cost += cost;
    }

    /// Call it after a rollback with [`restore`](Self::restore), with the counts from before the rollback in
    /// `abandoned`. Adds their cost, because a rollback refunds nothing.
    pub fn abandon(&mut self, abandoned: &Counts) {
        self.state.counts.abandon(abandoned);
    }

    /// Counts of the work executed so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.state.counts
    }

    /// Per-sample memory of earlier steps.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// The policy, with its kind.
    #[must_use]
    pub fn policy(&self) -> &BoxedPolicy {
        &self.policy
    }

    /// The state of selection, as reported by the policy; during a warm-up every sample is the target.
    #[must_use]
    pub fn stats(&self) -> SelectionStats {
        if self.state.warming { SelectionStats::of(1.0) } else { self.policy.stats(&self.goal) }
    }

    /// The goal of the run.
    #[must_use]
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// The cost of one sample at each level.
    #[must_use]
    pub fn costs(&self) -> &[PassCost] {
        &self.costs
    }

    /// The cost of one sample at level 0.
    #[must_use]
    pub fn cost_of_a_sample(&self) -> PassCost {
        self.costs.first().copied().unwrap_or(DEFAULT_COST)
    }

    /// Batches that are neither recorded nor skipped, oldest first. After [`restore`](Self::restore), train these
    /// before you ask for the next.
    #[must_use]
    pub fn in_flight(&self) -> &VecDeque<Batch> {
        &self.state.in_flight
    }
}

impl std::fmt::Debug for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Selector").field("made", &self.made).field("counts", self.counts()).finish_non_exhaustive()
    }
}
