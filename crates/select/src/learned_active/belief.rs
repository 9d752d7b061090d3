//! What the replies say of theta: a posterior on a grid of parameters.
//!
//! The grid stands for Theta: all parameters where it is finite, a sample where it is not. Its groups are parameters of
//! like noise or hardness, so that a policy can see what each query is worth if the noise were this or that, and how
//! likely each of them is. The prior is flat.
//!
//! What a query is worth is the information that its reply carries about theta: H(mean of p) - mean of H(p) for yes and no,
//! and for normal replies 1/2 log(1 + variance of the means), which is exact for a normal belief.

use super::{CERTAIN, Family, QueryProblem};
use quadrat_core::{Error, Result, Seed};
use serde::{Deserialize, Serialize};

/// A grid of G parameters in groups, with all that a belief over it needs. f32 suffices for beliefs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct Grid {
    family: Family,
    queries: usize,
    answers: usize,
    /// Where each group ends.
    ends: Vec<usize>,
    /// Mean reply, [g][x].
    mean: Vec<f32>,
    /// The second column that the information needs, [g][x]: entropy of the reply, or squared mean.
    second: Vec<f32>,
    /// Log-likelihood of no and of yes, [x][g]; for normal replies the mean and nothing.
    log_no: Vec<f32>,
    log_yes: Vec<f32>,
    /// Loss, [z][g].
    loss: Vec<f32>,
    /// The best answer, first of those that tie, [g].
    best: Vec<u32>,
    /// Whether losses are 0 for the best answer and 1 for all others.
    zero_one: bool,
}

/// What of a grid is written to a file.
#[derive(Serialize, Deserialize)]
struct Saved {
    family: Family,
    queries: usize,
    answers: usize,
    ends: Vec<usize>,
    mean: Vec<f32>,
    /// Nothing for losses that are 0 for the best answer and 1 for all others.
    loss: Vec<f32>,
    best: Vec<u32>,
}

impl From<Grid> for Saved {
    fn from(grid: Grid) -> Self {
        let Grid { family, queries, answers, ends, mean, best, .. } = grid;
        let loss = if grid.zero_one { Vec::new() } else { grid.loss };
        Saved { family, queries, answers, ends, mean, loss, best }
    }
}

impl TryFrom<Saved> for Grid {
    type Error = Error;

    fn try_from(saved: Saved) -> Result<Self> {
        let Saved { family, queries, answers, ends, mean, mut loss, best } = saved;
        let g = best.len();
        if loss.is_empty() {
            loss = (0..answers).flat_map(|z| best.iter().map(move |best| zero_one(z, *best))).collect();
        }
        let sizes = queries > 0 && answers > 0 && mean.len() == g * queries && loss.len() == g * answers;
        let groups = ends.last() == Some(&g) && ends.windows(2).all(|pair| pair[0] < pair[1]) && ends[0] > 0;
        let in_range = |m: &f32| m.is_finite() && (family == Family::Gaussian || (0.0..=1.0).contains(m));
        if !(sizes && groups && best.iter().all(|z| (*z as usize) < answers) && mean.iter().all(in_range)) {
            return Err(Error::input("grid of a policy", "sizes or numbers that do not fit", "the file is damaged"));
        }
        Ok(Grid::complete(family, queries, ends, mean, loss, best))
    }
}

fn zero_one(z: usize, best: u32) -> f32 {
    if z == best as usize { 0.0 } else { 1.0 }
}

/// Entropy of yes with probability `p`, in nats.
fn entropy(p: f32) -> f32 {
    let term = |p: f32| if p > 0.0 { -p * p.ln() } else { 0.0 };
    term(p) + term(1.0 - p)
}

