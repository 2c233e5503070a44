//! Our training loop, on Burn, around the [`Selector`].
//!
//! This file has the parts of a run and its main loop. Submodules: the network and its step (`learner`), statistics for
//! scorers (`statistics`), extra passes (`probe`), recovery from NaN (`recover`), reports (`report`).

mod auxiliary;
mod callback;
mod clip;
mod clock;
mod error;
mod evaluate;
mod export;
mod feed;
mod import;
mod learner;
mod lookahead;
mod metadata;
mod networks;
mod pauses;
mod probe;
mod recover;
mod reference;
mod remeasure;
mod report;
mod requirements;
mod resolve;
mod sizes;
mod state;
mod statistics;
mod step;
mod summary;
mod tta;
mod work;
mod worth;

use std::collections::BTreeSet;

use ast_control::Ema;
use burn::tensor::Device;

use self::auxiliary::AuxiliaryNetworks;
use self::feed::{Feed, image_bytes};
use self::learner::{Learner, StepRule};
use self::lookahead::Lookahead;
use self::sizes::Sizes;
use self::state::State;
use crate::data::{LoadError, Loader, Preprocessing};
use crate::model::{LayerCost, Model};
use crate::random::Random;
use crate::run::{Answer, Checked, ConfigError, EnergyCounter, Event, Ran, ReadsBy, Snapshot, Summary};
use crate::score::Scorer;
use crate::select::{Counts, Groups, PassCost, SampleId, SelectError, Selector};

pub use callback::{Activity, Callback, Flow, OnScoring, SavedSoFar};
pub use clock::{Clock, Phase};
pub use error::{PassError, TrainError};
pub use evaluate::Evaluated;
pub use export::safetensors;
#[cfg(any(test, feature = "testing"))]
pub(crate) use feed::{Uploaded, upload};
pub use import::{WeightsError, load_weights};
pub use metadata::preprocessing;
pub use networks::{BuildNetwork, Inference, NetworkEntry, Trained, Training};
pub use resolve::{DEFAULT_SCORER, ResolveError, Resolved};
pub use summary::text_result;

/// Weight of the newest batch in the smoothed mean loss, which scorers may use.
const MEAN_LOSS_EMA: f64 = 0.1;

/// Most bytes of training images that are kept on a GPU by default.
const MOST_HELD: usize = 2 << 30;

/// The parts of a run.
pub struct Setup<M> {
    /// The resolved configuration, with its policy and scorer.
    pub run: Resolved,
    /// Loader of the training data.
    pub train: Box<dyn Loader>,
    /// Loader of the test data.
    pub test: Box<dyn Loader>,
    /// The network, on `device`.
    pub model: M,
    /// An autodiff device.
    pub device: Device,
    /// The energy counter of the device, or why there is none.
    pub energy: Result<Box<dyn EnergyCounter>, String>,
}

impl Setup<()> {
    /// Adds the network.
    #[must_use]
    pub fn with_model<M>(self, model: M) -> Setup<M> {
        let Self { run, train, test, model: (), device, energy } = self;
        Setup { run, train, test, model, device, energy }
    }
}

/// The training loop and its state.
pub struct Trainer<M> {
    config: Checked,
    /// Names of policy, scorer and others, for the summary.
    ran: Ran,
    selector: Selector,
    scorer: Box<dyn Scorer>,
    sizes: Sizes,
    learner: Learner<M>,
    /// The average of the weights, if the configuration asks for it.
    lookahead: Lookahead,
    /// The auxiliary networks built so far.
    auxiliary: AuxiliaryNetworks<M>,
    train: Feed,
    test: Box<dyn Loader>,
    random: Random,
    mean_input_deviation: f64,
    preprocessing: Preprocessing,
    clock: Clock,
    /// Whether a step waits for the device at the end of each phase.
    phases_apart: bool,
    state: State,
    /// The snapshot to return to after a NaN, if rollback is enabled.
    last: Option<Snapshot>,
    rollbacks: u32,
    /// Why the last sample that could not be loaded could not.
    last_bad: Option<String>,
    /// Warnings that the callback does not know yet.
    warnings: Vec<String>,
    /// Seconds in which the process did not run that the callback knows of.
    told_stopped: f64,
    /// The answers of the last evaluation.
    answers: Vec<Answer>,
    on_scoring: Option<OnScoring>,
}

