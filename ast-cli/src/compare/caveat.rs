//! Caveats of a comparison, shown in the table's text, the JSON and the picture.

use serde::Serialize;

use super::chance;
use super::statistics::LEAST_PAIRS;
use super::verdict::{LEVEL, REFERENCES, Row, SAME_COST, Terms};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Caveat {
    /// One word, for programs.
    pub(super) kind: &'static str,
    /// One or two sentences, for people.
    pub(super) text: String,
}

/// The kind of budget that the arms other than `dense` have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limits {
    /// Epochs and activation rate only: `--budget` can be advised.
    Activation,
    /// At least one has a share of the dense run's FLOPs.
    Fraction,
    /// At least one has a budget in seconds.
    Seconds,
    /// Not known: the runs are another program's.
    Unknown,
}

pub(super) fn caveat(kind: &'static str, text: String) -> Caveat {
    Caveat { kind, text }
}

/// Caveats that follow from the rows.
pub(super) fn of_rows(rows: &[Row], terms: &Terms, limits: Limits) -> Vec<Caveat> {
    let of_costs = [unknown_costs(rows, terms), unequal_costs(rows, terms, limits)];
    let others = [no_reference(rows), unpaired(rows), near_chance(rows), many_tests(rows)];
    others.into_iter().chain(of_costs).flatten().collect()
}

fn no_reference(rows: &[Row]) -> Option<Caveat> {
    let lacking = rows.iter().all(|row| !REFERENCES.contains(&row.arm.as_str()));
    let text = "No arm is `random` or `dense`: there is no reference to compare with.";
    lacking.then(|| caveat("no-reference", text.into()))
}

/// Seeds that an arm and its reference do not share. They are part of the mean, but of no difference.
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
            "Near chance: guessing gives {:.1} %, and these arms are below {:.1} %: {}. Such networks have hardly begun to learn, \
             so a difference to one of them, established or not, says little about longer runs.",
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
        "{tested} differences were tested at 5 % each: if none were real, up to {at_least_one:.0} % of such tables would still \
         have at least one that looks established."
    );
    (tested > 1).then(|| caveat("many-tests", text))
}

fn unknown_costs(rows: &[Row], terms: &Terms) -> Option<Caveat> {
    let unknown: Vec<&str> =
        rows.iter().filter(|row| !row.spent.cost().is_finite()).map(|row| row.arm.as_str()).collect();
    let text = format!(
        "What these arms spent is unknown: {}. Whether they had the same share of the {} of {} could not be checked.",
        unknown.join(", "),
        terms.noun,
        terms.whole
    );
    (!unknown.is_empty()).then(|| caveat("unknown-costs", text))
}

/// `dense` is expected to cost more. The other arms should cost the same.
fn unequal_costs(rows: &[Row], terms: &Terms, limits: Limits) -> Option<Caveat> {
    let cost = |row: &&Row| row.spent.cost();
    let limited = || rows.iter().filter(|row| row.arm.split(':').next() != Some("dense") && cost(row).is_finite());
    let least = limited().min_by(|a, b| cost(a).total_cmp(&cost(b)))?;
    let most = limited().max_by(|a, b| cost(a).total_cmp(&cost(b)))?;
    let advice = match limits {
        Limits::Activation => " --budget makes them equal.",
        Limits::Seconds => " The budget was in seconds.",
        Limits::Fraction | Limits::Unknown => "",
    };
    let Terms { noun, whole, .. } = terms;
    let text = format!(
        "Costs differ: {} spent {:.1} % of the {noun} of {whole}, {} {:.1} %. A difference between them is not one at equal \
         cost.{advice}",
        least.arm,
        100.0 * cost(&least),
        most.arm,
        100.0 * cost(&most)
    );
    (cost(&most) > SAME_COST * cost(&least)).then(|| caveat("unequal-costs", text))
}

#[cfg(test)]
mod tests {
    use ast_core::run::TestSet;

    use super::*;
    use crate::compare::measured::{Measured, Spent};

    fn terms() -> Terms {
        let whole = "a dense run of 4 epochs".to_string();
        Terms {
            result: "accuracy %".into(),
            lower_is_better: false,
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
    fn each_caveat_appears_exactly_where_it_applies() {
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

    /// So it is in runs of programs that counted otherwise.
    #[test]
    fn unknown_costs_are_not_taken_for_equal_ones() {
        let rows = rows(&[("random", 60.0, 0.1, &[0]), ("ast", 61.0, f64::NAN, &[0])]);
        let caveats = of_rows(&rows, &terms(), Limits::Activation);
        let [caveat] = &caveats[..] else { panic!("{caveats:?}") };
        assert_eq!(caveat.kind, "unknown-costs");
        assert!(caveat.text.starts_with("What these arms spent is unknown: ast."), "{}", caveat.text);
    }

    #[test]
    fn a_budget_is_advised_where_there_is_none() {
        let rows = rows(&[("random", 60.0, 0.25, &[0]), ("ast", 61.0, 1.0, &[0])]);
        let text = |limits| of_rows(&rows, &terms(), limits).pop().unwrap().text;
        assert!(text(Limits::Activation).ends_with("--budget makes them equal."));
        assert!(!text(Limits::Fraction).contains("--budget"));
        assert!(text(Limits::Seconds).ends_with("The budget was in seconds."));
        assert!(
            text(Limits::Unknown)
                .starts_with("Costs differ: random spent 25.0 % of the FLOPs of a dense run of 4 epochs, ast 100.0 %.")
        );
    }
}
