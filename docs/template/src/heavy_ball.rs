//! The heavy-ball method: gradient descent with momentum (Polyak, *Some methods of speeding up the convergence of iteration
//! methods*, 1964).
//!
//! `v = momentum v + g + decay x`, then `x = x - lr v`. The first `v` is the gradient. Biases and normalisation are not
//! decayed: they are a parameter group with a rule of its own.

use ast_core::burn::module::ParamGroup;
use ast_core::burn::optim::decay::WeightDecayConfig;
use ast_core::burn::optim::momentum::MomentumConfig;
use ast_core::burn::optim::{ModuleOptimizer, Sgd, SgdConfig};
use ast_core::plugin::{ParamKind, ParamSpec};

ast_core::register_optimizer! {
    name: "heavy-ball",
    summary: "gradient descent with momentum (Polyak 1964), weight decay not on biases and normalisation",
    params: &[
        ParamSpec {
            name: "momentum",
            summary: "the share of the last step's direction that is kept",
            kind: ParamKind::Number { default: 0.9, min: 0.0, max: 0.999 },
        },
        ParamSpec {
            name: "decay",
            summary: "the share of a weight that is added to its gradient",
            kind: ParamKind::Number { default: 5e-4, min: 0.0, max: 1.0 },
        },
    ],
    build: |params| {
        let (momentum, decay) = (params.number("momentum")?, params.number("decay")?);
        // By the path of a parameter in its network, such as `norm1.weight`.
        let undecayed = ParamGroup::from_any_predicates(vec!["bias", "norm"]);
        Ok(ModuleOptimizer::from(rule(momentum, decay)).with_group(undecayed, rule(momentum, 0.0), None))
    },
}

fn rule(momentum: f64, decay: f64) -> Sgd {
    let momentum = MomentumConfig { momentum, dampening: 0.0, nesterov: false };
    let decay = WeightDecayConfig { penalty: decay as f32 };
    SgdConfig::new().with_momentum(Some(momentum)).with_weight_decay(Some(decay)).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::burn::optim::Optimizer;
    use ast_core::burn::tensor::{Device, Tensor};
    use ast_core::testing::check_optimizer;

    /// From 1 with gradients 1 and 2, a learning rate of 0.5, momentum 0.5 and decay 0.1: v = 1.1, x = 0.45; then
    /// v = 0.55 + 2.045 = 2.595, x = 0.45 - 1.2975.
    #[test]
    fn two_steps_are_those_of_the_formula() {
        let number = |x: f64| Tensor::<1>::from_data([x], &Device::flex());
        let rule = rule(0.5, 0.1);
        let (x, state) = rule.step(0.5, number(1.0), number(1.0), None);
        let (x, _) = rule.step(0.5, x, number(2.0), state);
        assert!((x.into_scalar::<f32>() + 0.8475).abs() < 1e-6);
    }

    #[test]
    fn keeps_the_contract() {
        let device = Device::flex().autodiff();
        for momentum in [0.0, 0.9] {
            check_optimizer("heavy-ball", &[("momentum", momentum.into())], 0.05, &device);
        }
        check_optimizer("heavy-ball", &[("decay", 0.1.into())], 0.05, &device);
    }
}
