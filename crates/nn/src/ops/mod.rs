//! Operations that burn's CPU backend does slowly, done fast, each behind a plain function on burn's tensors.
