//! One client of one broker: introduces itself, subscribes, sees to it that what must arrive does, and notices when the broker is
//! gone.
//!
//! **Nothing is kept for us while we are away, and nothing old passes for new.** The session is a clean one, so a broker forgets
//! what was meant for us when the connection ends. A connection itself may hold messages back for as long as TCP tries; so it is
//! asked for a sign of life every few seconds, and [`Message::is_timely`] is false as soon as one is overdue, or was asked for too
//! late since this program itself stood still: what arrives then, before that sign, may have waited somewhere.
//!
//! Of what we say, what is retained is said anew by whoever has it ([`SessionEvent::Welcome`]); an event that was not acknowledged
//! is repeated after a cut, as long as it is news ([`NEWS_FOR`]).

use super::packet::{self, Connect, Incoming, Publication, QoS, Reader};
use crate::time::{Duration, Instant};
use core::fmt;
use std::collections::VecDeque;
use zeroize::Zeroizing;

/// How long the broker may take to let us in.
const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// How often a sign of life is asked for. It is also how old a message can be without anybody noticing, and more.
const PING_EVERY: Duration = Duration::from_secs(5);
/// A broker in the house answers within milliseconds, one across the world within half a second.
const TIMELY: Duration = Duration::from_secs(2);
/// A broker that has not answered for so long is gone.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// After this and a half the broker says that we are gone (§3.1.2.10).
const KEEP_ALIVE_S: u16 = 15;
/// Somebody rang: for so long that is worth being told late.
const NEWS_FOR: Duration = Duration::from_secs(60);
/// Publications that wait for their acknowledgement: everything that a station says at once, twice.
const PENDING_MAX: usize = 64;
/// Bytes that wait for a slow network: a few pictures. Pictures beyond it are left out.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Messages that wait to be taken.
const EVENTS_MAX: usize = 32;

/// Who the client is, and what it wants.
pub struct SessionConfig {
    /// Its name at the broker; one that connects under the same name puts it out.
    pub client: String,
    /// Its user, where the broker wants one.
    pub user: Option<String>,
    /// And password.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// Where the broker says `offline` when the client is gone; retained.
    pub will: Publication,
    /// What it subscribes to.
    pub topics: Vec<String>,
}

/// A message to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its topic, one of ours.
    pub topic: String,
    /// Its content; `None`: more than any message to us has.
    pub payload: Option<Vec<u8>>,
    /// It has lain in the broker since who knows when.
    pub is_retained: bool,
    /// It was sent a few seconds ago at most, as far as can be told.
    pub is_timely: bool,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// The broker has let us in: everything is to be said anew.
    Welcome,
    /// Somebody wants something.
    Message(Message),
    /// The broker lets us not subscribe to a topic of ours.
    Deaf(String),
}

/// Why a connection is of no use; it is to be closed. `Display` says it after "the broker …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// It does not let us in, with MQTT's code for why (§3.2.2.3).
    Refused(u8),
    /// It sends what is not MQTT 3.1.1.
    Garbage,
    /// It does not answer.
    Silent,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SessionError::Refused(1) => "does not speak MQTT 3.1.1",
            SessionError::Refused(2) => "does not take this client's name",
            SessionError::Refused(3) => "is not ready yet",
            SessionError::Refused(4 | 5) => {
                "refuses user and password: see user and password_file under [mqtt] in station.toml"
            }
            SessionError::Refused(_) => "does not let us in, and does not say why",
            SessionError::Garbage => {
                "sends what is not MQTT: is the port right? 1883 is usual for mqtt://, 8883 for mqtts://"
            }
            SessionError::Silent => "does not answer",
        })
    }
}

impl std::error::Error for SessionError {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is no connection.
    Away,
    /// We have said who we are.
    Greeting { until: Instant },
    /// The broker has let us in.
    Here,
}

/// A publication that must arrive.
struct Pending {
    number: u16,
    publication: Publication,
    at: Instant,
    /// Whether it was given to this connection.
    is_sent: bool,
    /// Whether it was given to an earlier one, so that it may have arrived.
    is_repeated: bool,
}

/// One client.
pub struct Session {
    config: SessionConfig,
    state: State,
    reader: Reader,
    output: Vec<u8>,
    pending: VecDeque<Pending>,
    next_number: u16,
    events: VecDeque<SessionEvent>,
    ping_at: Instant,
    /// When the sign of life was asked for that is still to come.
    asked_at: Option<Instant>,
}

impl Session {
    /// Without a connection.
    pub fn new(config: SessionConfig) -> Session {
        Session {
            config,
            state: State::Away,
            reader: Reader::default(),
            output: Vec::new(),
            pending: VecDeque::new(),
            next_number: 1,
            events: VecDeque::new(),
            ping_at: Instant::ZERO,
            asked_at: None,
        }
    }

