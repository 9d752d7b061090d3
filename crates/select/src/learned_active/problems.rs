//! Two games: a table of yes probabilities, and a linear bandit.

use super::simplex::{minimise, separation};
use super::{Family, QueryProblem};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result, Rng, Seed};
use quadrat_numeric::linalg;

/// Twenty questions: hypothesis `h` says yes to question `x` with a probability from a table, and replies are flipped at
/// a rate that may be unknown. theta is (h, flip rate), from a finite set.
///
/// Complexity, by squared differences of the yes probabilities as for a bandit whose arms are the questions (ours; for
/// rates known in advance a divergence would do as well): C(h, e) = C(h) / (1 - 2e)^2 with
/// `C(h) = min over lambda of max over rivals h' of 1 / sum_x lambda_x (p_hx - p_h'x)^2`.
///
/// ```
/// use ndarray::array;
/// use quadrat_select::{AnswerTable, QueryProblem};
/// let table = AnswerTable::new(array![[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]].view(), &[0.0, 0.1])?;
/// assert_eq!((table.answers(), table.queries()), (3, 2));
/// assert_eq!(table.mean(&[0.0, 0.1], 0), 0.9);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct AnswerTable {
    yes: Array2<f64>,
    flips: Vec<f64>,
    losses: Array2<f64>,
    /// C(h) without flips.
    difficulty: Vec<f64>,
}

impl AnswerTable {
    /// `yes`: H hypotheses x N questions, probabilities of yes. `flips`: the rates at which replies may be flipped, at
    /// least one, each in [0, 0.5). Any answer but the true hypothesis costs 1. Time O(H^2 N), 400 times.
    ///
    /// # Errors
    /// Fewer than two hypotheses, no question, a number out of its range, two hypotheses with the same row.
    pub fn new(yes: ArrayView2<f64>, flips: &[f64]) -> Result<Self> {
        let (h, n) = yes.dim();
        if h < 2 || n == 0 {
            let want = "there must be at least two hypotheses and one question";
            return Err(Error::input("answer table", format!("{h} hypotheses, {n} questions"), want));
        }
        if let Some(((row, column), bad)) = yes.indexed_iter().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
            let what = format!("answer table, hypothesis {row}, question {column}");
            return Err(Error::input(what, bad, "a probability of yes lies between 0 and 1"));
        }
        if let Some(bad) = flips.iter().find(|e| !(0.0..0.5).contains(*e)) {
            return Err(Error::input("flip rate", bad, "use at least 0 and less than 0.5: at 0.5 replies say nothing"));
        }
        if flips.is_empty() {
            return Err(Error::input("flip rates", "none", "give at least one, such as 0.1"));
        }
        let mut rows: Vec<usize> = (0..h).collect();
        let order = |a: &usize, b: &usize| {
            let mut pairs = yes.row(*a).into_iter().zip(yes.row(*b)).map(|(a, b)| a.total_cmp(b));
            pairs.find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        };
        rows.sort_by(|a, b| order(a, b));
        if let Some(twins) = rows.windows(2).find(|pair| yes.row(pair[0]) == yes.row(pair[1])) {
            let got = format!("hypotheses {} and {} with the same row", twins[0].min(twins[1]), twins[0].max(twins[1]));
            return Err(Error::input(
                "answer table",
                got,
                "no query can tell them apart: merge them, or add a question",
            ));
        }
        let losses = Array2::from_shape_fn((h, h), |(z, h)| f64::from(u8::from(z != h)));
        let mut table = AnswerTable { yes: yes.to_owned(), flips: flips.to_vec(), losses, difficulty: Vec::new() };
        table.difficulty = (0..h).map(|h| table.difficulty_of(h)).collect();
        Ok(table)
    }

    /// Where on a line of `n` points does no turn into yes? Question `x` asks whether point `x` is beyond the threshold;
    /// hypothesis `h` of n + 1 says yes to all `x >= h`.
    ///
    /// # Errors
    /// As [`AnswerTable::new`].
    pub fn thresholds(n: usize, flips: &[f64]) -> Result<Self> {
        AnswerTable::new(Array2::from_shape_fn((n + 1, n), |(h, x)| f64::from(u8::from(x >= h))).view(), flips)
    }

    /// The same questions with other answers: `losses[z, h]` is what answer `z` of |Z| costs under hypothesis `h`.
    ///
    /// # Errors
    /// No answer, another number of hypotheses, a loss that is negative or not finite.
    pub fn with_losses(mut self, losses: Array2<f64>) -> Result<Self> {
        let (z, h) = losses.dim();
        if z == 0 || h != self.yes.nrows() {
            let want = format!("one row an answer, one column for each of {} hypotheses", self.yes.nrows());
            return Err(Error::input("losses", format!("{z} x {h}"), want));
        }
        if let Some(bad) = losses.iter().find(|loss| !(loss.is_finite() && **loss >= 0.0)) {
            return Err(Error::input("loss", bad, "a loss must be finite and at least 0"));
        }
        self.losses = losses;
        self.difficulty = (0..h).map(|h| self.difficulty_of(h)).collect();
        Ok(self)
    }

    /// The flip rates.
    pub fn flips(&self) -> &[f64] {
        &self.flips
    }

    /// The hypothesis of a parameter.
    fn hypothesis(theta: &[f64]) -> usize {
        theta.first().map_or(0, |h| *h as usize)
    }

    fn flip(theta: &[f64]) -> f64 {
        theta.get(1).copied().unwrap_or(0.0)
    }

    /// Whether an answer that is best under `h` is not best under `other`: they need to be told apart.
    fn differ(&self, h: usize, other: usize) -> bool {
        let least = |h: usize| self.losses.column(h).iter().fold(f64::INFINITY, |least, loss| least.min(*loss));
        let (own, theirs) = (least(h), least(other));
        self.losses.outer_iter().any(|z| z[h] == own && z[other] > theirs)
    }

    fn squared_differences(&self, h: usize, other: usize) -> impl Iterator<Item = f64> + '_ {
        self.yes.row(h).into_iter().zip(self.yes.row(other)).map(|(p, q)| (p - q) * (p - q))
    }

    fn difficulty_of(&self, h: usize) -> f64 {
        let rivals = (0..self.yes.nrows()).filter(|other| *other != h && self.differ(h, *other));
        let rows: Vec<f64> = rivals.flat_map(|other| self.squared_differences(h, other)).collect();
        // Where every hypothesis has the same best answer there is nothing to find out.
        if rows.is_empty() { f64::MIN_POSITIVE } else { separation(&rows, self.yes.ncols()).0 }
    }
}

