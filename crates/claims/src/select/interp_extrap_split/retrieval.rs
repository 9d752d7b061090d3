//! The paper's own experiment, small: which kind of retrieval model falls behind far from its training queries?
//!
//! Queries are examples of how a word is used, documents the definitions they are examples of (`usages`). Three models:
//! BM25, which learns nothing; one vector a text (representation-based); and the best match of each query word among
//! the document's words (interaction-based, late interaction). The two that learn share everything else: a vector of
//! length 1 a word, drawn at random, so that both start as lexical matching, and the softmax over a batch's documents.

use super::{FOLDS, similarity_folds};
use ndarray::{Array1, Array2, ArrayView1, Axis};
use quadrat_core::{Evidence, Relation, Result, Seed, Silent, Trial, checkpoint, stats};
use quadrat_data::builtin;
use quadrat_data::text::{Lsa, TextEncoder};
use quadrat_select::Split;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};

const WIDTH: usize = 64;
const BATCH: usize = 64;
/// Multiplies similarities, which lie between -1 and 1, before the softmax.
const SHARPNESS: f32 = 20.0;
/// Step sizes, of which each model gets the one that is best on a tenth of its training queries.
const RATES: [f32; 2] = [0.03, 0.1];
/// Where a document ranks lower than this its reciprocal rank counts as 0.
const DEPTH: usize = 10;

const BM25: &str = "bm25";
const MODELS: [(&str, Model); 2] = [("one vector a text", Model::Pooled), ("late interaction", Model::Late)];

/// What is expected, said before anything is measured.
pub fn expect(evidence: &mut Evidence) {
    let [(pooled, _), (late, _)] = MODELS;
    let says = "far from the training queries one vector a text loses more, in units of BM25, than late interaction";
    evidence.expect(says, "retrieval/drop", pooled, Some(late), Relation::Above(0.0));
    for (model, _) in MODELS {
        let says = format!("{model} loses a tenth or more of its score, in units of BM25");
        evidence.report(&says, "retrieval/drop", model, None, Relation::Above(0.1));
    }
    let says = "near the training queries one vector a text is within 10% of late interaction";
    evidence.report(says, "retrieval/log interpolation score", pooled, Some(late), Relation::Within(0.1));
    let says = "BM25, which learns nothing, scores the same on both sides within 5%: the tests are equally hard";
    evidence.report(says, "retrieval/drop", BM25, None, Relation::Within(0.05));
    // A repetition's test rows are a third of its training rows, as in cross-validation.
    evidence.expectations.iter_mut().filter(|e| e.metric.starts_with("retrieval")).for_each(|e| e.overlap = 1.0 / 3.0);
}

