//! Losses of rankings: from the scores of some candidates to how wrong their order is.
//!
//! All take scores, queries x candidates, and a [`Label`] for each, and return the loss with its derivative by each score. They
//! know nothing of what made the scores. Sums are in double precision; ln(1 + e^-x) is computed as max(-x, 0) + ln(1 + e^-|x|),
//! which never overflows.

mod distillation;

pub use distillation::{ensemble_targets, kl_distillation};
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Choice, Error, Result};
use quadrat_numeric::elementary::exp;
use quadrat_numeric::vectorised;

/// What a candidate is to its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// To be ranked high.
    Relevant,
    /// To be ranked low.
    Negative,
    /// Left out: padding, or relevant without being the one that is trained.
    Absent,
}

/// A loss and its derivatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The loss.
    pub value: f64,
    /// Queries x candidates: its derivative by each score; 0 where a candidate is left out.
    pub slope: Array2<f32>,
}

/// The mean of ln(1 + e^-(s_a - s_b)) over all pairs of a relevant candidate a and a negative b of the same query, the pairs of all
/// queries in one pool (STAR: Zhan et al. 2021, arXiv 2104.08051, as its authors' program has it). 0 where there is no pair.
///
/// # Errors
/// Labels of another shape; a score that is not finite where a candidate counts.
///
/// ```
/// use ndarray::array;
/// use quadrat_retrieval::losses::{Label::*, pairwise_logistic};
/// let loss = pairwise_logistic(array![[1.0, 1.0, 9.0]].view(), array![[Relevant, Negative, Absent]].view())?;
/// assert!((loss.value - 2_f64.ln()).abs() < 1e-12);
/// assert_eq!(loss.slope, array![[-0.5, 0.5, 0.0]]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn pairwise_logistic(scores: ArrayView2<f32>, labels: ArrayView2<Label>) -> Result<Loss> {
    check(scores, labels)?;
    let pairs: usize = labels.outer_iter().map(|labels| pairs(labels.iter().copied()).count()).sum();
    Ok(sum_of_pairs(scores, labels, |_| 1.0 / pairs as f64, |_, _| 1.0))
}

/// How much a pair of ranks weighs in [`lambda_pairs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum PairWeight {
    /// What exchanging the two changes in the reciprocal rank: the difference of 1/rank.
    Mrr,
    /// What it changes in NDCG: the difference of 1 / log2(1 + rank), divided by what the best order has.
    Ndcg,
    /// All pairs the same.
    One,
}

/// For each query the mean, over pairs of a relevant candidate a and a negative b, of the pair's weight x ln(1 + e^-(s_a - s_b));
/// then the mean over the queries (ADORE: Zhan et al. 2021; the weights are LambdaRank's, Burges 2010). Queries with many relevant
/// documents count as much as others, and one without a pair counts as 0.
///
/// Candidates stand in the order of the search, the best first: ranks are those places and not computed from the scores again, where
/// another rounding could exchange neighbours. Ranks beyond `cut` (at least 1) have a gain of 0.
///
/// # Errors
/// A `cut` of 0; as [`pairwise_logistic`].
pub fn lambda_pairs(
    scores: ArrayView2<f32>,
    labels: ArrayView2<Label>,
    weight: PairWeight,
    cut: usize,
) -> Result<Loss> {
    check(scores, labels)?;
    if cut == 0 {
        return Err(Error::input("cut", 0, "look at 1 rank at least"));
    }
    let gain = |place: usize| match weight {
        PairWeight::One => 0.0,
        _ if place >= cut => 0.0,
        PairWeight::Mrr => 1.0 / (place + 1) as f64,
        PairWeight::Ndcg => 1.0 / ((place + 2) as f64).log2(),
    };
    // Of each query the weight of all its pairs together.
    let share: Vec<f64> = labels
        .outer_iter()
        .map(|labels| {
            let relevant = labels.iter().filter(|label| **label == Label::Relevant).count();
            let best = match weight {
                PairWeight::Ndcg => (0..relevant).map(gain).sum(),
                PairWeight::Mrr | PairWeight::One => 1.0,
            };
            1.0 / (scores.nrows() as f64 * pairs(labels.iter().copied()).count() as f64 * best)
        })
        .collect();
    let of_pair = |a, b| if weight == PairWeight::One { 1.0 } else { (gain(a) - gain(b)).abs() };
    Ok(sum_of_pairs(scores, labels, |query| share[query], of_pair))
}

