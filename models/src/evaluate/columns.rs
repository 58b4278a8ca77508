//! What learned baselines see of a case: three of the four days that the network sees, in a few
//! hundred columns.
//!
//! Like the network's, values are changes from the newest value and the day of year is left out.
//! Where trees would have to rebuild a sum from its parts (the usual change between two hours of
//! the day) the sum is a column, so that the baselines are as strong as they can be.

use weather::time::HOUR;
use weather::{Station, Time, sun};

use super::REPORTED;
use super::cases::Case;
use crate::features::{PAST, Past};
use crate::grid::Channel;

/// Temperature, dew point, pressure and wind speed: seen hour by hour.
const MAIN: [(Channel, &str); 4] = [
    (Channel::Temperature, "temperature"),
    (Channel::DewPoint, "dew_point"),
    (Channel::Pressure, "pressure"),
    (Channel::WindSpeed, "wind_speed"),
];
const WIND: [(Channel, &str); 2] = [(Channel::WindU, "wind_u"), (Channel::WindV, "wind_v")];
/// Hours back that the channels beside [`MAIN`] are seen at.
const SPARSE: [usize; 8] = [0, 1, 2, 3, 6, 12, 18, 23];

/// One row under construction; NaN stands for what is missing.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) values: Vec<f32>,
    names: Option<Vec<String>>,
}

impl Row {
    fn put(&mut self, name: impl FnOnce() -> String, value: Option<f32>) {
        self.values.push(value.filter(|v| v.is_finite()).unwrap_or(f32::NAN));
        if let Some(names) = &mut self.names {
            names.push(name());
        }
    }
}

/// The columns of a case: those of its window, then those of each of [`REPORTED`] in turn.
pub(crate) fn of(case: &Case<'_>, past: &Past) -> Vec<f32> {
    let mut row = Row::default();
    fill(case, past, &mut row);
    row.values
}

/// The names of the window's columns and of one lead's.
pub(crate) fn names(case: &Case<'_>) -> (Vec<String>, Vec<String>) {
    let mut row = Row { values: Vec::new(), names: Some(Vec::new()) };
    let past = case.past();
    window(case, &past, &mut row);
    let window = row.names.replace(Vec::new()).unwrap_or_default();
    lead(&case.series.station, case.reference, &past, 1, &mut row);
    (window, row.names.unwrap_or_default())
}

fn fill(case: &Case<'_>, past: &Past, row: &mut Row) {
    window(case, past, row);
    for hours in REPORTED {
        lead(&case.series.station, case.reference, past, hours, row);
    }
}

/// The value of a channel some hours ago.
fn ago(past: &Past, channel: Channel, hours: usize) -> Option<f32> {
    (PAST - 1).checked_sub(hours).and_then(|hour| past.grid.get(channel, hour))
}

fn window(case: &Case<'_>, past: &Past, row: &mut Row) {
    let anchors = past.anchors();
    for ((channel, name), anchor) in MAIN.into_iter().zip(anchors.values) {
        for hours in (1..=24).chain((27..72).step_by(3)) {
            let change = ago(past, channel, hours).zip(anchor).map(|(value, anchor)| value - anchor);
            row.put(|| format!("{name} -{hours}h"), change);
        }
        for hours in [24, 72] {
            let change = mean(past, channel, hours).zip(anchor).map(|(value, anchor)| value - anchor);
            row.put(|| format!("{name} mean {hours}h"), change);
        }
        row.put(|| format!("{name} range"), range(past, channel));
        let age = (0..24).find(|hours| ago(past, channel, *hours).is_some());
        #[allow(clippy::cast_precision_loss)] // hours of a day
        row.put(|| format!("{name} age"), age.map(|age| age as f32));
    }
    for (channel, name) in WIND {
        for hours in SPARSE.into_iter().chain([30, 36, 48, 60, 71]) {
            row.put(|| format!("{name} -{hours}h"), ago(past, channel, hours));
        }
        row.put(|| format!("{name} mean 24h"), mean(past, channel, 24));
    }
    for hours in SPARSE {
        let change = ago(past, Channel::WindGust, hours).zip(anchors.values[4]).map(|(v, anchor)| v - anchor);
        row.put(|| format!("wind_gust -{hours}h"), change);
        row.put(|| format!("precipitation -{hours}h"), ago(past, Channel::Precipitation, hours));
        row.put(|| format!("solar_radiation -{hours}h"), ago(past, Channel::Solar, hours));
        row.put(|| format!("cloud_cover -{hours}h"), ago(past, Channel::CloudCover, hours));
    }
    for hours in [3, 6, 12, 24, 72] {
        row.put(|| format!("precipitation mean {hours}h"), mean(past, Channel::Precipitation, hours));
        row.put(|| format!("precipitation wet {hours}h"), wet_share(past, hours));
    }
    for ((_, name), value) in MAIN.into_iter().chain([(Channel::WindGust, "wind_gust")]).zip(anchors.values) {
        let known = name != "pressure" || anchors.sea_level;
        row.put(|| format!("{name} newest"), value.filter(|_| known));
    }
    let depression = anchors.values[0].zip(anchors.values[1]).map(|(t, td)| t - td);
    row.put(|| "dew point depression".into(), depression);
    row.put(|| "missing share".into(), Some(anchors.missing_share));
    place(&case.series.station, case.reference, row);
}

