//! Skips some of the easy samples and increases the loss weight of the other easy ones.
//!
//! Qin et al., *InfoBatch: Lossless Training Speed Up by Unbiased Dynamic Data Pruning*, ICLR 2024. A sample is easy if
//! its last loss is below the mean of all last losses. Easy samples are skipped with probability `ratio`; those that
//! are trained on have weight `1/(1 - ratio)`, so that the expected sum of gradients is that of all samples. The last
//! part of the run is dense. The activation rate follows from the losses, not from a target: about
//! `1 - ratio P(loss < mean)`. Samples that were never trained on are kept.
//!
//! Deviation: a step divides by the mean of its weights, so that the learning rate means the same for every policy.

use crate::codec::{SnapshotError, decode, encode};
use crate::plugin::{ParamKind, ParamSpec};
use crate::random::Purpose;
use crate::select::choice::ScorerRule;
use crate::select::goal::Goal;
use crate::select::ledger::Ledger;
use crate::select::policy::{Policy, PolicyError, SelectionContext, SelectionStats};
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

crate::register_policy! {
    name: "infobatch",
    family: Literature,
    summary: "skips half of the samples below the mean loss and doubles the weight of the other half (InfoBatch, ICLR 2024); costs 1 - ratio P(loss < mean)",
    params: &[
        ParamSpec {
            name: "ratio",
            summary: "probability of skipping a sample below the mean",
            kind: ParamKind::Number { default: 0.5, min: 0.0, max: 0.95 },
        },
        ParamSpec {
            name: "dense_tail",
            summary: "share of the budget, at the end of the run, in which nothing is skipped",
            kind: ParamKind::Number { default: 0.125, min: 0.0, max: 1.0 },
        },
    ],
    scorer: ScorerRule::Unused,
    keeps_target: false,
    build: |params, _| Ok(Box::new(InfoBatch::new(params.number("ratio")?, params.number("dense_tail")?))),
}

struct InfoBatch {
    ratio: f64,
    dense_tail: f64,
    /// Mean of all last losses, and the share of samples below it, at the start of the epoch.
    mean: Option<f64>,
    below: f64,
}

impl InfoBatch {
    fn new(ratio: f64, dense_tail: f64) -> Self {
        Self { ratio, dense_tail, mean: None, below: 0.0 }
    }

    /// Whether the last loss of a sample is below the mean.
    fn is_easy(&self, id: SampleId, ledger: &Ledger) -> bool {
        self.mean.zip(ledger.loss(id)).is_some_and(|(mean, loss)| f64::from(loss) < mean)
    }

    fn prunes(&self, spent: f64) -> bool {
        spent < 1.0 - self.dense_tail
    }
}

impl Policy for InfoBatch {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        if offer.chunk == 0 {
            let losses =
                (0..context.ledger.samples() as SampleId).filter_map(|id| context.ledger.loss(id)).map(f64::from);
            let losses: Vec<f64> = losses.collect();
            self.mean = (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64);
            let below = losses.iter().filter(|loss| self.mean.is_some_and(|mean| **loss < mean)).count();
            self.below = below as f64 / context.ledger.samples() as f64;
        }
        let mut stream = context.random.stream(Purpose::Gate, u64::from(offer.epoch), u64::from(offer.chunk));
        let prunes = self.prunes(context.spent);
        let kept = |id: &&SampleId| {
            let skipped = stream.uniform() < self.ratio;
            !(prunes && skipped && self.is_easy(**id, context.ledger))
        };
        accepted.extend(offer.candidates.iter().filter(kept));
        Ok(())
    }

    fn loss_weights(&self, _: Offer<'_>, accepted: &[SampleId], context: &SelectionContext<'_>) -> Vec<f32> {
        let makes_up = (1.0 / (1.0 - self.ratio)) as f32;
        let prunes = self.prunes(context.spent);
        accepted.iter().map(|id| if prunes && self.is_easy(*id, context.ledger) { makes_up } else { 1.0 }).collect()
    }

    fn stats(&self, _: &Goal) -> SelectionStats {
        SelectionStats { threshold: self.mean, ..SelectionStats::of(1.0 - self.ratio * self.below) }
    }

    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        encode("policy", &(&self.mean, &self.below))
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        (self.mean, self.below) = decode("policy", saved)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Stage;

    /// Losses 1 and 3, half each, have the mean 2. All samples above it are kept with weight 1. About half of those
    /// below it are kept with weight 2, so that their weights add up to their number.
    #[test]
    fn half_of_the_easy_samples_are_kept_with_double_weight() {
        let losses: Vec<f32> = (0..2000).map(|i| if i % 2 == 0 { 1.0 } else { 3.0 }).collect();
        let (kept, weights) = Stage::seen(&losses).offer(&mut InfoBatch::new(0.5, 0.125));
        let (mut easy, mut hard) = (0.0, 0.0);
        for (id, weight) in kept.into_iter().zip(weights) {
            assert_eq!(weight, if id % 2 == 0 { 2.0 } else { 1.0 });
            *(if id % 2 == 0 { &mut easy } else { &mut hard }) += weight;
        }
        assert_eq!(hard, 1000.0);
        // 1000 draws of 0 or 2: standard deviation 2 sqrt(1000/4) = 32.
        assert!((easy - 1000.0).abs() < 4.0 * 32.0, "{easy}");
    }

    #[test]
    fn nothing_is_skipped_in_the_tail_or_before_its_first_visit() {
        let mut policy = InfoBatch::new(0.9, 0.125);
        let mut stage = Stage::seen(&[1.0, 3.0, 1.0, 3.0]);
        stage.spent = 0.9;
        assert_eq!(stage.offer(&mut policy), (vec![0, 1, 2, 3], vec![1.0; 4]));
        assert_eq!(Stage::new(&[1.0; 4]).offer(&mut InfoBatch::new(0.9, 0.0)).0, [0, 1, 2, 3]);
    }
}
