//! What the names of consoles mean, in one table.
//!
//! Sources: the Weather Underground PWS upload protocol; what Ecowitt, Ambient and Fine Offset consoles
//! were seen to send. Factors are the exact ones.

use weather::Variable;

use crate::units::factor;

/// The unit that a console writes a value in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Already ours.
    Ours,
    Fahrenheit,
    InchOfMercury,
    Inch,
    MilePerHour,
    KilometrePerHour,
    NauticalMile,
    /// Daylight, as Fine Offset's own consoles turn it into radiation.
    Lux,
}

impl Unit {
    /// The same in our unit.
    pub(crate) fn convert(self, value: f64) -> f64 {
        match self {
            Self::Ours => value,
            Self::Fahrenheit => (value - 32.0) / 1.8,
            Self::InchOfMercury => value * factor::INCH_OF_MERCURY,
            Self::Inch => value * factor::INCH,
            Self::MilePerHour => value * factor::MILE_PER_HOUR,
            Self::KilometrePerHour => value / 3.6,
            Self::NauticalMile => value * factor::NAUTICAL_MILE,
            Self::Lux => value / 126.7,
        }
    }
}

/// A rain gauge of a station that may have two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Gauge {
    /// The bucket that tips.
    Tipping,
    /// The plate that feels drops.
    Piezo,
}

impl Gauge {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Tipping => Self::Piezo,
            Self::Piezo => Self::Tipping,
        }
    }

    /// A counter of this gauge among all counters: kept in Redis, so never renumbered.
    pub(crate) const fn code(self, counter: u8) -> u8 {
        match self {
            Self::Tipping => counter,
            Self::Piezo => 8 + counter,
        }
    }
}

/// Counters by how seldom they go back to zero: the seldomer, the better.
pub(crate) const TOTAL: u8 = 0;
const YEAR: u8 = 1;
const MONTH: u8 = 2;
const WEEK: u8 = 3;
const DAY: u8 = 4;

/// What a field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A value; of several names for a variable the lowest rank counts.
    Value(Variable, Unit, u8),
    /// How much a counter of rain shows.
    Total(Gauge, u8, Unit),
    /// Rain of the trailing 60 minutes, inch.
    HourSum,
    /// Cloud layers, as SKC, FEW, SCT, BKN, OVC.
    Clouds,
}

/// The meaning of a name; none of what is indoors, derived, or not ours to keep.
pub(crate) fn meaning(name: &str) -> Option<Meaning> {
    use Gauge::{Piezo, Tipping};
    use Meaning::{Total, Value};
    use Unit::{Fahrenheit, Inch, InchOfMercury, KilometrePerHour, MilePerHour, Ours};
    use Variable as V;
    Some(match name {
        "tempf" => Value(V::Temperature, Fahrenheit, 0),
        "outtemp" => Value(V::Temperature, Ours, 1),
        "dewptf" => Value(V::DewPoint, Fahrenheit, 0),
        "dewpoint" => Value(V::DewPoint, Ours, 1),
        "humidity" => Value(V::RelativeHumidity, Ours, 0),
        "outhumi" => Value(V::RelativeHumidity, Ours, 1),
        "baromrelin" => Value(V::PressureMsl, InchOfMercury, 0),
        "baromin" => Value(V::PressureMsl, InchOfMercury, 1),
        "relbaro" => Value(V::PressureMsl, Ours, 2),
        "baromabsin" => Value(V::PressureStation, InchOfMercury, 0),
        "absbaromin" => Value(V::PressureStation, InchOfMercury, 1),
        "absbaro" => Value(V::PressureStation, Ours, 2),
        "windspeedmph" => Value(V::WindSpeed, MilePerHour, 0),
        "windspdmph_avg2m" => Value(V::WindSpeed, MilePerHour, 1),
        "windspdmph_avg10m" => Value(V::WindSpeed, MilePerHour, 2),
        "windspeed" => Value(V::WindSpeed, KilometrePerHour, 3),
        "winddir" => Value(V::WindDirection, Ours, 0),
        "winddir_avg2m" => Value(V::WindDirection, Ours, 1),
        "winddir_avg10m" => Value(V::WindDirection, Ours, 2),
        "windgustmph" => Value(V::WindGust, MilePerHour, 0),
        "windgustmph_10m" => Value(V::WindGust, MilePerHour, 1),
        "windgust" => Value(V::WindGust, KilometrePerHour, 2),
        "solarradiation" => Value(V::SolarRadiation, Ours, 0),
        "light" => Value(V::SolarRadiation, Unit::Lux, 1),
        "visibility" => Value(V::Visibility, Unit::NauticalMile, 0),
        "totalrainin" => Total(Tipping, TOTAL, Inch),
        "yearlyrainin" => Total(Tipping, YEAR, Inch),
        "monthlyrainin" => Total(Tipping, MONTH, Inch),
        "weeklyrainin" => Total(Tipping, WEEK, Inch),
        "dailyrainin" => Total(Tipping, DAY, Inch),
        "yearlyrain" => Total(Tipping, YEAR, Ours),
        "monthlyrain" => Total(Tipping, MONTH, Ours),
        "weeklyrain" => Total(Tipping, WEEK, Ours),
        "dailyrain" => Total(Tipping, DAY, Ours),
        "train_piezo" => Total(Piezo, TOTAL, Inch),
        "yrain_piezo" => Total(Piezo, YEAR, Inch),
        "mrain_piezo" => Total(Piezo, MONTH, Inch),
        "wrain_piezo" => Total(Piezo, WEEK, Inch),
        "drain_piezo" => Total(Piezo, DAY, Inch),
        "rainin" => Meaning::HourSum,
        "clouds" => Meaning::Clouds,
        _ => return None,
    })
}
