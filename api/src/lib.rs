//! Tails the streams; REST and WebSocket fan-out; serves the dashboard.
