//! Which automations a caller of Prefect's API asks for, in which order, and how many.
//!
//! Source: `AutomationFilter` in Prefect's `server/events/filters.py` and `LimitBody` in its
//! `server/api/dependencies.py`. Pure.

use super::Refused;
use super::view::is_prefects;
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeSet;
use trackside_core::automation::definition::{Automation, AutomationId};
use trackside_store::automations::{AutomationFilter as StoreFilter, AutomationSort};
use trackside_store::page::PAGE_ITEMS;

/// Most items in an answer, and how many there are when the caller does not say.
const LIMIT: i64 = 200;

/// Body of `POST /automations/filter`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    sort: Option<Sort>,
    limit: Option<i64>,
    offset: Option<u64>,
    automations: Option<Criteria>,
}

/// Body of `POST /automations/count`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counted {
    pub(super) automations: Option<Criteria>,
}

/// A stretch of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Stretch {
    /// From what a body says.
    pub(super) fn of(limit: Option<i64>, offset: Option<u64>) -> Result<Self, Refused> {
        let limit = limit.unwrap_or(LIMIT);
        let refuse = |how: &str| {
            Err(Refused::detail(StatusCode::UNPROCESSABLE_ENTITY, format!("Invalid limit: must be {how}.")))
        };
        if limit > LIMIT {
            return refuse(&format!("less than or equal to {LIMIT}"));
        }
        let Ok(limit) = usize::try_from(limit) else { return refuse("greater than or equal to 0") };
        let offset = offset.map_or(0, |offset| usize::try_from(offset).unwrap_or(usize::MAX));
        Ok(Self { offset, limit })
    }
}

impl Wanted {
    /// Which stretch of the listing.
    pub(super) fn stretch(&self) -> Result<Stretch, Refused> {
        Stretch::of(self.limit, self.offset)
    }

    /// In which order.
    pub(super) fn sort(&self) -> AutomationSort {
        match self.sort.unwrap_or(Sort::NameAsc) {
            Sort::CreatedDesc => AutomationSort::CreatedDesc,
            Sort::UpdatedDesc => AutomationSort::UpdatedDesc,
            Sort::NameAsc => AutomationSort::NameAsc,
            Sort::NameDesc => AutomationSort::NameDesc,
        }
    }

    /// Which ones.
    pub(super) fn criteria(self) -> Criteria {
        self.automations.unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Sort {
    CreatedDesc,
    UpdatedDesc,
    NameAsc,
    NameDesc,
}

/// Prefect's `AutomationFilter`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Criteria {
    operator: Operator,
    id: Option<AnyId>,
    name: Option<AnyName>,
    created: Option<Created>,
    tags: Option<Tags>,
}

/// How criteria are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) enum Operator {
    #[default]
    #[serde(rename = "and_")]
    And,
    #[serde(rename = "or_")]
    Or,
}

impl Operator {
    /// Criteria that were not given are left out; without any, everything passes.
    pub(super) fn join(self, criteria: impl IntoIterator<Item = Option<bool>>) -> bool {
        let given: Vec<bool> = criteria.into_iter().flatten().collect();
        match self {
            Self::Or if !given.is_empty() => given.contains(&true),
            Self::Or | Self::And => !given.contains(&false),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AnyId {
    any_: Option<BTreeSet<AutomationId>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AnyName {
    any_: Option<BTreeSet<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Created {
    before_: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Tags {
    operator: Operator,
    all_: Option<BTreeSet<String>>,
    any_: Option<BTreeSet<String>>,
    is_null_: Option<bool>,
}

impl Criteria {
    /// Whether an automation is asked for, and can be said in Prefect's vocabulary.
    pub(super) fn admit(&self, automation: &Automation) -> bool {
        let spec = &automation.spec;
        // A criterion without a value passes everything, also when criteria are joined by "or".
        let id = self.id.as_ref().map(|id| id.any_.as_ref().is_none_or(|any| any.contains(&automation.id)));
        let name = self.name.as_ref().map(|name| name.any_.as_ref().is_none_or(|any| any.contains(&spec.name)));
        let created =
            self.created.as_ref().map(|created| created.before_.is_none_or(|before| automation.created <= before));
        let tags = self.tags.as_ref().map(|tags| tags.admit(&spec.tags));
        is_prefects(spec) && self.operator.join([id, name, created, tags])
    }

    /// What the database can leave out beforehand.
    pub(super) fn narrowed(&self) -> StoreFilter {
        if self.operator == Operator::Or {
            return StoreFilter::default();
        }
        let listed = |count: usize| count <= PAGE_ITEMS;
        StoreFilter {
            ids: self.id.clone().and_then(|id| id.any_).filter(|ids| listed(ids.len())),
            names: self.name.clone().and_then(|name| name.any_).filter(|names| listed(names.len())),
            ..StoreFilter::default()
        }
    }
}

impl Tags {
    fn admit(&self, tags: &[String]) -> bool {
        let all = self.all_.as_ref().map(|all| all.iter().all(|tag| tags.contains(tag)));
        let any = self.any_.as_ref().map(|any| any.iter().any(|tag| tags.contains(tag)));
        let empty = self.is_null_.map(|empty| empty == tags.is_empty());
        self.operator.join([all, any, empty])
    }
}
