use serde::{Deserialize, Serialize};

use crate::random::{Purpose, Random};
use crate::select::sample::{SampleId, Visit};

/// Offers every sample once per nominal epoch, in chunks. Part of each chunk is coverage, which is trained
/// unconditionally.
///
/// *Coverage* follows an endless sequence of random permutations of the dataset (random reshuffling without
/// replacement, RS2). Each epoch takes the next part, of any size, so every sample is covered before any is covered
/// twice. The *candidates* of an epoch are all other samples in a random order. Both depend on the seed only: two
/// policies with the same coverage train on the same coverage samples in the same order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sampler {
    random: Random,
    samples: usize,
    chunk: usize,
    /// Number of coverage samples planned so far.
    covered: u64,
    /// Number of coverage samples due so far, with its fraction: rounding carries over from epoch to epoch.
    owed: f64,
    /// The current permutation of coverage, and its number.
    #[serde(skip)]
    round: Option<(u64, Vec<SampleId>)>,
}

/// The order of samples in one nominal epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Samples trained unconditionally, in this order.
    pub coverage: Vec<SampleId>,
    /// Samples offered to the policy, in this order.
    pub candidates: Vec<SampleId>,
    chunk: usize,
}

/// One chunk of an epoch's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer<'a> {
    /// Samples trained unconditionally.
    pub coverage: &'a [SampleId],
    /// Samples offered to the policy.
    pub candidates: &'a [SampleId],
    /// Nominal epoch, from 0.
    pub epoch: u32,
    /// Number of the chunk within its epoch, from 0.
    pub chunk: u32,
}

impl Sampler {
    /// For a dataset of `samples` samples, in chunks of `chunk`.
    #[must_use]
    pub fn new(random: Random, samples: usize, chunk: usize) -> Self {
        Self { random, samples, chunk, covered: 0, owed: 0.0, round: None }
    }

    /// Plans a nominal epoch of which a share `coverage` (0..=1) is trained unconditionally.
    pub fn plan(&mut self, epoch: u32, coverage: f64) -> Plan {
        self.owed += coverage * self.samples as f64;
        // The small addend absorbs rounding: ten times 0.1 must give 1, not 0.999.
        let due = (self.owed + 1e-6).floor() as u64;
        let coverage: Vec<SampleId> = (self.covered..due).map(|place| self.covered_at(place)).collect();
        self.covered = due;
        let candidates = self.candidates(epoch, &coverage);
        Plan { coverage, candidates, chunk: self.chunk }
    }

    /// Takes back the coverage of a plan from its chunk `chunk` on: it was not offered and is the next to be covered.
    pub(crate) fn take_back(&mut self, plan: &Plan, chunk: u32) {
        let rest: usize = (chunk..plan.chunks()).filter_map(|k| Some(plan.offer(0, k)?.coverage.len())).sum();
        self.covered -= rest as u64;
        self.owed -= rest as f64;
    }

    fn covered_at(&mut self, place: u64) -> SampleId {
        let (round, within) = (place / self.samples as u64, (place % self.samples as u64) as usize);
        match &self.round {
            Some((current, order)) if *current == round => order[within],
            _ => {
                let order = self.random.stream(Purpose::Coverage, round, 0).permutation(self.samples);
                let id = order[within];
                self.round = Some((round, order));
                id
            }
        }
    }

    fn candidates(&self, epoch: u32, coverage: &[SampleId]) -> Vec<SampleId> {
        if coverage.len() >= self.samples {
            return Vec::new();
        }
        let mut covered = vec![false; self.samples];
        for id in coverage {
            covered[*id as usize] = true;
        }
        let mut order = self.random.stream(Purpose::Offers, u64::from(epoch), 0).permutation(self.samples);
        order.retain(|id| !covered[*id as usize]);
        // Coverage that crosses from one permutation into the next can name a sample twice.
        order.truncate(self.samples - coverage.len());
        order
    }
}

