//! Samples between the points of a grid: interpolation, and its transpose.
//!
//! The grid's first and last axis go on beyond both ends, so that no sample has to look around a corner. Samples are sorted by where they
//! lie, so that those that are near meet the same part of the cache. Spreading works on bands of the first axis: those of even numbers
//! touch no row in common, and so do those of odd ones, so each set is spread in parallel and every sum has one order, without atomic
//! numbers.

use super::kernel::{Gridding, Window};
use crate::Real;
use crate::fft::Layout;
use ndarray::ArrayView2;
use quadrat_numeric::vectorised;
use rayon::prelude::*;
use rustfft::num_complex::Complex;
use std::ops::Range;

/// Rows of a band, which are more than a kernel is wide.
const BAND: usize = 16;
/// Grid points of the other axes that sorting takes together.
const TILE: usize = 16;
/// Samples that are interpolated together.
const CHUNK: usize = 512;

/// A grid of two or three axes (in two the middle one has 1 point), and what lies beyond its ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) sides: [usize; 3],
    /// Points before the first of the first and last axis.
    before: usize,
    /// The length of the first and last axis with what lies beyond.
    planes: usize,
    pub(super) stride: usize,
}

impl Grid {
    pub(super) fn new(sides: &[usize], width: usize) -> Self {
        let sides = [sides[0], if sides.len() == 3 { sides[1] } else { 1 }, sides[sides.len() - 1]];
        let lanes = width.next_multiple_of(4);
        Grid { sides, before: width.div_ceil(2), planes: sides[0] + width + 1, stride: sides[2] + lanes + 1 }
    }

    /// Numbers of the grid and of what lies beyond.
    pub(super) fn len(&self) -> usize {
        self.planes * self.plane()
    }

    fn plane(&self) -> usize {
        self.sides[1] * self.stride
    }

    /// Where the grid itself stands, its first axis first.
    pub(super) fn layout(&self) -> Layout {
        let [_, rows, columns] = self.sides;
        Layout { start: self.corner(), slice: self.plane(), stride: self.stride, rows, columns }
    }

    /// Where the grid's first point stands.
    pub(super) fn corner(&self) -> usize {
        self.before * self.plane() + self.before
    }

    /// Gives what lies beyond the ends the values of the other end.
    pub(super) fn go_around<T: Real>(&self, grid: &mut [Complex<T>]) {
        let ([planes, _, columns], before) = (self.sides, self.before);
        let inside = before * self.plane()..(before + planes) * self.plane();
        for row in grid[inside].chunks_mut(self.stride) {
            (0..before).for_each(|i| row[i] = row[i + columns]);
            (before + columns..self.stride).for_each(|i| row[i] = row[before + (i - before) % columns]);
        }
        for plane in (0..before).chain(before + planes..self.planes) {
            let from = before + (plane + planes * self.planes - before) % planes;
            grid.copy_within(from * self.plane()..(from + 1) * self.plane(), plane * self.plane());
        }
    }

    /// The transpose of [`Grid::go_around`]: adds what lies beyond the ends to the other end.
    pub(super) fn come_back<T: Real>(&self, grid: &mut [Complex<T>]) {
        let ([planes, _, columns], before, size) = (self.sides, self.before, self.plane());
        for plane in (0..before).chain(before + planes..self.planes) {
            let to = before + (plane + planes * self.planes - before) % planes;
            let (first, second) = grid.split_at_mut(plane.max(to) * size);
            let (low, high) = (&mut first[plane.min(to) * size..][..size], &mut second[..size]);
            let (from, to) = if plane < to { (low, high) } else { (high, low) };
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *to + *from);
        }
        for row in grid[before * size..(before + planes) * size].chunks_mut(self.stride) {
            for i in (0..before).chain(before + columns..self.stride) {
                let to = before + (i + columns * self.stride - before) % columns;
                row[to] = row[to] + row[i];
            }
        }
    }
}

/// Where a sample lies: the first grid point of its kernel along each axis, counted from the first beyond the end, and its place between
/// two of them for the window.
#[derive(Clone, Copy)]
struct Point<T> {
    first: [u32; 3],
    x: [T; 3],
}

