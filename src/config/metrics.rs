//! Where numbers are served to whoever watches a fleet.

use super::value::{self, Value};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// `[metrics]`: numbers for Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Address and TCP port; `None`: nowhere.
    #[serde(with = "value")]
    pub listen: Option<SocketAddr>,
}

impl Value for SocketAddr {
    const LIKE: &'static str = "an address with a port such as \"127.0.0.1:9187\" or \"[::1]:9187\", or \"none\"";
    const UNSET: &'static str = "none";

    fn read(text: &str) -> Result<SocketAddr, String> {
        let address = text.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
        address.ok_or_else(|| {
            format!("{text:?} is no address with a port: write it as \"127.0.0.1:9187\" or \"[::1]:9187\"")
        })
    }

    fn write(&self) -> String {
        self.to_string()
    }
}
