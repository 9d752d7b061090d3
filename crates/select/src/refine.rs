//! Iterative refinement: choose in rounds, and let what was learnt from each round decide where to look next.

use crate::cluster::{self, draw};
use crate::rows::points;
use crate::{ClusterSelector, Cost, Needs, Partition, Pool, Selection, Selector, Within};
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{
    Area, Card, Choice, Error, Method, Param, Params, Progress, Result, Seed, Settings, checkpoint, stats,
};
use quadrat_numeric::Clustering;
use quadrat_numeric::learners::{Learner, Softmax};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A method that chooses in rounds: it is asked for rows, the user does with them whatever gives them a score (labels
/// them, trains on them), and tells the scores. The method never sees the model.
pub trait AskTell {
    /// All there is to know of a run so far. Written with serde and read back, it goes on with the very same rows, bit
    /// for bit, provided the format keeps all digits (for `serde_json`, its feature `float_roundtrip`).
    type State: Clone + Serialize + DeserializeOwned;

    /// `m` new rows.
    fn ask(&mut self, m: usize) -> Result<Vec<usize>>;
    /// One score for each of `rows`, which must have been asked for; a row told again gets its new score.
    fn tell(&mut self, rows: &[usize], scores: &[f64]) -> Result<()>;
    /// The run so far.
    fn state(&self) -> &Self::State;
    /// Goes on from a state.
    fn resume(state: Self::State) -> Result<Self>
    where
        Self: Sized;
}

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

/// Iterative kMQ in one call, with what is known of the pool as the judge.
///
/// The paper trains the user's model after each round and scores the rows by how much a trusted judge prefers the given
/// answer to the model's own. Where only a file is at hand, the pool's scores are the user's own judgement: each row's
/// score in standard deviations from the pool's mean. Without scores nothing is learnt between rounds, so the choice is
/// static kMQ's ([`ClusterSelector`]): clusters in proportion to their size. The notes say so.
///
/// [`JudgeBy::Classes`] makes a judge of the labels themselves, for pools in which some are wrong. On clean ones it moves
/// the budget towards easy clusters, which costs accuracy.
///
/// With a trainer of your own, use [`DiversifyConquer::start`]. Rows come back in order of drawing.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::Points;
/// use quadrat_select::{DiversifyConquer, Pool, Selector};
/// let x = ndarray::Array2::from_shape_fn((200, 2), |(row, column)| ((row * 7 + column * 3) % 20) as f64);
/// let quality = (0..200).map(|row| f64::from(row as u32 % 20)).collect();
/// let pool = Pool::of_points(Points::F64(x)).with_scores(quality);
/// let chosen = DiversifyConquer::default().select(&pool, 30, Seed(1), &Silent)?;
/// assert_eq!(chosen.indices.len(), 30);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct DiversifyConquer {
    /// How the pool is cut into clusters.
    #[param(flatten)]
    pub partition: Partition,
    /// Rounds of drawing and judging. N: the budget is drawn in so many parts.
    #[param(default = 3, from = 1)]
    pub rounds: usize,
    /// How clusters' scores become weights.
    #[param(flatten)]
    pub update: Update,
    /// Weight that no cluster falls below, from 0 to 1/clusters.
    #[param(default = 0.0, from = 0, to = 1)]
    pub min_weight: f64,
    /// How rows are drawn inside a cluster.
    #[param(flatten = Inside)]
    pub within: Within,
    /// What judges the rows drawn so far.
    #[param(default = JudgeBy::Scores)]
    pub judge: JudgeBy,
}

/// What is typed of [`Within`]: here the draw is uniform where nothing is said, and `temperature` is that of the
/// update.
struct Inside(Within);

const WITHIN: Param = Param { default: "uniform", ..cluster::WITHIN };
const TEMPERATURE: Param = Param { name: "within-temperature", ..cluster::TEMPERATURE };

impl Settings for Inside {
    const PARAMS: &'static [Param] = &[WITHIN, TEMPERATURE];

    fn from_params(params: &Params) -> Result<Self> {
        Within::read(params, &WITHIN, &TEMPERATURE).map(Inside)
    }
}

impl Default for Inside {
    fn default() -> Self {
        Inside(Within::Uniform)
    }
}

impl From<Inside> for Within {
    fn from(Inside(within): Inside) -> Self {
        within
    }
}

