//! The eye: reads one-time codes that are held before the camera, in a thread that nobody waits for.
//!
//! A picture that is made for it can keep the reader busy for minutes (see [`qr`](crate::codec::qr)); so its thread is not
//! joined, and ends with the process at the latest. While it is busy, newer pictures replace older ones in its tap.

use super::Context;
use super::tap::{TapConfig, TapEnd, TapSwitch};
use crate::codec::qr::QrReader;
use crate::media::Size;
use crate::sys::poll;
use crate::sys::wake::Wake;
use crate::time::Duration;
use nix::poll::{PollFd, PollFlags};
use std::io;
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// What the eye is given: more pixels than the reader looks at it would only shrink again; five looks a second find a
/// code that is held still, and leave a small board's other cores to the call.
pub const EYE: TapConfig = TapConfig { bound: Size::new(1_280, 720), pause: Duration::from_millis(200) };

/// Texts that wait for the net loop; the same code is read again a moment later.
const TEXTS_MAX: usize = 4;

/// The net loop's end.
#[derive(Debug)]
pub struct Eye {
    switch: TapSwitch,
    texts: Receiver<String>,
}

impl Eye {
    /// Opens the eye, or closes it.
    pub fn set_open(&self, is_open: bool) {
        self.switch.set(is_open);
        if !is_open {
            // What it saw before is not what somebody holds before it next time.
            while self.texts.try_recv().is_ok() {}
        }
    }

    /// The next text that it has read.
    pub fn poll(&self) -> Option<String> {
        self.texts.try_recv().ok()
    }
}

/// Starts the thread, closed; `wake` is what the tap signals. It signals `ctx.net` after each text.
///
/// # Errors
/// Where the system has no thread to give.
pub fn spawn(ctx: Context, tap: TapEnd, wake: Wake) -> io::Result<Eye> {
    let (out, texts) = sync_channel(TEXTS_MAX);
    let switch = tap.switch();
    std::thread::Builder::new().name("eye".into()).spawn(move || look(&ctx, tap, &wake, &out))?;
    Ok(Eye { switch, texts })
}

fn look(ctx: &Context, mut tap: TapEnd, wake: &Wake, out: &SyncSender<String>) {
    let mut reader = QrReader::default();
    while !ctx.stop.is_stopped() {
        wake.drain();
        if let Some(picture) = tap.pictures.take() {
            let [luma, ..] = picture.planes();
            for text in reader.read(luma.data, luma.stride_bytes, picture.size()) {
                // A full queue has this code in it already.
                let _ = out.try_send(text);
                ctx.net.signal();
            }
            continue;
        }
        let mut fds = [&wake.as_fd(), &ctx.stop.as_fd()].map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
        if let Err(error) = poll::wait(&mut fds, None) {
            tracing::error!("eye: cannot wait (ppoll): {error}; the thread ends");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a code before the camera is told once it is seen, and nothing while the eye is closed. Method: the real
    //! thread and tap, frames with a drawn symbol given by hand.
    use super::super::tap::tap;
    use super::*;
    use crate::device::FrameBuffer;
    use crate::media::{ColourRange, PixelFormat, VideoFormat};
    use crate::sys::clock;
    use crate::sys::wake::Stop;
    use qrcode::{Color, QrCode};

    const SIZE: Size = Size::new(320, 240);

    fn frame(text: &str) -> FrameBuffer {
        let format = VideoFormat {
            pixel: PixelFormat::I420,
            size: SIZE,
            stride_bytes: 320,
            range: ColourRange::Limited,
            millihertz: 30_000,
        };
        let mut frame = FrameBuffer::own(format, SIZE.pixels() * 3 / 2);
        frame.bytes_mut().fill(200);
        frame.used = frame.bytes_mut().len();
        let code = QrCode::new(text).unwrap();
        let (modules, side) = (code.width(), 6);
        for (n, colour) in code.to_colors().into_iter().enumerate().filter(|(_, colour)| *colour == Color::Dark) {
            let _ = colour;
            for row in 0..side {
                let at = (20 + n / modules * side + row) * 320 + 60 + n % modules * side;
                frame.bytes_mut()[at..at + side].fill(30);
            }
        }
        frame
    }

    #[test]
    fn a_code_before_the_camera_is_told_while_the_eye_is_open() {
        let context = Context::new(Stop::new().unwrap(), Wake::new().unwrap()).unwrap();
        let wake = Wake::new().unwrap();
        let (mut tap, end) = tap(EYE, Some(wake.clone()));
        let eye = spawn(context.clone(), end, wake).unwrap();
        tap.look(&frame("CLOSED"), clock::now());
        eye.set_open(true);
        tap.look(&frame("OPEN"), clock::now());
        let until = clock::now() + Duration::from_secs(20);
        let mut seen = None;
        while seen.is_none() && clock::now() < until {
            poll::wait(&mut [PollFd::new(context.net.as_fd(), PollFlags::POLLIN)], Some(until)).unwrap();
            context.net.drain();
            seen = eye.poll();
        }
        assert_eq!(seen.as_deref(), Some("OPEN"));
        context.stop.stop();
    }
}
