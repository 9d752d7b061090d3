//! Kernel herding: a subset whose mean is the pool's mean, in a kernel's feature space.
//!
//! Chen, Welling and Smola, UAI 2010: x_{t+1} = argmax_x [ E k(x, X) - 1/(t+1) sum_{s <= t} k(x, x_s) ], with the Gaussian
//! kernel k(x, y) = exp(-|x - y|^2 / (2 h^2)). Each row is taken at most once here.

use crate::rows::{self, BLOCK, Rows, first_largest};
use crate::{Cost, Needs, Pool, Selection, Selector};
use ndarray::{Array2, s};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings, checkpoint, stats};
use quadrat_numeric::neighbours::squared_distance;
use rayon::prelude::*;

/// Kernel herding: parameters.
///
/// A row's score is the value that made it the choice; of equal values the first row. Weights are rows / budget.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::Points;
/// use quadrat_select::{Herding, Pool, Selector};
/// // Two rows in three are near 0: so are two of three chosen rows.
/// let pool = Pool::of_points(Points::F64(array![[0.0], [0.1], [0.2], [0.3], [9.0], [9.1]]));
/// let chosen = Herding { bandwidth: Some(1.0), ..Herding::default() }.select(&pool, 3, Seed(1), &Silent)?;
/// assert_eq!(chosen.indices.iter().filter(|i| **i < 4).count(), 2);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Herding {
    /// Width h of the Gaussian kernel; auto is the median distance of 1,000 random pairs. (1 if that is 0.)
    #[param(none = "auto", above = 0)]
    pub bandwidth: Option<f64>,
    /// Random rows that stand for the pool in the kernel's mean, which is exact for pools up to this size.
    #[param(default = 4096, from = 1)]
    pub references: usize,
}

impl Herding {
    fn bandwidth(&self, rows: &Rows, seed: Seed) -> f64 {
        self.bandwidth.unwrap_or_else(|| {
            let mut rng = seed.stream("pairs").rng(0);
            let distances: Vec<f64> = (0..1000)
                .map(|_| squared_distance(rows.row(rng.below(rows.len())), rows.row(rng.below(rows.len()))).sqrt())
                .collect();
            Some(stats::median(&distances)).filter(|h| *h > 0.0).unwrap_or(1.0)
        })
    }
}

impl Method for Herding {
    const CARD: Card = Card {
        slug: "herding",
        aliases: &["kernel-herding"],
        title: "Kernel herding",
        paper: "Chen, Welling, Smola, Super-Samples from Kernel Herding, UAI 2010, arXiv 1203.3472",
        area: Area::Select,
        verbs: &["select"],
        summary: "Rows whose distribution is as close as possible to the pool's: like a random subset, but without its \
                  luck. All weights are equal.",
        useful_when: "a small subset with the same distribution as the whole, better than random subsampling, estimate \
                      means from few rows",
        cost: "time O(rows x (references + budget) x features); memory 24 bytes a row and two copies of the features",
        params: Self::PARAMS,
    };
}

impl Selector for Herding {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs { points: true, ..Needs::default() }
    }

    fn weighs(&self) -> bool {
        true
    }

    fn cost(&self, rows: usize, cols: usize, budget: usize) -> Cost {
        let (n, d) = (rows as f64, cols as f64);
        let operations = n * (self.references.min(rows) + budget) as f64 * (3.0 * d + 20.0);
        Cost { operations, bytes: n * (24.0 + 12.0 * d) }
    }

    fn select(&self, pool: &Pool, budget: usize, seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        if let Some(h) = self.bandwidth.filter(|h| !(h.is_finite() && *h > 0.0)) {
            return Err(Error::input("bandwidth", h, "use a finite number above 0"));
        }
        if self.references == 0 {
            return Err(Error::input("references", 0, "use at least 1"));
        }
        let rows = Rows::centred(rows::points(pool)?)?;
        let seed = seed.stream("herding");
        let h = self.bandwidth(&rows, seed);
        let rate = -0.5 / (h * h);
        let mut references = seed.stream("references").rng(0).sample(pool.rows, self.references);
        references.sort_unstable();
        let mean = kernel_means(&rows, &references, rate, progress)?;

        // w_i = sum over the chosen rows of k(x_i, x_s); a chosen row never wins again.
        let mut chosen_sum = vec![0.0_f64; pool.rows];
        let mut objective = mean.clone();
        let (mut indices, mut values) = (Vec::with_capacity(budget), Vec::with_capacity(budget));
        progress.begin("choosing rows", Some(budget as u64));
        while let Some(best) = first_largest(&objective).filter(|_| indices.len() < budget) {
            checkpoint(progress)?;
            progress.advance(1);
            indices.push(best);
            values.push(objective[best]);
            chosen_sum[best] = f64::INFINITY;
            let (at, share) = (rows.row(best), 1.0 / (indices.len() + 1) as f64);
            chosen_sum.par_chunks_mut(BLOCK).zip(objective.par_chunks_mut(BLOCK)).enumerate().for_each(
                |(block, (sums, objective))| {
                    for (j, (sum, objective)) in sums.iter_mut().zip(objective).enumerate() {
                        let i = block * BLOCK + j;
                        *sum += (rate * squared_distance(rows.row(i), at)).exp();
                        *objective = mean[i] - *sum * share;
                    }
                },
            );
        }
        let weights = Some(vec![pool.rows as f64 / budget as f64; budget]);
        let notes = vec![("bandwidth".to_owned(), format!("{h:.6}"))];
        Ok(Selection { indices, weights, scores: Some(values), notes })
    }
}

