//! Atomic commits whose arrays are made once and used again for every flip.

use super::card::Card;
use drm::control::{AtomicCommitFlags, Device as _, ResourceHandle, framebuffer, property};
use std::io;
use std::os::fd::AsFd;

/// The properties that are set, by object, in the layout that `DRM_IOCTL_MODE_ATOMIC` takes.
#[derive(Clone, Debug, Default)]
pub struct Request {
    objects: Vec<u32>,
    counts: Vec<u32>,
    properties: Vec<u32>,
    values: Vec<u64>,
}

impl Request {
    /// Sets a property of `object`; those of one object are given one after the other. Answers where the value lies.
    pub fn set(&mut self, object: u32, property: u32, value: u64) -> usize {
        if self.objects.last() != Some(&object) {
            self.objects.push(object);
            self.counts.push(0);
        }
        if let Some(count) = self.counts.last_mut() {
            *count += 1;
        }
        self.properties.push(property);
        self.values.push(value);
        self.values.len() - 1
    }

    /// Replaces a value that [`Request::set`] put there.
    pub fn change(&mut self, at: usize, value: u64) {
        self.values[at] = value;
    }

    /// Gives the request to the kernel.
    pub fn commit(&mut self, card: &Card, flags: AtomicCommitFlags) -> io::Result<()> {
        drm_ffi::mode::atomic_commit(
            card.as_fd(),
            flags.bits(),
            &mut self.objects,
            &mut self.counts,
            &mut self.properties,
            &mut self.values,
        )
    }
}

/// The properties of one object, by name.
#[derive(Debug)]
pub struct Properties {
    object: u32,
    list: Vec<(String, property::Info, u64)>,
}

impl Properties {
    /// Reads them all.
    pub fn of<H: ResourceHandle>(card: &Card, handle: H) -> io::Result<Properties> {
        let raw: drm::control::RawResourceHandle = handle.into();
        let mut list = Vec::new();
        for (property, value) in card.get_properties(handle)? {
            let info = card.get_property(property)?;
            list.push((info.name().to_string_lossy().into_owned(), info, value));
        }
        Ok(Properties { object: raw.into(), list })
    }

    fn find(&self, name: &str) -> Option<&(String, property::Info, u64)> {
        self.list.iter().find(|(n, ..)| n == name)
    }

    /// The present value of a property.
    pub fn value(&self, name: &str) -> Option<u64> {
        self.find(name).map(|(.., value)| *value)
    }

    /// The present value of a property that is a range, and, if it may be set, the least and the greatest it can be.
    pub fn range(&self, name: &str) -> Option<(u64, Option<(u64, u64)>)> {
        let (_, info, value) = self.find(name)?;
        let property::ValueType::UnsignedRange(least, greatest) = *info.value_type() else { return None };
        Some((*value, info.mutable().then_some((least, greatest))))
    }

    /// The object and the property, as [`Request::set`] takes them.
    pub fn id(&self, name: &'static str) -> io::Result<(u32, u32)> {
        let (_, info, _) = self.find(name).ok_or_else(|| io::Error::other(format!("the driver has no {name}")))?;
        Ok((self.object, info.handle().into()))
    }

    /// The number of an enumerated property's choice that starts with `start`, with the property.
    pub fn choice(&self, name: &str, start: &str) -> Option<(u32, u32, u64)> {
        let (_, info, _) = self.find(name)?;
        let property::ValueType::Enum(choices) = info.value_type() else { return None };
        let (_, choices) = choices.values();
        let choice = choices.iter().find(|choice| choice.name().to_string_lossy().starts_with(start))?;
        Some((self.object, info.handle().into(), choice.value()))
    }
}

/// One plane, with what is needed to put a picture on it.
#[derive(Clone, Debug)]
pub struct PlanePort {
    /// FB_ID, CRTC_ID, source in 16.16 (x, y, width, height), position on the screen (x, y, width, height).
    ids: [(u32, u32); 10],
    crtc: u32,
    /// COLOR_ENCODING: BT.601.
    encoding: Option<(u32, u32, u64)>,
    /// COLOR_RANGE: limited, then full.
    ranges: Option<[(u32, u32, u64); 2]>,
    /// `zpos`.
    depth: Option<(u32, u32)>,
    /// How what it shows covers what is beneath: colours are premultiplied, and the plane itself covers whole.
    blend: Option<(u32, u32, u64)>,
    alpha: Option<(u32, u32)>,
}

