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
/// Name of the built-in rule.
const RULE: &str = "delivery-lag";

impl Turn<'_> {
    /// Opens or ends the incident about a connection that falls behind.
    pub(super) fn on_lag(&mut self, connection: &str, lag: &Lag) {
        let key = AlertKey {
            pipeline: PipelineKey { source: SELF_SOURCE.into(), name: connection.into() },
            rule: RULE.into(),
            subject: "".into(),
        };
        match lag {
            Lag::Behind { since } => {
                self.means(format!("messages through {connection} have waited since {since}"));
                if let Some(rules) = self.rules()
                    && self.state.alert(&key).is_none()
                {
                    self.fall_behind(&rules, connection, key, *since);
                }
            }
            Lag::CaughtUp => {
                self.means(format!("messages through {connection} get out again"));
                self.clear(&key, &format!("messages through {connection} get out again"), &Context::default());
            }
        }
    }

    fn fall_behind(&mut self, rules: &Rules, connection: &str, key: AlertKey, since: Timestamp) {
        let team = rules.source().owners.default.clone();
        let because = "it is Trackside's own trouble; the default owner has it".to_owned();
        let firing = Firing {
            key,
            severity: Severity::Critical,
            threshold: 1,
            title: format!("Messages through {connection} do not get out"),
            summary: format!(
                "The oldest message through {connection} has waited since {since}; see its attempts under Deliveries"
            ),
            occurred: since,
            owner: OwnerTrail { team, because, passed_over: Vec::new() },
            run_name: None,
            labels: BTreeMap::new(),
            context: Context { avoid: Some(connection.to_owned()), ..Context::default() },
        };
        self.fire(rules, &firing);
    }
}
