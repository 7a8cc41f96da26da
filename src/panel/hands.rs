//! All hands of a station together with their devices: it says what to poll, takes its turn, and tells what was asked.
//!
//! A line that is missing, taken or pulled out is a fault, which is shown and retried with growing pauses; everything
//! else goes on meanwhile.

mod claim;

use super::button::{Button, Gesture};
use super::config::{EACH_MAX, Gestures, PanelConfig, Zone};
use super::lamp::{Lamp, Sign, Signs};
use super::rotary::{Rotary, Turn};
use super::strike::Strike;
use super::tap::{Tap, Taps};
use crate::call::Action;
use crate::device::Fault;
use crate::device::gpio::{Input, Output};
use crate::device::keys::{Key, KeyMotion, Keys};
use crate::device::touch::Touches;
use crate::time::{Instant, earliest};
use claim::Claim;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};

/// Events that wait to be taken: many times what hands do between two turns. Later ones are dropped.
const EVENTS_MAX: usize = 64;

/// What a hand did.
#[derive(Clone, Debug, PartialEq)]
pub enum HandEvent {
    /// Somebody wants something.
    Action {
        /// What.
        action: Action,
        /// By which hand, for the log: `button BTN_CALL`, `key esc`, `touch`.
        source: String,
    },
    /// A person is there: a key, a button or the screen was touched, whether that means something or not. It wakes the
    /// screen.
    Touched,
}

/// A hand that is pressed: what it does, and its machine.
#[derive(Debug)]
struct Pressed {
    source: String,
    gestures: Gestures,
    button: Button,
}

/// All hands.
#[derive(Debug)]
pub struct Hands {
    config: PanelConfig,
    buttons: Vec<(Claim<Input>, Pressed)>,
    rotaries: Vec<(Claim<Input>, Rotary)>,
    lamps: Vec<(Claim<Output>, Lamp)>,
    strike: Option<(Claim<Output>, Strike)>,
    keys: Keys,
    key_presses: Vec<(Key, Pressed)>,
    touches: Touches,
    taps: Taps,
    /// Parts of the screen that mean something because of what is shown; before those of the configuration.
    zones: Vec<Zone>,
    signs: Signs,
    events: VecDeque<HandEvent>,
}

impl Hands {
    /// Claims what there is. Nothing that is missing is an error: [`Hands::faults`] tells of it.
    pub fn open(mut config: PanelConfig, now: Instant) -> Hands {
        config.buttons.truncate(EACH_MAX);
        config.rotaries.truncate(EACH_MAX);
        config.lamps.truncate(EACH_MAX);
        config.keys.truncate(EACH_MAX);
        let pressed = |source: String, gestures: &Gestures| Pressed {
            source,
            gestures: gestures.clone(),
            button: Button::new(gestures.timing(), false),
        };
        let buttons = config
            .buttons
            .iter()
            .map(|one| (Claim::new(now), pressed(format!("button {}", one.line.line), &one.gestures)));
        let keys: Vec<_> = config.keys.iter().map(|one| one.key).collect();
        let key_presses = config.keys.iter().map(|one| (one.key, pressed(format!("key {}", one.key), &one.gestures)));
        let mut hands = Hands {
            buttons: buttons.collect(),
            rotaries: config.rotaries.iter().map(|r| (Claim::new(now), Rotary::new(r.notch, [false; 2]))).collect(),
            lamps: config.lamps.iter().map(|l| (Claim::new(now), Lamp::new(l.shows.clone()))).collect(),
            strike: config.strike.as_ref().map(|s| (Claim::new(now), Strike::new(s.pulse))),
            keys: Keys::open(&keys),
            key_presses: key_presses.collect(),
            touches: Touches::open(config.rotation),
            taps: Taps::default(),
            zones: Vec::new(),
            signs: Signs::default(),
            events: VecDeque::new(),
            config,
        };
        hands.handle_ready(now);
        hands
    }

