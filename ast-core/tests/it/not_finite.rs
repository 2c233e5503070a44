//! NaN and infinity, wherever they come from, are never trained on and always reported.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::{Halves, SAMPLES, SIDE, config, policy};
use ast_core::burn;
use ast_core::burn::module::{Module, Param};
use ast_core::burn::tensor::{Device, Tensor};
use ast_core::data::{Dataset, Shape};
use ast_core::model::{Forward, Input, LayerCost, Mode, Model, NetworkError, Weights};
use ast_core::run::{Event, NotFinite, OnNan, RunConfig, Summary};
use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer};
use ast_core::select::{BoxedPolicy, Offer, Policy, PolicyError, SampleId, SelectionContext};
use ast_core::testing::DirectLoader;
use ast_core::train::{Resolved, Setup, TrainError, Trainer};

const MODES: [OnNan; 3] = [OnNan::Abort, OnNan::Skip, OnNan::Rollback];
const BROKEN: SampleId = 17;

/// What is not finite; in [`Images`] it concerns one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// A pixel.
    Input(f32),
    /// An image of zeros, for which the network below has a loss but a NaN gradient.
    Gradient,
    /// One score, in the first batch scored after the third.
    ScoreOnce(f32),
    /// Every score.
    Scores(f32),
}

struct Images(Halves, Fault);

/// A pixel that no shift moves out of the image.
const MIDDLE: usize = SIDE * SIDE / 2 + SIDE / 2;

impl Dataset for Images {
    fn samples(&self) -> usize {
        self.0.samples()
    }
    fn classes(&self) -> usize {
        2
    }
    fn shape(&self) -> Shape {
        self.0.shape()
    }
    fn label(&self, id: SampleId) -> usize {
        self.0.label(id)
    }
    fn mirrors(&self) -> bool {
        false
    }
    fn write(&self, id: SampleId, out: &mut [f32]) {
        self.0.write(id, out);
        match self.1 {
            Fault::Input(value) if id == BROKEN => out[MIDDLE] = value,
            Fault::Gradient if id == BROKEN => out.fill(0.0),
            _ => {}
        }
    }
    fn input_deviation(&self, _: SampleId) -> f32 {
        0.25
    }
}

struct Scores(Fault, AtomicU64);

impl Scorer for Scores {
    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        let calls = self.1.fetch_add(1, Ordering::Relaxed);
        Ok(match self.0 {
            Fault::Scores(value) => vec![value; seen.loss().len()],
            Fault::ScoreOnce(value) if calls == 3 => {
                let mut scores = seen.loss().to_vec();
                scores[2] = value;
                scores
            }
            _ => seen.loss().to_vec(),
        })
    }
}

/// A linear layer, plus 0 times the square root of the input's norm: its derivative at 0 is NaN.
#[derive(Module, Debug)]
struct Root {
    weight: Param<Tensor<2>>,
    scale: Param<Tensor<1>>,
}

impl Model for Root {
    fn forward(&self, input: Input, _: &mut Mode) -> Forward {
        let Input::Image(images) = input else { unreachable!() };
        let features = images.flatten::<2>(1, 3);
        let norm = features.clone().square().sum_dim(1) * self.scale.val().unsqueeze();
        let logits = features.clone().matmul(self.weight.val()) + norm.sqrt() * 0.0;
        Forward { logits, features: Some(features) }
    }
    fn layers(&self, _: Shape) -> Result<Vec<LayerCost>, NetworkError> {
        Ok(vec![LayerCost::linear("linear", [3 * SIDE * SIDE, 2]).first()])
    }
    fn proxy(&self, weights: Weights<'_>) -> Option<Self> {
        Some(Self::new(weights))
    }
}

impl Root {
    fn new(mut weights: Weights<'_>) -> Self {
        let weight = weights.draw([3 * SIDE * SIDE, 2], 100);
        Self { weight, scale: Param::from_tensor(Tensor::ones([1], weights.device())) }
    }
}

