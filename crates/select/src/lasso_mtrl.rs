//! L1-A-MTRL: from which source tasks to buy labels, so that what is learnt from them helps one target task.
//!
//! Wang, Chen, Jamieson and Du, "Improved Active Multi-Task Representation Learning via Lasso", ICML 2023 (arXiv
//! 2306.02556), and the method it improves, Chen, Du and Jamieson, "Active Multi-Task Representation Learning", 2022. All
//! tasks are linear in one representation, `y = w_m . B^T x + noise`; the heads of the sources are the columns of W, that
//! of the target is w. With nu such that W nu = w (the target as a mixture of the sources), the target's excess risk is
//! governed by
//!
//! ```text
//! sum_m nu_m^2 / n_m         for n_m labels from source m
//! ```
//!
//! For N labels in all, the best are n_m in proportion to |nu_m|, which gives |nu|_1^2 / N: so the best nu is the one of
//! least l1 norm, and few sources matter ([`Rule::L1`]). The older rule takes the nu of least l2 norm and n_m in proportion
//! to nu_m^2, which gives M |nu|_2^2 / N where all M sources count, never less ([`Rule::L2`]). With a cost c_m a label, n_m
//! in proportion to |nu_m| / sqrt(c_m) is best, and nu the one with the least `sum sqrt(c_m) |nu_m|`.
//!
//! | step | here |
//! |---|---|
//! | 1. equally many labels from every source | [`TaskBuying::ask`] |
//! | 2., 3. B, W by least squares; the target's head on the same B | [`LinearMtl::fit`], [`Representation::head`] |
//! | 4. nu by the Lasso | [`TaskAllocator::relevance`] |
//! | 5. labels in proportion | [`TaskAllocator::allocate`] |
//! | 6. B again from all labels, and the target's head | [`TaskBuying::finish`] |
//!
//! With a network in place of B, give its heads to steps 4 and 5: both heads must come from the same features, scaled to
//! the identity as second moments.
//!
//! Choices of ours, where the paper leaves one or could not be checked: a quarter of the budget for step 1; the penalty as
//! a share of the smallest one that leaves no source; the coefficients of the support fitted anew without the penalty; a
//! limit on the number of sources by following the Lasso's path until one more would come in (the l2 rule keeps its largest
//! and is fitted anew, too). The true risk is the least `sum nu_m^2 / n_m` over all mixtures, not that of one nu; l1 minimises it over all
//! n (Elfving's theorem on optimal designs), the l2 rule's bound overstates it.
//!
//! What the claim found: the sparse rule needs heads that are known well. With about as many first rows a source as the
//! representation has dimensions, l1 picks the sources that noise favours, and the l2 rule, which spreads, did better;
//! with five times as many, l1 did. The paper's gain on corrupted MNIST was not found.
//!
//! The theory takes noise and covariance to be the same in all tasks: labels should be in one unit. [`LinearMtl`] brings
//! the rows of each task to one scale.

mod apportion;
mod buying;
mod linear_mtl;

pub use buying::{TaskBuying, TaskPredictor};
pub use linear_mtl::{Head, LinearMtl, Representation, Task};

use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Area, Card, Choice, Error, Kind, Method, Param, Result, Settings};
use quadrat_numeric::lasso::{basis_pursuit, lasso_path};
use quadrat_numeric::linalg;
use std::ops::Bound::{Included, Unbounded};

/// How relevance and rows follow from heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Rule {
    /// Sparse: least l1 norm (the Lasso), rows in proportion to |nu|.
    L1,
    /// The older rule: least l2 norm, rows in proportion to nu^2. The method of 2022.
    L2,
    /// All sources alike.
    Uniform,
}

/// The penalty of the Lasso in `1/2 |W nu - w|^2 + lambda sum_m sqrt(c_m) |nu_m|`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Penalty {
    /// A share of the smallest lambda that leaves no source; 0 for the least l1 norm among the best fits.
    Relative(f64),
    /// lambda itself.
    Absolute(f64),
    /// W nu = w exactly (basis pursuit), or an error.
    Pursuit,
}

impl Penalty {
    fn share(text: &str) -> Result<Self> {
        let want = match text {
            "cv" => "cross-validation needs the target's rows: Representation::choose_penalty finds the share",
            _ => "use `cv` or a number, at least 0",
        };
        let share = text.parse().ok().filter(|share: &f64| share.is_finite() && *share >= 0.0);
        share.map(Penalty::Relative).ok_or_else(|| Error::input("lambda", format!("`{text}`"), want))
    }
}

