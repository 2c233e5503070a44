//! A view of a dataset: some of its samples, with other labels if need be.

use std::borrow::Cow;
use std::sync::Arc;

use crate::data::{Dataset, LoadedSample, SampleError, Shape};
use crate::random::{Purpose, Random};
use crate::select::{SampleId, Visit};

/// Some samples of a dataset, renumbered from 0, with its labels or others.
pub struct View {
    of: Arc<dyn Dataset>,
    ids: Vec<SampleId>,
    /// The labels, if they are not those of the dataset.
    labels: Option<Vec<u32>>,
    /// The names of the classes that `labels` are of, if they are not those of the dataset.
    class_names: Option<Vec<String>>,
    /// Whether labels that differ from those of the dataset are wrong.
    noisy: bool,
}

impl View {
    fn of(of: Arc<dyn Dataset>, ids: Vec<SampleId>) -> Self {
        Self { of, ids, labels: None, class_names: None, noisy: false }
    }

    /// The first `limit` samples, of images those of each class in proportion: files are often sorted by class.
    #[must_use]
    pub fn limited(of: Arc<dyn Dataset>, limit: usize) -> Self {
        let ids = match of.shape() {
            Shape::Tokens(_) => (0..of.samples().min(limit) as SampleId).collect(),
            Shape::Image(_) => stratified(of.as_ref(), (0..of.samples() as SampleId).collect(), limit)[0].clone(),
        };
        Self::of(of, ids)
    }

    /// All but `held` samples, and those, each in their order. Images are drawn at random, of each class in proportion; which
    /// ones depends on the labels alone. Of a text it is the end, because windows beside each other are much alike.
    #[must_use]
    pub fn held_out(of: &Arc<dyn Dataset>, held: usize) -> [Self; 2] {
        let samples = of.samples() as SampleId;
        let [held, kept] = match of.shape() {
            Shape::Tokens(_) => {
                let kept = samples.saturating_sub(held as SampleId);
                [(kept..samples).collect(), (0..kept).collect()]
            }
            Shape::Image(_) => {
                let mut ids: Vec<SampleId> = (0..samples).collect();
                let key =
                    |id: &SampleId| Random::new(0).stream(Purpose::HeldOut, u64::from(*id), 0).uniform().to_bits();
                ids.sort_by_cached_key(key);
                stratified(of.as_ref(), ids, held)
            }
        };
        [kept, held].map(|ids| Self::of(of.clone(), ids))
    }

    /// All samples, a `share` (0..=1) of them with the label of another class, for stress tests. Which ones, and of which
    /// class, is a function of `random` and the sample's id.
    ///
    /// The samples with a wrong label are in the group `mislabelled`, the others in `clean` unless they have a group already.
    #[must_use]
    pub fn with_label_noise(of: Arc<dyn Dataset>, share: f64, random: Random) -> Self {
        let classes = of.classes();
        let label = |id: SampleId| {
            let mut stream = random.stream(Purpose::LabelNoise, u64::from(id), 0);
            let flipped = classes > 1 && stream.uniform() < share;
            let label = of.label(id);
            (if flipped { (label + 1 + stream.below(classes - 1)) % classes } else { label }) as u32
        };
        let ids: Vec<SampleId> = (0..of.samples() as SampleId).collect();
        let labels = ids.iter().map(|id| label(*id)).collect();
        Self { labels: Some(labels), noisy: true, ..Self::of(of, ids) }
    }

    /// All samples, with the classes `names`: each keeps the name of its class, and gets its number among these.
    ///
    /// # Errors
    /// The name of a class that has samples and is not among them.
    pub fn with_classes(of: Arc<dyn Dataset>, names: &[String]) -> Result<Self, String> {
        let numbers: Vec<Option<usize>> =
            of.class_names().iter().map(|name| names.iter().position(|other| other == name)).collect();
        let ids: Vec<SampleId> = (0..of.samples() as SampleId).collect();
        let label = |id: &SampleId| {
            let label = of.label(*id);
            let number = numbers.get(label).copied().flatten();
            number.map(|number| number as u32).ok_or_else(|| of.class_names().get(label).cloned().unwrap_or_default())
        };
        let labels = ids.iter().map(label).collect::<Result<_, _>>()?;
        Ok(Self { labels: Some(labels), class_names: Some(names.to_vec()), ..Self::of(of, ids) })
    }

