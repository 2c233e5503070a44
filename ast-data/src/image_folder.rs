//! Your own photographs: a folder for each class, with JPEG or PNG files. Or Parquet files, see [`parquet`].
//!
//! `DIR/train/CLASS/*.jpg` and `DIR/val/CLASS/*.jpg` (or `validation`, or `test`); or `DIR/CLASS/*.jpg` alone, without test
//! samples. Classes and images are sorted by name. At the start the files are listed, not read, except at most 2,048 that
//! the normalisation is measured on. An image is read and decoded when it was selected, in the loader's workers.

mod cache;
mod decode;
mod error;
mod import;
mod index;
mod orientation;
mod packed;
mod parquet;
mod rgb;
mod statistics;
mod store;
mod view;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ast_core::data::{
    DataError, DataSource, Dataset, LoadedSample, Preprocessing, ReadRequest, SampleError, Shape, Splits,
    VerifiedContents,
};
use ast_core::plugin::{ParamError, ParamKind, ParamSpec, Params};
use ast_core::random::{Purpose, Random};
use ast_core::select::{SampleId, Visit};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use self::cache::Cached;
use self::error::{FolderError, ImageError};
use self::index::{Index, folders, is_image};
use self::statistics::{Statistics, deviation};
use self::store::{Files, Store};
use self::view::{Sampling, random_region};

pub use self::import::{ImportError, ImportProgress, import};

/// Side of the network's input, unless the images are small: that of networks for ImageNet.
const SIZE: usize = 224;
/// Sides that can be set.
const SIDES: [f64; 2] = [4.0, 4096.0];
/// Images read before their order matters.
const TOGETHER: usize = 256;
/// Names of the folder of test samples; the first that is there counts.
const TEST: [&str; 3] = ["val", "validation", "test"];

ast_core::register_dataset! {
    name: "image-folder",
    summary: "your own photographs: `train/CLASS/*.jpg` and `val/CLASS/*.jpg` (JPEG or PNG), or a folder for each class; only selected images are read. With the cargo feature `parquet` also Parquet files as Hugging Face publishes them",
    params: &[
        ParamSpec {
            name: "size",
            summary: "side of the network's input, in pixels; by default 224, but images of one size of at most 64 x 64 stay as they are",
            kind: ParamKind::Number { default: f64::NAN, min: SIDES[0], max: SIDES[1] },
        },
        ParamSpec {
            name: "resize",
            summary: "shorter side before the centre crop of evaluation, in pixels; by default 256/224 of the size",
            kind: ParamKind::Number { default: f64::NAN, min: SIDES[0], max: SIDES[1] },
        },
        ParamSpec {
            name: "on_bad",
            summary: "what happens with a broken file: `refuse` ends the run, `skip` goes on without it, with a warning",
            kind: ParamKind::Choice(&["refuse", "skip"]),
        },
        ParamSpec {
            name: "mirrors",
            summary: "whether the mirror image of an image is of the same class; if not, augmentation does not flip",
            kind: ParamKind::Choice(&["yes", "no"]),
        },
    ],
    build: |params| Ok(Box::new(ImageFolder::new(params)?)),
}

struct ImageFolder {
    size: Option<usize>,
    resize: Option<usize>,
    skip: bool,
    mirrors: bool,
}

impl ImageFolder {
    fn new(params: &Params) -> Result<Self, ParamError> {
        let side = |name| whole(name, params.optional(name)?);
        let (size, resize) = (side("size")?, side("resize")?);
        if let (Some(size), Some(resize)) = (size, resize)
            && resize < size
        {
            let (key, value) = ("resize", (resize as f64).into());
            return Err(ParamError::OutOfRange { key, value, allowed: format!("at least `size`, {size}") });
        }
        let (skip, mirrors) = (params.word("on_bad")? == "skip", params.word("mirrors")? == "yes");
        Ok(Self { size, resize, skip, mirrors })
    }

    /// How images become the network's input.
    fn view(&self, statistics: &Statistics) -> View {
        match (self.size, statistics.small()) {
            (None, Some(sides)) => View { sides, shorter: self.resize.unwrap_or(sides[0].min(sides[1])), crops: false },
            (size, _) => {
                let size = size.unwrap_or(SIZE);
                let shorter = self.resize.unwrap_or(size * 256 / 224);
                View { sides: [size; 2], shorter, crops: true }
            }
        }
    }
}

fn whole(key: &'static str, given: Option<f64>) -> Result<Option<usize>, ParamError> {
    let fraction = given.filter(|given| given.fract() != 0.0);
    match fraction {
        Some(value) => Err(ParamError::OutOfRange { key, value: value.into(), allowed: "a whole number".into() }),
        None => Ok(given.map(|given| given as usize)),
    }
}

