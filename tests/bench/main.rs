//! `make bench`: visavis beside GStreamer and beside the tutorial's way, in one run on one machine.
//!
//! Goal: the figures that count are ratios to a peer of the same run; this prints them, and whether they are where they
//! must be. Method: each program gets the same film from a pipe at the pace of a camera, in a network namespace of its
//! own, and shows it on a pipe. Each frame bears its number in the picture, so that **latency is read from the picture
//! that came out**: from its last byte into the sender to its last byte out of the receiver. CPU time is the kernel's
//! count for the whole process within the stretch, memory its peak.
//!
//! Nothing here is asserted: absolute times belong to a machine and its mood. `cargo bench --test bench -- --help`.

mod clip;
mod feed;
mod figures;
mod hard;
mod lab;
mod live;
mod net;
mod network;
mod peers;
mod program;
mod relay;
mod rows;
mod sound;
mod stamp;
mod station;
mod table;
mod verdict;
mod watch;

use clap::Parser;
use figures::Figures;
use lab::Lab;
use rows::{ROWS, Row};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use verdict::Results;

/// What a row says when it could not be measured.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Measures visavis beside its peers.
#[derive(Parser)]
#[command(name = "bench")]
struct Options {
    /// Only rows whose name contains one of these (repeat it, or put commas between)
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Seconds that each row is measured
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Times that each row runs, in turn with the others; the middle figure counts
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// The program to measure
    #[arg(long, default_value = env!("CARGO_BIN_EXE_visavis"))]
    visavis: PathBuf,
    /// Where tables and logs go
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench"))]
    out: PathBuf,
    /// The picture in bad weather instead of the rows
    #[arg(long)]
    network: bool,
    /// Only list the rows
    #[arg(long)]
    list: bool,
    /// What `cargo bench` says to every program it starts
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let chosen: Vec<&Row> = ROWS.iter().filter(|row| options.chooses(row.name)).collect();
    if options.list {
        chosen.iter().for_each(|row| println!("{}", row.name));
        return Ok(());
    }
    net::enter_private()?;
    let lab = Lab::new(&options.out, options.visavis.clone(), Duration::from_secs(options.seconds))?;
    // A machine that others use meanwhile measures its own mood; whoever reads the table should know.
    println!("load before the run: {}", fs::read_to_string("/proc/loadavg")?.trim());
    if options.network {
        return network::run(&lab, &options);
    }
    println!("{}", table::head());
    let mut rounds: BTreeMap<String, Vec<Figures>> = BTreeMap::new();
    for _ in 0..options.rounds {
        for row in &chosen {
            match (row.run)(&lab, row.name) {
                Ok(figures) => {
                    println!("{}", table::line(row.name, &figures));
                    rounds.entry(row.name.to_owned()).or_default().push(figures);
                }
                Err(error) => println!("{:26} not measured: {error}", row.name),
            }
        }
    }
    let results: Results = rounds.into_iter().map(|(name, rounds)| (name, middle(&rounds))).collect();
    if options.rounds > 1 {
        println!("\nthe middle of {} rounds\n{}", options.rounds, table::head());
        results.iter().for_each(|(name, figures)| println!("{}", table::line(name, figures)));
    }
    conclude(&results, &options)
}

/// Prints the verdicts and keeps everything as JSON.
fn conclude(results: &Results, options: &Options) -> Result<()> {
    let verdicts = verdict::verdicts(results);
    println!("\n{}", table::verdicts(&verdicts));
    let path: &Path = &options.out.join("bench.json");
    let everything = table::json(results, &verdicts, options.seconds, options.rounds);
    fs::write(path, serde_json::to_string_pretty(&everything)?)?;
    println!("{}", path.display());
    Ok(())
}

impl Options {
    fn chooses(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }
}

/// Each figure's median over the rounds that have it.
fn middle(rounds: &[Figures]) -> Figures {
    let names = rounds.iter().flat_map(|figures| figures.keys().copied());
    let median = |name: &'static str| {
        let mut values: Vec<f64> = rounds.iter().filter_map(|figures| figures.get(name).copied()).collect();
        values.sort_by(f64::total_cmp);
        (name, values[values.len() / 2])
    };
    names.map(median).collect()
}
