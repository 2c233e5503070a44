//! A GPU computes the same as the CPU, up to the order of sums. Needs the feature `wgpu` or `cuda` and a device; Mesa's
//! software Vulkan will do:
//!
//! ```sh
//! CUBECL_WGPU_DEFAULT_DEVICE=Cpu cargo test --profile agreement -p ast-core --features wgpu --test agreement
//! ```
//!
//! On software Vulkan most of the time goes into compiling a kernel for each operation and shape. The default is
//! therefore one small network and four steps; AST_TEST_FULL=1 runs every shape and fifty steps.
#![forbid(unsafe_code)]

mod common;

use std::sync::Arc;

use ast_core::burn::module::{Module, ModuleVisitor, Param};
use ast_core::burn::optim::GradientsParams;
use ast_core::burn::tensor::{Device, Int, Tensor, TensorData};
use ast_core::data::Shape;
use ast_core::model::cross_entropy;
use ast_core::model::zoo::{Airbench, Gpt, ResNet, SimpleCnn, VitTiny};
use ast_core::model::{Input, Mode, Network, Weights};
use ast_core::plugin::Params;
use ast_core::random::{Purpose, Random};
use ast_core::run::{Event, StepEvent};
use ast_core::testing::DirectLoader;
use ast_core::train::{Resolved, Setup, Trainer};
use common::{Halves, Loss, config, distance, policy};

/// The devices to compare with the CPU.
fn devices() -> Vec<(&'static str, Device)> {
    vec![
        #[cfg(feature = "wgpu")]
        ("wgpu", Device::wgpu(ast_core::burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        ("cuda", Device::cuda(0)),
    ]
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// Logits, per-sample losses and the gradient of each trained parameter, for a batch on a device, then the logits in
/// evaluation.
fn pass<M: Network>(params: &[(&str, i32)], device: &Device, shape: Shape, batch: usize) -> Vec<(String, Vec<f32>)> {
    struct Collect<'a>(&'a GradientsParams, Vec<(String, Vec<f32>)>);
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.val().is_require_grad() {
                let gradient = self.0.get::<D>(param.id).expect("every trained parameter has a gradient");
                self.1.push((format!("gradient {}", self.1.len()), values(gradient)));
            }
        }
    }
    let device = device.clone().autodiff();
    let random = Random::new(7);
    let given = params.iter().map(|(name, value)| ((*name).to_string(), (*value).into())).collect();
    let params = Params::resolve(M::PARAMS, &given).unwrap();
    let model = M::build(&params, shape, 10, Weights::new(random, &device)).unwrap();
    let mut stream = random.stream(Purpose::Data, 0, 0);
    let input = match shape {
        Shape::Image([channels, height, width]) => {
            let pixels = (0..batch * channels * height * width).map(|_| stream.normal() as f32).collect::<Vec<_>>();
            Input::Image(Tensor::from_data(TensorData::new(pixels, [batch, channels, height, width]), &device))
        }
        Shape::Tokens(context) => {
            let tokens = (0..batch * context).map(|_| stream.below(10) as i32).collect::<Vec<_>>();
            Input::Tokens(Tensor::from_data(TensorData::new(tokens, [batch, context]), &device))
        }
    };
    let rows = batch * shape.targets();
    let targets = TensorData::new((0..rows as i32).map(|i| i * 3 % 10).collect::<Vec<_>>(), [rows]);
    let masks = random.stream(Purpose::Dropout, 0, 0);
    let forward = model.forward(input.clone(), &mut Mode::train(masks));
    let losses = cross_entropy(forward.logits.clone(), Tensor::<1, Int>::from_data(targets, &device));
    let gradients = GradientsParams::from_grads(losses.clone().mean().backward(), &model);
    let mut all = Collect(
        &gradients,
        vec![("logits".into(), values(forward.logits.inner())), ("losses".into(), values(losses.inner()))],
    );
    model.visit(&mut all);
    let evaluated = model.forward(input, &mut Mode::Eval).logits;
    all.1.push(("logits in evaluation".into(), values(evaluated.inner())));
    all.1
}

