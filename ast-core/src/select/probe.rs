//! Extra forward passes over candidates, for policies that need them. Every pass is charged to the budget.

use std::error::Error;

use super::counts::Counts;
use super::ledger::Ledger;
use super::queue::Queue;
use super::sample::{Level, SampleId, Visit};

/// The network that makes an extra pass, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScoredBy {
    /// The run's network, without dropout.
    Network,
    /// The run's network in training mode, with dropout, as in the original.
    NetworkInTraining,
    /// The run's network without dropout, on inputs of half the resolution.
    HalfResolution,
    /// The proxy (an auxiliary network), without dropout.
    Proxy,
    /// One optimizer step of the proxy, at the learning rate of the run after this share (0..=1) of its budget. Loss
    /// and score are from before the step, in training mode. The step is skipped if a value is NaN or infinite.
    ProxyStep(f64),
}

/// The result of an extra pass, per sample, and its cost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Probed {
    /// Loss of each sample.
    pub loss: Vec<f32>,
    /// Score of each sample. A policy does not select a sample with a NaN score.
    pub score: Vec<f32>,
    /// Cost of the whole pass, in the unit of the selector's costs.
    pub cost: u64,
    /// Whether the step of a [`ScoredBy::ProxyStep`] was skipped.
    pub skipped: bool,
}

/// A policy's request for an extra pass.
#[derive(Debug, Clone, Copy)]
pub struct ProbeRequest<'a> {
    /// The samples to score, at least one.
    pub visits: &'a [Visit],
    /// The network to score with.
    pub by: ScoredBy,
    /// Per-sample memory of earlier steps, for scorers that use it.
    pub ledger: &'a Ledger,
    /// Number of samples scored before in the run. Keys the randomness of the pass.
    pub scored: u64,
    /// The level at which the samples are computed, and charged.
    pub level: Level,
}

/// Extra forward passes and other measurements that a training loop provides to policies.
///
/// A sample must be augmented as in a training step of the same visit, so that the scored input equals the trained one.
pub trait Probe {
    /// Loss and score of each sample.
    ///
    /// # Errors
    /// [`ProbeError`].
    fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError>;

    /// Whether it makes extra passes. If not, policies that may ask for some are refused at the start.
    fn makes_passes(&self) -> bool {
        true
    }

    /// Standard deviation of each sample's input before augmentation. It is not charged.
    ///
    /// # Errors
    /// [`ProbeError::NotOffered`] by default.
    fn input_deviation(&mut self, _ids: &[SampleId]) -> Result<Vec<f32>, ProbeError> {
        Err(ProbeError::NotOffered("the standard deviation of inputs"))
    }

    /// Seconds of training so far, for a [`Goal`](super::Goal) in seconds.
    ///
    /// # Errors
    /// [`ProbeError::NotOffered`] by default.
    fn seconds(&mut self) -> Result<f64, ProbeError> {
        Err(ProbeError::NoClock)
    }
}

/// A probe without any extra pass: enough for most policies.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProbe;

impl Probe for NoProbe {
    fn makes_passes(&self) -> bool {
        false
    }

    fn score(&mut self, _: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
        Err(ProbeError::NotOffered("extra forward passes"))
    }
}

/// An error of a probe.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The loop does not provide it.
    #[error("the policy needs {0}, which this training loop does not provide: see `Probe`")]
    NotOffered(&'static str),
    /// The goal is in seconds, but the probe has no clock.
    #[error("the goal is in seconds: implement `Probe::seconds`")]
    NoClock,
    /// The clock returned an invalid time.
    #[error("`Probe::seconds` returned {0}; it must return the seconds of training so far, 0 or more")]
    Clock(
        /// The returned value.
        f64,
    ),
    /// The number of returned values differs from the number of samples.
    #[error("the probe returned {found} {column} for {expected} samples")]
    Length {
        /// Losses or scores.
        column: &'static str,
        /// Number of samples requested.
        expected: usize,
        /// Number of values returned.
        found: usize,
    },
    /// The pass failed.
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
}

/// A probe that charges every pass. Policies only get this one.
pub struct ChargedProbe<'a> {
    probe: &'a mut dyn Probe,
    counts: &'a mut Counts,
    ledger: &'a Ledger,
    queue: &'a Queue,
    level: Level,
}

