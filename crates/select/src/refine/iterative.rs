//! Iterative kMQ as ask and tell: the paper's loop, with the user's own training between the rounds.

use super::AskTell;
use crate::cluster::draw;
use quadrat_core::{Error, Result, Seed, Settings};
use serde::{Deserialize, Serialize};

/// How clusters' scores become weights.
#[derive(Debug, Clone, Copy, PartialEq, Settings, Serialize, Deserialize)]
#[param(name = "update", default = Softmax)]
#[serde(rename_all = "lowercase")]
pub enum Update {
    /// `w_j = exp(s_j / temperature) / sum`: no memory of earlier weights. As the official code does.
    Softmax {
        /// Temperature, in units of the score. Scores that differ by much more than it leave one cluster only.
        #[param(default = 1.0, above = 0)]
        temperature: f64,
    },
    /// `w_j` in proportion to `s_j w_j`, with scores >= 0. The paper's form, as far as known; not verified.
    Multiplicative,
}

/// The state of an [`IterativeRefine`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefineState {
    /// Number of clusters K.
    pub clusters: usize,
    /// Each row's cluster, below K.
    pub assignment: Vec<u32>,
    /// What each row's chance inside its cluster is proportional to; `None` when all are alike.
    pub chances: Option<Vec<f64>>,
    /// How clusters' scores become weights.
    pub update: Update,
    /// Weight that no cluster falls below, from 0 to 1/K.
    pub min_weight: f64,
    /// All draws come from it.
    pub seed: u64,
    /// The rows of each round, in order of drawing.
    pub rounds: Vec<Vec<usize>>,
    /// The last score told of each of those rows, in the same order over all rounds.
    pub scores: Vec<Option<f64>>,
    /// The clusters' weights before the first round and after each telling.
    pub history: Vec<Vec<f64>>,
}

/// Iterative kMQ as ask and tell.
///
/// 1. All clusters start with weight 1/K.
/// 2. `ask(m)` draws the clusters' counts from Multinomial(m, w), then rows inside each cluster without replacement.
///    What an exhausted cluster cannot give is drawn from the others by the same weights.
/// 3. The user trains on all rows so far and scores them: by how much a trusted judge prefers the given answer to the
///    model's own (the paper's best choice), or by perplexity, or otherwise; larger means worth more of it.
/// 4. `tell(rows, scores)` averages the scores of each cluster and updates w. A cluster that has no scored row yet
///    keeps its weight; the others share the rest.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_select::{AskTell, IterativeRefine, Update};
/// // Rows 0..50 are in cluster 0, which turns out to be junk; rows 50..100 in cluster 1.
/// let assignment = (0..100).map(|row| row / 50).collect();
/// let mut refine = IterativeRefine::new(assignment, 2, Update::default(), Seed(1))?;
/// let first = refine.ask(20)?;
/// let scores: Vec<f64> = first.iter().map(|row| if *row < 50 { -4.0 } else { 0.0 }).collect();
/// refine.tell(&first, &scores)?;
/// assert!(refine.weights()[0] < 0.02);
/// let saved = refine.state().clone();
/// assert_eq!(IterativeRefine::resume(saved)?.ask(10)?, refine.ask(10)?);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct IterativeRefine {
    state: RefineState,
    /// Rows of each cluster not drawn yet, ascending.
    left: Vec<Vec<usize>>,
    /// Each row's place in the order of drawing.
    place: Vec<Option<u32>>,
}

impl IterativeRefine {
    /// A run over rows whose clusters are known; every number in `assignment` must be below `clusters`.
    pub fn new(assignment: Vec<u32>, clusters: usize, update: Update, seed: Seed) -> Result<Self> {
        Self::resume(RefineState {
            clusters,
            assignment,
            chances: None,
            update,
            min_weight: 0.0,
            seed: seed.0,
            rounds: Vec::new(),
            scores: Vec::new(),
            history: vec![vec![1.0 / clusters as f64; clusters]],
        })
    }

    /// The clusters' weights: what the next draw follows.
    pub fn weights(&self) -> &[f64] {
        self.state.history.last().map_or(&[], Vec::as_slice)
    }

    /// Clusters of which no row has a score yet: their weight has stood still.
    pub fn unscored(&self) -> Vec<usize> {
        let means = self.cluster_scores();
        (0..means.len()).filter(|j| means[*j].is_none()).collect()
    }

