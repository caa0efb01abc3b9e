//! The claims of a token, with typed access (RFC 7519 §4.1).
//!
//! Invariants: a claim of the wrong type is an error, never as if it were absent; a text that leaves this module for a
//! header or the audit is bounded and printable.

use super::{BadToken, TEXT_BYTES, json};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

/// The claims of a token. A claim is named by its name, or by a JSON pointer (`/realm_access/roles`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims(Value);

/// When a token counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// `exp`.
    pub expires: Timestamp,
    /// `iat`.
    pub issued: Option<Timestamp>,
}

impl Claims {
    /// Claims of an object.
    #[must_use]
    pub fn new(members: Map<String, Value>) -> Self {
        Self(Value::Object(members))
    }

    /// Every member.
    #[must_use]
    pub fn members(&self) -> Option<&Map<String, Value>> {
        self.0.as_object()
    }

    /// Reads claims from JSON that is not in a token: the answer to an introspection.
    ///
    /// # Errors
    /// When it is no JSON object, or names a member twice.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadToken> {
        json::object(bytes).map(Self::new).map_err(|problem| BadToken::Json { part: "claims", problem })
    }

    /// The value of a claim; `null` is as if it were absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = if name.starts_with('/') { self.0.pointer(name) } else { self.0.get(name) };
        found.filter(|value| !value.is_null())
    }

    /// A text claim.
    ///
    /// # Errors
    /// When it is there and no text, or not fit to be shown: empty, longer than [`TEXT_BYTES`], or with characters
    /// outside printable ASCII.
    pub fn text(&self, name: &str) -> Result<Option<&str>, BadToken> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if is_plain(text) => Ok(Some(text)),
            Some(Value::String(_)) => {
                Err(BadToken::claim(name, "must be 1 to 512 printable ASCII characters, without spaces at the ends"))
            }
            Some(_) => Err(BadToken::claim(name, "must be a text")),
        }
    }

    /// A text claim that must be there.
    ///
    /// # Errors
    /// When it is absent, or as [`Claims::text`].
    pub fn required(&self, name: &str) -> Result<&str, BadToken> {
        self.text(name)?.ok_or_else(|| BadToken::claim(name, "is missing"))
    }

    /// `aud` as a list.
    ///
    /// # Errors
    /// When it is absent, empty, or neither a text nor a list of texts.
    pub fn audience(&self) -> Result<Vec<&str>, BadToken> {
        let bad = || BadToken::claim("aud", "must be a text or a list of texts");
        match self.get("aud") {
            None => Err(BadToken::claim("aud", "is missing")),
            Some(Value::String(one)) => Ok(vec![one]),
            Some(Value::Array(many)) if !many.is_empty() => {
                many.iter().map(|one| one.as_str().ok_or_else(bad)).collect()
            }
            Some(_) => Err(bad()),
        }
    }

    /// Every text of a claim: itself, or the texts of a list. Numbers and truth values count as their text.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
        let (one, many) = match self.get(name) {
            Some(Value::Array(items)) => (None, items.as_slice()),
            Some(value) => (Some(value), [].as_slice()),
            None => (None, [].as_slice()),
        };
        one.into_iter().chain(many).filter_map(scalar)
    }

    /// When it counts, judged at `now` with this much leeway on both sides.
    ///
    /// # Errors
    /// When `exp` is absent, when `exp`, `nbf` or `iat` is no number that can be a time, when it has expired, or when
    /// it begins or was made in the future.
    pub fn times(&self, now: Timestamp, leeway: SignedDuration) -> Result<Times, BadToken> {
        let expires = self.time("exp")?.ok_or_else(|| BadToken::claim("exp", "is missing"))?;
        let (begins, issued) = (self.time("nbf")?, self.time("iat")?);
        let (earliest, latest) = (now.saturating_sub(leeway), now.saturating_add(leeway));
        if earliest.is_ok_and(|earliest| earliest >= expires) {
            return Err(BadToken::Expired);
        }
        if latest.is_ok_and(|latest| begins.is_some_and(|at| at > latest) || issued.is_some_and(|at| at > latest)) {
            return Err(BadToken::TooEarly);
        }
        Ok(Times { expires, issued })
    }

    /// A NumericDate (RFC 7519 §2): seconds since 1970, with or without a fraction, which is cut off.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, BadToken> {
        let bad = || BadToken::claim(name, "must be a number of seconds since 1970");
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => {
                let seconds = number.as_i64().or_else(|| whole(number.as_f64()?)).ok_or_else(bad)?;
                Timestamp::from_second(seconds).map(Some).map_err(|_| bad())
            }
            Some(_) => Err(bad()),
        }
    }
}

