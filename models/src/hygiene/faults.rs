//! Sensors that hang, values that jump, reports that are absent.
//!
//! Thresholds are far beyond those that flag a live value (WMO-488, MADIS): on real tropical data a
//! rule of one hour flags several percent of good values. They were set so that next to nothing is
//! found on sound networks, whole-number reports included.

use weather::{Flags, Sample, Time, Variable};

use super::report::{Finding, StationReport};

const HOUR: i64 = 3600;
/// A silence longer than this ends a run of equal values: nobody knows what was in between, s.
const BREAK: i64 = 6 * HOUR;
/// A run is at least so many reports.
const LEAST: usize = 6;
/// How many values around a run say how fine the sensor's steps are.
const AROUND: usize = 24;
/// A spike's neighbours are no farther than this, s.
const NEAR: i64 = 3 * HOUR;
/// Below this a vane may rest, m/s.
const TURNING: f32 = 2.0;

/// When a sensor that stays the same has failed.
struct Persistence {
    variable: Variable,
    /// After so many hours, for a sensor with fine steps.
    fine: i64,
    /// The same where values around the run are multiples of one of these.
    coarse: i64,
    steps: &'static [f32],
    /// Values that may last for ever: calm, dry, saturated, dark.
    excused: fn(f32) -> bool,
}

/// Half a metre per second, and whole km/h, mph and knots.
const WIND_STEPS: &[f32] = &[0.5, 1.0 / 3.6, 0.447_04, 0.514_444];

const PERSISTENCE: [Persistence; 9] = [
    Persistence { variable: Variable::Temperature, fine: 18, coarse: 48, steps: &[1.0], excused: |_| false },
    Persistence { variable: Variable::DewPoint, fine: 18, coarse: 72, steps: &[1.0], excused: |_| false },
    Persistence { variable: Variable::RelativeHumidity, fine: 24, coarse: 24, steps: &[1.0], excused: |v| v >= 95.0 },
    Persistence { variable: Variable::PressureMsl, fine: 12, coarse: 48, steps: &[1.0], excused: |_| false },
    Persistence { variable: Variable::PressureStation, fine: 12, coarse: 48, steps: &[1.0], excused: |_| false },
    Persistence { variable: Variable::WindSpeed, fine: 12, coarse: 48, steps: WIND_STEPS, excused: |v| v <= 0.0 },
    Persistence { variable: Variable::WindGust, fine: 12, coarse: 48, steps: WIND_STEPS, excused: |v| v <= 0.0 },
    // Sectors of 45 degrees last for days in a trade wind.
    Persistence { variable: Variable::WindDirection, fine: 36, coarse: 120, steps: &[5.0, 22.5], excused: |_| false },
    Persistence { variable: Variable::SolarRadiation, fine: 18, coarse: 18, steps: &[1.0], excused: |v| v <= 10.0 },
];

/// A jump there and back by at least this is no weather, with neighbours that agree to half of it.
/// Wind is left alone: a squall comes and goes within an hour.
const JUMPS: [(Variable, f32); 5] = [
    (Variable::Temperature, 12.0),
    (Variable::DewPoint, 15.0),
    (Variable::RelativeHumidity, 60.0),
    (Variable::PressureMsl, 8.0),
    (Variable::PressureStation, 8.0),
];

/// The values of a variable that passed so far, with where they stand.
fn series(samples: &[Sample], variable: Variable) -> Vec<(usize, Time, f32)> {
    let value = |(at, s): (usize, &Sample)| s.usable(variable).map(|value| (at, s.time, value));
    samples.iter().enumerate().filter_map(value).collect()
}

/// Counts the values and measures what is absent.
pub(super) fn gaps(samples: &[Sample], report: &mut StationReport) {
    for sample in samples {
        for (variable, _) in sample.values.iter() {
            report.values[variable as usize] += 1;
        }
    }
    let mut intervals: Vec<i64> = samples.windows(2).map(|pair| pair[1].time - pair[0].time).collect();
    report.longest_gap = intervals.iter().copied().max().unwrap_or(0);
    let span: i64 = intervals.iter().sum();
    let middle = intervals.len() / 2;
    let usual = if intervals.is_empty() { return } else { *intervals.select_nth_unstable(middle).1 };
    let expected = span as f64 / usual.max(1) as f64 + 1.0;
    report.missing = (1.0 - samples.len() as f64 / expected).max(0.0);
}

pub(super) fn mark_stuck(samples: &mut [Sample], report: &mut StationReport) {
    for rule in &PERSISTENCE {
        let mut values = series(samples, rule.variable);
        if rule.variable == Variable::WindDirection {
            values.retain(|(at, ..)| samples[*at].usable(Variable::WindSpeed).is_none_or(|v| v >= TURNING));
        }
        let mut count = 0;
        let mut begin = 0;
        for end in 1..=values.len() {
            let goes_on =
                end < values.len() && values[end].2 == values[begin].2 && values[end].1 - values[end - 1].1 <= BREAK;
            if goes_on {
                continue;
            }
            if has_failed(rule, &values, begin, end) {
                count += end - begin;
                values[begin..end].iter().for_each(|(at, ..)| fail(&mut samples[*at].flags, rule.variable));
            }
            begin = end;
        }
        report.add(rule.variable, Finding::Stuck, count as u64);
    }
}

fn has_failed(rule: &Persistence, values: &[(usize, Time, f32)], begin: usize, end: usize) -> bool {
    let (_, from, value) = values[begin];
    let hours = (values[end - 1].1 - from) / HOUR;
    if end - begin < LEAST || hours < rule.fine || (rule.excused)(value) {
        return false;
    }
    hours >= rule.coarse || !rule.steps.iter().any(|step| is_coarse(*step, values, begin, end))
}

/// Whether values around a run are whole steps: then they stay the same for longer.
fn is_coarse(step: f32, values: &[(usize, Time, f32)], begin: usize, end: usize) -> bool {
    let before = &values[begin.saturating_sub(AROUND)..begin];
    let after = &values[end..(end + AROUND).min(values.len())];
    let around: Vec<f32> = before.iter().chain(after).map(|(.., value)| *value).collect();
    let whole = around.iter().filter(|v| ((**v / step).round() * step - **v).abs() < step / 20.0).count();
    // A gauge that is stuck from its first to its last report shows no steps at all.
    !around.is_empty() && whole * 10 >= around.len() * 9
}

pub(super) fn mark_spikes(samples: &mut [Sample], report: &mut StationReport) {
    for (variable, jump) in JUMPS {
        let values = series(samples, variable);
        let mut count = 0;
        for three in values.windows(3) {
            let [(_, before, low), (at, time, value), (_, after, back)] = [three[0], three[1], three[2]];
            let near = time - before <= NEAR && after - time <= NEAR;
            let (there, home) = (value - low, value - back);
            let jumps = there.abs() >= jump && home.abs() >= jump && there.signum() == home.signum();
            if near && jumps && (low - back).abs() <= jump / 2.0 {
                fail(&mut samples[at].flags, variable);
                count += 1;
            }
        }
        report.add(variable, Finding::Spike, count);
    }
}

fn fail(flags: &mut Flags, variable: Variable) {
    flags.failed.insert(variable);
    flags.suspect = flags.suspect.without(flags.failed);
}
