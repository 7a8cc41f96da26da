//! Goal: a phone is let in, is rung, answers, sees and is seen, hears and is heard, and hangs up; and whoever was not let in gets
//! nothing. Method: a real station with the test pattern and a tone, the page served beside it as `visavis web` does, and
//! against it, over TLS on loopback: requests written by hand, and a real Chromium with its own false camera and microphone
//! (`make test-web`; without VISAVIS_BROWSER the tests that need it say that they were left out). Every wait is bounded.

mod browser;
mod door;
mod page;
mod stranger;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let has_browser = std::env::var_os("VISAVIS_BROWSER").is_some();
    let tests: [(&str, bool, fn()); 7] = [
        (
            "who_was_not_let_in_gets_the_page_and_nothing_else",
            false,
            stranger::who_was_not_let_in_gets_the_page_and_nothing_else,
        ),
        ("a_page_elsewhere_cannot_ask_for_anything", false, stranger::a_page_elsewhere_cannot_ask_for_anything),
        (
            "an_invitation_holds_once_and_who_is_forgotten_is_a_stranger",
            false,
            stranger::an_invitation_holds_once_and_who_is_forgotten_is_a_stranger,
        ),
        (
            "an_invitation_is_shown_on_request_and_taken_away",
            false,
            stranger::an_invitation_is_shown_on_request_and_taken_away,
        ),
        ("slow_and_many_connections_keep_nobody_out", false, stranger::slow_and_many_connections_keep_nobody_out),
        ("a_browser_that_is_let_in_answers_the_door", true, page::a_browser_that_is_let_in_answers_the_door),
        (
            "a_browser_calls_the_station_and_is_told_when_it_hangs_up",
            true,
            page::a_browser_calls_the_station_and_is_told_when_it_hangs_up,
        ),
    ];
    let (mut passed, mut ignored) = (0, 0);
    for (name, needs_browser, test) in tests {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        if needs_browser && !has_browser {
            println!("test {name} ... ignored, needs a browser: make test-web");
            ignored += 1;
            continue;
        }
        test();
        println!("test {name} ... ok");
        passed += 1;
    }
    println!("\ntest result: ok. {passed} passed; 0 failed; {ignored} ignored");
}
