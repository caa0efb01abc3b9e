//! Sealing: secrets that people give through the API (values in block documents) are encrypted before they are stored.
//!
//! An envelope with AES-256-GCM (NIST SP 800-38D): every value has a fresh data key, which is encrypted under the one
//! key of the server. That key lives in a file beside the database, so a copy of the database alone opens nothing.
//!
//! Text form: `sealed:v1:` and base64url without padding of
//! `key id (8) ‖ nonce (12) ‖ data key, encrypted (32 + 16) ‖ nonce (12) ‖ value, encrypted (n + 16)`.
//! Both encryptions are bound to the place of the value (document and field), so that whoever can write to the
//! database cannot move a value to where it would be sent elsewhere.
//!
//! Invariants: randomness is given by the caller and used once; no value and no key appears in `Debug`, `Display` or an
//! error; what is opened is a [`SecretString`]. Not here: which fields are secret, where the key file is.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Random bytes that sealing one value uses up.
pub const RANDOM_BYTES: usize = KEY_BYTES + 2 * NONCE_LEN;
/// Longest value that is sealed, in bytes.
pub const VALUE_BYTES: usize = crate::secret::SECRET_BYTES;

const PREFIX: &str = "sealed:v1:";
const KEY_ID_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = KEY_BYTES + TAG_BYTES;
const OVERHEAD_BYTES: usize = KEY_ID_BYTES + NONCE_LEN + WRAPPED_BYTES + NONCE_LEN + TAG_BYTES;

/// The server's key. Whoever has it and the database can read every sealed value; without it they are lost.
#[derive(Debug)]
pub struct SealKey {
    key: SecretBox<[u8; KEY_BYTES]>,
    id: [u8; KEY_ID_BYTES],
}

/// Where a sealed value stands. It opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The document.
    pub document: Uuid,
    /// The field in it; names of nested fields joined with `.`.
    pub field: &'a str,
}

/// Random bytes for sealing one value. Used up by it, because a nonce must never be used twice.
pub struct Randomness(Zeroizing<[u8; RANDOM_BYTES]>);

/// Why a value cannot be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key file holds something else.
    #[error("the key must be {} hexadecimal digits; restore the file from a backup", 2 * KEY_BYTES)]
    BadKey,
    /// The value has more than [`VALUE_BYTES`].
    #[error("the value has more than {VALUE_BYTES} bytes; is it the right one?")]
    TooLong,
    /// The text is not in the form that sealing makes.
    #[error("the value is not sealed, or its text is damaged; enter it again")]
    Malformed,
    /// It was sealed by another key.
    #[error(
        "the value was sealed with another key; restore the key file that belongs to this database, or enter the value again"
    )]
    OtherKey,
    /// It was changed, or sealed for another place.
    #[error("the sealed value was changed, or belongs to another document or field; enter it again")]
    Forged,
    /// The cryptographic library refused.
    #[error("the cryptographic library failed")]
    Failed,
}

impl Randomness {
    /// From random bytes that are used for nothing else.
    #[must_use]
    pub fn new(random: [u8; RANDOM_BYTES]) -> Self {
        Self(Zeroizing::new(random))
    }
}

impl std::fmt::Debug for Randomness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Randomness").finish_non_exhaustive()
    }
}

impl SealKey {
    /// A key from 32 random bytes.
    #[must_use]
    pub fn new(random: [u8; KEY_BYTES]) -> Self {
        let digest = Sha256::new().chain_update(b"trackside seal key id ").chain_update(random).finalize();
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Self { key: SecretBox::new(Box::new(random)), id }
    }

