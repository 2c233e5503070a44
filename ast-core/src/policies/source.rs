//! Where a policy's scores come from: three sources, and a memory for two of them.
//!
//! | source | a score is | costs a nominal epoch |
//! |---|---|---|
//! | `ledger` | what training showed of the sample when it was last trained on, faded into its class | nothing |
//! | `fresh` | that of a forward pass over the candidates, dropout off | 1/3, or 0.1 at half the resolution |
//! | `proxy` | that under a small network, trained on the candidates in lockstep (see the policy `proxy`) | 0.04 |
//!
//! With `every = k` only each k-th nominal epoch looks, from the first in which the policy asks; in between, the scores of
//! the last look serve, and what was not looked at then is looked at now, by the small network without a step. All of it is
//! charged. A source is asked only while its policy selects, and only about candidates.

use serde::{Deserialize, Serialize};

use crate::data::{SampleId, Visit};
use crate::params::{ParamError, ParamKind, ParamSpec, ParamValue, Params};
use crate::policy::{PolicyError, View};
use crate::sampler::Offer;
use crate::small::Small;
use crate::snapshot::{SnapshotError, decode, encode};
use crate::window::Window;

/// How many recent scores a rank is taken among: as many as in the ledger.
const RECENT: usize = 1024;

/// For [`Source::new`].
pub(super) const SOURCE: ParamSpec = ParamSpec {
    name: "source",
    summary: "where scores come from: the ledger, for nothing; a fresh forward pass over the candidates; a small network trained on them as proxy",
    kind: ParamKind::Choice(&["ledger", "fresh", "proxy"]),
};
/// For [`Source::new`].
pub(super) const EVERY: ParamSpec = ParamSpec {
    name: "every",
    summary: "epochs for which the scores of one look serve, 1: a look in every epoch; not for the ledger",
    kind: ParamKind::Number { default: 1.0, min: 1.0, max: 1000.0 },
};
/// For [`Source::new`] and [`Source::fresh`].
pub(super) const RESOLUTION: ParamSpec = ParamSpec {
    name: "resolution",
    summary: "of the images in a fresh look: half costs a quarter in the convolutions",
    kind: ParamKind::Choice(&["full", "half"]),
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Ledger,
    Fresh { half: bool },
    Proxy,
}

pub(super) struct Source {
    kind: Kind,
    every: u32,
    memory: Memory,
}

#[derive(Serialize, Deserialize)]
struct Memory {
    /// The epoch of the first look.
    first: Option<u32>,
    /// Score of each sample at its last look, as bits, because NaN stands for none. Empty if every epoch has a look.
    last: Vec<u32>,
    recent: Window,
}

impl Source {
    /// As [`SOURCE`], [`EVERY`] and [`RESOLUTION`] say.
    pub(super) fn new(params: &Params) -> Result<Self, ParamError> {
        let (every, half) = (params.number("every")? as u32, params.word("resolution")? == "half");
        let source = params.word("source")?;
        let needless = |key, value, than: &str| {
            let allowed = format!("possible with source = \"{source}\": it is for source = {than}");
            Err(ParamError::OutOfRange { key, value, allowed })
        };
        match source {
            "fresh" => Ok(Self::fresh(every, half)),
            _ if half => needless("resolution", ParamValue::Word("half".into()), "\"fresh\""),
            "proxy" => Ok(Self::of(Kind::Proxy, every)),
            _ if every > 1 => needless("every", ParamValue::Number(every.into()), "\"fresh\" or \"proxy\""),
            _ => Ok(Self::ledger()),
        }
    }

    /// What training showed anyway.
    pub(super) fn ledger() -> Self {
        Self::of(Kind::Ledger, 1)
    }

    /// A look in every `every`-th nominal epoch.
    pub(super) fn fresh(every: u32, half: bool) -> Self {
        Self::of(Kind::Fresh { half }, every)
    }

    fn of(kind: Kind, every: u32) -> Self {
        let memory = Memory { first: None, last: Vec::new(), recent: Window::new(RECENT) };
        Self { kind, every: every.max(1), memory }
    }

