//! Addresses of media servers: as much of URLs (RFC 3986) as those need.

use core::fmt;
use core::str::FromStr;

/// An address longer than this is none that anybody types.
const BYTES_MAX: usize = 1_024;

/// A place that is reached by TLS: `https://host:port/path?query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// A name or an address, without brackets.
    pub host: String,
    /// 443 where none is said.
    pub port: u16,
    /// Path and query, from `/` on.
    pub path: String,
}

/// Text that is no such address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlError(String);

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no address of a media server: write it as \"https://media.example.org/whip/door\"", self.0)
    }
}

impl std::error::Error for UrlError {}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Url, UrlError> {
        read(text).ok_or_else(|| UrlError(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Url> {
    let is_plain = text.len() <= BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    // Without TLS the token would go over the network for all to read.
    let rest = text.strip_prefix("https://").filter(|_| is_plain)?;
    let rest = rest.split('#').next()?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':')?)),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(443), |port| port.parse().ok().filter(|port| *port != 0))?;
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    let is_named = !host.is_empty() && host.bytes().all(is_host);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    is_named.then(|| Url { host: host.to_ascii_lowercase(), port, path })
}

impl Url {
    /// Where a `Location` leads that was said here (RFC 3986 §5.2); none where it is no place of this kind.
    pub fn join(&self, location: &str) -> Option<Url> {
        let here = Url { path: String::new(), ..self.clone() };
        let written = match location {
            _ if location.contains("://") => location.to_owned(),
            _ if location.starts_with("//") => format!("https:{location}"),
            _ if location.starts_with('/') => format!("{here}{location}"),
            _ => {
                let path = self.path.split('?').next().unwrap_or_default();
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                format!("{here}{folder}/{location}")
            }
        };
        written.parse().ok()
    }

    /// Host and port, as requests name them.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 443 { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what people and servers write is the place that they mean, and nothing else is one. Method: examples.
    use super::*;

    #[test]
    fn addresses_read_back_as_they_are_written() {
        for text in [
            "https://media.example.org/whip/door",
            "https://192.0.2.7:8889/door/whip?a=b",
            "https://[2001:db8::7]:8443/",
        ] {
            assert_eq!(text.parse::<Url>().unwrap().to_string(), text);
        }
        let bare: Url = "https://Media.Example.org".parse().unwrap();
        assert_eq!((bare.host.as_str(), bare.port, bare.path.as_str()), ("media.example.org", 443, "/"));
        for text in [
            "",
            "media.example.org",
            "http://media.example.org/",
            "https://",
            "https://h:0/",
            "https://h:x/",
            "https://a b/",
            "https://u@h/",
            "https://h/\r\nX: y",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_location_leads_where_it_says_seen_from_where_it_was_said() {
        let here: Url = "https://h:8443/live/whip?x=1".parse().unwrap();
        for (location, wanted) in [
            ("/session/1", "https://h:8443/session/1"),
            ("session/1?y=2", "https://h:8443/live/session/1?y=2"),
            ("//other/1", "https://other/1"),
            ("https://other:444/1", "https://other:444/1"),
        ] {
            assert_eq!(here.join(location).unwrap().to_string(), wanted, "{location}");
        }
        assert_eq!(here.join("http://h/1"), None, "it would take the token out of TLS");
    }
}
