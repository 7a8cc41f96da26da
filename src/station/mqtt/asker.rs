//! What is asked of the station, and what it tells: threads that wait for it, so that the net loop does not.

use crate::call::Action;
use crate::mqtt::Wish;
use crate::panel::client::{Client, ClientError};
use crate::panel::protocol::{Answer, Event, Look, Request, Status};
use crate::sys::clock;
use crate::sys::wake::Wake;
use crate::time::{Duration, Instant};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// How long somebody who asks for something keeps wanting it, as for a door between stations: what the station was not asked for
/// by then is forgotten.
const WANTED: Duration = Duration::from_secs(4);
/// What waits for the station: more than a person asks for while it starts.
const WISHES_MAX: usize = 8;
/// What the station has told and the net loop has not taken yet: a night's events.
const NEWS_MAX: usize = 256;
/// How often a station that is not there is looked for.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// What is heard of the station.
pub(super) enum News {
    /// It is there, and told of from now on.
    Here,
    /// It is not, for this reason.
    Gone(String),
    /// Something happened.
    Event(Event),
    /// How things are.
    Status(Box<Status>),
    /// A picture, in JPEG.
    Picture { jpeg: Vec<u8>, is_ring: bool },
    /// It does not do what it was asked for.
    Refused { what: String, why: String },
}

/// The threads' ends.
pub(super) struct Asker {
    acts: SyncSender<(Instant, Wish)>,
    /// Apart from acts, since pictures take seconds.
    looks: SyncSender<(Instant, Wish)>,
    pub news: Receiver<News>,
}

impl Asker {
    /// Starts the threads. They end with the process, or when the asker is dropped and they have something to say.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn start(control: &[PathBuf], wake: &Wake) -> io::Result<Asker> {
        let (tell, news) = sync_channel(NEWS_MAX);
        let say = Say { tell, wake: wake.clone(), control: control.to_vec() };
        let (acts, looks) = (say.asking("acts")?, say.asking("looks")?);
        std::thread::Builder::new().name("watch".into()).spawn(move || say.watch())?;
        Ok(Asker { acts, looks, news })
    }

    /// Asks the station, soon; false where too much waits already.
    pub fn ask(&self, now: Instant, wish: Wish) -> bool {
        let to = if matches!(wish, Wish::Look { .. }) { &self.looks } else { &self.acts };
        !matches!(to.try_send((now, wish)), Err(TrySendError::Full(_)))
    }
}

#[derive(Clone)]
struct Say {
    tell: SyncSender<News>,
    wake: Wake,
    control: Vec<PathBuf>,
}

impl Say {
    /// False when nobody listens any more.
    fn say(&self, news: News) -> bool {
        let is_heard = self.tell.send(news).is_ok();
        self.wake.signal();
        is_heard
    }

    /// Follows the station for ever; says when it comes and goes.
    fn watch(&self) {
        loop {
            let gone = match self.follow() {
                Ok(()) => return,
                Err(why) => News::Gone(why.to_string()),
            };
            if !self.say(gone) {
                return;
            }
            std::thread::sleep(AGAIN);
        }
    }

    /// Until the station is gone, or nobody listens.
    fn follow(&self) -> Result<(), ClientError> {
        let mut client = Client::connect(&self.control)?;
        client.ask(&Request::Watch)?;
        if !self.say(News::Here) {
            return Ok(());
        }
        loop {
            if !self.say(News::Event(client.next_event()?)) {
                return Ok(());
            }
        }
    }

    /// A thread that asks one thing after the other.
    fn asking(&self, name: &str) -> io::Result<SyncSender<(Instant, Wish)>> {
        let (ask, wishes) = sync_channel::<(Instant, Wish)>(WISHES_MAX);
        let say = self.clone();
        std::thread::Builder::new().name(name.into()).spawn(move || {
            for (at, wish) in wishes {
                if let Some(news) = say.answer(at, wish)
                    && !say.say(news)
                {
                    return;
                }
            }
        })?;
        Ok(ask)
    }

    fn answer(&self, at: Instant, wish: Wish) -> Option<News> {
        let (what, request) = match &wish {
            Wish::Act(action) => (action.to_string(), Request::Act(action.to_string())),
            Wish::Status => ("status".to_owned(), Request::Status),
            Wish::Look { look: Look::Camera, .. } => ("a picture".to_owned(), Request::Still(Look::Camera)),
            Wish::Look { look: Look::Call, .. } => {
                ("a picture of the other station".to_owned(), Request::Still(Look::Call))
            }
        };
        let refused = |why: String| Some(News::Refused { what: what.clone(), why });
        if clock::now().since(at) > WANTED && !matches!(wish, Wish::Status) {
            return refused("the station was not to be reached in time".into());
        }
        // Each on a connection of its own: the station drops those that ask nothing for long.
        match Client::connect(&self.control).and_then(|mut client| client.ask(&request)) {
            Ok(Answer::Done) => None,
            Ok(Answer::Status(status)) => Some(News::Status(status)),
            Ok(Answer::Still(jpeg)) => {
                Some(News::Picture { jpeg, is_ring: matches!(wish, Wish::Look { is_ring: true, .. }) })
            }
            Ok(Answer::Refused(why)) => refused(why),
            Ok(other) => refused(format!("the station answered something else: {other:?}")),
            // That it is gone is said by who watches it.
            Err(error) if matches!(wish, Wish::Act(Action::ReleaseHere)) => refused(error.to_string()),
            Err(error) => {
                tracing::debug!("{what}: {error}");
                None
            }
        }
    }
}
