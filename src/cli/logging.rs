//! Where messages go: to the journal with fields, where standard error is the journal; else to standard error as text.
//!
//! A message's text says all of it; its fields are for filters: `journalctl -u visavis VISAVIS_DEVICE=camera`. There are
//! `VISAVIS_DEVICE`, `VISAVIS_PEER` and `VISAVIS_STATE`, beside journald's own PRIORITY and SYSLOG_IDENTIFIER.

use nix::sys::stat::fstat;
use std::ffi::OsString;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What every field's name begins with in the journal.
const PREFIX: &str = "VISAVIS";

/// Begins to take messages; `VISAVIS_LOG=debug` takes more of them.
pub(super) fn start() {
    let filter = EnvFilter::try_from_env("VISAVIS_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let journal = is_journal(std::env::var_os("JOURNAL_STREAM")).then(tracing_journald::layer);
    // Where journald cannot be spoken to after all, what is printed reaches it too.
    if let Some(Ok(journal)) = journal {
        let journal = journal.with_field_prefix(Some(PREFIX.into())).with_syslog_identifier("visavis".into());
        registry.with(journal).init();
        return;
    }
    let message_alone = format::debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{value:?}"),
        _ => Ok(()),
    });
    let text = tracing_subscriber::fmt::layer()
        .fmt_fields(message_alone)
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .with_ansi(std::io::stderr().is_terminal());
    registry.with(text).init();
}

/// Whether standard error is the stream that systemd has connected to the journal (systemd.exec(5), JOURNAL_STREAM).
fn is_journal(stream: Option<OsString>) -> bool {
    let Some(stream) = stream.and_then(|stream| stream.into_string().ok()) else { return false };
    let Some((device, inode)) = stream.split_once(':') else { return false };
    let Ok(stat) = fstat(std::io::stderr()) else { return false };
    device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino)
}
