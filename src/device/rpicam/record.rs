//! The records that the program writes of its pictures (`--metadata-format txt`): lines `Name=value`, then an empty one.
//!
//! Of all that libcamera knows of a picture only the time at which the sensor began to send it is of use here.

use nix::errno::Errno;
use nix::unistd::read;
use std::io;
use std::os::fd::AsFd;

/// The sensor's time stamp, in nanoseconds; the driver takes it from CLOCK_MONOTONIC.
const SENSOR_TIMESTAMP: &[u8] = b"SensorTimestamp=";
/// As much of a line as is looked at: the name above and the digits of a 64-bit number. Other lines may be long.
const LINE_MAX: usize = 40;
/// Read at once: a record is one to two kilobytes.
const READ_BYTES: usize = 2_048;

/// What is known of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// `None` where there is none that can be read.
    pub sensor_nanos: Option<u64>,
}

/// Takes records out of a pipe one by one.
#[derive(Debug)]
pub(super) struct Records {
    buffer: Box<[u8; READ_BYTES]>,
    /// What of the buffer is read and not yet looked at.
    unread: core::ops::Range<usize>,
    parser: Parser,
    is_closed: bool,
}

impl Default for Records {
    fn default() -> Records {
        Records { buffer: Box::new([0; READ_BYTES]), unread: 0..0, parser: Parser::default(), is_closed: false }
    }
}

impl Records {
    /// The next record, if all of it has come.
    ///
    /// # Errors
    /// What read(2) says.
    pub(super) fn next(&mut self, pipe: impl AsFd) -> io::Result<Option<Record>> {
        loop {
            for at in self.unread.by_ref() {
                if let Some(record) = self.parser.take(self.buffer[at]) {
                    return Ok(Some(record));
                }
            }
            if self.is_closed {
                return Ok(None);
            }
            match read(&pipe, &mut self.buffer[..]) {
                Ok(0) => self.is_closed = true,
                Ok(got) => self.unread = 0..got,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Whether none will come any more.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }
}

/// A record as far as it was read, byte by byte.
#[derive(Debug, Default)]
struct Parser {
    line: heapless::Vec<u8, LINE_MAX>,
    record: Record,
}

impl Parser {
    /// Takes a byte; a record where it was its last one.
    fn take(&mut self, byte: u8) -> Option<Record> {
        if byte != b'\n' {
            // The end of a long line is not looked at.
            let _ = self.line.push(byte);
            return None;
        }
        if self.line.is_empty() {
            return Some(core::mem::take(&mut self.record));
        }
        if let Some(digits) = self.line.strip_prefix(SENSOR_TIMESTAMP) {
            self.record.sensor_nanos = core::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        }
        self.line.clear();
        None
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the time stamps are found whatever else stands in a record and however it is cut. Method: bytes.
    use super::*;
    use proptest::prelude::*;

    fn records(text: &[u8]) -> Vec<Option<u64>> {
        let mut parser = Parser::default();
        text.iter().filter_map(|byte| parser.take(*byte)).map(|record| record.sensor_nanos).collect()
    }

    #[test]
    fn a_record_gives_its_time_stamp_and_ends_at_the_empty_line() {
        let text = b"ExposureTime=9986\nSensorTimestamp=81234567890\nAeState=2\n\nColourGains=[ 1.5, 1.6 ]\n\nSensor";
        assert_eq!(records(text), [Some(81_234_567_890), None]);
    }

    #[test]
    fn a_time_stamp_that_is_no_number_is_none() {
        for value in ["", "-5", "1e9", "99999999999999999999999", "999999999999999999999999999999999999999999"] {
            assert_eq!(records(format!("SensorTimestamp={value}\n\n").as_bytes()), [None], "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_as_many_records_as_they_have_empty_lines(bytes in proptest::collection::vec(
            prop_oneof![Just(b'\n'), any::<u8>()], 0..200))
        {
            let starts_empty = usize::from(bytes.first() == Some(&b'\n'));
            let empty_lines = bytes.windows(2).filter(|pair| *pair == b"\n\n").count() + starts_empty;
            prop_assert_eq!(records(&bytes).len(), empty_lines);
        }
    }
}
