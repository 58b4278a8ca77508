use proptest::prelude::*;
use weather::admission::{Reason, check_value};
use weather::{Values, Variable};

use super::*;

fn arrival() -> Time {
    Time::parse("2026-11-23T12:05:00Z").unwrap()
}

#[track_caller]
fn values(text: &str) -> Values {
    let report = Report::parse(text).unwrap();
    assert_eq!(report.unparsed, Vec::<&str>::new(), "{text}");
    report.values()
}

/// Exactly these values to the given digits, and no others.
#[track_caller]
fn assert_values(text: &str, expected: &[(Variable, f32)]) {
    let found = values(text);
    for (variable, value) in expected {
        let actual = found.get(*variable).unwrap_or_else(|| panic!("{text}: no {variable}"));
        assert!((actual - value).abs() < 0.0051, "{text}: {variable} is {actual}, not {value}");
    }
    let names = |values: &mut dyn Iterator<Item = Variable>| {
        let mut names: Vec<&str> = values.map(Variable::name).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&mut found.iter().map(|(v, _)| v)), names(&mut expected.iter().map(|(v, _)| *v)), "{text}");
}

use Variable::{
    CloudCover, DewPoint, Precipitation, PrecipitationPeriod, PresentWeather, PressureMsl, PressureStation,
    Temperature, WindDirection, WindGust, WindSpeed,
};

#[test]
fn the_reference_reports_decode_to_the_digit() {
    let sight = Variable::Visibility;
    assert_values(
        "KFLL 231151Z 02004KT 10SM 23/18 A3008 RMK SLP187 T02280183",
        &[
            (Temperature, 22.8),
            (DewPoint, 18.3),
            (WindDirection, 20.0),
            (WindSpeed, 2.058),
            (sight, 16_093.44),
            (PressureMsl, 1018.7),
        ],
    );
    assert_values(
        "KEWR 231151Z VRB03G19KT 2SM TSRA BR A2987 RMK SLP114 P0013 T02270215",
        &[
            (Temperature, 22.7),
            (DewPoint, 21.5),
            (WindSpeed, 1.543),
            (WindGust, 9.774),
            (sight, 3218.688),
            (PresentWeather, 95.0),
            (PressureMsl, 1011.4),
            (Precipitation, 3.302),
            (PrecipitationPeriod, 3600.0),
        ],
    );
    assert_values(
        "UUEE 231130Z 24007G12MPS CAVOK M05/M11 Q1021",
        &[
            (Temperature, -5.0),
            (DewPoint, -11.0),
            (WindDirection, 240.0),
            (WindSpeed, 7.0),
            (WindGust, 12.0),
            (sight, 10_000.0),
            (PressureMsl, 1021.0),
        ],
    );
    assert_values(
        "KXYZ 231151Z 00000KT 1/4SM FZFG M02/M02 A3002 RMK SLP998 T10221022",
        &[
            (Temperature, -2.2),
            (DewPoint, -2.2),
            (WindSpeed, 0.0),
            (sight, 402.336),
            (PresentWeather, 48.0),
            (PressureMsl, 999.8),
        ],
    );
    for (group, hectopascals) in [("A3008", 1018.63), ("A2987", 1011.52), ("Q1021", 1021.0), ("A3002", 1016.6)] {
        let text = format!("KXYZ 231151Z {group}");
        let setting = Report::parse(&text).unwrap().altimeter_setting().unwrap();
        assert!((setting - hectopascals).abs() < 0.006, "{group}: {setting}");
    }
}