impl Grid {
    /// The grid of a problem: `levels` as in [`QueryProblem::grid`].
    ///
    /// # Errors
    /// A problem without queries, answers or parameters; a mean that is not finite or no probability; a loss that is not
    /// finite.
    pub fn new(problem: &dyn QueryProblem, levels: &[f64], seed: Seed) -> Result<Self> {
        let groups: Vec<Vec<Vec<f64>>> =
            problem.grid(levels, seed).into_iter().filter(|group| !group.is_empty()).collect();
        let (n, answers, family) = (problem.queries(), problem.answers(), problem.family());
        let thetas = groups.concat();
        if n == 0 || answers == 0 || thetas.is_empty() {
            let got = format!("{n} queries, {answers} answers, {} parameters", thetas.len());
            return Err(Error::input("game", got, "there must be at least one of each"));
        }
        let mut end = 0;
        let ends = groups.iter().map(|group| {
            end += group.len();
            end
        });
        let mut mean = Vec::with_capacity(thetas.len() * n);
        for theta in &thetas {
            for x in 0..n {
                let value = problem.mean(theta, x);
                if !value.is_finite() || (family == Family::Bernoulli && !(0.0..=1.0).contains(&value)) {
                    let want = "means must be finite, and between 0 and 1 for yes and no";
                    return Err(Error::input(format!("mean reply to query {x}"), value, want));
                }
                mean.push(value as f32);
            }
        }
        let mut loss = Vec::with_capacity(thetas.len() * answers);
        for z in 0..answers {
            for theta in &thetas {
                let value = problem.loss(z, theta);
                if !value.is_finite() {
                    return Err(Error::input(format!("loss of answer {z}"), value, "losses must be finite"));
                }
                loss.push(value as f32);
            }
        }
        let g = thetas.len();
        let least = |at: usize| {
            let smaller = |best: usize, z: usize| if loss[z * g + at] < loss[best * g + at] { z } else { best };
            (0..answers).reduce(smaller).unwrap_or(0) as u32
        };
        let best = (0..g).map(least).collect();
        let ends = ends.collect();
        Ok(Grid::complete(family, n, ends, mean, loss, best))
    }

    fn complete(
        family: Family,
        queries: usize,
        ends: Vec<usize>,
        mean: Vec<f32>,
        loss: Vec<f32>,
        best: Vec<u32>,
    ) -> Grid {
        let (n, g) = (queries, best.len());
        let answers = loss.len() / g.max(1);
        let zero_one = (0..answers).all(|z| (0..g).all(|at| loss[z * g + at] == zero_one(z, best[at])));
        let second = match family {
            Family::Bernoulli => mean.iter().map(|p| entropy(*p)).collect(),
            Family::Gaussian => mean.iter().map(|m| m * m).collect(),
        };
        let across = |of: &dyn Fn(f32) -> f32| -> Vec<f32> {
            (0..n).flat_map(|x| (0..g).map(move |at| (x, at))).map(|(x, at)| of(mean[at * n + x])).collect()
        };
        let sure = |p: f32| f64::from(p).clamp(CERTAIN, 1.0 - CERTAIN);
        let (log_no, log_yes) = match family {
            Family::Bernoulli => (across(&|p| (1.0 - sure(p)).ln() as f32), across(&|p| sure(p).ln() as f32)),
            Family::Gaussian => (across(&|m| m), Vec::new()),
        };
        Grid { family, queries, answers, ends, mean, second, log_no, log_yes, loss, best, zero_one }
    }

    /// Number of queries.
    pub fn queries(&self) -> usize {
        self.queries
    }

    /// Number of answers.
    pub fn answers(&self) -> usize {
        self.answers
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.ends.len()
    }

    /// Number of parameters G.
    pub fn parameters(&self) -> usize {
        self.best.len()
    }

    pub(super) fn ends(&self) -> &[usize] {
        &self.ends
    }

    pub(super) fn family(&self) -> Family {
        self.family
    }

    /// The mean replies to all queries under parameter `g`.
    pub(super) fn means(&self, g: usize) -> &[f32] {
        &self.mean[g * self.queries..][..self.queries]
    }

    pub(super) fn best(&self, g: usize) -> usize {
        self.best[g] as usize
    }

    fn spans(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let mut start = 0;
        self.ends.iter().map(move |end| std::mem::replace(&mut start, *end)..*end)
    }
}