/// Sorted samples on a grid.
pub(super) struct Points<T> {
    grid: Grid,
    window: Window<T>,
    sorted: Vec<Point<T>>,
    /// The number of each sorted sample, and where each sample is in the order.
    order: Vec<u32>,
    rank: Vec<u32>,
    /// The sorted samples of each band.
    bands: Vec<Range<usize>>,
}

/// Numbers of things in the order of their keys, by counting.
fn sorted_by(keys: &[usize]) -> Vec<u32> {
    let mut places = vec![0_usize; keys.iter().max().map_or(0, |most| most + 2)];
    keys.iter().for_each(|key| places[key + 1] += 1);
    (1..places.len()).for_each(|key| places[key] += places[key - 1]);
    let mut order = vec![0; keys.len()];
    for (number, key) in (0..).zip(keys) {
        order[places[*key]] = number;
        places[*key] += 1;
    }
    order
}

impl<T: Real> Points<T> {
    /// Coordinates are in cycles per field of view, the grid's first axis first.
    pub(super) fn new(coordinates: ArrayView2<f64>, shape: &[usize], grid: Grid, gridding: &Gridding) -> Self {
        let width = gridding.width as f64;
        let axes = if shape.len() == 3 { vec![0, 1, 2] } else { vec![0, 2] };
        let place = |row: ndarray::ArrayView1<f64>| {
            let mut point = Point { first: [grid.before as u32; 3], x: [T::zero(); 3] };
            for ((k, pixels), axis) in row.iter().zip(shape).zip(&axes) {
                let side = grid.sides[*axis] as f64;
                let at = (k * side / *pixels as f64).rem_euclid(side);
                let first = (at - width / 2.0).ceil();
                point.first[*axis] = (first + grid.before as f64) as u32;
                point.x[*axis] = T::of(2.0 * (first - (at - width / 2.0)) - 1.0);
            }
            point
        };
        let points: Vec<Point<T>> =
            (0..coordinates.nrows()).into_par_iter().map(|i| place(coordinates.row(i))).collect();
        let tiles = grid.sides.map(|side| (side + gridding.width + 1).div_ceil(TILE));
        let band = |point: &Point<T>| point.first[0] as usize / BAND;
        let tile = |point: &Point<T>| {
            (band(point) * tiles[1] + point.first[1] as usize / TILE) * tiles[2] + point.first[2] as usize / TILE
        };
        let order = sorted_by(&points.iter().map(tile).collect::<Vec<usize>>());
        let sorted: Vec<Point<T>> = order.iter().map(|i| points[*i as usize]).collect();
        let mut rank = vec![0; order.len()];
        order.iter().zip(0..).for_each(|(i, place)| rank[*i as usize] = place);
        let end = |b: usize| sorted.partition_point(|point| band(point) < b);
        let bands = (0..grid.planes.div_ceil(BAND)).map(|b| end(b)..end(b + 1)).collect();
        Points { grid, window: Window::new(gridding), sorted, order, rank, bands }
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The sample of a grid at each point; what lies beyond its ends must have been filled.
    pub(super) fn interpolate(&self, grid: &[Complex<T>], samples: &mut [Complex<T>]) {
        let mut sorted = vec![Complex::new(T::zero(), T::zero()); self.len()];
        let chunks = sorted.par_chunks_mut(CHUNK).zip(self.sorted.par_chunks(CHUNK));
        chunks.for_each(|(out, points)| match self.window.lanes {
            4 => self.read::<4>(grid, points, out),
            8 => self.read::<8>(grid, points, out),
            12 => self.read::<12>(grid, points, out),
            _ => self.read::<16>(grid, points, out),
        });
        let chunks = samples.par_chunks_mut(8 * CHUNK).zip(self.rank.par_chunks(8 * CHUNK));
        chunks.for_each(|(out, rank)| out.iter_mut().zip(rank).for_each(|(out, place)| *out = sorted[*place as usize]));
    }

    /// Adds every sample to the grid points about it, and folds what lies beyond the ends.
    pub(super) fn spread(&self, samples: &[Complex<T>], grid: &mut [Complex<T>]) {
        let rows = BAND * self.grid.plane();
        for odd in 0..2 {
            let from = (odd * rows).min(grid.len());
            let bands = self.bands.par_iter().enumerate().skip(odd).step_by(2);
            let chunks = grid[from..].par_chunks_mut(2 * rows).zip(bands);
            chunks.for_each(|(out, (number, band))| match self.window.lanes {
                4 => self.write::<4>(samples, number * BAND, band.clone(), out),
                8 => self.write::<8>(samples, number * BAND, band.clone(), out),
                12 => self.write::<12>(samples, number * BAND, band.clone(), out),
                _ => self.write::<16>(samples, number * BAND, band.clone(), out),
            });
        }
        self.grid.come_back(grid);
    }

    fn read<const LANES: usize>(&self, grid: &[Complex<T>], points: &[Point<T>], out: &mut [Complex<T>]) {
        vectorised(
            #[inline(always)]
            || {
                for (point, out) in points.iter().zip(out) {
                    let across = self.window.at::<LANES>(point.x[2]);
                    let mut sums = [[T::zero(); 2]; LANES];
                    self.rows::<LANES>(
                        point,
                        0,
                        #[inline(always)]
                        |start, weight| {
                            if let Some((row, _)) = grid[start..].split_first_chunk::<LANES>() {
                                for lane in 0..LANES {
                                    sums[lane][0] = row[lane].re.mul_add(weight, sums[lane][0]);
                                    sums[lane][1] = row[lane].im.mul_add(weight, sums[lane][1]);
                                }
                            }
                        },
                    );
                    let mut total = [T::zero(); 2];
                    for lane in 0..LANES {
                        total[0] = sums[lane][0].mul_add(across[lane], total[0]);
                        total[1] = sums[lane][1].mul_add(across[lane], total[1]);
                    }
                    *out = Complex::new(total[0], total[1]);
                }
            },
        );
    }

    fn write<const LANES: usize>(
        &self,
        samples: &[Complex<T>],
        plane: usize,
        band: Range<usize>,
        out: &mut [Complex<T>],
    ) {
        vectorised(
            #[inline(always)]
            || {
                for (point, number) in self.sorted[band.clone()].iter().zip(&self.order[band]) {
                    let across = self.window.at::<LANES>(point.x[2]);
                    let sample = samples[*number as usize];
                    let mut share = [[T::zero(); 2]; LANES];
                    for lane in 0..LANES {
                        share[lane] = [sample.re * across[lane], sample.im * across[lane]];
                    }
                    self.rows::<LANES>(
                        point,
                        plane,
                        #[inline(always)]
                        |start, weight| {
                            if let Some((row, _)) = out[start..].split_first_chunk_mut::<LANES>() {
                                for lane in 0..LANES {
                                    row[lane].re = share[lane][0].mul_add(weight, row[lane].re);
                                    row[lane].im = share[lane][1].mul_add(weight, row[lane].im);
                                }
                            }
                        },
                    );
                }
            },
        );
    }

    /// The rows of the grid that a sample's kernel meets, from plane `plane` on: where each begins, and its weight.
    #[inline(always)]
    fn rows<const LANES: usize>(&self, point: &Point<T>, plane: usize, mut each: impl FnMut(usize, T)) {
        let width = self.window.width;
        let [first, middle, last] = point.first.map(|first| first as usize);
        let down = self.window.at::<LANES>(point.x[0]);
        let start = (first - plane) * self.grid.plane() + last;
        if self.grid.sides[1] == 1 {
            for (i, down) in down[..width].iter().enumerate() {
                each(start + i * self.grid.stride, *down);
            }
            return;
        }
        let through = self.window.at::<LANES>(point.x[1]);
        for (i, down) in down[..width].iter().enumerate() {
            for (j, through) in through[..width].iter().enumerate() {
                let row = (middle + j + self.grid.sides[1] * width - self.grid.before) % self.grid.sides[1];
                each(start + i * self.grid.plane() + row * self.grid.stride, *down * *through);
            }
        }
    }
}
