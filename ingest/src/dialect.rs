//! Our own dialect: observations in JSON, NDJSON and MessagePack.
//!
//! Every item is read by itself: what is wrong with one is said of that one, by field, and costs
//! the others nothing.

use std::borrow::Cow;
use std::fmt;
use std::io::Cursor;

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use weather::admission::Reason;
use weather::{Observation, Rejection, StationId, Time, Values, Variable};

use crate::pieces;

/// Room made for a list before its items have been seen: its length is the sender's claim.
const FIRST_ROOM: usize = 1024;
/// How much of a stranger's field name is repeated to him.
const NAME_SHOWN: usize = 64;
/// The longest `source`, in characters.
const SOURCE_LENGTH: usize = 100;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// One object or an array of them.
    Json,
    /// One object a line.
    Ndjson,
    /// Maps or arrays of maps, one after the other. A time may be integer seconds.
    MessagePack,
}

impl Encoding {
    /// The encoding of a content type; a missing one is JSON.
    pub(crate) fn of(content_type: Option<&str>) -> Option<Self> {
        let Some(content_type) = content_type else { return Some(Self::Json) };
        match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/json" => Some(Self::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::Ndjson),
            "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => Some(Self::MessagePack),
            _ => None,
        }
    }

    /// What contacts call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::MessagePack => "messagepack",
        }
    }
}

/// The items of a body, each an observation or its refusal.
pub(crate) type Items = Vec<Result<Observation, Rejection>>;

/// Why a body as a whole can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The parser's words.
    Syntax(String),
    /// More than [`MOST_ITEMS`].
    TooMany,
}

/// Items of one request. An item can be one byte long, and its refusal a hundred times that.
pub(crate) const MOST_ITEMS: usize = 100_000;

/// Reads a body.
///
/// # Errors
/// When the body as a whole can't be read. An item of an array, or a line, that can't be is refused
/// by itself.
pub(crate) fn read(encoding: Encoding, body: &[u8]) -> Result<Items, Unreadable> {
    if body.trim_ascii().is_empty() {
        return Err(Unreadable::Syntax("the body is empty".to_owned()));
    }
    let items = match encoding {
        Encoding::Json => json(body)?,
        Encoding::Ndjson => lines(body).take(MOST_ITEMS + 1).map(item).collect(),
        Encoding::MessagePack => messages(body)?,
    };
    if items.len() > MOST_ITEMS { Err(Unreadable::TooMany) } else { Ok(items) }
}

/// One object or an array of them; an array is taken apart when it can't be read in one go.
fn json(body: &[u8]) -> Result<Items, Unreadable> {
    match serde_json::from_slice::<Drafts>(body) {
        Ok(drafts) => Ok(drafts.0.into_iter().map(|d| d.finish(false)).collect()),
        Err(error) => {
            if let Some(pieces) = pieces::of_array(body) {
                return Ok(pieces.into_iter().take(MOST_ITEMS + 1).map(item).collect());
            }
            match item(body) {
                Err(rejection) if rejection.reason == Reason::Unparseable => Err(Unreadable::Syntax(error.to_string())),
                one => Ok(vec![one]),
            }
        }
    }
}

fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty())
}

/// One JSON object by itself. `NaN` and `Infinity`, which some languages write into JSON, are named
/// for what they are.
fn item(text: &[u8]) -> Result<Observation, Rejection> {
    let quoted;
    let parsed = match serde_json::from_slice::<Draft>(text) {
        Err(_) => {
            quoted = pieces::quote_non_finite(text);
            serde_json::from_slice::<Draft>(&quoted)
        }
        parsed => parsed,
    };
    match parsed {
        Ok(draft) => draft.finish(false),
        Err(error) => Err(Rejection::new("item", Reason::Unparseable, error.to_string())),
    }
}

fn messages(body: &[u8]) -> Result<Items, Unreadable> {
    let mut items = Vec::new();
    let mut reader = rmp_serde::Deserializer::new(Cursor::new(body));
    while (reader.position() as usize) < body.len() && items.len() <= MOST_ITEMS {
        let drafts = Drafts::deserialize(&mut reader)
            .map_err(|e| Unreadable::Syntax(format!("at byte {}: {e}", reader.position())))?;
        items.extend(drafts.0.into_iter().map(|d| d.finish(true)));
    }
    Ok(items)
}

