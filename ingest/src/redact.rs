//! What is shown of a message: its beginning, without secrets and without what would trouble a terminal.

/// The longest text that is kept, bytes.
const LONGEST: usize = 2048;
/// How much of a message is looked at: secrets that are taken out make room.
const LOOKED_AT: usize = 4 * LONGEST;
/// A shorter one would blank half of the text.
const SHORTEST_SECRET: usize = 4;
/// What a name has in it whose value is nobody's business.
const NAMES: [&str; 7] = ["pass", "pwd", "key", "token", "secret", "auth", "bearer"];
const HIDDEN: &str = "***";

/// What is shown of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) text: String,
    /// Whether it is only the beginning.
    pub(crate) cut: bool,
}

impl Shown {
    /// What can be shown of fields, without the texts of those whose names say that they are secret.
    pub(crate) fn of_fields<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>, secrets: &[&str]) -> Self {
        let mut message = String::new();
        for (name, text) in fields {
            let text = if is_secret(name) { HIDDEN } else { text };
            message.extend([if message.is_empty() { "" } else { "&" }, name, "=", text]);
            if message.len() > LOOKED_AT {
                break;
            }
        }
        Self::of(message.as_bytes(), secrets)
    }

    /// What can be shown of `message`. The secrets that its sender used are hidden wherever they stand;
    /// so are values whose name says that they are secret.
    pub(crate) fn of(message: &[u8], secrets: &[&str]) -> Self {
        let looked_at = message.get(..LOOKED_AT).unwrap_or(message);
        let mut text = String::from_utf8_lossy(looked_at).into_owned();
        for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
            text = text.replace(secret, HIDDEN);
        }
        let mut text: String = hide_named(&text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let cut = message.len() > LOOKED_AT || text.len() > LONGEST;
        if text.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
            text.truncate(end);
        }
        Self { text, cut }
    }
}

/// Hides what follows a name that is in [`NAMES`]: `name=value&`, `"name": "value"`, `Bearer value`.
fn hide_named(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(is_of_word) {
        let (before, word_on) = rest.split_at(begin);
        let (word, after) = word_on.split_at(word_on.find(|c| !is_of_word(c)).unwrap_or(word_on.len()));
        shown.push_str(before);
        shown.push_str(word);
        rest = after;
        if !is_secret(word) {
            continue;
        }
        let lower = word.to_ascii_lowercase();
        let Some(value) = value_at(after, &lower) else { continue };
        // JSON stays JSON.
        let quote = after[value.clone()].chars().next().filter(|c| matches!(c, '"' | '\''));
        shown.push_str(&after[..value.start]);
        shown.extend(quote);
        shown.push_str(HIDDEN);
        shown.extend(quote);
        rest = &after[value.end..];
    }
    shown.push_str(rest);
    shown
}

/// Whether what has this name is nobody's business.
fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    NAMES.iter().any(|part| lower.contains(part)) || lower == "mac"
}

const fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// Where in what follows a name its value stands; none if it has none.
fn value_at(after: &str, name: &str) -> Option<std::ops::Range<usize>> {
    let closed = after.strip_prefix(['"', '\'']).unwrap_or(after);
    let separated = closed.trim_start();
    let value = match separated.strip_prefix(['=', ':']) {
        Some(value) => value.trim_start(),
        // `%3D`, where a query has been quoted once more.
        None if separated.starts_with("%3D") || separated.starts_with("%3d") => &separated[3..],
        None if name == "bearer" && separated.len() < closed.len() => separated,
        None => return None,
    };
    let start = after.len() - value.len();
    let length = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(value, quote),
        // `Authorization: Bearer abc`: all of the line.
        _ if name.contains("auth") => value.find(|c| "&,\"'\r\n".contains(c)).unwrap_or(value.len()),
        _ => value.find(|c: char| c.is_whitespace() || "&,;}])\"'".contains(c)).unwrap_or(value.len()),
    };
    (length > 0).then_some(start..start + length)
}

/// The length of a quoted text with its quotes; one that is not closed goes to the end.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        Shown::of(text.as_bytes(), &[]).text
    }

    #[test]
    fn named_secrets_are_hidden_and_their_neighbours_are_not() {
        for (raw, clean) in [
            ("ID=X&PASSWORD=hunter22&tempf=50.1", "ID=X&PASSWORD=***&tempf=50.1"),
            ("PASSKEY=AB12&stationtype=GW", "PASSKEY=***&stationtype=GW"),
            (
                r#"{"station":"X1","password":"a\"b, c","temperature":1}"#,
                r#"{"station":"X1","password":"***","temperature":1}"#,
            ),
            ("MAC=00:11:22:33:44:55&tempf=50&machine=3", "MAC=***&tempf=50&machine=3"),
            (r#"{"api-key" : 12345, "x":1}"#, r#"{"api-key" : ***, "x":1}"#),
            ("Authorization: Bearer abc.def", "Authorization: ***"),
            ("bearer abcdef123", "bearer ***"),
            ("PASSWORD%3Dhunter22&a=1", "PASSWORD%3D***&a=1"),
            (r#"{"token":"never closed"#, r#"{"token":"***""#),
            ("temperature=1&wind_speed=2", "temperature=1&wind_speed=2"),
            (r#"{"source":"passing by","a":1}"#, r#"{"source":"passing by","a":1}"#),
        ] {
            assert_eq!(shown(raw), clean);
        }
    }

    #[test]
    fn what_is_long_is_cut_and_what_troubles_terminals_is_gone() {
        let long = Shown::of("é".repeat(3000).as_bytes(), &[]);
        assert!(long.cut && long.text.len() <= LONGEST && long.text.chars().all(|c| c == 'é'));
        assert_eq!(Shown::of(b"a\x1b[2Jb\nc", &[]), Shown { text: "a [2Jb c".into(), cut: false });
        assert_eq!(Shown::of(b"x=SESAME&y=SESAME", &["SESAME"]).text, "x=***&y=***");
    }

    #[test]
    fn fields_are_hidden_whatever_is_in_them() {
        let fields = [("ID", "A"), ("PASSWORD", "a&b=c"), ("MAC", "00:11"), ("tempf", "50"), ("x", "SESAME")];
        assert_eq!(Shown::of_fields(fields.into_iter(), &["SESAME"]).text, "ID=A&PASSWORD=***&MAC=***&tempf=50&x=***");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn anything_is_shown_short_and_no_secret_is(bytes in prop::collection::vec(any::<u8>(), 0..4000), secret in prop::collection::vec(b'A'..=b'Z', 12..40), at in 0usize..4000) {
            let secret = String::from_utf8(secret).unwrap();
            let at = at.min(bytes.len());
            let message = [&bytes[..at], b"&PASSWORD=", secret.as_bytes(), b"&", &bytes[at..]].concat();
            let with = Shown::of(&message, &[&secret]);
            prop_assert!(with.text.len() <= LONGEST && !with.text.contains(&secret));
            prop_assert!(!Shown::of(&message, &[]).text.contains(&secret));
        }
    }
}