/// The allocation of a budget to source tasks.
///
/// ```
/// use ndarray::array;
/// use quadrat_select::{Rule, TaskAllocator};
/// let heads = array![[1.0, 0.0, 0.8, 0.6], [0.0, 1.0, 0.6, -0.8]];
/// let allocator = TaskAllocator::default();
/// let relevance = allocator.relevance(heads.view(), &[1.6, 1.2])?;
/// assert_eq!(relevance.support, [2]);
/// assert_eq!(allocator.allocate(&relevance, 100)?, [0, 0, 100, 0]);
/// let older = TaskAllocator { rule: Rule::L2, ..TaskAllocator::default() };
/// assert_eq!(older.allocate(&older.relevance(heads.view(), &[1.6, 1.2])?, 100)?, [32, 18, 50, 0]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct TaskAllocator {
    /// How relevance and rows follow from heads.
    #[param(default = Rule::L1)]
    pub rule: Rule,
    /// Of rule l1: penalty as a share of the one that leaves no source, or cv: by cross-validation on the target's
    /// rows. The latter is [`Representation::choose_penalty`].
    #[param(
        name = "lambda",
        default = Penalty::Relative(0.05),
        text = "0.05",
        parse = Penalty::share,
        kind = Kind::Number { range: (Included(0.0), Unbounded), or: Some("cv") },
        only = ("rule", &["l1"])
    )]
    pub penalty: Penalty,
    /// Of [`Rule::L1`]: whether nu is fitted anew on its support, without the penalty that shrinks it.
    #[param(fixed = true)]
    pub refit: bool,
    /// Rows to buy of every source at least; with 0, sources without relevance get none.
    #[param(default = 0)]
    pub min_rows: usize,
    /// The most sources to buy from.
    #[param(none = "none", from = 1)]
    pub max_tasks: Option<usize>,
    /// The cost of a row of each source, above 0; 1 each without.
    pub costs: Option<Vec<f64>>,
}

/// Read by the command line alone, which finds the sources by name.
const COSTS: Param =
    Param { name: "costs", default: "none", help: "a file with the cost of a row of each source", ..Param::NONE };

impl Method for TaskAllocator {
    const CARD: Card = Card {
        slug: "lasso-mtrl",
        aliases: &["l1-a-mtrl", "task-buying"],
        title: "L1-A-MTRL: which source tasks to buy labels from",
        paper: "Wang, Chen, Jamieson, Du: Improved Active Multi-Task Representation Learning via Lasso. ICML 2023, \
                arXiv 2306.02556",
        area: Area::Select,
        verbs: &["allocate"],
        summary: "Says how many labels to buy from each source task so that a representation trained on them helps one \
                  target task most: the target's head as a sparse mixture of the sources' heads, labels in proportion.",
        useful_when: "one target task with few labels and many related tasks, where to spend a labelling budget, which \
                      sources or domains or languages to annotate, transfer learning, multi-task learning, data \
                      mixture, relevance of auxiliary data sets",
        cost: "the fit: O(rows x columns x (columns + 5) x sweeps) at most, plus columns^3; the relevance: O(rank^2 x \
               tasks)",
        params: &Param::pick(
            &[Self::PARAMS, LinearMtl::PARAMS, &[COSTS]],
            ["rule", "rank", "lambda", "ridge", "max-tasks", "min-rows", "costs"],
        ),
    };
}

/// How relevant each source is to the target.
#[derive(Debug, Clone, PartialEq)]
pub struct Relevance {
    /// The target's head as a mixture of the sources' heads: one coefficient a source. Where several mixtures are equally
    /// short, the one with the sources that come first.
    pub nu: Vec<f64>,
    /// The sources whose coefficient is not 0, ascending.
    pub support: Vec<usize>,
    /// `|W nu - w| / |w|`: the part of the target's head that the mixture does not explain; 0 if w = 0.
    pub residual: f64,
    /// The penalty in use at the end, for [`Rule::L1`] with a penalty.
    pub lambda: Option<f64>,
    /// Whether no source was found relevant (the penalty is too large, or the target's head is 0): all sources then count
    /// alike.
    pub nothing_found: bool,
}

