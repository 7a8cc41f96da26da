//! The near microphone hears the near loudspeaker, over real sound drivers. Who speaks at the far end hears himself come back
//! while the microphone is sent as it is, and not once it is cleaned; and he still hears who speaks there at the same time.

use crate::Outcome;
use crate::call::PATIENCE;
use crate::command::wait_for;
use crate::devices::End;
use crate::devices::network::{Ip, Network};
use crate::devices::sound::{self, EchoingRoom, Speaker};
use crate::judge::tone;
use crate::machine::Order;
use crate::station::Station;
use std::time::Duration;
use visavis::codec::opus::Decoder;
use visavis::media::PERIOD;

/// Speech of the canceller's own tests: two people, packets of 10 ms, each after its length.
const FAR: &[u8] = include_bytes!("../../../src/voice/echo/tests/far.opus");
const NEAR: &[u8] = include_bytes!("../../../src/voice/echo/tests/near.opus");
/// Longer than any pause between their words.
const LISTEN: Duration = Duration::from_secs(3);
/// An echo that is heard at all; and what must be taken away of it. The simulation holds the canceller to more, in rooms; here
/// it is the stamps of real drivers, on a kernel that ticks 100 times a second, that are to be good enough.
const HEARD_DB: f64 = -50.0;
const TAKEN_DB: f64 = 25.0;
/// And so much louder is who speaks than what is left.
const SPEECH_DB: f64 = 15.0;

pub fn play(_: &Order) -> Outcome<String> {
    sound::load()?;
    let _network = Network::lay(Ip::V6)?;
    let echo_db = call(false, |_, _| {
        Ok(wait_for("the far end hears himself", PATIENCE, || {
            let level = heard_db().ok()?;
            (level > HEARD_DB).then_some(level)
        })?
        .0)
    })?;
    let (left_db, speech_db, took) = call(true, |room, far| {
        let hears = |what: &str, is_it: &dyn Fn(f64) -> bool| {
            wait_for(what, PATIENCE, || heard_db().ok().filter(|level| is_it(*level)))
        };
        room.speak(true);
        hears("he hears who speaks there, so that there is a call", &|level| level > HEARD_DB)?;
        room.speak(false);
        let (left, took) = hears("he no longer hears himself", &|level| level < echo_db - TAKEN_DB)?;
        room.speak(true);
        let (speech, _) = hears("he hears who speaks at the same time", &|level| level > left + SPEECH_DB)?;
        far.must_run()?;
        Ok((left, speech, took))
    })?;
    Ok(format!(
        "an echo of {echo_db:.0} dBFS became {left_db:.0} within {:.0} s, {} s of listening among them; who speaks there is at \
         {speech_db:.0} dBFS",
        took.as_secs_f64(),
        LISTEN.as_secs()
    ))
}

/// A call without pictures in which the far end speaks and the near room echoes.
fn call<T>(is_cleaned: bool, judge: impl FnOnce(&EchoingRoom, &mut Station) -> Outcome<T>) -> Outcome<T> {
    let start = |end: End, is_cleaned: bool| {
        let options = [
            ("--host", Ip::V6.address(end.other()).to_string()),
            ("-v", "6".into()),
            ("--camera", "none".into()),
            ("--screen", "none".into()),
            ("--mic", format!("alsa:{}", sound::station_side(end))),
            ("--speaker", format!("alsa:{}", sound::station_side(end))),
            ("--clean-mic", is_cleaned.to_string()),
        ];
        let words: Vec<String> = options.into_iter().flat_map(|(name, value)| [name.to_string(), value]).collect();
        Station::start(end, &words)
    };
    let (near, mut far) = (start(End::Near, is_cleaned)?, start(End::Far, false)?);
    let room = EchoingRoom::start(End::Near, speech(NEAR)?)?;
    let (said, mut at) = (speech(FAR)?, 0);
    let _speaker = Speaker::say(End::Far, move || {
        let block = (at..at + PERIOD).flat_map(|n| said[n % said.len()].to_le_bytes()).collect();
        at += PERIOD;
        block
    })?;
    let judged = judge(&room, &mut far)?;
    near.hang_up()?;
    far.hang_up()?;
    Ok(judged)
}

/// How loud the far loudspeaker is.
fn heard_db() -> Outcome<f64> {
    Ok(20.0 * tone::level(&sound::listen(End::Far, LISTEN)?).max(1e-5).log10())
}

fn speech(mut kept: &[u8]) -> Outcome<Vec<i16>> {
    let (mut decoder, mut sound) = (Decoder::new()?, Vec::new());
    while let [low, high, rest @ ..] = kept {
        let (packet, after) = rest.split_at(usize::from(u16::from_le_bytes([*low, *high])));
        let mut period = [0; PERIOD];
        decoder.decode(packet, &mut period)?;
        sound.extend(period);
        kept = after;
    }
    Ok(sound)
}
