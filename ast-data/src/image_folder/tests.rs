use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use ast_core::data::{Augment, HostBatch, LoadError, Loader, Request, Values, fingerprint};
use ast_core::plugin::ParamValue;
use ast_core::testing::check_dataset;
use tempfile::TempDir;

use super::*;
use crate::OrderedLoader;

/// A folder in which files can be put.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Puts a fixture in a place.
    fn put(&self, name: &str, fixture: &str) -> &Self {
        fs::copy(Path::new("tests/image_folder").join(fixture), self.at(name)).unwrap();
        self
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> &Self {
        fs::write(self.at(name), bytes).unwrap();
        self
    }

    /// Two classes with three training images and one test image each.
    fn usual() -> Self {
        let folder = Self::new();
        for (class, names) in [("cat", ["baseline", "exif6", "greyscale"]), ("ant", ["cmyk", "progressive", "exif3"])] {
            for name in names {
                folder.put(&format!("train/{class}/{name}.jpg"), &format!("{name}.jpg"));
            }
            folder.put(&format!("val/{class}/colour.png"), "colour.png");
        }
        folder
    }
}

pub(super) fn source(params: &[(&str, ParamValue)]) -> ImageFolder {
    let given: BTreeMap<String, ParamValue> =
        params.iter().map(|(key, value)| ((*key).to_string(), value.clone())).collect();
    let registry = ast_core::plugin::Registry::<ast_core::data::BuildDataset>::linked().unwrap();
    ImageFolder::new(&Params::resolve(registry.get("image-folder").unwrap().params, &given).unwrap()).unwrap()
}

pub(super) fn read(place: &Path, params: &[(&str, ParamValue)]) -> Result<Splits, String> {
    source(params).splits(place, None, None).map_err(|error| error.to_string())
}

fn visits(ids: impl IntoIterator<Item = SampleId>, epoch: u32) -> Vec<Visit> {
    ids.into_iter().map(|id| Visit { id, epoch, earlier: 0 }).collect()
}

fn refused(folder: &Folder) -> String {
    read(folder.path(), &[]).err().expect("it is refused")
}

#[test]
fn it_keeps_the_contract() {
    let folder = Folder::usual();
    for (size, resize) in [(16, 20), (48, 48)] {
        let source = source(&[("size", size.into()), ("resize", resize.into())]);
        check_dataset(&source, &ReadRequest::of(folder.path()));
    }
}

#[test]
fn classes_and_images_are_sorted_by_the_bytes_of_their_names() {
    let folder = Folder::new();
    for name in ["b/10.jpg", "b/9.JPG", "b/a.Jpeg", "b/B.png", "B/x.PNG", "é/y.jpeg", "a/ö.jpg"] {
        folder.put(name, if name.to_lowercase().ends_with("png") { "colour.png" } else { "baseline.jpg" });
    }
    let (index, test) = listed(folder.path(), false).unwrap();
    assert!(test.is_none());
    assert_eq!(index.classes, ["B", "a", "b", "é"]);
    let names: Vec<String> = (0..index.len())
        .map(|image| index.found(image).path.strip_prefix(folder.path()).unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["B/x.PNG", "a/ö.jpg", "b/10.jpg", "b/9.JPG", "b/B.png", "b/a.Jpeg", "é/y.jpeg"]);
    assert_eq!((0..7).map(|image| index.class(image)).collect::<Vec<_>>(), [0, 1, 2, 2, 2, 2, 3]);
    assert_eq!(index.counts(), [1, 1, 4, 1]);
    let splits = read(folder.path(), &[]).unwrap();
    assert_eq!(splits.train.class_names(), ["B", "a", "b", "é"]);
}

/// What is no image is not one: hidden files and folders, other extensions, files beside the classes, folders within them.
#[test]
fn other_files_are_passed_over() {
    let folder = Folder::usual();
    folder.write("train/cat/.hidden.jpg", b"").write("train/cat/._baseline.jpg", b"").write("train/cat/notes.txt", b"");
    folder.write("train/labels.csv", b"").write("train/.cache/x.jpg", b"").write("train/cat/more/x.jpg", b"");
    folder.write("readme.jpg", b"").write("val/cat/Thumbs.db", b"").write("train/cat/jpg", b"");
    let splits = read(folder.path(), &[]).unwrap();
    assert_eq!((splits.train.samples(), splits.test.unwrap().samples()), (6, 2));
}

