use std::collections::BTreeMap;

use super::*;
use crate::random::Random;
use crate::select::counts::Counts;
use crate::select::probe::{ChargedProbe, NoProbe, Probe, ProbeError, ProbeRequest, Probed};
use crate::testing::Stage;

/// Notes who was asked about whom; the score is the epoch plus a tenth of the sample.
#[derive(Default)]
struct Notes(Vec<(&'static str, Vec<SampleId>)>);

impl Probe for Notes {
    fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
        let ProbeRequest { visits, by, .. } = *request;
        let who = match by {
            ScoredBy::Network => "full",
            ScoredBy::HalfResolution => "half",
            ScoredBy::ProxyStep(0.5) => "step",
            ScoredBy::Proxy => "small",
            other => panic!("{other:?}"),
        };
        if !visits.is_empty() {
            self.0.push((who, visits.iter().map(|visit| visit.id).collect()));
        }
        let score = visits.iter().map(|visit| visit.epoch as f32 + visit.id as f32 / 10.0).collect();
        Ok(Probed { score, loss: vec![1.0; visits.len()], ..Probed::default() })
    }
}

fn source(given: &[(&str, &str)], every: f64) -> Result<Source, ParamError> {
    let mut params: BTreeMap<String, ParamValue> =
        given.iter().map(|(key, value)| ((*key).into(), ParamValue::Word((*value).into()))).collect();
    params.insert("every".into(), ParamValue::Number(every));
    Source::new(&Params::resolve(&[SOURCE, EVERY, RESOLUTION], &params).unwrap())
}

/// The scores of these candidates in this epoch.
fn ask(source: &mut Source, probe: &mut dyn Probe, epoch: u32, candidates: &[SampleId]) -> Option<Vec<f32>> {
    let Stage { ledger, queue, .. } = &Stage::new(&[0.0; 4]);
    let offer = Offer { coverage: &[], candidates, epoch, chunk: 0 };
    let mut counts = Counts::default();
    let probe = ChargedProbe::new(probe, &mut counts, ledger);
    let mut context = SelectionContext { spent: 0.5, ledger, queue, random: Random::new(1), probe };
    source.scores(offer, &mut context).unwrap()
}

#[test]
fn each_source_asks_its_own_network() {
    assert_eq!(ask(&mut source(&[], 1.0).unwrap(), &mut NoProbe, 0, &[0, 1]), None);
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
    let Stage { ledger, queue, mut losses, .. } = Stage::new(&[2.0, f32::NAN, 1.0, 3.0]);
    let offer = Offer { coverage: &[], candidates: &[0, 1, 2, 3], epoch: 0, chunk: 0 };
    let (random, mut counts) = (Random::new(1), Counts::default());
    let probe = ChargedProbe::new(&mut losses, &mut counts, &ledger);
    let mut context = SelectionContext { spent: 0.5, ledger: &ledger, queue: &queue, random, probe };
    let ranks: Vec<f64> = source.ranks(offer, &mut context, 3.0).unwrap().into_iter().flatten().collect();
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
