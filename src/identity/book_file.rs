//! The address book's file: as typed, as meant, and written back.

use super::book::{AddressBook, Entry, FILE_BYTES_MAX, PEER_ADDRESSES_MAX, Rights, check_name};
use super::files::IdentityError;
use super::key::PublicKey;
use serde::{Deserialize, Serialize, Serializer};
use std::net::SocketAddr;
use std::path::Path;
use toml::Spanned;

/// The file, as it is typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedBook {
    #[serde(default)]
    peer: Vec<TypedEntry>,
}

/// One entry, as it is typed: strings keep their place, so that an error can name the line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedEntry {
    name: Spanned<String>,
    key: Spanned<String>,
    /// A peer that stands in the book may call: that is what it was paired for.
    #[serde(default = "yes")]
    may_call: bool,
    #[serde(default)]
    may_monitor: bool,
    #[serde(default)]
    may_release: bool,
    #[serde(default)]
    addresses: Vec<Spanned<String>>,
}

fn yes() -> bool {
    true
}

/// One entry, as it is written.
#[derive(Serialize)]
struct WrittenEntry<'a> {
    name: &'a str,
    key: String,
    may_call: bool,
    may_monitor: bool,
    may_release: bool,
    addresses: Vec<String>,
}

impl<'a> From<&'a Entry> for WrittenEntry<'a> {
    fn from(entry: &'a Entry) -> WrittenEntry<'a> {
        WrittenEntry {
            name: &entry.name,
            key: entry.key.to_string(),
            may_call: entry.rights.call,
            may_monitor: entry.rights.monitor,
            may_release: entry.rights.release,
            addresses: entry.addresses.iter().map(ToString::to_string).collect(),
        }
    }
}

/// As in the file; reports have the same.
impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        WrittenEntry::from(self).serialize(to)
    }
}

#[derive(Serialize)]
struct WrittenBook<'a> {
    peer: &'a [Entry],
}

impl AddressBook {
    /// The book that `text` is; `path` is for the errors.
    ///
    /// # Errors
    /// The first thing that is wrong: with line, key and remedy.
    pub fn parse(text: &str, path: &Path) -> Result<AddressBook, IdentityError> {
        if text.len() as u64 > FILE_BYTES_MAX {
            let remedy = format!("a book has at most {FILE_BYTES_MAX} bytes");
            return Err(IdentityError::content(path, None, "the address book is too long", remedy));
        }
        let line_of = |offset: usize| 1 + text.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count();
        let typed: TypedBook = toml::from_str(text).map_err(|e| {
            let line = e.span().map(|span| line_of(span.start));
            let remedy = "an entry is [[peer]] with name, key, may_call, may_monitor, may_release, addresses";
            IdentityError::content(path, line, e.message(), remedy)
        })?;
        let mut book = AddressBook::default();
        for entry in typed.peer {
            let at = |span: core::ops::Range<usize>, problem: String, remedy: &str| {
                IdentityError::content(path, Some(line_of(span.start)), problem, remedy)
            };
            let (name_span, key_span) = (entry.name.span(), entry.key.span());
            let entry = parse_entry(entry, &at)?;
            let span = if book.by_key(&entry.key).is_some() { key_span } else { name_span };
            book.add(entry).map_err(|problem| at(span, problem, "keep one entry for each station"))?;
        }
        Ok(book)
    }

    /// The book as its file says it.
    pub fn to_text(&self) -> String {
        let book = WrittenBook { peer: self.entries() };
        // Strings, booleans and arrays of strings are all within TOML: this cannot fail.
        let entries = toml::to_string(&book).expect("an address book is valid TOML");
        format!(
            "# The stations that this one knows. Written by visavis; it may be edited while no station runs,\n# and by `visavis peers` at any time.\n{entries}"
        )
    }
}

fn parse_entry(
    typed: TypedEntry,
    at: &impl Fn(core::ops::Range<usize>, String, &str) -> IdentityError,
) -> Result<Entry, IdentityError> {
    let key = typed.key.get_ref().parse::<PublicKey>();
    let key = key.map_err(|e| at(typed.key.span(), format!("key: {e}"), "the other station shows its key"))?;
    if typed.addresses.len() > PEER_ADDRESSES_MAX {
        let span = typed.addresses[PEER_ADDRESSES_MAX].span();
        let problem = format!("addresses: at most {PEER_ADDRESSES_MAX} of a station");
        return Err(at(span, problem, "leave the ones that no longer work out"));
    }
    let mut addresses = Vec::with_capacity(typed.addresses.len());
    for address in &typed.addresses {
        let parsed = address.get_ref().parse::<SocketAddr>().map_err(|_| {
            let problem = format!("addresses: {:?} is not an address with a port", address.get_ref());
            at(address.span(), problem, "write 192.0.2.7:10087, or [2001:db8::7]:10087")
        })?;
        addresses.push(parsed);
    }
    let name_span = typed.name.span();
    let name = typed.name.into_inner();
    check_name(&name).map_err(|problem| at(name_span, problem, "give it a name that can be read out"))?;
    let rights = Rights { call: typed.may_call, monitor: typed.may_monitor, release: typed.may_release };
    Ok(Entry { name, key, rights, addresses })
}
