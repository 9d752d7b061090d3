//! The encoder of composed queries and their targets, and how its derivatives flow back.

use super::composer::{Composition, Kept};
use super::{Composer, Sentences, Task};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result, Seed};
use quadrat_numeric::layers::{Activation, Adam, Layers, Real, Start, descend};

/// References and sentences to queries, targets to vectors: all rows of length 1, so that the inner product of a query and a target is
/// their cosine.
///
/// A reference is projected by one layer; a sentence is the sum of its words' vectors (one layer without a bias for vectors of the
/// user's own), and zero where it is missing; a [`Composer`] makes one of the two. Targets are projected by one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct ComposedEncoder<F = f32> {
    composer: Composer,
    /// What references, sentences and targets are multiplied with, whatever scale they come in.
    units: [f64; 3],
    pub(super) reference: Layers<F>,
    pub(super) words: Array2<F>,
    pub(super) composition: Composition<F>,
    pub(super) target: Layers<F>,
}

/// What an encoder is made for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// How reference and sentence meet.
    pub composer: Composer,
    /// Values of a reference, of a sentence, and of a target.
    pub widths: [usize; 3],
    /// Values of a vector.
    pub dims: usize,
    /// What references, sentences and targets are multiplied with.
    pub units: [f64; 3],
}

/// What the way back needs of the way forward.
pub(super) struct Forward<F> {
    references: Vec<Array2<F>>,
    composed: Kept<F>,
    targets: Vec<Array2<F>>,
    /// Lengths before they were made 1.
    lengths: [Array1<F>; 2],
    /// Rows of length 1.
    pub queries: Array2<F>,
    pub vectors: Array2<F>,
}

impl<F: Real> ComposedEncoder<F> {
    /// Random weights for a task's rows. References and targets are multiplied by one number each that makes the root of the mean of
    /// their squares 1, whatever their scale; sentences that are vectors by one that makes them about as long as bags of words, 1.
    ///
    /// # Errors
    /// `dims` of 0; as [`Task::check`].
    pub fn start(composer: Composer, dims: usize, task: &Task, seed: Seed) -> Result<Self> {
        task.check()?;
        let words = match task.sentences {
            Sentences::Bags(_) => 1.0,
            Sentences::Vectors(vectors) => unit(vectors.view()) / (vectors.ncols().max(1) as f64).sqrt(),
        };
        let units = [unit(task.references), words, unit(task.targets)];
        let widths = [task.references.ncols(), task.sentences.width(), task.targets.ncols()];
        Self::of(Shape { composer, widths, dims, units }, seed)
    }

    /// Random weights of a given shape.
    ///
    /// # Errors
    /// A width (but that of sentences) or `dims` of 0.
    pub fn of(shape: Shape, seed: Seed) -> Result<Self> {
        let Shape { composer, widths: [references, words, targets], dims, units } = shape;
        for (what, size) in [("dims", dims), ("values of a reference", references), ("values of a target", targets)] {
            if size == 0 {
                return Err(Error::input(what, 0, "use a whole number, at least 1"));
            }
        }
        let layer = |name: &str, from: usize| {
            Layers::random(&[from, dims], Activation::Relu, Start::Uniform, &mut seed.stream(name).rng(0))
        };
        // The spread that the projection of a reference starts with.
        let mut rng = seed.stream("words").rng(0);
        let words = Array2::from_shape_simple_fn((words, dims), || F::from_f64(rng.normal() / 3_f64.sqrt()));
        let composition = Composition::random(composer, dims, &mut seed.stream("composer").rng(0));
        Ok(ComposedEncoder {
            composer,
            units,
            reference: layer("reference", references),
            words,
            composition,
            target: layer("target", targets),
        })
    }

    /// What the encoder is made for.
    pub fn shape(&self) -> Shape {
        let rows = |net: &Layers<F>| net.layers.first().map_or(0, |(weights, _)| weights.nrows());
        Shape {
            composer: self.composer,
            widths: [rows(&self.reference), self.words.nrows(), rows(&self.target)],
            dims: self.words.ncols(),
            units: self.units,
        }
    }

    /// Queries: a row of length 1 for each reference and its sentence.
    ///
    /// # Errors
    /// Not as many sentences as references; rows of other widths than the encoder's; values that are not finite.
    pub fn compose(&self, references: ArrayView2<f32>, sentences: &Sentences) -> Result<Array2<F>> {
        self.check([references.ncols(), sentences.width(), self.shape().widths[2]])?;
        super::check_rows("references", references)?;
        super::check_sentences(references.nrows(), sentences)?;
        let all: Vec<u32> = (0..references.nrows() as u32).collect();
        let t = sentences.embed(self.words.view(), self.units[1], &all);
        let v = self.reference.outputs(scaled(references, self.units[0]).view());
        let mut queries = self.composition.forward(v, t).0;
        normalise(&mut queries);
        Ok(queries)
    }

    /// Targets: a row of length 1 for each.
    ///
    /// # Errors
    /// Rows of another width than the encoder's; values that are not finite.
    pub fn project(&self, targets: ArrayView2<f32>) -> Result<Array2<F>> {
        let [references, words, _] = self.shape().widths;
        self.check([references, words, targets.ncols()])?;
        super::check_rows("targets", targets)?;
        let mut vectors = self.target.outputs(scaled(targets, self.units[2]).view());
        normalise(&mut vectors);
        Ok(vectors)
    }

    /// That rows have the widths that the encoder was made for.
    pub(super) fn check(&self, widths: [usize; 3]) -> Result<()> {
        let names = ["a reference", "a sentence", "a target"];
        for ((name, want), got) in names.into_iter().zip(self.shape().widths).zip(widths) {
            if want != got {
                return Err(Error::input(format!("values of {name}"), got, format!("the encoder was made for {want}")));
            }
        }
        Ok(())
    }

