//! Goal: what others announce is read as far as it makes sense, in tables that do not grow. Method: the table and the
//! reader by themselves; two finders on a network of their own stand in `tests/find.rs`.

use super::announcement::read;
use super::table::Table;
use super::*;
use crate::identity::{PublicKey, SecretKey};
use std::collections::VecDeque;

fn key(n: u8) -> PublicKey {
    SecretKey::from_bytes([n; 32]).public()
}

fn found(n: usize, hint: Option<KeyHint>) -> Found {
    let addresses = vec![SocketAddr::from(([192, 0, 2, n as u8], 10_087))];
    Found { instance: format!("{n}"), name: format!("station {n}"), key_hint: hint, addresses, pairing: false }
}

fn news(table: &mut Table) -> Vec<Change> {
    let mut out = VecDeque::new();
    table.take_news(&mut out);
    assert!(!table.has_news());
    out.into()
}

#[test]
fn a_station_is_told_once_and_again_when_it_changes_and_when_it_goes() {
    let mut table = Table::default();
    table.insert(found(1, None));
    table.insert(found(1, None));
    assert_eq!(news(&mut table), [Change::Found(found(1, None))]);
    table.insert(found(1, None));
    assert_eq!(news(&mut table), []);
    let moved = Found { pairing: true, ..found(1, None) };
    table.insert(moved.clone());
    assert_eq!(news(&mut table), [Change::Found(moved.clone())]);
    table.remove("1");
    table.remove("1");
    assert_eq!(news(&mut table), [Change::Lost(moved)]);
    // One that comes and goes between two looks was never there.
    table.insert(found(2, None));
    table.remove("2");
    assert_eq!(news(&mut table), []);
}

#[test]
fn ones_own_announcement_is_not_news() {
    let own = KeyHint::new(&key(1), [7; 4]);
    let mut table = Table::new(own);
    table.insert(found(1, Some(own)));
    assert!(!table.has_news());
    // Another program of this station has another salt.
    table.insert(found(2, Some(KeyHint::new(&key(1), [8; 4]))));
    assert_eq!(news(&mut table).len(), 1);
}

#[test]
fn a_storm_of_names_grows_nothing_and_drives_no_known_station_out() {
    let mut table = Table::default();
    table.set_book(&[key(1), key(2)]);
    let known =
        [found(1_000_001, Some(KeyHint::new(&key(1), [1; 4]))), found(1_000_002, Some(KeyHint::new(&key(2), [2; 4])))];
    table.insert(known[0].clone());
    let mut there = std::collections::BTreeSet::new();
    for n in 0..10_000 {
        table.insert(found(n, None));
        if n == 5_000 {
            table.insert(known[1].clone());
        }
        if n % 300 == 0 {
            let changes = news(&mut table);
            assert!(changes.len() <= 2 * FOUND_MAX);
            for change in changes {
                // What the loop keeps from it is bounded too: who goes is told as well as who comes.
                match change {
                    Change::Found(found) => there.insert(found.instance),
                    Change::Lost(found) => there.remove(&found.instance),
                };
            }
            assert!(there.len() <= FOUND_MAX);
        }
    }
    news(&mut table);
    assert!(there.contains("1000001"));
    table.clear();
    let gone = news(&mut table);
    assert_eq!(gone.len(), FOUND_MAX);
    assert!(known.into_iter().all(|found| gone.contains(&Change::Lost(found))));
}

#[test]
fn a_station_that_comes_into_the_book_later_is_kept_from_then_on() {
    let mut table = Table::default();
    let hint = KeyHint::new(&key(1), [1; 4]);
    table.insert(found(1_000_001, Some(hint)));
    table.set_book(&[key(1)]);
    for n in 0..1_000 {
        table.insert(found(n, None));
    }
    assert!(news(&mut table).contains(&Change::Found(found(1_000_001, Some(hint)))));
}

#[test]
fn what_is_announced_is_read_as_it_was_said() {
    for (name, label) in
        [("kitchen", "kitchen"), ("Dr. Who's \\ door", "Dr\\. Who's \\\\ door"), (&"ü".repeat(32), &"ü".repeat(27))]
    {
        let announcement =
            Announcement { name: name.to_owned(), port: 10_087, key: key(1), pairing: name == "kitchen" };
        let hint = announcement.hint([3; 4]);
        let service = announcement.service(&hint, &[]).unwrap();
        assert_eq!(service.get_fullname(), format!("{label}._visavis._tcp.local."));
        let mut service = service.as_resolved_service();
        assert_eq!(read(&service), None, "nowhere to call");
        let ips: [std::net::IpAddr; 5] =
            ["2001:db8::1", "192.0.2.7", "224.0.0.1", "0.0.0.0", "fe80::1"].map(|text| text.parse().unwrap());
        service.addresses = ips.into_iter().map(mdns_sd::ScopedIp::from).collect();
        let read = read(&service).unwrap();
        assert_eq!((read.name.as_str(), read.key_hint, read.pairing), (name, Some(hint), name == "kitchen"));
        // A link-local address without the interface it was heard on leads nowhere.
        let expected = ["192.0.2.7:10087", "[2001:db8::1]:10087"];
        assert_eq!(read.addresses, expected.map(|text| text.parse::<SocketAddr>().unwrap()));
    }
}

#[test]
fn hundreds_of_addresses_are_cut_to_a_few_and_other_versions_are_passed_over() {
    let announcement = Announcement { name: "x".into(), port: 1, key: key(1), pairing: false };
    let mut service = announcement.service(&announcement.hint([0; 4]), &[]).unwrap().as_resolved_service();
    service.addresses =
        (0..500u32).map(|n| std::net::IpAddr::V4((0xc000_0200 + n).into())).map(mdns_sd::ScopedIp::from).collect();
    assert_eq!(read(&service).unwrap().addresses.len(), crate::identity::PEER_ADDRESSES_MAX);
    service.port = 0;
    assert_eq!(read(&service), None);
    service.port = 1;
    service.txt_properties = Default::default();
    assert_eq!(read(&service), None);
}
