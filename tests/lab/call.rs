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
use crate::judge::photo::{Photo, Region, Sight};
use crate::judge::tone;
use crate::station::Station;
use serde_json::Value;
use std::fmt;
use std::time::{Duration, Instant};

/// How long anything may take that ought to come by itself. It tells "slow on a busy machine" from "never".
pub const PATIENCE: Duration = Duration::from_secs(20);
/// No picture may be shown when the camera has had a newer one for this long. A station keeps far below; but the machine
/// may stand still among builds for half of it, and a key frame lose packets on top: 1.05 s was seen once. What is looked
/// for is a queue that holds old pictures, and after a freeze of ten seconds that holds ten.
pub const STALE: Duration = Duration::from_secs(2);
/// And half of the pictures must be younger than this: three frame times of the clip, where one is usual.
const MEDIAN_AGE_MAX: Duration = Duration::from_millis(200);
/// How long a screen is watched: 60 frames of the clip, and enough for a queue that grows to be seen.
pub const LOOK: Duration = Duration::from_secs(4);
/// Frames that must be seen in that time. A looker-on who shares the one core may miss many, a frozen picture is one.
const FRAMES_LEAST: u32 = 20;
/// A picture with a band of rows that is worse than this against the clip is not whole: it is smeared, or torn. A band of
/// the frame after has 30.2 dB at the most, a coded one of the clip's soft waves 34 dB at the least.
pub const WHOLE_DB: f64 = 32.0;
/// A voice is clear while so much of what comes out of the loudspeaker is its pitch; the rest is the codec's.
const CLEAR: f64 = 0.8;
/// One hears oneself if so much is one's own pitch. A click, which has all pitches, has less of each.
const AUDIBLE: f64 = 0.1;
/// And heard if it is clear for so much of the time: a busy machine's underruns take some.
const HEARD_TIME: f64 = 0.7;

