//! What has been acknowledged of which file, kept in a file of its own so that a backfill goes on where it
//! stopped.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::Context;
use ingest::files::Format;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How much of a file's beginning, and of what stands before the position, is compared.
const COMPARED: u64 = 4096;
/// How often the state is written while a file is read.
const INTERVAL: Duration = Duration::from_secs(1);
const VERSION: u32 = 1;

/// Where to go on in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Bytes of a text, rows of a Parquet file.
    pub(crate) at: u64,
    /// Lines before it.
    pub(crate) lines: u64,
}

/// When and how large a file was when it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Bytes.
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self { size: metadata.len(), modified: modified.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)) }
    }
}

/// What is known of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    stamp: Stamp,
    position: Position,
    /// SHA-256 of the first bytes, and how many these were.
    beginning: (String, u64),
    /// SHA-256 of the bytes before the position of a text.
    before: Option<String>,
    /// Whether it had been read to its end.
    done: bool,
}

#[derive(Default, Serialize, Deserialize)]
struct Saved {
    version: u32,
    /// Ingest's address -> file -> what is known of it.
    targets: BTreeMap<String, BTreeMap<PathBuf, Entry>>,
}

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// It is as it was when it had been read to its end.
    Skip,
    /// Read it from there; from its beginning if it is new, was truncated or replaced.
    From(Position),
}

/// The state of a backfill to one address.
pub(crate) struct State {
    path: PathBuf,
    target: String,
    saved: Saved,
    written: Instant,
}

impl State {
    /// Reads the state file; there need not be one.
    pub(crate) fn open(path: &Path, target: &str, anew: bool) -> anyhow::Result<Self> {
        let mut saved = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice::<Saved>(&bytes)
                .with_context(|| format!("--state {}: not written by weatherglass backfill", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Saved::default(),
            Err(error) => return Err(error).with_context(|| format!("--state {}", path.display())),
        };
        if saved.version > VERSION {
            anyhow::bail!("--state {}: written by a newer release", path.display());
        }
        saved.version = VERSION;
        if anew {
            saved.targets.remove(target);
        }
        let state = Self { path: path.to_owned(), target: target.to_owned(), saved, written: Instant::now() };
        // Found out now and not after the first hour.
        state.write()?;
        Ok(state)
    }

    /// What is to be done with a file of that stamp and format.
    pub(crate) fn plan(&self, path: &Path, stamp: Stamp, format: Format) -> Plan {
        let anew = Plan::From(Position::default());
        let Some(entry) = self.saved.targets.get(&self.target).and_then(|files| files.get(path)) else { return anew };
        if entry.stamp == stamp && entry.done {
            return Plan::Skip;
        }
        let same_beginning = digest(path, 0, entry.beginning.1).is_some_and(|found| found == entry.beginning.0);
        let goes_on = match format {
            // Its footer, and with it everything, is written last: another size or time is another file.
            Format::Parquet => entry.stamp == stamp,
            _ => entry.before.is_some() && digest_before(path, entry.position.at) == entry.before,
        };
        if same_beginning && goes_on { Plan::From(entry.position) } else { anew }
    }

    /// Whether that file has been read to its end as it is.
    pub(crate) fn is_done(&self, path: &Path, stamp: Stamp) -> bool {
        let entry = self.saved.targets.get(&self.target).and_then(|files| files.get(path));
        entry.is_some_and(|entry| entry.done && entry.stamp == stamp)
    }

    /// Notes how far a file has been acknowledged, and writes it now and then.
    pub(crate) fn note(
        &mut self,
        path: &Path,
        stamp: Stamp,
        format: Format,
        position: Position,
        done: bool,
    ) -> anyhow::Result<()> {
        if !done && self.written.elapsed() < INTERVAL {
            return Ok(());
        }
        let length = stamp.size.min(COMPARED);
        let before = if format == Format::Parquet { None } else { digest_before(path, position.at) };
        let beginning = (digest(path, 0, length).unwrap_or_default(), length);
        let files = self.saved.targets.entry(self.target.clone()).or_default();
        files.insert(path.to_owned(), Entry { stamp, position, beginning, before, done });
        if self.written.elapsed() >= INTERVAL {
            self.save()?;
        }
        Ok(())
    }

    /// Writes the state.
    pub(crate) fn save(&mut self) -> anyhow::Result<()> {
        self.written = Instant::now();
        self.write()
    }

    /// Beside its place, then into it, so that a crash leaves the old or the new one.
    fn write(&self) -> anyhow::Result<()> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".new");
        let beside = PathBuf::from(name);
        let write = || {
            let mut file = File::create(&beside)?;
            file.write_all(&serde_json::to_vec_pretty(&self.saved)?)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)
        };
        write().with_context(|| format!("--state {} can't be written", self.path.display()))
    }
}

