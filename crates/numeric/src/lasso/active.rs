//! Independent columns with their QR decomposition.

use super::{axpy, dot};

/// Columns A_P = Q R, one added at a time.
pub(super) struct Active {
    rows: usize,
    /// Orthonormal columns one after the other.
    q: Vec<f64>,
    /// Column j of R: its j + 1 entries.
    r: Vec<Vec<f64>>,
}

impl Active {
    pub fn new(rows: usize) -> Self {
        Active { rows, q: Vec::new(), r: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.r.len()
    }

    /// Forgets the columns from number `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.q.truncate(len * self.rows);
        self.r.truncate(len);
    }

    /// Adds a column, unless it depends on those before to working precision. Gram-Schmidt; "twice is enough".
    pub fn push(&mut self, column: &[f64]) -> bool {
        const INDEPENDENT: f64 = 1e-10;
        if self.len() == self.rows {
            return false;
        }
        let mut rest = column.to_vec();
        let mut shares = vec![0.0; self.len() + 1];
        for _ in 0..2 {
            for (q, share) in self.q.chunks_exact(self.rows).zip(&mut shares) {
                let along = dot(q, &rest);
                *share += along;
                axpy(-along, q, &mut rest);
            }
        }
        let length = dot(&rest, &rest).sqrt();
        if length <= INDEPENDENT * dot(column, column).sqrt() {
            return false;
        }
        shares[self.r.len()] = length;
        self.q.extend(rest.iter().map(|v| v / length));
        self.r.push(shares);
        true
    }

    /// R^-1 v.
    fn back(&self, mut v: Vec<f64>) -> Vec<f64> {
        for j in (0..self.len()).rev() {
            v[j] /= self.r[j][j];
            let value = v[j];
            axpy(-value, &self.r[j][..j], &mut v[..j]);
        }
        v
    }

    /// R^-T v.
    fn forward(&self, v: &[f64]) -> Vec<f64> {
        let mut out: Vec<f64> = Vec::with_capacity(v.len());
        for (j, value) in v.iter().enumerate() {
            let known = dot(&self.r[j][..j], &out);
            out.push((value - known) / self.r[j][j]);
        }
        out
    }

    /// Q^T v.
    fn along(&self, v: &[f64]) -> Vec<f64> {
        self.q.chunks_exact(self.rows).map(|q| dot(q, v)).collect()
    }

    /// The x with the smallest |A_P x - b|.
    pub fn least_squares(&self, b: &[f64]) -> Vec<f64> {
        self.back(self.along(b))
    }

    /// What no A_P x reaches of b.
    pub fn residual(&self, b: &[f64]) -> Vec<f64> {
        let mut rest = b.to_vec();
        for _ in 0..2 {
            for q in self.q.chunks_exact(self.rows) {
                let along = dot(q, &rest);
                axpy(-along, q, &mut rest);
            }
        }
        rest
    }

    /// (A_P^T A_P)^-1 s: how coefficients grow as lambda falls.
    pub fn slope(&self, signs: &[f64]) -> Vec<f64> {
        self.back(self.forward(signs))
    }

    /// The u in the span of the columns with A_P^T u = s.
    pub fn dual(&self, signs: &[f64]) -> Vec<f64> {
        let mut u = vec![0.0; self.rows];
        self.q.chunks_exact(self.rows).zip(self.forward(signs)).for_each(|(q, share)| axpy(share, q, &mut u));
        u
    }
}
