//! Goal: what stands still is put right by the gentlest means that may help, and nothing that is well is touched. Method:
//! stories: a station whose counters go on or stand still second by second, and the orders that come of it.

use super::*;

/// A station in a call, all of whose parts move.
struct Story {
    now: Instant,
    vigil: Vigil,
    facts: Facts,
    /// Parts that stand still.
    stuck: Vec<Part>,
    /// Whether a part that is made anew moves again.
    mends: bool,
    has_port: bool,
    orders: Vec<(u64, Order)>,
}

impl Story {
    fn new() -> Story {
        let now = Instant::from_millis(1_000_000);
        let mut facts = Facts { is_in_call: true, ..Facts::default() };
        for (part, observed) in Part::ALL.into_iter().zip(&mut facts.observed) {
            observed.demand = match part {
                Part::Camera | Part::Microphone | Part::Loudspeaker => Demand::Clocked,
                _ => Demand::Fed(0),
            };
        }
        let (vigil, stuck, orders) = (Vigil::new(now), Vec::new(), Vec::new());
        Story { now, vigil, facts, stuck, mends: false, has_port: false, orders }
    }

    fn of(&mut self, part: Part) -> &mut Observation {
        let place = Part::ALL.iter().position(|other| *other == part).unwrap();
        &mut self.facts.observed[place]
    }

    /// Seconds go by.
    fn run(&mut self, seconds: u64) -> &mut Story {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            for (part, observed) in Part::ALL.into_iter().zip(&mut self.facts.observed) {
                if let Demand::Fed(fed) = &mut observed.demand {
                    *fed += 30;
                }
                observed.progress += if self.stuck.contains(&part) { 0 } else { 30 };
            }
            self.vigil.handle_facts(self.now, &self.facts);
            while let Some(order) = self.vigil.poll_order() {
                match &order {
                    Order::MakeAnew(part) if self.mends => self.stuck.retain(|stuck| stuck != part),
                    Order::ResetPort(part) if !self.has_port => {
                        self.vigil.handle_no_port(*part);
                        continue;
                    }
                    _ => {}
                }
                self.orders.push((self.now.since(Instant::from_millis(1_000_000)).as_secs(), order));
            }
        }
        self
    }

    fn stop(&mut self, part: Part) -> &mut Story {
        self.stuck.push(part);
        self
    }

    fn complaints(&self) -> Vec<String> {
        self.vigil.complaints().map(|(_, words)| words).collect()
    }

    /// The orders so far, without their times.
    fn ordered(&self) -> Vec<Order> {
        self.orders.iter().map(|(_, order)| order.clone()).collect()
    }

    fn ends(&self) -> bool {
        self.orders.iter().any(|(_, order)| matches!(order, Order::End(_)))
    }
}

#[test]
fn where_all_moves_nothing_is_done() {
    let mut story = Story::new();
    story.run(3_600);
    assert_eq!((story.ordered(), story.complaints(), story.vigil.is_well()), (vec![], vec![], true));
}

#[test]
fn every_part_that_stands_still_is_found_within_a_quarter_of_a_minute_and_named() {
    for part in Part::ALL {
        let mut story = Story::new();
        story.run(60).stop(part).run(17);
        let (at, first) = story.orders.first().unwrap_or_else(|| panic!("{part:?} is not found"));
        match first {
            Order::MakeAnew(made) => assert_eq!(*made, part),
            Order::End(words) => assert!(words.starts_with(part.device()), "{words}"),
            other @ Order::ResetPort(_) => panic!("{part:?}: {other:?}"),
        }
        assert!(*at <= 77, "{part:?}: {at}");
        assert!(story.complaints().iter().all(|words| words.starts_with(part.device())), "{:?}", story.complaints());
    }
}

#[test]
fn a_part_that_moves_again_is_left_alone_and_its_complaint_is_taken_back() {
    let mut story = Story::new();
    story.mends = true;
    story.run(60).stop(Part::Microphone).run(7);
    assert_eq!(story.ordered(), [Order::MakeAnew(Part::Microphone)]);
    assert_eq!(story.complaints(), ["microphone: no sound comes; it is opened anew"]);
    story.run(4);
    assert!(story.complaints().is_empty());
    story.run(600);
    assert_eq!(story.orders.len(), 1);
}

#[test]
fn the_ladder_is_climbed_rung_by_rung_and_ends_no_call() {
    let mut story = Story::new();
    story.has_port = true;
    story.run(900).stop(Part::Camera).run(120);
    let camera = [Order::MakeAnew(Part::Camera), Order::ResetPort(Part::Camera), Order::MakeAnew(Part::Camera)];
    assert_eq!(story.ordered()[..3], camera);
    assert!(!story.ends() && story.vigil.is_well(), "sound goes on in the call");
    assert_eq!(story.complaints(), ["camera: no picture comes; it is tried again from time to time"]);
    story.facts.is_in_call = false;
    story.run(3_600);
    assert!(story.ends() && !story.vigil.is_well(), "once the call is over it may");
}

