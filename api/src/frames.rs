//! What goes over the live WebSocket: the server's frames and their bytes, and the cursor.

use std::io::Write;

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::Bytes;
use rmp_serde::config::{DefaultConfig, HumanReadableConfig, StructMapConfig};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;
use weather::StationId;

use crate::shape::{Forecast, Observation, State, Station};

/// The subprotocol whose frames are JSON text.
pub(crate) const JSON: &str = "weatherglass.v1+json";
/// The subprotocol whose frames are MessagePack maps of the same names.
pub(crate) const MSGPACK: &str = "weatherglass.v1+msgpack";

/// How a session wants its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// [`JSON`]
    Json,
    /// [`MSGPACK`]
    MsgPack,
}

impl Format {
    /// Every format, for gauges that start at zero.
    pub(crate) const ALL: [Self; 2] = [Self::Json, Self::MsgPack];

    /// The metric label.
    #[must_use]
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::MsgPack => "msgpack",
        }
    }
}

/// A kind of update, which a subscription may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Channel {
    /// What was measured.
    Observation,
    /// What was issued.
    Forecast,
    /// Who a station is and whether it is heard.
    Station,
}

impl Channel {
    /// Every channel.
    pub(crate) const ALL: [Self; 3] = [Self::Observation, Self::Forecast, Self::Station];

    /// The JSON value and metric label.
    #[must_use]
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Observation => "observation",
            Self::Forecast => "forecast",
            Self::Station => "station",
        }
    }
}

/// A set of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channels(u8);

impl Channels {
    /// Whether `channel` is in the set.
    #[must_use]
    pub(crate) const fn contains(self, channel: Channel) -> bool {
        self.0 & (1 << channel as u8) != 0
    }
}

impl FromIterator<Channel> for Channels {
    fn from_iter<I: IntoIterator<Item = Channel>>(channels: I) -> Self {
        Self(channels.into_iter().fold(0, |bits, channel| bits | 1 << channel as u8))
    }
}

/// A place in the flow of updates: whoever holds it has everything that arrived before that
/// millisecond by Redis's clock. It means the same to every api process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor(pub(crate) u64);

impl Cursor {
    /// Reads a cursor that a client brought back; none when it is not one of ours.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("c1-")?;
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if digits.is_empty() || !digits.bytes().all(lower_hex) {
            return None;
        }
        u64::from_str_radix(digits, 16).ok().map(Self)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "c1-{:x}", self.0)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An observation, live.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ObservationFrame {
    /// As in REST.
    #[serde(flatten)]
    pub(crate) observation: Observation,
    /// Where a returning client goes on.
    #[schema(value_type = String)]
    pub(crate) cursor: Cursor,
}

/// A forecast, live.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ForecastFrame {
    /// As in REST.
    #[serde(flatten)]
    pub(crate) forecast: Forecast,
    /// Where a returning client goes on.
    #[schema(value_type = String)]
    pub(crate) cursor: Cursor,
}

/// What a station frame tells of its station.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Its newest observation has not expired.
    Up,
    /// Its newest observation has expired.
    Stale,
    /// Nothing for three expiries or more.
    Down,
    /// Registered, never heard.
    Silent,
    /// It was made private: it is no longer to be shown, and nothing of it follows.
    Removed,
}

impl From<State> for Standing {
    fn from(state: State) -> Self {
        match state {
            State::Up => Self::Up,
            State::Stale => Self::Stale,
            State::Down => Self::Down,
            State::Silent => Self::Silent,
        }
    }
}

/// A station's state changed, or it was registered, described anew or made private.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct StationFrame {
    /// Which.
    #[schema(value_type = String)]
    pub(crate) station: StationId,
    /// How recently it has been heard, or that it is gone.
    pub(crate) state: Standing,
    /// All that is known of it; absent when it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) details: Option<Station>,
    /// Where a returning client goes on.
    #[schema(value_type = String)]
    pub(crate) cursor: Cursor,
}

impl StationFrame {
    /// Tells who the station is and how it is.
    #[must_use]
    pub(crate) fn about(details: Station, cursor: Cursor) -> Self {
        Self { station: details.id.clone(), state: details.state.into(), details: Some(details), cursor }
    }

    /// Tells that nobody may see it any more.
    #[must_use]
    pub(crate) const fn removed(station: StationId, cursor: Cursor) -> Self {
        Self { station, state: Standing::Removed, details: None, cursor }
    }
}

/// One station in a snapshot.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SnapshotEntry {
    /// What is known of it.
    pub(crate) station: Station,
    /// Its newest observation; null when there is none or the channel was not asked for.
    #[schema(required)]
    pub(crate) observation: Option<Observation>,
    /// Its latest forecast; null when there is none or the channel was not asked for.
    #[schema(required)]
    pub(crate) forecast: Option<Forecast>,
}

/// The present state of what was subscribed: a station that it leaves out is not to be shown. A
/// large one comes in parts, frames of the same `id` one after another, of which all but the last
/// have `more`. Updates that follow the last continue from it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SnapshotFrame {
    /// Of which subscription.
    pub(crate) id: String,
    /// By station identifier.
    pub(crate) stations: Vec<SnapshotEntry>,
    /// True when the next frame goes on with the same snapshot.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) more: bool,
    /// Where a returning client goes on; on the last part only, since who has less than all of them
    /// has to begin again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub(crate) cursor: Option<Cursor>,
}

