//! The edge: multicast DNS by `mdns-sd`, and the thread between it and the loop.
//!
//! `mdns-sd` has a thread with the sockets and a cache without a bound, and gives events on a channel. Our own thread
//! takes them, keeps the table, and wakes the loop at most five times a second. It also watches the cache: where somebody
//! fills it, everything is dropped and begun anew after a pause.

use super::announcement::{self, Announcement, SERVICE};
use super::table::Table;
use super::{Change, Found};
use crate::identity::{HINT_SALT_LEN, KeyHint, PublicKey, system_random};
use crate::sys::wake::Wake;
use mdns_sd::{IfKind, Receiver, ServiceDaemon, ServiceEvent};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The port of multicast DNS (RFC 6762 §3).
const MDNS_PORT: u16 = 5353;
/// Between two times that the loop is woken: people do not see it, and a storm costs the loop five looks a second.
const TELL_PAUSE: Duration = Duration::from_millis(200);
/// How often the cache is looked at while announcements come; and while none do.
const WATCH_BUSY: Duration = Duration::from_secs(1);
const WATCH_IDLE: Duration = Duration::from_secs(60);
/// Records in the cache of `mdns-sd` beyond which somebody floods it: a house of 64 stations makes some 600, of a few
/// hundred bytes each.
const CACHE_RECORDS_MAX: i64 = 5_000;
/// How long nothing is listened to after a flood. The stations that were found before are still called where they were.
const FLOOD_PAUSE: Duration = Duration::from_secs(30);
/// After so long whatever was announced is announced once more, as RFC 6762 §8.3 asks; a change waits for it. What
/// follows an announcement within a second is dropped (§6), and what an older one said counts for another one (§10.2).
const ANNOUNCE_AGAIN: Duration = Duration::from_millis(1_500);
/// How long the last words may take: telling everybody that this station leaves.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

/// How stations are looked for.
#[derive(Clone, Debug)]
pub struct Config {
    /// The interfaces to use, by name; all if empty.
    pub interfaces: Vec<String>,
    /// UDP port; 5353 but in tests.
    pub port: u16,
    /// How often the machine's own addresses are looked at; whole seconds.
    pub address_check: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config { interfaces: Vec::new(), port: MDNS_PORT, address_check: Duration::from_secs(5) }
    }
}

/// Announces this station and finds others. Dropping it takes the announcement back.
///
/// Its fd is readable when [`Finder::poll`] has something.
pub struct Finder {
    shared: Arc<Shared>,
    news: VecDeque<Change>,
    /// Dropped to end the thread's pauses.
    _alive: mpsc::Sender<()>,
}

/// What this station says, and since when.
struct Announced {
    what: Announcement,
    at: Instant,
    /// It is to be said once more.
    again: bool,
    /// It was not said yet.
    changed: bool,
}

impl Announced {
    fn now(what: Announcement) -> Announced {
        Announced { what, at: Instant::now(), again: true, changed: false }
    }
}

/// What both threads use.
struct Shared {
    config: Config,
    hint: KeyHint,
    daemon: Mutex<ServiceDaemon>,
    announced: Mutex<Announced>,
    table: Mutex<Table>,
    wake: Wake,
    /// There is something to fetch.
    ready: AtomicBool,
    stopped: AtomicBool,
}

impl Finder {
    /// Begins to announce and to look. The key of `announcement` stays what it is for as long as this lives.
    ///
    /// # Errors
    /// Where the system refuses threads or descriptors. A network that is missing is no error: it may come.
    pub fn start(config: Config, announcement: Announcement) -> io::Result<Finder> {
        let mut salt = [0; HINT_SALT_LEN];
        system_random(&mut salt);
        let hint = announcement.hint(salt);
        let (daemon, events) = listen(&config).map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            hint,
            daemon: Mutex::new(daemon),
            announced: Mutex::new(Announced::now(announcement.clone())),
            table: Mutex::new(Table::new(hint)),
            wake: Wake::new()?,
            ready: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            config,
        });
        shared.register(&announcement);
        let (alive, pauses) = mpsc::channel();
        let finder = Finder { shared: shared.clone(), news: VecDeque::new(), _alive: alive };
        std::thread::Builder::new().name("find".into()).spawn(move || shared.run(events, &pauses))?;
        Ok(finder)
    }

    /// Announces something else: another name, another port, pairing or not any more. It is heard two seconds later, after
    /// a farewell to what was announced before: others are told [`Change::Lost`], then [`Change::Found`].
    pub fn announce(&mut self, announcement: Announcement) {
        let mut announced = lock(&self.shared.announced);
        if announced.what == announcement {
            return;
        }
        // Taken back first: a text that goes back to what it was before was seen not to reach others. The
        // thread says the new one when the farewell has been heard.
        self.shared.unregister(&announced.what);
        *announced = Announced { changed: true, ..Announced::now(announcement) };
    }

    /// Whom the address book holds: their announcements keep their places when others fill the table.
    pub fn set_book(&mut self, keys: &[PublicKey]) {
        lock(&self.shared.table).set_book(keys);
    }

    /// What has changed. It never waits, and gives a bounded number of changes between two signals of the fd.
    pub fn poll(&mut self) -> Option<Change> {
        if self.news.is_empty() {
            // Before the flag is read: what is set afterwards signals anew.
            self.shared.wake.drain();
            if self.shared.ready.swap(false, Ordering::AcqRel) {
                lock(&self.shared.table).take_news(&mut self.news);
            }
        }
        self.news.pop_front()
    }
}

impl AsFd for Finder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.wake.as_fd()
    }
}

