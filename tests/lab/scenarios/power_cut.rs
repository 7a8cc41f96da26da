//! The power fails at any write of a station: its key is made, stations are paired and renamed, calls are missed and
//! kept with a picture, the screen is kept, the journal is halved. The file system is ext4 on a disk that records each
//! write. It is then put back to how it was after every one of them, also with a part of what was not flushed lost or
//! torn, mounted, and read: by the station's own code each time, and wherever the files are in a state that was not met
//! before, by the program itself, which runs on it.

use crate::Outcome;
use crate::call::PATIENCE;
use crate::command::{run, wait_for};
use crate::devices::disk::{self, Cut, Disk};
use crate::intercom::{Intercom, make_known};
use crate::machine::Order;
use crate::station::PROGRAM;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use visavis::identity::{AddressBook, BOOK_FILE, IdentityError, KEY_FILE, PublicKey, SecretKey, system_random};
use visavis::journal::{JOURNAL_BYTES_MAX, JOURNAL_FILE, Journal, Record, SNAPSHOTS_FOLDER, STILLS_FOLDER, What, read};

/// The state directory of the station called "door", on the disk.
const STATE: &str = "/run/visavis-door";
/// That of the same station after a power cut.
const AFTER: &str = "/run/visavis-after";
/// Choices of what is lost, for each write.
const LOSSES: usize = 2;

/// What must be there from a mark on.
#[derive(Clone, Debug, Default)]
struct Promise {
    has_key: bool,
    /// Books from this one on may be found, by their place in [`Story::books`].
    book: usize,
    records: Vec<Record>,
}

/// What was written, and what was promised at each mark.
#[derive(Default)]
struct Story {
    /// The file's text, as it was from change to change; nothing at first.
    books: Vec<Option<String>>,
    promises: Vec<Promise>,
    /// Files that never change, as they were at the end: key, stills, pictures of the screen.
    files: BTreeMap<String, Vec<u8>>,
}

pub fn play(_: &Order) -> Outcome<String> {
    disk::load()?;
    let disk = Disk::lay(STATE)?;
    let mut story = Story { books: vec![None], ..Story::default() };
    let kitchen = Intercom::start(None, "kitchen", &config(10088, "none"))?;
    live(&disk, &mut story, &kitchen)?;
    fill_up(&disk, &mut story, &kitchen)?;
    kitchen.stop()?;
    let recording = disk.finish()?;

    let mut states = BTreeSet::new();
    let mut cuts = 0;
    for cut in recording.cuts(LOSSES) {
        cuts += 1;
        let mounted = cut.mount(AFTER)?;
        story.check(&cut).map_err(|error| format!("{}: {error}", cut.name))?;
        if states.insert(files(AFTER)?) {
            the_program_runs_on_it(&cut)?;
        }
        drop(mounted);
    }
    let writes = recording.writes();
    assert!(
        writes > 50 && states.len() > 10,
        "{writes} writes and {} states are too few to show anything",
        states.len()
    );
    Ok(format!("{writes} writes, {cuts} power cuts, {} states of the files, each readable", states.len()))
}

fn config(port: u16, screen: &str) -> String {
    format!(
        "[station]\nport = {port}\nfind = false\n[camera]\ndevice = \"pattern\"\nsize = \"320x240\"\nrate = \"10 fps\"\n\
         [screen]\ndevice = \"{screen}\"\n[microphone]\ndevice = \"none\"\n[loudspeaker]\ndevice = \"none\"\n"
    )
}

/// The first days of a station.
fn live(disk: &Disk, story: &mut Story, kitchen: &Intercom) -> Outcome {
    let door = Intercom::start(None, "door", &config(10087, "png:/run/shown"))?;
    story.promises.push(Promise { has_key: true, ..Promise::default() });
    disk.mark(0)?;
    make_known(&door, kitchen, "[::1]:10087")?;
    story.note_book(disk)?;
    for words in ["allow kitchen release", "rename kitchen galley", "rename galley kitchen"] {
        door.peers(words)?;
        story.note_book(disk)?;
    }
    door.act("rescan")?;
    door.wait_joined()?;
    // Of the next that it shows, which the calls see to.
    door.act("snapshot")?;
    miss_calls(disk, story, &door, kitchen, 3)?;
    let is_png = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "png");
    let is_kept =
        || fs::read_dir(Path::new(STATE).join(SNAPSHOTS_FOLDER)).ok()?.flatten().map(|e| e.path()).find(is_png);
    wait_for("the screen's picture is kept", PATIENCE, is_kept)?;
    end(disk, story, door)
}

