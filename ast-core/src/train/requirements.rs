//! What a scorer and a policy need of a network, refused before the run.

use crate::data::Shape;
use crate::model::{Model, NetworkError};
use crate::run::Ran;
use crate::score::{Scorer, Statistic};
use crate::select::{ScorerRule, Selector};

/// Refuses a scorer or a policy that needs what the network has not.
pub(super) fn check<M: Model>(
    model: &M,
    shape: Shape,
    scorer: &dyn Scorer,
    ran: &Ran,
    selector: &Selector,
) -> Result<(), NetworkError> {
    let needs = |statistic: Statistic| scorer.needs().contains(&statistic);
    let name = || ran.scorer.as_deref().map_or("this scorer".into(), |name| format!("scorer `{name}`"));
    let policy = || format!("policy `{}`", ran.policy);
    let lacks = |user: String, what| Err(NetworkError::Lacks { user, what });
    #[cfg(feature = "tensor-scorer")]
    let whole = needs(Statistic::OnDevice);
    #[cfg(not(feature = "tensor-scorer"))]
    let whole = false;
    if selector.policy().kind.scorer == ScorerRule::Unused {
        // Nothing uses the scores.
    } else if whole && shape.targets() != 1 {
        return lacks(name(), "one row of logits a sample");
    } else if (whole || needs(Statistic::FeatureNorm)) && !model.has_features() {
        return lacks(name(), "features: the input of a last linear layer");
    }
    if selector.watches() && !(model.has_features() && shape.targets() == 1) {
        return lacks(policy(), "features, one row a sample, to watch gradients (its guard can be switched off)");
    }
    Ok(())
}
