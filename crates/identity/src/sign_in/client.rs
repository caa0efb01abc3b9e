//! Us as a client of a provider: requests to its token, device and userinfo addresses, and what they answer.
//!
//! Invariants: both parts of Basic authentication are form-encoded before they are joined (RFC 6749 §2.3.1); an
//! assertion is made anew for each request, because providers take each once (RFC 7523 §3); no token and no secret is in
//! an error or a `Debug`.

use crate::exchange::{Ask, Exchange, Reply};
use crate::signer::Signer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

/// Largest reply that is read, in bytes.
const REPLY_BYTES: usize = 256 * 1024;
/// How long an assertion counts.
const ASSERTION: SignedDuration = SignedDuration::from_secs(60);

/// Us at a provider.
#[derive(Clone, Debug)]
pub struct Client {
    /// Our name there.
    pub id: String,
    /// What proves it.
    pub proof: Proof,
}

/// What proves who we are.
#[derive(Clone, Debug)]
pub enum Proof {
    /// Nothing: a public client.
    Nothing,
    /// A secret.
    Secret {
        /// Its value.
        value: SecretString,
        /// Where it goes.
        placement: Placement,
    },
    /// An assertion signed with our key (RFC 7523).
    Key {
        /// The key.
        signer: Arc<Signer>,
        /// Its name there.
        key_id: Option<String>,
        /// For whom the assertion is: the issuer.
        audience: String,
    },
}

/// Where a client secret goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Into the header `Authorization` (`client_secret_basic`).
    #[default]
    Header,
    /// Into the form (`client_secret_post`).
    Form,
}

/// What a token address gave.
#[derive(Clone, Debug, Deserialize)]
pub struct Tokens {
    /// For APIs.
    pub access_token: SecretString,
    /// Says who it is.
    #[serde(default)]
    pub id_token: Option<SecretString>,
    /// For the next access token.
    #[serde(default)]
    pub refresh_token: Option<SecretString>,
    /// Seconds that the access token lasts.
    #[serde(default)]
    pub expires_in: Option<u64>,
    /// What kind the access token is.
    pub token_type: String,
}

/// What a device shows to its user (RFC 8628 §3.2).
#[derive(Clone, Debug, Deserialize)]
pub struct DeviceCode {
    /// What the device asks with.
    pub device_code: SecretString,
    /// What the user types in.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it.
    #[serde(default)]
    pub verification_uri_complete: Option<String>,
    /// Seconds until it is over.
    pub expires_in: u64,
    /// Seconds between two questions.
    #[serde(default = "usual_interval")]
    pub interval: u64,
}

/// RFC 8628 §3.2: five seconds when nothing is said.
fn usual_interval() -> u64 {
    5
}

/// Why a provider gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It says no, with its error code.
    #[error("the provider refused: {0}")]
    Refused(ErrorCode),
    /// It cannot be reached, or answers with what is no answer.
    #[error("{0}")]
    Unusable(String),
}

/// An error as a provider names it (RFC 6749 §5.2).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ErrorCode {
    /// Its name.
    pub error: String,
    /// The same for people.
    #[serde(default)]
    pub error_description: Option<String>,
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(200).collect() };
        f.write_str(&plain(&self.error))?;
        match self.error_description.as_deref().filter(|text| !text.is_empty()) {
            Some(description) => write!(f, " ({})", plain(description)),
            None => Ok(()),
        }
    }
}

/// What an assertion is made with: the time, and 32 random bytes for its name.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// Random bytes, for one request.
    pub random: [u8; 32],
}

/// Has the tokens of a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
///
/// # Errors
/// When the provider gives none.
pub async fn redeem(
    exchange: &Exchange,
    endpoint: &Url,
    client: &Client,
    fields: [(&str, &str); 3],
    moment: Moment,
) -> Result<Tokens, Refusal> {
    let [code, verifier, redirect] = fields;
    tokens(exchange, endpoint, client, &[("grant_type", "authorization_code"), code, verifier, redirect], moment).await
}

/// Has new tokens for a refresh token (RFC 6749 §6). The old one may be worthless afterwards.
///
/// # Errors
/// When the provider gives none.
pub async fn refresh(
    exchange: &Exchange,
    endpoint: &Url,
    client: &Client,
    token: &SecretString,
    moment: Moment,
) -> Result<Tokens, Refusal> {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token.expose_secret())];
    tokens(exchange, endpoint, client, &fields, moment).await
}

/// Begins a sign-in of a device (RFC 8628 §3.1).
///
/// # Errors
/// When the provider does not begin one.
pub async fn device_code(
    exchange: &Exchange,
    endpoint: &Url,
    client: &Client,
    fields: &[(&str, &str)],
    moment: Moment,
) -> Result<DeviceCode, Refusal> {
    let reply = send(exchange, ask(endpoint, client, fields, moment)?).await?;
    read(&reply)
}

