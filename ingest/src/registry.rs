//! What becomes of stations that nobody has registered, and the file of stations that are registered at
//! the start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ::metrics::counter;
use anyhow::{Context, anyhow, bail};
use serde::Deserialize;
use streams::key_ring::{Digest, digest, from_hex};
use streams::{Backoff, Error, KeyRecord, Redis, Registration, Scope};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use weather::{Station, StationId};

use crate::link::Link;
use crate::metrics;

/// The label of the keys of the file: those that it no longer names are revoked.
const LABEL: &str = "stations-file";
/// The shortest key that is let in.
const KEY_LENGTH: usize = 16;
/// The file may be so long, bytes.
const LONGEST_FILE: u64 = 64 * 1024 * 1024;

/// Settings of the registry.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Settings {
    /// What becomes of observations of a station that nobody has registered: `open` registers it, `confirm`
    /// refuses them until an operator accepts it; open without --auth, confirm with it.
    #[arg(long, env = "WEATHERGLASS_REGISTRATION", value_name = "open|confirm", hide_possible_values = true)]
    pub registration: Option<Registration>,
    /// File of stations to register at the start, as TOML: [[station]] with id, name, latitude, longitude,
    /// elevation, timezone, public, key_file, key_sha256.
    #[arg(long, env = "WEATHERGLASS_STATIONS_FILE", value_name = "FILE")]
    pub stations_file: Option<PathBuf>,
}

/// A station of the file, with the digests of its keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Declared {
    station: Station,
    keys: Vec<Digest>,
}

/// An entry of the file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    name: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    elevation: Option<f32>,
    timezone: Option<String>,
    #[serde(default = "yes")]
    public: bool,
    #[serde(default)]
    simulated: bool,
    /// Names a file that holds the key; relative to the folder of this one.
    key_file: Option<PathBuf>,
    /// SHA-256 of the key, in hexadecimal.
    key_sha256: Option<String>,
}

const fn yes() -> bool {
    true
}

impl Settings {
    /// The stations of the file.
    ///
    /// # Errors
    /// One line that names the file, the station and the field.
    pub(crate) fn declared(&self) -> anyhow::Result<Vec<Declared>> {
        let Some(file) = &self.stations_file else { return Ok(Vec::new()) };
        let read = || {
            let length = std::fs::metadata(file)?.len();
            anyhow::ensure!(length <= LONGEST_FILE, "it is longer than {} MiB", LONGEST_FILE >> 20);
            parse(&std::fs::read_to_string(file)?, file.parent().unwrap_or(Path::new("")))
        };
        read().with_context(|| format!("WEATHERGLASS_STATIONS_FILE {}", file.display()))
    }
}

fn parse(text: &str, folder: &Path) -> anyhow::Result<Vec<Declared>> {
    let file: toml::Table = text.parse().map_err(|e| one_line(&e))?;
    if let Some(other) = file.keys().find(|key| *key != "station") {
        bail!("{other}: only [[station]] is known");
    }
    let Some(toml::Value::Array(entries)) = file.get("station") else { bail!("it has no [[station]]") };
    let mut ids = BTreeSet::new();
    let mut declared = Vec::with_capacity(entries.len());
    for (number, entry) in entries.iter().enumerate() {
        let called = entry.get("id").and_then(toml::Value::as_str).map_or_else(
            || format!("station {}", number + 1),
            |id| format!("station {:?}", id.chars().take(weather::station::ID_LENGTH).collect::<String>()),
        );
        let one = declare(entry, folder).with_context(|| called.clone())?;
        if !ids.insert(one.station.id.clone()) {
            bail!("{called}: id: it stands there twice");
        }
        declared.push(one);
    }
    Ok(declared)
}

