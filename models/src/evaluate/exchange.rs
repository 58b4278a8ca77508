//! Cases as files, for learners in other languages, and what they predict.
//!
//! A folder holds `cases.json` (names, and the fingerprint of the judged cases), `training.npy`,
//! `training_targets.npy`, `training_late.npy` and `judged.npy`. A learner adds `predictions.npy`
//! (per judged case, target, lead and quantile: the change from the newest value), `chances.npy`
//! (per judged case and lead: the chance of rain) and `predictions.json`. What was observed in the
//! judged cases is not written: a learner can't peek.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use weather::QUANTILES;

use super::REPORTED;
use super::cases::{self, Case};
use super::columns;
use super::npy::{self, Matrix};
use super::target::Target;
use crate::decode::WET;

/// Columns and targets of cases.
#[derive(Default)]
pub(crate) struct Examples {
    /// The window's columns, then each lead's.
    pub(crate) columns: Matrix,
    /// By target, then by lead: the change from the newest value; 1 or 0 for rain; NaN where
    /// nothing was observed.
    pub(crate) targets: Matrix,
    /// Whether the case only chooses.
    pub(crate) late: Vec<bool>,
}

/// Columns of [`Examples::targets`].
pub(crate) const TARGETS: usize = Target::COUNT * REPORTED.len();

impl Examples {
    pub(crate) fn of(cases: &[Case<'_>]) -> Self {
        let mut examples = Self::default();
        for case in cases {
            let past = case.past();
            let columns = columns::of(case, &past);
            examples.columns.columns = columns.len();
            examples.columns.values.extend(columns);
            let (anchors, truth) = (past.anchors(), case.truth(&past));
            for target in Target::ALL {
                let anchor = target.anchor(&anchors);
                for lead in REPORTED {
                    let observed = truth.get(target.channel(), lead - 1);
                    let value = match target {
                        Target::Rain => observed.map(|mm| if mm >= WET { 1.0 } else { 0.0 }),
                        _ => observed.zip(anchor).map(|(value, anchor)| value - anchor),
                    };
                    examples.targets.values.push(value.unwrap_or(f32::NAN));
                }
            }
            examples.late.push(case.late);
        }
        examples.targets.columns = TARGETS;
        examples
    }
}

#[derive(Serialize)]
struct Description<'a> {
    format: u32,
    fingerprint: String,
    window: Vec<String>,
    lead: Vec<String>,
    leads: [usize; REPORTED.len()],
    targets: [&'a str; Target::COUNT],
    quantiles: [f32; QUANTILES.len()],
}

/// Writes what a learner is fitted on and what it is asked.
pub(crate) fn write(folder: &Path, training: &Examples, judged: &[Case<'_>]) -> anyhow::Result<()> {
    let first = judged.first().context("nothing can be judged")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    npy::write(&folder.join("training.npy"), &training.columns)?;
    npy::write(&folder.join("training_targets.npy"), &training.targets)?;
    let late = training.late.iter().map(|late| if *late { 1.0 } else { 0.0 }).collect();
    npy::write(&folder.join("training_late.npy"), &Matrix { values: late, columns: 1 })?;
    let mut asked = Matrix::default();
    for case in judged {
        let columns = columns::of(case, &case.past());
        asked.columns = columns.len();
        asked.values.extend(columns);
    }
    npy::write(&folder.join("judged.npy"), &asked)?;
    let (window, lead) = columns::names(first);
    let description = Description {
        format: 1,
        fingerprint: cases::fingerprint(judged),
        window,
        lead,
        leads: REPORTED,
        targets: Target::ALL.map(Target::name),
        quantiles: QUANTILES,
    };
    let path = folder.join("cases.json");
    fs::write(&path, serde_json::to_vec_pretty(&description)?)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// What a learner says of the judged cases.
pub(crate) struct Predictions {
    /// Who made them, in words.
    pub(crate) made_by: String,
    changes: Matrix,
    chances: Matrix,
}

#[derive(Deserialize)]
struct PredictionFacts {
    fingerprint: String,
    made_by: String,
}

impl Predictions {
    /// Reads the predictions for exactly these cases.
    pub(crate) fn read(folder: &Path, judged: &[Case<'_>]) -> anyhow::Result<Self> {
        let path = folder.join("predictions.json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let facts: PredictionFacts = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        anyhow::ensure!(
            facts.fingerprint == cases::fingerprint(judged),
            "{}: made for other cases; export them again with the data, cut and number of cases of this evaluation",
            folder.display()
        );
        let changes = npy::read(&folder.join("predictions.npy"))?;
        let chances = npy::read(&folder.join("chances.npy"))?;
        anyhow::ensure!(
            changes.columns == TARGETS * QUANTILES.len()
                && chances.columns == REPORTED.len()
                && changes.rows().len() == judged.len()
                && chances.rows().len() == judged.len(),
            "{}: predictions.npy or chances.npy has another shape than cases.json asks for",
            folder.display()
        );
        Ok(Self { made_by: facts.made_by, changes, chances })
    }

    /// The quantiles of the change from the newest value; none where the learner says nothing.
    pub(crate) fn levels(&self, case: usize, target: Target, lead: usize) -> Option<[f32; QUANTILES.len()]> {
        let at = (target as usize * REPORTED.len() + lead) * QUANTILES.len();
        let levels = self.changes.row(case)?.get(at..at + QUANTILES.len())?;
        let levels: [f32; QUANTILES.len()] = levels.try_into().ok()?;
        levels.iter().all(|v| v.is_finite()).then_some(levels)
    }

    /// Whether there is anything for a target at a lead.
    pub(crate) fn any(&self, target: Target, lead: usize) -> bool {
        (0..self.changes.rows().len()).any(|case| self.levels(case, target, lead).is_some())
    }

    /// The same for the chance of rain.
    pub(crate) fn any_chance(&self, lead: usize) -> bool {
        (0..self.chances.rows().len()).any(|case| self.chance(case, lead).is_some())
    }

    pub(crate) fn chance(&self, case: usize, lead: usize) -> Option<f32> {
        self.chances.row(case)?.get(lead).copied().filter(|p| p.is_finite())
    }
}
