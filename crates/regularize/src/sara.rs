//! SaRA: fine-tune only the weights that do nothing yet.
//!
//! Hu, Zhang, Yi, Huang, Wang and Ma, "SaRA: High-Efficient Diffusion Model Fine-tuning with Progressive Sparse Low-Rank
//! Adaptation", ICLR 2025 (arXiv 2409.06633). Weights of a trained network that are almost zero are selected
//! (|w| < θ), all others stay frozen bit for bit; only the selected ones are trained, with a nuclear-norm penalty on the
//! sparse part, and half way those that have grown beyond θ are settled and frozen too.
//!
//! Where the authors' programs differ from the paper or from each other: the penalty's gradient reaches the trained
//! values here (in their memory-saving optimiser it does not); values start as they are (theirs starts from absolute
//! values once); biases and normalisations are never selected, and running statistics stay as they were, so that the
//! delta is all that changes; each step penalises one randomly drawn matrix, as they do, but a matrix is decomposed only
//! every sixteenth step and its penalty kept meanwhile: with a decomposition in each step fine-tuning took thirteen times
//! as long as without a penalty. Adam's moments start over half way for kernels of which something was settled.
//!
//! The backward pass computes weight gradients only where a weight was selected, and the optimiser's state exists only
//! there: see [`Sara::memory`].

#[cfg(test)]
mod tests;

use crate::frozen::Frozen;
use quadrat_core::{Area, Card, Choice, Error, Kind, Method, Param, Params, Result, Seed, Settings};
use quadrat_nn::{At, Change, Delta, MethodState, Parameters, Role, Run, Support, TrainMethod, ops::Pattern};
use quadrat_numeric::linalg;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

/// Which weights are trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Select {
    /// The smallest share of all kernel entries, by absolute value, over all layers together.
    Fraction(f64),
    /// Those below a threshold.
    Threshold(f32),
    /// So many of the smallest.
    Budget(usize),
}

const FRACTION: Param = Param {
    name: "fraction",
    default: "0.1",
    help: "share of the kernel entries that is trained",
    kind: Kind::Number { range: (Excluded(0.0), Included(1.0)), or: None },
    ..Param::NONE
};
const THRESHOLD: Param = Param {
    name: "threshold",
    default: "none",
    help: "train entries below this instead of a share",
    kind: Kind::Number { range: (Excluded(0.0), Included(1e6)), or: Some("none") },
    ..Param::NONE
};
const BUDGET: Param = Param {
    name: "budget",
    default: "none",
    help: "train so many entries instead of a share",
    kind: Kind::Whole { range: (Included(1), Unbounded), or: Some("none") },
    ..Param::NONE
};

impl Default for Select {
    fn default() -> Self {
        Select::Fraction(0.1)
    }
}

impl Settings for Select {
    const PARAMS: &'static [Param] = &[FRACTION, THRESHOLD, BUDGET];

    fn from_params(params: &Params) -> Result<Self> {
        match (params.number(&THRESHOLD)?, params.whole(&BUDGET)?) {
            (Some(_), Some(_)) => Err(Error::input("sara", "threshold and budget", "give only one of them")),
            (Some(threshold), None) => Ok(Select::Threshold(threshold as f32)),
            (None, Some(budget)) => Ok(Select::Budget(budget)),
            (None, None) => Ok(params.number(&FRACTION)?.map_or_else(Select::default, Select::Fraction)),
        }
    }
}

/// Which weights the budget goes to: the method's own choice, and the controls of its experiments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Pick {
    /// The smallest: the method.
    Smallest,
    /// The largest.
    Largest,
    /// Any.
    Random,
}

/// Sparse fine-tuning of the smallest weights.
#[derive(Debug, Clone, Settings)]
pub struct Sara {
    /// Which weights are trained.
    #[param(flatten)]
    pub select: Select,
    /// What the budget goes to.
    #[param(default = Pick::Smallest)]
    pub pick: Pick,
    /// Weight λ of the nuclear norm.
    #[param(default = 5e-4, from = 0, to = 1e6)]
    pub lambda: f32,
    /// Only matrices with both sides longer than this are penalised.
    #[param(fixed = 64)]
    pub min_side: usize,
    /// Select again after this share of the run, among the selected.
    #[param(default = 0.5, none = "none", above = 0, below = 1)]
    pub progressive: Option<f64>,
    /// What was selected; empty before a run.
    pub selected: Selected,
}

/// What a run of [`Sara`] selected.
#[derive(Debug, Clone)]
pub struct Selected {
    threshold: f32,
    seed: Seed,
    again: Option<usize>,
    /// What was selected first, and its values.
    base: Vec<(String, Arc<Pattern>, Vec<f32>)>,
    /// What is trained now.
    trained: Vec<(String, Arc<Pattern>)>,
    frozen: Frozen,
    /// The penalties' gradients by kernel, with the step for which each was computed.
    penalties: BTreeMap<String, (usize, Vec<f32>)>,
}

