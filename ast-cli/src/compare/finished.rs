//! `--runs RUN,RUN`: a comparison of runs that are finished, wherever they are.

use std::path::{Path, PathBuf};

use ast_core::run::Summary;
use ast_core::select::RunLength;
use toml::{Table, Value};

use super::caveat::{Caveat, Limits, caveat};
use super::circumstances::{self, Circumstances};
use super::comparison::Comparison;
use super::execute::was_shared;
use super::measured::Measured;
use super::plan::{OnData, are_on_the_same_data};
use super::same::identity;
use super::statistics::MOST_PAIRS;
use super::verdict::Terms;
use crate::args::TrainArgs;
use crate::config::{self, leaves};
use crate::dataset;
use crate::failure::{Failure, Kind};
use crate::run_folder::{SUMMARY, summary_of};
use crate::runs::found_in;

/// The sections in which arms are meant to differ.
const SELECTION: [&str; 4] = ["policy", "scorer", "control", "budget"];

/// A finished run.
#[derive(Debug, Clone)]
pub(super) struct Finished {
    pub(super) folder: PathBuf,
    pub(super) summary: Summary,
    seed: u64,
    /// Its configuration without the seed.
    config: Table,
    policy: String,
    limits: Limits,
    free_scoring: bool,
    /// Whether its data is another for every seed.
    by_seed: bool,
}

/// Runs of the same configuration, with other seeds.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) runs: Vec<Finished>,
}

impl Group {
    /// As the page takes it.
    pub(super) fn of_page(&self) -> (&str, Vec<(PathBuf, &Summary)>) {
        (&self.name, self.runs.iter().map(|run| (run.folder.clone(), &run.summary)).collect())
    }
}

/// The comparison of the runs in some folders: run folders, or folders of run folders.
pub(super) fn comparison(places: &[PathBuf]) -> Result<(Comparison, Vec<Group>), Failure> {
    let mut groups: Vec<Group> = Vec::new();
    for place in places {
        let found = found_in(place)?;
        if found.is_empty() {
            return Err(Failure::usage(format!("--runs: there is no run in {}", place.display())));
        }
        for folder in found {
            add(&mut groups, read(&folder)?)?;
        }
    }
    groups.iter_mut().for_each(|group| group.runs.sort_by_key(|run| run.seed));
    let names: Vec<String> = groups.iter().map(|group| name(group, &groups)).collect();
    groups.iter_mut().zip(names).for_each(|(group, name)| group.name = name);

    let runs = || groups.iter().flat_map(|group| group.runs.iter().map(move |run| (group, run)));
    let all = groups.iter().flat_map(|group| &group.runs);
    let on_data =
        all.map(|run| OnData { seed: run.seed, folder: &run.folder, summary: &run.summary, by_seed: run.by_seed });
    are_on_the_same_data(&on_data.collect::<Vec<_>>())?;
    let epochs = runs().map(|(_, run)| run.summary.epochs).max().unwrap_or(1);
    let results: Vec<(String, Vec<Measured>)> = groups
        .iter()
        .map(|group| {
            let measured = |run: &Finished| Measured::of(run.seed, &run.summary, epochs);
            (group.name.clone(), group.runs.iter().map(measured).collect())
        })
        .collect();
    let summaries: Vec<Summary> = runs().map(|(_, run)| run.summary.clone()).collect();
    let limits =
        runs().map(|(_, run)| run.limits).find(|limits| *limits != Limits::Unknown).unwrap_or(Limits::Activation);
    let free: Vec<String> =
        groups.iter().filter(|group| group.runs[0].free_scoring).map(|group| group.name.clone()).collect();
    let warnings = |group: &Group| -> Vec<String> {
        let of = group.runs[0].summary.ran.iter().flat_map(|ran| ran.warnings.iter());
        of.map(|warning| format!("{}: {warning}", group.name)).collect()
    };
    let warnings: Vec<String> = groups.iter().flat_map(warnings).collect();
    let mut caveats = circumstances::of_runs(&Circumstances {
        runs: runs().map(|(group, run)| (group.name.as_str(), &run.summary, was_shared(&run.folder))).collect(),
        limits,
        free_scoring: &free,
        seeds_raised: false,
        warnings: &warnings,
    });
    caveats.extend(differing(&groups));
    Ok((Comparison::of(&results, Terms::of(&summaries, epochs), limits, caveats), groups))
}