#[test]
fn reports_of_every_region_are_read_in_full() {
    let sight = Variable::Visibility;
    // Russia: millimetres and hectopascals at the aerodrome, states of runways, wind aloft in the remarks.
    assert_values(
        "METAR USSS 231130Z 31004G09MPS 280V350 1200 0600NE R26/P1500U -SHSN BLSN SCT012CB OVC033 M11/M13 Q1018 R26/590238 TEMPO 0600 SHSN RMK QFE744/0993",
        &[
            (Temperature, -11.0),
            (DewPoint, -13.0),
            (WindDirection, 310.0),
            (WindSpeed, 4.0),
            (WindGust, 9.0),
            (sight, 1200.0),
            (CloudCover, 100.0),
            (PresentWeather, 85.0),
            (PressureMsl, 1018.0),
            (PressureStation, 993.0),
        ],
    );
    // China.
    assert_values(
        "METAR ZBAA 231130Z VRB01MPS 3000 HZ NSC 04/M02 Q1030 NOSIG",
        &[
            (Temperature, 4.0),
            (DewPoint, -2.0),
            (WindSpeed, 1.0),
            (sight, 3000.0),
            (CloudCover, 0.0),
            (PresentWeather, 5.0),
            (PressureMsl, 1030.0),
        ],
    );
    // Japan: eighths and the altimeter in the remarks.
    assert_values(
        "METAR RJTT 231130Z 34012KT 9999 FEW030 BKN/// 14/06 Q1019 NOSIG RMK 1CU030 A3011",
        &[
            (Temperature, 14.0),
            (DewPoint, 6.0),
            (WindDirection, 340.0),
            (WindSpeed, 6.173),
            (sight, 10_000.0),
            (CloudCover, 87.5),
            (PressureMsl, 1019.0),
        ],
    );
    // India.
    assert_values(
        "VIDP 231130Z 00000KT 0350 R28/0600V0900U R29L/0400N FG VV001 12/11 Q1017 BECMG 0600",
        &[
            (Temperature, 12.0),
            (DewPoint, 11.0),
            (WindSpeed, 0.0),
            (sight, 350.0),
            (CloudCover, 100.0),
            (PresentWeather, 45.0),
            (PressureMsl, 1017.0),
        ],
    );
    // Australia: rain of ten minutes and since nine.
    assert_values(
        "SPECI YSSY 231137Z AUTO 18022G36KT 9999 // BKN014 OVC022 ////// 17/15 Q1012 RMK RF01.4/012.8",
        &[
            (Temperature, 17.0),
            (DewPoint, 15.0),
            (WindDirection, 180.0),
            (WindSpeed, 11.318),
            (WindGust, 18.52),
            (sight, 10_000.0),
            (CloudCover, 100.0),
            (PressureMsl, 1012.0),
            (Precipitation, 1.4),
            (PrecipitationPeriod, 600.0),
        ],
    );
    // Canada.
    assert_values(
        "METAR CYQB 231200Z CCA 05014G21KT 1 1/2SM -RASN BR OVC006 01/M00 A2971 RMK SF8 PCPN 0.8MM PAST HR SLP065 DENSITY ALT 200FT",
        &[
            (Temperature, 1.0),
            (DewPoint, 0.0),
            (WindDirection, 50.0),
            (WindSpeed, 7.202),
            (WindGust, 10.803),
            (sight, 2414.016),
            (CloudCover, 100.0),
            (PresentWeather, 68.0),
            (PressureMsl, 1006.5),
            (Precipitation, 0.8),
            (PrecipitationPeriod, 3600.0),
        ],
    );
    // South America, Africa, a rig of Norway, a military aerodrome, an instrument that is out.
    for text in [
        "METAR SBGR 231200Z 14008KT 9999 -TSRA SCT020 FEW035CB BKN080 21/19 Q1016 RETSRA",
        "METAR SAEZ 231200Z 02010KT 9999 FEW040 24/15 Q1009 RMK PP///",
        "METAR SCEL 231200Z 00000KT CAVOK 12/08 Q1015 R17L/29D NOSIG",
        "METAR SKBO 231200Z 33003KT 9999 VCSH SCT017 BKN080 14/11 A3032 RMK A3032",
        "METAR MMMX 231144Z 05005KT 7SM SCT020 BKN200 13/08 A3034 RMK SLP133 52012 900 8/5// HZY",
        "METAR HKJK 231130Z 06011KT 9999 SCT024 BKN080 24/15 Q1020 NOSIG",
        "METAR FAOR 231130Z 01014KT CAVOK 28/06 Q1018 NOSIG=",
        "METAR DNMM 231200Z 20007KT 9999 TS SCT013 FEW025CB 30/25 Q1010 TEMPO 4000 TSRA",
        "METAR GOOY 231200Z 35014KT 7000 DU NSC 26/18 Q1013 NOSIG",
        "METAR ENHE 231150Z AUTO 21037KT 9999NDV FEW017/// BKN024/// 09/06 Q0995 W11/S6",
        "METAR EKGC 231120Z AUTO 27021KT //// // ///////// 08/05 Q1001 W///H35",
        "METAR EGVN 231150Z 24012KT 9999 FEW018 BKN040 09/05 Q1004 BLU NOSIG",
        "METAR ETNL 231120Z 26008KT CAVOK 06/02 Q1015 BLU+",
        "METAR LTFM 231150Z 35018KT 9999 FEW030TCU SCT040 10/04 Q1018 WS RWY35L NOSIG",
        "METAR LSZH 231150Z AUTO 22003KT 0200 R14/0275N R16/M0050V0375D FZFG VV/// M01/M01 Q1031 R14/CLRD70 BECMG FG",
        "METAR UKBB 231130Z 32005MPS 9999 -SN BKN015 M03/M05 Q1013 R18L/490251 R88/SNOCLO NOSIG",
        "METAR BIKF 231130Z 10025G37KT 060V130 4000 -RA RADZ FEW005 OVC009 06/06 Q0971 RERA WS ALL RWY",
        "METAR PHTO 231153Z AUTO 25004KT P10SM -SHRA FEW020 20/18 A3001 RMK AO2 SLP164 P0001 T02000183",
        "METAR KDEN 231153Z 19009KT M1/4SM R35L/1000V2400FT FZFG VV002 M05/ A3034 RMK AO2 TSNO SLP//// $",
        "METAR EPKK 231130Z 00000KT 0050 R25/0100N FZFG VV/// XX/XX Q////",
        "METAR OEJN 231200Z 33015KMH 8000 CLR BLO 120 30/20 Q1009 A2980 NOSIG",
        "SPECI LFPG 231147Z 27015G28KT 240V310 3500 1500SW +TSRAGR SQ BKN015CB 12/10 Q1008 RESHRA TEMPO 25030G45KT",
        "METAR NZAA 231130Z AUTO 23012KT 50KM FEW030/// //////CB 17/11 Q1014 NOSIG",
        "METAR WSSS 231130Z VRB02KT 9000 +SHRA VCTS FEW014 SCT018CB BKN160 25/24 Q1010 TEMPO 3000 TSRA",
        "METAR OPKC 231155Z 27006KT 4000 FU NSC 29/14 Q1014/29.95 NOSIG",
    ] {
        let found = values(text);
        assert!(found.len() >= 4 || text.contains("//// //") || text.contains("XX/XX"), "{text}: {found:?}");
    }
}

