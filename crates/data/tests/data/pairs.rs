//! Kept rows are what they were, to the bit, through every pair of formats that hold their types.
//!
//! A table of every type is made in memory, with nulls, extremes, denormals, -0.0, NaN with payloads, quotation marks in
//! quotation marks and empty texts. It goes through one format into a second; what a format does not hold is left out by
//! asking `check_output`, and the table `HELD` says what that must be.

use arrow_array::builder::*;
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{IntervalDayTime, IntervalMonthDayNano, NullBuffer, i256};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema};
use proptest::prelude::*;
use quadrat_data::{ColumnType, Reading, Table, write_selection};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const TYPED: [&str; 3] = ["parquet", "arrow", "arrows"];
const TEXTS: [&str; 8] = ["csv", "tsv", "jsonl", "json", "csv.gz", "tsv.zst", "jsonl.bz2", "json.xz"];
const NUMPY: [&str; 2] = ["npz", "npy"];

/// Of each type what holds it beside Arrow: p Parquet, t texts, n numpy, a ARFF, k KEEL (whose words need no quotation
/// marks), s libsvm beside a label.
const HELD: [(&str, &str); 46] = [
    ("bool", "ptnaks"),
    ("i8", "ptnaks"),
    ("i16", "ptnaks"),
    ("i32", "ptnaks"),
    ("i64", "ptnaks"),
    ("u8", "ptnaks"),
    ("u16", "ptnaks"),
    ("u32", "ptnaks"),
    ("u64", "ptnaks"),
    ("f16", "ptnaks"),
    ("f32", "ptnaks"),
    ("f64", "ptnaks"),
    ("d32", "ptaks"),
    ("d64", "ptaks"),
    ("d128", "ptaks"),
    ("d256", "ptaks"),
    ("utf8", "ptnak"),
    ("large", "ptnak"),
    ("view", "ptnak"),
    ("dict", "ptna"),
    ("dict16", "ptnak"),
    ("binary", "pt"),
    ("fixed", "pt"),
    ("uuid", "ptn"),
    ("date32", "ptn"),
    ("date64", "ptn"),
    ("t32s", "pt"),
    ("t32ms", "pt"),
    ("t64us", "pt"),
    ("t64ns", "pt"),
    ("ts_s", "ptn"),
    ("ts_ms", "ptn"),
    ("ts_us", "ptn"),
    ("ts_ns", "ptn"),
    ("zoned", "pt"),
    ("utc", "pt"),
    ("dur_s", "ptn"),
    ("dur_ms", "ptn"),
    ("dur_us", "ptn"),
    ("dur_ns", "ptn"),
    ("months", "pt"),
    ("daytime", "pt"),
    ("mdn", "t"),
    ("list", "pt"),
    ("embedding", "ptn"),
    ("period", "p"),
];

