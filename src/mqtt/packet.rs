//! The bytes of MQTT 3.1.1 (OASIS standard, 29 October 2014), as far as a client that publishes and subscribes needs them.
//!
//! What a broker sends is untrusted: lengths are looked at before anything is kept, and a message that is longer than any that
//! is meant for us ([`PAYLOAD_BYTES_MAX`]) is told of and passed over, never held.

/// Payload of a message to us at most: commands are a few words.
pub(super) const PAYLOAD_BYTES_MAX: usize = 1 << 10;
/// A topic's bytes at most, its length in two bytes (§1.5.3).
const TEXT_BYTES_MAX: usize = u16::MAX as usize;
/// The first byte, and up to four of the length (§2.2.3).
const HEADER_BYTES_MAX: usize = 5;

/// How hard the broker tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QoS {
    /// Once, and never again.
    AtMostOnce,
    /// Until it is acknowledged.
    AtLeastOnce,
}

/// A message from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its topic.
    pub topic: String,
    /// Its content.
    pub payload: Vec<u8>,
    /// Whether the broker must acknowledge it.
    pub qos: QoS,
    /// Whether the broker keeps it, for who subscribes later.
    pub is_retained: bool,
}

/// How a client introduces itself.
pub(super) struct Connect<'a> {
    pub client: &'a str,
    /// Topic and payload of what the broker says for us when we are gone; retained.
    pub will: (&'a str, &'a [u8]),
    pub user: Option<&'a str>,
    pub password: Option<&'a [u8]>,
    pub keep_alive_s: u16,
}

/// What a broker sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Its answer to our introduction, as a code: 0 is welcome.
    ConnectAnswer(u8),
    /// A message; with a number, it is to be acknowledged.
    Publish { topic: String, payload: Vec<u8>, is_retained: bool, number: Option<u16> },
    /// A message that is longer than any that is meant for us.
    Oversized { topic: String, number: Option<u16> },
    /// A message of ours has arrived.
    PublishAnswer(u16),
    /// What became of a subscription: for each topic the quality of service, or 0x80.
    SubscribeAnswer(Vec<u8>),
    /// It lives.
    Pong,
}

/// Bytes that are no packet of MQTT, or none that a broker may send to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbage;

fn text(bytes: &[u8], out: &mut Vec<u8>) {
    // Whoever writes longer texts finds them cut: topics, names and passwords are bounded before they come here.
    let bytes = &bytes[..bytes.len().min(TEXT_BYTES_MAX)];
    out.extend((bytes.len() as u16).to_be_bytes());
    out.extend(bytes);
}

/// The first byte, the length, and the rest.
fn packet(first: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    let mut length = body.len();
    loop {
        let (byte, rest) = ((length % 128) as u8, length / 128);
        out.push(if rest > 0 { byte | 0x80 } else { byte });
        length = rest;
        if length == 0 {
            break;
        }
    }
    out.extend(body);
}

pub(super) fn write_connect(connect: &Connect<'_>, out: &mut Vec<u8>) {
    // Level 4 is 3.1.1. A clean session, a will that is retained and of quality of service 1 (§3.1.2.3).
    let flags = 0b0010_1110 | (u8::from(connect.user.is_some()) << 7) | (u8::from(connect.password.is_some()) << 6);
    let mut body = Vec::new();
    text(b"MQTT", &mut body);
    body.extend([4, flags]);
    body.extend(connect.keep_alive_s.to_be_bytes());
    text(connect.client.as_bytes(), &mut body);
    text(connect.will.0.as_bytes(), &mut body);
    text(connect.will.1, &mut body);
    connect.user.iter().for_each(|user| text(user.as_bytes(), &mut body));
    connect.password.iter().for_each(|password| text(password, &mut body));
    packet(0x10, &body, out);
}

/// `number` is given for what is to be acknowledged.
pub(super) fn write_publish(publication: &Publication, number: Option<u16>, is_repeated: bool, out: &mut Vec<u8>) {
    let flags = (u8::from(is_repeated) << 3) | (u8::from(number.is_some()) << 1) | u8::from(publication.is_retained);
    let mut body = Vec::with_capacity(publication.topic.len() + publication.payload.len() + 4);
    text(publication.topic.as_bytes(), &mut body);
    body.extend(number.iter().flat_map(|number| number.to_be_bytes()));
    body.extend(&publication.payload);
    packet(0x30 | flags, &body, out);
}

pub(super) fn write_subscribe(number: u16, topics: &[String], out: &mut Vec<u8>) {
    let mut body = number.to_be_bytes().to_vec();
    for topic in topics {
        text(topic.as_bytes(), &mut body);
        body.push(1);
    }
    packet(0x82, &body, out);
}

