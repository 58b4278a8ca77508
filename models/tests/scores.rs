//! Our scores against those of the Python package `scores`, where it is installed.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has failed

use std::process::Command;

use models::scores;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Reads the cases of `main` below and prints one number per line, in the same order.
const SCRIPT: &str = r#"
import json, sys
import numpy as np
import xarray as xr
from scores.continuous import additive_bias, interval_score, mae, quantile_score, rmse
from scores.probability import brier_score, crps_for_ensemble

array = lambda values: xr.DataArray(np.asarray(values, float), dims="case")
data = json.load(sys.stdin)
f, y = array(data["forecast"]), array(data["observed"])
members = xr.DataArray(np.asarray(data["members"]), dims=("case", "member"))
results = [mae(f, y), rmse(f, y), additive_bias(f, y)]
results += [quantile_score(f, y, level) for level in data["levels"]]
results.append(interval_score(f, f + array(data["width"]), y, 0.8).total)
results.append(crps_for_ensemble(members, y, "member", method="ecdf"))
results.append(crps_for_ensemble(members, y, "member", method="fair"))
results.append(brier_score(array(data["chance"]), array(data["happened"])))
results.append(mae(array(data["from"]), array(data["to"]), is_angular=True))
for result in results:
    print(float(result))
"#;

const CASES: usize = 60;
const LEVELS: [f64; 4] = [0.05, 0.25, 0.5, 0.9];

struct Drawn {
    forecast: Vec<f64>,
    observed: Vec<f64>,
    width: Vec<f64>,
    members: Vec<Vec<f64>>,
    chance: Vec<f64>,
    happened: Vec<bool>,
    from: Vec<f64>,
    to: Vec<f64>,
}

fn draw() -> Drawn {
    let mut rng = StdRng::seed_from_u64(11);
    let mut list = |low: f64, high: f64| (0..CASES).map(|_| rng.random_range(low..high)).collect::<Vec<f64>>();
    Drawn {
        forecast: list(-20.0, 30.0),
        observed: list(-20.0, 30.0),
        width: list(0.0, 25.0),
        members: (0..CASES).map(|_| list(-20.0, 30.0)[..7].to_vec()).collect(),
        chance: list(0.0, 1.0),
        happened: list(0.0, 1.0).iter().map(|v| *v < 0.3).collect(),
        from: list(0.0, 360.0),
        to: list(0.0, 360.0),
    }
}

fn ours(d: &Drawn) -> Vec<f64> {
    let pairs: Vec<(f64, f64)> = d.forecast.iter().copied().zip(d.observed.iter().copied()).collect();
    let deviation = scores::deviation(&pairs).unwrap();
    let mut found = vec![deviation.mae, deviation.rmse, deviation.bias];
    let average = |of: &dyn Fn(usize) -> f64| scores::mean((0..CASES).map(of)).unwrap();
    found.extend(LEVELS.map(|level| average(&|i| scores::pinball(level, d.forecast[i], d.observed[i]))));
    let interval = |i: usize| scores::interval(0.2, d.forecast[i], d.forecast[i] + d.width[i], d.observed[i]);
    found.push(average(&interval));
    found.push(average(&|i| scores::crps_ensemble(&d.members[i], d.observed[i]).unwrap()));
    found.push(average(&|i| scores::fair_crps_ensemble(&d.members[i], d.observed[i]).unwrap()));
    let chances: Vec<(f64, bool)> = d.chance.iter().copied().zip(d.happened.iter().copied()).collect();
    found.push(scores::brier(&chances).unwrap());
    found.push(average(&|i| scores::angle(d.from[i], d.to[i])));
    found
}

#[test]
fn our_scores_are_those_of_the_scores_package() {
    let python = |script: &str| Command::new("python3").args(["-c", script]).output();
    if !python("import scores, xarray").is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: python3 cannot import `scores`: pip install scores, to compare with it");
        return;
    }
    let drawn = draw();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.json");
    let cases = serde_json::json!({
        "forecast": drawn.forecast, "observed": drawn.observed, "width": drawn.width, "members": drawn.members,
        "chance": drawn.chance, "happened": drawn.happened.iter().map(|h| u8::from(*h)).collect::<Vec<_>>(),
        "from": drawn.from, "to": drawn.to, "levels": LEVELS,
    });
    std::fs::write(&path, cases.to_string()).unwrap();
    let output =
        Command::new("python3").args(["-c", SCRIPT]).stdin(std::fs::File::open(&path).unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Vec<f64> = String::from_utf8(output.stdout).unwrap().lines().map(|l| l.parse().unwrap()).collect();
    let ours = ours(&drawn);
    assert_eq!(ours.len(), theirs.len());
    for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert!((ours - theirs).abs() < 1e-4, "score {index}: {ours}, scores says {theirs}");
    }
}