/// A cell of every type comes from one number, or is missing.
fn column(name: &str, cells: &[Option<u64>], texts: &[String]) -> (Field, ArrayRef) {
    let text = |c: u64| texts[c as usize % texts.len()].clone();
    let day = |c: u64| (c % 4_000_000) as i64 - 2_000_000;
    let seconds = |c: u64| (c % 120_000_000_000) as i64 - 60_000_000_000;
    macro_rules! plain {
        ($t:ty, $make:expr) => {
            Arc::new(cells.iter().map(|c| c.map($make)).collect::<PrimitiveArray<$t>>()) as ArrayRef
        };
    }
    macro_rules! typed {
        ($t:ty, $make:expr, $to:expr) => {
            Arc::new(cells.iter().map(|c| c.map($make)).collect::<PrimitiveArray<$t>>().with_data_type($to)) as ArrayRef
        };
    }
    let zone = |name: &str| -> Option<Arc<str>> { Some(name.into()) };
    let mut about = HashMap::new();
    let array: ArrayRef = match name {
        "bool" => Arc::new(cells.iter().map(|c| c.map(|c| c % 2 == 1)).collect::<BooleanArray>()),
        "i8" => plain!(Int8Type, |c| c as i8),
        "i16" => plain!(Int16Type, |c| c as i16),
        "i32" => plain!(Int32Type, |c| c as i32),
        "i64" => plain!(Int64Type, |c| c as i64),
        "u8" => plain!(UInt8Type, |c| c as u8),
        "u16" => plain!(UInt16Type, |c| c as u16),
        "u32" => plain!(UInt32Type, |c| c as u32),
        "u64" => plain!(UInt64Type, |c| c),
        "f16" => plain!(Float16Type, |c| <Float16Type as ArrowPrimitiveType>::Native::from_bits(c as u16)),
        "f32" => plain!(Float32Type, |c| f32::from_bits((c >> 32) as u32)),
        "f64" => plain!(Float64Type, f64::from_bits),
        "d32" => typed!(Decimal32Type, |c| (c % 1_999_999_999) as i32 - 999_999_999, DataType::Decimal32(9, 2)),
        "d64" => typed!(Decimal64Type, |c| (c as i64) / 10, DataType::Decimal64(18, 3)),
        "d128" => typed!(Decimal128Type, |c| i128::from(c as i64) * 1_000_000_007, DataType::Decimal128(38, 10)),
        "d256" => typed!(Decimal256Type, |c| i256::from_i128(i128::from(c as i64) << 60), DataType::Decimal256(76, 20)),
        "utf8" => Arc::new(cells.iter().map(|c| c.map(text)).collect::<StringArray>()),
        "large" => Arc::new(cells.iter().map(|c| c.map(text)).collect::<LargeStringArray>()),
        "view" => Arc::new(cells.iter().map(|c| c.map(text)).collect::<StringViewArray>()),
        "dict" => {
            // The level `none` has no row, and the order is not the alphabet's.
            let keys: Int8Array = cells.iter().map(|c| c.map(|c| [2, 0, 3][(c % 3) as usize])).collect();
            let levels = StringArray::from(vec!["mid", "none", "low", "high\n\"est\""]);
            Arc::new(DictionaryArray::try_new(keys, Arc::new(levels)).unwrap())
        }
        "dict16" => {
            let keys: UInt16Array = cells.iter().map(|c| c.map(|c| (c % 300) as u16)).collect();
            let levels: LargeStringArray = (0..300).map(|i| Some(format!("level {i}"))).collect();
            Arc::new(DictionaryArray::try_new(keys, Arc::new(levels)).unwrap())
        }
        "binary" => Arc::new(cells.iter().map(|c| c.map(|c| c.to_le_bytes())).collect::<BinaryArray>()),
        "fixed" | "uuid" => {
            let width = if name == "fixed" { 4 } else { 16 };
            if name == "uuid" {
                about.insert("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned());
            }
            let bytes = cells.iter().map(|c| c.map(|c| c.to_le_bytes().repeat(2)[..width as usize].to_vec()));
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes, width).unwrap())
        }
        "date32" => plain!(Date32Type, |c| day(c) as i32),
        "date64" => plain!(Date64Type, |c| day(c) * 86_400_000),
        "t32s" => plain!(Time32SecondType, |c| (c % 86_400) as i32),
        "t32ms" => plain!(Time32MillisecondType, |c| (c % 86_400_000) as i32),
        "t64us" => plain!(Time64MicrosecondType, |c| (c % 86_400_000_000) as i64),
        "t64ns" => plain!(Time64NanosecondType, |c| (c % 86_400_000_000_000) as i64),
        "ts_s" => plain!(TimestampSecondType, seconds),
        "ts_ms" => plain!(TimestampMillisecondType, |c| seconds(c) * 1000 + (c % 1000) as i64),
        "ts_us" => plain!(TimestampMicrosecondType, |c| seconds(c) * 1_000_000 + (c % 1_000_000) as i64),
        "ts_ns" => plain!(TimestampNanosecondType, |c| (c as i64) / 2),
        "zoned" => typed!(
            TimestampMicrosecondType,
            |c| seconds(c) * 1_000_000 + (c % 1_000_000) as i64,
            DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, zone("Europe/Berlin"))
        ),
        "utc" => typed!(
            TimestampMillisecondType,
            |c| seconds(c) * 1000,
            DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, zone("UTC"))
        ),
        "dur_s" => plain!(DurationSecondType, |c| (c as i64) / 10_000),
        "dur_ms" => plain!(DurationMillisecondType, |c| (c as i64) / 2),
        "dur_us" => plain!(DurationMicrosecondType, |c| (c as i64) / 2),
        "dur_ns" => plain!(DurationNanosecondType, |c| (c as i64) / 2),
        "months" => plain!(IntervalYearMonthType, |c| c as i32),
        "daytime" => plain!(IntervalDayTimeType, |c| IntervalDayTime::new(c as i32 / 2, (c >> 32) as i32 / 2)),
        "mdn" => plain!(IntervalMonthDayNanoType, |c| IntervalMonthDayNano::new(c as i32, 7, (c as i64) / 2)),
        "list" => {
            let mut lists = ListBuilder::new(Int32Builder::new());
            for c in cells {
                if let Some(c) = c {
                    (0..c % 4).for_each(|i| lists.values().append_option((i != 2).then_some((c >> i) as i32)));
                }
                lists.append(c.is_some());
            }
            Arc::new(lists.finish())
        }
        "embedding" => {
            let values: Float32Array =
                cells.iter().flat_map(|c| (0..3).map(move |i| c.map(|c| (c >> i) as u32 as f32))).collect();
            let values = Float32Array::new(values.values().clone(), None);
            let missing: NullBuffer = cells.iter().map(Option::is_some).collect();
            let item = Arc::new(Field::new_list_field(DataType::Float32, true));
            Arc::new(FixedSizeListArray::new(item, 3, Arc::new(values), Some(missing)))
        }
        "period" => {
            about.insert("ARROW:extension:name".to_owned(), "pandas.period".to_owned());
            about.insert("ARROW:extension:metadata".to_owned(), "{\"freq\": \"M\"}".to_owned());
            plain!(Int64Type, |c| c as i64)
        }
        other => panic!("{other}"),
    };
    let field = Field::new(name, array.data_type().clone(), true).with_dict_is_ordered(name == "dict");
    (field.with_metadata(about), array)
}

