//! `weatherglass evaluate`: how good a version is on stations and times it never saw.

mod benchmark;

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use models::{BackendKind, EvaluateOptions};

/// Score a version of the forecaster beside persistence.
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
    /// Where the report goes; models/EVALUATION.md when absent.
    #[arg(long)]
    report: Option<PathBuf>,
    #[command(flatten)]
    benchmark: benchmark::BenchmarkArgs,
}

/// Prints the tables and writes them, with the command that made them.
pub(crate) fn run(args: EvaluateArgs) -> anyhow::Result<()> {
    if args.benchmark.benchmark.is_some() {
        return benchmark::run(args.benchmark, args.data, args.report);
    }
    let known = models::versions(&args.models);
    let wanted = |id: &weather::ModelId| id.name == args.name && args.version.as_ref().is_none_or(|v| *v == id.version);
    let chosen = known.iter().rfind(|v| wanted(&v.id)).with_context(|| {
        let names: Vec<String> = known.iter().map(|v| format!("{} {}", v.id.name, v.id.version)).collect();
        format!("{}: no such version; there are: {}", args.models.display(), names.join(", "))
    })?;
    let evaluation = models::evaluate(&EvaluateOptions {
        data: args.data,
        version: chosen.folder.clone(),
        backend: args.backend,
        everything: args.all,
        cases: args.cases,
    })?;
    let tables = evaluation.markdown();
    print!("{tables}");
    let report = report(&chosen.id, args.all, args.cases, &tables);
    let path = args.report.unwrap_or_else(|| PathBuf::from("models/EVALUATION.md"));
    fs::write(&path, report).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("written to {}", path.display());
    Ok(())
}

/// The report: what was judged and how, the command, the tables.
fn report(id: &weather::ModelId, all: bool, cases: usize, tables: &str) -> String {
    let weather::ModelId { name, version } = id;
    let judged = if all {
        "Judged are all stations over their whole period: right for data that the version was not trained on."
    } else {
        "Judged are the stations held out of training (every fifth by a hash of its id) in the last fifth of each \
         network's period, with inputs and targets wholly after the training cut. They are development results: the \
         networks themselves are those that the model was developed with."
    };
    let all = if all { " --all" } else { "" };
    format!(
        "# Evaluation of {name} {version}\n\n\
         Made by `weatherglass evaluate --name {name} --version {version}{all} --cases {cases} --data DIR`, DIR holding \
         the networks named below.\n\n{judged}\n\n\
         `model`, `persistence` (the newest value) and `diurnal` (the newest value at the same hour of the day) are \
         mean absolute errors of the median, or Brier scores for the chance of rain; directions count only where at \
         least 3 m/s were observed. CRPS is from the seven served quantiles, weighted by the ranks they stand for; `in \
         80 %` is the share of observations between the 10 % and the 90 % quantile. Everything is judged by the same \
         cases and averaged per station first. An hour is mostly dry, so most observations of rain lie at 0, where \
         several quantiles are 0 too: its share in 80 % is high by nature.\n\n{tables}"
    )
}
