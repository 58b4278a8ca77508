//! The parser held against recorded reports of the whole world, and against NOAA's decode of them.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::PathBuf;

use weather::Variable;
use weather::admission::check_value;

use super::*;

/// The folder of raw recordings, or nothing, said aloud.
fn raw() -> Option<PathBuf> {
    let data = std::env::var_os("WEATHERGLASS_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let raw = data.join("raw");
    if raw.join("metar_world_2022-10.txt").is_file() {
        return Some(raw);
    }
    eprintln!("SKIPPED: no recorded reports: set WEATHERGLASS_DATA to a folder with raw/metar_*.txt");
    None
}

fn lines(file: &std::path::Path) -> Vec<String> {
    let bytes = std::fs::read(file).unwrap();
    let text = if file.extension().is_some_and(|e| e == "gz") { unzipped(&bytes) } else { bytes };
    text.lines().map(|line| line.unwrap_or_default()).filter(|line| !line.trim().is_empty()).collect()
}

fn unzipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut text).unwrap();
    text
}

/// What of a corpus could be read.
#[derive(Default)]
struct Tally {
    reports: usize,
    nil: usize,
    refused: Vec<String>,
    strange: Vec<String>,
    kinds: BTreeMap<String, usize>,
}

impl Tally {
    fn add(&mut self, line: &str) {
        self.reports += 1;
        let Ok(report) = Report::parse(line) else {
            self.refused.push(line.to_owned());
            return;
        };
        self.nil += usize::from(report.nil);
        if !report.unparsed.is_empty() {
            self.strange.push(format!("{:?} in {line}", report.unparsed));
            for group in &report.unparsed {
                *self.kinds.entry(group.replace(|c: char| c.is_ascii_digit(), "#")).or_default() += 1;
            }
        }
        for (variable, value) in report.values().iter() {
            check_value(variable, value).unwrap_or_else(|e| panic!("{e} in {line}"));
        }
    }

    fn share(&self) -> f64 {
        1.0 - (self.refused.len() + self.strange.len()) as f64 / self.reports as f64
    }

    fn print(&self, name: &str) {
        println!(
            "{name}: {} reports, {} NIL, {} refused, {} with a group that is not known: {:.4} % read in full",
            self.reports,
            self.nil,
            self.refused.len(),
            self.strange.len(),
            100.0 * self.share()
        );
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
        println!("  {:?}", &kinds[..kinds.len().min(150)]);
        for line in self.refused.iter().take(20) {
            println!("  refused: {line}");
        }
        for line in self.strange.iter().take(60) {
            println!("  {line}");
        }
    }
}

#[test]
fn recorded_reports_are_read_in_full() {
    let Some(raw) = raw() else { return };
    for (name, column) in
        [("metar_europe_sample.txt", 0), ("metar_europe_replay.tsv.gz", 3), ("metar_world_2022-10.txt", 0)]
    {
        let mut tally = Tally::default();
        for line in lines(&raw.join(name)).iter().filter(|line| !line.starts_with("received_utc")) {
            tally.add(line.split('\t').nth(column).unwrap());
        }
        tally.print(name);
        assert!(tally.share() >= 0.999, "{name}");
    }
}

#[test]
fn recorded_bulletins_are_taken_apart() {
    let Some(raw) = raw() else { return };
    // How many reports a person finds in each.
    for (name, reports) in [
        ("pyiem_metar_badchars", 3),
        ("pyiem_metar_kawn", 3),
        ("pyiem_metar_kmwn", 1),
        ("pyiem_metar_nullbyte", 1),
        ("pyiem_metar_rtd_bbb", 1),
        ("pyiem_metar_first", 2),
        ("pyiem_metar_sa", 0),
        ("synop2bufr_A_SMRO01YRBK171200_C_EDZW_20230117120502_51362175", 0),
    ] {
        let text = std::fs::read(raw.join("bulletins").join(format!("{name}.txt"))).unwrap();
        let text = String::from_utf8_lossy(&text);
        let found = bulletin::split(&text);
        assert_eq!(found.len(), reports, "{name}: {found:?}");
        for (_, text) in found {
            let report = Report::parse(text).unwrap();
            assert!(report.unparsed.is_empty(), "{:?} in {text}", report.unparsed);
            assert!(!report.values().is_empty(), "{text}");
        }
    }
    // The first has one report without a value, and two that name no station or time.
    for (name, refused, lost) in [("pyiem_metar_collective", 1, 2), ("pyiem_metar_collective2", 0, 0)] {
        let text = std::fs::read_to_string(raw.join("bulletins").join(format!("{name}.txt"))).unwrap();
        let items = read(&text, Time::now());
        assert!(items.len() > 8 && items.iter().filter(|item| item.is_err()).count() == refused, "{name}: {items:?}");
        assert_eq!(items.len() + lost, text.matches('=').count(), "{name}");
    }
}

