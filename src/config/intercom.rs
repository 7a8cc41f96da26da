//! What a configuration comes to for the running station: its calls, its hands, and whom it finds where.

use super::{Button, Config, Name, Telling};
use crate::call::{Action, CallConfig, Group};
use crate::card::Language;
use crate::device::gpio::{InputRequest, OutputRequest};
use crate::find;
use crate::panel::PanelConfig;
use crate::panel::config::{ButtonConfig, Gestures, KeyConfig, LampConfig, RotaryConfig, StrikeConfig};
use crate::panel::lamp::Pattern;
use crate::panel::rotary::Notch;
use crate::station::{IntercomConfig, Page, PeerSettings};
use crate::time::Duration;
use crate::web::Destination;
use std::path::PathBuf;

/// How long the call button of a station that knows nobody is held to pair: nobody does that by mistake.
const PAIR_PRESS: Duration = Duration::from_secs(5);

/// What the file does not say.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where key, address book and journal are.
    pub state: PathBuf,
    /// The control socket, where the file names none.
    pub socket: PathBuf,
    /// The user's locale, as `LANG` has it.
    pub locale: String,
    /// The machine's name.
    pub host: String,
}

impl Config {
    /// The settings of the intercom.
    pub fn intercom(&self, around: &Surroundings) -> IntercomConfig {
        let control = &self.control;
        let socket = control.socket.as_ref().map_or_else(|| around.socket.clone(), |path| path.0.clone());
        IntercomConfig {
            state: around.state.clone(),
            call: self.calls(),
            panel: self.panel(),
            control: Some((socket, control.group.as_ref().map(|group| group.0.clone()))),
            metrics: self.metrics.listen,
            page: self.page(&around.host),
            find: self.station.find.then(find::Config::default),
            peers: self.peer.iter().map(|peer| self.peer_settings(peer)).collect(),
            auto_answer: self.call.auto_answer_delay,
            release_without_call: self.door.without_call.iter().map(Name::to_string).collect(),
            language: self.station.language.unwrap_or_else(|| Language::from_locale(&around.locale)),
            volume_percent: self.loudspeaker.volume,
            sleep_after: (self.screen.sleep > Duration::ZERO).then_some(self.screen.sleep),
        }
    }

    /// Where the page for phones and laptops is, on a machine of this name; none: nowhere.
    pub fn page(&self, machine: &str) -> Option<Page> {
        let listen = self.web.listen?;
        let own = machine.to_ascii_lowercase();
        let local = format!("{own}.local");
        let more = self.web.hosts.iter().map(|host| host.to_ascii_lowercase());
        Some(Page { listen, hosts: [own, local, "localhost".into()].into_iter().chain(more).collect() })
    }

    /// Media servers that are published to, by their names.
    pub fn publications(&self) -> Vec<(String, Destination)> {
        self.web.publish.iter().map(super::web::Publish::destination).collect()
    }

    fn peer_settings(&self, peer: &super::Peer) -> PeerSettings {
        let address = peer.address.as_ref();
        PeerSettings {
            name: peer.name.to_string(),
            address: address.map(|at| (at.host.clone(), at.port.unwrap_or(self.station.port))),
            is_answered: peer.auto_answer,
        }
    }

    fn calls(&self) -> CallConfig {
        let call = &self.call;
        let group = |(name, members): (&Name, &Vec<Name>)| Group {
            name: name.to_string(),
            members: members.iter().map(Name::to_string).collect(),
        };
        CallConfig {
            ring_time: call.ring_time,
            absence: call.lost_time,
            call_time: call.max_call_time,
            door: self.door.line.is_some().then_some(self.door.pulse),
            early_media: call.early_media,
            push_to_talk: call.push_to_talk,
            quiet_hours: call.do_not_disturb,
            groups: call.groups.iter().map(group).collect(),
            usual: call.usual.clone(),
            ..CallConfig::default()
        }
    }

    fn panel(&self) -> PanelConfig {
        let door = &self.door;
        let lamps = self.lamp.iter().map(|lamp| LampConfig {
            line: OutputRequest { line: lamp.line.clone(), active_low: lamp.active_low },
            shows: lamp.shows.iter().map(|Telling(sign)| (*sign, sign.usual_pattern())).collect(),
        });
        let relays = self.relay.iter().map(|relay| LampConfig {
            line: OutputRequest { line: relay.line.clone(), active_low: relay.active_low },
            shows: relay.during.iter().map(|Telling(sign)| (*sign, Pattern::On)).collect(),
        });
        let keys = self.keys.0.iter().filter_map(|(key, action)| {
            let action = action.clone()?;
            // Keys were read when the file was.
            let key = key.parse().ok()?;
            let repeats = matches!(action, Action::Volume(_));
            Some(KeyConfig { key, gestures: Gestures { repeats, ..Gestures::short(action) } })
        });
        PanelConfig {
            buttons: self.button.iter().map(|button| button.meant()).collect(),
            rotaries: self.knob().into_iter().collect(),
            lamps: lamps.chain(relays).collect(),
            strike: door.line.as_ref().map(|line| StrikeConfig {
                line: OutputRequest { line: line.clone(), active_low: door.active_low },
                pulse: door.pulse,
            }),
            keys: keys.collect(),
            rotation: self.touch.rotate,
            zones: Vec::new(),
        }
    }

