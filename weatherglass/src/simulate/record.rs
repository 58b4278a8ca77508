//! What is written down: a history instead of reports to a door, and which faults were planted.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::ProgressBar;
use tokio_util::sync::CancellationToken;
use weather::Time;

use super::Network;

/// Writes every report from `from` until `to`, every `interval` seconds, in the order in which they are sent, as
/// NDJSON; beside it the stations, as `<name>_stations.csv`. Gives the number of reports.
pub(crate) fn history(
    network: &Network,
    path: &Path,
    (from, to): (Time, Time),
    interval: i64,
    bar: &ProgressBar,
    shutdown: &CancellationToken,
) -> anyhow::Result<u64> {
    let failed = || format!("--output {}", path.display());
    let mut output = BufWriter::with_capacity(1 << 20, File::create(path).with_context(failed)?);
    let mut count = 0;
    let mut time = from;
    while time < to && !shutdown.is_cancelled() {
        for index in 0..network.stations().len() {
            for observation in network.report(index, time) {
                serde_json::to_writer(&mut output, &observation)?;
                output.write_all(b"\n").with_context(failed)?;
                count += 1;
            }
        }
        bar.inc(network.stations().len() as u64);
        time = time + interval;
    }
    output.flush().with_context(failed)?;
    stations(network, path).with_context(failed)?;
    Ok(count)
}

fn stations(network: &Network, beside: &Path) -> std::io::Result<()> {
    let stem = beside.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut output = BufWriter::new(File::create(beside.with_file_name(format!("{stem}_stations.csv")))?);
    writeln!(output, "station,name,latitude,longitude,elevation,timezone")?;
    for s in network.stations() {
        let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
        let (latitude, longitude) = (number(s.latitude), number(s.longitude));
        let elevation = number(s.elevation.map(f64::from));
        let zone = s.timezone.as_deref().unwrap_or_default();
        writeln!(output, "{},{},{latitude},{longitude},{elevation},{zone}", s.id, s.name)?;
    }
    output.flush()
}

/// The list of what was planted: CSV with station, variable (`all` for the whole report), from, to (not
/// included), kind, and amount (in the variable's unit at the end, or seconds).
pub(crate) struct Truth {
    path: PathBuf,
    output: BufWriter<File>,
    /// Episodes that begin before it have been written.
    written: Time,
}

impl Truth {
    /// A new list of what begins at `from` or later.
    pub(crate) fn create(path: &Path, from: Time) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("--truth {}", path.display()))?;
        let mut truth = Self { path: path.to_owned(), output: BufWriter::new(file), written: from };
        truth.line("station,variable,from,to,kind,amount")?;
        Ok(truth)
    }

    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        writeln!(self.output, "{line}").with_context(|| format!("--truth {}", self.path.display()))
    }

    /// Adds what begins before `until`. What runs already when the list begins is in it too.
    pub(crate) fn extend(&mut self, network: &Network, until: Time) -> anyhow::Result<()> {
        let from = self.written;
        for (index, station) in network.stations().iter().enumerate() {
            if let Some(faults) = &network.faults {
                for e in faults.between(index, from, until) {
                    let variable = e.variable.map_or("all", weather::Variable::name);
                    let kind = e.kind.name();
                    self.line(&format!("{},{variable},{},{},{kind},{:.1}", station.id, e.from, e.to, e.amount))?;
                }
            }
            if let Some(gaps) = &network.gaps {
                for (begin, end) in gaps.between(index, from, until) {
                    self.line(&format!("{},all,{begin},{end},gap,0.0", station.id))?;
                }
            }
        }
        self.written = self.written.max(until);
        self.output.flush().with_context(|| format!("--truth {}", self.path.display()))
    }

    /// Until when it has been written.
    pub(crate) const fn written(&self) -> Time {
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::Kind;
    use super::*;

    #[test]
    fn a_history_can_be_read_back_and_its_faults_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let network = Network::new(2, 30).with_gaps(0.1).with_faults(Kind::ALL.to_vec(), 0.5, 600);
        let (from, to) = (Time::from_unix(1_790_000_400), Time::from_unix(1_790_000_400 + 2 * 86_400));
        let (path, list) = (folder.path().join("made-up.ndjson"), folder.path().join("truth.csv"));
        let bar = ProgressBar::hidden();
        let count = history(&network, &path, (from, to), 600, &bar, &CancellationToken::new()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count() as u64, count);
        assert!(count > 6000 && count < 30 * 288 + 3000, "{count}");
        let first: weather::Observation = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(first.time, from);
        let stations = archive::read_stations(&folder.path().join("made-up_stations.csv")).unwrap();
        assert_eq!((stations.len(), stations[0].position()), (30, network.stations()[0].position()));

        // In two steps or in one it is the same list.
        let mut truth = Truth::create(&list, from - 86_400).unwrap();
        truth.extend(&network, from).unwrap();
        truth.extend(&network, to).unwrap();
        let mut in_two: Vec<String> = std::fs::read_to_string(&list).unwrap().lines().map(str::to_owned).collect();
        let mut truth = Truth::create(&list, from - 86_400).unwrap();
        truth.extend(&network, to).unwrap();
        let mut in_one: Vec<String> = std::fs::read_to_string(&list).unwrap().lines().map(str::to_owned).collect();
        in_one.sort_unstable();
        in_two.sort_unstable();
        assert!(in_one == in_two && in_one.len() > 60, "{}", in_one.len());
        for kind in ["gap", "spike", "unit"] {
            assert!(in_one.iter().any(|line| line.contains(&format!(",{kind},"))), "{kind}");
        }
    }
}
