//! The runs of a comparison, with all checks that are possible before the first starts.

use std::fs;
use std::path::{Path, PathBuf};

use ast_core::data::fingerprint;
use ast_core::run::Summary;
use ast_core::select::RunLength;
use ast_core::train::Resolved;
use toml::Table;

use super::arm::{Arm, decided_elsewhere};
use super::caveat::Limits;
use super::same::{self, are_different, folder_of, identity};
use crate::args::{CompareArgs, TrainArgs};
use crate::config::{self, assigned, leaves};
use crate::dataset;
use crate::device;
use crate::failure::{Failure, Kind};
use crate::output::{note, several};
use crate::run_folder::{CONFIG, SUMMARY, summary_of};
use crate::train::can_begin;

/// One run of the comparison.
pub(super) struct Run<'a> {
    pub(super) arm: &'a Arm,
    pub(super) seed: u64,
    pub(super) folder: PathBuf,
    /// What it costs at most, as a share of a dense run.
    pub(super) share: f64,
    args: TrainArgs,
}

/// The runs of a comparison, and what their configurations imply for it.
pub(super) struct Plan<'a> {
    /// Seed by seed, so that whatever slows the machine down affects all arms alike.
    pub(super) runs: Vec<Run<'a>>,
    /// Nominal epochs of the dense run; costs are shares of its cost.
    pub(super) epochs: u32,
    pub(super) threads: usize,
    /// Arms whose scoring is not charged.
    pub(super) free_scoring: Vec<String>,
    pub(super) limits: Limits,
    /// Warnings of the policies, with their arms.
    pub(super) warnings: Vec<String>,
}

impl<'a> Plan<'a> {
    /// Resolves every run and refuses what cannot be compared.
    pub(super) fn new(args: &CompareArgs, arms: &'a [Arm], seeds: &[u64]) -> Result<Self, Failure> {
        // What holds for all arms.
        let common = TrainArgs { run: args.run.clone(), place: args.place.clone(), ..TrainArgs::default() };
        are_decided_here(&common, arms)?;
        are_different(arms, |arm| resolve(&common, arm, seeds[0]).map(|resolved| identity(&resolved)))?;
        let mut plan = Self {
            runs: Vec::new(),
            epochs: config::nominal_epochs(&common)?,
            threads: 0,
            free_scoring: Vec::new(),
            limits: Limits::Activation,
            warnings: Vec::new(),
        };
        let folders: Vec<PathBuf> = arms
            .iter()
            .map(|arm| folder_of(&args.out, arm, seeds, |seed| Some(identity(&resolve(&common, arm, seed).ok()?))))
            .collect();
        for seed in seeds {
            for (arm, folder) in arms.iter().zip(&folders) {
                let resolved = resolve(&common, arm, *seed)?;
                let run = Run {
                    arm,
                    seed: *seed,
                    share: share(&resolved, plan.epochs),
                    folder: folder.join(format!("seed-{seed}")),
                    args: with_seed(&common, arm, *seed),
                };
                same::was_run_so(&run.folder, &identity(&resolved))?;
                if *seed == seeds[0] {
                    plan.note(arm, &resolved);
                }
                plan.runs.push(run);
            }
        }
        Ok(plan)
    }

    fn note(&mut self, arm: &Arm, resolved: &Resolved) {
        let budget = resolved.config.budget;
        self.threads = resolved.config.device.threads;
        if budget.free_scoring {
            self.free_scoring.push(arm.name.clone());
        }
        if arm.is_limited() {
            self.limits = match (self.limits, budget.fraction, budget.seconds) {
                (Limits::Seconds, ..) | (_, _, Some(_)) => Limits::Seconds,
                (Limits::Fraction, ..) | (_, Some(_), _) => Limits::Fraction,
                (limits, ..) => limits,
            };
        }
        for warning in resolved.warnings() {
            note(&format!("{}: {warning}", arm.name));
            self.warnings.push(format!("{}: {warning}", arm.name));
        }
    }

    /// How much there is to do.
    pub(super) fn announcement(&self) -> String {
        let to_do = self.runs.iter().filter(|run| !run.is_finished());
        let (count, work) = to_do.fold((0, 0.0), |(count, work), run| (count + 1, work + run.share));
        let all = format!("{}, {} finished", several(self.runs.len(), "run"), self.runs.len() - count);
        match self.limits {
            _ if count == 0 => all,
            Limits::Seconds => all,
            _ => format!("{all}; the others cost at most as much as {work:.1} dense runs"),
        }
    }