/// Its journal is full, and the next call makes it shorter.
fn fill_up(disk: &Disk, story: &mut Story, kitchen: &Intercom) -> Outcome {
    let path = Path::new(STATE).join(JOURNAL_FILE);
    let mut text = fs::read_to_string(&path)?;
    let line = format!("{}\n", serde_json::to_string(&filler())?);
    text += &line.repeat((JOURNAL_BYTES_MAX as usize - text.len()) / line.len());
    fs::write(&path, text)?;
    run(&format!("sync {}", path.display()))?;
    // The older half may go from now on, and with it what was promised of it.
    let mut promise = story.promises.last().cloned().unwrap_or_default();
    promise.records = vec![filler()];
    story.promises.push(promise);
    disk.mark(story.promises.len() - 1)?;
    let door = Intercom::start(None, "door", &config(10087, "png:/run/shown"))?;
    door.wait_joined()?;
    miss_calls(disk, story, &door, kitchen, 2)?;
    assert!(fs::metadata(&path)?.len() < JOURNAL_BYTES_MAX * 3 / 4, "the journal was not halved");
    end(disk, story, door)
}

/// What a journal is full of; few and long, to be read quickly.
fn filler() -> Record {
    Record { reason: Some("x".repeat(100)), ..Record::new(7, What::Paged, "filler") }
}

fn miss_calls(disk: &Disk, story: &mut Story, door: &Intercom, kitchen: &Intercom, count: usize) -> Outcome {
    let missed = || -> Outcome<Vec<Record>> {
        let (records, _) = read(Path::new(STATE))?;
        Ok(records.into_iter().filter(|record| record.what == What::MissedCall).collect())
    };
    for _ in 0..count {
        let last = missed()?.pop();
        kitchen.act("ring door")?;
        door.wait_state("ringing")?;
        // Who rings is kept with a picture of how they looked after a moment.
        std::thread::sleep(Duration::from_secs(2));
        kitchen.act("hang-up")?;
        wait_for("the call is kept", PATIENCE, || missed().ok().filter(|records| records.last() != last.as_ref()))?;
        kitchen.wait_state("idle")?;
        door.wait_state("idle")?;
        // One after the other is written: what stands before the last is on the disk.
        let mut records = missed()?;
        records.pop();
        story.promise_records(disk, records)?;
    }
    Ok(())
}

/// It is stopped: everything is on the disk.
fn end(disk: &Disk, story: &mut Story, door: Intercom) -> Outcome {
    door.stop()?;
    story.note_book(disk)?;
    let (mut records, _) = read(Path::new(STATE))?;
    records.dedup();
    story.promise_records(disk, records)?;
    let pictures = |folder: &str| -> Outcome<Vec<(String, Vec<u8>)>> {
        let entries = fs::read_dir(Path::new(STATE).join(folder))?.flatten();
        Ok(entries
            .map(|entry| Ok((format!("{folder}/{}", entry.file_name().display()), fs::read(entry.path())?)))
            .collect::<std::io::Result<_>>()?)
    };
    story.files.extend(pictures(STILLS_FOLDER)?);
    story.files.extend(pictures(SNAPSHOTS_FOLDER)?);
    story.files.insert(KEY_FILE.into(), fs::read(Path::new(STATE).join(KEY_FILE))?);
    Ok(())
}

impl Story {
    /// The book is another, or the same.
    fn note_book(&mut self, disk: &Disk) -> Outcome {
        let text = fs::read_to_string(Path::new(STATE).join(BOOK_FILE))?;
        if self.books.last() != Some(&Some(text.clone())) {
            self.books.push(Some(text));
        }
        let mut promise = self.promises.last().cloned().unwrap_or_default();
        promise.book = self.books.len() - 1;
        self.promises.push(promise);
        disk.mark(self.promises.len() - 1)
    }

