"""Makes a WebM file long by a hole in its middle, for seeks that have a browser ask for a range.

The elements and their numbers: RFC 8794 (EBML) and RFC 9559 (Matroska)."""

import os

INFO, TRACKS, CLUSTER, CUES, VOID = 0x1549A966, 0x1654AE6B, 0x1F43B675, 0x1C53BB6B, 0xEC
SEGMENT, TIMESTAMP = 0x18538067, 0xE7
CUE_POINT, CUE_TIME, CUE_TRACK_POSITIONS, CUE_TRACK, CUE_CLUSTER_POSITION = 0xBB, 0xB3, 0xB7, 0xF7, 0xF1


def elements(data, at=0, end=None):
    """(number, position, payload's position, end) of each element of data[at:end]."""
    end = len(data) if end is None else end
    while at < end:
        id_length = 9 - data[at].bit_length()
        size_at = at + id_length
        size_length = 9 - data[size_at].bit_length()
        payload_at = size_at + size_length
        size = int.from_bytes(data[size_at:payload_at], "big") & ((1 << 7 * size_length) - 1)
        yield int.from_bytes(data[at:size_at], "big"), at, payload_at, payload_at + size
        at = payload_at + size


def head(number, size):
    return number.to_bytes((number.bit_length() + 7) // 8, "big") + (size | 1 << 56).to_bytes(8, "big")


def element(number, *payload):
    payload = b"".join(payload)
    return head(number, len(payload)) + payload


def number_of(value):
    return value.to_bytes(8, "big")


def cue(time, position):
    return element(CUE_POINT, element(CUE_TIME, number_of(time)),
                   element(CUE_TRACK_POSITIONS, element(CUE_TRACK, number_of(1)),
                           element(CUE_CLUSTER_POSITION, number_of(position))))


def stretch(source, target, hole):
    """Writes the video of the file `source` to `target`, with `hole` bytes of nothing before the second
    half of its clusters, and cues at the beginning that lead past it. Returns where the second half
    starts. On most file systems the hole takes no space."""
    with open(source, "rb") as file:
        data = file.read()
    segment = next(found for found in elements(data) if found[0] == SEGMENT)
    children = list(elements(data, segment[2], segment[3]))
    front = b"".join(data[at:end] for number, at, _, end in children if number in (INFO, TRACKS))
    clusters = [(data[at:end], int.from_bytes(data[time_at:time_end], "big"))
                for number, at, payload_at, end in children if number == CLUSTER
                for name, _, time_at, time_end in elements(data, payload_at, end) if name == TIMESTAMP]
    half = len(clusters) // 2
    gap = head(VOID, hole)

    # All numbers take eight bytes: what the cues take does not depend on what they say.
    at = len(front) + len(element(CUES, *(cue(time, 0) for _, time in clusters)))
    cues = []
    for index, (cluster, time) in enumerate(clusters):
        at += len(gap) + hole if index == half else 0
        cues.append(cue(time, at))
        at += len(cluster)
    with open(target, "wb") as file:
        file.write(data[:segment[1]] + head(SEGMENT, at) + front + element(CUES, *cues))
        file.write(b"".join(cluster for cluster, _ in clusters[:half]) + gap)
        file.seek(hole, os.SEEK_CUR)
        second_half_at = file.tell()
        file.write(b"".join(cluster for cluster, _ in clusters[half:]))
    return second_half_at
