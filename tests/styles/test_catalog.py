"""What catalogs list, and what `stylekit styles list` shows of it."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
import requests

from stylekit.errors import CatalogError
from stylekit.styles.catalog import find_remote, list_styles, remote_styles
from stylekit.styles.catalog_format import catalog_schema
from stylekit.styles.locations import downloaded_styles_dir, own_styles_dir
from stylekit.styles.style_file import StyleFile, save_style_file
from stylekit.system.paths import cache_dir
from tests.local_server import Page, time_with

PUBLISHED = {
    "mosaic": (
        "mosaic-9/resolve/9a267ba8540fba8fb12bc78f3770e0fd9c923c56/mosaic-9.onnx",
        "fa646dedade881243f8d5a2ceb7de2b93675b21fc24f7482894ac4851a9a0a47",
    ),
    "candy": (
        "candy-9/resolve/f24fcf558bd4564360f41cf3b5321975a33f962f/candy-9.onnx",
        "9d11a3529d1e547da6ae07201d93484dbab2ec0a3614535752c8f40f0fe2968a",
    ),
    "udnie-johnson": (
        "udnie-9/resolve/ab74109f694dc8117f5e39a8571ac53bf83618f6/udnie-9.onnx",
        "8656b6ce7dec8f22ee13c2d557d6b67bd6f550dde88d0f2e7c9972aeb765cc0d",
    ),
    "pointilism": (
        "pointilism-9/resolve/d9c3c80c36d238db4155f3029f996ce62b3c101f/pointilism-9.onnx",
        "5ee2b8d4d6bc60a777f54e0fe96a1b717360a004b79d56c67390d4a975b14d98",
    ),
    "rain-princess": (
        "rain-princess-9/resolve/205625e4c00565b6c0946814de6165116b271e58/rain-princess-9.onnx",
        "4162912e6f75fedef6f810ae989b9e10d3d5d43308dab34b027c850cf255e152",
    ),
}


def style(name="wave", **values):
    """A style as a catalog lists it."""
    return {"name": name, "url": f"https://example.org/{name}.onnx", "sha256": "0" * 64, "size": 1234} | values


def catalog(*styles):
    return json.dumps({"format": "stylekit-catalog-1", "styles": styles})


def without(key):
    return {name: value for name, value in style().items() if name != key}


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch):
    monkeypatch.setattr("stylekit.downloads.transfer.time", time_with(lambda seconds: None))


@pytest.fixture
def built_in(tmp_path, monkeypatch):
    """The package's own catalog and bundled styles: none."""
    path = tmp_path / "built-in.json"
    path.write_text(catalog())
    monkeypatch.setattr("stylekit.styles.catalog._BUILT_IN", path)
    monkeypatch.setattr("stylekit.styles.locations._BUNDLED", tmp_path / "bundled")
    return path


@pytest.fixture
def publish(tmp_path, built_in):
    """Write a catalog and return it as the source that one names."""

    def write(*styles, file="catalog.json"):
        (tmp_path / file).write_text(catalog(*styles))
        return str(tmp_path / file)

    return write


@pytest.fixture
def place(small_style, tmp_path, built_in):
    """Save a style in one of the folders under a name, its title saying which."""
    folders = {"own": own_styles_dir(), "bundled": tmp_path / "bundled", "cached": downloaded_styles_dir()}

    def put(where, name):
        path = folders[where] / f"{name}.safetensors"
        save_style_file(
            StyleFile(dataclasses.replace(small_style.metadata, title=f"of {where}"), small_style.weights), path
        )
        return path

    return put


DOCUMENTED_SCHEMA = Path(__file__).parents[2] / "docs" / "catalog.schema.json"


def refuse(*arguments, **settings):
    raise requests.ConnectionError


def names(entries):
    return [entry.name for entry in entries]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_package_lists_the_published_styles(name):
    file, sha256 = PUBLISHED[name]
    entry = find_remote(name)
    assert entry is not None
    assert (entry.where, entry.sha256, entry.size) == ("remote", sha256, 6728029)
    assert entry.url == f"https://huggingface.co/onnxmodelzoo/{file}"
    assert entry.credits.licence == "BSD-3-Clause"
    assert entry.credits.title
    assert entry.credits.source


def test_the_packages_catalog_is_sound():
    entries = remote_styles()
    assert len(set(names(entries))) == len(entries)
    for entry in entries:
        assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
        assert entry.url.startswith("https://")


def test_an_entry_has_all_that_a_catalog_says_about_a_style(publish):
    about = {"title": "The Wave", "artist": "Hokusai", "year": "1831", "licence": "CC0", "source": "the museum"}
    (entry,) = remote_styles([publish(style(**about))])
    assert (entry.name, entry.where, entry.size, entry.sha256) == ("wave", "remote", 1234, "0" * 64)
    assert entry.url == "https://example.org/wave.onnx"
    assert dataclasses.asdict(entry.credits) == about
    assert (entry.path, entry.problem) == (None, "")


