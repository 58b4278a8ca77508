//! `weatherglass stations`: who may send, who waits to be let in, and what each sent last.

use std::collections::HashMap;
use std::io::Write as _;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use streams::key_ring::{digest, generate};
use streams::{Contact, Contacts, KeyRecord, Redis, RedisConfig, Scope, Unconfirmed, Verdict};
use weather::{Station, StationId};

/// Stations whose contacts are read together.
const PAGE: usize = 200;

/// `weatherglass stations`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    redis: RedisConfig,
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// A line for each: where it stands, its keys, when something of it got in last, and what was refused since.
    List {
        /// Only those that came unregistered and wait to be accepted.
        #[arg(long)]
        unconfirmed: bool,
        /// One JSON object a line, with the last contacts whole.
        #[arg(long)]
        json: bool,
    },
    /// Everything about one, with what it sent last.
    Show {
        /// Its identifier.
        #[arg(value_parser = station_id)]
        id: StationId,
    },
    /// Registers a station, or with --update changes what is said of one.
    Add {
        /// Its identifier: 1 to 64 of A-Z a-z 0-9 _ . : -
        #[arg(value_parser = station_id)]
        id: StationId,
        #[command(flatten)]
        about: About,
        /// Changes a registered one; what is not given stays.
        #[arg(long)]
        update: bool,
        /// Makes a key that opens it, and shows it this once.
        #[arg(long)]
        key: bool,
    },
    /// Makes a key for a station or a network, and shows it this once; or revokes one.
    Key {
        /// A station's identifier, or PREFIX* for all whose identifiers begin so (in quotes, for the shell).
        #[arg(value_parser = scope)]
        scope: Scope,
        /// What to call it; key-1, key-2, ... if not given.
        #[arg(long, conflicts_with_all = ["revoke", "list"])]
        label: Option<String>,
        /// Revokes the key of that label: within seconds it opens nothing.
        #[arg(long, value_name = "LABEL", conflicts_with = "list")]
        revoke: Option<String>,
        /// Lists the labels of its keys. The keys themselves nobody has.
        #[arg(long)]
        list: bool,
    },
    /// Lets in a station that waits: what it sends next is taken.
    Accept {
        /// What it calls itself.
        #[arg(value_parser = station_id)]
        id: StationId,
        #[command(flatten)]
        about: About,
        /// Makes a key that opens it, and shows it this once.
        #[arg(long)]
        key: bool,
    },
    /// Forgets a station: description, readings, forecast, contacts, and the keys that open only it.
    Remove {
        /// Its identifier.
        #[arg(value_parser = station_id)]
        id: StationId,
    },
}

/// What can be said of a station.
#[derive(clap::Args)]
struct About {
    /// What people call it; its identifier if not given.
    #[arg(long)]
    name: Option<String>,
    /// Degrees north.
    #[arg(long, allow_hyphen_values = true, requires = "longitude")]
    latitude: Option<f64>,
    /// Degrees east.
    #[arg(long, allow_hyphen_values = true, requires = "latitude")]
    longitude: Option<f64>,
    /// Metres above sea level.
    #[arg(long, allow_hyphen_values = true)]
    elevation: Option<f32>,
    /// IANA name, such as Europe/Budapest.
    #[arg(long)]
    timezone: Option<String>,
    /// Whether everybody may see it.
    #[arg(long, value_name = "true|false")]
    public: Option<bool>,
}

impl About {
    /// The station with what was said of it.
    fn tell(self, station: Station) -> anyhow::Result<Station> {
        let told = Station {
            name: self.name.unwrap_or(station.name),
            latitude: self.latitude.or(station.latitude),
            longitude: self.longitude.or(station.longitude),
            elevation: self.elevation.or(station.elevation),
            timezone: self.timezone.or(station.timezone),
            public: self.public.unwrap_or(station.public),
            ..station
        };
        told.check().map_err(|rejection| anyhow::anyhow!("--{}: {}", rejection.field, rejection.detail))?;
        Ok(told)
    }
}

fn station_id(text: &str) -> Result<StationId, String> {
    StationId::new(text).map_err(|rejection| rejection.detail)
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).map_err(|rejection| rejection.detail)
}

/// Runs it.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let redis = Redis::connect(&args.redis)
        .await
        .with_context(|| format!("stations can't use Redis at {}", args.redis.address()))?;
    match args.what {
        What::List { unconfirmed: true, json } => list_unconfirmed(&redis, json).await,
        What::List { unconfirmed: false, json } => list(&redis, json).await,
        What::Show { id } => show(&redis, id).await,
        What::Add { id, about, update, key } => add(&redis, id, about, update, key).await,
        What::Key { scope, revoke: Some(label), .. } => revoke(&redis, &scope, &label).await,
        What::Key { scope, list: true, .. } => list_keys(&redis, &scope).await,
        What::Key { scope, label, .. } => {
            if let Scope::Station(id) = &scope {
                let known = registered(&redis, id).await?.is_some() || redis.waits(id).await?.is_some();
                ensure!(known, "{id}: there is no such station: `weatherglass stations add {id}` registers it");
            }
            make_key(&redis, scope, label).await
        }
        What::Accept { id, about, key } => accept(&redis, id, about, key).await,
        What::Remove { id } => {
            ensure!(redis.remove_station(&id).await?, "{id}: nothing is known of it");
            println!("{id} is removed");
            Ok(())
        }
    }
}

