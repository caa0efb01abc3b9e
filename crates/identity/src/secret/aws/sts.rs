//! AWS Security Token Service: a role for a web identity token.
//!
//! Source: `AssumeRoleWithWebIdentity` of the STS API, version 2011-06-15: an unsigned form, answered with XML. The XML is
//! read by the names of a handful of elements; total, any bytes give a value or a failure.

use super::credentials::Lent;
use crate::broker::failure::{Failure, FailureClass, shown};
use crate::broker::form::post_form;
use crate::exchange::{Ask, Reply};
use crate::secret::document::not_understood;
use crate::secret::sigv4::Keys;
use http::StatusCode;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// Longest text of an element, in bytes. Session tokens have a few kilobytes.
const TEXT_BYTES: usize = 16 * 1024;

/// The role that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// ARN of the role.
    pub role: &'a str,
    /// Name of the session in CloudTrail.
    pub session: &'a str,
    /// Life of the keys in seconds; an hour when absent.
    pub lifetime_seconds: Option<u32>,
}

/// A request for a role.
#[must_use]
pub fn ask(url: Url, wanted: Wanted<'_>, token: &SecretString) -> Ask {
    let lifetime = wanted.lifetime_seconds.map(|seconds| seconds.to_string());
    let mut fields = vec![
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", wanted.role),
        ("RoleSessionName", wanted.session),
        ("WebIdentityToken", token.expose_secret()),
    ];
    fields.extend(lifetime.as_deref().map(|seconds| ("DurationSeconds", seconds)));
    let mut ask = post_form(url, &fields);
    // It answers with XML whatever is asked for.
    ask.headers.remove(http::header::ACCEPT);
    ask
}

/// What the answer gives.
///
/// # Errors
/// Why there are no credentials.
pub fn judge(reply: &Reply, now: Timestamp) -> Result<Lent, Failure> {
    let xml = std::str::from_utf8(&reply.body).unwrap_or_default();
    if reply.status != StatusCode::OK {
        return Err(refused(xml, reply, now));
    }
    credentials(xml).ok_or_else(|| not_understood("AWS STS"))
}

fn credentials(xml: &str) -> Option<Lent> {
    let inside = span(xml, "Credentials")?;
    let keys = Keys {
        id: element(inside, "AccessKeyId").map(SecretString::from)?,
        secret: element(inside, "SecretAccessKey").map(SecretString::from)?,
        token: Some(element(inside, "SessionToken").map(SecretString::from)?),
    };
    Some(Lent { keys, expires: Some(element(inside, "Expiration")?.parse().ok()?) })
}

fn refused(xml: &str, reply: &Reply, now: Timestamp) -> Failure {
    let code = element(xml, "Code").unwrap_or_default();
    let (class, about) = match &*code {
        "IDPCommunicationError" => (FailureClass::Busy, "AWS could not reach the issuer of the token"),
        "ExpiredTokenException" => (FailureClass::Refused, "the web identity token is over"),
        "IDPRejectedClaim" => (FailureClass::Permanent, "the issuer of the token does not stand by it"),
        "InvalidIdentityToken" => (FailureClass::Permanent, "AWS cannot verify the token; does it trust the issuer?"),
        "AccessDenied" => (FailureClass::Permanent, "the role's trust policy does not let this identity in"),
        "PackedPolicyTooLarge" | "MalformedPolicyDocument" | "ValidationError" | "RegionDisabledException" => {
            (FailureClass::Permanent, "AWS STS refuses the request")
        }
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" => {
            (FailureClass::Busy, "AWS STS has too much to do")
        }
        _ => (Failure::of(reply.status, &reply.headers, now, String::new()).class, "AWS STS refuses to give the role"),
    };
    let message = element(xml, "Message").map(|text| shown(&text)).unwrap_or_default();
    let text = match &*shown(&code) {
        "" => format!("{about}: it answered {}", reply.status.as_u16()),
        code => format!("{about} ({code}: {message})"),
    };
    Failure { class, ..Failure::of(reply.status, &reply.headers, now, text) }
}

/// What is between the tags of the first element of a name.
fn span<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let mut rest = xml;
    loop {
        let start = rest.find(&format!("<{name}"))?;
        rest = &rest[start + 1 + name.len()..];
        // `<CodeX>` is another element; attributes and spaces may follow the name.
        if rest.starts_with(['>', ' ', '\t', '\r', '\n']) {
            break;
        }
    }
    let inside = &rest[rest.find('>')? + 1..];
    let end = inside.find(&format!("</{name}>"))?;
    Some(&inside[..end])
}

/// The text of the first element of a name.
fn element(xml: &str, name: &str) -> Option<String> {
    let text = span(xml, name).filter(|text| text.len() <= TEXT_BYTES && !text.contains('<'))?;
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Some(text.replace("&amp;", "&").trim().to_owned()).filter(|text| !text.is_empty())
}