fn bits(model: &Root) -> Vec<u32> {
    let values: Vec<f32> = model.weight.val().inner().into_data().try_into_vec().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

fn trainer(config: &RunConfig, policy: impl Into<BoxedPolicy>, fault: Fault) -> Trainer<Root> {
    let device = Device::flex().autodiff();
    let run = Resolved::of(config.clone(), policy, Box::new(Scores(fault, AtomicU64::new(0)))).unwrap();
    let random = run.checked.random();
    let data = |fault| Box::new(DirectLoader::new(Arc::new(Images(Halves { samples: SAMPLES, broken: None }, fault))));
    Trainer::new(Setup {
        energy: Err("not counted".into()),
        run,
        train: data(fault),
        test: data(Fault::None),
        model: Root::new(Weights::new(random, &device)),
        device,
    })
    .unwrap()
}

fn dense(on_nan: OnNan) -> RunConfig {
    let mut config = config(1.0, 3);
    (config.train.on_nan, config.train.batch_size) = (on_nan, 64);
    config
}

fn run(on_nan: OnNan, fault: Fault) -> (Result<Option<Summary>, TrainError>, Vec<Event>, Trainer<Root>) {
    let config = dense(on_nan);
    let mut trainer = trainer(&config, policy("dense", None, &config), fault);
    let mut events = Vec::new();
    (trainer.run(&mut events), events, trainer)
}

fn finite(trainer: &Trainer<Root>) -> bool {
    bits(trainer.model()).into_iter().all(|bits| f32::from_bits(bits).is_finite())
}

/// Permanent faults: one sample of 640, three epochs of ten batches.
#[test]
fn a_permanent_fault_stops_the_run_or_is_skipped_each_time() {
    let mut cases = 0;
    let faults = [
        Fault::Input(f32::NAN),
        Fault::Input(f32::INFINITY),
        Fault::Input(f32::NEG_INFINITY),
        Fault::Input(3e38),
        Fault::Gradient,
    ];
    for (fault, mode) in faults.into_iter().flat_map(|fault| MODES.map(|mode| (fault, mode))) {
        let (outcome, events, trainer) = run(mode, fault);
        let named = match &outcome {
            Err(TrainError::NotFinite { what: NotFinite::Loss(id, value), .. }) => {
                *id == BROKEN && !value.is_finite() && fault != Fault::Gradient
            }
            Err(TrainError::NotFinite { what: NotFinite::Gradient(sum), .. }) => !sum.is_finite(),
            _ => false,
        };
        let skipped = events.iter().filter(|event| matches!(event, Event::Skipped { .. })).count();
        let back = events.iter().filter(|event| matches!(event, Event::RolledBack { .. })).count();
        match mode {
            OnNan::Abort => assert!(named && skipped == 0 && back == 0, "{fault:?}: {outcome:?}"),
            OnNan::Skip => {
                let summary = outcome.unwrap().unwrap();
                assert_eq!((summary.skipped, skipped, summary.steps), (3, 3, 27), "{fault:?}: one skip per epoch");
                assert_eq!(summary.samples.trained, 27 * 64);
                assert!(summary.activation.realised < 1.0);
                // A skipped step is charged, because its work was done.
                assert_eq!(summary.flops.total, summary.flops.dense_equivalent);
            }
            OnNan::Rollback => {
                assert!(named && back == 5, "{fault:?}: {back} {outcome:?}");
                let scales: Vec<f64> = events
                    .iter()
                    .filter_map(
                        |event| if let Event::RolledBack { lr_scale, .. } = event { Some(*lr_scale) } else { None },
                    )
                    .collect();
                assert!(scales.windows(2).all(|pair| pair[1] < pair[0]) && scales[0] == 0.5, "{scales:?}");
            }
        }
        assert!(finite(&trainer), "{fault:?} {mode:?}: the weights are not finite");
        cases += 1;
    }
    assert_eq!(cases, 15);
}

/// One score that is not finite, once: the run stops, skips the step, or rolls back once.
#[test]
fn a_score_that_is_not_finite_is_reported_as_an_event() {
    for (value, mode) in [f32::NAN, f32::INFINITY].into_iter().flat_map(|value| MODES.map(|mode| (value, mode))) {
        let (outcome, events, trainer) = run(mode, Fault::ScoreOnce(value));
        match mode {
            OnNan::Abort => match outcome {
                Err(TrainError::NotFinite { step: 4, what: NotFinite::Score(_, found) }) => {
                    assert_eq!(found.to_bits(), value.to_bits());
                }
                other => panic!("{other:?}"),
            },
            OnNan::Skip => assert_eq!((outcome.unwrap().unwrap().skipped, events.len()), (1, 32)),
            OnNan::Rollback => {
                let summary = outcome.unwrap().unwrap();
                assert_eq!((summary.steps, summary.samples.trained), (30, 30 * 64), "the whole budget must be trained");
                // Three steps were undone and one failed. All four are charged.
                assert_eq!(summary.skipped, 4);
                assert_eq!(30 * summary.flops.total, 34 * summary.flops.dense_equivalent, "{:?}", summary.flops);
                let back = events.iter().find(|event| matches!(event, Event::RolledBack { step: 4, to: 0, .. }));
                assert!(back.is_some());
            }
        }
        assert!(finite(&trainer));
    }
}

#[test]
fn if_every_score_is_nan_nothing_is_trained_and_the_error_says_so() {
    for (value, mode) in [f32::NAN, f32::INFINITY].into_iter().flat_map(|value| MODES.map(|mode| (value, mode))) {
        let (outcome, ..) = run(mode, Fault::Scores(value));
        match (mode, outcome) {
            (OnNan::Skip, Err(TrainError::AllSkipped(30))) => {}
            (OnNan::Abort | OnNan::Rollback, Err(TrainError::NotFinite { step: 1, what: NotFinite::Score(..) })) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Equal scores carry no information: selection is then random, and the target is kept.
#[test]
fn equal_scores_keep_the_target() {
    for (name, mode) in
        ["ast", "fixed-threshold", "original"].into_iter().flat_map(|name| MODES.map(|mode| (name, mode)))
    {
        let mut config = config(0.2, 12);
        config.train.on_nan = mode;
        let mut trainer = trainer(&config, policy(name, None, &config), Fault::Scores(1.0));
        let summary = trainer.run(&mut Vec::new()).unwrap().unwrap();
        let realised = summary.activation.realised;
        match name {
            "ast" => assert!((realised - 0.2).abs() < 0.01, "{realised}"),
            // It does not randomise ties: all scores reach a threshold equal to them.
            "fixed-threshold" => assert_eq!(realised, 1.0),
            _ => assert!(realised > 0.0 && realised <= 1.0),
        }
    }
}

/// A policy that accepts nothing.
struct Nothing;

impl Policy for Nothing {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }
    fn select(&mut self, _: Offer<'_>, _: &mut SelectionContext<'_>, _: &mut Vec<SampleId>) -> Result<(), PolicyError> {
        Ok(())
    }
}

#[test]
fn a_run_that_selects_nothing_ends_with_an_error_under_both_kinds_of_budget() {
    for (mode, fraction) in MODES.into_iter().flat_map(|mode| [None, Some(0.1)].map(|fraction| (mode, fraction))) {
        let mut config = config(0.1, 3);
        config.train.on_nan = mode;
        if fraction.is_some() {
            (config.control.target, config.budget.fraction) = (None, fraction);
        }
        let outcome = trainer(&config, Nothing, Fault::None).run(&mut Vec::new());
        assert!(matches!(outcome, Err(TrainError::NothingTrained)), "{outcome:?}");
    }
}

/// After a skipped step, weights, optimizer and policy are what they were before it.
#[test]
fn a_skipped_step_changes_nothing_but_its_counters() {
    let config = dense(OnNan::Skip);
    let mut trainer = trainer(&config, policy("dense", None, &config), Fault::Gradient);
    let mut skipped = 0;
    loop {
        let before = trainer.snapshot().unwrap();
        let policy = |trainer: &Trainer<Root>| trainer.selector().policy().save().unwrap();
        let policy_before = policy(&trainer);
        match trainer.advance().unwrap().as_deref() {
            Some([Event::Skipped { .. }]) => {
                let after = trainer.snapshot().unwrap();
                assert_eq!((&before.weights, before.step), (&after.weights, after.step));
                assert_eq!(policy(&trainer), policy_before);
                assert!(before.optimizer == after.optimizer);
                skipped += 1;
            }
            Some(_) => assert!(before.weights != trainer.snapshot().unwrap().weights),
            None => break,
        }
    }
    assert_eq!(skipped, 3);
}

/// A probe is not a training step: the run stops, or the policy ignores the sample.
#[test]
fn nan_in_a_probe_is_reported() {
    for mode in [OnNan::Abort, OnNan::Skip] {
        let mut config = config(0.2, 3);
        config.train.on_nan = mode;
        for name in ["original", "fixed-threshold", "proxy"] {
            let outcome = trainer(&config, policy(name, None, &config), Fault::Input(f32::NAN)).run(&mut Vec::new());
            match mode {
                OnNan::Abort => {
                    let error = outcome.unwrap_err().to_string();
                    assert!(error.contains("the loss of sample 17 is NaN in a scoring pass"), "{error}");
                }
                _ => assert!(outcome.unwrap().unwrap().samples.trained > 0),
            }
        }
    }
}

/// The gradient of an auxiliary network is NaN: the run stops, or the auxiliary step is skipped and counted. The
/// auxiliary network stays finite.
#[test]
fn nan_in_an_auxiliary_network_is_reported() {
    for mode in [OnNan::Abort, OnNan::Skip] {
        let mut config = config(0.2, 10);
        (config.train.on_nan, config.train.lr) = (mode, 1e-2);
        let mut trainer = trainer(&config, policy("proxy", None, &config), Fault::Gradient);
        let outcome = trainer.run(&mut Vec::new());
        if mode == OnNan::Abort {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("the gradients add up to NaN in a scoring pass"), "{error}");
            continue;
        }
        let summary = outcome.unwrap().unwrap();
        // The sample is offered to the auxiliary network once per epoch. Whether the run's own network trains on it
        // depends on the policy.
        assert!((10..=20).contains(&summary.skipped), "{mode:?}: {}", summary.skipped);
        assert!(summary.samples.auxiliary_trained >= 10 * SAMPLES as u64);
        assert!(summary.accuracy.last > 90.0 && finite(&trainer), "{mode:?}: {:?}", summary.accuracy);
    }
}