/// The mean over all relevant candidates a of -ln(e^(s_a/t) / (e^(s_a/t) + sum of e^(s_b/t))), with b the negatives of the same query
/// and t the `temperature` (InfoNCE: van den Oord, Li and Vinyals 2018, arXiv 1807.03748, equation 4).
///
/// # Errors
/// A temperature that is not above 0; as [`pairwise_logistic`].
pub fn info_nce(scores: ArrayView2<f32>, labels: ArrayView2<Label>, temperature: f64) -> Result<Loss> {
    check(scores, labels)?;
    check_temperature(temperature)?;
    let count = labels.iter().filter(|label| **label == Label::Relevant).count() as f64;
    let mut slope = Array2::zeros(scores.dim());
    let mut value = 0.0;
    for ((scores, labels), mut slope) in scores.outer_iter().zip(labels.outer_iter()).zip(slope.outer_iter_mut()) {
        let mut scaled: Vec<f64> = scores.iter().map(|score| f64::from(*score) / temperature).collect();
        let negatives = || labels.iter().enumerate().filter(|(_, label)| **label == Label::Negative).map(|(b, _)| b);
        // The negatives' exponentials are the same for all relevant candidates: one each, in the place of the score.
        let most = negatives().map(|b| scaled[b]).fold(f64::NEG_INFINITY, f64::max);
        negatives().for_each(|b| scaled[b] = (scaled[b] - most).exp());
        let all: f64 = negatives().map(|b| scaled[b]).sum();
        let mut shares = 0.0;
        for a in (0..scaled.len()).filter(|a| labels[*a] == Label::Relevant) {
            let highest = scaled[a].max(most);
            let others = all * (most - highest).exp();
            let sum = (scaled[a] - highest).exp() + others;
            value += (sum.ln() + highest - scaled[a]) / count;
            slope[a] = (-others / sum / (temperature * count)) as f32;
            shares += (most - highest).exp() / sum / (temperature * count);
        }
        negatives().for_each(|b| slope[b] = (scaled[b] * shares) as f32);
    }
    Ok(Loss { value, slope })
}

/// [`info_nce`] within a batch: candidate i is relevant to query i, and all others are its negatives.
///
/// Exponentials are in single precision, several at once, for batches of hundreds; their sums are in double. The value is that of
/// [`info_nce`] to six digits.
///
/// # Errors
/// Scores that are not square, or of fewer than two queries; as [`info_nce`].
///
/// ```
/// use ndarray::array;
/// use quadrat_retrieval::losses::in_batch;
/// let loss = in_batch(array![[2.0, 2.0], [5.0, 5.0]].view(), 0.5)?;
/// assert!((loss.value - 2_f64.ln()).abs() < 1e-6);
/// assert_eq!(loss.slope, array![[-0.5, 0.5], [0.5, -0.5]]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn in_batch(scores: ArrayView2<f32>, temperature: f64) -> Result<Loss> {
    let n = scores.nrows();
    if n < 2 || scores.ncols() != n {
        let want = "as many candidates as queries; InfoNCE needs at least two pairs";
        return Err(Error::input("scores", format!("{n} x {}", scores.ncols()), want));
    }
    check_temperature(temperature)?;
    if let Some((place, score)) = scores.indexed_iter().find(|(_, score)| !score.is_finite()) {
        return Err(not_finite(place, *score));
    }
    let sharpness = (1.0 / temperature) as f32;
    let weight = 1.0 / (temperature * n as f64);
    let (mut value, mut slope) = (0.0, scores.as_standard_layout().into_owned());
    for (own, mut row) in slope.outer_iter_mut().enumerate() {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let gap = (f64::from(row[own]) - f64::from(most)) / temperature;
        // In standard layout there is always a slice.
        let row = row.as_slice_mut().unwrap_or_default();
        vectorised(
            #[inline(always)]
            || row.iter_mut().for_each(|v| *v = exp((*v - most) * sharpness)),
        );
        let sum: f64 = row.iter().map(|v| f64::from(*v)).sum();
        value += (sum.ln() - gap) / n as f64;
        let share = (weight / sum) as f32;
        row.iter_mut().for_each(|v| *v *= share);
        row[own] -= weight as f32;
    }
    Ok(Loss { value, slope })
}

