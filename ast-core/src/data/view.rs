//! Datasets derived from others: a subset, and one with wrong labels.

use std::borrow::Cow;
use std::sync::Arc;

use crate::data::{Dataset, Shape};
use crate::random::{Purpose, Random};
use crate::select::SampleId;

/// Consecutive samples of a dataset, renumbered from 0.
pub struct Subset {
    of: Arc<dyn Dataset>,
    from: usize,
    samples: usize,
}

impl Subset {
    /// The samples `range` of a dataset. A range beyond the end is cut off.
    #[must_use]
    pub fn new(of: Arc<dyn Dataset>, range: std::ops::Range<usize>) -> Self {
        let end = range.end.min(of.samples());
        let from = range.start.min(end);
        Self { of, from, samples: end - from }
    }

    fn there(&self, id: SampleId) -> SampleId {
        id + self.from as SampleId
    }
}

impl Dataset for Subset {
    fn samples(&self) -> usize {
        self.samples
    }
    fn classes(&self) -> usize {
        self.of.classes()
    }
    fn shape(&self) -> Shape {
        self.of.shape()
    }
    fn label(&self, id: SampleId) -> usize {
        self.of.label(self.there(id))
    }
    fn write(&self, id: SampleId, out: &mut [f32]) {
        self.of.write(self.there(id), out);
    }
    fn mirrors(&self) -> bool {
        self.of.mirrors()
    }
    fn write_tokens(&self, id: SampleId, out: &mut [i32]) {
        self.of.write_tokens(self.there(id), out);
    }
    fn input_deviation(&self, id: SampleId) -> f32 {
        self.of.input_deviation(self.there(id))
    }
    fn group(&self, id: SampleId) -> Option<&'static str> {
        self.of.group(self.there(id))
    }
    fn content(&self, id: SampleId) -> Cow<'_, [u8]> {
        self.of.content(self.there(id))
    }
}

/// A dataset with a share of wrong labels, for stress tests.
///
/// The samples with a wrong label are in the group `mislabelled`, the others in `clean` unless they have a group already.
pub struct LabelNoise {
    of: Arc<dyn Dataset>,
    labels: Vec<u32>,
}

impl LabelNoise {
    /// Changes a `share` (0..=1) of the labels to another class at random. Which labels, and to which class, is a
    /// function of `random` and the sample's id.
    #[must_use]
    pub fn new(of: Arc<dyn Dataset>, share: f64, random: Random) -> Self {
        let classes = of.classes();
        let label = |id: SampleId| {
            let mut stream = random.stream(Purpose::LabelNoise, u64::from(id), 0);
            let flipped = classes > 1 && stream.uniform() < share;
            let label = of.label(id);
            (if flipped { (label + 1 + stream.below(classes - 1)) % classes } else { label }) as u32
        };
        let labels = (0..of.samples() as SampleId).map(label).collect();
        Self { of, labels }
    }
}

impl Dataset for LabelNoise {
    fn samples(&self) -> usize {
        self.of.samples()
    }
    fn classes(&self) -> usize {
        self.of.classes()
    }
    fn shape(&self) -> Shape {
        self.of.shape()
    }
    fn label(&self, id: SampleId) -> usize {
        self.labels[id as usize] as usize
    }
    fn write(&self, id: SampleId, out: &mut [f32]) {
        self.of.write(id, out);
    }
    fn mirrors(&self) -> bool {
        self.of.mirrors()
    }
    fn write_tokens(&self, id: SampleId, out: &mut [i32]) {
        self.of.write_tokens(id, out);
    }
    fn input_deviation(&self, id: SampleId) -> f32 {
        self.of.input_deviation(id)
    }
    fn group(&self, id: SampleId) -> Option<&'static str> {
        let wrong = self.label(id) != self.of.label(id);
        if wrong { Some("mislabelled") } else { self.of.group(id).or(Some("clean")) }
    }
    fn content(&self, id: SampleId) -> Cow<'_, [u8]> {
        self.of.content(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::fingerprint;
    use sha2::{Digest, Sha256};

    /// `n` samples of one value each; sample `i` has the value and the content `i`, and the label `i % 10`.
    struct Numbered(usize);

    impl Dataset for Numbered {
        fn samples(&self) -> usize {
            self.0
        }
        fn classes(&self) -> usize {
            10
        }
        fn shape(&self) -> Shape {
            Shape::Image([1, 1, 1])
        }
        fn label(&self, id: SampleId) -> usize {
            id as usize % 10
        }
        fn write(&self, id: SampleId, out: &mut [f32]) {
            out.fill(id as f32);
        }
        fn input_deviation(&self, _: SampleId) -> f32 {
            0.0
        }
        fn content(&self, id: SampleId) -> Cow<'_, [u8]> {
            vec![id as u8].into()
        }
    }

    #[test]
    fn two_subsets_hold_every_sample_once() {
        let all: Arc<dyn Dataset> = Arc::new(Numbered(10));
        let (head, tail) = (Subset::new(all.clone(), 0..7), Subset::new(all.clone(), 7..99));
        assert_eq!((head.samples(), tail.samples(), tail.label(2)), (7, 3, 9));
        let mut value = [0.0];
        tail.write(0, &mut value);
        assert_eq!((value, &*tail.content(0)), ([7.0], &[7u8][..]));
        assert_eq!(Subset::new(all, 20..30).samples(), 0);
    }

    /// A fifth of 10,000 labels is flipped, within five standard deviations of 40; never to the same class, and to each
    /// other class equally often.
    #[test]
    fn flipped_labels_are_wrong_and_uniform() {
        let noisy = LabelNoise::new(Arc::new(Numbered(10_000)), 0.2, Random::new(3));
        let mut shifts = [0usize; 10];
        for id in 0..10_000 {
            let shift = (noisy.label(id) + 10 - id as usize % 10) % 10;
            assert_eq!(noisy.group(id), Some(if shift == 0 { "clean" } else { "mislabelled" }));
            shifts[shift] += 1;
        }
        assert!((shifts[0] as i64 - 8000).abs() < 200, "{shifts:?}");
        assert!(shifts[1..].iter().all(|n| (*n as i64 - 222).abs() < 75), "{shifts:?}");
    }

    /// The SHA-256 of all labels, then of all contents, as in checkpoints of earlier versions.
    #[test]
    fn a_fingerprint_covers_labels_and_contents() {
        let part = Subset::new(Arc::new(Numbered(9)), 2..5);
        let expected = format!("{:x}", Sha256::digest([2, 3, 4, 2, 3, 4]));
        assert_eq!(fingerprint(&part), expected);
    }
}
