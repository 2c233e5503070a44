//! Curves as SVG, in colours of the page, so that they suit a light and a dark one.

use plotters::prelude::*;

use crate::plot::Points;

/// Drawn size in pixels: a phone's width, so that letters stay legible there.
const SIZE: (u32, u32) = (440, 240);
/// Stand-ins, which are replaced by variables of the page's style sheet.
const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
/// Number of colours that the style sheet has for curves.
const COLOURS: u8 = 6;

pub(super) struct Curve {
    pub(super) name: String,
    /// Which of the page's colours.
    pub(super) colour: u8,
    pub(super) points: Points,
    /// Lowest and highest values around it: x, low, high.
    pub(super) band: Vec<(f64, f64, f64)>,
    pub(super) dashed: bool,
}

impl Curve {
    pub(super) fn new(name: impl Into<String>, colour: u8, points: Points) -> Self {
        Self { name: name.into(), colour: colour % COLOURS, points, band: Vec::new(), dashed: false }
    }

    /// A value that stays the same.
    pub(super) fn level(name: impl Into<String>, colour: u8, value: f64, end: f64) -> Self {
        Self { dashed: true, ..Self::new(name, colour, vec![(0.0, value), (end, value)]) }
    }
}

pub(super) struct Chart {
    pub(super) title: String,
    /// What the horizontal axis shows.
    pub(super) across: String,
    /// Bounds of the vertical axis that hold even if all values are within; `None`: those of the values.
    pub(super) bounds: [Option<f64>; 2],
    /// Unit of the values, for the description.
    pub(super) unit: &'static str,
    pub(super) curves: Vec<Curve>,
}

/// A chart as the page shows it.
pub(super) struct Drawn {
    pub(super) title: String,
    /// For those who cannot see it.
    pub(super) description: String,
    /// Name and colour of each curve.
    pub(super) legend: Vec<(String, u8)>,
    pub(super) svg: String,
}

impl Chart {
    /// Draws it; `None` if there is nothing to draw. An error is the drawing library's.
    pub(super) fn drawn(self) -> Result<Option<Drawn>, String> {
        let curves: Vec<&Curve> = self.curves.iter().filter(|curve| !curve.points.is_empty()).collect();
        if curves.is_empty() {
            return Ok(None);
        }
        let mut svg = String::new();
        self.draw(&curves, &mut svg).map_err(|error| format!("cannot draw `{}`: {error}", self.title))?;
        let number = |value: f64| if value.abs() < 10.0 { format!("{value:.3}") } else { format!("{value:.1}") };
        let describe = |curve: &&Curve| {
            let (first, last) = (curve.points[0].1, curve.points[curve.points.len() - 1].1);
            let path = if curve.dashed { number(last) } else { format!("from {} to {}", number(first), number(last)) };
            format!("{}: {path}{}", curve.name, self.unit)
        };
        Ok(Some(Drawn {
            description: curves.iter().map(describe).collect::<Vec<_>>().join("; "),
            legend: curves.iter().map(|curve| (curve.name.clone(), curve.colour)).collect(),
            title: self.title,
            svg: themed(svg),
        }))
    }

