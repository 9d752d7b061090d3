//! kMQ: a share of the budget for every cluster, rows by quality inside it.

use crate::stratified::{equal, proportional};
use crate::{Allocation, Cost, Needs, Pool, Selection, Selector};
use ndarray::ArrayView2;
use quadrat_core::{Area, Card, Error, Kind, Method, Param, Params, Progress, Result, Rng, Seed, Settings};
use quadrat_numeric::kmeans::simplified_silhouette;
use quadrat_numeric::{Clustering, KMeans, Metric};
use std::ops::Bound::{Excluded, Unbounded};

/// How many clusters to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clusters {
    /// The square root of the number of rows, rounded.
    Root,
    /// Of eight sizes between 2 and four times the square root of the number of rows, evenly spaced in logarithms, the
    /// one with the largest simplified silhouette. (The paper chooses by cluster quality; its exact rule is not verified.)
    Silhouette,
    /// As many as said; at most the number of rows.
    Fixed(usize),
}

impl Clusters {
    fn parse(text: &str) -> Result<Self> {
        match (text, text.parse()) {
            ("silhouette", _) => Ok(Clusters::Silhouette),
            (_, Ok(count @ 1..)) => Ok(Clusters::Fixed(count)),
            _ => Err(Error::input(
                "clusters",
                format!("`{text}`"),
                "use `auto`, `silhouette` or a whole number, at least 1",
            )),
        }
    }
}

/// How a pool is cut into clusters: k-means with the settings of the official code, except for k-means++ as a start.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Partition {
    /// Number of clusters; auto is the square root of the number of rows, silhouette the best of 8 sizes.
    #[param(default = Clusters::Root, text = "auto", parse = Clusters::parse)]
    pub clusters: Clusters,
    /// How often k-means starts anew; the best result is kept.
    #[param(default = 5, from = 1)]
    pub restarts: usize,
    /// Distance between embeddings.
    #[param(default = Metric::Euclidean)]
    pub metric: Metric,
    /// Most iterations of a start.
    #[param(fixed = 300)]
    pub max_iter: usize,
    /// Stop when an iteration lowers the inertia by less than this share of it.
    #[param(fixed = 1e-4)]
    pub tol: f64,
}

impl Partition {
    /// Clusters the rows of `x`.
    ///
    /// # Errors
    /// Those of [`KMeans::fit`]: above all more clusters than rows, and values that are not finite.
    pub fn fit(&self, x: ArrayView2<f32>, seed: Seed, progress: &dyn Progress) -> Result<Clustering> {
        let fit = |k: usize| {
            let kmeans = KMeans { metric: self.metric, restarts: self.restarts, ..KMeans::new(k) };
            KMeans { max_iter: self.max_iter, tol: self.tol, ..kmeans }.fit(x, seed.stream("k-means"), progress)
        };
        let root = (x.nrows() as f64).sqrt();
        match self.clusters {
            Clusters::Fixed(k) => fit(k),
            Clusters::Root => fit(root.round().max(1.0) as usize),
            Clusters::Silhouette => {
                let (low, high) = (2_f64.min(x.nrows() as f64), (4.0 * root).min(x.nrows() as f64));
                let mut sizes: Vec<usize> =
                    (0..8).map(|i| (low * (high / low).powf(i as f64 / 7.0)).round().max(1.0) as usize).collect();
                sizes.dedup();
                let mut best: Option<(f64, Clustering)> = None;
                for k in sizes {
                    let found = fit(k)?;
                    let quality = simplified_silhouette(x, found.centroids.view(), self.metric, progress)?;
                    if best.as_ref().is_none_or(|(top, _)| quality > *top) {
                        best = Some((quality, found));
                    }
                }
                best.map_or_else(|| fit(1), |(_, found)| Ok(found))
            }
        }
    }

    /// Operations and bytes of clustering, for an estimate: some 20 full iterations a start.
    pub(crate) fn cost(&self, rows: usize, cols: usize) -> Cost {
        let root = (rows as f64).sqrt();
        let centroids = match self.clusters {
            Clusters::Fixed(k) => k as f64,
            Clusters::Root => root,
            Clusters::Silhouette => 8.0 * root,
        };
        let cells = rows as f64 * cols as f64;
        Cost { operations: 40.0 * self.restarts as f64 * cells * centroids, bytes: 4.0 * cells + 136.0 * rows as f64 }
    }
}

