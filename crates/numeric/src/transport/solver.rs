//! The transport problem: least cost of carrying supplies to demands.
//!
//! Successive shortest paths on reduced costs (Jonker and Volgenant 1987 for the assignment; the same with more than one
//! unit a row is the textbook's method for transport): every augmentation keeps c_ij - u_i - v_j >= 0, with equality
//! wherever something flows, and that is the proof of optimality. How long the paths are depends on the prices v to
//! begin with. An auction with falling increments (Bertsekas 1988) finds nearly optimal ones in a few hundred passes over
//! the matrix, and most rows can then be served along tight edges.

use crate::vectorised;

/// Costs, what is left to carry, and what is carried so far.
pub(super) struct Problem {
    /// Row by row, none negative.
    costs: Vec<f64>,
    columns: usize,
    /// What each row has left.
    supply: Vec<f64>,
    /// What each column still takes.
    demand: Vec<f64>,
    /// Prices of rows: u.
    row_price: Vec<f64>,
    /// Prices of columns: v.
    column_price: Vec<f64>,
    /// What flows into each column, from which rows.
    flows: Vec<Vec<(usize, f64)>>,
}

/// What a search for the nearest column with demand finds, and works on.
struct Search {
    /// Distance of each column that may still get nearer; minus infinity once it is settled.
    distance: Vec<f64>,
    /// The row before each column.
    before: Vec<u64>,
    /// Columns in the order in which they were settled, with their distances.
    settled: Vec<(usize, f64)>,
    /// Rows reached, with their distances.
    reached: Vec<(usize, f64)>,
    /// The column before each row.
    column_before: Vec<usize>,
    /// Whether a row was reached.
    seen: Vec<bool>,
}

impl Problem {
    /// Of non-negative costs, one a pair, row by row; supplies and demands are of about equal total.
    pub(super) fn new(costs: Vec<f64>, supply: &[f64], demand: &[f64]) -> Problem {
        Problem {
            columns: demand.len(),
            supply: supply.to_vec(),
            demand: demand.to_vec(),
            row_price: vec![0.0; supply.len()],
            column_price: vec![0.0; demand.len()],
            flows: vec![Vec::new(); demand.len()],
            costs,
        }
    }

    /// The least cost.
    pub(super) fn least_cost(mut self) -> f64 {
        self.auction();
        self.serve_tight_edges();
        let rows = self.supply.len();
        let mut search = Search {
            distance: vec![0.0; self.columns],
            before: vec![0; self.columns],
            settled: Vec::new(),
            reached: Vec::new(),
            column_before: vec![0; rows],
            seen: vec![false; rows],
        };
        for row in 0..rows {
            while self.supply[row] > 0.0 {
                let Some(column) = self.nearest_demand(row, &mut search) else { break };
                self.carry(row, column, &search);
            }
        }
        let mut cost = 0.0;
        for (column, flows) in self.flows.iter().enumerate() {
            cost += flows.iter().map(|(row, flow)| flow * self.costs[row * self.columns + column]).sum::<f64>();
        }
        cost
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.costs[row * self.columns..(row + 1) * self.columns]
    }

    /// Prices of columns by an auction of one unit a row, rows taking turns: each bids for the column that is cheapest to
    /// it as much as makes the second as cheap, and a bit more. Its outcome is only a start, so it ends early.
    fn auction(&mut self) {
        let (rows, columns) = (self.supply.len(), self.columns);
        if rows != columns {
            return;
        }
        let mean = self.costs.iter().sum::<f64>() / self.costs.len() as f64;
        if mean == 0.0 {
            return;
        }
        // Far-away points start price wars of n^2 bids and more.
        let mut bids = MOST_BIDS * rows;
        for share in INCREMENTS {
            let mut owner = vec![usize::MAX; columns];
            let mut waiting: Vec<usize> = (0..rows).rev().collect();
            while let Some(row) = waiting.pop() {
                if bids == 0 {
                    return;
                }
                bids -= 1;
                let (column, first, second) = cheapest_two(self.row(row), &self.column_price);
                self.column_price[column] -= second - first + share * mean;
                let loser = std::mem::replace(&mut owner[column], row);
                if loser != usize::MAX {
                    waiting.push(loser);
                }
            }
        }
    }

    /// Prices of rows that the columns' prices allow, and what can flow at those.
    fn serve_tight_edges(&mut self) {
        for row in 0..self.supply.len() {
            let (column, first, _) = cheapest_two(self.row(row), &self.column_price);
            self.row_price[row] = first;
            let flow = self.supply[row].min(self.demand[column]);
            if flow > 0.0 {
                self.supply[row] -= flow;
                self.demand[column] -= flow;
                self.flows[column].push((row, flow));
            }
        }
    }

