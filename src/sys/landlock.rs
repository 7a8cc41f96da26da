//! Landlock: a process gives up, for good, what it will not need of files, of TCP and of other processes.
//!
//! It needs no privilege, and there is no way back (landlock(7)). **It holds for the calling thread and for what that starts
//! later**, threads and programs; so it is done before the first thread is started. What is open already stays as it is.
//! A kernel that knows only a part of it enforces that part.

use ::landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use core::fmt;
use std::io;
use std::path::PathBuf;

/// The version that the rules below were written for: what a later one adds is not restricted, so that a new kernel
/// cannot break a station.
const VERSION: ABI = ABI::V6;
/// What each version of the kernel's brought, for who has an older one: Linux 6.2, 6.7, 6.10 and 6.12.
const BROUGHT: [(ABI, &str); 4] = [
    (ABI::V3, "truncating of files"),
    (ABI::V4, "TCP"),
    (ABI::V5, "ioctl on devices"),
    (ABI::V6, "signals and abstract sockets"),
];

/// What may still be done beneath a path: to a folder and all that is or comes in it, or to a single file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Files are read, folders listed.
    Read,
    /// As `Read`, and programs are run. A program needs it for its loader too, beneath /lib or /usr/lib.
    Run,
    /// What is there is read, written and controlled by ioctl; nothing is made or removed.
    Devices,
    /// Sockets are made, files and sockets removed.
    Sockets,
    /// Files and folders are read, written, made, renamed and removed; no devices, sockets or links.
    Write,
}

impl Use {
    fn access(self) -> BitFlags<AccessFs> {
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let remove = AccessFs::RemoveFile | AccessFs::RemoveDir;
        match self {
            Use::Read => read,
            Use::Run => read | AccessFs::Execute,
            Use::Devices => read | AccessFs::WriteFile | AccessFs::IoctlDev,
            Use::Sockets => AccessFs::MakeSock | AccessFs::RemoveFile,
            Use::Write => {
                read | remove | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::MakeDir
            }
        }
    }
}

/// All that remains allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Paths, and what for; one that is not there is left out. Several for one path add up.
    pub paths: Vec<(PathBuf, Use)>,
    /// TCP ports that may be listened at.
    pub tcp_listen: Vec<u16>,
    /// TCP ports of other machines that may be connected to.
    pub tcp_connect: Vec<u16>,
}

/// How far the kernel went; `Display` says it in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// All the way.
    Whole,
    /// It does not know yet how to restrict these.
    Without(Vec<&'static str>),
    /// Nowhere: why.
    None(&'static str),
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Confinement::Whole => f.write_str("confined by Landlock"),
            Confinement::Without(these) => {
                write!(f, "confined by Landlock, but for {}: this kernel is too old for it", these.join(", "))
            }
            Confinement::None(why) => write!(f, "not confined by Landlock: {why}"),
        }
    }
}

/// Gives up everything but what is `allowed`; also the signalling of processes that were not started from here, and
/// running programs anew with more rights (no_new_privs).
///
/// # Errors
/// What the kernel says; nothing is given up then. A kernel without Landlock is no error.
pub fn confine(allowed: &Allowed) -> io::Result<Confinement> {
    let status = restrict(allowed).map_err(io::Error::other)?;
    Ok(match status.landlock {
        LandlockStatus::NotEnabled => Confinement::None("it is switched off; add `landlock` to `lsm=` at the boot"),
        LandlockStatus::NotImplemented => Confinement::None("this kernel was built without it"),
        LandlockStatus::Available { .. } if status.ruleset == RulesetStatus::NotEnforced => {
            Confinement::None("the kernel did not take it")
        }
        LandlockStatus::Available { effective_abi, .. } => {
            let lacks: Vec<_> = BROUGHT.iter().filter(|(abi, _)| effective_abi < *abi).map(|(_, what)| *what).collect();
            if lacks.is_empty() { Confinement::Whole } else { Confinement::Without(lacks) }
        }
    })
}

