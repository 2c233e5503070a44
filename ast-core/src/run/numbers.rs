//! The range of every number in the configuration: one table for checks, messages and documentation.

use crate::plugin::short;
use crate::run::config::{ConfigError, RunConfig};

/// A number of the configuration and its range.
#[derive(Debug, Clone, Copy)]
pub struct NumberSpec {
    /// Its key, e.g. `train.lr`.
    pub key: &'static str,
    /// The range of its values.
    pub range: NumberRange,
    read: Read,
}

/// Reads a number from a configuration; `None` or an empty list if it is not set.
#[derive(Debug, Clone, Copy)]
enum Read {
    One(ReadOne),
    List(fn(&RunConfig) -> Vec<f64>),
}

/// The range of a number. NaN and infinity are in no range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NumberRange {
    /// An integer in `min..=max`.
    Integer {
        /// Smallest value allowed.
        min: i64,
        /// Largest value allowed.
        max: i64,
    },
    /// A number in `0..=max`.
    FromZero {
        /// Largest value allowed.
        max: f64,
    },
    /// A number in `min..=max`.
    Within {
        /// Smallest value allowed.
        min: f64,
        /// Largest value allowed.
        max: f64,
    },
    /// A number in `(0, max]`.
    AboveZero {
        /// Largest value allowed.
        max: f64,
    },
}

/// Every number of the configuration. The upper bounds are generous: they catch typing errors and values that cannot be
/// computed with.
pub const NUMBERS: &[NumberSpec] = &[
    integer("data.train_limit", 1, 100_000_000, |c| c.data.train_limit.map(|n| n as f64)),
    integer("data.validation", 1, 100_000_000, |c| c.data.validation.map(|n| n as f64)),
    from_zero("data.label_noise", 1.0, |c| Some(c.data.label_noise)),
    integer("data.shift", 0, 16, |c| Some(c.data.shift as f64)),
    list(NumberRange::Within { min: -1e6, max: 1e6 }, "data.mean", |c| c.data.mean.iter().flatten().copied().collect()),
    list(NumberRange::AboveZero { max: 1e6 }, "data.deviation", |c| {
        c.data.deviation.iter().flatten().copied().collect()
    }),
    integer("data.workers", 0, 256, |c| Some(c.data.workers as f64)),
    from_zero("policy.warmup", 1.0, |c| Some(c.policy.warmup)),
    above_zero("control.target", 1.0, |c| c.control.target),
    from_zero("control.kp", 1e6, |c| Some(c.control.kp)),
    above_zero("control.ki", 1e6, |c| Some(c.control.ki)),
    above_zero("control.ema", 1.0, |c| Some(c.control.ema)),
    above_zero("budget.fraction", 1.0, |c| c.budget.fraction),
    // About thirty years.
    above_zero("budget.seconds", 1e9, |c| c.budget.seconds),
    integer("train.epochs", 1, 1_000_000, |c| Some(c.train.epochs.into())),
    integer("train.batch_size", 1, 65_536, |c| Some(c.train.batch_size as f64)),
    // Far below 3.4e38, the largest number that the optimizer can hold.
    above_zero("train.lr", 1e30, |c| Some(c.train.lr)),
    from_zero("train.warm_up", 1.0, |c| Some(c.train.warm_up)),
    from_zero("train.lr_start", 1.0, |c| Some(c.train.lr_start)),
    from_zero("train.lr_end", 1.0, |c| Some(c.train.lr_end)),
    from_zero("train.label_smoothing", 1.0, |c| Some(c.train.label_smoothing)),
    above_zero("train.clip_norm", 1e30, |c| c.train.clip_norm),
    integer("train.seed", 0, i64::MAX, |c| Some(c.train.seed as f64)),
    list(NumberRange::Integer { min: 4, max: 65_536 }, "train.sizes", |c| {
        c.train.sizes.iter().flatten().map(|size| f64::from(*size)).collect()
    }),
    list(NumberRange::AboveZero { max: 1.0 }, "train.size_shares", |c| {
        c.train.size_shares.iter().flatten().copied().collect()
    }),
    integer("eval.every_epochs", 0, 1_000_000, |c| Some(c.eval.every_epochs.into())),
    integer("checkpoint.every_steps", 0, 1_000_000_000_000, |c| Some(c.checkpoint.every_steps as f64)),
    // Almost two years.
    from_zero("checkpoint.every_minutes", 1e6, |c| Some(c.checkpoint.every_minutes)),
    integer("checkpoint.keep", 1, 1_000_000, |c| Some(c.checkpoint.keep as f64)),
    integer("device.threads", 0, 4096, |c| Some(c.device.threads as f64)),
];