impl QueryProblem for AnswerTable {
    fn queries(&self) -> usize {
        self.yes.ncols()
    }

    fn answers(&self) -> usize {
        self.losses.nrows()
    }

    fn family(&self) -> Family {
        Family::Bernoulli
    }

    fn mean(&self, theta: &[f64], x: usize) -> f64 {
        let flip = Self::flip(theta);
        let yes = self.yes.get([Self::hypothesis(theta), x]).copied().unwrap_or(f64::NAN);
        flip + (1.0 - 2.0 * flip) * yes
    }

    fn loss(&self, z: usize, theta: &[f64]) -> f64 {
        self.losses.get([z, Self::hypothesis(theta)]).copied().unwrap_or(f64::NAN)
    }

    fn complexity(&self, theta: &[f64]) -> f64 {
        let difficulty = self.difficulty.get(Self::hypothesis(theta)).copied().unwrap_or(f64::NAN);
        difficulty / (1.0 - 2.0 * Self::flip(theta)).powi(2)
    }

    fn parameters(&self) -> Option<Vec<Vec<f64>>> {
        Some(self.grid(&[], Seed(0)).concat())
    }

    fn draw(&self, _r: f64, rng: &mut Rng) -> Vec<f64> {
        vec![rng.below(self.yes.nrows()) as f64, self.flips[rng.below(self.flips.len())]]
    }

    /// All hypotheses at each flip rate.
    fn grid(&self, _levels: &[f64], _seed: Seed) -> Vec<Vec<Vec<f64>>> {
        let at = |flip: &f64| (0..self.yes.nrows()).map(|h| vec![h as f64, *flip]).collect();
        self.flips.iter().map(at).collect()
    }

    /// The best shares for the pair of hypotheses that is hardest to tell apart.
    fn design(&self) -> Vec<f64> {
        let h = self.yes.nrows();
        let pairs = (0..h).flat_map(|a| (0..a).map(move |b| (a, b))).filter(|(a, b)| self.differ(*a, *b));
        let rows: Vec<f64> = pairs.flat_map(|(a, b)| self.squared_differences(a, b)).collect();
        separation(&rows, self.yes.ncols()).1
    }
}

/// Transductive linear bandit: pulling arm `x` shows <x, theta> with noise of variance 1; which `z` has the largest
/// <z, theta>? The loss is the regret, <z* - z, theta>.
///
/// C(theta) = rho(theta) = min over lambda of max over z != z* of |z* - z|^2 in the norm of A(lambda)^-1 over
/// <z* - z, theta>^2, with A(lambda) = sum_x lambda_x x x^T. rho(c theta) = rho(theta) / c^2, so that a parameter is
/// brought to complexity r by scaling it.
#[derive(Debug, Clone)]
pub struct LinearBandit {
    /// N x d.
    arms: Array2<f64>,
    /// |Z| x d.
    items: Array2<f64>,
}

