//! Where the page for phones and laptops is served.

use super::value;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// `[web]`: the page for phones and laptops.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Web {
    /// Address and port, of TCP for the page and of UDP for pictures and sound; `None`: nowhere.
    #[serde(with = "value")]
    pub listen: Option<SocketAddr>,
    /// Names at which browsers reach this machine, beside its own.
    pub hosts: Vec<String>,
}
