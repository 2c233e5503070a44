/// An energy counter of the machine, such as a processor's or a GPU's.
pub trait EnergyCounter: Send {
    /// What the counter measures, for messages: `RAPL package-0`.
    fn name(&self) -> String;

    /// Joules since a fixed moment; never falls.
    ///
    /// # Errors
    /// Why the counter cannot be read, in words.
    fn joules(&mut self) -> Result<f64, String>;
}
