use proptest::prelude::*;
use weather::Variable::{Precipitation, RelativeHumidity, Temperature, WindDirection, WindSpeed};

use super::*;

const WINDOW: Duration = Duration::from_secs(30);

/// A clock that is told to go on, and what came out.
struct Bench {
    merge: Merge,
    now: Instant,
    done: Vec<Done>,
    next: u16,
}

impl Bench {
    fn new(hold: usize) -> Self {
        Self { merge: Merge::new(hold), now: Instant::now(), done: Vec::new(), next: 0 }
    }

    /// A message by a connection; 0 is one that asks for no acknowledgement.
    fn say(&mut self, station: &str, time: i64, values: &[(Variable, f32)], rain: Option<f64>, connection: u64) {
        self.next += 1;
        let token = (connection > 0).then_some(Token { connection, packet: self.next });
        let part = Part {
            station: StationId::new(station).unwrap(),
            time: Time::from_unix(time),
            values: values.iter().copied().collect(),
            rain,
            source: None,
        };
        self.merge.add(part, ("t", token), WINDOW, self.now, &mut self.done);
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.merge.due(self.now, &mut self.done);
    }

    /// The observations since the last look: time and number of values, and the acknowledged messages.
    fn look(&mut self) -> (Vec<(i64, usize)>, Vec<u16>) {
        let done = std::mem::take(&mut self.done);
        let observations = done.iter().filter_map(|d| d.observation.as_ref()).map(|o| (o.time.unix(), o.values.len()));
        (observations.collect(), done.iter().flat_map(|d| &d.tokens).map(|t| t.packet).collect())
    }
}

/// Wind and rain, and wind, temperature and humidity, as a five-in-one says them by turns.
const WIND: [(Variable, f32); 2] = [(WindSpeed, 2.0), (WindDirection, 90.0)];
const WARM: [(Variable, f32); 3] = [(WindSpeed, 3.0), (Temperature, 5.0), (RelativeHumidity, 80.0)];

#[test]
fn two_messages_thrice_each_are_one_observation() {
    let mut bench = Bench::new(12);
    for _ in 0..3 {
        bench.say("A", 1000, &WIND, Some(5.0), 1);
    }
    assert_eq!(bench.look(), (vec![], vec![2, 3]), "repetitions say nothing new");
    bench.wait(19);
    for _ in 0..3 {
        bench.say("A", 1019, &WARM, None, 1);
    }
    bench.wait(10);
    assert_eq!(bench.look(), (vec![], vec![5, 6]));
    bench.wait(1);
    let done = std::mem::take(&mut bench.done).remove(0);
    let observation = done.observation.unwrap();
    assert_eq!((observation.time.unix(), observation.values.len()), (1000, 4));
    assert_eq!(observation.values.get(WindSpeed), Some(3.0), "the newer wind");
    assert_eq!(done.rain, Some((Time::from_unix(1000), 5.0)));
    assert_eq!(done.tokens.iter().map(|t| t.packet).collect::<Vec<_>>(), [1, 4]);
    assert!(bench.merge.deadline().is_none() && bench.merge.held() == 0);
}

#[test]
fn a_known_station_waits_for_what_it_measures_and_no_longer() {
    let mut bench = Bench::new(12);
    for (n, second) in (0..5).map(|n| (n, 38 * n)) {
        bench.say("A", second, &WIND, Some(n as f64), 1);
        bench.wait(19);
        bench.say("A", second + 19, &WARM, None, 1);
        let (observations, _) = bench.look();
        // At first nobody knows that there is no more to come.
        assert_eq!(observations.last() == Some(&(second, 4)), n >= 2, "{n} {observations:?}");
        bench.wait(19);
    }
    // One that says everything at once is sent on at once.
    for n in 0..4 {
        bench.say("B", n * 60, &[(Temperature, n as f32)], None, 1);
        let (observations, _) = bench.look();
        assert_eq!(observations.contains(&(n * 60, 1)), n >= 2, "{n}");
        bench.wait(60);
    }
}

#[test]
fn the_same_measured_anew_begins_another() {
    let mut bench = Bench::new(12);
    bench.say("A", 0, &WARM, None, 1);
    bench.say("A", 19, &WARM, None, 1);
    assert_eq!(bench.look(), (vec![(0, 3)], vec![1]));
    bench.say("A", 500, &WIND, None, 1);
    assert_eq!(bench.look(), (vec![(19, 3)], vec![2]), "an old backlog is told apart by its own times");
    bench.merge.drain(&mut bench.done);
    assert_eq!(bench.look(), (vec![(500, 2)], vec![3]));
}

