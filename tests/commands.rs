//! Goal: the commands beside the station say what is so, change what they are told to, and tell scripts by their exit
//! status how it went. Method: the program itself, with its state in a directory of the test's own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use visavis::config::Config;
use visavis::identity::{AddressBook, Entry, Rights, SecretKey};
use visavis::journal::{Journal, Record, Still, What};

/// A station's state and configuration, removed when the test ends.
struct House(PathBuf);

impl House {
    fn new(name: &str) -> House {
        let path = std::env::temp_dir().join(format!("visavis-commands-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        House(path)
    }

    fn with_peers(name: &str) -> House {
        let house = House::new(name);
        let mut book = AddressBook::default();
        for (key, name) in [(1, "kitchen"), (2, "front door")] {
            let rights = Rights { call: true, monitor: false, release: false };
            let key = SecretKey::from_bytes([key; 32]).public();
            let addresses = vec!["192.0.2.7:10087".parse().unwrap()];
            book.add(Entry { name: name.into(), key, rights, addresses }).unwrap();
        }
        book.save(&house.0).unwrap();
        house
    }

    fn visavis(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_visavis"));
        Ended(command.args(arguments).env("STATE_DIRECTORY", &self.0).output().unwrap())
    }

    fn write(&self, file: &str, text: &str) -> String {
        let path = self.0.join(file);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Ended(Output);

impl Ended {
    fn status(&self) -> i32 {
        self.0.status.code().expect("no signal ended it")
    }

    fn printed(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    fn complained(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }
}

/// Everything in it works on any machine.
const WORKING: &str = "[camera]\ndevice = 'pattern'\n[screen]\ndevice = 'none'\n[microphone]\ndevice = 'tone'\n\
                       [loudspeaker]\ndevice = 'none'\n[call]\nusual = 'attic'\n";

#[test]
fn check_prints_a_configuration_that_reads_back_as_the_same() {
    let house = House::with_peers("check");
    let file = house.write("station.toml", WORKING);
    let checked = house.visavis(&["check", &file]);
    assert_eq!(checked.status(), 0, "{}{}", checked.printed(), checked.complained());
    assert_eq!(
        Config::parse(&checked.printed(), file.as_ref()).unwrap(),
        Config::parse(WORKING, file.as_ref()).unwrap()
    );
    assert!(checked.printed().contains("# camera pattern: works; "), "{}", checked.printed());
    assert!(checked.printed().contains("# attic: not in the address book yet"), "{}", checked.printed());
}

#[test]
fn check_tells_a_wrong_file_from_a_device_that_lacks_something() {
    let house = House::new("check-wrong");
    let wrong = house.visavis(&["check", &house.write("wrong.toml", "[camera]\nsiez = '640x480'\n")]);
    assert_eq!((wrong.status(), wrong.printed()), (78, String::new()));
    assert!(wrong.complained().contains("wrong.toml, line 2, column 1: camera.siez"), "{}", wrong.complained());
    assert_eq!(house.visavis(&["check", "/nowhere/station.toml"]).status(), 78);

    let lacking = WORKING.replace("'pattern'", "'/dev/no-such-camera'") + "[door]\nline = 'NO_SUCH_LINE'\n";
    let lacking = house.visavis(&["check", &house.write("lacking.toml", &lacking)]);
    assert_eq!(lacking.status(), 1, "{}", lacking.printed());
    for what in ["# camera v4l2:/dev/no-such-camera: lacks: ", "# door NO_SUCH_LINE: lacks: "] {
        assert!(lacking.printed().contains(what), "{}", lacking.printed());
    }
}

#[test]
fn checking_makes_no_files_and_empties_none() {
    let house = House::new("check-files");
    let (kept, new) = (house.write("kept.wav", "sound"), house.0.join("new.y4m"));
    let text = WORKING.replacen("device = 'none'", &format!("device = 'y4m:{}'", new.display()), 1);
    let text = text.replace("[loudspeaker]\ndevice = 'none'", &format!("[loudspeaker]\ndevice = 'wav:{kept}'"));
    assert_eq!(house.visavis(&["check", &house.write("station.toml", &text)]).status(), 0);
    assert_eq!(fs::read_to_string(kept).unwrap(), "sound");
    assert!(!new.exists());
}

#[test]
fn stations_are_listed_renamed_limited_and_forgotten() {
    let house = House::with_peers("peers");
    let rights = |name: &str| AddressBook::load(&house.0).unwrap().known(name).unwrap().rights;
    assert!(house.visavis(&["peers"]).printed().contains("front door  "));
    for arguments in [
        &["peers", "rename", "kitchen", "Küche"][..],
        &["peers", "allow", "Küche", "release", "monitor"],
        &["peers", "deny", "KÜCHE", "call"],
        &["peers", "forget", "front door"],
    ] {
        let ended = house.visavis(arguments);
        assert_eq!(ended.status(), 0, "{}", ended.complained());
        assert!(ended.printed().contains("visavis ctl rescan"), "who runs a station is told how it comes to know");
    }
    assert_eq!(rights("Küche"), Rights { call: false, monitor: true, release: true });
    let json: serde_json::Value = serde_json::from_str(&house.visavis(&["peers", "--json"]).printed()).unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["name"]), (1, &"Küche".into()));
    assert_eq!((&json[0]["may_monitor"], &json[0]["addresses"][0]), (&true.into(), &"192.0.2.7:10087".into()));
    let shown = house.visavis(&["peers", "show", "küche"]).printed();
    assert!(shown.contains("may monitor, release") && shown.contains(json[0]["key"].as_str().unwrap()), "{shown}");
}

#[test]
fn what_cannot_be_done_to_a_station_is_refused_in_words() {
    let house = House::with_peers("refused");
    for (arguments, status, words) in [
        (&["peers", "rename", "kitchen", "Front Door"][..], 1, "another station is called"),
        (&["peers", "forget", "attic"], 1, "no station `attic` in the address book; it has: kitchen, front door"),
        (&["peers", "allow", "kitchen", "everything"], 2, "[possible values: call, monitor, release]"),
        (&["peers", "allow", "kitchen"], 2, "required"),
    ] {
        let ended = house.visavis(arguments);
        assert_eq!(ended.status(), status, "{arguments:?}");
        assert!(ended.complained().contains(words), "{arguments:?}: {}", ended.complained());
    }
    house.write("peers.toml", "[[peer]]\nname = 1\n");
    let ended = house.visavis(&["peers", "forget", "kitchen"]);
    assert_eq!(ended.status(), 78);
    assert!(ended.complained().contains("line 2"), "{}", ended.complained());
}

#[test]
fn the_log_is_read_by_people_and_by_scripts() {
    let house = House::new("log");
    assert_eq!(house.visavis(&["log"]).printed(), "Nothing has happened yet.\n");
    let mut journal = Journal::start(&house.0).unwrap();
    journal.record(Record::new(1_764_000_000_000, What::StrangerRefused, "192.0.2.66"), None);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    journal.record(Record::new(now, What::MissedCall, "door"), Some(Still::Jpeg(b"jpeg".to_vec())));
    drop(journal);
    let printed = house.visavis(&["log"]).printed();
    assert_eq!(printed.lines().count(), 2);
    let picture = house.0.join("stills/00000001.jpg");
    let last = format!("  missed call from door  (picture: {})", picture.display());
    // Midnight may pass between the record and its reader.
    assert!(printed.lines().last().unwrap().ends_with(&last) && printed.contains("day "), "{printed}");
    let json = house.visavis(&["log", "--json", "-n", "1"]).printed();
    let record: Record = serde_json::from_str(&json).unwrap();
    assert_eq!((record.at_unix_ms, record.who.as_str()), (now, "door"));
}

#[test]
fn every_subcommand_has_its_man_page() {
    let house = House::new("man");
    let folder = house.0.join("man1");
    assert_eq!(house.visavis(&["man", "--out", folder.to_str().unwrap()]).status(), 0);
    let help = house.visavis(&["-h"]).printed();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains(&"check") && names.contains(&"log"), "{help}");
    for name in names {
        let page =
            fs::read_to_string(folder.join(format!("visavis-{name}.1"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
}

#[test]
fn the_doctor_examines_any_machine_and_tells_scripts_what_is_wrong() {
    let house = House::with_peers("doctor");
    let file = house.write("station.toml", &format!("{WORKING}[station]\nfind = false\n"));
    let socket = house.0.join("no-station.sock").display().to_string();
    let common = ["doctor", "--config", &file, "--socket", &socket];
    let json = house.visavis(&[&common[..], &["--json"]].concat());
    let findings: Vec<serde_json::Value> = serde_json::from_str(&json.printed()).unwrap();
    let is_trouble = |finding: &serde_json::Value| finding["severity"] == "wrong" || finding["severity"] == "poor";
    assert_eq!(json.status(), i32::from(findings.iter().any(is_trouble)), "{}", json.printed());
    let about = |subject: &str| findings.iter().filter(|finding| finding["subject"] == subject).collect::<Vec<_>>();
    assert_eq!(about("configuration")[0]["severity"], "good");
    assert!(
        about("devices").iter().any(|finding| finding["what"].as_str().unwrap().starts_with("camera pattern: works"))
    );
    assert!(!about("storage").is_empty() && !about("clock").is_empty() && !about("kernel").is_empty());
    for finding in &findings {
        assert!(!is_trouble(finding) || finding["remedy"].is_string(), "trouble without a remedy: {finding}");
    }

    let wrong = house.write("wrong.toml", "[camera]\nsiez = '640x480'\n");
    let words = house.visavis(&["doctor", "--config", &wrong, "--socket", &socket]);
    assert_eq!(words.status(), 1);
    assert!(words.printed().contains("wrong.toml, line 2, column 1: camera.siez"), "{}", words.printed());
}

#[test]
fn a_report_has_all_that_helps_and_nothing_that_is_private() {
    let house = House::with_peers("bundle");
    SecretKey::load_or_create(&house.0, visavis::identity::system_random).unwrap();
    let text = format!(
        "{WORKING}without = 1\n[station]\nname = 'Mustermann'\nfind = false\n[[peer]]\nname = 'kitchen'\naddress = \
         'kitchen.mustermann.example'\n[[button]]\nline = 'GPIO17'\nshort = 'ring front door'\n"
    )
    .replace("without = 1\n", "");
    let file = house.write("station.toml", &text);
    let mut journal = Journal::start(&house.0).unwrap();
    journal.record(Record::new(1_764_000_000_000, What::MissedCall, "front door"), Some(Still::Jpeg(b"jpeg".to_vec())));
    drop(journal);
    let (report, socket) = (house.0.join("report.txt"), house.0.join("no-station.sock"));
    let (report, socket) = (report.to_str().unwrap(), socket.to_str().unwrap());
    let ended = house.visavis(&["doctor", "--config", &file, "--socket", socket, "--bundle", report]);
    assert_eq!(ended.status(), 0, "{}", ended.complained());
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(report).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "for who wrote it, until they send it");
    let report = fs::read_to_string(report).unwrap();
    for wanted in
        ["==== findings ====", "==== log ====", "missed-call", "Linux version", "device = \"pattern\"", "GPIO17"]
    {
        assert!(report.contains(wanted), "{wanted} is missing:\n{report}");
    }
    let key = fs::read_to_string(house.0.join("identity.key")).unwrap();
    let key = key.trim().rsplit(' ').next().unwrap();
    let kitchen = SecretKey::from_bytes([1; 32]).public();
    let (long, short) = (kitchen.to_string(), format!("{kitchen:#}"));
    let private = [
        key,
        &key[..16],
        &long,
        &short,
        "kitchen",
        "front door",
        "Mustermann",
        "mustermann",
        "192.0.2.7",
        "attic",
        "00000001.jpg",
    ];
    for secret in private {
        assert!(!report.contains(secret), "{secret} is in the report:\n{report}");
    }
}

#[test]
fn where_standard_error_is_the_journal_messages_go_there_with_fields() {
    let permitted = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: this system permits no mount namespaces (unshare --map-root-user --mount)");
        return;
    }
    let house = House::new("journal");
    let port = 20_000 + std::process::id() % 10_000;
    let file = house.write("station.toml", &format!("{WORKING}[station]\nport = {port}\nfind = false\n"));
    let journal = std::os::unix::net::UnixDatagram::bind(house.0.join("socket")).unwrap();
    journal.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    let printed = fs::File::create(house.0.join("stderr")).unwrap();
    let stream = printed.metadata().unwrap();
    let (device, inode) = (std::os::unix::fs::MetadataExt::dev(&stream), std::os::unix::fs::MetadataExt::ino(&stream));
    // In its own view of the file system, the journal's socket is ours.
    let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind \"$1\" /run/systemd/journal && \
                  shift && exec \"$@\"";
    let mut station = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(&house.0)
        .args([env!("CARGO_BIN_EXE_visavis"), "run", "--config", &file, "--socket"])
        .arg(house.0.join("control.sock"))
        .env("STATE_DIRECTORY", &house.0)
        .env("JOURNAL_STREAM", format!("{device}:{inode}"))
        .stderr(printed)
        .spawn()
        .unwrap();
    let mut message = vec![0; 64 << 10];
    let told = std::iter::from_fn(|| {
        let count = journal.recv(&mut message).ok()?;
        Some(String::from_utf8_lossy(&message[..count]).into_owned())
    });
    let camera = told.into_iter().find(|text| text.contains("camera: works"));
    let _ = station.kill();
    let _ = station.wait();
    let camera = camera.unwrap_or_else(|| panic!("{}", fs::read_to_string(house.0.join("stderr")).unwrap()));
    for field in ["VISAVIS_DEVICE", "PRIORITY", "SYSLOG_IDENTIFIER"] {
        assert!(camera.contains(field), "{field}: {camera}");
    }
    assert_eq!(fs::read_to_string(house.0.join("stderr")).unwrap(), "", "nothing is said twice");
}
