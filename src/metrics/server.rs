//! The port: it takes requests and gives answers, and no client can keep it or fill it.

use super::http::{self, REQUEST_BYTES_MAX};
use crate::time::{Duration, Instant, Seldom, earliest};
use nix::poll::PollFlags;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

/// Clients at once: two scrapers and a curious person, and one to spare. A newer one takes the place of the one that has been
/// asking for the longest time, so that who holds connections open keeps nobody out.
const CLIENTS_MAX: usize = 4;
/// New clients in one turn.
const ACCEPT_BURST: usize = 16;
/// How long accepting rests where the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// A request and its answer take no longer, on the worst network that a scraper bears: its own usual limit is 10 s.
const CLIENT_TIME: Duration = Duration::from_secs(5);
/// Reads in one turn, of a client that goes on sending.
const READ_BURST: usize = 4;

/// The listening socket with its clients.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    clients: Vec<Client>,
    /// Not before then is anybody accepted.
    accept_at: Instant,
    accept_failed: Seldom,
}

impl Server {
    /// Listens at `address`.
    ///
    /// # Errors
    /// What the system says: the port is taken, the address is none of this machine's.
    pub fn bind(address: SocketAddr) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Server {
            listener,
            clients: Vec::with_capacity(CLIENTS_MAX),
            accept_at: Instant::ZERO,
            accept_failed: Seldom::default(),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What to poll, and for what; another set after each turn.
    pub fn fds(&self, now: Instant) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let listener = (now >= self.accept_at).then(|| (self.listener.as_fd(), PollFlags::POLLIN));
        listener.into_iter().chain(self.clients.iter().map(Client::fd))
    }

    /// When to call [`Server::handle_ready`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let accept = (self.accept_at > Instant::ZERO).then_some(self.accept_at);
        self.clients.iter().map(|client| Some(client.until)).fold(accept, earliest)
    }

    /// Takes its turn: to be called when one of [`Server::fds`] is ready and at [`Server::poll_timeout`]. `metrics` is what
    /// is answered.
    pub fn handle_ready(&mut self, now: Instant, mut metrics: impl FnMut() -> String) {
        self.accept(now);
        self.clients.retain_mut(|client| now < client.until && client.turn(&mut metrics).unwrap_or(false));
    }

    fn accept(&mut self, now: Instant) {
        if now < self.accept_at {
            return;
        }
        self.accept_at = Instant::ZERO;
        for _ in 0..ACCEPT_BURST {
            match self.listener.accept() {
                Ok((stream, _)) => self.welcome(now, stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if let Some(unsaid) = self.accept_failed.admit(now) {
                        tracing::warn!("metrics: nobody can connect (accept): {error}{unsaid}");
                    }
                    self.accept_at = now + ACCEPT_PAUSE;
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, now: Instant, stream: TcpStream) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if self.clients.len() >= CLIENTS_MAX {
            let asking = self.clients.iter().position(|client| client.output.is_empty());
            // They stand in the order in which they came.
            self.clients.remove(asking.unwrap_or(0));
        }
        self.clients.push(Client {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            until: now + CLIENT_TIME,
        });
    }
}

/// One client: it asks, is answered, and then its end is waited for, so that what it still sends does not cut off the answer.
#[derive(Debug)]
struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    /// Empty until it has asked.
    output: Vec<u8>,
    written: usize,
    /// It is dropped then, whatever it does.
    until: Instant,
}

impl Client {
    fn fd(&self) -> (BorrowedFd<'_>, PollFlags) {
        let flags = if self.written < self.output.len() { PollFlags::POLLOUT } else { PollFlags::POLLIN };
        (self.stream.as_fd(), flags)
    }

    /// Reads and writes what is possible now; false at its end.
    fn turn(&mut self, metrics: &mut impl FnMut() -> String) -> io::Result<bool> {
        let is_over = self.written == self.output.len() && !self.read()?;
        if self.output.is_empty() {
            let Some(request) = http::read(&self.input) else { return Ok(!is_over) };
            self.output = http::answer(request, metrics);
        }
        if self.written < self.output.len() {
            self.write()?;
            if self.written == self.output.len() {
                self.stream.shutdown(Shutdown::Write)?;
            }
            return Ok(true);
        }
        Ok(!is_over)
    }

    /// False at the end of what it sends.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 1_024];
        for _ in 0..READ_BURST {
            match (&self.stream).read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    let room = REQUEST_BYTES_MAX.saturating_sub(self.input.len());
                    self.input.extend_from_slice(&buffer[..count.min(room)]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match (&self.stream).write(&self.output[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
