//! The tags of a text without their meaning: what Prefect checks when an automation is saved, and where names stand.
//!
//! minijinja gives neither the number of loops nor Jinja2's words for tags that do not close; this reads just enough
//! for that (delimiters, brackets, quotes, names of tags) and leaves the grammar to minijinja.
//! Sources: `jinja2/lexer.py`, `jinja2/parser.py`, `prefect/server/utilities/user_templates.py`.

use super::error::TemplateError;
use super::{LOOP_DEPTH, LOOPS, print};
use std::ops::Range;

type Result<T> = std::result::Result<T, TemplateError>;

/// A tag `{{ … }}` or `{% … %}`.
#[derive(Debug)]
pub(super) struct Tag {
    /// What stands between the delimiters.
    pub(super) inner: Range<usize>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Print,
    Block,
}

/// Tags that open a block, each with the tags that end it or go on with it.
const BLOCKS: [(&str, &[&str]); 11] = [
    ("for", &["endfor", "else"]),
    ("if", &["elif", "else", "endif"]),
    ("block", &["endblock"]),
    ("macro", &["endmacro"]),
    ("call", &["endcall"]),
    ("filter", &["endfilter"]),
    ("with", &["endwith"]),
    ("autoescape", &["endautoescape"]),
    ("set", &["endset"]),
    ("else", &["endif"]),
    ("for else", &["endfor"]),
];
/// Tags that stand alone.
const SINGLE: [&str; 5] = ["print", "include", "import", "from", "extends"];

/// Checks that tags close and nest, and that there are no more loops than Prefect accepts.
pub(super) fn check(text: &str) -> Result<()> {
    structure(text, &tags(text)?)
}

/// The loops, after the grammar was found right.
pub(super) fn check_loops(text: &str) -> Result<()> {
    let (mut depth, mut count, mut deepest) = (0_usize, 0, 0);
    for tag in tags(text)?.iter().filter(|tag| tag.kind == Kind::Block) {
        match tag.name(text) {
            "for" => {
                depth += 1;
                count += 1;
                deepest = deepest.max(depth);
            }
            "endfor" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if count > LOOPS {
        let message = format!("Contains {count} for loops. Templates can contain no more than {LOOPS} for loops.");
        return Err(TemplateError::new("TemplateSecurityError", message));
    }
    if deepest > LOOP_DEPTH {
        let message = format!(
            "Contains nested for loops at a depth of {deepest}. \
             Templates can nest for loops no more than {LOOP_DEPTH} loops deep."
        );
        return Err(TemplateError::new("TemplateSecurityError", message));
    }
    Ok(())
}

impl Tag {
    /// The first word of a block.
    fn name<'t>(&self, text: &'t str) -> &'t str {
        let inner = text[self.inner.clone()].trim_start();
        &inner[..inner.find(|c: char| !is_word(c)).unwrap_or(inner.len())]
    }

    /// `{% set x %}` opens a block, `{% set x = 1 %}` does not.
    fn opens(&self, text: &str) -> bool {
        let inner = text[self.inner.clone()].trim();
        self.name(text) != "set" || (inner != "set" && !has_assignment(inner))
    }
}

pub(super) fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Line and column of a byte, both from 1; the column in characters.
pub(super) fn place(text: &str, at: usize) -> (u32, u32) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

fn syntax(text: &str, at: usize, message: impl Into<String>) -> TemplateError {
    TemplateError::new("TemplateSyntaxError", message).at(place(text, at).0)
}

