//! The bytes of stream entries: MessagePack maps of a versioned envelope.
//!
//! An entry of `{wg:p}:obs` is
//! `{"v": [major, minor], "received": ms, "observation": {...}, "flags": [suspect, failed]}` or
//! `{"v": ..., "received": ms, "station": {...}}`; of `{wg:p}:forecast`,
//! `{"v": ..., "station", "reference_time", ..., "variables": {name: {"steps": n, "data": bin}}}`,
//! where `data` holds little-endian `i16` by level, then lead, in units of 1/steps.
//! Times are integer seconds. Readers skip names they don't know.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use weather::forecast::{Inputs, PROBABILITY_STEPS};
use weather::{
    Distribution, Flags, Forecast, LEADS, ModelId, Observation, Prediction, QUANTILES, Quantity, Station, StationId,
    Time,
};

/// The version written: a reader accepts every minor of its major.
pub const VERSION: (u8, u8) = (1, 0);

/// Why an entry could not be read. Each kind is also a metric label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a release with a newer format.
    #[error("format {0}.x is newer than this release reads ({major}.x)", major = VERSION.0)]
    Version(u8),
    /// Not an envelope of ours.
    #[error("not a Weatherglass entry: {0}")]
    Malformed(String),
}

impl DecodeError {
    /// The metric label.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Version(_) => "newer_version",
            Self::Malformed(_) => "malformed",
        }
    }
}

/// An observation as it was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// What was observed.
    pub observation: Observation,
    /// What quality control said of it.
    pub flags: Flags,
    /// When ingest had it, milliseconds since 1970.
    pub received: i64,
}

/// What stands in an `obs` stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// An observation.
    Observation(Received),
    /// A station was registered or described anew.
    Station(Station),
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    v: (u8, u8),
    #[serde(default)]
    received: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    observation: Option<Observation>,
    #[serde(default)]
    flags: Flags,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    station: Option<Station>,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: (u8, u8),
}

/// Reads `bytes` as `T`, and tells a newer format from rubbish.
fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8], version: impl Fn(&T) -> (u8, u8)) -> Result<T, DecodeError> {
    let newer = |major| if major > VERSION.0 { Err(DecodeError::Version(major)) } else { Ok(()) };
    match rmp_serde::from_slice::<T>(bytes) {
        Ok(value) => newer(version(&value).0).map(|()| value),
        Err(error) => {
            if let Ok(envelope) = rmp_serde::from_slice::<VersionOnly>(bytes) {
                newer(envelope.v.0)?;
            }
            Err(DecodeError::Malformed(error.to_string()))
        }
    }
}

/// Packing into memory fails only if a `Serialize` is at fault, which the tests would show.
fn write<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap_or_default()
}

/// The fields of an entry that is not ours.
pub(crate) fn pack_foreign<'a>(fields: impl Iterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
    let fields: std::collections::BTreeMap<&str, ByteBuf> =
        fields.map(|(name, value)| (name, ByteBuf::from(value))).collect();
    write(&fields)
}

