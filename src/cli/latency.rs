//! `visavis latency`: how long sound takes from mouth to ear and a picture from light to light, measured by the station that
//! runs here, in words.
//!
//! How, and what it is that is measured, is told at the heads of `voice::probe` and of `flash`.

use super::ctl::{SocketArg, ask, failure, unexpected};
use super::{Failure, print};
use crate::panel::client::Client;
use crate::panel::protocol::{Answer, Measurement, Medium, PictureMeasurement, Request};
use serde::Serialize;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(clap::Args, Debug)]
#[command(after_help = ADVICE)]
pub(super) struct Args {
    #[command(flatten)]
    socket: SocketArg,
    /// Ring this station first, wait until it answers, and hang up at the end
    #[arg(long, value_name = "STATION")]
    to: Option<String>,
    /// Measure sound, and pictures only if they are asked for too
    #[arg(long)]
    sound: bool,
    /// Measure pictures, and sound only if it is asked for too
    #[arg(long)]
    picture: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const ADVICE: &str = "\
Put both stations into one room, face to face, half a metre to a metre apart, with a call between them. One after the other is \
measured what a voice and what a face takes from there to here; for the other direction, ask the other station.

Sound: this station plays ten chirps, and hears each twice: from its own loudspeaker, and again when the other station has heard \
it and sent it back. What lies between the two is microphone, network and loudspeaker. Meanwhile this station sends silence.

Picture: this station's screen flashes ten times, and the other's camera sees it. What lies between a flash and the first \
received picture that has it is camera, network and screen. Dim the room. There are never more than two flashes in a second, \
fewer than the three that are held to be safe (WCAG 2.3.1); whoever is very sensitive to flicker looks away for twelve seconds.";

/// A station that is rung is answered within this time, by whoever goes there.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
/// Ten chirps or flashes, one a second, and time for a busy board.
const MEASURED_WITHIN: Duration = Duration::from_secs(20);
/// How often the station is asked.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// What a station is meant to stay below; and where people begin to be less than content, by ITU-T G.114, which counts from
/// mouth to ear as well.
const SOUND_GOOD_MS: f32 = 100.0;
const SOUND_FAIR_MS: f32 = 200.0;
/// What ITU-T G.1010 prefers for a picture of whom one talks to, one way, and its limit.
const PICTURE_GOOD_MS: f32 = 150.0;
const PICTURE_FAIR_MS: f32 = 400.0;
/// A voice that is so much before the lips, or so much behind them, is noticed by half of those who watch for it (ITU-R BT.1359).
const VOICE_BEFORE_LIPS_MS: f32 = 45.0;
const VOICE_BEHIND_LIPS_MS: f32 = 125.0;
/// Fewer that come back are luck.
const BACK_LEAST: usize = 3;

/// What was measured. The fields of sound stand at the top.
#[derive(Debug, Default, Serialize)]
struct Report {
    #[serde(flatten)]
    sound: Option<Measurement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<PictureMeasurement>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let (mut client, answer) = ask(&args.socket, &Request::Status)?;
    let Answer::Status(_) = answer else { return Err(unexpected(answer)) };
    if let Some(station) = &args.to {
        act(&mut client, &format!("ring {station}"))?;
        wait_answered(&mut client, station)?;
    }
    let report = measure_all(&mut client, args);
    if args.to.is_some() {
        act(&mut client, "hang-up")?;
    }
    let report = report?;
    // Numbers and booleans: nothing in it fails to be JSON.
    let text = if args.json { serde_json::to_string(&report).unwrap_or_default() } else { report.words() };
    print(&(text + "\n"))?;
    Ok(if report.is_enough(args) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn act(client: &mut Client, action: &str) -> Result<(), Failure> {
    match client.ask(&Request::Act(action.into())).map_err(failure)? {
        Answer::Done => Ok(()),
        other => Err(unexpected(other)),
    }
}

fn wait_answered(client: &mut Client, station: &str) -> Result<(), Failure> {
    let until = Instant::now() + ANSWERED_WITHIN;
    loop {
        let status = match client.ask(&Request::Status).map_err(failure)? {
            Answer::Status(status) => status,
            other => return Err(unexpected(other)),
        };
        match status.state.as_str() {
            "talking" => return Ok(()),
            "calling" if Instant::now() < until => std::thread::sleep(ASK_EVERY),
            _ => {
                let reason = status.reason.unwrap_or_else(|| "nobody answers".into());
                return Err(Failure { status: 1, message: format!("{station} cannot be measured: {reason}") });
            }
        }
    }
}

fn measure_all(client: &mut Client, args: &Args) -> Result<Report, Failure> {
    let mut report = Report::default();
    let all = !args.sound && !args.picture;
    let wanted = [(all || args.sound, Medium::Sound), (all || args.picture, Medium::Picture)];
    for (_, medium) in wanted.into_iter().filter(|(is_wanted, _)| *is_wanted) {
        match measure(client, medium)? {
            Answer::Measurement(sound) => report.sound = Some(sound),
            Answer::PictureMeasurement(picture) => report.picture = Some(picture),
            other => return Err(unexpected(other)),
        }
    }
    Ok(report)
}

/// Waits for the end of a measurement. One that does not come to it is given as it is.
fn measure(client: &mut Client, medium: Medium) -> Result<Answer, Failure> {
    match client.ask(&Request::Measure(medium)).map_err(failure)? {
        Answer::Done => {}
        other => return Err(unexpected(other)),
    }
    let until = Instant::now() + MEASURED_WITHIN;
    loop {
        std::thread::sleep(ASK_EVERY);
        let answer = client.ask(&Request::Measurement(medium)).map_err(failure)?;
        let is_over = match &answer {
            Answer::Measurement(sound) => sound.is_over,
            Answer::PictureMeasurement(picture) => picture.is_over,
            _ => true,
        };
        if is_over || Instant::now() >= until {
            return Ok(answer);
        }
    }
}

impl Report {
    /// Whether all was measured that was asked for by name, or without that, anything.
    fn is_enough(&self, args: &Args) -> bool {
        let is_enough = |took_ms: &Vec<f32>| took_ms.len() >= BACK_LEAST;
        let measured = [self.sound.as_ref().map(|m| &m.took_ms), self.picture.as_ref().map(|m| &m.took_ms)];
        let mut measured = measured.into_iter().flatten().map(is_enough);
        if args.sound || args.picture { measured.all(|is| is) } else { measured.any(|is| is) }
    }

    /// The result, as one says it.
    fn words(&self) -> String {
        let medians = [self.sound.as_ref().map(|m| &m.took_ms), self.picture.as_ref().map(|m| &m.took_ms)];
        let together = match medians.map(|took_ms| took_ms.and_then(|took_ms| Times::of(took_ms))) {
            [Some(sound), Some(picture)] => Some(lips(picture.median_ms - sound.median_ms)),
            _ => None,
        };
        let said = [self.sound.as_ref().map(sound_words), self.picture.as_ref().map(picture_words), together];
        said.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }
}

/// What most took, and what the slowest did.
struct Times {
    median_ms: f32,
    most_ms: f32,
}

impl Times {
    /// `None` where that would be luck.
    fn of(took_ms: &[f32]) -> Option<Times> {
        let mut sorted = took_ms.to_vec();
        sorted.sort_by(f32::total_cmp);
        let most_ms = sorted.last().copied().filter(|_| sorted.len() >= BACK_LEAST)?;
        Some(Times { median_ms: sorted[sorted.len() / 2], most_ms })
    }
}

fn sound_words(measured: &Measurement) -> String {
    let Measurement { is_over, chirps, took_ms, unheard_here, unheard_there } = measured;
    if let Some(Times { median_ms, most_ms }) = Times::of(took_ms) {
        let verdict = match median_ms {
            ms if ms < SOUND_GOOD_MS => "Good: below a tenth of a second nobody notices.",
            ms if ms < SOUND_FAIR_MS => "Fair: who listens for it notices, and people talk as ever.",
            _ => "Slow: people interrupt each other. `visavis doctor` looks for the reason, Wi-Fi first.",
        };
        let back = took_ms.len();
        format!(
            "Sound takes {median_ms:.0} ms from mouth to ear, and {most_ms:.0} ms at the most; {back} of {chirps} chirps came \
             back.\n{verdict}"
        )
    } else if !is_over {
        "Sound was not measured: the loudspeaker does not play (visavis doctor tells why).".into()
    } else if unheard_here > unheard_there {
        "This station's microphone does not hear its own loudspeaker. Turn it up (visavis ctl volume 100), look that both are \
         plugged in (visavis doctor), or measure in a quieter room."
            .into()
    } else if unheard_here + unheard_there > 0 {
        "The chirps were heard here, and did not come back. Put the other station into the same room and closer, see that its \
         microphone is not muted, or measure in a quieter room."
            .into()
    } else {
        "Sound was not measured: the microphone gives none, or the call ended (visavis doctor, visavis log).".into()
    }
}

fn picture_words(measured: &PictureMeasurement) -> String {
    let PictureMeasurement { is_over, has_screen, flashes, pictures, took_ms } = measured;
    if let Some(Times { median_ms, most_ms }) = Times::of(took_ms) {
        let verdict = match median_ms {
            ms if ms < PICTURE_GOOD_MS => "Good: whom one talks to seems to be there.",
            ms if ms < PICTURE_FAIR_MS => "Fair: who waves at the other notices, and people talk as ever.",
            _ => "Slow: people take each other's faces amiss. `visavis doctor` looks for the reason, Wi-Fi first.",
        };
        let seen = took_ms.len();
        format!(
            "A picture takes {median_ms:.0} ms from light to light, and {most_ms:.0} ms at the most; {seen} of {flashes} \
             flashes were seen.\n{verdict}"
        )
    } else if !is_over {
        "The picture was not measured: the screen does not change (visavis doctor tells why).".into()
    } else if !has_screen {
        "The picture was not measured: this station has no screen that works (visavis doctor). Ask the other station."
            .into()
    } else if *pictures == 0 {
        "The picture was not measured: none comes from the other station. It has no camera, or that does not work (visavis \
         doctor there), or it is not what this screen shows."
            .into()
    } else if *flashes < crate::flash::FLASHES as u8 {
        "The picture was not measured: the call ended, or its picture did (visavis log).".into()
    } else {
        "The other station's camera does not see this screen: put them face to face, half a metre apart, and dim the room."
            .into()
    }
}

/// Whether voice and lips go together.
fn lips(picture_behind_ms: f32) -> String {
    match picture_behind_ms {
        ms if ms >= VOICE_BEFORE_LIPS_MS => format!("The voice is {ms:.0} ms before the lips, which one can notice."),
        ms if ms <= -VOICE_BEHIND_LIPS_MS => {
            format!("The voice is {:.0} ms behind the lips, which one can notice.", -ms)
        }
        ms if ms < 0.0 => format!("Voice and lips go together: the voice is {:.0} ms behind.", -ms),
        ms => format!("Voice and lips go together: the voice is {ms:.0} ms before."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(took_ms: &[f32], unheard_here: u8, unheard_there: u8) -> Measurement {
        Measurement { is_over: true, chirps: 10, took_ms: took_ms.to_vec(), unheard_here, unheard_there }
    }

    fn picture(took_ms: &[f32]) -> PictureMeasurement {
        PictureMeasurement { is_over: true, has_screen: true, flashes: 10, pictures: 300, took_ms: took_ms.to_vec() }
    }

    #[test]
    fn what_was_measured_is_said_in_words_and_what_was_not_with_a_remedy() {
        let said = sound_words(&sound(&[61.2, 70.4, 64.0, 61.9, 62.1], 0, 5));
        assert!(said.starts_with("Sound takes 62 ms from mouth to ear, and 70 ms at the most; 5 of 10"), "{said}");
        assert!(said.contains("Good"), "{said}");
        assert!(sound_words(&sound(&[150.0; 10], 0, 0)).contains("Fair"));
        assert!(sound_words(&sound(&[300.0; 10], 0, 0)).contains("doctor"));
        assert!(sound_words(&sound(&[60.0], 9, 0)).contains("volume"));
        assert!(sound_words(&sound(&[60.0], 0, 9)).contains("closer"));
        assert!(sound_words(&sound(&[], 0, 0)).contains("not measured"));
        assert!(sound_words(&Measurement::default()).contains("does not play"));

        let said = picture_words(&picture(&[121.0, 88.0, 95.5]));
        assert!(
            said.starts_with("A picture takes 96 ms from light to light, and 121 ms at the most; 3 of 10"),
            "{said}"
        );
        assert!(picture_words(&picture(&[250.0; 4])).contains("Fair"));
        assert!(picture_words(&picture(&[500.0; 4])).contains("Slow"));
        assert!(picture_words(&picture(&[90.0])).contains("face to face"));
        assert!(picture_words(&PictureMeasurement { flashes: 2, ..picture(&[]) }).contains("the call ended"));
        assert!(picture_words(&PictureMeasurement { pictures: 0, ..picture(&[]) }).contains("no camera"));
        assert!(picture_words(&PictureMeasurement { has_screen: false, ..picture(&[]) }).contains("no screen"));
        assert!(picture_words(&PictureMeasurement::default()).contains("does not change"));
    }

    #[test]
    fn voice_and_lips_are_compared_where_both_are_known() {
        let report = |voice_ms, picture_ms| Report {
            sound: Some(sound(&[voice_ms; 10], 0, 0)),
            picture: Some(picture(&[picture_ms; 10])),
        };
        assert!(report(70.0, 90.0).words().contains("together: the voice is 20 ms before"));
        assert!(report(90.0, 70.0).words().contains("together: the voice is 20 ms behind"));
        assert!(report(60.0, 160.0).words().contains("100 ms before the lips"));
        assert!(report(260.0, 60.0).words().contains("200 ms behind the lips"));
        assert!(!Report { picture: None, ..report(60.0, 160.0) }.words().contains("lips"));
        assert!(!Report { sound: Some(sound(&[60.0], 0, 9)), ..report(60.0, 160.0) }.words().contains("lips"));
    }

    #[test]
    fn scripts_find_the_names_that_they_know() {
        let report = Report { sound: Some(sound(&[60.0], 2, 7)), picture: Some(picture(&[])) };
        let all = serde_json::to_value(&report).unwrap();
        for name in ["is_over", "chirps", "took_ms", "unheard_here", "unheard_there", "picture"] {
            assert!(all.get(name).is_some(), "{name} is not in {all}");
        }
        assert_eq!(all["picture"]["pictures"], 300);
        let only_sound = serde_json::to_value(Report { picture: None, ..report }).unwrap();
        assert!(only_sound.get("picture").is_none() && only_sound["unheard_there"] == 7);
        let only_picture = serde_json::to_value(Report { sound: None, picture: Some(picture(&[])) }).unwrap();
        assert!(only_picture.get("chirps").is_none() && only_picture["picture"]["flashes"] == 10);
    }
}
