//! Makes images in JPEG of pictures that somebody asked for: in a thread of its own, since the net loop never touches a pixel.

use crate::codec::VideoEncoder;
use crate::codec::mjpeg::{DEFAULT_QUALITY, MjpegEncoder};
use crate::media::{EncodedFrame, Picture};
use crate::sys::wake::Wake;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Pictures under way: one of each kind that can be asked for.
const PICTURES_MAX: usize = 2;
/// Tried one after the other until an image is short enough: the last is coarse, and small at any size that cameras have.
const QUALITIES: [u8; 3] = [DEFAULT_QUALITY, 60, 25];

/// A thread that ends when this is dropped. `T` says which picture it is.
#[derive(Debug)]
pub(super) struct Darkroom<T> {
    pictures: SyncSender<(T, Picture)>,
    images: Receiver<(T, Result<Vec<u8>, String>)>,
}

impl<T: Send + 'static> Darkroom<T> {
    /// Images have at most `bytes_max`; `net` is signalled after each.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn start(bytes_max: usize, net: Wake) -> io::Result<Darkroom<T>> {
        let (pictures, given) = sync_channel::<(T, Picture)>(PICTURES_MAX);
        let (done, images) = sync_channel(PICTURES_MAX);
        std::thread::Builder::new().name("darkroom".into()).spawn(move || {
            for (which, picture) in given {
                if done.send((which, develop(&picture, bytes_max))).is_err() {
                    return;
                }
                net.signal();
            }
        })?;
        Ok(Darkroom { pictures, images })
    }

    /// Gives a picture in; whether there was room for it.
    pub fn handle_picture(&self, which: T, picture: Picture) -> bool {
        self.pictures.try_send((which, picture)).is_ok()
    }

    /// The next image, or why there is none.
    pub fn poll_image(&self) -> Option<(T, Result<Vec<u8>, String>)> {
        self.images.try_recv().ok()
    }
}

fn develop(picture: &Picture, bytes_max: usize) -> Result<Vec<u8>, String> {
    let mut image = EncodedFrame::default();
    for quality in QUALITIES {
        let made = MjpegEncoder::new(quality).encode(picture, true, &mut image);
        made.map_err(|error| format!("the picture cannot be made an image: {error}"))?;
        if image.data.len() <= bytes_max {
            return Ok(image.data);
        }
    }
    Err(format!("the picture's image has more than {bytes_max} bytes"))
}

#[cfg(test)]
mod tests {
    //! Goal: an image is as good as it may be long, and never longer. Method: pictures of noise, through the thread.
    use super::*;
    use crate::codec::mjpeg::JpegReader;
    use crate::media::Size;
    use crate::sys::poll;
    use nix::poll::{PollFd, PollFlags};
    use std::os::fd::AsFd;

    fn developed(bytes_max: usize) -> Result<Vec<u8>, String> {
        let mut picture = Picture::new(Size::new(640, 480));
        let mut state = 1u32;
        for plane in picture.planes_mut() {
            plane.iter_mut().for_each(|sample| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *sample = (state >> 24) as u8;
            });
        }
        let wake = Wake::new().unwrap();
        let darkroom = Darkroom::start(bytes_max, wake.clone()).unwrap();
        assert!(darkroom.handle_picture(7, picture));
        poll::wait(&mut [PollFd::new(wake.as_fd(), PollFlags::POLLIN)], None).unwrap();
        let (which, image) = darkroom.poll_image().unwrap();
        assert_eq!(which, 7);
        image
    }

    #[test]
    fn an_image_is_made_coarser_until_it_is_short_enough() {
        let fine = developed(usize::MAX).unwrap();
        let coarse = developed(fine.len() / 2).unwrap();
        assert!(coarse.len() <= fine.len() / 2);
        assert_eq!(JpegReader::new().read(&coarse, None).unwrap().y.1, Size::new(640, 480));
        assert!(developed(1_000).unwrap_err().contains("1000 bytes"));
    }
}
