//! The selector: hands out the ids that are trained on next, and is told what a step showed of them.

mod offer;
mod saved;

use std::collections::VecDeque;

use super::alignment::Alignment;
use super::batch::{Batch, Outcome};
use super::budget::{Budget, Cost};
use super::choice::{BoxedPolicy, PolicyChoice};
use super::counts::{Counts, PassCost};
use super::error::SelectError;
use super::goal::{Goal, Limit, RunLength};
use super::guard::Decision;
use super::ledger::{Ledger, Seen};
use super::policy::{PolicyError, SelectionStats};
use super::probe::{Probe, ProbeError, Probed, ScoredBy};
use super::queue::{Accepted, Queue};
use super::sample::{Groups, SampleId};
use super::sampler::{Plan, Sampler};
use crate::random::Random;

pub(crate) use self::saved::{Cursor, State};

/// What a sample costs where nobody says otherwise: a forward pass 1, a backward pass 2.
const DEFAULT_COST: PassCost = PassCost { forward: 1, step: 3 };

/// Selection for any training loop: numbers in, ids out.
///
/// ```text
///                             Ledger (per sample: rank, loss, age, visits) <-----------+
///                                |                                                     |
///  ids -> Sampler -> offer -> Policy (gate, controller) -> Queue -> batch of ids       |
///         (order of the epoch)    ^                                 |                  |
///                                 +------ Budget (share spent) <----+---- outcome -----+
/// ```
///
/// A batch that was handed out is *in flight* until [`record`](Self::record) or [`skip`](Self::skip). A loop may have several
/// in flight, so that data loads while another batch trains. Everything is a function of the seed and of what was recorded:
/// the same calls give the same batches. A sample that is in flight is not accepted again on its old score, but coverage may
/// name it all the same: where a batch holds a good part of the dataset, an id may be in it twice, and a policy that
/// selects by scores may train less than its target.
///
/// After an error of [`next_batch`](Self::next_batch) or [`restore`](Self::restore) a selector refuses to go on: what it was
/// about to decide is lost. [`save`](Self::save) it now and then, and put the last state back.
pub struct Selector {
    /// What it was made with, in words.
    made: String,
    /// Whether it must not go on.
    broken: bool,
    goal: Goal,
    policy: BoxedPolicy,
    random: Random,
    batch_size: usize,
    costs: Vec<PassCost>,
    budget: Budget,
    state: State,
}

impl Selector {
    /// For samples with or without groups, a registered policy, a goal, `batch_size` samples a batch and a seed.
    ///
    /// # Errors
    /// [`SelectError`] if the goal cannot be had or the policy refuses it.
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

