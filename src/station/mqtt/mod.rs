//! `visavis mqtt`: the net loop between a station and an MQTT broker.
//!
//! It is a process of its own, a client of the station's control socket like `visavis ctl`: it has no device and not the
//! station's key, and its end costs no call. What is told and what may be asked is decided in [`mqtt`](crate::mqtt); here are the
//! socket, the threads that wait for the station, and the log.

mod asker;
mod broker;

use self::asker::{Asker, News};
use self::broker::{Dialler, Stream};
use crate::mqtt::{Mirror, MirrorConfig, Session, SessionConfig, SessionEvent, Topics, Wish, identifier};
use crate::sys::wake::{Stop, Wake};
use crate::sys::{clock, poll};
use crate::time::{Duration, Instant, Seldom, earliest};
use nix::poll::{PollFd, PollFlags};
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// How long a broker may take to read our goodbye; systemd waits five seconds.
const FAREWELL: Duration = Duration::from_secs(2);
/// The name of a client at the broker begins so.
const CLIENT: &str = "visavis-";

/// Where the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerConfig {
    /// Its host's name or address, without brackets.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// None: nothing is encrypted.
    pub tls: Option<TlsConfig>,
}

/// How a broker proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The file with the certificates of who vouches for it; none: those that the system trusts.
    pub authority: Option<PathBuf>,
}

/// What `visavis mqtt` is made of.
pub struct BridgeConfig {
    /// The broker.
    pub broker: BrokerConfig,
    /// The user there, if it wants one.
    pub user: Option<String>,
    /// The password there.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// The topic beneath which everything is.
    pub root: String,
    /// The topic beneath which Home Assistant looks for devices.
    pub discovery: String,
    /// Whether the door may be opened from there.
    pub may_release: bool,
    /// What the station is called.
    pub station_name: String,
    /// Where the station's control socket may be.
    pub control: Vec<PathBuf>,
}

/// Between a station and a broker.
pub struct Bridge {
    topics: Topics,
    session: Session,
    mirror: Mirror,
    asker: Asker,
    dialler: Dialler,
    stream: Option<Stream>,
    wake: Wake,
    /// Whether the station is gone, as was last said.
    is_station_gone: bool,
    /// What the station refuses may be asked for ever.
    refused: Seldom,
}

impl Bridge {
    /// Starts the threads; nobody has been dialled yet.
    ///
    /// # Errors
    /// Where the system refuses a thread or an eventfd.
    pub fn start(config: BridgeConfig) -> io::Result<Bridge> {
        let wake = Wake::new()?;
        let topics = Topics::beneath(&config.root);
        let session = Session::new(SessionConfig {
            client: format!("{CLIENT}{}", identifier(&config.station_name)),
            user: config.user,
            password: config.password,
            will: topics.availability(false),
            topics: topics.commands(),
        });
        let mirror = Mirror::new(MirrorConfig {
            topics: topics.clone(),
            discovery: config.discovery,
            may_release: config.may_release,
        });
        Ok(Bridge {
            topics,
            session,
            mirror,
            asker: Asker::start(&config.control, &wake)?,
            dialler: Dialler::new(config.broker, wake.clone()),
            stream: None,
            wake,
            is_station_gone: false,
            refused: Seldom::default(),
        })
    }

    /// The net loop: returns when `stop` is asked for.
    ///
    /// # Errors
    /// What `ppoll(2)` says.
    pub fn run(mut self, stop: &Stop) -> io::Result<()> {
        while !stop.is_stopped() {
            self.wake.drain();
            let now = clock::now();
            if self.stream.is_none()
                && let Some(stream) = self.dialler.poll(now)
            {
                self.session.handle_connected(now);
                self.stream = Some(stream);
            }
            self.hear_station(now);
            self.mirror.handle_timeout(now);
            self.hear_broker(now);
            self.move_words(now);
            self.write(now);
            self.wait(now, stop)?;
        }
        self.leave(clock::now())
    }

