"""The supervisor of every command: real processes, as Moodle starts them."""

from __future__ import annotations

import array
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from fixtures.paths import ROOT, posix
from fixtures.processes import is_alive

PREAMBLE = """
import os, signal, sys, time
from pathlib import Path
from moodlemlbackend.errors import *
from moodlemlbackend.runtime import supervisor
from moodlemlbackend.runtime.supervisor import run_command, take_arguments
from moodlemlbackend.runtime.run import Run
supervisor.LAST_RESORT_SECONDS = int(os.environ.get("LAST_RESORT", "60"))  # on a loaded machine 3 are not enough
folder = Path(sys.argv[1])
"""
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}


def command(body: str, folder: Path) -> list[str]:
    """Return a process's arguments that runs ``body`` as the command's function ``call(reporter)``."""
    function = "def call(reporter):\n" + textwrap.indent(textwrap.dedent(body), "    ")
    return [sys.executable, "-c", f"{PREAMBLE}\n{function}\nsys.exit(run_command('training', call))", str(folder)]


def run(body: str, folder: Path, shell: str = "", **options) -> subprocess.CompletedProcess[bytes]:
    arguments = command(body, folder)
    if shell:
        arguments = ["sh", "-c", f'exec "$@" {shell}', "sh", *arguments]
    options = {"env": ENVIRONMENT, "stdin": subprocess.DEVNULL, "timeout": 120, "capture_output": True} | options
    return subprocess.run(arguments, check=False, **options)


def answer(result: subprocess.CompletedProcess[bytes]) -> dict:
    """Return the one JSON object of a run, whose exit code must be its status and whose stderr must be empty."""
    assert result.stderr == b""
    assert result.stdout.endswith(b"\n")
    assert result.stdout.count(b"\n") == 1
    reply = json.loads(result.stdout)
    assert result.returncode == reply["status"]
    return reply


def failure(result: subprocess.CompletedProcess[bytes], status: int = 1) -> str:
    reply = answer(result)
    assert reply["status"] == status
    assert reply["runid"].isdigit()
    assert reply["errors"] == reply["info"]
    (text,) = reply["info"]
    return text


def the_log(folder: Path) -> str:
    (log,) = folder.glob("logs/*/info.log")
    return log.read_text()


# ---- results ----


def test_an_object_is_one_line_and_its_status_the_exit_code(tmp_path):
    assert answer(run("return {'status': 12, 'info': ['é']}", tmp_path)) == {"status": 12, "info": ["é"]}


def test_a_text_is_printed_as_it_is_with_exit_code_0(tmp_path):
    result = run("return '/tmp/caf\\udce9 b'", tmp_path)
    assert (result.stdout, result.stderr, result.returncode) == (b"/tmp/caf\xe9 b\n", b"", 0)


@pytest.mark.parametrize("text", ["", " ", "a\\nb"])
def test_a_text_that_is_not_one_line_is_a_failure(tmp_path, text):
    assert "Moodle reads a single line" in failure(run(f"return '{text}'", tmp_path))


def test_numbers_and_characters_that_php_cannot_read_are_replaced(tmp_path):
    body = """
    import numpy as np
    return {"status": np.int64(0), "auc": float("nan"), "row": (np.float32("inf"), np.arange(2)), "dir": folder / "x",
            "bad": ["a\\udcff", {"\\ud83d": 1}], "emoji": "\\N{SNAKE}"}
    """
    reply = answer(run(body, tmp_path))
    assert reply == {
        "status": 0,
        "auc": None,
        "row": [None, [0, 1]],
        "dir": str(tmp_path / "x"),
        "bad": ["a\\udcff", {"\\ud83d": 1}],
        "emoji": "🐍",
    }


def test_a_result_without_a_status_is_a_failure(tmp_path):
    assert "KeyError" in failure(run("return {'info': []}", tmp_path))
    assert "TypeError" in failure(run("return {'status': 0, 'info': {1, 2}}", tmp_path))


def test_a_line_of_many_megabytes_arrives_whole(tmp_path):
    reply = answer(run("return {'status': 0, 'predictions': [[str(i), '1', '0.9'] for i in range(300_000)]}", tmp_path))
    assert len(reply["predictions"]) == 300_000


