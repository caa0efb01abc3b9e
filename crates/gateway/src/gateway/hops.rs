//! Through whom a request came: the chain of `X-Forwarded-For`, as far as it is believed.
//!
//! Invariant: an address counts only when a trusted proxy wrote it down.

use super::{InForce, Origin};
use crate::config::network::Network;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::IpAddr;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Most addresses of a chain that are looked at.
const HOPS: usize = 16;

/// The address of the client: the nearest in the chain that is no trusted proxy.
pub(super) fn client(in_force: &InForce, given: &HeaderMap, origin: &Origin) -> IpAddr {
    let trusted = |address: IpAddr| in_force.trusted.iter().any(|network: &Network| network.contains(address));
    let mut client = origin.peer.ip();
    if in_force.trusted.is_empty() {
        return client;
    }
    let chain: Vec<IpAddr> = hops(given);
    for address in chain.into_iter().rev().take(HOPS) {
        if !trusted(client) {
            break;
        }
        client = address;
    }
    client
}

/// `X-Forwarded-For` for the upstream: what a trusted proxy said, and who told us.
pub(super) fn chain(in_force: &InForce, given: &HeaderMap, origin: &Origin) -> HeaderValue {
    let peer = origin.peer.ip();
    if !in_force.trusted.iter().any(|network| network.contains(peer)) {
        return origin.peer_text.clone();
    }
    let mut chain: Vec<String> = hops(given).iter().map(IpAddr::to_string).collect();
    chain.push(peer.to_string());
    let from = chain.len().saturating_sub(HOPS);
    HeaderValue::from_str(&chain[from..].join(", ")).unwrap_or_else(|_| origin.peer_text.clone())
}

fn hops(given: &HeaderMap) -> Vec<IpAddr> {
    let values = given.get_all(&X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|hop| hop.trim().parse().ok()).collect()
}
