//! The made-up network as a command: histories in files, and reports to the real door.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use stack::{Service, Stack, eventually};

fn weatherglass(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
    let output = command.args(arguments).env("WEATHERGLASS_LOG", "warn").output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn write(folder: &Path, name: &str, more: &[&str]) -> (String, String) {
    let (output, truth) = (folder.join(name), folder.join(format!("{name}.truth.csv")));
    let (output, truth) = (output.to_str().unwrap().to_owned(), truth.to_str().unwrap().to_owned());
    let common = ["simulate", "--stations=40", "--interval=600", "--faults=all", "--fault-share=0.6", "--gaps=0.05"];
    let (ok, said) = weatherglass(&[&common[..], &["--output", &output, "--truth", &truth], more].concat());
    assert!(ok, "{said}");
    (output, truth)
}

async fn count(stack: &Stack, name: &str, label: &str) -> u64 {
    stack.metric(Service::Ingest, &format!("weatherglass_ingest_{name}_observations_total"), label).await as u64
}

#[tokio::test]
async fn a_history_is_written_again_as_it_was_and_goes_through_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let range = ["--from=2026-05-01", "--to=2026-05-03"];
    let (first, truth) = write(folder.path(), "first.ndjson", &range);
    let (second, again) = write(folder.path(), "second.ndjson", &range);
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());
    let planted = fs::read_to_string(&truth).unwrap();
    assert!(planted == fs::read_to_string(&again).unwrap());
    assert!(planted.starts_with("station,variable,from,to,kind,amount\n"), "{planted}");
    for kind in ["stuck", "spike", "drift", "unit", "clock", "duplicate", "late", "gap"] {
        assert!(planted.contains(&format!(",{kind},")), "no {kind}");
    }
    let (other, _) = write(folder.path(), "other.ndjson", &["--from=2026-05-01", "--to=2026-05-03", "--seed=2"]);
    assert!(fs::read(&first).unwrap() != fs::read(&other).unwrap());

    let stack = Stack::ingest_only(&[]).await;
    let (recent, _) = write(folder.path(), "recent.ndjson", &["--history=24"]);
    let lines = fs::read_to_string(&recent).unwrap().lines().count() as u64;
    let state = folder.path().join("state.json");
    let url = stack.url(Service::Ingest);
    let (ok, said) = weatherglass(&["backfill", &recent, "--url", &url, "--state", state.to_str().unwrap()]);
    assert!(ok && said.contains(&format!("received {lines}:")) && said.contains("40 stations registered"), "{said}");
    // Inches of mercury are none of hPa: such a line does not even reach the door.
    let refused =
        said.split(" x pressure_msl: out_of_range").next().and_then(|s| s.rsplit(' ').next()?.parse::<u64>().ok());
    assert_eq!(count(&stack, "received", "").await + refused.unwrap(), lines, "{said}");
    assert!(count(&stack, "duplicate", "").await > 0, "reports sent twice: {said}");
}

#[tokio::test]
async fn a_network_reports_at_its_rate() {
    let stack = Stack::ingest_only(&[]).await;
    let url = stack.url(Service::Ingest);
    let (ok, said) = weatherglass(&["simulate", "--url", &url, "--stations=10", "--rate=11"]);
    assert!(!ok && said.contains("--stations 11"), "{said}");
    let (ok, said) = weatherglass(&["simulate", "--faults=stuck,broken"]);
    assert!(!ok && said.contains("`broken` is none of stuck"), "{said}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
    command.args(["simulate", "--url", &url, "--stations=400", "--rate=100", "--history=0"]);
    command.args(["--area=-40,140,-30,150"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // Everyone reports at once at the start; from then on a hundred a second.
    eventually("first reports", || async { count(&stack, "accepted", "").await >= 400 }).await;
    let before = count(&stack, "accepted", "").await;
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    let more = count(&stack, "accepted", "").await - before;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!((350..=900).contains(&more), "{more} in six seconds");
    let redis = stack.connect_redis().await;
    let station = redis.stations(&[weather::StationId::new("SIM-400").unwrap()]).await.unwrap();
    let (latitude, longitude) = station[0].as_ref().unwrap().position().unwrap();
    assert!((-40.0..=-30.0).contains(&latitude) && (140.0..=150.0).contains(&longitude));
}
