//! `weatherglass bench quality`: how much of sound recordings quality control flags, how many planted
//! faults it finds, and what it costs beside reading the JSON.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use archive::{Filter, read_observations, read_stations};
use weather::quality::{Limits, Test};
use weather::{Flags, Observation, Station, StationId, Time, Values, Variable, Window};

mod faults;

use faults::{Fault, Planted};

/// `weatherglass bench quality`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of recordings: NAME.parquet with NAME_stations.csv beside it.
    #[arg(long, env = "WEATHERGLASS_DATA", default_value = "../shared/data", value_name = "DIR")]
    data: PathBuf,
    /// Stations of each network.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    stations: u32,
    /// Days of each network, from the first that most of those stations have.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=3660))]
    days: i64,
    /// The same seed plants the same faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A recorded station.
struct Series {
    station: Station,
    observations: Vec<(Time, Values)>,
}

/// Reads, judges, plants, judges again, prints.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let tables = tables(&args.data)?;
    println!("flagged as recorded, values in a thousand (recordings have some true faults)");
    println!("{:<24} {:>9} {:>8}  by test", "network", "values", "flagged");
    let mut planted = BTreeMap::<Fault, Score>::new();
    let mut sample = Vec::new();
    for table in &tables {
        let network = read(table, args)?;
        let name = table.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut tally = Tally::default();
        for (index, series) in network.iter().enumerate() {
            let clean = judge(series, &series.observations);
            tally.add(&series.observations, &clean);
            for fault in Fault::ALL {
                let plan = faults::plant(fault, &series.observations, args.seed.wrapping_add(index as u64));
                score(series, &plan, &clean, planted.entry(fault).or_default());
            }
        }
        tally.print(&name);
        sample.extend(network.into_iter().next());
    }
    println!("\nplanted faults");
    println!(
        "{:<14} {:>7} {:>7} {:>9}  false alarms beside them, in a thousand values",
        "kind", "events", "found", "values"
    );
    for (fault, score) in &planted {
        score.print(*fault);
    }
    cost(&sample)
}

