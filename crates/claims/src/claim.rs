//! The list of claims.

use quadrat_core::{Error, Evidence, Result, Trial, nearest};

/// A method's claim.
#[derive(Clone, Copy)]
pub struct Claim {
    /// The method's slug.
    pub slug: &'static str,
    /// Runs the experiment.
    pub run: fn(&Trial) -> Result<Evidence>,
}

/// All claims, in the catalogue's order.
pub const CLAIMS: &[Claim] = &[];

/// The claim of a method, or an error that offers the nearest names.
pub fn find(slug: &str) -> Result<Claim> {
    CLAIMS.iter().find(|claim| claim.slug == slug).copied().ok_or_else(|| {
        let near = nearest(slug, CLAIMS.iter().map(|claim| claim.slug));
        Error::input("claim", format!("`{slug}`"), format!("methods with a claim: {}", near.join(", ")))
    })
}
