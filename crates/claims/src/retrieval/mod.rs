//! Claims of the methods that find samples and train what ranks them.

pub mod inference_free_sparse;
pub mod language_guided_music;
pub mod lol_prf;
pub mod multi_grained_uncertainty;
mod senses;
pub mod ssl_item_recommendation;
pub mod star;
