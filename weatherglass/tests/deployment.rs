//! compose.yaml, the Dockerfile, Prometheus and Grafana, held against each other, against the
//! sources, and against what the built program says of itself. No container engine is needed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_norway::Value;

/// Service -> what it publishes. Redis and Prometheus answer on this machine only.
const PUBLISHED: [(&str, &[&str]); 7] = [
    ("redis", &["127.0.0.1:6381:6381"]),
    ("ingest", &["8001:8001"]),
    ("worker", &[]),
    ("api", &["8000:8000"]),
    ("web", &["5173:5173"]),
    ("prometheus", &["127.0.0.1:9090:9090"]),
    ("grafana", &["3000:3000"]),
];
/// Ours, with the setting of the port that its health check asks and the file of its routes.
const SERVICES: [(&str, &str, &str); 3] = [
    ("ingest", "WEATHERGLASS_LISTEN", "ingest/src/http.rs"),
    ("worker", "WEATHERGLASS_METRICS_LISTEN", "weatherglass/src/telemetry.rs"),
    ("api", "WEATHERGLASS_LISTEN", "api/src/rest.rs"),
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn yaml(name: &str) -> Value {
    let mut value: Value = serde_norway::from_str(&read(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    // Twice: what is merged may itself merge something.
    for _ in 0..2 {
        value.apply_merge().unwrap();
    }
    value
}

fn list(value: &Value) -> Vec<&str> {
    value.as_sequence().map(|s| s.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_mapping().map(|m| m.keys().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// Every string anywhere inside.
fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Sequence(items) => items.iter().for_each(|v| strings(v, found)),
        Value::Mapping(map) => map.values().for_each(|v| strings(v, found)),
        _ => {}
    }
}

fn service(name: &str) -> Value {
    let found = yaml("compose.yaml")["services"][name].clone();
    assert!(!found.is_null(), "compose.yaml has no service {name}");
    found
}

fn seconds(text: &str) -> u64 {
    text.strip_suffix('s').and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{text} is not so many seconds"))
}

/// The port of `0.0.0.0:8001` or of `http://127.0.0.1:8001/readyz`.
fn port(address: &str) -> u16 {
    let address = address.trim_start_matches("http://").split('/').next().unwrap();
    address.rsplit(':').next().and_then(|p| p.parse().ok()).unwrap_or_else(|| panic!("no port in {address}"))
}

/// What `weatherglass ... --help` prints, on one line.
fn help(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
    let output = command.args(arguments).arg("--help").env_clear().output().unwrap();
    assert!(output.status.success(), "weatherglass {arguments:?} --help: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A setting as the help shows it.
#[derive(Debug, Default)]
struct Setting {
    flag: String,
    variable: Option<String>,
    default: Option<String>,
}

fn settings(subcommand: &str) -> Vec<Setting> {
    // A block begins where an argument is named; its notes, such as [env: ...], follow.
    let begins = |line: &str| {
        let note = ["[env", "[default", "[possible", "[aliases"].iter().any(|n| line.starts_with(n));
        !note && line.starts_with(['-', '<', '[']) && !line.starts_with("- ")
    };
    let mut blocks: Vec<String> = Vec::new();
    for line in help(&[subcommand]).lines().map(str::trim) {
        if begins(line) {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push_str(line);
            block.push(' ');
        }
    }
    let between = |block: &str, open: &str| {
        let rest = block.split_once(open)?.1;
        Some(rest.split(']').next()?.trim().to_owned())
    };
    let setting = |block: &String| Setting {
        flag: block.split_whitespace().next().unwrap_or_default().to_owned(),
        variable: between(block, "[env: ").map(|v| v.split('=').next().unwrap_or_default().to_owned()),
        default: between(block, "[default: "),
    };
    blocks.iter().filter(|b| b.starts_with("--")).map(setting).collect()
}

/// A stage of the Dockerfile, with what it inherits.
#[derive(Clone, Debug, Default)]
struct Stage {
    user: Option<String>,
    health: Option<String>,
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    exposed: Vec<u16>,
}

fn exec_form(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("not in exec form: {text}: {e}"))
}

fn instructions() -> Vec<(String, String)> {
    let text = read("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.filter_map(|l| l.split_once(' ')).map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).collect()
}

fn stages() -> BTreeMap<String, Stage> {
    let mut stages: BTreeMap<String, Stage> = BTreeMap::new();
    let mut current = String::new();
    for (word, rest) in instructions() {
        if word == "FROM" {
            let (base, name) = rest.split_once(" AS ").unwrap_or_else(|| panic!("a stage without a name: {rest}"));
            current = name.to_owned();
            let inherited = stages.get(base).cloned().unwrap_or_default();
            assert!(stages.contains_key(base) || base.contains(':'), "{base} is neither a stage nor pinned");
            stages.insert(current.clone(), inherited);
            continue;
        }
        if let Some(from) = rest.strip_prefix("--from=").and_then(|r| r.split_whitespace().next()) {
            assert!(stages.contains_key(from), "COPY --from={from}: no such stage before it");
        }
        let stage = stages.get_mut(&current).unwrap();
        match word.as_str() {
            "USER" => stage.user = Some(rest),
            "CMD" => stage.command = exec_form(&rest),
            "HEALTHCHECK" => stage.health = rest.split_once("CMD ").map(|(_, c)| exec_form(c).join(" ")),
            "EXPOSE" => stage.exposed = rest.split_whitespace().map(|p| p.parse().unwrap()).collect(),
            "ENV" => {
                let (name, value) = rest.split_once('=').unwrap();
                stage.environment.insert(name.to_owned(), value.to_owned());
            }
            _ => {}
        }
    }
    stages
}

/// A setting's value in the container: compose, else the image, else the program's default.
fn effective(name: &str, variable: &str) -> String {
    let compose = service(name)["environment"][variable].as_str().map(str::to_owned);
    let image = || stages()[name].environment.get(variable).cloned();
    let default = || settings(name).into_iter().find(|s| s.variable.as_deref() == Some(variable))?.default;
    compose.or_else(image).or_else(default).unwrap_or_else(|| panic!("{name} has no {variable}"))
}

fn is_plain_user(user: &str) -> bool {
    user.split(':').next().is_some_and(|id| id.parse::<u32>().is_ok_and(|id| id > 0))
}

#[test]
fn the_stack_has_its_services_and_publishes_their_ports_only() {
    let compose = yaml("compose.yaml");
    assert_eq!(keys(&compose["services"]), PUBLISHED.iter().map(|(name, _)| *name).collect());
    for (name, ports) in PUBLISHED {
        assert_eq!(list(&service(name)["ports"]), ports, "{name}");
        assert!(service(name)["container_name"].is_null(), "{name}: a fixed name can't be scaled");
        for (on, how) in service(name)["depends_on"].as_mapping().into_iter().flatten() {
            let (on, how) = (on.as_str().unwrap(), how["condition"].as_str().unwrap_or_default());
            assert!(keys(&compose["services"]).contains(on), "{name} waits for {on}");
            assert!(matches!(how, "service_healthy" | "service_started"), "{name} waits for {on}: {how}");
        }
    }
}

#[test]
fn every_container_is_confined_and_has_time_to_stop() {
    let drain = read("ingest/src/http.rs");
    let drain = drain.split_once("DRAIN: Duration = Duration::from_secs(").and_then(|(_, r)| r.split(')').next());
    let drain: u64 = drain.and_then(|d| d.parse().ok()).expect("DRAIN of ingest");
    for (name, _) in PUBLISHED {
        let s = service(name);
        assert_eq!(s["read_only"].as_bool(), Some(true), "{name}: read_only");
        assert_eq!(list(&s["cap_drop"]), ["ALL"], "{name}: cap_drop");
        assert_eq!(list(&s["security_opt"]), ["no-new-privileges:true"], "{name}: security_opt");
        assert!(is_plain_user(s["user"].as_str().unwrap_or_default()), "{name}: user");
        assert_eq!(s["restart"].as_str(), Some("unless-stopped"), "{name}: restart");
        assert!(!s["logging"]["options"]["max-size"].is_null(), "{name}: logs are not bounded");
        assert!(list(&s["healthcheck"]["test"]).len() > 1, "{name}: healthcheck");
        assert!(seconds(s["stop_grace_period"].as_str().unwrap()) > drain, "{name}: stopped while it drains");
        let image = s["image"].as_str().unwrap();
        let pinned = image.split_once(':').is_some_and(|(_, tag)| tag.contains(|c: char| c.is_ascii_digit()));
        assert!(pinned || s["build"]["target"].is_string(), "{name}: {image} is not pinned");
    }
}

#[test]
fn every_image_is_a_target_of_the_dockerfile() {
    let stages = stages();
    for (name, _) in PUBLISHED {
        let Some(target) = service(name)["build"]["target"].as_str().map(str::to_owned) else { continue };
        let stage = stages.get(&target).unwrap_or_else(|| panic!("{name}: the Dockerfile has no target {target}"));
        assert!(stage.user.as_deref().is_some_and(is_plain_user), "{target} runs as root");
        let health = stage.health.as_deref().unwrap_or_else(|| panic!("{target} has no HEALTHCHECK"));
        let compose = service(name);
        assert_eq!(list(&compose["healthcheck"]["test"])[1..].join(" "), health, "{name}: two health checks");
        for published in list(&compose["ports"]) {
            assert!(stage.exposed.contains(&port(published)), "{target} does not expose {published}");
        }
    }
}

#[test]
fn what_the_dockerfile_copies_is_there_and_nothing_is_forgotten() {
    let ignore = read(".dockerignore");
    let mut copied = BTreeSet::new();
    for (_, rest) in instructions().into_iter().filter(|(word, rest)| word == "COPY" && !rest.starts_with("--from")) {
        let words: Vec<&str> = rest.split_whitespace().collect();
        for source in &words[..words.len() - 1] {
            assert!(path(source).exists(), "COPY {source}: not there");
            let first = source.split('/').next().unwrap();
            let let_in = ignore.lines().any(|l| l == format!("!{first}") || l == format!("!{source}"));
            assert!(let_in, ".dockerignore keeps {source} out");
            copied.insert(first.to_owned());
        }
    }
    let workspace: toml::Table = read("Cargo.toml").parse().unwrap();
    for member in workspace["workspace"]["members"].as_array().unwrap() {
        assert!(copied.contains(member.as_str().unwrap()), "the Dockerfile does not copy {member}");
    }
    let build = instructions().into_iter().find(|(_, rest)| rest.starts_with("cargo build")).unwrap().1;
    let profile = build.split_once("--profile ").unwrap().1.split_whitespace().next().unwrap();
    assert!(workspace["profile"].get(profile).is_some(), "no profile {profile}");
}

#[test]
fn every_subcommand_flag_and_variable_exists() {
    let stages = stages();
    for (name, ..) in SERVICES {
        let s = service(name);
        let command = &stages[name].command;
        assert!(s["command"].is_null() && command.len() == 1, "{name}: one subcommand, from the image");
        let known: BTreeSet<String> = settings(&command[0]).into_iter().filter_map(|s| s.variable).collect();
        let named = keys(&s["environment"]).into_iter().chain(stages[name].environment.keys().map(String::as_str));
        for variable in named {
            assert!(known.contains(variable), "{name}: `weatherglass {}` knows no {variable}", command[0]);
        }
        let health = stages[name].health.clone().unwrap();
        let words: Vec<&str> = health.split(' ').collect();
        assert_eq!(words[0], "weatherglass");
        help(&words[1..2]);
    }
    for name in ["redis", "web", "prometheus", "grafana"] {
        for variable in keys(&service(name)["environment"]) {
            assert!(name == "grafana" && variable.starts_with("GF_"), "{name}: {variable}");
        }
    }
}

#[test]
fn health_checks_and_published_ports_are_where_the_service_listens() {
    for (name, variable, routes) in SERVICES {
        let s = service(name);
        let listens = port(&effective(name, variable));
        let check = list(&s["healthcheck"]["test"]).last().unwrap().to_string();
        assert_eq!(port(&check), listens, "{name}: health check");
        let asked = &check[check.rfind('/').unwrap()..];
        assert!(read(routes).contains(&format!("\"{asked}\"")), "{name}: {routes} has no {asked}");
        for published in list(&s["ports"]) {
            assert_eq!(port(published), listens, "{name}: published port");
        }
        assert!(stages()[name].exposed.contains(&port(&effective(name, "WEATHERGLASS_METRICS_LISTEN"))), "{name}");
        assert_eq!((effective(name, "REDIS_HOST").as_str(), effective(name, "REDIS_PORT").as_str()), ("redis", "6381"));
    }
    let nginx = read("deploy/nginx.conf");
    assert!(nginx.contains("listen 5173;") && nginx.contains("location = /healthz"));
    assert!(nginx.contains(&format!("http://api:{};", port(&effective("api", "WEATHERGLASS_LISTEN")))));
    let policy = read("api/src/web.rs").replace("\\\n", "");
    let policy = policy.split_once("CONTENT_SECURITY_POLICY: &str = \"").and_then(|(_, rest)| rest.split('"').next());
    let policy = policy.unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(nginx.contains(&format!("Content-Security-Policy \"{policy}\"")), "nginx allows other than: {policy}");
    let mut redis = Vec::new();
    let compose = service("redis");
    strings(&compose, &mut redis);
    assert_eq!(redis.iter().filter(|s| s.contains("--port 6381") || s.contains("-p 6381")).count(), 2, "redis");
    assert!(redis.iter().any(|s| s.contains("--appendonly yes") && s.contains("--maxmemory-policy noeviction")));
}

#[test]
fn prometheus_scrapes_every_service_on_its_metrics_port() {
    let mut scraped = BTreeSet::new();
    for job in yaml("prometheus/prometheus.yml")["scrape_configs"].as_sequence().unwrap() {
        for target in job["static_configs"].as_sequence().into_iter().flatten().flat_map(|c| list(&c["targets"])) {
            scraped.insert((target.split(':').next().unwrap().to_owned(), port(target)));
        }
        for names in job["dns_sd_configs"].as_sequence().into_iter().flatten() {
            let port = u16::try_from(names["port"].as_u64().unwrap()).unwrap();
            scraped.extend(list(&names["names"]).into_iter().map(|name| (name.to_owned(), port)));
        }
    }
    let ours = SERVICES.map(|(name, ..)| (name.to_owned(), port(&effective(name, "WEATHERGLASS_METRICS_LISTEN"))));
    let itself = ("localhost".to_owned(), 9090);
    assert_eq!(scraped, ours.into_iter().chain([itself]).collect());
    for rules in list(&yaml("prometheus/prometheus.yml")["rule_files"]) {
        let mounted = format!("./prometheus/{rules}:/etc/prometheus/{rules}:ro");
        assert!(list(&service("prometheus")["volumes"]).contains(&mounted.as_str()), "{mounted}");
    }
}

/// Name -> whether it is a histogram, from every metrics.rs of every room.
fn metrics() -> BTreeMap<String, bool> {
    let mut metrics = BTreeMap::new();
    for (name, ..) in SERVICES {
        let mut files = vec![format!("{name}/src/metrics.rs")];
        let folders = fs::read_dir(path(name).join("src")).unwrap().flatten();
        let inner = folders.map(|f| format!("{name}/src/{}/metrics.rs", f.file_name().display()));
        files.extend(inner.filter(|file| path(file).is_file()));
        for text in files.iter().map(|file| read(file)) {
            let declared = text.lines().filter_map(|line| {
                let line = line.strip_prefix("pub const ").or_else(|| line.strip_prefix("pub(crate) const "))?;
                line.split_once(": &str = \"weatherglass_")
            });
            for (constant, rest) in declared {
                let histogram = text.contains(&format!("describe_histogram!({constant},"));
                metrics.insert(format!("weatherglass_{}", rest.trim_end_matches(['"', ';'])), histogram);
            }
        }
    }
    assert!(metrics.len() > 30, "only {} metrics found", metrics.len());
    metrics
}

fn metric_names(text: &str) -> BTreeSet<String> {
    let word = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    text.match_indices("weatherglass_").map(|(at, _)| word(&text[at..])).collect()
}

#[test]
fn every_metric_that_is_drawn_or_watched_is_emitted() {
    let emitted = metrics();
    for name in ["prometheus/rules.yml", "prometheus/rules_test.yml", "grafana/dashboards/weatherglass.json"] {
        let named = metric_names(&read(name));
        assert!(named.len() > 5, "{name}: only {} metrics", named.len());
        for metric in named {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| metric.strip_suffix(suffix));
            let known = match base.and_then(|b| emitted.get(b)) {
                Some(histogram) => *histogram,
                None => emitted.get(&metric) == Some(&false),
            };
            assert!(known, "{name}: nobody emits {metric}");
        }
    }
    let all = read("grafana/dashboards/weatherglass.json");
    for metric in emitted.keys() {
        assert!(all.contains(metric.as_str()), "the dashboard does not show {metric}");
    }
}

#[test]
fn grafana_finds_its_data_source_and_dashboard() {
    let source = &yaml("grafana/provisioning/datasources/prometheus.yml")["datasources"][0];
    assert_eq!(source["url"].as_str(), Some("http://prometheus:9090"));
    let dashboard: serde_json::Value = serde_json::from_str(&read("grafana/dashboards/weatherglass.json")).unwrap();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels have the id {}", panel["id"]);
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{} draws nothing", panel["title"]);
        assert_eq!(panel["datasource"]["uid"].as_str(), source["uid"].as_str(), "{}", panel["title"]);
    }
    let provider = yaml("grafana/provisioning/dashboards/weatherglass.yml")["providers"][0].clone();
    let folder = provider["options"]["path"].as_str().unwrap();
    let mounted = format!("./grafana/dashboards:{folder}:ro");
    assert!(list(&service("grafana")["volumes"]).contains(&mounted.as_str()));
    let home = service("grafana")["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].clone();
    assert_eq!(home.as_str(), Some(format!("{folder}/weatherglass.json").as_str()));
}

#[test]
fn what_is_mounted_exists_and_secrets_are_made_and_used() {
    let compose = yaml("compose.yaml");
    let made = tempfile::tempdir().unwrap();
    let output = Command::new("bash").arg(path("scripts/secrets.sh")).arg(made.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut volumes, mut secrets) = (BTreeSet::new(), BTreeSet::new());
    for (name, _) in PUBLISHED {
        let s = service(name);
        for volume in list(&s["volumes"]) {
            let from = volume.split(':').next().unwrap();
            if from.starts_with("./") {
                assert!(path(from).exists(), "{name}: {from} is not there");
                assert!(volume.ends_with(":ro"), "{name}: {from} can be written");
            } else {
                volumes.insert(from.to_owned());
            }
        }
        let mut texts = Vec::new();
        strings(&s, &mut texts);
        let used = texts.iter().flat_map(|t| t.split("/run/secrets/").skip(1));
        let used: BTreeSet<String> =
            used.map(|t| t.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()).collect();
        assert_eq!(used, list(&s["secrets"]).into_iter().map(str::to_owned).collect(), "{name}: secrets");
        secrets.extend(used);
    }
    assert_eq!(volumes, keys(&compose["volumes"]).into_iter().map(str::to_owned).collect());
    assert_eq!(secrets, keys(&compose["secrets"]).into_iter().map(str::to_owned).collect());
    for secret in secrets {
        let file = compose["secrets"][secret.as_str()]["file"].as_str().unwrap();
        assert!(file.starts_with("./deploy/secrets/"), "{file}");
        let text = fs::read_to_string(made.path().join(file.rsplit('/').next().unwrap()));
        assert!(text.is_ok_and(|t| t.trim().len() >= 32), "`make secrets` does not make {file}");
    }
}

#[test]
fn the_readme_lists_every_setting_with_its_default() {
    let readme = read("README.md");
    let rows: Vec<&str> = readme.lines().filter(|l| l.starts_with("| `--")).collect();
    let mut flags = BTreeSet::new();
    for subcommand in ["demo", "ingest", "worker", "api", "replay", "predict"] {
        for setting in settings(subcommand).into_iter().filter(|s| s.flag != "--help") {
            let cell = format!("| `{}` |", setting.flag);
            let default = setting.default.map(|d| format!("`{d}`")).unwrap_or_default();
            let variable = setting.variable.map(|v| format!("`{v}`")).unwrap_or_default();
            let found = rows.iter().any(|r| r.starts_with(&cell) && r.contains(&variable) && r.contains(&default));
            assert!(found, "README.md: no row of {subcommand}'s `{}` {variable} {default}", setting.flag);
            flags.insert(setting.flag);
        }
    }
    for row in rows {
        let flag = row.trim_start_matches("| `").split('`').next().unwrap();
        assert!(flags.contains(flag), "README.md: there is no {flag}");
    }
}