    /// What to poll for reading; another set after each [`Hands::handle_ready`], since devices come and go.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let inputs = self.buttons.iter().map(|(claim, _)| claim).chain(self.rotaries.iter().map(|(claim, _)| claim));
        // Outputs become readable as their chip goes.
        let outputs = self.lamps.iter().map(|(claim, _)| claim).chain(self.strike.iter().map(|(claim, _)| claim));
        inputs
            .filter_map(|claim| claim.held().map(AsFd::as_fd))
            .chain(outputs.filter_map(|claim| claim.held().map(AsFd::as_fd)))
            .chain(self.keys.fds())
            .chain(self.touches.fds())
    }

    /// Takes its turn: to be called when one of [`Hands::fds`] is ready and at [`Hands::poll_timeout`].
    pub fn handle_ready(&mut self, now: Instant) {
        self.claim(now);
        self.read_buttons(now);
        self.read_rotaries(now);
        self.read_keys(now);
        self.read_touches(now);
        self.drive(now);
    }

    /// What was done, in its order; to be called until there is nothing.
    pub fn poll_event(&mut self) -> Option<HandEvent> {
        self.events.pop_front()
    }

    /// When to call [`Hands::handle_ready`] at the latest.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let presses = self.buttons.iter().map(|(_, p)| p).chain(self.key_presses.iter().map(|(_, p)| p));
        let inputs = self.buttons.iter().map(|(claim, _)| claim).chain(self.rotaries.iter().map(|(claim, _)| claim));
        let outputs = self.lamps.iter().map(|(claim, _)| claim).chain(self.strike.iter().map(|(claim, _)| claim));
        let lamps = self.lamps.iter().filter(|(claim, _)| claim.held().is_some());
        presses
            .map(|pressed| pressed.button.poll_timeout())
            .chain(inputs.map(|claim| earliest(claim.poll_timeout(), claim.held().and_then(Input::poll_timeout))))
            .chain(outputs.map(Claim::poll_timeout))
            .chain(lamps.map(|(_, lamp)| lamp.next_change(now)))
            .chain([self.strike.as_ref().and_then(|(_, strike)| strike.poll_timeout()), self.taps.poll_timeout()])
            .fold(None, earliest)
    }

    /// From now on these are so: what lamps show. Whether the door is open it knows by itself.
    pub fn set_signs(&mut self, now: Instant, signs: Signs) {
        self.signs = signs;
        self.drive(now);
    }

    /// The parts of the screen that mean something because of what it shows now.
    pub fn set_zones(&mut self, zones: Vec<Zone>) {
        self.zones = zones;
        self.zones.truncate(EACH_MAX);
    }

    /// Opens this station's own door for its time.
    ///
    /// # Errors
    /// Words for who asked: there is no strike, or its line's fault.
    pub fn release(&mut self, now: Instant) -> Result<(), String> {
        let Some((claim, strike)) = &mut self.strike else {
            return Err("this station has no door to open (no strike is configured)".into());
        };
        if claim.held().is_none() {
            return Err(claim.fault().map_or_else(|| "the strike's line is not claimed yet".into(), Fault::to_string));
        }
        strike.handle_release(now);
        self.drive(now);
        // A line that could not be switched is a fault by now, and the strike rests.
        match &self.strike {
            Some((claim, strike)) if !strike.is_on() => Err(claim.fault().map(Fault::to_string).unwrap_or_default()),
            _ => Ok(()),
        }
    }

    /// Whether there is a screen that can be touched, so that buttons on it have a use.
    pub fn has_touch(&self) -> bool {
        self.touches.has_screen()
    }

    /// Whether the strike has current.
    pub fn is_releasing(&self) -> bool {
        self.strike.as_ref().is_some_and(|(_, strike)| strike.is_on())
    }

    /// Looks for missing lines at once.
    pub fn rescan(&mut self, now: Instant) {
        let inputs = self.buttons.iter_mut().map(|(c, _)| c).chain(self.rotaries.iter_mut().map(|(c, _)| c));
        inputs.for_each(|claim| claim.hurry(now));
        let outputs = self.lamps.iter_mut().map(|(c, _)| c).chain(self.strike.iter_mut().map(|(c, _)| c));
        outputs.for_each(|claim| claim.hurry(now));
        self.handle_ready(now);
    }

    /// What is wrong with lines now.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        let inputs = self.buttons.iter().map(|(claim, _)| claim).chain(self.rotaries.iter().map(|(claim, _)| claim));
        let outputs = self.lamps.iter().map(|(claim, _)| claim).chain(self.strike.iter().map(|(claim, _)| claim));
        inputs.filter_map(Claim::fault).chain(outputs.filter_map(Claim::fault))
    }

    /// Why the door would stay open if this program were killed, if it would: to be shown as a fault.
    pub fn strike_stays_when_killed(&self) -> Option<String> {
        self.strike.as_ref().and_then(|(claim, _)| claim.held()?.stays_when_killed())
    }

    /// Claims what is due to be.
    fn claim(&mut self, now: Instant) {
        for ((claim, pressed), config) in self.buttons.iter_mut().zip(&self.config.buttons) {
            let open = || Input::open(core::slice::from_ref(&config.line));
            if let Some(input) = claim.claim(now, open) {
                pressed.button = Button::new(config.gestures.timing(), input.is_active(0));
            }
        }
        for ((claim, rotary), config) in self.rotaries.iter_mut().zip(&self.config.rotaries) {
            if let Some(input) = claim.claim(now, || Input::open(&config.lines)) {
                *rotary = Rotary::new(config.notch, [input.is_active(0), input.is_active(1)]);
            }
        }
        for ((claim, _), config) in self.lamps.iter_mut().zip(&self.config.lamps) {
            claim.claim(now, || Output::open(&config.line));
        }
        if let (Some((claim, _)), Some(config)) = (&mut self.strike, &self.config.strike)
            && let Some(output) = claim.claim(now, || Output::open(&config.line))
            && let Some(warning) = output.stays_when_killed()
        {
            tracing::warn!("{}: {warning}", config.line.line);
        }
    }

    fn read_buttons(&mut self, now: Instant) {
        for (claim, pressed) in &mut self.buttons {
            let button = &mut pressed.button;
            if claim.read(now, |edge| button.handle_level(edge.at, edge.is_active)).is_err() {
                // Whoever held it holds nothing any more.
                button.handle_level(now, false);
            }
            button.handle_timeout(now);
            pressed.tell(&mut self.events);
        }
    }

    fn read_rotaries(&mut self, now: Instant) {
        for ((claim, rotary), config) in self.rotaries.iter_mut().zip(&self.config.rotaries) {
            let events = &mut self.events;
            // Its fault is kept by the claim; a knob that is gone turns no more.
            let _ = claim.read(now, |edge| {
                let action = match rotary.handle_level(edge.line, edge.is_active) {
                    Some(Turn::Clockwise) => &config.clockwise,
                    Some(Turn::Counterclockwise) => &config.counterclockwise,
                    None => return,
                };
                push(events, HandEvent::Touched);
                push(
                    events,
                    HandEvent::Action { action: action.clone(), source: format!("knob {}", config.lines[0].line) },
                );
            });
        }
    }

    fn read_keys(&mut self, now: Instant) {
        while let Some(event) = self.keys.read(now) {
            for (_, pressed) in self.key_presses.iter_mut().filter(|(key, _)| *key == event.key) {
                match event.motion {
                    KeyMotion::Down => pressed.button.handle_level(event.at, true),
                    KeyMotion::Up => pressed.button.handle_level(event.at, false),
                    // Holding is measured here, the same for keys and buttons.
                    KeyMotion::Repeat => {}
                }
                pressed.tell(&mut self.events);
            }
        }
        for (_, pressed) in &mut self.key_presses {
            pressed.button.handle_timeout(now);
            pressed.tell(&mut self.events);
        }
    }

    fn read_touches(&mut self, now: Instant) {
        while let Some(touch) = self.touches.read(now) {
            self.taps.handle_touch(touch);
        }
        self.taps.handle_timeout(now);
        while let Some(tap) = self.taps.poll_tap() {
            push(&mut self.events, HandEvent::Touched);
            if let Some(action) = action_at(self.zones.iter().chain(&self.config.zones), tap) {
                push(&mut self.events, HandEvent::Action { action, source: "touch".into() });
            }
        }
    }

    /// Switches lamps and strike to what they are to be.
    fn drive(&mut self, now: Instant) {
        if let Some((claim, strike)) = &mut self.strike {
            strike.handle_timeout(now);
            if !claim.drive(now, strike.is_on()) {
                // What the line does now nobody knows; when it is back it is off, and a new request is wanted.
                *strike = Strike::new(self.config.strike.as_ref().map_or(super::strike::PULSE, |config| config.pulse));
            }
        }
        let signs = self.signs.with(Sign::Door, self.is_releasing());
        for (claim, lamp) in &mut self.lamps {
            lamp.set_signs(now, signs);
            claim.drive(now, lamp.is_on(now));
        }
    }
}

