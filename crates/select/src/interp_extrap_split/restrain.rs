//! ReSTrain: the test set stays, training sets are taken near it and far from it.

use super::{check_both, lexicographic};
use ndarray::{ArrayView1, ArrayView2};
use quadrat_core::{Choice, Error, Param, Params, Progress, Result, Seed, Settings};
use quadrat_numeric::neighbours::nearest_f32;
use quadrat_numeric::{Metric, Neighbours};

/// How much to train on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sizes {
    /// These numbers of training rows on either side.
    Rows(Vec<usize>),
    /// As many as these numbers of nearest training rows of each test row amount to together.
    PerQuery(Vec<usize>),
}

const SIZES: Param =
    Param { name: "sizes", default: "none", help: "training rows on either side, one or more numbers", ..Param::NONE };
const PER_QUERY: Param = Param {
    name: "per-query",
    default: "10",
    help: "in place of sizes: how many nearest training rows of each test row to take, one or more numbers",
    ..Param::NONE
};

impl Default for Sizes {
    fn default() -> Self {
        Sizes::PerQuery(vec![10])
    }
}

impl Settings for Sizes {
    const PARAMS: &'static [Param] = &[SIZES, PER_QUERY];

    fn from_params(params: &Params) -> Result<Self> {
        if params.get(SIZES.name) != Some(SIZES.default)
            && let Some(rows) = params.numbers(SIZES.name)?
        {
            return Ok(Sizes::Rows(rows));
        }
        Ok(params.numbers(PER_QUERY.name)?.map_or_else(Sizes::default, Sizes::PerQuery))
    }
}

/// Which of the rows that are far from the test set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Far {
    /// Any of them.
    Random,
    /// The ones whose nearest test row is farthest.
    Farthest,
}

/// Training sets for a small test set (the paper's section on resampling training queries).
///
/// The interpolation side is the union over test rows of their n most similar training rows, with n as large as the
/// size asked for needs. The extrapolation side is as large, from the rows that are among the `exclude` most similar of
/// no test row. Each side has one fixed order of which every size takes the beginning: larger sets contain smaller ones.
///
/// ```
/// use ndarray::Array2;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{ReSTrain, Sizes};
/// let train = Array2::from_shape_fn((40, 2), |(i, c)| if c == 0 { 1.0 } else { i as f32 });
/// let test = Array2::from_shape_fn((2, 2), |(i, c)| if c == 0 { 1.0 } else { 0.1 + i as f32 });
/// let made = ReSTrain { sizes: Sizes::Rows(vec![4]), ..ReSTrain::default() }.split(train.view(), test.view(), Seed(1), &Silent)?;
/// assert_eq!(made.sets[0].interpolation, [0, 1, 2, 3]);
/// assert_eq!(made.sets[0].extrapolation.len(), 4);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Settings)]
pub struct ReSTrain {
    /// How much to train on; one entry a pair of training sets. Default: the 10 nearest of each test row.
    #[param(flatten)]
    pub sizes: Sizes,
    /// Rows among this many nearest of a test row are not far; auto is as many as were taken. N_excl of the paper, at
    /// least the n of the largest interpolation set.
    #[param(name = "exclude-nearest", none = "auto", from = 1)]
    pub exclude: Option<usize>,
    /// Which of the far rows.
    #[param(default = Far::Random)]
    pub far: Far,
    /// Whether both sides get exactly the same number of rows: of the n-th neighbours only the most similar ones are
    /// taken. Otherwise the interpolation side of a size in rows is the whole union. Default: yes.
    #[param(fixed = true)]
    pub match_sizes: bool,
    /// Cosine (default), or Euclidean.
    #[param(fixed = Metric::Cosine)]
    pub metric: Metric,
}

/// Two training sets without a row in common, rows ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingSets {
    /// n: how many nearest rows of each test row the interpolation side is taken from.
    pub per_query: usize,
    /// Training rows near the test rows.
    pub interpolation: Vec<usize>,
    /// Training rows far from all of them.
    pub extrapolation: Vec<usize>,
}

/// What [`ReSTrain`] made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resampled {
    /// One pair of training sets a size, in the order asked for.
    pub sets: Vec<TrainingSets>,
    /// N_excl as it was used.
    pub exclude: usize,
    /// How many training rows are far.
    pub far_rows: usize,
}

