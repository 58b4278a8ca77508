//! Keys that open stations and networks: only their digests are kept.
//!
//! A key has enough random characters that its digest can't be turned back by trying, so that a plain
//! SHA-256 does; it is also where it is found, in one step.

use std::fmt;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use weather::{Rejection, StationId};

use crate::connection::Redis;
use crate::error::Error;

/// SHA-256 of a key.
pub type Digest = [u8; 32];

/// Characters of a key that is made here.
const LENGTH: usize = 32;
/// Letters and digits that nobody takes for one another: 32 of them hold 186 bits.
const ALPHABET: &[u8; 56] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// The digest of a key.
#[must_use]
pub fn digest(key: &str) -> Digest {
    Sha256::digest(key.as_bytes()).into()
}

/// A key that nobody can guess. It is to be shown once and not kept.
#[must_use]
pub fn generate() -> String {
    let mut random = rand::rng();
    (0..LENGTH).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}

/// A digest in hexadecimal, as it stands in Redis and in configuration files.
#[must_use]
pub fn to_hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a digest in hexadecimal; none if it is none.
#[must_use]
pub fn from_hex(text: &str) -> Option<Digest> {
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(bytes.chunks_exact(2)) {
        let nibble = |character: u8| char::from(character).to_digit(16).and_then(|n| u8::try_from(n).ok());
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(digest)
}

/// What a key opens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Any station: `*`.
    Any,
    /// One station: its id.
    Station(StationId),
    /// Every station whose id begins so: `PREFIX*`.
    Network(String),
}

impl Scope {
    /// Reads `ID`, `PREFIX*` or `*`.
    ///
    /// # Errors
    /// When the id or the prefix is none of a station.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        match text.strip_suffix('*') {
            Some("") => Ok(Self::Any),
            Some(prefix) => StationId::new(prefix).map(|id| Self::Network(id.as_str().to_owned())),
            None => StationId::new(text).map(Self::Station),
        }
    }

    /// Whether `station` is in it.
    #[must_use]
    pub fn allows(&self, station: &StationId) -> bool {
        match self {
            Self::Any => true,
            Self::Station(id) => id == station,
            Self::Network(prefix) => station.as_str().starts_with(prefix.as_str()),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Station(id) => f.write_str(id.as_str()),
            Self::Network(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        Self::parse(text)
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its digest.
    pub digest: Digest,
    /// What it opens.
    pub scopes: Vec<Scope>,
    /// What people call it, so that it can be revoked.
    pub label: String,
    /// When it was made, seconds since 1970.
    pub created: i64,
}

/// A record without its digest, as it stands in the hash.
#[derive(Serialize, Deserialize)]
struct Stored {
    scopes: Vec<Scope>,
    label: String,
    created: i64,
}

impl Stored {
    fn read(digest: Digest, bytes: &[u8]) -> Result<KeyRecord, Error> {
        let stored: Self = rmp_serde::from_slice(bytes).map_err(|e| Error::Data(format!("a key: {e}")))?;
        Ok(KeyRecord { digest, scopes: stored.scopes, label: stored.label, created: stored.created })
    }
}

impl Redis {
    /// What the key with this digest opens; none if there is no such key.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn key(&self, digest: &Digest) -> Result<Option<KeyRecord>, Error> {
        let mut command = redis::cmd("HGET");
        command.arg(self.keys().key_ring()).arg(to_hex(digest));
        let found: Option<Vec<u8>> = command.query_async(&mut self.hot()).await?;
        found.map(|bytes| Stored::read(*digest, &bytes)).transpose()
    }

    /// Every key, by label. What this release can't read is left out: it opens nothing here.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn key_ring(&self) -> Result<Vec<KeyRecord>, Error> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys().key_ring());
        let found: Vec<(String, Vec<u8>)> = command.query_async(&mut self.hot()).await?;
        let record = |(digest, bytes): &(String, Vec<u8>)| Stored::read(from_hex(digest)?, bytes).ok();
        let mut records: Vec<KeyRecord> = found.iter().filter_map(record).collect();
        records.sort_by(|a, b| (&a.label, a.created).cmp(&(&b.label, b.created)));
        Ok(records)
    }

    /// Adds a key, or says anew what it opens.
    ///
    /// # Errors
    /// When Redis did not take it; sending it again is safe.
    pub async fn put_key(&self, record: &KeyRecord) -> Result<(), Error> {
        let KeyRecord { scopes, label, created, .. } = record.clone();
        // Packing into memory fails only if a `Serialize` is at fault, which the tests would show.
        let bytes = rmp_serde::to_vec_named(&Stored { scopes, label, created }).unwrap_or_default();
        let mut command = redis::cmd("HSET");
        command.arg(self.keys().key_ring()).arg(to_hex(&record.digest)).arg(bytes);
        Ok(command.query_async(&mut self.hot()).await?)
    }

    /// Takes a key away; false if there is no such key.
    ///
    /// # Errors
    /// When Redis did not do it.
    pub async fn drop_key(&self, digest: &Digest) -> Result<bool, Error> {
        let mut command = redis::cmd("HDEL");
        command.arg(self.keys().key_ring()).arg(to_hex(digest));
        Ok(command.query_async(&mut self.hot()).await?)
    }

    /// Takes away the keys that open this station and nothing else; returns how many.
    pub(crate) async fn drop_keys_of(&self, station: &StationId) -> Result<usize, Error> {
        let only = Scope::Station(station.clone());
        let mut dropped = 0;
        for record in self.key_ring().await? {
            if !record.scopes.is_empty() && record.scopes.iter().all(|scope| *scope == only) {
                dropped += usize::from(self.drop_key(&record.digest).await?);
            }
        }
        Ok(dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_differ_and_go_into_any_form() {
        let keys: std::collections::BTreeSet<String> = (0..100).map(|_| generate()).collect();
        assert_eq!(keys.len(), 100);
        assert!(keys.iter().all(|key| key.len() == LENGTH && key.chars().all(|c| c.is_ascii_alphanumeric())));
    }

    #[test]
    fn digests_are_sha_256_and_go_through_hexadecimal() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(to_hex(&digest("abc")), abc);
        assert_eq!(from_hex(abc), Some(digest("abc")));
        for bad in ["", "ba78", &abc.replace('f', "g"), &"é".repeat(32)] {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn scopes_open_what_they_say() {
        let id = |text| StationId::new(text).unwrap();
        let scope = |text: &str| Scope::parse(text).unwrap();
        assert!(scope("*").allows(&id("A")) && scope("A").allows(&id("A")) && !scope("A").allows(&id("AB")));
        assert!(scope("MESO-*").allows(&id("MESO-7")) && !scope("MESO-*").allows(&id("MES")));
        for text in ["*", "A", "MESO-*"] {
            assert_eq!(scope(text).to_string(), text);
        }
        for bad in ["", "a b", "a/*", "A**"] {
            assert!(Scope::parse(bad).is_err(), "{bad}");
        }
    }
}
