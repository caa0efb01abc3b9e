//! What policies read of a question: no more than that is put into Cedar's words, because putting is what costs.
//!
//! Found in the JSON form of a policy (docs.cedarpolicy.com, "JSON policy format"). Invariant: whatever is not plainly the
//! reading of one attribute counts as the reading of all; a property test compares with questions that have everything.

use crate::entity::Group;
use cedar_policy::Policy;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What may be read of the parts of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Attributes of the caller.
    pub(crate) caller: Part<String>,
    /// Tags of the caller.
    pub(crate) tags: Part<String>,
    /// Attributes of the resource.
    pub(crate) resource: Part<String>,
    /// Attributes of the context.
    pub(crate) context: Part<String>,
    /// What callers and resources are asked to be in.
    pub(crate) groups: Part<Group>,
}

/// How much of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part<T: Ord> {
    /// Whatever there is of it.
    Whole,
    /// No more than these.
    Only(BTreeSet<T>),
}

impl<T: Ord> Part<T> {
    const NOTHING: Self = Self::Only(BTreeSet::new());

    /// Whether this one is read.
    pub(crate) fn has<Q: Ord + ?Sized>(&self, item: &Q) -> bool
    where
        T: std::borrow::Borrow<Q>,
    {
        match self {
            Self::Whole => true,
            Self::Only(items) => items.contains(item),
        }
    }

    fn add(&mut self, item: T) {
        if let Self::Only(items) = self {
            items.insert(item);
        }
    }

    fn join(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Only(items), Self::Only(more)) => items.extend(more),
            (_, Self::Whole) => *self = Self::Whole,
            (Self::Whole, Self::Only(_)) => {}
        }
    }
}

impl Reads {
    pub(crate) const NOTHING: Self = Self {
        caller: Part::NOTHING,
        tags: Part::NOTHING,
        resource: Part::NOTHING,
        context: Part::NOTHING,
        groups: Part::NOTHING,
    };
    #[cfg(test)]
    pub(crate) const EVERYTHING: Self = Self {
        caller: Part::Whole,
        tags: Part::Whole,
        resource: Part::Whole,
        context: Part::Whole,
        groups: Part::Whole,
    };

    /// What one policy reads.
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut reads = Self::NOTHING;
        match policy.to_json() {
            Ok(form) => {
                reads.mentioned(&form);
                reads.expression(form.get("conditions").unwrap_or(&Value::Null));
            }
            // It was parsed and validated, so it has a form; were there none, it reads everything.
            Err(_) => ["principal", "resource", "context", "in"].iter().for_each(|var| reads.whole(var)),
        }
        reads
    }

    /// Adds what another one reads.
    pub(crate) fn join(&mut self, other: Self) {
        self.caller.join(other.caller);
        self.tags.join(other.tags);
        self.resource.join(other.resource);
        self.context.join(other.context);
        self.groups.join(other.groups);
    }

    /// Every entity that is written out, in the scope or in a condition.
    fn mentioned(&mut self, form: &Value) {
        match form {
            Value::Object(members) => {
                if let (2, Some(Value::String(kind)), Some(Value::String(id))) =
                    (members.len(), members.get("type"), members.get("id"))
                {
                    self.groups.add((kind.clone(), id.clone()));
                }
                members.values().for_each(|member| self.mentioned(member));
            }
            Value::Array(items) => items.iter().for_each(|item| self.mentioned(item)),
            _ => {}
        }
    }

    fn expression(&mut self, form: &Value) {
        match form {
            Value::Object(members) => {
                members.iter().for_each(|(operator, operands)| self.operation(operator, operands));
            }
            Value::Array(items) => items.iter().for_each(|item| self.expression(item)),
            _ => {}
        }
    }

    fn operation(&mut self, operator: &str, operands: &Value) {
        if let ("Var", Value::String(var)) = (operator, operands) {
            return self.whole(var);
        }
        let none = Map::new();
        let named = operands.as_object().unwrap_or(&none);
        let subject = named.get("left").and_then(variable);
        match (operator, subject, named.get("attr")) {
            ("." | "has", Some(var), Some(Value::String(name))) => return self.attribute(var, name),
            ("getTag" | "hasTag", Some("principal"), _) => {
                match named.get("right").and_then(|right| right.get("Value")) {
                    Some(Value::String(name)) => self.tags.add(name.clone()),
                    _ => self.tags = Part::Whole,
                }
            }
            // Who it is, and of which type, is known without any of its attributes.
            ("in" | "is" | "==" | "!=", Some("principal" | "resource" | "action"), _) => {}
            _ => return self.expression(operands),
        }
        for (name, operand) in named.iter().filter(|(name, _)| *name != "left") {
            if operator == "in" || name == "in" {
                self.container(operand);
            }
            self.expression(operand);
        }
    }

    /// What something is asked to be in: when that is not written out, it may be any group.
    fn container(&mut self, form: &Value) {
        match form {
            Value::Object(members) if members.contains_key("Var") => self.groups = Part::Whole,
            Value::Object(members) => members.values().for_each(|member| self.container(member)),
            Value::Array(items) => items.iter().for_each(|item| self.container(item)),
            _ => {}
        }
    }

    fn attribute(&mut self, var: &str, name: &str) {
        match var {
            "principal" => self.caller.add(name.to_owned()),
            "resource" => self.resource.add(name.to_owned()),
            "context" => self.context.add(name.to_owned()),
            _ => {}
        }
    }

    fn whole(&mut self, var: &str) {
        match var {
            "principal" => (self.caller, self.tags, self.groups) = (Part::Whole, Part::Whole, Part::Whole),
            "resource" => (self.resource, self.groups) = (Part::Whole, Part::Whole),
            "context" => self.context = Part::Whole,
            _ => self.groups = Part::Whole,
        }
    }
}

