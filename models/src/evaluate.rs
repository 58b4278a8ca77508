//! How good a version is, beside the simplest baselines, on stations and times it never saw.
//!
//! A case counts only where the observation, the forecast and both baselines exist, so that all
//! are judged by the same cases. Scores are averaged within a station first, then over stations.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use weather::{LEADS, Observation, Prediction, QUANTILES, Quantity, Sample, Time, VariableSet, Window, derived};

use crate::backend::BackendKind;
use crate::baselines::{diurnal, persistence};
use crate::dataset::{self, Network, Series, Split, Want};
use crate::decode::WET;
use crate::features::Past;
use crate::forecaster::{Forecaster, Input};
use crate::grid::{Channel, Grid};
use crate::losses::SHARES;
use crate::version::{self, ScoreLine};

/// Reference times per station, as a rule; the seed below chooses them, the same for every version.
pub const PER_STATION: usize = 200;
const SEED: u64 = 2;
/// The leads that are reported, hours.
pub(crate) const REPORTED: [usize; 6] = [1, 3, 6, 12, 24, 48];
/// Below this observed speed a direction means little, m/s.
const STEADY: f32 = 3.0;

/// What is scored, in the order of the table.
#[derive(Clone, Copy)]
enum Subject {
    Scalar(Quantity, Channel, &'static str),
    Chance,
    Direction,
}

const SUBJECTS: [Subject; 8] = [
    Subject::Scalar(Quantity::Temperature, Channel::Temperature, "temperature, degC"),
    Subject::Scalar(Quantity::DewPoint, Channel::DewPoint, "dew point, degC"),
    Subject::Scalar(Quantity::PressureMsl, Channel::Pressure, "pressure, hPa"),
    Subject::Scalar(Quantity::WindSpeed, Channel::WindSpeed, "wind speed, m/s"),
    Subject::Scalar(Quantity::WindGust, Channel::WindGust, "wind gust, m/s"),
    Subject::Direction,
    Subject::Scalar(Quantity::Precipitation, Channel::Precipitation, "precipitation, mm"),
    Subject::Chance,
];

impl Subject {
    const fn name(self) -> &'static str {
        match self {
            Self::Scalar(_, _, name) => name,
            Self::Chance => "rain >= 0.1 mm, Brier",
            Self::Direction => "wind direction, deg",
        }
    }
}

/// One case: how wrong each was.
struct Errors {
    model: f32,
    persistence: f32,
    diurnal: f32,
    /// CRPS and whether the observation lay in the 80 % interval.
    spread: Option<(f32, bool)>,
}

/// Sums over the cases of one station.
#[derive(Clone, Copy, Default)]
struct Sums {
    n: u64,
    errors: [f64; 3],
    crps: f64,
    covered: f64,
    spread: bool,
}

impl Sums {
    fn add(&mut self, errors: &Errors) {
        self.n += 1;
        for (sum, error) in self.errors.iter_mut().zip([errors.model, errors.persistence, errors.diurnal]) {
            *sum += f64::from(error);
        }
        if let Some((crps, covered)) = errors.spread {
            self.spread = true;
            self.crps += f64::from(crps);
            self.covered += if covered { 1.0 } else { 0.0 };
        }
    }
}

/// By subject, then by reported lead.
type Table = [[Sums; REPORTED.len()]; SUBJECTS.len()];

/// An evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Over all stations.
    pub lines: Vec<ScoreLine>,
    /// By network.
    pub networks: Vec<NetworkScores>,
}

/// The part of an evaluation that belongs to one network.
#[derive(Clone, Debug)]
pub struct NetworkScores {
    /// Its name.
    pub name: String,
    /// Stations judged.
    pub stations: usize,
    /// Judged from here on; training ended before.
    pub from: weather::Time,
    /// To here.
    pub to: weather::Time,
    /// Its scores.
    pub lines: Vec<ScoreLine>,
}

/// What to judge a version by.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// A folder of `NAME.parquet` and `NAME_stations.csv`, or one that has them in `tables/`.
    pub data: PathBuf,
    /// The version's folder.
    pub version: PathBuf,
    /// What computes.
    pub backend: BackendKind,
    /// Every station over its whole period, instead of the held-out ones after the training cut:
    /// right only for data that the version was not trained on.
    pub everything: bool,
    /// Reference times per station.
    pub cases: usize,
}

/// Reads data and scores a version by it.
///
/// # Errors
/// When the data or the version can't be read, or nothing in the data can be judged.
pub fn evaluate(options: &EvaluateOptions) -> anyhow::Result<Evaluation> {
    let mut forecaster = Forecaster::load(&options.version, options.backend)?;
    let split = if options.everything { Split::JudgeAll } else { Split::At(cut(&options.version)?) };
    let networks = dataset::read(&options.data, split, Want::Judged, |_| ())?;
    for network in &networks {
        network.reports.iter().for_each(|report| eprintln!("{}", report.summary()));
    }
    let evaluation = self::networks(&networks, &mut forecaster, options.cases);
    anyhow::ensure!(
        !evaluation.lines.is_empty(),
        "{}: no held-out station has five days after its network's cut; for data that was not trained on, judge all",
        options.data.display()
    );
    Ok(evaluation)
}