@pytest.mark.parametrize("count", [0, 1, 1024, 5000])
def test_an_iterator_becomes_an_array_as_its_list_would(count, tmp_path):
    body = f"return {{'status': 0, 'predictions': KIND(['é', float('nan'), i] for i in range({count})), 'z': 1}}"
    streamed, listed = (run(body.replace("KIND", kind), tmp_path) for kind in ("iter", "list"))
    assert streamed.stdout == listed.stdout
    assert len(answer(streamed)["predictions"]) == count


def test_nothing_of_an_array_that_breaks_off_is_left(tmp_path):
    body = """
        def items():
            yield from map(str, range(5000))
            raise DataSetError("Row 5001 is damaged.")
        return {"status": 0, "predictions": items()}
    """
    assert failure(run(body, tmp_path)) == "Row 5001 is damaged."


# ---- other output ----


def test_what_libraries_print_goes_to_the_log_alone(tmp_path):
    body = """
    import ctypes, subprocess, warnings
    Run.start(folder, reporter)
    os.write(1, b"from fd 1\\n"); os.write(2, b"from fd 2\\n")
    print("from print"); print("from print to stderr", file=sys.stderr)
    subprocess.run(["sh", "-c", "echo from a child; echo from its stderr >&2"])
    libc = ctypes.CDLL(None); libc.puts(b"from C"); libc.fflush(None)
    warnings.warn("from warnings")
    sys.stdout.flush()
    return {"status": 0}
    """
    answer(run(body, tmp_path))
    log = the_log(tmp_path)
    for text in (
        "from fd 1",
        "from fd 2",
        "from print",
        "from print to stderr",
        "from a child",
        "from its stderr",
        "from C",
        "from warnings",
    ):
        assert text in log


def test_output_at_exit_cannot_follow_the_line(tmp_path):
    body = """
    import atexit
    atexit.register(os.write, 1, b"late\\n"); atexit.register(print, "later")
    return {"status": 0}
    """
    answer(run(body, tmp_path))


def test_much_library_output_is_bounded_in_the_log(tmp_path):
    body = """
    Run.start(folder, reporter)
    for _ in range(300):
        os.write(1, b"x" * 99_999 + b"\\n")
    os.write(1, b"the end\\n")
    return {"status": 0}
    """
    answer(run(body, tmp_path))
    log = the_log(tmp_path)
    assert len(log) < 100_000
    assert "the end" in log


@posix
def test_progress_is_seen_at_a_terminal_only(tmp_path):
    body = """
        for done in range(21):
            reporter.progress("Training", done, 40)
        reporter.message("half way")
        return {"status": 0}
    """
    answer(run(body, tmp_path))
    terminal, other_end = pty.openpty()
    result = run(body, tmp_path, capture_output=False, stdout=subprocess.PIPE, stderr=other_end)
    os.close(other_end)
    *bars, last, message, rest = os.read(terminal, 65536).decode().replace("\r\n", "\r").split("\r")
    assert all("Training" in bar for bar in (*bars, last))
    assert " 50%" in last
    assert (message, rest) == ("half way", "")
    os.close(terminal)
    assert json.loads(result.stdout) == {"status": 0}


# ---- descriptors and environment ----


@posix
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])
def test_closed_or_full_standard_streams(tmp_path, closed):
    body = """
    file = (folder / "data").open("w")
    assert file.fileno() > 2
    print("noise"); print("noise", file=sys.stderr); sys.stdin.read() if sys.stdin else None
    os.write(1, b"noise"); os.write(2, b"noise")
    return {"status": 8}
    """
    result = run(body, tmp_path, shell=closed)
    assert result.returncode == 8
    lost = ">&-" in closed.split() or closed == ">/dev/full"
    assert result.stdout == (b"" if lost else b'{"status": 8}\n')
    reason = b"it is closed" if closed == ">&-" else b"No space left on device"
    told = closed in (">&-", ">/dev/full")  # where there is a standard error to tell it on
    assert result.stderr.startswith(b"Standard output cannot be written to: " + reason if told else b"")
    assert result.stderr.count(b"\n") == told


@posix
@pytest.mark.parametrize("closed", [">&-", ">/dev/full"])
def test_a_result_that_is_lost_is_no_success(tmp_path, closed):
    assert run("return {'status': 0}", tmp_path, shell=closed).returncode == 1


