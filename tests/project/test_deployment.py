"""The files in ``deploy/`` and the image: the programs that read them take them, and they name what there is."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fixtures.paths import ROOT, posix
from fixtures.typed_lines import CHECKS, DEPLOY
from moodlemlbackend.settings.analytics import SETTINGS as ANALYTICS_SETTINGS
from moodlemlbackend.settings.loading import ANALYTICS_SECTION, SECTIONS, SERVER_SECTION

PROGRAM = "/opt/moodlemlbackend/bin/moodlemlbackend"
UNITS = sorted((DEPLOY / "systemd").iterdir())
APACHE_MODULES = ("mpm_event", "authz_core", "alias", "ssl", "socache_shmcb", "headers", "proxy", "proxy_http")


def program(name: str) -> str:
    """Where a program is, also one for root; the test is skipped without it."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if not path:
        pytest.skip(f"needs {name}")
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> dict[str, str]:
    """Paths in the files of the web servers, and those of a certificate of ours."""
    folder = tmp_path_factory.mktemp("certificate")
    made = [
        program("openssl"),
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=analytics.example.org",
    ]
    subprocess.run([*made, "-keyout", folder / "key", "-out", folder / "pem"], check=True, capture_output=True)
    return {
        "/etc/ssl/certs/analytics.example.org.pem": str(folder / "pem"),
        "/etc/ssl/private/analytics.example.org.key": str(folder / "key"),
    }


def changed(path: Path, changes: dict[str, str]) -> str:
    text = path.read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_systemd_takes_the_units(tmp_path):
    verify = program("systemd-analyze")
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    done = subprocess.run([verify, "verify", *tmp_path.iterdir()], capture_output=True, text=True)
    if re.search("Failed to (connect|initialize)|not permitted", done.stderr):
        pytest.skip("systemd-analyze cannot work here")
    assert (done.returncode, done.stderr) == (0, "")


def test_units_and_jobs_run_commands_that_there_are():
    tasks = {unit.name.partition("@")[2].partition(".")[0] for unit in UNITS if unit.suffix == ".timer"}
    assert tasks == {"train", "predict", "cleanup"}
    lines = [line for unit in UNITS for line in re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.MULTILINE)]
    assert len(lines) == 2
    jobs = [*(DEPLOY / "cron").read_text().splitlines(), *(DEPLOY / "cron-docker").read_text().splitlines()]
    lines += [job for job in jobs if not job.startswith("#")]
    for line in lines:
        words = line.partition("moodlemlbackend tasks")[2].partition(">>")[0].split() or ["serve"]
        for task in tasks if words == ["%i"] else [words[0]]:
            CHECKS["moodlemlbackend"](["serve"] if task == "serve" else ["tasks", task])


def test_the_settings_are_settings():
    pytest.importorskip("fsspec", reason="needs the extra server")
    from moodlemlbackend.settings.server import SETTINGS as SERVER_SETTINGS

    text = (DEPLOY / "moodlemlbackend.ini").read_text()
    parser = configparser.ConfigParser()
    parser.read_string(re.sub(r"^# (\w+ =)", r"\1", text, flags=re.MULTILINE))
    assert set(parser.sections()) <= set(SECTIONS)
    assert set(parser[ANALYTICS_SECTION]) <= set(ANALYTICS_SETTINGS)
    assert set(parser[SERVER_SECTION]) == {"directory", "users", "people", "proxies"} <= set(SERVER_SETTINGS)


def test_nginx_takes_its_file(tmp_path, certificate):
    (tmp_path / "site.conf").write_text(changed(DEPLOY / "nginx.conf", certificate))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {tmp_path / kind};" for kind in kinds)
    http = f"http {{ access_log off; {folders} include {tmp_path}/site.conf; }}"
    text = f"pid {tmp_path}/pid; error_log stderr; events {{}}\n{http}\n"
    (tmp_path / "nginx.conf").write_text(text)
    command = [program("nginx"), "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_apache_takes_its_file(tmp_path, certificate):
    apache = program("apache2")
    modules = Path(apache).parents[1] / "lib" / "apache2" / "modules"
    load = "".join(f"LoadModule {name}_module {modules}/mod_{name}.so\n" for name in APACHE_MODULES)
    site = changed(DEPLOY / "apache.conf", certificate)
    usual = f"ServerRoot {tmp_path}\nServerName localhost\nErrorLog {tmp_path}/log\n"
    (tmp_path / "apache.conf").write_text(f"{usual}{load}{site}")
    done = subprocess.run([apache, "-t", "-f", tmp_path / "apache.conf"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_proxies_let_pass_what_the_server_does():
    pytest.importorskip("fsspec", reason="needs the extra server")
    from moodlemlbackend.settings.server import ServerSettings

    settings = ServerSettings()
    nginx, apache = ((DEPLOY / name).read_text() for name in ("nginx.conf", "apache.conf"))
    for timeout in (*re.findall(r"proxy_read_timeout (\d+)s", nginx), *re.findall(r"ProxyTimeout (\d+)", apache)):
        assert int(timeout) > settings.time_limit
    assert f"LimitRequestBody {settings.upload_bytes}\n" in apache
    assert "client_max_body_size 1g;" in nginx
    assert nginx.count(f"http://127.0.0.1:{settings.port};") == 1
    assert apache.count(f"http://127.0.0.1:{settings.port}/") == 2
    stop = re.search(r"TimeoutStopSec=(\d+)", (DEPLOY / "systemd" / "moodlemlbackend.service").read_text())
    assert stop
    assert int(stop[1]) > settings.stop_wait


@posix
def test_logrotate_takes_its_file(tmp_path):
    import grp
    import pwd

    text = (DEPLOY / "logrotate").read_text()
    tmp_path.chmod(0o700)
    (tmp_path / "tasks.log").write_text("line\n")
    user = f"{pwd.getpwuid(os.geteuid()).pw_name} {grp.getgrgid(os.getegid()).gr_name}"
    local = text.replace("/var/log/moodlemlbackend", str(tmp_path)).replace("moodlemlbackend moodlemlbackend", user)
    (tmp_path / "logrotate").write_text(local)
    command = [program("logrotate"), "--debug", "--state", tmp_path / "state", tmp_path / "logrotate"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "error:" not in done.stderr
    assert str(tmp_path / "tasks.log") in done.stderr


def test_the_image_serves_and_runs_every_command():
    text = (ROOT / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["moodlemlbackend"]\nCMD ["serve"]\n' in text
    variables = dict(re.findall(r"(MOODLEMLBACKEND_\w+)=(\S+)", text))
    (volume,) = re.findall(r"^VOLUME (.+)$", text, re.MULTILINE)
    folders = [variables[f"MOODLEMLBACKEND_{name}"] for name in ("SERVER_DIRECTORY", "DIRECTORY")]
    assert all(folder.startswith(f"{volume}/") and f" {folder}" in text for folder in folders)
