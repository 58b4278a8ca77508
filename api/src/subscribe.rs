//! What a client may say over the live WebSocket, read and checked.

use std::collections::HashSet;

use serde::Deserialize;
use utoipa::ToSchema;
use weather::StationId;

use crate::config::Limits;
use crate::frames::{Channel, Channels, Cursor, ErrorFrame};

/// Longest subscription id, bytes.
const ID_LENGTH: usize = 64;
/// Nesting of a client frame; ours have three levels.
const DEPTH: usize = 16;

/// Why a client frame could not be followed. Each is also a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    /// Not a frame of the subprotocol, or a field of the wrong type.
    BadFrame,
    /// A type that the server does not know.
    UnknownType,
    /// A subscription without an id, or not exactly one of stations, bbox and all.
    BadSubscription,
    /// A station identifier that breaks the rules.
    BadStation,
    /// More station names than one subscription may have.
    TooManyStations,
    /// A bounding box outside the globe or inside out.
    BadBbox,
    /// A channel that does not exist, or none.
    BadChannel,
    /// More subscriptions than a session may have.
    TooManySubscriptions,
    /// Nothing of that id to unsubscribe.
    UnknownSubscription,
}

impl ErrorCode {
    /// Every code, for counters that start at zero.
    pub(crate) const ALL: [Self; 9] = [
        Self::BadFrame,
        Self::UnknownType,
        Self::BadSubscription,
        Self::BadStation,
        Self::TooManyStations,
        Self::BadBbox,
        Self::BadChannel,
        Self::TooManySubscriptions,
        Self::UnknownSubscription,
    ];

    /// The JSON value and metric label.
    #[must_use]
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::BadFrame => "bad_frame",
            Self::UnknownType => "unknown_type",
            Self::BadSubscription => "bad_subscription",
            Self::BadStation => "bad_station",
            Self::TooManyStations => "too_many_stations",
            Self::BadBbox => "bad_bbox",
            Self::BadChannel => "bad_channel",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::UnknownSubscription => "unknown_subscription",
        }
    }
}

/// A client frame that can't be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The subscription the frame named.
    pub(crate) id: Option<String>,
    /// The kind of fault.
    pub(crate) code: ErrorCode,
    /// What was wrong and what is right.
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { id: None, code, message: message.into() }
    }

    pub(crate) fn of(mut self, id: &str) -> Self {
        self.id = (id.len() <= ID_LENGTH).then(|| id.to_owned());
        self
    }
}

impl From<Refusal> for ErrorFrame {
    fn from(refusal: Refusal) -> Self {
        Self { id: refusal.id, code: refusal.code.label(), message: refusal.message }
    }
}

/// What a client says.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ClientFrame {
    /// Asks for a snapshot and what follows it. The same id again replaces the subscription.
    Subscribe(SubscribeFrame),
    /// Ends a subscription.
    Unsubscribe(UnsubscribeFrame),
    /// Asks for a pong.
    Ping,
}

/// What a subscription is about: exactly one of `stations`, `bbox` and `all`.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct SubscribeFrame {
    /// The client's name for it, 1 to 64 bytes.
    #[schema(required)]
    pub(crate) id: String,
    /// Stations by identifier; those nobody knows yet count once they appear.
    pub(crate) stations: Option<Vec<String>>,
    /// West, south, east, north, degrees; a west greater than east crosses the date line.
    #[schema(min_items = 4, max_items = 4)]
    pub(crate) bbox: Option<Vec<f64>>,
    /// Every station.
    pub(crate) all: Option<bool>,
    /// What about them; everything when left out.
    #[schema(value_type = Option<Vec<Channel>>)]
    pub(crate) channels: Option<Vec<String>>,
    /// Where the client stopped: it gets what it missed in place of a snapshot.
    pub(crate) cursor: Option<String>,
}

/// Ends a subscription.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct UnsubscribeFrame {
    /// Which.
    pub(crate) id: String,
}

/// A rectangle of the globe, degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bbox {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Bbox {
    /// The box of `[west, south, east, north]`.
    ///
    /// # Errors
    /// [`ErrorCode::BadBbox`] when a corner is not on the globe or south is north of north.
    pub(crate) fn new(corners: &[f64]) -> Result<Self, Refusal> {
        let bad = || {
            Refusal::new(
                ErrorCode::BadBbox,
                "bbox is [west, south, east, north]: degrees, -180 to 180 and -90 to 90, south at most north",
            )
        };
        let &[west, south, east, north] = corners else { return Err(bad()) };
        let longitudes = [west, east].iter().all(|v| (-180.0..=180.0).contains(v));
        let latitudes = [south, north].iter().all(|v| (-90.0..=90.0).contains(v));
        if !longitudes || !latitudes || south > north {
            return Err(bad());
        }
        Ok(Self { west, south, east, north })
    }

    /// Whether a place, degrees north and east, lies in it or on its edge.
    #[must_use]
    pub(crate) fn contains(&self, latitude: f64, longitude: f64) -> bool {
        let along = if self.west <= self.east {
            (self.west..=self.east).contains(&longitude)
        } else {
            longitude >= self.west || longitude <= self.east
        };
        along && (self.south..=self.north).contains(&latitude)
    }
}

