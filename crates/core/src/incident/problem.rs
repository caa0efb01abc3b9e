//! The memory of a problem: outcomes in a row, and what each of them means.
//!
//! Invariants: a pure function of the outcomes so far; only final failures and successes are outcomes (what is retried,
//! skipped or cancelled counts as nothing); a problem that fires goes on until enough successes came in a row, whatever
//! fails in between; a failure that is known to pass by itself is kept quiet only as the first of its streak.

/// How many outcomes in a row change what is thought of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failures before it fires, at least 1.
    pub warn_after: u32,
    /// Failures before it is critical; absent: never by number.
    pub critical_after: Option<u32>,
    /// Successes before it is over, at least 1.
    pub resolve_after: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { warn_after: 1, critical_after: None, resolve_after: 1 }
    }
}

/// Where a problem stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// Failures since the last success.
    pub failures: u32,
    /// Successes since the last failure, counted while it fires.
    pub successes: u32,
    /// Whether people are concerned with it.
    pub stand: Stand,
}

/// Whether people are concerned with a problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stand {
    /// Not enough failures yet.
    #[default]
    Quiet,
    /// Enough failures, not enough successes since.
    Fires,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One that counts.
    Plain,
    /// One that is known to pass by itself.
    Transient,
}

/// What a failure led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// It is kept quiet: it may pass by itself.
    Suppressed,
    /// Not enough in a row yet.
    Counting,
    /// It fires.
    Fires,
    /// It fires, and failed so often that it is critical.
    FiresCritically,
}

/// What a success led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterSuccess {
    /// It still fires: more successes in a row are wanted.
    Healing,
    /// It is over.
    Over,
}

impl Problem {
    /// Another failure.
    pub fn failed(&mut self, thresholds: &Thresholds, kind: Kind) -> AfterFailure {
        self.failures = self.failures.saturating_add(1);
        self.successes = 0;
        if kind == Kind::Transient && self.may_be_suppressed() {
            return AfterFailure::Suppressed;
        }
        let critical = thresholds.critical_after.is_some_and(|after| self.failures >= after);
        if self.stand == Stand::Quiet && !critical && self.failures < thresholds.warn_after {
            return AfterFailure::Counting;
        }
        self.stand = Stand::Fires;
        if critical { AfterFailure::FiresCritically } else { AfterFailure::Fires }
    }

    /// A success.
    pub fn succeeded(&mut self, thresholds: &Thresholds) -> AfterSuccess {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        if self.stand == Stand::Fires && self.successes < thresholds.resolve_after {
            return AfterSuccess::Healing;
        }
        *self = Self::default();
        AfterSuccess::Over
    }

    /// The first failure of a streak that nobody was told of.
    fn may_be_suppressed(self) -> bool {
        self.failures == 1 && self.stand == Stand::Quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `F` a failure, `T` one that may pass by itself, `S` a success; what each led to, one letter each: `.` counting
    /// or nothing, `s` suppressed, `w` fires, `C` fires critically, `h` healing, `o` over.
    #[track_caller]
    fn check(warn_after: u32, critical_after: Option<u32>, resolve_after: u32, outcomes: &str, expect: &str) {
        let thresholds = Thresholds { warn_after, critical_after, resolve_after };
        let mut problem = Problem::default();
        let mut led_to = String::new();
        for outcome in outcomes.chars() {
            let fired = problem.stand == Stand::Fires;
            let kind = if outcome == 'T' { Kind::Transient } else { Kind::Plain };
            led_to.push(match outcome {
                'S' => match problem.succeeded(&thresholds) {
                    AfterSuccess::Healing => 'h',
                    AfterSuccess::Over if fired => 'o',
                    AfterSuccess::Over => '.',
                },
                _ => match problem.failed(&thresholds, kind) {
                    AfterFailure::Suppressed => 's',
                    AfterFailure::Counting => '.',
                    AfterFailure::Fires => 'w',
                    AfterFailure::FiresCritically => 'C',
                },
            });
        }
        assert_eq!(led_to, expect, "{outcomes}");
    }

    #[test]
    fn outcomes_in_a_row_decide() {
        check(1, Some(3), 1, "FFFF", "wwCC");
        check(1, Some(3), 1, "FFSFF", "wwoww");
        check(3, None, 1, "FFSFFFFS", ".....wwo");
        // Critical before warning means critical at once.
        check(3, Some(2), 1, "FFF", ".CC");
        check(2, Some(2), 1, "FFS", ".Co");
    }

    #[test]
    fn a_flapping_problem_is_over_after_successes_in_a_row() {
        check(1, Some(3), 2, "FSFSS", "whwho");
        check(2, Some(3), 2, "FSFFSFFFSS", "...whwwCho");
        check(1, None, 3, "FSSFSSS", "whhwhho");
    }

    #[test]
    fn what_passes_by_itself_is_quiet_once_in_a_streak() {
        check(1, Some(3), 1, "TSTS", "s.s.");
        check(1, Some(3), 1, "TTT", "swC");
        check(1, Some(3), 1, "TFSF", "swow");
        check(1, Some(3), 1, "FTT", "wwC");
        // Nothing is quiet about a problem that people are concerned with.
        check(1, None, 2, "FSTSS", "whwho");
    }
}
