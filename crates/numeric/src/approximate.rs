//! Approximate nearest neighbours by an inverted file: rows are filed under the nearest of some k-means centroids, and a
//! query looks only into the cells nearest to it (Jégou, Douze and Schmid 2011, without the compression).

use crate::gemm::vectorised;
use crate::kmeans::{Init, KMeans};
use crate::neighbours::{Best, Metric, Neighbours, nearest_f32, squared_distance};
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use rayon::prelude::*;

/// Rows a cell that the centroids are trained on: more hardly moves them.
const TRAINING: usize = 128;

/// An inverted file over Euclidean distance. For cosine, scale the rows to length 1 first.
///
/// ```
/// use ndarray::Array2;
/// use quadrat_core::{Seed, Silent};
/// let x = Array2::from_shape_fn((1000, 2), |(i, j)| if j == 0 { i as f32 } else { 0.0 });
/// let index = quadrat_numeric::IvfIndex::build(x.view(), 20, Seed(1), &Silent)?;
/// let near = index.nearest(x.view(), 1, 2, &Silent)?;
/// assert_eq!(near.index[500], 500);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct IvfIndex {
    centroids: Array2<f32>,
    /// Where each cell starts in `numbers` and `rows`.
    starts: Vec<usize>,
    numbers: Vec<u32>,
    rows: Vec<f32>,
}

impl IvfIndex {
    /// Files the rows of `x` under `cells` centroids; about the square root of the number of rows is a good number.
    ///
    /// Cost: k-means on at most 128 rows a cell, then O(rows x cells x columns). Memory: a copy of `x`.
    ///
    /// # Errors
    /// As [`KMeans::fit`] for `cells` clusters.
    pub fn build(x: ArrayView2<f32>, cells: usize, seed: Seed, progress: &dyn Progress) -> Result<Self> {
        crate::prepare::check("points", x)?;
        let k_means = KMeans { init: Init::PlusPlus, max_iter: 10, ..KMeans::new(cells) };
        let n = x.nrows();
        let mut training = seed.stream("ivf").rng(0).sample(n, cells.saturating_mul(TRAINING));
        training.sort_unstable();
        let centroids = k_means.fit(x.select(Axis(0), &training).view(), seed, progress)?.centroids;
        let cell = nearest_f32(centroids.view(), x, None, 1, Metric::Euclidean, progress)?.index;
        let mut starts = vec![0; cells + 1];
        cell.iter().for_each(|c| starts[*c as usize + 1] += 1);
        (0..cells).for_each(|c| starts[c + 1] += starts[c]);
        let mut next = starts.clone();
        let mut numbers = vec![0; n];
        for (row, c) in cell.into_iter().enumerate() {
            numbers[next[c as usize]] = row as u32;
            next[c as usize] += 1;
        }
        let rows = numbers.iter().flat_map(|&i| x.row(i as usize)).copied().collect();
        Ok(IvfIndex { centroids, starts, numbers, rows })
    }

    /// The `k` nearest rows of the `probes` cells nearest to each query; with as many probes as cells, the exact answer.
    /// A query looks into more cells than asked for where they might hold fewer than `k` rows.
    ///
    /// Cost: O(queries x (cells + rows x probes / cells) x columns).
    ///
    /// # Errors
    /// `k` or `probes` of 0 or too large, queries of another width or with values that are not finite, cancelling.
    pub fn nearest(
        &self,
        queries: ArrayView2<f32>,
        k: usize,
        probes: usize,
        progress: &dyn Progress,
    ) -> Result<Neighbours> {
        let (cells, d) = self.centroids.dim();
        if k == 0 || k > self.numbers.len() {
            let want = format!("use 1 to {}, the number of rows", self.numbers.len());
            return Err(Error::input("number of neighbours", k, want));
        }
        if probes == 0 || probes > cells {
            return Err(Error::input("probes", probes, format!("use 1 to {cells}, the number of cells")));
        }
        let mut sizes: Vec<usize> = self.starts.windows(2).map(|ends| ends[1] - ends[0]).collect();
        sizes.sort_unstable();
        let mut held = 0;
        let enough = 1 + sizes
            .iter()
            .take_while(|&&size| {
                held += size;
                held < k
            })
            .count();
        let probed =
            nearest_f32(self.centroids.view(), queries, None, probes.max(enough), Metric::Euclidean, progress)?;
        let mut index = vec![u32::MAX; queries.nrows() * k];
        let mut squared = vec![f64::INFINITY; queries.nrows() * k];
        progress.begin("nearest neighbours in cells", Some(queries.nrows() as u64));
        index.par_chunks_mut(k).zip(squared.par_chunks_mut(k)).enumerate().with_min_len(64).try_for_each_init(
            || vec![0.0_f32; d],
            |query, (i, (index, squared))| {
                checkpoint(progress)?;
                query.iter_mut().zip(queries.row(i)).for_each(|(to, v)| *to = *v);
                let mut best = Best::new(index, squared);
                vectorised(
                    #[inline(always)]
                    || {
                        for &cell in probed.of(i).0 {
                            let span = self.starts[cell as usize]..self.starts[cell as usize + 1];
                            let rows = self.rows[span.start * d..span.end * d].chunks_exact(d);
                            for (row, &number) in rows.zip(&self.numbers[span]) {
                                let distance = squared_distance(query, row);
                                if distance <= best.worst() {
                                    best.offer(distance, number);
                                }
                            }
                        }
                    },
                );
                best.sort();
                progress.advance(1);
                Ok(())
            },
        )?;
        Ok(Neighbours { k, index, squared })
    }
}
