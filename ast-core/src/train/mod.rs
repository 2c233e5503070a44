//! The training loop. On this page: what a run is made of, and its course. Beside it: how a batch is selected, what a
//! step does, what a scorer may need beforehand, what is reported, and how a run is saved and put back.

pub(crate) mod auxiliary;
pub(crate) mod error;
pub(crate) mod export;
pub(crate) mod meter;
pub(crate) mod passes;
pub(crate) mod probe;
mod recover;
mod reference;
mod report;
mod select;
mod step;

use std::collections::VecDeque;

use ast_control::Ema;
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;

use crate::data::dataset::Loader;
use crate::model::network::Model;
use crate::optim::adam::optimizer;
use crate::random::Random;
use crate::run::checked::{Checked, Limit};
use crate::run::config::OnNan;
use crate::run::energy::{Energy, EnergyCounter};
use crate::run::event::{Event, Observer, Wish};
use crate::run::resolve::Resolved;
use crate::run::snapshot::{Place, Snapshot, State};
use crate::run::summary::{Ran, Summary};
use crate::score::scorer::Scorer;
use crate::select::budget::Budget;
use crate::select::ledger::Ledger;
use crate::select::policy::{Extent, Policy};
use crate::select::queue::Queue;
use crate::select::sample::SampleId;
use crate::select::sampler::{Plan, Sampler};
use crate::train::auxiliary::SmallNetworks;

pub use auxiliary::Small;
pub use error::TrainError;
pub use export::safetensors;
pub use meter::{Meter, Phase};
pub use passes::PassError;
pub use probe::{Fresh, FreshPass};

/// Weight of the newest batch in the smoothed loss that scorers may compare with.
const MEAN_LOSS_EMA: f64 = 0.1;

/// What a run is made of.
pub struct Parts<M> {
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

/// The training loop and its state.
pub struct Trainer<M> {
    config: Checked,
    /// What the run is called: for its summary.
    ran: Ran,
    budget: Budget,
    train: Box<dyn Loader>,
    test: Box<dyn Loader>,
    model: M,
    optimizer: ModuleOptimizer,
    /// Those that the policy has asked for.
    small: SmallNetworks<M>,
    policy: Box<dyn Policy>,
    scorer: Box<dyn Scorer>,
    device: Device,
    random: Random,
    mean_input_std: f64,
    state: State,
    /// What the policy has decided about itself after the last step.
    decided: Option<Event>,
    /// Where to go back to, if that is what a NaN is answered with.
    last: Option<Snapshot>,
    rollbacks: u32,
    energy: Energy,
}

impl<M: Model> Trainer<M> {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts<M>) -> Self {
        let Parts { run, train, test, model, device, energy } = parts;
        let ran = run.ran();
        let Resolved { checked: config, policy, scorer, .. } = run;
        let dataset = train.dataset().clone();
        let (samples, random) = (dataset.samples(), config.random());
        let total: f64 = (0..samples as SampleId).map(|id| f64::from(dataset.input_std(id))).sum();
        let state = State {
            sampler: Sampler::new(random, samples, config.batch_size),
            plan: Plan::default(),
            covers: true,
            next: Place { epoch: 0, chunk: 0 },
            queue: Queue::new(samples),
            loading: VecDeque::new(),
            accepted: 0,
            ledger: Ledger::new(dataset.as_ref()),
            reference: Vec::new(),
            mean_loss: Ema::new(MEAN_LOSS_EMA),
            meter: Meter::start(&model.layers()),
            evaluations: Vec::new(),
            lr_scale: 1.0,
        };
        Self {
            budget: budget(&config, policy.extent(), samples as u64, &state.meter),
            optimizer: optimizer(),
            small: SmallNetworks::none(),
            mean_input_std: total / samples.max(1) as f64,
            decided: None,
            last: None,
            rollbacks: 0,
            energy: Energy::new(energy),
            state,
            random,
            ran,
            config,
            train,
            test,
            model,
            policy,
            scorer,
            device,
        }
    }

