//! The source of a policy's scores: the ledger, a fresh forward pass or a proxy. Remembers scores of the last two.
//!
//! | source | a score is | costs a nominal epoch |
//! |---|---|---|
//! | `ledger` | the rank at the sample's last training step, fading into the mean rank of its class | nothing |
//! | `fresh` | from a forward pass over the candidates, without dropout | 1/3, or 0.1 at half the resolution |
//! | `proxy` | from the proxy, which is trained on the candidates in lockstep (see the policy `proxy`) | 0.04 |
//!
//! With `every = k` only each k-th nominal epoch has a scoring pass; the epochs between reuse its scores. A sample
//! without one is scored when it is needed, by the proxy without a step. Every pass is charged. A source is used only
//! while its policy selects, and only for candidates.

use serde::{Deserialize, Serialize};

use crate::codec::{SnapshotError, decode, encode};
use crate::plugin::{ParamError, ParamKind, ParamSpec, ParamValue, Params};
use crate::select::policy::{PolicyError, SelectionContext};
use crate::select::probe::ScoredBy;
use crate::select::sample::{SampleId, Visit};
use crate::select::sampler::Offer;
use crate::select::window::Window;

/// Number of recent scores among which ranks are taken, as in the ledger.
const RECENT: usize = 1024;

/// For [`Source::new`].
pub(crate) const SOURCE: ParamSpec = ParamSpec {
    name: "source",
    summary: "where scores come from: ledger: earlier training steps, at no cost; fresh: a forward pass over the candidates; proxy: an auxiliary network trained on them",
    kind: ParamKind::Choice(&["ledger", "fresh", "proxy"]),
};
/// For [`Source::new`].
pub(crate) const EVERY: ParamSpec = ParamSpec {
    name: "every",
    summary: "number of epochs that use the scores of one pass, 1: a pass in every epoch; not for the ledger",
    kind: ParamKind::Integer { default: 1, min: 1, max: 1000 },
};
/// For [`Source::new`] and [`Source::fresh`].
pub(crate) const RESOLUTION: ParamSpec = ParamSpec {
    name: "resolution",
    summary: "resolution of the images in a fresh pass; at half, convolutions cost a quarter",
    kind: ParamKind::Choice(&["full", "half"]),
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Ledger,
    Fresh { half: bool },
    Proxy,
}

pub(crate) struct Source {
    kind: Kind,
    every: u32,
    memory: Memory,
}

#[derive(Serialize, Deserialize)]
struct Memory {
    /// The epoch of the last scoring pass.
    looked: Option<u32>,
    /// Score of each sample in the last pass, as bits, because NaN stands for no score. Empty if every epoch has a
    /// pass.
    last: Vec<u32>,
    recent: Window,
}

impl Source {
    /// From the parameters [`SOURCE`], [`EVERY`] and [`RESOLUTION`].
    pub(crate) fn new(params: &Params) -> Result<Self, ParamError> {
        let (every, half) = (params.integer("every")?, params.word("resolution")? == "half");
        let source = params.word("source")?;
        let needless = |key, value, than: &str| {
            let allowed = format!("possible with source = \"{source}\": it is for source = {than}");
            Err(ParamError::OutOfRange { key, value, allowed })
        };
        match source {
            "fresh" => Ok(Self::fresh(every, half)),
            _ if half => needless("resolution", ParamValue::Word("half".into()), "\"fresh\""),
            "proxy" => Ok(Self::proxy(every)),
            _ if every > 1 => needless("every", ParamValue::Number(every.into()), "\"fresh\" or \"proxy\""),
            _ => Ok(Self::ledger()),
        }
    }

    /// Scores from the ledger.
    pub(crate) fn ledger() -> Self {
        Self::of(Kind::Ledger, 1)
    }

    /// Scores from a pass of the run's network in every `every`-th nominal epoch.
    pub(crate) fn fresh(every: u32, half: bool) -> Self {
        Self::of(Kind::Fresh { half }, every)
    }

    /// Scores from a proxy that makes a training step in every `every`-th nominal epoch.
    pub(crate) fn proxy(every: u32) -> Self {
        Self::of(Kind::Proxy, every)
    }

