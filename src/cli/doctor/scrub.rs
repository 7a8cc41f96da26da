//! Takes out of a text what is nobody's business: names, addresses, keys, codes, passwords.
//!
//! Names and addresses become **pseudonyms**: the same name has the same one in every report of a board, so that a reader
//! can follow it, and cannot be found by trying all names or addresses: it is a keyed hash, whose key is the board's
//! machine-id (machine-id(5) asks for that use) or, without one, drawn at random.

use crate::identity::{CODE_WORDS, Code, Entry};
use ring::hmac;
use std::net::{IpAddr, SocketAddr};

/// Hexadecimal digits from which on a number may be a key.
const KEY_DIGITS_MIN: usize = 32;
/// Digits of a pseudonym: two of the 64 stations that a book can hold share one in a report of ten thousand.
const PSEUDONYM_DIGITS: usize = 6;
/// What stands before a value that is a secret, in whatever way it is set off from it.
const SECRETS: [&str; 7] = ["password", "passphrase", "passwd", "psk", "secret", "token", "serialnumber"];

/// What is known to be private here, and the key of the pseudonyms.
pub(super) struct Scrub {
    key: hmac::Key,
    /// Small letters, and what stands instead; the longest first.
    names: Vec<(Vec<char>, String)>,
}

impl Scrub {
    /// With a board's machine-id, or another text that it alone has.
    pub(super) fn new(board: &[u8]) -> Scrub {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[b"visavis report 1 ", board].concat());
        Scrub { key, names: Vec::new() }
    }

    /// Has a name replaced wherever it stands as a word of its own; `kind` is what its pseudonym begins with.
    pub(super) fn hide(&mut self, kind: &str, name: &str) {
        let small: Vec<char> = name.trim().chars().flat_map(char::to_lowercase).collect();
        if !small.is_empty() && !self.names.iter().any(|(known, _)| *known == small) {
            let pseudonym = self.pseudonym(kind, name.trim());
            self.names.push((small, pseudonym));
            self.names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        }
    }

    /// Has all that an address book says of a station replaced.
    pub(super) fn hide_entry(&mut self, entry: &Entry) {
        self.hide("station", &entry.name);
        self.hide("key", &entry.key.to_string());
        self.hide("key", &format!("{:#}", entry.key));
    }

    /// `station-3fa2c1`
    fn pseudonym(&self, kind: &str, text: &str) -> String {
        let tag = hmac::sign(&self.key, text.to_lowercase().as_bytes());
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{kind}-{}", &digits[..PSEUDONYM_DIGITS])
    }

    /// The text without them.
    pub(super) fn text(&self, text: &str) -> String {
        let line = |line: &str| {
            let line = without_codes(&without_secrets(line));
            self.without_addresses(&self.without_names(&line))
        };
        text.lines().map(|text| line(text) + "\n").collect()
    }

    /// A configuration without them: only what stands in quotes can be private, and `[door]` stays what it is.
    pub(super) fn values(&self, toml: &str) -> String {
        let mut text = String::new();
        for line in toml.lines() {
            let mut rest = line;
            while let Some(start) = rest.find(['"', '\'']) {
                let quote = rest[start..].chars().next().unwrap_or('"');
                let (before, value) = rest.split_at(start + 1);
                let end = value.find(quote).unwrap_or(value.len());
                text += before;
                text += self.text(&value[..end]).trim_end_matches('\n');
                rest = &value[end..];
                if let Some(after) = rest.strip_prefix(quote) {
                    text.push(quote);
                    rest = after;
                }
            }
            text += rest;
            text.push('\n');
        }
        text
    }

    fn without_names(&self, line: &str) -> String {
        let letters: Vec<char> = line.chars().collect();
        let is_word = |at: Option<&char>| at.is_some_and(|c| c.is_alphanumeric());
        let stands_at = |at: usize, name: &[char]| {
            // A letter that has two small ones is in no name that this finds; its line still loses the rest.
            let same = |(c, small): (&char, &char)| c.to_lowercase().eq([*small]);
            let is_there = letters.len() >= at + name.len() && letters[at..].iter().zip(name).all(same);
            is_there
                && !is_word(at.checked_sub(1).and_then(|before| letters.get(before)))
                && !is_word(letters.get(at + name.len()))
        };
        let (mut text, mut at) = (String::with_capacity(line.len()), 0);
        while at < letters.len() {
            match self.names.iter().find(|(name, _)| stands_at(at, name)) {
                Some((name, pseudonym)) => {
                    text += pseudonym;
                    at += name.len();
                }
                None => {
                    text.push(letters[at]);
                    at += 1;
                }
            }
        }
        text
    }

    fn without_addresses(&self, line: &str) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || ".:%-_".contains(c);
        map_words(line, is_part, |word| {
            // A sentence's end, or the colon after whom a message is about.
            let address = word.trim_end_matches(['.', ':', '-']);
            self.address(address).map(|hidden| hidden + &word[address.len()..])
        })
    }

    /// What stands for an address, a card's number or a key; `None` for other words.
    fn address(&self, word: &str) -> Option<String> {
        if word.len() >= KEY_DIGITS_MIN && word.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Some("[hexadecimal digits removed]".into());
        }
        let pairs: Vec<&str> = word.split([':', '-']).collect();
        if pairs.len() == 6 && pairs.iter().all(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Some(self.pseudonym("mac", &pairs.join(":")));
        }
        let (host, zone) =
            word.split_once('%').map_or((word, String::new()), |(host, zone)| (host, format!("%{zone}")));
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(self.ip(address) + &zone);
        }
        let address = word.parse::<SocketAddr>().ok()?;
        Some(format!("{}:{}", self.ip(address.ip()), address.port()))
    }

    /// What kind of address it is may matter, and is anybody's.
    fn ip(&self, address: IpAddr) -> String {
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            return address.to_string();
        }
        let kind = match address {
            IpAddr::V4(v4) if v4.is_private() => "ipv4-private",
            IpAddr::V4(v4) if v4.is_link_local() => "ipv4-link-local",
            IpAddr::V4(_) => "ipv4",
            IpAddr::V6(v6) if v6.is_unicast_link_local() => "ipv6-link-local",
            IpAddr::V6(v6) if v6.is_unique_local() => "ipv6-private",
            IpAddr::V6(_) => "ipv6",
        };
        self.pseudonym(kind, &address.to_string())
    }
}

