//! The other end of the control socket: what `visavis ctl`, `status` and `watch` speak through.

use super::protocol::{
    Answer, Event, FrameError, REPLY_BYTES_MAX, REQUEST_BYTES_MAX, Reply, Request, read_frame, write_frame,
};
use core::fmt;
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the service's socket is.
const SYSTEM_PATH: &str = "/run/visavis/control.sock";
/// A station answers within its turn; what takes longer than this has stopped.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where a station that is started now puts its socket: where `$VISAVIS_SOCKET` says, or in the folder that systemd
/// made for the service, or in the user's own.
pub fn server_path(environment: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let in_folder = |folder: OsString| PathBuf::from(folder).join("control.sock");
    environment("VISAVIS_SOCKET")
        .map(PathBuf::from)
        .or_else(|| environment("RUNTIME_DIRECTORY").map(in_folder))
        .or_else(|| {
            environment("XDG_RUNTIME_DIR").map(|folder| in_folder(PathBuf::from(folder).join("visavis").into()))
        })
        .unwrap_or_else(|| SYSTEM_PATH.into())
}

/// Where to look for a running station, in order: as [`server_path`], and the service's.
pub fn client_paths(environment: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let is_given = environment("VISAVIS_SOCKET").is_some();
    let mut paths = vec![server_path(environment)];
    if !is_given && paths[0] != Path::new(SYSTEM_PATH) {
        paths.push(SYSTEM_PATH.into());
    }
    paths
}

/// Why a station could not be asked.
#[derive(Debug)]
pub enum ClientError {
    /// There is none, or it may not be asked: what to do.
    NoStation(String),
    /// It went away, or said what is not understood.
    Broken(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NoStation(words) | ClientError::Broken(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> ClientError {
        ClientError::Broken(error.to_string())
    }
}

/// A connection to a station. Its calls wait for the station.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    input: Vec<u8>,
}

impl Client {
    /// Connects to the first of `paths` at which a station listens.
    ///
    /// # Errors
    /// [`ClientError::NoStation`], with what to do.
    pub fn connect(paths: &[PathBuf]) -> Result<Client, ClientError> {
        for path in paths {
            match UnixStream::connect(path) {
                Ok(stream) => return Ok(Client { stream, input: Vec::new() }),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    let words = format!(
                        "{}: this user may not control the station: join its group \
                         (sudo usermod -aG visavis $USER, then log in again)",
                        path.display()
                    );
                    return Err(ClientError::NoStation(words));
                }
                Err(_) => {}
            }
        }
        let looked: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        Err(ClientError::NoStation(format!(
            "no station is running here: start it with systemctl start visavis, or give --socket PATH (looked at {})",
            looked.join(", ")
        )))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`ClientError::Broken`]: the station said why it hangs up, or it did not answer.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, ClientError> {
        let mut frame = Vec::new();
        write_frame(request, REQUEST_BYTES_MAX, &mut frame)?;
        let broken = |error: std::io::Error| ClientError::Broken(format!("the station does not answer: {error}"));
        self.stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(broken)?;
        // A station that hangs up says why before it does; that is worth reading even if writing failed.
        let written = self.stream.write_all(&frame);
        match self.read()? {
            Reply::Answer(answer) => Ok(answer),
            Reply::Goodbye(reason) => Err(ClientError::Broken(reason)),
            Reply::Event(_) => {
                written.map_err(broken)?;
                Err(FrameError::Garbage.into())
            }
        }
    }

    /// The next event, after [`Request::Watch`]; it may take for ever.
    ///
    /// # Errors
    /// [`ClientError::Broken`]: the station ended, or said why it hangs up.
    pub fn next_event(&mut self) -> Result<Event, ClientError> {
        let unlimited = self.stream.set_read_timeout(None);
        unlimited.map_err(|error| ClientError::Broken(format!("cannot wait for events: {error}")))?;
        match self.read()? {
            Reply::Event(event) => Ok(event),
            Reply::Goodbye(reason) => Err(ClientError::Broken(reason)),
            Reply::Answer(_) => Err(FrameError::Garbage.into()),
        }
    }

    fn read(&mut self) -> Result<Reply, ClientError> {
        let mut buffer = [0; 4096];
        loop {
            if let Some((reply, used)) = read_frame(&self.input, REPLY_BYTES_MAX)? {
                self.input.drain(..used);
                return Ok(reply);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ClientError::Broken("the station ended".into())),
                Ok(count) => self.input.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let seconds = ANSWER_WITHIN.as_secs();
                    return Err(ClientError::Broken(format!("the station did not answer within {seconds} s")));
                }
                Err(error) => return Err(ClientError::Broken(format!("the station hung up: {error}"))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_s_own_station_is_looked_for_before_the_service() {
        let paths = |set: &'static [(&'static str, &'static str)]| {
            client_paths(move |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        };
        assert_eq!(paths(&[]), [PathBuf::from(SYSTEM_PATH)]);
        let own = paths(&[("XDG_RUNTIME_DIR", "/run/user/7")]);
        assert_eq!(own, [PathBuf::from("/run/user/7/visavis/control.sock"), SYSTEM_PATH.into()]);
        assert_eq!(paths(&[("VISAVIS_SOCKET", "/x"), ("XDG_RUNTIME_DIR", "/run/user/7")]), [PathBuf::from("/x")]);
    }

    #[test]
    fn where_no_station_runs_the_error_says_how_to_start_one() {
        let Err(error) = Client::connect(&["/nowhere/control.sock".into()]) else { panic!("nobody listens there") };
        assert!(
            matches!(&error, ClientError::NoStation(words) if words.contains("systemctl start visavis")),
            "{error}"
        );
    }
}
