//! From a message to what it says: which entry it is for, and that entry's parser.

use std::sync::Arc;
use std::time::Duration;

use weather::admission::Reason;
use weather::{Rejection, Time};

use super::homeassistant::{self, Said, Units};
use super::part::{Part, Parts};
use super::settings::{Dialect, Entry, Settings};
use super::template::{Template, Topic};
use super::{ecowitt, metrics, rtl433, weewx};
use crate::dialect::{self, Encoding, Unreadable};
use crate::pieces;

/// What a message says.
pub(crate) enum Message {
    /// Observations, or parts that wait for others so long.
    Parts(Parts, Duration),
    /// A value of an entity whose unit was not told yet; it can be read again later.
    WithoutUnit(String),
    /// The unit of an entity.
    Unit(String),
    /// Nothing that we want to know.
    Nothing,
}

/// Reads messages by the file's entries.
pub(crate) struct Reader {
    settings: Arc<Settings>,
    units: Units,
}

impl Reader {
    pub(crate) const fn new(settings: Arc<Settings>) -> Self {
        Self { settings, units: Units::new() }
    }

    /// Reads a message that arrived at `now`, and names its dialect.
    pub(crate) fn read(&mut self, topic: &str, payload: &[u8], retained: bool, now: Time) -> (&'static str, Message) {
        let found = self.settings.topics.iter().find_map(|entry| Some((entry, entry.filter.captures(topic)?)));
        let Some((entry, captures)) = found else {
            let detail = "no [[topic]] has such a filter; the broker keeps one that an earlier file had: end it there";
            return (metrics::NO_DIALECT, refused("topic", Reason::NotAllowed, detail.to_owned()));
        };
        let name = entry.dialect.name();
        let limit = self.settings.payload_limit;
        if payload.is_empty() {
            // So a retained message is taken back.
            return (name, Message::Nothing);
        }
        if payload.len() > limit {
            let detail = format!("{} bytes; at most {limit} are allowed: payload_limit", payload.len());
            return (name, refused("payload", Reason::TooLarge, detail));
        }
        let topic = Topic::new(topic, &captures);
        let Entry { dialect, merge, .. } = entry;
        let parts = match dialect {
            Dialect::Json(station) => json(payload, &topic, station.as_ref()),
            Dialect::Weewx(station, options) => {
                let parts = station.fill(&topic, |_| None).map(|id| weewx::read(payload, now, &topic, id, *options));
                parts.unwrap_or_else(|rejection| vec![Err(rejection)])
            }
            Dialect::Rtl433(station, zone) => rtl433::read(payload, now, &topic, station, zone),
            Dialect::Ecowitt(station, options) => {
                let parts = station.fill(&topic, |_| None).map(|id| ecowitt::read(payload, now, id, *options));
                parts.unwrap_or_else(|rejection| vec![Err(rejection)])
            }
            Dialect::HomeAssistant(entities) => {
                let message = match homeassistant::read(topic.name, payload, now, entities, &self.units) {
                    // Of a state that the broker kept nobody knows how old it is.
                    Said::Part(_) | Said::WithoutUnit(_) if retained => Message::Nothing,
                    Said::Part(part) => Message::Parts(vec![part], *merge),
                    Said::WithoutUnit(entity) => Message::WithoutUnit(entity),
                    Said::Unit(entity, unit) => {
                        self.units.insert(entity.clone(), unit);
                        Message::Unit(entity)
                    }
                    Said::Nothing => Message::Nothing,
                };
                return (name, message);
            }
        };
        if parts.is_empty() { (name, Message::Nothing) } else { (name, Message::Parts(parts, *merge)) }
    }

    /// The refusal of a value whose unit was not told in time.
    pub(crate) fn without_unit(&self, entity: &str) -> Rejection {
        let mut entities = self.settings.topics.iter().filter_map(|entry| match &entry.dialect {
            Dialect::HomeAssistant(entities) => Some(entities),
            _ => None,
        });
        let known = entities.find(|all| all.contains_key(entity));
        homeassistant::without_unit(entity, known.unwrap_or(&homeassistant::Entities::new()))
    }
}

fn refused(field: &'static str, reason: Reason, detail: String) -> Message {
    Message::Parts(vec![Err(Rejection::new(field, reason, detail))], Duration::ZERO)
}

/// Our own dialect. The station of an item that names none is the topic's.
fn json(payload: &[u8], topic: &Topic<'_>, station: Option<&Template>) -> Parts {
    let named;
    let payload = match station {
        None => payload,
        Some(station) => match station.fill(topic, |_| None) {
            Ok(id) => {
                named = with_station(payload, id.as_str());
                &named
            }
            Err(rejection) => return vec![Err(rejection)],
        },
    };
    match dialect::read(Encoding::Json, payload) {
        Ok(items) => items.into_iter().map(|item| item.map(Part::from)).collect(),
        Err(unreadable) => {
            let why = match unreadable {
                Unreadable::Syntax(why) => why,
                Unreadable::TooMany => "too many items".to_owned(),
            };
            vec![Err(Rejection::new("payload", Reason::Unparseable, why))]
        }
    }
}

