//! Goal: every card can be read at every size, and no text breaks anything. Method: cards over the sizes that screens
//! have, random text over random sizes; ink is whatever differs from the ground.

use super::*;
use proptest::prelude::*;

fn cards() -> Vec<Card> {
    let peer = "Küche".to_owned();
    vec![
        Card::Waiting { peer: "192.168.178.24:10087".into() },
        Card::Connecting { peer: peer.clone() },
        Card::NoPicture { peer: peer.clone(), why: "the camera is not plugged in".into() },
        Card::Away { peer, seconds: 83 },
        Card::Unpaired { words: "abandon ability caught zebra orchard velvet".into() },
        Card::Message { title: "Good bye".into(), text: String::new() },
    ]
}

/// Left, top, right and bottom of the ink, the last two exclusive; `None` where there is none.
fn ink(picture: &Picture) -> Option<(u32, u32, u32, u32)> {
    let (size, [luma, ..]) = (picture.size(), picture.planes());
    let ground = Tones::of(picture.range).ground;
    let mut found: Option<(u32, u32, u32, u32)> = None;
    for y in 0..size.height {
        for x in 0..size.width {
            if luma.data[y as usize * luma.stride_bytes + x as usize] != ground {
                let (l, t, r, b) = found.unwrap_or((x, y, x, y));
                found = Some((l.min(x), t.min(y), r.max(x + 1), b.max(y + 1)));
            }
        }
    }
    found
}

#[test]
fn every_card_stands_inside_every_screen_and_in_its_middle() {
    for size in [(160, 120), (320, 240), (480, 800), (640, 480), (800, 480), (1024, 600), (1080, 1920), (1920, 1080)] {
        let size = Size::new(size.0, size.1);
        for card in cards() {
            let mut picture = Picture::new(size);
            draw(&card, &mut picture);
            let (left, top, right, bottom) = ink(&picture).expect("text");
            let (mx, my) = (size.width / 16, size.height / 16);
            // An accent may stand a little above its line.
            assert!(left >= mx && right <= size.width - mx, "{card:?} at {size}: {left}..{right}");
            assert!(top >= my / 2 && bottom <= size.height - my / 2, "{card:?} at {size}: {top}..{bottom}");
            let middle = (left + right).abs_diff(size.width);
            assert!(middle <= size.width / 10, "{card:?} at {size}: off the middle by {middle}");
        }
    }
}

#[test]
fn letters_are_large_enough_for_two_metres_on_common_screens() {
    // Capitals of a short title: at least a sixteenth of the shorter side.
    for size in [(640, 480), (800, 480), (1024, 600), (1920, 1080), (480, 800)] {
        let size = Size::new(size.0, size.1);
        let lines = fit(&[("kitchen is away".into(), true), ("for 42 s; calling again".into(), false)], size);
        let cap = lines[0].step.cap_height();
        assert!(cap * 16 >= size.width.min(size.height), "{cap} pixels at {size}");
    }
}

#[test]
fn the_font_has_the_letters_of_western_europe() {
    for letter in "AZaz09!?.,:;'\"-()/ÄÖÜäöüßÀÉÈÊËàéèêëçÇñÑÅåØøÆæ¿¡".chars() {
        for step in LADDER {
            assert!(step.advance(letter) > 0, "`{letter}` in {step:?}");
        }
    }
}

#[test]
fn a_text_that_is_too_long_ends_in_dots() {
    let text = "word ".repeat(200);
    let lines = fit(&[(layout::clean(&text), true)], Size::new(160, 120));
    assert!(lines.last().unwrap().text.ends_with("..."), "{lines:?}");
}

#[test]
fn a_mark_is_drawn_on_the_foot_and_leaves_the_rest_alone() {
    let mut picture = Picture::new(Size::new(640, 480));
    picture.fill(120, 100, 150);
    mark("no sound from kitchen", &mut picture);
    let [luma, ..] = picture.planes();
    let row = |y: usize| &luma.data[y * luma.stride_bytes..][..640];
    assert!(row(400).iter().all(|y| *y == 120));
    assert!((440..480).any(|y| row(y).contains(&235)) && (440..480).all(|y| row(y)[0] < 60));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_breaks_any_size(title in "\\PC{0,400}", text in any::<String>(), w in 1u32..700, h in 1u32..700, full in any::<bool>()) {
        let mut picture = Picture::new(Size::new(w, h));
        picture.range = if full { ColourRange::Full } else { ColourRange::Limited };
        draw(&Card::Message { title: title.clone(), text: text.clone() }, &mut picture);
        if let Some((left, _, right, _)) = ink(&picture) {
            prop_assert!(left >= w / 16 && right <= w - w / 16, "{}..{} of {}", left, right, w);
        }
        mark(&text, &mut picture);
    }

    #[test]
    fn words_that_the_font_has_are_seen(word in "[A-Za-z]{1,12}", w in 160u32..2000, h in 120u32..1200) {
        let mut picture = Picture::new(Size::new(w, h));
        draw(&Card::Message { title: word, text: String::new() }, &mut picture);
        prop_assert!(ink(&picture).is_some());
    }
}
