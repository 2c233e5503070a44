//! Shared parts of the benches. `cargo bench` runs all, `cargo bench --bench gate` one; `cargo bench -- --test` runs
//! each once, as a check.
#![forbid(unsafe_code)]

use std::sync::Arc;

use ast_core::data::{Dataset, Shape};
use ast_core::model::Weights;
use ast_core::model::zoo::SimpleCnn;
use ast_core::plugin::ParamValue;
use ast_core::run::RunConfig;
use ast_core::train::{Setup, Trainer};
use ast_data::OrderedLoader;
use ast_scoring as _;
use burn::tensor::Device;

/// Samples per step.
pub const BATCH: usize = 128;

/// SimpleCNN under a policy on the CPU backend, as `ast train` would run it at 10 % activation.
///
/// # Panics
/// If the defaults do not build; tests cover this.
#[must_use]
pub fn trainer(policy: &str, epochs: u32, data: &Arc<dyn Dataset>) -> Trainer<SimpleCnn> {
    let mut config = RunConfig::default();
    (config.train.epochs, config.train.batch_size) = (epochs, BATCH);
    config.policy.name = policy.into();
    if policy == "ast" {
        // Set explicitly, because by default `ast` equals `random` in a short run.
        config.policy.params.insert("lambda".into(), ParamValue::Number(0.8));
    }
    let run = config.resolve().expect("linked and in range");
    let (random, device) = (run.checked.random(), Device::flex().autodiff());
    let Shape::Image(sides) = data.shape() else { panic!("these benches are of images") };
    let loader = || Box::new(OrderedLoader::new(data.clone(), 1).expect("one thread"));
    Trainer::new(Setup {
        run,
        train: loader(),
        test: loader(),
        model: SimpleCnn::new(sides, data.classes(), Weights::new(random, &device)),
        device,
        energy: Err("not counted".into()),
    })
    .expect("ten classes")
}
