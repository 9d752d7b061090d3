//! Drawing a weighted subset by scores.

use super::{LevSens, Leverage, LeverageMode, LewisWeights, RootLeverage, RowNorm, RowScores};
use super::{Sensitivity, SensitivityMode, Uniform, check};
use crate::{Cost, Needs, Pool, Selection, Selector};
use ndarray::{Array2, ArrayView2, Axis, s};
use quadrat_core::{Area, Card, Choice, Error, Method, Param, Params, Progress, Result, Rng, Seed, Settings};

/// How rows are drawn, given the probabilities q with which each is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Draw {
    /// Exactly as many rows as asked for. Steps of 1 along the running sum of q over the rows in random order (Madow
    /// 1949): each row is kept with its own q, and the fixed size takes away most of the variance of independent draws.
    Systematic,
    /// Each row for itself, as many as asked for on average. Kept with probability q.
    Poisson,
    /// Independent draws in proportion to the scores; a row drawn several times comes once, with the sum of its
    /// weights.
    WithReplacement,
}

/// Keeps rows with probability in proportion to their score and weights them by the inverse probability.
///
/// The weight 1/q belongs to the p-th power: `sum_kept w |a_i x|^p` is an unbiased estimate of `||A x||_p^p`, so rows
/// themselves are scaled by `w^(1/p)`. Rows with score 0 are never drawn. Rows come back in ascending order.
///
/// What is preserved is `||A x||_p` over all x, so A must hold everything that the regression does: its features, its
/// response, and a column of ones where there is an intercept. Without that column a feature of large offset hides the
/// rows that decide the slope. As a selector it therefore adds the column, unless told not to.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::Points;
/// use quadrat_select::{Pool, ScoreSampler, Selector, Sensitivity};
/// let mut a = ndarray::Array2::<f64>::ones((100, 2));
/// a.column_mut(1).iter_mut().enumerate().for_each(|(i, v)| *v = (i % 7) as f64);
/// a[[42, 1]] = 1e6; // the one row without which the fit is another
/// let pool = Pool::of_points(Points::F64(a));
/// let chosen = ScoreSampler::default().select(&pool, 20, Seed(1), &Silent)?;
/// assert!(chosen.indices.len() == 20 && chosen.indices.contains(&42));
/// assert!(chosen.weights.is_some_and(|w| w.iter().all(|w| *w >= 1.0)));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct ScoreSampler {
    /// What makes a row important.
    pub scores: Box<dyn RowScores>,
    /// How rows are drawn.
    pub draw: Draw,
    /// Whether a column of ones is added to a pool's points. [`ScoreSampler::sample`] takes its matrix as it is.
    pub intercept: bool,
}

/// What is typed: some parameters belong to several scores.
#[derive(Settings)]
struct Typed {
    /// What makes a row important.
    #[param(default = Importance::Sensitivity)]
    importance: Importance,
    /// Power of the norm to preserve; leverage is for 2.
    #[param(
        default = 1.0,
        from = 1,
        only = ("importance", &["sensitivity", "lev-sens", "lewis", "root-leverage", "row-norm"])
    )]
    p: f64,
    /// How sensitivities are found.
    #[param(default = SensitivityMode::Auto, only = ("importance", &["sensitivity", "lev-sens"]))]
    mode: SensitivityMode,
    /// How rows are drawn.
    #[param(default = Draw::Systematic)]
    draw: Draw,
    /// Ridge of the leverage score.
    #[param(default = 0.0, from = 0, only = ("importance", &["leverage"]))]
    ridge: f64,
    /// Leverage from a sketch: for many columns.
    #[param(default = false, only = ("importance", &["leverage"]))]
    sketch: bool,
    /// The fits have a constant: a column of ones is part of the matrix, as in nearly all regressions.
    #[param(default = true)]
    intercept: bool,
}

/// The scores by name.
#[derive(Clone, Copy, Choice)]
enum Importance {
    /// The largest share of the norm that the row can have.
    Sensitivity,
    /// That share for p = 2.
    Leverage,
    /// Leverage^(p/2), an upper bound for p to 2.
    RootLeverage,
    /// Lewis weights: leverage after the change of density that suits p.
    Lewis,
    /// Leverage and sensitivity together.
    LevSens,
    /// The row's own norm: a baseline.
    RowNorm,
    /// All rows alike: a baseline.
    Uniform,
}

impl From<Typed> for ScoreSampler {
    fn from(typed: Typed) -> Self {
        let Typed { importance, p, mode, draw, ridge, sketch, intercept } = typed;
        let sensitivity = Sensitivity { p, mode, ..Sensitivity::default() };
        let mode = if sketch { LeverageMode::Sketch { columns: 16 } } else { LeverageMode::Exact };
        let scores: Box<dyn RowScores> = match importance {
            Importance::Sensitivity => Box::new(sensitivity),
            Importance::Leverage => Box::new(Leverage { mode, ridge }),
            Importance::RootLeverage => Box::new(RootLeverage { p, rounds: None }),
            Importance::Lewis => Box::new(LewisWeights { p, ..LewisWeights::default() }),
            Importance::LevSens => Box::new(LevSens { sensitivity }),
            Importance::RowNorm => Box::new(RowNorm { p }),
            Importance::Uniform => Box::new(Uniform),
        };
        ScoreSampler { scores, draw, intercept }
    }
}

