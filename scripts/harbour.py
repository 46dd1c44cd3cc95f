"""Render the README's sample photo: a small harbor under hills, with a wide sky.

    python scripts/harbour.py docs/images/harbour.jpg

Every shape, color and cloud comes from this script; it uses no other asset. It needs Blender as a module (`pip install
bpy` on Python 3.11) and takes some minutes on two cores.

For previews, add `--width 300 --samples 16`. Lengths are in meters; x points right, y away from the camera and
z up.
"""

import argparse
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import atan2, cos, pi, radians, sin, tau
from pathlib import Path
from random import Random
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Point = Sequence[float]
Place = Callable[[float, float, float], tuple[float, float, float]]

SUN_AZIMUTH, SUN_ELEVATION = radians(112), radians(25)
SUN = np.array([sin(SUN_AZIMUTH) * cos(SUN_ELEVATION), cos(SUN_AZIMUTH) * cos(SUN_ELEVATION), sin(SUN_ELEVATION)])
SUN_LIGHT = np.array([8.0, 6.7, 5.1])  # in the units of the sky's radiance times SKY_SCALE
SKY_SCALE = 0.1
EYE_HEIGHT, QUAY_HEIGHT = 8.5, 1.9
HALF_VIEW, CLOUD_ELEVATION = radians(33), radians(27)  # how far land, sea and clouds are built to the sides, and up

# The waterline, walked with the land on the left: a quay, the head of the harbor, then a wild coast.
SHORE_KNOTS = np.array(
    [
        (-34, -40), (-31, 10), (-30, 60), (-31, 110), (-27, 150), (-10, 186), (22, 207), (55, 220), (74, 240),
        (92, 290), (108, 370), (150, 520), (225, 800), (330, 1300), (540, 2100), (760, 3300), (1000, 5200),
        (1400, 9000),
    ],
    dtype=float,
)  # fmt: skip
QUAY_KNOTS = 8

# Hills near the shore, then far ranges that rise straight from the sea: x, y, height, and widths along x and y.
HILLS = (
    (-190, 430, 62, 130, 150), (10, 640, 58, 130, 200), (-320, 900, 120, 260, 260), (160, 1150, 95, 170, 300),
    (-500, 1900, 230, 500, 500), (250, 2400, 215, 420, 500),
)  # fmt: skip
RANGES = (
    (-1600, 6000, 900, 1500, 1300), (300, 6800, 780, 1300, 900), (2050, 7600, 430, 620, 500),
    (3600, 9800, 500, 900, 600),
)  # fmt: skip

PLASTER = (
    (0.74, 0.52, 0.25), (0.64, 0.27, 0.10), (0.62, 0.20, 0.12), (0.78, 0.70, 0.55), (0.72, 0.40, 0.11),
    (0.54, 0.13, 0.07), (0.70, 0.42, 0.30), (0.34, 0.44, 0.50), (0.76, 0.55, 0.17), (0.50, 0.30, 0.17),
)  # fmt: skip
SHUTTERS = ((0.04, 0.16, 0.09), (0.05, 0.12, 0.25), (0.20, 0.08, 0.04), (0.10, 0.22, 0.24), (0.30, 0.30, 0.27))
CLOTHES = (
    (0.60, 0.58, 0.54),
    (0.05, 0.07, 0.14),
    (0.03, 0.03, 0.03),
    (0.30, 0.05, 0.04),
    (0.22, 0.17, 0.11),
    (0.10, 0.16, 0.24),
)
HULLS = (
    (0.80, 0.80, 0.78), (0.02, 0.06, 0.20), (0.50, 0.03, 0.03), (0.03, 0.22, 0.34), (0.80, 0.78, 0.70),
    (0.02, 0.20, 0.12), (0.75, 0.35, 0.04),
)  # fmt: skip


# Noise -------------------------------------------------------------------------------------------------------------


def smoothstep(low: float, high: float, x: Array) -> Array:
    """Ease from 0 below `low` to 1 above `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def value_noise(x: Array, y: Array, lattice: Array) -> Array:
    """Look up smooth periodic noise on a square lattice whose cells are one unit wide."""
    size = len(lattice)
    i, j = np.floor(x).astype(int), np.floor(y).astype(int)
    u, v = x - i, y - j
    u, v = u * u * u * (u * (6 * u - 15) + 10), v * v * v * (v * (6 * v - 15) + 10)
    i0, i1, j0, j1 = i % size, (i + 1) % size, j % size, (j + 1) % size
    near = lattice[i0, j0] * (1 - u) + lattice[i1, j0] * u
    far = lattice[i0, j1] * (1 - u) + lattice[i1, j1] * u
    return near * (1 - v) + far * v


def fractal(x: Array, y: Array, octaves: int, seed: int, ridged: bool = False, gain: float = 0.5) -> Array:
    """Sum octaves of noise, each rotated against the previous one; the result is between -1 and 1."""
    lattice = np.random.default_rng(seed).uniform(-1, 1, (256, 256))
    total, weight, reach = np.zeros_like(x), 1.0, 0.0
    for _ in range(octaves):
        noise = value_noise(x, y, lattice)
        total += weight * (1 - 4 * np.abs(noise) if ridged else noise)
        reach += weight
        weight *= gain
        x, y = 1.62 * x - 1.21 * y + 17.3, 1.21 * x + 1.62 * y + 5.7
    return total / reach


# Shapes ------------------------------------------------------------------------------------------------------------


class Shape:
    """Vertices and faces gathered piece by piece; every face knows its material."""

    def __init__(self) -> None:
        self.vertices: list[tuple[float, float, float]] = []
        self.faces: list[tuple[int, ...]] = []
        self.slots: list[int] = []
        self.materials: list[Any] = []

    def add(self, vertices: Sequence[Point], faces: Sequence[Sequence[int]], material: Any) -> None:
        """Add faces that index the vertices given with them."""
        if material not in self.materials:
            self.materials.append(material)
        start = len(self.vertices)
        self.vertices += [(float(x), float(y), float(z)) for x, y, z in vertices]
        self.faces += [tuple(start + index for index in face) for face in faces]
        self.slots += [self.materials.index(material)] * len(faces)

    def box(self, center: Point, size: Point, material: Any) -> None:
        """Add an upright box."""
        corners = [
            [c + s * d / 2 for c, s, d in zip(center, size, (dx, dy, dz), strict=True)]
            for dz in (-1, 1)
            for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
        sides = [(i, (i + 1) % 4, (i + 1) % 4 + 4, i + 4) for i in range(4)]
        self.add(corners, [*sides, (3, 2, 1, 0), (4, 5, 6, 7)], material)

    def tube(self, start: Point, end: Point, radius: float, material: Any, tip: float | None = None) -> None:
        """Add a round bar, which tapers to the radius `tip`."""
        a, b = np.array(start, float), np.array(end, float)
        axis = (b - a) / np.linalg.norm(b - a)
        across = np.cross(axis, (0, 0, 1) if abs(axis[2]) < 0.9 else (1, 0, 0))
        across /= np.linalg.norm(across)
        up = np.cross(axis, across)
        sides = 8 if radius < 0.5 else 32
        tip = radius if tip is None else tip
        ring = [across * cos(tau * i / sides) + up * sin(tau * i / sides) for i in range(sides)]
        faces = [(i, (i + 1) % sides, (i + 1) % sides + sides, i + sides) for i in range(sides)]
        caps = [tuple(reversed(range(sides))), tuple(range(sides, 2 * sides))]
        self.add([a + radius * r for r in ring] + [b + tip * r for r in ring], [*faces, *caps], material)

    def mesh(self, name: str) -> Any:
        """Make the mesh."""
        mesh = bpy.data.meshes.new(name)
        mesh.from_pydata(self.vertices, [], self.faces)
        for material in self.materials:
            mesh.materials.append(material)
        mesh.polygons.foreach_set("material_index", self.slots)
        return mesh


def put(mesh: Any, place: Point = (0, 0, 0), turn: float = 0.0, scale: float = 1.0, heel: float = 0.0) -> None:
    """Set a mesh into the scene."""
    thing = bpy.data.objects.new(mesh.name, mesh)
    thing.location, thing.rotation_euler, thing.scale = place, (heel, 0, turn), (scale, scale, scale)
    bpy.context.scene.collection.objects.link(thing)


def put_grid(name: str, points: Array, material: Any) -> None:
    """Set a smooth surface into the scene from a (rows, columns, 3) array of points."""
    rows, columns, _ = points.shape
    index = np.arange(rows * columns).reshape(rows, columns)
    corners = (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    faces = np.stack(corners, axis=-1).reshape(-1, 4)
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(rows * columns)
    mesh.vertices.foreach_set("co", points.ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 4))
    mesh.update(calc_edges=True)
    mesh.shade_smooth()
    mesh.materials.append(material)
    put(mesh)


def view_grid(nearest: float, farthest: float, rows: int, columns: int) -> tuple[Array, Array]:
    """Spread ground points over the view so that they are about evenly spaced in the image."""
    distance = np.geomspace(nearest, farthest, rows)[:, None]
    azimuth = np.linspace(-HALF_VIEW, HALF_VIEW, columns)[None, :]
    return distance * np.sin(azimuth), distance * np.cos(azimuth)


# Materials ---------------------------------------------------------------------------------------------------------


class Nodes:
    """A shader's node tree, built by calls: each gives a node's first output, and takes sockets or plain values."""

    def __init__(self, tree: Any) -> None:
        tree.nodes.clear()
        self.tree = tree

    def node(self, kind: str, inputs: dict[str | int, Any] | None = None, **settings: Any) -> Any:
        """Add a node with its inputs (by name or number) and settings."""
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for name, value in settings.items():
            setattr(node, name, value)
        for key, value in (inputs or {}).items():
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, node.inputs[key])
            elif isinstance(value, tuple) and len(value) == 3 and node.inputs[key].type == "RGBA":
                node.inputs[key].default_value = (*value, 1)
            else:
                node.inputs[key].default_value = value
        return node

    def __call__(self, kind: str, inputs: dict[str | int, Any] | None = None, **settings: Any) -> Any:
        """Add a node and give its first output."""
        return self.node(kind, inputs, **settings).outputs[0]

    def math(self, operation: str, *values: Any) -> Any:
        """Add an arithmetic node."""
        return self("Math", dict(enumerate(values)), operation=operation)

    def mix(self, factor: Any, first: Any, second: Any, blend: str = "MIX") -> Any:
        """Blend two colors."""
        node = self.node("Mix", {"Factor": factor, 6: first, 7: second}, data_type="RGBA", blend_type=blend)
        return node.outputs[2]

    def ramp(self, value: Any, low: float, high: float) -> Any:
        """Ease from 0 to 1 as the value goes from `low` to `high`."""
        return self("MapRange", {0: value, 1: low, 2: high}, interpolation_type="SMOOTHSTEP")

    def noise(self, scale: float, detail: float = 5.0, stretch: Point = (1, 1, 1)) -> Any:
        """Add fractal noise over the scene's space; `scale` counts features per meter."""
        place = self.node("NewGeometry").outputs["Position"]
        place = self("Mapping", {"Vector": place, "Scale": tuple(scale * s for s in stretch)})
        return self("TexNoise", {"Vector": place, "Scale": 1.0, "Detail": detail, "Roughness": 0.6})

    def bump(self, height: Any, distance: float) -> Any:
        """Turn a height into a surface normal."""
        return self("Bump", {"Height": height, "Distance": distance, "Strength": 1.0})

    def surface(self, color: Any, roughness: Any = 0.8, **more: Any) -> Any:
        """Add the general surface shader; `more` names further inputs."""
        return self("BsdfPrincipled", {"Base Color": color, "Roughness": roughness, **more})

    def finish(self, shader: Any) -> None:
        """Put the haze between the surface and the camera in front of the surface."""
        distance = self.node("CameraData").outputs["View Distance"]
        veil = self.math("SUBTRACT", 1.0, self.math("POWER", 2.718, self.math("MULTIPLY", distance, -1 / 9000)))
        haze = self("Emission", {"Color": (0.50, 0.63, 0.80), "Strength": 1.0})
        self.node("OutputMaterial", {0: self("MixShader", {0: veil, 1: shader, 2: haze})})


