//! What should have happened by now and has not: the facts of the self-audit.
//!
//! Reading only. The store compares what was due with what was done; what to make of it is decided by the caller.

use crate::Store;
use crate::error::Result;
use crate::outbox::{DUE_ROWS, Delivery, DeliveryState};
use crate::page::PAGE_ITEMS;
use crate::statement::{Listing, Sql};
use crate::value::Kind;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use trackside_core::decision::PageRecord;
use trackside_core::ids::DeliveryId;
use trackside_core::timer::{Timer, TimerKey};

/// Most timers and pages told at once; there being any is what matters.
pub const OVERDUE_ROWS: usize = 200;

/// What is overdue.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Overdue {
    /// Timers that are still set after their time, earliest first; at most [`OVERDUE_ROWS`]. All kinds are taken by the
    /// same clock, so any of them says that it stands still; [`Overdue::people`] picks those that page somebody.
    pub timers: Vec<Timer>,
    /// Heads of lanes that should have been sent, or whose sender did not come back, oldest due first per connection; at
    /// most [`DUE_ROWS`] per connection.
    pub deliveries: Vec<Delivery>,
    /// Pages of late that have reached nobody and are not going to, oldest first; at most [`OVERDUE_ROWS`].
    pub pages: Vec<LostPage>,
}

impl Overdue {
    /// True when all is well.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timers.is_empty() && self.deliveries.is_empty() && self.pages.is_empty()
    }

    /// Timers of escalations: steps, further contacts of people, acknowledgements and snoozes that end.
    pub fn people(&self) -> impl Iterator<Item = &Timer> {
        let of_people =
            |key: &TimerKey| matches!(key, TimerKey::Step { .. } | TimerKey::Contact { .. } | TimerKey::Timeout { .. });
        self.timers.iter().filter(move |timer| of_people(&timer.key))
    }
}

/// A page that has reached nobody.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LostPage {
    /// The page.
    pub page: PageRecord,
    /// Why, for the first of its deliveries that says it.
    pub because: Lost,
}

/// Why a page has reached nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "lost", rename_all = "snake_case")]
pub enum Lost {
    /// Its delivery was given up.
    Dead {
        /// Which.
        delivery: DeliveryId,
    },
    /// Its delivery should have been sent by now.
    PastDue {
        /// Which.
        delivery: DeliveryId,
        /// When it was due.
        due: Timestamp,
    },
    /// There is no such row in the outbox.
    Missing {
        /// Which.
        delivery: DeliveryId,
    },
}

/// What became of a delivery.
enum Fate {
    /// It arrived, or is not needed any more.
    Done,
    /// It goes out when its time comes.
    OnItsWay,
    Lost(Lost),
}

static TIMERS: Sql =
    Sql::read("timers.overdue", "SELECT body FROM timers WHERE due < $1 ORDER BY due LIMIT $2", &[Kind::Text]);
static PAGES: Sql = Sql::read(
    "pages.since",
    "SELECT body FROM pages WHERE at >= $1 ORDER BY at DESC, position DESC LIMIT $2",
    &[Kind::Text],
);
static FATES: Listing = Listing {
    name: "outbox.fates",
    head: "SELECT id, state, due_at, lease_until FROM outbox WHERE 1 = 1",
    clauses: &["id IN ({*})"],
    order: "",
    columns: &[Kind::Uuid, Kind::Text, Kind::Time, Kind::Time],
};

#[cfg(test)]
pub(crate) static SQL: &[&Sql] = &[&TIMERS, &PAGES];
#[cfg(test)]
pub(crate) static LISTINGS: &[&Listing] = &[&FATES];

impl Store {
    /// What was due more than `grace` before `now` and is not done, and the pages decided within `window` before `now`
    /// (the latest [`PAGE_ITEMS`]) that are lost. A page that was superseded or is still to be sent is not lost, nor is
    /// one with several deliveries of which one is neither; a page without deliveries was decided to reach nobody, its
    /// note says why.
    ///
    /// # Errors
    /// When something cannot be read back.
    pub async fn overdue(&self, now: Timestamp, grace: SignedDuration, window: SignedDuration) -> Result<Overdue> {
        let limit = now.saturating_sub(grace).unwrap_or(Timestamp::MIN);
        let since = now.saturating_sub(window).unwrap_or(Timestamp::MIN);
        let queries = vec![TIMERS.bind(limit).bind(OVERDUE_ROWS).query(), PAGES.bind(since).bind(PAGE_ITEMS).query()];
        let mut answers = self.snapshot(queries).await?;
        let timers = answers.next(|mut row| row.json())?;
        let mut pages: Vec<PageRecord> = answers.next(|mut row| row.json())?;
        pages.reverse();
        let mut deliveries = self.due(limit, &[], DUE_ROWS).await?;
        deliveries.extend(self.expired_leases(limit).await?);
        Ok(Overdue { timers, deliveries, pages: self.lost(pages, limit).await? })
    }

    async fn lost(&self, pages: Vec<PageRecord>, limit: Timestamp) -> Result<Vec<LostPage>> {
        let ids: Vec<DeliveryId> = pages.iter().flat_map(|page| page.deliveries.iter().copied()).collect();
        let mut fates = BTreeMap::new();
        for some in ids.chunks(PAGE_ITEMS) {
            let values = some.iter().map(|id| (*id).into()).collect();
            for mut row in self.rows(FATES.query(vec![values], some.len())).await? {
                let id: DeliveryId = row.next()?;
                let state = DeliveryState::parse(&row.next::<String>()?)?;
                let due: Option<Timestamp> = row.next()?;
                fates.insert(id, fate(id, state, due, row.next()?, limit));
            }
        }
        let lost = pages.into_iter().filter_map(|page| {
            let mut because = None;
            for id in &page.deliveries {
                match fates.get(id).unwrap_or(&Fate::Lost(Lost::Missing { delivery: *id })) {
                    Fate::Done | Fate::OnItsWay => return None,
                    Fate::Lost(lost) => because = because.or(Some(*lost)),
                }
            }
            because.map(|because| LostPage { page, because })
        });
        Ok(lost.take(OVERDUE_ROWS).collect())
    }
}

fn fate(
    delivery: DeliveryId,
    state: DeliveryState,
    due: Option<Timestamp>,
    lease_until: Option<Timestamp>,
    limit: Timestamp,
) -> Fate {
    match state {
        DeliveryState::Delivered | DeliveryState::Superseded => Fate::Done,
        DeliveryState::Dead => Fate::Lost(Lost::Dead { delivery }),
        DeliveryState::Pending | DeliveryState::Sending => match lease_until.or(due) {
            Some(due) if due < limit => Fate::Lost(Lost::PastDue { delivery, due }),
            // What waits behind another row is as late as that one, which is told of as a delivery.
            _ => Fate::OnItsWay,
        },
    }
}
