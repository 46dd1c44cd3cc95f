"""Render the gallery's still life: fruit, a bowl and a glazed jug on a wooden table, lit by a window on the left.

    python scripts/still_life.py docs/images/still-life.jpg

Every shape, color and grain comes from this script; it uses no other asset. It is a small path tracer that needs only
NumPy and Pillow and takes about two minutes on one core.

For previews, add `--width 200 --samples 8`. Lengths are in meters; x points right, y away from the camera and
z up. Vectors are arrays whose first axis is (x, y, z), so that one call treats many rays.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from math import cos, pi, radians, sin, tau
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.float32]
Index = NDArray[np.intp]
F = np.float32

EYE, TARGET, HALF_HEIGHT = (0.06, -1.32, 0.56), (0.015, 0.0, 0.098), 0.212  # the last: tangent of half the view
FOCUS, LENS = 1.33, 0.0085  # distance in focus, and the radius of the lens
WINDOW_X, WINDOW_Y, WINDOW_Z = -1.1, (-0.62, 0.0), (0.26, 1.02)
DAYLIGHT = np.array([[33.0], [32.0], [30.5]], F)
ROOM = np.array([[0.26], [0.24], [0.215]], F)  # what comes from the room's unseen, dimmer parts
WALL = 0.85
NOTHING, TABLE, BACK, CLOTH, FIRST = range(5)  # what a ray meets; things on the table count from FIRST
CLOTH_MIDDLE, CLOTH_TURN, CLOTH_HALF, CLOTH_TOP = (0.075, -0.085), radians(33), 0.205, 0.042
NEAR = 2e-4


def tint(*rgb: float) -> Array:
    """Give a color as a column."""
    return np.array(rgb, F)[:, None]


def dot(a: Array, b: Array) -> Array:
    """Multiply vectors."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def unit(a: Array) -> Array:
    """Scale vectors to length one."""
    return a / np.sqrt(dot(a, a))


def ease(low: float, high: float, x: Array) -> Array:
    """Go smoothly from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def blend(amount: Array, a: Array, b: Array) -> Array:
    """Mix from `a` (amount 0) to `b` (amount 1)."""
    return a + (b - a) * amount


LATTICE = np.random.default_rng(5).uniform(-1, 1, (32 * 32 * 32, 3)).astype(F)


def noise(point: Array) -> Array:
    """Give three smooth noises of a place, each within -1 to 1; their grain is one unit."""
    whole = np.floor(point)
    u = point - whole
    u = u * u * (3 - 2 * u)
    near = whole.astype(np.intp)
    result: Array = np.zeros_like(point)
    for corner in range(8):
        bits = (corner & 1, corner >> 1 & 1, corner >> 2)
        i, j, k = ((near[axis] + bits[axis]) & 31 for axis in range(3))
        wx, wy, wz = (u[axis] if bits[axis] else 1 - u[axis] for axis in range(3))
        result += LATTICE[(i * 32 + j) * 32 + k].T * (wx * wy * wz)
    return result


def fractal(point: Array, octaves: int = 3) -> Array:
    """Sum octaves of noise."""
    return sum((noise(point * 2.03**i + 7.7 * i) / 2**i for i in range(octaves)), np.zeros_like(point)) / 1.6


# Things ------------------------------------------------------------------------------------------------------------


def march(
    distance: Callable[[Array], Array],
    o: Array,
    d: Array,
    near: Array,
    end: Array,
    rays: Index,
    close: float,
    stride: float = 0.0,
) -> tuple[Index, Array]:
    """Step along the given rays by the distance left until they hit or end; a stride hurries those that graze."""
    o, d, t, end = o.take(rays, axis=1), d.take(rays, axis=1), near.take(rays), end.take(rays)
    found, where, least = [rays[:0]], [t[:0]], F(0)
    for turn in range(64):
        if not len(rays):
            break
        gap = distance(o + d * t)
        hit = gap < close
        t += np.where(hit, gap, np.maximum(gap, least))
        least += F(stride * 1e-3)
        done = hit | (t > end)
        if done.sum() > 0.2 * len(rays) or turn == 63:
            found.append(rays[hit & (t < end)])
            where.append(t[hit & (t < end)])
            keep = np.flatnonzero(~done)
            rays, o, d, t, end = rays[keep], o.take(keep, axis=1), d.take(keep, axis=1), t[keep], end[keep]
    return np.concatenate(found), np.concatenate(where)


class Profile:
    """A shape turned on the z axis, kept as a table of signed distances around its outline."""

    ROWS, COLUMNS = 384, 192

    def __init__(self, knots: list[tuple[float, float]]) -> None:
        line = np.array([(r, z) for r, z in knots])
        self.low, self.high = line[:, 1].min(), line[:, 1].max()
        line[:, 1] -= (self.low + self.high) / 2
        p = np.concatenate([line[:1], line, line[-1:]])
        t = np.linspace(0, 1, 14, endpoint=False)[:, None, None]
        slope_a, slope_b = (p[2:-1] - p[:-3]) / 2, (p[3:] - p[1:-2]) / 2
        a, b = p[1:-2], p[2:-1]
        curve = (
            a + t * slope_a + t**2 * (3 * (b - a) - 2 * slope_a - slope_b) + t**3 * (2 * (a - b) + slope_a + slope_b)
        )
        curve = np.concatenate([curve.transpose(1, 0, 2).reshape(-1, 2), line[-1:]])
        curve[:, 0] = np.maximum(curve[:, 0], 0)
        self.reach = float(np.hypot(*curve.T).max() * 1.02)
        self.cell = F(2 * self.reach / (self.ROWS - 2))
        z, r = np.meshgrid(
            np.arange(self.ROWS) * self.cell - self.reach, np.arange(self.COLUMNS) * self.cell, indexing="ij"
        )
        square, inside = np.full(z.shape, np.inf), np.zeros(z.shape, bool)
        for (r0, z0), (r1, z1) in pairwise(curve):
            dr, dz = r1 - r0, z1 - z0
            along = np.clip(((r - r0) * dr + (z - z0) * dz) / max(dr * dr + dz * dz, 1e-12), 0, 1)
            square = np.minimum(square, (r - r0 - along * dr) ** 2 + (z - z0 - along * dz) ** 2)
            if z0 != z1:
                inside ^= ((z0 <= z) != (z1 <= z)) & (r < r0 + (z - z0) / dz * dr)
        table = np.where(inside, -1, 1) * np.sqrt(square)
        table = np.pad(table, ((0, 1), (0, 1)), mode="edge").astype(F)
        corners = (table[:-1, :-1], table[:-1, 1:], table[1:, :-1], table[1:, 1:])
        self.table = np.ascontiguousarray(np.stack(corners, axis=-1).reshape(-1, 4))

    def distance(self, r: Array, z: Array) -> Array:
        """Look up the distance to the outline."""
        u = np.clip(r / self.cell, 0, F(self.COLUMNS - 1.01))
        v = np.clip((z + F(self.reach)) / self.cell, 0, F(self.ROWS - 1.01))
        i, j = v.astype(np.int32), u.astype(np.int32)
        u -= j
        v -= i
        c = self.table.take(i * self.COLUMNS + j, axis=0)
        a = c[:, 0] + (c[:, 1] - c[:, 0]) * u
        b = c[:, 2] + (c[:, 3] - c[:, 2]) * u
        return a + (b - a) * v


class Ring:
    """A flattened ring in the x-z plane: the jug's handle."""

    reach, cell, low, high = 0.085, F(4e-4), -0.07, 0.07

    def place(self, p: Array) -> Array:
        """Give the distance to the ring."""
        return np.hypot(np.hypot(p[0] * F(1.35), p[2]) - F(0.066), p[1] * F(0.8)) * F(0.74) - F(0.0062)


