//! Tokens that stand for one run of a job: whoever presents one may say how that run ended.
//!
//! Invariant: signed with the same key as links and in a domain of its own, so that neither can stand for the other.

use super::{ActKey, BadLink, MAC_BYTES};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
/// Version, run, second of expiry.
const SIGNED_BYTES: usize = 1 + 16 + 8;

impl ActKey {
    /// The token of a run, safe in an address.
    #[must_use]
    pub fn seal_run(&self, run: Uuid, expires: Timestamp) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(run.as_bytes());
        bytes.extend_from_slice(&expires.as_second().to_be_bytes());
        let mac = self.run_mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The run behind a token, and until when it holds.
    ///
    /// # Errors
    /// [`BadLink`]; that a token is too old is said only of one that was made here.
    pub fn open_run(&self, token: &str, now: Timestamp) -> Result<(Uuid, Timestamp), BadLink> {
        if token.len() > (SIGNED_BYTES + MAC_BYTES) * 2 {
            return Err(BadLink::Forged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| BadLink::Forged)?;
        let (signed, mac) = bytes.split_last_chunk::<MAC_BYTES>().ok_or(BadLink::Forged)?;
        self.run_mac(signed).verify_slice(mac).map_err(|_| BadLink::Forged)?;
        let (&[version], rest) = signed.split_first_chunk::<1>().ok_or(BadLink::Forged)?;
        let (run, rest) = rest.split_first_chunk::<16>().ok_or(BadLink::Forged)?;
        let second = <[u8; 8]>::try_from(rest).map_err(|_| BadLink::Forged)?;
        let expires = Timestamp::from_second(i64::from_be_bytes(second)).map_err(|_| BadLink::Forged)?;
        if version != VERSION {
            return Err(BadLink::Forged);
        }
        if now < expires { Ok((Uuid::from_bytes(*run), expires)) } else { Err(BadLink::Expired) }
    }

    fn run_mac(&self, signed: &[u8]) -> Hmac<Sha256> {
        let mut block = Zeroizing::new([0u8; 64]);
        block[..32].copy_from_slice(self.0.expose_secret());
        let mut mac = <Hmac<Sha256>>::new((&*block).into());
        mac.update(b"trackside run token ");
        mac.update(signed);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_for_its_run_until_it_expires() {
        let at = |second| Timestamp::from_second(second).expect("in range");
        let key = ActKey::new([7; 32]);
        let run = Uuid::from_u128(42);
        let token = key.seal_run(run, at(100));
        assert_eq!(key.open_run(&token, at(99)), Ok((run, at(100))));
        assert_eq!(key.open_run(&token, at(100)), Err(BadLink::Expired));
        assert_eq!(ActKey::new([8; 32]).open_run(&token, at(99)), Err(BadLink::Forged));
        for cut in 0..token.len() {
            assert_eq!(key.open_run(&token[..cut], at(99)), Err(BadLink::Forged), "{cut}");
        }
    }
}
