//! The door beside `redis-benchmark`'s XADD of the same payload at the same pipelining.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use streams::{Entry, Received};
use weather::{Flags, Time};

use super::client::{Body, Format, bodies, flood};
use super::stack::Stack;
use super::table::{Table, Wanted};
use crate::bench::median;
use crate::simulate::Network;

/// Stations that report in turn.
const STATIONS: usize = 2048;
/// Rounds, in each of which everything is measured in turn; medians are taken.
const ROUNDS: usize = 3;
/// What redis-benchmark may at most be asked for at once.
const MOST_REQUESTS: f64 = 5e6;

/// A way to post.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) format: Format,
    /// Observations per request.
    pub(super) batch: usize,
    pub(super) connections: usize,
}

/// One by one, and in batches.
pub(super) const WAYS: [Way; 3] = [
    Way { name: "single posts, JSON", format: Format::Json, batch: 1, connections: 16 },
    Way { name: "batches of 256, NDJSON", format: Format::Ndjson, batch: 256, connections: 4 },
    Way { name: "batches of 256, MessagePack", format: Format::MessagePack, batch: 256, connections: 4 },
];

/// What posting cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Posted {
    pub(super) per_second: f64,
    /// Microseconds of processor time per observation: of the door's process, and of Redis's.
    pub(super) door: f64,
    pub(super) redis: f64,
    /// Commands per observation: sent, and run by scripts.
    pub(super) sent: f64,
    pub(super) inside: f64,
}

/// Measures every way, each on a Redis of its own, with its reference.
pub(super) async fn run(table: &mut Table, time: Duration) -> anyhow::Result<()> {
    table.section("Ingest: POST /v1/observations to the stream");
    let network = Network::new(1, STATIONS);
    for way in WAYS {
        let all = bodies(&network, way.format, way.batch)?;
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(post(&all, way, time).await?);
            let stack = Stack::start().await?;
            reference.extend(redis_benchmark(stack.port(), &network, way, time)?);
        }
        show(table, way, &ours, &reference);
    }
    table.note(
        "Redis, its append-only file, the door and the sender of requests share the machine; redis-benchmark, which \
         checks and parses nothing, has only Redis beside it. Redis does not rewrite its file meanwhile.",
    );
    Ok(())
}

fn show(table: &mut Table, way: Way, ours: &[Posted], reference: &[f64]) {
    let of = |part: fn(&Posted) -> f64| median(ours.iter().map(part));
    // Single posts are judged against another stack, not against Redis: HTTP is most of them.
    let wanted = (way.batch > 1).then_some(Wanted::AtLeast(0.5));
    let figure = (of(|p| p.per_second), "observations/s");
    if reference.is_empty() {
        table.row(way.name, figure, None, None);
        table.note("redis-benchmark is not installed (redis-tools): its ratio is left out.");
    } else {
        table.row(way.name, figure, Some((median(reference.iter().copied()), "redis-benchmark XADD/s")), wanted);
    }
    table.row("  processor time of the door", (of(|p| p.door), "us/observation"), None, None);
    table.row("  processor time of Redis", (of(|p| p.redis), "us/observation"), None, None);
    table.row("  commands sent to Redis", (of(|p| p.sent), "/observation"), None, Some(Wanted::AtMost(2.0)));
    table.row("  commands run within scripts", (of(|p| p.inside), "/observation"), None, None);
}

/// Posts for a while to a door on a Redis of its own.
pub(super) async fn post(all: &[Body], way: Way, time: Duration) -> anyhow::Result<Posted> {
    let stack = Stack::start().await?;
    let door = stack.service("ingest", None).await?;
    // Stations become known, connections and scripts warm.
    let warm = Network::new(2, 2 * way.batch * way.connections);
    flood(door.port, &bodies(&warm, way.format, way.batch)?, way.connections, time / 10).await?;
    let (cpu, before) = (door.cpu_seconds(), stack.statistics().await?);
    let (sent, taken) = flood(door.port, all, way.connections, time).await?;
    let after = stack.statistics().await?;
    let each = |seconds: f64| seconds * 1e6 / sent as f64;
    Ok(Posted {
        per_second: sent as f64 / taken.as_secs_f64(),
        door: each(door.cpu_seconds() - cpu),
        redis: each(after.cpu_seconds - before.cpu_seconds),
        sent: (after.sent() - before.sent()) as f64 / sent as f64,
        inside: (after.inside() - before.inside()) as f64 / sent as f64,
    })
}

/// XADDs per second; none where the program is missing.
fn redis_benchmark(port: u16, network: &Network, way: Way, time: Duration) -> anyhow::Result<Option<f64>> {
    let observation = network.observe(0, Time::now()).context("no station")?;
    let entry = Entry::Observation(Received { observation, flags: Flags::default(), received: 1 }).encode();
    // It takes its payload as an argument, which has no room for arbitrary bytes: as many letters.
    let payload = "x".repeat(entry.len());
    let ask = |requests: f64| -> anyhow::Result<Option<f64>> {
        let output = Command::new("redis-benchmark")
            .args(["-p", &port.to_string(), "-n", &format!("{requests:.0}"), "-c", &way.connections.to_string()])
            .args(["-P", &way.batch.to_string(), "--csv", "XADD", "bench:obs", "*", "v", &payload])
            .output();
        let output = match output {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            output => output?,
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let row = text.lines().last().unwrap_or_default();
        let rate = row.split("\",\"").nth(1).and_then(|cell| cell.parse::<f64>().ok());
        ensure!(rate.is_some(), "redis-benchmark says {text:?} {:?}", String::from_utf8_lossy(&output.stderr));
        Ok(rate)
    };
    // A short run tells how many make the time that is wanted.
    let Some(rate) = ask(2000.0 * way.batch.min(16) as f64)? else { return Ok(None) };
    ask((rate * time.as_secs_f64()).min(MOST_REQUESTS))
}
