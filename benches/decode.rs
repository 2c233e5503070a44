//! Images decoded, cropped at random and scaled per second, by one thread. `versus-torchvision` runs it beside torchvision on
//! the same files.
//!
//! ```sh
//! cargo bench --bench decode -- --dir DIR      # a folder with a folder of images for each class
//! ```
//!
//! Options: `--images` (400) of the folder, from the first on; `--size` (224) of the result. Without `--dir` it decodes two
//! copies of one small image, which says little.
#![forbid(unsafe_code)]
#![allow(missing_docs)]

use std::path::{Path, PathBuf};
use std::process::exit;
use std::str::FromStr;
use std::time::Instant;

use ast_benches::quick;
use ast_core::data::{BuildDataset, ReadRequest};
use ast_core::plugin::{Params, Registry};
use ast_core::random::Random;
use ast_core::select::Visit;
use ast_data as _;

fn main() {
    let dir = option("--dir", String::new());
    if quick() || dir.is_empty() {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../ast-data/tests/image_folder/subsampled.jpg");
        let dir = std::env::temp_dir().join(format!("ast-bench-decode-{}", std::process::id()));
        for class in ["a", "b"] {
            std::fs::create_dir_all(dir.join(class)).expect("a folder for the fixture");
            std::fs::copy(fixture, dir.join(class).join("1.jpg")).expect("the fixture");
        }
        println!("two copies of one small image; `cargo bench --bench decode -- --dir DIR` takes your own");
        measure(&dir, 2, 32);
        std::fs::remove_dir_all(&dir).expect("its own folder");
        return;
    }
    measure(&PathBuf::from(dir), option("--images", 400), option("--size", 224));
}

fn measure(dir: &Path, images: usize, size: u32) {
    let registry = Registry::<BuildDataset>::linked().expect("a registry");
    let entry = registry.get("image-folder").expect("the dataset");
    let given = [("size".to_string(), f64::from(size).into())].into();
    let source =
        Params::resolve(entry.params, &given).and_then(|params| (entry.build)(&params)).expect("its parameters");
    let read = source.read(&ReadRequest::of(dir));
    let train = read.unwrap_or_else(|error| refuse(&error.to_string())).train;
    let images = images.min(train.samples()) as u32;
    let mut out = vec![0.0; 3 * (size * size) as usize];
    let mut pass = |epoch| {
        let begin = Instant::now();
        for id in 0..images {
            let loaded = train.load(Visit { id, epoch, earlier: 0 }, Some(Random::new(1)), &mut out);
            if let Err(error) = loaded {
                refuse(&error.to_string());
            }
        }
        f64::from(images) / begin.elapsed().as_secs_f64()
    };
    pass(0); // the files are in the system's cache then
    println!("decode {:.1} images/s", pass(1));
}

/// The value after an option, or the default.
fn option<T: FromStr>(name: &str, default: T) -> T {
    let Some(value) = std::env::args().skip_while(|arg| arg != name).nth(1) else { return default };
    value.parse().unwrap_or_else(|_| refuse(&format!("{name} cannot be `{value}`")))
}

fn refuse(message: &str) -> ! {
    eprintln!("error: {message}");
    exit(2)
}
