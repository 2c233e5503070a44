//! Adam (Kingma & Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015), without weight decay.
//!
//! State, record and results equal those of Burn's Adam, but a step is one pass over the parameter.

use burn::optim::{AdamState, AdaptiveMomentumState, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

use crate::ops::{AdamStep, adam};
use crate::optim::decay::Decay;
use crate::plugin::{ParamError, ParamKind, ParamSpec, Params};

crate::register_optimizer! {
    name: "adam",
    summary: "Adam (Kingma & Ba, ICLR 2015), without weight decay, with PyTorch's defaults, as in the original script",
    params: &[BETA1, BETA2, EPSILON],
    build: |params| Ok(ModuleOptimizer::from(Adam::new(params, Decay::default())?)),
}

pub(super) const BETA1: ParamSpec = ParamSpec {
    name: "beta1",
    summary: "decay per step of the mean gradient",
    kind: ParamKind::Number { default: 0.9, min: 0.0, max: 0.9999 },
};
pub(super) const BETA2: ParamSpec = ParamSpec {
    name: "beta2",
    summary: "decay per step of the mean squared gradient",
    kind: ParamKind::Number { default: 0.999, min: 0.5, max: 0.999_999 },
};
pub(super) const EPSILON: ParamSpec = ParamSpec {
    name: "epsilon",
    summary: "added to the root of the mean squared gradient",
    // Burn's default is 1e-5.
    kind: ParamKind::Number { default: 1e-8, min: 1e-30, max: 1.0 },
};

/// Adam's update of one parameter.
#[derive(Debug, Clone)]
pub(super) struct Adam {
    beta: [f32; 2],
    epsilon: f32,
    decay: Decay,
}

impl Adam {
    /// From the parameters `beta1`, `beta2` and `epsilon`.
    pub(super) fn new(params: &Params, decay: Decay) -> Result<Self, ParamError> {
        let beta = [params.number("beta1")? as f32, params.number("beta2")? as f32];
        Ok(Self { beta, epsilon: params.number("epsilon")? as f32, decay })
    }
}

impl Optimizer for Adam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        lr: f64,
        x: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        let (time, moments) = match state {
            Some(AdamState { momentum: state }) => (state.time + 1, [state.moment_1, state.moment_2]),
            None => (1, [gradient.zeros_like(), gradient.zeros_like()]),
        };
        let [one, two] = self.beta.map(|beta| 1.0 - beta.powi(time as i32));
        let (correction, epsilon) = (two.sqrt() / one, self.epsilon * two.sqrt());
        let step = AdamStep { beta: self.beta, correction, epsilon, lr: lr as f32, decay: self.decay.of(D) };
        let (x, [first, second]) = adam(x, gradient, moments, step);
        (x, Some(AdamState::new(AdaptiveMomentumState::new(time, first, second))))
    }

    fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
        AdamState::new(state.momentum.to_device(device))
    }
}

#[cfg(test)]
mod tests {
    use burn::optim::AdamConfig;

    use super::*;
    use crate::random::{Purpose, Random};

    /// Adam with the given betas and epsilon, else its defaults.
    fn of(given: &[(&str, f64)]) -> Adam {
        let entry: &crate::optim::OptimizerEntry = crate::plugin::Registry::linked().unwrap().get("adam").unwrap();
        let given = given.iter().map(|(key, value)| ((*key).to_string(), (*value).into())).collect();
        Adam::new(&Params::resolve(entry.params, &given).unwrap(), Decay::default()).unwrap()
    }

    /// Twenty steps from the same start, on gradients of all magnitudes, equal those of Burn's Adam bit for bit, with
    /// PyTorch's defaults and with other parameters.
    #[test]
    fn equals_burns_adam_bit_for_bit() {
        let mut stream = Random::new(5).stream(Purpose::Data, 0, 0);
        let device = Device::flex();
        let length = 40_000; // more than one chunk
        let mut draw = |scale: f64| {
            let values: Vec<f32> = (0..length).map(|_| (stream.normal() * scale) as f32).collect();
            Tensor::<1>::from_floats(values.as_slice(), &device)
        };
        let config = AdamConfig::new().with_epsilon(1e-8);
        let other = AdamConfig::new().with_beta_1(0.5).with_beta_2(0.9).with_epsilon(1e-3);
        let given = [("beta1", 0.5), ("beta2", 0.9), ("epsilon", 1e-3)];
        for (adam, burns_own) in [(of(&[]), config.build()), (of(&given), other.build())] {
            let x = draw(0.1);
            let (mut ours, mut theirs) = ((x.clone(), None), (x, None));
            for k in 0..20 {
                let gradient = draw(10_f64.powi(2 - k));
                let lr = 1e-3 / f64::from(k + 1);
                ours = adam.step(lr, ours.0, gradient.clone(), ours.1);
                theirs = burns_own.step(lr, theirs.0, gradient, theirs.1);
            }
            let bits = |x: Tensor<1>| x.into_data().try_into_vec::<f32>().unwrap().into_iter().map(f32::to_bits);
            assert!(bits(ours.0).eq(bits(theirs.0)));
        }
    }

    /// Transposed, sliced and single-value tensors give the same result.
    #[test]
    fn the_memory_layout_does_not_matter() {
        let device = Device::flex();
        let values: Vec<f32> = (0..60).map(|i| (i as f32 * 0.37).sin()).collect();
        let x = Tensor::<1>::from_floats(values.as_slice(), &device).reshape([6, 10]);
        let turned = || x.clone().transpose().slice([1..8, 2..6]);
        let plain = || Tensor::<2>::from_data(turned().into_data(), &device);
        let after = |x: Tensor<2>, gradient: Tensor<2>| of(&[]).step(0.1, x, gradient, None).0.into_data();
        let expected = after(plain(), plain());
        assert_eq!(after(turned(), plain()), expected);
        assert_eq!(after(plain(), turned()), expected);
    }

    /// Without gradients, a moment decays to zero instead of to subnormal numbers, and the weight stays where it is.
    #[test]
    fn moments_never_become_subnormal() {
        let device = Device::flex();
        let one = Tensor::<1>::from_floats([1.0], &device);
        let (mut x, mut state) = of(&[]).step(1e-3, one.clone(), one.clone(), None);
        for _ in 0..900 {
            (x, state) = of(&[]).step(1e-3, x, one.zeros_like(), state);
        }
        let moment = state.unwrap().momentum.moment_1.into_scalar::<f32>();
        assert_eq!(moment, 0.0);
        assert!(x.into_scalar::<f32>() < 1.0);
    }
}
