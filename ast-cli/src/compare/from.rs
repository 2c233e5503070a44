//! `--from results.csv`: the runs of any other program.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

use super::caveat::Limits;
use super::statistics::MOST_PAIRS;
use super::verdict::{Comparison, Measured, Spent, Terms};
use super::{FILES, begun::SEEDS};
use crate::failure::{Failure, Kind, did_you_mean};
use crate::output::note;

const COLUMNS: [&str; 4] = ["arm", "seed", "cost", "result"];
/// A line a run: that is thousands of comparisons.
const LARGEST_FILE: u64 = 1 << 24;
/// Sums and means of such numbers are numbers.
const LARGEST: f64 = 1e15;

/// One line of the file.
#[derive(Debug, PartialEq)]
struct Record {
    line: usize,
    arm: String,
    seed: u64,
    cost: f64,
    result: f64,
}

/// The table, the differences and what is to be known of them.
pub(super) fn comparison(file: &Path) -> Result<Comparison, Failure> {
    let origin = file.display().to_string();
    let (records, unused) = parse(&read(file)?, &origin)?;
    if !unused.is_empty() {
        note(&format!("{origin}: not used: {}", unused.join(", ")));
    }
    let arms = by_arm(records, &origin)?;
    let mean = |runs: &[Record]| runs.iter().map(|run| run.cost).sum::<f64>() / runs.len() as f64;
    let dense = arms.iter().find(|(arm, _)| arm == "dense");
    let dearest = || arms.iter().max_by(|(_, one), (_, two)| mean(one).total_cmp(&mean(two)));
    let Some((whole, runs)) = dense.or_else(dearest) else {
        return Err(Failure::new(Kind::Data, format!("{origin}: there is a header and no run")));
    };
    let cost = mean(runs);
    if cost <= 0.0 {
        return Err(Failure::new(
            Kind::Data,
            format!("{origin}: the cost of `{whole}`, which the others are a share of, must be above 0"),
        ));
    }
    let largest = arms.iter().flat_map(|(_, runs)| runs).map(|run| run.result.abs()).fold(0.0, f64::max);
    let terms = Terms {
        result: "result".into(),
        unit: "",
        decimals: decimals(largest),
        cost: if dense.is_some() { "cost of dense" } else { "cost of dearest" }.into(),
        noun: "cost",
        whole: if dense.is_some() { "`dense`".into() } else { format!("`{whole}`, the dearest") },
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

/// Refuses a folder that holds a comparison of another kind. The one that `--from` made is made again.
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

fn read(file: &Path) -> Result<String, Failure> {
    let origin = file.display();
    let cannot = |error: io::Error| Failure::new(Kind::Io, format!("cannot read {origin}: {error}"));
    if !fs::metadata(file).map_err(cannot)?.is_file() {
        // A pipe would be waited for, and a device has no end.
        return Err(Failure::new(Kind::Io, format!("cannot read {origin}: it is not a file")));
    }
    let mut bytes = Vec::new();
    File::open(file).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)).map_err(cannot)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Failure::new(
            Kind::Data,
            format!("{origin}: more than {LARGEST_FILE} bytes: that is no table of runs"),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Failure::new(Kind::Data, format!("{origin}, line {line}: it is not UTF-8 text"))
    })
}

/// The runs, and the names of columns that are not used.
fn parse(text: &str, origin: &str) -> Result<(Vec<Record>, Vec<String>), Failure> {
    let wrong = |line: usize, what: String| Failure::new(Kind::Data, format!("{origin}, line {line}: {what}"));
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, line)| !line.trim().is_empty());
    let expected = || format!("the first line names the columns, separated by commas: {}", COLUMNS.join(","));
    let Some((first, header)) = lines.next() else { return Err(wrong(1, format!("it is empty; {}", expected()))) };
    let header = fields(header).map_err(|what| wrong(first, what))?;
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let mut found = header.iter().enumerate().filter(|(_, name)| *name == column);
        match (found.next(), found.next()) {
            (Some((only, _)), None) => *place = only,
            (Some(_), Some(_)) => return Err(wrong(first, format!("the column `{column}` is there twice"))),
            (None, _) => {
                let others = header.iter().map(String::as_str).filter(|name| !COLUMNS.contains(name));
                let hint = others
                    .filter(|name| !did_you_mean(name, [column]).is_empty())
                    .map(|name| format!("; is it `{name}`?"));
                let hint = hint.take(1).collect::<String>();
                return Err(wrong(first, format!("there is no column `{column}`{hint}; {}", expected())));
            }
        }
    }
    let unused =
        header.iter().filter(|name| !COLUMNS.contains(&name.as_str())).map(|name| format!("`{name}`")).collect();

    let record = |(line, text): (usize, &str)| {
        let row = fields(text).map_err(|what| wrong(line, what))?;
        if row.len() != header.len() {
            return Err(wrong(line, format!("{} values for {} columns", row.len(), header.len())));
        }
        let [arm, seed, cost, result] = places.map(|place| row[place].as_str());
        if arm.is_empty() || arm.chars().any(char::is_control) {
            return Err(wrong(line, format!("`arm` = {arm:?} is no name")));
        }
        let number = |key: &str, text: &str| match text.parse::<f64>() {
            Ok(number) if number.abs() <= LARGEST => Ok(number),
            _ => Err(wrong(line, format!("`{key}` = {text:?} is not a number in -1e15..=1e15"))),
        };
        let integer = seed.parse::<u64>();
        let seed =
            integer.map_err(|_| wrong(line, format!("`seed` = {seed:?} is not a whole number of at least 0")))?;
        let (cost, result) = (number("cost", cost)?, number("result", result)?);
        if cost < 0.0 {
            return Err(wrong(line, format!("`cost` = {cost} is below 0")));
        }
        Ok(Record { line, arm: arm.to_string(), seed, cost, result })
    };
    Ok((lines.map(record).collect::<Result<_, _>>()?, unused))
}

