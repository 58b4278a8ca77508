//! The committed version: it loads, answers anything, always the same, and refuses damage.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has failed

use std::fs;
use std::path::{Path, PathBuf};

use models::{BackendKind, Forecaster, Input, LoadError, Output};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use weather::{
    Flags, LEADS, Observation, QUANTILES, Quantity, Station, StationId, Time, Values, Variable, VariableSet, Window,
};

fn weights() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("weights")
}

fn forecaster() -> Forecaster {
    Forecaster::load_newest(&weights(), BackendKind::Flex).unwrap()
}

fn station() -> Station {
    let mut station = Station::unregistered(StationId::new("T").unwrap());
    (station.latitude, station.longitude, station.elevation) = (Some(47.0), Some(19.0), Some(100.0));
    station
}

fn observation(time: i64, values: &[(Variable, f32)]) -> Observation {
    let values: Values = values.iter().copied().collect();
    Observation { station: StationId::new("T").unwrap(), time: Time::from_unix(time), values, source: None }
}

/// A plausible window that reports every `cadence` seconds for `hours`.
fn window(hours: i64, cadence: i64) -> Window {
    let mut window = Window::default();
    for time in (0..=hours * 3600).step_by(cadence as usize) {
        let phase = time as f32 / 86_400.0 * std::f32::consts::TAU;
        let values = [
            (Variable::Temperature, 10.0 + 5.0 * phase.sin()),
            (Variable::RelativeHumidity, 70.0),
            (Variable::PressureStation, 1000.0),
            (Variable::WindSpeed, 4.0),
            (Variable::WindDirection, 200.0),
            (Variable::Precipitation, 0.0),
        ];
        window.apply(&observation(1_790_000_000 + time, &values), Flags::default());
    }
    window
}

#[track_caller]
fn is_sound(output: &Output) {
    assert!((0.0..=1.0).contains(&output.missing_share));
    for quantity in Quantity::ALL {
        let Some(distribution) = output.prediction.get(quantity) else {
            continue;
        };
        for lead in 0..LEADS {
            let levels: Vec<f32> = (0..QUANTILES.len()).map(|l| distribution.level(l)[lead]).collect();
            assert!(levels.iter().all(|v| v.is_finite()) && levels.is_sorted(), "{quantity:?} {levels:?}");
        }
    }
    let directions = output.prediction.wind_direction.iter().flat_map(|d| d.iter());
    assert!(directions.clone().all(|d| *d > 0.0 && *d <= 360.0));
    let chances = output.prediction.precipitation_probability.iter().flat_map(|d| d.iter());
    assert!(chances.clone().all(|p| (0.0..=1.0).contains(p)));
}

fn one(forecaster: &mut Forecaster, window: &Window, station: &Station) -> Output {
    let output = forecaster.predict(&[Input { window, station }]).pop().unwrap();
    is_sound(&output);
    output
}

#[test]
fn a_usual_window_gets_everything() {
    let output = one(&mut forecaster(), &window(95, 3600), &station());
    assert!(Quantity::ALL.into_iter().all(|q| output.prediction.get(q).is_some()));
    assert!(output.prediction.wind_direction.is_some() && output.prediction.weather_code().is_some());
    assert!(output.missing_share < 0.01);
    let temperature = output.prediction.get(Quantity::Temperature).unwrap();
    assert!(temperature.median().iter().all(|t| (0.0..22.0).contains(t)), "{:?}", temperature.median());
}

#[test]
fn a_first_report_gets_a_wider_forecast() {
    let mut forecaster = forecaster();
    let first = one(&mut forecaster, &window(0, 3600), &station());
    let full = one(&mut forecaster, &window(95, 3600), &station());
    let width = |o: &Output| {
        let t = o.prediction.get(Quantity::Temperature).unwrap();
        (0..LEADS).map(|l| t.level(6)[l] - t.level(0)[l]).sum::<f32>()
    };
    assert!(width(&first) > width(&full), "{} {}", width(&first), width(&full));
    assert!(first.missing_share > 0.9);
}

#[test]
fn three_hours_of_history_are_enough_to_begin_with() {
    let mut forecaster = forecaster();
    for cadence in [600, 3600] {
        let short = one(&mut forecaster, &window(3, cadence), &station());
        let full = one(&mut forecaster, &window(95, cadence), &station());
        for quantity in Quantity::ALL {
            assert!(short.prediction.get(quantity).is_some(), "{quantity:?} every {cadence} s");
        }
        let width = |o: &Output, lead: usize| {
            let t = o.prediction.get(Quantity::Temperature).unwrap();
            t.level(5)[lead - 1] - t.level(1)[lead - 1]
        };
        for lead in [6, 12, 24, 48] {
            let (short, full) = (width(&short, lead), width(&full, lead));
            assert!(short > full && short < 20.0, "every {cadence} s, {lead} h: {short} and {full}");
        }
    }
}

#[test]
fn what_has_no_anchor_is_absent() {
    let mut w = Window::default();
    w.apply(&observation(0, &[(Variable::PressureStation, 900.0)]), Flags::default());
    let unknown = Station::unregistered(StationId::new("T").unwrap());
    let output = one(&mut forecaster(), &w, &unknown);
    assert!(output.prediction.get(Quantity::Temperature).is_none());
    assert!(output.prediction.get(Quantity::PressureMsl).is_none(), "no elevation");
    assert!(output.prediction.get(Quantity::Precipitation).is_some());
    let output = one(&mut forecaster(), &w, &station());
    assert!(output.prediction.get(Quantity::PressureMsl).is_some());
}

