//! Tests of a report against its station's window: step, spike and persistence.
//!
//! None waits for the future but one: a spike is known by what comes after it, so the report before the
//! newest is judged again, and its new flags are a correction like any other.

use crate::observation::Values;
use crate::quality::limits::{Limits, Stuck, allowed};
use crate::quality::qartod::{self, Flag};
use crate::quality::{Flags, Test, check, flagged};
use crate::station::Station;
use crate::sun;
use crate::time::{HOUR, Time};
use crate::variable::Variable;
use crate::window::Sample;

/// A silence longer than this ends a run of equal values: nobody knows what was in between, s.
const BREAK: i64 = 6 * HOUR;
/// A run is at least so many reports.
const LEAST: usize = 6;
/// How many values before a run say how fine the sensor's steps are.
const BEFORE: usize = 24;
/// Below this a vane may rest, m/s.
const TURNING: f32 = 2.0;
/// Values nearer to each other are equal: the noise of a conversion of units.
const EQUAL: f32 = 1e-3;
/// Sun below this and there is no light at all, degrees.
const DARK: f64 = -6.0;
/// Pressures nearer to each other are the same, hPa: half a step of a console that shows 0.01 inHg.
const UNREDUCED: f32 = 0.2;
/// Height that makes more difference than that several times over, m.
const LEVEL: f32 = 20.0;
/// Where the height is unknown: seldom is the pressure at sea level so low, hPa; at 400 m it is every day.
const LOW: f32 = 970.0;
/// Light of the moon, lamps and an offset, W/m2.
const NIGHT_LIGHT: f32 = 30.0;

/// Judges the sample at `at`, which is new or has changed, and its neighbours in time again. Answers
/// whose flags are others now, by index, with those that they had.
pub fn judge(samples: &mut [Sample], at: usize, station: &Station, limits: &Limits) -> Vec<(usize, Flags)> {
    let mut changed = Vec::new();
    for index in at.saturating_sub(1)..(at + 2).min(samples.len()) {
        let mut flags = if index == at {
            let mut flags = check(&samples[at].values, limits);
            light(&samples[at], station.position(), &mut flags);
            reduction(&samples[at].values, station.elevation, &mut flags);
            flags
        } else {
            let mut flags = samples[index].flags;
            flags.clear(&[Test::Step, Test::Spike]);
            flags
        };
        in_time(samples, index, limits, &mut flags);
        if flags != samples[index].flags {
            changed.push((index, std::mem::replace(&mut samples[index].flags, flags)));
        }
    }
    changed
}

/// More light than the sky has. Hourly means are stamped at their end: the hour before counts too.
fn light(sample: &Sample, position: Option<(f64, f64)>, flags: &mut Flags) {
    let (Some(value), Some((latitude, longitude))) = (sample.values.get(Variable::SolarRadiation), position) else {
        return;
    };
    if value <= NIGHT_LIGHT {
        return;
    }
    let height = [0, HOUR / 2, HOUR].map(|back| sun::elevation(sample.time - back, latitude, longitude));
    let highest = height.into_iter().fold(f64::MIN, f64::max);
    // 1.2 x clear sky + 50 W/m2 for means; the edges of clouds add half of it for minutes.
    let most = 1.5 * sun::clear_sky(highest) as f32 + 100.0;
    if highest < DARK || value > most {
        flags.mark(Test::Consistency, Variable::SolarRadiation, Flag::Suspect);
    }
}

/// A pressure at sea level that is the one at the station: a console whose owner never told it its height.
fn reduction(values: &Values, elevation: Option<f32>, flags: &mut Flags) {
    let (Some(sea), Some(here)) = (values.get(Variable::PressureMsl), values.get(Variable::PressureStation)) else {
        return;
    };
    let differs = elevation.map_or(sea < LOW, |metres| metres.abs() > LEVEL);
    if differs && (sea - here).abs() < UNREDUCED {
        flags.mark(Test::Consistency, Variable::PressureMsl, Flag::Suspect);
    }
}

