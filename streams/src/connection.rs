//! Reaching Redis: settings, the pool, the hot connection, and connections of one's own.

use std::path::PathBuf;
use std::time::Duration;

use bb8_redis::bb8;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::{Client, ConnectionInfo, FromRedisValue, IntoConnectionInfo, ToRedisArgs};

use crate::error::Error;
use crate::keys::{DEFAULT_PARTITIONS, Keys, Partition};
use crate::link::{CONNECT_TIMEOUT, Link, Patient, Peer, RESPONSE_TIMEOUT};

/// Times that a command is sent to a cluster whose nodes move or fail. The callers try again, too, and
/// know what they may repeat.
const CLUSTER_RETRIES: u32 = 3;
/// How long sent bytes may stay unacknowledged before the connection counts as dead.
#[cfg(target_os = "linux")]
const VANISHED: Duration = Duration::from_secs(10);
/// How long replicas may take to have what was written.
const REPLICATED: Duration = Duration::from_secs(1);
/// Connections for occasional commands.
const POOL_SIZE: u32 = 8;
/// The same in a cluster, where each is one to every node and shared by all who use it.
const CLUSTER_POOL_SIZE: u32 = 2;

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
    /// redis:// or rediss:// URL, instead of all the above; redis+cluster://HOST:PORT,HOST:PORT names some
    /// nodes of a Redis Cluster.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// Replicas that must have an observation before it counts as accepted; for a cluster, whose primaries
    /// may die. 0 for none.
    #[arg(long, env = "WEATHERGLASS_WAIT_REPLICAS", default_value_t = 0, value_name = "REPLICAS", value_parser = clap::value_parser!(u8).range(0..=5))]
    pub wait_replicas: u8,
    /// What every key begins with.
    #[arg(long, env = "WEATHERGLASS_KEY_PREFIX", default_value = "wg")]
    pub key_prefix: String,
    /// Whose data this is: a Redis that holds another deployment's under the same key prefix is refused.
    #[arg(long, env = "WEATHERGLASS_DEPLOYMENT", default_value = "weatherglass", value_name = "NAME")]
    pub deployment: String,
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
            wait_replicas: 0,
            key_prefix: "wg".to_owned(),
            deployment: "weatherglass".to_owned(),
            partitions: None,
        }
    }
}

