//! A question in Cedar's words: principal, action, resource, context and the entities they need.

use cedar_policy::{Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression};
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
pub(crate) fn request(question: &Question<'_>) -> Result<(Request, Entities), String> {
    let types = TYPES.as_ref().ok_or("the names of the schema cannot be read")?;
    let principal = uid(&types.caller, &question.who.caller.subject);
    let resource = uid(types.of(question.resource.kind), question.resource.name);
    let input = uid(&types.input, "input");
    let entities = [
        caller(types, &principal, question.who)?,
        thing(types, &resource, question.resource)?,
        tagged(&input, question.context)?,
    ];
    let entities = Entities::from_entities(entities, None).map_err(|error| error.to_string())?;
    let context = circumstances(question.context, input)?;
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

fn caller(types: &Types, uid_of: &EntityUid, who: &Identity) -> Result<Entity, String> {
    let parents: HashSet<EntityUid> = groups(who)
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
    let mut attributes = HashMap::from([
        ("subject".to_owned(), text(&who.caller.subject)),
        ("kind".to_owned(), text(kind)),
        ("via".to_owned(), text(&who.caller.via)),
        ("behalf".to_owned(), texts(&who.caller.behalf)),
    ]);
    if let Some(issuer) = &who.issuer {
        attributes.insert("issuer".to_owned(), text(issuer));
    }
    let tags = who.attributes.iter().map(|(name, value)| (name.clone(), text(value)));
    Entity::new_with_tags(uid_of.clone(), attributes, parents, tags).map_err(|error| error.to_string())
}

fn thing(types: &Types, uid_of: &EntityUid, resource: Resource<'_>) -> Result<Entity, String> {
    let parents = resource.team.map(|team| uid(&types.team, team)).into_iter().collect();
    let attributes = HashMap::from([("name".to_owned(), text(resource.name))]);
    Entity::new(uid_of.clone(), attributes, parents).map_err(|error| error.to_string())
}

fn tagged(uid_of: &EntityUid, context: &question::Context) -> Result<Entity, String> {
    let tags = context.input.iter().map(|(name, value)| (name.clone(), text(value)));
    Entity::new_with_tags(uid_of.clone(), [], [], tags).map_err(|error| error.to_string())
}

fn circumstances(context: &question::Context, input: EntityUid) -> Result<Context, String> {
    let local = context.at.to_zoned(TimeZone::UTC);
    let weekday = match local.weekday() {
        jiff::civil::Weekday::Monday => "monday",
        jiff::civil::Weekday::Tuesday => "tuesday",
        jiff::civil::Weekday::Wednesday => "wednesday",
        jiff::civil::Weekday::Thursday => "thursday",
        jiff::civil::Weekday::Friday => "friday",
        jiff::civil::Weekday::Saturday => "saturday",
        jiff::civil::Weekday::Sunday => "sunday",
    };
    // Cedar's datetime has milliseconds and this one form (RFC 80 of its language).
    let at = local.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    let mut pairs = vec![
        ("at".to_owned(), RestrictedExpression::new_datetime(at)),
        ("hour".to_owned(), RestrictedExpression::new_long(i64::from(local.hour()))),
        ("weekday".to_owned(), text(weekday)),
        ("approved".to_owned(), RestrictedExpression::new_bool(context.approved)),
        ("approvers".to_owned(), texts(&context.approvers)),
        ("input".to_owned(), RestrictedExpression::new_entity_uid(input)),
    ];
    let optional = [("method", &context.method), ("path", &context.path), ("severity", &context.severity)];
    pairs.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), text(value.as_deref()?)))));
    if let Some(client) = context.client {
        pairs.push(("client".to_owned(), RestrictedExpression::new_ip(client.to_string())));
    }
    Context::from_pairs(pairs).map_err(|error| error.to_string())
}
