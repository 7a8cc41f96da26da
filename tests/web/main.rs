//! Goal: a phone is let in, is rung, answers, sees and is seen, hears and is heard, and hangs up; players and media servers see
//! and hear the station; and whoever was not let in gets nothing. Method: a real station with the test pattern and a tone, the page served beside it as `visavis web` does, and
//! against it, over TLS on loopback: requests written by hand, a real Chromium with its own false camera and microphone, and
//! aiortc as a viewer and as a media server (`make test-web`; without VISAVIS_BROWSER, or without VISAVIS_AIORTC, which is a
//! Python that has it, the tests that need them say that they were left out). Every wait is bounded.

mod browser;
mod door;
mod media;
mod page;
#[path = "../shared/serial.rs"]
mod serial;
mod stranger;

fn main() {
    let (nothing, browser, aiortc) = (None, Some("VISAVIS_BROWSER"), Some("VISAVIS_AIORTC"));
    let tests: [serial::Test; 11] = [
        (
            "who_was_not_let_in_gets_the_page_and_nothing_else",
            nothing,
            stranger::who_was_not_let_in_gets_the_page_and_nothing_else,
        ),
        ("a_page_elsewhere_cannot_ask_for_anything", nothing, stranger::a_page_elsewhere_cannot_ask_for_anything),
        (
            "an_invitation_holds_once_and_who_is_forgotten_is_a_stranger",
            nothing,
            stranger::an_invitation_holds_once_and_who_is_forgotten_is_a_stranger,
        ),
        (
            "an_invitation_is_shown_on_request_and_taken_away",
            nothing,
            stranger::an_invitation_is_shown_on_request_and_taken_away,
        ),
        ("slow_and_many_connections_keep_nobody_out", nothing, stranger::slow_and_many_connections_keep_nobody_out),
        ("who_has_no_token_looks_at_nothing", nothing, stranger::who_has_no_token_looks_at_nothing),
        (
            "sessions_are_few_and_each_is_ended_by_its_own_token_alone",
            nothing,
            stranger::sessions_are_few_and_each_is_ended_by_its_own_token_alone,
        ),
        ("a_browser_that_is_let_in_answers_the_door", browser, page::a_browser_that_is_let_in_answers_the_door),
        (
            "a_browser_calls_the_station_and_is_told_when_it_hangs_up",
            browser,
            page::a_browser_calls_the_station_and_is_told_when_it_hangs_up,
        ),
        (
            "viewers_see_and_hear_the_station_until_they_are_forgotten",
            aiortc,
            media::viewers_see_and_hear_the_station_until_they_are_forgotten,
        ),
        (
            "a_media_server_is_published_to_again_and_again_and_told_the_end",
            aiortc,
            media::a_media_server_is_published_to_again_and_again_and_told_the_end,
        ),
    ];
    serial::run(&tests, "make test-web");
}
