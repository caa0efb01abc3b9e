//! Keeping requests away from private networks, for those that ask for it ([`Hosts::Public`]).
//!
//! The check is made on the addresses that a connection is then opened to, so a name that changes its address meanwhile
//! (DNS rebinding) gains nothing. One private address among several is enough to refuse, as in Prefect.

use crate::far_end::{Hosts, HttpRequest};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// The address is not public.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address is in a private network, which the block does not allow (`allow_private_urls`)")]
pub(super) struct PrivateAddress;

/// Whether this is why a request failed.
pub(super) fn is_cause(error: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<PrivateAddress>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Refuses an address that is written as a number; names are checked when they are resolved.
pub(super) fn check(request: &HttpRequest) -> Result<(), PrivateAddress> {
    if request.guard.hosts == Hosts::Any {
        return Ok(());
    }
    let host = Url::parse(&request.url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    let address: IpAddr = match host {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if is_public(address) { Ok(()) } else { Err(PrivateAddress) }
}

/// The system's resolver, which gives only public addresses.
#[derive(Debug)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if addresses.iter().all(|address| is_public(address.ip())) {
                Ok(Box::new(addresses.into_iter()) as Addrs)
            } else {
                Err(PrivateAddress.into())
            }
        })
    }
}

/// Whether the address is reachable from everywhere (IANA special-purpose registries).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    let benchmark = a == 198 && (b == 18 || b == 19);
    !(a == 0
        || a >= 240
        || shared
        || protocol
        || benchmark
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let segments = address.segments();
    // NAT64 and 6to4 carry an IPv4 address.
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_public_v4(ipv4(segments[6], segments[7]));
    }
    if segments[0] == 0x2002 {
        return is_public_v4(ipv4(segments[1], segments[2]));
    }
    let global = segments[0] & 0xe000 == 0x2000;
    let documentation = segments[..2] == [0x2001, 0xdb8] || segments[0] == 0x3fff;
    let protocol = segments[0] == 0x2001 && segments[1] < 0x200;
    global && !documentation && !protocol
}

fn ipv4(high: u16, low: u16) -> Ipv4Addr {
    let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::far_end::{Answer, Guard, Repeat, Request, Wire};
    use crate::sender::{NetworkSender, Sender};
    use std::time::Duration;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        for (address, public) in [
            ("8.8.8.8", true),
            ("10.1.2.3", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("172.31.0.1", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("2606:4700::1111", true),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("::ffff:10.0.0.1", false),
            ("64:ff9b::a00:1", false),
            ("64:ff9b::808:808", true),
            ("2002:0a00:0001::1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn a_number_in_an_address_is_checked_before_anything_is_opened() {
        let request = |url: &str, hosts: Hosts| HttpRequest {
            guard: Guard { hosts, ..Guard::default() },
            ..HttpRequest::new(http::Method::GET, url)
        };
        for (url, hosts, passes) in [
            ("http://127.0.0.1:4200/api", Hosts::Any, true),
            ("http://127.0.0.1:4200/api", Hosts::Public, false),
            ("http://2130706433/", Hosts::Public, false),
            ("http://[::1]/", Hosts::Public, false),
            ("http://8.8.8.8/", Hosts::Public, true),
            ("http://example.net/", Hosts::Public, true),
        ] {
            assert_eq!(check(&request(url, hosts)).is_ok(), passes, "{url} {hosts:?}");
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_resolved() {
        let name: Name = "localhost".parse().unwrap();
        let error = Resolver.resolve(name).await.err().unwrap();
        assert!(error.is::<PrivateAddress>());
    }

    #[tokio::test]
    async fn a_name_with_a_private_address_holds_the_request_back() {
        let http = HttpRequest {
            guard: Guard { hosts: Hosts::Public, ..Guard::default() },
            ..HttpRequest::new(http::Method::GET, "http://localhost:1/")
        };
        let request = Request::new(Wire::Http(http), Repeat::Harmless, Vec::new());
        let answer = NetworkSender::new().unwrap().send(&request, Duration::from_secs(20)).await;
        assert_eq!(answer, Answer::Withheld { error: PrivateAddress.to_string() });
    }
}
