//! `ast compare`: runs every arm with every seed once and compares them with `random` and `dense`.

mod arm;
mod begun;
mod caveat;
mod chance;
mod circumstances;
mod comparison;
mod csv;
mod execute;
mod finished;
mod from;
mod measured;
mod page;
mod picture;
mod plan;
mod same;
mod statistics;
mod text;
mod verdict;

use std::fs;
use std::path::Path;

use crate::args::{CompareArgs, SweepArgs};
use crate::dataset;
use crate::failure::{Failure, Kind};
use crate::output::{note, print};
use crate::page::ArmRuns;
use crate::run_folder::{PAGE, write};
use crate::train;
use arm::{Arm, seeds};
use circumstances::Circumstances;
use comparison::Comparison;
use finished::Group;
use measured::Measured;
use plan::{OnData, Plan};
use verdict::Terms;

/// The files that a comparison writes.
const FILES: [&str; 4] = ["comparison.md", "comparison.json", "comparison.svg", PAGE];

pub(crate) fn compare(args: &CompareArgs) -> Result<(), Failure> {
    if let Some(file) = &args.from {
        let comparison = from::comparison(file)?;
        from::may_write(&args.out)?;
        return show(&comparison, Vec::new(), &args.out, args.json, "");
    }
    if !args.runs.is_empty() {
        let (comparison, groups) = finished::comparison(&args.runs)?;
        from::may_write(&args.out)?;
        let arms = groups.iter().map(Group::of_page).collect();
        let comparison = Comparison { from: Some("finished runs".into()), ..comparison };
        return show(&comparison, arms, &args.out, args.json, "");
    }
    let signals = train::listen()?;
    let arms: Vec<Arm> =
        args.arms.iter().flat_map(|arms| arm::split(arms)).map(Arm::parse).collect::<Result<_, _>>()?;
    let seeds = seeds(&args.seeds)?;
    // Everything is checked before anything is started or written.
    let begun = begun::begun(&args.out)?;
    let plan = Plan::new(args, &arms, &seeds)?;
    plan.can_run(&plan.finished()?)?;
    if let Some(run) = plan.runs.first() {
        dataset::warn_of_unused_folder(&run.resolve()?.config.data, args.place.data_dir.as_deref())?;
    }
    train::set_threads(plan.threads)?;
    let seeds_raised = begun::fix(&args.out, begun.as_deref(), &seeds)?;
    plan.create_folders()?;
    note(&plan.announcement());
    let Some(summaries) = execute::execute(&plan.runs, args.shard, usize::from(args.jobs), &signals)? else {
        let done = plan.runs.iter().filter(|run| run.is_finished()).count();
        let all = plan.runs.len();
        note(&format!("this part is done; {done} of {all} runs are in {}", args.out.display()));
        note("when all are, the same command without --shard makes the table");
        return Ok(());
    };
    let by_seed = plan.data_by_seed()?;
    let on_data = plan.runs.iter().zip(&summaries).map(|(run, summary)| OnData {
        seed: run.seed,
        folder: &run.folder,
        summary,
        by_seed,
    });
    plan::are_on_the_same_data(&on_data.collect::<Vec<_>>())?;

    let runs = || plan.runs.iter().zip(&summaries);
    let of_arm = |arm: &Arm| {
        let own = runs().filter(|(run, _)| run.arm == arm);
        own.map(|(run, summary)| Measured::of(run.seed, summary, plan.epochs)).collect()
    };
    let results: Vec<(String, Vec<Measured>)> = arms.iter().map(|arm| (arm.name.clone(), of_arm(arm))).collect();
    let terms = Terms::of(&summaries, plan.epochs);
    let caveats = circumstances::of_runs(&Circumstances {
        runs: runs().map(|(run, summary)| (run.arm.name.as_str(), summary, run.was_shared())).collect(),
        limits: plan.limits,
        free_scoring: &plan.free_scoring,
        seeds_raised,
        warnings: &plan.warnings,
    });
    let comparison = Comparison { seeds_raised, ..Comparison::of(&results, terms, plan.limits, caveats) };
    let runs_of = |arm: &Arm| {
        let own = runs().filter(|(run, _)| run.arm == arm);
        own.map(|(run, summary)| (run.folder.clone(), summary)).collect()
    };
    let arms = arms.iter().map(|arm| (arm.name.as_str(), runs_of(arm))).collect();
    show(&comparison, arms, &args.out, args.json, ", a folder per run")
}

/// Compares every combination of the values that vary.
pub(crate) fn sweep(args: &SweepArgs) -> Result<(), Failure> {
    let (mut arms, mut set) = (vec![args.policy.clone()], Vec::new());
    for assignment in &args.run.set {
        let (key, values) = assignment.split_once('=').unwrap_or((assignment, ""));
        match arm::split(values).as_slice() {
            [] | [_] => set.push(assignment.clone()),
            values => {
                let mut with = Vec::new();
                for arm in &arms {
                    with.extend(values.iter().map(|value| format!("{arm}:{}={value}", in_arm(key))));
                }
                arms = with;
            }
        }
    }
    if arms.len() == 1 {
        return Err(Failure::usage(
            "nothing varies: give a --set several values, for example control.target=0.05,0.1,0.2",
        ));
    }
    compare(&args.comparison(arms, set))
}

/// A key as an arm has it: a parameter of the policy without its section.
fn in_arm(key: &str) -> &str {
    key.trim().strip_prefix("policy.").unwrap_or(key.trim())
}

/// Writes the files and prints one of them.
fn show(comparison: &Comparison, runs: ArmRuns<'_>, out: &Path, as_json: bool, more: &str) -> Result<(), Failure> {
    let bug = |error: String| Failure::new(Kind::Bug, error);
    let json = serde_json::to_string(comparison).map_err(|error| bug(error.to_string()))?;
    let svg = picture::svg(comparison).map_err(|error| bug(format!("cannot draw: {error}")))?;
    let text = comparison.text();
    let page = comparison.page(runs, &svg).map_err(|error| bug(format!("{PAGE}: {error}")))?;
    let cannot = |error| Failure::new(Kind::Create, format!("cannot create {}: {error}", out.display()));
    fs::create_dir_all(out).map_err(cannot)?;
    for (name, content) in FILES.into_iter().zip([&text, &json, &svg, &page]) {
        write(&out.join(name), content.as_bytes())?;
    }
    note(&format!("files: {}/ ({PAGE}, comparison.md, .json and .svg{more})", out.display()));
    print(if as_json { &json } else { &text })
}
