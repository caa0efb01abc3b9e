//! "Did you mean": what to write instead, as far as a message names what was expected.

/// "did you mean": the nearest of the names a serde message lists as expected.
pub(super) fn suggestion(problem: &str) -> Option<String> {
    let wrong = quoted(problem, "unknown field `").or_else(|| quoted(problem, "unknown variant `"));
    let wrong = wrong
        .or_else(|| quoted(problem, "there is no team `"))
        .or_else(|| quoted(problem, "there is no connection `"))?;
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
