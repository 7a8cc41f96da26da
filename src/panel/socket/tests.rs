//! Goal: clients of every kind are served or refused, and none keeps the station from its work. Method: real sockets in
//! a temporary folder, the server driven by hand in this thread; time is an argument.

use super::super::client::{Client as OtherEnd, ClientError};
use super::super::protocol::{Happening, Status, VERSION, read_frame, write_frame};
use super::*;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU32, Ordering};

const NOW: Instant = Instant::from_millis(1_000);

/// A server in a folder of its own.
struct Place {
    folder: PathBuf,
    server: Server,
}

impl Place {
    fn new() -> Place {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("visavis-socket-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let server = Server::bind(&folder.join("control.sock"), None).unwrap();
        Place { folder, server }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("control.sock")
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(self.path()).unwrap()
    }

    /// Turns until nothing more is to be done: a kernel socket passes everything on at once.
    fn turn(&mut self, now: Instant) -> Vec<(ClientId, Request, Credentials)> {
        let mut requests = Vec::new();
        for _ in 0..8 {
            self.server.handle_ready(now);
            requests.extend(core::iter::from_fn(|| self.server.poll_request(now)));
        }
        requests
    }

    fn replies(&mut self, stream: &mut UnixStream, now: Instant) -> Vec<Reply> {
        self.turn(now);
        stream.set_nonblocking(true).unwrap();
        let (mut bytes, mut replies) = (Vec::new(), Vec::new());
        let _ = stream.read_to_end(&mut bytes);
        let mut rest = &bytes[..];
        while let Ok(Some((reply, used))) = read_frame(rest, super::super::protocol::REPLY_BYTES_MAX) {
            replies.push(reply);
            rest = &rest[used..];
        }
        assert!(rest.is_empty(), "half a reply: {rest:?}");
        replies
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn frame_of(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(request, REQUEST_BYTES_MAX, &mut bytes).unwrap();
    bytes
}

fn event(number: u64) -> Event {
    Event { at_unix_ms: number, what: Happening::MissedCall { peer: "d".repeat(32) } }
}

#[test]
fn a_request_is_answered_and_its_sender_is_known() {
    let mut place = Place::new();
    let mut stream = place.connect();
    stream.write_all(&frame_of(&Request::Act("hang-up".into()))).unwrap();
    let [(id, request, credentials)] = &place.turn(NOW)[..] else { panic!("one request") };
    assert_eq!(*request, Request::Act("hang-up".into()));
    assert_eq!((credentials.pid, credentials.uid), (std::process::id().cast_signed(), nix::unistd::getuid().as_raw()));
    place.server.answer(NOW, *id, Answer::Refused("there is no call".into()));
    assert_eq!(place.replies(&mut stream, NOW), [Reply::Answer(Answer::Refused("there is no call".into()))]);
}

#[test]
fn the_socket_is_for_user_and_group_and_goes_with_its_server() {
    let place = Place::new();
    let mode = fs::metadata(place.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert!(Server::bind(&place.path(), None).unwrap_err().to_string().contains("another station"));
    let elsewhere = place.folder.join("other.sock");
    assert!(Server::bind(&elsewhere, Some("visavis-no-such-group")).unwrap_err().to_string().contains("addgroup"));
    drop(UnixListener::bind(&elsewhere).unwrap());
    let again = Server::bind(&elsewhere, None).expect("what a killed station left is in nobody's way");
    drop(again);
    assert!(!elsewhere.exists());
    fs::write(&elsewhere, "a letter").unwrap();
    assert!(Server::bind(&elsewhere, None).unwrap_err().to_string().contains("no socket"));
    assert!(elsewhere.exists());
}

#[test]
fn half_a_request_waits_for_the_other_half_but_not_for_ever() {
    let mut place = Place::new();
    let mut stream = place.connect();
    let bytes = frame_of(&Request::Status);
    for part in bytes.chunks(1).take(bytes.len() - 1) {
        stream.write_all(part).unwrap();
        assert!(place.turn(NOW).is_empty());
    }
    stream.write_all(&bytes[bytes.len() - 1..]).unwrap();
    let requests = place.turn(NOW);
    assert_eq!(requests[0].1, Request::Status);
    place.server.answer(NOW, requests[0].0, Answer::Status(Box::default()));
    assert_eq!(place.replies(&mut stream, NOW), [Reply::Answer(Answer::Status(Box::<Status>::default()))]);
    stream.write_all(&bytes[..3]).unwrap();
    place.turn(NOW);
    let late = place.server.poll_timeout().expect("a client may not be idle for ever");
    assert!(matches!(&place.replies(&mut stream, late)[..], [Reply::Goodbye(_)]));
    assert_eq!(place.server.clients.len(), 0);
}

#[test]
fn garbage_and_endless_requests_are_answered_with_a_reason() {
    for (bytes, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "longer than any"),
        (b"\xff\xff\xff\x7f", "longer than any"),
        (&[2, 0, 0, 0, VERSION, 0xee], "no message"),
        (b"\x02\0\0\0\x07\x01", "version 7"),
    ] {
        let mut place = Place::new();
        let mut stream = place.connect();
        stream.write_all(bytes).unwrap();
        assert!(place.turn(NOW).is_empty());
        let said = place.replies(&mut stream, NOW);
        assert!(matches!(&said[..], [Reply::Goodbye(words)] if words.contains(reason)), "{bytes:?}: {said:?}");
        assert_eq!(place.server.clients.len(), 0);
    }
}

#[test]
fn who_asks_on_without_waiting_is_bounded() {
    let mut place = Place::new();
    let mut stream = place.connect();
    stream.set_nonblocking(true).unwrap();
    let bytes = frame_of(&Request::Status).repeat(1_000);
    let _ = stream.write(&bytes);
    assert_eq!(place.turn(NOW).len(), 0, "more than a request's room came at once");
    assert!(matches!(&place.replies(&mut stream, NOW)[..], [Reply::Goodbye(words)] if words.contains("one request")));
    let mut stream = place.connect();
    stream.write_all(&frame_of(&Request::Status).repeat(3)).unwrap();
    assert_eq!(place.turn(NOW).len(), 1, "the others wait for the first one's answer");
}

#[test]
fn watchers_hear_what_happens_from_now_on_and_others_do_not() {
    let mut place = Place::new();
    let (mut watcher, mut other) = (place.connect(), place.connect());
    assert!(!place.server.is_watched());
    watcher.write_all(&frame_of(&Request::Watch)).unwrap();
    place.server.publish(NOW, &event(1));
    place.turn(NOW);
    assert!(place.server.is_watched());
    place.server.publish(NOW, &event(2));
    assert_eq!(place.replies(&mut watcher, NOW), [Reply::Answer(Answer::Watching), Reply::Event(event(2))]);
    assert_eq!(place.replies(&mut other, NOW), []);
    watcher.write_all(b"?").unwrap();
    assert!(matches!(&place.replies(&mut watcher, NOW)[..], [Reply::Goodbye(_)]));
}

#[test]
fn a_watcher_that_never_reads_is_dropped_with_a_reason_and_costs_a_bounded_room() {
    let mut place = Place::new();
    let mut watcher = place.connect();
    watcher.write_all(&frame_of(&Request::Watch)).unwrap();
    place.turn(NOW);
    let mut published = 0;
    while place.server.is_watched() {
        place.server.publish(NOW, &event(published));
        published += 1;
        assert!(published < 100_000, "a megabyte of events waits");
    }
    // When it reads at last, all that it was sent is whole, in order, and ends with the reason.
    let said = place.replies(&mut watcher, NOW);
    let said = [said, place.replies(&mut watcher, NOW)].concat();
    let Some((Reply::Goodbye(reason), events)) = said.split_last() else { panic!("no reason") };
    assert!(reason.contains("faster than they were read"));
    for (number, reply) in events[1..].iter().enumerate() {
        assert_eq!(*reply, Reply::Event(event(number as u64)));
    }
    let mut silent = place.connect();
    silent.write_all(&frame_of(&Request::Watch)).unwrap();
    place.turn(NOW);
    while place.server.is_watched() {
        place.server.publish(NOW, &event(0));
    }
    let late = place.server.poll_timeout().expect("it is not waited for for ever");
    place.turn(late);
    assert_eq!(place.server.clients.len(), 0);
}

#[test]
fn a_hundred_clients_are_served_or_told_to_come_again() {
    let mut place = Place::new();
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = place.connect();
        let _ = stream.write_all(&frame_of(&Request::Status));
        for (id, ..) in place.turn(NOW) {
            place.server.answer(NOW, id, Answer::Done);
        }
        streams.push(stream);
    }
    let mut served = 0;
    for stream in &mut streams {
        match &place.replies(stream, NOW)[..] {
            [Reply::Answer(Answer::Done)] => served += 1,
            [Reply::Goodbye(reason)] => assert!(reason.contains("try again"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((served, place.server.clients.len()), (CLIENTS_MAX, CLIENTS_MAX));
    drop(streams);
    place.turn(NOW);
    assert_eq!(place.server.clients.len(), 0, "places are free again as clients go");
}

#[test]
fn an_answer_to_a_client_that_is_gone_goes_nowhere() {
    let mut place = Place::new();
    let mut stream = place.connect();
    stream.write_all(&frame_of(&Request::Peers)).unwrap();
    let (id, ..) = place.turn(NOW)[0];
    drop(stream);
    place.server.answer(NOW, id, Answer::Peers(Vec::new()));
    place.turn(NOW);
    assert_eq!(place.server.clients.len(), 0);
}

#[test]
fn the_other_end_asks_and_watches() {
    let mut place = Place::new();
    let path = place.path();
    let other_end = std::thread::spawn(move || {
        let mut client = OtherEnd::connect(&[path])?;
        let answer = client.ask(&Request::Act("volume +5".into()))?;
        let watching = client.ask(&Request::Watch)?;
        let event = client.next_event()?;
        Ok::<_, ClientError>((answer, watching, event, client.next_event()))
    });
    let mut has_published = false;
    while !has_published {
        let mut fds: Vec<_> = place.server.fds(NOW).map(|(fd, events)| nix::poll::PollFd::new(fd, events)).collect();
        crate::sys::poll::wait(&mut fds, None).unwrap();
        drop(fds);
        for (id, request, _) in place.turn(NOW) {
            assert_eq!(request, Request::Act("volume +5".into()));
            place.server.answer(NOW, id, Answer::Done);
        }
        if place.server.is_watched() {
            place.server.publish(NOW, &event(7));
            has_published = true;
        }
    }
    place.server.clients.clear();
    let (answer, watching, heard, end) = other_end.join().unwrap().unwrap();
    assert_eq!((answer, watching, heard), (Answer::Done, Answer::Watching, event(7)));
    assert!(end.unwrap_err().to_string().contains("ended"));
}
