//! What a small network that has not seen a sample makes of it: the reference of the scorer `reducible-loss`.
//!
//! Mindermann et al., *Prioritized Training on Points that are Learnable, Worth Learning, and Not Yet Learnt*, ICML 2022, in
//! the variant that needs no data held out: two networks, each trained on one half of the samples, each giving the losses
//! of the other half. This is done once, before the first step, and only for a scorer that asks for it; it costs
//! `passes x N` steps and `N` forward passes of a small network, all of it charged to the run. The losses are kept, the
//! networks are not.

use super::Trainer;
use crate::model::network::Model;
use crate::random::{Purpose, Random};
use crate::run::config::OnNan;
use crate::score::scorer::PlainLoss;
use crate::select::budget::Cost;
use crate::select::policy::Scores;
use crate::select::sample::{SampleId, Visit};
use crate::train::auxiliary::{Small, SmallNetworks};
use crate::train::error::TrainError;
use crate::train::passes::Surroundings;
use crate::train::probe::{FreshPass, Looking};

/// How often each network sees its half: a small network is soon as good as it gets, and four passes of it cost what 15 %
/// of one dense epoch do.
const PASSES: u32 = 4;
/// Samples a forward pass.
const BATCH: usize = 250;

impl<M: Model> Trainer<M> {
    /// Trains the reference and notes its losses, if the scorer needs them and they are not there yet.
    pub(super) fn prepare(&mut self) -> Result<(), TrainError> {
        let samples = self.state.ledger.samples();
        if !self.scorer.needs().reference || self.state.reference.len() == samples {
            return Ok(());
        }
        if self.policy.scores() == Scores::Unused {
            // Nobody looks at the scores, so nobody is made to pay for them.
            self.state.reference = vec![0.0; samples];
            return Ok(());
        }
        let [first, second] = &halves(self.random, samples);
        let mut reference = vec![f32::NAN; samples];
        let mut looking = Looking {
            model: &self.model,
            small: &mut SmallNetworks::none(),
            dataset: self.train.dataset().as_ref(),
            device: &self.device,
            around: Surroundings {
                // Until there is a reference there is nothing to be reduced.
                scorer: &PlainLoss,
                ledger: &self.state.ledger,
                reference: &[],
                mean_loss: self.state.mean_loss.value(),
                mean_input_std: self.mean_input_std,
                random: self.random,
                step: 0,
            },
            meter: &mut self.state.meter,
            augment: self.config.augment,
            lr: self.config.lr,
            abort: self.config.on_nan == OnNan::Abort,
        };
        for (which, seen, unseen) in [(Small::FirstReference, first, second), (Small::SecondReference, second, first)] {
            looking.augment = self.config.augment;
            let steps = f64::from(PASSES) * seen.len().div_ceil(self.config.batch_size) as f64;
            let mut made = 0.0;
            for pass in 0..PASSES {
                let mut order = self.random.stream(Purpose::ReferenceOrder, u64::from(pass), which as u64);
                for batch in order.permutation(seen.len()).chunks(self.config.batch_size) {
                    let visits: Vec<_> = batch.iter().map(|i| Visit { id: seen[*i as usize], epoch: pass }).collect();
                    looking.train_small(which, &visits, (made + 0.5) / steps)?;
                    made += 1.0;
                    let (flops, seconds) = (looking.meter.flops(), looking.meter.training_seconds(true));
                    if self.config.charges_scoring && self.budget.is_over(Cost { offered: 0, flops, seconds }) {
                        return Err(TrainError::NothingLeft);
                    }
                }
            }
            // A sample has one reference, whatever its augmentation.
            looking.augment = false;
            for ids in unseen.chunks(BATCH) {
                let visits: Vec<_> = ids.iter().map(|id| Visit { id: *id, epoch: 0 }).collect();
                for (id, fresh) in ids.iter().zip(looking.look_small(which, &visits)?) {
                    reference[*id as usize] = fresh.loss;
                }
            }
        }
        self.state.reference = reference;
        Ok(())
    }
}

/// Every sample in one of two halves, by chance.
fn halves(random: Random, samples: usize) -> [Vec<SampleId>; 2] {
    let first = |id: &SampleId| random.stream(Purpose::ReferenceHalf, u64::from(*id), 0).below(2) == 0;
    let (first, second) = (0..samples as SampleId).partition(first);
    [first, second]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_in_one_half() {
        let [first, second] = halves(Random::new(1), 1000);
        assert!((450..550).contains(&first.len()), "{}", first.len());
        let mut all = [first.clone(), second].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(halves(Random::new(1), 1000)[0], first);
        assert_ne!(halves(Random::new(2), 1000)[0], first);
    }
}
