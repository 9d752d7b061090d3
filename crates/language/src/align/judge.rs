//! Who says which of two answers is better.

use ndarray::Array2;
use quadrat_core::{Error, Result};

/// Two answers to a prompt, between which a judge is to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// What was asked.
    pub prompt: &'a [u32],
    /// The one answer.
    pub a: &'a [u32],
    /// The other.
    pub b: &'a [u32],
}

/// A judge of answers.
///
/// Its preferences need not come from a score: they may be cyclic. What they should do is add up, p(a ≻ b) + p(b ≻ a) = 1;
/// [`asymmetry`] measures by how much they do not.
pub trait PreferenceModel: Sync {
    /// p(a ≻ b) of each question, from 0 to 1.
    ///
    /// # Errors
    /// The judge's own.
    fn prefer(&self, questions: &[Question<'_>]) -> Result<Vec<f64>>;
}

/// Asks a judge and looks at what it says.
///
/// # Errors
/// The judge's own, and answers that are too few or outside 0..1.
pub(crate) fn ask(judge: &dyn PreferenceModel, questions: &[Question<'_>]) -> Result<Vec<f64>> {
    let said = judge.prefer(questions)?;
    if said.len() != questions.len() {
        let got = format!("{} answers to {} questions", said.len(), questions.len());
        return Err(Error::input("judge", got, "one for each"));
    }
    match said.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        Some(p) => Err(Error::input("judge", p, "the probability that the first is preferred, from 0 to 1")),
        None => Ok(said),
    }
}

/// The largest |p(a ≻ b) + p(b ≻ a) − 1| over some questions.
///
/// # Errors
/// The judge's own.
pub fn asymmetry(judge: &dyn PreferenceModel, questions: &[Question<'_>]) -> Result<f64> {
    let turned: Vec<Question<'_>> = questions.iter().map(|q| Question { a: q.b, b: q.a, ..*q }).collect();
    let (said, back) = (ask(judge, questions)?, ask(judge, &turned)?);
    Ok(said.iter().zip(back).map(|(p, q)| (p + q - 1.0).abs()).fold(0.0, f64::max))
}

/// A judge that follows a score, as Bradley and Terry (1952) have it: p(a ≻ b) = σ(s(a) − s(b)).
pub struct BradleyTerry<F>(pub F);

impl<F: Fn(&[u32], &[u32]) -> f64 + Sync> PreferenceModel for BradleyTerry<F> {
    fn prefer(&self, questions: &[Question<'_>]) -> Result<Vec<f64>> {
        let of = |q: &Question<'_>| (self.0)(q.prompt, q.a) - (self.0)(q.prompt, q.b);
        Ok(questions.iter().map(|q| 1.0 / (1.0 + (-of(q)).exp())).collect())
    }
}

/// A judge made of several scores: p(a ≻ b) is the share of them that are higher for a, ties counting half. Each is transitive;
/// the majority need not be (Condorcet).
pub struct Vote<F>(pub Vec<F>);

impl<F: Fn(&[u32], &[u32]) -> f64 + Sync> PreferenceModel for Vote<F> {
    fn prefer(&self, questions: &[Question<'_>]) -> Result<Vec<f64>> {
        if self.0.is_empty() {
            return Err(Error::input("vote", "no scores", "at least one"));
        }
        let side = |score: &F, q: &Question<'_>| match score(q.prompt, q.a).partial_cmp(&score(q.prompt, q.b)) {
            Some(std::cmp::Ordering::Greater) => 1.0,
            Some(std::cmp::Ordering::Less) => 0.0,
            _ => 0.5,
        };
        let share = |q| self.0.iter().map(|score| side(score, q)).sum::<f64>() / self.0.len() as f64;
        Ok(questions.iter().map(share).collect())
    }
}

/// A judge of answers that are one token each: p(a ≻ b) stands in row a and column b.
pub struct Matrix(pub Array2<f64>);

impl PreferenceModel for Matrix {
    fn prefer(&self, questions: &[Question<'_>]) -> Result<Vec<f64>> {
        let place = |answer: &[u32]| match answer {
            [token] if (*token as usize) < self.0.nrows().min(self.0.ncols()) => Ok(*token as usize),
            other => Err(Error::input("answer", format!("{other:?}"), "one token, a row of the matrix")),
        };
        questions.iter().map(|q| Ok(self.0[[place(q.a)?, place(q.b)?]])).collect()
    }
}
