//! Running statistics change with the optimizer's step and with nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::normalised::Normalised;
use crate::common::{Halves, Loss, SIDE, config, policy};
use ast_core::burn::tensor::Device;
use ast_core::data::Shape;
use ast_core::model::{Network, Weights};
use ast_core::plugin::Params;
use ast_core::run::{Event, OnNan, RunConfig, Snapshot};
use ast_core::select::{BoxedPolicy, Offer, Policy, PolicyError, SampleId, ScoredBy, SelectionContext};
use ast_core::testing::DirectLoader;
use ast_core::train::{Callback, Flow, Resolved, Setup, Trainer, safetensors};

fn trainer(config: &RunConfig, policy: impl Into<BoxedPolicy>, broken: Option<SampleId>) -> Trainer<Normalised> {
    let device = Device::flex().autodiff();
    let run = Resolved::of(config.clone(), policy, Box::new(Loss)).unwrap();
    let data = |broken| Box::new(DirectLoader::new(Arc::new(Halves { samples: 128, broken })));
    let weights = Weights::new(run.checked.random(), &device);
    let model = Normalised::build(&Params::default(), Shape::Image([3, SIDE, SIDE]), 2, weights).unwrap();
    let energy = Err("not counted".into());
    Trainer::new(Setup { run, train: data(broken), test: data(None), model, device, energy }).unwrap()
}

/// All parameters, running statistics among them.
fn parameters(trainer: &Trainer<Normalised>) -> Vec<u8> {
    let bytes = safetensors(trainer.model()).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("norm.running_var"));
    bytes
}

fn on_nan(on_nan: OnNan) -> RunConfig {
    let mut config = config(1.0, 2);
    config.train.on_nan = on_nan;
    config
}

#[test]
fn a_skipped_step_changes_nothing() {
    let config = on_nan(OnNan::Skip);
    let mut trainer = trainer(&config, policy("dense", None, &config), Some(70));
    let (mut before, mut skipped) = (parameters(&trainer), 0);
    while let Some(events) = trainer.advance().unwrap() {
        let after = parameters(&trainer);
        let is_skipped = events.iter().any(|event| matches!(event, Event::Skipped { .. }));
        assert_eq!(before == after, is_skipped, "a step moves the statistics, a skipped one does not");
        (before, skipped) = (after, skipped + u32::from(is_skipped));
    }
    assert_eq!(skipped, 2, "the broken sample is in one batch of each epoch");
}

/// Checkpoints after every step; keeps the last ones by step, and stops at the first rollback.
#[derive(Default)]
struct UntilRollback {
    snapshots: BTreeMap<u64, Snapshot>,
    back_to: Option<u64>,
}

impl Callback for UntilRollback {
    fn event(&mut self, event: &Event) -> std::io::Result<()> {
        if let Event::RolledBack { to, .. } = event {
            self.back_to = Some(*to);
        }
        Ok(())
    }
    fn flow(&mut self, _: u64) -> Flow {
        if self.back_to.is_some() { Flow::Stop } else { Flow::Checkpoint }
    }
    fn save(&mut self, snapshot: &Snapshot) -> std::io::Result<()> {
        self.snapshots.entry(snapshot.step).or_insert_with(|| snapshot.clone());
        Ok(())
    }
}

#[test]
fn a_rollback_restores_them() {
    let config = on_nan(OnNan::Rollback);
    let mut trainer = trainer(&config, policy("dense", None, &config), Some(70));
    let mut until = UntilRollback::default();
    assert!(trainer.run(&mut until).unwrap().is_none(), "it was stopped");
    let to = until.back_to.expect("the broken sample comes up in the first epoch");
    // A rollback to the start has no earlier checkpoint to compare with.
    assert!(to > 0, "the broken sample is not in the first batch");
    assert!(trainer.snapshot().unwrap().weights == until.snapshots[&to].weights);
}

/// Takes every candidate; probes all of them first, or not.
struct TakesAll(Option<ScoredBy>);

impl Policy for TakesAll {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }
    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        if let Some(by) = self.0 {
            context.probe.score(&offer.visits(), by)?;
        }
        accepted.extend_from_slice(offer.candidates);
        Ok(())
    }
    fn probes(&self) -> bool {
        self.0.is_some()
    }
}

#[test]
fn a_scoring_pass_leaves_them_alone() {
    let config = config(1.0, 2);
    let end = |by| {
        let mut trainer = trainer(&config, TakesAll(by), None);
        trainer.run(&mut Vec::new()).unwrap().unwrap();
        parameters(&trainer)
    };
    for by in [ScoredBy::Network, ScoredBy::NetworkInTraining] {
        assert!(end(Some(by)) == end(None), "{by:?}: a run with scoring passes ends as one without");
    }
}

#[test]
fn what_a_network_lacks_is_refused_by_name() {
    let config = config(0.5, 2);
    let error = trainer(&config, policy("proxy", None, &config), None).run(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("no smaller one of its kind"), "{error}");
}
