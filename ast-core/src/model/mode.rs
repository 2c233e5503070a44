use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use crate::random::Stream;

/// What a forward pass is for. It is passed by reference, to as many layers as need it.
#[derive(Debug)]
pub enum Mode {
    /// Evaluation: nothing is random, and normalisation uses its running statistics.
    Eval,
    /// Training: layers draw masks and measure statistics of the batch.
    Train(Box<Training>),
}

/// What the layers of a network share in a forward pass of a training step.
#[derive(Debug)]
pub struct Training {
    masks: Stream,
    statistics: RunningStatistics,
}

impl Mode {
    /// Training, in which dropout draws its masks from `masks`: they are the same on every device.
    #[must_use]
    pub fn train(masks: Stream) -> Self {
        Self::Train(Box::new(Training { masks, statistics: RunningStatistics::default() }))
    }

    /// What the pass has measured; nothing after a pass for evaluation.
    pub fn into_statistics(self) -> RunningStatistics {
        match self {
            Self::Eval => RunningStatistics::default(),
            Self::Train(training) => training.statistics,
        }
    }
}

impl Training {
    /// A value for a parameter that is not trained by gradients. It takes effect with the optimizer's step, if that is made.
    ///
    /// `update` maps the parameter's value, or the one that an earlier layer of this pass has left, to the new one.
    pub fn update(&mut self, param: &Param<Tensor<1>>, update: impl FnOnce(Tensor<1>) -> Tensor<1>) {
        let old = self.statistics.0.remove(&param.id).unwrap_or_else(|| param.val());
        self.statistics.0.insert(param.id, update(old).detach());
    }
}

/// New values of parameters that are not trained by gradients, such as the running statistics of normalisation.
///
/// A forward pass returns them and changes nothing. The optimizer's step applies them, so a step that is not made leaves
/// the network as it is, and a checkpoint between two steps is exact.
#[derive(Debug, Default)]
#[must_use = "they take effect when they are applied"]
pub struct RunningStatistics(HashMap<ParamId, Tensor<1>>);

impl RunningStatistics {
    /// The network with these values.
    #[must_use]
    pub fn apply<M: Module>(mut self, model: M) -> M {
        if self.0.is_empty() { model } else { model.map(&mut self) }
    }
}

impl ModuleMapper for RunningStatistics {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.remove(&param.id) {
            Some(value) => param.map(|old| value.reshape(old.dims()).set_require_grad(false)),
            None => param,
        }
    }
}

/// Dropout (Srivastava et al. 2014): in training each value is zeroed with probability `p`, others scaled by `1/(1-p)`.
#[must_use]
pub fn dropout<const D: usize>(x: Tensor<D>, p: f64, mode: &mut Mode) -> Tensor<D> {
    let Mode::Train(training) = mode else { return x };
    let kept = (1.0 / (1.0 - p)) as f32;
    let shape = x.dims();
    let mask: Vec<f32> =
        (0..shape.iter().product()).map(|_| if training.masks.uniform() < p { 0.0 } else { kept }).collect();
    let mask = Tensor::from_data(TensorData::new(mask, shape), &x.device());
    x * mask
}
