//! The guide in `docs/`: its commands run, its pages show what is printed, its links lead somewhere, and it leaves no page
//! and no method out.

use crate::common::Folder;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn read(page: &str) -> String {
    fs::read_to_string(docs().join(page)).map_err(|e| format!("docs/{page}: {e}")).unwrap()
}

/// The pages that SUMMARY.md lists, in its order.
fn pages() -> Vec<String> {
    links(&read("SUMMARY.md"))
}

/// What stands between fences, with the word after the opening one.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(_) if inside => inside = false,
            Some(kind) => {
                inside = true;
                blocks.push((kind.to_owned(), String::new()));
            }
            None if inside => blocks.last_mut().unwrap().1.extend([line, "\n"]),
            None => {}
        }
    }
    blocks
}

/// The lines outside fences.
fn prose(page: &str) -> Vec<&str> {
    let mut inside = false;
    let outside = |line: &&str| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    };
    page.lines().filter(outside).collect()
}

/// Where the links of a page lead that are no web addresses.
fn links(page: &str) -> Vec<String> {
    let targets = |line: &str| -> Vec<String> {
        line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
    };
    prose(page).into_iter().flat_map(targets).filter(|target| !target.contains("://")).collect()
}

/// The names under which the headings of a page can be linked to.
fn anchors(page: &str) -> BTreeSet<String> {
    let heading = |line: &str| line.starts_with('#').then(|| line.trim_start_matches('#').trim().to_lowercase());
    let spelt = |c: char| match c {
        ' ' => Some('-'),
        _ => (c.is_alphanumeric() || c == '-' || c == '_').then_some(c),
    };
    prose(page).into_iter().filter_map(heading).map(|text| text.chars().filter_map(spelt).collect()).collect()
}

/// Runs a page's commands in a folder of its own. The block `text` after one of commands shows lines of what they print,
/// in their order; `...` stands for others.
#[cfg(unix)]
fn run(page: &str) {
    let folder = Folder::new(&format!("guide-{}", page.replace(['/', '.'], "-")));
    let program = Path::new(env!("CARGO_BIN_EXE_quadrat")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    if ["encoder.md", "retrieval.md"].contains(&page) {
        folder.write_encoder();
    }
    if page == "denoise.md" {
        fs::copy(docs().join("files/noisy.png"), folder.path("photo.png")).unwrap();
    }
    let mut printed = String::new();
    for (kind, block) in blocks(&read(page)) {
        match kind.as_str() {
            "sh" => {
                let script = format!("exec 2>&1\n{block}");
                let mut shell = Command::new("sh");
                shell.args(["-e", "-c", &script]).current_dir(folder.path(""));
                shell.env("PATH", &path).env("XDG_CACHE_HOME", folder.cache());
                let output = shell.output().unwrap();
                printed = String::from_utf8_lossy(&output.stdout).into_owned();
                assert!(output.status.success(), "docs/{page}:\n{block}\nprinted\n{printed}");
            }
            "text" => {
                let mut lines = printed.lines().map(str::trim_end);
                for shown in block.lines().filter(|line| *line != "...") {
                    assert!(
                        lines.any(|line| line == shown),
                        "docs/{page} shows `{shown}`, which does not follow in\n{printed}"
                    );
                }
            }
            _ => {}
        }
    }
}

/// Pages run side by side.
#[cfg(unix)]
#[test]
fn commands_run_and_print_what_is_shown() {
    std::thread::scope(|scope| {
        for page in pages() {
            scope.spawn(move || run(&page));
        }
    });
}

#[test]
fn every_page_is_listed() {
    let listed: BTreeSet<String> = pages().into_iter().collect();
    let mut there = BTreeSet::new();
    let mut folders = vec![docs()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                let name: Vec<_> =
                    path.strip_prefix(docs()).unwrap().iter().map(|part| part.to_string_lossy()).collect();
                there.insert(name.join("/"));
            }
        }
    }
    there.remove("SUMMARY.md");
    assert_eq!(listed, there);
}

#[test]
fn every_link_leads_somewhere() {
    let readme = "../README.md".to_owned();
    for page in pages().into_iter().chain([readme.clone()]) {
        for link in links(&read(&page)) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => docs().join(&page),
                file => docs().join(&page).parent().unwrap().join(file),
            };
            assert!(target.exists(), "docs/{page}: {link}");
            // A book has nothing outside its folder.
            let inside = target.canonicalize().unwrap().starts_with(docs().canonicalize().unwrap());
            assert!(inside || page == readme, "docs/{page}: {link} leads out of the guide");
            let known = || anchors(&fs::read_to_string(&target).unwrap());
            assert!(anchor.is_empty() || known().contains(anchor), "docs/{page}: {link}: there is {:?}", known());
        }
    }
}

#[test]
fn every_method_is_on_the_page_of_its_area() {
    let folder = Folder::new("guide-methods");
    for card in folder.json("quadrat list --json").as_array().unwrap() {
        let (area, slug) = (card["area"].as_str().unwrap(), card["slug"].as_str().unwrap());
        let runs = |verb: &str| card["verbs"].as_array().unwrap().contains(&verb.into());
        let trains = runs("train");
        let page = match area {
            "robust" if runs("impute") => vec!["series.md".to_owned()],
            "robust" if trains => vec!["labels.md".to_owned(), "detection.md".to_owned()],
            "robust" => vec!["balance.md".to_owned()],
            "regularize" => vec!["train.md".to_owned()],
            "inverse" => ["reconstruction.md", "denoise.md", "solve.md"].map(str::to_owned).to_vec(),
            "retrieval" => vec!["retrieval.md".to_owned(), "train-retrieval.md".to_owned()],
            _ => vec![format!("{area}.md")],
        };
        let lines = |page: &String| read(page).lines().filter(|l| l.starts_with(&format!("| `{slug}` |"))).count();
        let rows: usize = page.iter().map(lines).sum();
        assert_eq!(rows, 1, "docs/{} has {rows} lines about {slug}", page.join(" and docs/"));
    }
}

/// What the page of troubles says of a claim is what its largest recorded run found.
#[test]
fn every_recorded_verdict_is_told_as_it_is() {
    let folder = Folder::new("guide-verdicts");
    let page = read("which-method.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for card in folder.json("quadrat list --json").as_array().unwrap() {
        let slug = card["slug"].as_str().unwrap();
        let shown = folder.json(&format!("quadrat show {slug} --json"));
        let Some(verdict) = shown["recorded"][0]["verdict"].as_str() else { continue };
        let told = format!("`{slug}`: *{}*", verdict.replace('-', " "));
        assert!(page.contains(&told), "docs/which-method.md does not say {told}");
    }
}
