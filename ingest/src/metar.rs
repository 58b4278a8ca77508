//! Raw METAR and SPECI, the reports of airports: decoded in full.
//!
//! The parser is ours. The crate `metar` 0.9.3 was looked at first: it keeps everything after `RMK` as
//! one string (no sea-level pressure, no tenths of a degree, no rain), takes no `SPECI`, no `CCB`, no wind
//! in `KMH`, no `M1/4SM` or `P6SM`, one pressure only, and refuses a report as a whole when one group is
//! strange, where a person who reads on still has the temperature.
//!
//! Sources: WMO-306, Volume I.1, FM 15 and FM 16; the United States' Federal Meteorological Handbook
//! No. 1 (remarks); Canada's MANOBS (remarks); Australia's rainfall group; the Russian QFE remark; and
//! what stations really send. A report is read group by group: `groups.rs` the numbers, `phenomena.rs`
//! the weather, `remarks.rs` what follows `RMK`; a group that nobody knows is listed in
//! [`Report::unparsed`] and costs nothing else. `observation.rs` says what of it becomes an
//! observation, `bulletin.rs` finds reports in what a telecommunication line delivers.

pub mod bulletin;
mod groups;
mod observation;
pub mod phenomena;
pub mod remarks;
mod report;

pub use groups::{Bound, Layer, Minimum, RunwayRange, Sky, Visibility, Wind};
pub use observation::{NEXT_MONTH, resolve_time};
pub use report::{Kind, Report};

use weather::{Observation, Rejection, Time};

/// The observations of a text that arrives at `arrival`: one report, or a bulletin of them. A
/// correction stands behind what it corrects.
#[must_use]
pub fn read(text: &str, arrival: Time) -> Vec<Result<Observation, Rejection>> {
    let found = bulletin::split(text);
    if found.is_empty() {
        // The parser says what is missing.
        return vec![Report::parse(text).and_then(|report| report.observation(arrival))];
    }
    let mut items: Vec<(bool, Result<Observation, Rejection>)> = found
        .into_iter()
        .map(|(kind, text)| match Report::parse(text) {
            Ok(mut report) => {
                report.kind = report.kind.or(kind);
                (report.corrected, report.observation(arrival))
            }
            Err(rejection) => (false, Err(rejection)),
        })
        .collect();
    items.sort_by_key(|(corrected, _)| *corrected);
    items.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
