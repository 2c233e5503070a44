use std::path::Path;
use std::sync::Arc;

use ast_core::data::{Dataset, Loader};
use ast_core::random::Random;
use ast_core::run::RunConfig;
use ast_data::{CifarError, Difficulty, Images, OrderedLoader, Pinned, Split, cifar10, procedural};

use crate::failure::{Failure, Kind, did_you_mean};
use crate::shell::quoted;

const NAMES: [&str; 2] = ["cifar10", "procedural"];
const PROCEDURAL_TRAIN: usize = 2000;
const PROCEDURAL_TEST: usize = 500;

/// Training and test data of a run.
pub(crate) struct Data {
    pub(crate) train: Box<dyn Loader>,
    pub(crate) test: Box<dyn Loader>,
    /// sha256 of labels and pixels of the training set.
    pub(crate) fingerprint: String,
    /// The same of what the run is evaluated on.
    pub(crate) evaluation: String,
}

pub(crate) fn load(config: &RunConfig) -> Result<Data, Failure> {
    let (train, test) = images(config)?;
    let (fingerprint, evaluation) = (train.fingerprint(), test.fingerprint());
    let loader = |images: Images| -> Result<Box<dyn Loader>, Failure> {
        let loader = OrderedLoader::new(Arc::new(images), config.data.workers)
            .map_err(|error| Failure::new(Kind::Io, format!("cannot start loader threads: {error}")))?;
        Ok(Box::new(loader))
    };
    Ok(Data { train: loader(train)?, test: loader(test)?, fingerprint, evaluation })
}

/// What a run trains on, and what it is evaluated on.
pub(crate) fn images(config: &RunConfig) -> Result<(Images, Images), Failure> {
    let limit = config.data.train_limit;
    let (train, test) = match config.data.name.as_str() {
        "cifar10" => {
            let Some(dir) = &config.data.dir else {
                return Err(Failure::usage(
                    "cifar10 needs its files: name the folder that holds cifar-10-batches-bin with --data-dir or \
                     AST_DATA_DIR; `ast data fetch cifar10` gets them into data/",
                ));
            };
            read_cifar10(dir)?
        }
        "procedural" => {
            let random = Random::new(config.train.seed);
            let make = |split, samples| procedural(random, split, samples, Difficulty::default());
            let samples = limit.unwrap_or(PROCEDURAL_TRAIN) + config.data.validation.unwrap_or(0);
            (make(Split::Train, samples), make(Split::Test, PROCEDURAL_TEST))
        }
        name => {
            let (list, hint) = (NAMES.join(", "), did_you_mean(name, NAMES));
            return Err(Failure::usage(format!("`data.name`: no dataset `{name}`; there are: {list}{hint}")));
        }
    };
    let (train, test) = match config.data.validation {
        Some(samples) => held_out(train, samples)?,
        None => (train, test),
    };
    let (limit, samples) = (limit.unwrap_or(train.samples()), train.samples());
    if limit > samples {
        let left = config.data.validation.map(|held| format!(", without `data.validation` = {held}"));
        let left = left.unwrap_or_default();
        return Err(Failure::usage(format!(
            "`data.train_limit` = {limit}: the training data has {samples} samples{left}"
        )));
    }
    let train = train.limit(limit);
    let noise = config.data.label_noise;
    let train = if noise > 0.0 { train.with_label_noise(noise, Random::new(config.train.seed)) } else { train };
    Ok((train, test))
}

/// CIFAR-10 in `dir`; where it cannot be read, what to do about that.
pub(crate) fn read_cifar10(dir: &Path) -> Result<(Images, Images), Failure> {
    cifar10(dir).map_err(|error| {
        let remedy = remedy(&error);
        Failure::new(Kind::Data, format!("{error}{remedy}"))
    })
}

fn remedy(error: &CifarError) -> String {
    let fetch = |dir: &Path| format!("`ast data fetch cifar10 --data-dir {}`", quoted(dir));
    match error {
        CifarError::Missing(dir) | CifarError::NoFolder(dir) => format!("; {} gets it (170 MB)", fetch(dir)),
        CifarError::NotAFolder(_) => "; name the folder".into(),
        CifarError::Packed(archive) if archive.ends_with(Pinned::cifar10().name) => {
            let folder = archive.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            format!("; {} checks and unpacks it", fetch(folder))
        }
        CifarError::Packed(archive) => {
            format!("; unpack it (`tar -xf {}`) and name the folder that its files come out in", quoted(archive))
        }
        CifarError::Incomplete(_) | CifarError::Size { .. } | CifarError::Label { .. } | CifarError::Pickle { .. } => {
            "; move the folder away, and `ast data fetch cifar10` gets the published files".into()
        }
        CifarError::Io { .. } => String::new(),
    }
}

/// The training data without its last `samples`, and those.
fn held_out(mut train: Images, samples: usize) -> Result<(Images, Images), Failure> {
    let all = train.samples();
    if samples >= all {
        return Err(Failure::usage(format!(
            "`data.validation` = {samples} leaves nothing of {all} samples to train on"
        )));
    }
    let validation = train.split_off(all - samples);
    Ok((train, validation))
}
