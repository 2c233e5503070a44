//! AdamW: Adam with weight decay that is decoupled from the gradient (Loshchilov & Hutter, *Decoupled Weight Decay
//! Regularization*, ICLR 2019).

use burn::optim::ModuleOptimizer;

use crate::optim::adam::{Adam, BETA1, BETA2, EPSILON};
use crate::optim::decay::{Decay, decayed, weight_decay};

crate::register_optimizer! {
    name: "adamw",
    summary: "Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019), not on biases and normalisations",
    params: &[
        BETA1,
        BETA2,
        EPSILON,
        weight_decay("share of a parameter that a step removes, per unit of the learning rate", 0.01),
        decayed(&["matrices", "all"]),
    ],
    build: |params| Ok(ModuleOptimizer::from(Adam::new(params, Decay::new(params)?)?)),
}

#[cfg(test)]
mod tests {
    use burn::optim::{AdamWConfig, Optimizer};
    use burn::tensor::{Device, Tensor, Tolerance};

    use super::*;
    use crate::optim::OptimizerEntry;
    use crate::plugin::{ParamValue, Params, Registry};

    fn of(given: &[(&str, ParamValue)]) -> Adam {
        let entry: &OptimizerEntry = Registry::linked().unwrap().get("adamw").unwrap();
        let given = given.iter().map(|(key, value)| ((*key).to_string(), value.clone())).collect();
        let params = Params::resolve(entry.params, &given).unwrap();
        Adam::new(&params, Decay::new(&params).unwrap()).unwrap()
    }

    /// Ten steps of a rule from the same start.
    fn ten<O: Optimizer>(rule: &O) -> Tensor<2> {
        let start = Tensor::<2>::from_floats([[1.0, -2.0, 0.5], [0.1, 3.0, -0.7]], &Device::flex());
        let mut state = None;
        (0..10).fold(start.clone(), |x, k| {
            let (x, new) = rule.step(0.05, x, (start.clone() * (f64::from(k) + 0.4)).sin(), state.take());
            state = new;
            x
        })
    }

    #[test]
    fn equals_burns_adamw() {
        for decay in [0.0, 0.3] {
            let burns = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(decay as f32).build();
            let ours = ten(&of(&[("weight_decay", decay.into())])).into_data();
            ours.assert_approx_eq::<f32>(&ten(&burns).into_data(), Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn vectors_are_decayed_only_if_everything_is() {
        let decayed = |kind: &str| {
            let x = Tensor::<1>::from_floats([1.0, -2.0], &Device::flex());
            let rule = of(&[("weight_decay", 0.5.into()), ("decayed", kind.into())]);
            rule.step(0.5, x.clone(), x.zeros_like(), None).0.into_data().try_into_vec::<f32>().unwrap()
        };
        assert_eq!(decayed("matrices"), [1.0, -2.0]);
        assert_eq!(decayed("all"), [0.75, -1.5]);
    }
}
