//! Questions by the rules of theory and practice: baselines, and fall-backs where nothing was trained.
//!
//! All look at a belief over a grid ([`Grid`]), and so assume its flip rates or levels. With one flip rate, information
//! gain is the noise-aware generalised binary search; with a rate above the true one it is the soft search of Nowak
//! (IEEE Transactions on Information Theory 2011), which discounts a contradicted hypothesis instead of dropping it. All
//! recommend the answer of least expected loss. Ties are broken at random.

use super::belief::Belief;
use super::{Game, Grid, QueryPolicy, QueryProblem, check_budget};
use quadrat_core::{Result, Rng, Seed};

/// Which query comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryRule {
    /// Any.
    Uniform,
    /// In fixed proportions, whatever the replies: shares of the queries, as [`QueryProblem::design`] finds them.
    Design(Vec<f64>),
    /// The one whose reply carries the most information about theta.
    InformationGain,
    /// The one whose reply is least certain; for a table of sure yes and no that is generalised binary search.
    Uncertainty,
    /// Rounds that each drop the less likely half of the answers: ask what those left disagree about, and have been asked
    /// least. For a game of this many questions.
    Halving(usize),
    /// Draw a parameter from the belief and a rival with another best answer, and ask what tells them apart most.
    TopTwo,
}

/// A rule over a grid.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_select::{AnswerTable, Classical, QueryPolicy, QueryRule};
/// let table = AnswerTable::thresholds(7, &[0.1])?;
/// let policy = Classical::new(&table, QueryRule::InformationGain)?;
/// let mut rng = Seed(1).rng(0);
/// assert_eq!(policy.next(&[], &mut rng)?, Some(3), "the middle");
/// assert_eq!(policy.next(&[(3, 1.0)], &mut rng)?, Some(1), "yes: the threshold is before it");
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Classical {
    /// What the belief is about.
    pub grid: Grid,
    /// Which query comes next.
    pub rule: QueryRule,
    /// Whether a query may be asked only once. Under noise, asking again is worth something; a person's reply will not
    /// change.
    pub no_repeat: bool,
}

impl Classical {
    /// The rule with a belief over the problem's own grid, whose levels are 2, 8 and 32 where Theta is not finite.
    ///
    /// # Errors
    /// As [`Grid::new`]; a game of 0 questions.
    pub fn new(problem: &dyn QueryProblem, rule: QueryRule) -> Result<Self> {
        if let QueryRule::Halving(budget) = rule {
            check_budget(budget)?;
        }
        let grid = Grid::new(problem, &[2.0, 8.0, 32.0], Seed(0))?;
        Ok(Classical { grid, rule, no_repeat: false })
    }
}

impl QueryPolicy for Classical {
    fn start(&self) -> Box<dyn Game + '_> {
        let all = vec![true; self.grid.answers()];
        Box::new(Play {
            policy: self,
            belief: Belief::new(&self.grid),
            value: vec![0.0; self.grid.queries()],
            alive: all,
        })
    }
}

struct Play<'a> {
    policy: &'a Classical,
    belief: Belief<'a>,
    /// What each query is worth.
    value: Vec<f32>,
    /// Answers that halving has not dropped.
    alive: Vec<bool>,
}

