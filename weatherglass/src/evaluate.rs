//! `weatherglass evaluate`: how good a version is on stations and times it never saw.

mod benchmark;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use models::{BackendKind, EvaluateOptions};

/// Score a version of the forecaster beside baselines, on stations and times that it never saw.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EvaluateArgs {
    /// Folder of NAME.parquet (or .csv) files, each with a NAME_stations.csv beside it, or with
    /// these in its `tables` folder.
    #[arg(long, env = "WEATHERGLASS_DATA", default_value = "../shared/data")]
    data: PathBuf,
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
    #[arg(long, default_value_t = BackendKind::Flex)]
    backend: BackendKind,
    /// Judge every station over its whole period, and not only what was held out of training:
    /// for data that the version was not trained on.
    #[arg(long)]
    all: bool,
    /// Reference times per station.
    #[arg(long, default_value_t = models::PER_STATION)]
    cases: usize,
    /// Judge only after this moment (RFC 3339), not before the one that the version's training ended
    /// at, which is what counts without it.
    #[arg(long, value_name = "TIME", conflicts_with = "all")]
    cut: Option<String>,
    /// With --all: the data that baselines are fitted on.
    #[arg(long, value_name = "DIR", requires = "all")]
    training_data: Option<PathBuf>,
    /// Cases that baselines are fitted on; 0 leaves them out.
    #[arg(long, default_value_t = models::TRAINING_CASES)]
    training_cases: usize,
    /// Only write the cases for models/lightgbm_baseline.py, into this folder.
    #[arg(long, value_name = "CASES")]
    export_cases: Option<PathBuf>,
    /// Score the predictions that models/lightgbm_baseline.py wrote into this folder, too.
    #[arg(long, value_name = "CASES", conflicts_with = "export_cases")]
    learned: Option<PathBuf>,
    /// Where the report goes; models/EVALUATION.md when absent.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Where its plots and evaluation.json go; `evaluation` beside the report when absent.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    benchmark: benchmark::BenchmarkArgs,
}

/// Prints the tables and writes them, with the command that made them.
pub(crate) fn run(args: EvaluateArgs) -> anyhow::Result<()> {
    if args.benchmark.benchmark.is_some() {
        return benchmark::run(args.benchmark, args.data, args.report);
    }
    let report = args.report.unwrap_or_else(|| PathBuf::from("models/EVALUATION.md"));
    let chosen = crate::models::find(&args.models, &args.name, args.version.as_deref())?;
    let cut = args.cut.as_deref().map(weather::Time::parse).transpose().context("--cut: no time as RFC 3339")?;
    let options = EvaluateOptions {
        data: args.data,
        version: chosen.folder,
        backend: args.backend,
        everything: args.all,
        cut,
        training_data: args.training_data,
        training_cases: args.training_cases,
        learned: args.learned,
        cases: args.cases,
    };
    if let Some(folder) = &args.export_cases {
        let (fitted, judged) = models::export_cases(&options, folder)?;
        eprintln!("{fitted} cases to fit on and {judged} to predict, in {}", folder.display());
        return Ok(());
    }
    let command = command(&chosen.id, &options);
    let evaluation = models::evaluate(&options)?;
    print!("{}", evaluation.overview());
    let out = args.out.unwrap_or_else(|| report.with_file_name("evaluation"));
    let beside = report.parent().unwrap_or(Path::new(""));
    let link = out.strip_prefix(beside).unwrap_or(&out).display().to_string();
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    write(&report, &evaluation.markdown(&command, &link))?;
    write(&out.join("evaluation.json"), &evaluation.json())?;
    for (name, plot) in evaluation.plots() {
        write(&out.join(name), &plot)?;
    }
    eprintln!("written to {} and {}", report.display(), out.display());
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The command for the report, with DIR and CASES for what differs from machine to machine.
fn command(id: &weather::ModelId, options: &EvaluateOptions) -> String {
    let mut command = format!("weatherglass evaluate --name {} --version {} --data DIR", id.name, id.version);
    if options.everything {
        command.push_str(" --all");
    }
    if options.training_data.is_some() {
        command.push_str(" --training-data DIR");
    }
    if let Some(cut) = options.cut {
        command.push_str(&format!(" --cut {cut}"));
    }
    if options.cases != models::PER_STATION {
        command.push_str(&format!(" --cases {}", options.cases));
    }
    if options.training_cases != models::TRAINING_CASES {
        command.push_str(&format!(" --training-cases {}", options.training_cases));
    }
    if options.learned.is_some() {
        command.push_str(" --learned CASES");
    }
    command
}
