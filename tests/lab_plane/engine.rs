//! What the display engine shows: the planes as a second client reads them, brought together as vkms does it, and held
//! against the checksum that vkms gives of what it has brought together itself.

use drm::buffer::DrmFourcc;
use drm::control::{Device as _, framebuffer, plane};
use drm::{ClientCapability, Device as _};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::process::Command;
use visavis::media::Size;
use visavis::sys::memory::Map;

use super::Looker;

/// Frames whose checksums are read before the picture is given up: the engine is behind the flip by one or two.
const FRAMES_MAX: usize = 120;

/// Loads the first screen's driver, with planes in front of the primary one or without.
pub fn load(has_overlays: bool) {
    let wanted = if has_overlays { "Y" } else { "N" };
    let parameter = "/sys/module/vkms/parameters/enable_overlay";
    if fs::read_to_string(parameter).is_ok_and(|now| now.trim() == wanted) {
        return;
    }
    let run = |words: &[&str]| {
        let status = Command::new("modprobe").args(words).status().expect("modprobe");
        assert!(status.success(), "modprobe {words:?}");
    };
    run(&["-r", "vkms"]);
    run(&["vkms", "enable_writeback=0", &format!("enable_overlay={wanted}")]);
    assert_eq!(fs::read_to_string(parameter).unwrap().trim(), wanted);
}

/// A lit plane: where on the screen, and its buffer.
pub struct Lit {
    pub at: [i64; 4],
    pub framebuffer: u32,
    pub format: DrmFourcc,
    pitch: usize,
    bytes: Vec<u8>,
}

impl Looker {
    /// The planes that show something, the lowest first.
    pub fn lit(&self) -> Vec<Lit> {
        self.set_client_capability(ClientCapability::UniversalPlanes, true).unwrap();
        self.set_client_capability(ClientCapability::Atomic, true).unwrap();
        self.plane_handles().unwrap().into_iter().filter_map(|handle| self.lit_plane(handle)).collect()
    }

    fn lit_plane(&self, handle: plane::Handle) -> Option<Lit> {
        let framebuffer = self.get_plane(handle).unwrap().framebuffer()?;
        let mut values = HashMap::new();
        for (property, value) in self.get_properties(handle).unwrap() {
            let name = self.get_property(property).unwrap().name().to_string_lossy().into_owned();
            values.insert(name, value.cast_signed());
        }
        let at = ["CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H"].map(|name| values[name]);
        Some(self.read(framebuffer, at))
    }

    fn read(&self, framebuffer: framebuffer::Handle, at: [i64; 4]) -> Lit {
        let info = self.get_planar_framebuffer(framebuffer).unwrap();
        let handle = info.buffers()[0].expect("root sees the handle");
        let memory = File::from(self.buffer_to_prime_fd(handle, drm::CLOEXEC | drm::RDWR).unwrap());
        let _ = self.close_buffer(handle);
        let pitch = info.pitches()[0] as usize;
        let map = Map::new(memory.as_fd(), 0, pitch * info.size().1 as usize).unwrap();
        Lit { at, framebuffer: framebuffer.into(), format: info.pixel_format(), pitch, bytes: map.bytes().to_vec() }
    }
}

/// What a screen shows, in channels of 16 bits: alpha, red, green, blue.
pub struct Shown {
    size: Size,
    pixels: Vec<[u16; 4]>,
}

impl Shown {
    /// Brings planes together, the lowest first, as `vkms_composer.c` does.
    pub fn of(planes: &[Lit], size: Size) -> Shown {
        let mut pixels = vec![[0xffff, 0, 0, 0]; size.pixels()];
        for plane in planes {
            let [left, top, width, height] = plane.at.map(|side| usize::try_from(side).expect("it lies on the screen"));
            for y in 0..height {
                for x in 0..width {
                    let [b, g, r, a] = plane.bytes[y * plane.pitch + 4 * x..].first_chunk::<4>().unwrap().map(wide);
                    let alpha = if plane.format == DrmFourcc::Argb8888 { a } else { 0xffff };
                    let under = &mut pixels[(top + y) * size.width as usize + left + x];
                    for (under, over) in under[1..].iter_mut().zip([r, g, b]) {
                        let sum = u32::from(over) * 0xffff + u32::from(*under) * u32::from(0xffff - alpha);
                        *under = ((sum + 0x7fff) / 0xffff) as u16;
                    }
                }
            }
        }
        Shown { size, pixels }
    }

    /// Red, green and blue of a pixel.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let [_, colours @ ..] = self.pixels[(y * self.size.width + x) as usize];
        colours.map(|colour| (colour / 257) as u8)
    }

    /// The checksum that the engine gives of such a picture.
    fn checksum(&self) -> u32 {
        let bytes = self.pixels.iter().flatten().flat_map(|channel| channel.to_le_bytes());
        bytes.fold(0, |sum, byte| {
            (0..8).fold(sum ^ u32::from(byte), |sum, _| sum >> 1 ^ (0xedb8_8320 & (sum & 1).wrapping_neg()))
        })
    }

    /// How far another differs: the share of channels that are off by more than `limit`, and the mean of all.
    pub fn difference(&self, other: &Shown, limit: u8) -> (f64, f64) {
        let all = || self.pixels.iter().flatten().zip(other.pixels.iter().flatten());
        let steps = |(a, b): (&u16, &u16)| f64::from(a.abs_diff(*b)) / 257.0;
        let count = self.pixels.len() as f64 * 3.0;
        (
            all().filter(|pair| steps(*pair) > f64::from(limit)).count() as f64 / count,
            all().map(steps).sum::<f64>() / count,
        )
    }

    /// As a PPM image, into the run folder, which is kept on demand.
    pub fn save(&self, name: &str) {
        let mut file = File::create(format!("/lab/{name}.ppm")).unwrap();
        writeln!(file, "P6 {} {} 255", self.size.width, self.size.height).unwrap();
        let bytes: Vec<u8> =
            (0..self.size.height).flat_map(|y| (0..self.size.width).flat_map(move |x| self.pixel(x, y))).collect();
        file.write_all(&bytes).unwrap();
    }
}

fn wide(channel: u8) -> u16 {
    u16::from(channel) * 257
}

/// The engine's own account of what it shows.
pub struct Engine(BufReader<File>);

impl Engine {
    pub fn watch() -> Engine {
        let folder = (0..4)
            .map(|n| format!("/sys/kernel/debug/dri/{n}"))
            .find(|folder| fs::read_to_string(format!("{folder}/name")).is_ok_and(|name| name.starts_with("vkms ")));
        let folder = format!("{}/crtc-0/crc", folder.expect("debugfs"));
        fs::write(format!("{folder}/control"), "auto").unwrap();
        Engine(BufReader::new(OpenOptions::new().read(true).open(format!("{folder}/data")).unwrap()))
    }

    /// Whether the engine shows this, now or within a few frames.
    pub fn shows(&mut self, shown: &Shown) -> bool {
        let wanted = shown.checksum();
        (0..FRAMES_MAX).any(|_| {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a checksum a frame");
            let word = line.split_whitespace().nth(1).and_then(|word| word.strip_prefix("0x"));
            word.and_then(|word| u32::from_str_radix(word, 16).ok()) == Some(wanted)
        })
    }
}