/// Asks whether the user of a device has signed in (RFC 8628 §3.4).
///
/// # Errors
/// [`Refusal::Refused`] with `authorization_pending` and `slow_down` while they have not.
pub async fn device_tokens(
    exchange: &Exchange,
    endpoint: &Url,
    client: &Client,
    code: &SecretString,
    resource: Option<&str>,
    moment: Moment,
) -> Result<Tokens, Refusal> {
    let mut fields =
        vec![("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", code.expose_secret())];
    fields.extend(resource.map(|resource| ("resource", resource)));
    tokens(exchange, endpoint, client, &fields, moment).await
}

/// Claims about the person an access token is of (OpenID Connect Core §5.3).
///
/// # Errors
/// When the provider gives none.
pub async fn userinfo(
    exchange: &Exchange,
    endpoint: &Url,
    token: &SecretString,
) -> Result<Map<String, Value>, Refusal> {
    let mut ask = Ask { limit: REPLY_BYTES, ..Ask::get(endpoint.clone()) };
    ask.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    ask.headers.insert(AUTHORIZATION, authorization(&format!("Bearer {}", token.expose_secret()))?);
    let reply = send(exchange, ask).await?;
    read(&reply)
}

async fn tokens(
    exchange: &Exchange,
    endpoint: &Url,
    client: &Client,
    fields: &[(&str, &str)],
    moment: Moment,
) -> Result<Tokens, Refusal> {
    let reply = send(exchange, ask(endpoint, client, fields, moment)?).await?;
    let tokens: Tokens = read(&reply)?;
    if tokens.token_type.eq_ignore_ascii_case("bearer") {
        Ok(tokens)
    } else {
        Err(Refusal::Unusable("the provider gave a token of a type other than Bearer".to_owned()))
    }
}

/// A form for an address of the provider, with what proves who we are.
fn ask(endpoint: &Url, client: &Client, fields: &[(&str, &str)], moment: Moment) -> Result<Ask, Refusal> {
    let mut form = Serializer::new(String::new());
    form.extend_pairs(fields);
    let mut ask = Ask { method: Method::POST, limit: REPLY_BYTES, ..Ask::get(endpoint.clone()) };
    match &client.proof {
        Proof::Nothing => {
            form.append_pair("client_id", &client.id);
        }
        Proof::Secret { value, placement: Placement::Form } => {
            form.append_pair("client_id", &client.id).append_pair("client_secret", value.expose_secret());
        }
        Proof::Secret { value, placement: Placement::Header } => {
            let encoded = |text: &str| -> String { byte_serialize(text.as_bytes()).collect() };
            let pair = format!("{}:{}", encoded(&client.id), encoded(value.expose_secret()));
            ask.headers.insert(AUTHORIZATION, authorization(&format!("Basic {}", STANDARD.encode(pair)))?);
        }
        Proof::Key { signer, key_id, audience } => {
            let assertion = assertion(&client.id, signer, key_id.as_deref(), audience, moment)?;
            form.append_pair("client_id", &client.id)
                .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                .append_pair("client_assertion", &assertion);
        }
    }
    ask.body = form.finish().into();
    ask.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    ask.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(ask)
}

/// A fresh assertion of who we are (RFC 7523 §3).
fn assertion(
    client: &str,
    signer: &Signer,
    key_id: Option<&str>,
    audience: &str,
    moment: Moment,
) -> Result<String, Refusal> {
    let now = moment.now.as_second();
    let name = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(moment.random);
    let claims = serde_json::json!({
        "iss": client, "sub": client, "aud": audience, "jti": name, "iat": now, "exp": now + ASSERTION.as_secs(),
    });
    let mut header = serde_json::json!({"typ": "JWT"});
    if let Some(key_id) = key_id {
        header["kid"] = key_id.into();
    }
    signer
        .token(&header, &claims)
        .map_err(|error| Refusal::Unusable(format!("the assertion cannot be signed: {error}")))
}

fn authorization(value: &str) -> Result<HeaderValue, Refusal> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Refusal::Unusable("a credential has characters that fit into no header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn send(exchange: &Exchange, ask: Ask) -> Result<Reply, Refusal> {
    exchange(ask).await.map_err(|error| Refusal::Unusable(error.to_string()))
}

/// The JSON of a success, else what the provider says.
fn read<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<T, Refusal> {
    if reply.status == StatusCode::OK {
        return serde_json::from_slice(&reply.body)
            .map_err(|_| Refusal::Unusable("the answer of the provider cannot be read".to_owned()));
    }
    // What it cannot do now is no refusal, whatever it says: whoever asks later may be given it.
    if reply.status.is_server_error() || reply.status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Refusal::Unusable(format!("the provider answered {}", reply.status)));
    }
    match serde_json::from_slice::<ErrorCode>(&reply.body) {
        Ok(said) => Err(Refusal::Refused(said)),
        Err(_) => Err(Refusal::Unusable(format!("the provider answered {}", reply.status))),
    }
}