    fn of(kind: Kind, every: u32) -> Self {
        let memory = Memory { looked: None, last: Vec::new(), recent: Window::new(RECENT) };
        Self { kind, every: every.max(1), memory }
    }

    /// Whether it needs extra passes.
    pub(crate) fn probes(&self) -> bool {
        self.kind != Kind::Ledger
    }

    /// Score of each candidate, in the scorer's own scale; NaN for a sample not to be selected. `None` if the scores
    /// are in the ledger.
    pub(crate) fn scores(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
    ) -> Result<Option<Vec<f32>>, PolicyError> {
        if self.kind == Kind::Ledger {
            return Ok(None);
        }
        let looked = self.memory.looked;
        let has_pass = looked.is_none_or(|last| offer.epoch == last || offer.epoch.saturating_sub(last) >= self.every);
        if has_pass {
            self.memory.looked = Some(offer.epoch);
        }
        let mut scores: Vec<f32> =
            offer.candidates.iter().map(|id| if has_pass { f32::NAN } else { self.remembered(*id) }).collect();
        let unknown: Vec<usize> = (0..scores.len()).filter(|i| scores[*i].is_nan()).collect();
        let visit = |i: &usize| Visit { id: offer.candidates[*i], epoch: offer.epoch, earlier: 0 };
        let visits: Vec<_> = unknown.iter().map(visit).collect();
        let by = match self.kind {
            Kind::Proxy if has_pass => ScoredBy::ProxyStep(context.spent),
            Kind::Proxy => ScoredBy::Proxy,
            Kind::Fresh { half: true } => ScoredBy::HalfResolution,
            Kind::Fresh { half: false } | Kind::Ledger => ScoredBy::Network,
        };
        for (i, score) in unknown.into_iter().zip(context.probe.score(&visits, by)?.score) {
            scores[i] = score;
        }
        if self.every > 1 {
            self.memory.last.resize(context.ledger.samples(), f32::NAN.to_bits());
            let scored = offer.candidates.iter().zip(&scores);
            scored.for_each(|(id, score)| self.memory.last[*id as usize] = score.to_bits());
        }
        Ok(Some(scores))
    }

    /// Rank of each candidate, 0..=1; `None` if it has no score yet, NaN if it is not to be selected.
    ///
    /// The rank is the ledger's score with its `horizon`, or else the rank among the last 1,024 scores.
    pub(crate) fn ranks(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        horizon: f64,
    ) -> Result<Vec<Option<f64>>, PolicyError> {
        let Some(scores) = self.scores(offer, context)? else {
            return Ok(offer.candidates.iter().map(|id| context.ledger.score(*id, horizon)).collect());
        };
        let recent = &mut self.memory.recent;
        recent.extend(scores.iter().copied());
        let rank = |score: f32| if score.is_nan() { f64::NAN } else { recent.rank(score).into() };
        Ok(scores.into_iter().map(|score| Some(rank(score))).collect())
    }

    /// The score of a sample in the last pass; NaN if there is none.
    fn remembered(&self, id: SampleId) -> f32 {
        self.memory.last.get(id as usize).map_or(f32::NAN, |bits| f32::from_bits(*bits))
    }

    /// Encodes the policy's state `own` together with the remembered scores.
    pub(crate) fn save(&self, own: Vec<u8>) -> Result<Vec<u8>, SnapshotError> {
        match self.kind {
            Kind::Ledger => Ok(own),
            _ => encode("policy", &(ciborium::Value::Bytes(own), &self.memory)),
        }
    }

    /// Restores the remembered scores from [`save`](Self::save). Returns the policy's own state.
    pub(crate) fn restore(&mut self, saved: &[u8]) -> Result<Vec<u8>, SnapshotError> {
        if self.kind == Kind::Ledger {
            return Ok(saved.to_vec());
        }
        let (own, memory): (ciborium::Value, Memory) = decode("policy", saved)?;
        self.memory = memory;
        own.into_bytes()
            .map_err(|_| SnapshotError::Decode("policy", "the policy's own state is not a byte string".into()))
    }
}

#[cfg(test)]
mod tests;
