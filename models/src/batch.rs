//! Training batches: windows at random times, with random parts hidden, and what came after.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use weather::time::HOUR;
use weather::{LEADS, Station, Time, VariableSet};

use crate::dataset::{Network, Series};
use crate::decode::WET;
use crate::features::{
    ALL_LEADS, ANCHORED, ENCODER, PAST, PLACE, Past, QUANTITIES, SCALES, SENSORS, STATICS, WIND_SCALE,
};
use crate::grid::{Channel, Grid};

/// Where the target columns of a lead begin: anchored quantities and their weights, wind
/// components and their weight, wet and its weight, ln(1 + mm) and its weight.
pub(crate) const WEIGHTS: usize = ANCHORED;
pub(crate) const WIND: usize = 2 * ANCHORED;
pub(crate) const RAIN: usize = WIND + 3;
/// Target columns per lead.
pub(crate) const TARGETS: usize = RAIN + 4;

/// The share of the loss of temperature, dew point, pressure, wind speed, gust; wind components;
/// chance and amount of precipitation. Temperature is what most people look at.
const SHARES: [f32; ANCHORED] = [1.0, 0.6, 0.7, 0.7, 0.4];
const WIND_SHARE: f32 = 0.15;
const CHANCE_SHARE: f32 = 0.15;
const AMOUNT_SHARE: f32 = 0.15;

/// The newest points of a window that are learnt from as they were, hours.
const SHARP: usize = 6;

/// One training step's input.
#[derive(Clone)]
pub(crate) struct Batch {
    pub(crate) encoder: Vec<f32>,
    pub(crate) leads: Vec<f32>,
    /// `[batch, LEADS, TARGETS]`.
    pub(crate) targets: Vec<f32>,
}

/// The training part of the networks, to be drawn from.
pub(crate) struct Source<'a> {
    stations: Vec<(&'a Series, std::ops::Range<usize>)>,
    /// Running sum of the stations' chances.
    chances: Vec<f64>,
    size: usize,
    weather: Weather,
}

/// Whether examples are made harder than they were.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// Sensors, hours and places are hidden, and values rounded, at random.
    Varied,
    AsItWas,
}

/// When the last `share` of a network's training period begins.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // seconds of some years
fn validation(network: &Network, share: f64) -> Time {
    network.cut - ((network.cut - network.from) as f64 * share) as i64
}

impl<'a> Source<'a> {
    /// Training stations, windows wholly before the part of each network's period that validates.
    pub(crate) fn learnt(networks: &'a [Network], validated: f64, size: usize) -> Self {
        Self::between(networks, size, Weather::Varied, |network| (network.from, validation(network, validated)))
    }

    /// Training stations, windows wholly in the last part of each network's training period, as they
    /// are.
    pub(crate) fn validated(networks: &'a [Network], validated: f64, size: usize) -> Self {
        Self::between(networks, size, Weather::AsItWas, |network| (validation(network, validated), network.cut))
    }

    fn between(
        networks: &'a [Network],
        size: usize,
        weather: Weather,
        bounds: impl Fn(&Network) -> (Time, Time),
    ) -> Self {
        let (mut stations, mut chances, mut sum) = (Vec::new(), Vec::new(), 0.0);
        for network in networks {
            let (from, to) = bounds(network);
            let usable = network.training().map(|s| (s, s.references(from, to))).filter(|(_, r)| !r.is_empty());
            let usable: Vec<_> = usable.collect();
            let total: f64 = usable.iter().map(|(s, range)| hours(s, range)).sum();
            for (series, range) in usable {
                // Under the square root, so that the largest network does not drown the rest.
                sum += hours(series, &range) / total.max(1.0).sqrt();
                stations.push((series, range));
                chances.push(sum);
            }
        }
        Self { stations, chances, size, weather }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stations.is_empty()
    }

