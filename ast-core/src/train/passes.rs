//! Forward passes: what leaves the device after one, and the one that is outside the run, evaluation.

use burn::module::{ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::dataset::{HostBatch, LoadError, Loader, Request};
use crate::model::network::{Forward, Input, Mode, Model};
use crate::random::Random;
use crate::run::not_finite::NotFinite;
use crate::score::observation::{History, Observation, cross_entropy, hits};
use crate::score::scorer::{Context, ScoreError, Scorer};
use crate::select::ledger::Ledger;
use crate::select::sample::{SampleId, Visit};

/// Samples a forward pass of the evaluation.
const EVAL_BATCH: usize = 250;
/// Batches of it that are loaded ahead.
const EVAL_AHEAD: usize = 2;

/// What the host needs to know of each sample of a batch.
pub(crate) struct ReadBack {
    pub(crate) score: Vec<f32>,
    pub(crate) loss: Vec<f32>,
    pub(crate) correct: Vec<f32>,
    /// What was asked for besides.
    pub(crate) extra: Vec<f32>,
}

/// Why a forward pass gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// A batch could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The scorer refused.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// Values could not be read back from the device.
    #[error("could not read back from the device: {0}")]
    Read(String),
    /// The network cannot look at these images at half the resolution.
    #[error(
        "the network has no pass at half the resolution for images of this size: leave policy.resolution at \"full\""
    )]
    Resolution,
    /// A sample that was only looked at gave no number.
    #[error("{0} in a scoring pass: training has diverged or the data is broken; try a lower learning rate")]
    NotFinite(NotFinite),
}

/// What a scorer is told beside what the network gave.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) scorer: &'a dyn Scorer,
    pub(crate) ledger: &'a Ledger,
    /// Loss of every sample under a small network that has not seen it; empty if there is none.
    pub(crate) reference: &'a [f32],
    /// `None` before the first step.
    pub(crate) mean_loss: Option<f64>,
    pub(crate) mean_input_std: f64,
    pub(crate) random: Random,
    pub(crate) step: u64,
}

/// A batch and what the network made of it, without gradients.
pub(crate) struct Passed {
    pub(crate) ids: Vec<SampleId>,
    pub(crate) input_std: Vec<f32>,
    pub(crate) forward: Forward,
    pub(crate) targets: Tensor<1, Int>,
    pub(crate) loss: Tensor<1>,
}

impl Surroundings<'_> {
    /// Score, loss and correctness, and what `more` asks for besides, read back together: the only time a step waits for
    /// the device.
    pub(crate) fn read_back(
        self,
        passed: Passed,
        more: impl FnOnce(&Observation, &Tensor<2>) -> Vec<Tensor<1>>,
    ) -> Result<ReadBack, PassError> {
        let Passed { ids, input_std, forward: Forward { logits, features }, targets, loss } = passed;
        let (needs, device) = (self.scorer.needs(), loss.device());
        let column = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [ids.len()]), &device);
        let input_std = needs.input_std.then(|| column(input_std));
        let history = needs.history.then(|| {
            let guess = (logits.dims()[1] as f32).ln();
            let each = |value: &dyn Fn(SampleId) -> f32| column(ids.iter().map(|id| value(*id)).collect());
            History {
                loss: each(&|id| self.ledger.loss(id).unwrap_or(guess)),
                change: each(&|id| self.ledger.loss_change(id)),
                forgotten: each(&|id| f32::from(self.ledger.forgotten(id))),
                correct: each(&|id| f32::from(u8::from(self.ledger.was_correct(id)))),
            }
        });
        let known = needs.reference && !self.reference.is_empty();
        let reference = known.then(|| column(ids.iter().map(|id| self.reference[*id as usize]).collect()));
        let mean_loss = match self.mean_loss {
            Some(mean) => mean,
            None => f64::from(read(loss.clone().mean())?[0]),
        };
        let Self { scorer, mean_input_std, random, step, .. } = self;
        let context = Context { mean_loss, mean_input_std, random, step };
        let needed = needs.features.then(|| features.clone());
        let seen = Observation { ids, loss, logits, targets, features: needed, input_std, history, reference };
        let (score, correct) = (scorer.score(&seen, &context)?, seen.correct());
        let mut parts = vec![score, seen.loss.clone(), correct];
        parts.extend(more(&seen, &features));
        let mut values = read(Tensor::cat(parts, 0))?;
        let extra = values.split_off(3 * seen.ids.len());
        let correct = values.split_off(2 * seen.ids.len());
        let loss = values.split_off(seen.ids.len());
        Ok(ReadBack { score: values, loss, correct, extra })
    }
}