    /// There is a new connection to the broker.
    pub fn handle_connected(&mut self, now: Instant) {
        self.handle_closed(now);
        self.state = State::Greeting { until: now + WELCOME_WITHIN };
        let config = &self.config;
        let connect = Connect {
            client: &config.client,
            will: (&config.will.topic, &config.will.payload),
            user: config.user.as_deref(),
            password: config.password.as_ref().map(|password| password.as_slice()),
            keep_alive_s: KEEP_ALIVE_S,
        };
        packet::write_connect(&connect, &mut self.output);
    }

    /// The connection is gone. Events that did not arrive are kept while they are news.
    pub fn handle_closed(&mut self, now: Instant) {
        (self.state, self.reader, self.asked_at) = (State::Away, Reader::default(), None);
        self.output.clear();
        self.events.clear();
        self.pending.retain_mut(|pending| {
            pending.is_repeated |= core::mem::take(&mut pending.is_sent);
            !pending.publication.is_retained && now.since(pending.at) < NEWS_FOR
        });
    }

    /// Takes in what the broker sent.
    ///
    /// # Errors
    /// What ends the connection.
    pub fn handle_bytes(&mut self, now: Instant, mut bytes: &[u8]) -> Result<(), SessionError> {
        while !bytes.is_empty() {
            bytes = &bytes[self.reader.handle_bytes(bytes)..];
            while let Some(incoming) = self.reader.poll().map_err(|_| SessionError::Garbage)? {
                self.handle_packet(now, incoming)?;
            }
        }
        Ok(())
    }

    fn handle_packet(&mut self, now: Instant, incoming: Incoming) -> Result<(), SessionError> {
        match (incoming, self.state) {
            (Incoming::ConnectAnswer(0), State::Greeting { .. }) => self.welcome(now),
            (Incoming::ConnectAnswer(code), State::Greeting { .. }) => return Err(SessionError::Refused(code)),
            (_, State::Away | State::Greeting { .. }) | (Incoming::ConnectAnswer(_), State::Here) => {
                return Err(SessionError::Garbage);
            }
            (Incoming::Publish { topic, payload, is_retained, number }, State::Here) => {
                let is_timely = self.is_timely(now);
                self.take(Message { topic, payload: Some(payload), is_retained, is_timely }, number);
            }
            (Incoming::Oversized { topic, number }, State::Here) => {
                let is_timely = self.is_timely(now);
                self.take(Message { topic, payload: None, is_retained: false, is_timely }, number);
            }
            (Incoming::PublishAnswer(number), State::Here) => {
                self.pending.retain(|pending| pending.number != number || !pending.is_sent);
            }
            (Incoming::SubscribeAnswer(codes), State::Here) => {
                let refused = self.config.topics.iter().zip(codes).filter(|(_, code)| *code == 0x80);
                self.events.extend(refused.map(|(topic, _)| SessionEvent::Deaf(topic.clone())));
            }
            (Incoming::Pong, State::Here) => self.asked_at = None,
        }
        Ok(())
    }

    fn welcome(&mut self, now: Instant) {
        (self.state, self.ping_at) = (State::Here, now + PING_EVERY);
        if !self.config.topics.is_empty() {
            let number = self.number();
            packet::write_subscribe(number, &self.config.topics, &mut self.output);
        }
        self.events.push_back(SessionEvent::Welcome);
        self.flush();
    }