def new_material(name: str) -> tuple[Any, Nodes]:
    """Start a material."""
    material = bpy.data.materials.new(name)
    return material, Nodes(material.node_tree)


def paint(name: str, color: Any, roughness: float = 0.5, stain: float = 0.25) -> Any:
    """Make a painted surface, a little uneven and weathered."""
    material, nodes = new_material(name)
    wear = nodes.ramp(nodes.noise(0.9, stretch=(1, 1, 0.5)), 0.3, 0.75)
    dark = tuple(c * (1 - stain) for c in color)
    nodes.finish(nodes.surface(nodes.mix(wear, color, dark), roughness))
    return material


def plaster(color: Any) -> Any:
    """Make a lime-washed wall: blotched, streaked from above, rough."""
    material, nodes = new_material("plaster")
    blotches = nodes.ramp(nodes.noise(0.45), 0.35, 0.7)
    streaks = nodes.ramp(nodes.noise(1.0, stretch=(2.2, 2.2, 0.12)), 0.45, 0.8)
    pale = tuple(0.85 * c + 0.05 for c in color)
    worn = nodes.mix(blotches, color, pale)
    worn = nodes.mix(nodes.math("MULTIPLY", streaks, 0.4), worn, tuple(0.45 * c for c in color))
    normal = nodes.bump(nodes.noise(6.0), 0.03)
    nodes.finish(nodes.surface(worn, 0.9, Normal=normal))
    return material


def roof_tiles(color: Any) -> Any:
    """Make a roof of half-round clay tiles, which run down the slope."""
    material, nodes = new_material("tiles")
    place = nodes.node("TexCoord").outputs["Object"]
    rolls = nodes("TexWave", {"Vector": place, "Scale": 1.1, "Distortion": 0.3}, bands_direction="X")
    rows = nodes("TexWave", {"Vector": place, "Scale": 0.9, "Distortion": 0.6}, bands_direction="Y", wave_profile="SAW")
    single = nodes.node("TexVoronoi", {"Vector": place, "Scale": 2.6}).outputs["Color"]
    tone = nodes.mix(nodes.ramp(nodes.noise(0.5), 0.3, 0.7), color, tuple(0.55 * c for c in color))
    tone = nodes.mix(0.35, tone, nodes.mix(1.0, tone, single, "MULTIPLY"))
    tone = nodes.mix(nodes.math("MULTIPLY", nodes.ramp(rolls, 0.5, 0.0), 0.6), tone, tuple(0.3 * c for c in color))
    height = nodes.math("ADD", rolls, nodes.math("MULTIPLY", rows, 0.5))
    nodes.finish(nodes.surface(tone, 0.85, Normal=nodes.bump(height, 0.06)))
    return material


def glass() -> Any:
    """Make a dark window pane."""
    material, nodes = new_material("glass")
    nodes.finish(nodes.surface((0.015, 0.02, 0.025), 0.08))
    return material


def masonry(color: Any) -> Any:
    """Make a wall of rough blocks, wet and weedy near the water."""
    material, nodes = new_material("masonry")
    place = nodes.node("NewGeometry").outputs["Position"]
    cells = nodes.node(
        "TexVoronoi", {"Vector": nodes("Mapping", {"Vector": place, "Scale": (1, 1, 1.9)}), "Scale": 0.85}
    )
    gaps = nodes(
        "TexVoronoi",
        {"Vector": nodes("Mapping", {"Vector": place, "Scale": (1, 1, 1.9)}), "Scale": 0.85},
        feature="DISTANCE_TO_EDGE",
    )
    joint = nodes.ramp(gaps, 0.0, 0.12)
    tone = nodes.mix(nodes.math("MULTIPLY", nodes.noise(1.5), 0.9), color, tuple(0.4 * c for c in color))
    tone = nodes.mix(0.3, tone, nodes.mix(1.0, tone, cells.outputs["Color"], "MULTIPLY"))
    tone = nodes.mix(joint, tuple(0.25 * c for c in color), tone)
    height = nodes.node("SeparateXYZ", {0: place}).outputs["Z"]
    wavering = nodes.math("ADD", height, nodes.math("MULTIPLY", nodes.noise(0.7), 0.6))
    tone = nodes.mix(nodes.ramp(wavering, 1.05, 0.7), tone, (0.028, 0.032, 0.016))
    normal = nodes.bump(nodes.math("ADD", joint, nodes.noise(4.0, 3)), 0.07)
    nodes.finish(nodes.surface(tone, 0.8, Normal=normal))
    return material


def paving() -> Any:
    """Make the quay's worn flagstones."""
    material, nodes = new_material("paving")
    place = nodes.node("NewGeometry").outputs["Position"]
    slabs = nodes(
        "TexBrick",
        {
            "Vector": place,
            "Scale": 0.7,
            "Color1": (0.36, 0.32, 0.27),
            "Color2": (0.29, 0.26, 0.22),
            "Mortar": (0.16, 0.14, 0.12),
        },
    )
    tone = nodes.mix(nodes.math("MULTIPLY", nodes.noise(0.4), 0.6), slabs, (0.17, 0.155, 0.14))
    nodes.finish(nodes.surface(tone, 0.75, Normal=nodes.bump(nodes.noise(5.0), 0.02)))
    return material


