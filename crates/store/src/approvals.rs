//! Questions for agreement and the access they gave: written with the decision, found by id and in lists.
//!
//! Invariants: a question is one row, the last value wins; a grant stays when it is over, with the time it ended.

use crate::Store;
use crate::error::Result;
use crate::page::{Page, bounded};
use crate::statement::{Listing, Query, Sql, Statement, given, one_of};
use crate::value::{Kind, Row, json};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;
use trackside_core::approval::request::{Approval, ApprovalState, Grant};
use uuid::Uuid;

const BODY: &[Kind] = &[Kind::Text];

/// Which questions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// Only those that stand like one of these.
    pub states: Option<BTreeSet<ApprovalState>>,
    /// Only those that this caller asked.
    pub requester: Option<String>,
    /// Only those about this: `job reload`, `route billing`.
    pub about: Option<String>,
    /// Only those after this one in the listing ([`Page::next`]).
    pub before: Option<u64>,
    /// Most items, at most [`crate::page::PAGE_ITEMS`].
    pub limit: usize,
}

/// A question as kept.
#[derive(Clone, Debug, PartialEq)]
pub struct ApprovalRow {
    /// Position, ascending by when it was asked.
    pub position: u64,
    /// The question.
    pub approval: Approval,
}

/// Which grants to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Only those that hold, or only those that ended.
    pub standing: Option<GrantStanding>,
    /// Only those given to this caller.
    pub subject: Option<String>,
    /// Only those after this one in the listing ([`Page::next`]).
    pub before: Option<u64>,
    /// Most items, at most [`crate::page::PAGE_ITEMS`].
    pub limit: usize,
}

/// Whether a grant holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantStanding {
    /// It does.
    Active,
    /// It is over or was revoked.
    Ended,
}

/// A grant as kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GrantRow {
    /// Position, ascending by when it was given.
    pub position: u64,
    /// When it was over or revoked.
    pub ended: Option<Timestamp>,
    /// The grant.
    pub grant: Grant,
}

static PUT: Sql = Sql::write(
    "approvals.put",
    "INSERT INTO approvals (id, number, about, subject, state, open, created, decided, body)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, open = excluded.open, decided = excluded.decided,
       body = excluded.body",
);
static PUT_GRANT: Sql = Sql::write(
    "grants.put",
    "INSERT INTO grants (id, subject, route, until, body) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (id) DO UPDATE SET until = excluded.until, body = excluded.body",
);
static END_GRANT: Sql = Sql::write("grants.end", "UPDATE grants SET ended = $1 WHERE id = $2");
static OPEN: Sql = Sql::read("approvals.load", "SELECT body FROM approvals WHERE open = TRUE ORDER BY position", BODY);
static ACTIVE: Sql = Sql::read("grants.load", "SELECT body FROM grants WHERE ended IS NULL ORDER BY position", BODY);
static GET: Sql = Sql::read("approvals.get", "SELECT body FROM approvals WHERE id = $1", BODY);
static GET_GRANT: Sql =
    Sql::read("grants.get", "SELECT position, ended, body FROM grants WHERE id = $1", GRANT_COLUMNS);
const GRANT_COLUMNS: &[Kind] = &[Kind::Int, Kind::Time, Kind::Text];
static LIST: Listing = Listing {
    name: "approvals.list",
    head: "SELECT position, body FROM approvals WHERE 1 = 1",
    clauses: &["state IN ({*})", "subject = {0}", "about = {0}", "position < {0}"],
    order: "ORDER BY position DESC",
    columns: &[Kind::Int, Kind::Text],
};
static ACTIVE_GRANTS: Listing = Listing {
    name: "grants.active",
    head: "SELECT position, ended, body FROM grants WHERE ended IS NULL",
    clauses: &["subject = {0}", "position < {0}"],
    order: "ORDER BY position DESC",
    columns: GRANT_COLUMNS,
};
static ENDED_GRANTS: Listing = Listing {
    name: "grants.ended",
    head: "SELECT position, ended, body FROM grants WHERE ended IS NOT NULL",
    clauses: &["subject = {0}", "position < {0}"],
    order: "ORDER BY position DESC",
    columns: GRANT_COLUMNS,
};
static GRANTS: Listing = Listing {
    name: "grants.list",
    head: "SELECT position, ended, body FROM grants WHERE 1 = 1",
    clauses: &["subject = {0}", "position < {0}"],
    order: "ORDER BY position DESC",
    columns: GRANT_COLUMNS,
};

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&PUT, &PUT_GRANT, &END_GRANT, &OPEN, &ACTIVE, &GET, &GET_GRANT];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&LIST, &ACTIVE_GRANTS, &ENDED_GRANTS, &GRANTS];

