//! Stochastic gradient descent with momentum (Polyak 1964; Nesterov 1983, in the form of Sutskever et al., ICML 2013).

use burn::module::ParamGroup;
use burn::optim::{ModuleOptimizer, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use crate::ops::{SgdStep, sgd};
use crate::optim::decay::{Decay, decayed, weight_decay};
use crate::plugin::{ParamKind, ParamSpec};

crate::register_optimizer! {
    name: "sgd",
    summary: "gradient descent with Nesterov momentum (Sutskever et al., ICML 2013) and weight decay, as in PyTorch",
    params: &[
        ParamSpec {
            name: "momentum",
            summary: "share of the velocity that a step keeps",
            kind: ParamKind::Number { default: 0.9, min: 0.0, max: 0.99 },
        },
        ParamSpec {
            name: "nesterov",
            summary: "`yes`: a step follows the velocity after the next gradient; `no`: plain momentum",
            kind: ParamKind::Choice(&["yes", "no"]),
        },
        weight_decay("share of a parameter that is added to its gradient", 5e-4),
        decayed(&["matrices", "all"]),
        ParamSpec {
            name: "norm_bias_lr",
            summary: "factor of the learning rate of the biases of normalisations; their weight decay per step stays",
            kind: ParamKind::Number { default: 1.0, min: 0.001, max: 1000.0 },
        },
    ],
    build: |params| {
        let rule = Sgd {
            momentum: params.number("momentum")? as f32,
            nesterov: params.word("nesterov")? == "yes",
            decay: Decay::new(params)?,
            factor: 1.0,
        };
        let factor = params.number("norm_bias_lr")?;
        let optimizer = ModuleOptimizer::from(rule.clone());
        if factor == 1.0 {
            return Ok(optimizer);
        }
        let biases = NORMS.iter().map(|norm| ParamGroup::from_predicates(vec![*norm, "bias"]));
        Ok(biases.fold(optimizer, |optimizer, group| optimizer.with_group(group, Sgd { factor, ..rule.clone() }, None)))
    },
}

/// Parts of the names that normalisations have in a network.
const NORMS: [&str; 2] = ["norm", "bn"];

/// The update of one parameter.
#[derive(Debug, Clone)]
struct Sgd {
    momentum: f32,
    nesterov: bool,
    decay: Decay,
    /// Factor of the learning rate.
    factor: f64,
}

/// The velocity of a parameter.
#[derive(Clone)]
struct Velocity<const D: usize> {
    velocity: Tensor<D>,
}

// By hand: Burn's derive works in its own crate only.
impl<const D: usize> RecordState for Velocity<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "velocity", self.velocity.to_data());
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        let velocity = source.take_tensor(prefix, "velocity")?;
        Some(Self { velocity: Tensor::from_data(velocity, device) })
    }
}

impl Optimizer for Sgd {
    type State<const D: usize> = Velocity<D>;

    fn step<const D: usize>(
        &self,
        lr: f64,
        x: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Velocity<D>>,
    ) -> (Tensor<D>, Option<Velocity<D>>) {
        let velocity = state.map_or_else(|| gradient.zeros_like(), |state| state.velocity);
        let step = SgdStep {
            momentum: self.momentum,
            nesterov: self.nesterov,
            decay: (f64::from(self.decay.of(D)) / self.factor) as f32,
            lr: (lr * self.factor) as f32,
        };
        let (x, velocity) = sgd(x, gradient, velocity, step);
        (x, Some(Velocity { velocity }))
    }