    /// The station, and its possible reference times, that a number from 0 to 1 stands for.
    fn chosen(&self, drawn: f64) -> &(&'a Series, std::ops::Range<usize>) {
        let drawn = drawn * self.chances.last().copied().unwrap_or_default();
        let chosen = self.chances.partition_point(|sum| *sum < drawn);
        &self.stations[chosen.min(self.stations.len() - 1)]
    }

    /// The batch of a step: the same for the same seed and step.
    pub(crate) fn draw(&self, seed: u64, step: u64) -> Batch {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(step));
        let mut batch = Batch {
            encoder: vec![0.0; self.size * ENCODER],
            leads: vec![0.0; self.size * ALL_LEADS],
            targets: vec![0.0; self.size * LEADS * TARGETS],
        };
        let rows = batch.encoder.chunks_exact_mut(ENCODER).zip(batch.leads.chunks_exact_mut(ALL_LEADS));
        for ((encoder, leads), targets) in rows.zip(batch.targets.chunks_exact_mut(LEADS * TARGETS)) {
            let (series, range) = self.chosen(rng.random::<f64>());
            let reference = series.samples[rng.random_range(range.clone())].time;
            let rows = Rows { encoder, leads, targets };
            match self.weather {
                Weather::Varied => varied(series, reference, &mut rng, rows),
                Weather::AsItWas => {
                    let past = Past::new(series.past(reference), reference, &series.station, VariableSet::EMPTY);
                    finish(&past, series, reference, &[], &series.station, rows);
                }
            }
        }
        level(&mut batch.targets);
        batch
    }
}

/// How many hours a station can be drawn from, so that a minute's cadence weighs no more than an hour's.
#[allow(clippy::cast_precision_loss)] // millions
fn hours(series: &Series, range: &std::ops::Range<usize>) -> f64 {
    let samples = &series.samples[range.clone()];
    let span = samples.last().map_or(0, |last| last.time - samples[0].time);
    (samples.len() as f64).min(span as f64 / 3600.0 + 1.0)
}

/// Where an example goes.
struct Rows<'a> {
    encoder: &'a mut [f32],
    leads: &'a mut [f32],
    targets: &'a mut [f32],
}

fn varied(series: &Series, reference: Time, rng: &mut StdRng, rows: Rows<'_>) {
    let mut station = series.station.clone();
    if rng.random_bool(0.08) {
        (station.latitude, station.longitude) = (None, None);
        if rng.random_bool(0.5) {
            station.timezone = None;
        }
    }
    if rng.random_bool(0.3) {
        station.elevation = None;
    }
    let samples = series.past(reference);
    let newest = samples.len() - 1;
    // A station that has just begun: from one report to three days.
    let begun = if rng.random_bool(0.12) { rng.random_range(0..newest.max(1)) } else { 0 };
    let begun = if rng.random_bool(0.02) { newest } else { begun };
    let mut past = Past::new(&samples[begun..], reference, &station, hidden(rng));
    let rounded = rounded(rng);
    rounded.iter().for_each(|(channel, step)| past.grid.round(*channel, *step));
    if rng.random_bool(0.3) {
        hide_hours(&mut past, rng);
    }
    past.anchor();
    blur(rng, &mut past.grid);
    let encoder = &mut *rows.encoder;
    finish(&past, series, reference, rounded, &station, Rows { encoder, ..rows });
    if rng.random_bool(0.6) {
        shift(rng, rows.encoder);
    }
    if rng.random_bool(0.4) {
        rows.encoder[PLACE].fill(0.0);
    }
}

/// Makes a warmer or colder place with higher or lower pressure of this one: how weather changes
/// depends on its level less than a few networks would have one believe.
fn shift(rng: &mut StdRng, encoder: &mut [f32]) {
    let (warmer, higher) = (rng.random_range(-0.8..0.8), rng.random_range(-0.8..0.8));
    for (level, by) in [(0, warmer), (1, warmer), (3, higher)] {
        let level = &mut encoder[STATICS + level];
        *level = if *level == 0.0 { 0.0 } else { *level + by };
    }
}

