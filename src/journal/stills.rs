//! The still pictures: files that are whole or not there, bounded in number and bytes, the oldest first to go.

use super::file::named;
use crate::codec::VideoEncoder;
use crate::codec::mjpeg::{DEFAULT_QUALITY, MjpegEncoder};
use crate::identity::{make_directory, remove_unfinished, write_atomically};
use crate::media::{EncodedFrame, Picture};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

/// The folder in the state directory.
pub const STILLS_FOLDER: &str = "stills";
/// The same for pictures of the screen that somebody asked for.
pub const SNAPSHOTS_FOLDER: &str = "snapshots";
/// Pictures that are kept, in each folder.
pub const STILLS_MAX: usize = 200;
/// Bytes of all of them.
pub const STILLS_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Bytes of one: a JPEG of 1080p has some 500 kB.
pub const STILL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Who stood at the door is for the station alone.
const MODE: u32 = 0o600;

/// A picture to be kept.
#[derive(Clone, Debug)]
pub enum Still {
    /// A picture, which the journal's thread makes a JPEG of.
    Picture(Picture),
    /// A JPEG image, as a camera or an encoder made it.
    Jpeg(Vec<u8>),
    /// A PNG image.
    Png(Vec<u8>),
}

/// The name of the still with that number.
pub(super) fn file_name(number: u64, still: &Still) -> String {
    let extension = if matches!(still, Still::Png(_)) { "png" } else { "jpg" };
    format!("{number:08}.{extension}")
}

/// The number in a still's name; `None` for any other file.
fn number_of(name: &str) -> Option<u64> {
    let (number, extension) = name.split_once('.')?;
    let is_still = ["jpg", "png"].contains(&extension) && number.bytes().all(|b| b.is_ascii_digit());
    is_still.then(|| number.parse().ok())?
}

/// The folder of a running station, which alone writes it.
#[derive(Debug)]
pub(super) struct Stills {
    folder: PathBuf,
    /// Name and bytes of each, by number: in the order in which they were made, whatever the clock said.
    kept: BTreeMap<u64, (String, u64)>,
}

impl Stills {
    /// Opens the folder, and removes what a power cut left of a picture.
    pub(super) fn open(folder: PathBuf) -> io::Result<Stills> {
        make_directory(&folder).map_err(named(&folder, "make the folder of stills"))?;
        remove_unfinished(&folder, "")?;
        let mut kept = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(named(&folder, "list the stills"))? {
            let entry = entry.map_err(named(&folder, "list the stills"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(number) = number_of(&name) {
                kept.insert(number, (name, entry.metadata().map_or(0, |metadata| metadata.len())));
            }
        }
        Ok(Stills { folder, kept })
    }

    /// The number of the next still.
    pub(super) fn next_number(&self) -> u64 {
        self.kept.last_key_value().map_or(1, |(number, _)| number.saturating_add(1))
    }

    /// Keeps a picture under `name`: on the disk, whole, when this returns, and where. Old ones go to make room.
    pub(super) fn write(&mut self, name: &str, still: Still) -> io::Result<PathBuf> {
        let path = self.folder.join(name);
        let bytes = match still {
            Still::Jpeg(bytes) | Still::Png(bytes) => bytes,
            Still::Picture(picture) => encode(&picture).map_err(named(&path, "make a JPEG"))?,
        };
        if bytes.len() > STILL_BYTES_MAX {
            let error =
                io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {STILL_BYTES_MAX} bytes"));
            return Err(named(&path, "keep a still")(error));
        }
        self.make_room(bytes.len() as u64)?;
        write_atomically(&path, &bytes, MODE).map_err(named(&path, "write a still"))?;
        if let Some(number) = number_of(name) {
            self.kept.insert(number, (name.to_owned(), bytes.len() as u64));
        }
        Ok(path)
    }

    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let total = |kept: &BTreeMap<u64, (String, u64)>| kept.values().map(|(_, bytes)| bytes).sum::<u64>();
        while self.kept.len() >= STILLS_MAX || total(&self.kept) + bytes > STILLS_BYTES_MAX {
            let Some((_, (name, _))) = self.kept.pop_first() else { return Ok(()) };
            let path = self.folder.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(named(&path, "remove an old still")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn encode(picture: &Picture) -> io::Result<Vec<u8>> {
    let mut encoded = EncodedFrame::default();
    let made = MjpegEncoder::new(DEFAULT_QUALITY).encode(picture, true, &mut encoded);
    made.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
    Ok(encoded.data)
}
