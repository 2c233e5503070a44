use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// What a random number is drawn for. Streams of different purposes never share numbers.
///
/// The numbers are part of every run's result: never renumber, only append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights; key: parameter index.
    Weights = 1,
    /// The permutations that coverage follows; key: round.
    Coverage = 2,
    /// The order in which an epoch offers its candidates; key: epoch.
    Offers = 3,
    /// A gate's randomised acceptance; key: epoch, chunk.
    Gate = 4,
    /// Image augmentation; key: epoch, sample.
    Augment = 5,
    /// Dropout masks; key: step, 0; or the number of a batch on which running statistics are measured, 1.
    Dropout = 6,
    /// Scorers that use random numbers; key: step, sample.
    Score = 7,
    /// Procedural data; key: split, sample.
    Data = 8,
    /// Dropout masks of probes; key: samples scored before.
    Fresh = 9,
    /// The sample to train on when none passes the gate; key: epoch, chunk.
    Fallback = 10,
    /// The samples of a fixed subset.
    Subset = 11,
    /// Resamples of a bootstrap; key: resample.
    Bootstrap = 12,
    /// Flipped labels; key: sample.
    LabelNoise = 13,
    /// Initial weights of an auxiliary network; key: parameter index, which network.
    AuxiliaryWeights = 14,
    /// Dropout masks of an auxiliary network; key: steps it has made, which network.
    AuxiliaryDropout = 15,
    /// The half of the samples that a reference network is trained on; key: sample.
    ReferenceHalf = 16,
    /// The order of the samples in a reference network's training; key: pass, which network.
    ReferenceOrder = 17,
    /// Whether a sample is flipped in its first visit, where flips alternate; key: sample.
    FirstFlip = 18,
    /// The place of a window that is cut out of an image; key: epoch, sample.
    Crop = 19,
    /// The training samples that are held out to evaluate on; key: sample. Not of the run's seed.
    HeldOut = 20,
    /// The next token of a text that is written; key: place.
    Generate = 22,
    /// The part of an image that is cut out and scaled; key: epoch, sample.
    ResizedCrop = 24,
    /// The samples that the statistics of a dataset are measured on; key: sample. Not of the run's seed.
    Measured = 25,
}

/// Counter-based randomness: every number is a function of the run's seed, a [`Purpose`] and up to two counters.
///
/// There is no generator state to save or share. A run resumes without one, the number of loader workers cannot change
/// a result, and an augmentation can be repeated for the same sample and epoch. ChaCha8 (Bernstein 2008) is keyed
/// directly with the four numbers, so the streams are independent by design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Random {
    seed: u64,
}

impl Random {
    /// The randomness of a run with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The stream for one purpose at the counters `a` and `b`.
    #[must_use]
    pub fn stream(self, purpose: Purpose, a: u64, b: u64) -> Stream {
        let mut key = [0; 32];
        for (bytes, number) in key.chunks_exact_mut(8).zip([self.seed, purpose as u64, a, b]) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        Stream(ChaCha8Rng::from_seed(key))
    }
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// Uniform on [0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform on (0, 1], 24 bits: never 0, so that its logarithm is finite.
    pub fn uniform_above_zero(&mut self) -> f32 {
        ((self.0.next_u32() >> 8) + 1) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// Uniform on 0..n by multiplication (bias below n / 2^64). `n` must be at least 1; for 0 the result is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// Standard normal by Box-Muller (1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A random order of 0..n (Fisher-Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_a_function_of_its_key() {
        let draw = |seed, purpose, a, b| Random::new(seed).stream(purpose, a, b).uniform();
        let base = draw(1, Purpose::Gate, 2, 3);
        assert_eq!(base, draw(1, Purpose::Gate, 2, 3));
        for other in [
            draw(2, Purpose::Gate, 2, 3),
            draw(1, Purpose::Offers, 2, 3),
            draw(1, Purpose::Gate, 3, 3),
            draw(1, Purpose::Gate, 2, 4),
        ] {
            assert_ne!(base, other);
        }
    }

    /// Mean 1/2 and variance 1/12 of 100,000 uniforms, within five standard errors.
    #[test]
    fn uniforms_are_uniform() {
        let mut stream = Random::new(7).stream(Purpose::Data, 0, 0);
        let n = 100_000;
        let xs: Vec<f64> = (0..n).map(|_| stream.uniform()).collect();
        let mean = xs.iter().sum::<f64>() / n as f64;
        let variance = xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 5.0 * (1.0 / 12.0 / n as f64).sqrt());
        assert!((variance - 1.0 / 12.0).abs() < 5.0 * (1.0 / 180.0 / n as f64).sqrt());
    }

    #[test]
    fn every_permutation_is_valid_and_every_position_equally_likely() {
        let mut counts = [[0u32; 5]; 5];
        for k in 0..20_000 {
            let order = Random::new(3).stream(Purpose::Coverage, k, 0).permutation(5);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
            for (place, id) in order.into_iter().enumerate() {
                counts[place][id as usize] += 1;
            }
        }
        let five_sigma = 5.0 * (20_000.0 * 0.2 * 0.8_f64).sqrt();
        assert!(counts.iter().flatten().all(|c| (f64::from(*c) - 4000.0).abs() < five_sigma), "{counts:?}");
    }
}
