/// The complete state of a run between two steps. A run that continues from it gives the same bits. Randomness is
/// counter-based, so it has no generator state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Steps done.
    pub step: u64,
    /// The network's parameters, as Burn's record.
    pub weights: Vec<u8>,
    /// The optimizer's moments, as Burn's record.
    pub optimizer: Vec<u8>,
    /// The bytes of [`Selector::save`](crate::select::Selector::save).
    pub selector: Vec<u8>,
    /// Clock, evaluations and the rest of the trainer's state, in CBOR.
    pub state: Vec<u8>,
    /// Weights and optimizers of auxiliary networks; empty if the run has none.
    pub auxiliary: Vec<u8>,
    /// The averaged weights of lookahead, as Burn's record; empty without it.
    pub lookahead: Vec<u8>,
}

const WEIGHTS: &str = "weights.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
const SELECTOR: &str = "selector.cbor";
const STATE: &str = "state.cbor";
const AUXILIARY: &str = "auxiliary.cbor";
const LOOKAHEAD: &str = "lookahead.bpk";
/// Files that are not written if they would be empty.
pub(crate) const OPTIONAL: [&str; 2] = [AUXILIARY, LOOKAHEAD];

impl Snapshot {
    /// Name and content of every file of the snapshot.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &[u8])> {
        let Self { weights, optimizer, selector, state, auxiliary, lookahead, step: _ } = self;
        let always: [(_, &[u8]); 4] =
            [(WEIGHTS, weights), (OPTIMIZER, optimizer), (SELECTOR, selector), (STATE, state)];
        let optional: [(_, &[u8]); 2] = [(AUXILIARY, auxiliary), (LOOKAHEAD, lookahead)];
        always.into_iter().chain(optional.into_iter().filter(|(_, bytes)| !bytes.is_empty())).collect()
    }

    /// The inverse of [`files`](Self::files). `read` is called with the name of each file.
    ///
    /// # Errors
    /// The error of `read`. For an optional file, `read` returns empty bytes if there is none.
    pub fn from_files<E>(step: u64, mut read: impl FnMut(&'static str) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        let [weights, optimizer] = [read(WEIGHTS)?, read(OPTIMIZER)?];
        let [selector, state] = [read(SELECTOR)?, read(STATE)?];
        Ok(Self { step, weights, optimizer, selector, state, auxiliary: read(AUXILIARY)?, lookahead: read(LOOKAHEAD)? })
    }
}
