//! Text files as people have them: dialects, encodings, codes, missing values. What is assumed is said, and rows come
//! out as they went in.

use quadrat_core::{Error, Silent};
use quadrat_data::{ColumnType, Format, Missing, Reading, Table, Values, write_resampled, write_selection};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of its own for each test, whose thread has its name.
fn folder(name: &str) -> PathBuf {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let folder = std::env::temp_dir().join(format!("quadrat-dialects-{}-{test}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Opens a file of this content.
fn open(name: &str, content: &[u8], reading: &Reading) -> Result<Table, Error> {
    let path = folder("in").join(name);
    std::fs::write(&path, content).unwrap();
    Table::open_with(path.to_str().unwrap(), reading, Arc::new(Silent))
}

fn table(name: &str, content: &str) -> Table {
    open(name, content.as_bytes(), &Reading::default()).unwrap()
}

fn kinds(table: &Table) -> Vec<ColumnType> {
    table.columns().iter().map(|c| c.kind).collect()
}

/// Whether some note has all the words.
fn says(table: &Table, words: &[&str]) -> bool {
    table.notes().iter().any(|note| words.iter().all(|word| note.contains(word)))
}

fn numbers(table: &Table, column: &str) -> Vec<f64> {
    table.numeric(&[column], Missing::Keep).unwrap().iter().copied().collect()
}

/// All rows of a table written to `name`, then what the file holds.
fn copied(table: &Table, rows: &[usize], added: &[(String, Values)], name: &str) -> Vec<u8> {
    let path = folder("out").join(name);
    write_selection(table, rows, added, &path).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn ordinary_files_say_nothing() {
    for (name, content) in [
        ("a.csv", "a,b\n1,x\n2,y\n"),
        ("a.csv", "id,tags,price,when\n1,x;y,1.5,2024-01-02\n2,y,2.25,2024-01-03\n"),
        ("a.tsv", "a\tb\n1\tx, y\n2\tz\n"),
        ("a.csv", "text\nwhat he said\nwhat she said\n"),
    ] {
        assert_eq!(table(name, content).notes(), [] as [&str; 0], "{content}");
    }
}

#[test]
fn thousands_are_numbers_and_said() {
    let t = table("t.csv", "rooms,price,sold\n1,950,no\n2,\"1,037\",yes\n3,?,no\n4,\"1,234,567\",yes\n");
    assert_eq!(kinds(&t), [ColumnType::Integer, ColumnType::Integer, ColumnType::Text]);
    let price = numbers(&t, "price");
    assert_eq!((price[0], price[1], price[3]), (950.0, 1037.0, 1_234_567.0));
    assert!(price[2].is_nan() && says(&t, &["`price`", "thousands", "--thousands"]));
    // As categories and labels, cells keep their spelling; into typed formats goes the number.
    assert_eq!(t.categories("price", Missing::Keep).unwrap().names, ["", "1,037", "1,234,567", "950"]);
    let json = copied(&t, &[1], &[], "t.jsonl");
    assert_eq!(String::from_utf8(json).unwrap(), "{\"rooms\":2,\"price\":1037,\"sold\":\"yes\"}\n");
    // Told, every column is read so.
    let told = Reading { thousands: Some('\''), ..Reading::default() };
    let t = open("s.csv", b"a,b\n1'234,1\n2,1'000.5\n", &told).unwrap();
    assert_eq!((numbers(&t, "a"), numbers(&t, "b")), (vec![1234.0, 2.0], vec![1.0, 1000.5]));
    assert_eq!(t.notes(), [] as [&str; 0]);
}

#[test]
fn decimal_commas_are_read_and_written() {
    let content = "n;x;y\r\n1;0,5;a\r\n2;1.234,25;b\r\n3;;a\r\n";
    let t = table("e.csv", content);
    assert_eq!(kinds(&t), [ColumnType::Integer, ColumnType::Float, ColumnType::Text]);
    assert_eq!(numbers(&t, "x")[..2], [0.5, 1234.25]);
    assert!(says(&t, &["`;`", "--separator"]) && says(&t, &["`x`", "decimal"]));
    // Kept rows are the user's bytes; new cells follow the file's dialect, without marks between thousands.
    let weight = [("weight".to_owned(), Values::Float(vec![2.5, 1e6]))];
    let out = String::from_utf8(copied(&t, &[1, 0], &weight, "e.csv")).unwrap();
    assert_eq!(out, "n;x;y;weight\r\n2;1.234,25;b;2,5\r\n1;0,5;a;1000000,0\r\n");
    let synthetic = [
        ("n".to_owned(), Values::Float(vec![1.5, 2.0])),
        ("x".to_owned(), Values::Float(vec![1234.75, f64::NAN])),
        ("y".to_owned(), Values::Text(vec!["c;d".to_owned(), "e,f".to_owned()])),
    ];
    let path = folder("out").join("made.csv");
    write_resampled(&t, &[2], &synthetic, &path).unwrap();
    let out = std::fs::read_to_string(&path).unwrap();
    assert_eq!(out, "n;x;y\r\n3;;a\r\n2;1234,75;\"c;d\"\r\n2;;e,f\r\n");
    // Another format has its own spelling.
    let out = String::from_utf8(copied(&t, &[1], &[], "e.tsv")).unwrap();
    assert_eq!(out, "n\tx\ty\n2\t1234.25\tb\n");
    // In a file whose fields are separated by commas, a decimal comma is in quotation marks.
    let told = Reading { decimal: Some(','), ..Reading::default() };
    let t = open("q.csv", b"x,y\n\"1,5\",1\n2,2\n", &told).unwrap();
    assert_eq!(numbers(&t, "x"), [1.5, 2.0]);
    let weight = [("w".to_owned(), Values::Float(vec![0.5]))];
    assert_eq!(copied(&t, &[0], &weight, "q.csv"), b"x,y,w\n\"1,5\",1,\"0,5\"\n");
    // Untold it stays text and the option is named.
    let t = table("r.csv", "x,y\n\"1,5\",1\n2,2\n");
    assert!(kinds(&t)[0] == ColumnType::Text && says(&t, &["`x`", "--decimal ,"]));
    let t = table("u.csv", "x;y\n1,234;1\n2,345;2\n");
    assert!(kinds(&t)[0] == ColumnType::Text && says(&t, &["`x`", "--decimal", "--thousands"]));
}

#[test]
fn a_missing_header_is_seen() {
    let content = "1.1,3.2,b\n2.1,6.2,b\n3.1,9.2,a\n";
    let t = table("h.csv", content);
    assert_eq!((t.rows(), t.column_names()), (3, vec!["column 1", "column 2", "column 3"]));
    assert!(says(&t, &["1.1", "--header"]));
    let weight = [("weight".to_owned(), Values::Integer(vec![7]))];
    assert_eq!(copied(&t, &[2], &weight, "h.csv"), b"3.1,9.2,a,7\n");
    assert_eq!(copied(&t, &[0], &[], "h.tsv"), b"column 1\tcolumn 2\tcolumn 3\n1.1\t3.2\tb\n");
    let told = |header| open("h2.csv", content.as_bytes(), &Reading { header: Some(header), ..Reading::default() });
    assert_eq!((told(true).unwrap().rows(), told(true).unwrap().column_names()[0]), (2, "1.1"));
    assert_eq!((told(false).unwrap().rows(), told(false).unwrap().notes().len()), (3, 0));
    let t = table("o.csv", "0,1,2\n5,6,4\n7,7,9\n");
    assert!(t.rows() == 2 && says(&t, &["--no-header"]));
    let one = open("one.csv", b"1,2\n", &Reading { header: Some(false), ..Reading::default() }).unwrap();
    assert_eq!(one.rows(), 1);
}

#[test]
fn other_line_ends_and_named_separators() {
    let t = table("mac.csv", "a,b\r1,x\r2,y\r");
    assert!(t.rows() == 2 && says(&t, &["carriage returns"]));
    assert_eq!(copied(&t, &[1], &[], "mac.csv"), b"a,b\n2,y\n");
    let t = table("excel.csv", "\u{feff}sep=|\r\na,b|c\r\n1,5|2\r\n");
    assert!(t.column_names() == ["a,b", "c"] && t.notes().len() == 1, "{:?}", t.notes());
    assert_eq!(copied(&t, &[0], &[], "excel.csv"), "\u{feff}sep=|\r\na,b|c\r\n1,5|2\r\n".as_bytes());
}

#[test]
fn blank_lines_are_counted() {
    let t = table("one.csv", "a\n1\n\n3\n");
    assert_eq!(t.rows(), 3);
    let a = numbers(&t, "a");
    assert!(a[0] == 1.0 && a[1].is_nan() && a[2] == 3.0 && says(&t, &["1 blank line", "line 3"]));
    let e = t.numeric(&["a"], Missing::Error).unwrap_err().to_string();
    assert!(e.contains("one.csv:3: column `a`: the value is missing"), "{e}");
    assert_eq!(copied(&t, &[2, 1, 0], &[], "one.csv"), b"a\n3\n\n1\n");
    let t = table("two.csv", "\na,b\r\n1,x\r\n\r\n\r\n3,y\r\n");
    assert!(t.rows() == 2 && says(&t, &["2 blank lines were skipped", "line 4"]), "{:?}", t.notes());
    assert_eq!(copied(&t, &[1], &[], "two.csv"), b"\na,b\r\n3,y\r\n");
}

#[test]
fn comments_are_skipped_and_counted() {
    let content = "# made by hand; on a \"Monday\n# a,b\na,b\n1,2\n#3,4\n\n5,6\n";
    let t = table("c.csv", content);
    assert_eq!((t.rows(), t.column_names()), (2, vec!["a", "b"]));
    assert!(says(&t, &["3 comment lines", "line 1"]) && says(&t, &["1 blank line"]), "{:?}", t.notes());
    assert_eq!(t.line(1), 7);
    let head = "# made by hand; on a \"Monday\n# a,b\na,b\n";
    assert_eq!(copied(&t, &[1, 0], &[], "c.csv"), format!("{head}5,6\n1,2\n").as_bytes());
    let told = Reading { comment: Some("//".to_owned()), ..Reading::default() };
    let t = open("d.csv", b"a,b\n// no\n1,2\n#3,4\n", &told).unwrap();
    assert_eq!((t.rows(), t.strings("a").unwrap()[1].as_str()), (2, "#3"));
}

#[test]
fn other_quotes_and_separators_are_taken() {
    let told = Reading { separator: Some(':'), quote: Some('\''), ..Reading::default() };
    let t = open("q.csv", b"a:b\n'x:''y':1\n\"z:2\n", &told).unwrap();
    assert_eq!(t.strings("a").unwrap(), ["x:'y", "\"z"]);
    let synthetic = [("a".to_owned(), Values::Text(vec!["it's".to_owned()]))];
    let path = folder("out").join("q.csv");
    write_resampled(&t, &[0], &synthetic, &path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a:b\n'x:''y':1\n'it''s':\n");
    let t = table("p.csv", "a|b\n1|x\n2|y\n");
    assert!(t.column_names() == ["a", "b"] && says(&t, &["`|`", "--separator"]));
    // A row that breaks the rule is named, not taken for one column.
    let e = open("s.csv", b"a;b\n1;2\n3;4\n5;6\n7;8\n9;0\n1;2\n3;4\n5;6\n7;8\n9\n", &Reading::default());
    let e = e.err().unwrap().to_string();
    assert!(e.contains("s.csv:11: 1 field where the header has 2"), "{e}");
}

#[test]
fn other_encodings_go_back_as_they_came() {
    let latin = b"name,n\nJos\xe9,1\nZo\xeb,2\n";
    let e = open("l.csv", latin, &Reading::default()).err().unwrap().to_string();
    assert!(e.contains("l.csv:2: byte 0xE9 is not UTF-8") && e.contains("--encoding windows-1252"), "{e}");
    let told = Reading { encoding: Some("latin1".to_owned()), ..Reading::default() };
    let t = open("l.csv", latin, &told).unwrap();
    assert_eq!(t.strings("name").unwrap(), ["José", "Zoë"]);
    assert_eq!(copied(&t, &[1, 0], &[], "l.csv"), b"name,n\nZo\xeb,2\nJos\xe9,1\n");
    assert_eq!(copied(&t, &[1], &[], "l.jsonl"), "{\"name\":\"Zoë\",\"n\":2}\n".as_bytes());
    let snowman = [("w".to_owned(), Values::Text(vec!["☃".to_owned()]))];
    let refused = write_selection(&t, &[0], &snowman, &folder("out").join("w.csv")).unwrap_err().to_string();
    assert!(refused.contains("windows-1252"), "{refused}");
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let t = open("u.csv", &wide("\u{feff}a\tb\r\né\t1\r\nß\t2\r\n"), &Reading::default()).unwrap();
    assert!(says(&t, &["UTF-16LE"]) && t.column_names() == ["a", "b"]);
    assert_eq!(copied(&t, &[1], &[], "u.csv"), wide("\u{feff}a\tb\r\nß\t2\r\n"));
}

#[test]
fn codes_keep_their_zeros() {
    let t = table("z.csv", "zip,n,y\n00123,1,10\n90210,2,0\n");
    assert_eq!(kinds(&t), [ColumnType::Text, ColumnType::Integer, ColumnType::Integer]);
    assert!(t.strings("zip").unwrap() == ["00123", "90210"] && says(&t, &["`zip`", "--types"]));
    let types = [("zip".to_owned(), ColumnType::Integer)];
    let t = open("z.csv", b"zip,n\n00123,1\n90210,2\n", &Reading::typed(&types)).unwrap();
    assert_eq!((numbers(&t, "zip"), t.notes().len()), (vec![123.0, 90210.0], 0));
}

#[test]
fn unnamed_and_doubled_columns_are_named() {
    let t = table("u.csv", ",a,\n0,1,x\n1,2,y\n");
    assert_eq!(t.column_names(), ["column 1", "a", "column 3"]);
    assert!(says(&t, &["`column 1`", "`column 3`"]));
    let e = open("t.csv", b"\n\na,b,a\n1,2,3\n", &Reading::default()).err().unwrap().to_string();
    assert!(e.contains("t.csv:3: two columns are called `a` (columns 1 and 3)"), "{e}");
}

#[test]
fn missing_is_missing_in_every_use() {
    let csv = "x,c\n1,pos\n?,?\nNA,None\n4,neg\n-999,n/a\n6,\n-999.0,unknown\n";
    let json = "{\"x\":1,\"c\":\"pos\"}\n{\"x\":null,\"c\":\"?\"}\n{\"x\":\"NA\",\"c\":\"None\"}\n{\"x\":4,\"c\":\"neg\"}\n\
                {\"x\":-999,\"c\":\"n/a\"}\n{\"x\":6,\"c\":\"\"}\n{\"x\":-999.0,\"c\":\"unknown\"}\n";
    let told = Reading { missing_codes: vec!["-999".to_owned(), "unknown".to_owned()], ..Reading::default() };
    let plain = table("m.csv", csv);
    let parquet = folder("out").join("m.parquet");
    write_selection(&plain, &[0, 1, 2, 3, 4, 5, 6], &[], &parquet).unwrap();
    let parquet = std::fs::read(parquet).unwrap();
    for (name, content) in [("m.csv", csv.as_bytes()), ("m.jsonl", json.as_bytes()), ("m.parquet", &parquet)] {
        let t = open(name, content, &Reading::default()).unwrap();
        assert_eq!(t.categories("c", Missing::Keep).unwrap().names, ["", "neg", "pos", "unknown"], "{name}");
        assert_eq!(numbers(&t, "x").iter().filter(|x| x.is_nan()).count(), 2, "{name}");
        let t = open(name, content, &told).unwrap();
        assert!(t.columns()[0].kind.is_numeric(), "{name}");
        assert_eq!(t.categories("c", Missing::Keep).unwrap().names, ["", "neg", "pos"], "{name}");
        assert_eq!(numbers(&t, "x").iter().filter(|x| x.is_nan()).count(), 4, "{name}");
        let e = t.categories("c", Missing::Error).unwrap_err().to_string();
        assert!(e.contains(":2: column `c`") || e.contains(":3: column `c`"), "{e}");
        // Texts are the user's.
        assert_eq!(t.strings("c").unwrap()[..3], ["pos", "?", "None"], "{name}");
    }
    // A code may be a word among numbers; kept bytes stay.
    let t = open("w.csv", b"x,y\n1,2\nunknown,3\n", &told).unwrap();
    assert!(kinds(&t)[0] == ColumnType::Integer && numbers(&t, "x")[1].is_nan());
    assert_eq!(copied(&t, &[1], &[], "w.csv"), b"x,y\nunknown,3\n");
    assert_eq!(copied(&t, &[1], &[], "w.jsonl"), b"{\"x\":null,\"y\":3}\n");
    let bytes = copied(&table("v.csv", "a,b\n-999,1\n2,3\n"), &[0, 1], &[], "v.npy");
    let t = open("v.npy", &bytes, &told).unwrap();
    assert!(numbers(&t, "x0")[0].is_nan() && numbers(&t, "x1") == [1.0, 3.0]);
}

#[test]
fn json_comes_in_every_shape() {
    let array = "[\n  {\"a\": 1, \"b\": \"x\"},\n  {\"a\": 2.50, \"b\": null}\n]\n";
    let data = "{\"count\": 2, \"data\": [{\"a\":1,\"b\":\"x\"}, {\"a\":2.50,\"b\":null}], \"more\": [1]}\n";
    let pretty = "{\n  \"a\": 1,\n  \"b\": \"x\"\n}\n{\n  \"a\": 2.50,\n  \"b\": null\n}\n";
    let lines = "{\"a\": 1, \"b\": \"x\"}\n{\"a\": 2.50, \"b\": null}\n";
    for (name, content, said) in [
        ("a.json", array, None),
        ("a.jsonl", array, Some("read as JSON")),
        ("d.json", data, Some("`data`")),
        ("p.json", pretty, None),
        ("p.jsonl", pretty, Some("read as JSON")),
        ("l.json", lines, Some("read as JSON Lines")),
        ("l.jsonl", lines, None),
    ] {
        let t = table(name, content);
        assert_eq!((t.rows(), t.column_names(), numbers(&t, "a")), (2, vec!["a", "b"], vec![1.0, 2.5]), "{name}");
        assert_eq!(kinds(&t), [ColumnType::Float, ColumnType::Text], "{name}");
        assert!(said.map_or(t.notes().is_empty(), |said| says(&t, &[said])), "{name}: {:?}", t.notes());
        // Whatever the shape, one object a line and an array can be written, and rows are what they were.
        let weight = [("w".to_owned(), Values::Integer(vec![3, 4]))];
        let out = String::from_utf8(copied(&t, &[1, 0], &weight, "out.jsonl")).unwrap();
        let spelt: String = out.split_whitespace().collect();
        assert_eq!(spelt, "{\"a\":2.50,\"b\":null,\"w\":3}{\"a\":1,\"b\":\"x\",\"w\":4}", "{name}");
        assert_eq!(out.lines().count(), 2, "{name}");
        let out = copied(&t, &[1, 0], &weight, "out.json");
        let again = open("again.json", &out, &Reading::default()).unwrap();
        assert_eq!((numbers(&again, "a"), numbers(&again, "w")), (vec![2.5, 1.0], vec![3.0, 4.0]), "{name}");
    }
    let t = table("a.json", array);
    assert_eq!(copied(&t, &[0, 1], &[], "a.json"), array.as_bytes());
    assert_eq!(copied(&t, &[1], &[], "a.json"), b"[\n  {\"a\": 2.50, \"b\": null}\n]\n");
    let t = table("d.json", data);
    let expected = "{\"count\": 2, \"data\": [{\"a\":2.50,\"b\":null}, {\"a\":1,\"b\":\"x\"}], \"more\": [1]}\n";
    assert_eq!(String::from_utf8(copied(&t, &[1, 0], &[], "d.json")).unwrap(), expected);
    let path = folder("out").join("made.json");
    write_resampled(&t, &[0], &[("a".to_owned(), Values::Float(vec![0.5]))], &path).unwrap();
    let expected = "{\"count\": 2, \"data\": [{\"a\":1,\"b\":\"x\"}, {\"a\":0.5,\"b\":null}], \"more\": [1]}\n";
    assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    let csv = table("c.csv", "a,b\n1,x\n2,\n");
    assert_eq!(copied(&csv, &[0, 1], &[], "c.json"), b"[\n{\"a\":1,\"b\":\"x\"},\n{\"a\":2,\"b\":null}\n]\n");
    assert!(says(&table("o.json", "{\n\"a\": 1\n}\n"), &["one row"]));
    for (content, line, why) in [
        ("[\n{\"a\": 1},\n{\"a\": }\n]\n", 3, "expected a value"),
        ("[\n{\"a\": 1}\n{\"a\": 2}\n]\n", 3, "comma or a closing bracket"),
        ("[1, 2]\n", 1, "a table is an array of objects"),
        ("{\n\"a\": 1,\n\n", 4, "key in quotation marks"),
    ] {
        let e = open("e.json", content.as_bytes(), &Reading::default()).err().unwrap().to_string();
        assert!(e.contains(&format!("e.json:{line}: not JSON: ")) && e.contains(why), "{e}");
    }
}

#[test]
fn weka_keel_and_libsvm_files_are_read() {
    let arff = "% a comment\n@RELATION 'r 1'\n@attribute 'the x' numeric\n@attribute n INTEGER\n@attribute c {low, 'mid, or so',high}\n\
                @attribute t string\n@attribute d date \"yyyy-MM-dd\"\n@data\n1.5,3,low,'it\\'s',2020-01-02\n\n?,4,?,?,?\n\
                {0 2, 2 high, 3 'a b'}\n";
    let t = table("a.arff", arff);
    assert_eq!(t.column_names(), ["the x", "n", "c", "t", "d"]);
    use ColumnType::*;
    assert_eq!(kinds(&t), [Float, Integer, Category, Text, Text]);
    assert_eq!(numbers(&t, "n"), [3.0, 4.0, 0.0]);
    assert_eq!(t.strings("c").unwrap(), ["low", "", "high"]);
    assert_eq!(t.strings("t").unwrap(), ["it's", "", "a b"]);
    let e = t.numeric(&["the x"], Missing::Error).unwrap_err().to_string();
    assert!(e.contains("a.arff:11: column `the x`"), "{e}");
    // Written and read again: the same cells, all levels in their order.
    let again = copied(&t, &[2, 0, 1], &[], "b.arff");
    let again = open("b.arff", &again, &Reading::default()).unwrap();
    assert_eq!(kinds(&again), kinds(&t));
    assert_eq!(again.strings("c").unwrap(), ["high", "low", ""]);
    assert_eq!(again.strings("t").unwrap(), ["a b", "it's", ""]);
    let out = String::from_utf8(copied(&t, &[0], &[], "c.arff")).unwrap();
    assert!(out.contains("@attribute c {low,'mid, or so',high}\n") && out.contains("@attribute 'the x' real"), "{out}");
    let csv = table("c.csv", "x,y\n1,a\n2,b\n3,a\n4,b c\n5,a\n6,b\n");
    let out = String::from_utf8(copied(&csv, &[3, 0], &[("w".to_owned(), Values::Float(vec![0.5, 1e9]))], "d.arff"));
    assert!(out.unwrap().ends_with("@data\n4,'b c',0.5\n1,a,1000000000.0\n"));
    for (content, why) in [
        ("@relation r\n@attribute a {x}\n@data\ny\n", "b.arff:4: attribute `a` has no level `y`"),
        ("@relation r\n@attribute a real\n@data\n1,2\n", "b.arff:4: 2 values where there are 1 attributes"),
        ("@relation r\n@attribute a relational\n@data\n", "b.arff:2: attribute `a` is of type `relational`"),
        ("@relation r\n@attribute a real\n", "no @data"),
    ] {
        let e = open("b.arff", content.as_bytes(), &Reading::default()).err().unwrap().to_string();
        assert!(e.contains(why), "{e}");
    }
    let keel = "@relation k\n@attribute A real [0.0, 1.0]\n@attribute B integer[0,5]\n@attribute Class{p, n}\n\
                @inputs A, B\n@outputs Class\n@data\n0.5, 1, p\n<null>, 2, n\n";
    let t = table("k.dat", keel);
    assert_eq!(kinds(&t), [Float, Integer, Category]);
    assert!(says(&t, &["target is Class"]) && numbers(&t, "A")[1].is_nan());

    let svm = "+1 1:0.5 3:-2e1 # first\n\n-1 2:1\n";
    let t = table("a.libsvm", svm);
    assert_eq!(t.column_names(), ["label", "x1", "x2", "x3"]);
    assert_eq!(kinds(&t), [Integer, Float, Float, Float]);
    assert_eq!((numbers(&t, "label"), numbers(&t, "x3"), t.line(1)), (vec![1.0, -1.0], vec![-20.0, 0.0], 3));
    let t = table("q.svm", "1 qid:3 0:1\n2 qid:4 1:1\n");
    assert_eq!(t.column_names(), ["label", "qid", "x0", "x1"]);
    assert_eq!(table("m.svm", "1,2 1:1\n3 1:2\n").labels("label", None).unwrap().names, ["1", "2", "3"]);
    for (content, why) in [
        ("1 1:x\n", "e.svm:1: found `1:x`"),
        ("1 1:1 1:2\n", "feature 1 is given twice"),
        ("1 4000000000:1\n1 1:1\n", "GB when zeros are written out"),
    ] {
        let e = open("e.svm", content.as_bytes(), &Reading::default()).err().unwrap().to_string();
        assert!(e.contains(why), "{e}");
    }
}

#[test]
fn libsvm_is_written_with_the_label_first() {
    let written = |t: &Table, rows: &[usize]| String::from_utf8(copied(t, rows, &[], "a.svm")).unwrap();
    let refused = |t: &Table, name: &str| t.check_output(&folder("svm").join(name), &[]).unwrap_err().to_string();
    // Its own rows keep their numbers, the first one names all of them.
    let t = table("a.libsvm", "+1 1:0.5 3:-2e1 # first\n-1 2:1\n2 2:0\n");
    assert_eq!(written(&t, &[2, 1, 0]), "2 1:0.0 2:0.0 3:0.0\n-1 2:1.0\n1 1:0.5 3:-20.0\n");
    let t = table("q.svm", "1 qid:3 0:1\n2 qid:4 1:-0.0\n");
    assert_eq!(written(&t, &[0, 1]), "1 qid:3 0:1.0 1:0.0\n2 qid:4 1:-0.0\n");
    let t = table("m.svm", "1,2 1:1\n3 1:2\n");
    assert_eq!(written(&t, &[1, 0]), "3 1:2.0\n1,2 1:1.0\n");
    // Of other tables the target is the label, or the column that is called so.
    let t = table("a.csv", "a,y,b\n1,1,true\n0,2,false\n0.5,1,true\n").with_target("y").unwrap();
    assert_eq!(written(&t, &[0, 1, 2]), "1 1:1.0 2:1\n2\n1 1:0.5 2:1\n");
    let notes = t.check_output(Path::new("a.svm"), &[]).unwrap();
    assert_eq!(notes, ["libsvm has no names: feature 1 is `a`, 2 is `b`"]);
    let t = table("a.csv", "x2,label,x1\n1,-1,3\n");
    assert_eq!((written(&t, &[0]), t.check_output(Path::new("a.svm"), &[]).unwrap().len()), ("-1 1:3 2:1\n".into(), 0));
    for (csv, why) in [
        ("a,b\n1,2\n", "--target"),
        ("label,b\n1,x\n", "column `b`: got values of type text; libsvm does not hold it"),
        ("label,b\n1,2\n1,\n", "column `b`: got a value; libsvm does not hold it (it has no missing values"),
        ("label,b\n,2\n1,2\n", "column `label`"),
        ("label,b\nx,2\ny,2\n", "labels are numbers, and one is `x`: number the classes"),
        ("label,b\n1,9007199254740993\n", "doubles"),
        ("label,qid\n1,0.5\n", "qid is a whole number"),
    ] {
        let e = refused(&table("e.csv", csv), "e.svm");
        assert!(e.contains(why), "{e}");
    }
    let weight = [("weight".to_owned(), Values::Float(vec![1.0]))];
    let e = write_selection(&t, &[0], &weight, &folder("svm").join("w.svm")).unwrap_err().to_string();
    assert!(e.contains("`weight`") && e.contains("write .csv"), "{e}");
}

#[test]
fn keel_is_written_with_ranges_and_the_target() {
    let t =
        table("a.csv", "a,n,c,d\n0.5,1,x y,true\n,3,z,false\n-2,2,x y,true\ninf,2,z,true\n").with_target("c").unwrap();
    let out = String::from_utf8(copied(&t, &[0, 1, 3, 2], &[], "a.dat")).unwrap();
    assert_eq!(
        out,
        "@relation rows\n@attribute a real [-2.0, 0.5]\n@attribute n integer [1, 3]\n@attribute c {x y, z}\n\
         @attribute d {false, true}\n@inputs a, n, d\n@outputs c\n@data\n\
         0.5, 1, x y, true\n<null>, 3, z, false\nInfinity, 2, z, true\n-2.0, 2, x y, true\n"
    );
    let again = open("a.dat", out.as_bytes(), &Reading::default()).unwrap();
    assert_eq!((again.format(), again.strings("c").unwrap().concat()), (Format::Keel, "x yzzx y".to_owned()));
    for (csv, why) in [("a b\n1\n", "single words"), ("a\n\"x,y\"\nz\n", "no quotation marks")] {
        let e = table("e.csv", csv).check_output(Path::new("e.dat"), &[]).unwrap_err().to_string();
        assert!(e.contains(why) && e.contains("write .arff"), "{e}");
    }
}

#[test]
fn compressions_and_containers_come_off() {
    let t = table("a.csv", "a,b\n1,x\n2,y\n3,z\n");
    for ending in ["gz", "zst", "bz2", "xz"] {
        let packed = copied(&t, &[2, 0], &[], &format!("a.csv.{ending}"));
        assert!(!packed.starts_with(b"a,b"));
        // Whatever the name says.
        for name in [format!("b.csv.{ending}"), "c.csv".to_owned()] {
            let back = open(&name, &packed, &Reading::default()).unwrap();
            assert_eq!(copied(&back, &[0, 1], &[], "b.csv"), b"a,b\n3,z\n1,x\n", "{name}");
        }
        for cut in [packed.len() / 2, packed.len() - 1] {
            let e = open("d.csv", &packed[..cut], &Reading::default()).err().map(|e| e.to_string());
            assert!(e.is_some_and(|e| e.contains("damaged compression")), "{ending} {cut}");
        }
    }
    let hex = |text: &str| -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    for packed in [BZ2, XZ] {
        let t = open("p.csv", &hex(packed), &Reading::default()).unwrap();
        assert_eq!((t.rows(), t.column_names()), (1, vec!["a"]));
    }
    // A zip of one file in a folder.
    let t = open("p.zip", &hex(ZIP), &Reading::default()).unwrap();
    assert_eq!((t.rows(), t.column_names(), t.format()), (1, vec!["a"], Format::Csv));
    for name in ["a.xlsx", "a.sqlite", "https://example.org/a.csv", "a.pkl"] {
        let e = Table::open(name, &[]).err().unwrap().to_string();
        assert!(e.contains("make a table of it first"), "{e}");
    }
    // Names that promise nothing.
    let t = table("iris.data", "5.1;a\n4.9;b\n4.7;a\n");
    assert!(t.rows() == 3 && says(&t, &["CSV", "--format"]));
    assert!(table("rows", "{\"a\":1}\n{\"a\":2}\n").rows() == 2);
    assert!(open("a.docx", b"hello", &Reading::default()).is_err());
}

/// `bz2.compress`, `lzma.compress` and `zipfile.ZipFile` of Python 3, of the file `a\n1\n`.
const BZ2: &str = "425a68393141592653591f79e99e000001c900001020002000200030cc0c7a8271772453850901f79e99e0";
const XZ: &str = "fd377a585a000004e6d6b4460200210116000000742fe5a3010003610a310a00a595dbc3b7bea3f000011c046f2c9cc11fb6\
    f37d010000000004595a";
const ZIP: &str = "504b03041400000000000000210000000000000000000000000002000000642f504b0304140000000000000021000024c189\
    040000000400000007000000642f612e637376610a310a504b01021403140000000000000021000000000000000000000000\
    00020000000000000000000000800100000000642f504b01021403140000000000000021000024c189040000000400000007\
    0000000000000000000000800120000000642f612e637376504b0506000000000200020065000000490000000000";
