//! `select` and `balance` on the tables that people have: what every method does there, and what each says.

use crate::common::{Folder, Numbers};
use std::fmt::Write;

/// Two measures, a column that never changes, a quality, a class and tags.
fn with_constant(rows: usize) -> String {
    let mut numbers = Numbers::new(7);
    let mut text = String::from("a,w,b,q,y,tags\n");
    for i in 0..rows {
        let (a, b, q) = (numbers.next(), numbers.next(), numbers.next());
        let (y, tags) = (if i % 4 == 0 { "rare" } else { "common" }, ["x;z", "z", "x y"][i % 3]);
        writeln!(text, "{a:.4},1.2,{b:.4},{q:.3},{y},{tags}").unwrap();
    }
    text
}

/// The slugs of the methods that a verb runs.
fn methods(folder: &Folder, verb: &str) -> Vec<String> {
    let all = folder.json("quadrat list --json");
    let of_verb =
        all.as_array().unwrap().iter().filter(|card| card["verbs"].as_array().unwrap().contains(&verb.into()));
    of_verb.map(|card| card["slug"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_constant_column_stops_no_method() {
    let folder = Folder::new("constant");
    folder.write("k.csv", &with_constant(60));
    let selectors = methods(&folder, "select");
    assert!(selectors.len() >= 15, "{selectors:?}");
    for method in selectors {
        let line = format!(
            "quadrat select --in k.csv --target y --score q --labels tags --method {method} --budget 12 --json"
        );
        let chosen = folder.json(&line);
        assert!((1..=12).contains(&chosen["chosen"].as_u64().unwrap()), "{method}: {chosen}");
    }
    let resamplers = methods(&folder, "balance");
    assert!(resamplers.len() >= 10, "{resamplers:?}");
    for method in resamplers.iter().filter(|method| *method != "smote-n" && *method != "smote-nc") {
        let line = format!(
            "quadrat balance --in k.csv --target y --features a,w,b --categorical none --method {method} --json"
        );
        assert!(folder.json(&line)["kept"].as_u64().unwrap() > 0, "{method}");
    }
    folder.write("flat.csv", &format!("a,b\n{}", "1,2\n".repeat(9)));
    let error = folder.fails("quadrat select --in flat.csv --method k-center --budget 3 --out o.csv");
    assert!(error.contains("whose values differ"), "{error}");
}

/// The named note of a run that prints JSON; empty where there is none.
fn note(said: &serde_json::Value, name: &str) -> String {
    said["notes"][name].as_str().unwrap_or_default().to_owned()
}

fn warnings(said: &serde_json::Value) -> String {
    said["warnings"].to_string()
}

/// Rows with a feature of large offset, ten of them far from the others, and the response.
fn offset_csv() -> String {
    let mut numbers = Numbers::new(11);
    (0..300).fold("x,y\n".to_owned(), |text, i| {
        let x = if i % 30 == 7 { 1020.0 } else { 1000.0 + 2.0 * numbers.next() };
        text + &format!("{x:.4},{:.4}\n", 2.0 + 0.05 * x + numbers.next())
    })
}

#[test]
fn a_coreset_has_its_intercept_and_its_response() {
    let folder = Folder::new("response");
    folder.write("r.csv", &offset_csv());
    let line = "quadrat select --in r.csv --method sensitivity --budget 40 --json";
    let indices = |more: &str| folder.json(&format!("{line} {more}"))["indices"].to_string();
    let plain = indices("");
    // The response is one of the columns however it is named, and never leaves the matrix in silence.
    for more in ["--response y", "--target y", "--features x --response y"] {
        let said = folder.json(&format!("{line} {more}"));
        assert_eq!(said["indices"].to_string(), plain, "{more}");
        assert!(note(&said, "response").contains("`y`"), "{more}: {said}");
    }
    assert_ne!(indices("--features x"), plain);
    let without = folder.json(&format!("{line} --intercept false"));
    let levers = |said: &serde_json::Value| {
        said["indices"].as_array().unwrap().iter().filter(|row| row.as_u64().unwrap() % 30 == 7).count()
    };
    let with = folder.json(line);
    assert!(levers(&with) > 2 * levers(&without), "{} {}", levers(&with), levers(&without));
    assert!(!note(&with, "intercept").is_empty() && note(&without, "intercept").is_empty());
    // Elsewhere a response is no feature.
    let design = |more: &str| folder.json(&format!("quadrat select --in r.csv --method dpp --budget 8 --json {more}"));
    assert_eq!((note(&design("--response y"), "functions"), note(&design(""), "functions")), ("2".into(), "3".into()));
}

#[test]
fn mig_joins_tags_by_their_names_their_vectors_or_their_edges() {
    let folder = Folder::new("mig-tags");
    let topics = ["red wine", "white wine", "long road", "road", "wine|road"];
    let rows: String = (0..60).map(|i| format!("{i},{},0.5\n", topics[i % 5])).collect();
    folder.write("p.csv", &format!("id,tags,q\n{rows}"));
    folder.write("edges.csv", "a,b,w\nred wine,white wine,0.95\nwine,red wine,0.9\n");
    folder.write("vectors.csv", "label,u,v\nred wine,1,0\nwhite wine,1,0.1\nlong road,0,1\nroad,0.1,1\nwine,1,0.05\n");
    folder.write("owned.csv", "id,tags,q\n0,wine|red wine|white wine,0.5\n");
    let line = "quadrat select --in p.csv --labels tags --score q --method mig --budget 8 --json";
    let run = |more: &str| folder.json(&format!("{line} {more}"));
    let edges = |said: &serde_json::Value| note(said, "edges between labels").parse::<usize>().unwrap();
    let loose = run("--threshold 0.3");
    assert!(edges(&loose) > 0 && note(&loose, "label graph").is_empty(), "{loose}");
    let strict = run("--threshold 1");
    assert!(edges(&strict) == 0 && note(&strict, "label graph").contains("prop-weight"), "{strict}");
    assert_eq!(edges(&run("--label-edges edges.csv")), 2);
    // wine, red wine and white wine; road and long road.
    assert_eq!(edges(&run("--label-embedding vectors.csv --threshold 0.9")), 4);
    assert!(warnings(&run("--label-edges edges.csv --threshold 0.3")).contains("--threshold changes nothing"));
    let owned = run("--owned owned.csv");
    assert_eq!(note(&owned, "rows owned already"), "1");
    let first = owned["indices"][0].as_u64().unwrap() as usize;
    assert!(topics[first % 5].contains("road"), "wine is covered already: {owned}");
    for (more, part) in [
        ("--label-edges edges.csv --label-embedding vectors.csv", "cannot be used with"),
        ("--label-embedding owned.csv", "no label"),
        ("--label-edges owned.csv", "no edge joins"),
    ] {
        let message = folder.fails(&format!("{} {more} --out o.csv", line.replace(" --json", "")));
        assert!(message.contains(part), "{more}: {message}");
    }
    let other = folder.fails("quadrat select --in p.csv --method random --owned owned.csv --budget 3 --out o.csv");
    assert!(other.contains("--owned") && other.contains("mig"), "{other}");
}

#[test]
fn options_without_effect_are_named() {
    let folder = Folder::new("effects");
    folder.write("k.csv", &with_constant(60));
    for (more, part) in [
        ("--method random --features a", "--features changes nothing"),
        ("--method k-center --score q", "--score changes nothing"),
        ("--method k-center --labels tags", "--labels changes nothing"),
        ("--method mig --alpha 2", "--alpha changes nothing: it is for --phi exp"),
        ("--method mig --labels tags --clusters 4", "--clusters changes nothing"),
        ("--method mig --labels tags --standardise no", "--standardise changes nothing"),
        ("--method sensitivity --importance lewis --mode exact", "--mode changes nothing"),
        ("--method kmq --temperature 2", "--temperature changes nothing"),
    ] {
        let said = folder.json(&format!("quadrat select --in k.csv --budget 5 --json {more}"));
        assert!(warnings(&said).contains(part), "{more}: {said}");
    }
    let said = folder.json("quadrat select --in k.csv --budget 5 --json --method k-center --features a,b");
    assert_eq!(said["warnings"], serde_json::json!([]));
    let balanced = "quadrat balance --in k.csv --target y --json --method random-over-sampling";
    assert!(warnings(&folder.json(&format!("{balanced} --scale standard"))).contains("--scale changes nothing"));
}

/// Three rounds of asking and telling: rows never come twice, a repeated call gives the same rows until the state is
/// written, and scores move the draw to the clusters that were told to be worth it.
#[test]
fn diversify_and_conquer_in_rounds_of_ones_own() {
    let folder = Folder::new("ask-tell");
    let mut numbers = Numbers::new(12);
    let rows: String = (0..120)
        .map(|i| {
            let centre = if i < 60 { 0.0 } else { 50.0 };
            format!("{i},{:.3},{:.3}\n", centre + numbers.next(), centre + numbers.next())
        })
        .collect();
    folder.write("p.csv", &format!("id,a,b\n{rows}"));
    let line = "quadrat select --in p.csv --features a,b --method diversify-conquer --clusters 2 --state run.json";
    let ids = |file: &str| -> Vec<usize> {
        folder.read(file).lines().skip(1).map(|row| row.split(',').next().unwrap().parse().unwrap()).collect()
    };
    assert!(folder.fails(&format!("{line} --budget 20 --scores none.csv")).contains("no run yet"));
    folder.ok(&format!("{line} --budget 20 --out one.csv"));
    let first = ids("one.csv");
    let scored: String = folder
        .read("one.csv")
        .lines()
        .enumerate()
        .map(|(i, row)| match i {
            0 => format!("{row},worth\n"),
            _ => format!("{row},{}\n", if first[i - 1] < 60 { -4.0 } else { 4.0 }),
        })
        .collect();
    folder.write("scored.csv", &scored);
    let said = folder.ok(&format!("{line} --budget 30 --scores scored.csv --out two.csv"));
    assert!(said.contains("round") && said.contains('2'), "{said}");
    let second = ids("two.csv");
    assert!(second.iter().filter(|row| **row >= 60).count() >= 28, "{second:?}");
    assert!(second.iter().all(|row| !first.contains(row)), "no row comes twice");
    let said = folder.ok(&format!("{line} --budget 5"));
    assert!(said.contains("none were given with this call"), "{said}");
    folder.write("short.csv", "worth\n1\n2\n");
    for (more, part) in [
        ("--budget 5 --scores short.csv", "2 rows"),
        ("--budget 5 --seed 3", "a run with seed"),
        ("--budget 5 --min-weight 0.1", "a run with parameters"),
        ("--budget 90", "rows not drawn yet"),
    ] {
        let message = folder.run(&format!("{line} {more}"));
        assert_eq!(message.status.code(), Some(2), "{more}");
        assert!(String::from_utf8_lossy(&message.stderr).contains(part), "{more}: {message:?}");
    }
    let other = "quadrat select --in p.csv --method kmq --budget 5 --state other.json";
    assert!(folder.fails(other).contains("only diversify-conquer"));
    // Classes alone move nothing: it is kMQ, and the judge is asked for.
    folder.write("k.csv", &with_constant(60));
    let plain = folder.json("quadrat select --in k.csv --target y --method diversify-conquer --budget 12 --json");
    assert!(note(&plain, "judge").starts_with("none"), "{plain}");
    let judged = folder
        .json("quadrat select --in k.csv --target y --method diversify-conquer --judge classes --budget 12 --json");
    assert!(note(&judged, "judge").contains("softmax regression"), "{judged}");
}

#[test]
fn designs_have_an_answer_at_every_budget() {
    let folder = Folder::new("designs");
    for budget in [70, 260, 300] {
        let line = format!(
            "quadrat select --in builtin:diabetes --target target --method dpp --basis polynomial:2 --max-tries 3 \
             --budget {budget} --json"
        );
        let said = folder.json(&line);
        assert!(said["chosen"].as_u64().unwrap() > 0, "{said}");
    }
    let wide: String = (0..40)
        .map(|i| {
            (0..600).map(|j| format!("{}", (i * 7919 + j * 104_729 + i * j) % 997)).collect::<Vec<_>>().join(",") + "\n"
        })
        .collect();
    let names: Vec<String> = (0..600).map(|j| format!("g{j}")).collect();
    folder.write("w.csv", &format!("{}\n{wide}", names.join(",")));
    let message = folder.fails("quadrat select --in w.csv --method dpp-least-squares --budget 12 --out o.csv");
    assert!(message.contains("budget") && message.contains("--features"), "{message}");
}

#[test]
fn balancing_says_what_it_did_and_on_which_scale() {
    let folder = Folder::new("balance-scale");
    let mut numbers = Numbers::new(13);
    let rows: String = (0..80)
        .map(|i| {
            let (a, b) = (numbers.next(), 1e6 * numbers.next());
            let (city, y) = (["Oslo", "Rome"][i % 2], if i < 20 { "rare" } else { "common" });
            format!("r{i},{a:.6},{b:.3},{city},{y}\n")
        })
        .collect();
    folder.write("b.csv", &format!("id,a,b,city,y\n{rows}"));
    let line = "quadrat balance --in b.csv --target y --method smote --json";
    let plain = folder.json(line);
    assert!(warnings(&plain).contains("--scale standard"), "{plain}");
    assert!(warnings(&plain).contains("does not see city") && warnings(&plain).contains("empty: id"), "{plain}");
    for scale in ["standard", "robust"] {
        let said = folder.json(&format!("{line} --scale {scale} --out {scale}.csv"));
        assert!(!warnings(&said).contains("--scale") && said["scale"] == scale, "{said}");
        let made = folder.read(&format!("{scale}.csv"));
        let new: Vec<Vec<&str>> = made.lines().skip(81).map(|row| row.split(',').collect()).collect();
        assert_eq!(new.len(), 40);
        for row in new {
            assert!(row[0].is_empty() && ["Oslo", "Rome"].contains(&row[3]) && row[4] == "rare", "{row:?}");
            assert!((0.0..1e6).contains(&row[2].parse::<f64>().unwrap()));
        }
    }
    let far: String = (0..60).map(|i| format!("{i}.5,{},far\n", i % 9)).collect();
    let near: String = (0..12).map(|i| format!("9{i}{i}.5,{},near\n", i % 5)).collect();
    folder.write("bl.csv", &format!("x,z,y\n{far}{near}"));
    let said = folder.json("quadrat balance --in bl.csv --target y --method borderline-smote --out o.csv --json");
    assert!(warnings(&said).contains("none is in danger") && said["synthetic"] == 0, "{said}");
    assert_eq!(folder.read("o.csv"), folder.read("bl.csv"));
}
