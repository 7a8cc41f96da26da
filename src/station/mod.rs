//! The assembled program: one station, its threads, its port, and what it tells about itself.
//!
//! `switchboard` binds the port and starts a thread for each clock (see [`stage`](crate::stage)); a net loop drives it in
//! the calling thread until it is asked to stop: [`Chat`] with one other station, [`Intercom`] with those of a house.
//! Nothing in here touches a pixel or a sample: a net loop moves leases between rings and links. Whether what should move
//! does is watched by `vigil`, which `supervision` shows the stages and obeys. [`confine()`] comes before all of it, since it
//! holds for the threads that are started after it.

mod chat;
mod config;
mod confine;
mod darkroom;
mod gauge;
mod halt;
mod intercom;
mod invitation;
mod load;
mod metrics;
mod mqtt;
mod peer;
mod report;
mod resolve;
mod socket;
mod stages;
mod supervision;
mod switchboard;
mod tally;
mod view;
mod vigil;
mod web;

pub use chat::Chat;
pub use config::{ChatConfig, Config, MediaConfig, PortConfig};
pub use confine::confine;
pub use halt::Halt;
pub use intercom::{Intercom, IntercomConfig, PeerSettings};
pub use invitation::{Invited, Page};
pub use mqtt::{Bridge, BridgeConfig, BrokerConfig, TlsConfig};
pub use report::Report;
pub use resolve::resolve;
pub use socket::IpVersion;
pub use view::{Live, View};
pub use web::{HandsetConfig, Handsets, admit_viewer};