@dataclass
class Thing:
    """A profile set on the table: where its base or middle is, its size, how it leans, and what it is made of."""

    shape: Profile | Ring
    look: str
    x: float
    y: float
    z: float
    size: float = 1.0
    lean: float = 0.0
    towards: float = 0.0
    spin: float = 0.0
    bend: float = 0.0
    middle: Array = field(init=False)
    frame: Array = field(init=False)

    def __post_init__(self) -> None:
        a, b, c = radians(self.lean), radians(self.towards), radians(self.spin)
        across = np.array([[cos(a), 0, sin(a)], [0, 1, 0], [-sin(a), 0, cos(a)]])
        turn, twist = (np.array([[cos(t), -sin(t), 0], [sin(t), cos(t), 0], [0, 0, 1]]) for t in (b, c - b))
        self.frame = (turn @ across @ twist).astype(F)
        self.middle = tint(self.x, self.y, self.z)

    def local(self, p: Array) -> Array:
        """Move places into the thing's own frame."""
        return self.frame.T @ ((p - self.middle) / F(self.size))

    def distance(self, p: Array) -> Array:
        """Give the distance from places in the thing's own frame."""
        if isinstance(self.shape, Ring):
            return self.shape.place(p)
        x = p[0] - F(self.bend) * np.maximum(p[2], 0) ** 2 if self.bend else p[0]
        return self.shape.distance(np.sqrt(x * x + p[1] * p[1]), p[2])

    def normal(self, p: Array) -> Array:
        """Give the outward direction at places on the surface, in the scene's frame."""
        step = F(1.3 * self.shape.cell)
        total: Array = np.zeros_like(p)
        for signs in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
            tap = tint(*signs)
            total += tap * self.distance(p + tap * step)
        return self.frame @ unit(total)

    def meet(self, origin: Array, way: Array, limit: Array) -> tuple[Index, Array]:
        """Find the rays that hit the thing before their limit, and where."""
        o = self.frame.T @ ((origin - self.middle) / F(self.size))
        d = self.frame.T @ way
        middle = -dot(o, d)
        spread = middle * middle - dot(o, o) + F(self.shape.reach**2)
        half = np.sqrt(np.maximum(spread, 0))
        near = np.maximum(middle - half, 0)
        rays = np.flatnonzero((spread > 0) & (middle + half > 0) & (near * F(self.size) < limit))
        end = np.minimum(middle + half, limit / F(self.size))
        hits, t = march(self.distance, o, d, near, end, rays, NEAR / self.size)
        return hits, t * F(self.size)


