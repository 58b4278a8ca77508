//! Entries that can't be processed: moved whole to the dead-letter stream, with the reason.

use streams::commit::GivenUp;
use streams::{Delivery, Entry, Keys};

/// After so many deliveries an entry is given up: whatever it does, it has done it often enough.
const MOST_DELIVERIES: u64 = 5;

const DELIVERIES: &str = "deliveries";
const WRONG_PARTITION: &str = "wrong_partition";

/// Every reason, for metrics that start at zero.
pub(crate) const REASONS: [&str; 4] = ["malformed", "newer_version", WRONG_PARTITION, DELIVERIES];

/// The entry of a delivery, or what is given up and the reason.
pub(crate) fn sort<'a>(delivery: &'a Delivery, keys: &Keys) -> Result<&'a Entry, (GivenUp, &'static str)> {
    let letter = |reason: &'static str, detail: String| {
        let reason_with_detail = if detail.is_empty() { reason.to_owned() } else { format!("{reason}: {detail}") };
        let Delivery { id, deliveries, ref bytes, .. } = *delivery;
        (GivenUp { id, reason: reason_with_detail, deliveries, bytes: bytes.clone() }, reason)
    };
    match &delivery.entry {
        Err(error) => Err(letter(error.label(), error.to_string())),
        Ok(_) if delivery.deliveries > MOST_DELIVERIES => {
            Err(letter(DELIVERIES, format!("handed out {} times", delivery.deliveries)))
        }
        // Its window and its lease are another owner's: nothing of it may be written from here.
        Ok(entry) if keys.partition_of(entry.station()) != delivery.partition => {
            let right = keys.partition_of(entry.station());
            Err(letter(WRONG_PARTITION, format!("{} belongs to partition {right}", entry.station())))
        }
        Ok(entry) => Ok(entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streams::StreamId;
    use streams::codec::DecodeError;
    use weather::{Station, StationId};

    fn delivery(entry: Result<Entry, DecodeError>, deliveries: u64) -> Delivery {
        Delivery { partition: 0, id: StreamId::default(), entry, bytes: vec![1, 2], deliveries }
    }

    #[test]
    fn what_is_given_up_and_why() {
        let (alone, keys) = (Keys::new("wg", 1), Keys::new("wg", 16));
        let good = || Ok(Entry::Station(Station::unregistered(StationId::new("A").unwrap())));
        assert!(sort(&delivery(good(), 5), &alone).is_ok());
        let (letter, reason) = sort(&delivery(good(), 6), &alone).unwrap_err();
        assert_eq!((reason, letter.bytes.as_slice(), letter.deliveries), (DELIVERIES, [1, 2].as_slice(), 6));
        let (_, reason) = sort(&delivery(Err(DecodeError::Version(9)), 1), &alone).unwrap_err();
        assert!(REASONS.contains(&reason));
        assert_ne!(keys.partition_of(&StationId::new("A").unwrap()), 0);
        let (letter, reason) = sort(&delivery(good(), 1), &keys).unwrap_err();
        assert!(reason == WRONG_PARTITION && letter.reason.contains("belongs to partition"), "{}", letter.reason);
    }
}
