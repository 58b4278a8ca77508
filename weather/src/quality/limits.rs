//! Every threshold of quality control, with where it comes from, and how a network overrides it.
//!
//! Where a published rule was tried on recordings of sound stations (tropical, continental, METAR) and
//! flagged what weather does, the wider value stands, with both named: a good value that is masked
//! costs a forecast as much as a bad one that is not. `weatherglass bench quality` repeats the trial.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::variable::Variable;

/// What is allowed for an interval: at most so many seconds, suspect beyond, fail beyond. Between two
/// rows it is interpolated; below the first, the first counts; beyond the last there is no test.
pub type Row = (f32, f32, f32);

/// When a value that stays the same is a sensor that has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stuck {
    /// Hours without change after which it is suspect.
    pub suspect_hours: f32,
    /// Hours after which it fails.
    pub fail_hours: f32,
    /// By how much longer both are where reports come in whole steps.
    pub coarse_factor: f32,
}

/// How a value is held against those of its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buddy {
    /// Spreads from the mean of its neighbours beyond which a value is suspect; beyond twice as many it fails.
    pub threshold: f32,
    /// The least that a spread is taken for, in the variable's unit.
    pub least_spread: f32,
    /// Change of the variable per metre of height.
    pub gradient: f32,
}

/// The limits of one variable; a test without limits is not done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VariableLimits {
    /// Outside it a value is suspect.
    pub usual: Option<(f32, f32)>,
    /// The change since the value before.
    pub step: Vec<Row>,
    /// The distance from the mean of the neighbours in time, by the longer of the two intervals.
    pub spike: Vec<Row>,
    /// Persistence.
    pub stuck: Option<Stuck>,
    /// Neighbours in space.
    pub buddy: Option<Buddy>,
}

/// Which stations are neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spatial {
    /// Metres.
    pub radius: f64,
    /// Fewer than this and a station is isolated: the test is not done.
    pub least_neighbours: usize,
    /// Metres of height beyond which a station is none.
    pub most_height: f32,
    /// Seconds that two reports may be apart.
    pub most_seconds: i64,
}

/// The limits of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    variables: [VariableLimits; Variable::COUNT],
    /// Neighbourhoods.
    pub spatial: Spatial,
}

/// Most rain, mm, in a period, s, before it is suspect: 25 mm in 5 minutes (WMO-488's 20-25), 200 mm in an
/// hour (the record is 305; MADIS allows 1118), 900 in a day.
const RAIN: [(f32, f32); 4] = [(60.0, 12.0), (300.0, 25.0), (3600.0, 200.0), (86_400.0, 900.0)];

/// Lapse rate of the standard atmosphere, degC/m, as titanlib's buddy check uses it.
const LAPSE: f32 = -0.0065;

impl Default for Limits {
    fn default() -> Self {
        let mut limits = Self { variables: Default::default(), spatial: SPATIAL };
        for (variable, row) in table() {
            limits.variables[variable as usize] = row;
        }
        limits
    }
}

/// RUB's settings for crowdsourced stations (3 neighbours); its radius of 5.5 km fits a city, MADIS takes
/// up to 150 km: 30 km is between mesonet spacing and where one air mass can be assumed.
const SPATIAL: Spatial = Spatial { radius: 30_000.0, least_neighbours: 3, most_height: 300.0, most_seconds: 2700 };

