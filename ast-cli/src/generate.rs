//! `ast generate`: writes text with the language model of a finished run.

use std::path::Path;

use ast_core::burn::tensor::{Tensor, TensorData};
use ast_core::data::Shape;
use ast_core::model::Input;
use ast_core::random::{Purpose, Random};
use ast_core::train::{Inference, Trained};

use crate::args::GenerateArgs;
use crate::config;
use crate::dataset;
use crate::device;
use crate::failure::{Failure, Kind};
use crate::inference;
use crate::output::put;
use crate::run_folder::is_a_run;
use crate::train;

pub(crate) fn generate(args: &GenerateArgs) -> Result<(), Failure> {
    let run = &args.run;
    is_a_run(run)?;
    let config = config::of_run_folder(run)?;
    let weights = inference::weights(run, args.weights.as_deref())?;
    let known = dataset::of_weights(&weights)?.unwrap_or_default();
    let (Some(vocabulary), Some(Shape::Tokens(context))) = (known.vocabulary, known.shape) else {
        return Err(no_text(&weights));
    };
    train::set_threads(args.threads.unwrap_or(0) as usize)?;
    let (_, device) = device::choose(args.device.as_deref().unwrap_or("auto"))?;
    let (shape, classes) = (Shape::Tokens(context), vocabulary.len());
    let trained = Trained { model: &config.model, weights: &weights, shape, classes, device: &device };
    let so = "; it is not that of this run, or it or the run's config.toml was changed";
    let model = inference::load(&trained, so)?;

    // A text without line feeds begins with its first token.
    let first = || vocabulary.tokens(b"\n").map_or_else(|_| vocabulary.token(0).to_vec(), |_| b"\n".to_vec());
    let prompt = args.prompt.as_ref().map_or_else(first, |prompt| prompt.as_bytes().to_vec());
    let mut tokens = vocabulary.tokens(&prompt).map_err(|at| {
        let rest: String = String::from_utf8_lossy(&prompt[at..]).chars().take(1).collect();
        Failure::usage(format!("--prompt: {rest:?} does not occur in the text that the model was trained on"))
    })?;
    if tokens.is_empty() {
        return Err(Failure::usage("--prompt: it is empty; give at least a character to go on from"));
    }
    if !put(if prompt == b"\n" { b"" } else { &prompt })? {
        return Ok(());
    }
    let random = Random::new(u64::from(args.seed));
    for place in 0..args.tokens {
        let seen = &tokens[tokens.len().saturating_sub(context)..];
        let logits = last_logits(model.as_ref(), seen, classes, &device)?;
        if logits.iter().any(|logit| !logit.is_finite()) {
            let what = "the network's output for its weights is not a number: they are damaged, or training diverged";
            return Err(Failure::new(Kind::Data, format!("{}: {what}", weights.display())));
        }
        let uniform = random.stream(Purpose::Generate, place.into(), 0).uniform();
        let next = sample(&logits, args.temperature, args.top_k as usize, uniform);
        tokens.push(next as i32);
        if !put(vocabulary.token(next))? {
            return Ok(());
        }
    }
    put(b"\n").map(drop)
}

fn no_text(weights: &Path) -> Failure {
    let message = format!("{}: these are not the weights of a run on text: they have no vocabulary", weights.display());
    Failure::usage(format!("{message}; `ast train --preset shakespeare --data-dir DIR` makes some"))
}

/// The logits of the token after these, `[classes]`.
fn last_logits(
    model: &dyn Inference,
    tokens: &[i32],
    classes: usize,
    device: &ast_core::burn::tensor::Device,
) -> Result<Vec<f32>, Failure> {
    let input = Tensor::from_data(TensorData::new(tokens.to_vec(), [1, tokens.len()]), device);
    let logits = model.logits(Input::Tokens(input)).narrow(0, tokens.len() - 1, 1).reshape([classes]);
    let read: Result<Vec<f32>, _> = Tensor::<1>::try_into_vec_as(logits);
    read.map_err(|error| Failure::new(Kind::Device, error.to_string()))
}

/// Draws a token by `uniform` in 0..1: with the probabilities `softmax(logits / temperature)` of the `top_k` most likely
/// ones. At temperature 0 it is the most likely one.
fn sample(logits: &[f32], temperature: f64, top_k: usize, uniform: f64) -> usize {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    // Stable, so that equal logits are in the order of their tokens everywhere.
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    order.truncate(top_k.max(1));
    let highest = f64::from(logits[order[0]]);
    let weight = |token: &usize| ((f64::from(logits[*token]) - highest) / temperature).exp();
    // Without a temperature all others weigh nothing.
    let weights: Vec<f64> = if temperature > 0.0 { order.iter().map(weight).collect() } else { vec![1.0] };
    let mut left = uniform * weights.iter().sum::<f64>();
    for (token, weight) in order.iter().zip(&weights) {
        left -= weight;
        if left < 0.0 {
            return *token;
        }
    }
    order[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frequencies over 10,000 equally spaced numbers are the probabilities.
    #[test]
    fn tokens_are_drawn_with_their_probabilities() {
        let logits = [0.0_f32, 2.0, 1.0, -30.0];
        let counts = |temperature, top_k| {
            let mut counts = [0; 4];
            (0..10_000).for_each(|i| counts[sample(&logits, temperature, top_k, (f64::from(i) + 0.5) / 1e4)] += 1);
            counts
        };
        for (temperature, top_k) in [(1.0, 200), (0.5, 200), (1.0, 2)] {
            let of = |logit: f32| (f64::from(logit) / temperature).exp();
            let kept: Vec<f32> = [2.0, 1.0, 0.0, -30.0].into_iter().take(top_k).collect();
            let sum: f64 = kept.iter().map(|logit| of(*logit)).sum();
            for (logit, count) in logits.iter().zip(counts(temperature, top_k)) {
                let expected = if kept.contains(logit) { 1e4 * of(*logit) / sum } else { 0.0 };
                assert!((f64::from(count) - expected).abs() <= 1.0, "{logit} at {temperature}: {count} {expected}");
            }
        }
        assert_eq!((counts(0.0, 200), counts(1.0, 1)), ([0, 10_000, 0, 0], [0, 10_000, 0, 0]));
    }
}
