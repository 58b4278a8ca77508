//! A snapshot as frames that any client's library takes.

use std::iter::Peekable;
use std::vec::IntoIter;

use crate::frames::{Cursor, Encoded, Format, SnapshotEntry, SnapshotFrame};
use crate::hub::{Held, Snapshot};

/// The frames of a snapshot, made one at a time: a large network's are megabytes together.
pub(crate) struct Parts {
    id: String,
    cursor: Cursor,
    left: Peekable<Entries>,
    room: usize,
    ended: bool,
}

impl Parts {
    /// Parts of at most `room` bytes of stations, or of one station that is larger.
    #[must_use]
    pub(crate) fn new(snapshot: Snapshot, format: Format, room: usize) -> Self {
        let Snapshot { id, stations, cursor } = snapshot;
        let left = Entries { held: stations.into_iter(), format }.peekable();
        Self { id, cursor, left, room, ended: false }
    }
}

impl Iterator for Parts {
    type Item = SnapshotFrame;

    fn next(&mut self) -> Option<SnapshotFrame> {
        if self.ended {
            return None;
        }
        let mut stations = Vec::new();
        let mut left = self.room;
        while let Some((entry, length)) = self.left.next_if(|(_, length)| stations.is_empty() || *length <= left) {
            left = left.saturating_sub(length);
            stations.push(entry);
        }
        self.ended = self.left.peek().is_none();
        let cursor = self.ended.then_some(self.cursor);
        Some(SnapshotFrame { id: self.id.clone(), stations, more: !self.ended, cursor })
    }
}

/// Stations with the bytes that each takes in a frame.
struct Entries {
    held: IntoIter<Held>,
    format: Format,
}

impl Iterator for Entries {
    type Item = (SnapshotEntry, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let held = self.held.next()?;
        let (observation, forecast) = (held.observation(), held.forecast());
        let entry = SnapshotEntry { station: held.station, observation, forecast };
        // And the comma.
        let length = Encoded::length(&entry, self.format) + 1;
        Some((entry, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::ServerFrame;
    use crate::shape::{State, Station};
    use weather::StationId;

    fn snapshot(names: &[&str]) -> Snapshot {
        let held = |name: &&str| {
            let station = weather::Station::unregistered(StationId::new(name).unwrap());
            Held { station: Station::new(&station, State::Silent), observation: None, forecast: None, cadence: 3600 }
        };
        Snapshot { id: "a".into(), stations: names.iter().map(held).collect(), cursor: Cursor(255) }
    }

    fn parts(names: &[&str], format: Format, room: usize) -> Vec<SnapshotFrame> {
        Parts::new(snapshot(names), format, room).collect()
    }

    #[test]
    fn a_small_snapshot_is_one_frame_with_nothing_about_parts() {
        let frames = parts(&["A"], Format::Json, 100_000);
        assert_eq!(frames.len(), 1);
        let json = serde_json::to_value(&frames[0]).unwrap();
        assert_eq!((json.get("more"), &json["cursor"]), (None, &serde_json::json!("c1-ff")));
        let empty = parts(&[], Format::Json, 100_000);
        assert_eq!((empty.len(), empty[0].more, empty[0].cursor), (1, false, Some(Cursor(255))));
    }

    #[test]
    fn only_the_last_part_has_a_cursor_and_none_is_lost() {
        for format in Format::ALL {
            let one = parts(&["A"], format, 0).remove(0);
            let room = 2 * (Encoded::length(&one.stations[0], format) + 1);
            let frames = parts(&["A", "B", "C", "D", "E"], format, room);
            let names = |frame: &SnapshotFrame| -> Vec<String> {
                frame.stations.iter().map(|entry| entry.station.id.to_string()).collect()
            };
            assert_eq!(frames.iter().map(names).collect::<Vec<_>>(), [vec!["A", "B"], vec!["C", "D"], vec!["E"]]);
            let cursors: Vec<_> = frames.iter().map(|frame| (frame.more, frame.cursor)).collect();
            assert_eq!(cursors, [(true, None), (true, None), (false, Some(Cursor(255)))]);
            let json = serde_json::to_value(&frames[0]).unwrap();
            assert_eq!((&json["more"], json.get("cursor")), (&serde_json::json!(true), None));
        }
    }

    #[test]
    fn what_is_counted_is_what_is_sent() {
        for format in Format::ALL {
            let frame = |names: &[&str]| ServerFrame::Snapshot(parts(names, format, usize::MAX).remove(0));
            let length = |names: &[&str]| Encoded::new(&frame(names), format).len();
            let entry = &parts(&["A"], format, usize::MAX)[0].stations[0];
            let grows = length(&["A", "B"]) - length(&["A"]);
            assert!(grows <= Encoded::length(entry, format) + 1, "{format:?}: {grows}");
        }
    }

    #[test]
    fn a_station_larger_than_the_room_still_passes() {
        assert_eq!(parts(&["A", "B"], Format::Json, 1).len(), 2);
    }
}
