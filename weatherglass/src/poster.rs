//! A client of the ingest door: what replay, simulate and the demo send through.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use weather::{Observation, Station};

/// How often a request is tried before the sender gives up.
const TRIES: u32 = 8;

/// The refusal of one item of a request.
#[derive(Deserialize)]
pub(crate) struct Refusal {
    /// Its place in the request, from 0.
    pub(crate) index: usize,
    pub(crate) field: String,
    pub(crate) reason: String,
    pub(crate) detail: String,
}

/// The door's answer to a request.
#[derive(Deserialize)]
pub(crate) struct Receipt {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) rejected: Vec<Refusal>,
}

/// The door's word that a request is wrong: sending it again would not help.
#[derive(Debug)]
pub(crate) struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// What became of everything sent so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    /// By `field: reason`, with the detail of the first.
    pub(crate) rejected: BTreeMap<String, (u64, String)>,
}

impl Account {
    pub(crate) fn rejections(&self) -> u64 {
        self.rejected.values().map(|(count, _)| count).sum()
    }

    fn add(&mut self, receipt: Receipt) {
        self.accepted += receipt.accepted;
        self.duplicates += receipt.duplicates;
        for refusal in receipt.rejected {
            let entry = self.rejected.entry(format!("{}: {}", refusal.field, refusal.reason));
            entry.or_insert((0, refusal.detail)).0 += 1;
        }
    }
}

/// Posts to one ingest door.
#[derive(Clone)]
pub(crate) struct Poster {
    client: Client,
    url: String,
    key: Option<String>,
    shutdown: CancellationToken,
}

impl Poster {
    /// A client of the door at `url`, with its bearer key if it asks for one.
    pub(crate) fn new(url: &str, key: Option<String>, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(60)).build()?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), key, shutdown })
    }

    /// Sends observations as one MessagePack body and adds the receipt to the account.
    pub(crate) async fn post(&self, observations: &[Observation], account: &mut Account) -> anyhow::Result<()> {
        account.add(self.deliver(observations).await?);
        Ok(())
    }

    /// Sends observations as one MessagePack body. Fails with [`Refused`] when the request as a whole is wrong.
    pub(crate) async fn deliver(&self, observations: &[Observation]) -> anyhow::Result<Receipt> {
        let body = rmp_serde::to_vec_named(observations)?;
        let text = self
            .send(|| {
                self.client
                    .post(format!("{}/v1/observations", self.url))
                    .header("content-type", "application/msgpack")
                    .body(body.clone())
            })
            .await?;
        serde_json::from_str(&text).with_context(|| format!("an unexpected answer: {text}"))
    }

    /// Registers a station, also one whose position is not known.
    pub(crate) async fn register(&self, station: &Station) -> anyhow::Result<()> {
        let mut body = serde_json::to_value(station)?;
        if let Some(fields) = body.as_object_mut() {
            fields.remove("id");
            for name in ["latitude", "longitude"] {
                fields.entry(name).or_insert(serde_json::Value::Null);
            }
        }
        self.send(|| self.client.put(format!("{}/v1/stations/{}", self.url, station.id)).json(&body)).await?;
        Ok(())
    }

    /// Sends until it is answered for good: a door that is busy or away is tried again, patiently.
    async fn send(&self, request: impl Fn() -> reqwest::RequestBuilder) -> anyhow::Result<String> {
        let mut wait = Duration::from_millis(100);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut request = request();
            if let Some(key) = &self.key {
                request = request.bearer_auth(key);
            }
            let failure = match request.send().await {
                Ok(response) => {
                    let status = response.status();
                    let text = response.text().await.unwrap_or_default();
                    match status {
                        s if s.is_success() => return Ok(text),
                        s if s.is_server_error() || s == StatusCode::TOO_MANY_REQUESTS => format!("{status}: {text}"),
                        _ => return Err(Refused(format!("{} answers {status}: {text}", self.url)).into()),
                    }
                }
                Err(error) => format!("{:#}", anyhow::Error::from(error)),
            };
            if attempt == TRIES {
                bail!("ingest at {} did not take the request after {TRIES} tries: {failure}", self.url);
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => wait *= 2,
                () = self.shutdown.cancelled() => bail!("stopped while ingest at {} was away: {failure}", self.url),
            }
        }
    }
}
