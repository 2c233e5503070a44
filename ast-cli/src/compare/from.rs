//! `--from results.csv`: a comparison of another program's runs.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::caveat::Limits;
use super::comparison::Comparison;
use super::csv::{Record, parse, read};
use super::measured::{Measured, Spent};
use super::statistics::MOST_PAIRS;
use super::verdict::Terms;
use super::{FILES, begun::SEEDS};
use crate::failure::{Failure, Kind};
use crate::output::note;

/// The comparison of the runs in a file.
pub(super) fn comparison(file: &Path) -> Result<Comparison, Failure> {
    let origin = file.display().to_string();
    let (records, unused) = parse(&read(file)?, &origin)?;
    if !unused.is_empty() {
        note(&format!("{origin}: not used: {}", unused.join(", ")));
    }
    let arms = by_arm(records, &origin)?;
    let mean = |runs: &[Record]| runs.iter().map(|run| run.cost).sum::<f64>() / runs.len() as f64;
    let dense = arms.iter().find(|(arm, _)| arm == "dense");
    let costliest = || arms.iter().max_by(|(_, one), (_, two)| mean(one).total_cmp(&mean(two)));
    let Some((whole, runs)) = dense.or_else(costliest) else {
        return Err(Failure::new(Kind::Data, format!("{origin}: there are no runs after the header")));
    };
    let cost = mean(runs);
    if cost <= 0.0 {
        return Err(Failure::new(
            Kind::Data,
            format!("{origin}: the cost of `{whole}`, to which the other costs are compared, must be above 0"),
        ));
    }
    let largest = arms.iter().flat_map(|(_, runs)| runs).map(|run| run.result.abs()).fold(0.0, f64::max);
    let terms = Terms {
        result: "result".into(),
        lower_is_better: false,
        unit: "",
        decimals: decimals(largest),
        cost: if dense.is_some() { "cost of dense" } else { "cost of costliest" }.into(),
        noun: "cost",
        whole: if dense.is_some() { "`dense`".into() } else { format!("`{whole}`, the costliest arm") },
    };
    let measured = |run: &Record| Measured {
        seed: run.seed,
        result: run.result,
        spent: Spent::Other { cost: run.cost / cost },
        test: None,
    };
    let results: Vec<(String, Vec<Measured>)> =
        arms.iter().map(|(arm, runs)| (arm.clone(), runs.iter().map(measured).collect())).collect();
    let comparison = Comparison::of(&results, terms, Limits::Unknown, Vec::new());
    Ok(Comparison { from: Some(origin), ..comparison })
}

/// Refuses a folder that holds another kind of comparison. One made by `--from` is overwritten.
pub(super) fn may_write(out: &Path) -> Result<(), Failure> {
    let made = fs::read_to_string(out.join(FILES[1])).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let ours = made.is_some_and(|json| json["from"].is_string());
    let another = out.join(SEEDS).exists() || (!ours && FILES.iter().any(|name| out.join(name).exists()));
    if another {
        let message =
            format!("{} holds another comparison; name another folder with --out, nothing was changed", out.display());
        return Err(Failure::new(Kind::Create, message));
    }
    Ok(())
}

/// The runs of each arm, sorted by seed; the arms in order of appearance.
fn by_arm(records: Vec<Record>, origin: &str) -> Result<Vec<(String, Vec<Record>)>, Failure> {
    let mut arms: Vec<(String, Vec<Record>)> = Vec::new();
    for record in records {
        let place = arms.iter().position(|(arm, _)| *arm == record.arm).unwrap_or_else(|| {
            arms.push((record.arm.clone(), Vec::new()));
            arms.len() - 1
        });
        let runs = &mut arms[place].1;
        if let Some(other) = runs.iter().find(|other| other.seed == record.seed) {
            let Record { line, arm, seed, .. } = record;
            let what = format!("`{arm}` with seed {seed} is already in line {}", other.line);
            return Err(Failure::new(Kind::Data, format!("{origin}, line {line}: {what}")));
        }
        if runs.len() == MOST_PAIRS {
            let Record { line, arm, .. } = record;
            let what = format!("`{arm}` has more than {MOST_PAIRS} seeds, too many for the exact p");
            return Err(Failure::new(Kind::Data, format!("{origin}, line {line}: {what}")));
        }
        runs.push(record);
    }
    arms.iter_mut().for_each(|(_, runs)| runs.sort_unstable_by_key(|run| run.seed));
    Ok(arms)
}

/// Number of decimals that show four digits of the largest result: 61.25, 0.6125.
fn decimals(largest: f64) -> usize {
    if largest > 0.0 { (3.0 - largest.log10().floor()).clamp(0.0, 12.0) as usize } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_their_line() {
        let parse = |text: &str| {
            parse(text.as_bytes(), "r.csv").and_then(|(records, _)| by_arm(records, "r.csv")).unwrap_err().to_string()
        };
        let header = "arm,seed,cost,result\n";
        for (rest, expected) in [
            ("random,0,1\n", "r.csv, line 2: 3 values for 4 columns"),
            ("random,0,1,60\nrandom,0,1,61\n", "r.csv, line 3: `random` with seed 0 is already in line 2"),
            ("random,-1,1,60\n", "line 2: `seed` = \"-1\""),
            ("random,0.5,1,60\n", "line 2: `seed` = \"0.5\""),
            ("random,0,-1,60\n", "line 2: `cost` = -1 is below 0"),
            ("random,0,1,nan\n", "line 2: `result` = \"nan\" is not a number"),
            ("random,0,inf,60\n", "line 2: `cost` = \"inf\" is not a number"),
            ("random,0,1,\n", "line 2: `result` = \"\""),
            (",0,1,60\n", "line 2: `arm` = \"\" is not a valid name"),
            ("\"random,0,1,60\n", "line 2: 1 values for 4 columns"),
        ] {
            let message = parse(&format!("{header}{rest}"));
            assert!(message.contains(expected), "{message}");
        }
        assert!(parse("").contains("line 1: the file is empty"));
        assert!(parse("\narm,seed,costs,result\n").contains("line 2: there is no column `cost`; is it `costs`?"));
        assert!(parse("arm;seed;cost;result\n").contains("separated by commas"));
        assert!(parse("arm,seed,seed,cost,result\n").contains("`seed` appears twice"));
        let many: String = (0..21).map(|seed| format!("random,{seed},1,60\n")).collect();
        assert!(parse(&format!("{header}{many}")).contains("line 22: `random` has more than 20 seeds"));
    }

    #[test]
    fn small_results_keep_their_digits() {
        for (largest, expected) in [(0.0, 2), (61.25, 2), (0.6125, 4), (0.003, 6), (12_345.0, 0)] {
            assert_eq!(decimals(largest), expected, "{largest}");
        }
    }
}
