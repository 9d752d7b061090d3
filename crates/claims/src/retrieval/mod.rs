//! Claims of the methods that find samples and train what ranks them.

mod senses;
pub mod star;
