//! A call between two stations, with what is around them: cameras that show the clip, screens that are looked at, rooms
//! that speak and listen.

use crate::Outcome;
use crate::command::wait_for;
use crate::devices::camera::{self, Feed, Player};
use crate::devices::network::{Ip, Network};
use crate::devices::screen::Screen;
use crate::devices::sound::{self, Speaker};
use crate::devices::{End, screen};
use crate::guest::RUN;
use crate::judge::photo::Sight;
use crate::judge::tone;
use crate::station::Station;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long anything may take that ought to come by itself. It tells "slow on a busy machine" from "never".
pub const PATIENCE: Duration = Duration::from_secs(45);
/// A picture older than this is not live. A station keeps well below; the machine has one core, and shares it.
pub const STALE: Duration = Duration::from_millis(500);
/// Other frames that must be seen in the time of a watch. A looker-on who shares the one core misses many.
const FRAMES_LEAST: u32 = 5;
/// A picture worse than this against the clip is not whole: a smear, or another frame than its stamp says. One frame
/// off is 34 dB, three are 25; coding and scaling of the clip's soft waves cost less.
const WHOLE_DB: f64 = 30.0;
/// A voice is heard if so much of what comes out of the loudspeaker is its pitch; the rest is the codec's.
const HEARD_SHARE: f64 = 0.8;

/// How a scenario wants its call.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub ip: Ip,
    /// How the clip comes out of the cameras.
    pub feed: Feed,
    pub codec: &'static str,
    /// The near end's camera is vivid's first instead of one that shows the clip.
    pub vivid: bool,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { ip: Ip::V6, feed: Feed::Raw, codec: "h264", vivid: false }
    }
}

/// A call that goes on until dropped.
#[derive(Debug)]
pub struct Call {
    plan: Plan,
    pub network: Network,
    pub stations: [Option<Station>; 2],
    screens: [Screen; 2],
    players: [Option<Player>; 2],
    speakers: [Option<Speaker>; 2],
}

impl Call {
    /// Loads the devices, starts both stations, and waits until each shows the other and the rooms have begun to speak.
    /// Gives also how long it took from the start of the stations to a live picture at both ends.
    pub fn begin(plan: Plan, netem: Option<&str>) -> Outcome<(Call, Duration)> {
        screen::load()?;
        sound::load()?;
        camera::load_loopback()?;
        if plan.vivid {
            camera::load_vivid()?;
        }
        let network = Network::lay(plan.ip)?;
        if let Some(netem) = netem {
            network.spoil(netem)?;
        }
        let players = [
            if plan.vivid { None } else { Some(Player::start(End::Near, plan.feed)?) },
            Some(Player::start(End::Far, plan.feed)?),
        ];
        let screens = [Screen::open(End::Near)?, Screen::open(End::Far)?];
        let mut call = Call { plan, network, stations: [None, None], screens, players, speakers: [None, None] };
        let start = Instant::now();
        for end in End::BOTH {
            call.start(end)?;
        }
        for end in End::BOTH {
            call.wait_live(end)?;
        }
        let took = start.elapsed();
        for end in End::BOTH {
            call.speak(end)?;
        }
        Ok((call, took))
    }

    /// Starts the station at `end`.
    pub fn start(&mut self, end: End) -> Outcome {
        let camera = if self.plan.vivid && end == End::Near { camera::VIVID[0] } else { camera::LOOPBACK[end.index()] };
        let options = [
            ("--host", self.plan.ip.address(end.other()).to_string()),
            ("-v", self.plan.ip.number().to_string()),
            // The one core carries both stations, both screens and both cameras; at level 0 it could not do all of it live.
            ("--level", "1".to_string()),
            ("--codec", self.plan.codec.to_string()),
            ("--camera", format!("v4l2:{camera}")),
            ("--screen", format!("drm:{}", Screen::card(end))),
            ("--mic", format!("alsa:{}", sound::station_side(end))),
            ("--speaker", format!("alsa:{}", sound::station_side(end))),
        ];
        let words: Vec<String> = options.into_iter().flat_map(|(name, value)| [name.to_string(), value]).collect();
        self.stations[end.index()] = Some(Station::start(end, &words)?);
        Ok(())
    }

    /// The running station at `end`.
    pub fn station(&mut self, end: End) -> Outcome<&mut Station> {
        Ok(self.stations[end.index()].as_mut().ok_or("no station is running there")?)
    }

    /// Has the room at `end` speak, anew if its card was gone.
    pub fn speak(&mut self, end: End) -> Outcome {
        self.speakers[end.index()] = Some(Speaker::start(end)?);
        Ok(())
    }

    /// Silences the room at `end`.
    pub fn hush(&mut self, end: End) {
        self.speakers[end.index()] = None;
    }

    /// What the screen at `end` shows.
    pub fn sight(&self, end: End) -> Outcome<Sight> {
        Ok(self.screens[end.index()].photograph()?.map_or(Sight::Blank, |photo| photo.sight()))
    }

    /// How old a picture that is shown at `end` is by now; `None` if it is not one of the clip's.
    pub fn age(&self, end: End, sight: Sight) -> Option<Duration> {
        let Sight::Clip { number, .. } = sight else { return None };
        self.players[end.other().index()].as_ref()?.age(number)
    }

