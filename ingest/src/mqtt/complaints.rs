//! Refusals, said in the log: once per topic and minute, however many there are.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tracing::warn;

use crate::accept::Refusal;

/// How often one topic is complained of.
const EVERY: Duration = Duration::from_secs(60);
/// Topics that are told apart; what comes beyond is complained of as one.
const MOST_TOPICS: usize = 256;
/// How much of a stranger's words is repeated.
const SHOWN: usize = 120;

/// When which topic was complained of, and how many refusals were not told since.
#[derive(Debug, Default)]
pub(crate) struct Complaints(HashMap<String, (Instant, u64)>);

impl Complaints {
    /// Tells of a refusal, unless that topic was told of in the last minute.
    pub(crate) fn tell(&mut self, topic: &str, refusal: &Refusal) {
        let topic = shown(topic);
        if let Some(untold) = self.is_due(&topic, Instant::now()) {
            let Refusal { field, reason, detail, .. } = refusal;
            warn!(topic, field = shown(field), reason, detail = shown(detail), untold, "an MQTT message was refused");
        }
    }

    /// How many were not told, if it is time to tell of this one.
    fn is_due(&mut self, topic: &str, now: Instant) -> Option<u64> {
        if !self.0.contains_key(topic) && self.0.len() >= MOST_TOPICS {
            self.0.retain(|_, (told, untold)| *untold > 0 || now.duration_since(*told) < EVERY);
        }
        let known = self.0.contains_key(topic) || self.0.len() < MOST_TOPICS;
        match self.0.get_mut(if known { topic } else { "" }) {
            Some((told, untold)) if now.duration_since(*told) < EVERY => {
                *untold += 1;
                None
            }
            Some((told, untold)) => {
                *told = now;
                Some(std::mem::take(untold))
            }
            None => {
                self.0.insert(if known { topic.to_owned() } else { String::new() }, (now, 0));
                Some(0)
            }
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_per_topic_and_minute() {
        let mut complaints = Complaints::default();
        let now = Instant::now();
        assert_eq!(complaints.is_due("a", now), Some(0));
        assert_eq!(complaints.is_due("a", now + EVERY / 2), None);
        assert_eq!(complaints.is_due("b", now + EVERY / 2), Some(0));
        assert_eq!(complaints.is_due("a", now + EVERY), Some(1));
    }

    #[test]
    fn topics_beyond_a_bound_are_told_of_as_one() {
        let mut complaints = Complaints::default();
        let now = Instant::now();
        let told = (0..1000).filter(|n| complaints.is_due(&format!("t{n}"), now).is_some()).count();
        assert_eq!(told, MOST_TOPICS + 1);
        assert!(complaints.0.len() <= MOST_TOPICS + 1);
        assert_eq!(complaints.0[""].1, 1000 - MOST_TOPICS as u64 - 1, "and how many is said next time");
        assert_eq!(complaints.is_due("late", now + EVERY), Some(0), "the others' minute is over");
    }
}
