//! Every format: what goes in comes out, in its own bytes or in another format's.

use quadrat_core::Error;
use quadrat_data::{
    ColumnType, Format, Missing, Table, Values, read_embedding, write_made, write_resampled, write_selection,
};
use std::path::PathBuf;

/// A folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("quadrat-data-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn table(name: &str, content: &str) -> Table {
    Table::from_bytes(name, content.as_bytes().to_vec(), &[]).unwrap()
}

fn error(name: &str, content: &[u8]) -> String {
    Table::from_bytes(name, content.to_vec(), &[]).err().map_or_else(|| "no error".to_owned(), |e| e.to_string())
}

fn kinds(table: &Table) -> Vec<ColumnType> {
    table.columns().iter().map(|c| c.kind).collect()
}

/// Writes a selection and hands back the bytes.
fn selected(table: &Table, rows: &[usize], added: &[(String, Values)], name: &str) -> Result<Vec<u8>, Error> {
    let path = folder("selected").join(name);
    write_selection(table, rows, added, &path)?;
    Ok(std::fs::read(path).unwrap())
}

const MIXED: &str = "id,age,weight of it,text,ok,class\r\n\
1, 30,1.50,\"a, \"\"b\"\"\nc\",true,x\r\n\
2,NA,2e3,,false,y\r\n\
3,41,?,\"\",true,x\r\n";

#[test]
fn csv_types_are_the_narrowest_that_hold_all_rows() {
    use ColumnType::*;
    assert_eq!(kinds(&table("a.csv", MIXED)), [Integer, Integer, Float, Text, Boolean, Text]);
    let t = table("a.csv", "a,b,c,d,e\n1,1,true,99999999999999999999,NA\n2,x,1,99999999999999999998,\n");
    assert_eq!(kinds(&t), [Integer, Text, Text, Text, Text]);
    let t = table("a.tsv", "a\tb,c\n1\t2,5\n");
    assert_eq!((t.column_names(), kinds(&t)), (vec!["a", "b,c"], vec![Integer, Float]));
}

#[test]
fn csv_cells_are_decoded_and_missing_ones_found() {
    let t = table("a.csv", MIXED);
    assert_eq!(t.rows(), 3);
    assert_eq!(t.numeric_columns(), ["id", "age", "weight of it", "ok"]);
    assert_eq!(t.integer_columns(), ["id", "age"]);
    let x = t.numeric(&["weight of it", "id", "id"], Missing::Keep).unwrap();
    assert_eq!(x.row(1).to_vec(), [2000.0, 2.0, 2.0]);
    assert!(x[[2, 0]].is_nan());
    assert_eq!(t.strings("text").unwrap(), ["a, \"b\"\nc", "", ""]);
    assert_eq!(t.strings("age").unwrap(), ["30", "", "41"]);
    let e = t.numeric(&["age"], Missing::Error).unwrap_err().to_string();
    assert!(e.starts_with("a.csv:4: column `age`: the value is missing"), "{e}");
    let e = t.numeric(&["text"], Missing::Error).unwrap_err().to_string();
    assert!(e.contains("column `text`") && e.contains("type text"), "{e}");
    let e = t.numeric(&["agee"], Missing::Error).unwrap_err().to_string();
    assert!(e.contains("did you mean `age`"), "{e}");
    assert_eq!(t.numeric::<&str>(&[], Missing::Error).unwrap().dim(), (3, 0));
}