    /// The key as its file has it; space around it does not matter.
    ///
    /// # Errors
    /// [`SealError::BadKey`] when it is not 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let text = text.trim();
        if text.len() != 2 * KEY_BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(SealError::BadKey);
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        for (index, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| SealError::BadKey)?;
        }
        Ok(Self::new(*key))
    }

    /// The text of the key for its file.
    #[must_use]
    pub fn text(&self) -> SecretString {
        use std::fmt::Write as _;
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES));
        for byte in self.key.expose_secret() {
            let _ = write!(text, "{byte:02x}");
        }
        SecretString::from(text.as_str())
    }

    /// Encrypts a value for its place.
    ///
    /// # Errors
    /// [`SealError::TooLong`], or [`SealError::Failed`] when the library refuses.
    pub fn seal(&self, value: &SecretString, place: Place<'_>, randomness: Randomness) -> Result<String, SealError> {
        let value = value.expose_secret().as_bytes();
        if value.len() > VALUE_BYTES {
            return Err(SealError::TooLong);
        }
        let Randomness(random) = randomness;
        let (data_key, nonces) = random.split_at(KEY_BYTES);
        let (key_nonce, value_nonce) = nonces.split_at(NONCE_LEN);
        let aad = place.aad();
        let mut sealed = Vec::with_capacity(OVERHEAD_BYTES + value.len());
        sealed.extend_from_slice(&self.id);
        encrypt(self.key.expose_secret(), key_nonce, &aad, data_key, &mut sealed)?;
        encrypt(data_key, value_nonce, &aad, value, &mut sealed)?;
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Decrypts what was sealed for this place.
    ///
    /// # Errors
    /// [`SealError::Malformed`], [`SealError::OtherKey`] or [`SealError::Forged`], depending on what does not fit.
    pub fn open(&self, sealed: &str, place: Place<'_>) -> Result<SecretString, SealError> {
        let encoded = sealed.strip_prefix(PREFIX).ok_or(SealError::Malformed)?;
        if encoded.len() > (OVERHEAD_BYTES + VALUE_BYTES).div_ceil(3) * 4 {
            return Err(SealError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| SealError::Malformed)?;
        let (id, rest) = split(&bytes, KEY_ID_BYTES)?;
        if id != self.id {
            return Err(SealError::OtherKey);
        }
        let aad = place.aad();
        let (key_nonce, rest) = split(rest, NONCE_LEN)?;
        let (wrapped, rest) = split(rest, WRAPPED_BYTES)?;
        let (value_nonce, value) = split(rest, NONCE_LEN)?;
        let data_key = decrypt(self.key.expose_secret(), key_nonce, &aad, wrapped)?;
        let value = decrypt(&data_key, value_nonce, &aad, value)?;
        std::str::from_utf8(&value).map(SecretString::from).map_err(|_| SealError::Forged)
    }
}

/// Whether a text has the form of a sealed value.
#[must_use]
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

impl Place<'_> {
    /// What both encryptions are bound to: the form's version and the place, each part of known length or last.
    fn aad(&self) -> Vec<u8> {
        [PREFIX.as_bytes(), self.document.as_bytes(), self.field.as_bytes()].concat()
    }
}

/// Appends nonce, encrypted text and tag.
fn encrypt(key: &[u8], nonce: &[u8], aad: &[u8], plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), SealError> {
    let mut text = Zeroizing::new(plain.to_vec());
    let unique = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Failed)?;
    let tag =
        cipher(key)?.seal_in_place_separate_tag(unique, Aad::from(aad), &mut text).map_err(|_| SealError::Failed)?;
    sealed.extend_from_slice(nonce);
    sealed.extend_from_slice(&text);
    sealed.extend_from_slice(tag.as_ref());
    Ok(())
}

fn decrypt(key: &[u8], nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Malformed)?;
    let mut text = Zeroizing::new(sealed.to_vec());
    let plain = cipher(key)?.open_in_place(nonce, Aad::from(aad), &mut text).map_err(|_| SealError::Forged)?.len();
    text.truncate(plain);
    Ok(text)
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, SealError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| SealError::Failed)
}

fn split(bytes: &[u8], at: usize) -> Result<(&[u8], &[u8]), SealError> {
    bytes.split_at_checked(at).ok_or(SealError::Malformed)
}

#[cfg(test)]
mod tests;
