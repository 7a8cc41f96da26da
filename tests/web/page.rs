//! The page, as a person with a phone meets it.

use crate::browser::Browser;
use crate::door::{Door, until};
use std::path::Path;
use visavis::panel::protocol::{Answer, Request};

/// Of how many colours the far picture is, and how much it changes within half a second: read from the video element.
const LOOK: &str = "(async () => {
    const far = document.getElementById('far');
    const look = () => {
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [far.videoWidth, far.videoHeight];
      const context = canvas.getContext('2d');
      context.drawImage(far, 0, 0);
      return context.getImageData(0, 0, canvas.width, canvas.height).data;
    };
    const one = look();
    await new Promise((done) => setTimeout(done, 500));
    const two = look();
    const colours = new Set();
    let changed = 0;
    for (let at = 0; at < one.length; at += 4) {
      colours.add((one[at] >> 6) * 16 + (one[at + 1] >> 6) * 4 + (one[at + 2] >> 6));
      changed += Math.abs(one[at + 1] - two[at + 1]) > 24 ? 1 : 0;
    }
    return [far.videoWidth, far.videoHeight, colours.size, changed];
  })()";

/// The loudest frequency that is heard from the station, in hertz.
const LISTEN: &str = "(async () => {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 16384;
    context.createMediaStreamSource(document.getElementById('far').srcObject).connect(analyser);
    await new Promise((done) => setTimeout(done, 1500));
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const loudest = bins.indexOf(Math.max(...bins));
    const hertz = loudest * context.sampleRate / analyser.fftSize;
    const level = bins[loudest];
    await context.close();
    return [hertz, level];
  })()";

fn let_in(door: &Door, browser: &Browser, release: bool) {
    browser.go(&format!("https://{}/", door.address));
    browser.until_state("stranger");
    browser.picture("stranger");
    browser.go("about:blank");
    browser.go(&format!("https://{}/#join={}", door.address, door.invite(release)));
    browser.until_state("invited");
    browser.picture("invited");
    browser.run("document.getElementById('name').value = \"Anna's phone\"");
    browser.run("document.querySelector('#join button').click()");
    browser.until_state("idle");
    browser.until("ready to call", "!document.getElementById('ring').hidden");
    assert_eq!(browser.run("return location.hash"), "", "the invitation stays in the address");
    browser.picture("idle");
    door.until("linked", |status| {
        status.links.iter().any(|link| link.is_here && link.name == "Anna's phone").then_some(())
    });
}

/// How much of what the station shows is of the false camera's green, as a share.
fn greenness(door: &Door) -> Option<f64> {
    let (_, pixels) = door.screen()?;
    let is_green = |[red, green, blue]: &&[u8; 3]| *green > red.saturating_add(40) && *green > blue.saturating_add(40);
    Some(pixels.iter().filter(is_green).count() as f64 / pixels.len() as f64)
}

/// The peak of what was played at the station lately.
fn loudness(folder: &Path) -> i16 {
    let bytes = std::fs::read(folder.join("heard.wav")).unwrap_or_default();
    let tail = &bytes[bytes.len().saturating_sub(96_000 * 2)..];
    tail.as_chunks::<2>().0.iter().map(|sample| i16::from_le_bytes(*sample).saturating_abs()).max().unwrap_or(0)
}

pub fn a_browser_that_is_let_in_answers_the_door() {
    let door = Door::open("answers");
    let browser = Browser::open(&door.folder);
    let_in(&door, &browser, true);

    door.act("ring Anna's phone");
    browser.until_state("ringing");
    browser.until("showing who rings", "document.body.classList.contains('picture')");
    browser.picture("ringing");
    browser.click("answer");
    browser.until_state("talking");
    browser.until("showing itself", "document.body.classList.contains('own')");
    door.until("talking", |status| (status.state == "talking").then_some(()));

    let seen = browser.run_async(LOOK);
    let numbers: Vec<u64> =
        seen.as_array().unwrap_or_else(|| panic!("{seen}")).iter().filter_map(|n| n.as_u64()).collect();
    let [width, height, colours, changed] = numbers[..] else { panic!("{seen}") };
    assert_eq!((width, height), (320, 240));
    assert!(colours >= 6 && changed > 50, "the far picture stands still or is empty: {seen}");
    let heard = browser.run_async(LISTEN);
    let level = heard[1].as_f64().unwrap_or_else(|| panic!("{heard}"));
    assert!(level > -70.0, "nothing is heard in the browser: {heard}");
    let green =
        until("the browser's picture on the station's screen", || greenness(&door).filter(|share| *share > 0.3));
    let loud = until("the browser's sound at the station", || Some(loudness(&door.folder)).filter(|peak| *peak > 500));
    println!("  seen {seen}, heard {heard}; on the station's screen {:.0} % green, sound up to {loud}", green * 100.0);
    browser.picture("talking");

    browser.click("release");
    browser.until("told about the door", "document.getElementById('notice').textContent.includes('door')");
    browser.picture("door");
    browser.click("mute");
    browser.until("muted", "document.getElementById('mute').getAttribute('aria-pressed') === 'true'");
    browser.click("hangup");
    browser.until_state("ended");
    browser.picture("ended");
    browser.until_state("idle");
    door.until("idle", |status| (status.state == "idle").then_some(()));

    door.act("ring Anna's phone");
    browser.until_state("ringing");
    browser.until("showing who rings", "document.body.classList.contains('picture')");
    door.act("hang-up");
    browser.until_state("idle");
    browser.until(
        "telling of the missed call, with who it was",
        "document.querySelector('#missed:not([hidden]) img')?.naturalWidth > 0",
    );
    browser.picture("missed");
}

pub fn a_browser_calls_the_station_and_is_told_when_it_hangs_up() {
    let door = Door::open("calls");
    let browser = Browser::open(&door.folder);
    let_in(&door, &browser, false);
    browser.click("ring");
    browser.until_state("calling");
    door.until("ringing", |status| (status.state == "ringing").then_some(()));
    browser.until("ringing there", "document.getElementById('detail').textContent.includes('rings there')");
    browser.picture("calling");
    door.act("answer");
    browser.until_state("talking");
    browser.until("showing the station", "document.body.classList.contains('picture')");
    assert_eq!(browser.run("return document.getElementById('release').hidden"), true, "it may not open the door");
    // A page that is loaded again within a call comes back into it.
    browser.go(&format!("https://{}/", door.address));
    browser.until_state("talking");
    browser.until("showing the station again", "document.body.classList.contains('picture')");
    door.act("hang-up");
    browser.until_state("ended");
    browser.until_state("idle");
    // Who is forgotten in the middle of all is a stranger from then on.
    let Answer::Peers(peers) = door.ask(&Request::Peers) else { panic!("no peers") };
    assert_eq!(peers.len(), 1);
    visavis::identity::AddressBook::update(&door.folder, |book| {
        let key = book.known("Anna's phone").unwrap().key;
        book.remove(&key);
        Ok::<_, visavis::identity::IdentityError>(())
    })
    .unwrap();
    browser.until_state("stranger");
}
