//! The benches run, and their tables are whole whatever of the references is installed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

use std::path::Path;
use std::process::Command;

fn bench(python: &str) -> Vec<String> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("models/weights");
    let output = Command::new(env!("CARGO_BIN_EXE_weatherglass"))
        .args(["bench", "inference", "--rounds", "1", "--batches", "1,3", "--python", python, "--models"])
        .arg(models)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The row of a batch: network, ONNX Runtime, ratio, mixer, ratio, whole.
fn row(lines: &[String], batch: &str) -> Vec<Option<f64>> {
    let mut rows = lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.first() == Some(&batch) && row.len() == 7).expect("a row");
    row[1..].iter().map(|cell| cell.parse().ok()).collect()
}

#[test]
fn without_python_the_reference_is_skipped_and_that_is_said() {
    let lines = bench("no-such-python");
    assert!(lines[0].starts_with("ONNX Runtime is skipped: no-such-python: "), "{lines:?}");
    for batch in ["1", "3"] {
        let cells = row(&lines, batch);
        assert!(cells[1].is_none() && cells[2].is_none());
        let ours: Vec<f64> = [0, 3, 4, 5].into_iter().map(|at| cells[at].unwrap()).collect();
        assert!(ours.iter().all(|time| *time > 0.0 && time.is_finite()), "{ours:?}");
    }
}

/// Where it is installed it computes the same; a graph that has fallen behind the network is an error.
#[test]
fn onnx_runtime_computes_the_same_where_it_is_installed() {
    let lines = bench("python3");
    if lines[0].starts_with("ONNX Runtime is skipped") {
        return;
    }
    assert!(lines[0].contains("gives the same outputs"), "{lines:?}");
    assert!(row(&lines, "3").iter().all(Option::is_some));
}

/// No figure is judged here: only that every one is measured, and that what is skipped is said.
#[test]
fn the_pipeline_bench_measures_the_real_services_and_writes_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.md");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("models/weights");
    let output = Command::new(env!("CARGO_BIN_EXE_weatherglass"))
        .args(["bench", "pipeline", "--sections", "scale,python", "--stations", "100", "--seconds", "1"])
        .args(["--python", "no-such-python", "--report"])
        .arg(&report)
        .env("WEATHERGLASS_MODELS", models)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(report).unwrap();
    assert!(text.contains("SKIPPED: "), "{text}");
    for what in ["door", "worker", "Redis"] {
        let row = text.lines().find(|line| line.starts_with(&format!("| 100 stations, {what} |"))).expect("a row");
        assert!(row.contains("us/observation") && !row.contains("NaN"), "{row}");
    }
}