/// The table. Sources: MADIS "Meteorological Surface Quality Control Checks"; WMO-488 (Zahumenský 2004);
/// WMO-305 time consistency; Oklahoma Mesonet (Shafer et al. 2000); met.no kvalobs; RUB/d2r; "tried" is the
/// trial on recordings.
fn table() -> Vec<(Variable, VariableLimits)> {
    use Variable as V;
    let stuck = |suspect_hours, fail_hours, coarse_factor| Some(Stuck { suspect_hours, fail_hours, coarse_factor });
    let buddy = |threshold, least_spread, gradient| Some(Buddy { threshold, least_spread, gradient });
    let row = |usual, step: &[Row], spike: &[Row], stuck, buddy| VariableLimits {
        usual,
        step: step.to_vec(),
        spike: spike.to_vec(),
        stuck,
        buddy,
    };
    let pressure = |usual, buddy| {
        // WMO-488: 0.5 suspect and 2 hPa/min fail, widened by a METAR's whole hPa; MADIS: 10 hPa/h;
        // WMO-305: 9 hPa in 3 h.
        let step = [(60.0, 1.6, 3.0), (300.0, 2.6, 5.0), (3600.0, 8.0, 12.0), (10_800.0, 14.0, 20.0)];
        let spike = [(60.0, 1.2, 2.5), (3600.0, 5.0, 8.0), (10_800.0, 8.0, 12.0)];
        row(usual, &step, &spike, stuck(8.0, 14.0, 3.5), buddy)
    };
    vec![
        // Range: MADIS -76...130 degF. Step: WMO-488 3 degC/min, Mesonet 10 degC/5 min, MADIS 35 degF/h.
        (
            V::Temperature,
            row(
                Some((-60.0, 54.4)),
                &[(60.0, 3.2, 6.0), (300.0, 8.0, 12.0), (3600.0, 14.0, 19.4), (10_800.0, 20.0, 26.0)],
                &[(60.0, 2.5, 5.0), (300.0, 5.0, 8.0), (3600.0, 9.0, 12.0), (10_800.0, 12.0, 16.0)],
                stuck(9.0, 18.0, 2.7),
                buddy(2.7, 2.0, LAPSE),
            ),
        ),
        (
            V::DewPoint,
            row(
                Some((-67.8, 32.2)),
                &[(60.0, 4.2, 8.0), (300.0, 9.0, 14.0), (3600.0, 15.0, 20.0), (10_800.0, 22.0, 28.0)],
                &[(60.0, 3.5, 7.0), (300.0, 7.0, 11.0), (3600.0, 12.0, 15.0), (10_800.0, 14.0, 18.0)],
                stuck(10.0, 18.0, 4.0),
                buddy(3.5, 3.0, LAPSE),
            ),
        ),
        // WMO-488 10 %/min, Mesonet 20 %/5 min, MADIS 50 %/h; 50 % an hour is passed by foehn and by fog's end.
        (
            V::RelativeHumidity,
            row(
                None,
                &[(60.0, 12.0, 25.0), (300.0, 25.0, 45.0), (3600.0, 55.0, 75.0), (10_800.0, 75.0, 95.0)],
                &[(60.0, 10.0, 20.0), (300.0, 22.0, 35.0), (3600.0, 45.0, 60.0), (10_800.0, 55.0, 75.0)],
                stuck(12.0, 24.0, 1.0),
                buddy(7.0, 3.0, 0.0),
            ),
        ),
        // The records are 870 and 1085 hPa.
        (V::PressureMsl, pressure(Some((870.0, 1085.0)), buddy(3.0, 1.5, 0.0))),
        (V::PressureStation, pressure(None, None)),
        // WMO-488: 0...75 m/s, 20 m/s per min; met.no 40 m/s in 2 h. A squall comes and goes: no spike test.
        (
            V::WindSpeed,
            row(Some((0.0, 75.0)), &[(60.0, 20.0, 40.0), (7200.0, 25.0, 40.0)], &[], stuck(10.0, 24.0, 3.0), None),
        ),
        (V::WindGust, row(Some((0.0, 100.0)), &[], &[], stuck(10.0, 24.0, 3.0), None)),
        (V::WindDirection, row(None, &[], &[], stuck(24.0, 48.0, 3.0), None)),
        // Mesonet: 800 W/m2 at once. Clouds' edges make it jump: no spike test.
        (
            V::SolarRadiation,
            row(
                Some((-10.0, 1500.0)),
                &[(60.0, 1000.0, 1400.0), (300.0, 1000.0, 1400.0)],
                &[],
                stuck(4.0, 10.0, 1.0),
                None,
            ),
        ),
    ]
}

