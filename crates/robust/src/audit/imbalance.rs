//! Classes of very different size.

use super::{Finding, Records, Trouble};

/// From so many rows of the largest class for one of the smallest on, classes are said to be imbalanced.
pub const RATIO: f64 = 10.0;

/// A class with fewer rows is said to be small: a tenth held back would leave one row of it to judge by.
pub const FEW: usize = 20;

/// No test and no false alarm: sizes are counted. How much the ratio harms depends on how far the classes overlap, so
/// what is told is the ratio.
pub(super) fn look(records: &Records) -> Option<Finding> {
    let counts = records.counts();
    let there = || counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let (small, least) = there().min_by_key(|(class, count)| (**count, *class))?;
    let (large, most) = there().max_by_key(|(class, count)| (**count, usize::MAX - class))?;
    let ratio = *most as f64 / *least as f64;
    if ratio <= RATIO && *least >= FEW {
        return None;
    }
    let rows: Vec<usize> = (0..records.rows()).filter(|row| records.y[*row] as usize == small).collect();
    let more = there().filter(|(_, count)| *most as f64 / **count as f64 > RATIO || **count < FEW).count() - 1;
    let others = match more {
        0 => String::new(),
        1 => ", and another class is nearly as small".to_owned(),
        more => format!(", and {more} other classes are small too"),
    };
    Some(Finding {
        trouble: Trouble::Imbalance,
        columns: Vec::new(),
        count: rows.len(),
        rows,
        said: format!(
            "class `{}` has {least} of {} rows, one for {ratio:.1} of class `{}`{others}",
            records.classes[small],
            records.rows(),
            records.classes[large]
        ),
        sure: format!("counted; told from a ratio of {RATIO} on, or below {FEW} rows"),
    })
}
