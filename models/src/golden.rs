//! A fixed input and what the network said to it when the version was made.
//!
//! A checksum holds the file to the manifest; this holds the computation to the file: another
//! backend, another release of Burn or other features must still give the same numbers.

use burn::tensor::Device;
use weather::time::HOUR;
use weather::{Flags, LEADS, Sample, Station, StationId, Time, Values, Variable, VariableSet};

use crate::features::{ALL_LEADS, ENCODER, Past};
use crate::network::{DISTRIBUTIONS, Ensemble, LEVELS, SINGLES};
use crate::run;

/// How far outputs may lie from the recorded ones, in the network's units (1 is about 5 °C):
/// backends add in different orders.
const TOLERANCE: f32 = 1e-3;

/// Two made-up stations: one with everything, one that just began and has no position.
pub(crate) fn input() -> (Vec<f32>, Vec<f32>) {
    let mut encoder = vec![0.0; 2 * ENCODER];
    let mut leads = vec![0.0; 2 * ALL_LEADS];
    let Ok(id) = StationId::new("golden") else {
        return (encoder, leads);
    };
    let mut station = Station::unregistered(id);
    for (index, hours) in [1, 96].into_iter().enumerate() {
        let samples = samples(hours);
        let reference = samples.last().map_or(Time::default(), |s| s.time);
        let past = Past::new(&samples, reference, &station, VariableSet::EMPTY);
        past.fill(
            &station,
            &mut encoder[index * ENCODER..(index + 1) * ENCODER],
            &mut leads[index * ALL_LEADS..(index + 1) * ALL_LEADS],
        );
        (station.latitude, station.longitude, station.elevation) = (Some(47.5), Some(19.0), Some(120.0));
    }
    (encoder, leads)
}

#[allow(clippy::cast_precision_loss)] // at most 96
fn samples(hours: i64) -> Vec<Sample> {
    let made_up = |age: i64| {
        let phase = (96 - age) as f32 * std::f32::consts::TAU / 24.0;
        let values: Values = [
            (Variable::Temperature, 12.0 + 6.0 * phase.sin()),
            (Variable::DewPoint, 6.0 + phase.cos()),
            (Variable::PressureMsl, 1012.0 + 0.1 * (96 - age) as f32),
            (Variable::WindSpeed, 4.0 + 2.0 * phase.cos()),
            (Variable::WindDirection, 180.0 + age as f32),
            (Variable::WindGust, 8.0 + 2.0 * phase.cos()),
            (Variable::Precipitation, if age % 7 == 0 { 0.4 } else { 0.0 }),
        ]
        .into_iter()
        .collect();
        let time = Time::from_unix(1_780_000_000 - age * HOUR);
        Sample { time, values, flags: Flags::default(), revision: 0 }
    };
    (0..hours).rev().map(made_up).collect()
}

fn output(network: &Ensemble, device: &Device) -> Vec<f32> {
    let (encoder, leads) = input();
    let (mut quantiles, singles) = run::network(network, encoder, leads, device);
    quantiles.extend(singles);
    quantiles
}

/// The golden file: the outputs, little-endian f32.
pub(crate) fn make(network: &Ensemble, device: &Device) -> Vec<u8> {
    output(network, device).iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Whether the network still says what the file holds.
///
/// # Errors
/// The largest difference; infinite when there is none to take.
pub(crate) fn check(golden: &[u8], network: &Ensemble, device: &Device) -> Result<(), f32> {
    let (expected, rest) = golden.as_chunks::<4>();
    let found = output(network, device);
    if !rest.is_empty()
        || expected.len() != found.len()
        || found.len() != 2 * LEADS * (DISTRIBUTIONS * LEVELS + SINGLES)
    {
        return Err(f32::INFINITY);
    }
    let differences = expected.iter().zip(&found).map(|(e, f)| (f32::from_le_bytes(*e) - f).abs());
    // Not `max`, which would let NaN pass.
    let largest = differences.fold(0.0, |largest: f32, d| if d <= largest { largest } else { d });
    if largest <= TOLERANCE { Ok(()) } else { Err(largest) }
}
