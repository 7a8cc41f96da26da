//! `visavis web`: the net loop of the handsets, which are the stations that browsers are.
//!
//! Each browser that was let in and has the page open has a [`Handset`]: a link to the station over loopback, a
//! [`Call`](crate::call::Call) of its own, and WebRTC to the browser. The station knows of none of this: it has one more
//! station in its address book, which comes when a page is opened and goes when it is closed. Who only looks on, by a token,
//! is in the [`Audience`], which is one more such station. This process has no device.

mod audience;
mod handset;
mod line;
mod publication;
mod status;
mod viewers;

pub use viewers::admit_viewer;

use self::audience::{Audience, World};
use self::handset::Handset;
use self::publication::Publication;
use super::invitation::Page;
use super::socket::{IpVersion, Socket};
use crate::identity::{AddressBook, Entry, PublicKey};
use crate::panel::client::Client;
use crate::panel::protocol::{Answer, Request};
use crate::sys::calendar::unix_ms;
use crate::sys::wake::{Stop, Wake};
use crate::sys::{clock, poll};
use crate::time::{Duration, Instant, earliest};
use crate::web::{
    Ask, Certificate, Destination, Guests, Inviter, Refused, Rtc, Server, ServerConfig, Token, WEB_DIRECTORY,
};
use nix::poll::{PollFd, PollFlags};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// Pages open at once. Each is a link, and while there is a call a stream of pictures.
const HANDSETS_MAX: usize = 8;
/// How often the address book is looked at: who was forgotten is gone within this time.
const BOOK_AGAIN: Duration = Duration::from_secs(2);
/// Datagrams read before anything else gets its turn.
const RECEIVE_BURST: usize = 256;
/// The largest datagram of WebRTC: an Ethernet frame's.
const DATAGRAM_BYTES: usize = 1_500;

/// What `visavis web` is made of.
pub struct HandsetConfig {
    /// Where the page is served; pictures and sound go through the UDP port of the same number.
    pub page: Page,
    /// The station's state directory: its address book, and the guests.
    pub state: PathBuf,
    /// Where the station's control socket may be.
    pub control: Vec<PathBuf>,
    /// What the station is called.
    pub station_name: String,
    /// Its key.
    pub station_key: PublicKey,
    /// Its port on this machine.
    pub station_port: u16,
    /// Media servers that are published to, by what they are called in the address book.
    pub publish: Vec<(String, Destination)>,
}

/// All handsets, the page's port, and the port of WebRTC.
pub struct Handsets {
    config: HandsetConfig,
    server: Server,
    wake: Wake,
    rtc_socket: Socket,
    inviter: Inviter,
    guests: Guests,
    viewers: Guests,
    book: AddressBook,
    book_at: Instant,
    handsets: Vec<Handset>,
    audience: Audience,
    publications: Vec<Publication>,
}