impl Drop for Finder {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        let daemon = lock(&self.shared.daemon);
        // It says goodbye for what is registered before it ends; if it cannot, the announcement runs out by itself.
        if let Ok(ended) = daemon.shutdown() {
            let _ = ended.recv_timeout(LEAVE_WITHIN);
        }
    }
}

impl Shared {
    /// The thread: takes events until the finder is dropped.
    fn run(&self, mut events: Receiver<ServiceEvent>, pauses: &mpsc::Receiver<()>) {
        let (mut told_at, mut watched_at) = (Instant::now(), Instant::now());
        while !self.stopped.load(Ordering::Acquire) {
            let news = lock(&self.table).has_news();
            let wait = if news { TELL_PAUSE.saturating_sub(told_at.elapsed()) } else { WATCH_IDLE };
            let event = events.recv_timeout(wait.min(self.announce_again()));
            // The channel ends where it overflowed, or its daemon did.
            let event_came = event.is_ok();
            let ended = !event_came && events.is_disconnected();
            if let Ok(event) = event {
                self.take(event);
            }
            if news && told_at.elapsed() >= TELL_PAUSE {
                told_at = Instant::now();
                self.ready.store(true, Ordering::Release);
                self.wake.signal();
            }
            let busy = watched_at.elapsed() >= if event_came { WATCH_BUSY } else { WATCH_IDLE };
            if ended || (busy && self.is_flooded()) {
                match self.begin_anew(pauses) {
                    Some(anew) => events = anew,
                    None => return,
                }
            }
            if busy {
                watched_at = Instant::now();
            }
        }
    }

    /// Announces once more if that is due; when it will be.
    fn announce_again(&self) -> Duration {
        let mut announced = lock(&self.announced);
        if !announced.again && !announced.changed {
            // Nothing wakes the thread where a change is made, so it looks so often: the channel is the one thing it
            // can wait on.
            return ANNOUNCE_AGAIN;
        }
        let left = ANNOUNCE_AGAIN.saturating_sub(announced.at.elapsed());
        if left.is_zero() {
            self.register(&announced.what);
            // What was new is said twice too.
            (announced.at, announced.again, announced.changed) = (Instant::now(), announced.changed, false);
        }
        left
    }

    fn take(&self, event: ServiceEvent) {
        match event {
            ServiceEvent::ServiceResolved(service) => {
                let found: Option<Found> = announcement::read(&service);
                let mut table = lock(&self.table);
                match found {
                    Some(found) => table.insert(found),
                    None => table.remove(&service.fullname),
                }
            }
            ServiceEvent::ServiceRemoved(_, instance) => lock(&self.table).remove(&instance),
            _ => {}
        }
    }

    fn is_flooded(&self) -> bool {
        let Ok(asked) = lock(&self.daemon).get_metrics() else { return false };
        let Ok(metrics) = asked.recv_timeout(WATCH_BUSY) else { return false };
        let cached = metrics.iter().filter(|(name, _)| name.starts_with("cached-"));
        cached.map(|(_, count)| *count).sum::<i64>() > CACHE_RECORDS_MAX
    }

    /// Drops the daemon with all that it holds and, after a pause, starts another. `None` where the finder was dropped.
    fn begin_anew(&self, pauses: &mpsc::Receiver<()>) -> Option<Receiver<ServiceEvent>> {
        if self.stopped.load(Ordering::Acquire) {
            return None;
        }
        tracing::warn!("too many announcements by multicast DNS; looking again in {} s", FLOOD_PAUSE.as_secs());
        let _ = lock(&self.daemon).shutdown();
        lock(&self.table).clear();
        loop {
            if pauses.recv_timeout(FLOOD_PAUSE) != Err(RecvTimeoutError::Timeout) {
                return None;
            }
            let mut daemon = lock(&self.daemon);
            // The finder may have been dropped meanwhile, and nobody would end the new one.
            if self.stopped.load(Ordering::Acquire) {
                return None;
            }
            if let Ok((anew, events)) = listen(&self.config) {
                *daemon = anew;
                drop(daemon);
                let mut announced = lock(&self.announced);
                (announced.at, announced.again, announced.changed) = (Instant::now(), true, false);
                self.register(&announced.what);
                return Some(events);
            }
        }
    }

    fn register(&self, announcement: &Announcement) {
        let service = announcement.service(&self.hint, &self.config.interfaces);
        if let Err(e) = service.and_then(|service| lock(&self.daemon).register(service)) {
            tracing::warn!("cannot announce {:?} by multicast DNS: {e}", announcement.name);
        }
    }

    fn unregister(&self, announcement: &Announcement) {
        if let Ok(service) = announcement.service(&self.hint, &[]) {
            let _ = lock(&self.daemon).unregister(service.get_fullname());
        }
    }
}

/// A daemon that looks for stations.
fn listen(config: &Config) -> mdns_sd::Result<(ServiceDaemon, Receiver<ServiceEvent>)> {
    let daemon = ServiceDaemon::new_with_port(config.port)?;
    daemon.set_ip_check_interval(u32::try_from(config.address_check.as_secs()).unwrap_or(u32::MAX))?;
    if !config.interfaces.is_empty() {
        daemon.disable_interface(IfKind::All)?;
        daemon.enable_interface(config.interfaces.iter().map(|name| IfKind::Name(name.clone())).collect::<Vec<_>>())?;
    }
    let events = daemon.browse(SERVICE)?;
    Ok((daemon, events))
}

/// What the lock guards is whole at every instant: a panic elsewhere leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