fn stream(fields: Vec<Field>, arrays: Vec<ArrayRef>) -> Vec<u8> {
    let keys = HashMap::from([("made by".to_owned(), "a test".to_owned())]);
    let schema = Arc::new(Schema::new_with_metadata(fields, keys));
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    writer.write(&RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
    writer.into_inner().unwrap()
}

/// What a table holds, as an Arrow stream of it says.
fn record(table: &Table, folder: &Path) -> RecordBatch {
    let path = folder.join("read.arrows");
    write_selection(table, &(0..table.rows()).collect::<Vec<_>>(), &[], &path).unwrap();
    let mut batches = StreamReader::try_new(std::fs::File::open(&path).unwrap(), None).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none());
    batch
}

/// Opened again; texts don't say their types, so columns of texts are declared.
fn reopened(path: &Path, texts: &[&str]) -> Table {
    let types: Vec<_> = texts.iter().map(|name| ((*name).to_owned(), ColumnType::Text)).collect();
    Table::open_with(path.to_str().unwrap(), &Reading::typed(&types), Arc::new(quadrat_core::Silent)).unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("quadrat-pairs-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn cells() -> impl Strategy<Value = Vec<Option<u64>>> {
    let extremes = vec![
        0,
        1,
        u64::MAX,
        1 << 63,
        i64::MAX as u64,
        (1 << 53) + 1,
        f64::INFINITY.to_bits(),
        0x7ff8_0000_0000_1234,
        0xfff0_0000_0000_0001,
        u64::from(f32::NAN.to_bits()) << 32 | 0x7e01,
        0x8000_0001_0000_8001,
    ];
    let cell = prop_oneof![any::<u64>(), prop::sample::select(extremes)];
    prop::collection::vec(prop::option::weighted(0.8, cell), 1..8)
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("([a-z\"',;\n\r\t é☃\\\\\u{1}]|NA|null|007|1e5|\"\"){0,4}", 1..6)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn what_each_format_holds() {
    let cells = [Some(1), Some(2)];
    for (name, held) in HELD {
        let (field, array) = column(name, &cells, &["a".to_owned()]);
        let table = Table::from_bytes("a.arrows", stream(vec![field], vec![array]), &[]).unwrap();
        let says = |ending: &str| table.check_output(Path::new(&format!("a.{ending}")), &[]).is_ok();
        assert!(says("arrow") && says("arrows"), "{name}");
        assert_eq!(says("parquet"), held.contains('p'), "{name}");
        for ending in TEXTS {
            assert_eq!(says(ending), held.contains('t'), "{name} {ending}");
        }
        for ending in NUMPY {
            assert_eq!(says(ending), held.contains('n'), "{name} {ending}");
        }
        assert_eq!(says("arff"), held.contains('a'), "{name}");
        assert_eq!(says("dat.xz"), held.contains('k'), "{name}");
        assert_eq!(
            table.with_target(name).unwrap().check_output(Path::new("a.svm"), &[]).is_ok(),
            held.contains('s'),
            "{name}"
        );
    }
}

/// The array that a typed format gives back: Parquet has no seconds.
fn through(array: &ArrayRef, parquet: bool) -> ArrayRef {
    use arrow_schema::TimeUnit::Second;
    match array.data_type() {
        DataType::Timestamp(Second, _) if parquet => {
            Arc::new(array.as_primitive::<TimestampSecondType>().unary::<_, TimestampMillisecondType>(|s| s * 1000))
        }
        DataType::Time32(Second) if parquet => {
            Arc::new(array.as_primitive::<Time32SecondType>().unary::<_, Time32MillisecondType>(|s| s * 1000))
        }
        _ => array.clone(),
    }
}

#[test]
fn typed_formats_keep_every_bit_level_and_key() {
    let folder = folder("typed");
    proptest!(config(12), |(cells in cells(), texts in texts(), seed in any::<u64>())| {
        let names = HELD.iter().filter(|(_, held)| held.contains('p')).map(|(name, _)| *name);
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = names.map(|name| column(name, &cells, &texts)).unzip();
        let table = Table::from_bytes("a.arrows", stream(fields.clone(), arrays.clone()), &[]).unwrap();
        let rows: Vec<usize> = (0..5).map(|i| (seed >> (8 * i)) as usize % cells.len()).collect();
        let order = UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
        for first in TYPED {
            let path = folder.join(format!("a.{first}"));
            write_selection(&table, &rows, &[], &path).unwrap();
            let once = reopened(&path, &[]);
            for second in TYPED {
                let path = folder.join(format!("b.{second}"));
                write_selection(&once, &[0, 1, 2, 3, 4], &[], &path).unwrap();
                let found = record(&reopened(&path, &[]), &folder);
                prop_assert_eq!(found.schema().metadata().get("made by").cloned(), Some("a test".to_owned()));
                let parquet = first == "parquet" || second == "parquet";
                for ((field, array), (found_field, found)) in
                    fields.iter().zip(&arrays).zip(found.schema().fields().iter().zip(found.columns()))
                {
                    let expected = through(&arrow_select::take::take(array, &order, None).unwrap(), parquet);
                    let at = format!("{} through {first} and {second}", field.name());
                    prop_assert_eq!(found_field.metadata().get("ARROW:extension:name"), field.metadata().get("ARROW:extension:name"), "{}", at);
                    prop_assert_eq!(found_field.dict_is_ordered(), field.dict_is_ordered(), "{}", at);
                    prop_assert_eq!(found.data_type(), expected.data_type(), "{}", at);
                    prop_assert_eq!(found.to_data(), expected.to_data(), "{}", at);
                    if let (Some(levels), Some(all)) = (found.as_any_dictionary_opt(), array.as_any_dictionary_opt()) {
                        prop_assert_eq!(levels.values().to_data(), all.values().to_data(), "levels of {}", at);
                    }
                }
            }
        }
    });
    std::fs::remove_dir_all(folder).unwrap();
}

/// A cell's text read by others' rules: the same value, or `None` for a missing one.
fn same(array: &ArrayRef, row: usize, text: Option<&str>) -> bool {
    use arrow_schema::TimeUnit::*;
    use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
    if array.is_null(row) {
        return text.is_none();
    }
    macro_rules! parsed {
        ($t:ty, $n:ty) => {
            text.and_then(|t| t.parse::<$n>().ok()) == Some(array.as_primitive::<$t>().value(row))
        };
    }
    macro_rules! digits {
        ($t:ty) => {
            text.map(|t| t.replace('.', "").parse::<i128>().unwrap().to_string())
                == Some(array.as_primitive::<$t>().value(row).to_string())
        };
    }
    // NaN is a missing value in texts.
    macro_rules! float {
        ($t:ty, $n:ty) => {{
            let value = array.as_primitive::<$t>().value(row);
            if value.is_nan() {
                text.is_none()
            } else {
                text.and_then(|t| t.parse::<$n>().ok()).map(<$n>::to_bits) == Some(value.to_bits())
            }
        }};
    }
    let date = |t: Option<&str>| t.map(|t| t.parse::<NaiveDate>().unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc());
    let naive = |t: Option<&str>| t.map(|t| t.parse::<NaiveDateTime>().unwrap().and_utc());
    let time =
        |t: Option<&str>| t.map(|t| (t.parse::<NaiveTime>().unwrap() - NaiveTime::MIN).num_nanoseconds().unwrap());
    match array.data_type() {
        DataType::Boolean => text.map(|t| t == "true") == Some(array.as_boolean().value(row)),
        DataType::Int8 => parsed!(Int8Type, i8),
        DataType::Int16 => parsed!(Int16Type, i16),
        DataType::Int32 => parsed!(Int32Type, i32),
        DataType::Int64 => parsed!(Int64Type, i64),
        DataType::UInt8 => parsed!(UInt8Type, u8),
        DataType::UInt16 => parsed!(UInt16Type, u16),
        DataType::UInt32 => parsed!(UInt32Type, u32),
        DataType::UInt64 => parsed!(UInt64Type, u64),
        DataType::Float16 => {
            let value = array.as_primitive::<Float16Type>().value(row);
            let read = |t: &str| <Float16Type as ArrowPrimitiveType>::Native::from_f64(t.parse().unwrap());
            if value.is_nan() { text.is_none() } else { text.map(|t| read(t).to_bits()) == Some(value.to_bits()) }
        }
        DataType::Float32 => float!(Float32Type, f32),
        DataType::Float64 => float!(Float64Type, f64),
        DataType::Decimal32(..) => digits!(Decimal32Type),
        DataType::Decimal64(..) => digits!(Decimal64Type),
        DataType::Decimal128(..) => digits!(Decimal128Type),
        DataType::Decimal256(..) => digits!(Decimal256Type),
        DataType::Utf8 => text == Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text == Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => text == Some(array.as_string_view().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            same(dictionary.values(), dictionary.normalized_keys()[row], text)
        }
        DataType::Binary => {
            text == Some(&array.as_binary::<i32>().value(row).iter().map(|b| format!("{b:02x}")).collect::<String>())
        }
        DataType::FixedSizeBinary(_) => {
            let hex: String = array.as_fixed_size_binary().value(row).iter().map(|b| format!("{b:02x}")).collect();
            text.map(|t| t.replace('-', "")) == Some(hex)
        }
        DataType::Date32 => {
            date(text).map(|d| d.timestamp() / 86_400) == Some(i64::from(array.as_primitive::<Date32Type>().value(row)))
        }
        DataType::Date64 => {
            date(text).map(|d| d.timestamp_millis()) == Some(array.as_primitive::<Date64Type>().value(row))
        }
        DataType::Time32(Second) => {
            time(text) == Some(i64::from(array.as_primitive::<Time32SecondType>().value(row)) * 1_000_000_000)
        }
        DataType::Time32(_) => {
            time(text) == Some(i64::from(array.as_primitive::<Time32MillisecondType>().value(row)) * 1_000_000)
        }
        DataType::Time64(Microsecond) => {
            time(text) == Some(array.as_primitive::<Time64MicrosecondType>().value(row) * 1000)
        }
        DataType::Time64(_) => time(text) == Some(array.as_primitive::<Time64NanosecondType>().value(row)),
        DataType::Timestamp(Second, None) => {
            naive(text).map(|t| t.timestamp()) == Some(array.as_primitive::<TimestampSecondType>().value(row))
        }
        DataType::Timestamp(Millisecond, None) => {
            naive(text).map(|t| t.timestamp_millis())
                == Some(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        DataType::Timestamp(Microsecond, None) => {
            naive(text).map(|t| t.timestamp_micros())
                == Some(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Timestamp(Nanosecond, None) => {
            naive(text).map(|t| t.timestamp_nanos_opt().unwrap())
                == Some(array.as_primitive::<TimestampNanosecondType>().value(row))
        }
        DataType::Timestamp(unit, Some(_)) => {
            let at = text.map(|t| DateTime::parse_from_rfc3339(t).unwrap());
            match unit {
                Millisecond => {
                    at.map(|t| t.timestamp_millis())
                        == Some(array.as_primitive::<TimestampMillisecondType>().value(row))
                }
                _ => {
                    at.map(|t| t.timestamp_micros())
                        == Some(array.as_primitive::<TimestampMicrosecondType>().value(row))
                }
            }
        }
        // Durations and intervals are parsed by nobody at hand: their forms are tested one by one beside their code.
        DataType::Duration(_) | DataType::Interval(_) => {
            text.is_some_and(|t| t.trim_start_matches('-').starts_with('P'))
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            // JSON Lines reads lists of numbers of one width as embeddings, of doubles, and others as labels, of texts.
            let items: Vec<Option<f64>> = items.as_primitive::<Int32Type>().iter().map(|v| v.map(f64::from)).collect();
            text.map(|t| serde_json::from_str::<Vec<Option<f64>>>(&t.replace('"', "")).unwrap()) == Some(items)
        }
        DataType::FixedSizeList(..) => {
            let items = array.as_fixed_size_list().value(row);
            let items: Vec<f32> = items.as_primitive::<Float32Type>().values().to_vec();
            text.map(|t| serde_json::from_str::<Vec<f32>>(t).unwrap()) == Some(items)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn texts_keep_every_value() {
    let folder = folder("texts");
    proptest!(config(12), |(cells in cells(), texts in texts(), seed in any::<u64>())| {
        // Years of five digits have a sign before them, which their readers here do not take; JSON has no infinity.
        let finite: Vec<Option<u64>> = cells.iter().map(|c| c.filter(|c| {
            let half = <Float16Type as ArrowPrimitiveType>::Native::from_bits(*c as u16);
            f64::from_bits(*c).is_finite() && f32::from_bits((*c >> 32) as u32).is_finite() && half.is_finite()
        })).collect();
        let names: Vec<&str> = HELD.iter().filter(|(_, held)| held.contains("pt")).map(|(name, _)| *name).collect();
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = names.iter().map(|name| column(name, &finite, &texts)).unzip();
        let table = Table::from_bytes("a.arrows", stream(fields, arrays.clone()), &[]).unwrap();
        let rows: Vec<usize> = (0..5).map(|i| (seed >> (8 * i)) as usize % cells.len()).collect();
        let declared: Vec<&str> = names.iter().copied().filter(|name| !matches!(*name, "list" | "embedding")).collect();
        for first in TEXTS.iter().chain(&TYPED) {
            let path = folder.join(format!("a.{first}"));
            write_selection(&table, &rows, &[], &path).unwrap();
            let once = reopened(&path, if TEXTS.contains(first) { &declared } else { &[] });
            for second in TEXTS {
                let path = folder.join(format!("b.{second}"));
                write_selection(&once, &[0, 1, 2, 3, 4], &[], &path).unwrap();
                let found = record(&reopened(&path, &declared), &folder);
                for (name, array) in names.iter().zip(&arrays) {
                    let found = found.column_by_name(name);
                    let spelt = |row: usize| -> Option<String> {
                        let found = found.filter(|found| !found.is_null(row))?;
                        Some(match found.as_string_opt::<i64>() {
                            Some(texts) => texts.value(row).to_owned(),
                            None => json(found, row),
                        })
                    };
                    for (at, &row) in rows.iter().enumerate() {
                        let text = spelt(at);
                        prop_assert!(same(array, row, text.as_deref()), "{} through {} and {}: {:?}", name, first, second, text);
                    }
                }
            }
        }
    });
    std::fs::remove_dir_all(folder).unwrap();
}

/// The texts of a column, `None` where one is missing.
fn spelt(table: &Table, name: &str) -> Vec<Option<String>> {
    let missing = table.gaps(&[name]).unwrap().rows;
    let texts = table.strings(name).unwrap();
    // A text such as `NA` is one, however it is taken where a value is asked for.
    let gone = |(text, missing): (String, bool)| (!(missing && text.is_empty())).then_some(text);
    texts.into_iter().zip(missing).map(gone).collect()
}

#[test]
fn weka_and_keel_keep_numbers_words_and_levels() {
    let folder = folder("weka");
    proptest!(config(12), |(cells in cells(), texts in texts())| {
        // No whole number has a sign and 64 bits here, and an empty text is told from a missing one elsewhere.
        let texts: Vec<String> = texts.into_iter().map(|text| if text.is_empty() { "x".to_owned() } else { text }).collect();
        let small: Vec<Option<u64>> = cells.iter().map(|c| c.map(|c| c >> 1)).collect();
        let rows: Vec<usize> = (0..cells.len()).rev().collect();
        for (first, second, flag) in [("arff", "arff.gz", 'a'), ("dat", "arff", 'k'), ("parquet", "dat.xz", 'k'), ("arff", "parquet", 'a')] {
            let words: Vec<String> = if flag == 'k' { vec!["b c".to_owned(), "NA".to_owned(), "é-1".to_owned()] } else { texts.clone() };
            let names: Vec<&str> = HELD.iter().filter(|(_, held)| held.contains(flag)).map(|(name, _)| *name).collect();
            let made = |name: &&str| column(name, if *name == "u64" { &small } else { &cells }, &words);
            let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = names.iter().map(made).unzip();
            let table = Table::from_bytes("a.arrows", stream(fields, arrays.clone()), &[]).unwrap();
            let path = folder.join(format!("a.{first}"));
            write_selection(&table, &rows, &[], &path).unwrap();
            let once = reopened(&path, &[]);
            let path = folder.join(format!("b.{second}"));
            write_selection(&once, &rows, &[], &path).unwrap();
            let found = reopened(&path, &[]);
            for (name, array) in names.iter().zip(&arrays) {
                let found = spelt(&found, name);
                prop_assert_eq!(found.len(), cells.len());
                for (row, text) in found.iter().enumerate() {
                    let text = text.as_deref();
                    // All who read these formats read decimals as doubles.
                    let near = matches!(array.data_type(), DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..));
                    let held = if near {
                        let digits = arrow_digits(array, row);
                        text.map(|t| t.parse::<f64>().unwrap()) == digits.map(|t| t.parse::<f64>().unwrap())
                    } else {
                        same(array, row, text)
                    };
                    prop_assert!(held, "{} through {} and {}: {:?}", name, first, second, text);
                }
            }
        }
    });
    std::fs::remove_dir_all(folder).unwrap();
}

/// A decimal's digits.
fn arrow_digits(array: &ArrayRef, row: usize) -> Option<String> {
    array.is_valid(row).then(|| match array.data_type() {
        DataType::Decimal32(..) => array.as_primitive::<Decimal32Type>().value_as_string(row),
        DataType::Decimal64(..) => array.as_primitive::<Decimal64Type>().value_as_string(row),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        _ => array.as_primitive::<Decimal256Type>().value_as_string(row),
    })
}

#[test]
fn libsvm_keeps_labels_and_numbers() {
    let folder = folder("libsvm");
    proptest!(config(12), |(cells in cells())| {
        let names: Vec<&str> = HELD.iter().filter(|(name, held)| held.contains('s') && !name.starts_with('d')).map(|(name, _)| *name).collect();
        // No value is missing, and whole numbers are such that doubles hold them.
        let whole: Vec<Option<u64>> = cells.iter().map(|c| {
            let c = c.unwrap_or(7) >> 11;
            Some(if f64::from_bits(c).is_nan() || f32::from_bits((c >> 32) as u32).is_nan() || c & 0x7c00 == 0x7c00 { 0 } else { c })
        }).collect();
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = names.iter().map(|name| column(name, &whole, &[])).unzip();
        let table = Table::from_bytes("a.arrows", stream(fields, arrays.clone()), &[]).unwrap();
        let rows: Vec<usize> = (0..cells.len()).rev().collect();
        for label in ["i32", "f64", "bool"] {
            let table = table.clone().with_target(label).unwrap();
            let notes = table.check_output(Path::new("a.svm.gz"), &[]).unwrap();
            prop_assert!(notes.len() == 1 && notes[0].contains("libsvm has no names"), "{:?}", notes);
            let path = folder.join("a.svm.gz");
            write_selection(&table, &rows, &[], &path).unwrap();
            let once = reopened(&path, &[]);
            for second in ["libsvm", "svm.bz2", "csv", "parquet"] {
                let path = folder.join(format!("b.{second}"));
                prop_assert!(once.check_output(&path, &[]).unwrap().is_empty());
                write_selection(&once, &rows, &[], &path).unwrap();
                let found = reopened(&path, &[]);
                let own = names.iter().zip(&arrays).filter(|(name, _)| **name != label).zip(1..);
                for ((name, array), place) in own {
                    let found = spelt(&found, &format!("x{place}"));
                    prop_assert_eq!(found.len(), cells.len());
                    for (row, text) in found.iter().enumerate() {
                        let number = text.as_ref().map(|text| text.parse::<f64>().unwrap());
                        let text = match array.data_type() {
                            DataType::Boolean => number.map(|n| (n == 1.0).to_string()),
                            DataType::Float16 | DataType::Float32 | DataType::Float64 => number.map(|n| format!("{n:?}")),
                            _ => number.map(|n| format!("{n:.0}")),
                        };
                        prop_assert!(same(array, row, text.as_deref()), "{} as {} through {}: {:?}", name, label, second, text);
                    }
                }
                let at = names.iter().position(|name| *name == label).unwrap();
                let labels = spelt(&found, "label");
                prop_assert_eq!(labels.len(), cells.len());
                for (row, text) in labels.into_iter().enumerate() {
                    let text = text.map(|text| if label == "bool" { (text == "1").to_string() } else { text });
                    prop_assert!(same(&arrays[at], row, text.as_deref()), "{} through {}: {:?}", label, second, text);
                }
            }
        }
    });
    std::fs::remove_dir_all(folder).unwrap();
}

/// A list as JSON Lines types it.
fn json(lists: &ArrayRef, row: usize) -> String {
    let items: ArrayRef = match lists.data_type() {
        DataType::FixedSizeList(..) => lists.as_fixed_size_list().value(row),
        _ => lists.as_list::<i32>().value(row),
    };
    let items: Vec<String> = match items.as_string_opt::<i64>() {
        Some(texts) => texts.iter().map(|t| t.unwrap_or("null").to_owned()).collect(),
        None => {
            items.as_primitive::<Float64Type>().iter().map(|v| v.map_or("null".to_owned(), |v| v.to_string())).collect()
        }
    };
    format!("[{}]", items.join(","))
}

#[test]
fn numpy_keeps_numbers_texts_and_times() {
    let folder = folder("numpy");
    proptest!(config(12), |(cells in cells(), texts in texts())| {
        let names: Vec<&str> = HELD.iter().filter(|(_, held)| held.contains('n')).map(|(name, _)| *name).collect();
        let whole: Vec<Option<u64>> = cells.iter().map(|c| Some(c.unwrap_or(7))).collect();
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = names.iter().map(|name| column(name, &whole, &texts)).unzip();
        let table = Table::from_bytes("a.arrows", stream(fields, arrays.clone()), &[]).unwrap();
        let rows: Vec<usize> = (0..cells.len()).rev().collect();
        // A table of several types is a structured array in npy.
        for (first, second) in [("npz", "npz"), ("npy", "npz"), ("npz", "npy"), ("npy", "npy"), ("parquet", "npy")] {
            let path = folder.join(format!("a.{first}"));
            write_selection(&table, &rows, &[], &path).unwrap();
            let once = reopened(&path, &[]);
            let path = folder.join(format!("b.{second}"));
            write_selection(&once, &rows, &[], &path).unwrap();
            let found = record(&reopened(&path, &[]), &folder);
            for (name, array) in names.iter().zip(&arrays) {
                let found = found.column_by_name(name).unwrap();
                let at = format!("{name} through {first} and {second}");
                match *name {
                    "utf8" | "large" | "view" | "dict" | "dict16" | "uuid" => {
                        let found = found.as_string::<i64>();
                        (0..cells.len()).for_each(|row| assert!(same(array, row, Some(found.value(row))), "{at}"));
                    }
                    "date64" => {
                        let found = found.as_primitive::<TimestampMillisecondType>().values();
                        prop_assert_eq!(found, array.as_primitive::<Date64Type>().values(), "{}", at);
                    }
                    _ => {
                        let expected = through(array, first == "parquet");
                        // An embedding's missing rows would be marked by nothing here: there are none.
                        let expected = if *name == "embedding" { expected.as_fixed_size_list().values().clone() } else { expected };
                        let found = if *name == "embedding" { found.as_fixed_size_list().values().clone() } else { found.clone() };
                        prop_assert_eq!(found.to_data(), expected.to_data(), "{}", at);
                    }
                }
            }
        }
    });
    std::fs::remove_dir_all(folder).unwrap();
}
