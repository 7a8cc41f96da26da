//! What persons and scripts ask: by hands, and through the control socket.

use super::meeting::Meeting;
use super::{Intercom, VOLUME_SHOWN, here, wall};
use crate::call::{Action, Refusal, State};
use crate::device::png;
use crate::identity::Rights;
use crate::journal::{Record, What};
use crate::media::Picture;
use crate::panel::HandEvent;
use crate::panel::protocol::{
    Answer, CallRecord, Happening, LOG_MAX, Measurement, Medium, PictureMeasurement, Request,
};
use crate::panel::socket::{ClientId, Credentials, Server};
use crate::stage::present::Lighting;
use crate::station::resolve::resolve;
use crate::sys::calendar::unix_ms;
use crate::time::Instant;
use crate::voice::{TRIES, Try};
use crate::web::INVITATION_LIFE;
use std::sync::atomic::Ordering;

impl Intercom {
    /// Takes in what hands did.
    pub(super) fn handle_hands(&mut self, now: Instant) {
        self.hands.handle_ready(now);
        while let Some(event) = self.hands.poll_event() {
            match event {
                HandEvent::Touched => {
                    self.chronicle.missed = 0;
                    self.wake_screen(now);
                }
                HandEvent::Action { action, source } => {
                    if let Err(why) = self.act(now, &action, &source)
                        && let Some(unsaid) = self.often.refused.admit(now)
                    {
                        tracing::info!("{source}: {action}: {why}{unsaid}");
                    }
                }
            }
        }
    }

    /// Answers clients of the control socket.
    pub(super) fn handle_control(&mut self, now: Instant) {
        if let Some(control) = &mut self.chronicle.control {
            control.handle_ready(now);
        }
        while let Some((client, request, credentials)) =
            self.chronicle.control.as_mut().and_then(|control: &mut Server| control.poll_request(now))
        {
            let answer = self.answer(now, client, &request, &credentials);
            if let (Some(control), Some(answer)) = (&mut self.chronicle.control, answer) {
                control.answer(now, client, answer);
            }
        }
    }

    /// None where the answer comes later.
    fn answer(
        &mut self,
        now: Instant,
        client: ClientId,
        request: &Request,
        credentials: &Credentials,
    ) -> Option<Answer> {
        let done = |result: Result<(), String>| result.map_or_else(Answer::Refused, |()| Answer::Done);
        Some(match request {
            Request::Act(text) => done(
                text.parse::<Action>()
                    .map_err(|error| error.to_string())
                    .and_then(|action| self.act(now, &action, &credentials.to_string())),
            ),
            Request::Status => Answer::Status(Box::new(self.status(now, here()))),
            Request::Watch => Answer::Watching,
            Request::Log(count) => Answer::Log(self.log(usize::from(*count).min(LOG_MAX))),
            Request::Peers => Answer::Peers(self.peers()),
            Request::Pair { code, address } => match self.pair(now, code.as_deref(), address.as_deref()) {
                Ok(words) => Answer::Pairing { words },
                Err(why) => Answer::Refused(why),
            },
            Request::Measure(medium) => done(self.measure(*medium)),
            Request::Measurement(Medium::Sound) => Answer::Measurement(self.measurement()),
            Request::Measurement(Medium::Picture) => Answer::PictureMeasurement(self.picture_measurement()),
            Request::Still(look) => return self.look(now, client, *look),
        })
    }

    /// Does something, or says why not.
    fn act(&mut self, now: Instant, action: &Action, by: &str) -> Result<(), String> {
        let done = match self.call.handle_action(now, wall(here()), action) {
            Err(Refusal::NotACall) => self.act_beside_calls(now, action),
            Err(refusal) => Err(refusal.to_string()),
            Ok(()) => Ok(()),
        };
        if done.is_ok() {
            self.chronicle.publish(now, Happening::Action { action: action.to_string(), by: by.to_owned() });
            match action {
                Action::Mute(_) | Action::Talk(_) => {
                    let is_muted = self.call.is_muted();
                    self.chronicle.publish(now, Happening::Muted(is_muted));
                }
                Action::DoNotDisturb(_) => {
                    let is_quiet = self.call.is_quiet(wall(here()));
                    self.chronicle.publish(now, Happening::DoNotDisturb(is_quiet));
                }
                _ => {}
            }
        }
        self.wake_screen(now);
        done
    }

    fn act_beside_calls(&mut self, now: Instant, action: &Action) -> Result<(), String> {
        match action {
            Action::Volume(volume) => {
                self.volume_percent = volume.applied(self.volume_percent);
                self.board.stages.voice_knobs.volume_percent.store(self.volume_percent, Ordering::Relaxed);
                self.volume_until = now + VOLUME_SHOWN;
                self.chronicle.publish(now, Happening::Volume(self.volume_percent));
            }
            Action::Level(level) => self.board.stages.knobs.set_level(*level),
            Action::Snapshot => {
                self.is_snapshot_wanted = true;
                self.board.stages.board.request_snapshot();
            }
            Action::Rescan => {
                self.hands.rescan(now);
                self.house.reload().map_err(|error| error.to_string())?;
                self.follow_book(now);
                // Whoever was invited may be who has just come.
                self.invitation = None;
            }
            Action::Pair | Action::CallButtonHeld => {
                self.pair(now, None, None)?;
            }
            Action::Invite { release } => self.invite(now, *release)?,
            Action::StopPairing if self.invitation.take().is_some() => {}
            Action::StopPairing => match self.meeting.as_mut().filter(|meeting| meeting.is_open()) {
                Some(meeting) => meeting.stop(),
                None => return Err("no pairing goes on".into()),
            },
            other => return Err(format!("`{other}` cannot be done here")),
        }
        Ok(())
    }

