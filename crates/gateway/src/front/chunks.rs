//! Follows the framing of a chunked body (RFC 9112 §7.1) without keeping any of it.
//!
//! Stricter than the RFC: lines end with CR LF only, no white space around a size, sizes of at most 15 digits, bounded
//! extensions and trailers. hyper decodes the same bytes; what is accepted here is read the same way by everybody.

use super::head::{field, is_value};

/// Most bytes of the extensions of one chunk.
const EXTENSION_BYTES: usize = 256;
/// Most bytes of all trailers together.
const TRAILER_BYTES: usize = 4 * 1024;
/// Most digits of a size.
const SIZE_DIGITS: u8 = 15;

/// Where in a chunked body.
#[derive(Debug)]
pub struct Chunks {
    at: At,
    trailers: usize,
}

#[derive(Debug)]
enum At {
    Size { digits: u8, size: u64 },
    Extension { size: u64, bytes: usize },
    SizeEnd { size: u64 },
    Data(u64),
    DataReturn,
    DataEnd,
    Trailer(Vec<u8>),
}

/// The framing is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunks of the body are malformed")]
pub struct Broken;

impl Default for Chunks {
    fn default() -> Self {
        Self { at: At::Size { digits: 0, size: 0 }, trailers: 0 }
    }
}

impl Chunks {
    /// Follows these bytes; gives where the body ended in them, or `None` when it goes on.
    ///
    /// # Errors
    /// When the framing is broken; nothing more can be followed then.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<Option<usize>, Broken> {
        let mut at = 0;
        while at < bytes.len() {
            if let At::Data(left) = &mut self.at {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                *left -= here as u64;
                at += here;
                if *left == 0 {
                    self.at = At::DataReturn;
                }
                continue;
            }
            let ended = self.step(bytes[at])?;
            at += 1;
            if ended {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// One byte outside data; whether the body ends with it.
    fn step(&mut self, byte: u8) -> Result<bool, Broken> {
        match (&mut self.at, byte) {
            (At::Size { digits, size }, _) if byte.is_ascii_hexdigit() && *digits < SIZE_DIGITS => {
                *digits += 1;
                *size = *size * 16 + u64::from(hex(byte));
            }
            (At::Size { digits: 1.., size }, b'\r') => self.at = At::SizeEnd { size: *size },
            (At::Size { digits: 1.., size }, b';') => self.at = At::Extension { size: *size, bytes: 0 },
            (At::Extension { size, .. }, b'\r') => self.at = At::SizeEnd { size: *size },
            (At::Extension { bytes, .. }, _) if is_value(byte) && *bytes < EXTENSION_BYTES => *bytes += 1,
            (At::SizeEnd { size: 0 }, b'\n') => self.at = At::Trailer(Vec::new()),
            (At::SizeEnd { size }, b'\n') => self.at = At::Data(*size),
            (At::DataReturn, b'\r') => self.at = At::DataEnd,
            (At::DataEnd, b'\n') => self.at = At::Size { digits: 0, size: 0 },
            (At::Trailer(line), b'\n') => match line.strip_suffix(b"\r") {
                Some(b"") => return Ok(true),
                Some(line) if field(line).is_ok() => self.at = At::Trailer(Vec::new()),
                _ => return Err(Broken),
            },
            (At::Trailer(line), _) if self.trailers < TRAILER_BYTES => {
                self.trailers += 1;
                line.push(byte);
            }
            _ => return Err(Broken),
        }
        Ok(false)
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expect: Result<Option<usize>, Broken>) {
        assert_eq!(Chunks::default().follow(body.as_bytes()), expect, "{body:?}");
        let mut slowly = Chunks::default();
        let mut found = Ok(None);
        for (index, byte) in body.bytes().enumerate() {
            found = slowly.follow(&[byte]).map(|end| end.map(|end| end + index));
            if found != Ok(None) {
                break;
            }
        }
        assert_eq!(found, expect, "{body:?}, byte by byte");
    }

    #[test]
    fn bodies() {
        check("3\r\nabc\r\n0\r\n\r\n", Ok(Some(13)));
        check("3\r\nabc\r\n0\r\n\r\nGET /", Ok(Some(13)));
        check("A;x=\"1\"\r\n0123456789\r\n0\r\nX: y\r\n\r\n", Ok(Some(32)));
        check("3\r\nabc\r\n", Ok(None));
        for broken in [
            "\r\n",
            "3\nabc\r\n",
            "3\rabc",
            "-1\r\n",
            "+3\r\n",
            "0x3\r\n",
            "3 \r\n",
            " 3\r\n",
            "3;a\nabc",
            "2\r\nabc\r\n",
            "5\r\nabc\r\n0\r\n\r\n",
            "FFFFFFFFFFFFFFFFF\r\n",
            "3\r\nabcXX",
            "g\r\n",
            ";\r\n",
            "0\r\n X: y\r\n\r\n",
            "0\r\nX y\r\n\r\n",
            "0\r\nX: y\n\r\n",
        ] {
            check(broken, Err(Broken));
        }
        check(&format!("0\r\nX: {}\r\n\r\n", "y".repeat(5000)), Err(Broken));
        check(&format!("3;{}\r\nabc\r\n", "y".repeat(300)), Err(Broken));
    }
}
