//! The connection to the broker: made in a thread of its own, since names, TCP and TLS may take their time; then without waiting.

use super::BrokerConfig;
use crate::station::resolve::resolve;
use crate::station::socket::IpVersion;
use crate::sys::wake::Wake;
use crate::time::{Duration, Instant};
use openssl::ssl::{SslConnector, SslMethod, SslStream};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{Receiver, sync_channel};

/// How long TCP may take, and each step of TLS.
const CONNECT_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);
/// The first pause after a failure; each is twice as long as the one before …
const AGAIN_FIRST: Duration = Duration::from_secs(1);
/// … up to this, for ever: after a power cut the house's machines come back within minutes, and not together.
const AGAIN_MOST: Duration = Duration::from_secs(60);
/// Reads before anything else gets its turn.
const READ_BURST: usize = 16;

/// Bytes to and from a broker.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

impl Stream {
    /// Takes what has come, a piece at a time; false at the end.
    pub fn read(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        let mut buffer = [0; 4096];
        for _ in 0..READ_BURST {
            let read = match self {
                Stream::Plain(stream) => stream.read(&mut buffer),
                Stream::Tls(stream) => stream.read(&mut buffer),
            };
            match read {
                Ok(0) => return false,
                Ok(count) => take(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// Writes what can be written now: how much; an error at the end.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        };
        match written {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
            other => other,
        }
    }

    /// Whether bytes lie in TLS that the kernel knows nothing of any more.
    pub fn has_pending(&self) -> bool {
        matches!(self, Stream::Tls(stream) if stream.ssl().pending() > 0)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Plain(stream) => stream.as_fd(),
            Stream::Tls(stream) => stream.get_ref().as_fd(),
        }
    }
}

/// Dials for ever, with growing pauses; says what is wrong once, and when it is well again.
pub(super) struct Dialler {
    config: BrokerConfig,
    wake: Wake,
    dialling: Option<Receiver<Result<Stream, String>>>,
    again_at: Instant,
    pause: Duration,
    /// Since when the broker has let us in.
    welcome_at: Option<Instant>,
    /// What is wrong, as was last said, without its details: those may change with every try.
    told: Option<String>,
}

impl Dialler {
    pub fn new(config: BrokerConfig, wake: Wake) -> Dialler {
        Dialler {
            config,
            wake,
            dialling: None,
            again_at: Instant::ZERO,
            pause: AGAIN_FIRST,
            welcome_at: None,
            told: None,
        }
    }

    /// Dials when it is time to, and gives the connection once it stands. To be called while there is none.
    pub fn poll(&mut self, now: Instant) -> Option<Stream> {
        let Some(dialling) = &self.dialling else {
            if now >= self.again_at {
                self.dial(now);
            }
            return None;
        };
        let dialled = dialling.try_recv().ok()?;
        self.dialling = None;
        match dialled {
            Ok(stream) => Some(stream),
            Err(why) => {
                self.handle_failure(now, &why);
                None
            }
        }
    }

    fn dial(&mut self, now: Instant) {
        let (tell, dialling) = sync_channel(1);
        let (config, wake) = (self.config.clone(), self.wake.clone());
        let started = std::thread::Builder::new().name("dial".into()).spawn(move || {
            // Whoever is not waited for any more has nobody to tell.
            let _ = tell.send(connect(&config));
            wake.signal();
        });
        match started {
            Ok(_) => self.dialling = Some(dialling),
            Err(error) => self.handle_failure(now, &format!("there is no thread to dial in: {error}")),
        }
    }

    /// The connection, or the try at one, has come to nothing.
    pub fn handle_failure(&mut self, now: Instant, why: &str) {
        let (kind, _) = why.split_once(':').unwrap_or((why, ""));
        if self.told.as_deref() != Some(kind) {
            tracing::warn!("the broker {} {why}; it is tried again for as long as it takes", self.config);
            self.told = Some(kind.to_owned());
        }
        // One that lets us in and throws us out is not tried every second.
        if self.welcome_at.take().is_some_and(|at| now.since(at) >= AGAIN_MOST) {
            self.pause = AGAIN_FIRST;
        }
        self.again_at = now + self.pause;
        self.pause = (self.pause * 2).min(AGAIN_MOST);
    }

    /// The broker has let us in.
    pub fn handle_welcome(&mut self, now: Instant) {
        self.welcome_at = Some(now);
        let again = if self.told.take().is_some() { " again" } else { "" };
        tracing::info!("connected to the broker {}{again}", self.config);
    }

    /// When [`Dialler::poll`] is wanted, beside the wake.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.dialling.is_none().then_some(self.again_at)
    }
}

impl fmt::Display for BrokerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A connection that does not wait, or why there is none, said after "the broker …".
fn connect(config: &BrokerConfig) -> Result<Stream, String> {
    let addresses =
        resolve(&config.host, config.port, IpVersion::Both).map_err(|why| format!("is not found: {why}"))?;
    let mut connected = Err("is not found".to_owned());
    for address in addresses {
        connected =
            TcpStream::connect_timeout(&address, CONNECT_WITHIN).map_err(|error| format!("is not reached: {error}"));
        if connected.is_ok() {
            break;
        }
    }
    let stream = connected?;
    let failed = |error: io::Error| format!("is not reached: {error}");
    // What is said is short, and should be there at once.
    stream.set_nodelay(true).map_err(failed)?;
    let stream = match &config.tls {
        None => Stream::Plain(stream),
        Some(tls) => {
            stream.set_read_timeout(Some(CONNECT_WITHIN)).map_err(failed)?;
            stream.set_write_timeout(Some(CONNECT_WITHIN)).map_err(failed)?;
            let wrong = |error: &dyn fmt::Display| format!("does not prove who it is, by TLS: {error}");
            let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(|error| wrong(&error))?;
            if let Some(authority) = &tls.authority {
                let unread = |error| format!("cannot be trusted: ca_file {}: {error}", authority.display());
                builder.set_ca_file(authority).map_err(unread)?;
            }
            let stream = builder.build().connect(&config.host, stream).map_err(|error| wrong(&error))?;
            Stream::Tls(Box::new(stream))
        }
    };
    let tcp = match &stream {
        Stream::Plain(stream) => stream,
        Stream::Tls(stream) => stream.get_ref(),
    };
    tcp.set_nonblocking(true).map_err(failed)?;
    Ok(stream)
}
