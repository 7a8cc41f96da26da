//! Goal: every card can be read at every size and in every language, and no text breaks anything. Method: cards over the
//! sizes that screens have, random text over random sizes; ink is whatever differs from the ground. QR codes are read
//! back from the luma that was drawn.

use super::*;
use crate::media::ColourRange;
use proptest::prelude::*;

mod gallery;
mod overlays;
mod panes;
mod words;

/// Sizes that screens have, from a small SPI panel on.
const SIZES: [(u32, u32); 8] =
    [(320, 240), (240, 320), (480, 800), (640, 480), (800, 480), (1024, 600), (1080, 1920), (1920, 1080)];

/// Each language, and both with and without touch.
fn manners() -> impl Iterator<Item = Manner> {
    Language::ALL.into_iter().zip([true, false].into_iter().cycle()).map(|(language, touch)| Manner { language, touch })
}

fn invitation() -> Card {
    let fingerprint = ["AB"; 32].join(":");
    Card::Invitation {
        link: format!("https://192.168.178.100:8443/#join={}", "A".repeat(44)),
        fingerprint,
        seconds: 540,
    }
}

fn at_rest() -> Idle {
    Idle {
        clock: "14:02".into(),
        date: "25.11.2026".into(),
        station: "Küche".into(),
        notes: vec![
            Note::Fault(Fault::NoCamera),
            Note::HoldToPair,
            Note::Away { name: "Werkstatt".into(), since: "13:40".into() },
            Note::Text("Post holen".into()),
        ],
        missed: 3,
        do_not_disturb: true,
        contacts: ["Haustür", "Werkstatt", "工作间", "Büro", "Alle"].map(String::from).to_vec(),
    }
}

fn endings() -> Vec<Ending> {
    use Ending::*;
    let by = AnsweredBy("Küche".into());
    vec![HungUp, Busy, Declined, NoAnswer, Unreachable, NotAllowed, DoNotDisturb, by, Lost, TimeLimit]
}

fn faults() -> Vec<Fault> {
    use Fault::*;
    let of = || "Küche".to_owned();
    vec![NoCamera, NoMicrophone, NoLoudspeaker, NoNetwork, NoPictureFrom(of()), NoSoundFrom(of()), Other(of())]
}

const WORDS: &str = "abandon ability caught zebra orchard velvet";

/// One of each kind, each with a name for its picture.
fn cards() -> Vec<(String, Card)> {
    let name = || "Haustür".to_owned();
    let quiet = Idle { notes: Vec::new(), missed: 0, do_not_disturb: false, contacts: Vec::new(), ..at_rest() };
    let ringing = vec!["Küche".into(), "Büro".into()];
    let cards = [
        ("waiting", Card::Waiting { peer: "192.168.178.24:10087".into() }),
        ("connecting", Card::Connecting { peer: name() }),
        ("no-picture", Card::NoPicture { peer: name(), why: "the camera is not plugged in".into() }),
        ("away", Card::Away { peer: name(), seconds: 83 }),
        ("unpaired", Card::Unpaired { words: WORDS.into() }),
        ("message", Card::Message { title: "Good bye".into(), text: String::new() }),
        ("idle", Card::Idle(quiet)),
        ("idle-full", Card::Idle(at_rest())),
        ("incoming", Card::Incoming { name: name(), can_release: false }),
        ("incoming-door", Card::Incoming { name: name(), can_release: true }),
        ("calling", Card::Calling { name: "Alle".into(), ringing }),
        ("watched", Card::Watched { name: name() }),
        ("held", Card::Held { name: name(), is_here: false }),
        ("holding", Card::Held { name: name(), is_here: true }),
        ("page", Card::PageFrom { name: name() }),
        ("paging", Card::Paging { name: "Alle".into() }),
        ("invitation", invitation()),
        ("pairing", Card::Pairing { words: WORDS.into(), code: WORDS.to_uppercase(), seconds: 290 }),
        ("paired", Card::Paired { name: name() }),
    ];
    let mut cards: Vec<_> = cards.into_iter().map(|(label, card)| (label.to_owned(), card)).collect();
    cards.extend(endings().into_iter().map(|why| (format!("ended-{why:?}"), Card::Ended { name: name(), why })));
    cards.extend(faults().into_iter().map(|fault| (format!("fault-{fault:?}"), Card::Fault(fault))));
    cards
}

/// The pixels of luma that are not what `ground` says, as a rectangle; `None` where there are none.
fn ink(picture: &Picture, within: Rect, ground: u8) -> Option<Rect> {
    let [luma, ..] = picture.planes();
    let within = within.common(&Rect::of(picture.size()));
    let mut found: Option<(i32, i32, i32, i32)> = None;
    for y in within.top..within.bottom() {
        let row = &luma.data[y as usize * luma.stride_bytes + within.left as usize..][..within.width as usize];
        let Some(first) = row.iter().position(|sample| *sample != ground) else { continue };
        let last = row.iter().rposition(|sample| *sample != ground).unwrap_or(first);
        let (from, to) = (within.left + first as i32, within.left + last as i32 + 1);
        let (l, t, r, _) = found.unwrap_or((from, y, to, y));
        found = Some((l.min(from), t, r.max(to), y + 1));
    }
    found.map(|(l, t, r, b)| Rect::new(l, t, (r - l) as u32, (b - t) as u32))
}

