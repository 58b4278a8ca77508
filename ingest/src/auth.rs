//! Who may post for which station.

use anyhow::bail;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use weather::StationId;

/// The shortest key that is let in: 16 characters of an alphabet of 64 hold 96 bits.
const KEY_LENGTH: usize = 16;

/// What a key opens.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    Any,
    Station(String),
    Network(String),
}

/// The keys of the file, held as digests.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Vec<([u8; 32], Scope)>);

/// A request that proved a key, or needed none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grant(Option<Vec<Scope>>);

impl Grant {
    /// Whether it may write for `station`.
    pub(crate) fn allows(&self, station: &StationId) -> bool {
        let Some(scopes) = &self.0 else { return true };
        scopes.iter().any(|scope| match scope {
            Scope::Any => true,
            Scope::Station(id) => id == station.as_str(),
            Scope::Network(prefix) => station.as_str().starts_with(prefix.as_str()),
        })
    }
}

impl Keys {
    /// Reads `KEY [STATION|PREFIX*]` lines; `#` begins a comment.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (key, station) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            if key.len() < KEY_LENGTH {
                bail!("line {}: a key has at least {KEY_LENGTH} characters", number + 1);
            }
            let scope = match station.trim() {
                "" | "*" => Scope::Any,
                prefix if prefix.ends_with('*') => Scope::Network(prefix.trim_end_matches('*').to_owned()),
                id => match StationId::new(id) {
                    Ok(id) => Scope::Station(id.as_str().to_owned()),
                    Err(error) => bail!("line {}: {error}", number + 1),
                },
            };
            keys.push((digest(key), scope));
        }
        if keys.is_empty() {
            bail!("holds no key");
        }
        Ok(Self(keys))
    }

    /// The grant of a request's bearer key; none when it has no key or a wrong one.
    pub(crate) fn check(keys: Option<&Self>, headers: &HeaderMap) -> Option<Grant> {
        granted(keys, bearer(headers))
    }
}

/// The grant of a key, whichever way it came; none when it is wrong or there is none.
pub(crate) fn granted(keys: Option<&Keys>, key: Option<&str>) -> Option<Grant> {
    let Some(Keys(keys)) = keys else { return Some(Grant(None)) };
    // Digests are compared, not keys: how far two digests agree tells nothing of the key.
    let offered = digest(key?);
    let scopes: Vec<Scope> = keys.iter().filter(|(d, _)| *d == offered).map(|(_, s)| s.clone()).collect();
    (!scopes.is_empty()).then_some(Grant(Some(scopes)))
}

/// The key of a request's `Authorization: Bearer KEY`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    fn may(keys: &Keys, authorization: &str, station: &str) -> bool {
        let station = StationId::new(station).unwrap();
        Keys::check(Some(keys), &headers(authorization)).is_some_and(|grant| grant.allows(&station))
    }

    #[test]
    fn keys_open_what_they_are_for() {
        let keys =
            Keys::parse("# ours\nabcdefghijklmnop KJFK\nABCDEFGHIJKLMNOP MESO-* # network\n0123456789abcdef").unwrap();
        assert!(may(&keys, "Bearer abcdefghijklmnop", "KJFK"));
        assert!(!may(&keys, "Bearer abcdefghijklmnop", "KEWR"));
        assert!(may(&keys, "bearer ABCDEFGHIJKLMNOP", "MESO-7"));
        assert!(may(&keys, "Bearer 0123456789abcdef", "anything"));
        assert!(!may(&keys, "Bearer 0123456789abcdeX", "anything"));
        assert!(!may(&keys, "Basic 0123456789abcdef", "anything"));
        assert!(Keys::check(Some(&keys), &HeaderMap::new()).is_none());
    }

    #[test]
    fn without_keys_everyone_may() {
        assert!(Keys::check(None, &HeaderMap::new()).unwrap().allows(&StationId::new("A").unwrap()));
    }

    #[test]
    fn bad_files_are_refused_by_line() {
        assert!(Keys::parse("short").unwrap_err().to_string().starts_with("line 1"));
        assert!(Keys::parse("\n0123456789abcdef a/b").unwrap_err().to_string().starts_with("line 2"));
        assert!(Keys::parse("# nothing").is_err());
    }
}