impl TaskAllocator {
    /// The relevance of sources with the given heads (k x M, one column a source) for a target with the head `target`.
    ///
    /// Cost: k^2 x M x (some 3).
    ///
    /// # Errors
    /// No sources, no dimensions, a target of another length, values that are not finite; costs of another number or that
    /// are not above 0; a negative penalty; a system without solution under [`Penalty::Pursuit`] (as always with fewer
    /// independent sources than the target's head needs); a limit on the number of tasks that is 0, or that is given to
    /// the uniform rule, which ranks no task.
    pub fn relevance(&self, heads: ArrayView2<f64>, target: &[f64]) -> Result<Relevance> {
        self.check(heads, target)?;
        let m = heads.ncols();
        let most = self.max_tasks.unwrap_or(m);
        let (mut nu, lambda) = match self.rule {
            Rule::L1 => self.shortest_l1(heads, target)?,
            Rule::L2 => (shortest_l2(heads, target, most)?, None),
            Rule::Uniform => (vec![1.0 / m as f64; m], None),
        };
        let nothing_found = nu.iter().all(|nu| *nu == 0.0);
        if nothing_found {
            // As many as are allowed, those nearest to the target's direction first.
            let pull = |m: &usize| heads.column(*m).iter().zip(target).map(|(w, t)| w * t).sum::<f64>().abs();
            let mut order: Vec<usize> = (0..m).collect();
            order.sort_by(|a, b| pull(b).total_cmp(&pull(a)));
            order.iter().take(most).for_each(|m| nu[*m] = 1.0 / most.min(order.len()) as f64);
        }
        let length = |v: &mut dyn Iterator<Item = f64>| v.fold(0.0, f64::hypot);
        let mixed = heads.dot(&Array1::from(nu.clone()));
        let (rest, whole) =
            (length(&mut mixed.iter().zip(target).map(|(a, b)| a - b)), length(&mut target.iter().copied()));
        Ok(Relevance {
            support: (0..m).filter(|m| nu[*m] != 0.0).collect(),
            residual: if whole > 0.0 && !nothing_found { rest / whole } else { f64::from(u8::from(whole > 0.0)) },
            nu,
            lambda,
            nothing_found,
        })
    }

    /// Whole numbers of rows to buy from each source for `budget`, in the unit of the costs: without costs they add up to
    /// it exactly, with costs the last rows are bought as far as the money goes. Rounding is by largest remainder and
    /// gives no row to a source without relevance.
    ///
    /// # Errors
    /// A relevance of another number of sources than costs; a budget that does not pay for the rows that every source
    /// gets at least; none.
    pub fn allocate(&self, relevance: &Relevance, budget: usize) -> Result<Vec<usize>> {
        let m = relevance.nu.len();
        let costs = self.costs_of(m)?;
        let weight = |(nu, cost): (&f64, &f64)| match self.rule {
            _ if relevance.nothing_found => nu.abs(),
            Rule::L1 => nu.abs() / cost.sqrt(),
            Rule::L2 => nu * nu,
            Rule::Uniform => nu.abs(),
        };
        let weights: Vec<f64> = relevance.nu.iter().zip(&costs).map(weight).collect();
        apportion::apportion(&weights, &costs, self.min_rows, budget)
    }

    /// nu and lambda by the Lasso, along its path.
    fn shortest_l1(&self, heads: ArrayView2<f64>, target: &[f64]) -> Result<(Vec<f64>, Option<f64>)> {
        // With the penalty sqrt(c_m) lambda on nu_m: columns w_m / sqrt(c_m) for the unknowns sqrt(c_m) nu_m.
        let roots: Vec<f64> = self.costs_of(heads.ncols())?.iter().map(|c| c.sqrt()).collect();
        let scaled = Array2::from_shape_fn(heads.dim(), |(i, m)| heads[[i, m]] / roots[m]);
        let (mut nu, lambda) = match self.penalty {
            Penalty::Pursuit if self.max_tasks.is_none() => (basis_pursuit(scaled.view(), target)?, None),
            penalty => {
                let pull = scaled.t().dot(&Array1::from(target.to_vec()));
                let largest = pull.iter().fold(0.0, |most: f64, pull| most.max(pull.abs()));
                let lambda = match penalty {
                    Penalty::Relative(share) => share * largest,
                    Penalty::Absolute(lambda) => lambda,
                    Penalty::Pursuit => 0.0,
                };
                let path = lasso_path(scaled.view(), target, lambda, self.max_tasks)?;
                let reached = path.knots.last().map_or(lambda, |knot| knot.lambda);
                (path.end(), Some(reached.max(lambda)))
            }
        };
        if self.refit && lambda.is_some() {
            let support: Vec<usize> = (0..nu.len()).filter(|m| nu[*m] != 0.0).collect();
            refit(heads, target, &support, &mut nu)?;
        } else {
            nu.iter_mut().zip(&roots).for_each(|(nu, root)| *nu /= root);
        }
        Ok((nu, lambda))
    }