impl Default for ScoreSampler {
    fn default() -> Self {
        Typed::default().into()
    }
}

impl Settings for ScoreSampler {
    const PARAMS: &'static [Param] = Typed::PARAMS;

    fn from_params(params: &Params) -> Result<Self> {
        Ok(Typed::from_params(params)?.into())
    }
}

impl Method for ScoreSampler {
    const CARD: Card = Card {
        slug: "sensitivity-sampling",
        aliases: &["sensitivity"],
        title: "l_p sensitivity sampling",
        paper: "Woodruff and Yasuda, ICML 2023, arXiv 2306.00732",
        area: Area::Select,
        verbs: &["select"],
        summary: "A few hundred weighted rows of a tall numeric table on which every l_p regression (robust for p = 1, \
                  least squares for p = 2, outlier-seeking above) has nearly the same objective as on the whole table.",
        useful_when: "table too tall to fit a regression, coreset with weights, robust least absolute deviations \
                      regression with outliers, importance scores of rows, leverage scores, which rows influence the \
                      fit, subsample with weights without losing rare rows",
        cost: "Time n d^2 per pass: 2 passes for leverage, about 30 for Lewis weights; exact sensitivities solve one \
               convex problem a row (about 5 ms a row at p = 1 and 20,000 x 10 on two cores), approximate ones a \
               problem on a fixed number of rows. Memory: one copy of the table in double precision.",
        params: Self::PARAMS,
    };
}

impl ScoreSampler {
    /// Draws about `m` rows of `a` (n x d).
    pub fn sample(&self, a: ArrayView2<f64>, m: usize, seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        let p = self.scores.p();
        check(a, p)?;
        let n = a.nrows();
        if m == 0 || m > n {
            return Err(Error::input("budget", m, format!("use 1 to {n}, the number of rows")));
        }
        let rounds = self.scores.rounds(n);
        let mut kept = Kept { rows: (0..n).collect(), weights: vec![1.0; n] };
        let mut scores = self.scores.scores(a, seed.stream("scores").stream("0"), progress)?;
        let total = scores.total();
        let mut notes = vec![("score".to_owned(), self.scores.name().to_owned()), ("p".to_owned(), p.to_string())];
        notes.extend(scores.rank.map(|rank| ("rank".to_owned(), rank.to_string())));
        notes.push(("total score".to_owned(), format!("{total:.6}")));
        notes.append(&mut scores.notes);
        for round in 1..rounds {
            // Half of the way to m, in logarithms: the excess over m shrinks doubly exponentially.
            let size = (kept.rows.len() as f64 * m as f64).sqrt().ceil() as usize;
            kept = kept.draw(&scores.values, size, self.draw, seed.stream("draw").rng(round as u64 - 1));
            let mut scaled = a.select(Axis(0), &kept.rows);
            for (mut row, w) in scaled.axis_iter_mut(Axis(0)).zip(&kept.weights) {
                row *= w.powf(1.0 / p);
            }
            scores = self.scores.scores(scaled.view(), seed.stream("scores").stream(&round.to_string()), progress)?;
        }
        if rounds > 1 {
            notes.push(("rounds".to_owned(), rounds.to_string()));
        }
        let scored = kept.rows.clone();
        let chosen = kept.draw(&scores.values, m, self.draw, seed.stream("draw").rng(rounds as u64 - 1));
        if self.draw == Draw::Systematic && chosen.rows.len() < m {
            let why = format!("{} of {m}: the other rows have score 0 and never matter", chosen.rows.len());
            notes.push(("rows drawn".to_owned(), why));
        }
        let score_of = |row: &usize| scored.binary_search(row).map_or(0.0, |at| scores.values[at]);
        let scores = chosen.rows.iter().map(score_of).collect();
        Ok(Selection { indices: chosen.rows, weights: Some(chosen.weights), scores: Some(scores), notes })
    }
}

impl Selector for ScoreSampler {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs { points: true, raw: true, response: true, ..Needs::default() }
    }

    fn weighs(&self) -> bool {
        true
    }

    fn cost(&self, rows: usize, cols: usize, _: usize) -> Cost {
        let bytes = 8.0 * rows as f64 * (3.0 * cols as f64 + 7.0);
        Cost { operations: self.scores.operations(rows, cols), bytes }
    }

    fn select(&self, pool: &Pool, budget: usize, seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        let points = crate::rows::points(pool)?;
        let a = points.to_f64();
        if !self.intercept {
            return self.sample(a.view(), budget, seed, progress);
        }
        let mut with_ones = Array2::ones((a.nrows(), a.ncols() + 1));
        with_ones.slice_mut(s![.., ..a.ncols()]).assign(&a);
        let mut chosen = self.sample(with_ones.view(), budget, seed, progress)?;
        chosen.notes.push(("intercept".to_owned(), "a column of ones is part of the matrix".to_owned()));
        Ok(chosen)
    }
}

