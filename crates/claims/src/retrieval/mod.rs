//! Claims of the methods that find samples and train what ranks them.

pub mod lol_prf;
mod senses;
pub mod ssl_item_recommendation;
pub mod star;
