//! Scores summed up by station and ten days, so that means, intervals and comparisons all come from
//! the same cases.

use std::collections::BTreeMap;

use serde::Serialize;
use weather::{LEADS, QUANTILES};

use super::REPORTED;
use super::subject::{CHANCE, Entry, SUBJECTS, Subject};
use crate::scores::{self, BINS, Bin};

/// Who forecasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the names say it; `evaluate/simple.rs` has the definitions
pub enum Contender {
    Model,
    Persistence,
    Diurnal,
    Climatology,
    Damped,
    Blend,
    Ridge,
    Learned,
}

impl Contender {
    pub(crate) const COUNT: usize = 8;
    /// In the order of the tables.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Model,
        Self::Persistence,
        Self::Diurnal,
        Self::Climatology,
        Self::Damped,
        Self::Blend,
        Self::Ridge,
        Self::Learned,
    ];

    /// As tables and plots call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Persistence => "persistence",
            Self::Diurnal => "diurnal",
            Self::Climatology => "climatology",
            Self::Damped => "damped",
            Self::Blend => "blend",
            Self::Ridge => "ridge",
            Self::Learned => "LightGBM",
        }
    }
}

/// The intervals that are scored: indexes of the levels at their ends.
pub(crate) const INTERVALS: [(usize, usize); 3] = [(2, 4), (1, 5), (0, 6)];

/// Sums over cases.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) n: f64,
    /// Of absolute errors, or angles.
    pub(crate) absolute: f64,
    pub(crate) square: f64,
    pub(crate) error: f64,
    pub(crate) observed: f64,
    /// Cases that had a distribution.
    pub(crate) distributions: f64,
    pub(crate) crps: f64,
    pub(crate) pinball: [f64; QUANTILES.len()],
    pub(crate) covered: [f64; INTERVALS.len()],
    pub(crate) width: [f64; INTERVALS.len()],
}

impl Sums {
    pub(crate) fn add(&mut self, subject: Subject, entry: &Entry, observed: f32) {
        let (value, observed) = (f64::from(entry.value), f64::from(observed));
        let error = value - observed;
        self.n += 1.0;
        self.absolute += if subject == Subject::Direction { scores::angle(value, observed) } else { error.abs() };
        self.square += error * error;
        self.error += error;
        self.observed += observed;
        let Some(levels) = entry.levels.map(|levels| levels.map(f64::from)) else { return };
        self.distributions += 1.0;
        let ranks = QUANTILES.map(f64::from);
        self.crps += scores::crps_quantiles(&ranks, &levels, observed);
        for (sum, (rank, level)) in self.pinball.iter_mut().zip(ranks.iter().zip(levels)) {
            *sum += scores::pinball(*rank, level, observed);
        }
        for (index, (low, high)) in INTERVALS.into_iter().enumerate() {
            let (low, high) = (levels[low], levels[high]);
            self.covered[index] += if (low..=high).contains(&observed) { 1.0 } else { 0.0 };
            self.width[index] += high - low;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.absolute += other.absolute;
        self.square += other.square;
        self.error += other.error;
        self.observed += other.observed;
        self.distributions += other.distributions;
        self.crps += other.crps;
        let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(sum, more)| *sum += more);
        add(&mut self.pinball, &other.pinball);
        add(&mut self.covered, &other.covered);
        add(&mut self.width, &other.width);
    }

    /// What makes one better than another: the Brier score of a chance, else the absolute error.
    pub(crate) const fn loss(&self, subject: usize) -> f64 {
        if subject == CHANCE { self.square } else { self.absolute }
    }
}

/// Where a case belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) network: usize,
    pub(crate) station: usize,
    /// Ten days.
    pub(crate) block: i64,
}

/// By subject, reported lead and contender.
type Cell = Vec<Sums>;

/// All sums.
#[derive(Default)]
pub(crate) struct Tally {
    cells: BTreeMap<Place, Cell>,
    /// The model alone at every lead: by network and station, then subject and lead.
    by_lead: BTreeMap<(usize, usize), Vec<Sums>>,
    /// By network, contender and reported lead.
    reliability: BTreeMap<(usize, Contender, usize), [Bin; BINS]>,
    /// By network, subject and reported lead: where among the model's quantiles it fell.
    ranks: BTreeMap<(usize, usize, usize), [u64; QUANTILES.len() + 1]>,
}

