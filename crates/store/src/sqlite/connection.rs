//! Connections: how they are opened and configured, how values and errors are translated.

use crate::error::{Error, Result};
use crate::schema;
use crate::statement::Bound;
use crate::value::{Kind, Value};
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, ToSql};
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

/// "TRCK": marks the file as Trackside's, so that no other database is taken for it.
const APPLICATION_ID: i64 = 0x5452_434b;
/// Small pages: a decision touches many tables, and each page it touches is written whole (decision record 15).
const PAGE_BYTES: i64 = 4 * 1024;
/// Page cache of the writer.
const WRITER_CACHE_KIB: i64 = 32 * 1024;
/// Page cache of each reader.
const READER_CACHE_KIB: i64 = 4 * 1024;
/// How much of the file readers map into memory instead of copying.
const MMAP_BYTES: i64 = 256 * 1024 * 1024;
/// The file of the write-ahead log is cut back to this when it starts over.
const WAL_FILE_BYTES: i64 = 256 * 1024 * 1024;
/// How long a connection waits for another one's lock; only a checkpoint or an opening ever holds one.
const BUSY: Duration = Duration::from_secs(10);
/// Prepared statements kept per connection; listings have many texts.
const STATEMENTS: usize = 256;

/// The one that writes. Creates and migrates the database.
pub(super) fn open_writer(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |error: rusqlite::Error| open_error(path, &error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(open)?;
    connection.busy_timeout(BUSY).map_err(open)?;
    // Must be set before the first page is written, and before WAL.
    connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(open)?;
    check_application(&connection, path)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(open)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(open)?;
    connection.pragma_update(None, "journal_size_limit", WAL_FILE_BYTES).map_err(open)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).map_err(open)?;
    configure(&connection).map_err(open)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// One that reads. The database must be there; whoever opens it must have checked its version.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |error: rusqlite::Error| open_error(path, &error);
    let connection = Connection::open_with_flags(path, flags).map_err(open)?;
    connection.busy_timeout(BUSY).map_err(open)?;
    check_application(&connection, path)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB).map_err(open)?;
    connection.pragma_update(None, "mmap_size", MMAP_BYTES).map_err(open)?;
    configure(&connection).map_err(open)?;
    Ok(connection)
}

/// The one that copies the write-ahead log into the database file.
pub(super) fn open_checkpointer(path: &Path) -> Result<Connection> {
    let open = |error: rusqlite::Error| open_error(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(open)?;
    connection.busy_timeout(BUSY).map_err(open)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(open)?;
    Ok(connection)
}

/// A database in memory.
pub(super) fn open_memory() -> Result<Connection> {
    let path = Path::new(":memory:");
    let open = |error: rusqlite::Error| open_error(path, &error);
    let mut connection = Connection::open_in_memory().map_err(open)?;
    configure(&connection).map_err(open)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // A stored text is never executed: views and triggers of a tampered file may not call anything.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Double-quoted text is an error, not a string: a misspelled column is found by the test of all statements.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    Ok(())
}

fn check_application(connection: &Connection, path: &Path) -> Result<()> {
    let open = |error: rusqlite::Error| open_error(path, &error);
    let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(open)?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(open)?;
    if id == APPLICATION_ID || (id == 0 && tables == 0) {
        return Ok(());
    }
    let problem = "it is a database of another program; point `server.data` at an empty folder".to_owned();
    Err(Error::Open { path: path.to_owned(), problem })
}

/// The schema's version, checked by whoever cannot migrate it.
pub(super) fn check_version(connection: &Connection, path: &Path) -> Result<()> {
    let found = version(connection).map_err(|error| open_error(path, &error))?;
    let known = schema::latest();
    match found.cmp(&known) {
        std::cmp::Ordering::Less => Err(Error::Older { found, known }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(Error::Newer { found, known }),
    }
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Applies the missing migrations, all in one transaction.
fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let open = |error: rusqlite::Error| open_error(path, &error);
    let found = version(connection).map_err(open)?;
    let known = schema::latest();
    if found > known {
        return Err(Error::Newer { found, known });
    }
    let transaction = connection.transaction().map_err(open)?;
    for migration in schema::SQLITE.iter().filter(|migration| migration.number > found) {
        transaction.execute_batch(migration.text).map_err(open)?;
        transaction.pragma_update(None, "user_version", migration.number).map_err(open)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(open)?;
    transaction.commit().map_err(open)
}

fn open_error(path: &Path, error: &rusqlite::Error) -> Error {
    Error::Open { path: path.to_owned(), problem: error.to_string() }
}

/// Prepares a text, or finds it prepared, and binds its parameters.
pub(super) fn prepare<'c>(connection: &'c Connection, bound: &Bound) -> Result<CachedStatement<'c>> {
    let failed = |error: rusqlite::Error| translate(bound.name, &error);
    let mut statement = connection.prepare_cached(&bound.text).map_err(failed)?;
    let declared = statement.parameter_count();
    assert_eq!(declared, bound.params.len(), "{}: parameters", bound.name);
    for (index, value) in bound.params.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, value).map_err(failed)?;
    }
    Ok(statement)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Bool(value) => ValueRef::Integer((*value).into()),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Uuid(value) => ValueRef::Blob(value.as_bytes()),
            Self::Time(value) => ValueRef::Integer(value.as_microsecond()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

/// A column as the kind it was declared to be.
pub(super) fn decode(query: &'static str, kind: Kind, value: ValueRef<'_>) -> Result<Value> {
    let wrong = || Error::Corrupt { what: query.to_owned(), problem: format!("{value:?} is not a {kind:?}") };
    match (kind, value) {
        (_, ValueRef::Null) => Ok(Value::Null),
        (Kind::Int, ValueRef::Integer(value)) => Ok(Value::Int(value)),
        (Kind::Bool, ValueRef::Integer(value)) => Ok(Value::Bool(value != 0)),
        (Kind::Text, ValueRef::Text(value)) => {
            std::str::from_utf8(value).map(|text| Value::Text(text.to_owned())).map_err(|_| wrong())
        }
        (Kind::Uuid, ValueRef::Blob(value)) => Uuid::from_slice(value).map(Value::Uuid).map_err(|_| wrong()),
        (Kind::Time, ValueRef::Integer(value)) => {
            Timestamp::from_microsecond(value).map(Value::Time).map_err(|_| wrong())
        }
        (Kind::Bytes, ValueRef::Blob(value)) => Ok(Value::Bytes(value.to_vec())),
        _ => Err(wrong()),
    }
}

/// An error of the database in the store's words.
pub(super) fn translate(statement: &'static str, error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Error::Full,
        Some(ErrorCode::ConstraintViolation) => Error::Conflict { statement, problem: error.to_string() },
        _ => Error::Database { statement, problem: error.to_string() },
    }
}
