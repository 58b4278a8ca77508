//! Tests of what the formats have in common, and what their own tests use.

use proptest::prelude::*;

use super::*;

/// Everything a reader makes of a text.
pub(crate) fn read_all(reader: &mut dyn LineReader, text: &str) -> Items {
    let now = Time::from_unix(1_790_000_000);
    let mut items: Items = text.lines().flat_map(|line| reader.read(line, now)).collect();
    items.extend(reader.finish());
    items
}

/// Panics if an observation holds what no observation can.
pub(crate) fn assert_possible(items: &Items) {
    for observation in items.iter().flatten() {
        assert!(observation.values.iter().any(|(v, _)| v != Variable::PrecipitationPeriod));
        for (variable, value) in observation.values.iter() {
            check_value(variable, value).unwrap();
        }
    }
}

/// Lines of a real file with bytes exchanged, and lines of anything.
pub(crate) fn hostile(real: &'static str) -> impl Strategy<Value = String> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12);
    let mutated = changes.prop_map(move |changes| {
        let mut bytes = real.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let noise = prop::collection::vec(any::<u8>(), 0..400).prop_map(|b| String::from_utf8_lossy(&b).into_owned());
    let glued = (Just(real), noise.clone()).prop_map(|(real, noise)| {
        let header = real.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
        format!("{header}\n{noise}")
    });
    prop_oneof![mutated, noise, glued]
}

#[test]
fn cells_may_be_quoted() {
    assert_eq!(split("a,\"b,c\",\"d\"\"e\",", b','), ["a", "b,c", "d\"e", ""]);
    assert_eq!(split("", b'|'), [""]);
    // A quote that is not closed is a quote.
    assert_eq!(split("\"a,b", b','), ["\"a", "b"]);
    assert_eq!(split("\"a\"b,c", b','), ["\"a\"b", "c"]);
}

#[test]
fn formats_are_told_by_their_content() {
    let known = |text: &str| match detect(text.as_bytes()) {
        Detected::Known(format) => format,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(known("PAR1\x15\x04"), Format::Parquet);
    assert_eq!(known("\u{feff}station,time,temperature\n"), Format::Csv);
    assert_eq!(known("{\"station\":\"A\"}\n"), Format::Ndjson);
    assert_eq!(known(include_str!("../../fixtures/iem/ames.csv")), Format::Iem);
    assert_eq!(known(include_str!("../../fixtures/ghcnh/by_year.psv")), Format::Ghcnh);
    assert_eq!(known(include_str!("../../fixtures/ghcnh/older.psv")), Format::Ghcnh);
    assert_eq!(known(include_str!("../../fixtures/isd_lite/725300-94846-2024")), Format::IsdLite);
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.name()), Some(format));
    }
}

#[test]
fn what_is_unknown_is_said() {
    assert_eq!(detect(b""), Detected::TooEarly);
    assert_eq!(detect(b"station,ti"), Detected::TooEarly);
    assert_eq!(detect(b"# DEBUG\n"), Detected::TooEarly);
    assert_eq!(detect(b"# caf\xc3"), Detected::TooEarly);
    for (bytes, said) in [
        (&b"\x1f\x8b\x08\x00"[..], "gzip"),
        (b"[{\"station\":\"A\"}]\n", "one object a line"),
        (b"\x00\x01\x02\x7f", "begins with"),
        (b"temperature;wind\n1;2\n", "temperature;wind"),
        (b"\xff\xfe\xfd\n", "begins with"),
        (b"\xa5\xa5\xa5", "begins with"),
    ] {
        let Detected::Unknown(words) = detect(bytes) else { panic!("{bytes:?}") };
        assert!(words.contains(said), "{words}");
    }
}

#[test]
fn altimeter_settings_in_the_standard_atmosphere() {
    for (setting, elevation, expected) in [
        (1013.25, 0.0, 1013.25),
        (1013.25, 500.0, 954.61),
        // MetPy's test values, of the Smithsonian form, less its 0.3 hPa.
        (29.8 * crate::units::factor::INCH_OF_MERCURY, 500.0, 950.965 - 0.3),
        (1000.0, 2000.0, 784.263 - 0.3),
        (1010.0, 1000.0, 896.038 - 0.3),
    ] {
        let found = station_pressure(setting, elevation);
        assert!((found - expected).abs() < 0.15, "{found} is not {expected}");
    }
    assert!(station_pressure(1.0, 9000.0).is_finite());
}

#[test]
fn times_with_and_without_a_zone() {
    let expected = Time::parse("2024-07-01T05:53:00Z").unwrap();
    let chicago = TimeZone::get("America/Chicago").unwrap();
    assert_eq!(time("2024-07-01 05:53", &TimeZone::UTC), Ok(expected));
    assert_eq!(time("2024-07-01T05:53:00", &TimeZone::UTC), Ok(expected));
    assert_eq!(time("2024-07-01 00:53", &chicago), Ok(expected));
    assert_eq!(time("2024-07-01T05:53:00Z", &chicago), Ok(expected));
    assert_eq!(time("2024-02-30 00:00", &TimeZone::UTC).unwrap_err().reason, Reason::BadTime);
}

proptest! {
    #[test]
    fn any_beginning_can_be_looked_at(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = detect(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(!split(&text, b',').is_empty());
    }
}