/// How often two decoders agree on a field.
#[derive(Default)]
struct Agreement(BTreeMap<&'static str, (usize, usize, Vec<String>)>);

impl Agreement {
    /// Compares a field of one report; what both lack is not counted.
    fn compare(&mut self, field: &'static str, ours: Option<f64>, theirs: Option<f64>, tolerance: f64, raw: &str) {
        let same = match (ours, theirs) {
            (Some(a), Some(b)) => (a - b).abs() <= tolerance,
            (None, None) => return,
            _ => false,
        };
        self.count(field, same, || format!("ours {ours:?}, theirs {theirs:?}: {raw}"));
    }

    fn count(&mut self, field: &'static str, same: bool, say: impl FnOnce() -> String) {
        let (agreed, all, differences) = self.0.entry(field).or_default();
        *all += 1;
        *agreed += usize::from(same);
        if !same {
            differences.push(say());
        }
    }

    /// Prints it, and fails where less than `least` agree.
    fn assert(&self, name: &str, least: f64) {
        let mut low = Vec::new();
        for (field, (agreed, all, differences)) in &self.0 {
            let share = *agreed as f64 / *all as f64;
            println!("{name}: {field}: {agreed} of {all} agree ({:.3} %)", 100.0 * share);
            for difference in differences.iter().take(25) {
                println!("    {difference}");
            }
            if share < least {
                low.push(*field);
            }
        }
        assert!(self.0.len() > 5 && low.is_empty(), "{name}: less than {least} of {low:?} agree");
    }
}

/// `FEW2000`, in feet: the layers whose height is known, which are all that other decoders list.
fn sky_of(report: &Report<'_>) -> Vec<String> {
    let feet = |metres: f32| (metres / 30.48).round() as i32 * 100;
    let mut sky: Vec<String> = report
        .layers
        .iter()
        .filter_map(|layer| Some((layer.oktas?, layer.base?)))
        .map(|(oktas, base)| {
            let amount = match oktas {
                2 => "FEW",
                4 => "SCT",
                7 => "BKN",
                _ => "OVC",
            };
            format!("{amount}{}", feet(base))
        })
        .collect();
    if report.obscured {
        sky.insert(0, "OVX".to_owned());
    }
    sky
}

#[test]
fn noaas_decode_agrees() {
    let Some(raw) = raw() else { return };
    let bytes = unzipped(&std::fs::read(raw.join("metar_world_2022-10_decoded_by_noaa.csv.gz")).unwrap());
    let mut table = csv::Reader::from_reader(bytes.as_slice());
    let names = table.headers().unwrap().clone();
    let mut agreement = Agreement::default();
    for row in table.records() {
        let row = row.unwrap();
        let cell = |name: &str| row.get(names.iter().position(|n| n == name).unwrap()).unwrap_or_default();
        let number = |name: &str| cell(name).parse::<f64>().ok();
        let text = cell("raw_text");
        let Ok(report) = Report::parse(text) else { continue };
        if report.nil {
            continue;
        }
        let ours = |value: Option<f32>| value.map(f64::from);
        let wind = report.wind.unwrap_or_default();
        let (temperature, dew_point) = report.air();
        // Theirs gives up the temperature where the dew point is missing (`15///`).
        if report.dew_point.is_some() {
            agreement.compare("temperature", ours(temperature), number("temp_c"), 0.06, text);
        }
        agreement.compare("dew_point", ours(dew_point), number("dewpoint_c"), 0.06, text);
        let knots = |speed: Option<f32>| ours(speed).map(|v| v / 0.514_444);
        agreement.compare("wind_speed", knots(wind.speed), number("wind_speed_kt"), 0.6, text);
        agreement.compare("wind_gust", knots(wind.gust), number("wind_gust_kt"), 0.6, text);
        // Theirs is 0 for a calm and for a variable wind.
        let direction = wind.speed.map(|_| wind.direction.map_or(0.0, f64::from));
        agreement.compare("wind_direction", direction, number("wind_dir_degrees"), 0.1, text);
        let metres = report.values().get(Variable::Visibility);
        let miles = ours(metres).map(|v| v / 1609.344);
        // Theirs does not know `9999NDV`, which Norway and Switzerland send.
        if !text.contains("NDV") {
            agreement.compare("visibility", miles, number("visibility_statute_mi"), 0.02, text);
        }
        let altimeter = ours(report.altimeter_setting()).map(|v| v / 33.8639);
        agreement.compare("altimeter", altimeter, number("altim_in_hg"), 0.012, text);
        let slp = report.remarks.sea_level_pressure(report.altimeter_setting());
        agreement.compare("sea_level_pressure", ours(slp), number("sea_level_pressure_mb"), 0.06, text);
        let covers = ["sky_cover", "sky_cover.1", "sky_cover.2", "sky_cover.3"];
        let theirs: Vec<String> = covers
            .iter()
            .filter(|name| !matches!(cell(name), "" | "CLR" | "SKC" | "NSC" | "NCD" | "CAVOK"))
            .map(|name| match number(&name.replace("sky_cover", "cloud_base_ft_agl")) {
                Some(base) if cell(name) != "OVX" => format!("{}{base:.0}", cell(name)),
                _ => cell(name).to_owned(),
            })
            .collect();
        let sky: Vec<String> = sky_of(&report).into_iter().take(4).collect();
        agreement.count("sky", sky == theirs, || format!("ours {sky:?}, theirs {theirs:?}: {text}"));
        // Theirs takes `-RADZ` apart and orders the groups anew: the codes are compared.
        let weather = report.weather.iter().fold(0, |all, weather| all | weather.codes);
        let string = cell("wx_string");
        let theirs = string
            .split(' ')
            .filter(|group| !group.is_empty())
            .try_fold(0, |all, group| Some(all | phenomena::Weather::parse(group)?.codes));
        agreement.count("weather", Some(weather) == theirs, || format!("theirs {string:?}: {text}"));
    }
    agreement.assert("NOAA", 0.999);
}

#[test]
fn avwx_agrees() {
    let Some(raw) = raw() else { return };
    let mut agreement = Agreement::default();
    for line in lines(&raw.join("metar_taf_peer_tests.jsonl")) {
        let case: serde_json::Value = serde_json::from_str(&line).unwrap();
        let Some(text) = case["raw"].as_str() else { continue };
        let expected = &case["expected"];
        let Ok(report) = Report::parse(text) else {
            println!("not a report: {text}");
            continue;
        };
        if !report.unparsed.is_empty() {
            println!("{:?} in {text}", report.unparsed);
        }
        // Some have no decode beside them, some that of a forecast.
        let Some(clouds) = expected["clouds"].as_array() else { continue };
        let value = |name: &str| expected[name]["value"].as_f64();
        let ours = |value: Option<f32>| value.map(f64::from);
        agreement.compare("temperature", ours(report.temperature), value("temperature"), 0.01, text);
        agreement.compare("dew_point", ours(report.dew_point), value("dewpoint"), 0.01, text);
        let tenths = expected["remarks_info"]["temperature_decimal"]["value"].as_f64();
        // Theirs reads several reports in a row as one.
        if text.matches("RMK").count() == 1 {
            agreement.compare("tenths", ours(report.remarks.temperature), tenths, 0.01, text);
        }
        let altimeter = report.qnh.or(report.altimeter).or(report.remarks.altimeter);
        agreement.compare("altimeter", ours(altimeter), value("altimeter"), 0.001, text);
        let wind = report.wind.unwrap_or_default();
        let unit = if text.contains("MPS") { 1.0 } else { 0.514_444 };
        agreement.compare("wind_speed", ours(wind.speed).map(|v| v / unit), value("wind_speed"), 0.01, text);
        agreement.compare("wind_gust", ours(wind.gust).map(|v| v / unit), value("wind_gust"), 0.01, text);
        agreement.compare("wind_direction", wind.direction.map(f64::from), value("wind_direction"), 0.1, text);
        let slp = ours(report.remarks.sea_level_pressure(report.altimeter_setting()));
        let theirs = expected["remarks_info"]["sea_level_pressure"]["value"].as_f64();
        agreement.compare("sea_level_pressure", slp, theirs, 0.01, text);
        let unit = if expected["visibility"]["repr"].as_str().is_some_and(|r| r.len() < 4) { 1609.344 } else { 1.0 };
        let metres = report.visibility.map(|v| f64::from(v.metres) / unit);
        let theirs = value("visibility").map(|v| if v == 9999.0 { 10_000.0 } else { v });
        agreement.compare("visibility", metres, theirs, 0.01, text);
        let theirs: Vec<String> = clouds
            .iter()
            .map(|cloud| {
                let base = cloud["base"].as_f64().map_or_else(String::new, |base| format!("{:.0}", base * 100.0));
                format!("{}{base}", cloud["type"].as_str().unwrap_or_default())
            })
            .collect();
        let sky = sky_of(&report);
        agreement.count("sky", sky == theirs, || format!("ours {sky:?}, theirs {theirs:?}: {text}"));
    }
    agreement.assert("avwx", 0.999);
}
