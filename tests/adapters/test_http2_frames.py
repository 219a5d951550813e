import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as some

from include.adapters import http2_frames as http2
from include.adapters.http2_frames import Frame, FrameReader, Kind, ProtocolError

FRAMES = some.lists(
    some.builds(
        Frame,
        some.sampled_from(Kind).map(int),
        some.integers(0, 255),
        some.integers(0, 2**31 - 1),
        some.binary(max_size=200),
    ),
    max_size=8,
)
NAMES = some.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=300).map(str.encode)
VALUES = some.text(some.characters(min_codepoint=32, max_codepoint=126), max_size=300).map(
    lambda text: text.strip().encode()
)


@given(FRAMES, some.lists(some.integers(1, 40)))
def test_frames_come_out_whole_however_their_bytes_were_cut(frames, cuts):
    """Cut anywhere, also within a head: the same frames in the same order."""
    content = b"".join(http2.frame(Kind(f.kind), f.flags, f.stream, f.payload) for f in frames)
    reader, found = FrameReader(), []
    for size in cuts:
        part, content = content[:size], content[size:]
        found += reader.read(part)
    found += reader.read(content)
    assert found == frames


def test_a_frame_longer_than_allowed_is_an_error_before_it_is_whole():
    """Nobody collects what a server may not send."""
    head = http2.frame(Kind.DATA, 0, 1, bytes(http2.FRAME_BYTES + 1))[: http2.HEAD_BYTES]
    with pytest.raises(ProtocolError, match="16385 bytes"):
        list(FrameReader().read(head))


@given(some.binary(max_size=100), some.integers(1, 30), some.booleans())
def test_a_body_is_cut_and_only_its_last_frame_ends_the_stream(body, size, is_last):
    """What a reader joins is the body."""
    frames = list(FrameReader().read(http2.data_frames(7, body, size, is_last=is_last)))
    assert body == b"".join(each.payload for each in frames)
    assert all(len(each.payload) <= size and each.stream == 7 for each in frames)
    ends = [each.flags & http2.END_STREAM for each in frames]
    assert ends == [0] * (len(frames) - 1) + [int(is_last)]


@given(NAMES, VALUES)
def test_our_headers_are_what_another_decoder_reads(name, value):
    """Of every length, those that take several bytes to say included."""
    found = Decoder().decode(http2.literal(name, value), raw=True)
    assert [(name, value)] == [(bytes(key), bytes(text)) for key, text in found]


@given(some.lists(some.tuples(NAMES, VALUES), max_size=5))
def test_headers_without_a_table_are_read_whatever_their_encoder_chose(headers):
    """Huffman or not; the update that takes the table away comes first."""
    encoder = Encoder()
    encoder.header_table_size = 0
    block = encoder.encode(headers)
    assert {name.decode(): value.decode() for name, value in headers} == http2.headers_of(block)


def test_headers_that_are_none_are_an_error():
    """A reference to a table that is not there."""
    with pytest.raises(ProtocolError, match="cannot be decoded"):
        http2.headers_of(b"\xfe")


@pytest.mark.parametrize(
    ("flags", "payload", "content"),
    [
        (0, b"abc", b"abc"),
        (http2.PADDED, b"\x02abc\0\0", b"abc"),
        (http2.PADDED | http2.PRIORITY, b"\x01" + b"12345" + b"abc\0", b"abc"),
        (http2.PRIORITY, b"12345abc", b"abc"),
    ],
)
def test_padding_and_priority_are_left_out(flags, payload, content):
    """RFC 9113, 6.2."""
    assert content == http2.content_of(Frame(Kind.HEADERS, flags, 1, payload))


@pytest.mark.parametrize("payload", [b"", b"\x05abc", b"\x03abc"[:2]])
def test_padding_longer_than_its_frame_is_an_error(payload):
    """Also where the frame is too short to say how long."""
    with pytest.raises(ProtocolError, match="padded"):
        http2.content_of(Frame(Kind.DATA, http2.PADDED, 1, payload))
