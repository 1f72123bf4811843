"""Every compiled function and nothing else: arrays and numbers in, arrays and numbers out.

A batch is worked through in the order of its readings. The kernels that Python calls (accepting.py, judging.py) return
the index of the reading at which they stopped: len(batch) when done, earlier when Python has to make room or to run a
tick first; calling again from that index goes on as if nothing had happened.

The smallest of those that grade a reading are inlined by numba: a call counts references to each array in what it is
handed, which costs more than they do.
"""
