//! What happened here: calls, door releases, who was refused, each with the time and perhaps a still picture.
//!
//! | in the state directory | what | bound |
//! |---|---|---|
//! | `journal.jsonl` | one line of JSON for each [`Record`] | 512 KiB; the older half then goes |
//! | `stills/00000042.jpg` | who stood there, numbered in the order of time | 200 pictures, 32 MiB; the oldest go |
//! | `snapshots/1764046800000.png` | what the screen showed, by the time in ms | the same |
//!
//! **A power cut at any write leaves a readable state, and costs at most the last record.** A record is appended with one
//! write and fdatasync; a torn last line is cut off, with a word in the log, when the journal is opened again. Whatever is
//! rewritten, and each still, is put in place whole (temporary file, fsync, rename, fsync of the folder). A still is
//! written before the record that names it.
//!
//! **The net loop never waits for the disk.** [`Journal::record`] puts the record into a bounded queue, which a thread of
//! its own empties; that thread encodes the still as well. When the disk is so slow that the queue is full, records are
//! dropped and counted. Refusals can be caused by anybody on the network, so they are written rarely, with how many there
//! were.
//!
//! **A disk that refuses the journal at the start is tried again**, by the same thread, and what happened meanwhile is then
//! written, but for pictures: their numbers are not known before, and they are too large to be held for who knows how long.

mod file;
mod record;
mod stills;
#[cfg(test)]
mod tests;

pub use file::{JOURNAL_BYTES_MAX, JOURNAL_FILE, fuzz_lines, read};
pub use record::{Record, What};
pub use stills::{SNAPSHOTS_FOLDER, STILL_BYTES_MAX, STILLS_BYTES_MAX, STILLS_FOLDER, STILLS_MAX, Still};

use file::JournalFile;
use record::Refusals;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use stills::Stills;

/// Records that wait for the disk: an hour of a busy door. Each may hold a still of some 100 kB.
const QUEUE_MAX: usize = 32;
/// How often a disk that refused the journal is tried again while nothing happens: somebody may have just made room.
const REOPEN_EVERY: Duration = Duration::from_secs(30);
/// Records kept in memory, for the screen and the control socket.
pub const RECENT_MAX: usize = 100;

/// What is on its way to the disk.
enum Entry {
    /// A record, and the picture for it with its file's name.
    Record(Record, Option<(String, Still)>),
    /// A picture of the screen with its file's name.
    Snapshot(String, Still),
}

/// What the writing thread has open.
struct Disk {
    file: JournalFile,
    stills: Stills,
    snapshots: Stills,
}

/// In the place of a still's number, which begin at 1.
const NOT_OPEN: u64 = 0;

/// The journal of a running station. Its drop waits until everything is written.
#[derive(Debug)]
pub struct Journal {
    queue: Option<SyncSender<Entry>>,
    writer: Option<JoinHandle<()>>,
    recent: VecDeque<Record>,
    /// The number of the next still; [`NOT_OPEN`] as long as the disk refuses.
    next_still: Arc<AtomicU64>,
    refusals: Refusals,
    dropped: u64,
}

