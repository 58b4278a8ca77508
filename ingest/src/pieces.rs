//! Taking JSON apart that can't be read in one go, so that one bad item costs only itself; and finding
//! single items in a body, to show them.

use crate::dialect::Encoding;

/// What some languages write into JSON for numbers that it has no word for.
pub(crate) const NON_FINITE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// Walks over `json` and calls `visit` with each byte that stands outside of strings.
fn outside_strings(json: &[u8], mut visit: impl FnMut(usize, u8)) -> bool {
    let (mut in_string, mut escaped) = (false, false);
    for (at, byte) in json.iter().copied().enumerate() {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (true, _) => {}
            (false, byte) => visit(at, byte),
        }
    }
    !in_string
}

/// The items of a JSON array, by its outermost commas; none if it is no array or is not closed.
pub(crate) fn of_array(body: &[u8]) -> Option<Vec<&[u8]>> {
    let body = body.trim_ascii();
    let (mut depth, mut begin, mut closed) = (0i64, 1, None);
    let mut pieces = Vec::new();
    let whole = outside_strings(body, |at, byte| match byte {
        b'[' | b'{' => depth += 1,
        b']' | b'}' => {
            depth -= 1;
            if depth == 0 && closed.is_none() {
                closed = Some(at);
                pieces.push(body.get(begin..at).unwrap_or_default().trim_ascii());
            }
        }
        b',' if depth == 1 => {
            pieces.push(body.get(begin..at).unwrap_or_default().trim_ascii());
            begin = at + 1;
        }
        _ => {}
    });
    let is_array = body.first() == Some(&b'[') && closed.is_some_and(|at| at + 1 == body.len() && body[at] == b']');
    (whole && is_array).then_some(pieces)
}

/// The same JSON with bare `NaN`, `Infinity` and `-Infinity` as strings.
pub(crate) fn quote_non_finite(json: &[u8]) -> Vec<u8> {
    let mut words = Vec::new();
    outside_strings(json, |at, _| {
        let rest = json.get(at..).unwrap_or_default();
        if let Some(word) = NON_FINITE.iter().find(|w| rest.starts_with(w.as_bytes()))
            // The Infinity of a -Infinity has been seen already.
            && words.last().is_none_or(|(begin, length)| begin + length <= at)
        {
            words.push((at, word.len()));
        }
    });
    let mut quoted = Vec::with_capacity(json.len() + 2 * words.len());
    let mut done = 0;
    for (at, length) in words {
        quoted.extend_from_slice(&json[done..at]);
        quoted.push(b'"');
        quoted.extend_from_slice(&json[at..at + length]);
        quoted.push(b'"');
        done = at + length;
    }
    quoted.extend_from_slice(&json[done..]);
    quoted
}

/// What stands in a body for some of its items, by their places, which ascend. Of MessagePack nothing: people
/// can't read it.
pub(crate) fn of_body<'a>(encoding: Encoding, body: &'a [u8], places: &[usize]) -> Vec<(usize, &'a [u8])> {
    let pieces = match encoding {
        Encoding::Json => of_array(body).unwrap_or_else(|| vec![body.trim_ascii()]),
        Encoding::Ndjson => body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty()).collect(),
        Encoding::MessagePack => Vec::new(),
    };
    places.iter().filter_map(|place| Some((*place, *pieces.get(*place)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_apart_at_their_own_commas() {
        let pieces = of_array(br#" [ {"a":[1,2]} , "x,]\"", 3 ] "#).unwrap();
        assert_eq!(pieces, [br#"{"a":[1,2]}"#.as_slice(), br#""x,]\"""#, b"3"]);
        for bad in ["", "{}", "[1,2", "[1]]", "[\"", "]["] {
            assert!(of_array(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_item_is_found_by_its_place() {
        let found = |encoding, body: &'static [u8]| of_body(encoding, body, &[0, 2, 9]);
        assert_eq!(found(Encoding::Json, b"[1, 2, 3]"), [(0, b"1".as_slice()), (2, b"3")]);
        assert_eq!(found(Encoding::Json, b" {} "), [(0, b"{}".as_slice())]);
        assert_eq!(found(Encoding::Ndjson, b"1\r\n\n2\n3"), [(0, b"1".as_slice()), (2, b"3")]);
        assert!(found(Encoding::MessagePack, b"123").is_empty());
    }

    #[test]
    fn words_are_quoted_and_text_is_left_alone() {
        let quoted = quote_non_finite(br#"{"NaN":NaN,"b":-Infinity,"c":"NaN"}"#);
        assert_eq!(quoted, br#"{"NaN":"NaN","b":"-Infinity","c":"NaN"}"#);
    }
}
