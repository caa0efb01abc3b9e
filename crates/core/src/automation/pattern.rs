//! Patterns on labels and event names, as Prefect reads them.
//!
//! A label pattern is Python's `fnmatch.fnmatchcase` (`*`, `?`, `[abc]`, `[a-c]`, `[!abc]`; case counts; a backslash is
//! only a backslash) with one leading `!` for "not". Event names go through one more filter, [`begins`].
//! Invariants: total, allocates nothing, no backtracking beyond pattern length × text length.

/// What makes a pattern more than the text it is.
pub(super) const WILD: [char; 3] = ['*', '?', '['];

/// Whether a label's value satisfies `pattern`. A missing label satisfies nothing, not even a negation.
#[must_use]
pub fn matches(pattern: &str, value: Option<&str>) -> bool {
    let Some(value) = value else { return false };
    match pattern.strip_prefix('!') {
        Some(pattern) => !glob(pattern, value),
        None => glob(pattern, value),
    }
}

/// Whether `pattern` means only the text it is, so that an index may look it up.
#[must_use]
pub fn is_literal(pattern: &str) -> bool {
    !pattern.starts_with('!') && !pattern.contains(WILD)
}

/// Whether the whole of `text` matches `pattern`, as `fnmatch.fnmatchcase(text, pattern)` of Python says; `!` at the
/// start means itself.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    if !pattern.contains(WILD) {
        return pattern == text;
    }
    let (mut rest, mut left) = (pattern, text);
    // Where to go on when what follows the last star did not fit: pattern after it, text one character further.
    let mut retry: Option<(&str, &str)> = None;
    loop {
        if let Some(after) = rest.strip_prefix('*') {
            retry = Some((after, left));
            rest = after;
            continue;
        }
        if rest.is_empty() && left.is_empty() {
            return true;
        }
        if let Some((pattern, text)) = step(rest, left) {
            (rest, left) = (pattern, text);
            continue;
        }
        let Some((after, from)) = retry else { return false };
        let Some(from) = behind_first(from) else { return false };
        retry = Some((after, from));
        (rest, left) = (after, from);
    }
}

/// One element of the pattern that is no star against one character: what is left of both.
fn step<'p, 't>(pattern: &'p str, text: &'t str) -> Option<(&'p str, &'t str)> {
    let mut elements = pattern.chars();
    let mut characters = text.chars();
    let (element, character) = (elements.next()?, characters.next()?);
    let fits = match element {
        '?' => true,
        '[' => match class(elements.as_str()) {
            Some((class, after)) => {
                elements = after.chars();
                in_class(class, character)
            }
            None => character == '[',
        },
        literal => character == literal,
    };
    fits.then_some((elements.as_str(), characters.as_str()))
}

/// The text without its first character; `None` when it has none.
fn behind_first(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    characters.next()?;
    Some(characters.as_str())
}

/// What stands between `[` and its `]`, and what follows. A `]` that comes first (after `!`) is a member; without an
/// end the `[` means itself.
fn class(after_bracket: &str) -> Option<(&str, &str)> {
    let members = after_bracket.strip_prefix('!').unwrap_or(after_bracket);
    let members = members.strip_prefix(']').unwrap_or(members);
    let end = after_bracket.len() - members.len() + members.find(']')?;
    Some((&after_bracket[..end], &after_bracket[end + 1..]))
}

/// Whether a character is in a class such as `abc`, `a-c` or `!a-c`. A range that runs backwards is empty.
fn in_class(class: &str, character: char) -> bool {
    let (members, negated) = match class.strip_prefix('!') {
        Some(members) => (members, true),
        None => (class, false),
    };
    let mut rest = members.chars();
    let mut found = false;
    while let Some(first) = rest.next() {
        let mut ahead = rest.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) => {
                found |= (first..=last).contains(&character);
                rest = ahead;
            }
            _ => found |= first == character,
        }
    }
    found != negated
}

/// Whether an event's name begins as `pattern` says, where every `*` stands for at least one character that is no line
/// end and everything else for itself. This is the regular expression that Prefect makes of `expect` and `after`; it is
/// asked in addition to [`matches`] and is why `job.failed*` does not take `job.failed`.
#[must_use]
pub fn begins(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut left) = pieces.next().and_then(|first| name.strip_prefix(first)) else { return false };
    for piece in pieces {
        // The nearest place is the best one: there is no end to reach, and a later one only skips more.
        let Some(after_gap) = behind_first(left) else { return false };
        let Some(at) = after_gap.find(piece) else { return false };
        let gap = left.len() - after_gap.len() + at;
        if left[..gap].contains('\n') {
            return false;
        }
        left = &left[gap + piece.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, value: &str, expected: bool) {
        assert_eq!(matches(pattern, Some(value)), expected, "{pattern:?} on {value:?}");
    }

    #[test]
    fn globs_are_those_of_python() {
        for (pattern, value, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**a*", "bba", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "é", true),
            ("?", "", false),
            ("[]x]", "]", true),
            ("[!]x]", "]", false),
            ("[!]x]", "y", true),
            ("[]", "[]", true),
            ("[!]", "[!]", true),
            ("[a-c]", "b", true),
            ("[a-c]", "-", false),
            ("[a-]", "-", true),
            ("[-a]", "-", true),
            ("[c-a]", "b", false),
            ("[c-a]", "c", false),
            ("[!c-a]", "b", true),
            ("[a-c-e]", "d", false),
            ("[a-c-e]", "-", true),
            ("[^a]", "^", true),
            ("[^a]", "b", false),
            ("[!!]", "!", false),
            ("[\\]x", "\\x", true),
            ("*[0-9]", "run 12", true),
            ("!*[0-9]", "run 12", false),
            ("a*", "a\nb", true),
        ] {
            check(pattern, value, expected);
        }
    }

    #[test]
    fn names_begin_with_something_for_every_star() {
        for (pattern, name, expected) in [
            ("job.failed", "job.failed", true),
            ("job.failed", "job.failed.twice", true),
            ("job.*", "job.", false),
            ("job.*", "job.x", true),
            ("job.failed*", "job.failed", false),
            ("*.failed", ".failed", false),
            ("*.failed", "x.failed", true),
            ("*", "\n", false),
            ("a*b", "axx\nb", false),
            ("a*b", "ab-b", true),
            ("**", "x", false),
            ("**", "xy", true),
            ("é*", "éa", true),
        ] {
            assert_eq!(begins(pattern, name), expected, "{pattern:?} on {name:?}");
        }
    }

    #[test]
    fn only_plain_text_is_literal() {
        for (pattern, expected) in
            [("prod", true), ("", true), ("a!b", true), ("!prod", false), ("p*", false), ("[a", false)]
        {
            assert_eq!(is_literal(pattern), expected, "{pattern:?}");
        }
    }
}
