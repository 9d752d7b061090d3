//! Figures as SVG.
//!
//! Plotters draws with fixed colours, while a page is read by day and by night: every colour drawn here is a stand-in
//! that becomes one of the page's CSS variables at the end.

use crate::output::figure;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use quadrat::{Error, Plot, Result, stats};
use std::ops::Range;

/// A figure and the entries of its legend: name and number of the colour.
#[derive(Debug, Clone, Default)]
pub struct Drawing {
    /// The drawing.
    pub svg: String,
    /// Name and colour of each series.
    pub legend: Vec<(String, usize)>,
}

/// Points of one kind on a map.
pub struct Layer {
    /// Its name in the legend.
    pub name: String,
    /// Where its points are.
    pub points: Vec<[f64; 2]>,
    /// Number of its colour.
    pub colour: usize,
    /// Radius of a point in half pixels.
    pub radius: u32,
}

/// Colours the style sheet knows.
const COLOURS: usize = 8;
const INK: RGBColor = RGBColor(1, 1, 1);
const SOFT: RGBColor = RGBColor(2, 2, 2);
const RULE: RGBColor = RGBColor(3, 3, 3);

fn colour(number: usize) -> RGBColor {
    RGBColor(0, 9, (number % COLOURS) as u8)
}

/// Drawn at twice the size it is shown at, since plotters works in whole pixels.
const WIDTH: u32 = 1640;
const FONT: f64 = 30.0;

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn<'b> = std::result::Result<(), DrawingAreaErrorKind<<SVGBackend<'b> as DrawingBackend>::ErrorType>>;

/// An axis: the range to show, its label, and whether values on it are logarithms.
struct Axis<'a> {
    range: Range<f64>,
    label: &'a str,
    log: bool,
}

impl<'a> Axis<'a> {
    fn around(values: impl Iterator<Item = f64>, label: &'a str, log: bool) -> Self {
        let (low, high) =
            values.filter(|v| v.is_finite()).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let room = if high > low { 0.04 * (high - low) } else { 0.5 * high.abs().max(1e-9) };
        Axis { range: low - room..high + room, label, log }
    }

    fn tick(&self, value: f64) -> String {
        // A tick that should be zero often comes out as a rounding error of its neighbours.
        let near_zero = value.abs() < 1e-9 * (self.range.end - self.range.start);
        figure(if self.log {
            10f64.powf(value)
        } else if near_zero {
            0.0
        } else {
            value
        })
    }
}

/// Draws on a frame with axes; `bare` leaves the axes out.
fn draw<'b>(
    svg: &'b mut String,
    height: u32,
    (x, y): (&Axis, &Axis),
    bare: bool,
    paint: impl FnOnce(&mut Chart<'_, 'b>) -> Drawn<'b>,
) -> Drawn<'b> {
    let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    let (left, bottom) = if bare { (0, 0) } else { (150, 96) };
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .margin_right(24)
        .y_label_area_size(left)
        .x_label_area_size(bottom)
        .build_cartesian_2d(x.range.clone(), y.range.clone())?;
    if !bare {
        let text = |size: f64, colour: RGBColor| ("sans-serif", size).into_font().color(&colour);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(RULE.stroke_width(2))
            .axis_style(RULE.stroke_width(2))
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(&|v| x.tick(*v))
            .y_label_formatter(&|v| y.tick(*v))
            .x_desc(x.label)
            .y_desc(y.label)
            .label_style(text(FONT, SOFT))
            .axis_desc_style(text(FONT, INK))
            .draw()?;
    }
    paint(&mut chart)?;
    root.present()
}

/// Hands the finished drawing over, its stand-ins replaced by the page's colours.
fn finish(drawn: std::result::Result<String, String>, height: u32, legend: Vec<(String, usize)>) -> Result<Drawing> {
    let mut svg = drawn.map_err(|why| Error::numeric("figure", why))?;
    for (stand_in, variable) in [(INK, "ink".to_owned()), (SOFT, "soft".to_owned()), (RULE, "rule".to_owned())]
        .into_iter()
        .chain((0..COLOURS).map(|i| (colour(i), format!("c{i}"))))
    {
        let RGBColor(r, g, b) = stand_in;
        svg = svg.replace(&format!("\"#{r:02X}{g:02X}{b:02X}\""), &format!("\"var(--{variable})\""));
    }
    // The page gives the size, the view box the proportions; inside a page SVG needs no namespace.
    let (_, body) = svg.split_once('>').unwrap_or_default();
    let svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">{body}");
    let svg = svg.replace(" stroke=\"none\" stroke-width=\"1\"", "");
    Ok(Drawing { svg, legend })
}

