//! `H(p)^power`: how far the network is from being certain.

use ast_core::plugin::{ParamKind, ParamSpec};
use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};

ast_core::register_scorer! {
    name: "doubt",
    summary: "H(p)^power: how far the network is from being certain",
    params: &[ParamSpec {
        name: "power",
        summary: "sharpness; ranks, and so selection, do not depend on it",
        kind: ParamKind::Number { default: 1.0, min: 0.1, max: 10.0 },
    }],
    build: |params| Ok(Box::new(Doubt { power: params.number("power")? })),
}

struct Doubt {
    power: f64,
}

impl Scorer for Doubt {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::Entropy]
    }

    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        Ok(seen.get(Statistic::Entropy)?.iter().map(|entropy| entropy.powf(self.power as f32)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::{check_scorer, context};

    #[test]
    fn is_a_power_of_the_entropy() {
        let seen = Observation::new(vec![1, 2], vec![1.0; 2]).with(Statistic::Entropy, vec![0.0, 1.5]);
        assert_eq!(Doubt { power: 2.0 }.score(&seen, &context()).unwrap(), [0.0, 2.25]);
    }

    #[test]
    fn keeps_the_contract() {
        check_scorer(&Doubt { power: 2.0 });
    }
}
