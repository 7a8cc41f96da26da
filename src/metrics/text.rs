//! The text format's writer.

use crate::stats::Snapshot;
use crate::time::Duration;
use core::fmt::Write;

/// The buckets of all histograms: from what a frame's conversion takes to what ends a conversation. Their values are known to
/// within 1/16, so finer bounds would say nothing.
pub const BOUNDS: [Duration; 14] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(35),
    Duration::from_millis(50),
    Duration::from_millis(75),
    Duration::from_millis(100),
    Duration::from_millis(150),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(2),
];

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, but for the program's restart; its name ends in `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Durations, counted by [`BOUNDS`].
    Histogram,
}

/// A text that is being written, family by family.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Begins a family: all samples of one name. Each name is begun once.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a String cannot fail; here and below.
        let _ = write!(self.0, "# HELP {name} {}\n# TYPE {name} {word}\n", escaped(help, false));
        Family { name, text: &mut self.0 }
    }

    /// The whole text.
    pub fn finish(self) -> String {
        self.0
    }
}

/// One family's samples.
#[derive(Debug)]
pub struct Family<'a> {
    name: &'static str,
    text: &'a mut String,
}

impl Family<'_> {
    /// One sample, told from the family's others by its labels.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.line("", labels, value);
        self
    }

    /// The samples of one histogram.
    pub fn histogram(&mut self, labels: &[(&str, &str)], content: &Snapshot) -> &mut Self {
        let (counts, all) = content.at_most(&BOUNDS);
        let bounds = BOUNDS.iter().map(|bound| bound.as_secs_f64().to_string()).chain(["+Inf".into()]);
        for (bound, count) in bounds.zip(counts.into_iter().chain([all])) {
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.line("_bucket", &labels, count as f64);
        }
        self.line("_sum", labels, content.sum().as_secs_f64());
        self.line("_count", labels, all as f64);
        self
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (place, (name, text)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{name}=\"{}\"", escaped(text, true));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = match value {
            value if value.is_nan() => writeln!(self.text, "{after} NaN"),
            value if value.is_infinite() => writeln!(self.text, "{after} {}Inf", if value > 0.0 { '+' } else { '-' }),
            value => writeln!(self.text, "{after} {value}"),
        };
    }
}

/// A text as the format wants it: on one line, and a label's between quotes.
fn escaped(text: &str, is_quoted: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if is_quoted => out.push_str("\\\""),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    //! Goal: what is written is the format. Method: against texts as the format's description has them. (A strict parser
    //! reads the whole text of a running station in `tests/metrics.rs`.)
    use super::*;
    use crate::stats::Histogram;

    #[test]
    fn samples_have_their_labels_and_odd_values_their_words() {
        let mut text = Text::default();
        text.family("visavis_peer_up", Kind::Gauge, "Whether it is\nhere.")
            .sample(&[("peer", "the \"back\\door\"\n")], 1.0)
            .sample(&[("peer", "küche"), ("way", "in")], 0.25);
        text.family("visavis_odd", Kind::Gauge, "Odd.").sample(&[], f64::NAN).sample(&[("a", "")], f64::NEG_INFINITY);
        let wanted = "# HELP visavis_peer_up Whether it is\\nhere.\n# TYPE visavis_peer_up gauge\n\
            visavis_peer_up{peer=\"the \\\"back\\\\door\\\"\\n\"} 1\nvisavis_peer_up{peer=\"küche\",way=\"in\"} 0.25\n\
            # HELP visavis_odd Odd.\n# TYPE visavis_odd gauge\nvisavis_odd NaN\nvisavis_odd{a=\"\"} -Inf\n";
        assert_eq!(text.finish(), wanted);
    }

    #[test]
    fn a_histogram_s_buckets_add_up_to_its_count() {
        let histogram = Histogram::new();
        for ms in [1, 3, 40, 90_000] {
            histogram.record(Duration::from_millis(ms));
        }
        let mut text = Text::default();
        text.family("h_seconds", Kind::Histogram, "H.").histogram(&[("stage", "encode")], &histogram.snapshot());
        let text = text.finish();
        for line in [
            "h_seconds_bucket{stage=\"encode\",le=\"0.0005\"} 0\n",
            "h_seconds_bucket{stage=\"encode\",le=\"0.002\"} 1\n",
            "h_seconds_bucket{stage=\"encode\",le=\"0.035\"} 2\n",
            "h_seconds_bucket{stage=\"encode\",le=\"2\"} 3\n",
            "h_seconds_bucket{stage=\"encode\",le=\"+Inf\"} 4\n",
            "h_seconds_sum{stage=\"encode\"} 90.044\n",
            "h_seconds_count{stage=\"encode\"} 4\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
