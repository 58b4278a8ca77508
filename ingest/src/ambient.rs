//! Consoles of Ambient: Ecowitt's names by GET, the query appended to the path that they were set to,
//! with a `?` only if their owner typed one.

use weather::{Rejection, Time};

use crate::console::Report;
use crate::console::fields::Fields;
use crate::console::identity::Consoles;
use crate::ecowitt;

/// What its stations are named after.
pub(crate) const MAKER: &str = "ambient";

/// Whether fields are Ambient's, by what the console calls itself.
pub(crate) fn is_report(fields: &Fields<'_>) -> bool {
    let software = fields.any_case("stationtype").unwrap_or_default();
    software.get(..3).is_some_and(|maker| maker.eq_ignore_ascii_case("AMB"))
}

/// What a report says that arrives at `now`; `path_key` is the key in the path, if there is one.
///
/// # Errors
/// As of [`ecowitt::read`].
pub(crate) fn read(
    fields: &Fields<'_>,
    path_key: Option<&str>,
    now: Time,
    consoles: &Consoles,
) -> Result<Report, Rejection> {
    ecowitt::read_as(MAKER, fields, path_key, now, consoles)
}

/// One line as the door would read it.
pub(crate) fn read_line(line: &str, now: Time) -> Result<Report, Rejection> {
    let (_, fields) = Fields::of_line(line);
    read(&fields, None, now, &Consoles::unnamed())
}

#[cfg(test)]
mod tests;
