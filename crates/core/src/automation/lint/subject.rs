//! What is known of the events of Prefect and Airflow: what each is about, and what is related to it.
//!
//! Source: `prefect/server/models/events.py`, and our connectors. Invariant: only what always holds is said.

/// What a family of events is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Beginning of the event names and of the resource ids, without the dot.
    pub(super) prefix: &'static str,
    /// Role of such a resource where it is related.
    pub(super) role: &'static str,
    /// In words.
    pub(super) word: &'static str,
    /// What tells apart the pipelines that the events belong to.
    pub(super) for_each: Option<&'static str>,
    itself: Itself,
}

/// Whether a resource of the kind may be among its own relatives.
#[derive(Debug, PartialEq, Eq)]
enum Itself {
    Never,
    Perhaps,
}

const fn kind(
    prefix: &'static str,
    role: &'static str,
    word: &'static str,
    for_each: Option<&'static str>,
    itself: Itself,
) -> Kind {
    Kind { prefix, role, word, for_each, itself }
}

const FLOW: Option<&str> = Some("related:flow:prefect.resource.id");
const DAG: Option<&str> = Some("related:dag:prefect.resource.id");

const KINDS: [Kind; 12] = [
    kind("prefect.flow-run", "flow-run", "flow run", FLOW, Itself::Never),
    kind("prefect.task-run", "task-run", "task run", FLOW, Itself::Perhaps),
    kind("prefect.deployment", "deployment", "deployment", None, Itself::Never),
    kind("prefect.flow", "flow", "flow", None, Itself::Never),
    kind("prefect.work-pool", "work-pool", "work pool", None, Itself::Never),
    kind("prefect.work-queue", "work-queue", "work queue", None, Itself::Never),
    kind("prefect.automation", "automation", "automation", None, Itself::Perhaps),
    kind("prefect.tag", "tag", "tag", None, Itself::Perhaps),
    kind("airflow.dag-run", "dag-run", "DAG run", DAG, Itself::Never),
    kind("airflow.task-run", "task-run", "task run", DAG, Itself::Never),
    kind("airflow.dag", "dag", "DAG", None, Itself::Never),
    kind("airflow.tag", "tag", "tag", None, Itself::Perhaps),
];

impl Kind {
    /// Whether such a resource is never among its own relatives.
    pub(super) fn is_never_related_to_itself(&self) -> bool {
        self.itself == Itself::Never
    }

    /// Whether a name or an id begins with the kind.
    fn begins(&self, text: &str) -> bool {
        text.strip_prefix(self.prefix).is_some_and(|rest| rest.starts_with('.'))
    }
}

/// What all events of these names are about, as far as it is one kind.
pub(super) fn of_names<'a>(names: impl IntoIterator<Item = &'a String>) -> Option<&'static Kind> {
    common(names.into_iter().map(String::as_str))
}

/// What all resources with these ids are, as far as it is one kind.
pub(super) fn of_ids(ids: &[String]) -> Option<&'static Kind> {
    common(ids.iter().map(String::as_str))
}

/// Whether this is the role of a kind that is known.
pub(super) fn is_known_role(role: &str) -> bool {
    KINDS.iter().any(|kind| kind.role == role)
}

fn common<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<&'static Kind> {
    let mut texts = texts.into_iter();
    let first = texts.next()?;
    let kind = KINDS.iter().find(|kind| kind.begins(first))?;
    texts.all(|text| kind.begins(text)).then_some(kind)
}