def ground() -> Any:
    """Make the hills' cover: dry grass, scrub and earth on the gentle slopes, bare rock on the steep ones."""
    material, nodes = new_material("ground")
    geometry = nodes.node("NewGeometry")
    upright = nodes.node("SeparateXYZ", {0: geometry.outputs["Normal"]}).outputs["Z"]
    height = nodes.node("SeparateXYZ", {0: geometry.outputs["Position"]}).outputs["Z"]
    grass = nodes.mix(nodes.ramp(nodes.noise(0.03), 0.35, 0.65), (0.150, 0.130, 0.050), (0.085, 0.100, 0.032))
    grass = nodes.mix(nodes.math("MULTIPLY", nodes.noise(0.6), 0.6), grass, (0.22, 0.175, 0.085))
    bushes = nodes.math("ADD", nodes.noise(0.011, 5), nodes.math("MULTIPLY", nodes.noise(0.16, 4), 0.7))
    cover = nodes.mix(nodes.ramp(bushes, 0.78, 0.90), grass, (0.026, 0.042, 0.016))
    rock = nodes.mix(nodes.noise(0.12, 5, (1, 1, 3)), (0.33, 0.29, 0.24), (0.13, 0.115, 0.10))
    steep = nodes.math("ADD", upright, nodes.math("MULTIPLY", nodes.math("SUBTRACT", nodes.noise(0.05, 5), 0.5), 0.55))
    tone = nodes.mix(nodes.ramp(steep, 0.80, 0.66), cover, rock)
    tone = nodes.mix(nodes.ramp(height, 3.5, 1.2), tone, (0.30, 0.26, 0.20))
    relief = nodes.math("ADD", nodes.noise(0.25, 5), nodes.math("MULTIPLY", nodes.ramp(bushes, 0.78, 0.90), 0.5))
    nodes.finish(nodes.surface(tone, 0.95, Normal=nodes.bump(relief, 2.0)))
    return material


def foliage(color: Any) -> Any:
    """Make leaves, which differ from tree to tree and let some light through."""
    material, nodes = new_material("foliage")
    tree = nodes.node("ObjectInfo").outputs["Random"]
    tone = nodes.mix(tree, color, (color[0] * 2.0, color[1] * 1.5, color[2] * 1.1))
    leaf = nodes("BsdfDiffuse", {"Color": tone})
    through = nodes("BsdfTranslucent", {"Color": nodes.mix(1.0, tone, (1.2, 1.3, 0.5), "MULTIPLY")})
    nodes.finish(nodes("MixShader", {0: 0.3, 1: leaf, 2: through}))
    return material


def sea() -> Any:
    """Make the water: a dark green-blue body under a mirror, roughened where the waves are too small to see."""
    material, nodes = new_material("sea")
    distance = nodes.node("CameraData").outputs["View Distance"]
    calm = nodes.ramp(nodes.noise(0.012, 4, (1, 0.45, 1)), 0.40, 0.62)
    strength = nodes.math("MULTIPLY_ADD", calm, 0.75, 0.25)
    ripples = nodes.math("ADD", nodes.noise(1.6, 3, (1, 0.8, 1)), nodes.math("MULTIPLY", nodes.noise(0.5, 3), 1.6))
    normal = nodes("Bump", {"Height": ripples, "Distance": 0.085, "Strength": nodes.math("MULTIPLY", strength, 0.9)})
    roughness = nodes.math("MULTIPLY_ADD", nodes.ramp(distance, 60, 900), 0.16, 0.02)
    shader = nodes.surface((0.008, 0.040, 0.046), roughness, IOR=1.33, Normal=normal)
    nodes.finish(shader)
    return material


# Land --------------------------------------------------------------------------------------------------------------


def shore_line() -> tuple[Array, Array]:
    """Give points along the waterline (through the knots, by Catmull and Rom) and the inland direction at each."""
    knots = np.vstack([2 * SHORE_KNOTS[0] - SHORE_KNOTS[1], SHORE_KNOTS, 2 * SHORE_KNOTS[-1] - SHORE_KNOTS[-2]])
    t = np.linspace(0, 1, 24, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        pieces.append(b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))))
    points = np.vstack(pieces)
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    return points, np.column_stack([-along[:, 1], along[:, 0]])


SHORE, INLAND = shore_line()


def inland_distance(x: Array, y: Array) -> Array:
    """Measure how far points are inland of the waterline (negative: out on the water)."""
    best, side = np.full(x.shape, np.inf), np.zeros(x.shape)
    for (px, py), (nx, ny) in zip(SHORE, INLAND, strict=True):
        dx, dy = x - px, y - py
        square = dx * dx + dy * dy
        nearer = square < best
        best = np.where(nearer, square, best)
        side = np.where(nearer, dx * nx + dy * ny, side)
    return np.sign(side) * np.sqrt(best)


def land_height(x: Array, y: Array) -> Array:
    """Give the height of the land: a shelf along the water, hills behind it, and mountains across the sea."""
    inland = inland_distance(x, y)
    ridges = fractal(x / 330, y / 330, 8, seed=3, ridged=True, gain=0.47)
    swell = fractal(x / 190, y / 190, 7, seed=4)
    hills = sum(h * np.exp(-(((x - cx) / wx) ** 2) - ((y - cy) / wy) ** 2) for cx, cy, h, wx, wy in HILLS)
    slope = 0.16 * np.clip(inland - 24, 0, 150)
    near = 1.5 + slope + smoothstep(50, 330, inland) * (hills * (1 + 0.34 * ridges) + 22 * swell + 9)
    near = np.where(inland > 0, near, np.maximum(1.5 + 1.2 * inland, -5))
    masses = sum(h * np.exp(-(((x - cx) / wx) ** 2) - ((y - cy) / wy) ** 2) for cx, cy, h, wx, wy in RANGES)
    far = masses * (0.85 + 0.5 * fractal(x / 1900, y / 1900, 9, seed=5, ridged=True, gain=0.5)) - 60
    return np.maximum(near, np.maximum(far, -5))


def build_land() -> None:
    """Lay out the hills."""
    x, y = view_grid(60, 13000, 1100, 1000)
    put_grid("land", np.stack([x, y, land_height(x, y)], axis=-1), ground())


def build_quay() -> None:
    """Build the harbor wall with its coping, the paved front, bollards, lamps and parasols."""
    count = 24 * QUAY_KNOTS + 6
    line, inward = SHORE[:count], INLAND[:count]
    profiles = (
        ("wall", masonry((0.36, 0.31, 0.25)), [(0.0, -3.0), (0.25, QUAY_HEIGHT - 0.3)]),
        ("coping", masonry((0.46, 0.42, 0.36)), [(0.12, QUAY_HEIGHT - 0.3), (0.12, QUAY_HEIGHT), (0.9, QUAY_HEIGHT)]),
        ("front", paving(), [(0.9, QUAY_HEIGHT - 0.01), (26.0, QUAY_HEIGHT)]),
    )
    for name, material, profile in profiles:
        strips = [np.column_stack([line + out * inward, np.full(count, z)]) for out, z in profile]
        for low, high in pairwise(strips):
            put_grid(name, np.stack([low, high]), material)
    furniture = Shape()
    iron, wood = paint("iron", (0.03, 0.035, 0.04)), paint("crate", (0.30, 0.19, 0.09))
    cloths = [paint("cloth", c, 0.9) for c in ((0.82, 0.78, 0.68), (0.55, 0.08, 0.05), (0.80, 0.78, 0.74))]
    rng = Random(7)
    for i in range(0, count, 3):
        place, inner = line[i], inward[i]
        x, y = place + 0.9 * inner
        furniture.tube((x, y, QUAY_HEIGHT), (x, y, QUAY_HEIGHT + 0.5), 0.16, iron, tip=0.2)
        if i % 6 == 0:
            x, y = place + 2.6 * inner
            furniture.tube((x, y, QUAY_HEIGHT), (x, y, QUAY_HEIGHT + 4.6), 0.07, iron)
            furniture.box((x, y, QUAY_HEIGHT + 4.8), (0.35, 0.35, 0.5), cloths[0])
        if rng.random() < 0.5:
            for _ in range(3):
                x, y = place + rng.uniform(7, 10.5) * inner + np.array([rng.uniform(-3, 3), rng.uniform(-3, 3)])
                top = QUAY_HEIGHT + 2.7
                furniture.tube((x, y, QUAY_HEIGHT), (x, y, top), 0.04, iron)
                furniture.tube((x, y, top - 0.5), (x, y, top), 1.5, cloths[i % 3], tip=0.05)
        if rng.random() < 0.35:
            for k in range(rng.randrange(2, 6)):
                x, y = (
                    place + rng.uniform(1.6, 3.4) * inner + np.array([rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.5)])
                )
                furniture.box((x, y, QUAY_HEIGHT + 0.25), (0.9, 0.6, 0.5), (wood, cloths[k % 3])[k % 2])
    put(furniture.mesh("furniture"))


def build_people() -> None:
    """Let a few people stroll along the quay."""
    rng = Random(21)
    skin = paint("skin", (0.45, 0.25, 0.17))
    clothes = [paint("clothes", tint, 0.9) for tint in CLOTHES]
    people = Shape()
    for _ in range(46):
        i = rng.randrange(36, 24 * QUAY_KNOTS)
        for k in range(rng.choice((1, 1, 2, 3))):
            x, y = SHORE[i] + rng.uniform(2, 11) * INLAND[i] + np.array([0.7 * k, 0.3 * k])
            z, tall = QUAY_HEIGHT, rng.uniform(0.9, 1.05)
            shirt, trousers = rng.choice(clothes), rng.choice(clothes)
            for foot in (-0.12, 0.12):
                people.tube((x + foot * 1.3, y, z), (x + foot * 0.7, y, z + 0.85 * tall), 0.08, trousers, tip=0.11)
            people.tube((x, y, z + 0.8 * tall), (x, y, z + 1.45 * tall), 0.2, shirt, tip=0.23)
            people.tube((x, y, z + 1.5 * tall), (x, y, z + 1.76 * tall), 0.1, skin, tip=0.09)
    put(people.mesh("people"))


