//! From sums to scores: averaged within a station first, then over stations.

use std::collections::BTreeMap;

use serde::Serialize;
use weather::{LEADS, QUANTILES};

use super::REPORTED;
use super::subject::{CHANCE, SUBJECTS, Subject};
use super::tally::{Contender, INTERVALS, Place, Sums, Tally};
use crate::bootstrap::{self, Block};
use crate::scores::{self, Bin};
use crate::version::ScoreLine;

/// The scores of one contender for one quantity at one lead.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// The quantity and its unit.
    pub quantity: &'static str,
    /// Hours ahead.
    pub lead: usize,
    /// Who forecast.
    pub contender: Contender,
    /// Cases.
    pub n: u64,
    /// Stations.
    pub stations: usize,
    /// Mean absolute error; the mean angle for a direction, the Brier score for a chance.
    pub score: f64,
    /// Where 95 % of the draws of ten-day blocks put it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// Root mean square error, of quantities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// Mean error, of quantities and chances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias: Option<f64>,
    /// What needs quantiles.
    #[serde(flatten)]
    pub spread: Option<Spread>,
}

/// The scores of a distribution.
#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    /// From the seven quantiles, weighted by the ranks they stand for.
    pub crps: f64,
    /// Pinball loss of each quantile.
    pub pinball: [f64; QUANTILES.len()],
    /// Share of observations within the 50, 80 and 90 % intervals.
    pub coverage: [f64; INTERVALS.len()],
    /// Their mean widths.
    pub width: [f64; INTERVALS.len()],
}

/// How much better the model is than another, on the same cases.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The quantity and its unit.
    pub quantity: &'static str,
    /// Hours ahead.
    pub lead: usize,
    /// The other.
    pub against: Contender,
    /// `score` or `crps`.
    pub of: &'static str,
    /// The part of the other's score that the model saves: 0.1 is 10 % lower.
    pub skill: f64,
    /// Where 95 % of the draws of ten-day blocks put it.
    pub interval: Option<(f64, f64)>,
    /// How many blocks there are to draw from.
    pub blocks: usize,
}

/// The chance of rain against constant chances.
#[derive(Clone, Debug, Serialize)]
pub struct RainSkill {
    /// Hours ahead.
    pub lead: usize,
    /// How often it rained in the judged hours, 0 to 1.
    pub frequency: f64,
    /// Brier skill over that frequency, which nobody could know beforehand; none where it never rained.
    pub over_frequency: Option<f64>,
}

/// Forecast chances and how often they came true.
#[derive(Clone, Debug, Serialize)]
pub struct Reliability {
    /// Hours ahead.
    pub lead: usize,
    /// Who forecast.
    pub contender: Contender,
    /// Bins of a tenth: cases, mean forecast, share that happened.
    pub bins: Vec<(u64, f64, f64)>,
}

/// Where among the model's seven quantiles the observations fell: eight counts.
#[derive(Clone, Debug, Serialize)]
pub struct Ranks {
    /// The quantity and its unit.
    pub quantity: &'static str,
    /// Hours ahead.
    pub lead: usize,
    /// Below the lowest quantile, between each two, above the highest.
    pub counts: [u64; QUANTILES.len() + 1],
}

/// Scores over all stations or those of one network.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// `all networks` or the network's name.
    pub name: String,
    /// Stations judged.
    pub stations: usize,
    /// Judged between, where it is one network.
    pub period: Option<(weather::Time, weather::Time)>,
    /// By quantity, lead and contender, on the same cases.
    pub scores: Vec<Score>,
    /// The model against each other contender.
    pub comparisons: Vec<Comparison>,
    /// The chance of rain.
    pub rain: Vec<RainSkill>,
    /// The model alone at every lead, 1 to 48, on all cases it has a forecast for.
    pub by_lead: Vec<Score>,
    /// Of the chance of rain.
    pub reliability: Vec<Reliability>,
    /// Of the model's quantiles.
    pub ranks: Vec<Ranks>,
}

/// One station's scores: of each quantity and lead, those of every contender.
#[derive(Clone, Debug, Serialize)]
pub struct StationScore {
    /// Its network and identifier.
    pub network: String,
    /// The identifier.
    pub station: String,
    /// The quantity and its unit.
    pub quantity: &'static str,
    /// Hours ahead.
    pub lead: usize,
    /// Cases.
    pub n: u64,
    /// As in [`Score::score`].
    pub scores: BTreeMap<&'static str, f64>,
    /// The model's, where it has a distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crps: Option<f64>,
    /// Share within the model's 80 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage80: Option<f64>,
}

