//! Requests to a media server: HTTP/1.1 under TLS, one a connection, blocking and bounded in time and size.
//!
//! Whether it is the right server is told by the system's certificate authorities, or, where one is given, by the SHA-256
//! fingerprint of its certificate alone, as for a server of one's own. Before that is known nothing is sent.

use super::certificate::Fingerprint;
use super::url::Url;
use openssl::hash::MessageDigest;
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long connecting to one address, or any one read or write, may take.
pub(super) const STEP: Duration = Duration::from_secs(5);
/// An answer may take so many steps in all: a server that is asked for a session starts a room first.
const ANSWER_STEPS: u32 = 4;
/// Addresses of a name that are tried: of either version of IP, and a second one.
const ADDRESSES_MAX: usize = 4;
/// Longest answer: some 8 kB of SDP, with room.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Headers of an answer.
const HEADERS_MAX: usize = 64;

/// A connection for one request.
pub(super) struct Connection {
    stream: SslStream<TcpStream>,
    url: Url,
    step: Duration,
    /// The address that this machine has on the way there.
    pub local: SocketAddr,
}

/// What a server answers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub body: String,
}

impl Connection {
    /// Connects to an address that `may` be reached, and makes sure of the server; nothing takes longer than `step`.
    ///
    /// # Errors
    /// In words: no such name, nobody there, another one than is trusted.
    pub fn open(
        url: &Url,
        pinned: Option<&Fingerprint>,
        step: Duration,
        may: impl Fn(&SocketAddr) -> bool,
    ) -> Result<Connection, String> {
        let name = url.authority();
        let found = (url.host.as_str(), url.port).to_socket_addrs();
        let found = found.map_err(|error| format!("{name} is not found: {error}"))?;
        let mut problem = format!("{name} has no address that is reached from here");
        for address in found.filter(may).take(ADDRESSES_MAX) {
            match TcpStream::connect_timeout(&address, step) {
                Ok(stream) => return Connection::secure(url, pinned, step, stream),
                Err(error) => problem = format!("{name} is not reached at {address}: {error}"),
            }
        }
        Err(problem)
    }

    fn secure(
        url: &Url,
        pinned: Option<&Fingerprint>,
        step: Duration,
        stream: TcpStream,
    ) -> Result<Connection, String> {
        let name = url.authority();
        let failed = |error: &dyn core::fmt::Display| format!("{name}: {error}");
        stream.set_read_timeout(Some(step)).map_err(|error| failed(&error))?;
        stream.set_write_timeout(Some(step)).map_err(|error| failed(&error))?;
        let local = stream.local_addr().map_err(|error| failed(&error))?;
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(|error| failed(&error))?;
        if pinned.is_some() {
            // The fingerprint is compared instead, as soon as the handshake has shown that the server has the key.
            builder.set_verify(SslVerifyMode::NONE);
        }
        let setup = builder.build().configure().map_err(|error| failed(&error))?;
        let stream = setup.verify_hostname(pinned.is_none()).connect(&url.host, stream);
        let stream = stream.map_err(|error| {
            format!("{name} has no certificate that is trusted here ({error}): give its fingerprint, if it is its own")
        })?;
        let shown = stream.ssl().peer_certificate().and_then(|shown| shown.digest(MessageDigest::sha256()).ok());
        if pinned.is_some_and(|pinned| !shown.is_some_and(|shown| pinned.is(&shown))) {
            return Err(format!("{name} has another certificate than the one whose fingerprint is given"));
        }
        let local = SocketAddr::new(local.ip().to_canonical(), local.port());
        Ok(Connection { stream, url: url.clone(), step, local })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// In words: a connection that ends, an answer that is late, long or none.
    pub fn ask(mut self, method: &str, bearer: Option<&str>, body: &str) -> Result<Answer, String> {
        let (host, path) = (self.url.authority(), &self.url.path);
        let (agent, length) = (concat!("visavis/", env!("CARGO_PKG_VERSION")), body.len());
        let token = bearer.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: close\r\n{token}{kind}\
             Content-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).map_err(|error| format!("{host}: {error}"))?;
        let end = Instant::now() + self.step * ANSWER_STEPS;
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
        loop {
            // One that closes without saying so in TLS has said all, too, if the answer is whole.
            let count = self.stream.read(&mut buffer);
            let is_end = matches!(count, Ok(0) | Err(_));
            bytes.extend_from_slice(&buffer[..count.unwrap_or(0)]);
            if let Some(answer) = parse(&bytes, is_end).ok_or_else(|| format!("{host} answers with what is no HTTP"))? {
                return Ok(answer);
            }
            if is_end || bytes.len() > ANSWER_BYTES_MAX || Instant::now() > end {
                return Err(format!("{host} does not answer in full"));
            }
        }
    }
}

/// The answer that `bytes` are, of which no more come where `is_end`: none where they are no answer, `Some(None)` while it is
/// not whole.
fn parse(bytes: &[u8], is_end: bool) -> Option<Option<Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Some(None),
        Err(_) => return None,
    };
    let header = |name: &str| {
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| core::str::from_utf8(header.value).ok()).map(str::trim)
    };
    let rest = &bytes[head..];
    let status = parsed.code?;
    let body = if header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        unchunked(rest)?
    } else if let Some(length) = header("content-length") {
        rest.get(..length.parse().ok()?).map(<[u8]>::to_vec)
    } else {
        (is_end || status == 204).then(|| rest.to_vec())
    };
    let location = header("location").map(str::to_owned);
    Some(body.map(|body| Answer { status, location, body: String::from_utf8_lossy(&body).into_owned() }))
}

/// A body in chunks (RFC 9112 §7.1): none where it is none, `Some(None)` while it is not whole.
fn unchunked(mut rest: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Ok(status) = httparse::parse_chunk_size(rest) else { return None };
        let httparse::Status::Complete((head, size)) = status else { return Some(None) };
        if size == 0 {
            return Some(Some(body));
        }
        let size = usize::try_from(size).ok().filter(|size| *size <= ANSWER_BYTES_MAX)?;
        let Some(chunk) = rest.get(head..head + size) else { return Some(None) };
        body.extend_from_slice(chunk);
        // Each chunk ends with a line's end.
        let Some(after) = rest.get(head + size + 2..) else { return Some(None) };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    //! Goal: answers are read whole, however they are framed, and nothing panics. Method: texts cut anywhere, random bytes.
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_whole_when_its_framing_says_so_and_not_before() {
        for text in [
            "HTTP/1.1 201 Created\r\nLocation: /s/1\r\nContent-Length: 4\r\n\r\nv=0\n",
            "HTTP/1.1 201 Created\r\nlocation: /s/1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nv=0\r\n1;x=y\r\n\n\r\n0\r\n",
        ] {
            let wanted = Answer { status: 201, location: Some("/s/1".into()), body: "v=0\n".into() };
            assert_eq!(parse(text.as_bytes(), false), Some(Some(wanted)), "{text}");
            for cut in 0..text.len() {
                assert_eq!(parse(&text.as_bytes()[..cut], true), Some(None), "{cut}: {text}");
            }
        }
        let open = b"HTTP/1.1 401 Unauthorized\r\n\r\nno";
        assert_eq!(parse(open, false), Some(None));
        assert_eq!(parse(open, true).unwrap().unwrap().body, "no");
        assert_eq!(parse(b"SSH-2.0-x\r\n", false), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), is_end in any::<bool>()) {
            let _ = parse(&bytes, is_end);
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let _ = parse(&[head, bytes.as_slice()].concat(), is_end);
        }
    }
}
