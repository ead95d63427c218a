"""Compiled geometry on arrays of rectangles: which touch, and how long the outline of what they cover is.

All rectangles are rows (left, bottom, right, top) in nm.
"""

import numpy as np

from flow.compiled import SIGNOFF

BIN_NM = 4000


@SIGNOFF.jit
def find_root(parent, item):
    """The representative of a set; paths are halved on the way."""
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


@SIGNOFF.jit
def join(parent, first, second):
    """Unites two sets; the smaller number represents them."""
    first, second = find_root(parent, first), find_root(parent, second)
    if first < second:
        parent[second] = first
    elif second < first:
        parent[first] = second


@SIGNOFF.jit
def join_pairs(parent, firsts, seconds):
    """Unites many pairs."""
    for index in range(len(firsts)):
        join(parent, firsts[index], seconds[index])


@SIGNOFF.jit
def find_roots(parent):
    """The representative of every item."""
    roots = np.empty(len(parent), np.int64)
    for item in range(len(parent)):
        roots[item] = find_root(parent, item)
    return roots


@SIGNOFF.jit
def make_bins(boxes, chosen):
    """Where the chosen rectangles are: columns, first entry of each bin, entries, left and bottom."""
    left, bottom, right, top = boxes[chosen[0]]
    for index in chosen:
        left, bottom = min(left, boxes[index, 0]), min(bottom, boxes[index, 1])
        right, top = max(right, boxes[index, 2]), max(top, boxes[index, 3])
    columns, rows = (right - left) // BIN_NM + 1, (top - bottom) // BIN_NM + 1
    start = np.zeros(columns * rows + 1, np.int64)
    for index in chosen:
        x0, y0, x1, y1 = boxes[index]
        for row in range((y0 - bottom) // BIN_NM, (y1 - bottom) // BIN_NM + 1):
            for column in range((x0 - left) // BIN_NM, (x1 - left) // BIN_NM + 1):
                start[row * columns + column + 1] += 1
    start = np.cumsum(start)
    entries, place = np.empty(start[-1], np.int64), start[:-1].copy()
    for index in chosen:
        x0, y0, x1, y1 = boxes[index]
        for row in range((y0 - bottom) // BIN_NM, (y1 - bottom) // BIN_NM + 1):
            for column in range((x0 - left) // BIN_NM, (x1 - left) // BIN_NM + 1):
                entries[place[row * columns + column]] = index
                place[row * columns + column] += 1
    return columns, rows, start, entries, left, bottom


@SIGNOFF.jit
def join_touching(parent, boxes, lower, upper):
    """Unites each of `upper` (numbers of rectangles) with each of `lower` that it overlaps or abuts along an edge."""
    if len(lower) == 0 or len(upper) == 0:
        return
    columns, rows, start, entries, left, bottom = make_bins(boxes, lower)
    for index in upper:
        x0, y0, x1, y1 = boxes[index]
        for row in range(max(0, (y0 - bottom) // BIN_NM), min(rows - 1, (y1 - bottom) // BIN_NM) + 1):
            for column in range(max(0, (x0 - left) // BIN_NM), min(columns - 1, (x1 - left) // BIN_NM) + 1):
                here = row * columns + column
                for entry in range(start[here], start[here + 1]):
                    other = entries[entry]
                    width = min(x1, boxes[other, 2]) - max(x0, boxes[other, 0])
                    height = min(y1, boxes[other, 3]) - max(y0, boxes[other, 1])
                    if other != index and width >= 0 and height >= 0 and width + height > 0:
                        join(parent, index, other)


@SIGNOFF.jit
def covered_length(low, high, count):
    """The length that intervals cover together; sorts them."""
    order = np.argsort(low[:count])
    total, reach = 0, low[order[0]]
    for index in order:
        if high[index] > reach:
            total += high[index] - max(reach, low[index])
            reach = high[index]
    return total


@SIGNOFF.jit
def outline_lengths(boxes, chosen):
    """For each chosen rectangle what of its edges is outline of all of them together; each piece is counted once."""
    lengths = np.zeros(len(chosen), np.int64)
    if len(chosen) == 0:
        return lengths
    columns, rows, start, entries, left, bottom = make_bins(boxes, chosen)
    seen = np.full(len(boxes), -1, np.int64)
    near = np.empty(64, np.int64)
    for number in range(len(chosen)):
        index = chosen[number]
        x0, y0, x1, y1 = boxes[index]
        count = 0
        for row in range((y0 - bottom) // BIN_NM, (y1 - bottom) // BIN_NM + 1):
            for column in range((x0 - left) // BIN_NM, (x1 - left) // BIN_NM + 1):
                for entry in range(start[row * columns + column], start[row * columns + column + 1]):
                    other = entries[entry]
                    if other == index or seen[other] == index or boxes[other, 0] > x1 or boxes[other, 2] < x0 \
                            or boxes[other, 1] > y1 or boxes[other, 3] < y0:
                        continue
                    seen[other] = index
                    if count == len(near):
                        near = np.concatenate((near, np.empty(count, np.int64)))
                    near[count] = other
                    count += 1
        lengths[number] = 2 * (x1 - x0 + y1 - y0)
        if count:
            lengths[number] -= hidden_length(boxes, index, near, count)
    return lengths


@SIGNOFF.jit
def hidden_length(boxes, index, near, count):
    """What of the four edges has a neighbour's area right outside, or is the edge of a neighbour of lower number."""
    low, high = np.empty(count, np.int64), np.empty(count, np.int64)
    total = 0
    for side in range(4):                                    # left, bottom, right, top
        across, along = side % 2, 1 - side % 2
        edge, found = boxes[index, side], 0
        for place in range(count):
            other = near[place]
            if side < 2:
                outside = boxes[other, across] < edge <= boxes[other, across + 2]
            else:
                outside = boxes[other, across] <= edge < boxes[other, across + 2]
            if outside or (boxes[other, side] == edge and other < index):
                begin = max(boxes[index, along], boxes[other, along])
                end = min(boxes[index, along + 2], boxes[other, along + 2])
                if begin < end:
                    low[found], high[found] = begin, end
                    found += 1
        if found:
            total += covered_length(low, high, found)
    return total
