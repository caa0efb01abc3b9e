//! How people sign in with a browser, as configured.

use super::client::Placement;
use crate::secret::SecretRef;
use crate::session::Lifetime;
use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shortest and longest idle and absolute lifetime.
const LIFETIMES: std::ops::RangeInclusive<SignedDuration> =
    SignedDuration::from_mins(5)..=SignedDuration::from_hours(30 * 24);

/// Sign-in by an identity provider (OpenID Connect, authorization code with PKCE).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInConfig {
    /// Name of the issuer, as in the section `issuers`; its rules say what people may do.
    pub issuer: String,
    /// What the button says; default: the name of the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Our name there. The redirect address to register is PUBLIC_URL/sign-in/callback.
    pub client_id: String,
    /// Our secret there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
    /// Our private key instead of a secret, as PEM (`private_key_jwt`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretRef>,
    /// Name of that key there (`kid`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Where the secret goes in requests.
    #[serde(default)]
    pub secret_in: Placement,
    /// What is asked for; `openid` must be in it.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// Whether claims about a person are also asked for at the provider's userinfo address, if it has one.
    #[serde(default)]
    pub userinfo: Userinfo,
    /// How long sessions last.
    #[serde(default)]
    pub session: Lifetime,
    /// Whether an API token opens a browser session too. One-time links always do.
    #[serde(default)]
    pub tokens: Tokens,
    /// How `trackside login` gets a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cli: Option<CliConfig>,
}

/// How the command line gets a token (RFC 8628). Its client has no secret: everybody can read a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CliConfig {
    /// Name of the command line at the provider: a public client that may use the device flow.
    pub client_id: String,
    /// What is asked for; `offline_access` gives a refresh token.
    #[serde(default = "cli_scopes")]
    pub scopes: Vec<String>,
    /// For whom tokens are asked (RFC 8707), where the provider needs it: the audience of Trackside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// Whether the userinfo address is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Userinfo {
    /// If the provider has one.
    #[default]
    Ask,
    /// Never: the ID token says everything.
    Skip,
}

/// Whether API tokens open sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// They do.
    #[default]
    Accept,
    /// They do not: people come in by the provider or a one-time link.
    Refuse,
}

/// A part that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Which part.
    pub field: &'static str,
    /// What is wrong and what to do.
    pub problem: String,
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

fn cli_scopes() -> Vec<String> {
    ["openid", "profile", "offline_access"].map(str::to_owned).to_vec()
}

impl SignInConfig {
    /// What the button says.
    #[must_use]
    pub fn title(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.issuer)
    }

    /// Everything that is wrong with it. Whether the issuer exists is not known here.
    #[must_use]
    pub fn check(&self) -> Vec<Invalid> {
        let mut found = Vec::new();
        let mut wrong = |field, problem: &str| found.push(Invalid { field, problem: problem.to_owned() });
        if self.client_id.is_empty() {
            wrong("client_id", "say as which client Trackside is registered with the provider");
        }
        if self.secret.is_some() && self.private_key.is_some() {
            wrong("private_key", "give `secret` or `private_key`, not both");
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            wrong("scopes", "must have `openid`: without it the provider does not say who signs in");
        }
        if !LIFETIMES.contains(&self.session.idle.0) {
            wrong("session.idle", "must be between 5m and 30 days (720h)");
        }
        if !LIFETIMES.contains(&self.session.absolute.0) || self.session.absolute < self.session.idle {
            wrong("session.absolute", "must be between 5m and 30 days (720h), and no shorter than `idle`");
        }
        let names = [Some(&self.client_id), self.cli.as_ref().map(|cli| &cli.client_id)];
        if names.into_iter().flatten().any(|name| name.chars().any(char::is_control)) {
            wrong("client_id", "must have no control characters");
        }
        if self.cli.as_ref().is_some_and(|cli| cli.client_id.is_empty()) {
            wrong("cli.client_id", "say as which public client the command line is registered with the provider");
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut SignInConfig), expect: &[&str]) {
        let json = serde_json::json!({"issuer": "corporate", "client_id": "trackside"});
        let mut config: SignInConfig = serde_json::from_value(json).expect("a configuration");
        change(&mut config);
        let fields: Vec<&str> = config.check().iter().map(|invalid| invalid.field).collect();
        assert_eq!(fields, expect);
    }

    #[test]
    fn what_cannot_be_used() {
        let span = |minutes| trackside_core::ruleset::Span(SignedDuration::from_mins(minutes));
        check(|_| {}, &[]);
        check(|config| config.client_id.clear(), &["client_id"]);
        check(|config| config.scopes = vec!["profile".to_owned()], &["scopes"]);
        check(|config| config.session.idle = span(1), &["session.idle"]);
        check(|config| config.session.absolute = span(60), &["session.absolute"]);
        check(
            |config| {
                config.secret = Some(SecretRef::Env("A".to_owned()));
                config.private_key = Some(SecretRef::Env("B".to_owned()));
            },
            &["private_key"],
        );
        let cli = CliConfig { client_id: String::new(), scopes: Vec::new(), resource: None };
        check(|config| config.cli = Some(cli), &["cli.client_id"]);
    }
}
