//! The convex problem behind every l_p sensitivity and every l_p regression: the smallest l_p norm on an affine set.
//!
//! Both minimisers return the point together with a lower bound on the minimum from duality, so a caller knows how far
//! from optimal a point can be at most, instead of trusting a stopping rule.

use quadrat_numeric::vectorised;

/// Minimise `sum_j |offset_j + rows_j . y|^p` over y; for p = 1 with `slope . y + constant` added.
///
/// Bounds count what rounding leaves of dual infeasibility at its worst, for which the coordinates must be such that |y| is
/// at most the l_p norm of `rows . y` (for p > 2, times m^(1/2 - 1/p)). That is so where the columns are orthonormal or the
/// unit ball is the Lewis ellipsoid of all rows; a minimiser is then within twice the norm at 0.
pub(crate) struct Affine {
    /// m rows of k values, row-major.
    pub rows: Vec<f64>,
    /// m values: the residuals at y = 0.
    pub offset: Vec<f64>,
    /// k values: the linear part of the objective.
    pub slope: Vec<f64>,
    /// The constant part of the objective.
    pub constant: f64,
}

/// A point and what is known of it.
pub(crate) struct Minimum {
    /// The minimiser, k values.
    pub y: Vec<f64>,
    /// The objective there: for p = 1 with the linear part, otherwise the l_p norm of the residuals (not its power).
    pub value: f64,
    /// No point has a smaller objective.
    pub bound: f64,
    /// Steps taken.
    pub iterations: usize,
}

impl Minimum {
    /// How far `value` may be above the minimum, relative to it.
    pub fn gap(&self) -> f64 {
        (self.value - self.bound) / self.value.max(f64::MIN_POSITIVE)
    }
}

impl Affine {
    /// A problem with `k` unknowns and no linear part.
    pub fn new(rows: Vec<f64>, offset: Vec<f64>, k: usize) -> Self {
        Affine { rows, offset, slope: vec![0.0; k], constant: 0.0 }
    }

    /// The triangular R (its transpose in the lower triangle of `triangle`) of the weighted rows, by Gram-Schmidt on the
    /// columns. The weights of interior points span more than the sixteen digits that their Gram matrix would keep.
    #[inline(always)]
    fn orthogonalise(&self, w: &[f64], columns: &mut [f64], triangle: &mut [f64]) {
        let (m, k) = (self.offset.len(), self.slope.len());
        for (j, (row, w)) in self.rows.chunks_exact(k).zip(w).enumerate() {
            let root = w.sqrt();
            row.iter().enumerate().for_each(|(a, value)| columns[a * m + j] = root * value);
        }
        for a in 0..k {
            let (done, open) = columns.split_at_mut((a + 1) * m);
            let own = &mut done[a * m..];
            let length = dot8(own, own).sqrt();
            // A column that the others leave nothing of has no say: an infinite pivot is a zero step.
            let whole = triangle[a * k..a * k + a].iter().fold(length, |sum, share| sum.hypot(*share));
            triangle[a * k + a] = if length > 1e-15 * whole { length } else { f64::INFINITY };
            own.iter_mut().for_each(|value| *value /= triangle[a * k + a]);
            for (b, column) in (a + 1..k).zip(open.chunks_exact_mut(m)) {
                let share = dot8(own, column);
                triangle[b * k + a] = share;
                column.iter_mut().zip(own.iter()).for_each(|(value, own)| *value -= share * own);
            }
        }
    }

    /// `sum_j w_j rows_j (rows_j . x)` subtracted from `out`.
    #[inline(always)]
    fn subtract_product(&self, w: &[f64], x: &[f64], out: &mut [f64]) {
        for (row, w) in self.rows.chunks_exact(x.len()).zip(w) {
            let pull = w * dot(row, x);
            out.iter_mut().zip(row).for_each(|(out, value)| *out -= pull * value);
        }
    }

    /// Solves `rows^T W rows x = rhs` with that triangle, and once more for what rounding left.
    #[inline(always)]
    fn solve_refined(&self, w: &[f64], triangle: &[f64], rhs: &[f64], x: &mut [f64]) {
        x.copy_from_slice(rhs);
        solve(triangle, x);
        let mut left = rhs.to_vec();
        self.subtract_product(w, x, &mut left);
        solve(triangle, &mut left);
        x.iter_mut().zip(&left).for_each(|(x, left)| *x += left);
    }

