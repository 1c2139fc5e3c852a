"""Hostile pickles in place of the reference's: refused in one sentence, never followed."""

import pickle
import pickletools
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moodlemlbackend.errors import ModelError
from moodlemlbackend.reference.pickled import read_attributes

SECONDS = 2  # of the processor; no input may keep the reader busy for longer
GLOBAL_TF = b"cmoodlemlbackend.model.tensor\nTF\n"
NEW_TF = b"\x80\x03" + GLOBAL_TF + b")\x81"
WRAPPER = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81"


class Run:
    """Pickled, it runs a shell command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        import os

        return os.system, (self.command,)


class Evaluate(Run):
    def __reduce__(self):
        return eval, (f"__import__('os').system({self.command!r})",)


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value


def array(shape=b"K\x01\x85", code=b"i8", order=b"<", subclass=b"cnumpy\nndarray\n", rest=b"", data=bytes(8)):
    """The instructions for one array, described as told, as joblib writes them."""
    state = b"(K\x03" + text(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    dtype = b"cnumpy\ndtype\n" + text(code) + b"\x89\x88\x87R" + state + b"b"
    wrapper = WRAPPER + b"}(" + text(b"subclass") + subclass + text(b"shape") + shape + text(b"dtype") + dtype
    return wrapper + rest + b"ub" + data


def array_pickle(**described):
    """A pickle of the reference's class with one array."""
    return NEW_TF + b"}(" + text(b"variable_columns") + array(**described) + b"ub."


ALIGNED = b"X\x1b\x00\x00\x00numpy_array_alignment_bytesK\x10"
LARGEST = b"\x8a\x09" + (2**64).to_bytes(9, "little")
HOSTILE = {
    "empty": b"",
    "only the protocol": b"\x80\x03",
    "protocol 6": b"\x80\x06" + NEW_TF[2:] + b"}b.",
    "another class of the package": b"\x80\x03cmoodlemlbackend.model.tensor\nRun\n)\x81}b.",
    "sklearn": b"\x80\x03csklearn.linear_model\nLogisticRegression\n)\x81}b.",
    "numbers as a name": b"\x80\x04K\x01K\x02\x93)\x81}b.",
    "global by extension code": b"\x80\x03\x82\x01)\x81}b.",
    "persistent id": b"\x80\x03Pid\n.",
    "binary persistent id": b"\x80\x03K\x01Q.",
    "INST": b"\x80\x03(ios\nsystem\n.",
    "OBJ": b"\x80\x03(" + GLOBAL_TF + b"o.",
    "protocol 0 text with a bad escape": b"\x80\x03S'\\q'\n.",
    "text that is no UTF-8": b"\x80\x03X\x02\x00\x00\x00\xff\xff.",
    "text longer than the file": b"\x80\x03X\xff\xff\xff\xffabc.",
    "frame longer than the file": b"\x80\x04\x95" + b"\xff" * 8 + NEW_TF[2:] + b"}b.",
    "memo index of 4 billion": NEW_TF + b"r\xff\xff\xff\xff}b.",
    "memo index never stored": b"\x80\x03h\x07.",
    "nothing on the stack": b"\x80\x03\x85.",
    "no mark": b"\x80\x03t.",
    "stop with nothing": b"\x80\x03.",
    "a plain value": b"\x80\x03K\x01.",
    "the class itself": b"\x80\x03" + GLOBAL_TF + b".",
    "the class called": b"\x80\x03" + GLOBAL_TF + b")R}b.",
    "the class with arguments": b"\x80\x03" + GLOBAL_TF + b"K\x01\x85\x81}b.",
    "no state": NEW_TF + b".",
    "state that is not a table": NEW_TF + b"K\x01b.",
    "state of slots": NEW_TF + b"N}\x86b.",
    "state of a number": b"\x80\x03K\x01}b.",
    "names that are numbers": NEW_TF + b"}K\x01K\x02sb.",
    "names without a value": NEW_TF + b"}(X\x01\x00\x00\x00aub.",
    "appended to a number": b"\x80\x03K\x01K\x02a.",
    "filled number": b"\x80\x03K\x01(K\x02K\x03u.",
    "something after the end": NEW_TF + b"}b." + b"garbage",
    "nested 9,000 tuples deep": b"\x80\x03)" + b"\x85" * 9_000 + b".",
    "larger than the limit": b"\x80\x03" + b"]" * 2**21,
    "zlib that is none": b"\x78\x9cgarbage",
    "gzip that is none": b"\x1f\x8bgarbage",
    "array of objects": array_pickle(code=b"O8", order=b"|"),
    "array of voids": array_pickle(code=b"V8"),
    "array of floats": array_pickle(code=b"f8"),
    "array without order": array_pickle(order=b"="),
    "array of a subclass": array_pickle(subclass=b"cnumpy\nmatrix\n"),
    "array of another known name": array_pickle(subclass=b"cnumpy\ndtype\n"),
    "array of a dtype that is an array": b"\x80\x03" + array() + b"K\x00K\x00\x87R.",
    "array whose class is an array": array_pickle(subclass=array()),
    "array called": b"\x80\x03" + array() + b")R.",
    "array given a state": b"\x80\x03" + array() + b"}b.",
    "array larger than the file": array_pickle(shape=b"K\x02\x85", data=bytes(8)),
    "array of 2 ** 64 numbers": array_pickle(shape=LARGEST + b"\x85"),
    "array of 2 ** 31 - 1 numbers": array_pickle(shape=b"J\xff\xff\xff\x7f\x85"),
    "array of -1 numbers": array_pickle(shape=b"J\xff\xff\xff\xff\x85"),
    "array of shape (2 ** 64, 2 ** 64)": array_pickle(shape=LARGEST + LARGEST + b"\x86"),
    "array without a shape": array_pickle(shape=b"N"),
    "array with padding past the end": array_pickle(rest=ALIGNED, data=b"\xff"),
    "wrapper without a state": b"\x80\x03" + WRAPPER + b"}b.",
}


