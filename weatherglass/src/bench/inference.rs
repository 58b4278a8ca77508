//! `weatherglass bench inference`: what a forecast costs on one thread, beside the same weights in
//! ONNX Runtime and beside a common small network in Burn, all in turn in the same run.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use models::bench::{self, Mixer, NetworkBench};
use models::{BackendKind, DEFAULT_MODEL, Forecaster, Input};
use serde::Deserialize;
use weather::{Flags, Station, Time, Window};

use super::median;
use crate::simulate::Network;

/// How far ONNX Runtime's outputs may lie from Burn's, in the network's units.
const TOLERANCE: f64 = 1e-4;
/// Forecasts that each contender makes in a round: as many calls as that takes.
const PER_ROUND: usize = 256;

/// `weatherglass bench inference`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of model versions.
    #[arg(long, env = "WEATHERGLASS_MODELS", default_value = "models/weights", value_name = "DIR")]
    models: PathBuf,
    /// The version; the highest when absent.
    #[arg(long)]
    version: Option<String>,
    /// What computes: flex or ndarray.
    #[arg(long, default_value_t = BackendKind::Flex)]
    backend: BackendKind,
    /// Stations forecast at once.
    #[arg(long, default_value = "1,32,256", value_delimiter = ',', value_parser = parse_batch)]
    batches: Vec<usize>,
    /// Rounds; in each, all contenders run one after another.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// The Python that has onnx, onnxruntime and numpy.
    #[arg(long, default_value = "python3", value_name = "PROGRAM")]
    python: String,
}

fn parse_batch(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size @ 1..=4096) => Ok(size),
        _ => Err("1 to 4096 stations".to_owned()),
    }
}

/// Runs it and prints the table.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let version = crate::models::find(&args.models, DEFAULT_MODEL, args.version.as_deref())?;
    let network = NetworkBench::load(&version.folder, args.backend)?;
    let forecaster = Forecaster::load(&version.folder, args.backend)?;
    let onnx = Onnx::start(&args.python, &network)?;
    let mixer = Mixer::new(args.backend);
    println!(
        "{} {}: {} parameters; the mixer: {}; {}, one thread",
        network.id().name,
        network.id().version,
        network.parameters(),
        mixer.parameters(),
        args.backend
    );
    println!("microseconds per forecast: medians of {} rounds of every contender in turn\n", args.rounds);
    let mut contenders = Contenders { network, forecaster, mixer, onnx, stations: Stations::new(&args.batches) };
    let batches = args.batches.clone();
    let rounds = args.rounds;
    let measured: anyhow::Result<Vec<_>> = bench::on_one_thread(move || {
        batches.into_iter().map(|batch| Ok((batch, contenders.measure(batch, rounds)?))).collect()
    })?;
    print(measured?);
    Ok(())
}

/// The median of each contender, and of the ratios within the rounds, which noise that lasts leaves
/// alone.
struct Measured {
    network: f64,
    forecast: f64,
    mixer: f64,
    onnx: Option<f64>,
    to_mixer: f64,
    to_onnx: Option<f64>,
}

fn print(measured: Vec<(usize, Measured)>) {
    let titles = ["batch", "network", "ONNX Runtime", "ratio", "mixer", "ratio", "windows to forecasts"];
    let [batch, network, onnx, ratio, mixer, to_mixer, forecast] = titles;
    println!("{batch:>5} {network:>9} {onnx:>13} {ratio:>6} {mixer:>9} {to_mixer:>6} {forecast:>21}");
    let or_none = |value: Option<f64>, digits| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    for (batch, m) in measured {
        println!(
            "{batch:>5} {:>9.1} {:>13} {:>6} {:>9.1} {:>6.2} {:>21.1}",
            m.network,
            or_none(m.onnx, 1),
            or_none(m.to_onnx, 2),
            m.mixer,
            m.to_mixer,
            m.forecast
        );
    }
    println!("\naims: at most 1.1 x ONNX Runtime (2 at batch 1), and 0.8 x the mixer");
}

struct Contenders {
    network: NetworkBench,
    forecaster: Forecaster,
    mixer: Mixer,
    onnx: Option<Onnx>,
    stations: Stations,
}

