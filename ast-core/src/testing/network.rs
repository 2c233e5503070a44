use std::io;
use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};

use super::DirectLoader;
use crate::data::{Dataset, Request, Shape};
use crate::model::{Forward, Input, Mode, Network, Weights, cross_entropy};
use crate::plugin::{ParamValue, Params};
use crate::random::{Purpose, Random};
use crate::run::{Event, RunConfig, Snapshot};
use crate::score::PlainLoss;
use crate::select::{SampleId, Visit, policy};
use crate::train::{Callback, Flow, Resolved, Setup, Trainer, Uploaded, safetensors, upload};

const SAMPLES: usize = 96;

/// Random images or windows of text, of any shape.
#[derive(Debug, Clone, Copy)]
pub struct RandomSamples {
    /// The shape of a sample.
    pub shape: Shape,
    /// Classes, or the size of the vocabulary.
    pub classes: usize,
}

impl Dataset for RandomSamples {
    fn samples(&self) -> usize {
        SAMPLES
    }
    fn classes(&self) -> usize {
        self.classes
    }
    fn shape(&self) -> Shape {
        self.shape
    }
    fn label(&self, id: SampleId) -> usize {
        match self.shape {
            Shape::Image(_) => id as usize % self.classes,
            Shape::Tokens(_) => 0,
        }
    }
    fn write(&self, id: SampleId, out: &mut [f32]) {
        let mut stream = Random::new(7).stream(Purpose::Data, 0, u64::from(id));
        out.fill_with(|| stream.normal() as f32);
    }
    fn write_tokens(&self, id: SampleId, out: &mut [i32]) {
        let mut stream = Random::new(7).stream(Purpose::Data, 0, u64::from(id));
        out.fill_with(|| stream.below(self.classes) as i32);
    }
    fn input_deviation(&self, _: SampleId) -> f32 {
        1.0
    }
}

/// Checks the contract that every network keeps. Call it from a test of your crate, with its parameters, the shape of the
/// data, and an autodiff device of the CPU.
///
/// * The same seed gives the same weights.
/// * A forward pass gives one row a target and one column a class, and features where it says so.
/// * In evaluation a sample's rows do not depend on the other samples of the batch.
/// * A forward pass in training mode changes no parameter.
/// * Every trained parameter has a gradient.
/// * Its layers cost something, and their number does not depend on the seed.
/// * A run that is stopped after its third step and restored ends with the same bits.
/// * Samples of other shapes are taken or refused with an error, without a panic.
///
/// # Panics
/// If the network breaks the contract; the message says how.
pub fn check_network<M: Network + 'static>(
    params: &[(&str, ParamValue)],
    shape: Shape,
    classes: usize,
    device: &Device,
) {
    let given = params.iter().map(|(key, value)| ((*key).to_string(), value.clone())).collect();
    let params = Params::resolve(M::PARAMS, &given).expect("the parameters are valid");
    let build = |shape| M::build(&params, shape, classes, Weights::new(Random::new(3), device));
    let model = build(shape).expect("the network takes samples of this shape");
    assert!(bits(&model) == bits(&build(shape).expect("twice")), "the same seed gives the same weights");

    let layers = model.layers(shape).expect("the network takes what it was built for");
    assert!(layers.iter().any(|layer| layer.forward > 0), "its layers cost something");

    let valid = model.valid();
    let plain = device.clone().without_autodiff();
    let all: Vec<SampleId> = (0..3).collect();
    let (input, _) = batch(shape, classes, &all, &plain);
    let together = valid.forward(input, &mut Mode::Eval);
    let rows = shape.targets();
    assert_eq!(together.logits.dims(), [3 * rows, classes], "one row of logits a target, one column a class");
    assert_eq!(together.features.is_some(), model.has_features(), "features are there where it says so");
    for id in all {
        let (input, _) = batch(shape, classes, &[id], &plain);
        let alone = valid.forward(input, &mut Mode::Eval);
        let of_batch = |x: Tensor<2>| values(x.narrow(0, id as usize * rows, rows));
        close(&values(alone.logits), &of_batch(together.logits.clone()));
        if let (Some(alone), Some(together)) = (alone.features, together.features.clone()) {
            close(&values(alone), &of_batch(together));
        }
    }

    let (input, targets) = batch(shape, classes, &[0, 1, 2, 3], device);
    let mut mode = Mode::train(Random::new(1).stream(Purpose::Dropout, 0, 0));
    let Forward { logits, .. } = model.forward(input, &mut mode);
    let gradients = GradientsParams::from_grads(cross_entropy(logits, targets).mean().backward(), &model);
    assert!(bits(&model) == bits(&build(shape).expect("twice")), "a forward pass in training changes no parameter");
    model.visit(&mut Trained(&gradients));
    drop(mode.into_statistics());

    let mut keep = ThirdStep(None);
    let mut whole = trainer::<M>(&params, shape, classes, device);
    whole.run(&mut keep).expect("the run succeeds");
    let mut resumed = trainer::<M>(&params, shape, classes, device);
    resumed.restore(&keep.0.expect("the run has a third step")).expect("the snapshot can be restored");
    resumed.run(&mut ThirdStep(None)).expect("the run succeeds");
    assert!(bits(whole.model()) == bits(resumed.model()), "a restored run ends with the same bits");
    assert!(!safetensors(whole.model()).expect("the weights can be exported").is_empty());

    for shape in [[1, 1, 1], [3, 5, 7], [2, 8, 8]].map(Shape::Image).into_iter().chain([Shape::Tokens(5)]) {
        if let Ok(model) = build(shape) {
            let (input, _) = batch(shape, classes, &[0], &plain);
            assert!(model.layers(shape).is_ok(), "{shape}: it was built for them");
            let _ = model.valid().forward(input, &mut Mode::Eval);
        }
    }
}

