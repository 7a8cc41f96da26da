//! The lab itself: every other scenario relies on what this one shows.

use crate::Outcome;
use crate::call::WHOLE_DB;
use crate::command::{run, wait_for};
use crate::devices::camera::{self, Feed, Player, Unplugged};
use crate::devices::network::{self, Ip, Network};
use crate::devices::screen::{self, Screen};
use crate::devices::{End, buttons, load_all, sound};
use crate::judge::photo::{Photo, Sight};
use crate::judge::{clip, tone};
use crate::machine::Order;
use std::time::{Duration, Instant};
use v4l::io::mmap::Stream as MmapStream;
use v4l::io::traits::CaptureStream;

/// Each of these takes no second on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn play(_: &Order) -> Outcome<String> {
    load_all()?;
    a_tear_is_seen()?;
    a_camera_shows_the_clip()?;
    a_lent_frame_is_left_alone()?;
    a_camera_can_be_pulled_out()?;
    a_screen_can_be_photographed()?;
    let found = a_tone_passes_through_a_card()?;
    a_card_can_be_pulled_out()?;
    a_button_can_be_pressed()?;
    a_network_can_be_spoilt()?;
    Ok(format!("a tone is {:.1} % pure", found * 100.0))
}

/// The player's frames come out of v4l2loopback, raw and as JPEG.
fn a_camera_shows_the_clip() -> Outcome {
    for (end, feed) in [(End::Near, Feed::Raw), (End::Far, Feed::Mjpeg)] {
        let player = Player::start(end, feed)?;
        let file = format!("/run/{}.frame", end.name());
        let device = camera::LOOPBACK[end.index()];
        run(&format!("v4l2-ctl -d {device} --stream-mmap --stream-count=1 --stream-to={file}"))?;
        let frame = std::fs::read(file)?;
        let photo = match feed {
            Feed::Raw => photo_of(frame, grey),
            Feed::Mjpeg => photo_of(turbojpeg::decompress_to_yuv(&frame)?.pixels, full_range_grey),
        };
        match photo.sight() {
            Sight::Clip { number, worst_db } if worst_db > 40.0 => {
                assert!(player.newest()?.abs_diff(number) < 30, "frame {number} is not a recent one")
            }
            other => return Err(format!("{device} shows {other:?}, not the clip").into()),
        }
    }
    Ok(())
}

/// A frame of the clip as if it had been photographed.
fn photo_of(bytes: Vec<u8>, pixel: fn(&[u8], usize) -> [u8; 3]) -> Photo {
    let (width, height) = clip::SIZE;
    Photo { width, height, pitch: width as usize, bytes, pixel }
}

fn full_range_grey(row: &[u8], x: usize) -> [u8; 3] {
    [row[x]; 3]
}

/// A pixel of a luma plane in video range.
fn grey(row: &[u8], x: usize) -> [u8; 3] {
    [((f64::from(row[x]) - 16.0) * 255.0 / 219.0).round().clamp(0.0, 255.0) as u8; 3]
}

/// What the judge calls whole it must not call whole with a few rows of the next frame in it.
fn a_tear_is_seen() -> Outcome {
    let (mut whole, mut next) = (clip::blank(), clip::blank());
    let row = clip::SIZE.0 as usize;
    for number in 100..130 {
        clip::draw(number, &mut whole);
        clip::draw(number + 1, &mut next);
        let mut torn = whole.clone();
        torn[160 * row..176 * row].copy_from_slice(&next[160 * row..176 * row]);
        for (frame, is_whole) in [(&whole, true), (&torn, false)] {
            let sight = photo_of(frame.clone(), grey).sight();
            let Sight::Clip { worst_db, .. } = sight else { return Err(format!("it shows {sight:?}").into()) };
            assert_eq!(worst_db >= WHOLE_DB, is_whole, "{number} with {worst_db} dB");
        }
    }
    Ok(())
}

/// A frame that a program holds stays as it is, while more are played than the camera has buffers.
fn a_lent_frame_is_left_alone() -> Outcome {
    let player = Player::start(End::Near, Feed::Raw)?;
    let device = v4l::Device::with_path(camera::LOOPBACK[End::Near.index()])?;
    let mut stream = MmapStream::with_buffers(&device, v4l::buffer::Type::VideoCapture, camera::BUFFERS)?;
    for _ in 0..3 {
        let (frame, _) = stream.next()?;
        let (before, since) = (frame.to_vec(), player.newest()?);
        wait_for("the player goes on", PATIENCE, || {
            player.newest().ok().filter(|&newest| newest > since + 2 * camera::BUFFERS)
        })?;
        assert!(before == frame, "the driver writes into a buffer that is lent");
    }
    Ok(())
}

