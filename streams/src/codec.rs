//! The bytes of stream entries: MessagePack maps of a versioned envelope.
//!
//! An entry of `{wg:p}:obs` is
//! `{"v": [major, minor], "received": ms, "observation": {...}, "flags": [suspect, failed]}` or
//! `{"v": ..., "received": ms, "station": {...}}`, with `"removed": true` if the station is one no more
//! (a reader that does not know the name takes it for a private one, and hides it); of `{wg:p}:forecast`,
//! `{"v": ..., "station", "reference_time", ..., "variables": {name: {"steps": n, "data": bin}}}`,
//! where `data` holds little-endian `i16` by level, then lead, in units of 1/steps.
//! Times are integer seconds. Readers skip names they don't know.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
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

impl Received {
    /// The bytes of its entry.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { observation, flags, received } = self;
        let wrapped =
            Wrapped { received: *received, observation: Some(observation), flags: *flags, ..Wrapped::empty() };
        write(&wrapped, ENTRY_ROOM)
    }
}

/// What stands in an `obs` stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// An observation.
    Observation(Received),
    /// A station was registered or described anew.
    Station(Station),
    /// A station is no more: all that is known of it is to be forgotten.
    Removed(StationId),
}

/// An [`Envelope`] that borrows: nothing is copied to be written.
#[derive(Serialize)]
struct Wrapped<'a> {
    v: (u8, u8),
    received: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    observation: Option<&'a Observation>,
    flags: Flags,
    #[serde(skip_serializing_if = "Option::is_none")]
    station: Option<&'a Station>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
}

impl Wrapped<'_> {
    fn empty() -> Self {
        Self { v: VERSION, received: 0, observation: None, flags: Flags::default(), station: None, removed: false }
    }
}

#[derive(Deserialize)]
struct Envelope {
    v: (u8, u8),
    #[serde(default)]
    received: i64,
    #[serde(default)]
    observation: Option<Observation>,
    #[serde(default)]
    flags: Flags,
    #[serde(default)]
    station: Option<Station>,
    #[serde(default)]
    removed: bool,
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

/// Room for an observation's entry, which has about 200 bytes, and for a forecast's, with 4.4 kB:
/// bytes that grow as they are written are moved half a dozen times.
const ENTRY_ROOM: usize = 320;
const FORECAST_ROOM: usize = 4800;

/// Packing into memory fails only if a `Serialize` is at fault, which the tests would show.
fn write<T: Serialize>(value: &T, room: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(room);
    match rmp_serde::encode::write_named(&mut bytes, value) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}

/// The fields of an entry that is not ours.
pub(crate) fn pack_foreign(fields: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let fields: std::collections::BTreeMap<String, ByteBuf> =
        fields.map(|(name, value)| (name, ByteBuf::from(value))).collect();
    write(&fields, 64)
}

impl Entry {
    /// The entry's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Observation(received) => received.encode(),
            Self::Station(station) => write(&Wrapped { station: Some(station), ..Wrapped::empty() }, ENTRY_ROOM),
            Self::Removed(id) => {
                // For readers that know no removal: they hide a station that is private.
                let hidden = Station { public: false, ..Station::unregistered(id.clone()) };
                write(&Wrapped { station: Some(&hidden), removed: true, ..Wrapped::empty() }, ENTRY_ROOM)
            }
        }
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
            Envelope { station: Some(station), removed: true, .. } => Ok(Self::Removed(station.id)),
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
            Self::Removed(id) => id,
        }
    }
}

#[derive(Serialize)]
struct WrappedForecast<'a> {
    v: (u8, u8),
    station: &'a StationId,
    reference_time: Time,
    issue_time: Time,
    expires: Time,
    model: &'a ModelId,
    inputs: Inputs,
    cause: &'a str,
    revision: u32,
    variables: Variables<'a>,
}

/// The numbers of a prediction, packed as they are written.
struct Variables<'a>(&'a Prediction);

#[derive(Deserialize)]
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

/// Numbers as 16-bit steps, to be written.
#[derive(Serialize)]
struct Steps<'a> {
    steps: f32,
    data: &'a serde_bytes::Bytes,
}

/// Numbers as 16-bit steps.
#[derive(Deserialize)]
struct Packed {
    steps: f32,
    data: ByteBuf,
}

const PROBABILITY: &str = "precipitation_probability";
const DIRECTION: &str = "wind_direction";
/// Everything that a forecast may hold numbers of.
const NAMES: [&str; 8] =
    ["dew_point", "precipitation", PROBABILITY, "pressure_msl", "temperature", DIRECTION, "wind_gust", "wind_speed"];

