//! Caveats that follow from how the runs were made: programs, devices, a shared machine.

use ast_core::run::{Origin, Summary};

use super::caveat::{Caveat, Limits, caveat};
use crate::output::several;

/// How the runs of a comparison were made.
pub(super) struct Circumstances<'a> {
    /// Per run: its arm, its summary, and whether other runs shared the machine.
    pub(super) runs: Vec<(&'a str, &'a Summary, bool)>,
    pub(super) limits: Limits,
    /// Arms whose scoring was not charged.
    pub(super) free_scoring: &'a [String],
    pub(super) seeds_raised: bool,
    /// Warnings of the policies.
    pub(super) warnings: &'a [String],
}

/// Caveats that follow from how the runs were made.
pub(super) fn of_runs(known: &Circumstances<'_>) -> Vec<Caveat> {
    let mut all: Vec<Caveat> = known.warnings.iter().map(|warning| caveat("remark", warning.clone())).collect();
    if !known.free_scoring.is_empty() {
        let arms = known.free_scoring.join(", ");
        let text = format!(
            "An ablation: scoring was counted but not charged to the budget of {arms}. This is not a result at equal cost."
        );
        all.push(caveat("free-scoring", text));
    }
    if known.seeds_raised {
        let text = "Seeds were added after the first result: p is no longer valid.";
        all.push(caveat("seeds-raised", text.into()));
    }
    all.extend(shared(known));
    all.extend(merged(known));
    let of = |value: fn(&Origin) -> Option<String>| {
        let value = |summary: &Summary| summary.origin.as_ref().and_then(value);
        known.runs.iter().map(|(arm, summary, _)| (*arm, value(summary))).collect::<Vec<_>>()
    };
    let program = |origin: &Origin| match &origin.version {
        Some(version) => Some(format!("{version} {}", origin.commit)),
        None => Some(origin.commit.clone()),
    };
    for (kind, what, values, so) in [
        ("programs", "programs", of(program), "a difference may come from that."),
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
    let results =
        if known.limits == Limits::Seconds { " With a budget in seconds this affects the results too." } else { "" };
    let text = format!(
        "{shared} of {all} runs were made while others ran: their seconds and joules are those of a shared machine.{results}"
    );
    (shared > 0).then(|| caveat("shared-machine", text))
}

fn merged(known: &Circumstances<'_>) -> Option<Caveat> {
    let merged = known.runs.iter().filter(|(_, summary, _)| !summary.seconds.phases_apart).count();
    let text = format!(
        "In {merged} of {} runs the phases of a step were not timed apart: their overhead leaves out the scoring of the \
         steps. Their seconds are whole. With --set device.phase_times=on the overhead is whole as well.",
        known.runs.len()
    );
    (merged > 0).then(|| caveat("phase-times", text))
}

/// Origins that older programs did not record cannot be compared.
fn unknown(known: &Circumstances<'_>) -> Option<Caveat> {
    let lacking = |is_lacking: fn(&Summary) -> bool| known.runs.iter().filter(|(_, run, _)| is_lacking(run)).count();
    let parts: Vec<String> = [
        (lacking(|run| run.origin.is_none()), "program, device and data"),
        (lacking(|run| run.origin.as_ref().is_some_and(|origin| origin.evaluation.is_none())), "the test images"),
        (lacking(|run| run.origin.as_ref().is_some_and(lacks_instructions)), "the instruction set"),
    ]
    .into_iter()
    .filter(|(runs, _)| *runs > 0)
    .map(|(runs, what)| format!("{runs} lack {what}"))
    .collect();
    let text = format!(
        "Older programs recorded less: of {} summaries, {}. Whether the runs of a pair agree in that could not be checked.",
        known.runs.len(),
        parts.join(", ")
    );
    (!parts.is_empty()).then(|| caveat("unknown-origin", text))
}

fn lacks_instructions(origin: &Origin) -> bool {
    origin.device == "flex" && origin.instructions.is_none()
}

/// `A (runs of arms), B (runs of arms)`, if known values differ.
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
    let list = groups.iter().map(|(value, arms, n)| format!("{value} ({} of {})", several(*n, "run"), arms.join(", ")));
    (groups.len() > 1).then(|| list.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

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
