//! Gradient clipping by the norm of the whole gradient (Pascanu et al., ICML 2013).

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Scales the gradient down so that its Euclidean norm over all parameters is at most `largest`.
pub(super) fn clip<M: Module>(model: &M, gradients: &mut GradientsParams, largest: f64) {
    let mut squares = Squares { gradients, sum: None };
    model.visit(&mut squares);
    let Some(sum) = squares.sum else { return };
    // As in PyTorch, 1e-6 keeps a gradient of zero finite.
    let factor = (sum.sqrt() + 1e-6).recip().mul_scalar(largest).clamp_max(1.0);
    model.visit(&mut Scale { gradients, factor });
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        // Row by row: a sum of all values at once has no fixed order on the CPU.
        let rows = gradient.dims()[0];
        let values = gradient.shape().num_elements();
        let squares = gradient.powi_scalar(2).reshape([rows, values / rows.max(1)]).sum_dim(1).sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + squares,
            None => squares,
        });
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let factor = self.factor.clone().reshape([1; D]);
            self.gradients.register::<D>(param.id, gradient * factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[derive(Module, Debug)]
    struct Two {
        a: Param<Tensor<1>>,
        b: Param<Tensor<2>>,
    }

    /// Gradients (3, 0) and (0, 4): a norm of 5.
    #[test]
    fn the_whole_gradient_is_scaled_to_the_largest_norm() {
        let device = Device::flex().autodiff();
        let two = Two {
            a: Param::from_tensor(Tensor::from_floats([1.0, 1.0], &device)),
            b: Param::from_tensor(Tensor::from_floats([[1.0, 1.0]], &device)),
        };
        let clipped = |largest: f64| {
            let weights = Tensor::<1>::from_floats([3.0, 0.0], &device);
            let others = Tensor::<2>::from_floats([[0.0, 4.0]], &device);
            let gradients = ((two.a.val() * weights).sum() + (two.b.val() * others).sum()).backward();
            let mut gradients = GradientsParams::from_grads(gradients, &two);
            clip(&two, &mut gradients, largest);
            let a: Vec<f32> = gradients.get::<1>(two.a.id).unwrap().into_data().try_into_vec().unwrap();
            let b: Vec<f32> = gradients.get::<2>(two.b.id).unwrap().into_data().try_into_vec().unwrap();
            [a, b].concat()
        };
        assert_eq!(clipped(10.0), [3.0, 0.0, 0.0, 4.0]);
        for (got, expected) in clipped(1.0).into_iter().zip([0.6, 0.0, 0.0, 0.8]) {
            assert!((got - expected).abs() < 1e-5, "{got} {expected}");
        }
    }
}
