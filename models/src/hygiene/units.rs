//! Variables that are in another unit, or at another level, than they should be.
//!
//! A unit is found by what its numbers can't be in ours: mostly outside of what is possible (kelvin,
//! inches of mercury), or possible but far from the climate (Fahrenheit). What overlaps with honest
//! values (knots as m/s at a single station) cannot be found so, and is not guessed at.

use archive::Impossible;
use jiff::tz::TimeZone;
use weather::{Sample, Station, Time, Variable};

/// Fewer values say nothing about a unit.
const ENOUGH: usize = 48;
/// Temperatures whose median is this far above the climate are Fahrenheit, °C: 0.8 T + 32 in the cold.
const TOO_WARM: f32 = 20.0;
/// Nor is anything below it Fahrenheit for sure: winters at sea are mild far north, °C.
const MILD: f32 = 25.0;
/// No place is that warm as a rule, °C.
const WARMEST: f32 = 42.0;
/// Nor that humid, °C.
const MOST_HUMID: f32 = 31.0;
/// Sea-level pressure keeps to these on average, whatever the season, hPa.
const SEA_LEVEL: std::ops::Range<f32> = 975.0..1050.0;
/// How far pressure may be from what the elevation says, hPa: positions are rough, weather is not so.
const ELEVATION: f32 = 15.0;
/// The mean wind of a place below the mountains, m/s.
const WINDIEST: f32 = 13.0;
/// The usual highest gust of an hour there, m/s.
const GUSTIEST: f32 = 20.0;
/// Below this they are no mountains, m.
const MOUNTAINS: f32 = 1000.0;
const HPA_PER_MMHG: f32 = 1.333_22;

/// What a variable of a station seems to be instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suspicion {
    /// The unit or level, where one explains the numbers.
    pub(crate) unit: Option<&'static str>,
    /// In words.
    pub(crate) reason: String,
}

/// A variable's numbers at a station.
struct Numbers {
    /// The possible ones, in ascending order.
    sorted: Vec<f32>,
    impossible: Option<Impossible>,
}

impl Numbers {
    fn of(samples: &[Sample], variable: Variable, impossible: &[(Variable, Impossible)]) -> Self {
        let mut sorted: Vec<f32> = samples.iter().filter_map(|s| s.values.get(variable)).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let impossible = impossible.iter().find(|(v, _)| *v == variable).map(|(_, found)| *found);
        Self { sorted, impossible }
    }

    fn quantile(&self, share: f32) -> Option<f32> {
        let last = self.sorted.len().checked_sub(1)?;
        (self.sorted.len() >= ENOUGH).then(|| self.sorted[(last as f32 * share) as usize])
    }

    fn median(&self) -> Option<f32> {
        self.quantile(0.5)
    }

    /// Whether at least this share of all numbers is impossible, and lies between these.
    fn beyond(&self, share: f64, low: f32, high: f32) -> bool {
        self.impossible.is_some_and(|found| {
            let all = found.count as f64 + self.sorted.len() as f64;
            // An error code is one number; a unit has many.
            let many = all >= ENOUGH as f64 && found.highest > found.lowest;
            many && found.count as f64 >= share * all && found.lowest >= low && found.highest <= high
        })
    }
}

/// The variables of a station that are not what they are called.
pub(super) fn wrong(
    station: &Station,
    samples: &[Sample],
    impossible: &[(Variable, Impossible)],
) -> Vec<(Variable, Suspicion)> {
    let numbers = |variable| Numbers::of(samples, variable, impossible);
    let mut found = Vec::new();
    let mut note = |variable: Variable, suspicion: Option<Suspicion>| {
        found.extend(suspicion.map(|s| (variable, s)));
    };
    let temperatures = numbers(Variable::Temperature);
    let warm = temperature(&temperatures, climate(station, samples), WARMEST);
    let fahrenheit = warm.as_ref().is_some_and(|s| s.unit == Some("degF"));
    let dew_points = numbers(Variable::DewPoint);
    let humid = temperature(&dew_points, climate(station, samples), MOST_HUMID);
    let above = || (!fahrenheit).then(|| above_temperature(samples)).flatten();
    note(
        Variable::DewPoint,
        humid.or_else(above).or_else(|| fahrenheit.then(|| dew_point_beside_fahrenheit(&dew_points)).flatten()),
    );
    note(Variable::Temperature, warm);
    note(Variable::RelativeHumidity, share(&numbers(Variable::RelativeHumidity), "humidity"));
    note(Variable::PressureMsl, sea_level(&numbers(Variable::PressureMsl), station.elevation));
    note(Variable::PressureStation, station_level(&numbers(Variable::PressureStation), station.elevation));
    let winds = numbers(Variable::WindSpeed);
    let gusts = numbers(Variable::WindGust);
    note(Variable::WindSpeed, wind(&winds, WINDIEST, station.elevation));
    // Where gusts are told only when it is gusty, they say nothing about the unit.
    if gusts.sorted.len() * 2 > winds.sorted.len() {
        note(Variable::WindGust, wind(&gusts, GUSTIEST, station.elevation));
    }
    note(Variable::SolarRadiation, kilowatts(&numbers(Variable::SolarRadiation)));
    note(Variable::CloudCover, cloud_cover(&numbers(Variable::CloudCover)));
    found
}