    fn there(&self, id: SampleId) -> SampleId {
        self.ids[id as usize]
    }
}

/// The first `part` of these ids, of each class in proportion to the number of its samples, and the others; both sorted.
fn stratified(of: &dyn Dataset, ids: Vec<SampleId>, part: usize) -> [Vec<SampleId>; 2] {
    let mut counts = vec![0; of.classes()];
    ids.iter().for_each(|id| counts[of.label(*id)] += 1);
    let mut left = shares(&counts, part);
    let is_in = |id: &SampleId| {
        let left = &mut left[of.label(*id)];
        let is_in = *left > 0;
        *left = left.saturating_sub(1);
        is_in
    };
    let (mut first, mut rest): (Vec<_>, Vec<_>) = ids.into_iter().partition(is_in);
    first.sort_unstable();
    rest.sort_unstable();
    [first, rest]
}

/// Divides `part` in proportion to `counts`, by the method of the largest remainder; no share is larger than its count.
fn shares(counts: &[usize], part: usize) -> Vec<usize> {
    let all: usize = counts.iter().sum();
    let part = part.min(all);
    let exact = |count: usize| count as u128 * part as u128;
    let mut shares: Vec<usize> = counts.iter().map(|count| (exact(*count) / all.max(1) as u128) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..counts.len()).collect();
    by_remainder.sort_by_key(|class| std::cmp::Reverse(exact(counts[*class]) % all.max(1) as u128));
    let missing = part - shares.iter().sum::<usize>();
    by_remainder.into_iter().take(missing).for_each(|class| shares[class] += 1);
    shares
}

