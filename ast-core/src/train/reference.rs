//! The reference losses of the scorer `reducible-loss`: the loss of each sample under a network not trained on it.
//!
//! Mindermann et al., *Prioritized Training on Points that are Learnable, Worth Learning, and Not Yet Learnt*, ICML
//! 2022, in the variant without held-out data. Two auxiliary networks are each trained on one half of the samples and
//! give the losses of the other half. This happens once, before the first step, and only for a scorer that needs it. It
//! costs `passes x N` steps and `N` forward passes of an auxiliary network, all charged to the run. The losses are
//! kept, the networks are not.

use super::Trainer;
use super::auxiliary::Auxiliary;
use super::error::TrainError;
use super::probe::TrainerProbe;
use crate::model::Model;
use crate::random::{Purpose, Random};
use crate::score::{PlainLoss, Statistic};
use crate::select::{Probed, SampleId, ScoredBy, ScorerRule, Selector, Visit};

/// Number of passes of each network over its half. A small network converges soon; four passes cost as much as 15 % of
/// one dense epoch.
const PASSES: u32 = 4;
/// Number of samples per forward pass.
const BATCH: usize = 250;

impl<M: Model> Trainer<M> {
    /// Trains the reference networks and stores their losses, if the scorer needs them and they are missing.
    pub(super) fn prepare(&mut self) -> Result<(), TrainError> {
        let samples = self.selector.ledger().samples();
        let needed = self.scorer.needs().contains(&Statistic::ReferenceLoss);
        if !needed || self.state.reference.len() == samples {
            return Ok(());
        }
        if self.selector.policy().kind.scorer == ScorerRule::Unused {
            // The policy does not use scores, so it is not charged for them.
            self.state.reference = vec![0.0; samples];
            return Ok(());
        }
        let (random, batch_size, augment) = (self.random, self.config.batch_size, self.config.augment);
        let proxy = self.auxiliary.take();
        let reference = self.with_probe(|selector, probe| {
            // The reference networks train on the plain loss; a reducible loss does not exist yet.
            (probe.scoring.scorer, probe.scoring.step) = (&PlainLoss, 0);
            let [first, second] = &halves(random, samples);
            let mut reference = vec![f32::NAN; samples];
            for (which, seen, unseen) in
                [(Auxiliary::FirstReference, first, second), (Auxiliary::SecondReference, second, first)]
            {
                probe.augment = augment;
                train(which, seen, batch_size, selector, probe)?;
                // The reference loss of a sample is that of its image without augmentation.
                probe.augment = None;
                for ids in unseen.chunks(BATCH) {
                    let visits: Vec<_> = ids.iter().map(|id| Visit { id: *id, epoch: 0, earlier: 0 }).collect();
                    let probed = probe.auxiliary_pass(which, &visits, selector.ledger())?;
                    selector.charge(visits.len(), ScoredBy::Proxy, &probed);
                    ids.iter().zip(probed.loss).for_each(|(id, loss)| reference[*id as usize] = loss);
                }
            }
            Ok::<_, TrainError>(reference)
        });
        self.auxiliary = proxy; // drops the reference networks
        self.state.reference = reference?;
        Ok(())
    }
}

/// Trains one of the two networks on its half of the samples.
fn train<M: Model>(
    which: Auxiliary,
    seen: &[SampleId],
    batch_size: usize,
    selector: &mut Selector,
    probe: &mut TrainerProbe<'_, M>,
) -> Result<(), TrainError> {
    let steps = f64::from(PASSES) * seen.len().div_ceil(batch_size) as f64;
    let mut made = 0.0;
    for pass in 0..PASSES {
        let mut order = probe.scoring.random.stream(Purpose::ReferenceOrder, u64::from(pass), which as u64);
        for batch in order.permutation(seen.len()).chunks(batch_size) {
            let visits: Vec<_> =
                batch.iter().map(|i| Visit { id: seen[*i as usize], epoch: pass, earlier: pass }).collect();
            let probed: Probed = probe.auxiliary_step(which, &visits, selector.ledger(), (made + 0.5) / steps)?;
            selector.charge(visits.len(), ScoredBy::ProxyStep(0.0), &probed);
            made += 1.0;
            if selector.is_over(probe)? {
                return Err(TrainError::NothingLeft);
            }
        }
    }
    Ok(())
}

/// Divides the samples into two random halves.
fn halves(random: Random, samples: usize) -> [Vec<SampleId>; 2] {
    let first = |id: &SampleId| random.stream(Purpose::ReferenceHalf, u64::from(*id), 0).below(2) == 0;
    let (first, second) = (0..samples as SampleId).partition(first);
    [first, second]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_in_exactly_one_half() {
        let [first, second] = halves(Random::new(1), 1000);
        assert!((450..550).contains(&first.len()), "{}", first.len());
        let mut all = [first.clone(), second].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(halves(Random::new(1), 1000)[0], first);
        assert_ne!(halves(Random::new(2), 1000)[0], first);
    }
}
