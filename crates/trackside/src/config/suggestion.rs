//! "Did you mean": what to write instead, as far as a message names what was expected.

use jiff::tz::TimeZoneDatabase;

/// What a message begins with that names something that is not there; what there is follows in the message.
const UNKNOWN: [&str; 8] = [
    "unknown field `",
    "unknown variant `",
    "there is no team `",
    "there is no connection `",
    "there is no person `",
    "there is no schedule `",
    "there is no escalation policy `",
    "there is no calendar `",
];

/// How the message about a zone goes on that does not exist.
const NO_ZONE: &str = "` is not an IANA time zone; write for example Europe/Paris or UTC";

/// "did you mean": the nearest of the names a serde message lists as expected.
pub(super) fn suggestion(problem: &str) -> Option<String> {
    if let Some(zone) = problem.strip_suffix(NO_ZONE).and_then(|text| text.strip_prefix('`')) {
        let zones: Vec<String> = TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
        return nearest(zone, zones.iter().map(String::as_str));
    }
    let wrong = UNKNOWN.iter().find_map(|before| quoted(problem, before))?;
    let rest = problem.split_once("expected").or_else(|| problem.split_once("declared are"))?.1;
    let names = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).filter(|name| !name.is_empty());
    nearest(wrong, names)
}

/// The nearest of these names, when it is near.
pub(super) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let (away, name) = names.into_iter().map(|name| (distance(wrong, name), name)).min()?;
    (away <= 1 + wrong.len() / 4).then(|| format!("did you mean `{name}`?"))
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
