//! The Redis contract: keys, codec, connection, append, group read, commit, tail.
