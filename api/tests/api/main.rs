//! The api against a real redis-server, with real HTTP and WebSocket clients.

// clippy.toml excuses test functions, not what they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;
mod live;
mod outage;
mod rest;
mod web;
