//! A media server that is sent what this station sees and hears, for ever: a session, and when that ends the next one.

use super::audience::{Audience, World};
use super::viewers::publication_key;
use crate::identity::PublicKey;
use crate::station::socket::Socket;
use crate::sys::wake::Wake;
use crate::time::{Duration, Instant};
use crate::web::{Destination, Rtc, Url};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread::JoinHandle;

/// Between the first two tries; each time it doubles.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
/// Between two tries at most: a server that is back is found within a minute, and one that is gone is not bothered.
const AGAIN_MOST: Duration = Duration::from_secs(60);
/// A session that lasted so long was a good one: the next is tried soon.
const GOOD: Duration = Duration::from_secs(60);

/// How a try ended: a connection and the session's address, or words.
type Tried = Result<(Rtc, Option<Url>), String>;

/// What it is doing.
enum State {
    /// Nothing, until then.
    Waiting(Instant),
    /// A thread asks the server.
    Asking(Receiver<Tried>),
    /// Pictures and sound go there.
    Sending { session: Option<Url>, since: Instant },
}

/// One media server.
pub(super) struct Publication {
    name: String,
    key: PublicKey,
    destination: Arc<Destination>,
    /// Where pictures and sound go out.
    bound: SocketAddr,
    wake: Wake,
    state: State,
    again: Duration,
    /// What was last said about it.
    said: String,
}

impl Publication {
    /// Enters it in the address book, where it is new there.
    ///
    /// # Errors
    /// In words, why not.
    pub fn start(
        now: Instant,
        state: &Path,
        (name, destination): &(String, Destination),
        bound: SocketAddr,
        wake: Wake,
    ) -> Result<Publication, String> {
        let key = publication_key(state, name).map_err(|why| format!("[[web.publish]]: {why}"))?;
        Ok(Publication {
            name: name.clone(),
            key,
            destination: Arc::new(destination.clone()),
            bound,
            wake,
            state: State::Waiting(now),
            again: AGAIN_FIRST,
            said: String::new(),
        })
    }

    /// Does what is due.
    pub fn turn(&mut self, now: Instant, world: &World<'_>, audience: &mut Audience) {
        match &self.state {
            State::Waiting(until) if now >= *until => self.ask(now, world, audience),
            State::Waiting(_) => {}
            State::Asking(answer) => match answer.try_recv() {
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.wait(now, "it could not be asked".into()),
                Ok(Err(why)) => self.wait(now, why),
                Ok(Ok((rtc, session))) => {
                    audience.admit(now, self.name.clone(), self.key, rtc);
                    self.state = State::Sending { session, since: now };
                    self.say(format!("is published to, at {}", self.destination.url));
                }
            },
            State::Sending { since, .. } if !audience.has(&self.name, &self.key) => {
                if now.since(*since) >= GOOD {
                    self.again = AGAIN_FIRST;
                }
                // It takes as long as a network that is gone, and nobody waits for it.
                drop(self.unpublish());
                self.wait(now, "the connection ended".into());
            }
            State::Sending { .. } => {}
        }
    }

    /// When [`Publication::turn`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(until) => Some(until),
            State::Asking(_) | State::Sending { .. } => None,
        }
    }

    /// Ends the session, here and there; what is waited for then.
    pub fn leave(&mut self, audience: &mut Audience, socket: &mut Socket) -> Option<JoinHandle<()>> {
        audience.dismiss(&self.name, &self.key, socket);
        self.unpublish()
    }

    fn ask(&mut self, now: Instant, world: &World<'_>, audience: &Audience) {
        let may_look = world.book.by_key(&self.key).is_some_and(|entry| entry.rights.monitor);
        if !may_look || world.viewers.by_key(&self.key).is_none() {
            return self
                .wait(now, "it may not look on (visavis peers); after a new start it may, if it was forgotten".into());
        }
        if !audience.has_room(&self.key) {
            return self.wait(now, "too many look on already".into());
        }
        let (to_driver, answer) = sync_channel(1);
        let (destination, bound, wake) = (self.destination.clone(), self.bound, self.wake.clone());
        let publish = move || {
            let tried = destination.publish(now, bound);
            if let Err(returned) = to_driver.send(tried)
                && let Ok((_, Some(session))) = returned.0
            {
                // Nobody waits for it any more.
                destination.unpublish(&session, bound);
            }
            wake.signal();
        };
        match std::thread::Builder::new().name("publish".into()).spawn(publish) {
            Ok(_) => self.state = State::Asking(answer),
            Err(error) => self.wait(now, format!("there is no thread for it: {error}")),
        }
    }

    fn unpublish(&mut self) -> Option<JoinHandle<()>> {
        let State::Sending { session, .. } = &mut self.state else { return None };
        let session = session.take()?;
        let (destination, bound) = (self.destination.clone(), self.bound);
        let unpublish = move || destination.unpublish(&session, bound);
        std::thread::Builder::new().name("unpublish".into()).spawn(unpublish).ok()
    }

    fn wait(&mut self, now: Instant, why: String) {
        self.state = State::Waiting(now + self.again);
        self.again = (self.again * 2).min(AGAIN_MOST);
        self.say(why);
    }

    /// Says how it is, whenever that is another thing.
    fn say(&mut self, what: String) {
        if self.said != what {
            tracing::info!(peer = self.name, "{}: {what}", self.name);
            self.said = what;
        }
    }
}
