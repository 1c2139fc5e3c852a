"""CRC-32C: the published vectors and the plain definition."""

from hypothesis import given, settings
from hypothesis import strategies as st

from moodlemlbackend.reference.checksum import crc32c


def test_published_vectors():
    """The vectors of RFC 3720, appendix B.4, and the common check value."""
    vectors = {
        b"": 0,
        b"123456789": 0xE3069283,
        bytes(32): 0x8A9136AA,
        b"\xff" * 32: 0x62A8AB43,
        bytes(range(32)): 0x46DD794E,
        bytes(reversed(range(32))): 0x113FDB5C,
    }
    assert {data: crc32c(data) for data in vectors} == vectors


@given(
    st.binary(max_size=300) | st.integers(65_530, 65_540).map(lambda size: bytes(range(256)) * 257 + bytes(size % 256))
)
@settings(max_examples=50, deadline=None, database=None)
def test_any_data_has_the_checksum_of_the_plain_definition(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    assert crc32c(data) == crc ^ 0xFFFFFFFF
