use super::*;
use std::sync::Mutex;

fn tags(text: &str) -> TagSet {
    TagSet::new(text.split(';').filter(|part| !part.trim().is_empty()).map(|part| {
        let (category, tags) = part.split_once(':').unwrap();
        (category.to_owned(), tags.split(',').map(str::to_owned).collect())
    }))
}

fn example(of: &str, text: &str) -> Example {
    Example { tags: tags(of), text: text.to_owned() }
}

fn examples() -> Vec<Example> {
    vec![
        example("genre: rock; mood: happy; instrument: guitar", "An upbeat, happy rock tune with a loud guitar."),
        example("genre: jazz; mood: calm, sad", "A calm and sad evening of jazz!"),
    ]
}

#[test]
fn tags_become_lists_and_sentences() {
    let some = tags("genre: rock; mood: happy, calm,happy ,; tempo:");
    assert_eq!(TagList.describe(&some, Seed(0)).unwrap(), "genre: rock; mood: happy, calm");
    assert_eq!(Template.describe(&some, Seed(0)).unwrap(), "The genre is rock and the mood is happy and calm.");
    let three = tags("a: 1, 2, 3");
    assert_eq!(Template.describe(&three, Seed(0)).unwrap(), "The a is 1, 2 and 3.");
    assert_eq!((some.of("mood").len(), some.of("tempo").len()), (2, 0));
}

#[test]
fn the_tags_of_an_example_give_its_sentence() {
    let analogy = Analogy::new(examples()).unwrap();
    for seed in 0..20 {
        for Example { tags, text } in examples() {
            assert_eq!(analogy.describe(&tags, Seed(seed)).unwrap(), text);
        }
    }
}

#[test]
fn words_are_exchanged_and_clauses_dropped() {
    let analogy = Analogy::new(examples()).unwrap();
    for (of, want) in [
        ("genre: folk; mood: happy; instrument: organ", "An upbeat, happy folk tune with a loud organ."),
        ("genre: rock; mood: happy", "An upbeat, happy rock tune."),
        ("genre: jazz; mood: eerie, sad", "An eerie and sad evening of jazz!"),
        ("genre: jazz; mood: sad", "A sad evening of jazz!"),
        ("genre: jazz; mood: calm", "A calm evening of jazz!"),
        ("genre: jazz; mood: calm, sad, slow", "A calm and sad and slow evening of jazz!"),
        ("genre: jazz; mood: calm, sad; place: a bar", "A calm and sad evening of jazz, place a bar!"),
        ("mood: happy; instrument: guitar; genre: rock, pop", "An upbeat, happy rock and pop tune with a loud guitar."),
    ] {
        assert_eq!(analogy.describe(&tags(of), Seed(1)).unwrap(), want, "{of}");
    }
    // Tags that contain each other, and one that becomes what another was.
    let odd =
        Analogy::new(vec![example("genre: punk rock, rock; mood: dark", "Punk rock and rock, dark as ever.")]).unwrap();
    assert_eq!(odd.describe(&tags("genre: rock; mood: rock"), Seed(0)).unwrap(), "Rock, rock as ever.");
    // Of equals the seed takes one.
    let equals = Analogy::new(vec![example("a: x", "One x."), example("a: x", "Some x.")]).unwrap();
    let said = |seed| equals.describe(&tags("a: x"), Seed(seed)).unwrap();
    assert!((0..40).any(|seed| said(seed) == "One x.") && (0..40).any(|seed| said(seed) == "Some x."));
    assert_eq!(said(3), said(3));
}

struct Script(Mutex<Vec<&'static str>>, Mutex<Vec<String>>);

impl TextCompleter for Script {
    fn complete(&self, prompt: &str, _: usize, _: f64, _: Seed) -> Result<String> {
        self.1.lock().unwrap().push(prompt.to_owned());
        Ok(self.0.lock().unwrap().pop().unwrap_or_default().to_owned())
    }
}

#[test]
fn answers_of_a_model_are_looked_at() {
    let new = tags("genre: folk; mood: happy");
    let run = |answers: &[&'static str]| {
        let script = Script(Mutex::new(answers.iter().rev().copied().collect()), Mutex::new(Vec::new()));
        let said = PromptAnalogy::new(examples(), &script).unwrap().describe(&new, Seed(4)).unwrap();
        (said, script.1.into_inner().unwrap())
    };
    let (said, prompts) = run(&[" \"A happy folk song.\"\ngenre: rock -> more"]);
    assert_eq!((said.as_str(), prompts.len()), ("A happy folk song.", 1));
    assert!(prompts[0].ends_with("\ngenre: folk; mood: happy ->"), "{}", prompts[0]);
    assert!(prompts[0].contains("genre: jazz; mood: calm, sad -> A calm and sad evening of jazz!\n"), "{}", prompts[0]);
    // Empty, a copy, of an instrument that nobody named; then a good one.
    let copy = "A calm and sad evening of jazz!";
    let (said, prompts) = run(&["", copy, "Folk with a guitar", "Good folk"]);
    assert_eq!((said.as_str(), prompts.len()), ("Good folk", 4));
    let long = "word word word word word word word word word word word word word word word word word word word word word word word \
                word word word word word word word word word word word word word word word word word word word word word word \
                word word word word word word word word word word word word word word word word word word word word word";
    let (said, prompts) = run(&[long, "", "", "", "too late"]);
    assert_eq!((said.as_str(), prompts.len()), ("The genre is folk and the mood is happy.", 4));
}

#[test]
fn what_does_not_fit_is_refused() {
    let script = Script(Mutex::default(), Mutex::default());
    let want = "analogy prompting needs at least one (tags, sentence) pair";
    assert!(Analogy::new(Vec::new()).unwrap_err().to_string().contains(want));
    assert!(PromptAnalogy::new(Vec::new(), &script).err().unwrap().to_string().contains(want));
    assert!(Describe::Analogy.with(Vec::new()).err().unwrap().to_string().contains(want));
    let bad = vec![example("a: b", "text"), example("", "text")];
    assert!(Analogy::new(bad).unwrap_err().to_string().contains("example 1"));
    for way in Describe::CHOICES {
        let way = way.value.with(examples()).unwrap();
        assert_eq!(way.describe(&TagSet::default(), Seed(0)).unwrap(), "");
    }
    assert_eq!(PromptAnalogy::new(examples(), &script).unwrap().describe(&TagSet::default(), Seed(0)).unwrap(), "");
}
