"""What is bad about an input, told to Moodle: one JSON line, its status, one sentence, and no harm to the model."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fixtures.backend import (
    MODELID,
    QUICK,
    TARGET,
    answer,
    course_rows,
    end,
    environment,
    names,
    run,
    sentence,
    simulated,
    snapshot,
    start,
    write_labelled,
    write_unlabelled,
)
from moodlemlbackend.storage.model_store import ModelStore
from moodlemlbackend.storage.stored_model import read_model, write_model

LIMITS = (0.7, 0.05, 10)
NAMES = "a,b"
HEAD = f'nfeatures,targetcolumn,targettype,targetclasses\n2,"{TARGET}",discrete,"[0,1]"\n'
LABELLED = f'{HEAD}{NAMES},"{TARGET}"\n'
UNLABELLED = f"{HEAD}sampleid,{NAMES}\n"
GENERAL, NO_DATASET, NOT_ENOUGH = 1, 2, 8


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory of a model with two columns, a and b, which every bad input must leave as it is."""
    folder = tmp_path_factory.mktemp("model") / "execution"
    dataset = folder.parent / "good"
    dataset.write_text(LABELLED + "1,0,1\n-1,0.5,0\n1,0.25,1\n-1,-0.3,0\n" * 3)
    answer(run("training", MODELID, folder, dataset))
    return folder


@pytest.fixture
def in_force(trained):
    """The same; after the test the model must be as it was, and in use."""
    before = snapshot(trained / "classifier")
    yield trained
    assert snapshot(trained / "classifier") == before
    shutil.rmtree(trained / "logs", ignore_errors=True)


def place(folder: Path, content: str | bytes | None) -> Path:
    path = folder / "tempup_oCTEkC"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def call(module: str, outputdir: Path, dataset: object, **options) -> subprocess.CompletedProcess[bytes]:
    return run(module, MODELID, outputdir, dataset, *(LIMITS if module == "evaluation" else ()), **options)


# ---- data sets ----

ROWS = "1,0,1\n-1,0,0\n"

LABELLED_FILES = {
    "no file": (None, NO_DATASET, r"There is no data set file .*tempup_oCTEkC"),
    "empty": ("", NO_DATASET, r"tempup_oCTEkC is empty"),
    "one header row": ("nfeatures\n", GENERAL, r"ends after row 1"),
    "two header rows": (HEAD, GENERAL, r"ends after row 2"),
    "no sample": (LABELLED, NO_DATASET, r"has no samples"),
    "metadata that do not match": (LABELLED.replace("2,", "2,7,", 1) + ROWS, GENERAL, r"Rows 1 and 2"),
    "no nfeatures": (LABELLED.replace("nfeatures", "features") + ROWS, GENERAL, r"has no nfeatures"),
    "nfeatures no number": (LABELLED.replace("\n2,", "\ntwo,") + ROWS, GENERAL, r"nfeatures in row 2 .* 'two'"),
    "no feature columns": (
        LABELLED.replace("\n2,", "\n0,").replace(NAMES + ",", "") + "1\n0\n",
        GENERAL,
        r"nfeatures in row 2 .* '0'; use a positive",
    ),
    "nfeatures of other columns": (
        LABELLED.replace("\n2,", "\n3,") + ROWS,
        GENERAL,
        r"Row 3 of .* names 3 columns, but nfeatures in row 2 is 3",
    ),
    "unreadable targetclasses": (LABELLED.replace('"[0,1]"', "[0;1") + ROWS, GENERAL, r"targetclasses in row 2"),
    "a row too short": (LABELLED + ROWS + "1,1\n", GENERAL, r"Row 6 of .* has 2 cells but must have 3"),
    "a row too long": (LABELLED + ROWS + "1,1,1,1\n", GENERAL, r"Row 6 of .* has 4 cells but must have 3"),
    "text": (LABELLED + ROWS + "1,many,1\n", GENERAL, r"Row 6 of .*, column 2 \(b\) holds 'many'"),
    "nan": (LABELLED + ROWS + "nan,1,1\n", GENERAL, r"Row 6 of .*, column 1 \(a\) holds 'nan'"),
    "inf": (LABELLED + ROWS + "1,-inf,1\n", GENERAL, r"Row 6 of .*, column 2 \(b\) holds '-inf'"),
    "a number out of range": (LABELLED + ROWS + "1,1e39,1\n", GENERAL, r"Row 6 of .*, column 2 \(b\) holds '1e39'"),
    "another class": (LABELLED + ROWS + "1,1,2\n", GENERAL, r"Row 6 of .* holds '2', which is not among the targetcl"),
    "no class": (LABELLED + ROWS + "1,1,\n", GENERAL, r"Row 6 of .* has no class"),
    "NUL": (LABELLED + "1,0,1\n-1,\0,0\n", GENERAL, r"Row 5 of .* has a NUL byte"),
    "an endless line": (LABELLED + "1" * (100 << 20), GENERAL, r"Row 4 of .* has no line break within 16 MiB"),
    "another encoding": (LABELLED.replace("a,", "\xe9,").encode("latin-1") + b"1,0,1\n", GENERAL, r"not UTF-8"),
    "UTF-16": ((LABELLED + ROWS).encode("utf-16"), GENERAL, r"UTF-16"),
    "a prediction file": (UNLABELLED + "1-0,1,0\n", GENERAL, r"is a prediction file"),
    "damaged gzip": (b"\x1f\x8b\x08\0damaged", GENERAL, r"gzip"),
}