fn read(folder: &Path) -> Result<Finished, Failure> {
    if !folder.join(SUMMARY).is_file() {
        return Err(Failure::new(Kind::Data, format!("{}: the run is not finished", folder.display())));
    }
    let of_folder = TrainArgs { resume: Some(folder.to_path_buf()), ..TrainArgs::default() };
    let resolved = config::resolve(&of_folder)?;
    let mut table = identity(&resolved);
    if let Some(Value::Table(train)) = table.get_mut("train") {
        train.remove("seed");
    }
    let budget = resolved.config.budget;
    let limits = match (resolved.policy.kind.run_length, budget.fraction, budget.seconds) {
        // A dense run has no budget.
        (RunLength::Whole, ..) => Limits::Unknown,
        (_, _, Some(_)) => Limits::Seconds,
        (_, Some(_), _) => Limits::Fraction,
        _ => Limits::Activation,
    };
    Ok(Finished {
        folder: folder.to_path_buf(),
        summary: summary_of(folder)?,
        seed: resolved.config.train.seed,
        policy: resolved.config.policy.name.clone(),
        free_scoring: budget.free_scoring,
        by_seed: dataset::depends_on_seed(&resolved.config.data),
        config: table,
        limits,
    })
}

/// Adds a run to the group of its configuration.
fn add(groups: &mut Vec<Group>, run: Finished) -> Result<(), Failure> {
    let Some(group) = groups.iter_mut().find(|group| group.runs[0].config == run.config) else {
        groups.push(Group { name: String::new(), runs: vec![run] });
        return Ok(());
    };
    if let Some(other) = group.runs.iter().find(|other| other.seed == run.seed) {
        let (one, two) = (other.folder.display(), run.folder.display());
        return Err(Failure::usage(format!("--runs: {one} and {two} have the same configuration and the same seed")));
    }
    if group.runs.len() == MOST_PAIRS {
        return Err(Failure::usage(format!(
            "--runs: more than {MOST_PAIRS} seeds of one configuration, too many for the exact p"
        )));
    }
    group.runs.push(run);
    Ok(())
}

/// The policy, with the keys in which the group differs from others with that policy.
fn name(group: &Group, groups: &[Group]) -> String {
    let first = &group.runs[0];
    let others = groups.iter().map(|other| &other.runs[0]).filter(|other| other.policy == first.policy);
    let others: Vec<Vec<(String, &Value)>> = others.map(|other| leaves(&other.config)).collect();
    let differs = |(key, value): &(String, &Value)| {
        others.iter().any(|all| all.iter().find(|(of, _)| of == key).map(|(_, other)| other) != Some(value))
    };
    let own = leaves(&first.config).into_iter().filter(differs);
    let own = own.map(|(key, value)| format!(":{}={value}", key.strip_prefix("policy.").unwrap_or(&key)));
    std::iter::once(first.policy.clone()).chain(own).collect()
}

/// What the configurations differ in besides selection and budget.
fn differing(groups: &[Group]) -> Option<Caveat> {
    let rest = |group: &Group| -> Vec<(String, String)> {
        let all = leaves(&group.runs[0].config).into_iter().map(|(key, value)| (key, value.to_string()));
        all.filter(|(key, _)| SELECTION.iter().all(|section| key.split('.').next() != Some(section))).collect()
    };
    let all: Vec<_> = groups.iter().map(rest).collect();
    let first = all.first()?;
    let mut keys: Vec<&str> = all
        .iter()
        .flat_map(|other| {
            other.iter().filter(|pair| !first.contains(pair)).chain(first.iter().filter(|pair| !other.contains(pair)))
        })
        .map(|(key, _)| key.as_str())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let text = "The runs differ in more than selection and budget";
    (!keys.is_empty())
        .then(|| caveat("configurations", format!("{text}: {}. A difference may come from that.", keys.join(", "))))
}
