//! A film played at its own pace.

use super::{Film, FilmClock, Next};
use crate::device::camera::SourceCounts;
use crate::device::{Fault, FaultKind, FrameBuffer, VideoSource};
use crate::media::VideoFormat;
use crate::ring::{Claim, Lent, Pool};
use crate::sys::poll::Wait;
use crate::time::{Duration, Instant};

/// One being read ahead, one waiting in the mailbox, one being encoded, one just lent, one to spare.
const SLOTS: usize = 5;

/// A film that falls this far behind the clock (a slow disk, a board that cannot decode it in time) waits, instead of
/// showing pictures that are older and older.
const LATE_MAX: Duration = Duration::from_millis(500);

/// Where all slots are lent: look again after this, well within a frame time.
const STARVED_PAUSE: Duration = Duration::from_millis(5);

/// Plays a [`Film`]: the next picture is read ahead, and lent when it is due.
#[derive(Debug)]
pub struct Paced<F> {
    name: String,
    film: F,
    pool: Pool<FrameBuffer>,
    /// The picture that comes next, and when.
    ready: Option<(Claim<FrameBuffer>, Instant)>,
    /// When reading ahead is tried again.
    retry_at: Instant,
    /// When the film's beginning was, or would have been had it never had to wait.
    start: Instant,
    looped: bool,
    /// Pictures read in this round; a round without any is not repeated.
    round: u64,
    sequence: u32,
    counts: SourceCounts,
    clock: FilmClock,
}

impl<F: Film> Paced<F> {
    /// Plays from `now` on.
    pub fn new(film: F, name: String, looped: bool, now: Instant) -> Paced<F> {
        let pool = Pool::new((0..SLOTS).map(|_| film.slot()));
        Paced {
            name,
            film,
            pool,
            ready: None,
            retry_at: Instant::ZERO,
            start: now,
            looped,
            round: 0,
            sequence: 0,
            counts: SourceCounts::default(),
            clock: FilmClock::default(),
        }
    }

    /// Tells `clock` from now on when the film began.
    pub fn tell(&mut self, clock: FilmClock) {
        self.clock = clock;
        self.clock.set_start(self.start);
    }

    /// What went wrong with single frames so far.
    pub fn counts(&self) -> SourceCounts {
        self.counts
    }

    /// Reads the next picture ahead, over the end and round again where it is looped.
    fn read_ahead(&mut self, now: Instant) -> Result<(), Fault> {
        let Some(mut claim) = self.pool.claim() else {
            self.retry_at = now + STARVED_PAUSE;
            return Ok(());
        };
        loop {
            match self.film.next(&mut claim)? {
                Next::Picture(at) => {
                    let due = self.start + at;
                    let behind = now.since(due);
                    let waited = if behind > LATE_MAX { behind } else { Duration::ZERO };
                    self.start += waited;
                    self.clock.set_start(self.start);
                    self.round += 1;
                    claim.captured_at = due + waited;
                    self.ready = Some((claim, due + waited));
                    return Ok(());
                }
                Next::Broken => self.counts.broken += 1,
                Next::End(at) if self.looped && self.round > 0 => {
                    self.start += at;
                    self.round = 0;
                    self.film.rewind()?;
                }
                Next::End(_) => {
                    let remedy = if self.looped { "there is no picture in it" } else { "it is at its end" };
                    return Err(Fault::plain(FaultKind::Ended, &self.name, "play on", remedy));
                }
            }
        }
    }
}

impl<F: Film> VideoSource for Paced<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn format(&self) -> VideoFormat {
        self.film.format()
    }

    fn wait(&self) -> Wait<'_> {
        Wait::until(self.ready.as_ref().map_or(self.retry_at, |(_, due)| *due))
    }

    fn capture(&mut self, now: Instant) -> Result<Option<Lent<FrameBuffer>>, Fault> {
        if self.ready.is_none() && now >= self.retry_at {
            self.read_ahead(now)?;
        }
        let Some((mut claim, _)) = self.ready.take_if(|(_, due)| now >= *due) else { return Ok(None) };
        claim.sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        Ok(Some(claim.lend()))
    }
}
