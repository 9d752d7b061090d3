//! Levels like given ones, by interpolation in the latent space of a variational autoencoder fitted to them.
//!
//! Garcin, Doran, Guo, Lucas and Albrecht, ICML 2024 (arXiv 2402.03479). Their encoder is a graph network; on maps of one size
//! dense layers do. The loss of a level, with x its tiles and q the encoder's normal law of the code z,
//!
//! -[0.04 log p(x | z) + 0.013 log p(goal | z, x) + 0.013 log p(start | z, x, goal)] + 0.0448 KL(q || N(0, I))
//!
//! where the goal is one of the cells without wall and lava, and the start another.

use super::generators::{LevelGenerator, check};
use super::grid::{Grid, Tile};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use quadrat_core::{Error, Progress, Result, Rng, Seed, Settings, checkpoint};
use quadrat_numeric::layers::{Activation, Adam, Layers, Real, Start};

/// Weights of the four parts of the loss, as in the authors' settings.
const LAYOUT: f64 = 0.04;
const ENDS: f64 = 0.013;
const KL: f64 = 0.0448;
/// Codes are interpolated along a straight line where the cosine of their angle is beyond this.
const ALIGNED: f64 = 0.955;

/// Settings of the autoencoder and of what is made with it.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct VaeTrainer {
    /// Numbers in the code of a level.
    #[param(default = 64, from = 1)]
    pub latent: usize,
    /// Units of the hidden layer of encoder and decoder each.
    #[param(default = 256, from = 1)]
    pub hidden: usize,
    /// Steps of Adam.
    #[param(default = 2000, from = 1)]
    pub vae_steps: usize,
    /// Levels of a step, drawn with replacement.
    #[param(default = 64, from = 1)]
    pub batch: usize,
    /// Step size of Adam.
    #[param(default = 0.001, above = 0)]
    pub vae_rate: f64,
    /// Levels along the way between two given ones, both ends counted.
    #[param(default = 6, from = 2)]
    pub points: usize,
}

/// An autoencoder of levels of one size. A level is 6 numbers a cell: 4 for its tile, one for the goal, one for the start.
#[derive(Debug, Clone, PartialEq)]
pub struct Vae<F> {
    size: [usize; 2],
    points: usize,
    encoder: Layers<F>,
    decoder: Layers<F>,
}

impl VaeTrainer {
    /// Fits an autoencoder to levels of one size. One thread; time O(steps x batch x cells x hidden).
    ///
    /// # Errors
    /// No level, levels of different sizes, settings of which nothing can be made; cancelled.
    pub fn fit(&self, levels: &[Grid], seed: Seed, progress: &dyn Progress) -> Result<Vae<f32>> {
        let size = check(levels)?;
        let counts = [
            ("latent", self.latent),
            ("hidden", self.hidden),
            ("vae-steps", self.vae_steps),
            ("batch", self.batch),
            ("points", self.points.saturating_sub(1)),
        ];
        for (what, count) in counts {
            if count == 0 {
                return Err(Error::input(what, "too few", "use at least 1, and of points 2"));
            }
        }
        let mut vae = Vae::<f32>::random(size, self, &mut seed.stream("autoencoder").rng(0));
        let mut adams = [&vae.encoder, &vae.decoder].map(Adam::new);
        let mut slopes = [vae.encoder.zeros(), vae.decoder.zeros()];
        progress.begin("fitting the autoencoder", Some(self.vae_steps as u64));
        for step in 0..self.vae_steps {
            checkpoint(progress)?;
            let mut rng = seed.stream("batches").rng(step as u64);
            let batch: Vec<&Grid> = (0..self.batch).map(|_| &levels[rng.below(levels.len())]).collect();
            let noise = Array2::from_shape_simple_fn((batch.len(), self.latent), || rng.normal() as f32);
            vae.loss(&batch, &noise, &mut slopes);
            let [encoder, decoder] = &mut slopes;
            adams[0].step(&mut vae.encoder, encoder, self.vae_rate);
            adams[1].step(&mut vae.decoder, decoder, self.vae_rate);
            progress.advance(1);
        }
        Ok(vae)
    }
}

