//! Rows of similar kind together in a bucket.

use super::lexicographic;
use ndarray::{Array2, ArrayView1, ArrayView2};
use quadrat_core::{Error, Progress, Result, Seed, Settings};
use quadrat_numeric::neighbours::nearest_f32;
use quadrat_numeric::{KMeans, Metric, Neighbours};

/// How rows are cut into buckets of similar rows: k-means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct Buckets {
    /// How many buckets. K of the paper.
    #[param(name = "folds", default = 5, from = 2)]
    pub k: usize,
    /// Buckets of equal size (to within one), and the same number of training rows in every fold. The rows with most to
    /// lose choose their bucket first, those for whom the two nearest centroids are about equally near go where there
    /// is room; equal rows may part. In the paper buckets differ fivefold.
    #[param(default = false)]
    pub balanced: bool,
    /// Starts of k-means, of which the best counts.
    #[param(default = 5, from = 1)]
    pub restarts: usize,
    /// Cosine (default), or Euclidean.
    #[param(fixed = Metric::Cosine)]
    pub metric: Metric,
}

/// The buckets of one part of the rows.
pub(super) struct Part {
    /// Each row's bucket.
    pub bucket: Vec<u32>,
    /// The rows in lexicographic order of their values.
    pub order: Vec<usize>,
}

impl Buckets {
    /// Cuts the rows of all parts together. Each part has at least `k` rows, and all have the same columns.
    pub(super) fn cut<const N: usize>(
        &self,
        parts: [ArrayView2<f32>; N],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<[Part; N]> {
        let rows: Vec<ArrayView1<f32>> = parts.iter().flat_map(|part| part.outer_iter()).collect();
        let order = lexicographic(&rows);
        let mut sorted = Array2::<f32>::zeros((rows.len(), parts[0].ncols()));
        for (mut to, &row) in sorted.outer_iter_mut().zip(&order) {
            to.assign(&rows[row]);
        }
        let kmeans = KMeans { metric: self.metric, restarts: self.restarts, ..KMeans::new(self.k) };
        let clusters = kmeans.fit(sorted.view(), seed, progress)?;
        let near = match self.balanced {
            true => {
                let centroids = clusters.centroids.view();
                Some(nearest_f32(centroids, sorted.view(), None, self.k, self.metric, progress)?)
            }
            false => None,
        };
        if near.is_none() && clusters.sizes().contains(&0) {
            let used = clusters.sizes().iter().filter(|size| **size > 0).count();
            let want = format!("the rows take only {used} different values: use fewer folds, or balanced ones");
            return Err(Error::input("folds", self.k, want));
        }
        let mut first = 0;
        Ok(parts.map(|part| {
            let span = first..first + part.nrows();
            first = span.end;
            // Places in the sorted order that hold rows of this part.
            let places: Vec<usize> = (0..order.len()).filter(|place| span.contains(&order[*place])).collect();
            let own: Vec<usize> = places.iter().map(|place| order[*place] - span.start).collect();
            let assigned = match &near {
                Some(near) => balance(near, &places),
                None => places.iter().map(|place| clusters.assignment[*place]).collect(),
            };
            let mut bucket = vec![0; part.nrows()];
            own.iter().zip(assigned).for_each(|(row, assigned)| bucket[*row] = assigned);
            Part { bucket, order: own }
        }))
    }
}

/// The queries at `places`, each to one of the centroids, all of which get equally many to within one. Who would lose
/// most by going to the second nearest instead of the nearest chooses first.
fn balance(near: &Neighbours, places: &[usize]) -> Vec<u32> {
    let regret = |i: usize| {
        let (_, squared) = near.of(places[i]);
        squared[1] - squared[0]
    };
    let mut turns: Vec<usize> = (0..places.len()).collect();
    turns.sort_by(|a, b| regret(*b).total_cmp(&regret(*a)));
    let mut sizes = vec![0; near.k];
    let (full, mut larger) = (places.len() / near.k, places.len() % near.k);
    let mut assigned = vec![0; places.len()];
    for i in turns {
        let has_room = |bucket: &&u32| {
            let size = sizes[**bucket as usize];
            size < full || (size == full && larger > 0)
        };
        if let Some(&bucket) = near.of(places[i]).0.iter().find(has_room) {
            let size = &mut sizes[bucket as usize];
            larger -= usize::from(*size == full);
            *size += 1;
            assigned[i] = bucket;
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_most_to_lose_choose_first() {
        // Five rows, all nearest to centroid 0; what they lose by going to 1: 4, 1, 9, 2, 3. Of 3 + 2 places the three
        // with most to lose (rows 2, 0 and 4) get the nearest.
        let index = [0, 1].repeat(5);
        let squared = [1.0, 5.0, 1.0, 2.0, 0.0, 9.0, 3.0, 5.0, 2.0, 5.0].to_vec();
        let near = Neighbours { k: 2, index, squared };
        assert_eq!(balance(&near, &[0, 1, 2, 3, 4]), [0, 1, 0, 1, 0]);
        // Places name the rows of one part: 1 and 3 only.
        assert_eq!(balance(&near, &[1, 3]), [1, 0]);
    }
}
