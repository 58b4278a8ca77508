//! The bytes of a record: a CRC-32 of the rest, the number of observations (both `u32`, little-endian)
//! and a MessagePack array of binaries, each an entry as it will stand in an `obs` stream.

use serde_bytes::ByteBuf;
use streams::{Entry, Received};

use crate::dialect::MOST_ITEMS;

/// Checksum and count.
const HEAD: usize = 8;

/// The bytes of a record.
pub(super) fn record(observations: &[Received]) -> Vec<u8> {
    let entries: Vec<ByteBuf> =
        observations.iter().map(|o| ByteBuf::from(Entry::Observation(o.clone()).encode())).collect();
    let mut value = vec![0; 4];
    value.extend_from_slice(&(observations.len() as u32).to_le_bytes());
    // Packing into memory fails only if a `Serialize` is at fault, which the tests would show.
    value.extend_from_slice(&rmp_serde::to_vec(&entries).unwrap_or_default());
    let checksum = crc32fast::hash(&value[4..]);
    value[..4].copy_from_slice(&checksum.to_le_bytes());
    value
}

/// How many observations a record says it has. A damaged one may say anything: no more than a
/// request can hold is believed, and the same at every look.
pub(super) fn claimed(value: &[u8]) -> u64 {
    let count = value.get(4..HEAD).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
    if count as usize > MOST_ITEMS { 0 } else { u64::from(count) }
}

/// What a record holds; none when it is damaged, or of a release that wrote otherwise.
pub(super) fn observations(value: &[u8]) -> Option<Vec<Received>> {
    let checksum = value.get(..4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes)?;
    if crc32fast::hash(value.get(4..)?) != checksum {
        return None;
    }
    let entries: Vec<ByteBuf> = rmp_serde::from_slice(value.get(HEAD..)?).ok()?;
    if entries.len() as u64 != claimed(value) {
        return None;
    }
    let entry = |bytes: &ByteBuf| match Entry::decode(bytes) {
        Ok(Entry::Observation(received)) => Some(received),
        _ => None,
    };
    entries.iter().map(entry).collect()
}
