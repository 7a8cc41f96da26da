//! YUV4MPEG2: a line of text, then for each picture another line and its planes, uncompressed.
//!
//! The format is that of mjpegtools' `yuv4mpeg(5)`. Read are 4:2:0 at 8 bits, wherever its chroma is sited, and
//! luminance alone; 4:2:2 and 4:4:4 are refused rather than converted, since a converter does it better beforehand.

use super::{Film, Next, check_size, scaled, unusable};
use crate::device::{Fault, FrameBuffer};
use crate::media::{ColourRange, PixelFormat, Size, VideoFormat};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The longest line read. Real ones have 60 to 80 characters.
pub const LINE_MAX: usize = 512;

/// A stream's first line, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub size: Size,
    /// Frames a second, as a fraction.
    pub rate: (u32, u32),
    pub range: ColourRange,
    /// Luminance alone is sent; the chroma is ours.
    pub mono: bool,
}

impl Header {
    /// Reads the first line, without its newline.
    pub fn parse(name: &str, line: &[u8]) -> Result<Header, Fault> {
        let text = core::str::from_utf8(line).map_err(|_| unusable(name, "its first line is no text"))?;
        let mut fields = text.split(' ');
        if fields.next() != Some("YUV4MPEG2") {
            return Err(unusable(name, "it is no Y4M: it does not begin with YUV4MPEG2"));
        }
        let (mut width, mut height, mut rate) = (0, 0, (30, 1));
        let (mut range, mut colours) = (ColourRange::Limited, "420");
        for field in fields {
            let wrong = || unusable(name, format!("`{field}` in its first line is not understood"));
            match field.split_at_checked(1) {
                Some(("W", v)) => width = v.parse().map_err(|_| wrong())?,
                Some(("H", v)) => height = v.parse().map_err(|_| wrong())?,
                Some(("F", v)) => rate = fraction(v).ok_or_else(wrong)?,
                Some(("C", v)) => colours = v,
                Some(("X", "COLORRANGE=FULL")) => range = ColourRange::Full,
                // Interlacing, aspect, comments.
                _ => {}
            }
        }
        let size = Size::new(width, height);
        check_size(name, size)?;
        let mono = colours == "mono";
        if !mono && !["420", "420jpeg", "420mpeg2", "420paldv"].contains(&colours) {
            let remedy =
                format!("its colours are {colours}; turn them into 4:2:0 at 8 bits with `ffmpeg -pix_fmt yuv420p`");
            return Err(unusable(name, remedy));
        }
        Ok(Header { size, rate, range, mono })
    }

    /// What its pictures are.
    pub fn format(&self) -> VideoFormat {
        let (n, d) = self.rate;
        VideoFormat {
            pixel: PixelFormat::I420,
            size: self.size,
            stride_bytes: self.size.width as usize,
            range: self.range,
            millihertz: u32::try_from(u64::from(n) * 1_000 / u64::from(d)).unwrap_or(u32::MAX),
        }
    }

    /// Bytes of a picture in the stream.
    pub fn frame_bytes(&self) -> usize {
        self.size.pixels() + if self.mono { 0 } else { 2 * self.size.chroma().pixels() }
    }

    /// A slot for a picture. Where no chroma comes it is grey from the beginning, and stays so.
    pub fn slot(&self) -> FrameBuffer {
        let mut slot = FrameBuffer::own(self.format(), self.size.pixels() + 2 * self.size.chroma().pixels());
        let luma = self.size.pixels();
        slot.bytes_mut()[luma..].fill(128);
        slot
    }
}

/// `30000:1001`; a rate of zero or beyond 1,000 a second is nonsense, but `0:0` means unknown, and is taken for 30.
fn fraction(text: &str) -> Option<(u32, u32)> {
    let (n, d) = text.split_once(':')?;
    match (n.parse::<u32>().ok()?, d.parse::<u32>().ok()?) {
        (0, 0) => Some((30, 1)),
        (0, _) | (_, 0) => None,
        (n, d) => (u64::from(n) <= 1_000 * u64::from(d)).then_some((n, d)),
    }
}

/// Whether a line, without its newline, begins a picture.
pub fn is_frame_line(line: &[u8]) -> bool {
    line == b"FRAME" || line.starts_with(b"FRAME ")
}

/// A Y4M file, played.
#[derive(Debug)]
pub struct Y4m {
    name: String,
    file: File,
    header: Header,
    /// Where the first picture's line begins.
    first: u64,
    /// Where the next one does.
    at: u64,
    /// Pictures read so far.
    count: u64,
}

impl Y4m {
    /// Reads the file's first line.
    pub fn open(name: &str, file: File) -> Result<Y4m, Fault> {
        let mut y4m = Y4m {
            name: name.into(),
            file,
            header: Header { size: Size::new(0, 0), rate: (30, 1), range: ColourRange::Limited, mono: false },
            first: 0,
            at: 0,
            count: 0,
        };
        let mut line = [0; LINE_MAX];
        let len = y4m.line(&mut line)?.ok_or_else(|| unusable(name, "its first line does not end"))?;
        y4m.header = Header::parse(name, &line[..len])?;
        y4m.at = len as u64 + 1;
        y4m.first = y4m.at;
        Ok(y4m)
    }

    /// Reads the line at `at`, and says how long it is without its newline; `None` where none ends there.
    fn line(&self, line: &mut [u8; LINE_MAX]) -> Result<Option<usize>, Fault> {
        let mut have = 0;
        loop {
            let got = self.file.read_at(&mut line[have..], self.at + have as u64).map_err(|e| self.fault(e))?;
            if let Some(end) = line[have..have + got].iter().position(|b| *b == b'\n') {
                return Ok(Some(have + end));
            }
            have += got;
            if got == 0 || have == LINE_MAX {
                return Ok(None);
            }
        }
    }

    fn fault(&self, error: io::Error) -> Fault {
        Fault::new(&self.name, "read it (pread)", error)
    }

    fn due(&self) -> crate::time::Duration {
        let (n, d) = self.header.rate;
        scaled(self.count, u64::from(d), u64::from(n))
    }
}

impl Film for Y4m {
    fn format(&self) -> VideoFormat {
        self.header.format()
    }

    fn slot(&self) -> FrameBuffer {
        self.header.slot()
    }

    fn next(&mut self, slot: &mut FrameBuffer) -> Result<Next, Fault> {
        let mut line = [0; LINE_MAX];
        let Some(len) = self.line(&mut line)?.filter(|len| is_frame_line(&line[..*len])) else {
            // The end, or what is none of the format's; nothing after it can be found.
            return Ok(Next::End(self.due()));
        };
        let pixels = self.at + len as u64 + 1;
        let bytes = self.header.frame_bytes();
        match self.file.read_exact_at(&mut slot.bytes_mut()[..bytes], pixels) {
            Ok(()) => {}
            // Cut off in the middle of a picture.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(Next::End(self.due())),
            Err(e) => return Err(self.fault(e)),
        }
        slot.used = slot.bytes_mut().len();
        self.at = pixels + bytes as u64;
        let due = self.due();
        self.count += 1;
        Ok(Next::Picture(due))
    }

    fn rewind(&mut self) -> Result<(), Fault> {
        (self.at, self.count) = (self.first, 0);
        Ok(())
    }
}
