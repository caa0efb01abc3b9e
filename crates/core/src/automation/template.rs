//! The texts in actions: Prefect's templates (Jinja2 in a sandbox) on minijinja.
//!
//! [`check`] is what Prefect checks when an automation is saved; [`render`] and [`render_value`] fill in a text and a
//! parameter; [`wants`] says which objects of the far end a text names; [`unknown_names`] finds what cannot be meant.
//!
//! Invariants: pure, `now` is given; what Python would print is printed (`True`, `None`, `[1, 2]`,
//! `2026-01-05 09:00:00+00:00`), and what fails there fails here with the same words where the cause is the same. Work,
//! nesting and output are bounded by the constants below; within them an author may still make large values, so only
//! who may write automations writes texts.
//!
//! Where minijinja is another language than Jinja2: no arithmetic with times (`event.received - event.occurred`), no
//! `%` on a text (the filter `format` does it), comparing a number with a text answers instead of failing, a generator
//! is a list, `for` over `none` is empty, a method that is not called prints nothing, no `print` statement, no `cycler`,
//! `joiner`, `lipsum` and no filters `random`, `urlize`, `xmlattr`, `wordwrap`, `pprint`. Ids are texts. Labels are in the order id, role, name, others by name, because the
//! log keeps them sorted.

mod class;
mod context;
mod engine;
mod error;
mod filters;
mod humanize;
mod json;
mod methods;
mod moment;
mod names;
mod object;
mod parameters;
mod print;
mod scan;
mod text_filters;

pub use context::{Dialect, Object, TemplateContext, synthesise};
pub use error::TemplateError;
pub use names::{UnknownName, names, unknown_names, wants};
pub use parameters::render_value;

/// Longest template, in bytes.
pub const TEMPLATE_BYTES: usize = 64 * 1024;
/// Longest rendered text, in bytes; more is an error, because a cut text may say something else.
pub const OUTPUT_BYTES: usize = 256 * 1024;
/// Work a template may do, in minijinja's units of fuel: about one per instruction.
pub const FUEL: u64 = 100_000;
/// Most `for` in one template (Prefect's own limit).
pub const LOOPS: usize = 10;
/// Deepest `for` in `for` (Prefect's own limit).
pub const LOOP_DEPTH: usize = 2;
/// Longest `range` (Prefect's own limit).
pub const RANGE: i64 = 100;
/// Deepest macros within macros.
const RECURSION: usize = 100;

/// Checks a text as Prefect does when an automation is saved.
///
/// # Errors
/// The text is too long, is no template (with the line), or has more or deeper loops than allowed.
pub fn check(text: &str) -> Result<(), TemplateError> {
    if text.len() > TEMPLATE_BYTES {
        return Err(TemplateError::new(TemplateError::LIMIT, format!("has more than {TEMPLATE_BYTES} bytes")));
    }
    scan::check(text)?;
    engine::parse(text)?;
    scan::check_loops(text)
}

/// Fills in a text. One without `{{` and `{%` stays as it is.
///
/// # Errors
/// The text is no template, fails where Prefect's would (see [`TemplateError::reason`]), or passes a bound.
pub fn render(text: &str, context: &TemplateContext<'_>) -> Result<String, TemplateError> {
    if !is_template(text) {
        return Ok(text.to_owned());
    }
    if text.len() > TEMPLATE_BYTES {
        return Err(TemplateError::new(TemplateError::LIMIT, format!("has more than {TEMPLATE_BYTES} bytes")));
    }
    scan::check(text)?;
    engine::render(text, context)
}

/// Whether Prefect would render the text at all.
#[must_use]
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}
