//! Labels for rows that have none.

use crate::rows::Rows;
use ndarray::{Array2, Axis, concatenate};
use quadrat_core::{Error, Progress, Result, Seed};
use quadrat_numeric::{KMeans, Points};

/// Labels for rows that have none: the number of each row's k-means cluster, once for each number of clusters in
/// `granularities` (labels of the second clustering are numbered after those of the first, and so on). Returns the
/// labels of each row and the embedding of each label, its centroid as seen from the mean of all rows, for
/// [`LabelGraph::from_embeddings`](crate::LabelGraph::from_embeddings). Clusterings stop after 25 iterations: tags need no more.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::Points;
/// use quadrat_select::labels_from_clusters;
/// let points = Points::F64(array![[0.0, 0.0], [0.1, 0.0], [9.0, 9.0]]);
/// let (labels, embeddings) = labels_from_clusters(&points, &[1, 2], Seed(1), &Silent)?;
/// assert_eq!((labels[0].len(), embeddings.dim()), (2, (3, 2)));
/// assert_eq!(labels[0], labels[1]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// Values that are not finite, a number of clusters outside 1 to the number of rows, `Cancelled`.
pub fn labels_from_clusters(
    points: &Points,
    granularities: &[usize],
    seed: Seed,
    progress: &dyn Progress,
) -> Result<(Vec<Vec<u32>>, Array2<f32>)> {
    points.check_finite("points")?;
    let rows = Rows::centred(points)?;
    let mean = rows.mean()?;
    let mut labels = vec![Vec::with_capacity(granularities.len()); points.rows()];
    let mut embeddings = Array2::zeros((0, points.cols()));
    for (i, &k) in granularities.iter().enumerate() {
        let seed = Seed(seed.rng(i as u64).next_u64());
        let clusters = KMeans { max_iter: 25, tol: 1e-3, ..KMeans::new(k) }.fit(rows.view()?, seed, progress)?;
        let first = embeddings.nrows() as u32;
        labels.iter_mut().zip(&clusters.assignment).for_each(|(labels, cluster)| labels.push(first + cluster));
        embeddings = concatenate(Axis(0), &[embeddings.view(), (&clusters.centroids - &mean).view()])
            .map_err(|e| Error::numeric("joining centroids", e.to_string()))?;
    }
    Ok((labels, embeddings))
}
