//! A question in Cedar's words: principal, action, resource, context and the entities they need.
//!
//! Invariant: of each part there is what [`Reads`] names and no more, as making Cedar's values costs more than deciding.

use crate::reads::{Part, Reads};
use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression};
use jiff::Zoned;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use trackside_identity::directory::{Identity, Kind};
use trackside_identity::question::{self, Question, Resource, ResourceKind};
use trackside_identity::rights::Scope;

/// The names of Cedar's types, parsed once.
struct Types {
    caller: EntityTypeName,
    role: EntityTypeName,
    team: EntityTypeName,
    name: EntityTypeName,
    action: EntityTypeName,
    input: EntityTypeName,
    route: EntityTypeName,
    job: EntityTypeName,
    connection: EntityTypeName,
    incident: EntityTypeName,
    server: EntityTypeName,
}

static TYPES: LazyLock<Option<Types>> = LazyLock::new(|| {
    let named = |name: &str| name.parse::<EntityTypeName>().ok();
    Some(Types {
        caller: named("Caller")?,
        role: named("Role")?,
        team: named("Team")?,
        name: named("Name")?,
        action: named("Action")?,
        input: named("Input")?,
        route: named("Route")?,
        job: named("Job")?,
        connection: named("Connection")?,
        incident: named("Incident")?,
        server: named("Server")?,
    })
});

/// Cedar's name of a kind of resource.
pub(crate) fn type_of(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Route => "Route",
        ResourceKind::Job => "Job",
        ResourceKind::Connection => "Connection",
        ResourceKind::Incident => "Incident",
        ResourceKind::Server => "Server",
    }
}

/// Something that callers and resources can be in: type and id.
pub(crate) type Group = (String, String);

/// The groups a caller is in, as (type, id).
pub(crate) fn groups(who: &Identity) -> impl Iterator<Item = (&'static str, String)> + '_ {
    let roles = who.rights.iter().flat_map(|(role, scope)| match scope {
        Scope::Everywhere => vec![role.to_string()],
        Scope::Teams(teams) => teams.iter().map(|team| format!("{role}:{team}")).collect(),
    });
    roles
        .map(|role| ("Role", role))
        .chain(who.teams.iter().map(|team| ("Team", team.clone())))
        .chain(who.names.iter().map(|name| ("Name", name.clone())))
}

/// The question as Cedar takes it.
///
/// # Errors
/// When a value cannot be expressed, for people.
pub(crate) fn request(question: &Question<'_>, reads: &Reads) -> Result<(Request, Entities), String> {
    let types = TYPES.as_ref().ok_or("the names of the schema cannot be read")?;
    let principal = uid(&types.caller, &question.who.caller.subject);
    let resource = uid(types.of(question.resource.kind), question.resource.name);
    let input = uid(&types.input, "input");
    let mut entities =
        vec![caller(types, &principal, question.who, reads)?, thing(types, &resource, question.resource, reads)?];
    if reads.context.has("input") {
        entities.push(tagged(&input, question.context)?);
    }
    let entities = Entities::from_entities(entities, None).map_err(|error| error.to_string())?;
    let context = circumstances(question.context, &input, &reads.context)?;
    let request = Request::new(principal, uid(&types.action, question.action), resource, context, None);
    Ok((request.map_err(|error| error.to_string())?, entities))
}

impl Types {
    fn of(&self, kind: ResourceKind) -> &EntityTypeName {
        match kind {
            ResourceKind::Route => &self.route,
            ResourceKind::Job => &self.job,
            ResourceKind::Connection => &self.connection,
            ResourceKind::Incident => &self.incident,
            ResourceKind::Server => &self.server,
        }
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn texts(values: &[String]) -> RestrictedExpression {
    RestrictedExpression::new_set(values.iter().map(|value| text(value)))
}

fn caller(types: &Types, uid_of: &EntityUid, who: &Identity, reads: &Reads) -> Result<Entity, String> {
    let parents: HashSet<EntityUid> = groups(who)
        .filter(|(kind, id)| reads.groups.has(&(kind.to_string(), id.clone())))
        .map(|(kind, id)| match kind {
            "Role" => uid(&types.role, &id),
            "Team" => uid(&types.team, &id),
            _ => uid(&types.name, &id),
        })
        .collect();
    let kind = match who.kind {
        Kind::Person => "person",
        Kind::Service => "service",
    };
    let mut attributes = HashMap::new();
    let mut put = |name: &str, value: &dyn Fn() -> RestrictedExpression| {
        if reads.caller.has(name) {
            attributes.insert(name.to_owned(), value());
        }
    };
    put("subject", &|| text(&who.caller.subject));
    put("kind", &|| text(kind));
    put("via", &|| text(&who.caller.via));
    put("behalf", &|| texts(&who.caller.behalf));
    if let Some(issuer) = &who.issuer {
        put("issuer", &|| text(issuer));
    }
    let read = who.attributes.iter().filter(|(name, _)| reads.tags.has(name.as_str()));
    let tags = read.map(|(name, value)| (name.clone(), text(value)));
    Entity::new_with_tags(uid_of.clone(), attributes, parents, tags).map_err(|error| error.to_string())
}

fn thing(types: &Types, uid_of: &EntityUid, resource: Resource<'_>, reads: &Reads) -> Result<Entity, String> {
    let team = resource.team.filter(|team| reads.groups.has(&("Team".to_owned(), (*team).to_owned())));
    let parents = team.map(|team| uid(&types.team, team)).into_iter().collect();
    let name = reads.resource.has("name").then(|| ("name".to_owned(), text(resource.name)));
    Entity::new(uid_of.clone(), name.into_iter().collect(), parents).map_err(|error| error.to_string())
}

fn tagged(uid_of: &EntityUid, context: &question::Context) -> Result<Entity, String> {
    let tags = context.input.iter().map(|(name, value)| (name.clone(), text(value)));
    Entity::new_with_tags(uid_of.clone(), [], [], tags).map_err(|error| error.to_string())
}

fn circumstances(context: &question::Context, input: &EntityUid, reads: &Part<String>) -> Result<Context, String> {
    let local = context.at.to_zoned(TimeZone::UTC);
    let mut pairs = Vec::new();
    let mut put = |name: &str, value: &dyn Fn() -> Option<RestrictedExpression>| {
        if reads.has(name) {
            pairs.extend(value().map(|value| (name.to_owned(), value)));
        }
    };
    // Cedar's datetime has milliseconds and this one form (RFC 80 of its language).
    put("at", &|| Some(RestrictedExpression::new_datetime(local.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())));
    put("hour", &|| Some(RestrictedExpression::new_long(i64::from(local.hour()))));
    put("weekday", &|| Some(text(weekday(&local))));
    put("approved", &|| Some(RestrictedExpression::new_bool(context.approved)));
    put("approvers", &|| Some(texts(&context.approvers)));
    put("input", &|| Some(RestrictedExpression::new_entity_uid(input.clone())));
    put("method", &|| context.method.as_deref().map(text));
    put("path", &|| context.path.as_deref().map(text));
    put("severity", &|| context.severity.as_deref().map(text));
    put("client", &|| context.client.map(|client| RestrictedExpression::new_ip(client.to_string())));
    Context::from_pairs(pairs).map_err(|error| error.to_string())
}

fn weekday(local: &Zoned) -> &'static str {
    match local.weekday() {
        Weekday::Monday => "monday",
        Weekday::Tuesday => "tuesday",
        Weekday::Wednesday => "wednesday",
        Weekday::Thursday => "thursday",
        Weekday::Friday => "friday",
        Weekday::Saturday => "saturday",
        Weekday::Sunday => "sunday",
    }
}
