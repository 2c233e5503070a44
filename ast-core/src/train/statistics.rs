//! Per-sample statistics: from the tensors of a forward pass to columns on the host, and from these to scores.

use burn::module::{ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Int, Tensor};

use super::error::PassError;
use crate::model::{Forward, Model, per_sample, top1};
use crate::random::Random;
use crate::run::NotFinite;
use crate::score::{Observation, ScoreContext, Scorer, Statistic};
use crate::select::{Ledger, SampleId};

/// The result of a forward pass over a batch, detached from the graph.
pub(super) struct ForwardedBatch {
    pub(super) ids: Vec<SampleId>,
    pub(super) input_deviation: Vec<f32>,
    pub(super) forward: Forward,
    pub(super) targets: Tensor<1, Int>,
    pub(super) loss: Tensor<1>,
}

/// Score, loss and correctness of each sample, on the host.
pub(super) struct Scored {
    pub(super) score: Vec<f32>,
    pub(super) loss: Vec<f32>,
    pub(super) correct: Vec<bool>,
    /// Further values that were read back; in a training step the [`gradient_sum`] comes first.
    pub(super) extra: Vec<f32>,
}

impl Scored {
    /// The first loss, else the first score, else the sum of the gradients, that is NaN or infinite.
    pub(super) fn fault(&self, ids: impl Iterator<Item = SampleId> + Clone) -> Option<NotFinite> {
        let first = |values: &[f32]| ids.clone().zip(values.iter().copied()).find(|(_, value)| !value.is_finite());
        let loss = first(&self.loss).map(|(id, value)| NotFinite::Loss(id, value));
        let score = || first(&self.score).map(|(id, value)| NotFinite::Score(id, value));
        let gradient = || self.extra.first().filter(|sum| !sum.is_finite()).map(|sum| NotFinite::Gradient(*sum));
        loss.or_else(score).or_else(gradient)
    }
}

/// The scorer, and its inputs besides the forward pass.
#[derive(Clone, Copy)]
pub(super) struct Scoring<'a> {
    pub(super) scorer: &'a dyn Scorer,
    /// Loss of every sample under an auxiliary network that has not seen it; empty if the scorer does not need it.
    pub(super) reference: &'a [f32],
    /// `None` before the first step.
    pub(super) mean_loss: Option<f64>,
    pub(super) mean_input_deviation: f64,
    pub(super) random: Random,
    pub(super) step: u64,
}

impl Scoring<'_> {
    /// Computes loss, correctness and the statistics that the scorer needs on the device and reads them back together
    /// with `extra`. This is the only time that a step waits for the device. The scores are computed on the host.
    pub(super) fn read_back(
        self,
        forwarded: ForwardedBatch,
        ledger: &Ledger,
        extra: Vec<Tensor<1>>,
    ) -> Result<Scored, PassError> {
        let ForwardedBatch { ids, input_deviation, forward, targets, loss } = forwarded;
        let (classes, batch) = (forward.logits.dims()[1], ids.len());
        // Before the first step the mean is this batch's.
        let mean_loss = match self.mean_loss {
            Some(mean) => mean,
            None => f64::from(read(loss.clone().mean())?[0]),
        };
        let context = ScoreContext {
            mean_loss,
            mean_input_deviation: self.mean_input_deviation,
            random: self.random,
            step: self.step,
        };
        let mut parts = vec![loss, per_sample(top1(forward.logits.clone(), targets.clone()), batch)];
        let mut computed = Vec::new();
        for statistic in self.scorer.needs() {
            let column = match statistic {
                #[cfg(feature = "tensor-scorer")]
                Statistic::OnDevice => self.on_device(&forward, &targets, &context)?,
                _ => on_device(*statistic, &forward, &targets).map(|rows| per_sample(rows, batch)),
            };
            if let Some(column) = column {
                parts.push(column);
                computed.push(*statistic);
            }
        }
        parts.extend(extra);
        let mut values = read(Tensor::cat(parts, 0))?;
        let extra = values.split_off((2 + computed.len()) * batch);
        let mut columns = values.chunks_exact(batch).map(<[f32]>::to_vec);
        let mut column = || columns.next().unwrap_or_default();
        let (loss, correct) = (column(), column());
        let mut seen = Observation::new(ids, loss.clone());
        for statistic in computed {
            seen = seen.with(statistic, column());
        }
        seen = seen.with(Statistic::Correct, correct.clone());
        let known = Known { classes, input_deviation: &input_deviation, reference: self.reference, ledger };
        for statistic in self.scorer.needs() {
            if let Some(values) = known.column(*statistic, seen.ids()) {
                seen = seen.with(*statistic, values);
            }
        }
        let score = self.scorer.score(&seen, &context)?;
        if score.len() != batch {
            return Err(PassError::ScoreLength { expected: batch, found: score.len() });
        }
        Ok(Scored { score, loss, correct: correct.into_iter().map(|x| x > 0.5).collect(), extra })
    }

    #[cfg(feature = "tensor-scorer")]
    fn on_device(
        &self,
        forward: &Forward,
        targets: &Tensor<1, Int>,
        context: &ScoreContext,
    ) -> Result<Option<Tensor<1>>, PassError> {
        let Some(scorer) = self.scorer.on_device() else { return Ok(None) };
        // `requirements` has refused a network without features.
        let Forward { logits, features: Some(features) } = forward.clone() else { return Ok(None) };
        let tensors = crate::score::Tensors { logits, features, targets: targets.clone() };
        Ok(Some(scorer.score(&tensors, context)?))
    }
}

