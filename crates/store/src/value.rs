//! Values as they go into a statement and come out of a row.
//!
//! Invariant: a column's [`Kind`] is declared with its query, so the backend, not the reader, knows how a database
//! spells a time or a uuid. Times have microseconds, as in PostgreSQL.

use crate::error::{Error, Result};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use trackside_core::automation::definition::AutomationId;
use trackside_core::ids::{DeliveryId, EventId, IncidentId};
use uuid::Uuid;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Bool(bool),
    Text(String),
    Uuid(Uuid),
    Time(Timestamp),
    Bytes(Vec<u8>),
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Bool,
    Text,
    Uuid,
    Time,
    Bytes,
}

/// Cuts to the precision the database keeps, so that a value is the same before and after it was stored.
pub(crate) fn stored_time(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// JSON text of a value.
pub(crate) fn json<T: Serialize>(what: &str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Invalid { what: what.to_owned(), problem: error.to_string() })
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        assert!(i64::try_from(value).is_ok(), "counts and positions fit 63 bits");
        Self::Int(value.cast_signed())
    }
}
impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}
impl From<u16> for Value {
    fn from(value: u16) -> Self {
        Self::Int(value.into())
    }
}
impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}
impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}
impl From<&Arc<str>> for Value {
    fn from(value: &Arc<str>) -> Self {
        Self::Text(value.as_ref().to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Time(value)
    }
}
impl From<Uuid> for Value {
    fn from(value: Uuid) -> Self {
        Self::Uuid(value)
    }
}
impl From<EventId> for Value {
    fn from(value: EventId) -> Self {
        Self::Uuid(value.0)
    }
}
impl From<IncidentId> for Value {
    fn from(value: IncidentId) -> Self {
        Self::Uuid(value.0)
    }
}
impl From<DeliveryId> for Value {
    fn from(value: DeliveryId) -> Self {
        Self::Uuid(value.0)
    }
}
impl From<&Uuid> for Value {
    fn from(value: &Uuid) -> Self {
        Self::Uuid(*value)
    }
}
impl From<&AutomationId> for Value {
    fn from(value: &AutomationId) -> Self {
        Self::Uuid(value.0)
    }
}
impl From<AutomationId> for Value {
    fn from(value: AutomationId) -> Self {
        Self::Uuid(value.0)
    }
}
impl From<[u8; 32]> for Value {
    fn from(value: [u8; 32]) -> Self {
        Self::Bytes(value.to_vec())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A type that a column can be read as.
pub(crate) trait FromValue: Sized {
    fn from_value(value: Value) -> Result<Self, Value>;
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Int(value) => Ok(value),
            other => Err(other),
        }
    }
}
impl FromValue for u64 {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Int(int) => Self::try_from(int).map_err(|_| value),
            other => Err(other),
        }
    }
}
impl FromValue for u32 {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Int(int) => Self::try_from(int).map_err(|_| value),
            other => Err(other),
        }
    }
}
impl FromValue for u16 {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Int(int) => Self::try_from(int).map_err(|_| value),
            other => Err(other),
        }
    }
}
impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Bool(value) => Ok(value),
            other => Err(other),
        }
    }
}
impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Text(value) => Ok(value),
            other => Err(other),
        }
    }
}
impl FromValue for Timestamp {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Time(value) => Ok(value),
            other => Err(other),
        }
    }
}
impl FromValue for Uuid {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Uuid(value) => Ok(value),
            other => Err(other),
        }
    }
}
impl FromValue for [u8; 32] {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Bytes(bytes) => Self::try_from(bytes).map_err(Value::Bytes),
            other => Err(other),
        }
    }
}
impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(other),
        }
    }
}
impl FromValue for AutomationId {
    fn from_value(value: Value) -> Result<Self, Value> {
        Uuid::from_value(value).map(Self)
    }
}
impl FromValue for EventId {
    fn from_value(value: Value) -> Result<Self, Value> {
        Uuid::from_value(value).map(Self)
    }
}
impl FromValue for IncidentId {
    fn from_value(value: Value) -> Result<Self, Value> {
        Uuid::from_value(value).map(Self)
    }
}
impl FromValue for DeliveryId {
    fn from_value(value: Value) -> Result<Self, Value> {
        Uuid::from_value(value).map(Self)
    }
}
impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Null => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }
}

/// One row of an answer, read column by column from the left.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    query: &'static str,
    values: std::vec::IntoIter<Value>,
}

impl Row {
    pub(crate) fn new(query: &'static str, values: Vec<Value>) -> Self {
        Self { query, values: values.into_iter() }
    }

    /// The next column.
    pub(crate) fn next<T: FromValue>(&mut self) -> Result<T> {
        let column = self.values.len();
        let value = self.values.next().unwrap_or(Value::Null);
        T::from_value(value).map_err(|value| Error::Corrupt {
            what: self.query.to_owned(),
            problem: format!("{value:?} is not a {} ({column} columns from the right)", std::any::type_name::<T>()),
        })
    }

    /// The next column, decoded from JSON text.
    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let text: String = self.next()?;
        self.decoded(&text)
    }

    /// The next column, decoded from JSON text; the default when there is none.
    pub(crate) fn json_or_default<T: DeserializeOwned + Default>(&mut self) -> Result<T> {
        let text: Option<String> = self.next()?;
        text.map_or_else(|| Ok(T::default()), |text| self.decoded(&text))
    }

    fn decoded<T: DeserializeOwned>(&self, text: &str) -> Result<T> {
        serde_json::from_str(text)
            .map_err(|error| Error::Corrupt { what: self.query.to_owned(), problem: error.to_string() })
    }
}
