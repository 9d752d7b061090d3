//! The likelihood of a masked model, bounded without a time.
//!
//! The evidence bound of masked diffusion is an integral over the time of noise. Since the model is not told the time, it is the same
//! to draw how many places are hidden (as the paper shows; Ou et al. 2024 and Shi et al. 2024 have it too):
//!
//! > -log p(x) <= sum over n = 1..L of 1/n E[ sum over l in S of -log μ_l(x_l | x with S hidden) ],  S uniform among sets of n places,
//!
//! because the integral of t^(n-1) (1 - t)^(L-n) is 1 / (n C(L, n)). It is also the mean over all orders of the log-likelihood when
//! places are filled in that order, and what is minimised in training, where n is drawn for each text.

use super::{MaskedModel, hidden};
use quadrat_core::{Error, Result, Rng, stats};

/// An estimate of the bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// Of the whole text, in nats; infinite where the model holds one of its tokens impossible.
    pub nats: f64,
    /// Its standard error: of independent draws, which overstates that of the stratified ones that are made.
    pub error: f64,
}

/// The bound of a text from `draws` calls of the model. Draw j of m hides 1 + floor(L (j + u) / m) places, u uniform.
///
/// # Errors
/// Fewer than 2 draws, a text that is empty or has hidden tokens or others outside the vocabulary, the model's own.
pub fn bound(model: &dyn MaskedModel, text: &[u32], draws: usize, rng: &mut Rng) -> Result<Bound> {
    check(model, text)?;
    if draws < 2 {
        return Err(Error::input("draws", draws, "at least 2, for a standard error"));
    }
    let length = text.len();
    let mut values = Vec::with_capacity(draws);
    for draw in 0..draws {
        let share = (draw as f64 + rng.uniform()) / draws as f64;
        let n = 1 + ((length as f64 * share) as usize).min(length - 1);
        let nats = surprise(model, text, &rng.sample(length, n))?;
        values.push(length as f64 / n as f64 * nats);
    }
    let nats = stats::mean(&values);
    let error = stats::standard_deviation(&values) / (draws as f64).sqrt();
    Ok(Bound { nats, error: if nats.is_finite() { error } else { f64::INFINITY } })
}

/// The longest text whose sets of places are all gone through.
const LONGEST: usize = 16;

/// The bound of a short text, over all sets of places: 2^L calls of the model.
///
/// # Errors
/// As [`bound`], or a text longer than 16.
pub fn exact_bound(model: &dyn MaskedModel, text: &[u32]) -> Result<f64> {
    check(model, text)?;
    let length = text.len();
    if length > LONGEST {
        return Err(Error::input("length", length, format!("at most {LONGEST}: estimate it for longer ones")));
    }
    // 1 / (n C(L, n)) for n = 1..L.
    let mut weights = vec![0.0, 1.0 / length as f64];
    for n in 1..length {
        weights.push(weights[n] * n as f64 / (length - n) as f64);
    }
    let mut total = 0.0;
    for set in 1..1_u32 << length {
        let places: Vec<usize> = (0..length).filter(|place| set >> place & 1 == 1).collect();
        total += weights[places.len()] * surprise(model, text, &places)?;
    }
    Ok(total)
}

fn check(model: &dyn MaskedModel, text: &[u32]) -> Result<()> {
    if text.is_empty() || !hidden(model, text)?.is_empty() {
        return Err(Error::input("text", format!("{text:?}"), "at least one token, and none that is hidden"));
    }
    Ok(())
}

/// Sum over places of -log μ of the text's own tokens, all of them hidden together.
fn surprise(model: &dyn MaskedModel, text: &[u32], places: &[usize]) -> Result<f64> {
    let vocabulary = model.vocabulary();
    let mut covered = text.to_vec();
    places.iter().for_each(|&place| covered[place] = model.mask());
    let mut rows = vec![0.0; places.len() * vocabulary];
    model.predict(&covered, places, &mut rows)?;
    Ok(places.iter().zip(rows.chunks_exact(vocabulary)).map(|(&place, row)| -row[text[place] as usize].ln()).sum())
}