impl Serialize for Variables<'_> {
    /// In the order of their names, as they have always been.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Prediction { distributions, wind_direction, precipitation_probability } = self.0;
        let quantities = distributions.iter().flatten().count();
        let length =
            quantities + usize::from(wind_direction.is_some()) + usize::from(precipitation_probability.is_some());
        let mut map = serializer.serialize_map(Some(length))?;
        let mut scratch = [0; QUANTILES.len() * LEADS * 2];
        for name in NAMES {
            let (steps, length) = match (name, Quantity::from_name(name)) {
                (_, Some(quantity)) => {
                    let Some(distribution) = self.0.get(quantity) else { continue };
                    let steps = quantity.steps();
                    for (level, part) in scratch.chunks_exact_mut(LEADS * 2).enumerate() {
                        pack(distribution.level(level), steps, part);
                    }
                    (steps, scratch.len())
                }
                (_, None) => {
                    let (steps, row) = match name {
                        PROBABILITY => (PROBABILITY_STEPS, precipitation_probability),
                        _ => (1.0, wind_direction),
                    };
                    let Some(row) = row else { continue };
                    pack(row, steps, &mut scratch);
                    (steps, LEADS * 2)
                }
            };
            map.serialize_entry(name, &Steps { steps, data: serde_bytes::Bytes::new(&scratch[..length]) })?;
        }
        map.end()
    }
}

/// Numbers as little-endian steps, rounded to the nearest.
fn pack(row: &[f32; LEADS], steps: f32, out: &mut [u8]) {
    // Added to a number this small, 1.5 x 2^23 leaves its whole part in the lowest bits: three plain
    // operations that go eight numbers at a time, where `round` and `as` are calls and branches.
    const SHIFT: f32 = 12_582_912.0;
    for (value, bytes) in row.iter().zip(out.as_chunks_mut::<2>().0) {
        let shifted = (value * steps).clamp(f32::from(i16::MIN), f32::from(i16::MAX)) + SHIFT;
        #[allow(clippy::cast_possible_truncation)] // the lowest bits are what is wanted
        let whole = shifted.to_bits() as u16;
        *bytes = whole.to_le_bytes();
    }
}

impl Packed {
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
    write(
        &WrappedForecast {
            v: VERSION,
            station: &forecast.station,
            reference_time: forecast.reference_time,
            issue_time: forecast.issue_time,
            expires: forecast.expires,
            model: &forecast.model,
            inputs: forecast.inputs,
            cause: &forecast.cause,
            revision: forecast.revision,
            variables: Variables(&forecast.prediction),
        },
        FORECAST_ROOM,
    )
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
    fn a_release_that_knows_no_removal_hides_the_station() {
        #[derive(Deserialize)]
        struct Old {
            #[serde(default)]
            observation: Option<Observation>,
            #[serde(default)]
            station: Option<Station>,
        }
        let removed = Entry::Removed(StationId::new("X1").unwrap());
        assert_eq!(Entry::decode(&removed.encode()), Ok(removed.clone()));
        let old: Old = rmp_serde::from_slice(&removed.encode()).unwrap();
        assert!(old.observation.is_none() && !old.station.unwrap().public);
    }

    #[test]
    fn forecasts_round_trip_and_are_small() {
        let bytes = encode_forecast(&forecast());
        assert_eq!(decode_forecast(&bytes).unwrap(), forecast());
        assert!(bytes.len() < 1500, "{} bytes for one quantity", bytes.len());
    }

    #[test]
    fn every_name_is_written_and_numbers_survive_to_the_last_step() {
        assert!(NAMES.is_sorted() && Quantity::ALL.iter().all(|quantity| NAMES.contains(&quantity.name())));
        let mut whole = forecast();
        for quantity in Quantity::ALL {
            let numbers = |l: usize, h: usize| match quantity {
                Quantity::PressureMsl => 870.3 + (l * 48 + h) as f32 * 0.7,
                Quantity::Temperature | Quantity::DewPoint => -40.07 + (l * 48 + h) as f32 * 0.23,
                _ => (l * 48 + h) as f32 * 0.37,
            };
            let rows = Box::new(std::array::from_fn(|l| std::array::from_fn(|h| numbers(l, h))));
            whole.prediction.distributions[quantity as usize] = Distribution::new(quantity, rows);
        }
        let bytes = encode_forecast(&whole);
        assert_eq!(decode_forecast(&bytes).unwrap(), whole);
        assert!(bytes.len() < FORECAST_ROOM, "{} bytes", bytes.len());
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
        let minor = write(&Newer { v: (1, 9), station: station.clone(), colour: "blue" }, 0);
        assert_eq!(Entry::decode(&minor), Ok(Entry::Station(station.clone())));
        let major = write(&Newer { v: (2, 0), station, colour: "blue" }, 0);
        assert_eq!(Entry::decode(&major), Err(DecodeError::Version(2)));
        let other = rmp_serde::to_vec_named(&std::collections::BTreeMap::from([("v", (3, 0))])).unwrap();
        assert_eq!(Entry::decode(&other), Err(DecodeError::Version(3)));
        assert!(matches!(Entry::decode(b"hello"), Err(DecodeError::Malformed(_))));
    }
}