fn logarithm(value: f64, log: bool) -> f64 {
    if log { value.log10() } else { value }
}

/// Curves, with a band where they have error bars (single points with a bar). The first colour is left to backgrounds.
pub fn curves(plot: &Plot) -> Result<Drawing> {
    let place = |p: &[f64; 4]| {
        let y = |v| logarithm(v, plot.log_y);
        [logarithm(p[0], plot.log_x), y(p[1]), y(p[2]), y(p[3])]
    };
    let usable = |p: &[f64; 4]| p.iter().all(|v| v.is_finite());
    let series: Vec<Vec<[f64; 4]>> =
        plot.series.iter().map(|s| s.points.iter().map(place).filter(usable).collect()).collect();
    let all = || series.iter().flatten();
    let x = Axis::around(all().map(|p| p[0]), &plot.x, plot.log_x);
    let y = Axis::around(all().flat_map(|p| [p[1], p[2], p[3]]), &plot.y, plot.log_y);
    let mut svg = String::new();
    let drawn = draw(&mut svg, 780, (&x, &y), false, |chart| {
        for (i, points) in series.iter().enumerate() {
            let paint = colour(i + 1);
            if points.len() < 3 {
                let bar =
                    |p: &[f64; 4]| PathElement::new(vec![(p[0], p[2]), (p[0], p[3])], paint.mix(0.5).stroke_width(3));
                chart.draw_series(points.iter().map(bar))?;
            } else if points.iter().any(|p| p[2] != p[3]) {
                let upper = points.iter().map(|p| (p[0], p[3]));
                let lower = points.iter().rev().map(|p| (p[0], p[2]));
                chart.draw_series([Polygon::new(upper.chain(lower).collect::<Vec<_>>(), paint.mix(0.16))])?;
            }
            chart.draw_series(LineSeries::new(points.iter().map(|p| (p[0], p[1])), paint.stroke_width(4)))?;
            if points.len() <= 40 {
                chart.draw_series(points.iter().map(|p| Circle::new((p[0], p[1]), 7, paint.filled())))?;
            }
        }
        Ok(())
    })
    .map_err(|e| e.to_string());
    let legend = plot.series.iter().enumerate().map(|(i, s)| (s.name.clone(), (i + 1) % COLOURS)).collect();
    finish(drawn.map(|()| svg), 780, legend)
}

/// A map of points in the plane, later layers on top.
pub fn scatter(layers: &[Layer]) -> Result<Drawing> {
    let all = || layers.iter().flat_map(|layer| &layer.points);
    let x = Axis::around(all().map(|p| p[0]), "", false);
    let y = Axis::around(all().map(|p| p[1]), "", false);
    let mut svg = String::new();
    let drawn = draw(&mut svg, 900, (&x, &y), true, |chart| {
        for layer in layers {
            let style = colour(layer.colour).mix(if layer.colour == 0 { 0.55 } else { 0.9 }).filled();
            chart.draw_series(layer.points.iter().map(|p| Circle::new((p[0], p[1]), layer.radius, style)))?;
        }
        Ok(())
    })
    .map_err(|e| e.to_string());
    finish(drawn.map(|()| svg), 900, layers.iter().map(|layer| (layer.name.clone(), layer.colour)).collect())
}

/// Points against two axes, with a line where the second is zero: what is left over of predictions.
#[cfg(feature = "networks")]
pub fn residuals(points: &[[f64; 2]], x: &str, y: &str) -> Result<Drawing> {
    let x = Axis::around(points.iter().map(|p| p[0]), x, false);
    let y = Axis::around(points.iter().map(|p| p[1]).chain([0.0]), y, false);
    let mut svg = String::new();
    let drawn = draw(&mut svg, 780, (&x, &y), false, |chart| {
        let style = colour(1).mix(0.6).filled();
        chart.draw_series(points.iter().map(|p| Circle::new((p[0], p[1]), 5, style)))?;
        chart.draw_series(LineSeries::new([(x.range.start, 0.0), (x.range.end, 0.0)], SOFT.stroke_width(3)))?;
        Ok(())
    })
    .map_err(|e| e.to_string());
    finish(drawn.map(|()| svg), 780, Vec::new())
}

