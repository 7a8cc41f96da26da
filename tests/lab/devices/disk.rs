//! A disk with ext4 that keeps a record of each write (dm-log-writes), and what a power cut at any of them leaves of it.
//!
//! A disk promises only what was flushed before the cut. Of what was written since, some may be there and some not, in
//! any order, and the last write may be there in part; in whole blocks, since ext4 asks that much of a disk.

use crate::Outcome;
use crate::command::run;
use std::fs;

/// Room for the state of a station twice over, and for ext4's journal of at least 4 MiB.
const DISK_BYTES: u64 = 12 << 20;
/// What a disk writes whole: a physical sector of today's, or a page of flash.
const BLOCK_BYTES: usize = 4096;
/// Room for all that is written in one scenario.
const RECORD_BYTES: u64 = 96 << 20;
const DISK: &str = "/dev/shm/disk";
const RECORD: &str = "/dev/shm/record";
/// Where a copy lies that somebody looks at.
const COPY: &str = "/dev/shm/copy";
/// The device that writes go through.
const NAME: &str = "recorded";
/// Its node: the kernel's own name, since no udev makes another. It is the machine's only one.
const DEVICE: &str = "/dev/dm-0";

/// Loads what disks need.
pub fn load() -> Outcome {
    for module in ["loop", "dm-mod", "dm-log-writes", "ext4"] {
        run(&format!("modprobe {module}"))?;
    }
    Ok(())
}

/// Makes an ext4 file system in a file.
fn format(file: &str) -> Outcome {
    fs::File::create(file)?.set_len(DISK_BYTES)?;
    // All of its tables at once, or the kernel would write them later.
    run(&format!("mkfs.ext4 -q -b {BLOCK_BYTES} -J size=4 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard {file}"))
        .map(drop)
}

/// A plain one, mounted at `folder`.
pub fn mount_plain(folder: &str) -> Outcome {
    format(DISK)?;
    fs::create_dir_all(folder)?;
    mount_again(folder)
}

/// The same once more.
pub fn mount_again(folder: &str) -> Outcome {
    run(&format!("mount -t ext4 -o loop {DISK} {folder}")).map(drop)
}

/// A disk whose writes are being recorded.
#[derive(Debug)]
pub struct Disk {
    folder: String,
    before: Vec<u8>,
}

impl Disk {
    /// An empty one, mounted at `folder`.
    pub fn lay(folder: &str) -> Outcome<Disk> {
        format(DISK)?;
        fs::File::create(RECORD)?.set_len(RECORD_BYTES)?;
        let before = fs::read(DISK)?;
        let attach = |file| run(&format!("losetup --find --show {file}"));
        let (disk, record) = (attach(DISK)?, attach(RECORD)?);
        let table = format!("0 {} log-writes {} {}", DISK_BYTES / 512, disk.trim(), record.trim());
        let table_file = "/dev/shm/table";
        fs::write(table_file, table)?;
        // No udev is there to wait for.
        run(&format!("dmsetup create --noudevsync --noudevrules {NAME} {table_file}"))?;
        fs::create_dir_all(folder)?;
        run(&format!("mount -t ext4 {DEVICE} {folder}"))?;
        Ok(Disk { folder: folder.into(), before })
    }

    /// Puts a number into the record: what was flushed before stands before it.
    pub fn mark(&self, number: usize) -> Outcome {
        run(&format!("dmsetup message {NAME} 0 mark {number}")).map(drop)
    }

    /// Takes it away; gives what was recorded.
    pub fn finish(self) -> Outcome<Recording> {
        run(&format!("umount {}", self.folder))?;
        run(&format!("dmsetup remove --noudevsync --noudevrules {NAME}"))?;
        Recording::parse(self.before, &fs::read(RECORD)?)
    }
}

/// One thing in the record.
#[derive(Debug)]
enum Entry {
    /// All writes so far are on the disk for good.
    Flush,
    /// Bytes were written at a place; for good by themselves or not.
    Write { at: usize, bytes: Vec<u8>, is_sure: bool },
    /// [`Disk::mark`].
    Mark(usize),
}

/// How the disk was, and each write in the order in which they became sure.
#[derive(Debug)]
pub struct Recording {
    before: Vec<u8>,
    entries: Vec<Entry>,
}

/// What is on the disk after a power cut.
#[derive(Debug)]
pub struct Cut {
    /// For messages.
    pub name: String,
    /// The last mark before it.
    pub mark: Option<usize>,
    image: Vec<u8>,
}

