//! The unknown function as a network, and how far it is from solving the equation.

use super::domain::Domain;
use super::{Pde, Walls};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result};
use quadrat_nn::{Activation, Forward, Input, Inputs, Jet, Mlp, Network, Others, Spec, Tensor, tensor_of};

/// A perceptron with smooth units on coordinates that are scaled to \[−1, 1\].
#[derive(Debug, Clone)]
pub struct Field {
    mlp: Mlp,
    middle: Vec<f32>,
    half: Vec<f32>,
}

impl Field {
    /// `depth` hidden layers of `width` units (hyperbolic tangents) on a box.
    pub fn new(domain: &Domain, depth: usize, width: usize) -> Self {
        let single = |v: Vec<f64>| v.into_iter().map(|v| v as f32).collect();
        let (middle, half) = domain.middle();
        let mlp = Mlp { activation: Activation::Tanh, ..Mlp::new(domain.dims(), &vec![width; depth], 1) };
        Field { mlp, middle: single(middle), half: single(half) }
    }

    /// The function with the derivatives that `jet` carries of the coordinates.
    fn jet(&self, forward: &Forward, jet: Jet) -> Result<Jet> {
        let row = |v: Vec<f32>| row_of(&v, &jet.value());
        let scale = row(self.half.iter().map(|half| 1.0 / half).collect());
        let shift = row(self.middle.iter().zip(&self.half).map(|(middle, half)| -middle / half).collect());
        self.mlp.jet(forward, jet.turned(|x| x * scale).shifted(shift))
    }
}

/// Numbers as one row beside a tensor.
pub(crate) fn row_of(values: &[f32], like: &Tensor<2>) -> Tensor<2> {
    match ArrayView2::from_shape((1, values.len()), values) {
        Ok(row) => tensor_of(row, like.is_autodiff()),
        Err(_) => like.zeros_like(),
    }
}

impl Network for Field {
    fn inputs(&self) -> usize {
        self.mlp.inputs
    }

    fn outputs(&self) -> usize {
        1
    }

    fn parameters(&self) -> Vec<Spec> {
        self.mlp.parameters()
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let x = inputs.numbers();
        let (middle, half) = (row_of(&self.middle, &x), row_of(&self.half, &x));
        self.mlp.forward(forward, &Inputs::of((x - middle) / half))
    }
}

/// What is to become zero: the equation's residual at points inside, alone or (second output) with that of the conditions at as
/// many points of the boundary.
pub(crate) struct Residual<'a> {
    pub field: &'a Field,
    pub pde: &'a dyn Pde,
    pub walls: bool,
}

/// Points inside beside each of which stands one of the boundary.
pub(crate) fn beside(walls: Walls) -> Others {
    let n = walls.x.nrows();
    let terms = Array2::from_shape_fn((n, 3), |(i, k)| [walls.value[i], walls.slope[i], walls.wanted[i]][k]);
    let named = [("wall", walls.x), ("normal", walls.normals), ("terms", terms)];
    named.into_iter().map(|(name, rows)| (name.to_owned(), rows.into())).collect()
}

impl Network for Residual<'_> {
    fn inputs(&self) -> usize {
        self.field.inputs()
    }

    fn others(&self) -> Vec<Input> {
        let d = self.inputs();
        let all = vec![Input::numbers("wall", d), Input::numbers("normal", d), Input::numbers("terms", 3)];
        if self.walls { all } else { Vec::new() }
    }

    fn outputs(&self) -> usize {
        1 + usize::from(self.walls)
    }

    fn parameters(&self) -> Vec<Spec> {
        self.field.parameters()
    }

    /// A row is a pass for every derivative.
    fn grain(&self) -> usize {
        125
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let x = inputs.numbers();
        let points = plain(&x)?;
        let d = self.inputs();
        let directions: Vec<Vec<f32>> = (0..d).map(|i| (0..d).map(|k| f32::from(u8::from(i == k))).collect()).collect();
        let jet = Jet::along(x, &directions, self.pde.wants().sums)?;
        let inside = self.pde.residual(points.view(), &self.field.jet(forward, jet)?)?;
        if !self.walls {
            return Ok(inside);
        }
        let wall = self.field.jet(forward, Jet::towards(inputs.other("wall")?, inputs.other("normal")?))?;
        let terms = inputs.other("terms")?;
        let n = terms.dims()[0];
        let term = |k: usize| terms.clone().slice([0..n, k..k + 1]);
        let outside = wall.value() * term(0) + wall.slope(0) * term(1) - term(2);
        Ok(Tensor::cat(vec![inside, outside], 1))
    }
}

/// The numbers of a tensor.
pub(crate) fn plain(x: &Tensor<2>) -> Result<Array2<f32>> {
    let values = x.clone().into_data().try_into_vec::<f32>();
    let values = values.map_err(|e| Error::numeric("points", format!("cannot be read: {e:?}")))?;
    quadrat_numeric::matrix(x.dims().into(), values)
}
