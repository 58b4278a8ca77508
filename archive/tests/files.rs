//! Reading files as people and tools write them.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has failed

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use archive::{ArchiveError, Filter, read_observations, read_stations};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use weather::{Observation, Time, Variable};

fn write(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn all(path: &Path) -> (Vec<Observation>, archive::Report) {
    let mut file = read_observations(path, Filter::default()).unwrap();
    let observations: Vec<_> = file.by_ref().map(Result::unwrap).collect();
    (observations, file.report().clone())
}

#[test]
fn csv_of_the_shared_schema() {
    let (_folder, path) = write(
        "a.csv",
        "station,time,temperature,pressure,pressure_kind,cloud_cover,precipitation,present_weather\n\
         A,2024-01-01 00:00,1.5,990,station,8,0.2,RA\n\
         A,2024-01-01 00:10:00,,1012,qnh,9,0,\n\
         A,2024-01-01T00:20:00Z,99,1012,msl,4,,\n\
         a b,2024-01-01 00:00,1,,,,,\n\
         A,yesterday,1,,,,,\n\
         A,2024-01-01 00:30,,,,,,\n\
         A,2024-01-01 00:40,warm,,,2,,\n",
    );
    let (found, report) = all(&path);
    assert_eq!(found.len(), 4);
    let get = |row: usize, variable| found[row].values.get(variable);
    assert_eq!(get(0, Variable::PressureStation), Some(990.0));
    assert_eq!(get(0, Variable::CloudCover), Some(100.0));
    assert_eq!(get(0, Variable::PrecipitationPeriod), Some(600.0), "from the cadence");
    assert_eq!(get(1, Variable::PressureMsl), Some(1012.0));
    assert_eq!(get(1, Variable::CloudCover), None, "9 oktas: sky obscured");
    assert_eq!(get(2, Variable::Temperature), None, "99 degrees");
    assert_eq!((report.rows, report.bad, report.empty), (7, 2, 1));
    assert_eq!(report.dropped[Variable::Temperature as usize], 2);
    assert_eq!(report.examples.len(), 2);
    assert_eq!(report.examples[0].row, 4);
    assert!(!report.is_clean() && report.to_string().contains("2 impossible temperature"));
}

#[test]
fn csv_of_our_own_names() {
    let (_folder, path) = write(
        "b.csv",
        "time,id,cloud_cover,present_weather,precipitation,precipitation_period,pressure_msl\n\
         2024-01-01T01:00:00+01:00,X:1,75,61,1.5,1800,1000.5\n",
    );
    let (found, report) = all(&path);
    assert!(report.is_clean());
    assert_eq!(found[0].time, Time::parse("2024-01-01T00:00:00Z").unwrap());
    let values: Vec<_> = found[0].values.iter().map(|(v, x)| (v.name(), x)).collect();
    assert_eq!(
        values,
        [
            ("pressure_msl", 1000.5),
            ("precipitation", 1.5),
            ("precipitation_period", 1800.0),
            ("cloud_cover", 75.0),
            ("present_weather", 61.0)
        ]
    );
}

#[test]
fn a_missing_column_and_an_unknown_kind_are_named() {
    let (_folder, path) = write("c.csv", "station,temperature\nA,1\n");
    let error = read_observations(&path, Filter::default()).err().unwrap();
    assert!(matches!(error, ArchiveError::MissingColumn { column: "time", .. }), "{error}");
    let (_folder, path) = write("c.txt", "");
    assert!(matches!(read_observations(&path, Filter::default()), Err(ArchiveError::Kind { .. })));
    let (_folder, path) = write("c.parquet", "PAR1 but not really PAR1");
    assert!(matches!(read_observations(&path, Filter::default()), Err(ArchiveError::Parquet { .. })));
    assert!(matches!(read_observations(Path::new("/no/such.csv"), Filter::default()), Err(ArchiveError::Io { .. })));
}

/// Two row groups, three numeric types, nulls, a dictionary of stations.
fn write_parquet(path: &Path, unit: &str, per_second: i64) {
    let schema = format!(
        "message m {{ optional binary station (UTF8); optional int64 time (TIMESTAMP({unit},true)); \
         optional float temperature; optional double relative_humidity; optional int32 visibility; \
         optional float pressure; optional binary pressure_kind (UTF8); optional binary present_weather (UTF8); }}"
    );
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_dictionary_enabled(true).build());
    let mut writer = SerializedFileWriter::new(fs::File::create(path).unwrap(), schema, properties).unwrap();
    for (group, station) in ["A", "B"].into_iter().enumerate() {
        let mut rows = writer.next_row_group().unwrap();
        let start = 1_700_000_000 + 7200 * group as i64;
        let times = [start * per_second, (start + 3600) * per_second + per_second / 2];
        let text = |t: &str| ByteArray::from(t);
        let mut at = 0;
        while let Some(mut column) = rows.next_column().unwrap() {
            match at {
                0 => column.typed::<ByteArrayType>().write_batch(&[text(station), text(station)], Some(&[1, 1]), None),
                1 => column.typed::<Int64Type>().write_batch(&times, Some(&[1, 1]), None),
                2 => column.typed::<FloatType>().write_batch(&[-1.5], Some(&[0, 1]), None),
                3 => column.typed::<DoubleType>().write_batch(&[50.0, 200.0], Some(&[1, 1]), None),
                4 => column.typed::<Int32Type>().write_batch(&[10_000], Some(&[1, 0]), None),
                5 => column.typed::<FloatType>().write_batch(&[990.0, 1010.0], Some(&[1, 1]), None),
                6 => column.typed::<ByteArrayType>().write_batch(&[text("station"), text("msl")], Some(&[1, 1]), None),
                _ => column.typed::<ByteArrayType>().write_batch(&[text("RA")], Some(&[1, 0]), None),
            }
            .unwrap();
            column.close().unwrap();
            at += 1;
        }
        rows.close().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn parquet_with_every_time_unit() {
    for (unit, per_second) in [("MILLIS", 1_000), ("MICROS", 1_000_000), ("NANOS", 1_000_000_000)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        write_parquet(&path, unit, per_second);
        let (found, report) = all(&path);
        assert_eq!((found.len(), report.rows), (4, 4), "{unit}");
        assert_eq!(found[3].time.unix(), 1_700_000_000 + 7200 + 3600);
        assert_eq!(found[3].station.as_str(), "B");
        assert_eq!(found[0].values.get(Variable::Temperature), None);
        assert_eq!(found[1].values.get(Variable::Temperature), Some(-1.5));
        assert_eq!(found[0].values.get(Variable::RelativeHumidity), Some(50.0));
        assert_eq!(found[2].values.get(Variable::Visibility), Some(10_000.0));
        assert_eq!(found[0].values.get(Variable::PressureStation), Some(990.0));
        assert_eq!(found[1].values.get(Variable::PressureMsl), Some(1010.0));
        assert_eq!(report.dropped[Variable::RelativeHumidity as usize], 2, "200 %");
        assert_eq!(found[0].values.get(Variable::PresentWeather), None);
    }
}

#[test]
fn parquet_is_known_by_its_content_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no-such-name");
    write_parquet(&path, "MILLIS", 1_000);
    assert!(!all(&path).0.is_empty());
}

#[test]
fn filters_by_time_and_station() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_parquet(&path, "MILLIS", 1_000);
    let filter = Filter {
        from: Some(Time::from_unix(1_700_000_000 + 3600)),
        to: Some(Time::from_unix(1_700_000_000 + 10_800)),
        stations: Some(["B".to_owned()].into()),
    };
    let mut file = read_observations(&path, filter).unwrap();
    assert_eq!(file.row_count(), Some(4));
    assert_eq!(file.by_ref().count(), 1);
    assert_eq!(file.report().filtered, 3);
}

