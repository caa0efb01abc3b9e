//! The path a request means: one canonical spelling, which is matched and forwarded.
//!
//! Unreserved characters are decoded, other escapes keep upper-case digits, and whatever a server behind may fold into
//! something else is refused: encoded separators, dot segments, parameters, control characters, bytes that are no
//! UTF-8. So what the routes judged is what the upstream gets. For an upstream whose paths need such characters a route
//! may be raw: then [`readings`] gives every path that some server would see, and all of them must mean that route.

use super::refusal::{Ambiguity, Refusal};
use std::borrow::Cow;

/// Rounds of decoding that are looked at for a raw path.
const ROUNDS: usize = 3;

/// The canonical spelling of a path.
///
/// # Errors
/// When it can be read in more than one way.
pub fn canonical(path: &str) -> Result<Cow<'_, str>, Refusal> {
    let ambiguous = |why| Err(Refusal::Path(why));
    if !path.starts_with('/') {
        return Err(Refusal::Target);
    }
    if path.bytes().all(is_plain) {
        segments(path)?;
        return Ok(Cow::Borrowed(path));
    }
    let mut out = Vec::with_capacity(path.len());
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'%' => {
                let Some(byte) = escape(after) else { return ambiguous(Ambiguity::Percent) };
                rest = &after[2..];
                match byte {
                    b'/' | b'\\' | b'%' => return ambiguous(Ambiguity::Separator),
                    b';' => return ambiguous(Ambiguity::Parameter),
                    0..=0x1f | 0x7f => return ambiguous(Ambiguity::Control),
                    _ if is_unreserved(byte) => out.push(byte),
                    _ => out.extend_from_slice(&[b'%', upper(after[0]), upper(after[1])]),
                }
                decoded.push(byte);
            }
            b';' | b'\\' => return ambiguous(Ambiguity::Parameter),
            0..=0x1f | 0x7f => return ambiguous(Ambiguity::Control),
            _ if is_plain(*byte) => {
                out.push(*byte);
                decoded.push(*byte);
            }
            _ => return ambiguous(Ambiguity::Character),
        }
    }
    let Ok(decoded) = String::from_utf8(decoded) else { return ambiguous(Ambiguity::Character) };
    if decoded.chars().any(folds) {
        return ambiguous(Ambiguity::Character);
    }
    segments(&decoded)?;
    String::from_utf8(out).map(Cow::Owned).map_err(|_| Refusal::Path(Ambiguity::Character))
}

/// Every path that a server may see in a raw one: with escapes decoded up to three times, parameters and empty segments
/// taken out, backslashes as slashes.
///
/// # Errors
/// When a reading has a dot segment or a control character: such a path is never forwarded.
pub fn readings(path: &str) -> Result<Vec<String>, Refusal> {
    if !path.starts_with('/') {
        return Err(Refusal::Target);
    }
    let mut found = Vec::new();
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..=ROUNDS {
        if bytes.iter().any(u8::is_ascii_control) {
            return Err(Refusal::Path(Ambiguity::Control));
        }
        let text = String::from_utf8(bytes.clone()).map_err(|_| Refusal::Path(Ambiguity::Character))?;
        if text.chars().any(folds) {
            return Err(Refusal::Path(Ambiguity::Character));
        }
        for text in [text.clone(), text.replace('\\', "/")] {
            let without: Vec<&str> = text.split('/').map(|part| part.split(';').next().unwrap_or_default()).collect();
            let folded: Vec<&str> = without.iter().copied().filter(|part| !part.is_empty()).collect();
            if without.iter().any(|part| is_dots(part.trim())) || text.split('/').any(is_dots) {
                return Err(Refusal::Path(Ambiguity::Dots));
            }
            for reading in [text.clone(), without.join("/"), format!("/{}", folded.join("/"))] {
                if !found.contains(&reading) {
                    found.push(reading);
                }
            }
        }
        let next = decode(&bytes);
        if next == bytes {
            return Ok(found);
        }
        bytes = next;
    }
    Err(Refusal::Path(Ambiguity::Percent))
}

