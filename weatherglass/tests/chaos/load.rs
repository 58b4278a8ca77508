//! What is sent: reports, resent reports, corrections, late ones, ones too old, and poison.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Client;
use serde_json::Value;
use weather::{Observation, Time};

use crate::stack::observation;

const STATIONS: usize = 24;
/// Between two requests of the sender.
const PAUSE: Duration = Duration::from_millis(3);

pub(crate) struct Load {
    rng: StdRng,
    url: String,
    redis_port: u16,
    begin: Time,
    /// Reports of each station so far.
    reported: [i64; STATIONS],
}

impl Load {
    pub(crate) fn new(seed: u64, url: String, redis_port: u16) -> Self {
        let begin = Time::from_unix((Time::now().hour() - 90) * 3600);
        Self { rng: StdRng::seed_from_u64(seed), url, redis_port, begin, reported: [0; STATIONS] }
    }

    /// Sends until `done`, one request after another, each again until it is answered with 202. Returns
    /// what was sent, in order.
    pub(crate) async fn send(
        mut self,
        client: Client,
        done: Arc<AtomicBool>,
        sent: Arc<AtomicUsize>,
    ) -> Vec<Observation> {
        let mut log: Vec<Observation> = Vec::new();
        while !done.load(Ordering::SeqCst) {
            if self.rng.random_bool(0.01) {
                self.poison();
            }
            let mut batch = self.batch(&log);
            let receipt = self.deliver(&client, &batch).await;
            sent.fetch_add(batch.len(), Ordering::SeqCst);
            // What was just let in may be past it when it is sent again, minutes later.
            for refusal in receipt["rejected"].as_array().unwrap().iter().rev() {
                assert_eq!(refusal["reason"], "past_retention", "{receipt}");
                batch.remove(usize::try_from(refusal["index"].as_u64().unwrap()).unwrap());
            }
            log.extend(batch);
            tokio::time::sleep(PAUSE).await;
        }
        log
    }

    /// Posts until the answer is 202; returns the receipt.
    async fn deliver(&self, client: &Client, batch: &[Observation]) -> Value {
        loop {
            let answer = client.post(&self.url).timeout(Duration::from_secs(8)).json(batch).send().await;
            match answer {
                Ok(answer) if answer.status() == 202 => {
                    if let Ok(receipt) = answer.json().await {
                        return receipt;
                    }
                }
                Ok(answer) if answer.status() != 503 => panic!("{}", answer.text().await.unwrap()),
                _ => tokio::time::sleep(Duration::from_millis(30)).await,
            }
        }
    }

    /// One report, or the same hour of many stations.
    fn batch(&mut self, log: &[Observation]) -> Vec<Observation> {
        if self.rng.random_bool(0.05) {
            return (0..STATIONS).map(|station| self.newest(station)).collect();
        }
        let earlier = if log.is_empty() { None } else { Some(&log[self.rng.random_range(0..log.len())]) };
        let station = self.rng.random_range(0..STATIONS);
        match (self.rng.random_range(0..20), earlier) {
            (0..2, Some(earlier)) => vec![earlier.clone()],
            (2..4, Some(earlier)) => {
                let value = self.value();
                vec![observation(earlier.station.as_str(), earlier.time, value)]
            }
            // Between two reports that came long ago.
            (4..6, Some(earlier)) => {
                let (time, value) = (earlier.time - self.rng.random_range(1..50), self.value());
                vec![observation(earlier.station.as_str(), time, value)]
            }
            // Just let in, and older than the window of a station whose newest report is of now.
            (6, Some(earlier)) => {
                let (time, value) = (Time::now() - 96 * 3600 + 120, self.value());
                vec![observation(earlier.station.as_str(), time, value)]
            }
            (7, _) => {
                let value = self.value();
                vec![observation(&format!("S{station}"), Time::from_unix(Time::now().unix() / 60 * 60), value)]
            }
            _ => vec![self.newest(station)],
        }
    }

    /// The station's next report: a minute after the one before.
    fn newest(&mut self, station: usize) -> Observation {
        self.reported[station] += 1;
        let time = self.begin + self.reported[station] * 60;
        let value = self.value();
        observation(&format!("S{station}"), time, value)
    }

    fn value(&mut self) -> f32 {
        self.rng.random_range(-80..240) as f32 / 10.0
    }

    /// An entry that is not ours, straight into a stream; if Redis is away there is none.
    fn poison(&mut self) {
        let partition = self.rng.random_range(0..16);
        let field = if self.rng.random_bool(0.5) { "v" } else { "other" };
        let mut add = Command::new("redis-cli");
        add.args(["-p", &self.redis_port.to_string(), "XADD", &format!("{{wg:{partition}}}:obs"), "*"]);
        let mut child = add.args([field, "poison"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // A paused Redis must not hold up the sender.
        std::thread::spawn(move || child.wait());
    }
}
