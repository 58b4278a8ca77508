//! The weights folder as a running service sees it: which version to begin with, and whether a
//! better one has come.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use weather::ModelId;

use crate::backend::BackendKind;
use crate::forecaster::Forecaster;
use crate::version::{DEFAULT_MODEL, FILES, LoadError, MANIFEST, folders, numbers};

/// A version that may not serve.
#[derive(Debug)]
pub struct Refusal {
    /// What it says it is.
    pub id: ModelId,
    /// Where it is.
    pub folder: PathBuf,
    /// Why it may not.
    pub reason: LoadError,
}

/// What a look at the folder has brought.
#[derive(Default)]
pub struct Look {
    /// Versions that were tried and refused now. One is not named again until its files change.
    pub refused: Vec<Refusal>,
    /// The highest version that may serve and is higher than the running one, loaded and checked.
    pub found: Option<Forecaster>,
}

/// Whether a folder whose files have just changed is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Not before two looks in a row have seen the same files: somebody may still be copying.
    Settled,
    /// At once.
    Now,
}

/// A weights folder and what is known of the versions in it.
#[derive(Debug)]
pub struct Shelf {
    weights: PathBuf,
    backend: BackendKind,
    seen: HashMap<PathBuf, Seen>,
}

/// A folder's files as they were seen last.
#[derive(Debug)]
struct Seen {
    stamp: Stamp,
    refused: bool,
}

/// Length, inode and time of change of each file: whatever is done to a file alters one of them,
/// also what keeps its time of modification, as `cp -p` does.
type Stamp = [Option<(u64, u64, i64, i64)>; FILES.len()];

/// A folder that says it is a version of the model.
struct Candidate {
    id: ModelId,
    folder: PathBuf,
    stamp: Stamp,
}

impl Shelf {
    /// Reads nothing yet.
    #[must_use]
    pub fn new(weights: &Path, backend: BackendKind) -> Self {
        Self { weights: weights.to_owned(), backend, seen: HashMap::new() }
    }

    /// The highest version that may serve: a refused one must not keep a service from starting
    /// again that would have gone on with the one before. Refusals are in the look.
    ///
    /// # Errors
    /// When there is none; the refusal of the highest one says more than that there is none.
    pub fn first(&mut self) -> Result<(Forecaster, Vec<Refusal>), LoadError> {
        let Look { mut refused, found } = self.try_each(|_| true, Haste::Now);
        match found {
            Some(forecaster) => Ok((forecaster, refused)),
            None if refused.is_empty() => Err(LoadError::NoVersion { path: self.weights.clone() }),
            None => Err(refused.swap_remove(0).reason),
        }
    }

    /// This version and no other.
    ///
    /// # Errors
    /// When it is not there or may not serve.
    pub fn pinned(&self, version: &str) -> Result<Forecaster, LoadError> {
        match candidates(&self.weights).into_iter().find(|c| c.id.version == version) {
            Some(candidate) => Forecaster::load(&candidate.folder, self.backend),
            None => Err(LoadError::NotThere { path: self.weights.clone(), version: version.to_owned() }),
        }
    }

    /// Looks for a higher version than the running one. Takes as long as loading one does.
    pub fn look(&mut self, running: &ModelId, haste: Haste) -> Look {
        let above = numbers(&running.version);
        self.try_each(|candidate| numbers(&candidate.id.version) > above, haste)
    }

    /// Tries those that are wanted, the highest first, until one may serve.
    fn try_each(&mut self, wanted: impl Fn(&Candidate) -> bool, haste: Haste) -> Look {
        let candidates = candidates(&self.weights);
        self.seen.retain(|folder, _| candidates.iter().any(|c| c.folder == *folder));
        let mut look = Look::default();
        for candidate in candidates.into_iter().filter(wanted) {
            let Candidate { id, folder, stamp } = candidate;
            match self.seen.get(&folder) {
                Some(seen) if seen.stamp == stamp && seen.refused => continue,
                Some(seen) if seen.stamp == stamp => {}
                _ if haste == Haste::Now => {}
                _ => {
                    self.seen.insert(folder, Seen { stamp, refused: false });
                    continue;
                }
            }
            match load(&folder, self.backend) {
                Ok(forecaster) => {
                    look.found = Some(forecaster);
                    break;
                }
                // Remembered as it was before it was read: a change since then is another try.
                Err(reason) => {
                    self.seen.insert(folder.clone(), Seen { stamp, refused: true });
                    look.refused.push(Refusal { id, folder, reason });
                }
            }
        }
        look
    }
}

/// A version that makes Burn panic is refused like any other: somebody else's is running.
fn load(folder: &Path, backend: BackendKind) -> Result<Forecaster, LoadError> {
    let loaded = catch_unwind(|| Forecaster::load(folder, backend));
    let message = "it makes the network panic".to_owned();
    loaded.unwrap_or_else(|_| Err(LoadError::Weights { path: folder.to_owned(), message }))
}

/// The folders of the default model that have a manifest, the highest version first.
fn candidates(weights: &Path) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = folders(weights)
        .flat_map(|name| folders(&name))
        .filter_map(|folder| {
            let stamp = FILES.map(|file| stamp(&folder.join(file)));
            // Without a manifest it is nothing yet, or nothing of ours.
            fs::exists(folder.join(MANIFEST)).is_ok_and(|there| there).then_some(())?;
            Some(Candidate { id: id(&folder)?, folder, stamp })
        })
        .filter(|candidate| candidate.id.name == DEFAULT_MODEL)
        .collect();
    found.sort_by_cached_key(|c| std::cmp::Reverse(numbers(&c.id.version)));
    found
}

fn stamp(file: &Path) -> Option<(u64, u64, i64, i64)> {
    let facts = fs::metadata(file).ok()?;
    Some((facts.len(), facts.ino(), facts.ctime(), facts.ctime_nsec()))
}

/// What a manifest says it is, whatever else it says; what its folders are called where it can't be
/// read, so that a broken manifest is refused and not overlooked.
fn id(folder: &Path) -> Option<ModelId> {
    #[derive(Deserialize)]
    struct Label {
        name: String,
        version: String,
    }
    let text = fs::read_to_string(folder.join(MANIFEST)).unwrap_or_default();
    if let Ok(Label { name, version }) = toml::from_str(&text) {
        return Some(ModelId { name, version });
    }
    let called = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    Some(ModelId { name: called(folder.parent()?)?, version: called(folder)? })
}