/// The moment that a version's training ended at.
fn cut(version: &Path) -> anyhow::Result<Time> {
    let text = version::read_manifest(version)?.training.cut.with_context(|| {
        format!("{}: trained on everything, so only data that it never saw can judge it: --all", version.display())
    })?;
    Time::parse(&text).with_context(|| format!("{}: training.cut is {text}", version.display()))
}

/// Scores the forecaster on the held-out stations of each network after its cut.
pub(crate) fn networks(networks: &[Network], forecaster: &mut Forecaster, per_station: usize) -> Evaluation {
    let mut all = Vec::new();
    let mut parts = Vec::new();
    for network in networks {
        let tables: Vec<Table> =
            network.judging().filter_map(|series| station(network, series, forecaster, per_station)).collect();
        if tables.is_empty() {
            continue;
        }
        parts.push(NetworkScores {
            name: network.name.clone(),
            stations: tables.len(),
            from: network.cut,
            to: network.to,
            lines: lines(&tables),
        });
        all.extend(tables);
    }
    Evaluation { lines: lines(&all), networks: parts }
}

fn station(network: &Network, series: &Series, forecaster: &mut Forecaster, cases: usize) -> Option<Table> {
    let range = series.references(network.cut, network.to);
    if range.is_empty() {
        return None;
    }
    let mut rng = StdRng::seed_from_u64(SEED);
    let chosen: Vec<usize> = (0..cases).map(|_| rng.random_range(range.clone())).collect();
    let windows: Vec<Window> = chosen.iter().map(|index| window(series, *index)).collect();
    let inputs: Vec<Input<'_>> = windows.iter().map(|window| Input { window, station: &series.station }).collect();
    let outputs = forecaster.predict(&inputs);
    let mut table = Table::default();
    for (index, output) in chosen.iter().zip(outputs) {
        let reference = series.samples[*index].time;
        let past = Past::new(series.past(reference), reference, &series.station, VariableSet::EMPTY);
        let future = Grid::lay(series.future(reference), reference, 1, past.level, series.irregular);
        score(&output.prediction, &past, &future, &mut table);
    }
    Some(table)
}

/// The window that a worker would hold after the `newest`th observation.
fn window(series: &Series, newest: usize) -> Window {
    let mut window = Window::default();
    for Sample { time, values, flags, .. } in series.past(series.samples[newest].time) {
        let station = series.station.id.clone();
        window.apply(&Observation { station, time: *time, values: *values, source: None }, *flags);
    }
    window
}

fn score(prediction: &Prediction, past: &Past, future: &Grid<LEADS>, table: &mut Table) {
    for (subject, row) in SUBJECTS.into_iter().zip(table) {
        for (lead, sums) in REPORTED.into_iter().zip(row) {
            let errors = match subject {
                Subject::Scalar(quantity, channel, _) => scalar(prediction, quantity, channel, past, future, lead),
                Subject::Chance => chance(prediction, past, future, lead),
                Subject::Direction => direction(prediction, past, future, lead),
            };
            if let Some(errors) = errors {
                sums.add(&errors);
            }
        }
    }
}

fn scalar(
    prediction: &Prediction,
    quantity: Quantity,
    channel: Channel,
    past: &Past,
    future: &Grid<LEADS>,
    lead: usize,
) -> Option<Errors> {
    let distribution = prediction.get(quantity)?;
    let observed = future.get(channel, lead - 1)?;
    let levels: [f32; QUANTILES.len()] = std::array::from_fn(|level| distribution.level(level)[lead - 1]);
    let crps: f32 =
        QUANTILES.iter().zip(levels).zip(SHARES).map(|((t, q), w)| 2.0 * w * pinball(*t, q, observed)).sum();
    Some(Errors {
        model: (distribution.median()[lead - 1] - observed).abs(),
        persistence: (persistence(past, channel)? - observed).abs(),
        diurnal: (diurnal(past, channel, lead)? - observed).abs(),
        spread: Some((crps, (levels[1]..=levels[5]).contains(&observed))),
    })
}

/// The pinball loss of quantile `q` at level `tau` when `y` was observed.
fn pinball(tau: f32, q: f32, y: f32) -> f32 {
    if y < q { (1.0 - tau) * (q - y) } else { tau * (y - q) }
}

