//! Claims of the methods that draw samples by diffusion.
