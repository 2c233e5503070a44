use std::collections::BTreeMap;

use super::*;
use crate::random::Random;
use crate::select::counts::Counts;
use crate::select::probe::{ChargedProbe, NoProbe, Probe, ProbeError, ProbeRequest, Probed};
use crate::testing::Stage;

/// Records which network scored which samples. The score is the epoch plus a tenth of the id.
#[derive(Default)]
struct Notes(Vec<(&'static str, Vec<SampleId>)>);

impl Probe for Notes {
    fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
        let ProbeRequest { visits, by, .. } = *request;
        let who = match by {
            ScoredBy::Network => "full",
            ScoredBy::HalfResolution => "half",
            ScoredBy::ProxyStep(0.5) => "step",
            ScoredBy::Proxy => "proxy",
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
    let probe = ChargedProbe::new(probe, &mut counts, ledger, queue);
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

/// With `every = 3` the first epoch in which the source is asked has a pass, then every third. A sample without a score
/// is scored once in between. A restored source continues in the same way.
#[test]
fn epochs_between_passes_reuse_scores() {
    for (name, by_pass, between) in [("fresh", "full", "full"), ("proxy", "step", "proxy")] {
        let build = || source(&[("source", name)], 3.0).unwrap();
        let (mut source, mut notes) = (build(), Notes::default());
        assert_eq!(ask(&mut source, &mut notes, 4, &[0, 1, 2]), Some(vec![4.0, 4.1, 4.2]));
        let saved = source.save(vec![7]).unwrap();
        let mut source = build();
        assert_eq!(source.restore(&saved).unwrap(), [7]);
        assert_eq!(ask(&mut source, &mut notes, 5, &[2, 3, 0]), Some(vec![4.2, 5.3, 4.0]));
        assert_eq!(ask(&mut source, &mut notes, 6, &[3, 1]), Some(vec![5.3, 4.1]));
        assert_eq!(ask(&mut source, &mut notes, 7, &[3, 1]), Some(vec![7.3, 7.1]));
        assert_eq!(notes.0, [(by_pass, vec![0, 1, 2]), (between, vec![3]), (by_pass, vec![3, 1])], "{name}");
    }
}

/// Mid-ranks of 1, 2, 3 among themselves: the share of smaller scores plus half the share of equal ones.
#[test]
fn fresh_scores_become_ranks() {
    let mut source = Source::fresh(1, false);
    let Stage { ledger, queue, mut losses, .. } = Stage::new(&[2.0, f32::NAN, 1.0, 3.0]);
    let offer = Offer { coverage: &[], candidates: &[0, 1, 2, 3], epoch: 0, chunk: 0 };
    let (random, mut counts) = (Random::new(1), Counts::default());
    let probe = ChargedProbe::new(&mut losses, &mut counts, &ledger, &queue);
    let mut context = SelectionContext { spent: 0.5, ledger: &ledger, queue: &queue, random, probe };
    let ranks: Vec<f64> = source.ranks(offer, &mut context, 3.0).unwrap().into_iter().flatten().collect();
    assert!(ranks[1].is_nan());
    for (i, expected) in [(0, 0.5), (2, 1.0 / 6.0), (3, 5.0 / 6.0)] {
        assert!((ranks[i] - expected).abs() < 1e-6, "{ranks:?}");
    }
}

#[test]
fn parameters_without_effect_are_refused() {
    let refusal = |given: &[(&str, &str)], every| source(given, every).err().unwrap().to_string();
    let half = refusal(&[("source", "proxy"), ("resolution", "half")], 1.0);
    assert!(half.starts_with("`resolution` = \"half\" is not possible with source = \"proxy\""), "{half}");
    assert!(refusal(&[], 2.0).contains("it is for source = \"fresh\" or \"proxy\""));
    assert!(refusal(&[("resolution", "half")], 1.0).contains("`resolution`"));
}
