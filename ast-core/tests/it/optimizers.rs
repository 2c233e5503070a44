//! Every registered optimizer keeps the contract, with its defaults and with each parameter at the ends of its range.

use ast_core::burn::tensor::Device;
use ast_core::optim::BuildOptimizer;
use ast_core::plugin::{ParamKind, Registry};
use ast_core::testing::check_optimizer;

const LEARNING_RATE: f64 = 0.05;

#[test]
fn every_optimizer_keeps_the_contract() {
    let device = Device::flex().autodiff();
    for entry in Registry::<BuildOptimizer>::linked().unwrap().iter() {
        println!("{}", entry.name);
        check_optimizer(entry.name, &[], LEARNING_RATE, &device);
        for param in entry.params {
            let ends = match param.kind {
                ParamKind::Number { min, max, .. } => vec![min.into(), max.into()],
                ParamKind::Integer { min, max, .. } => vec![f64::from(min).into(), f64::from(max).into()],
                ParamKind::Choice(words) => words.iter().map(|word| (*word).into()).collect(),
            };
            for end in ends {
                println!("{} with {} = {end}", entry.name, param.name);
                check_optimizer(entry.name, &[(param.name, end)], LEARNING_RATE, &device);
            }
        }
    }
}