/// Compares a network on every device with the CPU. `trained` is its number of trained tensors, `last` the number of those
/// nearest to the output whose gradients are compared, to `within`.
fn agrees<M: Network>(params: &[(&str, i32)], shape: Shape, batch: usize, [trained, last]: [usize; 2], within: f64) {
    let expected = pass::<M>(params, &Device::flex(), shape, batch);
    assert_eq!(expected.len(), 3 + trained, "{}", M::NAME);
    for (name, device) in devices() {
        let got = pass::<M>(params, &device, shape, batch);
        for (place, ((what, got), (_, expected))) in got.iter().zip(&expected).enumerate() {
            let distance = distance(got, expected);
            println!("{name} {} {shape:?} x {batch}, {what}: {distance:.1e}", M::NAME);
            let compared = !(2..2 + trained - last).contains(&place);
            assert!(!compared || distance < within, "{name} {} {shape:?} x {batch}, {what}: {distance:.1e}", M::NAME);
        }
    }
}

/// Whether the slow cases are requested.
fn full() -> bool {
    std::env::var_os("AST_TEST_FULL").is_some()
}

#[test]
fn forward_and_every_gradient() {
    let shapes: &[([usize; 3], usize)] = match full() {
        true => &[([3, 32, 32], 1), ([3, 32, 32], 5), ([3, 8, 8], 16), ([3, 12, 20], 3)],
        false => &[([3, 8, 8], 2)],
    };
    for &(shape, batch) in shapes {
        agrees::<SimpleCnn>(&[], Shape::Image(shape), batch, [10, 10], 1e-4);
    }
}

/// At minimum width: both kinds of residual block with and without a convolution in the shortcut, the groups of airbench
/// behind its whitening layer, and a block of attention to all tokens and to earlier ones. In ResNet-50 rounding grows through fifty normalisations, until it
/// turns a ReLU on or off: of its gradients those of the last stage count.
#[test]
fn every_kind_of_block() {
    agrees::<Airbench>(&[("width", 4)], Shape::Image([3, 17, 17]), 6, [14, 14], 1e-4);
    agrees::<VitTiny>(&[("width", 6), ("depth", 1), ("heads", 2)], Shape::Image([3, 8, 8]), 2, [20, 20], 1e-4);
    agrees::<Gpt>(&[("width", 6), ("depth", 1), ("heads", 2)], Shape::Tokens(7), 2, [9, 9], 1e-4);
    agrees::<ResNet<18>>(&[("width", 2)], Shape::Image([3, 16, 16]), 8, [62, 62], 1e-4);
    agrees::<ResNet<50>>(&[("width", 1)], Shape::Image([3, 16, 16]), 8, [161, 32], 5e-4);
}

/// The losses of `steps` steps, and the weights after them.
fn run(device: &Device, steps: usize, batch: usize) -> (Vec<StepEvent>, Vec<f32>) {
    let mut config = config(1.0, 1);
    config.train.batch_size = batch;
    let run = Resolved::of(config.clone(), policy("dense", None, &config), Box::new(Loss)).unwrap();
    let (random, device) = (run.checked.random(), device.clone().autodiff());
    let data = |samples| Box::new(DirectLoader::new(Arc::new(Halves { samples, broken: None })));
    let mut trainer = Trainer::new(Setup {
        energy: Err("not counted".into()),
        run,
        train: data(steps * batch),
        test: data(batch),
        model: SimpleCnn::new([3, 8, 8], 2, Weights::new(random, &device)),
        device,
    })
    .unwrap();
    let mut events: Vec<Event> = Vec::new();
    trainer.run(&mut events).unwrap().unwrap();
    struct All(Vec<f32>);
    impl ModuleVisitor for All {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(values(param.val().inner()));
        }
    }
    let mut weights = All(Vec::new());
    trainer.model().visit(&mut weights);
    let steps = events.into_iter().filter_map(|event| if let Event::Step(step) = event { Some(step) } else { None });
    (steps.collect(), weights.0)
}

/// Dropout, augmentation, optimizer and schedule included. Where a gradient is almost zero, Adam divides by the root of
/// a tiny second moment, so weights drift apart sooner than losses.
#[test]
fn training_gives_the_same_losses_and_weights() {
    let (steps, batch) = if full() { (50, 16) } else { (4, 2) };
    let (expected, expected_weights) = run(&Device::flex(), steps, batch);
    assert_eq!(expected.len(), steps);
    for (name, device) in devices() {
        let (got, weights) = run(&device, steps, batch);
        for (got, expected) in got.iter().zip(&expected) {
            let difference = (got.loss - expected.loss).abs();
            assert!(difference < 1e-3 * expected.loss + 1e-4, "{name} step {}: {difference:.1e}", got.step);
        }
        let distance = distance(&weights, &expected_weights);
        println!("{name}: weights after {steps} steps {distance:.1e}");
        assert!(distance < 1e-3, "{name}: {distance:.1e}");
    }
}