/// Steps for which the gradient of a matrix's penalty is kept. It turns slowly: see the tests.
const KEPT: usize = 16;

impl Default for Selected {
    fn default() -> Self {
        Selected {
            threshold: 0.0,
            seed: Seed(0),
            again: None,
            base: Vec::new(),
            trained: Vec::new(),
            frozen: Frozen::default(),
            penalties: BTreeMap::new(),
        }
    }
}

/// What a fine-tuning keeps in memory beside the network, at its largest: before the second selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Values that are trained.
    pub trainable: usize,
    /// Bytes of gradients and two moments for them.
    pub bytes: usize,
    /// Bytes of their places, of the copy that is trained, and of the values they had.
    pub place_bytes: usize,
    /// Bytes of gradients and two moments if everything were trained.
    pub dense_bytes: usize,
}

impl Method for Sara {
    const CARD: Card = Card {
        slug: "sara",
        aliases: &["sparse-fine-tuning"],
        title: "SaRA: fine-tuning the smallest weights",
        paper: "Hu et al., ICLR 2025, arXiv 2409.06633",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Fine-tunes only the weights that are almost zero and freezes the rest, with a nuclear-norm penalty on \
                  the sparse part; the result is a small delta that can be applied and removed exactly.",
        useful_when: "fine-tune a trained model on few examples without forgetting; fine-tuning takes too much memory; \
                      share a small file of changes; an alternative to LoRA",
        cost: "gradients and optimiser state for the selected weights only; a decomposition of each matrix every 16 \
               steps for the penalty",
        params: Self::PARAMS,
    };
}

impl Sara {
    /// What the last run kept in memory, for the network whose parameters these are; nothing before a run.
    pub fn memory(&self, parameters: &Parameters) -> Memory {
        let trainable = self.selected.base.iter().map(|(_, pattern, _)| pattern.alive()).sum();
        let learnt = parameters.iter().filter(|p| p.role != Role::Statistic);
        let all: usize = learnt.map(|p| p.shape.iter().product::<usize>()).sum();
        // Three numbers a place: its row, its column, and its rank among the columns'.
        Memory { trainable, bytes: 12 * trainable, place_bytes: 20 * trainable, dense_bytes: 12 * all }
    }

    /// Set the threshold that selects the asked number of weights, and return the kernels' names. If any weights will do,
    /// also flags of those drawn, over all kernels.
    fn choose(&mut self, parameters: &Parameters, run: &Run<'_>) -> Result<(Vec<String>, Vec<bool>)> {
        let (mut names, mut sizes) = (Vec::new(), Vec::new());
        for kernel in parameters.iter().filter(|p| p.role == Role::Weight) {
            let before = sizes.len();
            sizes.extend(kernel.dense().into_iter().map(f32::abs));
            if sizes[before..].iter().all(|w| *w == 0.0) {
                let want = "a trained network: nothing tells weights apart here";
                return Err(Error::input(&kernel.name, "all weights zero", want));
            }
            names.push(kernel.name.clone());
        }
        let n = sizes.len();
        let budget = match self.select {
            Select::Fraction(share) if share > 0.0 && share <= 1.0 => (share * n as f64).round() as usize,
            Select::Fraction(share) => return Err(Error::input("fraction", share, "above 0 and at most 1")),
            Select::Threshold(theta) => sizes.iter().filter(|w| **w < theta).count(),
            Select::Budget(budget) => budget.min(n),
        };
        // The i-th smallest; the order of the others is lost.
        let mut smallest = |i: usize| *sizes.select_nth_unstable_by(i, f32::total_cmp).1;
        if budget == 0 {
            let tenth = if n > 0 { smallest(n / 10) } else { 0.0 };
            return Err(Error::input("selection", "no weight", format!("a tenth of the weights are below {tenth:e}")));
        }
        self.selected.threshold = match (self.select, self.pick) {
            (Select::Threshold(theta), Pick::Smallest) => theta,
            (_, Pick::Largest) => smallest(n - budget),
            _ => smallest(budget - 1).next_up(),
        };
        let mut drawn = vec![false; if self.pick == Pick::Random { n } else { 0 }];
        if self.pick == Pick::Random {
            let places = run.seed.stream("positions").rng(0).sample(n, budget);
            places.into_iter().for_each(|i| drawn[i] = true);
        }
        Ok((names, drawn))
    }