fn place(station: &Station, reference: Time, row: &mut Row) {
    #[allow(clippy::cast_possible_truncation)] // degrees
    let latitude = position(station).map(|(latitude, _)| latitude as f32);
    row.put(|| "latitude".into(), latitude);
    row.put(|| "distance from the equator".into(), latitude.map(f32::abs));
    row.put(|| "elevation".into(), station.elevation);
    let heights = (0..24).map(|hour| sky(station, reference + hour * HOUR).map(|s| s[0]));
    let heights: Option<Vec<f32>> = heights.collect();
    row.put(|| "sun now".into(), heights.as_ref().and_then(|h| h.first().copied()));
    row.put(|| "sun at its highest".into(), heights.map(|h| h.into_iter().fold(f32::MIN, f32::max)));
    let clock = clock(station, reference);
    row.put(|| "local hour, sine".into(), clock.map(|c| c[0]));
    row.put(|| "local hour, cosine".into(), clock.map(|c| c[1]));
}

fn lead(station: &Station, reference: Time, past: &Past, lead: usize, row: &mut Row) {
    let anchors = past.anchors();
    let gust = (Channel::WindGust, "wind_gust");
    for ((channel, name), anchor) in MAIN.into_iter().chain([gust]).zip(anchors.values) {
        for day in 0..3 {
            let change = past.same_hour(channel, lead, day).zip(anchor).map(|(value, anchor)| value - anchor);
            row.put(|| format!("{name} same hour, day {}", day + 1), change);
        }
        row.put(|| format!("{name} usual change"), usual_change(past, channel, lead));
    }
    for (channel, name) in WIND {
        row.put(|| format!("{name} same hour"), past.same_hour(channel, lead, 0));
    }
    row.put(|| "precipitation same hour".into(), past.same_hour(Channel::Precipitation, lead, 0));
    #[allow(clippy::cast_possible_wrap)] // at most 48
    let valid = reference + lead as i64 * HOUR;
    let sky = sky(station, valid);
    row.put(|| "sun then".into(), sky.map(|s| s[0]));
    row.put(|| "clear sky then".into(), sky.map(|s| s[1]));
    let clock = clock(station, valid);
    row.put(|| "local hour then, sine".into(), clock.map(|c| c[0]));
    row.put(|| "local hour then, cosine".into(), clock.map(|c| c[1]));
}

/// How much the value changed from the hour of the reference to the hour of the lead, on average
/// over the days of the window.
fn usual_change(past: &Past, channel: Channel, lead: usize) -> Option<f32> {
    let hours = (lead - 1) % 24 + 1;
    let changes = (1..=PAST / 24).filter_map(|day| {
        let from = ago(past, channel, day * 24)?;
        Some(ago(past, channel, day * 24 - hours)? - from)
    });
    average(changes)
}

fn mean(past: &Past, channel: Channel, hours: usize) -> Option<f32> {
    average((0..hours).filter_map(|hour| ago(past, channel, hour)))
}

/// The share of the known hours in which it rained, 0 to 1.
pub(crate) fn wet_share(past: &Past, hours: usize) -> Option<f32> {
    let rain = (0..hours).filter_map(|hour| ago(past, Channel::Precipitation, hour));
    average(rain.map(|mm| if mm >= crate::decode::WET { 1.0 } else { 0.0 }))
}

#[allow(clippy::cast_precision_loss)] // at most some days
pub(crate) fn average(values: impl Iterator<Item = f32>) -> Option<f32> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f32)
}

fn range(past: &Past, channel: Channel) -> Option<f32> {
    let day = (0..24).filter_map(|hour| ago(past, channel, hour));
    let (low, high) = day.fold((f32::MAX, f32::MIN), |(low, high), v| (low.min(v), high.max(v)));
    (low <= high).then_some(high - low)
}

fn position(station: &Station) -> Option<(f64, f64)> {
    station.position().filter(|(latitude, longitude)| latitude.is_finite() && longitude.is_finite())
}

/// The sine of the sun's elevation and the clear-sky radiation, kW/m².
#[allow(clippy::cast_possible_truncation)] // within ±2
fn sky(station: &Station, time: Time) -> Option<[f32; 2]> {
    let (latitude, longitude) = position(station)?;
    let elevation = sun::elevation(time, latitude, longitude);
    Some([elevation.to_radians().sin() as f32, (sun::clear_sky(elevation) / 1000.0) as f32])
}

/// Sine and cosine of the local solar hour.
pub(crate) fn clock(station: &Station, time: Time) -> Option<[f32; 2]> {
    let (_, longitude) = position(station)?;
    #[allow(clippy::cast_possible_truncation)] // seconds of a day
    let local = time + (longitude * 240.0) as i64;
    #[allow(clippy::cast_precision_loss)] // seconds of a day
    let turn = local.unix().rem_euclid(24 * HOUR) as f32 / (24 * HOUR) as f32 * std::f32::consts::TAU;
    Some([turn.sin(), turn.cos()])
}
