//! The control socket's server: it takes requests, gives answers, and tells watchers what happens.
//!
//! It stands in the net loop, so **nothing here waits for a client**: descriptors do not block, a turn is bounded, and
//! so are clients, what they may send, and what waits for them. A client that does not read what it asked for is told
//! why and dropped. Who may connect is decided by the socket's mode and group alone.

mod client;
mod queue;

use super::protocol::{Answer, Event, FrameError, REQUEST_BYTES_MAX, Reply, Request};
use crate::time::{Duration, Instant, earliest};
use client::{Client, Role};
use core::fmt;
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, getsockopt, listen, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::Group;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Clients at once: a household's scripts and watchers, many times over.
const CLIENTS_MAX: usize = 32;
/// New clients in one turn.
const ACCEPT_BURST: usize = 8;
/// How long accepting rests where the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Who may connect: user and group.
const MODE: u32 = 0o660;

/// Why there is no control socket.
#[derive(Debug)]
pub struct SocketError {
    path: PathBuf,
    problem: String,
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "control socket {}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for SocketError {}

/// Names a client as long as it is there; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientId(u64);

/// Who a client is, by the kernel (SO_PEERCRED).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its process.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// For the audit: `user 1000, process 4711`.
impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}, process {}", self.uid, self.pid)
    }
}

/// The listening socket with its clients.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    clients: Vec<Client>,
    next_id: u64,
    /// Not before then is anybody accepted.
    accept_at: Instant,
    /// Nobody could be accepted the last time; it is said once.
    is_closed: bool,
}

impl Server {
    /// Listens at `path`, for this process's user and for `group` (without one, the process's own).
    ///
    /// # Errors
    /// Another station listens there, the group is unknown, or the system refuses, with what to do.
    pub fn bind(path: &Path, group: Option<&str>) -> Result<Server, SocketError> {
        let fail = |problem: String| SocketError { path: path.into(), problem };
        let gid = match group {
            None => None,
            Some(name) => match Group::from_name(name) {
                Ok(Some(group)) => Some(group.gid.as_raw()),
                _ => return Err(fail(format!("there is no group `{name}`; make it with `addgroup --system {name}`"))),
            },
        };
        if let Some(folder) = path.parent() {
            // That of a service is made by systemd (RuntimeDirectory=).
            let made = DirBuilder::new().recursive(true).mode(0o755).create(folder);
            made.map_err(|e| fail(format!("cannot make its folder: {e}")))?;
        }
        clear_way(path).map_err(fail)?;
        let listener = listen_at(path).map_err(|errno| fail(format!("cannot listen: {}", errno.desc())))?;
        let open_up = || {
            if gid.is_some() {
                chown(path, None, gid)?;
            }
            fs::set_permissions(path, fs::Permissions::from_mode(MODE))
        };
        open_up().map_err(|e: io::Error| {
            let _ = fs::remove_file(path);
            fail(format!("cannot give it to group {}: {e}; the station's user must be a member", group.unwrap_or("-")))
        })?;
        Ok(Server {
            listener,
            path: path.into(),
            clients: Vec::new(),
            next_id: 0,
            accept_at: Instant::ZERO,
            is_closed: false,
        })
    }

