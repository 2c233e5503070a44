//! `ast train`: resolves the configuration, opens the run folder, trains and reports.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ast_core::data::{Dataset, LoadError, Preprocessing, Shape, layout};
use ast_core::model::NetworkError;
use ast_core::plugin::ParamValue;
use ast_core::run::{Checkpoints, DataConfig, Origin, Ran, RunConfig, RunIdentity, SCHEMA, Summary, TestSet};
use ast_core::train::{PassError, Resolved, Setup, TrainError, Training, WeightsError};

use crate::args::TrainArgs;
use crate::builds::Builds;
use crate::claim::Claim;
use crate::config;
use crate::dataset::{self, Data};
use crate::device;
use crate::energy;
use crate::export;
use crate::failure::{Failure, Kind};
use crate::log::Log;
use crate::output::{note, print, several};
use crate::page;
use crate::plot;
use crate::progress::ProgressView;
use crate::records::{self, LEDGER, PREDICTIONS};
use crate::report::{Run, data_of, outcome, report};
use crate::resume::{self, Point};
use crate::run_folder::{
    CHECKPOINTS, CONFIG, MODEL, PAGE, PROVENANCE, Provenance, RUNS, RunFolder, SUMMARY, how_resumed, is_a_run,
    summary_of,
};
use crate::shell::quoted;
use crate::signals::Signals;
use crate::tensorboard::EventFile;

pub(crate) fn train(args: &TrainArgs) -> Result<(), Failure> {
    let signals = listen()?;
    if let Some(run) = &args.resume {
        is_a_run(run)?;
    }
    if let Some(run) = args.resume.as_deref().filter(|run| !args.start_over && run.join(SUMMARY).is_file()) {
        return finished(run, args.json);
    }
    let resolved = config::resolve(args)?;
    set_threads(resolved.config.device.threads)?;
    dataset::warn_of_unused_folder(&resolved.config.data, args.place.data_dir.as_deref())?;
    let place = match &args.resume {
        Some(run) if args.start_over => RunTarget::Again(run),
        Some(run) => RunTarget::Stopped { run, other_data: args.other_data },
        None => RunTarget::New(args.out.as_deref()),
    };
    let wanted = Wanted { page: true, tensorboard: args.tensorboard, csv: args.csv };
    let Finished { summary, report } = run(resolved, place, ProgressView::new(args.progress), signals, wanted)?;
    show(&summary, &report, args.json)
}

