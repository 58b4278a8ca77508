//! The newest readings of every station's rain counters.
//!
//! A console sends how much rain its gauge has ever counted, and what fell is the difference of two
//! readings. Whichever ingest process meets the next one must know the last.

use std::sync::LazyLock;

use redis::Script;
use serde::{Deserialize, Serialize};
use weather::{StationId, Time};

use crate::connection::Redis;
use crate::error::Error;
use crate::script::Call;

/// Readings kept per station: as far back as a report may be sent again and still find the one before it.
pub const KEPT: usize = 8;

/// What a reading's arguments take, about.
const ROOM: usize = 96;

static RAIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/rain.lua")));

/// What a station's rain counters showed at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CounterReading {
    /// When, UTC.
    pub time: Time,
    /// Which counter, and what it showed, mm.
    pub totals: Vec<(u8, f64)>,
}

/// Where a reading has its place among those before it.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// After this one; after none when it is the first that is known.
    After(Option<CounterReading>),
    /// It came too late: a later one has been answered for.
    Late,
}

impl Redis {
    /// Keeps readings of a station's counters, oldest first, and says what came before the last of them.
    /// One that is sent again finds the same one before it as the first time. Of no reading at all it is
    /// [`Place::After`] none.
    ///
    /// # Errors
    /// When Redis did not take them; sending them again is safe.
    pub async fn keep_rain(&self, station: &StationId, readings: &[CounterReading]) -> Result<Place, Error> {
        if readings.is_empty() {
            return Ok(Place::After(None));
        }
        let keys = self.keys();
        let named = [keys.rain(keys.partition_of(station))];
        let mut call = Call::new(&RAIN, &named, 2 + 2 * readings.len(), ROOM * (1 + readings.len()));
        call.arg(station.as_str()).arg(KEPT);
        for reading in readings {
            let bytes = rmp_serde::to_vec(reading).map_err(|e| Error::Data(e.to_string()))?;
            call.arg(reading.time.unix()).arg(bytes);
        }
        let (before, late): (Vec<u8>, i64) = call.run(&mut self.hot()).await?;
        if late != 0 {
            return Ok(Place::Late);
        }
        // An earlier release's bytes, or a later one's: as good as nothing known.
        Ok(Place::After(rmp_serde::from_slice(&before).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::RedisServer;

    fn reading(time: i64, total: f64) -> CounterReading {
        CounterReading { time: Time::from_unix(time), totals: vec![(0, total)] }
    }

    #[tokio::test]
    async fn a_reading_finds_the_one_before_it_however_often_it_comes() {
        let server = RedisServer::temporary().unwrap();
        let redis = Redis::connect(&server.config()).await.unwrap();
        let other = Redis::connect(&server.config()).await.unwrap();
        let station = StationId::new("A").unwrap();
        let keep = async |redis: &Redis, time, total| redis.keep_rain(&station, &[reading(time, total)]).await.unwrap();
        assert_eq!(keep(&redis, 100, 1.0).await, Place::After(None));
        assert_eq!(keep(&other, 160, 2.0).await, Place::After(Some(reading(100, 1.0))));
        for _ in 0..2 {
            assert_eq!(keep(&redis, 160, 2.0).await, Place::After(Some(reading(100, 1.0))));
        }
        assert_eq!(keep(&redis, 220, 2.5).await, Place::After(Some(reading(160, 2.0))));
        assert_eq!(keep(&redis, 160, 2.0).await, Place::After(Some(reading(100, 1.0))), "an older one again");
        assert_eq!(keep(&redis, 130, 1.5).await, Place::Late);
        assert_eq!(keep(&redis, 280, 3.0).await, Place::After(Some(reading(220, 2.5))), "the late one is not kept");
    }

    #[tokio::test]
    async fn what_memory_kept_meanwhile_is_caught_up_with() {
        let server = RedisServer::temporary().unwrap();
        let redis = Redis::connect(&server.config()).await.unwrap();
        let station = StationId::new("A").unwrap();
        redis.keep_rain(&station, &[reading(100, 1.0)]).await.unwrap();
        let readings: Vec<_> = (0..20).map(|n| reading(100 + n * 60, 1.0 + n as f64)).collect();
        let place = redis.keep_rain(&station, &readings).await.unwrap();
        assert_eq!(place, Place::After(Some(readings[18].clone())));
        let oldest = redis.keep_rain(&station, &readings[..1]).await.unwrap();
        assert_eq!(oldest, Place::Late, "only the newest are kept");
    }

    #[tokio::test]
    async fn damaged_bytes_are_as_good_as_none() {
        let server = RedisServer::temporary().unwrap();
        let redis = Redis::connect(&server.config()).await.unwrap();
        let station = StationId::new("A").unwrap();
        let key = redis.keys().rain(redis.keys().partition_of(&station));
        server.say(&format!("HSET {key} A rubbish")).unwrap();
        assert_eq!(redis.keep_rain(&station, &[reading(1, 1.0)]).await.unwrap(), Place::After(None));
        assert_eq!(redis.keep_rain(&station, &[reading(2, 1.0)]).await.unwrap(), Place::After(Some(reading(1, 1.0))));
    }
}
