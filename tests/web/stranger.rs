//! Whoever was not let in, by requests written by hand. Tried: asking without and with made-up cookies, from other origins, for
//! other hosts, for files, with other methods; invitations that are wrong, used, or guessed at; connections that are slow or many;
//! looking on without a token, with another's, with a cookie's; offers that are none or too long; and more sessions than there is
//! room for.

use crate::door::{Door, until};
use std::io::Write;
use visavis::identity::AddressBook;
use visavis::panel::protocol::{Answer, Request};
use visavis::station::admit_viewer;
use visavis::web::Rtc;

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

fn join(door: &Door, invitation: &str, name: &str) -> String {
    door.post("/api/join", "", &format!("{{\"invitation\":\"{invitation}\",\"name\":\"{name}\"}}"))
}

fn cookie(answer: &str) -> String {
    let line = answer.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).unwrap_or_else(|| panic!("{answer}"));
    for attribute in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(line.contains(attribute), "{line}");
    }
    format!("Cookie: {}\r\n", line.split(';').next().unwrap())
}

pub fn who_was_not_let_in_gets_the_page_and_nothing_else() {
    let door = Door::open("stranger");
    let address = door.address;
    let get = |path: &str| door.exchange(&format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"));
    let page = get("/");
    assert_eq!(status(&page), "200");
    assert!(page.contains("Content-Security-Policy: default-src 'none'") && !page.contains("unsafe-inline"), "{page}");
    for path in ["/app.js", "/call.js", "/style.css", "/worker.js", "/icon.svg", "/app.webmanifest"] {
        assert_eq!(status(&get(path)), "200", "{path}");
    }
    for path in
        ["/../identity.key", "/..%2fidentity.key", "/web/guests.toml", "//", "/page", "/api/events/", "/api/join"]
    {
        assert_eq!(status(&get(path)), "404", "{path}");
    }
    assert_eq!(status(&get("/api/events")), "401");
    for cookie in ["", "Cookie: __Host-visavis=\r\n", "Cookie: __Host-visavis=AAAA; x=y\r\n"] {
        for path in ["/api/act", "/api/offer"] {
            assert_eq!(status(&door.post(path, cookie, "ring")), "401", "{path} {cookie}");
        }
    }
    let other = format!("PUT / HTTP/1.1\r\nHost: {address}\r\n\r\n");
    assert_eq!(status(&door.exchange(&other)), "405");
    assert_eq!(status(&door.exchange("nonsense\r\n\r\n")), "400");
    assert_eq!(door.status().links.len(), 0, "nobody became a station");
}

pub fn a_page_elsewhere_cannot_ask_for_anything() {
    let door = Door::open("elsewhere");
    let cookie = cookie(&join(&door, &door.invite(false), "phone"));
    let ask = |host: &str, origin: &str| {
        door.exchange(&format!(
            "POST /api/act HTTP/1.1\r\nHost: {host}\r\n{origin}{cookie}Content-Length: 4\r\n\r\nring"
        ))
    };
    let own = door.address.to_string();
    for origin in
        ["", "Origin: null\r\n", "Origin: https://elsewhere.example\r\n", &format!("Origin: http://{own}\r\n")]
    {
        assert_eq!(status(&ask(&own, origin)), "403", "{origin}");
    }
    // A name that somebody has pointed at this address.
    let rebound = "elsewhere.example";
    assert_eq!(status(&ask(rebound, &format!("Origin: https://{rebound}\r\n"))), "421");
    // Asked as it should be: known, but no page of it is open.
    assert_eq!(status(&ask(&own, &format!("Origin: https://{own}\r\n"))), "409");
    assert_eq!(status(&ask("door.local:8443", "Origin: https://door.local:8443\r\n")), "409");
}

pub fn an_invitation_holds_once_and_who_is_forgotten_is_a_stranger() {
    let door = Door::open("invitation");
    let invitation = door.invite(true);
    for wrong in ["", "x", &invitation[1..], &format!("B{}", &invitation[1..])] {
        assert_eq!(status(&join(&door, wrong, "phone")), "409", "{wrong}");
    }
    let first = join(&door, &invitation, "phone");
    assert_eq!(status(&first), "200", "{first}");
    let again = join(&door, &invitation, "phone");
    assert!(status(&again) == "409" && again.contains("used already"), "{again}");
    let second = join(&door, &door.invite(false), "phone");
    assert_eq!(status(&second), "200");
    let Answer::Peers(peers) = door.ask(&Request::Peers) else { panic!("no peers") };
    let known: Vec<_> = peers.iter().map(|peer| (peer.name.as_str(), peer.may.join(" "))).collect();
    assert_eq!(known, [("phone", "call release".to_owned()), ("phone (2)", "call".to_owned())]);
    let cookie = cookie(&first);
    assert_eq!(status(&door.post("/api/act", &cookie, "ring")), "409");
    AddressBook::update(&door.folder, |book| {
        let key = book.known("phone").unwrap().key;
        book.remove(&key);
        Ok::<_, visavis::identity::IdentityError>(())
    })
    .unwrap();
    until("a stranger", || (status(&door.post("/api/act", &cookie, "ring")) == "401").then_some(()));
    // Ten tries a minute, and they are used up.
    let limited = (0..8).any(|_| status(&join(&door, "x", "phone")) == "429");
    assert!(limited, "invitations can be guessed at without end");
}

pub fn an_invitation_is_shown_on_request_and_taken_away() {
    let door = Door::open("shown");
    door.act("invite release");
    assert!(door.folder.join("web/invitation.key").exists(), "the page would not know its own invitation");
    door.act("stop-pairing");
    let again = door.ask(&Request::Act("stop-pairing".into()));
    assert!(matches!(&again, Answer::Refused(why) if why.contains("no pairing")), "{again:?}");
}

pub fn slow_and_many_connections_keep_nobody_out() {
    let door = Door::open("many");
    // Those of one address beyond a dozen are closed at once; these say nothing, or half a request.
    let mut held: Vec<_> = (0..6).map(|_| door.connect()).collect();
    for stream in &mut held {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    }
    let raw: Vec<_> = (0..40).map(|_| std::net::TcpStream::connect(door.address).unwrap()).collect();
    drop(raw);
    let address = door.address;
    until("served", || {
        let mut stream = std::net::TcpStream::connect(address).ok()?;
        // Closed at once, or answered by a handshake: either way it does not hang.
        stream.set_read_timeout(Some(std::time::Duration::from_secs(1))).ok()?;
        stream.write_all(b"no TLS at all\r\n\r\n").ok()
    });
    drop(held);
    let page = until("served again", || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            door.exchange(&format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n"))
        }))
        .ok()
    });
    assert_eq!(status(&page), "200");
}