impl ReSTrain {
    /// Rows of `train` (n x d) to train on for the test rows `test` (m x d).
    ///
    /// Cost: O(n m d) at the speed of a matrix product, once for each doubling of the neighbours that the size needs.
    /// Memory: a copy of `train`, and 12 bytes a neighbour of each test row.
    ///
    /// # Errors
    /// No rows, widths that differ, values that are not finite, a row of zeros under the cosine; no size, a size of 0 or
    /// beyond the training rows; `exclude` below the n of the largest set; fewer far rows than asked for; the user's
    /// cancelling.
    pub fn split(
        &self,
        train: ArrayView2<f32>,
        test: ArrayView2<f32>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Resampled> {
        check_both(train, test, self.metric)?;
        let rows = train.nrows();
        let (what, asked) = match &self.sizes {
            Sizes::Rows(sizes) => ("size", sizes),
            Sizes::PerQuery(numbers) => ("per-query", numbers),
        };
        if let Some(bad) = asked.iter().find(|n| **n == 0 || **n > rows) {
            return Err(Error::input(what, bad, format!("use 1 to {rows}, the number of training rows")));
        }
        let Some(&largest) = asked.iter().max() else {
            return Err(Error::input(what, "none", "give at least one"));
        };

        // Step 3: the n most similar of each test row, n as large as it takes.
        let near_of = |n| nearest_f32(train, test, None, n, self.metric, progress);
        let near = match self.sizes {
            Sizes::PerQuery(_) => Nearest::of(near_of(largest)?, rows),
            Sizes::Rows(_) => {
                let mut n = largest.div_ceil(test.nrows());
                loop {
                    let near = Nearest::of(near_of(n)?, rows);
                    if near.order.len() >= largest {
                        break near;
                    }
                    n = (2 * n).min(rows);
                }
            }
        };
        let sides = asked.iter().map(|&asked| match self.sizes {
            Sizes::PerQuery(_) => (asked, near.reached[asked - 1], near.reached[asked - 1]),
            Sizes::Rows(_) => {
                let n = 1 + near.reached.partition_point(|reached| *reached < asked);
                (n, if self.match_sizes { asked } else { near.reached[n - 1] }, asked)
            }
        });
        let sides: Vec<(usize, usize, usize)> = sides.collect();

        // Step 4: the rows far from all test rows.
        let most = sides.iter().map(|(n, ..)| *n).max().unwrap_or(1);
        let exclude = self.exclude.unwrap_or(most);
        if exclude < most || exclude > rows {
            let want = format!("use {most}, the neighbours of the largest interpolation set, to {rows}");
            return Err(Error::input("exclude", exclude, want));
        }
        let wider;
        let excluded = match near.reached.get(exclude - 1) {
            Some(&reached) => &near.order[..reached],
            None => {
                wider = Nearest::of(near_of(exclude)?, rows);
                &wider.order[..]
            }
        };
        let far = self.far_rows(train, test, excluded, seed, progress)?;
        if let Some((_, _, wanted)) = sides.iter().find(|(_, _, wanted)| *wanted > far.len()) {
            let want = format!(
                "only {} training rows are dissimilar enough: not among the {exclude} nearest of any test row; ask for \
                 fewer rows",
                far.len()
            );
            return Err(Error::input("extrapolation rows", wanted, want));
        }
        let sorted = |rows: &[usize]| {
            let mut rows = rows.to_vec();
            rows.sort_unstable();
            rows
        };
        let sets = sides.into_iter().map(|(per_query, interpolation, extrapolation)| TrainingSets {
            per_query,
            interpolation: sorted(&near.order[..interpolation]),
            extrapolation: sorted(&far[..extrapolation]),
        });
        Ok(Resampled { sets: sets.collect(), exclude, far_rows: far.len() })
    }

    /// The rows that are not `excluded`, in the order in which they are taken.
    fn far_rows(
        &self,
        train: ArrayView2<f32>,
        test: ArrayView2<f32>,
        excluded: &[usize],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<usize>> {
        let mut near = vec![false; train.nrows()];
        excluded.iter().for_each(|row| near[*row] = true);
        let rows: Vec<ArrayView1<f32>> = train.outer_iter().collect();
        let mut far = lexicographic(&rows);
        far.retain(|row| !near[*row]);
        match self.far {
            Far::Random => seed.stream("far").rng(0).shuffle(&mut far),
            Far::Farthest => {
                let closest = nearest_f32(test, train, None, 1, self.metric, progress)?;
                far.sort_by(|a, b| closest.squared[*b].total_cmp(&closest.squared[*a]));
            }
        }
        Ok(far)
    }
}

/// The training rows that are near a test row, in the order in which the interpolation side takes them.
struct Nearest {
    /// Nearest rows first, then second nearest; of those of one rank the more similar first, lower rows among equals.
    order: Vec<usize>,
    /// How many rows the first n ranks amount to, for n from 1.
    reached: Vec<usize>,
}

impl Nearest {
    fn of(near: Neighbours, rows: usize) -> Self {
        let mut taken = vec![false; rows];
        let (mut order, mut reached) = (Vec::new(), Vec::with_capacity(near.k));
        let mut rank: Vec<(f64, u32)> = Vec::with_capacity(near.len());
        for n in 0..near.k {
            rank.clear();
            rank.extend((0..near.len()).map(|query| (near.of(query).1[n], near.of(query).0[n])));
            rank.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            for &(_, row) in &rank {
                if !std::mem::replace(&mut taken[row as usize], true) {
                    order.push(row as usize);
                }
            }
            reached.push(order.len());
        }
        Nearest { order, reached }
    }
}