APPLE = Profile([
    (0, -0.62), (0.12, -0.66), (0.28, -0.82), (0.45, -0.84), (0.74, -0.62), (0.94, -0.2), (1.0, 0.15), (0.94, 0.50),
    (0.72, 0.78), (0.44, 0.86), (0.22, 0.74), (0.07, 0.52), (0.036, 0.62), (0.032, 0.9), (0.05, 1.12), (0, 1.14),
])  # fmt: skip
ORANGE = Profile([
    (0, -0.95), (0.3, -0.92), (0.7, -0.7), (0.98, -0.1), (0.96, 0.28), (0.72, 0.7), (0.32, 0.93), (0.13, 0.94),
    (0.075, 0.90), (0.06, 0.935), (0, 0.94),
])  # fmt: skip
LEMON_END = [(0, -1.36), (0.09, -1.33), (0.19, -1.18), (0.45, -0.95), (0.8, -0.52)]
LEMON = Profile([*LEMON_END, (0.94, 0), (0.82, 0.5), (0.5, 0.9), (0.26, 1.08), (0.19, 1.24), (0.1, 1.36), (0, 1.38)])
HALF_LEMON = Profile([*LEMON_END, (0.93, -0.06), (0.94, -0.01), (0.93, 0), (0.9, 0), (0.5, 0), (0, 0)])
PEAR = Profile([
    (0, -0.93), (0.15, -0.98), (0.4, -1.05), (0.76, -0.85), (0.98, -0.4), (1.0, 0.0), (0.86, 0.45), (0.62, 0.85),
    (0.48, 1.2), (0.40, 1.48), (0.27, 1.66), (0.1, 1.72), (0.05, 1.76), (0.04, 1.9), (0.045, 2.15), (0.06, 2.3),
    (0, 2.31),
])  # fmt: skip
JUG = Profile([
    (0, 0), (0.05, 0), (0.057, 0.004), (0.062, 0.02), (0.084, 0.065), (0.092, 0.105), (0.083, 0.155), (0.057, 0.200),
    (0.045, 0.230), (0.047, 0.255), (0.056, 0.277), (0.0555, 0.281), (0.052, 0.279), (0.042, 0.255), (0.040, 0.230),
    (0.052, 0.200), (0.077, 0.155), (0.085, 0.105), (0.062, 0.05), (0.03, 0.022), (0, 0.02),
])  # fmt: skip
BOWL = Profile([
    (0, 0), (0.05, 0), (0.055, 0.003), (0.053, 0.012), (0.09, 0.028), (0.13, 0.058), (0.147, 0.082), (0.1475, 0.086),
    (0.143, 0.085), (0.125, 0.062), (0.085, 0.035), (0.04, 0.02), (0, 0.018),
])  # fmt: skip

BOTTLE = Profile([
    (0, 0.02), (0.02, 0.012), (0.033, 0), (0.0375, 0.003), (0.0385, 0.015), (0.0385, 0.08), (0.0385, 0.145),
    (0.034, 0.172), (0.02, 0.196), (0.0145, 0.215), (0.0135, 0.25), (0.0135, 0.268), (0.0165, 0.270), (0.0165, 0.281),
    (0.0145, 0.285), (0.0105, 0.285), (0.0100, 0.27), (0, 0.268),
])  # fmt: skip

BX, BY = 0.125, 0.075
THINGS = [
    Thing(JUG, "jug", -0.185, 0.14, 0.1405),
    Thing(Ring(), "jug", -0.115, 0.105, 0.178, towards=0, spin=-27),
    Thing(BOTTLE, "bottle", 0.315, 0.235, 0.1425),
    Thing(BOWL, "bowl", BX, BY, 0.046),
    Thing(ORANGE, "orange", BX - 0.060, BY - 0.046, 0.078, 0.039, 35, 200),
    Thing(APPLE, "apple", BX + 0.028, BY - 0.066, 0.078, 0.0395, 24, 250, 160, 0.12),
    Thing(ORANGE, "orange", BX + 0.080, BY + 0.008, 0.080, 0.038, 60, 300),
    Thing(APPLE, "apple", BX + 0.022, BY + 0.072, 0.082, 0.040, 20, 60, 20, 0.1),
    Thing(APPLE, "green", BX - 0.058, BY + 0.042, 0.082, 0.038, 25, 170, 0, -0.1),
    Thing(PEAR, "pear", BX + 0.012, BY + 0.004, 0.135, 0.033, 62, 12, 0, 0.1),
    Thing(PEAR, "pear", -0.118, -0.035, 0.0550, 0.0385, 6, 200, 120, 0.10),
    Thing(APPLE, "apple", -0.235, -0.045, 0.0335, 0.0395, 14, 290, 80, 0.15),
    Thing(LEMON, "lemon", 0.088, -0.185, 0.0318, 0.0285, 88, 25),
    Thing(HALF_LEMON, "half", 0.005, -0.215, 0.030, 0.0290, 68, 255, 10),
    Thing(ORANGE, "orange", 0.305, -0.045, 0.0365, 0.039, 40, 230),
]


