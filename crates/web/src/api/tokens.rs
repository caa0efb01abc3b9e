//! API tokens: list, make, rotate, revoke; and one-time sign-in links.

use crate::api::{JsonBody, Segments};
use crate::auth::Who;
use crate::problem::Problem;
use crate::state::{AppState, ConfigureError};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use trackside_core::ruleset::Span;
use trackside_identity::directory::Origin;
use trackside_identity::role::Role;
use trackside_identity::token::{Token, TokenForm};
use trackside_store::Error as StoreError;
use trackside_store::accounts::{NewToken, Rotation, TokenRecord};
use trackside_store::audit::NewAudit;
use utoipa::ToSchema;

/// Longest name of a token, in bytes.
const NAME_BYTES: usize = 100;
/// Most scopes of a token.
const SCOPES: usize = 100;
/// Longest time that a secret counts after it was replaced.
const MOST_OVERLAP: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenOut {
    /// Name; the source of events that name none.
    name: String,
    /// `ingest`, `viewer`, `responder`, `operator` or `admin`.
    #[schema(value_type = String)]
    role: Role,
    /// Team it is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    team: Option<String>,
    /// `configuration` or `api`.
    #[schema(value_type = String)]
    origin: Origin,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<Timestamp>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<String>,
    /// When it stops working.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    /// Names that routes and jobs may ask for.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    scopes: BTreeSet<String>,
    /// When it was rotated last.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotated: Option<Timestamp>,
    /// Until when the secret from before the rotation counts as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    former_until: Option<Timestamp>,
    /// When it was last used; for tokens of the configuration since the server started.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<Timestamp>,
}

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenIn {
    /// Unique name: letters, digits, `-`, `_`, `.`, at most 100.
    name: String,
    /// What its holder may do.
    #[schema(value_type = String)]
    role: Role,
    /// Team that what it sends belongs to.
    #[serde(default)]
    team: Option<String>,
    /// When it stops working; default never.
    #[serde(default)]
    expires: Option<Timestamp>,
    /// Names that routes and jobs may ask for.
    #[serde(default)]
    scopes: BTreeSet<String>,
    /// `bearer` (default), or `routing-key` for clients that insist on the 32 characters of a PagerDuty routing key.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    form: TokenForm,
}

/// A token that was made. Its secret is shown here and never again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeOut {
    /// Name.
    name: String,
    /// The secret.
    token: String,
}

/// How a token is rotated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateIn {
    /// How long the secret from before counts as well, such as `1h`; at most 30 days; default not at all.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    overlap: Option<Span>,
    /// When the new secret stops working; default never.
    #[serde(default)]
    expires: Option<Timestamp>,
    /// `bearer` (default) or `routing-key`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    form: TokenForm,
}

/// A sign-in link to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkIn {
    /// For whom; appears in the audit.
    person: String,
    /// What they may do.
    #[schema(value_type = String)]
    role: Role,
}

/// A sign-in link that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkOut {
    /// The address; works once, for ten minutes.
    url: String,
}

/// Tokens that work, by name.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", responses((status = 200, body = Vec<TokenOut>)))]
pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<Vec<TokenOut>>, Problem> {
    let made = state.store.tokens().await?;
    let directory = state.directory();
    let now = state.now();
    let uses: BTreeMap<&str, Timestamp> = directory.last_uses().collect();
    let out = directory.iter().map(|grant| {
        let record = made.iter().find(|token| token.revoked.is_none() && token.name == grant.name);
        let record = record.filter(|_| grant.origin == Origin::Api);
        TokenOut {
            name: grant.name.clone(),
            role: grant.role,
            team: grant.team.clone(),
            origin: grant.origin,
            created: record.map(|token| token.created),
            created_by: record.map(|token| token.created_by.clone()),
            expires: grant.expires,
            scopes: grant.scopes.clone(),
            rotated: record.and_then(|token| token.rotated),
            former_until: record.and_then(|token| token.former).map(|(_, until)| until).filter(|until| now < *until),
            last_used: uses.get(grant.name.as_str()).copied().max(record.and_then(|token| token.last_used)),
        }
    });
    Ok(Json(out.collect()))
}

/// Makes a token. The secret is in the answer and is not kept.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = TokenIn,
    responses((status = 201, body = MadeOut), (status = 400, body = Problem),
        (status = 409, body = Problem, description = "The name is taken")))]