/// The variable that an expression is.
fn variable(form: &Value) -> Option<&str> {
    form.get("Var")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scope: &str, condition: &str, expect: &str) {
        let text = format!("permit({scope}) when {{ {condition} }};");
        let policy = Policy::parse(None, &text).expect("a policy");
        let reads = Reads::of(&policy);
        let part = |name: &str, part: &Part<String>| match part {
            Part::Whole => format!(" {name}:*"),
            Part::Only(items) => items.iter().map(|item| format!(" {name}:{item}")).collect(),
        };
        let groups = match &reads.groups {
            Part::Whole => " group:*".to_owned(),
            Part::Only(items) => items.iter().map(|(kind, id)| format!(" group:{kind}:{id}")).collect(),
        };
        let parts = [
            part("caller", &reads.caller),
            part("tag", &reads.tags),
            part("resource", &reads.resource),
            part("context", &reads.context),
            groups,
        ];
        assert_eq!(parts.concat().trim_start(), expect, "{text}");
    }

    #[test]
    fn only_what_is_plainly_one_attribute_is_one() {
        let all = "principal, action, resource";
        check(all, "true", "");
        check(all, "context.hour > 7 && context.weekday != \"sunday\"", "context:hour context:weekday");
        check(all, "context has method && context.method == \"GET\"", "context:method");
        check(all, "context.input.hasTag(\"a\") && context.input.getTag(\"a\") == \"b\"", "context:input");
        check(all, "principal.hasTag(\"a\") && principal.getTag(\"a\") == resource.name", "tag:a resource:name");
        check(all, "principal.hasTag(context.path)", "tag:* context:path");
        check(all, "principal.behalf.contains(\"x\") || principal has issuer", "caller:behalf caller:issuer");
        check(all, "principal in Role::\"admin\"", "group:Role:admin");
        check(all, "principal in [Role::\"admin\", Team::\"a\"]", "group:Role:admin group:Team:a");
        check(all, "principal is Caller in Team::\"a\"", "group:Team:a");
        check(all, "principal in resource", "resource:* group:*");
        check(all, "principal in (if context.approved then Role::\"a\" else Role::\"b\")", "context:approved group:*");
        check(
            all,
            "(if context.approved then principal else principal).via == \"cli\"",
            "caller:* tag:* context:approved group:*",
        );
        check(all, "principal == Caller::\"ana\"", "group:Caller:ana");
        check(all, "context == {hour: 7}", "context:*");
        check("principal in Team::\"a\", action, resource == Route::\"r\"", "true", "group:Route:r group:Team:a");
        check(
            "principal is Caller in Role::\"a\", action in [Action::\"call\"], resource",
            "true",
            "group:Action:call group:Role:a",
        );
    }
}
