//! The lab itself: every other scenario relies on what this one shows.

use crate::Outcome;
use crate::command::{run, wait_for};
use crate::devices::camera::{self, Feed, Player, Unplugged};
use crate::devices::network::{self, Ip, Network};
use crate::devices::screen::Screen;
use crate::devices::{End, buttons, load_all, sound};
use crate::judge::photo::{Photo, Sight};
use crate::judge::{clip, tone};
use crate::machine::Order;
use std::time::{Duration, Instant};

pub fn play(_: &Order) -> Outcome<String> {
    load_all()?;
    a_camera_shows_the_clip()?;
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
        wait_for("the camera is fed", Duration::from_secs(5), || player.newest().ok().filter(|&newest| newest > 3))?;
        let file = format!("/run/{}.frame", end.name());
        let device = camera::LOOPBACK[end.index()];
        run(&format!("v4l2-ctl -d {device} --stream-mmap --stream-count=1 --stream-to={file}"))?;
        let frame = std::fs::read(file)?;
        let plane = match feed {
            Feed::Raw => frame,
            Feed::Mjpeg => turbojpeg::decompress_to_yuv(&frame)?.pixels,
        };
        let photo = Photo { width: 640, height: 480, pitch: 640, bytes: plane, pixel: grey };
        match photo.sight() {
            Sight::Clip { number, psnr_db } if psnr_db > 40.0 => {
                assert!(player.newest()?.abs_diff(number) < 30, "frame {number} is not a recent one")
            }
            other => return Err(format!("{device} shows {other:?}, not the clip").into()),
        }
    }
    Ok(())
}

/// A pixel of a luma plane in video range.
fn grey(row: &[u8], x: usize) -> [u8; 3] {
    [((f64::from(row[x]) - 16.0) * 255.0 / 219.0).round().clamp(0.0, 255.0) as u8; 3]
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
        let mut pixels = Vec::with_capacity(1024 * 768 * 4);
        for y in 0..768 {
            for x in 0..1024 {
                let [grey, ..] = grey(&frame[y * 480 / 768 * 640..], x * 640 / 1024);
                pixels.extend([grey, grey, grey, 0]);
            }
        }
        // Without a console nobody has lit the screen yet.
        std::fs::write(format!("/sys/class/graphics/fb{}/blank", end.index()), "0")?;
        std::fs::write(format!("/dev/fb{}", end.index()), pixels)?;
        let photo = screen.photograph()?.ok_or("no plane is lit")?;
        match photo.sight() {
            Sight::Clip { number: 4711, psnr_db } if psnr_db > 30.0 => {}
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
    run(&format!("arecord -q -D {station} -f S16_LE -c 1 -r 48000 -d 1 -t raw /run/tone.raw"))?;
    let heard = tone::samples(&std::fs::read("/run/tone.raw")?);
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
    wait_for("the card is gone", Duration::from_secs(5), || gone().then_some(()))?;
    drop(playing);
    unplugged.plug_in()?;
    assert!(!gone(), "the card did not come back");
    Ok(())
}

fn a_button_can_be_pressed() -> Outcome {
    for down in [true, false] {
        buttons::press(2, down)?;
        assert_eq!(buttons::is_high(2)?, down);
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
