//! The filter language (RFC 7644 §3.4.2.2): from text to a tree, and whether a resource passes it.
//!
//! Invariants: texts beyond [`FILTER_BYTES`], [`DEPTH`] or [`TERMS`] are refused; strings are compared without regard to
//! case but for `id` and `externalId` (RFC 7643 §3.1: caseExact).

use super::error::ScimError;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::cmp::Ordering;

/// Longest filter or path.
pub const FILTER_BYTES: usize = 4096;
/// Deepest nesting of parentheses and brackets.
const DEPTH: usize = 16;
/// Most comparisons in one filter.
const TERMS: usize = 100;

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// An attribute compared with a value.
    Compare(Attribute, Operator, Value),
    /// The attribute has a value.
    Present(Attribute),
    /// Both hold.
    And(Box<Filter>, Box<Filter>),
    /// At least one holds.
    Or(Box<Filter>, Box<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// An element of a multi-valued attribute passes (`emails[type eq "work"]`).
    Element(Attribute, Box<Filter>),
}

/// An attribute by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Schema in front of the name, in lower case, when one is given.
    pub schema: Option<String>,
    /// Name, in lower case.
    pub name: String,
    /// Name of a sub-attribute, in lower case.
    pub sub: Option<String>,
}

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub enum Operator {
    Eq,
    Ne,
    Co,
    Sw,
    Ew,
    Gt,
    Ge,
    Lt,
    Le,
}

impl Attribute {
    /// Reads `[schema:]name[.sub]`.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_lowercase();
        let (schema, rest) = match lower.rsplit_once(':') {
            Some((schema, rest)) => (Some(schema.to_owned()), rest),
            None => (None, lower.as_str()),
        };
        let (name, sub) = match rest.split_once('.') {
            Some((name, sub)) => (name, Some(sub)),
            None => (rest, None),
        };
        let good = |name: &str| {
            let mut characters = name.chars();
            characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '$')
                && characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$'))
        };
        if !good(name) || sub.is_some_and(|sub| !good(sub)) {
            return Err(format!("`{text}` is not the name of an attribute"));
        }
        Ok(Self { schema, name: name.to_owned(), sub: sub.map(str::to_owned) })
    }

    /// The part of a resource in which it stands: the resource, or one of its extensions.
    pub(super) fn home<'a>(&self, resource: &'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
        match &self.schema {
            Some(schema) if !super::schema::is_core(schema) => find(resource, schema)?.as_object(),
            _ => Some(resource),
        }
    }
}

/// An attribute of an object, without regard to case.
pub(super) fn find<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// What cannot be read, and where.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        if text.len() > FILTER_BYTES {
            return Err(ScimError::invalid_filter(format!("the filter is longer than {FILTER_BYTES} bytes")));
        }
        let mut reader = Reader { text, at: 0, terms: 0 };
        let filter = reader.any(0).map_err(|why| reader.wrong(&why))?;
        reader.spaces();
        if reader.at < text.len() {
            return Err(reader.wrong("something follows that cannot be read"));
        }
        Ok(filter)
    }

    /// Whether a resource, or an element of a multi-valued attribute, passes.
    #[must_use]
    pub fn matches(&self, resource: &Value) -> bool {
        match self {
            Self::And(one, other) => one.matches(resource) && other.matches(resource),
            Self::Or(one, other) => one.matches(resource) || other.matches(resource),
            Self::Not(filter) => !filter.matches(resource),
            Self::Present(attribute) => values(attribute, resource).iter().any(|value| !is_empty(value)),
            Self::Element(attribute, filter) => {
                elements(attribute, resource).into_iter().any(|element| filter.matches(element))
            }
            // Not equal to any: an attribute without a value is not equal to anything.
            Self::Compare(attribute, Operator::Ne, wanted) => {
                let found = values(attribute, resource);
                !found.iter().any(|value| compare(attribute, value, Operator::Eq, wanted))
            }
            Self::Compare(attribute, operator, wanted) => {
                let found = values(attribute, resource);
                if wanted.is_null() && *operator == Operator::Eq {
                    return found.iter().all(|value| is_empty(value));
                }
                found.iter().any(|value| compare(attribute, value, *operator, wanted))
            }
        }
    }

    /// The comparisons with `eq` that must hold for anything to pass: name, sub-attribute and text.
    #[must_use]
    pub fn must_equal(&self) -> Vec<(&str, Option<&str>, &str)> {
        match self {
            Self::And(one, other) => one.must_equal().into_iter().chain(other.must_equal()).collect(),
            Self::Compare(attribute, Operator::Eq, Value::String(text)) => {
                vec![(&attribute.name, attribute.sub.as_deref(), text)]
            }
            _ => Vec::new(),
        }
    }

    /// Whether it asks about an attribute of this name (in lower case).
    #[must_use]
    pub fn mentions(&self, name: &str) -> bool {
        match self {
            Self::And(one, other) | Self::Or(one, other) => one.mentions(name) || other.mentions(name),
            Self::Not(filter) => filter.mentions(name),
            Self::Compare(attribute, _, _) | Self::Present(attribute) | Self::Element(attribute, _) => {
                attribute.name == name
            }
        }
    }
}

