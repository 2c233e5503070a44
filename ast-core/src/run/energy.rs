use std::time::{Duration, Instant};

/// How long a counter may go unread: far less than one takes to wrap around.
const EVERY: Duration = Duration::from_secs(1);

/// A counter of energy that a machine keeps, such as a processor's or a GPU's.
pub trait EnergyCounter: Send {
    /// What it counts, for a person: `RAPL package-0`.
    fn name(&self) -> String;

    /// Joules since some moment that stays the same; never falls.
    ///
    /// # Errors
    /// Why it does not answer, in words.
    fn joules(&mut self) -> Result<f64, String>;
}

/// Reads a counter now and then, and says where the energy went: into the run, or past it.
pub(crate) struct Energy {
    counter: Result<Box<dyn EnergyCounter>, String>,
    last: Option<f64>,
    read_at: Instant,
}

impl Energy {
    /// Of a counter, or of the reason why there is none.
    pub(crate) fn new(counter: Result<Box<dyn EnergyCounter>, String>) -> Self {
        Self { counter, last: None, read_at: Instant::now() }
    }

    /// Adds what was used since the last reading to `joules`; nothing at the first. Not more often than every second,
    /// unless a boundary must be exact. Without a counter `joules` become `None`, for good: a part is not the whole.
    pub(crate) fn read(&mut self, joules: &mut Option<f64>, exact: bool) {
        if self.last.is_some() && !exact && self.read_at.elapsed() < EVERY {
            return;
        }
        let used = self.used();
        *joules = joules.zip(used).map(|(before, used)| before + used);
    }

    /// Passes over what was used since the last reading.
    pub(crate) fn pass_over(&mut self) {
        self.used();
    }

    /// Since the last reading.
    fn used(&mut self) -> Option<f64> {
        let counter = self.counter.as_mut().ok()?;
        self.read_at = Instant::now();
        match counter.joules() {
            Ok(now) => Some(now - self.last.replace(now).unwrap_or(now)),
            Err(reason) => {
                self.counter = Err(format!("{} stopped answering: {reason}", counter.name()));
                None
            }
        }
    }

    /// Where the number comes from, or why there is none.
    pub(crate) fn method(&self) -> Result<String, String> {
        self.counter.as_ref().map(|counter| counter.name()).map_err(Clone::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one number after the other, and then nothing.
    struct Numbers(Vec<f64>);

    impl EnergyCounter for Numbers {
        fn name(&self) -> String {
            "numbers".into()
        }
        fn joules(&mut self) -> Result<f64, String> {
            if self.0.is_empty() { Err("no more".into()) } else { Ok(self.0.remove(0)) }
        }
    }

    #[test]
    fn what_lies_between_two_readings_is_added_or_passed_over() {
        let mut energy = Energy::new(Ok(Box::new(Numbers(vec![100.0, 107.0, 110.0, 111.5]))));
        let mut joules = Some(0.0);
        energy.read(&mut joules, false);
        assert_eq!(joules, Some(0.0));
        energy.read(&mut joules, true);
        assert_eq!(joules, Some(7.0));
        energy.read(&mut joules, false);
        assert_eq!(joules, Some(7.0), "not a second has passed");
        energy.pass_over();
        energy.read(&mut joules, true);
        assert_eq!((joules, energy.method()), (Some(8.5), Ok("numbers".into())));
        energy.read(&mut joules, true);
        assert_eq!((joules, energy.method()), (None, Err("numbers stopped answering: no more".into())));
    }
}
