//! The public contract of scorers, and small stand-ins for tests (feature `testing`).

mod rate;

pub use rate::realised_rate;

use std::collections::VecDeque;
use std::sync::Arc;

use ast_control::PiConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::dataset::{Dataset, HostBatch, LoadError, Loader, Request};
use crate::random::{Purpose, Random, Stream};
use crate::score::observation::{History, Observation, cross_entropy};
use crate::score::scorer::{Context, Scorer};
use crate::select::ledger::{Ledger, Seen};
use crate::select::policy::{Policy, Task, View};
use crate::select::queue::Queue;
use crate::select::sample::{SampleId, Visit};
use crate::select::sampler::Offer;
use crate::train::auxiliary::Small;
use crate::train::passes::PassError;
use crate::train::probe::{Fresh, FreshPass};

/// A share `target` of what is offered, in a run of 40 nominal epochs, with the default gains.
#[must_use]
pub fn task(target: f64) -> Task {
    Task { target, visits: Some(40.0 * target), control: PiConfig::default() }
}

/// A dataset of labels only: what a ledger needs.
#[derive(Debug)]
pub struct Labels(
    /// The class of each sample.
    pub Vec<usize>,
);

impl Dataset for Labels {
    fn samples(&self) -> usize {
        self.0.len()
    }
    fn classes(&self) -> usize {
        self.0.iter().max().map_or(1, |label| label + 1)
    }
    fn shape(&self) -> [usize; 3] {
        [1, 1, 1]
    }
    fn label(&self, id: SampleId) -> usize {
        self.0[id as usize]
    }
    fn write(&self, _: SampleId, _: Option<&mut Stream>, out: &mut [f32]) {
        out.fill(0.0);
    }
    fn input_std(&self, _: SampleId) -> f32 {
        0.25
    }
}

/// For policies that never pay for a look.
#[derive(Debug)]
pub struct NoLook;

impl FreshPass for NoLook {
    fn look(&mut self, _: &[Visit], _: bool) -> Result<Vec<Fresh>, PassError> {
        unreachable!("this policy must not pay for a forward pass")
    }
    fn look_half(&mut self, _: &[Visit]) -> Result<Vec<Fresh>, PassError> {
        unreachable!("this policy must not pay for a forward pass")
    }
    fn train_small(&mut self, _: Small, _: &[Visit], _: f64) -> Result<Vec<Fresh>, PassError> {
        unreachable!("this policy must not pay for a small network")
    }
    fn look_small(&mut self, _: Small, _: &[Visit]) -> Result<Vec<Fresh>, PassError> {
        unreachable!("this policy must not pay for a small network")
    }
}

/// Losses that are known beforehand, by sample, which are the scores as well. A small network has those of the samples in
/// reverse, so that a test can tell who was asked.
#[derive(Debug)]
pub struct KnownLosses(
    /// Of each sample.
    pub Vec<f32>,
);

impl FreshPass for KnownLosses {
    fn look(&mut self, visits: &[Visit], _: bool) -> Result<Vec<Fresh>, PassError> {
        Ok(visits.iter().map(|visit| self.0[visit.id as usize]).map(|loss| Fresh { loss, score: loss }).collect())
    }
    fn look_half(&mut self, visits: &[Visit]) -> Result<Vec<Fresh>, PassError> {
        self.look(visits, false)
    }
    fn train_small(&mut self, which: Small, visits: &[Visit], _: f64) -> Result<Vec<Fresh>, PassError> {
        self.look_small(which, visits)
    }
    fn look_small(&mut self, _: Small, visits: &[Visit]) -> Result<Vec<Fresh>, PassError> {
        let loss = |visit: &Visit| self.0[self.0.len() - 1 - visit.id as usize];
        Ok(visits.iter().map(loss).map(|loss| Fresh { loss, score: loss }).collect())
    }
}

/// All that a policy may look at, for one chunk: a dataset of which every loss is known.
#[derive(Debug)]
pub struct Stage {
    /// The samples.
    pub data: Labels,
    /// What is known of them; nothing at first.
    pub ledger: Ledger,
    /// What waits; nothing at first.
    pub queue: Queue,
    /// What a fresh look shows.
    pub losses: KnownLosses,
    /// The share of the budget that is spent; half of it at first.
    pub spent: f64,
    /// Number of the next chunk.
    pub chunk: u32,
}

