//! Following the source of truth for people: who is refused from now on, whose sessions end, who leaves their turns.
//!
//! Invariants: access follows before the answer to the change leaves; what concerns turns on call goes through the log
//! and is decided there; comparing again changes nothing, so a crash in between is made good at the next start or change.

use crate::state::AppState;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use trackside_core::caller::Caller;
use trackside_core::input::{Input, PersonEdit};
use trackside_identity::callers::NotKnown;
use trackside_identity::directory::Identity;
use trackside_identity::roster::{Listed, Roster, Standing};
use trackside_identity::scim::user::User;
use trackside_store::Error;
use trackside_store::directory::Entry;
use trackside_store::sessions::{SESSIONS, Whose};
use uuid::Uuid;

impl AppState {
    /// The identity with the teams that the directory of people gives it.
    ///
    /// # Errors
    /// When the person it stands for, or acts for, is not there any more.
    pub fn admit(&self, identity: Arc<Identity>) -> Result<Arc<Identity>, NotKnown> {
        self.roster().admit(identity)
    }

    /// Who is there.
    pub(crate) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads who is there anew. One reads at a time: what is older is never put in the place of what is newer.
    pub(crate) async fn read_roster(&self) -> Result<Arc<Roster>, Error> {
        let _one_at_a_time = self.reading.lock().await;
        let (entries, memberships) = self.store.directory_people().await?;
        let mut groups: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
        for membership in memberships {
            groups.entry(membership.member).or_default().push(membership.group_name);
        }
        let listed = entries.into_iter().filter_map(|entry| {
            let groups = groups.remove(&entry.id).unwrap_or_default();
            listed(entry, groups)
        });
        let configured = self.configured();
        let listed: Vec<Listed> = listed.collect();
        let roster = Arc::new(Roster::new(&listed, &configured.ruleset, &configured.scim.groups));
        *self.roster.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&roster);
        Ok(roster)
    }

    /// Reads who is there and makes the rest follow: sessions of those who are gone end, and what has to do with turns
    /// on call goes into the log. Called after a change of people or configuration, and at the start.
    ///
    /// # Errors
    /// When the store fails; then it is done again with the next change.
    pub async fn follow_people(&self, caller: &Caller) -> Result<(), Error> {
        let mut followed = self.following.lock().await;
        let roster = self.read_roster().await?;
        if !followed.as_ref().is_some_and(|followed| followed.refuses_the_same(&roster)) {
            self.end_sessions_of_the_gone(&roster, caller).await?;
        }
        let known = self.store.absences().await?;
        let known: BTreeSet<&str> = known.iter().map(|absence| absence.person.as_str()).collect();
        let left = roster.gone().iter().filter(|(person, _)| !known.contains(person.as_str()));
        let mut edits: Vec<PersonEdit> = left
            .map(|(person, because)| PersonEdit::Gone { person: person.clone(), because: because.clone() })
            .collect();
        let back = known.iter().filter(|person| !roster.gone().contains_key(**person));
        edits.extend(back.map(|person| PersonEdit::Back { person: (*person).to_owned() }));
        if !edits.is_empty() {
            self.put(&Input::People { caller: caller.clone(), edits }).await?;
        }
        *followed = Some(roster);
        Ok(())
    }
}

impl AppState {
    /// Ends every session of those who are refused from now on, so that none begins to count again should they come back.
    async fn end_sessions_of_the_gone(&self, roster: &Roster, caller: &Caller) -> Result<(), Error> {
        let mut before = None;
        loop {
            let found = self.store.sessions_before(before, self.now()).await?;
            for session in &found {
                let identity = crate::session::whose(self, session);
                if identity.is_some_and(|identity| roster.admit(identity).is_err()) {
                    let why = "is not in the directory any more";
                    self.store.end_sessions(Whose::One(session.id), why, self.now(), caller).await?;
                }
            }
            match found.last() {
                Some(last) if found.len() == SESSIONS => before = Some((last.started, last.id)),
                _ => return Ok(()),
            }
        }
    }
}

/// An entry of the directory as it is compared; one whose attributes cannot be read any more is left out, with a word
/// in the log.
fn listed(entry: Entry, groups: Vec<String>) -> Option<Listed> {
    let standing = match (entry.gone, entry.active) {
        (Some(_), _) => Standing::Deleted,
        (None, false) => Standing::Inactive,
        (None, true) => Standing::Here,
    };
    match User::parse(entry.body) {
        Ok(user) => Some(Listed { user, standing, groups }),
        Err(error) => {
            tracing::error!(user = entry.name, %error, "an entry of the directory cannot be read");
            None
        }
    }
}
