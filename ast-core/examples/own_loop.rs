//! Selection in your own training loop: a logistic regression in plain Rust, without Burn and without our trainer.
//!
//! Trains the same model under each policy named and prints its cost and accuracy. A forward pass costs 1, a backward
//! pass 2. A tenth of the labels is wrong. `pool-top`, which takes the points with the highest losses, suffers from
//! them. `ast` draws samples in proportion to their rank, besides others at random. It is also told what a pass on a sample is
//! worth to the others (`Outcome::worth`), and holds back the scores where that is little.
//!
//! ```sh
//! cargo run --release -p ast-core --example own_loop              # random, ast, pool-top, dense
//! cargo run --release -p ast-core --example own_loop -- importance infobatch
//! ```
#![forbid(unsafe_code)]

use std::error::Error;

use ast_core::optim::learning_rate;
use ast_core::random::{Purpose, Random};
use ast_core::select::{
    Goal, Groups, NoProbe, Outcome, Probe, ProbeError, ProbeRequest, Probed, SampleId, ScoredBy, Selector, policy,
    worth,
};

const FEATURES: usize = 20;
const TRAIN: u64 = 4000;
const TEST: u64 = 4000;

struct Point {
    x: [f64; FEATURES],
    /// 0 or 1.
    class: usize,
}

/// Points in two classes, separated by a plane through the origin; a tenth has the wrong label.
fn points(split: u64, n: u64) -> Vec<Point> {
    let point = |id| {
        let mut draw = Random::new(7).stream(Purpose::Data, split, id);
        let x: [f64; FEATURES] = std::array::from_fn(|_| draw.normal());
        let side = x.iter().enumerate().map(|(k, x)| x / (1.0 + k as f64)).sum::<f64>() > 0.0;
        let class = usize::from(side != (draw.uniform() < 0.1));
        Point { x, class }
    };
    (0..n).map(point).collect()
}

#[derive(Clone)]
struct Model {
    w: [f64; FEATURES],
}

impl Model {
    /// The probability of class 1.
    fn chance(&self, point: &Point) -> f64 {
        let z: f64 = self.w.iter().zip(point.x).map(|(w, x)| w * x).sum();
        1.0 / (1.0 + (-z).exp())
    }

    fn loss(&self, point: &Point) -> f64 {
        let p = self.chance(point);
        -(if point.class == 1 { p } else { 1.0 - p }).max(1e-12).ln()
    }

    fn is_right(&self, point: &Point) -> bool {
        (self.chance(point) > 0.5) == (point.class == 1)
    }
}

/// The probe of this loop, for policies that score samples before training on them. `ast`, `random` and others do not
/// need it: for them [`NoProbe`] is enough.
struct Forward<'a> {
    model: &'a Model,
    points: &'a [Point],
}

impl Probe for Forward<'_> {
    fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
        if !matches!(request.by, ScoredBy::Network | ScoredBy::NetworkInTraining) {
            return Err(ProbeError::NotOffered("a pass of another network"));
        }
        let loss: Vec<f32> =
            request.visits.iter().map(|v| self.model.loss(&self.points[v.id as usize]) as f32).collect();
        Ok(Probed { score: loss.clone(), cost: loss.len() as u64, loss, skipped: false })
    }

    fn input_deviation(&mut self, ids: &[SampleId]) -> Result<Vec<f32>, ProbeError> {
        Ok(vec![1.0; ids.len()])
    }
}

/// Trains under a policy. Returns the model and its cost.
fn train(name: &str, points: &[Point]) -> Result<(Model, u64), Box<dyn Error>> {
    let groups = Groups::of(points.iter().map(|point| point.class))?;
    let mut selector = Selector::new(groups, policy(name, &[])?, Goal::activation(0.25, 20), 32, 0)?;
    if let Some(warning) = selector.policy().warning() {
        println!("{warning}");
    }
    let mut model = Model { w: [0.0; FEATURES] };
    while let Some(batch) = selector.next_batch(&mut Forward { model: &model, points })? {
        let chosen: Vec<&Point> = batch.ids().into_iter().map(|id| &points[id as usize]).collect();
        let loss: Vec<f32> = chosen.iter().map(|point| model.loss(point) as f32).collect();
        let correct: Vec<bool> = chosen.iter().map(|point| model.is_right(point)).collect();

        let lr = learning_rate(0.5, batch.spent());
        let mut gradient = [0.0; FEATURES];
        for (point, weight) in chosen.iter().zip(batch.loss_weights()) {
            let error = f64::from(weight) * (model.chance(point) - point.class as f64) / chosen.len() as f64;
            gradient.iter_mut().zip(point.x).for_each(|(g, x)| *g += error * x);
        }

        // `ast` holds back samples on which a pass does not pay. It can tell that only from the gradients.
        let worth = selector.watches().then(|| {
            let errors: Vec<f32> = chosen.iter().map(|p| (model.chance(p) - p.class as f64) as f32).collect();
            let inputs: Vec<f32> = chosen.iter().flat_map(|p| p.x.map(|x| x as f32)).collect();
            worth(&errors, &inputs, &batch.coverage()).expect("one row a point")
        });
        model.w.iter_mut().zip(gradient).for_each(|(w, g)| *w -= lr * g);
        let correct = Some(correct.as_slice());
        selector.record(batch, &Outcome { score: &loss, loss: &loss, correct, worth: worth.as_deref() })?;
    }
    Ok((model, selector.counts().cost()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let (data, test) = (points(0, TRAIN), points(1, TEST));
    let dense = 3 * 20 * TRAIN;
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() {
        names = ["random", "ast", "pool-top", "dense"].map(String::from).to_vec();
    }
    println!("{TRAIN} points, 20 epochs, target activation rate 25 %");
    println!("{:<20} {:>12} {:>10}", "policy", "cost/dense", "accuracy");
    for name in &names {
        let (model, cost) = train(name, &data)?;
        let right = test.iter().filter(|point| model.is_right(point)).count();
        let accuracy = 100.0 * right as f64 / test.len() as f64;
        println!("{name:<20} {:>11.1} % {accuracy:>8.1} %", 100.0 * cost as f64 / dense as f64);
    }
    // A policy that needs a probe is refused by a loop without one.
    let mut blind = Selector::new(Groups::none(10), policy("original", &[])?, Goal::activation(0.25, 20), 32, 0)?;
    if let Err(refusal) = blind.next_batch(&mut NoProbe) {
        println!("without a probe: {refusal}");
    }
    Ok(())
}