impl Stage {
    /// With these losses, which are the scores as well, of samples of one class.
    #[must_use]
    pub fn new(losses: &[f32]) -> Self {
        let data = Labels(vec![0; losses.len()]);
        let (ledger, queue) = (Ledger::new(&data), Queue::new(losses.len()));
        Self { data, ledger, queue, losses: KnownLosses(losses.to_vec()), spent: 0.5, chunk: 0 }
    }

    /// The same, every sample having been trained on once.
    #[must_use]
    pub fn seen(losses: &[f32]) -> Self {
        let mut stage = Self::new(losses);
        let seen = |(id, loss): (usize, &f32)| {
            let (id, score, loss) = (id as SampleId, *loss, *loss);
            Seen { id, score, loss, correct: true, coverage: true }
        };
        stage.ledger.record(&losses.iter().enumerate().map(seen).collect::<Vec<_>>());
        stage
    }

    /// What a policy accepts if all samples are offered in order, as one chunk, and the weights it gives them.
    ///
    /// # Panics
    /// If the policy refuses.
    pub fn offer(&mut self, policy: &mut dyn Policy) -> (Vec<SampleId>, Vec<f32>) {
        let candidates: Vec<SampleId> = (0..self.data.samples() as SampleId).collect();
        let offer = Offer { coverage: &[], candidates: &candidates, epoch: 0, chunk: self.chunk };
        self.chunk += 1;
        let mut view = View {
            spent: self.spent,
            dataset: &self.data,
            ledger: &self.ledger,
            queue: &self.queue,
            random: Random::new(1),
            fresh: &mut self.losses,
        };
        let mut accepted = Vec::new();
        policy.select(offer, &mut view, &mut accepted).expect("the policy decides");
        let weights = policy.weigh(offer, &accepted, &view);
        (accepted, weights)
    }
}

/// A loader that does everything on the calling thread when asked for the batch.
pub struct DirectLoader {
    dataset: Arc<dyn Dataset>,
    requests: VecDeque<Request>,
}

impl DirectLoader {
    /// For a dataset.
    #[must_use]
    pub fn new(dataset: Arc<dyn Dataset>) -> Self {
        Self { dataset, requests: VecDeque::new() }
    }
}

impl Loader for DirectLoader {
    fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.dataset
    }
    fn request(&mut self, request: Request) {
        self.requests.push_back(request);
    }
    fn receive(&mut self) -> Result<Option<HostBatch>, LoadError> {
        Ok(self.requests.pop_front().map(|request| request.collate(self.dataset.as_ref())))
    }
}

/// A random observation of `batch` samples on `device`, all of its fields present.
#[must_use]
pub fn observation(batch: usize, classes: usize, seed: u64, device: &Device) -> Observation {
    let mut stream = Random::new(seed).stream(Purpose::Data, 0, 0);
    let mut normal = |n: usize| -> Vec<f32> { (0..n).map(|_| stream.normal() as f32).collect() };
    let logits = normal(batch * classes).into_iter().map(|x| 3.0 * x).collect();
    let features = normal(batch * 16);
    let input_std = normal(batch).into_iter().map(|x| 0.25 + 0.02 * x).collect();
    let targets = (0..batch).map(|i| (i * 7 % classes) as i32).collect();
    let each = |value: &dyn Fn(usize) -> f32| -> Vec<f32> { (0..batch).map(value).collect() };
    let reference = each(&|i| (i * 5 % 7) as f32 / 2.0);
    let history =
        [each(&|i| i as f32 % 3.0), each(&|i| i as f32 / 10.0), each(&|i| i as f32 % 4.0), each(&|i| (i % 2) as f32)];
    let ids = (0..batch as SampleId).map(|i| 1000 + i).collect();
    assemble(Parts { ids, logits, features, input_std, targets, history, reference, classes }, device)
}

#[derive(Clone)]
struct Parts {
    ids: Vec<SampleId>,
    logits: Vec<f32>,
    features: Vec<f32>,
    input_std: Vec<f32>,
    targets: Vec<i32>,
    history: [Vec<f32>; 4],
    reference: Vec<f32>,
    classes: usize,
}

fn assemble(parts: Parts, device: &Device) -> Observation {
    let batch = parts.ids.len();
    let logits = Tensor::<2>::from_data(TensorData::new(parts.logits, [batch, parts.classes]), device);
    let targets = Tensor::<1, Int>::from_data(TensorData::new(parts.targets, [batch]), device);
    Observation {
        ids: parts.ids,
        loss: cross_entropy(logits.clone(), targets.clone()),
        logits,
        targets,
        features: Some(Tensor::from_data(TensorData::new(parts.features, [batch, 16]), device)),
        input_std: Some(Tensor::from_data(TensorData::new(parts.input_std, [batch]), device)),
        history: Some(history(parts.history, batch, device)),
        reference: Some(Tensor::from_data(TensorData::new(parts.reference, [batch]), device)),
    }
}

