//! Our training loop, on Burn: the [`Selector`]'s first user.
//!
//! On this page: what a run is made of, and its course. Beside it: the network and its step (`learner`), what a scorer is told
//! (`statistics`), extra passes (`probe`), what goes wrong (`recover`), what is reported (`report`).

mod alignment;
mod auxiliary;
mod callback;
mod clock;
mod error;
mod evaluate;
mod export;
mod feed;
mod learner;
mod networks;
mod probe;
mod recover;
mod reference;
mod report;
mod requirements;
mod resolve;
mod state;
mod statistics;
mod step;
mod summary;

use ast_control::Ema;
use burn::tensor::Device;

use self::auxiliary::AuxiliaryNetworks;
use self::learner::Learner;
use self::state::State;
use crate::data::Loader;
use crate::model::{LayerCost, Model};
use crate::random::Random;
use crate::run::{Checked, EnergyCounter, Event, Ran, Snapshot, Summary};
use crate::score::Scorer;
use crate::select::{Counts, Groups, PassCost, SampleId, SelectError, Selector};

pub use callback::{Callback, Flow};
pub use clock::{Clock, Phase};
pub use error::{PassError, TrainError};
pub use export::safetensors;
pub use networks::{BuildNetwork, NetworkEntry, Training, build};
pub use resolve::{DEFAULT_SCORER, ResolveError, Resolved};

/// Weight of the newest batch in the smoothed loss that scorers may compare with.
const MEAN_LOSS_EMA: f64 = 0.1;

/// What a run is made of.
pub struct Setup<M> {
    /// What is to be done, with the policy and the scorer of it.
    pub run: Resolved,
    /// Training data.
    pub train: Box<dyn Loader>,
    /// Test data.
    pub test: Box<dyn Loader>,
    /// The network, on `device`.
    pub model: M,
    /// An autodiff device.
    pub device: Device,
    /// What counts its energy, or why nothing does.
    pub energy: Result<Box<dyn EnergyCounter>, String>,
}

impl Setup<()> {
    /// The same with a network.
    #[must_use]
    pub fn with_model<M>(self, model: M) -> Setup<M> {
        let Self { run, train, test, model: (), device, energy } = self;
        Setup { run, train, test, model, device, energy }
    }
}

/// The training loop and its state.
pub struct Trainer<M> {
    config: Checked,
    /// What the run is called: for its summary.
    ran: Ran,
    selector: Selector,
    scorer: Box<dyn Scorer>,
    learner: Learner<M>,
    /// Those that something has asked for.
    auxiliary: AuxiliaryNetworks<M>,
    train: Box<dyn Loader>,
    test: Box<dyn Loader>,
    random: Random,
    mean_input_deviation: f64,
    clock: Clock,
    state: State,
    /// Where to go back to, if that is what a NaN is answered with.
    last: Option<Snapshot>,
    rollbacks: u32,
}

impl<M: Model> Trainer<M> {
    /// Puts the parts together.
    ///
    /// # Errors
    /// [`TrainError::Select`] if the data has more classes than a selector can tell apart; [`TrainError::Network`] if the network
    /// does not take the data, or has not what the scorer or the policy needs.
    pub fn new(setup: Setup<M>) -> Result<Self, TrainError> {
        let Setup { run, train, test, model, device, energy } = setup;
        let ran = run.ran();
        let Resolved { checked: config, policy, scorer, optimizer, .. } = run;
        let dataset = train.dataset().clone();
        let (samples, random) = (dataset.samples(), config.random());
        let ids = 0..samples as SampleId;
        let groups = Groups::of(ids.clone().map(|id| dataset.label(id))).map_err(SelectError::from)?;
        let mut selector = Selector::of(groups, policy, config.goal, config.batch_size, config.seed)?;
        requirements::check(&model, dataset.shape(), scorer.as_ref(), &ran, &selector)?;
        selector.set_costs(vec![pass_cost(&model.layers(dataset.shape())?)])?;
        let clock = Clock::start(energy);
        let total: f64 = ids.map(|id| f64::from(dataset.input_deviation(id))).sum();
        let state = State {
            reference: Vec::new(),
            mean_loss: Ema::new(MEAN_LOSS_EMA),
            clock: clock.booked().clone(),
            evaluated: 0,
            evaluations: Vec::new(),
            lr_scale: 1.0,
        };
        Ok(Self {
            learner: Learner::new(model, optimizer.clone(), device),
            auxiliary: AuxiliaryNetworks::none(optimizer, dataset.shape()),
            mean_input_deviation: total / samples.max(1) as f64,
            last: None,
            rollbacks: 0,
            config,
            ran,
            selector,
            scorer,
            train,
            test,
            random,
            clock,
            state,
        })
    }

    /// Trains to the end of the budget, from the beginning or from where [`restore`](Self::restore) has put it. `None`
    /// if the callback asked for an earlier end.
    ///
    /// # Errors
    /// [`TrainError`]; nothing is lost that was written down before.
    pub fn run(&mut self, callback: &mut dyn Callback) -> Result<Option<Summary>, TrainError> {
        self.begin(callback)?;
        while let Some(events) = self.advance()? {
            if self.report(&events, callback)? == Flow::Stop {
                return Ok(None);
            }
        }
        self.finish(callback).map(Some)
    }

    /// One optimizer step with all that leads to it, or one that was not made; `None` at the end of the budget.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn advance(&mut self) -> Result<Option<Vec<Event>>, TrainError> {
        let Some((batch, data)) = self.next_batch()? else { return Ok(None) }; // selected one step ago, loaded meanwhile
        let events = match self.step(&batch, data)? {
            Ok(outcome) => self.accept(batch, outcome)?, // update, then record
            Err(fault) => self.recover(batch, fault)?,   // abort, skip or roll back
        };
        Ok(Some(events))
    }

    /// The network as it is.
    #[must_use]
    pub fn model(&self) -> &M {
        &self.learner.model
    }

    /// What selects.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// What was executed so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        self.selector.counts()
    }

    /// Where time and energy went so far.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// What a sample costs a network with these layers.
fn pass_cost(layers: &[LayerCost]) -> PassCost {
    PassCost {
        forward: layers.iter().map(|layer| layer.forward).sum(),
        step: layers.iter().map(|layer| layer.forward + layer.weight_gradient + layer.input_gradient).sum(),
    }
}