impl DataSource for ImageFolder {
    fn read(&self, request: &ReadRequest<'_>) -> Result<Splits, DataError> {
        let dir = request.dir.ok_or(DataError::NoFolder)?;
        Ok(self.splits(dir, cache::folder().as_deref(), request.preprocessing)?)
    }

    fn folder_of_classes(&self, dir: &Path) -> Option<PathBuf> {
        let train = dir.join("train");
        let root = [train, dir.to_path_buf()].into_iter().find(|folder| folder.is_dir())?;
        let has_images = |class: &OsString| {
            let mut files = std::fs::read_dir(root.join(class)).into_iter().flatten().flatten();
            files.any(|file| is_image(file.file_name().as_encoded_bytes()))
        };
        folders(&root).is_ok_and(|classes| classes.iter().any(has_images)).then_some(root)
    }

    fn find(&self, dir: &Path) -> Result<(), DataError> {
        opened(dir, false).map(drop).map_err(Into::into)
    }

    fn describe(&self, dir: &Path) -> Result<Vec<(&'static str, String)>, DataError> {
        let Opened { classes, train, test } = opened(dir, false)?;
        let of = |store: &dyn Store| {
            let mut counts = vec![0; classes.len()];
            (0..store.samples()).for_each(|image| counts[store.class(image)] += 1);
            let [least, most] = [counts.iter().min(), counts.iter().max()].map(|count| count.copied().unwrap_or(0));
            format!("{} images, {least} to {most} of a class; {} bytes", store.samples(), store.bytes())
        };
        let shown = match &classes[..] {
            [first, second, .., last] if classes.len() > 12 => format!("{first}, {second}, ..., {last}"),
            all => all.join(", "),
        };
        let remarks = [Some(&train), test.as_ref()].into_iter().flatten().filter_map(|store| store.remark());
        let remarks: Vec<_> = remarks.map(|remark| ("note", remark)).collect();
        let test = test.map_or_else(|| "none: set data.validation".into(), |test| of(test.as_ref()));
        let lines =
            vec![("training", of(train.as_ref())), ("test", test), ("classes", format!("{}: {shown}", classes.len()))];
        Ok(lines.into_iter().chain(remarks).collect())
    }

    fn verify_contents(
        &self,
        dir: &Path,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Option<VerifiedContents>, DataError> {
        let Opened { train, test, .. } = opened(dir, false)?;
        let all = train.samples() + test.as_ref().map_or(0, |test| test.samples());
        let (mut splits, mut broken, mut done) = (Vec::new(), Vec::new(), 0);
        for (name, store) in [("training", Some(train)), ("test", test)] {
            let Some(store) = store else { continue };
            let mut hash = Sha256::new();
            for from in (0..store.samples()).step_by(TOGETHER) {
                let until = store.samples().min(from + TOGETHER);
                let read = |image| (store.class(image) as u32, store.content(image), store.image(image).err());
                let images: Vec<_> = (from..until).into_par_iter().map(read).collect();
                for (class, content, error) in images {
                    hash.update(class.to_le_bytes());
                    hash.update(content.unwrap_or_default());
                    broken.extend(error.map(|error| error.to_string()));
                }
                done += until - from;
                progress(done, all);
            }
            splits.push((name, store.samples(), format!("{:x}", hash.finalize())));
        }
        Ok(Some(VerifiedContents { splits, broken }))
    }
}

impl ImageFolder {
    fn splits(&self, dir: &Path, cache: Option<&Path>, given: Option<&Preprocessing>) -> Result<Splits, FolderError> {
        let given = given.cloned().unwrap_or_default();
        let Opened { classes, train, test } = opened(dir, given.classes.is_some())?;
        if let (Some(size), Some(Shape::Image([_, height, width]))) = (self.size, given.shape)
            && [height, width] != [size; 2]
        {
            let reason = format!("`data.size` = {size}, but the network is for images of {height} x {width} pixels");
            return Err(FolderError::new(dir, reason));
        }
        let by_channel = |[mean, deviation]: [&[f32]; 2]| [0, 1, 2].map(|channel| [mean[channel], deviation[channel]]);
        let own = View::given(&given).zip(given.normalisation(3)).zip(given.input_deviation);
        let (view, normalise, input_deviation) = match own {
            Some(((view, normalisation), input_deviation)) => (view, by_channel(normalisation), input_deviation),
            None => {
                let statistics = self.measured(dir, cache, train.as_ref())?;
                let [mean, deviation] = [statistics.mean, statistics.deviation].map(|of| of.map(|value| value as f32));
                let normalise = by_channel(given.normalisation(3).unwrap_or([&mean, &deviation]));
                let view = View::given(&given).filter(|_| self.size.is_none());
                (view.unwrap_or_else(|| self.view(&statistics)), normalise, statistics.input_deviation)
            }
        };
        let classes = Arc::<[String]>::from(classes);
        let split = |store| -> Arc<dyn Dataset> {
            let (classes, skip, mirrors) = (classes.clone(), self.skip, self.mirrors);
            Arc::new(Pictures { store, classes, view, normalise, input_deviation, skip, mirrors })
        };
        Ok(Splits { train: split(train), test: test.map(split) })
    }

