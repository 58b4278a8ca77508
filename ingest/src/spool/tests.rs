use std::time::Duration;

use weather::{Flags, Observation, StationId, Time, Values, Variable};

use super::*;

const MIB: u64 = 1 << 20;

fn received(station: &str, minute: i64) -> Received {
    let values: Values = [(Variable::Temperature, minute as f32)].into_iter().collect();
    let station = StationId::new(station).unwrap();
    let observation = Observation { station, time: Time::now() - 60 * minute, values, source: None };
    Received { observation, flags: Flags::default(), received: 1_700_000_000_123 }
}

#[tokio::test]
async fn what_was_put_is_there_in_order_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), MIB).unwrap();
    let all: Vec<Received> = (0..10).map(|n| received("A", n)).collect();
    spool.put(&all[..3]).await.unwrap();
    spool.put(&all[3..7]).await.unwrap();
    spool.close().await;

    let spool = Spool::open(folder.path(), MIB).unwrap();
    assert_eq!(spool.held().observations, 7);
    spool.put(&all[7..]).await.unwrap();
    let batch = spool.next().await.unwrap();
    assert_eq!(batch.observations, all);
    // Until it is forgotten it is handed out again.
    let batch = {
        drop(batch);
        spool.next().await.unwrap()
    };
    spool.forget(batch, 2, 0).await.unwrap();
    assert_eq!(spool.held(), Held::default());
    assert!(spool.next().await.unwrap().observations.is_empty());
    spool.put(&all[..1]).await.unwrap();
    assert_eq!(spool.next().await.unwrap().observations, all[..1]);
}

#[tokio::test]
async fn what_comes_while_a_batch_is_out_stays() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), MIB).unwrap();
    spool.put(&[received("A", 1)]).await.unwrap();
    let batch = spool.next().await.unwrap();
    spool.put(&[received("A", 2)]).await.unwrap();
    spool.forget(batch, 0, 0).await.unwrap();
    assert!(spool.holds_any());
    assert_eq!(spool.next().await.unwrap().observations.len(), 1);
    tokio::time::timeout(Duration::from_secs(1), spool.filled()).await.unwrap();
}

#[tokio::test]
async fn a_full_spool_takes_nothing_more_until_it_was_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), 2000).unwrap();
    let one = [received("A", 1)];
    let mut kept = 0;
    while spool.put(&one).await.is_ok() {
        kept += 1;
    }
    assert!((2..100).contains(&kept) && spool.is_nearly_full());
    assert_eq!(spool.put(&one).await, Err(SpoolError::Full(0)));
    assert_eq!(spool.held().observations, kept);
    let batch = spool.next().await.unwrap();
    spool.forget(batch, 0, 0).await.unwrap();
    spool.put(&one).await.unwrap();
}

#[tokio::test]
async fn many_at_once_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), MIB).unwrap();
    let puts = (0..200).map(|n| {
        let spool = spool.clone();
        tokio::spawn(async move { spool.put(&[received(&format!("S{n}"), n)]).await })
    });
    for put in puts.collect::<Vec<_>>() {
        put.await.unwrap().unwrap();
    }
    assert_eq!(spool.held().observations, 200);
    assert_eq!(spool.next().await.unwrap().observations.len(), 200);
}

#[tokio::test]
async fn a_damaged_record_is_put_aside_and_the_rest_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), MIB).unwrap();
    for station in ["BEFORE", "DAMAGED-HERE", "AFTER"] {
        spool.put(&[received(station, 1)]).await.unwrap();
    }
    spool.close().await;
    damage(&folder.path().join(FILE), b"DAMAGED-HERE");

    let spool = Spool::open(folder.path(), MIB).unwrap();
    let batch = spool.next().await.unwrap();
    let stations: Vec<&str> = batch.observations.iter().map(|r| r.observation.station.as_str()).collect();
    assert_eq!(stations, ["BEFORE", "AFTER"]);
    assert_eq!(spool.held().observations, 2);
    spool.forget(batch, 0, 0).await.unwrap();
    assert_eq!(spool.held(), Held::default());
    spool.close().await;
    let file = Database::open(folder.path().join(FILE)).unwrap();
    let aside = file.begin_read().unwrap().open_table(DAMAGED).unwrap();
    assert_eq!(aside.range::<u64>(..).unwrap().count(), 1);
}

/// Flips a bit of every place where `text` stands.
fn damage(file: &Path, text: &[u8]) {
    let mut bytes = std::fs::read(file).unwrap();
    let places: Vec<usize> =
        bytes.windows(text.len()).enumerate().filter(|(_, w)| *w == text).map(|(n, _)| n).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place] ^= 1;
    }
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_spool_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), "this is no database ".repeat(1000)).unwrap();
    let spool = Spool::open(folder.path(), MIB).unwrap();
    spool.put(&[received("A", 1)]).await.unwrap();
    let aside = std::fs::read_dir(folder.path()).unwrap().flatten();
    assert!(aside.into_iter().any(|f| f.file_name().to_string_lossy().contains("damaged")));
}

#[tokio::test]
async fn a_folder_in_use_or_out_of_reach_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let _spool = Spool::open(folder.path(), MIB).unwrap();
    let error = Spool::open(folder.path(), MIB).err().unwrap();
    assert_eq!(
        format!("{error:#}"),
        format!("WEATHERGLASS_SPOOL {}: another process uses it", folder.path().display())
    );
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Spool::open(&file, MIB).err().unwrap();
    assert!(format!("{error:#}").starts_with("WEATHERGLASS_SPOOL "), "{error:#}");
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_record_is_noticed() {
    let value = record(&[received("A", 1), received("B", 2)]);
    assert_eq!(observations(&value).unwrap().len(), 2);
    assert_eq!(claimed(&value), 2);
    for at in 0..value.len() {
        let mut damaged = value.clone();
        damaged[at] ^= 1 << (at % 8);
        assert_eq!(observations(&damaged), None, "byte {at}");
        assert_eq!(observations(&value[..at]), None, "cut at {at}");
    }
}