impl Dataset for View {
    fn samples(&self) -> usize {
        self.ids.len()
    }
    fn classes(&self) -> usize {
        self.class_names.as_ref().map_or_else(|| self.of.classes(), Vec::len)
    }
    fn shape(&self) -> Shape {
        self.of.shape()
    }
    fn label(&self, id: SampleId) -> usize {
        match &self.labels {
            Some(labels) => labels[id as usize] as usize,
            None => self.of.label(self.there(id)),
        }
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
    fn resize(&self) -> Option<usize> {
        self.of.resize()
    }
    fn class_names(&self) -> &[String] {
        self.class_names.as_deref().unwrap_or(self.of.class_names())
    }
    fn remarks(&self) -> Vec<String> {
        self.of.remarks()
    }
    fn fingerprinted(&self) -> &'static str {
        self.of.fingerprinted()
    }
    fn normalisation(&self) -> Vec<[f32; 2]> {
        self.of.normalisation()
    }
    fn has_pixels(&self) -> bool {
        self.of.has_pixels()
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
        if self.reads_files() || self.ids.len() == self.of.samples() {
            return self.of.mean_input_deviation();
        }
        let total: f64 = self.ids.iter().map(|id| f64::from(self.of.input_deviation(*id))).sum();
        total / self.ids.len().max(1) as f64
    }
    fn group(&self, id: SampleId) -> Option<&'static str> {
        let there = self.there(id);
        match self.noisy {
            true if self.label(id) != self.of.label(there) => Some("mislabelled"),
            true => self.of.group(there).or(Some("clean")),
            false => self.of.group(there),
        }
    }
    fn place(&self, id: SampleId) -> Option<String> {
        self.of.place(self.there(id))
    }
    fn name(&self, id: SampleId) -> Cow<'_, [u8]> {
        self.of.name(self.there(id))
    }
    fn content(&self, id: SampleId) -> Cow<'_, [u8]> {
        self.of.content(self.there(id))
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

    /// Thirty samples sorted by class, 15 of the first, 10 and 5 of the others.
    struct Sorted;

    impl Dataset for Sorted {
        fn samples(&self) -> usize {
            30
        }
        fn classes(&self) -> usize {
            3
        }
        fn shape(&self) -> Shape {
            Shape::Image([1, 1, 1])
        }
        fn label(&self, id: SampleId) -> usize {
            [15, 25, 30].iter().position(|end| id < *end).unwrap()
        }
        fn class_names(&self) -> &[String] {
            static NAMES: std::sync::LazyLock<Vec<String>> =
                std::sync::LazyLock::new(|| ["ant", "bee", "cow"].map(String::from).to_vec());
            &NAMES
        }
    }

    #[test]
    fn a_limit_takes_the_first_of_every_class() {
        let all: Arc<dyn Dataset> = Arc::new(Sorted);
        assert_eq!(View::limited(all.clone(), 6).ids, [0, 1, 2, 15, 16, 25]);
        assert_eq!(View::limited(all.clone(), 1).ids, [0]);
        assert_eq!(View::limited(all.clone(), 99).ids.len(), 30);
        let [kept, held] = View::held_out(&all, 6);
        let of_class =
            |view: &View, class| (0..view.samples()).filter(|id| view.label(*id as SampleId) == class).count();
        assert_eq!([0, 1, 2].map(|class| of_class(&held, class)), [3, 2, 1]);
        assert_eq!([0, 1, 2].map(|class| of_class(&kept, class)), [12, 8, 4]);
    }

    #[test]
    fn shares_are_in_proportion_and_add_up() {
        assert_eq!(shares(&[15, 10, 5], 6), [3, 2, 1]);
        assert_eq!(shares(&[1, 1, 1], 2), [1, 1, 0]);
        assert_eq!(shares(&[0, 7], 3), [0, 3]);
        assert_eq!((shares(&[], 3), shares(&[0], 3)), (vec![], vec![0]));
        for part in 0..=40 {
            let shares = shares(&[1, 5, 0, 13, 21], part);
            assert_eq!(shares.iter().sum::<usize>(), part);
            assert!(shares.iter().zip([1, 5, 0, 13, 21]).all(|(share, count)| *share <= count), "{shares:?}");
        }
    }

    /// Another order and more classes; a class without samples does not have to be known.
    #[test]
    fn classes_go_by_name() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let all: Arc<dyn Dataset> = Arc::new(Sorted);
        let view = View::with_classes(all.clone(), &names(&["cow", "dog", "bee", "ant"])).unwrap();
        assert_eq!((view.classes(), view.label(0), view.label(20), view.label(29)), (4, 3, 2, 0));
        assert_eq!(View::with_classes(all.clone(), &names(&["ant", "bee"])).err().unwrap(), "cow");
        let some: Arc<dyn Dataset> = Arc::new(View::of(all, vec![1, 2, 16]));
        assert_eq!(View::with_classes(some, &names(&["bee", "ant"])).unwrap().label(2), 0);
    }

    /// Every sample is in one of the two parts, in order, and a tenth of the samples of each class is held out.
    #[test]
    fn held_out_samples_are_of_every_class() {
        let all: Arc<dyn Dataset> = Arc::new(Numbered(10_000));
        let [kept, held] = View::held_out(&all, 1000);
        assert_eq!((kept.samples(), held.samples()), (9000, 1000));
        assert!(kept.ids.is_sorted() && held.ids.is_sorted());
        let mut both = [kept.ids.clone(), held.ids.clone()].concat();
        both.sort_unstable();
        assert!(both.into_iter().eq(0..10_000));
        for class in 0..10 {
            let of_class = (0..1000).filter(|id| held.label(*id) == class).count();
            assert_eq!(of_class, 100, "of class {class}");
        }
        // The first tenth is not preferred: within five standard deviations of 9.5.
        let early = held.ids.iter().filter(|id| **id < 1000).count();
        assert!((early as i64 - 100).abs() < 48, "{early}");
        assert_eq!(View::held_out(&all, 1000)[1].ids, held.ids, "the same each time");
    }

    /// A fifth of 10,000 labels is flipped, within five standard deviations of 40; never to the same class, and to each
    /// other class equally often.
    #[test]
    fn flipped_labels_are_wrong_and_uniform() {
        let noisy = View::with_label_noise(Arc::new(Numbered(10_000)), 0.2, Random::new(3));
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
        let part = View::of(Arc::new(Numbered(9)), vec![2, 3, 4]);
        let expected = format!("{:x}", Sha256::digest([2, 3, 4, 2, 3, 4]));
        assert_eq!(fingerprint(&part), expected);
    }
}