/// A belief over a grid, updated reply by reply without allocation.
pub(super) struct Belief<'a> {
    pub grid: &'a Grid,
    /// Log-likelihood of the replies so far, [g].
    log: Vec<f32>,
    /// Posterior, [g]: sums to 1 over each group.
    pub within: Vec<f32>,
    /// Posterior of each group.
    pub group: Vec<f32>,
    /// Posterior mean and second column of each query, [group][x].
    first: Vec<f32>,
    second: Vec<f32>,
    /// Information of each query under each group alone, [group][x], then over all.
    gain: Vec<f32>,
    /// Mean reply to each query over all groups.
    pub expected: Vec<f32>,
    /// Chance that each answer is the best.
    pub chance: Vec<f32>,
    /// Expected loss of each answer.
    pub risk: Vec<f32>,
    /// Questions asked, and replies of each query: how many, their sum.
    pub asked: usize,
    pub count: Vec<u32>,
    pub sum: Vec<f32>,
    /// Whether the posterior is that of `log`, and whether the queries' columns are that of the posterior.
    fresh: (bool, bool),
}

impl<'a> Belief<'a> {
    pub fn new(grid: &'a Grid) -> Self {
        let (n, g, groups, z) = (grid.queries, grid.parameters(), grid.groups(), grid.answers);
        Belief {
            grid,
            log: vec![0.0; g],
            within: vec![0.0; g],
            group: vec![0.0; groups],
            first: vec![0.0; groups * n],
            second: vec![0.0; groups * n],
            gain: vec![0.0; (groups + 1) * n],
            expected: vec![0.0; n],
            chance: vec![0.0; z],
            risk: vec![0.0; z],
            asked: 0,
            count: vec![0; n],
            sum: vec![0.0; n],
            fresh: (false, false),
        }
    }

    pub fn restart(&mut self) {
        self.log.fill(0.0);
        self.count.fill(0);
        self.sum.fill(0.0);
        self.asked = 0;
        self.fresh = (false, false);
    }

    pub fn tell(&mut self, query: usize, reply: Option<f64>) -> Result<()> {
        let grid = self.grid;
        let g = grid.parameters();
        if query >= grid.queries {
            return Err(Error::input("query", query, format!("there are {} queries", grid.queries)));
        }
        if let Some(reply) = reply {
            match grid.family {
                Family::Bernoulli if reply == 0.0 || reply == 1.0 => {
                    let table = if reply == 1.0 { &grid.log_yes } else { &grid.log_no };
                    self.log.iter_mut().zip(&table[query * g..][..g]).for_each(|(log, l)| *log += l);
                }
                Family::Gaussian if reply.is_finite() => {
                    // Without -y^2 / 2, which all parameters share; no reply is further out than single precision bears.
                    let reply = reply.clamp(-1e6, 1e6) as f32;
                    let means = &grid.log_no[query * g..][..g];
                    self.log.iter_mut().zip(means).for_each(|(log, m)| *log += m * (reply - 0.5 * m));
                }
                Family::Bernoulli => return Err(Error::input("reply", reply, "use 1 for yes and 0 for no")),
                Family::Gaussian => return Err(Error::input("reply", reply, "it must be finite")),
            }
            self.sum[query] += reply as f32;
        }
        self.count[query] += 1;
        self.asked += 1;
        self.fresh = (false, false);
        Ok(())
    }

    /// The posterior, from the log-likelihood: O(G).
    pub fn posterior(&mut self) {
        if std::mem::replace(&mut self.fresh.0, true) {
            return;
        }
        let most = self.log.iter().fold(f32::NEG_INFINITY, |most, log| most.max(*log));
        let mut total = 0.0;
        for (span, mass) in self.grid.spans().zip(&mut self.group) {
            let (log, within) = (&self.log[span.clone()], &mut self.within[span]);
            let top = log.iter().fold(f32::NEG_INFINITY, |most, log| most.max(*log));
            within.iter_mut().zip(log).for_each(|(w, log)| *w = fast_exp(log - top));
            let sum: f32 = within.iter().sum();
            within.iter_mut().for_each(|w| *w /= sum);
            *mass = sum * (top - most).exp();
            total += *mass;
        }
        self.group.iter_mut().for_each(|mass| *mass /= total);
    }

