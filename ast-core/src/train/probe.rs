//! Extra passes over candidates, by the run's network and by auxiliary networks.

use std::collections::HashMap;

use burn::tensor::Device;

use super::auxiliary::{Auxiliary, AuxiliaryNetworks};
use super::clock::{Clock, Phase};
use super::error::PassError;
use super::feed::{Received, Uploaded};
use super::sizes::Sizes;
use super::statistics::{ForwardedBatch, Scored, Scoring, gradient_sum};
use super::{OnScoring, work};
use crate::data::{Augment, BadSample, Loader, Reads, Request};
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
    pub(super) loader: &'a dyn Loader,
    pub(super) loaded: ProbeLoads,
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
    pub(super) told: Option<&'a mut OnScoring>,
    /// Samples of the passes since the last step.
    pub(super) passed: u64,
}

/// What was loaded for extra passes.
#[derive(Default)]
pub(super) struct ProbeLoads {
    pub(super) reads: Reads,
    /// Samples that cannot be loaded.
    pub(super) bad: Vec<BadSample>,
    /// Input deviations of the last pass: a policy may ask for them after it, and a file need not be read twice then.
    deviations: HashMap<SampleId, f32>,
}

impl<M: Model> TrainerProbe<'_, M> {
    /// Loads samples; `None` if none of them can be loaded.
    fn load(&mut self, visits: &[Visit], device: &Device) -> Result<Option<Uploaded>, PassError> {
        let request = Request { visits: visits.to_vec(), augment: self.augment, size: self.sizes.request(self.level) };
        let Received { data, bad, reads } = Received::new(self.loader.load(&request)?, device);
        self.loaded.reads += reads;
        self.loaded.bad.extend(bad);
        self.loaded.deviations.clear();
        self.passed += visits.len() as u64;
        if let Some(told) = &mut self.told {
            told(self.passed);
        }
        if let Some(Uploaded { ids, input_deviation, .. }) = &data {
            self.loaded.deviations.extend(ids.iter().copied().zip(input_deviation.iter().copied()));
        }
        Ok(data)
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
        let Some(data) = self.load(visits, &device)? else {
            self.clock.enter(Phase::Select);
            return Ok(of_visits(visits, &[], Probed::default()));
        };
        let Uploaded { ids, input_deviation, input, targets } = data;
        let known = ids.clone();
        let forward = forward(input).ok_or(PassError::Resolution)?;
        let loss = per_sample(cross_entropy(forward.logits.clone(), targets.clone()), ids.len());
        let forwarded = ForwardedBatch { ids, input_deviation, forward, targets, loss };
        let scored = self.scoring.read_back(forwarded, ledger, Vec::new())?;
        if let Some(what) = scored.fault(known.iter().copied()).filter(|_| self.abort) {
            return Err(PassError::NotFinite(what));
        }
        let Scored { score, loss, .. } = scored;
        self.clock.enter(Phase::Select);
        let cost = known.len() as u64 * flops;
        work::executed(cost);
        Ok(of_visits(visits, &known, Probed { loss, score, cost, skipped: false }))
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
        let Some(data) = self.load(visits, self.device)? else {
            self.clock.enter(Phase::Select);
            return Ok(of_visits(visits, &[], Probed::default()));
        };
        let known = data.ids.clone();
        let network = self.auxiliary.get(which, self.model, self.scoring.random, self.device)?;
        let (forwarded, gradients) = network.gradients(data, spent);
        let cost = known.len() as u64 * network.cost(self.sizes.shape(self.level))?.step;
        work::executed(cost);
        let sum = gradient_sum(network.model(), &gradients.params);
        let scored = self.scoring.read_back(forwarded, ledger, vec![sum])?;
        let broken = scored.fault(known.iter().copied());
        match broken {
            None => network.update(self.schedule.at(spent), gradients),
            Some(what) if self.abort => return Err(PassError::NotFinite(what)),
            Some(_) => {}
        }
        self.clock.enter(Phase::Select);
        let Scored { score, loss, .. } = scored;
        Ok(of_visits(visits, &known, Probed { loss, score, cost, skipped: broken.is_some() }))
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

/// The result of a pass over the samples `known`, for all visits in order: NaN for those that could not be loaded.
fn of_visits(visits: &[Visit], known: &[SampleId], probed: Probed) -> Probed {
    if known.len() == visits.len() {
        return probed;
    }
    let all = |values: &[f32]| -> Vec<f32> {
        let mut known = known.iter().zip(values).peekable();
        let value = |visit: &Visit| known.next_if(|(id, _)| **id == visit.id).map_or(f32::NAN, |(_, value)| *value);
        visits.iter().map(value).collect()
    };
    Probed { loss: all(&probed.loss), score: all(&probed.score), ..probed }
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
        let dataset = self.loader.dataset().clone();
        if !dataset.reads_files() {
            return Ok(ids.iter().map(|id| dataset.input_deviation(*id)).collect());
        }
        let unknown = |id: &SampleId| !self.loaded.deviations.contains_key(id);
        let visits: Vec<_> = ids.iter().copied().filter(unknown).map(|id| Visit { id, epoch: 0, earlier: 0 }).collect();
        if !visits.is_empty() {
            let request = Request { visits, augment: None, size: None };
            let host = self.loader.load(&request).map_err(PassError::from)?;
            self.loaded.reads += host.reads;
            self.loaded.bad.extend(host.bad);
            self.loaded.deviations.extend(host.ids.into_iter().zip(host.input_deviation));
        }
        // A sample that cannot be loaded has none, and is not selected.
        Ok(ids.iter().map(|id| self.loaded.deviations.get(id).copied().unwrap_or(f32::NAN)).collect())
    }

    fn seconds(&mut self) -> Result<f64, ProbeError> {
        // Time passes even if no sample is accepted.
        self.clock.enter(Phase::Select);
        Ok(self.clock.training_seconds(self.charges_scoring) + self.coming)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_that_could_not_be_loaded_has_no_score() {
        let visits = [5, 2, 9, 7].map(|id| Visit { id, epoch: 0, earlier: 0 });
        let probed = Probed { loss: vec![1.0, 2.0], score: vec![3.0, 4.0], cost: 6, skipped: false };
        let all = of_visits(&visits, &[2, 7], probed);
        assert!(all.loss[0].is_nan() && all.loss[2].is_nan() && all.score[0].is_nan() && all.score[2].is_nan());
        assert_eq!((all.loss[1], all.loss[3], all.score[1], all.score[3], all.cost), (1.0, 2.0, 3.0, 4.0, 6));
        assert!(of_visits(&visits, &[], Probed::default()).score.iter().all(|score| score.is_nan()));
    }
}
