//! Writing SVG: elements, numbers, and text that cannot break out of its place.

use std::fmt::Write;

/// A drawing being written.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    body: String,
}

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        }
    }
}

/// Grey that is read on white and on black; the ground stays transparent, so that the page's own shows.
pub(super) const INK: &str = "#7d8590";
/// Lines behind the data.
pub(super) const GRID: &str = "#7d85904d";

impl Drawing {
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), color: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.put(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{color}\" stroke-width=\"1\"/>"
        ));
    }

    pub(super) fn path(&mut self, points: &[(f64, f64)], color: &str, dashed: bool) {
        let mut way = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let step = if index == 0 { "M" } else { " L" };
            let _ = write!(way, "{step}{x:.1} {y:.1}");
        }
        let dashes = if dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        self.put(format_args!(
            "<path d=\"{way}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\" stroke-linejoin=\"round\"{dashes}/>"
        ));
    }

    pub(super) fn dot(&mut self, (x, y): (f64, f64), color: &str) {
        self.put(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{color}\"/>"));
    }

    pub(super) fn bar(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), color: &str) {
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\" fill=\"{color}\"/>"
        ));
    }

    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, size: u32, text: &str) {
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{}\" font-size=\"{size}\" fill=\"{INK}\">{}</text>",
            anchor.name(),
            escaped(text)
        ));
    }

    /// The whole file.
    pub(super) fn finish(self, width: u32, height: u32, title: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" font-family=\"system-ui, -apple-system, 'Segoe UI', sans-serif\">\n\
             <title>{}</title>\n{}</svg>\n",
            escaped(title),
            self.body
        )
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}

/// As XML wants text, in elements and in attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            other if other.is_control() => {}
            other => out.push(other),
        }
    }
    out
}
