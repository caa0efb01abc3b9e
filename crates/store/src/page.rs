//! A page of a listing: newest first, continued by position.

/// Most items on one page, whatever was asked for.
pub const PAGE_ITEMS: usize = 500;

/// Most rows looked at for one page when a filter has no index; the page then ends early and says where to go on.
pub const SCAN_ROWS: u64 = 50_000;

/// Items and where the next page begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// Pass as `before` to go on; absent at the end. A page may have few or no items and still go on.
    pub next: Option<u64>,
}

impl<T> Page<T> {
    /// A page from items that were asked for with `limit`.
    pub(crate) fn new(items: Vec<T>, limit: usize, position: impl Fn(&T) -> u64) -> Self {
        let next = if items.len() >= limit { items.last().map(position) } else { None };
        Self { items, next }
    }
}

/// The limit in force: at least 1, at most [`PAGE_ITEMS`].
pub(crate) fn bounded(limit: usize) -> usize {
    limit.clamp(1, PAGE_ITEMS)
}

/// Escapes text for `LIKE … ESCAPE '\'` and puts `%` around it.
pub(crate) fn contains(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
