//! The cases of a simulation: chunks of scores, the samples that are already queued, and the target.

use std::ops::Range;

use ast_core::random::{Purpose, Random};
use ast_core::select::{Probe, ProbeError, ProbeRequest, Probed, SampleId};

use crate::args::CaseName;

const SYNTHETIC: [CaseName; 5] =
    [CaseName::Start, CaseName::Step, CaseName::Drift, CaseName::Saturation, CaseName::Swap];
/// Mean of the synthetic scores: the loss of guessing among ten classes. They are exponentially distributed, similar to
/// losses.
pub(super) const MEAN: f64 = std::f64::consts::LN_10;
/// Factor by which the scores fall during the drift.
pub(super) const FALL: f64 = 10.0;

/// Size and seed of a case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) target: f64,
    pub(super) chunk: usize,
    pub(super) chunks: usize,
    pub(super) seed: u64,
}

/// Samples that are offered together. The id of a sample is its index.
pub(super) struct Chunk {
    pub(super) scores: Vec<f32>,
    /// Standard deviation of each image, uniform in 0.5..1.5. `original` uses it for its significance, besides the
    /// score.
    pub(super) deviations: Vec<f32>,
    /// Whether a sample is already queued, i.e. accepted but not trained. `ast` does not select such samples.
    pub(super) waiting: Vec<bool>,
}

/// Extra passes over the chunk return its scores, also as losses.
impl Probe for &Chunk {
    fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
        let scores: Vec<f32> = request.visits.iter().map(|visit| self.scores[visit.id as usize]).collect();
        Ok(Probed { loss: scores.clone(), cost: scores.len() as u64, score: scores, skipped: false })
    }

    fn input_deviation(&mut self, ids: &[SampleId]) -> Result<Vec<f32>, ProbeError> {
        Ok(ids.iter().map(|id| self.deviations[*id as usize]).collect())
    }
}

pub(super) struct Case {
    pub(super) name: &'static str,
    /// Description, for a caption.
    pub(super) what: &'static str,
    pub(super) random: Random,
    /// The target of each chunk.
    pub(super) targets: Vec<f64>,
    pub(super) chunks: Vec<Chunk>,
    /// The chunk of the last disturbance, from which settling is counted.
    pub(super) event: usize,
    /// Chunks in which too few samples are free to reach the target.
    pub(super) starved: Range<usize>,
}

impl Case {
    /// The case of that name, or all cases.
    pub(super) fn named(name: CaseName, size: Size) -> impl Iterator<Item = Self> {
        let wanted = SYNTHETIC.into_iter().filter(move |case| name == CaseName::All || name == *case);
        wanted.map(move |case| Self::synthetic(case, size))
    }

    fn synthetic(case: CaseName, size: Size) -> Self {
        let Size { target, chunk, chunks, seed } = size;
        let (half, third, random) = (chunks / 2, chunks / 3, Random::new(seed));
        let starved = if case == CaseName::Saturation { third..2 * third } else { 0..0 };
        let target_of = |k| if case == CaseName::Step && k >= half { stepped(target) } else { target };
        let score = |k: usize, uniform: f64| match case {
            CaseName::Swap if k >= half => uniform,
            CaseName::Drift => -MEAN * FALL.powf(-(k as f64) / chunks as f64) * (1.0 - uniform).ln(),
            _ => -MEAN * (1.0 - uniform).ln(),
        };
        let offer = |k: usize| {
            let mut stream = random.stream(Purpose::Score, case as u64, k as u64);
            let scores = (0..chunk).map(|_| score(k, stream.uniform()) as f32).collect();
            let share = if starved.contains(&k) { target / 2.0 } else { 1.0 };
            let waiting = (0..chunk).map(|_| stream.uniform() >= share).collect();
            Chunk { scores, waiting, deviations: deviations(chunk, random, k) }
        };
        let (name, what, event) = match case {
            CaseName::Step => ("step", "the target moves half-way", half),
            CaseName::Drift => ("drift", "scores fall to a tenth", 0),
            CaseName::Saturation => ("saturation", "most samples are already queued for a third of the run", 2 * third),
            CaseName::Swap => ("swap", "another scorer from half-way on", half),
            CaseName::Start | CaseName::All => ("start", "constant score distribution", 0),
        };
        let targets = (0..chunks).map(target_of).collect();
        Self { name, what, random, targets, chunks: (0..chunks).map(offer).collect(), event, starved }
    }