/// How rows are drawn inside a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Within {
    /// All alike, whatever their scores.
    Uniform,
    /// In proportion to their scores, which must not be negative; all alike where no scores are known.
    #[default]
    Proportional,
    /// In proportion to exp(score / temperature), as the official code does; all alike where no scores are known.
    Softmax {
        /// In units of the score, above 0.
        temperature: f64,
    },
}

/// How it is told and read where nothing else is said.
pub(crate) const WITHIN: Param = Param {
    name: "within",
    default: "proportional",
    help: "how rows are drawn inside a cluster",
    kind: Kind::Choice(&[
        ("uniform", "all alike, whatever their scores"),
        ("proportional", "in proportion to their scores, where there are any"),
        ("softmax", "in proportion to exp(score / temperature), where there are scores"),
    ]),
    ..Param::NONE
};
pub(crate) const TEMPERATURE: Param = Param {
    name: "temperature",
    default: "1",
    help: "temperature of the draw inside a cluster, in units of the score",
    kind: Kind::Number { range: (Excluded(0.0), Unbounded), or: None },
    only: Some(("within", &["softmax"])),
    ..Param::NONE
};

/// By hand: Diversify and Conquer tells the same with another name and another default.
impl Settings for Within {
    const PARAMS: &'static [Param] = &[WITHIN, TEMPERATURE];

    fn from_params(params: &Params) -> Result<Self> {
        Within::read(params, &WITHIN, &TEMPERATURE)
    }
}

impl Within {
    /// What is typed for it, under the names and with the defaults of these two parameters.
    pub(crate) fn read(params: &Params, within: &Param, temperature: &Param) -> Result<Self> {
        let temperature = params.number(temperature)?.unwrap_or(1.0);
        Ok(match params.choose(within)? {
            "uniform" => Within::Uniform,
            "softmax" => Within::Softmax { temperature },
            _ => Within::Proportional,
        })
    }

    /// What each row's chance is proportional to; `None` when all are alike.
    pub(crate) fn chances(self, scores: Option<&Vec<f64>>) -> Result<Option<Vec<f64>>> {
        let Some(scores) = scores else { return Ok(None) };
        match self {
            Within::Uniform => Ok(None),
            Within::Proportional => match scores.iter().enumerate().find(|(_, s)| **s < 0.0) {
                None => Ok(Some(scores.clone())),
                Some((row, s)) => Err(Error::input(
                    format!("score of row {row}"),
                    s,
                    "draws in proportion to scores need scores >= 0; use within=softmax or within=uniform",
                )),
            },
            Within::Softmax { temperature } if temperature > 0.0 => {
                let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                // Far below the top the exponential is 0; the smallest number keeps the row in reach.
                Ok(Some(scores.iter().map(|s| ((s - top) / temperature).exp().max(f64::MIN_POSITIVE)).collect()))
            }
            Within::Softmax { temperature } => {
                Err(Error::input("temperature", temperature, "use a temperature above 0"))
            }
        }
    }
}

/// `count` of `rows`, without replacement: uniformly, or one after the other in proportion to `chances` (indexed by
/// row). Rows without a chance come last.
pub(crate) fn draw(rows: &[usize], count: usize, chances: Option<&[f64]>, rng: &mut Rng) -> Vec<usize> {
    let Some(chances) = chances else {
        return rng.sample(rows.len(), count).into_iter().map(|i| rows[i]).collect();
    };
    let own: Vec<f64> = rows.iter().map(|row| chances[*row]).collect();
    let mut drawn = rng.weighted_sample(&own, count);
    if drawn.len() < count {
        let rest: Vec<usize> = (0..rows.len()).filter(|i| own[*i] <= 0.0).collect();
        let more = rng.sample(rest.len(), count - drawn.len());
        drawn.extend(more.into_iter().map(|i| rest[i]));
    }
    drawn.into_iter().map(|i| rows[i]).collect()
}

