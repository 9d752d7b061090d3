//! The loss for a training loop of one's own: scores in, loss and gradient out, in one pass over both.

use super::{Elr, Memory, clamped, clamped_sum};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result};
use quadrat_nn::ops;
use quadrat_numeric::vectorised;
use rayon::prelude::*;

/// Rows that one thread takes at a time.
const PIECE: usize = 64;

impl Elr {
    /// For so many training rows with these labels, in a loop of one's own.
    ///
    /// # Errors
    /// No classes, or a label that is none.
    pub fn over(self, labels: Vec<u32>, classes: usize) -> Result<Self> {
        if let Some(row) = labels.iter().position(|label| *label as usize >= classes) {
            let got = format!("class {} of row {row}", labels[row]);
            return Err(Error::input("labels", got, format!("classes are 0 to {}", classes.saturating_sub(1))));
        }
        let table = vec![0.0; labels.len() * classes];
        Ok(Elr { memory: Memory { table, classes, labels }, ..self })
    }

    /// One batch: the mean of cross-entropy plus the term over its rows, and the gradient of that mean at the scores (rows x
    /// classes). What was said of the rows is moved; of a row that is there twice the last one is kept. Costs one pass
    /// over scores and memory, in parallel.
    ///
    /// ```
    /// use ndarray::array;
    /// use quadrat_robust::training::Elr;
    /// let mut elr = Elr::default().over(vec![0, 1, 1], 2)?;
    /// let (loss, gradient) = elr.step(&[0, 2], array![[2.0, 0.0], [1.0, 0.0]].view())?;
    /// assert!(loss < 1.0 && gradient[[0, 0]] < 0.0 && gradient[[1, 1]] < 0.0);
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Another number of rows than of scores, or of classes; a row that is none; a score that is not finite.
    pub fn step(&mut self, rows: &[u32], scores: ArrayView2<f32>) -> Result<(f64, Array2<f32>)> {
        let (known, k) = (self.memory.labels.len(), self.memory.classes);
        if scores.dim() != (rows.len(), k) {
            let got = format!("{:?}", scores.dim());
            return Err(Error::input("scores", got, format!("{} rows of {k} classes", rows.len())));
        }
        if let Some(row) = rows.iter().find(|row| **row as usize >= known) {
            return Err(Error::input("row", row, format!("below {known}, for which the loss was made")));
        }
        let scores = scores.as_standard_layout();
        let z = scores.as_slice().ok_or_else(|| Error::numeric("scores", "not row by row"))?;
        let place = |row: u32| row as usize * k..(row as usize + 1) * k;
        let mut said: Vec<f32> = Vec::with_capacity(z.len());
        rows.iter().for_each(|row| said.extend_from_slice(&self.memory.table[place(*row)]));
        let mut gradient = vec![0.0; z.len()];
        let share = 1.0 / rows.len().max(1) as f32;
        let wide = PIECE * k.max(1);
        let pieces = z.par_chunks(wide).zip(said.par_chunks_mut(wide)).zip(gradient.par_chunks_mut(wide));
        let losses: Vec<f64> = pieces
            .zip(rows.par_chunks(PIECE))
            .map(|(((z, said), gradient), rows)| {
                vectorised(
                    #[inline(always)]
                    || {
                        let mut loss = 0.0;
                        let each = z.chunks_exact(k).zip(said.chunks_exact_mut(k)).zip(gradient.chunks_exact_mut(k));
                        for (((z, t), p), row) in each.zip(rows) {
                            loss += f64::from(self.row(t, z, self.memory.labels[*row as usize] as usize, share, p));
                        }
                        loss
                    },
                )
            })
            .collect();
        let loss = losses.iter().sum::<f64>() * f64::from(share);
        if !loss.is_finite() {
            let row = z.chunks(k).position(|z| z.iter().any(|z| !z.is_finite())).unwrap_or(0);
            return Err(Error::numeric("elr", format!("the scores of row {} are not finite", rows[row])));
        }
        for (row, t) in rows.iter().zip(said.chunks_exact(k)) {
            self.memory.table[place(*row)].copy_from_slice(t);
        }
        let gradient = Array2::from_shape_vec(scores.dim(), gradient);
        Ok((loss, gradient.map_err(|e| Error::numeric("elr", e.to_string()))?))
    }

    /// A row's loss; t moves, and p becomes `share` of the gradient.
    #[inline(always)]
    fn row(&self, t: &mut [f32], z: &[f32], label: usize, share: f32, p: &mut [f32]) -> f32 {
        let total = ops::softmax_into(z, p);
        let all = clamped_sum(p);
        for (t, p) in t.iter_mut().zip(&*p) {
            *t = self.moved(*t, clamped(*p), all);
        }
        let term = self.pull(p, 1.0, |k, _| t[k]);
        p[label] -= 1.0;
        p.iter_mut().for_each(|p| *p *= share);
        total - z[label] + term
    }
}
