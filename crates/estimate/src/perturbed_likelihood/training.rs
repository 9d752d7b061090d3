//! Steps of Adam on perturbed rows.

use super::{Bound, Fitted, InstanceNoise, PerturbedMle, Scaling, Sigma, quadrature, variational};
use ndarray::{Array2, ArrayView2, Axis, array};
use quadrat_core::{Error, Progress, Result, Rng, Seed, checkpoint};
use quadrat_numeric::layers::{Activation, Adam, Layers, Start};
use quadrat_numeric::low_discrepancy::Sobol;

/// Steps between looks at the progress bar and the user's wish to stop.
const BLOCK: usize = 50;
/// Where s starts for rows without noise; noise adds its variance, since Adam is slow to forget the steep slopes of an s
/// far too small.
const START_SIGMA: f64 = 0.5;
/// The least s, in units of the rows' scale.
const LEAST_SIGMA: f64 = 1e-4;
/// How much faster than the networks ln s learns.
const SIGMA_RATE: f64 = 10.0;
/// Share of the steps in which s stays where it starts. Before the networks have learned anything the rows' whole spread
/// looks like noise; an s that follows makes the encoder's silence optimal, and the fit stays collapsed.
const WARM_UP: f64 = 0.1;

/// What is learned, or its derivatives: the decoder f, the encoder of a variational bound, and ln s, which is kept as the
/// bias of a layer without inputs so that Adam treats it like the rest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Networks {
    pub decoder: Layers<f32>,
    pub encoder: Option<Layers<f32>>,
    pub log_sigma: Layers<f32>,
}

impl Networks {
    fn random(method: &PerturbedMle, columns: usize, log_sigma: f64, seed: Seed) -> Networks {
        let mut rng = seed.stream("weights").rng(0);
        let mut layers = |first: usize, last: usize| {
            let sizes = [&[first], method.hidden.as_slice(), &[last]].concat();
            Layers::random(&sizes, Activation::LeakyRelu, Start::Uniform, &mut rng)
        };
        let decoder = layers(method.latent, columns);
        let variational = !matches!(method.bound, Bound::Quadrature { .. });
        let encoder = variational.then(|| layers(columns, 2 * method.latent));
        let log_sigma = vec![(Array2::zeros((0, 1)), array![log_sigma as f32])];
        Networks { decoder, encoder, log_sigma: Layers { layers: log_sigma, activation: Activation::LeakyRelu } }
    }

    fn zeros(&self) -> Networks {
        Networks {
            decoder: self.decoder.zeros(),
            encoder: self.encoder.as_ref().map(Layers::zeros),
            log_sigma: self.log_sigma.zeros(),
        }
    }

    /// ln s.
    pub fn log_sigma(&mut self) -> &mut f32 {
        &mut self.log_sigma.layers[0].1[0]
    }

    /// s, in units of the rows' scale.
    pub fn sigma(&self) -> f32 {
        self.log_sigma.layers[0].1[0].exp()
    }

    fn is_finite(&self) -> bool {
        let all = [Some(&self.decoder), self.encoder.as_ref(), Some(&self.log_sigma)];
        let mut parts = all.into_iter().flatten().flat_map(|net| &net.layers);
        parts.all(|(w, b)| w.iter().chain(b).all(|v| v.is_finite()))
    }
}