pub(super) fn write_publish_answer(number: u16, out: &mut Vec<u8>) {
    packet(0x40, &number.to_be_bytes(), out);
}

pub(super) fn write_ping(out: &mut Vec<u8>) {
    packet(0xc0, &[], out);
}

pub(super) fn write_disconnect(out: &mut Vec<u8>) {
    packet(0xe0, &[], out);
}

/// Takes packets out of a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct Reader {
    input: Vec<u8>,
    /// Bytes that are still to come of a message that is passed over.
    passed_over: usize,
}

impl Reader {
    /// Takes in what came, as far as there is room for it: the rest is to be given again after [`Reader::poll`] was called until
    /// it gives nothing. How much was taken.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> usize {
        let skipped = bytes.len().min(self.passed_over);
        self.passed_over -= skipped;
        // Room for one packet of the longest topic and payload, and for the head of the next.
        let room = TEXT_BYTES_MAX + PAYLOAD_BYTES_MAX + 4 * HEADER_BYTES_MAX;
        let taken = (bytes.len() - skipped).min(room.saturating_sub(self.input.len()));
        self.input.extend_from_slice(&bytes[skipped..skipped + taken]);
        skipped + taken
    }

    /// The next packet, if it is all there.
    pub fn poll(&mut self) -> Result<Option<Incoming>, Garbage> {
        let Some((first, length, header)) = read_header(&self.input)? else { return Ok(None) };
        let body = &self.input[header..];
        if first >> 4 == 3 {
            return self.poll_publish(first, length, header);
        }
        // The longest other answer is that to a subscription, which has a few topics.
        if length > PAYLOAD_BYTES_MAX {
            return Err(Garbage);
        }
        let Some(body) = body.get(..length) else { return Ok(None) };
        let incoming = match (first, body) {
            (0x20, [_, code]) => Incoming::ConnectAnswer(*code),
            (0x40, [high, low]) => Incoming::PublishAnswer(u16::from_be_bytes([*high, *low])),
            (0x90, [_, _, codes @ ..]) if !codes.is_empty() => Incoming::SubscribeAnswer(codes.to_vec()),
            (0xd0, []) => Incoming::Pong,
            _ => return Err(Garbage),
        };
        self.input.drain(..header + length);
        Ok(Some(incoming))
    }

    fn poll_publish(&mut self, first: u8, length: usize, header: usize) -> Result<Option<Incoming>, Garbage> {
        let has_number = match (first >> 1) & 3 {
            0 => false,
            1 => true,
            // We subscribe to no more than 1, and 3 does not exist (§3.3.1.2).
            _ => return Err(Garbage),
        };
        let body = &self.input[header..];
        let Some(topic_length) = body.first_chunk::<2>().map(|bytes| usize::from(u16::from_be_bytes(*bytes))) else {
            return if length < 2 { Err(Garbage) } else { Ok(None) };
        };
        let head = 2 + topic_length + if has_number { 2 } else { 0 };
        if head > length {
            return Err(Garbage);
        }
        let is_oversized = length - head > PAYLOAD_BYTES_MAX;
        let Some(wanted) = body.get(..if is_oversized { head } else { length }) else { return Ok(None) };
        let topic = core::str::from_utf8(&wanted[2..2 + topic_length]).map_err(|_| Garbage)?.to_owned();
        let number = has_number.then(|| u16::from_be_bytes([wanted[head - 2], wanted[head - 1]]));
        if number == Some(0) {
            return Err(Garbage);
        }
        let (payload, is_retained) = (wanted[head..].to_vec(), first & 1 == 1);
        let here = body.len().min(length);
        self.passed_over = length - here;
        self.input.drain(..header + here);
        Ok(Some(if is_oversized {
            Incoming::Oversized { topic, number }
        } else {
            Incoming::Publish { topic, payload, is_retained, number }
        }))
    }
}

/// The first byte, the length of what follows the header, and the header's own; `None` where it is not all there.
fn read_header(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>, Garbage> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    let mut length = 0;
    for (place, byte) in rest.iter().take(HEADER_BYTES_MAX - 1).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(Some((*first, length, place + 2)));
        }
    }
    if rest.len() < HEADER_BYTES_MAX - 1 { Ok(None) } else { Err(Garbage) }
}

