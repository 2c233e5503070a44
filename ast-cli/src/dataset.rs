//! The data of a run: the configured dataset, without held-out samples, and with flipped labels if configured.

use std::path::Path;
use std::sync::Arc;

use ast_core::data::{
    BuildDataset, DataError, DataSource, Dataset, LabelNoise, Loader, ReadRequest, Remedy, Shape, Splits, Subset,
    fingerprint,
};
use ast_core::plugin::{Params, Registry};
use ast_core::random::Random;
use ast_core::run::{DataConfig, RunConfig, Summary};
use ast_data::OrderedLoader;

use crate::failure::{Failure, Kind};
use crate::output::note;
use crate::progress;
use crate::shell::quoted;

/// Training and test data of a run.
pub(crate) struct Data {
    pub(crate) train: Box<dyn Loader>,
    pub(crate) test: Box<dyn Loader>,
    /// [`fingerprint`] of the training set.
    pub(crate) fingerprint: String,
    /// [`fingerprint`] of the evaluation data.
    pub(crate) evaluation: String,
}

pub(crate) fn load(config: &RunConfig) -> Result<Data, Failure> {
    let [train, test] = splits(config)?;
    let (fingerprint, evaluation) = (fingerprint(train.as_ref()), fingerprint(test.as_ref()));
    let [train, test] = loaders([train, test], config)?;
    Ok(Data { train, test, fingerprint, evaluation })
}

/// The training data of a finished run. Data that has changed since is refused: what the run says of its samples would be
/// said of others.
pub(crate) fn of_run(config: &RunConfig, summary: &Summary) -> Result<Arc<dyn Dataset>, Failure> {
    let [train, _] = splits(config)?;
    match &summary.origin {
        Some(origin) if origin.data != fingerprint(train.as_ref()) => {
            let (name, samples) = (&config.data.name, train.samples());
            let place = config.data.dir.as_ref().map_or(String::new(), |dir| format!(" in {}", dir.display()));
            let what = format!("the {samples} training samples of {name}{place} are not those of the run");
            Err(Failure::new(Kind::Data, format!("{what}: restore them, or set AST_DATA_DIR to where they are")))
        }
        _ => Ok(train),
    }
}

/// What loads the samples of datasets.
pub(crate) fn loaders(
    [train, test]: [Arc<dyn Dataset>; 2],
    config: &RunConfig,
) -> Result<[Box<dyn Loader>; 2], Failure> {
    Ok([loader(train, config)?, loader(test, config)?])
}

/// What loads the samples of a dataset.
pub(crate) fn loader(dataset: Arc<dyn Dataset>, config: &RunConfig) -> Result<Box<dyn Loader>, Failure> {
    let loader = OrderedLoader::new(dataset, config.data.workers)
        .map_err(|error| Failure::new(Kind::Io, format!("cannot start loader threads: {error}")))?;
    Ok(Box::new(loader))
}

/// The training and the evaluation data of a run.
pub(crate) fn splits(config: &RunConfig) -> Result<[Arc<dyn Dataset>; 2], Failure> {
    let DataConfig { name, train_limit, validation, label_noise, .. } = &config.data;
    let (random, all) = (Random::new(config.train.seed), read(config)?);
    let [mut train, test] = match (validation, all.test) {
        (Some(samples), _) => held_out(&all.train, *samples)?,
        (None, Some(test)) => [all.train, test],
        (None, None) => {
            let samples = all.train.samples();
            return Err(Failure::usage(format!(
                "dataset `{name}` has no test samples here: hold some of its {samples} samples out to evaluate on, with \
                 --set data.validation={}",
                (samples / 10).max(1)
            )));
        }
    };
    if let Some(limit) = *train_limit {
        let samples = train.samples();
        if limit > samples {
            let left = validation.map(|held| format!(", without `data.validation` = {held}")).unwrap_or_default();
            let message = format!("`data.train_limit` = {limit}: the training data has {samples} samples{left}");
            return Err(Failure::usage(message));
        }
        train = Arc::new(Subset::new(train, 0..limit));
    }
    if *label_noise > 0.0 && matches!(train.shape(), Shape::Tokens(_)) {
        return Err(Failure::usage("`data.label_noise` is for images: the targets of text are its own tokens"));
    }
    if *label_noise > 0.0 {
        train = Arc::new(LabelNoise::new(train, *label_noise, random));
    }
    Ok([train, test])
}

/// What weights are evaluated on, and what it is called: the evaluation data of a run, or everything where nothing is
/// set apart.
pub(crate) fn to_evaluate(config: &RunConfig) -> Result<(Box<dyn Loader>, Option<&'static str>), Failure> {
    let Splits { train, test } = read(config)?;
    let (data, set) = match (config.data.validation, test) {
        (Some(samples), _) => (held_out(&train, samples)?[1].clone(), Some("held-out")),
        (None, Some(test)) => (test, Some("test")),
        (None, None) => (train, None),
    };
    Ok((loader(data, config)?, set))
}

fn read(config: &RunConfig) -> Result<Splits, Failure> {
    let DataConfig { name, dir, train_limit, validation, .. } = &config.data;
    let random = Random::new(config.train.seed);
    let samples = train_limit.map(|limit| limit + validation.unwrap_or(0));
    let request = ReadRequest { dir: dir.as_deref(), random, samples };
    let waiting = progress::waiting(&format!("reading the data of {name}"));
    let all = source(&config.data)?.read(&request);
    waiting.finish_and_clear();
    all.map_err(|error| refusal(name, dir.as_deref(), error))
}