@posix
def test_a_reader_that_has_gone(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    result = run("return {'status': 4, 'x': 'x' * 1_000_000}", tmp_path, capture_output=False, stdout=writer)
    os.close(writer)
    assert result.returncode == 4


@posix
def test_a_pipe_that_does_not_block(tmp_path):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    process = subprocess.Popen(
        command("return {'status': 0, 'x': 'x' * 1_000_000}", tmp_path), stdout=writer, env=ENVIRONMENT
    )
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        assert len(json.loads(file.read())["x"]) == 1_000_000
    assert process.wait() == 0


@posix
@pytest.mark.parametrize("home", [None, "/proc/1"])
def test_matplotlib_gets_a_folder_of_its_own_without_a_home(tmp_path, home):
    environment = {**ENVIRONMENT, "HOME": home, "TMPDIR": str(tmp_path)}
    environment = {key: value for key, value in environment.items() if value is not None}
    body = "return {'status': 0, 'folder': os.environ.get('MPLCONFIGDIR'), 'backend': os.environ['MPLBACKEND']}"
    reply = answer(run(body, tmp_path, env=environment))
    folder = Path(reply["folder"])
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert reply["backend"] == "Agg"
    folder.chmod(0o777)
    assert answer(run(body, tmp_path, env=environment))["folder"] is None


def test_the_environment_of_the_caller_stays(tmp_path):
    body = """
    names = ("TF_CPP_MIN_LOG_LEVEL", "TF_USE_LEGACY_KERAS", "TF_ENABLE_ONEDNN_OPTS", "CUDA_VISIBLE_DEVICES",
             "MPLCONFIGDIR")
    return {"status": 0, "values": [os.environ.get(name) for name in names]}
    """
    assert answer(run(body, tmp_path))["values"] == ["3", "1", None, None, None]
    theirs = {**ENVIRONMENT, "TF_CPP_MIN_LOG_LEVEL": "0", "MPLCONFIGDIR": "/x"}
    assert answer(run(body, tmp_path, env=theirs))["values"] == ["0", "1", None, None, "/x"]


def test_the_supervisor_is_light():
    code = (
        "import sys; from moodlemlbackend.runtime import supervisor\n"
        "supervisor.run_command('x', lambda _: ' '.join(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, check=True)
    modules = set(result.stdout.decode().split())
    assert "moodlemlbackend.runtime.supervisor" in modules
    assert not modules & {"numpy", "logging", "tempfile", "subprocess", "threading", "moodlemlbackend.runtime.run"}


# ---- failures ----


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("NotTrainedError('Provided model have not been trained yet')", 2),
        ("NotEnoughDataError('Provided model have not been trained yet')", 8),
        ("ModelError('Provided model have not been trained yet')", 1),
    ],
)
@pytest.mark.parametrize("lazy", [True, False])
def test_an_expected_error_is_told_word_for_word(tmp_path, error, status, lazy):
    text = failure(run(f"Run.start(folder, reporter, lazy={lazy}); raise {error}", tmp_path), status)
    assert text == "Provided model have not been trained yet"
    assert lazy or text in the_log(tmp_path)
    assert not lazy or not any(tmp_path.iterdir())


def test_missing_arguments(tmp_path):
    names = ("modelid", "outputdir", "dataset")
    text = failure(run(f"take_arguments('training', ['1'], {names})", tmp_path))
    assert text == "Missing arguments: training needs modelid, outputdir, dataset, but got only 1 of 3."
    taken = run(f"return {{'status': 0, 'got': take_arguments('x', list('abcde'), {names}, ['more'])}}", tmp_path)
    assert answer(taken)["got"] == {"modelid": "a", "outputdir": "b", "dataset": "c", "more": "d"}


def test_an_unexpected_error_names_the_log_with_the_traceback(tmp_path):
    body = """
    run = Run.start(folder, reporter, lazy=True)
    with run:
        raise ValueError("two\\nlines \\udcff")
    """
    result = run(body, tmp_path)
    text = failure(result)
    (log,) = tmp_path.glob("logs/*/info.log")
    assert text == (f"An unexpected error ended training: ValueError: two lines \\udcff. The details are in {log}")
    assert json.loads(result.stdout)["runid"] == log.parent.name
    assert log.read_text().count("Traceback (most recent call last)") == 1


