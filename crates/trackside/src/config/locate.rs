//! YAML with places: a tree that knows the line and column of every key and value.
//!
//! The typed sections are read from this tree, so a mistake anywhere (wrong type, unknown key, a glob that does not
//! compile) is found again by its path. Aliases and merge keys are resolved by the YAML reader.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// A line and column, from 1; zeros when unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// A document with the places of its values.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    root: Spanned<Node>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Tree {
    /// Reads a document. An empty one is an empty map.
    pub(super) fn parse(text: &str) -> Result<Self, (Place, String)> {
        // YAML 1.2 booleans only: a team called `no` or `y` is a name.
        let options = serde_saphyr::options! { strict_booleans: true };
        serde_saphyr::from_str_with_options::<Spanned<Node>>(text, options).map(|root| Self { root }).map_err(|error| {
            let place = error.location().map(Place::from).unwrap_or_default();
            let message = error.without_snippet().to_string();
            (place, message.lines().next().unwrap_or_default().to_owned())
        })
    }

    /// The values alone.
    pub(super) fn to_json(&self) -> Value {
        match json(&self.root.value) {
            Value::Null => Value::Object(Map::new()),
            value => value,
        }
    }

    /// The place of the value at a path such as `rules[2].match.pipeline`; of the nearest parent when it is not there.
    pub(super) fn place(&self, path: &str) -> Place {
        self.walk(path).1
    }

    /// The place to blame for a message about a path: the unknown key itself when the message names one.
    pub(super) fn blame(&self, path: &str, problem: &str) -> Place {
        let (node, place) = self.walk(path);
        let named = quoted(problem, "unknown field `").or_else(|| quoted(problem, "unknown variant `"));
        let key = named.and_then(|name| match node {
            Node::Map(entries) => entries.iter().find(|(key, _)| key.value == name),
            Node::Scalar(_) | Node::List(_) => None,
        });
        key.map_or(place, |(key, _)| key.referenced.into())
    }

    fn walk(&self, path: &str) -> (&Node, Place) {
        let mut node = &self.root.value;
        let mut place = Place::from(self.root.referenced);
        for step in steps(path) {
            let next = match (node, &step) {
                (Node::List(items), Step::Index(index)) => items.get(*index).map(|item| (&item.value, item.referenced)),
                (Node::Map(entries), Step::Key(name)) => {
                    entries.iter().find(|(key, _)| key.value == *name).map(|(key, value)| {
                        let at = if matches!(value.value, Node::Scalar(_)) { value.referenced } else { key.referenced };
                        (&value.value, at)
                    })
                }
                _ => None,
            };
            let Some((value, location)) = next else {
                break;
            };
            node = value;
            place = location.into();
        }
        (node, place)
    }
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Splits `a.b[2].c`. Names with dots in them are found up to the dot, which is near enough.
fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split(['.', '[']).filter(|part| !part.is_empty()).map(|part| {
        match part.strip_suffix(']').and_then(|index| index.parse().ok()) {
            Some(index) => Step::Index(index),
            None => Step::Key(part),
        }
    })
}

fn json(node: &Node) -> Value {
    match node {
        Node::Scalar(value) => value.clone(),
        Node::List(items) => Value::Array(items.iter().map(|item| json(&item.value)).collect()),
        Node::Map(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.value.clone(), json(&value.value))).collect())
        }
    }
}

/// "did you mean": the nearest of the names a serde message lists as expected.
pub(super) fn suggestion(problem: &str) -> Option<String> {
    let wrong = quoted(problem, "unknown field `").or_else(|| quoted(problem, "unknown variant `"));
    let wrong = wrong
        .or_else(|| quoted(problem, "there is no team `"))
        .or_else(|| quoted(problem, "there is no connection `"))?;
    let rest = problem.split_once("expected").or_else(|| problem.split_once("declared are"))?.1;
    let names = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).filter(|name| !name.is_empty());
    let nearest = names.map(|name| (distance(wrong, name), name)).min()?;
    (nearest.0 <= 1 + wrong.len() / 4).then(|| format!("did you mean `{}`?", nearest.1))
}

fn quoted<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once('`').map(|(name, _)| name)
}

/// Levenshtein distance over characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Number(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Number(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Value::String(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}
