//! Observations that wait on this machine's disk while Redis can't take them.
//!
//! One file in the folder of `--spool`. A record (`spool/record.rs`) is what one request brought, under
//! the next number.
//!
//! A thread of its own has the file. It answers when the disk has a record, and takes all requests
//! that wait by then in one transaction, so that one flush serves them all. What enters and leaves is
//! counted there and nowhere else: a request whose sender has gone is counted all the same.
//!
//! **Order.** While the spool holds anything, everything new goes behind it; only an empty one lets
//! requests go to Redis themselves. No lock is needed for that. The number of observations that wait
//! is raised before the sender of a record has its answer, and lowered only when Redis has what is
//! taken out. Whoever sends after having had an answer therefore finds the spool filled, or finds
//! everything before him in Redis. (Nothing is promised of requests that overlap: the sender of two
//! at once does not say which one is first.)
//!
//! **Exactly once.** A record may have been written to Redis already, wholly or in part: when an
//! append failed nobody knows how far it got, and a kill may fall between writing to Redis and
//! forgetting here. Writing it again does no harm: `append.lua` knows up to which record this spool has
//! handed over, and of a request that failed on its way past the spool it recognises what it accepted
//! last for that station and second. It is then counted as duplicate, not as accepted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::metrics::{counter, gauge};
use anyhow::{Context, bail};
use redb::{Builder, Database, ReadableDatabase, TableDefinition};
use streams::Received;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};
use weather::admission::Reason;

use crate::metrics;

mod record;
mod survey;
use record::{claimed, observations, record};
use survey::{Survey, survey};

const FILE: &str = "spool.redb";
const WAITING: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("waiting");
/// Records that could not be read when their turn came, as they were.
const DAMAGED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("damaged");
/// What a record costs beside its bytes.
const OVERHEAD: u64 = 32;
/// Memory for the file's pages; redb's own default is a gigabyte.
const CACHE: usize = 8 * 1024 * 1024;
/// Requests that share one flush.
const GROUP: usize = 256;
/// Observations that leave together, give or take a record.
const BATCH: usize = 4096;
/// An emptied file that is longer than this is cut.
const LONG_FILE: u64 = 16 * 1024 * 1024;

/// Why the spool did not take a request, or give one. Each kind is also a metric label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// It holds as much as it may.
    #[error("the spool is full: it holds {0} MiB (WEATHERGLASS_SPOOL_LIMIT)")]
    Full(u64),
    /// The disk said no.
    #[error("the spool can't be used (WEATHERGLASS_SPOOL): {0}")]
    Storage(String),
    /// Ingest is stopping.
    #[error("the spool is closed")]
    Closed,
}

impl SpoolError {
    /// Every label, for metrics that start at zero.
    pub const LABELS: [&'static str; 3] = ["full", "storage", "closed"];

    const fn label(&self) -> &'static str {
        match self {
            Self::Full(_) => Self::LABELS[0],
            Self::Storage(_) => Self::LABELS[1],
            Self::Closed => Self::LABELS[2],
        }
    }
}

/// What waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) observations: u64,
    pub(crate) bytes: u64,
}

/// The oldest records, to be written to Redis and then forgotten.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) observations: Vec<Received>,
    /// The spool's name, and where in it each of them waited: record and place in the record.
    pub(crate) spool: String,
    pub(crate) positions: Vec<String>,
    through: u64,
    bytes: u64,
}

enum Command {
    Put(Put),
    Next(oneshot::Sender<Result<Batch, SpoolError>>),
    Forget { batch: Batch, duplicates: u64, refused: u64, reply: oneshot::Sender<Result<(), SpoolError>> },
    Close(oneshot::Sender<()>),
}

struct Put {
    value: Vec<u8>,
    observations: u64,
    reply: oneshot::Sender<Result<(), SpoolError>>,
}

/// The spool, as the door and the drainer know it.
#[derive(Clone)]
pub(crate) struct Spool {
    commands: mpsc::Sender<Command>,
    held: watch::Receiver<Held>,
    limit: u64,
}