    fn promise_records(&mut self, disk: &Disk, records: Vec<Record>) -> Outcome {
        let promise = self.promises.last().cloned().unwrap_or_default();
        self.promises.push(Promise { records, ..promise });
        disk.mark(self.promises.len() - 1)
    }

    /// What was promised is there, and nothing that is there is broken.
    fn check(&self, cut: &Cut) -> Outcome {
        let promise = cut.mark.map_or_else(Promise::default, |mark| self.promises[mark].clone());
        let at = Path::new(AFTER);
        // Files that are written once are whole, or not there, and so is what they are called.
        for (name, bytes) in &self.files {
            match fs::read(at.join(name)) {
                Ok(found) => assert!(found == *bytes, "{name} has {} bytes of {}", found.len(), bytes.len()),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{name}"),
            }
        }
        assert!(!promise.has_key || at.join(KEY_FILE).exists(), "the key is lost");

        let book = fs::read_to_string(at.join(BOOK_FILE)).ok();
        let place = self.books.iter().rposition(|known| *known == book);
        assert!(place.is_some_and(|place| place >= promise.book), "the book is an old one, or none: {book:?}");
        AddressBook::load(at)?;

        let (records, unreadable) = read(at)?;
        assert_eq!(unreadable, 0, "lines of the journal are damaged");
        for record in &promise.records {
            assert!(records.contains(record), "{record:?} is lost");
        }
        for still in records.iter().filter_map(|record| record.still.as_ref()) {
            assert!(at.join(STILLS_FOLDER).join(still).exists(), "{still} is named, and not there");
        }
        Ok(())
    }
}

/// All files beneath `folder` with their contents: one state that a power cut can leave.
fn files(folder: &str) -> Outcome<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.display().to_string();
        if path.is_dir() {
            if !name.ends_with("lost+found") {
                found.insert(name.clone(), Vec::new());
                found.extend(files(&name)?);
            }
        } else {
            found.insert(name, fs::read(&path)?);
        }
    }
    Ok(found)
}

/// The program reads it, and a station starts on it, goes on with its journal, and leaves no half of anything behind.
fn the_program_runs_on_it(cut: &Cut) -> Outcome {
    let named = |error: Box<dyn std::error::Error>| format!("{}: {error}", cut.name);
    run(&format!("{PROGRAM} log --state {AFTER}")).map_err(named)?;
    run(&format!("{PROGRAM} peers --state {AFTER}")).map_err(named)?;
    let before = read(Path::new(AFTER))?.0;
    let length = fs::metadata(Path::new(AFTER).join(JOURNAL_FILE)).map_or(0, |metadata| metadata.len());
    let station = Intercom::start(None, "after", &config(10089, "none")).map_err(named)?;
    station.stop().map_err(named)?;
    // The next record, as a call would add it.
    let mut journal = Journal::start(Path::new(AFTER))?;
    journal.record(Record::new(8, What::MadeCall, "after"), None);
    drop(journal);
    let (records, unreadable) = read(Path::new(AFTER))?;
    // One that was full has lost its older half.
    let is_full = length > JOURNAL_BYTES_MAX * 9 / 10;
    let goes_on = records.len() == before.len() + 1 || (is_full && records.len() > before.len() / 3);
    let is_last = records.last().is_some_and(|record| record.what == What::MadeCall);
    assert!(goes_on && is_last && unreadable == 0, "{}: {} of {}", cut.name, records.len(), before.len());
    SecretKey::load_or_create(Path::new(AFTER), system_random)?;
    // The next pairing.
    AddressBook::update(Path::new(AFTER), |book| {
        Ok::<_, IdentityError>(book.keep(PublicKey([8; 32]), "attic", ([192, 0, 2, 8], 10087).into()).map(drop))
    })??;
    let left: Vec<_> = files(AFTER)?.into_keys().filter(|name| name.contains(".new-")).collect();
    assert!(left.is_empty(), "{}: left behind: {left:?}", cut.name);
    Ok(())
}
