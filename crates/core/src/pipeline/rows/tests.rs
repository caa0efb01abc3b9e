use super::*;
use proptest::prelude::*;

const DAY: i64 = 86_400;
/// A Monday, midnight in UTC.
const MONDAY: i64 = 1_763_337_600;

fn limits() -> Limits {
    Limits { factor: 4.0, min_history: 8 }
}

/// One count per day from a Monday on; the last is judged.
#[track_caller]
fn check(counts: &[u64], expect: &str) {
    let samples: Vec<RowSample> =
        (0..).zip(counts).map(|(n, rows)| RowSample { second: MONDAY + n * DAY, rows: *rows }).collect();
    let (now, history) = samples.split_last().unwrap();
    let told = match judge(history, *now, &Zone::default(), limits()) {
        Judgement::TooFew { samples } => format!("too few: {samples}"),
        Judgement::ZeroIsUsual { zeros, samples } => format!("zero is usual: {zeros} of {samples}"),
        Judgement::Usual(usual) => format!("usual: {}", words(usual)),
        Judgement::Unusual(usual) => format!("unusual: {}", words(usual)),
    };
    assert_eq!(told, expect);
}

fn words(usual: Usual) -> String {
    let day = usual.weekday.map_or_else(|| "all days".to_owned(), |day| format!("{day:?}"));
    format!("{:.1} +- {:.1} of {} ({day})", usual.median, usual.spread, usual.samples)
}

#[test]
fn a_count_is_compared_with_the_pipelines_own_history() {
    check(&[100, 100, 100, 0], "too few: 3");
    check(&[100, 101, 99, 100, 102, 98, 100, 101, 100], "usual: 100.0 +- 10.0 of 8 (all days)");
    check(&[100, 101, 99, 100, 102, 98, 100, 101, 20], "unusual: 100.0 +- 10.0 of 8 (all days)");
    check(&[100, 101, 99, 100, 102, 98, 100, 101, 500], "unusual: 100.0 +- 10.0 of 8 (all days)");
    // Runs that differ widely have a wide spread.
    check(&[100, 300, 500, 700, 900, 200, 400, 600, 1500], "usual: 450.0 +- 296.5 of 8 (all days)");
    // A wild value of the past changes neither the middle nor the spread.
    check(&[100, 101, 99, 100, 102, 98, 100, 9_000_000, 20], "unusual: 100.0 +- 10.0 of 8 (all days)");
}

#[test]
fn runs_without_rows_are_usual_where_there_are_many() {
    check(&[100, 0, 100, 0, 100, 0, 100, 0, 0], "zero is usual: 4 of 8");
    check(&[0, 0, 0, 0, 0, 0, 0, 0, 50], "too few: 0");
    check(&[100, 100, 100, 100, 100, 100, 100, 100, 0], "unusual: 100.0 +- 10.0 of 8 (all days)");
    let mut with_weekends = [1000, 1000, 1000, 1000, 1000, 0, 0].repeat(2);
    with_weekends.push(990);
    check(&with_weekends, "usual: 1000.0 +- 100.0 of 10 (all days)");
}

#[test]
fn a_weekday_is_judged_by_itself_once_it_has_enough_history() {
    // Sundays write ten times as much.
    let mut weeks = [100, 100, 100, 100, 100, 100, 1000].repeat(8);
    weeks.extend([100, 100, 100, 100, 100, 100, 1010]);
    check(&weeks, "usual: 1000.0 +- 100.0 of 8 (Sunday)");
    *weeks.last_mut().unwrap() = 100;
    check(&weeks, "unusual: 1000.0 +- 100.0 of 8 (Sunday)");
}

#[test]
fn the_weekday_is_that_of_the_zone() {
    let auckland = Zone::new("Pacific/Auckland").unwrap();
    let noon = RowSample { second: MONDAY + DAY / 2, rows: 1 };
    assert_eq!(weekday(noon, &Zone::default()), Some(Weekday::Monday));
    assert_eq!(weekday(noon, &auckland), Some(Weekday::Tuesday));
}

/// The definition, as slowly as it can be written: for every candidate, how many values are on either side.
fn naive_median(values: &[f64]) -> f64 {
    let rank = |n: usize| {
        let is_nth = |candidate: &&f64| {
            let below = values.iter().filter(|value| *value < *candidate).count();
            let upto = values.iter().filter(|value| *value <= *candidate).count();
            below <= n && n < upto
        };
        *values.iter().find(is_nth).unwrap()
    };
    let len = values.len();
    (rank((len - 1) / 2) + rank(len / 2)) / 2.0
}

fn naive(counts: &[u64], rows: u64, limits: Limits) -> &'static str {
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    let floats = |counts: &[u64]| counts.iter().map(|count| *count as f64).collect::<Vec<f64>>();
    let zeros = counts.iter().filter(|count| **count == 0).count();
    let mut counts = counts.to_vec();
    if counts.len() < limits.min_history {
        return "too few";
    }
    if zeros * 4 >= counts.len() {
        if rows == 0 {
            return "usual";
        }
        counts.retain(|count| *count > 0);
        if counts.len() < limits.min_history {
            return "too few";
        }
    }
    let values = floats(&counts);
    let middle = naive_median(&values);
    let away: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let spread = [1.4826 * naive_median(&away), middle / 10.0, 1.0].into_iter().fold(0.0, f64::max);
    let distance = (floats(&[rows])[0] - middle).abs();
    // The oracle's arithmetic may differ in the last bit; what lies on the edge is either.
    let edge = limits.factor * spread;
    if (distance - edge).abs() < 1e-6 * edge {
        return "edge";
    }
    if distance > edge { "unusual" } else { "usual" }
}

proptest! {
    #[test]
    fn judgements_agree_with_the_definition(
        counts in prop::collection::vec(prop_oneof![Just(0_u64), 1_u64..50, 900_u64..1100, 0_u64..10_000_000], 1..40),
        rows in prop_oneof![Just(0_u64), 1_u64..50, 900_u64..1100, 0_u64..10_000_000],
        factor in 1.0_f64..8.0,
        min_history in 1_usize..12,
    ) {
        let limits = Limits { factor, min_history };
        // All on one weekday or all together: the same counts are compared.
        let samples: Vec<RowSample> =
            (0..).zip(&counts).map(|(n, rows)| RowSample { second: MONDAY + n * 7 * DAY, rows: *rows }).collect();
        let judged = judge(&samples, RowSample { second: MONDAY, rows }, &Zone::default(), limits);
        let word = match judged {
            Judgement::TooFew { .. } => "too few",
            Judgement::Usual(_) | Judgement::ZeroIsUsual { .. } => "usual",
            Judgement::Unusual(_) => "unusual",
        };
        let expect = naive(&counts, rows, limits);
        prop_assert!(expect == word || expect == "edge", "{judged:?}, expected {expect}");
    }

    #[test]
    fn one_wild_value_never_makes_the_usual_unusual(wild in any::<u64>(), place in 0_usize..20) {
        let mut counts = vec![1000_u64; 20];
        counts[place] = wild;
        let samples: Vec<RowSample> =
            (0..).zip(&counts).map(|(n, rows)| RowSample { second: MONDAY + n * DAY, rows: *rows }).collect();
        let judged = judge(&samples, RowSample { second: MONDAY, rows: 1000 }, &Zone::default(), limits());
        prop_assert!(matches!(judged, Judgement::Usual(_)), "{judged:?}");
    }
}