impl Pressed {
    /// Tells what its gestures mean.
    fn tell(&mut self, events: &mut VecDeque<HandEvent>) {
        while let Some(gesture) = self.button.poll_gesture() {
            let action = match gesture {
                Gesture::Down => {
                    push(events, HandEvent::Touched);
                    &self.gestures.down
                }
                Gesture::Up => &self.gestures.up,
                Gesture::Short | Gesture::Repeat => &self.gestures.short,
                Gesture::Long => &self.gestures.long,
                Gesture::Double => &self.gestures.double,
            };
            if let Some(action) = action.clone() {
                push(events, HandEvent::Action { action, source: self.source.clone() });
            }
        }
    }
}

fn push(events: &mut VecDeque<HandEvent>, event: HandEvent) {
    if events.len() < EVENTS_MAX {
        events.push_back(event);
    }
}

/// What a tap means: the first zone that it is in, and that has an action for it.
fn action_at<'z>(zones: impl Iterator<Item = &'z Zone>, tap: Tap) -> Option<Action> {
    let mut hit = zones.filter(|zone| zone.contains(tap.x, tap.y));
    hit.find_map(|zone| if tap.is_long { zone.long.clone() } else { zone.tap.clone() })
}

#[cfg(test)]
mod tests {
    //! Goal: hands whose devices are missing are a fault in words and no hindrance. Method: a machine without them; with
    //! them the lab's kernel plays (`tests/lab_panel.rs`).
    use super::*;
    use crate::device::gpio::OutputRequest;
    use crate::panel::config::StrikeConfig;
    use crate::time::Duration;

