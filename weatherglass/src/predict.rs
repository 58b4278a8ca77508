//! `weatherglass predict`: the forecasts that a worker would have issued at moments of a recording.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail, ensure};
use archive::{PredictionWriter, ReferenceTime};
use indicatif::HumanCount;
use models::{BackendKind, Backtest, BacktestReport, Forecaster, History, Moments};
use weather::{StationId, Time, Variable};

use crate::replay::{bar, parse_time};
use crate::train::stop_on_interrupt;

/// Forecast from what was known at moments of a recording.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("moments").required(true))]
pub(crate) struct PredictArgs {
    /// Observations: Parquet or CSV. Several files may be given, separated by commas or one by one.
    #[arg(long, required = true, value_delimiter = ',', value_name = "FILE")]
    history: Vec<PathBuf>,
    /// Stations: CSV with station, name, latitude, longitude, elevation, timezone.
    #[arg(long, value_name = "CSV")]
    stations: PathBuf,
    /// The moments: CSV with station and reference_time.
    #[arg(long, group = "moments", value_name = "CSV")]
    reference_times: Option<PathBuf>,
    /// At every so many hours or minutes, UTC, while a station's history lasts: 6h, 30min.
    #[arg(long, group = "moments", value_parser = parse_span, value_name = "TIME")]
    every: Option<i64>,
    /// With --every: not before this day or time.
    #[arg(long, value_parser = parse_time, requires = "every")]
    from: Option<Time>,
    /// With --every: not at or after this day or time.
    #[arg(long, value_parser = parse_time, requires = "every")]
    to: Option<Time>,
    /// Nothing is predicted from a newest observation older than this.
    #[arg(long, default_value = "3h", value_parser = parse_span, value_name = "TIME")]
    max_age: i64,
    /// The predictions, as Parquet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The weights folder.
    #[arg(long, env = "WEATHERGLASS_MODELS", default_value = "models/weights")]
    models: PathBuf,
    /// The model's name.
    #[arg(long, default_value = models::DEFAULT_MODEL)]
    name: String,
    /// The version; the newest when absent.
    #[arg(long)]
    version: Option<String>,
    /// What computes: flex or ndarray.
    #[arg(long, env = "WEATHERGLASS_BACKEND", default_value_t = BackendKind::Flex)]
    backend: BackendKind,
}

/// Seconds of `6h`, `30min`, `1h 30min`.
fn parse_span(text: &str) -> Result<i64, String> {
    let span = text.parse::<jiff::SignedDuration>().map_err(|_| "a time such as 6h, 30min or 90s".to_owned())?;
    if span.as_secs() > 0 { Ok(span.as_secs()) } else { Err("a time of at least a second, such as 6h".to_owned()) }
}

/// Writes the predictions and prints how many there are, and of what there is none.
pub(crate) fn run(args: PredictArgs) -> anyhow::Result<()> {
    for input in args.history.iter().chain([&args.stations]).chain(&args.reference_times) {
        let same = input.canonicalize().ok().zip(args.out.canonicalize().ok()).is_some_and(|(a, b)| a == b);
        ensure!(!same, "--out {}: that is what is read; give another name", args.out.display());
    }
    let version = crate::models::find(&args.models, &args.name, args.version.as_deref())?;
    let mut forecaster = Forecaster::load(&version.folder, args.backend)?;
    let stations = archive::read_stations(&args.stations)?;
    let history = History::survey(args.history.clone())?;
    let moments = moments(&args, &history)?;
    // Before the work, so that a folder that can't be written to is known at once.
    let mut writer = PredictionWriter::create(&args.out, forecaster.id())?;
    let progress = bar(history.row_count(), "observations");
    let backtest = Backtest {
        history,
        stations: stations.into_iter().map(|station| (station.id.clone(), station)).collect(),
        moments,
        max_age: args.max_age,
        forecaster: &mut forecaster,
    };
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_interrupt(&stop, "stopping; nothing is written")?;
    let take = |predicted| {
        ensure!(!stop.load(Ordering::Relaxed), "stopped by Ctrl-C");
        Ok(writer.write(&predicted)?)
    };
    let report = backtest.run(take, |count| progress.inc(count))?;
    progress.finish_and_clear();
    tell(&report, &args);
    ensure!(
        report.predicted > 0,
        "{}: nothing to predict: no station has an observation at most {} old at any of the moments; look at {}",
        names(&args.history),
        span(args.max_age),
        args.reference_times.as_ref().map_or("--every, --from and --to".to_owned(), |path| path.display().to_string())
    );
    writer.finish()?;
    let id = &version.id;
    println!("{}: {} forecasts by {} {}", args.out.display(), HumanCount(report.predicted), id.name, id.version);
    Ok(())
}

fn moments(args: &PredictArgs, history: &History) -> anyhow::Result<Moments> {
    let Some(path) = &args.reference_times else {
        let seconds = args.every.context("give --reference-times or --every")?;
        return Ok(Moments::Every { seconds, from: args.from, to: args.to });
    };
    let listed = archive::read_reference_times(path)?;
    ensure!(!listed.is_empty(), "{}: no reference time in it; one line each: station,reference_time", path.display());
    let mut moments: HashMap<StationId, BTreeSet<Time>> = HashMap::new();
    for ReferenceTime { station, time, line } in listed {
        if !history.knows(&station) {
            bail!(
                "{}: line {line}: station {station} is not in {}; give its file with --history or remove the line",
                path.display(),
                names(&args.history)
            );
        }
        moments.entry(station).or_default().insert(time);
    }
    Ok(Moments::At(moments))
}

fn names(files: &[PathBuf]) -> String {
    let names: Vec<String> = files.iter().map(|f| Path::display(f).to_string()).collect();
    names.join(", ")
}

/// Seconds as people say them.
fn span(seconds: i64) -> String {
    format!("{:#}", jiff::SignedDuration::from_secs(seconds))
}

fn tell(report: &BacktestReport, args: &PredictArgs) {
    for (path, read) in &report.files {
        if read.bad > 0 {
            println!("{}: {} rows could not be read:", path.display(), HumanCount(read.bad));
        }
        for example in &read.examples {
            println!("  row {}: {}", example.row, example.message);
        }
        for variable in Variable::ALL {
            let count = read.dropped[variable as usize];
            if count > 0 {
                println!("{}: {} impossible {variable} left out", path.display(), HumanCount(count));
            }
        }
    }
    for (reason, count) in &report.refused {
        println!("{} observations would have been refused: {reason}", HumanCount(*count));
    }
    println!("{} forecasts for {} stations", HumanCount(report.predicted), HumanCount(report.stations));
    if report.undescribed > 0 {
        println!("  {} stations are not in {}: without a place", report.undescribed, args.stations.display());
    }
    for (count, why) in [
        (report.nothing_known, "the station had not been heard of yet".to_owned()),
        (report.stale, format!("the newest observation was older than {} (--max-age)", span(args.max_age))),
        (report.repeated, "no newer observation had come since the moment before".to_owned()),
    ] {
        if count > 0 {
            println!("  none at {} moments: {why}", HumanCount(count));
        }
    }
}
