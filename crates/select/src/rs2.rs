//! RS2: a fresh random subset for every pass.
//!
//! Okanovic et al., "Repeated Random Sampling for Minimizing the Time-to-Accuracy of Learning", ICLR 2024
//! (arXiv 2305.18424). To train for a fraction r of the usual cost, every round (a shortened epoch) passes over another
//! random subset of m = r n rows, and the schedule of the learning rate is shortened to the steps that are really taken
//! ([`cosine`] over [`iterations`]). That beats most subsets that were chosen with care, and costs nothing to choose.
//!
//! Choices of ours where the paper and its code leave one: when a permutation has fewer rows left than a round needs,
//! the round takes them and is filled up from the next permutation, leaving rows that it already has for the rounds
//! that follow (the official code goes back to the head of the same permutation and is one row short). A stratified
//! round owes each class its exact share; chance decides which classes the first round rounds up, and what rounding keeps
//! back is paid in later rounds, so that no class is always short.

use crate::sensitivity::systematic;
use crate::{AskTell, Cost, Needs, Pool, Selection, Selector};
use quadrat_core::{Area, Card, Choice, Error, Method, Progress, Result, Rng, Seed, Settings, checkpoint};
pub use quadrat_numeric::learners::cosine;
use serde::{Deserialize, Serialize};

/// How the rows of a round are drawn. No draw repeats a row within a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundDraw {
    /// Every row once before any row twice, across rounds. The paper's strongest form.
    WithoutReplacement,
    /// Rounds independent of each other, all subsets alike.
    WithReplacement,
    /// Rounds independent of each other, with each class's share of the rows.
    Stratified,
    /// Rounds independent of each other, rows in proportion to their scores. RS2 around importance sampling: within a
    /// round rows are drawn one after the other without repeats, each in proportion to its probability among those
    /// left.
    Weighted,
}

/// One round as a selector; [`Rounds`] is the stream.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{Pool, Rs2, Selector};
/// let chosen = Rs2::default().select(&Pool::of_rows(100), 10, Seed(1), &Silent)?;
/// assert_eq!(chosen.indices.len(), 10);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct Rs2 {
    /// How the rows of a round are drawn.
    #[param(default = RoundDraw::WithoutReplacement)]
    pub draw: RoundDraw,
}

impl Method for Rs2 {
    const CARD: Card = Card {
        slug: "rs2",
        aliases: &["repeated-random"],
        title: "Repeated random subsets",
        paper: "Okanovic et al., ICLR 2024 (arXiv 2305.18424)",
        area: Area::Select,
        verbs: &["select", "order"],
        summary: "A fresh random subset for every shortened epoch; every row is seen once before any is seen twice. \
                  With `select` it gives the first round, with `order` the whole stream of row numbers for a trainer.",
        useful_when: "train faster on a fraction of the data in each epoch, a strong random baseline, an order of \
                      samples for an external trainer",
        cost: "time O(rows) for each permutation, that is O(1) a row drawn; memory 4 bytes a row",
        params: Self::PARAMS,
    };
}

impl Selector for Rs2 {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        let (classes, scores) = (self.draw == RoundDraw::Stratified, self.draw == RoundDraw::Weighted);
        Needs { classes, scores, ..Needs::default() }
    }

    fn cost(&self, rows: usize, _cols: usize, _budget: usize) -> Cost {
        Cost { operations: rows as f64, bytes: 4.0 * rows as f64 }
    }

    fn select(&self, pool: &Pool, budget: usize, seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        checkpoint(progress)?;
        let mut rounds = match (self.draw, &pool.scores) {
            (RoundDraw::Weighted, Some(scores)) => Rounds::weighted(&shares(scores)?, seed)?,
            _ => Rounds::new(pool.rows, self.draw, pool.classes.as_deref(), seed)?,
        };
        Ok(Selection::of(rounds.ask(budget)?))
    }
}

/// Scores as probabilities for [`Rounds::weighted`]: each divided by their sum.
///
/// # Errors
/// A score that is negative or not finite, and scores that are all 0.
pub fn shares(scores: &[f64]) -> Result<Vec<f64>> {
    if let Some((row, bad)) = scores.iter().enumerate().find(|(_, score)| !(**score >= 0.0 && score.is_finite())) {
        return Err(Error::input("score", format!("{bad} in row {row}"), "a row's weight is a number from 0 on"));
    }
    // Brought to at most 1 first: a sum of huge scores would be infinite.
    let most = scores.iter().copied().fold(0.0, f64::max);
    let sum: f64 = scores.iter().map(|score| score / most).sum();
    if most == 0.0 {
        return Err(Error::input("scores", "zeros", "some row must have a weight above 0"));
    }
    Ok(scores.iter().map(|score| score / most / sum).collect())
}

