use std::fmt;

/// Exit code of a failure, after `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Wrong flag, key or value.
    Usage = 2,
    /// Unusable data, or a loss that is NaN or infinite.
    Data = 65,
    /// The device does not exist or does not work.
    Device = 69,
    /// A bug in this program.
    Bug = 70,
    /// An output that cannot be created.
    Create = 73,
    /// Reading or writing failed.
    Io = 74,
    /// A temporary failure: trying again may help.
    TryAgain = 75,
    /// Stopped by SIGHUP.
    HangUp = 129,
    /// Stopped by SIGINT.
    Interrupt = 130,
    /// Stopped by SIGTERM.
    Terminate = 143,
}

/// A failure as one sentence for people: what, where and what to do. Printed once, in `main`.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    message: String,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, message.to_string())
    }
}

impl Kind {
    /// Whether the program was stopped by a signal.
    pub(crate) fn is_wanted(self) -> bool {
        matches!(self, Self::HangUp | Self::Interrupt | Self::Terminate)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The known name that was probably meant: the one with the fewest edits, at most one per three letters, or one that
/// begins with the given text. Of dotted keys only the last part is compared.
pub(crate) fn suggest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_lowercase();
    let given = last(given);
    let near = |name: &'a str| {
        let full = last(name);
        let edits = strsim::damerau_levenshtein(&given, &full);
        let near = 3 * edits <= given.chars().count().max(full.chars().count());
        let begins = given.chars().count() >= 3 && full.starts_with(&given);
        (near || begins).then_some((edits, name))
    };
    known.into_iter().filter_map(near).min_by_key(|(edits, _)| *edits).map(|(_, name)| name)
}

/// `; did you mean ...?`, or an empty string.
pub(crate) fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    suggest(given, known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 6] =
        ["train.seed", "train.lr", "train.epochs", "train.batch_size", "train.on_nan", "eval.every_epochs"];
    const NAMES: [&str; 6] = ["ast", "random", "static-random", "selective-backprop", "entropy", "el2n"];

    #[test]
    fn misspellings_are_recognised() {
        for (given, meant) in [
            ("train.epoch", "train.epochs"),
            ("train.Epochs", "train.epochs"),
            ("train.bacth_size", "train.batch_size"),
            ("train.batch", "train.batch_size"),
            ("train.sed", "train.seed"),
            ("eval.every_epoch", "eval.every_epochs"),
        ] {
            assert_eq!(suggest(given, KEYS), Some(meant), "{given}");
        }
        for (given, meant) in [
            ("rand", "random"),
            ("rndom", "random"),
            ("AST", "ast"),
            ("static_random", "static-random"),
            ("selective", "selective-backprop"),
            ("entrpy", "entropy"),
            ("eln2", "el2n"),
        ] {
            assert_eq!(suggest(given, NAMES), Some(meant), "{given}");
        }
    }

    /// A wrong hint is worse than none.
    #[test]
    fn unrelated_words_give_no_hint() {
        for given in ["train.weight_decay", "train.momentum", "train.l", "train.", "train.dropout", "", "."] {
            assert_eq!(suggest(given, KEYS), None, "{given}");
        }
        for given in ["", "a", "uniform", "gradient", "sgd", "loss"] {
            assert_eq!(suggest(given, NAMES), None, "{given}");
        }
    }
}