/// A batch on a device, as the trainer makes it.
fn batch(shape: Shape, classes: usize, ids: &[SampleId], device: &Device) -> (Input, Tensor<1, Int>) {
    let visits = ids.iter().map(|id| Visit { id: *id, epoch: 0, earlier: 0 }).collect();
    let host = Request { visits, augment: None, size: None }.collate(&RandomSamples { shape, classes });
    let Uploaded { input, targets, .. } = upload(host.expect("samples in memory can be loaded"), device);
    (input, targets)
}

fn trainer<M: Network + 'static>(params: &Params, shape: Shape, classes: usize, device: &Device) -> Trainer<M> {
    let mut config = RunConfig::default();
    config.policy.name = "random".into();
    config.control.target = Some(0.5);
    (config.train.epochs, config.train.batch_size, config.eval.every_epochs) = (2, 8, 0);
    let checked = config.check().expect("in range");
    let policy = policy("random", &[]).and_then(|choice| choice.build(checked.goal())).expect("registered");
    let data = || Box::new(DirectLoader::new(Arc::new(RandomSamples { shape, classes })));
    let weights = Weights::new(checked.random(), device);
    Trainer::new(Setup {
        run: Resolved::of(config, policy, Box::new(PlainLoss)).expect("in range"),
        train: data(),
        test: data(),
        model: M::build(params, shape, classes, weights)
            .expect("it was built before")
            .adapt(&RandomSamples { shape, classes }),
        device: device.clone(),
        energy: Err("not counted".into()),
    })
    .expect("the trainer takes the network")
}

/// Keeps the snapshot of step 3.
struct ThirdStep(Option<Snapshot>);

impl Callback for ThirdStep {
    fn event(&mut self, _: &Event) -> io::Result<()> {
        Ok(())
    }
    fn flow(&mut self, step: u64) -> Flow {
        if step == 3 { Flow::Checkpoint } else { Flow::Continue }
    }
    fn save(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.0 = Some(snapshot.clone());
        Ok(())
    }
}

/// Refuses a trained parameter without a gradient.
struct Trained<'a>(&'a GradientsParams);

impl ModuleVisitor for Trained<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let trained = param.val().is_require_grad();
        assert!(!trained || self.0.get::<D>(param.id).is_some(), "every trained parameter has a gradient");
    }
}

/// Every parameter, bit for bit.
fn bits<M: Module>(model: &M) -> Vec<u32> {
    struct Bits(Vec<u32>);
    impl ModuleVisitor for Bits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values = param.val().into_data().try_into_vec::<f32>().expect("a parameter of f32 can be read");
            self.0.extend(values.into_iter().map(f32::to_bits));
        }
    }
    let mut bits = Bits(Vec::new());
    model.visit(&mut bits);
    bits.0
}

fn values(x: Tensor<2>) -> Vec<f32> {
    x.into_data().try_into_vec().expect("a tensor of f32 can be read")
}

fn close(one: &[f32], other: &[f32]) {
    assert!(one.iter().all(|value| value.is_finite()), "finite input gives finite output");
    let largest = one.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
    for (one, other) in one.iter().zip(other) {
        assert!(
            (one - other).abs() <= 1e-4 * largest,
            "in evaluation a sample does not depend on its batch: {one} alone, {other} in a batch"
        );
    }
}
