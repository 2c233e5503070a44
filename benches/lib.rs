//! What several benches share. Run them with `cargo bench`; one subject with `cargo bench --bench gate`; each once, as a
//! check, with `cargo bench -- --test`.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use ast_core::models::SimpleCnn;
use ast_core::{Dataset, ParamValue, Params, Parts, PolicyEntry, Registry, RunConfig, ScorerEntry, Trainer, Weights};
use ast_data::OrderedLoader;
use ast_scoring as _;
use burn::tensor::Device;

/// Samples a step.
pub const BATCH: usize = 128;

/// SimpleCNN under a policy on the CPU backend, as `ast train` would run it at 10 % activation.
///
/// # Panics
/// If the defaults do not build, which a test would have found.
#[must_use]
pub fn trainer(policy: &str, epochs: u32, data: &Arc<dyn Dataset>) -> Trainer<SimpleCnn> {
    let mut config = RunConfig::default();
    (config.train.epochs, config.train.batch_size) = (epochs, BATCH);
    let checked = config.check().expect("in range");
    let device = Device::flex().autodiff();
    let scorer: &ScorerEntry = Registry::linked().and_then(|r| r.get("loss-intensity")).expect("linked");
    let policy: &PolicyEntry = Registry::linked().and_then(|r| r.get(policy)).expect("linked");
    let params = |specs, given| Params::resolve(specs, given).expect("in range");
    // Named: the default of `ast` is to be `random` in a short run.
    let lambda = BTreeMap::from([("lambda".to_string(), ParamValue::Number(0.8))]);
    let given = if policy.name == "ast" { &lambda } else { &BTreeMap::new() };
    let loader = || Box::new(OrderedLoader::new(data.clone(), 1).expect("one thread"));
    Trainer::new(Parts {
        config: checked,
        train: loader(),
        test: loader(),
        model: SimpleCnn::new(data.shape(), data.classes(), Weights::new(checked.random(), &device)),
        policy: (policy.build)(&params(policy.params, given), checked.task()).expect("in range"),
        scorer: (scorer.build)(&params(scorer.params, &BTreeMap::new())).expect("defaults build"),
        device,
        energy: Err("not counted".into()),
    })
}
