//! One way to talk to Redis, whether it is one server or a cluster.

use std::time::Duration;

use bb8_redis::bb8;
use redis::aio::{ConnectionLike, ConnectionManager, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, RedisFuture, Value};

/// How long a command on a shared connection may take.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long connecting may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection. Clones share it.
#[derive(Clone)]
pub(crate) enum Link {
    /// To one server; it reconnects by itself.
    Managed(ConnectionManager),
    /// To one server.
    Plain(MultiplexedConnection),
    /// To every node of a cluster. A command goes to the node that has its key, and a pipeline must
    /// stay within one partition.
    Cluster(ClusterConnection),
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Managed(link) => link.req_packed_command(cmd),
            Self::Plain(link) => link.req_packed_command(cmd),
            Self::Cluster(link) => link.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Managed(link) => link.req_packed_commands(pipeline, offset, count),
            Self::Plain(link) => link.req_packed_commands(pipeline, offset, count),
            Self::Cluster(link) => link.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Managed(link) => link.get_db(),
            Self::Plain(link) => link.get_db(),
            Self::Cluster(link) => link.get_db(),
        }
    }
}

impl Link {
    /// Waits up to `time` for replicas to have what was written on this connection to the node that has
    /// `key`; returns how many have it.
    pub(crate) async fn wait(&mut self, key: &str, replicas: u8, time: Duration) -> Result<u64, RedisError> {
        let mut command = redis::cmd("WAIT");
        command.arg(replicas).arg(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        match self {
            // Without a key of its own it would go to any node.
            Self::Cluster(link) => {
                let node = Route::new(slot(key), SlotAddr::Master);
                let node = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(node));
                redis::from_redis_value(link.route_command(command, node).await?).map_err(Into::into)
            }
            link => command.query_async(link).await,
        }
    }
}

/// The slot of a key, by its hash tag, as the specification of Redis Cluster has it.
fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    crc16::State::<crc16::XMODEM>::calculate(tag.filter(|tag| !tag.is_empty()).unwrap_or(key).as_bytes()) % 16_384
}

/// Who is at the other end.
#[derive(Clone)]
pub(crate) enum Peer {
    /// One server.
    Server(Box<Client>),
    /// A cluster; and the same without retries, for reads that hand out: one that is sent again by the
    /// client would hand out the next entries, and nobody would know of the first.
    Cluster(Box<ClusterClient>, Box<ClusterClient>),
}

impl Peer {
    /// A new connection; without a response timeout where reads are to block.
    pub(crate) async fn connect(&self, response_timeout: Option<Duration>) -> Result<Link, RedisError> {
        match self {
            Self::Server(client) => {
                let settings = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(response_timeout);
                Ok(Link::Plain(client.get_multiplexed_async_connection_with_config(&settings).await?))
            }
            // Nothing blocks in a cluster, so that its client's own timeout is right for every command.
            Self::Cluster(client, reader) => {
                let client = if response_timeout.is_some() { client } else { reader };
                Ok(Link::Cluster(client.get_async_connection().await?))
            }
        }
    }
}

/// bb8-redis's manager, but with our response timeout, and for clusters too: its own timeout is the redis
/// crate's half second, after which a busy Redis has done what was asked and the asker believes that
/// it has not.
pub(crate) struct Patient {
    pub(crate) peer: Peer,
}

impl bb8::ManageConnection for Patient {
    type Connection = Link;
    type Error = RedisError;

    async fn connect(&self) -> Result<Link, RedisError> {
        self.peer.connect(Some(RESPONSE_TIMEOUT)).await
    }

    async fn is_valid(&self, link: &mut Link) -> Result<(), RedisError> {
        match link {
            // It repairs itself, and would ask every node.
            Link::Cluster(_) => Ok(()),
            link => redis::cmd("PING").query_async(link).await,
        }
    }

    fn has_broken(&self, _: &mut Link) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn slots_are_those_of_the_specification() {
        // `redis-cli CLUSTER KEYSLOT`.
        assert_eq!([super::slot("123456789"), super::slot("foo{bar}baz"), super::slot("{}a")], [12739, 5061, 10875]);
    }
}
