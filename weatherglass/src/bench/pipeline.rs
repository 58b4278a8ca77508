//! `weatherglass bench pipeline`: what an observation costs on its way, section by section, each
//! figure beside a reference that the same run measures on the same machine.

mod client;
mod ingest;
mod latency;
mod python;
mod scale;
mod stack;
mod table;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use self::table::Table;

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// The door beside redis-benchmark.
    Ingest,
    /// One worker on one core beside bare inference.
    Worker,
    /// 1, 2 and 4 workers.
    Owners,
    /// End-to-end latency at shares of capacity.
    Latency,
    /// Cost and memory by stations known.
    Scale,
    /// The same by FastAPI, redis-py and PyTorch.
    Python,
}

/// `weatherglass bench pipeline`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_value = "ingest,worker,owners,latency,scale,python")]
    sections: Vec<Section>,
    /// Seconds of each measurement; more is steadier.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Numbers of stations known, for the section `scale`; a million takes 4 GB and some minutes.
    #[arg(long, default_value = "1000,10000,100000", value_delimiter = ',', value_parser = parse_stations)]
    stations: Vec<usize>,
    /// The Python that has fastapi, uvicorn, redis, msgpack, numpy and torch.
    #[arg(long, default_value = "python3", value_name = "PROGRAM")]
    python: String,
    /// Writes the table to a file, as Markdown.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn parse_stations(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 100..=5_000_000) => Ok(count),
        _ => Err("100 to 5000000 stations".to_owned()),
    }
}

/// Runs it and prints the table.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let time = Duration::from_secs(args.seconds);
    let mut table = Table::default();
    let heading = heading(args.seconds);
    println!("{heading}");
    let wants = |section| args.sections.contains(&section);
    let mut worked = None;
    if wants(Section::Ingest) {
        ingest::run(&mut table, time).await?;
    }
    if wants(Section::Worker) {
        worked = Some(worker::run(&mut table, time).await?);
    }
    if wants(Section::Owners) {
        worker::owners(&mut table, time).await?;
    }
    if wants(Section::Latency) {
        latency::run(&mut table, time).await?;
    }
    if wants(Section::Scale) {
        scale::run(&mut table, &args.stations, time).await?;
    }
    if wants(Section::Python) {
        python::run(&mut table, &args.python, worked, time).await?;
    }
    table.conclude();
    if let Some(file) = &args.report {
        table.write(file, &heading)?;
    }
    Ok(())
}

/// What the figures are of.
fn heading(seconds: u64) -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("an unknown processor");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "`weatherglass bench pipeline` {}: {} cores of {}, load {} at the start, {seconds} s a measurement.",
        env!("CARGO_PKG_VERSION"),
        cores(),
        model.trim_start_matches([' ', '\t', ':']),
        load.split(' ').next().unwrap_or("?"),
    )
}

/// Processors that we may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
