//! ShrinkMatch: rows that the network is not sure of teach too, among fewer classes.
//!
//! Yang, Zhao, Qi, Qiao, Shi and Zhao, "Shrinking Class Space for Enhanced Certainty in Semi-Supervised Learning", ICCV 2023
//! (arXiv 2308.06777). For a row that FixMatch would leave out, with its probabilities in descending order s₀ ≥ s₁ ≥ …, the
//! rivals next to the top are taken away, ranks 1 to r − 1 for the smallest r ≥ 2 with
//!
//! > conf(r) = s₀ / (s₀ + Σ_{j ≥ r} sⱼ) ≥ τ,
//!
//! and the strong view must be recognised among what is left, by a head of its own that exists in training alone, so that a wrong
//! top does not reach the classifier. Such a row counts max p times, the whole term by the running share ρ of sure rows (decay
//! 0.999), and a row that stays unsure with two classes left counts nothing. conf rises with r: one sort and one sum find r.
//!
//! Chosen here: one p, aligned if at all, for the mask, the order and conf (the authors' STL-10 program mixes two); ρ runs through
//! (their CIFAR program begins anew in each epoch); two classes cannot be shrunk and are refused.

use super::{Memory, Rule, Views, likeliest};
use ndarray::{ArrayView1, ArrayView2};
use quadrat_core::{Area, Card, Error, Method, Result, Settings};
use quadrat_nn::{Batch, EpochEnd, Forward, MethodState, Parameters, Piece, Run, Spec, Tensor, TrainMethod, ops};
use std::cmp::Ordering;

/// ShrinkMatch.
#[derive(Debug, Clone, Settings)]
pub struct ShrinkMatch {
    /// When a row teaches.
    #[param(flatten)]
    pub rule: Rule,
    /// How rows are changed.
    #[param(flatten)]
    pub views: Views,
    /// What a run remembers.
    pub memory: Memory,
    /// ρ, the running share of sure rows; none before the first batch.
    pub sure: Option<f32>,
}

impl Method for ShrinkMatch {
    const CARD: Card = Card {
        slug: "shrinkmatch",
        aliases: &[],
        title: "ShrinkMatch",
        paper: "Yang et al., ICCV 2023, arXiv 2308.06777",
        area: Area::Robust,
        verbs: &["train"],
        summary: "FixMatch in which rows that the network is not sure of teach as well, among the classes that are left when the \
                  rivals of the likeliest one are taken away.",
        useful_when: "few labels, many rows without and several classes that are easily confused; semi-supervised learning",
        cost: "a pass over 1 + 2 x ratio times as many rows; a sort of the classes of each unsure row",
        params: Self::PARAMS,
    };
}

/// A row's classes without the rivals of the likeliest one.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunk {
    /// Classes by falling probability; of equal ones the first comes first.
    pub order: Vec<u32>,
    /// The first rank that is kept beside rank 0.
    pub from: usize,
    /// The likeliest class's share among those kept.
    pub confidence: f32,
}

/// Takes away the fewest rivals of the likeliest class, at least one and all but one other at most, that leave it at least `tau`
/// sure. With fewer than three classes there is nothing to take away.
///
/// ```
/// use quadrat_robust::training::shrink;
/// let shrunk = shrink(ndarray::array![0.48, 0.45, 0.04, 0.03].view(), 0.9).unwrap();
/// assert_eq!((shrunk.order[0], shrunk.from), (0, 3));
/// assert!((shrunk.confidence - 0.48 / 0.51).abs() < 1e-6);
/// ```
pub fn shrink(p: ArrayView1<f32>, tau: f32) -> Option<Shrunk> {
    let classes = p.len();
    if classes < 3 {
        return None;
    }
    let mut order: Vec<u32> = (0..classes as u32).collect();
    let falling = |a: &u32, b: &u32| p[*b as usize].partial_cmp(&p[*a as usize]).unwrap_or(Ordering::Equal);
    order.sort_by(falling);
    let top = p[order[0] as usize];
    // From the last rank up the sums of what is kept grow: the smallest r is the last one that is still sure.
    let (mut rest, mut from, mut confidence) = (0.0, classes - 1, f32::NAN);
    for rank in (2..classes).rev() {
        rest += p[order[rank] as usize];
        let sure = top / (top + rest);
        if rank < classes - 1 && sure < tau {
            break;
        }
        (from, confidence) = (rank, sure);
    }
    Some(Shrunk { order, from, confidence })
}

impl Shrunk {
    /// Cross-entropy of the likeliest class among those kept, by these scores; `weight` times its gradient is added.
    pub fn loss(&self, scores: &[f32], weight: f32, gradient: &mut [f32]) -> f32 {
        let kept = || std::iter::once(&self.order[0]).chain(&self.order[self.from..]).map(|k| *k as usize);
        let top = kept().map(|k| scores[k]).fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = kept().map(|k| (scores[k] - top).exp()).sum();
        for k in kept() {
            gradient[k] += weight * (scores[k] - top).exp() / sum;
        }
        let first = self.order[0] as usize;
        gradient[first] -= weight;
        top + sum.ln() - scores[first]
    }
}

fn untapped() -> Error {
    Error::input("shrinkmatch", "a network without features", "one whose last layer is linear")
}

/// Decay of ρ.
const SURE_DECAY: f32 = 0.999;

const HEAD: [&str; 3] = ["shrinkmatch.head1", "shrinkmatch.head2", "shrinkmatch.head3"];
const NORM: [&str; 2] = ["shrinkmatch.norm1", "shrinkmatch.norm2"];

