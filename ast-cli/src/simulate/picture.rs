//! Draws two panels per case: the activation rate with its target, and the thresholds of adaptive policies.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::case::Case;
use super::policies::{NAMES, Trace, Turn};
use crate::plot::{BLUE_LINE, GREY_LINE, ORANGE_LINE, Outcome, Points, smooth};

const WIDTH: u32 = 1100;
const ROW: u32 = 230;
const HEAD: u32 = 70;
const GREEN_LINE: RGBColor = RGBColor(0x2c, 0xa0, 0x2c);
const PURPLE_LINE: RGBColor = RGBColor(0x94, 0x67, 0xbd);
const SHADE: RGBColor = RGBColor(0xf0, 0xf0, 0xf0);
/// Number of points per curve; more than the pixels show would only enlarge the file.
const MOST_POINTS: usize = 300;

struct Curve {
    colour: RGBColor,
    width: u32,
    points: Points,
}

/// Draws all cases. The error is that of the drawing library.
pub(super) fn svg(run: &[(Case, Vec<Trace>)]) -> Result<String, String> {
    let mut text = String::new();
    draw(run, &mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

/// Colour and width of a policy's curve. Curves drawn first are wider, so that they stay visible.
fn style(policy: &str) -> (RGBColor, u32) {
    match policy {
        "ast" => (BLUE_LINE, 2),
        "original" => (ORANGE_LINE, 2),
        "fixed-threshold" => (GREEN_LINE, 2),
        _ => (PURPLE_LINE, 4),
    }
}

fn draw(run: &[(Case, Vec<Trace>)], text: &mut String) -> Outcome {
    let root = SVGBackend::with_string(text, (WIDTH, HEAD + ROW * run.len() as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(HEAD);
    legend(&head)?;
    for ((case, traces), row) in run.iter().zip(body.split_evenly((run.len(), 1))) {
        let (left, right) = row.split_horizontally(WIDTH / 2);
        rates(&left, case, traces)?;
        thresholds(&right, case, traces)?;
    }
    root.present()?;
    Ok(())
}

fn legend(area: &DrawingArea<SVGBackend<'_>, Shift>) -> Outcome {
    area.draw(&Text::new("Policies in closed loop, all on the same scores", (20, 12), ("sans-serif", 20)))?;
    let names = NAMES.map(|name| (name, style(name)));
    for (i, (name, (colour, width))) in names.into_iter().chain([("target", (BLACK, 1))]).enumerate() {
        let x = 24 + 130 * i as i32;
        area.draw(&PathElement::new([(x, 50), (x + 30, 50)], colour.stroke_width(width)))?;
        area.draw(&Text::new(name, (x + 38, 43), ("sans-serif", 14)))?;
    }
    let note = "curves are centred means over a fortieth of the run";
    area.draw(&Text::new(note, (24 + 130 * 5, 43), ("sans-serif", 14).into_font().color(&GREY_LINE)))?;
    Ok(())
}

fn rates(area: &DrawingArea<SVGBackend<'_>, Shift>, case: &Case, traces: &[Trace]) -> Outcome {
    let curves: Vec<Curve> = curves(traces.iter(), |turn| 100.0 * turn.rate).collect();
    let target = |(k, target): (usize, &f64)| (k as f64, 100.0 * target);
    let target = Curve { colour: BLACK, width: 1, points: case.targets.iter().enumerate().map(target).collect() };
    let before = case.targets.first().copied().unwrap_or_default();
    let top = (350.0 * before).max(140.0 * case.target()).min(101.0);
    let caption = format!("{}: {}. Activation rate, %", case.name, case.what);
    panel(area, &cut_off(caption, &curves, top), case, top, curves.into_iter().chain([target]))
}

fn thresholds(area: &DrawingArea<SVGBackend<'_>, Shift>, case: &Case, traces: &[Trace]) -> Outcome {
    // Its threshold is a score, which has another scale, and never moves.
    let moved = traces.iter().filter(|trace| trace.policy != "fixed-threshold");
    let caption = format!("{}: threshold, a rank or (original) a significance", case.name);
    panel(area, &caption, case, 1.0, curves(moved, |turn| turn.threshold))
}

fn curves<'a>(
    traces: impl DoubleEndedIterator<Item = &'a Trace>,
    value: impl Fn(&Turn) -> f64,
) -> impl Iterator<Item = Curve> {
    traces.rev().map(move |trace| {
        let (colour, width) = style(trace.policy);
        let points = trace.turns.iter().enumerate().map(|(k, turn)| (k as f64, value(turn))).collect();
        Curve { colour, width, points: smooth(points) }
    })
}

fn cut_off(caption: String, curves: &[Curve], top: f64) -> String {
    let exceeds = curves.iter().flat_map(|curve| &curve.points).any(|(_, y)| *y > top);
    if exceeds { format!("{caption} (cut off)") } else { caption }
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    caption: &str,
    case: &Case,
    top: f64,
    curves: impl Iterator<Item = Curve>,
) -> Outcome {
    let chunks = case.chunks.len();
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 14))
        .margin(10)
        .margin_right(24)
        .x_label_area_size(34)
        .y_label_area_size(46)
        .build_cartesian_2d(0.0..chunks as f64, 0.0..top)?;
    if !case.starved.is_empty() {
        let corners = [(case.starved.start as f64, 0.0), (case.starved.end as f64, top)];
        chart.draw_series([Rectangle::new(corners, SHADE.filled())])?;
    } else if case.event > 0 {
        let line = [(case.event as f64, 0.0), (case.event as f64, top)];
        chart.draw_series([PathElement::new(line, GREY_LINE.mix(0.6))])?;
    }
    chart
        .configure_mesh()
        .x_desc("chunk")
        .x_label_formatter(&|chunk| format!("{chunk:.0}"))
        .x_labels(7)
        .y_labels(6)
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .label_style(("sans-serif", 12))
        .draw()?;
    for Curve { colour, width, points } in curves {
        let step = points.len().div_ceil(MOST_POINTS).max(1);
        let drawn = points.into_iter().step_by(step).filter(|(_, y)| y.is_finite()).map(|(x, y)| (x, y.min(top)));
        chart.draw_series(LineSeries::new(drawn, colour.stroke_width(width)))?;
    }
    Ok(())
}