#[test]
fn categories_and_labels_don_t_depend_on_the_order_of_rows() {
    let t = table("a.csv", "c,n,l,j\nb,10,\"x; y\",\"[\"\"p\"\", 3]\"\na,9,y,[]\nb,9.0,,\"[\"\"p\"\"]\"\n");
    let c = t.categories("c", Missing::Error).unwrap();
    assert_eq!((c.codes, c.names), (vec![1, 0, 1], vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(t.categories("n", Missing::Error).unwrap().names, ["9", "9.0", "10"]);
    let l = t.labels("l", None).unwrap();
    assert_eq!(
        (l.rows, l.names),
        ([vec![0, 1], vec![1], vec![]].into_iter().collect(), vec!["x".to_owned(), "y".to_owned()])
    );
    let j = t.labels("j", None).unwrap();
    assert_eq!(
        (j.rows, j.names),
        ([vec![0, 1], vec![], vec![1]].into_iter().collect(), vec!["3".to_owned(), "p".to_owned()])
    );
    assert!(t.categories("l", Missing::Error).unwrap_err().to_string().starts_with("a.csv:4: column `l`"));
    assert_eq!(t.categories("l", Missing::Keep).unwrap().names, ["", "x; y", "y"]);
}

#[test]
fn malformed_text_files_are_named_with_their_line() {
    for (name, content, expected) in [
        ("a.csv", "".as_bytes(), "a.csv: the file is empty"),
        ("a.csv", b"\n\r\n", "a.csv: the file is empty"),
        ("a.csv", b"a,b\n", "a.csv:1: there is a header but no row"),
        ("a.csv", b"a,b\n1,2\n3\n", "a.csv:3: 1 field where the header has 2"),
        ("a.csv", b"a,b\n\"x\ny\",2\n1,2,3\n", "a.csv:4: 3 fields where the header has 2"),
        ("a.csv", b"a,b,a\n1,2,3\n", "a.csv:1: two columns are called `a`"),
        ("a.csv", b"a,b\n1,\"2\n3,4\n", "a.csv:2: a quotation mark opens a field and is never closed"),
        ("a.csv", b"a,b\n1,\"2\"3\n", "a.csv:2: text after a closing quotation mark"),
        ("a.csv", b"a,b\n1,2\n3,\xe9\n", "a.csv:3: byte 0xE9 is not UTF-8"),
        ("a.jsonl", b"", "a.jsonl: the file is empty"),
        ("a.jsonl", b"{\"a\":1}\n\n{\"a\":}\n", "a.jsonl:3: not a JSON object: expected a value (at character 6)"),
        ("a.jsonl", b"{\"a\":1}\n[1]\n", "a.jsonl:2: not a JSON object"),
        ("a.jsonl", b"{}\n{}\n", "a.jsonl:1: the objects have no keys"),
        ("a.parquet", b"PAR1", "a.parquet: not a readable Parquet file"),
        ("a.npy", b"", "a.npy: not an npy file"),
        ("a.npz", b"PK", "a.npz: the zip"),
        ("a.csv.gz", b"\x1f\x8b\x08garbage", "a.csv.gz: damaged compression"),
        ("a.csv.zst", b"\x28\xb5\x2f\xfdgarbage", "a.csv.zst: damaged compression"),
        ("a.docx", b"hello", "file format: got `a.docx`; use .csv"),
    ] {
        let e = error(name, content);
        assert!(e.starts_with(expected), "{name}: {e}");
    }
    let wrong = Table::from_bytes("a.csv", b"a\nx\n".to_vec(), &[("b".to_owned(), ColumnType::Text)]);
    assert!(wrong.err().unwrap().to_string().contains("did you mean `a`"));
    assert!(matches!(Table::open("/no/such/file.csv", &[]), Err(Error::Io { .. })));
}

#[test]
fn a_type_can_be_overridden() {
    let overrides = |kind| [("z".to_owned(), kind)];
    let read = |kind| Table::from_bytes("a.csv", b"z,n\n007,1\n012,2\n".to_vec(), &overrides(kind)).unwrap();
    assert_eq!(read(ColumnType::Text).numeric_columns(), ["n"]);
    assert_eq!(read(ColumnType::Category).categories("z", Missing::Error).unwrap().names, ["007", "012"]);
    assert_eq!(read(ColumnType::Float).columns()[0].kind, ColumnType::Float);
    let t = Table::from_bytes("a.csv", b"z,n\nx,1\n1,2\n".to_vec(), &overrides(ColumnType::Float)).unwrap();
    let e = t.numeric(&["z"], Missing::Keep).unwrap_err().to_string();
    assert!(e.starts_with("a.csv:2: column `z`: found `x`"), "{e}");
    assert_eq!("float".parse::<ColumnType>().unwrap(), ColumnType::Float);
    assert!("number".parse::<ColumnType>().is_err());
}

#[test]
fn a_selection_copies_the_users_bytes() {
    let t = table("a.csv", MIXED);
    let out = selected(&t, &[2, 0, 0], &[], "copied.csv").unwrap();
    let lines: Vec<&str> = MIXED.split("\r\n").collect();
    assert_eq!(String::from_utf8(out).unwrap(), [lines[0], lines[3], lines[1], lines[1], ""].join("\r\n"));
    // A byte-order mark stays, blank lines go, a last line without an end gets one.
    let t = table("a.csv", "\u{feff}a,b\n\n1,2\n\n3,4");
    let weight = [("weight".to_owned(), Values::Float(vec![0.5, 2.0]))];
    let out = selected(&t, &[1, 0], &weight, "weighted.csv").unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "\u{feff}a,b,weight\n3,4,0.5\n1,2,2.0\n");
    assert_eq!(t.column_names(), ["a", "b"]);
    let t = table("a.jsonl", "{\"a\": 1.50,\"b\":\"}\"} \n{}\n{ \"c\":null }\n");
    let tags = [("t".to_owned(), Values::Text(vec!["x\"".to_owned(); 3]))];
    let out = selected(&t, &[2, 1, 0], &tags, "tagged.jsonl").unwrap();
    let expected = "{ \"c\":null ,\"t\":\"x\\\"\"}\n{\"t\":\"x\\\"\"}\n{\"a\": 1.50,\"b\":\"}\",\"t\":\"x\\\"\"} \n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn what_cannot_be_written_leaves_no_file() {
    let t = table("a.csv", "a,b\n1,x\n2,y\n");
    let folder = folder("refused");
    let one = |name: &str| [(name.to_owned(), Values::Integer(vec![1]))];
    for (result, expected) in [
        (write_selection(&t, &[2], &[], &folder.join("a.csv")), "row: got 2; a.csv has 2 rows"),
        (write_selection(&t, &[0], &one("a"), &folder.join("a.csv")), "a.csv, column to add: got `a`"),
        (write_selection(&t, &[0, 1], &one("w"), &folder.join("a.csv")), "column `w`: got 1 values"),
        (write_selection(&t, &[0], &[], &folder.join("a.txt")), "file name: got"),
        (write_selection(&t, &[0], &[], &folder.join("a.parquet.gz")), "file name: got"),
        (write_resampled(&t, &[0], &one("c"), &folder.join("a.csv")), "a.csv, column: got `c`"),
    ] {
        let e = result.unwrap_err().to_string();
        assert!(e.starts_with(expected), "{e}");
    }
    let lists = table("a.jsonl", "{\"x\":1,\"b\":[\"a\"]}\n");
    let e = write_selection(&lists, &[0], &[], &folder.join("a.npy")).unwrap_err().to_string();
    assert!(e.contains("column `b`: cells of type"), "{e}");
    assert!(write_selection(&t, &[0], &[], &folder.join("no/such/a.csv")).is_err());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

/// Integers, floats, booleans, texts, embeddings and tags through every pair of formats that hold them.
#[test]
fn types_survive_conversion() {
    let lines = "{\"i\":1,\"f\":0.1,\"b\":true,\"t\":\"a,\\\"é\\n\",\"e\":[0.5,1,2],\"l\":[\"x\",\"y\"]}\n\
                 {\"i\":-7,\"f\":1e-300,\"b\":false,\"t\":\"\",\"e\":[1,2,3.25],\"l\":[]}\n\
                 {\"i\":null,\"f\":3,\"t\":\"z\",\"e\":[7,8,9]}\n";
    let source = table("a.jsonl", lines);
    use ColumnType::*;
    assert_eq!(kinds(&source), [Integer, Float, Boolean, Text, Embedding(3), Tags]);
    let folder = folder("converted");
    let rows = [2, 0, 1];
    let mut tables = Vec::new();
    for name in ["a.parquet", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.tsv.gz"] {
        let path = folder.join(name);
        write_selection(&source, &rows, &[], &path).unwrap();
        tables.push(Table::open(path.to_str().unwrap(), &[]).unwrap());
        // And from there into Parquet and back into JSON Lines.
        for again in ["b.parquet", "b.jsonl"] {
            let path = folder.join(again);
            write_selection(tables.last().unwrap(), &[0, 1, 2], &[], &path).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            tables.push(Table::from_bytes(path.to_str().unwrap(), bytes, &[]).unwrap());
        }
    }
    for t in tables {
        let name = t.name().to_owned();
        for column in ["i", "f", "b", "t"] {
            assert_eq!(t.column(column).unwrap(), source.column(column).unwrap(), "{name}");
        }
        let x = t.numeric(&["i", "f", "b"], Missing::Keep).unwrap();
        assert_eq!(x.row(1).to_vec(), [1.0, 0.1, 1.0], "{name}");
        assert_eq!(x.row(2).to_vec(), [-7.0, 1e-300, 0.0], "{name}");
        assert!(x[[0, 0]].is_nan() && x[[0, 2]].is_nan() && x[[0, 1]] == 3.0, "{name}");
        assert_eq!(t.strings("t").unwrap(), ["z", "a,\"é\n", ""], "{name}");
        assert_eq!(t.embedding("e").unwrap().row(2).to_vec(), [1.0, 2.0, 3.25], "{name}");
        let labels = t.labels("l", None).unwrap();
        assert_eq!(
            (labels.rows, labels.names),
            ([vec![], vec![0, 1], vec![]].into_iter().collect(), vec!["x".to_owned(), "y".to_owned()])
        );
    }
}

#[test]
fn npz_holds_columns_and_embeddings_and_npy_a_matrix() {
    let source = table("a.jsonl", "{\"i\":1,\"t\":\"é\",\"e\":[1,2]}\n{\"i\":2,\"t\":\"bc\",\"e\":[3,4]}\n");
    let folder = folder("numpy");
    let npz = folder.join("a.npz");
    let weight = [("weight".to_owned(), Values::Float(vec![0.5, f64::NAN]))];
    write_selection(&source, &[1, 0], &weight, &npz).unwrap();
    let t = Table::open(npz.to_str().unwrap(), &[]).unwrap();
    assert_eq!(t.column_names(), ["i", "t", "e", "weight"]);
    assert_eq!(kinds(&t), [ColumnType::Integer, ColumnType::Text, ColumnType::Embedding(2), ColumnType::Float]);
    assert_eq!(t.strings("t").unwrap(), ["bc", "é"]);
    assert_eq!(t.embedding("e").unwrap().row(0).to_vec(), [3.0, 4.0]);
    assert_eq!(t.numeric(&["weight"], Missing::Keep).unwrap()[[0, 0]], 0.5);
    // Same format out: same types.
    let again = folder.join("b.npz");
    write_selection(&t, &[0, 1], &[], &again).unwrap();
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&npz).unwrap());

    let matrix = table("m.csv", "a,b\n1,0.5\n2,1.5\n3,2.5\n");
    let npy = folder.join("m.npy.gz");
    write_selection(&matrix, &[2, 0], &[], &npy).unwrap();
    let t = Table::open(npy.to_str().unwrap(), &[]).unwrap();
    assert_eq!((t.format(), t.column_names()), (Format::Npy, vec!["x0", "x1"]));
    assert_eq!(t.numeric(&["x0", "x1"], Missing::Error).unwrap().row(0).to_vec(), [3.0, 2.5]);
    assert_eq!(read_embedding(&npy, 2).unwrap()[[1, 1]], 0.5);
    let e = read_embedding(&npy, 3).unwrap_err().to_string();
    assert!(e.contains("2 rows where the table has 3"), "{e}");
    let vector = folder.join("v.npy");
    write_selection(&table("v.csv", "x\n4\n5\n"), &[1, 0], &[], &vector).unwrap();
    assert_eq!(Table::open(vector.to_str().unwrap(), &[]).unwrap().column_names(), ["x"]);
}

