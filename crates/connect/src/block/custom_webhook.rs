//! Prefect's custom webhook: a request of the user's own shape, with `{{subject}}`, `{{body}}`, `{{name}}` and the
//! names of its secrets as placeholders in address, query, body, headers and cookies.
//!
//! Query parameters are added to those of the address (httpx replaces them).

use super::webhook::{Hidden, IDEMPOTENCY_KEY, Method};
use super::{InvalidBlock, Occasion, http, placeholder, yes};
use crate::far_end::{HttpRequest, Repeat, Request, Wire};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use url::Url;

/// Longest wait for an answer that a block can ask for.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(2);

#[derive(Clone, Debug, Deserialize)]
pub(super) struct CustomWebhook {
    name: String,
    url: String,
    #[serde(default)]
    method: Method,
    #[serde(default)]
    params: Option<Map<String, Value>>,
    #[serde(default)]
    json_data: Option<Map<String, Value>>,
    #[serde(default)]
    form_data: Option<Value>,
    #[serde(default)]
    headers: Option<Map<String, Value>>,
    #[serde(default)]
    cookies: Option<Map<String, Value>>,
    #[serde(default = "default_timeout")]
    timeout: f64,
    #[serde(default = "yes")]
    allow_private_urls: bool,
    #[serde(default)]
    secrets: BTreeMap<String, Hidden>,
}

fn default_timeout() -> f64 {
    10.0
}

impl CustomWebhook {
    pub(super) fn problems(&self) -> Vec<InvalidBlock> {
        let mut problems = Vec::new();
        if self.form_data.is_some() && self.json_data.is_some() {
            problems.push(InvalidBlock::new("json_data", "both `Form Data` and `JSON Data` provided; keep one"));
        }
        if !(self.timeout > 0.0 && self.timeout <= LONGEST_TIMEOUT.as_secs_f64()) {
            let problem = format!("must be more than 0 and at most {} seconds", LONGEST_TIMEOUT.as_secs());
            problems.push(InvalidBlock::new("timeout", problem));
        }
        let values = self.values("", "");
        let fields = [
            ("url", Some(Value::from(self.url.as_str()))),
            ("params", self.params.clone().map(Value::Object)),
            ("form_data", self.form_data.clone()),
            ("json_data", self.json_data.clone().map(Value::Object)),
            ("headers", self.headers.clone().map(Value::Object)),
            ("cookies", self.cookies.clone().map(Value::Object)),
        ];
        for (field, template) in fields {
            for name in template.iter().flat_map(placeholder::names) {
                if placeholder::fill(&Value::from(format!("{{{{{name}}}}}")), &values).is_none() {
                    let problem = format!(
                        "has no value for `{{{{{name}}}}}`; write subject, body, name, or the name of a secret"
                    );
                    problems.push(InvalidBlock::new(field, problem));
                }
            }
        }
        if problems.is_empty()
            && let Err(problem) = self.http("subject", "body")
        {
            problems.push(InvalidBlock::new("url", problem));
        }
        problems
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.timeout).unwrap_or(LONGEST_TIMEOUT).min(LONGEST_TIMEOUT)
    }

    pub(super) fn request(&self, subject: &str, body: &str, occasion: &Occasion<'_>) -> Result<Request, String> {
        let mut call = self.http(subject, body)?;
        if !call.headers.iter().any(|(name, _)| name == IDEMPOTENCY_KEY) {
            call = call.header(IDEMPOTENCY_KEY, occasion.delivery.to_string());
        }
        let secrets = self.secrets.values().flat_map(|secret| texts(&secret.0)).map(SecretString::from).collect();
        Ok(Request::new(Wire::Http(call), Repeat::Duplicates, http::worth_hiding(secrets)))
    }

    fn http(&self, subject: &str, body: &str) -> Result<HttpRequest, String> {
        let values = self.values(subject, body);
        let filled = |field: &Option<Map<String, Value>>| -> BTreeMap<String, String> {
            let fields = field.iter().flatten();
            fields
                .filter_map(|(name, value)| {
                    Some((name.clone(), placeholder::text(&placeholder::fill(value, &values)?)))
                })
                .collect()
        };
        let mut http = http::request(self.method.into(), &placeholder::fill_text(&self.url, &values))?;
        http.guard = http::hosts(self.allow_private_urls);
        http.url = with_query(&http.url, &filled(&self.params))?;
        match (&self.json_data, &self.form_data) {
            (Some(json), _) => {
                let json = placeholder::fill(&Value::Object(json.clone()), &values).unwrap_or_default();
                http = http.json(&json);
            }
            (None, Some(Value::String(raw))) => http.body = placeholder::fill_text(raw, &values),
            (None, Some(Value::Object(form))) => {
                let pairs = filled(&Some(form.clone()));
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                http = http.body("application/x-www-form-urlencoded", form);
            }
            (None, _) => {}
        }
        let cookies: Vec<String> =
            filled(&self.cookies).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = filled(&self.headers);
        if !cookies.is_empty() {
            headers.entry("cookie".to_owned()).or_insert_with(|| cookies.join("; "));
        }
        http::add_headers(http, &headers)
    }

    /// What placeholders stand for. The message's own names win over secrets of the same name.
    fn values(&self, subject: &str, body: &str) -> Map<String, Value> {
        let mut values: Map<String, Value> =
            self.secrets.iter().map(|(name, secret)| (name.clone(), secret.0.clone())).collect();
        for (name, value) in [("subject", subject), ("body", body), ("name", &self.name)] {
            values.insert(name.to_owned(), Value::from(value));
        }
        values
    }
}

fn with_query(address: &str, pairs: &BTreeMap<String, String>) -> Result<String, String> {
    let mut url = Url::parse(address).map_err(|error| format!("is not an address: {error}"))?;
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(url.into())
}

/// Every text in a secret.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
