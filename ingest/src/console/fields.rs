//! The fields of a request or of a line of text.

use std::borrow::Cow;

use serde_json::Value;

/// The most fields that are looked at; the longest consoles send about two hundred.
const MOST: usize = 512;
/// The longest value that is looked at, bytes.
const LONGEST: usize = 512;

/// Names and texts, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Fields<'a> {
    /// The fields of a query or a form. `?` and `&` in front of it are glue.
    pub(crate) fn of_form(text: &'a [u8]) -> Self {
        let glue = text.iter().take_while(|b| matches!(b, b'?' | b'&' | b' ')).count();
        let pairs = form_urlencoded::parse(text.get(glue..).unwrap_or_default());
        Self(pairs.filter(|(name, value)| name.len() + value.len() <= LONGEST).take(MOST).collect())
    }

    /// The fields of a JSON object, or of the object `fields` inside it.
    pub(crate) fn of_json(text: &str) -> Option<Self> {
        let Value::Object(mut map) = serde_json::from_str(text).ok()? else { return None };
        if let Some(Value::Object(inner)) = map.remove("fields") {
            map = inner;
        }
        let shown = |value: Value| match value {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let pairs = map.into_iter().filter_map(|(name, value)| Some((name.into(), shown(value)?.into())));
        Some(Self(pairs.take(MOST).collect()))
    }

    /// The fields of a line: a JSON object, a form or query, a URL, a request line; and the path in it.
    pub(crate) fn of_line(line: &'a str) -> (&'a str, Self) {
        let line = line.trim();
        if line.starts_with('{')
            && let Some(fields) = Self::of_json(line)
        {
            return ("", fields);
        }
        let target = ["GET ", "POST ", "PUT "].iter().find_map(|method| line.strip_prefix(method)).unwrap_or(line);
        let target = target.rsplit_once(" HTTP/").map_or(target, |(target, _)| target);
        let (path, text) = split(target);
        (path, Self::of_form(text.as_bytes()))
    }

    /// Adds the fields of another part of the request.
    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
        self.0.truncate(MOST);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// The first text of a field that is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, value)| *n == name && !value.trim().is_empty()).map(|(_, value)| value.trim())
    }

    /// The same, whatever the case of its name.
    pub(crate) fn any_case(&self, name: &str) -> Option<&str> {
        let same = |n: &str| n.eq_ignore_ascii_case(name);
        self.iter().find(|(n, value)| same(n) && !value.trim().is_empty()).map(|(_, value)| value.trim())
    }
}

/// A request's target in its path and its fields. Some consoles leave out the `?`, or put `&` in its
/// place: the fields then begin behind the last `/`, `&` or `?` before the first `=`.
pub(crate) fn split(target: &str) -> (&str, &str) {
    let equals = target.find('=').unwrap_or(target.len());
    let head = target.get(..equals).unwrap_or(target);
    let end = match head.find('?') {
        Some(question) => question,
        None if equals == target.len() => return (target, ""),
        None => head.find('&').unwrap_or_else(|| head.rfind('/').map_or(0, |slash| slash + 1)),
    };
    let (path, text) = target.split_at_checked(end).unwrap_or((target, ""));
    (path, text.trim_start_matches(['?', '&']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_split_where_its_fields_begin() {
        for (target, path, text) in [
            ("/a/b.php?ID=1&x=2", "/a/b.php", "ID=1&x=2"),
            ("/data/report/PASSKEY=1&x=a/b", "/data/report/", "PASSKEY=1&x=a/b"),
            ("/data/report/&PASSKEY=1", "/data/report/", "PASSKEY=1"),
            ("/data/report&PASSKEY=1&x=2", "/data/report", "PASSKEY=1&x=2"),
            ("/data/report/??PASSKEY=1", "/data/report/", "PASSKEY=1"),
            ("/healthz", "/healthz", ""),
            ("/a?", "/a", ""),
            ("ID=1&x=2", "", "ID=1&x=2"),
            ("&id=1", "", "id=1"),
        ] {
            assert_eq!(split(target), (path, text), "{target}");
        }
    }

    #[test]
    fn a_line_may_be_anything() {
        for line in [
            "GET /w.php?ID=A&dateutc=2026-01-01%2010%3A00%3A00 HTTP/1.0",
            "http://host:8001/w.php?ID=A&dateutc=2026-01-01+10:00:00",
            "ID=A&dateutc=2026-01-01+10%3A00%3A00",
            r#"{"ID": "A", "dateutc": "2026-01-01 10:00:00"}"#,
            r#"{"source": "x", "fields": {"ID": "A", "dateutc": "2026-01-01 10:00:00", "n": 1.0}}"#,
        ] {
            let (_, fields) = Fields::of_line(line);
            assert_eq!((fields.get("ID"), fields.get("dateutc")), (Some("A"), Some("2026-01-01 10:00:00")), "{line}");
        }
    }

    #[test]
    fn only_so_much_is_looked_at() {
        let text = "a=1&".repeat(10_000);
        assert_eq!(Fields::of_form(text.as_bytes()).iter().count(), MOST);
        let long = format!("a={}&b=2", "x".repeat(10_000));
        assert_eq!(Fields::of_form(long.as_bytes()).iter().collect::<Vec<_>>(), [("b", "2")]);
    }
}
