use burn::module::{Module, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};

use crate::optim::OptimizerEntry;
use crate::plugin::{ParamValue, Params, Registry};

/// A convex problem: both parameters are to become 1 and -1.
#[derive(Module, Debug)]
struct Quadratic {
    matrix: Param<Tensor<2>>,
    vector: Param<Tensor<1>>,
}

impl Quadratic {
    fn new(device: &Device) -> Self {
        let matrix = Tensor::from_data([[0.5, -0.3, 0.1], [2.0, 0.0, -1.0]], device);
        Self { matrix: Param::from_tensor(matrix), vector: Param::from_tensor(Tensor::from_data([3.0, -2.0], device)) }
    }

    fn loss(&self) -> Tensor<1> {
        (self.matrix.val() - 1.0).square().sum() + (self.vector.val() + 1.0).square().sum()
    }

    fn step(self, optimizer: &mut ModuleOptimizer, lr: f64) -> Self {
        let gradients = GradientsParams::from_grads(self.loss().backward(), &self);
        optimizer.step(lr, self, gradients)
    }

    fn bits(&self) -> Vec<u32> {
        let values = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let read = "a tensor of f32 can be read";
        [
            values(self.matrix.val().inner().into_data().try_into_vec().expect(read)),
            values(self.vector.val().inner().into_data().try_into_vec().expect(read)),
        ]
        .concat()
    }

    fn value(&self) -> f32 {
        self.loss().into_scalar()
    }
}

/// Checks the contract that every optimizer keeps. Call it from a test of your crate, with its registered name, parameters, a
/// learning rate that suits it and an autodiff device.
///
/// * It halves the loss of a convex problem within 300 steps.
/// * A learning rate of 0 changes no parameter.
/// * A gradient of 0 gives finite parameters.
/// * The same gradients give the same bits.
/// * Its state, saved and restored after any step, continues with the same bits.
///
/// # Panics
/// If the optimizer breaks the contract; the message says how.
pub fn check_optimizer(name: &str, params: &[(&str, ParamValue)], lr: f64, device: &Device) {
    let entry: &OptimizerEntry = Registry::linked().and_then(|all| all.get(name)).expect("the optimizer is registered");
    let given = params.iter().map(|(key, value)| ((*key).to_string(), value.clone())).collect();
    let params = Params::resolve(entry.params, &given).expect("the parameters are valid");
    let build = || (entry.build)(&params).expect("the optimizer can be built");

    let (start, mut optimizer) = (Quadratic::new(device), build());
    let mut problem = start.clone();
    for _ in 0..300 {
        problem = problem.step(&mut optimizer, lr);
    }
    assert!(problem.value() < 0.5 * start.value(), "300 steps halve the loss of a convex problem");
    assert_eq!(start.clone().step(&mut build(), 0.0).bits(), start.bits(), "a learning rate of 0 changes nothing");

    let solved = Quadratic {
        matrix: Param::from_tensor(Tensor::ones([2, 3], device)),
        vector: Param::from_tensor(Tensor::full([2], -1.0, device)),
    };
    assert!(solved.step(&mut build(), lr).value().is_finite(), "a gradient of 0 gives finite parameters");

    for stop in [1, 4] {
        let run = |stop: Option<u32>| {
            let (mut problem, mut optimizer) = (start.clone(), build());
            for step in 0..8 {
                if stop == Some(step) {
                    let saved = optimizer.into_bytes().expect("the state can be saved");
                    optimizer = build().from_bytes(saved).expect("the state can be restored");
                }
                problem = problem.step(&mut optimizer, lr);
            }
            problem.bits()
        };
        assert_eq!(run(None), run(None), "the same gradients give the same bits");
        assert_eq!(run(Some(stop)), run(None), "restored after step {stop}, it continues with the same bits");
    }
}
