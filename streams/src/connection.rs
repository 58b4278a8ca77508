//! Reaching Redis: settings, the pool, the hot connection, and connections of one's own.

use std::path::PathBuf;
use std::time::Duration;

use bb8_redis::{RedisConnectionManager, bb8};
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError};

use crate::error::Error;
use crate::keys::{DEFAULT_PARTITIONS, Keys};

/// How long a command on a shared connection may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long sent bytes may stay unacknowledged before the connection counts as dead.
#[cfg(target_os = "linux")]
const VANISHED: Duration = Duration::from_secs(10);
/// Connections for occasional commands.
const POOL_SIZE: u32 = 8;

/// Where Redis is. Every setting is a flag and an environment variable.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Redis")]
pub struct RedisConfig {
    /// Host name or address.
    #[arg(long, env = "REDIS_HOST", default_value = "127.0.0.1")]
    pub redis_host: String,
    /// TCP port.
    #[arg(long, env = "REDIS_PORT", default_value_t = 6381)]
    pub redis_port: u16,
    /// Database number.
    #[arg(long, env = "REDIS_DB", default_value_t = 0)]
    pub redis_db: i64,
    /// ACL user name.
    #[arg(long, env = "REDIS_USERNAME")]
    pub redis_username: Option<String>,
    /// Password; prefer the file.
    #[arg(long, env = "REDIS_PASSWORD", hide_env_values = true)]
    pub redis_password: Option<String>,
    /// File that holds the password.
    #[arg(long, env = "REDIS_PASSWORD_FILE")]
    pub redis_password_file: Option<PathBuf>,
    /// redis:// or rediss:// URL, instead of all the above.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// What every key begins with.
    #[arg(long, env = "WEATHERGLASS_KEY_PREFIX", default_value = "wg")]
    pub key_prefix: String,
    /// Number of partitions of a Redis that holds none yet; otherwise it must be what Redis holds.
    #[arg(long, env = "WEATHERGLASS_PARTITIONS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub partitions: Option<u16>,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            redis_host: "127.0.0.1".to_owned(),
            redis_port: 6381,
            redis_db: 0,
            redis_username: None,
            redis_password: None,
            redis_password_file: None,
            redis_url: None,
            key_prefix: "wg".to_owned(),
            partitions: None,
        }
    }
}

impl RedisConfig {
    /// The address as people read it, without secrets.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.redis_url {
            Some(url) => url.rsplit('@').next().unwrap_or_default().trim_start_matches("redis://").to_owned(),
            None => format!("{}:{}", self.redis_host, self.redis_port),
        }
    }

    fn client(&self) -> Result<Client, Error> {
        let info = match &self.redis_url {
            Some(url) if url.starts_with("redis+cluster://") => {
                return Err(Error::Refused(
                    "REDIS_URL: redis+cluster:// is not supported yet, use redis:// or rediss://".into(),
                ));
            }
            Some(url) => url.as_str().into_connection_info().map_err(|e| Error::Refused(format!("REDIS_URL: {e}")))?,
            None => {
                let address = (self.redis_host.as_str(), self.redis_port).into_connection_info()?;
                let mut settings = redis::RedisConnectionInfo::default().set_db(self.redis_db);
                if let Some(user) = &self.redis_username {
                    settings = settings.set_username(user);
                }
                if let Some(password) = self.password()? {
                    settings = settings.set_password(password);
                }
                address.set_redis_settings(settings)
            }
        };
        let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
        // A peer that has vanished without a word is noticed in seconds, not in a quarter of an hour.
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(VANISHED);
        Ok(Client::open(info.set_tcp_settings(tcp))?)
    }

    fn password(&self) -> Result<Option<String>, Error> {
        let Some(file) = &self.redis_password_file else { return Ok(self.redis_password.clone()) };
        let text = std::fs::read_to_string(file)
            .map_err(|e| Error::Refused(format!("REDIS_PASSWORD_FILE {}: {e}", file.display())))?;
        Ok(Some(text.trim_end().to_owned()))
    }
}

/// A Redis that holds, or has just been given, a Weatherglass deployment.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    pool: bb8::Pool<Patient>,
    hot: ConnectionManager,
    keys: Keys,
    prefix: String,
}