def test_unknown_keys_are_ignored(publish):
    assert names(remote_styles([publish(style(strokes=["broad"]))])) == ["wave"]


def test_hf_urls_are_expanded(publish):
    (entry,) = remote_styles([publish(style(url="hf://user/repo@v1/wave.onnx"))])
    assert entry.url == "https://huggingface.co/user/repo/resolve/v1/wave.onnx"


def test_further_catalogs_come_before_the_environments_and_that_before_the_packages(publish, built_in, monkeypatch):
    in_all, in_two, in_one = ({"name": name} for name in ("in-all", "in-two", "in-one"))
    built_in.write_text(catalog(*(style(**about, title="package") for about in (in_all, in_two, in_one))))
    environment = publish(*(style(**about, title="environment") for about in (in_all, in_two)), file="2.json")
    monkeypatch.setenv("STYLEKIT_CATALOG", environment)
    first = publish(style(**in_all, title="first"), style("a", title="first"), file="1.json")
    second = publish(style(**in_all, title="second"), style("a", title="second"), file="3.json")
    assert {entry.name: entry.credits.title for entry in remote_styles([first, second])} == {
        "in-all": "first",
        "a": "first",
        "in-two": "environment",
        "in-one": "package",
    }


def test_an_empty_variable_names_no_catalog(publish, monkeypatch):
    monkeypatch.setenv("STYLEKIT_CATALOG", "")
    assert remote_styles() == []


def test_a_catalog_can_be_named_by_its_url(server, built_in):
    url = server.put("/deep/catalog.json", catalog(style()).encode())
    assert names(remote_styles([url])) == ["wave"]
    assert server.asked == ["/deep/catalog.json"]


def test_the_environment_can_name_a_url(server, built_in, monkeypatch):
    monkeypatch.setenv("STYLEKIT_CATALOG", server.put("/catalog.json", catalog(style()).encode()))
    assert names(remote_styles()) == ["wave"]


@pytest.mark.parametrize(
    ("url", "path"),
    [("wave.onnx", "/deep/wave.onnx"), ("files/wave.onnx", "/deep/files/wave.onnx"), ("/wave.onnx", "/wave.onnx")],
)
def test_urls_are_relative_to_the_catalogs_own(server, built_in, url, path):
    source = server.put("/deep/catalog.json", catalog(style(url=url)).encode())
    assert remote_styles([source])[0].url == server.address + path


def test_urls_are_relative_to_a_catalog_on_hugging_face_too(server, built_in, monkeypatch):
    monkeypatch.setattr("stylekit.downloads.addresses.HUGGING_FACE", server.address)
    server.put("/user/repo/resolve/main/catalog.json", catalog(style(url="files/wave.onnx")).encode())
    (entry,) = remote_styles(["hf://user/repo/catalog.json"])
    assert entry.url == f"{server.address}/user/repo/resolve/main/files/wave.onnx"


def test_the_newest_version_of_a_catalog_counts(server, built_in):
    url = server.put_all("/catalog.json", *(Page(catalog(style(name)).encode()) for name in ("old", "new")))
    assert names(remote_styles([url])) == ["old"]
    assert names(remote_styles([url])) == ["new"]


@pytest.mark.parametrize("fault", ["offline", "busy", "gone", "a web page", "no catalog", "no server"])
def test_the_last_copy_is_used_if_no_newer_can_be_downloaded(built_in, monkeypatch, server, fault):
    url = server.put("/catalog.json", catalog(style()).encode())
    remote_styles([url])
    match fault:
        case "offline":
            monkeypatch.setenv("STYLEKIT_OFFLINE", "1")
        case "busy":
            server.put("/catalog.json", status=503)
        case "gone":
            server.put("/catalog.json", status=404)
        case "a web page":
            server.put("/catalog.json", b"<!doctype html>Sign in")
        case "no catalog":
            server.put("/catalog.json", b"oops")
        case "no server":
            monkeypatch.setattr("requests.Session.get", refuse)
    assert names(remote_styles([url])) == ["wave"]
    assert len(list((cache_dir() / "catalogs").iterdir())) == 1


def test_a_catalog_that_cannot_be_downloaded_is_an_error(server, built_in):
    with pytest.raises(CatalogError, match="404") as caught:
        remote_styles([server.address + "/catalog.json"])
    assert server.address in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "url", ["http://example.org/catalog.json", "file:///etc/passwd", "ftp://127.0.0.1/catalog.json"]
)
def test_a_catalog_at_an_unsafe_url_is_refused(built_in, url):
    with pytest.raises(CatalogError, match="only https:// and hf://"):
        remote_styles([url])


