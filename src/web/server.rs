//! The page's port: TLS, one thread a connection, a bounded number of them; whatever is not the page itself is asked of whoever
//! drives the handsets.
//!
//! **What an attacker may try, and what becomes of it**
//! - A page elsewhere that has the browser ask here (CSRF): a `POST` whose `Origin` is not this host's own is refused, and the
//!   cookie is `SameSite=Strict`.
//! - A name that someone rebinds to this address (DNS rebinding): the host must be an address, this machine's name, or one that
//!   the configuration names.
//! - Guessing tokens and invitations: 256 and 128 random bits, compared in constant time, and a handful of tries a minute.
//! - Holding connections open, or sending slowly: a bounded number of them, a few for each address, and seconds for a request.
//! - Long heads and bodies, smuggled lengths: refused before they are read; see `http`.
//! - Files of the disk: there is no path that leads to one.
//! - Looking on (`/whep`, see `whep`) without a token, with a guessed one, a revoked one, or one of a browser's cookie: refused
//!   before the offer is read. A page elsewhere may ask, as players do, but no browser adds a token by itself.
//! - Ending another's session: its address has 128 random bits, and the token must be the one that began it.
//! - Huge offers, offers that are none, thousands of sessions: as long as a body may be, refused with a reason, a few sessions
//!   at once, and those that never connect end within seconds.

use super::Certificate;
use super::guests::Token;
use super::http::{self, COOKIE, Request, Response, Unread};
use super::{page, whep};
use crate::sys::wake::Wake;
use openssl::ssl::{SslAcceptor, SslMethod, SslStream};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Connections at once: a browser holds two or three.
const CONNECTIONS_MAX: usize = 48;
/// Of them, those of one address.
const CONNECTIONS_OF_ONE_MAX: usize = 12;
/// How long a connection may be idle, and how long any one read or write takes.
const IDLE: Duration = Duration::from_secs(15);
/// Between two signs of life to a browser that listens for events: less than what routers forget a connection after.
const LIFE_SIGN: Duration = Duration::from_secs(10);
/// Events that wait for a browser; one that takes none for so long begins anew.
const EVENTS_MAX: usize = 32;
/// Questions that wait for whoever drives the handsets.
const ASKS_MAX: usize = 32;
/// How long an answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Invitations that are tried in a minute, from anywhere: each has 128 secret bits, so this only keeps the log short.
const TRIES_A_MINUTE: u32 = 10;

/// What a browser wants of its handset, or a viewer of the audience.
#[derive(Debug)]
pub enum Ask {
    /// To be let in, by an invitation.
    Join {
        /// As it stands in the link.
        invitation: String,
        /// What the browser's owner wants it to be called.
        name: String,
    },
    /// Events from now on, each a line of JSON.
    Watch(SyncSender<Arc<str>>),
    /// Something done: the notation of [`Action`](crate::call::Action).
    Act(String),
    /// A connection for pictures and sound, by its offer; the answer is the text that comes back.
    Offer {
        /// SDP.
        sdp: String,
        /// Where the page was reached.
        local: SocketAddr,
    },
    /// To look on, by an offer; the answer is the text that comes back.
    View {
        /// The session's name, which nobody can guess.
        session: String,
        /// SDP.
        sdp: String,
        /// Where it was asked.
        local: SocketAddr,
    },
    /// To look on no longer.
    Leave {
        /// The session's name.
        session: String,
    },
}

/// A question, by whom, and where the answer goes.
pub struct Asked {
    /// The token that the browser showed; none where it has none.
    pub by: Option<Token>,
    /// What it wants.
    pub ask: Ask,
    /// The answer: a text, or why not.
    pub answer: SyncSender<Result<String, Refused>>,
}

/// Why a question is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The browser is not known, or no longer.
    Stranger,
    /// For this reason, in words.
    Because(String),
    /// What it offers cannot be used: why, in words.
    Unusable(String),
    /// There is no room now, and may be soon.
    Full,
    /// There is no such session.
    Gone,
}

/// What a server is made of.
pub struct ServerConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it shows.
    pub certificate: Certificate,
    /// This machine's names, beside its addresses, in small letters.
    pub hosts: Vec<String>,
}

/// The port.
pub struct Server {
    /// Questions of browsers.
    pub asks: Receiver<Asked>,
    address: SocketAddr,
}

pub(super) struct Shared {
    acceptor: SslAcceptor,
    hosts: Vec<String>,
    asks: SyncSender<Asked>,
    wake: Wake,
    connections: Mutex<HashMap<IpAddr, usize>>,
    tries: Mutex<(Instant, u32)>,
}