/// What judges rows when the user brings no trainer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum JudgeBy {
    /// The pool's scores; nothing where there are none, which leaves kMQ.
    Scores,
    /// How surely a model of the other half of the rows finds their class, which moves the budget towards easy
    /// clusters: for pools with wrong labels.
    ///
    /// The log-probability of each row's given class under a softmax regression trained on the other half of the rows
    /// drawn so far, so that no row is its own witness. A cluster's weight is then in proportion to one over the
    /// perplexity of its labels. The paper's perplexity scorer has the other sign, and its better scorer asks a trusted
    /// judge; with nothing to trust but the labels themselves, a region where they contradict each other is likelier to
    /// be junk than to be worth more of it.
    Classes,
}

impl Method for DiversifyConquer {
    const CARD: Card = Card {
        slug: "diversify-conquer",
        aliases: &["iterative-kmq"],
        title: "Diversify and Conquer: iterative cluster refinement",
        paper: "Yu, Chen, Ahmadian and Fadaee, 2024, arXiv 2409.11378",
        area: Area::Select,
        verbs: &["select"],
        summary: "Clusters the embeddings and draws the budget in rounds. After each round every cluster is judged by \
                  the rows drawn so far, and the next round draws more where there is something to learn and less \
                  where there is junk. Without a score or a trainer nothing is learnt between rounds: each cluster \
                  then gets its share at once (kMQ). With `--state` the rounds are the user's own: choose, train, come \
                  back with `--scores`.",
        useful_when: "junk or noisy regions in the pool, wrong labels, mixed quality sources, diverse training data \
                      for fine-tuning, active rounds of training and choosing, too much data to train on",
        cost: "k-means: time O(rows x columns x clusters) an iteration at most, times restarts; a round then takes \
               milliseconds plus the training of the judge. Memory O(rows x columns) in single precision",
        params: &Param::pick(
            &[Self::PARAMS],
            [
                "clusters",
                "rounds",
                "judge",
                "update",
                "temperature",
                "min-weight",
                "within",
                "within-temperature",
                "metric",
                "restarts",
            ],
        ),
    };
}

impl DiversifyConquer {
    /// A run in rounds of the user's own: the pool cut into clusters, nothing drawn yet.
    ///
    /// # Errors
    /// What [`Pool::check`] and the clustering refuse; scores that `within` cannot use; a floor of the weights above
    /// 1/clusters.
    pub fn start(&self, pool: &Pool, seed: Seed, progress: &dyn Progress) -> Result<IterativeRefine> {
        pool.check(1, self.needs())?;
        let clusters = self.partition.fit(points(pool)?.to_f32().view(), seed, progress)?;
        self.over(clusters, pool, seed)
    }

    fn over(&self, clusters: Clustering, pool: &Pool, seed: Seed) -> Result<IterativeRefine> {
        let k = clusters.centroids.nrows();
        let start = IterativeRefine::new(clusters.assignment, k, self.update, seed)?;
        let chances = self.within.chances(pool.scores.as_ref())?;
        IterativeRefine::resume(RefineState { min_weight: self.min_weight, chances, ..start.state })
    }
}

impl Selector for DiversifyConquer {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        let scores_help = self.judge == JudgeBy::Scores || self.within != Within::Uniform;
        Needs { points: true, classes: self.judge == JudgeBy::Classes, scores_help, ..Needs::default() }
    }

    fn cost(&self, rows: usize, cols: usize, _budget: usize) -> Cost {
        self.partition.cost(rows, cols)
    }

    fn select(&self, pool: &Pool, budget: usize, seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        if self.rounds == 0 {
            return Err(Error::input("rounds", 0, "use at least 1"));
        }
        let clusters = self.partition.fit(points(pool)?.to_f32().view(), seed, progress)?;
        let k = clusters.centroids.nrows();
        let Some(judge) = Judge::of(pool, self.update, self.judge)? else {
            let kmq = ClusterSelector { partition: self.partition, within: self.within, ..ClusterSelector::default() };
            let mut chosen = kmq.draw(&clusters, pool, budget, seed)?;
            let why = "none: without scores nothing is learnt between rounds, so each cluster got its share by size at \
                       once (kMQ)";
            chosen.notes.push(("judge".to_owned(), why.to_owned()));
            return Ok(chosen);
        };
        let mut refine = self.over(clusters, pool, seed)?;
        let rounds = self.rounds.min(budget);
        progress.begin("rounds", Some(rounds as u64));
        for round in 0..rounds {
            checkpoint(progress)?;
            let spent = refine.state().scores.len();
            refine.ask(if round + 1 < rounds { budget / rounds } else { budget - spent })?;
            let rows = refine.drawn();
            refine.tell(&rows, &judge.scores(&rows, seed.stream("judge"))?)?;
            progress.advance(1);
        }
        let weights = refine.weights();
        let least = weights.iter().copied().fold(f64::INFINITY, f64::min);
        let most = weights.iter().copied().fold(0.0, f64::max);
        let sizes: Vec<String> = refine.state().rounds.iter().map(|round| round.len().to_string()).collect();
        let notes = vec![
            ("judge".to_owned(), judge.describe().to_owned()),
            ("clusters".to_owned(), k.to_string()),
            ("rows of each round".to_owned(), sizes.join(", ")),
            (
                "cluster weights at the end".to_owned(),
                format!("{least:.2e} to {most:.2e}, 1/K is {:.2e}", 1.0 / k as f64),
            ),
            ("unscored clusters".to_owned(), refine.unscored().len().to_string()),
        ];
        let scores = refine.state().scores.iter().copied().collect();
        Ok(Selection { indices: refine.drawn(), weights: None, scores, notes })
    }
}

