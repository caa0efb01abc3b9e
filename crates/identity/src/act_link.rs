//! Links that do one thing once: what an e-mail offers beside its text ("Acknowledge", "Resolve").
//!
//! The token holds everything it grants and an HMAC-SHA-256 over it, so nothing is stored until it is used; that it is
//! used once is the log's doing, which keeps one entry per [`ActLink::id`]. Invariants: a token opens only what it was
//! made for; who has the mail can use its links, whoever forwards it passes them on. Not here: one-time sign-in links
//! ([`crate::link`]).

mod run;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretBox};
use sha2::Sha256;
use std::str;
use trackside_core::ids::{DeliveryId, IncidentId, derive};
use uuid::Uuid;
use zeroize::Zeroizing;

/// How long a link can be used.
pub const ACT_LINK_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Longest token that is looked at, in bytes.
pub const TOKEN_BYTES: usize = 2_048;
/// Longest text in a link, in bytes.
const NAME_BYTES: usize = 400;
const VERSION: u8 = 1;
const MAC_BYTES: usize = 32;

/// What a link asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// "I have it."
    Acknowledge,
    /// "It is over."
    Resolve,
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActLink {
    /// What it asks for.
    pub wish: Wish,
    /// Of which incident.
    pub incident: IncidentId,
    /// Of which life of it (how often it was opened again).
    pub life: u32,
    /// The message that it stands in.
    pub delivery: DeliveryId,
    /// Until when it can be used (whole seconds count).
    pub expires: Timestamp,
    /// The connection that the message went through.
    pub connection: String,
    /// The address it went to, when that replaced the connection's own.
    pub to: Option<String>,
    /// In whose name it acts: a person, or the address the message went to.
    pub who: String,
}

/// Why a token is not a link that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// It was not made here, or is not whole.
    #[error("this link is not whole, or was not made here; copy all of it from the message")]
    Forged,
    /// It is too old.
    #[error("this link is older than a week; open the incident instead")]
    Expired,
}

/// The key that links are signed with. Whoever has it can act on any incident; changing it ends every link.
#[derive(Debug)]
pub struct ActKey(SecretBox<[u8; 32]>);

impl ActLink {
    /// The same for the same link: what it asks for is entered into the log once under this id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        let wish = match self.wish {
            Wish::Acknowledge => "acknowledge",
            Wish::Resolve => "resolve",
        };
        derive("act link", &[&self.delivery.to_string(), wish, &self.incident.to_string(), &self.life.to_string()])
    }
}

