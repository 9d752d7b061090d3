//! The student: a document's bag of words becomes another bag, with words added that the document lacks.

use super::super::bags::{embed, scatter};
use super::super::encoder::{all, right_vectors};
use crate::Asked;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array, Array1, Array2, Axis, Dimension, Ix1, Ix2, Zip};
use quadrat_core::{Error, Result, Seed};
use quadrat_numeric::Csr;
use rayon::prelude::*;

/// A document encoder for bags of words: with x the document's impacts of BM25, and h = sum of idf_t x_t E_t over its words,
/// w_t = max(0, gate_t x_t + h . P_t + bias_t).
///
/// The authors' encoder is a masked language model, whose weights are ln(1 + max(0, logit)). BM25's impacts have gone through a
/// saturating function already; a logarithm on top would bend them, and training could not start at BM25. So there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct BowExpander {
    /// What a word weighs in a query.
    asked: Array1<f32>,
    /// Of each word idf.
    idf: Array1<f32>,
    gates: Array1<f32>,
    bias: Array1<f32>,
    /// Words x rank: E.
    read: Array2<f32>,
    /// Words x rank: P.
    write: Array2<f32>,
}

/// How much of what latent semantic analysis makes of a document is added to it before training.
const FIRST: f32 = 0.1;
/// What a word that no document has adds to scores before training; a weight is kept from twice as much on.
const UNSEEN: f32 = 1.0 / 1020.0;
/// Documents that are encoded together.
const BLOCK: usize = 128;

/// What a forward pass leaves for the backward pass.
pub(super) struct Pass {
    documents: Vec<u32>,
    /// Documents x rank.
    hidden: Array2<f32>,
    /// Documents x words.
    pub weights: Array2<f32>,
}

impl BowExpander {
    /// The untrained encoder: BM25 (every gate 1, no bias), and a tenth of what latent semantic analysis makes of the documents:
    /// E are the right singular vectors of their bags, weighted by idf, and P the same again. `asked` says what a query's words
    /// weigh while it is trained; where that is 1, gates and P are multiplied by idf, so that either scores alike before training.
    /// A word that no document has starts with a bias, too small to be kept by an index, since only what is there can be learnt.
    ///
    /// `documents` are the impacts of [`Lexicon::documents`](super::super::Lexicon::documents), `idf` those of the same lexicon.
    /// Cost: that of `truncated_svd`.
    ///
    /// # Errors
    /// No documents; a `rank` of 0; another number of `idf` than of words.
    pub fn start(documents: &Csr, idf: &[f32], asked: Asked, rank: usize, seed: Seed) -> Result<BowExpander> {
        if idf.len() != documents.cols {
            return Err(Error::input("idf", idf.len(), format!("one for each of {} words", documents.cols)));
        }
        let mut bags = documents.clone();
        bags.values.iter_mut().zip(&bags.indices).for_each(|(value, word)| *value *= idf[*word as usize]);
        let read = right_vectors(&bags, rank, seed)?;
        let idf = Array1::from(idf.to_vec());
        let weights = |asked| match asked {
            Asked::Idf => idf.clone(),
            Asked::One => Array1::ones(idf.len()),
        };
        // What a word's weight is multiplied by to make up for what a query multiplies it by.
        let share = &idf / &weights(asked);
        let write = &read * &(&share / &idf).mapv(|v| FIRST * v).insert_axis(Axis(1));
        // A word that queries alone have must be in some document at first, or no step would see it: in all, too little to be kept.
        let most = idf.iter().copied().fold(0.0, f32::max);
        let mut bias = weights(asked).mapv(|asked| UNSEEN * most / asked);
        documents.indices.iter().for_each(|word| bias[*word as usize] = 0.0);
        Ok(BowExpander { asked: weights(asked), gates: share, bias, read, write, idf })
    }

    /// What a word weighs in a query.
    pub fn asked(&self) -> &Array1<f32> {
        &self.asked
    }

    /// Gates and biases of the words, E and P (words x rank).
    pub fn parameters(&self) -> (&Array1<f32>, &Array1<f32>, &Array2<f32>, &Array2<f32>) {
        (&self.gates, &self.bias, &self.read, &self.write)
    }