fn chance(prediction: &Prediction, past: &Past, future: &Grid<LEADS>, lead: usize) -> Option<Errors> {
    let wet = |mm: f32| if mm >= WET { 1.0 } else { 0.0 };
    let observed = wet(future.get(Channel::Precipitation, lead - 1)?);
    let square = |p: f32| (p - observed).powi(2);
    Some(Errors {
        model: square(prediction.precipitation_probability.as_ref()?[lead - 1]),
        persistence: square(wet(persistence(past, Channel::Precipitation)?)),
        diurnal: square(wet(diurnal(past, Channel::Precipitation, lead)?)),
        spread: None,
    })
}

fn direction(prediction: &Prediction, past: &Past, future: &Grid<LEADS>, lead: usize) -> Option<Errors> {
    let (u, v) = future.get(Channel::WindU, lead - 1).zip(future.get(Channel::WindV, lead - 1))?;
    if u.hypot(v) < STEADY {
        return None;
    }
    let observed = derived::wind_direction(u, v);
    let turn = |d: f32| {
        let difference = (d - observed).abs().rem_euclid(360.0);
        difference.min(360.0 - difference)
    };
    let (newest_u, newest_v) = persistence(past, Channel::WindU).zip(persistence(past, Channel::WindV))?;
    let (day_u, day_v) = diurnal(past, Channel::WindU, lead).zip(diurnal(past, Channel::WindV, lead))?;
    Some(Errors {
        model: turn(prediction.wind_direction.as_ref()?[lead - 1]),
        persistence: turn(derived::wind_direction(newest_u, newest_v)),
        diurnal: turn(derived::wind_direction(day_u, day_v)),
        spread: None,
    })
}

#[allow(clippy::cast_precision_loss)] // counts
fn lines(tables: &[Table]) -> Vec<ScoreLine> {
    let mut lines = Vec::new();
    for (subject, kind) in SUBJECTS.into_iter().enumerate() {
        for (at, lead) in REPORTED.into_iter().enumerate() {
            let cells: Vec<&Sums> = tables.iter().map(|t| &t[subject][at]).filter(|s| s.n > 0).collect();
            if cells.is_empty() {
                continue;
            }
            let mean = |value: &dyn Fn(&Sums) -> f64| {
                let mean = cells.iter().map(|s| value(s) / s.n as f64).sum::<f64>() / cells.len() as f64;
                (mean * 1e4).round() / 1e4
            };
            let spread = cells.iter().any(|s| s.spread);
            lines.push(ScoreLine {
                quantity: kind.name().to_owned(),
                lead,
                n: cells.iter().map(|s| s.n).sum(),
                model: mean(&|s| s.errors[0]),
                persistence: mean(&|s| s.errors[1]),
                diurnal: mean(&|s| s.errors[2]),
                crps: spread.then(|| mean(&|s| s.crps)),
                coverage80: spread.then(|| mean(&|s| s.covered)),
            });
        }
    }
    lines
}

impl Evaluation {
    /// The evaluation as Markdown tables that read well in a terminal too.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = table("all networks", &self.lines);
        for NetworkScores { name, stations, from, to, lines } in &self.networks {
            let temperature: Vec<ScoreLine> =
                lines.iter().filter(|l| l.quantity.starts_with("temperature")).cloned().collect();
            let _ = write!(text, "\n{name}: {stations} stations, {from} to {to}\n\n"); // a string takes all
            text.push_str(&table(name, &temperature));
        }
        text
    }
}

fn table(title: &str, lines: &[ScoreLine]) -> String {
    let mut text = format!(
        "| {title:<22} | lead h | {:>6} | {:>7} | {:>11} | {:>7} | {:>6} | {:>8} |\n|---|--:|--:|--:|--:|--:|--:|--:|\n",
        "n", "model", "persistence", "diurnal", "CRPS", "in 80 %"
    );
    for line in lines {
        let crps = line.crps.map_or(String::new(), |v| format!("{v:.3}"));
        let coverage = line.coverage80.map_or(String::new(), |v| format!("{:.1} %", v * 100.0));
        let _ = writeln!(
            text,
            "| {:<22} | {:>6} | {:>6} | {:>7.3} | {:>11.3} | {:>7.3} | {crps:>6} | {coverage:>8} |",
            line.quantity, line.lead, line.n, line.model, line.persistence, line.diurnal
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinball_reference_values() {
        for (tau, q, y, expected) in [(0.1, 10.0, 12.0, 0.2), (0.1, 10.0, 9.0, 0.9), (0.9, 10.0, 12.0, 1.8)] {
            assert!((pinball(tau, q, y) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn stations_count_alike_however_many_cases_they_have() {
        let sums = |n, error| Sums { n, errors: [error * n as f64; 3], ..Sums::default() };
        let mut tables = [Table::default(), Table::default()];
        tables[0][0][0] = sums(1, 1.0);
        tables[1][0][0] = sums(99, 3.0);
        let lines = lines(&tables);
        assert_eq!((lines.len(), lines[0].n, lines[0].model), (1, 100, 2.0));
        assert_eq!(lines[0].crps, None);
    }
}
