//! WebSockets: a checked handshake (RFC 6455 §4), then bytes both ways until a side ends or nothing comes for long.

use super::body::Answer;
use super::upstream::Link;
use crate::answer::Problem;
use crate::call::Call;
use crate::front::sentinel::Signals;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

/// What a key is joined with (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// A WebSocket that a client asks for.
#[derive(Debug)]
pub struct Handshake {
    key: HeaderValue,
}

impl Handshake {
    /// The handshake in a request; `None` when it is a plain request.
    ///
    /// # Errors
    /// When it asks for a WebSocket in a way that is none.
    pub fn of(parts: &Parts) -> Result<Option<Self>, &'static str> {
        let mut upgrades = parts.headers.get_all(header::UPGRADE).iter();
        let Some(upgrade) = upgrades.next() else { return Ok(None) };
        if !upgrade.as_bytes().eq_ignore_ascii_case(b"websocket") || upgrades.next().is_some() {
            return Ok(None);
        }
        let connection =
            parts.headers.get(header::CONNECTION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let asked = connection.split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
        if !asked || parts.method != Method::GET || parts.version != Version::HTTP_11 {
            return Err("a WebSocket is opened by GET over HTTP/1.1 with `Connection: Upgrade`");
        }
        let only = |name| {
            let mut values = parts.headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (Some(value), None) => Some(value),
                _ => None,
            }
        };
        if only(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err("only version 13 of WebSocket is spoken");
        }
        let key = only(header::SEC_WEBSOCKET_KEY).filter(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 16));
        key.map(|key| Some(Self { key: key.clone() })).ok_or("Sec-WebSocket-Key must be 16 bytes in base64")
    }

    /// Writes into the request what the front took out.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }

    /// Whether an answer agrees to this handshake and no other.
    fn is_accepted(&self, headers: &HeaderMap) -> bool {
        let websocket =
            headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
        let text = [self.key.as_bytes(), GUID].concat();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
        let expected = STANDARD.encode(digest);
        websocket && headers.get(header::SEC_WEBSOCKET_ACCEPT).is_some_and(|value| value == expected.as_str())
    }
}

/// Opens the tunnel that upstream and client agreed to, and answers the client.
///
/// # Errors
/// When the upstream agreed to something else.
#[allow(
    clippy::disallowed_methods,
    reason = "a tunnel outlives the request; it ends with either side, or by its pause"
)]
pub fn open(
    handshake: &Handshake,
    response: Response<Incoming>,
    link: Link,
    client: Option<OnUpgrade>,
    signals: Option<Arc<Signals>>,
    mut call: Box<Call>,
    pause: Duration,
) -> Result<Response<Answer>, (Problem, Box<Call>)> {
    let (Some(client), Some(signals), true) = (client, signals, handshake.is_accepted(response.headers())) else {
        let detail = "the upstream did not agree to the WebSocket";
        return Err((Problem::new(StatusCode::BAD_GATEWAY, detail), call));
    };
    let mut answer = Response::new(Answer::Whole(None, None));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    for name in [header::SEC_WEBSOCKET_ACCEPT, header::SEC_WEBSOCKET_PROTOCOL, header::SEC_WEBSOCKET_EXTENSIONS] {
        if let Some(value) = response.headers().get(&name) {
            headers.insert(name, value.clone());
        }
    }
    handshake.write(headers);
    call.answered(StatusCode::SWITCHING_PROTOCOLS, headers);
    signals.open_tunnel();
    tokio::spawn(async move {
        let upstream = hyper::upgrade::on(response);
        let (upstream, ()) = tokio::join!(upstream, link.finish());
        let (Ok(upstream), Ok(client)) = (upstream, client.await) else { return };
        carry(client, upstream, pause).await;
        call.completed();
    });
    Ok(answer)
}

/// Carries bytes both ways.
async fn carry(client: Upgraded, upstream: Upgraded, pause: Duration) {
    let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
    let (from_upstream, to_upstream) = tokio::io::split(TokioIo::new(upstream));
    // A WebSocket that is alive says so in both directions; when one is silent for long both end.
    tokio::select! {
        () = one_way(from_client, to_upstream, pause) => {}
        () = one_way(from_upstream, to_client, pause) => {}
    }
}

async fn one_way(mut from: ReadHalf<TokioIo<Upgraded>>, mut to: WriteHalf<TokioIo<Upgraded>>, pause: Duration) {
    let mut buffer = vec![0_u8; CHUNK];
    loop {
        let Ok(Ok(count)) = tokio::time::timeout(pause, from.read(&mut buffer)).await else { break };
        if count == 0 || to.write_all(&buffer[..count]).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