impl Entry {
    /// The entry's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        write(&match self {
            Self::Observation(r) => Envelope {
                v: VERSION,
                received: r.received,
                observation: Some(r.observation.clone()),
                flags: r.flags,
                station: None,
            },
            Self::Station(station) => Envelope {
                v: VERSION,
                received: 0,
                observation: None,
                flags: Flags::default(),
                station: Some(station.clone()),
            },
        })
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// [`DecodeError`]; never a panic, whatever the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let envelope: Envelope = read(bytes, |e: &Envelope| e.v)?;
        match envelope {
            Envelope { observation: Some(observation), flags, received, .. } => {
                Ok(Self::Observation(Received { observation, flags, received }))
            }
            Envelope { station: Some(station), .. } => Ok(Self::Station(station)),
            _ => Err(DecodeError::Malformed("neither an observation nor a station".to_owned())),
        }
    }

    /// The station it speaks of.
    #[must_use]
    pub const fn station(&self) -> &StationId {
        match self {
            Self::Observation(received) => &received.observation.station,
            Self::Station(station) => &station.id,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct ForecastEnvelope {
    v: (u8, u8),
    station: StationId,
    reference_time: Time,
    issue_time: Time,
    expires: Time,
    model: ModelId,
    inputs: Inputs,
    cause: String,
    revision: u32,
    variables: std::collections::BTreeMap<String, Packed>,
}

/// Numbers as 16-bit steps.
#[derive(Serialize, Deserialize)]
struct Packed {
    steps: f32,
    data: ByteBuf,
}

const PROBABILITY: &str = "precipitation_probability";
const DIRECTION: &str = "wind_direction";

impl Packed {
    fn new<'a>(steps: f32, rows: impl Iterator<Item = &'a [f32; LEADS]>) -> Self {
        #[allow(clippy::cast_possible_truncation)] // `as` saturates, and the domain keeps values in range
        let data = rows.flatten().flat_map(|v| ((v * steps).round() as i16).to_le_bytes()).collect::<Vec<u8>>();
        Self { steps, data: ByteBuf::from(data) }
    }

    fn rows<const N: usize>(&self) -> Result<Box<[[f32; LEADS]; N]>, DecodeError> {
        if self.data.len() != N * LEADS * 2 || self.steps <= 0.0 {
            return Err(DecodeError::Malformed(format!("{} bytes of numbers for {N} x {LEADS}", self.data.len())));
        }
        let mut rows = Box::new([[0.0; LEADS]; N]);
        for (value, bytes) in rows.iter_mut().flatten().zip(self.data.chunks_exact(2)) {
            *value = f32::from(i16::from_le_bytes([bytes[0], bytes[1]])) / self.steps;
        }
        Ok(rows)
    }

    fn row(&self) -> Result<Box<[f32; LEADS]>, DecodeError> {
        self.rows::<1>().map(|rows| Box::new(rows[0]))
    }
}

/// The bytes of a forecast.
#[must_use]
pub fn encode_forecast(forecast: &Forecast) -> Vec<u8> {
    let prediction = &forecast.prediction;
    let mut variables = std::collections::BTreeMap::new();
    for quantity in Quantity::ALL {
        if let Some(distribution) = prediction.get(quantity) {
            let rows = (0..QUANTILES.len()).map(|level| distribution.level(level));
            variables.insert(quantity.name().to_owned(), Packed::new(quantity.steps(), rows));
        }
    }
    if let Some(row) = &prediction.precipitation_probability {
        variables.insert(PROBABILITY.to_owned(), Packed::new(PROBABILITY_STEPS, std::iter::once(&**row)));
    }
    if let Some(row) = &prediction.wind_direction {
        variables.insert(DIRECTION.to_owned(), Packed::new(1.0, std::iter::once(&**row)));
    }
    write(&ForecastEnvelope {
        v: VERSION,
        station: forecast.station.clone(),
        reference_time: forecast.reference_time,
        issue_time: forecast.issue_time,
        expires: forecast.expires,
        model: forecast.model.clone(),
        inputs: forecast.inputs,
        cause: forecast.cause.clone(),
        revision: forecast.revision,
        variables,
    })
}

/// Reads a forecast.
///
/// # Errors
/// [`DecodeError`]; never a panic, whatever the bytes.
pub fn decode_forecast(bytes: &[u8]) -> Result<Forecast, DecodeError> {
    let envelope: ForecastEnvelope = read(bytes, |e: &ForecastEnvelope| e.v)?;
    let mut prediction = Prediction::default();
    for (name, packed) in &envelope.variables {
        match name.as_str() {
            PROBABILITY => prediction.precipitation_probability = Some(packed.row()?),
            DIRECTION => prediction.wind_direction = Some(packed.row()?),
            // A quantity that a newer minor version added is skipped.
            other => {
                if let Some(quantity) = Quantity::from_name(other) {
                    prediction.distributions[quantity as usize] = Distribution::new(quantity, packed.rows()?);
                }
            }
        }
    }
    Ok(Forecast {
        station: envelope.station,
        reference_time: envelope.reference_time,
        issue_time: envelope.issue_time,
        expires: envelope.expires,
        model: envelope.model,
        inputs: envelope.inputs,
        cause: envelope.cause,
        revision: envelope.revision,
        prediction,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weather::Variable;

    fn received() -> Entry {
        let observation = Observation {
            station: StationId::new("X1").unwrap(),
            time: Time::from_unix(1_790_000_000),
            values: [(Variable::Temperature, 12.3)].into_iter().collect(),
            source: None,
        };
        let mut flags = Flags::default();
        flags.suspect.insert(Variable::Temperature);
        Entry::Observation(Received { observation, flags, received: 7 })
    }

    fn forecast() -> Forecast {
        let rows = Box::new(std::array::from_fn(|l| std::array::from_fn(|h| (l * 10 + h) as f32 / 10.0)));
        let mut prediction = Prediction::default();
        prediction.distributions[0] = Distribution::new(Quantity::Temperature, rows);
        prediction.precipitation_probability = Some(Box::new([0.125; LEADS]));
        prediction.wind_direction = Some(Box::new([360.0; LEADS]));
        Forecast {
            station: StationId::new("X1").unwrap(),
            reference_time: Time::from_unix(0),
            issue_time: Time::from_unix(1),
            expires: Time::from_unix(2),
            model: ModelId { name: "m".into(), version: "1".into() },
            inputs: Inputs { age_seconds: 1, missing_share: 0.5 },
            cause: "1-0".into(),
            revision: 3,
            prediction,
        }
    }

    #[test]
    fn entries_round_trip() {
        assert_eq!(Entry::decode(&received().encode()), Ok(received()));
        let station = Entry::Station(Station::unregistered(StationId::new("X1").unwrap()));
        assert_eq!(Entry::decode(&station.encode()), Ok(station));
    }

    #[test]
    fn forecasts_round_trip_and_are_small() {
        let bytes = encode_forecast(&forecast());
        assert_eq!(decode_forecast(&bytes).unwrap(), forecast());
        assert!(bytes.len() < 1500, "{} bytes for one quantity", bytes.len());
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_is_an_error_or_a_value_and_never_a_panic() {
        for bytes in [received().encode(), encode_forecast(&forecast())] {
            for at in 0..bytes.len() {
                let _ = (Entry::decode(&bytes[..at]), decode_forecast(&bytes[..at]));
                let mut flipped = bytes.clone();
                flipped[at] ^= 0xff;
                let _ = (Entry::decode(&flipped), decode_forecast(&flipped));
            }
        }
    }

    #[test]
    fn a_newer_minor_is_read_and_a_newer_major_is_named() {
        #[derive(Serialize)]
        struct Newer {
            v: (u8, u8),
            station: Station,
            colour: &'static str,
        }
        let station = Station::unregistered(StationId::new("X1").unwrap());
        let minor = write(&Newer { v: (1, 9), station: station.clone(), colour: "blue" });
        assert_eq!(Entry::decode(&minor), Ok(Entry::Station(station.clone())));
        let major = write(&Newer { v: (2, 0), station, colour: "blue" });
        assert_eq!(Entry::decode(&major), Err(DecodeError::Version(2)));
        let other = rmp_serde::to_vec_named(&std::collections::BTreeMap::from([("v", (3, 0))])).unwrap();
        assert_eq!(Entry::decode(&other), Err(DecodeError::Version(3)));
        assert!(matches!(Entry::decode(b"hello"), Err(DecodeError::Malformed(_))));
    }
}
