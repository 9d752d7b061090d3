//! Distillation: what teachers think of the candidates, and how far a student's scores are from it.

use super::Loss;
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result};

/// Keeps the scaled scores of a query finite where a teacher finds all candidates equal.
const EPSILON: f64 = 1e-6;

/// What several teachers together think of each candidate (Geng, Wang, Ru and Yang 2024, arXiv 2411.04403): `scale` x the mean, over
/// the teachers, of (a - min) / (max - min + 1e-6), the minimum and the maximum over the candidates of the same query. So teachers
/// whose scores have other units (a cosine, a sum of BM25's) have one say each; a positive affine change of one of them alters nothing
/// but rounding. Without a `scale` the plain mean of their scores.
///
/// Each teacher's scores are queries x candidates.
///
/// # Errors
/// No teacher; shapes that differ; fewer than two candidates where there is a scale; a score that is not finite.
pub fn ensemble_targets(teachers: &[ArrayView2<f32>], scale: Option<f64>) -> Result<Array2<f32>> {
    let Some(first) = teachers.first() else {
        return Err(Error::input("teachers", 0, "at least one"));
    };
    if let Some(other) = teachers.iter().find(|teacher| teacher.dim() != first.dim()) {
        let shape = |(queries, candidates): (usize, usize)| format!("{queries} x {candidates}");
        return Err(Error::input(
            "scores of a teacher",
            shape(other.dim()),
            format!("{} as the first's", shape(first.dim())),
        ));
    }
    if scale.is_some() && first.ncols() < 2 {
        return Err(Error::input("candidates", first.ncols(), "min-max needs at least two"));
    }
    let mut sums = Array2::<f64>::zeros(first.dim());
    for teacher in teachers {
        if let Some(score) = teacher.iter().find(|score| !score.is_finite()) {
            return Err(Error::input("score of a teacher", score, "scores must be finite"));
        }
        for (scores, mut sums) in teacher.outer_iter().zip(sums.outer_iter_mut()) {
            let (low, range) = match scale {
                None => (0.0, 1.0),
                Some(_) => {
                    let low = scores.iter().copied().fold(f32::INFINITY, f32::min);
                    let high = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    (f64::from(low), f64::from(high) - f64::from(low) + EPSILON)
                }
            };
            sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += (f64::from(*score) - low) / range);
        }
    }
    let factor = scale.unwrap_or(1.0) / teachers.len() as f64;
    Ok(sums.mapv(|sum| (sum * factor) as f32))
}

/// The mean over the queries of KL(softmax(y) || softmax(s)), with y the `targets` and s the `scores` of a query's candidates; its
/// derivative by a score is (softmax(s) - softmax(y)) / queries.
///
/// # Errors
/// Another shape; a number that is not finite.
pub fn kl_distillation(scores: ArrayView2<f32>, targets: ArrayView2<f32>) -> Result<Loss> {
    if scores.dim() != targets.dim() {
        let want = format!("one for each of {} x {} scores", scores.nrows(), scores.ncols());
        return Err(Error::input("targets", format!("{} x {}", targets.nrows(), targets.ncols()), want));
    }
    if let Some(number) = scores.iter().chain(targets).find(|number| !number.is_finite()) {
        return Err(Error::input("score or target", number, "numbers must be finite"));
    }
    let queries = scores.nrows().max(1) as f64;
    let (mut value, mut slope) = (0.0, Array2::zeros(scores.dim()));
    for ((scores, targets), mut slope) in scores.outer_iter().zip(targets.outer_iter()).zip(slope.outer_iter_mut()) {
        let (student, teacher) = (ln_softmax(scores.iter()), ln_softmax(targets.iter()));
        for ((student, teacher), slope) in student.into_iter().zip(teacher).zip(&mut slope) {
            value += teacher.exp() * (teacher - student) / queries;
            *slope = ((student.exp() - teacher.exp()) / queries) as f32;
        }
    }
    Ok(Loss { value, slope })
}

/// The logarithms of e^v over the sum of all.
fn ln_softmax<'a>(values: impl Iterator<Item = &'a f32>) -> Vec<f64> {
    let values: Vec<f64> = values.map(|value| f64::from(*value)).collect();
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = values.iter().map(|value| (value - most).exp()).sum();
    values.iter().map(|value| value - most - sum.ln()).collect()
}

#[cfg(test)]
mod tests;
