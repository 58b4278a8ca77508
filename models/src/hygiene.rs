//! Observations that cannot be trusted: found, counted by station, and kept from the model.
//!
//! The door judges an observation by itself; here a whole series is known. A value that is part of a
//! fault is marked as failed, so that it is neither input nor target; a variable in another unit is
//! left out of its station; a file whose column is in another unit is refused. Everything is told.

mod faults;
mod report;
mod units;

use std::path::Path;

use archive::Impossible;
use weather::{Sample, Station, Variable, VariableSet, quality};

pub(crate) use report::{FileReport, Finding, StationReport};

/// A column is wrong as a whole when it is so at this share of a file's stations.
const WHOLE_FILE: f64 = 0.6;

/// Sorts a station's samples, keeps one per time, and marks or leaves out what cannot be trusted.
///
/// `impossible` are the numbers that were no values in their unit, by variable.
pub(crate) fn clean(
    station: &Station,
    samples: &mut Vec<Sample>,
    impossible: &[(Variable, Impossible)],
) -> StationReport {
    let mut report = StationReport::new(station.id.clone(), samples.len());
    for (variable, found) in impossible {
        report.add(*variable, Finding::Impossible, found.count);
    }
    order(samples, &mut report);
    faults::gaps(samples, &mut report);
    let wrong = units::wrong(station, samples, impossible);
    if !wrong.is_empty() {
        leave_out(samples, wrong.iter().map(|(variable, _)| *variable));
        for (variable, suspicion) in wrong {
            report.leave_out(variable, suspicion);
        }
    }
    faults::mark_stuck(samples, &mut report);
    faults::mark_spikes(samples, &mut report);
    report
}

/// Whether the file at `path` as a whole can be learnt from.
///
/// # Errors
/// When a column is in another unit at most of its stations: named, with the fix.
pub(crate) fn accept(path: &Path, report: &FileReport) -> anyhow::Result<()> {
    for variable in Variable::ALL {
        let having = report.stations.iter().filter(|s| s.has(variable)).count();
        let wrong: Vec<_> = report.stations.iter().filter_map(|s| s.left_out(variable)).collect();
        let Some(suspicion) = wrong.iter().find(|s| s.unit.is_some()) else { continue };
        anyhow::ensure!(
            (wrong.len() as f64) < WHOLE_FILE * having as f64,
            "{}: column {variable}: {} at {} of {having} stations; convert it to {} or take the column out",
            path.display(),
            suspicion.reason,
            wrong.len(),
            variable.spec().unit
        );
    }
    Ok(())
}

/// By time; of several rows of one time the last stays, as a correction does in the live service.
fn order(samples: &mut Vec<Sample>, report: &mut StationReport) {
    report.out_of_order = samples.windows(2).filter(|pair| pair[1].time < pair[0].time).count();
    if report.out_of_order > 0 {
        samples.sort_by_key(|s| s.time);
    }
    samples.dedup_by(|later, kept| {
        let same = later.time == kept.time;
        if same {
            report.duplicates += 1;
            report.contradictions += usize::from(later.values != kept.values);
            std::mem::swap(later, kept);
        }
        same
    });
}

/// Takes variables away; what was judged beside them is judged anew.
fn leave_out(samples: &mut [Sample], variables: impl Iterator<Item = Variable>) {
    let mut set = VariableSet::EMPTY;
    variables.for_each(|variable| set.insert(variable));
    for sample in samples {
        set.iter().for_each(|variable| sample.values.set(variable, f32::NAN));
        sample.flags = quality::check(&sample.values, quality::Limits::standard());
    }
}

#[cfg(test)]
mod tests;
