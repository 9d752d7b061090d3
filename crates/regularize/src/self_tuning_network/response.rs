//! Structured responses of layers: how weights answer to hyperparameters (the paper's eq. 11).

use super::Variant;
use quadrat_core::{Error, Result, Seed};
use quadrat_nn::{Init, Parameter, Parameters, Role, Spec, Support, Tensor, Vars};

/// The names of what a layer's response adds to `NAME.weight` and `NAME.bias`.
pub(super) const ADDED: [&str; 4] = ["response.weight", "response.bias", "gate.weight", "gate.bias"];

/// Give every kernel a response to `hypers` hyperparameters; returns the layers' names.
///
/// # Errors
/// No kernel, one of which only a part is trained, or a response that is there already.
pub(super) fn add(parameters: &mut Parameters, hypers: usize, variant: Variant, seed: Seed) -> Result<Vec<String>> {
    let mut layers = Vec::new();
    for parameter in parameters.iter().filter(|p| p.role == Role::Weight) {
        let Some(name) = parameter.name.strip_suffix(".weight") else { continue };
        check_whole(parameter)?;
        layers.push((name.to_owned(), parameter.shape.clone()));
    }
    if layers.is_empty() {
        return Err(Error::input("self-tuning-network", "no kernels", "a network of linear or convolution layers"));
    }
    let gate = match variant {
        Variant::Plain => Init::Normal(0.01),
        Variant::Centred => Init::Constant(0.0),
    };
    for (name, shape) in &layers {
        let outputs = shape[0];
        let bound = Init::Uniform(1.0 / (shape.iter().skip(1).product::<usize>() as f32).sqrt());
        // A layer without a bias has no response of one: it could not be folded away.
        let biased = parameters.has(&format!("{name}.bias"));
        let (bias, shift) = if biased { (bound, gate) } else { (Init::Constant(0.0), Init::Constant(0.0)) };
        let shapes = [shape.clone(), vec![outputs], vec![outputs, hypers], vec![outputs, hypers]];
        for ((added, shape), init) in ADDED.iter().zip(shapes).zip([bound, bias, gate, shift]) {
            let full = format!("{name}.{added}");
            parameters.add(Spec::new(&full, &shape, Role::Other, init), seed)?;
            parameters.get_mut(&full)?.trainable = biased || !added.ends_with("bias");
        }
    }
    Ok(layers.into_iter().map(|(name, _)| name).collect())
}

/// # Errors
/// A kernel of which only a part is stored.
pub(super) fn check_whole(kernel: &Parameter) -> Result<()> {
    if matches!(kernel.support(), Support::Dense) {
        return Ok(());
    }
    let want = "weights answer as a whole: prune after tuning, or tune without pruning";
    Err(Error::input(&kernel.name, "a kernel of which only a part is trained", want))
}

/// diag(V u) W₁ of a layer, flat: what its kernel gains at gates u.
pub(super) fn gained(vars: &Vars, layer: &str, u: &[f32]) -> Result<Tensor<1>> {
    let w = vars.flat(&format!("{layer}.response.weight"))?;
    scaled(vars, &format!("{layer}.gate.weight"), w, u)
}

/// The rows of `values` (outputs x any, flat), each times its gate.
fn scaled(vars: &Vars, gate: &str, values: Tensor<1>, u: &[f32]) -> Result<Tensor<1>> {
    let v = vars.get::<2>(gate)?;
    let (outputs, n) = (v.dims()[0], values.dims()[0]);
    let u = Tensor::<1>::from_floats(u, &v.device()).reshape([u.len(), 1]);
    Ok((values.reshape([outputs, n / outputs]) * v.matmul(u)).reshape([n]))
}

/// Let the layers compute as ordinary ones with the weights that answer to u.
pub(super) fn replace(vars: &mut Vars, layers: &[String], u: &[f32]) -> Result<()> {
    for layer in layers {
        let kernel = format!("{layer}.weight");
        let weight = vars.plus(&kernel, gained(vars, layer, u)?)?;
        vars.replace(&kernel, |_| weight)?;
        let name = format!("{layer}.bias");
        if vars.parameters().has(&name) {
            let b = vars.flat(&format!("{layer}.response.bias"))?;
            let bias = scaled(vars, &format!("{layer}.gate.bias"), b, u)?;
            vars.replace(&name, |b| b + bias)?;
        }
    }
    Ok(())
}

/// W₀ + diag(V u) W₁ and b₀ + (C u) ⊙ b₁ of every layer at u, by name.
pub(super) fn folded(parameters: &Parameters, layers: &[String], u: &[f32]) -> Result<Vec<(String, Vec<f32>)>> {
    let mut all = Vec::new();
    for layer in layers {
        for part in ["weight", "bias"] {
            let name = format!("{layer}.{part}");
            if !parameters.has(&name) {
                continue;
            }
            let mut values = parameters.get(&name)?.values();
            let response = parameters.get(&format!("{layer}.response.{part}"))?.values();
            let gates = parameters.get(&format!("{layer}.gate.{part}"))?.values();
            let row = values.len() / (gates.len() / u.len().max(1)).max(1);
            let rows = values.chunks_mut(row).zip(response.chunks(row)).zip(gates.chunks(u.len()));
            for ((values, response), gates) in rows {
                let gate: f32 = gates.iter().zip(u).map(|(v, u)| v * u).sum();
                values.iter_mut().zip(response).for_each(|(w, r)| *w += gate * r);
            }
            all.push((name, values));
        }
    }
    Ok(all)
}

/// Whether this parameter belongs to a layer's response.
pub(super) fn is_added(name: &str, layers: &[String]) -> bool {
    let of = |layer: &String| name.strip_prefix(layer.as_str()).and_then(|rest| rest.strip_prefix('.'));
    layers.iter().filter_map(of).any(|rest| ADDED.contains(&rest))
}