/// Replaces words, which are what `is_part` says, by what `change` makes of them.
fn map_words(line: &str, is_part: impl Fn(char) -> bool, change: impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let (other, from) = rest.split_at(rest.find(&is_part).unwrap_or(rest.len()));
        let (word, after) = from.split_at(from.find(|c| !is_part(c)).unwrap_or(from.len()));
        text += other;
        text += &change(word).unwrap_or_else(|| word.to_owned());
        rest = after;
    }
    text
}

/// Without the value of whatever calls itself a secret, and without what stands before the host of a URL.
fn without_secrets(line: &str) -> String {
    let mut text = line.to_owned();
    let mut from = 0;
    loop {
        let small = text.to_ascii_lowercase();
        let found = SECRETS.iter().filter_map(|name| Some(from + small[from..].find(name)? + name.len())).min();
        let Some(end_of_name) = found else { break };
        from = end_of_name;
        let rest = &text[end_of_name..];
        let value = rest.trim_start_matches(['"', '\'', ' ']);
        let Some(value) = value.strip_prefix(['=', ':']) else { continue };
        let value = value.trim_start_matches(['"', '\'', ' ']);
        let start = text.len() - value.len();
        let end = start + value.find(|c: char| c.is_whitespace() || c == '"' || c == '\'').unwrap_or(value.len());
        text.replace_range(start..end, "[removed]");
        from = start;
    }
    map_words(
        &text,
        |c| !c.is_whitespace(),
        |word| {
            let (scheme, rest) = word.split_once("://")?;
            let (_, host) = rest.split('/').next()?.rsplit_once('@')?;
            let path = rest.find('/').map_or("", |slash| &rest[slash..]);
            Some(format!("{scheme}://[removed]@{host}{path}"))
        },
    )
}

/// Without runs of words that may be a one-time code.
fn without_codes(line: &str) -> String {
    let is_code = |word: &str| [word; CODE_WORDS].join(" ").parse::<Code>().is_ok();
    // Where each word of the list stands that follows the one before it directly, as words of a code do.
    let mut run: Vec<(usize, usize)> = Vec::new();
    let mut codes: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    let mut end_run = |run: &mut Vec<(usize, usize)>| {
        if run.len() >= CODE_WORDS {
            codes.push((run[0].0, run[run.len() - 1].1));
        }
        run.clear();
    };
    while at < line.len() {
        let length = line[at..].find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(line.len() - at);
        if length > 0 {
            if is_code(&line[at..at + length]) {
                run.push((at, at + length));
            } else {
                end_run(&mut run);
            }
            at += length;
        } else {
            let c = line[at..].chars().next().unwrap_or(' ');
            if !(c.is_whitespace() || c == '-' || c == ',') {
                end_run(&mut run);
            }
            at += c.len_utf8();
        }
    }
    end_run(&mut run);
    let mut text = line.to_owned();
    for (start, end) in codes.into_iter().rev() {
        text.replace_range(start..end, "[code removed]");
    }
    text
}

