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
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use stills::Stills;

/// Records that wait for the disk: an hour of a busy door. Each may hold a still of some 100 kB.
const QUEUE_MAX: usize = 32;
/// Records kept in memory, for the screen and the control socket.
pub const RECENT_MAX: usize = 100;

/// What is on its way to the disk.
enum Entry {
    /// A record, and the picture for it with its file's name.
    Record(Record, Option<(String, Still)>),
    /// A picture of the screen with its file's name.
    Snapshot(String, Still),
}

/// The journal of a running station. Its drop waits until everything is written.
#[derive(Debug)]
pub struct Journal {
    queue: Option<SyncSender<Entry>>,
    writer: Option<JoinHandle<()>>,
    recent: VecDeque<Record>,
    next_still: u64,
    refusals: Refusals,
    dropped: u64,
}

impl Journal {
    /// Opens the journal in the state directory `directory`, which is made where it is missing; repairs what a power
    /// cut left; starts the thread that writes.
    ///
    /// # Errors
    /// What the file system says, with the file.
    pub fn start(directory: &Path) -> io::Result<Journal> {
        let (mut file, mut recent) = JournalFile::open(directory)?;
        recent.drain(..recent.len().saturating_sub(RECENT_MAX));
        let stills = Stills::open(directory.join(STILLS_FOLDER))?;
        let next_still = stills.next_number();
        let snapshots = Stills::open(directory.join(SNAPSHOTS_FOLDER))?;
        let (queue, waiting) = sync_channel(QUEUE_MAX);
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write_all(&waiting, &mut file, stills, snapshots))?;
        Ok(Journal {
            queue: Some(queue),
            writer: Some(writer),
            recent: recent.into(),
            next_still,
            refusals: Refusals::default(),
            dropped: 0,
        })
    }

    /// Notes what happened, and who was seen. Returns at once; never waits for the disk.
    pub fn record(&mut self, record: Record, still: Option<Still>) {
        let Some(mut record) = self.refusals.admit(record.bounded()) else { return };
        let still = still.map(|still| (stills::file_name(self.next_still, &still), still));
        record.still = still.as_ref().map(|(name, _)| name.clone());
        self.next_still += u64::from(still.is_some());
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(record.clone());
        self.enqueue(Entry::Record(record, still));
    }

    /// Keeps a picture of the screen, a PNG image, made at that time. As [`Journal::record`], it does not wait.
    pub fn keep_snapshot(&mut self, at_unix_ms: u64, image: Vec<u8>) {
        self.enqueue(Entry::Snapshot(format!("{at_unix_ms}.png"), Still::Png(image)));
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
fn write_all(waiting: &Receiver<Entry>, file: &mut JournalFile, mut stills: Stills, mut snapshots: Stills) {
    // A full disk is a state, not an event: it is said when it begins and when it ends.
    let mut is_failing = false;
    for entry in waiting {
        let result = match entry {
            Entry::Record(record, still) => write_record(file, &mut stills, record, still),
            Entry::Snapshot(name, image) => snapshots.write(&name, image).map(|path| {
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

fn write_record(
    file: &mut JournalFile,
    stills: &mut Stills,
    mut record: Record,
    still: Option<(String, Still)>,
) -> io::Result<()> {
    let written = still.map_or(Ok(()), |(name, still)| stills.write(&name, still).map(drop));
    if written.is_err() {
        record.still = None;
    }
    file.append(&record).and(written)
}
