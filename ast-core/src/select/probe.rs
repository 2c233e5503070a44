//! Extra forward passes over candidates, for policies that insist on them. Every pass is charged to the budget.

use std::error::Error;

use super::counts::Counts;
use super::ledger::Ledger;
use super::sample::{SampleId, Visit};

/// Which network an extra pass is made with, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScoredBy {
    /// The network as it is, without dropout.
    Network,
    /// The network in training mode, with dropout, as the original scored.
    NetworkInTraining,
    /// The network without dropout, on inputs of half the resolution.
    HalfResolution,
    /// A small network beside it, as it is, without dropout.
    Proxy,
    /// One optimizer step of that small network, at the learning rate of the run after this share (0..=1) of its budget.
    /// Loss and score are those before the step, in training mode. A step that a NaN or an infinity spoils is not made.
    ProxyStep(f64),
}

/// What an extra pass showed, sample by sample, and what it cost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Probed {
    /// Loss of each sample.
    pub loss: Vec<f32>,
    /// Score of each sample; a policy passes over one that is NaN.
    pub score: Vec<f32>,
    /// Of the whole pass, in the unit of the selector's costs.
    pub cost: u64,
    /// Whether the step of a [`ScoredBy::ProxyStep`] was not made.
    pub skipped: bool,
}

/// What a policy asks of a training loop.
#[derive(Debug, Clone, Copy)]
pub struct ProbeRequest<'a> {
    /// The samples, one at least.
    pub visits: &'a [Visit],
    /// By which network.
    pub by: ScoredBy,
    /// What is remembered of samples, for scorers that want that.
    pub ledger: &'a Ledger,
    /// Samples scored before, in the whole run: a key for what is random in the pass.
    pub scored: u64,
}

/// What a training loop offers to a policy that wants more than steps have shown.
///
/// A sample is to be seen as in a training step of the same visit: what is scored is what is trained on.
pub trait Probe {
    /// Loss and score of each sample.
    ///
    /// # Errors
    /// [`ProbeError`].
    fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError>;

    /// Whether it makes extra passes at all. A policy that may ask for some is refused at once where there are none.
    fn makes_passes(&self) -> bool {
        true
    }

    /// The standard deviation of each sample's un-augmented input. It costs nothing.
    ///
    /// # Errors
    /// [`ProbeError::NotOffered`] by default.
    fn input_deviation(&mut self, _ids: &[SampleId]) -> Result<Vec<f32>, ProbeError> {
        Err(ProbeError::NotOffered("the deviation of inputs"))
    }

    /// Seconds of training so far, for a [`Goal`](super::Goal) in seconds.
    ///
    /// # Errors
    /// [`ProbeError::NotOffered`] by default.
    fn seconds(&mut self) -> Result<f64, ProbeError> {
        Err(ProbeError::NoClock)
    }
}

/// A loop that offers nothing but its steps: enough for most policies.
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

/// Why there was no extra pass.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The loop has nothing of the kind.
    #[error("the policy asks for {0}, and this training loop offers none: see `Probe`")]
    NotOffered(&'static str),
    /// The goal is in seconds, and nobody tells the time.
    #[error("the goal is in seconds: implement `Probe::seconds`")]
    NoClock,
    /// A clock that is not one.
    #[error("`Probe::seconds` says {0}: it is to give the seconds of training so far, 0 and above")]
    Clock(
        /// What it says.
        f64,
    ),
    /// What it gave is not of the samples it was asked for.
    #[error("the probe gave {found} {column} for {expected} samples")]
    Length {
        /// Losses or scores.
        column: &'static str,
        /// Samples asked for.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// It failed.
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
}

/// A probe as a policy has it: every pass is charged.
pub struct ChargedProbe<'a> {
    probe: &'a mut dyn Probe,
    counts: &'a mut Counts,
    ledger: &'a Ledger,
}

impl<'a> ChargedProbe<'a> {
    /// Charges what `probe` does to `counts`.
    pub fn new(probe: &'a mut dyn Probe, counts: &'a mut Counts, ledger: &'a Ledger) -> Self {
        Self { probe, counts, ledger }
    }

    /// Loss and score of each sample; of none, nothing.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub fn score(&mut self, visits: &[Visit], by: ScoredBy) -> Result<Probed, ProbeError> {
        if visits.is_empty() {
            return Ok(Probed::default());
        }
        let scored = self.counts.scored;
        let probed = self.probe.score(&ProbeRequest { visits, by, ledger: self.ledger, scored })?;
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
        let (mut counts, visits) = (Counts::default(), [Visit { id: 0, epoch: 0 }; 3]);
        let ledger = Ledger::new(Groups::none(1));
        let mut two = Two;
        let mut charged = ChargedProbe::new(&mut two, &mut counts, &ledger);
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
    fn a_loop_without_a_probe_says_what_it_lacks() {
        let ledger = Ledger::new(Groups::none(1));
        let request = ProbeRequest { visits: &[], by: ScoredBy::Network, ledger: &ledger, scored: 0 };
        let error = NoProbe.score(&request).unwrap_err().to_string();
        assert!(error.contains("extra forward passes") && error.contains("`Probe`"), "{error}");
        assert!(NoProbe.seconds().unwrap_err().to_string().contains("implement `Probe::seconds`"));
    }
}