    /// Which entries of a kernel are selected; of those drawn the next are this kernel's.
    fn mask(&self, kernel: &quadrat_nn::Parameter, drawn: &mut std::vec::IntoIter<bool>) -> Vec<bool> {
        let sizes = kernel.dense().into_iter().map(f32::abs);
        match self.pick {
            Pick::Smallest => sizes.map(|w| w < self.selected.threshold).collect(),
            Pick::Largest => sizes.map(|w| w >= self.selected.threshold).collect(),
            Pick::Random => drawn.take(sizes.len()).collect(),
        }
    }

    /// Select among the selected: what has left the band is settled. If all have left it, none is: the rest of the run
    /// would train nothing.
    fn select_again(&mut self, parameters: &mut Parameters) -> Result<()> {
        let mut masks = Vec::with_capacity(self.selected.trained.len());
        for (name, pattern) in &self.selected.trained {
            let mut mask = vec![false; pattern.rows() * pattern.cols()];
            let values = parameters.get(name)?.values();
            pattern.indices().zip(&values).for_each(|(i, w)| mask[i] = w.abs() < self.selected.threshold);
            masks.push(mask);
        }
        if masks.iter().flatten().all(|small| !small) {
            return Ok(());
        }
        self.selected.penalties.clear();
        for ((name, _), mask) in std::mem::take(&mut self.selected.trained).into_iter().zip(masks) {
            let trained = train_only(parameters.get_mut(&name)?, &mask)?;
            self.selected.trained.extend(trained.map(|pattern| (name, pattern)));
        }
        Ok(())
    }

    /// Add λ ∂‖M ⊙ W‖_* to the gradient of one matrix, drawn among those that are large enough.
    fn penalise(&mut self, at: At, parameters: &Parameters, gradients: &mut [Vec<f32>]) -> Result<()> {
        let large = |p: &&quadrat_nn::Parameter| p.shape.len() == 2 && p.shape.iter().all(|n| *n > self.min_side);
        let eligible: Vec<_> = parameters.iter().filter(large).filter(|p| p.trainable && !p.is_empty()).collect();
        if self.lambda == 0.0 || eligible.is_empty() {
            return Ok(());
        }
        let parameter = eligible[self.selected.seed.stream("matrix").rng(at.step as u64).below(eligible.len())];
        if let Support::Chosen(pattern, _) = parameter.support() {
            let kept = self.selected.penalties.get(&parameter.name);
            if kept.is_none_or(|(step, _)| at.step >= step + KEPT) {
                let new = (at.step, nuclear_subgradient(&parameter.values(), pattern)?);
                self.selected.penalties.insert(parameter.name.clone(), new);
            }
            let gradient = &mut gradients[parameters.position(&parameter.name)?];
            let (_, subgradient) = &self.selected.penalties[&parameter.name];
            gradient.iter_mut().zip(subgradient).for_each(|(g, s)| *g += self.lambda * s);
        }
        Ok(())
    }
}

/// Freeze a kernel except where `mask` says, and return that pattern; nothing left to train freezes it whole.
fn train_only(parameter: &mut quadrat_nn::Parameter, mask: &[bool]) -> Result<Option<Arc<Pattern>>> {
    parameter.relax();
    parameter.trainable = mask.contains(&true);
    if !parameter.trainable {
        return Ok(None);
    }
    let rows = parameter.shape[0];
    let pattern = Arc::new(Pattern::from_mask(mask, rows, mask.len() / rows)?);
    parameter.restrict(pattern.clone(), true)?;
    Ok(Some(pattern))
}

/// M ⊙ U Vᵀ for the singular value decomposition U S Vᵀ of the matrix with these values at the pattern: the gradient of
/// its nuclear norm, at the pattern. Singular values below 10⁻⁷ of the largest are left out.
///
/// # Errors
/// Values that are not finite.
pub fn nuclear_subgradient(values: &[f32], pattern: &Pattern) -> Result<Vec<f32>> {
    let mut flat = vec![0.0; pattern.rows() * pattern.cols()];
    pattern.indices().zip(values).for_each(|(i, &v)| flat[i] = f64::from(v));
    let matrix = quadrat_numeric::matrix((pattern.rows(), pattern.cols()), flat)?;
    let wide = pattern.rows() < pattern.cols();
    let tall = if wide { matrix.reversed_axes() } else { matrix };
    // U Vᵀ = A (AᵀA)^(-1/2), of which only the entries of the pattern are computed.
    let gram = linalg::product(tall.t(), tall.view())?;
    let (squares, axes) = linalg::symmetric_eigen(gram.view())?;
    let top = squares.iter().copied().fold(0.0, f64::max).sqrt();
    let mut scaled = axes.clone();
    for (mut axis, square) in scaled.columns_mut().into_iter().zip(&squares) {
        let s = square.max(0.0).sqrt();
        axis.mapv_inplace(|v| if s > 1e-7 * top { v / s } else { 0.0 });
    }
    let left = linalg::product(tall.view(), scaled.view())?;
    let entry = |i: usize| {
        let (row, column) = (i / pattern.cols(), i % pattern.cols());
        let (row, column) = if wide { (column, row) } else { (row, column) };
        left.row(row).dot(&axes.row(column)) as f32
    };
    Ok(pattern.indices().map(entry).collect())
}

