"""Event files, read back with what TensorBoard itself reads them with."""

from __future__ import annotations

import io
import re
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.util.tensor_util import make_ndarray

from fixtures.backend import TARGET, Backend, course_rows, simulated
from moodlemlbackend.report.tensorboard import EventWriter, roc_points

SPLITS = 3
EPOCH = {"loss", "mcc", "auc", "held_out_loss", "held_out_mcc", "held_out_auc", "learning_rate"}
PICTURES = {"roc-curve", "confusion-matrix"}
FIGURES = ("mcc", "auc", "accuracy", "balanced accuracy", "precision", "recall", "f1_score")


class Board:
    """What TensorBoard shows of a folder of event files."""

    def __init__(self, folder: Path) -> None:
        self.multiplexer = EventMultiplexer(tensor_size_guidance={}, purge_orphaned_data=True)
        self.multiplexer.AddRunsFromDirectory(str(folder))
        self.multiplexer.Reload()
        self.provider = MultiplexerDataProvider(self.multiplexer, str(folder))
        self.where = {"ctx": RequestContext(), "experiment_id": ""}

    def scalars(self, run: str) -> dict[str, dict[int, float]]:
        """The curves of a run: by tag, the value of each step."""
        found = self.provider.read_scalars(**self.where, plugin_name="scalars", downsample=10_000)
        return {tag: {datum.step: datum.value for datum in data} for tag, data in found.get(run, {}).items()}

    def histograms(self, run: str) -> dict[str, np.ndarray]:
        """(buckets, 3) of each tag."""
        return self.tensors(run, "histograms")

    def tensors(self, run: str, plugin: str) -> dict[str, np.ndarray]:
        found = self.provider.read_tensors(**self.where, plugin_name=plugin, downsample=10_000)
        return {tag: data[-1].numpy for tag, data in found.get(run, {}).items()}

    def images(self, run: str) -> dict[str, np.ndarray]:
        found = self.provider.read_blob_sequences(**self.where, plugin_name="images", downsample=10)
        pictures = {}
        for tag, data in found.get(run, {}).items():
            _, _, blob = data[-1].values
            content = self.provider.read_blob(ctx=self.where["ctx"], blob_key=blob.blob_key)
            pictures[tag] = matplotlib.image.imread(io.BytesIO(content))
        return pictures

    def hyperparameters(self, run: str) -> dict[str, object]:
        tags = self.multiplexer.PluginRunToTagToContent(hparams.PLUGIN_NAME)[run]
        session = hparams.parse_session_start_info_plugin_data(tags[hparams.SESSION_START_INFO_TAG])
        return {name: getattr(value, value.WhichOneof("kind")) for name, value in session.hparams.items()}

    def experiment(self, run: str) -> tuple[set[str], set[str]]:
        """Names of the hyperparameters and of the metrics."""
        tags = self.multiplexer.PluginRunToTagToContent(hparams.PLUGIN_NAME)[run]
        experiment = hparams.parse_experiment_plugin_data(tags[hparams.EXPERIMENT_TAG])
        return {info.name for info in experiment.hparam_infos}, {info.name.tag for info in experiment.metric_infos}


@pytest.fixture(scope="module", params=["neural_network", "logistic_regression"])
def evaluated(request, tmp_path_factory):
    """The result of an evaluation, and the board of its run."""
    data = simulated()
    backend = Backend(tmp_path_factory.mktemp("run"), request.param)
    result = backend.evaluate(data.features, data.labels, iterations=SPLITS)
    return request.param, result, Board(Path(result["dir"]) / "tensor")


def test_every_split_is_a_run(evaluated):
    _, _, board = evaluated
    assert set(board.multiplexer.Runs()) == {".", *(f"split-{number + 1}" for number in range(SPLITS))}


def test_figures_of_the_splits_average_to_the_result(evaluated):
    _, result, board = evaluated
    for name in FIGURES:
        values = [board.scalars(f"split-{number + 1}")[f"held out/{name}"] for number in range(SPLITS)]
        assert all(list(value) == [0] for value in values)
        assert np.mean([value[0] for value in values]) == pytest.approx(result[name], abs=1e-6)


