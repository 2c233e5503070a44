//! Datasets derived from others: a subset, and one with wrong labels.

use std::borrow::Cow;
use std::sync::Arc;

use crate::data::{Dataset, LoadedSample, SampleError, Shape};
use crate::random::{Purpose, Random};
use crate::select::{SampleId, Visit};

/// Some samples of a dataset, renumbered from 0.
pub struct Subset {
    of: Arc<dyn Dataset>,
    ids: Vec<SampleId>,
}

impl Subset {
    /// The samples `range` of a dataset. A range beyond the end is cut off.
    #[must_use]
    pub fn new(of: Arc<dyn Dataset>, range: std::ops::Range<usize>) -> Self {
        let end = range.end.min(of.samples());
        Self { ids: (range.start.min(end)..end).map(|id| id as SampleId).collect(), of }
    }

    /// All but `held` samples, and those, each in their order. Which ones are held out depends on the number of samples
    /// alone. Images are drawn at random, because files are often sorted by class. Of a text it is the end, because windows
    /// beside each other are much alike.
    #[must_use]
    pub fn held_out(of: &Arc<dyn Dataset>, held: usize) -> [Self; 2] {
        let samples = of.samples();
        if matches!(of.shape(), Shape::Tokens(_)) {
            let kept = samples.saturating_sub(held);
            return [0..kept, kept..samples].map(|part| Self::new(of.clone(), part));
        }
        let mut ids: Vec<SampleId> = (0..samples as SampleId).collect();
        ids.sort_by_cached_key(|id| Random::new(0).stream(Purpose::HeldOut, u64::from(*id), 0).uniform().to_bits());
        let mut kept = ids.split_off(held.min(ids.len()));
        ids.sort_unstable();
        kept.sort_unstable();
        [kept, ids].map(|ids| Self { of: of.clone(), ids })
    }

    fn there(&self, id: SampleId) -> SampleId {
        self.ids[id as usize]
    }
}

impl Dataset for Subset {
    fn samples(&self) -> usize {
        self.ids.len()
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
    fn load(&self, visit: Visit, random: Option<Random>, out: &mut [f32]) -> Result<LoadedSample, SampleError> {
        self.of.load(Visit { id: self.there(visit.id), ..visit }, random, out)
    }
    fn reads_files(&self) -> bool {
        self.of.reads_files()
    }
    fn crops(&self) -> bool {
        self.of.crops()
    }
    fn class_names(&self) -> &[String] {
        self.of.class_names()
    }
    fn fingerprinted(&self) -> &'static str {
        self.of.fingerprinted()
    }
    fn normalisation(&self) -> Vec<[f32; 2]> {
        self.of.normalisation()
    }
    fn mirrors(&self) -> bool {
        self.of.mirrors()
    }
    fn write_tokens(&self, id: SampleId, out: &mut [i32]) {
        self.of.write_tokens(self.there(id), out);
    }
    fn token(&self, token: usize) -> Option<&[u8]> {
        self.of.token(token)
    }
    fn input_deviation(&self, id: SampleId) -> f32 {
        self.of.input_deviation(self.there(id))
    }
    fn mean_input_deviation(&self) -> f64 {
        if self.reads_files() {
            return self.of.mean_input_deviation();
        }
        let total: f64 = self.ids.iter().map(|id| f64::from(self.of.input_deviation(*id))).sum();
        total / self.ids.len().max(1) as f64
    }
    fn group(&self, id: SampleId) -> Option<&'static str> {
        self.of.group(self.there(id))
    }
    fn place(&self, id: SampleId) -> Option<String> {
        self.of.place(self.there(id))
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
    fn load(&self, visit: Visit, random: Option<Random>, out: &mut [f32]) -> Result<LoadedSample, SampleError> {
        self.of.load(visit, random, out)
    }
    fn reads_files(&self) -> bool {
        self.of.reads_files()
    }
    fn crops(&self) -> bool {
        self.of.crops()
    }
    fn class_names(&self) -> &[String] {
        self.of.class_names()
    }
    fn fingerprinted(&self) -> &'static str {
        self.of.fingerprinted()
    }
    fn normalisation(&self) -> Vec<[f32; 2]> {
        self.of.normalisation()
    }
    fn mirrors(&self) -> bool {
        self.of.mirrors()
    }
    fn write_tokens(&self, id: SampleId, out: &mut [i32]) {
        self.of.write_tokens(id, out);
    }
    fn token(&self, token: usize) -> Option<&[u8]> {
        self.of.token(token)
    }
    fn input_deviation(&self, id: SampleId) -> f32 {
        self.of.input_deviation(id)
    }
    fn mean_input_deviation(&self) -> f64 {
        self.of.mean_input_deviation()
    }
    fn group(&self, id: SampleId) -> Option<&'static str> {
        let wrong = self.label(id) != self.of.label(id);
        if wrong { Some("mislabelled") } else { self.of.group(id).or(Some("clean")) }
    }
    fn place(&self, id: SampleId) -> Option<String> {
        self.of.place(id)
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

    /// Every sample is in one of the two parts, in order, and a tenth of the samples of each class is held out, within
    /// five standard deviations of 9.5.
    #[test]
    fn held_out_samples_are_of_every_class() {
        let all: Arc<dyn Dataset> = Arc::new(Numbered(10_000));
        let [kept, held] = Subset::held_out(&all, 1000);
        assert_eq!((kept.samples(), held.samples()), (9000, 1000));
        assert!(kept.ids.is_sorted() && held.ids.is_sorted());
        let mut both = [kept.ids.clone(), held.ids.clone()].concat();
        both.sort_unstable();
        assert!(both.into_iter().eq(0..10_000));
        for class in 0..10 {
            let of_class = (0..1000).filter(|id| held.label(*id) == class).count();
            assert!((of_class as i64 - 100).abs() < 48, "{of_class} of class {class}");
        }
        // The first tenth is not preferred: files may be sorted by class.
        let early = held.ids.iter().filter(|id| **id < 1000).count();
        assert!((early as i64 - 100).abs() < 48, "{early}");
        assert_eq!(Subset::held_out(&all, 1000)[1].ids, held.ids, "the same each time");
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