    /// The same with a policy of one's own, which need not be registered. A [`Policy`](super::Policy) alone is taken to be
    /// [plain](super::PolicyKind::PLAIN); [`BoxedPolicy::new`] gives it another kind.
    ///
    /// # Errors
    /// [`SelectError`] if the goal cannot be had.
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
        };
        let budget = goal.budget_for(policy.kind.run_length, samples, DEFAULT_COST.step);
        let made = format!("{goal:?}, {batch_size} samples a batch, seed {seed}, {title}");
        Ok(Self { made, broken: false, goal, policy, random, batch_size, costs: vec![DEFAULT_COST], budget, state })
    }

    /// Says what a sample really costs at each level, in floating-point operations, say. Call it before the first batch. A
    /// goal that is a share of the dense run's cost takes that run to be of level 0.
    ///
    /// # Errors
    /// [`SelectError::Costs`] if there are none, if one is 0 or larger than a run can add up, or after the first batch.
    pub fn set_costs(&mut self, levels: Vec<PassCost>) -> Result<(), SelectError> {
        let largest = u64::MAX / (self.state.ledger.samples() as u64 * u64::from(self.goal.epochs));
        let step = levels.first().ok_or(SelectError::Costs("those of one level at least are needed"))?.step;
        if levels.iter().any(|level| level.step == 0) {
            return Err(SelectError::Costs("a step that costs nothing never ends a run"));
        }
        if levels.iter().any(|level| level.step.max(level.forward) > largest) {
            return Err(SelectError::Costs("too large to be added up over the run: take a larger unit"));
        }
        if self.state.counts != Counts::default() {
            return Err(SelectError::Costs("they are set before the first batch, in one unit for the whole run"));
        }
        self.costs = levels;
        self.budget = self.goal.budget_for(self.policy.kind.run_length, self.state.ledger.samples(), step);
        Ok(())
    }

    /// The next batch to be trained on; `None` at the end of the budget. The last batch of a level may be smaller than the
    /// others.
    ///
    /// # Errors
    /// [`SelectError`] if the policy refuses, or asks for what `probe` does not offer.
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
            if self.is_over(probe)? {
                match self.state.queue.level_with(1) {
                    Some(level) => break level,
                    None => return Ok(None),
                }
            }
            self.offer_chunk(probe)?;
        };
        let accepted = self.state.queue.take(level, self.batch_size);
        // A schedule that is cut off is that of the whole run.
        let schedule = if self.policy.kind.run_length == RunLength::Cut { self.goal.target } else { 1.0 };
        let spent = schedule * (accepted.iter().map(|accepted| accepted.spent).sum::<f64>() / accepted.len() as f64);
        let (number, offered, stats) = (self.state.batches, self.state.counts.offered, self.stats());
        self.state.batches += 1;
        let batch = Batch { number, level, accepted, spent, offered, stats };
        self.state.in_flight.push_back(batch.clone());
        Ok(Some(batch))
    }

    /// Takes in what a step showed of a batch. A batch that was refused is still [in flight](Self::in_flight).
    ///
    /// # Errors
    /// [`SelectError::Length`] and [`SelectError::NotInFlight`]; nothing has changed then.
    pub fn record(&mut self, batch: Batch, outcome: &Outcome<'_>) -> Result<(), SelectError> {
        let samples = batch.len();
        let correct = outcome.correct.map_or(samples, <[bool]>::len);
        for (column, found) in [("score", outcome.score.len()), ("loss", outcome.loss.len()), ("correct", correct)] {
            if found != samples {
                return Err(SelectError::Length { column, expected: samples, found });
            }
        }
        self.land(&batch)?;
        let seen = |(i, accepted): (usize, &Accepted)| Seen {
            id: accepted.visit.id,
            score: outcome.score[i],
            loss: outcome.loss[i],
            correct: outcome.correct.is_some_and(|correct| correct[i]),
            coverage: accepted.coverage,
        };
        let seen: Vec<Seen> = batch.accepted.iter().enumerate().map(seen).collect();
        self.policy.observe(&seen);
        self.state.ledger.record(&seen);
        self.state.counts.steps += 1;
        self.state.counts.trained += samples as u64;
        Ok(())
    }

    /// Gives a batch back whose step was not made, because of a NaN, say: its samples count as offered and not as trained, and
    /// what was computed for nothing counts as spent.
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

    /// Whether the policy wants to [`watch`](Self::watch) whether selection pays.
    #[must_use]
    pub fn watches(&self) -> bool {
        self.policy.watches()
    }

    /// Gives the policy the inner products of a batch's per-sample gradients, before the batch is recorded. A
    /// loop that does not call this is never told that selection does not pay.
    pub fn watch(&mut self, batch: &Batch, alignment: &Alignment) -> Option<Decision> {
        self.policy.watch(alignment, batch.spent)
    }

    /// The share of the budget that is spent, batches in flight included, 0 and above.
    ///
    /// # Errors
    /// [`SelectError`] if the goal is in seconds and `probe` has no clock.
    pub fn spent(&self, probe: &mut dyn Probe) -> Result<f64, SelectError> {
        Ok(self.budget.spent(self.cost(probe)?))
    }

    /// Whether nothing is left of the budget; what is accepted is still to be trained then.
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

    /// Charges an extra pass over `samples` samples that no policy asked for, such as one before the first batch.
    pub fn charge(&mut self, samples: usize, by: ScoredBy, probed: &Probed) {
        self.state.counts.charge(samples, by, probed);
    }

    /// Charges what it cost to find out what the policy [`watches`](Self::watches).
    pub fn charge_watching(&mut self, cost: u64) {
        self.state.counts.watching_cost += cost;
    }

    /// After going back to an earlier state by [`restore`](Self::restore): takes over what `abandoned`, the counts of before
    /// that, has cost. Going back in a run gives nothing back.
    pub fn abandon(&mut self, abandoned: &Counts) {
        self.state.counts.abandon(abandoned);
    }

    /// What was executed so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.state.counts
    }

    /// What is remembered of each sample.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// The policy, with its kind.
    #[must_use]
    pub fn policy(&self) -> &BoxedPolicy {
        &self.policy
    }

    /// The state of selection, as the policy says it.
    #[must_use]
    pub fn stats(&self) -> SelectionStats {
        self.policy.stats(&self.goal)
    }

    /// What it works towards.
    #[must_use]
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// What a sample costs at level 0.
    #[must_use]
    pub fn cost_of_a_sample(&self) -> PassCost {
        self.costs.first().copied().unwrap_or(DEFAULT_COST)
    }

    /// Batches that were handed out and neither recorded nor skipped, the oldest first. After [`restore`](Self::restore)
    /// these are to be trained before another is asked for.
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