/// Static kMQ: clusters, a share of the budget for each, rows by quality inside.
///
/// Rows come back cluster by cluster. The paper shares the budget in proportion to the clusters' sizes (not verified
/// against its text); the official code gives all clusters the same, which is `Allocation::Equal`.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::Points;
/// use quadrat_select::{ClusterSelector, Clusters, Partition, Pool, Selector};
/// let pool = Pool::of_points(Points::F64(array![[0.0], [0.1], [0.2], [0.3], [9.0], [9.1]]));
/// let kmq = ClusterSelector {
///     partition: Partition { clusters: Clusters::Fixed(2), ..Partition::default() },
///     ..ClusterSelector::default()
/// };
/// let chosen = kmq.select(&pool, 3, Seed(1), &Silent)?;
/// assert_eq!(chosen.indices.iter().filter(|row| **row < 4).count(), 2);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct ClusterSelector {
    /// How the pool is cut into clusters.
    #[param(flatten)]
    pub partition: Partition,
    /// How the budget is shared among them.
    #[param(default = Allocation::Proportional)]
    pub allocation: Allocation,
    /// How rows are drawn inside them.
    #[param(flatten)]
    pub within: Within,
}

impl Method for ClusterSelector {
    const CARD: Card = Card {
        slug: "kmq",
        aliases: &["cluster"],
        title: "k-means quality sampling (kMQ)",
        paper: "Yu, Chen, Ahmadian and Fadaee, \"Diversify and Conquer\", 2024, arXiv 2409.11378: the static form",
        area: Area::Select,
        verbs: &["select"],
        summary: "Clusters the embeddings and gives every cluster its share of the budget; inside a cluster rows are \
                  drawn uniformly, or by a quality score.",
        useful_when: "cover every region of the pool, diverse subset from embeddings, some topics dominate the data, \
                      diversity and quality together",
        cost: "time O(rows x columns x clusters) an iteration of k-means at most, times restarts; memory O(rows x \
               columns) in single precision",
        params: Self::PARAMS,
    };
}

impl ClusterSelector {
    /// The draw, once the clusters are known.
    pub(crate) fn draw(&self, clusters: &Clustering, pool: &Pool, budget: usize, seed: Seed) -> Result<Selection> {
        let chances = self.within.chances(pool.scores.as_ref())?;
        let members = clusters.members();
        let sizes = clusters.sizes();
        let shares = match self.allocation {
            Allocation::Proportional => proportional(&sizes, budget),
            Allocation::Equal => equal(&sizes, budget),
        };
        let mut indices = Vec::with_capacity(budget);
        for (cluster, (rows, &share)) in members.iter().zip(&shares).enumerate() {
            let mut rng = seed.stream("draw").rng(cluster as u64);
            indices.extend(draw(rows, share, chances.as_deref(), &mut rng));
        }
        let scores = pool.scores.as_ref().map(|scores| indices.iter().map(|row| scores[*row]).collect());
        let left_out = sizes.iter().zip(&shares).filter(|(size, share)| **size > 0 && **share == 0).count();
        let notes = vec![
            ("clusters".to_owned(), sizes.len().to_string()),
            ("clusters without a row".to_owned(), left_out.to_string()),
        ];
        Ok(Selection { indices, weights: None, scores, notes })
    }
}