impl<M: Model> Trainer<M> {
    /// Builds a trainer from its parts.
    ///
    /// # Errors
    /// [`TrainError::Select`] if the data has too many classes for a selector; [`TrainError::Config`] if the configuration
    /// does not fit the data; [`TrainError::Network`] if the network does not take the data, or does not provide what the
    /// scorer or the policy needs.
    pub fn new(setup: Setup<M>) -> Result<Self, TrainError> {
        let Setup { run, train, test, model, device, energy } = setup;
        let ran = run.ran();
        let Resolved { checked: config, policy, scorer, optimizer, .. } = run;
        let dataset = train.dataset().clone();
        let (samples, random) = (dataset.samples(), config.random());
        let groups = Groups::of((0..samples as SampleId).map(|id| dataset.label(id))).map_err(SelectError::from)?;
        let mut selector = Selector::of(groups, policy, config.goal, config.batch_size, config.seed)?;
        config.check_data(dataset.shape(), dataset.mirrors())?;
        requirements::check(&model, dataset.shape(), scorer.as_ref(), &ran, &selector)?;
        let sizes = Sizes::new(&config, dataset.shape())?;
        let costs = sizes.shapes().iter().enumerate().map(|(level, shape)| match model.layers(*shape) {
            Ok(layers) => Ok(pass_cost(&layers)),
            Err(error) if level == 0 => Err(TrainError::from(error)),
            Err(error) => Err(ConfigError::Unfit { key: "train.sizes", reason: error.to_string() }.into()),
        });
        selector.set_costs(costs.collect::<Result<_, TrainError>>()?)?;
        selector.set_warm_up(config.warm_up)?;
        if !sizes.stages.is_empty() {
            selector.set_stages(sizes.stages.clone())?;
        }
        let rule = StepRule { label_smoothing: config.label_smoothing, clip_norm: config.clip_norm };
        let mut clock = Clock::start(energy);
        let (cpu, bytes) = (is_cpu(&device), image_bytes(dataset.as_ref()));
        let hold = config.hold_data.is_on(!cpu && bytes.is_some_and(|bytes| bytes <= MOST_HELD));
        clock.enter(Phase::Data);
        if hold && dataset.reads_files() {
            let reason = "the training images are read from files when they are selected".into();
            return Err(ConfigError::Unfit { key: "device.hold_data", reason }.into());
        }
        let train = Feed::new(train, device.clone(), hold);
        clock.enter(Phase::Select);
        let phases_apart = config.phase_times.is_on(cpu);
        let state = State {
            reference: Vec::new(),
            mean_loss: Ema::new(MEAN_LOSS_EMA),
            clock: clock.booked().clone(),
            epochs: 0,
            evaluated: 0,
            evaluations: Vec::new(),
            lr_scale: 1.0,
            warnings: Vec::new(),
            small: None,
            reads: ReadsBy::default(),
            bad_test: BTreeSet::new(),
        };
        Ok(Self {
            learner: Learner::new(model, rule, optimizer.clone(), device),
            lookahead: Lookahead::default(),
            auxiliary: AuxiliaryNetworks::none(rule, optimizer),
            mean_input_deviation: dataset.mean_input_deviation(),
            preprocessing: Preprocessing::of(dataset.as_ref()),
            last: None,
            rollbacks: 0,
            last_bad: None,
            warnings: Vec::new(),
            told_stopped: 0.0,
            answers: Vec::new(),
            on_scoring: None,
            config,
            ran,
            selector,
            scorer,
            sizes,
            train,
            test,
            random,
            clock,
            phases_apart,
            state,
        })
    }

    /// Trains to the end of the budget, from the start or from the state set by [`restore`](Self::restore). `None` if
    /// the callback stopped it earlier.
    ///
    /// # Errors
    /// [`TrainError`]; everything written before stays valid.
    pub fn run(&mut self, callback: &mut dyn Callback) -> Result<Option<Summary>, TrainError> {
        self.begin(callback)?;
        while let Some(events) = self.advance().or_else(|error| self.save_before(error, callback))? {
            if self.report(&events, callback)? == Flow::Stop {
                return Ok(None);
            }
        }
        self.finish(callback).map(Some)
    }

    /// Saves the run if samples could not be loaded, to train on or to evaluate on: nothing has changed then, and once the
    /// file is back the run continues from here.
    fn save_before<T>(&mut self, error: TrainError, callback: &mut dyn Callback) -> Result<T, TrainError> {
        let missing = match &error {
            TrainError::Load(error) | TrainError::Pass(PassError::Load(error)) => {
                matches!(error, LoadError::Sample { .. })
            }
            TrainError::Pass(PassError::AllBad(_)) => true,
            _ => false,
        };
        if missing && self.counts().steps > 0 {
            self.clock.end();
            let saved = self.snapshot().map_err(TrainError::from).and_then(|snapshot| Ok(callback.save(&snapshot)?));
            // The first error is the one to report; an earlier checkpoint is as good.
            drop(saved);
        }
        Err(error)
    }

    /// Makes one optimizer step with the selection before it. The step may be skipped. `None` at the end of the budget.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn advance(&mut self) -> Result<Option<Vec<Event>>, TrainError> {
        let Some((batch, data)) = self.next_batch()? else { return Ok(None) }; // selected one step ago and loaded since
        let events = match self.step(&batch, data)? {
            Ok(outcome) => self.accept(batch, outcome)?, // update, then record
            Err(fault) => self.recover(batch, fault)?,   // abort, skip or roll back
        };
        Ok(Some(events))
    }

    /// Sets what is told of extra passes, which take long if they are over the whole dataset or train auxiliary networks.
    pub fn on_scoring(&mut self, told: OnScoring) {
        self.on_scoring = Some(told);
    }

    /// The network in its current state.
    #[must_use]
    pub fn model(&self) -> &M {
        &self.learner.model
    }

    /// The selector.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// What the network answered in the last evaluation, for each image that could be loaded; empty for text.
    #[must_use]
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// Counts of the work executed so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        self.selector.counts()
    }

    /// Time and energy so far, by phase.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// Whether this is the device of the CPU backend, which does its work at once.
fn is_cpu(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return device.clone().without_autodiff() == Device::flex();
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}

/// Cost of one sample in a network with these layers.
fn pass_cost(layers: &[LayerCost]) -> PassCost {
    PassCost {
        forward: layers.iter().map(|layer| layer.forward).sum(),
        step: layers.iter().map(|layer| layer.forward + layer.weight_gradient + layer.input_gradient).sum(),
    }
}
