//! What a version should reach, and whether it does.

use serde::Serialize;

use super::Evaluation;
use super::plots::COVERED;
use super::summary::{Comparison, Group};
use super::tally::Contender;

/// Temperature saves so much of the error of the blend and of the learner, and of its CRPS.
const OVER_BLEND: [(usize, f64); 6] = [(1, 0.15), (3, 0.15), (6, 0.15), (12, 0.15), (24, 0.06), (48, 0.03)];
const OVER_LEARNED: [(usize, f64); 6] = [(1, 0.03), (3, 0.03), (6, 0.03), (12, 0.03), (24, 0.015), (48, 0.015)];
const CRPS_OVER_LEARNED: f64 = 0.04;
/// Others save so much at six hours and lose nothing at the rest.
const OTHERS_AT_SIX: f64 = 0.02;
const TEMPERATURE: &str = "temperature, degC";
const OTHERS: [&str; 3] = ["dew point, degC", "pressure, hPa", "wind speed, m/s"];
/// Rain is to be worth something up to here, hours.
const RAIN_UNTIL: usize = 24;
const SIMPLE: [Contender; 5] =
    [Contender::Persistence, Contender::Diurnal, Contender::Climatology, Contender::Damped, Contender::Blend];

/// One thing that was wanted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// What of which network.
    pub what: String,
    /// How much of it.
    pub wanted: String,
    /// What came out; nothing where it was not measured.
    pub found: String,
    /// Whether it was reached; none where it was not measured.
    pub reached: Option<bool>,
}

impl Evaluation {
    /// Every target with what came out.
    #[must_use]
    pub fn verdicts(&self) -> Vec<Verdict> {
        let Some((all, networks)) = self.groups.split_first() else { return Vec::new() };
        let mut verdicts = Vec::new();
        for (lead, wanted) in OVER_BLEND {
            verdicts.push(over_simple(all, lead, wanted));
        }
        for (lead, wanted) in OVER_LEARNED {
            verdicts.push(saving(all, TEMPERATURE, lead, Contender::Learned, "score", wanted));
        }
        for (lead, _) in OVER_LEARNED {
            verdicts.push(saving(all, TEMPERATURE, lead, Contender::Learned, "crps", CRPS_OVER_LEARNED));
        }
        for quantity in OTHERS {
            for (lead, _) in OVER_LEARNED {
                let wanted = if lead == 6 { OTHERS_AT_SIX } else { 0.0 };
                verdicts.push(saving(all, quantity, lead, Contender::Learned, "score", wanted));
            }
        }
        verdicts.extend(networks.iter().filter_map(rain));
        verdicts.extend(networks.iter().filter_map(coverage));
        verdicts
    }
}

/// The simple baseline that is hardest to beat. Each alone is a blend too, so where the fitted one
/// turns out worse than one of its parts, that part is the yardstick.
pub(crate) fn hardest(group: &Group, quantity: &str, lead: usize) -> Option<Contender> {
    let simple = group.scores.iter().filter(|s| s.quantity == quantity && s.lead == lead);
    let simple = simple.filter(|s| SIMPLE.contains(&s.contender));
    simple.min_by(|a, b| a.score.total_cmp(&b.score)).map(|s| s.contender)
}

/// Percent with its interval.
pub(crate) fn percent(comparison: &Comparison) -> String {
    let interval = comparison.interval.map(|(low, high)| format!(" ({:.1} to {:.1})", low * 100.0, high * 100.0));
    format!("{:.1} %{}", comparison.skill * 100.0, interval.unwrap_or_default())
}

fn find<'a>(group: &'a Group, quantity: &str, lead: usize, against: Contender, of: &str) -> Option<&'a Comparison> {
    let wanted = |c: &&Comparison| c.quantity == quantity && c.lead == lead && c.against == against && c.of == of;
    group.comparisons.iter().find(wanted)
}

fn over_simple(all: &Group, lead: usize, wanted: f64) -> Verdict {
    let fitted = all.scores.iter().any(|s| s.contender == Contender::Blend);
    let against = hardest(all, TEMPERATURE, lead).filter(|_| fitted);
    let same = against.and_then(|against| find(all, TEMPERATURE, lead, against, "score"));
    let name = against.filter(|against| *against != Contender::Blend).map(|a| format!(" ({} alone)", a.name()));
    Verdict {
        what: format!("{TEMPERATURE}, {lead} h: error saved over the best blend{}", name.unwrap_or_default()),
        wanted: format!("{:.1} %", wanted * 100.0),
        found: same.map(percent).unwrap_or_default(),
        reached: same.map(|c| c.skill >= wanted),
    }
}

fn saving(group: &Group, quantity: &str, lead: usize, against: Contender, of: &str, wanted: f64) -> Verdict {
    let same = find(group, quantity, lead, against, of);
    let name = if of == "crps" { "CRPS" } else { "error" };
    Verdict {
        what: format!("{quantity}, {lead} h: {name} saved over {}", against.name()),
        wanted: if wanted > 0.0 { format!("{:.1} %", wanted * 100.0) } else { "none lost".into() },
        found: same.map(percent).unwrap_or_default(),
        reached: same.map(|c| c.skill >= wanted),
    }
}

/// The least Brier skill over how often it rained in each case's own window.
fn rain(network: &Group) -> Option<Verdict> {
    let leads = network.rain.iter().filter(|r| r.lead <= RAIN_UNTIL);
    let skills = leads.filter_map(|r| Some((r.over_window?, r.lead)));
    let (least, lead) = skills.min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(Verdict {
        what: format!("{}, rain: Brier skill over the window's own frequency", network.name),
        wanted: format!("above 0 at every lead to {RAIN_UNTIL} h"),
        found: format!("{least:+.3} at the least, {lead} h"),
        reached: Some(least > 0.0),
    })
}

/// How far the shares within the 80 % interval range over all leads.
fn coverage(network: &Group) -> Option<Verdict> {
    let mut found = Vec::new();
    let mut reached = true;
    for quantity in [TEMPERATURE].into_iter().chain(OTHERS) {
        let of = network.by_lead.iter().filter(|s| s.quantity == quantity);
        let covered: Vec<f64> = of.filter_map(|s| Some(s.spread.as_ref()?.coverage[1])).collect();
        let Some(low) = covered.iter().copied().reduce(f64::min) else { continue };
        let high = covered.iter().copied().fold(low, f64::max);
        reached &= covered.iter().all(|share| (COVERED.0..=COVERED.1).contains(share));
        let name = quantity.split(',').next().unwrap_or(quantity);
        found.push(format!("{name} {:.1} to {:.1}", low * 100.0, high * 100.0));
    }
    (!found.is_empty()).then(|| Verdict {
        what: format!("{}, 80 % interval: share within", network.name),
        wanted: format!("{:.0} to {:.0} % at every lead", COVERED.0 * 100.0, COVERED.1 * 100.0),
        found: found.join(", "),
        reached: Some(reached),
    })
}
