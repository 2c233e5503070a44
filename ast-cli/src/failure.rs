use std::fmt;

/// Which kind of failure: the exit code, after `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Wrong flag, key or value.
    Usage = 2,
    /// The data, or a loss that is not a number.
    Data = 65,
    /// No such device.
    Device = 69,
    /// Our mistake.
    Bug = 70,
    /// An output that cannot be created.
    Create = 73,
    /// Reading or writing.
    Io = 74,
    /// Something that may work later.
    TryAgain = 75,
    /// Stopped by SIGHUP.
    HangUp = 129,
    /// Stopped by SIGINT.
    Interrupt = 130,
    /// Stopped by SIGTERM.
    Terminate = 143,
}

/// One sentence for a person: what, where and what to do. Printed once, in `main`.
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
    /// Whether somebody wanted it so.
    pub(crate) fn is_wanted(self) -> bool {
        matches!(self, Self::HangUp | Self::Interrupt | Self::Terminate)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The known name that the given one was probably meant to be.
pub(crate) fn suggest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(given, name), name))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// `; did you mean ...?`, or nothing.
pub(crate) fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    suggest(given, known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