    /// All rows drawn so far, in order.
    pub fn drawn(&self) -> Vec<usize> {
        self.state.rounds.concat()
    }

    /// s_j: the mean score of the scored rows of each cluster.
    fn cluster_scores(&self) -> Vec<Option<f64>> {
        let (mut sums, mut counts) = (vec![0.0; self.state.clusters], vec![0_usize; self.state.clusters]);
        for (row, score) in self.state.rounds.iter().flatten().zip(&self.state.scores) {
            if let Some(score) = score {
                let cluster = self.state.assignment[*row] as usize;
                sums[cluster] += score;
                counts[cluster] += 1;
            }
        }
        sums.into_iter().zip(counts).map(|(sum, count)| (count > 0).then(|| sum / count as f64)).collect()
    }

    /// The weights that follow from the cluster scores.
    fn updated(&self) -> Result<Vec<f64>> {
        let RefineState { clusters, update, min_weight, .. } = self.state;
        let (scores, old) = (self.cluster_scores(), self.weights());
        let top = scores.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
        let raw = |score: f64, old: f64| match update {
            Update::Softmax { temperature } => ((score - top) / temperature).exp(),
            Update::Multiplicative => score * old,
        };
        // Clusters without a score keep what they have; the others share what those leave.
        let share: f64 = 1.0 - old.iter().zip(&scores).filter(|(_, s)| s.is_none()).map(|(w, _)| w).sum::<f64>();
        let new: Vec<Option<f64>> = scores.iter().zip(old).map(|(s, w)| s.map(|s| raw(s, *w))).collect();
        let total: f64 = new.iter().flatten().sum();
        if total <= 0.0 || !total.is_finite() {
            return Err(Error::input("scores", "0 for every cluster", "at least one cluster must score above 0"));
        }
        let floor = |w: f64| min_weight + (1.0 - clusters as f64 * min_weight) * w;
        Ok(new.iter().zip(old).map(|(new, old)| new.map_or(*old, |new| floor(share * (new / total)))).collect())
    }
}

impl AskTell for IterativeRefine {
    type State = RefineState;

    fn ask(&mut self, m: usize) -> Result<Vec<usize>> {
        let open: usize = self.left.iter().map(Vec::len).sum();
        if m == 0 || m > open {
            return Err(Error::input("rows to draw", m, format!("use 1 to {open}, the rows not drawn yet")));
        }
        let mut rng = Seed(self.state.seed).stream("ask").rng(self.state.rounds.len() as u64);
        let mut counts = vec![0; self.state.clusters];
        let mut missing = m;
        while missing > 0 {
            let room: Vec<usize> = self.left.iter().zip(&counts).map(|(left, count)| left.len() - count).collect();
            let mut weights: Vec<f64> =
                self.weights().iter().zip(&room).map(|(w, room)| if *room > 0 { *w } else { 0.0 }).collect();
            if weights.iter().all(|w| *w <= 0.0) {
                weights = room.iter().map(|room| *room as f64).collect();
            }
            for ((count, drawn), room) in counts.iter_mut().zip(rng.multinomial(missing, &weights)).zip(room) {
                *count += drawn.min(room);
            }
            missing = m - counts.iter().sum::<usize>();
        }
        let mut round = Vec::with_capacity(m);
        for (left, count) in self.left.iter_mut().zip(counts) {
            for row in draw(left, count, self.state.chances.as_deref(), &mut rng) {
                self.place[row] = Some((self.state.scores.len() + round.len()) as u32);
                round.push(row);
            }
            left.retain(|row| self.place[*row].is_none());
        }
        self.state.scores.resize(self.state.scores.len() + round.len(), None);
        self.state.rounds.push(round.clone());
        Ok(round)
    }