# Town --------------------------------------------------------------------------------------------------------------


class Palette:
    """The materials that houses share."""

    def __init__(self) -> None:
        self.plasters = [plaster(color) for color in PLASTER]
        self.roofs = [roof_tiles(c) for c in ((0.42, 0.17, 0.08), (0.36, 0.13, 0.065), (0.45, 0.22, 0.12))]
        self.shutters = [paint("shutter", color, 0.6) for color in SHUTTERS]
        self.trim, self.wood = paint("trim", (0.74, 0.70, 0.62), 0.7), paint("door", (0.10, 0.05, 0.025))
        self.iron, self.glass = paint("rail", (0.03, 0.03, 0.03)), glass()
        self.awnings = [paint("awning", c, 0.9) for c in ((0.55, 0.07, 0.05), (0.75, 0.70, 0.58), (0.06, 0.20, 0.14))]


def wall_box(shape: Shape, place: Place, center: Point, size: Point, material: Any) -> None:
    """Add a box in a wall's own frame: along the wall, up it, and out of it."""
    (u, v, w), (du, dv, dw) = center, size
    corners = [
        place(u + i * du / 2, v + j * dv / 2, w + k * dw)
        for k in (0, 1)
        for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    sides = [(i, (i + 1) % 4, (i + 1) % 4 + 4, i + 4) for i in range(4)]
    shape.add(corners, [*sides, (3, 2, 1, 0), (4, 5, 6, 7)], material)


def window(
    shape: Shape, place: Place, u: float, v: float, tall: float, shutter: Any, palette: Palette, rng: Random
) -> None:
    """Add a window with its surround, bars, sill and shutters."""
    wide = 1.0
    wall_box(shape, place, (u, v, 0), (wide + 0.3, tall + 0.3, 0.04), palette.trim)
    wall_box(shape, place, (u, v, 0.02), (wide, tall, 0.03), palette.glass)
    wall_box(shape, place, (u, v, 0.03), (0.07, tall, 0.04), palette.trim)
    wall_box(shape, place, (u, v + tall / 6, 0.03), (wide, 0.06, 0.04), palette.trim)
    wall_box(shape, place, (u, v - tall / 2 - 0.12, 0), (wide + 0.4, 0.12, 0.2), palette.trim)
    if rng.random() < 0.16:
        wall_box(shape, place, (u, v, 0.04), (wide, tall, 0.06), shutter)
    else:
        for side in (-1, 1):
            wall_box(shape, place, (u + side * (wide * 0.78 + 0.1), v, 0), (wide / 2, tall + 0.1, 0.09), shutter)


def ground_floor(shape: Shape, place: Place, wide: float, palette: Palette, rng: Random) -> None:
    """Add doors or shop fronts, and perhaps an awning."""
    count = max(2, int(wide / 3))
    for i in range(count):
        u = wide * ((i + 0.5) / count - 0.5)
        wall_box(shape, place, (u, 1.25, 0), (1.9, 2.6, 0.05), palette.trim)
        wall_box(shape, place, (u, 1.2, 0.03), (1.55, 2.4, 0.04), rng.choice((palette.wood, palette.glass)))
    if rng.random() < 0.5:
        half, cloth = wide * 0.44, rng.choice(palette.awnings)
        corners = [place(-half, 3.0, 0.05), place(half, 3.0, 0.05), place(half, 2.4, 2.2), place(-half, 2.4, 2.2)]
        shape.add([*corners, place(half, 2.15, 2.2), place(-half, 2.15, 2.2)], [(0, 1, 2, 3), (3, 2, 4, 5)], cloth)


def balcony(shape: Shape, place: Place, u: float, v: float, palette: Palette) -> None:
    """Add a balcony with iron rails."""
    wall_box(shape, place, (u, v, 0), (2.4, 0.14, 0.9), palette.trim)
    wall_box(shape, place, (u, v + 1.0, 0.84), (2.4, 0.05, 0.05), palette.iron)
    for i in range(13):
        wall_box(shape, place, (u + 0.19 * (i - 6), v + 0.5, 0.85), (0.025, 1.0, 0.025), palette.iron)


def gable_roof(
    shape: Shape, wide: float, deep: float, eaves: float, rise: float, wall: Any, tiles: Any, trim: Any
) -> None:
    """Close a house with a pitched roof, whose ridge runs along its front."""
    for side in (-1, 1):
        x = side * wide / 2
        shape.add([(x, -deep / 2, eaves), (x, deep / 2, eaves), (x, 0, eaves + rise)], [(0, 1, 2)], wall)
    pitch, out, thick = rise / (deep / 2), 0.45, 0.22
    end = wide / 2 + 0.12
    for side in (-1, 1):
        low, y = eaves - pitch * out, side * (deep / 2 + out)
        top = [(-end, y, low), (end, y, low), (end, 0, eaves + rise), (-end, 0, eaves + rise)]
        raised = [(x, y, z + thick) for x, y, z in top]
        shape.add(raised, [(0, 1, 2, 3)], tiles)
        edges = [(i, (i + 1) % 4, (i + 1) % 4 + 4, i + 4) for i in range(4)]
        shape.add(top + raised, [*edges, (0, 1, 2, 3)], trim)


def house(wide: float, deep: float, stories: int, shops: bool, palette: Palette, rng: Random) -> Any:
    """Build one house; its front faces -y and its floor is at z = 0."""
    shape, high = Shape(), 3.1 * stories + 0.6
    wall, tiles, shutter = rng.choice(palette.plasters), rng.choice(palette.roofs), rng.choice(palette.shutters)
    shape.box((0, 0, high / 2 - 3), (wide, deep, high + 6), wall)
    gable_roof(shape, wide, deep, high, deep * rng.uniform(0.19, 0.27), wall, tiles, palette.trim)
    faces: list[tuple[Place, float]] = [
        (lambda u, v, w: (u, -deep / 2 - w, v), wide),
        (lambda u, v, w: (wide / 2 + w, u, v), deep),
        (lambda u, v, w: (-wide / 2 - w, -u, v), deep),
    ]
    for number, (place, length) in enumerate(faces):
        columns = max(2, int(length / 2.7))
        for story in range(stories):
            if story == 0 and number == 0 and shops:
                ground_floor(shape, place, length, palette, rng)
                continue
            for column in range(columns):
                u, v = length * ((column + 0.5) / columns - 0.5), 3.1 * story + 1.85
                window(shape, place, u, v, 1.55 if story < 3 else 1.2, shutter, palette, rng)
                if number == 0 and story and rng.random() < 0.14:
                    balcony(shape, place, u, v - 1.05, palette)
    if rng.random() < 0.6:
        wall_box(shape, faces[0][0], (0, 3.35, 0), (wide, 0.22, 0.1), palette.trim)
    for _ in range(rng.randrange(1, 4)):
        x, y = rng.uniform(-0.4, 0.4) * wide, rng.choice((-1, 1)) * rng.uniform(0.12, 0.3) * deep
        shape.box((x, y, high + 1.4), (0.6, 0.6, 3.0), wall)
        shape.box((x, y, high + 2.95), (0.8, 0.8, 0.15), palette.trim)
    return shape.mesh("house")


def church(palette: Palette) -> Any:
    """Build a church with a bell tower; its front faces -y."""
    shape, wall, tiles = Shape(), palette.plasters[3], palette.roofs[0]
    shape.box((0, 8, 3), (12, 24, 16), wall)
    gable = Shape()
    gable_roof(gable, 24, 12, 11, 3.6, wall, tiles, palette.trim)
    for face, slot in zip(gable.faces, gable.slots, strict=True):
        corners = [gable.vertices[i] for i in face]
        shape.add([(-y, x + 8, z) for x, y, z in corners], [range(len(face))], gable.materials[slot])
    shape.box((9, 2, 10), (5.4, 5.4, 30), wall)
    for z in (12, 18, 25):
        shape.box((9, 2, z), (5.9, 5.9, 0.4), palette.trim)
    for turn in range(4):
        c, s = cos(turn * pi / 2), sin(turn * pi / 2)

        def place(u: float, v: float, w: float, c: float = c, s: float = s) -> tuple[float, float, float]:
            return 9 + c * u + s * (2.7 + w), 2 + s * u - c * (2.7 + w), v

        for u in (-1.1, 1.1):
            wall_box(shape, place, (u, 21.3, 0), (1.2, 3.4, 0.03), palette.iron)
    apex, base = (9, 2, 32), [(9 + dx, 2 + dy, 25.2) for dx, dy in ((-3, -3), (3, -3), (3, 3), (-3, 3))]
    shape.add([*base, apex], [(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)], tiles)
    shape.tube((9, 2, 31.6), (9, 2, 34.5), 0.07, palette.iron)
    shape.box((0, -4.0, 3.2), (2.4, 0.1, 4.6), palette.wood)
    shape.tube((0, -4.15, 9.5), (0, -3.9, 9.5), 1.1, palette.glass)
    return shape.mesh("church")


def town_rows() -> list[tuple[float, float, float, float, float, int, bool]]:
    """Lay out the houses in rows along the waterfront: x, y, turn, width, depth, stories, shops below."""
    rng, plots = Random(11), []
    count = 24 * QUAY_KNOTS
    for row, back in enumerate((17.0, 37.0, 56.0, 76.0, 98.0)):
        line = SHORE[:count] + back * INLAND[:count]
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        at = 0.0
        while at < length[-1]:
            wide = rng.uniform(6.5, 11.5)
            i = int(np.searchsorted(length, at + wide / 2).clip(0, count - 1))
            x, y = line[i] + rng.uniform(-0.6, 0.6) * (1 + row) * INLAND[i]
            turn = atan2(INLAND[i, 1], INLAND[i, 0]) - pi / 2
            stories = rng.choice((3, 3, 4, 4, 5)) if row == 0 else rng.choice((2, 3, 3))
            if row == 0 or rng.random() > 0.12 * row:
                plots.append((x, y, turn, wide, rng.uniform(8.5, 10.5), stories, row == 0))
            at += wide + (0.02 if row == 0 and rng.random() < 0.88 else rng.uniform(1.5, 2.5 + 3 * row))
    return plots


def build_town() -> Array:
    """Build the houses and the church, and give the places where no tree may stand."""
    palette, rng = Palette(), Random(5)
    church_place = np.array([-2.0, 262.0])
    taken = [church_place, church_place + np.array([4, 10])]
    for x, y, turn, wide, deep, stories, shops in town_rows():
        if np.hypot(church_place[0] + 4 - x, church_place[1] + 6 - y) < 21:
            continue
        z = QUAY_HEIGHT if shops else float(land_height(np.array([x]), np.array([y]))[0]) + 0.3
        put(house(wide, deep, stories, shops, palette, rng), (x, y, z), turn)
        taken.append(np.array([x, y]))
    x, y = church_place
    put(church(palette), (x, y, float(land_height(np.array([x]), np.array([y]))[0])), 0.12)
    return np.array(taken)


def build_breakwater() -> None:
    """Pile up the mole that closes the harbor, with the lighthouse on its head."""
    rng, nprng = Random(3), np.random.default_rng(3)
    stone = masonry((0.34, 0.31, 0.27))
    boulders = []
    for _ in range(6):
        bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=3, radius=1)
        sphere = bpy.context.object
        mesh = sphere.data.copy()
        bpy.data.objects.remove(sphere)
        points = np.empty(3 * len(mesh.vertices))
        mesh.vertices.foreach_get("co", points)
        points = points.reshape(-1, 3)
        for _ in range(14):
            facet = nprng.normal(size=3)
            facet /= np.linalg.norm(facet)
            over = np.maximum(points @ facet - nprng.uniform(0.55, 0.85), 0)
            points = points - over[:, None] * facet
        mesh.vertices.foreach_set("co", (points * nprng.uniform(0.75, 1.3, 3)).ravel())
        mesh.materials.append(stone)
        boulders.append(mesh)
    head, root = np.array([60.0, 188.0]), np.array([168.0, 236.0])
    along = (root - head) / np.linalg.norm(root - head)
    across = np.array([-along[1], along[0]])
    for _ in range(1500):
        s, w = rng.uniform(-9, 120), rng.uniform(-1, 1)
        x, y = head + along * s + across * 8.5 * w
        if s < 0 and np.hypot(s, 8.5 * w) > 9:
            continue
        z = 2.1 - 3.3 * abs(w) ** 1.5 - (0.3 * max(0.0, -s)) + rng.uniform(-0.4, 0.4)
        mesh = rng.choice(boulders)
        put(mesh, (x, y, z), rng.uniform(0, tau), rng.uniform(0.7, 1.5), heel=rng.uniform(0, tau))
    walk = Shape()
    for s in np.arange(-2.0, 118, 2.0):
        x, y = head + along * s
        walk.box((x, y, 2.6), (2.9, 2.9, 1.2), stone)
    put(walk.mesh("walk"))
    put(lighthouse(), (*head, 3.0))


