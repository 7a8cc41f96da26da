//! Pictures as PNG images: the `png:DIR` screen, and snapshots.

use super::{Fault, FaultKind, VideoSink};
use crate::media::{ColourRange, Picture, Size};
use crate::sys::poll::Wait;
use crate::time::{Duration, Instant};
use ::png::{BitDepth, ColorType, Compression, Encoder};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use yuv::{YuvPlanarImage, YuvRange, YuvStandardMatrix, yuv420_to_rgb};

/// How often the folder's `newest.png` is replaced: often enough to look alive, and at some 5 ms of encoding for a
/// 640x480 picture a cost below 1 %.
const EVERY: Duration = Duration::from_secs(1);

/// Writes a picture as an 8-bit RGB PNG, quickly rather than small.
///
/// # Errors
/// What writing says; a picture without pixels is `InvalidInput`.
pub fn encode(picture: &Picture, to: impl Write) -> io::Result<()> {
    let size = picture.size();
    let mut rgb = vec![0; size.pixels() * 3];
    let [y, u, v] = picture.planes();
    let planes = YuvPlanarImage {
        y_plane: y.data,
        y_stride: y.stride_bytes as u32,
        u_plane: u.data,
        u_stride: u.stride_bytes as u32,
        v_plane: v.data,
        v_stride: v.stride_bytes as u32,
        width: size.width,
        height: size.height,
    };
    let range = match picture.range {
        ColourRange::Limited => YuvRange::Limited,
        ColourRange::Full => YuvRange::Full,
    };
    yuv420_to_rgb(&planes, &mut rgb, size.width * 3, range, YuvStandardMatrix::Bt601)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
    let mut encoder = Encoder::new(to, size.width, size.height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb)?;
    writer.finish()?;
    Ok(())
}

/// Writes a picture to `path` so that a reader sees the old image or the new one, never half of one.
///
/// # Errors
/// What the file system says.
pub fn write(picture: &Picture, path: &Path) -> io::Result<()> {
    let part = path.with_extension("png.part");
    let mut file = BufWriter::new(File::create(&part)?);
    encode(picture, &mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?;
    fs::rename(&part, path)
}

/// Keeps `newest.png` in a folder no more than a second old, and leaves the last picture as `final.png`.
#[derive(Debug)]
pub struct PngSink {
    name: String,
    folder: PathBuf,
    newest: Option<Picture>,
    next_write: Instant,
    shown_at: Option<Instant>,
}

impl PngSink {
    /// Into `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// A fault of kind [`FaultKind::Unusable`] where it cannot be made.
    pub fn open(folder: &Path) -> Result<PngSink, Fault> {
        let name = format!("png:{}", folder.display());
        fs::create_dir_all(folder).map_err(|error| Fault::new(&name, "make the folder (mkdir)", error))?;
        Ok(PngSink { name, folder: folder.into(), newest: None, next_write: Instant::ZERO, shown_at: None })
    }

    fn save(&self, picture: &Picture, file: &str) -> Result<(), Fault> {
        write(picture, &self.folder.join(file)).map_err(|error| {
            let fault = Fault::new(&self.name, "write an image", error);
            // A full disk or a folder that is gone is looked at again, slowly; it never ends the station.
            Fault { kind: FaultKind::Unusable, ..fault }
        })
    }
}

impl VideoSink for PngSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> Option<Size> {
        None
    }

    fn wait(&self) -> Wait<'_> {
        Wait { fd: None, at: self.shown_at }
    }

    fn is_ready(&self) -> bool {
        self.shown_at.is_none()
    }

    fn show(&mut self, picture: &Picture, now: Instant) -> Result<(), Fault> {
        // A copy into memory that is kept: the picture itself is only lent, and the last one is written at the close.
        match &mut self.newest {
            Some(newest) => newest.copy_from(picture),
            newest @ None => *newest = Some(picture.clone()),
        }
        if now >= self.next_write {
            self.save(picture, "newest.png")?;
            self.next_write = now + EVERY;
        }
        self.shown_at = Some(now);
        Ok(())
    }

    fn finish(&mut self, _now: Instant) -> Result<Option<Instant>, Fault> {
        Ok(self.shown_at.take())
    }
}

impl Drop for PngSink {
    fn drop(&mut self) {
        if let Some(newest) = &self.newest
            && let Err(fault) = self.save(newest, "final.png")
        {
            tracing::warn!("{fault}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> (u32, u32, Vec<u8>) {
        let mut reader = ::png::Decoder::new(io::BufReader::new(File::open(path).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, info.height, pixels)
    }

    #[test]
    fn a_folder_holds_the_newest_of_each_second_and_the_last() {
        let folder = std::env::temp_dir().join(format!("visavis-png-{}", std::process::id()));
        let mut sink = PngSink::open(&folder).unwrap();
        let mut picture = Picture::new(Size::new(33, 17));
        for (ms, luma) in [(0, 16), (500, 126), (1_000, 235), (1_100, 81)] {
            picture.fill(luma, 128, 128);
            sink.show(&picture, Instant::from_millis(ms)).unwrap();
            assert_eq!(sink.finish(Instant::from_millis(ms)).unwrap(), Some(Instant::from_millis(ms)));
        }
        let (w, h, pixels) = read(&folder.join("newest.png"));
        assert_eq!((w, h, pixels[0]), (33, 17, 255), "white, shown at 1,000 ms");
        drop(sink);
        let (_, _, pixels) = read(&folder.join("final.png"));
        assert!(pixels.iter().all(|p| p.abs_diff(76) <= 1), "(81 − 16) × 255 / 219, not {}", pixels[0]);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing half-written is left");
        fs::remove_dir_all(folder).unwrap();
    }
}
