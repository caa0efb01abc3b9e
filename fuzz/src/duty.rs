//! What the targets about time share.

use jiff::Timestamp;
use serde::de::DeserializeOwned;

/// An instant from the first four bytes (from 1970 to 2106), a value from the JSON in the rest.
pub fn instant_and_value<T: DeserializeOwned>(body: &[u8]) -> Option<(Timestamp, T)> {
    let (second, json) = body.split_first_chunk::<4>()?;
    let at = Timestamp::from_second(u32::from_be_bytes(*second).into()).ok()?;
    Some((at, serde_json::from_slice(json).ok()?))
}
