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
