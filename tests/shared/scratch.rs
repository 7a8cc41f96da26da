//! A folder of a test's own.

use std::fs;
use std::path::PathBuf;

/// Empty at first, and removed when it is dropped.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// For a test of this name; another process's test of that name has another.
    pub fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("visavis-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