impl Recording {
    /// The record as Linux writes it: Documentation/admin-guide/device-mapper/log-writes.rst.
    fn parse(before: Vec<u8>, record: &[u8]) -> Outcome<Recording> {
        const MAGIC: u64 = 0x006a_7366_7773_6872;
        let [flush, fua, discard, marked] = [1, 2, 4, 8];
        let word = |at: usize| -> Outcome<u64> {
            Ok(u64::from_le_bytes(record.get(at..at + 8).ok_or("the record is cut off")?.try_into()?))
        };
        if word(0)? != MAGIC {
            return Err("there is no record".into());
        }
        let sector = word(24)? as u32 as usize;
        let mut entries = Vec::new();
        let mut at = sector;
        for _ in 0..word(16)? {
            let [place, count, flags, length] = [word(at)?, word(at + 8)?, word(at + 16)?, word(at + 24)?];
            let data = at + sector;
            if flags & marked != 0 {
                let text = record.get(at + 32..at + 32 + length as usize).ok_or("the record is cut off")?;
                // The driver marks the end in words of its own.
                entries.extend(String::from_utf8_lossy(text).trim_end_matches('\0').parse().ok().map(Entry::Mark));
            }
            if flags & flush != 0 {
                entries.push(Entry::Flush);
            }
            at = data;
            if count > 0 && flags & discard == 0 {
                at += count as usize * sector;
                let bytes = record.get(data..at).ok_or("the record is cut off")?.to_vec();
                entries.push(Entry::Write { at: place as usize * sector, bytes, is_sure: flags & fua != 0 });
            }
        }
        Ok(Recording { before, entries })
    }

    /// How many writes there were.
    pub fn writes(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry, Entry::Write { .. })).count()
    }

    /// Each power cut there is: after every write, with all that was written by then; and `losses` times with a choice of
    /// what was not sure yet, the last write in part.
    pub fn cuts(&self, losses: usize) -> impl Iterator<Item = Cut> {
        let mut sure = self.before.clone();
        let mut unsure: Vec<(usize, &[u8], bool)> = Vec::new();
        let mut mark = None;
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        self.entries.iter().enumerate().flat_map(move |(number, entry)| {
            match entry {
                Entry::Mark(new) => mark = Some(*new),
                Entry::Flush => unsure.drain(..).for_each(|(at, bytes, _)| put(&mut sure, at, bytes)),
                Entry::Write { at, bytes, is_sure } => unsure.push((*at, bytes, *is_sure)),
            }
            let mut cuts = Vec::new();
            if matches!(entry, Entry::Write { .. }) {
                let mut whole = sure.clone();
                unsure.iter().for_each(|(at, bytes, _)| put(&mut whole, *at, bytes));
                cuts.push(Cut { name: format!("write {number}"), mark, image: whole });
                for loss in 0..losses {
                    let image = lossy(&sure, &unsure, &mut random);
                    cuts.push(Cut { name: format!("write {number}, loss {loss}"), mark, image });
                }
            }
            cuts
        })
    }
}

/// Some of what is not sure, and a part of the last of it.
fn lossy(sure: &[u8], unsure: &[(usize, &[u8], bool)], random: &mut Random) -> Vec<u8> {
    let mut image = sure.to_vec();
    for (place, (at, bytes, is_sure)) in unsure.iter().enumerate() {
        if *is_sure && place + 1 < unsure.len() {
            put(&mut image, *at, bytes);
        } else if place + 1 == unsure.len() {
            let blocks = bytes.len() / BLOCK_BYTES;
            put(&mut image, *at, &bytes[..random.below(blocks + 1) * BLOCK_BYTES]);
        } else if random.below(2) == 0 {
            put(&mut image, *at, bytes);
        }
    }
    image
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) {
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Cut {
    /// Mounts the disk as it is after the cut at `folder`, as a machine that starts again does; unmounted by the drop.
    pub fn mount<'a>(&self, folder: &'a str) -> Outcome<Mounted<'a>> {
        fs::write(COPY, &self.image)?;
        fs::create_dir_all(folder)?;
        run(&format!("mount -t ext4 -o loop {COPY} {folder}")).map_err(|error| format!("{}: {error}", self.name))?;
        Ok(Mounted(folder))
    }
}

/// A mounted disk.
#[derive(Debug)]
pub struct Mounted<'a>(&'a str);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        if let Err(error) = run(&format!("umount {}", self.0)) {
            println!("{error}");
        }
    }
}

/// Always the same numbers, so that what failed once fails again (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
