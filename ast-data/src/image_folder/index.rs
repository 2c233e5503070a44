//! The images of a folder: their paths, sizes and times, sorted by name.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rayon::prelude::*;

use super::error::FolderError;

/// Extensions of images, in small letters.
const IMAGES: [&str; 3] = ["jpg", "jpeg", "png"];

/// The images of one split: 32 bytes for each, and its name. All names stand in one string of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    root: PathBuf,
    /// The names of the classes, sorted. Each is a folder in the root.
    pub(super) classes: Vec<String>,
    names: Vec<u8>,
    files: Vec<Entry>,
    /// Number of files in class folders that are no images, by extension in small letters.
    others: BTreeMap<String, usize>,
}

/// An image. Its name ends at `end` and begins where the one before ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    end: u64,
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: i64,
    class: u32,
}

/// An image file as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) modified: i64,
}

impl Index {
    /// Lists the images of every class folder in `root`. Names are sorted as bytes, so that the order depends on neither
    /// the file system nor the language. Hidden files, files with other extensions and folders within classes are no
    /// images; links are followed.
    ///
    /// # Errors
    /// [`FolderError`] for what cannot be read, and a class name that is not Unicode.
    pub(super) fn of(root: &Path) -> Result<Self, FolderError> {
        let wrong = |file: &Path, reason: String| FolderError::new(file, reason);
        let classes = folders(root)?;
        let classes = classes.into_iter().map(|name| {
            name.into_string().map_err(|name| wrong(&root.join(&name), "the name of a class must be Unicode".into()))
        });
        let classes: Vec<String> = classes.collect::<Result<_, _>>()?;
        // A pool of its own: the program sets the size of the global one later.
        let pool = rayon::ThreadPoolBuilder::new().build().map_err(|error| wrong(root, error.to_string()))?;
        let lists: Vec<Listed> = pool.install(|| {
            let list = |(class, name): (usize, &String)| images(&root.join(name), class as u32);
            classes.par_iter().enumerate().map(list).collect::<Result<_, _>>()
        })?;
        let (mut names, mut files, mut others) = (Vec::new(), Vec::new(), BTreeMap::new());
        for Listed { images, others: passed } in lists {
            for (name, entry) in images {
                names.extend(name);
                files.push(Entry { end: names.len() as u64, ..entry });
            }
            passed.into_iter().for_each(|extension| *others.entry(extension).or_insert(0) += 1);
        }
        if u32::try_from(files.len()).is_err() {
            return Err(wrong(root, format!("{} images are more than can be numbered", files.len())));
        }
        names.shrink_to_fit();
        Ok(Self { root: root.to_path_buf(), classes, names, files, others })
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The class of an image.
    pub(super) fn class(&self, image: usize) -> usize {
        self.files[image].class as usize
    }

    /// Bytes of all images.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|entry| entry.bytes).sum()
    }

    /// Number of images of each class.
    pub(super) fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        self.files.iter().for_each(|entry| counts[entry.class as usize] += 1);
        counts
    }

    /// An image file.
    pub(super) fn found(&self, image: usize) -> Found {
        let Entry { bytes, modified, class, .. } = self.files[image];
        let path = self.root.join(&self.classes[class as usize]).join(to_name(self.name(image)));
        Found { path, bytes, modified }
    }

    /// The path of an image within the folder, with a slash after each part.
    pub(super) fn path_within(&self, image: usize) -> Vec<u8> {
        let mut path = Vec::with_capacity(64);
        for part in [self.classes[self.class(image)].as_bytes(), self.name(image)] {
            path.extend_from_slice(part);
            path.push(b'/');
        }
        path
    }

    /// The files in class folders that are no images, in words.
    pub(super) fn passed_over(&self) -> Option<String> {
        let each: Vec<String> = self.others.iter().map(|(what, count)| format!("{count} {what}")).collect();
        let all: usize = self.others.values().sum();
        let files = if all == 1 { "file is" } else { "files are" };
        let (root, each) = (self.root.display(), each.join(", "));
        (all > 0).then(|| format!("{all} {files} passed over in {root}: {each}; JPEG and PNG are read"))
    }

    /// What identifies an image without reading it: its path within the folder, size, and time of the last change.
    pub(super) fn identity(&self, image: usize) -> Vec<u8> {
        let Entry { bytes, modified, .. } = self.files[image];
        let mut identity = self.path_within(image);
        identity.extend(bytes.to_le_bytes());
        identity.extend(modified.to_le_bytes());
        identity
    }

    /// Gives every image its class in `classes`, which has all of this index.
    ///
    /// # Errors
    /// [`FolderError`] for a class with images that `classes` lacks.
    pub(super) fn renumbered(mut self, classes: &[String]) -> Result<Self, FolderError> {
        let counts = self.counts();
        let mut numbers = Vec::with_capacity(self.classes.len());
        for (name, count) in self.classes.iter().zip(counts) {
            let number = classes.binary_search(name);
            if number.is_err() && count > 0 {
                let reason = format!("no training image is of the class `{name}`");
                return Err(FolderError::new(&self.root.join(name), reason));
            }
            numbers.push(number.unwrap_or_default() as u32);
        }
        self.files.iter_mut().for_each(|entry| entry.class = numbers[entry.class as usize]);
        self.classes = classes.to_vec();
        Ok(self)
    }

    fn name(&self, image: usize) -> &[u8] {
        let begin = image.checked_sub(1).map_or(0, |before| self.files[before].end);
        &self.names[begin as usize..self.files[image].end as usize]
    }
}

