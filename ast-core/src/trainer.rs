use std::collections::VecDeque;

use ast_control::Ema;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

use crate::config::Checked;
use crate::data::{HostBatch, LoadError, Loader, Request, SampleId, Visit};
use crate::event::{Event, Observer, SCHEMA, StepEvent};
use crate::ledger::{Ledger, Seen};
use crate::meter::{Meter, Phase};
use crate::model::{Mode, Model};
use crate::observation::{Observation, cross_entropy};
use crate::passes::{Looking, PassError, evaluate, read, read_back, upload};
use crate::policy::{Policy, PolicyError, Trace, View};
use crate::queue::{Accepted, Queue};
use crate::random::{Purpose, Random};
use crate::sampler::{Plan, Sampler};
use crate::schedule::learning_rate;
use crate::scorer::{Context, Scorer};
use crate::summary::{Evaluation, Summary};

/// Weight of the newest batch in the smoothed loss that scorers may compare with.
const MEAN_LOSS_EMA: f64 = 0.1;

/// What a run is made of.
pub struct Parts<M> {
    /// The numbers.
    pub config: Checked,
    /// Training data.
    pub train: Box<dyn Loader>,
    /// Test data.
    pub test: Box<dyn Loader>,
    /// The network, on `device`.
    pub model: M,
    /// What selects.
    pub policy: Box<dyn Policy>,
    /// What significance is.
    pub scorer: Box<dyn Scorer>,
    /// An autodiff device.
    pub device: Device,
}

/// The training loop and its state.
pub struct Trainer<M> {
    config: Checked,
    train: Box<dyn Loader>,
    test: Box<dyn Loader>,
    model: M,
    optimizer: ModuleOptimizer,
    policy: Box<dyn Policy>,
    scorer: Box<dyn Scorer>,
    device: Device,

    random: Random,
    sampler: Sampler,
    plan: Plan,
    covers: bool,
    next: Place,
    queue: Queue,
    loading: VecDeque<Batch>,
    ledger: Ledger,
    mean_loss: Ema,
    mean_input_std: f64,
    meter: Meter,
    evaluations: Vec<Evaluation>,
}

/// Where in the run the next chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    epoch: u32,
    chunk: u32,
}

/// A batch that was selected, and how things stood then.
struct Batch {
    accepted: Vec<Accepted>,
    offered: u64,
    control: Trace,
}

