//! Secret values inside a document's content: finding, hiding, and keeping them when a masked document is sent back.
//!
//! Which values are secret is said by the schema's `secret_fields`: a field, or `field.*` for every value in an object.

use super::BlockType;
use serde_json::Value;

/// What stands in place of a secret value in what is given out.
pub const MASK: &str = "********";

impl BlockType {
    /// `data` with every secret value replaced by what `change` makes of its place (`headers.Authorization`) and of it.
    /// Null and absent values stay.
    ///
    /// # Errors
    /// The first error of `change`.
    pub fn map_secrets<E>(
        &self,
        data: &Value,
        mut change: impl FnMut(&str, &Value) -> Result<Value, E>,
    ) -> Result<Value, E> {
        let mut data = data.clone();
        for path in self.secret_fields() {
            let (field, whole) = path.strip_suffix(".*").map_or((path, true), |field| (field, false));
            let Some(value) = data.get_mut(field).filter(|value| !value.is_null()) else { continue };
            match value.as_object_mut().filter(|_| !whole) {
                Some(values) => {
                    for (name, value) in values.iter_mut().filter(|(_, value)| !value.is_null()) {
                        *value = change(&format!("{field}.{name}"), value)?;
                    }
                }
                None => *value = change(field, value)?,
            }
        }
        Ok(data)
    }

    /// `data` with its secrets hidden.
    #[must_use]
    pub fn mask(&self, data: &Value) -> Value {
        let hide = |_: &str, _: &Value| Ok::<_, std::convert::Infallible>(Value::from(MASK));
        match self.map_secrets(data, hide) {
            Ok(masked) => masked,
            Err(never) => match never {},
        }
    }

    /// `new` with every secret that is only the mask replaced by the value that `current` has there: a client that reads
    /// a document, changes a field and sends it back has not seen the secrets.
    #[must_use]
    pub fn unmask(&self, new: &Value, current: &Value) -> Value {
        let mut new = new.clone();
        for path in self.secret_fields() {
            let field = path.strip_suffix(".*").unwrap_or(path);
            let Some(value) = new.get_mut(field) else { continue };
            keep(value, &current[field]);
        }
        new
    }
}

fn keep(value: &mut Value, current: &Value) {
    match value {
        Value::String(text) if text == MASK && !current.is_null() => *value = current.clone(),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| keep(value, &current[name.as_str()])),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_masked_and_kept_when_the_mask_comes_back() {
        let slack = BlockType::by_slug("slack-webhook").unwrap();
        assert_eq!(
            slack.mask(&json!({"url": "https://s", "notify_type": "info"})),
            json!({"url": MASK, "notify_type": "info"})
        );
        assert_eq!(slack.mask(&json!({"url": null})), json!({"url": null}));
        let webhook = BlockType::by_slug("webhook").unwrap();
        let current = json!({"url": "https://s", "headers": {"a": "1", "b": "2"}, "method": "POST"});
        let masked = webhook.mask(&current);
        assert_eq!(masked, json!({"url": MASK, "headers": {"a": MASK, "b": MASK}, "method": "POST"}));
        let sent_back = json!({"url": MASK, "headers": {"a": MASK, "c": "3"}, "method": "PUT"});
        assert_eq!(
            webhook.unmask(&sent_back, &current),
            json!({"url": "https://s", "headers": {"a": "1", "c": "3"}, "method": "PUT"})
        );
        assert_eq!(webhook.unmask(&json!({"headers": {"new": MASK}}), &current)["headers"]["new"], MASK);
    }

    #[test]
    fn a_secret_is_changed_as_a_value_and_an_error_ends_it() {
        let custom = BlockType::by_slug("custom-webhook").unwrap();
        let data = json!({"name": "n", "url": "u", "secrets": {"a": {"deep": 1}, "b": "x"}});
        let sealed =
            custom.map_secrets(&data, |place, value| Ok::<_, ()>(json!(format!("sealed {place} {value}")))).unwrap();
        assert_eq!(sealed["secrets"], json!({"a": "sealed secrets.a {\"deep\":1}", "b": "sealed secrets.b \"x\""}));
        assert_eq!(custom.map_secrets(&data, |_, _| Err::<Value, _>("no key")), Err("no key"));
    }
}