impl<F: Real> Vae<F> {
    fn random(size: [usize; 2], settings: &VaeTrainer, rng: &mut Rng) -> Self {
        let numbers = 6 * size[0] * size[1];
        let mut layers = |sizes: [usize; 3]| Layers::random(&sizes, Activation::LeakyRelu, Start::Uniform, rng);
        Vae {
            size,
            points: settings.points,
            encoder: layers([numbers, settings.hidden, 2 * settings.latent]),
            decoder: layers([settings.latent, settings.hidden, numbers]),
        }
    }

    fn cells(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// The numbers of levels, a row each: tiles one after the other by kind, then goals, then starts.
    fn numbers(&self, levels: &[&Grid]) -> Array2<F> {
        let cells = self.cells();
        let mut rows = Array2::zeros((levels.len(), 6 * cells));
        for (mut row, level) in rows.axis_iter_mut(Axis(0)).zip(levels) {
            for (cell, tile) in level.tiles().iter().enumerate() {
                row[*tile as usize * cells + cell] = F::one();
            }
            row[4 * cells + level.goal()] = F::one();
            row[5 * cells + level.start()] = F::one();
        }
        rows
    }

    /// Means and standard deviations of the levels' codes.
    pub fn encode(&self, levels: &[&Grid]) -> (Array2<F>, Array2<F>) {
        let codes = self.encoder.outputs(self.numbers(levels).view());
        let latent = codes.ncols() / 2;
        let half = F::from_f64(0.5);
        (codes.slice(s![.., ..latent]).to_owned(), codes.slice(s![.., latent..]).mapv(|v| (half * v).exp()))
    }

    /// The likeliest level of each code: the likeliest tiles, of the cells without wall and lava the likeliest goal, and of the
    /// others the likeliest start; their ground is empty.
    ///
    /// # Errors
    /// Codes of another length.
    pub fn decode(&self, codes: ArrayView2<F>, rng: &mut Rng) -> Result<Vec<Grid>> {
        let latent = self.decoder.layers.first().map_or(0, |(weights, _)| weights.nrows());
        if codes.ncols() != latent {
            return Err(Error::input("codes", codes.ncols(), format!("give {latent} numbers for each level")));
        }
        let cells = self.cells();
        let level = |row: ArrayView1<F>| {
            let best = |places: &mut dyn Iterator<Item = usize>| {
                places.fold(None, |best: Option<usize>, at| match best {
                    Some(best) if row[best] >= row[at] => Some(best),
                    _ => Some(at),
                })
            };
            let tile = |cell: usize| {
                let at = best(&mut (0..4).map(|kind| kind * cells + cell)).unwrap_or(0);
                Tile::ALL[at / cells]
            };
            let mut tiles: Vec<Tile> = (0..cells).map(tile).collect();
            let mut taken = None;
            for first in [4 * cells, 5 * cells] {
                let may = |cell: &usize| Some(*cell) != taken;
                let free = best(&mut (0..cells).filter(may).filter(|cell| tiles[*cell].is_free()).map(|c| first + c));
                // All walls: any cell.
                let at = free.or_else(|| best(&mut (0..cells).filter(may).map(|c| first + c))).unwrap_or(first) - first;
                tiles[at] = Tile::Empty;
                if let Some(goal) = taken {
                    return Grid::new(self.size[0], tiles, at, goal, rng.below(4) as u8);
                }
                taken = Some(at);
            }
            Err(Error::numeric("decoder", "a level needs two cells"))
        };
        self.decoder.outputs(codes).axis_iter(Axis(0)).map(level).collect()
    }

    /// The mean loss of the levels with `noise` for their codes; adds its derivatives to the `slopes` of encoder and decoder.
    fn loss(&self, levels: &[&Grid], noise: &Array2<F>, slopes: &mut [Layers<F>; 2]) -> F {
        let (cells, latent) = (self.cells(), noise.ncols());
        let [half, one] = [0.5, 1.0].map(F::from_f64);
        let share = F::from_f64(1.0 / levels.len() as f64);
        let truth = self.numbers(levels);
        let seen = self.encoder.forward(truth.clone());
        let law = &seen[seen.len() - 1];
        let deviation = law.slice(s![.., latent..]).mapv(|v| (half * v).exp());
        let codes = &law.slice(s![.., ..latent]) + &(&deviation * noise);
        let values = self.decoder.forward(codes);
        let scores = &values[values.len() - 1];

        let mut loss = F::zero();
        let mut delta = Array2::zeros(scores.raw_dim());
        for ((level, scores), mut delta) in levels.iter().zip(scores.outer_iter()).zip(delta.outer_iter_mut()) {
            let mut head = |weight: f64, places: &[usize], truth: usize| {
                let weight = share * F::from_f64(weight);
                let most = places.iter().fold(F::neg_infinity(), |most, at| most.max(scores[*at]));
                let sum = places.iter().fold(F::zero(), |sum, at| sum + (scores[*at] - most).exp());
                loss += weight * (sum.ln() + most - scores[truth]);
                places.iter().for_each(|at| delta[*at] = weight * (scores[*at] - most).exp() / sum);
                delta[truth] -= weight;
            };
            for (cell, tile) in level.tiles().iter().enumerate() {
                head(
                    LAYOUT,
                    &std::array::from_fn::<usize, 4, _>(|kind| kind * cells + cell),
                    *tile as usize * cells + cell,
                );
            }
            let free = (0..cells).filter(|cell| level.tiles()[*cell].is_free());
            let mut places: Vec<usize> = free.map(|cell| 4 * cells + cell).collect();
            head(ENDS, &places, 4 * cells + level.goal());
            places.retain(|at| *at != 4 * cells + level.goal());
            places.iter_mut().for_each(|at| *at += cells);
            head(ENDS, &places, 5 * cells + level.start());
        }
        let by_codes = self.decoder.backward_to_inputs(&values, delta, &mut slopes[1]);

        let weight = share * F::from_f64(KL);
        let mut by_law = Array2::zeros(law.raw_dim());
        for (place, by_code) in by_codes.indexed_iter() {
            let (mean, log) = (law[place], law[[place.0, latent + place.1]]);
            let variance = log.exp();
            loss += weight * half * (mean * mean + variance - one - log);
            by_law[place] = *by_code + weight * mean;
            by_law[[place.0, latent + place.1]] =
                half * (*by_code * deviation[place] * noise[place] + weight * (variance - one));
        }
        self.encoder.backward(&seen, by_law, &mut slopes[0]);
        loss
    }
}

impl LevelGenerator for Vae<f32> {
    /// Two parents after the other, drawn uniformly: the means of their codes are interpolated on the sphere and the deviations
    /// along a line, at equally spaced points with both ends, and a code is drawn and decoded at each.
    fn generate(&self, parents: &[Grid], count: usize, rng: &mut Rng) -> Result<Vec<Grid>> {
        if check(parents)? != self.size {
            let [w, h] = self.size;
            return Err(Error::input("levels", "another size", format!("the autoencoder knows {w} x {h} cells")));
        }
        let mut levels = Vec::with_capacity(count);
        while levels.len() < count {
            let pair = match parents.len() {
                1 => vec![0, 0],
                n => rng.sample(n, 2),
            };
            let (means, deviations) = self.encode(&[&parents[pair[0]], &parents[pair[1]]]);
            let points = self.points.min(count - levels.len());
            let mut codes = Array2::zeros((points, means.ncols()));
            for (point, mut code) in codes.outer_iter_mut().enumerate() {
                let t = point as f32 / (self.points - 1) as f32;
                let mean = slerp(means.row(0), means.row(1), t);
                let (a, b) = (deviations.row(0), deviations.row(1));
                code.assign(&Array1::from_shape_fn(mean.len(), |k| {
                    mean[k] + ((1.0 - t) * a[k] + t * b[k]) * rng.normal() as f32
                }));
            }
            levels.extend(self.decode(codes.view(), rng)?);
        }
        Ok(levels)
    }
}

/// The point at the share `t` of the way from `a` to `b` that turns evenly about the origin (Shoemake 1985), a straight line where
/// they are nearly aligned or one is 0. Both have one length.
pub fn slerp<F: Real>(a: ArrayView1<F>, b: ArrayView1<F>, t: F) -> Array1<F> {
    let norm = (a.dot(&a) * b.dot(&b)).sqrt();
    let cosine = if norm > F::zero() { a.dot(&b) / norm } else { F::one() };
    let one = F::one();
    let (from, to) = if cosine.abs() > F::from_f64(ALIGNED) {
        (one - t, t)
    } else {
        let angle = cosine.acos();
        (((one - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin())
    };
    &a * from + &(&b * to)
}

#[cfg(test)]
mod tests;