/// All there is to know of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundsState {
    /// Rows to draw from.
    pub rows: usize,
    /// How they are drawn.
    pub draw: RoundDraw,
    /// Each row's class, for the stratified draw.
    pub classes: Option<Vec<u32>>,
    /// Each row's probability, for the weighted draw.
    #[serde(default)]
    pub probabilities: Option<Vec<f64>>,
    /// All draws come from it.
    pub seed: u64,
    /// Rounds drawn so far.
    pub round: u64,
    /// The permutation in use, counted from 0, and how many of its rows are spent.
    pub permutation: (u64, usize),
    /// Rows that a round had from the permutation before when it ran into this one: they come after that round.
    pub held_back: Vec<u32>,
    /// Rows that this round took from this permutation.
    pub filled_up: usize,
    /// What rounding still owes each class, in rows.
    pub owed: Vec<f64>,
}

/// The stream of rounds: ask for the rows of the next round, as many as you like. Telling it scores changes nothing.
///
/// The same rows, draw and seed give the same stream, and a stream resumed from its state goes on as if it had never
/// stopped. Where m divides n, the first n/m rounds without replacement, laid end to end, are one epoch of ordinary
/// random reshuffling.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_select::{AskTell, RoundDraw, Rounds};
/// let mut rounds = Rounds::new(10, RoundDraw::WithoutReplacement, None, Seed(1))?;
/// let mut seen = [rounds.ask(5)?, rounds.ask(5)?].concat();
/// seen.sort_unstable();
/// assert_eq!(seen, (0..10).collect::<Vec<_>>());
/// let saved = rounds.state().clone();
/// assert_eq!(Rounds::resume(saved)?.ask(5)?, rounds.ask(5)?);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Rounds {
    state: RoundsState,
    /// The permutation in use; empty where draws are independent.
    order: Vec<u32>,
    /// The rows of each class, for the stratified draw.
    members: Vec<Vec<u32>>,
    current: Vec<u32>,
    /// Scratch of [`draw`]: a bit for each row, all clear between draws.
    taken: Vec<u64>,
}

impl Rounds {
    /// A stream over `rows` rows; `classes` gives the class of each (0 to `rows` - 1) for the stratified draw and is not
    /// read otherwise. The weighted draw is made by [`Rounds::weighted`].
    ///
    /// # Errors
    /// No rows or more than 2^32; a stratified draw without a class for every row, or with a class beyond the rows.
    pub fn new(rows: usize, draw: RoundDraw, classes: Option<&[u32]>, seed: Seed) -> Result<Self> {
        let classes = classes.filter(|_| draw == RoundDraw::Stratified).map(<[u32]>::to_vec);
        Self::fresh(rows, draw, classes, None, seed)
    }

    /// A stream whose rounds are drawn in proportion to `probabilities`, one a row, such as scores of importance that
    /// were computed once ([`shares`]).
    ///
    /// # Errors
    /// No rows or more than 2^32; probabilities that are negative, not finite or do not sum to 1 within 1e-6.
    pub fn weighted(probabilities: &[f64], seed: Seed) -> Result<Self> {
        Self::fresh(probabilities.len(), RoundDraw::Weighted, None, Some(probabilities.to_vec()), seed)
    }

    fn fresh(
        rows: usize,
        draw: RoundDraw,
        classes: Option<Vec<u32>>,
        probabilities: Option<Vec<f64>>,
        seed: Seed,
    ) -> Result<Self> {
        let owed = vec![0.0; classes.as_deref().map_or(Ok(0), |classes| class_count(classes, rows))?];
        Self::resume(RoundsState {
            rows,
            draw,
            owed,
            classes,
            probabilities,
            seed: seed.0,
            round: 0,
            permutation: (0, 0),
            held_back: Vec::new(),
            filled_up: 0,
        })
    }

