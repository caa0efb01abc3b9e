//! Requests that a far end makes to us, signed as it signs them. Sending them is the caller's.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// A request of a far end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Headers, lower-case names.
    pub headers: Vec<(&'static str, String)>,
    /// Raw body.
    pub body: String,
}

/// HMAC-SHA-256 over the parts, in hexadecimal digits.
pub(crate) fn hex_mac(secret: &str, parts: &[&str]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
