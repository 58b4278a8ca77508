//! The evaluation as Markdown that reads well in a terminal too.

use std::fmt::Write as _;

use super::summary::{Comparison, Group, Score};
use super::tally::Contender;
use super::{Evaluation, REPORTED};

/// Contenders whose quantiles are scored too.
const WITH_QUANTILES: [Contender; 3] = [Contender::Model, Contender::Ridge, Contender::Learned];

impl Evaluation {
    /// The whole evaluation as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for left_out in &self.left_out {
            let _ = writeln!(text, "Left out: {left_out}.\n"); // a string takes all
        }
        if let Some(learned) = &self.learned {
            let _ = writeln!(text, "The learned baseline: {learned}.\n");
        }
        for group in &self.groups {
            text.push_str(&section(group, self.groups.first().is_some_and(|all| all.name == group.name)));
        }
        text
    }
}

fn section(group: &Group, all: bool) -> String {
    let Group { name, stations, period, .. } = group;
    let period = period.map(|(from, to)| format!(", {from} to {to}")).unwrap_or_default();
    let mut text = format!("## {name}\n\n{stations} stations{period}.\n\n");
    text.push_str(&errors(group));
    if all {
        text.push_str("\nThe part of the error that the model saves, with 95 % intervals:\n\n");
        text.push_str(&savings(group));
    }
    text.push_str("\nQuantiles:\n\n");
    text.push_str(&quantiles(group));
    text.push_str("\nThe chance of rain:\n\n");
    text.push_str(&rain(group));
    text.push('\n');
    text
}

/// The contenders that a group has.
fn present(group: &Group) -> Vec<Contender> {
    Contender::ALL.into_iter().filter(|c| group.scores.iter().any(|s| s.contender == *c)).collect()
}

/// The scores of one quantity and lead.
fn at<'a>(group: &'a Group, quantity: &str, lead: usize) -> impl Fn(Contender) -> Option<&'a Score> {
    let scores = group.scores.iter().filter(|s| s.quantity == quantity && s.lead == lead);
    let scores: Vec<&Score> = scores.collect();
    move |contender| scores.iter().copied().find(|s| s.contender == contender)
}

fn quantities(group: &Group) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = group.scores.iter().map(|s| s.quantity).collect();
    names.dedup();
    names
}

fn errors(group: &Group) -> String {
    let contenders = present(group);
    let mut text = format!("| {:<22} | lead h | {:>6} |", "error", "n");
    for contender in &contenders {
        let _ = write!(text, " {:>11} |", contender.name());
    }
    let _ = write!(text, "\n|---|--:|--:|{}\n", "--:|".repeat(contenders.len()));
    for quantity in quantities(group) {
        for lead in REPORTED {
            let of = at(group, quantity, lead);
            let Some(model) = of(Contender::Model) else { continue };
            let _ = write!(text, "| {quantity:<22} | {lead:>6} | {:>6} |", model.n);
            for contender in &contenders {
                let score = of(*contender).map_or(String::new(), |s| format!("{:.3}", s.score));
                let _ = write!(text, " {score:>11} |");
            }
            text.push('\n');
        }
    }
    text
}

/// Percent with its interval.
fn percent(comparison: &Comparison) -> String {
    let interval = comparison.interval.map(|(low, high)| format!(" ({:.1} to {:.1})", low * 100.0, high * 100.0));
    format!("{:.1} %{}", comparison.skill * 100.0, interval.unwrap_or_default())
}

fn savings(group: &Group) -> String {
    let others = [Contender::Blend, Contender::Ridge, Contender::Learned];
    let mut text = "| saved | lead h | over the blend | over ridge | over LightGBM | CRPS, over LightGBM |\n\
                    |---|--:|--:|--:|--:|--:|\n"
        .to_owned();
    for quantity in quantities(group) {
        for lead in REPORTED {
            let find = |against, of| {
                let wanted =
                    |c: &&Comparison| c.quantity == quantity && c.lead == lead && c.against == against && c.of == of;
                group.comparisons.iter().find(wanted).map(percent).unwrap_or_default()
            };
            let [blend, ridge, learned] = others.map(|other| find(other, "score"));
            let crps = find(Contender::Learned, "crps");
            let _ = writeln!(text, "| {quantity} | {lead} | {blend} | {ridge} | {learned} | {crps} |");
        }
    }
    text
}

fn quantiles(group: &Group) -> String {
    let mut text =
        "| quantiles | lead h | CRPS | ridge | LightGBM | in 50 % | in 80 % | in 90 % | width 80 % | bias |\n\
                    |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
            .to_owned();
    for quantity in quantities(group) {
        for lead in REPORTED {
            let of = at(group, quantity, lead);
            let Some((model, spread)) = of(Contender::Model).and_then(|m| Some((m, m.spread.as_ref()?))) else {
                continue;
            };
            let [own, ridge, learned] = WITH_QUANTILES.map(|contender| {
                let spread = of(contender).and_then(|s| s.spread.as_ref());
                spread.map_or(String::new(), |s| format!("{:.3}", s.crps))
            });
            let [half, most, nearly] = spread.coverage.map(|share| format!("{:.1} %", share * 100.0));
            let (width, bias) = (spread.width[1], model.bias.unwrap_or(f64::NAN));
            let _ = writeln!(
                text,
                "| {quantity} | {lead} | {own} | {ridge} | {learned} | {half} | {most} | {nearly} | {width:.2} | {bias:+.3} |"
            );
        }
    }
    text
}

fn rain(group: &Group) -> String {
    let mut text = "| lead h | it rained | Brier skill over that frequency | over the window's own frequency |\n\
                    |--:|--:|--:|--:|\n"
        .to_owned();
    for line in &group.rain {
        let window = group.comparisons.iter().find(|c| {
            c.quantity.starts_with("rain") && c.lead == line.lead && c.against == Contender::Damped && c.of == "score"
        });
        let over = line.over_frequency.map_or(String::new(), |skill| format!("{skill:+.3}"));
        let frequency = line.frequency * 100.0;
        let window = window.map(percent).unwrap_or_default();
        let _ = writeln!(text, "| {} | {frequency:.1} % | {over} | {window} |", line.lead);
    }
    text
}
