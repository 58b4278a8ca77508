//! Parts of one observation that come in several messages: put together, and sent on in time.
//!
//! A station's first part opens a group, which takes the time of that part. What follows joins it if it
//! is of about the same time and measures something more. The group is done when it has all that
//! the station measures as a rule, when the same is measured anew, or when its window is over: no
//! observation waits longer than the window. Messages of a group are acknowledged when it is kept.
//!
//! The group has the time of its *first* part so that a part whose fellows were kept and acknowledged
//! before a crash, and which alone comes again, is an observation of its own: under their time it
//! would pass for a correction that takes their values away.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use weather::{Observation, StationId, Time, Values, Variable, VariableSet};

use super::part::Part;
use super::session::Token;

/// Stations that are remembered; beyond, the one that was silent longest is forgotten.
const MOST_STATIONS: usize = 4096;
/// Groups that wait; beyond, the oldest goes before its time.
const MOST_GROUPS: usize = 1024;
/// Parts per station by which a repeated transmission is known.
const RECENT: usize = 16;
/// How far apart the repetitions of one transmission are, s.
const REPEATED_WITHIN: i64 = 2;
/// How long a station that measured something is expected to measure it again.
const EXPECTED: Duration = Duration::from_secs(600);

/// What is to be kept, and the messages to acknowledge once it is.
#[derive(Debug)]
pub(crate) struct Done {
    /// None for a message that said nothing new.
    pub(crate) observation: Option<Observation>,
    /// The newest reading of the counter of rain in it.
    pub(crate) rain: Option<(Time, f64)>,
    pub(crate) tokens: Vec<Token>,
    /// Where its first part came from.
    pub(crate) topic: String,
}

/// A part that was seen.
#[derive(Debug)]
struct Seen {
    time: Time,
    values: Values,
    rain: Option<f64>,
    /// Whether its group waits.
    waiting: bool,
    /// The connection on which the broker waits for its acknowledgement.
    connection: Option<u64>,
}

/// An observation in the making.
#[derive(Debug)]
struct Group {
    observation: Observation,
    newest: Time,
    variables: VariableSet,
    rain: Option<(Time, f64)>,
    tokens: Vec<Token>,
    topic: String,
    opened: Instant,
    deadline: Instant,
}

/// What is known of a station.
#[derive(Debug)]
struct Station {
    since: Instant,
    heard: Instant,
    recent: VecDeque<Seen>,
    /// When each variable was measured last.
    measured: [Option<Instant>; Variable::COUNT],
}

/// All groups, and what is known of their stations.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    groups: HashMap<StationId, Group>,
    stations: HashMap<StationId, Station>,
    /// Messages that wait in groups and are not acknowledged; above this many, groups go early.
    hold: usize,
}

impl Merge {
    /// With so many messages that may wait unacknowledged: a broker sends only some before it waits.
    pub(crate) fn new(hold: usize) -> Self {
        Self { hold, ..Self::default() }
    }

    /// Takes a part in; `done` gets what is finished by that.
    pub(crate) fn add(
        &mut self,
        part: Part,
        (topic, token): (&str, Option<Token>),
        window: Duration,
        now: Instant,
        done: &mut Vec<Done>,
    ) {
        self.remember(&part.station, now);
        let Some(token) = self.pass_repeated(&part, token) else { return };
        let token = match token {
            Repeated::Covered(token) => {
                let tokens = token.into_iter().collect();
                done.push(Done { observation: None, rain: None, tokens, topic: topic.to_owned() });
                return;
            }
            Repeated::Not(token) => token,
        };
        let station = part.station.clone();
        if self.groups.get(&station).is_some_and(|group| !group.takes(&part, window)) {
            self.finish(&station, done);
        }
        self.see(&part, token.as_ref(), now);
        match self.groups.get_mut(&station) {
            Some(group) => group.join(part, token),
            None => drop(self.groups.insert(station.clone(), Group::open(part, token, topic, now, window))),
        }
        if self.is_complete(&station, window, now) {
            self.finish(&station, done);
        }
        if self.groups.len() > MOST_GROUPS {
            self.finish_oldest(|_| true, done);
        }
        while self.held() > self.hold {
            self.finish_oldest(|group| !group.tokens.is_empty(), done);
        }
    }

    /// Finishes the groups whose window is over.
    pub(crate) fn due(&mut self, now: Instant, done: &mut Vec<Done>) {
        let mut due: Vec<(Instant, StationId)> =
            self.groups.iter().filter(|(_, g)| g.deadline <= now).map(|(s, g)| (g.opened, s.clone())).collect();
        due.sort();
        for (_, station) in due {
            self.finish(&station, done);
        }
    }

    /// Finishes all groups.
    pub(crate) fn drain(&mut self, done: &mut Vec<Done>) {
        for station in self.groups.keys().cloned().collect::<Vec<_>>() {
            self.finish(&station, done);
        }
    }