static STANDARD: LazyLock<Limits> = LazyLock::new(Limits::default);

impl Limits {
    /// The table without overrides.
    #[must_use]
    pub fn standard() -> &'static Self {
        &STANDARD
    }

    /// Those of one variable.
    #[must_use]
    pub const fn of(&self, variable: Variable) -> &VariableLimits {
        &self.variables[variable as usize]
    }

    /// The most rain, mm, that a period, s, may bring before it is suspect.
    #[must_use]
    pub fn most_rain(&self, period: f32) -> f32 {
        let rows = RAIN.map(|(seconds, most)| (seconds, most, most));
        allowed(&rows, period).map_or(RAIN[RAIN.len() - 1].1, |(most, _)| most)
    }
}

/// What `rows` allow for an interval of `seconds`: suspect and fail.
#[must_use]
pub fn allowed(rows: &[Row], seconds: f32) -> Option<(f32, f32)> {
    let (first, last) = (rows.first()?, rows.last()?);
    if seconds > last.0 {
        return None;
    }
    if seconds <= first.0 {
        return Some((first.1, first.2));
    }
    let above = rows.iter().position(|row| row.0 >= seconds)?;
    let (low, high) = (rows[above.saturating_sub(1)], rows[above]);
    let part = (seconds - low.0) / (high.0 - low.0).max(1.0);
    Some((low.1 + part * (high.1 - low.1), low.2 + part * (high.2 - low.2)))
}

/// A file of overrides: `[[network]]` tables with the prefix of the station ids that they are for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    #[serde(default)]
    network: Vec<Network>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    /// What the ids of its stations begin with; empty is all of them.
    prefix: String,
    #[serde(default)]
    spatial: Option<Spatial>,
    /// By variable.
    #[serde(default)]
    limits: BTreeMap<String, Override>,
}

/// What is given replaces what stands in the table; `[]` or `false` ends a test.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    usual: Option<(f32, f32)>,
    step: Option<Vec<Row>>,
    spike: Option<Vec<Row>>,
    stuck: Option<Switch<Stuck>>,
    buddy: Option<Switch<Buddy>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Switch<T> {
    Given(T),
    On(bool),
}

/// An override that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("network {network:?}, {field}: {fix}")]
pub struct BadOverride {
    network: String,
    field: String,
    fix: &'static str,
}

/// The limits of every network.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    /// Longest prefix first.
    given: Vec<(String, Limits)>,
    others: Limits,
}

impl Networks {
    /// The table, with `overrides`.
    ///
    /// # Errors
    /// [`BadOverride`] for an unknown variable or rows that are not ascending.
    pub fn new(overrides: &Overrides) -> Result<Self, BadOverride> {
        let mut given = Vec::new();
        for network in &overrides.network {
            let mut limits = Limits::default();
            limits.spatial = network.spatial.unwrap_or(limits.spatial);
            for (name, change) in &network.limits {
                let bad = |fix| BadOverride { network: network.prefix.clone(), field: name.clone(), fix };
                let variable = Variable::from_name(name).ok_or_else(|| bad("no variable has that name"))?;
                change.apply(&mut limits.variables[variable as usize]).map_err(bad)?;
            }
            given.push((network.prefix.clone(), limits));
        }
        given.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(Self { given, others: Limits::default() })
    }

    /// The limits of a station: those of the longest prefix of its id.
    #[must_use]
    pub fn of(&self, station: &str) -> &Limits {
        self.given.iter().find(|(prefix, _)| station.starts_with(prefix.as_str())).map_or(&self.others, |(_, l)| l)
    }
}

