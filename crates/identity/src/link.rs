//! One-time sign-in links: a token that opens one browser session, once, within ten minutes.
//!
//! Kept in memory as hashes; a restart voids them. Invariants: a link works once; the book is bounded (the oldest
//! link goes when it is full).

use crate::role::Role;
use crate::token::{Token, TokenForm, TokenHash};
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;

/// How long a link can be used.
pub const LINK_LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// Most links that wait to be used.
pub const LINKS: usize = 64;

/// Links that were offered and not yet used.
#[derive(Debug, Default)]
pub struct Links(VecDeque<Offer>);

#[derive(Debug)]
struct Offer {
    hash: TokenHash,
    person: String,
    role: Role,
    expires: Timestamp,
}

/// What a link gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    /// For whom it was made.
    pub person: String,
    /// What they may do.
    pub role: Role,
}

impl Links {
    /// A new link for `person`, from 32 random bytes.
    pub fn offer(&mut self, random: [u8; 32], person: &str, role: Role, now: Timestamp) -> Token {
        self.purge(now);
        if self.0.len() == LINKS {
            self.0.pop_front();
        }
        let token = Token::new(TokenForm::Bearer, random);
        let expires = now.saturating_add(LINK_LIFETIME).unwrap_or(now);
        self.0.push_back(Offer { hash: token.hash(), person: person.to_owned(), role, expires });
        token
    }

    /// Uses the link up.
    pub fn redeem(&mut self, presented: &str, now: Timestamp) -> Option<Redeemed> {
        self.purge(now);
        let hash = TokenHash::of(presented);
        let position = self.0.iter().position(|offer| offer.hash == hash)?;
        self.0.remove(position).map(|offer| Redeemed { person: offer.person, role: offer.role })
    }

    fn purge(&mut self, now: Timestamp) {
        self.0.retain(|offer| now < offer.expires);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).expect("in range")
    }

    #[test]
    fn a_link_works_once_and_for_ten_minutes() {
        let mut links = Links::default();
        let first = links.offer([1; 32], "console", Role::Admin, at(0));
        let second = links.offer([2; 32], "console", Role::Viewer, at(0));
        assert_eq!(links.redeem("ts_unknown", at(1)), None);
        let got = links.redeem(first.expose(), at(9));
        assert_eq!(got, Some(Redeemed { person: "console".to_owned(), role: Role::Admin }));
        assert_eq!(links.redeem(first.expose(), at(9)), None, "used");
        assert_eq!(links.redeem(second.expose(), at(10)), None, "too late");
    }

    #[test]
    fn the_book_is_bounded() {
        let mut links = Links::default();
        let oldest = links.offer([0; 32], "a", Role::Viewer, at(0));
        for n in 1..=64 {
            links.offer([n; 32], "a", Role::Viewer, at(0));
        }
        assert_eq!(links.0.len(), LINKS);
        assert_eq!(links.redeem(oldest.expose(), at(0)), None);
    }
}
