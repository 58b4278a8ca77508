//! `weatherglass dead-letters`: looking at what could not be processed, and deciding what becomes of it.

use std::io::Write as _;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::{Value, json};
use streams::{DeadId, DeadLetter, Entry, Redis, RedisConfig, StreamId};

/// `weatherglass dead-letters`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    redis: RedisConfig,
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// A line for each: its name, when it came and was given up, how often it was tried, and why.
    List {
        #[command(flatten)]
        filter: Filter,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Everything about one, with its content as far as it can be read.
    Show {
        /// Its name, such as 3/1790000000000-0.
        id: DeadId,
    },
    /// Puts them back at the end of their streams: after a release that reads them, or a repair.
    Replay(Chosen),
    /// Removes them for good.
    Drop(Chosen),
}

/// Which of them.
#[derive(clap::Args)]
struct Filter {
    /// Only those whose reason begins so: malformed, newer_version, wrong_partition or deliveries.
    #[arg(long)]
    reason: Option<String>,
}

/// What to do something to.
#[derive(clap::Args)]
struct Chosen {
    /// Their names.
    #[arg(required_unless_present = "all")]
    ids: Vec<DeadId>,
    /// All that there are, or all of a --reason.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Runs it.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let redis = Redis::connect(&args.redis)
        .await
        .with_context(|| format!("dead-letters can't use Redis at {}", args.redis.address()))?;
    match args.what {
        What::List { filter, json } => list(&redis, &filter, json).await,
        What::Show { id } => {
            let letter = redis.dead_letter(id).await?.with_context(|| format!("{id}: there is no such dead letter"))?;
            println!("{}", serde_json::to_string_pretty(&shown(&letter))?);
            Ok(())
        }
        What::Replay(chosen) => {
            act(&redis, chosen, async |id| {
                let new = redis.replay_dead_letter(id).await?;
                Ok(new.map(|new| format!("is in its stream again, as {new}")))
            })
            .await
        }
        What::Drop(chosen) => {
            act(&redis, chosen, async |id| Ok(redis.drop_dead_letter(id).await?.then(|| "is removed".to_owned()))).await
        }
    }
}

async fn list(redis: &Redis, filter: &Filter, json: bool) -> anyhow::Result<()> {
    let mut count = 0;
    each(redis, filter, async |letter| {
        count += 1;
        let station = Entry::decode(&letter.bytes).map_or_else(|_| "-".to_owned(), |e| e.station().to_string());
        let line = if json {
            shown(&letter).to_string()
        } else {
            let (came, left) = (clock(letter.entry), clock(letter.id.id));
            let DeadLetter { id, reason, deliveries, .. } = &letter;
            format!("{id}  came {came}  given up {left}  tried {deliveries}  {station}  {reason}")
        };
        // Whoever listens to `head` has heard enough.
        Ok(writeln!(std::io::stdout(), "{line}").is_ok())
    })
    .await?;
    if !json {
        eprintln!("{count} dead letters");
    }
    Ok(())
}

/// Does something to each of the chosen, and says what became of it. One that is gone is named; the rest
/// goes on.
async fn act(
    redis: &Redis,
    chosen: Chosen,
    to: impl AsyncFn(DeadId) -> Result<Option<String>, streams::Error>,
) -> anyhow::Result<()> {
    anyhow::ensure!(chosen.all || chosen.filter.reason.is_none(), "--reason chooses among --all, not among names");
    let mut ids = chosen.ids;
    if chosen.all {
        each(redis, &chosen.filter, async |letter| {
            ids.push(letter.id);
            Ok(true)
        })
        .await?;
    }
    let mut missing = 0;
    for id in &ids {
        match to(*id).await.with_context(|| id.to_string())? {
            Some(done) => println!("{id} {done}"),
            None => {
                missing += 1;
                eprintln!("{id}: there is no such dead letter");
            }
        }
    }
    anyhow::ensure!(missing == 0, "{missing} of {} were not there", ids.len());
    Ok(())
}

/// Reads all that match, page by page, until `seen` says enough.
async fn each(
    redis: &Redis,
    filter: &Filter,
    mut seen: impl AsyncFnMut(DeadLetter) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    for partition in 0..redis.keys().partitions() {
        let mut after: Option<StreamId> = None;
        loop {
            let page = redis.dead_letters(partition, after).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.id);
            for letter in page {
                let wanted = filter.reason.as_ref().is_none_or(|reason| letter.reason.starts_with(reason.as_str()));
                if wanted && !seen(letter).await? {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn shown(letter: &DeadLetter) -> Value {
    let content = match Entry::decode(&letter.bytes) {
        Ok(Entry::Observation(received)) => json!({"observation": received.observation, "flags": received.flags}),
        Ok(Entry::Station(station)) => json!({"station": station}),
        Ok(Entry::Removed(id)) => json!({"removed": id}),
        Err(error) => json!({"unreadable": error.to_string(), "text": String::from_utf8_lossy(&letter.bytes)}),
    };
    json!({
        "id": letter.id.to_string(),
        "entry": letter.entry.to_string(),
        "came": clock(letter.entry),
        "given_up": clock(letter.id.id),
        "reason": letter.reason,
        "deliveries": letter.deliveries,
        "worker": letter.worker,
        "content": content,
        "bytes": letter.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    })
}

/// The time in a stream ID, RFC 3339.
fn clock(id: StreamId) -> String {
    let time = i64::try_from(id.milliseconds).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| id.to_string(), |time| time.to_string())
}