fn history(columns: [Vec<f32>; 4], batch: usize, device: &Device) -> History {
    let [loss, change, forgotten, correct] =
        columns.map(|values| Tensor::from_data(TensorData::new(values, [batch]), device));
    History { loss, change, forgotten, correct }
}

fn parts(seen: &Observation) -> Parts {
    let floats = |data: TensorData| data.try_into_vec::<f32>().expect("f32");
    let History { loss, change, forgotten, correct } = seen.history.clone().expect("present");
    Parts {
        history: [loss, change, forgotten, correct].map(|column| floats(column.into_data())),
        ids: seen.ids.clone(),
        logits: floats(seen.logits.to_data()),
        features: floats(seen.features.clone().expect("present").into_data()),
        input_std: floats(seen.input_std.clone().expect("present").into_data()),
        reference: floats(seen.reference.clone().expect("present").into_data()),
        targets: seen.targets.to_data_as::<i32>().try_into_vec().expect("i32"),
        classes: seen.logits.dims()[1],
    }
}

fn reorder(seen: &Observation, order: &[usize], device: &Device) -> Observation {
    let from = parts(seen);
    let rows = |values: &[f32], width: usize| -> Vec<f32> {
        order.iter().flat_map(|i| &values[i * width..(i + 1) * width]).copied().collect()
    };
    let to = Parts {
        ids: order.iter().map(|i| from.ids[*i]).collect(),
        logits: rows(&from.logits, from.classes),
        features: rows(&from.features, 16),
        input_std: rows(&from.input_std, 1),
        targets: order.iter().map(|i| from.targets[*i]).collect(),
        history: from.history.each_ref().map(|column| rows(column, 1)),
        reference: rows(&from.reference, 1),
        classes: from.classes,
    };
    assemble(to, device)
}

/// A context as in mid-run.
#[must_use]
pub fn context() -> Context {
    Context { mean_loss: 1.7, mean_input_std: 0.24, random: Random::new(3), step: 42 }
}

fn scores(scorer: &dyn Scorer, seen: &Observation) -> Vec<f32> {
    let scores = scorer.score(seen, &context()).expect("the observation has all fields");
    assert_eq!(scores.dims(), [seen.ids.len()], "shape must be [batch]");
    assert!(!scores.is_tracked(), "scores must not be attached to a gradient");
    scores.into_data().try_into_vec().expect("scores must be f32")
}

/// The contract that every scorer keeps, ours and yours: call it from a test of your crate.
///
/// Shape `[batch]`; finite for finite input; the same twice; a batch of one; permuting samples permutes scores; no gradient attached; NaN in one sample's logits
/// does not touch the scores of others.
///
/// # Panics
/// If the contract is broken, saying how.
pub fn check_scorer(scorer: &dyn Scorer, device: &Device) {
    for classes in [2, 10] {
        let seen = observation(7, classes, 11, device);
        let all = scores(scorer, &seen);
        assert!(all.iter().all(|x| x.is_finite()), "not finite: {all:?}");
        assert_eq!(all, scores(scorer, &seen), "a scorer has no memory: the same observation must score the same");

        let order = [3, 0, 6, 5, 1, 2, 4];
        let permuted = scores(scorer, &reorder(&seen, &order, device));
        for (place, i) in order.into_iter().enumerate() {
            assert!(close(permuted[place], all[i]), "permuting samples must permute scores: {permuted:?} {all:?}");
        }
        for (i, whole) in all.iter().enumerate() {
            let alone = scores(scorer, &reorder(&seen, &[i], device));
            assert!(close(alone[0], *whole), "a sample must score alone as in a batch: {alone:?} {whole}");
        }

        let mut broken = parts(&seen);
        broken.logits[2 * classes] = f32::NAN;
        let with_nan = scores(scorer, &assemble(broken, device));
        for i in [0, 1, 3, 4, 5, 6] {
            assert!(close(with_nan[i], all[i]), "NaN in sample 2 must not touch sample {i}: {with_nan:?} {all:?}");
        }
    }
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-5 * b.abs().max(1.0)
}
