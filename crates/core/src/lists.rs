//! Lists of numbers, one a row, in two allocations whatever the number of rows.

use std::ops::{Index, Range};

/// A list of numbers for each row, such as its labels: 4 bytes a row and 4 a number, until the numbers are more than 32
/// bits count.
///
/// ```
/// use quadrat_core::Lists;
/// let mut lists = Lists::default();
/// lists.push([3, 1]);
/// lists.push([]);
/// assert_eq!((lists.len(), &lists[0], &lists[1]), (2, &[3, 1][..], &[][..]));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lists {
    /// Where each row's numbers end.
    ends: Ends,
    items: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ends {
    Short(Vec<u32>),
    Long(Vec<usize>),
}

impl Default for Ends {
    fn default() -> Self {
        Ends::Short(Vec::new())
    }
}

impl Lists {
    /// No rows yet, and room for so many rows and numbers.
    pub fn with_capacity(rows: usize, items: usize) -> Self {
        Lists { ends: Ends::Short(Vec::with_capacity(rows)), items: Vec::with_capacity(items) }
    }

    /// Appends a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = u32>) {
        self.items.extend(row);
        let end = self.items.len();
        match &mut self.ends {
            Ends::Long(ends) => ends.push(end),
            Ends::Short(ends) => match u32::try_from(end) {
                Ok(end) => ends.push(end),
                Err(_) => self.ends = Ends::Long(ends.iter().map(|end| *end as usize).chain([end]).collect()),
            },
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.ends {
            Ends::Short(ends) => ends.len(),
            Ends::Long(ends) => ends.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the numbers of a row are among [`Lists::items`].
    pub fn span(&self, row: usize) -> Range<usize> {
        let end = |row: usize| match &self.ends {
            Ends::Short(ends) => ends[row] as usize,
            Ends::Long(ends) => ends[row],
        };
        let start = if row == 0 { 0 } else { end(row - 1) };
        start..end(row)
    }

    /// The numbers of all rows, one row after the other.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// The same, to change them in place.
    pub fn items_mut(&mut self) -> &mut [u32] {
        &mut self.items
    }

    /// Row by row.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> + Clone {
        (0..self.len()).map(|row| &self[row])
    }
}

impl Index<usize> for Lists {
    type Output = [u32];

    fn index(&self, row: usize) -> &[u32] {
        &self.items[self.span(row)]
    }
}

impl<R: IntoIterator<Item = u32>> FromIterator<R> for Lists {
    fn from_iter<I: IntoIterator<Item = R>>(rows: I) -> Self {
        let mut lists = Lists::default();
        rows.into_iter().for_each(|row| lists.push(row));
        lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let rows = vec![vec![2, 2, 1], vec![], vec![7]];
        let mut lists: Lists = rows.iter().cloned().collect();
        assert_eq!(lists.iter().map(<[u32]>::to_vec).collect::<Vec<_>>(), rows);
        lists.items_mut().iter_mut().for_each(|item| *item += 1);
        assert_eq!((&lists[0], lists.items(), lists.len()), (&[3, 3, 2][..], &[3, 3, 2, 8][..], 3));
        // As it is once there are too many numbers for 32 bits.
        lists.ends = Ends::Long(vec![3, 3, 4]);
        lists.push([5]);
        assert_eq!((&lists[2], &lists[3], lists.len()), (&[8][..], &[5][..], 4));
    }
}