pub(crate) async fn create(
    State(state): State<AppState>,
    who: Who,
    JsonBody(wanted): JsonBody<TokenIn>,
) -> Result<(StatusCode, Json<MadeOut>), Problem> {
    check_name(&wanted.name)?;
    check_scopes(&wanted.scopes)?;
    let taken = || Problem::new(StatusCode::CONFLICT, format!("there is a token `{}` already", wanted.name)).at("name");
    if state.directory().named(&wanted.name).is_some() {
        return Err(taken());
    }
    let token = Token::new(wanted.form, (state.random)());
    let new = NewToken {
        id: state.new_id(),
        name: wanted.name.clone(),
        hash: *token.hash().bytes(),
        role: wanted.role.as_str().to_owned(),
        team: wanted.team.clone().filter(|team| !team.is_empty()),
        scopes: wanted.scopes.clone(),
        expires: wanted.expires,
    };
    state.store.create_token(&new, state.now(), &who.caller).await.map_err(|error| match error {
        StoreError::Conflict { .. } => taken(),
        error => error.into(),
    })?;
    reload(&state).await?;
    Ok((StatusCode::CREATED, Json(MadeOut { name: wanted.name, token: token.expose().to_owned() })))
}

/// Gives a token another secret, under the same name. The new one is in the answer and is not kept.
#[utoipa::path(post, path = "/api/v1/tokens/{name}/rotate", tag = "tokens", request_body = RotateIn,
    params(("name" = String, Path, description = "Name of the token")),
    responses((status = 200, body = MadeOut), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The token stands in the configuration")))]
pub(crate) async fn rotate(
    State(state): State<AppState>,
    who: Who,
    Segments(name): Segments<String>,
    JsonBody(wanted): JsonBody<RotateIn>,
) -> Result<Json<MadeOut>, Problem> {
    let overlap = wanted.overlap.map_or(SignedDuration::ZERO, |overlap| overlap.0);
    if overlap > MOST_OVERLAP {
        return Err(Problem::bad("overlap", "the old secret counts for 30 days at most"));
    }
    let record = made(&state, &name).await?;
    let token = Token::new(wanted.form, (state.random)());
    let now = state.now();
    let to = Rotation { hash: *token.hash().bytes(), expires: wanted.expires, former_until: now + overlap };
    state.store.rotate_token(record.id, &to, now, &who.caller).await?;
    reload(&state).await?;
    Ok(Json(MadeOut { name, token: token.expose().to_owned() }))
}

/// The token of that name that was made through the API.
async fn made(state: &AppState, name: &str) -> Result<TokenRecord, Problem> {
    if state.directory().named(name).is_some_and(|grant| grant.origin == Origin::Configuration) {
        let detail = format!("`{name}` stands in the configuration; change it there and reload");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let made = state.store.tokens().await?;
    let token = made.into_iter().find(|token| token.revoked.is_none() && token.name == name);
    token.ok_or_else(|| Problem::missing("token", name))
}

/// Ends a token, and every session that was begun with it.
#[utoipa::path(delete, path = "/api/v1/tokens/{name}", tag = "tokens",
    params(("name" = String, Path, description = "Name of the token")),
    responses((status = 204), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "The token stands in the configuration")))]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    who: Who,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Problem> {
    let token = made(&state, &name).await?;
    state.store.revoke_token(token.id, state.now(), &who.caller).await?;
    reload(&state).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a one-time sign-in link for a browser.
#[utoipa::path(post, path = "/api/v1/sign-in-links", tag = "tokens", request_body = LinkIn,
    responses((status = 201, body = LinkOut), (status = 400, body = Problem)))]
pub(crate) async fn sign_in_link(
    State(state): State<AppState>,
    who: Who,
    JsonBody(wanted): JsonBody<LinkIn>,
) -> Result<(StatusCode, Json<LinkOut>), Problem> {
    check_name(&wanted.person).map_err(|problem| problem.at("person"))?;
    // Whoever uses the link is known by the name that stands in it: who put it there must be found afterwards.
    let summary = format!("Sign-in link made for {} with role {}", wanted.person, wanted.role);
    let row = NewAudit::new(state.now(), who.caller.clone(), "sign_in_link.created", summary);
    state.store.record(&row.about(format!("person:{}", wanted.person))).await?;
    let url = state.sign_in_link(&wanted.person, wanted.role);
    Ok((StatusCode::CREATED, Json(LinkOut { url: url.to_string() })))
}

async fn reload(state: &AppState) -> Result<(), Problem> {
    state.reload_tokens().await.map_err(|error| match error {
        ConfigureError::Store(error) => error.into(),
        error => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    })
}

/// Scopes are names without spaces (RFC 6749 §3.3).
fn check_scopes(scopes: &BTreeSet<String>) -> Result<(), Problem> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    let bad = |scope: &&String| scope.is_empty() || scope.len() > NAME_BYTES || !scope.bytes().all(fits);
    match scopes.iter().find(bad) {
        Some(_) => {
            Err(Problem::bad("scopes", "a scope is a name of visible ASCII without spaces, quotes and backslashes"))
        }
        None if scopes.len() > SCOPES => Err(Problem::bad("scopes", format!("a token has at most {SCOPES} scopes"))),
        None => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
    if name.is_empty() || name.len() > NAME_BYTES || !name.chars().all(fits) {
        let detail = format!("a name has 1 to {NAME_BYTES} letters, digits, `-`, `_`, `.` or `@`");
        return Err(Problem::bad("name", detail));
    }
    Ok(())
}
