//! Claims of the area `language`.

#[cfg(feature = "networks")]
pub mod ariel_volume_coding;
