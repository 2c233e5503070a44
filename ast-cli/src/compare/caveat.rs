//! What a reader of a comparison has to know: in the table's text, in the JSON and in the picture alike.

use ast_core::{Origin, Summary};
use serde::Serialize;

use super::chance;
use super::statistics::LEAST_PAIRS;
use super::verdict::{LEVEL, REFERENCES, Row, SAME_COST, Terms};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Caveat {
    /// One word for programs.
    pub(super) kind: &'static str,
    /// A sentence or two for a person.
    pub(super) text: String,
}

/// What the limited arms were limited by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limits {
    /// Nothing but their epochs and their activation: a budget can be advised.
    Activation,
    /// A share of the dense run's FLOPs, one of them at least.
    Fraction,
    /// Seconds, one of them at least.
    Seconds,
    /// It is another program's.
    Unknown,
}

fn caveat(kind: &'static str, text: String) -> Caveat {
    Caveat { kind, text }
}

/// What the rows say themselves.
pub(super) fn of_rows(rows: &[Row], terms: &Terms, limits: Limits) -> Vec<Caveat> {
    [no_reference(rows), unpaired(rows), near_chance(rows), many_tests(rows), unequal_costs(rows, terms, limits)]
        .into_iter()
        .flatten()
        .collect()
}

fn no_reference(rows: &[Row]) -> Option<Caveat> {
    let lacking = rows.iter().all(|row| !REFERENCES.contains(&row.arm.as_str()));
    let text = "No arm is `random` or `dense`: there is nothing that the others could be held against.";
    lacking.then(|| caveat("no-reference", text.into()))
}

/// Seeds that an arm has and its reference has not: they are in the arm's mean and in no difference.
fn unpaired(rows: &[Row]) -> Option<Caveat> {
    let short = |row: &Row| {
        let of = |to: &str| {
            let reference = rows.iter().find(|other| other.arm == to && other.arm != row.arm && row.arm != "dense")?;
            let pairs = row.seeds.iter().filter(|seed| reference.seeds.contains(seed)).count();
            let most = row.seeds.len().max(reference.seeds.len());
            (pairs < most).then(|| format!("{} and {to} share {pairs} of {most} seeds", row.arm))
        };
        REFERENCES.into_iter().filter_map(of).collect::<Vec<_>>()
    };
    let all: Vec<String> = rows.iter().flat_map(short).collect();
    (!all.is_empty()).then(|| caveat("unpaired", format!("Only runs of the same seed are pairs: {}.", all.join("; "))))
}

fn near_chance(rows: &[Row]) -> Option<Caveat> {
    let near: Vec<&Row> = rows.iter().filter(|row| row.near_chance == Some(true)).collect();
    let test = near.first()?.test?;
    let arms: Vec<String> = near.iter().map(|row| format!("{} ({:.1} %)", row.arm, row.accuracy)).collect();
    Some(caveat(
        "near-chance",
        format!(
            "Near chance: guessing gives {:.1} %, and below {:.1} % are {}. Such networks have hardly begun to learn: a difference \
             to one of them, established or not, says little about longer runs.",
            chance::guess(test),
            chance::bound(test),
            arms.join(", ")
        ),
    ))
}

fn many_tests(rows: &[Row]) -> Option<Caveat> {
    let tested = rows.iter().flat_map(|row| &row.differences).filter(|d| d.pairs >= LEAST_PAIRS).count();
    let at_least_one = 100.0 * (1.0 - (1.0 - LEVEL).powi(tested as i32));
    let text = format!(
        "{tested} differences were tested at 5 % each: where there is nothing to find, up to {at_least_one:.0} % of such tables \
         have at least one that looks established."
    );
    (tested > 1).then(|| caveat("many-tests", text))
}

/// The dense run is there to cost more; of the others one may have had more to spend than another.
fn unequal_costs(rows: &[Row], terms: &Terms, limits: Limits) -> Option<Caveat> {
    let cost = |row: &&Row| row.spent.cost();
    let limited = || rows.iter().filter(|row| row.arm.split(':').next() != Some("dense") && cost(row).is_finite());
    let least = limited().min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
    let most = limited().max_by(|a, b| cost(a).total_cmp(&cost(b)))?;
    let advice = match limits {
        Limits::Activation => " --budget makes them equal.",
        Limits::Seconds => " The limit was in seconds.",
        Limits::Fraction | Limits::Unknown => "",
    };
    let Terms { noun, whole, .. } = terms;
    let text = format!(
        "Costs differ: {} spent {:.1} % of the {noun} of {whole}, {} {:.1} %. What is between them is no difference at equal \
         cost.{advice}",
        least.arm,
        100.0 * cost(&least),
        most.arm,
        100.0 * cost(&most)
    );
    (cost(&most) > SAME_COST * cost(&least)).then(|| caveat("unequal-costs", text))
}

