//! The file that says where the broker is and what its topics mean: `docs/mqtt.example.toml`.

mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::tz::TimeZone;
use weather::{StationId, Variable};

use self::table::Table;
use super::homeassistant::{Entities, Entity};
use super::template::{Filter, Template};
use super::{ecowitt, rtl433, weewx};
use crate::units::Unit;

/// Topic entries of one file.
const MOST_TOPICS: usize = 256;
/// Entities of one entry.
const MOST_ENTITIES: usize = 1024;

/// Everything the file says.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) broker: Broker,
    /// The largest message that is read, bytes.
    pub(crate) payload_limit: usize,
    pub(crate) topics: Vec<Entry>,
}

/// How the broker is reached.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) client_id: String,
    pub(crate) username: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    /// The client's certificate and its key.
    pub(crate) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) keep_alive: Duration,
    /// How many messages the broker sends before it waits for acknowledgements.
    pub(crate) in_flight: u16,
}

/// What the messages under one filter mean.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) filter: Filter,
    pub(crate) dialect: Dialect,
    /// How long the parts of an observation wait for each other; not at all when zero.
    pub(crate) merge: Duration,
}

/// A language of messages, and what the file says of it.
#[derive(Clone, Debug)]
pub(crate) enum Dialect {
    /// Our own; the template is of the station of payloads that name none.
    Json(Option<Template>),
    Weewx(Template, weewx::Options),
    Rtl433(Template, TimeZone),
    Ecowitt(Template, ecowitt::Options),
    HomeAssistant(Entities),
}

impl Dialect {
    /// Every name, as in the file and on metrics.
    pub(crate) const NAMES: [&'static str; 5] = ["json", "weewx", "rtl_433", "ecowitt", "homeassistant"];

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Json(_) => Self::NAMES[0],
            Self::Weewx(..) => Self::NAMES[1],
            Self::Rtl433(..) => Self::NAMES[2],
            Self::Ecowitt(..) => Self::NAMES[3],
            Self::HomeAssistant(_) => Self::NAMES[4],
        }
    }
}

impl Settings {
    /// Reads the file.
    ///
    /// # Errors
    /// One line: the file, the entry, the field, what it was, what is allowed.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let setting = || format!("WEATHERGLASS_MQTT {}", path.display());
        let text = std::fs::read_to_string(path).with_context(setting)?;
        Self::parse(&text, path.parent().unwrap_or(Path::new(""))).with_context(setting)
    }

    /// Reads the text of a file in `folder`, from which relative paths begin.
    pub(crate) fn parse(text: &str, folder: &Path) -> anyhow::Result<Self> {
        let parsed: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line =
                error.span().map_or(1, |span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
            anyhow::anyhow!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        let mut table = Table::new(String::new(), parsed);
        let topics = table.tables("topic")?;
        if topics.is_empty() || topics.len() > MOST_TOPICS {
            bail!("[[topic]]: {} of them; 1 to {MOST_TOPICS} are allowed", topics.len());
        }
        let broker = broker(&mut table, folder)?;
        let payload_limit = table.integer("payload_limit", 1024, 8 << 20)?.unwrap_or(256 << 10) as usize;
        table.finish()?;
        let topics = topics.into_iter().map(entry).collect::<anyhow::Result<_>>()?;
        Ok(Self { broker, payload_limit, topics })
    }
}

fn broker(table: &mut Table, folder: &Path) -> anyhow::Result<Broker> {
    const URL: &str = "mqtt://HOST:PORT or mqtts://HOST:PORT";
    let url = table.text("broker")?.with_context(|| format!("broker is missing: {URL}"))?;
    let (host, port, tls) = address(&url).with_context(|| format!("broker: {url:?} is not {URL}"))?;
    let client_id = table.text("client_id")?.unwrap_or_else(|| "weatherglass".to_owned());
    if client_id.is_empty() || client_id.len() > 128 || client_id.chars().any(char::is_control) {
        bail!("client_id: 1 to 128 characters, which no other client of the broker has");
    }
    let mut path = |name: &str| Ok::<_, anyhow::Error>(table.text(name)?.map(|file| folder.join(file)));
    let (password_file, ca_file) = (path("password_file")?, path("ca_file")?);
    let certificate = (path("client_certificate_file")?, path("client_key_file")?);
    let username = table.text("username")?;
    let client_certificate = match certificate {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => bail!("client_certificate_file and client_key_file go together: give both or neither"),
    };
    if !tls && (ca_file.is_some() || client_certificate.is_some()) {
        bail!("broker: {url:?} has no TLS, in which ca_file and client_certificate_file are used: mqtts://HOST:PORT");
    }
    if username.is_none() && password_file.is_some() {
        bail!("username is missing: a password_file goes with one");
    }
    let keep_alive = Duration::from_secs(table.integer("keep_alive", 5, 3600)?.unwrap_or(30) as u64);
    let in_flight = table.integer("in_flight", 2, 10_000)?.unwrap_or(20) as u16;
    Ok(Broker {
        host,
        port,
        tls,
        client_id,
        username,
        password_file,
        ca_file,
        client_certificate,
        keep_alive,
        in_flight,
    })
}

