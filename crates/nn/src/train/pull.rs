//! Outputs, and their gradient at the inputs: what steering by a network's answer needs.

use super::evaluate::{EVALUATED, checked, in_blocks, shaped};
use crate::Network;
use crate::forward::{Forward, Vars, tensor_of};
use crate::inputs::Rows;
use crate::parameters::Parameters;
use crate::tensors::values_of;
use crate::workers::Workers;
use burn_tensor::Tensor;
use ndarray::{Array2, s};
use quadrat_core::{Error, Result};
use std::sync::{Mutex, PoisonError};

/// The outputs of all rows in evaluation mode, and what `cotangent` makes of them pulled back to the rows of numbers: of u(outputs),
/// Σⱼ uⱼ ∂outputⱼ/∂x for each row.
///
/// Rows may not look at each other. Costs a forward pass and half a backward one; memory for the graphs of all rows.
///
/// # Errors
/// Rows that the network does not take, a cotangent of another shape than the outputs, `cotangent`'s own.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::Seed;
/// use quadrat_nn::{Mlp, initialise, pull_back};
/// // Of a linear layer the gradient of the sum of all outputs is the sum of its kernel's rows.
/// let network = Mlp::new(2, &[], 3);
/// let parameters = initialise(&network, Seed(1))?;
/// let (_, gradient) = pull_back(&network, &parameters, array![[0.5, -1.0]].view(), &mut |y| Ok(y.mapv(|_| 1.0)))?;
/// let kernel = parameters.get("fc1.weight")?.dense();
/// assert!((gradient[[0, 0]] - (kernel[0] + kernel[2] + kernel[4])).abs() < 1e-6);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn pull_back<'a>(
    network: &dyn Network,
    parameters: &Parameters,
    rows: impl Into<Rows<'a>>,
    cotangent: &mut dyn FnMut(&Array2<f32>) -> Result<Array2<f32>>,
) -> Result<(Array2<f32>, Array2<f32>)> {
    let rows = checked(network, rows)?;
    let n = rows.len();
    let workers = Workers::new(rayon::current_num_threads())?;
    let graphs = in_blocks(&workers, n, EVALUATED, &|some| {
        let vars = Vars::constants(parameters);
        let mut forward = Forward::evaluation(&vars, None);
        let inputs = rows.part(some).tensors(network, true)?;
        let leaf = inputs.numbers().require_grad();
        let outputs = network.forward(&mut forward, &inputs.with(leaf.clone()))?;
        let values = values_of(outputs.clone().inner().reshape([-1]));
        Ok((leaf, outputs, values))
    })?;
    let mut values = Vec::with_capacity(n * network.outputs());
    let graphs = graphs.into_iter().map(|(inputs, outputs, some)| {
        values.extend(some);
        Mutex::new(Some((inputs, outputs)))
    });
    let graphs: Vec<Mutex<Option<(Tensor<2>, Tensor<2>)>>> = graphs.collect();
    let outputs = shaped(n, network, values)?;
    let at_outputs = cotangent(&outputs)?;
    if at_outputs.dim() != outputs.dim() {
        let want = format!("{:?}, as the outputs", outputs.dim());
        return Err(Error::input("cotangent", format!("shape {:?}", at_outputs.dim()), want));
    }
    let gradients = in_blocks(&workers, n, EVALUATED, &|some| {
        let graph =
            graphs.get(some.start / EVALUATED).map(|graph| graph.lock().unwrap_or_else(PoisonError::into_inner));
        let Some((inputs, outputs)) = graph.and_then(|mut graph| graph.take()) else { return Ok(Vec::new()) };
        let along = tensor_of(at_outputs.slice(s![some.clone(), ..]), true);
        let gradient = inputs.grad_remove(&mut (outputs * along).sum().backward());
        // Outputs that do not depend on the inputs leave none.
        Ok(gradient.map_or_else(|| vec![0.0; some.len() * network.inputs()], |g| values_of(g.reshape([-1]))))
    })?;
    let wrong = |e| Error::numeric("gradient at the inputs", format!("{e}"));
    Ok((outputs, Array2::from_shape_vec((n, network.inputs()), gradients.concat()).map_err(wrong)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Mlp, UNet, initialise, predict};
    use quadrat_core::Seed;

    /// Central differences in single precision agree to a few thousandths.
    #[test]
    fn gradients_are_differences_and_do_not_depend_on_threads() {
        let mlp = Mlp { activation: Activation::Silu, ..Mlp::new(3, &[16, 16], 2) };
        let unet = UNet::new([1, 4, 4], 16);
        let networks: [&dyn Network; 2] = [&mlp, &unet];
        for network in networks {
            let parameters = initialise(network, Seed(1)).unwrap();
            let mut rng = Seed(2).rng(0);
            let n = 600;
            let x = Array2::from_shape_fn((n, network.inputs()), |_| rng.normal() as f32);
            let weights = Array2::from_shape_fn((n, network.outputs()), |_| rng.normal() as f32);
            let others = network.others().into_iter();
            let others = others.map(|input| (input.name, Array2::<f32>::from_elem((n, 1), 0.3).into())).collect();
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let rows = Rows::new(x.view(), &others);
                pool.install(|| pull_back(network, &parameters, rows, &mut |y| Ok(y * &weights))).unwrap()
            };
            let (outputs, gradient) = run(2);
            assert_eq!((&outputs, &gradient), (&run(1).0, &run(1).1));
            let sum = |x: &Array2<f32>| {
                let y = predict(network, &parameters, Rows::new(x.view(), &others), &[]).unwrap();
                y.iter().zip(&weights).map(|(y, w)| f64::from(y * y * w)).collect::<Vec<f64>>()
            };
            for row in [0, 599] {
                let step = 1e-2;
                let moved = |by: f32| {
                    let mut x = x.clone();
                    x[[row, 1]] += by;
                    let each = sum(&x);
                    each[row * network.outputs()..(row + 1) * network.outputs()].iter().sum::<f64>()
                };
                // The gradient of half of Σ w y² is what y w pulls back.
                let difference = (moved(step) - moved(-step)) / f64::from(4.0 * step);
                let found = f64::from(gradient[[row, 1]]);
                assert!((found - difference).abs() < 5e-3 * (1.0 + difference.abs()), "{found} for {difference}");
            }
        }
        let wrong = pull_back(&mlp, &initialise(&mlp, Seed(1)).unwrap(), Array2::zeros((2, 3)).view(), &mut |_| {
            Ok(Array2::zeros((1, 2)))
        });
        assert!(wrong.is_err());
    }
}