    /// What each query would tell: O(G N).
    pub fn worth(&mut self) {
        self.posterior();
        if std::mem::replace(&mut self.fresh.1, true) {
            return;
        }
        let (grid, n) = (self.grid, self.grid.queries);
        self.first.fill(0.0);
        self.second.fill(0.0);
        for (at, span) in grid.spans().enumerate() {
            let (first, second) = (&mut self.first[at * n..][..n], &mut self.second[at * n..][..n]);
            for g in span {
                let w = self.within[g];
                // What is all but ruled out no longer counts.
                if w < 1e-7 {
                    continue;
                }
                let (mean, other) = (&grid.mean[g * n..][..n], &grid.second[g * n..][..n]);
                for ((first, second), (mean, other)) in first.iter_mut().zip(&mut *second).zip(mean.iter().zip(other)) {
                    *first += w * mean;
                    *second += w * other;
                }
            }
        }
        self.expected.fill(0.0);
        let (gains, over_all) = self.gain.split_at_mut(grid.groups() * n);
        over_all.fill(0.0);
        let columns = self.first.chunks_exact(n).zip(self.second.chunks_exact(n));
        for ((gains, mass), (first, second)) in gains.chunks_exact_mut(n).zip(&self.group).zip(columns) {
            let totals = self.expected.iter_mut().zip(over_all.iter_mut());
            for ((gain, (expected, all)), (first, second)) in gains.iter_mut().zip(totals).zip(first.iter().zip(second))
            {
                *gain = information(grid.family, *first, *second);
                *expected += mass * first;
                // The second columns over all groups gather here until the first ones are complete.
                *all += mass * second;
            }
        }
        for (gain, expected) in over_all.iter_mut().zip(&self.expected) {
            *gain = information(grid.family, *expected, *gain);
        }
    }

    /// The information of each query about theta, after [`Belief::worth`].
    pub fn information(&self) -> &[f32] {
        &self.gain[self.grid.groups() * self.grid.queries..]
    }

    /// The same if the parameter were known to lie in a group.
    pub fn information_in(&self, group: usize) -> &[f32] {
        &self.gain[group * self.grid.queries..][..self.grid.queries]
    }

    /// The chance of each answer and its expected loss: O(G), and O(G |Z|) for losses that are not 0 and 1.
    pub fn answers(&mut self) {
        self.posterior();
        let grid = self.grid;
        self.chance.fill(0.0);
        for (span, mass) in grid.spans().zip(&self.group) {
            for g in span {
                self.chance[grid.best[g] as usize] += mass * self.within[g];
            }
        }
        if grid.zero_one {
            self.risk.iter_mut().zip(&self.chance).for_each(|(risk, chance)| *risk = 1.0 - chance);
            return;
        }
        let g = grid.parameters();
        for (z, risk) in self.risk.iter_mut().enumerate() {
            *risk = 0.0;
            for (span, mass) in grid.spans().zip(&self.group) {
                let losses = &grid.loss[z * g..][span.clone()];
                *risk += mass * losses.iter().zip(&self.within[span]).map(|(loss, w)| loss * w).sum::<f32>();
            }
        }
    }
}

/// e^x for x <= 0 without a library call, so that loops over a grid can be vectorised: 2^k times a polynomial, within
/// 1e-6 + 1e-7 |x| relative; 0 below -80.
fn fast_exp(x: f32) -> f32 {
    let y = x.max(-80.0) * std::f32::consts::LOG2_E;
    let k = (y - 0.5) as i32 as f32;
    let r = (y - k) * std::f32::consts::LN_2;
    let p = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r / 720.0)))));
    let power = f32::from_bits(((k as i32 + 127) << 23) as u32);
    if x < -80.0 { 0.0 } else { p * power }
}