fn ground(picture: &Picture) -> u8 {
    colour::GROUND.samples(picture.range)[0]
}

fn drawn(card: &Card, manner: &Manner, size: Size) -> Picture {
    let mut picture = Picture::new(size);
    draw(card, manner, &mut picture);
    picture
}

#[test]
fn every_card_stands_inside_every_screen_and_in_its_middle() {
    for (width, height) in SIZES {
        let size = Size::new(width, height);
        for ((label, card), manner) in cards().iter().flat_map(|card| manners().map(move |manner| (card, manner))) {
            let picture = drawn(card, &manner, size);
            let ink = ink(&picture, Rect::of(size), ground(&picture)).expect("text");
            let margin = margin(size) as i32;
            let (right, bottom) = (width as i32 - margin, height as i32 - margin);
            let is_inside = ink.left >= margin && ink.right() <= right && ink.top >= margin && ink.bottom() <= bottom;
            assert!(is_inside, "{label} at {size} in {manner:?}: {ink:?}");
            let off = (ink.left + ink.right()).abs_diff(width as i32);
            assert!(off <= width / 10, "{label} at {size} in {manner:?}: off the middle by {off}");
        }
    }
}

#[test]
fn letters_are_large_enough_for_two_metres_on_common_screens() {
    for (width, height) in SIZES {
        let size = Size::new(width, height);
        for (label, card) in cards().iter().filter(|(label, _)| !["pairing", "unpaired"].contains(&label.as_str())) {
            for manner in manners() {
                let mut room = Rect::of(size).inside(margin(size));
                if let Some(first) = zones(card, &manner, size).first() {
                    room.height = (first.place.top - room.top) as u32;
                }
                let fitted = stack::fit(&content::of(card, manner.language), room, width.min(height));
                // Capitals of the largest: at least a twentieth of the shorter side, 5.4 mm on a 7-inch screen.
                let em = fitted.lines.iter().map(|placed| placed.em_px).max().expect("a line");
                let capital = em as f32 * text::CAPITAL;
                assert!(capital * 20.0 >= width.min(height) as f32, "{label} at {size} in {manner:?}: {capital}");
            }
        }
    }
}

#[test]
fn a_text_that_is_too_long_ends_in_dots() {
    let card = Card::Message { title: "word ".repeat(200), text: String::new() };
    let room = Rect::new(0, 0, 160, 120);
    let fitted = stack::fit(&content::of(&card, Language::English), room, 120);
    let last = fitted.lines.last().unwrap();
    assert!(last.line.text.ends_with('…') && last.line.width_px(last.em_px) <= room.width, "{last:?}");
}

#[test]
fn a_line_of_chinese_ends_between_characters_and_begins_with_no_comma() {
    let lines = layout::wrap("请把此二维码对准，另一台设备的摄像头。", 8.0, false).unwrap();
    assert!(lines.len() > 1 && lines.iter().all(|line| !line.text.starts_with(['，', '。'])), "{lines:?}");
}

#[test]
fn a_camera_can_read_the_code_from_the_screen() {
    let words = WORDS.to_uppercase();
    let Card::Invitation { link, fingerprint, .. } = invitation() else { panic!("another card") };
    let cards = [
        (words.clone(), Card::Pairing { words: WORDS.into(), code: words, seconds: 290 }),
        (link.clone(), Card::Invitation { link, fingerprint, seconds: 540 }),
    ];
    for (range, (width, height)) in
        [ColourRange::Limited, ColourRange::Full].into_iter().flat_map(|range| SIZES.map(|size| (range, size)))
    {
        for (manner, (wanted, card)) in manners().flat_map(|manner| cards.iter().map(move |card| (manner, card))) {
            let mut picture = Picture::new(Size::new(width, height));
            picture.range = range;
            draw(card, &manner, &mut picture);
            let [luma, ..] = picture.planes();
            let mut image = rqrr::PreparedImage::prepare_from_greyscale(width as usize, height as usize, |x, y| {
                luma.data[y * luma.stride_bytes + x]
            });
            let found: Vec<_> = image.detect_grids().iter().filter_map(|grid| grid.decode().ok()).collect();
            assert!(found.iter().any(|(_, text)| text == wanted), "{width}x{height} {manner:?} {wanted}");
        }
    }
}

