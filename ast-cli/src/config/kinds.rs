//! Checks the type and range of values before they are read, with messages for people.

use ast_core::run::{NUMBERS, NumberRange, NumberSpec};
use toml::{Table, Value};

use super::{known_keys, leaves};
use crate::failure::{Failure, did_you_mean};

/// Number of characters of a value that a message shows.
const SHOWN: usize = 60;

/// Checks that every value of a table has its key's type, and every number its range. The keys must exist.
pub(super) fn check(table: &Table) -> Result<(), Failure> {
    let known = known_keys();
    for (section, keys) in table {
        for (key, value) in keys.as_table().into_iter().flatten() {
            let path = format!("{section}.{key}");
            let example = known.get(section).and_then(|keys| keys.get(key));
            check_value(&path, value, example)?;
        }
    }
    Ok(())
}

/// `example` is a valid value of the key; there is none for parameters.
fn check_value(path: &str, value: &Value, example: Option<&Value>) -> Result<(), Failure> {
    let number = NUMBERS.iter().find(|number| number.key == path);
    let range = number.map(|number| number.range);
    let (fits, allowed) = match (number, example) {
        (Some(number), _) => (is_allowed(number, value), number.allowed()),
        (None, Some(Value::Boolean(_))) => (value.is_bool(), "true or false".into()),
        (None, Some(_)) => (value.is_str(), "a text".into()),
        (None, None) => (value.is_str() || value.is_integer() || value.is_float(), "a number or a word".into()),
    };
    if !fits && example.is_none() {
        // No parameter has such a value: the key may be a slip.
        let paths: Vec<String> = leaves(&known_keys()).into_iter().map(|(path, _)| path).collect();
        let hint = did_you_mean(path, paths.iter().map(String::as_str));
        return Err(Failure::usage(format!("`{path}` = {} is not {allowed}{hint}", shown(value))));
    }
    match fits {
        true => Ok(()),
        false => Err(Failure::usage(format!("`{path}` = {} is not {allowed}{}", shown(value), advice(range, value)))),
    }
}

/// Whether a value is a number in its range, or a list of such numbers.
fn is_allowed(number: &NumberSpec, value: &Value) -> bool {
    match value {
        Value::Array(values) if number.is_list() => values.iter().all(|value| is_in(number.range, value)),
        value => !number.is_list() && is_in(number.range, value),
    }
}

fn is_in(range: NumberRange, value: &Value) -> bool {
    match (range, value) {
        (NumberRange::Integer { min, max }, Value::Integer(value)) => (min..=max).contains(value),
        (NumberRange::Integer { .. }, _) => false,
        (_, Value::Integer(value)) => range.contains(*value as f64),
        (_, value) => value.as_float().is_some_and(|value| range.contains(value)),
    }
}

/// How to fix an integer that is written as a float.
fn advice(range: Option<NumberRange>, value: &Value) -> String {
    match (range, value) {
        (Some(range @ NumberRange::Integer { .. }), Value::Float(value)) if range.contains(*value) => {
            format!(": write {value:.0}, without point and exponent")
        }
        _ => String::new(),
    }
}

/// The value in TOML, shortened if long.
fn shown(value: &Value) -> String {
    let text = match value {
        // Without an exponent, 1e308 would have 309 digits.
        Value::Float(value) if value.abs() >= 1e15 => format!("{value:e}"),
        value => value.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(assignment: &str) -> String {
        check(&super::super::layers::of_assignment(assignment).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_names_key_value_and_what_is_allowed() {
        for (assignment, message) in [
            ("train.lr=abc", "`train.lr` = \"abc\" is not a number in (0, 1e30]"),
            ("train.lr=1e308", "`train.lr` = 1e308 is not a number in (0, 1e30]"),
            ("train.epochs=1.5", "`train.epochs` = 1.5 is not an integer in 1..=1000000"),
            (
                "train.epochs=1e3",
                "`train.epochs` = 1000.0 is not an integer in 1..=1000000: write 1000, without point and exponent",
            ),
            ("train.epochs=-1", "`train.epochs` = -1 is not an integer in 1..=1000000"),
            ("train.sizes=32", "`train.sizes` = 32 is not a list, each an integer in 4..=65536"),
            ("train.sizes=[20, 3]", "`train.sizes` = [20, 3] is not a list, each an integer in 4..=65536"),
            ("train.size_shares=[0.5, 1.5]", "`train.size_shares` = [0.5, 1.5] is not a list, each a number in (0, 1]"),
            ("train.epochs=[3]", "`train.epochs` = [3] is not an integer in 1..=1000000"),
            ("data.augment=1", "`data.augment` = 1 is not true or false"),
            ("model.name=3", "`model.name` = 3 is not a text"),
            ("data.augmnt=true", "`data.augmnt` = true is not a number or a word; did you mean `data.augment`?"),
            ("policy.lambda=[0.5]", "`policy.lambda` = [0.5] is not a number or a word"),
            ("policy.name={}", "`policy.name` = {} is not a text"),
        ] {
            assert_eq!(refused(assignment), message);
        }
        assert!(refused(&format!("train.lr={}", "x".repeat(5000))).len() < 200);
    }

    /// docs/configuration.md lists exactly the keys that exist, with defaults and ranges.
    #[test]
    fn the_documentation_has_every_key() {
        let page = include_str!("../../../docs/configuration.md");
        let defaults = Table::try_from(ast_core::run::RunConfig::default()).unwrap();
        let mut keys = 0;
        for (section, inner) in known_keys() {
            for (key, example) in inner.as_table().unwrap() {
                let path = format!("{section}.{key}");
                let default = defaults.get(&section).and_then(|keys| keys.get(key));
                let default = default.map_or("none".to_string(), |value| format!("`{value}`"));
                let range = NUMBERS.iter().find(|number| number.key == path).map(NumberSpec::allowed);
                let allowed = range.unwrap_or(if example.is_bool() { "true or false".into() } else { String::new() });
                let row = format!("| `{path}` | {default} | {allowed}");
                assert!(page.contains(&row), "{row}");
                keys += 1;
            }
        }
        assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), keys);
    }

    /// A number without a range would be read unchecked.
    #[test]
    fn every_number_of_the_configuration_has_a_range() {
        let mut numbers = Vec::new();
        for (section, keys) in known_keys() {
            for (key, value) in keys.as_table().unwrap() {
                let path = format!("{section}.{key}");
                let number = NUMBERS.iter().find(|number| number.key == path);
                let range = number.map(|number| number.range);
                assert!(number.is_none_or(|number| number.is_list() == value.is_array()), "{path}");
                match value.as_array().map_or(value, |list| &list[0]) {
                    Value::Integer(_) => assert!(matches!(range, Some(NumberRange::Integer { .. })), "{path}"),
                    Value::Float(_) => {
                        assert!(range.is_some_and(|r| !matches!(r, NumberRange::Integer { .. })), "{path}")
                    }
                    _ => assert!(range.is_none(), "{path}"),
                }
                numbers.extend(range.map(|_| path));
            }
        }
        assert_eq!(numbers.len(), NUMBERS.len(), "a range must belong to an existing key");
    }
}
