"""A binary heap in an array of int64, least first: price in the upper bits, what it is the price of in the lower."""

from flow.compiled import ROUTE


@ROUTE.jit
def push(heap, size, key):
    """Puts a key in; returns the new size."""
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        if heap[parent] <= key:
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = key
    return size + 1


@ROUTE.jit
def pop(heap, size):
    """Takes heap[0] out; returns the new size."""
    size -= 1
    key = heap[size]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = key
    return size
