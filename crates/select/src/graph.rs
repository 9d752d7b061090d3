//! Which labels are close to each other, and how information flows along those edges.

use ndarray::{ArrayView2, s};
use quadrat_core::{Choice, Error, Progress, Result, checkpoint};
use rayon::prelude::*;

/// A symmetric graph on labels with non-negative weights; every label is joined to itself with weight 1.
///
/// ```
/// use quadrat_select::LabelGraph;
/// let graph = LabelGraph::from_edges(3, &[(0, 1, 0.95)])?;
/// assert_eq!((graph.labels(), graph.edges()), (3, 1));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LabelGraph {
    /// Other labels joined to each label, ascending, with weights.
    neighbours: Vec<Vec<(u32, f64)>>,
}

/// How a label's mass is divided among its neighbours (step 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Normalise {
    /// Each label receives a weighted average of what its neighbours have. Columns sum to 1, as in the authors' code.
    Receiver,
    /// Each label gives away exactly what it has. Rows sum to 1, which conserves mass.
    Sender,
}

impl LabelGraph {
    /// `labels` labels without edges: nothing spreads.
    pub fn identity(labels: usize) -> Self {
        LabelGraph { neighbours: vec![Vec::new(); labels] }
    }

    /// Edges given as (label, label, weight), each once or the same both ways.
    ///
    /// # Errors
    /// A label that is not below `labels`; a negative or non-finite weight; a weight other than 1 from a label to
    /// itself; two different weights for one edge.
    pub fn from_edges(labels: usize, edges: &[(u32, u32, f64)]) -> Result<Self> {
        let mut graph = LabelGraph::identity(labels);
        for &(a, b, weight) in edges {
            let what = || format!("edge {a}-{b} of the label graph");
            if a as usize >= labels || b as usize >= labels {
                return Err(Error::input(what(), format!("labels {a} and {b}"), format!("labels are below {labels}")));
            }
            if !weight.is_finite() || weight < 0.0 {
                return Err(Error::input(what(), weight, "weights must be finite and at least 0"));
            }
            if a == b {
                if weight != 1.0 {
                    return Err(Error::input(what(), weight, "a label's weight to itself must be 1"));
                }
            } else if weight > 0.0 {
                graph.neighbours[a as usize].push((b, weight));
                graph.neighbours[b as usize].push((a, weight));
            }
        }
        for (a, neighbours) in graph.neighbours.iter_mut().enumerate() {
            neighbours.sort_unstable_by(|x, y| x.0.cmp(&y.0).then(x.1.total_cmp(&y.1)));
            neighbours.dedup();
            if let Some(pair) = neighbours.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(Error::input(
                    format!("edge {a}-{} of the label graph", pair[0].0),
                    format!("weights {} and {}", pair[0].1, pair[1].1),
                    "the graph is symmetric: give one weight an edge",
                ));
            }
        }
        Ok(graph)
    }

    /// An edge wherever the cosine of two labels' embeddings (one row a label) is at least `threshold`, with the cosine
    /// as its weight (step 1). A row of zeros has no direction and gets no edge. O(labels^2 columns) time, in blocks.
    ///
    /// # Errors
    /// A threshold outside 0..=1, a value that is not finite, or `Cancelled`.
    pub fn from_embeddings(embeddings: ArrayView2<f32>, threshold: f64, progress: &dyn Progress) -> Result<Self> {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Error::input("threshold", threshold, "use 0 to 1; weights cannot be negative"));
        }
        let mut unit = embeddings.mapv(f64::from);
        for (label, mut row) in unit.rows_mut().into_iter().enumerate() {
            let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            if !norm.is_finite() {
                return Err(Error::input(format!("embedding of label {label}"), norm, "values must be finite"));
            }
            if norm > 0.0 {
                row /= norm;
            }
        }
        let labels = unit.nrows();
        const BLOCK: usize = 128;
        progress.begin("joining similar labels", Some(labels as u64));
        let blocks: Vec<usize> = (0..labels).step_by(BLOCK).collect();
        let edges: Vec<Vec<(u32, u32, f64)>> = blocks
            .into_par_iter()
            .map(|start| {
                checkpoint(progress)?;
                let end = (start + BLOCK).min(labels);
                // Only labels after the block's first one: each pair is looked at once.
                let cosines = unit.slice(s![start..end, ..]).dot(&unit.slice(s![start.., ..]).t());
                let mut found = Vec::new();
                for (a, row) in cosines.rows().into_iter().enumerate() {
                    for (b, &cosine) in row.iter().enumerate().skip(a + 1) {
                        if cosine >= threshold && cosine > 0.0 {
                            found.push(((start + a) as u32, (start + b) as u32, cosine.min(1.0)));
                        }
                    }
                }
                progress.advance((end - start) as u64);
                Ok(found)
            })
            .collect::<Result<_>>()?;
        LabelGraph::from_edges(labels, &edges.concat())
    }

    /// The same graph with `more` labels at the end that are joined to no other.
    pub fn with_isolated(mut self, more: usize) -> Self {
        self.neighbours.resize(self.neighbours.len() + more, Vec::new());
        self
    }

    /// Number of labels.
    pub fn labels(&self) -> usize {
        self.neighbours.len()
    }

    /// Number of edges between different labels.
    pub fn edges(&self) -> usize {
        self.neighbours.iter().map(Vec::len).sum::<usize>() / 2
    }

    /// The rows of the propagation matrix P (step 2): entry `k` lists (l, P_kl), ascending, itself included.
    pub(crate) fn propagation(&self, prop_weight: f64, normalise: Normalise) -> Vec<Vec<(u32, f64)>> {
        let row = |label: usize| {
            let off = self.neighbours[label].iter().map(|(other, w)| (*other, w * prop_weight));
            let mut row: Vec<(u32, f64)> = off.filter(|(_, w)| *w > 0.0).collect();
            let at = row.partition_point(|(other, _)| (*other as usize) < label);
            row.insert(at, (label as u32, 1.0));
            row
        };
        let mut rows: Vec<Vec<(u32, f64)>> = (0..self.labels()).map(row).collect();
        // W' is symmetric: the sum of a row is also the sum of the column of the same number.
        let sums: Vec<f64> = rows.iter().map(|row| row.iter().map(|(_, w)| w).sum()).collect();
        for (k, row) in rows.iter_mut().enumerate() {
            for (l, w) in row {
                *w /= match normalise {
                    Normalise::Receiver => sums[*l as usize],
                    Normalise::Sender => sums[k],
                };
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use quadrat_core::Silent;

    #[test]
    fn embeddings_at_the_threshold_are_joined() {
        // Cosines: 0.6 between the first two, exactly; the third has no direction; the fourth repeats the first.
        let e = array![[5.0, 0.0], [3.0, 4.0], [0.0, 0.0], [1.0, 0.0]];
        let graph = LabelGraph::from_embeddings(e.view(), 0.6, &Silent).unwrap();
        assert_eq!(graph.neighbours[0], vec![(1, 0.6), (3, 1.0)]);
        assert_eq!(graph.neighbours[2], vec![]);
        assert_eq!(LabelGraph::from_embeddings(e.view(), 0.61, &Silent).unwrap().edges(), 1);
        assert!(LabelGraph::from_embeddings(e.view(), -0.1, &Silent).is_err());
        assert!(LabelGraph::from_embeddings(array![[f32::NAN]].view(), 0.9, &Silent).is_err());
    }

    #[test]
    fn blocks_join_the_same_labels_as_one_pair_at_a_time() {
        let mut rng = quadrat_core::Seed(4).rng(0);
        let e = ndarray::Array2::from_shape_simple_fn((300, 3), || rng.normal() as f32);
        let graph = LabelGraph::from_embeddings(e.view(), 0.9, &Silent).unwrap();
        let cosine = |a: usize, b: usize| {
            let (a, b) = (e.row(a).mapv(f64::from), e.row(b).mapv(f64::from));
            a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt()
        };
        for a in 0..300 {
            let expected: Vec<u32> = (0..300).filter(|b| *b != a && cosine(a, *b) >= 0.9).map(|b| b as u32).collect();
            assert_eq!(graph.neighbours[a].iter().map(|n| n.0).collect::<Vec<_>>(), expected, "{a}");
        }
    }

    #[test]
    fn propagation_sums_to_one_by_column_or_row() {
        let graph = LabelGraph::from_edges(4, &[(0, 1, 0.95), (1, 0, 0.95), (1, 2, 0.9), (3, 3, 1.0)]).unwrap();
        for (normalise, by_column) in [(Normalise::Receiver, true), (Normalise::Sender, false)] {
            let p = graph.propagation(1.0, normalise);
            let mut sums = [0.0; 4];
            for (k, row) in p.iter().enumerate() {
                row.iter().for_each(|(l, w)| sums[if by_column { *l as usize } else { k }] += w);
            }
            assert!(sums.iter().all(|s: &f64| (s - 1.0).abs() < 1e-12), "{sums:?}");
        }
        assert_eq!(
            graph.propagation(0.0, Normalise::Receiver),
            LabelGraph::identity(4).propagation(1.0, Normalise::Sender)
        );
    }

    #[test]
    fn bad_edges_are_named() {
        for (edges, text) in [
            (vec![(0, 9, 0.5)], "labels are below 2"),
            (vec![(0, 1, -0.5)], "at least 0"),
            (vec![(0, 1, f64::NAN)], "at least 0"),
            (vec![(1, 1, 0.5)], "must be 1"),
            (vec![(0, 1, 0.5), (1, 0, 0.6)], "symmetric"),
        ] {
            let error = LabelGraph::from_edges(2, &edges).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