#[test]
fn the_test_images_are_in_val_or_validation_or_test() {
    for name in TEST {
        let folder = Folder::usual();
        fs::rename(folder.path().join("val"), folder.path().join(name)).unwrap();
        assert_eq!(read(folder.path(), &[]).unwrap().test.unwrap().samples(), 2, "{name}");
    }
    // The test images of ImageNet have no classes.
    let folder = Folder::usual();
    folder.put("test/1.jpg", "baseline.jpg");
    assert_eq!(read(folder.path(), &[]).unwrap().test.unwrap().samples(), 2);
    // A class may be missing there; its number is that of training.
    fs::remove_dir_all(folder.path().join("val/ant")).unwrap();
    let test = read(folder.path(), &[]).unwrap().test.unwrap();
    assert_eq!((test.samples(), test.label(0), test.classes()), (1, 1, 2));
}

#[test]
fn what_cannot_be_a_folder_of_images_is_refused_in_words() {
    let message = read(Path::new("/nowhere/at/all"), &[]).err().unwrap();
    assert!(message.contains("/nowhere/at/all: No such file"), "{message}");
    let folder = Folder::new();
    assert!(refused(&folder).contains("one for each class"));
    folder.put("1.jpg", "baseline.jpg");
    assert!(refused(&folder).contains("put those of each class into a folder of its own"));
    folder.put("cat/1.jpg", "baseline.jpg");
    assert!(refused(&folder).contains("`cat` is its only class"));
    folder.write("dog/inside/1.jpg", b"");
    let message = refused(&folder);
    assert!(
        message.contains("dog: there is no image (.jpg, .jpeg, .png) in it; images in folders within"),
        "{message}"
    );

    let folder = Folder::usual();
    fs::create_dir(folder.at("val/zebra")).unwrap();
    assert!(read(folder.path(), &[]).is_ok(), "an empty class");
    folder.put("val/zebra/1.jpg", "baseline.jpg");
    assert!(refused(&folder).contains("val/zebra: no training image is of the class `zebra`"), "{}", refused(&folder));
    fs::remove_dir_all(folder.path().join("val")).unwrap();
    fs::create_dir_all(folder.at("val/cat")).unwrap();
    assert!(refused(&folder).contains("val: there are no images in it"));

    let folder = Folder::usual();
    fs::create_dir(folder.at("train/cat/x.jpg")).unwrap();
    assert!(refused(&folder).contains("train/cat/x.jpg: it has the name of an image, but is not a file"));
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_names_need_not_be_unicode() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::usual();
    let far = Folder::usual();
    std::os::unix::fs::symlink(far.path().join("train/cat"), folder.path().join("train/dog")).unwrap();
    std::os::unix::fs::symlink(far.path().join("train/ant/cmyk.jpg"), folder.path().join("train/ant/linked.jpg"))
        .unwrap();
    let odd = folder.path().join("train/ant").join(std::ffi::OsStr::from_bytes(b"odd\xff\xfe.jpg"));
    fs::copy("tests/image_folder/baseline.jpg", &odd).unwrap();
    let train = read(folder.path(), &[]).unwrap().train;
    assert_eq!((train.samples(), train.classes()), (6 + 3 + 1 + 1, 3));
    let index = listed(folder.path(), false).unwrap().0;
    assert!((0..index.len()).any(|image| index.found(image).path == odd));

    std::os::unix::fs::symlink("nowhere.jpg", folder.path().join("train/ant/broken.jpg")).unwrap();
    assert!(refused(&folder).contains("train/ant/broken.jpg: No such file"), "{}", refused(&folder));
    fs::remove_file(folder.path().join("train/ant/broken.jpg")).unwrap();
    fs::create_dir(folder.path().join("train").join(std::ffi::OsStr::from_bytes(b"odd\xff"))).unwrap();
    assert!(refused(&folder).contains("the name of a class must be Unicode"));
}

/// A file that is not readable, or a pipe in the place of one, is an error and nothing waits for it.
#[cfg(unix)]
#[test]
fn pipes_are_refused() {
    let folder = Folder::usual();
    assert!(std::process::Command::new("mkfifo").arg(folder.at("train/cat/p.jpg")).status().unwrap().success());
    assert!(refused(&folder).contains("train/cat/p.jpg: it has the name of an image, but is not a file"));
}

