//! The network is gone for 10 s: both screens say so, neither station ends, and the call goes on by itself.

use crate::Outcome;
use crate::call::{Call, Plan};
use crate::devices::End;
use crate::judge::photo::Sight;
use crate::machine::Order;
use std::time::{Duration, Instant};

const CUT: Duration = Duration::from_secs(10);

pub fn play(_: &Order) -> Outcome<String> {
    let (mut call, _) = Call::begin(Plan::default(), None)?;
    let start = Instant::now();
    call.network.cut()?;
    for end in End::BOTH {
        call.wait_sight(end, "a card", |_, look| look.sight == Sight::Other)?;
    }
    let card = start.elapsed();
    std::thread::sleep(CUT.saturating_sub(card));

    call.network.join()?;
    let start = Instant::now();
    for end in End::BOTH {
        call.wait_live(end)?;
    }
    let back = start.elapsed();
    for end in End::BOTH {
        call.wait_heard(end)?;
    }
    let heard = start.elapsed();
    for end in End::BOTH {
        call.watch(end)?;
    }
    call.end()?;
    Ok(format!(
        "cards after {:.1} s, pictures recovered in {:.1} s, sound in {:.1} s, of which 2 s are listening",
        card.as_secs_f64(),
        back.as_secs_f64(),
        heard.as_secs_f64()
    ))
}
