"""Two servers on one base in S3, which moto's server plays."""

from __future__ import annotations

import io
import os
import zipfile

from fixtures.backend import MODELID, course_rows, write_labelled, write_unlabelled
from fixtures.object_stores import BUCKET, needs_moto
from fixtures.paths import posix
from fixtures.servers import EVALUATION, HASH, evaluate, predict, send, served, train

pytestmark = [needs_moto, posix]


def test_a_model_trained_by_one_server_is_used_by_the_other(s3, tmp_path):
    features, labels = course_rows(40)
    labelled = write_labelled(tmp_path / "labelled", features, labels)
    unlabelled = write_unlabelled(tmp_path / "unlabelled", features)
    amazon = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    base = f"s3://{BUCKET}/two-servers"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with (
        served(tmp_path / "one", DIRECTORY=base, TMPDIR=str(tmp_path / "one"), **amazon) as one,
        served(tmp_path / "two", DIRECTORY=base, TMPDIR=str(tmp_path / "two"), **amazon) as two,
        one.client() as first,
        two.client() as second,
    ):
        assert predict(second, unlabelled).json()["status"] == 2
        assert train(first, labelled).json()["status"] == 0
        before = predict(second, unlabelled).json()
        assert (before["status"], before) == (0, predict(first, unlabelled).json())
        assert train(second, write_labelled(tmp_path / "more", features, 1 - labels)).json()["status"] == 0
        assert predict(first, unlabelled).json() != before

        result = evaluate(first, labelled).json()
        assert result["status"] == 0
        where = {"uniqueid": MODELID, "dirhash": EVALUATION, "runid": str(result["runid"])}
        log = second.get("/evaluationlog", params=where)
        assert log.status_code == 200
        with zipfile.ZipFile(io.BytesIO(log.content)) as archive:
            assert "roc-curve.png" in archive.namelist()
        assert f"/models/{MODELID}/{HASH}" in second.get("/").text
        assert "<circle" in second.get(f"/models/{MODELID}/{EVALUATION}").text

        assert send(second, "deletemodel", uniqueid=MODELID).text == "Ok"
        assert predict(first, unlabelled).json()["status"] == 2
        secrets = (amazon["AWS_SECRET_ACCESS_KEY"], str(tmp_path))
        assert not any(secret in str(one.log) + str(two.log) for secret in secrets)
