//! Writes to standard output and error. Their reader may close them at any time.

use std::io::{self, Write};

use crate::failure::{Failure, Kind};

/// Text for a terminal: control characters, which names of files and classes may have, are shown and not obeyed.
fn tame(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// Prints a result. A reader that closes the pipe early (`ast scorers | head -1`) is not a failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    put(format!("{}\n", tame(text)).as_bytes()).map(drop)
}

/// Writes a part of a result at once. `false` if nobody reads it any more.
pub(crate) fn put(bytes: &[u8]) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(Kind::Io, format!("cannot write to standard output: {error}"))),
    }
}

/// A number of things whose plural ends in s: `1 run`, `2 runs`.
pub(crate) fn several(n: usize, thing: &str) -> String {
    format!("{n} {thing}{}", if n == 1 { "" } else { "s" })
}

/// A Markdown table, aligned so that it is readable as text. The first row is the header; all rows have the same number
/// of cells.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: Vec<String>| format!("|{}|\n", cells.join("|"));
    let padded = |row: &Vec<String>| row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:width$} ")).collect();
    let rule = line(widths.iter().map(|width| "-".repeat(width + 2)).collect());
    let mut lines: Vec<String> = rows.iter().map(|row| line(padded(row))).collect();
    lines.insert(lines.len().min(1), rule);
    lines.concat()
}

/// Breaks text into lines of at most `most` characters, between words.
pub(crate) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

/// Prints a message to standard error. Errors are ignored, so that training continues without a reader.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", tame(text));
}