/// Makes what is more than some hours old uncertain: its course says what comes, its tenths only which
/// day it was.
fn blur(rng: &mut StdRng, grid: &mut Grid<PAST>) {
    // Half a degree and half a hectopascal, and what is like it of the others, in the channels' units.
    const BLURRED: [(Channel, f32); 9] = [
        (Channel::Temperature, 0.7),
        (Channel::DewPoint, 0.7),
        (Channel::Pressure, 0.6),
        (Channel::WindSpeed, 0.4),
        (Channel::WindGust, 0.5),
        (Channel::WindU, 0.6),
        (Channel::WindV, 0.6),
        (Channel::Solar, 40.0),
        (Channel::CloudCover, 10.0),
    ];
    for (channel, by) in BLURRED {
        let floor =
            if matches!(channel, Channel::WindSpeed | Channel::WindGust | Channel::Solar) { 0.0 } else { f32::MIN };
        for value in &mut grid.row_mut(channel)[..PAST - SHARP] {
            // The maximum with NaN would be the other.
            if !value.is_nan() {
                *value = (*value + rng.random_range(-by..by)).max(floor);
            }
        }
    }
}

fn finish(
    past: &Past,
    series: &Series,
    reference: Time,
    rounded: &[(Channel, f32)],
    station: &Station,
    rows: Rows<'_>,
) {
    past.fill(station, rows.encoder, rows.leads);
    let mut future = Grid::<LEADS>::lay(series.future(reference), reference, 1, past.level, series.irregular);
    rounded.iter().for_each(|(channel, step)| future.round(*channel, *step));
    fill_targets(past, &future, rows.targets);
}

/// The steps that an airport in place of this station would have reported in, this time.
fn rounded(rng: &mut StdRng) -> &'static [(Channel, f32)] {
    const FAHRENHEIT: f32 = 5.0 / 9.0;
    const KNOT: f32 = 0.514_444;
    match rng.random_range(0..20) {
        0..2 => &[(Channel::Temperature, 1.0), (Channel::DewPoint, 1.0), (Channel::Pressure, 1.0)],
        2..4 => &[
            (Channel::Temperature, 1.0),
            (Channel::DewPoint, 1.0),
            (Channel::Pressure, 1.0),
            (Channel::WindSpeed, KNOT),
        ],
        4..6 => &[(Channel::Temperature, 1.0), (Channel::DewPoint, 1.0)],
        6 => &[(Channel::Temperature, FAHRENHEIT), (Channel::DewPoint, FAHRENHEIT), (Channel::WindSpeed, KNOT)],
        7 => &[(Channel::WindSpeed, 1.0)],
        _ => &[],
    }
}

/// Sensors that this station shall not have, this time.
fn hidden(rng: &mut StdRng) -> VariableSet {
    let mut hidden = VariableSet::EMPTY;
    if rng.random_bool(0.25) {
        for sensor in SENSORS {
            if rng.random_bool(0.2) {
                sensor.iter().for_each(|v| hidden.insert(*v));
            }
        }
    }
    hidden
}

/// Takes away single hours, as an unsteady line would, and a recent stretch of one channel.
fn hide_hours(past: &mut Past, rng: &mut StdRng) {
    const ALL: [Channel; Channel::COUNT] = [
        Channel::Temperature,
        Channel::DewPoint,
        Channel::Pressure,
        Channel::WindSpeed,
        Channel::WindGust,
        Channel::WindU,
        Channel::WindV,
        Channel::Precipitation,
        Channel::Solar,
        Channel::CloudCover,
    ];
    let share = rng.random_range(0.0..0.7);
    // Three-hourly stations are common; the newest hour stays.
    let every = if rng.random_bool(0.3) { 3 } else { 1 };
    if every == 3 {
        past.set_cadence(3 * HOUR);
    }
    let grid = &mut past.grid;
    for back in 1..PAST {
        if back % every != 0 || (every == 1 && rng.random_bool(share)) {
            ALL.iter().for_each(|channel| grid.hide(*channel, PAST - 1 - back));
        }
    }
    if rng.random_bool(0.3) {
        let channel = ALL[rng.random_range(0..5)];
        for back in 0..rng.random_range(1..20) {
            grid.hide(channel, PAST - 1 - back);
        }
    }
}