fn declare(entry: &toml::Value, folder: &Path) -> anyhow::Result<Declared> {
    let written: Written = entry.clone().try_into().map_err(|e| one_line(&e))?;
    let id = StationId::new(&written.id).map_err(|r| anyhow!("id: {}", r.detail))?;
    let station = Station {
        name: written.name.unwrap_or_else(|| id.as_str().to_owned()),
        id,
        latitude: written.latitude,
        longitude: written.longitude,
        elevation: written.elevation,
        timezone: written.timezone,
        public: written.public,
        simulated: written.simulated,
    };
    station.check().map_err(|r| anyhow!("{}: {}", r.field, r.detail))?;
    let mut keys = Vec::new();
    if let Some(hex) = &written.key_sha256 {
        keys.push(from_hex(hex).context("key_sha256: the SHA-256 of the key as 64 hexadecimal digits")?);
    }
    if let Some(name) = &written.key_file {
        let path = folder.join(name);
        let text = std::fs::read_to_string(&path).with_context(|| format!("key_file: {}", path.display()))?;
        let key = text.trim();
        if key.len() < KEY_LENGTH || key.contains(char::is_whitespace) {
            bail!("key_file: {}: one key of at least {KEY_LENGTH} characters", path.display());
        }
        keys.push(digest(key));
    }
    Ok(Declared { station, keys })
}

/// What TOML's errors say over several lines and a picture.
fn one_line(error: &toml::de::Error) -> anyhow::Error {
    let message = error.to_string();
    let said: Vec<&str> = message.lines().map(str::trim).filter(|l| !l.is_empty() && !l.contains('|')).collect();
    anyhow!("{}", said.join(", "))
}

/// Registers what the file says and Redis does not, trying again until Redis has it.
///
/// # Errors
/// When Redis refuses for good.
pub(crate) async fn register(declared: Vec<Declared>, link: Link, shutdown: CancellationToken) -> anyhow::Result<()> {
    let mut backoff = Backoff::default();
    while !declared.is_empty() {
        let step = async { settle(link.redis()?, &declared).await };
        match step.await {
            Ok(changed) => {
                info!(stations = declared.len(), changed, "the stations of the file are registered");
                break;
            }
            Err(error) if error.passes() => {
                counter!(metrics::REDIS_ERRORS, "kind" => error.label()).increment(1);
                if backoff.failures() == 0 {
                    warn!(%error, "the stations of the file can't be registered now");
                }
            }
            Err(error) => return Err(error).context("the stations of WEATHERGLASS_STATIONS_FILE"),
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.pause()) => {}
            () = shutdown.cancelled() => break,
        }
    }
    // A task that ends well is not missed.
    Ok(())
}

/// Returns how many stations were registered or described anew.
async fn settle(redis: &Redis, declared: &[Declared]) -> Result<usize, Error> {
    let ids: Vec<StationId> = declared.iter().map(|d| d.station.id.clone()).collect();
    let held = redis.stations(&ids).await?;
    let mut changed = 0;
    for (declared, held) in declared.iter().zip(held) {
        if held.as_ref() != Some(&declared.station) {
            redis.put_station(&declared.station).await?;
            counter!(metrics::STATIONS).increment(1);
            changed += 1;
        }
    }
    settle_keys(redis, declared).await?;
    Ok(changed)
}

