//! As much of HTTP/1.1 (RFC 9112) as a page needs: a request's head and body, and answers.

use std::io::{self, Read};

/// Longest head of a request; browsers' have a kilobyte.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Longest body: an offer of WebRTC with every codec that a browser knows has some 8 kB.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 48;
/// The cookie that a browser proves itself with. Browsers take `__Host-` only from the host itself, and only over TLS.
pub(super) const COOKIE: &str = "__Host-visavis";

/// What a browser asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, or what else it may be.
    pub method: String,
    /// Without what follows a question mark.
    pub path: String,
    /// The host that it believes to talk to, with the port where it is not 443.
    pub host: String,
    /// The origin of the page that asks, where it says so.
    pub origin: Option<String>,
    /// The value of our cookie.
    pub cookie: Option<String>,
    /// The bearer token (RFC 6750) that it shows.
    pub bearer: Option<String>,
    /// The media type of the body, in small letters, without parameters; empty where it is not said.
    pub kind: String,
    /// Empty for `GET`.
    pub body: Vec<u8>,
}

/// Why a request is not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// The other side ended, or took too long.
    Gone,
    /// It is answered with this status, and no more is read.
    Refused(&'static str),
}

impl From<io::Error> for Unread {
    fn from(_: io::Error) -> Unread {
        Unread::Gone
    }
}

/// Reads the next request of a connection; what was read beyond it stays in `kept`.
pub(super) fn read(stream: &mut impl Read, kept: &mut Vec<u8>) -> Result<Request, Unread> {
    let (mut request, length, head) = loop {
        match parse(kept)? {
            Some(parsed) => break parsed,
            None if kept.len() > HEAD_BYTES_MAX => {
                return Err(Unread::Refused("431 Request Header Fields Too Large"));
            }
            None => more(stream, kept)?,
        }
    };
    if length > BODY_BYTES_MAX {
        return Err(Unread::Refused("413 Content Too Large"));
    }
    while kept.len() < head + length {
        more(stream, kept)?;
    }
    request.body = kept[head..head + length].to_vec();
    kept.drain(..head + length);
    Ok(request)
}

fn more(stream: &mut impl Read, kept: &mut Vec<u8>) -> Result<(), Unread> {
    let mut buffer = [0; 4_096];
    match stream.read(&mut buffer)? {
        0 => Err(Unread::Gone),
        count => {
            kept.extend_from_slice(&buffer[..count]);
            Ok(())
        }
    }
}

/// The request whose head `bytes` begin with, the length of its body, and that of its head; `None` while it is not all there.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize, usize)>, Unread> {
    let wrong = Unread::Refused("400 Bad Request");
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(&bytes[..bytes.len().min(HEAD_BYTES_MAX)]) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(wrong),
    };
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else { return Err(wrong) };
    let mut request = Request {
        method: method.to_owned(),
        path: target.split('?').next().unwrap_or_default().to_owned(),
        ..Request::default()
    };
    let (mut length, mut hosts, mut has_credentials) = (None, 0, false);
    for header in parsed.headers.iter() {
        let Ok(value) = core::str::from_utf8(header.value) else { return Err(wrong) };
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("host") {
            hosts += 1;
            request.host = value.to_ascii_lowercase();
        } else if is("origin") {
            request.origin = Some(value.to_ascii_lowercase());
        } else if is("cookie") {
            request.cookie = request.cookie.or_else(|| own_cookie(value));
        } else if is("authorization") {
            // One header of it, or none: two that differ are nobody's.
            request.bearer = if has_credentials { None } else { bearer(value) };
            has_credentials = true;
        } else if is("content-type") {
            request.kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        } else if is("content-length") {
            // Two lengths, or one that is no number, are how requests are smuggled.
            if length.is_some() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(wrong);
            }
            length = Some(value.parse::<usize>().map_err(|_| Unread::Refused("413 Content Too Large"))?);
        } else if is("transfer-encoding") {
            return Err(Unread::Refused("411 Length Required"));
        }
    }
    if hosts != 1 {
        return Err(wrong);
    }
    Ok(Some((request, length.unwrap_or(0), head)))
}

fn own_cookie(header: &str) -> Option<String> {
    let mut pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

fn bearer(header: &str) -> Option<String> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// An answer.
pub(super) struct Response<'a> {
    pub status: &'a str,
    pub kind: &'a str,
    /// More headers, each with its line's end.
    pub more: &'a str,
    pub body: &'a [u8],
    /// Whether the connection ends with it.
    pub is_last: bool,
}