/// Similarity folds of the queries; each model is trained near and tested near and far.
pub fn run(trial: &Trial, evidence: &mut Evidence) -> Result<()> {
    let (pairs, repeats, epochs) = trial.at((150, 2, 1), (1200, 3, 8), (3000, 5, 8));
    let table = builtin::find("usages")?.table(&[])?;
    let (queries, texts) = (table.strings("query")?, table.strings("text")?);
    for repeat in 0..repeats {
        checkpoint(trial.progress)?;
        let seed = trial.seed.stream("retrieval").stream(&repeat.to_string());
        let rows = seed.stream("pairs").rng(0).sample(queries.len(), pairs);
        let pick = |from: &[String]| -> Vec<String> { rows.iter().map(|row| from[*row].clone()).collect() };
        let (queries, texts) = (pick(&queries), pick(&texts));
        let collection = Collection::new(&queries, &texts);
        let embedding = Lsa::default().encode(&queries, seed.stream("lsa"), &Silent)?;
        let folds = similarity_folds().split(embedding.view(), seed, &Silent)?;
        let jobs: Vec<(usize, &Split)> =
            (0..=MODELS.len()).flat_map(|m| folds.iter().map(move |fold| (m, fold))).collect();
        let scored = jobs
            .into_par_iter()
            .map(|(model, fold)| {
                checkpoint(trial.progress)?;
                let sides = [&fold.interpolation, &fold.extrapolation];
                let scores = match model.checked_sub(1) {
                    None => sides.map(|test| collection.reciprocal_ranks(test, &|q| collection.bm25(q))),
                    Some(at) => {
                        let table = collection.fit(MODELS[at].1, &fold.train, epochs, seed.stream("train"));
                        sides.map(|test| {
                            collection.reciprocal_ranks(test, &|q| collection.similar(MODELS[at].1, &table, q))
                        })
                    }
                };
                Ok((model, scores))
            })
            .collect::<Result<Vec<_>>>()?;
        let score = |model: usize, side: usize| {
            let folds = scored.iter().filter(|(m, _)| *m == model).map(|(_, sides)| sides[side]);
            folds.sum::<f64>() / FOLDS as f64
        };
        for (model, arm) in std::iter::once(BM25).chain(MODELS.map(|(arm, _)| arm)).enumerate() {
            let [near, far] = [score(model, 0), score(model, 1)];
            // BM25 is the ruler of the others and has none itself.
            let ruler = if model == 0 { [1.0, 1.0] } else { [score(0, 0), score(0, 1)] };
            evidence.measure(arm, "retrieval/drop", repeat, 1.0 - (far / ruler[1]) / (near / ruler[0]));
            evidence.measure(arm, "retrieval/log interpolation score", repeat, near.max(1e-3).ln());
            evidence.measure(arm, "retrieval/MRR@10 near", repeat, near);
            evidence.measure(arm, "retrieval/MRR@10 far", repeat, far);
        }
    }
    let mean = |arm: &str, metric: &str| {
        stats::mean(&evidence.values(arm, metric).into_iter().map(|(_, v)| v).collect::<Vec<_>>())
    };
    let said = std::iter::once(BM25).chain(MODELS.map(|(arm, _)| arm)).map(|arm| {
        format!("{arm} {:.3} and {:.3}", mean(arm, "retrieval/MRR@10 near"), mean(arm, "retrieval/MRR@10 far"))
    });
    let said = said.collect::<Vec<_>>().join(", ");
    evidence.notes.push(format!(
        "Retrieval: {pairs} pairs of `usages` in each of {repeats} repetitions, five similarity folds of the queries (latent \
         semantic analysis, none of the tested models), MRR@10 over all definitions. Mean near and far: {said}. Both \
         learned models have {WIDTH} numbers a word, batches of {BATCH}, {epochs} epochs, and the better of {} step sizes \
         by a tenth of the training queries. They are word vectors trained on thousands of queries, not language models \
         trained on half a million: the paper's encoders are out of reach here.",
        RATES.len()
    ));
    Ok(())
}

/// How two texts are compared.
#[derive(Clone, Copy, PartialEq)]
enum Model {
    /// The cosine of their words' weighted sums.
    Pooled,
    /// The weighted mean over the query's words of the best cosine with a word of the document.
    Late,
}

/// A text as words and their weights, which sum to 1.
struct Text {
    words: Vec<usize>,
    weights: Vec<f32>,
}

/// Queries and documents; document i answers query i.
struct Collection {
    queries: Vec<Text>,
    documents: Vec<Text>,
    /// Of each word the documents that have it, and how often.
    postings: Vec<Vec<(usize, f64)>>,
    /// Words of each document.
    lengths: Vec<f64>,
}