/// Fits to the rows of `x` with noise `t`, both in the rows' units.
pub(super) fn fit(
    method: &PerturbedMle,
    x: ArrayView2<f64>,
    scaling: &Scaling,
    t: f64,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Fitted> {
    let x = scaling.to_networks(x);
    let noise = InstanceNoise { t: t / scaling.scale, redraw: method.redraw };
    let (start, least, learns) = match method.sigma {
        Sigma::Learned { floor } => (START_SIGMA.hypot(noise.t), (floor / scaling.scale).max(LEAST_SIGMA), true),
        Sigma::Fixed(s) => (s / scaling.scale, 0.0, false),
    };
    let mut networks = Networks::random(method, x.ncols(), f64::max(start, least).ln(), seed);
    let points = match method.bound {
        Bound::Quadrature { m } => {
            let cube = Sobol::scrambled(method.latent, seed.stream("quadrature"))?.points(0, m)?;
            Some(quadrature::points(&cube, method.prior))
        }
        _ => None,
    };
    let mut slopes = networks.zeros();
    let mut descent = Descent::new(&networks);
    let mut draws = seed.stream("encoder").rng(0);
    let mut batches = Batches::new(&x, noise, method.batch, seed);
    let warm_up = (WARM_UP * method.steps as f64) as usize;
    for step in 0..method.steps {
        let batch = batches.next()?;
        match (&points, method.bound) {
            (Some(points), _) => quadrature::slopes(&networks, points, batch.view(), &mut slopes),
            (None, Bound::Iwae { k }) => variational::slopes(&networks, batch, k, false, &mut draws, &mut slopes),
            (None, _) => variational::slopes(&networks, batch, 1, true, &mut draws, &mut slopes),
        }
        if !learns || step < warm_up {
            *slopes.log_sigma() = 0.0;
        }
        descent.step(&mut networks, &mut slopes, method.rate);
        let log_sigma = networks.log_sigma();
        *log_sigma = log_sigma.max(least.ln() as f32);
        if step % BLOCK == BLOCK - 1 {
            checkpoint(progress)?;
            progress.advance(BLOCK as u64);
        }
    }
    progress.advance((method.steps % BLOCK) as u64);
    if !networks.is_finite() {
        let why = format!("training diverged at step size {}; lower it, or take more noise", method.rate);
        return Err(Error::numeric("perturbed likelihood", why));
    }
    Ok(Fitted::new(method, networks, scaling.clone(), t, x.view()))
}

/// Adam for each part.
struct Descent {
    decoder: Adam<f32>,
    encoder: Option<Adam<f32>>,
    log_sigma: Adam<f32>,
}

impl Descent {
    fn new(networks: &Networks) -> Descent {
        Descent {
            decoder: Adam::new(&networks.decoder),
            encoder: networks.encoder.as_ref().map(Adam::new),
            log_sigma: Adam::new(&networks.log_sigma),
        }
    }

    fn step(&mut self, networks: &mut Networks, slopes: &mut Networks, rate: f64) {
        self.decoder.step(&mut networks.decoder, &mut slopes.decoder, rate);
        let parts = (&mut self.encoder, &mut networks.encoder, &mut slopes.encoder);
        if let (Some(adam), Some(net), Some(slope)) = parts {
            adam.step(net, slope, rate);
        }
        self.log_sigma.step(&mut networks.log_sigma, &mut slopes.log_sigma, SIGMA_RATE * rate);
    }
}

/// Batches of perturbed rows: every epoch in an order of its own.
struct Batches<'a> {
    x: &'a Array2<f64>,
    noise: InstanceNoise,
    size: usize,
    seed: Seed,
    epoch: u64,
    order: Vec<usize>,
    at: usize,
    perturbed: Array2<f32>,
}

impl<'a> Batches<'a> {
    fn new(x: &'a Array2<f64>, noise: InstanceNoise, size: usize, seed: Seed) -> Batches<'a> {
        let order: Vec<usize> = (0..x.nrows()).collect();
        let at = order.len();
        Batches { x, noise, size, seed, epoch: 0, order, at, perturbed: Array2::zeros((0, x.ncols())) }
    }

    fn next(&mut self) -> Result<Array2<f32>> {
        if self.at == self.order.len() {
            let mut rng: Rng = self.seed.stream("batches").rng(self.epoch);
            rng.shuffle(&mut self.order);
            self.perturbed = self.noise.perturb(self.x.view(), self.epoch, self.seed)?.mapv(|v| v as f32);
            self.epoch += 1;
            self.at = 0;
        }
        let end = (self.at + self.size).min(self.order.len());
        let batch = self.perturbed.select(Axis(0), &self.order[self.at..end]);
        self.at = end;
        Ok(batch)
    }
}