#[test]
fn buttons_are_apart_large_enough_for_a_finger_and_found_where_drawn() {
    let bright = |picture: &Picture, place: Rect| {
        let samples = colour::STRONG.samples(picture.range)[0];
        let [luma, ..] = picture.planes();
        let rows = place.top as usize..place.bottom() as usize;
        rows.flat_map(|y| &luma.data[y * luma.stride_bytes..][place.left as usize..place.right() as usize])
            .any(|sample| *sample == samples)
    };
    for ((width, height), (label, card)) in
        SIZES.into_iter().flat_map(|size| cards().into_iter().map(move |c| (size, c)))
    {
        let size = Size::new(width, height);
        for manner in manners() {
            let zones = zones(&card, &manner, size);
            assert_eq!(zones.is_empty(), !manner.touch || content::touches(&card).is_empty(), "{label} at {size}");
            let picture = drawn(&card, &manner, size);
            check_zones(&zones, size);
            for zone in &zones {
                assert!(bright(&picture, zone.place), "{label} at {size} in {manner:?}: nothing on {zone:?}");
            }
        }
    }
}

/// They lie inside, do not overlap, and are an eighth of the shorter side or more in both directions.
fn check_zones(zones: &[Zone], size: Size) {
    let least = size.width.min(size.height) / 8;
    for (index, zone) in zones.iter().enumerate() {
        assert_eq!(zone.place.common(&Rect::of(size)), zone.place, "{zone:?} at {size}");
        assert!(zone.place.width >= least && zone.place.height >= least, "{zone:?} at {size}");
        for other in &zones[index + 1..] {
            let common = zone.place.common(&other.place);
            assert!(common.width == 0 || common.height == 0, "{zone:?} and {other:?} at {size}");
        }
    }
}

#[test]
fn text_stands_out_from_what_it_is_drawn_on() {
    use colour::*;
    // WCAG 2.2: relative luminance, and the contrast of two.
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let luminance = |c: Colour| 0.2126 * linear(c.0) + 0.7152 * linear(c.1) + 0.0722 * linear(c.2);
    let contrast = |text: Colour, ground: Colour| (luminance(text) + 0.05) / (luminance(ground) + 0.05);
    // The ground of a panel over a white picture.
    let thin = |part: u8| {
        ((u32::from(part) * u32::from(overlay::OPACITY) + 255 * (255 - u32::from(overlay::OPACITY))) / 255) as u8
    };
    let panel = Colour(thin(GROUND.0), thin(GROUND.1), thin(GROUND.2));
    let pairs = [(STRONG, GROUND), (PLAIN, GROUND), (WELL, GROUND), (WARN, GROUND), (STRONG, BUTTON), (STRONG, ACCEPT)];
    for (text, ground) in pairs.into_iter().chain([(STRONG, REFUSE), (STRONG, panel), (PAPER, INK)]) {
        assert!(contrast(text, ground) >= 4.5, "{text:?} on {ground:?}: {:.2}", contrast(text, ground));
    }
}

#[test]
fn grey_has_no_chroma_and_white_is_the_top_of_its_range() {
    for (range, white, black) in [(ColourRange::Limited, 235, 16), (ColourRange::Full, 255, 0)] {
        assert_eq!(colour::PAPER.samples(range), [white, 128, 128]);
        assert_eq!(colour::INK.samples(range), [black, 128, 128]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_text_breaks_any_size(title in "\\PC{0,400}", text in any::<String>(), w in 1u32..700, h in 1u32..700, full in any::<bool>(), touch in any::<bool>()) {
        let manner = Manner { language: Language::Chinese, touch };
        let names = vec![title.clone(); 7];
        let idle = Idle { clock: title.clone(), contacts: names.clone(), ..at_rest() };
        let pairing = Card::Pairing { words: title.clone(), code: text.clone(), seconds: u64::MAX };
        let calling = Card::Calling { name: text.clone(), ringing: names };
        let invitation = Card::Invitation { link: text.clone(), fingerprint: title.clone(), seconds: 0 };
        for card in [Card::Message { title, text }, Card::Idle(idle), pairing, invitation, calling] {
            let mut picture = Picture::new(Size::new(w, h));
            picture.range = if full { ColourRange::Full } else { ColourRange::Limited };
            draw(&card, &manner, &mut picture);
        }
    }

    #[test]
    fn words_that_the_font_has_are_seen_inside_the_margins(word in "[A-Za-zÄÖÜäöüßéèñçłőšžøå中文厨房]{1,12}", w in 100u32..2000, h in 100u32..1200) {
        let size = Size::new(w, h);
        let picture = drawn(&Card::Message { title: word, text: String::new() }, &Manner::default(), size);
        let ink = ink(&picture, Rect::of(size), ground(&picture));
        // A letter may lean a little out of its own width, as a `j` does.
        let most = Rect::of(size).inside(margin(size) / 2);
        prop_assert!(ink.is_some_and(|ink| ink.common(&most) == ink), "{:?}", ink);
    }
}
