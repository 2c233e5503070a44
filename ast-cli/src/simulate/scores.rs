//! Reads recorded scores: one number per line.

use std::path::Path;

use super::MOST_SCORES;
use crate::failure::{Failure, Kind};
use crate::input;

/// Upper bound for the file size: a score has at most about twenty digits.
const LARGEST_FILE: u64 = 32 * MOST_SCORES as u64;

pub(super) fn read(path: &Path) -> Result<Vec<f32>, Failure> {
    let origin = path.display();
    let enough = format!("; at most {MOST_SCORES} scores, one per line");
    let bytes = input::read(path, LARGEST_FILE, Kind::Data, &enough)?;
    let wrong = |problem: &str| Failure::new(Kind::Data, format!("{origin}: {problem}"));
    let scores = parse(&bytes).map_err(|problem| wrong(&problem))?;
    match scores.len() {
        0 => Err(wrong("it is empty; write one score per line")),
        n if n > MOST_SCORES => Err(wrong(&format!("{n} scores, more than {MOST_SCORES}; remove some"))),
        _ => Ok(scores),
    }
}

/// Parses the scores. The error names the line, counted from 1.
fn parse(bytes: &[u8]) -> Result<Vec<f32>, String> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let score = |(number, line): (usize, &[u8])| {
        let text = String::from_utf8_lossy(line.trim_ascii());
        match text.parse::<f32>() {
            Ok(score) if score.is_finite() => Ok(score),
            Ok(_) => Err(format!("line {}: `{}` is not a finite number", number + 1, shown(&text))),
            Err(_) if text.is_empty() => Err(format!("line {}: it is empty; write one score per line", number + 1)),
            Err(_) => Err(format!("line {}: `{}` is not a number", number + 1, shown(&text))),
        }
    };
    bytes.split(|byte| *byte == b'\n').enumerate().map(score).collect()
}

/// The start of a line, for an error message. Characters that could control the terminal are replaced.
fn shown(text: &str) -> String {
    text.chars().take(30).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_per_line() {
        assert_eq!(parse(b"1\n-2.5e-1\r\n  3\n").unwrap(), [1.0, -0.25, 3.0]);
        assert_eq!(parse(b"7").unwrap(), [7.0]);
        assert!(parse(b"").unwrap().is_empty() && parse(b"\n").unwrap().is_empty());
    }

    #[test]
    fn errors_name_the_line() {
        for (text, problem) in [
            (&b"1\nx1\n"[..], "line 2: `x1` is not a number"),
            (b"1\n\n2\n", "line 2: it is empty"),
            (b"nan\n", "line 1: `nan` is not a finite number"),
            (b"1\n1\n-inf", "line 3: `-inf` is not a finite number"),
            (b"1e39\n", "line 1: `1e39` is not a finite number"),
            (b"1\n2 3\n", "line 2: `2 3` is not a number"),
            (b"1\n\xff\x1b[2J\n", "line 2: `\u{fffd}?[2J` is not a number"),
        ] {
            let got = parse(text).unwrap_err();
            assert!(got.starts_with(problem), "{got}");
        }
    }
}
