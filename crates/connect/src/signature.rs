//! Signatures by which far ends prove that a request is theirs: what is wrong with one, and the HMAC they all use.
//!
//! Each protocol verifies in its own module, with the same shape: `verify(header, raw body, secrets, now)`. Invariants:
//! the raw body is what was signed; signatures are compared in constant time; an error says what to look at and never
//! which secret was close.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// How far a signed time may be from now, in seconds, either way.
pub const TOLERANCE_S: u64 = 300;

/// Why a request is not accepted as authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// A header is missing.
    #[error("the header `{0}` is missing")]
    Missing(&'static str),
    /// A header is there and cannot be read.
    #[error("the header `{0}` cannot be read")]
    Unreadable(&'static str),
    /// The signed time is more than [`TOLERANCE_S`] away.
    #[error("the time in `{0}` is more than {TOLERANCE_S} s away; check the clocks")]
    Time(&'static str),
    /// No signature fits any secret.
    #[error("no signature in `{0}` fits; check the secret at both ends, and that nothing in between changes the body")]
    Mismatch(&'static str),
    /// A configured secret cannot be used.
    #[error("the configured secret cannot be used: {0}")]
    Secret(&'static str),
}

/// The Unix seconds in a header, when they are near enough to now.
pub(crate) fn fresh(text: &str, header: &'static str, now: Timestamp) -> Result<i64, BadSignature> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: i64 = text.parse().ok().filter(|_| plain).ok_or(BadSignature::Unreadable(header))?;
    if now.as_second().abs_diff(seconds) > TOLERANCE_S {
        return Err(BadSignature::Time(header));
    }
    Ok(seconds)
}

/// HMAC-SHA-256 over the parts, with the bytes of a secret as they are written.
pub(crate) fn mac(secret: &SecretString, parts: &[&[u8]]) -> Result<Hmac<Sha256>, BadSignature> {
    let secret = secret.expose_secret().as_bytes();
    if secret.is_empty() {
        return Err(BadSignature::Secret("it is empty"));
    }
    mac_of(secret, parts)
}

/// HMAC-SHA-256 over the parts.
pub(crate) fn mac_of(key: &[u8], parts: &[&[u8]]) -> Result<Hmac<Sha256>, BadSignature> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| BadSignature::Secret("its length"))?;
    parts.iter().for_each(|part| mac.update(part));
    Ok(mac)
}

/// Whether a signature in hexadecimal digits is the one of `mac`.
pub(crate) fn fits_hex(mac: Hmac<Sha256>, hex: &str) -> bool {
    bytes_of(hex).is_some_and(|signature| mac.verify_slice(&signature).is_ok())
}

/// The bytes that 64 hexadecimal digits stand for.
fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok());
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
