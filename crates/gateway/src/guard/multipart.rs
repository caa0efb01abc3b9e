//! Fields of `multipart/form-data` (RFC 7578), read strictly.
//!
//! A body that can be read in two ways (no boundary, a line that only looks like one, two names of one part) is
//! unreadable, and the rule decides what happens to it.

use super::{MASKED, Unreadable};
use bytes::Bytes;
use std::collections::BTreeSet;

/// Most parts of a body.
const PARTS: usize = 1000;

/// One part: where it stands in the body, and the name of its field.
struct Part<'a> {
    name: String,
    head: &'a [u8],
    body: &'a [u8],
}

/// Masks the values of fields by name; how many.
///
/// # Errors
/// When the body is malformed.
pub fn mask(content_type: &str, body: &Bytes, fields: &BTreeSet<String>) -> Result<(Bytes, usize), Unreadable> {
    let boundary = boundary(content_type).ok_or(Unreadable)?;
    let parts = parts(boundary, body)?;
    let hits = parts.iter().filter(|part| fields.contains(&part.name)).count();
    if hits == 0 {
        return Ok((body.clone(), 0));
    }
    let mut out = Vec::with_capacity(body.len());
    for part in &parts {
        out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        out.extend_from_slice(part.head);
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(if fields.contains(&part.name) { MASKED.as_bytes() } else { part.body });
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((out.into(), hits))
}

/// The content of every part.
#[must_use]
pub fn values(content_type: &str, body: &Bytes) -> Vec<Vec<u8>> {
    let Some(boundary) = boundary(content_type) else { return Vec::new() };
    let Ok(parts) = parts(boundary, body) else { return Vec::new() };
    parts.iter().map(|part| part.body.to_vec()).collect()
}

/// The `boundary` of a `Content-Type` (RFC 2046 §5.1.1).
fn boundary(content_type: &str) -> Option<&str> {
    let mut found = None;
    for parameter in content_type.split(';').skip(1) {
        let (name, value) = parameter.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("boundary") {
            if found.is_some() {
                return None;
            }
            let value = value.trim();
            found = Some(value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"'))?);
        }
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    found.filter(|text| (1..=70).contains(&text.len()) && text.bytes().all(allowed) && !text.ends_with(' '))
}

fn parts<'a>(boundary: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>, Unreadable> {
    let first = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(first.as_bytes()).ok_or(Unreadable)?;
    let mut found = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix(b"--") {
            return if after.is_empty() || after == b"\r\n" { Ok(found) } else { Err(Unreadable) };
        }
        rest = rest.strip_prefix(b"\r\n").ok_or(Unreadable)?;
        let end = find(rest, between.as_bytes()).ok_or(Unreadable)?;
        found.push(part(&rest[..end])?);
        if found.len() > PARTS {
            return Err(Unreadable);
        }
        rest = &rest[end + between.len()..];
    }
}

fn part(bytes: &[u8]) -> Result<Part<'_>, Unreadable> {
    let end = find(bytes, b"\r\n\r\n").ok_or(Unreadable)?;
    let (head, body) = (&bytes[..end], &bytes[end + 4..]);
    let text = std::str::from_utf8(head).map_err(|_| Unreadable)?;
    let mut name = None;
    for line in text.split("\r\n") {
        let (field, value) = line.split_once(':').ok_or(Unreadable)?;
        if field.eq_ignore_ascii_case("content-disposition") && name.replace(field_name(value)?).is_some() {
            return Err(Unreadable);
        }
        // An encoded part would hide its value from patterns and masks.
        if field.eq_ignore_ascii_case("content-transfer-encoding")
            && !["7bit", "8bit", "binary"].contains(&value.trim().to_ascii_lowercase().as_str())
        {
            return Err(Unreadable);
        }
    }
    Ok(Part { name: name.ok_or(Unreadable)?, head, body })
}

/// The `name` of `form-data; name="a"; filename="b"`.
fn field_name(disposition: &str) -> Result<String, Unreadable> {
    let mut rest = disposition.trim().strip_prefix("form-data").ok_or(Unreadable)?.trim_start();
    let mut name = None;
    while let Some(after) = rest.strip_prefix(';') {
        let (key, value) = after.split_once('=').ok_or(Unreadable)?;
        let (text, after) = quoted(value)?;
        match key.trim().to_ascii_lowercase().as_str() {
            "name" if name.is_none() => name = Some(text),
            "name" | "name*" => return Err(Unreadable),
            _ => {}
        }
        rest = after.trim_start();
    }
    if rest.is_empty() { name.ok_or(Unreadable) } else { Err(Unreadable) }
}

/// A quoted text or a token, and what follows it.
fn quoted(value: &str) -> Result<(String, &str), Unreadable> {
    let Some(inner) = value.strip_prefix('"') else {
        let end = value.find(';').unwrap_or(value.len());
        return Ok((value[..end].trim().to_owned(), &value[end..]));
    };
    let mut text = String::new();
    let mut letters = inner.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '"' => return Ok((text, &inner[index + 1..])),
            '\\' => text.push(letters.next().ok_or(Unreadable)?.1),
            _ => text.push(letter),
        }
    }
    Err(Unreadable)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