    fn take(&mut self, message: Message, number: Option<u16>) {
        // Acknowledged whatever becomes of it: one that cannot be taken now is stale when it comes again.
        if let Some(number) = number {
            packet::write_publish_answer(number, &mut self.output);
        }
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(SessionEvent::Message(message));
        }
    }

    /// Says something, or keeps it for as long as it is news.
    pub fn publish(&mut self, now: Instant, publication: Publication) {
        if publication.qos == QoS::AtMostOnce {
            if self.state == State::Here && self.output.len() < OUTPUT_BYTES_MAX {
                packet::write_publish(&publication, None, false, &mut self.output);
            }
            return;
        }
        let is_same = |pending: &Pending| {
            !pending.is_sent && pending.publication.is_retained && pending.publication.topic == publication.topic
        };
        if publication.is_retained && self.state != State::Here {
            return;
        }
        self.pending.retain(|pending| !is_same(pending));
        if self.pending.len() == PENDING_MAX {
            self.pending.pop_front();
        }
        let number = self.number();
        self.pending.push_back(Pending { number, publication, at: now, is_sent: false, is_repeated: false });
        self.flush();
    }

    /// A number that no other publication has; there are many more than may be pending.
    fn number(&mut self) -> u16 {
        loop {
            let number = self.next_number;
            self.next_number = self.next_number.wrapping_add(1).max(1);
            if !self.pending.iter().any(|pending| pending.number == number) {
                return number;
            }
        }
    }

    fn flush(&mut self) {
        if self.state != State::Here {
            return;
        }
        for pending in self.pending.iter_mut().filter(|pending| !pending.is_sent) {
            if self.output.len() >= OUTPUT_BYTES_MAX {
                return;
            }
            pending.is_sent = true;
            packet::write_publish(&pending.publication, Some(pending.number), pending.is_repeated, &mut self.output);
        }
    }

    /// Says goodbye: the broker will not say that we are gone, so that is to be said before.
    pub fn leave(&mut self) {
        if self.state == State::Here {
            packet::write_disconnect(&mut self.output);
        }
    }

    /// To be called at [`Session::poll_timeout`], and as well at any other time.
    ///
    /// # Errors
    /// [`SessionError::Silent`].
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        match self.state {
            State::Greeting { until } if now >= until => return Err(SessionError::Silent),
            State::Here => {}
            State::Away | State::Greeting { .. } => return Ok(()),
        }
        if self.asked_at.is_some_and(|at| now >= at + ANSWER_WITHIN) {
            return Err(SessionError::Silent);
        }
        if self.asked_at.is_none() && now >= self.ping_at {
            (self.asked_at, self.ping_at) = (Some(now), now + PING_EVERY);
            packet::write_ping(&mut self.output);
        }
        Ok(())
    }

    /// When [`Session::handle_timeout`] is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Away => None,
            State::Greeting { until } => Some(until),
            State::Here => Some(self.asked_at.map_or(self.ping_at, |at| at + ANSWER_WITHIN)),
        }
    }

    /// What happened, one after the other.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Bytes for the broker; [`Session::handle_written`] says how many have gone.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// So many bytes of [`Session::output`] have gone.
    pub fn handle_written(&mut self, bytes: usize) {
        self.output.drain(..bytes.min(self.output.len()));
        self.flush();
    }

    /// Whether the broker has let us in.
    pub fn is_here(&self) -> bool {
        self.state == State::Here
    }

    /// Whether everything that was said has arrived, as far as it must.
    pub fn is_settled(&self) -> bool {
        self.output.is_empty() && self.pending.is_empty()
    }

    /// Whether what comes now was sent just now, as far as can be told.
    fn is_timely(&self, now: Instant) -> bool {
        now < self.asked_at.unwrap_or(self.ping_at) + TIMELY
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what must arrive does, once the broker is there again, and nothing old passes for new. Method: packets of a broker,
    //! written here, in simulated time.
    use super::*;

    const NOW: Instant = Instant::from_nanos(1_000_000_000);
    const WELCOME: &[u8] = b"\x20\x02\0\0";

    fn publication(topic: &str, payload: &str, is_retained: bool) -> Publication {
        Publication { topic: topic.into(), payload: payload.into(), qos: QoS::AtLeastOnce, is_retained }
    }

    fn session() -> Session {
        Session::new(SessionConfig {
            client: "visavis-door".into(),
            user: None,
            password: None,
            will: publication("v/availability", "offline", true),
            topics: vec!["v/do".into(), "v/door/set".into()],
        })
    }

    fn written(session: &mut Session) -> Vec<u8> {
        let bytes = session.output().to_vec();
        session.handle_written(bytes.len());
        bytes
    }

    fn welcome(session: &mut Session, now: Instant) -> Vec<u8> {
        session.handle_connected(now);
        assert_eq!(written(session)[0], 0x10);
        session.handle_bytes(now, WELCOME).unwrap();
        assert_eq!(session.poll_event(), Some(SessionEvent::Welcome));
        written(session)
    }

    #[test]
    fn it_subscribes_when_it_is_let_in_and_says_where_it_may_not() {
        let mut session = session();
        assert_eq!(welcome(&mut session, NOW), b"\x82\x16\0\x01\0\x04v/do\x01\0\x0av/door/set\x01");
        session.handle_bytes(NOW, b"\x90\x04\0\x01\x01\x80").unwrap();
        assert_eq!(session.poll_event(), Some(SessionEvent::Deaf("v/door/set".into())));
        let mut refused = self::session();
        refused.handle_connected(NOW);
        assert_eq!(refused.handle_bytes(NOW, b"\x20\x02\0\x05"), Err(SessionError::Refused(5)));
        assert!(SessionError::Refused(5).to_string().contains("password_file"));
        assert_eq!(self::session().handle_bytes(NOW, WELCOME), Err(SessionError::Garbage), "nobody asked");
    }

    #[test]
    fn an_event_that_was_not_acknowledged_is_repeated_while_it_is_news() {
        let mut session = session();
        welcome(&mut session, NOW);
        session.publish(NOW, publication("v/event", "ring", false));
        session.publish(NOW, publication("v/state", "ringing", true));
        assert_eq!(written(&mut session), b"\x32\x0f\0\x07v/event\0\x02ring\x33\x12\0\x07v/state\0\x03ringing");
        let later = NOW + NEWS_FOR / 2;
        session.handle_closed(later);
        let again = welcome(&mut session, later);
        assert!(again.ends_with(b"\x3a\x0f\0\x07v/event\0\x02ring"), "{again:?}");
        assert!(!again.windows(7).any(|part| part == b"ringing"), "what is retained is said anew by whoever knows it");
        session.handle_bytes(later, b"\x40\x02\0\x02").unwrap();
        assert!(session.is_settled());

        session.publish(later, publication("v/event", "ring", false));
        session.handle_closed(later);
        session.publish(later, publication("v/event", "call", false));
        let stale = welcome(&mut session, later + NEWS_FOR);
        assert!(!stale.windows(7).any(|part| part == b"v/event"), "nobody stands there any more");
    }

    #[test]
    fn a_message_is_acknowledged_and_told_once_with_whether_it_was_kept() {
        let mut session = session();
        welcome(&mut session, NOW);
        session.handle_bytes(NOW, b"\x33\x0c\0\x04v/do\0\x09quit").unwrap();
        assert_eq!(written(&mut session), b"\x40\x02\0\x09");
        let payload = Some(b"quit".to_vec());
        let message = Message { topic: "v/do".into(), payload, is_retained: true, is_timely: true };
        assert_eq!(session.poll_event(), Some(SessionEvent::Message(message)));
        assert_eq!(session.poll_event(), None);
    }

    #[test]
    fn a_broker_that_gives_no_sign_of_life_is_neither_timely_nor_for_long_there() {
        let mut session = session();
        welcome(&mut session, NOW);
        let asked = session.poll_timeout().unwrap();
        assert_eq!(asked, NOW + PING_EVERY);
        session.handle_timeout(asked).unwrap();
        assert_eq!(written(&mut session), b"\xc0\0");
        let is_timely = |session: &mut Session, at: Instant, bytes: &[u8]| {
            session.handle_bytes(at, bytes).unwrap();
            match session.poll_event() {
                Some(SessionEvent::Message(message)) => message.is_timely,
                other => panic!("{other:?}"),
            }
        };
        let message = b"\x30\x06\0\x04v/do";
        assert!(is_timely(&mut session, asked + TIMELY / 2, message));
        // A cut has ended: what waited comes before the sign of life, and with it.
        assert!(!is_timely(&mut session, asked + TIMELY, &[&message[..], b"\xd0\0"].concat()));
        assert!(is_timely(&mut session, asked + TIMELY, message));
        // This program stood still, and has not even asked.
        let much_later = session.poll_timeout().unwrap() + TIMELY;
        assert!(!is_timely(&mut session, much_later, message));

        let asked = session.poll_timeout().unwrap();
        session.handle_timeout(asked).unwrap();
        assert_eq!(session.handle_timeout(asked + ANSWER_WITHIN), Err(SessionError::Silent));
    }

    #[test]
    fn what_waits_for_a_slow_network_is_bounded_and_the_newest_state_counts() {
        let mut session = session();
        welcome(&mut session, NOW);
        let picture = Publication { qos: QoS::AtMostOnce, ..publication("v/picture", &"x".repeat(1 << 18), true) };
        for _ in 0..100 {
            session.publish(NOW, picture.clone());
        }
        assert!(session.output().len() < OUTPUT_BYTES_MAX + (1 << 19));
        for number in 0..200 {
            session.publish(NOW, publication("v/state", &format!("state {number}"), true));
        }
        for _ in 0..2 * PENDING_MAX {
            session.publish(NOW, publication("v/event", "ring", false));
        }
        assert!(session.pending.len() <= PENDING_MAX);
        let mut session = self::session();
        welcome(&mut session, NOW);
        session.output = vec![0; OUTPUT_BYTES_MAX];
        for state in ["idle", "ringing", "talking"] {
            session.publish(NOW, publication("v/state", state, true));
        }
        session.output.clear();
        session.handle_written(0);
        assert!(session.output().ends_with(b"talking") && session.pending.len() == 1);
    }
}
