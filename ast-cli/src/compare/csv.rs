//! A CSV table of runs: columns are found by name, errors name file and line.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::failure::{Failure, Kind, did_you_mean};
use crate::input;

const COLUMNS: [&str; 4] = ["arm", "seed", "cost", "result"];
/// Upper bound for the size of the file: enough for thousands of comparisons.
const LARGEST_FILE: u64 = 1 << 24;
/// Upper bound for numbers, so that sums and means stay finite.
const LARGEST: f64 = 1e15;

/// One line of the file.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) arm: String,
    pub(super) seed: u64,
    pub(super) cost: f64,
    pub(super) result: f64,
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    input::read(file, LARGEST_FILE, Kind::Data, ": too large for a table of runs")
}

/// The runs, and the names of unused columns.
pub(super) fn parse(text: &[u8], origin: &str) -> Result<(Vec<Record>, Vec<String>), Failure> {
    let wrong = |line: u64, what: String| Failure::new(Kind::Data, format!("{origin}, line {line}: {what}"));
    let mut lines = Lines { text, byte: 0, line: 1 };
    let unreadable = |error: csv::Error, lines: &mut Lines<'_>| {
        let what = match error.kind() {
            csv::ErrorKind::Utf8 { .. } => "it is not UTF-8 text".into(),
            _ => error.to_string(),
        };
        wrong(lines.of(error.position()), what)
    };
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(text);
    let mut records = reader.records();
    let expected = || format!("the first line names the columns, separated by commas: {}", COLUMNS.join(","));
    let Some(header) = records.next() else { return Err(wrong(1, format!("the file is empty; {}", expected()))) };
    let header = header.map_err(|error| unreadable(error, &mut lines))?;
    let first = lines.of(header.position());
    let places = places(&header).map_err(|what| wrong(first, format!("{what}; {}", expected())))?;
    let unused = header.iter().filter(|name| !COLUMNS.contains(name)).map(|name| format!("`{name}`")).collect();

    let record = |row: Result<StringRecord, csv::Error>| {
        let row = row.map_err(|error| unreadable(error, &mut lines))?;
        let line = lines.of(row.position());
        if row.len() != header.len() {
            return Err(wrong(line, format!("{} values for {} columns", row.len(), header.len())));
        }
        let [arm, seed, cost, result] = places.map(|place| row.get(place).unwrap_or_default());
        if arm.is_empty() || arm.chars().any(char::is_control) {
            return Err(wrong(line, format!("`arm` = {arm:?} is not a valid name")));
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
    Ok((records.map(record).collect::<Result<_, _>>()?, unused))
}

/// Line numbers of records, which must be asked for in order. The reader's own position is the end of the record
/// before: a line feed after a carriage return, or empty lines, may still follow.
struct Lines<'a> {
    text: &'a [u8],
    byte: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let at = position.map_or(0, |position| position.byte() as usize).min(self.text.len());
        let ends = self.text[at..].iter().take_while(|byte| b"\r\n".contains(byte)).count();
        let passed = self.text.get(self.byte..at + ends).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.byte = at + ends;
        self.line
    }
}

/// The index of each of [`COLUMNS`].
fn places(header: &StringRecord) -> Result<[usize; COLUMNS.len()], String> {
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        let mut found = header.iter().enumerate().filter(|(_, name)| *name == column);
        match (found.next(), found.next()) {
            (Some((only, _)), None) => *place = only,
            (Some(_), Some(_)) => return Err(format!("the column `{column}` appears twice")),
            (None, _) => {
                let mut others = header.iter().filter(|name| !COLUMNS.contains(name));
                let near = others.find(|name| !did_you_mean(name, [column]).is_empty());
                let hint = near.map(|name| format!("; is it `{name}`?")).unwrap_or_default();
                return Err(format!("there is no column `{column}`{hint}"));
            }
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_values_may_be_quoted() {
        let text = "\u{feff}seed, result,note,arm,cost\r\n\r\n3, 61.5,,\"a \"\"b\"\", c\",2e3\r\n";
        let (records, unused) = parse(text.as_bytes(), "r.csv").unwrap();
        assert_eq!(records, [Record { line: 3, arm: "a \"b\", c".into(), seed: 3, cost: 2000.0, result: 61.5 }]);
        assert_eq!(unused, ["`note`"]);
    }
}