#[cfg(test)]
mod tests {
    //! Goal: nothing private stays, and what does can be followed. Method: lines as logs have them; random text.
    use super::*;
    use crate::identity::system_random;
    use proptest::prelude::*;

    fn scrub() -> Scrub {
        let mut scrub = Scrub::new(b"5f0c1e");
        for name in ["kitchen", "front door", "Küche", "門口"] {
            scrub.hide("station", name);
        }
        scrub
    }

    #[test]
    fn names_become_the_same_pseudonym_each_time_and_another_on_another_board() {
        let text = scrub()
            .text("linked to Kitchen (visavis 0.1)\nkitchen: away; KÜCHE, 門口 and the front door; kitchenette\n");
        let pseudonym = scrub().pseudonym("station", "kitchen");
        assert_eq!(text.matches(&pseudonym).count(), 2, "{text}");
        assert!(!text.contains("front") && !text.contains("KÜCHE") && !text.contains("門口"), "{text}");
        assert!(text.contains("kitchenette"), "part of a word is another word: {text}");
        assert_ne!(Scrub::new(b"other").pseudonym("station", "kitchen"), pseudonym);
    }

    #[test]
    fn addresses_of_all_kinds_become_pseudonyms_that_tell_the_kind() {
        let hidden = |text: &str| scrub().text(text).trim_end().to_owned();
        for (text, begins) in [
            ("192.168.1.20", "ipv4-private-"),
            ("203.0.113.9.", "ipv4-"),
            ("2001:db8::7,", "ipv6-"),
            ("fe80::1%wlan0", "ipv6-link-local-"),
            ("b8:27:eb:12:34:56", "mac-"),
            ("B8-27-EB-12-34-56", "mac-"),
        ] {
            let seen = hidden(text);
            assert!(seen.starts_with(begins) && seen.len() > begins.len() + 5, "{text}: {seen}");
        }
        let ports = hidden("(192.168.1.20:10087; [2001:db8::7]:10087)");
        assert!(ports.ends_with("]:10087)") && ports.contains(":10087; ") && !ports.contains("192"), "{ports}");
        for text in ["127.0.0.1", "0.0.0.0:10087", "224.0.0.251", "at 12:30:05 visavis::link 6.12.47 v4l2:/dev/video0"]
        {
            assert_eq!(hidden(text), text);
        }
    }

    #[test]
    fn keys_codes_and_passwords_are_taken_out_whole() {
        let code = Code::generate(system_random).to_string();
        let spaced = code.replace('-', " ");
        for (text, secret) in [
            (format!("pair {code} now"), code.as_str()),
            (format!("words: {spaced}."), &spaced),
            ("visavis-secret-key-1 ".to_owned() + &"3f".repeat(32), "3f3f"),
            ("password=hunter2 x".into(), "hunter2"),
            ("wpa_psk: \"hunter2\"".into(), "hunter2"),
            ("usb 1-1: SerialNumber: 0A1B2C".into(), "0A1B2C"),
            ("http://me:hunter2@camera/live".into(), "hunter2"),
        ] {
            let seen = scrub().text(&text);
            assert!(!seen.contains(secret) && seen.contains("removed]"), "{text}: {seen}");
            // No word of a code is left by itself either.
            if secret.len() > 20 {
                assert!(code.split('-').all(|word| !seen.contains(word) || word == "pair"), "{seen}");
            }
        }
    }

    #[test]
    fn of_a_configuration_only_values_are_hidden() {
        let mut scrub = scrub();
        scrub.hide("station", "door");
        let text = scrub.values("[door]\nline = \"GPIO27\"\nwithout_call = [\"door\", 'kitchen']\n");
        assert!(text.starts_with("[door]\nline = \"GPIO27\"\nwithout_call = [\"station-"), "{text}");
        assert!(!text.contains("kitchen") && text.ends_with("']\n"), "{text}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let scrub = scrub();
            let _ = (scrub.text(&text), scrub.values(&text));
        }
    }
}