#[test]
fn nothing_panics_on_odd_windows() {
    let mut forecaster = forecaster();
    let mut rng = StdRng::seed_from_u64(1);
    let empty = one(&mut forecaster, &Window::default(), &station());
    assert_eq!((empty.prediction, empty.missing_share), (weather::Prediction::default(), 1.0));
    assert!(forecaster.predict(&[]).is_empty());
    for round in 0..150 {
        let mut w = Window::default();
        let mut time = rng.random_range(-4_000_000_000_i64..8_000_000_000);
        for _ in 0..rng.random_range(1..60) {
            time += [1, 60, 600, 3600, 10_800, 100_000][rng.random_range(0..6)];
            let values: Vec<(Variable, f32)> = Variable::ALL.into_iter().map(|v| (v, odd(v, &mut rng))).collect();
            let failed = VariableSet::from_bits(if rng.random_bool(0.3) { rng.random() } else { 0 });
            w.apply(&observation(time, &values), Flags::untold(VariableSet::EMPTY, failed));
        }
        let mut place = station();
        place.latitude = [Some(90.0), Some(-90.0), None, Some(0.0)][round % 4];
        place.longitude = place.latitude.map(|_| 180.0);
        place.elevation = [None, Some(9000.0), Some(-500.0)][round % 3];
        place.timezone = ["Asia/Kathmandu", "Not/AZone"].get(round % 5).map(|z| (*z).to_owned());
        one(&mut forecaster, &w, &place);
    }
}

/// Absent, a limit, or anything between; sometimes what should never have got in.
fn odd(variable: Variable, rng: &mut StdRng) -> f32 {
    let spec = variable.spec();
    match rng.random_range(0..8) {
        0 => spec.minimum,
        1 => spec.maximum,
        2 => [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, -0.0][rng.random_range(0..5)],
        3..5 => f32::NAN,
        _ => rng.random_range(spec.minimum..=spec.maximum),
    }
}

#[test]
fn minutes_and_three_hours_are_both_served() {
    let mut forecaster = forecaster();
    for cadence in [60, 600, 1234, 10_800] {
        let output = one(&mut forecaster, &window(90, cadence), &station());
        assert!(output.prediction.get(Quantity::Temperature).is_some(), "every {cadence} s");
        assert!(output.missing_share < 0.7);
    }
}

#[test]
fn a_forecast_does_not_depend_on_its_company() {
    let mut forecaster = forecaster();
    let place = station();
    let windows: Vec<Window> = (0..70).map(|hours| window(hours, 3600)).collect();
    let inputs: Vec<Input<'_>> = windows.iter().map(|window| Input { window, station: &place }).collect();
    let alone: Vec<Output> = inputs.iter().flat_map(|input| forecaster.predict(&[*input])).collect();
    for size in (1..=64).chain([70]) {
        let first = (size * 7) % (inputs.len() - size + 1);
        let together = forecaster.predict(&inputs[first..first + size]);
        assert_eq!(together, alone[first..first + size], "batch of {size}");
    }
}

#[test]
fn both_backends_agree() {
    let (place, w) = (station(), window(95, 3600));
    let flex = one(&mut forecaster(), &w, &place);
    let mut other = Forecaster::load_newest(&weights(), BackendKind::NdArray).unwrap();
    let ndarray = one(&mut other, &w, &place);
    for quantity in Quantity::ALL {
        let (a, b) = (flex.prediction.get(quantity).unwrap(), ndarray.prediction.get(quantity).unwrap());
        let near = |(x, y): (&f32, &f32)| (x - y).abs() < 0.06;
        assert!(a.median().iter().zip(b.median()).all(near), "{quantity:?}");
    }
}

/// A copy of the newest version, to be damaged.
fn copy() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let newest = models::versions(&weights()).into_iter().rfind(|v| v.id.name == models::DEFAULT_MODEL).unwrap().folder;
    let to = folder.path().join("weatherglass/1");
    fs::create_dir_all(&to).unwrap();
    for file in fs::read_dir(newest).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    (folder, to)
}

fn refusal(version: &Path) -> LoadError {
    Forecaster::load(version, BackendKind::Flex).err().expect("it must be refused")
}

#[test]
fn a_flipped_bit_and_a_cut_file_are_refused() {
    let (_folder, version) = copy();
    let weights = version.join("weights.bpk");
    let good = fs::read(&weights).unwrap();
    assert!(good.len() < 16_000_000);
    for at in [0, 100, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&weights, bad).unwrap();
        assert!(matches!(refusal(&version), LoadError::Checksum { .. }), "bit at {at}");
    }
    fs::write(&weights, &good[..good.len() - 1]).unwrap();
    assert!(matches!(refusal(&version), LoadError::Checksum { .. }));
    fs::remove_file(&weights).unwrap();
    assert!(matches!(refusal(&version), LoadError::Io { .. }));
}

#[test]
fn another_architecture_is_refused() {
    let (_folder, version) = copy();
    let manifest = version.join("manifest.toml");
    let good = fs::read_to_string(&manifest).unwrap();
    let change = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        fs::write(&manifest, good.replacen(from, to, 1)).unwrap();
        refusal(&version)
    };
    assert!(matches!(change("features = \"hourly", "features = \"daily"), LoadError::Architecture { .. }));
    assert!(matches!(change("encoder_inputs = ", "encoder_inputs = 1"), LoadError::Architecture { .. }));
    assert!(matches!(change("latent = ", "latent = 1"), LoadError::Weights { .. }));
    assert!(matches!(change("version = ", "vision = "), LoadError::Manifest { .. }));
    let error = change("weights_sha256 = \"", "weights_sha256 = \"0");
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[test]
fn an_empty_folder_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = Forecaster::load_newest(folder.path(), BackendKind::Flex).err().unwrap();
    assert!(matches!(error, LoadError::NoVersion { .. }) && error.to_string().contains("weatherglass train"));
}