#[test]
fn missing_is_missing_and_odd_groups_cost_nothing_else() {
    let found = values("METAR ABCD 231130Z AUTO /////KT //// // ////// ///// Q////");
    assert!(found.is_empty());
    let report = Report::parse("METAR ABCD 231130Z 99905KT 4OOO 05/15X 63/03 Q2013 QQQ").unwrap();
    assert_eq!(report.unparsed, ["99905KT", "4OOO", "05/15X", "63/03", "Q2013", "QQQ"]);
    let found = values("METAR ABCD 231130Z ///05KT 09/// Q1013");
    assert_eq!(
        found.iter().collect::<Vec<_>>(),
        [(Temperature, 9.0), (PressureMsl, 1013.0), (WindSpeed, 5.0 * 0.514_444)]
    );
    // A second pressure, tenths that belong elsewhere, what a forecast says.
    let found = values("METAR ABCD 231130Z 18005KT 9999 15/10 Q1011 A2986 TEMPO 3000 BR BKN005 RMK T03050101 SLPNO");
    assert_eq!((found.get(Temperature), found.get(DewPoint)), (Some(15.0), Some(10.1)));
    assert_eq!((found.get(CloudCover), found.get(PressureMsl)), (None, Some(1011.0)));
}

#[test]
fn spaces_too_many_and_too_few_are_forgiven() {
    let miles =
        |text: &str| values(&format!("METAR KAAA 231153Z 18005KT {text} 05/03 A2992")).get(Variable::Visibility);
    for (text, expected) in [
        ("1 1/2SM", 1.5),
        ("1 1/2 SM", 1.5),
        ("1/2 SM", 0.5),
        ("10 SM", 10.0),
        ("11/2SM", 1.5),
        ("3/4SM", 0.75),
        ("P6SM", 6.0),
        ("M1/4SM", 0.25),
        ("2 3/4SM", 2.75),
        ("0SM", 0.0),
    ] {
        assert_eq!(miles(text), Some(expected * 1609.344), "{text}");
    }
    let found = values("METAR FAAA 231130Z 18005KT 8000 FEW020SCT080 28/ 23 Q 1013 NOSIG");
    let expected = [(Temperature, 28.0), (DewPoint, 23.0), (PressureMsl, 1013.0), (CloudCover, 50.0)];
    assert!(expected.iter().all(|(v, value)| found.get(*v) == Some(*value)), "{found:?}");
    // Four figures behind the temperature are no second visibility.
    assert_eq!(Report::parse("METAR FAAA 231130Z 18005KT 8000 28/23 1013 NOSIG").unwrap().unparsed, ["1013"]);
}

