//! The list of methods: one line a method. Each has its own interface, and its card says where.

use crate::recon::{CgSense, Reconstructor, TotalVariation, WaveletL1, ZeroFilled};
use quadrat_core::{Card, Entry, Method, Params, Result};

const RECONSTRUCTORS: &[Entry<dyn Reconstructor<f32>>] =
    &[of::<ZeroFilled>(), of::<CgSense>(), of::<TotalVariation>(), of::<WaveletL1>()];

const fn of<T: Reconstructor<f32> + Method + 'static>() -> Entry<dyn Reconstructor<f32>> {
    Entry { card: &T::CARD, build: |params| Ok(Box::new(T::from_params(params)?)) }
}

/// The cards of all methods of this area.
pub fn cards() -> Vec<&'static Card> {
    #[cfg(feature = "networks")]
    let others: &[&Card] = &[
        &crate::reconresnet::ReconResNet::CARD,
        &crate::denoise::Sdap::CARD,
        &crate::denoise::ApBsn::CARD,
        &crate::denoise::BlindSpot::CARD,
        &crate::denoise::NonLocalMeans::CARD,
        &crate::pde::Pinn::CARD,
    ];
    #[cfg(not(feature = "networks"))]
    let others: &[&Card] = &[];
    [&reconstructors(), others].concat()
}

/// The cards of the methods that make an image of samples without training: what [`reconstructor`] can make.
pub fn reconstructors() -> Vec<&'static Card> {
    RECONSTRUCTORS.iter().map(|method| method.card).collect()
}

/// The method called `name` (slug or alias) that makes an image of samples; what is not given has the default that the card states.
///
/// # Errors
/// An unknown method or parameter (the nearest names are offered) or a value that does not fit.
pub fn reconstructor(name: &str, params: &Params) -> Result<Box<dyn Reconstructor<f32>>> {
    Entry::find(RECONSTRUCTORS, "reconstructions", name, params)
}