/// Whether a dataset needs no files.
pub(crate) fn is_generated(source: &dyn DataSource) -> bool {
    source.read(&ReadRequest { dir: None, random: Random::new(0), samples: Some(1) }).is_ok()
}

/// Warns if a folder was named for a dataset that reads none: another dataset was meant.
pub(crate) fn warn_of_unused_folder(config: &DataConfig, named: Option<&Path>) -> Result<(), Failure> {
    let Some(dir) = named else { return Ok(()) };
    if is_generated(source(config)?.as_ref()) {
        let name = &config.name;
        note(&format!(
            "warning: nothing is read from {}: dataset `{name}` is generated; name another with --dataset or --preset \
             (`ast datasets` lists them)",
            dir.display()
        ));
    }
    Ok(())
}

/// A registered dataset with its default parameters.
pub(crate) struct Registered {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) source: Box<dyn DataSource>,
}

/// All registered datasets.
pub(crate) fn registered() -> Result<Vec<Registered>, Failure> {
    let bug = |error: String| Failure::new(Kind::Bug, error);
    let datasets = Registry::<BuildDataset>::linked().map_err(|error| bug(error.to_string()))?;
    let built = datasets.iter().map(|entry| {
        let params = Params::resolve(entry.params, &Default::default()).map_err(|error| bug(error.to_string()))?;
        let source = (entry.build)(&params).map_err(|error| bug(error.to_string()))?;
        Ok(Registered { name: entry.name, summary: entry.summary, source })
    });
    built.collect()
}

/// The dataset named in a resolved configuration.
fn source(config: &DataConfig) -> Result<Box<dyn DataSource>, Failure> {
    let bug = |error: String| Failure::new(Kind::Bug, format!("dataset `{}`: {error}", config.name));
    let datasets = Registry::<BuildDataset>::linked().map_err(|error| bug(error.to_string()))?;
    let entry = datasets.get(&config.name).map_err(|error| bug(error.to_string()))?;
    let params = Params::resolve(entry.params, &config.params).map_err(|error| bug(error.to_string()))?;
    (entry.build)(&params).map_err(|error| Failure::usage(format!("dataset `{}`: {error}", config.name)))
}

/// The failure for a dataset that cannot be read, with advice.
pub(crate) fn refusal(name: &str, dir: Option<&Path>, error: DataError) -> Failure {
    let fetch = |dir: &Path| format!("`ast data fetch {name} --data-dir {}`", quoted(dir));
    let published = || registered().ok()?.into_iter().find(|dataset| dataset.name == name)?.source.published();
    let remedy = match &error {
        DataError::NoFolder => {
            let fetched = format!("; `ast data fetch {name}` downloads them into data/");
            let fetched = published().map(|_| fetched).unwrap_or_default();
            let folder = "set their folder with --data-dir or AST_DATA_DIR";
            return Failure::usage(format!("the files of {name} are needed: {folder}{fetched}"));
        }
        DataError::Param(_) => return Failure::usage(format!("dataset `{name}`: {error}")),
        DataError::Files { remedy, .. } => match remedy {
            Remedy::Fetch(dir) => {
                let size = published().map(|offer| format!(" ({} MB)", offer.megabytes())).unwrap_or_default();
                format!("; {} downloads it{size}", fetch(dir))
            }
            Remedy::NameTheFolder => "; give the folder instead".into(),
            Remedy::Unpack(packed)
                if published().is_some_and(|offer| offer.downloads.iter().any(|file| packed.ends_with(file.path))) =>
            {
                let folder = packed.parent().filter(|folder| !folder.as_os_str().is_empty());
                format!("; {} checks and unpacks it", fetch(folder.unwrap_or(Path::new("."))))
            }
            Remedy::Unpack(packed) => {
                format!("; unpack it (`tar -xf {}`) and give the folder of the unpacked files", quoted(packed))
            }
            Remedy::Replace => {
                let fetch = dir.map_or(format!("`ast data fetch {name}`"), fetch);
                format!("; move the folder away, and {fetch} downloads the published files")
            }
            Remedy::None => match dir.filter(|dir| !dir.exists()) {
                Some(dir) => {
                    let here = std::env::current_dir().ok().filter(|_| dir.is_relative());
                    let here = here.map_or(String::new(), |here| format!(", seen from {}", here.display()));
                    format!("{here}; name the folder of {name} with --data-dir or AST_DATA_DIR (key data.dir)")
                }
                None => String::new(),
            },
        },
    };
    Failure::new(Kind::Data, format!("{error}{remedy}"))
}

/// Splits training data into all but some `samples`, to train on, and those, to evaluate on.
fn held_out(train: &Arc<dyn Dataset>, samples: usize) -> Result<[Arc<dyn Dataset>; 2], Failure> {
    let all = train.samples();
    if samples >= all {
        return Err(Failure::usage(format!(
            "`data.validation` = {samples} leaves none of the {all} samples to train on"
        )));
    }
    let [kept, held] = Subset::held_out(train, samples);
    Ok([Arc::new(kept), Arc::new(held)])
}
