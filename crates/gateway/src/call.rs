//! One call from its beginning to the last byte of its answer: what is counted and recorded of it.
//!
//! A [`Call`] travels with the answer's body. Whenever it is dropped, however the call ended, it is counted and its
//! record is handed over; so no way out of the proxy can leave a call out of the audit trail.

use crate::config::route::Recording;
use crate::front::sentinel::Signals;
use crate::guard::{self, Hit};
use crate::metrics::Metrics;
use crate::proxy::body::{Kept, Progress, RECORDED};
use crate::record::{CallRecord, Ended, Records};
use crate::route::limits::Place;
use crate::route::table::Route;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;
use trackside_core::approval::request::Grant;
use trackside_identity::directory::Identity;

/// Longest value of a field that is recorded.
const VALUE_BYTES: usize = 512;
/// Fields whose values are credentials.
const SECRET: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "www-authenticate",
    "x-vault-token",
    "x-csrf-token",
];

/// Where calls are counted and recorded.
#[derive(Debug)]
pub struct Ledger {
    /// Counters.
    pub metrics: Metrics,
    /// Records that wait to be taken.
    pub records: Records,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    ledger: Arc<Ledger>,
    began: Instant,
    record: Option<CallRecord>,
    route: Option<Arc<Route>>,
    place: Option<Place>,
    progress: Option<Arc<Progress>>,
    response_kind: (String, String),
    response_body: Kept,
    request_kind: (String, String),
    signals: Option<Arc<Signals>>,
}

/// What is known when a call begins.
#[derive(Debug)]
pub struct Beginning {
    /// When.
    pub at: Timestamp,
    /// Id of the request.
    pub request_id: String,
    /// Method.
    pub method: String,
    /// Path as asked for.
    pub path: String,
    /// Address of the client.
    pub client: Option<IpAddr>,
}