/// What one item says, before it is an observation.
#[derive(Default)]
struct Draft {
    station: Option<StationId>,
    time: Option<Instant>,
    values: Values,
    source: Option<String>,
    /// The first thing wrong with it.
    rejection: Option<Rejection>,
}

enum Instant {
    Utc(Time),
    Seconds(i64),
}

impl Draft {
    fn finish(self, binary: bool) -> Result<Observation, Rejection> {
        let station = self.station.clone();
        self.whole(binary).map_err(|rejection| match station {
            Some(station) => rejection.of(station),
            None => rejection,
        })
    }

    fn whole(self, binary: bool) -> Result<Observation, Rejection> {
        if let Some(rejection) = self.rejection {
            return Err(rejection);
        }
        let missing = |field| Rejection::new(field, Reason::MissingField, "is required");
        let time = match self.time.ok_or_else(|| missing("time"))? {
            Instant::Utc(time) => time,
            Instant::Seconds(seconds) if binary => Time::from_unix(seconds),
            Instant::Seconds(_) => return Err(bad_time()),
        };
        let station = self.station.ok_or_else(|| missing("station"))?;
        Ok(Observation { station, time, values: self.values, source: self.source })
    }

    fn set(&mut self, name: &str, value: Scalar<'_>) -> Result<(), Rejection> {
        match (name, value) {
            (_, Scalar::Null) if is_known(name) => {}
            ("station", Scalar::Text(text)) => self.station = Some(StationId::new(&text)?),
            ("time", Scalar::Text(text)) => self.time = Some(Instant::Utc(Time::parse(&text).map_err(|_| bad_time())?)),
            ("time", Scalar::Number(seconds)) if seconds.fract() == 0.0 => {
                self.time = Some(Instant::Seconds(seconds as i64))
            }
            ("time", _) => return Err(bad_time()),
            ("source", Scalar::Text(text)) => {
                self.source = Some(text.chars().filter(|c| !c.is_control()).take(SOURCE_LENGTH).collect())
            }
            ("station" | "source", other) => return Err(wrong_type(name, "a string", &other)),
            (name, value) => {
                let Some(variable) = Variable::from_name(name) else { return Err(unknown(name)) };
                if let Scalar::Text(text) = &value
                    && pieces::NON_FINITE.contains(&text.as_ref())
                {
                    narrow(variable, f64::NAN)?;
                }
                let Scalar::Number(number) = value else { return Err(wrong_type(variable.name(), "a number", &value)) };
                self.values.set(variable, narrow(variable, number)?);
            }
        }
        Ok(())
    }
}

/// A number too large for 32 bits is out of range, not infinite.
fn narrow(variable: Variable, number: f64) -> Result<f32, Rejection> {
    let value =
        if number.is_finite() { number.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32 } else { number as f32 };
    weather::admission::check_value(variable, value)?;
    Ok(value)
}

fn is_known(name: &str) -> bool {
    matches!(name, "station" | "time" | "source") || Variable::from_name(name).is_some()
}

fn bad_time() -> Rejection {
    Rejection::new("time", Reason::BadTime, "RFC 3339 with an offset, such as 2026-11-23T08:00:00Z")
}

fn wrong_type(field: &str, wanted: &str, found: &Scalar<'_>) -> Rejection {
    Rejection::new(field.to_owned(), Reason::WrongType, format!("must be {wanted}, not {}", found.kind()))
}

fn unknown(name: &str) -> Rejection {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(NAME_SHOWN).collect();
    let names: Vec<&str> = Variable::ALL.iter().map(|v| v.name()).collect();
    Rejection::new(shown, Reason::UnknownField, format!("known are station, time, source, {}", names.join(", ")))
}

/// Any value, as far as we care.
enum Scalar<'a> {
    Null,
    Bool,
    Number(f64),
    Text(Cow<'a, str>),
    Other,
}

impl Scalar<'_> {
    const fn kind(&self) -> &'static str {
        match self {
            Scalar::Null => "null",
            Scalar::Bool => "true or false",
            Scalar::Number(_) => "a number",
            Scalar::Text(_) => "a string",
            Scalar::Other => "a list, map or binary",
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Null)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool)
    }
    fn visit_i64<E>(self, value: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(value as f64))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(value as f64))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }
    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }
    fn visit_bytes<E>(self, _: &[u8]) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other)
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Scalar<'de>, D::Error> {
        // A MessagePack extension type: skipped, and refused as what it is.
        IgnoredAny::deserialize(deserializer).map(|_| Scalar::Other)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

