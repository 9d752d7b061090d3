//! Claims of the methods that find samples and train what ranks them.

pub mod inference_free_sparse;