/// What is known of the runs of a comparison beside their results.
pub(super) struct Circumstances<'a> {
    /// Of each run: its arm, what it has left, and whether others ran beside it.
    pub(super) runs: Vec<(&'a str, &'a Summary, bool)>,
    pub(super) limits: Limits,
    /// Arms whose scoring was not charged.
    pub(super) free_scoring: &'a [String],
    pub(super) seeds_raised: bool,
    /// What policies say of themselves.
    pub(super) remarks: &'a [String],
}

/// What the circumstances of the runs say.
pub(super) fn of_runs(known: &Circumstances<'_>) -> Vec<Caveat> {
    let mut all: Vec<Caveat> = known.remarks.iter().map(|remark| caveat("remark", remark.clone())).collect();
    if !known.free_scoring.is_empty() {
        let arms = known.free_scoring.join(", ");
        let text = format!(
            "An ablation: scoring was counted and not charged to the budget of {arms}. No result at equal cost."
        );
        all.push(caveat("free-scoring", text));
    }
    if known.seeds_raised {
        let text = "Seeds were added after the first result: p no longer means what it says.";
        all.push(caveat("seeds-raised", text.into()));
    }
    all.extend(shared(known));
    let of = |value: fn(&Origin) -> Option<String>| {
        let value = |summary: &Summary| summary.origin.as_ref().and_then(value);
        known.runs.iter().map(|(arm, summary, _)| (*arm, value(summary))).collect::<Vec<_>>()
    };
    let program = |origin: &Origin| match &origin.version {
        Some(version) => Some(format!("{version} {}", origin.commit)),
        None => Some(origin.commit.clone()),
    };
    for (kind, what, values, so) in [
        ("programs", "programs", of(program), "a difference may be theirs."),
        (
            "devices",
            "devices",
            of(|origin| Some(origin.device.clone())),
            "they round differently, and differ in speed.",
        ),
        (
            "instruction-sets",
            "instruction sets",
            of(|origin| origin.instructions.clone()),
            "they round differently, and differ in speed.",
        ),
    ] {
        let found = differing(&values);
        all.extend(found.map(|list| caveat(kind, format!("The runs were made with different {what}: {list}: {so}"))));
    }
    all.extend(unknown(known));
    all
}

fn shared(known: &Circumstances<'_>) -> Option<Caveat> {
    let (all, shared) = (known.runs.len(), known.runs.iter().filter(|(_, _, shared)| *shared).count());
    let results = if known.limits == Limits::Seconds { " So are results under a limit in seconds." } else { "" };
    let text = format!(
        "{shared} of {all} runs were made while others ran: their seconds and joules are those of a shared machine.{results}"
    );
    (shared > 0).then(|| caveat("shared-machine", text))
}

/// What older summaries do not say cannot be compared.
fn unknown(known: &Circumstances<'_>) -> Option<Caveat> {
    let lacking = |is_lacking: fn(&Summary) -> bool| known.runs.iter().filter(|(_, run, _)| is_lacking(run)).count();
    let parts: Vec<String> = [
        (lacking(|run| run.origin.is_none()), "nothing of their program, device and data"),
        (
            lacking(|run| run.origin.as_ref().is_some_and(|origin| origin.evaluation.is_none())),
            "nothing of their test images",
        ),
        (lacking(|run| run.origin.as_ref().is_some_and(lacks_instructions)), "no instruction set"),
    ]
    .into_iter()
    .filter(|(runs, _)| *runs > 0)
    .map(|(runs, what)| format!("{runs} say {what}"))
    .collect();
    let text = format!(
        "Of the summaries of {} runs, made by older programs, {}: whether the runs of a pair agree in that could not be checked.",
        known.runs.len(),
        parts.join(", ")
    );
    (!parts.is_empty()).then(|| caveat("unknown-origin", text))
}

fn lacks_instructions(origin: &Origin) -> bool {
    origin.device == "flex" && origin.instructions.is_none()
}

