//! The api against a real redis-server, with real HTTP and WebSocket clients.

mod harness;
mod live;
mod outage;
mod rest;
mod web;