    /// What BM25 adds to scores: the impacts of `documents` times idf.
    pub fn bm25(&self, documents: &Csr) -> Csr {
        let mut bags = documents.clone();
        bags.values.iter_mut().zip(&bags.indices).for_each(|(value, word)| *value *= self.idf[*word as usize]);
        bags
    }

    /// The documents' bags, in the order of their words, as they are added to scores: weights times what a query's words weigh, of
    /// which those below `least` are left out. `documents` as in [`BowExpander::start`].
    pub fn encode(&self, documents: &Csr, least: f32) -> Csr {
        let blocks: Vec<u32> = (0..documents.rows() as u32).step_by(BLOCK).collect();
        let block = |from: &u32| -> Vec<Vec<(u32, f32)>> {
            let rows: Vec<u32> = (*from..documents.rows() as u32).take(BLOCK).collect();
            let weights = self.forward(documents, rows).weights;
            let bag = |weights: ndarray::ArrayView1<f32>| {
                let added = weights.into_iter().zip(&self.asked).map(|(weight, asked)| weight * asked);
                (0..).zip(added).filter(|(_, weight)| *weight > 0.0 && *weight >= least).collect()
            };
            weights.outer_iter().map(bag).collect()
        };
        let mut bags = Csr::new(documents.cols);
        let blocks: Vec<_> = blocks.par_iter().map(block).collect();
        blocks.into_iter().flatten().for_each(|bag| bags.push_row(bag));
        bags
    }

    /// The weights of some documents.
    pub(super) fn forward(&self, bags: &Csr, documents: Vec<u32>) -> Pass {
        let weighed = self.weighed(bags, &documents);
        let hidden = embed(self.read.view(), &weighed, &all(&weighed));
        let mut weights = hidden.dot(&self.write.t());
        weights += &self.bias;
        for (document, mut weights) in documents.iter().zip(weights.outer_iter_mut()) {
            let (words, impacts) = bags.row(*document as usize);
            words.iter().zip(impacts).for_each(|(word, x)| weights[*word as usize] += self.gates[*word as usize] * x);
        }
        weights.mapv_inplace(|z| z.max(0.0));
        Pass { documents, hidden, weights }
    }

    /// Some documents' bags with idf.
    fn weighed(&self, bags: &Csr, documents: &[u32]) -> Csr {
        let mut weighed = Csr::new(bags.cols);
        for document in documents {
            let (words, impacts) = bags.row(*document as usize);
            weighed.push_row(words.iter().zip(impacts).map(|(word, x)| (*word, self.idf[*word as usize] * x)));
        }
        weighed
    }
}

/// An encoder that is trained, by Adam with a rate that falls linearly to 0 over all steps. One thread.
pub(super) struct Training<'a> {
    pub student: &'a mut BowExpander,
    gates: Moments<Ix1>,
    bias: Moments<Ix1>,
    read: Moments<Ix2>,
    write: Moments<Ix2>,
    rate: f64,
    steps: usize,
    done: usize,
}

/// Adam with one second moment for a whole array. With one for each number, as usual, every word would move by the same whether a
/// step pulls hard at it or hardly at all, and a word that few documents have by more than others: the penalty, which is proportional
/// to a word's mean weight, would take rare words first.
struct Moments<D: Dimension> {
    slope: Array<f32, D>,
    first: Array<f32, D>,
    second: f64,
}

impl<D: Dimension> Moments<D> {
    fn of(weights: &Array<f32, D>) -> Self {
        let zeros = || Array::zeros(weights.raw_dim());
        Moments { slope: zeros(), first: zeros(), second: 0.0 }
    }

    fn step(&mut self, weights: &mut Array<f32, D>, rate: f64, steps: i32) {
        let square = self.slope.iter().map(|slope| f64::from(*slope) * f64::from(*slope)).sum::<f64>();
        self.second = 0.999 * self.second + 0.001 * square / self.slope.len().max(1) as f64;
        let usual = (self.second / (1.0 - 0.999_f64.powi(steps))).sqrt() + 1e-12;
        let rate = (rate / (1.0 - 0.9_f64.powi(steps)) / usual) as f32;
        Zip::from(weights).and(&mut self.slope).and(&mut self.first).for_each(|weight, slope, first| {
            *first = 0.9 * *first + 0.1 * *slope;
            *weight -= rate * *first;
            *slope = 0.0;
        });
    }
}

