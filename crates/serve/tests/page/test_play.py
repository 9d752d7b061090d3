"""The playground and twenty questions."""

import csv
import re

from server import command_line


def test_drawing_and_watching(tab, server, tmp_path, picture):
    page = tab()
    page.goto(f"{server.root}/play")
    said = page.locator("#said")
    said.filter(has_text="20 of 425 points chosen").wait_for()
    picture(page, "play-select")
    before = said.inner_text()
    box = page.locator("#canvas").bounding_box()
    page.mouse.click(box["x"] + 40, box["y"] + 40)
    said.filter(has_text="of 426 points").wait_for()

    # By keyboard: a point at the cross, another, one less, a class.
    page.locator("#canvas").focus()
    for key in ["ArrowRight", "Enter", "3", "Shift+ArrowUp", "Enter"]:
        page.keyboard.press(key)
    said.filter(has_text="of 428 points").wait_for()
    page.keyboard.press("Delete")
    said.filter(has_text="of 427 points").wait_for()
    page.get_by_role("button", name="Add 30").click()
    said.filter(has_text="of 457 points").wait_for()
    page.get_by_role("button", name="Take back").click()
    said.filter(has_text="of 427 points").wait_for()
    assert before != ""

    page.get_by_label("Balance").check()
    said.filter(has_text="points became").wait_for()
    picture(page, "play-balance")
    page.locator("[data-card=smote] [name=k]").fill("0")
    page.locator("#wrong").filter(has_text="k: got `0`").wait_for()
    page.locator("[data-card=smote] [name=k]").fill("3")
    said.filter(has_text="points became").wait_for()
    same_by_hand(page, server, tmp_path)
    page.get_by_label("Draw more").check()
    said.filter(has_text="200 new points").wait_for()
    picture(page, "play-diffuse")


def same_by_hand(page, server, tmp_path):
    """The command line that the page shows makes as many rows of the saved picture as the page says."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save points.csv").click()
    download.value.save_as(server.folder / "points.csv")
    done = command_line(server.folder, page.locator("#command").inner_text())
    assert done.returncode == 0, done.stderr
    with open(server.folder / "result.csv") as file:
        rows = list(csv.reader(file))[1:]
    told = re.search(r"became (\d+)", page.locator("#said").inner_text()).group(1)
    assert len(rows) == int(told)


def test_the_engine_is_the_command_lines(server):
    """What the page chooses and makes is what the command line it prints writes, to the last digit."""
    points = [[round((i * 37 % 101) / 50 - 1, 4), round((i * 53 % 97) / 48 - 1, 4)] for i in range(150)]
    classes = [0 if i % 9 else 2 for i in range(150)]
    lines = ["x,y,class"] + [f"{x},{y},{'abc'[c]}" for (x, y), c in zip(points, classes)]
    (server.folder / "points.csv").write_text("\n".join(lines) + "\n")
    for act, method in [
        ("select", "k-center"), ("select", "facility-location"), ("select", "stratified"), ("select", "diversify-conquer"),
        ("balance", "smote"), ("balance", "adasyn"), ("balance", "tomek-links"), ("diffuse", "kernel"),
    ]:
        asked = {"points": points, "classes": classes, "act": act, "method": method, "budget": 12, "seed": 3}
        told = server.ask("POST", "/api/play", asked)
        assert told.status == 200, told.text
        done = command_line(server.folder, told.json["command"])
        assert done.returncode == 0, done.stderr
        with open(server.folder / "result.csv") as file:
            rows = [[float(row["x"]), float(row["y"])] for row in csv.DictReader(file)]
        kept = [] if act == "diffuse" else [points[row] for row in told.json["kept"]]
        assert rows == kept + told.json["made"], (act, method)


def test_a_map_of_fifty_thousand_points(tab, server):
    page = tab()
    page.goto(f"{server.root}/play")
    page.evaluate(FIFTY_THOUSAND)
    first, frames = page.evaluate("window.told")
    assert first < 1000, f"{first} ms"
    assert frames >= 30, f"{frames} frames a second"


FIFTY_THOUSAND = """async () => {
  const { PointMap } = await import("/assets/map.js");
  const map = new PointMap(document.querySelector("#canvas"), { x: 0, y: 0, width: 3 });
  const n = 50000, random = Math.random;
  const column = (of) => Array.from({ length: n }, (_, i) => of(i));
  map.points = {
    n, x: column(() => random() + random() + random() - 1.5), y: column(() => random() + random() - 1),
    kind: column((i) => i % 5), radius: column(() => 3), strength: column(() => 1), shape: column(() => -1),
  };
  const begun = performance.now();
  map.draw();
  const first = performance.now() - begun;
  let frames = 0;
  const start = performance.now();
  await new Promise((done) => {
    const frame = () => {
      frames++;
      map.move(0.003, 0.002);
      if (performance.now() - start > 2000) done(); else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  window.told = [first, frames / 2];
}"""


def test_twenty_questions(tab, server, picture):
    page = tab()
    page.goto(f"{server.root}/ask")
    question = page.locator("#question")
    question.filter(has_text="1. ").wait_for()
    first = question.inner_text()
    page.keyboard.press("n")
    question.filter(has_text="2. ").wait_for()
    page.reload()
    question.filter(has_text="2. ").wait_for()
    picture(page, "ask")
    page.keyboard.press("u")
    question.filter(has_text=first).wait_for()
    for number in range(2, 30):
        asked = question.inner_text()
        page.get_by_role("button", name="Yes").click()
        question.filter(has_not_text=asked).wait_for()
        if "my answer is" in question.inner_text():
            break
    guess = question.inner_text().split(": ", 1)[1]
    done = command_line(server.folder, page.locator("#command").inner_text())
    assert guess in done.stdout, done.stdout
    page.fill("#input", "nothing-here.csv")
    page.get_by_role("button", name="Play").click()
    page.locator("#wrong").filter(has_text="nothing-here.csv").wait_for()
    assert number > 2
