//! `weatherglass replay`: recorded observations through the door, as a client would send them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use archive::Filter;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;
use weather::time::HOUR;
use weather::{Observation, StationId, Time, WINDOW_HOURS};

use crate::poster::{Account, Poster};
use crate::service;

/// Observations per request at full speed.
const BATCH: usize = 1000;
/// How often a paced replay looks for what has fallen due.
const TICK: Duration = Duration::from_millis(200);

/// What a replay's times become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shift {
    /// Every station's recording is moved by whole days, so that it leads up to the present and the
    /// sun stands where it stood.
    Now,
    /// Times stay as recorded.
    None,
}

/// How fast recorded time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Speed {
    Max,
    Times(f64),
}

fn parse_speed(text: &str) -> Result<Speed, String> {
    match text {
        "max" => Ok(Speed::Max),
        number => match number.trim_end_matches('x').parse::<f64>() {
            Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(Speed::Times(speed)),
            _ => Err("`max`, or how many times as fast as it happened, such as 60".to_owned()),
        },
    }
}

pub(crate) fn parse_time(text: &str) -> Result<Time, String> {
    let day = format!("{text}T00:00:00Z");
    Time::parse(text)
        .or_else(|_| Time::parse(&day))
        .map_err(|_| "a day or an RFC 3339 time, such as 2024-04-28 or 2024-04-28T12:00:00Z".to_owned())
}

/// `weatherglass replay`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Observations: Parquet or CSV.
    file: PathBuf,
    /// Stations: CSV with station, name, latitude, longitude, elevation, timezone.
    #[arg(long, value_name = "CSV")]
    stations: Option<PathBuf>,
    /// Leave out what was observed before.
    #[arg(long, value_parser = parse_time)]
    from: Option<Time>,
    /// Leave out what was observed after.
    #[arg(long, value_parser = parse_time)]
    to: Option<Time>,
    /// `max`, or how many times as fast as it happened.
    #[arg(long, default_value = "max", value_parser = parse_speed)]
    speed: Speed,
    /// `now` moves recordings by whole days to lead up to the present; what would lie ahead is left out.
    #[arg(long, value_enum, default_value = "none")]
    shift: Shift,
    /// Ingest's address.
    #[arg(long, default_value = "http://localhost:8001")]
    url: String,
    /// Bearer key, if ingest asks for one.
    #[arg(long, env = "WEATHERGLASS_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// Plays the file and prints the account. Fails when nothing at all was accepted.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let shutdown = service::stop_on_signal()?;
    let poster = Poster::new(&args.url, args.key.clone(), shutdown.clone())?;
    let stations = match &args.stations {
        Some(path) => archive::read_stations(path)?,
        None => Vec::new(),
    };
    let mut observations = read(&args)?;
    shift(&mut observations, &args, Time::now());
    println!("{}: {} observations, {}", args.file.display(), observations.len(), span(&observations));

    let registering = bar(stations.len() as u64, "registering stations");
    for station in &stations {
        poster.register(station).await?;
        registering.inc(1);
    }
    registering.finish_and_clear();
    let playing = bar(observations.len() as u64, "playing");
    let mut account = Account::default();
    let played = match args.speed {
        Speed::Max => at_once(&poster, &observations, &mut account, &playing, &shutdown).await,
        // Shifted recordings never run ahead of the clock.
        Speed::Times(speed) => {
            paced(&poster, &observations, (speed, args.shift == Shift::Now), &mut account, &playing, &shutdown).await
        }
    };
    playing.finish_and_clear();
    report(&account);
    played?;
    if account.accepted + account.duplicates == 0 && !shutdown.is_cancelled() {
        bail!("ingest accepted nothing{}", hint(&account));
    }
    Ok(())
}