# The cloth ---------------------------------------------------------------------------------------------------------


class Cloth:
    """A napkin on the table: a height over its own square, with folds that spread from under the bowl."""

    SIZE = 320

    def __init__(self) -> None:
        reach = CLOTH_HALF + 0.02
        self.cell = F(2 * reach / (self.SIZE - 1))
        v, u = np.meshgrid(*[np.linspace(-reach, reach, self.SIZE, dtype=F)] * 2, indexing="ij")
        x = CLOTH_MIDDLE[0] + cos(CLOTH_TURN) * u - sin(CLOTH_TURN) * v
        y = CLOTH_MIDDLE[1] + sin(CLOTH_TURN) * u + cos(CLOTH_TURN) * v
        flat = np.stack([x, y, 0 * x]).reshape(3, -1)
        wave = fractal(flat * 7 + 3.3).reshape(3, *x.shape)
        edge = CLOTH_HALF - np.maximum(np.abs(u + 0.008 * wave[0]), np.abs(v + 0.008 * wave[1]))
        far, angle = np.hypot(x - BX, y - BY), np.arctan2(y - BY, x - BX)
        folds = np.zeros_like(x)
        for at, curl, height, width in (
            (-165, 1.2, 0.012, 0.013), (-146, -1.0, 0.019, 0.016), (-128, 1.6, 0.013, 0.010),
            (-101, -0.9, 0.020, 0.016), (-76, 1.5, 0.014, 0.012), (-52, -1.2, 0.020, 0.016), (-30, 1.0, 0.012, 0.012),
            (-8, -1.0, 0.016, 0.015),
        ):  # fmt: skip
            off = (angle - radians(at) - curl * (far - 0.15) + 0.25 * wave[2] + pi) % tau - pi
            across = far * off / (width * (0.5 + far / 0.2))
            across = np.where(across > 0, across * 1.5, across * 0.8)
            folds = np.maximum(folds, height * np.exp(-(across**2)))
        folds = (
            folds * ease(0.06, 0.16, far) + 0.0035 * (wave[0] + 0.6) + 0.0012 * fractal(flat * 28)[2].reshape(x.shape)
        )
        for thing in THINGS[4:]:
            if thing.z < 0.06:
                folds *= 0.08 + 0.92 * ease(0.02, 0.065, np.hypot(x - thing.x, y - thing.y))
        folds = np.maximum(folds, 0) * (0.15 + 0.85 * ease(0, 0.08, edge))
        height = ease(-0.001, 0.0025, edge) * (0.0026 + folds) - 1e-3
        slope = np.gradient(height, self.cell)
        self.table = np.stack([height, slope[1], slope[0]], axis=-1).reshape(-1, 3).astype(F)

    def own(self, p: Array) -> tuple[Array, Array]:
        """Move places into the cloth's square."""
        x, y = p[0] - F(CLOTH_MIDDLE[0]), p[1] - F(CLOTH_MIDDLE[1])
        c, s = F(cos(CLOTH_TURN)), F(sin(CLOTH_TURN))
        return c * x + s * y, c * y - s * x

    def look_up(self, p: Array) -> Array:
        """Give height and slopes under places."""
        u, v = (np.clip(w / self.cell + F((self.SIZE - 1) / 2), 0, F(self.SIZE - 1.01)) for w in self.own(p))
        i, j = v.astype(np.int32), u.astype(np.int32)
        u, v, at = (u - j)[:, None], (v - i)[:, None], i * self.SIZE + j
        a = self.table.take(at, axis=0) * (1 - u) + self.table.take(at + 1, axis=0) * u
        b = self.table.take(at + self.SIZE, axis=0) * (1 - u) + self.table.take(at + self.SIZE + 1, axis=0) * u
        return (a * (1 - v) + b * v).T

    def distance(self, p: Array) -> Array:
        """Give a lower bound of the distance from places to the cloth."""
        return (p[2] - self.look_up(p)[0]) * F(0.68)

    def normal(self, p: Array) -> Array:
        """Give the upward direction at places on the cloth."""
        _, du, dv = self.look_up(p)
        c, s = F(cos(CLOTH_TURN)), F(sin(CLOTH_TURN))
        return unit(np.stack([s * dv - c * du, -s * du - c * dv, np.ones_like(du)]))

    def meet(self, origin: Array, way: Array, limit: Array) -> tuple[Index, Array]:
        """Find the rays that hit the cloth before their limit, and where."""
        near, end = np.zeros_like(limit), limit
        ou, ov = self.own(origin)
        du, dv = self.own(way + tint(*CLOTH_MIDDLE, 0))
        half = CLOTH_HALF + 0.01
        for o, step, low, high in ((ou, du, -half, half), (ov, dv, -half, half), (origin[2], way[2], 0, CLOTH_TOP)):
            d = np.where(np.abs(step) < 1e-7, F(1e-7), step)
            a, b = (F(low) - o) / d, (F(high) - o) / d
            near, end = np.maximum(near, np.minimum(a, b)), np.minimum(end, np.maximum(a, b))
        rays = np.flatnonzero(near < end)
        return march(self.distance, origin, way, near, end, rays, NEAR, 0.02)