    #[test]
    fn a_door_whose_line_is_missing_is_not_opened_and_says_why() {
        let line = OutputRequest { line: "VISAVIS_NO_SUCH_LINE".parse().unwrap(), active_low: false };
        let strike = Some(StrikeConfig { line, pulse: Duration::from_secs(1) });
        let now = Instant::from_millis(1);
        let mut hands = Hands::open(PanelConfig { strike, ..PanelConfig::default() }, now);
        assert_eq!(hands.faults().count(), 1);
        assert!(hands.release(now).unwrap_err().contains("VISAVIS_NO_SUCH_LINE"));
        assert!(!hands.is_releasing());
        let retry = hands.poll_timeout(now).expect("it is looked for again");
        assert!(retry > now);
        hands.handle_ready(retry);
        assert!(hands.poll_timeout(retry).unwrap().since(retry) > retry.since(now), "with growing pauses");
        let mut without = Hands::open(PanelConfig::default(), now);
        assert!(without.release(now).unwrap_err().contains("no strike"));
    }

    #[test]
    fn a_tap_means_what_is_shown_before_what_is_configured() {
        let zone = |left, right, tap: &str| Zone {
            left,
            top: 0.0,
            right,
            bottom: 1.0,
            tap: Some(tap.parse().unwrap()),
            long: None,
        };
        let (shown, configured) = (vec![zone(0.0, 0.5, "decline")], vec![zone(0.0, 1.0, "call-button")]);
        let at = |x, is_long| action_at(shown.iter().chain(&configured), Tap { x, y: 0.5, is_long });
        assert_eq!(at(0.2, false), Some(Action::Decline));
        assert_eq!(at(0.7, false), Some(Action::CallButton));
        assert_eq!(at(0.7, true), None);
    }
}