/// The folder of a run.
pub(crate) enum RunTarget<'a> {
    /// A new folder; by default the next free one under `runs/`.
    New(Option<&'a Path>),
    /// The folder of a stopped run, to resume, also on other data if that is wanted.
    Stopped { run: &'a Path, other_data: bool },
    /// The folder of a run to start again; its old files are moved aside.
    Again(&'a Path),
}

/// The result of a run.
pub(crate) struct Finished {
    pub(crate) summary: Summary,
    /// The report, as text.
    report: String,
}

/// What a run writes besides its results.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    page: bool,
    tensorboard: bool,
    csv: bool,
}

/// Executes a run and writes all files of its folder.
pub(crate) fn run(
    resolved: Resolved,
    place: RunTarget<'_>,
    mut view: ProgressView,
    signals: Signals,
    wanted: Wanted,
) -> Result<Finished, Failure> {
    let (config, effective) = (resolved.config.clone(), resolved.effective());
    let scorer_origin = resolved.scorer_entry.map(|(_, origin)| origin);
    // What a run began with is what it goes on with, whatever its data has become.
    let begun = match place {
        RunTarget::Stopped { run, .. } => Builds::preprocessing(run)?,
        _ => None,
    };
    let Data { train, test, fingerprint, evaluation } = dataset::load(&config, begun.as_ref())?;
    let identity = resume::identity(&effective, &fingerprint, &evaluation)?;
    let (backend, device) = device::choose(&config.device.name)?;

    let device = device.autodiff();
    let (data, test_data) = (train.dataset().clone(), test.dataset().clone());
    let setup = Setup { run: resolved, train, test, model: (), device, energy: energy::counter(backend) };
    let (place, mut trainer) = open(place, &config, &effective, &identity, setup)?;
    let ran = trainer.ran();
    let path = place.folder.path().to_path_buf();
    if view.tells_the_start() {
        let threads = several(rayon::current_num_threads(), "thread");
        note(&format!("training on {backend}, {threads}; run folder {}", path.display()));
    }
    view.of(data.samples(), config.train.epochs);
    view.held_out = config.data.validation.is_some();
    view.text = matches!(data.shape(), Shape::Tokens(_));
    let mut log = Log::new(place.folder, place.checkpoints, view, signals, config.checkpoint, identity);
    let builds = match place.goes_on {
        None => {
            let provenance = provenance(&config, backend, &ran, scorer_origin, &fingerprint, [&data, &test_data]);
            log.folder.write_json(PROVENANCE, &provenance)?;
            Builds::begin(&provenance)?
        }
        Some((point, mut builds)) => {
            let resumed = builds.go_on(point.snapshot.step, backend, point.other_data);
            log.folder.write_json(PROVENANCE, builds.json())?;
            log.go_on(point, &resumed)?;
            builds
        }
    };
    if wanted.tensorboard {
        log.tensorboard = Some(EventFile::create(&path)?);
    }
    trainer.on_scoring(log.progress.on_scoring());
    let outcome = trainer.run(&mut log);
    log.progress.finish();
    let Some(mut summary) = outcome.map_err(|error| failure(&error, &path, &config.data))? else {
        return Err(log.stopped());
    };
    if let (Some(ran), Some(warning)) = (&mut summary.ran, builds.other_data()) {
        ran.warnings.push(warning);
    }
    summary.origin = Some(Origin {
        commit: builds.all("commit"),
        device: builds.all("device"),
        data: fingerprint.clone(),
        evaluation: Some(evaluation),
        version: Some(builds.all("version")),
        instructions: device::instructions(backend),
    });
    let test_samples = test_data.samples();
    let test_samples = test_samples - summary.left_out.map_or(0, |left_out| left_out.test).min(test_samples);
    summary.test = Some(TestSet { samples: test_samples, classes: data.classes() });

    let bug = |what: &str, error: String| Failure::new(Kind::Bug, format!("{what}: {error}"));
    let weights = trainer.weights().map_err(|error| bug(MODEL, error.to_string()))?;
    log.folder.write(MODEL, &weights)?;
    log.folder.write(LEDGER, &records::csv(records::visited(trainer.ledger(), data.as_ref()))?)?;
    if !trainer.answers().is_empty() {
        log.folder.write(PREDICTIONS, &records::csv(records::predicted(trainer.answers(), test_data.as_ref()))?)?;
    }
    let title = format!("{} on {}, seed {}", ran.title(), data_of(&config), config.train.seed);
    let picture = plot::svg(&log.events, &title, summary.text.is_some()).map_err(|error| bug("run.svg", error))?;
    if let Err(failure) = log.folder.write("run.svg", picture.as_bytes()) {
        // A missing picture must not cost the result.
        note(&format!("warning: {failure}"));
    }
    if wanted.csv {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        log.folder.write(export::METRICS, &export::metrics(&log.events)?)?;
        log.folder.write(export::EMISSIONS, &export::emissions(&summary, name, backend)?)?;
    }
    // Written last, because a run with a summary counts as finished.
    log.folder.write_json(SUMMARY, &summary)?;
    if wanted.page
        && let Err(failure) =
            page::page(&path, Ok(data.as_ref())).and_then(|page| log.folder.write(PAGE, page.as_bytes()))
    {
        note(&format!("warning: {failure}"));
    }
    let run = Run {
        config: &config,
        device: backend,
        classes: data.classes(),
        test_samples,
        folder: &path,
        events: &log.events,
    };
    let report = report(&summary, &run);
    Ok(Finished { summary, report })
}

/// Checks that a run can begin on this data, by building all that it needs.
pub(crate) fn can_begin(resolved: Resolved, data: [Arc<dyn Dataset>; 2]) -> Result<(), Failure> {
    let [train, test] = dataset::loaders(data, &resolved.config)?;
    let (backend, device) = device::choose(&resolved.config.device.name)?;
    let (device, energy) = (device.autodiff(), energy::counter(backend));
    trainer(Setup { run: resolved, train, test, model: (), device, energy }).map(drop)
}

/// Builds the trainer with the network named in the configuration.
fn trainer(setup: Setup<()>) -> Result<Box<dyn Training>, Failure> {
    let name = setup.run.config.model.name.clone();
    setup.build().map_err(|error| match error {
        TrainError::Network(error @ NetworkError::Unfit { .. }) => Failure::usage(error.to_string()),
        TrainError::Network(error @ NetworkError::Shape { shape: Shape::Tokens(_), .. }) => {
            Failure::usage(format!("`model.name` = \"{name}\": {error}; text is for --model gpt"))
        }
        TrainError::Network(error) => Failure::usage(format!("`model.name` = \"{name}\": {error}")),
        TrainError::Weights { error: WeightsError::Read(_), .. } => Failure::new(Kind::Io, error.to_string()),
        TrainError::Config(error) => Failure::usage(error.to_string()),
        error => Failure::new(Kind::Data, error.to_string()),
    })
}

/// The opened folder of a run.
struct Opened {
    folder: RunFolder,
    checkpoints: Checkpoints,
    /// The checkpoint to resume from; `None` at the start of a run.
    goes_on: Option<(Point, Builds)>,
}

/// Builds the trainer, opens the folder, and restores the trainer if the run is resumed. All checks are made before
/// anything is changed.
fn open(
    place: RunTarget<'_>,
    config: &RunConfig,
    effective: &RunConfig,
    identity: &RunIdentity,
    mut setup: Setup<()>,
) -> Result<(Opened, Box<dyn Training>), Failure> {
    let checkpoints = |run: &Path| Checkpoints::new(run.join(CHECKPOINTS), config.checkpoint.keep);
    let begin = |folder: RunFolder| {
        let checkpoints = checkpoints(folder.path());
        Opened { folder, checkpoints, goes_on: None }
    };
    let (run, other_data) = match place {
        RunTarget::New(out) => {
            dataset::refuse_within(&config.data, out.unwrap_or(Path::new(RUNS)))?;
            let trainer = trainer(setup)?;
            return Ok((begin(RunFolder::create(out, config)?), trainer));
        }
        RunTarget::Again(run) => {
            let trainer = trainer(setup)?;
            return Ok((begin(RunFolder::start_over(Claim::of(run)?, config)?), trainer));
        }
        RunTarget::Stopped { run, other_data } => (run, other_data),
    };
    let (claim, mut checkpoints) = (Claim::of(run)?, checkpoints(run));
    let [of_train, of_test] = [setup.train.dataset(), setup.test.dataset()];
    let layout = || [of_train, of_test].map(|data| layout(data.as_ref()));
    let data = resume::Data { fingerprinted: of_train.fingerprinted(), layout: other_data.then(layout) };
    let Some(point) = resume::find(&claim, &mut checkpoints, effective, identity, data)? else {
        let trainer = trainer(setup)?;
        note(&format!("{}: no checkpoint to resume from: starting over", run.display()));
        return Ok((begin(RunFolder::start_over(claim, config)?), trainer));
    };
    // The checkpoint has the weights; the file that they began as may be gone.
    setup.run.config.model.weights = None;
    let mut trainer = trainer(setup)?;
    trainer.restore(&point.snapshot).map_err(|error| resume::refusal(run, &error.to_string()))?;
    point.put_refused_aside(&claim)?;
    let builds = Builds::of(&claim)?;
    let folder = RunFolder::go_on(claim, &point.log)?;
    Ok((Opened { folder, checkpoints, goes_on: Some((point, builds)) }, trainer))
}

/// Starts to catch signals, which then only request a save or a stop.
pub(crate) fn listen() -> Result<Signals, Failure> {
    Signals::listen().map_err(|error| Failure::new(Kind::Bug, format!("cannot await signals: {error}")))
}

/// Reports that the run is already finished, with its result.
fn finished(run: &Path, json: bool) -> Result<(), Failure> {
    let summary = summary_of(run)?;
    let (path, outcome) = (run.display(), outcome(&summary));
    let what = if summary.text.is_some() { "" } else { "accuracy " };
    show(
        &summary,
        &format!("{path} is finished: {what}{outcome} after {}", several(summary.steps as usize, "step")),
        json,
    )
}

fn show(summary: &Summary, text: &str, json: bool) -> Result<(), Failure> {
    if !json {
        return print(text);
    }
    note(text);
    let line = serde_json::to_string(summary).map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
    print(&line)
}

/// Sets the number of threads, by default one per physical core: hyperthreads do not speed up matrix products.
pub(crate) fn set_threads(threads: usize) -> Result<(), Failure> {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if threads == 0 { num_cpus::get_physical().clamp(1, available) } else { threads };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    pool.map_err(|error| Failure::new(Kind::Bug, format!("cannot set the number of threads: {error}")))
}

fn provenance<'a>(
    config: &RunConfig,
    device: &'a str,
    ran: &'a Ran,
    scorer_origin: Option<&'a str>,
    fingerprint: &'a str,
    data: [&Arc<dyn Dataset>; 2],
) -> Provenance<'a> {
    Provenance {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("AST_COMMIT"),
        command: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        device,
        threads: rayon::current_num_threads(),
        ran,
        scorer_origin,
        data: fingerprint,
        layout: data.map(|data| layout(data.as_ref())),
        preprocessing: Preprocessing::of(data[0].as_ref()),
        seed: config.train.seed,
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    }
}

