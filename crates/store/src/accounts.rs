//! API tokens that were made through the API or the command line.
//!
//! Invariants: only the SHA-256 of a token is kept; a name belongs to one token that is not revoked; making,
//! rotating and revoking one writes its audit row in the same batch. What a role may do is not known here.

use crate::Store;
use crate::audit::{self, NewAudit};
use crate::error::Result;
use crate::statement::{Batch, Sql};
use crate::value::{Kind, Row};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;
use trackside_core::caller::Caller;
use uuid::Uuid;

/// Most tokens listed, revoked ones last.
pub const TOKENS: usize = 10_000;

/// A token to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Identity.
    pub id: Uuid,
    /// Name for people; the source of what it sends.
    pub name: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Role, as `trackside-identity` names it.
    pub role: String,
    /// Team it is bound to.
    pub team: Option<String>,
    /// Names that routes and jobs may ask for. None has a space.
    pub scopes: BTreeSet<String>,
    /// When it stops working.
    pub expires: Option<Timestamp>,
}

/// What a token becomes when it is rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// SHA-256 of the new token.
    pub hash: [u8; 32],
    /// When the new token stops working.
    pub expires: Option<Timestamp>,
    /// Until when the old one counts as well.
    pub former_until: Timestamp,
}

/// A token as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Identity.
    pub id: Uuid,
    /// Name for people.
    pub name: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Role.
    pub role: String,
    /// Team it is bound to.
    pub team: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it stops working.
    pub expires: Option<Timestamp>,
    /// When it was last used, to within the time between two [`Store::touch_tokens`].
    pub last_used: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// Names that routes and jobs may ask for.
    pub scopes: BTreeSet<String>,
    /// SHA-256 of what it was before it was rotated, and until when that counts.
    pub former: Option<([u8; 32], Timestamp)>,
    /// When it was rotated last.
    pub rotated: Option<Timestamp>,
}

