//! What must hold whatever the bytes are.

use ingest::decode::reader;
use ingest::files::{Hints, Items};
use weather::admission::check_value;
use weather::{Time, Window};

/// Lines of a dialect, by the door's own parser: no panic, and no value that cannot be.
///
/// # Panics
/// When something does not hold.
pub fn dialect(name: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let now = Time::from_unix(1_790_000_000);
    let mut reader = reader(name, Hints::default()).expect("a known dialect");
    for line in text.lines() {
        possible(&reader.read(line, now));
    }
    possible(&reader.finish());
}

fn possible(items: &Items) {
    for observation in items.iter().flatten() {
        for (variable, value) in observation.values.iter() {
            check_value(variable, value).unwrap_or_else(|why| panic!("{why} in {observation:?}"));
        }
    }
}

/// What stands in Redis: another release, or anybody, may have written it.
pub fn entries(bytes: &[u8]) {
    let _ = streams::Entry::decode(bytes);
    let _ = streams::codec::Judgement::decode(bytes);
    let _ = streams::codec::decode_forecast(bytes);
}

/// A packed hour of a window. What could be read is written and read the same.
///
/// # Panics
/// When it is not.
pub fn hour(bytes: &[u8]) {
    let mut window = Window::default();
    if window.unpack_hour(0, bytes).is_ok() {
        let mut again = Window::default();
        again.unpack_hour(0, &window.pack_hour(0)).expect("what we have written");
        assert_eq!(window.pack_hour(0), again.pack_hour(0));
    }
}
