//! Goal: keys, codes and the address book survive the disk and people's typing, and refuse everything else in words.
//! Method: real files in a directory of the test's own; property tests over typed text.

use super::*;
use proptest::prelude::*;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A directory of one test, removed when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("visavis-identity-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn counting(start: u8) -> impl FnMut(&mut [u8]) {
    let mut next = start;
    move |out| {
        for byte in out {
            *byte = next;
            next = next.wrapping_add(1);
        }
    }
}

#[test]
fn the_public_key_is_that_of_rfc_7748() {
    // §6.1, Alice.
    let secret = [
        0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c,
        0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a,
    ];
    let public = [
        0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d, 0xdc, 0xb4, 0x3e, 0xf7, 0x5a, 0x0d, 0xbf,
        0x3a, 0x0d, 0x26, 0x38, 0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a,
    ];
    assert_eq!(SecretKey::from_bytes(secret).public(), PublicKey(public));
    let text = b"visavis-secret-key-1 77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a\n";
    assert_eq!(SecretKey::from_text(text).unwrap().public(), PublicKey(public));
}

#[test]
fn a_key_is_made_once_kept_private_and_found_again() {
    let scratch = Scratch::new("key");
    let made = SecretKey::load_or_create(&scratch.0, counting(1)).unwrap();
    let again = SecretKey::load_or_create(&scratch.0, counting(99)).unwrap();
    assert_eq!(made.public(), again.public());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scratch.0.join(KEY_FILE)), 0o600);
    assert_eq!(mode(&scratch.0), 0o700);
    let left: Vec<_> = std::fs::read_dir(&scratch.0).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [KEY_FILE], "no temporary file stays behind");
}