impl ActKey {
    /// A key from 32 random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(random)))
    }

    /// The token of a link, safe in an address. Texts are cut to what a link holds.
    #[must_use]
    pub fn seal(&self, link: &ActLink) -> String {
        let wish = match link.wish {
            Wish::Acknowledge => 1,
            Wish::Resolve => 2,
        };
        let mut bytes = vec![VERSION, wish];
        bytes.extend_from_slice(link.incident.0.as_bytes());
        bytes.extend_from_slice(&link.life.to_be_bytes());
        bytes.extend_from_slice(link.delivery.0.as_bytes());
        bytes.extend_from_slice(&link.expires.as_second().to_be_bytes());
        for text in [&link.connection, link.to.as_deref().unwrap_or_default(), &link.who] {
            put(&mut bytes, text);
        }
        let mac = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The link behind a token.
    ///
    /// # Errors
    /// [`BadLink`]; that a link is too old is said only of one that was made here.
    pub fn open(&self, token: &str, now: Timestamp) -> Result<ActLink, BadLink> {
        if token.len() > TOKEN_BYTES {
            return Err(BadLink::Forged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| BadLink::Forged)?;
        let (signed, mac) = bytes.split_last_chunk::<MAC_BYTES>().ok_or(BadLink::Forged)?;
        self.mac(signed).verify_slice(mac).map_err(|_| BadLink::Forged)?;
        let link = read(signed).ok_or(BadLink::Forged)?;
        if now < link.expires { Ok(link) } else { Err(BadLink::Expired) }
    }

    fn mac(&self, signed: &[u8]) -> Hmac<Sha256> {
        // RFC 2104 §2: a key shorter than the hash's block is padded with zeros.
        let mut block = Zeroizing::new([0u8; 64]);
        block[..32].copy_from_slice(self.0.expose_secret());
        let mut mac = <Hmac<Sha256>>::new((&*block).into());
        mac.update(b"trackside act link ");
        mac.update(signed);
        mac
    }
}

fn read(bytes: &[u8]) -> Option<ActLink> {
    let (&[version, wish], rest) = bytes.split_first_chunk()?;
    let (incident, rest) = rest.split_first_chunk::<16>()?;
    let (life, rest) = rest.split_first_chunk::<4>()?;
    let (delivery, rest) = rest.split_first_chunk::<16>()?;
    let (expires, rest) = rest.split_first_chunk::<8>()?;
    let (connection, rest) = take(rest)?;
    let (to, rest) = take(rest)?;
    let (who, []) = take(rest)? else {
        return None;
    };
    let wish = match (version, wish) {
        (VERSION, 1) => Wish::Acknowledge,
        (VERSION, 2) => Wish::Resolve,
        _ => return None,
    };
    Some(ActLink {
        wish,
        incident: IncidentId(Uuid::from_bytes(*incident)),
        life: u32::from_be_bytes(*life),
        delivery: DeliveryId(Uuid::from_bytes(*delivery)),
        expires: Timestamp::from_second(i64::from_be_bytes(*expires)).ok()?,
        connection: connection.to_owned(),
        to: Some(to.to_owned()).filter(|to| !to.is_empty()),
        who: who.to_owned(),
    })
}

/// Appends a text after its length, cut to what a link holds.
fn put(bytes: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(NAME_BYTES)];
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// The text at the front, and what follows.
fn take(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn link() -> ActLink {
        ActLink {
            wish: Wish::Resolve,
            incident: IncidentId(Uuid::from_u128(7)),
            life: 2,
            delivery: DeliveryId(Uuid::from_u128(9)),
            expires: at(1_000),
            connection: "mail".to_owned(),
            to: Some("ana@example.net".to_owned()),
            who: "ana@example.net".to_owned(),
        }
    }

    #[test]
    fn what_is_sealed_opens_until_it_expires() {
        let key = ActKey::new([7; 32]);
        let token = key.seal(&link());
        assert!(token.len() < 200 && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert_eq!(key.open(&token, at(999)), Ok(link()));
        assert_eq!(key.open(&token, at(1_000)), Err(BadLink::Expired));
        assert_eq!(ActKey::new([8; 32]).open(&token, at(1_000)), Err(BadLink::Forged), "another key tells nothing");
    }

    #[test]
    fn each_wish_of_a_message_is_used_once_by_itself() {
        let other = |change: fn(&mut ActLink)| {
            let mut other = link();
            change(&mut other);
            other.id()
        };
        assert_eq!(link().id(), other(|_| ()));
        assert_ne!(link().id(), other(|link| link.wish = Wish::Acknowledge));
        assert_ne!(link().id(), other(|link| link.delivery = DeliveryId(Uuid::from_u128(10))));
        assert_ne!(link().id(), other(|link| link.life = 3));
    }

    #[test]
    fn nothing_changed_opens() {
        let key = ActKey::new([7; 32]);
        let token = key.seal(&link());
        for position in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("ascii");
            assert_eq!(key.open(&forged, at(0)), Err(BadLink::Forged), "{forged}");
        }
        for junk in ["", "A", "=", "ä", &"A".repeat(TOKEN_BYTES + 1)] {
            assert_eq!(key.open(junk, at(0)), Err(BadLink::Forged));
        }
    }

    proptest! {
        #[test]
        fn any_texts_survive(connection in "\\PC{0,600}", who in "\\PC{0,600}", life in any::<u32>()) {
            let key = ActKey::new([7; 32]);
            let link = ActLink { connection, who, life, ..link() };
            let opened = key.open(&key.seal(&link), at(0)).expect("ours");
            prop_assert!(link.connection.starts_with(&opened.connection) && link.who.starts_with(&opened.who));
            prop_assert_eq!(opened.life, life);
        }
    }
}
