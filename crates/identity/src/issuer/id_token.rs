//! ID tokens and logout tokens: what an issuer tells us about somebody's sign-in (OpenID Connect Core 1.0 §3.1.3.7,
//! Back-Channel Logout 1.0 §2.6).
//!
//! Invariants: such a token is made for one client; an ID token answers the sign-in whose nonce it repeats; a logout
//! token is never an ID token. The flow around them is not here.

use super::Issuer;
use crate::callers::NotKnown;
use crate::jwt::{BadToken, Claims, Compact};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;

/// The event of a logout token.
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What a logout token ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logout {
    /// Whose sessions.
    pub sub: Option<String>,
    /// Which session.
    pub sid: Option<String>,
    /// Id of the token, which counts once.
    pub jti: String,
    /// When the token ends to count.
    pub expires: Timestamp,
}

impl Issuer {
    /// Verifies an ID token that answers our sign-in; `nonce` is the one we sent (`None` for the device flow, which has
    /// none). Returns its claims.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn verify_id_token(
        &self,
        token: &str,
        nonce: Option<&str>,
        client_id: &str,
        now: Timestamp,
    ) -> Result<Claims, NotKnown> {
        let token = Compact::parse(token)?;
        if !matches!(token.header.typ.as_deref(), None | Some("jwt" | "id+jwt")) {
            return Err(BadToken::Header("`typ` is not that of an ID token").into());
        }
        let (claims, _) = self.signed(token, &[client_id.to_owned()], now).await?;
        claims.required("sub")?;
        claims.time("iat")?.ok_or_else(|| BadToken::claim("iat", "is missing"))?;
        let azp = claims.text("azp")?;
        let several = claims.audience()?.len() > 1;
        if azp.is_some_and(|azp| azp != client_id) || (several && azp.is_none()) {
            return Err(BadToken::claim("azp", "is another client").into());
        }
        if claims.get("events").is_some() {
            return Err(BadToken::Purpose("this is no ID token").into());
        }
        if let Some(nonce) = nonce
            && !bool::from(claims.required("nonce")?.as_bytes().ct_eq(nonce.as_bytes()))
        {
            return Err(BadToken::claim("nonce", "is not that of this sign-in").into());
        }
        Ok(claims)
    }

    /// Verifies a logout token.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn verify_logout_token(&self, token: &str, client_id: &str, now: Timestamp) -> Result<Logout, NotKnown> {
        let token = Compact::parse(token)?;
        if !matches!(token.header.typ.as_deref(), None | Some("jwt" | "logout+jwt")) {
            return Err(BadToken::Header("`typ` is not that of a logout token").into());
        }
        let (claims, expires) = self.signed(token, &[client_id.to_owned()], now).await?;
        claims.time("iat")?.ok_or_else(|| BadToken::claim("iat", "is missing"))?;
        let event = claims.get("events").and_then(|events| events.get(LOGOUT_EVENT));
        if !event.is_some_and(serde_json::Value::is_object) {
            return Err(BadToken::claim("events", "names no logout").into());
        }
        if claims.get("nonce").is_some() {
            return Err(BadToken::Purpose("a logout token has no nonce").into());
        }
        let logout = Logout {
            sub: claims.text("sub")?.map(str::to_owned),
            sid: claims.text("sid")?.map(str::to_owned),
            jti: claims.required("jti")?.to_owned(),
            expires,
        };
        if logout.sub.is_none() && logout.sid.is_none() {
            return Err(BadToken::claim("sub", "is missing, and so is `sid`").into());
        }
        Ok(logout)
    }
}

/// Whether an ID token belongs to the access token it came with (Core §3.1.3.6); true when it says nothing about it.
///
/// The hash is the left half of that of the signature algorithm; `EdDSA` goes with SHA-512.
#[must_use]
pub fn belongs_to(claims: &Claims, algorithm: crate::jwt::Algorithm, access_token: &str) -> bool {
    use crate::jwt::Algorithm as Alg;
    let Some(told) = claims.get("at_hash") else { return true };
    let hash = match algorithm {
        Alg::RS256 | Alg::PS256 | Alg::ES256 => &digest::SHA256,
        Alg::RS384 | Alg::PS384 | Alg::ES384 => &digest::SHA384,
        Alg::RS512 | Alg::PS512 | Alg::ES512 | Alg::EdDSA => &digest::SHA512,
    };
    let hash = digest::digest(hash, access_token.as_bytes());
    let half = &hash.as_ref()[..hash.as_ref().len() / 2];
    told.as_str() == Some(&URL_SAFE_NO_PAD.encode(half))
}
