//! The data of a run: the configured dataset, without held-out samples, and with flipped labels if configured.

use std::path::Path;
use std::sync::Arc;

use ast_core::data::{
    BuildDataset, DataError, DataSource, Dataset, Loader, Preprocessing, ReadRequest, Remedy, Shape, Splits, View,
    fingerprint,
};
use ast_core::plugin::{Params, Registry};
use ast_core::random::Random;
use ast_core::run::{DataConfig, RunConfig, Summary};
use ast_core::select::SampleId;
use ast_core::train::preprocessing;
use ast_data::OrderedLoader;

use crate::failure::{Failure, Kind};
use crate::output::{note, several};
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

/// Loads the data of a run; `of_run` is the preprocessing that it began with, if it has begun.
pub(crate) fn load(config: &RunConfig, of_run: Option<&Preprocessing>) -> Result<Data, Failure> {
    let [train, test] = splits(config, of_run)?;
    let (fingerprint, evaluation) = (fingerprint(train.as_ref()), fingerprint(test.as_ref()));
    let [train, test] = loaders([train, test], config)?;
    Ok(Data { train, test, fingerprint, evaluation })
}

/// The training data of a finished run. Data that has changed since is refused: what the run says of its samples would be
/// said of others.
pub(crate) fn of_run(config: &RunConfig, summary: &Summary) -> Result<Arc<dyn Dataset>, Failure> {
    let [train, _] = splits(config, Some(&summary.preprocessing))?;
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

/// The preprocessing that a new run asks for: that of the run whose weights it begins with, and what the configuration sets.
fn wanted(config: &RunConfig) -> Result<Preprocessing, Failure> {
    let mut wanted = match &config.model.weights {
        // A file that is not there is refused where the network is built.
        Some(file) => match of_weights(file) {
            Err(failure) if failure.kind == Kind::Io => Preprocessing::default(),
            told => told?.unwrap_or_default(),
        },
        None => Preprocessing::default(),
    };
    // Its classes are those of the new data: where they differ, the last layer starts anew.
    (wanted.classes, wanted.class_names) = (None, Vec::new());
    // Other images have another contrast.
    wanted.input_deviation = None;
    if config.data.params.contains_key("size") {
        wanted.shape = None;
    }
    if let (Some(mean), Some(deviation)) = (&config.data.mean, &config.data.deviation) {
        [wanted.mean, wanted.deviation] =
            [mean, deviation].map(|values| values.iter().map(|value| *value as f32).collect());
    }
    Ok(wanted)
}

/// The preprocessing that a file of weights tells of, if it does.
pub(crate) fn of_weights(file: &Path) -> Result<Option<Preprocessing>, Failure> {
    preprocessing(file).map_err(|error| {
        let kind = if error.kind() == std::io::ErrorKind::InvalidData { Kind::Data } else { Kind::Io };
        Failure::new(kind, format!("{}: {error}", file.display()))
    })
}

/// The samples as the network wants them, with its classes by name.
fn prepared(data: Arc<dyn Dataset>, wanted: &Preprocessing, name: &str) -> Result<Arc<dyn Dataset>, Failure> {
    let refused = |what: String| Failure::new(Kind::Data, format!("dataset `{name}`: {what}"));
    let names = data.class_names();
    let by_name = !wanted.class_names.is_empty() && !names.is_empty() && names != wanted.class_names;
    let data = match by_name {
        true => Arc::new(View::with_classes(data, &wanted.class_names).map_err(|class| {
            refused(format!("the network knows no class `{class}`; it knows {}", wanted.class_names.join(", ")))
        })?),
        false => data,
    };
    // A network that is trained further may get images of another size, if it takes any.
    let required = Preprocessing { shape: wanted.shape.filter(|_| wanted.classes.is_some()), ..wanted.clone() };
    match required.lacking(&Preprocessing::of(data.as_ref())) {
        Some(what) => Err(refused(format!("its samples are not those that the network takes: {what}"))),
        None => Ok(data),
    }
}

/// The training and the evaluation data of a run; `of_run` is the preprocessing that it began with, if it has begun.
pub(crate) fn splits(config: &RunConfig, of_run: Option<&Preprocessing>) -> Result<[Arc<dyn Dataset>; 2], Failure> {
    let DataConfig { name, train_limit, validation, label_noise, .. } = &config.data;
    let wanted = of_run.cloned().map_or_else(|| wanted(config), Ok)?;
    let (random, all) = (Random::new(config.train.seed), read(config, &wanted)?);
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
        train = Arc::new(View::limited(train, limit));
    }
    two_classes(train.as_ref(), config)?;
    if *label_noise > 0.0 && matches!(train.shape(), Shape::Tokens(_)) {
        return Err(Failure::usage("`data.label_noise` is for images: the targets of text are its own tokens"));
    }
    if *label_noise > 0.0 {
        train = Arc::new(View::with_label_noise(train, *label_noise, random));
    }
    Ok([train, test])
}

