//! Client certificates: which of those that TLS has verified stands for whom.
//!
//! Invariants: only a certificate whose chain the configured authority vouches for gets here; it is matched by a name in
//! its subject alternative names or by its fingerprint, never by its common name (RFC 9525 §6.3); of several rules the
//! first that fits counts. TLS itself is not here.

use crate::directory::{Identity, Kind};
use crate::rights::{Rights, Scope};
use crate::role::Role;
use aws_lc_rs::digest;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trackside_core::caller::Caller;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A rule that says whom a client certificate stands for. Exactly one of `uri`, `dns`, `email` and `fingerprint`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateRule {
    /// Unique name; it appears in the audit, and as the source of events that name none.
    pub name: String,
    /// A URI of its subject alternative names, for example `spiffe://example.org/airflow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// A DNS name of its subject alternative names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    /// A mail address of its subject alternative names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// SHA-256 of the certificate as 64 hexadecimal digits; colons may stand between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What its holder may do in Trackside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Team it is bound to: the role holds for what the team owns, and what it sends belongs to the team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Names that routes and jobs may ask for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub scopes: BTreeSet<String>,
}

/// A client certificate that TLS has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    uris: Vec<String>,
    dns: Vec<String>,
    emails: Vec<String>,
    fingerprint: [u8; 32],
    expires: Option<Timestamp>,
}

/// The rules of a configuration.
#[derive(Debug, Default)]
pub struct Certificates(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    by: By,
    identity: Identity,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Uri(String),
    Dns(String),
    Email(String),
    Fingerprint([u8; 32]),
}

impl PeerCertificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// When it is not one (RFC 5280).
    pub fn read(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        let expires = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok();
        let mut peer = Self { uris: Vec::new(), dns: Vec::new(), emails: Vec::new(), fingerprint, expires };
        let names = certificate.subject_alternative_name().map_err(|error| error.to_string())?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::URI(uri) => peer.uris.push((*uri).to_owned()),
                GeneralName::DNSName(dns) => peer.dns.push(dns.to_ascii_lowercase()),
                GeneralName::RFC822Name(email) => peer.emails.push((*email).to_owned()),
                _ => {}
            }
        }
        Ok(peer)
    }

    /// SHA-256 of the certificate.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

impl CertificateRule {
    /// What is wrong with the rule: the part, and what to do.
    ///
    /// # Errors
    /// When it names nothing or several things to go by, a fingerprint that is none, or a role that it cannot give.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.role == Some(Role::Ingest) {
            let problem = "a certificate opens no door for events; those take tokens only";
            return Err(("role", problem.to_owned()));
        }
        self.by().map(drop)
    }

    fn by(&self) -> Result<By, (&'static str, String)> {
        let fingerprint = self.fingerprint.as_ref().map(|text| {
            let hash = text.replace(':', "").to_ascii_lowercase().parse::<crate::token::TokenHash>();
            hash.map(|hash| By::Fingerprint(*hash.bytes())).map_err(|_| {
                ("fingerprint", "must be the SHA-256 of the certificate: 64 hexadecimal digits".to_owned())
            })
        });
        let given = [
            self.uri.clone().map(|uri| Ok(By::Uri(uri))),
            self.dns.as_ref().map(|dns| Ok(By::Dns(dns.to_ascii_lowercase()))),
            self.email.clone().map(|email| Ok(By::Email(email))),
            fingerprint,
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(by), None) => by,
            _ => Err(("name", "say by what it is known: exactly one of uri, dns, email and fingerprint".to_owned())),
        }
    }
}

impl Certificates {
    /// The rules of a configuration; those that cannot be used are left out, as the configuration was checked before.
    #[must_use]
    pub fn new(rules: &[CertificateRule]) -> Self {
        let rule = |rule: &CertificateRule| Some(Rule { by: rule.by().ok()?, identity: identity(rule) });
        Self(rules.iter().filter_map(rule).collect())
    }

