//! A draw of definitions with a sentence for each, and the curve of an arm on it.

use super::{Arm, DENSE, RANK};
use ndarray::Array2;
use quadrat_core::{Lists, Result, Seed, Silent, stats};
use quadrat_numeric::Csr;
use quadrat_retrieval::Asked;
use quadrat_retrieval::measures::Measure;
use quadrat_retrieval::training::{
    BowExpander, DualEncoder, InferenceFreeSparse, Lexicon, SparseTask, Sparsity, Vocabulary, search_bags,
};
use rayon::prelude::*;

/// FLOPS and NDCG@10, one for each weight of the penalty.
pub type Curve = Vec<(f64, f64)>;

/// A draw of definitions and sentences.
pub struct Data {
    documents: Csr,
    queries: Csr,
    relevant: Lists,
    dense: (Array2<f32>, Array2<f32>),
    /// Queries of the second half of the definitions.
    test: Csr,
    /// Untrained, with idf and without.
    starts: [BowExpander; 2],
    /// Weights below it are none.
    least: f32,
    /// FLOPS and NDCG@10 of BM25.
    pub bm25: (f64, f64),
    seed: Seed,
}

impl Data {
    /// Draws so many definitions.
    pub fn draw(pairs: &[(String, String)], count: usize, seed: Seed) -> Result<Data> {
        let rows = seed.stream("rows").rng(0).sample(pairs.len(), count);
        let texts: Vec<String> = rows.iter().map(|row| pairs[*row].0.clone()).collect();
        let half = rows.len() / 2;
        let asked = |rows: &[usize]| -> Vec<String> { rows.iter().map(|row| pairs[*row].1.clone()).collect() };
        let (taught, tested) = (asked(&rows[..half]), asked(&rows[half..]));
        let lexicon = Lexicon::learn(&texts, &taught)?;
        let vocabulary = Vocabulary::learn(texts.iter().chain(&taught).map(String::as_str))?;
        let (bags, of_taught) = (vocabulary.bags(&texts), vocabulary.bags(&taught));
        let teacher = DualEncoder::start(&bags, &of_taught, DENSE.min(count / 2), 2.0, seed.stream("dense"))?;
        let documents = lexicon.documents(&texts);
        let start = |asked| BowExpander::start(&documents, lexicon.idf(), asked, RANK, seed.stream("start"));
        let starts = [start(Asked::Idf)?, start(Asked::One)?];
        let bm25 = starts[0].bm25(&documents);
        let mut data = Data {
            least: lexicon.idf().iter().copied().fold(0.0, f32::max) / 510.0,
            dense: (teacher.documents(&bags), teacher.queries(&of_taught)),
            queries: lexicon.queries(&taught),
            relevant: (0..half as u32).map(|row| [row]).collect(),
            test: lexicon.queries(&tested),
            bm25: (0.0, 0.0),
            documents,
            starts,
            seed,
        };
        data.bm25 = data.measure(&bm25)?;
        Ok(data)
    }

    fn measure(&self, bags: &Csr) -> Result<(f64, f64)> {
        let first = self.documents.rows() - self.test.rows();
        let measure = Measure::parse("ndcg@10")?;
        let of = |(query, found): (usize, Vec<u32>)| {
            let levels: Vec<Option<i32>> =
                found.iter().map(|row| (*row as usize == first + query).then_some(1)).collect();
            measure.of(&levels, &[1])
        };
        let ndcg: Vec<f64> = search_bags(bags, &self.test, 10).into_iter().enumerate().map(of).collect();
        Ok((Sparsity::of(bags, &self.test).flops, stats::mean(&ndcg)))
    }

    /// Trains with each weight of the penalty.
    pub fn curve(&self, steps: usize, arm: &Arm, lambdas: &[f64], rate: f64) -> Result<Curve> {
        let one = |lambda: &f64| {
            let mut method = InferenceFreeSparse {
                lambda: *lambda,
                rate,
                rank: RANK,
                steps,
                ramp: steps / 3 + 1,
                ..InferenceFreeSparse::default()
            };
            (arm.change)(&mut method);
            let dense = Some((self.dense.0.view(), self.dense.1.view()));
            let task =
                SparseTask { documents: &self.documents, queries: &self.queries, relevant: &self.relevant, dense };
            let mut student = self.starts[usize::from(method.query_weights == Asked::One)].clone();
            // All arms and weights see the same batches.
            method.train(&mut student, &task, self.seed.stream("training"), &Silent)?;
            self.measure(&student.encode(&self.documents, self.least))
        };
        lambdas.par_iter().map(one).collect()
    }

    /// What the curves have of the range between a tenth of BM25's FLOPS and BM25's own; where they have nothing in common, the
    /// middle between their ends.
    pub fn range(&self, curves: &[&Curve]) -> [f64; 2] {
        let (mut low, mut high) = (self.bm25.0 / 10.0, self.bm25.0);
        for curve in curves {
            low = low.max(curve.iter().map(|(flops, _)| *flops).fold(f64::INFINITY, f64::min));
            high = high.min(curve.iter().map(|(flops, _)| *flops).fold(0.0, f64::max));
        }
        if low > high { [(low * high).sqrt(); 2] } else { [low, high] }
    }

    /// The mean of a curve over a range of FLOPS, straight between its points over the logarithm, and level beyond its ends.
    pub fn mean(&self, curve: &Curve, [low, high]: [f64; 2]) -> f64 {
        let mut points = curve.clone();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let at = |flops: f64| match points.iter().position(|(own, _)| *own >= flops) {
            None => points[points.len() - 1].1,
            Some(0) => points[0].1,
            Some(next) => {
                let (before, after) = (points[next - 1], points[next]);
                let share = (flops / before.0).ln() / (after.0 / before.0).ln();
                before.1 + share * (after.1 - before.1)
            }
        };
        const PLACES: i32 = 20;
        let places = (0..=PLACES).map(|i| at(low * (high / low).powf(f64::from(i) / f64::from(PLACES))));
        stats::mean(&places.collect::<Vec<f64>>())
    }
}
