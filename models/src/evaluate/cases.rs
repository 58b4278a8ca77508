//! Which station and which moment: what is judged, and what learned baselines are fitted on.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sha2::{Digest, Sha256};
use weather::time::HOUR;
use weather::{LEADS, Observation, Sample, Time, VariableSet, Window, quality};

use crate::dataset::{Network, Series};
use crate::features::Past;
use crate::grid::Grid;

/// Chooses the judged moments, the same for every version.
const SEED: u64 = 2;
/// The last share of each network's training period, which chooses (penalties, numbers of trees,
/// residuals) and is not fitted on.
const LATE: f64 = 0.12;
/// What is fitted on ends so long before: no target of it lies in the last share, s.
const APART: i64 = 120 * HOUR;

/// A station at a moment.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    /// Index of the network among those that were read.
    pub(crate) network: usize,
    pub(crate) series: &'a Series,
    pub(crate) reference: Time,
    /// In the last share of the training period; false for judged cases.
    pub(crate) late: bool,
}

impl Case<'_> {
    /// What a forecast may see.
    pub(crate) fn past(&self) -> Past {
        Past::new(self.series.past(self.reference), self.reference, &self.series.station, VariableSet::EMPTY)
    }

    /// What came, by hour: only what passed quality control and is a fair target.
    pub(crate) fn truth(&self, past: &Past) -> Grid<LEADS> {
        Grid::lay(self.series.future(self.reference), self.reference, 1, past.level, self.series.irregular)
    }

    /// The window that a worker would hold: with the flags that it would have given, but for those that
    /// neighbours give; what looking back has found since is for what is judged.
    pub(crate) fn window(&self) -> Window {
        let mut window = Window::default();
        for Sample { time, values, .. } in self.series.past(self.reference) {
            let station = self.series.station.id.clone();
            let flags = weather::Flags::default();
            let observation = Observation { station, time: *time, values: *values, source: None };
            window.observe(&observation, flags, &self.series.station, quality::Limits::standard());
        }
        window
    }
}

/// Up to `per_station` moments of every judged station after its network's cut, spread over the
/// period: one at random in each of as many equal parts of its reports.
pub(crate) fn judged(networks: &[Network], per_station: usize) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    for (network, stations) in networks.iter().enumerate() {
        for series in stations.judging() {
            let range = series.references(stations.cut, stations.to);
            let mut rng = StdRng::seed_from_u64(SEED ^ number(series.station.id.as_str()));
            for part in 0..per_station {
                let bound = |part| range.start + range.len() * part / per_station;
                let (from, to) = (bound(part), bound(part + 1));
                if from < to {
                    let reference = series.samples[rng.random_range(from..to)].time;
                    cases.push(Case { network, series, reference, late: false });
                }
            }
        }
    }
    cases
}

/// About `count` moments of the training stations before each network's cut. Networks weigh by the
/// square root of their hours, as in training, so that the largest does not drown the rest.
pub(crate) fn training(networks: &[Network], count: usize, seed: u64) -> Vec<Case<'_>> {
    let mut stations: Vec<(usize, &Series, std::ops::Range<usize>, Time)> = Vec::new();
    let mut chances = Vec::new();
    let mut sum = 0.0;
    for (network, all) in networks.iter().enumerate() {
        let usable = all.training().map(|s| (s, s.references(all.from, all.cut))).filter(|(_, r)| !r.is_empty());
        let usable: Vec<_> = usable.collect();
        let total: f64 = usable.iter().map(|(s, r)| hours(s, r)).sum();
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // seconds of some years
        let late = all.cut - ((all.cut - all.from) as f64 * LATE) as i64;
        for (series, range) in usable {
            sum += hours(series, &range) / total.max(1.0).sqrt();
            stations.push((network, series, range, late));
            chances.push(sum);
        }
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cases = Vec::with_capacity(count);
    for _ in 0..if stations.is_empty() { 0 } else { count } {
        // Drawn once: a draw per comparison would favour the stations in the middle.
        let drawn = rng.random::<f64>() * sum;
        let chosen = chances.partition_point(|chance| *chance < drawn);
        let (network, series, range, late) = &stations[chosen.min(stations.len() - 1)];
        let reference = series.samples[rng.random_range(range.clone())].time;
        if reference >= *late || reference < *late - APART {
            cases.push(Case { network: *network, series, reference, late: reference >= *late });
        }
    }
    cases
}

/// Hours with reports, so that a minute's cadence weighs no more than an hour's.
#[allow(clippy::cast_precision_loss)] // millions
fn hours(series: &Series, range: &std::ops::Range<usize>) -> f64 {
    let span = series.samples[range.end - 1].time - series.samples[range.start].time;
    (range.len() as f64).min(span as f64 / 3600.0).max(1.0)
}

/// A number that only this text has, the same on every machine.
fn number(text: &str) -> u64 {
    Sha256::digest(text.as_bytes())[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Names a list of cases: predictions made for another one are refused.
pub(crate) fn fingerprint(cases: &[Case<'_>]) -> String {
    let mut digest = Sha256::new();
    for case in cases {
        digest.update(case.series.station.id.as_str());
        digest.update(case.reference.unix().to_le_bytes());
    }
    digest.finalize()[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}