fn read(args: &Args) -> anyhow::Result<Vec<Observation>> {
    let spinner =
        ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} reading {pos} observations")?);
    spinner.enable_steady_tick(Duration::from_millis(100));
    let filter = Filter { from: args.from, to: args.to, stations: None };
    let mut file = archive::read_observations(&args.file, filter)?;
    let mut observations = Vec::new();
    for observation in &mut file {
        observations.push(observation?);
        spinner.set_position(observations.len() as u64);
    }
    spinner.finish_and_clear();
    let report = file.report();
    if report.bad > 0 {
        println!("{} rows could not be read:", report.bad);
        for example in &report.examples {
            println!("  row {}: {}", example.row, example.message);
        }
    }
    if observations.is_empty() {
        bail!(
            "{} has no observation{}",
            args.file.display(),
            if args.from.or(args.to).is_some() { " between --from and --to" } else { "" }
        );
    }
    observations.sort_by_key(|o| o.time);
    Ok(observations)
}

const DAY: i64 = 24 * HOUR;

/// Moves the times by whole days. The network moves together; a station that had fallen silent long
/// before the others is moved by itself, so that every station leads up to the present.
fn shift(observations: &mut Vec<Observation>, args: &Args, now: Time) {
    if args.shift == Shift::None {
        return;
    }
    let mut spans: HashMap<StationId, (Time, Time)> = HashMap::new();
    for observation in observations.iter() {
        let span = spans.entry(observation.station.clone()).or_insert((observation.time, observation.time));
        span.1 = observation.time;
    }
    let Some(first) = spans.values().map(|span| span.0).min() else { return };
    let Some(last) = spans.values().map(|span| span.1).max() else { return };
    let common = days_to_now(first, last, now);
    for observation in observations.iter_mut() {
        let (first, last) = spans.get(&observation.station).copied().unwrap_or((first, last));
        let together = last + common >= now - DAY && first + common <= now;
        observation.time = observation.time + if together { common } else { days_to_now(first, last, now) };
    }
    // A replay in real time goes on after it has caught up with the clock; a faster one ends there.
    let real_time = matches!(args.speed, Speed::Times(speed) if speed <= 1.0);
    // Without `--from`, what ingest would refuse is not sent.
    let oldest = if args.from.is_some() { Time::from_unix(0) } else { now - (WINDOW_HOURS - 1) * HOUR };
    observations.retain(|o| o.time >= oldest && (real_time || o.time <= now));
    observations.sort_by_key(|o| o.time);
}

/// Whole days, in seconds, that move a recording's end to the present or up to a day past it; a
/// recording that would then lie ahead altogether ends up to a day before the present instead.
fn days_to_now(first: Time, last: Time, now: Time) -> i64 {
    let days = (now - last + DAY - 1).div_euclid(DAY) * DAY;
    if first + days > now { days - DAY } else { days }
}

async fn at_once(
    poster: &Poster,
    observations: &[Observation],
    account: &mut Account,
    bar: &ProgressBar,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    for batch in observations.chunks(BATCH) {
        if shutdown.is_cancelled() {
            return Ok(());
        }
        poster.post(batch, account).await?;
        bar.inc(batch.len() as u64);
    }
    Ok(())
}

async fn paced(
    poster: &Poster,
    observations: &[Observation],
    (speed, catch_up): (f64, bool),
    account: &mut Account,
    bar: &ProgressBar,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let Some(first) = observations.first().map(|o| o.time) else { return Ok(()) };
    let begun = Instant::now();
    let mut rest = observations;
    while !rest.is_empty() {
        let mut reached = first + (begun.elapsed().as_secs_f64() * speed) as i64;
        if catch_up {
            reached = if speed <= 1.0 { Time::now() } else { reached.min(Time::now()) };
        }
        let (due, later) = rest.split_at(rest.partition_point(|o| o.time <= reached));
        for batch in due.chunks(BATCH) {
            poster.post(batch, account).await?;
            bar.inc(batch.len() as u64);
        }
        rest = later;
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
    Ok(())
}

fn span(observations: &[Observation]) -> String {
    match (observations.first(), observations.last()) {
        (Some(first), Some(last)) => format!("{} to {}", first.time, last.time),
        _ => "none".to_owned(),
    }
}

fn report(account: &Account) {
    println!("accepted {}, duplicates {}, rejected {}", account.accepted, account.duplicates, account.rejections());
    for (what, (count, detail)) in &account.rejected {
        println!("  {count} x {what} ({detail})");
    }
}

fn hint(account: &Account) -> &'static str {
    if account.rejected.keys().any(|what| what.contains("past_retention")) {
        ": the recording is older than what is kept; add --shift now to play it as if it happened now"
    } else {
        ""
    }
}

