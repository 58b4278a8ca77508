//! The plots of an evaluation: errors by lead, coverage, reliability of the chance of rain, and where
//! observations fall among the quantiles.

use weather::QUANTILES;

use super::summary::{Group, Score};
use super::svg::{Frame, Page};
use super::tally::Contender;
use super::{Evaluation, REPORTED};
use crate::scores;

const MARKS: [f64; 6] = [1.0, 6.0, 12.0, 24.0, 36.0, 48.0];
/// What the coverage of an 80 % interval should lie between.
pub(crate) const COVERED: (f64, f64) = (0.77, 0.83);
/// Colours of quantities, where several share a panel.
const QUANTITIES: [(&str, &str); 5] = [
    ("temperature, degC", "#c0392b"),
    ("dew point, degC", "#1e8449"),
    ("pressure, hPa", "#6c3483"),
    ("wind speed, m/s", "#1f618d"),
    ("wind gust, m/s", "#b9770e"),
];

const fn colour(contender: Contender) -> &'static str {
    match contender {
        Contender::Model => "#c0392b",
        Contender::Persistence => "#b8b8b8",
        Contender::Diurnal => "#7f8c8d",
        Contender::Climatology => "#d4ac0d",
        Contender::Damped => "#82c9a0",
        Contender::Blend => "#1e8449",
        Contender::Ridge => "#5dade2",
        Contender::Learned => "#1f3a93",
    }
}

impl Evaluation {
    /// Names of files, and what is in them.
    #[must_use]
    pub fn plots(&self) -> Vec<(&'static str, String)> {
        let Some(all) = self.groups.first() else { return Vec::new() };
        vec![
            ("errors.svg", errors(all)),
            ("coverage.svg", coverage(&self.groups)),
            ("reliability.svg", reliability(&self.groups)),
            ("ranks.svg", ranks(&self.groups)),
        ]
    }
}

fn legend(contenders: &[Contender]) -> Vec<(&'static str, &'static str)> {
    contenders.iter().map(|c| (c.name(), colour(*c))).collect()
}

#[allow(clippy::cast_precision_loss)] // at most 48
fn hours(lead: usize) -> f64 {
    lead as f64
}

fn errors(all: &Group) -> String {
    let present = |c: &Contender| all.scores.iter().any(|s| s.contender == *c);
    let contenders: Vec<Contender> = Contender::ALL.into_iter().filter(present).collect();
    let mut page = Page::new(3, legend(&contenders));
    let mut quantities: Vec<&str> = all.scores.iter().map(|s| s.quantity).collect();
    quantities.dedup();
    for quantity in quantities {
        let of: Vec<&Score> = all.scores.iter().filter(|s| s.quantity == quantity).collect();
        let highest = of.iter().map(|s| s.score).fold(0.0, f64::max) * 1.05;
        let name = if quantity.starts_with("rain") { "Brier score" } else { "mean absolute error" };
        let frame = Frame { title: quantity, x: ("hours ahead", 0.0, 49.0), y: (name, 0.0, highest), marks: &MARKS };
        let mut panel = page.panel(&frame);
        // The model last, above the others.
        for contender in contenders.iter().rev() {
            let line = of.iter().filter(|s| s.contender == *contender).map(|s| (hours(s.lead), s.score));
            let width = if *contender == Contender::Model { 2.6 } else { 1.5 };
            panel.line(&line.collect::<Vec<_>>(), colour(*contender), width);
        }
    }
    page.finish()
}

fn coverage(groups: &[Group]) -> String {
    let mut page = Page::new(2, QUANTITIES.to_vec());
    for group in groups {
        let frame = Frame {
            title: &group.name,
            x: ("hours ahead", 0.0, 49.0),
            y: ("share within the 80 % interval", 0.6, 1.0),
            marks: &MARKS,
        };
        let mut panel = page.panel(&frame);
        panel.fill((0.0, COVERED.0), (49.0, COVERED.1), "#eaf3ea");
        panel.line(&[(0.0, 0.8), (49.0, 0.8)], "#888", 0.8);
        for (quantity, colour) in QUANTITIES {
            let of = group.by_lead.iter().filter(|s| s.quantity == quantity);
            let line = of.filter_map(|s| Some((hours(s.lead), s.spread.as_ref()?.coverage[1])));
            panel.line(&line.collect::<Vec<_>>(), colour, 1.6);
        }
    }
    page.finish()
}

