use burn::optim::{AdamState, AdaptiveMomentumState, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

use crate::ops::{AdamStep, adam};

const BETA: [f32; 2] = [0.9, 0.999];
/// That of the original and of PyTorch; Burn's own default is 1e-5.
const EPSILON: f32 = 1e-8;

/// Burn's Adam, but for the one operation that a step is: same state, same record, same numbers.
#[derive(Debug, Clone)]
struct Adam;

/// Adam with betas 0.9 and 0.999 and the epsilon of PyTorch, 1e-8, that has seen nothing yet: what every run trains
/// with.
#[must_use]
pub fn optimizer() -> ModuleOptimizer {
    ModuleOptimizer::from(Adam)
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
        let [one, two] = BETA.map(|beta| 1.0 - beta.powi(time as i32));
        let (correction, epsilon) = (two.sqrt() / one, EPSILON * two.sqrt());
        let step = AdamStep { beta: BETA, correction, epsilon, lr: lr as f32 };
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

    /// Twenty steps from the same start, on gradients of every size: bit for bit what Burn's own Adam does.
    #[test]
    fn is_burns_own_to_the_bit() {
        let mut stream = Random::new(5).stream(Purpose::Data, 0, 0);
        let device = Device::flex();
        let length = 40_000; // more than one chunk
        let mut draw = |scale: f64| {
            let values: Vec<f32> = (0..length).map(|_| (stream.normal() * scale) as f32).collect();
            Tensor::<1>::from_floats(values.as_slice(), &device)
        };
        let burns_own = AdamConfig::new().with_epsilon(EPSILON).build();
        let x = draw(0.1);
        let (mut ours, mut theirs) = ((x.clone(), None), (x, None));
        for k in 0..20 {
            let gradient = draw(10_f64.powi(2 - k));
            let lr = 1e-3 / f64::from(k + 1);
            ours = Adam.step(lr, ours.0, gradient.clone(), ours.1);
            theirs = burns_own.step(lr, theirs.0, gradient, theirs.1);
        }
        let bits = |x: Tensor<1>| x.into_data().try_into_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect();
        let (ours, theirs): (Vec<u32>, Vec<u32>) = (bits(ours.0), bits(theirs.0));
        assert!(ours == theirs);
    }

    /// Transposed, sliced and scalar-like tensors are the same to it.
    #[test]
    fn the_order_in_memory_does_not_matter() {
        let device = Device::flex();
        let values: Vec<f32> = (0..60).map(|i| (i as f32 * 0.37).sin()).collect();
        let x = Tensor::<1>::from_floats(values.as_slice(), &device).reshape([6, 10]);
        let turned = || x.clone().transpose().slice([1..8, 2..6]);
        let plain = || Tensor::<2>::from_data(turned().into_data(), &device);
        let after = |x: Tensor<2>, gradient: Tensor<2>| Adam.step(0.1, x, gradient, None).0.into_data();
        let expected = after(plain(), plain());
        assert_eq!(after(turned(), plain()), expected);
        assert_eq!(after(plain(), turned()), expected);
    }

    /// A moment that nothing feeds any more ends at zero, and the weight stays where it is.
    #[test]
    fn moments_die_before_they_are_subnormal() {
        let device = Device::flex();
        let one = Tensor::<1>::from_floats([1.0], &device);
        let (mut x, mut state) = Adam.step(1e-3, one.clone(), one.clone(), None);
        for _ in 0..900 {
            (x, state) = Adam.step(1e-3, x, one.zeros_like(), state);
        }
        let moment = state.unwrap().momentum.moment_1.into_scalar::<f32>();
        assert_eq!(moment, 0.0);
        assert!(x.into_scalar::<f32>() < 1.0);
    }
}
