//! Entries of streams as Redis sends them, whatever their fields are called.
//!
//! The redis crate's own replies refuse all that was read when one entry has a field whose name is not
//! UTF-8: anybody's single entry would stop a reader for ever.

use redis::{FromRedisValue, ParsingError, Value};

use crate::codec;
use crate::keys::{FIELD, StreamId};

/// An entry.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) id: StreamId,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Raw {
    /// The bytes of our field. An entry without it is not ours; its bytes are then all of its fields, as a
    /// MessagePack map, so that nothing of it is lost.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self.fields.iter().find(|(name, _)| name == FIELD.as_bytes()) {
            Some((_, bytes)) => bytes.clone(),
            None => {
                let text =
                    |(name, value): &(Vec<u8>, Vec<u8>)| (String::from_utf8_lossy(name).into_owned(), value.clone());
                codec::pack_foreign(self.fields.iter().map(text))
            }
        }
    }
}

/// A list of entries: the answer to XRANGE, XREVRANGE or XCLAIM.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries(pub(crate) Vec<Raw>);

impl FromRedisValue for Entries {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let Value::Array(entries) = value else { return Ok(Self::default()) };
        let mut read = Vec::with_capacity(entries.len());
        for entry in entries {
            // One that was deleted while it was pending is nothing, or has no fields.
            let Value::Array(parts) = entry else { continue };
            let Ok([id, fields]) = <[Value; 2]>::try_from(parts) else { continue };
            let Value::Array(fields) = fields else { continue };
            let id = String::from_redis_value(id)?.parse().map_err(|e| ParsingError::from(format!("{e}")))?;
            let mut fields = fields.into_iter();
            let mut pairs = Vec::with_capacity(fields.len() / 2);
            while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
                pairs.push((Vec::from_redis_value(name)?, Vec::from_redis_value(value)?));
            }
            read.push(Raw { id, fields: pairs });
        }
        Ok(Self(read))
    }
}

/// Entries by the key of their stream: the answer to XREAD or XREADGROUP.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams(pub(crate) Vec<(String, Vec<Raw>)>);

impl FromRedisValue for Streams {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let pairs: Vec<(Value, Value)> = match value {
            Value::Map(pairs) => pairs,
            Value::Array(streams) => {
                let pair = |stream| match stream {
                    Value::Array(parts) => <[Value; 2]>::try_from(parts).ok().map(|[key, entries]| (key, entries)),
                    _ => None,
                };
                streams.into_iter().filter_map(pair).collect()
            }
            _ => Vec::new(),
        };
        let read = |(key, entries)| Ok((String::from_redis_value(key)?, Entries::from_redis_value(entries)?.0));
        pairs.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// The ID of the first entry of a list.
pub(crate) fn first(entries: &Entries) -> Option<StreamId> {
    entries.0.first().map(|entry| entry.id)
}
