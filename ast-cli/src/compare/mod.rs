//! `ast compare`: arms times seeds, each run once, held against `random` and `dense`.

mod arm;
mod picture;
mod statistics;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ast_core::Summary;
use toml::Table;

use crate::args::{CompareArgs, Progress, TrainArgs};
use crate::config;
use crate::failure::{Failure, Kind};
use crate::output::{note, print};
use crate::run_folder::{CONFIG, SUMMARY, clear, write};
use crate::signals::Signals;
use crate::train::{self, Finished, Place, summary_of};
use arm::{Arm, seeds};
use verdict::{Caveats, Comparison};

/// What may differ between two runs of the same configuration: where things are.
const ELSEWHERE: [(&str, &str); 3] = [("data", "dir"), ("data", "workers"), ("device", "threads")];

/// One run of the comparison.
struct Run<'a> {
    arm: &'a Arm,
    seed: u64,
    args: TrainArgs,
    folder: PathBuf,
}

pub(crate) fn compare(args: &CompareArgs) -> Result<(), Failure> {
    let signals = train::listen()?;
    let arms: Vec<Arm> = args.arms.iter().map(|text| Arm::parse(text)).collect::<Result<_, _>>()?;
    if let Some(twice) = arms.iter().find(|arm| arms.iter().filter(|other| other.folder() == arm.folder()).count() > 1)
    {
        return Err(Failure::usage(format!("--arms: `{}` is there twice", twice.name)));
    }
    let seeds = seeds(&args.seeds)?;
    // Seed by seed, so that whatever slows the machine down slows all arms alike.
    let pairs = seeds.iter().flat_map(|seed| arms.iter().map(move |arm| (arm, *seed)));
    let runs: Vec<Run<'_>> = pairs.map(|(arm, seed)| run_of(args, arm, seed)).collect();
    let (mut threads, mut free_scoring) = (0, false);
    for run in &runs {
        // Everything is checked before anything is started.
        let resolved = config::resolve(&run.args)?;
        threads = resolved.config.device.threads;
        free_scoring |= resolved.config.budget.free_scoring;
        is_the_same(&run.folder, &resolved.config)?;
        if let Some(remark) = resolved.policy.remark().filter(|_| run.seed == seeds[0]) {
            note(&format!("{}: {remark}", run.arm.name));
        }
    }
    let raised = fix_seeds(&args.out, &seeds)?;
    train::set_threads(threads)?;
    let summaries = execute(&runs, usize::from(args.jobs), &signals)?;
    are_of_the_same_data(&runs, &summaries)?;

    let of_arm = |arm: &Arm| {
        let pairs = runs.iter().zip(&summaries).filter(|(run, _)| run.arm == arm);
        pairs.map(|(run, summary)| (run.seed, summary.clone())).collect()
    };
    let results: Vec<(String, Vec<(u64, Summary)>)> = arms.iter().map(|arm| (arm.name.clone(), of_arm(arm))).collect();
    let caveats = Caveats { jobs: usize::from(args.jobs), seeds_raised: raised, free_scoring };
    let comparison = Comparison::of(&results, caveats);
    let bug = |error: String| Failure::new(Kind::Bug, error);
    let json = serde_json::to_string(&comparison).map_err(|error| bug(error.to_string()))?;
    let svg = picture::svg(&comparison).map_err(|error| bug(format!("cannot draw: {error}")))?;
    let text = comparison.text();
    for (name, content) in [("comparison.md", &text), ("comparison.json", &json), ("comparison.svg", &svg)] {
        write(&args.out.join(name), content.as_bytes())?;
    }
    note(&format!("files: {}/ (comparison.md, .json and .svg, a run folder for each)", args.out.display()));
    print(if args.json { &json } else { &text })
}

fn run_of<'a>(args: &CompareArgs, arm: &'a Arm, seed: u64) -> Run<'a> {
    let CompareArgs { preset, config, data_dir, budget, budget_seconds, activation, epochs, .. } = args;
    // The reference costs 1 whatever the budget: one run serves the comparisons at every budget.
    let limited = arm.policy != "dense";
    Run {
        arm,
        seed,
        folder: args.out.join(arm.folder()).join(format!("seed-{seed}")),
        args: TrainArgs {
            preset: preset.clone(),
            config: config.clone(),
            data_dir: data_dir.clone(),
            budget: budget.filter(|_| limited),
            budget_seconds: budget_seconds.filter(|_| limited),
            activation: activation.filter(|_| limited),
            free_scoring: args.free_scoring && limited,
            epochs: *epochs,
            policy: Some(arm.policy.clone()),
            seed: Some(seed as i64),
            set: args.set.iter().chain(&arm.set).cloned().collect(),
            ..TrainArgs::default()
        },
    }
}

