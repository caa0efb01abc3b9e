//! People and groups as another system keeps them (SCIM): what it said last, with a version per entry.
//!
//! Invariants: a name is unique among the entries of its kind that are there, without regard to case; who was deleted
//! stays as gone until the name is used again; a write names the version it was made from and writes its audit row in
//! the same batch. What the attributes mean is not known here.

use crate::Store;
use crate::audit::{self, NewAudit};
use crate::error::Result;
use crate::page::{PAGE_ITEMS, bounded};
use crate::statement::{Batch, Filter, Listing, Sql, Statement, given};
use crate::value::{Kind, Row, json, stored_time};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;
use trackside_core::caller::Caller;
use uuid::Uuid;

/// Most entries of a kind. More are refused where they come in; all that there are can be read at once.
pub const ENTRIES: usize = 50_000;
/// Most members of a group.
pub const MEMBERS: usize = 10_000;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A person.
    User,
    /// A group of people.
    Group,
}

impl EntryKind {
    /// The lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }
}

/// An entry as kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Identity.
    pub id: Uuid,
    /// What it is.
    pub kind: EntryKind,
    /// Its name, as given.
    pub name: String,
    /// What the other system calls it.
    pub external_id: Option<String>,
    /// Whether it is in use.
    pub active: bool,
    /// How often it was written, from 1.
    pub version: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last written.
    pub changed: Timestamp,
    /// When it was deleted.
    pub gone: Option<Timestamp>,
    /// Its attributes.
    pub body: serde_json::Value,
}

/// An entry to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEntry {
    /// Identity.
    pub id: Uuid,
    /// What it is.
    pub kind: EntryKind,
    /// Its name.
    pub name: String,
    /// What the other system calls it.
    pub external_id: Option<String>,
    /// Whether it is in use.
    pub active: bool,
    /// Its attributes.
    pub body: serde_json::Value,
}

/// Which entries to list. All that is given must hold; nobody who is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryFilter {
    /// What they are.
    pub kind: EntryKind,
    /// Only this one.
    pub id: Option<Uuid>,
    /// Only the one of this name, without regard to case.
    pub name: Option<String>,
    /// Only those that the other system calls so.
    pub external_id: Option<String>,
    /// Only groups with this member.
    pub member: Option<Uuid>,
}

impl EntryFilter {
    /// All of a kind.
    #[must_use]
    pub fn all(kind: EntryKind) -> Self {
        Self { kind, id: None, name: None, external_id: None, member: None }
    }
}

/// How the members of a group change, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberEdit {
    /// Who is in it before the rest.
    pub keep: Keep,
    /// Who leaves it.
    pub remove: Vec<Uuid>,
    /// Who joins it.
    pub add: Vec<Uuid>,
}

/// What happens to the members that a group has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// They stay.
    #[default]
    All,
    /// All leave.
    None,
}

/// A membership, with the name of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: Uuid,
    /// Its name.
    pub group_name: String,
    /// The member.
    pub member: Uuid,
    /// Its name.
    pub member_name: String,
}

const ENTRY: &[Kind] =
    &[Kind::Uuid, Kind::Text, Kind::Text, Kind::Bool, Kind::Int, Kind::Time, Kind::Time, Kind::Time, Kind::Text];
const CLAUSES: &[&str] = &[
    "kind = {0}",
    "id = {0}",
    "name = {0}",
    "external_id = {0}",
    "id IN (SELECT of_group FROM directory_members WHERE member = {0})",
];
const MEMBERSHIP: &[Kind] = &[Kind::Uuid, Kind::Text, Kind::Uuid, Kind::Text];

static CREATE: Sql = Sql::write(
    "directory.create",
    "INSERT INTO directory (id, kind, name, external_id, active, version, created, changed, body)
     VALUES ($1, $2, $3, $4, $5, 1, $6, $6, $7)",
);
static FORGET: Sql =
    Sql::write("directory.forget", "DELETE FROM directory WHERE kind = $1 AND name = $2 AND gone IS NOT NULL");