/// The elements of a multi-valued attribute; a single value is the only one.
fn elements<'a>(attribute: &Attribute, resource: &'a Value) -> Vec<&'a Value> {
    let found = resource.as_object().and_then(|object| find(attribute.home(object)?, &attribute.name));
    match found {
        Some(Value::Array(elements)) => elements.iter().collect(),
        Some(value) => vec![value],
        None => Vec::new(),
    }
}

/// The values that an attribute has; an element of a multi-valued one stands for its `value`.
fn values<'a>(attribute: &Attribute, resource: &'a Value) -> Vec<&'a Value> {
    let sub = attribute.sub.as_deref();
    let value = |element: &'a Value| match (element, sub) {
        (Value::Object(object), Some(sub)) => find(object, sub),
        (Value::Object(object), None) => find(object, "value").or(Some(element)),
        (value, None) => Some(value),
        (_, Some(_)) => None,
    };
    elements(attribute, resource).into_iter().filter_map(value).collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn compare(attribute: &Attribute, found: &Value, operator: Operator, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::String(found), Value::String(wanted)) => {
            let exact = matches!(attribute.name.as_str(), "id" | "externalid");
            if exact {
                texts(found, operator, wanted)
            } else {
                texts(&found.to_lowercase(), operator, &wanted.to_lowercase())
            }
        }
        (Value::Bool(found), Value::Bool(wanted)) => operator == Operator::Eq && found == wanted,
        // Entra writes booleans as words.
        (Value::Bool(found), Value::String(wanted)) => {
            operator == Operator::Eq && wanted.eq_ignore_ascii_case(if *found { "true" } else { "false" })
        }
        (Value::Number(found), Value::Number(wanted)) => match (found.as_f64(), wanted.as_f64()) {
            (Some(found), Some(wanted)) => ordered(found.partial_cmp(&wanted), operator),
            _ => false,
        },
        _ => false,
    }
}

fn texts(found: &str, operator: Operator, wanted: &str) -> bool {
    match operator {
        Operator::Co => found.contains(wanted),
        Operator::Sw => found.starts_with(wanted),
        Operator::Ew => found.ends_with(wanted),
        operator => {
            // Times may be written with another precision.
            let times = found.parse::<Timestamp>().ok().zip(wanted.parse::<Timestamp>().ok());
            let order = times.map_or_else(|| found.cmp(wanted), |(found, wanted)| found.cmp(&wanted));
            ordered(Some(order), operator)
        }
    }
}

fn ordered(order: Option<Ordering>, operator: Operator) -> bool {
    let Some(order) = order else { return false };
    match operator {
        Operator::Eq => order.is_eq(),
        Operator::Ne => order.is_ne(),
        Operator::Gt => order.is_gt(),
        Operator::Ge => order.is_ge(),
        Operator::Lt => order.is_lt(),
        Operator::Le => order.is_le(),
        Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}

/// Reads a filter from left to right.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    terms: usize,
}