async fn registered(redis: &Redis, id: &StationId) -> anyhow::Result<Option<Station>> {
    Ok(redis.stations(std::slice::from_ref(id)).await?.into_iter().next().flatten())
}

async fn add(redis: &Redis, id: StationId, about: About, update: bool, key: bool) -> anyhow::Result<()> {
    let held = registered(redis, &id).await?;
    ensure!(held.is_none() || update, "{id}: it is registered; --update changes what is said of it");
    ensure!(held.is_some() || !update, "{id}: there is no such station; without --update it is registered");
    let station = about.tell(held.unwrap_or_else(|| Station::unregistered(id.clone())))?;
    redis.put_station(&station).await?;
    println!("{id} is {}", if update { "described anew" } else { "registered" });
    if key { make_key(redis, Scope::Station(id), None).await } else { Ok(()) }
}

async fn accept(redis: &Redis, id: StationId, about: About, key: bool) -> anyhow::Result<()> {
    if registered(redis, &id).await?.is_some() {
        bail!("{id}: it is registered already");
    }
    ensure!(
        redis.waits(&id).await?.is_some(),
        "{id}: it does not wait (`weatherglass stations list --unconfirmed` names those that do); `weatherglass stations add {id}` registers one that has not come yet"
    );
    redis.put_station(&about.tell(Station::unregistered(id.clone()))?).await?;
    println!("{id} is accepted: what it sends from now on is taken");
    if key { make_key(redis, Scope::Station(id), None).await } else { Ok(()) }
}

/// The keys that open just this.
async fn keys_of(redis: &Redis, scope: &Scope) -> anyhow::Result<Vec<KeyRecord>> {
    let all = redis.key_ring().await?;
    Ok(all.into_iter().filter(|record| record.scopes.contains(scope)).collect())
}

async fn make_key(redis: &Redis, scope: Scope, label: Option<String>) -> anyhow::Result<()> {
    let held = keys_of(redis, &scope).await?;
    let taken = |label: &str| held.iter().any(|record| record.label == label);
    let label = match label {
        Some(label) => label,
        None => (1..).map(|n| format!("key-{n}")).find(|label| !taken(label)).unwrap_or_default(),
    };
    let fits = (1..=100).contains(&label.chars().count()) && !label.chars().any(char::is_control);
    ensure!(fits, "--label: 1 to 100 characters and no control characters");
    ensure!(!taken(&label), "{scope} has a key {label:?}: revoke it with --revoke, or choose another --label");
    let key = generate();
    let created = Timestamp::now().as_second();
    let record = KeyRecord { digest: digest(&key), scopes: vec![scope.clone()], label: label.clone(), created };
    redis.put_key(&record).await?;
    eprintln!("the key {label:?} of {scope}; it is not shown again:");
    println!("{key}");
    Ok(())
}

async fn revoke(redis: &Redis, scope: &Scope, label: &str) -> anyhow::Result<()> {
    let found: Vec<KeyRecord> =
        keys_of(redis, scope).await?.into_iter().filter(|record| record.label == label).collect();
    ensure!(!found.is_empty(), "{scope} has no key {label:?}: --list names those that it has");
    for record in found {
        // One that opens something else as well goes on doing so.
        let rest: Vec<Scope> = record.scopes.iter().filter(|other| *other != scope).cloned().collect();
        match rest.is_empty() {
            true => drop(redis.drop_key(&record.digest).await?),
            false => redis.put_key(&KeyRecord { scopes: rest, ..record }).await?,
        }
    }
    println!("the key {label:?} of {scope} is revoked");
    Ok(())
}

async fn list_keys(redis: &Redis, scope: &Scope) -> anyhow::Result<()> {
    for record in keys_of(redis, scope).await? {
        let made = Timestamp::from_second(record.created).map_or_else(|_| "?".to_owned(), |time| time.to_string());
        println!("{}  made {made}", record.label);
    }
    Ok(())
}

async fn show(redis: &Redis, id: StationId) -> anyhow::Result<()> {
    let (station, waiting) = (registered(redis, &id).await?, redis.waits(&id).await?);
    let contacts = redis.contacts(std::slice::from_ref(&id)).await?.into_iter().next().unwrap_or_default();
    ensure!(station.is_some() || waiting.is_some() || contacts.last().is_some(), "{id}: nothing is known of it");
    let keys = labels(&keys_of(redis, &Scope::Station(id.clone())).await?);
    let whole = json!({
        "id": id,
        "station": station,
        "unconfirmed": waiting.as_ref().map(seen),
        "keys": keys,
        "accepted": contacts.accepted.as_ref().map(shown),
        "rejected": contacts.rejected.as_ref().map(shown),
    });
    println!("{}", serde_json::to_string_pretty(&whole)?);
    Ok(())
}

