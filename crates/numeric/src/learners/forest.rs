//! Random forests.

use super::tree::{Grown, Sorted};
use super::{Classifier, Criterion, Learner, Tree, check};
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result, Seed};
use rayon::prelude::*;

/// A random forest (Breiman 2001): CART trees, each grown on a bootstrap sample of the rows with a few random columns
/// at each node; probabilities are the mean of the trees'.
///
/// A tree draws as many rows as have weight, each row's count then multiplies its weight. Time O(trees * columns * rows
/// * depth), shared by the threads; memory O(columns * rows) a thread.
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::learners::{Classifier, Forest, Learner};
/// let x = array![[0.0], [1.0], [2.0], [7.0], [8.0], [9.0]];
/// let model = Forest::default().fit(x.view(), &[0, 0, 0, 1, 1, 1], 2, None, quadrat_core::Seed(0))?;
/// assert_eq!(model.predict(array![[0.5], [8.5]].view()), [0, 1]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forest {
    /// How many trees, at least 1. Default 100.
    pub trees: usize,
    /// How many columns may split a node; `None` is the square root of their number. Default `None`.
    pub columns: Option<usize>,
    /// Fewest (weighted) rows in a leaf. Default 1.
    pub min_leaf: f64,
    /// Most splits from the root to a leaf. Default no limit.
    pub max_depth: Option<usize>,
}

impl Default for Forest {
    fn default() -> Self {
        Forest { trees: 100, columns: None, min_leaf: 1.0, max_depth: None }
    }
}

struct Fitted {
    trees: Vec<Grown>,
    classes: usize,
}

impl Learner for Forest {
    fn name(&self) -> &'static str {
        "random forest"
    }

    fn fit(
        &self,
        x: ArrayView2<f64>,
        y: &[u32],
        classes: usize,
        weights: Option<&[f64]>,
        seed: Seed,
    ) -> Result<Box<dyn Classifier>> {
        let weights = check(x, y, classes, weights)?;
        if self.trees == 0 {
            return Err(Error::input("trees", 0, "grow at least one tree"));
        }
        let columns = self.columns.unwrap_or(x.ncols().isqrt());
        let tree = Tree {
            criterion: Criterion::Gini,
            min_leaf: self.min_leaf,
            max_depth: self.max_depth,
            columns: Some(columns),
            ..Tree::cart()
        };
        tree.check(x.ncols())?;
        let sorted = Sorted::new(x);
        let counted: Vec<usize> = (0..weights.len()).filter(|i| weights[*i] > 0.0).collect();
        let (bootstrap, grow) = (seed.stream("forest bootstrap"), seed.stream("forest tree"));
        let trees = (0..self.trees as u64)
            .into_par_iter()
            .map(|t| {
                let mut rng = bootstrap.rng(t);
                let mut drawn = vec![0.0; weights.len()];
                for _ in 0..counted.len() {
                    let row = counted[rng.below(counted.len())];
                    drawn[row] += weights[row];
                }
                tree.grow(&sorted, y, classes, &drawn, Seed(grow.rng(t).next_u64()))
            })
            .collect();
        Ok(Box::new(Fitted { trees, classes }))
    }
}

impl Classifier for Fitted {
    fn probabilities(&self, x: ArrayView2<f64>) -> Array2<f64> {
        const BLOCK: usize = 256;
        let mut p = Array2::zeros((x.nrows(), self.classes));
        let mut blocks: Vec<_> =
            p.axis_chunks_iter_mut(Axis(0), BLOCK).zip(x.axis_chunks_iter(Axis(0), BLOCK)).collect();
        blocks.par_iter_mut().for_each(|(p, x)| {
            for tree in &self.trees {
                *p += &tree.probabilities(x.view());
            }
            *p /= self.trees.len() as f64;
        });
        p
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn many_trees_beat_one_on_noise() {
        let make = |seed| {
            let mut rng = Seed(seed).rng(0);
            let x = Array2::from_shape_fn((300, 6), |_| rng.normal());
            let y: Vec<u32> =
                x.axis_iter(Axis(0)).map(|r| u32::from(r[0] + r[1] + r[2] + 0.8 * rng.normal() > 0.0)).collect();
            (x, y)
        };
        let ((x, y), (unseen, truth)) = (make(1), make(2));
        let right = |learner: &dyn Learner| {
            let model = learner.fit(x.view(), &y, 2, None, Seed(0)).unwrap();
            model.predict(unseen.view()).iter().zip(&truth).filter(|(a, b)| a == b).count()
        };
        let (forest, tree) = (right(&Forest::default()), right(&Tree::cart()));
        assert!(forest > tree + 5, "{forest} {tree}");
    }

    #[test]
    fn parameters_out_of_range_are_errors() {
        let x = array![[0.0], [1.0]];
        for forest in [
            Forest { trees: 0, ..Forest::default() },
            Forest { columns: Some(2), ..Forest::default() },
            Forest { min_leaf: -1.0, ..Forest::default() },
        ] {
            assert!(forest.fit(x.view(), &[0, 1], 2, None, Seed(0)).is_err(), "{forest:?}");
        }
    }
}
