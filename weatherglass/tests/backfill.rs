//! Files through the real door: killed in the middle, growing, and not what they should be.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use stack::{PATIENCE, Service, Stack, eventually, recordings};
use weather::Time;

fn backfill(stack: &Stack, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
    command.arg("backfill").args(arguments).args(["--url", &stack.url(Service::Ingest)]);
    command.arg("--state").arg(folder.join("state.json")).env("WEATHERGLASS_LOG", "warn").stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// Ended by itself within so long.
fn run(mut command: Command) -> (bool, String) {
    let output = command.output().unwrap();
    (output.status.success(), said(&output))
}

/// The number before or behind a word of the summary.
fn number(said: &str, word: &str) -> u64 {
    let rest = said.split(&format!("{word} ")).nth(1).unwrap_or_else(|| panic!("no {word} in {said}"));
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

async fn count(stack: &Stack, name: &str) -> u64 {
    stack.metric(Service::Ingest, &format!("weatherglass_ingest_{name}_observations_total"), "").await as u64
}

/// Entries of all streams: observations, and each description of a station.
fn entries(stack: &Stack) -> u64 {
    let length = |partition: u32| {
        let answer = stack.redis.say(&format!("XLEN {{wg:{partition}}}:obs")).unwrap();
        let digits: String = answer.chars().skip_while(|c| *c != ':').filter(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap()
    };
    (0..16).map(length).sum()
}

/// Reports of some stations, the newest a minute ago.
fn table(stations: i64, reports: i64, step: i64) -> String {
    let now = Time::now();
    let mut text = "station,time,temperature,wind_speed,latitude,longitude\n".to_owned();
    for report in (1..=reports).rev() {
        let time = now - 60 - report * step;
        for station in 0..stations {
            text += &format!("B{station},{time},{}.{},3.4,47.{station},19.0\n", report % 20, station % 10);
        }
    }
    text
}

#[tokio::test]
async fn a_killed_backfill_goes_on_and_nothing_is_missing() {
    let stack = Stack::ingest_only(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let (stations, reports) = (40, 5000);
    let total = (stations * reports) as u64;
    let file = folder.path().join("history.csv");
    fs::write(&file, table(stations, reports, 60)).unwrap();
    let path = file.to_str().unwrap();

    let mut first = backfill(&stack, folder.path(), &[path, "--connections", "1"]).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let begun = || fs::read_to_string(folder.path().join("state.json")).is_ok_and(|s| s.contains("\"done\": false"));
    while !begun() {
        assert!(Instant::now() < deadline && first.try_wait().unwrap().is_none(), "it was over too soon");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    first.kill().unwrap();
    first.wait().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = count(&stack, "accepted").await;
    assert!(before > 0 && before < total, "{before} of {total}");

    let (ok, words) = run(backfill(&stack, folder.path(), &[path]));
    assert!(ok, "{words}");
    assert_eq!(before + number(&words, "accepted"), total, "{words}");
    assert_eq!(number(&words, "rejected"), 0, "{words}");
    // It went on and did not begin again.
    assert!(number(&words, "received") < total, "{words}");
    let described = stations as u64 + number(&words, "read,");
    assert_eq!((count(&stack, "accepted").await, entries(&stack)), (total, total + described));
    assert_eq!(count(&stack, "duplicate").await, number(&words, "duplicates"));

    let (ok, words) = run(backfill(&stack, folder.path(), &[path]));
    assert!(ok && words.contains("1 known before") && number(&words, "received") == 0, "{words}");
    let (ok, words) = run(backfill(&stack, folder.path(), &[path, "--anew", "--no-stations"]));
    assert!(ok && number(&words, "duplicates") + number(&words, "accepted") == total, "{words}");
    assert!(!words.contains("stations registered"), "{words}");
    assert_eq!(entries(&stack), total + described + number(&words, "accepted"));
    let registered = stack.connect_redis().await.stations(&[weather::StationId::new("B7").unwrap()]).await.unwrap();
    assert_eq!(registered[0].as_ref().unwrap().position(), Some((47.7, 19.0)));
}

/// SIGTERM, and what it said in the end.
fn stopped(child: Child) -> String {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

#[tokio::test]
async fn a_watched_folder_is_read_as_it_grows() {
    let stack = Stack::ingest_only(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let watched = folder.path().join("watched");
    fs::create_dir(&watched).unwrap();
    let mut command = backfill(&stack, folder.path(), &[watched.to_str().unwrap(), "--watch"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let reaches = |what: &'static str, wanted: u64| {
        let stack = &stack;
        async move { eventually(what, || async move { count(stack, "accepted").await == wanted }).await }
    };
    let now = Time::now();
    let row = |minutes: i64, value: &str| format!("W1,{},{value}", now - minutes * 60);

    let path = watched.join("station.csv");
    let mut file = File::create(&path).unwrap();
    write!(file, "station,time,temperature\n{}\n{}", row(9, "1.5"), row(8, "2")).unwrap();
    reaches("the complete line", 1).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(count(&stack, "accepted").await, 1, "half a line is none");
    writeln!(file, ".5").unwrap();
    reaches("the line, now complete", 2).await;
    // Replaced by another of the same name: read from its beginning.
    fs::write(&path, format!("station,time,temperature\n{}\n", row(7, "3.5"))).unwrap();
    reaches("the file that took its place", 3).await;

    let valid = |minutes: i64| (now - minutes * 60).to_string()[..16].replace('T', " ");
    let iem = format!("#DEBUG\nstation,valid,lon,lat,tmpf\nAMW,{},-93.6,42.0,50\n", valid(30));
    fs::write(watched.join("ames.csv"), iem).unwrap();
    reaches("a new file of another format", 4).await;
    fs::create_dir(watched.join("deeper")).unwrap();
    fs::write(watched.join("deeper/rubbish.bin"), [0xA5; 10_000]).unwrap();
    fs::write(
        watched.join("deeper/lines.ndjson"),
        format!("{{\"station\":\"W2\",\"time\":\"{now}\",\"dew_point\":1}}\n"),
    )
    .unwrap();
    reaches("a file in a folder that is new", 5).await;

    // Nothing is taken again after a restart; what came meanwhile is.
    stopped(child);
    writeln!(OpenOptions::new().append(true).open(&path).unwrap(), "{}", row(6, "4.5")).unwrap();
    let mut command = backfill(&stack, folder.path(), &[watched.to_str().unwrap(), "--watch"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    reaches("what came meanwhile", 6).await;
    // Two looks ten seconds apart at most: then the rubbish is known for what it is.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let words = stopped(child);
    assert_eq!(words.matches("rubbish.bin").count(), 1, "{words}");
    assert!(words.contains("isd-lite"), "the formats that are known: {words}");
    assert_eq!(count(&stack, "duplicate").await, 0);
}

#[tokio::test]
async fn a_door_that_is_away_is_waited_for() {
    let mut stack = Stack::ingest_only(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("station.csv");
    let row = |minutes: i64| format!("W1,{},1.5", Time::now() - minutes * 60);
    fs::write(&path, format!("station,time,temperature\n{}\n", row(9))).unwrap();
    let mut command = backfill(&stack, folder.path(), &[path.to_str().unwrap(), "--watch"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("the first line", || async { count(&stack, "accepted").await == 1 }).await;
    stack.kill(Service::Ingest);
    writeln!(OpenOptions::new().append(true).open(&path).unwrap(), "{}\n{}", row(8), row(7)).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stack.spawn(Service::Ingest);
    stack.ready(Service::Ingest).await;
    eventually("what came while it was away", || async { count(&stack, "accepted").await == 2 }).await;
    let words = stopped(child);
    assert!(words.contains("received 3: accepted 3, duplicates 0"), "{words}");
}

#[tokio::test]
async fn a_parquet_file_is_read_once_it_is_complete() {
    let Some(recordings) = recordings() else {
        eprintln!("SKIPPED: no recordings: set WEATHERGLASS_DATA to a folder with tables/*.parquet");
        return;
    };
    let stack = Stack::ingest_only(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let watched = folder.path().join("watched");
    fs::create_dir(&watched).unwrap();
    let bytes = fs::read(recordings.join("tables/new_york_airports_2013.parquet")).unwrap();
    fs::copy(recordings.join("tables/new_york_airports_2013_stations.csv"), watched.join("new_york_stations.csv"))
        .unwrap();
    let mut command = backfill(&stack, folder.path(), &[watched.to_str().unwrap(), "--watch"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut file = File::create(watched.join("new_york.parquet")).unwrap();
    file.write_all(&bytes[..bytes.len() / 2]).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(count(&stack, "received").await, 0);
    file.write_all(&bytes[bytes.len() / 2..]).unwrap();
    drop(file);
    eventually("all its rows", || async { count(&stack, "rejected").await == 26_115 }).await;
    let words = stopped(child);
    // Recordings of years ago are refused, and it is said why, and where.
    assert!(words.contains("26115 x time: past_retention") && words.contains("new_york.parquet:1,"), "{words}");
    assert!(words.contains("WEATHERGLASS_RETENTION") && words.contains("3 stations registered"), "{words}");
}

#[tokio::test]
async fn files_that_are_none_cost_only_themselves() {
    let stack = Stack::ingest_only(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("good.csv"), table(2, 3, 60)).unwrap();
    fs::write(at("rubbish.bin"), [0xA5; 10_000]).unwrap();
    fs::write(at("cut.parquet"), b"PAR1 and no more").unwrap();
    fs::write(at("columns.csv"), "station,time,latitude\nA,2026-01-01T00:00:00Z,1\n").unwrap();
    fs::write(at("lite.txt"), "2026 01 01 00   -11   -44 10213   290    51     8     0 -9999\n").unwrap();
    // A line of a gigabyte, most of it a hole; then one that is good.
    let mut endless = File::create(at("endless.csv")).unwrap();
    endless.write_all(b"station,time,temperature\n").unwrap();
    endless.set_len(1 << 30).unwrap();
    drop(endless);
    let mut endless = OpenOptions::new().append(true).open(at("endless.csv")).unwrap();
    write!(endless, "\nE1,{},1.5\nE1,{},warm\n", Time::now() - 60, Time::now() - 50).unwrap();
    drop(endless);

    let names = ["good.csv", "rubbish.bin", "cut.parquet", "columns.csv", "lite.txt", "endless.csv"];
    let paths: Vec<String> = names.iter().map(|name| at(name).to_str().unwrap().to_owned()).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let mut command = backfill(&stack, folder.path(), &paths);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        most = most.max(peak.unwrap_or(0_u64));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let output = child.wait_with_output().unwrap();
    let words = said(&output);
    assert!(!output.status.success(), "files that were named can't be read: {words}");
    assert!(most > 0 && most < 200_000, "{most} KiB");
    for part in [
        "rubbish.bin: a file that begins with",
        "cut.parquet: ",
        "columns.csv: ",
        "such as temperature",
        "lite.txt: ",
        "USAF-WBAN-YEAR",
        "accepted 7, duplicates 0, rejected 2",
        "item: too_large",
        "endless.csv:2",
        "temperature: wrong_type",
        "endless.csv:4",
        "4 can't be read",
    ] {
        assert!(words.contains(part), "{part} is not in: {words}");
    }
    assert_eq!(entries(&stack), 7 + number(&words, "4 can't be read,"));
    // In a folder they are only left out.
    fs::remove_file(folder.path().join("state.json")).unwrap();
    let (ok, words) = run(backfill(&stack, folder.path(), &[folder.path().to_str().unwrap()]));
    assert!(ok && words.contains("duplicates 7"), "{words}");
}

#[tokio::test]
async fn keys_are_read_from_a_file_and_a_wrong_one_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    fs::write(&keys, "0123456789abcdef0123456789abcdef\n").unwrap();
    let stack = Stack::ingest_only(&["--auth", &format!("--keys-file={}", keys.display())]).await;
    let file = folder.path().join("good.csv");
    fs::write(&file, table(2, 3, 60)).unwrap();
    let path = file.to_str().unwrap();
    let (ok, words) = run(backfill(&stack, folder.path(), &[path]));
    assert!(!ok && words.contains("401"), "{words}");
    let (ok, words) = run(backfill(&stack, folder.path(), &[path, "--key-file", keys.to_str().unwrap()]));
    assert!(ok && words.contains("accepted 6,"), "{words}");
}
