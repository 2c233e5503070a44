//! Extra passes over candidates, by the run's network and by auxiliary networks.

use burn::tensor::Device;

use super::auxiliary::{Auxiliary, AuxiliaryNetworks};
use super::clock::{Clock, Phase};
use super::error::PassError;
use super::feed::{Uploaded, upload};
use super::sizes::Sizes;
use super::statistics::{ForwardedBatch, Scored, Scoring, gradient_sum};
use crate::data::{Augment, Dataset, Request};
use crate::model::{Forward, Input, Mode, Model, cross_entropy, per_sample};
use crate::optim::Schedule;
use crate::random::Purpose;
use crate::select::{Ledger, Level, PassCost, Probe, ProbeError, ProbeRequest, Probed, SampleId, ScoredBy, Visit};

/// The parts of the trainer that an extra pass uses.
///
/// Images are augmented as in a training step of the same visit, so that the scored input equals the trained one.
pub(super) struct TrainerProbe<'a, M> {
    pub(super) model: &'a M,
    pub(super) auxiliary: &'a mut AuxiliaryNetworks<M>,
    pub(super) dataset: &'a dyn Dataset,
    /// A device with autodiff.
    pub(super) device: &'a Device,
    pub(super) clock: &'a mut Clock,
    pub(super) scoring: Scoring<'a>,
    /// Cost per sample of the run's network, by level.
    pub(super) costs: Vec<PassCost>,
    pub(super) sizes: &'a Sizes,
    /// The level of the current pass.
    pub(super) level: Level,
    /// Augmentation of a training step.
    pub(super) augment: Option<Augment>,
    /// Learning rate of auxiliary networks.
    pub(super) schedule: Schedule,
    /// Whether a NaN or infinite value is an error. If not, the policy gets it and does not select the sample.
    pub(super) abort: bool,
    /// Whether time for scoring counts as spent.
    pub(super) charges_scoring: bool,
    /// Estimated seconds of the batches in flight.
    pub(super) coming: f64,
}

impl<M: Model> TrainerProbe<'_, M> {
    fn load(&self, visits: &[Visit], device: &Device) -> Uploaded {
        let request = Request { visits: visits.to_vec(), augment: self.augment, size: self.sizes.request(self.level) };
        upload(request.collate(self.dataset), device)
    }

    /// A forward pass without gradients, by any network, at a given number of FLOPs per sample.
    fn pass(
        &mut self,
        visits: &[Visit],
        ledger: &Ledger,
        flops: u64,
        forward: impl FnOnce(Input) -> Option<Forward>,
    ) -> Result<Probed, PassError> {
        // Loading is charged to scoring too, because a dense run does not load for scoring.
        self.clock.enter(Phase::Score);
        let device = self.device.clone().without_autodiff();
        let Uploaded { ids, input_deviation, input, targets } = self.load(visits, &device);
        let forward = forward(input).ok_or(PassError::Resolution)?;
        let loss = per_sample(cross_entropy(forward.logits.clone(), targets.clone()), ids.len());
        let forwarded = ForwardedBatch { ids, input_deviation, forward, targets, loss };
        let scored = self.scoring.read_back(forwarded, ledger, Vec::new())?;
        if let Some(what) = scored.fault(visits.iter().map(|visit| visit.id)).filter(|_| self.abort) {
            return Err(PassError::NotFinite(what));
        }
        let Scored { score, loss, .. } = scored;
        self.clock.enter(Phase::Select);
        Ok(Probed { loss, score, cost: visits.len() as u64 * flops, skipped: false })
    }

    fn network(&mut self, request: &ProbeRequest<'_>, training: bool) -> Result<Probed, PassError> {
        let model = self.model.valid();
        let masks = self.scoring.random.stream(Purpose::Fresh, request.scored, 0);
        // Running statistics measured in this pass are discarded, because it is not a training step.
        let mut mode = if training { Mode::train(masks) } else { Mode::Eval };
        let flops = self.costs.get(usize::from(self.level)).map_or(0, |cost| cost.forward);
        self.pass(request.visits, request.ledger, flops, |input| Some(model.forward(input, &mut mode)))
    }

    fn half_resolution(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, PassError> {
        let model = self.model.valid();
        let flops = model.layers_half(self.sizes.shape(self.level)).iter().map(|layer| layer.forward).sum();
        self.pass(request.visits, request.ledger, flops, |input| model.forward_half(input))
    }

    /// One training step of an auxiliary network, after a share `spent` of its schedule.
    pub(super) fn auxiliary_step(
        &mut self,
        which: Auxiliary,
        visits: &[Visit],
        ledger: &Ledger,
        spent: f64,
    ) -> Result<Probed, PassError> {
        self.clock.enter(Phase::Score);
        let data = self.load(visits, self.device);
        let network = self.auxiliary.get(which, self.model, self.scoring.random, self.device)?;
        let (forwarded, gradients) = network.gradients(data, spent);
        let cost = visits.len() as u64 * network.cost(self.sizes.shape(self.level))?.step;
        let sum = gradient_sum(network.model(), &gradients.params);
        let scored = self.scoring.read_back(forwarded, ledger, vec![sum])?;
        let broken = scored.fault(visits.iter().map(|visit| visit.id));
        match broken {
            None => network.update(self.schedule.at(spent), gradients),
            Some(what) if self.abort => return Err(PassError::NotFinite(what)),
            Some(_) => {}
        }
        self.clock.enter(Phase::Select);
        let Scored { score, loss, .. } = scored;
        Ok(Probed { loss, score, cost, skipped: broken.is_some() })
    }

    /// A forward pass of an auxiliary network, without dropout.
    pub(super) fn auxiliary_pass(
        &mut self,
        which: Auxiliary,
        visits: &[Visit],
        ledger: &Ledger,
    ) -> Result<Probed, PassError> {
        let network = self.auxiliary.get(which, self.model, self.scoring.random, self.device)?;
        let flops = network.cost(self.sizes.shape(self.level))?.forward;
        let model = network.model().valid();
        self.pass(visits, ledger, flops, |input| Some(model.forward(input, &mut Mode::Eval)))
    }
}

impl<M: Model> Probe for TrainerProbe<'_, M> {
    fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
        let ProbeRequest { visits, by, ledger, level, .. } = *request;
        self.level = level;
        Ok(match by {
            ScoredBy::Network => self.network(request, false),
            ScoredBy::NetworkInTraining => self.network(request, true),
            ScoredBy::HalfResolution => self.half_resolution(request),
            ScoredBy::Proxy => self.auxiliary_pass(Auxiliary::Proxy, visits, ledger),
            ScoredBy::ProxyStep(spent) => self.auxiliary_step(Auxiliary::Proxy, visits, ledger, spent),
        }?)
    }

    fn input_deviation(&mut self, ids: &[SampleId]) -> Result<Vec<f32>, ProbeError> {
        Ok(ids.iter().map(|id| self.dataset.input_deviation(*id)).collect())
    }

    fn seconds(&mut self) -> Result<f64, ProbeError> {
        // Time passes even if no sample is accepted.
        self.clock.enter(Phase::Select);
        Ok(self.clock.training_seconds(self.charges_scoring) + self.coming)
    }
}
