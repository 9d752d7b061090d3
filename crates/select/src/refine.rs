//! Iterative refinement: choose in rounds, and let what was learnt from each round decide where to look next.
//!
//! The rounds are the user's own ([`IterativeRefine`], by the interface [`AskTell`]), or one call makes them all with a
//! judge at hand ([`DiversifyConquer`]).
//!
//! What the claim found: on images with wrong labels in whole regions the rounds gained a point or so on random rows, and
//! static kMQ with the same judge's scores ([`ClusterSelector`] with [`Within::Softmax`]) was better by more than ten points.

mod ask_tell;
mod iterative;
mod judge;

pub use ask_tell::AskTell;
pub use iterative::{IterativeRefine, RefineState, Update};
pub use judge::JudgeBy;

use crate::cluster;
use crate::rows::points;
use crate::{ClusterSelector, Cost, Needs, Partition, Pool, Selection, Selector, Within};
use judge::Judge;
use quadrat_core::{Area, Card, Error, Method, Param, Params, Progress, Result, Seed, Settings, checkpoint};
use quadrat_numeric::Clustering;

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
        IterativeRefine::resume(RefineState { min_weight: self.min_weight, chances, ..start.state().clone() })
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

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use quadrat_core::Silent;
    use quadrat_numeric::Points;
    use std::collections::HashSet;

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
