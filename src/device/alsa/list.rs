//! Which sound cards there are, and what each lacks to be used.

use super::super::Fault;
use super::{FORMATS, fault};
use ::alsa::pcm::{HwParams, PCM};
use ::alsa::{Direction, Output, card, ctl};
use core::ops::RangeInclusive;

/// One direction of one PCM device.
#[derive(Clone, Debug)]
pub struct AlsaDevice {
    /// What to type after `alsa:`; it stays the same when cards are plugged in another order.
    pub name: String,
    /// What is printed on it, or near it.
    pub description: String,
    /// Whether it is a microphone; a loudspeaker otherwise.
    pub is_capture: bool,
    /// What it can do; `None` where `trouble` kept us from asking.
    pub range: Option<AlsaRange>,
    /// What keeps it from being used just now.
    pub trouble: Option<Fault>,
}

/// What a PCM device can do by itself; the rest is converted.
#[derive(Clone, Debug)]
pub struct AlsaRange {
    /// Sample formats by their ALSA names.
    pub formats: Vec<String>,
    /// Sample rates, in Hz.
    pub rates_hz: RangeInclusive<u32>,
    /// Numbers of channels.
    pub channels: RangeInclusive<u32>,
}

/// All PCM devices of all cards. A card that cannot be asked is listed with its trouble.
pub fn list() -> Vec<AlsaDevice> {
    let _quiet = Output::local_error_handler();
    let mut devices = Vec::new();
    for card in card::Iter::new().filter_map(Result::ok) {
        let index = card.get_index();
        if let Err(error) = list_card(&card, &mut devices) {
            devices.push(AlsaDevice {
                name: format!("hw:{index}"),
                description: card.get_name().unwrap_or_else(|_| format!("card {index}")),
                is_capture: false,
                range: None,
                trouble: Some(fault(&format!("alsa:hw:{index}"), "ask what it is (snd_ctl_open)", error)),
            });
        }
    }
    devices
}

fn list_card(card: &::alsa::Card, devices: &mut Vec<AlsaDevice>) -> ::alsa::Result<()> {
    let ctl = ctl::Ctl::from_card(card, true)?;
    let info = ctl.card_info()?;
    let (id, card_name) = (info.get_id()?.to_owned(), info.get_name()?.to_owned());
    for device in ctl::DeviceIter::new(&ctl) {
        for direction in [Direction::Capture, Direction::Playback] {
            let Ok(number) = u32::try_from(device) else { continue };
            // A device of the other direction only says ENOENT.
            let Ok(info) = ctl.pcm_info(number, 0, direction) else { continue };
            let name = format!("hw:CARD={id},DEV={number}");
            let asked = ask(&name, direction);
            devices.push(AlsaDevice {
                description: format!("{card_name}, {}", info.get_name().unwrap_or("PCM")),
                is_capture: direction == Direction::Capture,
                trouble: asked.as_ref().err().map(|e| fault(&format!("alsa:{name}"), "open it (snd_pcm_open)", *e)),
                range: asked.ok(),
                name,
            });
        }
    }
    Ok(())
}

fn ask(name: &str, direction: Direction) -> ::alsa::Result<AlsaRange> {
    let pcm = PCM::new(name, direction, true)?;
    let params = HwParams::any(&pcm)?;
    let formats = FORMATS.iter().filter(|(format, _)| params.test_format(*format).is_ok());
    Ok(AlsaRange {
        formats: formats.map(|(format, _)| format.to_string()).collect(),
        rates_hz: params.get_rate_min()?..=params.get_rate_max()?,
        channels: params.get_channels_min()?..=params.get_channels_max()?,
    })
}
