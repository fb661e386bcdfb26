"""What a release consists of beside the code: versions, licences, wheels and workflows agree with each other."""

import re
import tomllib
from pathlib import Path

import pytest

import sklearn_cnn

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEELS = PROJECT["tool"]["cibuildwheel"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def versions_of_python(text):
    return {tuple(map(int, version.split("."))) for version in re.findall(r"\b3\.\d+\b", text)}


def test_the_version_is_the_same_everywhere():
    for path, pattern in {"meson.build": r"version: '([^']+)'", "CITATION.cff": r"^version: (.+)$"}.items():
        found = re.search(pattern, (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert found.group(1) == sklearn_cnn.__version__, path


def test_the_citation_has_what_its_format_requires():
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    keys = {line.split(":")[0] for line in lines if not line.startswith(" ")}
    assert keys >= {"cff-version", "message", "title", "authors", "license", "version"}
    assert f"license: {PROJECT['project']['license']}" in lines


def test_the_citation_keeps_to_the_schema_of_its_version():
    cffconvert = pytest.importorskip("cffconvert")
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cffconvert.Citation(text).validate()  # says nothing, or raises
    with pytest.raises(Exception, match="title"):
        cffconvert.Citation(text.replace("title:", "titel:")).validate()


def test_every_module_is_installed():
    listed = set()
    for build_file in ROOT.glob("sklearn_cnn/**/meson.build"):
        folder = build_file.parent.relative_to(ROOT)
        for line in build_file.read_text().splitlines():
            if match := re.fullmatch(r"\s*'(_?\w+)': \[", line):
                folder = build_file.parent.relative_to(ROOT) / match[1]
            listed |= {folder / name for name in re.findall(r"'(\w+\.pyi?)'", line)}
    there = {path.relative_to(ROOT) for path in ROOT.glob("sklearn_cnn/**/*.py")}
    assert there <= listed, f"missing in meson.build: {sorted(map(str, there - listed))}"


def test_there_are_wheels_for_every_python_that_is_declared():
    built = {(3, int(minor)) for minor in re.findall(r"cp3(\d+)-", " ".join(WHEELS["build"]))}
    declared = versions_of_python(" ".join(PROJECT["project"]["classifiers"]))
    assert declared <= built
    assert min(built) == min(versions_of_python(PROJECT["project"]["requires-python"]))


@pytest.mark.parametrize("system", ["linux", "macos", "windows"])
def test_wheels_of_a_release_lack_nothing(system):
    """Options that the build does not know would be an error there; here it is noticed before."""
    arguments = {**WHEELS, **WHEELS[system]}["config-settings"]["setup-args"]
    options = dict(argument.removeprefix("-D").split("=") for argument in arguments if argument.startswith("-D"))
    assert options == {"openmp": "enabled", "all_levels": "true"}
    known = re.findall(r"^option\('(\w+)'", (ROOT / "meson.options").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(options) <= set(known)


def test_wheels_are_tried_with_tests_that_exist():
    named = re.findall(r"\{project\}/(\S+)", " ".join(WHEELS["test-command"]))
    assert named
    assert all((ROOT / name).is_file() for name in named)


def test_licences_are_those_of_what_wheels_bring():
    files = {path for pattern in PROJECT["project"]["license-files"] for path in ROOT.glob(pattern)}
    assert {path.name for path in files} == {"LICENSE", "libgomp.txt", "libomp.txt"}
    words = {"libgomp.txt": "GCC RUNTIME LIBRARY EXCEPTION", "libomp.txt": "LLVM Exceptions", "LICENSE": "BSD"}
    for path in files:
        assert words[path.name] in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_name_what_is_there(path):
    text = path.read_text(encoding="utf-8")
    extras = {extra for names in re.findall(r'"\.\[([^"]+)\]"', text) for extra in names.split(",")}
    assert extras <= set(PROJECT["project"]["optional-dependencies"])
    assert all((ROOT / name).exists() for name in re.findall(r"run: (\.ci/\S+)", text))
    assert "permissions:\n  contents: read\n" in text  # nothing more, unless a job asks for it
    assert "secrets." not in text
    # a tag of another project may move; a commit cannot
    assert all(re.fullmatch(r"\S+@[0-9a-f]{40}  # v[\d.]+", use) for use in re.findall(r"uses: (.+)", text))
    oldest = min(versions_of_python(PROJECT["project"]["requires-python"]))
    assert all(version >= oldest for version in versions_of_python(" ".join(re.findall(r'python(?:-version)?: "([^"]+)"', text))))


def test_tests_run_on_three_systems():
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert {name for name in ("ubuntu", "macos", "windows") if f"system: {name}-" in text} == {"ubuntu", "macos", "windows"}


def test_every_version_in_the_changelog_says_which_bits_have_changed():
    sections = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1:]
    assert sections
    for section in sections:
        assert section.count("### Changed bits") == 1, section.splitlines()[0]


def test_wheels_are_tried_where_scikit_learn_has_wheels_only():
    """It has none for musllinux: each of those builds would compile it before its tests."""
    assert WHEELS["test-skip"] == "*-musllinux_*"


def test_the_oldest_versions_have_wheels_for_the_python_that_tries_them():
    """NumPy 2.0.0 and SciPy 1.13.0, which `.ci/run` installs, have none for Python 3.13."""
    job = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8").split("run: .ci/run")[0]
    (version,) = re.findall(r'python-version: "([^"]+)"', job)
    assert versions_of_python(version) == {min(versions_of_python(PROJECT["project"]["requires-python"]))}


def test_the_workflow_refuses_what_the_pages_say():
    text = (ROOT / ".github" / "workflows" / "wheels.yml").read_text(encoding="utf-8")
    assert "No wheel is larger than 5 MB" in text
    assert "-size +5000000c" in text  # 5000k would be 5.12 MB


@pytest.mark.parametrize("group", ["clusters", "others"])
def test_libraries_that_everything_leaves_out_have_a_job(group):
    assert group in PROJECT["dependency-groups"]
    assert f"\n{group}: .venv-{group}/installed.stamp\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"- run: make {group}\n" in (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
