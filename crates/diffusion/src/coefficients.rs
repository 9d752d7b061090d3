//! What a plan's steps come to: numbers that states and answers are multiplied with.
//!
//! Over a step from s to t with h = λ(t) - λ(s), and F the data or the noise prediction with its derivatives by λ at s:
//!
//! - noise: x(t) = α(t)/α(s) x(s) - σ(t) Σᵢ hⁱ⁺¹ φᵢ₊₁(h) F⁽ⁱ⁾
//! - data:  x(t) = σ(t)/σ(s) x(s) + α(t) Σᵢ hⁱ⁺¹ φᵢ₊₁(-h) F⁽ⁱ⁾
//!
//! where φ₁(u) = (eᵘ - 1)/u and φᵢ₊₁(u) = (φᵢ(u) - 1/i!)/u. Derivatives are Σⱼ aⱼ (Fⱼ - F(s)) over some points j.

use crate::plan::{Corrector, Form, Relaxation, Step};
use crate::{Level, Plan};
use quadrat_core::Result;

/// A step as a sum: `base` times a state, `terms` times answers, and noise.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Update {
    pub form: Form,
    pub start: usize,
    pub base: f64,
    /// Number of an answer, and what it is multiplied with.
    pub terms: Vec<(usize, f64)>,
    /// Standard deviation of the fresh noise.
    pub noise: f64,
}

/// φ₁ to φ₅ at u.
pub(crate) fn phis(u: f64) -> [f64; 5] {
    if u.abs() < 1.0 {
        // φᵢ(u) = Σⱼ uʲ / (i + j)!; the recurrence loses digits near 0.
        return std::array::from_fn(|i| {
            let mut term = 1.0 / (1..=i + 1).product::<usize>() as f64;
            let mut sum = 0.0;
            for j in i + 2..i + 22 {
                sum += term;
                term *= u / j as f64;
            }
            sum
        });
    }
    let mut phi = u.exp_m1() / u;
    let mut factorial = 1.0;
    std::array::from_fn(|i| {
        let found = phi;
        factorial *= (i + 1) as f64;
        phi = (phi - 1.0 / factorial) / u;
        found
    })
}

/// For each derivative from the first to the `orders`-th, times hⁱ: the weights of the points at `distances` (λⱼ - λ(s)) / h, which are
/// the solution of Σⱼ aⱼ distanceⱼᵐ / m! = \[m = i\].
fn derivatives(distances: &[f64], orders: usize) -> Vec<Vec<f64>> {
    let n = distances.len();
    (1..=orders)
        .map(|i| {
            let mut rows: Vec<Vec<f64>> = (1..=n)
                .map(|m| {
                    let factorial: f64 = (1..=m).product::<usize>() as f64;
                    let mut row: Vec<f64> = distances.iter().map(|d| d.powi(m as i32) / factorial).collect();
                    row.push(f64::from(u8::from(m == i)));
                    row
                })
                .collect();
            eliminate(&mut rows)
        })
        .collect()
}

/// Solves n equations with the right-hand side in the last column, by elimination with pivots.
fn eliminate(rows: &mut [Vec<f64>]) -> Vec<f64> {
    let n = rows.len();
    for c in 0..n {
        let pivot = (c..n).max_by(|&a, &b| rows[a][c].abs().total_cmp(&rows[b][c].abs())).unwrap_or(c);
        rows.swap(c, pivot);
        let (above, below) = rows.split_at_mut(c + 1);
        for row in below {
            let factor = row[c] / above[c][c];
            row.iter_mut().zip(&above[c]).skip(c).for_each(|(v, p)| *v -= factor * p);
        }
    }
    let mut solution = vec![0.0; n];
    for c in (0..n).rev() {
        let known: f64 = (c + 1..n).map(|j| rows[c][j] * solution[j]).sum();
        solution[c] = (rows[c][n] - known) / rows[c][c];
    }
    solution
}

impl Relaxation {
    /// The factor at u = ±h.
    fn factor(self, u: f64, h: f64) -> f64 {
        // (eᵘ - 1 - u) / u² = φ₂.
        let second = phis(u)[1];
        match self {
            Relaxation::None => 1.0,
            Relaxation::Bh1 => 0.5 / second,
            Relaxation::Bh2 => 0.5 * u.exp_m1() / (u * second),
            Relaxation::Linear(c) => 1.0 + c * h,
        }
    }
}

