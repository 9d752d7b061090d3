//! The parameters that several cards list.

use quadrat_core::Param;

pub(crate) const STRATEGY: Param = Param {
    name: "strategy",
    default: "auto",
    help: "which classes: auto, not-majority, minority or all (auto over-samples all but the largest class and \
           under-samples or cleans all but the smallest)",
};
pub(crate) const RATIO: Param = Param {
    name: "ratio",
    default: "none",
    help: "instead of a strategy, with two classes: rows of the smaller for each row of the larger, in (0, 1]",
};
pub(crate) const COUNTS: Param = Param {
    name: "counts",
    default: "none",
    help: "instead of a strategy: rows wanted of each class, as NAME=ROWS,NAME=ROWS",
};
pub(crate) const PERCENT: Param = Param {
    name: "percent",
    default: "none",
    help: "instead of a strategy, the paper's amount: new rows in per cent of the smallest class (1 to 99, or a \
           multiple of 100)",
};
pub(crate) const K: Param = Param { name: "k", default: "5", help: "neighbours of each row, at least 1" };
pub(crate) const GENERATOR: Param = Param {
    name: "generator",
    default: "streams",
    help: "streams, or numpy-legacy for the numbers imbalanced-learn draws from the same seed",
};