/// What goes with every answer: only this page's own files are run, nobody frames it, and nothing of it is kept by others.
pub(super) const SAFETY: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n\
    X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
    Permissions-Policy: camera=(self), microphone=(self), geolocation=()\r\nCache-Control: no-store\r\n";

impl Response<'_> {
    pub fn to_bytes(&self) -> Vec<u8> {
        let Response { status, kind, more, body, is_last } = self;
        let connection = if *is_last { "close" } else { "keep-alive" };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: {connection}\r\n{SAFETY}{more}\r\n"
        );
        [head.as_bytes(), body].concat()
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a browser's requests are read, one after the other, and whatever else comes is refused and panics nowhere.
    //! Method: texts cut anywhere, smuggled lengths, random bytes.
    use super::*;
    use proptest::prelude::*;

    fn all(mut bytes: &[u8]) -> Vec<Result<Request, Unread>> {
        let mut kept = Vec::new();
        let mut read_all = Vec::new();
        loop {
            match read(&mut bytes, &mut kept) {
                Err(Unread::Gone) => return read_all,
                Err(refused) => {
                    read_all.push(Err(refused));
                    return read_all;
                }
                Ok(request) => read_all.push(Ok(request)),
            }
        }
    }

    #[test]
    fn requests_on_one_connection_are_read_one_after_the_other() {
        let text = "POST /api/act HTTP/1.1\r\nHost: Door.local:8443\r\nOrigin: https://door.local:8443\r\n\
                    Cookie: a=b; __Host-visavis=xyz\r\nContent-Length: 4\r\n\r\nringGET /?x=1 HTTP/1.1\r\nhost: h\r\n\r\n";
        let requests: Vec<_> = all(text.as_bytes()).into_iter().map(Result::unwrap).collect();
        let [act, page] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!(
            (act.path.as_str(), act.host.as_str(), act.body.as_slice()),
            ("/api/act", "door.local:8443", &b"ring"[..])
        );
        assert_eq!(act.cookie.as_deref(), Some("xyz"));
        assert_eq!(act.origin.as_deref(), Some("https://door.local:8443"));
        assert_eq!((page.method.as_str(), page.path.as_str()), ("GET", "/"));
        for cut in 0..text.find("ring").unwrap() + 4 {
            assert!(all(&text.as_bytes()[..cut]).is_empty(), "{cut}");
        }
    }

    #[test]
    fn a_bearer_token_is_read_once_or_not_at_all() {
        let with = |headers: &str| {
            let text = format!("POST /whep HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
            all(text.as_bytes()).remove(0).unwrap()
        };
        let asked = with("Authorization: bearer  abc \r\nContent-Type: Application/SDP; charset=utf-8\r\n");
        assert_eq!((asked.bearer.as_deref(), asked.kind.as_str()), (Some("abc"), "application/sdp"));
        for headers in [
            "",
            "Authorization: abc\r\n",
            "Authorization: Basic abc\r\n",
            "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        ] {
            assert_eq!(with(headers).bearer, None, "{headers}");
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        let head = |more: &str| format!("POST / HTTP/1.1\r\nHost: h\r\n{more}\r\n");
        for (text, status) in [
            ("nonsense\r\n\r\n".into(), "400"),
            ("GET / HTTP/1.1\r\n\r\n".into(), "400"),
            (head("Host: other\r\n"), "400"),
            (head("Content-Length: 4\r\nContent-Length: 5\r\n"), "400"),
            (head("Content-Length: +4\r\n"), "400"),
            (head("Transfer-Encoding: chunked\r\n"), "411"),
            (head("Content-Length: 99999999\r\n"), "413"),
            (head("Content-Length: 99999999999999999999999\r\n"), "413"),
            (head(&format!("X: {}\r\n", "a".repeat(9_000))), "431"),
        ] {
            match all(text.as_bytes()).pop() {
                Some(Err(Unread::Refused(said))) => assert!(said.starts_with(status), "{said}: {text:.80}"),
                other => panic!("{other:?}: {text:.80}"),
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = all(&bytes);
            let _ = all(&[b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n", bytes.as_slice(), b"\r\n\r\n"].concat());
        }
    }
}
