//! What every target does with a file: open it and ask for everything. Nothing may panic.
//!
//! ```text
//! cargo +nightly fuzz run csv -- -max_total_time=600
//! ```

use quadrat_data::{Missing, Table};

/// Opens `bytes` as a file called `name` and decodes every column in every way.
pub fn exercise(name: &str, bytes: &[u8]) {
    let Ok(table) = Table::from_bytes(name, bytes.to_vec(), &[]) else { return };
    for column in table.column_names() {
        let _ = table.numeric(&[column], Missing::Keep);
        let _ = table.strings(column);
        let _ = table.categories(column, Missing::Error);
        let _ = table.labels(column, None);
        let _ = table.embedding(column);
    }
}