    fn draw(&self, curves: &[&Curve], svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
        let values = || {
            let bands = curves.iter().flat_map(|curve| &curve.band).flat_map(|(_, low, high)| [*low, *high]);
            curves.iter().flat_map(|curve| &curve.points).map(|(_, y)| *y).chain(bands).filter(|y| y.is_finite())
        };
        let end = curves.iter().flat_map(|curve| &curve.points).map(|(x, _)| *x).fold(f64::MIN_POSITIVE, f64::max);
        let low = values().fold(self.bounds[0].unwrap_or(f64::INFINITY), f64::min);
        let high = values().fold(self.bounds[1].unwrap_or(f64::NEG_INFINITY), f64::max);
        let room = if high > low { 0.04 * (high - low) } else { 1.0 };
        let low = if self.bounds[0] == Some(low) { low } else { low - room };
        let high = if self.bounds[1] == Some(high) { high } else { high + room };

        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(6)
            .margin_right(14)
            .x_label_area_size(36)
            .y_label_area_size(48)
            .build_cartesian_2d(0.0..end, low..high)?;
        let text = ("sans-serif", 13).into_font().color(&INK);
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(&self.across).x_labels(6).y_labels(6).light_line_style(TRANSPARENT).bold_line_style(GRID);
        mesh.axis_style(GRID).label_style(text.clone()).axis_desc_style(text).draw()?;
        for Curve { colour, points, band, dashed, .. } in curves {
            let colour = RGBColor(16, 16 + colour, 16);
            if !band.is_empty() {
                let below = band.iter().map(|(x, low, _)| (*x, *low));
                let edge: Points = below.chain(band.iter().rev().map(|(x, _, high)| (*x, *high))).collect();
                chart.draw_series([Polygon::new(edge, colour.mix(0.2).filled())])?;
            }
            let finite = points.iter().copied().filter(|(_, y)| y.is_finite());
            if *dashed {
                chart.draw_series(DashedLineSeries::new(finite, 5, 4, colour.stroke_width(1)))?;
                continue;
            }
            chart.draw_series(LineSeries::new(finite.clone(), colour.stroke_width(2)))?;
            if points.len() <= 50 {
                chart.draw_series(finite.map(|point| Circle::new(point, 3, colour.filled())))?;
            }
        }
        root.present()?;
        drop(chart);
        Ok(())
    }
}

/// Gives a picture the colours and the width of the page.
fn themed(svg: String) -> String {
    let (width, height) = SIZE;
    let sized = format!("width=\"{width}\" height=\"{height}\" viewBox");
    let curves = (0..COLOURS).map(|i| (format!("#10{:02X}10", 16 + i), format!("var(--c{i})")));
    let others = [("#010101", "var(--ink)"), ("#020202", "var(--line)"), (&sized, "aria-hidden=\"true\" viewBox")];
    let others = others.into_iter().map(|(from, to)| (from.to_string(), to.to_string()));
    others.chain(curves).fold(svg, |svg, (from, to)| svg.replace(&from, &to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(curves: Vec<Curve>) -> Chart {
        Chart { title: "t".into(), across: "epochs".into(), bounds: [Some(0.0), None], unit: " %", curves }
    }

    /// Every colour is the page's, and the size is not fixed.
    #[test]
    fn pictures_have_the_colours_and_width_of_the_page() {
        let points = vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)];
        let mut curve = Curve::new("a", 5, points);
        curve.band = vec![(0.0, 0.5, 1.5), (2.0, 2.0, 4.0)];
        let drawn = chart(vec![curve, Curve::level("b", 6, 2.0, 2.0)]).drawn().unwrap().unwrap();
        assert_eq!(drawn.legend, [("a".to_string(), 5), ("b".to_string(), 0)]);
        assert_eq!(drawn.description, "a: from 1.000 to 3.000 %; b: 2.000 %");
        for variable in ["var(--ink)", "var(--line)", "var(--c5)", "var(--c0)"] {
            assert!(drawn.svg.contains(variable), "{variable}: {}", drawn.svg);
        }
        assert!(!drawn.svg.contains("\"#") && !drawn.svg.contains("width=\"440\""), "{}", drawn.svg);
        assert!(!drawn.svg.contains("NaN"), "{}", drawn.svg);
    }

    #[test]
    fn nothing_and_a_single_point_are_drawn_without_panic() {
        assert!(chart(Vec::new()).drawn().unwrap().is_none());
        assert!(chart(vec![Curve::new("a", 0, Vec::new())]).drawn().unwrap().is_none());
        assert!(chart(vec![Curve::new("a", 0, vec![(0.0, 0.0)])]).drawn().unwrap().is_some());
    }
}
