//! Consoles of Ecowitt, and of all who sell them under other names: a form by POST, to any path.
//!
//! No header names the sender: it is known by `PASSKEY` (made of its MAC), or by a key in the path. Both
//! gauges of a station that has two send their counters; one of them counts.

use weather::admission::Reason;
use weather::{Rejection, Time};

use crate::ambient;
use crate::console::fields::Fields;
use crate::console::identity::Consoles;
use crate::console::{Draft, Report, Secret, Who, clock, source};

/// What its stations are named after.
pub(crate) const MAKER: &str = "ecowitt";

/// Whether fields at any path are a report of Ecowitt's or Ambient's.
pub(crate) fn is_report(fields: &Fields<'_>) -> bool {
    fields.any_case("PASSKEY").is_some() || (ambient::is_report(fields) && fields.any_case("MAC").is_some())
}

/// What a report says that arrives at `now`; `path_key` is the key in the path, if there is one.
///
/// # Errors
/// When nothing tells whose it is, with a `dateutc` that is no time, or without any value.
pub(crate) fn read(
    fields: &Fields<'_>,
    path_key: Option<&str>,
    now: Time,
    consoles: &Consoles,
) -> Result<Report, Rejection> {
    let maker = if ambient::is_report(fields) { ambient::MAKER } else { MAKER };
    read_as(maker, fields, path_key, now, consoles)
}

/// The same for a maker that is known.
///
/// # Errors
/// As of [`read`].
pub(crate) fn read_as(
    maker: &str,
    fields: &Fields<'_>,
    path_key: Option<&str>,
    now: Time,
    consoles: &Consoles,
) -> Result<Report, Rejection> {
    let identity = fields.any_case("PASSKEY").or_else(|| fields.any_case("MAC")).or(path_key);
    let missing =
        || Rejection::new("PASSKEY", Reason::MissingField, "a PASSKEY, a MAC or a key in the path is required");
    let (station, gauge) = consoles.secret(maker, identity.ok_or_else(missing)?)?;
    let time = clock::read(fields.any_case("dateutc"), now).map_err(|r| r.of(station.clone()))?;
    let console = fields.any_case("stationtype").or_else(|| fields.any_case("model"));
    let who = Who { station, gauge, source: source(maker, console) };
    let keys = path_key.into_iter().chain(fields.any_case("PASSKEY")).chain(fields.any_case("MAC"));
    Draft::of(fields).finish(who, time, keys.map(Secret::new).collect())
}

/// One line as the door would read it.
pub(crate) fn read_line(line: &str, now: Time) -> Result<Report, Rejection> {
    let (_, fields) = Fields::of_line(line);
    read(&fields, None, now, &Consoles::unnamed())
}

#[cfg(test)]
mod tests;