/// The seeds that the comparison was begun with; whether there are more now. Whoever adds pairs until a difference shows
/// will see one.
fn fix_seeds(out: &Path, seeds: &[u64]) -> Result<bool, Failure> {
    let file = out.join("seeds");
    let text = seeds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    if let Ok(begun) = fs::read_to_string(&file) {
        let begun: Vec<&str> = begun.split_whitespace().collect();
        return Ok(text.split_whitespace().any(|seed| !begun.contains(&seed)));
    }
    let cannot = |error| Failure::new(Kind::Create, format!("cannot create {}: {error}", out.display()));
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        let message =
            format!("{} is not empty and no comparison; name a new folder, nothing was changed", out.display());
        return Err(Failure::new(Kind::Create, message));
    }
    fs::create_dir_all(out).map_err(cannot)?;
    fs::write(file, text + "\n").map_err(cannot)?;
    Ok(false)
}

/// Refuses a folder in which a run with other settings was begun.
fn is_the_same(folder: &Path, config: &ast_core::RunConfig) -> Result<(), Failure> {
    let file = folder.join(CONFIG);
    let Ok(text) = fs::read_to_string(&file) else { return Ok(()) };
    let bug = |error: toml::ser::Error| Failure::new(Kind::Bug, error.to_string());
    let (mut wanted, mut found) =
        (Table::try_from(config).map_err(bug)?, config::parse(&text, &file.display().to_string())?);
    for (section, key) in ELSEWHERE {
        for table in [&mut wanted, &mut found] {
            table.get_mut(section).and_then(toml::Value::as_table_mut).map(|table| table.remove(key));
        }
    }
    let differing = wanted.iter().find(|(section, table)| found.get(*section) != Some(table));
    match differing {
        None => Ok(()),
        Some((section, table)) => Err(Failure::usage(format!(
            "{} was run with other settings: [{section}] was `{}` and would be `{}`; name another --out, or remove it",
            folder.display(),
            found.get(section).map(line).unwrap_or_default(),
            line(table),
        ))),
    }
}

/// Refuses pairs of runs that were trained on different data. Of a summary that does not say on which, that is not known.
fn are_of_the_same_data(runs: &[Run<'_>], summaries: &[Summary]) -> Result<(), Failure> {
    let known = || runs.iter().zip(summaries).filter_map(|(run, summary)| Some((run, &summary.origin.as_ref()?.data)));
    for (i, (run, data)) in known().enumerate() {
        if let Some((other, others)) = known().take(i).find(|(other, others)| other.seed == run.seed && *others != data)
        {
            return Err(Failure::new(
                Kind::Data,
                format!(
                    "{} was trained on other data (sha256 {data:.12}) than {} ({others:.12}): no pair; remove one of them, and the same \
                     `ast compare` runs it again",
                    run.folder.display(),
                    other.folder.display(),
                ),
            ));
        }
    }
    Ok(())
}

fn line(table: &toml::Value) -> String {
    table.to_string().replace('\n', " ").trim().to_string()
}

/// Runs what is not finished, `jobs` at a time, in order; the summaries in the same order.
fn execute(runs: &[Run<'_>], jobs: usize, signals: &Signals) -> Result<Vec<Summary>, Failure> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = runs.get(place) else { return };
            if run.folder.join(SUMMARY).is_file() {
                continue;
            }
            match run.execute(signals.clone()) {
                Ok(Finished { summary, .. }) => note(&format!(
                    "{}/{}  {} seed {}: {:.2} % in {:.0} s",
                    place + 1,
                    runs.len(),
                    run.arm.name,
                    run.seed,
                    summary.accuracy.last,
                    summary.seconds.total
                )),
                Err(failure) if failure.kind == Kind::TryAgain => note(&format!("{failure}: passed over")),
                Err(failure) => {
                    // The others come to the end of their run, or have got the same signal.
                    next.store(runs.len(), Ordering::Relaxed);
                    failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(failure);
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        (1..jobs).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    match failed.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        Some(failure) if failure.kind.is_wanted() => {
            let message = format!("{failure}\nthe same `ast compare` goes on from there");
            Err(Failure::new(failure.kind, message))
        }
        Some(failure) => Err(failure),
        None if runs.iter().any(|run| !run.folder.join(SUMMARY).is_file()) => Err(Failure::new(
            Kind::TryAgain,
            "some runs are in the hands of another process; the same `ast compare` reads them when they are done",
        )),
        None => runs.iter().map(|run| summary_of(&run.folder)).collect(),
    }
}

impl Run<'_> {
    /// From the beginning, or from where it was stopped.
    fn execute(&self, signals: Signals) -> Result<Finished, Failure> {
        let resolved = config::resolve(&self.args)?;
        let place = match self.folder.join(CONFIG).is_file() {
            true => Place::Stopped(&self.folder),
            false => {
                clear(&self.folder)?;
                Place::New(Some(&self.folder))
            }
        };
        let of_arm =
            |failure: Failure| Failure::new(failure.kind, format!("{} seed {}: {failure}", self.arm.name, self.seed));
        train::run(resolved, place, Progress::None, signals).map_err(of_arm)
    }
}
