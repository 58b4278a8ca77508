//! A FastAPI + redis-py door and a redis-py + PyTorch worker (`bench/python/`) in the same run: what
//! each of ours does per second of processor time, beside what each of theirs does.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::client::{Body, bodies, flood};
use super::ingest::{WAYS, Way, post};
use super::stack::{Process, Stack, free_port};
use super::table::{Table, Wanted};
use super::worker::Worked;
use crate::simulate::Network;

const STATIONS: usize = 2048;
/// Where the two programs are, below the working directory.
const FOLDER: &str = "bench/python";
/// Entries that wait for the worker before it starts.
const BACKLOG: usize = 20_000;

/// Everything, or a line that says loudly why not.
pub(super) async fn run(table: &mut Table, python: &str, ours: Option<Worked>, time: Duration) -> anyhow::Result<()> {
    table.section("Beside Python: per second of processor time");
    if let Err(why) = importable(python) {
        table.note(format!("SKIPPED: {why}. The ratios to FastAPI, redis-py and PyTorch are not measured."));
        return Ok(());
    }
    let network = Network::new(1, STATIONS);
    for way in [WAYS[0], WAYS[1]] {
        let all = bodies(&network, way.format, way.batch)?;
        let ours = 1e6 / post(&all, way, time).await?.door;
        let theirs = fastapi(python, &all, way, time).await?;
        let wanted = Wanted::AtLeast(if way.batch == 1 { 8.0 } else { 5.0 });
        table.row(way.name, (ours, "observations"), Some((theirs, "FastAPI + redis-py")), Some(wanted));
    }
    let (theirs, engine) = worker(python, &network, time).await?;
    let Some(ours) = ours else {
        table.row("worker", (theirs, "observations (Python alone)"), None, None);
        table.note("The worker's section was not run: nothing to hold it against.");
        return Ok(());
    };
    let per_core_second = (1e6 / (ours.inference + ours.beside), "forecasts");
    let name = format!("redis-py + {engine}");
    table.row("worker", per_core_second, Some((theirs, &name)), Some(Wanted::AtLeast(10.0)));
    if !engine.starts_with("PyTorch") {
        table.note(format!("PyTorch is not installed: the Python worker runs {engine} instead."));
    }
    Ok(())
}

fn importable(python: &str) -> Result<(), String> {
    if !Path::new(FOLDER).is_dir() {
        return Err(format!("{FOLDER} is not below the working directory"));
    }
    let script = "import fastapi, uvicorn, redis, msgpack, numpy";
    match Command::new(python).args(["-c", script]).output() {
        Err(error) => Err(format!("{python}: {error}")),
        Ok(output) if !output.status.success() => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(format!("{python}: {}", text.lines().last().unwrap_or_default()))
        }
        Ok(_) => Ok(()),
    }
}

/// Observations per second of processor time of the FastAPI process.
async fn fastapi(python: &str, all: &[Body], way: Way, time: Duration) -> anyhow::Result<f64> {
    let stack = Stack::start().await?;
    let door = door(python, &stack).await?;
    flood(door.port, all, way.connections, time / 10).await?;
    let cpu = door.cpu_seconds();
    let (sent, _) = flood(door.port, all, way.connections, time).await?;
    Ok(sent as f64 / (door.cpu_seconds() - cpu))
}

async fn door(python: &str, stack: &Stack) -> anyhow::Result<Process> {
    let port = free_port()?;
    let mut command = Command::new(python);
    command.arg(format!("{FOLDER}/ingest.py"));
    command.args(["--port", &port.to_string(), "--redis-port", &stack.port().to_string()]);
    let mut process = Process::start(command, port, port)?;
    let begun = Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        if process.has_ended() || begun.elapsed() > Duration::from_secs(30) {
            bail!("{FOLDER}/ingest.py did not start");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(process)
}

#[derive(Deserialize)]
struct Progress {
    engine: String,
    processed: u64,
}

/// Observations per second of processor time of the Python worker, and what computes.
async fn worker(python: &str, network: &Network, time: Duration) -> anyhow::Result<(f64, String)> {
    let stack = Stack::start().await?;
    let door = door(python, &stack).await?;
    let all = bodies(network, WAYS[1].format, WAYS[1].batch)?;
    let mut waiting = 0;
    while waiting < BACKLOG {
        waiting += flood(door.port, &all, WAYS[1].connections, Duration::from_millis(500)).await?.0;
    }
    drop(door);
    let mut command = Command::new(python);
    command.arg(format!("{FOLDER}/worker.py")).args(["--redis-port", &stack.port().to_string()]);
    let mut process = Process::start(
        {
            command.stdout(Stdio::piped());
            command
        },
        0,
        0,
    )?;
    let lines = BufReader::new(process.output().context("no output")?).lines();
    tokio::task::spawn_blocking(move || {
        let mut first = None;
        for line in lines {
            let progress: Progress = serde_json::from_str(&line?)?;
            let now = (Instant::now(), progress.processed, process.cpu_seconds());
            let (at, processed, cpu) = *first.get_or_insert(now);
            if at.elapsed() >= time && progress.processed > processed {
                return Ok(((progress.processed - processed) as f64 / (now.2 - cpu), progress.engine));
            }
        }
        bail!("{FOLDER}/worker.py ended before it was measured")
    })
    .await?
}