impl LinearBandit {
    /// `arms`: N x d; `items`: |Z| x d.
    ///
    /// # Errors
    /// No arm, fewer than two items, another number of columns, values that are not finite, items that coincide or whose
    /// differences the arms do not reach.
    pub fn new(arms: ArrayView2<f64>, items: ArrayView2<f64>) -> Result<Self> {
        let ((n, d), (z, columns)) = (arms.dim(), items.dim());
        if n == 0 || d == 0 || z < 2 || columns != d {
            let got = format!("{n} arms of {d} values, {z} items of {columns}");
            return Err(Error::input("linear bandit", got, "use at least one arm, two items, and the same columns"));
        }
        if let Some(bad) = arms.iter().chain(items).find(|v| !v.is_finite()) {
            return Err(Error::input("linear bandit", bad, "values must be finite"));
        }
        let bandit = LinearBandit { arms: arms.to_owned(), items: items.to_owned() };
        for a in 0..z {
            for b in 0..a {
                if items.row(a) == items.row(b) {
                    let got = format!("items {b} and {a} that coincide");
                    return Err(Error::input("linear bandit", got, "no query can tell them apart: merge them"));
                }
            }
        }
        if linalg::cholesky(bandit.information(&vec![1.0 / n as f64; n]).view()).is_err() {
            let want = "the arms must span all columns: leave out columns that no arm has, or add arms";
            return Err(Error::input("linear bandit", "arms that do not span the columns", want));
        }
        Ok(bandit)
    }

    fn value(&self, z: usize, theta: &[f64]) -> f64 {
        self.items.row(z).iter().zip(theta).map(|(z, t)| z * t).sum()
    }

    fn best(&self, theta: &[f64]) -> usize {
        let first_largest = |best: (usize, f64), z| {
            let value = self.value(z, theta);
            if value > best.1 { (z, value) } else { best }
        };
        (0..self.items.nrows()).fold((0, f64::NEG_INFINITY), first_largest).0
    }

    /// A(lambda), with a trace of the identity that keeps it invertible where shares vanish.
    fn information(&self, lambda: &[f64]) -> Array2<f64> {
        let d = self.arms.ncols();
        let mut a = Array2::zeros((d, d));
        for (x, l) in self.arms.outer_iter().zip(lambda) {
            for i in 0..d {
                for j in 0..d {
                    a[[i, j]] += l * x[i] * x[j];
                }
            }
        }
        a
    }

    /// min over lambda of the largest |direction|^2 in the norm of A(lambda)^-1; `directions`: d x m.
    fn allocate(&self, directions: &Array2<f64>) -> (f64, Vec<f64>) {
        minimise(self.arms.nrows(), 400, |lambda, slope| {
            let Ok(solved) = linalg::solve(self.information(lambda).view(), directions.view()) else {
                return f64::INFINITY;
            };
            let length = |c: usize| directions.column(c).dot(&solved.column(c));
            let worst = (0..directions.ncols()).max_by(|a, b| length(*a).total_cmp(&length(*b))).unwrap_or(0);
            for (g, x) in slope.iter_mut().zip(self.arms.outer_iter()) {
                *g = -x.dot(&solved.column(worst)).powi(2);
            }
            length(worst)
        })
    }
}

impl QueryProblem for LinearBandit {
    fn queries(&self) -> usize {
        self.arms.nrows()
    }

    fn answers(&self) -> usize {
        self.items.nrows()
    }

    fn family(&self) -> Family {
        Family::Gaussian
    }

    fn mean(&self, theta: &[f64], x: usize) -> f64 {
        self.arms.row(x).iter().zip(theta).map(|(x, t)| x * t).sum()
    }

    fn loss(&self, z: usize, theta: &[f64]) -> f64 {
        self.value(self.best(theta), theta) - self.value(z, theta)
    }

    fn complexity(&self, theta: &[f64]) -> f64 {
        let best = self.best(theta);
        let rivals: Vec<usize> = (0..self.items.nrows()).filter(|z| *z != best).collect();
        let gaps: Vec<f64> = rivals.iter().map(|z| self.loss(*z, theta)).collect();
        if gaps.iter().any(|gap| !(*gap > 0.0 && gap.is_finite())) {
            return f64::INFINITY;
        }
        let direction = |(i, c): (usize, usize)| (self.items[[best, i]] - self.items[[rivals[c], i]]) / gaps[c];
        self.allocate(&Array2::from_shape_fn((self.arms.ncols(), rivals.len()), direction)).0
    }

