//! `weatherglass train`: a new version of the forecaster from files of observations.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use models::{Budget, TrainOptions, Trained};

/// Train a new version of the forecaster.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// Folder of NAME.parquet (or .csv) files, each with a NAME_stations.csv beside it, or with
    /// these in its `tables` folder.
    #[arg(long, env = "WEATHERGLASS_DATA")]
    data: PathBuf,
    /// The weights folder; the version is written to OUT/NAME/VERSION.
    #[arg(long, default_value = "models/weights")]
    out: PathBuf,
    /// The model's name.
    #[arg(long, default_value = models::DEFAULT_MODEL)]
    name: String,
    /// The new version, such as 0.2.0; it must not exist yet.
    #[arg(long)]
    version: String,
    /// One line about it, for listings.
    #[arg(long, default_value = "Global station forecaster, hourly window of 96 h, 48 leads")]
    description: String,
    /// Train each member for so many steps: the same data, seed and steps give the same weights.
    #[arg(long, default_value_t = 5500)]
    steps: u64,
    /// Train each member for about so many minutes instead (the steps that fit are measured first).
    #[arg(long, conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Train only on what most stations reported before this moment (RFC 3339), so that the others
    /// can judge the version after it; on everything when absent.
    #[arg(long, value_name = "TIME")]
    cut: Option<String>,
    /// The model, of the same version, that the same recipe made up to a --cut, and that is judged in
    /// place of this one, which is trained on everything.
    #[arg(long, value_name = "NAME", conflicts_with = "cut")]
    judged_as: Option<String>,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Windows per step.
    #[arg(long, default_value_t = 256)]
    batch: usize,
    /// Width of the encoder.
    #[arg(long, default_value_t = 384)]
    hidden: usize,
    /// Width of the decoder.
    #[arg(long, default_value_t = 96)]
    latent: usize,
    /// Networks that are trained one after another and averaged.
    #[arg(long, default_value_t = 3)]
    members: usize,
    /// Train only this member, the first being 1, and leave it as a checkpoint: several processes can
    /// share the work, before the same command with --resume puts the members together.
    #[arg(long, value_name = "N")]
    member: Option<usize>,
    /// The highest learning rate.
    #[arg(long, default_value_t = 1.5e-3)]
    learning_rate: f64,
    /// The share of the encoder's numbers that each step leaves out, so that it can't learn days by
    /// heart, 0 to 0.9. (At 0.25 it learnt less of everything.)
    #[arg(long, default_value_t = 0.0)]
    dropped: f64,
    /// The last share of each network's training period that is kept from training, below 0.9: the
    /// weights that do best there are written. With 0 the last ones are.
    #[arg(long, default_value_t = 0.05)]
    validated: f64,
    /// Validations (every 500 steps) without a better one after which training ends.
    #[arg(long, default_value_t = 4)]
    patience: u32,
    /// Where training computes: cpu, or cuda in a build with that feature.
    #[arg(long, default_value = "cpu")]
    device: models::TrainDevice,
    /// Go on from the checkpoint of a training that was cut off.
    #[arg(long)]
    resume: bool,
}

/// Trains until the budget is used up and writes the version, or until Ctrl-C and leaves a checkpoint.
pub(crate) fn run(args: TrainArgs) -> anyhow::Result<()> {
    let week = 7.0 * 24.0 * 60.0;
    anyhow::ensure!(args.minutes.is_none_or(|m| m > 0.0 && m <= week), "--minutes is more than 0, at most {week}");
    for (name, size) in [("batch", args.batch), ("hidden", args.hidden), ("latent", args.latent)] {
        anyhow::ensure!((1..=65_536).contains(&size), "--{name} is {size}: 1 to 65536 is allowed");
    }
    anyhow::ensure!(args.steps > 0 && args.patience > 0, "--steps and --patience must be positive");
    let rate = args.learning_rate;
    anyhow::ensure!(rate > 0.0 && rate <= 1.0, "--learning-rate is {rate}: more than 0, at most 1, is allowed");
    anyhow::ensure!(args.members > 0, "--members must be positive");
    let known = args.member.is_none_or(|member| (1..=args.members).contains(&member));
    anyhow::ensure!(known, "--member is 1 to --members, which is {}", args.members);
    anyhow::ensure!((0.0..0.9).contains(&args.validated), "--validated is a share, 0 to 0.9");
    anyhow::ensure!((0.0..=0.9).contains(&args.dropped), "--dropped is a share, 0 to 0.9");
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_interrupt(&stop, "stopping; the version is written with what it has learnt")?;
    let options = TrainOptions {
        data: args.data,
        out: args.out,
        name: args.name,
        version: args.version,
        description: args.description,
        cut: args.cut.as_deref().map(cut).transpose()?,
        judged_as: args.judged_as,
        seed: args.seed,
        budget: args.minutes.map_or(Budget::Steps(args.steps), |m| Budget::Time(Duration::from_secs_f64(m * 60.0))),
        batch: args.batch,
        hidden: args.hidden,
        latent: args.latent,
        members: args.members,
        only: args.member.map(|member| member - 1),
        learning_rate: args.learning_rate,
        dropped: args.dropped,
        validated: args.validated,
        patience: args.patience,
        device: args.device,
        resume: args.resume,
    };
    match models::train(&options, &stop)? {
        Trained::Version(folder) => println!("{}", folder.display()),
        Trained::Member(folder) => {
            println!("{}", folder.display());
            eprintln!("when every member is trained, the same command with --resume and without --member joins them");
        }
    }
    Ok(())
}

fn cut(text: &str) -> anyhow::Result<weather::Time> {
    weather::Time::parse(text).with_context(|| format!("--cut is {text}: give a time like 2024-03-01T00:00:00Z"))
}

/// The first Ctrl-C sets the flag and says so; a second one ends the process.
pub(crate) fn stop_on_interrupt(stop: &Arc<AtomicBool>, says: &'static str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = Arc::clone(stop);
    std::thread::Builder::new().name("interrupt".into()).spawn(move || {
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                eprintln!("{says}");
                stop.store(true, Ordering::Relaxed);
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    })?;
    Ok(())
}
