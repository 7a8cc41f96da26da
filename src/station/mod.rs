//! The assembled program: one station, its threads, its port, and what it tells about itself.
//!
//! [`Station::start`] binds the port and starts a thread for each clock (see [`stage`](crate::stage));
//! [`Station::run`] is the net loop, in the calling thread, until it is asked to stop. Nothing in here touches a pixel
//! or a sample: the net loop moves leases between rings and the link.

mod config;
mod net;
mod peer;
mod report;
mod resolve;
mod socket;
mod stages;
mod view;

pub use config::{Config, MediaConfig};
pub use net::Station;
pub use report::Report;
pub use resolve::resolve;
pub use socket::IpVersion;
pub use view::{Live, View};