/// The first loss, or else the first score, that is NaN or infinite.
pub(crate) fn not_finite(
    ids: impl Iterator<Item = SampleId> + Clone,
    loss: &[f32],
    score: &[f32],
) -> Option<NotFinite> {
    let first = |values: &[f32]| ids.clone().zip(values.iter().copied()).find(|(_, value)| !value.is_finite());
    let loss = first(loss).map(|(id, value)| NotFinite::Loss(id, value));
    loss.or_else(|| first(score).map(|(id, value)| NotFinite::Score(id, value)))
}

/// The sum of all gradients: NaN or infinite if one of them is. Shape `[1]`.
pub(crate) fn gradient_sum<M: Model>(model: &M, gradients: &GradientsParams) -> Tensor<1> {
    struct Sum<'a>(&'a GradientsParams, Vec<Tensor<1>>);
    impl ModuleVisitor for Sum<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.extend(self.0.get::<D>(param.id).map(Tensor::sum));
        }
    }
    let mut sum = Sum(gradients, Vec::new());
    model.visit(&mut sum);
    Tensor::cat(sum.1, 0).sum()
}

/// The values of a tensor in host memory.
pub(crate) fn read(values: Tensor<1>) -> Result<Vec<f32>, PassError> {
    values.try_into_vec_as().map_err(|error| PassError::Read(error.to_string()))
}

/// Moves a batch to a device: images `[batch, channels, height, width]`, targets `[batch]`.
pub(crate) fn upload(
    host: HostBatch,
    [channels, height, width]: [usize; 3],
    device: &Device,
) -> (Input, Tensor<1, Int>) {
    let batch = host.ids.len();
    let pixels = TensorData::new(host.pixels, [batch, channels, height, width]);
    let targets = TensorData::new(host.targets, [batch]);
    (Input::Image(Tensor::from_data(pixels, device)), Tensor::from_data(targets, device))
}

/// Accuracy (percent) and mean loss (nats) on everything a loader's dataset holds, without autodiff.
pub(crate) fn evaluate<M: Model>(model: &M, loader: &mut dyn Loader, device: &Device) -> Result<(f64, f64), PassError> {
    let (samples, shape) = (loader.dataset().samples() as SampleId, loader.dataset().shape());
    let mut requests = (0..samples).step_by(EVAL_BATCH).map(|from| {
        let visits = (from..samples.min(from + EVAL_BATCH as SampleId)).map(|id| Visit { id, epoch: 0 }).collect();
        Request { visits, augment: None }
    });
    requests.by_ref().take(EVAL_AHEAD).for_each(|request| loader.request(request));
    let (mut correct, mut loss) = (0.0, 0.0);
    while let Some(host) = loader.receive()? {
        requests.by_ref().take(1).for_each(|request| loader.request(request));
        let (input, targets) = upload(host, shape, device);
        let logits = model.forward(input, Mode::Eval).logits;
        let hits = hits(logits.clone(), targets.clone()).sum();
        let values = read(Tensor::cat(vec![hits, cross_entropy(logits, targets).sum()], 0))?;
        correct += f64::from(values[0]);
        loss += f64::from(values[1]);
    }
    let samples = f64::from(samples.max(1));
    Ok((100.0 * correct / samples, loss / samples))
}
