//! A small problem shared by the tests of the loop.
#![allow(dead_code, unused_imports)] // each test uses its part

pub(crate) mod normalised;

use std::collections::BTreeMap;
use std::sync::Arc;

use ast_core::burn;
use ast_core::burn::module::{Module, Param};
use ast_core::burn::store::{ModuleStore, SafetensorsStore, bridge};
use ast_core::burn::tensor::{Device, Tensor, TensorData};
use ast_core::data::{Dataset, Shape};
use ast_core::model::zoo::SimpleCnn;
use ast_core::model::{Forward, Input, LayerCost, Mode, Model, Network, NetworkError, Weights, dropout};
use ast_core::plugin::{ParamValue, Params, Registry};
use ast_core::random::{Purpose, Random};
use ast_core::run::{Event, RunConfig, Snapshot};
use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};
use ast_core::select::{BoxedPolicy, PolicyEntry, SampleId};
use ast_core::testing::DirectLoader;
use ast_core::train::{Callback, Flow, Resolved, Setup, Trainer};

pub(crate) const SAMPLES: usize = 640;
pub(crate) const SIDE: usize = 8;

/// Noisy images of two classes: bright left half or bright right half.
pub(crate) struct Halves {
    pub(crate) samples: usize,
    pub(crate) broken: Option<SampleId>,
}

impl Dataset for Halves {
    fn samples(&self) -> usize {
        self.samples
    }
    fn classes(&self) -> usize {
        2
    }
    fn shape(&self) -> Shape {
        Shape::Image([3, SIDE, SIDE])
    }
    fn label(&self, id: SampleId) -> usize {
        id as usize % 2
    }
    fn mirrors(&self) -> bool {
        false
    }
    fn write(&self, id: SampleId, out: &mut [f32]) {
        let mut noise = Random::new(1).stream(Purpose::Data, 0, u64::from(id));
        for (place, out) in out.iter_mut().enumerate() {
            let right = place % SIDE >= SIDE / 2;
            let signal = if right == (self.label(id) == 1) { 1.0 } else { -1.0 };
            *out = (signal + noise.normal()) as f32;
        }
        if self.broken == Some(id) {
            // In the middle, so that no shift moves it out.
            out[SIDE * SIDE / 2 + SIDE / 2] = f32::NAN;
        }
    }
    fn input_deviation(&self, _: SampleId) -> f32 {
        0.25
    }
}

/// The parameters of a safetensors file by name.
pub(crate) fn parameters(file: Vec<u8>) -> BTreeMap<String, TensorData> {
    let mut store = SafetensorsStore::from_bytes(Some(file));
    let all = store.get_all_tensors().unwrap();
    all.iter().map(|(name, tensor)| (name.clone(), bridge::to_data(tensor).unwrap())).collect()
}

pub(crate) use ast_core::score::PlainLoss as Loss;

/// The sample's loss minus its loss under an auxiliary network that has not seen it.
pub(crate) struct Excess;

impl Scorer for Excess {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::ReferenceLoss]
    }
    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        let reference = seen.get(Statistic::ReferenceLoss)?;
        Ok(seen.loss().iter().zip(reference).map(|(loss, reference)| loss - reference).collect())
    }
}

/// SimpleCNN with a quarter of its channels, for images of [`Halves`].
pub(crate) fn little(weights: Weights<'_>) -> SimpleCnn {
    let params = Params::resolve(SimpleCnn::PARAMS, &BTreeMap::from([("width".into(), 8.into())])).unwrap();
    SimpleCnn::build(&params, Shape::Image([3, SIDE, SIDE]), 2, weights).unwrap()
}

pub(crate) fn policy(name: &str, lambda: Option<f64>, config: &RunConfig) -> BoxedPolicy {
    let lambda = lambda.map(|x| ("lambda", ParamValue::Number(x)));
    policy_with(name, lambda.as_slice(), config)
}

pub(crate) fn policy_with(name: &str, given: &[(&str, ParamValue)], config: &RunConfig) -> BoxedPolicy {
    let entry: &PolicyEntry = Registry::linked().unwrap().get(name).unwrap();
    let mut given: BTreeMap<_, _> = given.iter().map(|(key, value)| ((*key).to_string(), value.clone())).collect();
    if name == "ast" {
        // Selection on: by default `ast` is `random` in runs this short, and the guard cannot be sure of anything.
        given.entry("lambda".into()).or_insert(ParamValue::Number(0.8));
        given.entry("guard".into()).or_insert(ParamValue::Word("off".into()));
    }
    entry.build(&Params::resolve(entry.params, &given).unwrap(), config.check().unwrap().goal()).unwrap()
}

