//! Who may post for which station.
//!
//! A key opens what the file of keys says, and if it is not in the file what the registry in Redis says.
//! What the registry said is believed for two seconds, so that a revoked key stops within seconds and
//! not every request asks; while Redis is away it is believed for as long as that lasts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use streams::key_ring::{Digest, digest};
use streams::{Error, Scope};
use weather::StationId;

use crate::link::Link;

/// The shortest key that is let in: 16 characters of an alphabet of 64 hold 96 bits.
const KEY_LENGTH: usize = 16;
/// A longer one is nobody's, and is not looked up.
const LONGEST_KEY: usize = 512;
/// How long the registry's word on a key counts.
const FRESH: Duration = Duration::from_secs(2);
/// Keys whose answers are remembered; beyond them those go first that open nothing.
const MOST: usize = 20_000;

/// The keys of the file, held as digests.
#[derive(Clone, Debug)]
pub(crate) struct Keys(Vec<(Digest, Scope)>);

/// A request that proved a key, or needed none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grant(Option<Vec<Scope>>);

impl Grant {
    /// Whether it may write for `station`.
    pub(crate) fn allows(&self, station: &StationId) -> bool {
        self.0.as_ref().is_none_or(|scopes| scopes.iter().any(|scope| scope.allows(station)))
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
            let (key, station) = line.split_once(char::is_whitespace).unwrap_or((line, "*"));
            if key.len() < KEY_LENGTH {
                bail!("line {}: a key has at least {KEY_LENGTH} characters", number + 1);
            }
            match Scope::parse(station.trim()) {
                Ok(scope) => keys.push((digest(key), scope)),
                Err(error) => bail!("line {}: {error}", number + 1),
            }
        }
        if keys.is_empty() {
            bail!("holds no key");
        }
        Ok(Self(keys))
    }

    fn scopes(&self, offered: &Digest) -> Vec<Scope> {
        // Digests are compared, not keys: how far two digests agree tells nothing of the key.
        self.0.iter().filter(|(digest, _)| digest == offered).map(|(_, scope)| scope.clone()).collect()
    }
}

/// The key of a request: `Authorization: Bearer KEY`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// What a key opened when the registry was asked last.
struct Answer {
    asked: Instant,
    scopes: Vec<Scope>,
}

/// Asks for keys, or for none. Clones share what is remembered.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Inner>);

struct Inner {
    /// None asks nobody for a key.
    keys: Option<(Option<Keys>, Link)>,
    answers: Mutex<HashMap<Digest, Answer>>,
}

impl Gate {
    /// A gate that everybody may pass.
    pub(crate) fn open() -> Self {
        Self(Arc::new(Inner { keys: None, answers: Mutex::default() }))
    }

    /// A gate that asks for a key of the file, if there is one, or of the registry.
    pub(crate) fn asking(file: Option<Keys>, link: Link) -> Self {
        Self(Arc::new(Inner { keys: Some((file, link)), answers: Mutex::default() }))
    }

    /// Whether a key is asked for.
    pub(crate) fn asks(&self) -> bool {
        self.0.keys.is_some()
    }

    /// What a key opens; none if it opens nothing, or is missing where one is asked for.
    ///
    /// # Errors
    /// When Redis can't say and is not known to have said: the same key may be good in a moment.
    pub(crate) async fn grant(&self, key: Option<&str>) -> Result<Option<Grant>, Error> {
        let Some((file, link)) = &self.0.keys else { return Ok(Some(Grant(None))) };
        let Some(key) = key.filter(|key| (KEY_LENGTH..=LONGEST_KEY).contains(&key.len())) else { return Ok(None) };
        let offered = digest(key);
        let mut scopes = file.as_ref().map_or_else(Vec::new, |keys| keys.scopes(&offered));
        if scopes.is_empty() {
            scopes = self.registered(link, offered).await?;
        }
        Ok((!scopes.is_empty()).then_some(Grant(Some(scopes))))
    }

    async fn registered(&self, link: &Link, offered: Digest) -> Result<Vec<Scope>, Error> {
        let remembered = {
            let answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.get(&offered).map(|answer| (answer.asked.elapsed(), answer.scopes.clone()))
        };
        if let Some((age, scopes)) = &remembered
            && *age < FRESH
        {
            return Ok(scopes.clone());
        }
        let asked = async { link.redis()?.key(&offered).await };
        match asked.await {
            Ok(record) => {
                let scopes = record.map(|record| record.scopes).unwrap_or_default();
                self.remember(offered, scopes.clone());
                Ok(scopes)
            }
            Err(error) => match remembered {
                Some((_, scopes)) if error.passes() && !scopes.is_empty() => Ok(scopes),
                _ => Err(error),
            },
        }
    }

    fn remember(&self, digest: Digest, scopes: Vec<Scope>) {
        let mut answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST {
            // Guesses can't push out what lets stations in while Redis is away.
            answers.retain(|_, answer| !answer.scopes.is_empty());
            if answers.len() >= MOST {
                answers.clear();
            }
        }
        answers.insert(digest, Answer { asked: Instant::now(), scopes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())])
    }

    fn may(keys: &Keys, authorization: &str, station: &str) -> bool {
        let station = StationId::new(station).unwrap();
        let headers = headers(authorization);
        let Some(key) = bearer(&headers) else { return false };
        Grant(Some(keys.scopes(&digest(key)))).allows(&station)
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
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn without_keys_everyone_may() {
        let grant = Gate::open().grant(None).await.unwrap().unwrap();
        assert!(grant.allows(&StationId::new("A").unwrap()));
    }

    #[test]
    fn guesses_are_forgotten_before_what_opens_something() {
        let gate = Gate::open();
        gate.remember(digest("good"), vec![Scope::Any]);
        for n in 0..=MOST {
            gate.remember(digest(&n.to_string()), Vec::new());
        }
        let answers = gate.0.answers.lock().unwrap();
        assert!(answers.len() <= MOST && answers.contains_key(&digest("good")));
    }

    #[test]
    fn bad_files_are_refused_by_line() {
        assert!(Keys::parse("short").unwrap_err().to_string().starts_with("line 1"));
        assert!(Keys::parse("\n0123456789abcdef a/b").unwrap_err().to_string().starts_with("line 2"));
        assert!(Keys::parse("# nothing").is_err());
    }
}