#[test]
fn small_images_of_one_size_stay_as_they_are() {
    let folder = Folder::new();
    for (class, name) in [("a", "baseline"), ("a", "colour"), ("b", "progressive"), ("b", "grey")] {
        let extension = if ["colour", "grey"].contains(&name) { "png" } else { "jpg" };
        folder.put(&format!("{class}/{name}.{extension}"), &format!("{name}.{extension}"));
    }
    let train = read(folder.path(), &[]).unwrap().train;
    assert_eq!((train.shape(), train.crops()), (Shape::Image([3, 37, 50]), false));
    // One of another size: the network's input has the usual size.
    folder.put("b/turned.png", "turned.png");
    let train = read(folder.path(), &[]).unwrap().train;
    assert_eq!((train.shape(), train.crops()), (Shape::Image([3, 224, 224]), true));
    let train = read(folder.path(), &[("size", 32.into())]).unwrap().train;
    assert_eq!((train.shape(), train.crops()), (Shape::Image([3, 32, 32]), true));
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    let registry = ast_core::plugin::Registry::<ast_core::data::BuildDataset>::linked().unwrap();
    let build = |params: &[(&str, f64)]| {
        let given = params.iter().map(|(key, value)| ((*key).to_string(), (*value).into())).collect();
        let entry = registry.get("image-folder").unwrap();
        Params::resolve(entry.params, &given)
            .and_then(|params| (entry.build)(&params).map(drop))
            .map_err(|e| e.to_string())
    };
    assert_eq!(build(&[("size", 64.0), ("resize", 64.0)]), Ok(()));
    assert_eq!(build(&[("size", 64.5)]).unwrap_err(), "`size` = 64.5 is not a whole number");
    assert_eq!(build(&[("size", 64.0), ("resize", 63.0)]).unwrap_err(), "`resize` = 63 is not at least `size`, 64");
    assert!(build(&[("size", 3.0)]).unwrap_err().contains("a number in 4"));
}

/// Normalised pixels of one image of the network's size, against the definition in f64.
#[test]
fn channels_are_normalised_by_their_mean_and_deviation() {
    let folder = Folder::new();
    folder.put("a/1.png", "colour.png").put("b/2.png", "alpha.png");
    let train = read(folder.path(), &[]).unwrap().train;
    let image = super::decode::decode(&fs::read(folder.path().join("a/1.png")).unwrap()).unwrap();
    let mut out = vec![f32::NAN; 3 * 37 * 50];
    let visit = Visit { id: 0, epoch: 0, earlier: 0 };
    let loaded = train.load(visit, None, &mut out).unwrap();
    assert_eq!((loaded.reads.decodes, loaded.reads.bytes), (1, 381));
    for channel in 0..3 {
        let values: Vec<f64> =
            image.pixels.iter().skip(channel).step_by(3).map(|byte| f64::from(*byte) / 255.0).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
        for (value, got) in values.iter().zip(&out[channel * 37 * 50..]) {
            assert!((((value - mean) / deviation) as f32 - got).abs() < 1e-4);
        }
    }
    let all: Vec<f64> = image.pixels.iter().map(|byte| f64::from(*byte) / 255.0).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    let expected = (all.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / all.len() as f64).sqrt();
    assert!((f64::from(loaded.input_deviation) - expected).abs() < 1e-6);
    assert!((train.mean_input_deviation() - expected).abs() < 1e-6, "both images have the same colours");
}

fn batches(dataset: &Arc<dyn Dataset>, workers: usize) -> Vec<HostBatch> {
    let mut loader = OrderedLoader::new(dataset.clone(), workers).unwrap();
    let standard = Augment::standard(Random::new(7));
    for (number, augment) in [Some(standard), None, Some(standard)].into_iter().enumerate() {
        loader.request(Request { visits: visits([5, 0, 3, 1, 4, 2, 0], number as u32), augment, size: None });
    }
    std::iter::from_fn(|| loader.receive().unwrap()).collect()
}

fn bits(batch: &HostBatch) -> Vec<u32> {
    let Values::Pixels(pixels, _) = &batch.values else { panic!("images") };
    pixels.iter().map(|value| value.to_bits()).collect()
}

/// Any number of workers gives the same bits; a visit is cropped by its epoch; only what is requested is read.
#[test]
fn batches_depend_on_the_visits_alone() {
    let folder = Folder::usual();
    let train = read(folder.path(), &[("size", 24.into())]).unwrap().train;
    let expected = batches(&train, 0);
    for workers in [1, 2, 3, 8] {
        assert!(batches(&train, workers) == expected, "{workers} workers");
    }
    assert_ne!(bits(&expected[0]), bits(&expected[2]), "another epoch, another crop");
    let size = |id: SampleId| listed(folder.path(), false).unwrap().0.found(id as usize).bytes;
    let of_batch = [5, 0, 3, 1, 4, 2, 0].map(size).iter().sum::<u64>();
    assert!(expected.iter().all(|batch| batch.reads.bytes == of_batch && batch.reads.decodes == 7));
    let some = Request { visits: visits([4], 0), augment: None, size: None }.collate(train.as_ref()).unwrap();
    assert_eq!((some.reads.bytes, some.reads.decodes), (size(4), 1));
}

