//! The shape of the house: which room may know which, what may leave a room, and that the
//! documents name only what is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Room -> the rooms it may import. Services never import each other: they meet only in Redis.
const ARROWS: [(&str, &[&str]); 8] = [
    ("weather", &[]),
    ("streams", &["weather"]),
    ("archive", &["weather"]),
    ("models", &["weather", "archive"]),
    ("ingest", &["weather", "streams"]),
    ("worker", &["weather", "streams", "models"]),
    ("api", &["weather", "streams"]),
    ("weatherglass", &["weather", "streams", "archive", "models", "ingest", "worker", "api"]),
];

/// Outside crates that belong to some rooms only.
const PRIVATE: [(&str, &[&str]); 6] = [
    ("burn", &["models"]),
    ("redis", &["streams"]),
    ("bb8-redis", &["streams"]),
    ("axum", &["ingest", "api", "weatherglass"]),
    ("parquet", &["archive"]),
    ("utoipa", &["api", "weatherglass"]),
];

/// Their names in source text: a type could also come by way of another crate's re-export.
const WORDS: [(&str, &[&str]); 4] = [
    ("burn::", &["models"]),
    ("redis::", &["streams"]),
    ("bb8", &["streams"]),
    ("axum", &["ingest", "api", "weatherglass"]),
];

/// What the domain must not do: wait, read, write, or call anyone.
const IMPURE: [&str; 7] =
    ["tokio", "async fn", "std::fs", "std::net", "std::process", "std::thread", "SystemTime::now"];

const NAMELESS: [&str; 9] = ["util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "shared"];

const MOST_LINES: usize = 500;

/// What `make types` writes: as long as the api's document makes it.
const GENERATED: &str = "web/src/api/schema.d.ts";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn manifest(folder: &Path) -> toml::Table {
    read(&folder.join("Cargo.toml")).parse().unwrap()
}

/// Names in every dependency table of a manifest: those of tests, build scripts and platforms too.
fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (key, value) in manifest {
        let Some(table) = value.as_table() else { continue };
        match key.as_str() {
            "dependencies" | "dev-dependencies" | "build-dependencies" => {
                names.extend(table.iter().map(|(name, spec)| {
                    let renamed = spec.as_table().and_then(|t| t.get("package")).and_then(|p| p.as_str());
                    renamed.unwrap_or(name).to_owned()
                }))
            }
            "target" => names.extend(table.values().filter_map(|t| t.as_table()).flat_map(dependencies)),
            _ => {}
        }
    }
    names
}

/// Files below a folder that people write: not what is built or installed.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).flatten() {
        let path = entry.path();
        let name = entry.file_name().into_string().unwrap_or_default();
        if !path.is_dir() {
            found.push(path);
        } else if !name.starts_with('.') && !matches!(name.as_str(), "node_modules" | "dist" | "target" | "data") {
            collect(&path, found);
        }
    }
}

fn sources(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    found.retain(|p| p.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e)));
    assert!(!found.is_empty(), "{folder} has no {extensions:?}");
    found
}

/// Lines of a room's own code, without comments, with where they stand.
fn code(folder: &str) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for path in sources(folder, &["rs"]) {
        for (number, line) in read(&path).lines().enumerate() {
            if !line.trim_start().starts_with("//") {
                let place = format!("{}:{}", path.strip_prefix(root()).unwrap().display(), number + 1);
                lines.push((place, line.to_owned()));
            }
        }
    }
    lines
}

/// Whether `word` begins a path in `line`: not the tail of a longer name, not an item of something else.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '"' | '.' | ':')))
}

#[test]
fn the_workspace_has_these_rooms_and_no_others() {
    let workspace = manifest(&root());
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let members: BTreeSet<&str> = members.iter().filter_map(|m| m.as_str()).collect();
    assert_eq!(members, ARROWS.iter().map(|(room, _)| *room).collect());
}

#[test]
fn rooms_know_only_what_the_arrows_allow() {
    let rooms: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    for (room, allowed) in ARROWS {
        for name in dependencies(&manifest(&root().join(room))) {
            let is_arrow = !rooms.contains_key(name.as_str()) || allowed.contains(&name.as_str());
            assert!(is_arrow, "{room} -> {name} is not an arrow of the house (ARCHITECTURE.md)");
        }
    }
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    for (room, _) in ARROWS {
        let dependencies = dependencies(&manifest(&root().join(room)));
        for (name, rooms) in PRIVATE {
            let right = rooms.contains(&room) || !dependencies.contains(name);
            assert!(right, "{room} depends on {name}: only {rooms:?} may");
        }
        for (place, line) in code(&format!("{room}/src")) {
            for (word, rooms) in WORDS {
                assert!(rooms.contains(&room) || !names(&line, word), "{place}: {word} only in {rooms:?}");
            }
        }
    }
}

