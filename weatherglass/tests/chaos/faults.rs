//! What goes wrong.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::stack::{Service, Stack};

/// Longer than the two seconds of a lease.
const PAST_THE_LEASE: u64 = 3200;

const FAULTS: [&str; 13] = [
    "worker killed",
    "worker stopped politely",
    "worker paused past its lease",
    "another worker killed",
    "another worker paused past its lease",
    "ingest killed",
    "ingest paused",
    "api killed",
    "Redis killed",
    "Redis restarted politely",
    "Redis paused",
    "connections paused",
    "connections cut, scripts forgotten",
];

pub(crate) struct Faults {
    rng: StdRng,
    /// Workers beside the stack's own.
    others: Vec<Child>,
    done: BTreeMap<&'static str, u64>,
}

impl Faults {
    pub(crate) fn begin(seed: u64, stack: &Stack) -> Self {
        let others = vec![stack.spawn_second_worker(), stack.spawn_second_worker()];
        Self { rng: StdRng::seed_from_u64(seed ^ 0xFA17), others, done: BTreeMap::new() }
    }

    /// Some time passes, and something goes wrong and is mended. The first faults are one of each kind.
    pub(crate) async fn next(&mut self, stack: &mut Stack, number: u64) {
        self.wait(50..400).await;
        let at = usize::try_from(number).unwrap();
        let fault = FAULTS[if at < FAULTS.len() { at } else { self.rng.random_range(0..FAULTS.len()) }];
        *self.done.entry(fault).or_default() += 1;
        println!("chaos: fault {}: {fault}", number + 1);
        match fault {
            "worker killed" => self.replace(stack, Service::Worker).await,
            "ingest killed" => self.replace(stack, Service::Ingest).await,
            "api killed" => self.replace(stack, Service::Api).await,
            "worker stopped politely" => {
                stack.stop(Service::Worker);
                stack.spawn(Service::Worker);
            }
            "worker paused past its lease" => {
                let time = PAST_THE_LEASE + self.rng.random_range(0..1500);
                paused(stack.pid(Service::Worker), time).await;
            }
            "ingest paused" => {
                let time = self.rng.random_range(100..1500);
                paused(stack.pid(Service::Ingest), time).await;
            }
            "another worker killed" => {
                let at = self.rng.random_range(0..self.others.len());
                self.others[at].kill().unwrap();
                self.others[at].wait().unwrap();
                self.wait(0..2500).await;
                self.others[at] = stack.spawn_second_worker();
            }
            "another worker paused past its lease" => {
                let at = self.rng.random_range(0..self.others.len());
                paused(self.others[at].id(), PAST_THE_LEASE).await;
            }
            "Redis killed" => {
                stack.redis.kill();
                self.redis_returns(stack).await;
            }
            "Redis restarted politely" => {
                stack.redis.stop();
                self.redis_returns(stack).await;
            }
            // At times longer than a lease, and than what a command may take.
            "Redis paused" => {
                let time = self.rng.random_range(300..6500);
                paused(stack.redis.pid().unwrap(), time).await;
            }
            "connections paused" => {
                let time = self.rng.random_range(300..4000);
                stack.redis.say(&format!("CLIENT PAUSE {time} ALL")).unwrap();
                tokio::time::sleep(Duration::from_millis(time)).await;
            }
            _ => {
                stack.redis.say("SCRIPT FLUSH").unwrap();
                stack.redis.say("CLIENT KILL TYPE normal").unwrap();
            }
        }
    }

    async fn replace(&mut self, stack: &mut Stack, service: Service) {
        stack.kill(service);
        self.wait(0..800).await;
        stack.spawn(service);
    }

    async fn redis_returns(&mut self, stack: &mut Stack) {
        self.wait(100..2500).await;
        stack.redis.restart().unwrap();
        stack.redis.say("CONFIG SET appendfsync always").unwrap();
    }

    async fn wait(&mut self, milliseconds: std::ops::Range<u64>) {
        let time = self.rng.random_range(milliseconds);
        tokio::time::sleep(Duration::from_millis(time)).await;
    }

    /// The other workers leave in order.
    pub(crate) fn end(&mut self, stack: &mut Stack) {
        self.others.drain(..).for_each(|worker| stack.stop_second_worker(worker));
    }

    pub(crate) fn count(&self) -> u64 {
        self.done.values().sum()
    }

    pub(crate) fn told(&self) -> String {
        self.done.iter().map(|(fault, count)| format!("{count} {fault}")).collect::<Vec<_>>().join(", ")
    }
}

impl Drop for Faults {
    /// When the test has failed before they could leave.
    fn drop(&mut self) {
        for worker in &mut self.others {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

async fn paused(process: u32, milliseconds: u64) {
    let signal = |signal: &str| Command::new("kill").args([signal, &process.to_string()]).status().unwrap();
    assert!(signal("-STOP").success());
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    assert!(signal("-CONT").success());
}