    /// The `m` rows of the next round, in random order: O(m), or O(rows) where a permutation begins. No draw but the
    /// stratified and the weighted allocates once rounds of this size were drawn; the weighted draw is O(rows).
    ///
    /// # Errors
    /// `m` outside 1..=rows, or above the rows that have any probability.
    pub fn next_round(&mut self, m: usize) -> Result<&[u32]> {
        let n = self.state.rows;
        if m == 0 || m > n {
            return Err(Error::input("rows of a round", m, format!("use 1 to {n}, the number of rows")));
        }
        self.current.clear();
        match self.state.draw {
            RoundDraw::WithoutReplacement => self.walk(m),
            RoundDraw::WithReplacement => {
                let mut rng = self.rng();
                draw(n, m, &mut rng, &mut self.taken, &mut self.current);
            }
            RoundDraw::Stratified => self.stratify(m),
            RoundDraw::Weighted => {
                let probabilities = self.state.probabilities.as_deref().unwrap_or_default();
                let drawn = self.rng().weighted_sample(probabilities, m);
                if drawn.len() < m {
                    let want = format!("only {} rows have a probability above 0", drawn.len());
                    return Err(Error::input("rows of a round", m, want));
                }
                self.current.extend(drawn.into_iter().map(|row| row as u32));
            }
        }
        self.state.round += 1;
        Ok(&self.current)
    }

    fn rng(&self) -> Rng {
        Seed(self.state.seed).stream("rs2 round").rng(self.state.round)
    }

    /// The next `m` rows of the permutation, and where it ends those of the next one.
    fn walk(&mut self, m: usize) {
        let spent = self.state.permutation.1;
        let taken = m.min(self.state.rows - spent);
        self.current.extend_from_slice(&self.order[spent..spent + taken]);
        self.state.permutation.1 += taken;
        if taken < m {
            self.state.permutation = (self.state.permutation.0 + 1, m - taken);
            self.state.held_back.clone_from(&self.current);
            self.state.filled_up = m - taken;
            self.permute();
            self.current.extend_from_slice(&self.order[..m - taken]);
        }
    }

    /// Sets up the permutation in use: shuffled, with the rows held back moved behind those that fill the round up.
    fn permute(&mut self) {
        self.order.clear();
        self.order.extend(0..self.state.rows as u32);
        Seed(self.state.seed).stream("rs2 permutation").rng(self.state.permutation.0).shuffle(&mut self.order);
        let mut held = self.state.held_back.clone();
        held.sort_unstable();
        // A round has at most all rows, so there are enough that are not held back.
        let mut first = 0;
        for at in 0..self.order.len() {
            if first == self.state.filled_up {
                break;
            }
            if held.binary_search(&self.order[at]).is_err() {
                self.order.swap(first, at);
                first += 1;
            }
        }
    }

    /// Each class's share of `m` rows: whole rows first, the rest by largest remainder of what is owed. In the first round
    /// nothing is owed yet, so chance gives the rest in proportion to the remainders, and it decides among equals later.
    fn stratify(&mut self, m: usize) {
        let n = self.state.rows as f64;
        let mut counts = Vec::with_capacity(self.members.len());
        for (owed, members) in self.state.owed.iter_mut().zip(&self.members) {
            *owed += m as f64 * members.len() as f64 / n;
            // A debt a hair below a whole row is that row: sums of shares are rounded.
            counts.push(((*owed + 1e-9).floor().max(0.0) as usize).min(members.len()));
        }
        let mut missing = m as i64 - counts.iter().sum::<usize>() as i64;
        let mut chance = Seed(self.state.seed).stream("rs2 classes").rng(self.state.round);
        if self.state.round == 0 {
            let rest: Vec<f64> =
                self.state.owed.iter().zip(&counts).map(|(owed, count)| (owed - *count as f64).max(0.0)).collect();
            systematic(&rest, missing.max(0) as usize, &mut chance).into_iter().for_each(|class| counts[class] += 1);
            missing = m as i64 - counts.iter().sum::<usize>() as i64;
        }
        let mut luck: Vec<usize> = (0..counts.len()).collect();
        if missing != 0 {
            chance.shuffle(&mut luck);
        }
        while missing != 0 {
            let step: i64 = missing.signum();
            let rest = |class: usize| step as f64 * (self.state.owed[class] - counts[class] as f64);
            let open =
                luck.iter().filter(|c| if step > 0 { counts[**c] < self.members[**c].len() } else { counts[**c] > 0 });
            // Sums of shares that are equal on paper differ in their last digits.
            let Some(&class) = open.reduce(|best, class| if rest(*class) > rest(*best) + 1e-9 { class } else { best })
            else {
                break;
            };
            counts[class] = (counts[class] as i64 + step) as usize;
            missing -= step;
        }
        let mut rng = self.rng();
        for ((owed, members), count) in self.state.owed.iter_mut().zip(&self.members).zip(counts) {
            *owed -= count as f64;
            let first = self.current.len();
            draw(members.len(), count, &mut rng, &mut self.taken, &mut self.current);
            self.current[first..].iter_mut().for_each(|row| *row = members[*row as usize]);
        }
        rng.shuffle(&mut self.current);
    }
}

impl AskTell for Rounds {
    type State = RoundsState;

