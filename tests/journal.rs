//! Goal: whatever byte a write of the journal ends at, what is there afterwards is readable, and at most the last record
//! is lost. Method: the kernel itself ends the writes: RLIMIT_FSIZE makes each write beyond a byte fail, as a full disk
//! does, and cutting the file there is what a power cut leaves. The limit is the whole process's: one test at a time.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use visavis::journal::{JOURNAL_BYTES_MAX, JOURNAL_FILE, Journal, Record, STILLS_FOLDER, Still, What, read};

fn main() {
    // The limit's signal would end the process; handled, the write fails with EFBIG instead.
    let flag = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, flag).expect("SIGXFSZ can be handled");
    let folder = std::env::temp_dir().join(format!("visavis-journal-cut-{}", std::process::id()));
    for (name, test) in [
        ("a_record_cut_at_any_byte_is_the_only_one_lost", a_record_cut_at_any_byte_is_the_only_one_lost as fn(&Path)),
        ("a_disk_that_is_full_at_any_byte_costs_one_record", a_disk_that_is_full_at_any_byte_costs_one_record),
        ("a_rewriting_that_fails_anywhere_leaves_the_old_file", a_rewriting_that_fails_anywhere_leaves_the_old_file),
        ("a_still_is_whole_or_not_there", a_still_is_whole_or_not_there),
    ] {
        let _ = fs::remove_dir_all(&folder);
        test(&folder);
        println!("test {name} ... ok");
    }
    fs::remove_dir_all(&folder).expect("the folder is ours");
}

fn record(n: u64) -> Record {
    Record { reason: Some("nobody was there".into()), ..Record::new(n, What::MissedCall, "front door") }
}

/// Opens the journal in `folder`, writes these records, and waits until that is done.
fn write(folder: &Path, records: impl IntoIterator<Item = (Record, Option<Still>)>) {
    let mut journal = Journal::start(folder).unwrap();
    records.into_iter().for_each(|(record, still)| journal.record(record, still));
}

/// The times of the records that can be read, which number them here.
fn numbers(folder: &Path) -> Vec<u64> {
    let (records, unreadable) = read(folder).unwrap();
    assert_eq!(unreadable, 0, "no half of a line is left to be skipped");
    records.iter().map(|record| record.at_unix_ms).collect()
}

fn journal_file(folder: &Path) -> PathBuf {
    folder.join(JOURNAL_FILE)
}

/// Does `what` while no file can grow beyond `bytes`.
fn with_files_up_to(bytes: u64, what: impl FnOnce()) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, bytes, hard).unwrap();
    what();
    setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap();
}

fn a_record_cut_at_any_byte_is_the_only_one_lost(folder: &Path) {
    write(folder, (1..=3).map(|n| (record(n), None)));
    let before = fs::metadata(journal_file(folder)).unwrap().len();
    write(folder, [(record(4), None)]);
    let whole = fs::read(journal_file(folder)).unwrap();
    for cut in before..=whole.len() as u64 {
        // What a power cut leaves of the line, on file systems that keep what was written, and on those that have given
        // the file its length but not its bytes.
        for lost in [Vec::new(), vec![0; whole.len() - cut as usize]] {
            let mut bytes = whole[..cut as usize].to_vec();
            bytes.extend(lost);
            fs::write(journal_file(folder), &bytes).unwrap();
            let there: &[u64] = if cut == whole.len() as u64 { &[1, 2, 3, 4] } else { &[1, 2, 3] };
            assert_eq!(numbers(folder), there, "before the repair, cut at {cut}");
            write(folder, [(record(5), None)]);
            assert_eq!(numbers(folder), [there, &[5]].concat(), "after the repair, cut at {cut}");
        }
    }
}

fn a_disk_that_is_full_at_any_byte_costs_one_record(folder: &Path) {
    write(folder, (1..=3).map(|n| (record(n), None)));
    let before = fs::read(journal_file(folder)).unwrap();
    let line = before.len() / 3;
    for room in 0..=line {
        fs::write(journal_file(folder), &before).unwrap();
        let mut journal = Journal::start(folder).unwrap();
        with_files_up_to((before.len() + room) as u64, || {
            journal.record(record(4), None);
            // The drop waits until it is written, or has failed.
            drop(journal);
        });
        let there: &[u64] = if room == line { &[1, 2, 3, 4] } else { &[1, 2, 3] };
        assert_eq!(numbers(folder), there, "with room for {room} bytes");
        let length = fs::metadata(journal_file(folder)).unwrap().len() as usize;
        assert_eq!(length, line * there.len(), "half a line was cut off at once");
        write(folder, [(record(5), None)]);
        assert_eq!(numbers(folder), [there, &[5]].concat());
    }
}

fn a_rewriting_that_fails_anywhere_leaves_the_old_file(folder: &Path) {
    // Filled with lines of our own, so that the next record makes it too long.
    write(folder, [(record(0), None)]);
    let line = fs::metadata(journal_file(folder)).unwrap().len();
    let filler = fs::read(journal_file(folder)).unwrap();
    let full = filler.repeat((JOURNAL_BYTES_MAX / line) as usize);
    let half = JOURNAL_BYTES_MAX / 2;
    // Around the ends of the temporary file, and in steps in between: each costs a file of 256 KiB.
    let steps = (0..3).chain((3..half).step_by(10_007)).chain(half - line..half - line + 3);
    for room in steps {
        fs::write(journal_file(folder), &full).unwrap();
        with_files_up_to(room, || write(folder, [(record(1), None)]));
        let left = fs::read(journal_file(folder)).unwrap();
        assert!(left == full || numbers(folder).len() as u64 > half / line - 2, "with room for {room} bytes");
        let names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "no temporary file is left beside journal, stills and snapshots: {names:?}");
    }
    // What a process that was killed between writing and renaming leaves goes at the next start.
    fs::write(folder.join("journal.new-1-0"), "half").unwrap();
    write(folder, [(record(1), None)]);
    assert!(!folder.join("journal.new-1-0").exists());
    assert_eq!(numbers(folder).last(), Some(&1));
    assert!(fs::metadata(journal_file(folder)).unwrap().len() <= half + line);
}

fn a_still_is_whole_or_not_there(folder: &Path) {
    let image: Vec<u8> = (0..2_000u32).map(|n| n as u8).collect();
    let stills = folder.join(STILLS_FOLDER);
    for room in (700..2_000).step_by(97).chain([1_999, 2_000]) {
        let _ = fs::remove_dir_all(folder);
        with_files_up_to(room, || write(folder, [(record(1), Some(Still::Jpeg(image.clone())))]));
        let (records, _) = read(folder).unwrap();
        let there: Vec<_> = fs::read_dir(&stills).unwrap().map(|entry| entry.unwrap().path()).collect();
        match records[0].still.as_deref() {
            Some(name) => assert_eq!((fs::read(stills.join(name)).unwrap(), room), (image.clone(), 2_000)),
            None => assert!(there.is_empty() && room < 2_000, "{there:?} with room for {room} bytes"),
        }
    }
    OpenOptions::new().create(true).append(true).open(stills.join("00000009.new-1-0")).unwrap();
    write(folder, []);
    assert!(!stills.join("00000009.new-1-0").exists(), "half a picture of a killed process goes at the next start");
}
