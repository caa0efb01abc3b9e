//! Past incidents that may help with one: what the same pipeline had, where else the same rules fired.

use crate::Store;
use crate::error::Result;
use crate::page::bounded;
use crate::statement::Sql;
use crate::value::Kind;
use trackside_core::incident::Incident;

/// How many of the latest alerts are looked at for incidents of the same rule.
pub const RELATED_ALERTS: usize = 5_000;

/// Incidents that may help with one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Related {
    /// Earlier ones of the same pipeline, latest first.
    pub same_pipeline: Vec<Incident>,
    /// Those of other pipelines in which one of its rules fired of late, latest first.
    pub same_rule: Vec<Incident>,
}

static OF_PIPELINE: Sql = Sql::read(
    "incidents.of_pipeline",
    "SELECT body FROM incidents WHERE pipeline = $1 AND source = $2 AND number < $3 ORDER BY number DESC LIMIT $4",
    &[Kind::Text],
);
static OF_RULES: Sql = Sql::read(
    "incidents.of_rules",
    "SELECT i.body FROM incidents i WHERE i.id IN (
       SELECT f.incident FROM alert_firings f WHERE f.rule IN (SELECT rule FROM alert_firings WHERE incident = $1)
         AND f.position > (SELECT max(position) - $2 FROM alert_firings))
       AND i.id <> $1 AND NOT (i.pipeline = $3 AND i.source = $4) ORDER BY i.number DESC LIMIT $5",
    &[Kind::Text],
);

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&OF_PIPELINE, &OF_RULES];

impl Store {
    /// Incidents that may help with this one: what the same pipeline had before, and where else its rules fired among
    /// the latest [`RELATED_ALERTS`] alerts. At most `limit` of each (and [`crate::page::PAGE_ITEMS`]).
    ///
    /// # Errors
    /// When one cannot be read back.
    pub async fn related_incidents(&self, incident: &Incident, limit: usize) -> Result<Related> {
        let limit = bounded(limit);
        let key = &incident.pipeline;
        let queries = vec![
            OF_PIPELINE.bind(&key.name).bind(&key.source).bind(incident.number).bind(limit).query(),
            OF_RULES.bind(incident.id).bind(RELATED_ALERTS).bind(&key.name).bind(&key.source).bind(limit).query(),
        ];
        let mut answers = self.snapshot(queries).await?;
        Ok(Related {
            same_pipeline: answers.next(|mut row| row.json())?,
            same_rule: answers.next(|mut row| row.json())?,
        })
    }
}
