//! Goal: a ticket is read exactly as it was written, whatever a camera makes of it; and the pairing machine takes what it
//! is given in any order. Method: property tests over texts, keys and addresses; what two stations do together stands in
//! `tests/pairing.rs`.

use super::*;
use crate::time::{Duration, Instant};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

fn code(seed: u64) -> Code {
    let mut dice = seed;
    Code::generate(|out| {
        for byte in out {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (dice >> 56) as u8;
        }
    })
}

fn key(n: u8) -> PublicKey {
    SecretKey::from_bytes([n; 32]).public()
}

fn started() -> Pairing {
    let mut pairing = Pairing::start(Instant::ZERO, key(1), code(1), 0);
    assert_eq!(pairing.poll_step(), Some(Step::Look));
    pairing
}

fn at(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 10_087))
}

proptest! {
    #[test]
    fn a_ticket_is_read_as_it_was_written(seed in any::<u64>(), name in "\\PC{0,40}", port in 1u16.., addresses in prop::collection::vec(any::<IpAddr>(), 0..6)) {
        let ticket = Ticket::new(code(seed), &key(7), &name, port, &addresses);
        let text = ticket.to_text();
        // Otherwise the symbol would be drawn in byte mode, and larger.
        prop_assert!(text.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b':'));
        prop_assert!(text.len() <= TICKET_CHARACTERS_MAX);
        let read: Ticket = text.parse().unwrap();
        prop_assert_eq!(read.code.to_string(), code(seed).to_string());
        prop_assert!(read.hint.is_of(&key(7)) && !read.hint.is_of(&key(8)));
        prop_assert_eq!(&read.addresses, &ticket.addresses);
        prop_assert!(name.trim().starts_with(&read.name) && (name.len() > 24 || read.name == name.trim()));
        prop_assert_eq!(read.to_text(), text);
    }

    #[test]
    fn no_text_is_too_strange_to_be_a_ticket(text in "\\PC*", digits in "[A-Z2-7]{0,200}") {
        let _ = text.parse::<Ticket>();
        // Whatever is read is written the same: there is one text for a ticket.
        if let Ok(ticket) = format!("VV1:{digits}").parse::<Ticket>() {
            prop_assert_eq!(ticket.to_text().to_string(), format!("VV1:{digits}"));
        }
    }

    #[test]
    fn a_ticket_that_is_cut_or_grown_is_refused(seed in any::<u64>(), cut in 0usize..60) {
        let text = Ticket::new(code(seed), &key(7), "", 10_087, &[at(1).ip()]).to_text();
        let end = text.len() - 1 - cut.min(text.len() - 5);
        prop_assert_eq!(text[..end].parse::<Ticket>().unwrap_err(), TicketError::Broken);
        let grown = format!("{}{}", *text, "A".repeat(200));
        prop_assert_eq!(grown.parse::<Ticket>().unwrap_err(), TicketError::Broken);
    }

    #[test]
    fn a_hint_is_read_as_it_was_written(salt in any::<[u8; 4]>(), text in "\\PC*") {
        let hint = KeyHint::new(&key(3), salt);
        prop_assert_eq!(hint.to_string().parse::<KeyHint>(), Ok(hint));
        let _ = text.parse::<KeyHint>();
    }

    #[test]
    fn any_name_finds_a_place_in_the_book(names in prop::collection::vec("\\PC{0,40}", 1..20)) {
        let mut book = AddressBook::default();
        for (n, name) in names.iter().enumerate() {
            let kept = book.keep(PublicKey([n as u8 + 1; 32]), name, at(1)).unwrap();
            prop_assert!(kept.added && book.by_name(&kept.name).unwrap().key == PublicKey([n as u8 + 1; 32]));
        }
        let read = AddressBook::parse(&book.to_text(), std::path::Path::new("peers.toml")).unwrap();
        prop_assert_eq!(read, book);
    }
}

#[test]
fn what_is_no_ticket_is_refused_with_the_remedy() {
    let refuse = |text: &str| text.parse::<Ticket>().unwrap_err();
    for text in ["", "https://example.org", "VV", "VVX:ABC", "vv1:abc"] {
        assert_eq!(refuse(text), TicketError::Other, "{text}");
    }
    assert_eq!(refuse("VV2:WHATEVER"), TicketError::Version);
    assert_eq!(refuse("VV1:"), TicketError::Broken);
    assert!(refuse("VV2:").to_string().contains("version"));
    let ticket = Ticket::new(code(4), &key(1), "door", 1, &[]);
    assert_eq!(format!("{ticket:?}"), "Ticket(\"door\", …)", "the code does not show itself");
}

