//! Where identity keeps its files, and how they are written so that a power cut leaves the old one or the new one.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What is wrong with a file of the identity, where, and what to do about it.
#[derive(Debug)]
pub struct IdentityError {
    /// The file.
    pub path: PathBuf,
    /// The line in it, from 1, where that is known.
    pub line: Option<usize>,
    /// What is wrong, or what could not be done; with the key of the entry where there is one.
    pub problem: String,
    /// What the kernel said, if it was the kernel.
    pub source: Option<io::Error>,
    /// What to do about it; may be empty.
    pub remedy: String,
}

impl IdentityError {
    /// A system call on `path` failed.
    pub(super) fn io(path: &Path, doing: &str, source: io::Error) -> IdentityError {
        let remedy = match source.kind() {
            io::ErrorKind::PermissionDenied => "run as the user that owns the state directory, or set STATE_DIRECTORY",
            io::ErrorKind::StorageFull | io::ErrorKind::ReadOnlyFilesystem => "the state directory must be writable",
            _ => "",
        };
        let problem = format!("cannot {doing}");
        IdentityError { path: path.into(), line: None, problem, source: Some(source), remedy: remedy.into() }
    }

    /// The contents of `path` are not as they should be.
    pub(super) fn content(
        path: &Path,
        line: Option<usize>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> IdentityError {
        IdentityError { path: path.into(), line, problem: problem.into(), source: None, remedy: remedy.into() }
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.problem)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        if !self.remedy.is_empty() {
            write!(f, ": {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for IdentityError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e as _)
    }
}

/// The directory for what a station must remember, from the environment that `variable` looks up.
///
/// `$STATE_DIRECTORY` is what systemd sets for a unit with `StateDirectory=visavis` (`/var/lib/visavis`; the first of
/// a list that colons separate). Without it, the XDG base directory specification: `$XDG_STATE_HOME/visavis`, else
/// `~/.local/state/visavis`. Relative paths are ignored, as that specification asks. `None` without any of them.
pub fn state_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let of_unit = set("STATE_DIRECTORY").and_then(|list| absolute(std::env::split_paths(&list).next()?));
    let of_user = || set("XDG_STATE_HOME").and_then(|home| absolute(PathBuf::from(home).join("visavis")));
    let of_home = || set("HOME").and_then(|home| absolute(PathBuf::from(home).join(".local/state/visavis")));
    of_unit.or_else(of_user).or_else(of_home)
}

/// The directory of `path`, as it is opened.
fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts on the disk which names a directory has: they are its data, not that of the files.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Makes a directory, private to its owner, and those above it that are missing: on the disk when this returns.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = directory_of(path);
    make_directory(above)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => match sync_directory(above) {
            // One that may be written but not read cannot be synchronised.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
            _ => Ok(()),
        },
        // Somebody else has made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes `directory` where it is missing, and locks it against others who change files in it; until the drop.
pub(super) fn lock_directory(directory: &Path) -> Result<File, IdentityError> {
    let locked = make_directory(directory).and_then(|()| File::open(directory)).and_then(|folder| {
        folder.lock()?;
        Ok(folder)
    });
    locked.map_err(|error| IdentityError::io(directory, "lock the state directory", error))
}

/// What [`write_atomically`] adds to the name of a file that is not whole yet.
const UNFINISHED: &str = "new-";

/// Writes `bytes` to `path` so that a reader, or a power cut, finds all of it or what was there before: on the disk when
/// this returns. A directory that is missing is made.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // Two writers in one process, or in two, must not share a temporary file.
    static WRITES: AtomicU32 = AtomicU32::new(0);
    let directory = directory_of(path);
    make_directory(directory)?;
    let unique = format!("{UNFINISHED}{}-{}", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed));
    let temporary = path.with_extension(unique);
    // One that a crashed process with our number left behind.
    let _ = fs::remove_file(&temporary);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    sync_directory(directory)
}

/// Removes what writers of files whose names begin with `stem` left unfinished; to be called where nobody else writes them.
///
/// # Errors
/// With the file.
pub(crate) fn remove_unfinished(directory: &Path, stem: &str) -> io::Result<()> {
    let named = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| {
            io::Error::new(error.kind(), format!("{path}: cannot clear what is unfinished: {error}"))
        }
    };
    for entry in fs::read_dir(directory).map_err(named(directory))? {
        let entry = entry.map_err(named(directory))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let extension = name.strip_prefix(stem).and_then(|rest| rest.rsplit_once('.')).map(|(_, extension)| extension);
        if extension.is_some_and(|extension| extension.starts_with(UNFINISHED)) {
            fs::remove_file(entry.path()).map_err(named(&entry.path()))?;
        }
    }
    Ok(())
}
