//! What is printed, and what is kept as JSON.

use crate::figures::Figures;
use crate::verdict::{Results, Verdict};
use serde_json::{Value, json};

/// Width of the first column: the longest row name.
const NAME: usize = 26;

/// The head of the table of rows.
pub fn head() -> String {
    format!(
        "{:NAME$} {:>21} {:>9} {:>13} {:>7} {:>11} {:>13} {:>14}  {}",
        "row",
        "p50 / p95 / p99 ms",
        "intact/s",
        "CPU s + r ms",
        "Mbit/s",
        "PSNR(worst)",
        "RSS s + r MB",
        "smear/none/rep",
        "more"
    )
}

/// One row of it.
pub fn line(name: &str, figures: &Figures) -> String {
    let get = |key: &str, digits: usize| figures.get(key).map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let joined = |keys: &[&str], digits: usize, with: &str| {
        let parts: Vec<String> = keys.iter().map(|key| get(key, digits)).collect();
        if parts.iter().all(|part| part == "-") { "-".to_owned() } else { parts.join(with) }
    };
    let more: Vec<String> = MORE.iter().filter_map(|key| Some(format!("{key} {:.1}", figures.get(key)?))).collect();
    format!(
        "{name:NAME$} {:>21} {:>9} {:>13} {:>7} {:>11} {:>13} {:>14}  {}",
        joined(&["p50_ms", "p95_ms", "p99_ms"], 1, " / "),
        get("intact_fps", 1),
        joined(&["cpu_sender_ms", "cpu_receiver_ms"], 2, " + "),
        get("mbit_s", 2),
        if figures.contains_key("psnr_db") {
            format!("{} ({})", get("psnr_db", 1), get("worst_block_db", 0))
        } else {
            "-".to_owned()
        },
        joined(&["rss_sender_mb", "rss_receiver_mb"], 0, " + "),
        joined(&["smeared", "unstamped", "repeated"], 0, "/"),
        more.join(", ")
    )
}

/// Figures that only some rows have.
const MORE: [&str; 7] =
    ["longest_gap_ms", "oldest_ms", "back_after_ms", "first_picture_ms", "first_sound_ms", "ear_p50_ms", "ear_p95_ms"];

/// The verdicts, one a line.
pub fn verdicts(verdicts: &[Verdict]) -> String {
    let line = |verdict: &Verdict| {
        let figure = verdict.figure.map_or("-".to_owned(), |figure| format!("{figure:.2}"));
        let ratio = verdict.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        let met = match verdict.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "not measured",
        };
        format!("{:50} {figure:>8} {ratio:>6}  {:44} {met}\n", verdict.measure, verdict.against)
    };
    let head = format!("{:50} {:>8} {:>6}  {:44} {}\n", "must", "figure", "ratio", "bound", "verdict");
    head + &verdicts.iter().map(line).collect::<String>()
}

/// Everything as JSON.
pub fn json(results: &Results, verdicts: &[Verdict], seconds: u64, rounds: usize) -> Value {
    let musts: Vec<Value> = verdicts
        .iter()
        .map(|v| {
            json!({ "measure": v.measure, "figure": v.figure, "limit": v.limit, "bound": v.against,
                    "ratio": v.ratio, "met": v.met })
        })
        .collect();
    json!({ "seconds": seconds, "rounds": rounds, "rows": results, "must": musts })
}