impl Call {
    /// A call that begins.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>, beginning: Beginning, signals: Option<Arc<Signals>>) -> Self {
        if let Some(signals) = &signals {
            signals.began();
        }
        let record = CallRecord {
            at: beginning.at,
            request_id: beginning.request_id,
            who: None,
            route: None,
            method: beginning.method,
            path: beginning.path,
            client: beginning.client,
            status: 0,
            because: String::new(),
            policies: Vec::new(),
            grant: None,
            ended: Ended::Cut,
            took: std::time::Duration::ZERO,
            sent: 0,
            received: 0,
            hits: Vec::new(),
            recorded: None,
        };
        Self {
            ledger,
            began: Instant::now(),
            record: Some(record),
            route: None,
            place: None,
            progress: None,
            response_kind: Default::default(),
            response_body: Kept::default(),
            request_kind: Default::default(),
            signals,
        }
    }

    /// When it began.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The time of its beginning, for decisions.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.record.as_ref().map_or(Timestamp::UNIX_EPOCH, |record| record.at)
    }

    fn edit(&mut self, change: impl FnOnce(&mut CallRecord)) {
        if let Some(record) = &mut self.record {
            change(record);
        }
    }

    /// This route takes it.
    pub fn taken_by(&mut self, route: &Arc<Route>) {
        route.metrics.running.inc();
        self.route = Some(Arc::clone(route));
        self.edit(|record| record.route = Some(Arc::clone(&route.name)));
    }

    /// This is who calls.
    pub fn sent_by(&mut self, who: &Arc<Identity>) {
        self.edit(|record| record.who = Some(Arc::clone(who)));
    }

    /// Why it is let in or refused, and under which grant.
    pub fn decided(&mut self, because: String, policies: Vec<String>, grant: Option<Grant>) {
        self.edit(|record| {
            record.because = because;
            record.policies = policies;
            record.grant = grant;
        });
    }

    /// It has a place among the running requests.
    pub fn placed(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// Rules about bodies did this.
    pub fn hit(&mut self, hits: impl IntoIterator<Item = Hit>) {
        self.edit(|record| record.hits.extend(hits));
    }

    /// Its request goes to the upstream with these fields.
    pub fn sending(&mut self, headers: &HeaderMap, progress: Option<Arc<Progress>>) {
        self.progress = progress;
        if self.level() >= Recording::Headers {
            let seen = seen(headers);
            self.edit(|record| record.recorded.get_or_insert_default().request_headers = seen);
        }
        if self.level() >= Recording::Bodies {
            self.request_kind = kind(headers);
        }
    }

    /// A body that was read whole goes to the upstream.
    pub fn sent_whole(&mut self, body: &Bytes) {
        self.edit(|record| record.sent = body.len() as u64);
        if self.level() >= Recording::Bodies {
            let text = self.masked(&self.request_kind, body, body.len() > RECORDED);
            self.edit(|record| record.recorded.get_or_insert_default().request_body = text);
        }
    }

    /// Its answer has this head.
    pub fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.edit(|record| record.status = status.as_u16());
        if self.level() >= Recording::Headers {
            let seen = seen(headers);
            self.edit(|record| record.recorded.get_or_insert_default().response_headers = seen);
        }
        if self.level() >= Recording::Bodies {
            self.response_kind = kind(headers);
        }
    }

    /// The gateway answers itself.
    pub fn refused(&mut self, status: StatusCode, detail: &str) {
        self.edit(|record| {
            record.status = status.as_u16();
            record.ended = Ended::Refused;
            if record.because.is_empty() || status.is_server_error() || status.is_client_error() {
                detail.clone_into(&mut record.because);
            }
        });
    }

    /// Bytes of the answer went to the client.
    pub fn received(&mut self, data: &Bytes) {
        self.edit(|record| record.received += data.len() as u64);
        if self.level() >= Recording::Bodies && !self.response_body.cut {
            let room = RECORDED - self.response_body.bytes.len();
            self.response_body.bytes.extend_from_slice(&data[..data.len().min(room)]);
            self.response_body.cut = data.len() > room;
        }
    }

    /// How many bytes of the answer went to the client.
    #[must_use]
    pub fn bytes_received(&self) -> u64 {
        self.record.as_ref().map_or(0, |record| record.received)
    }

    /// Another body goes to the client than came from the upstream.
    pub fn replaced(&mut self, body: &Bytes) {
        self.edit(|record| record.received = body.len() as u64);
        if self.level() >= Recording::Bodies {
            let kept = &body[..body.len().min(RECORDED)];
            self.response_body = Kept { bytes: BytesMut::from(kept), cut: body.len() > RECORDED };
        }
    }

    /// The answer went to its end.
    pub fn completed(&mut self) {
        self.edit(|record| record.ended = Ended::Answered);
    }

    /// The upstream did not answer, or not well.
    pub fn upstream_failed(&self) {
        if let Some(route) = &self.route {
            route.metrics.upstream_errors.inc();
        }
    }

    fn level(&self) -> Recording {
        self.route.as_ref().map_or(Recording::Metadata, |route| route.config.recording)
    }

    /// A body as it is recorded: text, with the fields masked that rules of the route mask. What is cut or cannot be
    /// read as what it says it is cannot be masked, and is left out.
    fn masked(&self, (kind, content_type): &(String, String), body: &[u8], cut: bool) -> Option<String> {
        if body.is_empty() {
            return None;
        }
        let fields = self.route.as_ref()?.config.guard.iter().flat_map(|rule| rule.mask.iter().cloned()).collect();
        if cut {
            return Some("[not recorded: too large]".to_owned());
        }
        let masked = guard::mask(kind, content_type, &Bytes::copy_from_slice(body), &fields);
        let text = masked.ok().and_then(|(masked, _)| String::from_utf8(masked.to_vec()).ok());
        Some(text.unwrap_or_else(|| "[not recorded: cannot be read]".to_owned()))
    }

    fn bodies(&mut self) {
        if self.level() < Recording::Bodies {
            return;
        }
        let request = self.progress.as_ref().map(|progress| progress.take_kept()).unwrap_or_default();
        let request = self.masked(&self.request_kind, &request.bytes, request.cut);
        let response = self.masked(&self.response_kind, &self.response_body.bytes, self.response_body.cut);
        self.edit(|record| {
            let recorded = record.recorded.get_or_insert_default();
            recorded.request_body = recorded.request_body.take().or(request);
            recorded.response_body = response;
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.bodies();
        if let Some(signals) = &self.signals {
            signals.ended();
        }
        let Some(mut record) = self.record.take() else { return };
        record.took = self.began.elapsed();
        if let Some(progress) = &self.progress {
            record.sent = progress.bytes.load(Ordering::Acquire).max(record.sent);
        }
        match &self.route {
            Some(route) => {
                route.metrics.running.dec();
                let status = StatusCode::from_u16(record.status).unwrap_or(StatusCode::BAD_GATEWAY);
                route.metrics.ended(status, record.took);
            }
            None => drop(self.ledger.metrics.refused.inc()),
        }
        let wanted = record.ended == Ended::Refused || self.level() > Recording::Off;
        if wanted && self.ledger.records.add(record).is_err() {
            self.ledger.metrics.records_lost.inc();
        }
    }
}

fn kind(headers: &HeaderMap) -> (String, String) {
    let full = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    (guard::kind(headers), full.to_owned())
}

/// Fields as they are recorded.
fn seen(headers: &HeaderMap) -> Vec<(String, String)> {
    let value = |name: &str, value: &http::HeaderValue| {
        if value.is_sensitive() || SECRET.contains(&name) || name.contains("token") || name.contains("secret") {
            return "[left out]".to_owned();
        }
        let text = String::from_utf8_lossy(value.as_bytes());
        text.chars().take(VALUE_BYTES).collect()
    };
    headers.iter().map(|(name, given)| (name.as_str().to_owned(), value(name.as_str(), given))).collect()
}
