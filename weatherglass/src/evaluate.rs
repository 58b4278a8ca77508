//! `weatherglass evaluate`: how good a version is on stations and times it never saw.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use models::BackendKind;

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
    /// Where the report goes.
    #[arg(long, default_value = "models/EVALUATION.md")]
    report: PathBuf,
}

/// Prints the tables and writes them, with the command that made them.
pub(crate) fn run(args: EvaluateArgs) -> anyhow::Result<()> {
    let known = models::versions(&args.models);
    let wanted = |id: &weather::ModelId| id.name == args.name && args.version.as_ref().is_none_or(|v| *v == id.version);
    let chosen = known.iter().rfind(|v| wanted(&v.id)).with_context(|| {
        let names: Vec<String> = known.iter().map(|v| format!("{} {}", v.id.name, v.id.version)).collect();
        format!("{}: no such version; there are: {}", args.models.display(), names.join(", "))
    })?;
    let evaluation = models::evaluate_version(&args.data, &chosen.folder, args.backend)?;
    let tables = evaluation.markdown();
    print!("{tables}");
    let (name, version) = (&chosen.id.name, &chosen.id.version);
    let report = format!(
        "# Evaluation of {name} {version}\n\n\
         Made by `weatherglass evaluate --name {name} --version {version} --data DIR`, DIR holding the development \
         networks below. These are development results: the stations and times are not trained on, but they are of \
         the networks that the model was developed with.\n\n\
         Judged are the stations held out of training (every fifth by a hash of its id), in the last fifth of each \
         network's period, with inputs and targets wholly after the training cut. `model`, `persistence` (the newest \
         value) and `diurnal` (the newest value at the same hour of the day) are mean absolute errors of the median, \
         or Brier scores for the chance of rain; direction only where at least 3 m/s were observed. CRPS is from the \
         seven served quantiles, weighted by the ranks they stand for. All are judged by the same cases and averaged \
         per station first.\n\n{tables}"
    );
    fs::write(&args.report, report).with_context(|| format!("cannot write {}", args.report.display()))?;
    eprintln!("written to {}", args.report.display());
    Ok(())
}