    /// `sum_j t_j rows_j` added to `sum`.
    #[inline(always)]
    fn add_combination(&self, t: &[f64], sum: &mut [f64]) {
        for (row, t) in self.rows.chunks_exact(sum.len()).zip(t) {
            sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += t * value);
        }
    }

    /// `rows . direction`.
    #[inline(always)]
    fn along(&self, direction: &[f64], out: &mut [f64]) {
        for (row, out) in self.rows.chunks_exact(direction.len()).zip(out) {
            *out = dot(row, direction);
        }
    }

    /// p = 1: a primal-dual interior-point method (Mehrotra 1992, in the form that Portnoy and Koenker 1997 give for
    /// absolute residuals). Residuals are split as r = u - v with u, v > 0, the dual is -1 < lambda < 1 with
    /// `rows^T lambda + slope = 0`, and steps lead along u (1 - lambda) = v (1 + lambda) = mu -> 0. Unlike re-weighted
    /// least squares it does not stall at residuals that are zero at the optimum.
    pub fn minimise_l1(&self, tolerance: f64) -> Minimum {
        vectorised(
            #[inline(always)]
            || self.follow_centre(tolerance),
        )
    }

    #[inline(always)]
    fn follow_centre(&self, tolerance: f64) -> Minimum {
        let (m, k) = (self.offset.len(), self.slope.len());
        let mut y = vec![0.0; k];
        let mut r = self.offset.clone();
        let size = r.iter().map(|r| r.abs()).sum::<f64>() + self.constant;
        if k == 0 || size == 0.0 {
            return Minimum { y, value: size, bound: size, iterations: 0 };
        }
        // Start on the central curve r = 2 mu lambda / (1 - lambda^2) of a mu that suits the residuals.
        let mu = 0.5 * size / m as f64;
        let lambda = |r: &f64| r / (mu + mu.hypot(*r));
        let mut s: Vec<f64> = r.iter().map(|r| 1.0 - lambda(r)).collect(); // 1 - lambda
        let mut t: Vec<f64> = r.iter().map(|r| 1.0 + lambda(r)).collect(); // 1 + lambda
        let mut u: Vec<f64> = s.iter().map(|s| mu / s).collect();
        let mut v: Vec<f64> = t.iter().map(|t| mu / t).collect();
        let [mut w, mut e, mut rho_u, mut rho_v, mut step] = std::array::from_fn(|_| vec![0.0; m]);
        let [mut rhs, mut dual_residual, mut dy] = std::array::from_fn(|_| vec![0.0; k]);
        let (mut columns, mut triangle) = (vec![0.0; k * m], vec![0.0; k * k]);
        let mut best = Minimum { y: y.clone(), value: f64::INFINITY, bound: f64::NEG_INFINITY, iterations: 0 };
        for iteration in 0..60 {
            // Where are we? lambda . offset is a lower bound on the minimum up to (dual residual) . y there.
            let linear = dot(&self.slope, &y) + self.constant;
            let value = r.iter().map(|r| r.abs()).sum::<f64>() + linear;
            dual_residual.iter_mut().zip(&self.slope).for_each(|(d, s)| *d = -s);
            for (row, (s, t)) in self.rows.chunks_exact(k).zip(s.iter().zip(&t)) {
                let lambda = 0.5 * (t - s);
                dual_residual.iter_mut().zip(row).for_each(|(d, value)| *d -= lambda * value);
            }
            let dual: f64 = s.iter().zip(&t).zip(&self.offset).map(|((s, t), o)| 0.5 * (t - s) * o).sum();
            let infeasible: f64 = dual_residual.iter().map(|d| d.abs()).sum();
            if value < best.value {
                best.value = value;
                best.y.copy_from_slice(&y);
            }
            best.bound = best.bound.max(dual + self.constant - 2.0 * size * infeasible);
            best.iterations = iteration;
            // Below 0 the linear part has outgrown the residuals: its signs were wrong, and there may be no minimum.
            if best.value < 0.0 || best.value - best.bound <= tolerance * best.value {
                break;
            }
            // Predictor: aim at mu = 0.
            for j in 0..m {
                w[j] = 1.0 / (u[j] / s[j] + v[j] / t[j]);
                e[j] = -r[j];
                step[j] = w[j] * e[j];
            }
            rhs.copy_from_slice(&dual_residual);
            self.add_combination(&step, &mut rhs);
            self.orthogonalise(&w, &mut columns, &mut triangle);
            self.solve_refined(&w, &triangle, &rhs, &mut dy);
            self.along(&dy, &mut step);
            let (mut primal, mut dual_step) = (1.0_f64, 1.0_f64);
            for j in 0..m {
                let d = (step[j] - e[j]) * w[j];
                let (du, dv) = (u[j] * (d / s[j] - 1.0), -v[j] * (1.0 + d / t[j]));
                (rho_u[j], rho_v[j]) = (du * d, -dv * d);
                primal = primal.min(reach_zero(u[j], du)).min(reach_zero(v[j], dv));
                dual_step = dual_step.min(reach_zero(s[j], -d)).min(reach_zero(t[j], d));
                step[j] = d;
            }
            let (mut now, mut ahead) = (0.0, 0.0);
            for j in 0..m {
                let d = step[j];
                let (du, dv) = (u[j] * (d / s[j] - 1.0), -v[j] * (1.0 + d / t[j]));
                now += u[j] * s[j] + v[j] * t[j];
                ahead += (u[j] + primal * du) * (s[j] - dual_step * d) + (v[j] + primal * dv) * (t[j] + dual_step * d);
            }
            // Corrector: aim at the mu that the predictor's success suggests, and undo its second-order error.
            let target = (ahead / now).powi(3) * now / (2 * m) as f64;
            rhs.copy_from_slice(&dual_residual);
            for j in 0..m {
                rho_u[j] += target - u[j] * s[j];
                rho_v[j] += target - v[j] * t[j];
                e[j] = rho_u[j] / s[j] - rho_v[j] / t[j];
            }
            step.iter_mut().zip(w.iter().zip(&e)).for_each(|(step, (w, e))| *step = w * e);
            self.add_combination(&step, &mut rhs);
            self.solve_refined(&w, &triangle, &rhs, &mut dy);
            self.along(&dy, &mut step);
            (primal, dual_step) = (1.0 / SHY, 1.0 / SHY);
            for j in 0..m {
                let d = (step[j] - e[j]) * w[j];
                (rho_u[j], rho_v[j]) = ((rho_u[j] + u[j] * d) / s[j], (rho_v[j] - v[j] * d) / t[j]);
                primal = primal.min(reach_zero(u[j], rho_u[j])).min(reach_zero(v[j], rho_v[j]));
                dual_step = dual_step.min(reach_zero(s[j], -d)).min(reach_zero(t[j], d));
                e[j] = d;
            }
            (primal, dual_step) = (primal * SHY, dual_step * SHY);
            if !(primal > 1e-12 && dual_step > 1e-12) {
                break; // Rounding leaves no room: the best point so far and its bound stand.
            }
            y.iter_mut().zip(&dy).for_each(|(y, d)| *y += primal * d);
            self.along(&y, &mut r);
            for j in 0..m {
                r[j] += self.offset[j];
                u[j] += primal * rho_u[j];
                v[j] += primal * rho_v[j];
                s[j] -= dual_step * e[j];
                t[j] += dual_step * e[j];
            }
        }
        best
    }

    /// p > 1: iteratively re-weighted least squares with weights |r|^(p-2), whose direction is also Newton's. For p <= 2
    /// whole steps never raise the objective; for p > 2 Newton's length 1/(p - 1) is halved until it falls enough. The weighted residuals after
    /// a full step are dual feasible (`rows^T lambda = 0`), so Hoelder's inequality gives the bound.
    pub fn minimise_lp(&self, p: f64, tolerance: f64) -> Minimum {
        vectorised(
            #[inline(always)]
            || self.reweight(p, tolerance),
        )
    }

    #[inline(always)]
    fn reweight(&self, p: f64, tolerance: f64) -> Minimum {
        let (m, k) = (self.offset.len(), self.slope.len());
        let mut y = vec![0.0; k];
        let mut r = self.offset.clone();
        let mut best = Minimum { y: y.clone(), value: norm(&r, p), bound: 0.0, iterations: 0 };
        if k == 0 || best.value == 0.0 {
            best.bound = best.value;
            return best;
        }
        let [mut w, mut wr, mut step] = std::array::from_fn(|_| vec![0.0; m]);
        let [mut descent, mut dy, mut infeasible] = std::array::from_fn(|_| vec![0.0; k]);
        let (mut columns, mut triangle) = (vec![0.0; k * m], vec![0.0; k * k]);
        // No minimiser is farther from 0 than this.
        let reach = 2.0 * best.value * (m as f64).powf((0.5 - 1.0 / p).max(0.0));
        for iteration in 1..=MOST_STEPS {
            best.iterations = iteration;
            let top = r.iter().fold(0.0_f64, |top, r| top.max(r.abs()));
            if top == 0.0 {
                break;
            }
            // x^(p-2), kept from infinity at 0 for p < 2, and x^p, which is not affected by that.
            let weight = |x: f64| power(x.max(1e-10), p - 2.0);
            let mut start = 0.0;
            for j in 0..m {
                let x = r[j].abs() / top;
                w[j] = weight(x);
                wr[j] = -w[j] * r[j];
                start += w[j] * x * x;
            }
            descent.fill(0.0);
            self.add_combination(&wr, &mut descent);
            self.orthogonalise(&w, &mut columns, &mut triangle);
            self.solve_refined(&w, &triangle, &descent, &mut dy);
            self.along(&dy, &mut step);
            let slope = -p * dot(&descent, &dy) / (top * top);
            // The gap is no smaller than what the step promises, so as long as that is much, the bound is not worth its
            // powers.
            if -slope <= tolerance.sqrt() * start {
                // The dual point lambda = w (r + step).
                wr.iter_mut().zip(&w).zip(&step).for_each(|((l, w), d)| *l = w * d - *l);
                infeasible.fill(0.0);
                self.add_combination(&wr, &mut infeasible);
                let lost = reach * infeasible.iter().map(|sum| sum.abs()).sum::<f64>();
                best.bound = best.bound.max((dot(&wr, &self.offset) - lost) / norm(&wr, p / (p - 1.0)));
                if best.gap() <= tolerance {
                    break;
                }
            }
            let objective = |length: f64| -> f64 {
                let moved = r.iter().zip(&step).map(|(r, d)| (r + length * d).abs() / top);
                moved.map(|x| weight(x) * x * x).sum()
            };
            let mut length = (1.0 / (p - 1.0)).min(1.0);
            while objective(length) > start + 1e-4 * length * slope && length > 1e-12 {
                length *= 0.5;
            }
            y.iter_mut().zip(&dy).for_each(|(y, d)| *y += length * d);
            self.along(&y, &mut r);
            r.iter_mut().zip(&self.offset).for_each(|(r, offset)| *r += offset);
            let value = norm(&r, p);
            if value < best.value {
                best.value = value;
                best.y.copy_from_slice(&y);
            }
        }
        best
    }
}