    fn to_device<const D: usize>(Velocity { velocity }: Velocity<D>, device: &Device) -> Velocity<D> {
        Velocity { velocity: velocity.to_device(device) }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::optim::decay::WeightDecayConfig;
    use burn::optim::momentum::MomentumConfig;
    use burn::optim::{GradientsParams, SgdConfig};
    use burn::tensor::Tolerance;

    use super::*;
    use crate::optim::OptimizerEntry;
    use crate::plugin::{ParamValue, Params, Registry};

    /// A bias of a normalisation, another bias, and a matrix.
    #[derive(Module, Debug)]
    struct Net {
        norm1: Part,
        head: Part,
    }

    #[derive(Module, Debug)]
    struct Part {
        bias: Param<Tensor<1>>,
        weight: Param<Tensor<2>>,
    }

    fn net() -> Net {
        let device = Device::flex().autodiff();
        let part = || Part {
            bias: Param::from_tensor(Tensor::from_floats([1.0, -2.0], &device)),
            weight: Param::from_tensor(Tensor::from_floats([[0.5, -1.0]], &device)),
        };
        Net { norm1: part(), head: part() }
    }

    /// Parameters after some steps along the gradient of the sum of squares, which is twice the parameter.
    fn after(steps: usize, mut optimizer: ModuleOptimizer) -> [Vec<f32>; 4] {
        let mut net = net();
        for _ in 0..steps {
            let squares = |part: &Part| part.bias.val().powi_scalar(2).sum() + part.weight.val().powi_scalar(2).sum();
            let gradients = (squares(&net.norm1) + squares(&net.head)).backward();
            let gradients = GradientsParams::from_grads(gradients, &net);
            net = optimizer.step(0.05, net, gradients);
        }
        let values = |part: &Part| {
            [part.bias.val().into_data(), part.weight.val().into_data()].map(|data| data.try_into_vec().unwrap())
        };
        let ([a, b], [c, d]) = (values(&net.norm1), values(&net.head));
        [a, b, c, d]
    }

    fn of(given: &[(&str, ParamValue)]) -> ModuleOptimizer {
        let entry: &OptimizerEntry = Registry::linked().unwrap().get("sgd").unwrap();
        let given = given.iter().map(|(key, value)| ((*key).to_string(), value.clone())).collect();
        (entry.build)(&Params::resolve(entry.params, &given).unwrap()).unwrap()
    }

    #[test]
    fn equals_burns_momentum_and_decay() {
        for nesterov in [true, false] {
            let momentum = MomentumConfig { momentum: 0.8, dampening: 0.0, nesterov };
            let decay = WeightDecayConfig { penalty: 0.1 };
            let burns = SgdConfig::new().with_momentum(Some(momentum)).with_weight_decay(Some(decay)).init();
            let word = if nesterov { "yes" } else { "no" };
            let given = [
                ("momentum", 0.8.into()),
                ("nesterov", word.into()),
                ("weight_decay", 0.1.into()),
                ("decayed", "all".into()),
            ];
            for (ours, theirs) in after(10, of(&given)).iter().zip(after(10, burns)) {
                let [ours, theirs] = [ours, &theirs].map(|x| Tensor::<1>::from_floats(x.as_slice(), &Device::flex()));
                ours.into_data().assert_approx_eq::<f32>(&theirs.into_data(), Tolerance::absolute(1e-6));
            }
        }
    }

    /// One step from 1: the gradient 2 and a decay of 0.1, at a learning rate of 0.05 or three times that. The decay of a
    /// step is the same.
    #[test]
    fn parameter_groups_have_their_own_rate_and_decay() {
        let given = |decayed: &str| {
            [
                ("momentum", 0.0.into()),
                ("weight_decay", 0.1.into()),
                ("decayed", decayed.into()),
                ("norm_bias_lr", 3.0.into()),
            ]
        };
        let first = |decayed| after(1, of(&given(decayed))).map(|values| values[0]);
        let close = |got: [f32; 4], expected: [f32; 4]| {
            assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{got:?} {expected:?}");
        };
        let matrix = 0.5 - 0.05 * (1.0 + 0.05);
        close(first("all"), [1.0 - 0.15 * 2.0 - 0.05 * 0.1, matrix, 1.0 - 0.05 * 2.1, matrix]);
        close(first("matrices"), [1.0 - 0.15 * 2.0, matrix, 1.0 - 0.05 * 2.0, matrix]);
    }
}
