//! Rows of the audit as Common Event Format (ArcSight CEF, version 0), one line each, for a SIEM.
//!
//! Invariant: `|` and `\` are escaped in the header, `=` and `\` and line breaks in the extension, as the format asks.

use jiff::Timestamp;
use trackside_store::audit::AuditRow;

/// A row as one line.
#[must_use]
pub fn line(row: &AuditRow) -> String {
    let outcome = row.detail.outcome.as_deref().unwrap_or("done");
    let mut extension: Vec<(&str, String)> = vec![
        ("rt", milliseconds(row.at)),
        ("suser", row.caller.subject.clone()),
        ("externalId", row.position.to_string()),
        ("outcome", outcome.to_owned()),
        ("msg", row.summary.clone()),
        ("cs1Label", "via".to_owned()),
        ("cs1", row.caller.via.clone()),
    ];
    let mut more = |key: &'static str, value: Option<String>| extension.extend(value.map(|value| (key, value)));
    more("start", row.detail.begun.map(milliseconds));
    more("cs2Label", row.caller.token.as_ref().map(|_| "token".to_owned()));
    more("cs2", row.caller.token.clone());
    more("cs3Label", row.detail.resource.as_ref().map(|_| "resource".to_owned()));
    more("cs3", row.detail.resource.clone());
    more("reason", row.detail.because.clone());
    more("cs4Label", (!row.detail.policies.is_empty()).then(|| "policies".to_owned()));
    more("cs4", (!row.detail.policies.is_empty()).then(|| row.detail.policies.join(",")));
    let facts = |name: &str| row.detail.facts.get(name).cloned();
    more("requestMethod", facts("method"));
    more("request", facts("path"));
    more("src", facts("client"));
    let extension: Vec<String> = extension.iter().map(|(key, value)| format!("{key}={}", escaped(value))).collect();
    let (name, severity) = (header(&row.action), severity(&row.action, outcome));
    format!("CEF:0|Trackside|trackside|{}|{name}|{name}|{severity}|{}", env!("CARGO_PKG_VERSION"), extension.join(" "))
}

/// 0 to 10: what was refused or failed stands out.
fn severity(action: &str, outcome: &str) -> u8 {
    match outcome {
        "refused" => 7,
        "unknown" => 6,
        "failed" => 5,
        _ if action.ends_with(".refused") => 7,
        _ => 3,
    }
}

fn milliseconds(at: Timestamp) -> String {
    at.as_millisecond().to_string()
}

fn header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\r', '\n'], " ")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=").replace("\r\n", "\\n").replace(['\r', '\n'], "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackside_core::caller::Caller;
    use trackside_core::decision::AuditDetail;

    #[test]
    fn a_line_is_escaped() {
        let row = AuditRow {
            position: 7,
            decided: None,
            at: Timestamp::from_second(1).expect("a time"),
            caller: Caller { token: Some("jti|1".to_owned()), ..Caller::new("a=b", "jwt") },
            action: "gateway|call".to_owned(),
            summary: "one\ntwo \\ three".to_owned(),
            incident: None,
            event: None,
            delivery: None,
            job: None,
            detail: AuditDetail {
                outcome: Some("refused".to_owned()),
                facts: [("path".to_owned(), "/a?b=c".to_owned())].into(),
                ..AuditDetail::default()
            },
        };
        let version = env!("CARGO_PKG_VERSION");
        let expect = format!(
            "CEF:0|Trackside|trackside|{version}|gateway\\|call|gateway\\|call|7|rt=1000 suser=a\\=b externalId=7 \
             outcome=refused msg=one\\ntwo \\\\ three cs1Label=via cs1=jwt cs2Label=token cs2=jti|1 request=/a?b\\=c"
        );
        assert_eq!(line(&row), expect);
    }
}
