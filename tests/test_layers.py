"""The house: modules import downward only, and what must be light is light."""

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import stylekit

PACKAGE = Path(stylekit.__file__).parent

PARTS_OF_IMAGES = [{"colors", "pillow_guard", "strokes", "tiff"}, {"formats", "metadata"}]

# From top to bottom, as in the design; a module imports from its own line and from lower ones only.
LAYERS = [
    {"cli"},
    {"training", "optimization", "batch"},
    {"film_painting"},
    {"trainer", "warm_start", "descent", "scales", "run_folder", "report", "stylization", "planning", "outcomes"},
    {"tiling"},
    {"engines"},
    {"pulling"},
    {"library"},
    {"catalog", "importers", "loss_weights", "datasets"},
    {"style_file"},
    {"segments", "animations", "video_writer"},
    {"video_reader", "steadiness"},
    {"films", "motion"},
    {"images", "download", "losses"},
    {"style_losses"},
    {"locks"},
    *PARTS_OF_IMAGES,
    {"loss_networks"},
    {"networks", "vgg", "compact_vgg"},
    {"device", "distributed"},
    {"addresses", "architectures", "concurrency", "config", "paths", "errors"},
    {"processes"},
]
HEIGHT = {module: -depth for depth, layer in enumerate(LAYERS) for module in layer}
ENTRIES = {"__init__", "__main__"}  # the lazy API above all, and the command

WITHOUT_TORCH = {
    *("images", "style_file", "stylization", "planning", "batch", "library", "pulling", "catalog", "download", "locks"),
    *("film_painting", "segments", "animations", "video_reader", "video_writer", "films", "steadiness", "motion"),
    *("outcomes", "addresses", "config", "architectures", "paths", "errors", "concurrency", "processes"),
    *set.union(*PARTS_OF_IMAGES),
}
TORCH_INSIDE_FUNCTIONS_ONLY = {"importers", "loss_weights", "device", "cli", *ENTRIES}


@dataclass(frozen=True)
class Import:
    """An import that runs: what, where, and whether with the module or first inside a function."""

    file: Path
    line: int
    target: str
    at_module_level: bool

    @property
    def importer(self):
        return module_of(self.file)

    @property
    def package(self):
        return self.target.partition(".")[0]

    @property
    def ours(self):
        """The module of stylekit that is imported; `__init__` for what the package itself holds."""
        name = self.target.split(".")[1]
        return name if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file() else "__init__"

    def __str__(self):
        return f"{self.file.relative_to(PACKAGE)}:{self.line} imports {self.target}"


def module_of(file):
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(file):
    """Read a file's imports; those for the type checker alone are left out."""
    found = []

    def visit(node, at_module_level):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                targets = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{file}:{child.lineno}: relative imports are not what this test reads"
                targets = [f"{child.module}.{alias.name}" for alias in child.names]
            elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                for other in child.orelse:
                    visit(other, at_module_level)
                continue
            else:
                is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                visit(child, at_module_level and not is_function)
                continue
            found.extend(Import(file, child.lineno, target, at_module_level) for target in targets)

    visit(ast.parse(file.read_text(encoding="utf-8")), True)
    return found


FILES = sorted(PACKAGE.rglob("*.py"))
IMPORTS = [imported for file in FILES for imported in imports_of(file)]
MODULES = sorted({module_of(file) for file in FILES} - ENTRIES)


def listed(imports):
    return [str(imported) for imported in imports]


def test_every_module_has_its_place_in_the_house():
    assert set(MODULES) - set(HEIGHT) == set()
    assert len(MODULES) > 20  # else the wrong folder was read


@pytest.mark.parametrize("module", [module for module in MODULES if module in HEIGHT])
def test_a_module_imports_from_its_own_layer_and_lower_ones_only(module):
    upward = [
        imported
        for imported in IMPORTS
        if imported.importer == module
        and imported.package == "stylekit"
        and HEIGHT.get(imported.ours, HEIGHT[module]) > HEIGHT[module]
    ]
    assert listed(upward) == []


def test_the_package_itself_is_imported_for_its_version_only():
    wanted = [imported for imported in IMPORTS if imported.package == "stylekit" and imported.ours == "__init__"]
    assert {imported.target for imported in wanted} == {"stylekit.__version__"}


def test_no_two_modules_import_each_other():
    needs = {module: set() for module in MODULES}
    for imported in IMPORTS:
        if imported.package == "stylekit" and imported.importer in needs and imported.ours in needs:
            needs[imported.importer] |= {imported.ours} - {imported.importer}
    while free := {module for module, needed in needs.items() if not needed}:
        needs = {module: needed - free for module, needed in needs.items() if module not in free}
    assert needs == {}  # what is left goes in a circle


@pytest.mark.parametrize("module", sorted(WITHOUT_TORCH))
def test_modules_of_arrays_and_files_never_import_torch(module):
    assert module in MODULES
    torch_imports = [i for i in IMPORTS if i.importer == module and i.package in ("torch", "torchvision")]
    assert listed(torch_imports) == []
    assert listed(i for i in IMPORTS if i.importer == module and i.target.startswith("safetensors.torch")) == []


