//! The transformer block, for tokens and for patches (pre-norm, as in Vaswani et al. 2017 and Xiong et al. 2020).

use crate::Spec;
use crate::forward::Forward;
use crate::ops;
use burn_tensor::Tensor;
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
    let mixed = match cache {
        None => ops::self_attention(qkv, length, heads, causal),
        Some(cache) => {
            let [q, mut k, mut v] = ops::split_heads(qkv, length, heads);
            if let Some((old_k, old_v)) = cache.take() {
                k = Tensor::cat(vec![old_k, k], 2);
                v = Tensor::cat(vec![old_v, v], 2);
            }
            *cache = Some((k.clone(), v.clone()));
            ops::attention(q, k, v, causal)
        }
    };
    let x = x + forward.linear(&format!("{name}.join"), mixed)?.reshape([n, length, width]);
    let h = forward.layer_norm(&format!("{name}.norm2"), x.clone())?.reshape([n * length, width]);
    let h = ops::gelu(forward.linear(&format!("{name}.widen"), h)?);
    Ok(x + forward.linear(&format!("{name}.narrow"), h)?.reshape([n, length, width]))
}
