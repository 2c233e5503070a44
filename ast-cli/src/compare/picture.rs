//! `comparison.svg`: per arm a row with every run, every pair, and the interval of their mean.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::comparison::Comparison;
use super::verdict::{Difference, LEVEL, REFERENCES, Terms};
use crate::output::wrapped;
use crate::plot::{BLUE_LINE, GREY_LINE, ORANGE_LINE, Outcome};

const HEAD: u32 = 82;
const ROW: u32 = 46;
const AXIS: u32 = 44;
const PANEL: u32 = 380;
/// Height of a line of text below the panels.
const LINE: u32 = 17;
/// Approximate width of a character of the arms' names.
const CHARACTER: u32 = 7;

/// What a row shows in one panel.
struct Marks<'a> {
    colour: RGBColor,
    values: &'a [f64],
    mean: f64,
    interval: Option<[f64; 2]>,
}

/// Draws the picture. An error is the drawing library's.
pub(super) fn svg(comparison: &Comparison) -> Result<String, String> {
    let mut text = String::new();
    draw(comparison, &mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

fn draw(comparison: &Comparison, text: &mut String) -> Outcome {
    let Comparison { arms: rows, terms, caveats, .. } = comparison;
    let reference = REFERENCES.into_iter().find(|to| rows.iter().any(|row| row.against(to).is_some()));
    let names: Vec<(&str, &str)> = rows.iter().map(|row| row.arm.split_once(':').unwrap_or((&row.arm, ""))).collect();
    let longest = names.iter().flat_map(|(policy, settings)| [policy.len(), settings.len()]).max().unwrap_or(0);
    let labels = CHARACTER * longest as u32 + 40;
    let panels = 1 + u32::from(reference.is_some());
    let width = (labels + panels * PANEL).max(780);
    let chart = HEAD + ROW * rows.len() as u32 + AXIS;
    let below = |text: &str| wrapped(text, (width as usize - 40) / 6);
    let notes: Vec<String> = caveats.iter().flat_map(|caveat| below(&caveat.text)).collect();
    let size = (width, chart + if notes.is_empty() { 0 } else { LINE * (1 + notes.len() as u32) });

    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, foot) = root.split_vertically(chart);
    for (i, line) in notes.into_iter().enumerate() {
        foot.draw(&Text::new(line, (20, (LINE * i as u32 + LINE / 2) as i32), ("sans-serif", 12)))?;
    }
    let (head, body) = above.split_vertically(HEAD);
    let result = terms.result.trim_end_matches(" %");
    legend(&head, result)?;
    let (left, right) = body.split_horizontally(labels);
    for (i, (policy, settings)) in names.into_iter().enumerate() {
        let middle = (ROW * i as u32 + ROW / 2) as i32;
        let top = if settings.is_empty() { middle - 7 } else { middle - 15 };
        left.draw(&Text::new(policy, (20, top), ("sans-serif", 14)))?;
        left.draw(&Text::new(settings, (20, middle + 3), ("sans-serif", 12).into_font().color(&GREY_LINE)))?;
    }
    let (accuracy, difference) = right.split_horizontally(PANEL);
    let of_runs = rows.iter().map(|row| {
        Some(Marks { colour: BLACK, values: &row.accuracies, mean: row.accuracy, interval: row.accuracy_interval })
    });
    // A single run has no span; a tenth of a point is about the smallest that is visible.
    let least = 10f64.powi(1 - terms.decimals as i32);
    panel(&accuracy, &terms.result.replace(" %", ", %"), false, least, &of_runs.collect::<Vec<_>>())?;
    if let Some(to) = reference {
        let of_pairs = rows.iter().map(|row| row.against(to).map(|difference| marks(difference, terms)));
        panel(
            &difference,
            &format!("difference to {to}{}", terms.unit.replace(' ', ", ")),
            true,
            least,
            &of_pairs.collect::<Vec<_>>(),
        )?;
    }
    root.present()?;
    Ok(())
}

fn marks<'a>(difference: &'a Difference, terms: &Terms) -> Marks<'a> {
    let Difference { values, mean, interval, established, .. } = difference;
    let colour = match established {
        true if difference.is_ahead(terms) => BLUE_LINE,
        true => ORANGE_LINE,
        false => GREY_LINE,
    };
    Marks { colour, values, mean: *mean, interval: *interval }
}

fn legend(area: &DrawingArea<SVGBackend<'_>, Shift>, result: &str) -> Outcome {
    let title = format!("The {result} of every run, paired by seed");
    area.draw(&Text::new(title, (20, 10), ("sans-serif", 20)))?;
    let about = "A small dot is a run or a pair, a large one their mean, a line its 95 % interval.";
    area.draw(&Text::new(about, (20, 36), ("sans-serif", 13)))?;
    let about = format!("Established (an interval without 0, and p of at most {LEVEL}):");
    area.draw(&Text::new(about, (20, 54), ("sans-serif", 13)))?;
    for (x, word, colour) in [(370, "ahead", BLUE_LINE), (435, "behind", ORANGE_LINE), (505, "neither", GREY_LINE)] {
        area.draw(&Circle::new((x, 60), 5, colour.filled()))?;
        area.draw(&Text::new(word, (x + 11, 54), ("sans-serif", 13)))?;
    }
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    caption: &str,
    with_zero: bool,
    least: f64,
    rows: &[Option<Marks<'_>>],
) -> Outcome {
    let shown = || rows.iter().flatten().flat_map(|marks| marks.values.iter().chain(marks.interval.iter().flatten()));
    let shown = shown().copied().filter(|x| x.is_finite()).chain(with_zero.then_some(0.0));
    let (low, high) = shown.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
    let margin = (0.06 * (high - low)).max(least);
    let mut chart = ChartBuilder::on(area)
        .margin_right(24)
        .x_label_area_size(AXIS)
        .build_cartesian_2d(low - margin..high + margin, 0.0..rows.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_desc(caption)
        .x_labels(7)
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .label_style(("sans-serif", 12))
        .draw()?;
    if with_zero {
        chart.draw_series([PathElement::new([(0.0, 0.0), (0.0, rows.len() as f64)], BLACK)])?;
    }
    for (i, Marks { colour, values, mean, interval }) in
        rows.iter().enumerate().filter_map(|(i, marks)| Some((i, marks.as_ref()?)))
    {
        let y = rows.len() as f64 - i as f64 - 0.5;
        if let Some([low, high]) = *interval {
            chart.draw_series([PathElement::new([(low, y), (high, y)], colour.stroke_width(3))])?;
        }
        let finite = values.iter().filter(|value| value.is_finite());
        chart.draw_series(finite.map(|value| Circle::new((*value, y), 3, colour.mix(0.4).filled())))?;
        if mean.is_finite() {
            chart.draw_series([Circle::new((*mean, y), 6, colour.filled())])?;
        }
    }
    Ok(())
}