NAPKIN = Cloth()


# Light -------------------------------------------------------------------------------------------------------------


def trace(origin: Array, way: Array, limit: Array | None = None) -> tuple[Array, Index]:
    """Follow rays to the first thing they meet; with limits, only whether there is something before them."""
    blocked_only = limit is not None
    t = np.full(origin.shape[1], 1e3, F) if limit is None else limit.copy()
    what = np.full(t.shape, NOTHING)
    if not blocked_only:
        for number, axis, at in ((TABLE, 2, 0.0), (BACK, 1, WALL)):
            d = np.where(np.abs(way[axis]) < 1e-7, F(1e-7), way[axis])
            to = (F(at) - origin[axis]) / d
            hit = (to > 1e-4) & (to < t)
            if number == TABLE:
                x, y = origin[0] + to * way[0], origin[1] + to * way[1]
                hit &= (np.abs(x) < 0.75) & (np.abs(y + 0.15) < 0.6)
            t[hit], what[hit] = to[hit], number
    for number, thing in enumerate((NAPKIN, *THINGS), start=CLOTH):
        rays, to = thing.meet(origin, way, t)
        if blocked_only:
            t[rays] = -1
        else:
            t[rays] = to
        what[rays] = number
    return t, what


def window(y: Array, z: Array) -> Array:
    """Give the window's brightness: panes between bars, the sky above and paler haze below."""
    u, v = (y - WINDOW_Y[0]) / (WINDOW_Y[1] - WINDOW_Y[0]), (z - WINDOW_Z[0]) / (WINDOW_Z[1] - WINDOW_Z[0])
    pane_u, pane_v = np.abs(u * 2 % 1 - 0.5), np.abs(v * 3 % 1 - 0.5)
    clear = ease(0.47, 0.455, pane_u) * ease(0.47, 0.455, pane_v) * ((u > 0) & (u < 1) & (v > 0) & (v < 1))
    return DAYLIGHT * (clear * (0.55 + 0.6 * v))


def surroundings(origin: Array, way: Array, direct: Array) -> Array:
    """Light that rays bring from beyond the things: the room, and where `direct` the window itself."""
    light = ROOM * (0.75 + 0.35 * way[2] - 0.25 * way[0])
    left = np.flatnonzero(direct & (way[0] < -1e-3))
    to = (F(WINDOW_X) - origin[0, left]) / way[0, left]
    light[:, left] += window(origin[1, left] + to * way[1, left], origin[2, left] + to * way[2, left])
    return light


def from_window(p: Array, n: Array, u: Array) -> Array:
    """Light that falls on places straight from one random point of the window each."""
    y = F(WINDOW_Y[0]) + u[0] * F(WINDOW_Y[1] - WINDOW_Y[0])
    z = F(WINDOW_Z[0]) + u[1] * F(WINDOW_Z[1] - WINDOW_Z[0])
    to = np.stack([np.full_like(y, WINDOW_X), y, z]) - p
    far = np.sqrt(dot(to, to))
    to /= far
    facing = dot(n, to)
    light = np.zeros_like(p)
    lit = np.flatnonzero((facing > 0) & (to[0] < 0))
    _, what = trace((p + 8e-4 * n)[:, lit], to[:, lit], far[lit])
    lit = lit[what == NOTHING]
    area = (WINDOW_Y[1] - WINDOW_Y[0]) * (WINDOW_Z[1] - WINDOW_Z[0])
    strength = facing[lit] * -to[0, lit] / far[lit] ** 2 * F(area / pi)
    light[:, lit] = window(y[lit], z[lit]) * strength
    return light


def scatter(n: Array, u: Array) -> Array:
    """Draw directions about normals, the more upright the likelier."""
    z = 1 - 2 * u[0]
    r, turn = np.sqrt(np.maximum(1 - z * z, 0)), F(tau) * u[1]
    return unit(n * F(1.001) + np.stack([r * np.cos(turn), r * np.sin(turn), z]))


# Materials ---------------------------------------------------------------------------------------------------------

PLAIN = {
    "bottle": (0.030, 0.045, 0.016), "jug": (0.05, 0.16, 0.22), "bowl": (0.66, 0.63, 0.56),
    "orange": (0.80, 0.27, 0.02), "apple": (0.45, 0.06, 0.03), "green": (0.42, 0.46, 0.08),
    "pear": (0.52, 0.44, 0.10), "lemon": (0.84, 0.62, 0.06), "half": (0.84, 0.66, 0.16),
}  # fmt: skip
GLOSS = {  # strength and roughness of the reflection
    "bottle": (1.0, 0.008), "jug": (1.3, 0.02), "bowl": (1.0, 0.05), "orange": (0.7, 0.22), "apple": (0.9, 0.13),
    "green": (0.9, 0.13), "pear": (0.55, 0.24), "lemon": (0.8, 0.2), "half": (0.6, 0.2),
}  # fmt: skip
GROUND = {NOTHING: (0, 0, 0), TABLE: (0.21, 0.11, 0.052), BACK: (0.34, 0.35, 0.31), CLOTH: (0.70, 0.68, 0.63)}
MEAN = np.array([*GROUND.values(), *(PLAIN[thing.look] for thing in THINGS)], F).T