/// The mean kernel value of each row with the reference rows, a block of rows at a time: squared distances come from
/// |x|^2 + |y|^2 - 2 x.y in double precision, so that most of the work is a matrix product.
fn kernel_means(rows: &Rows, references: &[usize], rate: f64, progress: &dyn Progress) -> Result<Vec<f64>> {
    let x = rows.view()?;
    // From the centre, so that the squares do not cancel.
    let centre = rows.mean()?.mapv(f64::from);
    let to_f64 = |part: ndarray::ArrayView2<f32>| -> Array2<f64> { part.mapv(f64::from) - &centre };
    let y = to_f64(x.select(ndarray::Axis(0), references).view());
    let y_squares: Vec<f64> = y.rows().into_iter().map(|r| r.dot(&r)).collect();
    const ROWS: usize = 64;
    progress.begin("mean of the kernel", Some(rows.len() as u64));
    let mut means = vec![0.0; rows.len()];
    means.par_chunks_mut(ROWS).enumerate().try_for_each(|(block, means)| {
        checkpoint(progress)?;
        let part = to_f64(x.slice(s![block * ROWS..block * ROWS + means.len(), ..]));
        let products = part.dot(&y.t());
        for ((mean, row), products) in means.iter_mut().zip(part.rows()).zip(products.rows()) {
            let square = row.dot(&row);
            let kernel = |(product, y): (&f64, &f64)| (rate * (square + y - 2.0 * product).max(0.0)).exp();
            *mean = products.iter().zip(&y_squares).map(kernel).sum::<f64>() / references.len() as f64;
        }
        progress.advance(means.len() as u64);
        Ok(())
    })?;
    Ok(means)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Silent;
    use quadrat_numeric::Points;

    fn points(n: usize, seed: u64) -> Array2<f32> {
        let mut rng = Seed(seed).stream("herding test").rng(0);
        Array2::from_shape_simple_fn((n, 2), || rng.normal() as f32)
    }

    fn kernel(x: &Array2<f32>, i: usize, j: usize, h: f64) -> f64 {
        let d = x.row(i).mapv(f64::from) - x.row(j).mapv(f64::from);
        (-d.dot(&d) / (2.0 * h * h)).exp()
    }

    #[test]
    fn every_pick_maximises_the_definition() {
        for seed in 0..10 {
            let (n, h) = (70, 0.8);
            let x = points(n, seed);
            let method = Herding { bandwidth: Some(h), ..Herding::default() };
            let chosen = method.select(&Pool::of_points(Points::F32(x.clone())), 20, Seed(seed), &Silent).unwrap();
            for (t, (&pick, value)) in chosen.indices.iter().zip(chosen.scores.unwrap()).enumerate() {
                let before = &chosen.indices[..t];
                let objective = |i: usize| {
                    let mean = (0..n).map(|j| kernel(&x, i, j, h)).sum::<f64>() / n as f64;
                    mean - before.iter().map(|s| kernel(&x, i, *s, h)).sum::<f64>() / (t + 1) as f64
                };
                let best = (0..n).filter(|i| !before.contains(i)).map(objective).fold(f64::NEG_INFINITY, f64::max);
                assert!((objective(pick) - best).abs() < 1e-9 && (value - best).abs() < 1e-9, "{value} {best}");
            }
        }
    }

    /// Squared maximum mean discrepancy between all rows and a subset.
    fn discrepancy(x: &Array2<f32>, chosen: &[usize], h: f64) -> f64 {
        let all: Vec<usize> = (0..x.nrows()).collect();
        let mean = |a: &[usize], b: &[usize]| {
            let sum: f64 = a.iter().flat_map(|i| b.iter().map(|j| kernel(x, *i, *j, h))).sum();
            sum / (a.len() * b.len()) as f64
        };
        mean(&all, &all) - 2.0 * mean(&all, chosen) + mean(chosen, chosen)
    }

    #[test]
    fn it_is_nearer_to_the_pool_than_any_of_many_random_subsets() {
        let x = points(300, 5);
        let pool = Pool::of_points(Points::F32(x.clone()));
        let method = Herding { bandwidth: Some(1.0), references: 200 };
        let herded = discrepancy(&x, &method.select(&pool, 20, Seed(1), &Silent).unwrap().indices, 1.0);
        let random =
            |seed| discrepancy(&x, &crate::Random.select(&pool, 20, Seed(seed), &Silent).unwrap().indices, 1.0);
        assert!((0..50).all(|seed| random(seed) > herded));
    }

    #[test]
    fn equal_rows_are_chosen_once_each() {
        let pool = Pool::of_points(Points::F32(Array2::ones((5, 2))));
        assert_eq!(Herding::default().select(&pool, 5, Seed(0), &Silent).unwrap().indices, [0, 1, 2, 3, 4]);
    }
}
