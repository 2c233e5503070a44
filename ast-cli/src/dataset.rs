use std::sync::Arc;

use ast_core::{Loader, Random, RunConfig};
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
            (train.limit(limit.unwrap_or(usize::MAX)), test)
        }
        "procedural" => {
            let random = Random::new(config.train.seed);
            let make = |split, samples| procedural(random, split, samples, Difficulty::default());
            (make(Split::Train, limit.unwrap_or(PROCEDURAL_TRAIN)), make(Split::Test, PROCEDURAL_TEST))
        }
        name => {
            let (list, hint) = (NAMES.join(", "), did_you_mean(name, NAMES));
            return Err(Failure::usage(format!("`data.name`: no dataset `{name}`; there are: {list}{hint}")));
        }
    };
    let fingerprint = train.fingerprint();
    let loader = |images: Images| -> Result<Box<dyn Loader>, Failure> {
        let loader = OrderedLoader::new(Arc::new(images), config.data.workers)
            .map_err(|error| Failure::new(Kind::Io, format!("cannot start loader threads: {error}")))?;
        Ok(Box::new(loader))
    };
    Ok(Data { train: loader(train)?, test: loader(test)?, fingerprint })
}
