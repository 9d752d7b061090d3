//! How good a ranking is, by judgements.