#[test]
fn a_port_that_cannot_be_reset_is_passed_over() {
    let mut story = Story::new();
    story.facts.is_in_call = false;
    story.run(900).stop(Part::Camera).run(30);
    let ended = "camera: no picture comes; the program ends, to be started again";
    assert_eq!(story.ordered()[..2], [Order::MakeAnew(Part::Camera), Order::End(ended.into())]);
}

#[test]
fn the_program_does_not_end_for_a_device_that_has_not_moved_in_this_run_nor_soon_after_its_start() {
    for (moved_s, stuck_s) in [(0, 90_000), (300, 200)] {
        let mut story = Story::new();
        story.facts.is_in_call = false;
        story.stuck = if moved_s == 0 { vec![Part::Loudspeaker] } else { vec![] };
        story.run(moved_s).stop(Part::Loudspeaker).run(stuck_s);
        assert!(!story.ends(), "moved for {moved_s} s");
    }
}

#[test]
fn a_thread_that_is_held_up_ends_the_program_in_a_call_too_but_not_one_that_never_answered() {
    let mut story = Story::new();
    story.run(20).stop(Part::Voice).run(17);
    let words = "sound card: its driver does not return; the program ends, to be started again";
    assert_eq!(story.ordered(), [Order::End(words.into())]);
    assert!(!story.vigil.is_well());

    let mut story = Story::new();
    story.stop(Part::Present).run(90_000);
    assert_eq!(story.ordered(), []);
    assert!(story.vigil.is_well(), "it has said what it lacks");
    assert_eq!(story.complaints(), ["screen: its driver does not return; it is waited for"]);
}

#[test]
fn a_still_picture_is_not_chased_for_ever() {
    let mut story = Story::new();
    story.run(60).stop(Part::Scene).run(86_400);
    assert!(!story.ends() && story.orders.iter().all(|(_, order)| *order == Order::MakeAnew(Part::Scene)));
    assert!(story.orders.len() < 34, "an hour lies between two of them in the end: {}", story.orders.len());
    assert_eq!(story.complaints().len(), 1, "and it stays told");
}

#[test]
fn what_went_in_must_come_out_but_a_few_may_be_left_out() {
    let mut story = Story::new();
    story.stuck = Part::ALL.to_vec();
    // Nothing is asked of anybody but the encoder, which gets nine frames and leaves all of them out.
    story.facts.observed = Facts::default().observed;
    let place = Part::ALL.iter().position(|part| *part == Part::Encoder).unwrap();
    for fed in 0..100 {
        story.now += Duration::from_secs(1);
        let observed = &mut story.facts.observed[place];
        observed.demand = Demand::Fed(fed.min(9));
        story.vigil.handle_facts(story.now, &story.facts);
        assert_eq!(story.vigil.poll_order(), None);
    }
    story.facts.observed[place].demand = Demand::Fed(10);
    for _ in 0..8 {
        story.now += Duration::from_secs(1);
        story.vigil.handle_facts(story.now, &story.facts);
    }
    assert_eq!(story.vigil.poll_order(), Some(Order::MakeAnew(Part::Encoder)));
}

#[test]
fn a_device_that_says_what_it_lacks_owes_nothing() {
    let mut story = Story::new();
    story.run(60).stop(Part::Camera).run(8);
    story.of(Part::Camera).demand = Demand::None;
    story.run(3_600);
    assert_eq!((story.ordered(), story.complaints()), (vec![], vec![]));
    story.of(Part::Camera).demand = Demand::Clocked;
    story.run(10);
    assert_eq!(story.ordered(), [], "its time begins when it is back");
    story.run(4);
    assert_eq!(story.ordered(), [Order::MakeAnew(Part::Camera)]);
}

#[test]
fn after_a_pause_of_the_whole_program_nothing_is_held_against_anybody() {
    let mut story = Story::new();
    story.run(60).stop(Part::Compress).stop(Part::Camera).run(5);
    story.now += Duration::from_mins(10);
    story.run(10);
    assert_eq!((story.ordered(), story.complaints()), (vec![], vec![]));
}

#[test]
fn a_part_that_stops_again_soon_goes_on_up_its_ladder() {
    let mut story = Story::new();
    (story.mends, story.has_port) = (true, true);
    story.run(60).stop(Part::Camera).run(20);
    story.stop(Part::Camera).run(20);
    assert_eq!(story.ordered(), [Order::MakeAnew(Part::Camera), Order::ResetPort(Part::Camera)]);
    story.stuck.clear();
    story.run(70).stop(Part::Camera).run(20);
    assert_eq!(story.ordered()[2..], [Order::MakeAnew(Part::Camera)], "a minute later it begins at the first again");
}