    /// The score of each candidate, in the scorer's own scale; `None` if the ledger is to be asked. NaN is that of a sample to
    /// be passed over.
    pub(super) fn scores(&mut self, offer: Offer<'_>, view: &mut View<'_>) -> Result<Option<Vec<f32>>, PolicyError> {
        if self.kind == Kind::Ledger {
            return Ok(None);
        }
        let first = *self.memory.first.get_or_insert(offer.epoch);
        let looks = offer.epoch.saturating_sub(first).is_multiple_of(self.every);
        let mut scores: Vec<f32> =
            offer.candidates.iter().map(|id| if looks { f32::NAN } else { self.remembered(*id) }).collect();
        let unknown: Vec<usize> = (0..scores.len()).filter(|i| scores[*i].is_nan()).collect();
        let visits: Vec<_> = unknown.iter().map(|i| Visit { id: offer.candidates[*i], epoch: offer.epoch }).collect();
        let seen = match self.kind {
            Kind::Proxy if looks => view.fresh.train_small(Small::Proxy, &visits, view.spent)?,
            Kind::Proxy => view.fresh.look_small(Small::Proxy, &visits)?,
            Kind::Fresh { half: true } => view.fresh.look_half(&visits)?,
            Kind::Fresh { half: false } | Kind::Ledger => view.fresh.look(&visits, false)?,
        };
        for (i, fresh) in unknown.into_iter().zip(seen) {
            scores[i] = fresh.score;
        }
        if self.every > 1 {
            self.memory.last.resize(view.dataset.samples(), f32::NAN.to_bits());
            let scored = offer.candidates.iter().zip(&scores);
            scored.for_each(|(id, score)| self.memory.last[*id as usize] = score.to_bits());
        }
        Ok(Some(scores))
    }

    /// The rank of each candidate, 0..=1; `None` if nothing is known of it. NaN is that of a sample to be passed over.
    ///
    /// The ledger's own with its `horizon`, or else that among the last 1,024 scores.
    pub(super) fn ranks(
        &mut self,
        offer: Offer<'_>,
        view: &mut View<'_>,
        horizon: f64,
    ) -> Result<Vec<Option<f64>>, PolicyError> {
        let Some(scores) = self.scores(offer, view)? else {
            return Ok(offer.candidates.iter().map(|id| view.ledger.score(*id, horizon)).collect());
        };
        let recent = &mut self.memory.recent;
        recent.extend(scores.iter().copied());
        let rank = |score: f32| if score.is_nan() { f64::NAN } else { recent.rank(score).into() };
        Ok(scores.into_iter().map(|score| Some(rank(score))).collect())
    }

    /// The score of a sample at its last look; NaN if there is none.
    fn remembered(&self, id: SampleId) -> f32 {
        self.memory.last.get(id as usize).map_or(f32::NAN, |bits| f32::from_bits(*bits))
    }

    /// What a policy has to save: `own`, what it knows itself, and what the source remembers.
    pub(super) fn save(&self, own: Vec<u8>) -> Result<Vec<u8>, SnapshotError> {
        match self.kind {
            Kind::Ledger => Ok(own),
            _ => encode("policy", &(ciborium::Value::Bytes(own), &self.memory)),
        }
    }

