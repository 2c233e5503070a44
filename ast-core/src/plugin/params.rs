use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The declaration of a parameter of a plugin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParamSpec {
    /// Its key in the configuration, e.g. `lambda` for `policy.lambda`.
    pub name: &'static str,
    /// One line: its effect and unit.
    pub summary: &'static str,
    /// Its type, range and default.
    pub kind: ParamKind,
}

/// Type, range and default of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParamKind {
    /// A number in `min..=max`; infinity is allowed if `max` is infinite.
    Number {
        /// The default. NaN stands for no default: read the parameter with [`Params::optional`].
        default: f64,
        /// Smallest value allowed.
        min: f64,
        /// Largest value allowed.
        max: f64,
    },
    /// An integer in `min..=max`. A number without a fraction, such as `2.0`, is accepted.
    Integer {
        /// The default.
        default: u32,
        /// Smallest value allowed.
        min: u32,
        /// Largest value allowed.
        max: u32,
    },
    /// One of several words; the first is the default.
    Choice(&'static [&'static str]),
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a parameter is a number or a word")]
pub enum ParamValue {
    /// A number.
    Number(f64),
    /// A word.
    Word(String),
}

impl From<f64> for ParamValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<i32> for ParamValue {
    fn from(number: i32) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for ParamValue {
    fn from(word: &str) -> Self {
        Self::Word(word.to_string())
    }
}

impl std::fmt::Display for ParamValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => f.write_str(&short(*number)),
            Self::Word(word) => write!(f, "\"{word}\""),
        }
    }
}

/// All declared parameters with checked values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params(BTreeMap<&'static str, ParamValue>);

/// An error about parameters.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParamError {
    /// The parameter is not declared.
    #[error("unknown parameter `{key}`; {}", if known.is_empty() { "it has no parameters".into() } else { format!("there are: {}", known.join(", ")) })]
    Unknown {
        /// The given key.
        key: String,
        /// The declared keys.
        known: Vec<&'static str>,
    },
    /// The value is out of range.
    #[error("`{key}` = {value} is not {allowed}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// The given value.
        value: ParamValue,
        /// The allowed values.
        allowed: String,
    },
    /// The plugin reads a parameter that it does not declare.
    #[error("the parameter `{0}` is used but not declared; this is a bug in the plugin")]
    Undeclared(&'static str),
}

