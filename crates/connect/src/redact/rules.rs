//! The rules for texts.
//!
//! A cheap look for hints (fixed words) decides which rules run at all; each rule is then one linear search whose
//! matches are narrowed by hand to the secret itself, so that the text around it stays readable.
//! The rules that can swallow blanks and quotes come first, and rounds are repeated until nothing is found, so that
//! redaction is idempotent: nothing that a rule takes away makes room for another in a later reading.

use super::PLACEHOLDER;
use super::names::{ENDINGS, SUFFIXES, WORDS};
use regex::{Regex, RegexSet};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

/// Where the secret is, given a match of the rule's pattern in the text.
type Narrow = fn(text: &str, found: Range<usize>) -> Option<Range<usize>>;

struct Rule {
    pattern: Regex,
    narrow: Narrow,
}

struct Rules {
    any_hint: Regex,
    hints: RegexSet,
    rules: Vec<Rule>,
}

static RULES: LazyLock<Rules> = LazyLock::new(Rules::compile);

/// Most times the rules run over one text. What one rule takes away can bring together what another looks for; each
/// round takes something away, and texts that need more than two are made to.
const ROUNDS: usize = 8;

/// A text without its secrets; borrowed when it has none.
pub(super) fn apply(text: &str) -> Cow<'_, str> {
    let rules = &*RULES;
    if !rules.any_hint.is_match(text) {
        return Cow::Borrowed(text);
    }
    let mut text = Cow::Borrowed(text);
    for _ in 0..ROUNDS {
        let Some(redacted) = rules.round(&text) else { break };
        text = Cow::Owned(redacted);
    }
    text
}

impl Rule {
    fn apply(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let (mut copied, mut at) = (0, 0);
        while let Some(found) = self.pattern.find_at(text, at) {
            at = found.end().max(at + 1);
            if let Some(secret) = (self.narrow)(text, found.range()) {
                out.push_str(&text[copied..secret.start]);
                out.push_str(PLACEHOLDER);
                copied = secret.end;
                at = at.max(secret.end);
            }
            if !text.is_char_boundary(at) {
                at = text.ceil_char_boundary(at);
            }
            if at > text.len() {
                break;
            }
        }
        if copied == 0 {
            return None;
        }
        out.push_str(&text[copied..]);
        Some(out)
    }
}

impl Rules {
    /// Every rule once; none when nothing was found.
    fn round(&self, text: &str) -> Option<String> {
        let mut redacted: Option<String> = None;
        for index in self.hints.matches(text) {
            redacted = self.rules[index].apply(redacted.as_deref().unwrap_or(text)).or(redacted);
        }
        redacted
    }

