//! What people write, YAML or JSON, with places: a tree that knows the line and column of every key and value.
//!
//! Typed values are read from this tree, so a mistake anywhere (wrong type, unknown key, a glob that does not compile)
//! is found again by its path. Pure. Aliases and merge keys are resolved by the YAML reader. The values of a `.json`
//! file are read as JSON: YAML knows neither its surrogate pairs nor tabs.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// A line and column, from 1; zeros when unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// A document with the places of its values.
#[derive(Clone, Debug)]
pub struct Tree {
    value: Value,
    /// Absent only for a JSON document that the YAML reader cannot follow.
    root: Option<Spanned<Node>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Tree {
    /// Reads a YAML document. An empty one is an empty map.
    ///
    /// # Errors
    /// Where it is no YAML, and why.
    pub fn parse(text: &str) -> Result<Self, (Place, String)> {
        let root = spanned(text)?;
        let value = match json(&root.value) {
            Value::Null => Value::Object(Map::new()),
            value => value,
        };
        Ok(Self { value, root: Some(root) })
    }

    /// Reads a JSON document.
    ///
    /// # Errors
    /// Where it is no JSON, and why.
    pub fn parse_json(text: &str) -> Result<Self, (Place, String)> {
        let value = serde_json::from_str(text).map_err(|error| {
            let place = Place { line: error.line() as u64, column: error.column() as u64 };
            let message = error.to_string();
            (place, message.split(" at line ").next().unwrap_or_default().to_owned())
        })?;
        Ok(Self { value, root: spanned(&as_yaml(text)).ok() })
    }

    /// The values alone.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The place of the value at a path such as `rules[2].match.pipeline`; of the nearest parent when it is not there.
    #[must_use]
    pub fn place(&self, path: &str) -> Place {
        self.walk(path).1
    }

    /// The place to blame for a message about a path: the unknown key itself when the message names one.
    #[must_use]
    pub fn blame(&self, path: &str, problem: &str) -> Place {
        let (node, place) = self.walk(path);
        let named = quoted(problem, "unknown field `").or_else(|| quoted(problem, "unknown variant `"));
        let key = named.and_then(|name| match node {
            Some(Node::Map(entries)) => entries.iter().find(|(key, _)| key.value == name),
            Some(Node::Scalar(_) | Node::List(_)) | None => None,
        });
        key.map_or(place, |(key, _)| key.referenced.into())
    }

    fn walk(&self, path: &str) -> (Option<&Node>, Place) {
        let Some(root) = &self.root else { return (None, Place::default()) };
        let (mut node, mut place, mut rest) = (&root.value, Place::from(root.referenced), path);
        while let Some((value, location, after)) = step(node, rest) {
            (node, place, rest) = (value, location.into(), after);
        }
        (Some(node), place)
    }
}

/// One step down `path`, with the rest of it. A key may hold dots itself (`match.prefect.resource.id`): the longest fits.
fn step<'a, 'p>(node: &'a Node, path: &'p str) -> Option<(&'a Node, Location, &'p str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    match node {
        Node::List(items) => {
            let (index, rest) = match path.strip_prefix('[') {
                Some(path) => path.split_once(']')?,
                None => path.split_at(path.find(['.', '[']).unwrap_or(path.len())),
            };
            items.get(index.parse::<usize>().ok()?).map(|item| (&item.value, item.referenced, rest))
        }
        Node::Map(entries) => {
            let fits = |(key, value): &'a (Spanned<String>, Spanned<Node>)| {
                let rest = path.strip_prefix(key.value.as_str())?;
                let whole = !key.value.is_empty() && (rest.is_empty() || rest.starts_with(['.', '[']));
                whole.then_some((key, value, rest))
            };
            let (key, value, rest) = entries.iter().filter_map(fits).min_by_key(|(_, _, rest)| rest.len())?;
            let at = if matches!(value.value, Node::Scalar(_)) { value.referenced } else { key.referenced };
            Some((&value.value, at, rest))
        }
        Node::Scalar(_) => None,
    }
}

fn spanned(text: &str) -> Result<Spanned<Node>, (Place, String)> {
    // YAML 1.2 booleans only: a team called `no` or `y` is a name.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(Place::from).unwrap_or_default();
        let message = error.without_snippet().to_string();
        (place, message.lines().next().unwrap_or_default().to_owned())
    })
}

/// JSON that a YAML reader can follow, with everything in its place: blanks for tabs, plain characters for the
/// escapes of UTF-16.
fn as_yaml(text: &str) -> String {
    let mut yaml = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '\t']) {
        yaml.push_str(&rest[..at]);
        let escape = &rest[at..];
        let length = match escape.as_bytes() {
            [b'\t', ..] => 1,
            [b'\\', b'u', ..] => 6,
            _ => 2,
        };
        match escape.get(..length) {
            Some("\t") => yaml.push(' '),
            Some(long) if length == 6 => yaml.extend(std::iter::repeat_n('x', long.len())),
            Some(short) => yaml.push_str(short),
            None => yaml.push_str(escape),
        }
        rest = escape.get(length..).unwrap_or_default();
    }
    yaml.push_str(rest);
    yaml
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

fn quoted<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once('`').map(|(name, _)| name)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_again() {
        let text = "name: a\ntrigger:\n  expect:\n    - x\n    - y\n  match:\n    prefect.resource.id: z\nactions:\n  - type: send\n";
        let yaml = Tree::parse(text).unwrap();
        for (path, line, column) in [
            ("", 1, 1),
            ("name", 1, 7),
            ("trigger", 2, 1),
            ("trigger.expect.1", 5, 7),
            ("trigger.expect[1]", 5, 7),
            ("trigger.match.prefect.resource.id", 7, 26),
            ("trigger.within", 2, 1),
            ("actions.0.body", 9, 5),
            ("actions.3", 8, 1),
        ] {
            assert_eq!(yaml.place(path), Place { line, column }, "{path}");
        }
        let json = Tree::parse_json("{\n\t\"a\": [\"\\ud83d\\ude00\",\n 1]}").unwrap();
        assert_eq!(json.place("a.1").line, 3);
        assert_eq!(json.value()["a"][0], "\u{1f600}");
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (result, line) in [(Tree::parse("a: 1\nb: ["), 2), (Tree::parse_json("{\n\"a\" 1}"), 2)] {
            assert_eq!(result.map(drop).map_err(|(place, _)| place.line), Err(line));
        }
    }
}
