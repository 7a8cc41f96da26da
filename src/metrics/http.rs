//! As much of HTTP/1.1 (RFC 9112) as a scraper needs: a request's head, and a whole answer.

/// Longest head of a request; Prometheus' own has some 300 bytes.
pub(super) const REQUEST_BYTES_MAX: usize = 4 << 10;

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The numbers.
    Metrics,
    /// Something that is not here.
    Elsewhere,
    /// Another method than GET.
    OtherMethod,
    /// Not HTTP/1, or longer than any request.
    Wrong,
}

/// The request that `bytes` begin with; `None` while its head is not all there.
pub(super) fn read(bytes: &[u8]) -> Option<Request> {
    let ends = |end: &[u8]| bytes.windows(end.len()).any(|part| part == end);
    if !ends(b"\r\n\r\n") && !ends(b"\n\n") {
        return (bytes.len() >= REQUEST_BYTES_MAX).then_some(Request::Wrong);
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = core::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)) else { return Some(Request::Wrong) };
    let words: Vec<&str> = line.split(' ').collect();
    let &[method, target, "HTTP/1.0" | "HTTP/1.1"] = words.as_slice() else { return Some(Request::Wrong) };
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Some(Request::Wrong);
    }
    let path = target.split('?').next();
    Some(match (path, method) {
        (Some("/metrics"), "GET") => Request::Metrics,
        (Some("/metrics"), _) => Request::OtherMethod,
        _ => Request::Elsewhere,
    })
}

/// The answer, with what `metrics` gives where that was asked for.
pub(super) fn answer(request: Request, metrics: impl FnOnce() -> String) -> Vec<u8> {
    let plain = "text/plain; charset=utf-8";
    let (status, kind, more, body) = match request {
        Request::Metrics => ("200 OK", "text/plain; version=0.0.4; charset=utf-8", "", metrics()),
        Request::Elsewhere => ("404 Not Found", plain, "", "There is /metrics here, and nothing else.\n".into()),
        Request::OtherMethod => {
            ("405 Method Not Allowed", plain, "Allow: GET\r\n", "Numbers are read here, with GET.\n".into())
        }
        Request::Wrong => ("400 Bad Request", plain, "", "That is no request of HTTP/1.1.\n".into()),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    //! Goal: requests are told apart, whatever comes. Method: texts, cut anywhere, and random bytes.
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_scraper_s_request_is_understood_once_its_head_is_all_there() {
        let request = b"GET /metrics?a=b HTTP/1.1\r\nHost: localhost:9187\r\nAccept: text/plain\r\n\r\n";
        for cut in 0..request.len() {
            assert_eq!(read(&request[..cut]), None, "{cut}");
        }
        assert_eq!(read(request), Some(Request::Metrics));
        assert_eq!(read(b"GET /metrics HTTP/1.0\n\n"), Some(Request::Metrics));
    }

    #[test]
    fn other_requests_are_answered_with_what_is_wrong() {
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("GET /metrics/x HTTP/1.1\r\n\r\n", "404"),
            ("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405"),
            ("GET /metrics HTTP/2.0\r\n\r\n", "400"),
            ("GET  /metrics HTTP/1.1\r\n\r\n", "400"),
            ("get /metrics HTTP/1.1\r\n\r\n", "400"),
            ("\r\n\r\n", "400"),
        ] {
            let request = read(request.as_bytes()).unwrap_or_else(|| panic!("{request}"));
            let text = String::from_utf8(answer(request, || panic!("nobody asked for the numbers"))).unwrap();
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
            assert_eq!(text.contains("Allow: GET"), status == "405");
        }
        assert_eq!(read(&vec![b'a'; REQUEST_BYTES_MAX]), Some(Request::Wrong));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read(&[b"GET ", bytes.as_slice(), b"\r\n\r\n"].concat());
        }
    }
}
