//! Checks before the run that the network provides what scorer and policy need.

use crate::data::Shape;
use crate::model::{Model, NetworkError};
use crate::run::Ran;
use crate::score::{Scorer, Statistic};
use crate::select::{ScorerRule, Selector};

/// Refuses a scorer or policy that needs something the network does not provide.
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
        // The policy does not use scores.
    } else if needs(Statistic::InputDeviation) && matches!(shape, Shape::Tokens(_)) {
        let error = "it is for images: it needs the deviation of their pixels; for text take another, such as `loss`";
        return Err(NetworkError::Unfit { user: name(), reason: error });
    } else if whole && shape.targets() != 1 {
        return lacks(name(), "one row of logits per sample");
    } else if (whole || needs(Statistic::FeatureNorm)) && !model.has_features() {
        return lacks(name(), "features (the input of a final linear layer)");
    }
    if selector.watches() && !model.has_features() {
        return lacks(policy(), "features for its guard (or set policy.guard = \"off\")");
    }
    Ok(())
}