def test_a_very_long_error_is_cut(tmp_path):
    assert len(failure(run("raise ValueError('x' * 100_000)", tmp_path))) < 700


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("bytearray(1 << 62)", "not enough memory"),
        ("open('/dev/full', 'w', buffering=1).write('x\\n')", "No space left on device; free some space"),
        ("open('/nowhere/x')", "Cannot use /nowhere/x: No such file"),
        ("sys.exit(0)", "A library ended training early (exit code 0)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def f(): f()\nf()", "RecursionError"),
        ("return {'status': 0, 'x': [object()]}", "TypeError"),
    ],
)
def test_other_errors_become_a_sentence(tmp_path, body, words):
    assert words in failure(run(body, tmp_path))


@posix
def test_memory_that_really_runs_out(tmp_path):
    body = """
    import resource
    Run.start(folder, reporter)
    resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))
    held = []
    while True:
        held.append(bytearray(1 << 16))
    """
    text = failure(run(body, tmp_path))
    assert "training ran out of memory: the limit on memory (address space) is 300 MB" in text


@posix
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "The operating system killed training, most likely because memory"),
        ("os.kill(os.getpid(), signal.SIGILL)", "choose the logistic_regression processor"),
        ("import ctypes; ctypes.string_at(0)", "A library crashed during training (SIGSEGV)."),
        ("os.abort()", "A library crashed during training (SIGABRT)."),
        ("os._exit(3)", "A library ended training before there was a result (exit code 3)."),
    ],
)
def test_a_crash_has_an_answer_too(tmp_path, body, words):
    text = failure(run(f"Run.start(folder, reporter).log.info('begun'); {body}", tmp_path))
    assert words in text
    assert text.endswith("info.log")
    assert words in the_log(tmp_path)
    if "SIG" in text:
        assert "Fatal Python error" in the_log(tmp_path)


# ---- signals ----

BUSY = {
    "python": "while True: pass",
    "a call in C": "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)",
    "a call in C that keeps the interpreter": "sum(range(10**13))",
    "a command that catches everything": "while True:\n    try: time.sleep(9)\n    except BaseException: pass",
    "a stopped process": "os.kill(os.getpid(), signal.SIGSTOP)",
}


def start(body: str, folder: Path, **options) -> subprocess.Popen[bytes]:
    """Start a command and wait until it says that it is busy, by making the file ``ready``."""
    arguments = command("(folder / 'ready').touch()\n" + body, folder)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT} | options
    process = subprocess.Popen(arguments, **options)
    wait_for(lambda: (folder / "ready").exists())
    return process


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def completed(process: subprocess.Popen[bytes]) -> subprocess.CompletedProcess[bytes]:
    out, error = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def is_busy(process: subprocess.Popen[bytes]) -> bool:
    """Whether its command computes, sleeps or has been stopped."""
    (child,) = psutil.Process(process.pid).children()
    before = child.cpu_times().user
    time.sleep(0.02)
    return child.status() in (psutil.STATUS_SLEEPING, psutil.STATUS_STOPPED) or child.cpu_times().user > before


@posix
def test_a_signal_ends_a_command_whatever_it_does(tmp_path):
    processes = {}
    for busy, body in BUSY.items():
        (tmp_path / busy).mkdir()
        processes[busy] = start(body, tmp_path / busy)
    for process in processes.values():
        wait_for(lambda process=process: is_busy(process))
        process.send_signal(signal.SIGTERM)
    for busy, process in processes.items():
        assert "Signal SIGTERM stopped" in failure(completed(process)), busy


@posix
def test_a_signal_that_a_library_takes_for_a_fault_of_a_file(tmp_path):
    body = """
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)
    except Exception as error:
        raise ModelError("The file cannot be used; restore it.") from error
    """
    assert "Signal SIGTERM stopped" in failure(run(body, tmp_path))


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_other_signals_to_stop_sent_to_all_processes_and_twice(tmp_path, number):
    process = start(BUSY["python"], tmp_path, start_new_session=True)
    os.killpg(process.pid, number)
    os.killpg(process.pid, number)
    assert f"Signal {number.name} stopped" in failure(completed(process))


AT_A_LINE = """
    lines = 0
    def trace(frame, event, _):
        global lines
        if "runtime" not in frame.f_code.co_filename:
            return None
        lines += event == "line"
        if lines == MOMENT:
            sys.settrace(None)
            (folder / "sent").touch()
            os.kill(os.getppid(), signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
        return trace
    perform = supervisor.perform
    def traced(*arguments):
        sys.settrace(trace)
        return perform(*arguments)
    supervisor.perform = traced
"""


