//! A redis-server of one's own: the demo's, kept in a folder, and the tests', thrown away.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::connection::RedisConfig;

/// How long redis-server may take to answer; loading a long append-only file takes a while.
const START: Duration = Duration::from_secs(60);
/// How long it may take to write its data and leave.
const STOP: Duration = Duration::from_secs(20);

/// Why there is no redis-server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It is not installed.
    #[error("redis-server is not installed: run `make setup`, or name a running Redis with REDIS_HOST and REDIS_PORT")]
    Missing,
    /// Something else has the port.
    #[error(
        "port {0} is in use: stop what listens there, or, if that is a Redis, use it with REDIS_PORT={0} (the demo: or choose another with --own-redis-port)"
    )]
    PortInUse(u16),
    /// It started and left again.
    #[error("redis-server stopped at once: {0}")]
    Exited(String),
    /// It runs and does not answer.
    #[error("redis-server on port {0} did not answer within 60 s")]
    Silent(u16),
    /// The system said no.
    #[error("redis-server: {0}")]
    System(#[from] std::io::Error),
}

/// A running redis-server, stopped when dropped.
pub struct RedisServer {
    child: Option<Child>,
    /// Somebody else's child, which has lost its parent.
    adopted: bool,
    port: u16,
    dir: PathBuf,
    /// Settings beside those that every server here has.
    settings: Vec<String>,
    // Dropped last: the server writes into it until it has stopped.
    _throw_away: Option<tempfile::TempDir>,
}

impl RedisServer {
    /// Starts one on `port` that keeps an append-only file in `dir`, flushed every second. One that
    /// serves this very folder already, left behind by a process that was killed, is taken over.
    ///
    /// # Errors
    /// [`ServerError`], each a line that names the fix.
    pub fn persistent(port: u16, dir: &Path) -> Result<Self, ServerError> {
        std::fs::create_dir_all(dir)?;
        let dir = dir.canonicalize()?;
        if serves(port, &dir) {
            return Ok(Self { child: None, adopted: true, port, dir, settings: Vec::new(), _throw_away: None });
        }
        Self::start(port, dir, Vec::new(), None)
    }

    /// Starts one on a free port in a folder that is removed afterwards, for a test.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn temporary() -> Result<Self, ServerError> {
        Self::temporary_with(&[])
    }

    /// The same with settings of redis.conf as arguments, such as `["--cluster-enabled", "yes"]`.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn temporary_with(settings: &[&str]) -> Result<Self, ServerError> {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        let mut tries = 5;
        loop {
            let dir = tempfile::tempdir()?;
            tries -= 1;
            // A port that was free a moment ago may be somebody's outgoing connection by now.
            match Self::start(free_port()?, dir.path().to_owned(), settings.clone(), Some(dir)) {
                Err(ServerError::PortInUse(_) | ServerError::Exited(_)) if tries > 0 => {}
                started => return started,
            }
        }
    }

    fn start(
        port: u16,
        dir: PathBuf,
        settings: Vec<String>,
        throw_away: Option<tempfile::TempDir>,
    ) -> Result<Self, ServerError> {
        if TcpListener::bind(("127.0.0.1", port)).is_err() {
            return Err(ServerError::PortInUse(port));
        }
        let mut server = Self { child: None, adopted: false, port, dir, settings, _throw_away: throw_away };
        server.spawn()?;
        Ok(server)
    }

    fn spawn(&mut self) -> Result<(), ServerError> {
        let log = self.dir.join("redis.log");
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
        command.args(["--maxmemory-policy", "noeviction", "--daemonize", "no"]);
        if self._throw_away.is_some() {
            // A file that doubles every few seconds would be rewritten as often, which takes a core
            // from what is tested or measured; one that is kept doubles in hours.
            command.args(["--auto-aof-rewrite-percentage", "0"]);
        }
        command.arg("--dir").arg(&self.dir).arg("--logfile").arg(&log).args(&self.settings);
        // Ctrl-C in a terminal goes to the whole process group; Redis must outlive our draining.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ServerError::Missing,
            _ => ServerError::System(error),
        })?);
        self.wait_until_ready(&log)
    }

    fn wait_until_ready(&mut self, log: &Path) -> Result<(), ServerError> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Some(child) = &mut self.child
                && child.try_wait()?.is_some()
            {
                let text = std::fs::read_to_string(log).unwrap_or_default();
                return Err(ServerError::Exited(text.lines().last().unwrap_or_default().to_owned()));
            }
            if ping(self.port) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(ServerError::Silent(self.port))
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Settings that reach it.
    #[must_use]
    pub fn config(&self) -> RedisConfig {
        RedisConfig { redis_port: self.port, ..RedisConfig::default() }
    }

    /// The ID of its process, while it is our child.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Says one command to it, such as `CONFIG SET maxmemory 0`, for a test.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn say(&self, command: &str) -> std::io::Result<String> {
        let answer = say(self.port, format!("{command}\r\n").as_bytes())?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Kills it without warning, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again on the same port and data after [`RedisServer::kill`] or [`RedisServer::stop`].
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.spawn()
    }

    /// Asks it to write its data and leave, and waits until it has.
    pub fn stop(&mut self) {
        let deadline = Instant::now() + STOP;
        if std::mem::take(&mut self.adopted) {
            let _ = say(self.port, b"SHUTDOWN\r\n");
            while ping(self.port) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let Some(mut child) = self.child.take() else { return };
        let _ = say(self.port, b"SHUTDOWN\r\n");
        while Instant::now() < deadline {
            if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if self._throw_away.is_some() { self.kill() } else { self.stop() }
    }
}

fn free_port() -> Result<u16, std::io::Error> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// One inline command on a plain socket: no runtime is needed to start or stop a server.
fn say(port: u16, command: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::io::{Read, Write};
    let mut socket = std::net::TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.write_all(command)?;
    let mut answer = vec![0; 8192];
    let read = socket.read(&mut answer)?;
    answer.truncate(read);
    Ok(answer)
}

/// Whether a Redis on `port` keeps its data in `dir`.
fn serves(port: u16, dir: &Path) -> bool {
    let answer = say(port, b"CONFIG GET dir\r\n").unwrap_or_default();
    String::from_utf8_lossy(&answer).lines().any(|line| Path::new(line) == dir)
}

fn ping(port: u16) -> bool {
    say(port, b"PING\r\n").is_ok_and(|answer| answer.starts_with(b"+PONG"))
}