/// Values as bars from zero, the largest first.
pub fn sorted_bars(values: &[f64], label: &str) -> Result<Drawing> {
    /// More than these are no wider than a pixel.
    const MOST: usize = 1500;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let shown = sorted.len().min(MOST);
    // The axis counts queries, also where a bar stands for several.
    let width = sorted.len() as f64 / shown.max(1) as f64;
    let x = Axis { range: 0.0..sorted.len().max(1) as f64, label: "queries", log: false };
    let y = Axis::around(sorted.iter().copied().chain([0.0]), label, false);
    let mut svg = String::new();
    let drawn = draw(&mut svg, 620, (&x, &y), false, |chart| {
        chart.draw_series((0..shown).map(|bar| {
            let value = sorted[bar * sorted.len() / shown];
            let corners = [((bar as f64 + 0.04) * width, 0.0), ((bar as f64 + 0.96) * width, value)];
            Rectangle::new(corners, colour(if value < 0.0 { 2 } else { 1 }).filled())
        }))?;
        Ok(())
    })
    .map_err(|e| e.to_string());
    finish(drawn.map(|()| svg), 620, Vec::new())
}

/// How often values fall into each of up to 40 bins of equal width.
pub fn histogram(values: &[f64], label: &str) -> Result<Drawing> {
    let low = stats::quantile(values, 0.0);
    let high = stats::quantile(values, 1.0);
    let bins = ((values.len() as f64).sqrt().ceil() as usize).clamp(1, 40);
    let width = if high > low { (high - low) / bins as f64 } else { low.abs().max(1.0) / bins as f64 };
    let mut counts = vec![0u32; bins];
    for value in values {
        let bin = (((value - low) / width) as usize).min(bins - 1);
        counts[bin] += 1;
    }
    let tallest = counts.iter().max().copied().unwrap_or(0);
    let x = Axis::around([low, low + width * bins as f64].into_iter(), label, false);
    let y = Axis { range: 0.0..1.06 * f64::from(tallest.max(1)), label: "rows", log: false };
    let mut svg = String::new();
    let drawn = draw(&mut svg, 620, (&x, &y), false, |chart| {
        chart.draw_series(counts.iter().enumerate().map(|(bin, &rows)| {
            let left = low + width * bin as f64;
            let corners = [(left + 0.06 * width, 0.0), (left + 0.94 * width, f64::from(rows))];
            Rectangle::new(corners, colour(1).filled())
        }))?;
        Ok(())
    })
    .map_err(|e| e.to_string());
    finish(drawn.map(|()| svg), 620, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat::Series;

    fn plot(points: Vec<[f64; 4]>) -> Plot {
        let series = vec![Series { name: "a <b>".into(), points }];
        Plot { title: "t".into(), x: "rows".into(), y: "error".into(), log_x: true, log_y: false, series }
    }

    #[test]
    fn colours_become_variables_of_the_page() {
        let drawing = curves(&plot(vec![[1.0, 2.0, 1.5, 2.5], [10.0, 1.0, 0.5, 1.5]])).unwrap();
        assert!(drawing.svg.starts_with("<svg") && drawing.svg.trim_end().ends_with("</svg>"));
        assert!(drawing.svg.contains("var(--c1)") && drawing.svg.contains("var(--soft)"));
        assert!(!drawing.svg.contains("\"#0"), "{}", drawing.svg);
        assert_eq!(drawing.legend, [("a <b>".to_owned(), 1)]);
    }

    #[test]
    fn empty_flat_and_infinite_series_are_drawn() {
        for points in
            [vec![], vec![[5.0, 1.0, 1.0, 1.0]], vec![[0.0, 1.0, 1.0, 1.0], [1.0, f64::NAN, 0.0, f64::INFINITY]]]
        {
            assert!(curves(&plot(points)).is_ok());
        }
        for values in [vec![], vec![1.0], vec![2.0; 9], vec![1e300, -1e300, 0.0]] {
            assert!(histogram(&values, "weight").is_ok());
            assert!(sorted_bars(&values, "map").is_ok());
        }
        assert!(scatter(&[]).is_ok());
        #[cfg(feature = "networks")]
        for points in [vec![], vec![[1.0, 0.0]; 3], vec![[1.0, 2.0], [f64::NAN, f64::INFINITY]]] {
            assert!(residuals(&points, "predicted", "left over").is_ok());
        }
        let layer = Layer { name: "chosen".into(), points: vec![[0.0, 0.0]; 3], colour: 1, radius: 5 };
        assert!(scatter(&[layer]).is_ok());
    }
}