/// The step from `start` to `to`, its derivatives estimated from the answers at `active` points.
fn update(step: &Step, order: usize, levels: &[Level], start: usize, to: usize, active: &[usize]) -> Update {
    let (from, target) = (levels[start], levels[to]);
    let (lambda, h) = (from.lambda(), target.lambda() - from.lambda());
    // e^(-η'h), of which 1 is the way without noise: fresh noise is to have a variance of σ²(1 - e^(-2η'h)) = η²σ²(1 - e^(-2h)).
    let kept = (1.0 + step.eta * step.eta * (-2.0 * h).exp_m1()).sqrt();
    let stretched = h - kept.ln();
    let u = if step.form == Form::Data { -stretched } else { h };
    // What multiplies hⁱ F⁽ⁱ⁾.
    let (base, weigh): (f64, Box<dyn Fn(f64) -> f64>) = match step.form {
        Form::Data => (target.sigma / from.sigma * kept, Box::new(|phi| target.alpha * stretched * phi)),
        Form::Noise => (target.alpha / from.alpha, Box::new(|phi| -target.sigma * h * phi)),
    };
    // To clean data h is infinite, and h φ₁(-h) is 1.
    let first = if h.is_infinite() { target.alpha } else { weigh(phis(u)[0]) };
    let mut terms = vec![(start, first)];
    if order > 1 {
        let distances: Vec<f64> = active.iter().map(|&j| (levels[j].lambda() - lambda) / h).collect();
        let phis = phis(u);
        let mut each = vec![0.0; active.len()];
        for (i, weights) in derivatives(&distances, order - 1).into_iter().enumerate() {
            let relaxed = if i == 0 { step.relaxation.factor(u, h) } else { 1.0 };
            let scale = weigh(phis[i + 1]) * relaxed;
            each.iter_mut().zip(weights).for_each(|(sum, a)| *sum += scale * a);
        }
        terms[0].1 -= each.iter().sum::<f64>();
        terms.extend(active.iter().copied().zip(each));
    }
    Update { form: step.form, start, base, terms, noise: target.sigma * (1.0 - kept * kept).max(0.0).sqrt() }
}

/// Each step of a plan, and where a step is corrected, its second form.
pub(crate) fn compile(plan: &Plan) -> Result<Vec<(Update, Option<Update>)>> {
    plan.check()?;
    let levels = plan.levels();
    let steps = plan.steps.iter().enumerate().map(|(k, step)| {
        let start = k - step.back;
        let mut active: Vec<usize> = (0..=k).rev().filter(|j| *j != start).take(step.points).collect();
        let predictor = update(step, step.order, &levels, start, k + 1, &active);
        let corrector = (step.corrector != Corrector::None).then(|| {
            active.insert(0, k + 1);
            // The factors are those of one point's estimate: a corrector from more points is the plain series.
            let relaxation = if active.len() == 1 { step.relaxation } else { Relaxation::None };
            update(&Step { relaxation, ..*step }, step.order + 1, &levels, start, k + 1, &active)
        });
        (predictor, corrector)
    });
    Ok(steps.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phis_follow_their_recurrence() {
        for u in [-30.0f64, -3.0, -1.0, -0.999, -0.5, -1e-3, 1e-9, 0.2, 0.999, 1.0, 4.0] {
            let found = phis(u);
            let mut factorial = 1.0;
            let mut before = u.exp();
            for (i, phi) in found.iter().enumerate() {
                let gap = (before - 1.0 / factorial) - u * phi;
                assert!(gap.abs() < 1e-13 * before.abs().max(1.0), "φ{} at {u}: {gap}", i + 1);
                before = *phi;
                factorial *= (i + 1) as f64;
            }
        }
        assert_eq!(phis(0.0), [1.0, 0.5, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0]);
    }

    #[test]
    fn derivatives_of_polynomials_are_exact() {
        // f(x) = 2x - 3x² + x³, f(0) = 0: derivatives 2, -6, 6.
        let points = [-0.5, -1.25, 0.75];
        let f = |x: f64| 2.0 * x - 3.0 * x * x + x * x * x;
        let found: Vec<f64> = derivatives(&points, 3)
            .iter()
            .map(|weights| weights.iter().zip(points).map(|(a, x)| a * f(x)).sum())
            .collect();
        for (found, exact) in found.iter().zip([2.0, -6.0, 6.0]) {
            assert!((found - exact).abs() < 1e-12, "{found} for {exact}");
        }
    }
}
