//! The whole path by homotopy.
//!
//! On a stretch of the path the support P and its signs s are fixed, and
//!
//! ```text
//! x_P(lambda) = A_P^+ b - lambda (A_P^T A_P)^-1 s
//! a_j . (b - A x) = a_j . r + lambda a_j . u        r = b less its part in the span of A_P,  A_P^T u = s
//! ```
//!
//! so the next breakpoint is where a coefficient reaches 0 or a further column reaches +-lambda, whichever comes first.
//! Nothing is carried from breakpoint to breakpoint but P and s, so errors do not add up. Where several columns reach
//! lambda at once, which of them come into use is decided by a small non-negative least-squares problem (Lawson and
//! Hanson); of columns that tie there too (equal ones, say) the first does, and a column that depends on those in use is
//! left out, since its correlation moves with theirs.

use super::active::Active;
use super::{Problem, check_penalty};
use ndarray::ArrayView2;
use quadrat_core::{Error, Result};

/// A breakpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Knot {
    /// The penalty.
    pub lambda: f64,
    /// Column and coefficient, ascending, where the coefficient is not 0.
    pub x: Vec<(usize, f64)>,
}

/// All solutions from the penalty at which the first coefficient appears down to the last knot's.
#[derive(Debug, Clone, PartialEq)]
pub struct LassoPath {
    /// Breakpoints by falling penalty; between two of them solutions are linear in the penalty.
    pub knots: Vec<Knot>,
    /// Number of columns.
    pub columns: usize,
}

impl LassoPath {
    /// The smallest penalty at which all coefficients are 0.
    pub fn lambda_max(&self) -> f64 {
        self.knots.first().map_or(0.0, |knot| knot.lambda)
    }

    /// The solution at the smallest penalty of the path.
    pub fn end(&self) -> Vec<f64> {
        let mut x = vec![0.0; self.columns];
        self.knots.last().into_iter().flat_map(|knot| &knot.x).for_each(|(j, value)| x[*j] = *value);
        x
    }

    /// The solution at a penalty: 0 above [`LassoPath::lambda_max`], and the end's below the end.
    pub fn at(&self, lambda: f64) -> Vec<f64> {
        let after = self.knots.partition_point(|knot| knot.lambda >= lambda);
        let mut x = vec![0.0; self.columns];
        let Some(before) = after.checked_sub(1).map(|at| &self.knots[at]) else { return x };
        let Some(next) = self.knots.get(after) else { return self.end() };
        let share = (before.lambda - lambda) / (before.lambda - next.lambda);
        before.x.iter().for_each(|(j, value)| x[*j] += (1.0 - share) * value);
        next.x.iter().for_each(|(j, value)| x[*j] += share * value);
        x
    }
}

/// The path for `a` (n rows, one column a coefficient) and `b` (n values) down to the penalty `lambda_min`, or until the
/// next breakpoint would bring more than `max_support` coefficients into use.
///
/// Cost: rows x columns x breakpoints; memory 2 x rows x columns.
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::lasso::lasso_path;
/// let path = lasso_path(array![[1.0, 0.0], [0.0, 1.0]].view(), &[3.0, -2.0], 0.0, None)?;
/// assert_eq!(path.lambda_max(), 3.0);
/// assert_eq!(path.at(2.5), [0.5, 0.0]);
/// assert_eq!(path.end(), [3.0, -2.0]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// As [`Lasso::fit`](super::Lasso::fit); a path that does not end within 100 breakpoints for each row or column, of which
/// there are fewer, or that misses the conditions of optimality, as happens, seldom, where many columns of small whole
/// numbers tie exactly.
pub fn lasso_path(a: ArrayView2<f64>, b: &[f64], lambda_min: f64, max_support: Option<usize>) -> Result<LassoPath> {
    check_penalty(lambda_min)?;
    let problem = Problem::new(a, b)?;
    let mut path = Homotopy::new(&problem).run(lambda_min * problem.penalty, max_support.unwrap_or(usize::MAX))?;
    verify(&problem, &path)?;
    for knot in &mut path.knots {
        knot.lambda /= problem.penalty;
        knot.x.iter_mut().for_each(|(_, value)| *value *= problem.coefficient);
    }
    Ok(path)
}

/// Whether the conditions hold at both ends of every stretch, for all coefficients in use on it; then they hold between,
/// for they are linear in the penalty.
///
/// Many columns that reach the edge at once can leave the wrong ones in use, and a wrong path must not pass for one.
fn verify(problem: &Problem, path: &LassoPath) -> Result<()> {
    /// Of the largest penalty.
    const MISSED: f64 = 5e-9;
    let most = MISSED * path.lambda_max();
    let correlations = |knot: &Knot| {
        let mut residual = problem.b.clone();
        for (j, x) in &knot.x {
            residual.iter_mut().zip(problem.column(*j)).for_each(|(r, a)| *r -= x * a);
        }
        let mut found = vec![0.0; problem.len()];
        problem.correlations(&residual, &mut found);
        found
    };
    let mut before: Option<(&Knot, Vec<f64>)> = None;
    for knot in &path.knots {
        let here = correlations(knot);
        let mut holds = here.iter().all(|c| c.abs() <= knot.lambda + most);
        if let Some((last, there)) = &before {
            holds &= last.x.iter().chain(&knot.x).all(|(j, x)| {
                let off = |c: &[f64], lambda: f64| (c[*j] - lambda * x.signum()).abs();
                off(there, last.lambda).max(off(&here, knot.lambda)) <= most
            });
        }
        if !holds {
            let why = "too many columns tie exactly for the path to find its way; use `Lasso` at one penalty";
            return Err(Error::numeric("Lasso path", why));
        }
        before = Some((knot, here));
    }
    Ok(())
}