/// Sources of the statistics that are known on the host.
struct Known<'a> {
    classes: usize,
    input_deviation: &'a [f32],
    reference: &'a [f32],
    ledger: &'a Ledger,
}

impl Known<'_> {
    fn column(&self, statistic: Statistic, ids: &[SampleId]) -> Option<Vec<f32>> {
        let each = |value: &dyn Fn(SampleId) -> f32| Some(ids.iter().map(|id| value(*id)).collect());
        let (ledger, guess) = (self.ledger, (self.classes as f32).ln());
        match statistic {
            Statistic::InputDeviation => Some(self.input_deviation.to_vec()),
            Statistic::LastLoss => each(&|id| ledger.loss(id).unwrap_or(guess)),
            Statistic::LossChange => each(&|id| ledger.loss_change(id)),
            Statistic::Forgotten => each(&|id| f32::from(ledger.forgotten(id))),
            Statistic::WasCorrect => each(&|id| f32::from(u8::from(ledger.was_correct(id)))),
            Statistic::ReferenceLoss if !self.reference.is_empty() => each(&|id| self.reference[id as usize]),
            _ => None,
        }
    }
}

/// A statistic that is computed from the network's outputs, `[batch]`.
fn on_device(statistic: Statistic, forward: &Forward, targets: &Tensor<1, Int>) -> Option<Tensor<1>> {
    let logits = &forward.logits;
    let column = match statistic {
        Statistic::Entropy => {
            let log_p = log_softmax(logits.clone(), 1);
            (log_p.clone().exp() * log_p).sum_dim(1).neg()
        }
        Statistic::Margin => {
            let (p, target) = (softmax(logits.clone(), 1), one_hot(logits, targets));
            let right = (p.clone() * target.clone()).sum_dim(1);
            // Subtracting 2 excludes the target from the maximum.
            let best_other = (p - target * 2.0).max_dim(1);
            right - best_other
        }
        Statistic::ErrorNorm => errors(logits, targets).powi_scalar(2).sum_dim(1).sqrt(),
        Statistic::FeatureNorm => forward.features.clone()?.powi_scalar(2).sum_dim(1).sqrt(),
        _ => return None,
    };
    Some(column.squeeze_dim(1))
}

/// `p - onehot(y)`, `[batch, classes]`: the gradient of the loss with respect to the logits.
pub(super) fn errors(logits: &Tensor<2>, targets: &Tensor<1, Int>) -> Tensor<2> {
    softmax(logits.clone(), 1) - one_hot(logits, targets)
}

/// 1 at each sample's target, else 0, `[batch, classes]`. Does not read the targets back.
fn one_hot(logits: &Tensor<2>, targets: &Tensor<1, Int>) -> Tensor<2> {
    let shape = logits.dims();
    let classes = Tensor::arange(0..shape[1] as i64, &logits.device()).unsqueeze::<2>().expand(shape);
    targets.clone().unsqueeze_dim::<2>(1).expand(shape).equal(classes).float()
}