    /// When the next window is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.groups.values().map(|group| group.deadline).min()
    }

    /// Messages that wait unacknowledged.
    pub(crate) fn held(&self) -> usize {
        self.groups.values().map(|group| group.tokens.len()).sum()
    }

    fn finish(&mut self, station: &StationId, done: &mut Vec<Done>) {
        let Some(group) = self.groups.remove(station) else { return };
        if let Some(known) = self.stations.get_mut(station) {
            known.recent.iter_mut().for_each(|seen| seen.waiting = false);
        }
        let Group { observation, rain, tokens, topic, .. } = group;
        done.push(Done { observation: Some(observation), rain, tokens, topic });
    }

    fn finish_oldest(&mut self, which: impl Fn(&Group) -> bool, done: &mut Vec<Done>) {
        let oldest = self.groups.iter().filter(|(_, g)| which(g)).min_by_key(|(_, g)| g.opened);
        if let Some(station) = oldest.map(|(station, _)| station.clone()) {
            self.finish(&station, done);
        }
    }

    fn remember(&mut self, station: &StationId, now: Instant) {
        if let Some(known) = self.stations.get_mut(station) {
            known.heard = now;
            return;
        }
        if self.stations.len() >= MOST_STATIONS {
            let silent = self.stations.iter().filter(|(s, _)| !self.groups.contains_key(*s));
            let silent = silent.min_by_key(|(_, known)| known.heard).map(|(s, _)| s.clone());
            silent.map(|s| self.stations.remove(&s));
        }
        let new = Station { since: now, heard: now, recent: VecDeque::new(), measured: [None; Variable::COUNT] };
        self.stations.insert(station.clone(), new);
    }

    fn see(&mut self, part: &Part, token: Option<&Token>, now: Instant) {
        let Some(known) = self.stations.get_mut(&part.station) else { return };
        if known.recent.len() >= RECENT {
            known.recent.pop_front();
        }
        let connection = token.map(|token| token.connection);
        let Part { time, values, rain, .. } = *part;
        known.recent.push_back(Seen { time, values, rain, waiting: true, connection });
        for variable in part.variables().iter() {
            known.measured[variable as usize] = Some(now);
        }
    }

    /// What to do with a message that repeats one which was seen.
    ///
    /// None: it is acknowledged with the group in which the first one waits, since the connection that
    /// the first one came by is gone, and the broker will forget it when it hears of this one.
    fn pass_repeated(&mut self, part: &Part, token: Option<Token>) -> Option<Repeated> {
        let known = self.stations.get_mut(&part.station);
        let Some(seen) = known.and_then(|known| known.recent.iter_mut().rev().find(|seen| seen.is(part))) else {
            return Some(Repeated::Not(token));
        };
        let connection = token.as_ref().map(|token| token.connection);
        match self.groups.get_mut(&part.station) {
            Some(group) if seen.waiting && connection.is_some() && seen.connection != connection => {
                seen.connection = connection;
                group.tokens.extend(token);
                None
            }
            _ => Some(Repeated::Covered(token)),
        }
    }

    /// Whether a group has all that its station measures as a rule. Of a new station that is not
    /// known yet.
    fn is_complete(&self, station: &StationId, window: Duration, now: Instant) -> bool {
        let (Some(group), Some(known)) = (self.groups.get(station), self.stations.get(station)) else { return false };
        let lately = |at: Option<Instant>| at.is_some_and(|at| now.duration_since(at) <= EXPECTED.max(window * 4));
        now.duration_since(known.since) > window * 2
            && Variable::ALL.iter().all(|v| !lately(known.measured[*v as usize]) || group.variables.contains(*v))
    }
}

/// Whether a message repeats one that was seen.
enum Repeated {
    Not(Option<Token>),
    /// It can be acknowledged: what it says is kept, or the broker has it in the first one.
    Covered(Option<Token>),
}

impl Seen {
    fn is(&self, part: &Part) -> bool {
        (self.time - part.time).abs() <= REPEATED_WITHIN && self.values == part.values && self.rain == part.rain
    }
}

impl Group {
    fn open(part: Part, token: Option<Token>, topic: &str, now: Instant, window: Duration) -> Self {
        Self {
            newest: part.time,
            variables: part.variables(),
            rain: part.rain.map(|total| (part.time, total)),
            observation: part.alone(),
            tokens: token.into_iter().collect(),
            topic: topic.to_owned(),
            opened: now,
            deadline: now + window,
        }
    }

    /// Whether a part belongs to it: of about its time, and measuring something more.
    fn takes(&self, part: &Part, window: Duration) -> bool {
        let apart = (part.time - self.observation.time).unsigned_abs();
        apart <= window.as_secs() && part.variables().iter().any(|v| !self.variables.contains(v))
    }

    fn join(&mut self, part: Part, token: Option<Token>) {
        for (variable, value) in part.values.iter() {
            if part.time >= self.newest || self.observation.values.get(variable).is_none() {
                self.observation.values.set(variable, value);
            }
        }
        if let Some(total) = part.rain {
            self.rain = Some((part.time, total));
        }
        for variable in part.variables().iter() {
            self.variables.insert(variable);
        }
        self.newest = self.newest.max(part.time);
        self.tokens.extend(token);
    }
}

#[cfg(test)]
mod tests;