def test_figures_in_new_and_in_seen_courses(tmp_path):
    data = simulated(courses=10)
    result = Backend(tmp_path, "logistic_regression").evaluate(
        data.features, data.labels, iterations=SPLITS, columns=list(data.columns)
    )
    board = Board(Path(result["dir"]) / "tensor")
    whole = board.scalars(".")
    for name in FIGURES:
        assert whole[f"in courses it has seen/{name}"][0] == pytest.approx(result["seen"][name], abs=1e-6)
    [text] = board.tensors(".", "text")["what to expect"].ravel()
    assert f"| Score | {result['score']:.3f} | {result['seen']['score']:.3f} |" in text.decode()


def test_the_course_of_each_training(evaluated):
    name, _, board = evaluated
    for number in range(SPLITS):
        curves = {tag: points for tag, points in board.scalars(f"split-{number + 1}").items() if "training/" in tag}
        if name == "logistic_regression":
            assert not curves, "it has no epochs"
            continue
        assert set(curves) == {f"training/{figure}" for figure in EPOCH}
        for points in curves.values():
            assert list(points) == list(range(len(points)))
            assert len(points) >= 6
        losses = list(curves["training/loss"].values())
        assert losses[-1] < losses[0]
        assert curves["training/auc"][len(losses) - 1] > 0.5


def test_the_run_as_a_whole_has_the_mean_of_its_splits(evaluated):
    name, result, board = evaluated
    whole = board.scalars(".")
    splits = [board.scalars(f"split-{number + 1}") for number in range(SPLITS)]
    tags = [tag for tag in whole if tag.startswith(("training/", "held out/"))]
    assert len([tag for tag in tags if tag.startswith("training/")]) == (len(EPOCH) if name == "neural_network" else 0)
    assert whole["held out/mcc"][0] == pytest.approx(result["mcc"], abs=1e-5)
    for tag in tags:
        for step, value in whole[tag].items():
            assert value == pytest.approx(np.mean([split[tag][step] for split in splits]), abs=1e-5)


def test_histograms_of_the_weights(evaluated):
    name, _, board = evaluated
    expected = {"w1", "b1", "w2", "b2", "w3", "b3", "linear", "linear_bias", "blend"}
    for number in range(SPLITS):
        found = board.histograms(f"split-{number + 1}")
        assert set(found) == {
            f"weights/{one}" for one in (expected if name == "neural_network" else {"weights", "bias"})
        }
        for buckets in found.values():
            assert (buckets[:, 0] <= buckets[:, 1]).all()
            assert (buckets[1:, 0] == buckets[:-1, 1]).all()
    if name == "neural_network":
        assert found["weights/w2"][:, 2].sum() == 4 * 32 * 32


def test_roc_curves(evaluated):
    _, result, board = evaluated
    areas = []
    for number in range(SPLITS):
        (points,) = (points for tag, points in board.scalars(f"split-{number + 1}").items() if tag.startswith("roc"))
        assert list(points) == list(range(0, 101, 5))
        shares = np.array(list(points.values()))
        assert (np.diff(shares) >= 0).all()
        assert shares[-1] == 1
        areas.append(np.mean(shares[1:] + shares[:-1]) / 2)
    assert np.mean(areas) == pytest.approx(result["auc"], abs=0.03)


def test_precision_recall_curves(evaluated):
    _, _, board = evaluated
    positives = 0
    for run in (*(f"split-{number + 1}" for number in range(SPLITS)), "."):
        (data,) = board.tensors(run, "pr_curves").values()
        assert data.shape == (6, 127)
        hits, false_alarms, rejections, misses, precision, recall = data
        assert len(set(hits + misses)) == len(set(false_alarms + rejections)) == 1
        assert (np.diff(recall) <= 0).all()
        assert recall[0] == 1
        np.testing.assert_allclose(recall, hits / (hits + misses), rtol=1e-6)
        said = hits + false_alarms
        np.testing.assert_allclose(precision[said > 0], (hits / np.maximum(said, 1))[said > 0], rtol=1e-6)
        if run == ".":
            assert hits[0] == positives, "the run as a whole has the rows of all splits"
        positives += hits[0]


