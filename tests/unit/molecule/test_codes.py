"""The code of a template is made once for all tasks, and anew where it depends on more than the text."""

import importlib.util
import pathlib

import jinja2
import pytest

PATH = pathlib.Path(__file__).resolve().parents[3] / "molecule/shared/strategy/codes.py"


@pytest.fixture
def codes(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("codes", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path / "codes")
    monkeypatch.setattr(jinja2.Environment, "compile", jinja2.Environment.compile)
    for place in (module._collection_finder, module.ansible_mitogen.module_finder):
        monkeypatch.setattr(place, "compile", compile, raising=False)
    monkeypatch.setattr(module.mitogen.minify, "minimize_source", module.mitogen.minify.minimize_source)
    module.keep()
    return module


def files(codes):
    return len(list(codes.FOLDER.glob("*")))


@pytest.mark.parametrize(
    ("text", "count"),
    [("{{ a + 1 }}", 1), ("{{ known_names | join }}", 1), ("{{ [1, 2] | random }}", 0), ("{{ '/etc' is exists }}", 0), ("{{ '/etc' is not directory }}", 0)],
)
def test_a_text_is_compiled_once_unless_it_asks_for_more(codes, text, count):
    for _time in range(2):
        environment = jinja2.Environment()
        environment.filters["random"] = environment.tests["exists"] = environment.tests["directory"] = bool
        assert environment.compile(text).co_filename == "<template>"
        assert files(codes) == count


def test_the_same_text_of_another_syntax_is_another_template(codes):
    for options in ({}, {"variable_start_string": "[["}, {"trim_blocks": True}):
        jinja2.Environment(**options).compile("[[ a }}{{ a }}")
    assert files(codes) == 3


def test_an_expression_has_its_value(codes):
    for _time in range(2):
        assert jinja2.Environment().compile_expression("a * 2")(a=21) == 42


def test_what_was_half_written_is_made_anew(codes):
    jinja2.Environment().compile("{{ a }}")
    (path,) = codes.FOLDER.glob("*")
    path.write_bytes(path.read_bytes()[:20])
    assert jinja2.Environment().from_string("{{ a }}").render(a=1) == "1"


def test_a_plugin_is_compiled_once_and_another_one_of_its_name_too(codes):
    for text, count in (("a = 1", 1), ("a = 1", 1), ("a = 2", 2)):
        code = codes._collection_finder.compile(source=text, filename="plugin.py", mode="exec", flags=0, dont_inherit=True)
        found = {}
        exec(code, found)
        assert (found["a"], code.co_filename, files(codes)) == (int(text[-1]), "plugin.py", count)


def test_what_a_host_is_sent_is_shortened_once(codes):
    for _time in range(2):
        assert codes.mitogen.minify.minimize_source("a = 1\n\n# three\nb = 2\n").split() == "a = 1 b = 2".split()
        assert files(codes) == 1
