//! `levels`.

use crate::common::Folder;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

const MAPS: [(&str, &str); 4] = [
    ("a.txt", ">.#....\n..#.##.\n..#..#.\n.##.##.\n.......\n.#.#,#,\n~..#,.G\n"),
    ("b.txt", "v......\n.####..\n.#..#..\n.#G,#..\n.#,,##.\n.#.....\n.....~~\n"),
    ("c.txt", "#>.....\n##.###.\n##.#...\n.......\n.##,##.\n.#,G,#.\n..,,...\n"),
    ("d.txt", "..#.>..\n..#....\n..###.#\n.......\n#.###,.\n...#,,.\n~..#.G.\n"),
];

fn maps(name: &str) -> Folder {
    let folder = Folder::new(name);
    std::fs::create_dir(folder.path("maps")).unwrap();
    MAPS.iter().for_each(|(name, map)| folder.write(&format!("maps/{name}"), map));
    folder
}

/// What is said on standard output and standard error to these lines.
fn said(folder: &Folder, words: &str, lines: &str) -> (String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_quadrat"))
        .args(words.split(' '))
        .current_dir(folder.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    (String::from_utf8(output.stdout).unwrap(), errors)
}

fn answers(folder: &Folder, words: &str, lines: &[Value]) -> Vec<Value> {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    said(folder, words, &lines).0.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const SAMPLE: &str = "levels sample --levels maps/ --state plr.json";

/// Every level comes once, then those with a score; a sampler that was stopped goes on as one that was not.
#[test]
fn a_trainer_asks_and_tells() {
    let folder = maps("levels-sample");
    let tell = |name: &str, size: f64| json!({ "tell": name, "advantages": [size, -size], "return": size });
    let first = [json!({ "ask": 4 }), tell("a.txt", 0.25), tell("b.txt", 0.5), json!({ "updated": true })];
    let then = [json!({ "ask": 8 }), json!({ "weights": true })];
    let heard = answers(&folder, SAMPLE, &first);
    let mut names: Vec<&str> = heard[0]["levels"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, MAPS.map(|(name, _)| name));
    assert_eq!(
        heard[1..],
        [json!({ "level": "a.txt", "score": 0.25 }), json!({ "level": "b.txt", "score": 0.5 }), first[3].clone()]
    );
    let later = answers(&folder, SAMPLE, &then);
    assert!(later[0]["levels"].as_array().unwrap().iter().all(|name| name == "a.txt" || name == "b.txt"));
    let weights = later[1]["weights"].as_object().unwrap();
    assert!(weights["c.txt"] == 0.0 && weights["b.txt"].as_f64() > weights["a.txt"].as_f64());

    let whole: Vec<Value> = first.into_iter().chain(then).collect();
    let once = answers(&folder, "levels sample --levels maps/ --state once.json", &whole);
    assert_eq!(once[4..], later);
    assert_eq!(folder.read("once.json"), folder.read("plr.json"));
    let other = folder.fails("quadrat levels sample --levels maps/ --state plr.json --seed 1");
    assert!(other.contains("another --state"), "{other}");
    std::fs::remove_file(folder.path("maps/b.txt")).unwrap();
    let gone = folder.fails("quadrat levels sample --levels maps/ --state plr.json");
    assert!(gone.contains("b.txt"), "{gone}");
}

#[test]
fn lines_that_do_not_fit_are_answered() {
    let folder = maps("levels-lines");
    folder.write("maps/d.bin", "a level of the trainer's own");
    let lines = "{\"ask\": 0}\nask\n{\"ask\": 1, \"updated\": true}\n{\"tell\": \"e.txt\", \"advantages\": [1]}\n\
        {\"tell\": \"a.txt\"}\n{\"tell\": \"a.txt\", \"advantages\": [1], \"losses\": [1]}\n{\"tell\": \"a.txt\", \"losses\": [1]}\n\
        {\"tell\": \"a.txt\", \"returns\": [1, 2], \"values\": [1]}\n{\"tell\": \"a.txt\", \"returns\": [1]}\n{\"weights\": true}\n\
        {\"propose\": \"a.txt\", \"advantages\": [1]}\n{\"tell\": \"a.txt\", \"advantages\": []}\n{\"tel\": \"a.txt\"}\n";
    let words = "levels sample --levels maps/ --report levels.html --json";
    let (out, errors) = said(&folder, words, lines);
    let heard: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [
        "ask for 1 to",
        "one JSON object a line",
        "one of ask, tell",
        "`e.txt`",
        "no steps",
        "two kinds",
        "needs advantages",
        "2 returns and 1 values",
        "give both",
        "nothing to replay",
        "not there yet",
        "no steps",
        "unknown field",
    ];
    for (answer, words) in heard.iter().zip(expected) {
        assert!(answer["error"].as_str().unwrap().contains(words), "{answer} {words}");
    }
    assert_eq!(heard[13]["refused"], 13, "{errors}");
    assert_eq!((heard[13]["levels"].as_u64(), heard[13]["draws"].as_u64()), (Some(5), Some(0)));
    assert!(folder.read("levels.html").contains("d.bin"));

    // With room for more, a level that the trainer proposes enters, and the best of them stays.
    let words = "levels sample --levels maps/ --capacity 6 --strategy grounded-value-l1";
    let propose =
        |name: &str, size: f64, reward: f64| json!({ "propose": name, "advantages": [size], "return": reward });
    let lines = [propose("x", 0.1, 1.0), propose("y", 0.5, 0.0), propose("z", 0.2, 0.5), json!({ "weights": true })];
    let heard = answers(&folder, words, &lines);
    assert_eq!(heard[0], json!({ "level": "x", "entered": true, "left": null }));
    assert_eq!(heard[1], json!({ "level": "y", "entered": false, "left": null }));
    assert_eq!(heard[2], json!({ "level": "z", "entered": true, "left": "x" }));
    assert_eq!(heard[3]["weights"]["z"], 1.0);
}

#[test]
fn new_maps_are_made_and_can_be_read_again() {
    let folder = maps("levels-generate");
    folder.ok("quadrat levels generate --levels maps/ --method dred --vae-steps 40 --hidden 32 --count 100 --out new/ --report new.html");
    assert_eq!(std::fs::read_dir(folder.path("new")).unwrap().count(), 100);
    assert!(folder.read("new.html").contains("correlation of moss"));
    for method in ["edits", "random"] {
        let made = folder
            .json(&format!("quadrat levels generate --levels new/ --method {method} --count 7 --out {method} --json"));
        assert_eq!((made["count"].as_u64(), made["levels"].as_u64()), (Some(7), Some(100)));
        let (_, errors) = said(&folder, &format!("levels sample --levels {method}"), "");
        assert!(errors.contains("7 levels"), "{errors}");
    }
    folder.ok("quadrat levels generate --levels maps/ --method edits --count 7 --seed 3 --threads 1 --out one");
    folder.ok("quadrat levels generate --levels maps/ --method edits --count 7 --seed 3 --threads 2 --out two");
    assert_eq!(folder.read("one/level-0007.txt"), folder.read("two/level-0007.txt"));
}

#[test]
fn bad_maps_are_told_by_name() {
    let folder = maps("levels-bad");
    let generate = "quadrat levels generate --levels maps/ --count 3 --out new/ --method edits";
    for (map, words) in [
        ("......G\n", "no start"),
        (">......\n", "no goal"),
        (">..G\n...\n", "line 2"),
        (">..Gx\n", "column 5"),
        (">.#.G\n..~..\n", "no way leads"),
        (">..G\n", "4 x 1 cells, and a.txt has 7 x 7"),
        ("", "no cells"),
    ] {
        folder.write("maps/e.txt", map);
        let error = folder.fails(generate);
        assert!(error.contains("e.txt") && error.contains(words), "{error}");
        let sampled = !words.contains("7 x 7");
        assert!(!sampled || folder.fails("quadrat levels sample --levels maps/").contains("e.txt"));
    }
    std::fs::remove_file(folder.path("maps/e.txt")).unwrap();
    std::fs::create_dir(folder.path("empty")).unwrap();
    for (line, words) in [
        ("quadrat levels sample --levels empty/", "no file"),
        ("quadrat levels sample --levels nowhere/", "name a folder"),
        ("quadrat levels generate --levels empty/ --count 3 --out new/", "no file"),
        ("quadrat levels generate --levels maps/ --count 0 --out new/", "at least 1"),
        ("quadrat levels generate --levels maps/ --count 3 --out maps/", "not empty"),
        ("quadrat levels generate --levels maps/ --count 3 --method random --latent 3 --out new/", "--latent"),
        ("quadrat levels generate --levels maps/ --count 3 --method edits --edits 0 --out new/", "--edits"),
        ("quadrat levels sample --levels maps/ --capacity 3", "capacity: got 3"),
        ("quadrat levels sample --levels maps/ --beta 0", "beta"),
        ("quadrat levels sample --levels maps/ --staleness 1.5", "staleness"),
        ("quadrat levels sample --levels maps/ --transform max --beta 2", "--transform"),
        ("quadrat levels play --level maps/none.txt", "none.txt"),
        ("quadrat levels play --view 4", "view"),
    ] {
        let error = folder.fails(line);
        assert!(error.contains(words), "{line}: {error}");
    }
}

#[test]
fn a_walk_ends_at_the_goal() {
    let folder = Folder::new("levels-play");
    folder.write("way.txt", ">..#G\n.,...\n");
    let (out, _) = said(&folder, "levels play --level way.txt", "dwa\nxwwww\na\nww\n");
    assert!(out.contains("no key `x`") && out.contains("the goal is reached after 9 moves; reward 0.919"), "{out}");
    let (out, _) = said(&folder, "levels play --level way.txt --view 3 --json", "q\n");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["end"], "stopped");
    let (out, _) = said(&folder, "levels play --limit 2", "aa");
    assert!(out.contains("out of moves"), "{out}");
}
