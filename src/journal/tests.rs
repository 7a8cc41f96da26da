//! Goal: what happened is kept in order and within its bounds, whoever causes it. Method: real files in a directory of
//! the test's own. What a power cut or a full disk does at every byte is in `tests/journal.rs`.

use super::*;
use crate::codec::mjpeg::JpegReader;
use crate::media::{Picture, Size};
use std::fs;
use std::path::PathBuf;

/// A directory of one test, removed when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("visavis-journal-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn missed(at_unix_ms: u64, who: &str) -> Record {
    Record { lasted_ms: Some(45_000), ..Record::new(at_unix_ms, What::MissedCall, who) }
}

fn named(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.who.as_str()).collect()
}

#[test]
fn what_happened_is_read_back_in_order_also_by_the_next_start() {
    let scratch = Scratch::new("order");
    assert_eq!(read(&scratch.0).unwrap(), (Vec::new(), 0), "nothing has happened yet");
    let mut journal = Journal::start(&scratch.0).unwrap();
    journal.record(missed(1_764_000_000_000, "door"), None);
    // A clock that was set back changes nothing about the order.
    let reason = Some("hung up by \"kitchen\"\n".to_owned());
    journal.record(Record { reason, ..Record::new(5, What::MadeCall, "küche 🏠") }, None);
    let kept: Vec<Record> = journal.recent().cloned().collect();
    drop(journal);
    assert_eq!(read(&scratch.0).unwrap(), (kept.clone(), 0));
    assert!(Journal::start(&scratch.0).unwrap().recent().eq(kept.iter()));
}

#[test]
fn a_record_is_one_line_of_json_with_stable_names() {
    let scratch = Scratch::new("line");
    let mut journal = Journal::start(&scratch.0).unwrap();
    journal.record(missed(1_764_000_000_000, "door"), Some(Still::Jpeg(b"jpeg".to_vec())));
    journal.record(Record::new(1_764_000_001_000, What::DoorReleased, "kitchen"), None);
    drop(journal);
    assert_eq!(
        fs::read_to_string(scratch.0.join(JOURNAL_FILE)).unwrap(),
        "{\"at_unix_ms\":1764000000000,\"what\":\"missed-call\",\"who\":\"door\",\"lasted_ms\":45000,\"still\":\"00000001.jpg\"}\n\
         {\"at_unix_ms\":1764000001000,\"what\":\"door-released\",\"who\":\"kitchen\"}\n"
    );
}

#[test]
fn who_stood_there_is_kept_as_a_picture() {
    let scratch = Scratch::new("still");
    let mut journal = Journal::start(&scratch.0).unwrap();
    let mut picture = Picture::new(Size::new(64, 48));
    picture.fill(200, 128, 128);
    journal.record(missed(1, "door"), Some(Still::Picture(picture)));
    journal.record(missed(2, "door"), Some(Still::Png(b"png".to_vec())));
    // libjpeg wants even sides here: the record is kept, and names no picture that is not there.
    journal.record(missed(3, "door"), Some(Still::Picture(Picture::new(Size::new(33, 17)))));
    drop(journal);
    let (records, _) = read(&scratch.0).unwrap();
    let stills: Vec<_> = records.iter().map(|record| record.still.as_deref()).collect();
    assert_eq!(stills, [Some("00000001.jpg"), Some("00000002.png"), None]);
    let jpeg = fs::read(scratch.0.join(STILLS_FOLDER).join("00000001.jpg")).unwrap();
    let mut reader = JpegReader::new();
    let (luma, size) = reader.read(&jpeg, None).unwrap().y;
    assert_eq!(size, Size::new(64, 48));
    // 200 in video levels is (200 − 16) × 255 / 219 in a JPEG's.
    assert!(luma.data[0].abs_diff(214) <= 16, "{}", luma.data[0]);
    assert_eq!(fs::read(scratch.0.join(STILLS_FOLDER).join("00000002.png")).unwrap(), b"png");
}