impl<'a> ChargedProbe<'a> {
    /// Charges the passes of `probe` to `counts`.
    pub fn new(probe: &'a mut dyn Probe, counts: &'a mut Counts, ledger: &'a Ledger, queue: &'a Queue) -> Self {
        Self { probe, counts, ledger, queue, level: 0 }
    }

    /// Makes the passes at a level instead of level 0.
    #[must_use]
    pub fn at(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// Loss and score of each sample, seen as it is if it is accepted now. Without samples, no pass is made.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub fn score(&mut self, visits: &[Visit], by: ScoredBy) -> Result<Probed, ProbeError> {
        if visits.is_empty() {
            return Ok(Probed::default());
        }
        let scored = self.counts.scored;
        let now = |visit: &Visit| self.queue.visit(visit.id, visit.epoch, self.ledger);
        let now: Vec<Visit> = visits.iter().map(now).collect();
        let probed =
            self.probe.score(&ProbeRequest { visits: &now, by, ledger: self.ledger, scored, level: self.level })?;
        for (column, found) in [("losses", probed.loss.len()), ("scores", probed.score.len())] {
            if found != visits.len() {
                return Err(ProbeError::Length { column, expected: visits.len(), found });
            }
        }
        self.counts.charge(visits.len(), by, &probed);
        Ok(probed)
    }

    /// See [`Probe::input_deviation`].
    ///
    /// # Errors
    /// [`ProbeError`].
    pub fn input_deviation(&mut self, ids: &[SampleId]) -> Result<Vec<f32>, ProbeError> {
        self.probe.input_deviation(ids)
    }
}

impl Counts {
    /// Counts an extra pass over `samples` samples.
    pub(crate) fn charge(&mut self, samples: usize, by: ScoredBy, probed: &Probed) {
        let samples = samples as u64;
        match by {
            ScoredBy::Network | ScoredBy::NetworkInTraining => self.scored += samples,
            ScoredBy::HalfResolution => {
                (self.scored, self.scored_half) = (self.scored + samples, self.scored_half + samples)
            }
            ScoredBy::Proxy => self.auxiliary_scored += samples,
            ScoredBy::ProxyStep(_) => self.auxiliary_trained += samples,
        }
        self.probe_cost += probed.cost;
        self.skipped += u64::from(probed.skipped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::sample::Groups;

    struct Two;

    impl Probe for Two {
        fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
            let n = request.visits.len();
            let loss = if n == 1 { Vec::new() } else { vec![0.0; n] };
            Ok(Probed { score: loss.clone(), loss, cost: 2 * n as u64, skipped: false })
        }
    }

    #[test]
    fn every_pass_is_charged() {
        let (mut counts, visits) = (Counts::default(), [Visit { id: 0, epoch: 0, earlier: 0 }; 3]);
        let ledger = Ledger::new(Groups::none(1));
        let mut two = Two;
        let queue = Queue::new(1);
        let mut charged = ChargedProbe::new(&mut two, &mut counts, &ledger, &queue);
        for by in [ScoredBy::Network, ScoredBy::NetworkInTraining, ScoredBy::HalfResolution, ScoredBy::Proxy] {
            charged.score(&visits, by).unwrap();
        }
        charged.score(&visits[..2], ScoredBy::ProxyStep(0.5)).unwrap();
        charged.score(&[], ScoredBy::Network).unwrap();
        assert!(charged.score(&visits[..1], ScoredBy::Network).unwrap_err().to_string().contains("0 losses for 1"));
        let expected = Counts {
            scored: 9,
            scored_half: 3,
            auxiliary_scored: 3,
            auxiliary_trained: 2,
            probe_cost: 28,
            ..Counts::default()
        };
        assert_eq!(counts, expected);
    }

    #[test]
    fn the_error_of_a_loop_without_a_probe_names_what_is_missing() {
        let ledger = Ledger::new(Groups::none(1));
        let request = ProbeRequest { visits: &[], by: ScoredBy::Network, ledger: &ledger, scored: 0, level: 0 };
        let error = NoProbe.score(&request).unwrap_err().to_string();
        assert!(error.contains("extra forward passes") && error.contains("`Probe`"), "{error}");
        assert!(NoProbe.seconds().unwrap_err().to_string().contains("implement `Probe::seconds`"));
    }
}
