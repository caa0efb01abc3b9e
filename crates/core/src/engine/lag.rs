//! Trackside's own trouble: a connection through which messages do not get out.
//!
//! Invariant: told through any connection but the one that is in trouble, whatever the rules say.

use super::incident::{Context, Firing};
use super::turn::Turn;
use crate::decision::OwnerTrail;
use crate::event::Severity;
use crate::incident::AlertKey;
use crate::input::Lag;
use crate::rules::Rules;
use crate::run::PipelineKey;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Source of incidents about Trackside itself. Events from outside cannot use it.
pub(super) const SELF_SOURCE: &str = "trackside.self";
/// Name of the built-in rule about messages that do not get out.
const RULE: &str = "delivery-lag";
/// Name of the built-in rule about pages that were due and not sent.
const AUDIT: &str = "self-audit";

impl Turn<'_> {
    /// Opens or ends the incident about a connection that falls behind.
    pub(super) fn on_lag(&mut self, connection: &str, lag: &Lag) {
        let key = |rule: &str| AlertKey {
            pipeline: PipelineKey { source: SELF_SOURCE.into(), name: connection.into() },
            rule: rule.into(),
            subject: "".into(),
        };
        match lag {
            Lag::PagesLate { since, what } => {
                self.means(format!("the self-audit: {what}"));
                if let Some(rules) = self.rules() {
                    let title = "Pages are late".to_owned();
                    let summary = format!("{what}; the first was due at {since}");
                    self.own_trouble(&rules, key(AUDIT), title, summary, *since, None);
                }
            }
            Lag::PagesInTime => {
                self.means("the self-audit finds nothing any more");
                self.clear(&key(AUDIT), "every page that was due has gone out", &Context::default());
            }
            Lag::Behind { since } => {
                self.means(format!("messages through {connection} have waited since {since}"));
                if let Some(rules) = self.rules()
                    && self.state.alert(&key(RULE)).is_none()
                {
                    let title = format!("Messages through {connection} do not get out");
                    let summary = format!(
                        "The oldest message through {connection} has waited since {since}; see its attempts under \
                         Deliveries"
                    );
                    self.own_trouble(&rules, key(RULE), title, summary, *since, Some(connection));
                }
            }
            Lag::CaughtUp => {
                self.means(format!("messages through {connection} get out again"));
                self.clear(&key(RULE), &format!("messages through {connection} get out again"), &Context::default());
            }
        }
    }

    /// Opens an incident about Trackside itself, told through any connection but the one that is the trouble.
    pub(super) fn own_trouble(
        &mut self,
        rules: &Rules,
        key: AlertKey,
        title: String,
        summary: String,
        since: Timestamp,
        avoid: Option<&str>,
    ) {
        let team = rules.source().owners.default.clone();
        let because = "it is Trackside's own trouble; the default owner has it".to_owned();
        let firing = Firing {
            key,
            severity: Severity::Critical,
            threshold: 1,
            title,
            summary,
            occurred: since,
            owner: OwnerTrail { team, because, passed_over: Vec::new() },
            run_name: None,
            labels: BTreeMap::new(),
            context: Context { avoid: avoid.map(str::to_owned), ..Context::default() },
        };
        self.fire(rules, &firing);
    }
}
