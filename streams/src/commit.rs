//! The atomic end of a batch.

use std::collections::HashMap;
use std::sync::LazyLock;

use redis::Script;
use weather::StationId;

use crate::connection::Redis;
use crate::error::Error;
use crate::keys::{GROUP, Partition, StreamId};
use crate::lease::Lease;
use crate::script::Call;

static COMMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/commit.lua")));

/// How long the window of a station that has fallen silent is kept: until none of it would be used,
/// and a day for clocks and outages.
const WINDOW_SECONDS: i64 = (weather::WINDOW_HOURS + 24) * 3600;

/// An hour of a station's window to be written; empty bytes delete it.
#[derive(Clone, Debug)]
pub struct WindowField {
    /// Whose window.
    pub station: StationId,
    /// Hour since 1970.
    pub hour: i64,
    /// As [`weather::Window::pack_hour`] writes it.
    pub bytes: Vec<u8>,
}

/// An entry that is given up, to be moved whole to the dead letters.
#[derive(Clone, Debug)]
pub struct GivenUp {
    /// Where it stood.
    pub id: StreamId,
    /// Why: `malformed`, `newer_version`, `wrong_partition`, `deliveries`, and the detail.
    pub reason: String,
    /// How often it was handed out.
    pub deliveries: u64,
    /// What it was.
    pub bytes: Vec<u8>,
}

/// Everything that one batch of a partition does. Acknowledging is part of it, so that a forecast
/// exists if and only if its observation is acknowledged.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The entries dealt with.
    pub acknowledged: Vec<StreamId>,
    /// Stations that are no more: their windows, newest observations and latest forecasts go, before
    /// anything of the following is written.
    pub removed: Vec<StationId>,
    /// Changed hours of windows.
    pub windows: Vec<WindowField>,
    /// Newest observation of a station, as its stream entry's bytes.
    pub newest: Vec<(StationId, Vec<u8>)>,
    /// What quality control says now, as [`crate::codec::Judgement::encode`] writes it; readers are told
    /// before the forecasts.
    pub judgements: Vec<Vec<u8>>,
    /// Forecasts, as [`crate::codec::encode_forecast`] writes them.
    pub forecasts: Vec<(StationId, Vec<u8>)>,
    /// Entries that are given up.
    pub dead: Vec<GivenUp>,
}

impl Batch {
    /// About how many arguments it makes, and of how many bytes: room for them is made once.
    fn arguments(&self) -> usize {
        let pairs = self.newest.len() + self.forecasts.len() + self.removed.len();
        16 + self.acknowledged.len() + 3 * self.windows.len() + self.judgements.len() + 2 * pairs
    }

    fn bytes(&self) -> usize {
        let windows: usize = self.windows.iter().map(|field| field.bytes.len() + 16).sum();
        let lists = self.newest.iter().chain(&self.forecasts).map(|(id, bytes)| id.as_str().len() + bytes.len());
        let dead: usize = self.dead.iter().map(|letter| letter.bytes.len() + 64).sum();
        let judgements: usize = self.judgements.iter().map(Vec::len).sum();
        128 + judgements + 20 * self.acknowledged.len() + windows + lists.sum::<usize>() + dead
    }
}

/// What a commit did, and how many there have been of the partition: the next commit is to name this
/// count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// All of it.
    Done {
        /// Entries acknowledged.
        acknowledged: usize,
        /// The count.
        commits: u64,
    },
    /// Nothing: an earlier try had already done it.
    Repeated {
        /// The count.
        commits: u64,
    },
}

impl Redis {
    /// How many commits of a partition there have been.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn commits(&self, partition: Partition) -> Result<u64, Error> {
        let key = self.keys().commits(partition);
        let count: Option<u64> = redis::cmd("GET").arg(key).query_async(&mut self.hot()).await?;
        Ok(count.unwrap_or_default())
    }

    /// Commits a batch under a lease: all of it or nothing.
    ///
    /// `known` is the count that the owner's last commit of the partition came to, or that it found before it
    /// read anything of it. An owner remembers windows; when Redis was restored from an older
    /// file, or a replica took over that lacks the last commits, it would take what is lost for done.
    ///
    /// # Errors
    /// [`Error::Fenced`] when the lease is no longer held, [`Error::Diverged`] when Redis has another count,
    /// [`Error::Overtaken`] when an earlier entry must come first: nothing was written. After [`Error::Unavailable`] the batch may or may not have been written: read
    /// again what is pending.
    pub async fn commit(&self, lease: &Lease, batch: &Batch, known: Option<u64>) -> Result<Committed, Error> {
        let keys = self.keys();
        let p: Partition = lease.partition;
        let mut named =
            vec![keys.owner(p), keys.obs(p), keys.forecast(p), keys.newest(p), keys.latest(p), keys.dead(p)];
        named.push(keys.commits(p));
        // Place of each window among the keys, counted from 1 as the script does.
        let mut windows = HashMap::new();
        for station in batch.removed.iter().chain(batch.windows.iter().map(|field| &field.station)) {
            windows.entry(station).or_insert_with(|| {
                named.push(keys.window(p, station));
                named.len()
            });
        }
        let mut call = Call::new(&COMMIT, &named, batch.arguments(), batch.bytes());
        call.arg(&lease.token).arg(GROUP).arg(WINDOW_SECONDS);
        call.arg(known.map(|known| known.to_string()).unwrap_or_default()).arg(batch.acknowledged.len());
        for id in &batch.acknowledged {
            call.arg(id.to_string());
        }
        call.arg(batch.removed.len());
        for station in &batch.removed {
            call.arg(station.as_str()).arg(windows.get(station).copied().unwrap_or_default());
        }
        call.arg(batch.windows.len());
        for field in &batch.windows {
            let place = windows.get(&field.station).copied().unwrap_or_default();
            call.arg(place).arg(field.hour).arg(&field.bytes);
        }
        let pairs = |call: &mut Call, list: &[(StationId, Vec<u8>)]| {
            call.arg(list.len());
            for (station, bytes) in list {
                call.arg(station.as_str()).arg(bytes);
            }
        };
        pairs(&mut call, &batch.newest);
        call.arg(batch.judgements.len());
        for bytes in &batch.judgements {
            call.arg(bytes);
        }
        pairs(&mut call, &batch.forecasts);
        call.arg(batch.dead.len());
        for letter in &batch.dead {
            call.arg(letter.id.to_string()).arg(&letter.reason).arg(letter.deliveries).arg(&letter.bytes);
        }
        match call.run::<(i64, u64)>(&mut self.hot()).await? {
            (-1, _) => Err(Error::Fenced(p)),
            (-2, _) => Err(Error::Diverged(p)),
            (-3, _) => Err(Error::Overtaken(p)),
            (0, commits) => Ok(Committed::Repeated { commits }),
            (count, commits) => {
                Ok(Committed::Done { acknowledged: usize::try_from(count).unwrap_or_default(), commits })
            }
        }
    }
}