/// The sum of all gradients: NaN or infinite if one of them is. Shape `[1]`.
pub(super) fn gradient_sum<M: Model>(model: &M, gradients: &GradientsParams) -> Tensor<1> {
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
pub(super) fn read(values: Tensor<1>) -> Result<Vec<f32>, PassError> {
    values.try_into_vec_as().map_err(|error| PassError::Read(error.to_string()))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::model::{Mode, cross_entropy, dropout};
    use crate::random::Purpose;

    const BATCH: usize = 6;
    const WIDTH: usize = 12;
    const CLASSES: usize = 5;

    fn normal(seed: u64, shape: [usize; 2], device: &Device) -> Tensor<2> {
        let mut stream = Random::new(seed).stream(Purpose::Data, 0, 0);
        let values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| 2.0 * stream.normal() as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn labels() -> [usize; BATCH] {
        [0, 1, 2, 3, 4, 0]
    }

    fn targets(device: &Device) -> Tensor<1, Int> {
        Tensor::from_data(labels().map(|y| y as i32), device)
    }

    fn values(statistic: Statistic, forward: &Forward, targets: &Tensor<1, Int>) -> Vec<f32> {
        on_device(statistic, forward, targets).unwrap().into_data().try_into_vec().unwrap()
    }

    /// Compares with the definitions in f64.
    #[test]
    fn statistics_are_their_definitions() {
        let device = Device::flex();
        let (logits, features) = (normal(4, [BATCH, CLASSES], &device), normal(5, [BATCH, WIDTH], &device));
        let rows = |x: &Tensor<2>| -> Vec<f32> { x.to_data().try_into_vec().unwrap() };
        let (z, h) = (rows(&logits), rows(&features));
        let forward = Forward { logits, features: Some(features) };
        let got = |statistic| values(statistic, &forward, &targets(&device));
        let [entropy, margin, error, feature] =
            [Statistic::Entropy, Statistic::Margin, Statistic::ErrorNorm, Statistic::FeatureNorm].map(got);
        for (i, y) in labels().into_iter().enumerate() {
            let sum: f64 = z[CLASSES * i..][..CLASSES].iter().map(|x| f64::from(*x).exp()).sum();
            let p: Vec<f64> = z[CLASSES * i..][..CLASSES].iter().map(|x| f64::from(*x).exp() / sum).collect();
            let other = p.iter().enumerate().filter(|(j, _)| *j != y).map(|(_, p)| *p).fold(0.0, f64::max);
            let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
            let expected = [
                -p.iter().map(|p| p * p.ln()).sum::<f64>(),
                p[y] - other,
                squares(&mut (0..CLASSES).map(|j| p[j] - f64::from(u8::from(j == y)))),
                squares(&mut h[WIDTH * i..][..WIDTH].iter().map(|h| f64::from(*h))),
            ];
            for (got, expected) in [entropy[i], margin[i], error[i], feature[i]].into_iter().zip(expected) {
                assert!((f64::from(got) - expected).abs() < 1e-5 * expected.abs().max(1.0), "{got} {expected}");
            }
        }
    }

    /// Compares `|p - onehot(y)| sqrt(1 + |h|^2)` with autodiff for the last layer, bias included, sample by sample, in
    /// a forward pass with dropout.
    #[test]
    fn error_and_feature_norm_give_the_gradient_of_the_last_layer() {
        let device = Device::flex().autodiff();
        let (input, weight) = (normal(4, [BATCH, WIDTH], &device), normal(5, [WIDTH, CLASSES], &device));
        let bias = normal(6, [1, CLASSES], &device);
        let masks = Random::new(5).stream(Purpose::Dropout, 0, 0);
        let h = dropout(input, 0.5, &mut Mode::train(masks));
        let logits = h.clone().matmul(weight.clone()) + bias.clone();
        let forward = Forward { logits: logits.inner(), features: Some(h.clone().inner()) };
        let got = |statistic| values(statistic, &forward, &targets(&device).inner());
        let (error, feature) = (got(Statistic::ErrorNorm), got(Statistic::FeatureNorm));
        for i in 0..BATCH {
            let (weight, bias) = (weight.clone().require_grad(), bias.clone().require_grad());
            let row = h.clone().slice([i..i + 1, 0..WIDTH]).matmul(weight.clone()) + bias.clone();
            let gradients = cross_entropy(row, targets(&device).slice(i..i + 1)).sum().backward();
            let squares = |gradient: Tensor<2>| gradient.powi_scalar(2).sum().into_scalar::<f32>();
            let expected = (squares(weight.grad(&gradients).unwrap()) + squares(bias.grad(&gradients).unwrap())).sqrt();
            let got = error[i] * (1.0 + feature[i] * feature[i]).sqrt();
            assert!((got - expected).abs() < 1e-4 * expected, "{got} {expected}");
        }
    }

    /// The observation holds exactly the statistics that the scorer needs.
    #[test]
    fn a_scorer_gets_what_it_needs() {
        struct Sum(&'static [Statistic]);
        impl Scorer for Sum {
            fn needs(&self) -> &'static [Statistic] {
                self.0
            }
            fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, crate::score::ScoreError> {
                for statistic in Statistic::ALL {
                    let there = self.0.contains(&statistic) || statistic == Statistic::Correct;
                    assert_eq!(seen.get(statistic).is_ok(), there, "{}", statistic.name());
                }
                Ok(seen.loss().to_vec())
            }
        }
        let device = Device::flex();
        let ledger = Ledger::new(crate::select::Groups::none(BATCH));
        for needs in
            [&[][..], &[Statistic::Margin, Statistic::LastLoss], &[Statistic::ReferenceLoss, Statistic::ErrorNorm]]
        {
            let logits = normal(4, [BATCH, CLASSES], &device);
            let loss = cross_entropy(logits.clone(), targets(&device));
            let forward = Forward { logits, features: Some(normal(5, [BATCH, WIDTH], &device)) };
            let scorer = Sum(needs);
            let scoring = Scoring {
                scorer: &scorer,
                reference: &[0.5; BATCH],
                mean_loss: None,
                mean_input_deviation: 0.25,
                random: Random::new(1),
                step: 1,
            };
            let ids = (0..BATCH as SampleId).collect();
            let forwarded =
                ForwardedBatch { ids, input_deviation: vec![0.1; BATCH], forward, targets: targets(&device), loss };
            let extra = vec![Tensor::from_data([7.0, 8.0], &device)];
            let scored = scoring.read_back(forwarded, &ledger, extra).unwrap();
            assert_eq!((scored.score, scored.extra), (scored.loss, vec![7.0, 8.0]));
        }
    }
}