/// The values of a line, separated by commas; one in quotes may hold commas, and quotes as two.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let (mut all, mut rest) = (Vec::new(), line);
    loop {
        rest = rest.trim_start();
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (field, after) = unquote(quoted)?;
                (field, after.trim_start())
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim_end().to_string(), &rest[end..])
            }
        };
        all.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(all),
            None => return Err(format!("after a closing quote stands {after:?} and no comma")),
        }
    }
}

/// What is before the closing quote, and what is behind it.
fn unquote(quoted: &str) -> Result<(String, &str), String> {
    let (mut field, mut rest) = (String::new(), quoted);
    loop {
        let (before, after) = rest.split_once('"').ok_or("a quote is not closed on its line")?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, after)),
        }
    }
}

/// The runs of each arm in the order of their seeds, the arms in the order of their first lines.
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
            let what = format!("`{arm}` with seed {seed} is there already, in line {}", other.line);
            return Err(Failure::new(Kind::Data, format!("{origin}, line {line}: {what}")));
        }
        if runs.len() == MOST_PAIRS {
            let Record { line, arm, .. } = record;
            let what = format!("`{arm}` has more than {MOST_PAIRS} seeds: p is exact, and cannot be had of more");
            return Err(Failure::new(Kind::Data, format!("{origin}, line {line}: {what}")));
        }
        runs.push(record);
    }
    arms.iter_mut().for_each(|(_, runs)| runs.sort_unstable_by_key(|run| run.seed));
    Ok(arms)
}

/// Decimals that show four digits of the largest result: 61.25, 0.6125.
fn decimals(largest: f64) -> usize {
    if largest > 0.0 { (3.0 - largest.log10().floor()).clamp(0.0, 12.0) as usize } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_values_may_be_quoted() {
        let text = "\u{feff}seed, result,note,arm,cost\r\n\r\n3, 61.5,,\"a \"\"b\"\", c\" ,2e3\r\n";
        let (records, unused) = parse(text, "r.csv").unwrap();
        assert_eq!(records, [Record { line: 3, arm: "a \"b\", c".into(), seed: 3, cost: 2000.0, result: 61.5 }]);
        assert_eq!(unused, ["`note`"]);
        assert_eq!(fields(",,").unwrap(), ["", "", ""]);
        assert!(fields("\"a\"b").is_err() && fields("\"a").is_err());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let parse = |text: &str| {
            parse(text, "r.csv").and_then(|(records, _)| by_arm(records, "r.csv")).unwrap_err().to_string()
        };
        let header = "arm,seed,cost,result\n";
        for (rest, expected) in [
            ("random,0,1\n", "r.csv, line 2: 3 values for 4 columns"),
            ("random,0,1,60\nrandom,0,1,61\n", "r.csv, line 3: `random` with seed 0 is there already, in line 2"),
            ("random,-1,1,60\n", "line 2: `seed` = \"-1\""),
            ("random,0.5,1,60\n", "line 2: `seed` = \"0.5\""),
            ("random,0,-1,60\n", "line 2: `cost` = -1 is below 0"),
            ("random,0,1,nan\n", "line 2: `result` = \"nan\" is not a number"),
            ("random,0,inf,60\n", "line 2: `cost` = \"inf\" is not a number"),
            ("random,0,1,\n", "line 2: `result` = \"\""),
            (",0,1,60\n", "line 2: `arm` = \"\" is no name"),
            ("\"random,0,1,60\n", "line 2: a quote is not closed"),
        ] {
            let message = parse(&format!("{header}{rest}"));
            assert!(message.contains(expected), "{message}");
        }
        assert!(parse("").contains("line 1: it is empty"));
        assert!(parse("\narm,seed,costs,result\n").contains("line 2: there is no column `cost`; is it `costs`?"));
        assert!(parse("arm;seed;cost;result\n").contains("separated by commas"));
        assert!(parse("arm,seed,seed,cost,result\n").contains("`seed` is there twice"));
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