fn tables(data: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = if data.join("tables").is_dir() { data.join("tables") } else { data.to_owned() };
    let entries = std::fs::read_dir(&folder).with_context(|| format!("--data {}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == "parquet"));
    found.sort();
    anyhow::ensure!(!found.is_empty(), "--data {}: no NAME.parquet in it", folder.display());
    Ok(found)
}

fn read(table: &Path, args: &Args) -> anyhow::Result<Vec<Series>> {
    let described = table.with_file_name(format!("{}_stations.csv", table.file_stem().unwrap_or_default().display()));
    let stations = read_stations(&described)?;
    let step = (stations.len() / args.stations as usize).max(1);
    let chosen: Vec<Station> = stations.into_iter().step_by(step).take(args.stations as usize).collect();
    let filter =
        Filter { stations: Some(chosen.iter().map(|s| s.id.as_str().to_owned()).collect()), ..Filter::default() };
    let mut by_station: BTreeMap<StationId, Vec<(Time, Values)>> = BTreeMap::new();
    for observation in read_observations(table, filter)? {
        let Observation { station, time, values, .. } = observation?;
        if !values.is_empty() {
            by_station.entry(station).or_default().push((time, values));
        }
    }
    let series = chosen.into_iter().filter_map(|station| {
        let mut observations = by_station.remove(&station.id)?;
        observations.sort_by_key(|(time, _)| *time);
        observations.dedup_by_key(|(time, _)| *time);
        let end = observations.first()?.0 + args.days * 86_400;
        observations.retain(|(time, _)| *time < end);
        Some(Series { station, observations })
    });
    Ok(series.collect())
}

/// The last word on every observation, after they came one by one.
fn judge(series: &Series, observations: &[(Time, Values)]) -> Vec<Flags> {
    let mut window = Window::default();
    let mut flags = vec![Flags::default(); observations.len()];
    let at: BTreeMap<Time, usize> = observations.iter().enumerate().map(|(i, (time, _))| (*time, i)).collect();
    for (time, values) in observations {
        let station = series.station.id.clone();
        let observation = Observation { station, time: *time, values: *values, source: None };
        for (changed, _) in window.observe(&observation, Flags::default(), &series.station, Limits::standard()).1 {
            if let (Some(index), Some(found)) = (at.get(&changed), window.at(changed)) {
                flags[*index] = found.flags;
            }
        }
    }
    flags
}

#[derive(Default)]
struct Tally {
    values: [u64; Variable::COUNT],
    flagged: [[u64; Test::COUNT]; Variable::COUNT],
    any: u64,
}

impl Tally {
    fn add(&mut self, observations: &[(Time, Values)], flags: &[Flags]) {
        for ((_, values), flags) in observations.iter().zip(flags) {
            for (variable, _) in values.iter() {
                self.values[variable as usize] += 1;
                self.any += u64::from(!flags.usable(variable));
                for test in Test::ALL {
                    let marks = flags.by(test);
                    let marked = marks.suspect.contains(variable) || marks.failed.contains(variable);
                    self.flagged[variable as usize][test as usize] += u64::from(marked);
                }
            }
        }
    }

    fn print(&self, name: &str) {
        let total: u64 = self.values.iter().sum();
        let mut parts = Vec::new();
        for variable in Variable::ALL {
            for test in Test::ALL {
                let share = thousandth(self.flagged[variable as usize][test as usize], self.values[variable as usize]);
                if share >= 0.05 {
                    parts.push(format!("{variable}/{} {share:.2}", test.label()));
                }
            }
        }
        println!("{name:<24} {total:>9} {:>8.3}  {}", thousandth(self.any, total), parts.join(", "));
    }
}

fn thousandth(part: u64, whole: u64) -> f64 {
    1000.0 * part as f64 / whole.max(1) as f64
}

#[derive(Default)]
struct Score {
    events: u64,
    found: u64,
    faulty: u64,
    faulty_flagged: u64,
    sound: u64,
    false_alarms: u64,
}

impl Score {
    fn print(&self, fault: Fault) {
        let share = 100.0 * self.found as f64 / self.events.max(1) as f64;
        let values = 100.0 * self.faulty_flagged as f64 / self.faulty.max(1) as f64;
        println!(
            "{:<14} {:>7} {share:>6.1}% {values:>8.1}%  {:.3}",
            fault.label(),
            self.events,
            thousandth(self.false_alarms, self.sound)
        );
    }
}

fn score(series: &Series, plan: &Planted, clean: &[Flags], score: &mut Score) {
    if plan.events.is_empty() {
        return;
    }
    let flags = judge(series, &plan.observations);
    let inside = |index: usize| plan.events.iter().any(|event| event.contains(&index));
    for event in &plan.events {
        let hits = event.clone().filter(|index| !flags[*index].usable(plan.variable)).count();
        score.events += 1;
        score.found += u64::from(hits > 0);
        score.faulty += event.len() as u64;
        score.faulty_flagged += hits as u64;
    }
    for (index, (found, before)) in flags.iter().zip(clean).enumerate() {
        if !inside(index) && plan.observations[index].1.get(plan.variable).is_some() {
            score.sound += 1;
            score.false_alarms += u64::from(!found.usable(plan.variable) && before.usable(plan.variable));
        }
    }
}

/// Microseconds an observation: reading the JSON alone, the door's parser with it, and judging.
fn cost(sample: &[Series]) -> anyhow::Result<()> {
    let mut best = [f64::INFINITY; 3];
    for _ in 0..5 {
        let (mut spent, mut count) = ([0.0; 3], 0_usize);
        for series in sample {
            let some = &series.observations[..series.observations.len().min(3000)];
            let texts: Vec<String> = some
                .iter()
                .map(|(time, values)| {
                    let station = series.station.id.clone();
                    serde_json::to_string(&Observation { station, time: *time, values: *values, source: None })
                })
                .collect::<Result<_, _>>()?;
            count += texts.len();
            let begun = Instant::now();
            for text in &texts {
                black_box(serde_json::from_str::<serde_json::Value>(text)?);
            }
            spent[0] += begun.elapsed().as_secs_f64();
            let begun = Instant::now();
            for text in &texts {
                black_box(ingest::decode::decode("json", text, Time::from_unix(0)));
            }
            spent[1] += begun.elapsed().as_secs_f64();
            // The window does its own work, judged or not.
            let plain = Instant::now();
            black_box(fill(series, some, false));
            let plain = plain.elapsed().as_secs_f64();
            let begun = Instant::now();
            black_box(fill(series, some, true));
            spent[2] += (begun.elapsed().as_secs_f64() - plain).max(0.0);
        }
        for (best, spent) in best.iter_mut().zip(spent) {
            *best = best.min(1e6 * spent / count.max(1) as f64);
        }
    }
    let [json, parse, quality] = best;
    println!(
        "\nmicroseconds an observation: JSON alone {json:.2}, the door's parser {parse:.2}, quality control {quality:.2}"
    );
    println!("parser and quality control / JSON alone: {:.2}", (parse + quality) / json);
    Ok(())
}

fn fill(series: &Series, observations: &[(Time, Values)], judged: bool) -> Window {
    let mut window = Window::default();
    for (time, values) in observations {
        let station = series.station.id.clone();
        let observation = Observation { station, time: *time, values: *values, source: None };
        if judged {
            black_box(window.observe(&observation, Flags::default(), &series.station, Limits::standard()));
        } else {
            black_box(window.apply(&observation, Flags::default()));
        }
    }
    window
}