type ReadOne = fn(&RunConfig) -> Option<f64>;

const fn integer(key: &'static str, min: i64, max: i64, read: ReadOne) -> NumberSpec {
    NumberSpec { key, range: NumberRange::Integer { min, max }, read: Read::One(read) }
}

const fn list(range: NumberRange, key: &'static str, read: fn(&RunConfig) -> Vec<f64>) -> NumberSpec {
    NumberSpec { key, range, read: Read::List(read) }
}

const fn from_zero(key: &'static str, max: f64, read: ReadOne) -> NumberSpec {
    NumberSpec { key, range: NumberRange::FromZero { max }, read: Read::One(read) }
}

const fn above_zero(key: &'static str, max: f64, read: ReadOne) -> NumberSpec {
    NumberSpec { key, range: NumberRange::AboveZero { max }, read: Read::One(read) }
}

impl NumberSpec {
    /// Whether the key holds a list of such numbers.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self.read, Read::List(_))
    }

    /// The allowed values in words, e.g. `an integer in 1..=65536`, or `a list, each an integer in 4..=65536`.
    #[must_use]
    pub fn allowed(&self) -> String {
        if self.is_list() { format!("a list, each {}", self.range) } else { self.range.to_string() }
    }

    /// Checks that the number in `config`, if it is set, is in its range.
    pub(crate) fn check(&self, config: &RunConfig) -> Result<(), ConfigError> {
        let values = match self.read {
            Read::One(read) => read(config).into_iter().collect(),
            Read::List(read) => read(config),
        };
        match values.into_iter().find(|value| !self.range.contains(*value)) {
            Some(value) => Err(ConfigError::OutOfRange { key: self.key, value, allowed: self.range.to_string() }),
            None => Ok(()),
        }
    }
}

impl NumberRange {
    /// Whether `value` is in the range.
    #[must_use]
    pub fn contains(self, value: f64) -> bool {
        match self {
            Self::Integer { min, max } => value.fract() == 0.0 && value >= min as f64 && value <= max as f64,
            Self::FromZero { max } => value >= 0.0 && value <= max,
            Self::Within { min, max } => value >= min && value <= max,
            Self::AboveZero { max } => value > 0.0 && value <= max,
        }
    }
}

/// The range in words, e.g. `an integer in 1..=65536`.
impl std::fmt::Display for NumberRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Integer { min, max } => write!(f, "an integer in {min}..={max}"),
            Self::FromZero { max } => write!(f, "a number in 0..={}", short(max)),
            Self::Within { min, max } => write!(f, "a number in {}..={}", short(min), short(max)),
            Self::AboveZero { max } => write!(f, "a number in (0, {}]", short(max)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_include_their_ends_and_show_them() {
        let cases = [
            (NumberRange::Integer { min: 1, max: 9 }, [1.0, 9.0], [0.0, 1.5], "an integer in 1..=9"),
            (NumberRange::FromZero { max: 1.0 }, [0.0, 1.0], [-1e-9, 1.1], "a number in 0..=1"),
            (NumberRange::Within { min: -1e6, max: 1.0 }, [-1e6, 1.0], [-1e7, 1.1], "a number in -1000000..=1"),
            (NumberRange::AboveZero { max: 1e30 }, [1e-9, 1e30], [0.0, 1e31], "a number in (0, 1e30]"),
        ];
        for (range, inside, outside, words) in cases {
            assert!(inside.into_iter().all(|value| range.contains(value)), "{words}");
            let never = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
            assert!(outside.into_iter().chain(never).all(|value| !range.contains(value)), "{words}");
            assert_eq!(range.to_string(), words);
        }
    }
}