impl Plan {
    /// Number of chunks.
    #[must_use]
    pub fn chunks(&self) -> u32 {
        (self.coverage.len() + self.candidates.len()).div_ceil(self.chunk.max(1)) as u32
    }

    /// Chunk `chunk` of epoch `epoch`, with a proportional part of the coverage; `None` past the end.
    #[must_use]
    pub fn offer(&self, epoch: u32, chunk: u32) -> Option<Offer<'_>> {
        let total = self.coverage.len() + self.candidates.len();
        let from = chunk as usize * self.chunk;
        if from >= total {
            return None;
        }
        let to = (from + self.chunk).min(total);
        let covered = |offered: usize| offered * self.coverage.len() / total;
        let coverage = &self.coverage[covered(from)..covered(to)];
        let candidates = &self.candidates[from - covered(from)..to - covered(to)];
        Some(Offer { coverage, candidates, epoch, chunk })
    }
}

impl Offer<'_> {
    /// Number of offered samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.coverage.len() + self.candidates.len()
    }

    /// The candidates as visits of this epoch, for a scoring pass, which adds their earlier visits.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        self.candidates.iter().map(|id| Visit { id: *id, epoch: self.epoch, earlier: 0 }).collect()
    }

    /// Whether no sample is offered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sampler(samples: usize) -> Sampler {
        Sampler::new(Random::new(1), samples, 128)
    }

    fn sorted(mut ids: Vec<SampleId>) -> Vec<SampleId> {
        ids.sort_unstable();
        ids
    }

    proptest! {
        /// An epoch offers `samples` ids, each once unless coverage crosses into the next permutation.
        #[test]
        fn an_epoch_offers_the_dataset_in_chunks(samples in 1usize..2000, share in 0.0..=1.0f64, epochs in 1u32..6) {
            let mut sampler = sampler(samples);
            for epoch in 0..epochs {
                let plan = sampler.plan(epoch, share);
                prop_assert_eq!(plan.coverage.len() + plan.candidates.len(), samples);
                let offers: Vec<_> = (0..plan.chunks()).map(|k| plan.offer(epoch, k).unwrap()).collect();
                prop_assert!(plan.offer(epoch, plan.chunks()).is_none());
                prop_assert_eq!(offers.iter().flat_map(|o| o.coverage).copied().collect::<Vec<_>>(), plan.coverage.clone());
                prop_assert_eq!(offers.iter().flat_map(|o| o.candidates).copied().collect::<Vec<_>>(), plan.candidates.clone());
                prop_assert!(offers.iter().rev().skip(1).all(|o| o.len() == 128));
                let expected = share * 128.0;
                prop_assert!(offers.iter().rev().skip(1).all(|o| (o.coverage.len() as f64 - expected).abs() < 2.0));
                let overlap = plan.candidates.iter().filter(|id| plan.coverage.contains(id)).count();
                prop_assert_eq!(overlap, 0);
            }
        }

        /// Coverage is the same endless sequence of complete permutations for any division into epochs.
        #[test]
        fn coverage_is_one_sequence(samples in 1usize..300, shares in prop::collection::vec(0.0..=1.0f64, 1..30)) {
            let mut cut = sampler(samples);
            let taken: Vec<_> = shares.iter().enumerate().flat_map(|(e, s)| cut.plan(e as u32, *s).coverage).collect();
            let mut whole = sampler(samples);
            let all: Vec<_> = (0..shares.len() as u32).flat_map(|e| whole.plan(e, 1.0).coverage).collect();
            prop_assert_eq!(&taken, &all[..taken.len()]);
            prop_assert!((taken.len() as f64 - shares.iter().sum::<f64>() * samples as f64).abs() < 1.0 + 1e-6);
            for round in all.chunks(samples) {
                prop_assert_eq!(sorted(round.to_vec()), (0..samples as u32).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn ten_epochs_of_a_tenth_cover_the_dataset() {
        let mut sampler = sampler(50_000);
        let taken: usize = (0..10).map(|epoch| sampler.plan(epoch, 0.1).coverage.len()).sum();
        assert_eq!(taken, 50_000);
    }
}