#[test]
fn a_ticket_names_addresses_that_others_can_use() {
    let all: Vec<IpAddr> =
        ["0.0.0.0", "192.0.2.1", "fe80::1", "::ffff:192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "ff02::1"]
            .map(|text| text.parse().unwrap())
            .to_vec();
    let ticket = Ticket::new(code(5), &key(1), "door", 10_087, &all);
    let expected = ["192.0.2.1:10087", "192.0.2.2:10087", "[2001:db8::1]:10087"];
    assert_eq!(ticket.addresses, expected.map(|text| text.parse::<SocketAddr>().unwrap()));
}

#[test]
fn the_symbol_stays_small() {
    let version = |name: &str, addresses: &[IpAddr]| {
        let text = Ticket::new(code(6), &key(1), name, 10_087, addresses).to_text();
        let symbol = qrcode::QrCode::with_error_correction_level(text.as_bytes(), qrcode::EcLevel::M).unwrap();
        match symbol.version() {
            qrcode::Version::Normal(version) => version,
            qrcode::Version::Micro(_) => 0,
        }
    };
    let v4: IpAddr = "192.0.2.1".parse().unwrap();
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    let w6: IpAddr = "2001:db8::2".parse().unwrap();
    let w4: IpAddr = "192.0.2.2".parse().unwrap();
    assert_eq!(version("front door", &[v4]), 3);
    assert_eq!(version("front door", &[v4, v6]), 4);
    assert_eq!(version("a name that is cut before its end", &[v4, w4, v6, w6]), 6);
}

#[test]
fn names_that_are_taken_get_a_number() {
    let mut book = AddressBook::default();
    let names = ["kitchen", "Kitchen", "kitchen (2)", "", "\u{7}", &"k".repeat(40), &"k".repeat(40)];
    let kept: Vec<String> =
        names.iter().enumerate().map(|(n, name)| book.keep(key(n as u8 + 1), name, at(1)).unwrap().name).collect();
    let long = "k".repeat(32);
    let numbered = format!("{} (2)", "k".repeat(28));
    assert_eq!(kept, ["kitchen", "Kitchen (2)", "kitchen (2) (2)", "station", "station (2)", &long, &numbered]);
    let again = book.keep(key(1), "cellar", at(9)).unwrap();
    assert_eq!(again, Kept { name: "kitchen".into(), added: false });
    assert_eq!(book.by_name("kitchen").unwrap().addresses, [at(9), at(1)]);
}

#[test]
fn a_code_is_taken_once_and_ones_own_never() {
    let mut pairing = started();
    assert_eq!(pairing.handle_code(code(1)), Err(Refused::Own));
    assert!(pairing.addresses().is_empty());
    let ticket = Ticket::new(code(2), &key(2), "door", 10_087, &[at(2).ip()]);
    assert_eq!(pairing.handle_ticket(ticket.clone()), Ok(()));
    assert_eq!((pairing.poll_step(), pairing.poll_step()), (Some(Step::Look), None));
    assert_eq!(pairing.addresses(), [at(2)]);
    // As a camera does it: again and again.
    for _ in 0..100 {
        assert_eq!(pairing.handle_ticket(ticket.clone()), Err(Refused::Known));
    }
    assert_eq!((pairing.poll_step(), pairing.psks().count()), (None, 2));
}

#[test]
fn what_is_announced_never_crowds_out_what_was_read_or_typed() {
    let mut pairing = started();
    pairing.handle_address(at(1));
    pairing.handle_found(&(10..30).map(at).collect::<Vec<_>>());
    assert!(pairing.addresses().is_empty(), "without a code nobody would answer");
    pairing.handle_ticket(Ticket::new(code(2), &key(2), "door", 10_087, &[at(2).ip()])).unwrap();
    let addresses = pairing.addresses();
    assert_eq!((&addresses[..2], addresses.len()), (&[at(2), at(1)][..], PEER_ADDRESSES_MAX));
}

#[test]
fn what_comes_late_or_from_others_changes_nothing() {
    let mut pairing = started();
    let seconds = |s| Instant::ZERO + Duration::from_secs(s);
    // Before anybody was met.
    pairing.handle_name(seconds(1), &key(2), "door");
    pairing.handle_kept(Ok(Kept { name: "door".into(), added: true }));
    pairing.handle_known(&key(2));
    assert_eq!(pairing.poll_step(), None);
    pairing.handle_met(0, key(2), at(2));
    pairing.handle_name(seconds(2), &key(3), "thief");
    pairing.handle_known(&key(2));
    assert_eq!(pairing.poll_step(), None);
    assert_eq!(pairing.handle_code(code(9)), Err(Refused::Late));
    pairing.handle_name(seconds(3), &key(2), "door");
    assert_eq!(pairing.poll_step(), Some(Step::Keep { key: key(2), name: "door".into(), address: at(2) }));
    pairing.handle_name(seconds(4), &key(2), "door again");
    pairing.handle_known(&key(2));
    pairing.handle_left();
    assert_eq!(pairing.poll_step(), None, "it is not written yet");
    pairing.handle_kept(Ok(Kept { name: "door (2)".into(), added: true }));
    pairing.handle_known(&key(3));
    assert_eq!(pairing.poll_step(), None);
    pairing.handle_known(&key(2));
    let paired = Outcome::Paired { key: key(2), name: "door (2)".into() };
    assert_eq!(pairing.poll_step(), Some(Step::Ended(paired)));
    pairing.stop();
    pairing.handle_met(0, key(3), at(3));
    pairing.handle_refused(u64::MAX);
    pairing.handle_timeout(seconds(10_000));
    assert_eq!((pairing.poll_step(), pairing.poll_timeout()), (None, None));
}

#[test]
fn a_station_that_was_in_the_book_before_is_not_forgotten_when_pairing_fails() {
    let mut pairing = started();
    pairing.handle_met(0, key(2), at(2));
    pairing.handle_name(Instant::ZERO, &key(2), "door");
    pairing.handle_kept(Ok(Kept { name: "door".into(), added: false }));
    let end = pairing.poll_timeout().unwrap();
    assert_eq!(end, Instant::ZERO + PROOF_WITHIN);
    pairing.handle_timeout(end);
    assert!(matches!(pairing.poll_step(), Some(Step::Keep { .. })));
    assert_eq!(pairing.poll_step(), Some(Step::Ended(Outcome::Failed(Failure::Unproven))));
}
