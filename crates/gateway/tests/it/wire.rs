//! HTTP/2 as bytes over TLS: what a client library would refuse to send.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Types of frames (RFC 9113 §6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;
/// Flags.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A certificate for `hub.test`, `other.test` and 127.0.0.1, with its key, as files.
pub(crate) fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let names = ["hub.test", "other.test", "127.0.0.1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (cert, key)
}

/// TLS with this name and protocol.
pub(crate) async fn tls(address: SocketAddr, cert: &Path, name: &str, protocol: &str) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// How a stream, or its connection, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Status(u16),
    Reset,
    Closed,
    /// Nothing came for long.
    Silent,
}

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = length[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// A block of fields (RFC 7541 §6.2.2): every one literal, without Huffman codes.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [latin1(name), latin1(value)] {
            integer(&mut out, text.len());
            out.extend(text);
        }
    }
    out
}

/// Bytes of a text whose letters stand for bytes.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
}

/// A number of seven bits or more (RFC 7541 §5.1).
fn integer(out: &mut Vec<u8>, number: usize) {
    if number < 127 {
        return out.push(u8::try_from(number).unwrap());
    }
    out.push(127);
    let mut rest = number - 127;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).unwrap());
}

/// A connection on which the preface was sent.
pub(crate) struct Http2(TlsStream<TcpStream>);

impl Http2 {
    pub(crate) async fn open(address: SocketAddr, cert: &Path, name: &str) -> Self {
        let mut stream = tls(address, cert, name, "h2").await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self(stream)
    }

    /// Sends frames, and reads until this stream or the connection ended.
    pub(crate) async fn ask(&mut self, frames: &[u8], stream: u32) -> Ended {
        // The other end may close before all is written.
        let _ = self.0.write_all(frames).await;
        tokio::time::timeout(PATIENCE, self.answer(stream)).await.unwrap_or(Ended::Silent)
    }

    async fn answer(&mut self, stream: u32) -> Ended {
        let mut status = None;
        loop {
            let mut head = [0; 9];
            if self.0.read_exact(&mut head).await.is_err() {
                return Ended::Closed;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            if self.0.read_exact(&mut payload).await.is_err() {
                return Ended::Closed;
            }
            let of = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match head[3] {
                GOAWAY => return Ended::Closed,
                RST_STREAM if of == stream => return Ended::Reset,
                HEADERS if of == stream => status = Some(status_of(&payload)),
                _ => {}
            }
            if let (Some(status), true) = (status, of == stream && head[4] & END_STREAM != 0 && head[3] <= HEADERS) {
                return Ended::Status(status);
            }
        }
    }
}

/// The status, which is the first field of an answer.
fn status_of(block: &[u8]) -> u16 {
    let block = if block[0] & 0xe0 == 0x20 { &block[1..] } else { block };
    if block[0] & 0x80 != 0 {
        return [200, 204, 206, 304, 400, 404, 500][usize::from(block[0] & 0x7f) - 8];
    }
    let (huffman, text) = (block[1] & 0x80 != 0, &block[2..2 + usize::from(block[1] & 0x7f)]);
    if !huffman {
        return std::str::from_utf8(text).unwrap().parse().unwrap();
    }
    // Digits only: 0 to 2 have five bits, the others six (RFC 7541 appendix B).
    let bits: Vec<u16> = text.iter().flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1))).collect();
    let (mut at, mut status) = (0, 0);
    for _ in 0..3 {
        let read = |count: usize| bits[at..at + count].iter().fold(0, |sum, bit| sum * 2 + bit);
        let (digit, length) = if read(5) < 3 { (read(5), 5) } else { (read(6) - 0x19 + 3, 6) };
        status = status * 10 + digit;
        at += length;
    }
    status
}
