//! Goal: once it runs, no path of a call allocates. Method: an allocator that counts for the whole process, and one test
//! after the other, since two would count each other's: that is why this program has a `main` of its own.
//!
//! `cargo test --test alloc` runs all of them, `cargo test --test alloc voice` those with "voice" in their name.
#![allow(unsafe_code)]

mod capture;
mod card;
mod codec;
mod counting;
mod flow;
mod present;
#[path = "../shared/serial.rs"]
mod serial;
#[allow(dead_code, reason = "other tests want the rest of it")]
#[path = "../../src/device/file/specimen.rs"]
mod specimen;
mod voice;

/// Names as the test harness would give them.
const TESTS: [(&str, fn()); 10] = [
    ("counting::the_allocator_counts", the_allocator_counts),
    ("capture::nothing_is_allocated_once_frames_flow", capture::nothing_is_allocated_once_frames_flow),
    (
        "card::an_overlay_is_laid_on_pictures_without_an_allocation",
        card::an_overlay_is_laid_on_pictures_without_an_allocation,
    ),
    ("codec::a_running_video_path_allocates_nothing", codec::a_running_video_path_allocates_nothing),
    ("flow::a_call_in_steady_state_allocates_nothing", flow::a_call_in_steady_state_allocates_nothing),
    ("present::a_picture_is_shown_without_an_allocation", present::a_picture_is_shown_without_an_allocation),
    ("voice::in_a_room_only_the_noise_suppression_allocates", voice::in_a_room_only_the_noise_suppression_allocates),
    ("voice::the_echo_is_taken_away_without_allocating", voice::the_echo_is_taken_away_without_allocating),
    ("voice::the_sound_of_a_film_allocates_nothing", voice::the_sound_of_a_film_allocates_nothing),
    ("voice::talking_and_listening_allocate_nothing", voice::talking_and_listening_allocate_nothing),
];

fn main() {
    serial::run(&TESTS.map(|(name, test)| (name, None, test)), "");
}

fn the_allocator_counts() {
    let count = counting::during(|| drop(std::hint::black_box(vec![1u8; 10])));
    assert_eq!(count, 1);
}