impl Server {
    /// Listens, and serves from a thread of its own, until the process ends; signals `wake` for each question.
    ///
    /// # Errors
    /// What the system says: the port is taken, the address is none of this machine's.
    pub fn start(config: ServerConfig, wake: Wake) -> io::Result<Server> {
        let acceptor = acceptor(&config.certificate).map_err(io::Error::other)?;
        let listener = TcpListener::bind(config.listen)?;
        let address = listener.local_addr()?;
        let (to_driver, asks) = sync_channel(ASKS_MAX);
        let shared = Arc::new(Shared {
            acceptor,
            hosts: config.hosts,
            asks: to_driver,
            wake,
            connections: Mutex::default(),
            tries: Mutex::new((Instant::now(), 0)),
        });
        std::thread::Builder::new().name("web-accept".into()).spawn(move || accept(&listener, &shared))?;
        Ok(Server { asks, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn acceptor(certificate: &Certificate) -> Result<SslAcceptor, openssl::error::ErrorStack> {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    builder.set_private_key(&certificate.key)?;
    builder.set_certificate(&certificate.x509)?;
    builder.check_private_key()?;
    Ok(builder.build())
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let (stream, from) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("web: nobody can connect (accept): {error}");
                // Out of descriptors: those that are open end within seconds.
                std::thread::sleep(Duration::from_millis(200));
                continue;
            }
        };
        let ip = from.ip().to_canonical();
        if !shared.admit(ip) {
            continue;
        }
        let connection = shared.clone();
        let serve = move || {
            let _ = serve(&connection, stream);
            connection.leave(ip);
        };
        if std::thread::Builder::new().name("web".into()).spawn(serve).is_err() {
            shared.leave(ip);
        }
    }
}

impl Shared {
    fn admit(&self, ip: IpAddr) -> bool {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = connections.values().sum();
        let of_one = connections.entry(ip).or_default();
        let may = all < CONNECTIONS_MAX && *of_one < CONNECTIONS_OF_ONE_MAX;
        *of_one += usize::from(may);
        connections.retain(|_, count| *count > 0);
        may
    }

    fn leave(&self, ip: IpAddr) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = connections.get_mut(&ip) {
            *count = count.saturating_sub(1);
        }
        connections.retain(|_, count| *count > 0);
    }

    /// Whether one more invitation may be tried now.
    fn may_try(&self) -> bool {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.0.elapsed() >= Duration::from_secs(60) {
            *tries = (Instant::now(), 0);
        }
        tries.1 += 1;
        tries.1 <= TRIES_A_MINUTE
    }

    /// Whether a request is for this machine, by whatever name.
    fn knows(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok() || self.hosts.iter().any(|known| known == name)
    }

    /// Asks whoever drives the handsets.
    pub fn ask(&self, by: Option<Token>, ask: Ask) -> Result<String, Refused> {
        let late = || Refused::Because("the station is busy; try again".into());
        let (answer, answered) = sync_channel(1);
        self.asks.try_send(Asked { by, ask, answer }).map_err(|_| late())?;
        self.wake.signal();
        answered.recv_timeout(ANSWER_WITHIN).map_err(|_| late())?
    }
}

pub(super) type Stream = SslStream<TcpStream>;

fn serve(shared: &Shared, stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let local = SocketAddr::new(local.ip().to_canonical(), local.port());
    let mut stream = shared.acceptor.accept(stream).map_err(|_| io::ErrorKind::ConnectionAborted)?;
    let mut kept = Vec::new();
    loop {
        match http::read(&mut stream, &mut kept) {
            Ok(request) => {
                if request.path == "/api/events" && request.method == "GET" {
                    return events(shared, &mut stream, &request);
                }
                answer(shared, &mut stream, &request, local)?;
            }
            Err(Unread::Gone) => return Ok(()),
            Err(Unread::Refused(status)) => {
                return say(&mut stream, &Response { status, ..plain("That is no request that this page sends.\n") });
            }
        }
    }
}

pub(super) fn say(stream: &mut Stream, response: &Response<'_>) -> io::Result<()> {
    stream.write_all(&response.to_bytes())?;
    stream.flush()
}

pub(super) fn plain(words: &str) -> Response<'_> {
    let body = words.as_bytes();
    Response { status: "200 OK", kind: "text/plain; charset=utf-8", more: "", body, is_last: true }
}

