//! Where resamplers take their random numbers from.

use crate::NumpyLegacy;
use quadrat_core::{Choice, Result, Seed};
use rayon::prelude::*;

/// Which random numbers a resampler uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Generator {
    /// A stream of its own for each class and each new row. They are independent of each other and of the number of threads.
    Streams,
    /// The numbers imbalanced-learn 0.14 draws from the same seed. They come in its order, so that its results come out
    /// digit by digit wherever no two neighbours are equally far. Its classes share one sequence from the same seed,
    /// so rows of different classes are correlated: for comparisons only.
    NumpyLegacy,
}

impl Generator {
    /// The numbers of the method called `name`. The legacy generator starts its sequence anew with every call.
    pub(crate) fn start(self, name: &str, seed: Seed) -> Result<Draws> {
        Ok(match self {
            Generator::Streams => Draws::Streams(seed.stream(name)),
            Generator::NumpyLegacy => Draws::NumpyLegacy(Box::new(NumpyLegacy::new(seed)?)),
        })
    }
}

/// A source of the draws that resamplers share.
pub(crate) enum Draws {
    Streams(Seed),
    NumpyLegacy(Box<NumpyLegacy>),
}

impl Draws {
    /// `count` independent numbers below `n`, each with a uniform gap in [0, 1). Legacy order: all numbers, all gaps.
    pub fn pairs(&mut self, class: u32, n: usize, count: usize) -> Vec<(usize, f64)> {
        match self {
            Draws::Streams(seed) => {
                let seed = of_class(*seed, class);
                let draw = |row| {
                    let mut rng = seed.rng(row);
                    (rng.below(n), rng.uniform())
                };
                (0..count as u64).into_par_iter().map(draw).collect()
            }
            Draws::NumpyLegacy(rng) => {
                let numbers: Vec<usize> = (0..count).map(|_| rng.below(n)).collect();
                numbers.into_iter().map(|number| (number, rng.uniform())).collect()
            }
        }
    }

    /// `count` independent numbers below `n`.
    pub fn numbers(&mut self, class: u32, n: usize, count: usize) -> Vec<usize> {
        match self {
            Draws::Streams(seed) => {
                let mut rng = of_class(*seed, class).stream("numbers").rng(0);
                (0..count).map(|_| rng.below(n)).collect()
            }
            Draws::NumpyLegacy(rng) => (0..count).map(|_| rng.below(n)).collect(),
        }
    }

    /// `count` distinct numbers below `n`, in random order.
    pub fn sample(&mut self, class: u32, n: usize, count: usize) -> Vec<usize> {
        match self {
            Draws::Streams(seed) => of_class(*seed, class).stream("sample").rng(0).sample(n, count),
            Draws::NumpyLegacy(rng) => {
                let mut all: Vec<usize> = (0..n).collect();
                rng.shuffle(&mut all);
                all.truncate(count);
                all
            }
        }
    }
}

/// The seed of a class's stream.
pub(crate) fn of_class(seed: Seed, class: u32) -> Seed {
    seed.stream(&format!("class {class}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_classes_differ_and_repeat() {
        let draw = |class| Generator::Streams.start("demo", Seed(1)).unwrap().pairs(class, 1000, 5);
        assert_eq!(draw(0), draw(0));
        assert_ne!(draw(0), draw(1));
    }

    #[test]
    fn the_legacy_generator_takes_32_bit_seeds() {
        let error = Generator::NumpyLegacy.start("demo", Seed(1 << 32)).err().unwrap().to_string();
        assert!(error.starts_with("seed: got 4294967296; the numpy-legacy generator takes 0 to"), "{error}");
    }
}
