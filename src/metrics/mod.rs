//! What a fleet's watcher reads of a station: numbers in Prometheus' text format, and the port that serves them.
//!
//! [`Text`] writes the exposition format 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>). [`Server`]
//! speaks as much HTTP/1.1 as a scraper needs: `GET /metrics`, one answer a connection. It belongs into a thread that
//! nothing else waits for, and waits for nobody itself: clients, what they may send, and their time are bounded.

mod http;
mod server;
mod text;

pub use server::Server;
pub use text::{BOUNDS, Family, Kind, Text};
