//! The gauge thread: it reads how the board is, once a second, and serves the metrics, where that is asked for.
//!
//! Both may wait (for the firmware, for slow readers), which the net loop must not; so they have a thread of their own, which
//! nothing waits for.

use super::load;
use super::metrics;
use super::view::View;
use crate::load::Board;
use crate::metrics::Server;
use crate::sys::board::Sensors;
use crate::sys::wake::Stop;
use crate::sys::{clock, poll};
use crate::time::{Duration, Instant, earliest};
use nix::poll::{PollFd, PollFlags};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Heat changes in seconds.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The running thread.
pub(super) struct Gauge {
    view: Arc<View>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Gauge {
    /// Starts it. A port for metrics that cannot be had is logged, and no reason for a station not to ring.
    ///
    /// # Errors
    /// Where the system has no thread or descriptor to give.
    pub fn start(view: Arc<View>, metrics: Option<SocketAddr>) -> io::Result<Gauge> {
        let server = metrics.and_then(|address| match Server::bind(address) {
            Ok(server) => {
                tracing::info!("metrics are at http://{address}/metrics");
                Some(server)
            }
            Err(error) => {
                tracing::warn!("no metrics: cannot listen at {address}: {error}; see `[metrics]` in the configuration");
                None
            }
        });
        let stop = Stop::new()?;
        let (seen, ended) = (view.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("gauge".into()).spawn(move || run(&seen, server, &ended))?;
        Ok(Gauge { view, stop, thread: Some(thread) })
    }

    /// How the board was a moment ago.
    pub fn board(&self) -> Board {
        let (reading, pressure) = self.view.board();
        load::board(&reading, pressure)
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.stop.stop();
        // A panic has already been printed by the thread itself.
        self.thread.take().map(JoinHandle::join);
    }
}

fn run(view: &View, mut server: Option<Server>, stop: &Stop) {
    let sensors = Sensors::find(Path::new("/"));
    let (mut read_at, mut waited): (Instant, Option<(Instant, u64)>) = (clock::now(), None);
    while !stop.is_stopped() {
        let now = clock::now();
        if now >= read_at {
            read_at = now + READ_EVERY;
            let reading = sensors.read();
            let before = core::mem::replace(&mut waited, reading.pressure_us.map(|total| (now, total)));
            let pressure = before.zip(waited).map_or(0.0, |((then, old), (now, new))| {
                new.saturating_sub(old) as f32 / (now.since(then).as_micros() as f32).max(1.0)
            });
            view.set_board(reading, pressure);
        }
        if let Some(server) = &mut server {
            server.handle_ready(now, || metrics::text(view));
        }
        let until = earliest(Some(read_at), server.as_ref().and_then(Server::poll_timeout));
        let served = server.iter().flat_map(|server| server.fds(now));
        let mut fds: Vec<_> = core::iter::once((stop.as_fd(), PollFlags::POLLIN))
            .chain(served)
            .map(|(fd, flags)| PollFd::new(fd, flags))
            .collect();
        if let Err(error) = poll::wait(&mut fds, until) {
            // Only a kernel out of memory gets here; without a wait the loop would spin.
            tracing::error!("gauge: cannot wait (ppoll): {error}; no more metrics");
            return;
        }
    }
}