/// The x with the smallest l1 norm among those with A x = b: sparse, with at most as many coefficients as `a` has rows.
/// Where there are several, the one that the Lasso tends to as its penalty tends to 0.
///
/// # Errors
/// As [`lasso_path`]; a system without a solution (its residual is named).
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::lasso::basis_pursuit;
/// let a = array![[1.0, 0.0, 0.8, 0.6], [0.0, 1.0, 0.6, -0.8]];
/// let x = basis_pursuit(a.view(), &[1.6, 1.2])?;
/// assert!(x.iter().zip([0.0, 0.0, 2.0, 0.0]).all(|(x, want)| (x - want).abs() < 1e-12));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn basis_pursuit(a: ArrayView2<f64>, b: &[f64]) -> Result<Vec<f64>> {
    /// Of |b|: what counts as solved.
    const SOLVED: f64 = 1e-8;
    let x = lasso_path(a, b, 0.0, None)?.end();
    let size = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::hypot);
    let residual =
        size(&mut a.outer_iter().zip(b).map(|(row, b)| b - row.iter().zip(&x).map(|(a, x)| a * x).sum::<f64>()));
    let whole = size(&mut b.iter().copied());
    if residual > SOLVED * whole {
        let why = format!("A x = b has no solution: the nearest A x is {residual:.3e} away, and |b| is {whole:.3e}");
        return Err(Error::numeric("basis pursuit", format!("{why}; use a penalty above 0")));
    }
    Ok(x)
}

/// How near to lambda, relative to it, a correlation counts as having reached it.
const TIE: f64 = 1e-12;
/// How much slower than lambda a correlation must fall to break the conditions.
const SLOWER: f64 = 1e-9;
/// Of |b|: a residual that is rounding.
const ROUNDING: f64 = 1e-12;

/// P, s and what follows from them on one stretch.
struct Homotopy<'a> {
    problem: &'a Problem,
    /// P with its signs, in the order of the decomposition.
    support: Vec<(usize, f64)>,
    active: Active,
    /// a_j . r and a_j . u for all columns.
    fixed: Vec<f64>,
    moving: Vec<f64>,
    /// Whether a column is in P.
    used: Vec<bool>,
}

impl<'a> Homotopy<'a> {
    fn new(problem: &'a Problem) -> Self {
        let p = problem.len();
        Homotopy {
            problem,
            support: Vec::new(),
            active: Active::new(problem.rows),
            fixed: vec![0.0; p],
            moving: vec![0.0; p],
            used: vec![false; p],
        }
    }

    fn run(mut self, lambda_min: f64, max_support: usize) -> Result<LassoPath> {
        let (n, p) = (self.problem.rows, self.problem.len());
        self.problem.correlations(&self.problem.b, &mut self.fixed);
        let mut lambda = self.fixed.iter().fold(0.0, |most: f64, c| most.max(c.abs()));
        let mut knots = vec![Knot { lambda, x: Vec::new() }];
        // A column that was dropped, or is about to join, stands at +-lambda by construction and not by rounding.
        let mut at_edge: Option<(usize, f64)> = None;
        for _ in 0..100 * (n.min(p) + 10) {
            if lambda <= lambda_min || lambda <= 0.0 {
                return Ok(LassoPath { knots, columns: p });
            }
            let edge = self.edge(lambda, at_edge);
            self.descend(&edge);
            if self.support.len() > max_support {
                return Ok(LassoPath { knots, columns: p });
            }
            let stretch = self.stretch();
            let event = self.next_event(lambda, &edge, &stretch);
            lambda = event.map_or(0.0, |(lambda, _)| lambda).max(lambda_min);
            let mut x: Vec<(usize, f64)> = self.support.iter().map(|(j, _)| *j).zip(stretch.at(lambda)).collect();
            at_edge = event.map(|(_, who)| who).filter(|_| lambda > lambda_min);
            if let Some((out, _)) = at_edge.filter(|(j, _)| self.used[*j]) {
                x.retain(|(j, _)| *j != out);
                self.remove(out);
            }
            x.sort_unstable_by_key(|(j, _)| *j);
            x.retain(|(_, value)| *value != 0.0);
            // A step of length 0 (a tie) is no breakpoint of its own.
            if knots.last().is_some_and(|last| last.lambda <= lambda) {
                knots.pop();
            }
            knots.push(Knot { lambda, x });
        }
        Err(Error::numeric("Lasso path", "the columns tie too often for the path to end; use `Lasso` at one penalty"))
    }

