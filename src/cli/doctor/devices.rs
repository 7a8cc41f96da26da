//! Camera, screen, sound and lines: what the running station says of them, or what trying them says; sound cards that are
//! none; and codecs in hardware.

use super::Around;
use super::finding::Finding;
use super::machine::Machine;
use crate::cli::check;
use crate::config::Config;
use crate::device::audio::{MicSpec, SpeakerSpec};
use crate::device::v4l2;

const SUBJECT: &str = "devices";

pub(super) fn look(around: &Around) -> Vec<Finding> {
    let mut findings = match (&around.config, &around.station) {
        // What a station has open nobody else can try.
        (_, Ok(status)) => faults(&status.faults),
        (Ok(config), Err(_)) if !around.runs() => tried(config),
        _ => vec![Finding::unseen(SUBJECT, "cameras, screens and sound", "the station has them, and cannot be asked")],
    };
    if let Ok(config) = &around.config {
        findings.extend(sound(&around.machine, config));
    }
    findings.push(codecs());
    findings
}

/// Each device, what the household misses without it, and what to do.
const DEVICES: [(&str, &str, &str); 5] = [
    (
        "camera",
        "Others do not see who is here.",
        "Plug the camera in, or say which: [camera] device in /etc/visavis/station.toml\nvisavis devices\n\
         Of a camera module, sit the ribbon cable in anew with the board switched off; then: rpicam-vid --list-cameras",
    ),
    (
        "screen",
        "Nobody is seen here, and nothing is shown.",
        "Connect a screen; where there is to be none: [screen] device = \"none\"\nvisavis devices",
    ),
    (
        "microphone",
        "Others do not hear this station.",
        "Plug a microphone in, or say which: [microphone] device in /etc/visavis/station.toml\nvisavis devices",
    ),
    (
        "loudspeaker",
        "Others are not heard here, and it does not ring.",
        "Plug a loudspeaker in, or say which: [loudspeaker] device in /etc/visavis/station.toml\nvisavis devices",
    ),
    ("", "It does nothing until that is mended.", "See what there is, and what it lacks: visavis devices"),
];

/// A device that lacks something; `words` begin with what it is.
fn lacking(words: String) -> Finding {
    let known = DEVICES.iter().find(|(device, ..)| words.starts_with(device));
    let (_, why, remedy) = known.copied().unwrap_or_default();
    Finding::wrong(SUBJECT, words).because(why).mend(remedy)
}

/// What the station itself reports; each fault says what would help.
fn faults(faults: &[String]) -> Vec<Finding> {
    if faults.is_empty() {
        return vec![Finding::good(SUBJECT, "the station finds no fault with camera, screen, sound or lines")];
    }
    faults.iter().cloned().map(lacking).collect()
}

fn tried(config: &Config) -> Vec<Finding> {
    let finding = |(what, probed): (String, Result<String, String>)| match probed {
        Ok(outcome) => Finding::good(SUBJECT, format!("{what}: {outcome}")),
        Err(lack) => lacking(format!("{what}: {lack}")),
    };
    check::probe(config).into_iter().map(finding).collect()
}

/// Cards that only look like ones, out of /proc/asound/cards.
fn sound(machine: &Machine, config: &Config) -> Option<Finding> {
    let is_alsa = (
        matches!(config.microphone.device, MicSpec::Alsa(_)),
        matches!(config.loudspeaker.device, SpeakerSpec::Alsa(_)),
    );
    if is_alsa == (false, false) {
        return None;
    }
    cards(&machine.text("/proc/asound/cards").unwrap_or_default(), is_alsa.0)
}

fn cards(text: &str, wants_microphone: bool) -> Option<Finding> {
    // ` 0 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0`, and a line with the long name.
    let cards: Vec<&str> = text.lines().filter(|line| line.contains("]:")).map(|line| line.trim()).collect();
    let names = || cards.iter().filter_map(|card| card.rsplit(" - ").next()).collect::<Vec<_>>().join(", ");
    let is_hdmi = |card: &&str| card.to_ascii_lowercase().contains("hdmi");
    let is_dummy = |card: &&str| card.to_ascii_lowercase().contains("dummy");
    let speaks_only = |card: &&str| card.contains("bcm2835") || card.contains("Headphones");
    let mend = "Plug in a USB headset or speakerphone; then: visavis devices";
    if cards.is_empty() {
        return Some(Finding::wrong("sound", "there is no sound card").because("Nobody is heard.").mend(mend));
    }
    if cards.iter().all(|card| is_dummy(card) || is_hdmi(card)) {
        return Some(
            Finding::poor("sound", format!("the only sound cards are {}", names()))
                .because("Sound goes to the screen, if that has loudspeakers, and there is no microphone.")
                .mend(mend),
        );
    }
    let has_microphone = cards.iter().any(|card| !is_dummy(card) && !is_hdmi(card) && !speaks_only(card));
    (wants_microphone && !has_microphone).then(|| {
        Finding::poor("sound", format!("none of the sound cards has a microphone: {}", names()))
            .because("Others are heard here, and do not hear this station.")
            .mend(mend)
    })
}

fn codecs() -> Finding {
    let nodes = v4l2::list().into_iter().filter(|node| node.is_codec);
    let nodes: Vec<String> = nodes.map(|node| format!("{} ({})", node.path.display(), node.card)).collect();
    if nodes.is_empty() {
        Finding::note("codec", "no video codec in hardware that this user may open: the processor codes pictures")
    } else {
        Finding::good("codec", format!("in hardware: {}", nodes.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what looks like a sound card and is none is told. Method: /proc/asound/cards as boards have it.
    use super::super::finding::Severity;
    use super::*;

    const HDMI: &str = " 0 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0\n                      vc4-hdmi-0\n \
                        1 [vc4hdmi1       ]: vc4-hdmi - vc4-hdmi-1\n                      vc4-hdmi-1\n";
    const HEADPHONES: &str =
        " 2 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones\n                      bcm2835 Headphones\n";
    const USB: &str = " 3 [Device         ]: USB-Audio - USB PnP Sound Device\n                      C-Media USB\n";

    #[test]
    fn a_board_without_a_real_sound_card_is_told() {
        let severity = |text: &str| cards(text, true).map(|finding| finding.severity);
        assert_eq!(severity("--- no soundcards ---\n"), Some(Severity::Wrong));
        let hdmi = cards(HDMI, true).unwrap();
        assert_eq!(hdmi.what, "the only sound cards are vc4-hdmi-0, vc4-hdmi-1");
        assert_eq!(severity(&format!("{HDMI}{HEADPHONES}")), Some(Severity::Poor));
        assert_eq!(cards(&format!("{HDMI}{HEADPHONES}"), false), None);
        assert_eq!(severity(&format!("{HDMI}{USB}")), None);
    }

    #[test]
    fn faults_of_the_station_are_told_as_it_says_them() {
        assert_eq!(faults(&[])[0].severity, Severity::Good);
        let told = faults(&["camera: v4l2:/dev/video0: cannot open it".into()]);
        assert_eq!(
            (told[0].severity, told[0].what.as_str()),
            (Severity::Wrong, "camera: v4l2:/dev/video0: cannot open it")
        );
    }
}