pub(crate) fn config(target: f64, epochs: u32) -> RunConfig {
    let mut config = RunConfig::default();
    config.control.target = Some(target);
    (config.train.epochs, config.train.batch_size, config.train.seed) = (epochs, 16, 3);
    config.eval.every_epochs = 0;
    // A larger shift would move one half of an image into the other.
    config.data.shift = 1;
    config
}

/// One linear layer after dropout: the smallest network with randomness in its training.
#[derive(Module, Debug)]
pub(crate) struct Tiny {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Tiny {
    pub(crate) fn new(mut weights: Weights<'_>) -> Self {
        let inputs = 3 * SIDE * SIDE;
        Self { weight: weights.draw([inputs, 2], inputs), bias: weights.draw([2], inputs) }
    }

    pub(crate) fn values(&self) -> Vec<u32> {
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let weight = self.weight.val().inner().into_data().try_into_vec().unwrap();
        [bits(weight), bits(self.bias.val().inner().into_data().try_into_vec().unwrap())].concat()
    }
}

impl Model for Tiny {
    fn forward(&self, input: Input, mode: &mut Mode) -> Forward {
        let Input::Image(images) = input else { unreachable!() };
        let features = dropout(images.flatten::<2>(1, 3), 0.3, mode);
        let logits = features.clone().matmul(self.weight.val()) + self.bias.val().unsqueeze();
        Forward { logits, features: Some(features) }
    }

    fn layers(&self, _: Shape) -> Result<Vec<LayerCost>, NetworkError> {
        Ok(vec![LayerCost::linear("linear", [3 * SIDE * SIDE, 2]).first()])
    }

    fn forward_half(&self, input: Input) -> Option<Forward> {
        let Input::Image(images) = input else { return None };
        let [batch, side] = [images.dims()[0], SIDE / 2];
        let means = images.reshape([batch, 3, side, 2, side, 2]).mean_dim(5).mean_dim(3);
        let images = means.expand([batch, 3, side, 2, side, 2]).reshape([batch, 3, SIDE, SIDE]);
        Some(self.forward(Input::Image(images), &mut Mode::Eval))
    }

    fn layers_half(&self, _: Shape) -> Vec<LayerCost> {
        vec![LayerCost::linear("linear", [3 * SIDE * SIDE / 4, 2]).first()]
    }

    /// The proxy of this network has the same architecture.
    fn proxy(&self, weights: Weights<'_>) -> Option<Self> {
        Some(Self::new(weights))
    }
}

/// A trainer of [`Tiny`] on [`Halves`].
pub(crate) fn tiny(config: &RunConfig, name: &str, train: Halves, scorer: Box<dyn Scorer>) -> Trainer<Tiny> {
    tiny_with(config, policy(name, None, config), train, scorer)
}

/// Like [`tiny`], with a given policy.
pub(crate) fn tiny_with(
    config: &RunConfig,
    policy: BoxedPolicy,
    train: Halves,
    scorer: Box<dyn Scorer>,
) -> Trainer<Tiny> {
    let device = Device::flex().autodiff();
    let run = Resolved::of(config.clone(), policy, scorer).unwrap();
    let random = run.checked.random();
    Trainer::new(Setup {
        energy: Err("not counted".into()),
        run,
        train: Box::new(DirectLoader::new(Arc::new(train))),
        test: Box::new(DirectLoader::new(Arc::new(Halves { samples: 50, broken: None }))),
        model: Tiny::new(Weights::new(random, &device)),
        device,
    })
    .unwrap()
}

/// Records every event, and every snapshot with the number of events before it.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) events: Vec<Event>,
    pub(crate) snapshots: Vec<(usize, Snapshot)>,
    pub(crate) every: u64,
}

impl Callback for Recorder {
    fn event(&mut self, event: &Event) -> std::io::Result<()> {
        self.events.push(event.clone());
        Ok(())
    }
    fn flow(&mut self, step: u64) -> Flow {
        if self.every > 0 && step.is_multiple_of(self.every) { Flow::Checkpoint } else { Flow::Continue }
    }
    fn save(&mut self, snapshot: &Snapshot) -> std::io::Result<()> {
        self.snapshots.push((self.events.len(), snapshot.clone()));
        Ok(())
    }
}

/// `|a - b| / |b|` in the Euclidean norm.
pub(crate) fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / norm(&mut b.iter().map(|b| f64::from(*b)))
}