struct DraftVisitor;

impl<'de> Visitor<'de> for DraftVisitor {
    type Value = Draft;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an observation")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Draft, A::Error> {
        let mut draft = Draft::default();
        while let Some(key) = map.next_key::<Scalar<'de>>()? {
            let value = map.next_value::<Scalar<'de>>()?;
            let outcome = match &key {
                Scalar::Text(name) => draft.set(name, value),
                other => Err(wrong_type("name", "a string", other)),
            };
            if let Err(rejection) = outcome {
                draft.rejection.get_or_insert(rejection);
            }
        }
        Ok(draft)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Draft, A::Error> {
        ScalarVisitor.visit_seq(list).map(|other| not_an_object(&other))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Draft, E> {
        Ok(not_an_object(&Scalar::Null))
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Draft, E> {
        Ok(not_an_object(&Scalar::Bool))
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Draft, E> {
        Ok(not_an_object(&Scalar::Number(0.0)))
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Draft, E> {
        Ok(not_an_object(&Scalar::Number(0.0)))
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Draft, E> {
        Ok(not_an_object(&Scalar::Number(0.0)))
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<Draft, E> {
        Ok(not_an_object(&Scalar::Text(Cow::Borrowed(""))))
    }
    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Draft, E> {
        Ok(not_an_object(&Scalar::Other))
    }
}

fn not_an_object(found: &Scalar<'_>) -> Draft {
    Draft { rejection: Some(wrong_type("item", "an object", found)), ..Draft::default() }
}

impl<'de> Deserialize<'de> for Draft {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DraftVisitor)
    }
}

/// One object or a list of them.
struct Drafts(Vec<Draft>);

impl<'de> Deserialize<'de> for Drafts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DraftsVisitor;
        impl<'de> Visitor<'de> for DraftsVisitor {
            type Value = Drafts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an observation or a list of observations")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Drafts, A::Error> {
                DraftVisitor.visit_map(map).map(|draft| Drafts(vec![draft]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Drafts, A::Error> {
                let mut drafts = Vec::with_capacity(list.size_hint().unwrap_or(0).min(FIRST_ROOM));
                // One more than is allowed shows that there are too many; the rest is only skipped.
                while drafts.len() <= MOST_ITEMS {
                    let Some(draft) = list.next_element()? else { return Ok(Drafts(drafts)) };
                    drafts.push(draft);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Drafts(drafts))
            }
        }
        deserializer.deserialize_any(DraftsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"station":"X1","time":"2026-11-23T08:00:00Z","temperature":12.3}"#;

    fn refused(json: &str) -> (String, Reason) {
        let items = read(Encoding::Json, json.as_bytes()).unwrap();
        let rejection = items.into_iter().next().unwrap().unwrap_err();
        (rejection.field.into_owned(), rejection.reason)
    }

    #[test]
    fn one_list_and_lines_say_the_same() {
        let one = read(Encoding::Json, GOOD.as_bytes()).unwrap();
        assert_eq!(one[0].as_ref().unwrap().values.get(Variable::Temperature), Some(12.3));
        assert_eq!(read(Encoding::Json, format!("[{GOOD}]").as_bytes()).unwrap(), one);
        let lines = read(Encoding::Ndjson, format!("{GOOD}\r\n\n{{\n{GOOD}").as_bytes()).unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1].as_ref().unwrap_err().reason, Reason::Unparseable);
        assert_eq!(lines[2], one[0]);
    }

    #[test]
    fn messagepack_in_both_forms_of_time() {
        let observation = read(Encoding::Json, GOOD.as_bytes()).unwrap().remove(0).unwrap();
        let binary = rmp_serde::to_vec_named(&vec![observation.clone(); 2]).unwrap();
        let text = rmp_serde::to_vec_named(&serde_json::from_str::<serde_json::Value>(GOOD).unwrap()).unwrap();
        let both = [binary, text].concat();
        assert_eq!(read(Encoding::MessagePack, &both).unwrap(), vec![Ok(observation); 3]);
        assert!(read(Encoding::MessagePack, &both[..both.len() - 1]).is_err(), "a cut-off body is not half taken");
    }

    #[test]
    fn every_fault_names_its_field() {
        let with = |field: &str| format!(r#"{{"station":"X1","time":"2026-11-23T08:00:00Z","temperature":1,{field}}}"#);
        for (json, field, reason) in [
            (with(r#""temprature":3"#), "temprature", Reason::UnknownField),
            (with(r#""wind_speed":"3""#), "wind_speed", Reason::WrongType),
            (with(r#""wind_speed":[3]"#), "wind_speed", Reason::WrongType),
            (with(r#""wind_speed":1e300"#), "wind_speed", Reason::OutOfRange),
            (with(r#""station":"a b""#), "station", Reason::BadStation),
            (with(r#""station":7"#), "station", Reason::WrongType),
            (with(r#""time":"yesterday""#), "time", Reason::BadTime),
            (with(r#""time":1790000000"#), "time", Reason::BadTime),
            (r#"{"time":"2026-11-23T08:00:00Z"}"#.into(), "station", Reason::MissingField),
            (r#"{"station":"X1"}"#.into(), "time", Reason::MissingField),
            ("[7]".into(), "item", Reason::WrongType),
            ("[null]".into(), "item", Reason::WrongType),
        ] {
            assert_eq!(refused(&json), (field.to_owned(), reason), "{json}");
        }
    }

    #[test]
    fn nan_in_messagepack_is_refused_and_null_is_absence() {
        let nan = rmp_serde::to_vec_named(&std::collections::BTreeMap::from([("temperature", f64::NAN)])).unwrap();
        let items = read(Encoding::MessagePack, &nan).unwrap();
        assert_eq!(items[0].as_ref().unwrap_err().reason, Reason::NotFinite);
        let null = GOOD.replace("12.3", "12.3,\"wind_gust\":null");
        assert!(read(Encoding::Json, null.as_bytes()).unwrap()[0].is_ok());
    }

    #[test]
    fn one_bad_item_of_an_array_costs_only_itself() {
        let nan = GOOD.replace("12.3", "NaN");
        let overflow = GOOD.replace("12.3", "1e999");
        let body = format!("[{GOOD},{nan},{overflow}, {{\"station\": \"]}},\"}}, {GOOD}]");
        let items = read(Encoding::Json, body.as_bytes()).unwrap();
        assert_eq!(items.len(), 5);
        assert!(items[0].is_ok() && items[4].is_ok());
        let reasons: Vec<Reason> = items[1..4].iter().map(|i| i.as_ref().unwrap_err().reason).collect();
        assert_eq!(reasons, [Reason::NotFinite, Reason::Unparseable, Reason::BadStation]);
        assert_eq!(items[1].as_ref().unwrap_err().field, "temperature");
        for encoding in [Encoding::Ndjson, Encoding::Json] {
            let alone = read(encoding, nan.as_bytes()).unwrap();
            assert_eq!(alone[0].as_ref().unwrap_err().reason, Reason::NotFinite);
        }
    }

    #[test]
    fn too_many_items_are_refused_without_being_kept() {
        let zeros = format!("[{}0]", "0,".repeat(MOST_ITEMS));
        assert_eq!(read(Encoding::Json, zeros.as_bytes()), Err(Unreadable::TooMany));
        assert_eq!(read(Encoding::MessagePack, &vec![0x80; MOST_ITEMS + 1]), Err(Unreadable::TooMany));
        assert_eq!(read(Encoding::Ndjson, "0\n".repeat(MOST_ITEMS + 1).as_bytes()), Err(Unreadable::TooMany));
    }

    #[test]
    fn bodies_that_are_nothing() {
        assert!(read(Encoding::Json, b"").is_err());
        assert!(read(Encoding::Json, b"{\"station\":").is_err());
        assert!(read(Encoding::Json, b"[1,").is_err());
        assert!(read(Encoding::Json, &[b'['; 100_000]).is_err());
        for encoding in [Encoding::Json, Encoding::Ndjson, Encoding::MessagePack] {
            assert!(read(encoding, b"\n").is_err(), "{encoding:?}");
        }
        // An array header that promises four billion items.
        assert!(read(Encoding::MessagePack, &[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
