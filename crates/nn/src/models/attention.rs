//! The transformer block, for tokens and for patches (pre-norm, as in Vaswani et al. 2017 and Xiong et al. 2020).

use crate::Spec;
use crate::forward::Forward;
use crate::ops;
use burn::tensor::Tensor;
use quadrat_core::Result;

/// Keys and values of the positions so far, each n x heads x positions x width per head.
pub(super) type Cache = Option<(Tensor<4>, Tensor<4>)>;

/// The parameters of a block.
pub(super) fn specs(name: &str, width: usize) -> Vec<Spec> {
    let mut specs = Vec::new();
    specs.extend(Spec::norm(&format!("{name}.norm1"), width));
    specs.extend(Spec::linear(&format!("{name}.qkv"), width, 3 * width, 1.0));
    specs.extend(Spec::linear(&format!("{name}.join"), width, width, 0.5));
    specs.extend(Spec::norm(&format!("{name}.norm2"), width));
    specs.extend(Spec::linear(&format!("{name}.widen"), width, 4 * width, std::f32::consts::SQRT_2));
    specs.extend(Spec::linear(&format!("{name}.narrow"), 4 * width, width, 0.5));
    specs
}

/// One block over n x positions x width: attention, then a layer of units, each added to its input. With a cache, the
/// new positions also see the cached ones, and are added to them.
pub(super) fn block(
    forward: &mut Forward,
    name: &str,
    x: Tensor<3>,
    heads: usize,
    causal: bool,
    cache: Option<&mut Cache>,
) -> Result<Tensor<3>> {
    let [n, length, width] = x.dims();
    let h = forward.layer_norm(&format!("{name}.norm1"), x.clone())?;
    let qkv = forward.linear(&format!("{name}.qkv"), h.reshape([n * length, width]))?;
    let qkv = qkv.reshape([n, length, 3, heads, width / heads]);
    let part = |i: usize| -> Tensor<4> {
        let part = qkv.clone().slice([0..n, 0..length, i..i + 1, 0..heads, 0..width / heads]);
        part.reshape([n, length, heads, width / heads]).swap_dims(1, 2)
    };
    let (q, mut k, mut v) = (part(0), part(1), part(2));
    if let Some(cache) = cache {
        if let Some((old_k, old_v)) = cache.take() {
            k = Tensor::cat(vec![old_k, k], 2);
            v = Tensor::cat(vec![old_v, v], 2);
        }
        *cache = Some((k.clone(), v.clone()));
    }
    let scale = 1.0 / ((width / heads) as f32).sqrt();
    let weights = ops::attention_weights(q.matmul(k.swap_dims(2, 3)), scale, causal);
    let mixed = weights.matmul(v).swap_dims(1, 2).reshape([n * length, width]);
    let x = x + forward.linear(&format!("{name}.join"), mixed)?.reshape([n, length, width]);
    let h = forward.layer_norm(&format!("{name}.norm2"), x.clone())?.reshape([n * length, width]);
    let h = ops::gelu(forward.linear(&format!("{name}.widen"), h)?);
    Ok(x + forward.linear(&format!("{name}.narrow"), h)?.reshape([n, length, width]))
}