impl Collection {
    fn new(queries: &[String], documents: &[String]) -> Self {
        let mut numbers = HashMap::new();
        let mut words = |text: &String| -> Vec<usize> {
            let text = text.to_lowercase();
            let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            words
                .map(|word| {
                    let next = numbers.len();
                    *numbers.entry(word.to_owned()).or_insert(next)
                })
                .collect()
        };
        let queries: Vec<Vec<usize>> = queries.iter().map(&mut words).collect();
        let documents: Vec<Vec<usize>> = documents.iter().map(&mut words).collect();
        let mut postings = vec![Vec::new(); numbers.len()];
        for (document, words) in documents.iter().enumerate() {
            for word in words.iter().collect::<HashSet<_>>() {
                let count = words.iter().filter(|other| *other == word).count();
                postings[*word].push((document, count as f64));
            }
        }
        let n = documents.len() as f64;
        let rarity = |word: usize| (1.0 + n / (1.0 + postings[word].len() as f64)).ln() as f32;
        let text = |words: &Vec<usize>| {
            let weights: Vec<f32> = words.iter().map(|word| rarity(*word)).collect();
            let sum: f32 = weights.iter().sum();
            Text { words: words.clone(), weights: weights.iter().map(|weight| weight / sum).collect() }
        };
        Collection {
            queries: queries.iter().map(text).collect(),
            documents: documents.iter().map(text).collect(),
            lengths: documents.iter().map(|words| words.len() as f64).collect(),
            postings,
        }
    }

    /// BM25 of all documents for a query, with k1 = 0.9 and b = 0.4.
    fn bm25(&self, query: usize) -> Vec<f64> {
        let n = self.documents.len() as f64;
        let mean = self.lengths.iter().sum::<f64>() / n;
        let mut scores = vec![0.0; self.documents.len()];
        for word in &self.queries[query].words {
            let having = self.postings[*word].len() as f64;
            let rarity = (1.0 + (n - having + 0.5) / (having + 0.5)).ln();
            for (document, count) in &self.postings[*word] {
                let length = 0.9 * (1.0 - 0.4 + 0.4 * self.lengths[*document] / mean);
                scores[*document] += rarity * count * 1.9 / (count + length);
            }
        }
        scores
    }

    /// Mean over `queries` of one over the rank of the right document; of documents that tie the right one comes last.
    fn reciprocal_ranks(&self, queries: &[usize], score: &dyn Fn(usize) -> Vec<f64>) -> f64 {
        let one = |query: &usize| {
            let scores = score(*query);
            let rank = scores.iter().filter(|other| **other >= scores[*query]).count();
            if rank <= DEPTH { 1.0 / rank as f64 } else { 0.0 }
        };
        queries.iter().map(one).sum::<f64>() / queries.len() as f64
    }

    /// The word vectors of a model trained on `train`, with the best of the step sizes.
    fn fit(&self, model: Model, train: &[usize], epochs: usize, seed: Seed) -> Array2<f32> {
        let mut train = train.to_vec();
        seed.stream("validation").rng(0).shuffle(&mut train);
        let (validation, train) = train.split_at(train.len() / 10);
        let mut best = (f64::NEG_INFINITY, Array2::zeros((0, WIDTH)));
        for rate in RATES {
            let table = self.train(model, train, epochs, rate, seed);
            let found = self.reciprocal_ranks(validation, &|q| self.similar(model, &table, q));
            if found > best.0 {
                best = (found, table);
            }
        }
        best.1
    }

    /// Adagrad on the softmax over the documents of a batch; every step puts the words back to length 1.
    fn train(&self, model: Model, train: &[usize], epochs: usize, rate: f32, seed: Seed) -> Array2<f32> {
        let mut rng = seed.stream("words").rng(0);
        let mut table = Array2::from_shape_simple_fn((self.postings.len(), WIDTH), || rng.normal() as f32);
        table.outer_iter_mut().for_each(unit);
        let mut squares = Array2::from_elem(table.raw_dim(), 1e-6_f32);
        let mut order = train.to_vec();
        for epoch in 0..epochs {
            seed.stream("order").rng(epoch as u64).shuffle(&mut order);
            for batch in order.chunks(BATCH) {
                let (queries, documents): (Vec<&Text>, Vec<&Text>) =
                    batch.iter().map(|i| (&self.queries[*i], &self.documents[*i])).unzip();
                let mut slope = SHARPNESS * model.similarities(&table, &queries, &documents);
                for (i, mut row) in slope.outer_iter_mut().enumerate() {
                    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    row.mapv_inplace(|s| (s - most).exp());
                    row /= row.sum();
                    row[i] -= 1.0;
                }
                slope *= SHARPNESS / batch.len() as f32;
                for (word, gradient) in model.gradient(&table, &queries, &documents, &slope) {
                    let (mut vector, mut squares) = (table.row_mut(word), squares.row_mut(word));
                    squares.zip_mut_with(&gradient, |s, g| *s += g * g);
                    let step = &gradient / &squares.mapv(f32::sqrt);
                    vector.scaled_add(-rate, &step);
                    unit(vector);
                }
            }
        }
        table
    }

