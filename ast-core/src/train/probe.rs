//! Passes that are only for scoring: of the run's own network, and of small ones beside it. All of it is charged.

use burn::tensor::{Device, Int, Tensor};

use crate::data::dataset::{Dataset, Request};
use crate::model::network::{Forward, Input, Mode, Model};
use crate::optim::schedule::learning_rate;
use crate::random::Purpose;
use crate::run::not_finite::NotFinite;
use crate::score::observation::cross_entropy;
use crate::select::sample::{SampleId, Visit};
use crate::train::auxiliary::{HalfStep, Small, SmallNetworks};
use crate::train::meter::{Meter, Phase};
use crate::train::passes::{PassError, Passed, ReadBack, Surroundings, gradient_sum, not_finite, upload};

/// Passes over samples that may then not be trained on. Charged to the run.
///
/// Images are augmented as in a training step of the same visit: what is looked at is what is trained on.
pub trait FreshPass {
    /// Loss and score of each sample under the network as it is; `dropout` says whether it is in training mode (as the
    /// original scored).
    ///
    /// # Errors
    /// [`PassError`].
    fn look(&mut self, visits: &[Visit], dropout: bool) -> Result<Vec<Fresh>, PassError>;

    /// Loss and score of each sample under the network as it is, without dropout, at half the resolution.
    ///
    /// # Errors
    /// [`PassError`].
    fn look_half(&mut self, visits: &[Visit]) -> Result<Vec<Fresh>, PassError>;

    /// One optimizer step of a small network on these samples, at the learning rate of the run after a share `spent`
    /// (0..=1) of its budget. Loss and score of each are those before the step, in training mode.
    ///
    /// A step that a NaN or an infinity spoils is not made.
    ///
    /// # Errors
    /// [`PassError`].
    fn train_small(&mut self, which: Small, visits: &[Visit], spent: f64) -> Result<Vec<Fresh>, PassError>;

    /// Loss and score of each sample under a small network as it is, without dropout.
    ///
    /// # Errors
    /// [`PassError`].
    fn look_small(&mut self, which: Small, visits: &[Visit]) -> Result<Vec<Fresh>, PassError>;
}

/// What a fresh pass shows of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fresh {
    /// Cross-entropy in nats.
    pub loss: f32,
    /// The scorer's output.
    pub score: f32,
}

/// Everything that a fresh pass needs of the trainer.
pub(crate) struct Looking<'a, M> {
    pub(crate) model: &'a M,
    pub(crate) small: &'a mut SmallNetworks<M>,
    pub(crate) dataset: &'a dyn Dataset,
    /// With autodiff.
    pub(crate) device: &'a Device,
    pub(crate) meter: &'a mut Meter,
    pub(crate) around: Surroundings<'a>,
    pub(crate) augment: bool,
    /// Peak of the learning rate of small networks.
    pub(crate) lr: f64,
    /// Whether a NaN or an infinity is an error; if not, the policy gets it, and passes over the sample.
    pub(crate) abort: bool,
}

/// A batch on a device.
struct Loaded {
    ids: Vec<SampleId>,
    input_std: Vec<f32>,
    input: Input,
    targets: Tensor<1, Int>,
}

impl<M: Model> Looking<'_, M> {
    fn load(&self, visits: &[Visit], device: &Device) -> Loaded {
        let request = Request { visits: visits.to_vec(), augment: self.augment.then_some(self.around.random) };
        let host = request.collate(self.dataset);
        let (ids, input_std) = (host.ids.clone(), host.input_std.clone());
        let (input, targets) = upload(host, self.dataset.shape(), device);
        Loaded { ids, input_std, input, targets }
    }

    /// A forward pass without gradients, by whatever network.
    fn pass(
        &mut self,
        visits: &[Visit],
        forward: impl FnOnce(Input) -> Option<Forward>,
    ) -> Result<Vec<Fresh>, PassError> {
        if visits.is_empty() {
            return Ok(Vec::new());
        }
        // All of it is the price of scoring, loading included: a dense run has none of it.
        self.meter.enter(Phase::Score);
        let Loaded { ids, input_std, input, targets } = self.load(visits, &self.device.clone().without_autodiff());
        let forward = forward(input).ok_or(PassError::Resolution)?;
        let loss = cross_entropy(forward.logits.clone(), targets.clone());
        let passed = Passed { ids, input_std, forward, targets, loss };
        let ReadBack { score, loss, .. } = self.around.read_back(passed, |_, _| Vec::new())?;
        if let Some(what) = not_finite(visits.iter().map(|visit| visit.id), &loss, &score).filter(|_| self.abort) {
            return Err(PassError::NotFinite(what));
        }
        self.meter.enter(Phase::Select);
        Ok(together(loss, score))
    }
}

fn together(loss: Vec<f32>, score: Vec<f32>) -> Vec<Fresh> {
    loss.into_iter().zip(score).map(|(loss, score)| Fresh { loss, score }).collect()
}

impl<M: Model> FreshPass for Looking<'_, M> {
    fn look(&mut self, visits: &[Visit], dropout: bool) -> Result<Vec<Fresh>, PassError> {
        let model = self.model.valid();
        let mut masks = self.around.random.stream(Purpose::Fresh, self.meter.scored, 0);
        self.meter.scored += visits.len() as u64;
        let mode = if dropout { Mode::Train(&mut masks) } else { Mode::Eval };
        self.pass(visits, |input| Some(model.forward(input, mode)))
    }

    fn look_half(&mut self, visits: &[Visit]) -> Result<Vec<Fresh>, PassError> {
        let model = self.model.valid();
        self.meter.looked_at_half(visits.len(), model.layers_half().iter().map(|layer| layer.forward).sum());
        self.pass(visits, |input| model.forward_half(input))
    }

    fn train_small(&mut self, which: Small, visits: &[Visit], spent: f64) -> Result<Vec<Fresh>, PassError> {
        if visits.is_empty() {
            return Ok(Vec::new());
        }
        self.meter.enter(Phase::Score);
        let Loaded { ids, input_std, input, targets } = self.load(visits, self.device);
        let network = self.small.get(which, self.model, self.around.random, self.device);
        let HalfStep { forward, losses, gradients } = network.half_step(input, targets.clone());
        self.meter.small_stepped(visits.len(), network.step_flops);
        let forward = Forward { logits: forward.logits.inner(), features: forward.features.inner() };
        let passed = Passed { ids, input_std, forward, targets: targets.inner(), loss: losses.inner() };
        let sum = gradient_sum(network.model(), &gradients);
        let ReadBack { score, loss, extra, .. } = self.around.read_back(passed, |_, _| vec![sum])?;
        let gradient = || extra.first().filter(|sum| !sum.is_finite()).map(|sum| NotFinite::Gradient(*sum));
        match not_finite(visits.iter().map(|visit| visit.id), &loss, &score).or_else(gradient) {
            None => network.update(learning_rate(self.lr, spent), gradients),
            Some(what) if self.abort => return Err(PassError::NotFinite(what)),
            Some(_) => self.meter.skipped += 1,
        }
        self.meter.enter(Phase::Select);
        Ok(together(loss, score))
    }

    fn look_small(&mut self, which: Small, visits: &[Visit]) -> Result<Vec<Fresh>, PassError> {
        let network = self.small.get(which, self.model, self.around.random, self.device);
        let model = network.model().valid();
        self.meter.small_looked(visits.len(), network.forward_flops);
        self.pass(visits, |input| Some(model.forward(input, Mode::Eval)))
    }
}