    /// The summaries of finished runs, in the order of the runs; `None` for others.
    pub(super) fn finished(&self) -> Result<Vec<Option<Summary>>, Failure> {
        let of = |run: &Run<'_>| run.is_finished().then(|| summary_of(&run.folder)).transpose();
        self.runs.iter().map(of).collect()
    }

    /// Checks that everything the runs need is there, and that the finished ones used the data that is there now: all of them,
    /// also if none is left to make, because the comparison is called one of this data.
    pub(super) fn can_run(&self, finished: &[Option<Summary>]) -> Result<(), Failure> {
        let all = || self.runs.iter().zip(finished);
        let (mut looked, mut here) = (false, None);
        for run in self.runs.iter().filter(|run| run.arm == self.runs[0].arm) {
            let of_seed = || all().filter(|(other, _)| other.seed == run.seed);
            let to_do = of_seed().any(|(_, summary)| summary.is_none());
            let done = of_seed().any(|(_, summary)| summary.is_some());
            if !done && looked {
                continue;
            }
            let config = run.resolve()?.config;
            if to_do && !looked {
                device::choose(&config.device.name)?;
            }
            // Only some data is another for every seed.
            let known = here.take().filter(|_| !dataset::depends_on_seed(&config.data) && (looked || !to_do));
            let fingerprints = match known {
                Some(known) => known,
                None => {
                    let data = match dataset::splits(&config, None) {
                        Err(missing) if all().all(|(_, summary)| summary.is_some()) => {
                            note(&format!("warning: not compared with the data as it is now: {missing}"));
                            return Ok(());
                        }
                        data => data?,
                    };
                    if to_do && !looked {
                        for (run, _) in of_seed().filter(|(_, summary)| summary.is_none()) {
                            can_begin(run.resolve()?, data.clone()).map_err(|failure| run.arm.named(failure))?;
                        }
                        looked = true;
                    }
                    let [data, evaluation] = data.map(|split| fingerprint(split.as_ref()));
                    Fingerprints { data, evaluation: Some(evaluation) }
                }
            };
            for (other, summary) in of_seed().filter_map(|(other, summary)| Some((other, summary.as_ref()?))) {
                let Some(there) = Fingerprints::of(summary) else { continue };
                if let Some(what) = there.differ(&fingerprints) {
                    return Err(no_pair(&other.folder, "what is there now", what));
                }
            }
            here = Some(fingerprints);
        }
        Ok(())
    }

    /// Whether the data is another for every seed.
    pub(super) fn data_by_seed(&self) -> Result<bool, Failure> {
        self.runs.first().map_or(Ok(false), |run| Ok(dataset::depends_on_seed(&run.resolve()?.config.data)))
    }

    /// Creates the folders first, so that a name which the file system refuses is noticed before the first run.
    pub(super) fn create_folders(&self) -> Result<(), Failure> {
        for folder in self.runs.iter().filter_map(|run| run.folder.parent()) {
            fs::create_dir_all(folder)
                .map_err(|error| Failure::new(Kind::Create, format!("cannot create {}: {error}", folder.display())))?;
        }
        Ok(())
    }
}

/// A finished run, as far as it tells of its data.
pub(super) struct OnData<'a> {
    pub(super) seed: u64,
    pub(super) folder: &'a Path,
    pub(super) summary: &'a Summary,
    /// Whether its data is another for every seed.
    pub(super) by_seed: bool,
}

