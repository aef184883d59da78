//! The parts of a body of the type `multipart/form-data` (RFC 7578), as far as a test needs them.

use super::fake_server::Request;

/// One part.
#[derive(Debug, Clone)]
pub struct Part {
    pub name: String,
    /// The type of a file.
    pub kind: Option<String>,
    pub bytes: Vec<u8>,
}

/// The parts of a request; `None` if it is not multipart, or malformed.
pub fn parts(seen: &Request) -> Option<Vec<Part>> {
    let kind = seen.header("content-type")?;
    let boundary = kind.strip_prefix("multipart/form-data; boundary=")?.trim_matches('"');
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter may be at the very beginning.
    let body = [b"\r\n", &*seen.bytes].concat();
    let mut pieces = split(&body, delimiter.as_bytes()).into_iter().skip(1);
    let mut parts = Vec::new();
    loop {
        let piece = pieces.next()?;
        if piece.starts_with(b"--") {
            return Some(parts);
        }
        parts.push(part(piece.strip_prefix(b"\r\n")?)?);
    }
}

fn part(piece: &[u8]) -> Option<Part> {
    let mut halves = split(piece, b"\r\n\r\n").into_iter();
    let head = std::str::from_utf8(halves.next()?).ok()?;
    let bytes = piece[head.len() + 4..].to_vec();
    let (mut name, mut kind) = (None, None);
    for line in head.split("\r\n") {
        let (header, value) = line.split_once(": ")?;
        if header.eq_ignore_ascii_case("content-disposition") {
            name = value
                .split("; ")
                .find_map(|piece| piece.strip_prefix("name="))
                .map(|name| name.trim_matches('"'));
        } else if header.eq_ignore_ascii_case("content-type") {
            kind = Some(value.to_owned());
        }
    }
    Some(Part { name: name?.to_owned(), kind, bytes })
}

fn split<'b>(bytes: &'b [u8], at: &[u8]) -> Vec<&'b [u8]> {
    let (mut pieces, mut start, mut next) = (Vec::new(), 0, 0);
    while next + at.len() <= bytes.len() {
        if bytes[next..].starts_with(at) {
            pieces.push(&bytes[start..next]);
            next += at.len();
            start = next;
        } else {
            next += 1;
        }
    }
    pieces.push(&bytes[start..]);
    pieces
}