async fn list(redis: &Redis, json: bool) -> anyhow::Result<()> {
    let mut keys: HashMap<Scope, Vec<KeyRecord>> = HashMap::new();
    for record in redis.key_ring().await? {
        for scope in &record.scopes {
            keys.entry(scope.clone()).or_default().push(record.clone());
        }
    }
    let mut count = 0;
    for partition in 0..redis.keys().partitions() {
        let mut stations = redis.descriptions(partition).await?;
        stations.sort_by(|a, b| a.id.cmp(&b.id));
        for page in stations.chunks(PAGE) {
            let ids: Vec<StationId> = page.iter().map(|station| station.id.clone()).collect();
            for (station, contacts) in page.iter().zip(redis.contacts(&ids).await?) {
                count += 1;
                let scope = Scope::Station(station.id.clone());
                let own = keys.get(&scope).map_or(&[][..], Vec::as_slice);
                let line =
                    if json { whole(station, own, &contacts)?.to_string() } else { row(station, own, &contacts) };
                // Whoever listens to `head` has heard enough.
                if writeln!(std::io::stdout(), "{line}").is_err() {
                    return Ok(());
                }
            }
        }
    }
    if !json {
        let networks: Vec<String> = keys
            .iter()
            .filter(|(scope, _)| !matches!(scope, Scope::Station(_)))
            .map(|(scope, held)| format!("{scope} has the keys {}", labels(held).join(", ")))
            .collect();
        networks.iter().for_each(|line| eprintln!("{line}"));
        eprintln!("{count} stations, {} wait to be accepted", redis.unconfirmed_count().await?);
    }
    Ok(())
}

fn labels(keys: &[KeyRecord]) -> Vec<String> {
    keys.iter().map(|record| record.label.clone()).collect()
}

fn whole(station: &Station, keys: &[KeyRecord], contacts: &Contacts) -> anyhow::Result<Value> {
    let mut line = serde_json::to_value(station)?;
    line["keys"] = json!(labels(keys));
    line["accepted"] = json!(contacts.accepted.as_ref().map(shown));
    line["rejected"] = json!(contacts.rejected.as_ref().map(shown));
    Ok(line)
}

fn row(station: &Station, keys: &[KeyRecord], contacts: &Contacts) -> String {
    let place = station.position().map_or_else(|| "no position".to_owned(), |(lat, lon)| format!("{lat:.3},{lon:.3}"));
    let heard = contacts.accepted.as_ref().map_or_else(|| "never".to_owned(), |c| clock(c.time));
    let mut line = format!("{}  {}  {place}  keys {}  last in {heard}", station.id, station.name, keys.len());
    if let Some(Contact { time, verdict: Verdict::Rejected(refused), .. }) = contacts.last() {
        line += &format!("  REFUSED {}  {}: {} ({})", clock(*time), refused.field, refused.reason, refused.detail);
    }
    line
}

async fn list_unconfirmed(redis: &Redis, json: bool) -> anyhow::Result<()> {
    let waiting = redis.unconfirmed().await?;
    for page in waiting.chunks(PAGE) {
        let ids: Vec<StationId> = page.iter().map(|one| one.station.clone()).collect();
        for (one, contacts) in page.iter().zip(redis.contacts(&ids).await?) {
            let line = if json {
                let mut line = seen(one);
                line["rejected"] = json!(contacts.rejected.as_ref().map(shown));
                line.to_string()
            } else {
                let reason = match contacts.rejected.as_ref().map(|c| &c.verdict) {
                    Some(Verdict::Rejected(refused)) => format!("{}: {}", refused.field, refused.reason),
                    _ => String::new(),
                };
                let (first, last) = (clock(one.first), clock(one.last));
                format!("{}  first {first}  last {last}  refused {}  {reason}", one.station, one.refused)
            };
            if writeln!(std::io::stdout(), "{line}").is_err() {
                return Ok(());
            }
        }
    }
    if !json {
        eprintln!("{} wait; `weatherglass stations accept ID` lets one in", waiting.len());
    }
    Ok(())
}

fn seen(one: &Unconfirmed) -> Value {
    json!({"id": one.station, "first": clock(one.first), "last": clock(one.last), "refused": one.refused})
}

fn shown(contact: &Contact) -> Value {
    let mut shown = json!({
        "time": clock(contact.time),
        "door": contact.door,
        "remote": contact.remote,
        "outcome": contact.verdict.label(),
        "raw": contact.raw,
        "cut": contact.cut,
    });
    if let Verdict::Rejected(refused) = &contact.verdict {
        shown["field"] = json!(refused.field);
        shown["reason"] = json!(refused.reason);
        shown["detail"] = json!(refused.detail);
    }
    shown
}

/// RFC 3339, of milliseconds since 1970.
fn clock(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map_or_else(|_| milliseconds.to_string(), |time| time.to_string())
}