/// What the names of kernels with places stand behind in a checkpoint; others are those of penalties.
const PLACES: &str = "places of ";

impl TrainMethod for Sara {
    fn name(&self) -> &str {
        "sara"
    }

    fn settings(&self) -> String {
        format!(
            "select={:?} pick={:?} lambda={} min-side={} progressive={:?}",
            self.select, self.pick, self.lambda, self.min_side, self.progressive
        )
    }

    fn begin(&mut self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        self.selected.seed = run.seed;
        self.selected.again = match self.progressive {
            Some(share) if share > 0.0 && share < 1.0 => {
                Some(((share * (run.epochs * run.steps) as f64) as usize).max(1))
            }
            Some(share) => return Err(Error::input("progressive", share, "between 0 and 1, or none")),
            None => None,
        };
        let (names, drawn) = self.choose(parameters, run)?;
        let mut drawn = drawn.into_iter();
        self.selected.frozen = Frozen::freeze(parameters);
        self.selected.base.clear();
        self.selected.trained.clear();
        self.selected.penalties.clear();
        for name in names {
            let parameter = parameters.get_mut(&name)?;
            let mask = self.mask(parameter, &mut drawn);
            if let Some(pattern) = train_only(parameter, &mask)? {
                self.selected.base.push((name.clone(), pattern.clone(), parameter.values()));
                self.selected.trained.push((name, pattern));
            }
        }
        Ok(())
    }

    fn gradients(&mut self, at: At, parameters: &Parameters, gradients: &mut [Vec<f32>]) -> Result<()> {
        self.penalise(at, parameters, gradients)
    }

    fn after_step(&mut self, at: At, parameters: &mut Parameters) -> Result<()> {
        self.selected.frozen.hold(parameters)?;
        if self.selected.again == Some(at.step + 1) && self.pick == Pick::Smallest {
            self.select_again(parameters)?;
        }
        Ok(())
    }

    fn finish(&mut self, parameters: &mut Parameters) -> Result<()> {
        for (name, ..) in &self.selected.base {
            parameters.get_mut(name)?.relax();
        }
        self.selected.frozen.release(parameters);
        Ok(())
    }

    fn fine_tunes(&self) -> bool {
        true
    }

    /// The weights that were selected, with their old and new values.
    fn delta(&self, after: &Parameters) -> Result<Option<Delta>> {
        let change =
            |(name, pattern, old): &(String, Arc<Pattern>, Vec<f32>)| Change::entries(name, pattern, old, after);
        let changes = self.selected.base.iter().map(change).collect::<Result<_>>()?;
        Delta::new(self.name(), changes, after).map(Some)
    }

    fn save(&self) -> MethodState {
        let places = |pattern: &Pattern| -> Vec<f32> {
            pattern.indices().flat_map(|i| [i / pattern.cols(), i % pattern.cols()]).map(|v| v as f32).collect()
        };
        let trained = self.selected.trained.iter().map(|(name, p)| (format!("{PLACES}{name}"), places(p)));
        let kept = &self.selected.penalties;
        MethodState {
            numbers: kept.iter().map(|(name, (step, _))| (name.clone(), *step as f64)).collect(),
            arrays: trained.chain(kept.iter().map(|(name, (_, g))| (name.clone(), g.clone()))).collect(),
        }
    }

    fn load(&mut self, state: MethodState, parameters: &mut Parameters) -> Result<()> {
        for (name, _) in std::mem::take(&mut self.selected.trained) {
            train_only(parameters.get_mut(&name)?, &[])?;
        }
        self.selected.penalties.clear();
        for (name, values) in state.arrays {
            let Some(name) = name.strip_prefix(PLACES) else {
                let step = state.numbers.get(&name).map_or(0, |step| *step as usize);
                self.selected.penalties.insert(name, (step, values));
                continue;
            };
            let (name, places) = (name.to_owned(), values);
            let parameter = parameters.get_mut(&name)?;
            let columns = parameter.shape.iter().skip(1).product::<usize>();
            let mut mask = vec![false; parameter.shape.iter().product()];
            for place in places.chunks_exact(2) {
                let at = place[0] as usize * columns + place[1] as usize;
                let slot =
                    mask.get_mut(at).ok_or_else(|| Error::input("checkpoint of sara", at, "a place in the kernel"))?;
                *slot = true;
            }
            self.selected.trained.extend(train_only(parameter, &mask)?.map(|pattern| (name, pattern)));
        }
        Ok(())
    }
}