    /// Takes back what [`save`](Self::save) gave; returns the policy's own part.
    pub(super) fn restore(&mut self, saved: &[u8]) -> Result<Vec<u8>, SnapshotError> {
        if self.kind == Kind::Ledger {
            return Ok(saved.to_vec());
        }
        let (own, memory): (ciborium::Value, Memory) = decode("policy", saved)?;
        self.memory = memory;
        own.into_bytes().map_err(|_| SnapshotError::Decode("policy", "its own part is not made of bytes".into()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::fresh::{Fresh, FreshPass};
    use crate::passes::PassError;
    use crate::random::Random;
    use crate::testing::{NoLook, Stage};

    /// Notes who was asked about whom; the score is the epoch plus a tenth of the sample.
    #[derive(Default)]
    struct Notes(Vec<(&'static str, Vec<SampleId>)>);

    impl Notes {
        fn note(&mut self, who: &'static str, visits: &[Visit]) -> Result<Vec<Fresh>, PassError> {
            if !visits.is_empty() {
                self.0.push((who, visits.iter().map(|visit| visit.id).collect()));
            }
            let score = |visit: &Visit| visit.epoch as f32 + visit.id as f32 / 10.0;
            Ok(visits.iter().map(score).map(|score| Fresh { loss: 1.0, score }).collect())
        }
    }

    impl FreshPass for Notes {
        fn look(&mut self, visits: &[Visit], dropout: bool) -> Result<Vec<Fresh>, PassError> {
            assert!(!dropout);
            self.note("full", visits)
        }
        fn look_half(&mut self, visits: &[Visit]) -> Result<Vec<Fresh>, PassError> {
            self.note("half", visits)
        }
        fn train_small(&mut self, which: Small, visits: &[Visit], spent: f64) -> Result<Vec<Fresh>, PassError> {
            assert_eq!((which, spent), (Small::Proxy, 0.5));
            self.note("step", visits)
        }
        fn look_small(&mut self, _: Small, visits: &[Visit]) -> Result<Vec<Fresh>, PassError> {
            self.note("small", visits)
        }
    }

    fn source(given: &[(&str, &str)], every: f64) -> Result<Source, ParamError> {
        let mut params: BTreeMap<String, ParamValue> =
            given.iter().map(|(key, value)| ((*key).into(), ParamValue::Word((*value).into()))).collect();
        params.insert("every".into(), ParamValue::Number(every));
        Source::new(&Params::resolve(&[SOURCE, EVERY, RESOLUTION], &params).unwrap())
    }

    /// The scores of these candidates in this epoch.
    fn ask(source: &mut Source, fresh: &mut dyn FreshPass, epoch: u32, candidates: &[SampleId]) -> Option<Vec<f32>> {
        let Stage { data, ledger, queue, .. } = &Stage::new(&[0.0; 4]);
        let offer = Offer { coverage: &[], candidates, epoch, chunk: 0 };
        let mut view = View { spent: 0.5, dataset: data, ledger, queue, random: Random::new(1), fresh };
        source.scores(offer, &mut view).unwrap()
    }

    #[test]
    fn each_source_asks_its_own_network() {
        assert_eq!(ask(&mut source(&[], 1.0).unwrap(), &mut NoLook, 0, &[0, 1]), None);
        for (given, expected) in [
            (&[("source", "fresh")][..], "full"),
            (&[("source", "fresh"), ("resolution", "half")], "half"),
            (&[("source", "proxy")], "step"),
        ] {
            let (mut source, mut notes) = (source(given, 1.0).unwrap(), Notes::default());
            assert_eq!(ask(&mut source, &mut notes, 0, &[3, 1]), Some(vec![0.3, 0.1]));
            assert_eq!(ask(&mut source, &mut notes, 1, &[1, 3]), Some(vec![1.1, 1.3]));
            assert_eq!(notes.0, [(expected, vec![3, 1]), (expected, vec![1, 3])]);
        }
    }

    /// Every third epoch from the first in which it is asked; what is unknown in between is looked at, once. It goes on
    /// the same from what it saves.
    #[test]
    fn remembered_scores_serve_in_between() {
        for (name, looks, fills) in [("fresh", "full", "full"), ("proxy", "step", "small")] {
            let build = || source(&[("source", name)], 3.0).unwrap();
            let (mut source, mut notes) = (build(), Notes::default());
            assert_eq!(ask(&mut source, &mut notes, 4, &[0, 1, 2]), Some(vec![4.0, 4.1, 4.2]));
            let saved = source.save(vec![7]).unwrap();
            let mut source = build();
            assert_eq!(source.restore(&saved).unwrap(), [7]);
            assert_eq!(ask(&mut source, &mut notes, 5, &[2, 3, 0]), Some(vec![4.2, 5.3, 4.0]));
            assert_eq!(ask(&mut source, &mut notes, 6, &[3, 1]), Some(vec![5.3, 4.1]));
            assert_eq!(ask(&mut source, &mut notes, 7, &[3, 1]), Some(vec![7.3, 7.1]));
            assert_eq!(notes.0, [(looks, vec![0, 1, 2]), (fills, vec![3]), (looks, vec![3, 1])], "{name}");
        }
    }

    /// Mid-ranks among recent scores: of 1, 2, 3 the shares below, and half of themselves.
    #[test]
    fn fresh_scores_become_ranks() {
        let mut source = Source::fresh(1, false);
        let Stage { data, ledger, queue, mut losses, .. } = Stage::new(&[2.0, f32::NAN, 1.0, 3.0]);
        let offer = Offer { coverage: &[], candidates: &[0, 1, 2, 3], epoch: 0, chunk: 0 };
        let (random, fresh) = (Random::new(1), &mut losses);
        let mut view = View { spent: 0.5, dataset: &data, ledger: &ledger, queue: &queue, random, fresh };
        let ranks: Vec<f64> = source.ranks(offer, &mut view, 3.0).unwrap().into_iter().flatten().collect();
        assert!(ranks[1].is_nan());
        for (i, expected) in [(0, 0.5), (2, 1.0 / 6.0), (3, 5.0 / 6.0)] {
            assert!((ranks[i] - expected).abs() < 1e-6, "{ranks:?}");
        }
    }

    #[test]
    fn what_would_have_no_effect_is_refused() {
        let refusal = |given: &[(&str, &str)], every| source(given, every).err().unwrap().to_string();
        let half = refusal(&[("source", "proxy"), ("resolution", "half")], 1.0);
        assert!(half.starts_with("`resolution` = \"half\" is not possible with source = \"proxy\""), "{half}");
        assert!(refusal(&[], 2.0).contains("it is for source = \"fresh\" or \"proxy\""));
        assert!(refusal(&[("resolution", "half")], 1.0).contains("`resolution`"));
    }
}