    /// Columns outside P that stand at +-lambda, with the sign.
    fn edge(&self, lambda: f64, known: Option<(usize, f64)>) -> Vec<(usize, f64)> {
        let reached = |j: usize| {
            let c = self.fixed[j] + lambda * self.moving[j];
            let known = known.filter(|(known, _)| *known == j).map(|(_, sign)| sign);
            known.or_else(|| (c.abs() >= lambda * (1.0 - TIE)).then(|| c.signum())).map(|sign| (j, sign))
        };
        (0..self.used.len()).filter(|j| !self.used[*j]).filter_map(reached).collect()
    }

    /// Brings the columns of the edge into P whose correlation would else fall more slowly than lambda, and takes those
    /// out again whose coefficient would have the wrong sign.
    fn descend(&mut self, edge: &[(usize, f64)]) {
        let mut waiting = edge.to_vec();
        let old = self.support.len();
        // Growth of the coefficients of P as lambda falls: of those that were there before, any; of others, along s.
        let mut growth = self.active.slope(&self.signs());
        loop {
            let u = self.active.dual(&self.signs());
            let shortfall = |(j, sign): &(usize, f64)| 1.0 - sign * super::dot(self.problem.column(*j), &u);
            let shortfalls: Vec<f64> = waiting.iter().map(shortfall).collect();
            let worst = (0..waiting.len()).reduce(|best, at| if shortfalls[at] > shortfalls[best] { at } else { best });
            let Some(worst) = worst.filter(|worst| shortfalls[*worst] > SLOWER) else { return };
            let (j, sign) = waiting.remove(worst);
            if !self.active.push(self.problem.column(j)) {
                continue;
            }
            self.support.push((j, sign));
            self.used[j] = true;
            growth.push(0.0);
            loop {
                let wanted = self.active.slope(&self.signs());
                let blocked = |at: &usize| self.support[*at].1 * wanted[*at] <= 0.0;
                let reach = |at: usize| if growth[at] == 0.0 { 0.0 } else { growth[at] / (growth[at] - wanted[at]) };
                let first = (old..self.support.len()).filter(blocked).min_by(|a, b| reach(*a).total_cmp(&reach(*b)));
                let Some(first) = first else {
                    growth = wanted;
                    break;
                };
                let share = reach(first);
                growth.iter_mut().zip(&wanted).for_each(|(growth, wanted)| *growth += share * (wanted - *growth));
                growth.remove(first);
                let out = self.support[first];
                self.remove(out.0);
                if out.0 != j {
                    waiting.push(out);
                }
            }
        }
    }

    fn signs(&self) -> Vec<f64> {
        self.support.iter().map(|(_, sign)| *sign).collect()
    }

    fn remove(&mut self, out: usize) {
        let Some(at) = self.support.iter().position(|(j, _)| *j == out) else { return };
        self.support.remove(at);
        self.used[out] = false;
        self.active.truncate(at);
        self.support[at..].iter().for_each(|(j, _)| _ = self.active.push(self.problem.column(*j)));
    }

    fn stretch(&mut self) -> Stretch {
        let (b, signs) = (&self.problem.b, self.signs());
        let rest = self.active.residual(b);
        let length = |v: &[f64]| super::dot(v, v).sqrt();
        if self.active.len() == self.problem.rows || length(&rest) <= ROUNDING * length(b) {
            self.fixed.fill(0.0);
        } else {
            self.problem.correlations(&rest, &mut self.fixed);
        }
        self.problem.correlations(&self.active.dual(&signs), &mut self.moving);
        Stretch { start: self.active.least_squares(b), slope: self.active.slope(&signs) }
    }

    /// The largest penalty below `lambda` at which a coefficient reaches 0 or a column the edge, and which, with its sign.
    fn next_event(&self, lambda: f64, edge: &[(usize, f64)], stretch: &Stretch) -> Option<(f64, (usize, f64))> {
        let mut next: Option<(f64, (usize, f64))> = None;
        let mut offer = |at: f64, who: (usize, f64)| {
            let at = at.min(lambda);
            if at > 0.0 && next.is_none_or(|(most, _)| at > most) {
                next = Some((at, who));
            }
        };
        for ((&(j, sign), start), slope) in self.support.iter().zip(&stretch.start).zip(&stretch.slope) {
            if sign * slope < 0.0 {
                offer(start / slope, (j, sign));
            }
        }
        for j in (0..self.used.len()).filter(|j| !self.used[*j]) {
            for sign in [1.0, -1.0] {
                // lambda less the correlation falls to 0 as lambda falls.
                let closing = 1.0 - sign * self.moving[j];
                if closing > SLOWER && sign * self.fixed[j] > 0.0 && !edge.contains(&(j, sign)) {
                    offer(sign * self.fixed[j] / closing, (j, sign));
                }
            }
        }
        next
    }
}

/// x_P = start - lambda slope.
struct Stretch {
    start: Vec<f64>,
    slope: Vec<f64>,
}

impl Stretch {
    fn at(&self, lambda: f64) -> impl Iterator<Item = f64> {
        self.start.iter().zip(&self.slope).map(move |(start, slope)| start - lambda * slope)
    }
}
