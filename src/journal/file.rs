//! The journal's file: appended a line at a time, repaired when it is opened, halved when it is full.

use super::record::Record;
use crate::identity::{make_directory, remove_unfinished, sync_directory, write_atomically};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file in the state directory.
pub const JOURNAL_FILE: &str = "journal.jsonl";
/// How its name and those of its unfinished rewritings begin.
const JOURNAL_STEM: &str = "journal";
/// Bytes of the file: some 5,000 records, a year of a busy door; reading them takes milliseconds.
pub const JOURNAL_BYTES_MAX: u64 = 512 * 1024;
/// Who stood at the door is for the station alone.
const MODE: u32 = 0o600;

/// The file of a running station, which alone writes it.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    file: File,
    /// Whole lines; what lies beyond is what a failed write left.
    length: u64,
    /// Something does lie beyond, since it could not be cut off yet.
    is_torn: bool,
}

/// An error that says which file and what was done.
pub(super) fn named(path: &Path, doing: &str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: cannot {doing}: {error}", path.display()))
}

/// The records in `directory`, the oldest first, and how many lines could not be read. Changes nothing: a line that is
/// being written now is not read yet.
///
/// # Errors
/// What the file system says, but for a file that is not there: nothing has happened yet.
pub fn read(directory: &Path) -> io::Result<(Vec<Record>, usize)> {
    let path = directory.join(JOURNAL_FILE);
    match File::open(&path) {
        Ok(file) => {
            let bytes = read_newest(file).map_err(named(&path, "read the journal"))?;
            Ok(parse(&bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Vec::new(), 0)),
        Err(error) => Err(named(&path, "open the journal")(error)),
    }
}

/// The file's last [`JOURNAL_BYTES_MAX`] bytes: more only stand in a file that is not ours.
fn read_newest(mut file: File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(JOURNAL_BYTES_MAX)))?;
    let mut bytes = Vec::new();
    file.take(JOURNAL_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn whole_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}

fn parse(bytes: &[u8]) -> (Vec<Record>, usize) {
    let lines = bytes[..whole_lines(bytes)].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut unreadable = 0;
    let records = lines.filter_map(|line| serde_json::from_slice(line).inspect_err(|_| unreadable += 1).ok());
    (records.collect(), unreadable)
}

/// Entry for a fuzzer: whatever stands in the file, the reader returns; and what it accepts is written again to a line
/// that means the same.
///
/// # Panics
/// Where that does not hold.
pub fn fuzz_lines(bytes: &[u8]) {
    let (records, unreadable) = parse(bytes);
    assert!(records.len() + unreadable <= bytes.iter().filter(|byte| **byte == b'\n').count());
    for record in records {
        let mut line = serde_json::to_vec(&record).expect("a record is valid JSON");
        line.push(b'\n');
        assert_eq!(parse(&line), (vec![record], 0));
    }
}

impl JournalFile {
    /// Opens the file, and repairs it: what a power cut left of a line, or of a rewriting, goes, and that is said.
    pub(super) fn open(directory: &Path) -> io::Result<(JournalFile, Vec<Record>)> {
        make_directory(directory).map_err(named(directory, "make the state directory"))?;
        let path = directory.join(JOURNAL_FILE);
        remove_unfinished(directory, JOURNAL_STEM)?;
        let open = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(&path);
        let file = open.map_err(named(&path, "open the journal"))?;
        // A new file's name is data of the directory.
        sync_directory(directory).map_err(named(directory, "write the directory"))?;
        let bytes = file.try_clone().and_then(read_newest).map_err(named(&path, "read the journal"))?;
        let whole = whole_lines(&bytes);
        let total = file.metadata().map_err(named(&path, "look at the journal"))?.len();
        let mut journal = JournalFile { path, file, length: total - (bytes.len() - whole) as u64, is_torn: false };
        if journal.length < total {
            tracing::warn!("{}: the last record was cut off, and is dropped", journal.path.display());
            journal.cut().map_err(named(&journal.path, "drop the last record"))?;
        }
        let (records, unreadable) = parse(&bytes);
        if unreadable > 0 {
            tracing::warn!("{}: {unreadable} lines cannot be read, and are left out", journal.path.display());
        }
        Ok((journal, records))
    }

    /// Removes what stands beyond the last whole line.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.is_torn = false;
        self.file.sync_data()
    }

    /// Adds a record: on the disk when this returns.
    ///
    /// # Errors
    /// What the file system says; the record is then lost, and the file as it was before.
    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record).map_err(|error| named(&self.path, "write a record")(error.into()))?;
        line.push(b'\n');
        if self.length + line.len() as u64 > JOURNAL_BYTES_MAX {
            self.halve().map_err(named(&self.path, "shorten the journal"))?;
        }
        if self.is_torn {
            self.cut().map_err(named(&self.path, "drop half a record"))?;
        }
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if written.is_ok() {
            self.length += line.len() as u64;
        } else {
            // A part of the line may be there, and the next must not continue it.
            self.is_torn = true;
            let _ = self.cut();
        }
        written.map_err(named(&self.path, "write a record"))
    }

    /// Rewrites the file with its newer half, whole.
    fn halve(&mut self) -> io::Result<()> {
        let bytes = read_newest(self.file.try_clone()?)?;
        let bytes = &bytes[..whole_lines(&bytes)];
        let half = bytes.len().saturating_sub((JOURNAL_BYTES_MAX / 2) as usize);
        let start = bytes[half..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| half + at + 1);
        let newer = &bytes[start..];
        write_atomically(&self.path, newer, MODE)?;
        self.file = OpenOptions::new().read(true).append(true).open(&self.path)?;
        self.length = newer.len() as u64;
        Ok(())
    }
}