fn reliability(groups: &[Group]) -> String {
    let shown = [Contender::Model, Contender::Ridge, Contender::Learned];
    let mut page = Page::new(3, legend(&shown));
    let tenths: Vec<f64> = (0..=5).map(|n| f64::from(n) / 5.0).collect();
    for group in groups {
        for lead in [REPORTED[0], REPORTED[2], REPORTED[4]] {
            let of = |contender| group.reliability.iter().find(|r| r.lead == lead && r.contender == contender);
            let Some(model) = of(Contender::Model) else { continue };
            let title = format!("{}, {lead} h", group.name.get(..24).unwrap_or(&group.name));
            let frame = Frame {
                title: &title,
                x: ("forecast chance of rain (bars: share of forecasts)", 0.0, 1.0),
                y: ("how often it rained", 0.0, 1.0),
                marks: &tenths,
            };
            let mut panel = page.panel(&frame);
            #[allow(clippy::cast_precision_loss)] // counts
            let n = model.bins.iter().map(|b| b.0).sum::<u64>().max(1) as f64;
            for (index, (count, ..)) in model.bins.iter().enumerate() {
                #[allow(clippy::cast_precision_loss)] // counts
                let (left, share) = (index as f64 / model.bins.len() as f64, *count as f64 / n);
                panel.fill((left + 0.01, 0.0), (left + 0.09, share), "#ecdedd");
            }
            panel.line(&[(0.0, 0.0), (1.0, 1.0)], "#888", 0.8);
            for contender in shown.into_iter().rev() {
                // A handful of cases in a bin says nothing.
                let bins = of(contender).map(|r| r.bins.as_slice()).unwrap_or_default();
                let line = bins.iter().filter(|(n, ..)| *n >= 30).map(|(_, p, o)| (*p, *o));
                panel.line(&line.collect::<Vec<_>>(), colour(contender), 1.8);
            }
        }
    }
    page.finish()
}

/// Bars as high as the share of observations in proportion to what it should be.
fn ranks(groups: &[Group]) -> String {
    let mut page = Page::new(4, Vec::new());
    let mut edges = vec![0.0];
    edges.extend(QUANTILES.map(|level| (f64::from(level) * 1e4).round() / 1e4));
    edges.push(1.0);
    let marks = [0.05, 0.25, 0.5, 0.75, 0.95];
    for group in groups {
        for (quantity, colour) in &QUANTITIES[..4] {
            let mut counts = [0_u64; QUANTILES.len() + 1];
            for ranks in group.ranks.iter().filter(|r| r.quantity == *quantity) {
                counts.iter_mut().zip(ranks.counts).for_each(|(sum, more)| *sum += more);
            }
            #[allow(clippy::cast_precision_loss)] // counts
            let shares = counts.map(|count| count as f64);
            let Some(mean) = scores::mean(shares).filter(|mean| *mean > 0.0) else { continue };
            #[allow(clippy::cast_precision_loss)] // eight
            let total = mean * shares.len() as f64;
            let title = format!("{}: {quantity}", group.name.get(..24).unwrap_or(&group.name));
            let frame = Frame {
                title: &title,
                x: ("rank among the forecast's quantiles", 0.0, 1.0),
                y: ("observations : expected", 0.0, 2.0),
                marks: &marks,
            };
            let mut panel = page.panel(&frame);
            for (share, bounds) in shares.iter().zip(edges.windows(2)) {
                if let [low, high] = bounds {
                    panel.fill((*low, 0.0), (high - 0.004, share / total / (high - low)), colour);
                }
            }
            panel.line(&[(0.0, 1.0), (1.0, 1.0)], "#222", 1.0);
        }
    }
    page.finish()
}