    /// Begins to pair, if that does not go on already, and takes the other station's code where it is given. This
    /// station's own words.
    fn pair(&mut self, now: Instant, code: Option<&str>, address: Option<&str>) -> Result<String, String> {
        if !matches!(self.call.state(), State::Idle | State::Ended(_)) {
            return Err("there is a call: hang up first".into());
        }
        let addresses = match address {
            Some(text) => {
                let port = self.board.socket.local_port().unwrap_or_default();
                // An IPv6 address without brackets has several colons, and no port.
                let (host, port) =
                    match text.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']')) {
                        Some((host, number)) => (host, number.parse().map_err(|_| format!("{text}: no port"))?),
                        None => (text, port),
                    };
                resolve(host, port, self.board.version)?
            }
            None => Vec::new(),
        };
        if self.meeting.as_ref().is_none_or(|meeting| !meeting.is_open()) {
            let found = self.pairing_there.clone();
            let meeting = Meeting::begin(now, &mut self.board, self.own, found);
            self.meeting = Some(meeting.ok_or("all links are in use: forget a station that is gone for good")?);
            let announcement = self.announcement(true);
            if let Some(finder) = &mut self.finder {
                finder.announce(announcement);
            }
            let words = "give the code on the screen to the other station, or show it to its camera".into();
            self.chronicle.publish(now, Happening::Pairing { words, is_over: false, peer: None });
        }
        let Some(meeting) = &mut self.meeting else { return Err("pairing did not begin".into()) };
        if let Some(code) = code {
            meeting.handle_typed(code, &addresses)?;
        }
        self.housekeeping_at = now;
        Ok(meeting.words().to_owned())
    }

    /// Begins to measure how long sound takes from mouth to ear, or a picture from light to light.
    fn measure(&self, medium: Medium) -> Result<(), String> {
        if !matches!(self.call.state(), State::Talking(_)) {
            return Err("there is no call to be measured: put both stations into one room, ring and answer".into());
        }
        let is_begun = match medium {
            Medium::Sound => self.board.stages.voice_knobs.probing.start(),
            Medium::Picture => self.board.stages.board.measure_light(),
        };
        is_begun.then_some(()).ok_or_else(|| "that is being measured already".into())
    }

    fn picture_measurement(&self) -> PictureMeasurement {
        let Lighting { is_on, has_screen, found } = self.board.stages.board.light();
        PictureMeasurement {
            is_over: !is_on,
            has_screen,
            flashes: found.flashes as u8,
            pictures: found.pictures as u32,
            took_ms: found.took.iter().map(|took| took.as_secs_f32() * 1e3).collect(),
        }
    }

    fn measurement(&self) -> Measurement {
        let probing = &self.board.stages.voice_knobs.probing;
        // Looked at first: what comes in between is then found.
        let is_over = !probing.is_on();
        let tries = probing.tries();
        let count = |what| tries.iter().filter(|result| **result == what).count() as u8;
        let took_ms = tries.iter().filter_map(|result| match result {
            Try::Back(time) => Some(time.as_secs_f32() * 1e3),
            _ => None,
        });
        Measurement {
            is_over,
            chirps: TRIES as u8,
            took_ms: took_ms.collect(),
            unheard_here: count(Try::UnheardHere),
            unheard_there: count(Try::UnheardThere),
        }
    }

    /// Shows a link by which a phone is let in, while nothing else goes on.
    fn invite(&mut self, now: Instant, release: bool) -> Result<(), String> {
        let page = self.settings.page.as_ref().ok_or(
            "there is no page for phones: write listen = \"[::]:8443\" under [web] in station.toml, then \
             systemctl restart visavis && systemctl enable --now visavis-web",
        )?;
        if !matches!(self.call.state(), State::Idle | State::Ended(_)) {
            return Err("there is a call: hang up first".into());
        }
        let rights = Rights { call: true, monitor: false, release };
        let invited = page.invite(&self.settings.state, rights, None)?;
        self.invitation = Some((invited, now + INVITATION_LIFE));
        Ok(())
    }

    fn log(&self, count: usize) -> Vec<CallRecord> {
        let Some(journal) = &self.chronicle.journal else { return Vec::new() };
        let recent = journal.recent();
        let skipped = recent.len().saturating_sub(count);
        recent.skip(skipped).map(call_record).collect()
    }

    /// Keeps a picture of the screen.
    pub(super) fn keep_snapshot(&mut self, picture: &Picture) {
        let mut image = Vec::new();
        match (png::encode(picture, &mut image), &mut self.chronicle.journal) {
            (Ok(()), Some(journal)) => journal.keep_snapshot(unix_ms(), image),
            (Ok(()), None) => tracing::warn!("the screen's picture is not kept: there is no journal"),
            (Err(error), _) => tracing::warn!("the screen's picture cannot be made an image: {error}"),
        }
    }
}

fn call_record(record: &Record) -> CallRecord {
    CallRecord {
        at_unix_ms: record.at_unix_ms,
        peer: record.who.clone(),
        incoming: record.what != What::MadeCall,
        ended: record.reason.clone().unwrap_or_else(|| record.what.words().to_owned()),
        talked_s: if record.what == What::MissedCall { 0 } else { record.lasted_ms.unwrap_or_default() / 1_000 },
        picture: record.still.clone(),
    }
}