    fn ask(&mut self, m: usize) -> Result<Vec<usize>> {
        Ok(self.next_round(m)?.iter().map(|row| *row as usize).collect())
    }

    fn tell(&mut self, rows: &[usize], scores: &[f64]) -> Result<()> {
        if rows.len() == scores.len() {
            return Ok(());
        }
        Err(Error::input("scores", scores.len(), format!("there are {} rows", rows.len())))
    }

    fn state(&self) -> &RoundsState {
        &self.state
    }

    fn resume(state: RoundsState) -> Result<Self> {
        let n = state.rows;
        if n == 0 || u32::try_from(n).is_err() {
            return Err(Error::input("rows", n, "use 1 to 4294967295"));
        }
        let mut members = Vec::new();
        if state.draw == RoundDraw::Stratified {
            let Some(classes) = state.classes.as_deref() else {
                return Err(Error::input("classes", "nothing", "the stratified draw needs a class for each row"));
            };
            if classes.len() != n {
                return Err(Error::input("classes", classes.len(), format!("there are {n} rows")));
            }
            members = vec![Vec::new(); class_count(classes, n)?];
            for (row, class) in classes.iter().enumerate() {
                members[*class as usize].push(row as u32);
            }
            if state.owed.len() != members.len() || state.owed.iter().any(|owed| !owed.is_finite()) {
                return Err(Error::input(
                    "state, owed",
                    format!("{:?}", state.owed),
                    "one finite number for each class",
                ));
            }
        }
        if state.permutation.1 > n || state.held_back.iter().any(|row| *row as usize >= n) {
            return Err(Error::input("state", "rows that do not exist", format!("there are {n} rows")));
        }
        if state.draw == RoundDraw::Weighted {
            let Some(probabilities) = state.probabilities.as_deref() else {
                let want = "the weighted draw needs a probability for each row";
                return Err(Error::input("probabilities", "nothing", want));
            };
            if probabilities.len() != n {
                return Err(Error::input("probabilities", probabilities.len(), format!("there are {n} rows")));
            }
            if let Some((row, bad)) = probabilities.iter().enumerate().find(|(_, p)| !(**p >= 0.0 && p.is_finite())) {
                return Err(Error::input("probability", format!("{bad} in row {row}"), "use 0 to 1"));
            }
            let sum: f64 = probabilities.iter().sum();
            if (sum - 1.0).abs() > 1e-6 {
                return Err(Error::input("probabilities", format!("a sum of {sum}"), "they must sum to 1 within 1e-6"));
            }
        }
        let mut rounds = Rounds { state, order: Vec::new(), members, current: Vec::new(), taken: Vec::new() };
        if rounds.state.draw == RoundDraw::WithoutReplacement {
            rounds.permute();
        }
        Ok(rounds)
    }
}

/// Appends `count` of the numbers 0..n (at most all) to `drawn`, in random order: Floyd's method (Bentley and Floyd 1987)
/// over a bit for each number, which stays in a processor's cache where the numbers themselves would not, and a shuffle. A
/// draw costs O(count) and depends on its own stream only.
fn draw(n: usize, count: usize, rng: &mut Rng, taken: &mut Vec<u64>, drawn: &mut Vec<u32>) {
    let first = drawn.len();
    taken.resize(taken.len().max(n.div_ceil(64)), 0);
    for last in n - count..n {
        let candidate = rng.below(last + 1);
        let free = taken[candidate / 64] >> (candidate % 64) & 1 == 0;
        // Where the candidate is taken, the largest number so far is not: nobody could draw it before.
        let row = if free { candidate } else { last };
        taken[row / 64] |= 1 << (row % 64);
        drawn.push(row as u32);
    }
    let drawn = &mut drawn[first..];
    drawn.iter().for_each(|row| taken[*row as usize / 64] = 0);
    rng.shuffle(drawn);
}

/// The number of classes, with those that no row has.
fn class_count(classes: &[u32], rows: usize) -> Result<usize> {
    let most = classes.iter().max().map_or(0, |class| *class as usize + 1);
    if most > rows {
        let want = format!("number the classes from 0 on: there are {rows} rows");
        return Err(Error::input("class", most - 1, want));
    }
    Ok(most)
}

/// Steps that `rounds` rounds of `m` rows take in batches of `batch` (at least 1): what a schedule must span.
pub fn iterations(rounds: usize, m: usize, batch: usize, drop_last: bool) -> usize {
    let batch = batch.max(1);
    rounds * if drop_last { m / batch } else { m.div_ceil(batch) }
}

#[cfg(test)]
mod tests {
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
}