/// How a scenario wants its call.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub ip: Ip,
    /// How the clip comes out of the cameras.
    pub feed: Feed,
    pub codec: &'static str,
    /// The near end's camera is vivid's first instead of one that shows the clip, and has this name.
    pub vivid: Option<&'static str>,
    /// What is judged of the pictures.
    pub judged: Region,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { ip: Ip::V6, feed: Feed::Raw, codec: "h264", vivid: None, judged: Region::WHOLE }
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
        let mut call = Call::prepare(plan)?;
        if let Some(netem) = netem {
            call.network.spoil(netem)?;
        }
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

    /// Everything that is around the stations, for whoever starts them otherwise.
    pub fn prepare(plan: Plan) -> Outcome<Call> {
        screen::load()?;
        sound::load()?;
        camera::load_loopback()?;
        if plan.vivid.is_some() {
            camera::load_vivid()?;
        }
        let network = Network::lay(plan.ip)?;
        let players = [
            if plan.vivid.is_some() { None } else { Some(Player::start(End::Near, plan.feed)?) },
            Some(Player::start(End::Far, plan.feed)?),
        ];
        let screens = [Screen::open(End::Near)?, Screen::open(End::Far)?];
        Ok(Call { plan, network, stations: [None, None], screens, players, speakers: [None, None] })
    }

    /// Starts the station at `end`.
    pub fn start(&mut self, end: End) -> Outcome {
        let fed = camera::LOOPBACK[end.index()];
        let camera = if end == End::Near { self.plan.vivid.unwrap_or(fed) } else { fed };
        let options = [
            ("--host", self.plan.ip.address(end.other()).to_string()),
            ("-v", self.plan.ip.number().to_string()),
            // Cameras and screens are small already: the one core carries two of each, and two stations.
            ("--level", "0".to_string()),
            ("--codec", self.plan.codec.to_string()),
            // So much that the encoder is never coarse, not even in its first second: a picture that is not good is not whole.
            ("--bitrate", "2M".to_string()),
            ("--camera", format!("v4l2:{camera}")),
            ("--screen", format!("drm:{}", Screen::card(end))),
            ("--mic", format!("alsa:{}", sound::station_side(end))),
            // What speaks is a steady tone: noise, to who listens for speech.
            ("--clean-mic", "false".into()),
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
    pub fn look(&self, end: End) -> Outcome<Look> {
        let at = Instant::now();
        let photo = self.screens[end.index()].photograph()?;
        Ok(Look { at, sight: photo.as_ref().map_or(Sight::Blank, |photo| photo.sight_within(self.plan.judged)), photo })
    }

    /// How old a picture of the clip was when it was looked at, and for how long there had been a newer one; `None` if
    /// none was shown at `end`, or one that was never played.
    fn age_and_lag(&self, end: End, look: &Look) -> Option<(Duration, Duration)> {
        let Sight::Clip { number, .. } = look.sight else { return None };
        let (given_at, newer_at) = self.players[end.other().index()].as_ref()?.given_at(number)?;
        let since = |at: Instant| look.at.saturating_duration_since(at);
        Some((since(given_at), newer_at.map_or(Duration::ZERO, since)))
    }

    /// For how long there had been a newer picture than the one at `end` when it was looked at.
    pub fn lag(&self, end: End, look: &Look) -> Option<Duration> {
        self.age_and_lag(end, look).map(|(_, lag)| lag)
    }

    /// Waits until the screen at `end` shows the other end live; gives how long that took.
    pub fn wait_live(&mut self, end: End) -> Outcome<Duration> {
        self.wait_sight(end, "the other end live", |call, look| match look.sight {
            Sight::Clip { .. } => call.lag(end, look).is_some_and(|lag| lag < STALE),
            Sight::Bars => call.plan.vivid.is_some() && end == End::Far,
            _ => false,
        })
    }

    /// Waits until what the screen at `end` shows is what `is_it` looks for; gives how long that took. A photograph of
    /// what it showed instead stays in the run folder.
    pub fn wait_sight(&mut self, end: End, what: &str, is_it: impl Fn(&Call, &Look) -> bool) -> Outcome<Duration> {
        let what = format!("the {} screen shows {what}", end.name());
        // A station that has ended will not come to show anything.
        let waited = wait_for(&what, PATIENCE, || match self.all_must_run() {
            Ok(()) => self.look(end).ok().filter(|look| is_it(self, look)).map(|_| Ok(())),
            Err(error) => Some(Err(error)),
        });
        match waited {
            Ok((seen, took)) => seen.map(|()| took),
            Err(error) => {
                let look = self.look(end)?;
                look.keep(end.name())?;
                Err(format!("{error}; it shows {:?}", look.sight).into())
            }
        }
    }

    fn all_must_run(&mut self) -> Outcome {
        self.stations.iter_mut().flatten().try_for_each(Station::must_run)
    }

    /// Watches the screen at `end`; fails unless what it shows is live.
    pub fn watch(&self, end: End) -> Outcome<Watch> {
        let player = self.players[end.other().index()].as_ref().ok_or("that end does not show the clip")?;
        let mut watch = Watch::of(end);
        let mut last = None;
        let start = Instant::now();
        while start.elapsed() < LOOK {
            let look = self.look(end)?;
            match look.sight {
                Sight::Clip { number, worst_db } => {
                    let (age, lag) = self.age_and_lag(end, &look).ok_or("a frame is shown that was never played")?;
                    watch.ages.push(age);
                    watch.longest_lag = watch.longest_lag.max(lag);
                    if worst_db < watch.worst_db.min(WHOLE_DB) {
                        look.keep(end.name())?;
                    }
                    watch.worst_db = watch.worst_db.min(worst_db);
                    watch.back |= last.is_some_and(|last| number < last);
                    watch.frames += u32::from(last != Some(number));
                    last = Some(number);
                }
                _ => watch.gone += 1,
            }
            // More than twice in a frame's time, so that none is missed.
            std::thread::sleep(Duration::from_millis(25));
        }
        player.newest()?;
        watch.ages.sort();
        if watch.is_live() { Ok(watch) } else { Err(format!("not live: {watch}").into()) }
    }

    /// Watches the screen at `end` until what it shows is live.
    pub fn wait_watched(&self, end: End) -> Outcome<Watch> {
        let start = Instant::now();
        loop {
            match self.watch(end) {
                // Whoever looks on on a busy machine sees it stand still now and then.
                Err(error) if start.elapsed() < PATIENCE => println!("{error}"),
                watched => return watched,
            }
        }
    }

    /// Fails unless the loudspeaker at `end` plays what the room at the other end says, and not its own.
    fn must_hear(&self, end: End) -> Outcome {
        let sound = sound::listen(end, Duration::from_secs(1))?;
        let other = tone::time_share(&sound, sound::pitch_hz(end.other()), CLEAR);
        let own = tone::time_share(&sound, sound::pitch_hz(end), AUDIBLE);
        if other >= HEARD_TIME && own == 0.0 {
            return Ok(());
        }
        let (name, level) = (end.name(), tone::level(&sound));
        Err(format!(
            "at the {name} end the other is heard for {other:.1} s of 1, oneself for {own:.1}; level {level:.3}"
        )
        .into())
    }

    /// Waits until the other end is heard at `end`; gives how long that took, to within a second.
    pub fn wait_heard(&self, end: End) -> Outcome<Duration> {
        let start = Instant::now();
        loop {
            match self.must_hear(end) {
                Ok(()) => return Ok(start.elapsed()),
                Err(error) if start.elapsed() > PATIENCE => return Err(error),
                Err(error) => println!("{error}"),
            }
        }
    }

    /// Waits until nothing of the other end is heard at `end`.
    pub fn wait_silent(&self, end: End) -> Outcome {
        let start = Instant::now();
        loop {
            let sound = sound::listen(end, Duration::from_secs(1))?;
            let heard = tone::time_share(&sound, sound::pitch_hz(end.other()), AUDIBLE);
            if heard == 0.0 {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("at the {} end the other is heard for {heard:.1} s of 1", end.name()).into());
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

/// What a screen showed.
#[derive(Debug)]
pub struct Look {
    /// When the look began: what was seen was on the screen then, or later.
    pub at: Instant,
    pub sight: Sight,
    pub photo: Option<Photo>,
}

impl Look {
    /// Leaves the photograph in the run folder under a name, for people.
    pub fn keep(&self, name: &str) -> Outcome {
        self.photo.as_ref().map_or(Ok(()), |photo| photo.save(&format!("{RUN}/{name}.ppm")))
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
    /// The longest time that there had been a newer one.
    longest_lag: Duration,
    /// How good the worst band of rows of all pictures was.
    pub worst_db: f64,
    /// A frame came after one with a higher number.
    back: bool,
    /// How many times something else than the clip was to be seen.
    gone: u32,
}

impl Watch {
    fn of(end: End) -> Watch {
        let (ages, longest_lag) = (Vec::new(), Duration::ZERO);
        Watch { end, frames: 0, ages, longest_lag, worst_db: f64::INFINITY, back: false, gone: 0 }
    }

    /// Whether the picture moved, and was there, whole, in order and young each time.
    fn is_live(&self) -> bool {
        let enough = self.frames >= FRAMES_LEAST && self.gone == 0;
        let fresh = self.longest_lag < STALE && self.median_age() < MEDIAN_AGE_MAX;
        enough && !self.back && self.worst_db >= WHOLE_DB && fresh
    }

    /// The age that half of the looks found or less.
    pub fn median_age(&self) -> Duration {
        self.ages.get(self.ages.len() / 2).copied().unwrap_or(Duration::MAX)
    }
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} screen showed {} frames, {} times none, the worst with {:.1} dB, in order: {}, median age {:?}, oldest {:?}, {:?} behind at the most",
            self.end.name(),
            self.frames,
            self.gone,
            self.worst_db,
            !self.back,
            self.median_age(),
            self.ages.last(),
            self.longest_lag
        )
    }
}