/// The mean over stations of something per case.
fn macro_mean<'a>(stations: impl Iterator<Item = &'a Sums>, of: impl Fn(&Sums) -> f64) -> f64 {
    scores::mean(stations.map(of)).unwrap_or(f64::NAN)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts
fn count(n: f64) -> u64 {
    n as u64
}

fn score(stations: &[Sums], subject: usize, lead: usize, contender: Contender) -> Option<Score> {
    let kind = SUBJECTS[subject];
    let n: f64 = stations.iter().map(|s| s.n).sum();
    if n < 1.0 {
        return None;
    }
    let mean = |of: &dyn Fn(&Sums) -> f64| macro_mean(stations.iter(), of);
    let with: Vec<&Sums> = stations.iter().filter(|s| s.distributions > 0.0).collect();
    let of = |value: &dyn Fn(&Sums) -> f64| macro_mean(with.iter().copied(), |s| value(s) / s.distributions);
    let spread = (!with.is_empty()).then(|| Spread {
        crps: of(&|s| s.crps),
        pinball: std::array::from_fn(|i| of(&|s| s.pinball[i])),
        coverage: std::array::from_fn(|i| of(&|s| s.covered[i])),
        width: std::array::from_fn(|i| of(&|s| s.width[i])),
    });
    Some(Score {
        quantity: kind.name(),
        lead,
        contender,
        n: count(n),
        stations: stations.len(),
        score: mean(&|s| s.loss(subject) / s.n),
        interval: None,
        rmse: matches!(kind, Subject::Scalar(..)).then(|| mean(&|s| (s.square / s.n).sqrt())),
        bias: (kind != Subject::Direction).then(|| mean(&|s| s.error / s.n)),
        spread,
    })
}

/// The model's sums and another's side by side.
fn blocks(
    tally: &Tally,
    network: Option<usize>,
    subject: usize,
    at: usize,
    against: Contender,
    of: fn(&Sums, usize) -> f64,
) -> Vec<Block> {
    let others: BTreeMap<Place, &Sums> = tally.sums(network, subject, at, against).collect();
    let ours = tally.sums(network, subject, at, Contender::Model);
    let paired = ours.filter_map(|(place, ours)| Some((place, ours, *others.get(&place)?)));
    let block = |(place, ours, theirs): (Place, &Sums, &Sums)| Block {
        network: place.network,
        station: place.station,
        block: place.block,
        n: ours.n,
        ours: of(ours, subject),
        theirs: of(theirs, subject),
    };
    paired.map(block).collect()
}

fn loss(sums: &Sums, subject: usize) -> f64 {
    sums.loss(subject)
}

fn crps(sums: &Sums, _: usize) -> f64 {
    sums.crps
}

/// Everything about all networks or one.
pub(crate) fn group(tally: &Tally, network: Option<usize>, name: String) -> Group {
    let mut group = Group {
        name,
        stations: 0,
        period: None,
        scores: Vec::new(),
        comparisons: Vec::new(),
        rain: Vec::new(),
        by_lead: Vec::new(),
        reliability: Vec::new(),
        ranks: Vec::new(),
    };
    for subject in 0..SUBJECTS.len() {
        for (at, lead) in REPORTED.into_iter().enumerate() {
            compare(tally, network, subject, at, &mut group);
            let counts = tally.ranks(network, subject, at);
            if counts.iter().sum::<u64>() > 0 {
                group.ranks.push(Ranks { quantity: SUBJECTS[subject].name(), lead, counts });
            }
        }
        for lead in 1..=LEADS {
            group.by_lead.extend(score(&tally.model(network, subject, lead), subject, lead, Contender::Model));
        }
    }
    for (at, lead) in REPORTED.into_iter().enumerate() {
        group.rain.extend(rain(tally, network, at));
        for contender in Contender::ALL {
            let bins = tally.bins(network, contender, at);
            if bins.iter().any(|bin| bin.n > 0) {
                group.reliability.push(Reliability { lead, contender, bins: bins.map(shares).to_vec() });
            }
        }
    }
    group.stations = group.scores.iter().map(|s| s.stations).max().unwrap_or(0);
    group
}

fn compare(tally: &Tally, network: Option<usize>, subject: usize, at: usize, group: &mut Group) {
    let (quantity, lead) = (SUBJECTS[subject].name(), REPORTED[at]);
    let first = group.scores.len();
    for contender in Contender::ALL {
        let stations: Vec<Sums> = tally.stations(network, subject, at, contender).into_values().collect();
        group.scores.extend(score(&stations, subject, lead, contender));
    }
    let found = group.scores.split_off(first);
    let Some((ours, others)) = found.split_first() else { return };
    let (mut ours, others) = (ours.clone(), others.to_vec());
    for other in &others {
        let against = other.contender;
        let both = blocks(tally, network, subject, at, against, loss);
        let drawn = bootstrap::intervals(&both);
        ours.interval = drawn.map(|drawn| drawn.score);
        let (interval, blocks_) = (drawn.map(|d| d.skill), drawn.map_or(1, |d| d.blocks));
        let comparison =
            |of, skill, interval| Comparison { quantity, lead, against, of, skill, interval, blocks: blocks_ };
        let skill = scores::skill(ours.score, other.score);
        group.comparisons.extend(skill.map(|skill| comparison("score", skill, interval)));
        if let (Some(our), Some(their)) = (&ours.spread, &other.spread) {
            let both = blocks(tally, network, subject, at, against, crps);
            let interval = bootstrap::intervals(&both).map(|d| d.skill);
            let skill = scores::skill(our.crps, their.crps);
            group.comparisons.extend(skill.map(|skill| comparison("crps", skill, interval)));
        }
    }
    group.scores.push(ours);
    group.scores.extend(others);
}

/// Brier skill over the frequency of rain, all cases alike.
fn rain(tally: &Tally, network: Option<usize>, at: usize) -> Option<RainSkill> {
    let mut sums = Sums::default();
    tally.sums(network, CHANCE, at, Contender::Model).for_each(|(_, more)| sums.merge(more));
    let frequency = (sums.n > 0.0).then(|| sums.observed / sums.n)?;
    let over_frequency = scores::skill(sums.square / sums.n, frequency * (1.0 - frequency));
    Some(RainSkill { lead: REPORTED[at], frequency, over_frequency })
}

#[allow(clippy::cast_precision_loss)] // counts
fn shares(bin: Bin) -> (u64, f64, f64) {
    let n = bin.n.max(1) as f64;
    (bin.n, bin.forecast / n, bin.happened / n)
}

/// One line per station, quantity and lead; `names` are those of networks and stations.
pub(crate) fn stations(tally: &Tally, names: &[(String, String)]) -> Vec<StationScore> {
    let mut lines = Vec::new();
    for (subject, kind) in SUBJECTS.into_iter().enumerate() {
        for (at, lead) in REPORTED.into_iter().enumerate() {
            let all = Contender::ALL.map(|c| (c, tally.stations(None, subject, at, c)));
            for (key, model) in &all[0].1 {
                let of = |(c, sums): &(Contender, BTreeMap<_, Sums>)| {
                    sums.get(key).map(|sums| (c.name(), sums.loss(subject) / sums.n))
                };
                let spread = model.distributions > 0.0;
                let Some((network, station)) = names.get(key.1).cloned() else { continue };
                lines.push(StationScore {
                    network,
                    station,
                    quantity: kind.name(),
                    lead,
                    n: count(model.n),
                    scores: all.iter().filter_map(of).collect(),
                    crps: spread.then(|| model.crps / model.distributions),
                    coverage80: spread.then(|| model.covered[1] / model.distributions),
                });
            }
        }
    }
    lines
}

/// What a manifest keeps of it.
pub(crate) fn lines(group: &Group) -> Vec<ScoreLine> {
    let round = |value: f64| (value * 1e4).round() / 1e4;
    let of = |model: &Score, contender| {
        let same = |s: &&Score| s.contender == contender && s.quantity == model.quantity && s.lead == model.lead;
        group.scores.iter().find(same).map(|s| round(s.score))
    };
    let line = |model: &Score| {
        Some(ScoreLine {
            quantity: model.quantity.to_owned(),
            lead: model.lead,
            n: model.n,
            model: round(model.score),
            persistence: of(model, Contender::Persistence)?,
            diurnal: of(model, Contender::Diurnal)?,
            crps: model.spread.as_ref().map(|s| round(s.crps)),
            coverage80: model.spread.as_ref().map(|s| round(s.coverage[1])),
        })
    };
    group.scores.iter().filter(|s| s.contender == Contender::Model).filter_map(line).collect()
}