/// Who scores rows when the user brings no trainer.
enum Judge<'a> {
    Scores(Vec<f64>),
    Classes { x: std::borrow::Cow<'a, Array2<f64>>, y: &'a [u32], classes: usize },
}

impl<'a> Judge<'a> {
    fn of(pool: &'a Pool, update: Update, by: JudgeBy) -> Result<Option<Self>> {
        if by == JudgeBy::Classes {
            let Some(y) = pool.classes.as_deref() else { return Ok(None) };
            let classes = y.iter().max().map_or(0, |top| *top as usize + 1);
            return Ok(Some(Judge::Classes { x: points(pool)?.to_f64(), y, classes }));
        }
        let Some(scores) = &pool.scores else { return Ok(None) };
        // The multiplicative update needs the scores' own zero.
        if update == Update::Multiplicative {
            return Ok(Some(Judge::Scores(scores.clone())));
        }
        let (mean, spread) = (stats::mean(scores), stats::standard_deviation(scores));
        let unit = if spread > 0.0 { spread } else { 1.0 };
        Ok(Some(Judge::Scores(scores.iter().map(|s| (s - mean) / unit).collect())))
    }

    fn describe(&self) -> &'static str {
        match self {
            Judge::Scores(_) => "the pool's scores",
            Judge::Classes { .. } => {
                "log-probability of the given class by softmax regression on the other half of the rows"
            }
        }
    }

    /// One score for each of `rows`, all of those drawn so far.
    fn scores(&self, rows: &[usize], seed: Seed) -> Result<Vec<f64>> {
        match self {
            Judge::Scores(scores) => Ok(rows.iter().map(|row| scores[*row]).collect()),
            Judge::Classes { x, y, classes } => {
                let x = x.select(Axis(0), rows);
                let y: Vec<u32> = rows.iter().map(|row| y[*row]).collect();
                cross_fitted(x.view(), &y, *classes, seed)
            }
        }
    }
}

