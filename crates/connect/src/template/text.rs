//! Cutting and escaping text without breaking it.

/// What marks a cut.
const ELLIPSIS: &str = "…";

/// `text` cut to at most `limit` bytes on a character boundary; a cut ends with `…` where that fits.
#[must_use]
pub fn truncate_bytes(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    match limit.checked_sub(ELLIPSIS.len()) {
        Some(room) => format!("{}{ELLIPSIS}", &text[..text.floor_char_boundary(room)]),
        None => text[..text.floor_char_boundary(limit)].to_owned(),
    }
}

/// `text` cut to at most `limit` UTF-16 units, the strictest way to count characters.
#[must_use]
pub fn truncate_utf16(text: &str, limit: usize) -> String {
    let end = utf16_boundary(text, limit);
    if end == text.len() {
        return text.to_owned();
    }
    let kept = &text[..utf16_boundary(text, limit.saturating_sub(1))];
    format!("{kept}{ELLIPSIS}")
}

/// The largest byte index whose prefix has at most `limit` UTF-16 units.
fn utf16_boundary(text: &str, limit: usize) -> usize {
    let mut units = 0;
    for (index, character) in text.char_indices() {
        units += character.len_utf16();
        if units > limit {
            return index;
        }
    }
    text.len()
}

/// Escapes `&`, `<` and `>`, the only characters that Slack's `mrkdwn` reserves; a mention in a log line
/// (`<!channel>`) notifies nobody.
#[must_use]
pub fn slack_escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Escaped `mrkdwn` cut to at most `limit` UTF-16 units, never inside an entity or a link, code blocks closed.
#[must_use]
pub fn truncate_mrkdwn(text: &str, limit: usize) -> String {
    const FENCE: &str = "```";
    if utf16_boundary(text, limit) == text.len() {
        return text.to_owned();
    }
    // Room for `…`, a line break and a closing fence.
    let mut kept = &text[..utf16_boundary(text, limit.saturating_sub(1 + 1 + FENCE.len()))];
    for (open, close) in [('<', '>'), ('&', ';')] {
        if let Some(start) = kept.rfind(open)
            && !kept[start..].contains(close)
        {
            kept = &kept[..start];
        }
    }
    // A fence cut in half would open a block of its own kind.
    kept = kept.trim_end_matches('`');
    if kept.matches(FENCE).count() % 2 == 1 {
        return format!("{kept}{ELLIPSIS}\n{FENCE}");
    }
    format!("{kept}{ELLIPSIS}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cuts_stand_on_boundaries() {
        assert_eq!(truncate_bytes("abc", 3), "abc");
        assert_eq!(truncate_bytes("abcdef", 5), "ab…");
        assert_eq!(truncate_bytes("äöüäöü", 7), "äö…");
        assert_eq!(truncate_bytes("abc", 2), "ab");
        assert_eq!(truncate_utf16("a😀b", 4), "a😀b");
        assert_eq!(truncate_utf16("a😀bc", 3), "a…");
    }

    #[test]
    fn markup_is_cut_before_an_open_entity_or_link_and_fences_are_closed() {
        assert_eq!(truncate_mrkdwn("&amp;&amp;&amp;", 13), "&amp;…");
        assert_eq!(truncate_mrkdwn("see <https://x.example|the log>", 20), "see …");
        assert_eq!(truncate_mrkdwn("```long text in a block```", 20), "```long text in…\n```");
    }

    proptest! {
        #[test]
        fn a_cut_never_exceeds_its_limit(text in "[&<>`a😀\n;]{0,80}", limit in 10_usize..60) {
            prop_assert!(truncate_bytes(&text, limit).len() <= limit);
            prop_assert!(truncate_utf16(&text, limit).encode_utf16().count() <= limit);
            let escaped = slack_escape(&text);
            let cut = truncate_mrkdwn(&escaped, limit);
            prop_assert!(cut.encode_utf16().count() <= limit);
            let entities = cut.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            prop_assert!(!entities.contains('&'), "{cut}");
        }
    }
}