#[test]
fn numpys_own_files_are_read() {
    // numpy.save(numpy.asfortranarray([[1, 2, 3], [4, 5, 6]], dtype='<i2')) and a version 2.0 header.
    let header = "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }";
    let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend([1i16, 4, 2, 5, 3, 6].iter().flat_map(|v| v.to_le_bytes()));
    let t = Table::from_bytes("a.npy", bytes.clone(), &[]).unwrap();
    let x = t.numeric(&["x0", "x1", "x2"], Missing::Error).unwrap();
    assert_eq!((x.row(0).to_vec(), x.row(1).to_vec()), (vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0]));
    for (from, to, expected) in [
        ("<i2", "|O1", "elements of type '|O1': Python objects"),
        ("<i2", "<c2", "elements of type '<c2': complex numbers"),
        ("(2, 3)", "(2, 9)", "12 bytes follow the header"),
        ("(2, 3)", "(1,2,3)", "an array of 3 dimensions"),
        ("(2, 3)", "(0, 3)", "12 bytes follow"),
        ("'shape'", "'shepa'", "damaged header"),
        ("(2, 3), ", "(18446744073709551615, 18446744073709551615)", "the header"),
    ] {
        let changed = header.replace(from, to);
        let mut damaged = b"\x93NUMPY\x02\x00".to_vec();
        damaged.extend_from_slice(&(changed.len() as u32).to_le_bytes());
        damaged.extend_from_slice(changed.as_bytes());
        damaged.extend_from_slice(&bytes[12 + header.len()..]);
        let e = error("a.npy", &damaged);
        assert!(e.contains(expected), "{to}: {e}");
    }
}

