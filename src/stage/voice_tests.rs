//! Goal: the stage as a thread moves sound both ways, outlives its devices' faults and ends when asked. Method: two real
//! stages joined by a thread that is the network; waits are for what must happen, with no time asserted.

use super::*;
use crate::ring::fifo;
use crate::sys::wake::Stop;

/// A stage that runs, and the network's ends of its rings.
struct Running {
    stop: Stop,
    threads: [NamedThread; 2],
    net: Wake,
    out: Consumer<SoundPacket>,
    into: Producer<SoundPacket>,
    into_wake: Wake,
    knobs: Arc<VoiceKnobs>,
    mic: Health,
    speaker: Health,
    stats: Arc<VoiceStats>,
}

fn start(mic: &str, speaker: &str) -> Running {
    let (net, from_net_wake, stop) = (Wake::new().unwrap(), Wake::new().unwrap(), Stop::new().unwrap());
    let ((to_net, out), (into, from_net)) = (fifo::<_, 64>(), fifo::<_, 64>());
    let opus = OpusConfig::default();
    let config = VoiceConfig {
        mic: mic.parse().unwrap(),
        speaker: speaker.parse().unwrap(),
        loop_file: false,
        film: None,
        is_cleaned: true,
        opus,
        playout: PlayoutConfig::default(),
    };
    let knobs = Arc::new(VoiceKnobs::new(&opus));
    knobs.paused.store(false, Ordering::Relaxed);
    let stats = Arc::new(VoiceStats::default());
    let (mic, speaker) = (Health::new(net.clone()), Health::new(net.clone()));
    let ports = VoicePorts {
        to_net,
        from_net,
        from_net_wake: from_net_wake.clone(),
        knobs: knobs.clone(),
        mic_health: mic.clone(),
        speaker_health: speaker.clone(),
        stats: stats.clone(),
    };
    let context = || Context::new(stop.clone(), net.clone()).unwrap();
    let threads = spawn(context(), context(), config, ports).unwrap();
    Running { stop, threads, net, out, into, into_wake: from_net_wake, knobs, mic, speaker, stats }
}

impl Running {
    /// Carries what one stage sent to the other, once.
    fn carry(&mut self, to: &mut Running) {
        self.net.drain();
        while let Some(packet) = self.out.take() {
            assert!(to.into.put(packet).is_ok());
            to.into_wake.signal();
        }
    }

    /// Waits until the stage has something to say.
    fn wait(&self) {
        poll::wait(&mut [PollFd::new(self.net.as_fd(), PollFlags::POLLIN)], None).unwrap();
    }

    fn end(self) {
        self.stop.stop();
        for (_, thread) in self.threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn a_tone_goes_from_stage_to_stage_and_is_heard() {
    let (mut a, mut b) = (start("tone", "none"), start("none", "none"));
    while b.stats.latency.summary().count < 50 {
        a.wait();
        a.carry(&mut b);
    }
    assert!(a.stats.sent.get() >= 50);
    assert!(b.stats.played.get() >= 50);
    assert_eq!(b.stats.sent.get(), 0, "without a microphone nothing is sent");
    assert!(b.stats.speaker_centi_dbfs.get_signed() > -4_000, "{:?}", b.stats.speaker_centi_dbfs);
    assert!(matches!(b.speaker.get().0, State::Working));
    a.end();
    b.end();
}

#[test]
fn a_device_that_is_not_there_does_not_stop_the_other() {
    let a = start("alsa:hw:CARD=nosuchcard", "none");
    while a.stats.pulled.get() < 30 || !matches!(a.mic.get().0, State::Faulty(_)) {
        std::thread::yield_now();
    }
    let State::Faulty(fault) = a.mic.get().0 else { panic!("{:?}", a.mic.get()) };
    assert_eq!(fault.kind, FaultKind::Absent);
    a.end();
    let b = start("tone", "wav:/nonexistent/x.wav");
    while b.stats.sent.get() < 10 || !matches!(b.speaker.get().0, State::Faulty(_)) {
        b.wait();
        b.net.drain();
    }
    b.end();
}

#[test]
fn paused_nothing_is_sent_and_a_full_ring_drops_and_counts() {
    let a = start("tone", "none");
    while a.stats.dropped_full.get() < 5 {
        a.wait();
        a.net.drain();
    }
    assert_eq!(a.stats.sent.get(), 63, "the ring's room");
    a.knobs.paused.store(true, Ordering::Relaxed);
    let captured = a.stats.captured.get();
    // One more may be under way; after that only capturing goes on.
    while a.stats.captured.get() < captured + 2 {
        std::thread::yield_now();
    }
    let dropped = a.stats.dropped_full.get();
    while a.stats.captured.get() < captured + 12 {
        std::thread::yield_now();
    }
    assert_eq!(a.stats.dropped_full.get(), dropped);
    a.end();
}

#[test]
fn a_tone_sounds_though_there_is_no_call_and_under_the_volume() {
    let a = start("none", "none");
    a.knobs.paused.store(true, Ordering::Relaxed);
    // Within so many periods each tone is heard, or it never is.
    let is_heard = |goal: i64| {
        let until = a.stats.pulled.get() + 400;
        while a.stats.pulled.get() < until && a.stats.speaker_centi_dbfs.get_signed() < goal {
            std::thread::yield_now();
        }
        a.stats.speaker_centi_dbfs.get_signed() >= goal
    };
    a.knobs.set_tone(Some(Tone::Busy));
    assert!(is_heard(-2_000), "{:?}", a.stats.speaker_centi_dbfs);
    a.knobs.volume_percent.store(0, Ordering::Relaxed);
    while a.stats.speaker_centi_dbfs.get_signed() > -9_000 {
        std::thread::yield_now();
    }
    assert_eq!(a.stats.sent.get(), 0);
    a.end();
}

#[test]
fn every_tone_can_be_set_and_taken_away() {
    let knobs = VoiceKnobs::new(&OpusConfig::default());
    for tone in Tone::ALL {
        knobs.set_tone(Some(tone));
        assert_eq!(knobs.tone(), Some(tone));
    }
    knobs.set_tone(None);
    assert_eq!(knobs.tone(), None);
}
