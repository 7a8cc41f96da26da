//! Players and media servers: a second implementation of WebRTC, aiortc, looks on by WHEP, and is published to by WHIP.

use crate::door::{Door, PATIENCE, empty_folder, free_tcp_port, until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use visavis::identity::AddressBook;
use visavis::panel::protocol::{Answer, Request};
use visavis::station::admit_viewer;
use visavis::web::{Certificate, Destination};

/// A program of `peer.py`.
struct Peer {
    child: Child,
    words: ChildStdin,
    says: Receiver<Value>,
}

impl Peer {
    fn start(arguments: &[&str]) -> Peer {
        let python = std::env::var_os("VISAVIS_AIORTC").expect("make test-web sets it");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/peer.py");
        let mut child = Command::new(python)
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python is there: make test-web installs it");
        let (to_test, says) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if to_test.send(said).is_err() {
                    return;
                }
            }
        });
        let words = child.stdin.take().unwrap();
        Peer { child, words, says }
    }

    fn viewer(door: &Door, token: &str) -> Peer {
        Peer::start(&["viewer", &format!("https://{}/whep", door.address), token])
    }

    /// What it says next.
    fn said(&self) -> Value {
        self.says.recv_timeout(PATIENCE).expect("the peer says something")
    }

    /// What it says next that is of this kind: the value of that key.
    fn until_said(&self, key: &str, value: &str) -> Value {
        loop {
            let said = self.said();
            if said[key] == value {
                return said;
            }
        }
    }

    fn tell(&mut self, word: &str) {
        writeln!(self.words, "{word}").unwrap();
    }

    /// What it sees and hears from now on: the moving pattern in its own colours, and concert pitch.
    fn sees_the_door(&mut self) -> Value {
        self.tell("look");
        let seen = loop {
            let mut said = self.said();
            if !said["look"].is_null() {
                break said["look"].take();
            }
        };
        assert_eq!(seen["size"], serde_json::json!([320, 240]), "{seen}");
        assert!(seen["changed"].as_u64().unwrap() > 500, "the picture stands still: {seen}");
        // U and V of yellow, green, red and blue: second, fourth, sixth and seventh of the pattern's bars.
        let bars = [(1, [44, 142]), (3, [72, 58]), (5, [100, 212]), (6, [212, 114])];
        let is_right = |(bar, wanted): &(usize, [i64; 2])| {
            let is = [0, 1].map(|plane| seen["bars"][bar][plane].as_i64().unwrap());
            is.iter().zip(wanted).all(|(is, wanted)| (is - wanted).abs() < 24)
        };
        // One may be behind the ball that sweeps over the picture.
        assert!(bars.iter().filter(|bar| is_right(bar)).count() >= 3, "the bars have other colours: {seen}");
        let (hertz, peak) = (seen["hertz"].as_f64().unwrap(), seen["peak"].as_i64().unwrap());
        assert!((hertz - 440.0).abs() < 12.0 && peak > 1_000, "no tone is heard: {seen}");
        seen
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forget(door: &Door, name: &str) {
    AddressBook::update(&door.folder, |book| {
        let key = book.known(name).unwrap().key;
        book.remove(&key);
        Ok::<_, visavis::identity::IdentityError>(())
    })
    .unwrap();
}

pub fn viewers_see_and_hear_the_station_until_they_are_forgotten() {
    let door = Door::open("viewers");
    let token = admit_viewer(&door.folder, "recorder").unwrap();
    let other = admit_viewer(&door.folder, "wall").unwrap();
    until("known", || {
        let Answer::Peers(peers) = door.ask(&Request::Peers) else { panic!("no peers") };
        (peers.len() == 2 && peers.iter().all(|peer| peer.may == ["monitor"])).then_some(())
    });
    let mut recorder = Peer::viewer(&door, &token);
    let begun = recorder.said();
    assert_eq!((&begun["status"], &begun["kind"]), (&201.into(), &"application/sdp".into()), "{begun}");
    let seen = recorder.sees_the_door();
    println!("  a viewer sees and hears {seen}");
    // A second one, by a token of its own, on the same line.
    let mut wall = Peer::viewer(&door, &other);
    assert_eq!(wall.said()["status"], 201);
    wall.sees_the_door();
    door.until("monitored", |status| (status.state == "monitored").then_some(()));
    // A call is worth more than looking on, which goes on by itself afterwards; and nobody rings who only looks on.
    door.act("ring wall");
    door.until("monitored no more", |status| (status.state != "monitored").then_some(()));
    door.until("monitored again", |status| (status.state == "monitored").then_some(()));
    wall.sees_the_door();
    // Whose key the line has goes; the other one goes on seeing.
    recorder.tell("end");
    assert_eq!(recorder.said()["deleted"], 200);
    wall.sees_the_door();
    forget(&door, "wall");
    until("a stranger", || (Peer::viewer(&door, &other).said()["status"] == 401).then_some(()));
    door.until("monitored by nobody", |status| (status.state == "idle").then_some(()));
}

pub fn a_media_server_is_published_to_again_and_again_and_told_the_end() {
    let folder = empty_folder("publishes");
    let (place, token_file) = (folder.join("media"), folder.join("media.token"));
    let certificate = Certificate::load_or_create(&place, "localhost").unwrap();
    let port = free_tcp_port();
    let pem = place.join("page.pem");
    let mut server = Peer::start(&["server", &port.to_string(), pem.to_str().unwrap(), "sesame"]);
    assert_eq!(server.said()["ready"], true);
    std::fs::write(&token_file, "barley\n").unwrap();
    let destination = |fingerprint: &str| Destination {
        url: format!("https://127.0.0.1:{port}/whip").parse().unwrap(),
        token_file: Some(token_file.clone()),
        fingerprint: Some(fingerprint.parse().unwrap()),
    };
    let other = destination(&"AB:".repeat(32)[..32 * 3 - 1]);
    let publish = vec![("studio".to_owned(), destination(&certificate.fingerprint())), ("thief".to_owned(), other)];
    let door = Door::publishing(folder, publish);

    // The wrong token is refused; the right one is read as soon as it is there.
    assert_eq!(server.until_said("path", "/whip")["is_known"], false);
    std::fs::write(&token_file, "sesame\n").unwrap();
    let begun = server.until_said("path", "/studio/whip");
    assert_eq!((&begun["is_known"], &begun["kind"]), (&true.into(), &"application/sdp".into()), "{begun}");
    let seen = server.sees_the_door();
    println!("  a media server sees and hears {seen}");
    door.until("monitored", |status| (status.state == "monitored").then_some(()));

    // A session that breaks is told its end, and the next one begins.
    server.tell("lose");
    server.until_said("path", "/studio/session-1");
    server.until_said("path", "/studio/whip");
    server.sees_the_door();
    drop(door);
    // The second session of all: to the server that has another certificate than the thief's, nothing was said.
    let end = server.until_said("method", "DELETE");
    assert_eq!((&end["path"], &end["is_known"]), (&"/studio/session-2".into(), &true.into()), "{end}");
}