/// The information that a reply carries, in bits, from the posterior mean of its two columns.
fn information(family: Family, first: f32, second: f32) -> f32 {
    let nats = match family {
        Family::Bernoulli => entropy(first) - second,
        Family::Gaussian => 0.5 * (1.0 + (second - first * first).max(0.0)).ln(),
    };
    (nats * std::f32::consts::LOG2_E).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnswerTable, LinearBandit};
    use ndarray::Array2;

    #[test]
    fn the_fast_exponential_is_one() {
        for i in 0..20_000 {
            let x = -0.004 * i as f32;
            let (got, exact) = (f64::from(fast_exp(x)), f64::from(x).exp());
            assert!((got - exact).abs() <= (1e-6 + 1e-7 * f64::from(x.abs())) * exact + 1e-34, "{x}: {got} {exact}");
        }
        assert_eq!((fast_exp(0.0), fast_exp(-81.0), fast_exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
    }

    /// Three hypotheses, flips 0 and 0.2, after yes to query 0: Bayes' rule by hand.
    #[test]
    fn beliefs_are_bayes() {
        let table = AnswerTable::thresholds(2, &[0.1, 0.2]).unwrap();
        let grid = Grid::new(&table, &[], Seed(0)).unwrap();
        let mut belief = Belief::new(&grid);
        belief.tell(0, Some(1.0)).unwrap();
        belief.worth();
        belief.answers();
        // Only hypothesis 0 says yes to query 0: likelihoods (0.9, 0.1, 0.1) and (0.8, 0.2, 0.2).
        let total = 0.9 + 0.1 + 0.1 + 0.8 + 0.2 + 0.2;
        assert!((belief.group[0] - 1.1 / total).abs() < 1e-6);
        assert!((belief.within[0] - 0.9 / 1.1).abs() < 1e-6 && (belief.within[4] - 0.2 / 1.2).abs() < 1e-6);
        assert!((belief.chance[0] - 1.7 / total).abs() < 1e-6 && (belief.risk[1] - 1.0 + 0.3 / total).abs() < 1e-6);
        let h = |p: f32| -p * p.log2() - (1.0 - p) * (1.0 - p).log2();
        // Query 1 if the flip rate were 0.1: hypotheses 0 and 1 say yes.
        let p = (1.0 * 0.9 + 0.1 * 0.1) / 1.1;
        assert!((belief.information_in(0)[1] - (h(p) - h(0.1))).abs() < 1e-6);
        let p = (1.0 * 0.9 + 0.1 * 0.1 + 1.0 * 0.8 + 0.2 * 0.2) / total;
        let noise = (1.1 * h(0.1) + 1.2 * h(0.2)) / total;
        assert!((belief.information()[1] - (h(p) - noise)).abs() < 1e-6);
        belief.restart();
        belief.answers();
        assert!(belief.chance.iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-6));
    }

    #[test]
    fn contradictions_leave_a_belief() {
        // Yes and no to the same question, without noise: all hypotheses are as good as before.
        let grid = Grid::new(&AnswerTable::thresholds(3, &[0.0]).unwrap(), &[], Seed(0)).unwrap();
        let mut belief = Belief::new(&grid);
        for _ in 0..200 {
            belief.tell(1, Some(1.0)).unwrap();
            belief.tell(1, Some(0.0)).unwrap();
        }
        belief.worth();
        belief.answers();
        assert!(belief.chance.iter().all(|p| (p - 0.25).abs() < 1e-3), "{:?}", belief.chance);
        assert!(belief.information().iter().all(|i| i.is_finite()));
        for (query, reply, part) in
            [(3, Some(1.0), "3 queries"), (0, Some(0.5), "1 for yes"), (0, Some(f64::NAN), "yes")]
        {
            assert!(belief.tell(query, reply).unwrap_err().to_string().contains(part));
        }
        let bandit = LinearBandit::new(Array2::eye(2).view(), Array2::eye(2).view()).unwrap();
        let grid = Grid::new(&bandit, &[2.0, 4.0], Seed(0)).unwrap();
        let mut belief = Belief::new(&grid);
        assert!(belief.tell(0, Some(f64::INFINITY)).unwrap_err().to_string().contains("finite"));
        belief.tell(0, Some(1e30)).unwrap();
        belief.worth();
        belief.answers();
        assert!(belief.chance.iter().chain(belief.information()).all(|v| v.is_finite()), "{:?}", belief.chance);
    }

    #[test]
    fn grids_are_written_and_read() {
        let table = AnswerTable::thresholds(3, &[0.0, 0.3]).unwrap();
        let other =
            table.clone().with_losses(Array2::from_shape_fn((2, 4), |(z, h)| (z as f64 - h as f64).abs())).unwrap();
        for table in [table, other] {
            let grid = Grid::new(&table, &[], Seed(0)).unwrap();
            let text = serde_json::to_string(&grid).unwrap();
            assert_eq!(serde_json::from_str::<Grid>(&text).unwrap(), grid);
            for (from, to) in [("\"queries\":3", "\"queries\":4"), ("\"best\":[0", "\"best\":[9"), ("[4,8]", "[4,9]")] {
                assert!(text.contains(from), "{text}");
                assert!(serde_json::from_str::<Grid>(&text.replace(from, to)).is_err(), "{from}");
            }
        }
    }
}
