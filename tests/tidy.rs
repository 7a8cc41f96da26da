//! The habits that the source keeps, as tests.
//!
//! Method: the source is read as text (`rustfmt` has made its shape regular), the dependencies through `cargo metadata`.
//! Nothing is compiled. A limit that a file must break stands in a list here, with its reason.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A file is read in one sitting.
const FILE_LINES_MAX: usize = 500;
/// A function is read at one look.
const FUNCTION_LINES_MAX: usize = 70;
/// Files and functions (`file.rs` or `file.rs::function`) that are longer, and why.
const LONGER: &[(&str, &str)] = &[];

/// Rooms that speak to the kernel and to memory that others write.
const UNSAFE_ROOMS: &[&str] = &["sys", "ring", "device"];
/// Files elsewhere that need `unsafe`, and why.
const UNSAFE_FILES: &[(&str, &str)] =
    &[("codec/h264/options.rs", "openh264 changes its bitrate and its log level only through its C interface")];

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let table = rooms();
    let mut wrong = Vec::new();
    for file in sources() {
        let Some(room) = file.room() else { continue };
        let Some(may_use) = table.get(&room) else {
            wrong.push(format!("{}: the room `{room}` is not in the table of src/lib.rs", file.name));
            continue;
        };
        for used in crate_paths(&file.code()) {
            if used != room && table.contains_key(&used) && !may_use.contains(&used) {
                wrong.push(format!("{}: `{room}` may not use `{used}`", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_room_is_below_itself() {
    let table = rooms();
    for start in table.keys() {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&String> = table[start].iter().collect();
        while let Some(room) = next.pop() {
            assert_ne!(room, start, "`{start}` is used by what it uses");
            if reached.insert(room) {
                next.extend(
                    table.get(room).unwrap_or_else(|| panic!("`{room}` in the table of src/lib.rs is no room")),
                );
            }
        }
    }
}

#[test]
fn every_file_opens_with_what_it_is() {
    let silent: Vec<_> = sources().into_iter().filter(|file| !file.text.starts_with("//! ")).map(|f| f.name).collect();
    assert!(silent.is_empty(), "no module head: {silent:?}");
}

#[test]
fn files_and_functions_stay_short() {
    let mut long = Vec::new();
    for file in sources() {
        let code = file.without_tests();
        let lines = code.lines().count();
        if lines > FILE_LINES_MAX {
            long.push((file.name.clone(), lines));
        }
        for (function, lines) in functions(&code) {
            if lines > FUNCTION_LINES_MAX {
                long.push((format!("{}::{function}", file.name), lines));
            }
        }
    }
    long.retain(|(name, _)| !LONGER.iter().any(|(longer, _)| longer == name));
    assert!(long.is_empty(), "too long; split it, or give the reason in LONGER: {long:#?}");
}

#[test]
fn unsafe_stays_at_the_edge() {
    let mut wrong: Vec<String> = Vec::new();
    for file in sources() {
        let allowed = file.room().is_some_and(|room| UNSAFE_ROOMS.contains(&room.as_str()))
            || UNSAFE_FILES.iter().any(|(name, _)| *name == file.name);
        if !allowed && words(&file.code()).any(|word| word == "unsafe") {
            wrong.push(file.name);
        }
    }
    assert!(wrong.is_empty(), "`unsafe` outside of {UNSAFE_ROOMS:?}: {wrong:?}");
}

#[test]
fn nothing_is_left_to_be_done() {
    let mut left = Vec::new();
    for file in sources() {
        let code = file.code();
        left.extend(
            ["todo!", "unimplemented!", "dbg!"].iter().filter(|m| code.contains(*m)).map(|m| (file.name.clone(), *m)),
        );
        // In any notation, and in comments too.
        left.extend(
            ["TODO", "FIXME", "XXX"]
                .iter()
                .filter(|m| words(&file.text).any(|w| w == **m))
                .map(|m| (file.name.clone(), *m)),
        );
    }
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let (mut in_dependencies, mut reason_above, mut bare) = (false, false, Vec::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if in_dependencies
            && line.contains(" = ")
            && !line.starts_with('#')
            && !line.contains("# ")
            && !reason_above
        {
            bare.push(line);
        }
        // A heading of a group ("# ---") is not a reason.
        reason_above = line.starts_with('#') && !line.starts_with("# ---");
    }
    assert!(bare.is_empty(), "no reason given: {bare:#?}");
}

#[test]
fn nobody_s_own_folders_are_named() {
    // Put together here, so that this file does not name them.
    let folders = [["/home", "/"], ["/Users", "/"], ["/work", "/"], ["/tmp", "/wt"]].map(|parts| parts.concat());
    let mut found = Vec::new();
    for path in files(Path::new(ROOT), &|_| true) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        found.extend(
            folders.iter().filter(|folder| text.contains(folder.as_str())).map(|folder| (path.clone(), folder)),
        );
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_minimum_rust_version_is_that_of_the_dependencies() {
    let metadata = metadata();
    let ours = version(metadata["packages"].as_array().unwrap().iter().find(|p| p["name"] == "visavis").unwrap());
    let newer: Vec<_> = shipped(&metadata).into_iter().filter(|package| version(package) > ours).collect();
    let names: Vec<_> = newer.iter().map(|package| (&package["name"], &package["rust_version"])).collect();
    assert!(names.is_empty(), "they need a newer Rust than our {ours:?}: {names:?}");
}

#[test]
fn every_dependency_may_be_given_away() {
    let policy = policy();
    let allowed = |licence: &str| entries(&policy["licenses"]["allow"]).iter().any(|one| one.as_str() == Some(licence));
    let said_of = |name: &str| {
        let clarified =
            entries(&policy["licenses"]["clarify"]).iter().find(|entry| entry["crate"].as_str() == Some(name))?;
        clarified["expression"].as_str()
    };
    let mut wrong = Vec::new();
    for package in shipped(&metadata()) {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().or_else(|| said_of(name)).unwrap_or("none");
        // "MIT/Apache-2.0" is how older manifests write OR. Every part of an AND must do, of an OR one.
        let licence = licence.replace('/', " OR ").replace(['(', ')'], "");
        let fits = licence.split(" AND ").all(|part| part.split(" OR ").any(|one| allowed(one.trim())));
        if !fits || !package["source"].as_str().is_none_or(|source| source.starts_with("registry+")) {
            wrong.push((name.to_string(), licence, package["source"].clone()));
        }
    }
    assert!(wrong.is_empty(), "a licence or a source that .deny.toml does not list: {wrong:#?}");
}

#[test]
fn a_crate_is_built_twice_only_with_a_reason() {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in shipped(&metadata()) {
        let text = |field: &str| package[field].as_str().unwrap().to_string();
        versions.entry(text("name")).or_default().push(text("version"));
    }
    versions.retain(|_, versions| versions.len() > 1);
    let policy = policy();
    let mut untrue = Vec::new();
    for entry in entries(&policy["bans"]["skip"]) {
        assert!(entry["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "no reason: {entry}");
        let (name, start) = entry["crate"].as_str().unwrap().split_once('@').unwrap();
        let is_meant = |version: &String| version.strip_prefix(start).is_some_and(|rest| rest.starts_with('.'));
        match versions.get_mut(name) {
            Some(versions) if versions.iter().any(is_meant) => versions.retain(|version| !is_meant(version)),
            _ => untrue.push(entry["crate"].clone()),
        }
    }
    versions.retain(|_, versions| versions.len() > 1);
    assert!(versions.is_empty(), "name one of each in .deny.toml, with the reason: {versions:#?}");
    assert!(untrue.is_empty(), ".deny.toml names what is not there, or not twice: {untrue:?}");
}

/// The table of src/lib.rs: each room and the rooms that it may use.
fn rooms() -> BTreeMap<String, BTreeSet<String>> {
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let text = fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).unwrap();
    for row in text.lines().filter_map(|line| line.strip_prefix("//! | [`")) {
        let (room, rest) = row.split_once('`').unwrap();
        let may_use = rest.trim_end_matches([' ', '|']).rsplit('|').next().unwrap().trim();
        let mut set = BTreeSet::new();
        for name in may_use.split(',').map(str::trim).filter(|name| *name != "–") {
            if name == "everything below" {
                set.extend(rooms.keys().cloned());
            } else {
                set.insert(name.to_string());
            }
        }
        rooms.insert(room.to_string(), set);
    }
    assert!(rooms.len() > 10, "the table of src/lib.rs was not understood: {rooms:?}");
    rooms
}

/// A file of src/.
struct Source {
    /// Its path in src/.
    name: String,
    text: String,
}

impl Source {
    /// The room it belongs to; none for lib.rs and main.rs.
    fn room(&self) -> Option<String> {
        let first = self.name.split('/').next()?.trim_end_matches(".rs");
        (!["lib", "main"].contains(&first)).then(|| first.to_string())
    }

    /// Its text up to its tests, which stand last.
    fn without_tests(&self) -> String {
        let tests = self.text.find("#[cfg(test)]\nmod ").unwrap_or(self.text.len());
        self.text[..tests].to_string()
    }

    /// Without tests and comments.
    fn code(&self) -> String {
        let code = self.without_tests();
        let lines = code.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// All of src/, but for files that are tests only.
fn sources() -> Vec<Source> {
    let src = Path::new(ROOT).join("src");
    let is_code = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "rs")
            && !path.iter().any(|part| ["tests", "tests.rs", "model.rs"].iter().any(|test| part == *test))
    };
    let read = |path: PathBuf| Source {
        name: path.strip_prefix(&src).unwrap().to_string_lossy().into_owned(),
        text: fs::read_to_string(&path).unwrap(),
    };
    files(&src, &is_code).into_iter().map(read).collect()
}

/// The files below `folder` that `wanted` takes, but for what was built or fetched.
fn files(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if ["target", ".git", "out"].iter().any(|name| path.ends_with(name)) {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, wanted));
        } else if wanted(&path) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

/// The first names of all paths that start with `crate::`, those in braces too.
fn crate_paths(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, start) in code.match_indices("crate::") {
        let path = &code[at + start.len()..];
        let Some(group) = path.strip_prefix('{') else {
            names.extend(words(path).next().map(String::from));
            continue;
        };
        let mut depth = 1;
        let mut expect_name = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => expect_name = true,
                _ if expect_name && c.is_alphabetic() => {
                    names.extend(words(&group[at..]).next().map(String::from));
                    expect_name = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

/// Functions and how many lines each has, told by their indentation.
fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let lines: Vec<&str> = code.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = line.split_once("fn ").filter(|(before, _)| {
            before.split_whitespace().all(|word| word.starts_with("pub") || ["const", "unsafe", "in"].contains(&word))
        }) else {
            continue;
        };
        // The signature ends with the body's opening, or the whole function ends there.
        let is_end = |line: &&str| line.ends_with(['{', ';', '}']);
        let Some(opening) = lines[start..].iter().position(is_end).map(|after| start + after) else { continue };
        let indent = line.len() - line.trim_start().len();
        let close = format!("{}}}", " ".repeat(indent));
        let is_open = lines[opening].ends_with('{');
        let end = if is_open { lines[opening..].iter().position(|line| *line == close).unwrap_or(0) } else { 0 };
        found.push((words(name.1).next().unwrap_or_default().to_string(), opening - start + end + 1));
    }
    found
}

fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(ROOT).args(["metadata", "--format-version=1", "--locked", "--filter-platform"]);
    let output = cargo.arg("x86_64-unknown-linux-gnu").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the program is built from: its dependencies and theirs, but for those of tests and of other systems.
fn shipped(metadata: &Value) -> Vec<&Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(ROOT).args(["tree", "--locked", "--edges=no-dev", "--prefix=none", "--format={p}"]);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    // A line is "name v1.2.3", and perhaps something in brackets.
    let built: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| (name, rest.split(' ').next().unwrap_or_default()))
        .collect();
    let is_built =
        |package: &&Value| built.contains(&(package["name"].as_str().unwrap(), package["version"].as_str().unwrap()));
    let found: Vec<&Value> = metadata["packages"].as_array().unwrap().iter().filter(is_built).collect();
    assert_eq!(found.len(), built.len(), "cargo's tree and its metadata do not agree");
    found
}

/// What may come in, as cargo-deny reads it too.
fn policy() -> toml::Table {
    fs::read_to_string(Path::new(ROOT).join(".deny.toml")).unwrap().parse().unwrap()
}

/// The members of a list in it.
fn entries(value: &toml::Value) -> &[toml::Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A package's minimum Rust version as numbers; what it does not say is 0.
fn version(package: &Value) -> Vec<u32> {
    let text = package["rust_version"].as_str().unwrap_or("0");
    text.split('.').map(|part| part.parse().unwrap_or(0)).chain([0, 0]).take(3).collect()
}