    /// Trains to the end of the budget, from the beginning or from where [`restore`](Self::restore) has put it. `None`
    /// if the observer wished for an earlier end.
    ///
    /// # Errors
    /// [`TrainError`]; nothing is lost that was written down before.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Option<Summary>, TrainError> {
        if self.state.meter.offered == 0 {
            self.announce(observer)?;
        }
        self.energy.pass_over();
        self.prepare()?;
        self.energy.read(&mut self.state.meter.joules, true);
        self.keep(None)?;
        self.energy.pass_over();
        while let Some(event) = self.advance_or_roll_back()? {
            self.energy.read(&mut self.state.meter.joules, false);
            self.state.meter.enter(Phase::Checkpoint);
            observer.event(&event)?;
            self.decided.take().map_or(Ok(()), |decided| observer.event(&decided))?;
            if let Some(epoch) = self.evaluation_is_due(&event) {
                self.evaluate(epoch, observer)?;
            }
            let wish = observer.wish(self.state.meter.steps);
            if wish != Wish::Continue {
                self.energy.read(&mut self.state.meter.joules, true);
                self.state.meter.enter(Phase::Checkpoint);
                let snapshot = self.snapshot()?;
                observer.save(&snapshot)?;
                self.keep(Some(snapshot))?;
            }
            if wish == Wish::Stop {
                return Ok(None);
            }
        }
        match self.state.meter {
            Meter { steps: 0, skipped: 0, .. } => return Err(self.nothing_trained()),
            Meter { steps: 0, skipped, .. } => return Err(TrainError::AllSkipped(skipped)),
            _ => self.evaluate(self.epochs(self.state.meter.offered), observer)?,
        }
        self.state.meter.enter(Phase::Checkpoint);
        Ok(Some(self.summary()))
    }

    /// One optimizer step with all that leads to it, or one that was skipped; `None` at the end of the budget.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn advance(&mut self) -> Result<Option<Event>, TrainError> {
        self.prepare()?;
        if self.state.loading.is_empty() {
            self.select_batch()?;
        }
        let begin = self.state.meter.step_clock();
        let Some((batch, host)) = self.load()? else { return Ok(None) };
        self.select_batch()?; // the next batch loads while this one trains
        match self.step(&batch, host, begin) {
            Ok(observed) => {
                self.remember(&batch, &observed);
                Ok(Some(Event::Step(self.step_event(&batch, &observed.seen))))
            }
            Err(TrainError::NotFinite { step, what }) => {
                self.skip(&batch);
                if self.config.on_nan != OnNan::Skip {
                    return Err(TrainError::NotFinite { step, what });
                }
                Ok(Some(Event::Skipped { step, epoch: self.epochs(batch.offered), reason: what.to_string() }))
            }
            Err(error) => Err(error),
        }
    }

    /// Nominal epochs that so many offered samples are.
    fn epochs(&self, offered: u64) -> f64 {
        offered as f64 / self.state.ledger.samples() as f64
    }

    /// The network as it is.
    #[must_use]
    pub fn model(&self) -> &M {
        &self.model
    }

    /// What was executed so far.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.state.meter
    }
}

/// What the configuration allows a policy.
fn budget(config: &Checked, extent: Extent, samples: u64, meter: &Meter) -> Budget {
    let offered = samples * u64::from(config.epochs);
    match (extent, config.limit) {
        (Extent::Whole, _) | (Extent::Budget, None) => Budget::Offered(offered),
        (Extent::Cut, None) => Budget::Offered((config.target * offered as f64) as u64),
        (_, Some(Limit::Seconds(seconds))) => Budget::Seconds(seconds),
        (_, Some(Limit::Fraction(fraction))) => Budget::Flops {
            allowed: (fraction * meter.flops_of(offered) as f64) as u64,
            offered: (offered as f64 / fraction) as u64,
        },
    }
}