impl Reader<'_> {
    fn wrong(&self, why: &str) -> ScimError {
        ScimError::invalid_filter(format!("{why} (at position {} of the filter)", self.at + 1))
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    /// Takes a character after spaces.
    fn take(&mut self, wanted: char) -> bool {
        self.spaces();
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    /// Takes a word, if it is the next one.
    fn word(&mut self, wanted: &str) -> bool {
        self.spaces();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let found = rest[..end].eq_ignore_ascii_case(wanted);
        if found {
            self.at += end;
        }
        found
    }

    fn any(&mut self, depth: usize) -> Result<Filter, String> {
        let mut filter = self.all(depth)?;
        while self.word("or") {
            filter = Filter::Or(Box::new(filter), Box::new(self.all(depth)?));
        }
        Ok(filter)
    }

    fn all(&mut self, depth: usize) -> Result<Filter, String> {
        let mut filter = self.term(depth)?;
        while self.word("and") {
            filter = Filter::And(Box::new(filter), Box::new(self.term(depth)?));
        }
        Ok(filter)
    }

    fn term(&mut self, depth: usize) -> Result<Filter, String> {
        self.terms += 1;
        if depth >= DEPTH || self.terms > TERMS {
            return Err(format!("more than {TERMS} comparisons, or more than {DEPTH} levels"));
        }
        if self.take('(') {
            let filter = self.any(depth + 1)?;
            return if self.take(')') { Ok(filter) } else { Err("`)` is missing".to_owned()) };
        }
        let before = self.at;
        if self.word("not") {
            if self.take('(') {
                let filter = self.any(depth + 1)?;
                let closed = self.take(')');
                return if closed { Ok(Filter::Not(Box::new(filter))) } else { Err("`)` is missing".to_owned()) };
            }
            self.at = before;
        }
        let attribute = self.attribute()?;
        if self.take('[') {
            let filter = self.any(depth + 1)?;
            if !self.take(']') {
                return Err("`]` is missing".to_owned());
            }
            return Ok(Filter::Element(attribute, Box::new(self.part_of_element(filter)?)));
        }
        if self.word("pr") {
            return Ok(Filter::Present(attribute));
        }
        let operator = self.operator()?;
        Ok(Filter::Compare(attribute, operator, self.value()?))
    }

    /// `.value eq "x"` behind `emails[type eq "work"]`, as Entra asks for a user by address.
    fn part_of_element(&mut self, filter: Filter) -> Result<Filter, String> {
        if !self.rest().starts_with('.') {
            return Ok(filter);
        }
        self.at += 1;
        let attribute = self.attribute()?;
        let operator = self.operator()?;
        let part = Filter::Compare(attribute, operator, self.value()?);
        Ok(Filter::And(Box::new(filter), Box::new(part)))
    }

    fn attribute(&mut self) -> Result<Attribute, String> {
        self.spaces();
        let rest = self.rest();
        let end = rest.find([' ', '\t', '[', ']', '(', ')', '"']).unwrap_or(rest.len());
        let attribute = Attribute::parse(&rest[..end])?;
        self.at += end;
        Ok(attribute)
    }

    fn operator(&mut self) -> Result<Operator, String> {
        use Operator::{Co, Eq, Ew, Ge, Gt, Le, Lt, Ne, Sw};
        let names = [
            ("eq", Eq),
            ("ne", Ne),
            ("co", Co),
            ("sw", Sw),
            ("ew", Ew),
            ("gt", Gt),
            ("ge", Ge),
            ("lt", Lt),
            ("le", Le),
        ];
        let found = names.into_iter().find(|(name, _)| self.word(name));
        found
            .map(|(_, operator)| operator)
            .ok_or_else(|| "an operator is missing: eq, ne, co, sw, ew, gt, ge, lt, le or pr".to_owned())
    }

    /// A value as in JSON (RFC 7644: `compValue`). Entra writes `True`.
    fn value(&mut self) -> Result<Value, String> {
        for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)] {
            if self.word(word) {
                return Ok(value);
            }
        }
        self.spaces();
        let mut values = serde_json::Deserializer::from_str(self.rest()).into_iter::<Value>();
        match values.next() {
            Some(Ok(value @ (Value::String(_) | Value::Number(_)))) => {
                self.at += values.byte_offset();
                Ok(value)
            }
            _ => Err("a value is missing: a text in double quotes, a number, true, false or null".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
