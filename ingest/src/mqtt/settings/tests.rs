use super::*;

const EXAMPLE: &str = include_str!("../../../../docs/mqtt.example.toml");

fn parse(text: &str) -> anyhow::Result<Settings> {
    Settings::parse(text, Path::new("/etc/weatherglass"))
}

/// The message for a file that is this and else good.
fn refused(text: &str) -> String {
    let message = format!("{:#}", parse(text).expect_err(text));
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

#[test]
fn the_example_is_good_and_has_every_dialect() {
    let settings = parse(EXAMPLE).unwrap();
    let broker = &settings.broker;
    assert_eq!((broker.host.as_str(), broker.port, broker.tls), ("broker.example", 8883, true));
    assert_eq!(broker.password_file.as_deref(), Some(Path::new("/etc/weatherglass/mqtt_password")));
    let names: std::collections::BTreeSet<&str> = settings.topics.iter().map(|t| t.dialect.name()).collect();
    assert_eq!(names, Dialect::NAMES.into());
    let Some(Dialect::HomeAssistant(entities)) =
        settings.topics.iter().map(|t| &t.dialect).find(|d| d.name() == "homeassistant")
    else {
        panic!("no statestream")
    };
    assert!(entities.values().any(|e| e.counter) && entities.values().any(|e| e.station.as_str() == "balcony"));
}

#[test]
fn the_example_names_every_setting() {
    // What `finish` would list, and so everything that there is, is explained there.
    for line in ["broker = \"mqtt://h\"\nx = 1\n[[topic]]\nfilter = \"a\"\ndialect = \"json\""].into_iter().chain([]) {
        let known = refused(line);
        for setting in known.split("there are ").nth(1).unwrap().split(", ") {
            assert!(EXAMPLE.contains(setting), "docs/mqtt.example.toml says nothing of {setting}");
        }
    }
    for dialect in Dialect::NAMES {
        let station = if dialect == "homeassistant" { "entities = {a_b = \"temperature\"}\n" } else { "" };
        let known = refused(&entry_of(&format!("dialect = \"{dialect}\"\nstation = \"s\"\n{station}x = 1")));
        for setting in known.split("there are ").nth(1).unwrap().split(", ") {
            assert!(EXAMPLE.contains(setting), "docs/mqtt.example.toml says nothing of {setting}");
        }
    }
}

fn entry_of(fields: &str) -> String {
    format!("broker = \"mqtt://h\"\n[[topic]]\nfilter = \"a/+\"\n{fields}\n")
}

#[test]
fn defaults() {
    let settings = parse(&entry_of("dialect = \"rtl_433\"\nstation = \"{model}-{id}\"\ntime = \"utc\"")).unwrap();
    let broker = settings.broker;
    assert_eq!(
        (broker.port, broker.tls, broker.client_id.as_str(), broker.in_flight),
        (1883, false, "weatherglass", 20)
    );
    assert_eq!((broker.keep_alive, settings.topics[0].merge), (Duration::from_secs(30), Duration::from_secs(30)));
    assert_eq!(settings.payload_limit, 262_144);
}

#[test]
fn brokers_by_name_and_by_address() {
    for (url, expected) in [
        ("mqtt://broker.example", Some(("broker.example", 1883, false))),
        ("mqtts://10.0.0.1:9883/", Some(("10.0.0.1", 9883, true))),
        ("mqtt://[::1]:1884", Some(("[::1]", 1884, false))),
        ("mqtt://[::1]", Some(("[::1]", 1883, false))),
        ("mqtt://::1", None),
        ("http://broker.example", None),
        ("mqtt://", None),
        ("mqtt://user:secret@host:1883", None),
        ("mqtt://host:99999", None),
        ("broker.example:1883", None),
    ] {
        let expected = expected.map(|(host, port, tls)| (host.to_owned(), port, tls));
        assert_eq!(address(url), expected, "{url}");
    }
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let topic = "[[topic]]\nfilter = \"a/+\"\ndialect = \"json\"\n";
    let good = "broker = \"mqtt://h\"\n";
    for (text, said) in [
        ("broker = ", "line 1: "),
        (topic, "broker is missing: mqtt://HOST:PORT"),
        (good, "[[topic]]: 0 of them; 1 to 256 are allowed"),
        (&format!("broker = 7\n{topic}"), "broker: must be a string, not a integer"),
        (&format!("{good}keep_alive = 1\n{topic}"), "keep_alive: \"1\" is not allowed: 5 to 3600"),
        (&format!("{good}passwrd_file = \"x\"\n{topic}"), "passwrd_file: there is no such setting here; there are"),
        (&format!("{good}password_file = \"x\"\n{topic}"), "username is missing"),
        (&format!("{good}ca_file = \"x\"\n{topic}"), "has no TLS"),
        (&format!("{good}client_key_file = \"x\"\n{topic}"), "go together"),
        (&format!("{good}topic = 3"), "topic: must be [[topic]] tables, not a integer"),
        (&entry_of("dialect = \"xml\""), "topic 1 (a/+): dialect: \"xml\" is not allowed: json, weewx"),
        (&entry_of("dialect = \"weewx\""), "topic 1 (a/+): station is missing"),
        (
            &entry_of("dialect = \"weewx\"\nstation = \"{2}\""),
            "topic 1 (a/+): station: \"{2}\" is not allowed: {2} stands for nothing: {1}",
        ),
        (
            &entry_of("dialect = \"weewx\"\nstation = \"{1}\"\nunits = \"si\""),
            "units: \"si\" is not allowed: us, metric, metricwx",
        ),
        (
            &entry_of("dialect = \"rtl_433\"\nstation = \"{id}\"\ntime = \"Mars\""),
            "time: \"Mars\" is not allowed: utc, local",
        ),
        (
            &entry_of("dialect = \"rtl_433\"\nstation = \"{id}\"\nmerge = 601"),
            "merge: \"601\" is not allowed: 0 to 600",
        ),
        (&entry_of("dialect = \"json\"\nmerge = 6"), "merge: there is no such setting here"),
        (&entry_of("dialect = \"homeassistant\"\nstation = \"s\""), "entities: \"0\" is not allowed"),
        (&entry_of("dialect = \"homeassistant\"\nentities = {a = \"temperature\"}"), "entities.a: station is missing"),
        (
            &entry_of("dialect = \"homeassistant\"\nstation = \"s\"\nentities = {a = \"warmth\"}"),
            "entities.a: variable: \"warmth\" is not allowed: temperature",
        ),
        (
            &entry_of(
                "dialect = \"homeassistant\"\nstation = \"s\"\nentities = {a = {variable = \"temperature\", unit = \"hPa\"}}",
            ),
            "unit: \"hPa\" is not allowed: °C",
        ),
        (
            &entry_of(
                "dialect = \"homeassistant\"\nstation = \"s\"\nentities = {a = {variable = \"temperature\", counter = true}}",
            ),
            "only precipitation is counted",
        ),
    ] {
        let message = refused(text);
        assert!(message.contains(said), "{text}\n{message}\n{said}");
    }
}

#[test]
fn the_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mqtt.toml");
    assert!(format!("{:#}", Settings::load(&file).unwrap_err()).contains("WEATHERGLASS_MQTT"));
    std::fs::write(&file, "broker = 1").unwrap();
    let message = format!("{:#}", Settings::load(&file).unwrap_err());
    assert!(message.starts_with("WEATHERGLASS_MQTT ") && message.contains("mqtt.toml: "), "{message}");
}
