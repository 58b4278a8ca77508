//! Finding reports in what a telecommunication line delivers: bulletins with a heading, control
//! characters, reports over several lines that end with `=`, or a plain list of one report a line.

use super::report::{Kind, day_and_time, is_station};

/// The reports of a text, each from its station to its end, with the kind that stands before it, or at the
/// head of its bulletin.
#[must_use]
pub fn split(text: &str) -> Vec<(Option<Kind>, &str)> {
    let mut found = Vec::new();
    let mut kind = None;
    for part in text.split('=') {
        let mut open: Option<Open<'_>> = None;
        let mut previous = Group::default();
        for group in (Groups { text: part, at: 0 }) {
            if is_end(group.text) {
                close(&mut found, part, open.take(), previous.end);
            }
            match group.text {
                "METAR" => kind = Some(Kind::Metar),
                "SPECI" => kind = Some(Kind::Speci),
                _ => {}
            }
            if is_station(group.text) && begins(part, group, previous, open.as_ref()) {
                close(&mut found, part, open.take(), previous.end);
                // A correction's mark may stand before the station.
                let start = if previous.text == "COR" { previous.start } else { group.start };
                open = Some(Open { kind, station: group.text, start });
            }
            previous = group;
        }
        close(&mut found, part, open, part.len());
    }
    found
}

struct Open<'a> {
    kind: Option<Kind>,
    station: &'a str,
    start: usize,
}

fn close<'a>(found: &mut Vec<(Option<Kind>, &'a str)>, part: &'a str, open: Option<Open<'a>>, end: usize) {
    if let Some(open) = open
        && let Some(text) = part.get(open.start..end)
    {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        found.push((open.kind, strip_kind(text)));
    }
}

/// A `METAR` or `SPECI` at the end belongs to the report that follows.
fn strip_kind(text: &str) -> &str {
    text.strip_suffix("METAR").or_else(|| text.strip_suffix("SPECI")).unwrap_or(text).trim_end()
}

/// The end of a bulletin.
fn is_end(group: &str) -> bool {
    group == "NNNN" || group.starts_with('\u{3}')
}

/// Whether a report begins with this group, which can be a station's name. In the middle of a line only
/// after its kind, or if it is the next report of the same station: `LAST 170051Z` is none.
fn begins(part: &str, group: Group<'_>, previous: Group<'_>, open: Option<&Open<'_>>) -> bool {
    let mut after = Groups { text: part, at: group.end };
    let mut next = after.next();
    while next.is_some_and(|g| matches!(g.text, "COR" | "AUTO" | "AMD" | "RTD")) {
        next = after.next();
    }
    let Some(next) = next else { return false };
    let is_report = next.text == "NIL" || next.text.ends_with('Z') && day_and_time(next.text).is_some();
    is_report
        && match open {
            None => true,
            Some(open) => {
                let gap = part.get(previous.end..group.start).unwrap_or_default();
                gap.contains('\n') || matches!(previous.text, "METAR" | "SPECI" | "COR") || open.station == group.text
            }
        }
}

/// A group and where it stands.
#[derive(Clone, Copy, Default)]
struct Group<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

struct Groups<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Groups<'a> {
    type Item = Group<'a>;

    fn next(&mut self) -> Option<Group<'a>> {
        let is_gap = |c: char| c.is_whitespace() || c.is_control() && c != '\u{3}';
        let rest = self.text.get(self.at..)?;
        let start = self.at + rest.find(|c| !is_gap(c))?;
        let rest = &self.text[start..];
        let end = start + rest.find(is_gap).unwrap_or(rest.len());
        self.at = end;
        Some(Group { text: &self.text[start..end], start, end })
    }
}