/// Steps of the re-weighted iteration; near p = 1 it needs some hundreds, elsewhere some ten.
const MOST_STEPS: usize = 500;

/// How close to the boundary an interior-point step may go.
const SHY: f64 = 0.9995;

/// How far one may go from `x > 0` along `dx` until it is 0.
#[inline(always)]
fn reach_zero(x: f64, dx: f64) -> f64 {
    if dx < 0.0 { -x / dx } else { f64::INFINITY }
}

/// a . b for long slices, with eight running sums.
#[inline(always)]
pub(crate) fn dot8(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum::<f64>() + dot(a_rest, b_rest)
}

/// a . b
#[inline(always)]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// x^p for x > 0; where 2 p is whole, without a logarithm.
#[inline(always)]
fn power(x: f64, p: f64) -> f64 {
    let twice = 2.0 * p;
    if twice != twice.trunc() || twice.abs() > 16.0 {
        return x.powf(p);
    }
    let whole = x.powi(p.floor() as i32);
    if twice.rem_euclid(2.0) == 1.0 { whole * x.sqrt() } else { whole }
}

/// The l_p norm, scaled so that no power overflows.
#[inline(always)]
pub(crate) fn norm(r: &[f64], p: f64) -> f64 {
    let top = r.iter().fold(0.0_f64, |top, r| top.max(r.abs()));
    if top == 0.0 {
        return 0.0;
    }
    let powers = r.iter().map(|r| r.abs() / top).map(|x| if x > 0.0 { power(x, p) } else { 0.0 });
    top * powers.sum::<f64>().powf(1.0 / p)
}