/// `A (arms: runs), B (arms: runs)` where known values differ.
fn differing(values: &[(&str, Option<String>)]) -> Option<String> {
    let mut groups: Vec<(&str, Vec<&str>, usize)> = Vec::new();
    for (arm, value) in values.iter().filter_map(|(arm, value)| Some((*arm, value.as_deref()?))) {
        let group = match groups.iter_mut().position(|(other, ..)| *other == value) {
            Some(place) => &mut groups[place],
            None => {
                groups.push((value, Vec::new(), 0));
                let last = groups.len() - 1;
                &mut groups[last]
            }
        };
        group.2 += 1;
        if !group.1.contains(&arm) {
            group.1.push(arm);
        }
    }
    let runs = |n: usize| if n == 1 { "1 run".to_string() } else { format!("{n} runs") };
    let list = groups.iter().map(|(value, arms, n)| format!("{value} ({} of {})", runs(*n), arms.join(", ")));
    (groups.len() > 1).then(|| list.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use ast_core::TestSet;

    use super::*;
    use crate::compare::verdict::{Measured, Spent};

    fn terms() -> Terms {
        let whole = "a dense run of 4 epochs".to_string();
        Terms {
            result: "accuracy %".into(),
            unit: " points",
            decimals: 2,
            cost: "FLOPs of dense".into(),
            noun: "FLOPs",
            whole,
        }
    }

    fn rows(arms: &[(&str, f64, f64, &[u64])]) -> Vec<Row> {
        let test = Some(TestSet { samples: 500, classes: 10 });
        let run =
            |result: f64, cost: f64, seed: &u64| Measured { seed: *seed, result, spent: Spent::Other { cost }, test };
        let results: Vec<(String, Vec<Measured>)> = arms
            .iter()
            .map(|(arm, result, cost, seeds)| {
                (arm.to_string(), seeds.iter().map(|seed| run(*result, *cost, seed)).collect())
            })
            .collect();
        results.iter().map(|(arm, runs)| Row::of(arm, runs, &results)).collect()
    }

    fn kinds(rows: &[Row], limits: Limits) -> Vec<&'static str> {
        of_rows(rows, &terms(), limits).into_iter().map(|caveat| caveat.kind).collect()
    }

    #[test]
    fn each_is_said_where_it_holds_and_nowhere_else() {
        let (six, four): (&[u64], &[u64]) = (&[0, 1, 2, 3, 4, 5], &[0, 1, 2, 3]);
        let of = |arms: &[(&str, f64, f64, &[u64])]| kinds(&rows(arms), Limits::Fraction);
        assert_eq!(of(&[("random", 60.0, 0.25, six), ("ast", 61.0, 0.25, six)]), [""; 0]);
        assert_eq!(of(&[("random", 17.9, 0.25, six), ("ast", 21.5, 0.25, six)]), ["near-chance"]);
        assert_eq!(of(&[("random", 60.0, 0.25, six), ("ast", 61.0, 1.0, six)]), ["unequal-costs"]);
        assert_eq!(of(&[("random", 60.0, 0.25, six), ("dense", 61.0, 1.0, six)]), [""; 0]);
        assert_eq!(of(&[("ast", 61.0, 0.25, six)]), ["no-reference"]);
        assert_eq!(of(&[("random", 60.0, 0.25, four), ("ast", 61.0, 0.25, six)]), ["unpaired"]);
        let three = [("random", 60.0, 0.25, six), ("a", 61.0, 0.25, six), ("b", 61.0, 0.25, six)];
        assert_eq!(of(&three), ["many-tests"]);
    }

    #[test]
    fn a_budget_is_advised_where_there_is_none() {
        let rows = rows(&[("random", 60.0, 0.25, &[0]), ("ast", 61.0, 1.0, &[0])]);
        let text = |limits| of_rows(&rows, &terms(), limits).pop().unwrap().text;
        assert!(text(Limits::Activation).ends_with("--budget makes them equal."));
        assert!(!text(Limits::Fraction).contains("--budget"));
        assert!(text(Limits::Seconds).ends_with("The limit was in seconds."));
        assert!(
            text(Limits::Unknown)
                .starts_with("Costs differ: random spent 25.0 % of the FLOPs of a dense run of 4 epochs, ast 100.0 %.")
        );
    }

    #[test]
    fn values_that_differ_are_listed_with_their_arms() {
        let values = |all: &[(&'static str, &str)]| -> Vec<(&'static str, Option<String>)> {
            all.iter().map(|(arm, value)| (*arm, (!value.is_empty()).then(|| value.to_string()))).collect()
        };
        assert_eq!(differing(&values(&[("a", "x"), ("b", "x"), ("c", "")])), None);
        let mixed = differing(&values(&[("a", "x"), ("b", "y"), ("a", "x"), ("c", ""), ("b", "x")]));
        assert_eq!(mixed.unwrap(), "x (3 runs of a, b), y (1 run of b)");
    }
}