def wood(p: Array) -> tuple[Array, Array]:
    """Give the table's color and its unevenness: planks along x, each with its own grain."""
    plank = np.floor(p[1] / 0.135 + 0.35)
    within = np.abs((p[1] / 0.135 + 0.35) % 1 - 0.5)
    q = np.stack([p[0] + 1.7 * plank, p[1], 5.3 * plank])
    broad = fractal(q * tint(2.2, 9, 1))
    ring = 0.5 + 0.5 * np.sin(tau * (p[1] * 21 + 2.6 * broad[0] + 0.35 * noise(q * tint(9, 60, 1))[0]))
    fiber = fractal(q * tint(14, 420, 1), 2)
    pore = ease(0.22, 0.6, noise(q * tint(32, 900, 1))[1])
    tone = np.clip(0.45 + 0.30 * broad[1] + 0.24 * (ring**2 - 0.4) + 0.20 * fiber[0] + 0.3 * noise(q * 0.9)[2], 0, 1)
    color = blend(tone, tint(0.36, 0.20, 0.095), tint(0.125, 0.056, 0.024))
    color = color * (1 - 0.4 * pore) * (1 - 0.85 * ease(0.489, 0.4955, within))
    rough = np.stack([0.1 * broad[2], fiber[1], 0 * tone]) * F(0.035)
    rough[1] += 0.3 * ease(0.478, 0.495, within) * np.sign((p[1] / 0.135 + 0.35) % 1 - 0.5)
    return color, rough


def pottery(thing: Thing, p: Array) -> tuple[Array, Array]:
    """Give the color and the unevenness of jug, bottle and bowl at places in their own frame."""
    look, base = thing.look, tint(*PLAIN[thing.look])
    z = p[2] + F((thing.shape.low + thing.shape.high) / 2)
    if look == "jug":
        spots = ease(0.45, 0.7, noise(p * 420)[0]) * 0.5
        flow = fractal(p * tint(30, 30, 9))[1]
        color = blend(np.clip(0.5 + 0.8 * flow, 0, 1), base * 1.25, base * 0.7) * (1 - spots)
        if isinstance(thing.shape, Profile):
            bare = ease(0.030, 0.027, z + 0.004 * flow)
            color = blend(bare, color, tint(0.34, 0.20, 0.11))
            color = blend(ease(0.272, 0.281, z) * 0.6, color, tint(0.30, 0.19, 0.10))
        return color, 0.012 * noise(p * 60)
    if look == "bottle":  # what light goes through gathers on the side away from the window
        through = ease(-0.1, 1.0, (p[0] + 0.35 * p[1]) / F(0.0385)) * ease(0.006, 0.02, z)
        return blend(through, base * 0.35, tint(0.11, 0.17, 0.035)), 0.006 * noise(p * 40)
    speck = ease(0.5, 0.7, noise(p * 500)[0])
    rim = ease(0.0822, 0.0845, z)
    color = blend(0.75 * speck, base * (1 + 0.05 * fractal(p * 40)), tint(0.20, 0.14, 0.09))
    return blend(0.7 * rim, color, tint(0.27, 0.17, 0.10)), 0.01 * noise(p * 60)