@posix
def test_a_signal_at_any_moment_gives_one_line(tmp_path):
    """A line of the supervisor in the command's process sends it to both processes."""
    seen = set()
    for moment in range(1, 500, 3):
        arguments = command("return {'status': 0, 'rows': iter([1, 2])}", tmp_path)
        arguments[2] = arguments[2].replace(
            "\ndef call", textwrap.dedent(AT_A_LINE).replace("MOMENT", str(moment)) + "\ndef call"
        )
        result = subprocess.run(arguments, env=ENVIRONMENT, capture_output=True, timeout=60, check=False)
        seen.add(answer(result)["status"])
        sent = tmp_path / "sent"
        if not sent.exists():
            break
        sent.unlink()
    assert seen == {0, 1}
    assert moment > 20


@posix
def test_nohup_is_respected(tmp_path):
    process = start(
        "while not (folder / 'sent').exists(): time.sleep(0.01)\nreturn {'status': 0}",
        tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    process.send_signal(signal.SIGHUP)
    (tmp_path / "sent").touch()
    assert answer(completed(process)) == {"status": 0}


@posix
def test_a_caller_that_ignores_the_end_of_children(tmp_path):
    body = "import subprocess; return {'status': subprocess.run(['sh', '-c', 'exit 4']).returncode}"
    result = run(body, tmp_path, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert answer(result) == {"status": 4}


@posix
def test_a_stopped_worker_does_not_stop_the_command(tmp_path):
    body = """
    import multiprocessing
    fork = multiprocessing.get_context("fork")
    begun = fork.Event()
    worker = fork.Process(target=lambda: (begun.set(), time.sleep(60)))
    worker.start(); begun.wait(); worker.terminate(); worker.join()
    return {"status": 0, "worker": worker.exitcode}
    """
    assert answer(run(body, tmp_path))["worker"] != 0


@posix
def test_no_worker_is_left_behind(tmp_path):
    body = """
    import atexit, concurrent.futures, multiprocessing
    pool = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
    atexit.register((folder / "at exit").touch)
    return {"status": 0, "worker": pool.submit(os.getpid).result()}
    """
    worker = answer(run(body, tmp_path))["worker"]
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    assert (tmp_path / "at exit").exists()


@posix
def test_a_killed_supervisor_takes_its_command_along(tmp_path):
    process = start("(folder / 'pid').write_text(str(os.getpid())); time.sleep(60)", tmp_path)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    child = int((tmp_path / "pid").read_text())
    assert child != process.pid
    process.kill()
    completed(process)
    wait_for(lambda: not is_alive(child))


def unread(process: subprocess.Popen[bytes]) -> int:
    """Bytes that the process has written to its pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(process.stdout, termios.FIONREAD, count)
    return count[0]


@posix
def test_a_stopped_command_whose_output_nobody_reads_ends(tmp_path):
    process = start("return {'status': 0, 'x': 'x' * 10_000_000}", tmp_path, env={**ENVIRONMENT, "LAST_RESORT": "1"})
    wait_for(lambda: unread(process) >= 1 << 16)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == -signal.SIGALRM
    completed(process)


# ---- where there is no second process ----


@posix
@pytest.mark.parametrize(
    "without", ["del os.fork", "def fail(): raise BlockingIOError\nos.fork = fail", "del os.memfd_create"]
)
def test_without_fork_or_memory_files(tmp_path, without):
    script = "Run.start(folder, reporter); os.write(1, b'noise'); print('more'); {}"
    for body, check in (
        ("return {'status': 4}", lambda result: answer(result)["status"] == 4),
        ("raise ValueError", lambda result: "ValueError" in failure(result)),
        ("os.kill(os.getpid(), signal.SIGTERM)", lambda result: "SIGTERM" in failure(result)),
    ):
        arguments = command(script.format(body), tmp_path)
        arguments[2] = f"import os\n{without}\n{arguments[2]}"
        result = subprocess.run(arguments, env=ENVIRONMENT, capture_output=True, timeout=60, check=False)
        assert check(result)
    assert len(list(tmp_path.glob("logs/*/info.log"))) == 3
    assert all("noise" in log.read_text() for log in tmp_path.glob("logs/*/info.log"))