impl RedisConfig {
    /// The address as people read it, without secrets.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.redis_url {
            Some(url) => {
                let place = url.rsplit('@').next().unwrap_or_default();
                place.rsplit("://").next().unwrap_or_default().to_owned()
            }
            None => format!("{}:{}", self.redis_host, self.redis_port),
        }
    }

    fn peer(&self) -> Result<Peer, Error> {
        let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
        // A peer that has vanished without a word is noticed in seconds, not in a quarter of an hour.
        #[cfg(target_os = "linux")]
        let tcp = tcp.set_user_timeout(VANISHED);
        if let Some(nodes) = self.cluster_nodes()? {
            let password = self.password()?;
            let client = |retries| {
                let mut client = ClusterClient::builder(nodes.clone())
                    .retries(retries)
                    .connection_timeout(CONNECT_TIMEOUT)
                    .response_timeout(RESPONSE_TIMEOUT)
                    .tcp_settings(tcp.clone());
                if let Some(user) = &self.redis_username {
                    client = client.username(user);
                }
                if let Some(password) = &password {
                    client = client.password(password);
                }
                Ok::<_, Error>(Box::new(client.build()?))
            };
            return Ok(Peer::Cluster(client(CLUSTER_RETRIES)?, client(0)?));
        }
        let info = match &self.redis_url {
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
        Ok(Peer::Server(Box::new(Client::open(info.set_tcp_settings(tcp))?)))
    }

    /// The nodes that a `redis+cluster://` or `rediss+cluster://` URL names; none of another URL.
    fn cluster_nodes(&self) -> Result<Option<Vec<ConnectionInfo>>, Error> {
        let Some((scheme, rest)) = self.redis_url.as_deref().and_then(|url| url.split_once("+cluster://")) else {
            return Ok(None);
        };
        let (secrets, hosts) = rest.rsplit_once('@').map_or((String::new(), rest), |(s, h)| (format!("{s}@"), h));
        let info = |host: &str| {
            let url = format!("{scheme}://{secrets}{host}");
            url.as_str().into_connection_info().map_err(|e| Error::Refused(format!("REDIS_URL: {host}: {e}")))
        };
        hosts.trim_end_matches('/').split(',').map(info).collect::<Result<_, _>>().map(Some)
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
    peer: Peer,
    pool: bb8::Pool<Patient>,
    hot: Link,
    keys: Keys,
    wait_replicas: u8,
    deployment: String,
}

impl Redis {
    /// Connects, settles whose deployment it is and the number of partitions, and opens the pool.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when nobody answers, [`Error::Refused`] when the credentials are wrong or
    /// it is a cluster and was not said to be (or the other way round), [`Error::Partitions`] and
    /// [`Error::Deployment`] when this Redis was set up otherwise.
    pub async fn connect(config: &RedisConfig) -> Result<Self, Error> {
        let peer = config.peer()?;
        let mut hot = match &peer {
            Peer::Server(client) => {
                let settings = ConnectionManagerConfig::new()
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(Some(RESPONSE_TIMEOUT))
                    .set_number_of_retries(1)
                    .set_max_delay(Duration::from_secs(2));
                let mut link =
                    Link::Managed(ConnectionManager::new_with_config(Client::clone(client), settings).await?);
                refuse_cluster_node(&mut link).await?;
                link
            }
            Peer::Cluster(..) => peer.connect(Some(RESPONSE_TIMEOUT)).await.map_err(not_a_cluster)?,
        };
        settle_deployment(&mut hot, &Keys::new(&config.key_prefix, 1), &config.deployment).await?;
        let partitions = settle_partitions(&mut hot, config).await?;
        let size = if matches!(peer, Peer::Cluster(..)) { CLUSTER_POOL_SIZE } else { POOL_SIZE };
        let manager = Patient { peer: peer.clone() };
        let pool = bb8::Pool::builder().max_size(size).connection_timeout(CONNECT_TIMEOUT).build(manager).await?;
        let keys = Keys::new(&config.key_prefix, partitions);
        let (wait_replicas, deployment) = (config.wait_replicas, config.deployment.clone());
        Ok(Self { peer, pool, hot, keys, wait_replicas, deployment })
    }

    /// Tells a Redis that has lost its data whose it is and how many partitions there are. To be called now
    /// and then by those who write: a process that starts next would otherwise settle another number.
    ///
    /// # Errors
    /// [`Error::Partitions`] or [`Error::Deployment`] when Redis has been set up anew otherwise: what this
    /// process would write from now on, nobody would find.
    pub async fn settle_again(&self) -> Result<(), Error> {
        settle_deployment(&mut self.hot(), &self.keys, &self.deployment).await?;
        let configured = self.keys.partitions();
        match settled(&mut self.hot(), &self.keys.partition_count(), configured).await? {
            stored if stored == configured => Ok(()),
            stored => Err(Error::Partitions { stored, configured }),
        }
    }

    /// Whether it is a cluster: then every command goes to one partition, and nothing blocks.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self.peer, Peer::Cluster(..))
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
    pub(crate) fn hot(&self) -> Link {
        self.hot.clone()
    }

    /// A connection of one's own, without a response timeout, for reads that block.
    ///
    /// A blocking read on a shared connection holds up everyone on it, and one with a response
    /// timeout loses the entry that arrives just after it gave up.
    pub(crate) async fn dedicated(&self) -> Result<Link, Error> {
        Ok(self.peer.connect(None).await?)
    }

    /// Waits until as many replicas as were asked for have all that was written to a partition on the
    /// connection that everybody shares.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when they do not have it in time: the observations may be lost with their
    /// primary, and are to be sent again.
    pub(crate) async fn replicated(&self, partition: Partition) -> Result<(), Error> {
        if self.wait_replicas == 0 {
            return Ok(());
        }
        let have = self.hot().wait(&self.keys.obs(partition), self.wait_replicas, REPLICATED).await?;
        if have < u64::from(self.wait_replicas) {
            return Err(Error::Unavailable(format!("{have} of {} replicas have it", self.wait_replicas)));
        }
        Ok(())
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

/// One node of a cluster would refuse nearly every key, one by one.
async fn refuse_cluster_node(link: &mut Link) -> Result<(), Error> {
    let info: redis::RedisResult<String> = redis::cmd("INFO").arg("cluster").query_async(link).await;
    // Who may not ask is told by the first key.
    if info.is_ok_and(|info| info.contains("cluster_enabled:1")) {
        return Err(Error::Refused(
            "this Redis is a node of a cluster: use REDIS_URL=redis+cluster://HOST:PORT".into(),
        ));
    }
    Ok(())
}

fn not_a_cluster(error: redis::RedisError) -> Error {
    if error.to_string().contains("cluster support disabled") {
        return Error::Refused("REDIS_URL: this Redis is not a cluster: use redis:// or rediss://".into());
    }
    error.into()
}

async fn settle_deployment(link: &mut Link, keys: &Keys, deployment: &str) -> Result<(), Error> {
    let stored: String = settled(link, &keys.deployment(), deployment.to_owned()).await?;
    if stored == deployment {
        return Ok(());
    }
    Err(Error::Deployment { stored, configured: deployment.to_owned(), prefix: keys.prefix().to_owned() })
}

async fn settle_partitions(link: &mut Link, config: &RedisConfig) -> Result<u16, Error> {
    let key = Keys::new(&config.key_prefix, 1).partition_count();
    let stored = settled(link, &key, config.partitions.unwrap_or(DEFAULT_PARTITIONS)).await?;
    match config.partitions {
        Some(configured) if configured != stored => Err(Error::Partitions { stored, configured }),
        _ => Ok(stored),
    }
}

/// What Redis holds under a key; one that holds nothing is given `wanted`.
async fn settled<T: FromRedisValue + ToRedisArgs>(link: &mut Link, key: &str, wanted: T) -> Result<T, Error> {
    // Asked first: a Redis that is full or read-only answers what it holds, and refuses to be told.
    if let Some(held) = redis::cmd("GET").arg(key).query_async::<Option<T>>(link).await? {
        return Ok(held);
    }
    let (_, stored): (Option<()>, T) =
        redis::pipe().cmd("SET").arg(key).arg(wanted).arg("NX").cmd("GET").arg(key).query_async(link).await?;
    Ok(stored)
}