/// The kind of failure that an error is.
pub(crate) fn kind_of(error: &TrainError) -> Kind {
    match error {
        TrainError::NotFinite { .. } | TrainError::Diverged { .. } | TrainError::AllSkipped(_) => Kind::Data,
        TrainError::Weights { .. } | TrainError::AllBad(_) => Kind::Data,
        TrainError::Load(LoadError::Sample { .. }) => Kind::Data,
        TrainError::Pass(PassError::Load(LoadError::Sample { .. }) | PassError::AllBad(_)) => Kind::Data,
        TrainError::Pass(PassError::NotFinite(_)) => Kind::Data,
        TrainError::Pass(PassError::Resolution | PassError::NoProxy)
        | TrainError::NothingTrained
        | TrainError::NothingLeft => Kind::Usage,
        TrainError::Write(_) => Kind::Io,
        TrainError::Device(_) | TrainError::Pass(PassError::Read(_)) => Kind::Device,
        TrainError::Load(_)
        | TrainError::Pass(_)
        | TrainError::Select(_)
        | TrainError::Config(_)
        | TrainError::Network(_)
        | TrainError::Snapshot(_) => Kind::Bug,
    }
}

fn failure(error: &TrainError, run: &Path, data: &DataConfig) -> Failure {
    let kind = kind_of(error);
    let is_sample = matches!(error, TrainError::Load(_) | TrainError::Pass(PassError::Load(_)));
    let next = match (&data.dir, kind) {
        (Some(dir), Kind::Io | Kind::Data) if is_sample => {
            let all = format!("`ast data verify {} --data-dir {} --deep` names all like it", data.name, quoted(dir));
            let resumed = format!("{}; add `--other-data` if its size or time has changed", how_resumed(run));
            let without =
                format!(". Without it the run goes on once {} says `on_bad = \"skip\"`", run.join(CONFIG).display());
            let may_be_skipped = data.params.get("on_bad") == Some(&ParamValue::Word("refuse".into()));
            let without = if may_be_skipped { without } else { String::new() };
            format!("; {all}. When the file is back, {resumed}{without}")
        }
        (_, Kind::Io) => format!("; when that is fixed, {}", how_resumed(run)),
        (None, Kind::Data) if is_sample => format!("; when that is fixed, {}", how_resumed(run)),
        _ => format!("; what was written until then is in {}", run.display()),
    };
    Failure::new(kind, format!("{error}{next}"))
}
