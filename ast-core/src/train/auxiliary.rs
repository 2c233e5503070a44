//! Auxiliary networks: narrow versions of the run's network, trained beside it to score samples. A step costs 4 % of
//! the run's.
//!
//! An auxiliary network is built on first use, so a run that needs none has none. Its weights and dropout masks have
//! their own randomness, keyed by the kind of the network and its step. The run's network therefore draws the same
//! random numbers with and without auxiliary networks.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use ciborium::Value;
use serde::{Deserialize, Serialize};

use super::error::PassError;
use super::feed::Uploaded;
use super::learner::{Gradients, Learner, StepRule};
use super::pass_cost;
use super::statistics::ForwardedBatch;
use crate::codec::{SnapshotError, decode, encode};
use crate::data::Shape;
use crate::model::{Model, Weights};
use crate::random::{Purpose, Random};
use crate::select::PassCost;

/// The kind of an auxiliary network.
///
/// The numbers key its randomness: append new ones, never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u64)]
pub(super) enum Auxiliary {
    /// Trained on the offered candidates, to score them.
    Proxy = 0,
    /// Trained on the first half of the samples, to give the losses of the second half.
    FirstReference = 1,
    /// Trained on the second half of the samples, to give the losses of the first half.
    SecondReference = 2,
}

/// An auxiliary network in training, and the number of its steps.
pub(super) struct AuxiliaryNetwork<M> {
    which: Auxiliary,
    learner: Learner<M>,
    steps: u64,
    random: Random,
}

impl<M: Model> AuxiliaryNetwork<M> {
    /// The network in its current state.
    pub(super) fn model(&self) -> &M {
        &self.learner.model
    }

    /// FLOPs of a sample of this shape.
    pub(super) fn cost(&self, shape: Shape) -> Result<PassCost, PassError> {
        Ok(pass_cost(&self.learner.model.layers(shape)?))
    }

    /// See [`Learner::gradients`].
    pub(super) fn gradients(&self, data: Uploaded, spent: f64) -> (ForwardedBatch, Gradients) {
        let masks = self.random.stream(Purpose::AuxiliaryDropout, self.steps, self.which as u64);
        self.learner.gradients(data, None, masks, spent)
    }

    /// The optimizer's update.
    pub(super) fn update(&mut self, lr: f64, gradients: Gradients) {
        self.learner.update(lr, gradients);
        self.steps += 1;
    }
}

/// The auxiliary networks built so far.
pub(super) struct AuxiliaryNetworks<M> {
    rule: StepRule,
    /// The optimizer before its first step, copied for each network.
    optimizer: ModuleOptimizer,
    networks: BTreeMap<Auxiliary, AuxiliaryNetwork<M>>,
}

/// An auxiliary network in a snapshot.
#[derive(Serialize, Deserialize)]
struct Saved {
    which: Auxiliary,
    steps: u64,
    weights: Value,
    optimizer: Value,
}

const PART: &str = "auxiliary networks";

impl<M: Model> AuxiliaryNetworks<M> {
    /// An empty set.
    pub(super) fn none(rule: StepRule, optimizer: ModuleOptimizer) -> Self {
        Self { rule, optimizer, networks: BTreeMap::new() }
    }

    /// Takes all networks out.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::none(self.rule, self.optimizer.clone()))
    }

    /// Returns one of them; builds it on first use as [`Model::proxy`] of `full`.
    pub(super) fn get(
        &mut self,
        which: Auxiliary,
        full: &M,
        random: Random,
        device: &Device,
    ) -> Result<&mut AuxiliaryNetwork<M>, PassError> {
        Ok(match self.networks.entry(which) {
            Entry::Occupied(network) => network.into_mut(),
            Entry::Vacant(place) => {
                let weights = Weights::of(Purpose::AuxiliaryWeights, which as u64, random, device);
                let model = full.proxy(weights).ok_or(PassError::NoProxy)?;
                let learner = Learner::new(model, self.rule, self.optimizer.clone(), device.clone());
                place.insert(AuxiliaryNetwork { which, learner, steps: 0, random })
            }
        })
    }

    /// Saves all of them; empty if there are none.
    pub(super) fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        let saved = |network: &AuxiliaryNetwork<M>| {
            let (weights, optimizer) = network.learner.save()?;
            let (weights, optimizer) = (Value::Bytes(weights), Value::Bytes(optimizer));
            Ok(Saved { which: network.which, steps: network.steps, weights, optimizer })
        };
        let all = self.networks.values().map(saved).collect::<Result<Vec<_>, SnapshotError>>()?;
        if all.is_empty() { Ok(Vec::new()) } else { encode(PART, &all) }
    }

    /// Restores the networks from [`save`](Self::save).
    pub(super) fn restore(
        &mut self,
        bytes: &[u8],
        full: &M,
        random: Random,
        device: &Device,
    ) -> Result<(), SnapshotError> {
        self.networks.clear();
        if bytes.is_empty() {
            return Ok(());
        }
        for Saved { which, steps, weights, optimizer } in decode::<Vec<Saved>>(PART, bytes)? {
            let (Value::Bytes(weights), Value::Bytes(moments)) = (weights, optimizer) else {
                return Err(SnapshotError::Decode(PART, "a record is not a byte string".into()));
            };
            let network = self.get(which, full, random, device);
            let network = network.map_err(|error| SnapshotError::Decode(PART, error.to_string()))?;
            network.learner.restore(&weights, &moments)?;
            network.steps = steps;
        }
        Ok(())
    }
}
