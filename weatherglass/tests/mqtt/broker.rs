//! A Mosquitto of one's own: its configuration, its data, its password and its certificates in a folder that is thrown away.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::stack::{PATIENCE, free_port};

/// Debian keeps the broker where users don't look.
const PLACES: [&str; 3] = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "mosquitto"];

pub(crate) struct Broker {
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    child: Option<Child>,
    secure: bool,
}

impl Broker {
    /// One that anybody may use.
    pub(crate) fn start() -> Self {
        Self::with(false)
    }

    /// One with TLS, that asks for a certificate, a user `weatherglass` and its password `correct horse`.
    pub(crate) fn secure() -> Self {
        Self::with(true)
    }

    fn with(secure: bool) -> Self {
        let mut broker = Self { port: free_port(), folder: tempfile::tempdir().unwrap(), child: None, secure };
        let at = |name: &str| broker.path(name).display().to_string();
        let mut config = format!("listener {} 127.0.0.1\n", broker.port);
        config += &format!("persistence true\npersistence_location {}/\n", broker.folder.path().display());
        // Not as the user `mosquitto`, whose the folder is not.
        config += &format!("log_dest file {}\nmax_queued_messages 100000\nuser root\n", at("log"));
        if secure {
            certificates(broker.folder.path());
            config +=
                &format!("cafile {}\ncertfile {}\nkeyfile {}\n", at("ca.pem"), at("broker.pem"), at("broker-key.pem"));
            config += &format!("require_certificate true\nallow_anonymous false\npassword_file {}\n", at("passwords"));
            let mut passwords = Command::new("mosquitto_passwd");
            passwords.args(["-b", "-c"]).arg(broker.path("passwords")).args(["weatherglass", "correct horse"]);
            assert!(passwords.status().expect("mosquitto_passwd is not installed: make setup-browser").success());
        } else {
            config += "allow_anonymous true\n";
        }
        fs::write(broker.path("mosquitto.conf"), config).unwrap();
        broker.restart();
        broker
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn restart(&mut self) {
        let place = PLACES.iter().find(|place| !place.starts_with('/') || Path::new(place).exists()).unwrap();
        let mut command = Command::new(place);
        command
            .arg("-c")
            .arg(self.path("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(command.spawn().expect("mosquitto is not installed: make setup-browser"));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "mosquitto does not answer: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM: it writes what it has.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        assert!(child.wait().unwrap().success(), "mosquitto did not stop cleanly");
    }

    /// Who can publish to it, also from another thread.
    pub(crate) fn publisher(&self) -> Publisher {
        let mut arguments: Vec<String> = ["-h", "localhost", "-p"].map(str::to_owned).into();
        arguments.push(self.port.to_string());
        if self.secure {
            for (flag, file) in [("--cafile", "ca.pem"), ("--cert", "client.pem"), ("--key", "client-key.pem")] {
                arguments.extend([flag.to_owned(), self.path(file).display().to_string()]);
            }
            arguments.extend(["-u", "weatherglass", "-P", "correct horse"].map(str::to_owned));
        }
        Publisher(arguments)
    }

    /// A file for ingest with these lines about the broker and these entries.
    pub(crate) fn settings(&self, lines: &str, topics: &str) -> PathBuf {
        let scheme = if self.secure { "mqtts" } else { "mqtt" };
        let file = self.path("mqtt.toml");
        fs::write(&file, format!("broker = \"{scheme}://localhost:{}\"\n{lines}\n{topics}", self.port)).unwrap();
        file
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `mosquitto_pub` with the broker's address.
#[derive(Clone)]
pub(crate) struct Publisher(Vec<String>);

impl Publisher {
    /// Publishes a message a line, QoS 1, and waits for their acknowledgement. False if not all of them got it.
    pub(crate) fn try_lines(&self, topic: &str, lines: &[String]) -> bool {
        let mut command = Command::new("mosquitto_pub");
        command.args(&self.0).args(["-q", "1", "-t", topic, "-l"]);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("mosquitto_pub is not installed: make setup-browser");
        let written = child.stdin.take().unwrap().write_all((lines.join("\n") + "\n").as_bytes());
        child.wait().unwrap().success() && written.is_ok()
    }

    pub(crate) fn lines(&self, topic: &str, lines: &[String]) {
        assert!(self.try_lines(topic, lines), "{topic}: not published");
    }

    pub(crate) fn one(&self, topic: &str, payload: &str) {
        self.lines(topic, &[payload.to_owned()]);
    }

    pub(crate) fn retained(&self, topic: &str, payload: &str) {
        let mut command = Command::new("mosquitto_pub");
        command.args(&self.0).args(["-q", "1", "-r", "-t", topic, "-m", payload]);
        assert!(command.status().unwrap().success());
    }

    pub(crate) fn file(&self, topic: &str, file: &Path) {
        let mut command = Command::new("mosquitto_pub");
        command.args(&self.0).args(["-q", "1", "-t", topic, "-f"]).arg(file);
        assert!(command.status().unwrap().success());
    }
}

/// A throw-away authority, and what it vouches for: the broker, the client; and one that vouches for nobody.
fn certificates(folder: &Path) {
    let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
    // A certificate whose name is that of who vouches for it would pass for one that vouches for itself.
    let named = |name: &str| {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let authority = |name: &str| {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), Issuer::new(params, key))
    };
    let (ca, issuer) = authority("authority");
    write("ca.pem", ca);
    write("stranger.pem", authority("stranger").0);
    for (name, host) in [("broker", "localhost"), ("client", "weatherglass")] {
        let key = KeyPair::generate().unwrap();
        let certificate = named(host).signed_by(&key, &issuer).unwrap();
        write(&format!("{name}.pem"), certificate.pem());
        write(&format!("{name}-key.pem"), key.serialize_pem());
    }
}
