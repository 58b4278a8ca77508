//! The wire layout, read by another language's MessagePack.

use std::io::Write;
use std::process::{Command, Stdio};

use streams::codec::encode_forecast;
use streams::{Entry, Received};
use weather::forecast::Inputs;
use weather::{
    Distribution, Flags, Forecast, LEADS, ModelId, Observation, Prediction, Quantity, StationId, Time, Variable,
};

const READER: &str = r#"
import struct, sys, msgpack
entries = msgpack.Unpacker(sys.stdin.buffer, raw=False)
e = next(entries)
assert e["v"] == [1, 1] and e["received"] == 7, e
assert e["flags"] == [1, 0], e
o = e["observation"]
assert o["station"] == "X1" and o["time"] == 1790000000 and abs(o["temperature"] - 12.3) < 1e-6, o
f = next(entries)
assert f["v"] == [1, 1] and f["station"] == "X1" and f["cause"] == "5-1" and f["revision"] == 2, f
t = f["variables"]["temperature"]
levels = struct.unpack("<%dh" % (7 * 48), t["data"])
assert t["steps"] == 100.0 and levels[3 * 48 + 10] / t["steps"] == 3.1, t
print("read by msgpack", msgpack.version)
"#;

/// The first Python that has the module: a version manager's often stands before the system's.
fn interpreter() -> Option<&'static str> {
    let has_module = |python: &&str| {
        let found = Command::new(python).args(["-c", "import msgpack"]).stderr(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    };
    ["python3", "/usr/bin/python3"].into_iter().find(has_module)
}

fn python(interpreter: &str, program: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn python_reads_what_we_write() {
    let Some(interpreter) = interpreter() else {
        eprintln!("SKIPPED: no python3 with the msgpack module (Debian: python3-msgpack)");
        return;
    };
    let station = StationId::new("X1").unwrap();
    let observation = Observation {
        station: station.clone(),
        time: Time::from_unix(1_790_000_000),
        values: [(Variable::Temperature, 12.3)].into_iter().collect(),
        source: None,
    };
    let mut flags = Flags::default();
    flags.mark(weather::quality::Test::Range, Variable::Temperature, weather::quality::Flag::Suspect);
    let entry = Entry::Observation(Received { observation, flags, received: 7 }).encode();
    let rows = Box::new(std::array::from_fn(|l| [l as f32 + 0.1; LEADS]));
    let mut prediction = Prediction::default();
    prediction.distributions[0] = Distribution::new(Quantity::Temperature, rows);
    let forecast = encode_forecast(&Forecast {
        station,
        reference_time: Time::from_unix(0),
        issue_time: Time::from_unix(1),
        expires: Time::from_unix(2),
        model: ModelId { name: "m".into(), version: "1".into() },
        inputs: Inputs { age_seconds: 1, missing_share: 0.0, masked_share: 0.0 },
        cause: "5-1".into(),
        revision: 2,
        prediction,
    });
    let mut reader = python(interpreter, READER).spawn().unwrap();
    reader.stdin.take().unwrap().write_all(&[entry, forecast].concat()).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