/// Refuses training images that are all of one class.
fn two_classes(train: &dyn Dataset, config: &RunConfig) -> Result<(), Failure> {
    let mut labels = (0..train.samples() as SampleId).map(|id| train.label(id));
    let first = labels.next();
    if matches!(train.shape(), Shape::Tokens(_)) || labels.any(|label| Some(label) != first) {
        return Ok(());
    }
    let keys = [("data.train_limit", config.data.train_limit), ("data.validation", config.data.validation)];
    let set: Vec<String> = keys.iter().filter_map(|(key, value)| Some(format!("`{key}` = {}", (*value)?))).collect();
    let left = several(train.samples(), "training sample");
    let why = if set.is_empty() { String::new() } else { format!(" with {}", set.join(" and ")) };
    Err(Failure::usage(format!("training needs two classes: what is left{why} is {left} of one class")))
}

/// What weights are evaluated on, and what it is called: the evaluation data of a run, or everything where nothing is
/// set apart. `of_run` is the preprocessing that the weights were trained with, if it is known.
pub(crate) fn to_evaluate(
    config: &RunConfig,
    of_run: Option<&Preprocessing>,
) -> Result<(Box<dyn Loader>, Option<&'static str>), Failure> {
    let wanted = of_run.cloned().map_or_else(|| wanted(config), Ok)?;
    let Splits { train, test } = read(config, &wanted)?;
    let (data, set) = match (config.data.validation, test) {
        (Some(samples), _) => (held_out(&train, samples)?[1].clone(), Some("held-out")),
        (None, Some(test)) => (test, Some("test")),
        (None, None) => (train, None),
    };
    Ok((loader(data, config)?, set))
}

fn read(config: &RunConfig, wanted: &Preprocessing) -> Result<Splits, Failure> {
    let DataConfig { name, dir, train_limit, validation, .. } = &config.data;
    let random = Random::new(config.train.seed);
    let samples = train_limit.map(|limit| limit + validation.unwrap_or(0));
    let request = ReadRequest { dir: dir.as_deref(), random, samples, preprocessing: Some(wanted) };
    let waiting = progress::waiting(&format!("reading the data of {name}"));
    let all = source(&config.data)?.read(&request);
    waiting.finish_and_clear();
    let Splits { train, test } = all.map_err(|error| refusal(name, dir.as_deref(), error))?;
    let prepare = |data| prepared(data, wanted, name);
    Ok(Splits { train: prepare(train)?, test: test.map(prepare).transpose()? })
}

/// Whether runs with other seeds have other data: generated, or with labels that were flipped at random.
pub(crate) fn depends_on_seed(config: &DataConfig) -> bool {
    config.label_noise > 0.0 || source(config).is_ok_and(|source| is_generated(source.as_ref()))
}

/// Whether a dataset needs no files.
pub(crate) fn is_generated(source: &dyn DataSource) -> bool {
    source.read(&ReadRequest { dir: None, random: Random::new(0), samples: Some(1), preprocessing: None }).is_ok()
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

/// Refuses a run folder that would become a class of the data.
pub(crate) fn refuse_within(config: &DataConfig, run: &Path) -> Result<(), Failure> {
    let classes = config.dir.as_deref().map(|dir| Ok(source(config)?.folder_of_classes(dir))).transpose()?.flatten();
    let there = run.ancestors().find(|folder| folder.exists()).filter(|folder| !folder.as_os_str().is_empty());
    let there = there.unwrap_or(Path::new(".")).canonicalize();
    match (classes.and_then(|folder| folder.canonicalize().ok()), there) {
        (Some(classes), Ok(there)) if there.starts_with(&classes) => Err(Failure::usage(format!(
            "the run folder {} would lie in {}, where every folder is a class of `{}`: name another with --out",
            run.display(),
            classes.display(),
            config.name
        ))),
        _ => Ok(()),
    }
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
    let [kept, held] = View::held_out(train, samples);
    Ok([Arc::new(kept), Arc::new(held)])
}