fn is(unit: &'static str, reason: String) -> Option<Suspicion> {
    Some(Suspicion { unit: Some(unit), reason })
}

/// Temperatures or dew points; `climate` is what the place and the months would have.
fn temperature(numbers: &Numbers, climate: Option<f32>, most: f32) -> Option<Suspicion> {
    if numbers.beyond(0.5, 150.0, 345.0) {
        return is("K", "looks like kelvin".to_owned());
    }
    if numbers.beyond(0.02, 40.0, 140.0) && numbers.impossible.is_some_and(|i| i.highest - i.lowest > 5.0) {
        return is("degF", "looks like Fahrenheit (numbers that no Celsius reading has)".to_owned());
    }
    let median = numbers.median()?;
    if median > climate.map_or(most, |usual| most.min(MILD.max(usual + TOO_WARM))) {
        return is("degF", format!("looks like Fahrenheit (half of it is above {median:.0})"));
    }
    None
}

/// Dew points beside temperatures that are Fahrenheit are so, too, unless they are far below.
fn dew_point_beside_fahrenheit(numbers: &Numbers) -> Option<Suspicion> {
    let median = numbers.median()?;
    (median > 20.0).then(|| is("degF", format!("looks like Fahrenheit (half of it is above {median:.0})"))).flatten()
}

fn above_temperature(samples: &[Sample]) -> Option<Suspicion> {
    let (mut both, mut above) = (0_usize, 0_usize);
    for sample in samples {
        let pair = sample.values.get(Variable::Temperature).zip(sample.values.get(Variable::DewPoint));
        if let Some((temperature, dew_point)) = pair {
            both += 1;
            above += usize::from(dew_point > temperature + 1.0);
        }
    }
    let contradicts = both >= ENOUGH && above * 5 > both;
    let percent = 100 * above / both.max(1);
    let reason = || format!("above the temperature in {percent} % of the reports");
    contradicts.then(|| Suspicion { unit: None, reason: reason() })
}

/// A rough mean temperature of the months that the samples are of, °C: warm at the equator, colder
/// with the square of the latitude and with height, and a summer that grows with the latitude.
fn climate(station: &Station, samples: &[Sample]) -> Option<f32> {
    let (latitude, _) = station.position()?;
    let middle = samples.get(samples.len() / 2)?.time;
    let latitude = latitude as f32;
    let mean = 27.0 - 0.007 * latitude * latitude - 0.0065 * station.elevation.unwrap_or(0.0);
    let amplitude = (0.35 * latitude.abs()).min(18.0);
    let span = samples.last()?.time - samples.first()?.time;
    // Over most of a year seasons cancel.
    let season = if span > 250 * 86_400 { 0.0 } else { summer(middle, latitude) };
    Some(mean + amplitude * season)
}

/// 1 in the middle of the summer, -1 in that of the winter.
fn summer(time: Time, latitude: f32) -> f32 {
    let day = f32::from(time.timestamp().to_zoned(TimeZone::UTC).day_of_year());
    let north = ((day - 200.0) / 365.25 * std::f32::consts::TAU).cos();
    if latitude < 0.0 { -north } else { north }
}

fn share(numbers: &Numbers, what: &str) -> Option<Suspicion> {
    let (most, half) = numbers.sorted.last().copied().zip(numbers.median())?;
    // A sensor that reads 0 throughout has failed otherwise.
    let fraction = most <= 1.05 && half > 0.0;
    fraction.then(|| is("a share", format!("looks like a share of 1 and not %: no {what} is above {most}"))).flatten()
}