/// The binary form: the same images, classes and statistics, to the bit.
#[test]
fn the_binary_form_is_the_folder() {
    let folder = Folder::usual();
    let file = folder.path().join("all.images");
    let mut seen = Vec::new();
    import(folder.path(), &file, &mut |progress| seen.push(progress)).unwrap();
    let size = fs::metadata(&file).unwrap().len();
    let last = *seen.last().unwrap();
    assert_eq!((last.measured, last.written, last.images, last.bytes), (8, 8, 8, size));
    assert!(seen.iter().filter(|progress| progress.written > 0).all(|progress| progress.bytes == size));
    for params in [&[("size", 24.into())][..], &[("size", 64.into()), ("resize", 70.into())]] {
        let [of_folder, of_file] = [folder.path(), &file].map(|place| read(place, params).unwrap());
        for (a, b) in
            [(&of_folder.train, &of_file.train), (of_folder.test.as_ref().unwrap(), of_file.test.as_ref().unwrap())]
        {
            assert_eq!((a.class_names(), a.samples()), (b.class_names(), b.samples()));
            assert_eq!(a.mean_input_deviation().to_bits(), b.mean_input_deviation().to_bits());
            for random in [None, Some(Random::new(1))] {
                for id in 0..a.samples() as SampleId {
                    let size = if let Shape::Image(sides) = a.shape() { sides.iter().product() } else { 0 };
                    let (mut left, mut right) = (vec![0.0; size], vec![1.0; size]);
                    let visit = Visit { id, epoch: 2, earlier: 0 };
                    let from = a.load(visit, random, &mut left).unwrap();
                    let to = b.load(visit, random, &mut right).unwrap();
                    assert_eq!(left, right);
                    assert_eq!((from.input_deviation, a.label(id)), (to.input_deviation, b.label(id)));
                    assert_eq!((from.reads.decodes, to.reads.decodes, to.reads.bytes), (1, 0, 37 * 50 * 3));
                }
            }
        }
        assert_ne!(fingerprint(of_folder.train.as_ref()), fingerprint(of_file.train.as_ref()));
    }
    check_dataset(&source(&[]), &ReadRequest::of(&file));
    let again = folder.path().join("again.images");
    import(folder.path(), &again, &mut |_| ()).unwrap();
    assert_eq!(fs::read(&file).unwrap(), fs::read(&again).unwrap());
    assert!(matches!(import(folder.path(), &again, &mut |_| ()), Err(ImportError::Exists(_))));
}

#[test]
fn a_damaged_binary_form_is_refused() {
    let folder = Folder::usual();
    let file = folder.path().join("all.images");
    import(folder.path(), &file, &mut |_| ()).unwrap();
    let whole = fs::read(&file).unwrap();
    let pixels = 16 + 8 * 37 * 50 * 3;
    let damaged = folder.path().join("damaged.images");
    for at in (0..whole.len()).filter(|at| *at < 16 || *at > pixels - 3 || at % 997 == 0) {
        fs::write(&damaged, &whole[..at]).unwrap();
        assert!(read(&damaged, &[]).is_err(), "cut off at {at}");
        if at < 16 || at >= pixels {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&damaged, bytes).unwrap();
            assert!(read(&damaged, &[]).is_err(), "byte {at}");
        }
    }
    // A damaged pixel is found when it is read.
    let mut bytes = whole.clone();
    bytes[16 + 37 * 50 * 3 * 2 + 9] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let message = read(&damaged, &[]).err().unwrap();
    assert!(message.contains("damaged.images, image 2, bytes from 11116: its pixels are damaged"), "{message}");
}