impl Journal {
    /// Opens the journal in the state directory `directory`, which is made where it is missing; repairs what a power
    /// cut left; starts the thread that writes. Where the disk refuses, that is said, and tried again later.
    ///
    /// # Errors
    /// Where there is no thread to be had.
    pub fn start(directory: &Path) -> io::Result<Journal> {
        let (disk, mut recent) = match Disk::open(directory) {
            Ok((disk, records)) => (Some(disk), records),
            Err(error) => {
                tracing::warn!("no journal: {error}; it is tried again from time to time");
                // What cannot be written may be read all the same.
                (None, read(directory).map_or_else(|_| Vec::new(), |(records, _)| records))
            }
        };
        recent.drain(..recent.len().saturating_sub(RECENT_MAX));
        let next_still = Arc::new(AtomicU64::new(disk.as_ref().map_or(NOT_OPEN, |disk| disk.stills.next_number())));
        let (queue, waiting) = sync_channel(QUEUE_MAX);
        let (place, number) = (directory.to_owned(), Arc::clone(&next_still));
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write_all(&waiting, disk, &place, &number))?;
        Ok(Journal {
            queue: Some(queue),
            writer: Some(writer),
            recent: recent.into(),
            next_still,
            refusals: Refusals::default(),
            dropped: 0,
        })
    }

    /// Whether the disk has taken it; until it does, what happens is held and pictures are not kept.
    pub fn is_open(&self) -> bool {
        self.next_still.load(Ordering::Acquire) != NOT_OPEN
    }

    /// Notes what happened, and who was seen. Returns at once; never waits for the disk.
    pub fn record(&mut self, record: Record, still: Option<Still>) {
        let Some(mut record) = self.refusals.admit(record.bounded()) else { return };
        let still = still.filter(|_| self.is_open()).map(|still| {
            let number = self.next_still.fetch_add(1, Ordering::AcqRel);
            (stills::file_name(number, &still), still)
        });
        record.still = still.as_ref().map(|(name, _)| name.clone());
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(record.clone());
        self.enqueue(Entry::Record(record, still));
    }

    /// Keeps a picture of the screen, a PNG image, made at that time. As [`Journal::record`], it does not wait.
    pub fn keep_snapshot(&mut self, at_unix_ms: u64, image: Vec<u8>) {
        if self.is_open() {
            self.enqueue(Entry::Snapshot(format!("{at_unix_ms}.png"), Still::Png(image)));
        } else {
            tracing::warn!("the screen's picture is not kept: the disk refuses the journal");
        }
    }

    fn enqueue(&mut self, entry: Entry) {
        let Some(queue) = &self.queue else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = queue.try_send(entry) {
            // Said once for each time that it begins; the count tells the rest.
            if self.dropped == 0 {
                tracing::warn!("the journal's disk is too slow: what happens now is not kept");
            }
            self.dropped += 1;
        }
    }

    /// The last records, the oldest first; at most [`RECENT_MAX`].
    pub fn recent(&self) -> impl DoubleEndedIterator<Item = &Record> + ExactSizeIterator {
        self.recent.iter()
    }

    /// Records that found the queue full.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Without a sender the thread ends after what is queued.
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// The writing thread: one entry after the other, until nobody can send any more.
fn write_all(waiting: &Receiver<Entry>, disk: Option<Disk>, directory: &Path, next_still: &AtomicU64) {
    // A disk that refuses is a state, not an event: it is said when it begins and when it ends.
    let mut is_failing = disk.is_none();
    let mut held = Vec::new();
    let Some(mut disk) = disk.or_else(|| open_later(waiting, directory, &mut held)) else { return };
    next_still.fetch_max(disk.stills.next_number(), Ordering::AcqRel);
    if is_failing {
        is_failing = false;
        tracing::info!("the journal can be written again");
    }
    for entry in held.into_iter().chain(waiting) {
        let result = match entry {
            Entry::Record(record, still) => disk.write(record, still),
            Entry::Snapshot(name, image) => disk.snapshots.write(&name, image).map(|path| {
                tracing::info!("the screen's picture is in {}", path.display());
            }),
        };
        match &result {
            Err(error) if !is_failing => tracing::warn!("{error}"),
            Ok(()) if is_failing => tracing::info!("the journal can be written again"),
            _ => {}
        }
        is_failing = result.is_err();
    }
}

/// Tries until the disk takes the journal; what comes meanwhile is put into `held`. `None` when nobody can send any more.
fn open_later(waiting: &Receiver<Entry>, directory: &Path, held: &mut Vec<Entry>) -> Option<Disk> {
    let mut is_over = false;
    while !is_over {
        match waiting.recv_timeout(REOPEN_EVERY) {
            Ok(entry) if held.len() < QUEUE_MAX => held.push(entry),
            Ok(_) => tracing::debug!("the disk still refuses the journal: a record is not kept"),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => is_over = true,
        }
        match Disk::open(directory) {
            Ok((disk, _)) => return Some(disk),
            Err(error) => tracing::debug!("still no journal: {error}"),
        }
    }
    tracing::warn!("the disk refused the journal to the end: {} records are not kept", held.len());
    None
}

impl Disk {
    /// Opens all of it, and repairs it; gives the records, too.
    fn open(directory: &Path) -> io::Result<(Disk, Vec<Record>)> {
        let (file, records) = JournalFile::open(directory)?;
        let stills = Stills::open(directory.join(STILLS_FOLDER))?;
        let snapshots = Stills::open(directory.join(SNAPSHOTS_FOLDER))?;
        Ok((Disk { file, stills, snapshots }, records))
    }

    fn write(&mut self, mut record: Record, still: Option<(String, Still)>) -> io::Result<()> {
        let written = still.map_or(Ok(()), |(name, still)| self.stills.write(&name, still).map(drop));
        if written.is_err() {
            record.still = None;
        }
        self.file.append(&record).and(written)
    }
}