/// A progress bar with a rate and the time left.
pub(crate) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{wide_bar}] {pos}/{len} {per_sec} {eta}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use weather::{StationId, Values};

    fn args(speed: Speed, shift: Shift) -> Args {
        Args { file: PathBuf::new(), stations: None, from: None, to: None, speed, shift, url: String::new(), key: None }
    }

    fn hours(count: i64) -> Vec<Observation> {
        let station = StationId::new("A").unwrap();
        (0..count)
            .map(|h| Observation {
                station: station.clone(),
                time: Time::from_unix(h * HOUR),
                values: Values::default(),
                source: None,
            })
            .collect()
    }

    #[test]
    fn shifted_recordings_lead_up_to_now_by_whole_days() {
        let now = Time::from_unix(1_790_000_000);
        let mut observations = hours(1000);
        shift(&mut observations, &args(Speed::Max, Shift::Now), now);
        let newest = observations.last().unwrap().time;
        assert!(newest <= now && now - newest < HOUR, "{}", now - newest);
        assert_eq!(newest.unix() % HOUR, 0, "the minute of the hour is kept");
        assert!(observations.iter().all(|o| now - o.time < WINDOW_HOURS * HOUR));
        assert!(observations.len() as i64 >= WINDOW_HOURS - 2);
    }

    #[test]
    fn a_station_that_fell_silent_is_moved_by_itself() {
        let now = Time::from_unix(1_790_000_000);
        let mut observations = hours(1000);
        let silent = StationId::new("B").unwrap();
        observations.extend(hours(100).into_iter().map(|o| Observation { station: silent.clone(), ..o }));
        shift(&mut observations, &args(Speed::Times(60.0), Shift::Now), now);
        let newest = observations.iter().filter(|o| o.station == silent).map(|o| o.time).max().unwrap();
        assert!(now - newest < DAY, "{}", now - newest);
    }

    #[test]
    fn a_short_recording_is_not_moved_ahead_of_the_clock() {
        let now = Time::from_unix(1_790_000_000);
        let mut observations = hours(1);
        observations[0].time = Time::from_unix(now.unix() % DAY + 3600);
        shift(&mut observations, &args(Speed::Max, Shift::Now), now);
        assert_eq!(now - observations[0].time, 23 * HOUR);
    }

    #[test]
    fn in_real_time_the_rest_of_the_recording_stays() {
        let now = Time::from_unix(1_790_000_000);
        let mut observations = hours(61);
        shift(&mut observations, &args(Speed::Times(1.0), Shift::Now), now);
        assert!(observations.last().unwrap().time >= now);
    }

    #[test]
    fn unshifted_times_stay() {
        let mut observations = hours(3);
        shift(&mut observations, &args(Speed::Max, Shift::None), Time::from_unix(1_790_000_000));
        assert_eq!(observations, hours(3));
    }

    #[test]
    fn speeds_and_times_are_read() {
        assert_eq!(parse_speed("max"), Ok(Speed::Max));
        assert_eq!(parse_speed("60x"), Ok(Speed::Times(60.0)));
        assert!(parse_speed("0").is_err() && parse_speed("NaN").is_err());
        assert_eq!(parse_time("2024-04-28"), parse_time("2024-04-28T00:00:00Z"));
        assert!(parse_time("soon").is_err());
    }
}