    /// Waits until the screen at `end` shows the other end live; gives how long that took.
    pub fn wait_live(&mut self, end: End) -> Outcome<Duration> {
        self.wait_sight(end, "the other end live", |call, sight| match sight {
            Sight::Clip { .. } => call.age(end, sight).is_some_and(|age| age < STALE),
            Sight::Bars => call.plan.vivid && end == End::Far,
            _ => false,
        })
    }

    /// Waits until what the screen at `end` shows is what `is_it` looks for; gives how long that took. A photograph of
    /// what it showed instead stays in the run folder.
    pub fn wait_sight(&mut self, end: End, what: &str, is_it: impl Fn(&Call, Sight) -> bool) -> Outcome<Duration> {
        let what = format!("the {} screen shows {what}", end.name());
        // A station that has ended will not come to show anything.
        let waited = wait_for(&what, PATIENCE, || match self.all_must_run() {
            Ok(()) => self.sight(end).ok().filter(|&sight| is_it(self, sight)).map(|_| Ok(())),
            Err(error) => Some(Err(error)),
        });
        match waited {
            Ok((seen, took)) => seen.map(|()| took),
            Err(error) => {
                let seen = self.sight(end)?;
                if let Some(photo) = self.screens[end.index()].photograph()? {
                    photo.save(&format!("{RUN}/{}.ppm", end.name()))?;
                }
                Err(format!("{error}; it shows {seen:?}").into())
            }
        }
    }

    fn all_must_run(&mut self) -> Outcome {
        self.stations.iter_mut().flatten().try_for_each(Station::must_run)
    }

    /// Looks at the screen at `end` for `time`.
    pub fn watch(&self, end: End, time: Duration) -> Outcome<Watch> {
        let player = self.players[end.other().index()].as_ref().ok_or("that end does not show the clip")?;
        let mut watch = Watch { end, frames: 0, ages: Vec::new(), qualities_db: Vec::new(), back: false, gone: 0 };
        let mut last = None;
        let start = Instant::now();
        while start.elapsed() < time {
            match self.sight(end)? {
                Sight::Clip { number, psnr_db } => {
                    watch.ages.push(player.age(number).ok_or("a frame is shown that was not played yet")?);
                    watch.qualities_db.push(psnr_db);
                    watch.back |= last.is_some_and(|last| number < last);
                    watch.frames += u32::from(last != Some(number));
                    last = Some(number);
                }
                _ => watch.gone += 1,
            }
            // Twice in a frame's time, so that none is missed.
            std::thread::sleep(Duration::from_millis(15));
        }
        player.newest()?;
        watch.ages.sort();
        watch.qualities_db.sort_by(f64::total_cmp);
        Ok(watch)
    }

    /// Fails unless the loudspeaker at `end` plays what the room at the other end says, and not its own.
    pub fn must_hear(&self, end: End) -> Outcome<f64> {
        let sound = sound::listen(end, Duration::from_secs(1))?;
        let (other, own) =
            (tone::share(&sound, sound::pitch_hz(end.other())), tone::share(&sound, sound::pitch_hz(end)));
        if other >= HEARD_SHARE && own < 0.01 {
            return Ok(other);
        }
        let level = tone::level(&sound);
        Err(format!(
            "at the {} end the other's pitch is {other:.2} of the sound, its own {own:.2}; level {level:.3}",
            end.name()
        )
        .into())
    }

    /// Waits until the other end is heard at `end`; gives how long that took, to within a second.
    pub fn wait_heard(&self, end: End) -> Outcome<Duration> {
        let start = Instant::now();
        loop {
            match self.must_hear(end) {
                Ok(_) => return Ok(start.elapsed()),
                Err(error) if start.elapsed() > PATIENCE => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Hangs up at both ends; gives their reports.
    pub fn end(mut self) -> Outcome<[Value; 2]> {
        let mut report = |end: End| -> Outcome<Value> {
            self.stations[end.index()].take().ok_or("no station is running there")?.hang_up()
        };
        Ok([report(End::Near)?, report(End::Far)?])
    }
}

/// What was to be seen on a screen for a while.
#[derive(Debug)]
pub struct Watch {
    end: End,
    /// Frames of the clip, each counted once.
    pub frames: u32,
    /// How old the picture was each time that it was looked at, sorted.
    pub ages: Vec<Duration>,
    /// How good the picture was each time, sorted. The worst say little: v4l2loopback goes on writing into buffers that
    /// are lent, and in this kernel a photograph may take longer than a frame.
    qualities_db: Vec<f64>,
    /// A frame came after one with a higher number.
    back: bool,
    /// How many times something else than the clip was to be seen.
    gone: u32,
}

impl Watch {
    fn median_db(&self) -> f64 {
        self.qualities_db.get(self.qualities_db.len() / 2).copied().unwrap_or(0.0)
    }

    /// Fails unless the picture was live: whole half of the time at least, in order, moving, and young half of the time at least.
    pub fn must_be_live(&self) -> Outcome<&Watch> {
        let enough = self.frames >= FRAMES_LEAST && self.gone == 0;
        if enough && !self.back && self.median_db() >= WHOLE_DB && self.median_age() < STALE {
            Ok(self)
        } else {
            Err(format!(
                "the {} screen is not live: {} frames, {} times none, median {:.1} dB, in order: {}, median age {:?}",
                self.end.name(),
                self.frames,
                self.gone,
                self.median_db(),
                !self.back,
                self.median_age()
            )
            .into())
        }
    }

    /// The age that half of the looks found or less.
    pub fn median_age(&self) -> Duration {
        self.ages.get(self.ages.len() / 2).copied().unwrap_or(Duration::MAX)
    }
}
