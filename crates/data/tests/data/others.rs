//! Files as other programs write them (`others/make.py` says how): read right, and kept what they are.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_ipc::reader::StreamReader;
use quadrat_data::{ColumnType, Missing, Table, Values, write_resampled, write_selection};
use std::path::{Path, PathBuf};

fn open(name: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/others").join(name);
    Table::open(path.to_str().unwrap(), &[]).unwrap()
}

fn refused(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/others").join(name);
    Table::open(path.to_str().unwrap(), &[]).err().unwrap().to_string()
}

fn out(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("quadrat-others-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// What a table holds, in Arrow's types.
fn record(table: &Table, name: &str) -> RecordBatch {
    let path = out(&format!("{name}.arrows"));
    write_selection(table, &(0..table.rows()).collect::<Vec<_>>(), &[], &path).unwrap();
    let batches = StreamReader::try_new(std::fs::File::open(&path).unwrap(), None).unwrap();
    let schema = batches.schema();
    let batches: Vec<RecordBatch> = batches.map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

/// Some rows written as a file of the given ending and opened again.
fn chosen(name: &str, rows: &[usize], ending: &str) -> Table {
    let path = out(&format!("{name}.chosen.{ending}"));
    write_selection(&open(name), rows, &[], &path).unwrap();
    Table::open(path.to_str().unwrap(), &[]).unwrap()
}

#[test]
fn pandas_categories_keep_their_levels_and_their_order() {
    for (name, ending) in [("pandas.parquet", "parquet"), ("pandas.parquet", "arrow"), ("pandas.feather", "feather")] {
        let found = record(&chosen(name, &[1, 4], ending), &format!("levels.{ending}"));
        for (column, levels, ordered) in
            [("grade", &["low", "mid", "high", "never"][..], true), ("kind", &["b", "a"], false)]
        {
            let schema = found.schema();
            assert_eq!(schema.field_with_name(column).unwrap().dict_is_ordered(), Some(ordered), "{name} {column}");
            let dictionary = found.column_by_name(column).unwrap().as_any_dictionary();
            let values: Vec<&str> = match dictionary.values().as_string_opt::<i32>() {
                Some(values) => values.iter().flatten().collect(),
                None => dictionary.values().as_string::<i64>().iter().flatten().collect(),
            };
            assert_eq!(values, levels, "{name} to {ending}");
        }
        assert!(found.schema().metadata().contains_key("pandas"), "{name}");
    }
    // The keys stand in Parquet's own footer too.
    chosen("pandas.parquet", &[0], "parquet");
    let bytes = std::fs::read(out("pandas.parquet.chosen.parquet")).unwrap();
    let footer =
        parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&bytes::Bytes::from(bytes)).unwrap();
    let keys = footer.file_metadata().key_value_metadata().unwrap();
    assert!(keys.iter().any(|key| key.key == "pandas"));
}

#[test]
fn new_rows_take_levels_and_leave_periods_empty() {
    let table = open("pandas.parquet");
    assert_eq!(table.column("month").unwrap().kind, ColumnType::Other);
    let categories = table.categories("grade", Missing::Error).unwrap();
    let made = [
        ("x".to_owned(), Values::Float(vec![0.3])),
        ("user".to_owned(), Values::Float(vec![7.5])),
        ("grade".to_owned(), Values::Category { codes: vec![1], names: categories.names.clone() }),
    ];
    for ending in ["parquet", "arrow"] {
        let path = out(&format!("made.{ending}"));
        write_resampled(&table, &[0, 11], &made, &path).unwrap();
        let made = Table::open(path.to_str().unwrap(), &[]).unwrap();
        let found = record(&made, &format!("made.{ending}"));
        let users = found.column_by_name("user").unwrap().as_primitive::<Int64Type>();
        assert_eq!(users.values(), &[(1 << 53) + 1, (1 << 53) + 23, 8]);
        let months = found.column_by_name("month").unwrap().as_primitive::<Int64Type>();
        assert_eq!(months.iter().collect::<Vec<_>>(), [Some(648), Some(659), None]);
        assert_eq!(made.strings("grade").unwrap(), ["high", "mid", &categories.names[1]]);
    }
    let error = table.check_output(Path::new("a.csv"), &[]).unwrap_err().to_string();
    assert!(error.contains("column `month`") && error.contains("pandas.period"), "{error}");
}

#[test]
fn times_are_iso_8601_in_texts() {
    let feather = chosen("pandas.feather", &[0, 1], "csv");
    // The hour after one is three: the clock goes forward.
    assert_eq!(feather.strings("berlin").unwrap(), ["2024-03-31T00:00:00+01:00", "2024-03-31T01:00:00+01:00"]);
    assert_eq!(feather.strings("took").unwrap(), ["P0D", "PT90S"]);
    for name in ["brotli.parquet", "zstd.feather", "stream.arrows"] {
        for ending in ["csv", "jsonl"] {
            let texts = chosen(name, &[5, 1], ending);
            assert_eq!(texts.strings("date64").unwrap(), ["1970-01-06", "1970-01-02"], "{name}");
            assert_eq!(texts.strings("time").unwrap(), ["09:30:05", "09:30:01"]);
            assert_eq!(texts.strings("price").unwrap(), ["1.25", "0.25"]);
            assert_eq!(texts.labels("tags", None).unwrap().rows, [vec![0, 1], vec![0]].into_iter().collect());
        }
        let same = chosen(name, &[0, 1, 2, 3, 4, 5], "parquet");
        assert_eq!(same.columns(), open(name).columns());
        let (before, after) = (record(&open(name), "before"), record(&same, "after"));
        assert_eq!(before.columns(), after.columns(), "{name}");
        assert_eq!(after.schema().metadata()["geo"], "{}");
    }
}

#[test]
fn an_uuid_stays_one() {
    let table = chosen("uuid.parquet", &[4, 0], "parquet");
    let field = record(&table, "uuid").schema().field(0).clone();
    assert_eq!(field.metadata()["ARROW:extension:name"], "arrow.uuid");
    let texts = ["00000000-0000-4000-8000-000000000004", "00000000-0000-4000-8000-000000000000"];
    assert_eq!(table.strings("u").unwrap(), texts);
    assert_eq!(chosen("uuid.parquet", &[4, 0], "csv").strings("u").unwrap(), texts);
}

#[test]
fn numpys_arrays_are_tables() {
    let table = open("structured.npy");
    assert_eq!(table.column_names(), ["id", "x", "name", "pair", "day"]);
    assert_eq!(table.strings("name").unwrap(), ["a", "bß"]);
    assert_eq!(table.strings("day").unwrap(), ["2024-02-29", ""]);
    assert_eq!(table.numeric(&["id", "x"], Missing::Error).unwrap().row(1).to_vec(), [2.0, -1.5]);
    assert_eq!(table.embedding("pair").unwrap().row(1).to_vec(), [3.0, 4.0]);
    assert_eq!(chosen("structured.npy", &[1, 0], "npy").columns(), table.columns());
    let fortran = open("fortran.npy").numeric(&["x0", "x1", "x2"], Missing::Error).unwrap();
    assert_eq!(fortran.row(1).to_vec(), [4.0, 5.0, 6.0]);
    let features = open("features.npz");
    assert_eq!(features.column_names(), ["X0", "X1", "y", "when"]);
    assert_eq!(features.strings("when").unwrap()[2], "1970-01-01T00:00:02");
    assert!(refused("objects.npy").contains("Python objects"), "{}", refused("objects.npy"));
    assert!(refused("complex.npy").contains("a.real"), "{}", refused("complex.npy"));
}