/// The unit whose numbers a pressure's impossible ones are.
fn other_pressure(numbers: &Numbers) -> Option<Suspicion> {
    let units = [("inHg", 15.0, 33.0), ("kPa", 40.0, 112.0), ("Pa", 30_000.0, 112_000.0)];
    let (unit, ..) = units.into_iter().find(|(_, low, high)| numbers.beyond(0.5, *low, *high))?;
    is(unit, format!("looks like {unit}"))
}

/// Pressure that the standard atmosphere has at a height, hPa.
fn standard(elevation: f32) -> f32 {
    1013.25 * (1.0 - 2.255_77e-5 * elevation).powf(5.255_88)
}

fn sea_level(numbers: &Numbers, elevation: Option<f32>) -> Option<Suspicion> {
    if let Some(other) = other_pressure(numbers) {
        return Some(other);
    }
    let below = numbers.beyond(0.5, 560.0, 846.0);
    if below
        && numbers.impossible.is_some_and(|i| i.lowest > 690.0 && i.highest < 800.0)
        && elevation.is_none_or(|e| e < 1500.0)
    {
        return is("mmHg", "looks like mmHg".to_owned());
    }
    if below {
        return is("station level", "looks like pressure at the station, not at sea level".to_owned());
    }
    let median = numbers.median()?;
    let at_station = elevation.filter(|e| *e > 150.0).is_some_and(|e| (median - standard(e)).abs() < ELEVATION);
    if at_station && (1013.25 - median) > ELEVATION {
        let reason = format!("looks like pressure at the station ({median:.0} hPa on average), not at sea level");
        return is("station level", reason);
    }
    (!SEA_LEVEL.contains(&median))
        .then(|| Suspicion { unit: None, reason: format!("{median:.0} hPa on average is no sea-level pressure") })
}

fn station_level(numbers: &Numbers, elevation: Option<f32>) -> Option<Suspicion> {
    if let Some(other) = other_pressure(numbers) {
        return Some(other);
    }
    let median = numbers.median()?;
    let elevation = elevation?;
    let expected = standard(elevation);
    if (median - expected).abs() < 3.0 * ELEVATION {
        let at_sea_level = (median - expected) > 1.5 * ELEVATION && (median - 1013.25).abs() < ELEVATION;
        let reason = format!("looks like sea-level pressure ({median:.0} hPa on average at {elevation:.0} m)");
        return at_sea_level.then(|| is("sea level", reason)).flatten();
    }
    if (median * HPA_PER_MMHG - expected).abs() < ELEVATION {
        return is("mmHg", format!("looks like mmHg ({median:.0} on average at {elevation:.0} m)"));
    }
    if (median - 1013.25).abs() < ELEVATION {
        let reason = format!("looks like sea-level pressure ({median:.0} hPa on average at {elevation:.0} m)");
        return is("sea level", reason);
    }
    let reason = format!("{median:.0} hPa on average does not fit an elevation of {elevation:.0} m");
    Some(Suspicion { unit: None, reason })
}

/// Mean wind or gusts; km/h are 3.6 times as many.
fn wind(numbers: &Numbers, most: f32, elevation: Option<f32>) -> Option<Suspicion> {
    let median = numbers.median()?;
    let windy = median > most && elevation.is_none_or(|e| e < MOUNTAINS);
    windy.then(|| is("km/h", format!("looks like km/h ({median:.0} on average)"))).flatten()
}

fn kilowatts(numbers: &Numbers) -> Option<Suspicion> {
    let (most, many) = numbers.sorted.last().copied().zip(numbers.quantile(0.9))?;
    // Half a day of sun among the values, and never more than 2: no W/m2.
    (many > 0.05 && most < 2.0).then(|| is("kW/m2", format!("looks like kW/m2: at most {most}"))).flatten()
}

fn cloud_cover(numbers: &Numbers) -> Option<Suspicion> {
    let (most, many) = numbers.sorted.last().copied().zip(numbers.quantile(0.9))?;
    let whole = numbers.sorted.iter().all(|v| v.fract() == 0.0);
    if whole && (5.0..=9.0).contains(&most) && many >= 4.0 {
        return is("oktas", format!("looks like oktas: at most {most}"));
    }
    if most <= 1.0 { share(numbers, "cloud cover") } else { None }
}