/// The end of what a returning client had missed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RecoveredFrame {
    /// Of which subscription.
    pub(crate) id: String,
    /// False when it can't all be told, as when something is no longer held: a snapshot follows.
    pub(crate) complete: bool,
}

/// A client frame that could not be followed. The session goes on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ErrorFrame {
    /// The subscription it speaks of, when the frame named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) id: Option<String>,
    /// `bad_frame`, `unknown_type`, `bad_subscription`, ...
    #[schema(value_type = String)]
    pub(crate) code: &'static str,
    /// What was wrong and what is right.
    pub(crate) message: String,
}

/// What the server says.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs, clippy::large_enum_variant)] // made, encoded and dropped in one breath
pub(crate) enum ServerFrame {
    Snapshot(SnapshotFrame),
    Observation(ObservationFrame),
    Forecast(ForecastFrame),
    Station(StationFrame),
    Recovered(RecoveredFrame),
    Error(ErrorFrame),
    Pong,
}

type Packer<W> = rmp_serde::Serializer<W, HumanReadableConfig<StructMapConfig<DefaultConfig>>>;

/// Human-readable: times are RFC 3339 strings, as in JSON.
fn packer<W: Write>(to: W) -> Packer<W> {
    rmp_serde::Serializer::new(to).with_struct_map().with_human_readable()
}

/// Takes bytes and keeps their number.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The bytes of a frame; clones share them.
#[derive(Clone, Debug)]
pub(crate) enum Encoded {
    /// JSON
    Text(Utf8Bytes),
    /// MessagePack
    Binary(Bytes),
}

impl Encoded {
    /// The frame in `format`. Packing into memory fails only if a `Serialize` is at fault, which
    /// the tests would show.
    #[must_use]
    pub(crate) fn new(frame: &ServerFrame, format: Format) -> Self {
        match format {
            Format::Json => Self::Text(serde_json::to_string(frame).unwrap_or_default().into()),
            Format::MsgPack => {
                let mut packed = Vec::new();
                if frame.serialize(&mut packer(&mut packed)).is_err() {
                    packed.clear();
                }
                Self::Binary(packed.into())
            }
        }
    }

    /// Bytes that a part of a frame takes in `format`, without keeping them.
    #[must_use]
    pub(crate) fn length<T: Serialize>(part: &T, format: Format) -> usize {
        let mut count = Count(0);
        // Counting fails no more than packing does.
        match format {
            Format::Json => drop(serde_json::to_writer(&mut count, part)),
            Format::MsgPack => drop(part.serialize(&mut packer(&mut count))),
        }
        count.0
    }

    /// Length in bytes.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

impl From<Encoded> for Message {
    fn from(encoded: Encoded) -> Self {
        match encoded {
            Encoded::Text(text) => Self::Text(text),
            Encoded::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weather::{Flags, Time, Values, Variable};

    fn observation() -> ServerFrame {
        let values: Values = [(Variable::Temperature, 12.3)].into_iter().collect();
        let station = StationId::new("X1").unwrap();
        let observation = Observation::new(station, Time::from_unix(0), &values, Flags::default(), None, 3600);
        ServerFrame::Observation(ObservationFrame { observation, cursor: Cursor(255) })
    }

    #[test]
    fn a_frame_is_its_rest_object_with_type_and_cursor() {
        let Encoded::Text(text) = Encoded::new(&observation(), Format::Json) else { panic!("not text") };
        assert_eq!(
            text.as_str(),
            r#"{"type":"observation","station":"X1","time":"1970-01-01T00:00:00Z","temperature":12.3,"expires":"1970-01-01T02:30:00Z","cursor":"c1-ff"}"#
        );
    }

    #[test]
    fn messagepack_is_the_same_map() {
        let Encoded::Binary(bytes) = Encoded::new(&observation(), Format::MsgPack) else { panic!("not binary") };
        let map: serde_json::Value = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(map["type"], "observation");
        assert_eq!(map["time"], "1970-01-01T00:00:00Z");
        assert_eq!(map["temperature"], f64::from(12.3f32));
        assert_eq!(map["cursor"], "c1-ff");
        let pong: serde_json::Value = match Encoded::new(&ServerFrame::Pong, Format::MsgPack) {
            Encoded::Binary(bytes) => rmp_serde::from_slice(&bytes).unwrap(),
            Encoded::Text(_) => panic!("not binary"),
        };
        assert_eq!(pong, serde_json::json!({"type": "pong"}));
    }

    #[test]
    fn cursors_round_trip_and_rubbish_is_refused() {
        assert_eq!(Cursor::parse(&Cursor(1_790_000_000_123).to_string()), Some(Cursor(1_790_000_000_123)));
        for bad in ["", "c1-", "c1-+1", "c1-zz", "c1-ffffffffffffffffff", "1790000000000-0", "c2-1"] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