/// A request to look on, or about it, as a page elsewhere or a player makes it.
fn whep(door: &Door, method: &str, path: &str, headers: &str, body: &str) -> String {
    let (address, length) = (door.address, body.len());
    door.exchange(&format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nOrigin: https://player.example\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    ))
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\nContent-Type: application/sdp\r\n")
}

pub fn who_has_no_token_looks_at_nothing() {
    let door = Door::open("tokens");
    let token = admit_viewer(&door.folder, "recorder").unwrap();
    assert!(admit_viewer(&door.folder, "recorder").is_err_and(|why| why.contains("already")));
    let joined = join(&door, &door.invite(false), "phone");
    let browser = cookie(&joined).split('=').nth(1).unwrap().trim().to_owned();
    for wrong in [
        "",
        "Authorization: Basic eDp5\r\n",
        &bearer("AAAA"),
        &bearer(&token[1..]),
        &bearer(&browser),
        &cookie(&joined),
    ] {
        let refused = whep(&door, "POST", "/whep", wrong, "v=0");
        assert_eq!(status(&refused), "401", "{wrong}");
        assert!(refused.contains("WWW-Authenticate: Bearer"), "{refused}");
        assert_eq!(status(&whep(&door, "DELETE", "/whep/AAAA", wrong, "")), "401", "{wrong}");
    }
    let known = bearer(&token);
    until("known", || (status(&whep(&door, "POST", "/whep", &known, "nonsense")) == "422").then_some(()));
    // A token for looking on opens no page.
    assert_eq!(status(&door.post("/api/act", &format!("Cookie: __Host-visavis={token}\r\n"), "ring")), "401");
    for (method, path, body, wanted) in [
        ("GET", "/whep", "", "405"),
        ("PUT", "/whep", "", "405"),
        ("DELETE", "/whep", "", "405"),
        ("PATCH", "/whep/AAAA", "", "405"),
        ("POST", "/whep/AAAA", "", "405"),
        ("DELETE", "/whep/AAAA", "", "404"),
    ] {
        assert_eq!(status(&whep(&door, method, path, &known, body)), wanted, "{method} {path}");
    }
    assert_eq!(status(&whep(&door, "POST", "/whep", &known.replace("sdp", "json"), "{}")), "415");
    let long = format!("POST /whep HTTP/1.1\r\nHost: {}\r\n{known}Content-Length: 100000\r\n\r\n", door.address);
    assert_eq!(status(&door.exchange(&long)), "413");
    let rebound = door.exchange(&format!("POST /whep HTTP/1.1\r\nHost: elsewhere.example\r\n{known}\r\n"));
    assert_eq!(status(&rebound), "421");
    let asked = whep(&door, "OPTIONS", "/whep", "Access-Control-Request-Headers: authorization\r\n", "");
    assert!(
        asked.contains("Access-Control-Allow-Origin: *") && asked.contains("Authorization, Content-Type"),
        "{asked}"
    );
}

pub fn sessions_are_few_and_each_is_ended_by_its_own_token_alone() {
    let door = Door::open("sessions");
    let tokens = ["recorder", "wall"].map(|name| bearer(&admit_viewer(&door.folder, name).unwrap()));
    until("known", || (status(&whep(&door, "POST", "/whep", &tokens[1], "nonsense")) == "422").then_some(()));
    let (_, offer) = Rtc::offer(visavis::sys::clock::now(), "127.0.0.1:9".parse().unwrap()).unwrap();
    let begin = |token: &str| whep(&door, "POST", "/whep", token, &offer);
    let mut sessions = Vec::new();
    let full = loop {
        let begun = begin(&tokens[0]);
        if status(&begun) != "201" {
            break begun;
        }
        let place = begun.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap_or_else(|| panic!("{begun}"));
        assert!(begun.contains("Content-Type: application/sdp") && begun.contains("a=candidate:"), "{begun}");
        sessions.push(place.to_owned());
        assert!(sessions.len() < 20, "one token holds every place");
    };
    assert!(status(&full) == "503" && full.contains("Retry-After: "), "{full}");
    assert_eq!(status(&begin(&tokens[1])), "201", "another one finds room");
    assert_eq!(status(&whep(&door, "DELETE", &sessions[0], &tokens[1], "")), "404");
    assert_eq!(status(&whep(&door, "DELETE", &sessions[0], &tokens[0], "")), "200");
    assert_eq!(status(&whep(&door, "DELETE", &sessions[0], &tokens[0], "")), "404");
    assert_eq!(status(&begin(&tokens[0])), "201");
    // Those that never connect make room by themselves.
    until("room again", || (status(&begin(&tokens[0])) == "201").then_some(()));
}