impl Game for Play<'_> {
    fn restart(&mut self) {
        self.belief.restart();
        self.alive.fill(true);
    }

    fn ask(&mut self, rng: &mut Rng) -> Option<usize> {
        let Play { policy, belief, value, alive } = self;
        match &policy.rule {
            QueryRule::Uniform => value.fill(0.0),
            QueryRule::Design(shares) => {
                // The query furthest behind its share.
                let next = belief.asked as f32 + 1.0;
                for (x, value) in value.iter_mut().enumerate() {
                    *value = shares.get(x).map_or(0.0, |share| *share as f32) * next - belief.count[x] as f32;
                }
            }
            QueryRule::InformationGain => {
                belief.worth();
                value.copy_from_slice(belief.information());
            }
            QueryRule::Uncertainty => {
                belief.worth();
                match belief.grid.family() {
                    super::Family::Bernoulli => {
                        value.iter_mut().zip(&belief.expected).for_each(|(v, p)| *v = -(p - 0.5).abs());
                    }
                    super::Family::Gaussian => value.copy_from_slice(belief.information()),
                }
            }
            QueryRule::Halving(budget) => halve(belief, alive, value, *budget),
            QueryRule::TopTwo => top_two(belief, value, rng),
        }
        let open = |x: &usize| !policy.no_repeat || belief.count[*x] == 0;
        largest(value, open, rng)
    }

    fn tell(&mut self, query: usize, reply: Option<f64>) -> Result<()> {
        self.belief.tell(query, reply)
    }

    fn recommend(&mut self, rng: &mut Rng) -> usize {
        self.belief.answers();
        let belief = &mut self.belief;
        belief.risk.iter_mut().for_each(|risk| *risk = -*risk);
        let alive = &self.alive;
        let best = largest(&belief.risk, |z| alive[*z], rng).unwrap_or(0);
        belief.risk.iter_mut().for_each(|risk| *risk = -*risk);
        best
    }

    fn chances(&mut self) -> Vec<f64> {
        self.belief.answers();
        self.belief.chance.iter().map(|p| f64::from(*p)).collect()
    }
}

/// The index of the largest of the values that are `open`, one at random of those that tie to five digits.
pub(super) fn largest(values: &[f32], open: impl Fn(&usize) -> bool, rng: &mut Rng) -> Option<usize> {
    let most = (0..values.len()).filter(&open).map(|i| values[i]).reduce(f32::max)?;
    let from = most - 1e-5 * most.abs().max(0.01);
    let mut found = None;
    let mut ties = 0;
    for i in (0..values.len()).filter(&open).filter(|i| values[*i] >= from) {
        ties += 1;
        if ties == 1 || rng.below(ties) == 0 {
            found = Some(i);
        }
    }
    found
}

/// In round r of R = ceil(log2 |Z|), those left are the ceil(|Z| / 2^r) most likely of those before. A query is worth how
/// much the means of those left differ, over how often it was asked.
fn halve(belief: &mut Belief, alive: &mut [bool], value: &mut [f32], budget: usize) {
    belief.answers();
    let z = alive.len();
    let rounds = usize::BITS - (z.max(2) - 1).leading_zeros();
    let round = (belief.asked * rounds as usize / budget).min(rounds as usize - 1);
    let left = z.div_ceil(1 << round);
    while alive.iter().filter(|a| **a).count() > left {
        let worst = (0..z).filter(|z| alive[*z]).min_by(|a, b| belief.chance[*a].total_cmp(&belief.chance[*b]));
        worst.into_iter().for_each(|z| alive[z] = false);
    }
    let grid = belief.grid;
    let those: Vec<usize> = (0..grid.parameters()).filter(|g| alive[grid.best(*g)]).collect();
    for (x, value) in value.iter_mut().enumerate() {
        let m = those.len() as f32;
        let mean = those.iter().map(|g| grid.means(*g)[x]).sum::<f32>() / m;
        let spread = those.iter().map(|g| (grid.means(*g)[x] - mean).powi(2)).sum::<f32>() / m;
        *value = spread / (1.0 + belief.count[x] as f32);
    }
}

fn top_two(belief: &mut Belief, value: &mut [f32], rng: &mut Rng) {
    belief.posterior();
    let grid = belief.grid;
    let (within, group) = (&belief.within, &belief.group);
    let mut draw = |avoid: Option<usize>| {
        // One pass a draw: the largest of weight^(1/u) is a draw by weight (Efraimidis and Spirakis 2006).
        let mut drawn = (f64::INFINITY, 0);
        let mut start = 0;
        for (end, mass) in grid.ends().iter().zip(group) {
            for (g, w) in within.iter().enumerate().take(*end).skip(start) {
                let w = f64::from(mass * w).max(1e-30);
                if avoid.is_some_and(|z| grid.best(g) == z) {
                    continue;
                }
                let key = rng.exponential() / w;
                if key < drawn.0 {
                    drawn = (key, g);
                }
            }
            start = *end;
        }
        drawn.1
    };
    let first = draw(None);
    let second = draw(Some(grid.best(first)));
    value.iter_mut().zip(grid.means(first).iter().zip(grid.means(second))).for_each(|(v, (a, b))| *v = (a - b).powi(2));
}
