//! Which topics an entry is for, and which station a message is of.

use std::borrow::Cow;

use weather::{Rejection, StationId};

/// The longest piece that a topic or a message adds to a station's id, before the id is checked.
const PIECE: usize = 64;

/// An MQTT topic filter: levels between slashes, `+` for any one, `#` at the end for all that follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter(String);

/// A topic, and what stands in the place of its filter's wildcards.
pub(crate) struct Topic<'a> {
    pub(crate) name: &'a str,
    captures: &'a [&'a str],
}

impl<'a> Topic<'a> {
    pub(crate) const fn new(name: &'a str, captures: &'a [&'a str]) -> Self {
        Self { name, captures }
    }

    /// Its last level.
    pub(crate) fn leaf(&self) -> &'a str {
        self.name.rsplit('/').next().unwrap_or_default()
    }
}

impl Filter {
    /// # Errors
    /// What a filter may be.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let levels: Vec<&str> = text.split('/').collect();
        let plain = |level: &str| !level.contains(['+', '#', '\0']);
        let good = |(at, level): (usize, &&str)| match *level {
            "+" => true,
            "#" => at + 1 == levels.len(),
            other => plain(other),
        };
        if text.is_empty() || text.len() > 65_535 || !levels.iter().enumerate().all(good) {
            return Err(
                "levels between slashes, + for any one, # at the end for the rest: rtl_433/+/events, weather/#",
            );
        }
        if text.starts_with("$share/") {
            return Err("no shared subscription: the messages of a station have to come to one process");
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// How many wildcards it has.
    pub(crate) fn wildcards(&self) -> usize {
        self.0.split('/').filter(|level| matches!(*level, "+" | "#")).count()
    }

    /// What `topic` has in the place of the wildcards; none if it does not match.
    pub(crate) fn captures<'t>(&self, topic: &'t str) -> Option<Vec<&'t str>> {
        // Topics of the broker itself are matched by no wildcard.
        if topic.starts_with('$') && self.0.starts_with(['+', '#']) {
            return None;
        }
        let mut captures = Vec::new();
        let mut rest = Some(topic);
        for level in self.0.split('/') {
            if level == "#" {
                captures.push(rest.unwrap_or_default());
                return Some(captures);
            }
            let (head, tail) = match rest?.split_once('/') {
                Some((head, tail)) => (head, Some(tail)),
                None => (rest?, None),
            };
            match level {
                "+" => captures.push(head),
                other if other == head => {}
                _ => return None,
            }
            rest = tail;
        }
        rest.is_none().then_some(captures)
    }
}

/// How a station's id is made: text, `{1}` for what the first wildcard stands for, `{model}` for a
/// member of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Capture(usize),
    Member(String),
}