impl Store {
    /// A question.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn approval(&self, id: Uuid) -> Result<Option<Approval>> {
        self.row(by_id(id)).await?.map(|mut row| row.json()).transpose()
    }

    /// Questions, the latest asked first.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn approvals(&self, filter: &ApprovalFilter) -> Result<Page<ApprovalRow>> {
        let limit = bounded(filter.limit);
        let states =
            filter.states.as_ref().map(|states| states.iter().map(|state| state.as_str().to_owned()).collect());
        let Some(states) = one_of::<String>(states.as_ref())? else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let (requester, about) = (given(filter.requester.as_ref()), given(filter.about.as_ref()));
        let filters = vec![states, requester, about, given(filter.before)];
        let read = |mut row: Row| Ok(ApprovalRow { position: row.next()?, approval: row.json()? });
        let items = self.rows(LIST.query(filters, limit)).await?.into_iter().map(read).collect::<Result<Vec<_>>>()?;
        Ok(Page::new(items, limit, |row| row.position))
    }

    /// All questions that are open, the oldest first. There are at most `limits::APPROVALS`.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn open_approvals(&self) -> Result<Vec<Approval>> {
        self.rows(OPEN.bound().query()).await?.into_iter().map(|mut row| row.json()).collect()
    }

    /// A grant.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn grant(&self, id: Uuid) -> Result<Option<GrantRow>> {
        self.row(GET_GRANT.bind(id).query()).await?.map(grant_row).transpose()
    }

    /// Grants, the latest given first.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn grants(&self, filter: &GrantFilter) -> Result<Page<GrantRow>> {
        let limit = bounded(filter.limit);
        let listing = match filter.standing {
            Some(GrantStanding::Active) => &ACTIVE_GRANTS,
            Some(GrantStanding::Ended) => &ENDED_GRANTS,
            None => &GRANTS,
        };
        let filters = vec![given(filter.subject.as_ref()), given(filter.before)];
        let rows = self.rows(listing.query(filters, limit)).await?;
        let items = rows.into_iter().map(grant_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::new(items, limit, |row| row.position))
    }
}

fn grant_row(mut row: Row) -> Result<GrantRow> {
    Ok(GrantRow { position: row.next()?, ended: row.next()?, grant: row.json()? })
}

/// All that are not decided.
pub(crate) fn open() -> Query {
    OPEN.bound().query()
}

/// All grants that have not ended.
pub(crate) fn active() -> Query {
    ACTIVE.bound().query()
}

pub(crate) fn by_id(id: Uuid) -> Query {
    GET.bind(id).query()
}

/// What a decision writes of a question.
pub(crate) fn put(approval: &Approval) -> Result<Statement> {
    Ok(PUT
        .bind(approval.id)
        .bind(approval.number)
        .bind(approval.subject.title())
        .bind(&approval.requester.subject)
        .bind(approval.state.as_str())
        .bind(approval.is_open())
        .bind(approval.created)
        .bind(approval.decided)
        .bind(json("an approval", approval)?)
        .any())
}

pub(crate) fn put_grant(grant: &Grant) -> Result<Statement> {
    let body = json("a grant", grant)?;
    Ok(PUT_GRANT.bind(grant.id).bind(&grant.subject).bind(&grant.route).bind(grant.until).bind(body).any())
}

pub(crate) fn end_grant(id: Uuid, at: Timestamp) -> Statement {
    END_GRANT.bind(at).bind(id).any()
}