impl ShrinkMatch {
    /// The head's scores of features.
    fn head(forward: &mut Forward, mut x: Tensor<2>) -> Result<Tensor<2>> {
        for (layer, norm) in HEAD.iter().zip(NORM) {
            x = forward.linear(layer, x)?;
            let [rows, width] = x.dims();
            x = forward.batch_norm(norm, x.reshape([rows, width, 1, 1]))?.reshape([rows, width]);
            // max(x, x / 10).
            x = x.clone().max_pair(x * 0.1);
        }
        forward.linear(HEAD[2], x)
    }

    /// ρ after a batch in which this share was sure.
    fn moved(&self, share: f32) -> f32 {
        self.sure.map_or(share, |sure| SURE_DECAY * sure + (1.0 - SURE_DECAY) * share)
    }
}

impl TrainMethod for ShrinkMatch {
    fn name(&self) -> &str {
        "shrinkmatch"
    }

    fn settings(&self) -> String {
        format!("{} {}", self.rule.told(), self.views.told())
    }

    fn begin(&mut self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        self.rule.check()?;
        self.memory = Memory::begin("shrinkmatch", run)?;
        self.sure = None;
        let classes = self.memory.classes;
        if classes < 3 {
            return Err(Error::input("shrinkmatch", format!("{classes} classes"), "at least 3; fixmatch does with 2"));
        }
        self.views.begin(run)?;
        let width = run.probe(parameters, |forward| forward.tapped("features").map(|x| x.dims()[1]))?;
        let width = width.ok_or_else(untapped)?;
        let inner = (width / 4).max(1);
        let gain = std::f32::consts::SQRT_2;
        let layers = [(HEAD[0], width, inner, gain), (HEAD[1], inner, inner, gain), (HEAD[2], inner, classes, 1.0)];
        let linear = layers.iter().flat_map(|(name, from, to, gain)| Spec::linear(name, *from, *to, *gain));
        for spec in linear.chain(NORM.iter().flat_map(|name| Spec::batch_norm(name, inner))) {
            parameters.add(spec, run.seed)?;
        }
        Ok(())
    }

    fn reads_unlabelled(&self) -> bool {
        true
    }

    fn whole_batch(&self) -> bool {
        true
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        self.memory.view(&self.views, batch).map(drop)
    }

    fn loss(&self, forward: &mut Forward, piece: &Piece, outputs: &Tensor<2>, rows: Tensor<1>) -> Result<Tensor<1>> {
        let parts = self.memory.parts(piece.batch)?;
        let p = self.memory.said(&self.rule, piece.scores(outputs)?.view(), &parts);
        let taught = self.memory.teach(&self.rule, outputs, &p, &parts.strong, |_| self.rule.tau);
        let unsure: Vec<Option<(Shrunk, f32)>> = p
            .outer_iter()
            .map(|p| {
                let top = likeliest(p).1;
                let shrunk = if top < self.rule.tau { shrink(p, self.rule.tau) } else { None };
                shrunk.filter(|shrunk| shrunk.confidence >= self.rule.tau).map(|shrunk| (shrunk, top))
            })
            .collect();
        let sure = p.outer_iter().filter(|p| likeliest(*p).1 >= self.rule.tau).count();
        let share = self.moved(sure as f32 / p.nrows().max(1) as f32);
        let features = forward.tapped("features").ok_or_else(untapped)?;
        let width = features.dims()[1];
        let strong = features.slice([parts.strong.clone(), 0..width]);
        let scores = Self::head(forward, strong)?;
        let weight = self.rule.lambda * share / p.nrows().max(1) as f32;
        let shrunk = ops::row_losses(scores, |row, z, d| {
            d.fill(0.0);
            unsure[row].as_ref().map_or(0.0, |(shrunk, top)| weight * top * shrunk.loss(z, weight * top, d))
        });
        Ok(rows + taught + shrunk.sum())
    }

    fn observes(&self) -> bool {
        true
    }

    fn observe(&mut self, batch: &Batch, outputs: ArrayView2<f32>) -> Result<()> {
        let parts = self.memory.parts(batch)?;
        let p = self.memory.said(&self.rule, outputs, &parts);
        let sure = |p: &ArrayView1<f32>| likeliest(*p).1 >= self.rule.tau;
        let shrunk = |p: &ArrayView1<f32>| shrink(*p, self.rule.tau).is_some_and(|s| s.confidence >= self.rule.tau);
        let all = p.outer_iter().filter(sure).count();
        let taught = p.outer_iter().filter(|p| sure(p) || shrunk(p)).count();
        self.sure = Some(self.moved(all as f32 / p.nrows().max(1) as f32));
        self.memory.keep(outputs, &parts, taught);
        Ok(())
    }

    fn end_epoch(&mut self, _: usize, _: &mut dyn EpochEnd) -> Result<()> {
        self.memory.end_epoch();
        Ok(())
    }

    fn found(&self) -> Vec<(String, f64)> {
        self.memory.found("shrinkmatch")
    }

    fn finish(&mut self, parameters: &mut Parameters) -> Result<()> {
        parameters.remove(|name| name.starts_with("shrinkmatch."));
        Ok(())
    }

    fn save(&self) -> MethodState {
        let mut state = self.memory.save();
        state.numbers.extend(self.sure.map(|sure| ("sure".to_owned(), f64::from(sure))));
        state
    }

    fn load(&mut self, mut state: MethodState, _: &mut Parameters) -> Result<()> {
        self.memory.load(&mut state);
        self.sure = state.numbers.get("sure").map(|sure| *sure as f32);
        Ok(())
    }
}
