//! Weight decay, and the parameters that it applies to.

use crate::plugin::{ParamError, ParamKind, ParamSpec, Params};

/// The size of the decay.
pub(super) const fn weight_decay(summary: &'static str, default: f64) -> ParamSpec {
    ParamSpec { name: "weight_decay", summary, kind: ParamKind::Number { default, min: 0.0, max: 1.0 } }
}

/// The parameters that are decayed.
pub(super) const fn decayed(kinds: &'static [&'static str]) -> ParamSpec {
    let summary = "`all`, or `matrices`: not biases and the scales of normalisations, which have one dimension";
    ParamSpec { name: "decayed", summary, kind: ParamKind::Choice(kinds) }
}

/// Weight decay by the number of dimensions of a parameter. Biases and the scales of normalisations have one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Decay {
    decay: f32,
    vectors: bool,
}

impl Decay {
    /// From the parameters `weight_decay` and `decayed`.
    pub(super) fn new(params: &Params) -> Result<Self, ParamError> {
        Ok(Self { decay: params.number("weight_decay")? as f32, vectors: params.word("decayed")? == "all" })
    }

    /// For a parameter with that number of dimensions.
    pub(super) fn of(self, dimensions: usize) -> f32 {
        if dimensions > 1 || self.vectors { self.decay } else { 0.0 }
    }
}
