//! Everyone that the model is judged beside, for one case.

use weather::QUANTILES;

use super::cases::Case;
use super::columns;
use super::exchange::{Examples, Predictions};
use super::ridge::Ridge;
use super::simple::Mixture;
use super::subject::{Entry, SUBJECTS, Subject};
use super::tally::Contender;
use super::target::Target;
use crate::features::Past;

const MEDIAN: usize = QUANTILES.len() / 2;

/// The baselines, as far as there was something to fit them on.
#[derive(Default)]
pub(crate) struct Rivals {
    pub(crate) mixture: Mixture,
    pub(crate) ridge: Option<Ridge>,
    pub(crate) learned: Option<Predictions>,
}

/// A judged case as the rivals see it.
pub(crate) struct Seen<'a> {
    pub(crate) index: usize,
    pub(crate) case: &'a Case<'a>,
    pub(crate) past: &'a Past,
    columns: Vec<f32>,
}

impl Rivals {
    /// Fits the ridge lines on examples.
    pub(crate) fn ridge(examples: &Examples, first: &Case<'_>) -> Option<Ridge> {
        Ridge::fit(examples, columns::names(first).1.len())
    }

    pub(crate) fn see<'a>(&self, index: usize, case: &'a Case<'a>, past: &'a Past) -> Seen<'a> {
        let columns = if self.ridge.is_some() { columns::of(case, past) } else { Vec::new() };
        Seen { index, case, past, columns }
    }

    /// What each says of a subject at the `at`th reported lead; none where one that can speak of it
    /// has nothing to say in this case, so that all are judged by the same cases.
    pub(crate) fn entries(&self, seen: &Seen<'_>, subject: usize, at: usize) -> Option<Vec<(Contender, Entry)>> {
        let (simple, mixed) = self.mixture.all(seen.case, seen.past, subject, at);
        let mut entries =
            vec![(Contender::Persistence, Entry::alone(simple[0]?)), (Contender::Diurnal, Entry::alone(simple[1]?))];
        if let Some(blend) = mixed {
            entries.push((Contender::Climatology, Entry::alone(simple[2]?)));
            entries.push((Contender::Damped, Entry::alone(simple[3]?)));
            entries.push((Contender::Blend, Entry::alone(blend)));
        }
        let kind = SUBJECTS[subject];
        if self.ridge.is_some() && !matches!(kind, Subject::Scalar(_, Target::Rain, _)) {
            let levels = |target| self.ridge.as_ref()?.levels(&seen.columns, target, at);
            entries.push((Contender::Ridge, entry(kind, seen.past, &levels)?));
        }
        if let Some(learned) = self.learned.as_ref().filter(|learned| learned.speaks_of(kind, at)) {
            let levels = |target| match target {
                Target::Rain => learned.chance(seen.index, at).map(|p| [p; QUANTILES.len()]),
                _ => learned.levels(seen.index, target, at),
            };
            entries.push((Contender::Learned, entry(kind, seen.past, &levels)?));
        }
        Some(entries)
    }
}

impl Predictions {
    /// Whether the learner was fitted for this subject and lead.
    fn speaks_of(&self, subject: Subject, at: usize) -> bool {
        match subject {
            Subject::Chance => self.any_chance(at),
            Subject::Scalar(_, target, _) => target != Target::Rain && self.any(target, at),
            Subject::Direction => self.any(Target::WindU, at) && self.any(Target::WindV, at),
        }
    }
}

/// From changes to a forecast.
fn entry(subject: Subject, past: &Past, levels: &dyn Fn(Target) -> Option<[f32; QUANTILES.len()]>) -> Option<Entry> {
    let anchors = past.anchors();
    match subject {
        Subject::Chance => Some(Entry::alone(levels(Target::Rain)?[MEDIAN].clamp(0.0, 1.0))),
        Subject::Scalar(_, target, _) => {
            let anchor = target.anchor(&anchors)?;
            let lowest = if target.non_negative() { 0.0 } else { f32::MIN };
            let mut values = levels(target)?.map(|change| (anchor + change).max(lowest));
            values.sort_by(f32::total_cmp);
            Some(Entry { value: values[MEDIAN], levels: Some(values) })
        }
        Subject::Direction => {
            let part = |target: Target| Some(target.anchor(&anchors)? + levels(target)?[MEDIAN]);
            Some(Entry::alone(weather::derived::wind_direction(part(Target::WindU)?, part(Target::WindV)?)))
        }
    }
}
