//! A line chart and a bar chart, as SVG that is read on light and on dark pages.

use super::axis::{Axis, label};
use super::svg::{Anchor, Drawing, GRID, INK};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = 56.0;
/// Colours told apart by the colour-blind too (after Okabe and Ito, 2008), the blue lighter to be readable on black.
const COLORS: [&str; 5] = ["#2f86c7", "#e69f00", "#009e73", "#d55e00", "#cc79a7"];
/// Height of one bar and of the gap below it.
const BAR: f64 = 20.0;
const GAP: f64 = 14.0;
/// Room for the names before the bars.
const NAMES: f64 = 190.0;
/// Width of a character at size 12, for legends (a little more than most fonts need).
const CHARACTER: f64 = 6.6;

/// Values that belong together.
#[derive(Clone, Debug)]
pub struct Series {
    /// What they are.
    pub name: String,
    /// By rising x.
    pub points: Vec<(f64, f64)>,
    /// Drawn as a dashed line without dots: a formula, not a measurement.
    pub formula: bool,
}

/// What is written around the data.
#[derive(Clone, Debug)]
pub struct Words {
    /// Over the picture.
    pub title: String,
    /// Below it, with the unit.
    pub x: String,
    /// Above the vertical axis, with the unit.
    pub y: String,
}

/// Lines over a numeric axis. `logarithmic` is the vertical axis.
pub fn lines(words: &Words, series: &[Series], logarithmic: bool) -> String {
    let all = |axis: fn(&(f64, f64)) -> f64| series.iter().flat_map(|one| &one.points).map(axis).collect::<Vec<f64>>();
    let horizontal = Axis::linear(&all(|point| point.0), false);
    let vertical = match logarithmic {
        true => Axis::logarithmic(&all(|point| point.1)),
        false => Axis::linear(&all(|point| point.1), true),
    };
    let place = |(x, y): (f64, f64)| {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        (LEFT + (right - LEFT) * horizontal.place(x), bottom - (bottom - TOP) * vertical.place(y))
    };
    let mut drawing = Drawing::default();
    frame(&mut drawing, words, HEIGHT);
    for (tick, text) in vertical.ticks() {
        let (_, y) = place((0.0, tick));
        drawing.line((LEFT, y), (WIDTH - RIGHT, y), GRID);
        drawing.text((LEFT - 8.0, y + 4.0), Anchor::End, 12, &text);
    }
    for (tick, text) in horizontal.ticks() {
        let (x, _) = place((tick, 0.0));
        drawing.line((x, HEIGHT - BOTTOM), (x, HEIGHT - BOTTOM + 5.0), INK);
        drawing.text((x, HEIGHT - BOTTOM + 20.0), Anchor::Middle, 12, &text);
    }
    legend(&mut drawing, series);
    for (one, color) in series.iter().zip(COLORS.iter().cycle()) {
        let points: Vec<(f64, f64)> = one.points.iter().map(|point| place(*point)).collect();
        drawing.path(&points, color, one.formula);
        if !one.formula {
            points.iter().for_each(|point| drawing.dot(*point, color));
        }
    }
    drawing.finish(WIDTH as u32, HEIGHT as u32, &words.title)
}

/// One bar for each name; the first is ours and stands out.
pub fn bars(words: &Words, values: &[(String, f64)]) -> String {
    let bottom = TOP + values.len() as f64 * (BAR + GAP) + 8.0;
    let height = bottom + BOTTOM;
    let most: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    let axis = Axis::linear(&most, true);
    // Room for the last value behind the longest bar.
    let place = |value: f64| NAMES + (WIDTH - RIGHT - 48.0 - NAMES) * axis.place(value);
    let mut drawing = Drawing::default();
    frame(&mut drawing, &Words { y: String::new(), ..words.clone() }, height);
    for (tick, text) in axis.ticks() {
        drawing.line((place(tick), TOP), (place(tick), bottom), GRID);
        drawing.text((place(tick), bottom + 18.0), Anchor::Middle, 12, &text);
    }
    for (index, (name, value)) in values.iter().enumerate() {
        let y = TOP + 8.0 + index as f64 * (BAR + GAP);
        let color = if index == 0 { COLORS[0] } else { INK };
        drawing.text((NAMES - 10.0, y + 14.0), Anchor::End, 12, name);
        drawing.bar((NAMES, y), ((place(*value) - NAMES).max(1.0), BAR), color);
        drawing.text((place(*value) + 6.0, y + 14.0), Anchor::Start, 12, &label((value * 100.0).round() / 100.0));
    }
    drawing.finish(WIDTH as u32, height as u32, &words.title)
}

fn frame(drawing: &mut Drawing, words: &Words, height: f64) {
    drawing.text((LEFT - 48.0, 26.0), Anchor::Start, 16, &words.title);
    drawing.text((LEFT - 48.0, TOP - 14.0), Anchor::Start, 12, &words.y);
    drawing.text(((LEFT + WIDTH - RIGHT) / 2.0, height - 12.0), Anchor::Middle, 12, &words.x);
}

/// In one row at the right, above the data.
fn legend(drawing: &mut Drawing, series: &[Series]) {
    let width = |one: &Series| 52.0 + one.name.chars().count() as f64 * CHARACTER;
    let mut x = WIDTH - RIGHT - series.iter().map(width).sum::<f64>();
    for (one, color) in series.iter().zip(COLORS.iter().cycle()) {
        let y = TOP - 18.0;
        drawing.path(&[(x, y), (x + 22.0, y)], color, one.formula);
        if !one.formula {
            drawing.dot((x + 11.0, y), color);
        }
        drawing.text((x + 28.0, y + 4.0), Anchor::Start, 12, &one.name);
        x += width(one);
    }
}