/// Entry for a fuzzer: whatever a broker sends, and however it is cut, it is read to its end or found to be garbage, and never
/// is more held than a packet.
///
/// # Panics
/// Where that does not hold.
pub fn fuzz_packets(bytes: &[u8]) {
    let read = |cut: usize| {
        let (mut reader, mut found) = (Reader::default(), Vec::new());
        for mut part in bytes.chunks(cut.max(1)) {
            loop {
                let taken = reader.handle_bytes(part);
                part = &part[taken..];
                loop {
                    match reader.poll() {
                        Ok(Some(incoming)) => found.push(incoming),
                        Ok(None) => break,
                        Err(Garbage) => return (found, true),
                    }
                }
                if part.is_empty() {
                    break;
                }
                assert!(taken > 0, "there is no room, and nothing that would make some");
            }
        }
        (found, false)
    };
    assert_eq!(read(bytes.len()), read(1), "where it is cut makes a difference");
}

#[cfg(test)]
mod tests {
    //! Goal: what is written is what the standard says, and what is read is bounded. Method: bytes from the standard, written down
    //! here, and random ones.
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn packets_are_as_the_standard_has_them() {
        let mut bytes = Vec::new();
        let will: (&str, &[u8]) = ("v/a", b"off");
        let (user, password) = (Some("me"), Some(&b"pw"[..]));
        write_connect(&Connect { client: "c", will, user, password, keep_alive_s: 15 }, &mut bytes);
        assert_eq!(bytes, b"\x10\x1f\0\x04MQTT\x04\xee\0\x0f\0\x01c\0\x03v/a\0\x03off\0\x02me\0\x02pw");
        bytes.clear();
        let publication =
            Publication { topic: "a/b".into(), payload: b"hi".to_vec(), qos: QoS::AtLeastOnce, is_retained: true };
        write_publish(&publication, Some(0x102), true, &mut bytes);
        assert_eq!(bytes, b"\x3b\x09\0\x03a/b\x01\x02hi");
        bytes.clear();
        write_subscribe(7, &["x".into(), "y".into()], &mut bytes);
        assert_eq!(bytes, b"\x82\x0a\0\x07\0\x01x\x01\0\x01y\x01");
        bytes.clear();
        // 321 takes two bytes (§2.2.3).
        let long = Publication { payload: vec![0; 316], qos: QoS::AtMostOnce, is_retained: false, ..publication };
        write_publish(&long, None, false, &mut bytes);
        assert_eq!(bytes[..3], [0x30, 0xc1, 0x02]);
    }

    fn read(bytes: &[u8]) -> Result<Vec<Incoming>, Garbage> {
        let (mut reader, mut found) = (Reader::default(), Vec::new());
        assert_eq!(reader.handle_bytes(bytes), bytes.len());
        while let Some(incoming) = reader.poll()? {
            found.push(incoming);
        }
        Ok(found)
    }

    #[test]
    fn a_message_too_long_is_passed_over_and_what_follows_is_read() {
        let publication = |payload: usize| Publication {
            topic: "t".into(),
            payload: vec![b'x'; payload],
            qos: QoS::AtLeastOnce,
            is_retained: false,
        };
        let mut bytes = Vec::new();
        write_publish(&publication(PAYLOAD_BYTES_MAX + 1), Some(5), false, &mut bytes);
        write_publish(&publication(1), Some(6), false, &mut bytes);
        let oversized = Incoming::Oversized { topic: "t".into(), number: Some(5) };
        let fits = Incoming::Publish { topic: "t".into(), payload: b"x".to_vec(), is_retained: false, number: Some(6) };
        assert_eq!(read(&bytes), Ok(vec![oversized, fits]));
    }

    #[test]
    fn what_no_broker_sends_is_garbage() {
        for bytes in [
            &b"\x20\x01\0"[..],
            b"\x10\x02\0\0",
            b"\xd0\xff\xff\xff\xff\x01",
            b"\x34\x05\0\x01t\0\x01",
            b"\x32\x05\0\x01t\0\0",
            b"\x30\x01\0",
            b"\x30\x03\0\x02t",
            b"\x30\x04\0\x02\xff\xff",
            b"\x90\x02\0\x01",
        ] {
            assert_eq!(read(bytes), Err(Garbage), "{bytes:?}");
        }
        assert_eq!(read(b"\xd0\0\x20\x02\0\x05"), Ok(vec![Incoming::Pong, Incoming::ConnectAnswer(5)]));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_where_they_are_cut_does_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            fuzz_packets(&bytes);
        }

        #[test]
        fn messages_that_are_cut_are_read_all_the_same(length in 0usize..3_000, kept in any::<bool>()) {
            let payload = vec![1; length];
            let publication = Publication { topic: "a".into(), payload, qos: QoS::AtLeastOnce, is_retained: kept };
            let mut bytes = Vec::new();
            write_publish(&publication, Some(1), false, &mut bytes);
            write_ping(&mut bytes);
            bytes.pop();
            fuzz_packets(&bytes);
        }
    }
}