impl Params {
    /// Checks the given values and fills in defaults.
    ///
    /// # Errors
    /// [`ParamError::Unknown`] or [`ParamError::OutOfRange`].
    pub fn resolve(specs: &[ParamSpec], given: &BTreeMap<String, ParamValue>) -> Result<Self, ParamError> {
        if let Some(key) = given.keys().find(|key| specs.iter().all(|spec| spec.name != key.as_str())) {
            let known = specs.iter().map(|spec| spec.name).collect();
            return Err(ParamError::Unknown { key: key.clone(), known });
        }
        specs
            .iter()
            .map(|spec| Ok((spec.name, spec.resolve(given.get(spec.name))?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The value of a number.
    ///
    /// # Errors
    /// [`ParamError::Undeclared`].
    pub fn number(&self, name: &'static str) -> Result<f64, ParamError> {
        match self.0.get(name) {
            Some(ParamValue::Number(number)) => Ok(*number),
            _ => Err(ParamError::Undeclared(name)),
        }
    }

    /// The value of an integer.
    ///
    /// # Errors
    /// [`ParamError::Undeclared`], also if the value has a fraction because it is declared as a number.
    pub fn integer(&self, name: &'static str) -> Result<u32, ParamError> {
        let number = self.number(name)?;
        // The conversion changes a number that has a fraction or is out of range.
        if f64::from(number as u32) == number { Ok(number as u32) } else { Err(ParamError::Undeclared(name)) }
    }

    /// The value of a number without a default; `None` if it is not given.
    ///
    /// # Errors
    /// [`ParamError::Undeclared`].
    pub fn optional(&self, name: &'static str) -> Result<Option<f64>, ParamError> {
        self.number(name).map(|number| (!number.is_nan()).then_some(number))
    }

    /// The value of a choice.
    ///
    /// # Errors
    /// [`ParamError::Undeclared`].
    pub fn word(&self, name: &'static str) -> Result<&str, ParamError> {
        match self.0.get(name) {
            Some(ParamValue::Word(word)) => Ok(word),
            _ => Err(ParamError::Undeclared(name)),
        }
    }

    /// The values as a map, for a configuration that gives the same parameters.
    #[must_use]
    pub fn given(&self) -> BTreeMap<String, ParamValue> {
        self.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
    }

    /// All parameters that have a value, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &ParamValue)> {
        let given = |value: &ParamValue| !matches!(value, ParamValue::Number(number) if number.is_nan());
        self.0.iter().map(|(name, value)| (*name, value)).filter(move |(_, value)| given(value))
    }
}

impl ParamSpec {
    fn resolve(&self, given: Option<&ParamValue>) -> Result<ParamValue, ParamError> {
        match (self.kind, given) {
            (ParamKind::Number { default, .. }, None) => Ok(ParamValue::Number(default)),
            (ParamKind::Integer { default, .. }, None) => Ok(ParamValue::Number(default.into())),
            (ParamKind::Choice(words), None) => Ok(ParamValue::Word(words.first().copied().unwrap_or("").into())),
            (ParamKind::Number { min, max, .. }, Some(ParamValue::Number(x))) if *x >= min && *x <= max => {
                Ok(ParamValue::Number(*x))
            }
            (ParamKind::Integer { min, max, .. }, Some(ParamValue::Number(x)))
                if x.fract() == 0.0 && *x >= min.into() && *x <= max.into() =>
            {
                Ok(ParamValue::Number(*x))
            }
            (ParamKind::Choice(words), Some(ParamValue::Word(word))) if words.contains(&word.as_str()) => {
                Ok(ParamValue::Word(word.clone()))
            }
            (kind, Some(value)) => {
                Err(ParamError::OutOfRange { key: self.name, value: value.clone(), allowed: kind.allowed() })
            }
        }
    }
}

impl ParamKind {
    /// Type and range in words, e.g. `a number in 0..=1` or `an integer in 1..=9`.
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Number { min: f64::MIN, max: f64::MAX, .. } => "a finite number".into(),
            Self::Number { min, max, .. } if max == f64::INFINITY => {
                format!("a number of at least {}, or inf", short(min))
            }
            Self::Number { min, max, .. } => format!("a number in {}..={}", short(min), short(max)),
            Self::Integer { min, max, .. } => format!("an integer in {min}..={max}"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }

    /// The default, as written in a configuration.
    #[must_use]
    pub fn default_text(self) -> String {
        match self {
            Self::Number { default, .. } if default.is_nan() => "none".into(),
            Self::Number { default, .. } => default.to_string(),
            Self::Integer { default, .. } => default.to_string(),
            Self::Choice(words) => words.first().copied().unwrap_or("").to_string(),
        }
    }
}

/// A number in short form: `0.1`, `1e308`.
pub(crate) fn short(number: f64) -> String {
    let size = number.abs();
    let plain = size == 0.0 || (1e-5..1e7).contains(&size) || !number.is_finite();
    if plain { number.to_string() } else { format!("{number:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[ParamSpec] = &[
        ParamSpec { name: "share", summary: "", kind: ParamKind::Number { default: 0.5, min: 0.0, max: 1.0 } },
        ParamSpec { name: "gate", summary: "", kind: ParamKind::Choice(&["randomised", "hard"]) },
        ParamSpec { name: "tau", summary: "", kind: ParamKind::Number { default: f64::NAN, min: 0.0, max: 9.0 } },
        ParamSpec { name: "every", summary: "", kind: ParamKind::Integer { default: 1, min: 1, max: 9 } },
        ParamSpec {
            name: "level",
            summary: "",
            kind: ParamKind::Number { default: 0.0, min: f64::MIN, max: f64::MAX },
        },
    ];

    fn given(key: &str, value: ParamValue) -> BTreeMap<String, ParamValue> {
        BTreeMap::from([(key.to_string(), value)])
    }

    #[test]
    fn missing_parameters_get_their_defaults() {
        let params = Params::resolve(SPECS, &given("share", ParamValue::Number(1.0))).unwrap();
        assert_eq!(params.number("share"), Ok(1.0));
        assert_eq!(params.word("gate"), Ok("randomised"));
        assert_eq!(params.number("gate"), Err(ParamError::Undeclared("gate")));
    }

    #[test]
    fn a_number_without_a_default_is_none_until_given() {
        let none = Params::resolve(SPECS, &BTreeMap::new()).unwrap();
        assert_eq!((none.optional("tau"), none.optional("share")), (Ok(None), Ok(Some(0.5))));
        assert!(none.iter().all(|(name, _)| name != "tau"), "a parameter without a value is not listed");
        let zero = Params::resolve(SPECS, &given("tau", ParamValue::Number(0.0))).unwrap();
        assert_eq!(zero.optional("tau"), Ok(Some(0.0)));
        assert_eq!(zero.optional("gate"), Err(ParamError::Undeclared("gate")));
    }

    #[test]
    fn errors_name_key_value_and_range() {
        let refuse = |key, value| Params::resolve(SPECS, &given(key, value)).unwrap_err().to_string();
        assert_eq!(
            refuse("sare", ParamValue::Number(1.0)),
            "unknown parameter `sare`; there are: share, gate, tau, every, level"
        );
        assert_eq!(refuse("share", ParamValue::Number(1.5)), "`share` = 1.5 is not a number in 0..=1");
        assert_eq!(refuse("share", ParamValue::Number(f64::NAN)), "`share` = NaN is not a number in 0..=1");
        assert_eq!(refuse("gate", ParamValue::Word("soft".into())), "`gate` = \"soft\" is not one of randomised, hard");
        assert_eq!(refuse("gate", ParamValue::Number(1.0)), "`gate` = 1 is not one of randomised, hard");
        assert_eq!(refuse("every", ParamValue::Number(1.5)), "`every` = 1.5 is not an integer in 1..=9");
        assert_eq!(refuse("every", ParamValue::Number(1e308)), "`every` = 1e308 is not an integer in 1..=9");
        assert_eq!(refuse("level", ParamValue::Number(f64::INFINITY)), "`level` = inf is not a finite number");
        let of_none = Params::resolve(&[], &given("lambda", ParamValue::Number(1.0))).unwrap_err().to_string();
        assert_eq!(of_none, "unknown parameter `lambda`; it has no parameters");
    }

    #[test]
    fn integers_are_read_as_integers() {
        let params = Params::resolve(SPECS, &given("every", ParamValue::Number(2.0))).unwrap();
        assert_eq!((params.integer("every"), params.number("every")), (Ok(2), Ok(2.0)));
        assert_eq!(params.integer("share"), Err(ParamError::Undeclared("share")), "a number may have a fraction");
    }

    #[test]
    fn numbers_are_printed_in_short_form() {
        let text = [0.0, 0.1, 65_536.0, -1.0, 1e308, 1e-9, f64::NAN, f64::INFINITY].map(short);
        assert_eq!(text, ["0", "0.1", "65536", "-1", "1e308", "1e-9", "NaN", "inf"]);
    }
}