/// Whether a query may be forwarded as it is.
#[must_use]
pub fn query_is_plain(query: &str) -> bool {
    query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// No empty segment but the last, none of dots, none that begins or ends with what servers cut off.
fn segments(path: &str) -> Result<(), Refusal> {
    let mut rest = path[1..].split('/').peekable();
    while let Some(segment) = rest.next() {
        if segment.is_empty() && rest.peek().is_some() {
            return Err(Refusal::Path(Ambiguity::Empty));
        }
        if segment.ends_with(['.', ' ']) || segment.starts_with(' ') || is_dots(segment) {
            return Err(Refusal::Path(Ambiguity::Dots));
        }
    }
    Ok(())
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Characters of a path that stand for themselves: `pchar` of RFC 3986 without `;` and `%`, and the slash.
fn is_plain(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'/' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

/// Characters that compatibility forms or shells of servers turn into separators and dots, and invisible ones.
fn folds(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ff0e}' | '\u{ff0f}' | '\u{ff3c}' | '\u{ff05}' | '\u{ff1b}' | '\u{2024}'..='\u{2026}' | '\u{2044}'
            | '\u{2215}' | '\u{2216}' | '\u{29f8}' | '\u{fe52}' | '\u{fe68}' | '\u{37e}' | '\u{3002}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// The byte that two hexadecimal digits mean.
fn escape(digits: &[u8]) -> Option<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(value(*digits.first()?)? << 4 | value(*digits.get(1)?)?)
}

fn upper(digit: u8) -> u8 {
    digit.to_ascii_uppercase()
}

fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [byte, after @ ..] = rest {
        let escaped = (*byte == b'%').then(|| escape(after)).flatten();
        out.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ambiguity::{Character, Control, Dots, Empty, Parameter, Percent, Separator};

    #[test]
    fn one_spelling() {
        let check = |path, expect: &str| assert_eq!(canonical(path).expect("a path"), expect);
        check("/", "/");
        check("/a/b", "/a/b");
        check("/a/", "/a/");
        check("/%61dmin/%7Euser", "/admin/~user");
        check("/runs/manual__2026-01-01T00:00:00+00:00", "/runs/manual__2026-01-01T00:00:00+00:00");
        check("/a%20b/%c3%ab%2B", "/a%20b/%C3%AB%2B");
        check("/.well-known/x", "/.well-known/x");
        check("/a..b/...c", "/a..b/...c");
    }

    #[test]
    fn what_can_be_read_in_two_ways() {
        let check = |path: &str, expect| assert_eq!(canonical(path), Err(Refusal::Path(expect)), "{path}");
        for path in ["/%zz", "/%", "/%1", "/a%2"] {
            check(path, Percent);
        }
        for path in ["/a/..%2fadmin", "/%2Fadmin", "/%5cadmin", "/%252e%252e/", "/%25"] {
            check(path, Separator);
        }
        for path in ["/%00", "/%09admin", "/a%0d%0ab", "/%7f", "/\u{1}"] {
            check(path, Control);
        }
        for path in ["/admin;x=1/users", "/;/admin", "/a\\b", "/a%3bb"] {
            check(path, Parameter);
        }
        for path in ["//admin", "/a//b", "//"] {
            check(path, Empty);
        }
        for path in ["/./a", "/a/..", "/%2e%2e/a", "/.%2E/a", "/admin%20/users", "/%20admin", "/admin./users", "/a/."] {
            check(path, Dots);
        }
        for path in ["/%c0%ae%c0%ae/", "/\u{e9}", "/a{b}", "/a|b", "/a\"b", "/%ef%bc%8fadmin", "/%ff", "/%e2%80%8b"] {
            check(path, Character);
        }
        assert_eq!(canonical("admin"), Err(Refusal::Target));
        assert_eq!(canonical("*"), Err(Refusal::Target));
    }

    #[test]
    fn what_servers_may_see_in_a_raw_path() {
        assert_eq!(readings("/p/a%2Fb").expect("readings"), ["/p/a%2Fb", "/p/a/b"]);
        assert_eq!(readings("/p//a;v=1").expect("readings"), ["/p//a;v=1", "/p//a", "/p/a"]);
        for path in ["/p/..%2fadmin", "/p/%252e%252e/x", "/p/..;/x", "/p/..\\x", "/p/%2e%2e%5cx", "/p/. /x"] {
            assert_eq!(readings(path), Err(Refusal::Path(Dots)), "{path}");
        }
        assert_eq!(readings("/p/%00"), Err(Refusal::Path(Control)));
        assert_eq!(readings("/p/%25252525%252541"), Err(Refusal::Path(Percent)));
    }
}
