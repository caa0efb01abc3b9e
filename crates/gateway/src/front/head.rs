//! The head of an HTTP/1.1 message, judged on its raw bytes (RFC 9112, strict).
//!
//! Where the RFC lets a recipient mend something (a bare line feed, white space around it, a fold, `Content-Length`
//! beside `Transfer-Encoding`), this refuses: two recipients that mend differently are how requests are smuggled.
//! What is accepted here is read the same way by every recipient. Total for any bytes; looks at each byte once.

use super::refusal::Refusal;

/// Methods that are passed on. `CONNECT` and `TRACE` never are.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Longest request target in bytes.
pub const TARGET_BYTES: usize = 16 * 1024;
/// Digits of a length that always fit.
const LENGTH_DIGITS: usize = 15;

/// Bounds of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most bytes, with the empty line at its end.
    pub bytes: usize,
    /// Most fields.
    pub fields: usize,
}

/// How the body of a message is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none given: no body in a request, until the end of the connection in a response.
    Absent,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// Finds the end of a head: the position behind its empty line. `scanned` is where the search goes on when more bytes
/// came; it is 0 for a new head.
///
/// # Errors
/// When a line does not end with CR LF, or the head is longer than `bounds` allow.
pub fn end(bytes: &[u8], scanned: &mut usize, bounds: Bounds) -> Result<Option<usize>, Refusal> {
    let mut from = *scanned;
    while let Some(found) = memchr::memchr(b'\n', &bytes[from..]) {
        let at = from + found;
        if at == 0 || bytes[at - 1] != b'\r' {
            return Err(Refusal::Malformed);
        }
        if at + 1 > bounds.bytes {
            return Err(Refusal::TooLarge);
        }
        if at == 1 || bytes[..=at].ends_with(b"\r\n\r\n") {
            return Ok(Some(at + 1));
        }
        from = at + 1;
    }
    *scanned = bytes.len();
    if bytes.len() >= bounds.bytes { Err(Refusal::TooLarge) } else { Ok(None) }
}

/// Judges the head of a request; `head` ends with its empty line.
///
/// # Errors
/// Why it is refused.
pub fn request(head: &[u8], bounds: Bounds) -> Result<Framing, Refusal> {
    let (line, fields) = split_line(head)?;
    let mut parts = line.split(|byte| *byte == b' ');
    let (method, target, version) = (parts.next(), parts.next(), parts.next());
    let (Some(method), Some(target), Some(version), None) = (method, target, version, parts.next()) else {
        return Err(Refusal::Malformed);
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Refusal::Malformed);
    }
    if target.len() > TARGET_BYTES {
        return Err(Refusal::TargetTooLong);
    }
    if target.is_empty() || !all(target, |byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(Refusal::Malformed);
    }
    let chunks_are_known = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        // The preface of HTTP/2 too: only TLS may agree on HTTP/2.
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(Refusal::Version);
        }
        _ => return Err(Refusal::Malformed),
    };
    if !METHODS.iter().any(|known| known.as_bytes() == method) {
        return Err(Refusal::Method);
    }
    let framing = framing(fields, bounds)?;
    if framing == Framing::Chunked && !chunks_are_known { Err(Refusal::Framing) } else { Ok(framing) }
}

/// Judges the head of a response and gives its status with its framing.
///
/// # Errors
/// Why it is refused.
pub fn response(head: &[u8], bounds: Bounds) -> Result<(u16, Framing), Refusal> {
    let (line, fields) = split_line(head)?;
    let (version, rest) = line.split_at_checked(9).ok_or(Refusal::Malformed)?;
    if version != b"HTTP/1.1 " && version != b"HTTP/1.0 " {
        return Err(Refusal::Version);
    }
    let (digits, reason) = rest.split_at_checked(3).ok_or(Refusal::Malformed)?;
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let status: u16 =
        text.and_then(|text| text.parse().ok()).filter(|status| *status >= 100).ok_or(Refusal::Malformed)?;
    if !(reason.is_empty() || reason[0] == b' ') || !reason.iter().all(|byte| is_value(*byte)) {
        return Err(Refusal::Malformed);
    }
    Ok((status, framing(fields, bounds)?))
}

/// Judges every field and finds the framing.
fn framing(mut rest: &[u8], bounds: Bounds) -> Result<Framing, Refusal> {
    let mut framing = Framing::Absent;
    let mut fields = 0;
    while rest != b"\r\n" {
        let (line, after) = split_line(rest)?;
        rest = after;
        fields += 1;
        if fields > bounds.fields {
            return Err(Refusal::TooLarge);
        }
        let (name, value) = field(line)?;
        let given = match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => Framing::Length(length(value)?),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::Framing);
                }
                Framing::Chunked
            }
            _ => continue,
        };
        if framing != Framing::Absent {
            return Err(Refusal::Framing);
        }
        framing = given;
    }
    Ok(framing)
}

