//! Sparse rows.

/// A sparse matrix by rows (CSR): row `i` has its non-zeros at `indptr[i]..indptr[i + 1]` of `indices` and `values`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Csr {
    /// Where each row starts, and the end of the last: one more than there are rows.
    pub indptr: Vec<usize>,
    /// Column of each non-zero, ascending within a row.
    pub indices: Vec<u32>,
    /// Value of each non-zero.
    pub values: Vec<f32>,
    /// Number of columns.
    pub cols: usize,
}

impl Csr {
    /// A matrix with `cols` columns and no rows yet.
    pub fn new(cols: usize) -> Self {
        Csr { indptr: vec![0], indices: Vec::new(), values: Vec::new(), cols }
    }

    /// Appends a row given as (column, value) pairs in ascending order of columns, all below `cols`.
    pub fn push_row(&mut self, row: impl IntoIterator<Item = (u32, f32)>) {
        for (column, value) in row {
            self.indices.push(column);
            self.values.push(value);
        }
        self.indptr.push(self.indices.len());
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.indptr.len().saturating_sub(1)
    }

    /// Columns and values of row `i`.
    pub fn row(&self, i: usize) -> (&[u32], &[f32]) {
        let span = self.indptr[i]..self.indptr[i + 1];
        (&self.indices[span.clone()], &self.values[span])
    }
}