impl Override {
    fn apply(&self, limits: &mut VariableLimits) -> Result<(), &'static str> {
        if let Some(usual) = self.usual {
            if usual.0.partial_cmp(&usual.1) != Some(std::cmp::Ordering::Less) {
                return Err("usual is [low, high]");
            }
            limits.usual = Some(usual);
        }
        for (given, rows) in [(&self.step, &mut limits.step), (&self.spike, &mut limits.spike)] {
            let Some(given) = given else { continue };
            let sound =
                given.iter().all(|(seconds, suspect, fail)| *seconds > 0.0 && *suspect > 0.0 && suspect <= fail)
                    && given.is_sorted_by(|a, b| a.0 < b.0);
            if !sound {
                return Err("rows are [seconds, suspect, fail], seconds ascending, suspect at most fail");
            }
            rows.clone_from(given);
        }
        switch(&self.stuck, &mut limits.stuck)?;
        switch(&self.buddy, &mut limits.buddy)?;
        Ok(())
    }
}

fn switch<T: Copy>(given: &Option<Switch<T>>, limit: &mut Option<T>) -> Result<(), &'static str> {
    match given {
        None => {}
        Some(Switch::Given(settings)) => *limit = Some(*settings),
        Some(Switch::On(false)) => *limit = None,
        Some(Switch::On(true)) => return Err("false, or all of its settings"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_grows_with_the_interval_and_ends() {
        let rows = [(60.0, 3.0, 6.0), (300.0, 7.0, 12.0)];
        assert_eq!(allowed(&rows, 1.0), Some((3.0, 6.0)));
        assert_eq!(allowed(&rows, 180.0), Some((5.0, 9.0)));
        assert_eq!(allowed(&rows, 300.0), Some((7.0, 12.0)));
        assert_eq!(allowed(&rows, 301.0), None);
        assert_eq!(allowed(&[], 1.0), None);
    }

    #[test]
    fn the_table_is_sound() {
        let limits = Limits::default();
        for variable in Variable::ALL {
            let VariableLimits { usual, step, spike, stuck, .. } = limits.of(variable);
            for rows in [step, spike] {
                assert!(rows.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1 && a.2 <= b.2), "{variable}");
                assert!(rows.iter().all(|row| row.1 < row.2), "{variable}");
            }
            assert!(stuck.is_none_or(|s| s.suspect_hours < s.fail_hours), "{variable}");
            let spec = variable.spec();
            assert!(usual.is_none_or(|(low, high)| low >= spec.minimum && high <= spec.maximum), "{variable}");
        }
    }

    #[test]
    fn the_longest_prefix_overrides() {
        let toml = r#"{"network": [
            {"prefix": "MESO-", "limits": {"temperature": {"usual": [-20, 45], "spike": []}}},
            {"prefix": "MESO-HIGH-", "limits": {"wind_speed": {"usual": [0, 90], "stuck": false}}}
        ]}"#;
        let networks = Networks::new(&serde_json::from_str(toml).unwrap()).unwrap();
        assert_eq!(networks.of("MESO-1").of(Variable::Temperature).usual, Some((-20.0, 45.0)));
        assert!(networks.of("MESO-1").of(Variable::Temperature).spike.is_empty());
        assert_eq!(networks.of("MESO-HIGH-1").of(Variable::WindSpeed).stuck, None);
        assert_eq!(networks.of("OTHER"), &Limits::default());
    }

    #[test]
    fn an_override_that_makes_no_sense_names_itself() {
        let refused = |text| Networks::new(&serde_json::from_str(text).unwrap()).unwrap_err().to_string();
        assert!(refused(r#"{"network": [{"prefix": "A", "limits": {"heat": {}}}]}"#).contains("heat"));
        let rows = r#"{"network": [{"prefix": "A", "limits": {"temperature": {"step": [[60, 5, 3]]}}}]}"#;
        assert!(refused(rows).contains("network \"A\", temperature"));
    }
}
