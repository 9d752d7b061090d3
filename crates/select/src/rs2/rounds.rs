//! The stream of rounds, as ask and tell.

use super::RoundDraw;
use crate::AskTell;
use crate::sensitivity::systematic;
use quadrat_core::{Error, Result, Rng, Seed};
use serde::{Deserialize, Serialize};

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

impl RoundsState {
    fn probabilities(&self) -> Result<&[f64]> {
        let want = "the weighted draw needs a probability for each row";
        self.probabilities.as_deref().ok_or_else(|| Error::input("probabilities", "nothing", want))
    }
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
    /// were computed once ([`shares`](super::shares)).
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
                let drawn = self.rng().weighted_sample(self.state.probabilities()?, m);
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
            let probabilities = state.probabilities()?;
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
pub(super) fn draw(n: usize, count: usize, rng: &mut Rng, taken: &mut Vec<u64>, drawn: &mut Vec<u32>) {
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