@pytest.mark.parametrize("case", LABELLED_FILES)
def test_a_labelled_file(in_force, tmp_path, case):
    content, status, expected = LABELLED_FILES[case]
    dataset = place(tmp_path, content)
    runs = [
        start("training", MODELID, in_force, dataset),
        start("evaluation", MODELID, in_force, dataset, *LIMITS),
    ]
    for one in runs:
        assert re.search(expected, sentence(end(one), status))


UNLABELLED_FILES = {
    "no file": (None, NO_DATASET, r"There is no data set file .*tempup_oCTEkC"),
    "empty": ("", NO_DATASET, r"is empty"),
    "no sample": (UNLABELLED, NO_DATASET, r"has no samples"),
    "a row too short": (UNLABELLED + "1-0,1,1\n2-0,1\n", GENERAL, r"Row 5 of .* has 2 cells but must have 3"),
    "text": (UNLABELLED + "1-0,1,1\n2-0,x,1\n", GENERAL, r"Row 5 of .*, column 2 \(a\) holds 'x'"),
    "the same sample id": (UNLABELLED + "1-0,1,1\n2-0,1,1\n1-0,0,0\n", GENERAL, r"Rows 4 and 6 .* sample id '1-0'"),
    "no sample id": (UNLABELLED + ",1,1\n", GENERAL, r"Row 4 of .* has no sample id"),
    "other columns": (UNLABELLED.replace(NAMES, "a,c") + "1-0,1,1\n", GENERAL, r"column 2 was 'b' and is 'c'"),
    "more columns": (
        UNLABELLED.replace("\n2,", "\n3,").replace(NAMES, "a,b,c") + "1-0,1,1,1\n",
        GENERAL,
        r"trained on 2 columns but .* has 3",
    ),
    "other classes": (UNLABELLED.replace("[0,1]", "[0,1,2]") + "1-0,1,1\n", GENERAL, r"for the classes 0, 1, but"),
    "a labelled file": (LABELLED + ROWS, GENERAL, r"is a labelled data set"),
}


@pytest.mark.parametrize("case", UNLABELLED_FILES)
def test_an_unlabelled_file(in_force, tmp_path, case):
    content, status, expected = UNLABELLED_FILES[case]
    assert re.search(expected, sentence(call("prediction", in_force, place(tmp_path, content)), status))


TOO_LITTLE = {
    "one sample": ("1,0,1\n", r"no sample of class 0 among 1 sample"),
    "two of one class": ("1,0,1\n-1,0,1\n", r"no sample of class 0 among 2 samples"),
    "all cells empty": (",,1\n,,0\n,,0\n,,1\n", r"All cells of the 4 samples are empty"),
}


@pytest.mark.parametrize("case", TOO_LITTLE)
def test_too_little_to_learn_from(tmp_path, case):
    rows, expected = TOO_LITTLE[case]
    dataset = place(tmp_path, LABELLED + rows)
    assert re.search(expected, sentence(call("training", tmp_path / "model", dataset), NOT_ENOUGH))
    assert not (tmp_path / "model" / "classifier" / "current").exists()
    sentence(call("evaluation", tmp_path / "model", dataset), NOT_ENOUGH)


