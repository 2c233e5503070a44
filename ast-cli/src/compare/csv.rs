//! A table of runs in a CSV file: its columns by name, an error with file and line.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::failure::{Failure, Kind, did_you_mean};

const COLUMNS: [&str; 4] = ["arm", "seed", "cost", "result"];
/// A line a run: that is thousands of comparisons.
const LARGEST_FILE: u64 = 1 << 24;
/// Sums and means of such numbers are numbers.
const LARGEST: f64 = 1e15;

/// One line of the file.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    pub(super) line: usize,
    pub(super) arm: String,
    pub(super) seed: u64,
    pub(super) cost: f64,
    pub(super) result: f64,
}

pub(super) fn read(file: &Path) -> Result<String, Failure> {
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
pub(super) fn parse(text: &str, origin: &str) -> Result<(Vec<Record>, Vec<String>), Failure> {
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
}
