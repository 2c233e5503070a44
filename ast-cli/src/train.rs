//! `ast train`: resolve, open, run, report.

use std::time::{SystemTime, UNIX_EPOCH};

use ast_core::models::SimpleCnn;
use ast_core::{Event, Observer, Parts, PassError, RunConfig, SCHEMA, Summary, TrainError, Trainer, Weights};

use crate::args::TrainArgs;
use crate::config::{self, Resolved};
use crate::dataset::{self, Data};
use crate::device;
use crate::failure::{Failure, Kind, did_you_mean};
use crate::output::{note, print};
use crate::plot;
use crate::progress::ProgressView;
use crate::report::{Run, report};
use crate::run_folder::{Provenance, RunFolder};

const MODELS: [&str; 1] = ["simple-cnn"];

pub(crate) fn train(args: &TrainArgs) -> Result<(), Failure> {
    let Resolved { config, checked, policy, scorer, scorer_origin } = config::resolve(args)?;
    check_model(&config)?;
    set_threads(config.device.threads)?;
    let Data { train, test, fingerprint } = dataset::load(&config)?;
    let (backend, device) = device::choose(&config.device.name)?;
    let folder = RunFolder::create(args.out.as_deref(), &config)?;
    folder.write_json("run.json", &provenance(&config, backend, scorer_origin, &fingerprint))?;
    let (threads, path) = (rayon::current_num_threads(), folder.path().display());
    note(&format!("training on {backend}, {threads} threads; run folder {path}"));

    let device = device.autodiff();
    let (data, test_samples) = (train.dataset().clone(), test.dataset().samples());
    let model = SimpleCnn::new(data.shape(), data.classes(), Weights::new(checked.random(), &device));
    let mut log = Log { folder, progress: ProgressView::new(args.progress), events: Vec::new() };
    let outcome = Trainer::new(Parts { config: checked, train, test, model, policy, scorer, device }).run(&mut log);
    log.progress.finish();
    let summary = outcome.map_err(|error| failure(&error, &log.folder))?;

    log.folder.write_json("summary.json", &summary)?;
    let title = format!("{} on {}, seed {}", config.policy.name, config.data.name, config.train.seed);
    let picture =
        plot::svg(&log.events, &title).map_err(|error| Failure::new(Kind::Bug, format!("run.svg: {error}")))?;
    log.folder.write("run.svg", picture.as_bytes())?;
    let run =
        Run { config: &config, device: backend, classes: data.classes(), test_samples, folder: log.folder.path() };
    show(&summary, &report(&summary, &run), args.json)
}

fn show(summary: &Summary, text: &str, json: bool) -> Result<(), Failure> {
    if !json {
        return print(text);
    }
    note(text);
    let line = serde_json::to_string(summary).map_err(|error| Failure::new(Kind::Bug, error.to_string()))?;
    print(&line)
}

fn check_model(config: &RunConfig) -> Result<(), Failure> {
    let name = config.model.name.as_str();
    if MODELS.contains(&name) {
        return Ok(());
    }
    let hint = did_you_mean(name, MODELS);
    Err(Failure::usage(format!("`model.name`: no model `{name}`; there are: {}{hint}", MODELS.join(", "))))
}

fn set_threads(threads: usize) -> Result<(), Failure> {
    if threads == 0 {
        return Ok(());
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build_global().map_err(|error| Failure::new(Kind::Bug, format!("cannot set the number of threads: {error}")))
}

fn provenance<'a>(config: &RunConfig, device: &'a str, scorer_origin: &'a str, data: &'a str) -> Provenance<'a> {
    Provenance {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("AST_COMMIT"),
        command: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        device,
        threads: rayon::current_num_threads(),
        scorer_origin,
        data,
        seed: config.train.seed,
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    }
}

fn failure(error: &TrainError, folder: &RunFolder) -> Failure {
    let kind = match error {
        TrainError::NotFinite { .. } | TrainError::Diverged { .. } => Kind::Data,
        TrainError::NothingTrained => Kind::Usage,
        TrainError::Log(_) => Kind::Io,
        TrainError::Device(_) | TrainError::Pass(PassError::Read(_)) => Kind::Device,
        TrainError::Load(_) | TrainError::Pass(_) | TrainError::Policy(_) => Kind::Bug,
    };
    Failure::new(kind, format!("{error}; what was done until then is in {}", folder.path().display()))
}

/// Every event goes into the folder, onto the screen and into the picture.
struct Log {
    folder: RunFolder,
    progress: ProgressView,
    events: Vec<Event>,
}

impl Observer for Log {
    fn event(&mut self, event: &Event) -> std::io::Result<()> {
        self.progress.event(event);
        self.events.push(event.clone());
        self.folder.log(event)
    }
}
