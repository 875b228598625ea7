from loadtests.grid import Grid

SECONDS = 2
WINDOW_S = 10


def grow(a, b, c):
    return []


def to_json(p):
    return []


def growth_grid(p):
    return Grid(title="", columns=("a",), rows=())