/// Keys of the file open its stations; those that it named before and no longer does, nothing.
async fn settle_keys(redis: &Redis, declared: &[Declared]) -> Result<(), Error> {
    let ring = redis.key_ring().await?;
    let mut wanted: BTreeMap<Digest, Vec<Scope>> = BTreeMap::new();
    for Declared { station, keys } in declared {
        for key in keys {
            wanted.entry(*key).or_default().push(Scope::Station(station.id.clone()));
        }
    }
    for (digest, scopes) in &wanted {
        let held = ring.iter().find(|record| record.digest == *digest);
        let created = jiff::Timestamp::now().as_second();
        let new = KeyRecord { digest: *digest, scopes: scopes.clone(), label: LABEL.to_owned(), created };
        let record = match held {
            Some(held) if held.label == LABEL => KeyRecord { created: held.created, ..new },
            // Made otherwise: it keeps its name and what it opens beside.
            Some(held) => {
                let added = scopes.iter().filter(|scope| !held.scopes.contains(scope)).cloned();
                KeyRecord { scopes: held.scopes.iter().cloned().chain(added).collect(), ..held.clone() }
            }
            None => new,
        };
        if held != Some(&record) {
            redis.put_key(&record).await?;
        }
    }
    let ours: BTreeSet<Scope> = declared.iter().map(|d| Scope::Station(d.station.id.clone())).collect();
    for record in ring.iter().filter(|record| record.label == LABEL && !wanted.contains_key(&record.digest)) {
        if record.scopes.iter().all(|scope| ours.contains(scope)) {
            redis.drop_key(&record.digest).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use streams::server::RedisServer;

    #[test]
    fn a_bad_file_is_told_in_one_line_with_station_and_field() {
        let told = |text: &str| format!("{:#}", parse(text, Path::new("/nowhere")).unwrap_err());
        for (text, parts) in [
            ("", "no [[station]]"),
            ("[[station]]\nid = \"A\"\nlatitud = 1.0", "station \"A\": unknown field `latitud`"),
            ("[[station]]\nid = \"A\"\nlatitude = \"north\"", "station \"A\": |in `latitude`"),
            ("[[station]]\nid = \"A\"\nlatitude = 47.5", "station \"A\": longitude: "),
            ("[[station]]\nid = \"A\"\n[[station]]\nid = \"A\"", "station \"A\": id: |twice"),
            ("[[station]]\nid = \"a b\"", "station \"a b\": id: "),
            ("[[station]]\nname = \"x\"", "station 1: missing field `id`"),
            ("[[station]]\nid = \"A\"\ntimezone = \"Mars\"", "station \"A\": timezone: "),
            ("[[station]]\nid = \"A\"\nkey_sha256 = \"beef\"", "station \"A\": key_sha256: "),
            ("[[station]]\nid = \"A\"\nkey_file = \"key\"", "station \"A\": key_file: /nowhere/key"),
            ("[[stations]]\nid = \"A\"", "stations: only [[station]]"),
            ("[[station]\nid", "TOML parse error at line 1"),
        ] {
            let line = told(text);
            assert!(parts.split('|').all(|part| line.contains(part)) && !line.contains('\n'), "{text}: {line}");
        }
    }

    #[tokio::test]
    async fn what_the_file_says_is_registered_and_what_it_said_is_revoked() {
        let server = RedisServer::temporary().unwrap();
        let redis = Redis::connect(&server.config()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("roof.key"), "0123456789abcdef0123\n").unwrap();
        let file = folder.path().join("stations.toml");
        let text = "[[station]]\nid = \"A\"\nname = \"Roof\"\nlatitude = 47.5\nlongitude = 19.0\nkey_file = \"roof.key\"\n[[station]]\nid = \"B\"\n";
        std::fs::write(&file, text).unwrap();
        let settings = |file: &Path| Settings { stations_file: Some(file.to_owned()), ..Settings::default() };
        let declared = settings(&file).declared().unwrap();
        assert_eq!(settle(&redis, &declared).await.unwrap(), 2);
        assert_eq!(settle(&redis, &declared).await.unwrap(), 0, "nothing differs");
        let found = redis.stations(&[StationId::new("A").unwrap()]).await.unwrap();
        assert_eq!(found[0].as_ref().unwrap().name, "Roof");
        let key = redis.key(&digest("0123456789abcdef0123")).await.unwrap().unwrap();
        assert_eq!(key.scopes, ["A".parse().unwrap()]);
        let other = KeyRecord { digest: digest("other"), label: "mine".into(), ..key };
        redis.put_key(&other).await.unwrap();
        std::fs::write(&file, text.replace("key_file = \"roof.key\"\n", "")).unwrap();
        settle(&redis, &settings(&file).declared().unwrap()).await.unwrap();
        assert_eq!(redis.key_ring().await.unwrap(), [other]);
    }
}
