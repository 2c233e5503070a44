//! The networks against PyTorch: weights of torchvision and timm give the same outputs here, and come out again bit for
//! bit. `pytorch/make-fixtures` writes the files.

use std::path::{Path, PathBuf};

use crate::common::{distance, parameters};
use ast_core::burn::module::{Module, ModuleVisitor, Param};
use ast_core::burn::optim::GradientsParams;
use ast_core::burn::tensor::{Device, Tensor, TensorData, Tolerance};
use ast_core::data::Shape;
use ast_core::model::zoo::{Airbench, Gpt, ResNet, VitTiny};
use ast_core::model::{Input, Mode, Model, Network, Weights};
use ast_core::plugin::{ParamValue, Params};
use ast_core::random::{Purpose, Random};
use ast_core::train::{load_weights, safetensors};

/// Tolerance in training mode. Fifty normalisations by the statistics of a few values amplify rounding: PyTorch's own f32 differs
/// from its f64 by up to 2e-4 of a value.
const TRAINING: f32 = 5e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch").join(format!("{name}.safetensors"))
}

fn input(x: &TensorData, device: &Device) -> Input {
    Input::Image(Tensor::from_data(x.clone(), device))
}

fn close(got: TensorData, expected: &TensorData, within: f32, what: &str) {
    println!("{what}");
    got.assert_approx_eq::<f32>(expected, Tolerance::rel_abs(within, within));
}

/// Whether each parameter is trained, in order.
fn trained<M: Module>(model: &M) -> Vec<bool> {
    struct Trained(Vec<bool>);
    impl ModuleVisitor for Trained {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.val().is_require_grad());
        }
    }
    let mut trained = Trained(Vec::new());
    model.visit(&mut trained);
    trained.0
}

/// Loads a fixture's weights, compares the outputs of evaluation, exports the weights again, and compares a pass in
/// training mode if the fixture has one. The gradient of the input is compared in
/// the Euclidean norm: its values differ in size by thousands.
fn agrees<M: Network>(name: &str, params: &[(&str, ParamValue)]) -> M {
    let given = params.iter().map(|(key, value)| ((*key).to_string(), value.clone())).collect();
    let (params, device) = (Params::resolve(M::PARAMS, &given).unwrap(), Device::flex().autodiff());
    let run = parameters(std::fs::read(fixture(&format!("{name}.run"))).unwrap());
    let [_, channels, height, width] = run["input"].shape().dims();
    let shape = Shape::Image([channels, height, width]);
    let new = M::build(&params, shape, 3, Weights::new(Random::new(1), &device)).unwrap();
    let trained_before = trained(&new);
    let (model, warning) = load_weights(new, shape, &[], &fixture(name)).unwrap();
    assert_eq!(warning, None);
    assert_eq!(trained(&model), trained_before, "running statistics are not trained, all else is");

    let evaluated = model.valid().forward(input(&run["input"], &Device::flex()), &mut Mode::Eval);
    close(evaluated.logits.into_data(), &run["eval"], 1e-4, "evaluation");

    let mut theirs = parameters(std::fs::read(fixture(name)).unwrap());
    theirs.retain(|name, _| !name.ends_with("num_batches_tracked"));
    let ours = parameters(safetensors(&model).unwrap());
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    assert!(ours == theirs, "the same shapes and bits");

    let mut mode = Mode::train(Random::new(1).stream(Purpose::Dropout, 0, 0));
    let x = Tensor::<4>::from_data(run["input"].clone(), &device).require_grad();
    let logits = model.forward(Input::Image(x.clone()), &mut mode).logits;
    let gradients = ((logits.clone() * logits.clone()).sum() / 2.0).backward();
    let values = |data: TensorData| data.try_into_vec::<f32>().unwrap();
    let distance = distance(&values(x.grad(&gradients).unwrap().into_data()), &values(run["gradient"].clone()));
    assert!(distance < 1e-4, "gradient of {name}: {distance:.1e}");
    if let Some(expected) = run.get("train") {
        close(logits.into_data(), expected, TRAINING, "training");
        let after = parameters(safetensors(&mode.into_statistics().apply(model.clone())).unwrap());
        let statistics: Vec<_> =
            run.iter().filter_map(|(key, value)| Some((key.strip_prefix("after.")?, value))).collect();
        assert_eq!(statistics.len(), ours.keys().filter(|name| name.contains("running")).count());
        for (name, expected) in statistics {
            close(after[name].clone(), expected, TRAINING, name);
        }
    }
    model
}

/// A network for text, whose input has no gradient: that of its first parameter is compared, the table of vectors.
#[test]
fn gpt_is_nanogpts() {
    let given = [("width", 8), ("depth", 2), ("heads", 2)].map(|(key, value)| (key.to_string(), value.into())).into();
    let (params, device) = (Params::resolve(Gpt::PARAMS, &given).unwrap(), Device::flex().autodiff());
    let run = parameters(std::fs::read(fixture("gpt.run")).unwrap());
    let (shape, name) = (Shape::Tokens(5), fixture("gpt"));
    let new = Gpt::build(&params, shape, 7, Weights::new(Random::new(1), &device)).unwrap();
    let (model, warning) = load_weights(new, shape, &[], &name).unwrap();
    assert_eq!(warning, None);
    assert!(parameters(safetensors(&model).unwrap()) == parameters(std::fs::read(name).unwrap()), "the same bits");

    let tokens = Tensor::<2>::from_data(run["input"].clone(), &device).int();
    let logits = model.forward(Input::Tokens(tokens), &mut Mode::Eval).logits;
    let gradients = ((logits.clone() * logits.clone()).sum() / 2.0).backward();
    close(logits.into_data(), &run["eval"], 1e-4, "evaluation");
    struct First(GradientsParams, Option<Vec<f32>>);
    impl ModuleVisitor for First {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.0.get::<D>(param.id).expect("every parameter has a gradient");
            self.1.get_or_insert_with(|| gradient.into_data().try_into_vec().unwrap());
        }
    }
    let mut first = First(GradientsParams::from_grads(gradients, &model), None);
    model.visit(&mut first);
    let distance = distance(&first.1.unwrap(), &run["gradient"].clone().try_into_vec::<f32>().unwrap());
    assert!(distance < 1e-4, "{distance:.1e}");
}

#[test]
fn resnet18_is_torchvisions() {
    agrees::<ResNet<18>>("resnet18", &[("width", 2.into())]);
}

#[test]
fn resnet50_is_torchvisions() {
    agrees::<ResNet<50>>("resnet50", &[("width", 1.into()), ("stem", "imagenet".into())]);
}

#[test]
fn airbench_is_that_of_the_recipe() {
    agrees::<Airbench>("airbench", &[("width", 4.into())]);
}

/// The second image has another size, for which the position embedding is interpolated.
#[test]
fn vit_is_timms() {
    let params = [("width", 12.into()), ("depth", 2.into()), ("heads", 3.into())];
    let model = agrees::<VitTiny>("vit-tiny", &params);
    let run = parameters(std::fs::read(fixture("vit-tiny.run")).unwrap());
    let larger = model.valid().forward(input(&run["larger"], &Device::flex()), &mut Mode::Eval);
    close(larger.logits.into_data(), &run["eval_larger"], 1e-4, "larger");
}
