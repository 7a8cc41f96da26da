//! Where the page for phones and laptops is served, and which media servers are published to.

use super::name::Name;
use super::value::{self, Value, text_value};
use crate::web::{Destination, Fingerprint, Url};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[web]`: the page for phones and laptops.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Web {
    /// Address and port, of TCP for the page and of UDP for pictures and sound; `None`: nowhere.
    #[serde(with = "value")]
    pub listen: Option<SocketAddr>,
    /// Names at which browsers reach this machine, beside its own.
    pub hosts: Vec<String>,
    /// Media servers that are sent what this station sees and hears.
    pub publish: Vec<Publish>,
}

/// A media server (WHIP, RFC 9725).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// What it is called in the address book.
    pub name: Name,
    /// Its endpoint.
    #[serde(with = "value")]
    pub url: Url,
    /// The file whose first line is the bearer token; `None`: it wants none.
    #[serde(default, with = "value")]
    pub token_file: Option<TokenFile>,
    /// The SHA-256 of its certificate; `None`: an authority that this machine knows vouches for it.
    #[serde(default, with = "value")]
    pub fingerprint: Option<Fingerprint>,
}

impl Publish {
    /// By its name: where to publish, and how.
    pub(super) fn destination(&self) -> (String, Destination) {
        let Publish { name, url, token_file, fingerprint } = self.clone();
        (name.to_string(), Destination { url, token_file: token_file.map(|file| file.0), fingerprint })
    }
}

text_value!(Url, "an address such as \"https://media.example.org/whip/door\"");
text_value!(Fingerprint, "the SHA-256 of a certificate, \"AB:CD:…\", or \"none\"", "none");

/// The absolute path of a file with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile(
    /// The path.
    pub PathBuf,
);

impl Value for TokenFile {
    const LIKE: &'static str = "a path such as \"/etc/visavis/media.token\", or \"none\"";
    const UNSET: &'static str = "none";

    fn read(text: &str) -> Result<TokenFile, String> {
        if !text.starts_with('/') || text.contains('\0') {
            return Err(format!("{text:?} is no place of a token: write the path of a file, from / on"));
        }
        Ok(TokenFile(text.into()))
    }

    fn write(&self) -> String {
        self.0.display().to_string()
    }
}