def test_a_catalog_that_is_too_long_is_refused(server, built_in):
    with pytest.raises(CatalogError, match="larger than"):
        remote_styles([server.put("/catalog.json", b" " * 4_000_001)])


def test_a_missing_catalog_is_an_error_that_names_it(built_in):
    with pytest.raises(CatalogError, match=r"absent\.json does not exist"):
        remote_styles(["absent.json"])


def test_a_folder_is_not_a_catalog(built_in, tmp_path):
    with pytest.raises(CatalogError, match="Cannot read"):
        remote_styles([str(tmp_path)])


MALFORMED = {
    "nothing": "",
    "not JSON": "{",
    "not text": b"\xff\xfe\x00",
    "too deep": "[" * 100_000,
    "a number too long": '{"format": ' + "9" * 5000 + "}",
    "a list": "[]",
    "null": "null",
    "no format": json.dumps({"styles": []}),
    "another format": json.dumps({"format": "stylekit-catalog-2", "styles": []}),
    "no styles": json.dumps({"format": "stylekit-catalog-1"}),
    "styles that are not a list": json.dumps({"format": "stylekit-catalog-1", "styles": {"wave": style()}}),
    "a style that is not an object": catalog("wave"),
    "a style that is null": catalog(None),
    **{f"no {key}": catalog(without(key)) for key in ("name", "url", "sha256", "size")},
    **{
        f"a {key} that is not text": catalog(style(**{key: 1831})) for key in ("name", "url", "sha256", "title", "year")
    },
    "a title that is null": catalog(style(title=None)),
    "a name that leaves the folder": catalog(style("../wave")),
    "an absolute name": catalog(style("/tmp/wave")),
    "a hidden name": catalog(style(".wave")),
    "a name of two lines": catalog(style("wave\nfake")),
    "an empty name": catalog(style("")),
    "a short hash": catalog(style(sha256="0" * 63)),
    "a hash of other letters": catalog(style(sha256="g" * 64)),
    "an empty hash": catalog(style(sha256="")),
    **{f"the size {size}": catalog(style(size=size)) for size in (0, -1, 1.5, "1234", True, None)},
    "a size that is far too large": catalog(style(size=10**400)),
    "a URL without encryption": catalog(style(url="http://example.org/wave.onnx")),
    "the URL of a local file": catalog(style(url="file:///etc/passwd")),
    "an invalid URL": catalog(style(url="https://[::1/wave.onnx")),
    "a URL of two lines": catalog(style(url="ftp://example.org/\nfake")),
    "a bad style after a good one": catalog(style(), style("other", size=0)),
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("by", ["file", "address"])
def test_a_malformed_catalog_is_one_clear_line(server, built_in, tmp_path, content, by):
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "catalog.json").write_bytes(content)
    url = server.put("/catalog.json", content)
    source = url if by == "address" else str(tmp_path / "catalog.json")
    with pytest.raises(CatalogError) as caught:
        remote_styles([source])
    assert source in caught.value.message
    assert "\n" not in caught.value.message


def test_a_catalog_file_has_no_relative_urls(publish):
    with pytest.raises(CatalogError, match="only https:// and hf://"):
        remote_styles([publish(style(url="wave.onnx"))])


RULES = {
    "name": "up to 64 lower-case letters, digits, '-' and '_', beginning with a letter or digit",
    "url": "an https:// or hf:// URL, or a URL relative to the catalog",
    "sha256": "64 lower-case hexadecimal digits",
    "size": "1 to 500,000,000 bytes",
    "title": "text",
}


@pytest.mark.parametrize("field", RULES)
@pytest.mark.parametrize("value", [None, "", 0, "missing"], ids=str)
def test_an_error_says_which_style_it_is_and_what_is_expected(publish, field, value):
    wrong = without(field) if value == "missing" else style(**{field: value})
    if field == "title" and value in ("", "missing"):
        assert len(remote_styles([publish(style(), wrong)])) == 1
        return
    source = publish(style("first"), wrong)
    with pytest.raises(CatalogError) as caught:
        remote_styles([source])
    assert caught.value.message == f"Style 2 in the catalog {source} has no valid {field} ({RULES[field]})."


