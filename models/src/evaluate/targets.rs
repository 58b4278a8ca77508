//! What a version should reach, and whether it does.

use serde::Serialize;

use super::Evaluation;
use super::plots::COVERED;
use super::summary::Group;
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
            verdicts.push(saving(all, TEMPERATURE, lead, Contender::Blend, "score", wanted));
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
        for network in networks {
            verdicts.extend([TEMPERATURE].into_iter().chain(OTHERS).filter_map(|quantity| coverage(network, quantity)));
        }
        verdicts
    }
}

fn saving(group: &Group, quantity: &str, lead: usize, against: Contender, of: &str, wanted: f64) -> Verdict {
    let same = group.comparisons.iter().find(|c| {
        c.quantity == quantity && c.lead == lead && c.against == against && c.of == of
    });
    let name = if of == "crps" { "CRPS" } else { "error" };
    let interval = |(low, high): (f64, f64)| format!(" ({:.1} to {:.1})", low * 100.0, high * 100.0);
    let found = same.map(|c| format!("{:.1} %{}", c.skill * 100.0, c.interval.map(interval).unwrap_or_default()));
    Verdict {
        what: format!("{quantity}, {lead} h: {name} saved over {}", against.name()),
        wanted: format!("{:.1} %", wanted * 100.0),
        found: found.unwrap_or_default(),
        reached: same.map(|c| c.skill >= wanted),
    }
}

/// The least Brier skill, over the frequency of the judged hours and over that of each window.
fn rain(network: &Group) -> Option<Verdict> {
    let leads = || network.rain.iter().filter(|r| r.lead <= RAIN_UNTIL);
    let least = leads().filter_map(|r| r.over_frequency).reduce(f64::min)?;
    let window = network.comparisons.iter().filter(|c| {
        c.quantity.starts_with("rain") && c.lead <= RAIN_UNTIL && c.against == Contender::Damped && c.of == "score"
    });
    let over_window = window.map(|c| c.skill).reduce(f64::min);
    let found = over_window.map(|skill| format!(", {skill:+.3} over each window's own")).unwrap_or_default();
    Some(Verdict {
        what: format!("{}: Brier skill of rain, the least to {RAIN_UNTIL} h", network.name),
        wanted: "above 0".into(),
        found: format!("{least:+.3} over the frequency of the judged hours{found}"),
        reached: Some(least > 0.0 && over_window.is_none_or(|skill| skill > 0.0)),
    })
}

fn coverage(network: &Group, quantity: &str) -> Option<Verdict> {
    let of = network.by_lead.iter().filter(|s| s.quantity == quantity);
    let covered: Vec<f64> = of.filter_map(|s| Some(s.spread.as_ref()?.coverage[1])).collect();
    let (low, high) = (covered.iter().copied().reduce(f64::min)?, covered.iter().copied().reduce(f64::max)?);
    let within = covered.iter().filter(|share| (COVERED.0..=COVERED.1).contains(*share)).count();
    Some(Verdict {
        what: format!("{}, {quantity}: in the 80 % interval", network.name),
        wanted: format!("{:.0} to {:.0} % at every lead", COVERED.0 * 100.0, COVERED.1 * 100.0),
        found: format!("{:.1} to {:.1} %, within at {within} of {} leads", low * 100.0, high * 100.0, covered.len()),
        reached: Some(within == covered.len()),
    })
}