#[test]
fn resampled_tables_keep_rows_and_append_synthetic_ones() {
    let content = "id,n,x,c,free\n1,5,0.10,a,hello\n2,7,0.20,b,\"w,d\"\n";
    let t = table("a.csv", content);
    let synthetic = [
        ("n".to_owned(), Values::Float(vec![6.25, 7.0])),
        ("x".to_owned(), Values::Float(vec![0.1 + 0.2, 1e300])),
        ("c".to_owned(), Values::Category { codes: vec![1, 0], names: vec!["a".to_owned(), "b, or so".to_owned()] }),
    ];
    let folder = folder("resampled");
    let write = |name: &str| {
        let path = folder.join(name);
        write_resampled(&t, &[1, 1], &synthetic, &path).unwrap();
        path
    };
    // A column of whole numbers stays one in every format.
    let csv = std::fs::read_to_string(write("a.csv")).unwrap();
    let kept = "id,n,x,c,free\n2,7,0.20,b,\"w,d\"\n2,7,0.20,b,\"w,d\"\n";
    assert_eq!(csv, format!("{kept},6,0.30000000000000004,\"b, or so\",\n,7,1e300,a,\n"));
    for name in ["a.parquet", "a.arrow", "a.arrows"] {
        let t = Table::open(write(name).to_str().unwrap(), &[]).unwrap();
        assert_eq!(t.columns()[1].kind, ColumnType::Integer);
        let n = t.numeric(&["n"], Missing::Error).unwrap();
        assert_eq!(n.iter().copied().collect::<Vec<f64>>(), [7.0, 7.0, 6.0, 7.0]);
        assert!(t.numeric(&["id"], Missing::Error).unwrap_err().to_string().contains(":3: column `id`"));
    }
    let jsonl = std::fs::read_to_string(write("a.jsonl")).unwrap();
    let last = "{\"id\":null,\"n\":7,\"x\":1e300,\"c\":\"a\",\"free\":null}\n";
    assert!(jsonl.ends_with(last), "{jsonl}");

    // A class that is a number stays one.
    let t = table("a.jsonl", "{\"y\":0,\"s\":\"0\"}\n{\"y\":1,\"s\":\"1\"}\n");
    let names = vec!["0".to_owned(), "1".to_owned()];
    let codes = || Values::Category { codes: vec![1], names: names.clone() };
    let path = folder.join("c.jsonl");
    write_resampled(&t, &[0], &[("y".to_owned(), codes()), ("s".to_owned(), codes())], &path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"y\":0,\"s\":\"0\"}\n{\"y\":1,\"s\":\"1\"}\n");
    let made = folder.join("made.csv");
    let y = table("y.csv", "y\n0\n1\n");
    write_made(&y, &[("y".to_owned(), Values::Float(vec![0.75, -1.2]))], &[], &made).unwrap();
    assert_eq!(std::fs::read_to_string(&made).unwrap(), "y\n1\n-1\n");
    let weight = |name: &str| [(name.to_owned(), Values::Float(vec![0.5]))];
    write_made(&y, &weight("y"), &weight("w"), &made).unwrap();
    assert_eq!(std::fs::read_to_string(&made).unwrap(), "y,w\n1,0.5\n");
    assert!(write_made(&y, &weight("y"), &weight("y"), &made).is_err());
}