def test_pictures(evaluated):
    _, result, board = evaluated
    pictures = board.images(".")
    assert set(pictures) == PICTURES
    for name, pixels in pictures.items():
        np.testing.assert_array_equal(pixels, matplotlib.image.imread(Path(result["dir"]) / f"{name}.png"))
        assert pixels.shape[1] == 630, "8 cm at 200 dots per inch"
        colours = np.unique(np.round(pixels[::5, ::5, :3].reshape(-1, 3), 1), axis=0)
        assert len(colours) > 10, "curves, grid and text"


def test_settings_of_the_run(evaluated):
    name, result, board = evaluated
    data = simulated()
    settings = board.hyperparameters(".")
    assert settings == {
        "processor": name,
        "seed": 7,
        "rows": len(data.labels),
        "columns": data.features.shape[1],
        "score": "mcc",
        "split": "row",
        "time splitting": r"\core\analytics\time_splitting\quarters",
        "target": TARGET,
    }
    names, metrics = board.experiment(".")
    assert names == set(settings)
    scalars = board.scalars(".")
    assert metrics == {"score", "mcc", "auc", "f1_score", "balanced accuracy", "threshold"}
    assert all(scalars[metric][0] == pytest.approx(result[metric], abs=1e-5) for metric in metrics - {"threshold"})
    (text,) = board.tensors(".", "text").values()
    table = text.item().decode()
    assert f"| samples | {len(data.labels)} |" in table
    assert f"| processor | {name} |" in table
    assert re.search(r"\| empty cells \| \d+\.\d% \|", table)


def test_a_training_shows_its_course(tmp_path):
    data = simulated()
    backend = Backend(tmp_path, "neural_network")
    backend.train(data.features, data.labels)
    (folder,) = (backend.outputdir("model") / "logs").glob("*/tensor")
    board = Board(folder)
    assert set(board.multiplexer.Runs()) == {"."}
    scalars = board.scalars(".")
    losses = scalars["training/loss"]
    assert list(losses) == list(range(len(losses)))
    assert len(losses) >= 6
    assert 0 < scalars["threshold"][0] < 1
    assert board.hyperparameters(".")["processor"] == "neural_network"


def test_rating_a_trained_model_has_curves_and_no_training(tmp_path):
    backend = Backend(tmp_path, "logistic_regression")
    backend.train(*course_rows(30))
    other = Backend(tmp_path, "neural_network")
    board = Board(Path(other.evaluate(*course_rows(30), trained="model")["dir"]) / "tensor")
    assert set(board.multiplexer.Runs()) == {".", "split-1"}
    assert not any(tag.startswith("training/") for tag in board.scalars("split-1"))
    assert board.scalars("split-1")["held out/mcc"][0] == 1
    assert board.hyperparameters(".")["processor"] == "logistic_regression", "that of the model, not the chosen one"


def test_samples_of_one_class_have_curves_too(tmp_path):
    backend = Backend(tmp_path, "logistic_regression")
    features, labels = course_rows(30)
    backend.train(features, labels)
    result = backend.evaluate(features[labels == 0], labels[labels == 0], trained="model")
    assert result["accuracy"] == 1
    assert np.isnan(result["auc"])
    assert (Path(result["dir"]) / "roc-curve.png").stat().st_size > 1000
    assert "rated" in (Path(result["dir"]) / "report.html").read_text("utf-8")
    board = Board(Path(result["dir"]) / "tensor")
    assert np.isnan(board.scalars(".")["auc"][0])


def test_a_file_is_framed_with_checksums_from_its_first_record_on(tmp_path):
    with EventWriter(tmp_path) as events:
        for step in range(5):
            events.scalars({"curve": step / 2}, step)
    (path,) = tmp_path.iterdir()
    first, *others = EventFileLoader(str(path)).Load()
    assert first.file_version == "brain.Event:2"
    values = [float(make_ndarray(event.summary.value[0].tensor)) for event in others]
    assert values == [0, 0.5, 1, 1.5, 2]


def test_points_of_a_roc_curve():
    scores, labels = np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, False, True, False])
    points = dict(roc_points(scores, labels))
    assert (points[0], points[50], points[100]) == (0.5, 1, 1)