#[test]
fn specials_do_not_count_rain_twice_and_high_pressure_is_not_low() {
    let rain = "231110Z 18005KT 5SM RA 15/14 A2990 RMK AO2 P0012";
    assert_eq!(values(&format!("SPECI KEWR {rain}")).get(Precipitation), None);
    assert_eq!(values(&format!("METAR KEWR {rain}")).get(Precipitation), Some(12.0 * 25.4 / 100.0));
    assert_eq!(values(&format!("KEWR {rain}")).get(PrecipitationPeriod), Some(3600.0));
    let high = values("METAR PAFA 231153Z 00000KT 10SM CLR M44/M48 A3113 RMK AO2 SLP552 T14441483");
    assert_eq!((high.get(PressureMsl), high.get(Temperature)), (Some(1055.2), Some(-44.4)));
}

#[test]
fn headers_name_station_time_and_kind() {
    for (text, kind, corrected) in [
        ("METAR COR LOWW 231120Z 00000KT", Some(Kind::Metar), true),
        ("SPECI LOWW 231120Z COR 00000KT", Some(Kind::Speci), true),
        ("LOWW 231120Z AUTO 00000KT", None, false),
        ("METAR CYYZ 231120Z CCB 00000KT", Some(Kind::Metar), true),
    ] {
        let report = Report::parse(text).unwrap();
        assert_eq!((report.kind, report.corrected, report.time), (kind, corrected, (23, 11, 20)), "{text}");
        assert_eq!(report.station, text.split(' ').find(|g| matches!(*g, "LOWW" | "CYYZ")).unwrap());
    }
    let refused = |text: &str| Report::parse(text).and_then(|report| report.observation(arrival())).unwrap_err();
    assert_eq!(refused("").field, "station");
    assert_eq!(refused("METAR").field, "station");
    assert_eq!(refused("hello world").field, "station");
    assert_eq!(refused("METAR LOWW 00000KT").field, "time");
    assert_eq!(refused("METAR LOWW 321120Z 00000KT").field, "time");
    assert_eq!(refused("METAR LOWW 231120Z NIL=").reason, Reason::MissingField);
    assert_eq!(refused("METAR LOWW NIL=").reason, Reason::MissingField);
    assert_eq!(refused("METAR LOWW 231120Z ////").reason, Reason::MissingField);
    assert_eq!(refused("TAF LOWW 231120Z 2312/2418 00000KT").reason, Reason::Unparseable);
    assert_eq!(refused("LOWW 231120Z 2312/2418 00000KT 9999").reason, Reason::Unparseable);
    assert_eq!(refused(&"METAR ".repeat(1000)).reason, Reason::TooLarge);
}

#[test]
fn the_month_is_the_latest_that_fits() {
    let at = |day, hour, minute, arrival| {
        resolve_time((day, hour, minute), Time::parse(arrival).unwrap()).map(|time| time.to_string())
    };
    assert_eq!(at(23, 11, 50, "2026-11-23T12:05:00Z").unwrap(), "2026-11-23T11:50:00Z");
    assert_eq!(at(30, 23, 50, "2026-12-01T00:01:00Z").unwrap(), "2026-11-30T23:50:00Z");
    assert_eq!(at(31, 23, 50, "2027-01-01T00:01:00Z").unwrap(), "2026-12-31T23:50:00Z");
    // A clock a little ahead; over the end of a year too.
    assert_eq!(at(1, 0, 0, "2026-12-31T23:50:00Z").unwrap(), "2027-01-01T00:00:00Z");
    assert_eq!(at(23, 12, 30, "2026-11-23T12:05:00Z").unwrap(), "2026-10-23T12:30:00Z");
    // Days that the month before does not have.
    assert_eq!(at(31, 6, 0, "2026-12-05T00:00:00Z").unwrap(), "2026-10-31T06:00:00Z");
    assert_eq!(at(29, 6, 0, "2024-03-01T00:00:00Z").unwrap(), "2024-02-29T06:00:00Z");
    assert_eq!(at(29, 6, 0, "2026-03-01T00:00:00Z").unwrap(), "2026-01-29T06:00:00Z");
    assert!(at(0, 0, 0, "2026-03-01T00:00:00Z").is_err());
}

