//! What a station can be short of: room on its disk, memory, descriptors, and the processor.

use crate::Outcome;
use crate::call::PATIENCE;
use crate::command::{Background, run, start};
use crate::station::PROGRAM;
use std::fs;
use std::io::{ErrorKind, Write};

/// A small disk, in memory.
#[derive(Debug)]
pub struct Disk {
    folder: String,
    filler: String,
}

impl Disk {
    /// Mounts one at `folder`, which is made.
    pub fn mount(folder: &str, kib: u32) -> Outcome<Disk> {
        fs::create_dir_all(folder)?;
        run(&format!("mount -n -t tmpfs -o size={kib}k,mode=700 tmpfs {folder}"))?;
        Ok(Disk { folder: folder.to_owned(), filler: format!("{folder}/filler") })
    }

    /// Fills it up to the last byte.
    pub fn fill(&self) -> Outcome {
        let mut filler = fs::File::create(&self.filler)?;
        let error = loop {
            if let Err(error) = filler.write_all(&[0; 4096]) {
                break error;
            }
        };
        if error.kind() == ErrorKind::StorageFull { Ok(()) } else { Err(error.into()) }
    }

    /// Makes room again.
    pub fn clear(&self) -> Outcome {
        Ok(fs::remove_file(&self.filler)?)
    }

    /// From now on it can only be read, or written as well: the disk, not the mount, of which a station that is started
    /// meanwhile has a copy of its own.
    pub fn forbid(&self, is_read_only: bool) -> Outcome {
        let (folder, mode) = (&self.folder, if is_read_only { "ro" } else { "rw" });
        run(&format!("mount -n -o remount,{mode} {folder}"))?;
        run(&format!("mount -n -o remount,bind,rw {folder}")).map(drop)
    }
}

/// A control group whose memory is bounded.
#[derive(Debug)]
pub struct MemoryGroup {
    folder: String,
}

impl MemoryGroup {
    /// Makes one, without a bound.
    pub fn make(name: &str) -> Outcome<MemoryGroup> {
        fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory")?;
        let folder = format!("/sys/fs/cgroup/{name}");
        fs::create_dir_all(&folder)?;
        Ok(MemoryGroup { folder })
    }

    /// What is started by `work` belongs to it.
    pub fn around<T>(&self, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        fs::write(format!("{}/cgroup.procs", self.folder), "0")?;
        let done = work();
        fs::write("/sys/fs/cgroup/cgroup.procs", "0")?;
        done
    }

    /// Allows so many bytes more than it has now; what only caches files has to go for more.
    pub fn bound(&self, room_bytes: u64) -> Outcome<u64> {
        let current: u64 = fs::read_to_string(format!("{}/memory.current", self.folder))?.trim().parse()?;
        let cached = self.field("memory.stat", "inactive_file")? + self.field("memory.stat", "active_file")?;
        let bound = current.saturating_sub(cached) + room_bytes;
        fs::write(format!("{}/memory.max", self.folder), bound.to_string())?;
        Ok(bound)
    }

    /// A program that belongs to it, and ten times a second reads more of a file than the group has room for: the kernel
    /// keeps what is read, and so has to take back again and again what it can, from everybody in the group.
    pub fn press(&self) -> Outcome<Press> {
        // At the end of the program's file are its symbols, which nobody else has read.
        const BLOCK: u64 = 64 << 10;
        const BLOCKS: u64 = 64;
        let skipped = (fs::metadata(PROGRAM)?.len() / BLOCK).checked_sub(BLOCKS).ok_or("the program is too small")?;
        let read = format!("dd if={PROGRAM} of=/dev/null bs={BLOCK} count={BLOCKS} skip={skipped} status=none");
        let script = format!("/run/{}.press", self.folder.rsplit('/').next().unwrap_or_default());
        fs::write(&script, format!("while [ -e {script} ] && {read}; do busybox usleep 100000; done\n"))?;
        let program = self.around(|| start(&format!("busybox sh {script}")))?;
        Ok(Press { program, script })
    }

    /// The most that it ever had, in bytes.
    pub fn peak(&self) -> Outcome<u64> {
        Ok(fs::read_to_string(format!("{}/memory.peak", self.folder))?.trim().parse()?)
    }

    /// How often it was at its bound, and how many of its programs were killed for want of memory.
    pub fn events(&self) -> Outcome<(u64, u64)> {
        Ok((self.field("memory.events", "max")?, self.field("memory.events", "oom_kill")?))
    }

    fn field(&self, file: &str, name: &str) -> Outcome<u64> {
        let text = fs::read_to_string(format!("{}/{file}", self.folder))?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.ok_or_else(|| format!("{file} has no {name}"))?.parse()?)
    }
}

/// A program that wants all the room that its group has.
#[derive(Debug)]
pub struct Press {
    program: Background,
    /// It goes on for as long as this is there.
    script: String,
}

impl Press {
    /// Ends it, by itself: a process that is killed while it forks makes this kernel fault in `exit_mmap`.
    pub fn finish(self) -> Outcome {
        fs::remove_file(&self.script)?;
        self.program.finish("the press's end", PATIENCE)
    }
}

/// From now on `process` can have so many descriptors.
pub fn limit_descriptors(process: u32, count: u64) -> Outcome {
    run(&format!("prlimit --pid {process} --nofile={count}:")).map(drop)
}

/// A program for each core that does nothing, as fast as it can, until dropped.
pub fn hog_cores() -> Outcome<Vec<Background>> {
    let cores = std::thread::available_parallelism()?.get();
    (0..cores).map(|_| start("dd if=/dev/zero of=/dev/null bs=1M status=none")).collect()
}