    /// What the images are like, from the cache if they were measured before.
    fn measured(&self, dir: &Path, cache: Option<&Path>, train: &dyn Store) -> Result<Statistics, FolderError> {
        let cached = Cached::new(cache, dir, identity(train));
        let statistics = match cached.get() {
            Some(statistics) => statistics,
            None => {
                let measured = Statistics::of(train, self.skip);
                let statistics = measured.map_err(|error| FolderError::new(Path::new(&error.place), error.reason))?;
                cached.put(&statistics);
                statistics
            }
        };
        match statistics.images {
            0 => Err(FolderError::new(dir, "every image is broken")),
            _ => Ok(statistics),
        }
    }
}

/// The images of a folder, of its binary form, or of Parquet files.
struct Opened {
    classes: Vec<String>,
    train: Arc<dyn Store>,
    test: Option<Arc<dyn Store>>,
}

impl Opened {
    fn of<S: Store + 'static>(classes: Vec<String>, train: S, test: Option<S>) -> Self {
        let test = test.map(|test| -> Arc<dyn Store> { Arc::new(test) });
        Self { classes, train: Arc::new(train), test }
    }
}

/// Whether a place can only be the binary form.
fn is_binary(place: &Path) -> bool {
    place.is_file() && !parquet::is_parquet(place)
}

/// Opens a place. With classes that are `known`, images of some of them are enough, and those of one split.
fn opened(place: &Path, known: bool) -> Result<Opened, FolderError> {
    if is_binary(place) {
        let (classes, train, test) = packed::open(place)?;
        return Ok(Opened::of(classes, train, test));
    }
    let (train, test) = match listed(place, known) {
        Ok(listed) => listed,
        Err(error) => return parquet::open(place)?.ok_or(error),
    };
    Ok(Opened::of(train.classes.clone(), Files(train), test.map(Files)))
}

/// Refuses images that are all of one class.
fn differ(place: &Path, classes: &[String]) -> Result<(), FolderError> {
    match classes {
        [only] => Err(FolderError::new(place, format!("`{only}` is its only class: there is nothing to tell apart"))),
        _ => Ok(()),
    }
}

/// The SHA-256 of what identifies each image, and of its class.
fn identity(store: &dyn Store) -> String {
    let mut hash = Sha256::new();
    for image in 0..store.samples() {
        hash.update((store.class(image) as u32).to_le_bytes());
        hash.update(store.identity(image));
    }
    format!("{:x}", hash.finalize())
}

/// Lists the training images, and the test images if there are any.
fn listed(dir: &Path, known: bool) -> Result<(Index, Option<Index>), FolderError> {
    let wrong = |file: &Path, reason: &str| Err(FolderError::new(file, reason));
    let about = std::fs::metadata(dir).map_err(|error| FolderError::new(dir, error.to_string()))?;
    if !about.is_dir() {
        return wrong(dir, "it is neither a folder nor a file");
    }
    let test = TEST.iter().map(|name| dir.join(name)).find(|folder| folder.is_dir());
    let (root, test) = match (dir.join("train"), test) {
        (train, test) if train.is_dir() => (train, test),
        (_, Some(alone)) if known && !folders(&alone)?.is_empty() => (alone, None),
        _ => (dir.to_path_buf(), None),
    };
    if folders(&root)?.is_empty() {
        let loose = std::fs::read_dir(&root).is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| is_image(entry.file_name().as_encoded_bytes())))
        });
        let reason = match loose {
            true => "its images are in no class: put those of each class into a folder of its own",
            false => "there are no folders in it; an image folder has one for each class",
        };
        return wrong(&root, reason);
    }
    let train = Index::of(&root)?;
    let test = test.map(|folder| Ok((Index::of(&folder)?, folder))).transpose()?;
    if known {
        if train.len() + test.as_ref().map_or(0, |(test, _)| test.len()) == 0 {
            return wrong(&root, "there is no image (.jpg, .jpeg, .png) in its folders");
        }
        let all: BTreeSet<String> =
            train.classes.iter().chain(test.iter().flat_map(|(test, _)| &test.classes)).cloned().collect();
        let all: Vec<String> = all.into_iter().collect();
        let test = test.map(|(test, _)| test.renumbered(&all)).transpose()?;
        return Ok((train.renumbered(&all)?, test));
    }
    if let Some((name, _)) = train.classes.iter().zip(train.counts()).find(|(_, count)| *count == 0) {
        let nested = folders(&root.join(name)).is_ok_and(|folders| !folders.is_empty());
        let inside = if nested { "; images in folders within it are not looked for" } else { "" };
        let reason = format!("there is no image (.jpg, .jpeg, .png) in it{inside}: every folder here is a class");
        return wrong(&root.join(name), &reason);
    }
    differ(&root, &train.classes)?;
    let test = test.map(|(test, folder)| {
        let test = test.renumbered(&train.classes)?;
        let empty = || FolderError::new(&folder, "there are no images in it");
        if test.len() == 0 { Err(empty()) } else { Ok(test) }
    });
    Ok((train, test.transpose()?))
}