#[test]
fn folders_and_patterns_of_parquet_are_one_table() {
    let folder = folder("many");
    let write = |name: &str, csv: &str| {
        std::fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        let t = table("a.csv", csv);
        write_selection(&t, &(0..t.rows()).collect::<Vec<_>>(), &[], &folder.join(name)).unwrap();
    };
    write("b/2.parquet", "n,t\n3,c\n4,d\n");
    write("a/1.parquet", "n,t\n1,a\n2,b\n");
    write("a/_hidden.parquet", "z\n9\n");
    std::fs::write(folder.join("readme.txt"), "no table").unwrap();
    let open = |name: &str| Table::open(folder.join(name).to_str().unwrap(), &[]);
    for name in ["", "*/[0-9].parquet", "?"] {
        let t = open(name).unwrap();
        assert_eq!(t.strings("t").unwrap(), ["a", "b", "c", "d"], "{name}");
        let out = String::from_utf8(selected(&t, &[3, 0, 2], &[], "many.csv").unwrap()).unwrap();
        assert_eq!(out, "n,t\n4,d\n1,a\n3,c\n");
    }
    let error = |name: &str| open(name).err().unwrap().to_string();
    assert!(error("no*such").contains("no Parquet file"), "{}", error("no*such"));
    assert!(error("*.txt").contains("a pattern joins Parquet files"), "{}", error("*.txt"));
    write("c/3.parquet", "n,t\n5,6\n");
    assert!(error("").contains("3.parquet: column `t` is of type"), "{}", error(""));
    write("c/3.parquet", "n,u\n5,x\n");
    assert!(error("").contains("a column `u` where"), "{}", error(""));
    write("c/3.parquet", "n\n5\n");
    assert!(error("").contains("there are 1 columns where"), "{}", error(""));
    std::fs::remove_dir_all(folder.join("c")).unwrap();
    write("year=2024/4.parquet", "n,t\n5,x\n");
    assert!(error("").contains("year=2024"), "{}", error(""));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// An npz as numpy writes it from `X` and `y`, and a structured array.
#[test]
fn features_and_fields_of_numpy_are_columns() {
    let folder = folder("fields");
    let lines = "{\"X\":[1,2],\"y\":0,\"n\":[5,6]}\n{\"X\":[3,4.5],\"y\":1,\"n\":[7,8]}\n";
    let npz = folder.join("a.npz");
    write_selection(&table("a.jsonl", lines), &[0, 1], &[], &npz).unwrap();
    let t = Table::open(npz.to_str().unwrap(), &[]).unwrap();
    assert_eq!(t.column_names(), ["X0", "X1", "y", "n"]);
    assert_eq!(t.numeric(&["X1"], Missing::Error).unwrap().iter().copied().collect::<Vec<_>>(), [2.0, 4.5]);
    let again = folder.join("b.npz");
    write_selection(&t, &[0, 1], &[], &again).unwrap();
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&npz).unwrap());

    // A column of another type beside a matrix of bytes leaves them bytes.
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }\n";
    let length = (header.len() as u16).to_le_bytes();
    let bytes = [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), &[1, 2, 3, 255]];
    let t = Table::from_bytes("b.npy", bytes.concat(), &[]).unwrap();
    let weight = [("weight".to_owned(), Values::Float(vec![0.5]))];
    let out = selected(&t, &[1], &weight, "weighted.npy").unwrap();
    let descr = b"[('x0', '|u1'), ('x1', '|u1'), ('weight', '<f8')]";
    assert!(out.windows(descr.len()).any(|part| part == descr), "{}", String::from_utf8_lossy(&out));
    let again = Table::from_bytes("c.npy", out, &[]).unwrap();
    assert_eq!(
        again.numeric(&["x1", "weight"], Missing::Error).unwrap().iter().copied().collect::<Vec<_>>(),
        [255.0, 0.5]
    );

    let mixed = table("a.csv", "id,name,x\n9007199254740993,Ada,0.5\n2,Bö,1.5\n");
    let npy = folder.join("a.npy");
    write_selection(&mixed, &[1, 0], &[], &npy).unwrap();
    let t = Table::open(npy.to_str().unwrap(), &[]).unwrap();
    assert_eq!((t.column_names(), kinds(&t)), (mixed.column_names(), kinds(&mixed)));
    assert_eq!(t.strings("id").unwrap(), ["2", "9007199254740993"]);
    let again = folder.join("b.npy");
    write_selection(&t, &[0, 1], &[], &again).unwrap();
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&npy).unwrap());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_high_byte_may_come_first() {
    // numpy.save of arrays of two elements with these types.
    let file = |descr: &str, data: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        Table::from_bytes("a.npy", bytes, &[])
    };
    let floats: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_be_bytes()).collect();
    assert_eq!(file(">f4", &floats).unwrap().strings("x").unwrap(), ["1.5", "-2.0"]);
    let days: Vec<u8> = [19_782i64, i64::MIN].iter().flat_map(|v| v.to_be_bytes()).collect();
    assert_eq!(file(">M8[D]", &days).unwrap().strings("x").unwrap(), ["2024-02-29", ""]);
    let hours: Vec<u8> = [1i64, 25].iter().flat_map(|v| v.to_be_bytes()).collect();
    assert_eq!(file(">M8[h]", &hours).unwrap().strings("x").unwrap(), ["1970-01-01T01:00:00", "1970-01-02T01:00:00"]);
    assert_eq!(file("|S2", b"a\0bc").unwrap().strings("x").unwrap(), ["a", "bc"]);
    assert!(file("|S2", b"a\xffbc").unwrap().strings("x").unwrap_err().to_string().contains("no text"));
}

