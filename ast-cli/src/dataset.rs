use std::sync::Arc;

use ast_core::{Dataset, Loader, Random, RunConfig};
use ast_data::{Difficulty, Images, OrderedLoader, Split, cifar10, procedural};

use crate::failure::{Failure, Kind, did_you_mean};

const NAMES: [&str; 2] = ["cifar10", "procedural"];
const PROCEDURAL_TRAIN: usize = 2000;
const PROCEDURAL_TEST: usize = 500;

/// Training and test data of a run.
pub(crate) struct Data {
    pub(crate) train: Box<dyn Loader>,
    pub(crate) test: Box<dyn Loader>,
    /// sha256 of labels and pixels of the training set.
    pub(crate) fingerprint: String,
    /// sha256 of labels and pixels of the data to evaluate on.
    pub(crate) evaluation: String,
}

pub(crate) fn load(config: &RunConfig) -> Result<Data, Failure> {
    let limit = config.data.train_limit;
    let (train, test) = match config.data.name.as_str() {
        "cifar10" => {
            let Some(dir) = &config.data.dir else {
                return Err(Failure::usage(
                    "cifar10 needs its files: name the folder that holds cifar-10-batches-bin with --data-dir or AST_DATA_DIR",
                ));
            };
            let (train, test) = cifar10(dir).map_err(|error| Failure::new(Kind::Data, error.to_string()))?;
            (train, test)
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
    let train = train.limit(limit.unwrap_or(usize::MAX));
    let noise = config.data.label_noise;
    let train = if noise > 0.0 { train.with_label_noise(noise, Random::new(config.train.seed)) } else { train };
    let (fingerprint, evaluation) = (train.fingerprint(), test.fingerprint());
    let loader = |images: Images| -> Result<Box<dyn Loader>, Failure> {
        let loader = OrderedLoader::new(Arc::new(images), config.data.workers)
            .map_err(|error| Failure::new(Kind::Io, format!("cannot start loader threads: {error}")))?;
        Ok(Box::new(loader))
    };
    Ok(Data { train: loader(train)?, test: loader(test)?, fingerprint, evaluation })
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
