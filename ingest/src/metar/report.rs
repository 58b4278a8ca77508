//! A report, taken apart group by group.

use weather::Rejection;
use weather::admission::Reason;

use super::groups::{self, Layer, Minimum, Pressure, RunwayRange, Sky, Visibility, Wind};
use super::phenomena::Weather;
use super::remarks::{self, Remarks};

/// The longest report that is read, bytes. The longest real ones have 600.
const LONGEST: usize = 4096;

/// Which kind of report it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A routine one.
    Metar,
    /// A special one, between the routine ones.
    Speci,
}

/// A decoded report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report<'a> {
    /// Its kind; none when the text does not say.
    pub kind: Option<Kind>,
    /// The station's ICAO location indicator.
    pub station: &'a str,
    /// Day of the month, hour and minute of the observation, UTC.
    pub time: (i8, i8, i8),
    /// It replaces an earlier one of the same time (`COR`, `CCA`).
    pub corrected: bool,
    /// Made without a person (`AUTO`).
    pub automatic: bool,
    /// There is no report (`NIL`).
    pub nil: bool,
    /// The wind, when the group is there.
    pub wind: Option<Wind>,
    /// Between which degrees the wind varies.
    pub variation: Option<(u16, u16)>,
    /// `CAVOK`: 10 km or more, no cloud below 5000 ft or CB or TCU, no weather.
    pub cavok: bool,
    /// The visibility.
    pub visibility: Option<Visibility>,
    /// The least visibility, where it differs.
    pub minimum: Option<Minimum>,
    /// Visual ranges along runways.
    pub runways: Vec<RunwayRange<'a>>,
    /// States of runways, as they were sent.
    pub runway_states: Vec<&'a str>,
    /// Weather now.
    pub weather: Vec<Weather<'a>>,
    /// Weather of the past hour.
    pub recent: Vec<Weather<'a>>,
    /// No cloud, or none that matters (`SKC`, `CLR`, `NSC`, `NCD`).
    pub clear: bool,
    /// The sky can't be seen (`VV`).
    pub obscured: bool,
    /// The vertical visibility, m.
    pub vertical_visibility: Option<f32>,
    /// Layers of cloud, lowest first.
    pub layers: Vec<Layer<'a>>,
    /// Temperature, whole °C.
    pub temperature: Option<f32>,
    /// Dew point, whole °C.
    pub dew_point: Option<f32>,
    /// QNH, hPa, of a `Q` group.
    pub qnh: Option<f32>,
    /// Altimeter setting, inches of mercury, of an `A` group.
    pub altimeter: Option<f32>,
    /// Runways on which wind shear was met, as they were sent.
    pub wind_shear: Vec<&'a str>,
    /// The sea's temperature and state, as sent.
    pub sea: Option<&'a str>,
    /// Colour state of a military aerodrome.
    pub colour: Option<&'a str>,
    /// The forecast of the next two hours (`NOSIG`, `TEMPO ...`): no observation, and not read.
    pub trend: Option<&'a str>,
    /// What follows `RMK`.
    pub remarks: Remarks<'a>,
    /// Groups that nobody knows, or that contradict what came before them.
    pub unparsed: Vec<&'a str>,
    temperature_is_read: bool,
    pressure_is_read: bool,
}

/// The groups of a text, with what telecommunication left between them taken away.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|group| !group.is_empty())
}