/// Why a request is not for us, if it is not.
fn misplaced(shared: &Shared, request: &Request) -> Option<&'static str> {
    if !shared.knows(&request.host) {
        return Some("421 Misdirected Request");
    }
    let own = format!("https://{}", request.host);
    match (request.method.as_str(), &request.origin) {
        ("GET", None) => None,
        ("GET" | "POST", Some(origin)) if *origin == own => None,
        ("GET" | "POST", _) => Some("403 Forbidden"),
        _ => Some("405 Method Not Allowed"),
    }
}

fn answer(shared: &Shared, stream: &mut Stream, request: &Request, local: SocketAddr) -> io::Result<()> {
    if let Some(session) = whep::session(&request.path)
        && shared.knows(&request.host)
    {
        return whep::answer(shared, stream, request, session, local);
    }
    if let Some(status) = misplaced(shared, request) {
        return say(stream, &Response { status, is_last: false, ..plain("Not here, and not so.\n") });
    }
    if request.method == "GET" {
        let response = match page::file(&request.path) {
            Some((kind, body)) => Response { status: "200 OK", kind, more: "", body, is_last: false },
            None => Response { status: "404 Not Found", is_last: false, ..plain("There is no such page.\n") },
        };
        return say(stream, &response);
    }
    let by = request.cookie.as_deref().map(Token::of);
    let done = match request.path.as_str() {
        "/api/join" => return join(shared, stream, &request.body),
        "/api/act" => {
            let action = String::from_utf8_lossy(&request.body).into_owned();
            shared.ask(by, Ask::Act(action))
        }
        "/api/offer" => {
            let sdp = String::from_utf8_lossy(&request.body).into_owned();
            shared.ask(by, Ask::Offer { sdp, local })
        }
        _ => {
            return say(
                stream,
                &Response { status: "404 Not Found", is_last: false, ..plain("There is no such page.\n") },
            );
        }
    };
    match done {
        Ok(text) => say(stream, &Response { is_last: false, ..plain(&text) }),
        Err(refused) => refuse(stream, &refused),
    }
}

fn refuse(stream: &mut Stream, refused: &Refused) -> io::Result<()> {
    let (status, words) = match refused {
        Refused::Stranger => ("401 Unauthorized", "This browser is not known here. Ask for an invitation."),
        Refused::Because(words) | Refused::Unusable(words) => ("409 Conflict", words.as_str()),
        Refused::Full | Refused::Gone => ("409 Conflict", "The station has no room."),
    };
    say(stream, &Response { status, is_last: false, ..plain(words) })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Join {
    invitation: String,
    name: String,
}

fn join(shared: &Shared, stream: &mut Stream, body: &[u8]) -> io::Result<()> {
    let Ok(Join { invitation, name }) = serde_json::from_slice(body) else {
        return say(
            stream,
            &Response { status: "400 Bad Request", is_last: false, ..plain("An invitation is wanted.\n") },
        );
    };
    if !shared.may_try() {
        let words = "Too many tries. Wait a minute.\n";
        return say(stream, &Response { status: "429 Too Many Requests", is_last: false, ..plain(words) });
    }
    match shared.ask(None, Ask::Join { invitation, name }) {
        Ok(cookie) => {
            // Ten years: it is revoked here, by forgetting, and not by waiting.
            let more = format!(
                "Set-Cookie: {COOKIE}={cookie}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=315360000\r\n"
            );
            say(stream, &Response { more: &more, is_last: false, ..plain("welcome") })
        }
        Err(refused) => refuse(stream, &refused),
    }
}

/// Server-sent events (WHATWG HTML §9.2), until the browser goes or is no longer known.
fn events(shared: &Shared, stream: &mut Stream, request: &Request) -> io::Result<()> {
    if let Some(status) = misplaced(shared, request) {
        return say(stream, &Response { status, ..plain("Not here, and not so.\n") });
    }
    let (to_browser, events) = sync_channel::<Arc<str>>(EVENTS_MAX);
    let by = request.cookie.as_deref().map(Token::of);
    if let Err(refused) = shared.ask(by, Ask::Watch(to_browser)) {
        return refuse(stream, &refused);
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n";
    stream.write_all([head, http::SAFETY, "\r\n"].concat().as_bytes())?;
    loop {
        let text = match events.recv_timeout(LIFE_SIGN) {
            Ok(event) => format!("data: {event}\n\n"),
            Err(RecvTimeoutError::Timeout) => ":\n\n".into(),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        stream.write_all(text.as_bytes())?;
        stream.flush()?;
    }
}