static UPDATE: Sql = Sql::write(
    "directory.update",
    "UPDATE directory SET name = $1, external_id = $2, active = $3, changed = $4, body = $5, version = version + 1
     WHERE id = $6 AND version = $7 AND gone IS NULL",
);
static REMOVE: Sql = Sql::write(
    "directory.remove",
    "UPDATE directory SET gone = $1, active = $2, changed = $1, version = version + 1
     WHERE id = $3 AND version = $4 AND gone IS NULL",
);
static JOIN: Sql = Sql::write(
    "directory.join",
    "INSERT INTO directory_members (of_group, member) VALUES ($1, $2) ON CONFLICT (of_group, member) DO NOTHING",
);
static LEAVE: Sql = Sql::write("directory.leave", "DELETE FROM directory_members WHERE of_group = $1 AND member = $2");
static EMPTY: Sql = Sql::write("directory.empty", "DELETE FROM directory_members WHERE of_group = $1");
static LEAVE_ALL: Sql = Sql::write("directory.leave_all", "DELETE FROM directory_members WHERE member = $1");
static LIST: Listing = Listing {
    name: "directory.list",
    head: "SELECT id, kind, external_id, active, version, created, changed, gone, body FROM directory
           WHERE gone IS NULL",
    clauses: CLAUSES,
    order: "ORDER BY position",
    columns: ENTRY,
};
static COUNT: Listing = Listing {
    name: "directory.count",
    head: "SELECT count(*) FROM directory WHERE gone IS NULL",
    clauses: CLAUSES,
    order: "",
    columns: &[Kind::Int],
};
static KNOWN: Sql = Sql::read(
    "directory.known",
    "SELECT id FROM directory WHERE id = $1 AND kind = 'user' AND gone IS NULL",
    &[Kind::Uuid],
);
static USERS: Sql = Sql::read(
    "directory.users",
    "SELECT id, kind, external_id, active, version, created, changed, gone, body FROM directory WHERE kind = 'user'
     ORDER BY position LIMIT $1",
    ENTRY,
);
static MEMBERS_OF: Sql = Sql::read(
    "directory.members",
    "SELECT m.of_group, '', d.id, d.body FROM directory_members m JOIN directory d ON d.id = m.member
     WHERE m.of_group = $1 ORDER BY m.member LIMIT $2",
    MEMBERSHIP,
);
static GROUPS_OF: Sql = Sql::read(
    "directory.groups",
    "SELECT d.id, d.body, m.member, '' FROM directory_members m JOIN directory d ON d.id = m.of_group
     WHERE m.member = $1 ORDER BY m.of_group LIMIT $2",
    MEMBERSHIP,
);
static MEMBERSHIPS: Sql = Sql::read(
    "directory.memberships",
    "SELECT d.id, d.body, m.member, '' FROM directory_members m JOIN directory d ON d.id = m.of_group",
    MEMBERSHIP,
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[
    &CREATE,
    &FORGET,
    &UPDATE,
    &REMOVE,
    &JOIN,
    &LEAVE,
    &EMPTY,
    &LEAVE_ALL,
    &KNOWN,
    &USERS,
    &MEMBERS_OF,
    &GROUPS_OF,
    &MEMBERSHIPS,
];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&LIST, &COUNT];

impl Store {
    /// Keeps a new entry, a group with its members. One of that name that is gone is forgotten.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when an entry of its kind has that name.
    pub async fn directory_create(
        &self,
        new: NewEntry,
        members: &[Uuid],
        now: Timestamp,
        caller: &Caller,
    ) -> Result<Entry> {
        let now = stored_time(now);
        let NewEntry { id, kind, name, external_id, active, body } = new;
        let entry =
            Entry { id, kind, name, external_id, active, version: 1, created: now, changed: now, gone: None, body };
        let create = CREATE
            .bind(entry.id)
            .bind(kind.as_str())
            .bind(key(&entry.name))
            .bind(entry.external_id.as_ref())
            .bind(entry.active)
            .bind(now)
            .bind(kept(&entry)?)
            .any();
        let forget = FORGET.bind(kind.as_str()).bind(key(&entry.name)).any();
        let joins = members.iter().map(|member| JOIN.bind(entry.id).bind(*member).any());
        let mut statements = vec![forget, create];
        statements.extend(joins);
        let after = said(&entry, members.iter().copied().collect());
        statements.push(audit_row(&entry, "created", (None, Some(after)), now, caller));
        self.write(Batch::of(statements)).await?;
        Ok(entry)
    }