fn at(subject: usize, lead: usize, contender: Contender) -> usize {
    (subject * REPORTED.len() + lead) * Contender::COUNT + contender as usize
}

impl Tally {
    /// Adds one observation that every one of the entries was a forecast of.
    pub(crate) fn add(&mut self, place: Place, subject: usize, lead: usize, entries: &[(Contender, Entry)], y: f32) {
        let size = SUBJECTS.len() * REPORTED.len() * Contender::COUNT;
        let cell = self.cells.entry(place).or_insert_with(|| vec![Sums::default(); size]);
        for (contender, entry) in entries {
            cell[at(subject, lead, *contender)].add(SUBJECTS[subject], entry, y);
            if subject == CHANCE {
                let bins = self.reliability.entry((place.network, *contender, lead)).or_default();
                let bin = &mut bins[scores::bin(f64::from(entry.value))];
                bin.n += 1;
                bin.forecast += f64::from(entry.value);
                bin.happened += f64::from(y);
            }
            if let (Contender::Model, Some(levels)) = (*contender, entry.levels) {
                let rank = levels.iter().filter(|level| **level < y).count();
                self.ranks.entry((place.network, subject, lead)).or_default()[rank] += 1;
            }
        }
    }

    /// Adds what the model said of any lead, 1 to 48.
    pub(crate) fn add_model(&mut self, place: Place, subject: usize, lead: usize, entry: &Entry, y: f32) {
        let sums = self.by_lead.entry((place.network, place.station));
        let sums = sums.or_insert_with(|| vec![Sums::default(); SUBJECTS.len() * LEADS]);
        sums[subject * LEADS + lead - 1].add(SUBJECTS[subject], entry, y);
    }

    /// What there is for a contender, by place, in one network or in all.
    pub(crate) fn sums(
        &self,
        network: Option<usize>,
        subject: usize,
        lead: usize,
        contender: Contender,
    ) -> impl Iterator<Item = (Place, &Sums)> {
        let wanted = self.cells.iter().filter(move |(place, _)| network.is_none_or(|n| n == place.network));
        wanted.map(move |(place, cell)| (*place, &cell[at(subject, lead, contender)])).filter(|(_, s)| s.n > 0.0)
    }

    /// The sums of each station.
    pub(crate) fn stations(
        &self,
        network: Option<usize>,
        subject: usize,
        lead: usize,
        contender: Contender,
    ) -> BTreeMap<(usize, usize), Sums> {
        let mut stations: BTreeMap<(usize, usize), Sums> = BTreeMap::new();
        for (place, sums) in self.sums(network, subject, lead, contender) {
            stations.entry((place.network, place.station)).or_default().merge(sums);
        }
        stations
    }

    /// The model's sums of each station at any lead.
    pub(crate) fn model(&self, network: Option<usize>, subject: usize, lead: usize) -> Vec<Sums> {
        let wanted = self.by_lead.iter().filter(|((n, _), _)| network.is_none_or(|network| network == *n));
        wanted.map(|(_, sums)| sums[subject * LEADS + lead - 1]).filter(|s| s.n > 0.0).collect()
    }

    /// Bins over the networks wanted.
    pub(crate) fn bins(&self, network: Option<usize>, contender: Contender, lead: usize) -> [Bin; BINS] {
        let mut all = [Bin::default(); BINS];
        for ((n, c, l), bins) in &self.reliability {
            if network.is_none_or(|network| network == *n) && *c == contender && *l == lead {
                for (sum, bin) in all.iter_mut().zip(bins) {
                    sum.n += bin.n;
                    sum.forecast += bin.forecast;
                    sum.happened += bin.happened;
                }
            }
        }
        all
    }

    /// Counts over the networks wanted.
    pub(crate) fn ranks(&self, network: Option<usize>, subject: usize, lead: usize) -> [u64; QUANTILES.len() + 1] {
        let mut all = [0; QUANTILES.len() + 1];
        for ((n, s, l), ranks) in &self.ranks {
            if network.is_none_or(|network| network == *n) && *s == subject && *l == lead {
                all.iter_mut().zip(ranks).for_each(|(sum, more)| *sum += more);
            }
        }
        all
    }
}
