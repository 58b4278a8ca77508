//! What of a report becomes an observation.
//!
//! - Temperature and dew point: the tenths of the remarks (`T02280183`) where they agree with the whole
//!   degrees to within one; else the whole degrees.
//! - Wind: a calm has speed 0 and no direction, a variable wind no direction; `000` with a speed is none.
//! - Visibility: 10 000 m for `9999` and `CAVOK`, the bound itself for "more than" and "less than".
//! - Cloud cover, %: the largest layer (FEW 2, SCT 4, BKN 7, OVC 8 eighths; an obscured sky is overcast);
//!   0 for `SKC`, `CLR`, `NSC`, `NCD`. `CAVOK` leaves it out, as the recordings that the model has learned
//!   from do: above 5000 ft anything may be.
//! - Pressure at sea level: `SLP`, else the altimeter setting (QNH), which the recordings count as
//!   sea-level pressure too. The two differ by the air's departure from the standard atmosphere below
//!   the station: nothing at the coast, up to 10 hPa at 1500 m.
//! - Pressure of the station: the QFE of Russian remarks.
//! - Precipitation: `Pdddd` of a routine report, over the hour; Canada's past hour; Australia's ten
//!   minutes. That of a special report is the sum since the last routine one, which the next routine one
//!   reports again: it is left out, so that no drop is counted twice.
//! - Present weather: WMO 4677 (`phenomena.rs`), of the weather now or else of the past hour.

use jiff::civil::Date;
use weather::admission::{Reason, check_value};
use weather::{Observation, Rejection, StationId, Time, Values, Variable};

use super::phenomena;
use super::report::{Kind, Report};

/// Percent in an eighth of the sky.
const OKTA: f32 = 12.5;
/// How far ahead of its arrival a report's time may lie to be of this month, seconds. Some stations send
/// the report of the full hour ten minutes before it; beyond, the same day of the month before is meant.
pub const NEXT_MONTH: i64 = 15 * 60;
/// How far tenths may lie from the whole degrees that the same report gives, °C.
const AGREE: f32 = 1.0;

impl Report<'_> {
    /// The observation in a report that arrives at `arrival`.
    ///
    /// # Errors
    /// When it is `NIL`, its day does not exist, or no value of it can be read.
    pub fn observation(&self, arrival: Time) -> Result<Observation, Rejection> {
        let missing = |field, detail: &str| Err(Rejection::new(field, Reason::MissingField, detail.to_owned()));
        if self.nil {
            return missing("temperature", "NIL: the station sent no report");
        }
        let values = self.values();
        if values.is_empty() {
            return missing("temperature", "the report holds no value: at least one group must be there");
        }
        Ok(Observation {
            station: StationId::new(self.station)?,
            time: resolve_time(self.time, arrival)?,
            values,
            source: Some("metar".to_owned()),
        })
    }

    /// The values of the report, each possible in its unit; what is not is left out.
    #[must_use]
    pub fn values(&self) -> Values {
        let mut values = Values::default();
        let mut put = |variable, value: Option<f32>| {
            if let Some(value) = value.filter(|value| check_value(variable, *value).is_ok()) {
                values.set(variable, value);
            }
        };
        let (temperature, dew_point) = self.air();
        put(Variable::Temperature, temperature);
        put(Variable::DewPoint, dew_point);
        if let Some(wind) = &self.wind {
            put(Variable::WindSpeed, wind.speed);
            let moves = wind.speed.is_some_and(|speed| speed > 0.0);
            put(Variable::WindDirection, wind.direction.filter(|d| moves && *d > 0).map(f32::from));
            put(Variable::WindGust, wind.gust);
        }
        let cavok = self.cavok.then_some(10_000.0);
        put(Variable::Visibility, self.visibility.map(|visibility| visibility.metres).or(cavok));
        put(Variable::CloudCover, self.cloud_cover());
        put(Variable::PresentWeather, self.present_weather().map(f32::from));
        let setting = self.altimeter_setting();
        put(Variable::PressureMsl, self.remarks.sea_level_pressure(setting).or(setting));
        put(Variable::PressureStation, self.remarks.aerodrome_pressure);
        if let Some((amount, period)) = self.precipitation() {
            put(Variable::Precipitation, Some(amount));
            put(Variable::PrecipitationPeriod, Some(period));
        }
        values
    }

    /// Temperature and dew point, °C, in the finest steps in which the report gives them.
    #[must_use]
    pub fn air(&self) -> (Option<f32>, Option<f32>) {
        let finer = |whole: Option<f32>, tenths: Option<f32>| match (whole, tenths) {
            (Some(whole), Some(tenths)) if (whole - tenths).abs() > AGREE => Some(whole),
            (whole, tenths) => tenths.or(whole),
        };
        let remarks = &self.remarks;
        (finer(self.temperature, remarks.temperature), finer(self.dew_point, remarks.dew_point))
    }

    /// The largest layer, % of the sky; none when the report does not say.
    #[must_use]
    pub fn cloud_cover(&self) -> Option<f32> {
        if self.obscured {
            return Some(100.0);
        }
        let largest = self.layers.iter().filter_map(|layer| layer.oktas).max();
        largest.or(self.clear.then_some(0)).map(|oktas| f32::from(oktas) * OKTA)
    }

    /// The WMO 4677 code, when the report tells of weather.
    #[must_use]
    pub fn present_weather(&self) -> Option<u8> {
        phenomena::present(&self.weather).or_else(|| phenomena::present(&self.recent))
    }

    /// Precipitation, mm, and its period, s, unless another report counts it too.
    #[must_use]
    pub fn precipitation(&self) -> Option<(f32, f32)> {
        let overlaps = |period: f32| self.kind == Some(Kind::Speci) && period >= 3600.0;
        self.remarks.precipitation.filter(|(_, period)| !overlaps(*period))
    }
}

/// The latest instant of that day of a month, hour and minute that is not more than [`NEXT_MONTH`]
/// seconds after `arrival`.
///
/// # Errors
/// When the day is in none of the last months.
pub fn resolve_time((day, hour, minute): (i8, i8, i8), arrival: Time) -> Result<Time, Rejection> {
    let latest = arrival + NEXT_MONTH;
    let today = latest.timestamp().to_zoned(jiff::tz::TimeZone::UTC).date();
    let (mut year, mut month) = (today.year(), today.month());
    // One of any three months in a row has the day, and the current one may not have come to it.
    for _ in 0..4 {
        if let Ok(date) = Date::new(year, month, day)
            && let Ok(zoned) = date.at(hour, minute, 0, 0).to_zoned(jiff::tz::TimeZone::UTC)
        {
            let time = Time::from_unix(zoned.timestamp().as_second());
            if time <= latest {
                return Ok(time);
            }
        }
        (year, month) = if month == 1 { (year - 1, 12) } else { (year, month - 1) };
    }
    Err(Rejection::new("time", Reason::BadTime, "day 1 to 31, hour 0 to 23, minute 0 to 59, as 231151Z"))
}