    /// The similarity of all documents to a query.
    fn similar(&self, model: Model, table: &Array2<f32>, query: usize) -> Vec<f64> {
        let query = &self.queries[query];
        if model == Model::Pooled {
            let direction = pooled(table, query).0;
            // A document's direction is the same for all queries, but a sum over its words costs as much as reading it.
            let along = table.dot(&direction);
            let norm = |text: &Text| pooled(table, text).1;
            let score =
                |text: &Text| text.words.iter().zip(&text.weights).map(|(w, weight)| weight * along[*w]).sum::<f32>();
            return self
                .documents
                .iter()
                .map(|text| f64::from(score(text) / norm(text).max(f32::MIN_POSITIVE)))
                .collect();
        }
        let mut scores = vec![0.0; self.documents.len()];
        for (word, weight) in query.words.iter().zip(&query.weights) {
            let along = table.dot(&table.row(*word));
            for (score, text) in scores.iter_mut().zip(&self.documents) {
                let best = text.words.iter().map(|word| along[*word]).fold(-1.0, f32::max);
                *score += f64::from(weight * best);
            }
        }
        scores
    }
}

impl Model {
    /// Of each query (rows) to each document (columns).
    fn similarities(self, table: &Array2<f32>, queries: &[&Text], documents: &[&Text]) -> Array2<f32> {
        if self == Model::Pooled {
            return directions(table, queries).dot(&directions(table, documents).t());
        }
        let pairs = Matches::new(table, queries, documents);
        Array2::from_shape_fn((queries.len(), documents.len()), |(q, d)| {
            pairs.of(q, d).zip(&queries[q].weights).map(|((_, best), weight)| weight * best).sum()
        })
    }

    /// The derivative by each word's vector of the sum of similarities, each times its `slope`.
    fn gradient(
        self,
        table: &Array2<f32>,
        queries: &[&Text],
        documents: &[&Text],
        slope: &Array2<f32>,
    ) -> Vec<(usize, Array1<f32>)> {
        let mut gradient: HashMap<usize, Array1<f32>> = HashMap::new();
        let mut add = |word: usize, by: f32, vector: ArrayView1<f32>| {
            gradient.entry(word).or_insert_with(|| Array1::zeros(WIDTH)).scaled_add(by, &vector);
        };
        if self == Model::Pooled {
            let sides = [queries, documents].map(|texts| directions(table, texts));
            let slopes = [slope.dot(&sides[1]), slope.t().dot(&sides[0])];
            for (texts, slopes) in [queries, documents].into_iter().zip(&slopes) {
                for (text, slope) in texts.iter().zip(slopes.outer_iter()) {
                    // Through the division by the length.
                    let (direction, length) = pooled(table, text);
                    let along = direction.dot(&slope);
                    let inward = (&slope - &(along * &direction)) / length.max(f32::MIN_POSITIVE);
                    text.words.iter().zip(&text.weights).for_each(|(word, weight)| add(*word, *weight, inward.view()));
                }
            }
        } else {
            let pairs = Matches::new(table, queries, documents);
            for ((q, d), slope) in slope.indexed_iter() {
                let query = queries[q];
                for ((at, _), (word, weight)) in pairs.of(q, d).zip(query.words.iter().zip(&query.weights)) {
                    let other = documents[d].words[at];
                    add(*word, slope * weight, table.row(other));
                    add(other, slope * weight, table.row(*word));
                }
            }
        }
        // In the order of the words: the order of a hash map is another in every run.
        let mut gradient: Vec<_> = gradient.into_iter().collect();
        gradient.sort_unstable_by_key(|(word, _)| *word);
        gradient
    }
}