impl Spool {
    /// Opens the spool in `folder`, which may hold `limit` bytes.
    pub(crate) fn open(folder: &Path, limit: u64) -> anyhow::Result<Self> {
        let setting = || format!("WEATHERGLASS_SPOOL {}", folder.display());
        std::fs::create_dir_all(folder).with_context(setting)?;
        let (sender, held) = watch::channel(Held::default());
        let (path, name) = (folder.join(FILE), String::new());
        let mut keeper = Keeper { path, file: None, name, next: 0, limit, held: sender };
        keeper.open().with_context(setting)?;
        let found = *held.borrow();
        gauge!(metrics::SPOOL_FOUND).set(found.observations as f64);
        if found.observations > 0 {
            info!(observations = found.observations, "the spool holds what an earlier process could not hand to Redis");
        }
        let (commands, inbox) = mpsc::channel(GROUP);
        std::thread::Builder::new().name("spool".into()).spawn(move || keeper.serve(inbox)).with_context(setting)?;
        Ok(Self { commands, held, limit })
    }

    /// What waits now.
    pub(crate) fn held(&self) -> Held {
        *self.held.borrow()
    }

    /// Whether anything waits: then what is new has to go behind it.
    pub(crate) fn holds_any(&self) -> bool {
        self.held().observations > 0
    }

    /// Whether nine tenths of it are used.
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.held().bytes > self.limit / 10 * 9
    }

    /// Waits until it holds something.
    pub(crate) async fn filled(&self) {
        let mut held = self.held.clone();
        if held.wait_for(|held| held.observations > 0).await.is_err() {
            // The thread has ended; whoever asks for a record is told so.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Keeps a request's observations; returns once the disk has them.
    pub(crate) async fn put(&self, observations: &[Received]) -> Result<(), SpoolError> {
        let value = record(observations);
        let observations = observations.len() as u64;
        let put = self.ask(|reply| Command::Put(Put { value, observations, reply })).await;
        put.inspect_err(|error| {
            counter!(metrics::SPOOL_REFUSED, "reason" => error.label()).increment(1);
        })
    }

    /// The oldest records; an empty batch if there are none that can be read.
    pub(crate) async fn next(&self) -> Result<Batch, SpoolError> {
        self.ask(Command::Next).await
    }

    /// Forgets a batch that Redis has, of which it had `duplicates` before, and `refused` since nobody has
    /// registered their stations.
    pub(crate) async fn forget(&self, batch: Batch, duplicates: u64, refused: u64) -> Result<(), SpoolError> {
        self.ask(|reply| Command::Forget { batch, duplicates, refused, reply }).await
    }

    /// Closes the file, so that the next process finds it free.
    pub(crate) async fn close(self) {
        let (reply, closed) = oneshot::channel();
        if self.commands.send(Command::Close(reply)).await.is_ok() {
            let _ = closed.await;
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, SpoolError>>) -> Command,
    ) -> Result<T, SpoolError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| SpoolError::Closed)?;
        answer.await.map_err(|_| SpoolError::Closed)?
    }
}

/// The thread that has the file.
struct Keeper {
    path: PathBuf,
    /// None after a failure, until it is opened again: redb does not trust a file that failed.
    file: Option<Database>,
    name: String,
    next: u64,
    limit: u64,
    held: watch::Sender<Held>,
}

impl Keeper {
    fn serve(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut puts = Vec::new();
        while let Some(command) = inbox.blocking_recv() {
            let mut after = match command {
                Command::Put(put) => {
                    puts.push(put);
                    None
                }
                other => Some(other),
            };
            while after.is_none() && puts.len() < GROUP {
                match inbox.try_recv() {
                    Ok(Command::Put(put)) => puts.push(put),
                    Ok(other) => after = Some(other),
                    Err(_) => break,
                }
            }
            self.keep(std::mem::take(&mut puts));
            match after {
                Some(Command::Next(reply)) => drop(reply.send(self.trying(Self::read))),
                Some(Command::Forget { batch, duplicates, refused, reply }) => {
                    drop(reply.send(self.trying(|keeper, file| keeper.forget(file, &batch, duplicates, refused))));
                    self.shorten();
                }
                Some(Command::Close(reply)) => {
                    drop(self.file.take());
                    let _ = reply.send(());
                    return;
                }
                Some(Command::Put(_)) | None => {}
            }
        }
    }

