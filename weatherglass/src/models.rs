//! `weatherglass models`: the versions of the forecaster that are there.

use std::path::{Path, PathBuf};

use anyhow::Context;
use models::{BackendKind, VersionInfo};

/// List the versions of the forecaster and whether each can serve.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ModelsArgs {
    /// The weights folder.
    #[arg(long, env = "WEATHERGLASS_MODELS", default_value = "models/weights")]
    models: PathBuf,
    /// What computes: flex or ndarray.
    #[arg(long, default_value_t = BackendKind::Flex)]
    backend: BackendKind,
}

/// Prints a line per version, with its temperature errors, or why it is refused.
pub(crate) fn run(args: ModelsArgs) -> anyhow::Result<()> {
    let versions = models::versions(&args.models);
    anyhow::ensure!(!versions.is_empty(), "{}: no model version here", args.models.display());
    for version in versions {
        println!("{} {}  {}", version.id.name, version.id.version, version.description);
        if let Err(error) = models::Forecaster::load(&version.folder, args.backend) {
            println!("    refused: {error}");
        }
        if let Some(judged) = &version.judged_as {
            println!("    trained on everything; the same recipe was judged as {judged} {}", version.id.version);
        }
        for score in version.scores.iter().filter(|s| s.quantity.starts_with("temperature")) {
            println!(
                "    {:>2} h: temperature MAE {:.2} degC, persistence {:.2}, same hour yesterday {:.2}",
                score.lead, score.model, score.persistence, score.diurnal
            );
        }
    }
    Ok(())
}

/// A version of the model of that name below a weights folder; the newest when none is given.
pub(crate) fn find(weights: &Path, name: &str, version: Option<&str>) -> anyhow::Result<VersionInfo> {
    let mut known = models::versions(weights);
    let wanted = |v: &VersionInfo| v.id.name == name && version.is_none_or(|version| version == v.id.version);
    let at = known.iter().rposition(wanted).with_context(|| {
        let names: Vec<String> = known.iter().map(|v| format!("{} {}", v.id.name, v.id.version)).collect();
        format!("{}: no such version; there are: {}", weights.display(), names.join(", "))
    })?;
    Ok(known.swap_remove(at))
}