def test_a_class_without_a_sample(tmp_path):
    dataset = place(tmp_path, LABELLED.replace("[0,1]", "[0,1,2]") + ROWS * 5)
    for module in ("training", "evaluation"):
        assert "no sample of class 2 among 10" in sentence(call(module, tmp_path / "model", dataset), NOT_ENOUGH)


def test_constant_columns_are_told_and_no_fault(tmp_path):
    dataset = place(tmp_path, LABELLED + "1,,1\n1,,0\n1,,0\n1,,1\n" * 3)
    expected = "None of the 2 indicator columns varies between the samples"
    reply = answer(call("training", tmp_path / "model", dataset))
    assert reply["status"] == 0
    assert expected in reply["info"][0]
    unlabelled = place(tmp_path, UNLABELLED + "1-0,1,\n2-0,,\n3-0,-1,0.2\n")
    assert len(answer(call("prediction", tmp_path / "model", unlabelled))["predictions"]) == 3


def test_windows_line_ends_are_no_fault(tmp_path):
    rows = LABELLED + "1,0,1\n-1,0.5,0\n" * 5
    for number, content in enumerate((rows, rows.replace("\n", "\r\n"))):
        answer(call("training", tmp_path / str(number), place(tmp_path, content)))
    dataset = place(tmp_path, (UNLABELLED + "1-0,1,0\n2-0,-1,0.5").replace("\n", "\r\n"))
    predictions = [answer(call("prediction", tmp_path / str(number), dataset))["predictions"] for number in range(2)]
    assert predictions[0] == predictions[1]
    assert [label for _, label, _ in predictions[0]] == ["1", "0"]


@pytest.mark.parametrize(
    ("content", "status"),
    [(None, NO_DATASET), (LABELLED + ROWS + "1,nan,1\n", GENERAL), (LABELLED + "1,1,0\n", NOT_ENOUGH)],
)
def test_the_default_processor_says_the_same(tmp_path, content, status):
    """TensorFlow is being imported in a thread when the fault is found."""
    dataset = place(tmp_path, content)
    for module in ("training", "evaluation"):
        result = call(module, tmp_path / "model", dataset, env=environment())
        assert sentence(result, status) == sentence(call(module, tmp_path / "model", dataset), status)


# ---- arguments and directories ----

IDS = ["../../etc", "a/b", "", ".", "a b", "x" * 129, "caf\xe9", "-"]


@pytest.mark.parametrize("modelid", IDS)
def test_an_id_that_is_none(in_force, tmp_path, modelid):
    before = set(tmp_path.rglob("*"))
    arguments = {
        "training": ("x",),
        "prediction": ("x",),
        "evaluation": ("x", *LIMITS),
        "export": ("x",),
        "import": ("x",),
    }
    for module, rest in arguments.items():
        text = sentence(run(module, modelid, in_force, *rest, env=environment(**QUICK, LANG="C.UTF-8")), GENERAL)
        assert text.startswith(f"The model id {modelid[:80]!r} cannot be used")
    assert set(tmp_path.rglob("*")) == before
    if modelid == IDS[0]:
        assert not list(in_force.parent.parent.glob("etc"))


def directories(tmp_path):
    """Calls that write to an output directory, and one that only reads it."""
    labelled = place(tmp_path, LABELLED + ROWS * 5)
    unlabelled = tmp_path / "unlabelled"
    unlabelled.write_text(UNLABELLED + "1-0,1,0\n")
    return labelled, unlabelled


@pytest.mark.parametrize("below", ["", "execution"])
def test_an_output_directory_that_is_a_file(tmp_path, below):
    labelled, unlabelled = directories(tmp_path)
    (tmp_path / "file").write_text("mine")
    outputdir = tmp_path / "file" / below
    for module, dataset in (("training", labelled), ("evaluation", labelled), ("prediction", unlabelled)):
        text = sentence(call(module, outputdir, dataset), GENERAL)
        assert re.search(rf"{re.escape(str(tmp_path / 'file'))}.*there is a file where a directory is needed", text)
    assert "there is a file" in sentence(run("export", MODELID, outputdir, tmp_path / "x"), GENERAL)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_output_directory(tmp_path):
    labelled, _ = directories(tmp_path)
    assert "No output directory is given" in sentence(run("training", MODELID, "", labelled), GENERAL)


