//! From offered samples to a batch on its way.

use super::Trainer;
use crate::data::dataset::{HostBatch, Request};
use crate::model::network::Model;
use crate::run::config::OnNan;
use crate::run::snapshot::{Batch, Place};
use crate::select::budget::{Budget, Cost};
use crate::select::policy::View;
use crate::select::queue::Accepted;
use crate::select::sample::Visit;
use crate::train::error::TrainError;
use crate::train::meter::Phase;
use crate::train::passes::Surroundings;
use crate::train::probe::Looking;

impl<M: Model> Trainer<M> {
    /// Candidates -> gate -> queue, until a batch is full or the budget has been accepted.
    pub(super) fn select_batch(&mut self) -> Result<(), TrainError> {
        self.state.meter.enter(Phase::Select);
        while self.state.queue.len() < self.config.batch_size && !self.budget_is_over() {
            self.offer_chunk()?;
        }
        if self.state.queue.is_empty() {
            return Ok(());
        }
        let accepted = self.state.queue.take(self.config.batch_size);
        self.train.request(self.request(&accepted));
        let (offered, control) = (self.state.meter.offered, self.policy.trace());
        self.state.loading.push_back(Batch { accepted, offered, control });
        Ok(())
    }

    pub(super) fn request(&self, accepted: &[Accepted]) -> Request {
        let visits = accepted.iter().map(|accepted| accepted.visit).collect();
        Request { visits, augment: self.config.augment.then_some(self.random) }
    }

    fn offer_chunk(&mut self) -> Result<(), TrainError> {
        // The clock goes on even if nothing is let through.
        self.state.meter.enter(Phase::Select);
        let Place { epoch, chunk } = self.state.next;
        let before = self.spent();
        let state = &mut self.state;
        if chunk == 0 {
            let coverage = self.policy.begin(before);
            state.covers = coverage > 0.0;
            state.plan = state.sampler.plan(epoch, coverage);
        }
        if let Some(offer) = state.plan.offer(epoch, chunk) {
            state.meter.offered += offer.len() as u64;
            let mut chosen = Vec::new();
            let dataset = self.train.dataset().as_ref();
            let (ledger, queue, random) = (&state.ledger, &state.queue, self.random);
            let mut fresh = Looking {
                model: &self.model,
                small: &mut self.small,
                dataset,
                device: &self.device,
                around: Surroundings {
                    scorer: self.scorer.as_ref(),
                    ledger,
                    reference: &state.reference,
                    mean_loss: state.mean_loss.value(),
                    mean_input_std: self.mean_input_std,
                    random,
                    step: state.meter.steps,
                },
                meter: &mut state.meter,
                augment: self.config.augment,
                lr: state.lr_scale * self.config.lr,
                abort: self.config.on_nan == OnNan::Abort,
            };
            let mut view = View { spent: before, dataset, ledger, queue, random, fresh: &mut fresh };
            self.policy.select(offer, &mut view, &mut chosen)?;
            let weights = self.policy.weigh(offer, &chosen, &view);
            // A policy without coverage has no fairer sample than what it chose.
            let coverage = offer.coverage.iter().map(|id| (*id, true));
            let accepted = coverage.chain(chosen.into_iter().map(|id| (id, !state.covers)));
            let accepted: Vec<_> = accepted.zip(weights.into_iter().chain(std::iter::repeat(1.0))).collect();
            state.accepted += accepted.len() as u64;
            // The middle of the chunk: no step is trained at the end of the budget, where the learning rate is 0.
            let spent = (before + self.spent()) / 2.0;
            for ((id, coverage), weight) in accepted {
                self.state.queue.push(Accepted { visit: Visit { id, epoch }, coverage, spent, weight });
            }
        }
        let last = chunk + 1 >= self.state.plan.chunks();
        self.state.next = if last { Place { epoch: epoch + 1, chunk: 0 } } else { Place { epoch, chunk: chunk + 1 } };
        Ok(())
    }

    fn spent(&self) -> f64 {
        self.budget.spent(self.cost())
    }

    pub(super) fn budget_is_over(&self) -> bool {
        self.budget.is_over(self.cost())
    }

    fn cost(&self) -> Cost {
        let mut cost = self.state.committed(self.config.charges_scoring);
        if let Budget::Seconds(_) = self.budget {
            // Batches on their way will take what those before took.
            cost.seconds += self.state.loading.len() as f64 * self.state.meter.median_step().unwrap_or(0.0);
        }
        cost
    }

    /// Waits for the batch that was selected first.
    pub(super) fn load(&mut self) -> Result<Option<(Batch, HostBatch)>, TrainError> {
        self.state.meter.enter(Phase::Data);
        Ok(self.state.loading.pop_front().zip(self.train.receive()?))
    }
}
