//! Which files there are, and when to look again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tracing::warn;

/// How often folders are looked through whether or not the system has told of a change: network file
/// systems tell of none.
const SCAN: Duration = Duration::from_secs(10);
/// How long changes are gathered before they are looked at.
const GATHER: Duration = Duration::from_millis(200);
/// How deep folders are looked through.
const DEPTH: usize = 16;

/// The files at `paths`: folders with what is in them, in the order of their names. Hidden files, lists of
/// stations and what others are still writing under another name are left out.
pub(crate) fn list(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() { walk(path, 0, &mut found) } else { found.push(path.clone()) }
    }
    found.sort();
    found.dedup();
    found
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let temporary = [".part", ".tmp", ".new", ".crdownload", "~"].iter().any(|end| name.ends_with(end));
        // A link to a folder is not followed: it may lead back here.
        match entry.file_type() {
            _ if name.starts_with('.') || temporary => {}
            Ok(kind) if kind.is_dir() && depth < DEPTH => walk(&path, depth + 1, found),
            Ok(kind) if kind.is_dir() => {}
            Ok(_) if name.ends_with("_stations.csv") || !path.is_file() => {}
            Ok(_) => found.push(path),
            Err(_) => {}
        }
    }
}

/// The list of stations beside a file of observations: `<name>_stations.csv`.
pub(crate) fn station_list(file: &Path) -> Option<PathBuf> {
    let list = file.with_file_name(format!("{}_stations.csv", file.file_stem()?.to_str()?));
    list.is_file().then_some(list)
}

/// Tells when to look through the folders again.
pub(crate) struct Watch {
    // Dropping it ends the watching.
    _watcher: Option<RecommendedWatcher>,
    changes: mpsc::Receiver<()>,
    // Kept, so that without a watcher the channel stays open and only the clock speaks.
    _sender: mpsc::Sender<()>,
}

impl Watch {
    /// Watches `paths`; where the system can't tell of changes, a look every 10 s must do.
    pub(crate) fn new(paths: &[PathBuf]) -> Self {
        // One change that has not been looked at is as good as many.
        let (sender, changes) = mpsc::channel(1);
        let told = sender.clone();
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // That somebody reads is no change; it may be us.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                let _ = told.try_send(());
            }
        });
        let watching = made.and_then(|mut watcher| {
            for path in paths {
                let (place, mode) = match path.parent() {
                    _ if path.is_dir() => (path.as_path(), RecursiveMode::Recursive),
                    Some(parent) if parent.as_os_str().is_empty() => (Path::new("."), RecursiveMode::NonRecursive),
                    Some(parent) => (parent, RecursiveMode::NonRecursive),
                    None => (path.as_path(), RecursiveMode::NonRecursive),
                };
                watcher.watch(place, mode)?;
            }
            Ok(watcher)
        });
        let watcher = watching
            .inspect_err(|error| warn!(%error, "the system tells of no changes: looking every {} s", SCAN.as_secs()))
            .ok();
        Self { _watcher: watcher, changes, _sender: sender }
    }

    /// Waits for a change, or until it is time to look anyway.
    pub(crate) async fn next(&mut self) {
        if tokio::time::timeout(SCAN, self.changes.recv()).await.is_ok() {
            tokio::time::sleep(GATHER).await;
            while self.changes.try_recv().is_ok() {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_looked_through_and_what_is_no_file_of_observations_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("deeper")).unwrap();
        for name in ["b.csv", "a.parquet", "a_stations.csv", ".hidden", "c.csv.part", "deeper/d.psv"] {
            fs::write(at(name), "x").unwrap();
        }
        let found = list(&[folder.path().to_owned(), at("b.csv"), at("absent.csv")]);
        assert_eq!(found, [at("a.parquet"), at("absent.csv"), at("b.csv"), at("deeper/d.psv")]);
        assert_eq!(station_list(&at("a.parquet")), Some(at("a_stations.csv")));
        assert_eq!(station_list(&at("b.csv")), None);
    }

    #[tokio::test]
    async fn a_change_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(&[folder.path().to_owned()]);
        fs::write(folder.path().join("a.csv"), "x").unwrap();
        let begun = std::time::Instant::now();
        watch.next().await;
        assert!(begun.elapsed() < SCAN / 2);
    }
}
