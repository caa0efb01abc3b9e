//! The PROXY protocol, versions 1 and 2 (haproxy's `proxy-protocol.txt`), as a load balancer sends it in front.
//!
//! Read only from networks that the configuration names, and then it must be there: else a client could write one
//! itself. Bounded: at most 107 bytes of version 1, 536 of version 2.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1, with its end.
const LINE_BYTES: usize = 107;
/// Most bytes of addresses and extensions of version 2.
const BLOCK_BYTES: usize = 520;

/// Reads what a load balancer says: the address of the client, or `None` when it speaks for itself (health checks).
///
/// # Errors
/// When it is malformed or the connection ends.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut start = [0_u8; 12];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        let mut head = [0_u8; 4];
        stream.read_exact(&mut head).await?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if length > BLOCK_BYTES {
            return Err(malformed());
        }
        let mut block = vec![0_u8; length];
        stream.read_exact(&mut block).await?;
        return version_2(head, &block).ok_or_else(malformed);
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LINE_BYTES {
            return Err(malformed());
        }
        line.push(stream.read_u8().await?);
    }
    version_1(&line).ok_or_else(malformed)
}

/// A line of version 1; `None` when it is malformed.
#[must_use]
pub fn version_1(line: &[u8]) -> Option<Option<SocketAddr>> {
    let text = std::str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?;
    let mut words = text.split(' ');
    if words.next()? != "PROXY" {
        return None;
    }
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let (source, destination): (IpAddr, IpAddr) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let (port, to) = (words.next()?.parse::<u16>().ok()?, words.next()?.parse::<u16>().ok());
    let fits = match family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    (fits && to.is_some() && words.next().is_none()).then_some(Some(SocketAddr::new(source, port)))
}

/// The block of version 2; `None` when it is malformed.
#[must_use]
pub fn version_2(head: [u8; 4], block: &[u8]) -> Option<Option<SocketAddr>> {
    match head[0] {
        // LOCAL: the load balancer speaks for itself.
        0x20 => return Some(None),
        0x21 => {}
        _ => return None,
    }
    match head[1] {
        0x11 => {
            let source: [u8; 4] = block.get(..4)?.try_into().ok()?;
            let port = u16::from_be_bytes(block.get(8..10)?.try_into().ok()?);
            block.get(..12)?;
            Some(Some(SocketAddr::new(Ipv4Addr::from(source).into(), port)))
        }
        0x21 => {
            let source: [u8; 16] = block.get(..16)?.try_into().ok()?;
            let port = u16::from_be_bytes(block.get(32..34)?.try_into().ok()?);
            block.get(..36)?;
            Some(Some(SocketAddr::new(Ipv6Addr::from(source).into(), port)))
        }
        0x00 => Some(None),
        _ => None,
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no well-formed PROXY protocol")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let check = |line: &str, expect: Option<Option<&str>>| {
            let expect = expect.map(|client| client.map(|client| client.parse().expect("an address")));
            assert_eq!(version_1(line.as_bytes()), expect, "{line:?}");
        };
        check("PROXY TCP4 192.0.2.1 10.0.0.1 5000 443\r\n", Some(Some("192.0.2.1:5000")));
        check("PROXY TCP6 2001:db8::1 ::1 5000 443\r\n", Some(Some("[2001:db8::1]:5000")));
        check("PROXY UNKNOWN\r\n", Some(None));
        for bad in [
            "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 5000\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 5000 443 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 99999 443\r\n",
            "GET / HTTP/1.1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 5000 443\n",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn blocks() {
        let four = [192, 0, 2, 1, 10, 0, 0, 1, 0x13, 0x88, 1, 0xbb];
        let client = Some(Some("192.0.2.1:5000".parse().expect("an address")));
        assert_eq!(version_2([0x21, 0x11, 0, 12], &four), client);
        assert_eq!(version_2([0x20, 0, 0, 0], &[]), Some(None));
        assert_eq!(version_2([0x21, 0x11, 0, 4], &four[..4]), None);
        assert_eq!(version_2([0x11, 0x11, 0, 12], &four), None);
    }
}