#[test]
fn pictures_of_the_screen_are_kept_apart_from_what_happened_and_the_oldest_go() {
    let scratch = Scratch::new("snapshots");
    let folder = scratch.0.join(SNAPSHOTS_FOLDER);
    fs::create_dir_all(&folder).unwrap();
    for at in 1..=STILLS_MAX as u64 {
        fs::write(folder.join(format!("{at}.png")), "old").unwrap();
    }
    let mut journal = Journal::start(&scratch.0).unwrap();
    journal.keep_snapshot(1_764_000_000_000, b"png".to_vec());
    drop(journal);
    assert_eq!(fs::read(folder.join("1764000000000.png")).unwrap(), b"png");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), STILLS_MAX);
    assert!(!folder.join("1.png").exists());
    assert_eq!(read(&scratch.0).unwrap(), (Vec::new(), 0));
}

#[test]
fn the_oldest_stills_go_by_number_and_by_bytes() {
    let scratch = Scratch::new("stills");
    let numbers = || {
        let names = fs::read_dir(scratch.0.join(STILLS_FOLDER)).unwrap().map(|e| e.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        (names.len(), names.first().cloned().unwrap(), names.last().cloned().unwrap())
    };
    let mut stills = Stills::open(scratch.0.join(STILLS_FOLDER)).unwrap();
    for number in 1..=STILLS_MAX as u64 + 5 {
        let still = Still::Jpeg(vec![0; 10]);
        stills.write(&stills::file_name(number, &still), still).unwrap();
    }
    assert_eq!(numbers(), (STILLS_MAX, "00000006.jpg".into(), "00000205.jpg".into()));
    // The next start counts on, and knows what there is.
    let mut stills = Stills::open(scratch.0.join(STILLS_FOLDER)).unwrap();
    for number in stills.next_number()..stills.next_number() + 8 {
        let still = Still::Png(vec![0; STILL_BYTES_MAX]);
        stills.write(&stills::file_name(number, &still), still).unwrap();
    }
    let full = (STILLS_BYTES_MAX / STILL_BYTES_MAX as u64) as usize;
    assert_eq!(numbers(), (full, "00000206.png".into(), "00000213.png".into()));
    assert!(stills.write("00000214.png", Still::Png(vec![0; STILL_BYTES_MAX + 1])).is_err());
    assert_eq!(numbers().0, full, "a picture that is too large costs no other");
}

#[test]
fn a_full_journal_keeps_its_newer_half_and_stays_within_its_bound() {
    let scratch = Scratch::new("full");
    let (mut file, _) = JournalFile::open(&scratch.0).unwrap();
    let length = || fs::metadata(scratch.0.join(JOURNAL_FILE)).unwrap().len();
    // The longest line that there can be, so that a few hundred fill the file.
    let record = |n: u64| {
        let reason = Some("\u{1}".repeat(200));
        Record { reason, ..Record::new(n, What::MissedCall, "\u{1}".repeat(100)) }.bounded()
    };
    let mut shrunk = 0;
    let mut count = 0;
    while shrunk < 2 {
        let before = length();
        file.append(&record(count)).unwrap();
        assert!(length() <= JOURNAL_BYTES_MAX);
        shrunk += u32::from(length() < before);
        count += 1;
    }
    let (records, unreadable) = read(&scratch.0).unwrap();
    assert_eq!(unreadable, 0);
    let expected = count - records.len() as u64..count;
    assert!(records.iter().map(|record| record.at_unix_ms).eq(expected), "the newest, none twice, none missing");
    assert!(length() > JOURNAL_BYTES_MAX / 3, "half of it, not all, went");
}

#[test]
fn refusals_that_anybody_can_cause_are_written_rarely_and_counted() {
    let scratch = Scratch::new("refusals");
    let mut journal = Journal::start(&scratch.0).unwrap();
    let minute = 60_000;
    for at in 0..1_000 {
        journal.record(Record::new(at, What::StrangerRefused, "192.0.2.66"), None);
    }
    journal.record(Record::new(3, What::ReleaseRefused, "workshop"), None);
    journal.record(Record::new(11 * minute, What::StrangerRefused, "192.0.2.66"), None);
    drop(journal);
    let (records, _) = read(&scratch.0).unwrap();
    assert_eq!(named(&records), ["192.0.2.66", "workshop", "192.0.2.66"]);
    assert_eq!(records[2].reason.as_deref(), Some("999 more since the last"));
}

#[test]
fn damage_in_the_middle_costs_its_own_line_alone() {
    let scratch = Scratch::new("damage");
    let mut journal = Journal::start(&scratch.0).unwrap();
    for who in ["a", "b", "c"] {
        journal.record(missed(1, who), None);
    }
    drop(journal);
    let path = scratch.0.join(JOURNAL_FILE);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] = 0xff;
    fs::write(&path, &bytes).unwrap();
    let (records, unreadable) = read(&scratch.0).unwrap();
    assert_eq!((named(&records), unreadable), (vec!["a", "c"], 1));
    Journal::start(&scratch.0).unwrap().record(missed(2, "d"), None);
    assert_eq!(named(&read(&scratch.0).unwrap().0), ["a", "c", "d"]);
}

