//! What appears in a weights folder while a version runs: better ones are found, damaged ones are
//! refused once and tried again when they change, half-copied ones are waited for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on has failed

use std::fs;
use std::path::{Path, PathBuf};

use models::{BackendKind, Haste, LoadError, Look, Shelf};
use weather::ModelId;

const FILES: [&str; 3] = ["weights.bpk", "golden.bin", "manifest.toml"];

/// The version that serves; its judged twin stands beside it.
fn newest(known: Vec<models::VersionInfo>) -> models::VersionInfo {
    known.into_iter().rfind(|v| v.id.name == models::DEFAULT_MODEL).unwrap()
}

/// A weights folder of its own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn shelf(&self) -> Shelf {
        Shelf::new(self.0.path(), BackendKind::Flex)
    }

    fn version(&self, version: &str) -> PathBuf {
        self.0.path().join("weatherglass").join(version)
    }

    /// Puts a copy of the committed version there, under another number.
    fn add(&self, version: &str) -> PathBuf {
        let to = self.version(version);
        for file in FILES {
            self.add_file(version, file);
        }
        to
    }

    fn add_file(&self, version: &str, file: &str) {
        let from = newest(models::versions(&Path::new(env!("CARGO_MANIFEST_DIR")).join("weights")));
        fs::create_dir_all(self.version(version)).unwrap();
        let mut bytes = fs::read(from.folder.join(file)).unwrap();
        if file == "manifest.toml" {
            let (was, is) = (format!("version = \"{}\"", from.id.version), format!("version = \"{version}\""));
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(&was));
            bytes = text.replacen(&was, &is, 1).into_bytes();
        }
        fs::write(self.version(version).join(file), bytes).unwrap();
    }
}

fn running(version: &str) -> ModelId {
    ModelId { name: models::DEFAULT_MODEL.to_owned(), version: version.to_owned() }
}

fn found(look: &Look) -> Option<&str> {
    look.found.as_ref().map(|f| f.id().version.as_str())
}

fn labels(look: &Look) -> Vec<&str> {
    look.refused.iter().map(|r| r.reason.label()).collect()
}

#[test]
fn a_higher_version_is_found_and_ten_comes_after_nine() {
    let folder = Folder::new();
    for version in ["0.9.0", "0.10.0"] {
        folder.add(version);
    }
    let mut shelf = folder.shelf();
    assert_eq!(shelf.first().unwrap().0.id().version, "0.10.0");
    assert_eq!(found(&shelf.look(&running("0.10.0"), Haste::Now)), None);
    assert_eq!(found(&shelf.look(&running("0.9.9"), Haste::Now)), Some("0.10.0"));
    folder.add("0.11.0");
    assert_eq!(found(&shelf.look(&running("0.10.0"), Haste::Now)), Some("0.11.0"));
    // What runs need not be there any more, and nothing lower takes its place.
    fs::remove_dir_all(folder.version("0.11.0")).unwrap();
    let look = shelf.look(&running("0.11.0"), Haste::Now);
    assert!(look.found.is_none() && look.refused.is_empty());
}

#[test]
fn a_refused_version_is_named_once_and_tried_again_when_it_changes() {
    let folder = Folder::new();
    folder.add("0.1.0");
    let better = folder.add("0.2.0").join("weights.bpk");
    let good = fs::read(&better).unwrap();
    fs::write(&better, &good[..good.len() - 1]).unwrap();
    let mut shelf = folder.shelf();
    let look = shelf.look(&running("0.1.0"), Haste::Now);
    assert_eq!((found(&look), labels(&look)), (None, vec!["checksum"]));
    assert_eq!((look.refused[0].id.clone(), &look.refused[0].folder), (running("0.2.0"), &folder.version("0.2.0")));
    for haste in [Haste::Now, Haste::Settled] {
        let look = shelf.look(&running("0.1.0"), haste);
        assert!(look.found.is_none() && look.refused.is_empty(), "named again");
    }
    // Of the same length, and damaged in another place.
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    fs::write(&better, &bad).unwrap();
    assert_eq!(labels(&shelf.look(&running("0.1.0"), Haste::Now)), ["checksum"]);
    fs::write(&better, &good).unwrap();
    assert_eq!(found(&shelf.look(&running("0.1.0"), Haste::Now)), Some("0.2.0"));
}

