//! Operations that burn's CPU backend does slowly, done fast, each behind a plain function on burn's tensors.
//!
//! All compute in single precision on burn's `flex` device, with or without autodiff; on any other device or in another
//! precision each is burn's own operation. No result depends on the number of threads: not in a bit. In a pool of one
//! thread, where a training loop runs its pieces of a batch, everything stays on that thread.

mod attention;
#[cfg(test)]
pub(crate) mod check;
mod conv;
pub(crate) mod coupling;
mod custom;
mod elementwise;
pub(crate) mod jets;
mod linear;
mod loss;
mod norm;
mod pattern;
mod rotary;
pub(crate) mod rows;
mod scalar;
mod sparse;
pub mod step;
mod threads;

pub(crate) use attention::Cache;
pub use attention::{attention, attention_weights, padding, self_attention, split_heads};
pub use conv::{SPARSE_CONV_BELOW, Window, conv_transpose2d, conv2d, sparse_conv2d};
pub use coupling::Coupling;
pub use elementwise::{atan, gelu, silu, tanh};
pub use linear::linear;
pub use loss::{row_losses, softmax_cross_entropy, softmax_into, token_cross_entropy};
pub use norm::{batch_norm, group_norm, layer_norm, rms_norm};
pub use pattern::Pattern;
pub use rotary::{Pairing, Rotary, Turn};
pub use sparse::{SPARSE_BELOW, patterned_linear, sparse_linear};
