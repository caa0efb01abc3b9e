//! minijinja set up as Prefect's sandbox.
//!
//! Invariants: nothing is loaded, nothing is escaped by itself, an unknown name is empty; output goes through a writer
//! that ends the rendering at [`super::OUTPUT_BYTES`]; where minijinja panics (3.0 does on an empty text that a slice
//! reverses), that is an error of the text, and nothing else is lost.

use super::context::TemplateContext;
use super::error::{self, TemplateError, raise};
use super::{FUEL, OUTPUT_BYTES, RANGE, RECURSION, filters, methods, print, scan, text_filters};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What minijinja has and Jinja2 has not, or what would not be the same twice.
const NOT_IN_JINJA: [&str; 6] = ["split", "lines", "bool", "chain", "zip", "pprint"];

/// Checks the grammar of a text that was scanned.
pub(super) fn parse(text: &str) -> Result<(), TemplateError> {
    contained(|| {
        plain().template_from_str(text).map(drop).map_err(|error| error::explain(&error, text, &Value::UNDEFINED))
    })
}

/// The names that a text uses and does not set; with `nested` the attributes after them too.
pub(super) fn undeclared(text: &str, nested: bool) -> BTreeSet<String> {
    // What was not scanned may make minijinja panic.
    if scan::check(text).is_err() {
        return BTreeSet::new();
    }
    let named = |template: minijinja::Template<'_, '_>| template.undeclared_variables(nested).into_iter().collect();
    contained(|| Ok(plain().template_from_str(text).map(named).unwrap_or_default())).unwrap_or_default()
}

/// Renders a text that was scanned.
pub(super) fn render(text: &str, context: &TemplateContext<'_>) -> Result<String, TemplateError> {
    contained(|| rendered(&text.replace("\r\n", "\n"), context))
}

/// Work of the engine, of which a panic is an error. Nothing of it is used after that.
fn contained<T>(work: impl FnOnce() -> Result<T, TemplateError>) -> Result<T, TemplateError> {
    let failed = |_| TemplateError::new(TemplateError::ENGINE, "the template engine cannot handle this text");
    catch_unwind(AssertUnwindSafe(work)).map_err(failed)?
}

fn rendered(text: &str, context: &TemplateContext<'_>) -> Result<String, TemplateError> {
    let mut environment = plain();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    environment.set_formatter(|out, _, value| out.write_str(&print::text(value)).map_err(Error::from));
    environment.set_unknown_method_callback(methods::call);
    for name in NOT_IN_JINJA {
        environment.remove_filter(name);
    }
    environment.remove_global("debug");
    environment.add_function("range", range);
    text_filters::install(&mut environment);
    filters::install(&mut environment, context);
    let mut out = Bounded(Vec::new());
    let unread = |error| error::explain(&error, text, &Value::UNDEFINED);
    let template = environment.template_from_str(text).map_err(unread)?;
    let values = context.values(&template.undeclared_variables(false).into_iter().collect());
    let outcome = template.render_captured_to(values.clone(), &mut out).map(drop);
    match outcome {
        Ok(()) => Ok(String::from_utf8_lossy(&out.0).into_owned()),
        Err(error) if error.kind() == ErrorKind::WriteFailure => {
            Err(TemplateError::new(TemplateError::LIMIT, format!("renders to more than {OUTPUT_BYTES} bytes")))
        }
        Err(error) => Err(error::explain(&error, text, &values)),
    }
}

fn plain() -> Environment<'static> {
    let mut environment = Environment::new();
    // Errors then say where they stand and which name was undefined.
    environment.set_debug(true);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment
}

/// Python's `range`, bounded as in Prefect.
fn range(start: i64, stop: Option<i64>, step: Option<i64>) -> Result<Vec<i64>, Error> {
    let (start, stop) = stop.map_or((0, start), |stop| (start, stop));
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(raise("ValueError", "range() arg 3 must not be zero"));
    }
    let distance = i128::from(stop) - i128::from(start);
    let length = (distance / i128::from(step)) + i128::from(distance % i128::from(step) != 0);
    let is_empty = (distance > 0) != (step > 0) || distance == 0;
    if is_empty {
        return Ok(Vec::new());
    }
    if length > i128::from(RANGE) {
        let message = format!("Range too big. The sandbox blocks ranges larger than MAX_TEMPLATE_RANGE={RANGE}.");
        return Err(raise("OverflowError", message));
    }
    Ok((0..length).filter_map(|index| i64::try_from(i128::from(start) + index * i128::from(step)).ok()).collect())
}

/// Takes at most [`OUTPUT_BYTES`].
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_BYTES {
            return Err(io::Error::other("the text is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The items of a value; none of what is undefined.
pub(super) fn items(value: &Value) -> Result<Vec<Value>, Error> {
    if value.is_undefined() {
        return Ok(Vec::new());
    }
    if value.is_none() {
        return Err(raise("TypeError", "'NoneType' object is not iterable"));
    }
    let not_iterable = || raise("TypeError", format!("'{}' object is not iterable", methods::type_name(value)));
    value.try_iter().map(Iterator::collect).map_err(|_| not_iterable())
}
