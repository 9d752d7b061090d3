//! Recommenders: training and lists.

use crate::common::Folder;

/// 100 users of four kinds, and 60 items of which each kind of user likes a quarter.
pub fn write_ratings(folder: &Folder) {
    let mut items = String::from("item_id,kind,maker,tags,name,price\n");
    for i in 0..60 {
        items.push_str(&format!("i{i},k{},m{},t{}|s{},name {i},{}.5\n", i % 4, i % 12, i % 6, i % 5, i % 7));
    }
    let mut ratings = String::from("user_id,item_id,rating,day\n");
    let mut users = String::from("user_id,town\n");
    for u in 0..100 {
        users.push_str(&format!("{u},c{}\n", u % 4));
        for j in 0..12 {
            let item = 4 * ((j * j + 7 * u) % 8 + (j % 3) * (u % 3)) + u % 4;
            ratings.push_str(&format!("{u},i{item},{},{j}\n", 3 + (u + j) % 3));
        }
    }
    folder.write("items.csv", &items);
    folder.write("ratings.csv", &ratings);
    folder.write("users.csv", &(users + "new,c1\n"));
}

const LINE: &str = "quadrat retrieve train --interactions ratings.csv --weight rating --at-least 4";
const TOWERS: &str = "--method ssl-item-recommendation:dims=4,hidden=16,width=8,epochs=20,batch=64,rate=0.01";

#[test]
fn every_method_trains_and_recommends() {
    let folder = Folder::new("recommend");
    write_ratings(&folder);
    for (method, more, files) in [
        ("popularity", "", &["item-scores.npy"][..]),
        ("item-knn", "", &["neighbours.npy", "similarities.npy"]),
        ("ease", "--time day", &["item-weights.npy"]),
        ("", "--items items.csv --users users.csv", &["item-vectors.npy", "user-vectors.npy"]),
    ] {
        let how = if method.is_empty() { TOWERS.to_owned() } else { format!("--method {method}") };
        let name = if method.is_empty() { "towers" } else { method };
        let told = folder.json(&format!("{LINE} {how} {more} --out {name} --json"));
        let all = &told["quality"][3];
        let figure = |who: &str| all[who]["recall@20"].as_f64().unwrap();
        assert!(told["held_back"].as_u64().unwrap() > 50 && all["among"] == "all items", "{told}");
        if method != "popularity" {
            let own = if method.is_empty() { "ssl-item-recommendation" } else { method };
            assert!(figure(own) > figure("popularity"), "{name}: {all}");
        }
        for file in files.iter().chain(&["users.txt", "items.txt", "interactions.npy", "training.json"]) {
            assert!(folder.path(name).join(file).is_file(), "{name}/{file}");
        }
        let list = folder.json(&format!("quadrat retrieve recommend --model {name} --user 17 --k 5 --json"));
        let items: Vec<&str> =
            list["results"].as_array().unwrap().iter().map(|r| r["item"].as_str().unwrap()).collect();
        let liked = folder.read("ratings.csv");
        let known =
            |item: &&&str| liked.contains(&format!("\n17,{item},4,")) || liked.contains(&format!("\n17,{item},5,"));
        assert!(items.len() == 5 && !items.iter().any(|item| known(&item)), "{name}: {items:?}");
    }
    // A user of whom features alone are known gets a list too, and all users at once make a run.
    let text = folder.ok("quadrat retrieve recommend --model towers --user new --k 3");
    assert_eq!(text.lines().count(), 3, "{text}");
    folder.ok("quadrat retrieve recommend --model towers --all-users --k 2 --out all.trec");
    assert_eq!(folder.read("all.trec").lines().count(), 202);
    // What the fields tell of each other; names of rows are left out.
    let told = folder.json(&format!("{LINE} {TOWERS} --items items.csv --out again --threads 1 --json"));
    assert_eq!(told["information"]["fields"], serde_json::json!(["kind", "maker", "tags"]));
    assert!(told["warnings"][0].as_str().unwrap().contains("`name`"), "{told}");
    // The same seed gives the same bytes, whatever the threads.
    folder.ok(&format!("{LINE} {TOWERS} --items items.csv --out twice --threads 2"));
    for file in ["item-vectors.npy", "user-vectors.npy"] {
        let read = |name: &str| std::fs::read(folder.path(name).join(file)).unwrap();
        assert!(read("again") == read("twice"), "{file}");
    }
}

#[test]
fn atomic_files_are_read() {
    let folder = Folder::new("recommend-atomic");
    write_ratings(&folder);
    let ratings = folder.read("ratings.csv").replace(',', "\t");
    let head = "user_id:token\titem_id:token\trating:float\tday:float";
    folder.write("a.inter", &ratings.replace("user_id\titem_id\trating\tday", head));
    let item = |i: usize| format!("i{i}\tt{} s{}\tk{}\n", i % 6, i % 5, i % 4);
    let items: String = (0..60).map(item).collect();
    folder.write("a.item", &format!("item_id:token\ttags:token_seq\tkind:token\n{items}"));
    let line = LINE.replace("ratings.csv", "a.inter");
    let told = folder.json(&format!("{line} {TOWERS} --items a.item --time day --out model --json"));
    assert_eq!(told["information"]["fields"], serde_json::json!(["tags", "kind"]));
    let plain = folder.json(&format!("{LINE} --method ease --out csv --json"));
    let atomic = folder.json(&format!("{line} --method ease --out atomic --json"));
    assert_eq!(plain["quality"], atomic["quality"]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = Folder::new("recommend-errors");
    write_ratings(&folder);
    for (line, part) in [
        (format!("{LINE} --method star --out m"), "it is for recommenders, such as ssl-item-recommendation"),
        ("quadrat retrieve train --method ease --out m".to_owned(), "a file of who liked what"),
        (format!("{LINE} --queries q --method ease --out m"), "--queries"),
        (format!("{LINE} --method ease --method item-knn --out m"), "only encoders of texts take several"),
        (format!("{LINE} {TOWERS} --out m"), "reads items by their features"),
        (format!("{LINE} {TOWERS} --items items.csv --fields kind --out m"), "at least two features"),
        (format!("{LINE} {TOWERS} --items items.csv --fields knd --out m"), "`kind`"),
        (format!("{LINE} --item thing --method ease --out m"), "`thing`"),
        (format!("{LINE} --method ease:lambda=0 --out m"), "lambda"),
        (format!("{LINE} --method ease --dims 8 --out m"), "--dims"),
        (format!("{LINE} --method ease --validation 1 --out m"), "--validation"),
        (format!("{LINE} --method ease --out items.csv"), "a file of that name"),
        (
            "quadrat retrieve train --interactions ratings.csv --weight rating --method ease --out m".to_owned(),
            "--at-least",
        ),
        ("quadrat retrieve recommend --model nowhere --user 1".to_owned(), "nowhere"),
        ("quadrat retrieve recommend --model nowhere".to_owned(), "--user"),
        ("quadrat check ssl-item-recommendation".to_owned(), "recbole==1.2.1"),
    ] {
        let error = folder.fails(&line);
        assert!(error.contains(part), "{line}: {error}");
    }
    folder.ok(&format!("{LINE} --method item-knn --out m"));
    let error = folder.fails("quadrat retrieve recommend --model m --user 1000");
    assert!(error.contains("not there in training"), "{error}");
}