/// The mean of [`in_batch`] for queries among candidates and for candidates among queries, as two-tower models are trained (CLIP:
/// Radford and others 2021, arXiv 2103.00020).
///
/// # Errors
/// As [`in_batch`].
pub fn symmetric_in_batch(scores: ArrayView2<f32>, temperature: f64) -> Result<Loss> {
    let (there, back) = (in_batch(scores, temperature)?, in_batch(scores.t(), temperature)?);
    Ok(Loss { value: 0.5 * (there.value + back.value), slope: (there.slope + back.slope.t()) * 0.5 })
}

fn check_temperature(temperature: f64) -> Result<()> {
    match temperature > 0.0 && temperature.is_finite() {
        true => Ok(()),
        false => Err(Error::input("temperature", temperature, "use a number above 0")),
    }
}

/// The sum of share(query) x weight(place of a, place of b) x ln(1 + e^-(s_a - s_b)) over all pairs.
fn sum_of_pairs(
    scores: ArrayView2<f32>,
    labels: ArrayView2<Label>,
    share: impl Fn(usize) -> f64,
    weight: impl Fn(usize, usize) -> f64,
) -> Loss {
    let mut slope = Array2::zeros(scores.dim());
    let mut value = 0.0;
    for (query, (scores, labels)) in scores.outer_iter().zip(labels.outer_iter()).enumerate() {
        let mut derivatives = vec![0.0; scores.len()];
        for (a, b) in pairs(labels.iter().copied()) {
            let weight = share(query) * weight(a, b);
            let margin = f64::from(scores[a]) - f64::from(scores[b]);
            let small = (-margin.abs()).exp();
            value += weight * ((-margin).max(0.0) + small.ln_1p());
            // The logistic function of -margin.
            let wrong = if margin > 0.0 { small / (1.0 + small) } else { 1.0 / (1.0 + small) };
            derivatives[a] -= weight * wrong;
            derivatives[b] += weight * wrong;
        }
        slope.index_axis_mut(Axis(0), query).iter_mut().zip(derivatives).for_each(|(to, from)| *to = from as f32);
    }
    Loss { value, slope }
}

/// Places of a relevant candidate and a negative.
fn pairs(labels: impl Iterator<Item = Label> + Clone) -> impl Iterator<Item = (usize, usize)> {
    let places =
        |wanted: Label| labels.clone().enumerate().filter(move |(_, label)| *label == wanted).map(|(place, _)| place);
    let negatives: Vec<usize> = places(Label::Negative).collect();
    let relevant: Vec<usize> = places(Label::Relevant).collect();
    relevant.into_iter().flat_map(move |a| negatives.clone().into_iter().map(move |b| (a, b)))
}

fn check(scores: ArrayView2<f32>, labels: ArrayView2<Label>) -> Result<()> {
    if scores.dim() != labels.dim() {
        let want = format!("one for each of {} x {} scores", scores.nrows(), scores.ncols());
        return Err(Error::input("labels", format!("{} x {}", labels.nrows(), labels.ncols()), want));
    }
    let bad =
        scores.indexed_iter().zip(labels).find(|((_, score), label)| **label != Label::Absent && !score.is_finite());
    match bad {
        Some(((place, score), _)) => Err(not_finite(place, *score)),
        None => Ok(()),
    }
}

fn not_finite((query, candidate): (usize, usize), score: f32) -> Error {
    Error::input(format!("score of query {query}, candidate {candidate} (from 0)"), score, "scores must be finite")
}

#[cfg(test)]
mod tests;
