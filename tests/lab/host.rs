//! Outside: picks the scenarios, boots a machine for each, and prints how they went in the manner of `cargo test`.

use crate::machine::{self, Order, Verdict};
use crate::scenarios::{self, Scenario};
use crate::{Outcome, command};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");
/// How long `soak` goes on unless VISAVIS_LAB_SECONDS says otherwise.
const SOAK_SECONDS: u64 = 3600;
/// Virtual machines that run at a time: each has one core and a gigabyte, and is to be left some of both.
const MACHINES_MAX: usize = 2;
/// More failures than this are no accident of a busy host: none of them is tried again.
const AGAIN_MAX: usize = 3;
/// A test program brings no time limit of its own.
const PROGRAM_LIMIT: Duration = Duration::from_secs(300);

/// Something to run in a machine: a scenario, or another test program of this project.
struct Job {
    name: String,
    program: Option<PathBuf>,
    limit: Duration,
}

pub fn main() -> ExitCode {
    if std::env::var_os("VISAVIS_LAB").is_none() {
        println!("lab: no machine is booted without VISAVIS_LAB=1; `make lab` does it all");
        return ExitCode::SUCCESS;
    }
    match run_all(std::env::args().skip(1).collect()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_all(arguments: Vec<String>) -> Outcome<bool> {
    let (options, filters): (Vec<_>, Vec<_>) = arguments.into_iter().partition(|word| word.starts_with("--"));
    if options.iter().any(|option| option == "--list") {
        for Scenario { name, about, .. } in scenarios::ALL {
            println!("{name:<18} {about}");
        }
        return Ok(true);
    }
    let jobs = jobs(&filters)?;
    let kernel = kernel()?;
    println!("\nrunning {} scenarios", jobs.len());
    let start = Instant::now();
    let count = jobs.len();
    let mut failed = run_side_by_side(jobs, &kernel);
    // Two machines on a busy host can starve each other, and then a camera's frames are late: what fails must fail alone
    // too. The first failure stays in the log.
    if failed.len() <= AGAIN_MAX {
        failed.retain(|job| {
            println!("test {} ... once more, with nothing beside it", job.name);
            !passes(job, &kernel)
        });
    }
    let failed = failed.len();
    let passed = count - failed;
    println!(
        "\ntest result: {}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        start.elapsed().as_secs_f64()
    );
    Ok(failed == 0)
}

/// Runs the jobs, as many at a time as this machine has cores for; gives those that failed.
fn run_side_by_side(jobs: Vec<Job>, kernel: &Path) -> Vec<Job> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let waiting = Mutex::new(jobs.into_iter());
    let next = || waiting.lock().expect("no holder panics").next();
    std::thread::scope(|scope| {
        let run = || std::iter::from_fn(next).filter(|job| !passes(job, kernel)).collect::<Vec<_>>();
        let runners: Vec<_> = (0..cores.min(MACHINES_MAX)).map(|_| scope.spawn(run)).collect();
        runners.into_iter().flat_map(|runner| runner.join().expect("a scenario's failure is no panic")).collect()
    })
}

/// The jobs whose name has one of `filters` in it; without filters all but those that run only when named.
fn jobs(filters: &[String]) -> Outcome<Vec<Job>> {
    let seconds = Duration::from_secs(seconds());
    let mut jobs: Vec<Job> = scenarios::ALL
        .iter()
        .filter(|scenario| !scenario.only_when_named || filters.iter().any(|filter| filter == scenario.name))
        .map(|scenario| Job {
            name: scenario.name.into(),
            program: None,
            limit: if scenario.only_when_named { scenario.limit + seconds } else { scenario.limit },
        })
        .collect();
    let is_wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    jobs.retain(|job| is_wanted(&job.name));
    jobs.extend(programs(is_wanted)?);
    if jobs.is_empty() {
        return Err(format!("no scenario is called {}; --list shows them", filters.join(" or ")).into());
    }
    Ok(jobs)
}

/// The project's other test programs that want real devices, `tests/lab_*.rs`: those that are wanted, built by cargo.
fn programs(is_wanted: impl Fn(&str) -> bool) -> Outcome<Vec<Job>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(FOLDER).join("tests"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let program = name.strip_suffix(".rs").filter(|name| name.starts_with("lab_") && is_wanted(name));
        names.extend(program.map(String::from));
    }
    if names.is_empty() {
        return Ok(Vec::new());
    }
    names.sort();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(FOLDER).args(["test", "--no-run", "--message-format=json-render-diagnostics"]);
    // What cargo has told this program about its package would make the builds of some dependencies look out of date.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo.args(names.iter().flat_map(|name| ["--test", name]));
    let output = cargo.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("the other test programs do not build".into());
    }
    let messages = String::from_utf8(output.stdout)?;
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    Ok(artifacts
        .filter_map(|message| {
            let name = message["target"]["name"].as_str().filter(|name| name.starts_with("lab_"))?;
            let program = message["executable"].as_str()?;
            Some(Job { name: name.into(), program: Some(program.into()), limit: PROGRAM_LIMIT })
        })
        .collect())
}

/// The folder that holds the machine's kernel, made now if need be.
fn kernel() -> Outcome<PathBuf> {
    let build = Path::new(FOLDER).join("tests/lab/kernel/build");
    let output = Command::new(build).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("the lab's kernel could not be built".into());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn passes(job: &Job, kernel: &Path) -> bool {
    // A line is printed whole when its scenario is done, since a long scenario's log may be followed meanwhile.
    let mut run = std::env::temp_dir().join(format!("visavis-lab-{}-{}", std::process::id(), job.name));
    if run.exists() {
        run.set_extension("again");
    }
    let start = Instant::now();
    let order = Order {
        scenario: job.name.clone(),
        program: job.program.clone(),
        seconds: seconds(),
        modules: kernel.join("mods/lib/modules"),
        folder: FOLDER.into(),
    };
    let verdict = machine::run(kernel, &run, &order, job.limit);
    let took = start.elapsed().as_secs_f64();
    match verdict {
        Ok(Verdict::Passed(note)) => {
            let note = if note.is_empty() { note } else { format!("{note}; ") };
            println!("test {} ... ok ({note}{took:.1} s in all)", job.name);
            // Nobody looks for the traces of what went well, unless they say so.
            match std::env::var_os("VISAVIS_LAB_KEEP") {
                Some(_) => println!("--- all that it left is in {}", run.display()),
                None => drop(fs::remove_dir_all(&run)),
            }
            true
        }
        Ok(Verdict::Failed(why)) => failure(job, &run, &why),
        Err(error) => failure(job, &run, &error.to_string()),
    }
}

/// Prints why a scenario failed, and the end of what it and its stations said: at once, since another may end meanwhile.
fn failure(job: &Job, run: &Path, why: &str) -> bool {
    let mut text = format!("test {} ... FAILED: {why}\n", job.name);
    let mut logs: Vec<PathBuf> = fs::read_dir(run).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    for log in logs {
        let said = fs::read_to_string(&log).unwrap_or_default();
        if !said.trim().is_empty() {
            text += &format!("--- the end of {}:\n{}\n", log.display(), command::last_lines(&said, 30));
        }
    }
    println!("{text}--- all that it left is in {}", run.display());
    false
}

fn seconds() -> u64 {
    std::env::var("VISAVIS_LAB_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SOAK_SECONDS)
}
