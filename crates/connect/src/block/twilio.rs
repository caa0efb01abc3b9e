//! Twilio, Programmable Messaging: one text message per number (form post, basic authentication). Limit: 1600 characters.

use super::{InvalidBlock, http, joined};
use crate::far_end::{HttpRequest, Repeat, Request, Wire};
use crate::template::truncate_utf16;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

const BODY_CHARS: usize = 1_600;
/// Digits of the longest short code.
const SHORT_CODE: usize = 6;

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Twilio {
    account_sid: String,
    auth_token: SecretString,
    from_phone_number: String,
    to_phone_numbers: Vec<String>,
}

impl Twilio {
    pub(super) fn problems(&self) -> Vec<InvalidBlock> {
        let mut problems = Vec::new();
        if !self.account_sid.trim().bytes().all(|byte| byte.is_ascii_alphanumeric())
            || self.account_sid.trim().is_empty()
        {
            problems.push(InvalidBlock::new("account_sid", "must be letters and digits, for example AC0123…"));
        }
        if number(&self.from_phone_number).is_none() {
            problems
                .push(InvalidBlock::new("from_phone_number", "is not a phone number; write for example +18001234567"));
        }
        if self.to_phone_numbers.is_empty() {
            problems.push(InvalidBlock::new("to_phone_numbers", "must have at least one number"));
        }
        for (index, to) in self.to_phone_numbers.iter().enumerate() {
            if number(to).is_none() {
                let problem = "is not a phone number; write for example +18001234567";
                problems.push(InvalidBlock::new(format!("to_phone_numbers[{index}]"), problem));
            }
        }
        problems
    }

    pub(super) fn recipients(&self) -> usize {
        self.to_phone_numbers.len()
    }

    pub(super) fn requests(&self, subject: &str, body: &str) -> Vec<Request> {
        let sid = self.account_sid.trim();
        let url = format!("https://api.twilio.com/2010-04-01/Accounts/{sid}/Messages.json");
        let authorization = http::basic(sid, self.auth_token.expose_secret());
        let from = number(&self.from_phone_number).unwrap_or_default();
        let text = truncate_utf16(&joined(subject, body), BODY_CHARS);
        let message = |to: String| {
            let form = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("Body", &text)
                .append_pair("From", &from)
                .append_pair("To", &to)
                .finish();
            let http = HttpRequest::new(::http::Method::POST, &url)
                .body("application/x-www-form-urlencoded", form)
                .header("accept", "application/json")
                .header("authorization", &authorization);
            let encoded = authorization.trim_start_matches("Basic ");
            Request::new(
                Wire::Http(http),
                Repeat::Duplicates,
                vec![self.auth_token.clone(), SecretString::from(encoded)],
            )
        };
        self.to_phone_numbers.iter().filter_map(|to| number(to)).map(message).collect()
    }
}

/// `+` and the digits; a short code without `+`. `whatsapp:` (or `w:`) in front is kept as `whatsapp:`.
fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let (channel, text) = match text.split_once(':') {
        Some((channel, rest)) if matches!(channel.to_ascii_lowercase().as_str(), "w" | "whatsapp") => {
            ("whatsapp:", rest)
        }
        Some(_) => return None,
        None => ("", text),
    };
    if !text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')' | '.')) {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    match digits.len() {
        5..=SHORT_CODE => Some(format!("{channel}{digits}")),
        7..=15 => Some(format!("{channel}+{digits}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_written_as_twilio_takes_them() {
        for (text, expect) in [
            ("18004242424", Some("+18004242424")),
            ("+1 (800) 424-2424", Some("+18004242424")),
            ("12345", Some("12345")),
            ("whatsapp:+491701234567", Some("whatsapp:+491701234567")),
            ("w: 491701234567", Some("whatsapp:+491701234567")),
            ("123", None),
            ("call me", None),
            ("", None),
        ] {
            assert_eq!(number(text).as_deref(), expect, "{text}");
        }
    }
}
