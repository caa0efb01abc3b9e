//! Statements and queries as values.
//!
//! An SQL text is data ([`Sql`]), so a test can prepare every one on every backend. Rules for the texts: parameters
//! are `$1`, `$2`, … and first appear in that order; comparisons come before `IS NULL` tests of the same parameter;
//! nothing that only one database knows. A write is a [`Batch`]: all of it or nothing.

use crate::error::{Error, Result};
use crate::log::{Appended, Arrival, NewEntry};
use crate::page::PAGE_ITEMS;
use crate::value::{Kind, Row, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// One SQL text with a name and the kinds of its columns.
#[derive(Debug)]
pub(crate) struct Sql {
    /// Name in errors: table and purpose.
    pub name: &'static str,
    /// The text.
    pub text: &'static str,
    /// What the columns of the answer hold; empty for writes.
    pub columns: &'static [Kind],
}

impl Sql {
    /// A write.
    pub(crate) const fn write(name: &'static str, text: &'static str) -> Self {
        Self { name, text, columns: &[] }
    }

    /// A question.
    pub(crate) const fn read(name: &'static str, text: &'static str, columns: &'static [Kind]) -> Self {
        Self { name, text, columns }
    }

    /// A statement of this text with its first parameter.
    pub(crate) fn bind(&'static self, value: impl Into<Value>) -> Bound {
        self.bound().bind(value)
    }

    /// A statement of this text without parameters so far.
    pub(crate) fn bound(&'static self) -> Bound {
        Bound { name: self.name, text: Cow::Borrowed(self.text), columns: self.columns, params: Vec::new() }
    }
}

/// An SQL text with its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub name: &'static str,
    pub text: Cow<'static, str>,
    pub columns: &'static [Kind],
    pub params: Vec<Value>,
}

impl Bound {
    /// The next parameter.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.params.push(value.into());
        self
    }

    /// A write that may change any number of rows.
    pub(crate) fn any(self) -> Statement {
        Statement { bound: self, expect: Expect::Any }
    }

    /// A write that must change exactly one row, else the batch fails with [`crate::Error::Conflict`].
    pub(crate) fn one(self, otherwise: &'static str) -> Statement {
        Statement { bound: self, expect: Expect::One { otherwise } }
    }

    /// A question.
    pub(crate) fn query(self) -> Query {
        Query { bound: self, max_bytes: usize::MAX }
    }
}

/// A write with what it must change.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub bound: Bound,
    pub expect: Expect,
}

/// How many rows a write must change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    Any,
    /// Exactly one; `otherwise` tells people what it means when it did not.
    One {
        otherwise: &'static str,
    },
}

/// A question.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub bound: Bound,
    /// The answer ends after the row with which its texts and bytes exceed this.
    pub max_bytes: usize,
}

impl Query {
    /// Bounds the size of the answer; it has at least one row if there is one.
    pub(crate) fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }
}

/// What a question was answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub rows: Vec<Row>,
    /// True when there was more than `max_bytes`.
    pub cut: bool,
}

/// What is written together: log entries first, in order, then statements.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub entries: Vec<NewEntry>,
    pub statements: Vec<Statement>,
}

impl Batch {
    pub(crate) fn of(statements: Vec<Statement>) -> Self {
        Self { entries: Vec::new(), statements }
    }
}

/// What a batch did, once it is durable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receipt {
    pub appended: Vec<Appended>,
    /// Rows changed by each statement.
    pub changed: Vec<u64>,
}

impl Receipt {
    /// Entries that were not in the log before.
    pub(crate) fn new_entries(&self) -> impl Iterator<Item = &Appended> {
        self.appended.iter().filter(|entry| entry.arrival == Arrival::New)
    }
}

/// A listing whose filters may each be absent. Each combination is one text, so each can use its own index.
#[derive(Debug)]
pub(crate) struct Listing {
    pub name: &'static str,
    /// Up to and including an unconditional `WHERE` clause.
    pub head: &'static str,
    /// One clause per filter; `{0}`, `{1}`, … are its values, `{*}` the list of all values after those.
    pub clauses: &'static [&'static str],
    /// The order; `LIMIT` is added.
    pub order: &'static str,
    pub columns: &'static [Kind],
}

/// The values of one filter of a [`Listing`]; none when it is absent.
pub(crate) type Filter = Vec<Value>;

/// A filter with one value, when it is given.
pub(crate) fn given(value: Option<impl Into<Value>>) -> Filter {
    value.into_iter().map(Into::into).collect()
}

/// A filter with one of several values, when it is given; `None` when it is given and empty, so that nothing passes.
pub(crate) fn one_of<T>(values: Option<&BTreeSet<T>>) -> Result<Option<Filter>>
where
    for<'a> &'a T: Into<Value>,
{
    let Some(values) = values else { return Ok(Some(Filter::new())) };
    if values.len() > PAGE_ITEMS {
        let problem = format!("a list of {} values, at most {PAGE_ITEMS} are allowed", values.len());
        return Err(Error::Invalid { what: "the filter".to_owned(), problem });
    }
    Ok((!values.is_empty()).then(|| values.iter().map(Into::into).collect()))
}

impl Listing {
    /// The query with the filters that are present, in the order of `clauses`.
    pub(crate) fn query(&self, filters: Vec<Filter>, limit: usize) -> Query {
        assert_eq!(filters.len(), self.clauses.len(), "one filter per clause");
        let text = self.text(&filters.iter().map(Vec::len).collect::<Vec<_>>());
        let mut params: Vec<Value> = filters.into_iter().flatten().collect();
        params.push(limit.into());
        let text = Cow::Owned(text);
        Query { bound: Bound { name: self.name, text, columns: self.columns, params }, max_bytes: usize::MAX }
    }

    /// The page of the query that begins after `offset` rows.
    pub(crate) fn query_from(&self, filters: Vec<Filter>, offset: u64, limit: usize) -> Query {
        let mut query = self.query(filters, limit);
        query.bound.params.push(offset.into());
        let number = query.bound.params.len();
        query.bound.text = Cow::Owned(format!("{} OFFSET ${number}", query.bound.text));
        query
    }

    /// The text for so many values per clause.
    fn text(&self, values: &[usize]) -> String {
        let mut text = self.head.to_owned();
        let mut number = 0;
        for (clause, values) in self.clauses.iter().zip(values).filter(|(_, values)| **values > 0) {
            let single = singles(clause);
            let mut clause = (*clause).to_owned();
            for value in 0..single {
                number += 1;
                clause = clause.replace(&format!("{{{value}}}"), &format!("${number}"));
            }
            let list: Vec<String> = (single..*values).map(|rest| format!("${}", number + 1 + rest - single)).collect();
            number += list.len();
            clause = clause.replace("{*}", &list.join(", "));
            text.push_str(" AND ");
            text.push_str(&clause);
        }
        format!("{text} {} LIMIT ${}", self.order, number + 1)
    }

    /// Every text this listing can have.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> Vec<String> {
        let values = |clause: &str| singles(clause) + if clause.contains("{*}") { 2 } else { 0 };
        (0..1_usize << self.clauses.len())
            .map(|mask| {
                let present = |(bit, clause): (usize, &&str)| if mask & (1 << bit) == 0 { 0 } else { values(clause) };
                self.text(&self.clauses.iter().enumerate().map(present).collect::<Vec<_>>())
            })
            .collect()
    }
}

/// How many values of a clause stand alone.
fn singles(clause: &str) -> usize {
    (0..9).take_while(|value| clause.contains(&format!("{{{value}}}"))).count()
}
