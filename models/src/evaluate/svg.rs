//! Panels with axes, lines and bars, as SVG: light, with every axis named.

use std::fmt::Write as _;

/// Size of a panel with its margins, and of the margins.
pub(crate) const WIDTH: f64 = 400.0;
pub(crate) const HEIGHT: f64 = 290.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 46.0;

/// A page of panels.
pub(crate) struct Page {
    columns: usize,
    panels: usize,
    body: String,
    /// What the colours mean.
    legend: Vec<(&'static str, &'static str)>,
}

/// The frame of one panel.
pub(crate) struct Frame<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: (&'a str, f64, f64),
    pub(crate) y: (&'a str, f64, f64),
    /// Where the horizontal axis has numbers.
    pub(crate) marks: &'a [f64],
}

/// A panel to draw into.
pub(crate) struct Panel<'a> {
    page: &'a mut Page,
    origin: (f64, f64),
    x: (f64, f64),
    y: (f64, f64),
}

/// What text may hold within markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Page {
    pub(crate) fn new(columns: usize, legend: Vec<(&'static str, &'static str)>) -> Self {
        Self { columns: columns.max(1), panels: 0, body: String::new(), legend }
    }

    /// The next panel, with its axes.
    #[allow(clippy::cast_precision_loss)] // a handful of panels
    pub(crate) fn panel(&mut self, frame: &Frame<'_>) -> Panel<'_> {
        let (column, row) = (self.panels % self.columns, self.panels / self.columns);
        self.panels += 1;
        let (_, low, high) = frame.y;
        let y = if high > low { (low, high) } else { (low, low + 1.0) };
        let origin = (column as f64 * WIDTH, row as f64 * HEIGHT + 30.0);
        let mut panel = Panel { page: self, origin, x: (frame.x.1, frame.x.2), y };
        panel.axes(frame);
        panel
    }

    /// The whole file.
    #[allow(clippy::cast_precision_loss)] // a handful of panels
    pub(crate) fn finish(self) -> String {
        let width = self.columns.min(self.panels.max(1)) as f64 * WIDTH;
        let height = self.panels.div_ceil(self.columns).max(1) as f64 * HEIGHT + 30.0;
        let mut legend = String::new();
        let mut x = LEFT;
        for (name, colour) in &self.legend {
            let _ = write!(
                legend,
                "<rect x=\"{x:.0}\" y=\"11\" width=\"16\" height=\"4\" fill=\"{colour}\"/>\
                 <text x=\"{:.0}\" y=\"18\">{}</text>",
                x + 22.0,
                escape(name)
            );
            x += 40.0 + 7.0 * name.len() as f64;
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{legend}\n{}</svg>\n",
            self.body
        )
    }
}

impl Panel<'_> {
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let part = |value: f64, (low, high): (f64, f64)| ((value - low) / (high - low)).clamp(-0.02, 1.02);
        let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        (self.origin.0 + LEFT + part(x, self.x) * width, self.origin.1 + TOP + (1.0 - part(y, self.y)) * height)
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, more: &str, text: &str) {
        let text = escape(text);
        let _ = writeln!(self.page.body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{more}>{text}</text>");
    }

    fn stroke(&mut self, from: (f64, f64), to: (f64, f64), colour: &str) {
        let ((x, y), (u, v)) = (from, to);
        let _ = writeln!(
            self.page.body,
            "<line x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{u:.1}\" y2=\"{v:.1}\" stroke=\"{colour}\"/>"
        );
    }

    fn axes(&mut self, frame: &Frame<'_>) {
        let ((left, right), (low, high)) = (self.x, self.y);
        for value in ticks(low, high) {
            let (from, to) = (self.at(left, value), self.at(right, value));
            self.stroke(from, to, "#e4e4e4");
            self.text((from.0 - 6.0, from.1 + 4.0), "end", "", &short(value));
        }
        for mark in frame.marks {
            let (x, y) = self.at(*mark, low);
            self.stroke((x, y), (x, y + 4.0), "#888");
            self.text((x, y + 17.0), "middle", "", &short(*mark));
        }
        let (from, to) = (self.at(left, low), self.at(right, low));
        self.stroke(from, to, "#888");
        let centre = f64::midpoint(from.0, to.0);
        self.text((centre, from.1 + 35.0), "middle", "", frame.x.0);
        self.text((centre, self.origin.1 + 20.0), "middle", " font-weight=\"bold\"", frame.title);
        let (x, y) = (self.origin.0 + 14.0, self.at(left, f64::midpoint(low, high)).1);
        self.text((x, y), "middle", &format!(" transform=\"rotate(-90 {x:.1} {y:.1})\""), frame.y.0);
    }

    /// A line through points; a dot on each where there are few.
    pub(crate) fn line(&mut self, points: &[(f64, f64)], colour: &str, width: f64) {
        let placed: Vec<(f64, f64)> =
            points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()).map(|(x, y)| self.at(*x, *y)).collect();
        let path: Vec<String> = placed.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            self.page.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
            path.join(" ")
        );
        for (x, y) in placed.iter().filter(|_| placed.len() < 12) {
            let _ = writeln!(self.page.body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{:.1}\" fill=\"{colour}\"/>", width + 0.8);
        }
    }

    /// A filled rectangle between two corners.
    pub(crate) fn fill(&mut self, from: (f64, f64), to: (f64, f64), colour: &str) {
        let ((x, y), (u, v)) = (self.at(from.0, from.1), self.at(to.0, to.1));
        let (left, top, width, height) = (x.min(u), y.min(v), (u - x).abs(), (v - y).abs());
        let _ = writeln!(
            self.page.body,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
        );
    }
}

/// Round numbers between two others.
pub(crate) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 4.0;
    if !rough.is_finite() || rough <= 0.0 {
        return vec![low];
    }
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough).unwrap_or(power);
    let first = (low / step).ceil();
    (0..12).map(|n| (first + f64::from(n)) * step).take_while(|v| *v <= high + step * 1e-6).collect()
}

fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    match text.trim_end_matches('0').trim_end_matches('.') {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_a_few_round_numbers() {
        assert_eq!(ticks(0.0, 1.0), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(ticks(0.0, 5.6), [0.0, 2.0, 4.0]);
        assert_eq!(ticks(3.0, 3.0), [3.0]);
        assert_eq!(ticks(0.0, f64::NAN), [0.0]);
        assert_eq!([0.25, 2.0, -0.0].map(short), ["0.25", "2", "0"]);
    }

    #[test]
    fn a_page_is_well_formed_whatever_is_drawn() {
        let mut page = Page::new(2, vec![("a < b", "#000")]);
        for y in [(0.0, 1.0), (1.0, 1.0)] {
            let frame = Frame { title: "rain >= 0.1 & more", x: ("x", 0.0, 1.0), y: ("y", y.0, y.1), marks: &[0.0, 1.0] };
            let mut panel = page.panel(&frame);
            panel.line(&[(0.0, f64::NAN), (0.5, 3.0), (1.0, f64::INFINITY)], "#123", 2.0);
            panel.fill((0.0, 0.0), (1.0, 1.0), "#eee");
        }
        let svg = page.finish();
        assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains(">= 0.1 & "));
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
    }
}