/// Host, port and whether it is TLS.
fn address(url: &str) -> Option<(String, u16, bool)> {
    let (scheme, rest) = url.split_once("://")?;
    let (tls, usual) = match scheme {
        "mqtt" => (false, 1883),
        "mqtts" => (true, 8883),
        _ => return None,
    };
    let rest = rest.trim_end_matches('/');
    // An IPv6 address has colons of its own, and stands in brackets.
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (rest, usual),
    };
    let name = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let good = !name.is_empty() && name.chars().all(allowed) && (name.len() < host.len() || !host.contains(':'));
    good.then(|| (host.to_owned(), port, tls))
}

fn entry(mut table: Table) -> anyhow::Result<Entry> {
    const DIALECTS: &str = "json, weewx, rtl_433, ecowitt or homeassistant";
    let text = table.required("filter", "an MQTT topic filter")?;
    let filter = Filter::parse(&text).map_err(|allowed| table.wrong("filter", &text, allowed))?;
    table.also(filter.as_str());
    let name = table.required("dialect", DIALECTS)?;
    let dialect = match name.as_str() {
        "json" => Dialect::Json(template(&mut table, &filter, &[])?),
        "weewx" => {
            let system = table.one_of("units", &weewx::System::NAMES)?;
            let single = table.boolean("single_values")?.unwrap_or(false);
            Dialect::Weewx(station(&mut table, &filter, &[])?, weewx::Options { system, single })
        }
        "rtl_433" => {
            let zone = zone(&mut table)?;
            Dialect::Rtl433(station(&mut table, &filter, &rtl433::IDENTITY)?, zone)
        }
        "ecowitt" => {
            let imperial = table.one_of("units", &[("metric", false), ("imperial", true)])?.unwrap_or(false);
            let prefer_piezo = table.boolean("prefer_piezo")?.unwrap_or(false);
            Dialect::Ecowitt(station(&mut table, &filter, &[])?, ecowitt::Options { imperial, prefer_piezo })
        }
        "homeassistant" => Dialect::HomeAssistant(entities(&mut table)?),
        _ => return Err(table.wrong("dialect", &name, DIALECTS)),
    };
    let usual = match &dialect {
        Dialect::Rtl433(..) => 30,
        Dialect::HomeAssistant(_) | Dialect::Weewx(_, weewx::Options { single: true, .. }) => 10,
        _ => 0,
    };
    let merge = match &dialect {
        Dialect::Json(_) => 0,
        _ => table.integer("merge", 0, 600)?.unwrap_or(usual),
    };
    table.finish()?;
    Ok(Entry { filter, dialect, merge: Duration::from_secs(merge as u64) })
}

fn template(table: &mut Table, filter: &Filter, members: &[&str]) -> anyhow::Result<Option<Template>> {
    let Some(text) = table.text("station")? else { return Ok(None) };
    let template = Template::parse(&text, filter.wildcards(), members);
    template.map(Some).map_err(|allowed| table.wrong("station", &text, &allowed))
}

fn station(table: &mut Table, filter: &Filter, members: &[&str]) -> anyhow::Result<Template> {
    template(table, filter, members)?.ok_or_else(|| table.missing("station", "a station's id, or a template of one"))
}

fn zone(table: &mut Table) -> anyhow::Result<TimeZone> {
    const ZONES: &str = "utc, local (this machine's), or an IANA name such as Europe/Budapest";
    match table.text("time")?.as_deref() {
        None | Some("local") => Ok(TimeZone::system()),
        Some("utc") => Ok(TimeZone::UTC),
        Some(name) => TimeZone::get(name).map_err(|_| table.wrong("time", name, ZONES)),
    }
}

/// `entity = "variable"`, or `entity = { variable, station, unit, counter }`.
fn entities(table: &mut Table) -> anyhow::Result<Entities> {
    let usual = match table.text("station")? {
        None => None,
        Some(id) => Some(StationId::new(&id).map_err(|rejection| table.wrong("station", &id, &rejection.detail))?),
    };
    let mut all = Entities::new();
    for (name, mut says) in table.named("entities", "variable")? {
        let text = says.required("variable", "a variable's name")?;
        let measured = |v: &Variable| !Unit::names_for(*v).is_empty();
        let variable = Variable::from_name(&text).filter(measured).ok_or_else(|| {
            let names: Vec<&str> = Variable::ALL.into_iter().filter(measured).map(Variable::name).collect();
            says.wrong("variable", &text, &names.join(", "))
        })?;
        let station = match says.text("station")? {
            Some(id) => Some(StationId::new(&id).map_err(|rejection| says.wrong("station", &id, &rejection.detail))?),
            None => usual.clone(),
        };
        let station = station.ok_or_else(|| says.missing("station", "a station's id, here or in the [[topic]]"))?;
        let unit = match says.text("unit")? {
            Some(name) => Some(
                Unit::named(&name)
                    .filter(|unit| unit.measures(variable))
                    .ok_or_else(|| says.wrong("unit", &name, &Unit::names_for(variable)))?,
            ),
            None => None,
        };
        let counter = says.boolean("counter")?.unwrap_or(false);
        if counter && variable != Variable::Precipitation {
            return Err(says.wrong("counter", "true", "only precipitation is counted"));
        }
        says.finish()?;
        all.insert(name, Entity { station, variable, unit, counter });
    }
    match all.len() {
        1..=MOST_ENTITIES => Ok(all),
        count => Err(table.wrong(
            "entities",
            &count.to_string(),
            "1 to 1024 lines such as garden_temperature = \"temperature\"",
        )),
    }
}

#[cfg(test)]
mod tests;