    /// What to poll, and for what; another set after each turn.
    pub fn fds(&self, now: Instant) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let listener = (now >= self.accept_at).then(|| (self.listener.as_fd(), PollFlags::POLLIN));
        listener.into_iter().chain(self.clients.iter().map(Client::fd))
    }

    /// Takes its turn: to be called when one of [`Server::fds`] is ready and at [`Server::poll_timeout`].
    pub fn handle_ready(&mut self, now: Instant) {
        self.accept(now);
        self.clients.retain_mut(|client| client.handle_ready(now));
    }

    /// The next request, of a client that waits for its [`Server::answer`]; to be called until there is none.
    pub fn poll_request(&mut self, now: Instant) -> Option<(ClientId, Request, Credentials)> {
        for client in &mut self.clients {
            if let Some(request) = client.poll_request(now) {
                return Some((client.id, request, client.credentials));
            }
        }
        None
    }

    /// Answers a client's request. One that is gone by now needs none.
    pub fn answer(&mut self, now: Instant, id: ClientId, answer: Answer) {
        if let Some(client) = self.clients.iter_mut().find(|client| client.id == id && client.role == Role::Waiting) {
            client.answer(now, answer);
        }
    }

    /// Tells all watchers.
    pub fn publish(&mut self, now: Instant, event: &Event) {
        let mut watchers = self.clients.iter_mut().filter(|client| client.role == Role::Watching).peekable();
        if watchers.peek().is_none() {
            return;
        }
        // An event is a few names; one that were too long is one that nobody can read.
        let Ok(frame) = client::frame(&Reply::Event(event.clone())) else { return };
        watchers.for_each(|client| client.send(now, frame.clone()));
    }

    /// Whether anybody watches, so that events are worth making.
    pub fn is_watched(&self) -> bool {
        self.clients.iter().any(|client| client.role == Role::Watching)
    }

    /// When to call [`Server::handle_ready`] at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let accept = (self.accept_at > Instant::ZERO).then_some(self.accept_at);
        self.clients.iter().map(|client| client.poll_timeout()).fold(accept, earliest)
    }

    fn accept(&mut self, now: Instant) {
        if now < self.accept_at {
            return;
        }
        self.accept_at = Instant::ZERO;
        for _ in 0..ACCEPT_BURST {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    if !std::mem::replace(&mut self.is_closed, true) {
                        tracing::warn!("control socket: nobody can connect (accept): {error}");
                    }
                    self.accept_at = now + ACCEPT_PAUSE;
                    return;
                }
            };
            if std::mem::take(&mut self.is_closed) {
                tracing::info!("control socket: clients can connect again");
            }
            if let Err(error) = self.welcome(now, stream) {
                tracing::debug!("control socket: a client was lost as it came: {error}");
            }
        }
    }

    fn welcome(&mut self, now: Instant, stream: UnixStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let credentials = getsockopt(&stream, sockopt::PeerCredentials)?;
        let credentials = Credentials { pid: credentials.pid(), uid: credentials.uid(), gid: credentials.gid() };
        self.next_id += 1;
        let mut client = Client::new(ClientId(self.next_id), stream, credentials, now);
        if self.clients.len() >= CLIENTS_MAX {
            // It fits into the new socket's buffer; the client is not kept in any case.
            client.say_goodbye(now, format!("there are {CLIENTS_MAX} clients already; end one, or try again"));
            client.handle_ready(now);
            return Ok(());
        }
        self.clients.push(client);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the socket of a station that was killed; one that lives, and whatever else is there, stays.
fn clear_way(path: &Path) -> Result<(), String> {
    match UnixStream::connect(path) {
        Ok(_) => {
            Err("another station listens here; stop it, or give this one a socket of its own (--socket PATH)".into())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            let is_socket = fs::symlink_metadata(path)
                .is_ok_and(|metadata| std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type()));
            if !is_socket {
                return Err("there is something else, which is no socket; remove it, or give another path".into());
            }
            fs::remove_file(path).map_err(|e| format!("cannot remove what an earlier station left: {e}"))
        }
        Err(error) => Err(format!("cannot look what is there: {error}")),
    }
}

/// A listening socket whose file nobody else could open meanwhile: it has its mode before it has its name.
fn listen_at(path: &Path) -> nix::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &UnixAddr::new(path)?)?;
    let backlog = Backlog::new(CLIENTS_MAX as i32).map_err(|_| Errno::EINVAL)?;
    listen(&fd, backlog).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })?;
    Ok(UnixListener::from(fd))
}

#[cfg(test)]
mod tests;