    fn tell(&mut self, rows: &[usize], scores: &[f64]) -> Result<()> {
        if rows.len() != scores.len() {
            return Err(Error::input("scores", scores.len(), format!("give one for each of the {} rows", rows.len())));
        }
        let mut places = Vec::with_capacity(rows.len());
        for (row, score) in rows.iter().zip(scores) {
            let Some(Some(place)) = self.place.get(*row) else {
                return Err(Error::input("scored row", row, "only rows that were asked for can be scored"));
            };
            if !score.is_finite() {
                return Err(Error::input(format!("score of row {row}"), score, "scores must be finite"));
            }
            if self.state.update == Update::Multiplicative && *score < 0.0 {
                let want = "the multiplicative update needs scores >= 0; use the softmax update";
                return Err(Error::input(format!("score of row {row}"), score, want));
            }
            places.push(*place as usize);
        }
        if places.is_empty() {
            return Ok(());
        }
        let before = self.state.scores.clone();
        places.iter().zip(scores).for_each(|(place, score)| self.state.scores[*place] = Some(*score));
        match self.updated() {
            Ok(weights) => self.state.history.push(weights),
            Err(error) => {
                self.state.scores = before;
                return Err(error);
            }
        }
        Ok(())
    }

    fn state(&self) -> &RefineState {
        &self.state
    }