/// Whether it can be a location indicator.
pub(super) fn is_station(group: &str) -> bool {
    let bytes = group.as_bytes();
    bytes.len() == 4
        && bytes[0].is_ascii_uppercase()
        && bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// `ddhhmmZ`; the `Z` is forgotten now and then.
pub(super) fn day_and_time(group: &str) -> Option<(i8, i8, i8)> {
    let digits = group.strip_suffix('Z').unwrap_or(group).as_bytes();
    if digits.len() != 6 {
        return None;
    }
    let two = |at: usize| groups::number(&digits[at..at + 2]).and_then(|n| i8::try_from(n).ok());
    let (day, hour, minute) = (two(0)?, two(2)?, two(4)?);
    ((1..=31).contains(&day) && hour < 24 && minute < 60).then_some((day, hour, minute))
}

/// The hours for which a forecast is valid: `0900/1006`.
fn is_validity(group: &str) -> bool {
    let number = |at: std::ops::Range<usize>| group.as_bytes().get(at).and_then(groups::number).is_some();
    group.len() == 9 && number(0..4) && group.as_bytes()[4] == b'/' && number(5..9)
}

fn forecast() -> Rejection {
    Rejection::new("item", Reason::Unparseable, "a TAF is a forecast, not a report")
}

/// `COR`, and Canada's `CCA` to `CCZ`.
fn is_correction(group: &str) -> bool {
    group == "COR" || matches!(group.as_bytes(), [b'C', b'C', b'A'..=b'Z'])
}

/// Whether a forecast begins here.
fn is_trend(group: &str) -> bool {
    match group {
        "NOSIG" | "BECMG" | "TEMPO" | "INTER" | "PROB30" | "PROB40" => true,
        // How it is typed in haste.
        "NOISG" | "NOSG" | "MOSIG" | "NODIG" | "NSOIG" | "BEMG" | "TEMO" | "TTEMPO" | "TEMPI" => true,
        other => match other.strip_prefix("FM") {
            Some(time) => groups::number(time.as_bytes()).is_some(),
            None => ["TEMPO", "BECMG", "NOSIG"].iter().any(|word| other.starts_with(word)),
        },
    }
}

/// Whether the remarks begin here though nobody wrote `RMK`.
fn begins_remarks(group: &str) -> bool {
    match group {
        "AO1" | "AO2" | "AO1A" | "AO2A" | "A01" | "A02" | "SLPNO" | "TSNO" | "PWINO" | "ATIS" => true,
        other => match other.as_bytes() {
            // Glued to what follows.
            [b'R', b'M', b'K', b'/' | b':' | b'.', ..] => true,
            [b'S', b'L', b'P', digits @ ..] => digits.len() == 3 && groups::number(digits).is_some(),
            [b'Q', b'F', b'E' | b'F', ..] => true,
            [b'R', b'F', b'0'..=b'9', b'0'..=b'9', rest @ ..] => rest.contains(&b'/'),
            _ => false,
        },
    }
}

impl<'a> Report<'a> {
    /// A report of which only the kind is known.
    pub(crate) fn empty(kind: Option<Kind>) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Decodes one report.
    ///
    /// # Errors
    /// When it names no station or no time, is a forecast, or is no report at all. Anything else that
    /// can't be read is listed in [`Report::unparsed`].
    pub fn parse(text: &'a str) -> Result<Self, Rejection> {
        if text.len() > LONGEST {
            return Err(Rejection::new("item", Reason::TooLarge, format!("a report has at most {LONGEST} bytes")));
        }
        let text = text.split_once('=').map_or(text, |(report, _)| report);
        let mut all = Vec::with_capacity(48);
        all.extend(split(text));
        let mut report = Self::default();
        let body = report.header(&all)?;
        report.body(text, &all, body);
        Ok(report)
    }

    /// Reads up to the time; answers the place of the group after it.
    fn header(&mut self, all: &[&'a str]) -> Result<usize, Rejection> {
        let missing = |field, detail: &str| Err(Rejection::new(field, Reason::MissingField, detail));
        for (at, group) in all.iter().enumerate() {
            match *group {
                "METAR" => self.kind = Some(Kind::Metar),
                "SPECI" => self.kind = Some(Kind::Speci),
                "TAF" => return Err(forecast()),
                "LWIS" | "AMD" | "RTD" => {}
                "AUTO" => self.automatic = true,
                "NIL" if !self.station.is_empty() => {
                    self.nil = true;
                    return Ok(at + 1);
                }
                correction if is_correction(correction) => self.corrected = true,
                station if self.station.is_empty() && is_station(station) => self.station = station,
                time if !self.station.is_empty() => match day_and_time(time) {
                    Some(time) if all.get(at + 1).is_none_or(|next| !is_validity(next)) => {
                        self.time = time;
                        return Ok(at + 1);
                    }
                    Some(_) => return Err(forecast()),
                    None => break,
                },
                _ => break,
            }
        }
        match self.station {
            "" => missing("station", "a report begins with METAR or SPECI and the four letters of its station"),
            _ => Err(Rejection::new(
                "time",
                Reason::BadTime,
                "day, hour and minute follow the station: six figures and Z, such as 231151Z",
            )),
        }
    }

    fn body(&mut self, text: &'a str, all: &[&'a str], first: usize) {
        let mut at = first;
        while let Some(group) = all.get(at).copied() {
            if group == "RMK" || group == "RMKS" {
                return self.read_remarks(text, all, at + 1);
            }
            // The Caribbean tells behind the pressure where its clouds are.
            let clouds = self.pressure_is_read && (group.starts_with("CB") || group.starts_with("TCU"));
            if clouds || begins_remarks(group) {
                return self.read_remarks(text, all, at);
            }
            if is_trend(group) {
                let end = all[at..].iter().position(|g| *g == "RMK").map_or(all.len(), |n| at + n);
                self.trend = tail(text, group).map(|rest| all.get(end).map_or(rest, |rmk| until(rest, rmk)).trim());
                at = end;
                continue;
            }
            at += self.several(all, at).unwrap_or_else(|| {
                if !self.flag(group) && !self.early(group) && !self.late(group) && !self.glued(group) {
                    self.unparsed.push(group);
                }
                1
            });
        }
    }

    fn read_remarks(&mut self, text: &'a str, all: &[&'a str], first: usize) {
        let groups = all.get(first..).unwrap_or_default();
        let text = groups.first().and_then(|group| tail(text, group)).unwrap_or_default();
        self.remarks = Remarks::read(text, groups);
    }

    /// What is written in more than one group; answers how many it took.
    fn several(&mut self, all: &[&'a str], at: usize) -> Option<usize> {
        let group = all[at];
        let next = all.get(at + 1).copied().unwrap_or_default();
        if group == "WS" {
            return Some(self.shear(&all[at..]));
        }
        if group == "CLR" && next == "BLO" {
            self.clear = true;
            return Some(3);
        }
        let is_cut = self.temperature_is_read && self.dew_point.is_none() && all[at - 1].ends_with('/');
        if is_cut && let Some((Some(dew_point), None)) = groups::temperatures(format!("{group}/").as_bytes()) {
            self.dew_point = Some(dew_point);
            return Some(1);
        }
        if matches!(group, "Q" | "QNH" | "A") && self.late_pressure(format!("{group}{next}").as_bytes()) {
            return Some(2);
        }
        if group.bytes().any(|b| !b.is_ascii_digit() && b != b'/') {
            return None;
        }
        let (visibility, taken) = spaced(group, next, all.get(at + 2).copied())?;
        self.visibility.get_or_insert(visibility);
        Some(taken)
    }

    /// `WS R24`, `WS RWY24L`, `WS ALL RWY`, `WS TKOF RWY24`: how many groups it takes.
    fn shear(&mut self, all: &[&'a str]) -> usize {
        let mut taken = 1;
        for group in all.iter().skip(1) {
            let is_part = match *group {
                "ALL" | "RWY" | "RWYS" | "R" | "TKOF" | "LDG" | "IN" | "ON" | "APCH" | "CLIMB-OUT" => true,
                runway => {
                    runway
                        .strip_prefix("RWY")
                        .or_else(|| runway.strip_prefix('R'))
                        .unwrap_or(runway)
                        .as_bytes()
                        .get(..2)
                        .is_some_and(|n| groups::number(n).is_some())
                        && runway.len() <= 6
                        && !runway.contains('/')
                }
            };
            if !is_part {
                break;
            }
            self.wind_shear.push(group);
            taken += 1;
        }
        taken
    }

    /// Words without a number.
    fn flag(&mut self, group: &'a str) -> bool {
        match group {
            "AUTO" => self.automatic = true,
            "NIL" => self.nil = true,
            "CAVOK" | "CAVK" | "CACOK" | "CAV0K" | "CAVOC" if !self.pressure_is_read => self.cavok = true,
            // Where the thunderclouds stand, as India and the Maldives add it.
            "OH" | "N" | "NE" | "E" | "SE" | "S" | "SW" | "W" | "NW"
                if self.layers.last().is_some_and(|layer| layer.kind.is_some()) => {}
            "$" => self.remarks.maintenance = true,
            "NSW" | "RTD" | "AMD" | "M" | "METAR" | "SPECI" => {}
            correction if is_correction(correction) => self.corrected = true,
            // An instrument that is out, whichever.
            slashes if slashes.bytes().all(|b| b == b'/') => {}
            _ => return false,
        }
        true
    }

    /// Groups that stand before the pressure; after it they would be those of a forecast.
    fn early(&mut self, group: &'a str) -> bool {
        let bytes = group.as_bytes();
        if self.pressure_is_read {
            return false;
        }
        if let Some(wind) = groups::wind(bytes).filter(|_| self.wind.is_none()) {
            self.wind = Some(wind);
        } else if let Some(variation) = groups::variation(bytes).filter(|_| self.variation.is_none()) {
            self.variation = Some(variation);
        } else if let Some(pair) =
            groups::temperatures(bytes).filter(|_| !self.temperature_is_read && !group.ends_with("SM"))
        {
            (self.temperature, self.dew_point) = pair;
            self.temperature_is_read = true;
        } else if let Some(miles) = groups::miles(bytes, None) {
            self.visibility.get_or_insert(miles);
        } else if let Some((visibility, direction)) = groups::metric_visibility(bytes) {
            // Behind the temperature four figures are a pressure without its letter, or nobody knows what.
            return !self.temperature_is_read && self.see(visibility, direction);
        } else if matches!(group, "////SM" | "////NDV" | "///V///" | "////KM" | "M/M") {
            // Nothing was measured.
        } else if let Some(sky) = groups::sky(group) {
            self.cover(sky);
        } else if group == "CB" || group == "TCU" || group.starts_with("CB/") || group.starts_with("TCU/") {
            self.layers.push(Layer { oktas: None, base: None, kind: Some(group) });
        } else if let Some(weather) = Weather::parse(group).filter(|weather| !weather.recent) {
            self.weather.push(weather);
        } else {
            return false;
        }
        true
    }

    /// Two groups between which the space got lost.
    fn glued(&mut self, group: &'a str) -> bool {
        let inside =
            ["FEW", "SCT", "BKN", "OVC"].iter().filter_map(|amount| group.get(1..)?.find(amount).map(|at| at + 1));
        let known = |group: &str| {
            let bytes = group.as_bytes();
            groups::sky(group).is_some()
                || groups::metric_visibility(bytes).is_some()
                || groups::temperatures(bytes).is_some()
                || Weather::parse(group).is_some()
        };
        for at in inside.chain([3, 4, 6]) {
            if let Some((first, second)) = group.split_at_checked(at)
                && known(first)
                && known(second)
                && self.early(first)
            {
                return self.early(second);
            }
        }
        false
    }

    fn see(&mut self, visibility: Visibility, direction: Option<u16>) -> bool {
        if self.visibility.is_none() {
            self.visibility = Some(visibility);
        } else if self.minimum.is_none() {
            self.minimum = Some(Minimum { metres: visibility.metres, direction });
        } else {
            return false;
        }
        true
    }

    fn cover(&mut self, sky: Sky<'a>) {
        match sky {
            Sky::Clear => self.clear = true,
            Sky::Obscured(height) => (self.obscured, self.vertical_visibility) = (true, height),
            Sky::Layer(layer) if layer == Layer::default() => {}
            Sky::Layer(layer) => self.layers.push(layer),
        }
    }

    /// Groups that may stand anywhere, most of them behind the pressure.
    fn late(&mut self, group: &'a str) -> bool {
        let bytes = group.as_bytes();
        if self.late_pressure(bytes) {
            return true;
        }
        if groups::is_runway(bytes) {
            match groups::runway_range(group) {
                Some(range) => self.runways.push(range),
                None => self.runway_states.push(group),
            }
        } else if groups::is_colour(group) {
            self.colour = Some(group);
        } else if let Some(weather) = Weather::parse(group).filter(|weather| weather.recent) {
            self.recent.push(weather);
        } else if groups::is_sea(bytes) {
            self.sea = Some(group);
        } else {
            return false;
        }
        true
    }

    fn late_pressure(&mut self, group: &[u8]) -> bool {
        let Some(pressure) = groups::pressure(group) else { return false };
        self.pressure_is_read = true;
        match pressure {
            Pressure::Hectopascals(hectopascals) => _ = self.qnh.get_or_insert(hectopascals),
            Pressure::Inches(inches) => _ = self.altimeter.get_or_insert(inches),
            Pressure::Missing => {}
        }
        true
    }

    /// The altimeter setting, hPa, of whichever group has it.
    #[must_use]
    pub fn altimeter_setting(&self) -> Option<f32> {
        let inches = || self.altimeter.or(self.remarks.altimeter).map(remarks::hectopascals);
        self.qnh.or_else(inches)
    }
}

/// A visibility written with spaces: `1 1/2SM`, `1/2 SM`, `10 SM`, `3 KM`; and how many groups it takes.
fn spaced(group: &str, next: &str, after: Option<&str>) -> Option<(Visibility, usize)> {
    let whole = groups::number(group.as_bytes()).filter(|_| group.len() <= 2);
    let miles = |fraction: &str, whole| groups::miles(format!("{fraction}SM").as_bytes(), whole);
    match next {
        "SM" => Some((miles(group, None)?, 2)),
        "KM" => Some((groups::metric_visibility(format!("{group}KM").as_bytes())?.0, 2)),
        fraction if fraction.contains('/') && whole.is_some() => match fraction.strip_suffix("SM") {
            Some(fraction) => Some((miles(fraction, whole)?, 2)),
            None if after == Some("SM") => Some((miles(fraction, whole)?, 3)),
            None => None,
        },
        _ => None,
    }
}

/// `text` from `group`, a part of it, on.
fn tail<'a>(text: &'a str, group: &str) -> Option<&'a str> {
    let at = (group.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    text.get(at..)
}

/// `text` before `group`, a part of it.
fn until<'a>(text: &'a str, group: &str) -> &'a str {
    let at = (group.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    text.get(..at).unwrap_or(text)
}