    fn costs_of(&self, tasks: usize) -> Result<Vec<f64>> {
        let Some(costs) = &self.costs else { return Ok(vec![1.0; tasks]) };
        if costs.len() != tasks {
            return Err(Error::input("costs", costs.len(), format!("give one for each of the {tasks} source tasks")));
        }
        if let Some((task, bad)) = costs.iter().enumerate().find(|(_, cost)| !(cost.is_finite() && **cost > 0.0)) {
            return Err(Error::input(format!("cost of task {task}"), bad, "costs must be finite and above 0"));
        }
        Ok(costs.clone())
    }

    fn check(&self, heads: ArrayView2<f64>, target: &[f64]) -> Result<()> {
        let (k, m) = heads.dim();
        if k == 0 || m == 0 {
            let want = "there must be at least one dimension and one source task";
            return Err(Error::input("heads", format!("{k} dimensions, {m} tasks"), want));
        }
        if target.len() != k {
            let want = format!("the sources' heads have {k}; all must come from one representation");
            return Err(Error::input("target head", format!("{} values", target.len()), want));
        }
        if let Some(((i, m), bad)) = heads.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(Error::input(format!("head of task {m}, dimension {i}"), bad, "heads must be finite"));
        }
        if let Some((i, bad)) = target.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            return Err(Error::input(format!("target head, dimension {i}"), bad, "heads must be finite"));
        }
        if let Penalty::Relative(lambda) | Penalty::Absolute(lambda) = self.penalty
            && !(lambda >= 0.0 && lambda.is_finite())
        {
            return Err(Error::input("lambda", lambda, "the penalty must be finite and at least 0"));
        }
        match self.max_tasks {
            Some(0) => Err(Error::input("max tasks", 0, "use at least 1")),
            Some(most) if self.rule == Rule::Uniform => {
                Err(Error::input("max tasks", most, "the uniform rule ranks no task: use l1 or l2"))
            }
            _ => self.costs_of(m).map(drop),
        }
    }
}

/// The nu of least l2 norm that minimises |W nu - w|, on the `most` sources where it is largest.
fn shortest_l2(heads: ArrayView2<f64>, target: &[f64], most: usize) -> Result<Vec<f64>> {
    let m = heads.ncols();
    let mut nu = vec![0.0; m];
    let mut order: Vec<usize> = (0..m).collect();
    refit(heads, target, &order, &mut nu)?;
    if most < m {
        order.sort_by(|a, b| nu[*b].abs().total_cmp(&nu[*a].abs()));
        order.truncate(most);
        order.sort_unstable();
        refit(heads, target, &order, &mut nu)?;
    }
    Ok(nu)
}

/// Sets nu to the least-squares mixture of the sources in `support`, the shortest if there are several, and 0 elsewhere.
fn refit(heads: ArrayView2<f64>, target: &[f64], support: &[usize], nu: &mut [f64]) -> Result<()> {
    nu.fill(0.0);
    let chosen = heads.select(Axis(1), support);
    if chosen.iter().all(|v| *v == 0.0) {
        return Ok(());
    }
    // The shortest solution lies in the span U of the rows of W; W U has independent columns, so its V gives the rest.
    let u = linalg::orthonormal(chosen.t())?;
    let within = chosen.dot(&u);
    let v = linalg::whitening(within.view(), None)?;
    let along = within.dot(&v).t().dot(&Array1::from(target.to_vec()));
    let solution = u.dot(&v.dot(&along));
    support.iter().zip(solution).for_each(|(m, value)| nu[*m] = value);
    Ok(())
}

#[cfg(test)]
mod tests;
