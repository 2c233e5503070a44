//! The picture of a run, as SVG: activation rate, share that significance selected, and accuracy or loss, over nominal
//! epochs.

use ast_core::run::{Event, StepEvent};
use plotters::coord::Shift;
use plotters::prelude::*;

/// Width, and height of a panel.
const SIZE: (u32, u32) = (860, 300);
/// What a panel shows of a policy that selects by significance.
pub(crate) const SELECTED: &str = "share of the trained samples that significance selected, %";
pub(crate) const BLUE_LINE: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
pub(crate) const ORANGE_LINE: RGBColor = RGBColor(0xd6, 0x5f, 0x0e);
pub(crate) const GREY_LINE: RGBColor = RGBColor(0x6b, 0x6b, 0x6b);

pub(crate) type Points = Vec<(f64, f64)>;
pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

struct Curve<'a> {
    label: &'a str,
    colour: RGBColor,
    points: Points,
}

/// Draws the events of a run. An error is the drawing library's.
pub(crate) fn svg(events: &[Event], title: &str, is_text: bool) -> Result<String, String> {
    let mut text = String::new();
    draw(events, title, is_text, &mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

fn draw(events: &[Event], title: &str, is_text: bool, text: &mut String) -> Outcome {
    let steps: Vec<&StepEvent> =
        events.iter().filter_map(|e| if let Event::Step(s) = e { Some(s) } else { None }).collect();
    let epochs = steps.last().map_or(1.0, |step| step.epoch);
    let over = |value: &dyn Fn(&StepEvent) -> Option<f64>| -> Points {
        steps.iter().filter_map(|step| Some((step.epoch, value(step)?))).collect()
    };
    let target = steps.first().map_or(0.0, |step| 100.0 * step.control.target);
    let test = |of: fn(f64, f64) -> f64| -> Points {
        let evaluated = events.iter().filter_map(|event| match event {
            Event::Evaluated { epoch, accuracy, loss, .. } => Some((*epoch, of(*accuracy, *loss))),
            _ => None,
        });
        evaluated.collect()
    };

    let share = smooth(selected(&steps));
    let count = if share.is_empty() { 2 } else { 3 };
    let root = SVGBackend::with_string(text, (SIZE.0, SIZE.1 * count)).into_drawing_area();
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 20))?;
    let panels = root.split_evenly((count as usize, 1));
    let (area_of_share, last) = (panels.get(1).filter(|_| count == 3), &panels[panels.len() - 1]);
    let rate = [
        Curve { label: "target", colour: GREY_LINE, points: vec![(0.0, target), (epochs, target)] },
        Curve {
            label: "smoothed, as controlled",
            colour: ORANGE_LINE,
            points: over(&|s| Some(100.0 * s.control.rate?)),
        },
        Curve { label: "so far, as counted", colour: BLUE_LINE, points: over(&|s| Some(100.0 * s.activation)) },
    ];
    let highest = rate.iter().flat_map(|curve| &curve.points).map(|(_, y)| *y).fold(2.0 * target, f64::max);
    // A log with a gap may have no steps. The empty panel still needs a scale.
    let highest = if highest > 0.0 { highest } else { 100.0 };
    panel(&panels[0], "activation rate, % of offered samples", (epochs, 0.0, (1.1 * highest).min(101.0)), &rate)?;
    if let Some(area) = area_of_share {
        let share = [Curve { label: "by significance", colour: BLUE_LINE, points: share }];
        panel(area, SELECTED, (epochs, 0.0, 100.0), &share)?;
    }
    let results = |batches: Points, test: Points| {
        [
            Curve { label: "training batches, smoothed", colour: GREY_LINE, points: smooth(batches) },
            Curve { label: "test", colour: BLUE_LINE, points: test },
        ]
    };
    if is_text {
        let losses = results(over(&|s| Some(s.loss)), test(|_, loss| loss));
        let highest = losses.iter().flat_map(|curve| &curve.points).map(|(_, y)| *y).fold(0.1, f64::max);
        panel(last, "loss, nats a token", (epochs, 0.0, 1.05 * highest), &losses)?;
    } else {
        let accuracies = results(over(&|s| Some(s.accuracy)), test(|accuracy, _| accuracy));
        panel(last, "accuracy, %", (epochs, 0.0, 100.0), &accuracies)?;
    }
    root.present()?;
    Ok(())
}

/// The share of each step's samples that significance selected, in percent; empty if the policy never says.
pub(crate) fn selected(steps: &[&StepEvent]) -> Points {
    // Where coverage selected all of a batch, its share is absent.
    let says = steps.iter().any(|step| step.selected.is_some());
    let share = |step: &&StepEvent| (step.epoch, 100.0 * step.selected.unwrap_or(0.0));
    steps.iter().filter(|_| says).map(share).collect()
}

/// A centred moving average over a fortieth of the run, so that the noise of batches does not hide the curve.
pub(crate) fn smooth(points: Points) -> Points {
    let reach = points.len() / 80;
    (0..points.len())
        .map(|i| {
            let near = &points[i.saturating_sub(reach)..(i + reach + 1).min(points.len())];
            (points[i].0, near.iter().map(|(_, y)| y).sum::<f64>() / near.len() as f64)
        })
        .collect()
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    (epochs, low, high): (f64, f64, f64),
    curves: &[Curve<'_>],
) -> Outcome {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(46)
        .build_cartesian_2d(0.0..epochs, low..high)?;
    chart.configure_mesh().x_desc("nominal epochs").light_line_style(WHITE).label_style(("sans-serif", 12)).draw()?;
    for Curve { label, colour, points } in curves.iter().filter(|curve| !curve.points.is_empty()) {
        let colour = *colour;
        let series = chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        series.label(*label).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        if points.len() <= 50 {
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
        }
    }
    if curves.len() == 1 {
        return Ok(()); // the caption is enough
    }
    // Rates stay low in their panel and accuracies end high, so the free corner differs.
    let corner = if high == 100.0 { SeriesLabelPosition::LowerRight } else { SeriesLabelPosition::UpperRight };
    let labels = chart.configure_series_labels();
    { labels }
        .position(corner)
        .background_style(WHITE.mix(0.8))
        .border_style(GREY_LINE)
        .label_font(("sans-serif", 12))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(selected: Option<f64>) -> Vec<Event> {
        let share = selected.map_or(String::new(), |share| format!(r#","selected":{share}"#));
        let step = |n: u32| {
            format!(
                r#"{{"event":"step","step":{n},"epoch":{n}.0,"offered":{n}0,"trained":{n},"loss":2.0,"accuracy":30.0,"lr":0.1,
                "activation":0.1,"control":{{"target":0.1}}{share}}}"#
            )
        };
        (1..=3).map(|n| serde_json::from_str(&step(n)).unwrap()).collect()
    }

    /// Of a policy that selects by significance, and of no other.
    #[test]
    fn the_share_that_was_selected_is_drawn() {
        let of = |selected| svg(&events(selected), "title", false).unwrap();
        assert!(of(Some(0.8)).contains(SELECTED));
        assert!(!of(None).contains(SELECTED));
    }
}