def test_what_is_not_a_catalog_is_told_apart(publish, tmp_path):
    path = tmp_path / "catalog.json"
    for content, message in {
        "[]": f"{path} is not a catalog: its format is not 'stylekit-catalog-1'.",
        '{"format": "other", "styles": []}': f"{path} is not a catalog: its format is not 'stylekit-catalog-1'.",
        '{"format": "stylekit-catalog-1"}': f"The catalog {path} has no list of styles.",
        '{"format": "stylekit-catalog-1", "styles": {}}': f"The catalog {path} has no list of styles.",
        catalog("wave"): f"Style 1 in the catalog {path} is not a JSON object.",
    }.items():
        path.write_text(content)
        with pytest.raises(CatalogError) as caught:
            remote_styles([str(path)])
        assert caught.value.message == message


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_catalogs_in_other_encodings_of_unicode_are_read(publish, encoding):
    path = Path(publish())
    path.write_text(catalog(style(title="神奈川沖浪裏")), encoding=encoding)
    assert remote_styles([str(path)])[0].credits.title == "神奈川沖浪裏"


def test_the_documented_schema_is_that_of_the_code():
    write = "Path('docs/catalog.schema.json').write_text(catalog_schema())"
    imports = "from pathlib import Path; from stylekit.styles.catalog_format import catalog_schema"
    assert DOCUMENTED_SCHEMA.read_text() == catalog_schema(), f'run: python -c "{imports}; {write}"'


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/wave.onnx", "https://localhost/wave.onnx"])
def test_a_remote_catalog_cannot_list_files_on_this_machine(server, built_in, monkeypatch, url):
    content = catalog(style(url=url))
    assert names(remote_styles([server.put("/catalog.json", content.encode())])) == ["wave"]
    monkeypatch.setattr("stylekit.styles.catalog.fetch", lambda source, path, **_: path.write_text(content))
    with pytest.raises(CatalogError, match="only https:// and hf://"):
        remote_styles(["https://example.org/catalog.json"])


def test_the_command_says_what_is_wrong_with_a_catalog(stylekit, built_in, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    code, out, err = stylekit("styles", "list", "--catalog", tmp_path / "bad.json")
    assert (code, out) == (1, "")
    assert err.splitlines()[0] == f"error: The catalog {tmp_path}/bad.json is not JSON."
    code, out, _ = stylekit("styles", "list", "--catalog", tmp_path / "bad.json", "--json")
    assert (code, json.loads(out)["error"]["type"]) == (1, "CatalogError")


def test_the_list_shows_where_each_style_is(stylekit, place, publish):
    for where in ("own", "bundled", "cached"):
        place(where, f"a-{where}")
    code, out, err = stylekit("styles", "list", "--catalog", publish(style(title="The Wave", artist="Hokusai")))
    head, *rows = out.splitlines()
    assert (code, err) == (0, "")
    assert head.split() == ["NAME", "WHERE", "PAINTING", "PAINTER", "YEAR"]
    assert [row.split()[:2] for row in rows] == [
        ["a-bundled", "bundled"],
        ["a-cached", "cached"],
        ["a-own", "own"],
        ["wave", "remote"],
    ]
    assert rows[3].split()[2:] == ["The", "Wave", "Hokusai"]


@pytest.mark.parametrize(
    ("folders", "seen"),
    [(["own", "bundled", "cached"], "own"), (["bundled", "cached"], "bundled"), (["cached"], "cached"), ([], "remote")],
)
def test_the_list_leaves_out_what_is_hidden(place, publish, folders, seen):
    for where in folders:
        place(where, "wave")
    (entry,) = list_styles([publish(style(title="of remote"))])
    assert (entry.name, entry.where, entry.credits.title) == ("wave", seen, f"of {seen}")


def test_the_list_as_json_says_how_to_get_a_remote_style_and_where_a_local_one_is(stylekit, place, publish):
    path = place("cached", "a")
    code, out, _ = stylekit("styles", "list", "--catalog", publish(style(artist="Hokusai")), "--json")
    local, remote = json.loads(out)["styles"]
    assert code == 0
    assert (local["name"], local["where"], local["path"]) == ("a", "cached", str(path))
    assert local["size"] == path.stat().st_size
    assert (remote["name"], remote["where"], remote["path"]) == ("wave", "remote", None)
    assert (remote["artist"], remote["url"], remote["size"]) == ("Hokusai", "https://example.org/wave.onnx", 1234)


def test_several_catalogs_can_be_named(stylekit, publish):
    sources = publish(style("a"), file="a.json"), publish(style("b"), file="b.json")
    _, out, _ = stylekit("styles", "list", "--catalog", sources[0], "--catalog", sources[1])
    assert [row.split()[0] for row in out.splitlines()[1:]] == ["a", "b"]


def test_a_title_cannot_break_the_table_or_command_the_terminal(stylekit, publish):
    _, out, _ = stylekit("styles", "list", "--catalog", publish(style(title="The\nWave \x1b[2J")))
    assert len(out.splitlines()) == 2
    assert "\x1b" not in out
