//! The Weather Underground protocol for personal stations, which most consoles and programs speak.
//!
//! A GET (or a form by POST) of `/weatherstation/updateweatherstation.php` with `ID`, `PASSWORD`,
//! `action=updateraw`, `dateutc` and values in American units; rapid fire adds `realtime` and `rtfreq` and
//! changes nothing for us. The answer is 200 and `success`. What is refused is told in the words that
//! clients look for: WeeWX (`restx.py`) takes a line that begins with `ERROR` for a bad login and one that
//! has `invalid` in it for a report that is not worth sending again.

mod bridges;

use weather::admission::Reason;
use weather::{Rejection, Time};

use crate::accept::Refusal;
use crate::console::fields::Fields;
use crate::console::identity::Consoles;
use crate::console::{Draft, Report, Secret, Who, clock, source};

/// What everybody who was understood is told.
pub(crate) const SUCCESS: &str = "success\n";
/// The original's word, then WeeWX's.
const BAD_LOGIN: &str =
    "INVALIDPASSWORDID|Password or key and/or id are incorrect\nERROR: the PASSWORD does not open this ID\n";
/// Paths of services that speak the protocol, in lower case, without an ending such as `.php`.
const PATHS: [&str; 4] =
    ["/weatherstation/updateweatherstation", "/weatherstation/pwsupdate", "/pwsupdate/pwsupdate", "/api/v1/submitwx"];
/// Firmware that writes the pressure at the station where all others write that at sea level.
const STATION_PRESSURE: [&str; 2] = ["WH2600GEN_V2.2.5", "WH2650A_V1.2.1"];

/// Whether a path is one of the protocol's, whatever its case and however many slashes it has.
pub(crate) fn is_path(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let words: Vec<&str> = lower.split('/').filter(|word| !word.is_empty()).collect();
    let joined = format!("/{}", words.join("/"));
    let bare = [".php", ".asp", ".aspx"].iter().find_map(|end| joined.strip_suffix(end)).unwrap_or(&joined);
    PATHS.contains(&bare)
}

/// Whether fields at any other path are of this protocol.
pub(crate) fn is_report(fields: &Fields<'_>) -> bool {
    fields.get("ID").is_some() && fields.get("PASSWORD").is_some() || bridges::is_oregon(fields)
}

/// What a report says that arrives at `now`.
///
/// # Errors
/// Without an `ID` that can be a station's, with a `dateutc` that is no time, with another action, or
/// without any value.
pub(crate) fn read(fields: &Fields<'_>, now: Time, consoles: &Consoles) -> Result<Report, Rejection> {
    if bridges::is_oregon(fields) {
        return bridges::oregon(fields, now, consoles);
    }
    if fields.any_case("action").is_some_and(|action| !action.eq_ignore_ascii_case("updateraw")) {
        return Err(Rejection::new("action", Reason::WrongType, "must be updateraw"));
    }
    let missing = || Rejection::new("ID", Reason::MissingField, "the station's id is required");
    let id = fields.any_case("ID").ok_or_else(missing)?;
    if let Some(kind) = fields.get("mt") {
        return bridges::acurite(fields, id, kind, now, consoles);
    }
    let software = fields.any_case("softwaretype");
    let mut draft = Draft::of(fields);
    if software.is_some_and(|name| STATION_PRESSURE.contains(&name)) {
        draft.rename(weather::Variable::PressureMsl, weather::Variable::PressureStation);
    }
    let (station, gauge) = consoles.public(id)?;
    let time = clock::read(fields.any_case("dateutc"), now).map_err(|r| r.of(station.clone()))?;
    let who = Who { station, gauge, source: source("wunderground", software) };
    draft.finish(who, time, keys(fields))
}

fn keys(fields: &Fields<'_>) -> Vec<Secret> {
    fields.any_case("PASSWORD").map(Secret::new).into_iter().collect()
}

/// One line as the door would read it.
pub(crate) fn read_line(line: &str, now: Time) -> Result<Report, Rejection> {
    let (_, fields) = Fields::of_line(line);
    read(&fields, now, &Consoles::unnamed())
}

/// What the sender of a refused report is told. Never a word of what he sent.
pub(crate) fn refusal(refused: &Refusal) -> String {
    if refused.reason == Reason::NotAllowed.label() {
        return BAD_LOGIN.to_owned();
    }
    format!("invalid report: {}: {} ({})\n", refused.field, refused.reason, refused.detail)
}

/// What Acurite's hub wants to hear, which calls itself `Hub/224`: otherwise it looks for other firmware.
pub(crate) fn hub_answer(agent: &str, now: Time) -> Option<String> {
    let version = agent.strip_prefix("Hub/")?;
    let version: String = version.chars().take_while(char::is_ascii_digit).take(6).collect();
    let time = now.to_string();
    let time = time.get(11..19).unwrap_or("00:00:00");
    Some(format!(r#"{{"success":1,"localtime":"{time}","checkversion":"{version}"}}"#))
}

#[cfg(test)]
mod tests;