/// Name and trimmed value of a field line.
///
/// # Errors
/// When it is no field: no colon, a name that is no token, a fold, a control character.
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let colon = line.iter().position(|byte| !is_token(*byte)).ok_or(Refusal::Malformed)?;
    if colon == 0 || line[colon] != b':' {
        return Err(Refusal::Malformed);
    }
    let value = &line[colon + 1..];
    if !all(value, is_value) {
        return Err(Refusal::Malformed);
    }
    Ok((&line[..colon], value.trim_ascii()))
}

/// A length of digits only.
fn length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() || value.len() > LENGTH_DIGITS {
        return Err(Refusal::Framing);
    }
    value.iter().try_fold(0_u64, |sum, digit| {
        if digit.is_ascii_digit() { Ok(sum * 10 + u64::from(digit - b'0')) } else { Err(Refusal::Framing) }
    })
}

/// The first line without its end, and what comes after it.
fn split_line(bytes: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let end = memchr::memchr(b'\n', bytes).ok_or(Refusal::Malformed)?;
    let line = bytes[..end].strip_suffix(b"\r").ok_or(Refusal::Malformed)?;
    Ok((line, &bytes[end + 1..]))
}

/// Whether all bytes are such. Looks at every one, so that the compiler can look at many at a time.
pub(crate) fn all(bytes: &[u8], such: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, byte| all & such(*byte))
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Letters, digits, `-` and `_`.
pub(crate) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// RFC 9110 §5.5: visible characters, space, tab, and what is outside ASCII.
pub(super) fn is_value(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x7e | 0x80..)
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { bytes: 512, fields: 4 };

    fn check(head: &str, expect: Result<Framing, Refusal>) {
        let mut scanned = 0;
        let found = end(head.as_bytes(), &mut scanned, BOUNDS).and_then(|end| {
            let end = end.expect("a whole head");
            assert_eq!(end, head.len());
            request(head.as_bytes(), BOUNDS)
        });
        assert_eq!(found, expect, "{head:?}");
    }

    #[test]
    fn requests() {
        use Refusal::{Framing as Ambiguous, Malformed, Method, TooLarge, Version};
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Framing::Absent));
        check("POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\n", Ok(Framing::Length(12)));
        check("POST / HTTP/1.1\r\nTransfer-Encoding:\tCHUNKED \r\n\r\n", Ok(Framing::Chunked));
        check("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Err(Ambiguous));
        for length in ["", "+1", "0x1", "1 2", "1.0", "-1", "1,1", "9999999999999999", "1;"] {
            check(&format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"), Err(Ambiguous));
        }
        for coding in ["", "identity", "gzip, chunked", "chunked, chunked", "xchunked", "chunked;x", "\"chunked\""] {
            check(&format!("POST / HTTP/1.1\r\nTransfer-Encoding: {coding}\r\n\r\n"), Err(Ambiguous));
        }
        check("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", Err(Ambiguous));
        check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", Err(Ambiguous));
        for line in ["X-Foo : a", "X Foo: a", "X(Foo): a", ": a", "X-Foo", " X: a", "X: a\rb", "X: a\x01", "X: \x7f"] {
            check(&format!("GET / HTTP/1.1\r\n{line}\r\n\r\n"), Err(Malformed));
        }
        check("GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n", Err(Malformed));
        check("GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n", Err(Malformed));
        check("GET /\r\n\r\n", Err(Malformed));
        check("GET  / HTTP/1.1\r\n\r\n", Err(Malformed));
        check("GET / HTTP/1.10\r\n\r\n", Err(Malformed));
        check("GET /\u{e9} HTTP/1.1\r\n\r\n", Err(Malformed));
        check("PRI * HTTP/2.0\r\n\r\n", Err(Version));
        check("get / HTTP/1.1\r\n\r\n", Err(Method));
        check("TRACE / HTTP/1.1\r\n\r\n", Err(Method));
        check("CONNECT a:1 HTTP/1.1\r\n\r\n", Err(Method));
        check("GET / HTTP/1.1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\n\r\n", Err(TooLarge));
        check(&format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(600)), Err(TooLarge));
        check("\r\n", Err(Malformed));
    }

    #[test]
    fn an_end_is_found_however_the_bytes_come() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nmore";
        let mut scanned = 0;
        let found: Vec<usize> =
            (1..=head.len()).filter_map(|to| end(&head[..to], &mut scanned, BOUNDS).expect("no mistake")).collect();
        assert_eq!(found.first(), Some(&27));
    }

    #[test]
    fn responses() {
        let check = |head: &str, expect| assert_eq!(response(head.as_bytes(), BOUNDS), expect, "{head:?}");
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", Ok((200, Framing::Length(3))));
        check("HTTP/1.1 204\r\n\r\n", Ok((204, Framing::Absent)));
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", Err(Refusal::Framing));
        check("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", Err(Refusal::Malformed));
        check("HTTP/1.1 20 OK\r\n\r\n", Err(Refusal::Malformed));
        check("HTTP/2 200\r\n\r\n", Err(Refusal::Version));
    }
}