#[test]
fn a_state_directory_that_cannot_be_is_named() {
    let scratch = Scratch::new("none");
    fs::write(&scratch.0, "a file").unwrap();
    let error = JournalFile::open(&scratch.0).unwrap_err().to_string();
    assert!(error.contains("visavis-journal-") && error.contains("state directory"), "{error}");
    fs::remove_file(&scratch.0).unwrap();
}

#[test]
fn a_disk_that_refuses_at_the_start_is_tried_again_and_nothing_is_missing() {
    let scratch = Scratch::new("refused");
    let mut before = Journal::start(&scratch.0).unwrap();
    before.record(missed(1, "a"), Some(Still::Jpeg(b"first".to_vec())));
    drop(before);
    // Root may write whatever its mode is; what stands where a folder should be refuses root, too.
    let (folder, aside) = (scratch.0.join(SNAPSHOTS_FOLDER), scratch.0.join("aside"));
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "in the way").unwrap();
    let mut journal = Journal::start(&scratch.0).unwrap();
    assert_eq!(named(journal.recent().cloned().collect::<Vec<_>>().as_slice()), ["a"], "it can still be read");
    journal.record(missed(2, "b"), Some(Still::Jpeg(b"too early".to_vec())));
    journal.keep_snapshot(3, b"too early".to_vec());
    assert!(!journal.is_open());

    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    journal.record(missed(4, "c"), None);
    while !journal.is_open() {
        std::thread::yield_now();
    }
    journal.record(missed(5, "d"), Some(Still::Jpeg(b"second".to_vec())));
    drop(journal);
    let (records, unreadable) = read(&scratch.0).unwrap();
    assert_eq!((named(&records), unreadable), (vec!["a", "b", "c", "d"], 0));
    let stills: Vec<_> = records.iter().map(|record| record.still.as_deref()).collect();
    assert_eq!(stills, [Some("00000001.jpg"), None, None, Some("00000002.jpg")], "no picture took another's place");
    assert_eq!(fs::read(scratch.0.join(STILLS_FOLDER).join("00000001.jpg")).unwrap(), b"first");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_disk_that_refuses_to_the_end_holds_nobody_up() {
    let scratch = Scratch::new("refused-to-the-end");
    fs::write(&scratch.0, "a file").unwrap();
    let mut journal = Journal::start(&scratch.0).unwrap();
    for at in 0..3 * QUEUE_MAX as u64 {
        journal.record(missed(at, "door"), None);
    }
    assert_eq!(journal.recent().len(), 3 * QUEUE_MAX);
    drop(journal);
    fs::remove_file(&scratch.0).unwrap();
}
