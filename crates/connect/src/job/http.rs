//! Requests of jobs with an HTTP target.
//!
//! Headers that go along: `idempotency-key` (draft-ietf-httpapi-idempotency-key-header), `trackside-run`,
//! `trackside-job`, `trackside-caller` and `trackside-behalf` (who asked, and for whom; RFC 8693 §4.1), `traceparent`
//! (W3C Trace Context, derived from the run), and `trackside-callback` where the far end is to call back.

use super::Job;
use super::template;
use crate::far_end::HttpRequest;
use http::Method;
use serde_json::Value;
use trackside_core::ids::derive;
use trackside_core::job::run::JobCall;
use trackside_core::job::spec::{HttpMode, JobTarget};
use url::Url;

/// The request that makes the call.
pub(super) fn request(job: &Job<'_>, call: &JobCall) -> Result<HttpRequest, String> {
    let JobTarget::Http { method, path, mode, .. } = &call.spec.target else {
        return Err("the job has no HTTP target".to_owned());
    };
    let base = base(job)?;
    let filled = template::fill(path, &call.input).map_err(|error| error.to_string())?;
    let method = method.as_deref().unwrap_or("POST").to_ascii_uppercase();
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("`{method}` is not a method"))?;
    let bodiless = matches!(method, Method::GET | Method::HEAD | Method::DELETE);
    let mut url = join(&base, &filled)?;
    if bodiless {
        add_query(&mut url, path, &call.input);
    }
    let mut request =
        common(HttpRequest::new(method, url.as_str()), call).header("idempotency-key", job.effect.key.clone());
    if *mode == HttpMode::Callback {
        let callback = job.callback.clone().ok_or_else(|| {
            "the far end is to call back, and the server has no public address; set `server.public_url`".to_owned()
        })?;
        request = request.header("trackside-callback", callback);
    }
    Ok(if bodiless { request } else { request.json(&call.input) })
}

/// The question whether it is done.
pub(super) fn question(call: &JobCall, location: &str) -> HttpRequest {
    common(HttpRequest::new(Method::GET, location), call)
}

/// The base address of the service.
pub(super) fn base(job: &Job<'_>) -> Result<Url, String> {
    let address = job.config.service_url().ok_or_else(|| {
        let kind = job.config.kind().as_str();
        format!("connection `{}` is of kind {kind}; a job calls one of kind http", job.effect.connection)
    })?;
    Url::parse(address.as_str()).map_err(|error| error.to_string())
}

/// `path` behind the base, which may have a path and a query of its own.
pub(super) fn join(base: &Url, path: &str) -> Result<Url, String> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut url = base.clone();
    let joined = format!("{}/{}", base.path().trim_end_matches('/'), path.trim_start_matches('/'));
    url.set_path(&joined);
    let both = [base.query(), query].into_iter().flatten().collect::<Vec<_>>().join("&");
    url.set_query(Some(both.as_str()).filter(|query| !query.is_empty()));
    Ok(url)
}

fn common(request: HttpRequest, call: &JobCall) -> HttpRequest {
    let run = call.run.simple().to_string();
    let span = derive("span", &[&run]).simple().to_string();
    let mut request = request
        .header("accept", "application/json")
        .header("trackside-run", call.run.to_string())
        .header("trackside-job", header_text(&call.job))
        .header("trackside-caller", header_text(&call.caller.subject))
        .header("traceparent", format!("00-{run}-{}-01", &span[..16]));
    if !call.caller.behalf.is_empty() {
        let chain: Vec<String> = call.caller.behalf.iter().map(|name| header_text(name)).collect();
        request = request.header("trackside-behalf", chain.join(", "));
    }
    request
}

/// A text as a header's value: what is not printable ASCII, and what separates, is percent-encoded.
fn header_text(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '!'..='~') && !matches!(character, '%' | ',' | '"') {
            value.push(character);
        } else {
            template::encode(character.encode_utf8(&mut [0; 4]), &mut value);
        }
    }
    value
}

/// Members that are not in the path, for methods without a body.
fn add_query(url: &mut Url, path: &str, input: &Value) {
    let named = template::members(path).unwrap_or_default();
    let Some(members) = input.as_object() else { return };
    let plain = members.iter().filter(|(name, _)| !named.contains(&name.as_str()));
    let plain: Vec<(&String, String)> = plain
        .filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, text.clone())),
            Value::Number(_) | Value::Bool(_) => Some((name, value.to_string())),
            _ => None,
        })
        .collect();
    if !plain.is_empty() {
        url.query_pairs_mut().extend_pairs(plain);
    }
}