    fn hear_station(&mut self, now: Instant) {
        while let Ok(news) = self.asker.news.try_recv() {
            match news {
                News::Here => {
                    tracing::info!("the station is here");
                    self.is_station_gone = false;
                    self.mirror.handle_station();
                }
                News::Gone(why) => {
                    if !core::mem::replace(&mut self.is_station_gone, true) {
                        tracing::warn!("the station is not here: {why}");
                        self.mirror.handle_station_gone();
                    }
                }
                News::Event(event) => self.mirror.handle_event(&event),
                News::Status(status) if !self.is_station_gone => self.mirror.handle_status(now, *status),
                News::Status(_) => {}
                News::Picture { jpeg, is_ring } => self.mirror.handle_picture(jpeg, is_ring),
                News::Refused { what, why } => {
                    if let Some(unsaid) = self.refused.admit(now) {
                        tracing::info!("{what}: {why}{unsaid}");
                    }
                }
            }
        }
    }

    fn hear_broker(&mut self, now: Instant) {
        let Some(stream) = &mut self.stream else { return };
        let session = &mut self.session;
        let mut wrong = None;
        let is_open = stream.read(|bytes| {
            if wrong.is_none() {
                wrong = session.handle_bytes(now, bytes).err();
            }
        });
        let wrong = wrong.or(session.handle_timeout(now).err());
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::Welcome => {
                    self.dialler.handle_welcome(now);
                    self.mirror.handle_connected();
                }
                SessionEvent::Deaf(topic) => {
                    tracing::warn!(
                        "the broker does not let this user hear what is asked for at {topic}: see its rules (ACL)"
                    );
                }
                SessionEvent::Message(message) => {
                    if let Err(refusal) = self.mirror.handle_message(now, &message)
                        && let Some(unsaid) = self.mirror.is_said(now)
                    {
                        tracing::warn!("a message at {} is ignored: {refusal}{unsaid}", message.topic);
                    }
                }
            }
        }
        match wrong {
            Some(wrong) => self.hang_up(now, &wrong.to_string()),
            None if !is_open => self.hang_up(now, "has hung up"),
            None => {}
        }
    }

    fn hang_up(&mut self, now: Instant, why: &str) {
        self.stream = None;
        self.session.handle_closed(now);
        self.mirror.handle_disconnected();
        self.dialler.handle_failure(now, why);
    }

    /// From the mirror to the session, and to the station.
    fn move_words(&mut self, now: Instant) {
        while let Some(publication) = self.mirror.poll_publication() {
            self.session.publish(now, publication);
        }
        while let Some(wish) = self.mirror.poll_wish() {
            if let Wish::Act(action) = &wish {
                tracing::info!("asked for by MQTT: {action}");
            }
            if !self.asker.ask(now, wish) {
                tracing::debug!("the station is slow: a wish is forgotten");
            }
        }
    }

    fn write(&mut self, now: Instant) {
        while let Some(stream) = &mut self.stream
            && !self.session.output().is_empty()
        {
            match stream.write(self.session.output()) {
                Ok(0) => return,
                Ok(count) => self.session.handle_written(count),
                Err(error) => return self.hang_up(now, &format!("has hung up: {error}")),
            }
        }
    }

    fn wait(&self, now: Instant, stop: &Stop) -> io::Result<()> {
        let dial_at = if self.stream.is_some() { None } else { self.dialler.poll_timeout() };
        // TLS may hold what the kernel has already given it.
        let pending_at = self.stream.as_ref().is_some_and(Stream::has_pending).then_some(now);
        let timeouts = [dial_at, pending_at, self.session.poll_timeout(), self.mirror.poll_timeout()];
        let until = timeouts.into_iter().fold(None, earliest);
        let mut fds =
            vec![PollFd::new(stop.as_fd(), PollFlags::POLLIN), PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        if let Some(stream) = &self.stream {
            let output = if self.session.output().is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
            fds.push(PollFd::new(stream.as_fd(), PollFlags::POLLIN | output));
        }
        poll::wait(&mut fds, until)
    }

    /// Says that the station is not told of any more, and goodbye.
    fn leave(mut self, now: Instant) -> io::Result<()> {
        self.session.publish(now, self.topics.availability(false));
        let until = now + FAREWELL;
        while self.session.is_here() && !self.session.is_settled() && clock::now() < until {
            let now = clock::now();
            self.write(now);
            let Some(stream) = &self.stream else { return Ok(()) };
            let output = if self.session.output().is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
            poll::wait(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLIN | output)], Some(until))?;
            self.hear_broker(now);
        }
        self.session.leave();
        self.write(clock::now());
        Ok(())
    }
}