impl Contenders {
    fn measure(&mut self, batch: usize, rounds: u32) -> anyhow::Result<Measured> {
        let calls = PER_ROUND.div_ceil(batch).max(3);
        let each = |time: f64| time / batch as f64 * 1e6;
        let [mut network, mut forecast, mut mixer] = [const { Vec::new() }; 3];
        let (mut onnx, mut to_onnx) = (Vec::new(), Vec::new());
        // One round more, which fills caches and the allocator.
        for round in 0..=rounds {
            let ours = each(median((0..calls).map(|_| self.network.time(batch).as_secs_f64())));
            let theirs = match &mut self.onnx {
                Some(onnx) => Some(each(median(onnx.time(batch, calls)?.into_iter()))),
                None => None,
            };
            let mixers = each(median((0..calls).map(|_| self.mixer.time(batch).as_secs_f64())));
            let whole = each(median((0..calls).map(|_| self.stations.time(&mut self.forecaster, batch).as_secs_f64())));
            if round == 0 {
                continue;
            }
            network.push(ours);
            forecast.push(whole);
            mixer.push(mixers);
            to_onnx.extend(theirs.map(|theirs| ours / theirs));
            onnx.extend(theirs);
        }
        let to_mixer = median(network.iter().zip(&mixer).map(|(ours, theirs)| ours / theirs));
        let some = |values: Vec<f64>| (!values.is_empty()).then(|| median(values.into_iter()));
        Ok(Measured {
            network: median(network.into_iter()),
            forecast: median(forecast.into_iter()),
            mixer: median(mixer.into_iter()),
            onnx: some(onnx),
            to_mixer,
            to_onnx: some(to_onnx),
        })
    }
}

/// Simulated stations with four days of hourly reports.
struct Stations {
    stations: Vec<Station>,
    windows: Vec<Window>,
}

impl Stations {
    fn new(batches: &[usize]) -> Self {
        let network = Network::new(1, batches.iter().copied().max().unwrap_or(1));
        let last = Time::now().hour() * 3600;
        let window = |index: usize| {
            let mut window = Window::default();
            for hour in (0..96).rev() {
                if let Some(observation) = network.observe(index, Time::from_unix(last - hour * 3600)) {
                    window.apply(&observation, Flags::default());
                }
            }
            window
        };
        let windows = (0..network.stations().len()).map(window).collect();
        Self { stations: network.stations().to_vec(), windows }
    }

    fn time(&self, forecaster: &mut Forecaster, batch: usize) -> Duration {
        let both = self.windows.iter().zip(&self.stations).cycle();
        let inputs: Vec<Input<'_>> = both.take(batch).map(|(window, station)| Input { window, station }).collect();
        let begun = Instant::now();
        let outputs = forecaster.predict(&inputs);
        let taken = begun.elapsed();
        drop(std::hint::black_box(outputs));
        taken
    }
}

/// ONNX Runtime in a Python process that answers lines with lines.
struct Onnx {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What it reads; removed with this.
    _weights: WeightsFile,
}

/// A file in the system's temporary folder that goes when this does.
struct WeightsFile(PathBuf);

impl Drop for WeightsFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[derive(Deserialize)]
struct Greeting {
    skipped: Option<String>,
    onnxruntime: Option<String>,
    difference: Option<f64>,
}

#[derive(Deserialize)]
struct Timed {
    seconds: Vec<f64>,
}

impl Onnx {
    /// Starts it and holds its outputs against Burn's; none where it is not installed, which is said.
    fn start(python: &str, network: &NetworkBench) -> anyhow::Result<Option<Self>> {
        let file = std::env::temp_dir().join(format!("weatherglass-bench-{}.safetensors", std::process::id()));
        let weights = WeightsFile(file);
        network.export(&weights.0).with_context(|| format!("{}", weights.0.display()))?;
        let command = Command::new(python)
            .args(["-c", bench::ONNX_SCRIPT])
            .arg(&weights.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = match command {
            Ok(process) => process,
            Err(error) => {
                println!("ONNX Runtime is skipped: {python}: {error}\n");
                return Ok(None);
            }
        };
        let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("{python} has no pipes");
        };
        let mut onnx = Self { process, orders, answers: BufReader::new(answers), _weights: weights };
        let greeting: Greeting = onnx.answer()?;
        if let Some(why) = greeting.skipped {
            println!("ONNX Runtime is skipped: {why} (pip install onnx onnxruntime numpy)\n");
            return Ok(None);
        }
        let difference = greeting.difference.unwrap_or(f64::INFINITY);
        ensure!(difference <= TOLERANCE, "ONNX Runtime computes something else: outputs differ by {difference}");
        println!(
            "ONNX Runtime {} gives the same outputs (largest difference {difference:.1e})",
            greeting.onnxruntime.unwrap_or_default()
        );
        Ok(Some(onnx))
    }

    /// Seconds of so many calls.
    fn time(&mut self, batch: usize, calls: usize) -> anyhow::Result<Vec<f64>> {
        writeln!(self.orders, "{batch} {calls}").context("the process that runs ONNX Runtime has ended")?;
        Ok(self.answer::<Timed>()?.seconds)
    }

    fn answer<T: for<'a> Deserialize<'a>>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the process that runs ONNX Runtime has ended; its error is above");
        serde_json::from_str(&line).with_context(|| format!("ONNX Runtime's answer {line}"))
    }
}

impl Drop for Onnx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