/// The tags of `text`, without comments and what is raw.
pub(super) fn tags(text: &str) -> Result<Vec<Tag>> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(open) = next_opening(text, at) {
        let inner = open + 2;
        if text[open..].starts_with("{#") {
            let end = text[inner..].find("#}").ok_or_else(|| syntax(text, open, "Missing end of comment tag"))?;
            at = inner + end + 2;
            continue;
        }
        let (kind, end) = if text[open..].starts_with("{%") { (Kind::Block, "%}") } else { (Kind::Print, "}}") };
        let signed = usize::from(text[inner..].starts_with(['-', '+']));
        let close = end_of_tag(text, inner + signed, kind, end)?;
        let tag = Tag { inner: inner + signed..close, kind };
        at = close + 2;
        if kind == Kind::Block && tag.name(text) == "raw" {
            at = end_of_raw(text, at).ok_or_else(|| syntax(text, open, "Missing end of raw directive"))?;
            continue;
        }
        tags.push(tag);
    }
    Ok(tags)
}

fn next_opening(text: &str, from: usize) -> Option<usize> {
    let braces = text.get(from..)?.match_indices('{').map(|(at, _)| from + at);
    braces.into_iter().find(|at| text[at + 1..].starts_with(['{', '%', '#']))
}

/// Where the tag's closing delimiter stands.
fn end_of_tag(text: &str, from: usize, kind: Kind, end: &str) -> Result<usize> {
    let mut open = Vec::new();
    let mut at = from;
    while let Some(c) = text[at..].chars().next() {
        if open.is_empty() && text[at..].starts_with(end) {
            return Ok(at);
        }
        match c {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' => match open.pop() {
                None => return Err(syntax(text, at, format!("unexpected '{c}'"))),
                Some(expected) if expected != c => {
                    return Err(syntax(text, at, format!("unexpected '{c}', expected '{expected}'")));
                }
                Some(_) => {}
            },
            '\'' | '"' => {
                at += quoted_length(&text[at..]).ok_or_else(|| unexpected(text, at, c))?;
                continue;
            }
            _ if is_word(c) || c.is_whitespace() || "+-/*%~<>=.:|,;".contains(c) => {}
            '!' if text[at..].starts_with("!=") => {}
            _ => return Err(unexpected(text, at, c)),
        }
        at += c.len_utf8();
    }
    let what = if kind == Kind::Print { "end of print statement" } else { "end of statement block" };
    let empty = text[from..].trim().is_empty();
    let message = match (kind, empty) {
        (Kind::Print, true) => "unexpected 'end of template'".to_owned(),
        (Kind::Block, true) => "tag name expected".to_owned(),
        _ => match open.last() {
            Some(bracket) => format!("unexpected end of template, expected '{bracket}'."),
            None => format!("unexpected end of template, expected '{what}'."),
        },
    };
    Err(syntax(text, text.len(), message))
}

fn unexpected(text: &str, at: usize, c: char) -> TemplateError {
    let place = text[..at].chars().count();
    syntax(text, at, format!("unexpected char {} at {place}", print::quoted(&c.to_string())))
}

/// The length of the quoted text that `text` begins with.
fn quoted_length(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Where the text goes on after `{% endraw %}`.
fn end_of_raw(text: &str, from: usize) -> Option<usize> {
    text[from..].match_indices("{%").find_map(|(open, _)| {
        let rest = text[from + open + 2..].trim_start_matches(['-', '+']).trim_start();
        let rest = rest.strip_prefix("endraw")?.trim_start().trim_start_matches(['-', '+']).strip_prefix("%}")?;
        Some(text.len() - rest.len())
    })
}

fn has_assignment(inner: &str) -> bool {
    let bytes = inner.as_bytes();
    let is_operator = |at: usize| bytes.get(at).is_some_and(|byte| b"=!<>".contains(byte));
    let first_filter = inner.find('|').unwrap_or(inner.len());
    (0..first_filter).any(|at| bytes[at] == b'=' && !is_operator(at + 1) && (at == 0 || !is_operator(at - 1)))
}

/// Checks that blocks close in the order they were opened.
fn structure(text: &str, tags: &[Tag]) -> Result<()> {
    let mut open: Vec<(&str, &'static [&'static str])> = Vec::new();
    for tag in tags.iter().filter(|tag| tag.kind == Kind::Block) {
        let name = tag.name(text);
        let at = tag.inner.start;
        if name.is_empty() {
            return Err(syntax(text, at, "tag name expected"));
        }
        if let Some((block, ends)) = open.last().copied().filter(|(_, ends)| ends.contains(&name)) {
            match (block, name) {
                (_, "elif") => {}
                ("for", "else") => replace_ends(&mut open, "for else"),
                (_, "else") => replace_ends(&mut open, "else"),
                _ => drop(open.pop()),
            }
            debug_assert!(!ends.is_empty());
        } else if let Some((block, ends)) = BLOCKS.iter().find(|(block, _)| *block == name && name != "else") {
            if tag.opens(text) {
                open.push((block, ends));
            }
        } else if !SINGLE.contains(&name) {
            return Err(syntax(text, at, unclosed(&open, Some(name))));
        } else if name == "import" && !imports_a_name(&text[tag.inner.clone()]) {
            return Err(syntax(text, at, "expected token 'name' after 'as'"));
        }
    }
    if open.is_empty() { Ok(()) } else { Err(syntax(text, text.len(), unclosed(&open, None))) }
}

