//! Solutions as files: NumPy's npz, and VTU for ParaView and its like. Both are a page, written here.

use super::{Pde, Solution};
use ndarray::{Array1, Array2};
use quadrat_core::{Error, Result, write_atomic};
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

/// A solution on a grid.
#[derive(Debug, Clone)]
pub struct Gridded {
    /// The grid's places along each of its coordinates; there are no more than three.
    pub axes: Vec<Array1<f64>>,
    /// All points of the grid, the last coordinate fastest; coordinates beyond the third are in the middle.
    pub points: Array2<f32>,
    /// The solution there.
    pub values: Vec<f64>,
    /// Its gradient.
    pub slopes: Array2<f32>,
    /// The squared residual.
    pub squares: Vec<f64>,
    /// The exact solution, where it is known.
    pub exact: Option<Vec<f64>>,
    names: Vec<String>,
    collocation: Array2<f32>,
}

/// Coordinates that a grid runs along; the others stay in the middle.
const ALONG: usize = 3;
/// Points of a grid at most.
const MOST: usize = 4_000_000;

impl Solution {
    /// The solution on a grid of `n` places along each of the first three coordinates.
    ///
    /// # Errors
    /// Fewer than two places, or more than four million points; as [`Solution::eval`].
    pub fn on_grid(&self, pde: &dyn Pde, n: usize) -> Result<Gridded> {
        let along = self.domain.dims().min(ALONG);
        if n < 2 || n.checked_pow(along as u32).is_none_or(|all| all > MOST) {
            let want = format!("2 or more along each coordinate, and at most {MOST} points in all");
            return Err(Error::input("grid", n, want));
        }
        let (axes, points) = self.domain.grid(n, along);
        let wide = |row: ndarray::ArrayView1<f32>| row.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        Ok(Gridded {
            values: self.eval(points.view())?,
            slopes: self.grad(points.view())?,
            squares: self.squared_residuals(pde, points.view())?,
            exact: points.rows().into_iter().map(|row| pde.exact(&wide(row))).collect(),
            names: self.domain.names().to_vec(),
            collocation: self.points.x.clone(),
            axes,
            points,
        })
    }
}

impl Gridded {
    /// Writes a file: `.npz` with the coordinates by name, `u`, `u_x` and so on, `residual2`, `exact` and the last `points`; or
    /// `.vtu` with the same on cells.
    ///
    /// # Errors
    /// Another ending; what the system says.
    pub fn save(&self, path: &Path) -> Result<()> {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let bytes = match ending.as_str() {
            "npz" => self.npz(),
            "vtu" => self.vtu().into_bytes(),
            _ => {
                let got = format!("`{}`", path.display());
                return Err(Error::input("out", got, "a name that ends in .npz (NumPy) or .vtu (ParaView)"));
            }
        };
        write_atomic(path, |file| file.write_all(&bytes).map_err(|e| Error::io(path, e)))
    }

    /// The fields with their names.
    fn fields(&self) -> Vec<(String, Vec<f64>)> {
        let slope = |k: usize| self.slopes.column(k).iter().map(|v| f64::from(*v)).collect();
        let mut all = vec![("u".to_owned(), self.values.clone())];
        all.extend(self.names.iter().enumerate().map(|(k, name)| (format!("u_{name}"), slope(k))));
        all.push(("residual2".to_owned(), self.squares.clone()));
        all.extend(self.exact.clone().map(|exact| ("exact".to_owned(), exact)));
        all
    }