#[allow(clippy::cast_precision_loss)] // 1 to 48
fn fill_targets(past: &Past, future: &Grid<LEADS>, targets: &mut [f32]) {
    let anchors = past.anchors();
    for (hour, row) in targets.chunks_exact_mut(TARGETS).enumerate() {
        // Errors grow with the lead, and most leads are far ones: without this they would have the loss to
        // themselves.
        let near = match hour {
            0..3 => 3.0,
            3..6 => 2.0,
            6..12 => 1.3,
            _ => 1.0,
        };
        let fair = near / (0.3 + 0.7 * ((hour + 1) as f32 / 12.0).min(1.0));
        for (q, channel) in QUANTITIES.into_iter().enumerate() {
            if let Some((anchor, value)) = anchors.values[q].zip(future.get(channel, hour)) {
                row[q] = (value - anchor) / SCALES[q];
                row[WEIGHTS + q] = fair;
            }
        }
        let components = future.get(Channel::WindU, hour).zip(future.get(Channel::WindV, hour));
        if let Some(((from_u, from_v), (u, v))) = anchors.wind.zip(components) {
            row[WIND] = (u - from_u) / WIND_SCALE;
            row[WIND + 1] = (v - from_v) / WIND_SCALE;
            row[WIND + 2] = fair;
        }
        if let Some(rain) = future.get(Channel::Precipitation, hour) {
            let wet = rain >= WET;
            row[RAIN] = if wet { 1.0 } else { 0.0 };
            row[RAIN + 1] = 1.0;
            row[RAIN + 2] = rain.ln_1p();
            row[RAIN + 3] = if wet { 1.0 } else { 0.0 };
        }
    }
}

/// Makes the weights of each quantity add up to its share of the loss, so that what few stations
/// measure counts as much as what all do.
fn level(targets: &mut [f32]) {
    let mut columns: Vec<(usize, f32)> = SHARES.iter().enumerate().map(|(q, s)| (WEIGHTS + q, *s)).collect();
    columns.extend([(WIND + 2, WIND_SHARE), (RAIN + 1, CHANCE_SHARE), (RAIN + 3, AMOUNT_SHARE)]);
    for (column, share) in columns {
        let sum: f32 = targets.iter().skip(column).step_by(TARGETS).sum();
        // A handful of cases must not get the weight of thousands.
        let factor = share / sum.max(200.0);
        targets.iter_mut().skip(column).step_by(TARGETS).for_each(|w| *w *= factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Split;

    #[test]
    fn every_station_is_drawn_as_often_as_its_share_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = "station,time,temperature\n".to_owned();
        for hour in 0..20 * 24 {
            for station in ["A", "B", "C", "D"] {
                rows.push_str(&format!("{station},2024-01-{:02} {:02}:00,5\n", 1 + hour / 24, hour % 24));
            }
        }
        std::fs::write(folder.path().join("n.csv"), rows).unwrap();
        std::fs::write(folder.path().join("n_stations.csv"), "station\nA\nB\nC\nD\n").unwrap();
        let networks = crate::dataset::read(folder.path(), Split::TrainAll, |_| ()).unwrap();
        let source = Source::learnt(&networks, 0.0, 1);
        let mut rng = StdRng::seed_from_u64(1);
        let mut drawn = [0; 4];
        for _ in 0..4000 {
            let (series, _) = source.chosen(rng.random::<f64>());
            drawn[usize::from(series.station.id.as_str().as_bytes()[0] - b'A')] += 1;
        }
        assert!(drawn.iter().all(|n| (900..1100).contains(n)), "{drawn:?}");
    }
}