fn in_time(samples: &[Sample], index: usize, limits: &Limits, flags: &mut Flags) {
    let sample = &samples[index];
    for (variable, value) in sample.values.iter() {
        let rules = limits.of(variable);
        if flags.by(Test::Range).failed.contains(variable) || flags.by(Test::Consistency).failed.contains(variable) {
            continue;
        }
        let before = believed(samples[..index].iter().rev(), variable);
        if !rules.spike.is_empty()
            && let (Some(before), Some(after)) = (before, believed(samples[index + 1..].iter(), variable))
            && let Some(flag) = spike(before, (sample.time, value), after, &rules.spike)
        {
            flags.mark(Test::Spike, variable, flag);
            if flag == Flag::Fail {
                continue;
            }
        }
        if let Some((time, earlier)) = before
            && let Some((suspect, fail)) = allowed(&rules.step, (sample.time - time) as f32)
            && let Some(flag) = flagged(qartod::change(earlier, value, suspect, fail))
        {
            flags.mark(Test::Step, variable, flag);
        }
        if let Some(stuck) = &rules.stuck
            && let Some(flag) = persistence(&samples[..=index], variable, value, stuck)
        {
            flags.mark(Test::Persistence, variable, flag);
        }
    }
}

/// The nearest value that no test but the step's has failed: after a real jump the new level must
/// become what the next is held against.
fn believed<'a>(mut samples: impl Iterator<Item = &'a Sample>, variable: Variable) -> Option<(Time, f32)> {
    samples.find_map(|sample| {
        let flags = &sample.flags;
        let failed =
            [Test::Range, Test::Consistency, Test::Spike].iter().any(|t| flags.by(*t).failed.contains(variable));
        sample.values.get(variable).filter(|_| !failed).map(|value| (sample.time, value))
    })
}

/// A jump there and back, with neighbours that agree to half of it.
fn spike(before: (Time, f32), this: (Time, f32), after: (Time, f32), rows: &[(f32, f32, f32)]) -> Option<Flag> {
    let interval = (this.0 - before.0).max(after.0 - this.0);
    let (suspect, fail) = allowed(rows, interval as f32)?;
    let (there, home) = (this.1 - before.1, this.1 - after.1);
    let peak = there.signum() == home.signum() && (before.1 - after.1).abs() <= 0.5 * there.abs().min(home.abs());
    if peak { flagged(qartod::spike(before.1, this.1, after.1, suspect, fail)) } else { None }
}

/// Whether the last of `samples` ends a run of equal values that no weather makes.
fn persistence(samples: &[Sample], variable: Variable, value: f32, stuck: &Stuck) -> Option<Flag> {
    if excused(variable, value) {
        return None;
    }
    let (last, earlier) = samples.split_last()?;
    let (mut begin, mut count, mut at) = (last.time, 1, earlier.len());
    for (index, sample) in earlier.iter().enumerate().rev() {
        if begin - sample.time > BREAK {
            break;
        }
        let Some(other) = sample.values.get(variable) else { continue };
        if (other - value).abs() > EQUAL {
            break;
        }
        if !rests(sample, variable) {
            (begin, count, at) = (sample.time, count + 1, index);
        }
    }
    let hours = (last.time - begin) as f32 / HOUR as f32;
    if count < LEAST || hours < stuck.suspect_hours || rests(last, variable) {
        return None;
    }
    let factor = if is_coarse(&earlier[..at], variable) { stuck.coarse_factor } else { 1.0 };
    match hours {
        _ if hours >= stuck.fail_hours * factor => Some(Flag::Fail),
        _ if hours >= stuck.suspect_hours * factor => Some(Flag::Suspect),
        _ => None,
    }
}

/// A vane without wind.
fn rests(sample: &Sample, variable: Variable) -> bool {
    variable == Variable::WindDirection && sample.values.get(Variable::WindSpeed).is_some_and(|v| v < TURNING)
}