def lighthouse() -> Any:
    """Build the lighthouse: a white tower with a red band, gallery, lantern and dome."""
    shape = Shape()
    white, red = paint("white", (0.80, 0.78, 0.73), 0.6), paint("red", (0.55, 0.04, 0.03), 0.4)
    iron, pane = paint("gallery", (0.05, 0.05, 0.05)), glass()
    shape.tube((0, 0, -1), (0, 0, 1.2), 4.2, masonry((0.42, 0.38, 0.32)), tip=4.0)
    levels = [(1.2, 2.4), (7.5, 2.05), (10.5, 1.9), (14.5, 1.7)]
    for (low, r0), (high, r1), color in zip(levels, levels[1:], (white, red, white), strict=False):
        shape.tube((0, 0, low), (0, 0, high), r0, color, tip=r1)
    shape.tube((0, 0, 14.5), (0, 0, 14.9), 2.5, white)
    shape.tube((0, 0, 14.9), (0, 0, 16.9), 1.15, pane)
    shape.tube((0, 0, 16.9), (0, 0, 17.2), 1.5, red)
    shape.tube((0, 0, 17.2), (0, 0, 18.4), 1.35, red, tip=0.15)
    shape.tube((0, 0, 18.3), (0, 0, 19.8), 0.05, iron)
    for i in range(20):
        x, y = 2.4 * cos(tau * i / 20), 2.4 * sin(tau * i / 20)
        shape.tube((x, y, 14.9), (x, y, 15.9), 0.035, iron)
        nx, ny = 2.4 * cos(tau * (i + 1) / 20), 2.4 * sin(tau * (i + 1) / 20)
        for z in (15.4, 15.9):
            shape.tube((x, y, z), (nx, ny, z), 0.035, iron)
    for i in range(8):
        x, y = 1.17 * cos(tau * i / 8), 1.17 * sin(tau * i / 8)
        shape.tube((x, y, 14.9), (x, y, 16.9), 0.06, white)
    for z in (5.0, 9.0, 12.4):
        shape.box((-0.6, -2.0 + 0.03 * z, z), (0.6, 0.5, 1.1), pane)
    shape.box((0.4, -2.35, 2.3), (1.1, 0.3, 2.2), paint("lighthouse door", (0.05, 0.14, 0.20)))
    return shape.mesh("lighthouse")


# Trees -------------------------------------------------------------------------------------------------------------


