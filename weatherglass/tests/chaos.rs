//! Faults at random moments under a load that has everything in it; at the end every observation is
//! accounted for. `make chaos` is the long form; the seed that it prints repeats a run's load and order
//! of faults.
//!
//! The judge reads Redis alone: what was accepted stands in the streams, in order. A single thread
//! applies it to windows of its own; where the services' windows, forecasts or dead letters are
//! not what follows from that, something was lost, doubled or reordered.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod chaos {
    pub(crate) mod accounting;
    pub(crate) mod faults;
    pub(crate) mod load;
}
mod stack;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chaos::accounting::account;
use chaos::faults::Faults;
use chaos::load::Load;
use stack::{Service, Stack, eventually};

/// A setting of the environment, or what the short form has.
fn setting(name: &str, short: u64) -> u64 {
    std::env::var(name).ok().map_or(short, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_observation_is_accounted_for_whatever_dies() {
    let (seed, faults) = (setting("WEATHERGLASS_CHAOS_SEED", 1), setting("WEATHERGLASS_CHAOS_FAULTS", 13));
    println!("chaos: seed {seed}, {faults} faults");
    let spool = tempfile::tempdir().unwrap();
    let mut stack = Stack::start_with(&[(Service::Ingest, &format!("--spool={}", spool.path().display()))]).await;
    // Else a kill may take what Redis had yet to write.
    stack.redis.say("CONFIG SET appendfsync always").unwrap();

    let (done, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = Load::new(seed, format!("{}/v1/observations", stack.url(Service::Ingest)), stack.redis.port());
    let sender = tokio::spawn(load.send(stack.client.clone(), Arc::clone(&done), Arc::clone(&sent)));
    let mut trouble = Faults::begin(seed, &stack);
    for number in 0..faults {
        let before = sent.load(Ordering::SeqCst);
        trouble.next(&mut stack, number).await;
        // A fault among faults that nobody has noticed yet is none.
        eventually("the sender gets on", || async { sent.load(Ordering::SeqCst) > before + 10 }).await;
    }
    done.store(true, Ordering::SeqCst);
    let log = sender.await.unwrap();
    trouble.end(&mut stack);
    eventually("an empty spool", || async {
        stack.metric(Service::Ingest, "weatherglass_ingest_spool_observations", "").await == 0.0
    })
    .await;
    stack.settled().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let counts = account(&stack.connect_redis().await, &log).await;
    println!("chaos: {counts}");
    println!("chaos: faults: {}", trouble.told());
    assert_eq!(trouble.count(), faults);
}