    fn compile() -> Self {
        let names = names_pattern();
        let sources: [(&str, String, Narrow); 6] = [
            ("-----BEGIN", r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----".into(), private_key),
            (
                "(?i-u:authorization|cookie)",
                r#"(?i)(?:authorization|cookie)["'\\]{0,4}\s*(?:=>|[:=])\s*"#.into(),
                header,
            ),
            ("://", r#"[A-Za-z][A-Za-z0-9+.\-]*://[^\s"'<>]*@"#.into(), user_part),
            (
                "(?i-u:pass|pwd|secret|token|key|sessionid|session_id|session-id|string|cred|auth|bearer|dsn|jwt|sig|cookie|[?&]code=)",
                format!(
                    r#"(?i)(?:{names}|[?&](?:code|key|x-amz-credential))["'\\]{{0,4}}\s*(?:=>|:=|[:=])\s*|--[a-z\-]{{0,40}}(?:{names})\s+"#
                ),
                assigned,
            ),
            ("(?i-u:bearer|basic)", r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=\-]{8,}".into(), scheme),
            (KNOWN_HINTS, KNOWN_TOKENS.into(), known_token),
        ];
        let regex = |pattern: &str| Regex::new(pattern).unwrap_or_else(|error| unreachable!("{error}"));
        let any: Vec<&str> = sources.iter().map(|(hint, ..)| *hint).collect();
        Self {
            any_hint: regex(&any.join("|")),
            hints: RegexSet::new(&any).unwrap_or_else(|error| unreachable!("{error}")),
            rules: sources
                .iter()
                .map(|(_, pattern, narrow)| Rule { pattern: regex(pattern), narrow: *narrow })
                .collect(),
        }
    }
}

/// The names of [`super::names`] as a pattern: separators between their parts are optional.
fn names_pattern() -> String {
    let endings = ENDINGS.map(|name| match name.strip_suffix("key").or_else(|| name.strip_suffix("string")) {
        Some(first) => format!("{first}[_. -]?{}", &name[first.len()..]),
        None => name.replace("sessionid", "session[_-]?id"),
    });
    format!(r"(?:{}|(?:\b|_)(?:{}))(?:[_-]?(?:{}|\d{{1,3}}))?", endings.join("|"), WORDS.join("|"), SUFFIXES.join("|"))
}

/// Tokens of well-known makers, and JSON Web Tokens. The part that is kept ends with the first group of `known_token`.
const KNOWN_TOKENS: &str = concat!(
    r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    r"|\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*){0,3}",
    r"|\bxox[a-z]-[A-Za-z0-9\-]{8,}|\bxapp-[A-Za-z0-9\-]{8,}",
    r"|hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_\-]+",
    r"|\bgh[a-z]_[A-Za-z0-9]{16,}|\bgithub_pat_[A-Za-z0-9_]{16,}",
    r"|\bgl[a-z]{2,5}-[A-Za-z0-9_\-]{16,}",
    r"|\bAIza[A-Za-z0-9_\-]{30,}|\bya29\.[A-Za-z0-9_\-]{16,}",
    r"|\b[rsp]k_(?:live|test)_[A-Za-z0-9]{10,}|\bsk-[A-Za-z0-9_\-]{20,}",
    r"|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_\-]{30,}|\bdapi[0-9a-f]{32}\b",
    r"|\bhv[sbr]\.[A-Za-z0-9_\-]{20,}|\bpn[ub]_[A-Za-z0-9]{20,}|\bwhsec_[A-Za-z0-9+/=]{16,}",
    r"|\bSG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}",
);
const KNOWN_HINTS: &str = "A3T|AKIA|ASIA|ABIA|ACCA|eyJ|xox|xapp-|slack\\.com|gh[a-z]_|github_pat|gl[a-z]+-|AIza|ya29|k_live|k_test|sk-|npm_|pypi-|dapi|hv[sbr]\\.|pn[ub]_|whsec_|SG\\.";

fn known_token(text: &str, found: Range<usize>) -> Option<Range<usize>> {
    // The host of a Slack address stays, so that one sees what it was.
    let kept = if text[found.clone()].starts_with("hooks.") { "hooks.slack.com/".len() } else { 0 };
    Some(found.start + kept..found.end)
}

/// From the first line of a private key to its last, or to the end of a text that was cut.
fn private_key(text: &str, found: Range<usize>) -> Option<Range<usize>> {
    let rest = &text[found.end..];
    let Some(footer) = rest.find("-----END ") else {
        return Some(found.start..text.len());
    };
    let label = footer + "-----END ".len();
    let end = rest[label..].find("-----").map_or(rest.len(), |dashes| label + dashes + "-----".len());
    Some(found.start..found.end + end)
}

/// The value of a header: quoted, else the rest of the line up to a quote.
fn header(text: &str, found: Range<usize>) -> Option<Range<usize>> {
    let rest = &text[found.end..];
    if rest.trim_start_matches('\\').starts_with(['"', '\'']) {
        return assigned(text, found);
    }
    let end = rest.find(['\n', '\r', '"', '\'']).unwrap_or(rest.len());
    secret(text, found.end..found.end + rest[..end].trim_end_matches(['\\', ' ', '\t']).len())
}

/// The value after a name: quoted (also with escaped quotes, as in JSON inside a text), else up to a separator.
fn assigned(text: &str, found: Range<usize>) -> Option<Range<usize>> {
    let mut start = found.end;
    let rest = &text.as_bytes()[start..];
    // Python's b'…' and its like.
    if rest.len() > 1 && rest[0].is_ascii_alphabetic() && matches!(rest[1], b'"' | b'\'') {
        start += 1;
    }
    let rest = &text[start..];
    let backslashes = rest.bytes().take_while(|byte| *byte == b'\\').count();
    if let Some(quote @ (b'"' | b'\'')) = rest.as_bytes().get(backslashes).copied() {
        let inner = start + backslashes + 1;
        return secret(text, inner..inner + quoted_length(&text.as_bytes()[inner..], quote, backslashes));
    }
    let end = rest.find(|c: char| c.is_whitespace() || ",;&\"'<>|".contains(c)).unwrap_or(rest.len());
    let bare = rest[..end].trim_end_matches(['\\', ')', ']', '}', '.']);
    secret(text, start..start + bare.len())
}

/// Length of what stands before the closing quote; to the end of the line when there is none.
fn quoted_length(inner: &[u8], quote: u8, backslashes: usize) -> usize {
    let mut escapes = 0;
    for (index, byte) in inner.iter().enumerate() {
        match byte {
            b'\\' => escapes += 1,
            b'\n' | b'\r' => return index,
            _ if *byte == quote && (escapes == backslashes || (backslashes == 0 && escapes % 2 == 0)) => {
                return index - escapes.min(backslashes);
            }
            _ => escapes = 0,
        }
    }
    inner.len()
}

/// The password of an address, or a long user name that stands without one (a token).
fn user_part(text: &str, found: Range<usize>) -> Option<Range<usize>> {
    let start = found.start + text[found.clone()].find("://")? + "://".len();
    let user = &text[start..found.end - 1];
    let host_ends = user.find(['/', '?', '#']).unwrap_or(user.len());
    match user.find(':') {
        Some(colon) if colon > host_ends => None,
        Some(colon) => {
            let password = &user[colon + 1..];
            let port = password.trim_start_matches(|c: char| c.is_ascii_digit());
            let is_port = port.len() < password.len() && port.starts_with(['/', '?', '#']);
            if is_port { None } else { secret(text, start + colon + 1..found.end - 1) }
        }
        None => {
            let token = user.split('@').next().unwrap_or_default().len();
            if token <= host_ends && token >= 16 { secret(text, start..start + token) } else { None }
        }
    }
}

/// The credential after `Bearer` or `Basic`, when it is not a plain word ("Basic authentication failed").
fn scheme(text: &str, found: Range<usize>) -> Option<Range<usize>> {
    let matched = &text[found.clone()];
    let value = matched.find(char::is_whitespace).map(|blank| &matched[blank..])?.trim_start();
    let plain = value.bytes().skip(1).all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte == b'.');
    if plain && value.len() < 24 { None } else { secret(text, found.end - value.len()..found.end) }
}

/// The range, unless what stands there is nothing, a plain non-value, or redacted already.
fn secret(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let value = &text[range.clone()];
    let nothing = value.trim().is_empty()
        || value.starts_with(PLACEHOLDER)
        || PLACEHOLDER.strip_suffix(']') == Some(value)
        || ["none", "null", "true", "false", "undefined"].iter().any(|word| value.eq_ignore_ascii_case(word));
    (!nothing).then_some(range)
}
