//! The Redis contract of Weatherglass: which keys exist, what their bytes mean, and the few
//! things that may be done to them.
//!
//! No type of the `redis` crate leaves this one.

pub mod append;
mod backoff;
pub mod codec;
pub mod commit;
mod connection;
pub mod contact;
pub mod dead;
mod entries;
mod error;
pub mod group;
pub mod key_ring;
pub mod keys;
pub mod lease;
mod link;
pub mod query;
pub mod rain;
pub mod registry;
mod script;
pub mod server;
mod statistics;
pub mod tail;
pub mod trim;

pub use append::{Appender, Outcome, Registration, Spooled};
pub use backoff::Backoff;
pub use codec::{Entry, Received};
pub use commit::Batch;
pub use connection::{Redis, RedisConfig};
pub use contact::{Contact, Contacts, Knock, Refused, Verdict};
pub use dead::{DeadId, DeadLetter};
pub use error::Error;
pub use group::{Delivery, GroupReader, Pending};
pub use key_ring::{KeyRecord, Scope};
pub use keys::{Keys, Partition, StreamId};
pub use query::Memory;
pub use rain::{CounterReading, Place};
pub use registry::Unconfirmed;
pub use statistics::Statistics;
pub use tail::{Log, Tail, Update};