    /// The vectors of the sentences of some rows.
    pub(super) fn sentences(&self, task: &Task, rows: &[u32]) -> Array2<F> {
        task.sentences.embed(self.words.view(), self.units[1], rows)
    }

    /// Queries and targets of some rows, with vectors of their sentences.
    pub(super) fn forward(&self, task: &Task, rows: &[u32], t: Array2<F>) -> Forward<F> {
        let some = |x: ArrayView2<f32>, unit| {
            scaled(x.select(Axis(0), &rows.iter().map(|row| *row as usize).collect::<Vec<_>>()).view(), unit)
        };
        let (references, v) = self.reference.forward_apart(some(task.references, self.units[0]));
        let (mut queries, composed) = self.composition.forward(v, t);
        let (targets, mut vectors) = self.target.forward_apart(some(task.targets, self.units[2]));
        let lengths = [normalise(&mut queries), normalise(&mut vectors)];
        Forward { references, composed, targets, lengths, queries, vectors }
    }

    /// Adds the derivatives by all weights but the words' to `slope`, from those by queries and target vectors, and returns those by
    /// the sentences' vectors.
    pub(super) fn backward(&self, kept: &Forward<F>, to: [Array2<F>; 2], slope: &mut Self) -> Array2<F> {
        let [to_queries, to_vectors] = to;
        let to_queries = through_length(&kept.queries, &kept.lengths[0], to_queries);
        let to_vectors = through_length(&kept.vectors, &kept.lengths[1], to_vectors);
        let [to_v, to_t] = self.composition.backward(&kept.composed, to_queries, &mut slope.composition);
        self.reference.backward(&kept.references, to_v, &mut slope.reference);
        self.target.backward(&kept.targets, to_vectors, &mut slope.target);
        to_t
    }

    /// Adds the derivatives by the words' vectors to `slope`.
    pub(super) fn backward_words(&self, task: &Task, rows: &[u32], to_t: ArrayView2<F>, slope: &mut Self) {
        task.sentences.scatter(self.units[1], rows, to_t, &mut slope.words);
    }

    pub(super) fn zeros(&self) -> Self {
        ComposedEncoder {
            composer: self.composer,
            units: self.units,
            reference: self.reference.zeros(),
            words: Array2::zeros(self.words.dim()),
            composition: self.composition.zeros(),
            target: self.target.zeros(),
        }
    }

    /// All layers, with names for files.
    pub(super) fn nets(&mut self) -> [(&'static str, &mut Layers<F>); 4] {
        let [gate, rest] = &mut self.composition.nets;
        [("reference", &mut self.reference), ("target", &mut self.target), ("gate", gate), ("rest", rest)]
    }
}

/// Adam for all weights of an encoder.
pub(super) struct Descent<F> {
    nets: [Adam<F>; 4],
    moments: [ComposedEncoder<F>; 2],
    steps: i32,
}

impl<F: Real> Descent<F> {
    pub fn new(encoder: &ComposedEncoder<F>) -> Self {
        let mut zeros = encoder.zeros();
        let nets = zeros.nets().map(|(_, net)| Adam::new(net));
        Descent { nets, moments: [zeros.clone(), zeros], steps: 0 }
    }

    /// One step down the slope, which is zero afterwards.
    pub fn step(&mut self, encoder: &mut ComposedEncoder<F>, slope: &mut ComposedEncoder<F>, rate: f64) {
        self.steps += 1;
        for (((_, net), (_, slope)), adam) in encoder.nets().into_iter().zip(slope.nets()).zip(&mut self.nets) {
            adam.step(net, slope, rate);
        }
        let [first, second] = &mut self.moments;
        descend(&mut encoder.words, &mut slope.words, &mut first.words, &mut second.words, rate, self.steps);
        let (weights, slope) = (&mut encoder.composition.weights, &mut slope.composition.weights);
        let (first, second) = (&mut first.composition.weights, &mut second.composition.weights);
        descend(weights, slope, first, second, rate, self.steps);
    }
}

/// One over the root of the mean of the squares; 1 for zeros.
fn unit(rows: ArrayView2<f32>) -> f64 {
    let squares: f64 = rows.iter().map(|v| f64::from(*v).powi(2)).sum();
    if squares > 0.0 { (rows.len() as f64 / squares).sqrt() } else { 1.0 }
}

fn scaled<F: Real>(rows: ArrayView2<f32>, unit: f64) -> Array2<F> {
    rows.mapv(|value| F::from_f64(f64::from(value) * unit))
}

/// Makes the length of each row 1 and returns what it was; a row of zeros stays one.
fn normalise<F: Real>(rows: &mut Array2<F>) -> Array1<F> {
    let lengths: Array1<F> = rows.outer_iter().map(|row| row.dot(&row).sqrt()).collect();
    for (mut row, length) in rows.outer_iter_mut().zip(&lengths) {
        if *length > F::zero() {
            row.mapv_inplace(|v| v / *length);
        }
    }
    lengths
}

/// From the derivatives by rows of length 1 to those by the rows that they were made of.
fn through_length<F: Real>(rows: &Array2<F>, lengths: &Array1<F>, mut to: Array2<F>) -> Array2<F> {
    for ((row, length), mut to) in rows.outer_iter().zip(lengths).zip(to.outer_iter_mut()) {
        let along = row.dot(&to);
        to.scaled_add(-along, &row);
        let factor = if *length > F::zero() { F::one() / *length } else { F::zero() };
        to.mapv_inplace(|v| v * factor);
    }
    to
}
