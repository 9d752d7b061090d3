//! Block by block: a text is filled from left to right in blocks, each as a sampler fills it.
//!
//! Arriola et al., Block Diffusion, ICLR 2025, and LLaDA call it semi-autoregressive. A later block does not see an earlier one change, so
//! a model with a cache could keep it. The law is the model's own as long as every block's is: the order of places is another one, and
//! the order does not matter where the model's rows belong to one law.

use super::{Asked, MaskedSampler, Sample};
use quadrat_core::{Error, Result, Rng};

/// A sampler, block by block.
pub struct Blocks<S: ?Sized> {
    /// Places of a block, hidden ones and others; the last block may be smaller.
    pub size: usize,
    /// What fills a block. Calls that it is set to are those of one block.
    pub inner: Box<S>,
}

impl<S: MaskedSampler + ?Sized> MaskedSampler for Blocks<S> {
    fn uncover(&self, asked: &mut Asked, sample: &mut Sample, places: &[usize], rng: &mut Rng) -> Result<()> {
        if self.size == 0 {
            return Err(Error::input("block", 0, "at least 1 place"));
        }
        places
            .chunk_by(|a, b| a / self.size == b / self.size)
            .try_for_each(|block| self.inner.uncover(asked, sample, block, rng))
    }
}
