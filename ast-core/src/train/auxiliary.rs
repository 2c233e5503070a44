//! Auxiliary networks that are trained beside the run's own, for what they think of a sample: 4 % of its work.
//!
//! A network is built when something first asks for it, so a run that needs none has none. Its weights and dropout masks
//! have randomness of their own, keyed by which network it is and by the steps it has made: the run's own network draws
//! the same numbers whether there are auxiliary ones or not.

use std::collections::BTreeMap;

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Device, Int, Tensor};
use ciborium::Value;
use serde::{Deserialize, Serialize};

use super::pass_cost;
use crate::codec::{SnapshotError, decode, encode};
use crate::model::{Forward, Input, Mode, Model, Weights, burn_bytes, cross_entropy};
use crate::optim::optimizer;
use crate::random::{Purpose, Random};
use crate::select::PassCost;

/// Which auxiliary network.
///
/// The numbers key its randomness: never renumber, only append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u64)]
pub(super) enum Auxiliary {
    /// Sees what is offered before the run's own network does.
    Proxy = 0,
    /// Has seen the first half of the samples, and is asked for the second.
    FirstReference = 1,
    /// The other way round.
    SecondReference = 2,
}

/// An auxiliary network, its optimizer, and the steps it has made.
pub(super) struct AuxiliaryNetwork<M> {
    which: Auxiliary,
    model: M,
    optimizer: ModuleOptimizer,
    steps: u64,
    random: Random,
    /// FLOPs on one sample.
    pub(super) cost: PassCost,
}

/// What the forward and backward pass of a step gave; the step itself is not made yet.
pub(super) struct HalfStep {
    pub(super) forward: Forward,
    pub(super) losses: Tensor<1>,
    pub(super) gradients: GradientsParams,
}

impl<M: Model> AuxiliaryNetwork<M> {
    fn new(which: Auxiliary, full: &M, random: Random, device: &Device) -> Self {
        let model = full.proxy(Weights::of(Purpose::AuxiliaryWeights, which as u64, random, device));
        let cost = pass_cost(&model.layers());
        Self { which, model, optimizer: optimizer(), steps: 0, random, cost }
    }

    /// As it is.
    pub(super) fn model(&self) -> &M {
        &self.model
    }

    /// Forward, in training mode, and backward.
    pub(super) fn half_step(&self, input: Input, targets: Tensor<1, Int>) -> HalfStep {
        let mut masks = self.random.stream(Purpose::AuxiliaryDropout, self.steps, self.which as u64);
        let forward = self.model.forward(input, Mode::Train(&mut masks));
        let losses = cross_entropy(forward.logits.clone(), targets);
        let gradients = GradientsParams::from_grads(losses.clone().mean().backward(), &self.model);
        HalfStep { forward, losses, gradients }
    }

    /// The other half: the optimizer.
    pub(super) fn update(&mut self, lr: f64, gradients: GradientsParams) {
        self.model = self.optimizer.step(lr, self.model.clone(), gradients);
        self.steps += 1;
    }
}

/// The auxiliary networks that something has asked for so far.
pub(super) struct AuxiliaryNetworks<M>(BTreeMap<Auxiliary, AuxiliaryNetwork<M>>);

/// One of them in a snapshot.
#[derive(Serialize, Deserialize)]
struct Saved {
    which: Auxiliary,
    steps: u64,
    weights: Value,
    optimizer: Value,
}

const PART: &str = "auxiliary networks";

impl<M: Model> AuxiliaryNetworks<M> {
    /// None yet.
    pub(super) fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// One of them, built like `full` but smaller if this is the first time that it is asked for.
    pub(super) fn get(
        &mut self,
        which: Auxiliary,
        full: &M,
        random: Random,
        device: &Device,
    ) -> &mut AuxiliaryNetwork<M> {
        self.0.entry(which).or_insert_with(|| AuxiliaryNetwork::new(which, full, random, device))
    }

    /// What it takes to go on with them; nothing if there are none.
    pub(super) fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        let failed = |error: RecordError| SnapshotError::Encode(PART, error.to_string());
        let saved = |network: &AuxiliaryNetwork<M>| {
            let weights = network.model.clone().into_record().into_bytes().map_err(failed)?;
            let optimizer = network.optimizer.into_bytes().map_err(failed)?;
            let [weights, optimizer] = [weights, optimizer].map(|bytes| Value::Bytes(bytes.to_vec()));
            Ok(Saved { which: network.which, steps: network.steps, weights, optimizer })
        };
        let all = self.0.values().map(saved).collect::<Result<Vec<_>, SnapshotError>>()?;
        if all.is_empty() { Ok(Vec::new()) } else { encode(PART, &all) }
    }

    /// Takes back what [`save`](Self::save) gave.
    pub(super) fn restore(bytes: &[u8], full: &M, random: Random, device: &Device) -> Result<Self, SnapshotError> {
        let mut networks = Self::none();
        if bytes.is_empty() {
            return Ok(networks);
        }
        let failed = |error: RecordError| SnapshotError::Decode(PART, error.to_string());
        for Saved { which, steps, weights, optimizer: moments } in decode::<Vec<Saved>>(PART, bytes)? {
            let [weights, moments] = [weights, moments].map(|value| match value {
                Value::Bytes(bytes) => Ok(burn_bytes(&bytes)),
                _ => Err(SnapshotError::Decode(PART, "a record is not made of bytes".into())),
            });
            let network = networks.get(which, full, random, device);
            let record = ModuleRecord::from_bytes(weights?).map_err(failed)?;
            network.model = network.model.clone().try_load_record(record).map_err(failed)?;
            network.optimizer = optimizer().from_bytes(moments?).map_err(failed)?;
            network.steps = steps;
        }
        Ok(networks)
    }
}