#[test]
fn station_lists() {
    let (_folder, path) = write(
        "s.csv",
        "station,name,country,latitude,longitude,elevation,timezone\n\
         A,\"Jena, roof\",Germany,50.91,11.571,,Europe/Berlin\nB,,,,,,\n",
    );
    let stations = read_stations(&path).unwrap();
    assert_eq!(stations[0].name, "Jena, roof");
    assert_eq!((stations[0].latitude, stations[0].elevation), (Some(50.91), None));
    assert_eq!((stations[1].name.as_str(), stations[1].position()), ("B", None));
    let (_folder, path) = write("s.csv", "station,latitude,longitude\nA,91,0\n");
    let error = read_stations(&path).unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("latitude"), "{error}");
}

#[test]
fn a_real_table() {
    let data = std::env::var_os("WEATHERGLASS_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let path = data.join("tables/jena_2020.parquet");
    if !path.exists() {
        eprintln!("SKIPPED: a_real_table: no data at {}", path.display());
        return;
    }
    let (found, report) = all(&path);
    assert_eq!(found.len(), 52_695);
    assert_eq!(report.bad, 0);
    assert_eq!(found[0].values.get(Variable::PrecipitationPeriod), Some(600.0));
    assert!(found.is_sorted_by_key(|o| o.time));
    let stations = read_stations(&data.join("tables/jena_2020_stations.csv")).unwrap();
    assert_eq!(stations[0].id, found[0].station);
}
