//! Every network keeps the contract: those of the registry, one with normalisation, one that reads text.

use std::sync::Arc;

use crate::common;
use crate::common::normalised::Normalised;
use ast_core::burn;
use ast_core::burn::module::{Module, Param};
use ast_core::burn::tensor::{Device, Int, Tensor};
use ast_core::data::Shape;
use ast_core::model::zoo::{Airbench, Gpt, ResNet, SimpleCnn, VitTiny};
use ast_core::model::{Forward, Input, LayerCost, Mode, Model, Network, NetworkError, Weights};
use ast_core::plugin::{Params, Registry};
use ast_core::random::Random;
use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};
use ast_core::select::BoxedPolicy;
use ast_core::testing::{DirectLoader, RandomSamples, check_network};
use ast_core::train::{BuildNetwork, Resolved, Setup, Trainer};

fn device() -> Device {
    Device::flex().autodiff()
}

/// The next token by the present one alone: a table of logits.
#[derive(Module, Debug)]
struct Bigram {
    table: Param<Tensor<2>>,
}

impl Model for Bigram {
    fn forward(&self, input: Input, _: &mut Mode) -> Forward {
        let Input::Tokens(tokens) = input else { unreachable!() };
        let rows: Tensor<1, Int> = tokens.flatten(0, 1);
        Forward { logits: self.table.val().select(0, rows), features: None }
    }

    fn layers(&self, shape: Shape) -> Result<Vec<LayerCost>, NetworkError> {
        match shape {
            Shape::Tokens(context) => Ok(vec![LayerCost::linear("table", [context, self.table.dims()[1]]).first()]),
            Shape::Image(_) => Err(NetworkError::Shape { shape, needs: "it takes text" }),
        }
    }

    fn has_features(&self) -> bool {
        false
    }
}

impl Network for Bigram {
    const NAME: &'static str = "bigram";
    const SUMMARY: &'static str = "a table of logits";

    fn build(_: &Params, shape: Shape, classes: usize, mut weights: Weights<'_>) -> Result<Self, NetworkError> {
        let network = Self { table: weights.draw([classes, classes], classes) };
        network.layers(shape).map(|_| network)
    }
}

/// Checks networks that are registered, with these parameters on samples of these shapes; every other registered network
/// makes the test fail.
macro_rules! check_registered {
    ($($network:ty, $params:expr, $shape:expr;)*) => {{
        let mut checked = vec![$(<$network>::NAME),*];
        checked.sort_unstable();
        let registered: Vec<&str> = Registry::<BuildNetwork>::linked().unwrap().iter().map(|entry| entry.name).collect();
        assert_eq!(registered, checked, "every registered network has its line here");
        $(check_network::<$network>(&$params, $shape, 2, &device());)*
    }};
}

#[test]
fn every_registered_network_keeps_the_contract() {
    check_registered!(
        SimpleCnn, [], Shape::Image([3, 8, 8]);
        Airbench, [("width", 4.into())], Shape::Image([3, 9, 10]);
        Gpt, [("width", 8.into()), ("depth", 2.into())], Shape::Tokens(5);
        ResNet<18>, [("width", 2.into())], Shape::Image([1, 8, 9]);
        ResNet<50>, [("width", 1.into())], Shape::Image([3, 8, 8]);
        VitTiny, [("width", 6.into()), ("depth", 2.into())], Shape::Image([2, 8, 8]);
    );
}

#[test]
fn a_network_with_batch_normalisation_keeps_the_contract() {
    check_network::<Normalised>(&[], Shape::Image([3, 6, 5]), 3, &device());
}

#[test]
fn a_network_that_reads_text_keeps_the_contract() {
    check_network::<Bigram>(&[], Shape::Tokens(7), 11, &device());
}

/// Wants the norm of features.
struct Norm;

impl Scorer for Norm {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::FeatureNorm]
    }
    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        Ok(seen.get(Statistic::FeatureNorm)?.to_vec())
    }
}

#[test]
fn a_scorer_or_policy_that_needs_features_is_refused_where_there_are_none() {
    let config = common::config(0.5, 2);
    let refused = |policy: BoxedPolicy, scorer: Box<dyn Scorer>| {
        let shape = Shape::Tokens(4);
        let data = || Box::new(DirectLoader::new(Arc::new(RandomSamples { shape, classes: 5 })));
        let (device, run) = (device(), Resolved::of(config.clone(), policy, scorer).unwrap());
        let model = Bigram::build(&Params::default(), shape, 5, Weights::new(Random::new(1), &device)).unwrap();
        let energy = Err("not counted".into());
        let setup = Setup { run, train: data(), test: data(), model, device, energy };
        Trainer::new(setup).err().map(|error| error.to_string())
    };
    let policy = |name, guard: &str| {
        let given: &[_] = if name == "ast" { &[("guard", guard.into())] } else { &[] };
        common::policy_with(name, given, &config)
    };
    let message = refused(policy("ast", "off"), Box::new(Norm)).unwrap();
    assert!(message.contains("scorer needs features"), "{message}");
    let message = refused(policy("ast", "on"), Box::new(common::Loss)).unwrap();
    assert!(message.contains("policy `ast` needs features") && message.contains("guard"), "{message}");
    assert_eq!(refused(policy("ast", "off"), Box::new(common::Loss)), None);
    assert_eq!(refused(policy("random", ""), Box::new(Norm)), None, "nothing uses its scores");
}

#[test]
fn images_that_a_network_does_not_take_are_refused() {
    let networks = Registry::<BuildNetwork>::linked().unwrap();
    assert!(networks.get("resnet-nonsense").unwrap_err().to_string().contains("is not compiled in; there are: "));
    let (device, params) = (device(), Params::resolve(SimpleCnn::PARAMS, &Default::default()).unwrap());
    let grey = Shape::Image([1, 8, 8]);
    let built = SimpleCnn::build(&params, grey, 10, Weights::new(Random::new(1), &device)).unwrap();
    assert!(built.layers(grey).is_ok() && built.layers(Shape::Image([3, 8, 8])).is_err());
    for shape in [[3, 6, 8], [0, 8, 8], [3, 0, 8]].map(Shape::Image).into_iter().chain([Shape::Tokens(4)]) {
        let error = SimpleCnn::build(&params, shape, 10, Weights::new(Random::new(1), &device)).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with(&shape.to_string()) && error.contains("multiples of 4"), "{error}");
    }
}