def fruit(thing: Thing, p: Array) -> tuple[Array, Array]:
    """Give a fruit's color and its unevenness at places in its own frame."""
    look, base = thing.look, tint(*PLAIN[thing.look])
    own = p + 3.1 * tint(thing.x, thing.y, 1) * 10
    z = p[2] + F((thing.shape.low + thing.shape.high) / 2)
    r = np.hypot(p[0] - F(thing.bend) * np.maximum(p[2], 0) ** 2, p[1])
    mottle = fractal(own * 2.2)
    if look in ("apple", "green"):
        around = np.stack([p[0], p[1], 0 * z]) / np.maximum(r, 0.05)
        streak = fractal(around * 5.5 + tint(0, 0, 1) * (0.55 * z) + 9 * thing.x, 4)
        shade = 0.7 * mottle[0] + 0.75 * streak[0] - 0.25 * z + 0.55 * p[0]
        if look == "apple":
            color = blend(ease(-0.75, 0.15, shade + 0.42), tint(0.66, 0.42, 0.09), tint(0.42, 0.035, 0.022))
            color = color * (1 + 0.3 * streak[1])
        else:
            color = blend(ease(0.1, 1.1, shade), base * (1 + 0.15 * mottle[1]), tint(0.55, 0.16, 0.05))
        color = blend(0.55 * ease(0.52, 0.66, noise(own * 15)[0]), color, tint(0.72, 0.58, 0.30))
        color = blend(ease(0.38, 0.10, r + 0.12 * streak[2]) * (z > 0), color, tint(0.34, 0.27, 0.07))
        color = blend(ease(0.14, 0.06, r) * (z < 0), color, tint(0.10, 0.06, 0.03))
        color = blend(ease(0.085, 0.065, r) * (z > 0.5), color, tint(0.10, 0.055, 0.028))
        return color, 0.035 * noise(own * 6) + 0.02 * mottle
    if look == "pear":
        blush = ease(-0.1, 0.9, p[0] + 0.5 * mottle[0])
        color = blend(0.75 * blush, base * (1 + 0.16 * mottle[1]), tint(0.55, 0.22, 0.06))
        color = blend(0.7 * ease(0.25, 0.62, noise(own * 24)[0]), color, tint(0.22, 0.14, 0.04))
        color = blend(
            0.8 * ease(0.25, 0.8, fractal(own * 3.1)[2] + 0.7 * ease(1.0, 1.7, z)), color, tint(0.27, 0.16, 0.06)
        )
        color = blend(ease(1.70, 1.76, z), color, tint(0.10, 0.06, 0.03))
        return color, 0.06 * noise(own * 9) + 0.05 * noise(own * 30)
    pits = noise(own * 15) + 0.6 * noise(own * 27)
    color = base * (1 + 0.10 * mottle[0] + 0.07 * pits[2])
    if look == "orange":
        color = blend(ease(0.13, 0.09, r) * (z > 0), color, tint(0.20, 0.17, 0.05))
        return color, 0.17 * pits
    color = blend(ease(1.0, 1.3, np.abs(z)) * 0.5, color, tint(0.50, 0.42, 0.06))
    if look == "half":
        face = z > -0.012
        turn = np.arctan2(p[1], p[0]) * F(10 / tau)
        wall = np.abs(turn % 1 - 0.5) * r
        flesh = ease(0.80, 0.77, r) * ease(0.075, 0.11, r) * (1 - ease(0.5 * r - 0.05, 0.5 * r - 0.02, wall))
        sacs = 0.5 + 0.5 * noise(np.stack([np.cos(turn * 0.6) * 16, np.sin(turn * 0.6) * 16 + 2 * turn, r * 5]))[0]
        pulp = blend(sacs, tint(0.80, 0.56, 0.05), tint(0.90, 0.76, 0.24))
        inner = blend(flesh, tint(0.86, 0.80, 0.56), pulp)
        inner = blend(ease(0.895, 0.925, r), inner, tint(0.80, 0.58, 0.05))
        return np.where(face, inner, color), np.where(face, 0.22 * flesh * noise(own * 11), 0.13 * pits)
    return color, 0.13 * pits


def surface(p: Array, way: Array, what: Index, fine: bool) -> tuple[Array, Array, Array, Array]:
    """Give color, normal, and the reflection's strength and roughness where rays meet things."""
    color, normal = MEAN[:, what], np.zeros_like(p)
    gloss, rough = np.zeros_like(p[0]), np.zeros_like(p[0])
    for number in np.unique(what):
        at = np.flatnonzero(what == number)
        q = p[:, at]
        uneven: Array = np.zeros_like(q)
        if number >= FIRST:
            thing = THINGS[number - FIRST]
            own = thing.local(q)
            n = thing.normal(own)
            gloss[at], rough[at] = GLOSS[thing.look]
            if fine:
                color[:, at], uneven = (pottery if thing.look in ("jug", "bottle", "bowl") else fruit)(thing, own)
        elif number == CLOTH:
            n = NAPKIN.normal(q)
            if fine:
                u, v = NAPKIN.own(q)
                inset = F(CLOTH_HALF) - np.maximum(np.abs(u), np.abs(v))
                bands = np.abs(inset - 0.030)
                stripe = np.maximum(ease(0.0075, 0.0065, bands), ease(0.0022, 0.0015, np.abs(bands - 0.0125)))
                weave = np.sin(u * F(tau / 0.0021)) * np.sin(v * F(tau / 0.0021))
                slub = noise(np.stack([u * 60, v * 900, 0 * u]))[0] + noise(np.stack([u * 900, v * 60, 0 * u]))[0]
                tone = blend(0.85 * stripe, MEAN[:, [CLOTH]], tint(0.10, 0.17, 0.30))
                color[:, at] = tone * (1 + 0.05 * weave + 0.06 * slub)
                uneven = 0.10 * noise(q * 500)
        elif number == TABLE:
            n = np.zeros_like(q)
            n[2] = 1
            gloss[at], rough[at] = 0.65, 0.16
            if fine:
                color[:, at], uneven = wood(q)
        else:
            n = np.zeros_like(q)
            n[1] = -1
            if fine:
                stain = fractal(q * 2.4)
                color[:, at] = MEAN[:, [BACK]] * (1 + 0.10 * stain[0] + 0.05 * fractal(q * 14)[1])
                uneven = 0.05 * fractal(q * 18)
        normal[:, at] = unit(n + uneven)
    return color, normal, gloss * (0.04 + 0.96 * (1 - np.clip(-dot(normal, way), 0, 1)) ** 5), rough


