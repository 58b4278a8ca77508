//! Bridges between radio sensors and the network, which send one sensor's values at a time: Acurite's hub
//! at Weather Underground's path (and, before July 2016, in a language of its own), Oregon Scientific's
//! LW301 at any.
//!
//! What they send is known from the captures and comments of weewx-interceptor.

use weather::admission::Reason;
use weather::{Rejection, Time, Variable};

use crate::console::fields::Fields;
use crate::console::identity::Consoles;
use crate::console::names::{Gauge, TOTAL, Unit};
use crate::console::{Draft, Report, Who, clock, source};

/// Sensors of Acurite that are no station: each is one of its own beside the hub's.
const SINGLE: [&str; 3] = ["tower", "ProOut", "ProIn"];
/// Acurite's old compass: the digit that is sent -> sixteenths of a circle from north.
const COMPASS: [u8; 16] = [12, 3, 13, 2, 15, 0, 14, 1, 11, 4, 10, 5, 8, 7, 9, 6];

/// Whether it is a report of an LW301: sensors of a MAC, in short names, without a time.
pub(super) fn is_oregon(fields: &Fields<'_>) -> bool {
    fields.get("mac").is_some() && fields.get("id").is_some() && fields.get("p").is_some()
}

/// Acurite's hub. All its packets carry the pressure at the hub.
pub(super) fn acurite(
    fields: &Fields<'_>,
    hub: &str,
    kind: &str,
    now: Time,
    consoles: &Consoles,
) -> Result<Report, Rejection> {
    // A thermometer somewhere else must not pass for that of the mast. Indoors there is only pressure.
    let name = match fields.get("sensor") {
        Some(sensor) if SINGLE.contains(&kind) => format!("{hub}-{sensor}"),
        _ => hub.to_owned(),
    };
    let (station, gauge) = consoles.public(&name)?;
    let mut draft = match chaney(fields) {
        Some(draft) => draft,
        None => Draft::of(fields),
    };
    draft.rename(Variable::PressureMsl, Variable::PressureStation);
    let time = clock::read(fields.any_case("dateutc"), now)?;
    let who = Who { station, gauge, source: source("wunderground", Some("Acurite")) };
    draft.finish(who, time, super::keys(fields))
}

/// Values as the hub wrote them before July 2016: `A` and digits, metric. None when there is none such.
/// Its rain is the amount since the packet before, which may have been lost: left out.
fn chaney(fields: &Fields<'_>) -> Option<Draft> {
    let digits = |name| fields.get(name)?.strip_prefix('A')?.parse::<f64>().ok();
    let (temperature, humidity, wind) = (digits("temperature"), digits("humidity"), digits("windspeed"));
    if temperature.is_none() && humidity.is_none() && wind.is_none() {
        return None;
    }
    let mut draft = Draft::empty();
    for (variable, value, scale) in [
        (Variable::Temperature, temperature, 1e6),
        (Variable::RelativeHumidity, humidity, 10.0),
        (Variable::WindSpeed, wind, 1e6),
    ] {
        if let Some(value) = value {
            draft.put(variable, 0, value / scale);
        }
    }
    let direction = fields.get("winddir").and_then(|d| usize::from_str_radix(d, 16).ok());
    if let Some(sixteenths) = direction.and_then(|d| COMPASS.get(d)) {
        draft.put(Variable::WindDirection, 0, f64::from(*sixteenths) * 22.5);
    }
    Some(draft)
}

/// Oregon Scientific's LW301: metric but for the rain.
pub(super) fn oregon(fields: &Fields<'_>, now: Time, consoles: &Consoles) -> Result<Report, Rejection> {
    let missing = || Rejection::new("mac", Reason::MissingField, "the bridge's address is required");
    let mac = fields.get("mac").ok_or_else(missing)?;
    // Thermometers of other channels are other places.
    let maker = match fields.get("ch").filter(|ch| *ch != "1" && fields.get("ot").is_some()) {
        Some(channel) if channel.len() == 1 => format!("oregon-ch{channel}"),
        _ => "oregon".to_owned(),
    };
    let (station, gauge) = consoles.secret(&maker, mac)?;
    let mut draft = Draft::empty();
    for (name, variable) in [
        ("ot", Variable::Temperature),
        ("oh", Variable::RelativeHumidity),
        ("ws", Variable::WindSpeed),
        ("wg", Variable::WindGust),
        ("wd", Variable::WindDirection),
        ("baro", Variable::PressureStation),
    ] {
        if let Some(text) = fields.get(name) {
            draft.set(variable, Unit::Ours, 0, text);
        }
    }
    if let Some(text) = fields.get("rfa") {
        draft.count(Gauge::Tipping, TOTAL, Unit::Inch, text);
    }
    let who = Who { station, gauge, source: source("wunderground", Some("LW301")) };
    draft.finish(who, now, super::keys(fields))
}
