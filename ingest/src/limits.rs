//! How much one sender may ask: requests by address and by key.
//!
//! A limit is so many requests a minute, all of which may come at once (governor's GCRA). The senders
//! that are remembered are bounded: those who have been silent longest are forgotten first, and begin
//! anew.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ::metrics::counter;
use governor::clock::{Clock, DefaultClock};
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use sha2::{Digest, Sha256};

use crate::metrics;

/// Senders that are remembered; twice as many at most.
const SENDERS: usize = 50_000;
/// Requests a minute from one address, unless set: a gateway that relays three thousand stations.
const FROM_AN_ADDRESS: u32 = 3000;

/// Settings of what one sender may do.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Requests a minute from one address (of IPv6, one /64); 0 for no limit. Unless it is set: 3000, and
    /// none for this machine's own addresses.
    #[arg(long, env = "WEATHERGLASS_RATE_LIMIT", value_name = "REQUESTS")]
    pub rate_limit: Option<u32>,
    /// Requests a minute with one key; 0 for no limit.
    #[arg(long, env = "WEATHERGLASS_KEY_RATE_LIMIT", default_value_t = 3000, value_name = "REQUESTS")]
    pub key_rate_limit: u32,
    /// Connections that may be open at a time; one address may have half of them.
    #[arg(long, env = "WEATHERGLASS_CONNECTIONS", default_value_t = 4096, value_name = "CONNECTIONS", value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub connections: u32,
    /// Seconds that a request's head, a TLS handshake, or the next request on a connection may take.
    #[arg(long, env = "WEATHERGLASS_HEADER_TIMEOUT", default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub header_timeout: u64,
}

/// The address at the other end of a connection, as IPv4 if it is that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What is limited together: an IPv4 address, or the network that one IPv6 customer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sender {
    V4(u32),
    V6(u64),
}

impl Sender {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) if address == Ipv6Addr::LOCALHOST => Self::V6(1),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// Asked to come again after so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany(pub(crate) Duration);

/// The limits by address and by key.
pub(crate) struct Limits {
    addresses: Option<RateLimiter<Sender, Bounded<Sender>, DefaultClock>>,
    keys: Option<RateLimiter<u64, Bounded<u64>, DefaultClock>>,
    spares_loopback: bool,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let per_minute = |requests| NonZeroU32::new(requests).map(Quota::per_minute);
        Self {
            addresses: per_minute(settings.rate_limit.unwrap_or(FROM_AN_ADDRESS))
                .map(|quota| RateLimiter::new(quota, Bounded::default(), DefaultClock::default())),
            keys: per_minute(settings.key_rate_limit)
                .map(|quota| RateLimiter::new(quota, Bounded::default(), DefaultClock::default())),
            spares_loopback: settings.rate_limit.is_none(),
        }
    }

    /// Counts a request from an address.
    pub(crate) fn address(&self, Peer(address): Peer) -> Result<(), TooMany> {
        match &self.addresses {
            Some(limiter) if !(self.spares_loopback && address.to_canonical().is_loopback()) => {
                check(limiter, &Sender::of(address), "address")
            }
            _ => Ok(()),
        }
    }

    /// Counts a request with a key.
    pub(crate) fn key(&self, key: &str) -> Result<(), TooMany> {
        let Some(limiter) = &self.keys else { return Ok(()) };
        // The key itself is not kept.
        let digest = Sha256::digest(key.as_bytes());
        let digest = digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        check(limiter, &digest, "key")
    }
}

fn check<K: Hash + Eq + Clone>(
    limiter: &RateLimiter<K, Bounded<K>, DefaultClock>,
    sender: &K,
    by: &'static str,
) -> Result<(), TooMany> {
    limiter.check_key(sender).map_err(|denied| {
        counter!(metrics::LIMITED, "by" => by).increment(1);
        TooMany(denied.wait_time_from(limiter.clock().now()))
    })
}

/// The state of a bounded number of senders, in two generations: when the younger one is full, the older
/// one is forgotten.
struct Bounded<K>(Mutex<Generations<K>>);

type Generation<K> = HashMap<K, InMemoryState>;

struct Generations<K> {
    young: Generation<K>,
    old: Generation<K>,
}

impl<K> Default for Bounded<K> {
    fn default() -> Self {
        Self(Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() }))
    }
}

impl<K: Hash + Eq + Clone> StateStore for Bounded<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { young, old } = &mut *generations;
        if !young.contains_key(key) {
            if young.len() >= SENDERS {
                *old = std::mem::take(young);
            }
            young.insert(key.clone(), old.remove(key).unwrap_or_default());
        }
        young.entry(key.clone()).or_default().measure_and_replace(&NotKeyed::NonKey, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(rate_limit: Option<u32>, key_rate_limit: u32) -> Limits {
        Limits::new(&Settings { rate_limit, key_rate_limit, connections: 2, header_timeout: 1 })
    }

    fn peer(address: &str) -> Peer {
        Peer(address.parse().unwrap())
    }

    #[test]
    fn each_address_and_key_has_its_own_share() {
        let limits = limits(Some(3), 2);
        for address in ["10.0.0.1", "10.0.0.2", "127.0.0.1", "2001:db8::1"] {
            for _ in 0..3 {
                assert_eq!(limits.address(peer(address)), Ok(()), "{address}");
            }
            let TooMany(wait) = limits.address(peer(address)).unwrap_err();
            assert!(wait > Duration::from_secs(15) && wait <= Duration::from_secs(20), "{wait:?}");
        }
        assert!(limits.address(peer("2001:db8::2:1")).is_err(), "the same /64");
        assert!(limits.address(peer("::ffff:10.0.0.1")).is_err(), "the same address");
        assert!(limits.address(peer("2001:db8:1::1")).is_ok());
        assert!(limits.key("a").is_ok() && limits.key("a").is_ok() && limits.key("a").is_err());
        assert!(limits.key("b").is_ok());
    }

    #[test]
    fn zero_is_no_limit_and_this_machine_is_spared_unless_one_is_set() {
        let none = limits(Some(0), 0);
        let unset = limits(None, 0);
        for _ in 0..2 * FROM_AN_ADDRESS {
            assert!(none.address(peer("10.0.0.1")).is_ok() && none.key("a").is_ok());
            assert!(unset.address(peer("127.0.0.1")).is_ok() && unset.address(peer("::1")).is_ok());
        }
        let answers: Vec<bool> = (0..2 * FROM_AN_ADDRESS).map(|_| unset.address(peer("10.0.0.1")).is_ok()).collect();
        assert!(answers[..FROM_AN_ADDRESS as usize].iter().all(|ok| *ok) && answers.contains(&false));
    }

    #[test]
    fn memory_is_bounded_and_a_busy_sender_is_not_forgotten() {
        let limits = limits(Some(2), 0);
        let busy = peer("10.0.0.1");
        assert!(limits.address(busy).is_ok() && limits.address(busy).is_ok());
        for n in 0..3 * SENDERS as u32 {
            assert!(limits.address(Peer(IpAddr::V4((0x0B00_0000 + n).into()))).is_ok());
            if n % 1000 == 0 {
                assert!(limits.address(busy).is_err(), "{n}");
            }
        }
        let store = limits.addresses.unwrap().into_state_store();
        let generations = store.0.into_inner().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * SENDERS);
    }
}