    /// Whom a certificate stands for. A connection may outlive its certificate, which then counts no more.
    #[must_use]
    pub fn find(&self, certificate: &PeerCertificate, now: Timestamp) -> Option<Arc<Identity>> {
        if certificate.expires.is_none_or(|expires| now > expires) {
            return None;
        }
        let rule = self.0.iter().find(|rule| match &rule.by {
            By::Uri(uri) => certificate.uris.contains(uri),
            By::Dns(dns) => certificate.dns.contains(dns),
            By::Email(email) => certificate.emails.contains(email),
            By::Fingerprint(fingerprint) => certificate.fingerprint == *fingerprint,
        })?;
        let mut identity = rule.identity.clone();
        identity.expires = certificate.expires;
        Some(Arc::new(identity))
    }
}

fn identity(rule: &CertificateRule) -> Identity {
    let mut rights = Rights::default();
    if let Some(role) = rule.role {
        let scope = rule.team.clone().map_or(Scope::Everywhere, |team| Scope::Teams(BTreeSet::from([team])));
        rights.grant(role, scope);
    }
    Identity {
        caller: Caller::new(rule.name.clone(), "certificate"),
        kind: Kind::Service,
        rights,
        team: rule.team.clone(),
        teams: rule.team.iter().cloned().collect(),
        names: rule.scopes.clone(),
        issuer: None,
        attributes: BTreeMap::new(),
        aliases: BTreeSet::new(),
        expires: None,
        token_name: rule.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn rule(name: &str) -> CertificateRule {
        CertificateRule { name: name.to_owned(), ..CertificateRule::default() }
    }

    #[test]
    fn a_certificate_is_known_by_a_whole_name_or_its_fingerprint() {
        let (uri, dns) = (Some("spiffe://example.org/etl".to_owned()), Some("ETL.example.org".to_owned()));
        let rules = [
            CertificateRule { uri, team: Some("ml".to_owned()), role: Some(Role::Operator), ..rule("uri") },
            CertificateRule { dns, ..rule("dns") },
            CertificateRule { fingerprint: Some("AB:".repeat(31) + "ab"), ..rule("print") },
        ];
        let certificates = Certificates::new(&rules);
        let check = |uris: &[&str], dns: &[&str], byte: u8, second: i64, expect: Option<&str>| {
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let (uris, dns, expires) = (owned(uris), owned(dns), Some(at(100)));
            let peer = PeerCertificate { uris, dns, emails: Vec::new(), fingerprint: [byte; 32], expires };
            let found = certificates.find(&peer, at(second));
            assert_eq!(found.as_ref().map(|found| found.token_name.as_str()), expect, "{peer:?}");
            found
        };
        let found = check(&["spiffe://example.org/etl"], &["etl.example.org"], 0, 1, Some("uri")).expect("found");
        assert_eq!((found.rights.to_string().as_str(), found.expires), ("operator for ml", Some(at(100))));
        check(&[], &["other.example.org", "etl.example.org"], 0, 100, Some("dns"));
        check(&[], &[], 0xab, 1, Some("print"));
        // A part of a name is another name; what has ended counts no more on a connection that has not.
        check(&["spiffe://example.org/etl/x", "spiffe://example.org/"], &["x.etl.example.org"], 0xaa, 1, None);
        check(&["spiffe://example.org/etl"], &[], 0, 101, None);
    }

    #[test]
    fn a_rule_goes_by_one_thing_and_gives_what_it_can() {
        let check = |rule: CertificateRule, field: Option<&str>| {
            assert_eq!(rule.check().err().map(|(field, _)| field), field, "{rule:?}");
        };
        let dns = Some("a.test".to_owned());
        check(CertificateRule { dns: dns.clone(), ..rule("a") }, None);
        check(rule("a"), Some("name"));
        check(CertificateRule { dns: dns.clone(), email: Some("a@a.test".to_owned()), ..rule("a") }, Some("name"));
        check(CertificateRule { fingerprint: Some("ab".to_owned()), ..rule("a") }, Some("fingerprint"));
        check(CertificateRule { dns, role: Some(Role::Ingest), ..rule("a") }, Some("role"));
    }
}
