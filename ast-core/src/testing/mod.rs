//! Contract checks, one for each kind of plugin, and test doubles (feature `testing`).

mod dataset;
#[cfg(feature = "train")]
mod network;
#[cfg(feature = "train")]
mod optimizer;
mod policy;
mod rate;
mod scorer;
#[cfg(feature = "tensor-scorer")]
mod tensor_scorer;

pub use dataset::check_dataset;
#[cfg(feature = "train")]
pub use network::{RandomSamples, check_network};
#[cfg(feature = "train")]
pub use optimizer::check_optimizer;
pub use policy::check_policy;
pub use rate::realised_rate;
pub use scorer::{check_scorer, context, observation};
#[cfg(feature = "tensor-scorer")]
pub use tensor_scorer::{check_tensor_scorer, tensors};

use std::collections::VecDeque;
use std::sync::Arc;

use crate::data::{Dataset, HostBatch, LoadError, Loader, Request, Shape};
use crate::random::Random;
use crate::select::{
    ChargedProbe, Counts, Goal, Groups, Ledger, Offer, Policy, Probe, ProbeError, ProbeRequest, Probed, Queue,
    SampleId, SampleOutcome, ScoredBy, SelectionContext, Visit,
};

/// A goal of activation rate `target` over 40 nominal epochs, with the default gains.
#[must_use]
pub fn goal(target: f64) -> Goal {
    Goal::activation(target, 40)
}

/// A dataset of labels only.
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
    fn shape(&self) -> Shape {
        Shape::Image([1, 1, 1])
    }
    fn label(&self, id: SampleId) -> usize {
        self.0[id as usize]
    }
    fn write(&self, _: SampleId, out: &mut [f32]) {
        out.fill(0.0);
    }
    fn input_deviation(&self, _: SampleId) -> f32 {
        0.25
    }
}

/// A probe with known losses per sample, which are the scores as well. The proxy gets them in reverse order of the
/// samples, so that a test can tell which network was asked.
#[derive(Debug)]
pub struct KnownLosses(
    /// The loss of each sample.
    pub Vec<f32>,
);

impl Probe for KnownLosses {
    fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
        let ProbeRequest { visits, by, .. } = *request;
        let by_proxy = matches!(by, ScoredBy::Proxy | ScoredBy::ProxyStep(_));
        let place = |visit: &Visit| if by_proxy { self.0.len() - 1 - visit.id as usize } else { visit.id as usize };
        let loss: Vec<f32> = visits.iter().map(|visit| self.0[place(visit)]).collect();
        Ok(Probed { score: loss.clone(), loss, cost: visits.len() as u64, skipped: false })
    }

    fn input_deviation(&mut self, ids: &[SampleId]) -> Result<Vec<f32>, ProbeError> {
        Ok(vec![0.25; ids.len()])
    }
}

/// The input of a policy for one chunk: samples whose losses are all known.
#[derive(Debug)]
pub struct Stage {
    /// The ledger; empty at first.
    pub ledger: Ledger,
    /// The queue; empty at first.
    pub queue: Queue,
    /// The losses that a probe returns.
    pub losses: KnownLosses,
    /// Share of the budget spent, 0..=1; half at first.
    pub spent: f64,
    /// Number of the next chunk.
    pub chunk: u32,
}

impl Stage {
    /// A stage with samples of one class that have these losses, which are the scores as well. None has been trained
    /// on.
    #[must_use]
    pub fn new(losses: &[f32]) -> Self {
        let (ledger, queue) = (Ledger::new(Groups::none(losses.len())), Queue::new(losses.len()));
        Self { ledger, queue, losses: KnownLosses(losses.to_vec()), spent: 0.5, chunk: 0 }
    }

    /// Like [`new`](Self::new), but every sample has been trained on once.
    #[must_use]
    pub fn seen(losses: &[f32]) -> Self {
        let mut stage = Self::new(losses);
        let seen = |(id, loss): (usize, &f32)| {
            let (id, score, loss) = (id as SampleId, *loss, *loss);
            SampleOutcome { id, score, loss, correct: true, coverage: true, worth: None }
        };
        stage.ledger.record(&losses.iter().enumerate().map(seen).collect::<Vec<_>>());
        stage
    }

    /// Offers all samples in order, as one chunk. Returns the accepted samples and their loss weights.
    ///
    /// # Panics
    /// If the policy returns an error.
    pub fn offer(&mut self, policy: &mut dyn Policy) -> (Vec<SampleId>, Vec<f32>) {
        let candidates: Vec<SampleId> = (0..self.ledger.samples() as SampleId).collect();
        let offer = Offer { coverage: &[], candidates: &candidates, epoch: 0, chunk: self.chunk };
        self.chunk += 1;
        let mut counts = Counts::default();
        let mut context = SelectionContext {
            spent: self.spent,
            ledger: &self.ledger,
            queue: &self.queue,
            random: Random::new(1),
            probe: ChargedProbe::new(&mut self.losses, &mut counts, &self.ledger, &self.queue),
        };
        let mut accepted = Vec::new();
        policy.select(offer, &mut context, &mut accepted).expect("the policy decides");
        let weights = policy.loss_weights(offer, &accepted, &context);
        (accepted, weights)
    }
}

/// A loader that builds each batch on the calling thread when it is received.
pub struct DirectLoader {
    dataset: Arc<dyn Dataset>,
    requests: VecDeque<Request>,
}

impl DirectLoader {
    /// A loader for this dataset.
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
        self.requests.pop_front().map(|request| request.collate(self.dataset.as_ref())).transpose()
    }
}
