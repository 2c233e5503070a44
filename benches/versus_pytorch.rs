//! The dense step and the forward pass of SimpleCNN, timed like those of PyTorch in `versus-pytorch`.
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use std::time::Instant;

use ast_core::model::cross_entropy;
use ast_core::model::zoo::SimpleCnn;
use ast_core::model::{Input, Mode, Model, Weights};
use ast_core::optim::OptimizerEntry;
use ast_core::plugin::{Params, Registry};
use ast_core::random::{Purpose, Random};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};

const BATCH: usize = 128;
const WARM_UP: usize = 3;
const ITERATIONS: usize = 20;

fn main() {
    let device = Device::flex().autodiff();
    let random = Random::new(0);
    let mut model = SimpleCnn::new([3, 32, 32], 10, Weights::new(random, &device));
    let adam: &OptimizerEntry = Registry::linked().and_then(|all| all.get("adam")).expect("registered");
    let defaults = Params::resolve(adam.params, &Default::default()).expect("in their ranges");
    let mut optimizer = (adam.build)(&defaults).expect("declared");
    let mut normal = random.stream(Purpose::Data, 0, 0);
    let pixels: Vec<f32> = (0..BATCH * 3072).map(|_| normal.uniform() as f32 * 3.4 - 1.7).collect();
    let data = burn::tensor::TensorData::new(pixels, [BATCH, 3, 32, 32]);
    let images = Tensor::<4>::from_data(data.clone(), &device);
    let inner = Tensor::<4>::from_data(data, &device.clone().without_autodiff());
    let targets =
        Tensor::<1, Int>::from_data((0..BATCH as i32).map(|i| i % 10).collect::<Vec<_>>().as_slice(), &device);

    let valid = model.valid();
    report("forward", || drop(valid.forward(Input::Image(inner.clone()), &mut Mode::Eval)));
    let mut step = 0;
    report("step", || {
        let masks = random.stream(Purpose::Dropout, step, 0);
        step += 1;
        let forward = model.forward(Input::Image(images.clone()), &mut Mode::train(masks));
        let gradients = cross_entropy(forward.logits, targets.clone()).mean().backward();
        let gradients = GradientsParams::from_grads(gradients, &model);
        model = optimizer.step(1e-3, model.clone(), gradients);
    });
}

fn report(name: &str, mut work: impl FnMut()) {
    // As with criterion, `cargo bench -- --test` runs each once.
    if std::env::args().any(|arg| arg == "--test") {
        work();
        println!("Testing {name}\nSuccess");
        return;
    }
    (0..WARM_UP).for_each(|_| work());
    let mut seconds: Vec<f64> = (0..ITERATIONS)
        .map(|_| {
            let begin = Instant::now();
            work();
            begin.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let median = (seconds[ITERATIONS / 2 - 1] + seconds[ITERATIONS / 2]) / 2.0;
    println!("{name}: median {:.1} ms, {:.0} samples/s", 1e3 * median, BATCH as f64 / median);
}
