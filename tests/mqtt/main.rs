//! Goal: a house's own automation hears who rings and sees them, answers and opens the door where it may, and nothing else does; and
//! whatever becomes of the broker, the station is told of again. Method: Debian's mosquitto on loopback, its `mosquitto_sub` and
//! `mosquitto_pub` as a second implementation, two stations by `visavis run` with test patterns and without devices, and `visavis
//! mqtt` beside one of them (`make test-mqtt`; without VISAVIS_BROKER the tests say that they were left out). The door's strike is
//! a line that does not exist: that it was to be opened is seen by the station's events, that it was not by its lock. Every wait is
//! bounded.

mod broker;
mod house;
mod scenes;
#[path = "../shared/scratch.rs"]
mod scratch;
#[path = "../shared/serial.rs"]
mod serial;

fn main() {
    let broker = Some("VISAVIS_BROKER");
    let tests: [serial::Test; 5] = [
        ("a_ring_is_told_with_its_picture_and_answered", broker, scenes::a_ring_is_told_with_its_picture_and_answered),
        ("the_door_opens_on_a_fresh_word_alone", broker, scenes::the_door_opens_on_a_fresh_word_alone),
        ("a_door_that_is_not_released_stays_shut", broker, scenes::a_door_that_is_not_released_stays_shut),
        (
            "what_becomes_of_the_broker_or_the_bridge_is_seen",
            broker,
            scenes::what_becomes_of_the_broker_or_the_bridge_is_seen,
        ),
        ("who_the_broker_is_and_who_we_are_is_proved", broker, scenes::who_the_broker_is_and_who_we_are_is_proved),
    ];
    serial::run(&tests, "make test-mqtt");
}
