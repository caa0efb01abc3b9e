//! A token taken apart: header, claims, signature, and what was signed.
//!
//! Nothing in here is verified yet; the type says so by giving the claims out only by reference, for finding the issuer,
//! until [`Compact::into_claims`] is called by whoever has verified it.

use super::{Algorithm, BadToken, Claims, TEXT_BYTES, TOKEN_BYTES, json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// A token in compact form, taken apart.
#[derive(Clone, Debug)]
pub struct Compact<'a> {
    /// The protected header.
    pub header: Header,
    claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

/// What is used of a header (RFC 7515 §4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Algorithm of the signature.
    pub algorithm: Algorithm,
    /// Which key signed it.
    pub kid: Option<String>,
    /// Type, in lower case and without `application/`.
    pub typ: Option<String>,
}

/// Whether a text has the form of a JWT: three parts, of which the first two are not empty. One without signature counts,
/// so that it is refused as what it is and not sent to an issuer as an opaque one.
#[must_use]
pub fn looks_signed(text: &str) -> bool {
    let mut parts = text.split('.');
    let two = [parts.next(), parts.next()];
    two.iter().all(|part| part.is_some_and(|part| !part.is_empty())) && parts.next().is_some() && parts.next().is_none()
}

impl<'a> Compact<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// When it is too long or malformed, uses an algorithm that is never taken, has critical extensions, or names a
    /// member twice.
    pub fn parse(text: &'a str) -> Result<Self, BadToken> {
        if text.len() > TOKEN_BYTES {
            return Err(BadToken::TooLong);
        }
        if !looks_signed(text) {
            return Err(BadToken::Parts);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(BadToken::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(BadToken::Parts)?;
        let header = Header::read(&members("header", header)?)?;
        let claims = Claims::new(members("claims", payload)?);
        let signature = decode("signature", signature)?;
        Ok(Self { header, claims, signed, signature })
    }

    /// The claims, which nothing vouches for yet: good for finding the issuer and nothing else.
    #[must_use]
    pub fn unverified(&self) -> &Claims {
        &self.claims
    }

    /// The claims, for whoever has verified the signature.
    #[must_use]
    pub(crate) fn into_claims(self) -> Claims {
        self.claims
    }

    /// The bytes that are signed.
    pub(crate) fn signed(&self) -> &[u8] {
        self.signed.as_bytes()
    }

    pub(crate) fn signature(&self) -> &[u8] {
        &self.signature
    }
}

fn decode(part: &'static str, text: &str) -> Result<Vec<u8>, BadToken> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| BadToken::Encoding(part))
}

fn members(part: &'static str, text: &str) -> Result<Map<String, Value>, BadToken> {
    json::object(&decode(part, text)?).map_err(|problem| BadToken::Json { part, problem })
}

impl Header {
    fn read(members: &Map<String, Value>) -> Result<Self, BadToken> {
        // An extension that must be understood (RFC 7515 §4.1.11): there is none that we do. `b64` without `crit` is
        // malformed, and would change what is signed (RFC 7797 §6).
        if members.contains_key("crit") || members.contains_key("b64") {
            return Err(BadToken::Header("critical extensions are not taken"));
        }
        if members.contains_key("enc") || members.contains_key("zip") {
            return Err(BadToken::Header("encrypted and compressed tokens are not taken"));
        }
        let algorithm = match members.get("alg") {
            Some(Value::String(name)) => Algorithm::named(name).ok_or(BadToken::Algorithm)?,
            _ => return Err(BadToken::Header("`alg` must be a text")),
        };
        Ok(Self { algorithm, kid: text(members, "kid")?, typ: text(members, "typ")?.map(|typ| plain_type(&typ)) })
    }
}

fn text(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, BadToken> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= TEXT_BYTES => Ok(Some(text.clone())),
        Some(_) => Err(BadToken::Header("`kid` and `typ` must be short texts")),
    }
}

/// A media type compares without case, and `application/` may be left out (RFC 7515 §4.1.9).
fn plain_type(typ: &str) -> String {
    let lower = typ.to_ascii_lowercase();
    lower.strip_prefix("application/").map_or(lower.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expect: Result<(Algorithm, Option<&str>), BadToken>) {
        let text = format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
        let found = Compact::parse(&text).map(|token| (token.header.algorithm, token.header.typ));
        assert_eq!(found, expect.map(|(alg, typ)| (alg, typ.map(str::to_owned))), "{header}");
    }

    #[test]
    fn headers() {
        let double = BadToken::Json { part: "header", problem: "a member stands twice".to_owned() };
        check(r#"{"alg":"RS256","typ":"application/AT+JWT"}"#, Ok((Algorithm::RS256, Some("at+jwt"))));
        // What a token says of its own key is not looked at; the signature must still fit a key of the issuer.
        check(r#"{"alg":"ES256","jku":"http://127.0.0.1/","jwk":{},"x5c":[]}"#, Ok((Algorithm::ES256, None)));
        check(r#"{"alg":"RS256","alg":"none"}"#, Err(double));
        check(r#"{"alg":"HS256"}"#, Err(BadToken::Algorithm));
        check(r#"{"alg":"none"}"#, Err(BadToken::Algorithm));
        check(r#"{"typ":"JWT"}"#, Err(BadToken::Header("`alg` must be a text")));
        check(r#"{"alg":["RS256"]}"#, Err(BadToken::Header("`alg` must be a text")));
        check(r#"{"alg":"RS256","crit":[]}"#, Err(BadToken::Header("critical extensions are not taken")));
        check(r#"{"alg":"RS256","b64":false}"#, Err(BadToken::Header("critical extensions are not taken")));
        check(r#"{"alg":"RS256","kid":7}"#, Err(BadToken::Header("`kid` and `typ` must be short texts")));
    }

    #[test]
    fn shapes() {
        for text in ["", "abc", "..", "a..", "a.b", "a.b.c.d", "a.b.c.d.e"] {
            assert_eq!(Compact::parse(text).map(drop), Err(BadToken::Parts), "{text}");
        }
        // What nobody signed is no opaque token.
        let unsigned = format!("{}.e30.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
        assert!(looks_signed(&unsigned) && Compact::parse(&unsigned).is_err());
        assert_eq!(Compact::parse("e30=.e30.AA").map(drop), Err(BadToken::Encoding("header")));
        // Trailing bits that are not zero would be a second spelling of one token.
        assert_eq!(Compact::parse("e31.e30.AA").map(drop), Err(BadToken::Encoding("header")));
        let long = format!("{}.a.a", "a".repeat(TOKEN_BYTES));
        assert_eq!(Compact::parse(&long).map(drop), Err(BadToken::TooLong));
    }
}