impl Selector for ClusterSelector {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs { points: true, scores_help: self.within != Within::Uniform, ..Needs::default() }
    }

    fn cost(&self, rows: usize, cols: usize, _budget: usize) -> Cost {
        self.partition.cost(rows, cols)
    }

    fn select(&self, pool: &Pool, budget: usize, seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        let points = crate::rows::points(pool)?;
        let clusters = self.partition.fit(points.to_f32().view(), seed, progress)?;
        self.draw(&clusters, pool, budget, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use quadrat_core::{Silent, stats};
    use quadrat_numeric::Points;

    /// Three well separated groups of 60, 30 and 10 rows.
    fn pool() -> Pool {
        let mut rng = Seed(5).rng(0);
        let group = |row: usize| {
            if row < 60 {
                0.0
            } else if row < 90 {
                50.0
            } else {
                -50.0
            }
        };
        let x = Array2::from_shape_fn((100, 2), |(row, _)| group(row) + rng.normal());
        Pool::of_points(Points::F64(x))
    }

    fn three() -> ClusterSelector {
        let partition = Partition { clusters: Clusters::Fixed(3), ..Partition::default() };
        ClusterSelector { partition, ..ClusterSelector::default() }
    }

    fn per_group(indices: &[usize]) -> [usize; 3] {
        let mut counts = [0; 3];
        indices.iter().for_each(|row| {
            counts[if *row < 60 {
                0
            } else if *row < 90 {
                1
            } else {
                2
            }] += 1
        });
        counts
    }

    #[test]
    fn clusters_share_the_budget() {
        let chosen = three().select(&pool(), 20, Seed(1), &Silent).unwrap();
        assert_eq!(per_group(&chosen.indices), [12, 6, 2]);
        let equal = ClusterSelector { allocation: Allocation::Equal, ..three() };
        assert_eq!(per_group(&equal.select(&pool(), 36, Seed(1), &Silent).unwrap().indices), [13, 13, 10]);
        let silhouette = Partition { clusters: Clusters::Silhouette, ..Partition::default() };
        let x = pool().points.unwrap().to_f32().into_owned();
        let found = silhouette.fit(x.view(), Seed(1), &Silent).unwrap();
        assert!((2..=4).contains(&found.centroids.nrows()), "{}", found.centroids.nrows());
    }

    #[test]
    fn quality_decides_inside_a_cluster() {
        // Row 5 of the first group has weight 1, its neighbours 0: it always comes first, then the others fill up.
        let mut scores = vec![0.0; 100];
        scores[5] = 1.0;
        let pool = pool().with_scores(scores);
        for seed in 0..20 {
            assert!(three().select(&pool, 10, Seed(seed), &Silent).unwrap().indices.contains(&5));
        }
        let negative = pool.clone().with_scores(vec![-1.0; 100]);
        let error = three().select(&negative, 10, Seed(0), &Silent).unwrap_err().to_string();
        assert!(error.starts_with("score of row 0: got -1"), "{error}");
        let softmax = ClusterSelector { within: Within::Softmax { temperature: 1.0 }, ..three() };
        assert_eq!(softmax.select(&negative, 100, Seed(0), &Silent).unwrap().indices.len(), 100);
        let cold = ClusterSelector { within: Within::Softmax { temperature: 0.0 }, ..three() };
        assert!(cold.select(&negative, 10, Seed(0), &Silent).is_err());
    }

    /// Pearson's statistic at level 1e-6: one false alarm in a million seeds.
    #[test]
    fn softmax_chances_are_those_of_the_formula() {
        let chances = Within::Softmax { temperature: 2.0 }.chances(Some(&vec![1.0, 3.0, -1.0])).unwrap().unwrap();
        let total: f64 = [1.0_f64, 3.0, -1.0].iter().map(|s| (s / 2.0).exp()).sum();
        let mut counts = [0_usize; 3];
        for seed in 0..20_000 {
            counts[draw(&[0, 1, 2], 1, Some(&chances), &mut Seed(seed).rng(0))[0]] += 1;
        }
        let expected = [1.0_f64, 3.0, -1.0].map(|s| (s / 2.0).exp() / total * 20_000.0);
        let statistic: f64 = counts.iter().zip(expected).map(|(c, e)| (*c as f64 - e).powi(2) / e).sum();
        assert!(stats::chi_square_tail(statistic, 2.0) > 1e-6, "{counts:?}");
    }

    #[test]
    fn bad_arguments_are_refused() {
        let too_many = Partition { clusters: Clusters::Fixed(101), ..Partition::default() };
        assert!(ClusterSelector { partition: too_many, ..three() }.select(&pool(), 5, Seed(0), &Silent).is_err());
        assert!(three().select(&pool(), 101, Seed(0), &Silent).is_err());
        // Identical rows and a single row are no error.
        let flat = Pool::of_points(Points::F32(Array2::ones((9, 2))));
        assert_eq!(ClusterSelector::default().select(&flat, 9, Seed(0), &Silent).unwrap().indices.len(), 9);
        let one = Pool::of_points(Points::F32(Array2::ones((1, 2))));
        for clusters in [Clusters::Root, Clusters::Silhouette] {
            let partition = Partition { clusters, ..Partition::default() };
            let kmq = ClusterSelector { partition, ..ClusterSelector::default() };
            assert_eq!(kmq.select(&one, 1, Seed(0), &Silent).unwrap().indices, [0]);
        }
    }
}
