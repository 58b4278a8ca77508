//! The MQTT door: messages of a broker's topics, in the dialects of those who publish weather there.
//!
//! `settings.rs` reads the file that says which topic is what; `session.rs` holds the connection;
//! `keeper.rs` takes each message through `reader.rs` and the dialects' parsers, puts parts of one
//! observation together (`merge.rs`), keeps it, and has it acknowledged. A message is acknowledged
//! only when Redis or the spool has what it says, so the broker has it until then.

mod complaints;
mod ecowitt;
mod homeassistant;
mod keeper;
mod merge;
mod metrics;
mod part;
mod reader;
mod rtl433;
mod session;
mod settings;
mod template;
mod tls;
mod weewx;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use jiff::tz::TimeZone;
use rumqttc::Transport;
use tokio_util::sync::CancellationToken;
use weather::admission::Reason;
use weather::{Observation, Rejection, StationId, Time};

use self::homeassistant::{Entities, Said, Units};
use self::keeper::Keeper;
use self::part::{Part, Parts};
use self::session::Session;
use self::settings::Settings;
use self::template::{Template, Topic};
use crate::accept::Door;
use crate::rain::Gauges;

/// What the door can be told.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// TOML file of an MQTT broker, its topics and what they mean: see docs/mqtt.example.toml.
    #[arg(long = "mqtt", env = "WEATHERGLASS_MQTT", value_name = "FILE")]
    pub mqtt: Option<PathBuf>,
}

impl Args {
    /// The door that the file describes, if there is one.
    ///
    /// # Errors
    /// One line that names what is wrong in the file, or with a file that it names.
    pub(crate) fn open(&self) -> anyhow::Result<Option<Mqtt>> {
        let Some(path) = &self.mqtt else { return Ok(None) };
        let settings = Settings::load(path)?;
        let setting = || format!("WEATHERGLASS_MQTT {}", path.display());
        let transport = tls::transport(&settings.broker).with_context(setting)?;
        let password = match &settings.broker.password_file {
            None => None,
            Some(file) => {
                let name = || format!("{}: password_file {}", setting(), file.display());
                Some(std::fs::read_to_string(file).with_context(name)?.trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        Ok(Some(Mqtt { settings: Arc::new(settings), transport, password }))
    }
}

/// A door that is not connected yet.
pub(crate) struct Mqtt {
    settings: Arc<Settings>,
    transport: Transport,
    password: Option<String>,
}

impl Mqtt {
    /// Keeps what is published until `shutdown`.
    ///
    /// # Errors
    /// None; the result is that of the other parts of ingest.
    pub(crate) async fn run(self, door: Door, gauges: Gauges, shutdown: CancellationToken) -> anyhow::Result<()> {
        metrics::describe();
        let (session, arrivals, kept) = Session::new(&self.settings, self.transport, self.password);
        let keeper = Keeper::new((door, gauges), self.settings, arrivals, kept);
        tokio::join!(session.run(shutdown.clone()), keeper.run(shutdown));
        Ok(())
    }
}

fn observations(parts: Parts) -> Vec<Result<Observation, Rejection>> {
    parts.into_iter().map(|part| part.map(Part::alone)).collect()
}

/// What we make of an rtl_433 event by itself; its time is UTC unless it says otherwise.
pub(crate) fn decode_rtl433(line: &str, now: Time) -> Vec<Result<Observation, Rejection>> {
    let template = Template::parse("{model}-{id}-{channel}", 0, &rtl433::IDENTITY);
    let Ok(template) = template else { return Vec::new() };
    observations(rtl433::read(line.as_bytes(), now, &Topic::new("", &[]), &template, &TimeZone::UTC))
}

/// What we make of a WeeWX packet by itself, of a station called `weewx`.
pub(crate) fn decode_weewx(line: &str, now: Time) -> Vec<Result<Observation, Rejection>> {
    let packet =
        StationId::new("weewx").and_then(|id| weewx::packet(line.as_bytes(), now, id, weewx::Options::default()));
    observations(vec![packet])
}

/// What we make of a statestream's message by itself, written as topic, space, payload. Without a
/// configuration an entity has to be called as `STATION_VARIABLE`, and to speak in our units.
pub(crate) fn decode_homeassistant(line: &str, now: Time) -> Vec<Result<Observation, Rejection>> {
    let (topic, payload) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let refused = |detail: &str| vec![Err(Rejection::new("topic", Reason::UnknownField, detail.to_owned()))];
    let name = topic.rsplit('/').nth(1).unwrap_or_default();
    let Some(entity) = homeassistant::by_name(name) else {
        return refused(".../STATION_VARIABLE/state, such as homeassistant/sensor/garden_temperature/state");
    };
    let entities = Entities::from([(name.to_owned(), entity)]);
    match homeassistant::read(topic, payload.trim().as_bytes(), now, &entities, &Units::new()) {
        Said::Part(part) => observations(vec![part]),
        Said::WithoutUnit(_) => refused("a variable that is measured"),
        Said::Unit(..) | Said::Nothing => refused("a state that is there, and no attribute"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::decode;

    #[test]
    fn messages_can_be_decoded_one_by_one() {
        let now = Time::parse("2026-11-23T08:10:00Z").unwrap();
        for (name, fixture, good) in [
            ("rtl433", include_str!("../fixtures/mqtt/rtl_433.jsonl"), 5),
            ("weewx", include_str!("../fixtures/mqtt/weewx.jsonl"), 5),
            ("homeassistant", include_str!("../fixtures/mqtt/homeassistant.txt"), 3),
        ] {
            let all: Vec<_> = fixture.lines().flat_map(|line| decode(name, line, now).unwrap()).collect();
            assert_eq!(all.len(), fixture.lines().count(), "{name}");
            assert_eq!(all.iter().filter(|item| item.is_ok()).count(), good, "{name}: {all:?}");
        }
    }
}
