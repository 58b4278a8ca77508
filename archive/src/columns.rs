//! Which column means what, and how a row becomes an observation's values.

use weather::admission::check_value;
use weather::{Values, Variable};

use crate::report::Report;

/// Oktas to percent.
const OKTA: f32 = 12.5;
/// The most oktas that are a share of the sky; 9 says that the sky could not be seen.
const OKTAS: f32 = 8.0;
/// Seconds in an hour.
const HOUR: f32 = 3600.0;

/// What the numbers of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A variable in our unit.
    Value(Variable),
    /// Pressure of the kind that `pressure_kind` says.
    Pressure,
    /// Cloud cover in oktas.
    Oktas,
    /// Precipitation of the past hour.
    HourlyPrecipitation,
}

impl Meaning {
    /// The variable it fills; `pressure` is counted with the station's.
    pub(crate) const fn variable(self) -> Variable {
        match self {
            Self::Value(variable) => variable,
            Self::Pressure => Variable::PressureStation,
            Self::Oktas => Variable::CloudCover,
            Self::HourlyPrecipitation => Variable::Precipitation,
        }
    }

    /// The meaning of a column of that name; `shared` when the file is of the shared schema.
    pub(crate) fn of(name: &str, shared: bool) -> Option<Self> {
        match name {
            "pressure" => Some(Self::Pressure),
            "cloud_cover" if shared => Some(Self::Oktas),
            "cloud_cover_percent" => Some(Self::Value(Variable::CloudCover)),
            "solar_radiation_wm2" => Some(Self::Value(Variable::SolarRadiation)),
            "precipitation_1h" => Some(Self::HourlyPrecipitation),
            "present_weather" if shared => None,
            other => Variable::from_name(other).map(Self::Value),
        }
    }
}

/// What `pressure` of a row is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PressureKind {
    /// Unknown: the value cannot be used.
    #[default]
    Unknown,
    /// At station level.
    Station,
    /// Reduced to sea level.
    SeaLevel,
}

impl PressureKind {
    pub(crate) fn of(text: &[u8]) -> Self {
        match text {
            b"station" => Self::Station,
            b"msl" | b"qnh" => Self::SeaLevel,
            _ => Self::Unknown,
        }
    }
}

/// The columns of a file that are read, by position.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) station: usize,
    pub(crate) time: usize,
    /// When an observation arrived, where the file says so.
    pub(crate) received: Option<usize>,
    pub(crate) pressure_kind: Option<usize>,
    pub(crate) measured: Vec<(usize, Meaning)>,
    /// Whether the file says over which time its precipitation fell.
    pub(crate) has_period: bool,
}

impl Layout {
    /// Finds the columns, or says which is missing.
    pub(crate) fn find(names: &[&str]) -> Result<Self, &'static str> {
        let at = |wanted: &str| names.iter().position(|n| *n == wanted);
        let pressure_kind = at("pressure_kind");
        let shared = pressure_kind.is_some();
        let measured: Vec<(usize, Meaning)> = names
            .iter()
            .enumerate()
            .filter_map(|(index, name)| Meaning::of(name, shared).map(|meaning| (index, meaning)))
            .collect();
        let has_period = measured.iter().any(|(_, m)| *m == Meaning::Value(Variable::PrecipitationPeriod));
        if measured.is_empty() {
            return Err("temperature");
        }
        Ok(Self {
            station: at("station").or_else(|| at("id")).ok_or("station")?,
            time: at("time").ok_or("time")?,
            received: at("received"),
            pressure_kind,
            measured,
            has_period,
        })
    }

    /// Leaves stations and times only.
    pub(crate) fn without_values(&mut self) {
        (self.received, self.pressure_kind) = (None, None);
        self.measured.clear();
    }

    /// Whether the period of precipitation must be inferred from the cadence.
    pub(crate) fn needs_cadence(&self) -> bool {
        !self.has_period && self.measured.iter().any(|(_, m)| *m == Meaning::Value(Variable::Precipitation))
    }
}

/// Puts one number into an observation's values; what is impossible is counted instead.
pub(crate) fn put(values: &mut Values, meaning: Meaning, kind: PressureKind, number: f32, report: &mut Report) {
    if number.is_nan() {
        return;
    }
    let (variable, value) = match meaning {
        Meaning::Value(variable) => (variable, number),
        Meaning::Pressure => match kind {
            PressureKind::Station => (Variable::PressureStation, number),
            PressureKind::SeaLevel => (Variable::PressureMsl, number),
            PressureKind::Unknown => return,
        },
        Meaning::Oktas if number > OKTAS => return,
        Meaning::Oktas => (Variable::CloudCover, number * OKTA),
        Meaning::HourlyPrecipitation => (Variable::Precipitation, number),
    };
    if check_value(variable, value).is_err() {
        report.impossible(variable, value);
        return;
    }
    if meaning == Meaning::HourlyPrecipitation {
        values.set(Variable::PrecipitationPeriod, HOUR);
    } else if variable == Variable::Precipitation && values.get(Variable::PrecipitationPeriod) == Some(HOUR) {
        // The hour's sum of the same row says more than a cadence that is only inferred.
        return;
    }
    values.set(variable, value);
}

/// Completes the values of a row: the period of its precipitation, seconds, when the file has none.
pub(crate) fn finish(values: &mut Values, cadence: Option<f32>) {
    match (values.get(Variable::Precipitation), values.get(Variable::PrecipitationPeriod)) {
        (Some(_), None) => values.set(Variable::PrecipitationPeriod, cadence.unwrap_or(HOUR)),
        (None, Some(_)) => values.set(Variable::PrecipitationPeriod, f32::NAN),
        _ => {}
    }
}