/// The names of the folders in a folder, sorted as bytes, without hidden ones.
pub(super) fn folders(root: &Path) -> Result<Vec<OsString>, FolderError> {
    let wrong = |error: std::io::Error| FolderError::new(root, error.to_string());
    let mut names = Vec::new();
    for entry in fs::read_dir(root).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let name = entry.file_name();
        if !is_hidden(name.as_encoded_bytes()) && entry.path().is_dir() {
            names.push(name);
        }
    }
    names.sort_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Ok(names)
}

/// What is in the folder of a class.
struct Listed {
    /// The images, sorted by name, each with its name.
    images: Vec<(Vec<u8>, Entry)>,
    /// The extensions of other files.
    others: Vec<String>,
}

fn images(folder: &Path, class: u32) -> Result<Listed, FolderError> {
    let wrong = |file: &Path, error: std::io::Error| FolderError::new(file, error.to_string());
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(|error| wrong(folder, error))? {
        let entry = entry.map_err(|error| wrong(folder, error))?;
        let name = entry.file_name();
        if !is_image(name.as_encoded_bytes()) {
            if !is_hidden(name.as_encoded_bytes()) && entry.file_type().is_ok_and(|kind| !kind.is_dir()) {
                let extension = Path::new(&name).extension().map(|end| end.to_string_lossy().to_lowercase());
                others.push(extension.map_or_else(|| "without extension".into(), |end| format!(".{end}")));
            }
            continue;
        }
        let path = || folder.join(&name);
        // By its name within the folder, which is faster than by its path; a link is followed.
        let about =
            entry.metadata().and_then(|about| if about.is_symlink() { fs::metadata(path()) } else { Ok(about) });
        let about = about.map_err(|error| wrong(&path(), error))?;
        if !about.is_file() {
            return Err(FolderError::new(&path(), "it has the name of an image, but is not a file"));
        }
        let modified = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |time| time.as_nanos() as i64);
        let refused = || FolderError::new(&folder.join(entry.file_name()), "its name is not Unicode");
        let name = from_name(name).ok_or_else(refused)?;
        found.push((name, Entry { end: 0, bytes: about.len(), modified, class }));
    }
    found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Listed { images: found, others })
}

/// Whether a file of this name is passed over.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}

/// Whether a file of this name is taken for an image.
pub(super) fn is_image(name: &[u8]) -> bool {
    let extension = name.iter().rposition(|byte| *byte == b'.').map_or(&[][..], |dot| &name[dot + 1..]);
    !is_hidden(name) && IMAGES.iter().any(|image| extension.eq_ignore_ascii_case(image.as_bytes()))
}

#[cfg(unix)]
fn from_name(name: OsString) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt;
    Some(name.into_vec())
}

#[cfg(unix)]
fn to_name(bytes: &[u8]) -> &std::ffi::OsStr {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes)
}

#[cfg(not(unix))]
fn from_name(name: OsString) -> Option<Vec<u8>> {
    name.into_string().ok().map(String::into_bytes)
}

#[cfg(not(unix))]
fn to_name(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_takes_32_bytes_besides_its_name() {
        assert!(size_of::<Entry>() <= 32);
    }

    #[test]
    fn images_are_told_by_their_names() {
        for name in ["a.jpg", "a.JPEG", "b.c.png", "\u{e9}.Png"] {
            assert!(is_image(name.as_bytes()), "{name}");
        }
        for name in ["", "jpg", ".jpg", ".a.jpg", "a.jpg.txt", "a.jpg ", "a.", "a.gif"] {
            assert!(!is_image(name.as_bytes()), "{name}");
        }
    }
}
