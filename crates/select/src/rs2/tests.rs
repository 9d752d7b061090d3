use super::rounds::draw;
use super::*;
use proptest::prelude::*;
use quadrat_core::stats::{chi_square_tail, mean, standard_deviation};
use std::collections::HashSet;

fn rounds(n: usize, draw: RoundDraw, classes: Option<&[u32]>, seed: u64) -> Rounds {
    Rounds::new(n, draw, classes, Seed(seed)).unwrap()
}

proptest! {
    /// Every row is drawn k times before any is drawn k + 1 times, up to the rows a round holds back when it runs
    /// into the next permutation; rounds never repeat a row and may differ in size.
    #[test]
    fn without_replacement_no_row_gets_ahead(n in 1_usize..40, sizes in prop::collection::vec(1_usize..40, 1..30), seed: u64) {
        let mut rounds = rounds(n, RoundDraw::WithoutReplacement, None, seed);
        let mut counts = vec![0_usize; n];
        for m in sizes.into_iter().map(|m| m.min(n)) {
            let drawn = rounds.ask(m).unwrap();
            prop_assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), m);
            drawn.iter().for_each(|row| counts[*row] += 1);
            let (low, high) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            prop_assert!(high - low <= 1, "{:?}", counts);
        }
    }

    #[test]
    fn a_resumed_stream_goes_on(n in 1_usize..40, m in 1_usize..40, before in 0_usize..12, draw in 0_usize..4, seed: u64) {
        let classes: Vec<u32> = (0..n).map(|row| (row * row % 3.min(n)) as u32).collect();
        let (m, mut whole) = (m.min(n), match RoundDraw::CHOICES[draw].value {
            RoundDraw::Weighted => Rounds::weighted(&shares(&vec![3.0; n]).unwrap(), Seed(seed)).unwrap(),
            draw => rounds(n, draw, Some(&classes), seed),
        });
        for _ in 0..before {
            whole.ask(m).unwrap();
        }
        let saved = serde_json::to_string(whole.state()).unwrap();
        let mut resumed = Rounds::resume(serde_json::from_str(&saved).unwrap()).unwrap();
        for _ in 0..5 {
            prop_assert_eq!(resumed.ask(m).unwrap(), whole.ask(m).unwrap());
        }
    }

    /// Rounding never owes a class a whole row, so its count over k rounds is within one row of its share.
    #[test]
    fn a_stratified_stream_pays_every_class_its_share(sizes in prop::collection::vec(1_usize..30, 1..6), share in 0.01..1.0_f64, seed: u64) {
        let classes: Vec<u32> = sizes.iter().enumerate().flat_map(|(class, size)| vec![class as u32; *size]).collect();
        let n = classes.len();
        let m = ((share * n as f64).round() as usize).clamp(1, n);
        let mut rounds = rounds(n, RoundDraw::Stratified, Some(&classes), seed);
        let mut counts = vec![0_usize; sizes.len()];
        for round in 1..=20 {
            let drawn = rounds.ask(m).unwrap();
            prop_assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), m);
            drawn.iter().for_each(|row| counts[classes[*row] as usize] += 1);
            for (count, size) in counts.iter().zip(&sizes) {
                let due = (round * m * size) as f64 / n as f64;
                prop_assert!((*count as f64 - due).abs() <= 1.0 + 1e-6, "{} {}", count, due);
            }
        }
    }
}

#[test]
fn whole_shares_are_met_exactly() {
    let classes: Vec<u32> = (0..100).map(|row| u32::from(row >= 20) + u32::from(row >= 50)).collect();
    let mut rounds = rounds(100, RoundDraw::Stratified, Some(&classes), 4);
    for _ in 0..10 {
        let drawn = rounds.ask(10).unwrap();
        let count = |class| drawn.iter().filter(|row| classes[**row] == class).count();
        assert_eq!([count(0), count(1), count(2)], [2, 3, 5]);
    }
}