/// Refuses runs on different data, as far as their summaries record the data: of one seed, and of any where the data does not
/// depend on it. A mean over seeds is one of the same task.
pub(super) fn are_on_the_same_data(runs: &[OnData<'_>]) -> Result<(), Failure> {
    let known = || runs.iter().filter_map(|run| Some((run, Fingerprints::of(run.summary)?)));
    for (i, (run, data)) in known().enumerate() {
        let comparable = |other: &OnData<'_>| other.seed == run.seed || !(other.by_seed || run.by_seed);
        for (other, others) in known().take(i).filter(|(other, _)| comparable(other)) {
            if let Some(what) = data.differ(&others) {
                return Err(no_pair(run.folder, &other.folder.display().to_string(), what));
            }
        }
    }
    Ok(())
}

impl Run<'_> {
    pub(super) fn resolve(&self) -> Result<Resolved, Failure> {
        config::resolve_arm(&self.args, &self.arm.own, self.arm.is_limited())
    }

    pub(super) fn is_finished(&self) -> bool {
        self.folder.join(SUMMARY).is_file()
    }

    /// Whether the run was started.
    pub(super) fn is_begun(&self) -> bool {
        self.folder.join(CONFIG).is_file()
    }
}

/// The cost that a configuration allows, as a share of that of a dense run of so many epochs.
fn share(resolved: &Resolved, epochs: u32) -> f64 {
    let config = &resolved.config;
    let share = match resolved.policy.kind.run_length {
        RunLength::Whole => 1.0,
        _ => config.budget.fraction.or(config.control.target).unwrap_or(1.0),
    };
    share * f64::from(config.train.epochs) / f64::from(epochs)
}

fn with_seed(common: &TrainArgs, arm: &Arm, seed: u64) -> TrainArgs {
    // The policy is set beside --set, so that its parameters given there are accepted, and others refused.
    TrainArgs { policy: Some(arm.policy.clone()), seed: Some(seed as i64), ..common.clone() }
}

fn resolve(common: &TrainArgs, arm: &Arm, seed: u64) -> Result<Resolved, Failure> {
    let resolved = config::resolve_arm(&with_seed(common, arm, seed), &arm.own, arm.is_limited());
    resolved.map_err(|failure| arm.named(failure))
}

/// Refuses keys that arms and seeds decide, if they are set by flag or variable. In a file they are ignored with a
/// note, because every configuration of a run has them.
fn are_decided_here(common: &TrainArgs, arms: &[Arm]) -> Result<(), Failure> {
    let refused = |table: &Table, origin: &str| match leaves(table)
        .iter()
        .find_map(|(key, _)| Some((key, decided_elsewhere(key)?)))
    {
        Some((key, instead)) => {
            Err(Failure::usage(format!("{origin}: `{key}` is not for all runs of a comparison: {instead}")))
        }
        None => Ok(()),
    };
    for assignment in &common.run.set {
        let origin = format!("--set {assignment}");
        refused(&assigned(assignment, &origin)?, &origin)?;
    }
    for (table, origin) in config::of_surroundings(common)? {
        if common.run.config.as_ref().is_none_or(|file| file.display().to_string() != origin) {
            refused(&table, &origin)?;
            continue;
        }
        for (key, value) in leaves(&table) {
            let is_an_arm = key == "policy.name" && arms.iter().any(|arm| value.as_str() == Some(&arm.policy));
            if let Some(instead) = decided_elsewhere(&key).filter(|_| !is_an_arm) {
                note(&format!("{origin}: `{key}` = {value} is ignored: {instead}"));
            }
        }
    }
    Ok(())
}

/// Fingerprints of the data that a run was trained and evaluated on.
struct Fingerprints {
    data: String,
    evaluation: Option<String>,
}

impl Fingerprints {
    fn of(summary: &Summary) -> Option<Self> {
        let origin = summary.origin.as_ref()?;
        Some(Self { data: origin.data.clone(), evaluation: origin.evaluation.clone() })
    }

    /// How they differ, if they do.
    fn differ(&self, other: &Self) -> Option<String> {
        let (here, there) = (self.evaluation.as_ref(), other.evaluation.as_ref());
        let different = |verb: &str, one: &str, two: &str| {
            (one != two).then(|| format!("{verb} other data (sha256 {one:.12} and {two:.12})"))
        };
        different("trained on", &self.data, &other.data)
            .or_else(|| here.zip(there).and_then(|(here, there)| different("evaluated on", here, there)))
    }
}

fn no_pair(folder: &Path, other: &str, what: String) -> Failure {
    let folder = folder.display();
    Failure::new(
        Kind::Data,
        format!(
            "{folder} was {what} than {other}, so they cannot be compared: compare runs on the same data, or make this one again \
             (`ast compare` with another --out, or after the run is removed)"
        ),
    )
}