#[test]
fn builtin_sets_are_tables() {
    let t = Table::open("builtin:letter", &[]).unwrap();
    assert_eq!((t.rows(), t.name()), (20_000, "builtin:letter"));
    let path = folder("builtin").join("subset.parquet");
    let rows: Vec<usize> = (0..20_000).rev().step_by(50).collect();
    write_selection(&t, &rows, &[], &path).unwrap();
    let subset = Table::open(path.to_str().unwrap(), &[]).unwrap();
    assert_eq!((subset.rows(), subset.columns()), (400, t.columns()));
    let features = t.numeric_columns();
    let (all, some) =
        (t.numeric(&features, Missing::Error).unwrap(), subset.numeric(&features, Missing::Error).unwrap());
    assert_eq!(some, all.select(ndarray::Axis(0), &rows));
    assert!(Table::open("builtin:leter", &[]).err().unwrap().to_string().contains("letter"));
}

#[test]
fn the_same_bytes_with_any_number_of_threads() {
    let rows: String = (0..60_000).map(|i| format!("{},{}.{},t{}\n", i * 7 % 1013, i % 91, i % 17, i % 23)).collect();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let t = table("a.csv", &format!("a,b,c\n{rows}"));
            let order: Vec<usize> = (0..60_000).map(|i| i * 7919 % 60_000).collect();
            let out = selected(&t, &order, &[], &format!("threads-{threads}.parquet")).unwrap();
            (t.numeric(&["a", "b"], Missing::Error).unwrap(), t.categories("c", Missing::Error).unwrap(), out)
        })
    };
    assert!(run(1) == run(3));
}