/// minijinja would take any expression for the name, and then panic.
fn imports_a_name(inner: &str) -> bool {
    let words: Vec<&str> = inner.split_whitespace().collect();
    let Some(at) = words.iter().rposition(|word| *word == "as") else { return false };
    let constants = ["true", "false", "none", "True", "False", "None"];
    match &words[at + 1..] {
        [name] | [name, "with" | "without", "context"] => {
            let starts = name.starts_with(|c: char| c == '_' || c.is_alphabetic());
            starts && name.chars().all(is_word) && !constants.contains(name)
        }
        _ => false,
    }
}

/// After `else`, only the end of the block may come.
fn replace_ends(open: &mut [(&str, &'static [&'static str])], state: &str) {
    let ends = BLOCKS.iter().find(|(block, _)| *block == state).map(|(_, ends)| *ends);
    if let (Some(last), Some(ends)) = (open.last_mut(), ends) {
        last.1 = ends;
    }
}

/// Jinja2's words about a tag that does not belong there, or about the end of the text.
fn unclosed(open: &[(&str, &[&str])], tag: Option<&str>) -> String {
    let mut message =
        tag.map_or_else(|| "Unexpected end of template.".to_owned(), |tag| format!("Encountered unknown tag '{tag}'."));
    let Some((block, ends)) = open.last() else { return message };
    let looking: Vec<String> = ends.iter().map(|end| format!("'{end}'")).collect();
    let is_misplaced = tag.is_some_and(|tag| open.iter().any(|(_, ends)| ends.contains(&tag)));
    message.push_str(if is_misplaced {
        " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for "
    } else {
        " Jinja was looking for the following tags: "
    });
    message.push_str(&looking.join(" or "));
    message.push_str(&format!(". The innermost block that needs to be closed is '{block}'."));
    message
}

/// Where `path` (`event.payload`, or a single name) is first named in a tag.
pub(super) fn find_name(text: &str, path: &str) -> Option<usize> {
    let tags = tags(text).ok()?;
    tags.iter().find_map(|tag| {
        let inner = &text[tag.inner.clone()];
        let mut skipped = Vec::new();
        let mut at = 0;
        while let Some(found) = inner[at..].find(['\'', '"']) {
            let length = quoted_length(&inner[at + found..])?;
            skipped.push(at + found..at + found + length);
            at += found + length;
        }
        inner.match_indices(path).map(|(at, _)| at).find_map(|at| {
            let is_start = inner[..at].chars().next_back().is_none_or(|c| !is_word(c) && c != '.');
            let is_end = inner[at + path.len()..].chars().next().is_none_or(|c| !is_word(c));
            let is_quoted = skipped.iter().any(|range| range.contains(&at));
            (is_start && is_end && !is_quoted).then_some(tag.inner.start + at)
        })
    })
}