/// Values that may last for ever: saturated, calm, dark.
fn excused(variable: Variable, value: f32) -> bool {
    match variable {
        Variable::RelativeHumidity => value >= 95.0,
        Variable::WindSpeed | Variable::WindGust => value <= 0.0,
        Variable::SolarRadiation => value <= 10.0,
        _ => false,
    }
}

/// Whether the values before a run are whole steps: then they stay the same for longer. What has no
/// history is taken for coarse: nothing is held against it that could be its kind.
fn is_coarse(before: &[Sample], variable: Variable) -> bool {
    let steps: &[f32] = match variable {
        // Half a metre per second, and whole km/h, mph and knots.
        Variable::WindSpeed | Variable::WindGust => &[0.5, 1.0 / 3.6, 0.447_04, 0.514_444],
        Variable::WindDirection => &[5.0, 22.5],
        // Whole degrees Fahrenheit are no multiples of anything in degrees Celsius.
        Variable::Temperature | Variable::DewPoint => &[1.0],
        _ => &[1.0],
    };
    let values: Vec<f32> = before.iter().rev().filter_map(|s| s.values.get(variable)).take(BEFORE).collect();
    let whole = |value: f32, step: f32| ((value / step).round() * step - value).abs() < step / 20.0;
    let fahrenheit = |value: f32| whole(value * 1.8 + 32.0, 1.0);
    let agree = |test: &dyn Fn(f32) -> bool| values.iter().filter(|v| test(**v)).count() * 10 >= values.len() * 9;
    steps.iter().any(|step| agree(&|value| whole(value, *step)))
        || (matches!(variable, Variable::Temperature | Variable::DewPoint) && agree(&fahrenheit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StationId;
    use crate::quality::Limits;

    const MINUTE: i64 = 60;

    fn station() -> Station {
        Station::unregistered(StationId::new("A").unwrap())
    }

    /// Samples as they would have been judged one by one.
    fn judged(variable: Variable, values: &[(i64, f32)]) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (time, value) in values {
            samples.push(Sample {
                time: Time::from_unix(*time),
                values: Values::from_iter([(variable, *value)]),
                flags: Flags::default(),
                revision: 0,
            });
            let at = samples.len() - 1;
            judge(&mut samples, at, &station(), &Limits::default());
        }
        samples
    }

    fn labels(variable: Variable, values: &[(i64, f32)]) -> Vec<Option<&'static str>> {
        judged(variable, values).iter().map(|s| s.flags.label(variable)).collect()
    }

    #[test]
    fn a_jump_is_suspect_and_the_new_level_is_believed() {
        let front = [(0, 20.0), (MINUTE, 20.1), (2 * MINUTE, 15.0), (3 * MINUTE, 14.9), (4 * MINUTE, 14.8)];
        assert_eq!(labels(Variable::Temperature, &front), [None, None, Some("suspect"), None, None]);
    }

    #[test]
    fn a_spike_fails_once_the_next_report_is_there_and_that_one_is_good() {
        let values = [(0, 10.0), (HOUR, 10.5), (2 * HOUR, 35.0), (3 * HOUR, 11.0)];
        assert_eq!(labels(Variable::Temperature, &values[..3]), [None, None, Some("fail")]);
        let whole = judged(Variable::Temperature, &values);
        assert_eq!(whole[2].flags.label(Variable::Temperature), Some("fail"));
        assert!(whole[2].flags.by(Test::Spike).failed.contains(Variable::Temperature));
        assert_eq!(whole[3].flags, Flags::default(), "the way back is no fault");
    }

    #[test]
    fn a_step_that_turns_out_a_spike_is_a_correction() {
        let mut samples = judged(Variable::PressureMsl, &[(0, 1010.0), (HOUR, 1010.2), (2 * HOUR, 1017.0)]);
        assert_eq!(samples[2].flags, Flags::default(), "7 hPa in an hour happen");
        samples.push(Sample { time: Time::from_unix(3 * HOUR), ..samples[1].clone() });
        let changed = judge(&mut samples, 3, &station(), &Limits::default());
        assert_eq!(changed, [(2, Flags::default())]);
        assert_eq!(samples[2].flags.label(Variable::PressureMsl), Some("suspect"));
    }

    #[test]
    fn a_late_report_is_judged_between_its_neighbours() {
        let mut samples = judged(Variable::Temperature, &[(0, 10.0), (2 * HOUR, 11.0)]);
        let late = Sample {
            time: Time::from_unix(HOUR),
            values: Values::from_iter([(Variable::Temperature, 40.0)]),
            ..samples[0].clone()
        };
        samples.insert(1, late);
        assert_eq!(judge(&mut samples, 1, &station(), &Limits::default()), [(1, Flags::default())]);
        assert_eq!(samples[1].flags.label(Variable::Temperature), Some("fail"));
        assert_eq!(samples[2].flags, Flags::default());
    }

    #[test]
    fn a_stuck_sensor_is_suspect_and_then_fails_and_whole_degrees_may_stay_longer() {
        let run = |fine: f32| {
            let mut values: Vec<(i64, f32)> = (0..12).map(|h| (h * HOUR, 5.0 + fine * h as f32)).collect();
            values.extend((12..40).map(|h| (h * HOUR, 8.0)));
            labels(Variable::Temperature, &values)
        };
        let fine = run(0.13);
        assert_eq!((fine[20], fine[21], fine[29], fine[30]), (None, Some("suspect"), Some("suspect"), Some("fail")));
        assert!(run(1.0)[..36].iter().all(Option::is_none));
    }

    #[test]
    fn saturated_air_calm_and_night_may_last() {
        for (variable, value) in
            [(Variable::RelativeHumidity, 100.0), (Variable::WindSpeed, 0.0), (Variable::SolarRadiation, 0.0)]
        {
            let values: Vec<(i64, f32)> = (0..90).map(|h| (h * HOUR, value)).collect();
            assert!(labels(variable, &values).iter().all(Option::is_none), "{variable}");
        }
    }

    #[test]
    fn a_pressure_that_was_never_reduced_is_no_pressure_at_sea_level() {
        let said = |sea, elevation| {
            let mut samples = vec![Sample {
                time: Time::from_unix(0),
                values: Values::from_iter([(Variable::PressureMsl, sea), (Variable::PressureStation, 944.3)]),
                flags: Flags::default(),
                revision: 0,
            }];
            judge(&mut samples, 0, &Station { elevation, ..station() }, &Limits::default());
            samples[0].flags.label(Variable::PressureMsl)
        };
        assert_eq!(said(944.3, Some(580.0)), Some("suspect"));
        assert_eq!(said(944.3, None), Some("suspect"));
        assert_eq!(said(944.3, Some(3.0)), None, "a deep low at the shore");
        assert_eq!(said(1012.6, Some(580.0)), None);
    }

    #[test]
    fn light_at_night_is_suspect() {
        let at = |time: &str, value| {
            let mut samples = vec![Sample {
                time: Time::parse(time).unwrap(),
                values: Values::from_iter([(Variable::SolarRadiation, value)]),
                flags: Flags::default(),
                revision: 0,
            }];
            let budapest = Station { latitude: Some(47.5), longitude: Some(19.0), ..station() };
            judge(&mut samples, 0, &budapest, &Limits::default());
            samples[0].flags.label(Variable::SolarRadiation)
        };
        assert_eq!(at("2026-06-21T11:00:00Z", 950.0), None);
        assert_eq!(at("2026-12-21T11:00:00Z", 950.0), Some("suspect"));
        assert_eq!(at("2026-06-21T23:00:00Z", 100.0), Some("suspect"));
        assert_eq!(at("2026-06-21T23:00:00Z", 2.0), None);
    }
}
