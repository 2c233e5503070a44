use crate::plugin::ParamError;

/// Why a scorer refused.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The observation lacks something.
    #[error("the observation has no {0}: the scorer's `needs` did not ask for it, or nobody could compute it")]
    Missing(&'static str),
    /// A parameter was refused.
    #[error(transparent)]
    Param(#[from] ParamError),
}