    fn parameters(&self) -> Option<Vec<Vec<f64>>> {
        None
    }

    /// A normal direction, scaled.
    fn draw(&self, r: f64, rng: &mut Rng) -> Vec<f64> {
        let mut theta: Vec<f64> = (0..self.arms.ncols()).map(|_| rng.normal()).collect();
        let scale = (self.complexity(&theta) / r).sqrt();
        // A tie cannot be scaled away; it has probability 0.
        theta.iter_mut().for_each(|t| *t *= if scale.is_finite() { scale } else { 1.0 });
        theta
    }

    /// 48 draws at each level.
    fn grid(&self, levels: &[f64], seed: Seed) -> Vec<Vec<Vec<f64>>> {
        let group = |(at, r): (usize, &f64)| {
            let mut rng = seed.stream("grid").rng(at as u64);
            (0..48).map(|_| self.draw(*r, &mut rng)).collect()
        };
        levels.iter().enumerate().map(group).collect()
    }

    /// The shares that estimate every difference of items well.
    fn design(&self) -> Vec<f64> {
        let z = self.items.nrows();
        let pairs: Vec<(usize, usize)> = (0..z).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
        let direction = |(i, c): (usize, usize)| self.items[[pairs[c].0, i]] - self.items[[pairs[c].1, i]];
        self.allocate(&Array2::from_shape_fn((self.arms.ncols(), pairs.len()), direction)).1
    }

    fn grad_mean(&self, _theta: &[f64], x: usize, scale: f64, into: &mut [f64]) {
        into.iter_mut().zip(self.arms.row(x)).for_each(|(into, x)| *into += scale * x);
    }

