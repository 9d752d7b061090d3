//! Claims of the methods that find samples and train what ranks them.

pub mod language_guided_music;
pub mod multi_grained_uncertainty;
