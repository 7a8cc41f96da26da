//! `visavis latency`: how long sound takes from mouth to ear, measured by the station that runs here, in words.
//!
//! How, and what it is that is measured, is told at the head of `voice::probe`.

use super::ctl::{SocketArg, ask, failure, unexpected};
use super::{EX_UNAVAILABLE, Failure, print};
use crate::panel::client::Client;
use crate::panel::protocol::{Answer, Measurement, Request};
use std::fmt::Write as _;
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
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const ADVICE: &str = "\
Put both stations into one room, a metre or two apart, with a call between them. This one plays ten chirps, and hears each \
twice: from its own loudspeaker, and again when the other station has heard it and sent it back. What lies between the two \
is what a voice takes from there to here: microphone, network and loudspeaker. For the other direction, ask the other \
station. Meanwhile this station sends silence.";

/// A station that is rung is answered within this time, by whoever goes there.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
/// Ten chirps, one a second, and time for a busy board.
const MEASURED_WITHIN: Duration = Duration::from_secs(20);
/// How often the station is asked.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// What a station is meant to stay below; and where people begin to be less than content, by ITU-T G.114, which counts from
/// mouth to ear as well.
const GOOD_MS: f32 = 100.0;
const FAIR_MS: f32 = 200.0;
/// Fewer that come back are luck.
const BACK_LEAST: usize = 3;

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let (mut client, answer) = ask(&args.socket, &Request::Status)?;
    let Answer::Status(_) = answer else { return Err(unexpected(answer)) };
    if let Some(station) = &args.to {
        act(&mut client, &format!("ring {station}"))?;
        wait_answered(&mut client, station)?;
    }
    let measured = measure(&mut client);
    if args.to.is_some() {
        act(&mut client, "hang-up")?;
    }
    let measured = measured?;
    // Numbers and a boolean: nothing in it fails to be JSON.
    let text = if args.json { serde_json::to_string(&measured).unwrap_or_default() } else { words(&measured) };
    print(&(text + "\n"))?;
    Ok(if measured.took_ms.len() < BACK_LEAST { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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

fn measure(client: &mut Client) -> Result<Measurement, Failure> {
    match client.ask(&Request::Measure).map_err(failure)? {
        Answer::Done => {}
        other => return Err(unexpected(other)),
    }
    let until = Instant::now() + MEASURED_WITHIN;
    loop {
        std::thread::sleep(ASK_EVERY);
        match client.ask(&Request::Measurement).map_err(failure)? {
            Answer::Measurement(measured) if measured.is_over => return Ok(measured),
            Answer::Measurement(_) if Instant::now() < until => {}
            Answer::Measurement(_) => {
                let message = "the loudspeaker does not play: visavis doctor tells why".into();
                return Err(Failure { status: EX_UNAVAILABLE, message });
            }
            other => return Err(unexpected(other)),
        }
    }
}

/// The result, as one says it.
fn words(measured: &Measurement) -> String {
    let Measurement { chirps, took_ms, unheard_here, unheard_there, .. } = measured;
    let mut text = String::new();
    if took_ms.len() >= BACK_LEAST {
        let mut sorted = took_ms.clone();
        sorted.sort_by(f32::total_cmp);
        let part = |share: f32| sorted[((sorted.len() as f32 * share) as usize).min(sorted.len() - 1)];
        let verdict = match part(0.5) {
            ms if ms < GOOD_MS => "Good: below a tenth of a second nobody notices.",
            ms if ms < FAIR_MS => "Fair: who listens for it notices, and people talk as ever.",
            _ => "Slow: people interrupt each other. `visavis doctor` looks for the reason, Wi-Fi first.",
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "Sound takes {:.0} ms from mouth to ear, and {:.0} ms at the most; {} of {chirps} chirps came back.\n{verdict}",
            part(0.5),
            part(1.0),
            took_ms.len()
        );
    } else if unheard_here > unheard_there {
        text += "This station's microphone does not hear its own loudspeaker. Turn it up (visavis ctl volume 100), look \
                 that both are plugged in (visavis doctor), or measure in a quieter room.";
    } else if unheard_here + unheard_there > 0 {
        text += "The chirps were heard here, and did not come back. Put the other station into the same room and closer, \
                 see that its microphone is not muted, or measure in a quieter room.";
    } else {
        text += "Nothing was measured: the microphone gives no sound, or the call ended (visavis doctor, visavis log).";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(took_ms: &[f32], unheard_here: u8, unheard_there: u8) -> Measurement {
        Measurement { is_over: true, chirps: 10, took_ms: took_ms.to_vec(), unheard_here, unheard_there }
    }

    #[test]
    fn what_was_measured_is_said_in_words_and_what_was_not_with_a_remedy() {
        let said = words(&measured(&[61.2, 70.4, 64.0, 61.9, 62.1], 0, 5));
        assert!(said.starts_with("Sound takes 62 ms from mouth to ear, and 70 ms at the most; 5 of 10"), "{said}");
        assert!(said.contains("Good"), "{said}");
        assert!(words(&measured(&[150.0; 10], 0, 0)).contains("Fair"));
        assert!(words(&measured(&[300.0; 10], 0, 0)).contains("doctor"));
        assert!(words(&measured(&[60.0], 9, 0)).contains("volume"));
        assert!(words(&measured(&[60.0], 0, 9)).contains("closer"));
        assert!(words(&measured(&[], 0, 0)).contains("Nothing was measured"));
    }
}