    /// Writes an entry anew, and changes the members of a group. `entry` is as it was read, with what changes changed.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when it is gone or was changed since it was read, or the name is taken.
    pub async fn directory_update(
        &self,
        entry: Entry,
        members: &MemberEdit,
        now: Timestamp,
        caller: &Caller,
    ) -> Result<Entry> {
        let now = stored_time(now);
        let update = UPDATE
            .bind(key(&entry.name))
            .bind(entry.external_id.as_ref())
            .bind(entry.active)
            .bind(now)
            .bind(kept(&entry)?)
            .bind(entry.id)
            .bind(entry.version)
            .one("the entry is gone or was changed by somebody else; read it again");
        let mut statements = vec![update];
        if members.keep == Keep::None {
            statements.push(EMPTY.bind(entry.id).any());
        }
        statements.extend(members.remove.iter().map(|member| LEAVE.bind(entry.id).bind(*member).any()));
        statements.extend(members.add.iter().map(|member| JOIN.bind(entry.id).bind(*member).any()));
        let (before, after) = self.as_changed(&entry, members).await?;
        statements.push(audit_row(&entry, "changed", (before, Some(after)), now, caller));
        self.write(Batch::of(statements)).await?;
        Ok(Entry { version: entry.version + 1, changed: now, ..entry })
    }

    /// Notes that an entry was deleted. It is in no group any more, and no group that it was has members.
    ///
    /// # Errors
    /// [`crate::Error::Conflict`] when it is gone or was changed since it was read.
    pub async fn directory_remove(&self, entry: &Entry, now: Timestamp, caller: &Caller) -> Result<()> {
        let remove = REMOVE
            .bind(now)
            .bind(false)
            .bind(entry.id)
            .bind(entry.version)
            .one("the entry is gone or was changed by somebody else; read it again");
        let leave = match entry.kind {
            EntryKind::User => LEAVE_ALL.bind(entry.id).any(),
            EntryKind::Group => EMPTY.bind(entry.id).any(),
        };
        let before = said(entry, self.member_ids(entry).await?);
        let audit = audit_row(entry, "deleted", (Some(before), None), now, caller);
        self.write(Batch::of(vec![remove, leave, audit])).await?;
        Ok(())
    }

    /// An entry with its members as they are, and as they will be. What is written is written only if nobody changed
    /// the entry since it was read, so the first is what is replaced.
    async fn as_changed(&self, entry: &Entry, edit: &MemberEdit) -> Result<(Option<Said>, Said)> {
        let members = self.member_ids(entry).await?;
        let mut after = if edit.keep == Keep::None { BTreeSet::new() } else { members.clone() };
        after.retain(|member| !edit.remove.contains(member));
        after.extend(&edit.add);
        let before = self.directory_entry(entry.kind, entry.id).await?;
        Ok((before.map(|before| said(&before, members)), said(entry, after)))
    }

    async fn member_ids(&self, entry: &Entry) -> Result<BTreeSet<Uuid>> {
        if entry.kind == EntryKind::User {
            return Ok(BTreeSet::new());
        }
        Ok(self.directory_members(entry.id).await?.into_iter().map(|membership| membership.member).collect())
    }