#[test]
fn what_is_still_being_copied_is_waited_for() {
    let folder = Folder::new();
    let mut shelf = folder.shelf();
    let mut look = || shelf.look(&running("0.1.0"), Haste::Settled);
    folder.add_file("0.2.0", "weights.bpk");
    assert!(look().refused.is_empty() && look().refused.is_empty(), "without a manifest it is nothing yet");
    folder.add_file("0.2.0", "manifest.toml");
    let weights = folder.version("0.2.0").join("weights.bpk");
    let whole = fs::read(&weights).unwrap();
    for part in 1..4 {
        fs::write(&weights, &whole[..whole.len() * part / 4]).unwrap();
        let now = look();
        assert!(now.found.is_none() && now.refused.is_empty(), "part {part} of 4");
    }
    // It stops half-way for long enough to be refused, and is not given up for ever.
    assert_eq!(labels(&look()), ["checksum"]);
    fs::write(&weights, &whole).unwrap();
    assert!(look().refused.is_empty());
    assert_eq!(labels(&look()), ["unreadable"], "the golden file is still missing");
    folder.add_file("0.2.0", "golden.bin");
    assert_eq!(found(&look()), None);
    assert_eq!(found(&look()), Some("0.2.0"));
}

#[test]
fn a_refused_version_is_passed_over_for_the_next() {
    let folder = Folder::new();
    for version in ["0.1.0", "0.2.0", "0.3.0"] {
        folder.add(version);
    }
    fs::write(folder.version("0.3.0").join("manifest.toml"), "name = ").unwrap();
    let look = folder.shelf().look(&running("0.1.0"), Haste::Now);
    assert_eq!((found(&look), labels(&look)), (Some("0.2.0"), vec!["manifest"]));
    let (forecaster, refused) = folder.shelf().first().unwrap();
    assert_eq!(forecaster.id(), &running("0.2.0"));
    assert_eq!((refused.len(), &refused[0].id), (1, &running("0.3.0")));
    for version in ["0.1.0", "0.2.0"] {
        fs::remove_file(folder.version(version).join("golden.bin")).unwrap();
    }
    assert!(matches!(folder.shelf().first().err().unwrap(), LoadError::Manifest { .. }), "of the highest one");
    assert!(matches!(Folder::new().shelf().first().err().unwrap(), LoadError::NoVersion { .. }));
}

#[test]
fn a_pinned_version_is_that_one_or_none() {
    let folder = Folder::new();
    for version in ["0.1.0", "0.2.0"] {
        folder.add(version);
    }
    assert_eq!(folder.shelf().pinned("0.1.0").unwrap().id(), &running("0.1.0"));
    let error = folder.shelf().pinned("0.1").err().unwrap();
    assert!(error.to_string().contains("no version 0.1 of"), "{error}");
    fs::remove_file(folder.version("0.1.0").join("golden.bin")).unwrap();
    assert!(matches!(folder.shelf().pinned("0.1.0").err().unwrap(), LoadError::Io { .. }));
}

#[test]
fn absurd_sizes_are_refused_and_not_allocated() {
    let folder = Folder::new();
    let manifest = folder.add("0.2.0").join("manifest.toml");
    let good = fs::read_to_string(&manifest).unwrap();
    let mut shelf = folder.shelf();
    for name in ["hidden", "latent", "members"] {
        let line = good.lines().find(|l| l.starts_with(&format!("{name} = "))).unwrap();
        for size in ["0", "100000000", "9000000000000000000"] {
            fs::write(&manifest, good.replacen(line, &format!("{name} = {size}"), 1)).unwrap();
            let look = shelf.look(&running("0.1.0"), Haste::Now);
            assert_eq!((found(&look), labels(&look)), (None, vec!["weights"]), "{name} = {size}");
        }
    }
}

#[test]
fn other_models_and_hidden_folders_are_left_alone() {
    let folder = Folder::new();
    let other = folder.add("0.3.0").join("manifest.toml");
    let text = fs::read_to_string(&other).unwrap();
    fs::write(&other, text.replacen("name = \"weatherglass\"", "name = \"another\"", 1)).unwrap();
    folder.add("0.2.0");
    fs::rename(folder.version("0.2.0"), folder.version(".0.2.0.unfinished-1")).unwrap();
    let look = folder.shelf().look(&running("0.1.0"), Haste::Now);
    assert!(look.found.is_none() && look.refused.is_empty());
}