    /// Opens the file and counts what is in it. A damaged file is put aside: what it holds may be
    /// saved by hand, and what comes now has a place.
    fn open(&mut self) -> anyhow::Result<()> {
        let open = || -> Result<(Database, Survey), redb::Error> {
            let file = Builder::new().set_cache_size(CACHE).create(&self.path)?;
            let found = survey(&file)?;
            Ok((file, found))
        };
        // redb may panic over a damaged file.
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open));
        let (file, Survey { held, next, name }) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(redb::Error::DatabaseAlreadyOpen)) => bail!("another process uses it"),
            Ok(Err(error)) if !is_damage(&error) => return Err(error.into()),
            damaged => {
                let aside = self.path.with_extension(format!("damaged-{}", jiff::Timestamp::now().as_millisecond()));
                std::fs::rename(&self.path, &aside)?;
                let why = damaged.ok().and_then(Result::err).map_or_else(String::new, |error| error.to_string());
                error!(why, file = %aside.display(), "the spool's file is damaged and was put aside");
                counter!(metrics::SPOOL_DAMAGED).increment(1);
                open()?
            }
        };
        self.file = Some(file);
        (self.next, self.name) = (next, name);
        self.show(|now| *now = held);
        Ok(())
    }

    /// Does something with the file; opens it anew after it has failed.
    fn trying<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &Database) -> Result<T, redb::Error>,
    ) -> Result<T, SpoolError> {
        if self.file.is_none() {
            self.open().map_err(|e| SpoolError::Storage(format!("{e:#}")))?;
        }
        let file = self.file.take().ok_or(SpoolError::Closed)?;
        let done = work(self, &file);
        match done {
            Ok(value) => {
                self.file = Some(file);
                Ok(value)
            }
            Err(error) => {
                warn!(%error, "the spool's file failed; it is opened again at the next use");
                Err(SpoolError::Storage(error.to_string()))
            }
        }
    }

    /// Writes all that fits in one transaction.
    fn keep(&mut self, puts: Vec<Put>) {
        let mut bytes = self.held.borrow().bytes;
        let (mut fit, mut full) = (Vec::new(), Vec::new());
        for put in puts {
            let size = put.value.len() as u64 + OVERHEAD;
            if bytes + size > self.limit {
                full.push(put);
            } else {
                bytes += size;
                fit.push(put);
            }
        }
        for put in full {
            let _ = put.reply.send(Err(SpoolError::Full(self.limit >> 20)));
        }
        if fit.is_empty() {
            return;
        }
        let written = self.trying(|keeper, file| {
            let transaction = begin(file)?;
            {
                let mut table = transaction.open_table(WAITING)?;
                for (number, put) in (keeper.next..).zip(&fit) {
                    table.insert(number, put.value.as_slice())?;
                }
            }
            transaction.commit()?;
            Ok(())
        });
        if written.is_ok() {
            let observations: u64 = fit.iter().map(|put| put.observations).sum();
            self.next += fit.len() as u64;
            if self.held.borrow().observations == 0 {
                warn!("Redis does not take observations: they are spooled");
            }
            counter!(metrics::RECEIVED).increment(observations);
            counter!(metrics::SPOOLED).increment(observations);
            self.show(|held| {
                held.observations += observations;
                held.bytes = bytes;
            });
        }
        for put in fit {
            let _ = put.reply.send(written.clone());
        }
    }

    /// The oldest records. What can't be read is moved out of the way first.
    fn read(&mut self, file: &Database) -> Result<Batch, redb::Error> {
        let mut batch = Batch { spool: self.name.clone(), ..Batch::default() };
        let mut damaged = Vec::new();
        {
            let transaction = file.begin_read()?;
            for record in transaction.open_table(WAITING)?.range::<u64>(..)? {
                let (number, value) = record?;
                match observations(value.value()) {
                    Some(observations) => {
                        let place = |at| format!("{:020}.{at:08}", number.value());
                        batch.positions.extend((0..observations.len()).map(place));
                        batch.observations.extend(observations);
                        batch.bytes += value.value().len() as u64 + OVERHEAD;
                        batch.through = number.value();
                    }
                    None => damaged.push((number.value(), value.value().to_vec())),
                }
                if batch.observations.len() >= BATCH || damaged.len() >= GROUP {
                    break;
                }
            }
        }
        if !damaged.is_empty() {
            self.put_aside(file, &damaged)?;
        } else if batch.observations.is_empty() {
            // A count that a damaged record got wrong must not have everything spooled for ever.
            self.show(|held| *held = Held::default());
        }
        Ok(batch)
    }

    fn put_aside(&mut self, file: &Database, damaged: &[(u64, Vec<u8>)]) -> Result<(), redb::Error> {
        let transaction = begin(file)?;
        {
            let (mut waiting, mut aside) = (transaction.open_table(WAITING)?, transaction.open_table(DAMAGED)?);
            for (number, value) in damaged {
                waiting.remove(number)?;
                aside.insert(number, value.as_slice())?;
            }
        }
        transaction.commit()?;
        let lost: u64 = damaged.iter().map(|(_, value)| claimed(value)).sum();
        let bytes: u64 = damaged.iter().map(|(_, value)| value.len() as u64 + OVERHEAD).sum();
        let first = damaged.first().map_or(0, |(number, _)| *number);
        error!(
            records = damaged.len(),
            observations = lost,
            first,
            "records of the spool are damaged; they are kept in its table `damaged`"
        );
        counter!(metrics::SPOOL_DAMAGED).increment(damaged.len() as u64);
        counter!(metrics::REJECTED, "reason" => metrics::DAMAGED_IN_SPOOL).increment(lost);
        self.show(|held| {
            held.observations = held.observations.saturating_sub(lost);
            held.bytes = held.bytes.saturating_sub(bytes);
        });
        Ok(())
    }

    fn forget(&mut self, file: &Database, batch: &Batch, duplicates: u64, refused: u64) -> Result<(), redb::Error> {
        let transaction = begin(file)?;
        transaction.open_table(WAITING)?.retain_in::<u64, _>(..=batch.through, |_, _| false)?;
        transaction.open_table(survey::FACTS)?.insert(survey::NEXT, batch.through + 1)?;
        transaction.commit()?;
        let all = batch.observations.len() as u64;
        let accepted = all.saturating_sub(duplicates + refused);
        counter!(metrics::ACCEPTED).increment(accepted);
        counter!(metrics::DUPLICATE).increment(duplicates);
        counter!(metrics::SPOOL_DRAINED, "outcome" => "accepted").increment(accepted);
        counter!(metrics::SPOOL_DRAINED, "outcome" => "duplicate").increment(duplicates);
        counter!(metrics::REJECTED, "reason" => Reason::Unconfirmed.label()).increment(refused);
        counter!(metrics::SPOOL_DRAINED, "outcome" => "rejected").increment(refused);
        self.show(|held| {
            held.observations = held.observations.saturating_sub(all);
            held.bytes = held.bytes.saturating_sub(batch.bytes);
        });
        if self.held.borrow().observations == 0 {
            info!("the spool is empty: observations go to Redis again");
        }
        Ok(())
    }

    /// Gives an emptied file's room back to the disk.
    fn shorten(&mut self) {
        let is_long = || std::fs::metadata(&self.path).is_ok_and(|m| m.len() > LONG_FILE);
        if self.held.borrow().observations == 0
            && is_long()
            && let Some(file) = &mut self.file
            && let Err(error) = file.compact()
        {
            warn!(%error, "the emptied spool keeps its length");
        }
    }

    /// Changes what is held, for those who ask and for the metrics.
    fn show(&self, change: impl FnOnce(&mut Held)) {
        self.held.send_modify(change);
        let held = *self.held.borrow();
        gauge!(metrics::SPOOL_OBSERVATIONS).set(held.observations as f64);
        gauge!(metrics::SPOOL_BYTES).set(held.bytes as f64);
    }
}

/// A transaction that is on the disk when it is committed. "Quick repair" has each commit leave the
/// file such that a process that was killed does not make the next one read it all; and one flipped
/// bit costs the record that has it, where the full repair would give up the whole file.
fn begin(file: &Database) -> Result<redb::WriteTransaction, redb::Error> {
    let mut transaction = file.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Whether the file itself is at fault: it is damaged, or none of redb's.
fn is_damage(error: &redb::Error) -> bool {
    match error {
        redb::Error::Corrupted(_) => true,
        redb::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