    fn knob(&self) -> Option<RotaryConfig> {
        let rotary = &self.rotary;
        let line = |line: &Option<_>| {
            let bias = rotary.bias.unwrap_or_default();
            Some(InputRequest { line: line.clone()?, active_low: false, bias, debounce: Duration::ZERO })
        };
        Some(RotaryConfig {
            lines: [line(&rotary.line_a)?, line(&rotary.line_b)?],
            notch: Notch::default(),
            clockwise: rotary.clockwise.clone()?,
            counterclockwise: rotary.counterclockwise.clone()?,
        })
    }
}

impl Button {
    /// The button as its hand knows it. The call button of a station that knows nobody pairs when it is held.
    fn meant(&self) -> ButtonConfig {
        let is_call_button = self.short == Some(Action::CallButton) && self.long.is_none();
        let (long, long_press) = if is_call_button {
            (Some(Action::CallButtonHeld), PAIR_PRESS)
        } else {
            (self.long.clone(), self.long_press)
        };
        // Push to talk lasts as long as the button is held.
        let (down, up, short) = match &self.short {
            Some(Action::Talk(_)) => {
                (Some(Action::Talk(crate::call::Switch::On)), Some(Action::Talk(crate::call::Switch::Off)), None)
            }
            other => (None, None, other.clone()),
        };
        let repeats = matches!(short, Some(Action::Volume(_))) && long.is_none() && self.double.is_none();
        ButtonConfig {
            line: InputRequest {
                line: self.line.clone(),
                active_low: self.active_low,
                bias: self.bias.unwrap_or_default(),
                debounce: self.debounce,
            },
            gestures: Gestures {
                down,
                up,
                short,
                long,
                double: self.double.clone(),
                long_press: Some(long_press),
                repeats,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: what is typed does what it says. Method: files as text, and what comes of them.
    use super::*;
    use crate::call::{Switch, Whom};
    use crate::panel::lamp::Sign;
    use std::path::Path;

    fn settings(text: &str) -> IntercomConfig {
        let around = Surroundings {
            state: "/s".into(),
            socket: "/run/c".into(),
            locale: "de_DE.UTF-8".into(),
            host: "Hall".into(),
        };
        Config::parse(text, Path::new("station.toml")).unwrap().intercom(&around)
    }

    #[test]
    fn an_empty_file_is_a_station_that_speaks_the_machine_s_language_and_rings_everybody() {
        let settings = settings("");
        assert_eq!((settings.language, settings.call.usual), (Language::German, Whom::All));
        assert_eq!(settings.control, Some(("/run/c".into(), None)));
        assert_eq!((settings.call.door, settings.panel.strike), (None, None));
        assert!(settings.find.is_some() && settings.panel.buttons.is_empty());
        assert!(settings.panel.keys.iter().any(|key| key.gestures.repeats), "volume keys");
    }

    #[test]
    fn a_door_station_has_its_strike_its_lamp_and_its_button() {
        let text = r#"
            [door]
            line = "gpiochip0:17"
            pulse = "2s"
            without_call = ["kitchen"]
            [[button]]
            line = "BTN_CALL"
            bias = "pull-up"
            active_low = true
            [[lamp]]
            line = "LED"
            shows = ["ringing"]
            [[peer]]
            name = "kitchen"
            address = "kitchen.local"
            auto_answer = true
        "#;
        let found = settings(text);
        assert_eq!(found.call.door, Some(Duration::from_secs(2)));
        assert_eq!(found.panel.strike.as_ref().map(|strike| strike.pulse), Some(Duration::from_secs(2)));
        assert_eq!(found.panel.lamps[0].shows, [(Sign::Ringing, Pattern::Fast)]);
        let (host, port) = found.peers[0].address.clone().unwrap();
        assert_eq!((host.as_str(), port, found.peers[0].is_answered), ("kitchen.local", 10_087, true));
        let gestures = &found.panel.buttons[0].gestures;
        assert_eq!(gestures.short, Some(Action::CallButton));
        assert_eq!((&gestures.long, gestures.long_press), (&Some(Action::CallButtonHeld), Some(PAIR_PRESS)));
    }

    #[test]
    fn a_talk_button_talks_while_it_is_held() {
        let text = "[call]\npush_to_talk = true\n[[button]]\nline = \"B\"\nshort = \"talk\"";
        let found = settings(text);
        let gestures = &found.panel.buttons[0].gestures;
        assert!(found.call.push_to_talk && gestures.short.is_none());
        assert_eq!(gestures.down, Some(Action::Talk(Switch::On)));
        assert_eq!(gestures.up, Some(Action::Talk(Switch::Off)));
    }
}