/// The cosines of all query words (rows) with all document words (columns) of a batch.
struct Matches {
    cosines: Array2<f32>,
    /// Where each query and document starts, and the end of the last.
    starts: [Vec<usize>; 2],
}

impl Matches {
    fn new(table: &Array2<f32>, queries: &[&Text], documents: &[&Text]) -> Self {
        let laid = |texts: &[&Text]| {
            let words: Vec<usize> = texts.iter().flat_map(|text| text.words.iter().copied()).collect();
            let mut starts = vec![0];
            starts.extend(texts.iter().scan(0, |end, text| {
                *end += text.words.len();
                Some(*end)
            }));
            (table.select(Axis(0), &words), starts)
        };
        let ((queries, from), (documents, to)) = (laid(queries), laid(documents));
        Matches { cosines: queries.dot(&documents.t()), starts: [from, to] }
    }

    /// For each word of query `q` the place and cosine of its best match in document `d`; the first of those that tie.
    fn of(&self, q: usize, d: usize) -> impl Iterator<Item = (usize, f32)> {
        let [from, to] = &self.starts;
        (from[q]..from[q + 1]).map(move |word| {
            let row = self.cosines.row(word);
            (to[d]..to[d + 1])
                .map(|other| (other - to[d], row[other]))
                .fold((0, -1.0), |best, next| if next.1 > best.1 { next } else { best })
        })
    }
}

/// The direction of a text's weighted sum of word vectors, and the sum's length.
fn pooled(table: &Array2<f32>, text: &Text) -> (Array1<f32>, f32) {
    let mut sum = Array1::zeros(WIDTH);
    text.words.iter().zip(&text.weights).for_each(|(word, weight)| sum.scaled_add(*weight, &table.row(*word)));
    let length = sum.dot(&sum).sqrt();
    (sum / length.max(f32::MIN_POSITIVE), length)
}

fn directions(table: &Array2<f32>, texts: &[&Text]) -> Array2<f32> {
    let mut rows = Array2::zeros((texts.len(), WIDTH));
    rows.outer_iter_mut().zip(texts).for_each(|(mut row, text)| row.assign(&pooled(table, text).0));
    rows
}

fn unit(mut vector: ndarray::ArrayViewMut1<f32>) {
    let length = vector.dot(&vector).sqrt();
    vector /= length.max(f32::MIN_POSITIVE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_agree_with_differences() {
        let texts = ["red wine of the south", "a long red road", "wine and bread"].map(String::from);
        let others = ["a drink of grapes", "a way that is long", "food and drink of the south"].map(String::from);
        let collection = Collection::new(&texts, &others);
        let (queries, documents): (Vec<&Text>, Vec<&Text>) =
            collection.queries.iter().zip(&collection.documents).unzip();
        let mut rng = Seed(3).rng(0);
        let mut table = Array2::from_shape_simple_fn((collection.postings.len(), WIDTH), || rng.normal() as f32);
        table.outer_iter_mut().for_each(unit);
        let slope = Array2::from_shape_simple_fn((3, 3), || rng.normal() as f32);
        for model in [Model::Pooled, Model::Late] {
            let value = |table: &Array2<f32>| (model.similarities(table, &queries, &documents) * &slope).sum();
            for (word, gradient) in model.gradient(&table, &queries, &documents, &slope) {
                let mut moved = [table.clone(), table.clone()];
                let step = 1e-2;
                for (table, sign) in moved.iter_mut().zip([1.0, -1.0]) {
                    table.row_mut(word).scaled_add(sign * step, &gradient);
                }
                let rise = (value(&moved[0]) - value(&moved[1])) / (2.0 * step);
                let expected = gradient.dot(&gradient);
                // The cosines of late interaction are of vectors of length 1 and linear in each, but a word that
                // matches itself is quadratic: central differences are exact for it too.
                assert!((rise - expected).abs() < 2e-3 * (1.0 + expected), "{word}: {rise} {expected}");
            }
        }
    }
}