@pytest.mark.parametrize("module", sorted(TORCH_INSIDE_FUNCTIONS_ONLY))
def test_modules_on_the_way_to_a_style_import_torch_inside_functions_only(module):
    assert module in {*MODULES, *ENTRIES}
    found = [i for i in IMPORTS if i.importer == module and i.package in ("torch", "torchvision") and i.at_module_level]
    assert listed(found) == []


def test_torchvision_is_imported_inside_functions_only():
    found = [imported for imported in IMPORTS if imported.package == "torchvision"]
    assert found
    assert listed(imported for imported in found if imported.at_module_level) == []


@pytest.mark.parametrize("package", ["typer", "rich", "click"])
def test_below_the_command_line_nothing_knows_its_libraries(package):
    assert listed(i for i in IMPORTS if i.package == package and i.importer != "cli") == []


def test_networks_and_losses_know_tensors_only():
    """No paths, pictures, downloads or choice of device; in the ONNX graphs, arrays are the tensors."""
    foreign = {"pathlib", "PIL", "os", "requests", "safetensors", "numpy"}
    ours = {"stylekit.paths", "stylekit.images", "stylekit.download", "stylekit.device", "stylekit.style_file"}
    found = [
        imported
        for imported in IMPORTS
        if imported.importer in ("networks", "vgg", "losses")
        and not (imported.file.stem in ("onnx_graph", "onnx_layers") and imported.package == "numpy")
        and (imported.package in foreign or f"stylekit.{imported.target.partition('.')[2].partition('.')[0]}" in ours)
    ]
    assert listed(found) == []


def test_below_the_command_line_nothing_prints_or_exits():
    found = []
    for file in FILES:
        if module_of(file) == "cli":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            raised = ast.unparse(node.exc) if isinstance(node, ast.Raise) and node.exc else ""
            streams = ast.unparse(node) in ("sys.stdout", "sys.stderr") if isinstance(node, ast.Attribute) else False
            if (
                called in ("print", "exit", "quit", "sys.exit", "os._exit")
                or raised.startswith("SystemExit")
                or streams
            ):
                found.append(f"{file.relative_to(PACKAGE)}:{node.lineno}")
    assert found == []


def run_python(*arguments, home):
    return subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        env={**os.environ, "STYLEKIT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def modules_loaded(done):
    """Read which modules a process imported from what `-X importtime` printed."""
    return set(re.findall(r"^import time:.*\|\s*(\S+)$", done.stderr, re.MULTILINE))


COMMANDS = {
    "import": ["-c", "import stylekit; print(stylekit.__version__)"],
    "--version": ["-m", "stylekit", "--version"],
    "--help": ["-m", "stylekit", "--help"],
    **{f"{name} --help": ["-m", "stylekit", name, "--help"] for name in ("apply", "train", "styles")},
    "styles list": ["-m", "stylekit", "styles", "list"],
    "info": ["-m", "stylekit", "info", "--no-devices"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_light_commands_load_no_torch_and_write_nothing(command, tmp_path):
    done = run_python(*command, home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    loaded = modules_loaded(done)
    assert "stylekit" in loaded
    assert {name for name in loaded if name.partition(".")[0] in ("torch", "torchvision", "matplotlib")} == set()
    assert not (tmp_path / "home").exists()


def test_importing_the_package_loads_none_of_its_modules(tmp_path):
    loaded = modules_loaded(run_python("-c", "import stylekit", home=tmp_path))
    assert {name for name in loaded if name.startswith("stylekit")} == {"stylekit"}
    assert not loaded & {"numpy", "PIL", "requests", "typer"}


def test_everything_up_to_the_engine_is_imported_without_torch(tmp_path):
    script = "import stylekit.batch, stylekit.engines, stylekit.importers, stylekit.loss_weights, stylekit.device"
    done = run_python("-c", script, home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert "torch" not in modules_loaded(done)
    assert not (tmp_path / "home").exists()


def test_every_name_of_the_api_is_there():
    for name in stylekit.__all__:
        assert getattr(stylekit, name).__name__ == name
    assert sorted(stylekit.__all__) == stylekit.__all__
    assert set(stylekit.__all__) == set(stylekit._HOMES)


def test_names_of_the_api_are_typed_as_they_are_loaded():
    """What the type checker is told to import is what is imported."""
    told = {}
    for node in ast.walk(ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("stylekit."):
            told |= {alias.name: node.module.removeprefix("stylekit.") for alias in node.names}
    assert told == stylekit._HOMES


@pytest.mark.parametrize("name", ["no_such_name", "torch", "_private"])
def test_other_names_are_attribute_errors(name):
    with pytest.raises(AttributeError, match=f"module 'stylekit' has no attribute '{name}'"):
        getattr(stylekit, name)


def test_errors_carry_message_and_hint_and_share_one_base():
    from stylekit import errors

    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    assert len(kinds) > 10
    assert all(issubclass(kind, errors.StylekitError) for kind in kinds)
    error = errors.ChecksumMismatch("what", "what next")
    assert isinstance(error, errors.DownloadError)
    assert (str(error), error.message, error.hint) == ("what", "what", "what next")
    assert errors.ConfigError("what").hint == ""