# The image ---------------------------------------------------------------------------------------------------------


def look(origin: Array, way: Array, u: Array) -> Array:
    """Give the light along rays into the scene, from one random path each."""
    t, what = trace(origin, way)
    light = np.zeros_like(origin)
    gone = what == NOTHING
    light[:, gone] = surroundings(origin[:, gone], way[:, gone], np.ones(gone.sum(), bool))
    seen = np.flatnonzero(~gone)
    way, what, u = way[:, seen], what[seen], u[:, seen]
    p = origin[:, seen] + t[seen] * way
    color, n, gloss, rough = surface(p, way, what, True)
    direct = from_window(p, n, u[0:2])

    shiny = np.flatnonzero(gloss > 0)
    facet = unit(n[:, shiny] + rough[shiny] * F(0.7) * (scatter(n[:, shiny], u[4:6, shiny]) - n[:, shiny]))
    mirror = way[:, shiny] - 2 * dot(way[:, shiny], facet) * facet
    mirror += np.maximum(F(0.02) - dot(mirror, n[:, shiny]), 0) * n[:, shiny]
    onward = np.concatenate([scatter(n, u[2:4]), unit(mirror)], axis=1)
    start = np.concatenate([p + 8e-4 * n, (p + 8e-4 * n)[:, shiny]], axis=1)
    is_mirror = np.arange(start.shape[1]) >= len(seen)
    t, met = trace(start, onward)
    gain = np.zeros_like(start)
    gone = met == NOTHING
    gain[:, gone] = surroundings(start[:, gone], onward[:, gone], is_mirror[gone])
    at = np.flatnonzero(~gone)
    q = start[:, at] + t[at] * onward[:, at]
    second, m, _, _ = surface(q, onward[:, at], met[at], False)
    dice = np.concatenate([u[6:8], u[6:8, shiny]], axis=1)[:, at]
    gain[:, at] = second * (from_window(q, m, dice) + ROOM * (0.6 + 0.4 * m[2]) * 0.8)

    result = color * (direct + gain[:, : len(seen)])
    result[:, shiny] += gloss[shiny] * gain[:, len(seen) :]
    light[:, seen] = result
    return light


def render(width: int, samples: int) -> Array:
    """Trace the image, tile by tile."""
    height = width * 3 // 4
    eye = tint(*EYE)
    ahead = unit(tint(*TARGET) - eye)
    right = unit(np.cross(ahead, tint(0, 0, 1), axis=0))
    up = np.cross(right, ahead, axis=0)
    net = np.array([[i / samples, int(f"{i:016b}"[::-1], 2) / 65536] for i in range(samples)], F)
    rng = np.random.default_rng(11)
    orders = np.stack([rng.permutation(samples) for _ in range(6)])
    image = np.zeros((3, width * height), F)
    band = 90000
    for first in range(0, width * height, band):
        pixel = np.arange(first, min(first + band, width * height))
        shifts = rng.random((12, len(pixel)), F)
        for sample in range(samples):
            u = (net[orders[:, sample]].reshape(12, 1) + shifts) % 1
            x = (pixel % width + u[8]) / width * 2 - 1
            y = 1 - (pixel // width + u[9]) / height * 2
            way = ahead + F(HALF_HEIGHT) * (F(4 / 3) * x.astype(F) * right + y.astype(F) * up)
            radius, turn = F(LENS) * np.sqrt(u[10]), F(tau) * u[11]
            origin = eye + radius * (np.cos(turn) * right + np.sin(turn) * up)
            image[:, pixel] += look(origin, unit(eye + F(FOCUS) * way - origin), u[:8]) / samples
    return image.reshape(3, height, width)


def develop(light: Array) -> Image.Image:
    """Turn light into a print: exposure, darker corners, the tone curve of film and a little grain."""
    _, height, width = light.shape
    y, x = np.meshgrid(np.linspace(-0.75, 0.75, height), np.linspace(-1, 1, width), indexing="ij")
    exposed = light * (1.0 - 0.22 * (x * x + y * y)) * 1.15
    tone = exposed * (1 + exposed / 9) / (1 + 0.75 * exposed)
    print_ = np.clip(tone, 0, 1) ** (1 / 2.2)
    print_ = blend(F(0.35), print_, ease(0, 1, print_))
    grain = np.random.default_rng(3).normal(0, 1, (height, width))
    grain = (grain + np.roll(grain, 1, 0) + np.roll(grain, 1, 1)) * 0.0045
    pixels = np.clip(print_ + grain, 0, 1).transpose(1, 2, 0) * 255 + 0.5
    return Image.fromarray(pixels.astype(np.uint8))


def main() -> None:
    """Read the options, render and save."""
    parser = argparse.ArgumentParser(description="Render the gallery's still life.")
    parser.add_argument("output", type=Path)
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--samples", type=int, default=16)
    options = parser.parse_args()
    develop(render(options.width, options.samples)).save(options.output, quality=90)


if __name__ == "__main__":
    main()