def mounted(*options: str, folder: Path) -> list[str]:
    """The start of a command that sees ``folder`` mounted with these options; skips the test where that cannot be."""
    script = (
        'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'
        if options == ("ro",)
        else (f'mount -t tmpfs -o {options[0]} tmpfs "$0"')
    )
    prefix = ["unshare", "--mount", "sh", "-c", f'{script} && exec "$@"', str(folder)]
    try:
        possible = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        possible = False
    if not possible:
        pytest.skip("this user cannot mount a file system")
    return prefix


def read_only(folder: Path) -> list[str]:
    """Make a folder read-only; the start of a command that sees it so."""
    if os.geteuid() == 0:
        return mounted("ro", folder=folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return []


def test_a_read_only_output_directory(trained, tmp_path):
    labelled, unlabelled = directories(tmp_path)
    outputdir = tmp_path / "execution"
    shutil.copytree(trained, outputdir)
    prefix = read_only(outputdir)
    for module in ("training", "evaluation"):
        text = sentence(call(module, outputdir, labelled, prefix=prefix), GENERAL)
        assert re.search(
            rf"Cannot use {re.escape(str(outputdir))}.*: (Read-only file system|Permission denied); ", text
        )
    reply = answer(call("prediction", outputdir, unlabelled, prefix=prefix))
    assert len(reply["predictions"]) == 1, "a prediction writes nothing"
    exported = run("export", MODELID, outputdir, tmp_path / "export", prefix=prefix)
    assert exported.stdout.decode() == f"{tmp_path / 'export'}\n"
    text = sentence(run("export", MODELID, outputdir, outputdir / "export", prefix=prefix), GENERAL)
    assert str(outputdir / "export") in text
    text = sentence(run("import", MODELID, outputdir, tmp_path / "export", prefix=prefix), GENERAL)
    assert str(outputdir) in text


def test_a_full_disk(tmp_path):
    data = simulated(courses=6, students=40)
    dataset = write_labelled(tmp_path / "training", data.features, data.labels)
    outputdir = tmp_path / "disk"
    outputdir.mkdir()
    prefix = mounted("size=64k", folder=outputdir)
    text = sentence(call("training", outputdir, dataset, prefix=prefix), GENERAL)
    assert re.search(rf"Cannot use {re.escape(str(outputdir))}.*: No space left on device; free some space there", text)


def test_a_disk_too_full_for_figures_does_not_cost_the_verdict(trained, tmp_path):
    labelled, _ = directories(tmp_path)
    outputdir = tmp_path / "disk"
    outputdir.mkdir()
    prefix = mounted("size=64k", folder=outputdir)
    reply = answer(run("evaluation", MODELID, outputdir, labelled, *LIMITS, trained, prefix=prefix))
    assert (reply["status"], reply["score"]) == (0, 1)
    (text,) = reply["info"]
    assert re.search(r"Some figures of this run are missing\. Cannot use .*: No space left on device; free some", text)


def test_a_disk_that_is_full_before_the_run_starts(tmp_path):
    labelled, _ = directories(tmp_path)
    outputdir = tmp_path / "disk"
    outputdir.mkdir()
    prefix = mounted("nr_inodes=2", folder=outputdir)
    for module in ("training", "evaluation"):
        assert "No space left on device" in sentence(call(module, outputdir, labelled, prefix=prefix), GENERAL)


# ---- models ----


def test_a_damaged_model(trained, tmp_path):
    labelled, unlabelled = directories(tmp_path)
    outputdir = tmp_path / "execution"
    shutil.copytree(trained, outputdir)
    (weights,) = outputdir.glob("classifier/v*/arrays.safetensors")
    content = bytearray(weights.read_bytes())
    stored = ModelStore(outputdir).current()
    assert stored is not None
    content[content.index(stored.array("weights").tobytes())] ^= 4
    weights.write_bytes(content)
    expected = rf"{re.escape(str(weights))} .* the checksum of its array weights differs; restore it from a backup, or"
    damaged = snapshot(outputdir / "classifier")
    results = [
        call("prediction", outputdir, unlabelled),
        call("training", outputdir, labelled),
        run("export", MODELID, outputdir, tmp_path / "export"),
        run("evaluation", MODELID, tmp_path / "other", labelled, *LIMITS, outputdir),
    ]
    for result in results:
        assert re.search(expected, sentence(result, GENERAL))
    assert snapshot(outputdir / "classifier") == damaged
    assert not (tmp_path / "export" / "manifest.json").exists()


def test_a_foreign_model_directory(tmp_path):
    labelled, unlabelled = directories(tmp_path)
    (tmp_path / "execution" / "classifier").mkdir(parents=True)
    (tmp_path / "execution" / "classifier" / "photos.zip").write_text("mine")
    for module, dataset in (("training", labelled), ("prediction", unlabelled)):
        text = sentence(call(module, tmp_path / "execution", dataset), GENERAL)
        assert "has no trained model but photos.zip; move these" in text
    assert (tmp_path / "execution" / "classifier" / "photos.zip").read_text() == "mine"


def test_a_model_trained_on_other_columns(in_force, tmp_path):
    features, labels = course_rows(20)
    labelled = write_labelled(tmp_path / "labelled", features, labels)
    results = [
        call("training", in_force, labelled),
        run("evaluation", MODELID, tmp_path / "other", labelled, *LIMITS, in_force),
        call("prediction", in_force, write_unlabelled(tmp_path / "unlabelled", features)),
    ]
    for result in results:
        assert re.search(
            r"trained on 2 columns but .*labelled has 5; use data with the " "same", sentence(result, GENERAL)
        )
    renamed = write_labelled(tmp_path / "renamed", features[:, :2], labels, columns=["a", names(1)[0]])
    assert "column 2 was 'b'" in sentence(call("training", in_force, renamed), GENERAL)


def test_nothing_to_export_or_import(in_force, tmp_path):
    text = sentence(run("export", MODELID, tmp_path / "untrained", tmp_path / "export"), GENERAL)
    assert text == f"There is no trained model in {tmp_path / 'untrained'} to export; train it first."
    assert str(tmp_path / "nowhere") in sentence(run("import", MODELID, in_force, tmp_path / "nowhere"), GENERAL)
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in sentence(run("import", MODELID, in_force, tmp_path / "empty"), GENERAL)


def test_a_damaged_import(in_force, trained, tmp_path):
    run("export", MODELID, trained, tmp_path / "export")
    manifest, weights = (tmp_path / "export" / name for name in ("manifest.json", "arrays.safetensors"))
    for path in (manifest, weights):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        assert str(path) in sentence(run("import", MODELID, in_force, tmp_path / "export"), GENERAL)
        path.unlink()
        assert str(path) in sentence(run("import", MODELID, in_force, tmp_path / "export"), GENERAL)
        path.write_bytes(content)
    manifest.write_text(manifest.read_text().replace("logistic_regression", "logistic_progression"))
    assert str(manifest) in sentence(run("import", MODELID, in_force, tmp_path / "export"), GENERAL)


def test_an_import_that_cannot_predict(in_force, trained, tmp_path):
    run("export", MODELID, trained, tmp_path / "export")
    exported = read_model(tmp_path / "export")
    write_model(
        tmp_path / "forged",
        exported.processor,
        {**exported.settings, "threshold": 10**400},
        exported.arrays(*exported.specs),
    )
    text = sentence(run("import", MODELID, in_force, tmp_path / "forged"), GENERAL)
    assert str(tmp_path / "forged") in text


def test_an_import_that_is_a_pickle_runs_nothing(in_force, tmp_path):
    """A classifier.pkl that would make a file, were it unpickled."""
    made = tmp_path / "made"
    code = f"import os; os.mkdir({str(made)!r})"
    pickle = b"\x80\x02cbuiltins\nexec\nX" + len(code).to_bytes(4, "little") + code.encode() + b"\x85R."
    for folder in (tmp_path / "import", tmp_path / "execution" / "classifier"):
        folder.mkdir(parents=True)
        (folder / "classifier.pkl").write_bytes(pickle)
    text = sentence(run("import", MODELID, in_force, tmp_path / "import"), GENERAL)
    assert "'builtins.exec', which is not allowed" in text
    labelled, unlabelled = directories(tmp_path)
    for module, dataset in (("prediction", unlabelled), ("training", labelled)):
        assert "builtins.exec" in sentence(call(module, tmp_path / "execution", dataset), GENERAL)
    assert not made.exists()


# ---- surroundings ----


@pytest.mark.parametrize("home", [None, "/nowhere/at/all"])
def test_without_a_home_or_a_writable_working_directory(trained, tmp_path, home):
    labelled, unlabelled = directories(tmp_path)
    (tmp_path / "cwd").mkdir()
    options = {"env": environment(**{**QUICK, "HOME": home}), "prefix": read_only(tmp_path / "cwd")}
    options["cwd"] = tmp_path / "cwd"
    assert answer(call("training", tmp_path / "model", labelled, **options))["status"] == 0
    assert answer(call("prediction", trained, unlabelled, **options))["status"] == 0
    rating = run("evaluation", MODELID, tmp_path / "evaluation", labelled, *LIMITS, trained, **options)
    assert answer(rating)["status"] == 0


def test_a_working_directory_that_is_gone(trained, tmp_path):
    _, unlabelled = directories(tmp_path)
    (tmp_path / "gone").mkdir()
    prefix = ["sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', str(tmp_path / "gone")]
    assert answer(call("prediction", trained, unlabelled, prefix=prefix))["status"] == 0


def test_a_closed_standard_input(trained, tmp_path):
    labelled, unlabelled = directories(tmp_path)
    closed = ["sh", "-c", 'exec "$0" "$@" <&-']
    assert answer(call("training", tmp_path / "model", labelled, prefix=closed))["status"] == 0
    assert answer(call("prediction", trained, unlabelled, prefix=closed))["status"] == 0
    for module in ("training", "prediction", "evaluation"):
        text = sentence(call(module, trained, "-", prefix=closed), NO_DATASET)
        assert re.search(r"[Ss]tandard input is (closed|empty)", text)


def test_paths_that_are_not_ascii(tmp_path):
    folder = tmp_path / "Überblick – 学习"
    folder.mkdir()
    labelled, unlabelled = directories(folder)
    env = environment(**QUICK, LANG="C")
    assert answer(call("training", folder / "modèle", labelled, env=env))["status"] == 0
    assert answer(call("prediction", folder / "modèle", unlabelled, env=env))["status"] == 0
    rating = run("evaluation", MODELID, folder / "école", labelled, *LIMITS, folder / "modèle", env=env)
    assert Path(answer(rating)["dir"]).is_relative_to(folder / "école")
    exported = run("export", MODELID, folder / "modèle", folder / "ex port", env=env)
    assert exported.stdout.decode() == f"{folder / 'ex port'}\n"
    odd = Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe"))
    assert run("import", "other", odd, folder / "ex port", env=env).stdout == b"Ok\nOk\n"
    assert answer(call("prediction", odd, unlabelled, env=env))["status"] == 0
    text = sentence(call("training", folder / "modèle", folder / "nö", env=env), NO_DATASET)
    assert text == f"There is no data set file {folder / 'nö'}; check the path."
    assert "\\xff\\xfe/none; check the path" in sentence(call("training", folder, odd / "none", env=env), NO_DATASET)


def test_sigterm_at_any_moment_leaves_one_line_and_the_model(in_force, tmp_path):
    dataset = place(tmp_path, LABELLED + ROWS * 100_000)  # never trained on before the last signal comes
    times = np.linspace(0.1, 0.7, 6)
    processes = []
    for seconds in times:
        process = start("training", MODELID, in_force, dataset, env=environment())
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
        processes.append(end(process))
    for result in processes:
        assert result.stderr == b""
        if result.returncode != -signal.SIGTERM:  # before the guard stood
            assert "Signal SIGTERM stopped" in sentence(result, GENERAL)
    assert sum(result.returncode == 1 for result in processes) >= 4


def test_a_setting_that_is_not_allowed(tmp_path):
    labelled, _ = directories(tmp_path)
    env = environment(**{**QUICK, "MOODLEMLBACKEND_SEED": "many"})
    text = sentence(call("training", tmp_path / "model", labelled, env=env), GENERAL)
    assert text.startswith("The environment variable MOODLEMLBACKEND_SEED is 'many'; allowed: ")
    env = environment(MOODLEMLBACKEND_PROCESSOR="forest")
    text = sentence(call("training", tmp_path / "model", labelled, env=env), GENERAL)
    assert text.startswith("There is no processor 'forest'; choose one of neural_network, logistic_regression")