/// Which stations a subscription is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Selection {
    /// Every station.
    All,
    /// Those with a position in the box.
    Bbox(Bbox),
    /// These.
    Stations(HashSet<StationId>),
}

impl Selection {
    /// Whether it is about this station.
    #[must_use]
    pub(crate) fn contains(&self, station: &weather::Station) -> bool {
        match self {
            Self::All => true,
            Self::Bbox(bbox) => station.position().is_some_and(|(lat, lon)| bbox.contains(lat, lon)),
            Self::Stations(ids) => ids.contains(&station.id),
        }
    }
}

/// Where a returning client stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// At this cursor.
    At(Cursor),
    /// At something that is not a cursor of ours.
    Garbled,
}

/// A checked subscription.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subscription {
    /// The client's name for it.
    pub(crate) id: String,
    /// About which stations.
    pub(crate) selection: Selection,
    /// What about them.
    pub(crate) channels: Channels,
    /// Set when the client comes back.
    pub(crate) resume: Option<Resume>,
}

/// A checked client frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    /// Begin or replace a subscription.
    Subscribe(Subscription),
    /// End the subscription of that id.
    Unsubscribe(String),
    /// Answer.
    Ping,
}

#[derive(Deserialize)]
struct Head {
    r#type: Option<String>,
}

/// Reads a text frame.
///
/// # Errors
/// [`Refusal`]; never a panic, whatever the text.
pub(crate) fn parse_json(text: &str, limits: &Limits) -> Result<Command, Refusal> {
    let read = |e: serde_json::Error| e.to_string();
    parse(limits, || serde_json::from_str(text).map_err(read), || serde_json::from_str(text).map_err(read))
}

/// Reads a binary frame.
///
/// # Errors
/// [`Refusal`]; never a panic, whatever the bytes.
pub(crate) fn parse_msgpack(bytes: &[u8], limits: &Limits) -> Result<Command, Refusal> {
    parse(limits, || unpack(bytes), || unpack(bytes))
}

fn unpack<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, String> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    deserializer.set_max_depth(DEPTH);
    T::deserialize(&mut deserializer).map_err(|e| e.to_string())
}

/// In two steps, so that an unknown type is told from a known one with a fault.
fn parse(
    limits: &Limits,
    head: impl FnOnce() -> Result<Head, String>,
    frame: impl FnOnce() -> Result<ClientFrame, String>,
) -> Result<Command, Refusal> {
    let bad = |error| Refusal::new(ErrorCode::BadFrame, format!("a frame is a map with a type: {error}"));
    let kind = head().map_err(bad)?.r#type.ok_or_else(|| bad("it has none".to_owned()))?;
    if !["subscribe", "unsubscribe", "ping"].contains(&kind.as_str()) {
        return Err(Refusal::new(ErrorCode::UnknownType, "a client may send subscribe, unsubscribe and ping"));
    }
    let frame = frame().map_err(|error| Refusal::new(ErrorCode::BadFrame, format!("{kind}: {error}")))?;
    match frame {
        ClientFrame::Ping => Ok(Command::Ping),
        ClientFrame::Unsubscribe(frame) => Ok(Command::Unsubscribe(frame.id)),
        ClientFrame::Subscribe(frame) => {
            let id = frame.id.clone();
            check(frame, limits).map(Command::Subscribe).map_err(|refusal| refusal.of(&id))
        }
    }
}

fn check(frame: SubscribeFrame, limits: &Limits) -> Result<Subscription, Refusal> {
    if frame.id.is_empty() || frame.id.len() > ID_LENGTH {
        return Err(Refusal::new(
            ErrorCode::BadSubscription,
            format!("a subscription needs an id of 1 to {ID_LENGTH} bytes"),
        ));
    }
    let selection = match (frame.stations, frame.bbox, frame.all) {
        (Some(names), None, None | Some(false)) => Selection::Stations(stations(&names, limits)?),
        (None, Some(corners), None | Some(false)) => Selection::Bbox(Bbox::new(&corners)?),
        (None, None, Some(true)) => Selection::All,
        _ => {
            return Err(Refusal::new(
                ErrorCode::BadSubscription,
                "a subscription has exactly one of stations, bbox and all: true",
            ));
        }
    };
    let resume = frame.cursor.map(|text| Cursor::parse(&text).map_or(Resume::Garbled, Resume::At));
    Ok(Subscription { id: frame.id, selection, channels: channels(frame.channels)?, resume })
}

