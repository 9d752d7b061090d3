"""The level sampler beside the prioritised level replay of Syllabus, and the grid world beside minigrid.

    pip install minigrid==3.2.0 syllabus-rl==0.7 torch
    cargo build --release -p quadrat-bench
    python bench/levels.py [--only NAME ...] [--repeats N]

Sampler: 4,000 levels that all have a score; 20,000 times one is drawn (ranks at temperature 1, a tenth by staleness) and
given a new score. Syllabus's sampler is a revision of the authors' own, whose licence does not allow commercial use. World: a
cave of 11 x 11 cells, 50,000 random moves (left, right, ahead), each with the coded view of 7 x 7 cells behind whose walls
nothing is seen; both report how many cells of a view are hidden. Every run is a fresh process, ours and the peer's in turn.
"""

import random
import time

import side_by_side

LEVELS, PAIRS, STEPS = 4000, 20_000, 50_000

MAP = """###########
#>.#.....~#
#..#.###..#
#.##.#.#..#
#......#.~#
#~###.##..#
#...#..,..#
###.##.,#,#
#~.....#,G#
#.##.#...,#
###########
"""


def sampler():
    import numpy as np
    from syllabus.curricula.plr.task_sampler import TaskSampler

    tasks = list(range(LEVELS))
    replay = TaskSampler(tasks, 128, staleness_coef=0.1, temperature=1.0, replay_schedule="fixed", replay_prob=1.0)
    rng = np.random.default_rng(2)
    for task in tasks:
        replay.update_task_score(0, task, rng.random(), 0.0, 1)
    total = 0
    start = time.perf_counter()
    for _ in range(PAIRS):
        task = int(replay.sample())
        replay.update_task_score(0, task, rng.random(), 0.0, 1)
        total += task
    return time.perf_counter() - start, {"mean level": total / PAIRS}


def world():
    from minigrid.core.grid import Grid
    from minigrid.core.mission import MissionSpace
    from minigrid.core.world_object import Floor, Goal, Lava, Wall
    from minigrid.minigrid_env import MiniGridEnv

    things = {"#": Wall, "~": Lava, "G": Goal, ",": lambda: Floor("green")}
    lines = MAP.splitlines()

    class Cave(MiniGridEnv):
        def __init__(self):
            side = len(lines)
            super().__init__(mission_space=MissionSpace(lambda: "go"), grid_size=side, max_steps=4 * side * side)

        def _gen_grid(self, width, height):
            self.grid, self.mission = Grid(width, height), "go"
            for y, line in enumerate(lines):
                for x, letter in enumerate(line):
                    if letter in things:
                        self.put_obj(things[letter](), x, y)
                    elif letter == ">":
                        self.agent_pos, self.agent_dir = (x, y), 0

    cave = Cave()
    cave.reset(seed=1)
    moves = random.Random(3)
    hidden = 0
    start = time.perf_counter()
    for _ in range(STEPS):
        seen, _, ended, cut, _ = cave.step(moves.randrange(3))
        if ended or cut:
            seen, _ = cave.reset()
        hidden += int((seen["image"][:, :, 0] == 0).sum())
    return time.perf_counter() - start, {"hidden cells of a view": hidden / STEPS}


def peer(name):
    return sampler() if name == "sampler" else world()


def write_data(folder):
    with open(f"{folder}/map.txt", "w") as file:
        file.write(MAP)


if __name__ == "__main__":
    cases = {
        "20,000 draws and scores of 4,000 levels": (
            ["level-sampler", f"levels={LEVELS}", f"pairs={PAIRS}"], ["sampler"], {"library": "syllabus-rl"}),
        "50,000 moves in a cave": (
            ["grid-world", "map={folder}/map.txt", f"steps={STEPS}"], ["world"], {"library": "minigrid"}),
    }
    side_by_side.pairs(__file__, ["minigrid", "syllabus-rl"], cases, peer, write_data)
