//! The loss over losses: more feedback must not do worse than less.

use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result, Rng};

/// A loss and its derivatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The loss.
    pub value: f64,
    /// Queries x revisions: its derivative by each loss.
    pub slope: Array2<f64>,
}

/// The mean, over all queries and all pairs of revisions a before b, of max(0, loss_a - loss_b) (LoL: Zhu et al. 2022,
/// arXiv 2204.11545, its comparative regularisation). `losses` are queries x revisions, the revision with the most feedback first: a pair
/// costs what the one with more feedback is worse by. The mean is of all pairs, not of those that cost something, so that a weight
/// means the same at every step. At equality the derivative is 0.
///
/// Derivatives go to both losses, as in the authors' program; `detach` takes the one with less feedback for given, so that it is
/// not made worse for the comparison's sake.
///
/// The function knows nothing of queries: it serves whatever should not get worse by more of an input. One revision has no pair and a
/// loss of 0.
///
/// # Errors
/// A loss that is not finite.
///
/// ```
/// use ndarray::array;
/// use quadrat_retrieval::rewrite::comparative_hinge;
/// // With five documents the first query is worse than with two, the second better.
/// let loss = comparative_hinge(array![[3.0, 2.5], [1.0, 2.0]].view(), false)?;
/// assert_eq!((loss.value, loss.slope), (0.25, array![[0.5, -0.5], [0.0, 0.0]]));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn comparative_hinge(losses: ArrayView2<f64>, detach: bool) -> Result<Comparison> {
    if let Some(((query, revision), loss)) = losses.indexed_iter().find(|(_, loss)| !loss.is_finite()) {
        let what = format!("loss of query {query}, revision {revision} (from 0)");
        return Err(Error::input(what, loss, "losses must be finite"));
    }
    let (queries, revisions) = losses.dim();
    let share = 1.0 / (queries * revisions * revisions.saturating_sub(1) / 2).max(1) as f64;
    let mut comparison = Comparison { value: 0.0, slope: Array2::zeros(losses.dim()) };
    for (losses, mut slope) in losses.outer_iter().zip(comparison.slope.outer_iter_mut()) {
        for a in 0..revisions {
            for b in a + 1..revisions {
                if losses[a] > losses[b] {
                    comparison.value += share * (losses[a] - losses[b]);
                    slope[a] += share;
                    slope[b] -= if detach { 0.0 } else { share };
                }
            }
        }
    }
    Ok(comparison)
}

/// `count` different numbers of 0 to `most`, in descending order: how much feedback each revision of a query sees. All such sets are
/// equally likely.
///
/// # Errors
/// More numbers than there are.
///
/// ```
/// use quadrat_core::Seed;
/// let sizes = quadrat_retrieval::rewrite::feedback_sizes(5, 2, &mut Seed(1).rng(0))?;
/// assert!(sizes[0] > sizes[1] && sizes[0] <= 5);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn feedback_sizes(most: usize, count: usize, rng: &mut Rng) -> Result<Vec<usize>> {
    if count > most + 1 {
        return Err(Error::input("sizes", count, format!("0 to {most} are only {} different ones", most + 1)));
    }
    let mut sizes = rng.sample(most + 1, count);
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    Ok(sizes)
}