    fn npz(&self) -> Vec<u8> {
        let shape: Vec<usize> = self.axes.iter().map(Array1::len).collect();
        let mut arrays: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, axis) in self.names.iter().zip(&self.axes) {
            arrays.push((name.clone(), npy(&[axis.len()], axis.iter().copied())));
        }
        for (name, values) in self.fields() {
            arrays.push((name, npy(&shape, values.into_iter())));
        }
        let points = self.collocation.iter().map(|v| f64::from(*v));
        arrays.push(("points".to_owned(), npy(&[self.collocation.nrows(), self.collocation.ncols()], points)));
        zip(&arrays)
    }

    /// An unstructured grid of lines, quadrilaterals or hexahedra, with signed numbers throughout.
    fn vtu(&self) -> String {
        let shape: Vec<usize> = self.axes.iter().map(Array1::len).collect();
        let d = shape.len();
        let stride = |k: usize| shape[k + 1..].iter().product::<usize>();
        let cells: Vec<usize> =
            (0..self.values.len()).filter(|at| (0..d).all(|k| at / stride(k) % shape[k] + 1 < shape[k])).collect();
        // Round the cell, as VTK wants its corners: which coordinates are one further.
        let corners: Vec<usize> = match d {
            1 => vec![0, 1],
            2 => vec![0, stride(0), stride(0) + 1, 1],
            _ => {
                let (a, b) = (stride(0), stride(1));
                vec![0, a, a + b, b, 1, a + 1, a + b + 1, b + 1]
            }
        };
        let kind = [3, 9, 12][d - 1];
        let joined = |values: &mut dyn Iterator<Item = String>| values.collect::<Vec<_>>().join(" ");
        let mut out = String::from(concat!(
            "<?xml version=\"1.0\"?>\n",
            "<VTKFile type=\"UnstructuredGrid\" version=\"0.1\" byte_order=\"LittleEndian\">\n<UnstructuredGrid>\n"
        ));
        let array = |out: &mut String, kind: &str, name: &str, parts: usize, values: String| {
            let _ = writeln!(
                out,
                "<DataArray type=\"{kind}\" Name=\"{name}\" NumberOfComponents=\"{parts}\" format=\"ascii\">{values}</DataArray>"
            );
        };
        let _ = writeln!(out, "<Piece NumberOfPoints=\"{}\" NumberOfCells=\"{}\">", self.values.len(), cells.len());
        out.push_str("<PointData>\n");
        for (name, values) in self.fields() {
            array(&mut out, "Float64", &name, 1, joined(&mut values.iter().map(f64::to_string)));
        }
        out.push_str("</PointData>\n<Points>\n");
        let places = self.points.rows().into_iter().flat_map(|row| {
            (0..3).map(move |k| if k < d { row[k].to_string() } else { "0".to_owned() }).collect::<Vec<_>>()
        });
        array(&mut out, "Float64", "Points", 3, joined(&mut { places }));
        out.push_str("</Points>\n<Cells>\n");
        let connected = cells.iter().flat_map(|at| corners.iter().map(move |corner| (at + corner).to_string()));
        array(&mut out, "Int64", "connectivity", 1, joined(&mut { connected }));
        let ends = (1..=cells.len()).map(|cell| (cell * corners.len()).to_string());
        array(&mut out, "Int64", "offsets", 1, joined(&mut { ends }));
        array(&mut out, "UInt8", "types", 1, joined(&mut cells.iter().map(|_| kind.to_string())));
        out.push_str("</Cells>\n</Piece>\n</UnstructuredGrid>\n</VTKFile>\n");
        out
    }
}

/// An array of double precision in NumPy's format 1.0.
fn npy(shape: &[usize], values: impl Iterator<Item = f64>) -> Vec<u8> {
    let sizes: Vec<String> = shape.iter().map(|n| format!("{n},")).collect();
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}), }}", sizes.join(" "));
    // The values begin at a multiple of 64 bytes.
    let padding = 63 - (10 + header.len()) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    values.for_each(|v| out.extend(v.to_le_bytes()));
    out
}

/// A zip archive of arrays as they are, without compression.
fn zip(arrays: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut list) = (Vec::new(), Vec::new());
    for (name, bytes) in arrays {
        let name = format!("{name}.npy");
        let at = out.len() as u32;
        // Version, no flags, stored, a date of 1980-01-01, the sum, both sizes, the name's length, nothing further.
        let mut entry: Vec<u8> = Vec::new();
        entry.extend(20u16.to_le_bytes());
        entry.extend([0, 0, 0, 0, 0, 0, 0x21, 0]);
        entry.extend(crc32fast::hash(bytes).to_le_bytes());
        entry.extend((bytes.len() as u32).to_le_bytes());
        entry.extend((bytes.len() as u32).to_le_bytes());
        entry.extend((name.len() as u16).to_le_bytes());
        entry.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&entry);
        out.extend(name.as_bytes());
        out.extend(bytes);
        list.extend(b"PK\x01\x02");
        list.extend(20u16.to_le_bytes());
        list.extend(&entry);
        list.extend([0; 10]);
        list.extend(at.to_le_bytes());
        list.extend(name.as_bytes());
    }
    let at = out.len() as u32;
    let count = (arrays.len() as u16).to_le_bytes();
    let size = (list.len() as u32).to_le_bytes();
    out.extend(list);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count);
    out.extend(count);
    out.extend(size);
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}