/// Ten equal classes, three rows a round: every class is as likely in each of the first three rounds (Pearson over
/// 3,000 seeds, level 1e-6, 3 of 10 without replacement).
#[test]
fn below_a_row_a_class_chance_decides_which_come_first() {
    let classes: Vec<u32> = (0..100).map(|row| row / 10).collect();
    let mut counts = [[0.0_f64; 10]; 3];
    for seed in 0..3000 {
        let mut rounds = rounds(100, RoundDraw::Stratified, Some(&classes), seed);
        for counts in &mut counts {
            rounds.ask(3).unwrap().iter().for_each(|row| counts[row / 10] += 1.0);
        }
    }
    for counts in counts {
        let variance = 3000.0 * 0.3 * 0.7 * 10.0 / 9.0;
        let statistic: f64 = counts.iter().map(|c| (c - 900.0).powi(2) / variance).sum();
        assert!(chi_square_tail(statistic, 9.0) > 1e-6, "{counts:?}");
    }
}

#[test]
fn rounds_laid_end_to_end_are_random_reshuffling() {
    let mut rounds = rounds(60, RoundDraw::WithoutReplacement, None, 9);
    for epoch in 0..3 {
        let mut shuffled: Vec<usize> = (0..60).collect();
        Seed(9).stream("rs2 permutation").rng(epoch).shuffle(&mut shuffled);
        let laid: Vec<usize> = (0..4).flat_map(|_| rounds.ask(15).unwrap()).collect();
        assert_eq!(laid, shuffled);
    }
}

/// Distinct rows after k independent rounds number n (1 - (1 - m/n)^k) on average: the mean of 200 runs lies within
/// four standard errors (one false alarm in about 16,000 seeds).
#[test]
fn independent_rounds_cover_as_many_rows_as_they_should() {
    let (n, m, k) = (50, 5, 8);
    let distinct: Vec<f64> = (0..200)
        .map(|seed| {
            let mut rounds = rounds(n, RoundDraw::WithReplacement, None, seed);
            (0..k).flat_map(|_| rounds.ask(m).unwrap()).collect::<HashSet<_>>().len() as f64
        })
        .collect();
    let expected = n as f64 * (1.0 - (1.0 - m as f64 / n as f64).powi(k));
    let se = standard_deviation(&distinct) / 200_f64.sqrt();
    assert!((mean(&distinct) - expected).abs() < 4.0 * se, "{} {expected} {se}", mean(&distinct));
}

/// Every row is equally likely in every draw: chi-square over 20,000 rounds, with n - 1 degrees of freedom times
/// (1 - m/n) / (1 - 1/n) for draws without replacement within a round; false alarm below 1e-4 a draw.
#[test]
fn rows_are_equally_likely() {
    let (n, m, k) = (30, 7, 20_000);
    let classes = vec![0; n];
    for draw in [RoundDraw::WithReplacement, RoundDraw::Stratified] {
        let mut counts = vec![0.0; n];
        let mut rounds = rounds(n, draw, Some(&classes), 3);
        for _ in 0..k {
            rounds.next_round(m).unwrap().iter().for_each(|row| counts[*row as usize] += 1.0);
        }
        let share = m as f64 / n as f64;
        let variance = k as f64 * share * (1.0 - share) * n as f64 / (n as f64 - 1.0);
        let chi: f64 = counts.iter().map(|c| (c - k as f64 * share).powi(2) / variance).sum();
        assert!(chi_square_tail(chi, n as f64 - 1.0) > 1e-4, "{draw:?} {chi}");
    }
}