impl Template {
    /// A template under a filter with so many `wildcards`, for messages that have these members.
    ///
    /// # Errors
    /// What is allowed.
    pub(crate) fn parse(text: &str, wildcards: usize, members: &[&str]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (literal, placeholder) = match rest.split_once('{') {
                Some((literal, after)) => {
                    let (name, after) = after.split_once('}').ok_or("a { is closed by a }")?;
                    rest = after;
                    (literal, Some(name))
                }
                None => (std::mem::take(&mut rest), None),
            };
            if !literal.is_empty() {
                StationId::new(literal).map_err(|rejection| rejection.detail)?;
                pieces.push(Piece::Text(literal.to_owned()));
            }
            match placeholder {
                None => {}
                Some(name) if members.contains(&name) => pieces.push(Piece::Member(name.to_owned())),
                Some(name) => match name.parse::<usize>() {
                    Ok(number) if (1..=wildcards).contains(&number) => pieces.push(Piece::Capture(number - 1)),
                    _ => {
                        let mut known: Vec<String> = (1..=wildcards).map(|n| format!("{{{n}}}")).collect();
                        known.extend(members.iter().map(|m| format!("{{{m}}}")));
                        return Err(format!(
                            "{{{name}}} stands for nothing: {}",
                            if known.is_empty() {
                                "there are no wildcards in the filter".into()
                            } else {
                                known.join(" ")
                            }
                        ));
                    }
                },
            }
        }
        if pieces.is_empty() { Err("a station's id, or a template of one".into()) } else { Ok(Self(pieces)) }
    }

    /// The station of a message. What an id may not contain becomes a hyphen; of a member that the
    /// message lacks, the separator before it goes too.
    ///
    /// # Errors
    /// [`weather::admission::Reason::BadStation`] when what comes out is no id.
    pub(crate) fn fill<'m>(
        &self,
        topic: &Topic<'_>,
        member: impl Fn(&str) -> Option<Cow<'m, str>>,
    ) -> Result<StationId, Rejection> {
        let mut id = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => id.push_str(text),
                Piece::Capture(at) => push(&mut id, topic.captures.get(*at).copied().unwrap_or_default()),
                Piece::Member(name) => match member(name) {
                    Some(text) if !text.is_empty() => push(&mut id, &text),
                    _ => {
                        if id.ends_with(['-', '_', '.', ':']) {
                            id.pop();
                        }
                    }
                },
            }
        }
        StationId::new(&id)
    }
}

fn push(id: &mut String, text: &str) {
    let tidy = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-') { c } else { '-' };
    id.extend(text.chars().take(PIECE).map(tidy));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mqtt::part::tests::text;

    fn captures<'t>(filter: &str, topic: &'t str) -> Option<Vec<&'t str>> {
        Filter::parse(filter).unwrap().captures(topic)
    }

    #[test]
    fn filters_match_as_the_standard_says() {
        assert_eq!(captures("a/+/c", "a/b/c"), Some(vec!["b"]));
        assert_eq!(captures("+/+", "/finance"), Some(vec!["", "finance"]));
        assert_eq!(captures("a/#", "a"), Some(vec![""]));
        assert_eq!(captures("a/#", "a/b/c"), Some(vec!["b/c"]));
        assert_eq!(captures("#", "a/b"), Some(vec!["a/b"]));
        for (filter, topic) in
            [("a/+", "a"), ("a/+", "a/b/c"), ("+", "/a"), ("#", "$SYS/uptime"), ("+/x", "$SYS/x"), ("a/b", "a/B")]
        {
            assert_eq!(captures(filter, topic), None, "{filter} {topic}");
        }
        assert!(captures("$SYS/#", "$SYS/uptime").is_some());
        for bad in ["", "a/#/b", "a/b#", "a+/b", "$share/g/a"] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn stations_come_from_the_topic_and_the_message() {
        let template = Template::parse("roof_{1}-{model}-{channel}", 1, &["model", "channel"]).unwrap();
        let fill = |capture: &str, channel: Option<&'static str>| {
            let captures = [capture];
            let member = |name: &str| match name {
                "model" => Some(Cow::Borrowed("WH 24/b")),
                _ => channel.map(Cow::Borrowed),
            };
            template.fill(&Topic::new("t", &captures), member).map(|id| id.as_str().to_owned())
        };
        assert_eq!(fill("attic", Some("2")), Ok("roof_attic-WH-24-b-2".into()));
        assert_eq!(fill("é/x", None), Ok("roof_--x-WH-24-b".into()));
        assert!(fill(&"x".repeat(64), None).is_err(), "too long for an id");
        for bad in ["", "{2}", "{0}", "{station}", "{1", "a b"] {
            assert!(Template::parse(bad, 1, &[]).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_topic_matches_or_not(filter in text("a+#/$é", 12), topic in text("a/$é", 12)) {
            if let Ok(filter) = Filter::parse(&filter)
                && let Some(captures) = filter.captures(&topic)
            {
                prop_assert_eq!(captures.len(), filter.wildcards());
            }
        }
    }
}
