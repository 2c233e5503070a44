//! The curves of a run.

use ast_core::run::{Event, StepEvent};

use super::chart::{Chart, Curve, Drawn};
use super::data::RunData;
use crate::config::DenseResult;
use crate::plot::{Points, SELECTED, selected, smooth};

pub(super) fn charts(run: &RunData, dense: Option<&DenseResult>) -> Result<Vec<Drawn>, String> {
    let RunData { config, summary, events, .. } = run;
    let steps: Vec<&StepEvent> =
        events.iter().filter_map(|event| if let Event::Step(step) = event { Some(step) } else { None }).collect();
    let end = steps.last().map_or(1.0, |step| step.epoch);
    let over = |value: &dyn Fn(&StepEvent) -> Option<f64>| -> Points {
        steps.iter().filter_map(|step| Some((step.epoch, value(step)?))).collect()
    };
    let evaluated: Vec<(f64, u64, f64, f64)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Evaluated { epoch, step, accuracy, loss, .. } => Some((*epoch, *step, *accuracy, *loss)),
            _ => None,
        })
        .collect();
    let across = || "nominal epochs".to_string();
    let text = summary.text.is_some();
    let value = |(_, _, accuracy, loss): &(f64, u64, f64, f64)| if text { *loss } else { *accuracy };
    let set = if config.data.validation.is_some() { "held-out" } else { "test" };

    let training = smooth(over(&|step| Some(if text { step.loss } else { step.accuracy })));
    let mut results = vec![
        Curve::new("training batches, smoothed", 5, thinned(training)),
        Curve::new(set, 0, evaluated.iter().map(|at| (at.0, value(at))).collect()),
    ];
    if let Some(dense) = dense {
        results.push(Curve::level("dense run, at its end", 2, dense.accuracy, end));
    }
    let target = steps.first().map_or(0.0, |step| 100.0 * step.control.target);
    let mut rate = vec![
        Curve::new("smoothed, as controlled", 1, thinned(over(&|step| Some(100.0 * step.control.rate?)))),
        Curve::new("so far, as counted", 0, thinned(over(&|step| Some(100.0 * step.activation)))),
    ];
    if summary.activation.kept {
        rate.push(Curve::level("target", 5, target, end));
    }
    let threshold = Curve::new("threshold", 3, thinned(over(&|step| step.control.threshold)));
    let selected = Curve::new("by significance", 4, thinned(smooth(selected(&steps))));
    // The share of a dense run's samples that was trained on when a step was done.
    let whole = (summary.samples.trained as f64 / (1.0 - summary.savings.samples)).max(1.0);
    let spent = |step: u64| {
        let at = steps.partition_point(|event| event.step < step).min(steps.len().saturating_sub(1));
        steps.get(at).map_or(0.0, |event| 100.0 * event.trained as f64 / whole)
    };
    let mut price = vec![Curve::new("this run", 0, evaluated.iter().map(|at| (spent(at.1), value(at))).collect())];
    if let Some(dense) = dense {
        price.push(Curve::new("dense run, at its end", 2, vec![(100.0, dense.accuracy)]));
    }
    let result = if text { "loss, nats a token" } else { "accuracy, %" };
    let unit = if text { "" } else { " %" };
    let chart = |title: String, across: String, bounds, unit, curves| Chart { title, across, bounds, unit, curves };
    let all = [
        chart(result.into(), across(), [None, None], unit, results),
        chart(format!("{result}, by cost"), "samples trained on, % of a dense run's".into(), [None, None], unit, price),
        chart("activation rate, % of offered samples".into(), across(), [Some(0.0), None], " %", rate),
        chart(SELECTED.into(), across(), [Some(0.0), Some(100.0)], " %", vec![selected]),
        chart(
            "threshold (a rank for `ast`, else on the policy's own scale)".into(),
            across(),
            [None, None],
            "",
            vec![threshold],
        ),
        chart(
            "learning rate".into(),
            across(),
            [Some(0.0), None],
            "",
            vec![Curve::new("learning rate", 2, thinned(over(&|step| Some(step.lr))))],
        ),
    ];
    all.into_iter().filter_map(|chart| chart.drawn().transpose()).collect()
}

/// At most so many points that a picture shows each.
fn thinned(points: Points) -> Points {
    let step = points.len().div_ceil(400).max(1);
    let last = points.len().saturating_sub(1);
    points.into_iter().enumerate().filter(|(i, _)| i % step == 0 || *i == last).map(|(_, point)| point).collect()
}