#[test]
fn weather_has_its_code() {
    let code = |groups: &str| {
        let groups: Vec<_> = groups.split(' ').map(|g| phenomena::Weather::parse(g).unwrap()).collect();
        phenomena::present(&groups)
    };
    for (groups, expected) in [
        ("-RA BR", 61),
        ("RA", 63),
        ("+RA", 65),
        ("-DZ", 51),
        ("-FZRA", 66),
        ("FZDZ", 57),
        ("-RADZ", 58),
        ("RASN", 69),
        ("-SN", 71),
        ("+SN BLSN", 75),
        ("SG", 77),
        ("PL", 79),
        ("-SHRA", 80),
        ("SHRA", 81),
        ("+SHRA", 81),
        ("-SHSN", 85),
        ("SHGS", 88),
        ("GR", 90),
        ("TS", 17),
        ("TS BCFG", 17),
        ("VCTS", 13),
        ("VCTS -RA", 61),
        ("-TSRA", 95),
        ("+TSRA", 97),
        ("TSRAGR", 96),
        ("+TSRAGR", 99),
        ("FG", 45),
        ("FZFG", 48),
        ("BCFG", 41),
        ("MIFG", 12),
        ("PRFG", 44),
        ("VCFG", 40),
        ("BR", 10),
        ("HZ", 5),
        ("FU", 4),
        ("DU", 6),
        ("BLDU", 7),
        ("SS", 31),
        ("+DS", 34),
        ("DRSN", 36),
        ("BLSN", 38),
        ("VCSH", 16),
        ("SQ", 18),
        ("+FC", 19),
        ("RERA", 21),
        ("REFZDZ", 24),
        ("RETS", 29),
        ("RESHSN", 26),
        ("IC", 76),
        ("TSDU", 98),
        ("-FZUP", 66),
        ("RERERA", 21),
    ] {
        assert_eq!(code(groups), Some(expected), "{groups}");
    }
    assert_eq!(code("UP"), None);
    assert_eq!(code("RE//"), None);
    for other in ["", "R", "RE", "VC", "NOSIG", "XXRA", "RARARARARARARARARA", "Űű"] {
        assert_eq!(phenomena::Weather::parse(other), None, "{other}");
    }
}

#[test]
fn bulletins_are_taken_apart() {
    let bulletin = "\u{1}\r\r\n162 \r\r\nSAEA20 HKNC 231100\r\r\nMETAR HKJK 231100Z 23004KT 9999 SCT027\u{a0}BKN070 17/16 Q1022=\r\r\n\
        METAR HRYR 231100Z 18005KT 9999 SCT026 21/16 Q1021\r\r\n NOSIG=\r\r\nMETAR HUEN 231100Z NIL=\r\r\nHTDA NIL=\r\r\n\
        METAR COR HRYR 231100Z 18005KT 9999 SCT026 22/16 Q1021=\u{3}";
    let found = bulletin::split(bulletin);
    let stations: Vec<&str> = found.iter().map(|(_, text)| &text[text.find('H').unwrap()..][..4]).collect();
    assert_eq!(stations, ["HKJK", "HRYR", "HUEN", "HTDA", "HRYR"]);
    assert!(found.iter().all(|(kind, _)| *kind == Some(Kind::Metar)));
    let items = read(bulletin, arrival());
    let shown: Vec<String> = items
        .iter()
        .map(|item| match item {
            Ok(o) => format!("{} {}", o.station, o.values.get(Temperature).unwrap()),
            Err(rejection) => rejection.reason.label().to_owned(),
        })
        .collect();
    assert_eq!(shown, ["HKJK 17", "HRYR 21", "missing_field", "missing_field", "HRYR 22"]);
}

#[test]
fn a_correction_comes_behind_what_it_corrects() {
    let text = "METAR LOWW 231120Z COR 00000KT 05/04 Q1010=METAR LOWW 231120Z 00000KT 50/04 Q1010=";
    let found: Vec<f32> =
        read(text, arrival()).into_iter().map(|o| o.unwrap().values.get(Temperature).unwrap()).collect();
    assert_eq!(found, [50.0, 5.0]);
}