fn restrict(allowed: &Allowed) -> Result<RestrictionStatus, ::landlock::RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(VERSION))?
        .handle_access(AccessNet::from_all(VERSION))?
        .scope(Scope::from_all(VERSION))?
        .create()?;
    for (path, allowed_use) in &allowed.paths {
        // One that is not there, or not for this user, would be of no use anyway.
        let Ok(file) = PathFd::new(path) else { continue };
        // What can be done in folders only is nothing to allow of a file.
        let fitting = if path.is_dir() { BitFlags::all() } else { AccessFs::from_file(VERSION) };
        let access = allowed_use.access() & fitting;
        if !access.is_empty() {
            rules = rules.add_rule(PathBeneath::new(file, access))?;
        }
    }
    for port in &allowed.tcp_listen {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    for port in &allowed.tcp_connect {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::process::Command;

    /// Does `what` in a thread that is confined to `paths`, and which is the only one to be; not where the kernel cannot.
    fn confined(paths: &[(&Path, Use)], what: impl FnOnce() + Send) {
        let paths = paths.iter().map(|(path, allowed)| (path.to_path_buf(), *allowed)).collect();
        let allowed = Allowed { paths, ..Allowed::default() };
        let done = std::thread::scope(|scope| {
            let thread = scope.spawn(|| match confine(&allowed).unwrap() {
                none @ Confinement::None(_) => println!("left out: {none}"),
                _ => what(),
            });
            thread.join()
        });
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }

    /// A folder of the test's own, with a file `there` in it.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("visavis-landlock-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("there"), "as it was").unwrap();
        folder
    }

    fn is_denied<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    #[test]
    fn files_are_made_and_replaced_inside_and_nowhere_else() {
        let (inside, outside) = (folder("inside"), folder("outside"));
        confined(&[(&inside, Use::Write)], || {
            fs::create_dir(inside.join("stills")).unwrap();
            fs::write(inside.join("stills/new"), "new").unwrap();
            fs::rename(inside.join("stills/new"), inside.join("stills/newer")).unwrap();
            assert!(is_denied(fs::write(outside.join("new"), "new")));
            assert!(is_denied(fs::write(outside.join("there"), "changed")));
            assert!(is_denied(fs::read(outside.join("there"))));
            assert!(is_denied(fs::remove_file(outside.join("there"))));
            // Nor by a way that leads out of it.
            std::os::unix::fs::symlink(&outside, inside.join("out")).unwrap_err();
        });
        assert_eq!(fs::read_to_string(outside.join("there")).unwrap(), "as it was");
        fs::remove_dir_all(&inside).unwrap();
        fs::remove_dir_all(&outside).unwrap();
    }

    #[test]
    fn what_may_be_read_is_not_written() {
        let folder = folder("read");
        confined(&[(&folder, Use::Read)], || {
            assert_eq!(fs::read_to_string(folder.join("there")).unwrap(), "as it was");
            assert!(is_denied(File::options().append(true).open(folder.join("there"))));
        });
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn devices_are_opened_but_none_is_made_beside_them() {
        confined(&[(Path::new("/dev"), Use::Devices)], || {
            File::options().read(true).write(true).open("/dev/null").unwrap();
            let made = File::create("/dev/visavis-test");
            assert!(made.is_err(), "a file was made among the devices");
        });
    }

    #[test]
    fn a_socket_is_made_and_removed_where_no_file_may_be() {
        let folder = folder("sockets");
        confined(&[(&folder, Use::Sockets)], || {
            UnixListener::bind(folder.join("control")).unwrap();
            fs::remove_file(folder.join("control")).unwrap();
            assert!(is_denied(fs::write(folder.join("file"), "")));
        });
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn threads_and_programs_that_are_started_later_are_confined_too() {
        let outside = folder("later");
        let run = |folder: &'static str| (Path::new(folder), Use::Run);
        let null = (Path::new("/dev/null"), Use::Devices);
        let system = [run("/usr"), run("/bin"), run("/lib"), run("/lib64"), null];
        confined(&system, || {
            let file = outside.join("new");
            let written = std::thread::scope(|scope| scope.spawn(|| fs::write(&file, "")).join().unwrap());
            assert!(is_denied(written));
            assert!(!Command::new("/bin/cp").arg("/bin/cp").arg(&file).output().unwrap().status.success());
        });
        assert!(!outside.join("new").exists());
        confined(&system.map(|(path, allowed)| (path, if allowed == Use::Run { Use::Read } else { allowed })), || {
            assert!(is_denied(Command::new("/bin/true").status()), "a program that may only be read was run");
        });
        fs::remove_dir_all(&outside).unwrap();
    }

    #[test]
    fn tcp_is_closed_but_for_the_ports_that_are_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let allowed = Allowed { tcp_connect: vec![open.port()], tcp_listen: vec![other.port()], ..Allowed::default() };
        let thread = std::thread::spawn(move || match confine(&allowed).unwrap() {
            Confinement::Whole => {
                TcpStream::connect(open).unwrap();
                assert!(is_denied(TcpStream::connect(other)));
                TcpListener::bind(other).unwrap();
                assert!(is_denied(TcpListener::bind("127.0.0.1:0")));
            }
            less => println!("left out: {less}"),
        });
        thread.join().unwrap();
    }
}
