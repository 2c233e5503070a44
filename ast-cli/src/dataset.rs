use std::sync::Arc;

use ast_core::{Dataset, Loader, Random, RunConfig};
use ast_data::{Difficulty, Images, OrderedLoader, Split, procedural};

use crate::failure::{Failure, Kind, did_you_mean};

const NAMES: [&str; 1] = ["procedural"];
const PROCEDURAL_TRAIN: usize = 2000;
const PROCEDURAL_TEST: usize = 500;

/// Training and test data of a run.
pub(crate) struct Data {
    pub(crate) train: Box<dyn Loader>,
    pub(crate) test: Box<dyn Loader>,
    /// sha256 of labels and pixels of the training set.
    pub(crate) fingerprint: String,
}

pub(crate) fn load(config: &RunConfig) -> Result<Data, Failure> {
    let (train, test) = match config.data.name.as_str() {
        "procedural" => {
            let random = Random::new(config.train.seed);
            let samples = config.data.train_limit.unwrap_or(PROCEDURAL_TRAIN);
            let make = |split, samples| procedural(random, split, samples, Difficulty::default());
            (make(Split::Train, samples), make(Split::Test, PROCEDURAL_TEST))
        }
        name => {
            let hint = did_you_mean(name, NAMES);
            return Err(Failure::usage(format!("`data.name`: no dataset `{name}`; there are: {}{hint}", NAMES.join(", "))));
        }
    };
    if train.samples() == 0 {
        return Err(Failure::usage("`data.train_limit` = 0 leaves nothing to train on"));
    }
    let fingerprint = train.fingerprint();
    let loader = |images: Images| -> Result<Box<dyn Loader>, Failure> {
        let loader = OrderedLoader::new(Arc::new(images), config.data.workers)
            .map_err(|error| Failure::new(Kind::Io, format!("cannot start loader threads: {error}")))?;
        Ok(Box::new(loader))
    };
    Ok(Data { train: loader(train)?, test: loader(test)?, fingerprint })
}