#[test]
fn lines_heads_and_repeated_stations_part_reports() {
    // The kind once, at the head; no equals signs; a null byte; a time in the remarks.
    let text = "SAUS70 KWBC 231100\r\nMETAR\r\nKSPS 231052Z 10015KT 10SM 25/16 A2967 RMK AO2 LAST 231051Z\r\nKMIA 231053Z\r\n 16032KT\0 1/2SM 23/19 A3003\r\n\u{3}junk";
    let found = bulletin::split(text);
    assert_eq!(found.len(), 2);
    assert!(found[0].1.ends_with("LAST 231051Z") && found[1].1.ends_with("A3003"), "{found:?}");
    let joined = "EGLL 231150Z 09011KT 10/05 Q1016 NOSIG EGLL 231120Z 09012KT 10/05 Q1016 SPECI EGKK 231110Z 00000KT";
    let found = bulletin::split(joined);
    assert_eq!(found.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [None, None, Some(Kind::Speci)]);
    assert!(found[1].1.ends_with("Q1016"));
    assert_eq!(bulletin::split("SMRO01 YRBK 171200\nAAXX 17121\n15108 01/92 92514="), []);
}

const SAMPLE: &str = "METAR KMIA 231153Z COR 16032G45KT 140V190 1 1/2SM R28L/2600V3000FT/U +TSRA BR SCT005 BKN016CB \
    VV004 M03/M09 A3003 Q1016 RESHRA WS R24 W15/S4 BLU TEMPO 3000 RMK AO2 SLP114 P0046 T10281089 QFE744/0993 $";

proptest! {
    /// Whatever arrives, nothing breaks and no value is impossible.
    #[test]
    fn nothing_breaks_the_parser(text in proptest::collection::vec(prop_oneof![9 => 32..127_u8, 1 => Just(b'\n'), 1 => Just(0)], 0..200), bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0..SAMPLE.len(), other in any::<char>(), length in 0..9_usize) {
        let mut mutated: String = SAMPLE.chars().take(at).collect();
        mutated.push(other);
        mutated.extend(SAMPLE.chars().skip(at + length));
        let text = String::from_utf8_lossy(&text);
        for text in [&*text, &String::from_utf8_lossy(&bytes), &mutated, &format!("METAR LOWW 231150Z {text}")] {
            for item in read(text, arrival()) {
                let Ok(observation) = item else { continue };
                prop_assert!(!observation.values.is_empty());
                for (variable, value) in observation.values.iter() {
                    prop_assert!(check_value(variable, value).is_ok(), "{variable} {value} of {text}");
                }
            }
        }
    }

    /// The same with groups of reports in any order.
    #[test]
    fn groups_in_any_order_are_harmless(order in proptest::collection::vec(0..40_usize, 0..60)) {
        let groups: Vec<&str> = SAMPLE.split(' ').collect();
        let text = order.iter().filter_map(|at| groups.get(*at).copied()).collect::<Vec<_>>().join(" ");
        for item in read(&text, arrival()) {
            let Ok(observation) = item else { continue };
            for (variable, value) in observation.values.iter() {
                prop_assert!(check_value(variable, value).is_ok(), "{variable} {value} of {text}");
            }
        }
    }
}

/// How long a report takes; printed, with a bound that only a mistake can break.
#[test]
fn a_report_takes_microseconds() {
    let texts = [
        SAMPLE,
        "METAR UUEE 231130Z 24007G12MPS CAVOK M05/M11 Q1021 NOSIG",
        "KFLL 231151Z 02004KT 10SM FEW020 23/18 A3008 RMK AO2 SLP187 T02280183",
        "METAR EDDF 231120Z AUTO 20008KT 170V240 9999 -SHRA FEW024 BKN049 FEW///TCU 11/10 Q1012 TEMPO SHRA",
    ];
    let begun = std::time::Instant::now();
    let rounds = 2000;
    let mut values = 0;
    for _ in 0..rounds {
        for text in texts {
            values += std::hint::black_box(read(std::hint::black_box(text), arrival())).len();
        }
    }
    let each = begun.elapsed().as_secs_f64() * 1e6 / values as f64;
    println!("{each:.2} µs per report");
    assert!(each < 200.0, "{each} µs per report");
}