/// The first row of a weighted round is row i with probability p_i, and later rows never repeat it: chi-square with
/// 3 degrees of freedom over 20,000 rounds, false alarm 1e-4.
#[test]
fn a_weighted_round_follows_its_probabilities() {
    let probabilities = shares(&[1.0, 0.0, 2.0, 3.0, 4.0]).unwrap();
    let mut rounds = Rounds::weighted(&probabilities, Seed(8)).unwrap();
    let mut first = [0.0; 5];
    for _ in 0..20_000 {
        let rows = rounds.next_round(3).unwrap();
        assert!(rows[0] != rows[1] && rows[1] != rows[2] && rows[0] != rows[2] && !rows.contains(&1));
        first[rows[0] as usize] += 1.0;
    }
    let chi: f64 = [0, 2, 3, 4]
        .map(|i| (first[i] - 20_000.0 * probabilities[i]).powi(2) / 20_000.0 / probabilities[i])
        .iter()
        .sum();
    assert!(chi_square_tail(chi, 3.0) > 1e-4, "{chi}");
    let error = rounds.next_round(5).unwrap_err().to_string();
    assert!(error.contains("only 4 rows"), "{error}");
    assert_eq!(shares(&[f64::MAX, f64::MAX]).unwrap(), [0.5, 0.5]);
}

#[test]
fn draws_are_uniform_among_ordered_subsets() {
    // A chi-square test at a false-alarm rate of 1e-4 over the 60 ordered triples of five.
    let (mut taken, mut drawn, mut counts) = (Vec::new(), Vec::new(), [0.0; 125]);
    for i in 0..60_000 {
        drawn.clear();
        draw(5, 3, &mut Seed(1).rng(i), &mut taken, &mut drawn);
        counts[drawn.iter().fold(0, |at, row| 5 * at + *row as usize)] += 1.0;
    }
    let met: Vec<f64> = counts.into_iter().filter(|count| *count > 0.0).collect();
    assert_eq!(met.len(), 60);
    let chi: f64 = met.iter().map(|count| (count - 1000.0) * (count - 1000.0) / 1000.0).sum();
    assert!(chi_square_tail(chi, 59.0) > 1e-4, "{chi}");
    for n in [1, 63, 64, 65, 1000] {
        drawn.clear();
        draw(n, n, &mut Seed(2).rng(0), &mut taken, &mut drawn);
        drawn.sort_unstable();
        assert!(drawn.iter().copied().eq(0..n as u32) && taken.iter().all(|word| *word == 0));
    }
}

#[test]
fn a_schedule_spans_the_steps_taken() {
    assert_eq!((iterations(3, 10, 4, false), iterations(3, 10, 4, true), iterations(3, 2, 4, true)), (9, 6, 0));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let message = |result: Result<Rounds>| result.unwrap_err().to_string();
    assert!(message(Rounds::new(0, RoundDraw::WithoutReplacement, None, Seed(0))).contains("rows"));
    assert!(message(Rounds::new(5, RoundDraw::Stratified, None, Seed(0))).contains("classes"));
    assert!(message(Rounds::new(5, RoundDraw::Stratified, Some(&[0, 1]), Seed(0))).contains("5 rows"));
    assert!(message(Rounds::new(2, RoundDraw::Stratified, Some(&[0, 7]), Seed(0))).contains("number the classes"));
    assert!(message(Rounds::new(2, RoundDraw::Weighted, None, Seed(0))).contains("probabilities"));
    for bad in [&[0.5, 0.4][..], &[1.5, -0.5], &[f64::NAN, 1.0], &[]] {
        assert!(Rounds::weighted(bad, Seed(0)).is_err());
    }
    for bad in [&[0.0, 0.0][..], &[1.0, -1.0], &[f64::INFINITY, 1.0]] {
        assert!(shares(bad).is_err());
    }
    let mut rounds = rounds(5, RoundDraw::WithoutReplacement, None, 0);
    assert!(rounds.ask(0).is_err() && rounds.ask(6).is_err() && rounds.tell(&[1], &[]).is_err());
    let damaged = RoundsState { permutation: (0, 6), ..rounds.state().clone() };
    assert!(Rounds::resume(damaged).is_err());
}
