use crate::plugin::ParamError;

/// Why a scorer failed.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// A statistic is missing from the observation.
    #[error("the observation has no {0}: the scorer's `needs` does not list it, or it could not be computed")]
    Missing(&'static str),
    /// A parameter was refused.
    #[error(transparent)]
    Param(#[from] ParamError),
}