    /// Dijkstra's search from `start`; prices are moved so that the path found is tight. None when no column has demand.
    fn nearest_demand(&mut self, start: usize, search: &mut Search) -> Option<usize> {
        search.distance.fill(f64::INFINITY);
        search.seen.fill(false);
        search.settled.clear();
        search.reached.clear();
        search.reached.push((start, 0.0));
        search.seen[start] = true;
        let mut scanned = 0;
        let (goal, shortest) = loop {
            let mut nearest = f64::INFINITY;
            while scanned < search.reached.len() {
                let (row, at) = search.reached[scanned];
                nearest = relax(
                    self.row(row),
                    &self.column_price,
                    at - self.row_price[row],
                    row as u64,
                    &mut search.distance,
                    &mut search.before,
                );
                scanned += 1;
            }
            if nearest == f64::INFINITY {
                // The rows just settled were all seen before: distances have not changed.
                nearest = search.distance.iter().filter(|d| **d >= 0.0).fold(f64::INFINITY, |a, b| a.min(*b));
            }
            let column = search.distance.iter().position(|d| *d == nearest && nearest < f64::INFINITY)?;
            if self.demand[column] > 0.0 {
                break (column, nearest);
            }
            search.distance[column] = f64::NEG_INFINITY;
            search.settled.push((column, nearest));
            for (row, _) in &self.flows[column] {
                if !std::mem::replace(&mut search.seen[*row], true) {
                    search.column_before[*row] = column;
                    search.reached.push((*row, nearest));
                }
            }
        };
        for (column, at) in &search.settled {
            self.column_price[*column] -= shortest - at;
        }
        for (row, at) in &search.reached {
            self.row_price[*row] += shortest - at;
        }
        Some(goal)
    }

    /// Carries along the path to `goal` as much as its ends and the flows on it allow.
    fn carry(&mut self, start: usize, goal: usize, search: &Search) {
        let mut path = Vec::new();
        let mut column = goal;
        loop {
            let row = search.before[column] as usize;
            path.push((row, column));
            if row == start {
                break;
            }
            column = search.column_before[row];
        }
        let flow_from = |row: usize| {
            let flows = &self.flows[search.column_before[row]];
            flows.iter().find(|(from, _)| *from == row).map_or(0.0, |(_, flow)| *flow)
        };
        let taken_back = path.iter().filter(|(row, _)| *row != start).map(|(row, _)| flow_from(*row));
        let amount = taken_back.fold(self.supply[start].min(self.demand[goal]), f64::min);
        self.supply[start] -= amount;
        self.demand[goal] -= amount;
        for (row, column) in path {
            add(&mut self.flows[column], row, amount);
            if row != start {
                add(&mut self.flows[search.column_before[row]], row, -amount);
            }
        }
    }
}

/// Increments of the auction's rounds, in mean costs.
const INCREMENTS: [f64; 6] = [0.1, 0.02, 4e-3, 8e-4, 1.6e-4, 3.2e-5];
/// Bids a row, after which the auction is left.
const MOST_BIDS: usize = 400;

/// Adds to the flow from `row`; a flow of 0 is none.
fn add(flows: &mut Vec<(usize, f64)>, row: usize, amount: f64) {
    match flows.iter().position(|(from, _)| *from == row) {
        Some(at) => {
            flows[at].1 += amount;
            if flows[at].1 <= 0.0 {
                flows.swap_remove(at);
            }
        }
        None => flows.push((row, amount)),
    }
}

/// The first column of least c - v, that least value, and the second least (the least itself of a single column).
fn cheapest_two(costs: &[f64], prices: &[f64]) -> (usize, f64, f64) {
    const LANES: usize = 8;
    vectorised(
        #[inline(always)]
        || {
            let (mut least, mut second) = ([f64::INFINITY; LANES], [f64::INFINITY; LANES]);
            let (c, c_rest) = costs.as_chunks::<LANES>();
            let (v, v_rest) = prices.as_chunks::<LANES>();
            for (c, v) in c.iter().zip(v) {
                for lane in 0..LANES {
                    let value = c[lane] - v[lane];
                    let above = if value > least[lane] { value } else { least[lane] };
                    second[lane] = if above < second[lane] { above } else { second[lane] };
                    least[lane] = if value < least[lane] { value } else { least[lane] };
                }
            }
            let (mut first, mut next) = (f64::INFINITY, f64::INFINITY);
            let rest = c_rest.iter().zip(v_rest).map(|(c, v)| c - v);
            for value in least.into_iter().chain(second).chain(rest) {
                next = next.min(first.max(value));
                first = first.min(value);
            }
            let at = costs.iter().zip(prices).position(|(c, v)| c - v == first).unwrap_or(0);
            (at, first, if next.is_finite() { next } else { first })
        },
    )
}

/// Lowers the distances of columns that are nearer by way of `row`, and returns the least distance of all not settled.
fn relax(costs: &[f64], prices: &[f64], base: f64, row: u64, distance: &mut [f64], before: &mut [u64]) -> f64 {
    const LANES: usize = 8;
    vectorised(
        #[inline(always)]
        || {
            let one = |c: f64, v: f64, d: &mut f64, b: &mut u64, least: &mut f64| {
                // Reduced costs are not negative but for rounding.
                let value = (base + (c - v)).max(0.0);
                let nearer = value < *d;
                *b = if nearer { row } else { *b };
                *d = if nearer { value } else { *d };
                let open = if *d < 0.0 { f64::INFINITY } else { *d };
                *least = if open < *least { open } else { *least };
            };
            let mut least = [f64::INFINITY; LANES];
            let (c, c_rest) = costs.as_chunks::<LANES>();
            let (v, v_rest) = prices.as_chunks::<LANES>();
            let (d, d_rest) = distance.as_chunks_mut::<LANES>();
            let (b, b_rest) = before.as_chunks_mut::<LANES>();
            for (((c, v), d), b) in c.iter().zip(v).zip(d).zip(b) {
                for lane in 0..LANES {
                    one(c[lane], v[lane], &mut d[lane], &mut b[lane], &mut least[lane]);
                }
            }
            for (((c, v), d), b) in c_rest.iter().zip(v_rest).zip(d_rest).zip(b_rest) {
                one(*c, *v, d, b, &mut least[0]);
            }
            least.into_iter().fold(f64::INFINITY, f64::min)
        },
    )
}
