//! The content of a document as it is stored: each secret value sealed, bound to its document and field.
//!
//! Invariant: what [`BlockType::seal`] made, [`BlockType::open`] gives back, value for value, whatever their JSON types.

use super::BlockType;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use trackside_identity::seal::{Place, Randomness, SealError, SealKey};
use uuid::Uuid;

impl BlockType {
    /// Content in clear with its secrets sealed for the document `id`. `random` is asked once per secret.
    ///
    /// # Errors
    /// When a value is too long, or the library fails.
    pub fn seal(
        &self,
        id: Uuid,
        data: &Value,
        key: &SealKey,
        mut random: impl FnMut() -> Randomness,
    ) -> Result<Value, SealError> {
        self.map_secrets(data, |field, value| {
            let text = SecretString::from(value.to_string());
            key.seal(&text, Place { document: id, field }, random()).map(Value::from)
        })
    }

    /// Stored content of the document `id` with its secrets in clear.
    ///
    /// # Errors
    /// When a value was sealed with another key, for another place, or is damaged.
    pub fn open(&self, id: Uuid, data: &Value, key: &SealKey) -> Result<Value, SealError> {
        self.map_secrets(data, |field, value| {
            let sealed = value.as_str().ok_or(SealError::Malformed)?;
            let text = key.open(sealed, Place { document: id, field })?;
            serde_json::from_str(text.expose_secret()).map_err(|_| SealError::Malformed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use trackside_identity::seal::{RANDOM_BYTES, is_sealed};

    #[test]
    fn what_was_sealed_is_opened_for_its_document_only() {
        let (key, id) = (SealKey::new([7; 32]), Uuid::from_u128(1));
        let mut count = 0;
        let mut random = || {
            count += 1;
            Randomness::new([count; RANDOM_BYTES])
        };
        for (slug, data, secrets) in [
            ("slack-webhook", json!({"url": "https://hooks.slack.com/x", "notify_type": "info"}), ["/url"].as_slice()),
            ("webhook", json!({"url": "u", "headers": {"a": "1", "b": 2}, "method": "POST"}), &["/url", "/headers/b"]),
            ("custom-webhook", json!({"name": "n", "secrets": {"a": {"deep": [1, null]}}}), &["/secrets/a"]),
            ("slack-webhook", json!({"url": null}), &[]),
        ] {
            let known = BlockType::by_slug(slug).unwrap();
            let sealed = known.seal(id, &data, &key, &mut random).unwrap();
            for place in secrets {
                let text = sealed.pointer(place).and_then(Value::as_str).unwrap();
                assert!(is_sealed(text), "{slug} {place}: {text}");
            }
            assert_eq!(known.open(id, &sealed, &key), Ok(data), "{slug}");
            if !secrets.is_empty() {
                assert_eq!(known.open(Uuid::from_u128(2), &sealed, &key), Err(SealError::Forged), "{slug}");
            }
        }
        let clear = json!({"url": "https://hooks.slack.com/x"});
        let slack = BlockType::by_slug("slack-webhook").unwrap();
        assert_eq!(slack.open(id, &clear, &key), Err(SealError::Malformed));
    }
}