/// Rows still in play, ascending, with their weights so far.
struct Kept {
    rows: Vec<usize>,
    weights: Vec<f64>,
}

impl Kept {
    fn draw(self, scores: &[f64], m: usize, draw: Draw, mut rng: Rng) -> Kept {
        let mut chosen: Vec<(usize, f64)> = match draw {
            Draw::WithReplacement => {
                let total: f64 = scores.iter().sum();
                let counts = rng.multinomial(m, scores).into_iter().zip(scores).enumerate();
                let drawn = counts.filter(|(_, (count, _))| *count > 0);
                drawn.map(|(i, (count, score))| (i, count as f64 * total / (m as f64 * score))).collect()
            }
            Draw::Poisson => {
                let q = inclusion_probabilities(scores, m);
                let drawn = q.into_iter().enumerate().filter(|(_, q)| rng.uniform() < *q);
                drawn.map(|(i, q)| (i, 1.0 / q)).collect()
            }
            Draw::Systematic => {
                let q = inclusion_probabilities(scores, m);
                systematic(&q, m, &mut rng).into_iter().map(|i| (i, 1.0 / q[i])).collect()
            }
        };
        chosen.sort_unstable_by_key(|(i, _)| *i);
        let weights = chosen.iter().map(|(i, w)| self.weights[*i] * w).collect();
        Kept { rows: chosen.iter().map(|(i, _)| self.rows[*i]).collect(), weights }
    }
}

/// The probabilities `q_i = min(1, lambda c_i)` with the lambda for which they sum to `m` (or to the number of positive
/// scores, if that is smaller). Capping a row at 1 leaves more for the others, so lambda is found by water-filling:
/// rows are capped from the largest down until the rest fits.
pub fn inclusion_probabilities(scores: &[f64], m: usize) -> Vec<f64> {
    let mut largest: Vec<f64> = scores.iter().copied().filter(|c| *c > 0.0).collect();
    largest.sort_unstable_by(|a, b| b.total_cmp(a));
    // rest[t] is the sum without the t largest, added up from the small end.
    let mut rest = vec![0.0; largest.len() + 1];
    for t in (0..largest.len()).rev() {
        rest[t] = rest[t + 1] + largest[t];
    }
    let capped = (0..largest.len()).find(|&t| t >= m || (m - t) as f64 * largest[t] < rest[t]);
    let Some(t) = capped.filter(|t| *t < m) else {
        // Either every positive row is kept, or exactly the m largest are.
        let least = if m < largest.len() { largest[m - 1] } else { f64::MIN_POSITIVE };
        return scores.iter().map(|c| if *c >= least { 1.0 } else { 0.0 }).collect();
    };
    let lambda = (m - t) as f64 / rest[t];
    scores.iter().map(|c| (lambda * c).min(1.0)).collect()
}

/// Rows kept with probability q each, exactly `m` of them (all with q > 0 if those are fewer).
pub(crate) fn systematic(q: &[f64], m: usize, rng: &mut Rng) -> Vec<usize> {
    let mut chosen: Vec<usize> = (0..q.len()).filter(|i| q[*i] >= 1.0).collect();
    let mut open: Vec<usize> = (0..q.len()).filter(|i| q[*i] > 0.0 && q[*i] < 1.0).collect();
    let wanted = m.saturating_sub(chosen.len()).min(open.len());
    rng.shuffle(&mut open);
    let start = rng.uniform();
    let (mut running, mut taken) = (0.0, 0);
    for (place, &i) in open.iter().enumerate() {
        running += q[i];
        // The sum of all open q is `wanted` up to rounding, which must not cost the last row its place.
        if taken < wanted && (running > start + taken as f64 || open.len() - place == wanted - taken) {
            chosen.push(i);
            taken += 1;
        }
    }
    chosen
}

/// How many rows the known bounds ask for, without their logarithms and constants, so that `||SAx||_p` is within a factor
/// 1 +- `eps` of `||Ax||_p` for all x, when rows are drawn by sensitivities that sum to `total` in `rank` dimensions.
///
/// p < 2: `rank^(1 - p/2) total / eps^2` (Chen and Derezinski 2021, which the paper's second version prefers to its own
/// `total^(2/p) / eps^2`); p >= 2: `total^(2 - 2/p) / eps^2`.
pub fn plan(p: f64, total: f64, rank: usize, eps: f64) -> Result<usize> {
    for (what, value, fits, want) in [
        ("p", p, p >= 1.0 && p.is_finite(), "use a finite p >= 1"),
        ("total", total, total > 0.0 && total.is_finite(), "use the positive sum of the sensitivities"),
        ("eps", eps, eps > 0.0 && eps < 1.0, "use a relative error between 0 and 1"),
    ] {
        if !fits {
            return Err(Error::input(what, value, want));
        }
    }
    let rows = if p < 2.0 { (rank as f64).powf(1.0 - 0.5 * p) * total } else { total.powf(2.0 - 2.0 / p) };
    Ok((rows / (eps * eps)).ceil() as usize)
}