impl<'a> Training<'a> {
    pub fn new(student: &'a mut BowExpander, rate: f64, steps: usize) -> Self {
        let (gates, bias) = (Moments::of(&student.gates), Moments::of(&student.bias));
        let (read, write) = (Moments::of(&student.read), Moments::of(&student.write));
        Training { student, gates, bias, read, write, rate, steps, done: 0 }
    }

    /// Adds what the derivatives by the weights of a pass say of the parameters.
    pub fn backward(&mut self, bags: &Csr, pass: &Pass, mut slope: Array2<f32>) {
        slope.zip_mut_with(&pass.weights, |slope, weight| *slope = if *weight > 0.0 { *slope } else { 0.0 });
        for (document, slope) in pass.documents.iter().zip(slope.outer_iter()) {
            let (words, impacts) = bags.row(*document as usize);
            words
                .iter()
                .zip(impacts)
                .for_each(|(word, x)| self.gates.slope[*word as usize] += slope[*word as usize] * x);
        }
        self.bias.slope += &slope.sum_axis(Axis(0));
        general_mat_mul(1.0, &slope.t(), &pass.hidden, 1.0, &mut self.write.slope);
        let hidden = slope.dot(&self.student.write);
        let weighed = self.student.weighed(bags, &pass.documents);
        scatter(&weighed, &all(&weighed), hidden.view(), &mut self.read.slope);
    }

    pub fn step(&mut self) {
        let rate = self.rate * (1.0 - self.done as f64 / self.steps as f64);
        self.done += 1;
        let steps = self.done as i32;
        self.gates.step(&mut self.student.gates, rate, steps);
        self.bias.step(&mut self.student.bias, rate, steps);
        self.read.step(&mut self.student.read, rate, steps);
        self.write.step(&mut self.student.write, rate, steps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_agree_with_differences() {
        let mut bags = Csr::new(6);
        bags.push_row([(0, 0.5), (2, 0.25), (3, 0.75)]);
        bags.push_row([(1, 0.5), (2, 0.5)]);
        bags.push_row([(0, 0.25), (4, 0.25), (5, 0.75)]);
        for asked in [Asked::Idf, Asked::One] {
            let mut student = BowExpander::start(&bags, &[1.0, 2.0, 0.5, 3.0, 1.5, 2.5], asked, 2, Seed(1)).unwrap();
            // Where many words are added, none of them near 0.
            student.bias.fill(0.5);
            student.write.mapv_inplace(|v| 2.0 * v);
            // Any smooth function of the weights will do for a loss.
            let loss = |student: &BowExpander| -> f64 {
                let weights = student.forward(&bags, vec![2, 0, 1]).weights;
                weights.iter().map(|w| f64::from(*w).powi(2) + f64::from(*w)).sum()
            };
            let mut trained = student.clone();
            let mut training = Training::new(&mut trained, 0.1, 1);
            let pass = student.forward(&bags, vec![2, 0, 1]);
            training.backward(&bags, &pass, pass.weights.mapv(|w| 2.0 * w + 1.0));
            let close = |moved: &dyn Fn(f32) -> BowExpander, slope: f32| {
                let h = 1.0 / 1024.0;
                let difference = (loss(&moved(h)) - loss(&moved(-h))) / (2.0 * f64::from(h));
                assert!(
                    (difference - f64::from(slope)).abs() < 2e-2 * difference.abs().max(1.0),
                    "{difference} {slope}"
                );
            };
            let with = |change: &dyn Fn(&mut BowExpander)| {
                let mut other = student.clone();
                change(&mut other);
                other
            };
            for word in 0..6 {
                close(&|by| with(&|other| other.gates[word] += by), training.gates.slope[word]);
                close(&|by| with(&|other| other.bias[word] += by), training.bias.slope[word]);
                for at in 0..2 {
                    close(&|by| with(&|other| other.read[[word, at]] += by), training.read.slope[[word, at]]);
                    close(&|by| with(&|other| other.write[[word, at]] += by), training.write.slope[[word, at]]);
                }
            }
        }
    }
}