def tree(lobes: Array, leaves: int, leaf_size: float, trunk: float, color: Any, seed: int) -> Any:
    """Build a tree from leaf cards spread over lobes, each a row of center (x, y, z) and radii (across, up)."""
    rng = np.random.default_rng(seed)
    shape, bark = Shape(), paint("bark", (0.10, 0.075, 0.05))
    shape.tube((0, 0, -1), (0, 0, trunk), 0.16, bark, tip=0.08)
    green = foliage(color)
    for x, y, z, across, up in lobes:
        way = rng.normal(size=(leaves, 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        centers = (x, y, z) + way * (across, across, up) * rng.uniform(0.55, 1.05, (leaves, 1))
        lean = way + rng.normal(scale=0.6, size=(leaves, 3))
        first = np.cross(lean, rng.normal(size=(leaves, 3)))
        first *= leaf_size / np.linalg.norm(first, axis=1, keepdims=True)
        second = np.cross(lean, first)
        second *= 0.7 * leaf_size / np.linalg.norm(second, axis=1, keepdims=True)
        for c, a, b in zip(centers, first, second, strict=True):
            shape.add([c - a - b, c + a - b, c + a + b, c - a + b], [(0, 1, 2, 3)], green)
    return shape.mesh("tree")


def tree_kinds() -> list[Any]:
    """Build broad trees, umbrella pines, cypresses and bushes."""
    rng = np.random.default_rng(17)
    kinds = []
    for seed in range(3):
        lobes = np.column_stack([rng.normal(0, 1.3, (9, 2)), rng.uniform(2.6, 5.4, 9), *rng.uniform(1.0, 1.7, (2, 9))])
        kinds.append(tree(lobes, 130, 0.24, 4.0, (0.040, 0.062, 0.020), seed))
    lobes = np.column_stack(
        [rng.normal(0, 1.8, (10, 2)), rng.uniform(6.6, 7.6, 10), np.full(10, 1.5), np.full(10, 0.8)]
    )
    kinds.append(tree(lobes, 110, 0.24, 7.0, (0.028, 0.055, 0.020), 8))
    for seed in range(2):
        heights = np.linspace(1.2, 8.5 + seed, 9)
        widths = 0.95 * np.sin(np.linspace(0.9, 3.0, 9)) + 0.12
        lobes = np.column_stack([np.zeros((9, 2)), heights, widths, np.full(9, 1.0)])
        kinds.append(tree(lobes, 110, 0.2, 3.0, (0.016, 0.034, 0.014), 20 + seed))
    for seed in range(3):
        lobes = np.column_stack([rng.normal(0, 0.8, (5, 2)), rng.uniform(0.4, 1.1, 5), *rng.uniform(0.7, 1.1, (2, 5))])
        kinds.append(tree(lobes, 90, 0.2, 0.5, (0.050, 0.066, 0.024), 30 + seed))
    return kinds


def build_trees(taken: Array) -> None:
    """Scatter trees over the near hills, in groves, and between the houses."""
    rng, kinds = np.random.default_rng(29), tree_kinds()
    count = 20000
    azimuth, distance = rng.uniform(-HALF_VIEW, HALF_VIEW, count), np.exp(rng.uniform(np.log(95), np.log(2300), count))
    x, y = distance * np.sin(azimuth), distance * np.cos(azimuth)
    inland, height = inland_distance(x, y), land_height(x, y)
    groves = fractal(x / 70, y / 70, 4, seed=31)
    keep = (inland > 26) & (height > 2.5) & (groves + rng.uniform(-0.35, 0.35, count) > -0.02)
    picks = rng.choice(len(kinds), count, p=[0.19, 0.19, 0.19, 0.11, 0.03, 0.03, 0.09, 0.09, 0.08])
    for i in np.flatnonzero(keep):
        if np.min(np.hypot(*(taken - (x[i], y[i])).T)) > 8.5:
            size = rng.uniform(0.5, 1.05)
            put(kinds[picks[i]], (x[i], y[i], height[i] - 0.2), rng.uniform(0, tau), size)


# Boats -------------------------------------------------------------------------------------------------------------


def hull(shape: Shape, long: float, beam: float, board: float, stern: float, paints: tuple[Any, Any, Any, Any]) -> None:
    """Add a hull with its bow at +x, in paints for bottom, side, rail and deck."""
    section = [(0.0, -0.45), (0.55, -0.32), (0.86, -0.02), (0.93, 0.14), (1.0, 0.80 * board), (1.0, board)]
    slots = [0, 0, 0, 1, 2]
    stations = np.linspace(0, 1, 17)
    half = beam / 2 * np.minimum(1, stern + (1 - stern) * np.sin(np.clip(stations / 0.45, 0, 1) * pi / 2))
    half = half * np.where(stations > 0.4, np.sqrt(1 - np.maximum((stations - 0.4) / 0.6, 0) ** 2.1), 1) + 0.015
    bottom, side, rail, deck = paints
    for hand in (-1, 1):
        rings = []
        for s, b in zip(stations, half, strict=True):
            lift = board * (0.42 * s**2.2 + 0.12 * (1 - s) ** 2)
            rake = 0.055 * long * s**4
            rings.append(
                [
                    (long * (s - 0.5) + rake * max(z, 0) / board, hand * k * b, z + lift * max(z, 0) / board)
                    for k, z in section
                ]
            )
        for first, second in pairwise(rings):
            for j, slot in enumerate(slots):
                shape.add(
                    [first[j], second[j], second[j + 1], first[j + 1]], [(0, 1, 2, 3)], (bottom, side, rail)[slot]
                )
            (ax, ay, az), (bx, by, bz) = first[-1], second[-1]
            low = 0.12 * board
            shape.add(
                [(ax, ay, az - low), (bx, by, bz - low), (bx, 0, bz - low), (ax, 0, az - low)], [(0, 1, 2, 3)], deck
            )
        shape.add([*rings[0], (rings[0][0][0], 0, rings[0][-1][2])], [range(len(section) + 1)], side)


def yacht(long: float, color: Any, sails: bool, rng: Random) -> Any:
    """Build a sailing boat, under sail or with its sails stowed."""
    shape, board = Shape(), 0.105 * long
    white, teak = paint("gelcoat", (0.80, 0.80, 0.78), 0.25, 0.08), paint("teak", (0.32, 0.20, 0.11))
    metal, pane = paint("mast", (0.74, 0.74, 0.72), 0.35, 0.05), glass()
    side = paint("hull", color, 0.18, 0.06)
    cover = paint("cover", rng.choice(((0.03, 0.07, 0.20), (0.30, 0.05, 0.05), (0.55, 0.50, 0.40))), 0.9)
    hull(shape, long, 0.31 * long, board, 0.62, (paint("keel", (0.20, 0.03, 0.025)), side, white, teak))
    shape.box((0.06 * long, 0, board + 0.3), (0.36 * long, 0.17 * long, 0.7), white)
    shape.box((0.02 * long, 0, board + 0.72), (0.24 * long, 0.14 * long, 0.2), white)
    for hand in (-1, 1):
        for k in range(3):
            shape.box(((0.16 - 0.1 * k) * long, hand * 0.0855 * long, board + 0.36), (0.06 * long, 0.02, 0.2), pane)
    foot, top, step = board + 0.4, 1.28 * long, 0.1 * long
    shape.tube((step, 0, foot - 0.3), (step, 0, top), 0.11, metal, tip=0.07)
    shape.tube((step, 0, foot + 0.75), (-0.32 * long, 0, foot + 0.85), 0.055, metal)
    bow, stern = (0.53 * long, 0, 1.45 * board), (-0.5 * long, 0, 1.1 * board)
    for end in (bow, stern, (step - 0.1, 0.14 * long, board), (step - 0.1, -0.14 * long, board)):
        shape.tube((step, 0, top - 0.1), end, 0.02, metal)
    for high in (0.45, 0.72):
        shape.tube((step, -0.07 * long, high * top), (step, 0.07 * long, high * top), 0.025, metal)
    for k in range(8):
        x, y = long * (0.46 - 0.13 * k), 0.15 * long * min(1.0, 0.35 + 0.22 * k) * (1 if k < 6 else 0.85)
        for hand in (-1, 1):
            shape.tube((x, hand * y, board), (x, hand * y, board + 0.75), 0.016, metal)
    if sails:
        cloth = paint("sail", (0.82, 0.80, 0.74), 0.8, 0.04)
        mast_sail = ((step - 0.1, foot + 0.9), (-0.32 * long, foot + 1.0), (step - 0.1, top - 0.4))
        for (ax, az), (bx, bz), (cx, cz) in (
            mast_sail,
            ((step - 0.2, foot + 0.5), (0.52 * long, 1.5 * board), (step, 0.9 * top)),
        ):
            rows = np.linspace(0, 1, 13)
            points = [
                (
                    (ax + (cx - ax) * t) * (1 - u) + (bx + (cx - bx) * t) * u,
                    0.09 * long * (1 - t) * 4 * u * (1 - u) + 0.05 * long * u * (1 - t),
                    (az + (cz - az) * t) * (1 - u) + (bz + (cz - bz) * t) * u,
                )
                for t in rows
                for u in rows
            ]
            quads = [
                (13 * i + j, 13 * i + j + 1, 13 * i + j + 14, 13 * i + j + 13) for i in range(12) for j in range(12)
            ]
            shape.add(points, quads, cloth)
    else:
        shape.tube((step, 0, foot + 0.98), (-0.31 * long, 0, foot + 1.0), 0.2, cover, tip=0.11)
        shape.tube((0.51 * long, 0, 1.7 * board), (step + 0.25, 0, 0.93 * top), 0.07, cover, tip=0.03)
        shape.box((-0.17 * long, 0, board + 1.0), (0.12 * long, 0.16 * long, 0.06), cover)
    return shape.mesh("yacht")


def fishing_boat(long: float, color: Any, rng: Random) -> Any:
    """Build a fishing boat with a wheelhouse, gallows, nets and crates."""
    shape, board = Shape(), 0.13 * long
    white, wood = paint("wheelhouse", (0.78, 0.76, 0.70), 0.4, 0.2), paint("planks", (0.33, 0.22, 0.13))
    trim = paint("rail", rng.choice(((0.78, 0.76, 0.70), (0.65, 0.30, 0.04), (0.03, 0.10, 0.24))), 0.4)
    metal, pane = paint("steel", (0.30, 0.28, 0.25)), glass()
    side = paint("planking", color, 0.4, 0.25)
    hull(shape, long, 0.36 * long, board, 0.72, (paint("antifouling", (0.22, 0.05, 0.03)), side, trim, wood))
    roof = board + 2.35
    shape.box((0.08 * long, 0, board + 1.05), (0.21 * long, 0.19 * long, 2.4), white)
    shape.box((0.09 * long, 0, roof), (0.27 * long, 0.23 * long, 0.14), trim)
    for k in (-1, 0, 1):
        shape.box(((0.08 + 0.067 * k) * long, 0, board + 1.65), (0.047 * long, 0.192 * long, 0.6), pane)
        shape.box((0.08 * long, 0.062 * k * long, board + 1.65), (0.212 * long, 0.045 * long, 0.6), pane)
    shape.tube((0.02 * long, 0, roof), (0.02 * long, 0, roof + 0.32 * long), 0.06, metal, tip=0.03)
    shape.tube((0.02 * long, 0, roof + 0.29 * long), (0.54 * long, 0, 1.5 * board), 0.016, metal)
    shape.tube((0.02 * long, 0, roof + 0.29 * long), (-0.42 * long, 0, board + 1.9), 0.016, metal)
    for hand in (-1, 1):
        shape.tube(
            (-0.42 * long, hand * 0.1 * long, board - 0.2), (-0.42 * long, hand * 0.08 * long, board + 1.9), 0.06, metal
        )
        for k in range(4):
            x = long * (0.16 - 0.15 * k)
            shape.tube((x, hand * 0.185 * long, 0.5 * board), (x, hand * 0.185 * long, 0.95 * board), 0.13, metal)
    shape.tube((-0.42 * long, -0.09 * long, board + 1.9), (-0.42 * long, 0.09 * long, board + 1.9), 0.06, metal)
    for _ in range(6):
        x, y = rng.uniform(-0.36, -0.1) * long, rng.uniform(-0.11, 0.11) * long
        tint = paint(
            "gear", rng.choice(((0.02, 0.18, 0.22), (0.55, 0.22, 0.03), (0.45, 0.42, 0.35), (0.05, 0.15, 0.08))), 0.9
        )
        shape.box((x, y, board + rng.uniform(0, 0.3)), (rng.uniform(0.6, 1.1), rng.uniform(0.5, 0.9), 0.5), tint)
    return shape.mesh("fishing boat")


def dinghy(color: Any) -> Any:
    """Build a rowing boat with its thwarts."""
    shape, wood = Shape(), paint("thwart", (0.36, 0.23, 0.12))
    paints = (
        paint("dinghy bottom", (0.15, 0.04, 0.03)),
        paint("dinghy", color, 0.4),
        wood,
        paint("boards", (0.22, 0.15, 0.09)),
    )
    hull(shape, 4.2, 1.6, 0.55, 0.75, paints)
    for x in (-1.1, 0.0, 1.0):
        shape.box((x, 0, 0.58), (0.25, 1.35, 0.05), wood)
    return shape.mesh("dinghy")


def build_jetty() -> None:
    """Build a wooden jetty on piles."""
    shape, wood = Shape(), paint("jetty", (0.30, 0.25, 0.19), 0.85, 0.5)
    for k in range(150):
        shape.box((-30 + 0.25 * k, 137 + 0.02 * k, 1.0), (0.22, 2.4, 0.1), wood)
    for k in range(11):
        for side in (-1.3, 1.3):
            x, y = -28 + 3.5 * k, 137 + 0.28 * k + side
            shape.tube((x, y, -3), (x, y, 1.7), 0.16, wood)
    put(shape.mesh("jetty"))


def build_boats() -> None:
    """Moor the boats along the quay, at the jetty and on buoys, and send some out to sail."""
    rng = Random(13)
    sailing = [yacht(long, color, False, rng) for long, color in zip((9.5, 11, 12.5, 10, 8.5), HULLS, strict=False)]
    fishing = [fishing_boat(long, color, rng) for long, color in zip((8, 9.5, 7.5, 11), HULLS[2:], strict=False)]
    rowing = [dinghy(color) for color in HULLS]
    for i in range(66, 24 * QUAY_KNOTS - 16, 4):
        x, y = SHORE[i] - 6.8 * INLAND[i]
        turn = atan2(INLAND[i, 1], INLAND[i, 0]) + rng.uniform(-0.08, 0.08)
        kind = rng.choices((sailing, fishing, rowing, None), (0.34, 0.30, 0.24, 0.12))[0]
        if kind and not 131 < y < 145:
            put(rng.choice(kind), (x, y, rng.uniform(-0.05, 0.05)), turn + rng.choice((0, pi)))
    for k in range(7):
        for side in (-1, 1):
            if rng.random() < 0.9:
                x, y = -17 + 4.1 * k, 137 + 0.33 * k + side * 8.2
                put(
                    rng.choice(sailing),
                    (x, y, 0),
                    side * pi / 2 + rng.uniform(-0.05, 0.05) + (pi if side > 0 else 0) + pi,
                )
    moored = (
        (fishing[1], -9, 66, 0.5), (sailing[1], 17, 88, 2.75), (rowing[3], 7.5, 56, -0.5), (rowing[0], -20, 84, 1.2),
        (fishing[0], 33, 112, 2.9), (sailing[2], 36, 146, 2.6), (sailing[3], 60, 158, 2.7), (rowing[6], 27, 74, 0.3),
        (sailing[4], 26, 165, 2.8), (fishing[3], 8, 176, 0.3), (fishing[2], -8, 104, 2.6),
    )  # fmt: skip
    for mesh, x, y, turn in moored:
        put(mesh, (x, y, 0), turn)
    sailors = [yacht(long, HULLS[0], True, rng) for long in (9, 11)]
    for x, y, turn in (
        (128, 360, 0.5),
        (205, 560, 2.4),
        (245, 640, 2.7),
        (330, 900, 0.4),
        (275, 1050, 2.5),
        (560, 1500, 2.6),
    ):
        put(rng.choice(sailors), (x, y, 0), turn, heel=0.16)


# Water, sky, camera ------------------------------------------------------------------------------------------------


def build_water() -> None:
    """Lay out the sea: a sum of small waves, each left out where the grid is too coarse to carry it."""
    rng = np.random.default_rng(41)
    x, y = view_grid(26, 30000, 1500, 900)
    distance = np.hypot(x, y)
    spacing = distance * np.log(30000 / 26) / 1500
    z = np.zeros_like(x)
    for length in np.geomspace(0.9, 9.0, 46):
        heading = rng.normal(-2.3, 0.7)
        phase = tau / length * (x * cos(heading) + y * sin(heading)) + rng.uniform(0, tau)
        z += 0.0016 * length**0.9 * smoothstep(2.2, 5.0, length / spacing) * np.sin(phase)
    put_grid("sea", np.stack([x, y, z], axis=-1), sea())


def worley_volume(size: int, cells: int, rng: np.random.Generator) -> Array:
    """Fill a periodic cube with rounded lumps: one at each cell's random point, 0 far from it."""
    seeds = rng.uniform(0, 1, (cells, cells, cells, 3))
    axis = (np.arange(size) + 0.5) * cells / size
    place = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    cell = np.floor(place).astype(int)
    best = np.full((size, size, size), 9.0)
    for offset in np.ndindex(3, 3, 3):
        other = cell + np.array(offset) - 1
        i, j, k = np.moveaxis(other % cells, -1, 0)
        best = np.minimum(best, np.sum((other + seeds[i, j, k] - place) ** 2, axis=-1))
    return np.clip(1 - np.sqrt(best), 0, 1)


def sample_volume(volume: Array, x: Array, y: Array, z: Array) -> Array:
    """Look up a periodic cube, whose side counts as one unit, with linear blending."""
    size = len(volume)
    total = np.zeros_like(x)
    parts = []
    for axis in (x, y, z):
        scaled = axis * size
        low = np.floor(scaled).astype(np.int32)
        parts.append((low % size, (low + 1) % size, scaled - low))
    flat = volume.ravel()
    for i, j, k in np.ndindex(2, 2, 2):
        weight = 1.0
        for pick, (_, _, part) in zip((i, j, k), parts, strict=True):
            weight = weight * (part if pick else 1 - part)
        total += weight * flat[(parts[0][i] * size + parts[1][j]) * size + parts[2][k]]
    return total


class Clouds:
    """Fair-weather cumulus in a layer of air, lit by the sun."""

    BASE, TOP, THICKNESS = 1150.0, 2500.0, 0.02
    REACH, CELL = 30000.0, 60.0

    def __init__(self) -> None:
        rng = np.random.default_rng(53)
        self.lumps = (
            0.55 * worley_volume(96, 5, rng) + 0.30 * worley_volume(96, 11, rng) + 0.15 * worley_volume(96, 24, rng)
        )
        ground = np.arange(-self.REACH, self.REACH + 1, self.CELL)
        x, y = np.meshgrid(ground, ground, indexing="ij")
        thick = 1.9 * fractal(x / 2600, y / 2600, 3, seed=61) + 0.5 * fractal(x / 9000, y / 9000, 2, seed=62)
        self.weather = thick - 1.12 - 0.6 * smoothstep(12000, 24000, np.hypot(x, y))

    def weather_at(self, x: Array, y: Array) -> Array:
        """Look up how thick the weather is over points on the ground, with linear blending."""
        u, v = (x + self.REACH) / self.CELL, (y + self.REACH) / self.CELL
        i, j = u.astype(np.int32), v.astype(np.int32)
        u, v, row = u - i, v - j, self.weather.shape[1]
        flat, at = self.weather.ravel(), i * row + j
        near = flat[at] * (1 - u) + flat[at + row] * u
        return near * (1 - v) + flat[at + 1] * v + (flat[at + row + 1] - flat[at + 1]) * u * v

    def density(self, x: Array, y: Array, z: Array) -> Array:
        """Give the density of cloud at points: flat below, heaped above where the weather is thick."""
        level = (z - self.BASE) / (self.TOP - self.BASE)
        inside = (level > 0) & (level < 1) & (np.maximum(np.abs(x), np.abs(y)) < self.REACH - self.CELL)
        density = np.zeros_like(x)
        found = np.flatnonzero(inside)
        body = self.weather_at(x[found], y[found]) - 0.9 * level[found] - 0.5 * smoothstep(0.06, 0.0, level[found])
        found, body = found[body > -0.55], body[body > -0.55]
        px, py, pz = x[found], y[found], z[found]
        body = body + 1.7 * (sample_volume(self.lumps, px / 2100, py / 2100, pz / 2100) - 0.42)
        found, body = found[body > -0.3], body[body > -0.3]
        px, py, pz = x[found], y[found], z[found]
        density[found] = np.clip(
            (body + 0.45 * (sample_volume(self.lumps, px / 430, py / 430, pz / 430) - 0.42)) * 3.2, 0, 1
        )
        return density

    def sunlight(self, x: Array, y: Array, z: Array) -> Array:
        """Give the share of sunlight that reaches points, counting light scattered on within the cloud."""
        depth, reach = np.zeros_like(x), 0.0
        for step in (40.0, 60.0, 100.0, 180.0, 320.0):
            middle = reach + step / 2
            depth += step * self.THICKNESS * self.density(x + SUN[0] * middle, y + SUN[1] * middle, z + SUN[2] * middle)
            reach += step
        return 0.45 * np.exp(-depth) + 0.35 * np.exp(-0.28 * depth) + 0.20 * np.exp(-0.07 * depth)

    def render(self, azimuth: Array, elevation: Array, steps: int = 80) -> Array:
        """March rays from the camera through the layer and give each ray's color, premultiplied, and cover."""
        rng = np.random.default_rng(67)
        east, north, up = np.sin(azimuth) * np.cos(elevation), np.cos(azimuth) * np.cos(elevation), np.sin(elevation)
        near, far = self.BASE / up, self.TOP / up
        step = (far - near) / steps
        jitter = rng.uniform(0, 1, azimuth.shape)
        color, clear, traveled = np.zeros((*azimuth.shape, 3)), np.ones(azimuth.shape), np.zeros(azimuth.shape)
        for i in range(steps):
            t = near + (i + jitter) * step
            x, y, z = east * t, north * t, up * t
            density = self.density(x, y, z)
            seen = np.flatnonzero((density > 0) & (clear > 0.01))
            sun = self.sunlight(x[seen], y[seen], z[seen])
            level = np.clip((z[seen] - self.BASE) / 700, 0, 1)
            ambient = (0.22 + 0.26 * level)[:, None] * np.array([0.80, 0.92, 1.12])
            light = sun[:, None] * SUN_LIGHT * 0.24 + ambient
            absorbed = clear[seen] * (1 - np.exp(-density[seen] * step[seen] * self.THICKNESS))
            color[seen] += absorbed[:, None] * light
            traveled[seen] += absorbed * t[seen]
            clear[seen] -= absorbed
        cover = 1 - clear
        veil = 1 - np.exp(-traveled / np.maximum(cover, 1e-6) / 20000)
        color = color * (1 - veil)[:, None] + cover[:, None] * veil[:, None] * np.array([0.62, 0.72, 0.86])
        return np.column_stack([color, cover])


def cirrus(azimuth: Array, elevation: Array) -> Array:
    """Draw thin high cloud, combed out by the wind: color, premultiplied, and cover."""
    reach = 8.0 / np.tan(elevation)
    x, y = reach * np.sin(azimuth), reach * np.cos(azimuth)
    along, across = 0.90 * x + 0.44 * y, -0.44 * x + 0.90 * y
    bend = 3.0 * fractal(x / 11, y / 11, 3, seed=71)
    streaks = fractal((along + bend) / 9, (across + 1.4 * bend) / 2.2, 7, seed=72, gain=0.56)
    patches = fractal(x / 16, y / 16, 3, seed=73)
    cover = 0.36 * smoothstep(0.0, 0.8, streaks + 0.9 * patches) * smoothstep(radians(2), radians(9), elevation)
    return np.column_stack([cover[:, None] * np.array([1.32, 1.24, 1.14]), cover])


def cloud_image(width: int) -> Any:
    """Paint the clouds ahead into an image over azimuth and elevation."""
    height = int(width * CLOUD_ELEVATION / (2 * HALF_VIEW))
    columns = np.linspace(-HALF_VIEW, HALF_VIEW, width)
    pixels = np.zeros((height, width, 4), np.float32)
    clouds = Clouds()
    for row, elevation in enumerate(np.linspace(0, CLOUD_ELEVATION, height)):
        if elevation > radians(1.2):
            front = clouds.render(columns, np.full(width, elevation))
            back = cirrus(columns, np.full(width, elevation))
            pixels[row] = front + (1 - front[:, 3:]) * back
    image = bpy.data.images.new("clouds", width, height, alpha=True, float_buffer=True, is_data=True)
    image.alpha_mode = "PREMUL"
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image


def build_sky(cloud_width: int) -> None:
    """Set the sun, and the clear sky with the clouds before it."""
    sun = bpy.data.lights.new("sun", "SUN")
    sun.energy, sun.angle = float(SUN_LIGHT.max()), radians(0.53)
    sun.color = tuple(SUN_LIGHT / SUN_LIGHT.max())
    lamp = bpy.data.objects.new("sun", sun)
    lamp.rotation_euler = (pi / 2 - SUN_ELEVATION, 0, pi - SUN_AZIMUTH)
    bpy.context.scene.collection.objects.link(lamp)
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    nodes = Nodes(world.node_tree)
    air = nodes(
        "TexSky", sky_type="MULTIPLE_SCATTERING", sun_disc=False, sun_elevation=SUN_ELEVATION, sun_rotation=SUN_AZIMUTH,
        aerosol_density=0.7, altitude=20,
    )  # fmt: skip
    blue = nodes.mix(1.0, air, (SKY_SCALE, SKY_SCALE, SKY_SCALE), "MULTIPLY")
    way = nodes.node("SeparateXYZ", {0: nodes.node("TexCoord").outputs["Generated"]}).outputs
    azimuth = nodes.math("ARCTAN2", way["X"], way["Y"])
    across = nodes.math("MULTIPLY_ADD", azimuth, 0.5 / HALF_VIEW, 0.5)
    up = nodes.math("DIVIDE", nodes.math("ARCSINE", way["Z"]), CLOUD_ELEVATION)
    place = nodes("CombineXYZ", {0: across, 1: up})
    clouds = nodes.node("TexImage", {0: place}, image=cloud_image(cloud_width), extension="CLIP", interpolation="Cubic")
    clear = nodes.math("SUBTRACT", 1.0, clouds.outputs["Alpha"])
    sky = nodes("VectorMath", {0: blue, 1: nodes("CombineXYZ", {0: clear, 1: clear, 2: clear})}, operation="MULTIPLY")
    sky = nodes("VectorMath", {0: sky, 1: clouds.outputs["Color"]}, operation="ADD")
    nodes.node("OutputWorld", {0: nodes("Background", {"Color": sky})})


def set_camera() -> None:
    """Stand a little above the water, look level, and shift the lens up so that the horizon is low."""
    camera = bpy.data.cameras.new("camera")
    camera.lens, camera.sensor_width, camera.shift_y, camera.clip_end = 40, 36, 0.105, 1e5
    thing = bpy.data.objects.new("camera", camera)
    thing.location, thing.rotation_euler = (0, 0, EYE_HEIGHT), (pi / 2, 0, 0)
    bpy.context.scene.collection.objects.link(thing)
    bpy.context.scene.camera = thing


def without_metadata(jpeg: bytes) -> bytes:
    """Drop a JPEG's comments and application data (dates, render times), all but the leading JFIF header."""
    kept, at = jpeg[:2], 2
    while jpeg[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        if jpeg[at + 1] != 0xFE and not 0xE1 <= jpeg[at + 1] <= 0xEF:
            kept += jpeg[at:end]
        at = end
    return kept + jpeg[at:]


def render(path: Path, width: int, samples: int) -> None:
    """Write the image as a JPEG without metadata."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold = samples, True, 0.03
    scene.cycles.adaptive_min_samples = 8
    scene.cycles.use_denoising, scene.cycles.denoiser = True, "OPENIMAGEDENOISE"
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces, scene.cycles.glossy_bounces = 3, 1, 2
    scene.cycles.caustics_reflective, scene.cycles.sample_clamp_indirect, scene.cycles.seed = False, 6, 1
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - Medium High Contrast"
    scene.view_settings.exposure = -0.45
    scene.render.resolution_x, scene.render.resolution_y = width, width * 2 // 3
    scene.render.image_settings.file_format, scene.render.image_settings.quality = "JPEG", 90
    scene.render.filepath = str(path.resolve())
    bpy.ops.render.render(write_still=True)
    path.write_bytes(without_metadata(path.read_bytes()))


def main() -> None:
    """Build the harbor and render the image."""
    parser = argparse.ArgumentParser(description="Render the sample photo.")
    parser.add_argument("path", type=Path, help="the JPEG to write")
    parser.add_argument("--width", type=int, default=1200)
    parser.add_argument("--samples", type=int, default=32)
    options = parser.parse_args()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    build_land()
    build_quay()
    build_people()
    build_breakwater()
    build_trees(build_town())
    build_jetty()
    build_boats()
    build_water()
    build_sky(options.width * 3 // 4)
    set_camera()
    render(options.path, options.width, options.samples)


if __name__ == "__main__":
    main()