/// SHA-256 of `length` bytes from `from`; none if the file has not so many.
fn digest(path: &Path, from: u64, length: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(length.min(COMPARED)).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 == length).then(|| Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect())
}

/// SHA-256 of up to so many bytes before `position`; none if the file is shorter.
fn digest_before(path: &Path, position: u64) -> Option<String> {
    let length = position.min(COMPARED);
    digest(path, position - length, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "http://localhost:8001";

    struct Desk {
        folder: tempfile::TempDir,
    }

    impl Desk {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn file(&self, text: &str) -> PathBuf {
            let path = self.folder.path().join("a.csv");
            fs::write(&path, text).unwrap();
            path
        }

        fn state(&self, target: &str) -> State {
            State::open(&self.folder.path().join("state.json"), target, false).unwrap()
        }
    }

    fn stamp(path: &Path) -> Stamp {
        Stamp::of(&fs::metadata(path).unwrap())
    }

    fn done(desk: &Desk, path: &Path, at: u64) {
        let mut state = desk.state(TARGET);
        state.note(path, stamp(path), Format::Csv, Position { at, lines: 2 }, true).unwrap();
        state.save().unwrap();
    }

    #[test]
    fn a_file_is_read_once_and_on_when_it_grows() {
        let desk = Desk::new();
        let path = desk.file("head\none\n");
        let anew = Plan::From(Position::default());
        assert_eq!(desk.state(TARGET).plan(&path, stamp(&path), Format::Csv), anew);
        done(&desk, &path, 9);
        assert_eq!(desk.state(TARGET).plan(&path, stamp(&path), Format::Csv), Plan::Skip);
        assert!(desk.state(TARGET).is_done(&path, stamp(&path)));
        assert_eq!(desk.state("http://elsewhere").plan(&path, stamp(&path), Format::Csv), anew);
        desk.file("head\none\ntwo\n");
        let on = Plan::From(Position { at: 9, lines: 2 });
        assert_eq!(desk.state(TARGET).plan(&path, stamp(&path), Format::Csv), on);
    }

    #[test]
    fn a_truncated_and_a_replaced_file_are_read_anew() {
        let anew = Plan::From(Position::default());
        for text in ["head\n", "HEAD\none\ntwo\n", "head\nONE\ntwo\n"] {
            let desk = Desk::new();
            let path = desk.file("head\none\n");
            done(&desk, &path, 9);
            desk.file(text);
            assert_eq!(desk.state(TARGET).plan(&path, stamp(&path), Format::Csv), anew, "{text}");
        }
    }

    #[test]
    fn a_parquet_file_goes_on_only_if_it_is_the_same() {
        let desk = Desk::new();
        let path = desk.file("PAR1 PAR1");
        let position = Position { at: 100, lines: 100 };
        let mut state = desk.state(TARGET);
        state.written = Instant::now() - INTERVAL;
        state.note(&path, stamp(&path), Format::Parquet, position, false).unwrap();
        assert_eq!(desk.state(TARGET).plan(&path, stamp(&path), Format::Parquet), Plan::From(position));
        desk.file("PAR1 and more PAR1");
        let found = desk.state(TARGET).plan(&path, stamp(&path), Format::Parquet);
        assert_eq!(found, Plan::From(Position::default()));
    }

    #[test]
    fn another_file_is_no_state() {
        let desk = Desk::new();
        let path = desk.file("head\n");
        assert!(State::open(&path, TARGET, false).is_err_and(|e| e.to_string().contains("--state")));
    }
}
