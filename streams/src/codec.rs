//! The bytes of stream entries: MessagePack maps of a versioned envelope.
//!
//! An entry of `{wg:p}:obs` is
//! `{"v": [major, minor], "received": ms, "observation": {...}, "flags": [suspect, failed]}`, with
//! `"tests": [[suspect, failed], ...]` by quality control test where something did not pass, or
//! `{"v": ..., "received": ms, "station": {...}}`, with `"removed": true` if the station is one no more
//! (a reader that does not know the name takes it for a private one, and hides it); of `{wg:p}:forecast`,
//! `{"v": ..., "station", "reference_time", ..., "variables": {name: {"steps": n, "data": bin}}}`,
//! where `data` holds little-endian `i16` by level, then lead, in units of 1/steps.
//! A forecast stream also holds `{"v": ..., "judged": {observation}, "flags": ..., "tests": ...}`: what
//! quality control says of an observation once it has been seen beside others of its station and its
//! neighbours. Times are integer seconds. Readers skip names they don't know.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_bytes::ByteBuf;
use weather::forecast::{Inputs, PROBABILITY_STEPS};
use weather::quality::{Marks, Test};
use weather::{
    Distribution, Flags, Forecast, LEADS, ModelId, Observation, Prediction, QUANTILES, Quantity, Station, StationId,
    Time,
};

/// The version written: a reader accepts every minor of its major.
pub const VERSION: (u8, u8) = (1, 1);

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
        let (flags, tests) = pack_flags(flags);
        let wrapped = Wrapped { received: *received, observation: Some(observation), flags, tests, ..Wrapped::empty() };
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
    flags: Marks,
    #[serde(skip_serializing_if = "Option::is_none")]
    tests: Option<&'a [Marks]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    station: Option<&'a Station>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    removed: bool,
}

impl Wrapped<'_> {
    fn empty() -> Self {
        Self {
            v: VERSION,
            received: 0,
            observation: None,
            flags: Marks::default(),
            tests: None,
            station: None,
            removed: false,
        }
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
    flags: Marks,
    #[serde(default)]
    tests: Vec<Marks>,
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
            Envelope { observation: Some(observation), flags, tests, received, .. } => {
                Ok(Self::Observation(Received { observation, flags: unpack_flags(flags, &tests), received }))
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

/// The outcome, and what each test found where one found anything.
fn pack_flags(flags: &Flags) -> (Marks, Option<&[Marks]>) {
    let outcome = Marks { suspect: flags.suspect, failed: flags.failed };
    (outcome, (!flags.is_clean()).then_some(flags.all().as_slice()))
}

/// Tests that a newer minor version has added count in the outcome only.
fn unpack_flags(outcome: Marks, tests: &[Marks]) -> Flags {
    let mut by = [Marks::default(); Test::COUNT];
    for (known, found) in by.iter_mut().zip(tests) {
        *known = *found;
    }
    Flags::told(outcome.suspect, outcome.failed, by)
}

/// The last word of quality control on an observation, where it is another than the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// What was observed; without its source.
    pub observation: Observation,
    /// What did not pass, and by which test.
    pub flags: Flags,
}

#[derive(Serialize)]
struct WrappedJudgement<'a> {
    v: (u8, u8),
    judged: &'a Observation,
    flags: Marks,
    #[serde(skip_serializing_if = "Option::is_none")]
    tests: Option<&'a [Marks]>,
}

#[derive(Deserialize)]
struct JudgementEnvelope {
    v: (u8, u8),
    judged: Observation,
    flags: Marks,
    #[serde(default)]
    tests: Vec<Marks>,
}

impl Judgement {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (flags, tests) = pack_flags(&self.flags);
        write(&WrappedJudgement { v: VERSION, judged: &self.observation, flags, tests }, ENTRY_ROOM)
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`DecodeError`]; never a panic, whatever the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let envelope: JudgementEnvelope = read(bytes, |e: &JudgementEnvelope| e.v)?;
        Ok(Self { observation: envelope.judged, flags: unpack_flags(envelope.flags, &envelope.tests) })
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
mod tests;