/// How images become the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct View {
    /// Height and width of the network's input.
    sides: [usize; 2],
    /// Shorter side of an image before its middle is cut out.
    shorter: usize,
    /// Whether training crops at random.
    crops: bool,
}

impl View {
    /// That of an earlier run, if its shape is given.
    fn given(given: &Preprocessing) -> Option<Self> {
        let Some(Shape::Image([_, height, width])) = given.shape else { return None };
        let shorter = given.resize.unwrap_or(height.min(width));
        Some(Self { sides: [height, width], shorter, crops: given.crops })
    }
}

/// The images of a split.
struct Pictures {
    store: Arc<dyn Store>,
    classes: Arc<[String]>,
    view: View,
    /// Mean and standard deviation of each channel, of pixels in 0..1.
    normalise: [[f32; 2]; 3],
    input_deviation: f64,
    skip: bool,
    mirrors: bool,
}

impl Dataset for Pictures {
    fn samples(&self) -> usize {
        self.store.samples()
    }

    fn classes(&self) -> usize {
        self.classes.len()
    }

    fn class_names(&self) -> &[String] {
        &self.classes
    }

    fn shape(&self) -> Shape {
        let [height, width] = self.view.sides;
        Shape::Image([3, height, width])
    }

    fn label(&self, id: SampleId) -> usize {
        self.store.class(id as usize)
    }

    fn load(&self, visit: Visit, random: Option<Random>, out: &mut [f32]) -> Result<LoadedSample, SampleError> {
        let (image, reads) = self.store.image(visit.id as usize).map_err(|error| self.refused(error))?;
        let from = [image.height, image.width];
        let sampling = match random.filter(|_| self.view.crops) {
            Some(random) => {
                let (epoch, sample) = (u64::from(visit.epoch), u64::from(visit.id));
                let region = random_region(from, &mut random.stream(Purpose::ResizedCrop, epoch, sample));
                Sampling::of_region(region, self.view.sides)
            }
            None => Sampling::of_middle(from, self.view.shorter, self.view.sides),
        };
        sampling.write(&image, out);
        let [height, width] = self.view.sides;
        for (plane, [mean, deviation]) in out.chunks_exact_mut(height * width).zip(self.normalise) {
            plane.iter_mut().for_each(|value| *value = (*value / 255.0 - mean) / deviation);
        }
        Ok(LoadedSample { input_deviation: deviation(&image), reads })
    }

    fn reads_files(&self) -> bool {
        true
    }

    fn crops(&self) -> bool {
        self.view.crops
    }

    fn resize(&self) -> Option<usize> {
        Some(self.view.shorter)
    }

    fn mirrors(&self) -> bool {
        self.mirrors
    }

    fn mean_input_deviation(&self) -> f64 {
        self.input_deviation
    }

    fn normalisation(&self) -> Vec<[f32; 2]> {
        self.normalise.to_vec()
    }

    fn place(&self, id: SampleId) -> Option<String> {
        Some(self.store.place(id as usize))
    }

    fn name(&self, id: SampleId) -> Cow<'_, [u8]> {
        self.store.name(id as usize).into()
    }

    fn remarks(&self) -> Vec<String> {
        self.store.remark().into_iter().collect()
    }

    fn fingerprinted(&self) -> &'static str {
        self.store.identified()
    }

    fn content(&self, id: SampleId) -> Cow<'_, [u8]> {
        self.store.identity(id as usize).into()
    }
}

impl Pictures {
    fn refused(&self, error: ImageError) -> SampleError {
        SampleError { may_be_left_out: error.broken && self.skip, error: Box::new(error) }
    }
}

#[cfg(test)]
mod tests;