fn stations(names: &[String], limits: &Limits) -> Result<HashSet<StationId>, Refusal> {
    if names.len() > limits.stations {
        let message = format!("{} stations; at most {} in one subscription", names.len(), limits.stations);
        return Err(Refusal::new(ErrorCode::TooManyStations, message));
    }
    names
        .iter()
        .map(|name| StationId::new(name).map_err(|rejection| Refusal::new(ErrorCode::BadStation, rejection.detail)))
        .collect()
}

fn channels(names: Option<Vec<String>>) -> Result<Channels, Refusal> {
    let Some(names) = names else { return Ok(Channel::ALL.into_iter().collect()) };
    let bad = || Refusal::new(ErrorCode::BadChannel, "channels are observation, forecast and station: at least one");
    if names.is_empty() {
        return Err(bad());
    }
    let channel = |name: &String| Channel::ALL.into_iter().find(|c| c.label() == name).ok_or_else(bad);
    names.iter().map(channel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Command, Refusal> {
        parse_json(text, &Limits::default())
    }

    #[test]
    fn faults_are_told_apart() {
        for (text, code) in [
            ("", "bad_frame"),
            ("[]", "bad_frame"),
            ("{}", "bad_frame"),
            (r#"{"type":5}"#, "bad_frame"),
            (r#"{"type":"dance"}"#, "unknown_type"),
            (r#"{"type":"unsubscribe"}"#, "bad_frame"),
            (r#"{"type":"subscribe","all":true}"#, "bad_subscription"),
            (r#"{"type":"subscribe","id":"a"}"#, "bad_subscription"),
            (r#"{"type":"subscribe","id":"a","all":false}"#, "bad_subscription"),
            (r#"{"type":"subscribe","id":"a","all":true,"stations":["X"]}"#, "bad_subscription"),
            (r#"{"type":"subscribe","id":"a","stations":"X"}"#, "bad_frame"),
            (r#"{"type":"subscribe","id":"a","stations":["no spaces"]}"#, "bad_station"),
            (r#"{"type":"subscribe","id":"a","bbox":[0,1,2]}"#, "bad_bbox"),
            (r#"{"type":"subscribe","id":"a","bbox":[0,10,2,1]}"#, "bad_bbox"),
            (r#"{"type":"subscribe","id":"a","bbox":[0,0,181,1]}"#, "bad_bbox"),
            (r#"{"type":"subscribe","id":"a","all":true,"channels":[]}"#, "bad_channel"),
            (r#"{"type":"subscribe","id":"a","all":true,"channels":["gossip"]}"#, "bad_channel"),
        ] {
            assert_eq!(parsed(text).unwrap_err().code.label(), code, "{text}");
        }
        let deep = format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(parsed(&deep).unwrap_err().code, ErrorCode::BadFrame);
        let deep = [&[0x81, 0xa1, b'x'][..], &[0x91; 60_000][..], &[0xc0][..]].concat();
        assert_eq!(parse_msgpack(&deep, &Limits::default()).unwrap_err().code, ErrorCode::BadFrame);
    }

    #[test]
    fn a_refusal_names_its_subscription() {
        let refusal = parsed(r#"{"type":"subscribe","id":"mine","stations":["a b"]}"#).unwrap_err();
        assert_eq!(refusal.id.as_deref(), Some("mine"));
    }

    #[test]
    fn too_many_stations_are_refused() {
        let limits = Limits { stations: 2, ..Limits::default() };
        let text = r#"{"type":"subscribe","id":"a","stations":["A","B","C"]}"#;
        assert_eq!(parse_json(text, &limits).unwrap_err().code, ErrorCode::TooManyStations);
    }

    #[test]
    fn what_a_newer_client_adds_is_skipped_and_cursors_are_read() {
        let text =
            r#"{"type":"subscribe","id":"a","all":true,"colour":"red","channels":["forecast"],"cursor":"c1-ff"}"#;
        let Ok(Command::Subscribe(subscription)) = parsed(text) else { panic!("refused") };
        assert_eq!(subscription.resume, Some(Resume::At(Cursor(255))));
        assert!(subscription.channels.contains(Channel::Forecast) && !subscription.channels.contains(Channel::Station));
        let packed =
            rmp_serde::to_vec_named(&serde_json::json!({"type": "subscribe", "id": "a", "all": true})).unwrap();
        assert!(matches!(parse_msgpack(&packed, &Limits::default()), Ok(Command::Subscribe(_))));
    }

    #[test]
    fn a_box_may_cross_the_date_line() {
        let pacific = Bbox::new(&[170.0, -30.0, -170.0, 30.0]).unwrap();
        assert!(pacific.contains(0.0, 179.0) && pacific.contains(0.0, -180.0) && !pacific.contains(0.0, 0.0));
        let europe = Bbox::new(&[-10.0, 35.0, 30.0, 70.0]).unwrap();
        assert!(europe.contains(47.0, 19.0) && !europe.contains(47.0, 179.0) && !europe.contains(0.0, 19.0));
        assert!(Bbox::new(&[f64::NAN, 0.0, 0.0, 0.0]).is_err());
    }
}
