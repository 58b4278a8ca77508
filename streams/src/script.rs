//! Calling a script with thousands of arguments.
//!
//! The redis crate's own way puts every argument into a vector of its own and copies all of them into
//! the command afterwards: for forecasts of 4 kB that was more work than making their bytes.

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, Script, ServerErrorKind, ToRedisArgs};

/// A call that is being put together.
pub(crate) struct Call {
    script: &'static Script,
    command: Cmd,
}

impl Call {
    /// A call with room for so many arguments of so many bytes in all; more may come.
    pub(crate) fn new(script: &'static Script, keys: &[String], arguments: usize, bytes: usize) -> Self {
        let named: usize = keys.iter().map(String::len).sum();
        // The name, the hash, the number of keys.
        let mut command = Cmd::with_capacity(3 + keys.len() + arguments, 64 + named + bytes);
        command.arg("EVALSHA").arg(script.get_hash()).arg(keys.len()).arg(keys);
        Self { script, command }
    }

    /// The next argument.
    pub(crate) fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        self.command.arg(argument);
        self
    }

    /// Runs it; a server that does not know the script is told it.
    pub(crate) async fn run<T: FromRedisValue>(&self, connection: &mut impl ConnectionLike) -> RedisResult<T> {
        match self.command.query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.script.load_async(connection).await?;
                self.command.query_async(connection).await
            }
            answered => answered,
        }
    }
}
