//! A client of HTTP/1.1 that costs next to nothing: one kept connection, one request at a time, no header looked at unless asked.
//!
//! One core must keep a server on the other core busy, so nothing here is general: it understands what our own servers answer.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest head and body that are taken.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A kept connection and the last answer that came over it.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    head: usize,
    body: std::ops::Range<usize>,
    chunked: Option<Vec<u8>>,
    status: u16,
}

impl Connection {
    pub async fn open(port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port))
            .await
            .map_err(|error| format!("connecting to port {port}: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 * 1024),
            head: 0,
            body: 0..0,
            chunked: None,
            status: 0,
        })
    }

    /// Sends bytes made beforehand and waits for the whole answer.
    pub async fn call(&mut self, request: &[u8]) -> Result<u16, String> {
        let fault = |error: std::io::Error| format!("the connection broke: {error}");
        self.stream.write_all(request).await.map_err(fault)?;
        self.buffer.clear();
        self.chunked = None;
        loop {
            if self.buffer.len() > ANSWER_BYTES_MAX {
                return Err("the answer is too long".to_owned());
            }
            let count = self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .map_err(fault)?;
            if count == 0 {
                return Err("the server closed the connection".to_owned());
            }
            if self.is_whole()? {
                return Ok(self.status);
            }
        }
    }

    pub fn head(&self) -> &str {
        std::str::from_utf8(&self.buffer[..self.head]).unwrap_or_default()
    }

    pub fn body(&self) -> &str {
        let bytes = self
            .chunked
            .as_deref()
            .unwrap_or(&self.buffer[self.body.clone()]);
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The values of a header, in the order in which they came.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        values(self.head(), name)
    }

    /// What a person needs to see of an answer that should have been another.
    pub fn shown(&self) -> String {
        let mut shown = format!("{}\n{}", self.head().trim_end(), self.body());
        if let Some((at, _)) = shown.char_indices().nth(1500) {
            shown.truncate(at);
        }
        shown
    }

    fn is_whole(&mut self) -> Result<bool, String> {
        let Some(end) = find(&self.buffer, b"\r\n\r\n") else {
            return Ok(false);
        };
        self.head = end + 4;
        self.status = self
            .buffer
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
            .ok_or("the answer has no status")?;
        let length = values(self.head(), "content-length")
            .next()
            .and_then(|value| value.parse::<usize>().ok());
        if let Some(length) = length {
            self.body = self.head..self.head + length;
            return Ok(self.buffer.len() >= self.body.end);
        }
        if values(self.head(), "transfer-encoding").next() == Some("chunked") {
            self.chunked = unchunk(&self.buffer[self.head..]);
            return Ok(self.chunked.is_some());
        }
        self.body = self.head..self.head;
        Ok(true)
    }
}

/// A request without a body. `headers` are whole lines.
pub fn get(port: u16, path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n").into_bytes()
}

/// A form post.
pub fn post(port: u16, path: &str, headers: &str, form: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .into_bytes()
}

/// A value as it stands in a form or a query.
pub fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn values<'a>(head: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    head.split("\r\n").skip(1).filter_map(move |line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// The body of a chunked answer, when all of it is there.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        let data = rest.get(line + 2..line + 2 + size + 2)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&data[..size]);
        rest = &rest[line + 2 + size + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_is_whole_when_its_last_chunk_is_there() {
        assert_eq!(
            unchunk(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
            Some(b"abcde".to_vec())
        );
        assert_eq!(unchunk(b"3\r\nabc\r\n2\r\nde\r\n0\r\n"), None);
        assert_eq!(unchunk(b"3\r\nab"), None);
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let head =
            "HTTP/1.1 303 See Other\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nlocation: /x\r\n\r\n";
        assert_eq!(
            values(head, "set-cookie").collect::<Vec<_>>(),
            ["a=1", "b=2"]
        );
        assert_eq!(values(head, "Location").next(), Some("/x"));
        assert_eq!(values(head, "age").next(), None);
    }

    #[test]
    fn a_request_names_its_port_and_encodes_what_it_must() {
        let request = get(81, "/x", "");
        assert_eq!(request, b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:81\r\n\r\n");
        assert_eq!(encode("a b/ü~"), "a%20b%2F%C3%BC~");
    }
}
