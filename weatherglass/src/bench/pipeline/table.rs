//! The table: every figure beside its reference, with what is wanted of it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;

/// What is wanted of a figure, or of its ratio to the reference where there is one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

impl Wanted {
    fn met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {}", number(bound)),
            Self::AtMost(bound) => format!("at most {}", number(bound)),
        }
    }
}

struct Row {
    what: String,
    figure: f64,
    unit: &'static str,
    reference: Option<(f64, String)>,
    wanted: Option<Wanted>,
}

impl Row {
    /// Figure, reference, ratio, what is wanted, and whether it is met.
    fn cells(&self) -> [String; 5] {
        let ratio = self.reference.as_ref().map(|(reference, _)| self.figure / reference);
        let judged = ratio.unwrap_or(self.figure);
        let verdict = match self.wanted {
            Some(wanted) if wanted.met(judged) => "met",
            Some(_) => "NOT met",
            None => "",
        };
        [
            format!("{} {}", number(self.figure), self.unit),
            self.reference.as_ref().map(|(value, name)| format!("{} {name}", number(*value))).unwrap_or_default(),
            ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            self.wanted.map(Wanted::text).unwrap_or_default(),
            verdict.to_owned(),
        ]
    }
}

/// Three significant digits: the machine gives no more.
fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => {
            let whole = format!("{value:.0}");
            let from = usize::from(whole.starts_with('-'));
            let mut grouped = String::new();
            for (at, digit) in whole.chars().enumerate() {
                if at > from && (whole.len() - at).is_multiple_of(3) {
                    grouped.push(' ');
                }
                grouped.push(digit);
            }
            grouped
        }
        v if v >= 10.0 || v == 0.0 => format!("{value:.0}"),
        v if v >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// Everything that has been measured; a section's rows are printed as they come.
#[derive(Default)]
pub(super) struct Table {
    sections: Vec<(String, Vec<Row>, Vec<String>)>,
}

impl Table {
    /// Begins a section.
    pub(super) fn section(&mut self, title: impl Into<String>) {
        let title = title.into();
        println!("\n== {title}");
        self.sections.push((title, Vec::new(), Vec::new()));
    }

    /// A figure, with its reference and what is wanted where there are such.
    pub(super) fn row(
        &mut self,
        what: impl Into<String>,
        (figure, unit): (f64, &'static str),
        reference: Option<(f64, &str)>,
        wanted: Option<Wanted>,
    ) {
        let reference = reference.map(|(value, name)| (value, name.to_owned()));
        let row = Row { what: what.into(), figure, unit, reference, wanted };
        let [figure, reference, ratio, wanted, verdict] = row.cells();
        println!("{:<58} {figure:>22} {reference:>34} {ratio:>6} {wanted:>14} {verdict}", row.what);
        if let Some((_, rows, _)) = self.sections.last_mut() {
            rows.push(row);
        }
    }

    /// What a reader of the figures must know.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        println!("   {text}");
        if let Some((_, _, notes)) = self.sections.last_mut() {
            notes.push(text);
        }
    }

    /// Prints how much of what is wanted is met.
    pub(super) fn conclude(&self) {
        let rows = || self.sections.iter().flat_map(|(_, rows, _)| rows).filter(|row| row.wanted.is_some());
        let missed: Vec<&str> = rows().filter(|row| row.cells()[4] != "met").map(|row| row.what.as_str()).collect();
        println!("\n{} of {} wanted figures are met", rows().count() - missed.len(), rows().count());
        for what in missed {
            println!("NOT met: {what}");
        }
    }

    /// Writes it as Markdown.
    pub(super) fn write(&self, file: &Path, heading: &str) -> anyhow::Result<()> {
        let mut text = format!("# What the pipeline costs\n\n{heading}\n");
        for (title, rows, notes) in &self.sections {
            let _ = write!(text, "\n## {title}\n\n");
            if !rows.is_empty() {
                text.push_str("| | figure | reference | ratio | wanted | |\n|---|--:|--:|--:|--:|---|\n");
            }
            for row in rows {
                let [figure, reference, ratio, wanted, verdict] = row.cells();
                let _ = writeln!(text, "| {} | {figure} | {reference} | {ratio} | {wanted} | {verdict} |", row.what);
            }
            for note in notes {
                let _ = write!(text, "\n{note}\n");
            }
        }
        std::fs::write(file, text).with_context(|| format!("{} can't be written", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_groups() {
        let shown = [1_234_567.0, 999.6, 42.4, 4.26, 0.1234, 0.0].map(number);
        assert_eq!(shown, ["1 234 567", "1 000", "42", "4.3", "0.123", "0"]);
    }

    #[test]
    fn the_ratio_is_judged_where_there_is_a_reference() {
        let row = |reference, wanted| Row { what: String::new(), figure: 6.0, unit: "us", reference, wanted };
        let verdict = |row: Row| row.cells()[4].clone();
        assert_eq!(verdict(row(None, Some(Wanted::AtMost(5.0)))), "NOT met");
        assert_eq!(verdict(row(Some((12.0, String::new())), Some(Wanted::AtLeast(0.5)))), "met");
        assert_eq!(verdict(row(None, None)), "");
    }
}
