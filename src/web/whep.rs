//! Looking on by WHEP (draft-ietf-wish-whep): a player or a media server posts an offer to `/whep` with a bearer token, and
//! gets the answer and the session's address; deleting that ends it.
//!
//! All candidates are in the answer, and none are taken later: `PATCH` is refused, as the draft lets a server do. Any page may
//! ask (CORS), since it is the token that counts, which browsers add to nothing by themselves.

use super::guests::{Token, base64url};
use super::http::{Request, Response};
use super::server::{Ask, Refused, Shared, Stream, say};
use crate::identity::system_random;
use std::io;
use std::net::SocketAddr;

/// Where to ask.
const ENDPOINT: &str = "/whep";
/// Media type of offers and answers (RFC 8866 §8.1).
const SDP: &str = "application/sdp";
/// What a page elsewhere may read of an answer (Fetch §3.2).
const SHARED: &str = "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: Location\r\n";
/// Random bytes in a session's name.
const SESSION_BYTES: usize = 16;

/// The session that a path is about, an empty one for the endpoint itself; none for other paths.
pub(super) fn session(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(ENDPOINT)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix('/').filter(|session| !session.is_empty()) }
}

/// What is said back: a status, headers, a body and its media type.
struct Said {
    status: &'static str,
    more: String,
    kind: &'static str,
    body: String,
}

impl Said {
    fn new(status: &'static str, words: &str) -> Said {
        Said { status, more: String::new(), kind: "text/plain; charset=utf-8", body: words.to_owned() }
    }

    fn with(self, header: &str) -> Said {
        Said { more: format!("{}{header}\r\n", self.more), ..self }
    }
}

/// Answers a request to the endpoint, or to a session.
pub(super) fn answer(
    shared: &Shared,
    stream: &mut Stream,
    request: &Request,
    session: &str,
    local: SocketAddr,
) -> io::Result<()> {
    let said = match (request.method.as_str(), session) {
        ("OPTIONS", _) => allowed(),
        ("POST", "") => begin(shared, request, local),
        ("DELETE", session) if !session.is_empty() => end(shared, request, session),
        (_, "") => Said::new("405 Method Not Allowed", "An offer is to be posted here.\n").with("Allow: POST, OPTIONS"),
        _ => Said::new("405 Method Not Allowed", "A session can only be deleted.\n").with("Allow: DELETE, OPTIONS"),
    };
    let Said { status, more, kind, body } = said;
    let more = [SHARED, &more].concat();
    say(stream, &Response { status, kind, more: &more, body: body.as_bytes(), is_last: false })
}

fn allowed() -> Said {
    Said::new("200 OK", "")
        .with("Access-Control-Allow-Methods: POST, DELETE, OPTIONS")
        .with("Access-Control-Allow-Headers: Authorization, Content-Type")
        .with("Access-Control-Max-Age: 600")
        .with("Accept-Post: application/sdp")
}

fn begin(shared: &Shared, request: &Request, local: SocketAddr) -> Said {
    let by = request.bearer.as_deref().map(Token::of_bearer);
    if by.is_some() && request.kind != SDP {
        return Said::new("415 Unsupported Media Type", "An offer is application/sdp.\n")
            .with("Accept-Post: application/sdp");
    }
    let mut name = [0; SESSION_BYTES];
    system_random(&mut name);
    let session = base64url(&name);
    let sdp = String::from_utf8_lossy(&request.body).into_owned();
    match shared.ask(by, Ask::View { session: session.clone(), sdp, local }) {
        Ok(answer) => {
            Said { kind: SDP, ..Said::new("201 Created", &answer) }.with(&format!("Location: {ENDPOINT}/{session}"))
        }
        Err(refused) => refuse(&refused),
    }
}

fn end(shared: &Shared, request: &Request, session: &str) -> Said {
    let by = request.bearer.as_deref().map(Token::of_bearer);
    match shared.ask(by, Ask::Leave { session: session.to_owned() }) {
        Ok(_) => Said::new("200 OK", ""),
        Err(refused) => refuse(&refused),
    }
}

fn refuse(refused: &Refused) -> Said {
    match refused {
        Refused::Stranger => Said::new("401 Unauthorized", "A token is wanted: visavis web token NAME makes one.\n")
            .with("WWW-Authenticate: Bearer"),
        Refused::Unusable(why) => Said::new("422 Unprocessable Content", why),
        Refused::Because(why) => Said::new("409 Conflict", why),
        Refused::Full => Said::new("503 Service Unavailable", "Too many look on already.\n").with("Retry-After: 10"),
        Refused::Gone => Said::new("404 Not Found", "There is no such session.\n"),
    }
}