#[test]
fn what_is_private_to_a_room_is_not_re_exported() {
    for (room, word) in [("models", "burn::"), ("streams", "redis::"), ("streams", "bb8")] {
        for (place, line) in code(&format!("{room}/src")) {
            assert!(!line.trim_start().starts_with("pub ") || !names(&line, word), "{place}: {word} leaves {room}");
        }
    }
}

#[test]
fn the_domain_is_pure() {
    for (place, line) in code("weather/src") {
        for word in IMPURE {
            assert!(!line.contains(word), "{place}: {word} in the domain");
        }
    }
}

#[test]
fn files_are_short_and_have_names_that_say_something() {
    let mut all = sources("web", &["ts", "vue", "mjs"]);
    all.extend(ARROWS.iter().flat_map(|(room, _)| sources(room, &["rs"])));
    for path in all {
        let lines = read(&path).lines().count();
        let path = path.strip_prefix(root()).unwrap();
        let short = lines <= MOST_LINES || path == Path::new(GENERATED);
        assert!(short, "{}: {lines} lines, at most {MOST_LINES}: split it", path.display());
        for part in path.with_extension("").components() {
            let part = part.as_os_str().to_string_lossy().to_lowercase();
            assert!(!NAMELESS.contains(&part.as_str()), "{}: `{part}` says nothing", path.display());
        }
    }
    for (place, line) in ARROWS.iter().flat_map(|(room, _)| code(room)) {
        let line = line.trim().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        let module = line.strip_prefix("mod ").unwrap_or_default().split([';', ' ', '{']).next().unwrap_or_default();
        assert!(!NAMELESS.contains(&module), "{place}: module `{module}` says nothing");
    }
}

/// The words between backticks, outside of fenced blocks.
fn quoted(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether something in backticks is meant as a path of the repository.
fn is_path(word: &str) -> bool {
    const KINDS: [&str; 14] =
        ["rs", "ts", "vue", "mjs", "lua", "py", "toml", "yml", "yaml", "json", "md", "sh", "conf", "png"];
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "._-*/".contains(c));
    let kind = word.rsplit('/').next().unwrap_or_default().rsplit_once('.').map(|(_, kind)| kind);
    plain && !word.starts_with(['/', '.']) && (word.ends_with('/') || kind.is_some_and(|k| KINDS.contains(&k)))
}

/// Whether a path exists; a leading `*` stands for any room.
fn exists(path: &str) -> bool {
    match path.strip_prefix("*/") {
        Some(rest) => ARROWS.iter().any(|(room, _)| root().join(room).join(rest).exists()),
        None => root().join(path).exists(),
    }
}

#[test]
fn every_path_that_the_documents_name_exists() {
    let mut seen = 0;
    for document in ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md"] {
        let words = quoted(&read(&root().join(document)));
        let paths: Vec<&String> = words.iter().filter(|word| is_path(word)).collect();
        let missing: Vec<&&String> = paths.iter().filter(|path| !exists(path)).collect();
        assert!(missing.is_empty(), "{document} names what is not there: {missing:?}");
        seen += paths.len();
    }
    assert!(seen > 60, "only {seen} paths found: is_path has gone blind");
}

#[test]
fn every_test_that_the_map_names_exists() {
    let all: String = ARROWS.iter().flat_map(|(room, _)| code(room)).map(|(_, line)| line + "\n").collect();
    let words = quoted(&read(&root().join("ARCHITECTURE.md")));
    let is_test = |w: &&String| {
        w.matches('_').count() >= 2
            && !w.starts_with("weatherglass_")
            && w.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let tests: Vec<&String> = words.iter().filter(is_test).collect();
    assert!(tests.len() > 5, "only {} tests found in ARCHITECTURE.md", tests.len());
    for test in tests {
        assert!(all.contains(&format!("fn {test}(")), "ARCHITECTURE.md names a test that is not there: {test}");
    }
}
