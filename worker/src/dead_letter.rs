//! Entries that can't be processed: moved whole to the dead-letter stream, with the reason.

use streams::commit::DeadLetter;
use streams::{Delivery, Entry};

/// After so many deliveries an entry is given up: whatever it does, it has done it often enough.
const MOST_DELIVERIES: u64 = 5;

const DELIVERIES: &str = "deliveries";

/// Every reason, for metrics that start at zero.
pub(crate) const REASONS: [&str; 3] = ["malformed", "newer_version", DELIVERIES];

/// The entry of a delivery, or its dead letter and the reason.
pub(crate) fn sort(delivery: &Delivery) -> Result<&Entry, (DeadLetter, &'static str)> {
    let letter = |reason: &'static str, detail: String| {
        let reason_with_detail = if detail.is_empty() { reason.to_owned() } else { format!("{reason}: {detail}") };
        (DeadLetter { id: delivery.id, reason: reason_with_detail, bytes: delivery.bytes.clone() }, reason)
    };
    match &delivery.entry {
        Err(error) => Err(letter(error.label(), error.to_string())),
        Ok(_) if delivery.deliveries > MOST_DELIVERIES => {
            Err(letter(DELIVERIES, format!("handed out {} times", delivery.deliveries)))
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
        let good = || Ok(Entry::Station(Station::unregistered(StationId::new("A").unwrap())));
        assert!(sort(&delivery(good(), 5)).is_ok());
        let (letter, reason) = sort(&delivery(good(), 6)).unwrap_err();
        assert_eq!((reason, letter.bytes.as_slice()), (DELIVERIES, [1, 2].as_slice()));
        let (_, reason) = sort(&delivery(Err(DecodeError::Version(9)), 1)).unwrap_err();
        assert!(REASONS.contains(&reason));
    }
}
