//! The cost of an observation, and memory, by how many stations are known.

use std::time::Duration;

use weather::Time;

use super::client::{Body, Connection, Format, bodies, first_second};
use super::stack::{Process, Stack};
use super::table::{Table, Wanted};
use super::worker::Feeder;
use crate::simulate::Network;

/// Observations per request.
const BATCH: usize = 50;
/// Observations per second: few enough that the worker keeps up, so that none share a forecast.
const RATE: f64 = 1000.0;
/// How much more an observation may cost than with the fewest stations, and still be called flat.
const FLAT: f64 = 1.2;

/// Microseconds of processor time per observation.
#[derive(Clone, Copy)]
struct Cost {
    door: f64,
    worker: f64,
    redis: f64,
}

/// Each number of stations on a Redis of its own.
pub(super) async fn run(table: &mut Table, stations: &[usize], time: Duration) -> anyhow::Result<()> {
    table.section("By stations known: processor time per observation, inference left out");
    let mut fewest: Option<Cost> = None;
    for count in stations {
        let network = Network::new(1, *count);
        let feeder = Feeder::start_empty(&network).await?;
        let stack = &feeder.stack;
        let (door, worker) = (stack.service("ingest", None).await?, stack.service("worker", None).await?);
        let before = (door.resident(), worker.resident(), stack.statistics().await?.memory);
        feeder.describe().await?;
        stack.settled().await?;
        let cost = measure(stack, &network, &door, &worker, time).await?;
        let first = *fewest.get_or_insert(cost);
        let unit = "us/observation";
        let name = format!("with {}", stations[0]);
        for (what, cost, first) in
            [("door", cost.door, first.door), ("worker", cost.worker, first.worker), ("Redis", cost.redis, first.redis)]
        {
            let title = format!("{count} stations, {what}");
            table.row(title, (cost, unit), Some((first, name.as_str())), Some(Wanted::AtMost(FLAT)));
        }
        if Some(count) != stations.iter().max() {
            continue;
        }
        // With few stations it is what the processes have anyway.
        let each = |bytes: f64| (bytes / *count as f64 * 1e5 / 1e6, "MB/100 000 stations");
        let memory = stack.statistics().await?.memory;
        table.row("  memory of Redis", each((memory - before.2) as f64), None, None);
        table.row("  memory of the door", each(door.resident() - before.0), None, None);
        table.row("  memory of the worker", each(worker.resident() - before.1), None, None);
    }
    table.note(format!(
        "{RATE} observations/s in batches of {BATCH}, evenly from all stations; every station is registered and has \
         reported at most a few times. What full windows take is in the worker's section."
    ));
    Ok(())
}

async fn measure(
    stack: &Stack,
    network: &Network,
    door: &Process,
    worker: &Process,
    time: Duration,
) -> anyhow::Result<Cost> {
    let count = (RATE * time.as_secs_f64()) as usize;
    let mut connection = Connection::open(door.port).await?;
    let mut spread = Spread::new(network, count)?;
    // A station's first report makes its keys, which is dearer; what is wanted is what its next ones cost.
    spread.post(&mut connection, count, first_second()).await?;
    stack.settled().await?;
    let beside = || worker.cpu_seconds() - worker.inference_seconds();
    let (at_door, at_worker, at_redis) = (door.cpu_seconds(), beside(), stack.statistics().await?.cpu_seconds);
    spread.post(&mut connection, count, first_second() + 1000).await?;
    stack.settled().await?;
    let each = |seconds: f64| seconds * 1e6 / count as f64;
    Ok(Cost {
        door: each(door.cpu_seconds() - at_door),
        worker: each(beside() - at_worker),
        redis: each(stack.statistics().await?.cpu_seconds - at_redis),
    })
}

/// Reports of stations that lie evenly among all.
struct Spread {
    bodies: Vec<Body>,
}

impl Spread {
    fn new(network: &Network, count: usize) -> anyhow::Result<Self> {
        let step = (network.stations().len() / count).max(1);
        Ok(Self { bodies: bodies(&network.every(step), Format::MessagePack, BATCH)? })
    }

    async fn post(&mut self, connection: &mut Connection, count: usize, from: Time) -> anyhow::Result<()> {
        let mut clock = tokio::time::interval(Duration::from_secs_f64(BATCH as f64 / RATE));
        let rounds = self.bodies.len();
        for n in 0..count.div_ceil(BATCH) {
            clock.tick().await;
            let body = &mut self.bodies[n % rounds];
            body.stamp(from + (n / rounds) as i64);
            connection.post(body).await?;
        }
        Ok(())
    }
}
