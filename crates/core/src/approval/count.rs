//! Counting: whether those who said yes are enough for a rule, and who is missing.
//!
//! A part of a rule is a number of seats, each for somebody of some groups. Invariants: one person takes one seat, also
//! when they speak for several groups; whether all seats can be taken does not depend on the order in which people
//! spoke. So people are assigned to seats as a whole (a matching in a bipartite graph, by augmenting paths), not each
//! to the first seat that fits.

use super::request::{Approval, Says, VoiceHeard};
use super::rule::{ApprovalRule, Quorum, Voice};
use std::collections::BTreeSet;

/// How a question stands with one part of its rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally<'a> {
    /// For each group of the part: who took a seat, and how many seats there are.
    pub groups: Vec<Seats<'a>>,
}

/// The seats of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats<'a> {
    /// Whose seats they are.
    pub voice: &'a Voice,
    /// Subjects of those who took one, in the order in which they spoke.
    pub taken: Vec<&'a str>,
}

impl Seats<'_> {
    /// How many are free.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.voice.needed().saturating_sub(self.taken.len())
    }
}

impl Tally<'_> {
    /// How many voices are missing.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.groups.iter().map(Seats::missing).sum()
    }
}

impl Approval {
    /// How it stands with each part of its rule; of parts with equally many missing the first is the nearest.
    #[must_use]
    pub fn tallies(&self) -> Vec<Tally<'_>> {
        let yes: Vec<&VoiceHeard> = self.voices.iter().filter(|voice| voice.says == Says::Approve).collect();
        self.rule.any_of.iter().map(|quorum| tally(quorum, &yes)).collect()
    }

    /// Whether enough said yes.
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        self.tallies().iter().any(|tally| tally.missing() == 0)
    }

    /// Who is missing, for people, by the part of the rule that is nearest: `1 of dba and 1 of approvers`.
    #[must_use]
    pub fn missing(&self) -> String {
        let tallies = self.tallies();
        let Some(nearest) = tallies.iter().min_by_key(|tally| tally.missing()) else {
            return "nobody".to_owned();
        };
        let open = nearest.groups.iter().filter(|seats| seats.missing() > 0);
        let open = open.map(|seats| format!("{} of {}", seats.missing(), seats.voice.title()));
        let open = open.collect::<Vec<_>>().join(" and ");
        if open.is_empty() { "nobody".to_owned() } else { open }
    }

    /// Whether this is one of those who asked: the caller, or somebody on whose behalf, under any of their names.
    #[must_use]
    pub fn is_asked_by(&self, known_as: &BTreeSet<String>) -> bool {
        !self.known_as.is_disjoint(known_as)
    }

    /// What somebody said already, under any of their names.
    #[must_use]
    pub fn voice_of(&self, known_as: &BTreeSet<String>) -> Option<&VoiceHeard> {
        self.voices.iter().find(|voice| !voice.known_as.is_disjoint(known_as))
    }
}

impl ApprovalRule {
    /// Whether the rule asks anybody that this caller speaks for.
    #[must_use]
    pub fn asks(&self, speaks_for: &BTreeSet<String>) -> bool {
        self.groups().any(|voice| !voice.from.is_disjoint(speaks_for))
    }

    /// Every group of every part.
    pub fn groups(&self) -> impl Iterator<Item = &Voice> {
        self.any_of.iter().flat_map(|quorum| &quorum.all_of)
    }
}

fn tally<'a>(quorum: &'a Quorum, yes: &[&'a VoiceHeard]) -> Tally<'a> {
    let seats: Vec<&Voice> =
        quorum.all_of.iter().flat_map(|voice| std::iter::repeat_n(voice, voice.needed().min(yes.len()))).collect();
    let groups_of_seats: Vec<usize> = quorum
        .all_of
        .iter()
        .enumerate()
        .flat_map(|(group, voice)| std::iter::repeat_n(group, voice.needed().min(yes.len())))
        .collect();
    let mut matching = Matching { seats: &seats, yes, taken: vec![None; seats.len()] };
    for person in 0..yes.len() {
        matching.seat(person, &mut vec![false; seats.len()]);
    }
    let mut groups: Vec<Seats<'a>> = quorum.all_of.iter().map(|voice| Seats { voice, taken: Vec::new() }).collect();
    let mut seated: Vec<(usize, usize)> = matching
        .taken
        .iter()
        .enumerate()
        .filter_map(|(seat, person)| Some(((*person)?, groups_of_seats[seat])))
        .collect();
    seated.sort_unstable();
    for (person, group) in seated {
        groups[group].taken.push(&yes[person].caller.subject);
    }
    Tally { groups }
}

/// Who sits where.
struct Matching<'a> {
    seats: &'a [&'a Voice],
    yes: &'a [&'a VoiceHeard],
    taken: Vec<Option<usize>>,
}

impl Matching<'_> {
    /// Finds a seat for a person, asking those who sit to move where that helps. No seat is tried twice.
    fn seat(&mut self, person: usize, tried: &mut [bool]) -> bool {
        for seat in 0..self.seats.len() {
            if tried[seat] || self.seats[seat].from.is_disjoint(&self.yes[person].speaks_for) {
                continue;
            }
            tried[seat] = true;
            if self.taken[seat].is_none_or(|other| self.seat(other, tried)) {
                self.taken[seat] = Some(person);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
