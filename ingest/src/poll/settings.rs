//! Reading the settings of sources.

use reqwest::Url;
use weather::StationId;

/// Identifiers with commas between, in capitals and once each; none when there are none.
///
/// # Errors
/// The first that `is_right` does not like, or the one after `most`.
pub(crate) fn station_list(text: &str, most: usize, is_right: impl Fn(&str) -> bool) -> Result<Vec<StationId>, String> {
    let mut stations = Vec::new();
    for id in text.split(',').map(str::trim).filter(|id| !id.is_empty()) {
        let id = id.to_ascii_uppercase();
        let station = StationId::new(&id).ok().filter(|_| is_right(&id) && stations.len() < most);
        let station = station.ok_or_else(|| format!("{id:?}"))?;
        if !stations.contains(&station) {
            stations.push(station);
        }
    }
    Ok(stations)
}

/// The address of a web service, to which paths are added.
///
/// # Errors
/// What is allowed.
pub(crate) fn web_address(text: &str) -> Result<Url, String> {
    let allowed = "http://HOST or https://HOST, with a port and a path if need be";
    let url = Url::parse(text.trim()).map_err(|error| format!("{error}: {allowed}"))?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none();
    if is_web { Ok(url) } else { Err(allowed.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_their_faults_named() {
        let list = |text| station_list(text, 3, |id| id.len() == 4);
        let names = |text| list(text).unwrap().iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(" kjfk, KEWR,,KJFK "), ["KJFK", "KEWR"]);
        assert_eq!(names(""), Vec::<String>::new());
        assert_eq!(list("KJFK,K JF").unwrap_err(), "\"K JF\"");
        assert_eq!(list("AAAA,BBBB,CCCC,DDDD").unwrap_err(), "\"DDDD\"");
    }

    #[test]
    fn addresses_are_of_the_web() {
        assert_eq!(web_address("http://127.0.0.1:8080/base/").unwrap().path(), "/base/");
        for bad in ["", "aviationweather.gov", "ftp://x", "http://", "https://x?y=1"] {
            assert!(web_address(bad).is_err(), "{bad}");
        }
    }
}