/// The same JSON with a station at the head of each object. One that an object names itself comes
/// after it, and so counts.
fn with_station(payload: &[u8], station: &str) -> Vec<u8> {
    let object = |text: &[u8]| match text.trim_ascii().strip_prefix(b"{") {
        Some(rest) if rest.trim_ascii_start().starts_with(b"}") => text.to_vec(),
        Some(rest) => [format!("{{\"station\":\"{station}\",").as_bytes(), rest].concat(),
        None => text.to_vec(),
    };
    match pieces::of_array(payload) {
        Some(all) => {
            let all: Vec<Vec<u8>> = all.into_iter().map(object).collect();
            [b"[", all.join(&b","[..]).as_slice(), b"]"].concat()
        }
        None => object(payload),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use weather::Variable;

    use super::*;
    use crate::mqtt::part::tests::is_possible;

    const FILE: &str = r#"
        broker = "mqtt://localhost"
        payload_limit = 2048
        [[topic]]
        filter = "wg/+/json"
        dialect = "json"
        station = "{1}"
        [[topic]]
        filter = "plain"
        dialect = "json"
        [[topic]]
        filter = "weather/#"
        dialect = "weewx"
        station = "roof"
        [[topic]]
        filter = "rtl_433/+/events"
        dialect = "rtl_433"
        station = "{1}:{model}-{id}"
        time = "utc"
        [[topic]]
        filter = "eco/+"
        dialect = "ecowitt"
        station = "{1}"
        [[topic]]
        filter = "ha/sensor/+/+"
        dialect = "homeassistant"
        station = "garden"
        entities = { t = "temperature", h = "relative_humidity" }
    "#;

    fn reader() -> Reader {
        Reader::new(Arc::new(Settings::parse(FILE, Path::new("")).unwrap()))
    }

    fn read(reader: &mut Reader, topic: &str, payload: &str, retained: bool) -> (&'static str, Message) {
        reader.read(topic, payload.as_bytes(), retained, Time::parse("2026-11-23T08:10:00Z").unwrap())
    }

    fn parts(topic: &str, payload: &str) -> Parts {
        match read(&mut reader(), topic, payload, false).1 {
            Message::Parts(parts, _) => parts,
            _ => Vec::new(),
        }
    }

    fn stations(topic: &str, payload: &str) -> Vec<String> {
        let id = |part: Result<Part, Rejection>| part.map_or_else(|r| r.field.into_owned(), |p| p.station.to_string());
        parts(topic, payload).into_iter().map(id).collect()
    }

    #[test]
    fn our_own_json_names_its_station_or_the_topic_does() {
        let with = |field: &str| format!(r#"{{{field}"time":"2026-11-23T08:00:00Z","temperature":1}}"#);
        let (own, bare) = (with(r#""station":"X1","#), with(""));
        assert_eq!(stations("wg/roof/json", &bare), ["roof"]);
        assert_eq!(stations("wg/roof/json", &own), ["X1"]);
        assert_eq!(stations("wg/roof/json", &format!(" [{own}, {bare}, 3]")), ["X1", "roof", "item"]);
        assert_eq!(stations("plain", &own), ["X1"]);
        assert_eq!(stations("plain", &bare), ["station"]);
        assert_eq!(stations("wg/roof/json", "{}"), ["time"]);
        assert_eq!(stations("wg/roof/json", "{"), ["payload"]);
    }

    #[test]
    fn each_topic_has_its_dialect() {
        assert_eq!(stations("weather/loop", r#"{"outTemp_C": "5"}"#), ["roof"]);
        assert!(stations("weather/outTemp_C", "5").is_empty());
        assert_eq!(stations("rtl_433/attic/events", r#"{"model":"m","id":7,"temperature_C":5}"#), ["attic:m-7"]);
        assert_eq!(stations("eco/gw", r#"{"tempf": 50}"#), ["gw"]);
        assert_eq!(stations("rtl_433/attic/states", "{}"), ["topic"]);
        assert_eq!(stations("plain", &"x".repeat(2049)), ["payload"]);
        assert!(stations("plain", "").is_empty());
        let waits = |topic, payload| match read(&mut reader(), topic, payload, false).1 {
            Message::Parts(_, merge) => merge.as_secs(),
            _ => 999,
        };
        assert_eq!(waits("rtl_433/a/events", r#"{"model":"m","temperature_C":5}"#), 30);
        assert_eq!(waits("eco/gw", r#"{"tempf": 50}"#), 0);
    }

    #[test]
    fn units_are_remembered_and_retained_states_are_not_news() {
        let mut reader = reader();
        assert!(matches!(read(&mut reader, "ha/sensor/t/state", "50", false).1, Message::WithoutUnit(_)));
        assert!(reader.without_unit("t").detail.contains("°F"));
        let told = read(&mut reader, "ha/sensor/t/unit_of_measurement", "\"°F\"", true).1;
        assert!(matches!(told, Message::Unit(entity) if entity == "t"));
        assert!(matches!(read(&mut reader, "ha/sensor/t/state", "50", true).1, Message::Nothing));
        let Message::Parts(parts, wait) = read(&mut reader, "ha/sensor/t/state", "50", false).1 else {
            panic!("no value")
        };
        let value = parts[0].as_ref().unwrap().values.get(Variable::Temperature).unwrap();
        assert!((value - 10.0).abs() < 1e-4 && wait.as_secs() == 10);
    }

    const TOPICS: [&str; 8] =
        ["wg/a/json", "plain", "weather/loop", "rtl_433/h/events", "eco/g", "ha/sensor/t/state", "é/+#", ""];

    proptest! {
        #[test]
        fn any_message_is_taken_or_refused(
            topic in prop::sample::select(TOPICS.to_vec()),
            payload in prop::collection::vec(any::<u8>(), 0..99),
        ) {
            if let Message::Parts(parts, _) = reader().read(topic, &payload, false, Time::now()).1 {
                is_possible(&parts);
            }
        }
    }
}