impl TokenRecord {
    /// Whether it works at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

const TOKEN: &[Kind] = &[
    Kind::Uuid,
    Kind::Text,
    Kind::Bytes,
    Kind::Text,
    Kind::Text,
    Kind::Time,
    Kind::Text,
    Kind::Time,
    Kind::Time,
    Kind::Time,
    Kind::Text,
    Kind::Bytes,
    Kind::Time,
    Kind::Time,
];

static CREATE: Sql = Sql::write(
    "tokens.create",
    "INSERT INTO tokens (id, name, hash, role, team, created, created_by, expires, scopes)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
static REVOKE: Sql = Sql::write("tokens.revoke", "UPDATE tokens SET revoked = $1 WHERE id = $2 AND revoked IS NULL");
static ROTATE: Sql = Sql::write(
    "tokens.rotate",
    "UPDATE tokens SET former = hash, former_until = $1, hash = $2, expires = $3, rotated = $4
     WHERE id = $5 AND revoked IS NULL",
);
static TOUCH: Sql = Sql::write(
    "tokens.touch",
    "UPDATE tokens SET last_used = $1 WHERE id = $2 AND (last_used IS NULL OR last_used < $1)",
);
static LIST: Sql = Sql::read(
    "tokens.list",
    "SELECT id, name, hash, role, team, created, created_by, expires, last_used, revoked, scopes, former, former_until, rotated
     FROM tokens ORDER BY CASE WHEN revoked IS NULL THEN 0 ELSE 1 END, name, created LIMIT $1",
    TOKEN,
);
static BY_HASH: Sql = Sql::read(
    "tokens.by_hash",
    "SELECT id, name, hash, role, team, created, created_by, expires, last_used, revoked, scopes, former, former_until, rotated
     FROM tokens WHERE hash = $1",
    TOKEN,
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&CREATE, &REVOKE, &ROTATE, &TOUCH, &LIST, &BY_HASH];

impl Store {
    /// Keeps a new token.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when a token of that name exists that is not revoked.
    pub async fn create_token(&self, token: &NewToken, now: Timestamp, caller: &Caller) -> Result<()> {
        let create = CREATE
            .bind(token.id)
            .bind(&token.name)
            .bind(token.hash)
            .bind(&token.role)
            .bind(token.team.as_ref())
            .bind(now)
            .bind(&caller.subject)
            .bind(token.expires)
            .bind(token.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
            .any();
        let summary = format!("Token {} with role {} created", token.name, token.role);
        let row = NewAudit::new(now, caller.clone(), "token.created", summary).about(format!("token:{}", token.name));
        let audit = audit::insert(&row.changing(None, Some(&Said::of_new(token))));
        self.write(Batch::of(vec![create, audit])).await?;
        Ok(())
    }

    /// Ends a token.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when there is no such token, or it is revoked already.
    pub async fn revoke_token(&self, id: Uuid, now: Timestamp, caller: &Caller) -> Result<()> {
        let revoke = REVOKE.bind(now).bind(id).one("there is no such token, or it is revoked already");
        let before = self.token(id).await?;
        let after = before.clone().map(|token| TokenRecord { revoked: Some(now), ..token });
        let audit = audit::insert(&token_audit("token.revoked", id, (before, after), now, caller));
        self.write(Batch::of(vec![revoke, audit])).await?;
        Ok(())
    }

    /// Gives a token another secret; the one before counts for a while, those before that no more.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when there is no such token, or it is revoked.
    pub async fn rotate_token(&self, id: Uuid, to: &Rotation, now: Timestamp, caller: &Caller) -> Result<()> {
        let rotate = ROTATE
            .bind(to.former_until)
            .bind(to.hash)
            .bind(to.expires)
            .bind(now)
            .bind(id)
            .one("there is no such token, or it is revoked already");
        let before = self.token(id).await?;
        let after = before.clone().map(|token| TokenRecord { hash: to.hash, expires: to.expires, ..token });
        let mut row = token_audit("token.rotated", id, (before, after), now, caller);
        row.summary.push_str(&format!("; the one before counts until {}", to.former_until));
        let audit = audit::insert(&row);
        self.write(Batch::of(vec![rotate, audit])).await?;
        Ok(())
    }

    /// Notes when tokens were used: one batch for many requests.
    ///
    /// # Errors
    /// When it could not be stored.
    pub async fn touch_tokens(&self, used: &[(Uuid, Timestamp)]) -> Result<()> {
        if used.is_empty() {
            return Ok(());
        }
        self.write(Batch::of(used.iter().map(|(id, at)| TOUCH.bind(*at).bind(*id).any()).collect())).await?;
        Ok(())
    }

    /// All tokens, revoked ones last, at most [`TOKENS`].
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn tokens(&self) -> Result<Vec<TokenRecord>> {
        self.rows(LIST.bind(TOKENS).query()).await?.into_iter().map(token).collect()
    }

    async fn token(&self, id: Uuid) -> Result<Option<TokenRecord>> {
        Ok(self.tokens().await?.into_iter().find(|token| token.id == id))
    }

    /// The token with this SHA-256, also when it is expired or revoked.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRecord>> {
        self.row(BY_HASH.bind(*hash).query()).await?.map(token).transpose()
    }
}

/// What a digest of a token is made over: all but when it was used.
#[derive(Serialize)]
struct Said<'a> {
    id: Uuid,
    name: &'a str,
    hash: &'a [u8; 32],
    role: &'a str,
    team: Option<&'a str>,
    scopes: &'a BTreeSet<String>,
    expires: Option<Timestamp>,
    revoked: Option<Timestamp>,
}

impl<'a> Said<'a> {
    fn of(token: &'a TokenRecord) -> Self {
        Self {
            id: token.id,
            name: &token.name,
            hash: &token.hash,
            role: &token.role,
            team: token.team.as_deref(),
            scopes: &token.scopes,
            expires: token.expires,
            revoked: token.revoked,
        }
    }

    fn of_new(token: &'a NewToken) -> Self {
        Self {
            id: token.id,
            name: &token.name,
            hash: &token.hash,
            role: &token.role,
            team: token.team.as_deref(),
            scopes: &token.scopes,
            expires: token.expires,
            revoked: None,
        }
    }
}

/// The row of a change of a token, as it was and as it is.
fn token_audit(
    action: &str,
    id: Uuid,
    (before, after): (Option<TokenRecord>, Option<TokenRecord>),
    at: Timestamp,
    caller: &Caller,
) -> NewAudit {
    let name = before.as_ref().map_or_else(|| id.to_string(), |token| token.name.clone());
    let done = action.trim_start_matches("token.");
    let row = NewAudit::new(at, caller.clone(), action, format!("Token {name} {done}"));
    let said = (before.as_ref().map(Said::of), after.as_ref().map(Said::of));
    row.about(format!("token:{name}")).changing(said.0.as_ref(), said.1.as_ref())
}

fn token(mut row: Row) -> Result<TokenRecord> {
    let mut record = TokenRecord {
        id: row.next()?,
        name: row.next()?,
        hash: row.next()?,
        role: row.next()?,
        team: row.next()?,
        created: row.next()?,
        created_by: row.next()?,
        expires: row.next()?,
        last_used: row.next()?,
        revoked: row.next()?,
        scopes: row.next::<String>()?.split_whitespace().map(str::to_owned).collect(),
        former: None,
        rotated: None,
    };
    let former: Option<[u8; 32]> = row.next()?;
    let until: Option<Timestamp> = row.next()?;
    record.former = former.zip(until);
    record.rotated = row.next()?;
    Ok(record)
}
