/// A run between two steps: all it takes to go on to the same bits. Randomness is counter-based, so there is none in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Steps done.
    pub step: u64,
    /// The network's parameters, as Burn's record.
    pub weights: Vec<u8>,
    /// The optimizer's moments, as Burn's record.
    pub optimizer: Vec<u8>,
    /// What [`Selector::save`](crate::select::Selector::save) gave; of a run of before there was a selector: what its policy
    /// saved.
    pub selector: Vec<u8>,
    /// Clock, evaluations and what else the trainer remembers, in CBOR.
    pub state: Vec<u8>,
    /// Weights and optimizers of auxiliary networks; nothing if the run has none.
    pub auxiliary: Vec<u8>,
}

/// The files of a snapshot. Each has the name that is written first, and may have one that earlier versions wrote.
const WEIGHTS: &[&str] = &["weights.bpk"];
const OPTIMIZER: &[&str] = &["optimizer.bpk"];
const SELECTOR: &[&str] = &["selector.cbor", "policy.cbor"];
const STATE: &[&str] = &["state.cbor"];
/// Not there if there is nothing to be kept in it.
pub(crate) const AUXILIARY: &[&str] = &["auxiliary.cbor", "small.cbor"];

impl Snapshot {
    /// The files that it is kept in: name and content.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &[u8])> {
        let Self { weights, optimizer, selector, state, auxiliary, step: _ } = self;
        let always: [(_, &[u8]); 4] =
            [(WEIGHTS[0], weights), (OPTIMIZER[0], optimizer), (SELECTOR[0], selector), (STATE[0], state)];
        let optional: (_, &[u8]) = (AUXILIARY[0], auxiliary);
        always.into_iter().chain(Some(optional).filter(|(_, bytes)| !bytes.is_empty())).collect()
    }

    /// Puts it together again from [`files`](Self::files).
    ///
    /// # Errors
    /// Whatever `read` gives for the names that a file may have. For the auxiliary networks it gives nothing, and no error,
    /// where there is no such file.
    pub fn from_files<E>(
        step: u64,
        mut read: impl FnMut(&'static [&'static str]) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let [weights, optimizer] = [read(WEIGHTS)?, read(OPTIMIZER)?];
        let [selector, state] = [read(SELECTOR)?, read(STATE)?];
        Ok(Self { step, weights, optimizer, selector, state, auxiliary: read(AUXILIARY)? })
    }
}
