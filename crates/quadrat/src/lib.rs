//! A toolkit for everything a practitioner does with samples.
//!
//! One dependency, one feature an area (`select`, `robust`, `regularize`, `language`, `diffusion`, `retrieval`, `estimate`;
//! `data` for files). The foundation (errors, seeds, progress,
//! cards, evidence) is at the top level, and the [`prelude`] brings what most programs need.
//!
//! A file of samples becomes a smaller one that stands for it:
//!
//! ```
//! use quadrat::prelude::*;
//! # let folder = std::env::temp_dir().join(format!("quadrat-doc-select-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).unwrap();
//! let table = Table::open("builtin:iris", &[])?;
//! let columns = PoolColumns { target: Some("class".into()), ..PoolColumns::default() };
//! let selector = quadrat::select::build("stratified", &Params::none())?;
//! let pool = columns.pool(&table, selector.needs(), Seed(1), &Silent)?;
//! let chosen = selector.select(&pool, 15, Seed(1), &Silent)?;
//! save_selection(&table, &chosen, &folder.join("core.csv"))?;
//! assert_eq!(Table::open(&folder.join("core.csv").display().to_string(), &[])?.rows(), 15);
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok::<(), quadrat::Error>(())
//! ```
//!
//! and a file with a rare class becomes a balanced one:
//!
//! ```
//! use quadrat::prelude::*;
//! # let folder = std::env::temp_dir().join(format!("quadrat-doc-balance-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).unwrap();
//! let table = Table::open("builtin:pima", &[])?;
//! let columns = LabelledColumns { target: "class".into(), ..LabelledColumns::default() };
//! let smote = quadrat::robust::build("smote", &Params::from([("k", "5")]))?;
//! let mut uses = columns.choose(&table, smote.reads())?;
//! let data = columns.read(&table, &mut uses, smote.reads())?;
//! let balanced = smote.resample(&data, Seed(1), &Silent)?;
//! save_resampled(&table, &uses, &data, &balanced, &folder.join("balanced.csv"))?;
//! assert!(balanced.synthetic.nrows() > 0);
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok::<(), quadrat::Error>(())
//! ```

/// The library in ten lines, as the guide prints it, compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/start.md")]
struct Guide;

#[cfg(feature = "data")]
mod glue;
pub mod prelude;

pub use quadrat_core::*;

#[cfg(feature = "data")]
pub use quadrat_data as data;
#[cfg(feature = "diffusion")]
pub use quadrat_diffusion as diffusion;
#[cfg(feature = "estimate")]
pub use quadrat_estimate as estimate;
#[cfg(feature = "inverse")]
pub use quadrat_inverse as inverse;
#[cfg(feature = "language")]
pub use quadrat_language as language;
#[cfg(feature = "regularize")]
pub use quadrat_nn as nn;
pub use quadrat_numeric as numeric;
#[cfg(feature = "regularize")]
pub use quadrat_regularize as regularize;
#[cfg(feature = "retrieval")]
pub use quadrat_retrieval as retrieval;
#[cfg(feature = "robust")]
pub use quadrat_robust as robust;
#[cfg(feature = "select")]
pub use quadrat_select as select;

#[cfg(all(feature = "data", feature = "regularize", feature = "robust"))]
pub use glue::balanced;
#[cfg(all(feature = "data", feature = "estimate"))]
pub use glue::held_out;
#[cfg(all(feature = "data", feature = "robust"))]
pub use glue::{Audited, LabelledColumns, Unseen, save_resampled};
#[cfg(feature = "data")]
pub use glue::{
    ColumnUse, Imputation, LeftOut, MOST_CLASSES, Nominal, OnMissing, Part, Target, TargetKind, UsedColumn, WEIGHT,
    Wish, without_gaps,
};
#[cfg(all(feature = "data", feature = "regularize"))]
pub use glue::{Encoder, Goal, NewValues, TargetScale, Wanted};
#[cfg(all(feature = "data", feature = "retrieval"))]
pub use glue::{Known, Log, LogColumns};
#[cfg(all(feature = "data", feature = "select"))]
pub use glue::{PoolColumns, Questions, save_selection};

/// The cards of all methods in this build, area by area.
pub fn catalogue() -> Vec<&'static Card> {
    let areas: &[Vec<&'static Card>] = &[
        #[cfg(feature = "select")]
        select::cards(),
        #[cfg(feature = "robust")]
        robust::cards(),
        #[cfg(all(feature = "robust", feature = "regularize"))]
        robust::training::cards(),
        #[cfg(all(feature = "robust", feature = "regularize"))]
        robust::series::cards(),
        #[cfg(all(feature = "robust", feature = "regularize"))]
        robust::detection::cards(),
        #[cfg(feature = "regularize")]
        regularize::cards(),
        #[cfg(feature = "language")]
        language::cards(),
        #[cfg(feature = "diffusion")]
        diffusion::cards(),
        #[cfg(feature = "retrieval")]
        retrieval::cards(),
        #[cfg(feature = "estimate")]
        estimate::cards(),
        #[cfg(feature = "inverse")]
        inverse::cards(),
    ];
    areas.concat()
}

/// The training method called `name` (slug or alias), of whichever area, with the given parameters.
///
/// # Errors
/// An unknown method or parameter (the nearest names are offered), or a value that does not fit; a loss of detectors.
#[cfg(feature = "regularize")]
pub fn training_method(name: &str, params: &Params) -> Result<Box<dyn nn::TrainMethod>> {
    #[cfg(feature = "robust")]
    if robust::training::cards().iter().any(|card| card.is_called(name)) {
        return robust::training::build(name, params);
    }
    #[cfg(feature = "robust")]
    if robust::series::cards().iter().any(|card| card.is_called(name)) {
        let want = "it learns from series: quadrat train --series FILE --method NAME, or robust::series in the library";
        return Err(Error::input("method", format!("`{name}`"), want));
    }
    #[cfg(feature = "robust")]
    if robust::detection::cards().iter().any(|card| card.is_called(name)) {
        let want = "a method for rows: losses of detectors need boxes of objects (quadrat train --images --boxes)";
        return Err(Error::input("method", format!("`{name}`"), want));
    }
    regularize::build(name, params)
}