#[test]
fn what_comes_again_by_a_new_connection_is_acknowledged_with_its_group() {
    let mut bench = Bench::new(12);
    bench.say("A", 0, &WIND, None, 1);
    bench.say("A", 0, &WIND, None, 2);
    assert_eq!(bench.look(), (vec![], vec![]), "not before it is kept");
    bench.say("A", 0, &WIND, None, 2);
    assert_eq!(bench.look(), (vec![], vec![3]), "a repetition on that connection");
    bench.wait(30);
    assert_eq!(bench.look(), (vec![(0, 2)], vec![1, 2]));
    bench.say("A", 0, &WIND, None, 3);
    assert_eq!(bench.look(), (vec![], vec![4]), "it is kept already");
    // One that asked for no acknowledgement covers none that does.
    bench.say("A", 100, &WARM, None, 0);
    bench.say("A", 100, &WARM, None, 3);
    assert_eq!(bench.look(), (vec![], vec![]));
    bench.wait(30);
    assert_eq!(bench.look(), (vec![(100, 3)], vec![6]));
}

#[test]
fn a_broker_is_not_kept_waiting() {
    let mut bench = Bench::new(3);
    for n in 0..6 {
        bench.say(&format!("S{n}"), n, &WIND, None, 1);
        bench.wait(1);
    }
    assert_eq!(bench.look(), (vec![(0, 2), (1, 2), (2, 2)], vec![1, 2, 3]));
    assert_eq!(bench.merge.held(), 3);
}

#[test]
fn memory_has_a_bound() {
    let mut bench = Bench::new(12);
    for n in 0..MOST_STATIONS + MOST_GROUPS + 10 {
        bench.say(&format!("S{n}"), 0, &WIND, None, 0);
        bench.now += Duration::from_millis(1);
    }
    assert!(bench.merge.stations.len() <= MOST_STATIONS && bench.merge.groups.len() <= MOST_GROUPS);
}

proptest! {
    /// Whatever comes in whatever order: every message is acknowledged once, no group waits longer
    /// than the window, every value that was said is in an observation or repeated one that is.
    #[test]
    fn nothing_is_lost(
        steps in prop::collection::vec((0u8..3, 0i64..90, 0u8..8, 0u8..3, 0u64..3, 0u64..20), 0..60),
    ) {
        let mut bench = Bench::new(8);
        let (mut said, mut kept, mut acknowledged, mut expected) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (station, time, which, value, connection, wait) in steps {
            let variables = [WindSpeed, Temperature, RelativeHumidity];
            let mut values: Vec<(Variable, f32)> = Vec::new();
            for (bit, variable) in variables.into_iter().enumerate().filter(|(bit, _)| which & (1 << bit) != 0) {
                values.push((variable, f32::from(value) + bit as f32));
            }
            if values.is_empty() {
                values.push((Precipitation, f32::from(value)));
            }
            let name = format!("S{station}");
            bench.say(&name, time, &values, None, connection);
            expected.extend((connection > 0).then_some(bench.next));
            said.extend(values.iter().map(|(v, x)| (name.clone(), *v, x.to_bits())));
            bench.wait(wait);
            prop_assert!(bench.merge.deadline().is_none_or(|at| at > bench.now && at <= bench.now + WINDOW));
            prop_assert!(bench.merge.held() <= 8);
        }
        bench.merge.drain(&mut bench.done);
        for done in &bench.done {
            acknowledged.extend(done.tokens.iter().map(|t| t.packet));
            for (variable, value) in done.observation.iter().flat_map(|o| o.values.iter()) {
                kept.push((done.observation.as_ref().unwrap().station.to_string(), variable, value.to_bits()));
            }
        }
        acknowledged.sort_unstable();
        prop_assert_eq!(acknowledged, expected);
        prop_assert!(kept.iter().all(|value| said.contains(value)));
        for (name, variable, _) in &said {
            prop_assert!(kept.iter().any(|(n, v, _)| n == name && v == variable));
        }
    }
}

/// A night of a real five-in-one, where the recordings are at hand: most of its messages find their
/// other half, and what is sent thrice is kept once.
#[test]
fn recorded_messages_find_their_other_half() {
    let folder = std::env::var_os("WEATHERGLASS_DATA").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        std::path::PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(folder.join("raw/rtl_433_events.jsonl")) else {
        eprintln!("SKIPPED: no rtl_433_events.jsonl in {}: set WEATHERGLASS_DATA", folder.display());
        return;
    };
    let (mut merge, mut done, start, mut first) = (Merge::new(12), Vec::new(), Instant::now(), None);
    for line in text.lines() {
        for observation in crate::mqtt::decode_rtl433(line, Time::from_unix(0)).into_iter().flatten() {
            let first = *first.get_or_insert(observation.time);
            let now = start + Duration::from_secs((observation.time - first).unsigned_abs());
            merge.due(now, &mut done);
            merge.add(observation.into(), ("t", None), WINDOW, now, &mut done);
        }
    }
    merge.drain(&mut done);
    let kept: Vec<&Observation> = done.iter().filter_map(|d| d.observation.as_ref()).collect();
    let whole = kept.iter().filter(|o| WIND.iter().chain(&WARM).all(|(v, _)| o.values.get(*v).is_some())).count();
    assert!((330..420).contains(&kept.len()), "{} of 676 transmissions", kept.len());
    assert!(whole * 4 > kept.len() * 3, "{whole} of {} are whole", kept.len());
    let times: std::collections::BTreeSet<_> = kept.iter().map(|o| (o.station.clone(), o.time)).collect();
    assert_eq!(times.len(), kept.len(), "no two of one time");
}
