//! Publishing by WHIP (RFC 9725): an offer is posted to a media server with a bearer token, and the answer and the session's
//! address come back; deleting that ends it. Everything here waits, and belongs into a thread of its own.

use super::Rtc;
use super::certificate::Fingerprint;
use super::client::{Connection, STEP};
use super::url::Url;
use crate::time::Instant;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What ends a session is waited for at the end of the program, and a service manager waits for that: no longer than this for
/// each step of it.
const LAST_STEP: Duration = Duration::from_secs(1);
/// Redirections that are followed: to the studio, and from there to a machine of it.
const REDIRECTIONS_MAX: usize = 3;
/// Longest file of a token.
const TOKEN_BYTES_MAX: u64 = 8 << 10;
/// Letters of what a server says about a refusal that are worth passing on.
const REASON_LETTERS_MAX: usize = 120;

/// A media server, and how it is sure of us, and we of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its WHIP endpoint.
    pub url: Url,
    /// The file with the bearer token, where one is wanted; it is read anew each time.
    pub token_file: Option<PathBuf>,
    /// Its certificate, where no authority vouches for it.
    pub fingerprint: Option<Fingerprint>,
}

impl Destination {
    /// Begins a session: the connection, and the session's address, where the server gives one. Pictures and sound go out from
    /// the port that is bound to `bound`; `now` is the time when this is called.
    ///
    /// # Errors
    /// In words, whose fault it is, and what to do.
    pub fn publish(&self, now: Instant, bound: SocketAddr) -> Result<(Rtc, Option<Url>), String> {
        let token = self.token()?;
        let mut url = self.url.clone();
        for _ in 0..=REDIRECTIONS_MAX {
            let connection = self.connect(&url, bound, STEP)?;
            let ip = if bound.ip().is_unspecified() { connection.local.ip() } else { bound.ip() };
            let offered = Rtc::offer(now, SocketAddr::new(ip, bound.port()));
            let (mut rtc, offer) = offered.map_err(|error| error.to_string())?;
            let answer = connection.ask("POST", token.as_deref(), &offer)?;
            let place = answer.location.as_deref().and_then(|location| url.join(location));
            match answer.status {
                200 | 201 => {
                    if let Err(why) = rtc.accept(&answer.body) {
                        // It believes that there is a session.
                        place.iter().for_each(|session| self.unpublish(session, bound));
                        return Err(format!("{url}: {why}"));
                    }
                    return Ok((rtc, place));
                }
                // The ones that keep the method (RFC 9110 §15.4). A server that has the token may say who else gets it.
                307 | 308 => {
                    url = place.ok_or_else(|| format!("{url} leads elsewhere, but to no address with https"))?;
                }
                401 | 403 => {
                    return Err(format!("{url} refuses the token ({}): is it right, and still good?", answer.status));
                }
                404 => return Err(format!("{url} is not there (404): is the address right?")),
                status => {
                    let reason: String =
                        answer.body.chars().filter(|c| !c.is_control()).take(REASON_LETTERS_MAX).collect();
                    return Err(format!("{url} answers {status} {reason}"));
                }
            }
        }
        Err(format!("{} leads from one place to the next without end", self.url))
    }

    /// Ends a session. Where that fails the server ends it by itself, since nothing comes any more.
    pub fn unpublish(&self, session: &Url, bound: SocketAddr) {
        let done =
            self.token().and_then(|token| self.connect(session, bound, LAST_STEP)?.ask("DELETE", token.as_deref(), ""));
        match done {
            Ok(answer) => tracing::debug!("{session} is deleted: {}", answer.status),
            Err(why) => tracing::debug!("a session is not deleted: {why}"),
        }
    }

    fn connect(&self, url: &Url, bound: SocketAddr, step: Duration) -> Result<Connection, String> {
        // What is sent from an IPv4 port reaches IPv4 only; the other kind is for both.
        Connection::open(url, self.fingerprint.as_ref(), step, |address| address.is_ipv4() || bound.is_ipv6())
    }

    fn token(&self) -> Result<Option<String>, String> {
        self.token_file.as_deref().map(read_token).transpose()
    }
}

/// A token on the first line of its file.
fn read_token(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(TOKEN_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| format!("{}: the token cannot be read: {error}", path.display()))?;
    let token = text.lines().next().unwrap_or_default().trim();
    // As RFC 6750 §2.1 has it; anything else would end the header.
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then(|| token.to_owned()).ok_or_else(|| format!("{}: the first line is no token", path.display()))
}