impl<M: Model> Trainer<M> {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts<M>) -> Self {
        let Parts { config, train, test, model, policy, scorer, device } = parts;
        let dataset = train.dataset().clone();
        let (samples, random) = (dataset.samples(), config.random());
        let total: f64 = (0..samples as SampleId).map(|id| f64::from(dataset.input_std(id))).sum();
        Self {
            meter: Meter::start(&model.layers()),
            // The epsilon of the original and of PyTorch; Burn's own default is 1e-5.
            optimizer: AdamConfig::new().with_epsilon(1e-8).init(),
            sampler: Sampler::new(random, samples, config.batch_size),
            plan: Plan::default(),
            covers: true,
            next: Place { epoch: 0, chunk: 0 },
            queue: Queue::new(samples),
            loading: VecDeque::new(),
            ledger: Ledger::new(dataset.as_ref()),
            mean_loss: Ema::new(MEAN_LOSS_EMA),
            mean_input_std: total / samples.max(1) as f64,
            evaluations: Vec::new(),
            random,
            config,
            train,
            test,
            model,
            policy,
            scorer,
            device,
        }
    }

    /// Trains to the end of the budget.
    ///
    /// # Errors
    /// [`TrainError`]; nothing is lost that was written down before.
    pub fn run(mut self, observer: &mut dyn Observer) -> Result<Summary, TrainError> {
        self.announce(observer)?;
        while let Some(event) = self.advance()? {
            self.meter.enter(Phase::Checkpoint);
            observer.event(&Event::Step(event))?;
            if self.evaluation_is_due(event.epoch) {
                self.evaluate(event.epoch, observer)?;
            }
        }
        if self.meter.steps == 0 {
            return Err(TrainError::NothingTrained);
        }
        self.evaluate(f64::from(self.config.epochs), observer)?;
        self.meter.enter(Phase::Checkpoint);
        let (target, dataset) = (self.policy.trace().target, self.train.dataset().as_ref());
        Ok(Summary::new(&self.config, target, &self.meter, &self.ledger, dataset, &self.evaluations))
    }

    /// One optimizer step with all that leads to it; `None` at the end of the budget.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn advance(&mut self) -> Result<Option<StepEvent>, TrainError> {
        if self.loading.is_empty() {
            self.select_batch()?;
        }
        let begin = self.meter.step_clock();
        let Some((batch, host)) = self.load()? else { return Ok(None) };
        self.select_batch()?; // the next batch loads while this one trains
        let observation = self.step(&batch, host, begin)?;
        let seen = self.observe(observation, &batch.accepted)?;
        self.remember(&seen);
        Ok(Some(self.step_event(&batch, &seen)))
    }

    /// Candidates -> gate -> queue, until a batch is full or the run's last epoch has been offered.
    fn select_batch(&mut self) -> Result<(), TrainError> {
        self.meter.enter(Phase::Select);
        while self.queue.len() < self.config.batch_size && self.next.epoch < self.config.epochs {
            self.offer_chunk()?;
        }
        if self.queue.is_empty() {
            return Ok(());
        }
        let accepted = self.queue.take(self.config.batch_size);
        let visits = accepted.iter().map(|accepted| accepted.visit).collect();
        self.train.request(Request { visits, augment: self.config.augment.then_some(self.random) });
        self.loading.push_back(Batch { accepted, offered: self.meter.offered, control: self.policy.trace() });
        Ok(())
    }

    fn offer_chunk(&mut self) -> Result<(), TrainError> {
        let Place { epoch, chunk } = self.next;
        let samples = self.ledger.samples() as u64;
        let spent = |offered: u64| offered as f64 / (samples * u64::from(self.config.epochs)) as f64;
        if chunk == 0 {
            let coverage = self.policy.begin(spent(self.meter.offered));
            self.covers = coverage > 0.0;
            self.plan = self.sampler.plan(epoch, coverage);
        }
        if let Some(offer) = self.plan.offer(epoch, chunk) {
            let before = self.meter.offered;
            self.meter.offered += offer.len() as u64;
            let mut chosen = Vec::new();
            let dataset = self.train.dataset().as_ref();
            let mut fresh = Looking {
                model: &self.model,
                dataset,
                scorer: self.scorer.as_ref(),
                device: &self.device,
                meter: &mut self.meter,
                mean_loss: self.mean_loss.value(),
                mean_input_std: self.mean_input_std,
                random: self.random,
                augment: self.config.augment,
            };
            let (ledger, queue, random) = (&self.ledger, &self.queue, self.random);
            let mut view = View { dataset, ledger, queue, random, fresh: &mut fresh };
            self.policy.select(offer, &mut view, &mut chosen)?;
            // The middle of the chunk: no step is trained at the end of the budget, where the learning rate is 0.
            let spent = (spent(before) + spent(self.meter.offered)) / 2.0;
            let accept = |id, coverage| Accepted { visit: Visit { id, epoch }, coverage, spent };
            offer.coverage.iter().for_each(|id| self.queue.push(accept(*id, true)));
            // A policy without coverage has no fairer sample than what it chose.
            chosen.into_iter().for_each(|id| self.queue.push(accept(id, !self.covers)));
        }
        let last = chunk + 1 >= self.plan.chunks();
        self.next = if last { Place { epoch: epoch + 1, chunk: 0 } } else { Place { epoch, chunk: chunk + 1 } };
        Ok(())
    }

    /// Waits for the batch that was selected first.
    fn load(&mut self) -> Result<Option<(Batch, HostBatch)>, TrainError> {
        self.meter.enter(Phase::Data);
        Ok(self.loading.pop_front().zip(self.train.receive()?))
    }

    /// Forward, backward, optimizer; `begin` is the step's clock before its batch was waited for.
    fn step(&mut self, batch: &Batch, host: HostBatch, begin: f64) -> Result<Observation, TrainError> {
        self.meter.enter(Phase::Data);
        let (ids, needs) = (host.ids.clone(), self.scorer.needs());
        let input_std = TensorData::new(host.input_std.clone(), [ids.len()]);
        let input_std = Tensor::from_data(input_std, &self.device.clone().without_autodiff());
        let (input, targets) = upload(host, self.train.dataset().shape(), &self.device);

        self.meter.enter(Phase::Train);
        let mut masks = self.random.stream(Purpose::Dropout, self.meter.steps, 0);
        let forward = self.model.forward(input, Mode::Train(&mut masks));
        let losses = cross_entropy(forward.logits.clone(), targets.clone());
        let gradients = losses.clone().mean().backward();
        self.device.sync()?;

        self.meter.enter(Phase::Optimizer);
        let gradients = GradientsParams::from_grads(gradients, &self.model);
        let lr = learning_rate(self.config.lr, batch.spent());
        self.model = self.optimizer.step(lr, self.model.clone(), gradients);
        self.device.sync()?;

        self.meter.enter(Phase::Score);
        self.meter.stepped(ids.len(), (ids.len() == self.config.batch_size).then_some(begin));
        Ok(Observation {
            loss: losses.inner(),
            logits: forward.logits.inner(),
            targets: targets.inner(),
            features: needs.features.then(|| forward.features.inner()),
            input_std: needs.input_std.then_some(input_std),
            ids,
        })
    }

    /// Score, loss and correctness, in the one read-back of a step.
    fn observe(&mut self, seen: Observation, accepted: &[Accepted]) -> Result<Vec<Seen>, TrainError> {
        let mean_loss = match self.mean_loss.value() {
            Some(mean) => mean,
            None => f64::from(read(seen.loss.clone().mean())?[0]),
        };
        let (mean_input_std, random, step) = (self.mean_input_std, self.random, self.meter.steps);
        let context = Context { mean_loss, mean_input_std, random, step };
        let back = read_back(self.scorer.as_ref(), seen, &context)?;
        let seen: Vec<Seen> = (accepted.iter().enumerate())
            .map(|(i, accepted)| Seen {
                id: accepted.visit.id,
                score: back.score[i],
                loss: back.loss[i],
                correct: back.correct[i] > 0.5,
                coverage: accepted.coverage,
            })
            .collect();
        match seen.iter().find(|seen| !seen.loss.is_finite()) {
            Some(broken) => Err(TrainError::NotFinite { step, sample: broken.id, loss: broken.loss }),
            None => Ok(seen),
        }
    }

    /// Into the ledger, for later selections.
    fn remember(&mut self, seen: &[Seen]) {
        self.meter.enter(Phase::Select);
        let covered = || seen.iter().filter(|seen| seen.coverage);
        if covered().next().is_some() {
            self.mean_loss.update(covered().map(|seen| f64::from(seen.loss)).sum::<f64>() / covered().count() as f64);
        }
        self.ledger.record(seen);
        seen.iter().for_each(|seen| self.queue.done(seen.id));
    }

    fn evaluation_is_due(&self, epoch: f64) -> bool {
        let every = f64::from(self.config.eval_every);
        let last = self.evaluations.last().map_or(0.0, |evaluation| evaluation.epoch);
        every > 0.0 && (epoch / every).floor() > (last / every).floor() && epoch < f64::from(self.config.epochs)
    }

    /// On the whole test set, outside the budget.
    fn evaluate(&mut self, epoch: f64, observer: &mut dyn Observer) -> Result<(), TrainError> {
        self.meter.enter(Phase::Eval);
        let device = self.device.clone().without_autodiff();
        let (accuracy, loss) = evaluate(&self.model.valid(), self.test.as_mut(), &device)?;
        self.meter.evaluated += self.test.dataset().samples() as u64;
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step: self.meter.steps, loss });
        }
        self.evaluations.push(Evaluation { epoch, accuracy, loss });
        Ok(observer.event(&Event::Evaluated { step: self.meter.steps, epoch, accuracy, loss })?)
    }

    fn announce(&self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let (samples, epochs, target) = (self.ledger.samples(), self.config.epochs, self.policy.trace().target);
        let passes = target * f64::from(epochs);
        let planned_steps = (passes * samples as f64 / self.config.batch_size as f64).ceil() as u64;
        observer.event(&Event::Started { schema: SCHEMA, samples, epochs, planned_steps })?;
        if passes < 2.0 && target < 1.0 {
            let message = format!(
                "{epochs} epochs at an activation of {target} train each sample {passes:.1} times on average: \
                 below 2, selection can hardly act, because most scores are never used"
            );
            observer.event(&Event::Warning { message })?;
        }
        Ok(())
    }

    fn step_event(&self, batch: &Batch, seen: &[Seen]) -> StepEvent {
        let mean = |value: &dyn Fn(&Seen) -> f64| seen.iter().map(value).sum::<f64>() / seen.len() as f64;
        StepEvent {
            step: self.meter.steps,
            epoch: batch.offered as f64 / self.ledger.samples() as f64,
            offered: batch.offered,
            trained: self.meter.trained,
            loss: mean(&|seen| f64::from(seen.loss)),
            accuracy: 100.0 * mean(&|seen| f64::from(u8::from(seen.correct))),
            lr: learning_rate(self.config.lr, batch.spent()),
            activation: self.meter.trained as f64 / batch.offered as f64,
            control: batch.control,
        }
    }
}

impl Batch {
    /// The share of the budget spent when it was accepted, on average, 0..=1.
    fn spent(&self) -> f64 {
        self.accepted.iter().map(|accepted| accepted.spent).sum::<f64>() / self.accepted.len() as f64
    }
}

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A batch could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The policy refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A forward pass gave nothing.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// The loss is NaN or infinite.
    #[error(
        "the loss of sample {sample} is {loss} at step {step}: training has diverged or the data is broken; \
         try a lower learning rate"
    )]
    NotFinite {
        /// The step, from 1.
        step: u64,
        /// The first such sample of the batch.
        sample: SampleId,
        /// Its loss.
        loss: f32,
    },
    /// The loss on the test set is NaN or infinite.
    #[error("the loss on the test set is {loss} after step {step}: training has diverged; try a lower learning rate")]
    Diverged {
        /// Steps done.
        step: u64,
        /// The mean loss.
        loss: f64,
    },
    /// The run ended without a single step.
    #[error("not one sample was due for training: raise the activation, the epochs or the number of samples")]
    NothingTrained,
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(#[from] ExecutionError),
    /// An observer could not write an event down.
    #[error("could not write the log: {0}")]
    Log(#[from] std::io::Error),
}