/// The log-probability of each row's class under a model of the other half of the rows.
fn cross_fitted(x: ArrayView2<f64>, y: &[u32], classes: usize, seed: Seed) -> Result<Vec<f64>> {
    let mut scores = vec![0.0; y.len()];
    let mut order: Vec<usize> = (0..y.len()).collect();
    seed.rng(y.len() as u64).shuffle(&mut order);
    let (one, other) = order.split_at(order.len() / 2);
    for (witnesses, judged) in [(one, other), (other, one)] {
        if witnesses.is_empty() {
            continue; // A single row has nobody else to ask: 0, as for a certainty.
        }
        let labels: Vec<u32> = witnesses.iter().map(|i| y[*i]).collect();
        let judge = Softmax::default().fit(x.select(Axis(0), witnesses).view(), &labels, classes, None, seed)?;
        let probabilities = judge.probabilities(x.select(Axis(0), judged).view());
        // A class the witnesses do not have is not impossible: it is rarer than one in their number.
        let least = 1.0 / (witnesses.len() + classes) as f64;
        for (p, i) in probabilities.axis_iter(Axis(0)).zip(judged) {
            scores[*i] = p[y[*i] as usize].max(least).ln();
        }
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quadrat_core::Silent;
    use quadrat_numeric::Points;
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

    /// Three groups; the third has random classes, or low scores.
    fn pool(n: usize) -> (Points, Vec<u32>, Vec<f64>) {
        let mut rng = Seed(9).rng(0);
        let x = Array2::from_shape_fn((n, 3), |(row, c)| 8.0 * f64::from(u8::from(row % 3 == c)) + rng.normal());
        let y = (0..n).map(|row| if row % 3 == 2 { rng.below(4) as u32 } else { (row % 3) as u32 }).collect();
        let quality = (0..n).map(|row| if row % 3 == 2 { 20.0 } else { 80.0 } + rng.normal()).collect();
        (Points::F64(x), y, quality)
    }

    #[test]
    fn junk_loses_its_share() {
        let (points, classes, scores) = pool(600);
        let by_class = Pool::of_points(points.clone()).with_classes(classes);
        let by_score = Pool::of_points(points.clone()).with_scores(scores);
        let blind = Pool::of_points(points);
        let junk = |rows: &[usize]| rows.iter().filter(|row| **row % 3 == 2).count();
        let partition = Partition { clusters: crate::Clusters::Fixed(6), ..Partition::default() };
        for (pool, judge, name) in [
            (by_class.clone(), JudgeBy::Classes, "softmax regression"),
            (by_score, JudgeBy::Scores, "the pool's scores"),
        ] {
            let method = DiversifyConquer { partition, judge, ..DiversifyConquer::default() };
            let chosen = method.select(&pool, 150, Seed(1), &Silent).unwrap();
            let (first, last) = (junk(&chosen.indices[..50]), junk(&chosen.indices[100..]));
            assert!(last * 2 < first, "{name}: {first} of 50, then {last}");
            assert!(chosen.notes[0].1.contains(name), "{:?}", chosen.notes);
            let distinct: HashSet<&usize> = chosen.indices.iter().collect();
            assert_eq!(distinct.len(), 150);
        }
        // Without scores, classes or not, it is kMQ.
        let chosen = DiversifyConquer::default().select(&blind, 150, Seed(1), &Silent).unwrap();
        assert!(chosen.notes.iter().any(|(name, why)| name == "judge" && why.starts_with("none")));
        let kmq = ClusterSelector { within: Within::Uniform, ..ClusterSelector::default() };
        for pool in [&blind, &by_class] {
            let indices = DiversifyConquer::default().select(pool, 150, Seed(1), &Silent).unwrap().indices;
            assert_eq!(indices, kmq.select(&blind, 150, Seed(1), &Silent).unwrap().indices);
        }
        let judge = DiversifyConquer { judge: JudgeBy::Classes, ..DiversifyConquer::default() };
        assert!(judge.select(&blind, 150, Seed(1), &Silent).unwrap_err().to_string().contains("class"));
    }

    /// Inside a cluster, `within` decides; and a run in the user's own rounds draws what the selector draws.
    #[test]
    fn rounds_of_ones_own_are_the_rounds_of_the_selector() {
        let (points, _, scores) = pool(300);
        let pool = Pool::of_points(points).with_scores(scores.clone());
        for within in [Within::Uniform, Within::Softmax { temperature: 5.0 }] {
            let method = DiversifyConquer { within, ..DiversifyConquer::default() };
            let whole = method.select(&pool, 90, Seed(4), &Silent).unwrap().indices;
            let Some(Judge::Scores(judged)) = Judge::of(&pool, method.update, method.judge).unwrap() else { panic!() };
            let mut run = method.start(&pool, Seed(4), &Silent).unwrap();
            for _ in 0..3 {
                run.ask(30).unwrap();
                let rows = run.drawn();
                run.tell(&rows, &rows.iter().map(|row| judged[*row]).collect::<Vec<_>>()).unwrap();
            }
            assert_eq!(run.drawn(), whole);
        }
        let mean = |within, seed| {
            let method = DiversifyConquer { within, ..DiversifyConquer::default() };
            let rows = method.select(&pool, 90, Seed(seed), &Silent).unwrap().indices;
            // Apart from what the rows of a cluster have in common.
            let own = |row: &usize| scores[*row] - if row % 3 == 2 { 20.0 } else { 80.0 };
            rows.iter().map(own).sum::<f64>() / 90.0
        };
        let gain = |seed| mean(Within::Softmax { temperature: 0.2 }, seed) - mean(Within::Uniform, seed);
        // Over 20 seeds: a gain that is none passes once in 10^6.
        let gains = quadrat_core::stats::t_interval(&(0..20).map(gain).collect::<Vec<f64>>(), 1.0 - 2e-6, 0.0);
        assert!(gains.low > 0.0, "{gains:?}");
    }

    #[test]
    fn small_budgets_and_bad_settings_have_an_answer() {
        let (points, classes, _) = pool(9);
        let pool = Pool::of_points(points).with_classes(classes);
        for budget in [1, 2, 9] {
            let chosen = DiversifyConquer::default().select(&pool, budget, Seed(0), &Silent).unwrap();
            assert_eq!(chosen.indices.len(), budget);
        }
        assert!(
            DiversifyConquer { rounds: 0, ..DiversifyConquer::default() }.select(&pool, 2, Seed(0), &Silent).is_err()
        );
        let floor = DiversifyConquer { min_weight: 0.9, judge: JudgeBy::Classes, ..DiversifyConquer::default() };
        assert!(floor.select(&pool, 2, Seed(0), &Silent).is_err());
    }
}