    fn resume(state: RefineState) -> Result<Self> {
        let RefineState { clusters, ref assignment, ref chances, update, min_weight, ref rounds, .. } = state;
        if clusters == 0 || assignment.is_empty() {
            let got = format!("{clusters} clusters, {} rows", assignment.len());
            return Err(Error::input("pool", got, "there must be at least one cluster and one row"));
        }
        if let Some((row, cluster)) = assignment.iter().enumerate().find(|(_, c)| **c as usize >= clusters) {
            return Err(Error::input(
                format!("cluster of row {row}"),
                cluster,
                format!("there are {clusters} clusters"),
            ));
        }
        if let Some(chances) = chances
            && (chances.len() != assignment.len() || !chances.iter().all(|c| c.is_finite() && *c >= 0.0))
        {
            return Err(Error::input("chances", chances.len(), "give a finite number >= 0 for each row"));
        }
        if let Update::Softmax { temperature } = update
            && !(temperature > 0.0 && temperature.is_finite())
        {
            return Err(Error::input("temperature", temperature, "use a finite temperature above 0"));
        }
        if !(min_weight >= 0.0 && min_weight * clusters as f64 <= 1.0) {
            let want = format!("use 0 to 1/{clusters}, the number of clusters");
            return Err(Error::input("min_weight", min_weight, want));
        }
        let usable = |w: &Vec<f64>| w.len() == clusters && w.iter().all(|w| w.is_finite() && *w >= 0.0);
        if state.scores.len() != rounds.iter().map(Vec::len).sum::<usize>()
            || state.scores.iter().flatten().any(|score| !score.is_finite())
            || !state.history.last().is_some_and(usable)
        {
            return Err(Error::input("state", "scores or weights that do not fit", "give a state as it was saved"));
        }
        let mut place = vec![None; assignment.len()];
        for (at, row) in rounds.iter().flatten().enumerate() {
            match place.get_mut(*row) {
                Some(free @ None) => *free = Some(at as u32),
                _ => return Err(Error::input("drawn row", row, "each row of the pool can be drawn once")),
            }
        }
        let mut left = vec![Vec::new(); clusters];
        for (row, &cluster) in assignment.iter().enumerate().filter(|(row, _)| place[*row].is_none()) {
            left[cluster as usize].push(row);
        }
        Ok(IterativeRefine { state, left, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quadrat_core::stats;
    use std::collections::HashSet;

    fn blocks(sizes: &[usize]) -> Vec<u32> {
        sizes.iter().enumerate().flat_map(|(cluster, size)| std::iter::repeat_n(cluster as u32, *size)).collect()
    }

    fn refine(sizes: &[usize], update: Update, seed: u64) -> IterativeRefine {
        IterativeRefine::new(blocks(sizes), sizes.len(), update, Seed(seed)).unwrap()
    }

    #[test]
    fn equal_scores_leave_equal_weights() {
        for update in [Update::default(), Update::Multiplicative] {
            let mut run = refine(&[40; 7], update, 1);
            for _ in 0..5 {
                run.ask(30).unwrap();
                let rows = run.drawn();
                run.tell(&rows, &vec![0.7; rows.len()]).unwrap();
                assert!(run.weights().iter().all(|w| (w - 1.0 / 7.0).abs() <= 1e-15), "{:?}", run.weights());
            }
        }
    }

    /// b = 2 of n = 5 over 20,000 seeds: all ten pairs alike, by Pearson's statistic at level 1e-6.
    #[test]
    fn one_cluster_is_simple_random_sampling() {
        let mut counts = [0_usize; 25];
        for seed in 0..20_000 {
            let mut pair = refine(&[5], Update::default(), seed).ask(2).unwrap();
            pair.sort_unstable();
            counts[pair[0] * 5 + pair[1]] += 1;
        }
        let drawn: Vec<usize> = counts.into_iter().filter(|c| *c > 0).collect();
        let statistic: f64 = drawn.iter().map(|c| (*c as f64 - 2000.0).powi(2) / 2000.0).sum();
        assert_eq!(drawn.len(), 10);
        assert!(stats::chi_square_tail(statistic, 9.0) > 1e-6, "{drawn:?}");
    }

    /// The first cluster's count is Binomial(12, w_0): Pearson at level 1e-6 over 20,000 seeds.
    #[test]
    fn counts_follow_the_weights() {
        let start = refine(&[50, 50, 50], Update::default(), 0);
        let w = [0.5, 0.3, 0.2];
        let mut counts = [0_usize; 13];
        for seed in 0..20_000 {
            let state = RefineState { seed, history: vec![w.to_vec()], ..start.state().clone() };
            let rows = IterativeRefine::resume(state).unwrap().ask(12).unwrap();
            counts[rows.iter().filter(|row| **row < 50).count()] += 1;
        }
        let mut expected = [20_000.0 * 0.5_f64.powi(12); 13];
        (1..13).for_each(|c| expected[c] = expected[c - 1] * (13 - c) as f64 / c as f64);
        let statistic: f64 = counts.iter().zip(expected).map(|(c, e)| (*c as f64 - e).powi(2) / e).sum();
        assert!(stats::chi_square_tail(statistic, 12.0) > 1e-6, "{counts:?}");
    }

    #[test]
    fn weights_follow_the_formulas() {
        let mut run = refine(&[10, 10, 10], Update::Softmax { temperature: 2.0 }, 3);
        let rows = run.ask(30).unwrap();
        let score = |row: &usize| [1.0, 3.0, -1.0][row / 10] + if row.is_multiple_of(2) { 0.5 } else { -0.5 };
        run.tell(&rows, &rows.iter().map(score).collect::<Vec<_>>()).unwrap();
        let total: f64 = [1.0_f64, 3.0, -1.0].iter().map(|s| (s / 2.0).exp()).sum();
        for (w, s) in run.weights().iter().zip([1.0_f64, 3.0, -1.0]) {
            assert!((w - (s / 2.0).exp() / total).abs() < 1e-15);
        }
        // A constant added to all scores changes nothing.
        let before = run.weights().to_vec();
        run.tell(&rows, &rows.iter().map(|row| score(row) + 1000.0).collect::<Vec<_>>()).unwrap();
        assert!(run.weights().iter().zip(before).all(|(a, b)| (a - b).abs() < 1e-12));
        // Multiplicative: scores 1, 2, 5 twice are weights 1, 4, 25.
        let mut run = refine(&[10, 10, 10], Update::Multiplicative, 3);
        let rows = run.ask(30).unwrap();
        let scores: Vec<f64> = rows.iter().map(|row| [1.0, 2.0, 5.0][row / 10]).collect();
        run.tell(&rows, &scores).unwrap();
        run.tell(&rows, &scores).unwrap();
        assert!(run.weights().iter().zip([1.0, 4.0, 25.0]).all(|(w, s)| (w - s / 30.0).abs() < 1e-15));
    }

    #[test]
    fn clusters_without_a_score_keep_their_weight_and_exhausted_ones_pass_theirs_on() {
        let mut run = refine(&[2, 30, 30], Update::default(), 1);
        let rows = run.ask(40).unwrap();
        assert_eq!(rows.len(), 40);
        let told: Vec<usize> = rows.iter().copied().filter(|row| *row < 32).collect();
        run.tell(&told, &vec![5.0; told.len()]).unwrap();
        assert_eq!(run.unscored(), [2]);
        assert!(
            (run.weights()[2] - 1.0 / 3.0).abs() < 1e-15 && (run.weights().iter().sum::<f64>() - 1.0).abs() < 1e-15
        );
        // All weight on what is used up: the rest is still to be had.
        let state = RefineState { history: vec![vec![1.0, 0.0, 0.0]], ..run.state().clone() };
        let mut run = IterativeRefine::resume(state).unwrap();
        assert_eq!(run.ask(22).unwrap().len(), 22);
        assert!(run.ask(1).is_err());
    }

    #[test]
    fn a_floor_keeps_every_cluster_in_play() {
        let start = refine(&[20, 20], Update::default(), 1);
        let mut run = IterativeRefine::resume(RefineState { min_weight: 0.1, ..start.state().clone() }).unwrap();
        let rows = run.ask(40).unwrap();
        run.tell(&rows, &rows.iter().map(|row| if *row < 20 { 0.0 } else { 900.0 }).collect::<Vec<_>>()).unwrap();
        assert!((run.weights()[0] - 0.1).abs() < 1e-12 && (run.weights()[1] - 0.9).abs() < 1e-12);
    }

    #[test]
    fn bad_tellings_are_refused_and_change_nothing() {
        let mut run = refine(&[5, 5], Update::Multiplicative, 1);
        let rows = run.ask(4).unwrap();
        let other = (0..10).find(|row| !rows.contains(row)).unwrap();
        let before = run.state().clone();
        for (told, scores, says) in [
            (vec![rows[0]], vec![], "scores: got 0"),
            (vec![other], vec![1.0], "scored row"),
            (vec![99], vec![1.0], "scored row: got 99"),
            (vec![rows[0]], vec![f64::NAN], "score of row"),
            (vec![rows[0]], vec![-1.0], "score of row"),
            (rows.clone(), vec![0.0; 4], "scores: got 0 for every cluster"),
        ] {
            let error = run.tell(&told, &scores).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
            assert_eq!(run.state(), &before);
        }
        for bad in [0, 7] {
            assert!(run.ask(bad).is_err());
        }
        assert!(run.tell(&[], &[]).is_ok());
        assert!(IterativeRefine::new(vec![0, 2], 2, Update::default(), Seed(0)).is_err());
        assert!(IterativeRefine::new(vec![], 2, Update::default(), Seed(0)).is_err());
        assert!(IterativeRefine::new(vec![0], 1, Update::Softmax { temperature: 0.0 }, Seed(0)).is_err());
        for broken in [
            RefineState { rounds: vec![vec![1, 1]], scores: vec![None; 2], ..before.clone() },
            RefineState { rounds: vec![vec![10]], scores: vec![None], ..before.clone() },
            RefineState { scores: vec![], ..before.clone() },
            RefineState { history: vec![], ..before.clone() },
            RefineState { min_weight: 0.6, ..before.clone() },
            RefineState { chances: Some(vec![1.0]), ..before.clone() },
        ] {
            assert!(IterativeRefine::resume(broken).is_err());
        }
    }

    proptest! {
        /// Saved as JSON at any time and read back, a run goes on with the same rows and weights, bit for bit; and no row
        /// is ever drawn twice.
        #[test]
        fn resumed_runs_are_the_same(
            sizes in prop::collection::vec(1_usize..30, 1..6),
            asks in prop::collection::vec((1_usize..12, any::<u32>()), 1..6),
            seed in any::<u64>(),
            weighted in any::<bool>(),
        ) {
            let n: usize = sizes.iter().sum();
            let start = refine(&sizes, Update::default(), seed);
            let chances = weighted.then(|| (0..n).map(|row| (row % 4) as f64).collect());
            let mut run = IterativeRefine::resume(RefineState { chances, ..start.state().clone() }).unwrap();
            let mut seen = HashSet::new();
            for (m, salt) in asks {
                let text = serde_json::to_string(run.state()).unwrap();
                let mut again = IterativeRefine::resume(serde_json::from_str(&text).unwrap()).unwrap();
                let m = m.min(n - seen.len());
                if m == 0 {
                    break;
                }
                let rows = run.ask(m).unwrap();
                prop_assert_eq!(&again.ask(m).unwrap(), &rows);
                prop_assert!(rows.iter().all(|row| *row < n && seen.insert(*row)));
                let scores: Vec<f64> =
                    rows.iter().map(|row| f64::from(salt.wrapping_mul(*row as u32 + 1)) / 1e9 - 2.0).collect();
                run.tell(&rows, &scores).unwrap();
                again.tell(&rows, &scores).unwrap();
                prop_assert_eq!(run.state(), again.state());
            }
        }
    }
}
