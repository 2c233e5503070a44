//! Lookahead: every fifth step the weights move back towards their average over time.
//!
//! Zhang et al., *Lookahead Optimizer*, NeurIPS 2019, in the form of K. Jordan's airbench recipe (2024): the average
//! keeps a share of 0.95^5 at the end of the budget, and less before, by the cube of the share spent. Running statistics
//! are averaged too.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// Number of steps between two averages.
const EVERY: u64 = 5;
/// The share per step that the average keeps, at the end.
const KEPT: f64 = 0.95;

/// The average over time of every parameter, flattened; empty before the first average.
#[derive(Debug, Clone, Default)]
pub(super) struct Lookahead(HashMap<ParamId, Tensor<1>>);

impl Lookahead {
    /// The average in the weights of `model`.
    pub(super) fn of<M: Module>(model: &M) -> Self {
        let mut all = Self::default();
        model.visit(&mut all);
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// After step number `step`, from 1: if it is the fifth, averages and returns the network with the average.
    pub(super) fn step<M: Module>(&mut self, model: M, step: u64, spent: f64) -> M {
        if !step.is_multiple_of(EVERY) {
            return model;
        }
        let now = Self::of(&model);
        // The first average is the network itself.
        let kept = if self.is_empty() { 0.0 } else { KEPT.powi(EVERY as i32) * spent.min(1.0).powi(3) };
        for (id, now) in now.0 {
            let average = match self.0.remove(&id) {
                Some(average) => average.clone() + (now - average) * (1.0 - kept),
                None => now,
            };
            self.0.insert(id, average);
        }
        self.apply(model)
    }

    /// The network with the average in place of its weights; the network itself before the first average.
    pub(super) fn apply<M: Module>(&self, model: M) -> M {
        if self.is_empty() { model } else { model.map(&mut Replace(self)) }
    }
}

impl ModuleVisitor for Lookahead {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().inner();
        let length = value.shape().num_elements();
        self.0.insert(param.id, value.reshape([length]));
    }
}

struct Replace<'a>(&'a Lookahead);

impl ModuleMapper for Replace<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(average) = self.0.0.get(&param.id).cloned() else { return param };
        param.map(|old| {
            let new = Tensor::from_inner(average.reshape(old.dims()));
            if old.is_require_grad() { new.require_grad() } else { new }
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct One {
        weight: Param<Tensor<2>>,
    }

    fn one(value: f32) -> One {
        One { weight: Param::from_tensor(Tensor::from_floats([[value]], &Device::flex().autodiff())) }
    }

    fn value(one: &One) -> f32 {
        one.weight.val().into_scalar()
    }

    /// By hand: nothing until step 5, which starts the average; at step 10, after the whole budget, the average keeps
    /// 0.95^5 of itself.
    #[test]
    fn every_fifth_step_moves_towards_the_average() {
        let mut lookahead = Lookahead::default();
        let mut net = one(2.0);
        for step in 1..=5 {
            net = lookahead.step(net, step, 0.5);
            assert_eq!(value(&net), 2.0);
        }
        net.weight = net.weight.map(|_| Tensor::from_floats([[4.0]], &Device::flex().autodiff()).require_grad());
        for step in 6..=9 {
            net = lookahead.step(net, step, 1.0);
            assert_eq!(value(&net), 4.0);
        }
        let net = lookahead.step(net, 10, 1.0);
        let expected = 4.0 - 2.0 * 0.95_f32.powi(5);
        assert!((value(&net) - expected).abs() < 1e-6, "{} {expected}", value(&net));
        assert!(net.weight.val().is_require_grad());
        let net = net.map(&mut Replace(&Lookahead::default()));
        assert_eq!(value(&Lookahead::default().apply(net.clone())), value(&net), "without an average nothing changes");
    }
}
