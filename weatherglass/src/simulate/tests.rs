//! Whether the made-up weather could be.

use ::weather::{Admission, Flags, Values, Variable, quality};

use super::*;

const HOUR: i64 = 3600;

fn start(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn temperature(network: &Network, index: usize, time: Time) -> f64 {
    f64::from(network.observe(index, time).unwrap().values.get(Variable::Temperature).unwrap())
}

#[test]
fn every_report_is_possible_and_consistent() {
    let networks =
        [Network::new(7, 20), Network::over(7, 20, Area { south: -60.0, west: -170.0, north: 70.0, east: 170.0 })];
    for network in networks {
        for index in 0..20 {
            for hour in (0..365 * 24).step_by(7) {
                let time = start("2026-01-01T00:00:00Z") + hour * HOUR;
                let reports = network.report(index, time);
                assert_eq!(reports, [network.observe(index, time).unwrap()]);
                Admission::default().check(&reports[0], time).unwrap();
                assert_eq!(
                    quality::check(&reports[0].values, quality::Limits::standard()),
                    Flags::default(),
                    "{:?}",
                    reports[0]
                );
            }
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_weather_and_another_makes_another() {
    let time = start("2026-11-23T12:34:00Z");
    let report = |seed| {
        let network = Network::new(seed, 300).with_gaps(0.1).with_faults(Kind::ALL.to_vec(), 0.5, 60);
        (0..300).flat_map(|index| network.report(index, time)).collect::<Vec<_>>()
    };
    assert_eq!(report(1), report(1));
    assert_ne!(report(1), report(2));
}

#[test]
fn it_rains_sometimes_and_the_sun_sets() {
    let network = Network::new(1, 1);
    let begin = start("2026-06-01T00:00:00Z");
    let reports: Vec<Values> = (0..24 * 60).map(|h| network.observe(0, begin + h * HOUR).unwrap().values).collect();
    let wet = reports.iter().filter(|v| v.get(Variable::Precipitation) > Some(0.0)).count();
    assert!((30..500).contains(&wet), "{wet} wet hours of {}", reports.len());
    assert!(reports.iter().any(|v| v.get(Variable::SolarRadiation) == Some(0.0)));
}

#[test]
fn days_are_warmer_than_nights_more_so_in_summer() {
    let network = Network::new(5, 12);
    // The market square; the mean of each hour of the day over 60 days.
    let day = |begin: &str| -> Vec<f64> {
        let mean = |hour: i64| {
            (0..60).map(|d| temperature(&network, 5, start(begin) + (d * 24 + hour) * HOUR)).sum::<f64>() / 60.0
        };
        (0..24).map(mean).collect()
    };
    let amplitude =
        |hours: &[f64]| hours.iter().copied().fold(f64::MIN, f64::max) - hours.iter().copied().fold(f64::MAX, f64::min);
    let (summer, winter) = (day("2026-06-01T00:00:00Z"), day("2025-12-01T00:00:00Z"));
    assert!((6.0..14.0).contains(&amplitude(&summer)), "{}", amplitude(&summer));
    assert!((1.5..6.0).contains(&amplitude(&winter)), "{}", amplitude(&winter));
    let warmest = (0..24).max_by(|a, b| summer[*a].total_cmp(&summer[*b])).unwrap();
    // 15.44 degrees east: an hour ahead of UTC. Recordings have their maximum at 13 to 15 h of the sun's time.
    assert!((12..=15).contains(&warmest), "{warmest} UTC");
}

#[test]
fn temperature_remembers_the_hour_before_as_real_ones_do() {
    let network = Network::new(9, 40);
    for index in [1, 5, 20, 39] {
        let series: Vec<f64> = (0..24 * 90)
            .map(|hour| temperature(&network, index, start("2026-03-01T00:00:00Z") + hour * HOUR))
            .collect();
        let mean = series.iter().sum::<f64>() / series.len() as f64;
        let variance: f64 = series.iter().map(|t| (t - mean).powi(2)).sum();
        let together: f64 = series.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum();
        let correlation = together / variance;
        assert!((0.95..0.999).contains(&correlation), "{correlation}");
        // What persistence scores at real stations: 0.67 to 0.95 degC in an hour, 2.3 to 4.2 in six.
        let change = |step: usize| {
            series.windows(step + 1).map(|w| (w[step] - w[0]).abs()).sum::<f64>() / (series.len() - step) as f64
        };
        assert!((0.4..1.2).contains(&change(1)), "{}", change(1));
        assert!((1.6..5.0).contains(&change(6)), "{}", change(6));
    }
}

#[test]
fn a_front_passes_the_stations_in_the_order_of_its_motion() {
    let network = Network::over(11, 60, Area { south: 44.0, west: 10.0, north: 50.0, east: 20.0 });
    // A strong cold front that passes the middle by night, when the sun does not hide it.
    let begin = start("2026-10-01T00:00:00Z");
    let mut judged = 0;
    for hour in 0..24 * 60 {
        let time = begin + hour * HOUR;
        let middle = network.fronts.near(47.0, 15.0, time, HOUR as f64 / 2.0).next();
        let Some((front, _)) = middle.filter(|(f, _)| f.kind == fronts::Kind::Cold && f.step > 4.5) else { continue };
        let mut passages = Vec::new();
        for (index, station) in network.stations().iter().enumerate() {
            let (latitude, longitude) = station.position().unwrap();
            let (sine, cosine) = front.bearing.to_radians().sin_cos();
            let east = (longitude - 15.0) * 111_320.0 * 47.0_f64.to_radians().cos();
            let along = east * sine + (latitude - 47.0) * 111_320.0 * cosine;
            // The steepest fall of temperature within the day around.
            let fall = |quarter: i64| {
                let at = |minutes: i64| temperature(&network, index, time + quarter * 900 + minutes * 60);
                at(30) - at(-30)
            };
            let steepest = (-48..48).min_by(|a, b| fall(*a).total_cmp(&fall(*b))).unwrap();
            passages.push((along, steepest * 900));
        }
        let expected = |along: f64| along / front.speed;
        let near = passages.iter().filter(|(along, at)| (*at as f64 - expected(*along)).abs() < 2700.0).count();
        assert!(near * 10 >= passages.len() * 7, "{near} of {} when the front came", passages.len());
        let ordered = passages.iter().flat_map(|a| passages.iter().map(move |b| (a, b)));
        let (mut right, mut all) = (0, 0);
        for (a, b) in ordered.filter(|(a, b)| b.0 - a.0 > 100_000.0) {
            all += 1;
            right += u32::from(b.1 > a.1);
        }
        assert!(all > 100 && right * 10 >= all * 8, "{right} of {all} pairs in order");
        judged += 1;
    }
    assert!(judged >= 3, "{judged} fronts");
}

#[test]
fn faults_are_what_they_are_called_and_only_where_they_were_planted() {
    let network = Network::new(3, 400);
    let faulty = network.clone().with_faults(Kind::ALL.to_vec(), 0.5, 600);
    let begin = start("2026-05-01T00:00:00Z");
    let mut seen: Vec<Kind> = Vec::new();
    for index in 0..400 {
        let planted = faulty.faults.as_ref().unwrap();
        for step in 0..6 * 24 * 3 {
            let time = begin + step * 600;
            let (sound, found) = (network.observe(index, time).unwrap(), faulty.report(index, time));
            let Some(episode) = planted.at(index, time) else {
                assert!(found.contains(&sound), "{index} at {time}");
                continue;
            };
            seen.push(episode.kind);
            match (episode.kind, episode.variable) {
                (Kind::Late, _) => assert!(!found.contains(&sound)),
                (Kind::Duplicate, _) => assert_eq!(found, [sound.clone(), sound]),
                (Kind::Clock, _) => {
                    assert!((found[0].time - time).abs() >= 600);
                    assert_eq!(found[0].values, sound.values);
                }
                (_, Some(variable)) => {
                    let others = ::weather::Variable::ALL.into_iter().filter(|v| *v != variable);
                    for other in others {
                        assert_eq!(found[0].values.get(other), sound.values.get(other));
                    }
                    let (bad, good) = (found[0].values.get(variable).unwrap(), sound.values.get(variable).unwrap());
                    match episode.kind {
                        Kind::Spike => assert!((bad - good).abs() > 7.9),
                        Kind::Stuck => {
                            let then = network.observe(index, episode.from).unwrap().values.get(variable).unwrap();
                            assert!((bad - then).abs() < 0.06);
                        }
                        Kind::Unit if variable == Variable::PressureMsl => assert!((25.0..33.0).contains(&bad)),
                        _ => {}
                    }
                }
                (kind, None) => panic!("{kind:?} of nothing"),
            }
        }
    }
    assert!(Kind::ALL.iter().all(|kind| seen.contains(kind)));
}

#[test]
fn areas_are_four_numbers() {
    assert_eq!(Area::parse("45.6, 13.9,48.6,20.9"), Ok(Area::HOME));
    for bad in ["", "1,2,3", "48,13,45,20", "45,13,48,NaN", "45,13,91,20", "45,13,48,13"] {
        assert!(Area::parse(bad).is_err(), "{bad}");
    }
    let network = Network::over(1, 50, Area { south: -35.0, west: 150.0, north: -33.0, east: 151.0 });
    let inside = |s: &Station| {
        s.position().is_some_and(|(lat, lon)| (-35.0..=-33.0).contains(&lat) && (150.0..=151.0).contains(&lon))
    };
    assert!(network.stations().iter().all(inside));
}
