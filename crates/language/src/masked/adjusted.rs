//! A temperature and top-p between a model and its sampler.

use super::MaskedModel;
use quadrat_core::{Error, Result};

/// A model whose rows are sharpened or cut before anything is drawn from them: first the temperature, then top-p.
pub struct Adjusted<'a> {
    model: &'a dyn MaskedModel,
    temperature: f64,
    top_p: f64,
}

impl<'a> Adjusted<'a> {
    /// Probabilities to the power 1 / `temperature`, then the likeliest tokens that make up `top_p` together (the one that passes it
    /// included, of equally likely ones the lower numbers), scaled to sum 1. A temperature and a top-p of 1 change nothing.
    ///
    /// # Errors
    /// A temperature that is not above 0, or a top-p that is not above 0 and at most 1.
    pub fn new(model: &'a dyn MaskedModel, temperature: f64, top_p: f64) -> Result<Self> {
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(Error::input("temperature", temperature, "a number above 0; a small one takes the likeliest"));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(Error::input("top-p", top_p, "above 0 and at most 1"));
        }
        Ok(Adjusted { model, temperature, top_p })
    }
}

impl MaskedModel for Adjusted<'_> {
    fn vocabulary(&self) -> usize {
        self.model.vocabulary()
    }

    fn mask(&self) -> u32 {
        self.model.mask()
    }

    fn context(&self) -> Option<usize> {
        self.model.context()
    }

    fn predict(&self, tokens: &[u32], places: &[usize], rows: &mut [f64]) -> Result<()> {
        self.model.predict(tokens, places, rows)?;
        for row in rows.chunks_exact_mut(self.vocabulary().max(1)) {
            if self.temperature != 1.0 {
                sharpen(row, self.temperature);
            }
            if self.top_p < 1.0 {
                cut(row, self.top_p);
            }
        }
        Ok(())
    }
}

/// Powers of shares of the largest entry, so that none overflows and the largest never vanishes.
fn sharpen(row: &mut [f64], temperature: f64) {
    let most = row.iter().copied().fold(0.0, f64::max);
    row.iter_mut().for_each(|p| *p = (*p / most).powf(1.0 / temperature));
    scale(row);
}

fn cut(row: &mut [f64], top_p: f64) {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
    let mut mass = 0.0;
    let kept = order.iter().position(|&token| {
        mass += row[token];
        mass >= top_p
    });
    order.iter().skip(kept.map_or(row.len(), |last| last + 1)).for_each(|&token| row[token] = 0.0);
    scale(row);
}

fn scale(row: &mut [f64]) {
    let total = super::draw::sum(row);
    row.iter_mut().for_each(|p| *p /= total);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masked::masked_fn;

    #[test]
    fn rows_are_sharpened_and_cut() {
        let model =
            masked_fn(4, 4, |_: &[u32], _: &[usize], rows: &mut [f64]| rows.copy_from_slice(&[0.1, 0.4, 0.4, 0.1]));
        for (temperature, top_p, wanted) in [
            (1.0, 1.0, [0.1, 0.4, 0.4, 0.1]),
            (1.0, 0.4, [0.0, 1.0, 0.0, 0.0]),
            (1.0, 0.8, [0.0, 0.5, 0.5, 0.0]),
            (1.0, 0.85, [1.0 / 9.0, 4.0 / 9.0, 4.0 / 9.0, 0.0]),
            (0.5, 1.0, [1.0 / 34.0, 16.0 / 34.0, 16.0 / 34.0, 1.0 / 34.0]),
            (1e-6, 1.0, [0.0, 0.5, 0.5, 0.0]),
            (1e6, 0.5, [0.0, 0.5, 0.5, 0.0]),
        ] {
            let mut row = [0.0; 4];
            Adjusted::new(&model, temperature, top_p).unwrap().predict(&[4], &[0], &mut row).unwrap();
            assert!(row.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6), "{temperature} {top_p}: {row:?}");
        }
        for (temperature, top_p) in [(0.0, 1.0), (f64::NAN, 1.0), (f64::INFINITY, 1.0), (1.0, 0.0), (1.0, 1.5)] {
            assert!(Adjusted::new(&model, temperature, top_p).is_err());
        }
    }
}