    /// Entries in the order in which they were made, at most `limit` (and [`PAGE_ITEMS`]) after the first `offset`.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn directory_list(&self, filter: &EntryFilter, offset: u64, limit: usize) -> Result<Vec<Entry>> {
        let rows = self.rows(LIST.query_from(filters(filter), offset, bounded(limit))).await?;
        rows.into_iter().map(entry).collect()
    }

    /// How many entries a listing has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn directory_count(&self, filter: &EntryFilter) -> Result<u64> {
        Ok(self.row(COUNT.query(filters(filter), 1)).await?.map(|mut row| row.next()).transpose()?.unwrap_or(0))
    }

    /// The entry of this kind with this identity, unless it is gone.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub async fn directory_entry(&self, kind: EntryKind, id: Uuid) -> Result<Option<Entry>> {
        let filter = EntryFilter { id: Some(id), ..EntryFilter::all(kind) };
        Ok(self.directory_list(&filter, 0, 1).await?.pop())
    }

    /// Those of these that are users who are there.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for more than [`MEMBERS`].
    pub async fn directory_known(&self, ids: &BTreeSet<Uuid>) -> Result<BTreeSet<Uuid>> {
        if ids.len() > MEMBERS {
            let problem = format!("{} members, at most {MEMBERS} are allowed", ids.len());
            return Err(crate::Error::Invalid { what: "the group".to_owned(), problem });
        }
        let mut answers = self.snapshot(ids.iter().map(|id| KNOWN.bind(*id).query()).collect()).await?;
        let mut known = BTreeSet::new();
        for _ in ids {
            known.extend(answers.next(|mut row| row.next::<Uuid>())?);
        }
        Ok(known)
    }

    /// The members of a group, at most [`MEMBERS`].
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn directory_members(&self, group: Uuid) -> Result<Vec<Membership>> {
        self.rows(MEMBERS_OF.bind(group).bind(MEMBERS).query()).await?.into_iter().map(membership).collect()
    }

    /// The groups that somebody is in, at most [`PAGE_ITEMS`].
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn directory_groups_of(&self, member: Uuid) -> Result<Vec<Membership>> {
        self.rows(GROUPS_OF.bind(member).bind(PAGE_ITEMS).query()).await?.into_iter().map(membership).collect()
    }

    /// Everybody, those who are gone too, with all memberships.
    ///
    /// # Errors
    /// When something cannot be read back.
    pub async fn directory_people(&self) -> Result<(Vec<Entry>, Vec<Membership>)> {
        let mut answers = self.snapshot(vec![USERS.bind(2 * ENTRIES).query(), MEMBERSHIPS.bound().query()]).await?;
        Ok((answers.next(entry)?, answers.next(membership)?))
    }
}

/// A name as it is compared.
fn key(name: &str) -> String {
    name.to_lowercase()
}

/// The body with the name beside it, so that the name is kept as it was written.
fn kept(entry: &Entry) -> Result<String> {
    json("an entry of the directory", &(&entry.name, &entry.body))
}

fn filters(filter: &EntryFilter) -> Vec<Filter> {
    vec![
        given(Some(filter.kind.as_str())),
        given(filter.id),
        given(filter.name.as_deref().map(key)),
        given(filter.external_id.as_ref()),
        given(filter.member),
    ]
}

/// What a digest of an entry is made over.
#[derive(Serialize)]
struct Said {
    name: String,
    external_id: Option<String>,
    active: bool,
    body: serde_json::Value,
    members: BTreeSet<Uuid>,
}

fn said(entry: &Entry, members: BTreeSet<Uuid>) -> Said {
    let Entry { name, external_id, active, body, .. } = entry.clone();
    Said { name, external_id, active, body, members }
}

fn audit_row(
    entry: &Entry,
    done: &str,
    (before, after): (Option<Said>, Option<Said>),
    at: Timestamp,
    caller: &Caller,
) -> Statement {
    let kind = entry.kind.as_str();
    let state = if entry.active || done == "deleted" { "" } else { ", not active" };
    let members = |said: &Option<Said>| said.as_ref().map_or_else(BTreeSet::new, |said| said.members.clone());
    let changed = members(&before).symmetric_difference(&members(&after)).count();
    let members = if changed > 0 { format!(", {changed} members changed") } else { String::new() };
    let summary = format!("Directory: {kind} {} {done}{state}{members}", entry.name);
    let row = NewAudit::new(at, caller.clone(), format!("{kind}.{done}"), summary);
    audit::insert(&row.about(format!("{kind}:{}", entry.name)).changing(before.as_ref(), after.as_ref()))
}

fn entry(mut row: Row) -> Result<Entry> {
    let id = row.next()?;
    let kind: String = row.next()?;
    let kind = if kind == "group" { EntryKind::Group } else { EntryKind::User };
    let (external_id, active, version) = (row.next()?, row.next()?, row.next()?);
    let (created, changed, gone) = (row.next()?, row.next()?, row.next()?);
    let (name, body) = row.json()?;
    Ok(Entry { id, kind, name, external_id, active, version, created, changed, gone, body })
}

fn membership(mut row: Row) -> Result<Membership> {
    let group = row.next()?;
    let group_body: String = row.next()?;
    let member = row.next()?;
    let member_body: String = row.next()?;
    Ok(Membership { group, group_name: name_in(&group_body), member, member_name: name_in(&member_body) })
}

/// The name in a body as [`kept`] writes it; empty where the row has none.
fn name_in(body: &str) -> String {
    serde_json::from_str::<(String, serde::de::IgnoredAny)>(body).map(|(name, _)| name).unwrap_or_default()
}
