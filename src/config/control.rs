//! The socket that scripts and people speak to a running station through.

use super::value::{self, Value};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[control]`: the socket of `visavis ctl`, `status` and `watch`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// Where it is; `None`: `control` in the unit's runtime directory.
    #[serde(with = "value")]
    pub socket: Option<SocketPath>,
    /// The group that may use it; `None`: the station's own.
    #[serde(with = "value")]
    pub group: Option<GroupName>,
}

/// An absolute path that fits a Unix socket's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPath(
    /// The path.
    pub PathBuf,
);

/// sun_path has 108 bytes, its closing NUL among them (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

impl Value for SocketPath {
    const LIKE: &'static str = "a path such as \"/run/visavis/control\", or \"auto\"";

    fn read(text: &str) -> Result<SocketPath, String> {
        if !text.starts_with('/') || text.len() > SOCKET_PATH_BYTES_MAX || text.contains('\0') {
            return Err(format!(
                "{text:?} is no place for a socket: write a path from / on, of at most {SOCKET_PATH_BYTES_MAX} bytes"
            ));
        }
        Ok(SocketPath(text.into()))
    }

    fn write(&self) -> String {
        self.0.display().to_string()
    }
}

/// The name of a group of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupName(
    /// The name; whether there is such a group is seen when the socket is made.
    pub String,
);

impl Value for GroupName {
    const LIKE: &'static str = "a group of users such as \"visavis\", or \"auto\"";

    fn read(text: &str) -> Result<GroupName, String> {
        // What groupadd(8) takes, and numbers.
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if text.is_empty() || text.len() > 32 || !text.bytes().all(is_name) {
            return Err(format!("{text:?} is no group: write its name, as `getent group` lists it"));
        }
        Ok(GroupName(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}