    /// A case of recorded scores, in the order they were offered. An incomplete last chunk is dropped.
    pub(super) fn recorded(scores: &[f32], size: Size) -> Self {
        let Size { target, chunk, seed, .. } = size;
        let random = Random::new(seed);
        let offer = |(k, scores): (usize, &[f32])| Chunk {
            scores: scores.to_vec(),
            deviations: deviations(chunk, random, k),
            waiting: vec![false; chunk],
        };
        let chunks: Vec<Chunk> = scores.chunks_exact(chunk).enumerate().map(offer).collect();
        Self {
            name: "recorded",
            what: "scores from a file",
            random,
            targets: vec![target; chunks.len()],
            chunks,
            event: 0,
            starved: 0..0,
        }
    }

    /// Number of samples per chunk.
    pub(super) fn chunk(&self) -> usize {
        self.chunks.first().map_or(1, |chunk| chunk.scores.len())
    }

    /// The target at the end.
    pub(super) fn target(&self) -> f64 {
        self.targets.last().copied().unwrap_or(0.0)
    }
}

/// A higher target for the step, for any target.
fn stepped(target: f64) -> f64 {
    if target < 0.5 { (3.0 * target).min(0.5) } else { (target + 1.0) / 2.0 }
}

fn deviations(chunk: usize, random: Random, k: usize) -> Vec<f32> {
    let mut stream = random.stream(Purpose::Data, k as u64, 0);
    (0..chunk).map(|_| 0.5 + stream.uniform() as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { target: 0.1, chunk: 1000, chunks: 60, seed: 3 };

    fn mean(scores: &[f32]) -> f64 {
        scores.iter().map(|score| f64::from(*score)).sum::<f64>() / scores.len() as f64
    }

    /// The mean of 1,000 exponential scores is within five standard errors at both ends of the drift; after the swap,
    /// that of uniform scores.
    #[test]
    fn scores_have_the_documented_distributions() {
        for (name, last) in [
            (CaseName::Start, MEAN),
            (CaseName::Drift, MEAN * FALL.powf(-59.0 / 60.0)),
            (CaseName::Saturation, MEAN),
            (CaseName::Swap, 0.5),
        ] {
            let case = Case::named(name, SIZE).next().unwrap();
            for (chunk, expected) in [(&case.chunks[0], MEAN), (&case.chunks[59], last)] {
                let got = mean(&chunk.scores);
                assert!((got - expected).abs() < 5.0 * expected / 1000.0_f64.sqrt(), "{name:?}: {got} {expected}");
            }
        }
    }

    #[test]
    fn the_target_steps_up_and_saturation_starves() {
        for (before, after) in [(0.1, 0.3), (0.2, 0.5), (0.5, 0.75), (1.0, 1.0)] {
            assert!((stepped(before) - after).abs() < 1e-12);
        }
        let cases: Vec<Case> = Case::named(CaseName::All, SIZE).collect();
        let names: Vec<&str> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names, ["start", "step", "drift", "saturation", "swap"]);
        assert_eq!((cases[1].targets[29], cases[1].target()), (0.1, stepped(0.1)));
        let free = |k: usize| cases[3].chunks[k].waiting.iter().filter(|waiting| !**waiting).count();
        assert_eq!((free(19), free(40)), (1000, 1000));
        assert!((20..40).all(|k| (15..85).contains(&free(k))), "5 % of 1,000, within five standard deviations");
    }

    #[test]
    fn recorded_scores_are_cut_into_whole_chunks() {
        let scores: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let case = Case::recorded(&scores, Size { chunk: 4, ..SIZE });
        assert_eq!(case.chunks.len(), 2);
        assert_eq!(case.chunks[1].scores, [4.0, 5.0, 6.0, 7.0]);
    }
}