impl Redis {
    /// Connects, settles the number of partitions, and opens the pool.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when nobody answers, [`Error::Refused`] when the credentials are
    /// wrong, [`Error::Partitions`] when this Redis was set up with another number.
    pub async fn connect(config: &RedisConfig) -> Result<Self, Error> {
        let client = config.client()?;
        let settings = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_secs(2));
        let mut hot = ConnectionManager::new_with_config(client.clone(), settings).await?;
        let partitions = settle_partitions(&mut hot, config).await?;
        let inner = RedisConnectionManager::new(client.get_connection_info().clone())?;
        let manager = Patient { inner, client: client.clone() };
        let pool = bb8::Pool::builder().max_size(POOL_SIZE).connection_timeout(CONNECT_TIMEOUT).build(manager).await?;
        let keys = Keys::new(&config.key_prefix, partitions);
        Ok(Self { client, pool, hot, keys, prefix: config.key_prefix.clone() })
    }

    /// Tells a Redis that has lost its data how many partitions there are. To be called now and then
    /// by those who write: a process that starts next would otherwise settle another number.
    ///
    /// # Errors
    /// [`Error::Partitions`] when Redis has been set up anew with another number: what this process
    /// would write from now on, nobody would find.
    pub async fn settle_again(&self) -> Result<(), Error> {
        let configured = self.keys.partitions();
        match stored_partitions(&mut self.hot(), &self.prefix, configured).await? {
            stored if stored == configured => Ok(()),
            stored => Err(Error::Partitions { stored, configured }),
        }
    }

    /// The names of its keys.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A connection for an occasional command.
    pub(crate) async fn pooled(&self) -> Result<bb8::PooledConnection<'_, Patient>, Error> {
        self.pool.get().await.map_err(|error| match error {
            bb8::RunError::User(error) => error.into(),
            bb8::RunError::TimedOut => Error::Unavailable("no connection within 3 s".into()),
        })
    }

    /// The connection that everybody's short commands are pipelined on. It reconnects by itself.
    pub(crate) fn hot(&self) -> ConnectionManager {
        self.hot.clone()
    }

    /// A connection of one's own, without a response timeout, for reads that block.
    ///
    /// A blocking read on a shared connection holds up everyone on it, and one with a response
    /// timeout loses the entry that arrives just after it gave up.
    pub(crate) async fn dedicated(&self) -> Result<MultiplexedConnection, Error> {
        let settings =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT)).set_response_timeout(None);
        Ok(self.client.get_multiplexed_async_connection_with_config(&settings).await?)
    }

    /// One round trip on the connection that appends and commits use: a reference for benchmarks.
    ///
    /// # Errors
    /// When Redis can't be reached.
    pub async fn round_trip(&self) -> Result<std::time::Duration, Error> {
        let mut connection = self.hot();
        let begun = std::time::Instant::now();
        redis::cmd("PING").query_async::<()>(&mut connection).await?;
        Ok(begun.elapsed())
    }

    /// Whether Redis answers now.
    ///
    /// # Errors
    /// Whatever stands in the way.
    pub async fn ping(&self) -> Result<(), Error> {
        let mut connection = self.pooled().await?;
        Ok(redis::cmd("PING").query_async(&mut *connection).await?)
    }
}

/// bb8-redis's manager, but with our response timeout: its own is the redis crate's half second, after
/// which a busy Redis has done what was asked and the asker believes that it has not.
#[derive(Clone, Debug)]
pub(crate) struct Patient {
    inner: RedisConnectionManager,
    client: Client,
}

impl bb8::ManageConnection for Patient {
    type Connection = MultiplexedConnection;
    type Error = RedisError;

    async fn connect(&self) -> Result<Self::Connection, Self::Error> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        self.client.get_multiplexed_async_connection_with_config(&settings).await
    }

    async fn is_valid(&self, connection: &mut Self::Connection) -> Result<(), Self::Error> {
        self.inner.is_valid(connection).await
    }

    fn has_broken(&self, connection: &mut Self::Connection) -> bool {
        self.inner.has_broken(connection)
    }
}

async fn settle_partitions(connection: &mut ConnectionManager, config: &RedisConfig) -> Result<u16, Error> {
    let stored =
        stored_partitions(connection, &config.key_prefix, config.partitions.unwrap_or(DEFAULT_PARTITIONS)).await?;
    match config.partitions {
        Some(configured) if configured != stored => Err(Error::Partitions { stored, configured }),
        _ => Ok(stored),
    }
}

/// The number of partitions that Redis holds; one that holds none is given `wanted`.
async fn stored_partitions(connection: &mut ConnectionManager, prefix: &str, wanted: u16) -> Result<u16, Error> {
    let key = Keys::new(prefix, 1).partition_count();
    // Asked first: a Redis that is full or read-only answers what it holds, and refuses to be told.
    let held: Option<u16> = redis::cmd("GET").arg(&key).query_async(connection).await?;
    if let Some(held) = held {
        return Ok(held);
    }
    let (_, stored): (Option<()>, u16) =
        redis::pipe().cmd("SET").arg(&key).arg(wanted).arg("NX").cmd("GET").arg(&key).query_async(connection).await?;
    Ok(stored)
}
