//! What changed between two texts, line by line.
//!
//! Pure. A longest common subsequence, after what is the same at both ends was set aside; bounded by [`LINES`], beyond
//! which the middle is shown as removed and added as a whole.

use crate::api::model::LineOut;

/// Lines shown around a change.
const CONTEXT: usize = 3;
/// Most lines of each text that are compared with each other.
const LINES: usize = 2_000;

/// The lines of both texts in order: what is the same, what was removed, what was added. Long stretches that are the
/// same are left out.
pub(crate) fn lines(before: &str, after: &str) -> Vec<LineOut> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let tail = before[head..].iter().rev().zip(after[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&before[head..before.len() - tail], &after[head..after.len() - tail]);
    let mut all: Vec<LineOut> = before[..head].iter().map(|text| line("same", text)).collect();
    all.extend(middle(old, new));
    all.extend(before[before.len() - tail..].iter().map(|text| line("same", text)));
    with_gaps(all)
}

fn middle(old: &[&str], new: &[&str]) -> Vec<LineOut> {
    if old.len() > LINES || new.len() > LINES {
        return old
            .iter()
            .map(|text| line("removed", text))
            .chain(new.iter().map(|text| line("added", text)))
            .collect();
    }
    // `common[i][j]`: the longest common subsequence of `old[i..]` and `new[j..]`.
    let mut common = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] =
                if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(line("same", old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            lines.push(line("removed", old[i]));
            i += 1;
        } else {
            lines.push(line("added", new[j]));
            j += 1;
        }
    }
    lines
}

/// Leaves out what is the same and far from a change.
fn with_gaps(all: Vec<LineOut>) -> Vec<LineOut> {
    let changed: Vec<usize> =
        all.iter().enumerate().filter(|(_, line)| line.change != "same").map(|(index, _)| index).collect();
    let near = |index: usize| {
        let next = changed.partition_point(|changed| *changed < index);
        let close = |at: Option<&usize>| at.is_some_and(|changed| changed.abs_diff(index) <= CONTEXT);
        close(changed.get(next)) || close(next.checked_sub(1).and_then(|before| changed.get(before)))
    };
    let mut shown: Vec<LineOut> = Vec::new();
    for (index, line) in all.into_iter().enumerate() {
        if near(index) {
            shown.push(line);
        } else if shown.last().is_none_or(|last| last.change != "gap") {
            shown.push(LineOut { change: "gap", text: String::new() });
        }
    }
    if changed.is_empty() { Vec::new() } else { shown }
}

fn line(change: &'static str, text: &str) -> LineOut {
    LineOut { change, text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &str, after: &str, expect: &str) {
        let marks = |line: LineOut| match line.change {
            "same" => format!(" {}", line.text),
            "added" => format!("+{}", line.text),
            "removed" => format!("-{}", line.text),
            _ => "~".to_owned(),
        };
        let got: Vec<String> = lines(before, after).into_iter().map(marks).collect();
        assert_eq!(got.join("\n"), expect, "{before:?} {after:?}");
    }

    #[test]
    fn what_changed_is_shown_with_a_few_lines_around_it() {
        check("a\nb", "a\nb", "");
        check("", "a\nb", "+a\n+b");
        check("a\nb", "", "-a\n-b");
        check("a\nb\nc", "a\nx\nc", " a\n-b\n+x\n c");
        check("a\nb\nc\nd", "b\nc\ne\nd", "-a\n b\n c\n+e\n d");
        check("1\n2\n3\n4\n5\n6\n7\n8\n9", "1\n2\n3\n4\n5\n6\n7\n8\nx", "~\n 6\n 7\n 8\n-9\n+x");
        check("1\n2\n3\n4\n5\n6\n7\n8\n9", "a\n2\n3\n4\n5\n6\n7\n8\nb", "-1\n+a\n 2\n 3\n 4\n~\n 6\n 7\n 8\n-9\n+b");
    }
}
