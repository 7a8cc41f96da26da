//! Goal: a scraper is answered, whoever else hangs at the port, and nothing grows. Method: real sockets on loopback; the
//! test is the thread that turns the server, so that everything happens in a known order; time is given.

use super::*;

struct Bench {
    server: Server,
    now: Instant,
}

impl Bench {
    fn new() -> Bench {
        Bench { server: Server::bind("127.0.0.1:0".parse().unwrap()).unwrap(), now: Instant::from_millis(1_000) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.address().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    fn turn(&mut self) {
        self.server.handle_ready(self.now, || "numbers 1\n".repeat(1_000));
        assert!(self.server.clients.len() <= CLIENTS_MAX);
    }

    /// Turns until the client has got all that it gets.
    fn answer(&mut self, mut stream: &TcpStream) -> String {
        let mut answer = Vec::new();
        for _ in 0..100_000 {
            self.turn();
            let mut buffer = [0; 4_096];
            match stream.read(&mut buffer) {
                Ok(0) => return String::from_utf8(answer).unwrap(),
                Ok(count) => answer.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => panic!("after {} bytes: {error}", answer.len()),
            }
        }
        panic!("no end comes")
    }

    fn scrape(&mut self) {
        let mut stream = self.connect();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        let answer = self.answer(&stream);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\nConnection: close\r\n"), "{answer}");
        assert!(answer.contains("\r\nContent-Length: 10000\r\n") && answer.ends_with("numbers 1\n"));
    }
}

#[test]
fn a_scraper_is_answered_and_let_go() {
    let mut bench = Bench::new();
    bench.scrape();
    bench.scrape();
    for _ in 0..1_000 {
        bench.turn();
    }
    assert!(bench.server.clients.is_empty());
}

#[test]
fn who_sends_slowly_loses_its_place_to_others_and_then_its_time() {
    let mut bench = Bench::new();
    let mut slow: Vec<_> = (0..CLIENTS_MAX).map(|_| bench.connect()).collect();
    for byte in b"GET /metr" {
        slow.iter_mut().for_each(|stream| stream.write_all(&[*byte]).unwrap());
        bench.turn();
    }
    bench.scrape();
    bench.now += CLIENT_TIME;
    bench.turn();
    assert!(bench.server.clients.is_empty() && bench.server.poll_timeout().is_none());
}

#[test]
fn a_giant_head_is_refused_without_being_kept() {
    let mut bench = Bench::new();
    let mut stream = bench.connect();
    bench.turn();
    let head = [b"GET /metrics HTTP/1.1\r\nCookie: ".as_slice(), &vec![b'x'; 64 << 10]].concat();
    let mut sent = 0;
    while sent < head.len() {
        match stream.write(&head[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        bench.turn();
        assert!(bench.server.clients.iter().all(|client| client.input.len() <= REQUEST_BYTES_MAX));
    }
    assert!(bench.answer(&stream).starts_with("HTTP/1.1 400 "));
}

#[test]
fn garbage_is_answered_as_such() {
    let mut bench = Bench::new();
    let mut stream = bench.connect();
    stream.write_all(b"\x16\x03\x01\x02\x00\xff\xfe\r\n\r\n").unwrap();
    assert!(bench.answer(&stream).starts_with("HTTP/1.1 400 "));
}

#[test]
fn of_a_thousand_connections_four_are_held_and_the_port_still_answers() {
    let mut bench = Bench::new();
    let mut held = Vec::new();
    for _ in 0..1_000 {
        held.push(bench.connect());
        bench.turn();
        // Their other ends are closed by now; what the test itself may hold open is limited too.
        if held.len() > 100 {
            held.remove(0);
        }
    }
    bench.scrape();
}

#[test]
fn who_asks_and_does_not_read_is_dropped_in_time() {
    let mut bench = Bench::new();
    let stream = bench.connect();
    (&stream).write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    while bench.server.clients.first().is_none_or(|client| client.output.is_empty()) {
        bench.turn();
    }
    bench.now = bench.server.poll_timeout().unwrap();
    bench.turn();
    assert!(bench.server.clients.is_empty());
}