fn a_camera_can_be_pulled_out() -> Outcome {
    let [camera, _] = camera::VIVID;
    let stream = format!("v4l2-ctl -d {camera} --stream-mmap --stream-count=2");
    run(&stream)?;
    let unplugged = Unplugged::pull(camera)?;
    if let Ok(said) = run(&format!("v4l2-ctl -d {camera} --all")) {
        return Err(format!("{camera} is still there: {said}").into());
    }
    drop(unplugged);
    run(&stream).map(drop)
}

/// With the framebuffer console's device a picture can be put on either screen; the photograph must show it.
fn a_screen_can_be_photographed() -> Outcome {
    let mut frame = clip::blank();
    clip::draw(4711, &mut frame);
    for end in End::BOTH {
        let screen = Screen::open(end)?;
        // Clip and screen are of one size.
        assert_eq!(clip::SIZE, screen::SIZE);
        let (width, height) = (clip::SIZE.0 as usize, clip::SIZE.1 as usize);
        let pixels: Vec<u8> = (0..width * height).flat_map(|at| [grey(&frame, at)[0]; 4]).collect();
        // Without a console nobody has lit the screen yet.
        std::fs::write(format!("/sys/class/graphics/fb{}/blank", end.index()), "0")?;
        std::fs::write(format!("/dev/fb{}", end.index()), pixels)?;
        let photo = screen.photograph()?.ok_or("no plane is lit")?;
        match photo.sight() {
            Sight::Clip { number: 4711, worst_db } if worst_db > 30.0 => {}
            other => {
                photo.save("/lab/photo.ppm")?;
                return Err(format!("the photograph shows {other:?}").into());
            }
        }
    }
    Ok(())
}

/// Spoken on the room's side and recorded on the station's.
fn a_tone_passes_through_a_card() -> Outcome<f64> {
    let _speaking = sound::Speaker::start(End::Near)?;
    let station = sound::station_side(End::Near);
    // On a busy machine the speaking side may begin a second later than the other.
    let record = || -> Outcome<Vec<f64>> {
        run(&format!("arecord -q -D {station} -f S16_LE -c 1 -r 48000 -d 1 -t raw /run/tone.raw"))?;
        Ok(tone::samples(&std::fs::read("/run/tone.raw")?))
    };
    let is_whole = |heard: &[f64]| tone::level(&heard[..heard.len() / 2]) > 0.0;
    let (heard, _) = wait_for("a tone comes out of the card", PATIENCE, || match record() {
        Ok(heard) => is_whole(&heard).then_some(Ok(heard)),
        Err(error) => Some(Err(error)),
    })?;
    let heard = heard?;
    // The first half may hold the moment at which the two sides met.
    let heard = &heard[heard.len() / 2..];
    let (right, wrong) =
        (tone::share(heard, sound::pitch_hz(End::Near)), tone::share(heard, sound::pitch_hz(End::Far)));
    if right < 0.98 || wrong > 0.01 || !(0.3..0.4).contains(&tone::level(heard)) {
        return Err(format!(
            "the tone's share is {right:.3}, a wrong one's {wrong:.3}, the level {:.3}",
            tone::level(heard)
        )
        .into());
    }
    Ok(right)
}

fn a_card_can_be_pulled_out() -> Outcome {
    let playing = sound::Speaker::start(End::Far)?;
    let gone = || !std::fs::read_to_string("/proc/asound/cards").is_ok_and(|cards| cards.contains("[far"));
    let unplugged = sound::Unplugged::pull(End::Far)?;
    wait_for("the card is gone", PATIENCE, || gone().then_some(()))?;
    drop(playing);
    unplugged.plug_in()?;
    assert!(!gone(), "the card did not come back");
    Ok(())
}

fn a_button_can_be_pressed() -> Outcome {
    for down in [true, false] {
        buttons::press("BTN_DOOR", down)?;
        assert_eq!(buttons::is_high("BTN_DOOR")?, down);
    }
    Ok(())
}

/// A packet there and back takes the delays of both ends.
fn a_network_can_be_spoilt() -> Outcome {
    let network = Network::lay(Ip::V6)?;
    let far = Ip::V6.address(End::Far);
    let ping = format!("busybox ping -q -c 1 -W 5 {far}");
    network::inside(End::Near, &ping)?;
    network.spoil("delay 20ms")?;
    let start = Instant::now();
    network::inside(End::Near, &ping)?;
    let delay = start.elapsed();
    network.mend()?;
    network.cut()?;
    if network::inside(End::Near, &format!("busybox ping -q -c 1 -W 1 {far}")).is_ok() {
        return Err("a packet passed through a cable that was cut".into());
    }
    network.join()?;
    network::inside(End::Near, &ping)?;
    if delay < Duration::from_millis(40) { Err("netem did not delay".into()) } else { Ok(()) }
}