/// The whole seconds of a number that can be a time.
#[allow(clippy::cast_possible_truncation, reason = "checked to be far inside the range")]
fn whole(seconds: f64) -> Option<i64> {
    (seconds.abs() < 1e12).then_some(seconds.floor() as i64)
}

fn scalar(value: &Value) -> Option<std::borrow::Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(truth) => Some(truth.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a text can stand in a header, a log and a page as it is.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    printable && !text.is_empty() && text.len() <= TEXT_BYTES && text.trim() == text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(value: Value) -> Claims {
        match value {
            Value::Object(members) => Claims::new(members),
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn times_have_a_type_and_a_leeway() {
        let now = Timestamp::from_second(1_000_000).expect("in range");
        let check = |value: Value, expect: Result<i64, &str>| {
            let found = claims(value.clone()).times(now, SignedDuration::from_secs(30));
            let found = found.map(|times| times.expires.as_second()).map_err(|bad| bad.to_string());
            assert_eq!(found, expect.map_err(str::to_owned), "{value}");
        };
        let number = Err("the token's `exp` must be a number of seconds since 1970");
        check(json!({"exp": 1_000_100}), Ok(1_000_100));
        check(json!({"exp": 1_000_100.9, "nbf": 999_999.5, "iat": 1}), Ok(1_000_100));
        check(json!({"exp": 999_971}), Ok(999_971));
        check(json!({"exp": 999_970}), Err("the token has expired"));
        check(json!({"exp": -1}), Err("the token has expired"));
        check(json!({}), Err("the token's `exp` is missing"));
        for bad in [json!(null), json!("1000100"), json!([1_000_100]), json!({}), json!(1e30), json!(true)] {
            check(json!({"exp": bad}), number);
        }
        check(json!({"exp": 1_000_100, "nbf": 1_000_030}), Ok(1_000_100));
        check(json!({"exp": 1_000_100, "nbf": 1_000_031}), Err("the token is not valid yet"));
        check(json!({"exp": 1_000_100, "iat": 1_000_031}), Err("the token is not valid yet"));
        let text = Err("the token's `nbf` must be a number of seconds since 1970");
        check(json!({"exp": 1_000_100, "nbf": "0"}), text);
    }

    #[test]
    fn audiences() {
        let check = |value: Value, expect: Option<&[&str]>| {
            let claims = claims(json!({"aud": value}));
            assert_eq!(claims.audience().ok(), expect.map(<[&str]>::to_vec), "{value}");
        };
        check(json!("hub"), Some(&["hub"]));
        check(json!(["other", "hub"]), Some(&["other", "hub"]));
        for bad in [json!(null), json!([]), json!({"hub": 1}), json!(["hub", 1]), json!(1)] {
            check(bad, None);
        }
    }

    #[test]
    fn texts_are_safe_for_a_header() {
        let check = |value: Value, fits: bool| {
            assert_eq!(claims(json!({"sub": value})).required("sub").is_ok(), fits, "{value}");
        };
        check(json!("spn-000000-airflow@svc.example.com"), true);
        check(json!("Ann Smith"), true);
        for bad in [json!(""), json!("a\r\nX: 1"), json!("zoë"), json!(" a"), json!("a\0"), json!(7), json!(null)] {
            check(bad, false);
        }
        check(json!("a".repeat(513)), false);
    }

    #[test]
    fn a_claim_is_found_by_name_or_pointer() {
        let claims = claims(json!({"realm_access": {"roles": ["a", 7, null, true]}, "https://x.test/r": "b"}));
        assert_eq!(claims.texts("/realm_access/roles").collect::<Vec<_>>(), ["a", "7", "true"]);
        assert_eq!(claims.texts("https://x.test/r").collect::<Vec<_>>(), ["b"]);
        assert_eq!(claims.texts("roles").count(), 0);
    }
}