def test_the_hand_made_array_is_admitted(tmp_path):
    """The frame of the hostile arrays is right: only what each changes is refused."""
    file = tmp_path / "classifier.pkl"
    for content in (array_pickle(), array_pickle(rest=ALIGNED, data=b"\x02\xff\xff" + bytes(8))):
        file.write_bytes(content)
        np.testing.assert_array_equal(read_attributes(file)["variable_columns"], [0])


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles_are_refused(tmp_path, case):
    file = tmp_path / "classifier.pkl"
    file.write_bytes(HOSTILE[case])
    start = time.process_time()
    with pytest.raises(ModelError, match=r"classifier\.pkl") as refusal:
        read_attributes(file)
    assert time.process_time() - start < SECONDS
    assert len(str(refusal.value)) < 400 + len(str(file))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("attack", [Run, Evaluate])
def test_no_code_of_a_pickle_runs(tmp_path, protocol, attack):
    marker, file = tmp_path / "marker", tmp_path / "classifier.pkl"
    code = pickle.dumps(attack(f"touch {marker}"), protocol)
    inner = code[2 if protocol >= 2 else 0 : -1]
    payloads = [code, NEW_TF + inner + b"b.", NEW_TF + b"}X\x01\x00\x00\x00a" + inner + b"sb.", code + NEW_TF + b"}b."]
    for payload in payloads:
        file.write_bytes(payload)
        with pytest.raises(ModelError, match=r"classifier\.pkl"):
            read_attributes(file)
    assert not marker.exists()
    pickle.loads(code)
    assert marker.exists()


@pytest.mark.parametrize("instruction", [b"\x85", b"(", b"]", b"\x94"])
def test_a_pickle_of_a_million_instructions_is_not_followed(tmp_path, instruction):
    file = tmp_path / "classifier.pkl"
    file.write_bytes(b"\x80\x04)" + instruction * 1_000_000 + b".")
    with pytest.raises(ModelError, match="more than 10,000 instructions"):
        read_attributes(file)


def test_a_bomb_is_not_unpacked(tmp_path):
    file = tmp_path / "classifier.pkl"
    file.write_bytes(zlib.compress(b"\x80\x03" + bytes(20_000_000), 9))
    with pytest.raises(ModelError, match="compressed"):
        read_attributes(file)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
@given(
    instructions=st.lists(
        st.sampled_from([opcode.code.encode("latin-1") for opcode in pickletools.opcodes])
        | st.sampled_from([GLOBAL_TF, WRAPPER, NEW_TF, b"cnumpy\nndarray\n", b"X\x01\x00\x00\x00a", b"K\x01"])
        | st.binary(min_size=1, max_size=4),
        max_size=40,
    )
)
def test_any_order_of_instructions_is_read_or_refused(tmp_path, instructions):
    file = tmp_path / "classifier.pkl"
    file.write_bytes(b"\x80\x04" + b"".join(instructions))
    try:
        read_attributes(file)
    except ModelError as error:
        assert "classifier.pkl" in str(error)  # noqa: PT017 - it may also be read
