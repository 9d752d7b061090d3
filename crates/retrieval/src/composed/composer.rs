//! How a reference and a sentence become one vector.

use ndarray::{Array1, Array2, s};
use quadrat_core::{Choice, Rng};
use quadrat_numeric::layers::{Activation, Layers, Real, Start};

/// How the vector v of a reference and the vector t of a sentence become a query, each of `dims` values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Composer {
    /// a sigmoid(G[v, t]) v + b R[v, t], the gated residual of TIRG (Vo and others 2019): keeps what the sentence does not change.
    GatedResidual,
    /// v + sigmoid(G[v, t]) t, where nothing is left but v for a missing sentence.
    GatedSum,
    /// R[v, t], a network that gets both.
    Concat,
}

/// A composer's weights; derivatives have the same shapes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Composition<F> {
    composer: Composer,
    /// G and R; without layers where the composer has none.
    pub nets: [Layers<F>; 2],
    /// a and b of the gated residual.
    pub weights: Array1<F>,
}

/// What [`Composition::backward`] needs of the way forward.
pub(super) struct Kept<F> {
    v: Array2<F>,
    t: Array2<F>,
    /// What each layer of G and R was given, and the last one's outputs.
    values: [Vec<Array2<F>>; 2],
    gate: Array2<F>,
}

impl<F: Real> Composition<F> {
    pub fn random(composer: Composer, dims: usize, rng: &mut Rng) -> Self {
        let sizes: [&[usize]; 2] = match composer {
            Composer::GatedResidual => [&[2 * dims, dims, dims], &[2 * dims, dims, dims]],
            Composer::GatedSum => [&[2 * dims, dims], &[]],
            Composer::Concat => [&[], &[2 * dims, 2 * dims, dims]],
        };
        let nets = sizes.map(|sizes| Layers::random(sizes, Activation::Relu, Start::Uniform, rng));
        Composition { composer, nets, weights: Array1::ones(2) }
    }

    pub fn zeros(&self) -> Self {
        let Composition { composer, nets, weights } = self;
        Composition {
            composer: *composer,
            nets: nets.each_ref().map(Layers::zeros),
            weights: Array1::zeros(weights.len()),
        }
    }

    /// Vectors and sentences, a row each.
    pub fn forward(&self, v: Array2<F>, t: Array2<F>) -> (Array2<F>, Kept<F>) {
        let both = beside(&v, &t);
        let values = self.nets.each_ref().map(|net| match net.layers.is_empty() {
            true => Vec::new(),
            false => net.forward(both.clone()),
        });
        let gate = values[0].last().map_or_else(|| Array2::zeros((0, 0)), |sums| sums.mapv(sigmoid));
        let made = match (self.composer, values[1].last()) {
            (Composer::GatedResidual, Some(rest)) => &gate * &v * self.weights[0] + rest * self.weights[1],
            (Composer::Concat, Some(rest)) => rest.clone(),
            _ => &gate * &t + &v,
        };
        (made, Kept { v, t, values, gate })
    }

    /// Adds the derivatives by the weights to `slope`, from those by the outputs, and returns those by vectors and sentences.
    pub fn backward(&self, kept: &Kept<F>, delta: Array2<F>, slope: &mut Composition<F>) -> [Array2<F>; 2] {
        let Kept { v, t, values, gate } = kept;
        let (mut to_v, mut to_t) = (Array2::zeros(v.dim()), Array2::zeros(t.dim()));
        // By the gate, and by the outputs of R.
        let (to_gate, to_rest) = match self.composer {
            Composer::GatedResidual => {
                let (a, b) = (self.weights[0], self.weights[1]);
                slope.weights[0] += (&delta * gate * v).sum();
                slope.weights[1] += values[1].last().map_or(F::zero(), |rest| (&delta * rest).sum());
                to_v = &delta * gate * a;
                (&delta * v * a, delta * b)
            }
            Composer::GatedSum => {
                to_t = &delta * gate;
                to_v.assign(&delta);
                (&delta * t, delta)
            }
            Composer::Concat => (Array2::zeros((0, 0)), delta),
        };
        let to_sums = to_gate * gate.mapv(|g| g * (F::one() - g));
        for ((net, to), (values, slope)) in
            self.nets.iter().zip([to_sums, to_rest]).zip(values.iter().zip(&mut slope.nets))
        {
            if !net.layers.is_empty() {
                let to_both = net.backward_to_inputs(values, to, slope);
                to_v += &to_both.slice(s![.., ..v.ncols()]);
                to_t += &to_both.slice(s![.., v.ncols()..]);
            }
        }
        [to_v, to_t]
    }
}

fn beside<F: Real>(v: &Array2<F>, t: &Array2<F>) -> Array2<F> {
    let mut both = Array2::zeros((v.nrows(), v.ncols() + t.ncols()));
    both.slice_mut(s![.., ..v.ncols()]).assign(v);
    both.slice_mut(s![.., v.ncols()..]).assign(t);
    both
}

fn sigmoid<F: Real>(x: F) -> F {
    F::one() / (F::one() + (-x).exp())
}
