//! What is written is read, and what is damaged is told.

use super::*;
use weather::Variable;

fn received() -> Entry {
    let observation = Observation {
        station: StationId::new("X1").unwrap(),
        time: Time::from_unix(1_790_000_000),
        values: [(Variable::Temperature, 12.3)].into_iter().collect(),
        source: None,
    };
    let mut flags = Flags::default();
    flags.mark(weather::quality::Test::Range, Variable::Temperature, weather::quality::Flag::Suspect);
    Entry::Observation(Received { observation, flags, received: 7 })
}

fn forecast() -> Forecast {
    let rows = Box::new(std::array::from_fn(|l| std::array::from_fn(|h| (l * 10 + h) as f32 / 10.0)));
    let mut prediction = Prediction::default();
    prediction.distributions[0] = Distribution::new(Quantity::Temperature, rows);
    prediction.precipitation_probability = Some(Box::new([0.125; LEADS]));
    prediction.wind_direction = Some(Box::new([360.0; LEADS]));
    Forecast {
        station: StationId::new("X1").unwrap(),
        reference_time: Time::from_unix(0),
        issue_time: Time::from_unix(1),
        expires: Time::from_unix(2),
        model: ModelId { name: "m".into(), version: "1".into() },
        inputs: Inputs { age_seconds: 1, missing_share: 0.5, masked_share: 0.0 },
        cause: "1-0".into(),
        revision: 3,
        prediction,
    }
}

#[test]
fn entries_round_trip() {
    assert_eq!(Entry::decode(&received().encode()), Ok(received()));
    let station = Entry::Station(Station::unregistered(StationId::new("X1").unwrap()));
    assert_eq!(Entry::decode(&station.encode()), Ok(station));
}

#[test]
fn a_release_that_knows_no_removal_hides_the_station() {
    #[derive(Deserialize)]
    struct Old {
        #[serde(default)]
        observation: Option<Observation>,
        #[serde(default)]
        station: Option<Station>,
    }
    let removed = Entry::Removed(StationId::new("X1").unwrap());
    assert_eq!(Entry::decode(&removed.encode()), Ok(removed.clone()));
    let old: Old = rmp_serde::from_slice(&removed.encode()).unwrap();
    assert!(old.observation.is_none() && !old.station.unwrap().public);
}

#[test]
fn forecasts_round_trip_and_are_small() {
    let bytes = encode_forecast(&forecast());
    assert_eq!(decode_forecast(&bytes).unwrap(), forecast());
    assert!(bytes.len() < 1500, "{} bytes for one quantity", bytes.len());
}

#[test]
fn judgements_round_trip_and_are_no_forecasts() {
    let Entry::Observation(Received { observation, flags, .. }) = received() else { unreachable!() };
    let judgement = Judgement { observation, flags };
    let bytes = judgement.encode();
    assert_eq!(Judgement::decode(&bytes), Ok(judgement));
    assert!(matches!(decode_forecast(&bytes), Err(DecodeError::Malformed(_))));
    assert!(matches!(Judgement::decode(&encode_forecast(&forecast())), Err(DecodeError::Malformed(_))));
}

#[test]
fn every_name_is_written_and_numbers_survive_to_the_last_step() {
    assert!(NAMES.is_sorted() && Quantity::ALL.iter().all(|quantity| NAMES.contains(&quantity.name())));
    let mut whole = forecast();
    for quantity in Quantity::ALL {
        let numbers = |l: usize, h: usize| match quantity {
            Quantity::PressureMsl => 870.3 + (l * 48 + h) as f32 * 0.7,
            Quantity::Temperature | Quantity::DewPoint => -40.07 + (l * 48 + h) as f32 * 0.23,
            _ => (l * 48 + h) as f32 * 0.37,
        };
        let rows = Box::new(std::array::from_fn(|l| std::array::from_fn(|h| numbers(l, h))));
        whole.prediction.distributions[quantity as usize] = Distribution::new(quantity, rows);
    }
    let bytes = encode_forecast(&whole);
    assert_eq!(decode_forecast(&bytes).unwrap(), whole);
    assert!(bytes.len() < FORECAST_ROOM, "{} bytes", bytes.len());
}

#[test]
fn every_truncation_and_every_flipped_byte_is_an_error_or_a_value_and_never_a_panic() {
    for bytes in [received().encode(), encode_forecast(&forecast())] {
        for at in 0..bytes.len() {
            let _ = (Entry::decode(&bytes[..at]), decode_forecast(&bytes[..at]));
            let mut flipped = bytes.clone();
            flipped[at] ^= 0xff;
            let _ = (Entry::decode(&flipped), decode_forecast(&flipped));
        }
    }
}

#[test]
fn a_newer_minor_is_read_and_a_newer_major_is_named() {
    #[derive(Serialize)]
    struct Newer {
        v: (u8, u8),
        station: Station,
        colour: &'static str,
    }
    let station = Station::unregistered(StationId::new("X1").unwrap());
    let minor = write(&Newer { v: (1, 9), station: station.clone(), colour: "blue" }, 0);
    assert_eq!(Entry::decode(&minor), Ok(Entry::Station(station.clone())));
    let major = write(&Newer { v: (2, 0), station, colour: "blue" }, 0);
    assert_eq!(Entry::decode(&major), Err(DecodeError::Version(2)));
    let other = rmp_serde::to_vec_named(&std::collections::BTreeMap::from([("v", (3, 0))])).unwrap();
    assert_eq!(Entry::decode(&other), Err(DecodeError::Version(3)));
    assert!(matches!(Entry::decode(b"hello"), Err(DecodeError::Malformed(_))));
}