/// Solves R^T R x = x in place.
fn solve(triangle: &[f64], x: &mut [f64]) {
    let k = x.len();
    for a in 0..k {
        x[a] = (x[a] - dot(&triangle[a * k..a * k + a], &x[..a])) / triangle[a * k + a];
    }
    for a in (0..k).rev() {
        x[a] /= triangle[a * k + a];
        for b in 0..a {
            x[b] -= triangle[a * k + b] * x[a];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Seed;

    /// min |1 + y| + |2 - y| + |4 - 2y| has its minimum 3 at y = 2, a vertex.
    #[test]
    fn absolute_residuals_reach_the_vertex() {
        let problem = Affine::new(vec![1.0, -1.0, -2.0], vec![1.0, 2.0, 4.0], 1);
        let found = problem.minimise_l1(1e-12);
        assert!((found.y[0] - 2.0).abs() < 1e-9 && (found.value - 3.0).abs() < 1e-9, "{:?}", found.y);
        assert!(found.bound <= found.value && found.gap() < 1e-11);
        let tilted = Affine { slope: vec![-3.0], constant: 10.0, ..problem };
        assert!((tilted.minimise_l1(1e-12).value - 7.0).abs() < 1e-9);
    }

    #[test]
    fn every_power_closes_its_gap() {
        let (m, k) = (60, 4);
        let mut rng = Seed(1).rng(0);
        let mut draw = |n: usize| (0..n).map(|_| rng.normal().powi(3)).collect::<Vec<f64>>();
        let problem = Affine::new(draw(m * k), draw(m), k);
        assert!(problem.minimise_l1(1e-9).gap() <= 1e-9);
        for p in [1.1, 1.5, 2.0, 3.0, 4.0, 8.0] {
            let found = problem.minimise_lp(p, 1e-10);
            assert!(found.gap() <= 1e-10, "p {p}: gap {}", found.gap());
            // Every step from there leads up.
            for (direction, sign) in (0..k).flat_map(|d| [(d, 1e-3), (d, -1e-3)]) {
                let mut y = found.y.clone();
                y[direction] += sign;
                let r: Vec<f64> = (0..m).map(|j| problem.offset[j] + dot(&problem.rows[j * k..][..k], &y)).collect();
                assert!(norm(&r, p) > found.value, "p {p}");
            }
        }
    }

    #[test]
    fn degenerate_problems_have_an_answer() {
        // No unknowns; zero residuals; an unknown that touches nothing; an exact fit.
        assert_eq!(Affine::new(vec![], vec![3.0, -1.0], 0).minimise_l1(1e-9).value, 4.0);
        assert_eq!(Affine::new(vec![1.0, 1.0], vec![0.0, 0.0], 1).minimise_lp(3.0, 1e-9).value, 0.0);
        let idle = Affine::new(vec![1.0, 0.0, -1.0, 0.0, 1.0, 0.0], vec![1.0, 2.0, 5.0], 2);
        assert!((idle.minimise_l1(1e-9).value - 7.0).abs() < 1e-6);
        assert!(idle.minimise_lp(1.5, 1e-9).gap() <= 1e-9);
        let exact = Affine::new(vec![1.0, 2.0], vec![3.0, 6.0], 1);
        assert!(exact.minimise_l1(1e-9).value < 1e-6 && exact.minimise_lp(4.0, 1e-9).value < 1e-2);
    }
}