/// What DRM's `alpha` says of a plane that is not transparent as a whole.
const OPAQUE: u64 = 0xffff;

/// Where the values lie that change from flip to flip.
#[derive(Clone, Copy, Debug)]
pub struct PlaneSlots {
    framebuffer: usize,
    range: Option<(usize, [u64; 2])>,
}

/// A rectangle on the screen: left, top, width, height.
pub type Rectangle = [u32; 4];

impl PlanePort {
    /// Looks the properties up; a driver that lacks one of the first ten is not an atomic one.
    pub fn new(properties: &Properties, crtc: u32) -> io::Result<PlanePort> {
        const NAMES: [&str; 10] =
            ["FB_ID", "CRTC_ID", "SRC_X", "SRC_Y", "SRC_W", "SRC_H", "CRTC_X", "CRTC_Y", "CRTC_W", "CRTC_H"];
        let mut ids = [(0, 0); 10];
        for (id, name) in ids.iter_mut().zip(NAMES) {
            *id = properties.id(name)?;
        }
        let range = |start| properties.choice("COLOR_RANGE", start);
        Ok(PlanePort {
            ids,
            crtc,
            encoding: properties.choice("COLOR_ENCODING", "ITU-R BT.601"),
            depth: properties.id("zpos").ok(),
            blend: properties.choice("pixel blend mode", "Pre-multiplied"),
            alpha: properties.id("alpha").ok(),
            ranges: range("YCbCr limited").zip(range("YCbCr full")).map(|(limited, full)| [limited, full]),
        })
    }

    /// Puts a buffer of `size` on the plane, at a rectangle of the screen.
    pub fn put(
        &self,
        request: &mut Request,
        framebuffer: framebuffer::Handle,
        size: (u32, u32),
        at: Rectangle,
    ) -> PlaneSlots {
        let source = [0, 0, u64::from(size.0) << 16, u64::from(size.1) << 16];
        let values = [u64::from(u32::from(framebuffer)), u64::from(self.crtc)];
        let values = values.into_iter().chain(source).chain(at.map(u64::from));
        let slots: Vec<usize> = self
            .ids
            .iter()
            .zip(values)
            .map(|((object, property), value)| request.set(*object, *property, value))
            .collect();
        if let Some((object, property, value)) = self.encoding {
            request.set(object, property, value);
        }
        let range = self
            .ranges
            .map(|[(object, property, limited), (.., full)]| (request.set(object, property, limited), [limited, full]));
        PlaneSlots { framebuffer: slots[0], range }
    }

    /// The same with a buffer that has an alpha channel, whose colours are multiplied by it.
    pub fn put_premultiplied(
        &self,
        request: &mut Request,
        framebuffer: framebuffer::Handle,
        size: (u32, u32),
        at: Rectangle,
    ) -> PlaneSlots {
        let slots = self.put(request, framebuffer, size, at);
        let alpha = self.alpha.map(|(object, property)| (object, property, OPAQUE));
        for (object, property, value) in self.blend.into_iter().chain(alpha) {
            request.set(object, property, value);
        }
        slots
    }

    /// Moves the plane above those that have a smaller number, right after something was put on it.
    pub fn lift(&self, request: &mut Request, depth: u64) {
        if let Some((object, property)) = self.depth {
            request.set(object, property, depth);
        }
    }

    /// Whether both are the same plane.
    pub fn is_same(&self, other: &PlanePort) -> bool {
        self.ids[0].0 == other.ids[0].0
    }

    /// Takes whatever it shows off the plane.
    pub fn clear(&self, request: &mut Request) {
        for (object, property) in &self.ids[..2] {
            request.set(*object, *property, 0);
        }
    }
}

impl PlaneSlots {
    /// Exchanges the buffer.
    pub fn replace(self, request: &mut Request, framebuffer: framebuffer::Handle) {
        request.change(self.framebuffer, u64::from(u32::from(framebuffer)));
    }

    /// Exchanges the buffer, and says how its samples are to be read.
    pub fn exchange(self, request: &mut Request, framebuffer: framebuffer::Handle, is_full_range: bool) {
        self.replace(request, framebuffer);
        if let Some((at, values)) = self.range {
            request.change(at, values[usize::from(is_full_range)]);
        }
    }
}