#[test]
fn programs_that_start_at_once_on_a_new_machine_share_one_key() {
    let scratch = Scratch::new("race");
    let start = std::sync::Barrier::new(8);
    let keys: Vec<PublicKey> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8u8)
            .map(|n| {
                let (start, path) = (&start, &scratch.0);
                scope.spawn(move || {
                    start.wait();
                    SecretKey::load_or_create(path, counting(n * 31)).unwrap().public()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
}

#[test]
fn a_key_that_others_may_read_is_refused_with_the_remedy() {
    let scratch = Scratch::new("lax");
    SecretKey::load_or_create(&scratch.0, counting(1)).unwrap();
    let path = scratch.0.join(KEY_FILE);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let said = SecretKey::load_or_create(&scratch.0, counting(1)).unwrap_err().to_string();
    assert!(said.contains("0640") && said.contains("chmod 600") && said.contains(KEY_FILE), "{said}");
}

#[test]
fn a_spoiled_key_is_refused_and_left_where_it_is() {
    let scratch = Scratch::new("spoiled");
    SecretKey::load_or_create(&scratch.0, counting(1)).unwrap();
    let path = scratch.0.join(KEY_FILE);
    for text in ["", "visavis-secret-key-1 12", "visavis-secret-key-2 ", &"x".repeat(10_000)] {
        std::fs::write(&path, text).unwrap();
        let said = SecretKey::load_or_create(&scratch.0, counting(1)).unwrap_err().to_string();
        assert!(said.contains("not a key"), "{said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn secrets_do_not_show_themselves() {
    let code = Code::generate(counting(3));
    let shown = format!("{:?} {:?} {:?}", SecretKey::generate(counting(1)), code, Psk::from_bytes([7; 32]));
    assert_eq!(shown, "SecretKey(…) Code(…) Psk(…)");
}

#[test]
fn the_state_directory_is_the_units_then_the_users_then_the_homes() {
    let find = |set: &[(&str, &str)]| {
        state_directory(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    };
    let unit = ("STATE_DIRECTORY", "/var/lib/visavis:/var/lib/more");
    let (user, home) = (("XDG_STATE_HOME", "/srv/eva/.state"), ("HOME", "/srv/eva"));
    assert_eq!(find(&[unit, user, home]).unwrap(), Path::new("/var/lib/visavis"));
    assert_eq!(find(&[user, home]).unwrap(), Path::new("/srv/eva/.state/visavis"));
    assert_eq!(find(&[home]).unwrap(), Path::new("/srv/eva/.local/state/visavis"));
    assert_eq!(find(&[("XDG_STATE_HOME", "relative"), home]).unwrap(), Path::new("/srv/eva/.local/state/visavis"));
    assert_eq!(find(&[]), None);
}

proptest! {
    #[test]
    fn a_public_key_is_read_as_it_was_written(bytes in any::<[u8; 32]>(), upper in any::<bool>(), apart in "[ -]{0,3}") {
        prop_assume!(bytes != [0; 32]);
        let mut text = PublicKey(bytes).to_string().replace('-', &apart);
        if upper {
            text = text.to_uppercase();
        }
        prop_assert_eq!(text.parse::<PublicKey>(), Ok(PublicKey(bytes)));
    }

    #[test]
    fn a_slip_in_a_public_key_is_noticed(bytes in any::<[u8; 32]>(), place in 0usize..56, by in 1usize..32) {
        let digits: String = PublicKey(bytes).to_string().replace('-', "");
        let alphabet = "abcdefghijklmnopqrstuvwxyz234567";
        let old = alphabet.find(&digits[place..=place]).unwrap();
        let mut wrong = digits.clone();
        wrong.replace_range(place..=place, &alphabet[(old + by) % 32..][..1]);
        // Three bytes of checksum let one slip in 16 million pass; proptest draws 256.
        prop_assert_eq!(wrong.parse::<PublicKey>(), Err(KeyError::Checksum));
    }

    #[test]
    fn no_text_is_too_strange_for_the_parsers(text in "\\PC*") {
        let _ = text.parse::<PublicKey>();
        let _ = text.parse::<Code>();
        let _ = AddressBook::parse(&text, Path::new("peers.toml"));
    }

    #[test]
    fn a_code_is_read_however_it_is_typed(seed in any::<u8>(), apart in "[ ,-]{1,3}", upper in any::<bool>(), short in any::<bool>()) {
        let code = Code::generate(counting(seed));
        let words: Vec<String> = code.to_string().split('-').map(|w| if short { w.chars().take(4).collect() } else { w.to_owned() }).collect();
        let mut typed = words.join(&apart);
        if upper {
            typed = typed.to_uppercase();
        }
        prop_assert_eq!(typed.parse::<Code>().unwrap().to_string(), code.to_string());
    }
}

#[test]
fn every_word_is_found_by_itself_and_by_its_first_four_letters() {
    for (index, word) in bip39::Language::English.word_list().iter().enumerate() {
        for typed in [*word, &word[..word.len().min(4)]] {
            let code: Code = [typed; 6].join(" ").parse().unwrap();
            assert_eq!(code.to_string(), [*word; 6].join("-"), "word {index}");
        }
    }
}

#[test]
fn a_text_that_is_no_code_is_refused_by_place_and_not_by_word() {
    let refuse = |text: &str| text.parse::<Code>().unwrap_err();
    assert_eq!(refuse(""), CodeError::Count(0));
    assert_eq!(refuse("able able able able able"), CodeError::Count(5));
    assert_eq!(refuse("able able able able able able able"), CodeError::Count(7));
    for wrong in ["abl", "abled", "zzzz", "äble", "abandonedly"] {
        let said = refuse(&format!("able able {wrong} able able able"));
        assert_eq!(said, CodeError::Word(3), "{wrong}");
        assert!(!said.to_string().contains(wrong));
    }
}

#[test]
fn a_code_leads_to_the_same_key_on_every_station() {
    let code: Code = "abandon ability able about above absent".parse().unwrap();
    let again: Code = "ABAN-abil-able-abou-abov-abse".parse().unwrap();
    assert_eq!(code.psk().as_bytes(), again.psk().as_bytes());
    assert_ne!(
        code.psk().as_bytes(),
        "absent above about able ability abandon".parse::<Code>().unwrap().psk().as_bytes()
    );
}

fn entry(name: &str, key: u8) -> Entry {
    let rights = Rights { call: true, monitor: key.is_multiple_of(2), release: false };
    let addresses = vec!["192.0.2.7:10087".parse().unwrap(), "[fe80::1%3]:10087".parse().unwrap()];
    Entry { name: name.into(), key: PublicKey([key; 32]), rights, addresses }
}

#[test]
fn a_book_is_read_as_it_was_written() {
    let scratch = Scratch::new("book");
    assert_eq!(AddressBook::load(&scratch.0).unwrap(), AddressBook::default());
    let mut book = AddressBook::default();
    book.add(entry("kitchen", 1)).unwrap();
    book.add(entry("Werkstatt \"hinten\"", 2)).unwrap();
    book.save(&scratch.0).unwrap();
    book.remove(&PublicKey([2; 32])).unwrap();
    book.add(entry("door", 3)).unwrap();
    book.save(&scratch.0).unwrap();
    let read = AddressBook::load(&scratch.0).unwrap();
    assert_eq!(read, book);
    assert_eq!(read.by_name("KITCHEN").unwrap().key, PublicKey([1; 32]));
    assert_eq!(read.by_key(&PublicKey([3; 32])).unwrap().name, "door");
    assert!(read.by_name("Werkstatt").is_none());
}

#[test]
fn an_address_that_worked_comes_first_the_next_time() {
    let mut book = AddressBook::default();
    book.add(entry("kitchen", 1)).unwrap();
    let (key, second) = (PublicKey([1; 32]), book.entries()[0].addresses[1]);
    assert!(book.reached(&key, second));
    assert!(!book.reached(&key, second));
    assert_eq!(book.entries()[0].addresses[0], second);
    for port in 1..100 {
        book.reached(&key, SocketAddr::new("192.0.2.9".parse().unwrap(), port));
    }
    assert_eq!(book.entries()[0].addresses.len(), PEER_ADDRESSES_MAX);
    assert!(!book.reached(&PublicKey([9; 32]), second));
}

#[test]
fn what_is_wrong_with_a_book_is_said_with_line_key_and_remedy() {
    let key = PublicKey([5; 32]).to_string();
    let good = format!("[[peer]]\nname = \"a\"\nkey = \"{key}\"\n");
    let cases = [
        ("[[peer]]\nname = \"a\"\n".to_owned(), 1, "key"),
        (format!("{good}nickname = \"b\"\n"), 4, "nickname"),
        (format!("{good}may_call = \"yes\"\n"), 4, "boolean"),
        (format!("{good}addresses = [\n  \"kitchen:10087\"]\n"), 5, "192.0.2.7:10087"),
        (format!("{good}\n{}", good.replace("\"a\"", "\"b\"")), 7, "already"),
        (format!("{good}\n{}", good.replace(&key, &PublicKey([6; 32]).to_string())), 6, "two stations"),
        (good.replace("\"a\"", "\" a\""), 2, "name"),
        (good.replace(&key, &key.replacen(&key[..1], "1", 1)), 3, "key"),
        ("[[peer]".to_owned(), 1, "[[peer]]"),
    ];
    for (text, line, word) in cases {
        let said = AddressBook::parse(&text, Path::new("/state/peers.toml")).unwrap_err();
        assert_eq!(said.line, Some(line), "{text}\n{said}");
        assert!(said.to_string().starts_with("/state/peers.toml, line "), "{said}");
        assert!(said.to_string().contains(word), "{said}");
    }
}

#[test]
fn a_book_has_an_end() {
    let mut book = AddressBook::default();
    for n in 0..PEERS_MAX {
        book.add(entry(&n.to_string(), n as u8 + 1)).unwrap();
    }
    assert!(book.add(entry("one more", 200)).unwrap_err().contains("full"));
}

#[test]
fn stations_are_renamed_and_limited_by_their_name() {
    let mut book = AddressBook::default();
    book.add(entry("kitchen", 1)).unwrap();
    book.add(entry("door", 2)).unwrap();
    book.rename("KITCHEN", "Kitchen").unwrap();
    book.rename("door", "front door").unwrap();
    assert!(book.by_name("door").is_none() && book.known("front door").is_ok());
    for (old, new, problem) in [
        ("Kitchen", "FRONT DOOR", "another station"),
        ("attic", "x", "no station `attic` in the address book; it has: Kitchen, front door"),
        ("Kitchen", " ", "empty"),
    ] {
        assert!(book.rename(old, new).unwrap_err().contains(problem), "{old} → {new}");
    }
    book.change_rights("kitchen", |rights| rights.release = true).unwrap();
    assert_eq!(book.known("kitchen").unwrap().rights, Rights { call: true, monitor: false, release: true });
    assert!(book.change_rights("attic", |_| ()).is_err());
}

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

#[test]
fn changes_that_are_made_at_once_are_all_kept() {
    let scratch = Scratch::new("update");
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for n in 0..8u8 {
            let (start, path) = (&start, &scratch.0);
            scope.spawn(move || {
                start.wait();
                for i in 0..4 {
                    let name = format!("station {n} {i}");
                    AddressBook::update(path, |book| Ok::<_, BoxedError>(book.add(entry(&name, n * 4 + i + 1))?))
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(AddressBook::load(&scratch.0).unwrap().entries().len(), 32);
}

#[test]
fn a_change_that_fails_or_changes_nothing_leaves_the_file_alone() {
    let scratch = Scratch::new("no-update");
    AddressBook::update(&scratch.0, |book| Ok::<_, BoxedError>(book.add(entry("kitchen", 1))?)).unwrap();
    let path = scratch.0.join(BOOK_FILE);
    // Another file in its place would have another number.
    let number = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&path).unwrap());
    let before = number();
    let error = AddressBook::update(&scratch.0, |book| {
        book.rename("kitchen", "office")?;
        Ok::<_, BoxedError>(book.add(entry("office", 2))?)
    });
    assert!(error.unwrap_err().to_string().contains("two stations called"), "the second name is taken");
    AddressBook::update(&scratch.0, |book| Ok::<_, BoxedError>(book.rename("kitchen", "kitchen")?)).unwrap();
    assert_eq!(number(), before);
    assert!(AddressBook::load(&scratch.0).unwrap().by_name("kitchen").is_some());
}

#[test]
fn what_a_power_cut_left_of_a_key_or_a_book_goes_with_the_next_one_that_is_written() {
    let scratch = Scratch::new("unfinished");
    std::fs::create_dir_all(&scratch.0).unwrap();
    let half = ["identity.new-7-0", "peers.new-7-1", "journal.new-7-2"].map(|name| scratch.0.join(name));
    half.iter().for_each(|path| std::fs::write(path, "half").unwrap());
    SecretKey::load_or_create(&scratch.0, counting(1)).unwrap();
    assert_eq!(half.each_ref().map(|path| path.exists()), [false, true, true]);
    AddressBook::update(&scratch.0, |book| Ok::<_, BoxedError>(book.add(entry("kitchen", 1))?)).unwrap();
    assert_eq!(half.each_ref().map(|path| path.exists()), [false, false, true], "what others write is left to them");
}
