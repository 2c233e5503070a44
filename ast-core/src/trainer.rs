use std::collections::VecDeque;

use ast_control::Ema;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, ExecutionError, Int, Tensor, TensorData};

use crate::config::Checked;
use crate::data::{HostBatch, LoadError, Loader, Request, SampleId, Visit};
use crate::event::{Event, Observer, SCHEMA, StepEvent};
use crate::ledger::{Ledger, Seen};
use crate::meter::{Meter, Phase};
use crate::model::{Input, Mode, Model};
use crate::observation::{Observation, cross_entropy};
use crate::policy::{Policy, PolicyError, Trace, View};
use crate::queue::{Accepted, Queue};
use crate::random::{Purpose, Random};
use crate::sampler::{Plan, Sampler};
use crate::schedule::learning_rate;
use crate::scorer::{Context, ScoreError, Scorer};
use crate::summary::{Evaluation, Summary};

/// Samples a forward pass of the evaluation.
const EVAL_BATCH: usize = 250;
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
        self.select_batch()?;
        while let Some((batch, host)) = self.load()? {
            self.select_batch()?; // the next batch loads while this one trains
            let event = self.step(&batch, host)?;
            self.meter.enter(Phase::Checkpoint);
            observer.event(&Event::Step(event))?;
            if self.evaluation_is_due(event.epoch) {
                self.evaluate(event.epoch, observer)?;
            }
        }
        self.evaluate(f64::from(self.config.epochs), observer)?;
        self.meter.enter(Phase::Checkpoint);
        Ok(Summary::new(&self.config, &self.meter, &self.ledger, self.train.dataset().as_ref(), &self.evaluations))
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
            self.plan = self.sampler.plan(epoch, coverage);
        }
        if let Some(offer) = self.plan.offer(epoch, chunk) {
            self.meter.offered += offer.len() as u64;
            let mut chosen = Vec::new();
            let view = View { ledger: &self.ledger, queue: &self.queue, random: self.random };
            self.policy.select(offer, view, &mut chosen)?;
            let spent = spent(self.meter.offered);
            let accept = |id, coverage| Accepted { visit: Visit { id, epoch }, coverage, spent };
            offer.coverage.iter().for_each(|id| self.queue.push(accept(*id, true)));
            chosen.into_iter().for_each(|id| self.queue.push(accept(id, false)));
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

    /// Forward, backward, optimizer, observation, ledger.
    fn step(&mut self, batch: &Batch, host: HostBatch) -> Result<StepEvent, TrainError> {
        let begin = self.meter.step_clock();
        self.meter.enter(Phase::Data);
        let spent = batch.accepted.iter().map(|a| a.spent).sum::<f64>() / batch.accepted.len() as f64;
        let lr = learning_rate(self.config.lr, spent);
        let ids = host.ids.clone();
        let input_std = Tensor::<1>::from_data(
            TensorData::new(host.input_std.clone(), [ids.len()]),
            &self.device.clone().without_autodiff(),
        );
        let (input, targets) = upload(host, self.train.dataset().shape(), &self.device);

        self.meter.enter(Phase::Train);
        let mut masks = self.random.stream(Purpose::Dropout, self.meter.steps, 0);
        let forward = self.model.forward(input, Mode::Train(&mut masks));
        let losses = cross_entropy(forward.logits.clone(), targets.clone());
        let gradients = losses.clone().mean().backward();
        self.device.sync()?;

        self.meter.enter(Phase::Optimizer);
        let gradients = GradientsParams::from_grads(gradients, &self.model);
        self.model = self.optimizer.step(lr, self.model.clone(), gradients);
        self.device.sync()?;

        self.meter.enter(Phase::Score);
        let observation = Observation {
            loss: losses.inner(),
            logits: forward.logits.inner(),
            targets: targets.inner(),
            features: self.scorer.needs().features.then(|| forward.features.inner()),
            input_std: self.scorer.needs().input_std.then_some(input_std),
            ids,
        };
        let seen = self.observe(&observation, &batch.accepted)?;

        self.meter.enter(Phase::Select);
        self.meter.steps += 1;
        self.meter.trained += seen.len() as u64;
        if seen.len() == self.config.batch_size {
            self.meter.full_step(self.meter.step_clock() - begin);
        }
        self.ledger.record(&seen);
        seen.iter().for_each(|seen| self.queue.done(seen.id));
        Ok(self.step_event(batch, &seen, lr))
    }

    /// Score, loss and correctness, in the one read-back of a step.
    fn observe(&mut self, seen: &Observation, accepted: &[Accepted]) -> Result<Vec<Seen>, TrainError> {
        let mean_loss = match self.mean_loss.value() {
            Some(mean) => mean,
            None => f64::from(read(seen.loss.clone().mean())?[0]),
        };
        let context =
            Context { mean_loss, mean_input_std: self.mean_input_std, random: self.random, step: self.meter.steps };
        let score = self.scorer.score(seen, &context)?;
        let correct = seen.logits.clone().argmax(1).squeeze_dim::<1>(1).equal(seen.targets.clone()).float();
        let values = read(Tensor::cat(vec![score, seen.loss.clone(), correct], 0))?;
        let batch = seen.ids.len();
        let seen: Vec<Seen> = (seen.ids.iter().zip(accepted).enumerate())
            .map(|(i, (id, accepted))| Seen {
                id: *id,
                score: values[i],
                loss: values[batch + i],
                correct: values[2 * batch + i] > 0.5,
                coverage: accepted.coverage,
            })
            .collect();
        if let Some(broken) = seen.iter().find(|seen| !seen.loss.is_finite()) {
            return Err(TrainError::NotFinite { step: self.meter.steps + 1, sample: broken.id, loss: broken.loss });
        }
        let covered: Vec<f64> = seen.iter().filter(|s| s.coverage).map(|s| f64::from(s.loss)).collect();
        if !covered.is_empty() {
            self.mean_loss.update(covered.iter().sum::<f64>() / covered.len() as f64);
        }
        Ok(seen)
    }

    fn evaluation_is_due(&self, epoch: f64) -> bool {
        let every = f64::from(self.config.eval_every);
        let last = self.evaluations.last().map_or(0.0, |evaluation| evaluation.epoch);
        every > 0.0 && (epoch / every).floor() > (last / every).floor() && epoch < f64::from(self.config.epochs)
    }

    /// Accuracy and loss on the whole test set, without autodiff, outside the budget.
    fn evaluate(&mut self, epoch: f64, observer: &mut dyn Observer) -> Result<(), TrainError> {
        self.meter.enter(Phase::Eval);
        let (model, device) = (self.model.valid(), self.device.clone().without_autodiff());
        let (samples, shape) = (self.test.dataset().samples() as SampleId, self.test.dataset().shape());
        for from in (0..samples).step_by(EVAL_BATCH) {
            let visits = (from..samples.min(from + EVAL_BATCH as SampleId)).map(|id| Visit { id, epoch: 0 }).collect();
            self.test.request(Request { visits, augment: None });
        }
        let (mut correct, mut loss) = (0.0, 0.0);
        while let Some(host) = self.test.receive()? {
            let (input, targets) = upload(host, shape, &device);
            let logits = model.forward(input, Mode::Eval).logits;
            let hits = logits.clone().argmax(1).squeeze_dim::<1>(1).equal(targets.clone()).float();
            let values = read(Tensor::cat(vec![hits.sum(), cross_entropy(logits, targets).sum()], 0))?;
            correct += f64::from(values[0]);
            loss += f64::from(values[1]);
        }
        let samples = f64::from(samples);
        self.meter.evaluated += samples as u64;
        let evaluation = Evaluation { epoch, accuracy: 100.0 * correct / samples, loss: loss / samples };
        self.evaluations.push(evaluation);
        let Evaluation { epoch, accuracy, loss } = evaluation;
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

    fn step_event(&self, batch: &Batch, seen: &[Seen], lr: f64) -> StepEvent {
        let mean = |value: &dyn Fn(&Seen) -> f64| seen.iter().map(value).sum::<f64>() / seen.len() as f64;
        StepEvent {
            step: self.meter.steps,
            epoch: batch.offered as f64 / self.ledger.samples() as f64,
            offered: batch.offered,
            trained: self.meter.trained,
            loss: mean(&|seen| f64::from(seen.loss)),
            accuracy: 100.0 * mean(&|seen| f64::from(u8::from(seen.correct))),
            lr,
            activation: self.meter.trained as f64 / batch.offered as f64,
            control: batch.control,
        }
    }
}

/// Moves a batch to a device: images `[batch, channels, height, width]`, targets `[batch]`.
fn upload(host: HostBatch, [channels, height, width]: [usize; 3], device: &Device) -> (Input, Tensor<1, Int>) {
    let batch = host.ids.len();
    let pixels = TensorData::new(host.pixels, [batch, channels, height, width]);
    let targets = TensorData::new(host.targets, [batch]);
    (Input::Image(Tensor::from_data(pixels, device)), Tensor::from_data(targets, device))
}

fn read(values: Tensor<1>) -> Result<Vec<f32>, TrainError> {
    values.try_into_vec_as().map_err(|error| TrainError::Read(error.to_string()))
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
    /// The scorer refused.
    #[error(transparent)]
    Score(#[from] ScoreError),
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
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(#[from] ExecutionError),
    /// Values could not be read back from the device.
    #[error("could not read back from the device: {0}")]
    Read(String),
    /// An observer could not write an event down.
    #[error("could not write the log: {0}")]
    Log(#[from] std::io::Error),
}
