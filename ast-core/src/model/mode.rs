use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use crate::random::Stream;

/// The mode of a forward pass, evaluation or training. Passed by reference through the layers.
#[derive(Debug)]
pub enum Mode {
    /// Evaluation: no randomness, and normalisation uses its running statistics.
    Eval,
    /// Training: layers draw dropout masks and update running statistics.
    Train(Box<Training>),
}

/// State shared by the layers of a network in a forward pass of a training step.
#[derive(Debug)]
pub struct Training {
    masks: Stream,
    statistics: RunningStatistics,
    spent: f64,
    /// The momentum of all running statistics, instead of each layer's own.
    momentum: Option<f64>,
}

impl Mode {
    /// Training, with dropout masks drawn from `masks`, the same on every device.
    #[must_use]
    pub fn train(masks: Stream) -> Self {
        Self::Train(Box::new(Training { masks, statistics: RunningStatistics::default(), spent: 0.0, momentum: None }))
    }

    /// The same after a share `spent` (0..=1) of the run, for networks that change during it.
    #[must_use]
    pub fn at(mut self, spent: f64) -> Self {
        if let Self::Train(training) = &mut self {
            training.spent = spent;
        }
        self
    }

    /// Training mode with one momentum, 0..=1, for all running statistics. With `1/k` in the k-th of several passes they
    /// become the means over the passes.
    #[must_use]
    pub fn measure(masks: Stream, momentum: f64) -> Self {
        let statistics = RunningStatistics::default();
        Self::Train(Box::new(Training { masks, statistics, spent: 1.0, momentum: Some(momentum) }))
    }

    /// The running statistics measured in the pass; empty after evaluation.
    pub fn into_statistics(self) -> RunningStatistics {
        match self {
            Self::Eval => RunningStatistics::default(),
            Self::Train(training) => training.statistics,
        }
    }
}

impl Training {
    /// The share of the run that is spent, 0 and above.
    #[must_use]
    pub fn spent(&self) -> f64 {
        self.spent
    }

    /// The factor by which running statistics move towards those of the batch: `own`, the layer's, unless the mode sets it.
    #[must_use]
    pub fn momentum(&self, own: f64) -> f64 {
        self.momentum.unwrap_or(own)
    }

    /// Sets the new value of a parameter that is not trained by gradients. It takes effect with the optimizer's step,
    /// if that is made.
    ///
    /// `update` maps the current value to the new one. If the pass has already updated the parameter, it gets that
    /// value.
    pub fn update(&mut self, param: &Param<Tensor<1>>, update: impl FnOnce(Tensor<1>) -> Tensor<1>) {
        let old = self.statistics.0.remove(&param.id).unwrap_or_else(|| param.val());
        self.statistics.0.insert(param.id, update(old).detach());
    }
}

/// New values of parameters that are not trained by gradients, such as the running statistics of normalisation.
///
/// A forward pass returns them and does not change the network. The optimizer's step applies them. A skipped step
/// therefore leaves the network unchanged, and a checkpoint between two steps is exact.
#[derive(Debug, Default)]
#[must_use = "they take effect when they are applied"]
pub struct RunningStatistics(HashMap<ParamId, Tensor<1>>);

impl RunningStatistics {
    /// Whether there are none: the network has no running statistics.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the network with these values.
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

/// Dropout (Srivastava et al. 2014): in training each value is zeroed with probability `p` and the others are scaled by
/// `1/(1-p)`.
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
