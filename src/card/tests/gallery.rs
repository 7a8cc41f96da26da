//! Goal: people look at what is drawn. Method: every card and overlay in every language at four sizes, as PNG files:
//! `VISAVIS_CARDS=folder cargo test --lib card::tests::gallery -- --ignored`

use super::*;
use crate::device::png;
use std::path::PathBuf;

/// Something like a picture of a camera: gradients, and edges where marks stand.
pub fn scene(size: Size) -> Picture {
    let mut picture = Picture::new(size);
    let (stride, chroma) = (picture.stride_bytes(), size.chroma());
    let [luma, u, v] = picture.planes_mut();
    for y in 0..size.height as usize {
        for x in 0..size.width as usize {
            let wave = (x * 160 / size.width as usize) + (y * 60 / size.height as usize);
            let is_light = (x * 8 / size.width as usize + y * 6 / size.height as usize).is_multiple_of(2);
            luma[y * stride + x] = (wave + if is_light { 30 } else { 16 }) as u8;
        }
    }
    for y in 0..chroma.height as usize {
        for x in 0..chroma.width as usize {
            u[y * stride / 2 + x] = (100 + x * 40 / chroma.width as usize) as u8;
            v[y * stride / 2 + x] = (150 - y * 40 / chroma.height as usize) as u8;
        }
    }
    picture
}

#[test]
#[ignore = "writes pictures to be looked at into the folder that VISAVIS_CARDS names"]
fn every_card_can_be_looked_at() {
    let folder = PathBuf::from(std::env::var_os("VISAVIS_CARDS").expect("VISAVIS_CARDS=folder"));
    for (width, height) in [(320, 240), (480, 800), (800, 480), (1920, 1080)] {
        let size = Size::new(width, height);
        for language in Language::ALL {
            let folder = folder.join(format!("{size}-{language:?}"));
            std::fs::create_dir_all(&folder).unwrap();
            let manner = Manner { language, touch: true };
            for (label, card) in cards() {
                let label: String = label.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect();
                png::write(&drawn(&card, &manner, size), &folder.join(format!("{label}.png"))).unwrap();
            }
            for (label, overlay) in overlays::overlays() {
                let mut picture = scene(size);
                let mut sheet = Sheet::default();
                sheet.set(&overlay, &manner);
                sheet.lay_on(&mut picture, Some(&scene(Size::new(640, 480))));
                png::write(&picture, &folder.join(format!("on-{label}.png"))).unwrap();
            }
        }
    }
}

#[test]
#[ignore = "measures; run it alone, optimised"]
fn what_drawing_costs() {
    let size = Size::new(1280, 720);
    let manner = Manner { language: Language::German, touch: true };
    let median = |mut times: Vec<std::time::Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    for (label, card) in cards() {
        let mut picture = Picture::new(size);
        let time = |_| {
            let begun = std::time::Instant::now();
            draw(&card, &manner, &mut picture);
            begun.elapsed()
        };
        println!("{label}: {:?}", median((0..15).map(time).collect()));
    }
    let small = scene(Size::new(640, 480));
    for (label, overlay) in overlays::overlays() {
        let (mut picture, mut sheet) = (scene(size), Sheet::default());
        sheet.set(&overlay, &manner);
        let begun = std::time::Instant::now();
        sheet.lay_on(&mut picture, Some(&small));
        let first = begun.elapsed();
        let time = |_| {
            let begun = std::time::Instant::now();
            sheet.lay_on(&mut picture, Some(&small));
            begun.elapsed()
        };
        println!("{label}: painted in {first:?}, then {:?}", median((0..51).map(time).collect()));
    }
}
