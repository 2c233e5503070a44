//! The dense step and the forward pass of a network, timed like those of PyTorch in `networks.py`. `versus-pytorch` runs
//! both.
//!
//! ```sh
//! cargo bench --bench versus_pytorch -- --network airbench --batch 1024
//! ```
//!
//! Options: `--network` simple-cnn (default), airbench or resnet18; `--batch` (128); `--device` flex (default), or wgpu
//! or cuda if compiled in; `--seconds` of timed work for each median (4).
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use std::process::exit;
use std::str::FromStr;
use std::time::Instant;

use ast_benches::quick;
use ast_core::data::Shape;
use ast_core::model::zoo::{Airbench, ResNet, SimpleCnn};
use ast_core::model::{Input, Mode, Network, Weights, cross_entropy};
use ast_core::optim::OptimizerEntry;
use ast_core::plugin::{ParamValue, Params, Registry};
use ast_core::random::{Purpose, Random};
use burn::module::{ModuleVisitor, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};

const SHAPE: [usize; 3] = [3, 32, 32];
const CLASSES: usize = 10;
const WARM_UP: usize = 2;
const LEAST: usize = 3;
const MOST: usize = 20;

fn main() {
    // As with criterion, `cargo bench -- --test` runs each once.
    if quick() {
        let all = [measure::<SimpleCnn>, measure::<Airbench>, measure::<ResNet<18>>];
        all.iter().for_each(|measure| measure(8, 0.0, &device("flex")));
        return;
    }
    let network = option("--network", SimpleCnn::NAME.to_string());
    let measure = match network.as_str() {
        SimpleCnn::NAME => measure::<SimpleCnn>,
        Airbench::NAME => measure::<Airbench>,
        <ResNet<18>>::NAME => measure::<ResNet<18>>,
        _ => refuse(&format!("no network `{network}` here; there are: simple-cnn, airbench, resnet18")),
    };
    measure(option("--batch", 128), option("--seconds", 4.0), &device(&option("--device", "flex".to_string())));
}

/// The value after an option, or the default.
fn option<T: FromStr>(name: &str, default: T) -> T {
    let Some(value) = std::env::args().skip_while(|arg| arg != name).nth(1) else { return default };
    value.parse().unwrap_or_else(|_| refuse(&format!("{name} cannot be `{value}`")))
}

fn refuse(message: &str) -> ! {
    eprintln!("error: {message}");
    exit(2)
}

fn device(name: &str) -> Device {
    match name {
        "flex" => Device::flex(),
        #[cfg(feature = "wgpu")]
        "wgpu" => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "cuda")]
        "cuda" => Device::cuda(0),
        _ => refuse(&format!("device `{name}` is not compiled in: build with --features {name}")),
    }
}

/// Prints the counts of a network, then the times of its forward pass and its step.
fn measure<M: Network>(batch: usize, seconds: f64, device: &Device) {
    // A GPU queues work, so the clock is read once for several steps.
    let steps = if *device == Device::flex() { 1 } else { 10 };
    let (device, random) = (device.clone().autodiff(), Random::new(0));
    let params = Params::resolve(M::PARAMS, &Default::default()).expect("in their ranges");
    let shape = Shape::Image(SHAPE);
    let mut model = M::build(&params, shape, CLASSES, Weights::new(random, &device)).expect("it takes 32 x 32 pixels");
    let layers = model.layers(shape).expect("it takes 32 x 32 pixels");
    let forward: u64 = layers.iter().map(|layer| layer.forward).sum();
    let step: u64 = layers.iter().map(|layer| layer.forward + layer.weight_gradient + layer.input_gradient).sum();
    println!("parameters {}, forward {forward} FLOP, step {step} FLOP", trained(&model));

    let mut optimizer = optimizer(M::NAME);
    let mut normal = random.stream(Purpose::Data, 0, 0);
    let [channels, height, width] = SHAPE;
    let pixels = (0..batch * channels * height * width).map(|_| normal.uniform() as f32 * 3.4 - 1.7).collect();
    let pixels = TensorData::new::<f32, _>(pixels, [batch, channels, height, width]);
    let images = Tensor::<4>::from_data(pixels.clone(), &device);
    let inner = Tensor::<4>::from_data(pixels, &device.clone().without_autodiff());
    let targets: Vec<i32> = (0..batch as i32).map(|i| i % CLASSES as i32).collect();
    let targets = Tensor::<1, Int>::from_data(targets.as_slice(), &device);

    let time = |name: &str, work: &mut dyn FnMut()| {
        let wait = || device.sync().expect("the device works");
        let run = |work: &mut dyn FnMut()| {
            wait();
            let begin = Instant::now();
            (0..steps).for_each(|_| work());
            wait();
            begin.elapsed().as_secs_f64() / steps as f64
        };
        if quick() {
            work();
            println!("Testing {name} of {}\nSuccess", M::NAME);
            return;
        }
        (0..WARM_UP).for_each(|_| work());
        let mut taken = Vec::new();
        while taken.len() < LEAST || (taken.len() < MOST && taken.iter().sum::<f64>() * f64::from(steps) < seconds) {
            taken.push(run(work));
        }
        let median = median(taken);
        println!("{name}: median {:.2} ms, {:.0} samples/s", 1e3 * median, batch as f64 / median);
    };
    let valid = model.valid();
    time("forward", &mut || drop(valid.forward(Input::Image(inner.clone()), &mut Mode::Eval)));
    let mut steps = 0;
    time("step", &mut || {
        let mut mode = Mode::train(random.stream(Purpose::Dropout, steps, 0));
        steps += 1;
        let forward = model.forward(Input::Image(images.clone()), &mut mode);
        let gradients = cross_entropy(forward.logits, targets.clone()).mean().backward();
        let gradients = GradientsParams::from_grads(gradients, &model);
        model = mode.into_statistics().apply(optimizer.step(1e-3, model.clone(), gradients));
    });
}

/// Adam for SimpleCNN, as the original has it; Nesterov momentum for the others. Decay of all parameters, as in PyTorch.
fn optimizer(network: &str) -> ModuleOptimizer {
    let given = [("decayed".to_string(), ParamValue::from("all"))];
    let (name, given) = if network == SimpleCnn::NAME { ("adam", None) } else { ("sgd", Some(given)) };
    let entry: &OptimizerEntry = Registry::linked().and_then(|all| all.get(name)).expect("registered");
    let params = Params::resolve(entry.params, &given.into_iter().flatten().collect()).expect("in their ranges");
    (entry.build)(&params).expect("declared")
}

/// Number of parameters that gradients train.
fn trained(model: &impl Network) -> usize {
    struct Trained(usize);
    impl ModuleVisitor for Trained {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 += if param.is_require_grad() { param.shape().num_elements() } else { 0 };
        }
    }
    let mut trained = Trained(0);
    model.visit(&mut trained);
    trained.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}