/// An import that fails leaves nothing behind, and names the file.
#[test]
fn a_failed_import_leaves_nothing() {
    let folder = Folder::usual();
    let whole = fs::read(folder.path().join("train/cat/baseline.jpg")).unwrap();
    folder.write("train/cat/half.jpg", &whole[..whole.len() - 40]);
    let out = Folder::new();
    let to = out.path().join("x.images");
    let error = import(folder.path(), &to, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("train/cat/half.jpg: it is a JPEG image that is cut off"), "{error}");
    let error = import(folder.path(), &out.path().join("no/where/x"), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("cannot write") && error.contains("nothing was kept"), "{error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

/// Broken files end a run by name; or they are left out and named; a file that is gone ends it in any case.
#[test]
fn broken_files_are_refused_or_left_out() {
    let folder = Folder::usual();
    let path = folder.path().join("train/ant/exif3.jpg");
    let whole = fs::read(&path).unwrap();
    let [strict, lenient] = ["refuse", "skip"]
        .map(|on_bad| read(folder.path(), &[("on_bad", on_bad.into()), ("size", 16.into())]).unwrap());
    let load = |splits: &Splits| {
        let request = Request { visits: visits([0, 1, 2], 0), augment: None, size: None };
        request.collate(splits.train.as_ref())
    };
    let expected = load(&strict).unwrap();
    assert!(expected == load(&lenient).unwrap() && expected.bad.is_empty());
    for (bytes, words) in [
        (whole[..100].to_vec(), "the file had 1551 bytes when it was listed, and now has another size"),
        (Vec::new(), "now has another size"),
        ([whole.clone(), vec![0]].concat(), "now has another size"),
        (vec![7; whole.len()], "it is neither a JPEG nor a PNG image"),
        ([&whole[..whole.len() - 200], &[0; 200]].concat(), "it is a JPEG image that is cut off"),
    ] {
        fs::write(&path, bytes).unwrap();
        let message = load(&strict).unwrap_err().to_string();
        assert!(message.starts_with("sample 1: ") && message.contains("train/ant/exif3.jpg: "), "{message}");
        assert!(message.contains(words), "{message}");
        let HostBatch { ids, bad, targets, input_deviation, values, .. } = load(&lenient).unwrap();
        assert_eq!((ids, targets, input_deviation.len()), (vec![0, 2], vec![0, 0], 2));
        assert!(bad.len() == 1 && bad[0].id == 1 && bad[0].reason.contains(words), "{bad:?}");
        let Values::Pixels(pixels, _) = values else { panic!("images") };
        let Values::Pixels(all, _) = &expected.values else { panic!("images") };
        assert_eq!(pixels, [&all[..768], &all[2 * 768..]].concat());
    }
    fs::remove_file(&path).unwrap();
    for splits in [&strict, &lenient] {
        let error = load(splits).unwrap_err();
        assert!(
            matches!(error, LoadError::Sample { id: 1, .. }) && error.to_string().contains("No such file"),
            "{error}"
        );
    }
}

#[test]
fn broken_files_are_found_by_their_content() {
    let folder = Folder::usual();
    let whole = source(&[]).verify_contents(folder.path(), &mut |_, _| ()).unwrap().unwrap();
    assert!(whole.broken.is_empty());
    folder.write("val/cat/empty.png", b"").write("train/ant/page.jpg", b"<html>");
    let mut last = (0, 0);
    let found = source(&[]).verify_contents(folder.path(), &mut |done, all| last = (done, all)).unwrap().unwrap();
    assert_eq!(last, (10, 10));
    assert_eq!(found.splits.iter().map(|split| (split.0, split.1)).collect::<Vec<_>>(), [("training", 7), ("test", 3)]);
    assert!(found.broken.len() == 2 && found.broken[0].contains("train/ant/page.jpg: it is neither"), "{found:?}");
    assert!(found.broken[1].contains("val/cat/empty.png: the file is empty"));
    assert_ne!(found.splits[0].2, whole.splits[0].2);
}

/// The fingerprint is of names, sizes and times, and reads nothing.
#[test]
fn a_changed_file_changes_the_fingerprint() {
    let folder = Folder::usual();
    let print = || fingerprint(read(folder.path(), &[]).unwrap().train.as_ref());
    let before = print();
    assert_eq!(before, print());
    let path = folder.path().join("train/cat/baseline.jpg");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(modified + std::time::Duration::from_nanos(1_000_000)).unwrap();
    assert_ne!(before, print(), "another time");
    file.set_modified(modified).unwrap();
    assert_eq!(before, print());
    fs::rename(&path, folder.path().join("train/cat/other.jpg")).unwrap();
    assert_ne!(before, print(), "another name");
}

/// What was measured is found again, and measured anew for other files.
#[test]
fn statistics_are_kept_for_the_same_files() {
    let folder = Folder::usual();
    let cache = folder.path().join("cache");
    let mean =
        || source(&[]).splits(folder.path(), Some(&cache), None).map(|splits| splits.train.mean_input_deviation());
    let first = mean().unwrap();
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    // Broken in a way that the listing does not see: only a cached start does not read it.
    let path = folder.path().join("train/cat/baseline.jpg");
    let (bytes, modified) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    fs::write(&path, vec![0; bytes.len()]).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(mean().unwrap(), first);
    fs::write(&path, vec![0; bytes.len()]).unwrap();
    assert!(mean().is_err(), "the file has another time");
}