impl Handsets {
    /// Binds the ports and reads who was let in.
    ///
    /// # Errors
    /// In words: a port that is taken, a file that cannot be read, and what to do.
    pub fn start(config: HandsetConfig) -> Result<Handsets, String> {
        let directory = config.state.join(WEB_DIRECTORY);
        let Page { listen, hosts } = config.page.clone();
        let host = hosts.first().map_or("visavis", String::as_str);
        let certificate = Certificate::load_or_create(&directory, host).map_err(|error| error.to_string())?;
        let inviter = Inviter::load_or_create(&directory).map_err(|error| error.to_string())?;
        let (guests, viewers) = (Guests::load(&directory)?, Guests::load_viewers(&directory)?);
        let book = AddressBook::load(&config.state).map_err(|error| error.to_string())?;
        let wake = Wake::new().map_err(|error| format!("cannot make an eventfd: {error}"))?;
        tracing::info!("the page's certificate has the SHA-256 fingerprint {}", certificate.fingerprint());
        let taken = |error: io::Error| format!("[web] listen = \"{listen}\": {error}");
        let server = Server::start(ServerConfig { listen, certificate, hosts }, wake.clone()).map_err(taken)?;
        let local = Some(listen.ip()).filter(|ip| !ip.is_unspecified());
        let version = if listen.is_ipv4() { IpVersion::V4 } else { IpVersion::Both };
        let rtc_socket = Socket::bind(version, local, server.address().port()).map_err(taken)?;
        tracing::info!("the page is at https://{}", server.address());
        let now = clock::now();
        let bound = SocketAddr::new(listen.ip(), server.address().port());
        let publish = config.publish.iter().map(|to| Publication::start(now, &config.state, to, bound, wake.clone()));
        let publications = publish.collect::<Result<Vec<_>, _>>()?;
        Ok(Handsets {
            config,
            server,
            wake,
            rtc_socket,
            inviter,
            guests,
            viewers,
            book,
            // Publications may have entered it just now.
            book_at: now,
            handsets: Vec::new(),
            audience: Audience::default(),
            publications,
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
            self.receive(now);
            while let Ok(asked) = self.server.asks.try_recv() {
                let answer = self.answer(now, asked.by.as_ref(), asked.ask);
                // Whoever asked may have gone meanwhile.
                let _ = asked.answer.try_send(answer);
            }
            self.look_at_book(now);
            for handset in &mut self.handsets {
                handset.turn(now, &mut self.rtc_socket);
            }
            self.handsets.retain_mut(|handset| {
                let stays = handset.is_wanted(now);
                if !stays {
                    handset.leave(now, &mut self.rtc_socket);
                }
                stays
            });
            let world = World { config: &self.config, viewers: &self.viewers, book: &self.book };
            for publication in &mut self.publications {
                publication.turn(now, &world, &mut self.audience);
            }
            self.audience.turn(now, &world, &mut self.rtc_socket);
            self.wait(stop)?;
        }
        let leave = |publication: &mut Publication| publication.leave(&mut self.audience, &mut self.rtc_socket);
        let leaving: Vec<_> = self.publications.iter_mut().filter_map(leave).collect();
        self.audience.leave(clock::now(), &mut self.rtc_socket);
        for handset in &mut self.handsets {
            handset.leave(clock::now(), &mut self.rtc_socket);
        }
        // Bounded, by what any server may take; and one that panics is said already.
        leaving.into_iter().for_each(|thread| drop(thread.join()));
        Ok(())
    }

    fn receive(&mut self, now: Instant) {
        let mut buffer = [0; DATAGRAM_BYTES];
        for _ in 0..RECEIVE_BURST {
            let Some((len, from, _)) = self.rtc_socket.receive(&mut buffer) else { break };
            let datagram = &buffer[..len];
            // What is for nobody is a stranger's, or of a connection that is over.
            if let Some(handset) = self.handsets.iter_mut().find(|handset| handset.accepts(now, from, datagram)) {
                handset.handle_browser_datagram(now, from, datagram);
            } else {
                self.audience.handle_datagram(now, from, datagram);
            }
        }
    }

    fn wait(&self, stop: &Stop) -> io::Result<()> {
        let until = self.handsets.iter().map(Handset::poll_timeout).fold(Some(self.book_at), earliest);
        let until = self.publications.iter().map(Publication::poll_timeout).fold(until, earliest);
        let until = earliest(until, self.audience.poll_timeout());
        let own = [stop.as_fd(), self.wake.as_fd(), self.rtc_socket.as_fd()];
        let all = own.into_iter().chain(self.handsets.iter().map(Handset::as_fd)).chain(self.audience.as_fd());
        let mut fds: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        poll::wait(&mut fds, until)
    }

    /// Who was forgotten is sent away; what who stays may do is as the book says now.
    fn look_at_book(&mut self, now: Instant) {
        if now < self.book_at {
            return;
        }
        self.book_at = now + BOOK_AGAIN;
        match AddressBook::load(&self.config.state) {
            Ok(book) if book == self.book => return,
            Ok(book) => self.book = book,
            Err(error) => return tracing::debug!("the address book cannot be read now: {error}"),
        }
        self.look_at_viewers();
        let book = &self.book;
        self.audience.follow_book(book, &mut self.rtc_socket);
        match self.guests.retain(|key| book.by_key(key).is_some()) {
            Ok(true) => tracing::info!("a browser was forgotten"),
            Ok(false) => {}
            Err(error) => tracing::warn!("a browser was forgotten, and is still on the disk: {error}"),
        }
        self.handsets.retain_mut(|handset| match book.by_key(&handset.key()) {
            Some(entry) => {
                handset.set_entry(entry);
                true
            }
            None => {
                handset.leave(now, &mut self.rtc_socket);
                false
            }
        });
    }

    /// Tokens are made beside this process: the station has to know of a new one, too.
    fn look_at_viewers(&mut self) {
        match Guests::load_viewers(&self.config.state.join(WEB_DIRECTORY)) {
            Ok(viewers) => {
                let is_new = viewers.keys().any(|key| self.viewers.by_key(key).is_none());
                self.viewers = viewers;
                if is_new {
                    self.tell_station();
                }
            }
            Err(error) => tracing::debug!("{error}"),
        }
    }

    fn answer(&mut self, now: Instant, by: Option<&Token>, ask: Ask) -> Result<String, Refused> {
        match ask {
            Ask::Join { invitation, name } => self.join(&invitation, &name).map_err(Refused::Because),
            Ask::View { session, sdp, local } => self.view(now, by, session, &sdp, local),
            Ask::Leave { session } => {
                let key = self.viewer(by)?;
                let is_over = self.audience.dismiss(&session, &key, &mut self.rtc_socket);
                is_over.then(String::new).ok_or(Refused::Gone)
            }
            ask => self.answer_browser(now, by, ask),
        }
    }

    /// Whose token this is, of those who may look on.
    fn viewer(&self, by: Option<&Token>) -> Result<PublicKey, Refused> {
        let viewer = by.and_then(|token| self.viewers.known(token)).ok_or(Refused::Stranger)?;
        let may = |entry: &&Entry| entry.rights.monitor;
        self.book.by_key(&viewer.key).filter(may).map(|entry| entry.key).ok_or(Refused::Stranger)
    }

    fn view(
        &mut self,
        now: Instant,
        by: Option<&Token>,
        session: String,
        sdp: &str,
        local: SocketAddr,
    ) -> Result<String, Refused> {
        let key = self.viewer(by)?;
        if !self.audience.has_room(&key) {
            return Err(Refused::Full);
        }
        let local = SocketAddr::new(local.ip(), self.server.address().port());
        let (rtc, answer) = Rtc::answer(now, sdp, local).map_err(|error| Refused::Unusable(error.to_string()))?;
        self.audience.admit(now, session, key, rtc);
        Ok(answer)
    }

    fn answer_browser(&mut self, now: Instant, by: Option<&Token>, ask: Ask) -> Result<String, Refused> {
        let guest = by.and_then(|token| self.guests.known(token)).ok_or(Refused::Stranger)?;
        let entry = self.book.by_key(&guest.key).ok_or(Refused::Stranger)?;
        let because = |words: String| Refused::Because(words);
        let place = self.handsets.iter().position(|handset| handset.key() == guest.key);
        let handset = match (place, &ask) {
            (Some(place), _) => &mut self.handsets[place],
            (None, Ask::Watch(_)) if self.handsets.len() < HANDSETS_MAX => {
                let handset = Handset::start(now, &self.config, guest, entry);
                self.handsets.push(handset.map_err(|error| because(format!("the station has no room: {error}")))?);
                self.handsets.last_mut().ok_or(Refused::Stranger)?
            }
            (None, Ask::Watch(_)) => return Err(because(format!("{HANDSETS_MAX} pages are open; close one"))),
            (None, _) => return Err(because("the page was closed; load it again".into())),
        };
        match ask {
            Ask::Watch(events) => handset.watch(events),
            Ask::Act(action) => handset.act(now, &action).map_err(because)?,
            Ask::Offer { sdp, local } => {
                let local = SocketAddr::new(local.ip(), self.server.address().port());
                let (rtc, answer) = Rtc::answer(now, &sdp, local).map_err(|error| because(error.to_string()))?;
                handset.connect(now, rtc, &mut self.rtc_socket);
                return Ok(answer);
            }
            // Answered already.
            Ask::Join { .. } | Ask::View { .. } | Ask::Leave { .. } => {}
        }
        Ok(String::new())
    }

    /// Lets a browser in: it becomes a station of the address book. What it is to show from now on.
    fn join(&mut self, invitation: &str, name: &str) -> Result<String, String> {
        let invitation = self.inviter.read(unix_ms() / 1_000, invitation.trim());
        let invitation = invitation.ok_or("this invitation does not hold, or no longer: ask for another one")?;
        let (cookie, guest) = self.guests.admit(invitation.number)?;
        let entry = |name: String| Entry { name, key: guest.key, rights: invitation.rights, addresses: Vec::new() };
        let added = AddressBook::update(&self.config.state, |book| {
            let name = book.unused_name(name);
            book.add(entry(name.clone())).map(|()| name).map_err(BookError)
        });
        let name = match added {
            Ok(name) => name,
            Err(BookError(why)) => {
                // It is in no book, so this forgets it again.
                let _ = self.guests.retain(|key| *key != guest.key);
                return Err(why);
            }
        };
        self.book = AddressBook::load(&self.config.state).map_err(|error| error.to_string())?;
        // It may have other new entries, too, which are looked for only where the book is another.
        self.look_at_viewers();
        tracing::info!(peer = name, "{name} was let in by an invitation");
        self.tell_station();
        Ok(cookie)
    }

    /// Has the running station look at its book; one that does not run will when it starts.
    fn tell_station(&self) {
        let told = Client::connect(&self.config.control)
            .and_then(|mut client| client.ask(&Request::Act("rescan".into())))
            .map_err(|error| error.to_string());
        match told {
            Ok(Answer::Done) => {}
            Ok(other) => tracing::warn!("the station does not look at its address book: {other:?}"),
            Err(why) => tracing::warn!("the station is not told who is new: {why}"),
        }
    }
}

/// Why the book is not changed, in words.
struct BookError(String);

impl From<crate::identity::IdentityError> for BookError {
    fn from(error: crate::identity::IdentityError) -> BookError {
        BookError(error.to_string())
    }
}