    fn grad_loss(&self, z: usize, theta: &[f64], scale: f64, into: &mut [f64]) {
        let best = self.items.row(self.best(theta));
        into.iter_mut().zip(best).zip(self.items.row(z)).for_each(|((into, best), z)| *into += scale * (best - z));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn tables_that_make_no_game_are_refused() {
        let good = array![[1.0, 0.0], [0.0, 0.0]];
        for (yes, flips, part) in [
            (array![[1.0, 0.0]], vec![0.0], "at least two hypotheses"),
            (Array2::zeros((2, 0)), vec![0.0], "one question"),
            (array![[1.0, 0.0], [1.1, 0.0]], vec![0.0], "hypothesis 1, question 0"),
            (array![[f64::NAN, 0.0], [1.0, 0.0]], vec![0.0], "between 0 and 1"),
            (array![[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], vec![0.0], "hypotheses 0 and 2 with the same row"),
            (good.clone(), vec![0.5], "less than 0.5"),
            (good.clone(), vec![f64::NAN], "less than 0.5"),
            (good.clone(), vec![], "at least one"),
        ] {
            let message = AnswerTable::new(yes.view(), &flips).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        let table = AnswerTable::new(good.view(), &[0.0]).unwrap();
        assert!(table.clone().with_losses(Array2::zeros((2, 3))).is_err());
        assert!(table.clone().with_losses(array![[0.0, -1.0]]).is_err());
        // One answer for all: nothing to find out.
        let same = table.with_losses(array![[0.0, 0.0], [1.0, 1.0]]).unwrap();
        assert!(same.complexity(&[0.0, 0.0]) < 1e-300);
    }

    /// A threshold has a rival on either side, each told apart by one question; the outermost have one rival.
    #[test]
    fn thresholds_have_known_complexity() {
        let table = AnswerTable::thresholds(7, &[0.0, 0.25]).unwrap();
        assert_eq!((table.queries(), table.answers(), table.parameters().unwrap().len()), (7, 8, 16));
        for h in 0..8 {
            let expected = if h == 0 || h == 7 { 1.0 } else { 2.0 };
            let c = table.complexity(&[h as f64, 0.0]);
            assert!((c / expected - 1.0).abs() < 0.01, "{h}: {c}");
            assert!((table.complexity(&[h as f64, 0.25]) / c - 4.0).abs() < 1e-12);
        }
        let design = table.design();
        assert!(design.iter().all(|l| (l - 1.0 / 7.0).abs() < 0.01), "{design:?}");
    }

    #[test]
    fn bandits_that_make_no_game_are_refused() {
        let eye = Array2::eye(2);
        for (arms, items, part) in [
            (Array2::zeros((0, 2)), eye.clone(), "at least one arm"),
            (eye.clone(), array![[1.0, 0.0]], "two items"),
            (eye.clone(), Array2::zeros((2, 3)), "same columns"),
            (array![[1.0, f64::INFINITY], [0.0, 1.0]], eye.clone(), "finite"),
            (eye.clone(), array![[1.0, 0.0], [1.0, 0.0]], "items 0 and 1 that coincide"),
            (array![[1.0, 0.0]], eye.clone(), "span"),
        ] {
            let message = LinearBandit::new(arms.view(), items.view()).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    /// rho(c theta) = rho(theta) / c^2, exactly up to rounding; and draws have the complexity they were asked to have.
    #[test]
    fn rho_scales_with_the_signal() {
        let mut rng = Seed(1).rng(0);
        let arms = Array2::from_shape_fn((6, 3), |_| rng.normal());
        let items = Array2::from_shape_fn((4, 3), |_| rng.normal());
        let bandit = LinearBandit::new(arms.view(), items.view()).unwrap();
        for _ in 0..5 {
            let theta = bandit.draw(3.0, &mut rng);
            assert!((bandit.complexity(&theta) / 3.0 - 1.0).abs() < 1e-6);
            for c in [0.5, 2.0, 10.0] {
                let scaled: Vec<f64> = theta.iter().map(|t| c * t).collect();
                assert!((bandit.complexity(&scaled) * c * c / 3.0 - 1.0).abs() < 1e-6);
            }
        }
        assert_eq!(bandit.complexity(&[0.0; 3]), f64::INFINITY);
    }

    /// Orthonormal arms that are the items: rho = min over lambda of max over i of (1/lambda_* + 1/lambda_i) / gap_i^2, on
    /// a grid of 200 steps a share.
    #[test]
    fn rho_agrees_with_a_fine_grid() {
        let bandit = LinearBandit::new(Array2::eye(3).view(), Array2::eye(3).view()).unwrap();
        for theta in [[1.0_f64, 0.5, 0.0], [1.0, 0.9, 0.2], [0.3, 0.0, 0.0]] {
            let mut least = f64::INFINITY;
            for a in 1..199 {
                for b in 1..200 - a {
                    let lambda = [f64::from(a) / 200.0, f64::from(b) / 200.0, f64::from(200 - a - b) / 200.0];
                    let side = |i: usize| (1.0 / lambda[0] + 1.0 / lambda[i]) / (theta[0] - theta[i]).powi(2);
                    least = least.min(side(1).max(side(2)));
                }
            }
            let rho = bandit.complexity(&theta);
            assert!(rho > 0.99 * least && rho < 1.02 * least, "{theta:?}: {rho} {least}");
        }
    }

    #[test]
    fn derivatives_agree_with_differences() {
        let mut rng = Seed(2).rng(0);
        let arms = Array2::from_shape_fn((5, 3), |_| rng.normal());
        let items = Array2::from_shape_fn((4, 3), |_| rng.normal());
        let bandit = LinearBandit::new(arms.view(), items.view()).unwrap();
        let (theta, y, h) = (vec![0.4, -0.7, 1.1], 0.3, 1e-6);
        let log_f = |theta: &[f64], x| -0.5 * (y - bandit.mean(theta, x)).powi(2);
        for at in 0..3 {
            let moved = |by: f64| {
                let mut theta = theta.clone();
                theta[at] += by;
                theta
            };
            for x in 0..5 {
                let mut slope = vec![0.0; 3];
                bandit.grad_mean(&theta, x, Family::Gaussian.score(bandit.mean(&theta, x), y), &mut slope);
                let difference = (log_f(&moved(h), x) - log_f(&moved(-h), x)) / (2.0 * h);
                assert!((slope[at] - difference).abs() < 1e-6, "{x} {at}: {} {difference}", slope[at]);
            }
            for z in 0..4 {
                let mut slope = vec![0.0; 3];
                bandit.grad_loss(z, &theta, 1.0, &mut slope);
                let difference = (bandit.loss(z, &moved(h)) - bandit.loss(z, &moved(-h))) / (2.0 * h);
                assert!((slope[at] - difference).abs() < 1e-6, "{z} {at}: {} {difference}", slope[at]);
            }
        }
        // The Bernoulli score is the derivative of its log-likelihood.
        for (p, y) in [(0.3_f64, 1.0), (0.3, 0.0)] {
            let log_f = |p: f64| if y > 0.5 { p.ln() } else { (1.0 - p).ln() };
            let difference = (log_f(p + h) - log_f(p - h)) / (2.0 * h);
            assert!((Family::Bernoulli.score(p, y) - difference).abs() < 1e-5);
        }
    }
}
